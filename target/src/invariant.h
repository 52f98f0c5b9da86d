/*
 * Assertions, kept in release: what holds of our own state, whatever others say. One that fails ends the client, and its parent starts the next, which has
 * the ticket and asks again for what is open: a root file system waits for that, and does not survive a wrong block. What a packet, the kernel or a
 * configuration says is judged and never asserted; nothing is asserted in the parent, which nobody would bring back.
 */
#pragma once

#define ASSERT(what) ((what) ? (void)0 : assertion_failed(__FILE__, __LINE__, #what))

/* Tells standard error, which is the console, and ends the process without a core dump: that would be written to the disk that we are. */
_Noreturn void assertion_failed(const char *file, int line, const char *what);

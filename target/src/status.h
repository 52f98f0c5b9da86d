/* The status file: what the client does, for people and tests. */
#pragma once
#include "session.h"

/* folder: a directory's descriptor, because a path would lead nowhere once the root has been switched. */
void status_write(int folder, const char *name, const struct identity *identity, bool client_alive);

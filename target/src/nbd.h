/* The kernel's network block device: set up by generic netlink, spoken to in NBD's transmission phase over a socket pair. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    NBD_REQUEST_MAGIC = 0x25609513,
    NBD_REPLY_MAGIC = 0x67446698,
    NBD_REQUEST_BYTES = 28,
    NBD_REPLY_BYTES = 16,
    NBD_READ = 0,
    NBD_DISCONNECT = 2,
};

struct block_request {
    uint16_t flags, type;
    uint64_t handle, offset;
    uint32_t length;
};

/* False when the bytes are no request: the stream is out of step, which only a bug can bring about. */
bool block_request_parse(const uint8_t bytes[NBD_REQUEST_BYTES], struct block_request *request);
void block_reply(uint8_t out[NBD_REPLY_BYTES], uint64_t handle, uint32_t error);

/* Connects /dev/nbd<index> to the socket `server`; reconfigure gives a connected device another one. 0, or a negative errno. */
int nbd_connect(int index, int server, uint64_t disk_bytes, uint32_t block_bytes);
int nbd_reconfigure(int index, int server);

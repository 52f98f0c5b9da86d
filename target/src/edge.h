/* The client process: sockets and the clock around session.h. */
#pragma once
#include "config.h"
#include "session.h"

struct edge_options {
    struct config *config;
    struct identity *identity; /* shared with the parent */
    int device;                /* the kernel's end of NBD is behind this socket */
    int http;                  /* bootfarm-http answers here: http.h */
    int ready;                 /* written to once: the disk is known and a server serves it. −1: nobody waits */
    int console;               /* for people; −1: none */
    int printk;                /* the level of the kernel's console, while something is waited for; −1: none */
    uint16_t segment_bytes;    /* 0: from the path's MTU */
};

/* Runs until the kernel disconnects; gives the exit code. */
int edge_run(const struct edge_options *options);

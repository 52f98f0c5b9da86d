/* What test/simulation/client.ts calls. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

int simulation_reset(uint8_t *at, uint64_t bytes, const uint8_t *content, uint64_t seed, const char *mac);
void simulation_server(uint32_t host, uint16_t port);
void simulation_token(uint32_t bytes, bool started, int64_t now_us);
void simulation_ticket(uint32_t bytes, uint8_t mode, uint64_t disk_bytes, int64_t renew_us, int64_t ends_us);
void simulation_start(uint16_t segment_bytes, int64_t now_us);
bool simulation_request(uint32_t handle, uint64_t offset, uint32_t length);
void simulation_receive(uint32_t host, uint16_t port, uint32_t bytes, int64_t now_us);
void simulation_run(int64_t now_us, int64_t until_us);
void simulation_read(void);
uint64_t simulation_drops(void);
uint64_t simulation_counter(uint32_t which);

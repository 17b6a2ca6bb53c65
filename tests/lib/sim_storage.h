/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A log in memory: the storage port of simulated managers. Whoever simulates
 * says when what was written is durable, and how much of the rest a crash
 * leaves behind.
 */

#ifndef TESTS_LIB_SIM_STORAGE_H
#define TESTS_LIB_SIM_STORAGE_H

#include <stdbool.h>

#include <swarmkit/port/storage.h>

#include "base/buf.h"
#include "base/snapshot_meta.h"

struct sim_entry {
    struct swk_log_entry entry; /* with data of its own */
    uint64_t ticket;            /* of the write that brought it */
};

struct sim_storage {
    struct swk_storage port;
    struct sim_entry *entries; /* those after the snapshot */
    size_t entries_count;
    size_t entries_size;
    struct swk_hard_state state;
    struct swk_hard_state durable_state;
    bool has_state;
    struct swki_snapshot_meta snapshot; /* index 0: none */
    struct swki_buf snapshot_data;
    struct swki_snapshot_meta part; /* begun; index 0: none */
    struct swki_buf part_data;
    bool part_kept; /* given up, for another to go on from */
    uint8_t identity[4096];
    size_t identity_len; /* 0: none */
    uint64_t durable_ticket; /* all writes up to it are durable */
    /* Told of each write, which becomes durable some time. */
    void (*written)(void *ctx, uint64_t ticket);
    void *written_ctx;
};

void sim_storage_init(struct sim_storage *storage,
                      void (*written)(void *ctx, uint64_t ticket), void *ctx);
void sim_storage_fini(struct sim_storage *storage);

/* All writes up to the ticket are durable. */
void sim_storage_sync(struct sim_storage *storage, uint64_t ticket);

/* The process ended; of what was not durable, the writes up to the ticket are
 * there all the same. Tickets start again. */
void sim_storage_crash(struct sim_storage *storage, uint64_t kept_ticket);

#endif

/* SPDX-License-Identifier: Apache-2.0 */

/* A storage in memory: what was asked for is done when the test says so. */

#ifndef TESTS_UNIT_NODE_MEMORY_STORAGE_H
#define TESTS_UNIT_NODE_MEMORY_STORAGE_H

#include <stdbool.h>

#include <swarmkit/port/storage.h>

#include "base/buf.h"
#include "base/snapshot_meta.h"

enum {
    MEMORY_ENTRIES = 4096,
    MEMORY_WRITES = 256,
};

struct memory_entry {
    struct swk_log_entry head; /* its data is owned; index 0: none */
};

struct memory_write {
    uint64_t ticket;
    bool has_state;
    struct swk_hard_state state;
    struct memory_entry *entries;
    size_t entries_count;
    bool has_snapshot;
    bool install;
    struct swki_snapshot_meta meta;
    struct swki_buf data;
};

struct memory_storage {
    struct swk_storage port;
    bool has_state;
    struct swk_hard_state state;
    struct memory_entry entries[MEMORY_ENTRIES]; /* by index */
    uint64_t last;
    struct swki_snapshot_meta meta; /* index 0: no snapshot */
    struct swki_buf snapshot;
    struct swki_snapshot_meta part; /* begun; index 0: none */
    struct swki_buf part_data;
    uint8_t identity[4096];
    size_t identity_len; /* 0: none */
    struct memory_write writes[MEMORY_WRITES]; /* a queue */
    size_t writes_first;
    size_t writes_count;
    bool refuses; /* append() fails at once */
};

void memory_storage_init(struct memory_storage *storage);
void memory_storage_fini(struct memory_storage *storage);

/* Makes the oldest write durable and gives its ticket; 0 if there is none. */
uint64_t memory_storage_complete(struct memory_storage *storage);

/* The process ended: what was not durable is gone. */
void memory_storage_crash(struct memory_storage *storage);

#endif

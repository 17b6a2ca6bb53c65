/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A file storage over a disk in memory, with entries whose content follows
 * from index and term, so that whatever load finds can be checked.
 */

#ifndef TESTS_LIB_FILE_STORE_H
#define TESTS_LIB_FILE_STORE_H

#include <pthread.h>
#include <stdbool.h>

#include <swarmkit/file_storage.h>

#include "lib/disk.h"

enum {
    FILE_STORE_ENTRIES = 512,
    FILE_STORE_DATA_MAX = 8192,
};

/* What load found. */
struct file_store_found {
    uint8_t identity[64];
    size_t identity_len; /* 0: none */
    struct swk_snapshot_meta snapshot; /* index 0: none; its lists are gone */
    size_t snapshot_len;
    struct swk_hard_state state;
    uint64_t first; /* index of terms[0] */
    uint64_t terms[FILE_STORE_ENTRIES];
    size_t count;
    uint64_t lost; /* entries up to this index may be; 0: none */
};

struct file_store {
    struct disk *disk;
    struct swk_file_storage_config config;
    struct swk_storage storage;
    struct swk_logger logger;
    bool is_open;
    bool takes_loss; /* it goes on without entries that were lost */
    bool refuses_loss; /* asked, it says that it cannot go on without them */
    uint64_t ticket; /* last used */
    int warnings; /* records of the log at that level or above */
    struct file_store_found found;

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    uint64_t durable; /* highest ticket reported as such */
    uint64_t failed;  /* first ticket that failed */
    struct swk_error failure;
    int failures;
};

void file_store_init(struct file_store *store, struct disk *disk);
void file_store_fini(struct file_store *store);

/* Opens and loads into found; the code of the first that failed. */
int file_store_open(struct file_store *store, struct swk_error *err);
void file_store_close(struct file_store *store);

/* Appends entries first to last of term and a hard state {term, 1, commit};
 * last < first for none. Returns the code; the ticket is store->ticket. */
int file_store_append(struct file_store *store, uint64_t term, uint64_t first,
                      uint64_t last, uint64_t commit);
int file_store_snapshot(struct file_store *store, uint64_t index,
                        uint64_t term);

/* A snapshot that comes in two parts; with install 1 one that replaces the
 * log, and that breaks off and goes on in between. */
int file_store_receive(struct file_store *store, uint64_t index, uint64_t term,
                       int32_t install);

/* Waits for the outcome of the last ticket: 0 or the failure's code. */
int file_store_wait(struct file_store *store);

/* Bytes of the entry's data. */
size_t file_store_entry_len(uint64_t index, uint64_t term);
size_t file_store_snapshot_len(uint64_t index);

/* Last index of what was found. */
uint64_t file_store_last(const struct file_store *store);

#endif

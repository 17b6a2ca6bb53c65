/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A disk in memory for the file storage: it remembers what was synced, can
 * fail any call, and can lose power at any call.
 *
 * After a loss of power each sector that was written and not synced has its
 * old or its new content, at random; of the changes to the directory since its
 * last sync a random number of the first ones is there.
 *
 * The calls may come from several threads; what a test does to the disk itself
 * it does while nobody uses it.
 */

#ifndef TESTS_LIB_DISK_H
#define TESTS_LIB_DISK_H

#include <pthread.h>
#include <stdbool.h>

#include "base/rng.h"
#include "runtime/file/io.h"

enum {
    DISK_SECTOR = 512,
    DISK_FILE_SIZE = 64 * 1024,
    DISK_FILES = 64,
    DISK_NAMES = 64,
};

/* The calls, to fail the n-th of one kind. */
enum disk_call {
    DISK_ANY,
    DISK_WRITE,
    DISK_SYNC,
    DISK_SYNC_DIR,
    DISK_RENAME,
    DISK_CREATE,
    DISK_PREALLOCATE,
};

struct disk_file {
    bool used;
    bool locked;
    int opens; /* descriptors of it */
    uint64_t cached_size;
    uint64_t durable_size;
    uint8_t cached[DISK_FILE_SIZE];
    uint8_t durable[DISK_FILE_SIZE];
    bool dirty[DISK_FILE_SIZE / DISK_SECTOR];
};

struct disk_dir {
    struct {
        char name[64]; /* empty: none */
        int file;
    } names[DISK_NAMES];
};

struct disk {
    struct swki_file_io io;
    pthread_mutex_t mutex; /* held during each call */
    struct swki_rng rng;
    struct disk_file files[DISK_FILES];
    struct disk_dir dir;          /* as it is now */
    struct disk_dir history[256]; /* durable, then after each change */
    int history_count;
    int calls;        /* made so far */
    int power_off_at; /* call after which nothing happens; -1: never */
    bool off;
    enum disk_call fail_call;
    int fail_at;        /* n-th such call from now; -1: none */
    int fail_error;     /* negative errno */
    size_t write_max;   /* bytes of one write; 0: any */
    uint64_t space_max; /* bytes of all files; 0: any */
    int syncs;
};

/* On the heap: it is large. */
struct disk *disk_new(uint64_t seed);
void disk_free(struct disk *disk);

/* The process ended: locks are gone, all else stays. */
void disk_restart(struct disk *disk);

/* Power was lost and came back. */
void disk_power_cycle(struct disk *disk);

/* The file of that name, or NULL. */
struct disk_file *disk_find(struct disk *disk, const char *name);

/* How many names begin with prefix. */
int disk_count(const struct disk *disk, const char *prefix);

#endif

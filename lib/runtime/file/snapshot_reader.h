/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Snapshots as they are handed to other members, piece by piece.
 *
 * A file stays open from piece to piece, so that one that is removed meanwhile
 * can be read to its end. Any thread.
 */

#ifndef SWKI_RUNTIME_FILE_SNAPSHOT_READER_H
#define SWKI_RUNTIME_FILE_SNAPSHOT_READER_H

#include <pthread.h>

#include "runtime/file/wal.h"

enum {
    SWKI_SNAPSHOT_READERS = 4, /* files open at once */
};

struct swki_snapshot_handle {
    struct swki_place place; /* index 0: not in use */
    int fd;
    uint64_t data_at;  /* offset in the file */
    uint64_t data_len; /* bytes from there on */
    uint32_t data_crc; /* of the file after its header */
    uint64_t next;     /* offset in the data of the next piece, in order */
    uint32_t crc;      /* up to there */
    bool is_whole;     /* all before next was read by this handle */
    uint64_t used;     /* when; counts up */
};

struct swki_snapshot_reader {
    struct swki_wal *wal; /* its files and its directory */
    pthread_mutex_t mutex; /* guards what follows, also while a piece is read */
    struct swki_snapshot_handle handles[SWKI_SNAPSHOT_READERS];
    uint64_t used;
};

void swki_snapshot_reader_init(struct swki_snapshot_reader *reader,
                               struct swki_wal *wal);
void swki_snapshot_reader_fini(struct swki_snapshot_reader *reader);

/* As swk_storage.read_snapshot(). SWK_ECORRUPT instead of the last piece if
 * what was read, piece after piece, is not what was written. */
int swki_snapshot_reader_read(struct swki_snapshot_reader *reader,
                              const struct swki_place *place, uint64_t offset,
                              uint8_t *buf, size_t size, size_t *out_len,
                              uint64_t *out_total, struct swk_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Snapshots as they are handed to other members, piece by piece.
 *
 * A file stays open from piece to piece, so that one that is removed meanwhile
 * can be read to its end, and no chunk of it is opened twice. Any thread.
 */

#ifndef SWKI_RUNTIME_FILE_SNAPSHOT_READER_H
#define SWKI_RUNTIME_FILE_SNAPSHOT_READER_H

#include <pthread.h>

#include "runtime/file/snapshot_file.h"

enum {
    SWKI_SNAPSHOT_READERS = 4, /* files open at once */
};

struct swki_snapshot_handle {
    bool in_use;
    struct swki_snapshot_file file;
    uint64_t next; /* offset in the data of the next piece, in order */
    uint64_t used; /* when; counts up */
};

struct swki_snapshot_reader {
    const struct swki_snapshot_place *at;
    pthread_mutex_t mutex; /* guards what follows, also while a piece is read */
    struct swki_snapshot_handle handles[SWKI_SNAPSHOT_READERS];
    uint64_t used;
};

void swki_snapshot_reader_init(struct swki_snapshot_reader *reader,
                               const struct swki_snapshot_place *at);
void swki_snapshot_reader_fini(struct swki_snapshot_reader *reader);

/* What to read: the snapshot in the file of that name; only its first bytes
 * if it is not complete. */
struct swki_snapshot_source {
    const char *name;
    struct swki_place place;
    uint64_t good; /* bytes of one that is not complete */
};

/* As swk_storage.read_snapshot(). SWK_ECORRUPT if a piece is not what was
 * written. */
int swki_snapshot_reader_read(struct swki_snapshot_reader *reader,
                              const struct swki_snapshot_source *source,
                              uint64_t offset, uint8_t *buf, size_t size,
                              size_t *out_len, uint64_t *out_total,
                              struct swk_error *err);

#endif

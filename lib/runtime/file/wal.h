/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The write-ahead log and its snapshots on the disk, without threads: one
 * caller at a time. After a failed write the caller must not write again.
 */

#ifndef SWKI_RUNTIME_FILE_WAL_H
#define SWKI_RUNTIME_FILE_WAL_H

#include <swarmkit/alloc.h>
#include <swarmkit/log.h>

#include "base/buf.h"
#include "base/snapshot_meta.h"
#include "runtime/file/format.h"
#include "runtime/file/io.h"
#include "runtime/file/snapshot_file.h"

enum {
    SWKI_WAL_NAME_SIZE = 64,
    SWKI_WAL_IDENTITY_MAX = 4096,
};

/* A segment that is no longer written. */
struct swki_wal_segment {
    uint64_t id;
    uint64_t last_index; /* highest index of an entry in it */
};

struct swki_wal {
    /* Set by the owner. */
    const struct swki_file_io *io;
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    const char *dir_path;
    int dir;
    uint64_t segment_size;
    size_t snapshots_max; /* good ones kept */
    struct swki_snapshot_place files; /* where they are */

    /* The segment being written; fd is negative if there is none. */
    int fd;
    struct swki_segment_header segment;
    uint64_t segment_room; /* bytes of the file */
    uint64_t segment_last_index;
    uint64_t offset;
    uint64_t sequence; /* of the next record */
    uint32_t chain;

    /* As of the last record. */
    struct swk_hard_state state;
    struct swki_place snapshot;
    struct swki_place last; /* entry */

    struct swki_wal_segment *closed; /* oldest first */
    size_t closed_count;
    size_t closed_size;

    struct swki_place *snapshots; /* files, oldest first */
    size_t snapshots_count;
    size_t snapshots_size;
};

void swki_wal_segment_name(uint64_t id, char out_name[SWKI_WAL_NAME_SIZE]);
void swki_wal_snapshot_name(const struct swki_place *place,
                            char out_name[SWKI_WAL_NAME_SIZE]);

/* Reads everything, repairs a torn tail, tells replay, and opens for writing.
 * An empty directory becomes an empty log. */
int swki_wal_load(struct swki_wal *wal, const struct swk_storage_replay *replay,
                  struct swk_error *err);
void swki_wal_close(struct swki_wal *wal);

/* Writes records that were begun, one after the other in bytes, which it
 * completes, and syncs them. */
int swki_wal_write(struct swki_wal *wal, uint8_t *bytes, size_t len,
                   struct swk_error *err);

/* Makes a snapshot count whose file is there, and removes what it makes
 * needless; install makes it take the place of the whole log. */
int swki_wal_save_snapshot(struct swki_wal *wal, const struct swki_place *place,
                           bool install, struct swk_error *err);

/* Stores whose log this is. */
int swki_wal_identify(struct swki_wal *wal, const uint8_t *identity, size_t len,
                      struct swk_error *err);

/* For load and write. */

/* Appends what identify stored to buf, if anything. */
int swki_wal_read_identity(struct swki_wal *wal, struct swki_buf *buf,
                           struct swk_error *err);

/* Takes what a record says into the state of the log; false if its payload is
 * malformed. */
bool swki_wal_note(struct swki_wal *wal, const struct swki_record *record);

/* Makes a segment with room for need bytes of records, and writes there. */
int swki_wal_create_segment(struct swki_wal *wal, uint64_t id, uint64_t need,
                            struct swk_error *err);

bool swki_wal_add_closed(struct swki_wal *wal, uint64_t id,
                         uint64_t last_index);
bool swki_wal_add_snapshot(struct swki_wal *wal,
                           const struct swki_place *place);

struct swki_loaded_snapshot {
    struct swki_snapshot_meta meta;
    uint8_t *data;
    size_t data_len;
    uint32_t key; /* its number; 0 for none */
};

/* Reads a snapshot file, or tells why it cannot be used. */
int swki_wal_read_snapshot(struct swki_wal *wal, const struct swki_place *place,
                           struct swki_loaded_snapshot *out_snapshot,
                           struct swk_error *err);
void swki_loaded_snapshot_fini(const struct swk_alloc *alloc,
                               struct swki_loaded_snapshot *snapshot);

#endif

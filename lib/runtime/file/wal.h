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
    SWKI_WAL_SPARES = 16, /* known of; more are left alone */
};

/* A segment that is no longer written. */
struct swki_wal_segment {
    uint64_t id;
    uint64_t last_index; /* highest index of an entry in it */
    uint32_t key;        /* number of the key it is under; 0: of none */
};

/* A snapshot's file. */
struct swki_wal_snapshot {
    struct swki_place place;
    uint32_t key; /* number of the key it is under; 0: of none */
};

struct swki_wal {
    /* Set by the owner. */
    const struct swki_file_io *io;
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    const char *dir_path;
    int dir;
    uint64_t segment_size;
    size_t snapshots_max;             /* good ones kept */
    struct swki_snapshot_place files; /* where they are */
    size_t spares_max;                /* segments kept to be written again */
    uint64_t reserve_size;
    struct swki_keyring *ring;
    bool accept_unsealed; /* although there is a key */
    bool read_only;

    /* The segment being written; fd is negative if there is none. */
    int fd;
    struct swki_segment_header segment;
    struct swki_seal seal;
    uint64_t segment_room; /* bytes of the file */
    uint64_t segment_last_index;
    uint64_t offset;
    uint64_t sequence; /* of the next record */
    uint32_t chain;
    struct swki_session session;
    bool salt_due;                    /* before the next record */
    char unnamed[SWKI_WAL_NAME_SIZE]; /* its file until it is complete */
    uint64_t next_id;

    /* The segment before, until that one is followed is noted in it. */
    int followed_fd; /* negative: none */
    uint64_t followed_at;
    uint8_t followed[SWKI_BOUND_SIZE];

    /* The bound written last. */
    uint64_t bound_count;
    uint64_t bound_salt; /* nonce salt of those to come; 0: to be drawn */
    uint32_t bound_nonces;

    /* As of the last record. */
    struct swk_hard_state state;
    struct swki_place snapshot;
    struct swki_place last; /* entry */
    uint64_t lost;          /* 0, or entries up to it may be missing still */

    /* For the headers to come. */
    uint64_t generation;
    bool generation_due; /* the next write begins a segment */
    uint64_t cut;        /* of the next header only */
    uint32_t identity_len;
    uint8_t identity[SWKI_IDENTITY_MAX];

    struct swki_wal_segment *closed; /* oldest first */
    size_t closed_count;
    size_t closed_size;

    struct swki_wal_snapshot *snapshots; /* oldest first */
    size_t snapshots_count;
    size_t snapshots_size;

    uint64_t spares[SWKI_WAL_SPARES];
    size_t spares_count;
    bool prepared; /* the next segment, or it was tried */
};

void swki_wal_segment_name(uint64_t id, char out_name[SWKI_WAL_NAME_SIZE]);
void swki_wal_spare_name(uint64_t id, char out_name[SWKI_WAL_NAME_SIZE]);
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
int swki_wal_save_snapshot(struct swki_wal *wal,
                           const struct swki_wal_snapshot *snapshot,
                           bool install, struct swk_error *err);

/* Finds out which keys the snapshots are under. */
void swki_wal_find_snapshot_keys(struct swki_wal *wal);

/* Stores whose log this is. */
int swki_wal_identify(struct swki_wal *wal, const uint8_t *identity, size_t len,
                      struct swk_error *err);

/* The highest index of what is under another key than the newest, or under
 * none; false if nothing is. */
bool swki_wal_uses_old_key(const struct swki_wal *wal, uint64_t *out_index);

/* -- For load and write. ---------------------------------------------------*/

/* Takes what a record says into the state of the log; false if its payload is
 * malformed. */
bool swki_wal_note(struct swki_wal *wal, const struct swki_record *record);

/* Makes a file with room for need bytes of records the segment to be written.
 * It gets its name when something is written; urgent: it may use what is set
 * aside for when the disk is full. */
int swki_wal_next_segment(struct swki_wal *wal, uint64_t need, bool urgent,
                          struct swk_error *err);

/* Writes what is due of a new segment, and names it. */
int swki_wal_flush(struct swki_wal *wal, struct swk_error *err);

/* The bound of the segment being written: what is promised once the coming
 * sync is through; synced: the last record that is durable already. */
void swki_wal_next_bound(struct swki_wal *wal, uint64_t synced, bool followed,
                         uint8_t out_bytes[SWKI_BOUND_SIZE]);
/* Where in the segment the one made last belongs. */
uint64_t swki_wal_bound_at(const struct swki_wal *wal);

/* Prepares the next segment, if there is no spare; that is no duty. */
void swki_wal_prepare(struct swki_wal *wal);

/* Takes space for when the disk is full, if it is there. */
void swki_wal_make_reserve(struct swki_wal *wal);
/* Gives it free; false if there was none. Any thread. */
bool swki_wal_release_reserve(struct swki_wal *wal);

/* Removes the segments that snapshots make needless, or keeps their files.
 * 0, 1 if one could not be removed, or a negative errno. */
int swki_wal_drop_segments(struct swki_wal *wal);

/* Removes a file for good. A file that cannot be removed costs space only:
 * that is logged, and told by 1. */
int swki_wal_remove_file(struct swki_wal *wal, const char *name);

bool swki_wal_add_closed(struct swki_wal *wal,
                         const struct swki_wal_segment *segment);
bool swki_wal_add_snapshot(struct swki_wal *wal,
                           const struct swki_wal_snapshot *snapshot);

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

/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * The storage port over files: a write-ahead log and snapshots in a directory.
 *
 * One thread writes the log, another one snapshots. What is appended while a
 * sync runs goes out together in the next one, so that many small appends share
 * a sync. Every record carries a checksum over its content, its place and what
 * it follows.
 *
 * When read back, a last write that a crash cut short is removed: nobody was
 * told that it was durable. Damage anywhere else is an error that names the
 * file, never a shorter log. One thing cannot be told from a write cut short:
 * damage within the very last write of the log.
 *
 * After the first failed write or sync of the log nothing is written any more,
 * whatever the reason was: the way on is to open the directory again. Parts of
 * a snapshot that cannot be written cost that snapshot alone, if
 * write_snapshot() was asked for them before finish_snapshot().
 *
 * With a key everything is sealed by AES-256-GCM: nobody without it reads an
 * entry or a snapshot, or changes, moves or repeats one unnoticed. Terms,
 * indexes and members stay readable, but cannot be changed either. What cannot
 * be noticed is a whole directory that is put back as it was earlier.
 */

#ifndef SWARMKIT_FILE_STORAGE_H
#define SWARMKIT_FILE_STORAGE_H

#include <swarmkit/alloc.h>
#include <swarmkit/error.h>
#include <swarmkit/log.h>
#include <swarmkit/port/storage.h>
#include <swarmkit/types.h>

SWK_BEGIN_DECLS

/** Defaults and limits of struct swk_file_storage_config. */
enum {
    SWK_FILE_STORAGE_SEGMENT_SIZE = 16 * 1024 * 1024,
    SWK_FILE_STORAGE_SEGMENT_SIZE_MIN = 20 * 1024,
    SWK_FILE_STORAGE_SEGMENT_SIZE_MAX = 1024 * 1024 * 1024,
    SWK_FILE_STORAGE_PENDING_SIZE_MAX = 256 * 1024 * 1024,
    SWK_FILE_STORAGE_SNAPSHOTS_MAX = 2,
    SWK_FILE_STORAGE_KEY_SIZE = 32, /**< Bytes of a key. */
    SWK_FILE_STORAGE_SPARES_MAX = 4,
};

/** Flags of struct swk_file_storage_config. */
enum {
    /** With a key, what was written without one is read all the same: whoever
     *  can write to the directory can then put in what they like. */
    SWK_FILE_STORAGE_ACCEPT_UNSEALED = 1 << 0,
    /** To look at a directory that may be in use: it is not locked, nothing in
     *  it is changed, and load() leaves out what it would repair. All writes
     *  are SWK_EPRECONDITION. */
    SWK_FILE_STORAGE_READ_ONLY = 1 << 1,
};

/** How to open a storage. Zero stands for the default of a field. */
struct swk_file_storage_config {
    size_t size; /**< sizeof(struct swk_file_storage_config). */
    /** The directory, *copied*; made with mode 0700 if there is none. Its
     *  parent must exist. */
    const char *dir;
    swk_storage_done_fn done; /**< Told of what is durable; not NULL. */
    void *done_ctx;           /**< Passed to done(). */
    /** *Borrowed until* close(); NULL for malloc(). Called on the threads of
     *  the caller and of the storage, maybe at once. */
    const struct swk_alloc *alloc;
    /** *Borrowed until* close(); may be NULL. Called on either thread. */
    const struct swk_logger *logger;
    uint64_t segment_size;     /**< Bytes of a file of the log; taken ahead. */
    uint64_t pending_size_max; /**< Bytes accepted and not yet written. */
    /** Snapshots kept. With one, a damaged snapshot means a lost log; with
     *  two, the log is kept from the older one on. */
    uint64_t snapshots_max;
    /** Seals what is written, SWK_FILE_STORAGE_KEY_SIZE bytes, *copied*; NULL
     *  for none. */
    const uint8_t *key;
    /** Another key under which some of what is there may be, *copied*; NULL
     *  for none. */
    const uint8_t *old_key;
    uint64_t flags; /**< SWK_FILE_STORAGE_*. */
    /** Files of the log that are no longer needed and kept to be written
     *  again: that is faster than to make new ones. */
    uint64_t spares_max;
    /** Bytes set aside for when the disk is full: enough for the next
     *  snapshot, which makes room. 0 stands for two segments. */
    uint64_t reserve_size;
};

/**
 * Opens a directory, and keeps others from opening it.
 *
 * The storage answers, beside what the port says:
 *
 * load: SWK_ECORRUPT for damage, with the file, the offset and what to do;
 * SWK_EDENIED if a file is sealed by a key that was not given, or not sealed
 * although a key was given; SWK_ENOTSUP for files of an earlier or later
 * format; SWK_EIO or SWK_EDENIED when reading fails; SWK_ENOMEM;
 * SWK_EPRECONDITION when called again. Nothing is changed then.
 *
 * append, begin_snapshot, finish_snapshot: after a failure its code and text,
 * without accepting anything; SWK_ELIMIT when too much is pending, or one append is over 1 GiB;
 * SWK_EPRECONDITION before load() succeeded; SWK_EINVAL for a ticket or a
 * snapshot that does not ascend; SWK_ENOMEM. Failures of writing are reported
 * once, by done() with the first ticket that is not durable.
 *
 * @param config       Borrowed for the call; not NULL.
 * @param out_storage  Receives the functions, and a ctx that is *given*:
 *                     release it with out_storage->close(); not NULL.
 * @param err          Receives the reason on failure; may be NULL.
 * @return 0; SWK_EBUSY if another has it open, with the number of its process;
 *         SWK_EDENIED if the directory cannot be written to; SWK_EIO;
 *         SWK_EINVAL for a missing or impossible option; SWK_ENOTSUP for a
 *         config of a newer library; SWK_ENOMEM.
 * @threads any
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_file_storage_open(const struct swk_file_storage_config *config,
                      struct swk_storage *out_storage, struct swk_error *err);

/** What swk_file_storage_force_single() is to do. */
struct swk_force_single {
    size_t size;      /**< sizeof(struct swk_force_single). */
    uint64_t raft_id; /**< The member whose log it is. */
    /** The application's own, for each change of membership that is made;
     *  NULL for none. */
    const uint8_t *context;
    size_t context_len; /**< Bytes, up to 4096. */
    /** What swk_file_storage_generation() tells from then on; 0 for one more
     *  than before. */
    uint64_t generation;
    int32_t dry_run;    /**< 1: only reports; the directory may be in use. */
    uint32_t reserved;  /**< 0. */
};

/** What swk_file_storage_force_single() found, and did. */
struct swk_force_single_report {
    size_t size;             /**< sizeof(struct swk_force_single_report). */
    uint64_t term;           /**< That the member had reached before. */
    uint64_t snapshot_index; /**< Of the newest snapshot; 0 for none. */
    uint64_t last_index;     /**< Of the log before. */
    uint64_t last_term;      /**< Of the entry there. */
    /** Entries after it were not known to be committed. They are kept: the
     *  others may have answered clients on their strength. */
    uint64_t commit_index;
    uint64_t forced_index;  /**< Of the last entry after; last_index if there
                                 is nothing to do. */
    uint64_t generation;    /**< As swk_file_storage_generation() before. */
    uint64_t members_count; /**< Other members, which are removed. */
    uint64_t members[64];   /**< The first of them, ascending. */
};

/**
 * Makes the member whose log this is the only one of its group, for when a
 * quorum of it is lost for good. But for a dry run, nothing else may have the
 * directory open.
 *
 * The others must never come back with what they have: entries that only they
 * know are lost, and two groups would go on side by side.
 *
 * Appends changes of membership that remove the others, of a term one higher;
 * with them all entries before count as committed. That is one write: a crash
 * within leaves the log as it was, or complete. Once the member is alone there
 * is nothing to do, and nothing is written.
 *
 * @param config      As for swk_file_storage_open(), done being ignored; not
 *                    NULL.
 * @param what        Borrowed for the call; not NULL.
 * @param out_report  Its size is set by the caller; receives the rest; not
 *                    NULL.
 * @param err         Receives the reason on failure; may be NULL.
 * @return 0; SWK_EPRECONDITION if the log is empty, if entries of it are lost,
 *         or if the group in it lacks the member; SWK_EINVAL; else as
 *         swk_file_storage_open() and what it opens.
 * @threads any
 * @source  etcd/raft has no such operation; swarmkit's force-new-cluster drops
 *          the entries that were not known to be committed, and keeps the
 *          term.
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_file_storage_force_single(
    const struct swk_file_storage_config *config,
    const struct swk_force_single *what,
    struct swk_force_single_report *out_report, struct swk_error *err);

/**
 * Seals everything that is written from now on by another key.
 *
 * What is under the key so far stays readable as long as the storage is open;
 * to open it again, that key is needed as old_key. A snapshot that was begun
 * under it is given up: write_snapshot() and finish_snapshot() answer
 * SWK_EPRECONDITION.
 *
 * @param storage  From swk_file_storage_open(), loaded; not NULL.
 * @param key      SWK_FILE_STORAGE_KEY_SIZE bytes, *copied*; not NULL.
 * @param err      Receives the reason on failure; may be NULL.
 * @return 0, also if it is the key in use; SWK_EBUSY while something is still
 *         under the key before the one in use, for two are kept;
 *         SWK_EPRECONDITION before load() or without a key so far; SWK_EINVAL;
 *         SWK_ENOMEM; after a failure its code.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_file_storage_set_key(const struct swk_storage *storage, const uint8_t *key,
                         struct swk_error *err);

/**
 * Tells whether anything on the disk is under another key than the one in use,
 * or under none.
 *
 * A snapshot at or above the index stored in out_index, written under the key
 * in use, takes the place of all that is.
 *
 * @param storage    From swk_file_storage_open(), loaded; not NULL.
 * @param out_index  Receives the highest index of what is under another key;
 *                   may be NULL.
 * @return 1 if something is; 0 if the old key is needed no more.
 * @threads any
 * @since   0.1
 */
SWK_API int swk_file_storage_uses_old_key(const struct swk_storage *storage,
                                          uint64_t *out_index);

/**
 * Tells how often the group was forced, by swk_file_storage_force_single().
 *
 * @param storage  From swk_file_storage_open(), loaded; not NULL.
 * @return 0 for never. Members of another generation must not be listened to.
 * @threads any
 * @since   0.1
 */
SWK_API uint64_t
swk_file_storage_generation(const struct swk_storage *storage);

SWK_END_DECLS

#endif

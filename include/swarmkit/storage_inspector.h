/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * A look at the files of a storage, one by one, without changing them: for
 * offline tools. What the files mean together, load() tells.
 */

#ifndef SWARMKIT_STORAGE_INSPECTOR_H
#define SWARMKIT_STORAGE_INSPECTOR_H

#include <swarmkit/file_storage.h>

SWK_BEGIN_DECLS

/** How a file was found. */
enum swk_storage_verdict {
    SWK_STORAGE_GOOD = 0,
    /** The last write was cut short, at the offset: load() removes it. */
    SWK_STORAGE_TORN = 1,
    SWK_STORAGE_DAMAGED = 2, /**< At the offset, if not as a whole (0). */
    /** Neither the key nor the old key opens it. */
    SWK_STORAGE_LOCKED = 3,
    SWK_STORAGE_OTHER_FORMAT = 4, /**< Of another release; its format tells. */
};

/** Which key opens a file. */
enum swk_storage_key {
    SWK_STORAGE_KEY_NONE = 0, /**< It is not sealed, or neither does. */
    SWK_STORAGE_KEY_NEWEST = 1,
    SWK_STORAGE_KEY_OLD = 2,
};

/** What a record of the log is. */
enum swk_storage_record_type {
    SWK_STORAGE_RECORD_APPEND = 1,   /**< Hard state, entries, or both. */
    SWK_STORAGE_RECORD_SNAPSHOT = 2, /**< A snapshot is complete. */
    SWK_STORAGE_RECORD_SALT = 3,     /**< Seals go on from another number. */
};

/** A file of the log, a segment. */
struct swk_storage_segment {
    size_t size;             /**< sizeof(struct swk_storage_segment). */
    const char *name;        /**< In the directory; *borrowed* for the call. */
    uint64_t format;         /**< Version; 0 if there is no telling. */
    int32_t sealed;          /**< 1: it is. */
    int32_t key;             /**< enum swk_storage_key. */
    int32_t verdict;         /**< enum swk_storage_verdict. */
    uint32_t reserved;       /**< 0. */
    uint64_t offset;         /**< Of what the verdict is about. */
    uint64_t file_size;      /**< Bytes of the file. */
    uint64_t used;           /**< Bytes up to the end of the last record. */
    uint64_t records_count;  /**< Good ones; likewise below. */
    uint64_t first_sequence; /**< Number of the first record; 0: none. */
    uint64_t last_sequence;
    uint64_t first_index; /**< Lowest index of an entry; 0: none. */
    uint64_t last_index;
    uint64_t acknowledged; /**< Entries up to this index may have been. */
    uint64_t lost;         /**< 0, or entries up to it were lost before. */
    /** 0, or records of the segments before from this number on are void. */
    uint64_t cut;
    uint64_t generation;         /**< swk_file_storage_generation(). */
    struct swk_hard_state state; /**< At its end. */
};

/** A record of the log. */
struct swk_storage_record {
    size_t size;          /**< sizeof(struct swk_storage_record). */
    int32_t type;         /**< enum swk_storage_record_type. */
    int32_t install;      /**< A snapshot: 1 if it replaces the log before. */
    uint64_t offset;      /**< In the file. */
    uint64_t length;      /**< Bytes there. */
    uint64_t sequence;    /**< Its number in the log. */
    uint64_t first_index; /**< Of its entries, or its snapshot; 0: none. */
    uint64_t last_index;
    uint64_t term; /**< Of the last of these. */
    /** NULL if it holds none; *borrowed* for the call. */
    const struct swk_hard_state *state;
};

/** A file that holds a snapshot. */
struct swk_storage_snapshot {
    size_t size;       /**< sizeof(struct swk_storage_snapshot). */
    const char *name;  /**< In the directory; *borrowed* for the call. */
    uint64_t format;   /**< Version; 0 if there is no telling. */
    int32_t sealed;    /**< 1: it is. */
    int32_t key;       /**< enum swk_storage_key. */
    int32_t verdict;   /**< enum swk_storage_verdict. */
    uint32_t reserved; /**< 0. */
    uint64_t index;
    uint64_t term;
    uint64_t file_size; /**< Bytes of the file. */
    uint64_t data_size; /**< Bytes of what was saved; 0 if not good. */
};

/** Who is told; a result other than 0 ends the inspection with it. */
struct swk_storage_inspector {
    size_t size; /**< sizeof(struct swk_storage_inspector). */
    void *ctx;   /**< Passed to each function. */
    /** For each segment, in order; may be NULL. */
    int (*segment)(void *ctx, const struct swk_storage_segment *segment,
                   struct swk_error *err);
    /** For each good record of the segment told last, in order, up to where
     *  one is damaged, and for those behind; may be NULL. */
    int (*record)(void *ctx, const struct swk_storage_record *record,
                  struct swk_error *err);
    /** For each snapshot, oldest first, after the segments; may be NULL. */
    int (*snapshot)(void *ctx, const struct swk_storage_snapshot *snapshot,
                    struct swk_error *err);
};

/**
 * Tells what is in the directory of a storage, which may be in use.
 *
 * @param config     As for swk_file_storage_open(); done is not needed, and of
 *                   the flags none is.
 * @param inspector  *Borrowed* for the call; not NULL.
 * @param err        Receives the reason on failure; may be NULL.
 * @return 0, whatever is damaged; SWK_ENOTFOUND if there is no such directory;
 *         SWK_EIO or SWK_EDENIED if something cannot be read; SWK_EINVAL;
 *         SWK_ENOMEM; or what a function of inspector returned.
 * @threads any
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_file_storage_inspect(const struct swk_file_storage_config *config,
                         const struct swk_storage_inspector *inspector,
                         struct swk_error *err);

SWK_END_DECLS

#endif

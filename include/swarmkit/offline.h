/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * What a manager keeps on its disk, without a manager: its log, the objects
 * that follow from it, copies of it, and a new swarm that begins with them.
 *
 * Reading changes nothing in the state directory. A manager that runs may have
 * it open meanwhile; what it writes after swk_offline_open() is not seen.
 *
 * The objects of a swarm are handed over as one encoded swarmkit.v1.State,
 * which swk_message_to_json() turns into text and swk_message_from_json() reads
 * back. It holds every secret of the swarm, its CA's key among them.
 */

#ifndef SWARMKIT_OFFLINE_H
#define SWARMKIT_OFFLINE_H

#include <swarmkit/alloc.h>
#include <swarmkit/error.h>
#include <swarmkit/log.h>
#include <swarmkit/port/clock.h>
#include <swarmkit/port/entropy.h>
#include <swarmkit/port/storage.h>
#include <swarmkit/storage_inspector.h>
#include <swarmkit/types.h>
#include <swarmkit/unlock_key.h>

SWK_BEGIN_DECLS

/** The state of a manager, read into memory. */
typedef struct swk_offline swk_offline;

/** Flags of struct swk_offline_config. */
enum {
    /** Managers are kept out of the directory until swk_offline_close(). */
    SWK_OFFLINE_LOCK = 1 << 0,
};

/** Whose state to read, or where to make one. *Borrowed for the call*, but for
 *  alloc, logger and the ports, which swk_offline_open() *borrows until*
 *  swk_offline_close(). */
struct swk_offline_config {
    size_t size; /**< sizeof(struct swk_offline_config). */
    const char *state_dir;                   /**< Of the manager. */
    const struct swk_unlock_key *unlock_key; /**< NULL for none. */
    const struct swk_alloc *alloc;           /**< NULL for malloc(). */
    const struct swk_logger *logger;         /**< NULL for none. */
    const struct swk_clock *clock;           /**< Required. */
    const struct swk_entropy *entropy;       /**< Required. */
    uint64_t flags;                          /**< SWK_OFFLINE_*. */
};

/** An empty configuration. */
#define SWK_OFFLINE_CONFIG_INIT                                                \
    {                                                                          \
        sizeof(struct swk_offline_config)                                      \
    }

/** What there is of a log. */
struct swk_offline_info {
    size_t size; /**< sizeof(struct swk_offline_info). */
    char node_id[SWK_ID_LEN_MAX + 1]; /**< Whose log it is. */
    uint64_t raft_id;                 /**< Its number as a member. */
    struct swk_hard_state state;      /**< As it was written last. */
    uint64_t snapshot_index; /**< Of the newest good snapshot; 0: none. */
    uint64_t snapshot_term;
    uint64_t first_index; /**< Of the entries behind it; 0: none. */
    uint64_t last_index;  /**< Of the log: the snapshot's, if none follow. */
    /** Entries up to this one are committed for sure: a sole voter's all are,
     *  and else those that this manager had been told of when it wrote last.
     *  Later ones may be, or may have been replaced by others. */
    uint64_t committed_index;
    /** 0, or entries up to this index were promised and are lost. */
    uint64_t lost_index;
};

/**
 * Reads the log of a manager.
 *
 * Its certificates need not be valid, and are not looked at.
 *
 * @param config       Not NULL.
 * @param out_offline  Receives it, *given*: swk_offline_close(); not NULL.
 * @param err          Receives the reason on failure; may be NULL.
 * @return 0; SWK_ENOTFOUND if there is no state of a manager; SWK_EDENIED if
 *         it is locked and the key is missing or another one, or if files may
 *         not be read; SWK_EBUSY if a manager keeps it to itself, with
 *         SWK_OFFLINE_LOCK alone; SWK_ECORRUPT for damage, with the file; SWK_ENOTSUP for
 *         files of another release; SWK_EIO; SWK_EINVAL; SWK_ENOMEM.
 * @threads any
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_offline_open(const struct swk_offline_config *config,
                 swk_offline **out_offline, struct swk_error *err);

/**
 * Releases what was read.
 *
 * @param offline  May be NULL.
 * @threads one at a time
 * @since   0.1
 */
SWK_API void swk_offline_close(swk_offline *offline);

/**
 * Tells what there is.
 *
 * @param offline   Not NULL.
 * @param out_info  Its size is set by the caller, and filled no further; not
 *                  NULL.
 * @threads any
 * @since   0.1
 */
SWK_API void swk_offline_info(const swk_offline *offline,
                              struct swk_offline_info *out_info);

/**
 * Gives an entry of the log. Those with data, of type SWK_RAFT_ENTRY_NORMAL,
 * hold an encoded docker.swarmkit.v1.InternalRaftRequest; for others there is
 * swk_raft_read_conf_change().
 *
 * @param offline    Not NULL.
 * @param index      From first_index to last_index.
 * @param out_entry  Receives it, *borrowed until* swk_offline_close(); not
 *                   NULL.
 * @return 0; SWK_ENOTFOUND for another index.
 * @threads any
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_offline_entry(const swk_offline *offline,
                                             uint64_t index,
                                             struct swk_log_entry *out_entry);

/**
 * Gives the newest snapshot.
 *
 * @param offline   Not NULL.
 * @param out_meta  Receives its place and the configuration of the group,
 *                  *borrowed until* swk_offline_close(); not NULL.
 * @param out_data  Receives an encoded docker.swarmkit.v1.Snapshot, borrowed
 *                  likewise; not NULL.
 * @param out_len   Receives its bytes; not NULL.
 * @return 0; SWK_ENOTFOUND if there is none.
 * @threads any
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_offline_snapshot(const swk_offline *offline,
                     struct swk_snapshot_meta *out_meta,
                     const uint8_t **out_data, size_t *out_len);

/**
 * Works out the objects and the members as of an entry.
 *
 * @param offline   Not NULL.
 * @param index     From snapshot_index to last_index.
 * @param out_data  Receives an encoded swarmkit.v1.State: *given*,
 *                  swk_message_data_free(); not NULL.
 * @param out_len   Receives its bytes; not NULL.
 * @param err       Receives the reason on failure; may be NULL.
 * @return 0; SWK_EINVAL for another index; SWK_ECORRUPT for an entry that does
 *         not fit what is before it; SWK_ENOMEM.
 * @threads any
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_offline_state(const swk_offline *offline,
                                             uint64_t index,
                                             uint8_t **out_data,
                                             size_t *out_len,
                                             struct swk_error *err);

/**
 * Writes a state directory with the same log and identity, of which nothing is
 * sealed: for whoever has no key, or other tools.
 *
 * Whoever reads the copy knows all secrets, and can act as the manager. The two
 * must never both be started. Of the log, the newest snapshot and what is behind
 * it are copied.
 *
 * @param offline    Not NULL.
 * @param state_dir  Where to; it does not exist, or is empty. Made with mode
 *                   0700, and there when all of it is.
 * @param err        Receives the reason on failure; may be NULL.
 * @return 0; SWK_EEXIST if something is there; SWK_EPRECONDITION if entries are
 *         lost; SWK_EDENIED; SWK_EIO; SWK_EINVAL; SWK_ENOMEM.
 * @threads any
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_offline_copy_unsealed(const swk_offline *offline,
                                                     const char *state_dir,
                                                     struct swk_error *err);

/**
 * Tells what is in the files of a manager's log, one by one, with the keys that
 * its key file holds. What they mean together, swk_offline_open() tells.
 *
 * @param config     Not NULL.
 * @param inspector  *Borrowed for the call*; not NULL.
 * @param out_keys   Receives why there are no keys, with code 0 if there is no
 *                   reason: sealed files then count as locked. May be NULL.
 * @param err        Receives the reason on failure; may be NULL.
 * @return 0, whatever is damaged; SWK_ENOTFOUND if there is no state of a
 *         manager; SWK_EBUSY with SWK_OFFLINE_LOCK alone; SWK_EDENIED or
 *         SWK_EIO if something cannot be read; SWK_EINVAL; SWK_ENOMEM; or what
 *         a function of inspector returned.
 * @threads any
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_offline_inspect(const struct swk_offline_config *config,
                    const struct swk_storage_inspector *inspector,
                    struct swk_error *out_keys, struct swk_error *err);

/** What is brought into a new state. */
struct swk_offline_import {
    size_t size;         /**< sizeof(struct swk_offline_import). */
    const uint8_t *data; /**< An encoded swarmkit.v1.State. */
    size_t data_len;     /**< Bytes. */
    /** Where other nodes will reach the manager, "HOST:PORT". When it runs and
     *  advertises another one, that counts. NULL if it is sure to do so. */
    const char *address;
};

/** What came of an import. */
struct swk_offline_import_report {
    size_t size; /**< sizeof(struct swk_offline_import_report). */
    char node_id[SWK_ID_LEN_MAX + 1];  /**< The new manager's. */
    char swarm_id[SWK_ID_LEN_MAX + 1]; /**< The same as before. */
    uint64_t raft_id;                  /**< Its number as a member. */
    uint64_t objects_count;   /**< All that are there now. */
    uint64_t managers_count;  /**< Left out, and locked out. */
    uint64_t tasks_count;     /**< Left out: they ran on those. */
    int32_t locked;           /**< 1: it needs the swarm's unlock key. */
    uint32_t reserved;        /**< 0. */
};

/**
 * Makes the state of a manager that goes on with a swarm alone.
 *
 * The swarm keeps its ID, its CA and its join tokens, so that workers are
 * recognised: they and their tasks carry over. The manager is a new node with a
 * key and a certificate of its own, the only member of a new group. All
 * managers of before are left out, with the tasks on them, and their
 * certificates are locked out: they must not be started with their old state,
 * and may join anew. If the swarm locks its managers, the new key file is
 * locked by the same key.
 *
 * @param config      The state directory does not exist, or is empty. Made with
 *                    mode 0700, and there when all of it is. Its unlock_key
 *                    does not count. Not NULL.
 * @param import      *Borrowed for the call*; not NULL.
 * @param out_report  Its size is set by the caller, and filled no further; may
 *                    be NULL.
 * @param err         Receives the reason on failure; may be NULL.
 * @return 0; SWK_EEXIST if something is there; SWK_EMALFORMED for what is no
 *         state of a swarm; SWK_EPRECONDITION if it is redacted, or has no key
 *         of the CA; SWK_ENOTSUP for a later format; SWK_EDENIED; SWK_EIO;
 *         SWK_EINVAL; SWK_ENOMEM.
 * @threads any
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_offline_import(const struct swk_offline_config *config,
                   const struct swk_offline_import *import,
                   struct swk_offline_import_report *out_report,
                   struct swk_error *err);

SWK_END_DECLS

#endif

/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * Raft: the replicated log and its leader, as a machine without I/O.
 *
 * A member is told what happened (an event function) and says what must follow
 * (swk_raft_take_actions()); it never does it. Disk, network and clock belong
 * to the driver around it. One turn of a driver's loop:
 *
 *     swk_raft_propose(), swk_raft_persisted(), swk_raft_expire(), ...
 *     actions = swk_raft_take_actions(raft);
 *     in the order of the fields of struct swk_raft_actions:
 *         give hard state and entries to the storage, which reports the ticket
 *         later, on which the driver calls swk_raft_persisted();
 *         send the messages;
 *         if leadership was lost: stop what only the leader does;
 *         if a snapshot is wanted: take a view of the state as it is now, and
 *         call swk_raft_save_snapshot() when it goes to the storage;
 *         apply the committed entries, then call swk_raft_applied();
 *         if leadership was gained: start what only the leader does;
 *     until no action is due; then wait for the deadline or the next event.
 *
 * A member begins with swk_raft_new(); then come the swk_raft_restore_...()
 * calls with what the storage holds, in the order in which
 * swk_storage.load() finds it, and swk_raft_start().
 *
 * This release serves clusters of **one member**. It is elected at once, and an
 * entry is committed when the member's own storage has it. A configuration
 * with other members is refused with SWK_ENOTSUP, and so is a log that holds
 * changes of the membership. The interface is the one that several members
 * use: messages, their events and the timeouts of elections will be added to
 * it, nothing will be taken away.
 */

#ifndef SWARMKIT_RAFT_H
#define SWARMKIT_RAFT_H

#include <swarmkit/alloc.h>
#include <swarmkit/error.h>
#include <swarmkit/log.h>
#include <swarmkit/port/storage.h>
#include <swarmkit/types.h>

SWK_BEGIN_DECLS

/** One member's state machine. */
typedef struct swk_raft swk_raft;

/** Types of entries: raftpb.EntryType. */
enum swk_raft_entry_type {
    SWK_RAFT_ENTRY_NORMAL = 0,         /**< The application's; empty for the
                                            first entry of a leader. */
    SWK_RAFT_ENTRY_CONF_CHANGE = 1,    /**< A single change of membership. */
    SWK_RAFT_ENTRY_CONF_CHANGE_V2 = 2, /**< Changes of membership. */
};

/** What a member is at the moment. */
enum swk_raft_role {
    SWK_RAFT_FOLLOWER = 0,
    SWK_RAFT_CANDIDATE = 1,
    SWK_RAFT_LEADER = 2,
    SWK_RAFT_PRE_CANDIDATE = 3, /**< Not used by a sole member. */
};

/** Defaults of struct swk_raft_config. */
enum {
    /** 1.5 MiB of payload, and slack for what wraps it. */
    SWK_RAFT_ENTRY_SIZE_MAX = 1536 * 1024 + 4096,
    SWK_RAFT_UNCOMMITTED_SIZE_MAX = 64 * 1024 * 1024,
    SWK_RAFT_APPLY_SIZE_MAX = 1024 * 1024,
    SWK_RAFT_SNAPSHOT_INTERVAL = 10000,
    SWK_RAFT_SNAPSHOT_LOG_SIZE = 64 * 1024 * 1024,
    SWK_RAFT_ENTRIES_FOR_SLOW_FOLLOWERS = 500,
};

/** How to make a member. Zero stands for the default of a field. */
struct swk_raft_config {
    size_t size; /**< sizeof(struct swk_raft_config). */
    /** This member: 1 to 2^64-3; never used again for another. */
    uint64_t id;
    /** Seed of the generator for election timeouts. A sole member draws none.
     */
    uint64_t seed;
    /** Initial voters; NULL stands for this member alone. In this release
     *  nothing else is accepted. */
    const uint64_t *voters;
    size_t voters_count;             /**< Number of voters. */
    const struct swk_alloc *alloc;   /**< *Borrowed until* swk_raft_free(); NULL
                                          for malloc(). */
    const struct swk_logger *logger; /**< *Borrowed until* swk_raft_free();
                                          may be NULL. */
    uint64_t entry_size_max;         /**< Bytes of one entry's data. */
    uint64_t uncommitted_size_max;   /**< Bytes proposed and not yet applied. */
    uint64_t apply_size_max;    /**< Bytes given out and not yet applied. */
    uint64_t snapshot_interval; /**< Entries applied between snapshots. */
    uint64_t snapshot_log_size; /**< Bytes applied between snapshots. */
    /** Entries kept in memory behind a snapshot. */
    uint64_t entries_for_slow_followers;
};

/** A message for another member. */
struct swk_raft_message {
    uint64_t to;         /**< The member it is for. */
    const uint8_t *data; /**< An encoded raftpb.Message. */
    size_t data_len;     /**< Bytes. */
};

/**
 * What must follow, in this order. Pointers are *borrowed until* the next call
 * on the same member, swk_raft_take_actions() included; nothing is given out
 * twice.
 */
struct swk_raft_actions {
    size_t size; /**< sizeof(struct swk_raft_actions). */

    /** Persist: 0 if there is nothing to store. Else the following two go to
     *  swk_storage.append() with this ticket. Tickets ascend. */
    uint64_t persist_ticket;
    const struct swk_hard_state *hard_state; /**< NULL if it did not change. */
    const struct swk_log_entry *entries;     /**< To store. */
    size_t entries_count;                    /**< Number of entries. */

    /** Send; messages may leave at once. None in this release. */
    const struct swk_raft_message *messages;
    size_t messages_count; /**< Number of messages. */

    /** 1 if this member was announced as leader and is it no more. The outcome
     *  of what it proposed and did not see applied is unknown. */
    int32_t leadership_lost;
    /** 0, or why this member does nothing more, for good: enum
     *  swk_error_code. Said once; swk_raft_status() keeps it. */
    int32_t failure;

    /** 0, or the applied index of which a snapshot should be taken, before
     *  committed entries are applied. */
    uint64_t snapshot_wanted;

    /** Apply, in order, empty entries too, and call swk_raft_applied(). */
    const struct swk_log_entry *committed;
    size_t committed_count; /**< Number of committed. */

    /** 1 if this member is the leader and has applied every entry of earlier
     *  leaders: it may propose. */
    int32_t leadership_gained;
};

/** How a member stands. */
struct swk_raft_status {
    size_t size;             /**< sizeof(struct swk_raft_status), set by the
                                  caller. */
    uint64_t id;             /**< This member. */
    uint64_t term;           /**< Current term. */
    uint64_t vote;           /**< Voted for in term; 0 for none. */
    uint64_t leader;         /**< Known leader; 0 for none. */
    uint64_t committed;      /**< Highest committed index. */
    uint64_t applied;        /**< Highest applied index. */
    uint64_t durable;        /**< Highest index that the storage confirmed. */
    uint64_t first_index;    /**< Oldest entry in memory. */
    uint64_t last_index;     /**< Newest entry. */
    uint64_t snapshot_index; /**< Of the newest durable snapshot; 0 for none. */
    uint64_t uncommitted_size; /**< Bytes proposed and not yet applied. */
    uint64_t log_size;         /**< Bytes of entries' data in memory. */
    int32_t role;              /**< enum swk_raft_role. */
    int32_t announced;         /**< 1 between leadership gained and lost. */
    int32_t failure;           /**< 0, or why the member stopped for good. */
    int32_t reserved;          /**< 0. */
};

/**
 * Makes a member that knows nothing yet.
 *
 * @param config    Borrowed for the call; not NULL.
 * @param out_raft  Receives the member, *given*: swk_raft_free(); not NULL.
 * @param err       Receives the reason on failure; may be NULL.
 * @return 0; SWK_EINVAL for an id out of range or a NULL argument; SWK_ENOTSUP
 *         for voters other than this member alone, or a config of a newer
 *         library; SWK_ENOMEM.
 * @threads any
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_raft_new(const struct swk_raft_config *config,
                                        swk_raft **out_raft,
                                        struct swk_error *err);

/**
 * Releases a member.
 *
 * @param raft  May be NULL.
 * @threads one at a time
 * @since   0.1
 */
SWK_API void swk_raft_free(swk_raft *raft);

/**
 * Tells a member of its newest snapshot. First, if there is one.
 *
 * @param raft  Not started yet; not NULL.
 * @param meta  Copied; not NULL.
 * @param err   Receives the reason on failure; may be NULL.
 * @return 0; SWK_EPRECONDITION if called late or twice; SWK_ECORRUPT for a
 *         position that cannot be.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_raft_restore_snapshot(swk_raft *raft, const struct swk_snapshot_meta *meta,
                          struct swk_error *err);

/**
 * Tells a member its stored hard state, if there is one.
 *
 * @param raft   Not started yet; not NULL.
 * @param state  Copied; not NULL.
 * @param err    Receives the reason on failure; may be NULL.
 * @return 0; SWK_EPRECONDITION if called late or twice.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_raft_restore_hard_state(swk_raft *raft, const struct swk_hard_state *state,
                            struct swk_error *err);

/**
 * Tells a member of a stored entry; in order, from the one after the snapshot.
 *
 * @param raft   Not started yet; not NULL.
 * @param entry  Copied, with its data; not NULL.
 * @param err    Receives the reason on failure; may be NULL.
 * @return 0; SWK_EPRECONDITION if called late; SWK_ECORRUPT for an entry that
 *         does not follow the one before; SWK_ENOTSUP for a change of the
 *         membership; SWK_ENOMEM.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_raft_restore_entry(swk_raft *raft, const struct swk_log_entry *entry,
                       struct swk_error *err);

/**
 * Starts a member from what was restored, or from nothing.
 *
 * The driver then restores its own state from the snapshot; the entries after
 * it come as committed ones. A sole member campaigns at its next deadline,
 * which is now.
 *
 * @param raft  Not started yet; not NULL.
 * @param now   Monotonic time.
 * @param err   Receives the reason on failure; may be NULL.
 * @return 0; SWK_EPRECONDITION if it was started; SWK_ECORRUPT if what was
 *         restored contradicts itself, such as a commit beyond the last entry:
 *         the log lost entries that it had promised to keep.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_raft_start(swk_raft *raft, swk_time now,
                                          struct swk_error *err);

/**
 * Tells when to call swk_raft_expire() if nothing happens first.
 *
 * @param raft  Not NULL.
 * @return Monotonic time, or SWK_NEVER.
 * @threads one at a time
 * @since   0.1
 */
SWK_API swk_time swk_raft_deadline(const swk_raft *raft);

/**
 * Event: time has passed. Calling it early does nothing.
 *
 * @param raft  Started; not NULL.
 * @param now   Monotonic time; never less than before.
 * @param err   Receives the reason on failure; may be NULL.
 * @return 0; SWK_EPRECONDITION if not started; SWK_EIO after a failure.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_raft_expire(swk_raft *raft, swk_time now,
                                           struct swk_error *err);

/**
 * Event: the application proposes an entry.
 *
 * It is appended at once and stored by the next actions; proposals made before
 * these are taken go out together. Accepted does not mean committed: that is
 * known when the entry comes back as a committed one with the same term, and
 * unknown when leadership is lost first. What is refused is not in the log.
 *
 * @param raft       Started; not NULL.
 * @param data       Copied; NULL only if data_len is 0.
 * @param data_len   Bytes, up to entry_size_max.
 * @param out_index  Receives the entry's index; may be NULL.
 * @param err        Receives the reason on failure; may be NULL.
 * @return 0; SWK_ENOTLEADER; SWK_ELIMIT if the entry is too large;
 *         SWK_EUNAVAILABLE if too much is uncommitted: retry when entries were
 *         applied; SWK_EIO after a failure; SWK_ENOMEM. Except after 0 nothing
 *         has changed.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_raft_propose(swk_raft *raft, const void *data,
                                            size_t data_len,
                                            uint64_t *out_index,
                                            struct swk_error *err);

/**
 * Event: the storage reports that everything up to a ticket is durable.
 *
 * @param raft    Started; not NULL.
 * @param ticket  Of an action, or of swk_raft_save_snapshot(). One at or below
 *                an earlier one is ignored.
 * @param err     Receives the reason on failure; may be NULL.
 * @return 0; SWK_EINVAL for a ticket that was not given out; SWK_EIO after a
 *         failure.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_raft_persisted(swk_raft *raft, uint64_t ticket,
                                              struct swk_error *err);

/**
 * Event: the storage failed, or refused a write. The member gives up for good:
 * after a failed write nobody knows what is on the disk. The way back is a new
 * member, restored from what can be read.
 *
 * @param raft    Not NULL.
 * @param reason  Of the storage, *copied*; may be NULL.
 * @threads one at a time
 * @since   0.1
 */
SWK_API void swk_raft_storage_failed(swk_raft *raft,
                                     const struct swk_error *reason);

/**
 * Event: the application has applied all entries up to an index.
 *
 * @param raft   Started; not NULL.
 * @param index  Of an entry that was given out; a lower one than before is
 *               ignored.
 * @param err    Receives the reason on failure; may be NULL.
 * @return 0; SWK_EINVAL if entries up to there were not given out yet; SWK_EIO
 *         after a failure.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_raft_applied(swk_raft *raft, uint64_t index,
                                            struct swk_error *err);

/**
 * Event: the driver is about to give a snapshot to the storage.
 *
 * When its ticket is persisted, the member forgets the entries before it, but
 * for those that slow followers may need.
 *
 * @param raft        Started; not NULL.
 * @param index       An applied index, such as snapshot_wanted was; above that
 *                    of the newest snapshot.
 * @param out_meta    Receives what to hand to swk_storage.save_snapshot(); not
 *                    NULL.
 * @param out_ticket  Receives the ticket to hand to it; not NULL. Nothing else
 *                    may go to the storage in between.
 * @param err         Receives the reason on failure; may be NULL.
 * @return 0; SWK_EINVAL for an index that is not applied, or older than the
 *         newest snapshot; SWK_EBUSY while one is being saved; SWK_EIO after a
 *         failure.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_raft_save_snapshot(swk_raft *raft, uint64_t index,
                       struct swk_snapshot_meta *out_meta, uint64_t *out_ticket,
                       struct swk_error *err);

/**
 * Event: the snapshot that was wanted could not be made. It is wanted again
 * once more entries were applied.
 *
 * @param raft  Not NULL.
 * @threads one at a time
 * @since   0.1
 */
SWK_API void swk_raft_snapshot_abandoned(swk_raft *raft);

/**
 * Changes when snapshots are wanted; the cluster's settings may do so at any
 * time.
 *
 * @param raft      Not NULL.
 * @param interval  Entries between snapshots; 0 leaves it to the log's size.
 * @param entries_for_slow_followers  Entries kept in memory behind a snapshot.
 * @threads one at a time
 * @since   0.1
 */
SWK_API void
swk_raft_set_snapshot_interval(swk_raft *raft, uint64_t interval,
                               uint64_t entries_for_slow_followers);

/**
 * Gives what must be done because of all events so far.
 *
 * @param raft  Not NULL.
 * @return The actions, *borrowed until* the next call on this member.
 * @threads one at a time
 * @since   0.1
 */
SWK_API const struct swk_raft_actions *swk_raft_take_actions(swk_raft *raft);

/**
 * Tells the index that the next proposal will get.
 *
 * @param raft  Not NULL.
 * @return An index, or 0 if this member is not the leader.
 * @threads one at a time
 * @since   0.1
 */
SWK_API uint64_t swk_raft_next_index(const swk_raft *raft);

/**
 * Tells how a member stands.
 *
 * @param raft        Not NULL.
 * @param out_status  Its size is set by the caller, and filled no further; not
 *                    NULL.
 * @threads one at a time
 * @since   0.1
 */
SWK_API void swk_raft_status(const swk_raft *raft,
                             struct swk_raft_status *out_status);

SWK_END_DECLS

#endif

/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * Raft: the replicated log and its leader, as a machine without I/O.
 *
 * A member is told what happened (an event function) and says what must follow
 * (swk_raft_take_actions()); it never does it. Disk, network and clock belong
 * to the driver around it. One turn of a driver's loop:
 *
 *     swk_raft_propose(), swk_raft_step(), swk_raft_persisted(), ...
 *     actions = swk_raft_take_actions(raft);
 *     in the order of the fields of struct swk_raft_actions:
 *         finish a snapshot to install, then append hard state and entries to
 *         the storage, which reports their tickets later, on which the driver
 *         calls swk_raft_persisted();
 *         send the messages;
 *         if leadership was lost: stop what only the leader does;
 *         if a snapshot is wanted: take a view of the state as it is now,
 *         call swk_raft_begin_snapshot(), and give it to the storage part by
 *         part, with swk_raft_finish_snapshot() at the end;
 *         apply the committed entries: changes of membership by
 *         swk_raft_apply_conf_change(); then call swk_raft_applied();
 *         answer the reads whose index is applied;
 *         if leadership was gained: start what only the leader does;
 *     until no action is due; then wait for the deadline or the next event.
 *
 * A member begins with swk_raft_new(); then come the swk_raft_restore_...()
 * calls with what the storage holds, in the order in which
 * swk_storage.load() finds it, or swk_raft_bootstrap() for the first member of
 * a new group, and swk_raft_start(). A member that joins a group starts from
 * nothing: the leader sends it everything once it was added.
 *
 * Messages, and parts of a message, are borrowed structs; <raft_message.h>
 * turns them into bytes and back.
 *
 * Snapshots travel beside the messages. When a message of type
 * SWK_RAFT_MSG_SNAP is to be sent, the driver reads the snapshot of that place
 * from its storage, sends it with the message, part by part, and says how it
 * went with swk_raft_report_snapshot(). The receiving driver writes the parts
 * to its storage, and calls swk_raft_step() with the message when it has them
 * all; if the member takes the snapshot, its next actions say `install`.
 */

#ifndef SWARMKIT_RAFT_H
#define SWARMKIT_RAFT_H

#include <swarmkit/alloc.h>
#include <swarmkit/error.h>
#include <swarmkit/log.h>
#include <swarmkit/port/storage.h>
#include <swarmkit/raft_message.h>
#include <swarmkit/types.h>

SWK_BEGIN_DECLS

/** One member's state machine. */
typedef struct swk_raft swk_raft;

/** Types of entries: raftpb.EntryType. */
enum swk_raft_entry_type {
    SWK_RAFT_ENTRY_NORMAL = 0,         /**< The application's; empty for the
                                            first entry of a leader. */
    SWK_RAFT_ENTRY_CONF_CHANGE = 1,    /**< A raftpb.ConfChange. */
    SWK_RAFT_ENTRY_CONF_CHANGE_V2 = 2, /**< A raftpb.ConfChangeV2; empty to
                                            leave a joint configuration. */
};

/** What a member is at the moment. */
enum swk_raft_role {
    SWK_RAFT_FOLLOWER = 0,
    SWK_RAFT_CANDIDATE = 1,
    SWK_RAFT_LEADER = 2,
    SWK_RAFT_PRE_CANDIDATE = 3,
};

/** Defaults and limits of struct swk_raft_config. */
enum {
    SWK_RAFT_TICK_MS = 100,
    SWK_RAFT_HEARTBEAT_TICKS = 1,
    SWK_RAFT_ELECTION_TICKS = 5,
    /** 1.5 MiB of payload, and slack for what wraps it. */
    SWK_RAFT_ENTRY_SIZE_MAX = 1536 * 1024 + 4096,
    SWK_RAFT_MESSAGE_SIZE_MAX = 64 * 1024,
    SWK_RAFT_MESSAGE_ENTRIES_MAX = 1024,
    SWK_RAFT_INFLIGHT_MESSAGES_MAX = 256,
    SWK_RAFT_INFLIGHT_SIZE_MAX = 16 * 1024 * 1024,
    SWK_RAFT_UNCOMMITTED_SIZE_MAX = 64 * 1024 * 1024,
    SWK_RAFT_APPLY_SIZE_MAX = 1024 * 1024,
    SWK_RAFT_PENDING_READS_MAX = 65536,
    SWK_RAFT_READ_CONTEXT_SIZE_MAX = 64,
    SWK_RAFT_SNAPSHOT_INTERVAL = 10000,
    SWK_RAFT_SNAPSHOT_LOG_SIZE = 64 * 1024 * 1024,
    SWK_RAFT_ENTRIES_FOR_SLOW_FOLLOWERS = 500,
    SWK_RAFT_PROMOTE_GAP = 1000,   /**< Entries a learner may lack. */
    SWK_RAFT_PROMOTE_ROUNDS = 10,  /**< Rounds it may need to catch up. */
    SWK_RAFT_VOTERS_MAX = 15,      /**< Of one configuration. */
    SWK_RAFT_MEMBERS_MAX = 255,    /**< With learners. */
    SWK_RAFT_CHANGES_MAX = 64,     /**< In one change of membership. */
};

/** Bits of swk_raft_config.flags. */
enum swk_raft_flag {
    SWK_RAFT_NO_PRE_VOTE = 1 << 0,
    SWK_RAFT_NO_CHECK_QUORUM = 1 << 1,
    /** A leader that was removed goes on until another is elected. */
    SWK_RAFT_NO_STEP_DOWN_ON_REMOVAL = 1 << 2,
    /** Reads rely on clocks that run alike instead of asking a quorum. */
    SWK_RAFT_LEASE_READS = 1 << 3,
    /** A follower hands proposals to the leader: they may be lost or doubled
     *  without a trace. */
    SWK_RAFT_FORWARD_PROPOSALS = 1 << 4,
    /** The application orders changes of membership itself. Dangerous. */
    SWK_RAFT_NO_CONF_CHANGE_VALIDATION = 1 << 5,
};

/** How to make a member. Zero stands for the default of a field. */
struct swk_raft_config {
    size_t size; /**< sizeof(struct swk_raft_config). */
    /** This member: 1 to 2^64-3; never used again for another. */
    uint64_t id;
    /** Seed of the generator for election timeouts; different for each
     *  member. */
    uint64_t seed;
    const struct swk_alloc *alloc;   /**< *Borrowed until* swk_raft_free(); NULL
                                          for malloc(). */
    const struct swk_logger *logger; /**< *Borrowed until* swk_raft_free();
                                          may be NULL. */
    uint32_t flags;               /**< enum swk_raft_flag. */
    uint32_t heartbeat_ticks;     /**< Between heartbeats of a leader. */
    uint32_t election_ticks;      /**< A follower waits for a leader for this
                                       to twice as many; more than
                                       heartbeat_ticks. */
    uint32_t lease_margin_ticks;  /**< Taken off a lease; less than
                                       election_ticks. */
    swk_time tick_ns;             /**< Length of a tick, at least 1 ms. */
    /** Ticks that an append may take before a leader hands over, and a
     *  follower stops granting votes; 0: twice election_ticks, UINT32_MAX:
     *  any. */
    uint32_t storage_stall_ticks;
    /** Ticks without a report after which a snapshot's transfer is taken for
     *  failed; 0: ten times election_ticks. */
    uint32_t snapshot_stall_ticks;
    uint64_t entry_size_max;         /**< Bytes of one entry's data. */
    uint64_t message_size_max;       /**< Bytes of entries in a message; one is
                                          always sent. */
    uint32_t message_entries_max;    /**< Entries in a message. */
    uint32_t inflight_messages_max;  /**< Appends to one member under way. */
    uint64_t inflight_size_max;      /**< Bytes of them. */
    uint64_t uncommitted_size_max;   /**< Bytes proposed and not yet applied. */
    uint64_t apply_size_max;    /**< Bytes given out and not yet applied. */
    uint32_t pending_reads_max; /**< Reads that wait for an answer. */
    uint32_t reserved;          /**< 0. */
    uint64_t snapshot_interval; /**< Entries applied between snapshots. */
    uint64_t snapshot_log_size; /**< Bytes applied between snapshots. */
    /** Entries kept in memory behind a snapshot. */
    uint64_t entries_for_slow_followers;
    uint32_t promote_gap;    /**< Entries that a learner which counts as caught
                                  up may lack. */
    uint32_t promote_rounds; /**< In which it has to catch up: each sends what
                                  came in while the one before ran. */
};

/** Single changes of membership: raftpb.ConfChangeType. */
enum swk_raft_change_type {
    SWK_RAFT_ADD_VOTER = 0,
    SWK_RAFT_REMOVE = 1,
    SWK_RAFT_UPDATE = 2, /**< Changes nothing but what context says. */
    SWK_RAFT_ADD_LEARNER = 3,
};

/** How to go from one configuration to the next:
 *  raftpb.ConfChangeTransition. */
enum swk_raft_transition {
    SWK_RAFT_TRANSITION_AUTO = 0, /**< Joint if there are several changes. */
    SWK_RAFT_TRANSITION_JOINT_IMPLICIT = 1, /**< Joint, left by itself. */
    SWK_RAFT_TRANSITION_JOINT_EXPLICIT = 2, /**< Joint, left by a change
                                                 without changes. */
};

/** One change to one member. */
struct swk_raft_change {
    int32_t type;      /**< enum swk_raft_change_type. */
    uint32_t reserved; /**< 0. */
    uint64_t id;       /**< The member. */
};

/** A change of membership. No change at all leaves a joint configuration. */
struct swk_raft_conf_change {
    size_t size;        /**< sizeof(struct swk_raft_conf_change). */
    int32_t transition; /**< enum swk_raft_transition. */
    uint32_t reserved;  /**< 0. */
    const struct swk_raft_change *changes;
    size_t changes_count;   /**< Up to SWK_RAFT_CHANGES_MAX. */
    const uint8_t *context; /**< The application's own; may be NULL. */
    size_t context_len;     /**< Bytes, up to entry_size_max. */
};

/** A read whose index is known: it sees every write that was acknowledged
 *  before it was asked for, once that index is applied. */
struct swk_raft_read {
    uint64_t index;
    const uint8_t *context; /**< As given to swk_raft_read_index(). */
    size_t context_len;
};

/**
 * What must follow, in this order. Pointers are *borrowed until* the next call
 * on the same member, swk_raft_take_actions() included, but for those that
 * belong to carrying them out: swk_raft_begin_snapshot() and
 * swk_raft_apply_conf_change(); and those that only tell something. Nothing is
 * given out twice.
 */
struct swk_raft_actions {
    size_t size; /**< sizeof(struct swk_raft_actions). */

    /** NULL, or a received snapshot that takes the place of the log: finish it
     *  in the storage (install 1) with install_ticket. The application's state
     *  is restored from it before swk_raft_persisted() is told so. */
    const struct swk_snapshot_meta *install;
    uint64_t install_ticket; /**< 0 if install is NULL. */

    /** Persist: 0 if there is nothing to append. Else the following two go to
     *  swk_storage.append() with this ticket. */
    uint64_t persist_ticket;
    const struct swk_hard_state *hard_state; /**< NULL if it did not change. */
    const struct swk_log_entry *entries;     /**< To store; they replace those
                                                  from the first index on. */
    size_t entries_count;                    /**< Number of entries. */

    /** Send; messages may leave at once. */
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

    /** Reads whose index is known. */
    const struct swk_raft_read *reads;
    size_t reads_count; /**< Number of reads. */

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
    uint64_t transfer_target;  /**< Leadership is being handed to; 0: nobody. */
    /** 0, or the index up to which the leader must send what this member's
     *  storage lost before it votes and acknowledges again. */
    uint64_t recovering;
    /** Ticks since a leader was last known; 0 while one is. */
    uint64_t leaderless_ticks;
    int32_t role;              /**< enum swk_raft_role. */
    int32_t announced;         /**< 1 between leadership gained and lost. */
    int32_t failure;           /**< 0, or why the member stopped for good. */
    int32_t voter;             /**< 1 if this member votes. */
};

/** How a leader's copying to a member goes on. */
enum swk_raft_peer_state {
    SWK_RAFT_PROBE = 0,     /**< Where its log matches is being found out. */
    SWK_RAFT_REPLICATE = 1, /**< Entries flow. */
    SWK_RAFT_SNAPSHOT = 2,  /**< It needs a snapshot first. */
};

/** A member as this one knows it. Beyond id and learner only a leader knows
 *  anything. */
struct swk_raft_peer {
    uint64_t id;
    uint64_t match;            /**< Highest index known to be durable there. */
    uint64_t next;             /**< Next index to send. */
    uint64_t pending_snapshot; /**< Index of the snapshot that it is sent. */
    int32_t state;             /**< enum swk_raft_peer_state. */
    int32_t active; /**< 1 if it was heard of in the last election timeout. */
    int32_t learner; /**< 1 if it has no vote. */
    int32_t caught_up; /**< 1 if a learner may be made a voter. */
};

/**
 * Makes a member that knows nothing yet.
 *
 * @param config    Borrowed for the call; not NULL.
 * @param out_raft  Receives the member, *given*: swk_raft_free(); not NULL.
 * @param err       Receives the reason on failure; may be NULL.
 * @return 0; SWK_EINVAL for a value out of range or a NULL argument;
 *         SWK_ENOTSUP for a config of a newer library; SWK_ENOMEM.
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
 *         position that cannot be; SWK_ENOMEM.
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
 *         does not follow the one before; SWK_ENOMEM.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_raft_restore_entry(swk_raft *raft, const struct swk_log_entry *entry,
                       struct swk_error *err);

/**
 * Tells a member that its storage lost entries which it may have acknowledged.
 *
 * Until the leader has sent everything up to there again, the member neither
 * votes nor campaigns nor acknowledges.
 *
 * @param raft          Not started yet; not NULL.
 * @param acknowledged  The highest index that it may have acknowledged.
 * @param err           Receives the reason on failure; may be NULL.
 * @return 0; SWK_EPRECONDITION if called late.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_raft_restore_lost(swk_raft *raft,
                                                 uint64_t acknowledged,
                                                 struct swk_error *err);

/**
 * Begins a new group: its first entries add the members, and are committed.
 *
 * Members of one group must all be started alike: either one bootstraps alone
 * and the others join, or all bootstrap with the same list.
 *
 * @param raft     Not started yet, nothing restored; not NULL.
 * @param members  Borrowed for the call: one change of type SWK_RAFT_ADD_VOTER
 *                 with its context for each member, in the order of the
 *                 entries; not NULL.
 * @param members_count  At least 1.
 * @param err      Receives the reason on failure; may be NULL.
 * @return 0; SWK_EPRECONDITION if called late, or something was restored;
 *         SWK_EINVAL for changes of another kind; SWK_ENOMEM.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_raft_bootstrap(swk_raft *raft, const struct swk_raft_conf_change *members,
                   size_t members_count, struct swk_error *err);

/**
 * Starts a member from what was restored, or from nothing.
 *
 * The driver then restores its own state from the snapshot; the entries after
 * it come as committed ones. A sole voter campaigns at its next deadline,
 * which is now, as soon as its configuration is applied.
 *
 * @param raft  Not started yet; not NULL.
 * @param now   Monotonic time.
 * @param err   Receives the reason on failure; may be NULL.
 * @return 0; SWK_EPRECONDITION if it was started; SWK_ECORRUPT if what was
 *         restored contradicts itself, such as a commit beyond the last entry:
 *         the log lost entries that it had promised to keep; SWK_ENOMEM.
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
 *         SWK_EUNAVAILABLE if too much is uncommitted, or leadership is being
 *         handed over: retry when entries were applied; SWK_EIO after a
 *         failure; SWK_ENOMEM. Except after 0 nothing has changed.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_raft_propose(swk_raft *raft, const void *data,
                                            size_t data_len,
                                            uint64_t *out_index,
                                            struct swk_error *err);

/**
 * Event: a message from another member has arrived.
 *
 * Whatever it says is checked; what cannot be is dropped and counted.
 *
 * @param raft     Started; not NULL.
 * @param message  *Borrowed* for the call; not NULL.
 * @param err      Receives the reason on failure; may be NULL.
 * @return 0, also for a message that is of no use, or that is dropped for want
 *         of memory; SWK_EINVAL for one that no member sends, which changed
 *         nothing; SWK_EIO after a failure.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_raft_step(swk_raft *raft, const struct swk_raft_message *message,
              struct swk_error *err);

/**
 * Event: the application proposes a change of membership.
 *
 * One at a time: while another is not applied, or when it does not fit the
 * configuration, an empty entry takes its place in the log; that is told by
 * SWK_EPRECONDITION, and no change will follow. It takes effect when it is
 * applied.
 *
 * A leader that is removed, or demoted, leads no more from then on. One that
 * hands over first (swk_raft_transfer()), and leaves its removal to the next
 * leader, spares the group an election.
 *
 * @param raft       Started; not NULL.
 * @param change     Borrowed for the call; not NULL.
 * @param out_index  Receives the entry's index; may be NULL.
 * @param err        Receives the reason on failure; may be NULL.
 * @return 0; SWK_ENOTLEADER; SWK_EPRECONDITION as above; SWK_EINVAL for a
 *         malformed change, or one beyond the limits; SWK_EUNAVAILABLE as for
 *         swk_raft_propose(); SWK_EIO after a failure; SWK_ENOMEM.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_raft_propose_conf_change(swk_raft *raft,
                             const struct swk_raft_conf_change *change,
                             uint64_t *out_index, struct swk_error *err);

/**
 * Event: a committed change of membership is applied. Exactly once for each
 * committed entry of a type other than SWK_RAFT_ENTRY_NORMAL, in the order of
 * the log.
 *
 * @param raft   Started; not NULL.
 * @param entry  As given out; not NULL.
 * @param reject 1: the application refuses it, as it does on every member;
 *               nothing changes.
 * @param err    Receives the reason on failure; may be NULL.
 * @return 0; SWK_EINVAL if it was not given out or comes twice; SWK_EIO after a
 *         failure, a change that cannot be applied included; SWK_ENOMEM.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_raft_apply_conf_change(swk_raft *raft, const struct swk_log_entry *entry,
                           int32_t reject, struct swk_error *err);

/**
 * Reads the payload of an entry that changes the membership.
 *
 * @param entry       Of a type other than SWK_RAFT_ENTRY_NORMAL; not NULL.
 * @param changes     Receives the single changes; room for
 *                    SWK_RAFT_CHANGES_MAX; not NULL.
 * @param out_change  Receives the change, pointing at changes and at the
 *                    entry's data; not NULL.
 * @param err         Receives the reason on failure; may be NULL.
 * @return 0; SWK_EINVAL for an entry of another type, or that is malformed.
 * @threads any
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_raft_read_conf_change(const struct swk_log_entry *entry,
                          struct swk_raft_change *changes,
                          struct swk_raft_conf_change *out_change,
                          struct swk_error *err);

/**
 * Asks for an index at which a read is linearizable. It comes as an action; or
 * never, if leadership or messages are lost: give it a deadline, and ask anew.
 *
 * @param raft         Started; not NULL.
 * @param context      Copied; unique among all reads of this member, also
 *                     those before a restart; not NULL.
 * @param context_len  1 to SWK_RAFT_READ_CONTEXT_SIZE_MAX.
 * @param err          Receives the reason on failure; may be NULL.
 * @return 0; SWK_ENOTLEADER if no leader is known; SWK_EUNAVAILABLE if too
 *         many wait; SWK_EINVAL; SWK_EIO after a failure; SWK_ENOMEM.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_raft_read_index(swk_raft *raft,
                                               const void *context,
                                               size_t context_len,
                                               struct swk_error *err);

/**
 * Event: somebody wants this member to start an election now.
 *
 * @param raft  Started; not NULL.
 * @param err   Receives the reason on failure; may be NULL.
 * @return 0, also when it may not campaign; SWK_EIO after a failure;
 *         SWK_ENOMEM.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_raft_campaign(swk_raft *raft,
                                             struct swk_error *err);

/**
 * Hands leadership over. Proposals are refused meanwhile; after an election
 * timeout the leader goes on if it still leads.
 *
 * @param raft    Started; not NULL.
 * @param target  The voter to lead, or 0 for the one whose log is longest, and
 *                of these for the one of the highest priority.
 * @param err     Receives the reason on failure; may be NULL.
 * @return 0; SWK_ENOTLEADER; SWK_ENOTFOUND if there is no such voter, or none
 *         that is active; SWK_EIO after a failure; SWK_ENOMEM.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_raft_transfer(swk_raft *raft, uint64_t target,
                                             struct swk_error *err);

/**
 * Gives a voter precedence in elections.
 *
 * Of voters that could as well be leader, the one of the highest priority shall
 * be: others wait for it one election timeout longer, and it holds their
 * elections up once. It never delays one for longer than two timeouts, and a
 * longer log counts for more. It is an attribute of the member, so that every
 * member should be told the same, once it has applied the change that says so;
 * the library forgets it when the member is removed, and at a restart.
 *
 * @param raft      Started; not NULL.
 * @param id        The member.
 * @param priority  The higher, the rather; 0 at first.
 * @param err       Receives the reason on failure; may be NULL.
 * @return 0; SWK_ENOTFOUND if it is no member, as of the applied index; SWK_EIO
 *         after a failure.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_raft_set_priority(swk_raft *raft, uint64_t id,
                                                 int32_t priority,
                                                 struct swk_error *err);

/**
 * Event: it is known from elsewhere that the leader is gone: this member may
 * vote for another before its election timeout has passed.
 *
 * @param raft  Started; not NULL.
 * @param err   Receives the reason on failure; may be NULL.
 * @return 0; SWK_EPRECONDITION with SWK_RAFT_LEASE_READS; SWK_EIO after a
 *         failure; SWK_ENOMEM.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_raft_forget_leader(swk_raft *raft,
                                                  struct swk_error *err);

/**
 * Event: a message could not be sent to a member.
 *
 * @param raft  Started; not NULL.
 * @param id    The member; unknown ones are ignored.
 * @threads one at a time
 * @since   0.1
 */
SWK_API void swk_raft_report_unreachable(swk_raft *raft, uint64_t id);

/**
 * Event: sending a snapshot to a member has ended.
 *
 * @param raft  Started; not NULL.
 * @param id    The member; unknown ones are ignored.
 * @param ok    1 if it has it, 0 if that failed.
 * @threads one at a time
 * @since   0.1
 */
SWK_API void swk_raft_report_snapshot(swk_raft *raft, uint64_t id, int32_t ok);

/**
 * Event: sending a snapshot to a member goes on. Without a word for
 * snapshot_stall_ticks it is taken for failed.
 *
 * @param raft  Started; not NULL.
 * @param id    The member; unknown ones are ignored.
 * @threads one at a time
 * @since   0.1
 */
SWK_API void swk_raft_snapshot_alive(swk_raft *raft, uint64_t id);

/**
 * Event: the storage reports that everything up to a ticket is durable.
 *
 * @param raft    Started; not NULL.
 * @param ticket  Of an action, or of swk_raft_finish_snapshot(). One at or
 *                below an earlier one is ignored.
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
 * @return 0; SWK_EINVAL if entries up to there were not given out yet, or a
 *         change of membership among them was not applied; SWK_EIO after a
 *         failure; SWK_ENOMEM: nothing has changed, tell it again.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_raft_applied(swk_raft *raft, uint64_t index,
                                            struct swk_error *err);

/**
 * Event: the driver begins to make a snapshot of its state.
 *
 * Entries may be applied while it is made: it stays one of the state as it was.
 *
 * @param raft      Started; not NULL.
 * @param out_meta  Receives what to hand to swk_storage.begin_snapshot(): the
 *                  applied index, its term, and the members as of it; *borrowed
 *                  until* the next call on this member; not NULL.
 * @param err       Receives the reason on failure; may be NULL.
 * @return 0; SWK_EBUSY while another is made, or a received one is installed;
 *         SWK_EPRECONDITION if nothing was applied since the newest one;
 *         SWK_EIO after a failure; SWK_ENOMEM.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_raft_begin_snapshot(swk_raft *raft, struct swk_snapshot_meta *out_meta,
                        struct swk_error *err);

/**
 * Event: the snapshot that was begun is complete.
 *
 * When its ticket is persisted, the member forgets the entries before it, but
 * for those that slow followers may need.
 *
 * @param raft        Started; not NULL.
 * @param out_ticket  Receives the ticket to hand to
 *                    swk_storage.finish_snapshot() with install 0; not NULL.
 *                    Nothing else may go to the storage in between.
 * @param err         Receives the reason on failure; may be NULL.
 * @return 0; SWK_EPRECONDITION if none was begun, or a received one overtook
 *         it: give it up in the storage; SWK_EIO after a failure; SWK_ENOMEM.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_raft_finish_snapshot(swk_raft *raft,
                                                    uint64_t *out_ticket,
                                                    struct swk_error *err);

/**
 * Event: the snapshot that was wanted, or begun, could not be made. It is
 * wanted again once more entries were applied.
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
 * Tells of every member of the configuration, this one included, in ascending
 * order of their IDs.
 *
 * @param raft   Not NULL.
 * @param peers  Receives up to count of them; may be NULL if count is 0.
 * @param count  Room.
 * @return The number of members, which may be more than count.
 * @threads one at a time
 * @since   0.1
 */
SWK_API size_t swk_raft_peers(const swk_raft *raft, struct swk_raft_peer *peers,
                              size_t count);

/**
 * Tells the configuration as of the applied index.
 *
 * @param raft       Not NULL.
 * @param out_state  Receives it, *borrowed until* the next call on this
 *                   member; not NULL.
 * @threads one at a time
 * @since   0.1
 */
SWK_API void swk_raft_conf_state(const swk_raft *raft,
                                 struct swk_conf_state *out_state);

/**
 * Tells whether a change would leave a quorum of active voters, in the new
 * configuration and in the joint one on the way.
 *
 * @param raft          Not NULL.
 * @param change        Borrowed for the call; not NULL.
 * @param active        IDs of the members that can be reached, in ascending
 *                      order; this one counts as one.
 * @param active_count  Number of active.
 * @return 1 if it would; 0 if not, or if the change does not fit.
 * @threads one at a time
 * @since   0.1
 */
SWK_API int swk_raft_keeps_quorum(const swk_raft *raft,
                                  const struct swk_raft_conf_change *change,
                                  const uint64_t *active, size_t active_count);

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

/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The raft state machine of one member: told one event, it changes its state
 * and collects what must follow. No I/O, no clock, no storage behind it: it
 * holds the whole log from its last compaction on in memory.
 *
 * A member begins with swki_machine_new(), the restore functions or
 * swki_machine_bootstrap(), and swki_machine_start(). Then events go in, and
 * swki_machine_take_ready() gives out what must be stored, sent and applied.
 *
 * There are two modes. In the synchronous one a Ready is followed by
 * swki_machine_advance() when everything in it is stored and applied. In the
 * asynchronous one several may be under way: a driver keeps the responses of
 * an append (Ready.responses) and delivers them when it is durable, those to
 * this member by swki_machine_step(); what was applied is told by
 * swki_machine_applied().
 *
 * Messages are struct swk_raft_message, with the further kinds listed here.
 *
 * Every call that returns int gives 0 or a negative enum swk_error_code;
 * SWK_ENOMEM always means that nothing has changed, SWK_EIO that the member
 * has failed for good (section 1, "fail stop"; swki_machine_failure()).
 */

#ifndef SWKI_CORE_RAFT_MACHINE_H
#define SWKI_CORE_RAFT_MACHINE_H

#include <stdbool.h>

#include <swarmkit/alloc.h>
#include <swarmkit/error.h>
#include <swarmkit/port/storage.h>
#include <swarmkit/raft.h>

struct swki_raft_configuration;
struct swki_raft_progress;
struct swki_snapshot_copy;

/* -- Vocabulary ------------------------------------------------------------ */

/* Types of messages beside enum swk_raft_message_type; these never leave a
 * member. */
enum swki_machine_message_type {
    SWKI_MACHINE_HUP = 0,
    SWKI_MACHINE_BEAT = 1,
    SWKI_MACHINE_UNREACHABLE = 10,
    SWKI_MACHINE_SNAP_STATUS = 11,
    SWKI_MACHINE_CHECK_QUORUM = 12,
    SWKI_MACHINE_STORAGE_APPEND = 19,
    SWKI_MACHINE_STORAGE_APPEND_RESP = 20,
    SWKI_MACHINE_STORAGE_APPLY = 21,
    SWKI_MACHINE_STORAGE_APPLY_RESP = 22,
    SWKI_MACHINE_FORGET_LEADER = 23,
};

/* Who the storage messages are to and from. */
#define SWKI_MACHINE_APPEND_THREAD UINT64_MAX
#define SWKI_MACHINE_APPLY_THREAD (UINT64_MAX - 1)

enum {
    SWKI_MACHINE_READ_CONTEXT_MAX = SWK_RAFT_READ_CONTEXT_SIZE_MAX,
};

enum swki_machine_flag {
    SWKI_MACHINE_PRE_VOTE = 1 << 0,
    SWKI_MACHINE_CHECK_QUORUM_ON = 1 << 1,
    SWKI_MACHINE_STEP_DOWN_ON_REMOVAL = 1 << 2,
    SWKI_MACHINE_LEASE_READS = 1 << 3,
    SWKI_MACHINE_FORWARD_PROPOSALS = 1 << 4,
    SWKI_MACHINE_NO_CONF_CHANGE_VALIDATION = 1 << 5,
    SWKI_MACHINE_ASYNC = 1 << 6,
    /* Appends to one member that wait to be given out become one message, as
     * far as its size allows (R-PRO-6). */
    SWKI_MACHINE_COALESCE = 1 << 7,
    /* A leader that steps down on its removal tells another to campaign. */
    SWKI_MACHINE_NAME_SUCCESSOR = 1 << 8,
};

/* Why a message from the network was dropped (R-MSG-7), or was out of order
 * in a way that operators should hear of; counted per reason. */
enum swki_machine_reject {
    SWKI_MACHINE_REJECT_KIND = 0,       /* unknown, or local */
    SWKI_MACHINE_REJECT_ADDRESS,        /* to, from */
    SWKI_MACHINE_REJECT_NOT_MEMBER,     /* a stranger answers, or rules */
    SWKI_MACHINE_REJECT_ENTRIES,        /* not contiguous, terms, types */
    SWKI_MACHINE_REJECT_SIZE,           /* over a limit */
    SWKI_MACHINE_REJECT_SNAPSHOT,       /* position or configuration */
    SWKI_MACHINE_REJECT_HINT,           /* of a refused append */
    SWKI_MACHINE_REJECT_CONTEXT,
    SWKI_MACHINE_REJECT_CHANGE,         /* payload that changes membership */
    SWKI_MACHINE_REJECT_TERM,           /* 0, or beyond all limits */
    SWKI_MACHINE_REJECT_TWO_LEADERS,    /* of one term (R-MSG-6): an alarm */
    SWKI_MACHINE_REJECT_CONFLICT,       /* with a committed entry */
    SWKI_MACHINE_REJECT_INDEX,          /* that cannot be */
    SWKI_MACHINE_REJECT_NOMEM,          /* no memory to handle it */
    SWKI_MACHINE_REJECTS,
};

/* -- Trace ----------------------------------------------------------------- */

/* What happened, in the order in which it happens. Behind each: the fields
 * that are set beside kind, id (this member) and term (its current one). */
enum swki_machine_trace_kind {
    /* Lifecycle and roles. */
    SWKI_TRACE_CONFIGURATION, /* configuration */
    SWKI_TRACE_BECAME,        /* role */
    SWKI_TRACE_STARTED, /* configuration, commit, applied, index, log_term: of
                           the last entry */

    /* Elections. message_type: of the request or response. */
    SWKI_TRACE_ELECTION,     /* before the change of role */
    SWKI_TRACE_VOTE_SENT,    /* message_type, peer, index, log_term: own last */
    SWKI_TRACE_VOTE_RECEIVED, /* message_type, peer, reject */
    SWKI_TRACE_VOTE_COUNT,   /* message_type, granted, refused */
    SWKI_TRACE_HIGHER_TERM,  /* message_type, peer, message_term */
    SWKI_TRACE_LOWER_TERM,   /* message_type, peer, message_term */
    SWKI_TRACE_VOTE_CAST,    /* message_type, peer, index, log_term: own last;
                                vote: before; message_index,
                                message_log_term */
    SWKI_TRACE_VOTE_REFUSED, /* the same */
    SWKI_TRACE_VOTE_IN_LEASE, /* the same, and ticks: remaining */
    SWKI_TRACE_UNPROMOTABLE,
    SWKI_TRACE_PENDING_CHANGES, /* no campaign before they are applied */
    SWKI_TRACE_ALREADY_LEADER,  /* no campaign */
    SWKI_TRACE_QUORUM_LOST,     /* stepped down */
    SWKI_TRACE_FORGET_LEADER,   /* peer: the leader */
    SWKI_TRACE_FORGET_LEADER_IN_LEASE_MODE, /* refused */

    /* Replication and log. */
    SWKI_TRACE_APPEND_REFUSED,  /* peer, message_index, message_log_term;
                                   log_term: own one there or 0 */
    SWKI_TRACE_APPEND_REJECTED, /* peer, message_index, hint,
                                   message_log_term */
    SWKI_TRACE_PROGRESS_DECREASED, /* peer, progress */
    SWKI_TRACE_CONFLICT,           /* index, log_term: existing one;
                                      message_log_term: conflicting one */
    SWKI_TRACE_UNSTABLE_REPLACED,  /* index */
    SWKI_TRACE_UNSTABLE_TRUNCATED, /* index */
    SWKI_TRACE_STABLE_MISSING,     /* index */
    SWKI_TRACE_STABLE_SNAPSHOT,    /* index */
    SWKI_TRACE_STABLE_MISMATCHED,  /* index, message_log_term: acknowledged
                                      term; log_term: own */
    SWKI_TRACE_STABLE_OLD_TERM,    /* message_term */
    SWKI_TRACE_UNREACHABLE,        /* peer, progress after */
    SWKI_TRACE_NO_PROGRESS,        /* peer */
    SWKI_TRACE_UNCOMMITTED_LIMIT,  /* a proposal is dropped */
    SWKI_TRACE_PROPOSAL_NO_LEADER, /* likewise */
    SWKI_TRACE_PROPOSAL_NOT_FORWARDED, /* likewise; peer: the leader */

    /* Snapshots. index, log_term: of the snapshot. */
    SWKI_TRACE_SNAPSHOT_PEER_INACTIVE, /* peer */
    SWKI_TRACE_SNAPSHOT_SENT,          /* peer, progress before, first, commit,
                                          index, log_term */
    SWKI_TRACE_SNAPSHOT_PAUSED,        /* peer, progress after */
    SWKI_TRACE_SNAPSHOT_RESTORING,     /* index, log_term, commit, applied,
                                          applying, offset,
                                          offset_in_progress, count */
    SWKI_TRACE_SNAPSHOT_RESTORED_LOG,  /* index, log_term, commit, last,
                                          last_term */
    SWKI_TRACE_SNAPSHOT_RESTORED,      /* index, log_term, commit */
    SWKI_TRACE_SNAPSHOT_FAST_FORWARD,  /* index, log_term, commit, last,
                                          last_term */
    SWKI_TRACE_SNAPSHOT_IGNORED,       /* index, log_term, commit */
    SWKI_TRACE_SNAPSHOT_RECOVERED, /* by an acknowledgement; peer, progress
                                      before */
    SWKI_TRACE_SNAPSHOT_SUCCEEDED, /* by report; peer, progress after */
    SWKI_TRACE_SNAPSHOT_FAILED,    /* by report; peer, progress after */

    /* Membership and transfer. */
    SWKI_TRACE_CHANGE_REFUSED,  /* change, configuration, refusal, index:
                                   pending one, applied */
    SWKI_TRACE_AUTO_LEAVE,         /* configuration */
    SWKI_TRACE_AUTO_LEAVE_DROPPED, /* configuration */
    SWKI_TRACE_TRANSFER_STARTED,         /* peer */
    SWKI_TRACE_TRANSFER_TIMEOUT_NOW,     /* peer: it is up to date */
    SWKI_TRACE_TRANSFER_TIMEOUT_NOW_LATE, /* peer: after its response */
    SWKI_TRACE_TIMEOUT_NOW,              /* peer: who sent it; an election */
    SWKI_TRACE_TIMEOUT_NOW_IGNORED,      /* peer, role */
    SWKI_TRACE_TRANSFER_SAME,            /* peer: is the target already */
    SWKI_TRACE_TRANSFER_ABORTED,         /* peer: the old target */
    SWKI_TRACE_TRANSFER_TO_SELF,
    SWKI_TRACE_TRANSFER_TO_LEARNER,
    SWKI_TRACE_TRANSFER_DROPS_PROPOSAL, /* peer: the target */
    SWKI_TRACE_TRANSFER_NO_LEADER,
    SWKI_TRACE_READ_NO_LEADER,

    /* What the reference system does not print. */
    SWKI_TRACE_SENT,     /* message: it goes to a list */
    SWKI_TRACE_RECEIVED, /* message: it passed the checks */
    SWKI_TRACE_REJECTED, /* message, reject_reason */
    SWKI_TRACE_COMMITTED, /* commit */
    SWKI_TRACE_APPLIED,   /* applied */
    SWKI_TRACE_READY,     /* index: last to store; commit; count: messages */
    SWKI_TRACE_LOG_LOST,  /* index: what the leader says is committed */
    SWKI_TRACE_RECOVERED, /* the lost part of the log is there again */
    SWKI_TRACE_SNAPSHOT_STALLED, /* peer: no report for too long (R-SNP-9) */
    SWKI_TRACE_FAILED,           /* for good */
    SWKI_TRACE_KINDS,
};

/* Why a proposed change of membership became an empty entry (R-CFG-3). */
enum swki_machine_refusal {
    SWKI_MACHINE_REFUSAL_PENDING = 0, /* another may not be applied yet */
    SWKI_MACHINE_REFUSAL_JOINT,       /* only a leave is possible now */
    SWKI_MACHINE_REFUSAL_NOT_JOINT,   /* nothing to leave */
    SWKI_MACHINE_REFUSAL_INVALID,     /* it can never be applied */
};

/* One event; pointers are valid for the call of the sink only. Fields that a
 * kind has no use for are 0. */
struct swki_machine_trace {
    enum swki_machine_trace_kind kind;
    int32_t message_type; /* either enum of types */
    enum swk_raft_role role;
    enum swki_machine_refusal refusal;
    enum swki_machine_reject reject_reason;
    bool reject;
    uint64_t id;
    uint64_t term;
    uint64_t peer;
    uint64_t vote;
    uint64_t index;
    uint64_t log_term;
    uint64_t message_term;
    uint64_t message_index;
    uint64_t message_log_term;
    uint64_t hint;
    uint64_t commit;
    uint64_t applied;
    uint64_t applying;
    uint64_t first;
    uint64_t last;
    uint64_t last_term;
    uint64_t offset;
    uint64_t offset_in_progress;
    uint64_t count;
    uint64_t ticks;
    uint64_t granted;
    uint64_t refused;
    const struct swki_raft_progress *progress;
    const struct swki_raft_configuration *configuration;
    const struct swk_raft_conf_change *change;
    const struct swk_raft_message *message;
};

/* -- Life ------------------------------------------------------------------ */

/* No defaults: every field is used as it is. */
struct swki_machine_config {
    const struct swk_alloc *alloc; /* borrowed until free; may be NULL */
    uint64_t id;                   /* 1 to 2^64-3 */
    uint64_t seed;
    uint32_t flags; /* enum swki_machine_flag */
    uint32_t election_ticks;
    uint32_t heartbeat_ticks;
    uint32_t lease_margin_ticks;
    uint32_t snapshot_stall_ticks;  /* 0: off (R-SNP-9) */
    uint64_t message_size_max;      /* 0: one entry; UINT64_MAX: none; counts
                                       24 bytes an entry beside its data */
    uint32_t message_entries_max;   /* at least 1 */
    uint32_t inflight_messages_max; /* at least 1 */
    uint64_t inflight_size_max;     /* 0: none */
    uint64_t uncommitted_size_max;  /* 0: none */
    uint64_t apply_size_max;        /* over 0; counted like message_size_max */
    uint64_t entry_size_max;        /* of its data */
    uint32_t pending_reads_max;
    uint32_t promote_gap;
    uint32_t promote_rounds;
    /* Called for every event if not NULL; must not call back. */
    void (*trace)(void *ctx, const struct swki_machine_trace *event);
    void *trace_ctx;
    /* Events too of which there are several for each entry: SENT, RECEIVED,
     * COMMITTED, APPLIED. */
    bool trace_often;
};

struct swki_machine;

/* Checks the configuration (section 20): SWK_EINVAL, SWK_ENOMEM. */
int swki_machine_new(const struct swki_machine_config *config,
                     struct swki_machine **out_machine, struct swk_error *err);
void swki_machine_free(struct swki_machine *m);

/* What the storage has, in this order, before the start; everything is
 * copied. SWK_EPRECONDITION for a wrong order, SWK_ECORRUPT for what cannot
 * be, SWK_ENOMEM. */
int swki_machine_restore_snapshot(struct swki_machine *m,
                                  const struct swk_snapshot_meta *meta,
                                  struct swk_error *err);
int swki_machine_restore_hard_state(struct swki_machine *m,
                                    const struct swk_hard_state *state,
                                    struct swk_error *err);
int swki_machine_restore_entry(struct swki_machine *m,
                               const struct swk_log_entry *entry,
                               struct swk_error *err);
/* Entries up to acknowledged may have been acknowledged and are lost: until the
 * log is durable up to there again, this member does not vote, campaign or
 * acknowledge (R-DSK-3). */
int swki_machine_restore_lost(struct swki_machine *m, uint64_t acknowledged,
                              struct swk_error *err);

/* Begins a log with entries that are committed and yet to be stored: index and
 * term are not read, they become 1 and up, and 1. Nothing may be restored. */
int swki_machine_bootstrap(struct swki_machine *m,
                           const struct swk_log_entry *entries,
                           size_t entries_count, struct swk_error *err);

/* Starts as follower (R-BOO-1). applied: the application's own applied index,
 * of which the snapshot's configuration must be; 0: that of the snapshot. */
int swki_machine_start(struct swki_machine *m, uint64_t applied,
                       struct swk_error *err);

/* -- Events ---------------------------------------------------------------- */

int swki_machine_tick(struct swki_machine *m, struct swk_error *err);

/* Hup. 0 also if it is ignored or refused. */
int swki_machine_campaign(struct swki_machine *m, struct swk_error *err);

/*
 * Proposes an entry of any type; its data is copied. SWK_ENOTLEADER: no
 * leader, candidate, not a member, or no forwarding; SWK_EBUSY: leadership is
 * being transferred, or the disk is stalled; SWK_ELIMIT: larger than
 * entry_size_max; SWK_EUNAVAILABLE: over uncommitted_size_max; SWK_EINVAL: a
 * change of membership that is malformed. SWK_EPRECONDITION: the change does
 * not fit, an empty entry took its place; out_index is set then as after 0
 * (R-CFG-3). out_index may be NULL; it receives 0 if a follower forwarded the
 * proposal.
 */
int swki_machine_propose(struct swki_machine *m, int32_t type,
                         const void *data, size_t data_len,
                         uint64_t *out_index, struct swk_error *err);

/*
 * A message: from another member, or one of the responses of an own append.
 * The checks of R-MSG-7 come first. SWK_EDENIED: a local message, which nobody
 * sends; SWK_ENOTFOUND: a response of no member; SWK_EINVAL: malformed;
 * otherwise 0, or what swki_machine_propose() would say of a forwarded
 * proposal. Everything is borrowed for the call.
 */
int swki_machine_step(struct swki_machine *m,
                      const struct swk_raft_message *message,
                      struct swk_error *err);

/* The same of one of the responses of an own append, to this member and as it
 * was given out: it is not checked. */
int swki_machine_step_own(struct swki_machine *m,
                          const struct swk_raft_message *response,
                          struct swk_error *err);

/* context_len: 1 to SWKI_MACHINE_READ_CONTEXT_MAX. SWK_ENOTLEADER: no leader
 * is known; SWK_EUNAVAILABLE: too many wait. */
int swki_machine_read_index(struct swki_machine *m, const void *context,
                            size_t context_len, struct swk_error *err);

/* TransferLeader; 0 also if it is ignored. SWK_ENOTLEADER: no leader known. */
int swki_machine_transfer(struct swki_machine *m, uint64_t target,
                          struct swk_error *err);

/* Transfers to the best voter (R-TRF-5). SWK_ENOTLEADER; SWK_ENOTFOUND: no
 * active one. */
int swki_machine_resign(struct swki_machine *m, struct swk_error *err);

/* SWK_EPRECONDITION with lease reads. */
int swki_machine_forget_leader(struct swki_machine *m, struct swk_error *err);

int swki_machine_report_unreachable(struct swki_machine *m, uint64_t id,
                                    struct swk_error *err);
int swki_machine_report_snapshot(struct swki_machine *m, uint64_t id, bool ok,
                                 struct swk_error *err);
/* A stream to the member is alive: the time until R-SNP-9 begins anew. */
void swki_machine_snapshot_alive(struct swki_machine *m, uint64_t id);

/* Applies a committed change (R-APP-5): once for each, in order, between
 * taking its entry and acknowledging it. reject: the application voids it.
 * The state, if out_state is not NULL, is borrowed until the next such call or
 * a snapshot comes in. */
int swki_machine_apply_conf_change(struct swki_machine *m,
                                   const struct swk_log_entry *entry,
                                   bool reject,
                                   struct swk_conf_state *out_state,
                                   struct swk_error *err);

/* Asynchronous mode: everything up to index is applied; the same as a
 * StorageApplyResp. SWK_EINVAL for more than was given out. */
int swki_machine_applied(struct swki_machine *m, uint64_t index,
                         struct swk_error *err);

/* The newest snapshot that a member could be sent; copied. NULL: none is to be
 * had at the moment (R-SNP-2). */
int swki_machine_set_snapshot(struct swki_machine *m,
                              const struct swk_snapshot_meta *meta,
                              struct swk_error *err);

/* The same of a copy, which is *taken*, and none then; cannot fail. A received
 * snapshot counts by itself once it is durable. */
void swki_machine_adopt_snapshot(struct swki_machine *m,
                                 struct swki_snapshot_copy *copy);

/* Whether a member needs a newer one than may be sent: one that names it. */
bool swki_machine_misses_snapshot(const struct swki_machine *m);

/* Forgets the entries up to index, included. SWK_EINVAL: already done, or not
 * applied. */
int swki_machine_compact(struct swki_machine *m, uint64_t index,
                         struct swk_error *err);

/* The disk hangs, or does no more (R-DSK-4): a stalled member does not
 * campaign, grants no pre-vote, and a leader takes no proposals. Resigning is
 * up to the caller. */
void swki_machine_set_stalled(struct swki_machine *m, bool stalled);

/* Fails for good; the first reason stays. */
void swki_machine_fail(struct swki_machine *m, int code, const char *text);

/* -- Ready ----------------------------------------------------------------- */

/* What must follow (section 11). Borrowed until the next call on the member. */
struct swki_machine_ready {
    bool soft_changed; /* leader or role */
    bool must_sync;
    enum swk_raft_role role; /* as they are, changed or not */
    uint64_t leader;
    const struct swk_hard_state *hard_state; /* NULL: as in the last Ready */

    const struct swk_raft_read *reads;
    size_t reads_count;

    const struct swk_log_entry *entries; /* to store */
    size_t entries_count;
    const struct swk_snapshot_meta *snapshot; /* to store; NULL: none */

    const struct swk_log_entry *committed; /* to apply */
    size_t committed_count;

    /* The immediate list: may leave at once. */
    const struct swk_raft_message *messages;
    size_t messages_count;

    /*
     * What waits for this Ready to be durable. In synchronous mode: the
     * after-append list to others (those to this member are stepped by
     * advance). In asynchronous mode: the `responses` of the StorageAppend,
     * to others and to this member, a StorageAppendResp last if there is one.
     * No pointers in them but the snapshot of the StorageAppendResp, which is
     * valid as long as that of the Ready; it is enough to tell its index when
     * it comes back.
     */
    const struct swk_raft_message *responses;
    size_t responses_count;

    /* Asynchronous mode: the StorageAppend, without its responses, and the
     * StorageApply; NULL if there is none. The answer to the latter is a
     * StorageApplyResp with the same entries, or swki_machine_applied(). */
    const struct swk_raft_message *append;
    const struct swk_raft_message *apply;
};

/* R-RDY-1. */
bool swki_machine_has_ready(const struct swki_machine *m);

/* Takes a Ready and accepts it (R-RDY-2); an empty one if there is nothing.
 * SWK_EPRECONDITION in synchronous mode before advance. */
int swki_machine_take_ready(struct swki_machine *m,
                            const struct swki_machine_ready **out_ready,
                            struct swk_error *err);

/* Synchronous mode: the Ready is stored, sent and applied (R-RDY-4). Memory for
 * it was reserved by take, so that it fails by SWK_EIO only. */
int swki_machine_advance(struct swki_machine *m, struct swk_error *err);

/* -- Views ----------------------------------------------------------------- */

struct swki_machine_status {
    uint64_t id;
    struct swk_hard_state hard_state;
    uint64_t leader;
    enum swk_raft_role role;
    uint64_t applied;
    uint64_t applying;
    uint64_t first;  /* oldest entry in memory */
    uint64_t last;   /* newest */
    uint64_t last_term;
    uint64_t offset; /* first index not known to be durable */
    uint64_t offset_in_progress; /* first index not given out for storing */
    uint64_t transfer_target;
    uint64_t uncommitted_size;
    uint64_t log_size;   /* bytes of data in memory */
    uint64_t recovering; /* 0, or up to where the log is lost */
    uint64_t reads_waiting;
    uint64_t elections_started;
    uint32_t election_elapsed;
    uint32_t election_timeout; /* as drawn */
    uint32_t leaderless_ticks; /* since a leader was known */
    bool promotable;
    bool voter; /* in either half */
    bool member;
    uint64_t rejected[SWKI_MACHINE_REJECTS];
};

void swki_machine_status(const struct swki_machine *m,
                         struct swki_machine_status *out_status);

/* The configuration with every progress, borrowed until the next event; what
 * a progress says is meaningful on a leader only. */
const struct swki_raft_configuration *
swki_machine_configuration(const struct swki_machine *m);

/* Term at an index from first - 1 to last; 0 for others. */
uint64_t swki_machine_term_at(const struct swki_machine *m, uint64_t index);

/* The entry at an index from first to last, or NULL. Borrowed until the next
 * event. */
const struct swk_log_entry *swki_machine_entry_at(const struct swki_machine *m,
                                                  uint64_t index);

/* Whether a member was heard of lately: since the last check of the quorum, or
 * within an election timeout, as that check forgets who was. */
bool swki_machine_is_active(const struct swki_machine *m,
                            const struct swki_raft_progress *peer);

/* Whether a learner may be made a voter (R-CFG-15); false unless leader. */
bool swki_machine_caught_up(const struct swki_machine *m, uint64_t id);

/* Whether the members in active (ascending; this one counts) would be a quorum
 * after a change, and in the joint configuration on the way (R-CFG-16). */
bool swki_machine_keeps_quorum(const struct swki_machine *m,
                               const struct swk_raft_conf_change *change,
                               const uint64_t *active, size_t active_count);

/* NULL, or why it failed for good. */
const struct swk_error *swki_machine_failure(const struct swki_machine *m);

/* A member's priority in elections (R-EXT-1); that of a new one is 0. False if
 * it is no member. */
bool swki_machine_set_priority(struct swki_machine *m, uint64_t id,
                               int32_t priority);

/* Overwrites the drawn timeout until the next reset; for scripted tests. */
void swki_machine_set_election_timeout(struct swki_machine *m, uint32_t ticks);

/* The invariants of section 22 that one member can check, all of them; NULL,
 * or what is broken. The cheap ones are checked after every event anyway. */
const char *swki_machine_check(const struct swki_machine *m);

#endif

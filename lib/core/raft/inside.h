/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The inside of the machine, for its own files and its tests.
 *
 * One rule for memory runs through them: an event first reserves room for what
 * it must not lose (swki_machine_begin()), and fails before it changed
 * anything; what goes beyond that room and finds no memory is not sent, as if
 * the network had lost it.
 */

#ifndef SWKI_CORE_RAFT_INSIDE_H
#define SWKI_CORE_RAFT_INSIDE_H

#include <stdbool.h>

#include "base/rng.h"
#include "core/raft/configuration.h"
#include "core/raft/entries.h"
#include "core/raft/machine.h"
#include "core/raft/outbox.h"
#include "core/raft/snapshot_meta.h"

enum swki_machine_stage {
    SWKI_MACHINE_RESTORING = 0,
    SWKI_MACHINE_RUNNING,
    SWKI_MACHINE_FAILED,
};

/* How an election is begun. */
enum swki_machine_campaign {
    SWKI_CAMPAIGN_PRE_ELECTION,
    SWKI_CAMPAIGN_ELECTION,
    SWKI_CAMPAIGN_TRANSFER, /* on behalf of the leader */
};

/*
 * Known mistakes, which a build for the simulator alone can be told to make, to
 * show that the simulator finds them. In every other build none is ever made.
 */
enum swki_machine_fault {
    SWKI_FAULT_COUNT_OLD_TERMS = 1, /* R-COM-1 */
    SWKI_FAULT_ANY_LOG_WINS,        /* R-ELE-4 */
    SWKI_FAULT_CUT_AT_APPEND,       /* R-FOL-3 */
    SWKI_FAULT_CHANGES_AT_ONCE,     /* R-CFG-3 */
    SWKI_FAULT_CHANGES_EARLY,       /* R-CFG-14 */
    SWKI_FAULT_ANSWER_AT_ONCE,      /* R-MSG-2 */
    SWKI_FAULT_OLD_STORED,          /* R-RDY-7 */
    SWKI_FAULT_VOTE_WITH_LOSS,      /* R-DSK-3 */
    SWKI_FAULT_TELL_COMMIT,         /* R-REP-4 */
    SWKI_FAULT_READ_UNCOMMITTED,    /* R-RDI-2 */
};

#ifdef SWKI_RAFT_FAULTS
extern enum swki_machine_fault swki_machine_planted;
#define SWKI_PLANTED(fault) (swki_machine_planted == (fault))
#else
#define SWKI_PLANTED(fault) false
#endif

/* Terms and indices end here, so that no sum wraps (section 3). */
#define SWKI_MACHINE_NUMBER_MAX (UINT64_MAX / 2)

/* A read that waits for the leader to be sure that it leads. */
struct swki_machine_read {
    uint64_t from;     /* who asked; this member for its own */
    uint64_t index;    /* committed when it was asked */
    uint64_t position; /* in the sequence of reads */
    size_t context_len;
    uint8_t context[SWKI_MACHINE_READ_CONTEXT_MAX];
};

/* Reads in order, a ring. */
struct swki_machine_reads {
    struct swki_machine_read *ring;
    size_t room;
    size_t first;
    size_t count;
};

/* Answers to own reads, as they are collected and as they are given out. */
struct swki_machine_answers {
    struct swki_machine_read *items;
    struct swk_raft_read *views;
    size_t count;
    size_t room;
};

/* When a position was sent by heartbeats, for the lease (R-RDI-7). */
struct swki_machine_beat {
    uint64_t position;
    uint64_t tick;
};

enum {
    SWKI_MACHINE_BEATS = 32,
};

/* What advance does for the Ready that was taken, in synchronous mode. */
struct swki_machine_advance {
    bool due;
    bool stored; /* an acknowledgement of the storage goes with it */
    struct swk_raft_message stored_response;
    uint64_t snapshot_index; /* 0: none was in it */
    uint64_t applied;        /* index of the last committed entry; 0: none */
    struct swki_outbox own;  /* what this member said to itself */
};

struct swki_machine {
    struct swki_machine_config config;
    enum swki_machine_stage stage;
    struct swk_error failure;
    struct swki_rng rng;

    /* Section 3, "Node". */
    uint64_t term;
    uint64_t vote;
    struct swk_hard_state accepted; /* as in the last Ready */
    enum swk_raft_role role;
    uint64_t lead;
    enum swk_raft_role accepted_role;
    uint64_t accepted_lead;
    uint64_t transfer_target;
    uint64_t pending_change; /* highest index that may change the members */
    uint64_t uncommitted_size;
    uint32_t election_elapsed;
    uint32_t heartbeat_elapsed;
    uint32_t election_timeout; /* as drawn */
    uint32_t leaderless_ticks;
    uint64_t held_back; /* 1 + tick at which another was, for its priority */
    struct swki_raft_configuration configuration;

    /* The log (section 4). */
    struct swki_entries log;
    uint64_t offset; /* first index not known to be durable */
    uint64_t offset_in_progress;
    struct swki_snapshot_copy unstable_snapshot; /* index 0: none */
    bool snapshot_in_progress;
    uint64_t committed;
    uint64_t applying;
    uint64_t applied;
    uint64_t applying_size; /* handed out and not acknowledged */
    bool applying_paused;
    uint64_t changed; /* newest index whose change of members was applied */

    struct swki_snapshot_copy sendable; /* index 0: none to be had */
    bool snapshot_missed; /* a member needs one, and that is of no use to it */
    struct swki_snapshot_copy restored; /* before the start */

    /* Reads (section 15). */
    struct swki_machine_reads reads;
    struct swki_machine_reads postponed;
    uint64_t read_position; /* newest one in the sequence */
    uint64_t read_confirmed;
    struct swki_machine_answers answers;
    struct swki_machine_answers answers_out;
    uint64_t ticks; /* since the start, for leases */
    struct swki_machine_beat *beats; /* SWKI_MACHINE_BEATS; NULL: no leases */
    size_t beats_count;       /* ever recorded in this term of office */
    uint64_t lease_off_until; /* tick; R-TRF-6 */

    /* Messages: immediate ones, and those that wait for the storage. */
    struct swki_outbox messages;
    struct swki_outbox messages_out;
    struct swki_outbox after;
    struct swki_outbox after_out;

    struct swki_machine_ready ready;
    struct swk_hard_state ready_state;
    struct swk_raft_message ready_append;
    struct swk_raft_message ready_apply;
    struct swki_machine_advance advance;

    uint64_t recovering; /* 0, or the index the log must reach again */
    bool log_lost; /* what the leader relies on; for good (R-FOL-5) */
    bool state_restored;
    bool stalled;
    uint64_t elections_started;
    uint64_t rejected[SWKI_MACHINE_REJECTS];
};

/* -- machine.c ------------------------------------------------------------- */

/* The beginning of every event: makes room for the messages and the entry that
 * any of them may need. 0, SWK_EPRECONDITION if not started, SWK_EIO after a
 * failure, SWK_ENOMEM. */
int swki_machine_begin(struct swki_machine *m, struct swk_error *err);

/* That room, in a group of so many members; while a Ready is not done, it is
 * for all that advance will do as well. False for no memory. */
bool swki_machine_reserve(struct swki_machine *m, size_t peers_count);

/* The end of every event: 0, or SWK_EIO if it made the member fail. */
int swki_machine_settle(struct swki_machine *m, struct swk_error *err);

/* Fails because of a defect; reason is a literal. */
void swki_machine_break(struct swki_machine *m, const char *reason);

static inline bool swki_machine_has(const struct swki_machine *m,
                                    enum swki_machine_flag flag)
{
    return (m->config.flags & (uint32_t)flag) != 0;
}

struct swki_raft_progress *swki_machine_peer(const struct swki_machine *m,
                                             uint64_t id);

/* A member has answered this leader. */
static inline void swki_machine_hear(const struct swki_machine *m,
                                     struct swki_raft_progress *peer)
{
    peer->active = true;
    peer->heard = m->ticks + 1;
}

/* Whether it did so within so many ticks. */
static inline bool swki_machine_heard(const struct swki_machine *m,
                                      const struct swki_raft_progress *peer,
                                      uint64_t ticks)
{
    return peer->heard != 0 && m->ticks + 1 - peer->heard < ticks;
}

/* Sends a message: fills in sender and term, and picks the list (R-MSG-1,
 * R-MSG-2). False if it is lost for want of memory. */
bool swki_machine_send(struct swki_machine *m,
                       const struct swk_raft_message *message);

/* Sends an append of entries of the log, which come behind index. False as
 * above. */
bool swki_machine_send_entries(struct swki_machine *m, uint64_t to,
                               uint64_t index, uint64_t log_term, size_t count);

/* Acknowledges the log up to index; lost for want of memory it is made up for
 * by the next one. */
void swki_machine_acknowledge(struct swki_machine *m, uint64_t to,
                              uint64_t index);

/* Counts a message that is not handled. */
void swki_machine_reject(struct swki_machine *m,
                         enum swki_machine_reject reason,
                         const struct swk_raft_message *message);

/* Emits an event, to which the own id and term are added. Cheap without a
 * sink. */
static inline void swki_machine_emit(struct swki_machine *m,
                                     struct swki_machine_trace event)
{
    if (m->config.trace != NULL) {
        event.id = m->config.id;
        event.term = m->term;
        m->config.trace(m->config.trace_ctx, &event);
    }
}

/* -- ready.c --------------------------------------------------------------- */

/* How many events advance is made of, at most. */
size_t swki_machine_advance_events(const struct swki_machine *m);

/* Whether events are wanted of which there are several for each entry. */
static inline bool swki_machine_traces_often(const struct swki_machine *m)
{
    return m->config.trace_often && m->config.trace != NULL;
}

/* -- machine_log.c: the log with its durable part (sections 4, 10) --------- */

static inline uint64_t swki_machine_last(const struct swki_machine *m)
{
    return swki_entries_last(&m->log);
}

static inline uint64_t swki_machine_last_term(const struct swki_machine *m)
{
    uint64_t term = 0;

    (void)swki_entries_term(&m->log, swki_entries_last(&m->log), &term);
    return term;
}

/* Appends entries at a contiguous run of indices, the first being index; room
 * for them is reserved (R-LOG-1). */
void swki_machine_log_append(struct swki_machine *m, uint64_t index,
                             const struct swk_log_entry *entries,
                             size_t entries_count);

/* The storage has everything up to there (R-LOG-2). */
void swki_machine_log_stable(struct swki_machine *m, uint64_t index,
                             uint64_t term);

/* Moves the commit index, never back. */
void swki_machine_commit(struct swki_machine *m, uint64_t index);

/* The leader's own commit index (R-COM-1): true if it moved. */
bool swki_machine_commit_matched(struct swki_machine *m);

/* The highest index that may be applied now (R-APP-2). */
uint64_t swki_machine_appliable(const struct swki_machine *m);

/* Whether there are entries to apply, and none of R-APP-3 holds them back. */
bool swki_machine_has_committed(const struct swki_machine *m);

/* Hands out entries to apply: up to this index. */
void swki_machine_accept_applying(struct swki_machine *m, uint64_t index);

/* Entries up to index are applied (R-APP-4, R-RDY-9). */
void swki_machine_note_applied(struct swki_machine *m, uint64_t index);

/* Whether the term of the log's committed end is the current one. */
bool swki_machine_committed_in_term(const struct swki_machine *m);

/* -- role.c ---------------------------------------------------------------- */

void swki_machine_become_follower(struct swki_machine *m, uint64_t term,
                                  uint64_t lead);
void swki_machine_become_pre_candidate(struct swki_machine *m);
void swki_machine_become_candidate(struct swki_machine *m);
void swki_machine_become_leader(struct swki_machine *m);
bool swki_machine_promotable(const struct swki_machine *m);

/* -- campaign.c ------------------------------------------------------------ */

/* Starts an election if nothing forbids it (R-ELE-1). */
void swki_machine_hup(struct swki_machine *m, enum swki_machine_campaign kind);
void swki_machine_handle_vote(struct swki_machine *m,
                              const struct swk_raft_message *message);
void swki_machine_handle_vote_resp(struct swki_machine *m,
                                   const struct swk_raft_message *message);
void swki_machine_check_quorum(struct swki_machine *m);

/* True if the request comes within the leader's lease, and is dropped. */
bool swki_machine_vote_in_lease(struct swki_machine *m,
                                const struct swk_raft_message *message);
/* Ticks for which to wait, after a timeout, for others to campaign first
 * (R-EXT-1). */
uint64_t swki_machine_priority_delay(const struct swki_machine *m);
/* Refuses a pre-vote of a lower term (R-MSG-5). */
void swki_machine_refuse_vote(struct swki_machine *m,
                              const struct swk_raft_message *message);

/* In the context of a refusal: the member lost entries that it may have
 * acknowledged (R-DSK-3). */
extern const char swki_machine_lost_mark[];
enum {
    SWKI_MACHINE_LOST_MARK_LEN = 7,
};

extern const char swki_machine_transfer_mark[];
enum {
    SWKI_MACHINE_TRANSFER_MARK_LEN = 16,
};

/* -- step.c ---------------------------------------------------------------- */

/* Handles a message that passed the checks; 0 or why a proposal is dropped. */
int swki_machine_handle(struct swki_machine *m,
                        const struct swk_raft_message *message,
                        struct swk_error *err);

/* -- validate.c ------------------------------------------------------------ */

/* R-MSG-7: 0 or why the message is refused. */
int swki_machine_validate(const struct swki_machine *m,
                          const struct swk_raft_message *message,
                          enum swki_machine_reject *out_reason);

/* -- replicate.c: the leader ----------------------------------------------- */

/* R-REP-1; true if something was sent. */
enum swki_machine_send_when {
    SWKI_SEND_ALWAYS,     /* also an append without entries */
    SWKI_SEND_NOT_EMPTY,
};
bool swki_machine_send_append(struct swki_machine *m,
                              struct swki_raft_progress *peer,
                              enum swki_machine_send_when when);
void swki_machine_broadcast(struct swki_machine *m,
                            enum swki_machine_send_when when);
void swki_machine_broadcast_heartbeat(struct swki_machine *m);
void swki_machine_handle_append_resp(struct swki_machine *m,
                                     struct swki_raft_progress *peer,
                                     const struct swk_raft_message *message);
void swki_machine_handle_heartbeat_resp(struct swki_machine *m,
                                        struct swki_raft_progress *peer,
                                        const struct swk_raft_message *message);
void swki_machine_handle_unreachable(struct swki_machine *m,
                                     struct swki_raft_progress *peer);

/* -- follow.c: the follower ------------------------------------------------ */

void swki_machine_handle_append(struct swki_machine *m,
                                const struct swk_raft_message *message);
void swki_machine_handle_heartbeat(struct swki_machine *m,
                                   const struct swk_raft_message *message);

/* Leaves the recovering mode if the log is durable up to where it must be. */
void swki_machine_check_recovered(struct swki_machine *m);

/* -- snapshot.c ------------------------------------------------------------ */

bool swki_machine_send_snapshot(struct swki_machine *m,
                                struct swki_raft_progress *peer);
void swki_machine_handle_snapshot(struct swki_machine *m,
                                  const struct swk_raft_message *message);
void swki_machine_handle_snap_status(struct swki_machine *m,
                                     struct swki_raft_progress *peer,
                                     bool failed);
/* The storage has the snapshot with this index (R-LOG-3, R-SNP-6). */
void swki_machine_snapshot_stable(struct swki_machine *m, uint64_t index);
/* A tick of the leader: R-SNP-9. */
void swki_machine_tick_snapshots(struct swki_machine *m);

/* -- propose.c ------------------------------------------------------------- */

/* A Prop on the leader. out_refused: a change of membership was made empty. */
int swki_machine_leader_propose(struct swki_machine *m,
                                const struct swk_log_entry *entries,
                                size_t entries_count, bool *out_refused,
                                struct swk_error *err);
/* Appends an entry of the leader, whose room is reserved; false if that would
 * exceed the limit of uncommitted bytes. */
bool swki_machine_leader_append(struct swki_machine *m,
                                const struct swk_log_entry *entries,
                                size_t entries_count);
int swki_machine_follower_propose(struct swki_machine *m,
                                  const struct swk_raft_message *message,
                                  struct swk_error *err);
/* Whether this leader is to leave its joint configuration now, and has not
 * proposed it. */
bool swki_machine_leave_due(const struct swki_machine *m);
/* R-CFG-8 */
void swki_machine_auto_leave(struct swki_machine *m);

/* -- change.c -------------------------------------------------------------- */

/* The prepared configuration takes effect (R-CFG-11). */
void swki_machine_switch(struct swki_machine *m,
                         struct swki_raft_configuration *next);

/* -- transfer.c ------------------------------------------------------------ */

void swki_machine_handle_transfer(struct swki_machine *m, uint64_t target);
void swki_machine_send_timeout_now(struct swki_machine *m, uint64_t target);
void swki_machine_abort_transfer(struct swki_machine *m);
/* Who leads best after this leader (R-TRF-5): of the voters that are heard of,
 * one whose log is longest; NULL if there is none. */
const struct swki_raft_progress *
swki_machine_successor(const struct swki_machine *m);

/* -- reads.c --------------------------------------------------------------- */

int swki_machine_handle_read(struct swki_machine *m,
                             const struct swk_raft_message *message,
                             struct swk_error *err);
/* An answer from the leader. */
void swki_machine_handle_read_resp(struct swki_machine *m,
                                   const struct swk_raft_message *message);
void swki_machine_release_postponed(struct swki_machine *m);
/* Answers what a quorum has confirmed by now. */
void swki_machine_release_reads(struct swki_machine *m);
void swki_machine_confirm_reads(struct swki_machine *m,
                                struct swki_raft_progress *peer,
                                uint64_t position);
void swki_machine_drop_reads(struct swki_machine *m);
/* The position that heartbeats carry; 0 for none. */
uint64_t swki_machine_beat_position(struct swki_machine *m);
void swki_machine_reads_fini(struct swki_machine *m);
/* Turns collected answers into those of a Ready. */
void swki_machine_take_answers(struct swki_machine *m);

#endif

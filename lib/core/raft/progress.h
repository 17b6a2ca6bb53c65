/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a leader knows of a member's log, and what it has sent there.
 *
 * Three states (R-PRG-1, R-PRG-2): while probing, one message at a time finds
 * out where the logs match; while replicating, messages flow as far as the
 * window lets them; while a snapshot is on its way, nothing is sent.
 */

#ifndef SWKI_CORE_RAFT_PROGRESS_H
#define SWKI_CORE_RAFT_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <swarmkit/alloc.h>
#include <swarmkit/raft.h>

/* A message under way. */
struct swki_raft_inflight {
    uint64_t index; /* of its last entry */
    uint64_t size;  /* bytes of its entries' data */
};

/* The messages under way to one member: a ring that grows up to its limit. */
struct swki_raft_window {
    struct swki_raft_inflight *ring; /* NULL until something is sent */
    uint32_t room;                   /* of the ring */
    uint32_t first;
    uint32_t count;
    uint32_t count_max;
    uint64_t size;
    uint64_t size_max; /* 0: no limit */
};

/* How a learner catches up (R-CFG-15): in rounds, each of which ends when it
 * has what was the end of the log when the round began. The time that a round
 * takes says how far behind the learner would be as a voter. */
struct swki_raft_rounds {
    uint64_t end;   /* index that ends the running one */
    uint64_t since; /* tick at which that began */
    uint32_t count; /* those that are over */
    bool done;      /* the last one was short enough, and not too late */
};

/* The answer of a member in the running election. */
enum swki_raft_ballot {
    SWKI_RAFT_UNHEARD = 0,
    SWKI_RAFT_GRANTED = 1,
    SWKI_RAFT_REFUSED = 2,
};

/* A member of the configuration, as this one knows it. */
struct swki_raft_progress {
    uint64_t id;
    uint64_t match; /* highest index known to be durable there */
    uint64_t next;  /* next index to send */
    /* Highest commit index that it was sent, or will learn of by what was
     * sent. */
    uint64_t sent_commit;
    uint64_t pending_snapshot; /* in snapshot state: index of the snapshot */
    uint64_t read_position;    /* newest read that it confirmed (R-RDI-5) */
    uint64_t heard; /* 1 + the tick at which it answered, or asked for a vote,
                       last; 0: never */
    uint32_t snapshot_ticks; /* in snapshot state, without a report */
    int32_t priority;          /* R-EXT-1; stays, whatever happens */
    enum swk_raft_peer_state state;
    enum swki_raft_ballot ballot;
    bool learner;
    bool active;      /* heard of since the last check */
    bool flow_paused; /* nothing more until something is heard */
    struct swki_raft_rounds rounds;
    struct swki_raft_window window;
};

/* A member of which nothing is known (R-CFG-10): active, probing, its window
 * empty; next is what to try first. */
void swki_raft_progress_init(struct swki_raft_progress *p, uint64_t id,
                             uint64_t next, uint32_t count_max,
                             uint64_t size_max);
void swki_raft_progress_fini(struct swki_raft_progress *p,
                             const struct swk_alloc *alloc);

/* Forgets what was known, at a change of role or term (R-TIM-5): as new, but
 * inactive; learner stays. */
void swki_raft_progress_reset(struct swki_raft_progress *p, uint64_t next);

/* Changes of state (R-PRG-2). */
void swki_raft_progress_probe(struct swki_raft_progress *p);
void swki_raft_progress_replicate(struct swki_raft_progress *p);
void swki_raft_progress_snapshot(struct swki_raft_progress *p, uint64_t index);

/* Whether nothing may be sent now (R-PRG-1). */
bool swki_raft_progress_paused(const struct swki_raft_progress *p);

/* Whether the window takes no more messages (R-PRG-3). */
bool swki_raft_progress_full(const struct swki_raft_progress *p);

/* Makes room for a message in the window, so that swki_raft_progress_sent()
 * cannot fail. False for no memory: send nothing then. A full window needs no
 * room. */
bool swki_raft_progress_reserve(struct swki_raft_progress *p,
                                const struct swk_alloc *alloc);

/* Accounts for an append with so many entries, of so many bytes, that was sent
 * (R-REP-2); the room was reserved if it has entries. */
void swki_raft_progress_sent(struct swki_raft_progress *p,
                             uint64_t entries_count, uint64_t size);

/* Whether the window holds the message that ends before next: not if it was
 * acknowledged already, or sent in another state. */
bool swki_raft_progress_counts_last(const struct swki_raft_progress *p);

/* More entries go into that message. */
void swki_raft_progress_extend(struct swki_raft_progress *p,
                               uint64_t entries_count, uint64_t size);

/* The member has everything up to index: true if that was news (R-REP-5). */
bool swki_raft_progress_accept(struct swki_raft_progress *p, uint64_t index);

/* The first round begins: entries flow from here on; the log ends at last. */
void swki_raft_progress_begin_rounds(struct swki_raft_progress *p,
                                     uint64_t last, uint64_t tick);

/* Ends the round if the member has what it needs for that. They are done with
 * the first one that takes less than ticks_max, unless more than rounds_max
 * were needed: then only when the member has everything, up to last. */
void swki_raft_progress_end_rounds(struct swki_raft_progress *p, uint64_t last,
                                   uint64_t tick, uint32_t ticks_max,
                                   uint32_t rounds_max);

/* Releases the messages of the window up to index. */
void swki_raft_progress_release(struct swki_raft_progress *p, uint64_t index);

/* The member refused an append behind index; hint is where its log may match.
 * False for an answer that is out of date; else next is where to try, and a
 * replicating member is to be probed (R-REP-6). */
bool swki_raft_progress_reject(struct swki_raft_progress *p, uint64_t index,
                               uint64_t hint);

/* The member lost what it had acknowledged (R-DSK-3): it is probed from hint
 * on. */
void swki_raft_progress_lost(struct swki_raft_progress *p, uint64_t hint);

/* Whether the member still has to be told that committed is committed: it was
 * sent a lower index, and could make use of a higher one (R-REP-5). */
bool swki_raft_progress_lacks_commit(const struct swki_raft_progress *p,
                                     uint64_t committed);

/* Invariants 5 and 6 of one member, the leader's log ending at last; NULL, or
 * what is broken. */
const char *swki_raft_progress_check(const struct swki_raft_progress *p,
                                     uint64_t last);

#endif

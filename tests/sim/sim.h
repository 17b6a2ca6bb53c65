/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A raft group in one process, in virtual time, from one seed.
 *
 * Members are driven through the public API, each with a simulated disk and a
 * state machine. What happens to them (faults), and how they are made
 * (settings), is drawn from the seed; what must never happen (rules) is checked
 * after every step.
 *
 *     settings.c   what a run is like
 *     sim.c        virtual time: events, the end of a run
 *     net.c        messages between members
 *     disk.c       what is written, durable, torn, lost
 *     member.c     the driver: events in, actions out
 *     machine.c    the state machines: registers,
 *     machine_store.c  or the library's store
 *     client.c     those who propose and read
 *     faults.c     what goes wrong
 *     admin.c      changes of membership
 *     rules.c      what must hold
 *     rest.c       faults end: the group must settle
 *     linear.c     linearizability
 *     jobs.c       several runs at once
 *     main.c       the program
 */

#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <swarmkit/raft.h>

#include "base/rng.h"
#include "sim/linear.h"

enum {
    MEMBERS_MAX = 40, /* ever, in one run */
    KEYS_MAX = 8,
    CLIENTS_MAX = 16,
    PENDING_MAX = 256, /* requests that wait at one member */
    DISK_OPS_MAX = 512,
    TRACE_LINES = 200, /* the last ones are kept */
    TRACE_LINE_SIZE = 160,
    CONF_IDS_MAX = 32,
};

/* -- What goes wrong ------------------------------------------------------ */

enum fault {
    FAULT_LOSS,       /* of messages, always a few */
    FAULT_DUPLICATE,  /* of messages */
    FAULT_DELAY,      /* messages now and then come much later */
    FAULT_SPLIT,      /* into two parts that do not hear each other */
    FAULT_ONE_WAY,    /* a member does not hear, or is not heard */
    FAULT_LINK,       /* one link is dead */
    FAULT_CRASH,      /* of the process, the disk keeps what it was given */
    FAULT_POWER,      /* of the machine: what was not synced may be lost */
    FAULT_CRASH_STEP, /* power is lost in the middle of a turn */
    FAULT_POWER_ALL,  /* of all machines at once */
    FAULT_PAUSE,      /* the process stops for a while */
    FAULT_JUMP,       /* of a clock, forward */
    FAULT_DRIFT,      /* of a clock */
    FAULT_DISK_SLOW,
    FAULT_DISK_STALL,
    FAULT_DISK_FAIL, /* a write fails: the member must give up */
    FAULT_ROT,       /* stored entries cannot be read any more */
    FAULT_DOOM,      /* the disk is lost: the member never comes back */
    FAULT_CONF,      /* changes of membership */
    FAULT_TRANSFER,
    FAULT_CAMPAIGN,
    FAULT_FORGET,
    FAULT_SNAPSHOT_CUT, /* while it is sent */
    FAULT_UNREACHABLE,  /* reported though it is not so */
    FAULT_COUNT,
};

extern const char *const fault_names[FAULT_COUNT];

/* -- Planted bugs --------------------------------------------------------- */

enum plant {
    PLANT_NONE,
    /* In the driver, the disk or the state machine. */
    PLANT_EARLY_ACK,        /* R-RDY-3: persisted is told before it is so */
    PLANT_VOTE_LOST,        /* R-RDY-3: the vote is not stored */
    PLANT_STALE_READ,       /* R-RDI-4: the leader answers from its state */
    PLANT_HARD_STATE_FIRST, /* R-RDY-8: and a crash cuts the entries */
    PLANT_INSTALL_IN_PARTS, /* R-RDY-8: old entries behind a new snapshot */
    PLANT_SYNC_AGAIN,       /* R-DSK-1: a failed sync is taken for done */
    PLANT_DSK_3,            /* R-DSK-3: damage is cut off without a word */
    PLANT_TWICE,            /* a repeated request is applied again */
    PLANT_READ_EARLY,       /* R-RDI-8: a read does not wait for its index */
    PLANT_SAME_CONTEXT,     /* R-RDI-9: contexts repeat after a restart */
    PLANT_OLD_CONF,         /* a snapshot names members as of later */
    PLANT_ANY_VERSION,      /* of the store: versions are not compared */
    PLANT_KEEP_HEAD,        /* of the store: head outlives leadership */
    PLANT_DISTURB,          /* R-ELE-2: members do without pre-votes */
    /* In the core; only where it is built with SWKI_RAFT_FAULTS. */
    PLANT_CORE,
    PLANT_COM_1 = PLANT_CORE, /* commits older terms by counting */
    PLANT_ELE_4,              /* votes without looking at the log */
    PLANT_FOL_3,              /* cuts the log at a short append */
    PLANT_CFG_3,              /* several changes of members at a time */
    PLANT_REP_4,              /* heartbeats tell all of the commit index */
    PLANT_RDI_2,              /* reads before an entry of the own term */
    PLANT_CFG_14,             /* changes before an entry of the own term */
    PLANT_MSG_2,              /* answers that do not wait for the storage */
    PLANT_RDY_7,              /* trusts what the storage said of old terms */
    PLANT_LOST_VOTES,         /* votes though its log is lost in part */
    PLANT_COUNT,
};

struct plant_info {
    const char *name;
    const char *rule;
};

extern const struct plant_info plants[PLANT_COUNT];

/* -- What a run is like --------------------------------------------------- */

struct settings {
    uint64_t seed;
    const char *profile;
    enum plant plant;
    int trace;          /* 0: none, 1: the last lines, 2: all, printed */
    bool outcome_only;  /* rules on what is seen from outside alone */
    bool use_store;     /* the library's store instead of registers */
    uint32_t members;   /* at the start */
    bool bootstrap_all; /* all with the same list, or one and the rest join */
    uint32_t flags;     /* of raft */
    uint32_t heartbeat_ticks;
    uint32_t election_ticks;
    swk_time tick_ns;
    uint64_t snapshot_interval;
    uint64_t entries_for_slow_followers;
    uint64_t message_size_max;
    uint32_t message_entries_max;
    uint32_t inflight_messages_max;
    uint64_t apply_size_max;
    uint64_t uncommitted_size_max;
    swk_time duration; /* of faults */
    /* Traffic. */
    uint32_t clients;
    uint32_t keys;
    swk_time op_interval; /* of each client */
    uint32_t reads_percent;
    uint32_t reads_anywhere_percent; /* of reads: asked of any member */
    size_t payload_max;
    /* The network. */
    swk_time latency;
    swk_time jitter;
    bool fifo; /* as a connection does it */
    bool wire; /* messages travel as bytes */
    uint32_t loss_ppm;
    uint32_t duplicate_ppm;
    uint32_t delay_ppm;
    uint32_t snapshot_cut_percent;
    /* Disks and applying. */
    swk_time disk_latency;
    swk_time apply_delay;
    bool refuse_removed; /* members drop what comes from removed ones */
    bool big_ids;
    bool expire_first;              /* time is told before any other event */
    swk_time interval[FAULT_COUNT]; /* mean, of those that come; 0: never */
};

/* What a profile may fix before the rest is drawn. */
struct overrides {
    const char *profile;
    uint32_t members;  /* 0: drawn */
    swk_time duration; /* 0: drawn */
    uint32_t without;  /* bit per fault that is off */
    enum plant plant;
    int trace;
    bool outcome_only;
    bool use_store; /* whatever the profile */
};

extern const char *const profile_names[];

/* False for an unknown profile. */
bool settings_draw(struct settings *s, uint64_t seed,
                   const struct overrides *overrides);
void settings_print(const struct settings *s, FILE *out);

/* -- Counts --------------------------------------------------------------- */

struct stats {
    uint64_t runs;
    uint64_t failed;
    uint64_t events;
    uint64_t simulated_ns;
    uint64_t faults[FAULT_COUNT];
    uint64_t messages;
    uint64_t dropped;
    uint64_t elections; /* leaders */
    uint64_t terms;
    uint64_t committed;    /* entries */
    uint64_t conf_changes; /* applied, in each run once */
    uint64_t joint;        /* of these, those that enter a joint one */
    uint64_t snapshots_saved;
    uint64_t snapshots_sent;
    uint64_t snapshots_installed;
    uint64_t restarts;
    uint64_t recoveries;  /* of members that lost entries */
    uint64_t torn;        /* writes lost or cut by a loss of power */
    uint64_t lost_acks;   /* durable, but the report was lost */
    uint64_t overwritten; /* entries */
    uint64_t operations;  /* answered */
    uint64_t reads;
    uint64_t lease_reads;
    uint64_t repeated; /* requests that were in the log before */
    uint64_t abandoned;
    uint64_t checked;   /* operations found linearizable */
    uint64_t undecided; /* registers with too much at once */
    uint64_t store_compares;
    uint64_t store_committed; /* proposals, as their proposers were told */
    uint64_t store_unknown;
    uint64_t store_slices;   /* of snapshots */
    uint64_t conflicts;      /* of versions */
    uint64_t quiet;          /* phases in which nothing may happen */
    uint64_t returns;        /* of members, without which there was a quorum */
    uint64_t quorum_unknown; /* runs that ended without a possible quorum */
};

void stats_add(struct stats *sum, const struct stats *more);
void stats_print(const struct stats *stats, double cpu_seconds, FILE *out);

/* -- Entries and snapshots, shared by all ---------------------------------- */

/* One entry of the log, known by its index and term. Lives as long as the
 * run: two that are equal are the same. */
struct blob {
    struct swk_log_entry entry;
    uint64_t previous_term; /* of the entry before it; UINT64_MAX: not seen */
    struct blob *other;     /* of another term at this index */
};

struct conf {
    uint64_t voters[CONF_IDS_MAX];
    uint64_t learners[CONF_IDS_MAX];
    uint64_t outgoing[CONF_IDS_MAX];
    uint64_t next[CONF_IDS_MAX];
    size_t voters_count;
    size_t learners_count;
    size_t outgoing_count;
    size_t next_count;
    int32_t auto_leave;
};

struct snapshot {
    int refs;
    struct swk_snapshot_meta meta; /* pointing into conf */
    struct conf conf;
    uint8_t *data;
    size_t len;
};

/* -- Disks ---------------------------------------------------------------- */

/* A log: entries from first on. */
struct log {
    uint64_t first;
    uint64_t base_term; /* of the entry before first */
    struct blob **entries;
    size_t count;
    size_t size;
};

enum disk_op_kind {
    DISK_APPEND,
    DISK_SAVE,    /* a snapshot of the own log */
    DISK_INSTALL, /* a snapshot that replaces the log */
};

struct disk_op {
    enum disk_op_kind kind;
    uint64_t ticket;
    bool has_hard;
    struct swk_hard_state hard;
    struct blob **entries;
    size_t count;
    struct snapshot *snapshot;
};

struct disk {
    /* Durable. */
    bool has_hard;
    struct swk_hard_state hard;
    struct snapshot *snapshot;
    struct snapshot *older; /* the one before is kept for those who read it */
    struct log log;
    uint64_t bound;     /* highest index that was ever durable */
    uint64_t rot_first; /* 0, or the entries that cannot be read any more */
    uint64_t rot_last;
    uint64_t lost; /* 0, or the bound of entries lost and not sent anew */
    /* Given, not durable yet; a ring, oldest first. */
    struct disk_op ops[DISK_OPS_MAX];
    size_t ops_first;
    size_t ops_count;
    uint64_t reported; /* ticket */
    uint64_t synced;   /* ticket of the newest durable write */
    bool busy;         /* a sync is under way: of the first sync_count */
    size_t sync_count;
    uint32_t epoch; /* of the current process */
    swk_time slow_until;
    swk_time stalled_until;
    bool fails; /* the next write does */
};

/* -- Members -------------------------------------------------------------- */

struct pending {
    uint64_t index;   /* of the proposal, of the read; 0: not known yet */
    uint64_t term;    /* of the proposal */
    uint64_t context; /* of a read; 0: a proposal */
    uint64_t floor;   /* of a read: what was answered before it was asked */
    uint32_t client;
    uint32_t request;
    uint32_t attempt;
};

struct machine; /* of states */

struct member {
    struct sim *sim;
    size_t slot;
    uint64_t id;
    char name[8];
    swk_raft *raft; /* NULL: it does not run */
    struct machine *machine;
    uint32_t incarnation;
    bool doomed;  /* it never comes back */
    bool removed; /* from the group, as of some committed entry */
    bool retired; /* the administrator took it away */
    bool bootstraps;
    bool starting; /* a restart is due */
    swk_time removed_at;
    uint64_t removed_index;

    /* Its clock. */
    swk_time clock_local;
    swk_time clock_sim;
    int32_t drift_permille;
    swk_time timer_at; /* simulated time of its deadline, or SWK_NEVER */
    swk_time deadline;
    swk_time paused_until;

    /* Driving. */
    int crash_in; /* steps until the power is lost; negative: it is not */
    bool driving; /* a turn is under way */
    bool storage_failed;         /* the member was told so */
    uint64_t lease_context;      /* of a read asked in this turn */
    struct snapshot *incoming;   /* received, the member was told of it */
    struct snapshot *saving;     /* of its own, being written */
    struct snapshot *installing; /* on its way to the disk */
    uint64_t early_ticket;       /* of a planted bug */
    uint64_t install_ticket;
    struct blob **to_apply;
    size_t to_apply_count;
    size_t to_apply_size;
    size_t to_apply_first;
    bool apply_due;
    struct pending pending[PENDING_MAX];
    size_t pending_count;
    uint64_t contexts;
    bool leads; /* announced */

    /* What the rules remember. */
    struct log mirror; /* what it was told to store, durable or not */
    struct swk_raft_status seen;
    uint64_t applied;
    uint64_t noted;          /* the rules know that it is committed so far */
    uint64_t conf_index;     /* of the change it applied last */
    uint64_t own_term_first; /* first entry of its leadership */
    swk_time leader_since;
    struct disk disk;
};

/* -- Events --------------------------------------------------------------- */

enum event_kind {
    EVENT_MESSAGE,
    EVENT_SNAPSHOT, /* all of one has arrived */
    EVENT_UNREACHABLE,
    EVENT_SNAPSHOT_REPORT,
    EVENT_SYNCED,
    EVENT_SYNC_REPORT,
    EVENT_APPLY,
    EVENT_SAVE, /* the own snapshot is complete */
    EVENT_START,
    EVENT_RESUME,
    EVENT_HEAL,
    EVENT_FAULT,
    EVENT_CLIENT,  /* its next operation, or its patience ends */
    EVENT_REQUEST, /* of a client, at a member */
    EVENT_REPLY,
    EVENT_ADMIN,
};

struct message {
    struct swk_raft_message raft; /* parts below */
    struct blob **entries;
    struct swk_log_entry *copies; /* for types without blobs */
    struct snapshot *snapshot;
    uint8_t context[SWK_RAFT_READ_CONTEXT_SIZE_MAX];
    uint8_t *bytes;
    size_t bytes_len;
};

struct request {
    uint32_t client;
    uint32_t request;
    uint32_t attempt;
    enum linear_kind kind;
    uint32_t key;
    int64_t a;
    int64_t b;
    uint64_t version; /* of the store's object: seen, or of a reply */
    int code;         /* of a reply */
    int64_t result;
    uint64_t hint; /* who leads */
};

struct event {
    enum event_kind kind;
    size_t member; /* slot */
    uint32_t incarnation;
    union {
        struct message message;
        struct request request;
        struct {
            uint64_t id;
            int32_t ok;
        } report;
        uint64_t number;
    } u;
    struct event *next_free;
};

struct due {
    swk_time at;
    uint64_t order;
    struct event *event;
};

/* -- Clients -------------------------------------------------------------- */

enum client_stage {
    CLIENT_IDLE,
    CLIENT_WAITS, /* for an answer */
    CLIENT_BACKS_OFF,
};

struct client {
    enum client_stage stage;
    uint32_t number; /* of its newest request */
    uint32_t attempt;
    uint32_t attempts;
    struct request op;
    int handle;        /* in the history of the key */
    bool maybe_logged; /* it may be in a log */
    struct {
        bool known;
        int64_t value;
        uint64_t version;
    } seen[KEYS_MAX]; /* with the store: what it has read */
    size_t target;
    uint32_t wake; /* generation of its EVENT_CLIENT */
    bool finished;
};

/* -- All of it ------------------------------------------------------------ */

struct commit_slot {
    struct blob *blob; /* NULL: not committed as far as known */
    uint64_t state;    /* digest of the state after it; 0: not known */
};

/* How far the log was committed by the leader of a term. */
struct commit_mark {
    uint64_t term;
    uint64_t index;
};

struct conf_step {
    uint64_t index;
    struct conf conf;
};

struct leader_of {
    uint64_t term;
    uint64_t id;
};

struct vote_of {
    uint64_t term;
    uint64_t candidate;
};

struct sim {
    struct settings s;
    struct stats stats;
    struct swki_rng rng; /* order of things */
    struct swki_rng fault_rng[FAULT_COUNT];
    struct swki_rng net_rng;
    struct swki_rng disk_rng;
    struct swki_rng client_rng;
    swk_time now;
    uint64_t order;
    struct due *heap;
    size_t heap_count;
    size_t heap_size;
    struct event *free_events;
    struct event *event_blocks;
    bool resting;     /* faults have ended */
    char broken[400]; /* the rule that does not hold; "" while all do */

    struct member *members[MEMBERS_MAX];
    size_t members_count;
    uint64_t ids_used;
    bool cut[MEMBERS_MAX][MEMBERS_MAX]; /* from, to */
    uint32_t cut_generation[MEMBERS_MAX][MEMBERS_MAX];
    swk_time last_arrival[MEMBERS_MAX][MEMBERS_MAX];
    swk_raft_decoder *decoder;

    struct client clients[CLIENTS_MAX];
    size_t clients_stopped;
    struct linear keys[KEYS_MAX];
    swk_time admin_next;

    /* The memory of the rules. */
    struct blob **by_index; /* every entry ever, by index */
    size_t by_index_size;
    uint64_t index_highest;
    struct commit_slot *commits; /* by index */
    size_t commits_size;
    uint64_t committed; /* the highest that any member knew */
    uint64_t answered;  /* the highest of a write whose client was told */
    uint64_t done_index; /* of the store's entries: whose requests are known */
    bool *done_requests[CLIENTS_MAX]; /* by number */
    size_t done_sizes[CLIENTS_MAX];
    struct commit_mark *marks; /* by term */
    size_t marks_count;
    size_t marks_size;
    struct conf_step *confs; /* configurations in force, by index */
    size_t confs_count;
    size_t confs_size;
    struct leader_of *leaders;
    size_t leaders_count;
    size_t leaders_size;
    uint64_t term_highest;
    uint64_t bootstrap_entries;
    struct vote_of *votes[MEMBERS_MAX];
    size_t votes_count[MEMBERS_MAX];
    size_t votes_size[MEMBERS_MAX];
    void **memory; /* of the run */
    size_t memory_count;
    size_t memory_size;
    uint8_t *chunk;
    size_t chunk_left;

    char trace[TRACE_LINES][TRACE_LINE_SIZE];
    uint64_t trace_count;
};

/* sim.c */
/* Runs from the settings to the end; broken says how it ended. */
struct sim *sim_run(const struct settings *s);
void sim_free(struct sim *sim);
void *sim_alloc(struct sim *sim, size_t len); /* zeroed, until sim_free() */
void *sim_grow(void *array, size_t *size, size_t need, size_t item);
struct event *sim_event(struct sim *sim, enum event_kind kind, size_t member);
void sim_post(struct sim *sim, swk_time at, struct event *event);
void sim_trace(struct sim *sim, const struct member *m, const char *format, ...)
    SWK_PRINTF(3, 4);
void sim_broken(struct sim *sim, const char *rule, const char *format, ...)
    SWK_PRINTF(3, 4);
/* Lets the time pass, until something is broken. */
void sim_advance(struct sim *sim, swk_time until);
struct member *sim_by_id(struct sim *sim, uint64_t id);
/* The member that leads in the highest term, or NULL. */
struct member *sim_leader(struct sim *sim);
swk_time sim_election(const struct sim *sim); /* an election timeout */

/* member.c */
struct member *member_new(struct sim *sim, bool bootstraps);
void member_free(struct member *m);
void member_start(struct member *m);
enum loss {
    LOSS_PROCESS, /* the kernel writes what it was given */
    LOSS_POWER,   /* what was not synced may be gone */
};
void member_crash(struct member *m, enum loss loss, swk_time down_for);
void member_retire(struct member *m);
void member_event(struct member *m, struct event *event);
void member_timer(struct member *m);
void member_drive(struct member *m);
void member_reschedule(struct member *m);
swk_time member_clock(const struct member *m);
void member_set_clock(struct member *m, swk_time jump, int32_t drift_permille);
void member_fail_pending(struct member *m);
/* Answers a request, through the network. */
void member_reply(struct member *m, const struct pending *to, int code,
                  int64_t result, uint64_t version);

/* apply.c */
void member_take_committed(struct member *m,
                           const struct swk_raft_actions *actions);
void member_apply(struct member *m);
void member_take_reads(struct member *m,
                       const struct swk_raft_actions *actions);
void member_answer_reads(struct member *m);
void member_save(struct member *m);       /* begins a snapshot */
void member_save_ready(struct member *m); /* it is complete */
void member_installed(struct member *m);
void member_request(struct member *m, const struct request *request);

/* machine.c */
struct machine *machine_new(struct member *m);
void machine_free(struct machine *machine);
void machine_apply(struct machine *machine, const struct blob *blob);
uint64_t machine_digest(struct machine *machine);
/* The same, or 0 where it would cost too much. */
uint64_t machine_digest_at(struct machine *machine, uint64_t index);
/* A snapshot of the state as it is; its data comes in slices, while entries are
 * applied. */
struct snapshot *machine_save(struct machine *machine,
                              const struct swk_snapshot_meta *meta);
bool machine_save_more(struct machine *machine, struct snapshot *snapshot);
void machine_restore(struct machine *machine, const struct snapshot *snapshot);
void machine_lose_leadership(struct machine *machine);
int64_t machine_read(const struct machine *machine, uint32_t key,
                     uint64_t *out_version);
/* The stored answer to a request, if it was applied. */
bool machine_answer(const struct machine *machine, uint32_t client,
                    uint32_t request, int64_t *out_result,
                    uint64_t *out_version);
/* Proposes; gives the index. */
int machine_propose(struct machine *machine, const struct request *request,
                    uint64_t *out_index);
/* Is the entry this request's? */
bool machine_is_request(const struct blob *blob, uint32_t client,
                        uint32_t request);

/* machine_store.c: the same for the store */
struct store_machine;
struct store_machine *store_machine_new(struct member *m);
void store_machine_free(struct store_machine *s);
void store_machine_apply(struct store_machine *s, const struct blob *blob);
uint64_t store_machine_digest(const struct store_machine *s);
uint64_t store_machine_digest_at(const struct store_machine *s, uint64_t index);
void store_machine_save(struct store_machine *s);
bool store_machine_save_more(struct store_machine *s,
                             struct snapshot *snapshot);
void store_machine_restore(struct store_machine *s,
                           const struct snapshot *snapshot);
void store_machine_lose_leadership(struct store_machine *s);
int64_t store_machine_read(const struct store_machine *s, uint32_t key,
                           uint64_t *out_version);
bool store_machine_answer(const struct store_machine *s, uint32_t client,
                          uint32_t request, int64_t *out_result,
                          uint64_t *out_version);
int store_machine_propose(struct store_machine *s,
                          const struct request *request, uint64_t *out_index);

/* disk.c */
void disk_append(struct member *m, const struct swk_hard_state *hard,
                 const struct swk_log_entry *entries, size_t count,
                 uint64_t ticket);
void disk_snapshot(struct member *m, enum disk_op_kind kind,
                   struct snapshot *snapshot, uint64_t ticket);
void disk_synced(struct member *m, uint32_t epoch);
void disk_crash(struct member *m, enum loss loss);
/* Tells the member what is stored; false if it cannot start from it. */
bool disk_load(struct member *m);
struct snapshot *disk_find_snapshot(struct disk *disk, uint64_t index,
                                    uint64_t term);
uint64_t disk_last(const struct disk *disk);
/* Does it hold this entry, or a snapshot of it, or know that it lost it? */
bool disk_holds(const struct disk *disk, uint64_t index,
                const struct blob *blob);
bool disk_rot(struct member *m);
void disk_fini(struct disk *disk);

void snapshot_unref(struct snapshot *snapshot);
struct snapshot *snapshot_ref(struct snapshot *snapshot);
struct snapshot *snapshot_new(const struct swk_snapshot_meta *meta, size_t len);
void snapshot_fill(struct snapshot *snapshot, const void *data, size_t len);
void conf_copy(struct conf *conf, const struct swk_conf_state *state);
void conf_view(const struct conf *conf, struct swk_conf_state *state);
bool conf_same(const struct conf *a, const struct conf *b);
bool conf_has_voter(const struct conf *conf, uint64_t id);
bool conf_has(const struct conf *conf, uint64_t id);
void conf_print(const struct conf *conf, char *text, size_t size);

void log_append(struct log *log, struct blob *blob); /* cuts what is there */
void log_reset(struct log *log, uint64_t index, uint64_t term);
void log_drop_to(struct log *log, uint64_t index, uint64_t term);
struct blob *log_at(const struct log *log, uint64_t index);
uint64_t log_last(const struct log *log);
/* UINT64_MAX if it is not known. */
uint64_t log_term(const struct log *log, uint64_t index);

/* net.c */
void net_send(struct member *m, const struct swk_raft_message *message);
void net_client(struct sim *sim, struct event *event);
void net_deliver(struct member *m, struct event *event);
void net_release(struct event *event);

/* client.c */
void clients_start(struct sim *sim);
void client_wake(struct sim *sim, size_t client, uint64_t generation);
void client_reply(struct sim *sim, const struct request *reply);
void clients_check(struct sim *sim);

/* faults.c */
void faults_start(struct sim *sim);
void fault_strike(struct sim *sim, enum fault fault);
void faults_end(struct sim *sim);
void net_heal(struct sim *sim, size_t from, size_t to, uint32_t generation);

/* admin.c */
void admin_change(struct sim *sim, struct swki_rng *rng);
void admin_look(struct sim *sim);
/* May this member be lost for good, and the group go on? */
bool admin_may_lose(struct sim *sim, const struct member *m);
/* The newest configuration in force. */
const struct conf *admin_conf(const struct sim *sim);

/* rules.c */
struct blob *rules_entry(struct sim *sim, const struct swk_log_entry *entry,
                         uint64_t previous_term);
void rules_actions(struct member *m, const struct swk_raft_actions *actions);
void rules_message(struct member *m, const struct swk_raft_message *message);
void rules_status(struct member *m);
void rules_committed(struct member *m);
void rules_applied(struct member *m, const struct blob *blob);
void rules_conf(struct member *m, uint64_t index);
void rules_installed(struct member *m, const struct snapshot *snapshot);
void rules_saved(struct member *m, const struct snapshot *snapshot);
void rules_lease_read(struct member *m);
void rules_read(struct member *m, const struct pending *read);
void rules_restart(struct member *m);
void rules_disks(struct sim *sim);

/* rest.c */
void rest(struct sim *sim);

#endif

/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A raft group in one process, in virtual time: members through their public
 * header, messages as bytes in a queue, disks in memory. Whoever uses it says
 * which links are cut, which disks hang, and who crashes.
 *
 * The application of each member is a sum over the entries it applied. All
 * members must have the same sum at the same index; that is checked always.
 */

#ifndef TESTS_LIB_RAFT_CLUSTER_H
#define TESTS_LIB_RAFT_CLUSTER_H

#include <stdbool.h>

#include <swarmkit/raft.h>

enum {
    CLUSTER_MEMBERS_MAX = 8,
    CLUSTER_INDEX_MAX = 65536,
    CLUSTER_IDS_MAX = 4 * CLUSTER_MEMBERS_MAX,
    CLUSTER_TICK_MS = 100,
};

/* A snapshot with the application's state. */
struct cluster_snapshot {
    struct swk_snapshot_meta meta; /* its lists are in ids; index 0: none */
    uint64_t ids[CLUSTER_IDS_MAX];
    uint64_t sum;
};

/* Something given to a disk that is not durable yet. */
struct cluster_write {
    struct cluster_write *next;
    uint64_t ticket;
    bool has_state;
    struct swk_hard_state state;
    struct swk_log_entry *entries;
    size_t entries_count;
    bool install;
    struct cluster_snapshot *snapshot; /* NULL: none */
};

struct cluster_disk {
    bool held; /* nothing becomes durable */
    bool has_state;
    struct swk_hard_state state;
    struct swk_log_entry *entries; /* by index; data is owned */
    uint64_t last;
    struct cluster_snapshot snapshot;
    struct cluster_write *writes;
    uint64_t appends; /* made durable so far */
};

struct cluster_member {
    struct cluster *cluster;
    uint64_t id; /* its place in the cluster, from 1 */
    swk_raft *raft; /* NULL while it is down */
    struct swk_raft_config config;
    struct cluster_disk disk;
    struct cluster_snapshot incoming; /* received, to be installed */

    uint64_t applied;
    uint64_t sum;
    bool leads; /* leadership was gained and not lost */
    uint64_t gained;
    uint64_t lost;
    uint64_t installed;
    int32_t failure;
    uint64_t failures; /* how often that was said */
    uint64_t reads;    /* answered */
    uint64_t read_index;
    uint8_t read_context[64];
    size_t read_context_len;
    uint64_t proposal; /* index of the latest one */
};

struct cluster_packet {
    struct cluster_packet *next;
    uint64_t from;
    uint64_t to;
    struct cluster_snapshot *snapshot; /* that goes with it, or NULL */
    size_t len;
    uint8_t bytes[];
};

struct cluster {
    swk_time now;
    struct cluster_member members[CLUSTER_MEMBERS_MAX + 1]; /* by ID */
    bool cut[CLUSTER_MEMBERS_MAX + 1][CLUSTER_MEMBERS_MAX + 1];
    struct cluster_packet *packets; /* a queue */
    struct cluster_packet **packets_end;
    swk_raft_decoder *decoder;
    uint64_t packets_count; /* sent so far */
    uint64_t snapshots_sent;
    bool drop_snapshots;             /* and report them as failed */
    bool patient; /* who lacks memory for a call makes it again */
    uint64_t sums[CLUSTER_INDEX_MAX]; /* by index; 0: not applied yet */
    /* Changes the configuration of a member before it is made; may be NULL. */
    void (*configure)(struct swk_raft_config *config, void *ctx);
    void *configure_ctx;
};

/* On the heap: it is large. */
struct cluster *cluster_new(void);
void cluster_free(struct cluster *c);

/* Makes members 1 to count, who found the group together, and lets them elect
 * a leader, who is returned. */
struct cluster_member *cluster_found(struct cluster *c, uint64_t count);

/* Makes a member whose disk is empty, or comes back with what is durable on
 * its disk. founders: how many found the group, 0 for one that joins or comes
 * back. Returns what swk_raft_start(), or what failed before it, returned. */
int cluster_start(struct cluster *c, uint64_t id, uint64_t founders);

/* The process ends: what is not durable is gone. */
void cluster_crash(struct cluster *c, uint64_t id);

/* Cuts (or mends) all links of a member. */
void cluster_isolate(struct cluster *c, uint64_t id);
void cluster_mend(struct cluster *c);

/* Lets everything happen that needs no time. */
void cluster_settle(struct cluster *c);

/* Lets time pass, tick by tick. */
void cluster_run(struct cluster *c, unsigned ticks);

/* The one member that was announced as leader and is not cut off; NULL if
 * there is none, or more than one. */
struct cluster_member *cluster_leader(struct cluster *c);

/* Runs until there is a leader; fails the test if there is none in time. */
struct cluster_member *cluster_elect(struct cluster *c);

/* One turn of a member's driver: false if nothing was due. */
bool cluster_turn(struct cluster_member *m);

/* Makes everything durable that was given to the disk. */
bool cluster_sync(struct cluster_member *m);

int cluster_propose(struct cluster_member *m, const char *text);

/* Proposes a change of one member and lets it be applied. */
int cluster_change(struct cluster_member *m, int32_t type, uint64_t id);

struct swk_raft_status cluster_status(const struct cluster_member *m);

/* Fails the test unless all running members that are in the configuration of
 * one of them applied the same. */
void cluster_check_converged(struct cluster *c);

#endif

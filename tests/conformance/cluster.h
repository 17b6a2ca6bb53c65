/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A group of members in one process, which a script drives step by step: the
 * machines, their storages, and the messages that are under way.
 *
 * Functions that can fail give NULL or the text of the error. Everything that
 * the machines give out is copied into an arena that lives as long as the
 * cluster.
 */

#ifndef TESTS_CONFORMANCE_CLUSTER_H
#define TESTS_CONFORMANCE_CLUSTER_H

#include "base/arena.h"
#include "core/raft/machine.h"

#include "faults.h"
#include "memlog.h"
#include "output.h"
#include "render.h"

enum {
    CLUSTER_NODES_MAX = 32,
};

/* Messages in order. */
struct queue {
    struct message *items;
    size_t count;
    size_t room;
};

struct cluster;

struct node {
    struct cluster *cluster;
    uint64_t id;
    struct swki_machine_config config;
    struct swki_machine *machine; /* NULL after a crash */
    struct memlog storage;
    struct queue append_work; /* asynchronous mode */
    struct queue apply_work;
    /* What was applied: a snapshot for every entry, oldest first. */
    struct swk_snapshot_meta *history;
    size_t history_count;
    size_t history_room;
    uint64_t lost; /* see node_restart() */
    char *fingerprint; /* of the machine, before a call */
};

struct cluster {
    struct swki_arena arena;
    struct faults *faults;
    struct output out;
    struct queue messages;
    struct node *nodes[CLUSTER_NODES_MAX]; /* that with ID 1 first */
    size_t nodes_count;
    struct swk_error err; /* of the last call */
};

void cluster_init(struct cluster *c, struct faults *faults);
void cluster_fini(struct cluster *c);

/* NULL if there is none with that ID, or it is down. */
struct node *cluster_node(struct cluster *c, uint64_t id);

/* Adds a node that starts from a snapshot; of index 0: from nothing. The
 * config lacks its ID and what belongs to the cluster. */
const char *cluster_add(struct cluster *c,
                        const struct swki_machine_config *config,
                        const struct swk_snapshot_meta *snapshot);

/* Delivers, or drops, the messages of a type to a node; of all for -1. Returns
 * how many there were. */
size_t cluster_deliver(struct cluster *c, uint64_t to, int32_t type, bool drop);

/* Whether any message to a node is under way. */
bool cluster_has_messages(const struct cluster *c, uint64_t to);

const char *node_process_ready(struct node *n);
const char *node_process_append(struct node *n);
const char *node_process_apply(struct node *n);

/* Puts a message under way, as it is. */
void cluster_send(struct cluster *c, const struct message *message);

/* The snapshot of the newest applied entry. */
const struct swk_snapshot_meta *node_snapshot(const struct node *n);

/* The snapshot of the applied entry at an index, or NULL. */
const struct swk_snapshot_meta *node_history_at(const struct node *n,
                                                uint64_t index);

/* The machine is lost; what is stored stays. */
void node_crash(struct node *n);

/* A new machine from what is stored. lost: 0, or up to where entries may have
 * been acknowledged that are not there. */
const char *node_restart(struct node *n, uint64_t lost);

/*
 * Around every call of a machine:
 *
 *     node_before(n);
 *     do {
 *         rc = swki_machine_...(n->machine, ..., &n->cluster->err);
 *     } while (node_again(n, rc));
 *
 * A call without memory is repeated, and must have changed nothing.
 */
void node_before(struct node *n);
bool node_again(struct node *n, int rc);

/* What such a call says: NULL for success. */
const char *node_result(struct node *n, int rc);

#endif

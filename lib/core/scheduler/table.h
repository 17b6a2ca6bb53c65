/* SPDX-License-Identifier: Apache-2.0 */

/* The scheduler's tables: what every node has left. */

#ifndef SWKI_SCHEDULER_TABLE_H
#define SWKI_SCHEDULER_TABLE_H

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "core/store/object.h"

enum {
    SWKI_FAILURES_MARK = 5, /* so many on a node make it a bad choice */
};

#define SWKI_FAILURES_PERIOD (5 * SWK_MINUTE)

/* A kind's amount, or one name of a kind. */
struct swki_generic {
    const char *kind; /* borrowed from the node object */
    const char *name; /* NULL for a discrete one */
    int64_t left;     /* 1 or 0 for a name */
};

struct swki_table_node {
    const struct swki_object *object;
    uint32_t index;         /* small and dense, for arrays by node */
    struct swki_link tasks; /* charged ones */
    uint32_t active;        /* of these, how many are meant to run */
    int64_t cpus_free;
    int64_t memory_free;
    struct swki_generic *generic;
    size_t generic_count;
    uint32_t *ports; /* host ports in use: protocol << 16 | port */
    size_t ports_count;
    size_t ports_size;
    /* What it lets run; NULL: anything. Borrowed from the object. */
    const Swkpb__Rpc__NodeConsent *consent;
    bool is_unreadable; /* its consent makes no sense: it gets nothing */
    char id[];
};

/* When tasks of one version of a service failed on one node; a ring. */
struct swki_failures {
    uint64_t version;
    uint32_t node_index;
    uint32_t count;
    uint32_t next;
    swk_time times[SWKI_FAILURES_MARK];
};

struct swki_table_service {
    uint32_t *counts; /* active tasks, by node index */
    size_t counts_size;
    struct swki_failures *failures;
    size_t failures_count;
    size_t failures_size;
    size_t users; /* tasks in the table */
    char id[];
};

struct swki_group;

struct swki_table_task {
    const struct swki_object *object;
    struct swki_table_service *service;
    struct swki_table_node *node; /* charged there; or NULL */
    struct swki_link node_link;
    const struct swki_object *charged; /* what was charged by */
    bool active;                       /* counted as such */
    bool came_with_node;
    struct swki_group *group; /* waits in it; or NULL */
    struct swki_link group_link;
    char id[];
};

struct swki_table {
    const struct swk_alloc *alloc;
    struct swki_map nodes;
    struct swki_map services;
    struct swki_map tasks;
    struct swki_table_node **by_index; /* NULL where none is */
    uint32_t indexes_count;            /* used so far */
    uint32_t indexes_size;
};

void swki_table_init(struct swki_table *table, const struct swk_alloc *alloc);
void swki_table_fini(struct swki_table *table);

/* Adds a node or takes over its new version; false for no memory. */
bool swki_table_put_node(struct swki_table *table,
                         const struct swki_object *object);
/* Its tasks stay, charged to nobody. */
void swki_table_remove_node(struct swki_table *table, const char *id);

/* The task's entry, made if need be, with this version; NULL for no memory. */
struct swki_table_task *swki_table_put_task(struct swki_table *table,
                                            const struct swki_object *object);
/* The task must be in no group. */
void swki_table_remove_task(struct swki_table *table,
                            struct swki_table_task *task);

/* Charges the task to a node by what object says; false for no memory. */
bool swki_table_charge(struct swki_table *table, struct swki_table_task *task,
                       struct swki_table_node *node,
                       const struct swki_object *object);
void swki_table_release(struct swki_table *table, struct swki_table_task *task);
/* Counts it as meant to run, or not. */
void swki_table_set_active(struct swki_table_task *task, bool active);

/* Claims what the task reserves of generic resources: writes the assignment
 * into an unsealed object. The charge that follows takes it off. */
int swki_table_claim(const struct swki_table_node *node,
                     struct swki_object *object);

uint32_t swki_table_count(const struct swki_table_service *service,
                          const struct swki_table_node *node);

/* Failures that still count; only up to SWKI_FAILURES_MARK. */
bool swki_table_add_failure(struct swki_table *table,
                            struct swki_table_service *service,
                            const struct swki_table_node *node,
                            uint64_t version, swk_time now);
uint32_t swki_table_failures(const struct swki_table_service *service,
                             const struct swki_table_node *node,
                             uint64_t version, swk_time now);

/* Reservations of a task, or NULL. */
const Swkpb__Resources *swki_reservations(const Swkpb__Task *task);
/* A host port that needs its number on the node; 0 for any other port. */
uint32_t swki_host_port(const Swkpb__PortConfig *port);

void swki_table_dump(const struct swki_table *table, struct swki_buf *out);

#endif

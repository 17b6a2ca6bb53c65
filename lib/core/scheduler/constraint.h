/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Placement constraints: "key == value" and "key != value".
 *
 * The control API checks them when a service is written, the scheduler when it
 * places a task, and the enforcer while the task runs; all three with this.
 */

#ifndef SWKI_SCHEDULER_CONSTRAINT_H
#define SWKI_SCHEDULER_CONSTRAINT_H

#include <stdbool.h>

#include <swarmkit/alloc.h>
#include <swarmkit/error.h>

#include "base/arena.h"
#include "objects.pb-c.h"

enum swki_constraint_key {
    SWKI_CONSTRAINT_NODE_ID,
    SWKI_CONSTRAINT_HOSTNAME,
    SWKI_CONSTRAINT_IP,
    SWKI_CONSTRAINT_ROLE,
    SWKI_CONSTRAINT_OS,
    SWKI_CONSTRAINT_ARCH,
    SWKI_CONSTRAINT_NODE_LABEL,
    SWKI_CONSTRAINT_ENGINE_LABEL,
    SWKI_CONSTRAINT_UNKNOWN, /* holds on no node, whatever the operator */
};

/* An address with the number of its bits that count; IPv4 is mapped. */
struct swki_ip_range {
    uint8_t address[16];
    unsigned bits; /* 0 to 128 */
    bool valid;
};

struct swki_constraint {
    enum swki_constraint_key key;
    bool negated;      /* "!=" */
    const char *label; /* name after the prefix, for the label keys */
    const char *value;
    struct swki_ip_range range; /* of value, for SWKI_CONSTRAINT_IP */
};

struct swki_constraints {
    struct swki_arena arena; /* holds the rest */
    struct swki_constraint *items;
    size_t count;
};

enum {
    SWKI_CONSTRAINTS_MAX = 1024, /* entries of one list */
};

/*
 * Reads a list. SWK_EINVAL with a text for users names the first entry that
 * breaks the grammar; a well-formed key that nothing knows is no error. On
 * success release it with swki_constraints_fini().
 */
int swki_constraints_parse(const struct swk_alloc *alloc, char *const *texts,
                           size_t texts_count, struct swki_constraints *out,
                           struct swk_error *err);
void swki_constraints_fini(struct swki_constraints *constraints);

/* Whether all of them hold on the node. */
bool swki_constraints_match(const struct swki_constraints *constraints,
                            const Swkpb__Node *node);

/* Labels, "" if there is none of that name. */
const char *swki_node_label(const Swkpb__Node *node, const char *name);
const char *swki_engine_label(const Swkpb__Node *node, const char *name);

/* Splits "node.labels.x" or "engine.labels.x"; UNKNOWN for any other text. */
enum swki_constraint_key swki_label_key(const char *text,
                                        const char **out_name);

#endif

/* SPDX-License-Identifier: Apache-2.0 */

/* The commands of files about whole groups. */

#ifndef TESTS_CONFORMANCE_INTERACTION_H
#define TESTS_CONFORMANCE_INTERACTION_H

#include "cluster.h"
#include "datafile.h"

struct command {
    const char *name;
    /* NULL, or the text of the error. */
    const char *(*carry_out)(struct cluster *c, const struct directive *d);
};

/* This project's own ones. */
extern const struct command own_commands[];
extern const size_t own_commands_count;

/* The command "add-nodes". */
const char *cluster_add_nodes(struct cluster *c, const struct directive *d);

/* The node that the argument at a place names; NULL if there is none. */
struct node *node_at(struct cluster *c, const struct directive *d, size_t at);

/* An event without arguments; what it gave. */
int node_event(struct node *n,
               int (*event)(struct swki_machine *m, struct swk_error *err));

/* So many ticks. */
const char *node_ticks(struct node *n, uint64_t count);

#endif

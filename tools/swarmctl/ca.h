/* SPDX-License-Identifier: Apache-2.0 */

/* The root CA of the swarm: what it is, and how far its rotation has come. */

#ifndef SWARMCTL_CA_H
#define SWARMCTL_CA_H

#include "flags.h"

extern const struct flag ca_rotate_flags[];
extern const struct flag ca_finish_flags[];

int run_ca_show(struct ctl *ctl, const struct args *args);
int run_ca_rotate(struct ctl *ctl, const struct args *args);
int run_ca_finish(struct ctl *ctl, const struct args *args);
int run_ca_abort(struct ctl *ctl, const struct args *args);

/* What --external-ca says takes the place of the list before; "none" empties
 * it. An exit code. */
int ca_read_external(struct ctl *ctl, const struct args *args,
                     Swkpb__CAConfig *config);

/* -- Who signs (ca_signers.c) --------------------------------------------- */

enum ca_root {
    CA_ROOT,
    CA_NEXT_ROOT, /* while it is rotated */
};

/* Who signs for a root, in the order in which they are asked, and why not. */
void ca_print_signers(struct ctl *ctl, const Swkpb__Cluster *cluster,
                      enum ca_root root);
/* External CAs that are named, and sign for neither root. */
void ca_print_other_signers(struct ctl *ctl, const Swkpb__Cluster *cluster);
/* All of that, as members of an object. */
void ca_json_signers(struct ctl *ctl, const Swkpb__Cluster *cluster);

/* False also for what is no certificate. */
bool ca_same_certificate(const ProtobufCBinaryData *a,
                         const ProtobufCBinaryData *b);

/* -- Progress (ca_progress.c) --------------------------------------------- */

/* A node that a rotation still waits for, or does not wait for. */
struct ca_missing {
    const Swkpb__Node *node;
    const char *why;
    const char *remedy; /* a line; NULL if it needs none */
    bool left_out;
    bool locked_out; /* by a rotation that is over */
};

/* How far a rotation has come. */
struct ca_progress {
    size_t nodes;
    size_t renewed;
    size_t left_out; /* of those that have not renewed */
    size_t missing_count;
    struct ca_missing *missing; /* by name of node */
};

/* If none is under way, who is missing was left out by the last ones. */
void ca_progress_read(struct pool *pool, const Swkpb__RootCA *root,
                      const Swkpb__ListNodesResponse *nodes,
                      struct ca_progress *out_progress);

/* One line, or two with the remedy. */
char *ca_missing_text(struct pool *pool, const struct ca_missing *missing);

/*
 * Waits until the swarm's root is the target, showing how far it is unless
 * quiet; until the rotation is given up or replaced, which is a failure, or
 * timeout_ns (0: none) is over, or the user interrupts, after which it goes on.
 * An exit code.
 */
int ca_follow(struct ctl *ctl, const char *cluster_id,
              const ProtobufCBinaryData *target, int64_t timeout_ns,
              bool quiet);

#endif

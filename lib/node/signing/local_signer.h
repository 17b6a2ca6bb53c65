/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The signer of a manager that holds the swarm's key itself: the key comes with
 * each job, and a thread of its own signs.
 */

#ifndef SWKI_NODE_LOCAL_SIGNER_H
#define SWKI_NODE_LOCAL_SIGNER_H

#include <swarmkit/alloc.h>
#include <swarmkit/port/entropy.h>
#include <swarmkit/port/signer.h>

struct swki_local_signer;

/* entropy, which must serve any thread, is copied. */
int swki_local_signer_new(const struct swk_alloc *alloc,
                          const struct swk_entropy *entropy,
                          struct swki_local_signer **out_signer,
                          struct swk_error *err);
void swki_local_signer_free(struct swki_local_signer *signer);

/* Borrowed until the signer is freed. */
const struct swk_signer *
swki_local_signer_port(const struct swki_local_signer *signer);

#endif

/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a node consents to run: one function that says whether a task is within
 * it, for the agent, which enforces it, and for the scheduler, which looks for
 * nodes that will take a task.
 */

#ifndef SWKI_CONSENT_CONSENT_H
#define SWKI_CONSENT_CONSENT_H

#include <swarmkit/error.h>

#include "base/arena.h"
#include "base/buf.h"
#include "objects.pb-c.h"

enum {
    SWKI_CONSENT_ENTRIES_MAX = 64, /* of one list */
    SWKI_CONSENT_PATTERN_LEN_MAX = 256,
    SWKI_CONSENT_VALUE_LEN_MAX = 1024, /* what is longer matches "*" alone */
};

/* What a node does not consent to, in the order in which it is looked at. */
enum swki_consent_reason {
    SWKI_CONSENT_GIVEN,
    SWKI_CONSENT_SIGNATURE,
    SWKI_CONSENT_EXECUTOR,
    SWKI_CONSENT_IMAGE,
    SWKI_CONSENT_USER,
    SWKI_CONSENT_MOUNT,
    SWKI_CONSENT_RESOURCE,
    SWKI_CONSENT_NAMESPACE,
    SWKI_CONSENT_CAPABILITY,
    SWKI_CONSENT_PRIVILEGE,
    SWKI_CONSENT_SYSCTL,
    SWKI_CONSENT_PORT,
    SWKI_CONSENT_LIMIT,
    SWKI_CONSENT_REASONS_COUNT,
};

/*
 * Whether the task is within what the node consents to, which is valid;
 * out_why, which may be NULL, receives the first thing that is not, with
 * SWK_EDENIED. The task is as far allocated as it gets before it has a node.
 */
enum swki_consent_reason
swki_consent_check(const Swkpb__Rpc__NodeConsent *consent,
                   const Swkpb__Task *task, struct swk_error *out_why);

/* Whether it judges images, or bind mounts, by where they are, so that a link
 * in their paths could lead past it. */
bool swki_consent_bounds_images(const Swkpb__Rpc__NodeConsent *consent);
bool swki_consent_bounds_binds(const Swkpb__Rpc__NodeConsent *consent);

/* Whether it is well formed and within bounds: SWK_EINVAL with the place. */
int swki_consent_validate(const Swkpb__Rpc__NodeConsent *consent,
                          struct swk_error *err);

/* A policy file's text: JSON of swarmkit.v1.NodeConsent, without what the node
 * says itself. Memory of the arena. Errors name the place. */
int swki_consent_read(const char *text, size_t len, struct swki_arena *arena,
                      Swkpb__Rpc__NodeConsent **out_consent,
                      struct swk_error *err);

/* Appends lines that say what it means. False for no memory. */
bool swki_consent_describe(const Swkpb__Rpc__NodeConsent *consent,
                           struct swki_buf *out);

#endif

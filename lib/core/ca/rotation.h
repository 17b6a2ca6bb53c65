/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a change of the CA's settings means: nothing, another key for the root
 * that the swarm has, the end of a rotation under way, or a rotation to another
 * root.
 *
 * A pure decision over what the swarm has, what is asked for, and what was
 * worked out so far. If something must be done first that takes time (a root to
 * be made, one to be signed under another, a signer to be found that holds a
 * key), the plan says what; its outcome is added to the work, and the decision
 * taken again, against what the swarm has by then.
 *
 * While a rotation is under way, nodes trust the old root still; what is issued
 * is signed by the new one, whose key the old one has signed: the cross
 * certificate. So who has a new certificate and who has not trust each other.
 */

#ifndef SWKI_CA_ROTATION_H
#define SWKI_CA_ROTATION_H

#include <stdbool.h>

#include <swarmkit/error.h>
#include <swarmkit/port/entropy.h>

#include "base/arena.h"
#include "base/buf.h"
#include "crypto/x509.h"
#include "types.pb-c.h"

/* A root that a swarm goes over to must be good for so long. */
#define SWKI_ROTATION_VALIDITY_MIN (365 * 24 * SWK_HOUR)

enum {
    SWKI_ROTATION_URLS_MAX = 16,  /* external CAs of one root */
    SWKI_ROTATION_CHECKS_MAX = 4, /* roots that are looked for a signer of */
};

/* -- What is to be done first --------------------------------------------- */

enum swki_rotation_need_kind {
    SWKI_ROTATION_NEEDS_NOTHING,
    SWKI_ROTATION_NEEDS_ROOT,  /* a new root and its key */
    SWKI_ROTATION_NEEDS_CROSS, /* root, signed by the authority */
    SWKI_ROTATION_NEEDS_CHECK, /* whether anyone signs for the authority */
};

/* Borrowed from the arena of the decision and from its question. */
struct swki_rotation_need {
    enum swki_rotation_need_kind kind;
    struct swki_pem authority;
    struct swki_pem
        authority_key;        /* secret; empty: the swarm does not hold it */
    struct swki_pem root;     /* CROSS */
    struct swki_pem root_key; /* CROSS by an external CA: secret, too */
    const char *const *urls;  /* external CAs of the authority, in order */
    size_t urls_count;
};

/* How it ended. */
struct swki_rotation_result {
    int code; /* 0, or why not */
    const char *text;
    struct swki_pem certificate; /* ROOT, CROSS */
    struct swki_pem key;         /* ROOT; empty: whoever made it keeps it */
};

struct swki_rotation_check {
    struct swki_buf authority; /* PEM, normalised */
    struct swk_error outcome;
};

/* What was done so far. Keys in it are wiped at its end. */
struct swki_rotation_work {
    const struct swk_alloc *alloc;
    struct swki_buf root; /* a new one; empty: none was made */
    struct swki_buf root_key;
    struct swki_buf cross;
    struct swki_buf cross_root;      /* that it is of */
    struct swki_buf cross_authority; /* that signed it */
    struct swki_rotation_check checks[SWKI_ROTATION_CHECKS_MAX];
    size_t checks_count;
};

void swki_rotation_work_init(struct swki_rotation_work *work,
                             const struct swk_alloc *alloc);
void swki_rotation_work_fini(struct swki_rotation_work *work);

/*
 * Adds the outcome of what a plan needed, after it was checked like anything
 * that comes from outside. A failed check of a signer is an outcome like
 * another; SWK_EINTERNAL if a root or cross certificate is not there or of no
 * use: then the change fails.
 */
int swki_rotation_work_add(struct swki_rotation_work *work,
                           const struct swki_rotation_need *need,
                           const struct swki_rotation_result *result,
                           swk_wall now, const struct swk_entropy *entropy,
                           struct swk_error *err);

/* -- The decision --------------------------------------------------------- */

struct swki_rotation_question {
    const Swkpb__RootCA *root;     /* what the swarm has */
    const Swkpb__CAConfig *config; /* what is asked for; NULL: nothing */
    swk_wall now;
    const struct swk_entropy *entropy; /* for work with keys */
};

enum swki_rotation_step {
    SWKI_ROTATION_KEEP,     /* nothing changes */
    SWKI_ROTATION_REKEY,    /* the root has the key of the plan, which may be
                               none; a rotation under way is given up */
    SWKI_ROTATION_CONTINUE, /* the rotation under way goes on with the key */
    SWKI_ROTATION_START,    /* one begins, in place of one under way */
    SWKI_ROTATION_WORK,     /* not decided: see need */
};

/* Borrowed from the arena, the question and the work. */
struct swki_rotation_plan {
    enum swki_rotation_step step;
    struct swki_pem certificate; /* START: the new root, normalised */
    struct swki_pem key;         /* its key, or that of REKEY or CONTINUE */
    struct swki_pem cross;       /* START */
    struct swki_rotation_need need;
};

/*
 * Decides. SWK_EINVAL if what is asked for cannot be, SWK_EINTERNAL if the
 * swarm's own root is of no use.
 */
int swki_rotation_decide(const struct swki_rotation_question *question,
                         const struct swki_rotation_work *work,
                         struct swki_arena *arena,
                         struct swki_rotation_plan *out_plan,
                         struct swk_error *err);

/*
 * Writes a plan that is decided to the swarm's record, which is the caller's
 * own; new parts come from the arena. force_rotate is the counter of the
 * settings that it answers.
 */
int swki_rotation_apply(const struct swki_rotation_plan *plan,
                        uint64_t force_rotate, struct swki_arena *arena,
                        Swkpb__RootCA *root, struct swk_error *err);

/* Whether both name the same external CAs; either may be NULL. */
bool swki_rotation_same_external_cas(const Swkpb__CAConfig *a,
                                     const Swkpb__CAConfig *b);

#endif

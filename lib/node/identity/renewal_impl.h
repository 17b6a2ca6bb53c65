/* SPDX-License-Identifier: Apache-2.0 */

/* The inside of a renewal, for its own files. */

#ifndef SWKI_NODE_RENEWAL_IMPL_H
#define SWKI_NODE_RENEWAL_IMPL_H

#include "core/ca/renewer.h"
#include "node/identity/clock_skew.h"
#include "node/identity/renewal.h"

/* A certificate that did not come by then is asked for anew. */
#define SWKI_RENEWAL_PATIENCE (2 * SWK_MINUTE)

enum {
    /* The start of a root's fingerprint, enough to compare it by eye. */
    SWKI_RENEWAL_ROOT_SIZE = 17, /* 16 of its 64 digits, and a NUL */
};

/* One certificate, from the request on. */
struct swki_renewal_attempt {
    struct swki_ask *ask;          /* under way, or NULL */
    struct swki_credentials fresh; /* being made: key, and then chain */
    struct swki_buf csr;
    bool by_proof; /* the old certificate has ended */
    /* The request may have been sent before: what became of it is asked first.
     */
    bool taken_up;
    char node_id[SWK_ID_LEN_MAX + 1]; /* whose certificate is asked about */
    uint32_t polls;                   /* that brought nothing */
    swk_time poll_due;                /* SWK_NEVER */
    swk_time give_up;                 /* SWK_NEVER while there is no attempt */
    struct swki_clock_skew skew;      /* as the answer to the request tells */
};

/* Why managers and this node do not understand each other. */
struct swki_renewal_inquiry {
    struct swki_ask *ask; /* under way, or NULL */
    swk_time not_before;  /* so that it is not asked all the time */
    swk_time next_at;     /* when another one is asked; SWK_NEVER */
    bool told;            /* that this node is shut out */
    /* Who said so last, and which root it has. */
    char shut_out_by[SWKI_REMOTE_ADDRESS_SIZE];
    char their_root[SWKI_RENEWAL_ROOT_SIZE];
};

struct swki_renewal {
    struct swki_renewal_config config;
    struct swki_loop_member member;
    struct swki_renewer renewer;
    struct swki_rng rng; /* of the pauses between polls */
    struct swki_renewal_attempt attempt;
    struct swki_renewal_inquiry inquiry;
    /* The last news: what is new in the next ones. */
    uint32_t seen_role; /* that the swarm grants */
    bool seen_rotate;
    bool told_kind; /* that this program cannot manage */
    uint8_t refused_roots[SWKI_SHA256_SIZE]; /* said once */
};

swk_wall swki_renewal_wall(const struct swki_renewal *renewal);

/* ---- the clock (renewal_clock.c) ---- */

/* A certificate has just been taken: what it, and the manager, tell of this
 * machine's clock. A wrong one does no harm yet, and will when it is too late
 * to ask. */
void swki_renewal_tell_clock(const struct swki_renewal *renewal,
                             const struct swki_renewer_certificate *validity);

/* The clock was set, if it was. */
void swki_renewal_tell_jump(struct swki_renewal *renewal);

/* ---- roots (renewal_roots.c) ---- */

/* Roots from a manager that was verified. */
void swki_renewal_take_roots(struct swki_renewal *renewal,
                             struct swki_pem roots, swk_time now);

/* A manager that was verified took this node: if it is shut out again, that is
 * told again. */
void swki_renewal_let_in(struct swki_renewal *renewal);

/* Asks a manager for the roots, and for the time, without believing it. */
void swki_renewal_inquire(struct swki_renewal *renewal, swk_time now);

/* Goes on to the managers that were not asked yet, and returns when to call it
 * again. */
swk_time swki_renewal_inquire_on(struct swki_renewal *renewal, swk_time now);

#endif

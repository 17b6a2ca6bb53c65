/* SPDX-License-Identifier: Apache-2.0 */

/*
 * When a node renews its certificate.
 *
 * By itself it does so at a moment drawn from between a half and four fifths of
 * the certificate's validity, so that the nodes of a swarm do not all come at
 * once; soon after it was asked to, for another role or under another root; and
 * at once if the certificate has ended. After each failure it pauses, for a
 * random time that grows.
 *
 *     READ ----> WAITING --(moment, end)------> RENEWING
 *      | ^          |                            |  ^
 *      | |          +--(request)-> ASKED --(pause)  |
 *      | +--(5 min)                              |  |
 *      +-> UNREADABLE          (failure, old role)  |
 *                                                v  |
 *                                               PAUSING
 *
 * The end of a certificate is a date, pauses are durations: the calendar is
 * looked at again and again, since it may be set, and the machine may sleep.
 *
 * The moment of a certificate that was issued just now may have passed all the
 * same: the calendar is ahead, or the life is short beside the time by which
 * the CA dates it back. Another one would be no better, so the moment is then
 * one of the time that is left by this calendar.
 *
 * The machine has no memory of its own, and nothing of a manager.
 */

#ifndef SWKI_CA_RENEWER_H
#define SWKI_CA_RENEWER_H

#include <stdbool.h>

#include <swarmkit/types.h>

#include "base/rng.h"
#include "base/roles.h"

/* So that the CA can get to know of the role it is to be for. */
#define SWKI_RENEWER_REQUEST_PAUSE (500 * SWK_MILLISECOND)
#define SWKI_RENEWER_UNREADABLE_PAUSE (5 * SWK_MINUTE)
/* How long the calendar goes unwatched. */
#define SWKI_RENEWER_LOOK_PAUSE (15 * SWK_SECOND)
/* A calendar that moved so far against the other clock was set. */
#define SWKI_RENEWER_JUMP SWK_MINUTE
#define SWKI_RENEWER_BACKOFF_STEP (5 * SWK_SECOND)
#define SWKI_RENEWER_BACKOFF_MAX SWK_HOUR
#define SWKI_RENEWER_WARN_PERIOD (24 * SWK_HOUR)
/* Nobody asks sooner for a certificate in the place of one just issued. */
#define SWKI_RENEWER_FRESH_MIN SWK_MINUTE

enum {
    SWKI_RENEWER_FROM_PERCENT = 50,
    SWKI_RENEWER_TO_PERCENT = 80,
};

/* What there is to know of a node's certificate. */
struct swki_renewer_certificate {
    swk_wall not_before;
    swk_wall not_after;
    uint32_t role; /* SWKI_ROLE_... */
    bool fresh;    /* issued just now, at the request of this node */
};

enum swki_renewer_state {
    SWKI_RENEWER_READ,       /* the certificate is to be read */
    SWKI_RENEWER_UNREADABLE, /* and will be again */
    SWKI_RENEWER_WAITING,    /* for the moment */
    SWKI_RENEWER_ASKED,      /* to renew, and about to */
    SWKI_RENEWER_RENEWING,
    SWKI_RENEWER_PAUSING, /* after a failure */
};

/* What is to be done now. */
enum swki_renewer_task {
    SWKI_RENEWER_NOTHING,
    /* Read the certificate; then certificate() or unreadable(). */
    SWKI_RENEWER_DO_READ,
    /* Get another one; then certificate() or failed(). */
    SWKI_RENEWER_DO_RENEW,
};

struct swki_renewer {
    struct swki_rng rng;
    enum swki_renewer_state state;
    struct swki_renewer_certificate certificate;
    uint32_t expected; /* role; SWKI_ROLE_NONE: whichever comes */
    swk_wall moment;   /* to renew by itself */
    swk_time due;      /* in ASKED, PAUSING and UNREADABLE */
    uint32_t failures; /* in a row */
    bool again;        /* asked to while it renews */
    bool seen;         /* the calendar, as follows */
    swk_wall seen_wall;
    swk_time seen_now;
    swk_wall jump; /* of the calendar, since it was taken */
    swk_time warn_due;
};

void swki_renewer_init(struct swki_renewer *renewer, uint64_t seed);

/* What is due. A task is given once, and stands until it is answered. */
enum swki_renewer_task swki_renewer_step(struct swki_renewer *renewer,
                                         swk_time now, swk_wall wall);

/* When to step if nothing happens first, or SWK_NEVER. */
swk_time swki_renewer_deadline(const struct swki_renewer *renewer, swk_time now,
                               swk_wall wall);

/* The certificate that is in force: read, or renewed. False if it has not the
 * role that is expected, or had ended when it came: the next renewal follows.
 */
bool swki_renewer_certificate(
    struct swki_renewer *renewer, swk_time now, swk_wall wall,
    const struct swki_renewer_certificate *certificate);
void swki_renewer_unreadable(struct swki_renewer *renewer, swk_time now);
void swki_renewer_failed(struct swki_renewer *renewer, swk_time now);

/* Asks for a renewal, whatever the time. */
void swki_renewer_request(struct swki_renewer *renewer, swk_time now);

/* Asks for certificates until one has this role. Saying the same again changes
 * nothing, and the role it has already ends what was asked for another. */
void swki_renewer_expect(struct swki_renewer *renewer, swk_time now,
                         uint32_t role);

/* By how much the calendar moved against the other clock since this was asked
 * last, as it was set or the machine slept: ahead, or back if negative. */
swk_wall swki_renewer_take_jump(struct swki_renewer *renewer);

/* Whether the certificate has ended. */
bool swki_renewer_expired(const struct swki_renewer *renewer, swk_wall wall);

/* Whether to warn that less than a fifth of the validity is left, and renewing
 * fails: true once a day. */
bool swki_renewer_warns(struct swki_renewer *renewer, swk_time now,
                        swk_wall wall);

#endif

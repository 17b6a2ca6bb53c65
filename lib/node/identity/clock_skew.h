/* SPDX-License-Identifier: Apache-2.0 */

/*
 * By how much this machine's clock is wrong, as far as a manager's answer
 * tells: certificates that cannot be valid are most often a clock's fault.
 *
 * The manager stamps its answer somewhere between question and answer: the
 * middle is taken, and half the time between is how far off that may be.
 */

#ifndef SWKI_NODE_CLOCK_SKEW_H
#define SWKI_NODE_CLOCK_SKEW_H

#include <stdbool.h>

#include <swarmkit/error.h>

#include "node/identity/remotes.h"
#include "wire/message.h"

/* A clock that is wrong by less is none of the reasons. */
#define SWKI_CLOCK_SKEW_MIN SWK_MINUTE

enum {
    SWKI_CLOCK_TIME_TEXT_SIZE = 64,
    SWKI_CLOCK_SPAN_TEXT_SIZE = 48,
    SWKI_CLOCK_SKEW_TEXT_SIZE = 192 + SWKI_REMOTE_ADDRESS_SIZE,
};

/* All zeros: nothing was measured. */
struct swki_clock_skew {
    bool measured;
    swk_wall ahead;    /* of the manager's clock; negative: behind */
    swk_time error_ns; /* of that, either way */
    char address[SWKI_REMOTE_ADDRESS_SIZE]; /* of the manager */
};

/* Takes a manager's time out of an answer that has just come, a round trip
 * after it was asked for. Without a time nothing is measured. */
void swki_clock_skew_measure(struct swki_clock_skew *skew,
                             const Swkpb__Timestamp *time, swk_wall wall,
                             swk_time round_trip, const char *address);

/* Whether the clock is wrong enough to explain a certificate's dates. */
bool swki_clock_skew_matters(const struct swki_clock_skew *skew);

/* "this machine's clock is 3h12m behind that of manager 192.0.2.1:4242
 * (measured, +-20 ms): set it right (timedatectl)" */
void swki_clock_skew_text(const struct swki_clock_skew *skew,
                          char out_text[SWKI_CLOCK_SKEW_TEXT_SIZE]);

/* "3h12m", "45 days" */
void swki_clock_span_text(swk_time span,
                          char out_text[SWKI_CLOCK_SPAN_TEXT_SIZE]);

/* "2030-01-01T00:00:00Z" */
void swki_clock_time_text(swk_wall time,
                          char out_text[SWKI_CLOCK_TIME_TEXT_SIZE]);

/* Says so in the place of what failed, if it matters: SWK_ECLOCK. */
void swki_clock_skew_explain(const struct swki_clock_skew *skew,
                             struct swk_error *err);

#endif

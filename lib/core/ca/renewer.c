/* SPDX-License-Identifier: Apache-2.0 */

#include "core/ca/renewer.h"

#include <string.h>

enum {
    WARN_PERCENT = 80,  /* of the validity has passed */
    DOUBLINGS_MAX = 10, /* of the back-off: beyond it is an hour */
};

void swki_renewer_init(struct swki_renewer *r, uint64_t seed)
{
    memset(r, 0, sizeof(*r));
    swki_rng_init(&r->rng, seed);
    r->state = SWKI_RENEWER_READ;
    r->expected = SWKI_ROLE_NONE;
}

static bool is_known(const struct swki_renewer *r)
{
    return r->certificate.not_after > r->certificate.not_before;
}

/* A point of the validity. */
static swk_wall after_percent(const struct swki_renewer *r, unsigned percent)
{
    const struct swki_renewer_certificate *c = &r->certificate;

    return c->not_before + (c->not_after - c->not_before) / 100 * percent;
}

static swk_wall draw_between(struct swki_renewer *r, swk_wall from, swk_wall to)
{
    return from + (swk_wall)swki_rng_below(&r->rng, (uint64_t)(to - from) + 1);
}

static void draw_moment(struct swki_renewer *r)
{
    r->moment = draw_between(r, after_percent(r, SWKI_RENEWER_FROM_PERCENT),
                             after_percent(r, SWKI_RENEWER_TO_PERCENT));
}

/* The same part of what is left of a certificate that has not ended. */
static void draw_moment_of_rest(struct swki_renewer *r, swk_wall wall)
{
    swk_wall percent = (r->certificate.not_after - wall) / 100;
    swk_wall least = wall + (swk_wall)SWKI_RENEWER_FRESH_MIN;

    r->moment = wall + draw_between(r, percent * SWKI_RENEWER_FROM_PERCENT,
                                    percent * SWKI_RENEWER_TO_PERCENT);
    if (r->moment < least) {
        r->moment = least;
    }
}

static swk_time draw_pause(struct swki_renewer *r)
{
    unsigned doublings = r->failures > 1 ? r->failures - 1 : 0;
    swk_time bound = SWKI_RENEWER_BACKOFF_MAX;

    if (doublings < DOUBLINGS_MAX) {
        bound = SWKI_RENEWER_BACKOFF_STEP +
                (SWKI_RENEWER_BACKOFF_STEP << doublings);
    }
    if (bound > SWKI_RENEWER_BACKOFF_MAX) {
        bound = SWKI_RENEWER_BACKOFF_MAX;
    }
    return swki_rng_below(&r->rng, bound);
}

static void pause_after_failure(struct swki_renewer *r, swk_time now)
{
    if (r->failures < UINT32_MAX) {
        r->failures++;
    }
    r->state = SWKI_RENEWER_PAUSING;
    r->due = now + draw_pause(r);
}

/* -- The calendar --------------------------------------------------------- */

/* How the calendar was set since it was seen last, or the machine slept; 0 for
 * what is no more than two clocks that drift. */
static swk_wall jump_of(const struct swki_renewer *r, swk_time now,
                        swk_wall wall)
{
    swk_wall gap = wall - (r->seen_wall + (swk_wall)(now - r->seen_now));
    bool counts =
        gap > (swk_wall)SWKI_RENEWER_JUMP || gap < -(swk_wall)SWKI_RENEWER_JUMP;

    return r->seen && counts ? gap : 0;
}

swk_wall swki_renewer_take_jump(struct swki_renewer *r)
{
    swk_wall jump = r->jump;

    r->jump = 0;
    return jump;
}

/* A calendar that was wrong is a reason to have failed. */
static void try_soon(struct swki_renewer *r, swk_time now)
{
    swk_time due = now + swki_rng_below(&r->rng, SWKI_RENEWER_BACKOFF_STEP);

    if (r->state == SWKI_RENEWER_PAUSING && due < r->due) {
        r->due = due;
    }
}

/* All nodes wake up, or are set right, at the same time: another draw spreads
 * those that are within the window, and nobody waits who is beyond it. */
static void look_at_calendar(struct swki_renewer *r, swk_time now,
                             swk_wall wall)
{
    swk_wall jump = jump_of(r, now, wall);

    r->jump += jump;
    if (jump != 0 && is_known(r)) {
        draw_moment(r);
        try_soon(r, now);
    }
    r->seen = true;
    r->seen_wall = wall;
    r->seen_now = now;
}

bool swki_renewer_expired(const struct swki_renewer *r, swk_wall wall)
{
    return is_known(r) && wall > r->certificate.not_after;
}

bool swki_renewer_warns(struct swki_renewer *r, swk_time now, swk_wall wall)
{
    if (!is_known(r) || r->failures == 0 ||
        wall < after_percent(r, WARN_PERCENT) || now < r->warn_due) {
        return false;
    }
    r->warn_due = now + SWKI_RENEWER_WARN_PERIOD;
    return true;
}

/* -- Steps ---------------------------------------------------------------- */

static bool is_due(const struct swki_renewer *r, swk_time now, swk_wall wall)
{
    switch (r->state) {
    case SWKI_RENEWER_READ:
        return true;
    case SWKI_RENEWER_WAITING:
        return wall >= r->moment;
    case SWKI_RENEWER_UNREADABLE:
    case SWKI_RENEWER_ASKED:
    case SWKI_RENEWER_PAUSING:
        return now >= r->due;
    case SWKI_RENEWER_RENEWING:
        break;
    }
    return false;
}

enum swki_renewer_task swki_renewer_step(struct swki_renewer *r, swk_time now,
                                         swk_wall wall)
{
    look_at_calendar(r, now, wall);
    if (!is_due(r, now, wall)) {
        return SWKI_RENEWER_NOTHING;
    }
    if (r->state == SWKI_RENEWER_READ || r->state == SWKI_RENEWER_UNREADABLE) {
        /* Should it not be answered, it is asked for again. */
        r->state = SWKI_RENEWER_UNREADABLE;
        r->due = now + SWKI_RENEWER_UNREADABLE_PAUSE;
        return SWKI_RENEWER_DO_READ;
    }
    r->state = SWKI_RENEWER_RENEWING;
    r->again = false;
    return SWKI_RENEWER_DO_RENEW;
}

swk_time swki_renewer_deadline(const struct swki_renewer *r, swk_time now,
                               swk_wall wall)
{
    swk_time look = now + SWKI_RENEWER_LOOK_PAUSE;
    swk_time due = r->due;

    switch (r->state) {
    case SWKI_RENEWER_READ:
        return now;
    case SWKI_RENEWER_RENEWING:
        return look;
    case SWKI_RENEWER_WAITING:
        due = wall < r->moment ? now + (swk_time)(r->moment - wall) : now;
        break;
    case SWKI_RENEWER_UNREADABLE:
    case SWKI_RENEWER_ASKED:
    case SWKI_RENEWER_PAUSING:
        break;
    }
    return due < look ? due : look;
}

/* -- Answers -------------------------------------------------------------- */

static bool has_role(const struct swki_renewer *r)
{
    return r->expected == SWKI_ROLE_NONE || r->expected == r->certificate.role;
}

bool swki_renewer_certificate(
    struct swki_renewer *r, swk_time now, swk_wall wall,
    const struct swki_renewer_certificate *certificate)
{
    bool renewed = r->state == SWKI_RENEWER_RENEWING;
    bool fits;

    r->certificate = *certificate;
    look_at_calendar(r, now, wall);
    draw_moment(r);
    /* One that has ended would be renewed at once, again and again. */
    fits = has_role(r) && !(renewed && swki_renewer_expired(r, wall));
    if (!fits && renewed) {
        pause_after_failure(r, now);
        return false;
    }
    if (renewed && certificate->fresh && r->moment <= wall) {
        draw_moment_of_rest(r, wall);
    }
    if (fits) {
        r->expected = SWKI_ROLE_NONE;
        r->failures = 0;
        r->warn_due = 0;
    }
    r->state = SWKI_RENEWER_WAITING;
    if (r->again || !fits) {
        swki_renewer_request(r, now);
    }
    return fits;
}

void swki_renewer_unreadable(struct swki_renewer *r, swk_time now)
{
    r->state = SWKI_RENEWER_UNREADABLE;
    r->due = now + SWKI_RENEWER_UNREADABLE_PAUSE;
}

void swki_renewer_failed(struct swki_renewer *r, swk_time now)
{
    pause_after_failure(r, now);
    if (r->again) {
        swki_renewer_request(r, now);
    }
}

/* -- Requests ------------------------------------------------------------- */

void swki_renewer_request(struct swki_renewer *r, swk_time now)
{
    swk_time due = now + SWKI_RENEWER_REQUEST_PAUSE;

    switch (r->state) {
    case SWKI_RENEWER_RENEWING:
        r->again = true;
        break;
    case SWKI_RENEWER_ASKED:
        break;
    case SWKI_RENEWER_PAUSING:
        r->due = due < r->due ? due : r->due;
        break;
    case SWKI_RENEWER_READ:
    case SWKI_RENEWER_UNREADABLE:
    case SWKI_RENEWER_WAITING:
        r->state = SWKI_RENEWER_ASKED;
        r->due = due;
        break;
    }
}

void swki_renewer_expect(struct swki_renewer *r, swk_time now, uint32_t role)
{
    if (r->expected == role) {
        return;
    }
    if (r->certificate.role == role) {
        r->expected = SWKI_ROLE_NONE;
        return;
    }
    r->expected = role;
    /* What is under way may bring it. */
    if (r->state != SWKI_RENEWER_RENEWING) {
        swki_renewer_request(r, now);
    }
}

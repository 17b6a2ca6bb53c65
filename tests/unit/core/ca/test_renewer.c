/* SPDX-License-Identifier: Apache-2.0 */

/* When a node renews its certificate: by time, on request, after failures. */

#include "lib/cmocka_all.h"

#include "core/ca/renewer.h"

#define DAY (24 * (swk_wall)SWK_HOUR)
/* 2030-01-01T00:00:00Z */
#define START (INT64_C(1893456000) * INT64_C(1000000000))
#define VALIDITY (90 * DAY)

enum {
    SEEDS = 200,
};

struct f {
    struct swki_renewer renewer;
    swk_time now;
    swk_wall wall;
};

static struct swki_renewer_certificate worker_from(swk_wall not_before)
{
    return (struct swki_renewer_certificate){
        .not_before = not_before,
        .not_after = not_before + VALIDITY,
        .role = SWKI_ROLE_WORKER,
    };
}

/* A node that has read its certificate. */
static void begin(struct f *f, uint64_t seed)
{
    const struct swki_renewer_certificate worker = worker_from(START);

    *f = (struct f){.now = 7 * SWK_SECOND, .wall = START};
    swki_renewer_init(&f->renewer, seed);
    assert_int_equal(swki_renewer_step(&f->renewer, f->now, f->wall),
                     SWKI_RENEWER_DO_READ);
    assert_true(
        swki_renewer_certificate(&f->renewer, f->now, f->wall, &worker));
}

static enum swki_renewer_task step(struct f *f)
{
    return swki_renewer_step(&f->renewer, f->now, f->wall);
}

/* Both clocks go on. */
static void pass(struct f *f, swk_time duration)
{
    f->now += duration;
    f->wall += (swk_wall)duration;
}

/* Steps at deadlines until a task is given, and returns how long that took. */
static swk_time wait_for(struct f *f, enum swki_renewer_task task)
{
    swk_time start = f->now;
    enum swki_renewer_task given;

    while ((given = step(f)) == SWKI_RENEWER_NOTHING) {
        swk_time deadline = swki_renewer_deadline(&f->renewer, f->now, f->wall);

        assert_true(deadline > f->now);
        assert_true(deadline - f->now <= SWKI_RENEWER_LOOK_PAUSE);
        pass(f, deadline - f->now);
    }
    assert_int_equal(given, task);
    return f->now - start;
}

static void moment_is_between_half_and_four_fifths(void **state)
{
    swk_wall earliest = INT64_MAX;
    swk_wall latest = 0;
    struct f f;

    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        swk_wall at;

        begin(&f, seed);
        at = f.renewer.moment - START;
        assert_true(at >= VALIDITY / 100 * 50 && at <= VALIDITY / 100 * 80);
        earliest = at < earliest ? at : earliest;
        latest = at > latest ? at : latest;
    }
    /* Spread over all of it. */
    assert_true(earliest < VALIDITY / 100 * 52);
    assert_true(latest > VALIDITY / 100 * 78);
}

static void certificate_is_renewed_at_its_moment_and_not_before(void **state)
{
    struct f f;

    (void)state;
    begin(&f, 1);
    f.wall = f.renewer.moment - 1;
    f.renewer.seen = false;
    assert_int_equal(step(&f), SWKI_RENEWER_NOTHING);
    pass(&f, 1);
    assert_int_equal(step(&f), SWKI_RENEWER_DO_RENEW);
    assert_int_equal(step(&f), SWKI_RENEWER_NOTHING);
}

static void each_certificate_has_a_moment_of_its_own(void **state)
{
    struct swki_renewer_certificate next;
    struct f f;

    (void)state;
    begin(&f, 1);
    f.wall = f.renewer.moment;
    assert_int_equal(step(&f), SWKI_RENEWER_DO_RENEW);
    next = worker_from(f.wall);
    assert_true(swki_renewer_certificate(&f.renewer, f.now, f.wall, &next));
    assert_true(f.renewer.moment - f.wall >= VALIDITY / 100 * 50);
    assert_int_equal(step(&f), SWKI_RENEWER_NOTHING);
}

static void expired_certificate_is_renewed_at_once(void **state)
{
    const struct swki_renewer_certificate old =
        worker_from(START - 2 * VALIDITY);
    struct f f = {.wall = START};

    (void)state;
    swki_renewer_init(&f.renewer, 1);
    assert_int_equal(step(&f), SWKI_RENEWER_DO_READ);
    swki_renewer_certificate(&f.renewer, f.now, f.wall, &old);
    assert_true(swki_renewer_expired(&f.renewer, f.wall));
    assert_int_equal(step(&f), SWKI_RENEWER_DO_RENEW);
    swki_renewer_failed(&f.renewer, f.now);
    assert_true(wait_for(&f, SWKI_RENEWER_DO_RENEW) <
                2 * SWKI_RENEWER_BACKOFF_STEP);
}

static void sleep_past_the_moment_is_noticed(void **state)
{
    struct f f;

    (void)state;
    begin(&f, 1);
    /* The other clock stands still while the machine sleeps. */
    f.wall = START + VALIDITY / 100 * 85;
    assert_true(wait_for(&f, SWKI_RENEWER_DO_RENEW) <= SWKI_RENEWER_LOOK_PAUSE);
}

static void clock_that_is_set_draws_another_moment(void **state)
{
    unsigned changed = 0;
    struct f f;

    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        swk_wall before;

        begin(&f, seed);
        assert_int_equal(step(&f), SWKI_RENEWER_NOTHING);
        before = f.renewer.moment;
        f.wall += 10 * DAY;
        assert_int_equal(step(&f), SWKI_RENEWER_NOTHING);
        changed += f.renewer.moment != before;
        /* Time that passes is no jump. */
        before = f.renewer.moment;
        pass(&f, 3600 * SWK_SECOND);
        assert_int_equal(step(&f), SWKI_RENEWER_NOTHING);
        assert_true(f.renewer.moment == before);
    }
    assert_true(changed > SEEDS - 3);
}

static void jump_of_the_clock_is_told_once(void **state)
{
    struct f f;

    (void)state;
    begin(&f, 1);
    assert_true(swki_renewer_take_jump(&f.renewer) == 0);
    pass(&f, SWK_HOUR);
    f.wall += (swk_wall)SWKI_RENEWER_JUMP; /* they drift */
    (void)step(&f);
    assert_true(swki_renewer_take_jump(&f.renewer) == 0);
    pass(&f, SWK_HOUR);
    f.wall += 100 * DAY;
    (void)step(&f);
    assert_true(swki_renewer_take_jump(&f.renewer) == 100 * DAY);
    assert_true(swki_renewer_take_jump(&f.renewer) == 0);
    f.wall -= 185 * DAY;
    (void)step(&f);
    assert_true(swki_renewer_take_jump(&f.renewer) == -185 * DAY);
}

static void clock_set_back_delays_and_breaks_nothing(void **state)
{
    struct f f;

    (void)state;
    begin(&f, 1);
    f.wall = START - 30 * DAY;
    assert_int_equal(step(&f), SWKI_RENEWER_NOTHING);
    assert_true(swki_renewer_deadline(&f.renewer, f.now, f.wall) ==
                f.now + SWKI_RENEWER_LOOK_PAUSE);
    f.wall = START + VALIDITY / 100 * 81;
    assert_int_equal(step(&f), SWKI_RENEWER_DO_RENEW);
}

static void every_failure_is_followed_by_a_pause_within_bounds(void **state)
{
    static const swk_time bounds[] = {
        10 * SWK_SECOND,   15 * SWK_SECOND,  25 * SWK_SECOND,
        45 * SWK_SECOND,   85 * SWK_SECOND,  165 * SWK_SECOND,
        325 * SWK_SECOND,  645 * SWK_SECOND, 1285 * SWK_SECOND,
        2565 * SWK_SECOND, SWK_HOUR,         SWK_HOUR,
        SWK_HOUR,
    };
    const unsigned count = sizeof(bounds) / sizeof(bounds[0]);
    swk_time longest[sizeof(bounds) / sizeof(bounds[0])] = {0};
    struct f f;

    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        begin(&f, seed);
        f.wall = START + VALIDITY / 100 * 81;
        f.renewer.seen = false;
        assert_int_equal(step(&f), SWKI_RENEWER_DO_RENEW);
        for (unsigned i = 0; i < count; i++) {
            swk_time pause;

            swki_renewer_failed(&f.renewer, f.now);
            pause = f.renewer.due - f.now;
            assert_true(pause < bounds[i]);
            longest[i] = pause > longest[i] ? pause : longest[i];
            f.now = f.renewer.due;
            assert_int_equal(step(&f), SWKI_RENEWER_DO_RENEW);
        }
    }
    for (unsigned i = 0; i < count; i++) {
        assert_true(longest[i] > bounds[i] / 2);
    }
}

static void success_ends_the_growth_of_pauses(void **state)
{
    struct swki_renewer_certificate next;
    struct f f;

    (void)state;
    begin(&f, 1);
    swki_renewer_request(&f.renewer, f.now);
    for (int i = 0; i < 8; i++) {
        wait_for(&f, SWKI_RENEWER_DO_RENEW);
        swki_renewer_failed(&f.renewer, f.now);
    }
    wait_for(&f, SWKI_RENEWER_DO_RENEW);
    next = worker_from(f.wall);
    swki_renewer_certificate(&f.renewer, f.now, f.wall, &next);
    assert_int_equal(f.renewer.failures, 0);
    assert_int_equal(step(&f), SWKI_RENEWER_NOTHING);
}

static void request_is_carried_out_after_half_a_second(void **state)
{
    struct f f;

    (void)state;
    begin(&f, 1);
    swki_renewer_request(&f.renewer, f.now);
    swki_renewer_request(&f.renewer, f.now + 1); /* no later for that */
    assert_true(wait_for(&f, SWKI_RENEWER_DO_RENEW) ==
                SWKI_RENEWER_REQUEST_PAUSE);
}

static void request_cuts_a_pause_short(void **state)
{
    struct f f;

    (void)state;
    begin(&f, 1);
    swki_renewer_request(&f.renewer, f.now);
    wait_for(&f, SWKI_RENEWER_DO_RENEW);
    for (int i = 0; i < 9; i++) {
        swki_renewer_failed(&f.renewer, f.now);
        f.now = f.renewer.due;
        assert_int_equal(step(&f), SWKI_RENEWER_DO_RENEW);
    }
    swki_renewer_failed(&f.renewer, f.now);
    swki_renewer_request(&f.renewer, f.now);
    assert_true(wait_for(&f, SWKI_RENEWER_DO_RENEW) <=
                SWKI_RENEWER_REQUEST_PAUSE);
}

static void clock_that_is_set_cuts_a_pause_short(void **state)
{
    struct f f;

    (void)state;
    begin(&f, 1);
    swki_renewer_request(&f.renewer, f.now);
    wait_for(&f, SWKI_RENEWER_DO_RENEW);
    f.renewer.failures = 20;
    swki_renewer_failed(&f.renewer, f.now);
    f.renewer.due = f.now + SWK_HOUR;
    f.wall += 3 * (swk_wall)SWK_HOUR;
    assert_true(wait_for(&f, SWKI_RENEWER_DO_RENEW) <
                SWKI_RENEWER_BACKOFF_STEP);
}

static void certificate_that_has_ended_is_no_end_of_renewals(void **state)
{
    const struct swki_renewer_certificate older =
        worker_from(START - VALIDITY - DAY);
    struct f f;

    (void)state;
    begin(&f, 1);
    swki_renewer_request(&f.renewer, f.now);
    wait_for(&f, SWKI_RENEWER_DO_RENEW);
    assert_false(swki_renewer_certificate(&f.renewer, f.now, f.wall, &older));
    assert_int_equal(f.renewer.failures, 1);
    assert_int_equal(step(&f), SWKI_RENEWER_NOTHING); /* not at once */
    wait_for(&f, SWKI_RENEWER_DO_RENEW);
}

/* A certificate that comes for what the node has just asked. */
static void take_fresh(struct f *f, swk_wall not_before, swk_time validity)
{
    const struct swki_renewer_certificate fresh = {
        .not_before = not_before,
        .not_after = not_before + (swk_wall)validity,
        .role = SWKI_ROLE_WORKER,
        .fresh = true,
    };

    assert_int_equal(f->renewer.state, SWKI_RENEWER_RENEWING);
    assert_true(swki_renewer_certificate(&f->renewer, f->now, f->wall, &fresh));
}

/* Whoever is 80 days ahead would ask for ever. */
static void fresh_certificate_is_not_due_by_a_clock_that_is_ahead(void **state)
{
    const swk_wall ahead = 80 * DAY;
    struct f f;

    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        begin(&f, seed);
        f.wall = START + ahead;
        assert_int_equal(step(&f), SWKI_RENEWER_DO_RENEW);
        for (int i = 0; i < 3; i++) {
            swk_time waited;

            take_fresh(&f, f.wall - ahead, VALIDITY);
            assert_int_equal(f.renewer.failures, 0);
            assert_int_equal(step(&f), SWKI_RENEWER_NOTHING);
            waited = (swk_time)(f.renewer.moment - f.wall);
            /* Of the ten days that are left. */
            assert_true(waited >= 5 * DAY && waited <= 8 * DAY);
            pass(&f, SWK_HOUR);
            assert_int_equal(step(&f), SWKI_RENEWER_NOTHING);
            pass(&f, waited - SWK_HOUR);
            assert_int_equal(step(&f), SWKI_RENEWER_DO_RENEW);
        }
        /* Nothing of it is left when the clock is right. */
        take_fresh(&f, f.wall - ahead, VALIDITY);
        f.wall -= ahead;
        assert_int_equal(step(&f), SWKI_RENEWER_NOTHING);
        assert_true(f.renewer.moment >= f.wall + VALIDITY / 100 * 50);
    }
}

static void fresh_certificate_about_to_end_is_kept_for_a_minute(void **state)
{
    const swk_wall ahead = 90 * DAY - (swk_wall)SWK_SECOND;
    struct f f;

    (void)state;
    begin(&f, 1);
    f.wall = START + ahead;
    assert_int_equal(step(&f), SWKI_RENEWER_DO_RENEW);
    for (int i = 0; i < 3; i++) {
        take_fresh(&f, f.wall - ahead, VALIDITY);
        assert_true(wait_for(&f, SWKI_RENEWER_DO_RENEW) >=
                    SWKI_RENEWER_FRESH_MIN);
    }
}

/* Ten minutes, behind an hour that lies in the past. */
static void
certificate_shorter_than_its_back_dating_lives_its_life(void **state)
{
    struct f f;

    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        begin(&f, seed);
        swki_renewer_request(&f.renewer, f.now);
        wait_for(&f, SWKI_RENEWER_DO_RENEW);
        for (int i = 0; i < 3; i++) {
            swk_time waited;

            take_fresh(&f, f.wall - (swk_wall)SWK_HOUR, 70 * SWK_MINUTE);
            waited = wait_for(&f, SWKI_RENEWER_DO_RENEW);
            assert_true(waited >= 5 * SWK_MINUTE && waited <= 8 * SWK_MINUTE);
        }
    }
}

/* What waited for the node since before is as old as it looks. */
static void
late_certificate_that_was_issued_before_is_renewed_at_once(void **state)
{
    const struct swki_renewer_certificate old = worker_from(START - 80 * DAY);
    struct f f;

    (void)state;
    begin(&f, 1);
    swki_renewer_request(&f.renewer, f.now);
    wait_for(&f, SWKI_RENEWER_DO_RENEW);
    assert_true(swki_renewer_certificate(&f.renewer, f.now, f.wall, &old));
    assert_int_equal(step(&f), SWKI_RENEWER_DO_RENEW);
}

static void request_during_a_renewal_asks_for_the_next(void **state)
{
    struct swki_renewer_certificate next;
    struct f f;

    (void)state;
    begin(&f, 1);
    swki_renewer_request(&f.renewer, f.now);
    wait_for(&f, SWKI_RENEWER_DO_RENEW);
    swki_renewer_request(&f.renewer, f.now);
    assert_int_equal(step(&f), SWKI_RENEWER_NOTHING);
    next = worker_from(f.wall);
    assert_true(swki_renewer_certificate(&f.renewer, f.now, f.wall, &next));
    assert_true(wait_for(&f, SWKI_RENEWER_DO_RENEW) ==
                SWKI_RENEWER_REQUEST_PAUSE);
    swki_renewer_certificate(&f.renewer, f.now, f.wall, &next);
    assert_int_equal(step(&f), SWKI_RENEWER_NOTHING);
}

static void old_role_is_not_enough_until_the_new_one_comes(void **state)
{
    struct swki_renewer_certificate next;
    struct f f;

    (void)state;
    begin(&f, 1);
    swki_renewer_expect(&f.renewer, f.now, SWKI_ROLE_MANAGER);
    assert_true(wait_for(&f, SWKI_RENEWER_DO_RENEW) ==
                SWKI_RENEWER_REQUEST_PAUSE);
    next = worker_from(f.wall);
    for (int i = 0; i < 3; i++) {
        assert_false(
            swki_renewer_certificate(&f.renewer, f.now, f.wall, &next));
        swki_renewer_expect(&f.renewer, f.now, SWKI_ROLE_MANAGER);
        assert_int_equal(f.renewer.state, SWKI_RENEWER_PAUSING);
        wait_for(&f, SWKI_RENEWER_DO_RENEW);
    }
    next.role = SWKI_ROLE_MANAGER;
    assert_true(swki_renewer_certificate(&f.renewer, f.now, f.wall, &next));
    assert_int_equal(step(&f), SWKI_RENEWER_NOTHING);
}

static void expected_role_is_forgotten_after_success(void **state)
{
    struct swki_renewer_certificate next;
    struct f f;

    (void)state;
    begin(&f, 1);
    swki_renewer_expect(&f.renewer, f.now, SWKI_ROLE_MANAGER);
    wait_for(&f, SWKI_RENEWER_DO_RENEW);
    next = worker_from(f.wall);
    next.role = SWKI_ROLE_MANAGER;
    assert_true(swki_renewer_certificate(&f.renewer, f.now, f.wall, &next));
    /* A later demotion is not held up by what was expected once. */
    swki_renewer_request(&f.renewer, f.now);
    wait_for(&f, SWKI_RENEWER_DO_RENEW);
    next.role = SWKI_ROLE_WORKER;
    assert_true(swki_renewer_certificate(&f.renewer, f.now, f.wall, &next));
}

static void change_of_mind_ends_the_expectation(void **state)
{
    struct swki_renewer_certificate next;
    struct f f;

    (void)state;
    begin(&f, 1);
    swki_renewer_expect(&f.renewer, f.now, SWKI_ROLE_MANAGER);
    wait_for(&f, SWKI_RENEWER_DO_RENEW);
    swki_renewer_expect(&f.renewer, f.now, SWKI_ROLE_WORKER);
    next = worker_from(f.wall);
    assert_true(swki_renewer_certificate(&f.renewer, f.now, f.wall, &next));
}

static void
unreadable_certificate_is_read_again_after_five_minutes(void **state)
{
    const struct swki_renewer_certificate worker = worker_from(START);
    struct f f = {.wall = START};

    (void)state;
    swki_renewer_init(&f.renewer, 1);
    assert_int_equal(step(&f), SWKI_RENEWER_DO_READ);
    swki_renewer_unreadable(&f.renewer, f.now);
    assert_false(swki_renewer_expired(&f.renewer, f.wall));
    assert_false(swki_renewer_warns(&f.renewer, f.now, f.wall));
    assert_true(wait_for(&f, SWKI_RENEWER_DO_READ) ==
                SWKI_RENEWER_UNREADABLE_PAUSE);
    assert_true(swki_renewer_certificate(&f.renewer, f.now, f.wall, &worker));
    assert_int_equal(step(&f), SWKI_RENEWER_NOTHING);
}

static void last_fifth_is_warned_of_once_a_day(void **state)
{
    struct swki_renewer_certificate next;
    struct f f;

    (void)state;
    begin(&f, 1);
    f.wall = START + VALIDITY / 100 * 80 - 1;
    f.renewer.seen = false;
    swki_renewer_request(&f.renewer, f.now);
    wait_for(&f, SWKI_RENEWER_DO_RENEW);
    f.wall = START + VALIDITY / 100 * 80;
    assert_false(swki_renewer_warns(&f.renewer, f.now, f.wall));
    swki_renewer_failed(&f.renewer, f.now);
    f.wall = START + VALIDITY / 100 * 80 - 1;
    assert_false(swki_renewer_warns(&f.renewer, f.now, f.wall));
    pass(&f, 1);
    assert_true(swki_renewer_warns(&f.renewer, f.now, f.wall));
    pass(&f, 24 * SWK_HOUR - 1);
    assert_false(swki_renewer_warns(&f.renewer, f.now, f.wall));
    pass(&f, 1);
    assert_true(swki_renewer_warns(&f.renewer, f.now, f.wall));
    next = worker_from(f.wall);
    swki_renewer_certificate(&f.renewer, f.now, f.wall, &next);
    pass(&f, 25 * SWK_HOUR);
    assert_false(swki_renewer_warns(&f.renewer, f.now, f.wall));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moment_is_between_half_and_four_fifths),
        cmocka_unit_test(certificate_is_renewed_at_its_moment_and_not_before),
        cmocka_unit_test(each_certificate_has_a_moment_of_its_own),
        cmocka_unit_test(expired_certificate_is_renewed_at_once),
        cmocka_unit_test(sleep_past_the_moment_is_noticed),
        cmocka_unit_test(clock_that_is_set_draws_another_moment),
        cmocka_unit_test(jump_of_the_clock_is_told_once),
        cmocka_unit_test(clock_set_back_delays_and_breaks_nothing),
        cmocka_unit_test(every_failure_is_followed_by_a_pause_within_bounds),
        cmocka_unit_test(success_ends_the_growth_of_pauses),
        cmocka_unit_test(request_is_carried_out_after_half_a_second),
        cmocka_unit_test(request_cuts_a_pause_short),
        cmocka_unit_test(clock_that_is_set_cuts_a_pause_short),
        cmocka_unit_test(certificate_that_has_ended_is_no_end_of_renewals),
        cmocka_unit_test(fresh_certificate_is_not_due_by_a_clock_that_is_ahead),
        cmocka_unit_test(fresh_certificate_about_to_end_is_kept_for_a_minute),
        cmocka_unit_test(
            certificate_shorter_than_its_back_dating_lives_its_life),
        cmocka_unit_test(
            late_certificate_that_was_issued_before_is_renewed_at_once),
        cmocka_unit_test(request_during_a_renewal_asks_for_the_next),
        cmocka_unit_test(old_role_is_not_enough_until_the_new_one_comes),
        cmocka_unit_test(expected_role_is_forgotten_after_success),
        cmocka_unit_test(change_of_mind_ends_the_expectation),
        cmocka_unit_test(
            unreadable_certificate_is_read_again_after_five_minutes),
        cmocka_unit_test(last_fifth_is_warned_of_once_a_day),
    };

    return cmocka_run_group_tests_name("renewer", tests, NULL, NULL);
}

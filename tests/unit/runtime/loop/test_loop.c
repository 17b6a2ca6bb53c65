/* SPDX-License-Identifier: Apache-2.0 */

/* The loop: order of a turn, wake-ups, many posting threads, a clean stop. */

#include "lib/cmocka_all.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>

#include "runtime/loop/loop.h"

enum {
    THREADS = 4,
    POSTS = 500,
};

static swk_time fixed_now(void *ctx)
{
    return *(swk_time *)ctx;
}

struct f {
    swk_time now;
    struct swk_clock clock;
    struct swki_loop *loop;
    struct swki_loop_member member;
    char trace[64];
    swk_time next;
};

static void note(struct f *f, char c)
{
    size_t len = strlen(f->trace);

    if (len + 1 < sizeof(f->trace)) {
        f->trace[len] = c;
    }
}

static swk_time turn(void *ctx, swk_time now)
{
    struct f *f = ctx;

    assert_int_equal(now, f->now);
    note(f, 't');
    return f->next;
}

static void flush(void *ctx, swk_time now)
{
    (void)now;
    note(ctx, 'f');
}

static void set_up(struct f *f)
{
    *f = (struct f){.now = 1000, .next = SWK_NEVER};
    f->clock = (struct swk_clock){
        .size = sizeof(f->clock), .ctx = &f->now, .now = fixed_now};
    assert_int_equal(swki_loop_new(NULL, &f->clock, &f->loop, NULL), 0);
    f->member =
        (struct swki_loop_member){.ctx = f, .turn = turn, .flush = flush};
    swki_loop_add(f->loop, &f->member);
}

static void tear_down(struct f *f)
{
    swki_loop_remove(f->loop, &f->member);
    swki_loop_free(f->loop);
}

struct letter {
    struct swki_message message;
    struct f *f;
    char name;
    struct letter *then; /* posted by the handler */
};

static void handle_letter(struct swki_message *message, swk_time now)
{
    struct letter *letter = SWKI_CONTAINER(message, struct letter, message);

    assert_int_equal(now, letter->f->now);
    note(letter->f, letter->name);
    if (letter->then != NULL) {
        swki_loop_post(letter->f->loop, &letter->then->message);
    }
}

static struct letter letter(struct f *f, char name)
{
    return (struct letter){
        .message = {.handle = handle_letter}, .f = f, .name = name};
}

static bool readable(struct f *f)
{
    struct pollfd p = {.fd = swki_loop_fd(f->loop), .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

static void a_turn_delivers_in_order_then_decides_then_flushes(void **state)
{
    struct f f;

    (void)state;
    set_up(&f);
    struct letter a = letter(&f, 'a');
    struct letter b = letter(&f, 'b');

    swki_loop_post(f.loop, &a.message);
    swki_loop_post(f.loop, &b.message);
    assert_true(readable(&f));
    swki_loop_process(f.loop);
    assert_string_equal(f.trace, "abtf");
    assert_false(readable(&f));
    tear_down(&f);
}

static void what_a_handler_posts_comes_in_the_next_turn(void **state)
{
    struct f f;

    (void)state;
    set_up(&f);
    struct letter a = letter(&f, 'a');
    struct letter b = letter(&f, 'b');

    a.then = &b;
    swki_loop_post(f.loop, &a.message);
    swki_loop_process(f.loop);
    assert_string_equal(f.trace, "atf");
    assert_true(readable(&f));
    swki_loop_process(f.loop);
    assert_string_equal(f.trace, "atfbtf");
    tear_down(&f);
}

static void a_cancelled_message_is_not_delivered_and_loses_no_other(void **state)
{
    struct f f;

    (void)state;
    set_up(&f);
    struct letter a = letter(&f, 'a');
    struct letter b = letter(&f, 'b');
    struct letter c = letter(&f, 'c');

    swki_loop_post(f.loop, &a.message);
    swki_loop_post(f.loop, &b.message);
    swki_loop_cancel(f.loop, &b.message);
    swki_loop_post(f.loop, &c.message);
    assert_true(readable(&f));
    swki_loop_process(f.loop);
    assert_string_equal(f.trace, "actf");
    tear_down(&f);
}

static void the_deadline_is_the_earliest_of_the_members(void **state)
{
    struct f f;

    (void)state;
    set_up(&f);
    struct f other = f;
    struct swki_loop_member second = {.ctx = &other, .turn = turn};

    f.next = 3000;
    other.next = 2000;
    swki_loop_add(f.loop, &second);
    swki_loop_process(f.loop);
    assert_int_equal(swki_loop_deadline(f.loop), 2000);
    swki_loop_remove(f.loop, &second);
    swki_loop_process(f.loop);
    assert_int_equal(swki_loop_deadline(f.loop), 3000);
    tear_down(&f);
}

struct remover {
    struct swki_loop *loop;
    struct swki_loop_member *victim;
};

static swk_time remove_victim(void *ctx, swk_time now)
{
    struct remover *remover = ctx;

    (void)now;
    if (remover->victim != NULL) {
        swki_loop_remove(remover->loop, remover->victim);
        remover->victim = NULL;
    }
    return SWK_NEVER;
}

static void a_member_may_remove_the_next_one_and_itself(void **state)
{
    struct f f;

    (void)state;
    set_up(&f);
    struct f second = f;
    struct f third = f;
    struct swki_loop_member victim = {.ctx = &second, .turn = turn};
    struct swki_loop_member last = {.ctx = &third, .turn = turn};
    struct remover remover = {f.loop, &victim};
    struct swki_loop_member first = {.ctx = &remover, .turn = remove_victim};

    swki_loop_add(f.loop, &first);
    swki_loop_add(f.loop, &victim);
    swki_loop_add(f.loop, &last);
    swki_loop_process(f.loop);
    remover.victim = &first;
    swki_loop_process(f.loop);
    assert_string_equal(second.trace, "");
    assert_string_equal(third.trace, "tt");
    swki_loop_remove(f.loop, &last);
    tear_down(&f);
}

static void freeing_delivers_what_is_left(void **state)
{
    struct f f;

    (void)state;
    set_up(&f);
    struct letter a = letter(&f, 'a');

    swki_loop_post(f.loop, &a.message);
    tear_down(&f);
    assert_string_equal(f.trace, "a");
}

struct poster {
    pthread_t thread;
    struct swki_loop *loop;
    struct count_message {
        struct swki_message message;
        struct counts *counts;
        unsigned who;
        unsigned number;
    } messages[POSTS];
};

struct counts {
    struct swki_loop *loop;
    unsigned total;
    unsigned next[THREADS];
    bool disorder;
};

static void count(struct swki_message *message, swk_time now)
{
    struct count_message *m =
        SWKI_CONTAINER(message, struct count_message, message);
    struct counts *counts = m->counts;

    (void)now;
    counts->disorder |= counts->next[m->who]++ != m->number;
    if (++counts->total == THREADS * POSTS) {
        swki_loop_stop(counts->loop);
    }
}

static void *post_all(void *arg)
{
    struct poster *poster = arg;

    for (int i = 0; i < POSTS; i++) {
        swki_loop_post(poster->loop, &poster->messages[i].message);
    }
    return NULL;
}

static void many_threads_post_and_nothing_is_lost_or_reordered(void **state)
{
    static struct poster posters[THREADS];
    struct f f;
    struct counts counts = {0};

    (void)state;
    set_up(&f);
    counts.loop = f.loop;
    for (unsigned i = 0; i < THREADS; i++) {
        posters[i].loop = f.loop;
        for (unsigned n = 0; n < POSTS; n++) {
            posters[i].messages[n] = (struct count_message){
                .message = {.handle = count},
                .counts = &counts,
                .who = i,
                .number = n,
            };
        }
        pthread_create(&posters[i].thread, NULL, post_all, &posters[i]);
    }
    assert_int_equal(swki_loop_run(f.loop, NULL), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(posters[i].thread, NULL);
    }
    assert_int_equal(counts.total, THREADS * POSTS);
    assert_false(counts.disorder);
    tear_down(&f);
}

static void *stop(void *arg)
{
    swki_loop_stop(arg);
    return NULL;
}

static void stop_from_another_thread_ends_run(void **state)
{
    struct f f;
    pthread_t thread;

    (void)state;
    set_up(&f);
    pthread_create(&thread, NULL, stop, f.loop);
    assert_int_equal(swki_loop_run(f.loop, NULL), 0);
    assert_true(swki_loop_stopped(f.loop));
    pthread_join(thread, NULL);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_turn_delivers_in_order_then_decides_then_flushes),
        cmocka_unit_test(what_a_handler_posts_comes_in_the_next_turn),
        cmocka_unit_test(
            a_cancelled_message_is_not_delivered_and_loses_no_other),
        cmocka_unit_test(the_deadline_is_the_earliest_of_the_members),
        cmocka_unit_test(a_member_may_remove_the_next_one_and_itself),
        cmocka_unit_test(freeing_delivers_what_is_left),
        cmocka_unit_test(many_threads_post_and_nothing_is_lost_or_reordered),
        cmocka_unit_test(stop_from_another_thread_ends_run),
    };

    return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */

/* What a leader knows of a member: each rule, and random events held against a
 * plain model. */

#include "lib/cmocka_all.h"

#include "base/rng.h"
#include "core/raft/progress.h"
#include "lib/heap.h"

enum {
    COUNT_MAX = 5,
    BYTES_MAX = 100,
    ROUNDS = 200,
    EVENTS = 500,
    SENT_MAX = 64,
};

/* -- The model ------------------------------------------------------------- */

struct sent {
    uint64_t index;
    uint64_t size;
};

/* The rules once more, without a thought for speed. */
struct model {
    enum swk_raft_peer_state state;
    uint64_t match;
    uint64_t next;
    uint64_t pending;
    uint64_t sent_commit;
    bool paused;
    struct sent window[SENT_MAX];
    size_t count;
};

static uint64_t model_size(const struct model *m)
{
    uint64_t size = 0;

    for (size_t i = 0; i < m->count; i++) {
        size += m->window[i].size;
    }
    return size;
}

static bool model_full(const struct model *m)
{
    return m->count >= COUNT_MAX || model_size(m) >= BYTES_MAX;
}

static void model_enter(struct model *m, enum swk_raft_peer_state state)
{
    m->state = state;
    m->paused = false;
    m->pending = 0;
    m->count = 0;
}

static void model_limit(struct model *m)
{
    m->sent_commit =
        m->sent_commit < m->next - 1 ? m->sent_commit : m->next - 1;
}

static void model_probe(struct model *m)
{
    uint64_t next = m->match + 1;

    if (m->state == SWK_RAFT_SNAPSHOT && m->pending + 1 > next) {
        next = m->pending + 1;
    }
    model_enter(m, SWK_RAFT_PROBE);
    m->next = next;
    model_limit(m);
}

static void model_sent(struct model *m, uint64_t count, uint64_t size)
{
    if (m->state == SWK_RAFT_PROBE) {
        m->paused = m->paused || count > 0;
        return;
    }
    if (count > 0) {
        m->next += count;
        m->window[m->count++] = (struct sent){m->next - 1, size};
    }
    m->paused = model_full(m);
}

static void model_release(struct model *m, uint64_t index)
{
    size_t kept = 0;

    for (size_t i = 0; i < m->count; i++) {
        if (m->window[i].index > index) {
            m->window[kept++] = m->window[i];
        }
    }
    m->count = kept;
}

static bool model_reject(struct model *m, uint64_t index, uint64_t hint)
{
    uint64_t next;

    if (m->state == SWK_RAFT_REPLICATE) {
        if (index <= m->match) {
            return false;
        }
        m->next = m->match + 1;
        model_limit(m);
        return true;
    }
    if (index != m->next - 1) {
        return false;
    }
    next = index < hint + 1 ? index : hint + 1;
    m->next = next > m->match + 1 ? next : m->match + 1;
    model_limit(m);
    m->paused = false;
    return true;
}

/* -- The fixture ----------------------------------------------------------- */

struct f {
    struct heap heap;
    struct swki_raft_progress p;
    struct model m;
    struct swki_rng rng;
    uint64_t last; /* of the leader's log */
};

static int set_up(void **state)
{
    static struct f f;

    heap_init(&f.heap);
    swki_rng_init(&f.rng, 9);
    swki_raft_progress_init(&f.p, 7, 10, COUNT_MAX, BYTES_MAX);
    f.m = (struct model){.state = SWK_RAFT_PROBE, .next = 10};
    f.last = 10;
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_raft_progress_fini(&f->p, &f->heap.alloc);
    assert_int_equal(heap_live(&f->heap), 0);
    return 0;
}

static void check(const struct f *f)
{
    const char *broken = swki_raft_progress_check(&f->p, f->last);

    if (broken != NULL) {
        fail_msg("%s", broken);
    }
    assert_int_equal(f->p.state, f->m.state);
    assert_int_equal(f->p.match, f->m.match);
    assert_int_equal(f->p.next, f->m.next);
    assert_int_equal(f->p.pending_snapshot, f->m.pending);
    assert_int_equal(f->p.sent_commit, f->m.sent_commit);
    assert_int_equal(f->p.window.count, f->m.count);
    assert_int_equal(f->p.window.size, model_size(&f->m));
    assert_int_equal(swki_raft_progress_full(&f->p), model_full(&f->m));
    assert_int_equal(swki_raft_progress_paused(&f->p),
                     f->m.paused || f->m.state == SWK_RAFT_SNAPSHOT);
}

/* -- Random events --------------------------------------------------------- */

static void send(struct f *f)
{
    uint64_t count = swki_rng_below(&f->rng, 4);
    uint64_t size = swki_rng_below(&f->rng, 60);

    if (f->m.state == SWK_RAFT_SNAPSHOT || f->m.paused) {
        return;
    }
    if (f->m.state == SWK_RAFT_REPLICATE && f->m.next + count > f->last + 1) {
        f->last = f->m.next + count - 1;
    }
    assert_true(swki_raft_progress_reserve(&f->p, &f->heap.alloc));
    swki_raft_progress_sent(&f->p, count, size);
    model_sent(&f->m, count, size);
    f->p.sent_commit = f->m.sent_commit = f->m.next - 1;
}

static void accept(struct f *f)
{
    uint64_t index = swki_rng_below(&f->rng, f->last + 1);
    bool news = index > f->m.match;

    assert_int_equal(swki_raft_progress_accept(&f->p, index), news);
    if (news) {
        f->m.match = index;
        f->m.next = f->m.next > index + 1 ? f->m.next : index + 1;
        f->m.paused = false;
    }
    swki_raft_progress_release(&f->p, f->m.match);
    model_release(&f->m, f->m.match);
}

static void reject(struct f *f)
{
    uint64_t index = swki_rng_below(&f->rng, f->last + 1);
    uint64_t hint = swki_rng_below(&f->rng, index + 1);

    if (swki_rng_below(&f->rng, 2) == 0) {
        index = f->m.next - 1;
        hint = swki_rng_below(&f->rng, index + 1);
    }
    assert_int_equal(swki_raft_progress_reject(&f->p, index, hint),
                     model_reject(&f->m, index, hint));
    if (f->m.state == SWK_RAFT_REPLICATE && f->m.next == f->m.match + 1) {
        swki_raft_progress_probe(&f->p);
        model_probe(&f->m);
    }
}

static void change_state(struct f *f)
{
    switch (swki_rng_below(&f->rng, 3)) {
    case 0:
        swki_raft_progress_probe(&f->p);
        model_probe(&f->m);
        break;
    case 1:
        swki_raft_progress_replicate(&f->p);
        model_enter(&f->m, SWK_RAFT_REPLICATE);
        f->m.next = f->m.match + 1;
        break;
    default:
        if (f->m.match < f->last) {
            swki_raft_progress_snapshot(&f->p, f->last);
            model_enter(&f->m, SWK_RAFT_SNAPSHOT);
            f->m.pending = f->last;
            f->m.next = f->last + 1;
            f->m.sent_commit = f->last;
        }
        break;
    }
}

static void r_prg_random_events_go_by_the_rules(void **state)
{
    struct f *f = *state;

    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < EVENTS; i++) {
            switch (swki_rng_below(&f->rng, 8)) {
            case 0:
                change_state(f);
                break;
            case 1:
                reject(f);
                break;
            case 2:
            case 3:
                accept(f);
                break;
            default:
                send(f);
                break;
            }
            check(f);
        }
        swki_raft_progress_reset(&f->p, f->last + 1);
        f->m = (struct model){.state = SWK_RAFT_PROBE, .next = f->last + 1};
        check(f);
    }
}

/* -- Rule by rule ---------------------------------------------------------- */

static void r_cfg_10_a_new_member_is_active_and_probed(void **state)
{
    struct f *f = *state;

    assert_true(f->p.active);
    assert_int_equal(f->p.state, SWK_RAFT_PROBE);
    assert_int_equal(f->p.match, 0);
    assert_false(swki_raft_progress_paused(&f->p));
    check(f);
}

static void r_tim_5_a_reset_keeps_the_learner_flag_alone(void **state)
{
    struct f *f = *state;

    f->p.learner = true;
    f->p.match = 5;
    f->p.sent_commit = 5;
    f->p.read_position = 3;
    f->p.ballot = SWKI_RAFT_GRANTED;
    swki_raft_progress_reset(&f->p, 21);
    assert_true(f->p.learner);
    assert_false(f->p.active);
    assert_int_equal(f->p.match, 0);
    assert_int_equal(f->p.next, 21);
    assert_int_equal(f->p.sent_commit, 0);
    assert_int_equal(f->p.read_position, 0);
    assert_int_equal(f->p.ballot, SWKI_RAFT_UNHEARD);
}

/* Whatever else is known of it. */
static void r_prg_1_a_member_is_paused_by_its_flow_or_a_snapshot(void **state)
{
    struct f *f = *state;

    for (int paused = 0; paused < 2; paused++) {
        swki_raft_progress_probe(&f->p);
        f->p.flow_paused = paused != 0;
        assert_int_equal(swki_raft_progress_paused(&f->p), paused);
        swki_raft_progress_replicate(&f->p);
        f->p.flow_paused = paused != 0;
        assert_int_equal(swki_raft_progress_paused(&f->p), paused);
        swki_raft_progress_snapshot(&f->p, 20);
        f->p.flow_paused = paused != 0;
        assert_true(swki_raft_progress_paused(&f->p));
    }
}

static void r_prg_2_a_probe_goes_on_behind_the_snapshot(void **state)
{
    struct f *f = *state;

    swki_raft_progress_snapshot(&f->p, 20);
    assert_true(swki_raft_progress_paused(&f->p));
    assert_int_equal(f->p.next, 21);
    assert_int_equal(f->p.sent_commit, 20);
    swki_raft_progress_probe(&f->p);
    assert_int_equal(f->p.next, 21);

    /* Unless the member has more by then, or it failed (R-SNP-3). */
    swki_raft_progress_snapshot(&f->p, 20);
    assert_true(swki_raft_progress_accept(&f->p, 25));
    swki_raft_progress_probe(&f->p);
    assert_int_equal(f->p.next, 26);
    swki_raft_progress_snapshot(&f->p, 30);
    f->p.pending_snapshot = 0;
    swki_raft_progress_probe(&f->p);
    assert_int_equal(f->p.next, 26);
    assert_int_equal(f->p.sent_commit, 25);
}

static void r_prg_3_the_message_that_crosses_the_limit_passes(void **state)
{
    struct f *f = *state;

    swki_raft_progress_replicate(&f->p);
    assert_true(swki_raft_progress_reserve(&f->p, &f->heap.alloc));
    swki_raft_progress_sent(&f->p, 1, BYTES_MAX - 1);
    assert_false(swki_raft_progress_paused(&f->p));
    assert_true(swki_raft_progress_reserve(&f->p, &f->heap.alloc));
    swki_raft_progress_sent(&f->p, 1, 1000);
    assert_true(swki_raft_progress_full(&f->p));
    assert_true(swki_raft_progress_paused(&f->p));
    swki_raft_progress_release(&f->p, 1);
    assert_true(swki_raft_progress_full(&f->p));
    swki_raft_progress_release(&f->p, 2);
    assert_false(swki_raft_progress_full(&f->p));
    assert_int_equal(f->p.window.size, 0);
}

static void r_pro_6_an_extended_message_is_counted_once(void **state)
{
    struct f *f = *state;

    swki_raft_progress_replicate(&f->p);
    assert_true(swki_raft_progress_reserve(&f->p, &f->heap.alloc));
    swki_raft_progress_sent(&f->p, 1, 10);
    swki_raft_progress_extend(&f->p, 2, 20);
    assert_int_equal(f->p.window.count, 1);
    assert_int_equal(f->p.window.size, 30);
    assert_int_equal(f->p.next, 4);
    swki_raft_progress_release(&f->p, 2);
    assert_int_equal(f->p.window.count, 1);
    assert_true(swki_raft_progress_counts_last(&f->p));
    swki_raft_progress_release(&f->p, 3);
    assert_int_equal(f->p.window.count, 0);
    /* What is acknowledged is counted no more, nor what a probe sent. */
    assert_false(swki_raft_progress_counts_last(&f->p));
    swki_raft_progress_probe(&f->p);
    swki_raft_progress_sent(&f->p, 2, 10);
    assert_false(swki_raft_progress_counts_last(&f->p));
}

static void r_rep_5_a_member_is_told_of_a_commit_once(void **state)
{
    struct f *f = *state;

    swki_raft_progress_replicate(&f->p);
    f->p.match = 9;
    f->p.next = 10;
    f->p.sent_commit = 5;
    assert_true(swki_raft_progress_lacks_commit(&f->p, 6));
    assert_false(swki_raft_progress_lacks_commit(&f->p, 5));
    f->p.sent_commit = 9;
    assert_false(swki_raft_progress_lacks_commit(&f->p, 12));
}

static void r_rep_6_an_answer_that_is_out_of_date_says_nothing(void **state)
{
    struct f *f = *state;

    assert_false(swki_raft_progress_reject(&f->p, 8, 3));
    assert_int_equal(f->p.next, 10);
    assert_true(swki_raft_progress_reject(&f->p, 9, 3));
    assert_int_equal(f->p.next, 4);
    swki_raft_progress_replicate(&f->p);
    f->p.match = 5;
    assert_false(swki_raft_progress_reject(&f->p, 5, 3));
    assert_true(swki_raft_progress_reject(&f->p, 6, 3));
    assert_int_equal(f->p.next, 6);
}

static void a_window_without_memory_stays_as_it_is(void **state)
{
    struct f *f = *state;

    swki_raft_progress_replicate(&f->p);
    heap_fail_at(&f->heap, 1);
    assert_false(swki_raft_progress_reserve(&f->p, &f->heap.alloc));
    assert_int_equal(f->p.window.room, 0);
    heap_fail_at(&f->heap, 0);
    assert_true(swki_raft_progress_reserve(&f->p, &f->heap.alloc));
    swki_raft_progress_sent(&f->p, 1, 1);
    assert_int_equal(f->p.window.count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(r_prg_random_events_go_by_the_rules,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            r_cfg_10_a_new_member_is_active_and_probed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            r_tim_5_a_reset_keeps_the_learner_flag_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            r_prg_1_a_member_is_paused_by_its_flow_or_a_snapshot, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            r_prg_2_a_probe_goes_on_behind_the_snapshot, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            r_prg_3_the_message_that_crosses_the_limit_passes, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            r_pro_6_an_extended_message_is_counted_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            r_rep_5_a_member_is_told_of_a_commit_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            r_rep_6_an_answer_that_is_out_of_date_says_nothing, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(a_window_without_memory_stays_as_it_is,
                                        set_up, tear_down),
    };

    return cmocka_run_group_tests_name("core/raft/progress", tests, NULL, NULL);
}

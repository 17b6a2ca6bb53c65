/* SPDX-License-Identifier: Apache-2.0 */

/* Swarms that go over to another root, with all that can come between: real
 * keys, simulated nodes. That all nodes trust each other at any time is checked
 * by the fixture. */

#include "lib/cmocka_all.h"

#include <stdio.h>

#include "core/ca/reconcile.h"
#include "lib/ca_swarm.h"

#define STATE(name) SWKPB__ISSUANCE_STATUS__STATE__##name
#define ROUND SWKI_RECONCILE_INTERVAL

/* Runs until the rotation is over; fails if it takes longer than this. */
static void run_until_over(struct ca_swarm *s, swk_time limit)
{
    for (swk_time past = 0; ca_swarm_is_rotating(s); past += SWK_SECOND) {
        assert_true(past < limit);
        ca_swarm_advance(s, SWK_SECOND);
    }
}

static void assert_all_follow(const struct ca_swarm *s)
{
    for (size_t i = 0; i < s->nodes_count; i++) {
        if (s->nodes[i].exists && !s->nodes[i].down) {
            assert_true(ca_node_follows(s, &s->nodes[i]));
        }
    }
}

static void keep_root(const struct ca_swarm *s, struct swki_buf *out_root)
{
    const ProtobufCBinaryData *root = &ca_swarm_root(s)->ca_cert;

    swki_buf_init(out_root, NULL, SIZE_MAX);
    assert_true(swki_buf_append(out_root, root->data, root->len));
}

static bool is_root(const struct ca_swarm *s, const struct swki_buf *root)
{
    const ProtobufCBinaryData *now = &ca_swarm_root(s)->ca_cert;

    return now->len == root->len &&
           memcmp(now->data, root->data, root->len) == 0;
}

static void sixty_nodes_go_over_thirty_a_round(void **state)
{
    struct ca_swarm *s = ca_swarm_new(60);
    char token[128];
    struct swki_buf old;

    (void)state;
    keep_root(s, &old);
    snprintf(token, sizeof(token), "%s", ca_swarm_root(s)->join_tokens->worker);
    ca_swarm_rotate(s);
    assert_int_equal(ca_swarm_count(s, STATE(ROTATE)), 30);
    ca_swarm_advance(s, ROUND - SWK_MILLISECOND);
    assert_int_equal(ca_swarm_count(s, STATE(ROTATE)), 0); /* all have it */
    assert_true(ca_swarm_is_rotating(s));
    assert_true(is_root(s, &old));
    assert_string_equal(ca_swarm_root(s)->join_tokens->worker, token);
    ca_swarm_advance(s, SWK_MILLISECOND);
    assert_int_equal(ca_swarm_count(s, STATE(ROTATE)), 30);
    run_until_over(s, ROUND);
    assert_false(is_root(s, &old));
    assert_string_not_equal(ca_swarm_root(s)->join_tokens->worker, token);
    assert_all_follow(s);
    for (size_t i = 0; i < s->nodes_count; i++) {
        /* By the cross certificate, until it is renewed again. */
        assert_true(ca_node_verifies(s, &s->nodes[i], swki_pem_of_buf(&old)));
    }
    swki_buf_fini(&old);
    ca_swarm_free(s);
}

static void nodes_may_come_and_go_meanwhile(void **state)
{
    struct ca_swarm *s = ca_swarm_new(40);
    struct ca_node *lost = &s->nodes[7];

    (void)state;
    lost->down = true;
    ca_swarm_rotate(s);
    ca_swarm_advance(s, SWK_SECOND);
    ca_swarm_join(s);
    ca_swarm_remove(s, &s->nodes[3]);
    ca_swarm_advance(s, ROUND);
    ca_swarm_join(s);
    ca_swarm_advance(s, 4 * ROUND);
    assert_true(ca_swarm_is_rotating(s)); /* one is missing */
    ca_swarm_remove(s, lost);
    ca_swarm_advance(s, 0);
    assert_false(ca_swarm_is_rotating(s));
    assert_all_follow(s);
    ca_swarm_join(s);
    assert_all_follow(s);
    ca_swarm_free(s);
}

static void a_node_that_slept_through_it_is_not_trusted(void **state)
{
    struct ca_swarm *s = ca_swarm_new(3);
    struct ca_node *lost = &s->nodes[1];

    (void)state;
    lost->down = true;
    ca_swarm_rotate(s);
    ca_swarm_advance(s, 2 * ROUND);
    ca_swarm_remove(s, lost);
    ca_swarm_advance(s, ROUND);
    assert_false(ca_swarm_is_rotating(s));
    assert_all_follow(s);
    /* It still can verify them, as long as they have the cross certificate;
     * they do not let it in. */
    assert_true(
        ca_node_verifies(s, &s->nodes[0], swki_pem_of_buf(&lost->roots)));
    assert_false(
        ca_node_verifies(s, lost, swki_pem_of_buf(&s->nodes[0].roots)));
    ca_swarm_free(s);
}

static void the_leader_may_change_at_any_moment(void **state)
{
    struct ca_swarm *s = ca_swarm_new(45);

    (void)state;
    ca_swarm_rotate(s);
    for (int i = 0; i < 12 && ca_swarm_is_rotating(s); i++) {
        ca_swarm_advance(s, 450 * SWK_MILLISECOND);
        ca_swarm_lead_anew(s);
    }
    run_until_over(s, 10 * ROUND);
    assert_all_follow(s);
    ca_swarm_free(s);
}

static void another_root_may_be_wanted_midway(void **state)
{
    struct ca_swarm *s = ca_swarm_new(45);
    struct swki_buf first;
    struct swki_buf second;

    (void)state;
    keep_root(s, &first);
    ca_swarm_rotate(s);
    swki_buf_init(&second, NULL, SIZE_MAX);
    swki_buf_append(&second, ca_swarm_root(s)->root_rotation->ca_cert.data,
                    ca_swarm_root(s)->root_rotation->ca_cert.len);
    ca_swarm_advance(s, SWK_SECOND);
    ca_swarm_rotate(s); /* some are under the second, some under the first */
    assert_true(is_root(s, &first));
    run_until_over(s, 20 * ROUND);
    assert_false(is_root(s, &first));
    assert_false(is_root(s, &second));
    assert_all_follow(s);
    swki_buf_fini(&second);
    swki_buf_fini(&first);
    ca_swarm_free(s);
}

static void it_may_be_given_up_and_begun_again(void **state)
{
    struct ca_swarm *s = ca_swarm_new(45);
    struct swki_buf first;

    (void)state;
    keep_root(s, &first);
    ca_swarm_rotate(s);
    ca_swarm_advance(s, SWK_SECOND);
    ca_swarm_give_up(s);
    ca_swarm_advance(s, 3 * ROUND);
    assert_false(ca_swarm_is_rotating(s));
    assert_true(is_root(s, &first));
    assert_all_follow(s); /* some by the cross certificate */
    ca_swarm_join(s);
    ca_swarm_rotate(s);
    run_until_over(s, 20 * ROUND);
    assert_false(is_root(s, &first));
    assert_all_follow(s);
    swki_buf_fini(&first);
    ca_swarm_free(s);
}

static void it_may_be_done_many_times(void **state)
{
    struct ca_swarm *s = ca_swarm_new(5);

    (void)state;
    for (int i = 0; i < 5; i++) {
        ca_swarm_rotate(s);
        run_until_over(s, 10 * ROUND);
        assert_all_follow(s);
    }
    assert_int_equal(ca_swarm_root(s)->last_forced_rotation, 5);
    ca_swarm_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sixty_nodes_go_over_thirty_a_round),
        cmocka_unit_test(nodes_may_come_and_go_meanwhile),
        cmocka_unit_test(a_node_that_slept_through_it_is_not_trusted),
        cmocka_unit_test(the_leader_may_change_at_any_moment),
        cmocka_unit_test(another_root_may_be_wanted_midway),
        cmocka_unit_test(it_may_be_given_up_and_begun_again),
        cmocka_unit_test(it_may_be_done_many_times),
    };

    return cmocka_run_group_tests_name("rotating", tests, NULL, NULL);
}

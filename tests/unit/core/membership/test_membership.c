/* SPDX-License-Identifier: Apache-2.0 */

/* The list of managers: what committed changes and snapshots make of it. */

#include "lib/cmocka_all.h"

#include "changes.h"

#include <stdio.h>
#include <string.h>

#include "lib/heap.h"

struct f {
    struct swki_membership *membership;
    struct swki_membership_outcome outcome;
    struct entry entry;
};

static int set_up(void **state)
{
    struct f *f = test_calloc(1, sizeof(*f));

    f->membership = make_voters(1, 3);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_membership_free(f->membership);
    test_free(f);
    return 0;
}

static void apply(struct f *f)
{
    assert_int_equal(swki_membership_apply(f->membership, &f->entry.log,
                                           &f->outcome, NULL),
                     0);
}

static void change(struct f *f, int32_t type, uint64_t raft_id,
                   const char *node, const char *address)
{
    make_change(&f->entry, type, raft_id, node, address, NULL);
    apply(f);
}

/* -- Changes -------------------------------------------------------------- */

static void a_member_is_added_where_its_change_says(void **state)
{
    struct f *f = *state;
    const struct swki_member *member;

    make_change(&f->entry, SWK_RAFT_ADD_VOTER, 9, "n9", "m9.example:4242",
                "[2001:db8::9]:4242");
    apply(f);
    assert_false(f->outcome.reject);
    assert_true(f->outcome.changed);
    assert_int_equal(f->outcome.added, 9);

    member = swki_membership_find_node(f->membership, "n9");
    assert_ptr_equal(member, swki_membership_find(f->membership, 9));
    assert_string_equal(swki_member_address(member), "m9.example:4242");
    assert_int_equal(member->addresses_count, 2);
    assert_string_equal(member->addresses[1], "[2001:db8::9]:4242");
    assert_false(member->self);
    assert_false(member->reachable);
}

static void members_are_walked_in_the_order_of_their_numbers(void **state)
{
    struct f *f = *state;

    change(f, SWK_RAFT_ADD_VOTER, 70, "n70", "a:1");
    change(f, SWK_RAFT_ADD_VOTER, 50, "n50", "a:2");
    assert_int_equal(swki_membership_count(f->membership), 5);
    assert_int_equal(swki_membership_at(f->membership, 3)->raft_id, 50);
    assert_int_equal(swki_membership_at(f->membership, 4)->raft_id, 70);
}

static void a_learner_becomes_a_voter_and_keeps_its_address(void **state)
{
    struct f *f = *state;

    change(f, SWK_RAFT_ADD_LEARNER, 4, "n4", "10.0.0.4:4242");
    assert_true(swki_membership_find(f->membership, 4)->learner);

    change(f, SWK_RAFT_ADD_VOTER, 4, NULL, NULL);
    assert_false(f->outcome.reject);
    assert_int_equal(f->outcome.updated, 4);
    assert_false(swki_membership_find(f->membership, 4)->learner);
    assert_string_equal(
        swki_member_address(swki_membership_find(f->membership, 4)),
        "10.0.0.4:4242");
}

static void an_update_moves_a_member_and_keeps_what_is_known(void **state)
{
    struct f *f = *state;
    const struct swki_member *member;

    swki_membership_set_reachable(f->membership, 2, true);
    change(f, SWK_RAFT_UPDATE, 2, "n2", "10.9.9.9:1");
    assert_int_equal(f->outcome.updated, 2);
    member = swki_membership_find(f->membership, 2);
    assert_string_equal(swki_member_address(member), "10.9.9.9:1");
    assert_true(member->reachable);
    assert_false(member->learner);
}

static void a_removed_number_is_used_up(void **state)
{
    struct f *f = *state;
    const uint64_t *removed;

    change(f, SWK_RAFT_REMOVE, 2, NULL, NULL);
    assert_int_equal(f->outcome.removed, 2);
    assert_false(f->outcome.self_removed);
    assert_null(swki_membership_find(f->membership, 2));
    assert_int_equal(swki_membership_removed(f->membership, &removed), 1);
    assert_int_equal(removed[0], 2);

    change(f, SWK_RAFT_ADD_VOTER, 2, "n2", "10.0.0.2:4242");
    assert_true(f->outcome.reject);
    assert_string_equal(f->outcome.why.text,
                        "membership: node was removed during cluster lifetime");
}

static void what_does_not_fit_the_list_is_rejected(void **state)
{
    static const struct {
        const char *why;
        int32_t type;
        uint64_t raft_id;
        const char *node;
    } cases[] = {
        {"a voter again", SWK_RAFT_ADD_VOTER, 2, "n2"},
        {"another number for a node", SWK_RAFT_ADD_VOTER, 9, "n2"},
        {"removal of nobody", SWK_RAFT_REMOVE, 9, NULL},
        {"update of nobody", SWK_RAFT_UPDATE, 9, "n9"},
        {"update without a word", SWK_RAFT_UPDATE, 2, NULL},
        {"somebody of whom nothing is said", SWK_RAFT_ADD_VOTER, 9, NULL},
        {"no such change", 17, 2, "n2"},
    };
    struct f *f = *state;
    uint64_t version = swki_membership_version(f->membership);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        change(f, cases[i].type, cases[i].raft_id, cases[i].node, "a:1");
        if (!f->outcome.reject || f->outcome.changed) {
            fail_msg("%s", cases[i].why);
        }
        assert_true(strlen(f->outcome.why.text) > 0);
    }
    assert_int_equal(swki_membership_version(f->membership), version);
    assert_int_equal(swki_membership_count(f->membership), 3);
}

static void an_unreadable_change_is_rejected(void **state)
{
    static const struct {
        const char *why;
        int32_t type;
        const char *data;
        size_t len;
    } cases[] = {
        {"nothing at all", SWK_RAFT_ENTRY_CONF_CHANGE, "", 0},
        {"a cut field", SWK_RAFT_ENTRY_CONF_CHANGE, "\x10", 1},
        {"a context of garbage", SWK_RAFT_ENTRY_CONF_CHANGE,
         "\x10\x00\x18\x09\x22\x02\xff\xff", 8},
        {"a cut list", SWK_RAFT_ENTRY_CONF_CHANGE_V2, "\x12\x7f", 2},
    };
    struct f *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        f->entry.log = (struct swk_log_entry){
            .index = 9,
            .term = 1,
            .type = cases[i].type,
            .data = (const uint8_t *)cases[i].data,
            .data_len = cases[i].len,
        };
        apply(f);
        if (!f->outcome.reject) {
            fail_msg("%s", cases[i].why);
        }
    }
}

static void several_parts_apply_together_or_not_at_all(void **state)
{
    const struct swk_raft_change removals[] = {
        {.type = SWK_RAFT_REMOVE, .id = 2}, {.type = SWK_RAFT_REMOVE, .id = 3}};
    const struct swk_raft_change half[] = {
        {.type = SWK_RAFT_REMOVE, .id = 1}, {.type = SWK_RAFT_REMOVE, .id = 7}};
    struct f *f = *state;

    make_changes(&f->entry, half, 2);
    apply(f);
    assert_true(f->outcome.reject);
    assert_int_equal(swki_membership_count(f->membership), 3);

    make_changes(&f->entry, removals, 2);
    apply(f);
    assert_false(f->outcome.reject);
    assert_int_equal(swki_membership_count(f->membership), 1);

    make_changes(&f->entry, NULL, 0); /* leaves a joint configuration */
    apply(f);
    assert_false(f->outcome.reject);
    assert_false(f->outcome.changed);
}

static void a_manager_is_told_of_its_own_removal_once(void **state)
{
    struct f *f = *state;

    swki_membership_set_leader(f->membership, 1);
    change(f, SWK_RAFT_REMOVE, 1, NULL, NULL);
    assert_true(f->outcome.self_removed);
    assert_true(f->outcome.leader_removed);
    assert_null(swki_membership_self(f->membership));

    change(f, SWK_RAFT_REMOVE, 2, NULL, NULL);
    assert_false(f->outcome.self_removed);
    assert_false(f->outcome.leader_removed);
}

static void the_members_are_limited(void **state)
{
    struct f *f = *state;
    char node[16];

    for (unsigned i = 4; i <= SWKI_MEMBERS_MAX; i++) {
        snprintf(node, sizeof(node), "n%u", i);
        put_member(f->membership, SWK_RAFT_ADD_LEARNER, i, node, "a:1");
    }
    change(f, SWK_RAFT_ADD_LEARNER, SWKI_MEMBERS_MAX + 1, "late", "a:1");
    assert_true(f->outcome.reject);
}

/* -- What others say ------------------------------------------------------- */

static void a_removal_is_believed_when_most_of_the_others_say_so(void **state)
{
    struct f *f = *state;

    change(f, SWK_RAFT_ADD_VOTER, 4, "n4", "a:1");
    change(f, SWK_RAFT_ADD_LEARNER, 5, "n5", "a:1");
    assert_false(swki_membership_told_removed(f->membership, 2));
    assert_false(swki_membership_told_removed(f->membership, 2)); /* again */
    assert_false(swki_membership_told_removed(f->membership, 5)); /* no vote */
    assert_false(swki_membership_told_removed(f->membership, 77));
    assert_true(swki_membership_told_removed(f->membership, 3));
    assert_false(swki_membership_told_removed(f->membership, 4)); /* once */
}

static void what_was_said_before_a_change_counts_no_more(void **state)
{
    struct f *f = *state;

    assert_false(swki_membership_told_removed(f->membership, 2));
    change(f, SWK_RAFT_UPDATE, 3, "n3", "b:1"); /* it is a member after all */
    assert_false(swki_membership_told_removed(f->membership, 3));
    assert_true(swki_membership_told_removed(f->membership, 2));
}

static void a_manager_that_knows_nobody_believes_nobody(void **state)
{
    struct swki_membership *alone = make_voters(1, 1);

    (void)state;
    assert_false(swki_membership_told_removed(alone, 2));
    swki_membership_free(alone);
}

/* -- Who leads and who is reached ----------------------------------------- */

static void the_leader_and_the_reachable_are_shown(void **state)
{
    struct f *f = *state;
    uint64_t version = swki_membership_version(f->membership);

    swki_membership_set_leader(f->membership, 2);
    swki_membership_set_reachable(f->membership, 2, true);
    swki_membership_set_reachable(f->membership, 1, false); /* itself */
    assert_true(swki_membership_find(f->membership, 2)->leader);
    assert_false(swki_membership_self(f->membership)->leader);
    assert_true(swki_membership_find(f->membership, 2)->reachable);
    assert_true(swki_membership_self(f->membership)->reachable);
    assert_false(swki_membership_find(f->membership, 3)->reachable);
    assert_int_equal(swki_membership_version(f->membership), version);
}

/* Every group of one to five voters, every set of those that are up, and the
 * removal of each: by the sentence of the rule, which counts members. */
static void a_removal_must_leave_a_majority_that_is_up(void **state)
{
    (void)state;
    for (unsigned count = 1; count <= 5; count++) {
        for (unsigned up = 0; up < 1U << count; up++) {
            struct swki_membership *m = make_voters(1, count);

            for (unsigned i = 1; i <= count; i++) {
                swki_membership_set_reachable(m, i, (up >> (i - 1) & 1) != 0);
            }
            for (unsigned leaving = 1; leaving <= count; leaving++) {
                unsigned reached = 0;
                unsigned needed = (count - 1) / 2 + 1;

                for (unsigned i = 1; i <= count; i++) {
                    reached += i != leaving &&
                               (i == 1 || (up >> (i - 1) & 1) != 0);
                }
                if (swki_membership_can_remove(m, leaving) !=
                    (reached >= needed)) {
                    fail_msg("%u members, up %x, without %u", count, up,
                             leaving);
                }
            }
            swki_membership_free(m);
        }
    }
}

static void three_members_follow_the_examples(void **state)
{
    struct f *f = *state;

    swki_membership_set_reachable(f->membership, 2, true);
    swki_membership_set_reachable(f->membership, 3, true);
    assert_true(swki_membership_can_remove(f->membership, 1));
    assert_true(swki_membership_can_remove(f->membership, 2));
    assert_true(swki_membership_can_remove(f->membership, 3));

    swki_membership_set_reachable(f->membership, 3, false);
    assert_false(swki_membership_can_remove(f->membership, 1));
    assert_false(swki_membership_can_remove(f->membership, 2));
    assert_true(swki_membership_can_remove(f->membership, 3));

    swki_membership_set_reachable(f->membership, 2, false);
    assert_false(swki_membership_can_remove(f->membership, 2));
    assert_false(swki_membership_can_remove(f->membership, 3));
    assert_false(swki_membership_can_remove(f->membership, 99));
}

static void a_learner_may_always_go_and_never_counts(void **state)
{
    struct f *f = *state;

    change(f, SWK_RAFT_ADD_LEARNER, 4, "n4", "a:1");
    swki_membership_set_reachable(f->membership, 4, true);
    assert_true(swki_membership_can_remove(f->membership, 4));
    assert_false(swki_membership_can_remove(f->membership, 2));
}

/* -- Snapshots ------------------------------------------------------------ */

static void restore(struct f *f, struct swki_membership *to,
                    const struct swki_buf *buf,
                    const struct swk_conf_state *state)
{
    assert_int_equal(swki_membership_restore(to, buf->data, buf->len, state,
                                             &f->outcome, NULL),
                     0);
}

static void a_snapshot_brings_members_and_removed_back(void **state)
{
    const uint64_t voters[] = {1, 2};
    const uint64_t learners[] = {8};
    const struct swk_conf_state conf = {.voters = voters,
                                        .voters_count = 2,
                                        .learners = learners,
                                        .learners_count = 1};
    struct f *f = *state;
    struct swki_membership *copy = make_voters(2, 0);
    struct swki_buf buf;
    struct swki_buf again;

    change(f, SWK_RAFT_REMOVE, 3, NULL, NULL);
    make_change(&f->entry, SWK_RAFT_ADD_LEARNER, 8, "n8", "m8:1", "m8b:2");
    apply(f);
    swki_buf_init(&buf, NULL, SIZE_MAX);
    assert_int_equal(swki_membership_save(f->membership, &buf, NULL), 0);
    restore(f, copy, &buf, &conf);

    assert_true(f->outcome.changed);
    assert_false(f->outcome.self_removed);
    assert_int_equal(swki_membership_count(copy), 3);
    assert_true(swki_membership_find(copy, 8)->learner);
    assert_string_equal(swki_membership_find(copy, 8)->addresses[1], "m8b:2");
    assert_true(swki_membership_is_removed(copy, 3));
    assert_int_equal(swki_membership_self(copy)->raft_id, 2);

    swki_buf_init(&again, NULL, SIZE_MAX);
    assert_int_equal(swki_membership_save(copy, &again, NULL), 0);
    assert_int_equal(again.len, buf.len);
    assert_memory_equal(again.data, buf.data, buf.len);
    swki_buf_fini(&again);
    swki_buf_fini(&buf);
    swki_membership_free(copy);
}

static void a_generation_begins_with_a_removal_and_outlives_the_log(
    void **state)
{
    const uint64_t voters[] = {1, 2};
    const struct swk_conf_state conf = {.voters = voters, .voters_count = 2};
    const struct swk_raft_change removal = {.type = SWK_RAFT_REMOVE, .id = 3};
    struct swk_raft_conf_change begins = {
        .size = sizeof(begins), .changes = &removal, .changes_count = 1};
    struct f *f = *state;
    struct swki_membership *joined = make_voters(9, 0);
    struct swki_buf buf;

    assert_int_equal(swki_membership_generation(f->membership), 0);
    swki_buf_init(&buf, NULL, SIZE_MAX);
    assert_int_equal(swki_membership_encode_generation(3, &buf, NULL), 0);
    begins.context = buf.data;
    begins.context_len = buf.len;
    encode_change(&begins, &f->entry);
    apply(f);
    assert_false(f->outcome.reject);
    assert_int_equal(f->outcome.removed, 3);
    assert_int_equal(swki_membership_generation(f->membership), 3);
    change(f, SWK_RAFT_UPDATE, 2, "n2", "10.9.9.9:1");
    assert_int_equal(swki_membership_generation(f->membership), 3);

    swki_buf_clear(&buf);
    assert_int_equal(swki_membership_save(f->membership, &buf, NULL), 0);
    restore(f, joined, &buf, &conf);
    assert_int_equal(swki_membership_generation(joined), 3);
    assert_true(swki_membership_is_removed(joined, 3));
    swki_buf_fini(&buf);
    swki_membership_free(joined);
}

static void a_received_snapshot_merges_with_what_was_known(void **state)
{
    const uint64_t voters[] = {1, 9};
    const struct swk_conf_state conf = {.voters = voters, .voters_count = 2};
    struct f *f = *state;
    struct swki_membership *sender = make_voters(9, 3);
    struct swki_buf buf;

    put_member(sender, SWK_RAFT_ADD_VOTER, 9, "n9", "new:1");
    put_member(sender, SWK_RAFT_REMOVE, 3, NULL, NULL);
    put_member(sender, SWK_RAFT_UPDATE, 1, "n1", "moved:1");
    change(f, SWK_RAFT_REMOVE, 2, NULL, NULL); /* which the sender lacks */
    put_member(f->membership, SWK_RAFT_ADD_VOTER, 5, "n5", "gone:1");
    swki_membership_set_leader(f->membership, 5);

    swki_buf_init(&buf, NULL, SIZE_MAX);
    assert_int_equal(swki_membership_save(sender, &buf, NULL), 0);
    restore(f, f->membership, &buf, &conf);

    assert_true(f->outcome.leader_removed);
    assert_string_equal(
        swki_member_address(swki_membership_find(f->membership, 1)),
        "moved:1");
    assert_non_null(swki_membership_find(f->membership, 9));
    assert_true(swki_membership_is_removed(f->membership, 2));
    assert_true(swki_membership_is_removed(f->membership, 3));
    /* In neither list: forgotten, and not used up. */
    assert_null(swki_membership_find(f->membership, 5));
    assert_false(swki_membership_is_removed(f->membership, 5));
    assert_null(swki_membership_find(f->membership, 2));
    swki_buf_fini(&buf);
    swki_membership_free(sender);
}

static void a_snapshot_without_this_manager_tells_of_its_removal(void **state)
{
    const struct swk_conf_state conf = {0};
    struct f *f = *state;
    struct swki_membership *sender = make_voters(2, 3);
    struct swki_buf buf;

    put_member(sender, SWK_RAFT_REMOVE, 1, NULL, NULL);
    swki_buf_init(&buf, NULL, SIZE_MAX);
    assert_int_equal(swki_membership_save(sender, &buf, NULL), 0);
    restore(f, f->membership, &buf, &conf);
    assert_true(f->outcome.self_removed);
    swki_buf_fini(&buf);
    swki_membership_free(sender);
}

/* As written before there were several managers. */
static void members_that_a_snapshot_only_numbers_have_no_address(void **state)
{
    const uint64_t voters[] = {1};
    const struct swk_conf_state conf = {.voters = voters, .voters_count = 1};
    struct f *f = *state;
    struct swki_membership *fresh = make_voters(1, 0);
    struct swki_buf none;

    swki_buf_init(&none, NULL, SIZE_MAX);
    restore(f, fresh, &none, &conf);
    assert_int_equal(swki_membership_count(fresh), 1);
    assert_true(swki_membership_self(fresh)->self);
    assert_string_equal(swki_member_address(swki_membership_self(fresh)), "");
    swki_membership_free(fresh);
}

static void a_damaged_snapshot_changes_nothing(void **state)
{
    const struct swk_conf_state conf = {0};
    struct f *f = *state;
    struct swki_buf buf;

    swki_buf_init(&buf, NULL, SIZE_MAX);
    assert_int_equal(swki_membership_save(f->membership, &buf, NULL), 0);
    for (size_t len = 1; len < buf.len; len++) {
        assert_int_equal(swki_membership_restore(f->membership, buf.data, len,
                                                 &conf, &f->outcome, NULL),
                         SWK_EMALFORMED);
        assert_int_equal(swki_membership_count(f->membership), 3);
    }
    swki_buf_fini(&buf);
}

/* -- Memory --------------------------------------------------------------- */

static void want_of_memory_changes_nothing(void **state)
{
    const uint64_t voters[] = {1, 2, 3, 9};
    const struct swk_conf_state conf = {.voters = voters, .voters_count = 4};
    struct f *f = *state;
    struct swki_buf saved;
    bool failed = true;

    put_member(f->membership, SWK_RAFT_REMOVE, 2, NULL, NULL);
    swki_buf_init(&saved, NULL, SIZE_MAX);
    assert_int_equal(swki_membership_save(f->membership, &saved, NULL), 0);
    make_change(&f->entry, SWK_RAFT_ADD_LEARNER, 9, "n9", "a:1", "b:2");
    for (size_t n = 1; failed; n++) {
        struct heap heap;
        struct swki_membership *m;
        struct swki_buf again;
        int rc;

        heap_init(&heap);
        m = make_voters_in(&heap.alloc, 1, 3);
        heap_fail_at(&heap, n);
        rc = swki_membership_apply(m, &f->entry.log, &f->outcome, NULL);
        assert_int_equal(rc, heap_failed(&heap) ? SWK_ENOMEM : SWK_OK);
        assert_int_equal(swki_membership_count(m), rc == 0 ? 4 : 3);
        if (rc == 0) {
            rc = swki_membership_restore(m, saved.data, saved.len, &conf,
                                         &f->outcome, NULL);
            assert_int_equal(rc, heap_failed(&heap) ? SWK_ENOMEM : SWK_OK);
            assert_int_equal(swki_membership_is_removed(m, 2), rc == 0);
        }
        if (rc == 0) {
            swki_buf_init(&again, &heap.alloc, SIZE_MAX);
            rc = swki_membership_save(m, &again, NULL);
            assert_int_equal(rc, heap_failed(&heap) ? SWK_ENOMEM : SWK_OK);
            swki_buf_fini(&again);
        }
        failed = heap_failed(&heap);
        swki_membership_free(m);
        assert_int_equal(heap_live(&heap), 0);
    }
    swki_buf_fini(&saved);
}

/* -- Addresses ------------------------------------------------------------ */

static void addresses_are_a_host_and_a_port(void **state)
{
    static const struct {
        const char *text;
        bool valid;
    } cases[] = {
        {"192.0.2.1:4242", true},    {"m-1.example.org:1", true},
        {"[2001:db8::1]:65535", true}, {"[fe80::1%eth0]:80", true},
        {"host.:80", true},          {"", false},
        {":80", false},              {"host", false},
        {"host:", false},            {"host:0", false},
        {"host:65536", false},       {"host:080808", false},
        {"host:8o", false},          {"a..b:80", false},
        {"-a:80", false},            {"a b:80", false},
        {"2001:db8::1:80", false},   {"[2001:db8::1:80", false},
        {"[]:80", false},            {"[zz::1]:80", false},
        {"host:-1", false},          {"http://host:80", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (swki_member_address_valid(cases[i].text) != cases[i].valid) {
            fail_msg("%s", cases[i].text);
        }
    }
}

static void an_unspecified_host_becomes_the_callers(void **state)
{
    static const struct {
        const char *text;
        const char *caller;
        const char *result; /* NULL: refused */
    } cases[] = {
        {"0.0.0.0:4242", "192.0.2.7:51000", "192.0.2.7:4242"},
        {"[::]:4242", "[2001:db8::7]:51000", "[2001:db8::7]:4242"},
        {"0.0.0.0:4242", "[2001:db8::7]:51000", "[2001:db8::7]:4242"},
        {"m1:4242", "192.0.2.7:51000", "m1:4242"},
        {"m1:4242", "", "m1:4242"},
        {"0.0.0.0:4242", "", NULL},
        {"0.0.0.0:4242", "0.0.0.0:1", NULL},
        {"nonsense", "192.0.2.7:51000", NULL},
    };
    char text[SWKI_MEMBER_ADDRESS_LEN_MAX + 1];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int rc = swki_member_address_complete(cases[i].text, cases[i].caller,
                                              text, NULL);

        if (cases[i].result == NULL) {
            assert_int_equal(rc, SWK_EINVAL);
        } else {
            assert_int_equal(rc, 0);
            assert_string_equal(text, cases[i].result);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_member_is_added_where_its_change_says),
        TEST(members_are_walked_in_the_order_of_their_numbers),
        TEST(a_learner_becomes_a_voter_and_keeps_its_address),
        TEST(an_update_moves_a_member_and_keeps_what_is_known),
        TEST(a_removed_number_is_used_up),
        TEST(what_does_not_fit_the_list_is_rejected),
        TEST(an_unreadable_change_is_rejected),
        TEST(several_parts_apply_together_or_not_at_all),
        TEST(a_manager_is_told_of_its_own_removal_once),
        TEST(the_members_are_limited),
        TEST(a_removal_is_believed_when_most_of_the_others_say_so),
        TEST(what_was_said_before_a_change_counts_no_more),
        cmocka_unit_test(a_manager_that_knows_nobody_believes_nobody),
        TEST(the_leader_and_the_reachable_are_shown),
        cmocka_unit_test(a_removal_must_leave_a_majority_that_is_up),
        TEST(three_members_follow_the_examples),
        TEST(a_learner_may_always_go_and_never_counts),
        TEST(a_snapshot_brings_members_and_removed_back),
        TEST(a_generation_begins_with_a_removal_and_outlives_the_log),
        TEST(a_received_snapshot_merges_with_what_was_known),
        TEST(a_snapshot_without_this_manager_tells_of_its_removal),
        TEST(members_that_a_snapshot_only_numbers_have_no_address),
        TEST(a_damaged_snapshot_changes_nothing),
        TEST(want_of_memory_changes_nothing),
        cmocka_unit_test(addresses_are_a_host_and_a_port),
        cmocka_unit_test(an_unspecified_host_becomes_the_callers),
    };

    return cmocka_run_group_tests_name("membership", tests, NULL, NULL);
}

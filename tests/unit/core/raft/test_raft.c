/* SPDX-License-Identifier: Apache-2.0 */

/* A sole member: election, proposals, durability, applying, snapshots. */

#include "lib/cmocka_all.h"

#include <stdlib.h>

#include <swarmkit/raft.h>

#include "core/raft/raft.h"

enum { ID = 7 };

/* A heap whose n-th request fails, if fail_at is not negative. */
struct heap {
    struct swk_alloc alloc;
    int fail_at;
    int live;
};

static bool refuses(struct heap *heap)
{
    return heap->fail_at >= 0 && heap->fail_at-- == 0;
}

static void *heap_alloc(void *ctx, size_t size)
{
    struct heap *heap = ctx;

    if (refuses(heap)) {
        return NULL;
    }
    heap->live++;
    return malloc(size);
}

static void *heap_realloc(void *ctx, void *ptr, size_t size)
{
    struct heap *heap = ctx;

    if (refuses(heap)) {
        return NULL;
    }
    heap->live += ptr == NULL;
    return realloc(ptr, size);
}

static void heap_free(void *ctx, void *ptr)
{
    ((struct heap *)ctx)->live -= ptr != NULL;
    free(ptr);
}

struct f {
    struct heap heap;
    struct swk_raft_config config;
    swk_raft *raft;
};

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    f->heap = (struct heap){
        .alloc = {sizeof(f->heap.alloc), &f->heap, heap_alloc, heap_realloc,
                  heap_free},
        .fail_at = -1,
    };
    f->config = (struct swk_raft_config){
        .size = sizeof(f->config), .id = ID, .alloc = &f->heap.alloc};
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;
    int live;

    swk_raft_free(f->raft);
    live = f->heap.live;
    free(f);
    return live;
}

static void make(struct f *f)
{
    assert_int_equal(swk_raft_new(&f->config, &f->raft, NULL), 0);
}

static const struct swk_raft_actions *take(struct f *f)
{
    const struct swk_raft_actions *actions = swk_raft_take_actions(f->raft);

    if (f->raft->stage == SWKI_RAFT_RUNNING) {
        assert_null(swki_raft_check(f->raft));
    }
    return actions;
}

static struct swk_raft_status status_of(const struct f *f)
{
    struct swk_raft_status status = {.size = sizeof(status)};

    swk_raft_status(f->raft, &status);
    return status;
}

/* Takes actions, confirming and applying all, until nothing is due. Returns
 * how often leadership was gained. */
static int settle(struct f *f)
{
    int gained = 0;

    for (int idle = 0; idle < 2; idle++) {
        const struct swk_raft_actions *a = take(f);
        uint64_t ticket = a->persist_ticket;
        uint64_t applied = a->committed_count > 0
                               ? a->committed[a->committed_count - 1].index
                               : 0;

        gained += a->leadership_gained;
        if (ticket > 0) {
            assert_int_equal(swk_raft_persisted(f->raft, ticket, NULL), 0);
            idle = -1;
        }
        if (applied > 0) {
            assert_int_equal(swk_raft_applied(f->raft, applied, NULL), 0);
            idle = -1;
        }
    }
    return gained;
}

static void start(struct f *f)
{
    assert_int_equal(swk_raft_start(f->raft, 100, NULL), 0);
    assert_int_equal(swk_raft_deadline(f->raft), 100);
    assert_int_equal(swk_raft_expire(f->raft, 100, NULL), 0);
}

/* A leader that has applied its first entry, index 1. */
static void make_leader(struct f *f)
{
    make(f);
    start(f);
    assert_int_equal(settle(f), 1);
}

static uint64_t propose(struct f *f, const char *text)
{
    uint64_t index = 0;

    assert_int_equal(
        swk_raft_propose(f->raft, text, strlen(text), &index, NULL), 0);
    return index;
}

static void new_refuses_what_it_cannot_serve(void **state)
{
    static const uint64_t others[] = {ID, 8, 9};
    static const uint64_t another[] = {8};
    struct f *f = *state;
    swk_raft *raft = NULL;
    struct swk_error err;

    f->config.voters = others;
    f->config.voters_count = 3;
    assert_int_equal(swk_raft_new(&f->config, &raft, &err), SWK_ENOTSUP);
    assert_non_null(strstr(err.text, "one member"));
    f->config.voters = another;
    f->config.voters_count = 1;
    assert_int_equal(swk_raft_new(&f->config, &raft, NULL), SWK_ENOTSUP);
    f->config.voters = NULL;
    f->config.id = 0;
    assert_int_equal(swk_raft_new(&f->config, &raft, NULL), SWK_EINVAL);
    f->config.id = UINT64_MAX - 1;
    assert_int_equal(swk_raft_new(&f->config, &raft, NULL), SWK_EINVAL);
    f->config.id = ID;
    f->config.size = 0;
    assert_int_equal(swk_raft_new(&f->config, &raft, NULL), SWK_EINVAL);
    assert_null(raft);
}

static void new_refuses_options_of_a_newer_library(void **state)
{
    struct f *f = *state;
    struct {
        struct swk_raft_config config;
        uint64_t more;
    } newer = {.config = f->config};
    swk_raft *raft = NULL;

    newer.config.size = sizeof(newer);
    assert_int_equal(swk_raft_new(&newer.config, &f->raft, NULL), 0);
    newer.more = 1;
    assert_int_equal(swk_raft_new(&newer.config, &raft, NULL), SWK_ENOTSUP);
}

static void r_boo_1_events_before_the_start_are_refused(void **state)
{
    struct f *f = *state;

    make(f);
    assert_int_equal(swk_raft_expire(f->raft, 1, NULL), SWK_EPRECONDITION);
    assert_int_equal(swk_raft_propose(f->raft, "x", 1, NULL, NULL),
                     SWK_EPRECONDITION);
    assert_int_equal(swk_raft_persisted(f->raft, 0, NULL), SWK_EPRECONDITION);
    assert_int_equal(swk_raft_applied(f->raft, 0, NULL), SWK_EPRECONDITION);
    assert_int_equal(take(f)->persist_ticket, 0);
    assert_int_equal(swk_raft_deadline(f->raft), SWK_NEVER);
    assert_int_equal(swk_raft_start(f->raft, 1, NULL), 0);
    assert_int_equal(swk_raft_start(f->raft, 1, NULL), SWK_EPRECONDITION);
}

static void r_ele_2_sole_member_votes_for_itself_at_once(void **state)
{
    struct f *f = *state;

    make(f);
    assert_int_equal(swk_raft_start(f->raft, 100, NULL), 0);
    assert_int_equal(swk_raft_expire(f->raft, 99, NULL), 0);
    assert_int_equal(status_of(f).role, SWK_RAFT_FOLLOWER);
    assert_int_equal(swk_raft_expire(f->raft, 100, NULL), 0);
    assert_int_equal(status_of(f).role, SWK_RAFT_CANDIDATE);
    assert_int_equal(swk_raft_deadline(f->raft), SWK_NEVER);

    const struct swk_raft_actions *a = take(f);
    assert_non_null(a->hard_state);
    assert_int_equal(a->hard_state->term, 1);
    assert_int_equal(a->hard_state->vote, ID);
    assert_int_equal(a->entries_count, 0);
    assert_int_equal(a->messages_count, 0);
    assert_int_not_equal(a->persist_ticket, 0);
}

static void r_msg_2_own_vote_counts_only_when_durable(void **state)
{
    struct f *f = *state;

    make(f);
    start(f);
    uint64_t ticket = take(f)->persist_ticket;
    assert_int_equal(status_of(f).role, SWK_RAFT_CANDIDATE);
    assert_int_equal(swk_raft_next_index(f->raft), 0);
    assert_int_equal(take(f)->persist_ticket, 0);
    assert_int_equal(swk_raft_persisted(f->raft, ticket, NULL), 0);
    assert_int_equal(status_of(f).role, SWK_RAFT_LEADER);
    assert_int_equal(status_of(f).leader, ID);
}

static void r_ele_8_leader_begins_with_an_empty_entry(void **state)
{
    struct f *f = *state;

    make(f);
    start(f);
    assert_int_equal(swk_raft_persisted(f->raft, take(f)->persist_ticket, NULL),
                     0);
    const struct swk_raft_actions *a = take(f);
    assert_int_equal(a->entries_count, 1);
    assert_int_equal(a->entries[0].index, 1);
    assert_int_equal(a->entries[0].term, 1);
    assert_int_equal(a->entries[0].type, SWK_RAFT_ENTRY_NORMAL);
    assert_int_equal(a->entries[0].data_len, 0);
    assert_int_equal(a->committed_count, 0);
    assert_int_equal(a->leadership_gained, 0);

    assert_int_equal(swk_raft_persisted(f->raft, a->persist_ticket, NULL), 0);
    a = take(f);
    assert_int_equal(a->committed_count, 1);
    assert_int_equal(a->leadership_gained, 0); /* not before it is applied */
    assert_int_equal(swk_raft_applied(f->raft, 1, NULL), 0);
    assert_int_equal(take(f)->leadership_gained, 1);
    assert_int_equal(take(f)->leadership_gained, 0);
    assert_int_equal(swk_raft_next_index(f->raft), 2);
}

static void r_com_1_an_entry_is_committed_when_it_is_durable(void **state)
{
    struct f *f = *state;

    make_leader(f);
    assert_int_equal(propose(f, "one"), 2);
    assert_int_equal(status_of(f).committed, 1);
    const struct swk_raft_actions *a = take(f);
    assert_int_equal(a->entries_count, 1);
    assert_memory_equal(a->entries[0].data, "one", 3);
    assert_int_equal(a->committed_count, 0);
    assert_int_equal(swk_raft_persisted(f->raft, a->persist_ticket, NULL), 0);
    assert_int_equal(status_of(f).committed, 2);
    a = take(f);
    assert_int_equal(a->committed_count, 1);
    assert_memory_equal(a->committed[0].data, "one", 3);
    assert_int_equal(a->persist_ticket, 0); /* no write for a commit alone */
    assert_int_equal(take(f)->committed_count, 0); /* nothing twice */
}

static void r_pro_6_proposals_go_out_together(void **state)
{
    struct f *f = *state;

    make_leader(f);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(propose(f, "x"), i + 2);
    }
    const struct swk_raft_actions *a = take(f);
    assert_int_equal(a->entries_count, 100);
    assert_int_equal(a->entries[99].index, 101);
    assert_int_equal(a->hard_state->commit, 1); /* rides along */
    assert_int_equal(take(f)->persist_ticket, 0);
}

static void several_writes_may_be_under_way(void **state)
{
    struct f *f = *state;
    uint64_t tickets[3];

    make_leader(f);
    for (int i = 0; i < 3; i++) {
        propose(f, "x");
        tickets[i] = take(f)->persist_ticket;
        assert_true(i == 0 || tickets[i] > tickets[i - 1]);
    }
    assert_int_equal(swk_raft_persisted(f->raft, tickets[1], NULL), 0);
    assert_int_equal(status_of(f).committed, 3);
    assert_int_equal(swk_raft_persisted(f->raft, tickets[0], NULL), 0);
    assert_int_equal(status_of(f).committed, 3);
    assert_int_equal(swk_raft_persisted(f->raft, tickets[2], NULL), 0);
    assert_int_equal(status_of(f).committed, 4);
    assert_int_equal(swk_raft_persisted(f->raft, tickets[2] + 1, NULL),
                     SWK_EINVAL);
}

static void entries_wait_while_too_many_writes_are_under_way(void **state)
{
    struct f *f = *state;
    uint64_t last = 0;

    make_leader(f);
    for (int i = 0; i < SWKI_RAFT_WRITES_MAX; i++) {
        propose(f, "x");
        last = take(f)->persist_ticket;
        assert_int_not_equal(last, 0);
    }
    propose(f, "y");
    propose(f, "y");
    assert_int_equal(take(f)->persist_ticket, 0);
    assert_int_equal(swk_raft_persisted(f->raft, last, NULL), 0);
    assert_int_equal(take(f)->entries_count, 2);
}

static void r_pro_1_only_a_leader_takes_proposals(void **state)
{
    struct f *f = *state;
    uint64_t index = 77;

    make(f);
    start(f);
    assert_int_equal(swk_raft_propose(f->raft, "x", 1, &index, NULL),
                     SWK_ENOTLEADER);
    assert_int_equal(index, 77);
    assert_int_equal(status_of(f).last_index, 0);
}

static void r_pro_3_uncommitted_bytes_are_limited(void **state)
{
    struct f *f = *state;

    f->config.uncommitted_size_max = 10;
    make_leader(f);
    propose(f, "more than ten bytes"); /* the log is idle: it passes */
    assert_int_equal(swk_raft_propose(f->raft, "x", 1, NULL, NULL),
                     SWK_EUNAVAILABLE);
    assert_int_equal(swk_raft_propose(f->raft, NULL, 0, NULL, NULL), 0);
    settle(f);
    assert_int_equal(status_of(f).uncommitted_size, 0);
    propose(f, "12345");
    propose(f, "67890");
    assert_int_equal(swk_raft_propose(f->raft, "x", 1, NULL, NULL),
                     SWK_EUNAVAILABLE);
}

static void r_pro_4_an_entry_has_a_largest_size(void **state)
{
    struct f *f = *state;
    uint8_t *data = calloc(1, SWK_RAFT_ENTRY_SIZE_MAX + 1);
    struct swk_error err;

    make_leader(f);
    assert_int_equal(swk_raft_propose(f->raft, data,
                                      SWK_RAFT_ENTRY_SIZE_MAX + 1, NULL, &err),
                     SWK_ELIMIT);
    assert_int_equal(err.code, SWK_ELIMIT);
    assert_int_equal(
        swk_raft_propose(f->raft, data, SWK_RAFT_ENTRY_SIZE_MAX, NULL, NULL),
        0);
    assert_int_equal(swk_raft_propose(f->raft, NULL, 1, NULL, NULL),
                     SWK_EINVAL);
    free(data);
}

static void r_app_1_entries_to_apply_are_limited_in_bytes(void **state)
{
    struct f *f = *state;

    f->config.apply_size_max = 8;
    make_leader(f);
    for (int i = 0; i < 5; i++) {
        propose(f, "four");
    }
    assert_int_equal(swk_raft_persisted(f->raft, take(f)->persist_ticket, NULL),
                     0);
    const struct swk_raft_actions *a = take(f);
    assert_int_equal(a->committed_count, 2);
    assert_int_equal(a->committed[0].index, 2);
    assert_int_equal(take(f)->committed_count, 0); /* R-APP-3 */
    assert_int_equal(swk_raft_applied(f->raft, 4, NULL), SWK_EINVAL);
    assert_int_equal(swk_raft_applied(f->raft, 2, NULL), 0);
    a = take(f);
    assert_int_equal(a->committed_count, 1);
    assert_int_equal(a->committed[0].index, 4);
}

static void restore(struct f *f, uint64_t term, uint64_t commit, uint64_t first,
                    uint64_t last)
{
    const struct swk_hard_state hard = {term, ID, commit};

    assert_int_equal(swk_raft_restore_hard_state(f->raft, &hard, NULL), 0);
    for (uint64_t i = first; i <= last; i++) {
        const struct swk_log_entry entry = {.index = i,
                                            .term = term,
                                            .data = (const uint8_t *)"e",
                                            .data_len = 1};

        assert_int_equal(swk_raft_restore_entry(f->raft, &entry, NULL), 0);
    }
}

static void restarted_leader_is_announced_after_all_is_applied(void **state)
{
    static const struct swk_snapshot_meta snapshot = {10, 3};
    struct f *f = *state;

    make(f);
    assert_int_equal(swk_raft_restore_snapshot(f->raft, &snapshot, NULL), 0);
    restore(f, 4, 12, 11, 15);
    start(f);
    assert_int_equal(status_of(f).applied, 10);

    const struct swk_raft_actions *a = take(f);
    assert_int_equal(a->hard_state->term, 5);
    assert_int_equal(a->entries_count, 0);   /* stored already */
    assert_int_equal(a->committed_count, 2); /* up to the stored commit */
    assert_int_equal(a->committed[0].index, 11);
    assert_int_equal(swk_raft_persisted(f->raft, a->persist_ticket, NULL), 0);
    assert_int_equal(status_of(f).committed, 12); /* R-COM-1: term 4 waits */

    a = take(f);
    assert_int_equal(a->entries[0].index, 16);
    assert_int_equal(swk_raft_persisted(f->raft, a->persist_ticket, NULL), 0);
    assert_int_equal(status_of(f).committed, 16);
    assert_int_equal(swk_raft_applied(f->raft, 12, NULL), 0);
    a = take(f);
    assert_int_equal(a->committed_count, 4);
    assert_int_equal(a->leadership_gained, 0);
    assert_int_equal(swk_raft_applied(f->raft, 15, NULL), 0);
    assert_int_equal(take(f)->leadership_gained, 0);
    assert_int_equal(swk_raft_applied(f->raft, 16, NULL), 0);
    assert_int_equal(take(f)->leadership_gained, 1);
}

static void a_stored_commit_may_lag_behind_the_snapshot(void **state)
{
    static const struct swk_snapshot_meta snapshot = {10, 3};
    struct f *f = *state;

    make(f);
    assert_int_equal(swk_raft_restore_snapshot(f->raft, &snapshot, NULL), 0);
    restore(f, 3, 4, 11, 10);
    start(f);
    assert_int_equal(status_of(f).committed, 10);
    assert_int_equal(settle(f), 1);
    assert_int_equal(swk_raft_next_index(f->raft), 12);
}

static void r_boo_1_a_lost_log_is_refused(void **state)
{
    struct f *f = *state;
    struct swk_error err;

    make(f);
    restore(f, 2, 9, 1, 8);
    assert_int_equal(swk_raft_start(f->raft, 0, &err), SWK_ECORRUPT);
    assert_non_null(strstr(err.text, "lost"));
    assert_int_equal(swk_raft_deadline(f->raft), SWK_NEVER);
}

static void restored_entries_must_follow_each_other(void **state)
{
    static const struct {
        const char *why;
        struct swk_log_entry entry;
        int code;
    } cases[] = {
        {"a gap", {.index = 4, .term = 2}, SWK_ECORRUPT},
        {"again", {.index = 2, .term = 2}, SWK_ECORRUPT},
        {"older term", {.index = 3, .term = 1}, SWK_ECORRUPT},
        {"no term", {.index = 3, .term = 0}, SWK_ECORRUPT},
        {"term out of range", {.index = 3, .term = UINT64_MAX}, SWK_ECORRUPT},
        {"membership", {.index = 3, .term = 2, .type = 2}, SWK_ENOTSUP},
    };
    struct f *f = *state;

    make(f);
    restore(f, 2, 0, 1, 2);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int rc = swk_raft_restore_entry(f->raft, &cases[i].entry, NULL);

        if (rc != cases[i].code) {
            fail_msg("%s: got %d", cases[i].why, rc);
        }
    }
    assert_int_equal(status_of(f).last_index, 2);
}

static void start_refuses_a_term_behind_the_log(void **state)
{
    static const struct swk_log_entry entry = {.index = 1, .term = 5};
    struct f *f = *state;

    make(f);
    assert_int_equal(swk_raft_restore_entry(f->raft, &entry, NULL), 0);
    assert_int_equal(swk_raft_start(f->raft, 0, NULL), SWK_ECORRUPT);
}

static void a_snapshot_is_wanted_every_interval(void **state)
{
    struct f *f = *state;
    struct swk_snapshot_meta meta;
    uint64_t ticket;

    f->config.snapshot_interval = 5;
    f->config.entries_for_slow_followers = 2;
    make_leader(f);
    for (int i = 0; i < 4; i++) {
        propose(f, "x");
    }
    settle(f); /* 5 applied, and the wish among the actions taken */
    assert_int_equal(f->raft->wanted, 5);
    assert_int_equal(swk_raft_save_snapshot(f->raft, 6, &meta, &ticket, NULL),
                     SWK_EINVAL);
    assert_int_equal(swk_raft_save_snapshot(f->raft, 5, &meta, &ticket, NULL),
                     0);
    assert_int_equal(meta.index, 5);
    assert_int_equal(meta.term, 1);
    assert_int_equal(swk_raft_save_snapshot(f->raft, 5, &meta, &ticket, NULL),
                     SWK_EBUSY);
    assert_int_equal(status_of(f).first_index, 1);
    assert_int_equal(swk_raft_persisted(f->raft, ticket, NULL), 0);
    assert_int_equal(status_of(f).snapshot_index, 5);
    assert_int_equal(status_of(f).first_index, 4); /* R-SNP-7: 2 are kept */
    assert_int_equal(swk_raft_save_snapshot(f->raft, 5, &meta, &ticket, NULL),
                     SWK_EINVAL);
    for (int i = 0; i < 4; i++) {
        propose(f, "x");
    }
    settle(f);
    assert_int_equal(f->raft->wanted, 0);
    propose(f, "x");
    settle(f);
    assert_int_equal(f->raft->wanted, 10);
}

static void a_snapshot_is_wanted_before_further_entries_are_applied(void **s)
{
    struct f *f = *s;

    f->config.snapshot_interval = 3;
    f->config.apply_size_max = 2;
    make_leader(f);
    for (int i = 0; i < 6; i++) {
        propose(f, "x");
    }
    assert_int_equal(swk_raft_persisted(f->raft, take(f)->persist_ticket, NULL),
                     0);
    assert_int_equal(take(f)->committed_count, 2); /* 2 and 3 */
    assert_int_equal(swk_raft_applied(f->raft, 2, NULL), 0);
    assert_int_equal(take(f)->committed_count, 1); /* 4 */
    assert_int_equal(swk_raft_applied(f->raft, 3, NULL), 0);

    const struct swk_raft_actions *a = take(f); /* due, but 4 is half way in */
    assert_int_equal(a->snapshot_wanted, 0);
    assert_int_equal(a->committed_count, 0);
    assert_int_equal(swk_raft_applied(f->raft, 4, NULL), 0);
    a = take(f);
    assert_int_equal(a->snapshot_wanted, 4);
    assert_int_equal(a->committed_count, 2);
}

static void a_snapshot_is_wanted_when_the_log_is_large(void **state)
{
    struct f *f = *state;

    f->config.snapshot_log_size = 8;
    make_leader(f);
    propose(f, "1234567");
    settle(f);
    assert_int_equal(f->raft->wanted, 0);
    propose(f, "8");
    settle(f);
    assert_int_equal(f->raft->wanted, 3);
}

static void an_abandoned_snapshot_is_wanted_again_later(void **state)
{
    struct f *f = *state;

    f->config.snapshot_interval = 2;
    make_leader(f);
    propose(f, "x");
    settle(f);
    assert_int_equal(f->raft->wanted, 2);
    swk_raft_snapshot_abandoned(f->raft);
    assert_int_equal(take(f)->snapshot_wanted, 0);
    propose(f, "x");
    settle(f);
    assert_int_equal(f->raft->wanted, 3);
}

static void the_snapshot_interval_can_change_and_be_none(void **state)
{
    struct f *f = *state;

    f->config.snapshot_interval = 3;
    make_leader(f);
    swk_raft_set_snapshot_interval(f->raft, 0, 0);
    for (int i = 0; i < 10; i++) {
        propose(f, "x");
    }
    settle(f);
    assert_int_equal(f->raft->wanted, 0);
    swk_raft_set_snapshot_interval(f->raft, 11, 0);
    assert_int_equal(take(f)->snapshot_wanted, 11);
}

static void r_dsk_1_a_storage_failure_is_for_good(void **state)
{
    static const struct swk_error reason = {SWK_EIO, "no space left"};
    struct f *f = *state;
    struct swk_error err;

    make_leader(f);
    propose(f, "x");
    uint64_t ticket = take(f)->persist_ticket;
    swk_raft_storage_failed(f->raft, &reason);
    const struct swk_raft_actions *a = take(f);
    assert_int_equal(a->leadership_lost, 1);
    assert_int_equal(a->failure, SWK_EIO);
    assert_int_equal(a->persist_ticket, 0);
    a = take(f);
    assert_int_equal(a->leadership_lost, 0); /* said once */
    assert_int_equal(a->failure, 0);

    assert_int_equal(swk_raft_propose(f->raft, "x", 1, NULL, &err), SWK_EIO);
    assert_non_null(strstr(err.text, "no space left"));
    assert_int_equal(swk_raft_persisted(f->raft, ticket, NULL), SWK_EIO);
    assert_int_equal(swk_raft_expire(f->raft, SWK_NEVER - 1, NULL), SWK_EIO);
    assert_int_equal(swk_raft_next_index(f->raft), 0);
    assert_int_equal(swk_raft_deadline(f->raft), SWK_NEVER);
    assert_int_equal(status_of(f).failure, SWK_EIO);
    assert_int_equal(status_of(f).committed, 1);
    assert_int_equal(status_of(f).role, SWK_RAFT_FOLLOWER);
}

static void a_failure_before_the_announcement_loses_no_leadership(void **state)
{
    struct f *f = *state;

    make(f);
    start(f);
    swk_raft_storage_failed(f->raft, NULL);
    const struct swk_raft_actions *a = take(f);
    assert_int_equal(a->leadership_lost, 0);
    assert_int_equal(a->failure, SWK_EIO);
}

static void status_is_filled_as_far_as_the_caller_knows_it(void **state)
{
    struct f *f = *state;
    struct swk_raft_status status = {
        .size = offsetof(struct swk_raft_status, term), .term = 99};

    make_leader(f);
    swk_raft_status(f->raft, &status);
    assert_int_equal(status.id, ID);
    assert_int_equal(status.term, 99);
}

/* Whatever request for memory fails, the call says so and can be repeated. */
static void no_memory_leaves_the_member_as_it_was(void **state)
{
    struct f *f = *state;
    uint8_t data[3000] = {0};
    int refused = 0;

    make(f);
    assert_int_equal(swk_raft_start(f->raft, 0, NULL), 0);
    f->heap.fail_at = 0;
    assert_int_equal(swk_raft_expire(f->raft, 0, NULL), SWK_ENOMEM);
    assert_int_equal(status_of(f).role, SWK_RAFT_FOLLOWER);
    assert_int_equal(swk_raft_deadline(f->raft), 0);
    assert_int_equal(swk_raft_expire(f->raft, 0, NULL), 0);
    settle(f);
    for (int i = 0; i < 200; i++) {
        uint64_t next = swk_raft_next_index(f->raft);

        f->heap.fail_at = 0;
        int rc = swk_raft_propose(f->raft, data, sizeof(data), NULL, NULL);
        if (rc == SWK_ENOMEM) {
            refused++;
            assert_int_equal(swk_raft_next_index(f->raft), next);
        }
        f->heap.fail_at = -1;
        assert_int_equal(rc == 0 || rc == SWK_ENOMEM, 1);
        propose(f, "x");
        assert_null(swki_raft_check(f->raft));
    }
    assert_true(refused > 3);
}

#define TEST(function)                                                         \
    cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(new_refuses_what_it_cannot_serve),
        TEST(new_refuses_options_of_a_newer_library),
        TEST(r_boo_1_events_before_the_start_are_refused),
        TEST(r_ele_2_sole_member_votes_for_itself_at_once),
        TEST(r_msg_2_own_vote_counts_only_when_durable),
        TEST(r_ele_8_leader_begins_with_an_empty_entry),
        TEST(r_com_1_an_entry_is_committed_when_it_is_durable),
        TEST(r_pro_6_proposals_go_out_together),
        TEST(several_writes_may_be_under_way),
        TEST(entries_wait_while_too_many_writes_are_under_way),
        TEST(r_pro_1_only_a_leader_takes_proposals),
        TEST(r_pro_3_uncommitted_bytes_are_limited),
        TEST(r_pro_4_an_entry_has_a_largest_size),
        TEST(r_app_1_entries_to_apply_are_limited_in_bytes),
        TEST(restarted_leader_is_announced_after_all_is_applied),
        TEST(a_stored_commit_may_lag_behind_the_snapshot),
        TEST(r_boo_1_a_lost_log_is_refused),
        TEST(restored_entries_must_follow_each_other),
        TEST(start_refuses_a_term_behind_the_log),
        TEST(a_snapshot_is_wanted_every_interval),
        TEST(a_snapshot_is_wanted_before_further_entries_are_applied),
        TEST(a_snapshot_is_wanted_when_the_log_is_large),
        TEST(an_abandoned_snapshot_is_wanted_again_later),
        TEST(the_snapshot_interval_can_change_and_be_none),
        TEST(r_dsk_1_a_storage_failure_is_for_good),
        TEST(a_failure_before_the_announcement_loses_no_leadership),
        TEST(status_is_filled_as_far_as_the_caller_knows_it),
        TEST(no_memory_leaves_the_member_as_it_was),
    };

    return cmocka_run_group_tests_name("raft", tests, NULL, NULL);
}

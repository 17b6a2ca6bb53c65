/* SPDX-License-Identifier: Apache-2.0 */

/* What a member answers to calls out of order, out of range or too large, and
 * when it wants snapshots. */

#include "lib/cmocka_all.h"

#include <stdlib.h>

#include "lib/raft_cluster.h"

struct f {
    struct cluster *c;
    struct swk_raft_config config;
};

static void configure(struct swk_raft_config *config, void *ctx)
{
    const struct f *f = ctx;
    struct swk_raft_config own = f->config;

    own.size = config->size;
    own.id = config->id;
    own.seed = config->seed;
    own.tick_ns = config->tick_ns;
    *config = own;
}

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    f->c = cluster_new();
    f->c->configure = configure;
    f->c->configure_ctx = f;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    cluster_free(f->c);
    free(f);
    return 0;
}

/* -- Configuration --------------------------------------------------------- */

static void new_refuses_what_cannot_be(void **state)
{
    static const struct {
        const char *why;
        struct swk_raft_config config;
    } cases[] = {
        {"no id", {.id = 0}},
        {"an id of the storage", {.id = UINT64_MAX}},
        {"another id of the storage", {.id = UINT64_MAX - 1}},
        {"unknown flags", {.id = 1, .flags = 1U << 31}},
        {"elections as fast as heartbeats",
         {.id = 1, .heartbeat_ticks = 5, .election_ticks = 5}},
        {"elections that never come", {.id = 1, .election_ticks = UINT32_MAX}},
        {"a lease that is over at once",
         {.id = 1, .election_ticks = 5, .lease_margin_ticks = 5}},
        {"leases without a check for a quorum",
         {.id = 1, .flags = SWK_RAFT_LEASE_READS | SWK_RAFT_NO_CHECK_QUORUM}},
        {"ticks below a millisecond", {.id = 1, .tick_ns = 999999}},
        {"a window below a message",
         {.id = 1, .inflight_size_max = 10, .message_size_max = 11}},
    };
    struct swk_raft_config config = {.size = sizeof(config), .id = 1};
    swk_raft *raft = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        config = cases[i].config;
        config.size = sizeof(config);
        int rc = swk_raft_new(&config, &raft, NULL);

        if (rc != SWK_EINVAL || raft != NULL) {
            fail_msg("%s: got %d", cases[i].why, rc);
        }
    }
    config = (struct swk_raft_config){.size = sizeof(config), .id = 1};
    assert_int_equal(swk_raft_new(NULL, &raft, NULL), SWK_EINVAL);
    assert_int_equal(swk_raft_new(&config, NULL, NULL), SWK_EINVAL);
    config.size = 4;
    assert_int_equal(swk_raft_new(&config, &raft, NULL), SWK_EINVAL);
}

static void new_refuses_options_of_a_newer_library(void **state)
{
    struct {
        struct swk_raft_config config;
        uint64_t more;
    } newer = {.config = {.size = sizeof(newer), .id = 1}};
    swk_raft *raft = NULL;

    (void)state;
    assert_int_equal(swk_raft_new(&newer.config, &raft, NULL), 0);
    swk_raft_free(raft);
    raft = NULL;
    newer.more = 1;
    assert_int_equal(swk_raft_new(&newer.config, &raft, NULL), SWK_ENOTSUP);
}

/* -- Order of calls -------------------------------------------------------- */

static swk_raft *make(void)
{
    const struct swk_raft_config config = {.size = sizeof(config), .id = 1};
    swk_raft *raft = NULL;

    assert_int_equal(swk_raft_new(&config, &raft, NULL), 0);
    return raft;
}

static void nothing_happens_before_the_start(void **state)
{
    const struct swk_raft_message message = {
        .type = SWK_RAFT_MSG_HEARTBEAT, .to = 1, .from = 2, .term = 1};
    swk_raft *raft = make();
    struct swk_snapshot_meta meta;
    uint64_t ticket;

    (void)state;
    assert_int_equal(swk_raft_deadline(raft), SWK_NEVER);
    assert_int_equal(swk_raft_expire(raft, 1, NULL), SWK_EPRECONDITION);
    assert_int_equal(swk_raft_propose(raft, "x", 1, NULL, NULL),
                     SWK_EPRECONDITION);
    assert_int_equal(swk_raft_step(raft, &message, NULL), SWK_EPRECONDITION);
    assert_int_equal(swk_raft_persisted(raft, 0, NULL), SWK_EPRECONDITION);
    assert_int_equal(swk_raft_applied(raft, 0, NULL), SWK_EPRECONDITION);
    assert_int_equal(swk_raft_campaign(raft, NULL), SWK_EPRECONDITION);
    assert_int_equal(swk_raft_begin_snapshot(raft, &meta, NULL),
                     SWK_EPRECONDITION);
    assert_int_equal(swk_raft_finish_snapshot(raft, &ticket, NULL),
                     SWK_EPRECONDITION);
    assert_int_equal(swk_raft_next_index(raft), 0);
    swk_raft_report_unreachable(raft, 2);
    swk_raft_report_snapshot(raft, 2, 1);
    const struct swk_raft_actions *a = swk_raft_take_actions(raft);
    assert_int_equal(a->messages_count, 0);
    assert_int_equal(a->persist_ticket, 0);
    swk_raft_free(raft);
}

static void nothing_is_restored_after_the_start(void **state)
{
    static const uint64_t voters[] = {1};
    const struct swk_hard_state hard = {1, 0, 0};
    const struct swk_log_entry entry = {.index = 1, .term = 1};
    const struct swk_snapshot_meta meta = {
        .index = 1,
        .term = 1,
        .conf_state = {.voters = voters, .voters_count = 1}};
    const struct swk_raft_change one = {.id = 1};
    const struct swk_raft_conf_change founder = {
        .size = sizeof(founder), .changes = &one, .changes_count = 1};
    swk_raft *raft = make();

    (void)state;
    assert_int_equal(swk_raft_start(raft, 1, NULL), 0);
    assert_int_equal(swk_raft_start(raft, 1, NULL), SWK_EPRECONDITION);
    assert_int_equal(swk_raft_restore_snapshot(raft, &meta, NULL),
                     SWK_EPRECONDITION);
    assert_int_equal(swk_raft_restore_hard_state(raft, &hard, NULL),
                     SWK_EPRECONDITION);
    assert_int_equal(swk_raft_restore_entry(raft, &entry, NULL),
                     SWK_EPRECONDITION);
    assert_int_equal(swk_raft_restore_lost(raft, 5, NULL), SWK_EPRECONDITION);
    assert_int_equal(swk_raft_bootstrap(raft, &founder, 1, NULL),
                     SWK_EPRECONDITION);
    swk_raft_free(raft);
}

static void r_boo_1_what_was_restored_must_not_contradict_itself(void **state)
{
    const struct swk_hard_state beyond = {1, 0, 2};
    const struct swk_hard_state behind = {1, 0, 0};
    const struct swk_log_entry first = {.index = 1, .term = 1};
    const struct swk_log_entry second = {.index = 2, .term = 2};
    const struct swk_log_entry gap = {.index = 4, .term = 2};
    swk_raft *raft = make();

    (void)state;
    assert_int_equal(swk_raft_restore_hard_state(raft, &beyond, NULL), 0);
    assert_int_equal(swk_raft_restore_hard_state(raft, &beyond, NULL),
                     SWK_EPRECONDITION);
    assert_int_equal(swk_raft_restore_entry(raft, &first, NULL), 0);
    assert_int_equal(swk_raft_restore_entry(raft, &gap, NULL), SWK_ECORRUPT);
    assert_int_equal(swk_raft_start(raft, 1, NULL), SWK_ECORRUPT);
    swk_raft_free(raft);

    raft = make();
    assert_int_equal(swk_raft_restore_hard_state(raft, &behind, NULL), 0);
    assert_int_equal(swk_raft_restore_entry(raft, &first, NULL), 0);
    assert_int_equal(swk_raft_restore_entry(raft, &second, NULL), 0);
    assert_int_equal(swk_raft_start(raft, 1, NULL), SWK_ECORRUPT);
    swk_raft_free(raft);
}

static void a_group_is_founded_by_voters_that_are_added(void **state)
{
    static const struct swk_raft_change good[] = {{.id = 1}, {.id = 2}};
    static const struct swk_raft_change learner = {
        .type = SWK_RAFT_ADD_LEARNER, .id = 2};
    static const struct swk_raft_change nobody = {.id = 0};
    struct swk_raft_conf_change members[2] = {
        {.size = sizeof(members[0]), .changes = &good[0], .changes_count = 1},
        {.size = sizeof(members[0]), .changes = &learner, .changes_count = 1}};
    const struct swk_hard_state hard = {1, 0, 0};
    swk_raft *raft = make();

    (void)state;
    assert_int_equal(swk_raft_bootstrap(raft, members, 0, NULL), SWK_EINVAL);
    assert_int_equal(swk_raft_bootstrap(raft, members, 2, NULL), SWK_EINVAL);
    members[1].changes = &nobody;
    assert_int_equal(swk_raft_bootstrap(raft, members, 2, NULL), SWK_EINVAL);
    members[1].changes = &good[0];
    assert_int_equal(swk_raft_bootstrap(raft, members, 2, NULL), SWK_EINVAL);
    members[1].changes = &good[1];
    members[1].context_len = 1;
    assert_int_equal(swk_raft_bootstrap(raft, members, 2, NULL), SWK_EINVAL);
    members[1].context_len = 0;
    assert_int_equal(swk_raft_bootstrap(raft, members, 2, NULL), 0);
    assert_int_equal(swk_raft_restore_hard_state(raft, &hard, NULL),
                     SWK_EPRECONDITION);
    swk_raft_free(raft);
}

static void the_founders_are_entries_with_their_context(void **state)
{
    static const struct swk_raft_change one = {.id = 1};
    static const struct swk_raft_conf_change founder = {
        .size = sizeof(founder),
        .changes = &one,
        .changes_count = 1,
        .context = (const uint8_t *)"who",
        .context_len = 3};
    struct swk_raft_change changes[SWK_RAFT_CHANGES_MAX];
    struct swk_raft_conf_change change;
    swk_raft *raft = make();

    (void)state;
    assert_int_equal(swk_raft_bootstrap(raft, &founder, 1, NULL), 0);
    assert_int_equal(swk_raft_start(raft, 1, NULL), 0);
    const struct swk_raft_actions *a = swk_raft_take_actions(raft);
    assert_int_equal(a->hard_state->term, 1);
    assert_int_equal(a->hard_state->commit, 1);
    assert_int_equal(a->entries_count, 1);
    assert_int_equal(a->entries[0].index, 1);
    assert_int_equal(a->entries[0].type, SWK_RAFT_ENTRY_CONF_CHANGE);
    assert_int_equal(swk_raft_read_conf_change(&a->entries[0], changes,
                                               &change, NULL), 0);
    assert_int_equal(change.changes_count, 1);
    assert_int_equal(change.changes[0].id, 1);
    assert_memory_equal(change.context, "who", 3);
    assert_int_equal(a->committed_count, 0); /* not before it is durable */
    swk_raft_free(raft);
}

/* -- Proposals ------------------------------------------------------------- */

static void r_pro_4_an_entry_has_a_largest_size(void **state)
{
    struct f *f = *state;
    struct cluster_member *m;
    uint64_t index = 77;

    f->config.entry_size_max = 10;
    m = cluster_found(f->c, 1);
    assert_int_equal(swk_raft_propose(m->raft, "01234567890", 11, &index, NULL),
                     SWK_ELIMIT);
    assert_int_equal(index, 77);
    assert_int_equal(swk_raft_propose(m->raft, "0123456789", 10, &index, NULL),
                     0);
    assert_int_equal(swk_raft_propose(m->raft, NULL, 1, NULL, NULL),
                     SWK_EINVAL);
    assert_int_equal(swk_raft_propose(m->raft, NULL, 0, NULL, NULL), 0);
}

static void r_pro_3_uncommitted_bytes_are_limited(void **state)
{
    struct f *f = *state;
    struct cluster_member *m;

    f->config.uncommitted_size_max = 10;
    m = cluster_found(f->c, 1);
    m->disk.held = true;
    assert_int_equal(cluster_propose(m, "more than ten bytes"), 0);
    assert_int_equal(cluster_propose(m, "x"), SWK_EUNAVAILABLE);
    m->disk.held = false;
    cluster_settle(f->c);
    assert_int_equal(cluster_status(m).uncommitted_size, 0);
    assert_int_equal(cluster_propose(m, "x"), 0);
}

static void r_app_1_entries_to_apply_are_limited_in_bytes(void **state)
{
    struct f *f = *state;
    struct cluster_member *m;
    const struct swk_raft_actions *a;

    f->config.apply_size_max = 2 * (24 + 4);
    m = cluster_found(f->c, 1);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(cluster_propose(m, "four"), 0);
    }
    a = swk_raft_take_actions(m->raft);
    assert_int_equal(swk_raft_persisted(m->raft, a->persist_ticket, NULL), 0);
    a = swk_raft_take_actions(m->raft);
    assert_int_equal(a->committed_count, 2);
    uint64_t last = a->committed[1].index;
    assert_int_equal(swk_raft_take_actions(m->raft)->committed_count, 0);
    assert_int_equal(swk_raft_applied(m->raft, last + 1, NULL), SWK_EINVAL);
    assert_int_equal(swk_raft_applied(m->raft, last, NULL), 0);
    assert_int_equal(swk_raft_applied(m->raft, last - 1, NULL), 0); /* known */
    a = swk_raft_take_actions(m->raft);
    assert_int_equal(a->committed_count, 2);
    assert_int_equal(a->committed[0].index, last + 1);
}

/* -- Changes --------------------------------------------------------------- */

static int propose(struct cluster_member *m, struct swk_raft_conf_change change)
{
    return swk_raft_propose_conf_change(m->raft, &change, NULL, NULL);
}

static void malformed_changes_are_refused(void **state)
{
    static const struct swk_raft_change kind = {.type = 4, .id = 2};
    static const struct swk_raft_change nobody = {.id = 0};
    static const struct swk_raft_change many[SWK_RAFT_CHANGES_MAX + 1];
    struct f *f = *state;
    struct cluster_member *m = cluster_found(f->c, 1);
    struct swk_raft_conf_change good = {
        .size = sizeof(good), .changes = &kind, .changes_count = 1};
    uint64_t last = cluster_status(m).last_index;

    assert_int_equal(propose(m, good), SWK_EINVAL);
    good.changes = &nobody;
    assert_int_equal(propose(m, good), SWK_EINVAL);
    good.changes = many;
    good.changes_count = SWK_RAFT_CHANGES_MAX + 1;
    assert_int_equal(propose(m, good), SWK_EINVAL);
    good.changes = NULL;
    assert_int_equal(propose(m, good), SWK_EINVAL);
    good.changes_count = 0;
    good.transition = 3;
    assert_int_equal(propose(m, good), SWK_EINVAL);
    good.transition = 0;
    good.context_len = 5;
    assert_int_equal(propose(m, good), SWK_EINVAL);
    good.size = 1;
    assert_int_equal(propose(m, good), SWK_EINVAL);
    assert_int_equal(cluster_status(m).last_index, last);
}

static void other_entries_are_no_changes(void **state)
{
    struct swk_raft_change changes[SWK_RAFT_CHANGES_MAX];
    struct swk_raft_conf_change change;
    struct swk_log_entry entry = {.index = 5, .term = 1};

    (void)state;
    assert_int_equal(swk_raft_read_conf_change(&entry, changes, &change, NULL),
                     SWK_EINVAL);
    entry.type = SWK_RAFT_ENTRY_CONF_CHANGE_V2; /* to leave a joint one */
    assert_int_equal(swk_raft_read_conf_change(&entry, changes, &change, NULL),
                     0);
    assert_int_equal(change.changes_count, 0);
    entry.data = (const uint8_t *)"\x12\x05";
    entry.data_len = 2;
    assert_int_equal(swk_raft_read_conf_change(&entry, changes, &change, NULL),
                     SWK_EINVAL);
}

/* -- Messages, tickets, reads ---------------------------------------------- */

static void messages_that_no_member_sends_are_refused(void **state)
{
    static const struct {
        const char *why;
        struct swk_raft_message message;
    } cases[] = {
        {"for another", {.type = SWK_RAFT_MSG_APP, .to = 9, .from = 2}},
        {"from nobody", {.type = SWK_RAFT_MSG_APP, .to = 1}},
        {"from itself", {.type = SWK_RAFT_MSG_APP, .to = 1, .from = 1}},
        {"from the storage",
         {.type = SWK_RAFT_MSG_APP, .to = 1, .from = UINT64_MAX}},
        {"a local one", {.type = 0, .to = 1, .from = 2, .term = 1}},
        {"a storage's", {.type = 20, .to = 1, .from = 2, .term = 1}},
        {"unknown", {.type = 77, .to = 1, .from = 2, .term = 1}},
        {"negative", {.type = -1, .to = 1, .from = 2, .term = 1}},
        {"without term", {.type = SWK_RAFT_MSG_APP, .to = 1, .from = 2}},
        {"a snapshot without one",
         {.type = SWK_RAFT_MSG_SNAP, .to = 1, .from = 2, .term = 1}},
        {"a hint beyond its index",
         {.type = SWK_RAFT_MSG_APP_RESP, .to = 1, .from = 2, .term = 1,
          .reject = 1, .index = 1, .reject_hint = 2}},
    };
    struct f *f = *state;
    struct cluster_member *m;

    cluster_found(f->c, 3);
    m = &f->c->members[1];
    uint64_t term = cluster_status(m).term;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int rc = swk_raft_step(m->raft, &cases[i].message, NULL);

        if (rc != SWK_EINVAL) {
            fail_msg("%s: got %d", cases[i].why, rc);
        }
    }
    assert_int_equal(swk_raft_step(m->raft, NULL, NULL), SWK_EINVAL);
    assert_int_equal(cluster_status(m).term, term);
}

static void tickets_come_back_in_any_number(void **state)
{
    struct f *f = *state;
    struct cluster_member *m = cluster_found(f->c, 1);
    uint64_t tickets[100];

    for (int i = 0; i < 100; i++) {
        assert_int_equal(cluster_propose(m, "x"), 0);
        tickets[i] = swk_raft_take_actions(m->raft)->persist_ticket;
        assert_true(tickets[i] != 0 && (i == 0 || tickets[i] > tickets[i - 1]));
    }
    uint64_t before = cluster_status(m).committed;
    assert_int_equal(swk_raft_persisted(m->raft, tickets[49], NULL), 0);
    assert_int_equal(cluster_status(m).committed, before + 50);
    assert_int_equal(swk_raft_persisted(m->raft, tickets[10], NULL), 0);
    assert_int_equal(cluster_status(m).committed, before + 50);
    assert_int_equal(swk_raft_persisted(m->raft, tickets[99] + 1, NULL),
                     SWK_EINVAL);
    assert_int_equal(swk_raft_persisted(m->raft, tickets[99], NULL), 0);
    assert_int_equal(cluster_status(m).committed, before + 100);
}

static void reads_are_limited(void **state)
{
    uint8_t context[SWK_RAFT_READ_CONTEXT_SIZE_MAX + 1] = {1};
    struct f *f = *state;
    struct cluster_member *m;

    f->config.pending_reads_max = 2;
    m = cluster_found(f->c, 3);
    cluster_isolate(f->c, m->id);
    assert_int_equal(swk_raft_read_index(m->raft, NULL, 1, NULL), SWK_EINVAL);
    assert_int_equal(swk_raft_read_index(m->raft, context, 0, NULL),
                     SWK_EINVAL);
    assert_int_equal(
        swk_raft_read_index(m->raft, context, sizeof(context), NULL),
        SWK_EINVAL);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            swk_raft_read_index(m->raft, context, sizeof(context) - 1, NULL),
            0);
    }
    assert_int_equal(swk_raft_read_index(m->raft, context, 1, NULL),
                     SWK_EUNAVAILABLE);
}

/* -- Snapshots ------------------------------------------------------------- */

static void a_snapshot_is_wanted_every_interval(void **state)
{
    struct f *f = *state;
    struct cluster_member *m;

    f->config.snapshot_interval = 5;
    f->config.entries_for_slow_followers = 2;
    m = cluster_found(f->c, 1);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(cluster_propose(m, "x"), 0);
        cluster_settle(f->c);
    }
    struct swk_raft_status status = cluster_status(m);
    assert_int_equal(status.applied, 22);
    assert_int_equal(status.snapshot_index, 20);
    assert_int_equal(status.first_index, 19); /* R-SNP-7: two are kept */
    assert_int_equal(m->disk.snapshot.meta.conf_state.voters_count, 1);
}

static void a_snapshot_is_wanted_when_the_log_is_large(void **state)
{
    struct f *f = *state;
    struct cluster_member *m;

    f->config.snapshot_log_size = 100;
    m = cluster_found(f->c, 1);
    for (int i = 0; i < 9; i++) {
        assert_int_equal(cluster_propose(m, "ten bytes."), 0);
        cluster_settle(f->c);
    }
    assert_int_equal(cluster_status(m).snapshot_index, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(cluster_propose(m, "ten bytes."), 0);
        cluster_settle(f->c);
    }
    assert_true(cluster_status(m).snapshot_index > 0);
}

static void one_snapshot_is_made_at_a_time(void **state)
{
    struct f *f = *state;
    struct cluster_member *m = cluster_found(f->c, 1);
    struct swk_snapshot_meta meta;
    uint64_t ticket;

    assert_int_equal(swk_raft_finish_snapshot(m->raft, &ticket, NULL),
                     SWK_EPRECONDITION);
    assert_int_equal(swk_raft_begin_snapshot(m->raft, &meta, NULL), 0);
    assert_int_equal(meta.index, m->applied);
    assert_int_equal(swk_raft_begin_snapshot(m->raft, &meta, NULL), SWK_EBUSY);
    assert_int_equal(swk_raft_finish_snapshot(m->raft, &ticket, NULL), 0);
    assert_int_equal(swk_raft_begin_snapshot(m->raft, &meta, NULL), SWK_EBUSY);
    assert_int_equal(cluster_status(m).snapshot_index, 0);
    assert_int_equal(swk_raft_persisted(m->raft, ticket, NULL), 0);
    assert_int_equal(cluster_status(m).snapshot_index, m->applied);
    assert_int_equal(swk_raft_begin_snapshot(m->raft, &meta, NULL),
                     SWK_EPRECONDITION); /* nothing is new */
}

static void an_abandoned_snapshot_is_wanted_again_later(void **state)
{
    struct f *f = *state;
    struct cluster_member *m = cluster_found(f->c, 1);

    swk_raft_set_snapshot_interval(m->raft, 1, 0);
    uint64_t applied = m->applied;
    assert_int_equal(swk_raft_take_actions(m->raft)->snapshot_wanted, applied);
    assert_int_equal(swk_raft_take_actions(m->raft)->snapshot_wanted, 0);
    swk_raft_snapshot_abandoned(m->raft);
    assert_int_equal(swk_raft_take_actions(m->raft)->snapshot_wanted, 0);
    assert_int_equal(cluster_propose(m, "x"), 0);
    cluster_settle(f->c);
    assert_int_equal(cluster_status(m).snapshot_index, applied + 1);
    swk_raft_set_snapshot_interval(m->raft, 0, 0);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(cluster_propose(m, "x"), 0);
        cluster_settle(f->c);
    }
    assert_int_equal(cluster_status(m).snapshot_index, applied + 1);
}

/* -- Views ----------------------------------------------------------------- */

static void status_is_filled_as_far_as_the_caller_knows_it(void **state)
{
    struct f *f = *state;
    struct cluster_member *m = cluster_found(f->c, 1);
    struct swk_raft_status status = {
        .size = offsetof(struct swk_raft_status, term), .term = 99};

    swk_raft_status(m->raft, &status);
    assert_int_equal(status.id, 1);
    assert_int_equal(status.term, 99);
}

struct lines {
    size_t count;
    bool stopped;
};

static void on_log(void *ctx, const struct swk_log_record *record)
{
    struct lines *lines = ctx;

    lines->count++;
    lines->stopped |= strstr(record->message, "no space left") != NULL;
}

static void a_failure_is_told_to_the_logger_with_what_came_before(void **state)
{
    static const struct swk_error reason = {SWK_EIO, "no space left"};
    struct lines lines = {0};
    const struct swk_logger logger = {sizeof(logger), &lines, SWK_LOG_INFO,
                                      on_log};
    struct f *f = *state;
    struct cluster_member *m;

    f->config.logger = &logger;
    m = cluster_found(f->c, 1);
    size_t before = lines.count;
    swk_raft_storage_failed(m->raft, &reason);
    swk_raft_storage_failed(m->raft, NULL); /* the first reason stays */
    cluster_settle(f->c);
    assert_true(lines.stopped);
    assert_in_range(lines.count, before + 2, before + 300); /* bounded */
    assert_int_equal(m->failures, 1);
    assert_int_equal(cluster_status(m).failure, SWK_EIO);
}

#define MEMBER_TEST(name)                                                      \
    cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_refuses_what_cannot_be),
        cmocka_unit_test(new_refuses_options_of_a_newer_library),
        cmocka_unit_test(nothing_happens_before_the_start),
        cmocka_unit_test(nothing_is_restored_after_the_start),
        cmocka_unit_test(r_boo_1_what_was_restored_must_not_contradict_itself),
        cmocka_unit_test(a_group_is_founded_by_voters_that_are_added),
        cmocka_unit_test(the_founders_are_entries_with_their_context),
        MEMBER_TEST(r_pro_4_an_entry_has_a_largest_size),
        MEMBER_TEST(r_pro_3_uncommitted_bytes_are_limited),
        MEMBER_TEST(r_app_1_entries_to_apply_are_limited_in_bytes),
        MEMBER_TEST(malformed_changes_are_refused),
        cmocka_unit_test(other_entries_are_no_changes),
        MEMBER_TEST(messages_that_no_member_sends_are_refused),
        MEMBER_TEST(tickets_come_back_in_any_number),
        MEMBER_TEST(reads_are_limited),
        MEMBER_TEST(a_snapshot_is_wanted_every_interval),
        MEMBER_TEST(a_snapshot_is_wanted_when_the_log_is_large),
        MEMBER_TEST(one_snapshot_is_made_at_a_time),
        MEMBER_TEST(an_abandoned_snapshot_is_wanted_again_later),
        MEMBER_TEST(status_is_filled_as_far_as_the_caller_knows_it),
        MEMBER_TEST(a_failure_is_told_to_the_logger_with_what_came_before),
    };

    return cmocka_run_group_tests_name("raft member limits", tests, NULL,
                                       NULL);
}

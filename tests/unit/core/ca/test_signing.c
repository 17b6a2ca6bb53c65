/* SPDX-License-Identifier: Apache-2.0 */

/* The authority and its signer: what it is asked, and what is made of its
 * answers. */

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/ca/issuer.h"
#include "core/control/blacklist.h"
#include "server_fixture.h"
#include "wire/message.h"
#include "wire/time.h"

static void join_many(struct f *f, size_t count)
{
    char id[SWK_ID_LEN_MAX + 1];

    for (size_t i = 0; i < count; i++) {
        join_swarm(f, tokens_of(f)->worker, id);
    }
    commit(f);
}

static void renew(struct f *f, const char *id)
{
    struct swki_caller caller = caller_of(id, PKI_SWARM, SWKI_ROLE_WORKER);

    assert_int_equal(issue_as(f, &caller, "").answer->status, SWKI_STATUS_OK);
    commit(f);
}

/* ---- what is asked ---- */

static void certificate_and_its_end_are_recorded(void **state)
{
    struct f *f = *state;
    const Swkpb__Certificate *record;
    char id[SWK_ID_LEN_MAX + 1];

    join_swarm(f, tokens_of(f)->worker, id);
    assert_null(node_of(f, id)->certificate->not_after);
    settle(f);
    record = node_of(f, id)->certificate;
    assert_true(swki_timestamp_get(record->not_after) ==
                identity_of(&record->certificate).not_after);
}

static void changed_validity_counts_for_the_next_certificate(void **state)
{
    struct f *f = *state;
    struct swki_object *object = swki_object_edit(
        swki_view_get(swki_store_head(f->store), SWKI_KIND_CLUSTER, PKI_SWARM));
    Swkpb__Cluster *cluster = swki_cluster_edit(object);
    Swkpb__ClusterSpec *spec = swki_object_own(object, &cluster->spec);
    char id[SWK_ID_LEN_MAX + 1];

    spec->ca_config->node_cert_expiry = swki_duration_from_ns(
        (int64_t)(2 * SWK_HOUR), swki_object_arena(object));
    change(f, SWKI_ACTOR_CONTROL, object);
    join_swarm(f, tokens_of(f)->worker, id);
    settle(f);
    assert_true(
        identity_of(&node_of(f, id)->certificate->certificate).not_after ==
        PKI_NOW + (swk_wall)(2 * SWK_HOUR));
}

static void set_validity(struct f *f, swk_time validity)
{
    struct swki_object *object = edit_cluster(f);
    Swkpb__ClusterSpec *spec =
        swki_object_own(object, &swki_cluster_edit(object)->spec);

    spec->ca_config->node_cert_expiry =
        swki_duration_from_ns((int64_t)validity, swki_object_arena(object));
    change(f, SWKI_ACTOR_CONTROL, object);
}

/* One certificate for 90 days, then others for two hours. */
static void
a_removed_node_is_locked_out_as_long_as_any_of_its_certificates(void **state)
{
    struct f *f = *state;
    const Swkpb__Cluster__BlacklistedCertificatesEntry *entry;
    const Swkpb__Certificate *record;
    struct swki_caller caller;
    char id[SWK_ID_LEN_MAX + 1];

    join_swarm(f, tokens_of(f)->worker, id);
    settle(f);
    swk_wall long_end =
        swki_timestamp_get(node_of(f, id)->certificate->not_after);
    set_validity(f, 2 * SWK_HOUR);
    caller = caller_of(id, PKI_SWARM, SWKI_ROLE_WORKER);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(issue_as(f, &caller, "").answer->status,
                         SWKI_STATUS_OK);
        settle(f);
        record = node_of(f, id)->certificate;
        assert_true(swki_timestamp_get(record->not_after) < long_end);
        assert_true(swki_timestamp_get(record->last_end) == long_end);
    }
    entry = swki_blacklist_entry(node_of(f, id), &f->arena);
    assert_true(swki_timestamp_get(entry->value->expiry) == long_end);
}

static void validity_is_read_when_the_signer_is_asked(void **state)
{
    struct f *f = *state;
    struct swki_object *object;
    Swkpb__ClusterSpec *spec;

    f->signer.mood = SIGNER_FAILS;
    f->signer.code = SWK_EUNAVAILABLE;
    join_many(f, 1);
    step(f);
    object = edit_cluster(f);
    spec = swki_object_own(object, &swki_cluster_edit(object)->spec);
    spec->ca_config->node_cert_expiry = swki_duration_from_ns(
        (int64_t)(3 * SWK_HOUR), swki_object_arena(object));
    change(f, SWKI_ACTOR_CONTROL, object);
    f->signer.mood = SIGNER_HOLDS;
    step(f);
    assert_int_equal(f->signer.held_count, 1);
    assert_int_equal(f->signer.held[0].validity_ns, 3 * SWK_HOUR);
}

static void role_of_the_record_is_what_is_asked_for(void **state)
{
    struct f *f = *state;
    char id[SWK_ID_LEN_MAX + 1];

    f->signer.mood = SIGNER_HOLDS;
    join_swarm(f, tokens_of(f)->manager, id);
    join_swarm(f, tokens_of(f)->worker, id);
    step(f);
    assert_int_equal(f->signer.held[0].role, SWK_NODE_MANAGER);
    assert_int_equal(f->signer.held[1].role, SWK_NODE_WORKER);
    assert_string_equal(f->signer.held[1].node_id, id);
}

static void role_that_changes_meanwhile_is_the_one_that_is_granted(void **state)
{
    struct f *f = *state;
    struct swki_object *object;
    char id[SWK_ID_LEN_MAX + 1];

    join_swarm(f, tokens_of(f)->manager, id);
    settle(f);
    f->signer.mood = SIGNER_HOLDS;
    renew(f, id);
    step(f);
    assert_int_equal(f->signer.held[0].role, SWK_NODE_MANAGER);
    object = swki_object_edit(
        swki_view_get(swki_store_head(f->store), SWKI_KIND_NODE, id));
    swki_node_edit(object)->role = SWKPB__NODE_ROLE__WORKER;
    change(f, SWKI_ACTOR_ROLE_MANAGER, object);
    answer_held(f, 0, 0);
    settle(f);
    assert_int_equal(state_of(f, id), STATE(RENEW));
    assert_int_equal(f->signer.held_count, 2);
    assert_int_equal(f->signer.held[1].role, SWK_NODE_WORKER);
    answer_held(f, 1, 0);
    settle(f);
    assert_int_equal(state_of(f, id), STATE(ISSUED));
    assert_int_equal(node_of(f, id)->certificate->role,
                     SWKPB__NODE_ROLE__WORKER);
}

static void restarted_server_signs_what_is_outstanding(void **state)
{
    struct f *f = *state;
    char ids[2][SWK_ID_LEN_MAX + 1];
    uint64_t call;

    join_swarm(f, tokens_of(f)->worker, ids[0]);
    join_swarm(f, tokens_of(f)->manager, ids[1]);
    commit(f);
    call = ask_status(f, ids[0]);
    swki_ca_server_stop(f->server, &f->answers);
    assert_int_equal(answer_to(f, call)->status, SWKI_STATUS_ABORTED);
    assert_string_equal(answer_to(f, call)->text, "CA signer is stopped");
    assert_int_equal(issue_as(f, &nobody, "").answer->status,
                     SWKI_STATUS_ABORTED);
    assert_int_equal(swki_ca_server_deadline(f->server), SWK_NEVER);

    assert_int_equal(swki_ca_server_start(f->server, NULL), 0);
    settle(f);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(node_of(f, ids[i])->certificate->status->state,
                         STATE(ISSUED));
    }
}

static void only_so_much_is_with_the_signer_at_a_time(void **state)
{
    struct f *f = *state;

    f->signer.mood = SIGNER_HOLDS;
    join_many(f, SWKI_CA_WORK_MAX + 6);
    step(f);
    assert_int_equal(f->signer.held_count, SWKI_CA_WORK_MAX);
    assert_int_equal(swki_ca_server_deadline(f->server), SWKI_CA_WORK_LIMIT);
    for (size_t i = 0; i < 5; i++) {
        answer_held(f, i, 0);
    }
    step(f);
    assert_int_equal(f->signer.held_count, SWKI_CA_WORK_MAX + 5);
}

static void results_of_a_step_are_one_entry_of_bounded_size(void **state)
{
    struct f *f = *state;
    size_t before;

    f->signer.mood = SIGNER_HOLDS;
    join_many(f, SWKI_CA_WRITES_PER_STEP + 3);
    step(f);
    before = f->log.proposed;
    for (size_t i = 0; i < f->signer.held_count; i++) {
        answer_held(f, i, 0);
    }
    assert_int_equal(swki_ca_server_deadline(f->server), 0);
    step(f);
    assert_int_equal(f->log.proposed, before + 1);
    assert_int_equal(swki_ca_server_outstanding(f->server), 3);
    step(f);
    assert_int_equal(f->log.proposed, before + 2);
    assert_int_equal(swki_ca_server_outstanding(f->server), 0);
    settle(f);
    assert_int_equal(swki_ca_server_deadline(f->server), SWK_NEVER);
}

static void results_in_any_order_reach_their_nodes(void **state)
{
    struct f *f = *state;

    f->signer.mood = SIGNER_HOLDS;
    join_many(f, 3);
    step(f);
    answer_held(f, 2, 0);
    settle(f);
    assert_int_equal(state_of(f, f->signer.held[2].node_id), STATE(ISSUED));
    assert_int_equal(state_of(f, f->signer.held[0].node_id), STATE(PENDING));
    answer_held(f, 0, SWK_EDENIED);
    answer_held(f, 1, 0);
    settle(f);
    assert_int_equal(state_of(f, f->signer.held[0].node_id), STATE(FAILED));
    assert_int_equal(state_of(f, f->signer.held[1].node_id), STATE(ISSUED));
}

/* ---- answers that nobody waits for ---- */

static void answer_to_an_overtaken_request_is_not_used(void **state)
{
    struct f *f = *state;
    char id[SWK_ID_LEN_MAX + 1];

    join_swarm(f, tokens_of(f)->worker, id);
    settle(f);
    f->signer.mood = SIGNER_HOLDS;
    renew(f, id);
    step(f);
    swki_buf_fini(&f->key);
    swki_buf_fini(&f->csr);
    pki_request(&f->pki, &f->key, &f->csr);
    renew(f, id);
    step(f);
    assert_int_equal(f->signer.held_count, 2);
    answer_held(f, 0, 0);
    settle(f);
    assert_int_equal(state_of(f, id), STATE(RENEW));
    answer_held(f, 1, 0);
    settle(f);
    assert_int_equal(state_of(f, id), STATE(ISSUED));
    assert_int_equal(node_of(f, id)->certificate->csr.len, f->csr.len);
}

static void answers_that_were_not_asked_for_are_ignored(void **state)
{
    struct f *f = *state;
    const struct swk_sign_result result = {.size = sizeof(result)};
    char id[SWK_ID_LEN_MAX + 1];

    f->signer.mood = SIGNER_HOLDS;
    join_swarm(f, tokens_of(f)->worker, id);
    commit(f);
    step(f);
    swki_ca_server_worked(f->server, f->now, f->wall, 0, &result);
    swki_ca_server_worked(f->server, f->now, f->wall, f->signer.held[0].id + 1,
                          &result);
    answer_held(f, 0, 0);
    answer_held(f, 0, SWK_EDENIED); /* a second answer */
    settle(f);
    assert_int_equal(state_of(f, id), STATE(ISSUED));
}

static void answer_for_a_node_that_is_gone_is_dropped(void **state)
{
    struct f *f = *state;
    char id[SWK_ID_LEN_MAX + 1];
    struct swki_tx *tx;

    f->signer.mood = SIGNER_HOLDS;
    join_swarm(f, tokens_of(f)->worker, id);
    commit(f);
    step(f);
    answer_held(f, 0, 0); /* it waits to be written */
    tx = swki_store_begin(f->store, SWKI_ACTOR_CONTROL, PKI_NOW);
    assert_int_equal(swki_tx_delete(tx, SWKI_KIND_NODE, id, NULL), 0);
    assert_int_equal(swki_tx_commit(tx, NULL, NULL, NULL, NULL), 0);
    settle(f);
    assert_null(swki_view_get(swki_store_head(f->store), SWKI_KIND_NODE, id));
    assert_int_equal(swki_ca_server_outstanding(f->server), 0);
}

static void work_of_an_earlier_leadership_is_not_taken_for_own(void **state)
{
    struct f *f = *state;
    char id[SWK_ID_LEN_MAX + 1];

    f->signer.mood = SIGNER_HOLDS;
    join_swarm(f, tokens_of(f)->worker, id);
    commit(f);
    step(f);
    swki_ca_server_stop(f->server, &f->answers);
    assert_int_equal(swki_ca_server_start(f->server, NULL), 0);
    step(f);
    assert_int_equal(f->signer.held_count, 2);
    assert_int_not_equal(f->signer.held[0].id, f->signer.held[1].id);
    answer_held(f, 0, SWK_EDENIED);
    settle(f);
    assert_int_equal(state_of(f, id), STATE(PENDING));
    answer_held(f, 1, 0);
    settle(f);
    assert_int_equal(state_of(f, id), STATE(ISSUED));
}

/* ---- failures ---- */

static void garbage_request_ends_as_failed_with_a_reason(void **state)
{
    struct f *f = *state;
    const Swkpb__NodeCertificateStatusResponse *response;
    char id[SWK_ID_LEN_MAX + 1];
    uint64_t call;

    f->csr.len = 100;
    join_swarm(f, tokens_of(f)->worker, id);
    commit(f);
    call = ask_status(f, id);
    settle(f);
    response = status_reply(f, call);
    assert_int_equal(response->status->state, STATE(FAILED));
    assert_string_equal(response->status->err,
                        "certificate request cannot be read");
    assert_int_equal(response->certificate->certificate.len, 0);
}

static void failure_that_may_pass_is_tried_again_every_ten_seconds(void **state)
{
    static const int codes[] = {SWK_EUNAVAILABLE, SWK_EIO, SWK_ETIMEDOUT,
                                SWK_ENOMEM};
    struct f *f = *state;

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        size_t asked = f->signer.asked_count;
        char id[SWK_ID_LEN_MAX + 1];

        f->signer.mood = SIGNER_FAILS;
        f->signer.code = codes[i];
        join_swarm(f, tokens_of(f)->worker, id);
        settle(f);
        assert_int_equal(state_of(f, id), STATE(PENDING));
        assert_int_equal(f->signer.asked_count, asked + 1);
        assert_int_equal(swki_ca_server_deadline(f->server),
                         f->now + SWKI_CA_RETRY_INTERVAL);
        f->now += SWKI_CA_RETRY_INTERVAL - 1;
        settle(f);
        assert_int_equal(f->signer.asked_count, asked + 1);
        f->now += 1;
        f->signer.mood = SIGNER_SIGNS;
        settle(f);
        assert_int_equal(state_of(f, id), STATE(ISSUED));
    }
}

static const char *reason_of(struct f *f, const char *id)
{
    return node_of(f, id)->certificate->status->err;
}

static void who_joins_is_told_what_it_waits_for(void **state)
{
    struct f *f = *state;
    const Swkpb__NodeCertificateStatusResponse *response;
    char first[SWK_ID_LEN_MAX + 1];
    char second[SWK_ID_LEN_MAX + 1];
    uint64_t call;

    f->signer.mood = SIGNER_FAILS;
    f->signer.code = SWK_EUNAVAILABLE;
    f->signer.text = "nobody is there";
    join_swarm(f, tokens_of(f)->worker, first);
    join_swarm(f, tokens_of(f)->worker, second);
    commit(f);
    call = ask_status(f, second);
    assert_null(answer_to(f, call));
    settle(f);
    assert_int_equal(f->signer.asked_count, 1);
    assert_string_equal(reason_of(f, first), "nobody is there");
    assert_string_equal(reason_of(f, second), "nobody is there");
    response = status_reply(f, call);
    assert_int_equal(response->status->state, STATE(PENDING));
    assert_string_equal(response->status->err, "nobody is there");
    /* From now on at once, and for those who come later. */
    assert_non_null(answer_to(f, ask_status(f, first)));
    join_swarm(f, tokens_of(f)->worker, second);
    f->now += SWKI_CA_RETRY_INTERVAL;
    f->signer.text = "still nobody";
    settle(f);
    assert_string_equal(reason_of(f, first), "still nobody");
    assert_string_equal(reason_of(f, second), "still nobody");
    f->now += SWKI_CA_RETRY_INTERVAL;
    f->signer.mood = SIGNER_SIGNS;
    settle(f);
    assert_int_equal(state_of(f, first), STATE(ISSUED));
    assert_string_equal(reason_of(f, first), "");
}

static void renewal_that_waits_is_not_written_to(void **state)
{
    struct f *f = *state;
    char id[SWK_ID_LEN_MAX + 1];
    size_t entries;

    join_swarm(f, tokens_of(f)->worker, id);
    settle(f);
    f->signer.mood = SIGNER_FAILS;
    f->signer.code = SWK_EUNAVAILABLE;
    renew(f, id);
    entries = f->log.proposed;
    settle(f);
    assert_int_equal(state_of(f, id), STATE(RENEW));
    assert_int_equal(f->log.proposed, entries);
}

static void round_stops_at_the_first_failure(void **state)
{
    struct f *f = *state;
    size_t asked;

    f->signer.mood = SIGNER_FAILS;
    f->signer.code = SWK_EUNAVAILABLE;
    join_many(f, 5);
    settle(f);
    assert_int_equal(f->signer.asked_count, 1);
    f->now += SWKI_CA_RETRY_INTERVAL;
    settle(f);
    assert_int_equal(f->signer.asked_count, 2);
    /* One shows whether it is back; then all follow. */
    f->now += SWKI_CA_RETRY_INTERVAL;
    f->signer.mood = SIGNER_HOLDS;
    asked = f->signer.asked_count;
    step(f);
    assert_int_equal(f->signer.asked_count, asked + 1);
    answer_held(f, 0, 0);
    step(f);
    assert_int_equal(f->signer.asked_count, asked + 5);
}

static void one_node_that_fails_does_not_hold_up_the_others(void **state)
{
    struct f *f = *state;
    char stuck[SWK_ID_LEN_MAX + 1];
    char fine[SWK_ID_LEN_MAX + 1];

    f->signer.mood = SIGNER_HOLDS;
    join_swarm(f, tokens_of(f)->worker, stuck);
    join_swarm(f, tokens_of(f)->worker, fine);
    commit(f);
    step(f);
    answer_held(f, 0, SWK_EIO);
    answer_held(f, 1, SWK_EIO);
    f->now += SWKI_CA_RETRY_INTERVAL;
    step(f);
    assert_string_equal(f->signer.held[2].node_id, stuck);
    answer_held(f, 2, SWK_EIO);
    f->now += SWKI_CA_RETRY_INTERVAL;
    step(f);
    assert_string_equal(f->signer.held[3].node_id, fine);
}

/* A limit of the signer's, or a refusal that may pass. */
static void failure_of_one_request_leaves_the_others_alone(void **state)
{
    static const int codes[] = {SWK_ELIMIT, SWK_EABORTED};
    struct f *f = *state;

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        size_t first = f->signer.held_count;
        char id[SWK_ID_LEN_MAX + 1];
        char other[SWK_ID_LEN_MAX + 1];

        f->signer.mood = SIGNER_HOLDS;
        join_swarm(f, tokens_of(f)->worker, id);
        commit(f);
        step(f);
        answer_held(f, first, codes[i]);
        f->signer.mood = SIGNER_SIGNS;
        join_swarm(f, tokens_of(f)->worker, other);
        settle(f);
        assert_int_equal(state_of(f, other), STATE(ISSUED));
        assert_int_equal(state_of(f, id), STATE(PENDING));
        assert_int_equal(swki_ca_server_deadline(f->server),
                         f->now + SWKI_CA_RETRY_INTERVAL);
        f->now += SWKI_CA_RETRY_INTERVAL;
        settle(f);
        assert_int_equal(state_of(f, id), STATE(ISSUED));
    }
}

static void request_that_fails_by_itself_waits_longer_each_time(void **state)
{
    struct f *f = *state;
    swk_time pause = SWKI_CA_RETRY_INTERVAL;

    f->signer.mood = SIGNER_FAILS;
    f->signer.code = SWK_ELIMIT;
    join_many(f, 1);
    settle(f);
    for (size_t i = 1; i < 8; i++) {
        assert_int_equal(f->signer.asked_count, i);
        assert_int_equal(swki_ca_server_deadline(f->server), f->now + pause);
        f->now += pause;
        settle(f);
        pause = pause < SWKI_CA_RETRY_INTERVAL * 16 ? pause * 2 : pause;
    }
}

static void paused_node_that_asks_for_something_else_is_heard(void **state)
{
    struct f *f = *state;
    struct swki_object *object;
    char id[SWK_ID_LEN_MAX + 1];

    f->signer.mood = SIGNER_FAILS;
    f->signer.code = SWK_ELIMIT;
    join_swarm(f, tokens_of(f)->worker, id);
    settle(f);
    f->signer.mood = SIGNER_SIGNS;
    renew(f, id); /* the same request */
    settle(f);
    assert_int_equal(state_of(f, id), STATE(RENEW));
    object = swki_object_edit(
        swki_view_get(swki_store_head(f->store), SWKI_KIND_NODE, id));
    swki_node_edit(object)->role = SWKPB__NODE_ROLE__MANAGER;
    change(f, SWKI_ACTOR_ROLE_MANAGER, object);
    settle(f);
    assert_int_equal(state_of(f, id), STATE(ISSUED));
}

/* A signer that was away and refuses one request is there again. */
static void refusal_of_one_request_ends_the_wait_of_all(void **state)
{
    struct f *f = *state;

    f->signer.mood = SIGNER_FAILS;
    f->signer.code = SWK_EUNAVAILABLE;
    join_many(f, 5);
    settle(f);
    f->signer.mood = SIGNER_HOLDS;
    f->now += SWKI_CA_RETRY_INTERVAL;
    step(f);
    assert_int_equal(f->signer.held_count, 1);
    answer_held(f, 0, SWK_ELIMIT);
    step(f);
    assert_int_equal(f->signer.held_count, 5);
}

static void
final_failure_is_recorded_and_a_new_request_starts_again(void **state)
{
    static const int codes[] = {SWK_EDENIED, SWK_EMALFORMED, SWK_EINVAL,
                                SWK_ENOTSUP};
    struct f *f = *state;
    const Swkpb__Certificate *record;
    char id[SWK_ID_LEN_MAX + 1];
    size_t len;

    join_swarm(f, tokens_of(f)->worker, id);
    settle(f);
    len = node_of(f, id)->certificate->certificate.len;
    assert_true(len > 0);
    f->signer.mood = SIGNER_FAILS;
    f->signer.text = "no \xff";
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        f->signer.code = codes[i];
        renew(f, id);
        /* The last certificate stays on record, whatever becomes of this. */
        record = node_of(f, id)->certificate;
        assert_int_equal(record->certificate.len, len);
        assert_non_null(record->not_after);
        settle(f);
        record = node_of(f, id)->certificate;
        assert_int_equal(record->status->state, STATE(FAILED));
        assert_string_equal(record->status->err, "no ?");
        assert_int_equal(record->certificate.len, len);
        assert_non_null(record->not_after);
    }
    assert_int_equal(status_reply(f, ask_status(f, id))->status->state,
                     STATE(FAILED));
    f->signer.mood = SIGNER_SIGNS;
    renew(f, id);
    settle(f);
    assert_int_equal(state_of(f, id), STATE(ISSUED));
}

static void signer_is_shown_the_certificate_that_a_node_has(void **state)
{
    struct f *f = *state;
    char id[SWK_ID_LEN_MAX + 1];

    f->signer.mood = SIGNER_HOLDS;
    join_swarm(f, tokens_of(f)->worker, id);
    step(f);
    assert_int_equal(f->signer.held[0].previous_len, 0);
    answer_held(f, 0, 0);
    settle(f);
    renew(f, id);
    step(f);
    assert_int_equal(f->signer.held[1].previous_len,
                     node_of(f, id)->certificate->certificate.len);
    answer_held(f, 1, SWK_EDENIED);
    settle(f);
    renew(f, id);
    step(f);
    assert_true(f->signer.held[2].previous_len > 0);
}

static void signer_that_never_answers_is_given_up(void **state)
{
    struct f *f = *state;
    char id[SWK_ID_LEN_MAX + 1];

    f->signer.mood = SIGNER_HOLDS;
    join_swarm(f, tokens_of(f)->worker, id);
    commit(f);
    step(f);
    assert_int_equal(swki_ca_server_deadline(f->server), SWKI_CA_WORK_LIMIT);
    f->now = SWKI_CA_WORK_LIMIT;
    step(f);
    assert_int_equal(f->signer.held_count, 1);
    assert_int_equal(swki_ca_server_deadline(f->server),
                     SWKI_CA_WORK_LIMIT + SWKI_CA_RETRY_INTERVAL);
    answer_held(f, 0, 0); /* too late */
    step(f);
    assert_int_equal(state_of(f, id), STATE(PENDING));
    f->now += SWKI_CA_RETRY_INTERVAL;
    step(f);
    answer_held(f, 1, 0);
    settle(f);
    assert_int_equal(state_of(f, id), STATE(ISSUED));
}

static void refused_proposal_is_tried_again_after_a_pause(void **state)
{
    struct f *f = *state;
    char id[SWK_ID_LEN_MAX + 1];

    f->now = SWK_SECOND;
    join_swarm(f, tokens_of(f)->worker, id);
    commit(f);
    step(f);
    f->log.leads = false;
    step(f);
    assert_int_equal(state_of(f, id), STATE(PENDING));
    assert_int_equal(swki_ca_server_deadline(f->server), 11 * SWK_SECOND);
    f->log.leads = true;
    f->now = 11 * SWK_SECOND - 1;
    step(f);
    assert_int_equal(state_of(f, id), STATE(PENDING));
    f->now = 11 * SWK_SECOND;
    settle(f);
    assert_int_equal(state_of(f, id), STATE(ISSUED));
    assert_int_equal(f->signer.asked_count, 1); /* it was signed once */
}

/* ---- wrong certificates ---- */

struct forgery {
    const char *why;
    const char *node_id; /* NULL: as it should be; likewise below */
    const char *swarm_id;
    enum swki_role role; /* SWKI_ROLE_NONE: as it should be */
    uint64_t validity_ns;
    bool other_key;
    bool other_root;
    bool twice;
};

/* A certificate that is right but for one thing. */
static void forge(struct f *f, const struct forgery *forgery,
                  const struct held *held, struct swki_buf *out_pem)
{
    const struct swki_leaf leaf = {
        .node_id = forgery->node_id != NULL ? forgery->node_id : held->node_id,
        .swarm_id = forgery->swarm_id != NULL ? forgery->swarm_id : PKI_SWARM,
        .role =
            forgery->role != SWKI_ROLE_NONE ? forgery->role : SWKI_ROLE_WORKER,
        .now = PKI_NOW,
        .validity_ns = forgery->validity_ns != 0 ? forgery->validity_ns
                                                 : held->validity_ns,
    };
    struct swki_buf key;
    struct swki_buf csr;
    struct pki other;

    pki_init(&other, 77);
    pki_request(&other, &key, &csr);
    for (int i = 0; i < (forgery->twice ? 2 : 1); i++) {
        assert_int_equal(
            swki_signer_issue(
                forgery->other_root ? other.signer : f->pki.signer,
                swki_pem_of_buf(forgery->other_key ? &csr : &f->csr), &leaf,
                out_pem, NULL),
            0);
    }
    swki_buf_fini(&csr);
    swki_buf_fini(&key);
    pki_fini(&other);
}

static void wrong_certificate_never_gets_in(void **state)
{
    static const struct forgery forgeries[] = {
        {.why = "is for another node", .node_id = "m1"},
        {.why = "is for another swarm", .swarm_id = "another"},
        {.why = "grants another role", .role = SWKI_ROLE_MANAGER},
        {.why = "is valid for longer than was asked for",
         .validity_ns = SWKI_CA_EXPIRY_DEFAULT + 2 * SWK_HOUR},
        {.why = "is for another key", .other_key = true},
        {.why = "does not lead to the swarm's root", .other_root = true},
        {.why = "came with others", .twice = true},
    };
    struct f *f = *state;

    f->signer.mood = SIGNER_HOLDS;
    for (size_t i = 0; i < sizeof(forgeries) / sizeof(forgeries[0]); i++) {
        const Swkpb__Certificate *record;
        char id[SWK_ID_LEN_MAX + 1];
        struct swki_buf pem;

        join_swarm(f, tokens_of(f)->worker, id);
        commit(f);
        step(f);
        swki_buf_init(&pem, NULL, SIZE_MAX);
        forge(f, &forgeries[i], &f->signer.held[i], &pem);
        answer_held_with(f, i, (struct swk_bytes){pem.data, pem.len});
        swki_buf_fini(&pem);
        settle(f);
        record = node_of(f, id)->certificate;
        assert_int_equal(record->status->state, STATE(FAILED));
        assert_non_null(strstr(record->status->err, forgeries[i].why));
        assert_int_equal(record->certificate.len, 0);
    }
}

static void answer_that_is_no_certificate_fails_the_request(void **state)
{
    struct f *f = *state;
    char id[SWK_ID_LEN_MAX + 1];

    f->signer.mood = SIGNER_HOLDS;
    join_swarm(f, tokens_of(f)->worker, id);
    step(f);
    answer_held_with(f, 0, (struct swk_bytes){"hello", 5});
    settle(f);
    assert_int_equal(state_of(f, id), STATE(FAILED));
}

/* ---- which key ---- */

static void swarm_without_key_keeps_requests_until_it_has_one(void **state)
{
    struct f *f = *state;
    struct swki_object *object = swki_object_edit(
        swki_view_get(swki_store_head(f->store), SWKI_KIND_CLUSTER, PKI_SWARM));
    Swkpb__Cluster *cluster = swki_cluster_edit(object);
    Swkpb__RootCA *root = swki_object_own(object, &cluster->root_ca);
    ProtobufCBinaryData key = root->ca_key;
    char id[SWK_ID_LEN_MAX + 1];

    root->ca_key = (ProtobufCBinaryData){0, NULL};
    change(f, SWKI_ACTOR_CONTROL, object);
    join_swarm(f, tokens_of(f)->worker, id);
    settle(f);
    assert_int_equal(node_of(f, id)->certificate->status->state,
                     STATE(PENDING));

    object = swki_object_edit(
        swki_view_get(swki_store_head(f->store), SWKI_KIND_CLUSTER, PKI_SWARM));
    cluster = swki_cluster_edit(object);
    root = swki_object_own(object, &cluster->root_ca);
    key.len = f->pki.key.len;
    key.data =
        swki_arena_memdup(swki_object_arena(object), f->pki.key.data, key.len);
    root->ca_key = key;
    change(f, SWKI_ACTOR_CONTROL, object);
    settle(f);
    assert_int_equal(node_of(f, id)->certificate->status->state, STATE(ISSUED));
}

static struct swk_bytes copy_of(struct swki_object *object, const void *data,
                                size_t len)
{
    void *copy = swki_arena_memdup(swki_object_arena(object), data, len);

    assert_non_null(copy);
    return (struct swk_bytes){copy, len};
}

static void set_data(struct swki_object *object, ProtobufCBinaryData *data,
                     const struct swki_buf *pem)
{
    struct swk_bytes copy = copy_of(object, pem->data, pem->len);

    *data = (ProtobufCBinaryData){copy.len, (void *)copy.data};
}

static void signer_may_keep_the_key_itself(void **state)
{
    struct f *f = *state;
    struct swki_object *object = edit_cluster(f);
    Swkpb__RootCA *root =
        swki_object_own(object, &swki_cluster_edit(object)->root_ca);
    char id[SWK_ID_LEN_MAX + 1];

    root->ca_key = (ProtobufCBinaryData){0, NULL};
    change(f, SWKI_ACTOR_CONTROL, object);
    f->signer.other = f->pki.signer;
    join_swarm(f, tokens_of(f)->worker, id);
    settle(f);
    f->signer.other = NULL;
    assert_int_equal(state_of(f, id), STATE(ISSUED));
}

/* The cluster with a rotation to another root under way. */
static void begin_rotation(struct f *f, const struct pki *next)
{
    struct swki_object *object = edit_cluster(f);
    Swkpb__RootCA *root =
        swki_object_own(object, &swki_cluster_edit(object)->root_ca);
    Swkpb__RootRotation *rotation =
        swki_arena_alloc(swki_object_arena(object), sizeof(*rotation));
    struct swki_buf cross;

    swkpb__root_rotation__init(rotation);
    swki_buf_init(&cross, NULL, SIZE_MAX);
    assert_int_equal(swki_signer_cross_sign(f->pki.signer,
                                            swki_pem_of_buf(&next->root),
                                            &cross, NULL),
                     0);
    set_data(object, &rotation->ca_cert, &next->root);
    set_data(object, &rotation->ca_key, &next->key);
    set_data(object, &rotation->cross_signed_ca_cert, &cross);
    root->root_rotation = rotation;
    change(f, SWKI_ACTOR_CONTROL, object);
    swki_buf_fini(&cross);
}

/* Whether the chain of a node leads to these roots. */
static bool verifies(struct f *f, const char *id, const struct pki *root)
{
    const ProtobufCBinaryData *pem = &node_of(f, id)->certificate->certificate;
    const struct swki_chain chain = {
        .certificates = {pem->data, pem->len},
        .roots = swki_pem_of_buf(&root->root),
        .now = PKI_NOW,
    };

    return swki_chain_verify(&chain, NULL, NULL) == 0;
}

static void next_root_signs_while_a_rotation_runs(void **state)
{
    struct f *f = *state;
    char id[SWK_ID_LEN_MAX + 1];
    struct pki next;

    pki_init(&next, 99);
    begin_rotation(f, &next);
    join_swarm(f, tokens_of(f)->worker, id);
    settle(f);
    assert_int_equal(state_of(f, id), STATE(ISSUED));
    assert_true(verifies(f, id, &f->pki)); /* by the cross certificate */
    assert_true(verifies(f, id, &next));
    pki_fini(&next);
}

static void what_another_key_was_asked_for_is_asked_again(void **state)
{
    struct f *f = *state;
    char id[SWK_ID_LEN_MAX + 1];
    struct pki next;

    pki_init(&next, 99);
    f->signer.mood = SIGNER_HOLDS;
    join_many(f, 1);
    step(f);
    begin_rotation(f, &next);
    join_swarm(f, tokens_of(f)->worker, id);
    commit(f);
    step(f);
    /* With the first piece that follows, the new key is in force. */
    assert_int_equal(f->signer.held_count, 3);
    answer_held(f, 0, 0);
    settle(f);
    assert_int_equal(state_of(f, f->signer.held[0].node_id), STATE(PENDING));
    answer_held(f, 1, 0);
    answer_held(f, 2, 0);
    settle(f);
    assert_int_equal(state_of(f, id), STATE(ISSUED));
    assert_true(verifies(f, f->signer.held[0].node_id, &next));
    pki_fini(&next);
}

static void root_that_is_of_no_use_leaves_the_old_one_at_work(void **state)
{
    struct f *f = *state;
    struct swki_object *object = edit_cluster(f);
    Swkpb__RootCA *root =
        swki_object_own(object, &swki_cluster_edit(object)->root_ca);
    char id[SWK_ID_LEN_MAX + 1];
    struct pki other;

    join_many(f, 1);
    settle(f); /* the old one is in force */
    pki_init(&other, 99);
    set_data(object, &root->ca_key, &other.key); /* not of this root */
    change(f, SWKI_ACTOR_CONTROL, object);
    join_swarm(f, tokens_of(f)->worker, id);
    settle(f);
    assert_int_equal(state_of(f, id), STATE(ISSUED));
    pki_fini(&other);
}

static void root_past_its_end_makes_nodes_wait_and_not_fail(void **state)
{
    struct f *f = *state;
    char id[SWK_ID_LEN_MAX + 1];

    join_many(f, 1);
    settle(f);
    f->wall += INT64_C(21) * 365 * 24 * (int64_t)SWK_HOUR;
    join_swarm(f, tokens_of(f)->worker, id);
    settle(f);
    assert_int_equal(state_of(f, id), STATE(PENDING));
}

/* ---- external CAs ---- */

static void name_external(struct f *f, const struct swki_buf *root)
{
    struct swki_object *object = edit_cluster(f);
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__ClusterSpec *spec =
        swki_object_own(object, &swki_cluster_edit(object)->spec);
    Swkpb__ExternalCA *external = swki_arena_alloc(arena, sizeof(*external));

    swkpb__external_ca__init(external);
    external->url = swki_arena_strdup(arena, "https://192.0.2.9/sign");
    if (root != NULL) {
        set_data(object, &external->ca_cert, root);
    }
    spec->ca_config->external_cas =
        swki_arena_memdup(arena, &external, sizeof(external));
    spec->ca_config->n_external_cas = 1;
    change(f, SWKI_ACTOR_CONTROL, object);
}

static void external_ca_is_preferred_and_sees_no_key(void **state)
{
    struct f *f = *state;

    f->signer.mood = SIGNER_HOLDS;
    name_external(f, NULL);
    join_many(f, 1);
    step(f);
    assert_int_equal(f->signer.held[0].urls_count, 1);
    assert_int_equal(f->signer.held[0].key_len, 0);
}

static void external_ca_of_another_root_is_not_asked(void **state)
{
    struct f *f = *state;
    struct pki next;

    pki_init(&next, 99);
    f->signer.mood = SIGNER_HOLDS;
    name_external(f, &next.root);
    join_many(f, 1);
    step(f);
    assert_int_equal(f->signer.held[0].urls_count, 0);
    assert_true(f->signer.held[0].key_len > 0);
    /* Until the swarm moves to that root. */
    begin_rotation(f, &next);
    join_many(f, 1);
    step(f);
    assert_int_equal(f->signer.held[1].urls_count, 1);
    pki_fini(&next);
}

/* ---- memory ---- */

static void *heap_realloc(void *ctx, void *ptr, size_t size)
{
    struct heap *heap = ctx;

    if (!heap->failed && heap->left-- == 0) {
        heap->failed = true;
        return NULL;
    }
    return realloc(ptr, size);
}

static void *heap_alloc(void *ctx, size_t size)
{
    return heap_realloc(ctx, NULL, size);
}

static void heap_free(void *ctx, void *ptr)
{
    free(ptr);
}

/* A server on that heap, from its start to a certificate. */
static void issue_on_heap(struct f *f)
{
    const struct swki_ca_server_config config = {
        .alloc = &f->alloc,
        .store = f->store,
        .node_id = "m1",
        .entropy = &f->pki.entropy,
        .seed = f->heap.left + 100,
    };
    const Swkpb__IssueNodeCertificateResponse *response;
    struct reply reply;

    swki_ca_server_free(f->server);
    f->server = NULL;
    if (swki_ca_server_new(&config, &f->server, NULL) != 0 ||
        swki_ca_server_start(f->server, NULL) != 0) {
        return;
    }
    reply = issue_as(f, &nobody, tokens_of(f)->worker);
    if (reply.answer->status != SWKI_STATUS_OK) {
        assert_int_equal(reply.answer->status, SWKI_STATUS_RESOURCE_EXHAUSTED);
        return;
    }
    response = (const Swkpb__IssueNodeCertificateResponse *)reply.message;
    commit(f);
    ask_status(f, response->node_id);
    settle(f);
    f->now += SWKI_CA_RETRY_INTERVAL; /* what failed is tried again */
    settle(f);
    assert_int_equal(node_of(f, response->node_id)->certificate->status->state,
                     STATE(ISSUED));
}

/* A server on that heap, from its start to what the signer is asked. */
static void ask_on_heap(struct f *f)
{
    const struct swki_ca_server_config config = {
        .alloc = &f->alloc,
        .store = f->store,
        .node_id = "m1",
        .entropy = &f->pki.entropy,
    };

    if (swki_ca_server_new(&config, &f->server, NULL) != 0 ||
        swki_ca_server_start(f->server, NULL) != 0) {
        return;
    }
    settle(f);
    f->now += SWKI_CA_RETRY_INTERVAL; /* what failed is tried again */
    settle(f);
    assert_true(f->signer.held_count > 0);
}

static void
want_of_memory_never_makes_the_key_sign_for_an_external_ca(void **state)
{
    struct f *f = *state;

    name_external(f, NULL);
    join_many(f, 2);
    f->signer.mood = SIGNER_HOLDS;
    f->alloc = (struct swk_alloc){sizeof(f->alloc), &f->heap, heap_alloc,
                                  heap_realloc, heap_free};
    f->heap.failed = true;
    for (size_t n = 0; f->heap.failed; n++) {
        swki_ca_server_free(f->server);
        f->server = NULL;
        f->heap = (struct heap){.left = n};
        ask_on_heap(f);
        while (f->signer.held_count > 0) {
            struct held *held = &f->signer.held[--f->signer.held_count];

            assert_int_equal(held->urls_count, 1);
            assert_int_equal(held->key_len, 0);
            swki_buf_fini(&held->certificate);
        }
        assert_true(n < 300);
    }
    swki_ca_server_free(f->server);
    f->server = NULL;
}

static void want_of_memory_delays_but_loses_nothing(void **state)
{
    struct f *f = *state;

    f->alloc = (struct swk_alloc){sizeof(f->alloc), &f->heap, heap_alloc,
                                  heap_realloc, heap_free};
    f->heap.failed = true;
    for (size_t n = 0; f->heap.failed; n++) {
        f->heap = (struct heap){.left = n};
        issue_on_heap(f);
        swki_ca_server_free(f->server);
        f->server = NULL;
        assert_true(n < 300);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(certificate_and_its_end_are_recorded,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            changed_validity_counts_for_the_next_certificate, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            validity_is_read_when_the_signer_is_asked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            role_that_changes_meanwhile_is_the_one_that_is_granted, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(role_of_the_record_is_what_is_asked_for,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            restarted_server_signs_what_is_outstanding, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            only_so_much_is_with_the_signer_at_a_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            results_of_a_step_are_one_entry_of_bounded_size, set_up, tear_down),
        cmocka_unit_test_setup_teardown(results_in_any_order_reach_their_nodes,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            answer_to_an_overtaken_request_is_not_used, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            answers_that_were_not_asked_for_are_ignored, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            answer_for_a_node_that_is_gone_is_dropped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            work_of_an_earlier_leadership_is_not_taken_for_own, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            garbage_request_ends_as_failed_with_a_reason, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_joins_is_told_what_it_waits_for,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(renewal_that_waits_is_not_written_to,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            failure_that_may_pass_is_tried_again_every_ten_seconds, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(round_stops_at_the_first_failure,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            one_node_that_fails_does_not_hold_up_the_others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            failure_of_one_request_leaves_the_others_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            request_that_fails_by_itself_waits_longer_each_time, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            paused_node_that_asks_for_something_else_is_heard, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            refusal_of_one_request_ends_the_wait_of_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            final_failure_is_recorded_and_a_new_request_starts_again, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            signer_is_shown_the_certificate_that_a_node_has, set_up, tear_down),
        cmocka_unit_test_setup_teardown(signer_that_never_answers_is_given_up,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            refused_proposal_is_tried_again_after_a_pause, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wrong_certificate_never_gets_in, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            answer_that_is_no_certificate_fails_the_request, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            swarm_without_key_keeps_requests_until_it_has_one, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(signer_may_keep_the_key_itself, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(next_root_signs_while_a_rotation_runs,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            what_another_key_was_asked_for_is_asked_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            root_that_is_of_no_use_leaves_the_old_one_at_work, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            root_past_its_end_makes_nodes_wait_and_not_fail, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            external_ca_is_preferred_and_sees_no_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            external_ca_of_another_root_is_not_asked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            want_of_memory_never_makes_the_key_sign_for_an_external_ca, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(want_of_memory_delays_but_loses_nothing,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_removed_node_is_locked_out_as_long_as_any_of_its_certificates,
            set_up, tear_down),
    };

    return cmocka_run_group_tests_name("signing", tests, NULL, NULL);
}

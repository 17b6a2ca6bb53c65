/* SPDX-License-Identifier: Apache-2.0 */

/* What the authority makes of a signer that fails, or signs what is wrong. */

#include "lib/cmocka_all.h"

#include <stdio.h>

#include "core/ca/issuer.h"
#include "server_fixture.h"

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
    f->now += SWKI_CA_REASON_INTERVAL;
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

static struct swki_ca_trouble trouble_of_all(struct f *f)
{
    struct swki_ca_trouble all;
    struct swki_ca_trouble some;

    swki_ca_server_troubles(f->server, &all, &some);
    return all;
}

static struct swki_ca_trouble trouble_of_some(struct f *f)
{
    struct swki_ca_trouble all;
    struct swki_ca_trouble some;

    swki_ca_server_troubles(f->server, &all, &some);
    return some;
}

static void last_reason_is_known_and_since_when_nothing_is_signed(void **state)
{
    struct f *f = *state;
    swk_wall since = f->wall;

    assert_string_equal(trouble_of_all(f).why, "");
    f->signer.mood = SIGNER_FAILS;
    f->signer.code = SWK_EUNAVAILABLE;
    f->signer.text = "nobody is there";
    join_many(f, 3);
    settle(f);
    assert_string_equal(trouble_of_all(f).why, "nobody is there");
    assert_int_equal(trouble_of_all(f).waiting, 3);
    f->now += SWKI_CA_REASON_INTERVAL;
    f->wall += (swk_wall)SWKI_CA_REASON_INTERVAL;
    f->signer.text = "still nobody";
    settle(f);
    assert_string_equal(trouble_of_all(f).why, "still nobody");
    assert_int_equal(trouble_of_all(f).since, since);
    assert_int_equal(trouble_of_some(f).waiting, 0);
    f->now += SWKI_CA_RETRY_INTERVAL;
    f->signer.mood = SIGNER_SIGNS;
    settle(f);
    assert_string_equal(trouble_of_all(f).why, "");
    assert_int_equal(trouble_of_all(f).waiting, 0);
}

static void reason_of_a_refusal_gives_way_to_that_of_all(void **state)
{
    struct f *f = *state;
    swk_wall since = f->wall;
    char id[SWK_ID_LEN_MAX + 1];

    f->signer.mood = SIGNER_FAILS;
    f->signer.code = SWK_EABORTED;
    f->signer.text = "not this one";
    join_swarm(f, tokens_of(f)->worker, id);
    settle(f);
    assert_string_equal(trouble_of_all(f).why, "");
    assert_string_equal(trouble_of_some(f).why, "not this one");
    assert_int_equal(trouble_of_some(f).waiting, 1);
    assert_int_equal(trouble_of_some(f).since, since);
    assert_string_equal(reason_of(f, id), "not this one");
    f->now += SWKI_CA_RETRY_INTERVAL;
    f->signer.code = SWK_EUNAVAILABLE;
    f->signer.text = "nobody is there";
    settle(f);
    assert_string_equal(trouble_of_all(f).why, "nobody is there");
    assert_int_equal(trouble_of_some(f).waiting, 0);
    assert_string_equal(reason_of(f, id), "nobody is there");
}

static void root_that_is_unfit_to_sign_is_a_reason_too(void **state)
{
    const swk_wall years = 40 * 365 * 24 * (swk_wall)SWK_HOUR;
    struct f *f = *state;
    char id[SWK_ID_LEN_MAX + 1];

    join_swarm(f, tokens_of(f)->worker, id);
    f->wall += years; /* the root has ended */
    settle(f);
    assert_int_equal(state_of(f, id), STATE(PENDING));
    assert_non_null(strstr(trouble_of_all(f).why, "valid"));
    assert_int_equal(trouble_of_all(f).since, f->wall);
    assert_string_equal(reason_of(f, id), trouble_of_all(f).why);
    f->wall -= years;
    f->now += SWKI_CA_RETRY_INTERVAL;
    settle(f);
    assert_int_equal(state_of(f, id), STATE(ISSUED));
    assert_string_equal(trouble_of_all(f).why, "");
}

/* As long as the reason is the same. */
static void expect_silence(struct f *f, const char *id)
{
    size_t entries = f->log.proposed;
    size_t lines = f->lines;
    char why[SWK_ERROR_TEXT_SIZE];

    snprintf(why, sizeof(why), "%s", reason_of(f, id));
    assert_string_not_equal(why, "");
    for (int i = 0; i < 5; i++) {
        f->now += SWKI_CA_RETRY_INTERVAL;
        f->wall += (swk_wall)SWKI_CA_RETRY_INTERVAL;
        settle(f);
        assert_string_equal(trouble_of_all(f).why, why);
    }
    assert_int_equal(f->log.proposed, entries);
    assert_int_equal(f->lines, lines);
}

static void root_that_stays_unfit_is_told_of_once(void **state)
{
    struct f *f = *state;
    char first[SWK_ID_LEN_MAX + 1];
    char second[SWK_ID_LEN_MAX + 1];

    join_swarm(f, tokens_of(f)->worker, first);
    f->wall += 40 * 365 * 24 * (swk_wall)SWK_HOUR; /* the root has ended */
    settle(f);
    expect_silence(f, first);
    /* Who comes later is told, too. */
    join_swarm(f, tokens_of(f)->worker, second);
    f->now += SWKI_CA_RETRY_INTERVAL;
    settle(f);
    assert_string_equal(reason_of(f, second), reason_of(f, first));
    expect_silence(f, second);
}

static void root_before_its_time_is_told_of_once(void **state)
{
    struct f *f = *state;
    char id[SWK_ID_LEN_MAX + 1];

    join_swarm(f, tokens_of(f)->worker, id);
    settle(f);
    assert_int_equal(state_of(f, id), STATE(ISSUED));
    f->wall -= 365 * 24 * (swk_wall)SWK_HOUR; /* the clock was set back */
    join_swarm(f, tokens_of(f)->worker, id);
    settle(f);
    assert_int_equal(state_of(f, id), STATE(PENDING));
    assert_non_null(strstr(reason_of(f, id), "root: certificate (1 - "));
    expect_silence(f, id);
}

/* Asks the signer that fails until the time is over; its words are others each
 * time. How often it was asked. */
static size_t fail_with_other_words(struct f *f, swk_time time)
{
    const swk_time end = f->now + time;
    const size_t asked = f->signer.asked_count;
    char text[32];

    f->signer.mood = SIGNER_FAILS;
    f->signer.text = text;
    while (f->now < end) {
        swk_time next = swki_ca_server_deadline(f->server);

        f->now = next < end ? next : end;
        snprintf(text, sizeof(text), "request %zu", f->signer.asked_count);
        settle(f);
    }
    f->signer.text = NULL;
    return f->signer.asked_count - asked;
}

/* Of a failure of all, and of one that is about each by itself. */
static void reason_that_always_changes_is_told_now_and_then(void **state)
{
    static const struct {
        int code;
        size_t attempts; /* in the time that is quiet */
    } cases[] = {{SWK_EUNAVAILABLE, 29}, {SWK_EABORTED, 4}};
    struct f *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char id[SWK_ID_LEN_MAX + 1];
        size_t entries;
        size_t lines;

        f->signer.mood = SIGNER_FAILS;
        f->signer.code = cases[i].code;
        f->signer.text = "request 0";
        join_swarm(f, tokens_of(f)->worker, id);
        lines = f->lines;
        settle(f);
        assert_string_equal(reason_of(f, id), "request 0");
        assert_int_equal(f->lines, lines + 1);
        entries = f->log.proposed;
        assert_int_equal(fail_with_other_words(f, SWKI_CA_REASON_INTERVAL - 1),
                         cases[i].attempts);
        assert_string_equal(reason_of(f, id), "request 0");
        assert_int_equal(f->log.proposed, entries);
        assert_int_equal(f->lines, lines + 1);
        fail_with_other_words(f, SWKI_CA_RETRY_INTERVAL << 4);
        assert_string_not_equal(reason_of(f, id), "request 0");
        assert_int_equal(f->log.proposed, entries + 1);
        assert_int_equal(f->lines, lines + 2);
        f->signer.mood = SIGNER_SIGNS;
        f->now += SWKI_CA_RETRY_INTERVAL << 4;
        settle(f);
        assert_int_equal(state_of(f, id), STATE(ISSUED));
    }
}

/* A new state: its first reason is not kept back for that of the one before. */
static void reason_is_told_at_once_after_it_worked(void **state)
{
    struct f *f = *state;
    char id[SWK_ID_LEN_MAX + 1];

    for (int i = 0; i < 3; i++) {
        f->signer.mood = SIGNER_FAILS;
        f->signer.code = SWK_EUNAVAILABLE;
        f->signer.text = i % 2 == 0 ? "not there" : "not here";
        join_swarm(f, tokens_of(f)->worker, id);
        settle(f);
        assert_string_equal(reason_of(f, id), f->signer.text);
        f->signer.mood = SIGNER_SIGNS;
        f->now += SWKI_CA_RETRY_INTERVAL;
        settle(f);
        assert_int_equal(state_of(f, id), STATE(ISSUED));
    }
}

/* As behind a balancer of loads: one that is away, and one that refuses. */
static void signer_that_fails_by_turns_is_told_of_now_and_then(void **state)
{
    struct f *f = *state;
    char ids[12][SWK_ID_LEN_MAX + 1];
    char text[32];
    size_t entries = 0;
    size_t lines = 0;

    f->signer.mood = SIGNER_FAILS;
    f->signer.code = SWK_EUNAVAILABLE;
    f->signer.text = "request 0";
    for (size_t i = 0; i < 12; i++) {
        join_swarm(f, tokens_of(f)->worker, ids[i]);
    }
    settle(f);
    f->signer.mood = SIGNER_HOLDS;
    f->signer.text = text;
    for (size_t i = 0; i < 6; i++) {
        size_t held = f->signer.held_count;

        f->now += SWKI_CA_RETRY_INTERVAL;
        f->wall += (swk_wall)SWKI_CA_RETRY_INTERVAL;
        snprintf(text, sizeof(text), "request %zu", i);
        step(f);
        assert_int_equal(f->signer.held_count, held + 1);
        /* This one is refused, and the next one fails as all do. */
        answer_held(f, held, SWK_EABORTED);
        step(f);
        assert_string_equal(trouble_of_all(f).why, "");
        assert_true(f->signer.held_count > held + 1);
        for (size_t j = held + 1; j < f->signer.held_count; j++) {
            answer_held(f, j, SWK_EUNAVAILABLE);
        }
        settle(f);
        assert_string_equal(trouble_of_all(f).why, "request 0");
        if (i == 0) {
            entries = f->log.proposed;
            lines = f->lines;
        }
    }
    /* Of the one that is refused, and nothing of the others. */
    assert_int_equal(f->log.proposed, entries + 5 * 2);
    assert_int_equal(f->lines, lines + 5);
}

static void reason_is_told_at_once_for_another_request(void **state)
{
    struct f *f = *state;
    struct swki_object *object;
    char id[SWK_ID_LEN_MAX + 1];

    f->signer.mood = SIGNER_FAILS;
    f->signer.code = SWK_EABORTED;
    f->signer.text = "no workers today";
    join_swarm(f, tokens_of(f)->worker, id);
    settle(f);
    assert_string_equal(reason_of(f, id), "no workers today");
    f->signer.text = "no managers either";
    object = swki_object_edit(
        swki_view_get(swki_store_head(f->store), SWKI_KIND_NODE, id));
    swki_node_edit(object)->role = SWKPB__NODE_ROLE__MANAGER;
    change(f, SWKI_ACTOR_ROLE_MANAGER, object);
    settle(f);
    assert_string_equal(reason_of(f, id), "no managers either");
    assert_string_equal(trouble_of_some(f).why, "no managers either");
}

static void failure_without_words_is_a_reason_too(void **state)
{
    struct f *f = *state;
    char id[SWK_ID_LEN_MAX + 1];

    f->signer.mood = SIGNER_FAILS;
    f->signer.code = SWK_EUNAVAILABLE;
    f->signer.text = "";
    join_swarm(f, tokens_of(f)->worker, id);
    settle(f);
    assert_string_equal(reason_of(f, id), "no reason");
    expect_silence(f, id);
}

/* What one CA refused, or kept waiting, another one may sign. */
static void another_ca_is_asked_at_once_for_what_waits(void **state)
{
    struct f *f = *state;
    char id[SWK_ID_LEN_MAX + 1];
    size_t asked;

    f->signer.mood = SIGNER_FAILS;
    f->signer.code = SWK_ELIMIT;
    join_swarm(f, tokens_of(f)->worker, id);
    settle(f);
    f->signer.mood = SIGNER_HOLDS;
    f->signer.other = f->pki.signer; /* which has the same key */
    name_external(f, NULL);
    step(f);
    assert_int_equal(f->signer.held_count, 1);
    assert_int_equal(trouble_of_some(f).waiting, 0);
    change(f, SWKI_ACTOR_CONTROL, edit_cluster(f)); /* the same one */
    step(f);
    assert_int_equal(f->signer.held_count, 1);
    name_external(f, &f->pki.root);
    step(f);
    assert_int_equal(f->signer.held_count, 2);
    f->signer.other = NULL; /* it is not ours to free */
    asked = f->signer.asked_count;
    answer_held(f, 0, SWK_EUNAVAILABLE); /* of the one before */
    step(f);
    assert_string_equal(trouble_of_all(f).why, "");
    answer_held(f, 1, 0);
    settle(f);
    assert_int_equal(state_of(f, id), STATE(ISSUED));
    assert_int_equal(f->signer.asked_count, asked);
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

int main(void)
{
#define WITH_F(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_F(garbage_request_ends_as_failed_with_a_reason),
        WITH_F(who_joins_is_told_what_it_waits_for),
        WITH_F(last_reason_is_known_and_since_when_nothing_is_signed),
        WITH_F(reason_of_a_refusal_gives_way_to_that_of_all),
        WITH_F(root_that_is_unfit_to_sign_is_a_reason_too),
        WITH_F(root_that_stays_unfit_is_told_of_once),
        WITH_F(root_before_its_time_is_told_of_once),
        WITH_F(reason_that_always_changes_is_told_now_and_then),
        WITH_F(reason_is_told_at_once_after_it_worked),
        WITH_F(signer_that_fails_by_turns_is_told_of_now_and_then),
        WITH_F(reason_is_told_at_once_for_another_request),
        WITH_F(failure_without_words_is_a_reason_too),
        WITH_F(another_ca_is_asked_at_once_for_what_waits),
        WITH_F(renewal_that_waits_is_not_written_to),
        WITH_F(failure_that_may_pass_is_tried_again_every_ten_seconds),
        WITH_F(round_stops_at_the_first_failure),
        WITH_F(one_node_that_fails_does_not_hold_up_the_others),
        WITH_F(failure_of_one_request_leaves_the_others_alone),
        WITH_F(request_that_fails_by_itself_waits_longer_each_time),
        WITH_F(paused_node_that_asks_for_something_else_is_heard),
        WITH_F(refusal_of_one_request_ends_the_wait_of_all),
        WITH_F(final_failure_is_recorded_and_a_new_request_starts_again),
        WITH_F(signer_is_shown_the_certificate_that_a_node_has),
        WITH_F(signer_that_never_answers_is_given_up),
        WITH_F(refused_proposal_is_tried_again_after_a_pause),
        WITH_F(wrong_certificate_never_gets_in),
        WITH_F(answer_that_is_no_certificate_fails_the_request),
    };

    return cmocka_run_group_tests_name("signing_failures", tests, NULL, NULL);
}

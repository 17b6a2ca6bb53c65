/* SPDX-License-Identifier: Apache-2.0 */

/* The dispatcher: who may talk to it, sessions, heartbeats. */

#include "fixture.h"

#define DOWN SWKPB__NODE_STATUS__STATE__DOWN
#define UNKNOWN SWKPB__NODE_STATUS__STATE__UNKNOWN
#define NODE_IS_READY SWKPB__NODE_STATUS__STATE__READY

/* -- Calls ---------------------------------------------------------------- */

static void calls_without_identity_are_refused(void **state)
{
    static const char *const methods[] = {SESSION,     HEARTBEAT,
                                          ASSIGNMENTS, TASK_STATUS,
                                          VOLUME_STATUS, TASKS};
    Swkpb__SessionRequest request = SWKPB__SESSION_REQUEST__INIT;
    struct f f;

    (void)state;
    f_set_up(&f);
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        uint64_t call = f_call(&f, "", methods[i], &request.base);

        assert_int_equal(f_status(&f, call), SWKI_STATUS_PERMISSION_DENIED);
    }
    f_fini(&f);
}

static void methods_that_are_not_offered_say_so(void **state)
{
    Swkpb__TasksRequest tasks = SWKPB__TASKS_REQUEST__INIT;
    Swkpb__UpdateVolumeStatusRequest volumes =
        SWKPB__UPDATE_VOLUME_STATUS_REQUEST__INIT;
    Swkpb__UpdateVolumeStatusRequest__VolumeStatusUpdate update =
        SWKPB__UPDATE_VOLUME_STATUS_REQUEST__VOLUME_STATUS_UPDATE__INIT;
    Swkpb__UpdateVolumeStatusRequest__VolumeStatusUpdate *updates[] = {
        &update};
    struct f f;
    uint64_t call;

    (void)state;
    f_set_up(&f);
    volumes.session_id = (char *)f_register(&f, "n1");
    call = f_call(&f, "n1", TASKS, &tasks.base);
    assert_int_equal(f_status(&f, call), SWKI_STATUS_UNIMPLEMENTED);
    call = f_call(&f, "n1", "Nothing", &tasks.base);
    assert_int_equal(f_status(&f, call), SWKI_STATUS_UNIMPLEMENTED);
    call = f_call(&f, "n1", VOLUME_STATUS, &volumes.base);
    assert_int_equal(f_status(&f, call), SWKI_STATUS_OK);
    volumes.updates = updates;
    volumes.n_updates = 1;
    call = f_call(&f, "n1", VOLUME_STATUS, &volumes.base);
    assert_int_equal(f_status(&f, call), SWKI_STATUS_UNIMPLEMENTED);
    f_fini(&f);
}

static void stop_ends_every_call_at_once(void **state)
{
    struct f f;
    uint64_t calls[100];
    uint64_t stream;
    char id[16];

    (void)state;
    f_set_up(&f);
    stream = f_attach(&f, "n1");
    f.s.manual = true; /* these registrations wait for their commit */
    for (int i = 0; i < 100; i++) {
        snprintf(id, sizeof(id), "late%d", i);
        swarm_add_node(&f.s, id);
    }
    swarm_commit(&f.s);
    f_settle(&f);
    for (int i = 0; i < 100; i++) {
        snprintf(id, sizeof(id), "late%d", i);
        calls[i] = f_session(&f, id, "");
    }
    f_settle(&f);
    swki_dispatcher_stop(f.d, &f.answers);
    f_step(&f);
    for (int i = 0; i < 100; i++) {
        assert_null(f_next_session(&f, calls[i]));
        assert_int_equal(f_status(&f, calls[i]), SWKI_STATUS_ABORTED);
        assert_string_equal(f_text(&f, calls[i]), "dispatcher is stopped");
    }
    assert_int_equal(f_status(&f, stream), SWKI_STATUS_ABORTED);
    assert_int_equal(f_status(&f, f_session(&f, "n2", "")),
                     SWKI_STATUS_ABORTED);
    assert_false(swki_dispatcher_pending(f.d));
    assert_true(swki_dispatcher_deadline(f.d) == SWK_NEVER);
    f_fini(&f);
}

static void a_cancelled_call_is_never_answered(void **state)
{
    struct f f;
    uint64_t session;
    uint64_t stream;
    const char *id;

    (void)state;
    f_set_up(&f);
    session = f_session(&f, "n1", "");
    f_settle(&f);
    id = f_next_session(&f, session)->session_id;
    stream = f_assignments(&f, "n1", id);
    swki_dispatcher_cancel(f.d, session);
    swki_dispatcher_cancel(f.d, stream);
    swki_dispatcher_cancel(f.d, 4711); /* of no call */
    f_add_task(&f, "t1", "n1");
    swarm_set_availability(&f.s, "n1",
                           SWKPB__NODE_SPEC__AVAILABILITY__DRAIN);
    f_settle(&f);
    assert_null(f_next_session(&f, session));
    assert_null(f_next_assignments(&f, stream));
    assert_int_equal(f_status(&f, session), -1);
    /* The session itself goes on. */
    assert_int_equal(f_status(&f, f_beat(&f, "n1", id)), SWKI_STATUS_OK);
    f_fini(&f);
}

/* -- Registration --------------------------------------------------------- */

static void the_first_session_message_waits_for_the_commit(void **state)
{
    const Swkpb__SessionMessage *message;
    struct f f;
    uint64_t call;

    (void)state;
    f_set_up(&f);
    f.s.manual = true;
    call = f_session(&f, "n1", "");
    f_settle(&f);
    assert_null(f_next_session(&f, call));
    f_commit(&f);
    message = f_next_session(&f, call);
    assert_non_null(message);
    assert_int_equal(message->node->status->state, NODE_IS_READY);
    f_fini(&f);
}

static void a_session_message_is_complete(void **state)
{
    const Swkpb__SessionMessage *message;
    struct f f;
    uint64_t call;

    (void)state;
    f_set_up(&f);
    call = f_session(&f, "n1", "");
    f_settle(&f);
    message = f_next_session(&f, call);
    assert_int_equal(strlen(message->session_id), SWK_ID_LEN);
    assert_string_equal(message->node->id, "n1");
    assert_string_equal(message->node->status->message, "");
    assert_int_equal(message->n_managers, 2);
    assert_string_equal(message->managers[1]->peer->node_id, "m2");
    assert_string_equal(message->managers[1]->peer->addr, "192.0.2.12:4242");
    assert_int_equal(message->managers[1]->weight, 10);
    assert_int_equal(message->rootca.len, 5);
    assert_memory_equal(message->rootca.data, "roots", 5);
    assert_null(f_next_session(&f, call));
    f_fini(&f);
}

static void registering_stores_the_host_that_called(void **state)
{
    static const struct {
        const char *address;
        const char *host;
    } cases[] = {
        {"192.0.2.7:80", "192.0.2.7"},
        {"[2001:db8::1]:80", "2001:db8::1"},
        {"", "2001:db8::1"}, /* none: the old one stays */
    };
    struct f f;

    (void)state;
    f_set_up(&f);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        f.address = cases[i].address;
        f_register(&f, "n1");
        assert_string_equal(f_node(&f, "n1")->status->addr, cases[i].host);
    }
    f_fini(&f);
}

static void a_node_of_no_object_is_not_found(void **state)
{
    struct f f;
    uint64_t call;

    (void)state;
    f_set_up(&f);
    call = f_session(&f, "stranger", "");
    assert_int_equal(f_status(&f, call), SWKI_STATUS_NOT_FOUND);
    assert_string_equal(f_text(&f, call), "node not found");
    f_fini(&f);
}

static void registering_again_ends_the_first_session(void **state)
{
    struct f f;
    uint64_t session;
    uint64_t stream;
    const char *first;
    const char *second;

    (void)state;
    f_set_up(&f);
    session = f_session(&f, "n1", "");
    f_settle(&f);
    first = f_next_session(&f, session)->session_id;
    stream = f_assignments(&f, "n1", first);
    f_settle(&f);
    second = f_register(&f, "n1");
    assert_string_not_equal(first, second);
    assert_int_equal(f_status(&f, session), SWKI_STATUS_INVALID_ARGUMENT);
    assert_int_equal(f_status(&f, stream), SWKI_STATUS_INVALID_ARGUMENT);
    assert_int_equal(f_status(&f, f_beat(&f, "n1", first)),
                     SWKI_STATUS_INVALID_ARGUMENT);
    assert_int_equal(f_status(&f, f_assignments(&f, "n1", first)),
                     SWKI_STATUS_INVALID_ARGUMENT);
    assert_int_equal(f_status(&f, f_report(&f, "n1", first, "t", RUNNING)),
                     SWKI_STATUS_INVALID_ARGUMENT);
    assert_int_equal(f_status(&f, f_beat(&f, "n1", second)), SWKI_STATUS_OK);
    f_fini(&f);
}

static uint64_t describe(struct f *f, const char *session_id,
                         const char *hostname, int64_t cpus, size_t padding)
{
    Swkpb__SessionRequest request = SWKPB__SESSION_REQUEST__INIT;
    Swkpb__NodeDescription description = SWKPB__NODE_DESCRIPTION__INIT;
    Swkpb__Resources resources = SWKPB__RESOURCES__INIT;
    Swkpb__NodeTLSInfo tls = SWKPB__NODE_TLSINFO__INIT;
    uint64_t call;

    tls.trust_root.data = calloc(1, padding + 1);
    tls.trust_root.len = padding;
    description.tls_info = &tls;
    description.hostname = (char *)hostname;
    description.resources = &resources;
    resources.nano_cpus = cpus;
    request.session_id = (char *)session_id;
    request.description = &description;
    call = f_call(f, "n1", SESSION, &request.base);
    free(tls.trust_root.data);
    return call;
}

static void resuming_keeps_the_session_and_takes_the_description(void **state)
{
    struct f f;
    uint64_t stream;
    const char *id;
    char name[16];

    (void)state;
    f_set_up(&f);
    id = f_register(&f, "n1");
    stream = f_assignments(&f, "n1", id);
    for (int i = 0; i < 10; i++) {
        uint64_t call;

        snprintf(name, sizeof(name), "host%d", i);
        call = describe(&f, id, name, 1, 0);
        f_settle(&f);
        assert_string_equal(f_next_session(&f, call)->session_id, id);
        assert_string_equal(f_node(&f, "n1")->description->hostname, name);
    }
    assert_int_equal(f_status(&f, stream), -1);
    f_fini(&f);
}

static const char *stored_name(const struct f *f)
{
    return f_node(f, "n1")->description->hostname;
}

/* Resumes the session with each of these names of the host. */
static void rename_host(struct f *f, const char *id, int first, int last)
{
    char name[16];

    for (int i = first; i <= last; i++) {
        uint64_t call;

        snprintf(name, sizeof(name), "host%d", i);
        call = describe(f, id, name, 1, 0);
        f_settle(f);
        assert_string_equal(f_next_session(f, call)->session_id, id);
    }
}

static void descriptions_beyond_the_allowance_wait_for_their_turn(void **state)
{
    const swk_time turn = SWKI_DISPATCHER_DESCRIPTION_INTERVAL;
    const int at_once = SWKI_DISPATCHER_DESCRIPTIONS_AT_ONCE;
    uint64_t index;
    const char *id;
    struct f f;

    (void)state;
    f_set_up(&f);
    f_set_period(&f, SWK_HOUR);
    id = f_register(&f, "n1");
    rename_host(&f, id, 1, at_once);
    assert_string_equal(stored_name(&f), "host16");
    index = swki_view_index(swki_store_head(f.s.store));
    rename_host(&f, id, 17, 40);
    assert_string_equal(stored_name(&f), "host16");
    assert_int_equal(swki_view_index(swki_store_head(f.s.store)), index);
    f_advance(&f, turn - 1);
    assert_string_equal(stored_name(&f), "host16");
    f_advance(&f, 1);
    assert_string_equal(stored_name(&f), "host40"); /* the last one */
    rename_host(&f, id, 41, 41);
    assert_string_equal(stored_name(&f), "host40");
    f_advance(&f, turn);
    assert_string_equal(stored_name(&f), "host41");
    assert_true(swki_dispatcher_deadline(f.d) > f.s.now + SWK_HOUR);
    /* All that was spent comes back. */
    f_advance(&f, (swk_time)at_once * turn);
    rename_host(&f, id, 42, 41 + at_once);
    assert_string_equal(stored_name(&f), "host57");
    rename_host(&f, id, 58, 58);
    assert_string_equal(stored_name(&f), "host57");
    f_fini(&f);
}

static void a_description_that_is_no_news_costs_nothing(void **state)
{
    struct f f;
    const char *id;

    (void)state;
    f_set_up(&f);
    f_set_period(&f, SWK_HOUR);
    id = f_register(&f, "n1");
    rename_host(&f, id, 1, SWKI_DISPATCHER_DESCRIPTIONS_AT_ONCE - 1);
    for (int i = 0; i < 40; i++) {
        rename_host(&f, id, 15, 15);
    }
    rename_host(&f, id, 16, 16);
    assert_string_equal(stored_name(&f), "host16");
    rename_host(&f, id, 17, 17);
    rename_host(&f, id, 16, 16); /* and so the other one is withdrawn */
    f_advance(&f, SWK_MINUTE);
    assert_string_equal(stored_name(&f), "host16");
    f_fini(&f);
}

static void a_status_does_not_wait_for_a_description(void **state)
{
    struct f f;
    const char *id;

    (void)state;
    f_set_up(&f);
    id = f_register(&f, "n1");
    rename_host(&f, id, 1, SWKI_DISPATCHER_DESCRIPTIONS_AT_ONCE + 1);
    f_advance(&f, 4 * SWK_SECOND); /* without a heartbeat */
    assert_int_equal(f_node(&f, "n1")->status->state, DOWN);
    assert_string_equal(stored_name(&f), "host16");
    f_advance(&f, SWKI_DISPATCHER_DESCRIPTION_INTERVAL);
    assert_int_equal(f_node(&f, "n1")->status->state, DOWN);
    assert_string_equal(stored_name(&f), "host17");
    f_fini(&f);
}

static void a_node_is_removed_while_its_description_waits(void **state)
{
    struct f f;
    const char *id;

    (void)state;
    f_set_up(&f);
    f_set_period(&f, SWK_HOUR);
    id = f_register(&f, "n1");
    rename_host(&f, id, 1, SWKI_DISPATCHER_DESCRIPTIONS_AT_ONCE + 1);
    swarm_delete(&f.s, SWKI_ACTOR_CONTROL, SWKI_KIND_NODE, "n1");
    f_advance(&f, 2 * SWKI_DISPATCHER_DESCRIPTION_INTERVAL);
    assert_null(
        swki_view_get(swki_store_head(f.s.store), SWKI_KIND_NODE, "n1"));
    assert_int_equal(f_status(&f, f_beat(&f, "n1", id)), SWKI_STATUS_NOT_FOUND);
    f_fini(&f);
}

static void a_description_survives_a_status_that_follows(void **state)
{
    struct f f;

    (void)state;
    f_set_up(&f);
    describe(&f, "", "renamed", 1, 0);
    f_session(&f, "n1", ""); /* before anything was written */
    f_settle(&f);
    assert_string_equal(f_node(&f, "n1")->description->hostname, "renamed");
    f_fini(&f);
}

static void bad_descriptions_are_refused(void **state)
{
    struct f f;

    (void)state;
    f_set_up(&f);
    assert_int_equal(f_status(&f, describe(&f, "", "h", -1, 0)),
                     SWKI_STATUS_INVALID_ARGUMENT);
    assert_int_equal(f_status(&f, describe(&f, "", "h", 1, 300000)),
                     SWKI_STATUS_RESOURCE_EXHAUSTED);
    f_settle(&f);
    assert_int_equal(f_node(&f, "n1")->status->state, UNKNOWN);
    f_fini(&f);
}

static uint64_t describe_plugins(struct f *f, size_t count)
{
    ProtobufCMessageUnknownField unknown = {
        .tag = 5000,
        .wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED,
        .len = 4,
        .data = (uint8_t *)"\x03"
                           "new",
    };
    Swkpb__SessionRequest request = SWKPB__SESSION_REQUEST__INIT;
    Swkpb__NodeDescription description = SWKPB__NODE_DESCRIPTION__INIT;
    Swkpb__EngineDescription engine = SWKPB__ENGINE_DESCRIPTION__INIT;
    Swkpb__PluginDescription plugin = SWKPB__PLUGIN_DESCRIPTION__INIT;
    Swkpb__PluginDescription **list = calloc(count, sizeof(list[0]));
    uint64_t call;

    assert_non_null(list);
    for (size_t i = 0; i < count; i++) {
        list[i] = &plugin;
    }
    engine.base.unknown_fields = description.base.unknown_fields = &unknown;
    engine.base.n_unknown_fields = description.base.n_unknown_fields = 1;
    engine.plugins = list;
    engine.n_plugins = count;
    description.engine = &engine;
    request.description = &description;
    call = f_call(f, "n1", SESSION, &request.base);
    free(list);
    return call;
}

static void a_description_lists_only_so_much(void **state)
{
    const Swkpb__NodeDescription *stored;
    uint64_t call;
    struct f f;

    (void)state;
    f_set_up(&f);
    call = describe_plugins(&f, SWKI_DISPATCHER_PARTS_MAX);
    assert_int_equal(f_status(&f, call), SWKI_STATUS_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(f_text(&f, call), "plugins"));
    /* The engine is a part, too. */
    call = describe_plugins(&f, SWKI_DISPATCHER_PARTS_MAX - 1);
    assert_int_equal(f_status(&f, call), -1);
    f_settle(&f);
    stored = f_node(&f, "n1")->description;
    assert_int_equal(stored->engine->n_plugins, SWKI_DISPATCHER_PARTS_MAX - 1);
    assert_int_equal(stored->base.n_unknown_fields, 0);
    assert_int_equal(stored->engine->base.n_unknown_fields, 0);
    f_fini(&f);
}

static void too_many_registrations_are_refused_for_a_while(void **state)
{
    struct f f;

    (void)state;
    f_set_up(&f);
    f_set_period(&f, SWK_HOUR);
    f_register(&f, "n1"); /* the first of all does not count */
    for (int i = 0; i < 3; i++) {
        f_register(&f, "n1");
    }
    assert_int_equal(f_status(&f, f_session(&f, "n1", "")),
                     SWKI_STATUS_UNAVAILABLE);
    f_advance(&f, 7 * SWK_SECOND);
    assert_int_equal(f_status(&f, f_session(&f, "n1", "")),
                     SWKI_STATUS_UNAVAILABLE);
    f_register(&f, "n2"); /* another node is not concerned */
    /* The refused attempt did not prolong the wait. */
    f_advance(&f, SWK_SECOND + SWK_MILLISECOND);
    f_register(&f, "n1");
    f_fini(&f);
}

/* -- Heartbeats ----------------------------------------------------------- */

static void heartbeats_need_the_session(void **state)
{
    struct f f;
    uint64_t call;

    (void)state;
    f_set_up(&f);
    call = f_beat(&f, "n1", "x");
    assert_int_equal(f_status(&f, call), SWKI_STATUS_NOT_FOUND);
    assert_string_equal(f_text(&f, call), "node not registered");
    assert_int_equal(f_status(&f, f_beat(&f, "stranger", "x")),
                     SWKI_STATUS_NOT_FOUND);
    f_register(&f, "n1");
    call = f_beat(&f, "n1", "");
    assert_int_equal(f_status(&f, call), SWKI_STATUS_INVALID_ARGUMENT);
    assert_string_equal(f_text(&f, call), "session invalid");
    assert_int_equal(f_status(&f, f_beat(&f, "n1", "x")),
                     SWKI_STATUS_INVALID_ARGUMENT);
    f_fini(&f);
}

static int64_t beat_period(struct f *f, const char *node_id, const char *id)
{
    uint64_t call = f_beat(f, node_id, id);
    const Swkpb__HeartbeatResponse *response =
        f_next(f, call, &swkpb__heartbeat_response__descriptor);
    int64_t ns;

    assert_int_equal(f_status(f, call), SWKI_STATUS_OK);
    assert_int_equal(swki_duration_read(response->period, &ns, NULL), 0);
    return ns;
}

static void check_periods(struct f *f, const char *id, int64_t period)
{
    int64_t first = beat_period(f, "n1", id);
    int64_t lowest = first;
    int64_t highest = first;

    for (int i = 0; i < 200; i++) {
        int64_t ns = beat_period(f, "n1", id);

        assert_true(ns >= period - period / 10 && ns < period + period / 10);
        lowest = ns < lowest ? ns : lowest;
        highest = ns > highest ? ns : highest;
    }
    assert_true(highest - lowest > period / 10);
}

static void the_period_is_the_clusters_or_grows_with_the_swarm(void **state)
{
    struct f f;
    const char *id;
    char name[16];

    (void)state;
    f_set_up(&f);
    id = f_register(&f, "n1");
    check_periods(&f, id, SWK_SECOND);
    f_set_period(&f, 5 * SWK_SECOND);
    f_settle(&f);
    check_periods(&f, id, 5 * SWK_SECOND);
    f_set_period(&f, 0); /* as if it were not set */
    f_settle(&f);
    check_periods(&f, id, SWK_SECOND);
    for (int i = 2; i < 1600; i++) {
        snprintf(name, sizeof(name), "many%d", i);
        swarm_add_node(&f.s, name);
    }
    f_settle(&f);
    check_periods(&f, id, 2 * SWK_SECOND);
    f_fini(&f);
}

static void a_silent_node_is_down_until_it_registers(void **state)
{
    struct f f;
    uint64_t session;
    uint64_t stream;
    const char *id;

    (void)state;
    f_set_up(&f);
    session = f_session(&f, "n1", "");
    f_settle(&f);
    id = f_next_session(&f, session)->session_id;
    stream = f_assignments(&f, "n1", id);
    f_advance(&f, 3 * SWK_SECOND - SWK_MILLISECOND);
    assert_int_equal(f_node(&f, "n1")->status->state, NODE_IS_READY);
    f_advance(&f, SWK_MILLISECOND);
    assert_int_equal(f_node(&f, "n1")->status->state, DOWN);
    assert_string_equal(f_node(&f, "n1")->status->message,
                        "heartbeat failure");
    assert_string_equal(f_node(&f, "n1")->status->addr, "192.0.2.1");
    assert_int_equal(f_status(&f, session), SWKI_STATUS_NOT_FOUND);
    assert_int_equal(f_status(&f, stream), SWKI_STATUS_NOT_FOUND);
    assert_int_equal(f_status(&f, f_beat(&f, "n1", id)),
                     SWKI_STATUS_NOT_FOUND);
    assert_string_not_equal(f_register(&f, "n1"), id);
    assert_int_equal(f_node(&f, "n1")->status->state, NODE_IS_READY);
    assert_string_equal(f_node(&f, "n1")->status->message, "");
    f_fini(&f);
}

static void a_node_that_beats_stays(void **state)
{
    struct f f;
    const char *id;

    (void)state;
    f_set_up(&f);
    id = f_register(&f, "n1");
    for (int i = 0; i < 20; i++) {
        f_advance(&f, 2 * SWK_SECOND);
        beat_period(&f, "n1", id);
    }
    for (int i = 0; i < 20; i++) { /* a report shows life as well */
        f_advance(&f, 2 * SWK_SECOND);
        f_report(&f, "n1", id, "none", RUNNING);
    }
    assert_int_equal(f_node(&f, "n1")->status->state, NODE_IS_READY);
    assert_int_equal(f_node(&f, "n2")->status->state, DOWN);
    f_fini(&f);
}

static void a_new_leader_knows_nobody_until_they_come(void **state)
{
    struct f f;

    (void)state;
    f_init(&f);
    f_add_cluster(&f);
    swarm_add_node(&f.s, "n1");
    swarm_add_node(&f.s, "n2");
    swarm_add_node(&f.s, "n3");
    swarm_set_node_state(&f.s, "n3", DOWN);
    f_start(&f);
    assert_int_equal(f_node(&f, "n1")->status->state, UNKNOWN);
    assert_string_equal(
        f_node(&f, "n1")->status->message,
        "Node moved to \"unknown\" state due to leadership change in cluster");
    assert_int_equal(f_node(&f, "n3")->status->state, DOWN);
    f_register(&f, "n1");
    f_set_period(&f, SWK_HOUR);
    f_settle(&f);
    beat_period(&f, "n1", f_register(&f, "n1"));
    f_advance(&f, 6 * SWK_SECOND - SWK_MILLISECOND);
    assert_int_equal(f_node(&f, "n2")->status->state, UNKNOWN);
    f_advance(&f, SWK_MILLISECOND);
    assert_int_equal(f_node(&f, "n2")->status->state, DOWN);
    assert_string_equal(f_node(&f, "n2")->status->message,
                        "heartbeat failure for node in \"unknown\" state");
    assert_int_equal(f_node(&f, "n1")->status->state, NODE_IS_READY);
    f_fini(&f);
}

/* -- Session messages ----------------------------------------------------- */

static void set_roots(struct f *f, const char *pem)
{
    struct swki_object *object =
        swarm_edit(&f->s, SWKI_KIND_CLUSTER, "cluster");
    Swkpb__Cluster *cluster = swki_cluster_edit(object);

    swki_object_own(object, &cluster->root_ca);
    cluster->root_ca->ca_cert.data = (uint8_t *)swarm_text(object, pem);
    cluster->root_ca->ca_cert.len = strlen(pem);
    swarm_update(&f->s, SWKI_ACTOR_CA, object);
}

static void sessions_are_told_what_matters_to_them(void **state)
{
    static const struct swki_dispatcher_manager manager = {"m9",
                                                           "192.0.2.19:1"};
    struct f f;
    const Swkpb__SessionMessage *message;
    uint64_t session;

    (void)state;
    f_set_up(&f);
    session = f_session(&f, "n1", "");
    f_settle(&f);
    f_next_session(&f, session);
    set_roots(&f, "other roots");
    f_settle(&f);
    message = f_next_session(&f, session);
    assert_int_equal(message->rootca.len, 11);
    assert_int_equal(swki_dispatcher_set_managers(f.d, &manager, 1, NULL), 0);
    f_settle(&f);
    message = f_next_session(&f, session);
    assert_int_equal(message->n_managers, 1);
    assert_string_equal(message->managers[0]->peer->node_id, "m9");
    swarm_set_availability(&f.s, "n1", SWKPB__NODE_SPEC__AVAILABILITY__PAUSE);
    f_settle(&f);
    message = f_next_session(&f, session);
    assert_int_equal(message->node->spec->availability,
                     SWKPB__NODE_SPEC__AVAILABILITY__PAUSE);
    assert_null(f_next_session(&f, session));
    /* Neither its own status nor another node is news to it. */
    swarm_set_node_state(&f.s, "n1", UNKNOWN);
    swarm_set_availability(&f.s, "n2", SWKPB__NODE_SPEC__AVAILABILITY__PAUSE);
    f_settle(&f);
    assert_null(f_next_session(&f, session));
    f_fini(&f);
}

static void a_node_is_told_of_the_role_it_is_granted(void **state)
{
    struct f f;
    struct swki_object *object;
    uint64_t session;

    (void)state;
    f_set_up(&f);
    session = f_session(&f, "n1", "");
    f_settle(&f);
    f_next_session(&f, session);
    object = swarm_edit(&f.s, SWKI_KIND_NODE, "n1");
    swki_node_edit(object)->role = SWKPB__NODE_ROLE__MANAGER;
    swarm_update(&f.s, SWKI_ACTOR_ROLE_MANAGER, object);
    f_settle(&f);
    assert_int_equal(f_next_session(&f, session)->node->role,
                     SWKPB__NODE_ROLE__MANAGER);
    f_fini(&f);
}

static void the_old_managers_stay_if_the_new_ones_find_no_memory(void **state)
{
    static const struct swki_dispatcher_manager manager = {"m9",
                                                           "192.0.2.19:1"};
    const Swkpb__SessionMessage *message;
    struct f f;
    uint64_t call;

    (void)state;
    f_set_up(&f);
    heap_fail_at(&f.heap, 1);
    assert_int_equal(swki_dispatcher_set_managers(f.d, &manager, 1, NULL),
                     SWK_ENOMEM);
    heap_fail_at(&f.heap, 0);
    call = f_session(&f, "n1", "");
    f_settle(&f);
    message = f_next_session(&f, call);
    assert_int_equal(message->n_managers, 2);
    assert_string_equal(message->managers[0]->peer->node_id, "m1");
    f_fini(&f);
}

static void a_node_that_is_deleted_loses_its_streams(void **state)
{
    struct f f;
    uint64_t session;
    uint64_t stream;

    (void)state;
    f_set_up(&f);
    session = f_session(&f, "n1", "");
    f_settle(&f);
    stream = f_assignments(&f, "n1", f_next_session(&f, session)->session_id);
    swarm_delete(&f.s, SWKI_ACTOR_CONTROL, SWKI_KIND_NODE, "n1");
    f_settle(&f);
    assert_int_equal(f_status(&f, session), SWKI_STATUS_NOT_FOUND);
    assert_int_equal(f_status(&f, stream), SWKI_STATUS_NOT_FOUND);
    assert_int_equal(f_status(&f, f_session(&f, "n1", "")),
                     SWKI_STATUS_NOT_FOUND);
    f_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_without_identity_are_refused),
        cmocka_unit_test(methods_that_are_not_offered_say_so),
        cmocka_unit_test(stop_ends_every_call_at_once),
        cmocka_unit_test(a_cancelled_call_is_never_answered),
        cmocka_unit_test(the_first_session_message_waits_for_the_commit),
        cmocka_unit_test(a_session_message_is_complete),
        cmocka_unit_test(registering_stores_the_host_that_called),
        cmocka_unit_test(a_node_of_no_object_is_not_found),
        cmocka_unit_test(registering_again_ends_the_first_session),
        cmocka_unit_test(resuming_keeps_the_session_and_takes_the_description),
        cmocka_unit_test(descriptions_beyond_the_allowance_wait_for_their_turn),
        cmocka_unit_test(a_description_that_is_no_news_costs_nothing),
        cmocka_unit_test(a_status_does_not_wait_for_a_description),
        cmocka_unit_test(a_node_is_removed_while_its_description_waits),
        cmocka_unit_test(a_description_survives_a_status_that_follows),
        cmocka_unit_test(bad_descriptions_are_refused),
        cmocka_unit_test(a_description_lists_only_so_much),
        cmocka_unit_test(too_many_registrations_are_refused_for_a_while),
        cmocka_unit_test(heartbeats_need_the_session),
        cmocka_unit_test(the_period_is_the_clusters_or_grows_with_the_swarm),
        cmocka_unit_test(a_silent_node_is_down_until_it_registers),
        cmocka_unit_test(a_node_that_beats_stays),
        cmocka_unit_test(a_new_leader_knows_nobody_until_they_come),
        cmocka_unit_test(sessions_are_told_what_matters_to_them),
        cmocka_unit_test(a_node_is_told_of_the_role_it_is_granted),
        cmocka_unit_test(the_old_managers_stay_if_the_new_ones_find_no_memory),
        cmocka_unit_test(a_node_that_is_deleted_loses_its_streams),
    };

    return cmocka_run_group_tests_name("dispatcher", tests, NULL, NULL);
}

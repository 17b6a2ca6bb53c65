/* SPDX-License-Identifier: Apache-2.0 */

/* The audit log's records: which there are, and what they say. */

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/roles.h"
#include "control.pb-c.h"
#include "core/audit/audit.h"
#include "core/audit/check.h"
#include "dispatcher.pb-c.h"
#include "lib/heap.h"
#include "lib/storelog.h"

#define PAYLOAD "the payload of a secret"
#define SECOND ((swk_wall)SWK_SECOND)

enum {
    FIRST_CALL = 77,
};

static const struct swki_caller administrator = {
    .local = true,
    .node_id = "",
    .swarm_id = "",
    .address = "",
    .request_id = "request1",
    .forwarded_by = "",
    .uid = 1000,
    .pid = 4711,
};

static const struct swki_caller worker = {
    .node_id = "worker1",
    .swarm_id = "swarm1",
    .role = SWKI_ROLE_WORKER,
    .address = "192.0.2.1:5000",
    .request_id = "",
    .forwarded_by = "manager2",
};

struct f {
    struct heap heap;
    struct storelog log;
    struct swki_store *store;
    struct swki_audit *audit;
    struct swki_audit_check check; /* of all records so far */
    char text[16384]; /* of the records, without what frames them */
};

static const struct swki_audit_start first_start = {
    .release = "1.2.3",
};

static void make_audit(struct f *f, const struct swki_audit_config *config)
{
    struct swki_audit_config full = *config;
    struct swki_store_observer observer;

    full.alloc = &f->heap.alloc;
    full.node_id = "manager1";
    full.swarm_id = "swarm1";
    full.refusals_max = 3;
    swki_audit_check_init(&f->check);
    f->check.begun = config->last.seq != 0;
    f->check.last = config->last;
    swki_audit_free(f->audit);
    assert_int_equal(swki_audit_new(&full, &f->audit, NULL), 0);
    observer = swki_audit_observer(f->audit);
    swki_store_observe(f->store, &observer);
}

static int set_up(void **state)
{
    static const struct swki_audit_config from_the_start = {0};
    struct f *f = calloc(1, sizeof(*f));
    struct swki_store_config config = {.alloc = &f->heap.alloc};

    heap_init(&f->heap);
    f->log.leads = true;
    config.proposer = storelog_proposer(&f->log);
    assert_int_equal(swki_store_new(&config, &f->store, NULL), 0);
    make_audit(f, &from_the_start);
    swki_audit_start(f->audit, 5 * SECOND, &first_start);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_store_observe(f->store, NULL);
    swki_store_free(f->store);
    swki_audit_free(f->audit);
    storelog_fini(&f->log);
    assert_int_equal(heap_live(&f->heap), 0);
    free(f);
    return 0;
}

/* What was recorded since the last time, which is a sound chain: the fields of
 * each record but its frame, "type field=value ..." and a line end. */
static const char *records(struct f *f)
{
    const struct swki_buf *pending = swki_audit_pending(f->audit);
    const char *at = (const char *)pending->data;
    size_t left = pending->len;
    size_t used = 0;

    f->text[0] = '\0';
    while (left > 0) {
        const char *end = memchr(at, '\n', left);
        struct swki_audit_record record;

        assert_non_null(end);
        assert_true(swki_audit_check_line(&f->check, 1, at, (size_t)(end - at),
                                          &record));
        for (size_t i = 2; i < record.fields.count - 2; i++) {
            const struct swki_audit_field *field = &record.fields.list[i];

            used += (size_t)snprintf(
                f->text + used, sizeof(f->text) - used, "%s%.*s%s%.*s",
                i > 2 ? " " : "", i > 2 ? (int)field->name_len : 0, field->name,
                i > 2 ? "=" : "", (int)field->value_len, field->value);
        }
        used += (size_t)snprintf(f->text + used, sizeof(f->text) - used, "\n");
        left -= (size_t)(end + 1 - at);
        at = end + 1;
    }
    swki_audit_written(f->audit, pending->len);
    return f->text;
}

static const struct swki_method *method(const char *path)
{
    const struct swki_method *found = swki_method_by_path(path, strlen(path));

    assert_non_null(found);
    return found;
}

/* Makes a secret, as the actor. */
static int create_secret(struct f *f, enum swki_actor actor, const char *id)
{
    struct swki_tx *tx = swki_store_begin(f->store, actor, 0);
    struct swki_object *object =
        swki_object_new(&f->heap.alloc, SWKI_KIND_SECRET);
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__SecretSpec *spec = swki_arena_calloc(arena, 1, sizeof(*spec));
    int rc;

    swkpb__secret_spec__init(spec);
    spec->annotations = swki_arena_calloc(arena, 1, sizeof(*spec->annotations));
    swkpb__annotations__init(spec->annotations);
    spec->annotations->name = swki_arena_printf(arena, "name-of-%s", id);
    spec->data.data = (uint8_t *)swki_arena_strdup(arena, PAYLOAD);
    spec->data.len = strlen(PAYLOAD);
    swki_secret_edit(object)->id = swki_arena_strdup(arena, id);
    swki_secret_edit(object)->spec = spec;
    rc = swki_tx_create(tx, object, NULL);
    if (rc != 0) {
        swki_tx_abort(tx);
        return rc;
    }
    assert_int_equal(swki_tx_set_request(tx, "key1", id, NULL), 0);
    return swki_tx_commit(tx, NULL, NULL, NULL, NULL);
}

static void a_start_says_who_and_how_it_was_left(void **state)
{
    struct f *f = *state;
    const struct swki_audit_config config = {.last = {41, {1}}};
    struct swki_audit_start start = first_start;

    start.before = SWKI_AUDIT_BEFORE_CRASHED;
    start.torn = 12;

    assert_string_equal(records(f),
                        "start node=manager1 swarm=swarm1 release=1.2.3 "
                        "before=none\n");
    make_audit(f, &config);
    swki_audit_start(f->audit, 0, &start);
    assert_int_equal(swki_audit_head(f->audit)->seq, 42);
    assert_string_equal(records(f),
                        "start node=manager1 swarm=swarm1 release=1.2.3 "
                        "before=crashed torn=12\n");
}

static void a_call_is_recorded_with_its_caller_and_object(void **state)
{
    struct f *f = *state;
    Swkpb__UpdateServiceRequest request = SWKPB__UPDATE_SERVICE_REQUEST__INIT;
    Swkpb__Version version = {.index = 17};
    Swkpb__ServiceSpec spec = SWKPB__SERVICE_SPEC__INIT;
    Swkpb__Annotations annotations = SWKPB__ANNOTATIONS__INIT;

    swkpb__version__init(&version);
    version.index = 17;
    annotations.name = (char *)"web";
    spec.annotations = &annotations;
    request.service_id = (char *)"service1";
    request.service_version = &version;
    request.spec = &spec;
    (void)records(f);
    swki_audit_call_begins(f->audit, 0, FIRST_CALL,
                           method(SWKI_PATH_CONTROL_UPDATE_SERVICE),
                           &administrator);
    swki_audit_call_request(f->audit, FIRST_CALL, &request.base);
    assert_string_equal(records(f), "");
    swki_audit_call_ends(f->audit, 0, FIRST_CALL, SWKI_STATUS_OK, "");
    assert_string_equal(
        records(f),
        "call call=1.1 method=/docker.swarmkit.v1.Control/UpdateService "
        "actor=local uid=1000 pid=4711 request=request1 object=service1 "
        "name=web version=17 outcome=done\n");
    swki_audit_call_ends(f->audit, 0, FIRST_CALL, SWKI_STATUS_OK, "");
    assert_string_equal(records(f), "");
}

static void a_call_that_failed_says_why(void **state)
{
    static const struct {
        enum swki_status status;
        const char *outcome;
    } cases[] = {
        {SWKI_STATUS_ABORTED, "refused status=ABORTED"},
        {SWKI_STATUS_INVALID_ARGUMENT, "refused status=INVALID_ARGUMENT"},
        {SWKI_STATUS_UNAVAILABLE, "unknown status=UNAVAILABLE"},
        {SWKI_STATUS_CANCELLED, "unknown status=CANCELLED"},
    };
    struct f *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char wanted[200];

        (void)records(f);
        swki_audit_call_begins(f->audit, 0, i,
                               method(SWKI_PATH_CONTROL_REMOVE_NODE),
                               &administrator);
        swki_audit_call_ends(f->audit, 0, i, cases[i].status, "since");
        snprintf(wanted, sizeof(wanted), "outcome=%s text=since\n",
                 cases[i].outcome);
        assert_non_null(strstr(records(f), wanted));
    }
}

static void a_refused_call_names_the_node_and_who_passed_it_on(void **state)
{
    struct f *f = *state;

    (void)records(f);
    swki_audit_call_refused(f->audit, 0, SWKI_PATH_CONTROL_LIST_NODES, &worker,
                            SWKI_STATUS_PERMISSION_DENIED, "role");
    assert_string_equal(
        records(f),
        "call method=/docker.swarmkit.v1.Control/ListNodes actor=worker1 "
        "role=worker swarm=swarm1 address=192.0.2.1:5000 by=manager2 "
        "outcome=refused status=PERMISSION_DENIED text=role\n");
}

static void calls_that_only_read_and_heartbeats_leave_no_record(void **state)
{
    static const char *const paths[] = {
        SWKI_PATH_CONTROL_LIST_NODES,
        SWKI_PATH_DISPATCHER_HEARTBEAT,
        SWKI_PATH_DISPATCHER_ASSIGNMENTS,
    };
    struct f *f = *state;

    (void)records(f);
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        swki_audit_call_begins(f->audit, 0, i, method(paths[i]), &worker);
        assert_int_equal(swki_audit_call_cause(f->audit, i), 0);
        swki_audit_call_ends(f->audit, 0, i, SWKI_STATUS_NOT_FOUND, "");
    }
    assert_string_equal(records(f), "");
}

static void the_id_of_a_session_is_no_object(void **state)
{
    struct f *f = *state;
    Swkpb__SessionRequest request = SWKPB__SESSION_REQUEST__INIT;

    request.session_id = (char *)"not-for-others";
    (void)records(f);
    swki_audit_call_begins(f->audit, 0, FIRST_CALL,
                           method(SWKI_PATH_DISPATCHER_SESSION), &worker);
    assert_non_null(strstr(records(f), "outcome=begun"));
    swki_audit_call_request(f->audit, FIRST_CALL, &request.base);
    swki_audit_call_ends(f->audit, 0, FIRST_CALL, SWKI_STATUS_CANCELLED, "");
    assert_null(strstr(records(f), "not-for-others"));
}

static void a_change_is_recorded_once_it_is_committed(void **state)
{
    struct f *f = *state;

    (void)records(f);
    swki_audit_call_begins(f->audit, 0, FIRST_CALL,
                           method(SWKI_PATH_CONTROL_CREATE_SECRET),
                           &administrator);
    swki_store_set_cause(f->store, swki_audit_call_cause(f->audit, FIRST_CALL));
    assert_int_equal(create_secret(f, SWKI_ACTOR_CONTROL, "s1"), 0);
    swki_store_set_cause(f->store, 0);
    assert_string_equal(records(f), "");
    storelog_commit_all(&f->log, f->store);
    assert_string_equal(records(f),
                        "change call=1.1 actor=control request=key1 "
                        "action=create kind=secret object=s1 name=name-of-s1 "
                        "version=1 outcome=committed\n");
}

static void a_change_that_was_lost_is_of_unknown_outcome(void **state)
{
    struct f *f = *state;

    (void)records(f);
    assert_int_equal(create_secret(f, SWKI_ACTOR_CONTROL, "s1"), 0);
    swki_store_lose_leadership(f->store);
    assert_non_null(strstr(records(f), "version=1 outcome=unknown\n"));
}

static void what_the_policy_refuses_is_recorded(void **state)
{
    struct f *f = *state;

    (void)records(f);
    assert_int_equal(create_secret(f, SWKI_ACTOR_SCHEDULER, "s1"), SWK_EDENIED);
    assert_string_equal(records(f),
                        "change actor=scheduler action=create kind=secret "
                        "object=s1 name=name-of-s1 outcome=refused "
                        "status=PERMISSION_DENIED text=scheduler may not "
                        "create a secret\n");
}

static void another_managers_change_names_its_actor(void **state)
{
    struct f *f = *state;
    const struct swki_store_config config = {
        .alloc = &f->heap.alloc, .proposer = storelog_proposer(&f->log)};
    struct swki_store_observer observer = swki_audit_observer(f->audit);
    struct swki_store *follower;

    assert_int_equal(swki_store_new(&config, &follower, NULL), 0);
    assert_int_equal(create_secret(f, SWKI_ACTOR_CONTROL, "s1"), 0);
    (void)records(f);
    swki_store_observe(f->store, NULL);
    swki_store_observe(follower, &observer);
    assert_int_equal(swki_store_apply(follower, 1, f->log.entries[1].data,
                                      f->log.entries[1].len, NULL),
                     0);
    assert_string_equal(records(f),
                        "change actor=control request=key1 action=create "
                        "kind=secret object=s1 name=name-of-s1 version=1 "
                        "outcome=committed\n");
    swki_store_free(follower);
}

static void what_is_recorded_already_is_not_recorded_anew(void **state)
{
    struct f *f = *state;
    const struct swki_audit_config config = {.recorded_index = 1};

    make_audit(f, &config);
    (void)records(f);
    assert_int_equal(create_secret(f, SWKI_ACTOR_CONTROL, "s1"), 0);
    assert_int_equal(create_secret(f, SWKI_ACTOR_CONTROL, "s2"), 0);
    storelog_commit_all(&f->log, f->store);
    assert_null(strstr(records(f), "object=s1"));
    assert_non_null(strstr(f->text, "object=s2"));
}

static void of_calls_alone_changes_are_left_out_unless_refused(void **state)
{
    struct f *f = *state;
    const struct swki_audit_config config = {.level = SWKI_AUDIT_CALLS};

    make_audit(f, &config);
    (void)records(f);
    assert_int_equal(create_secret(f, SWKI_ACTOR_CONTROL, "s1"), 0);
    storelog_commit_all(&f->log, f->store);
    assert_string_equal(records(f), "");
    assert_int_equal(create_secret(f, SWKI_ACTOR_REAPER, "s2"), SWK_EDENIED);
    assert_non_null(strstr(records(f), "actor=reaper"));
}

static void no_payload_gets_into_a_record(void **state)
{
    struct f *f = *state;
    Swkpb__CreateSecretRequest request = SWKPB__CREATE_SECRET_REQUEST__INIT;
    Swkpb__SecretSpec spec = SWKPB__SECRET_SPEC__INIT;

    spec.data.data = (uint8_t *)PAYLOAD;
    spec.data.len = strlen(PAYLOAD);
    request.spec = &spec;
    swki_audit_call_begins(f->audit, 0, FIRST_CALL,
                           method(SWKI_PATH_CONTROL_CREATE_SECRET),
                           &administrator);
    swki_audit_call_request(f->audit, FIRST_CALL, &request.base);
    swki_audit_call_ends(f->audit, 0, FIRST_CALL, SWKI_STATUS_OK, "");
    assert_int_equal(create_secret(f, SWKI_ACTOR_CONTROL, "s1"), 0);
    storelog_commit_all(&f->log, f->store);
    assert_non_null(strstr(records(f), "CreateSecret"));
    assert_non_null(strstr(f->text, "name-of-s1"));
    assert_null(strstr(f->text, PAYLOAD));
}

static int count(const char *text, const char *what)
{
    int found = 0;

    for (text = strstr(text, what); text != NULL; text = strstr(text, what)) {
        found++;
        text++;
    }
    return found;
}

static void a_flood_of_refusals_is_counted(void **state)
{
    struct f *f = *state;

    (void)records(f);
    for (int i = 0; i < 10; i++) {
        swki_audit_call_refused(f->audit, 9 * SECOND, "/x", &worker,
                                SWKI_STATUS_PERMISSION_DENIED, "");
    }
    assert_int_equal(count(records(f), "call method=/x"), 3);
    swki_audit_call_refused(f->audit, 9 * SECOND, "/x", &administrator,
                            SWKI_STATUS_PERMISSION_DENIED, "");
    assert_int_equal(count(records(f), "actor=local"), 1);
    swki_audit_call_refused(f->audit, 10 * SECOND, "/x", &worker,
                            SWKI_STATUS_PERMISSION_DENIED, "");
    assert_int_equal(count(records(f), "suppressed calls=7\n"), 1);
    assert_int_equal(count(f->text, "call method=/x"), 1);
    for (int i = 0; i < 5; i++) {
        swki_audit_call_refused(f->audit, 10 * SECOND, "/x", &worker,
                                SWKI_STATUS_PERMISSION_DENIED, "");
    }
    swki_audit_stop(f->audit, 10 * SECOND);
    assert_int_equal(count(records(f), "suppressed calls=3\nstop\n"), 1);
}

static void managers_are_held_back_only_when_they_are_denied(void **state)
{
    struct f *f = *state;
    struct swki_caller manager = worker;

    manager.role = SWKI_ROLE_MANAGER;
    (void)records(f);
    for (int i = 0; i < 10; i++) {
        swki_audit_call_refused(f->audit, 9 * SECOND, "/x", &manager,
                                SWKI_STATUS_ABORTED, "");
        swki_audit_call_refused(f->audit, 9 * SECOND, "/y", &manager,
                                SWKI_STATUS_PERMISSION_DENIED, "");
    }
    assert_int_equal(count(records(f), "call method=/x"), 10);
    assert_int_equal(count(f->text, "call method=/y"), 3);
}

static void the_manager_s_turns_are_recorded(void **state)
{
    struct f *f = *state;

    (void)records(f);
    swki_audit_file(f->audit, 0, 1, 1);
    swki_audit_leads(f->audit, 0, 4);
    swki_audit_leads_no_more(f->audit, 0);
    swki_audit_restored(f->audit, 0, 99);
    assert_string_equal(records(f), "file file=1 oldest=1 node=manager1 "
                                    "swarm=swarm1\n"
                                    "leads term=4\n"
                                    "leads-no-more\n"
                                    "restored version=99\n");
}

static void calls_that_are_open_at_the_stop_are_recorded(void **state)
{
    struct f *f = *state;

    (void)records(f);
    swki_audit_call_begins(
        f->audit, 0, 1, method(SWKI_PATH_CONTROL_REMOVE_NODE), &administrator);
    swki_audit_call_begins(
        f->audit, 0, 2, method(SWKI_PATH_CONTROL_REMOVE_TASK), &administrator);
    swki_audit_stop(f->audit, 0);
    assert_int_equal(count(records(f), "outcome=unknown status=UNAVAILABLE"),
                     2);
    assert_int_equal(count(f->text, "\nstop\n"), 1);
}

static void records_without_room_become_a_gap_that_is_told_of(void **state)
{
    struct f *f = *state;
    const struct swki_audit_config config = {.alloc = &f->heap.alloc,
                                             .pending_max = 2000};
    uint64_t lost;

    swki_audit_free(f->audit);
    assert_int_equal(swki_audit_new(&config, &f->audit, NULL), 0);
    for (int i = 0; i < 20; i++) {
        swki_audit_leads(f->audit, 0, 4);
    }
    lost = swki_audit_lost(f->audit);
    assert_in_range(lost, 5, 15);
    assert_int_equal(count(records(f), "leads term=4\n"), 20 - lost);
    swki_audit_leads(f->audit, 0, 5);
    assert_int_equal(swki_audit_lost(f->audit), 0);
    snprintf(f->text + 8192, 100, "gap lost=%d\nleads term=5\n", (int)lost);
    assert_non_null(strstr(records(f), f->text + 8192));
    swki_store_observe(f->store, NULL);
}

static void want_of_memory_is_a_gap_and_leaks_nothing(void **state)
{
    struct f *f = *state;

    (void)records(f);
    for (size_t n = 1;; n++) {
        bool failed;

        heap_fail_at(&f->heap, n);
        swki_audit_call_begins(f->audit, 0, n,
                               method(SWKI_PATH_CONTROL_REMOVE_NODE),
                               &administrator);
        swki_audit_call_ends(f->audit, 0, n, SWKI_STATUS_OK, "");
        failed = heap_failed(&f->heap);
        heap_fail_at(&f->heap, 0);
        if (!failed) {
            break;
        }
        assert_int_equal(swki_audit_lost(f->audit), 1);
        swki_audit_leads(f->audit, 0, 1);
        assert_non_null(strstr(records(f), "gap lost=1\nleads term=1\n"));
    }
}

int main(void)
{
#define WITH_F(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_F(a_start_says_who_and_how_it_was_left),
        WITH_F(a_call_is_recorded_with_its_caller_and_object),
        WITH_F(a_call_that_failed_says_why),
        WITH_F(a_refused_call_names_the_node_and_who_passed_it_on),
        WITH_F(calls_that_only_read_and_heartbeats_leave_no_record),
        WITH_F(the_id_of_a_session_is_no_object),
        WITH_F(a_change_is_recorded_once_it_is_committed),
        WITH_F(a_change_that_was_lost_is_of_unknown_outcome),
        WITH_F(what_the_policy_refuses_is_recorded),
        WITH_F(another_managers_change_names_its_actor),
        WITH_F(what_is_recorded_already_is_not_recorded_anew),
        WITH_F(of_calls_alone_changes_are_left_out_unless_refused),
        WITH_F(no_payload_gets_into_a_record),
        WITH_F(a_flood_of_refusals_is_counted),
        WITH_F(managers_are_held_back_only_when_they_are_denied),
        WITH_F(the_manager_s_turns_are_recorded),
        WITH_F(calls_that_are_open_at_the_stop_are_recorded),
        WITH_F(records_without_room_become_a_gap_that_is_told_of),
        WITH_F(want_of_memory_is_a_gap_and_leaks_nothing),
    };

    return cmocka_run_group_tests_name("audit", tests, NULL, NULL);
}

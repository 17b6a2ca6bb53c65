/* SPDX-License-Identifier: Apache-2.0 */

/* The dispatcher: what nodes report of their tasks, what becomes of tasks that
 * nobody reports of, and how both are written. */

#include "fixture.h"

#define DOWN SWKPB__NODE_STATUS__STATE__DOWN

/* -- Reports -------------------------------------------------------------- */

static void only_states_of_a_worker_may_be_reported(void **state)
{
    static const struct {
        int state;
        bool allowed;
    } cases[] = {
        {NEW, false},      {PENDING, false},
        {ASSIGNED, false}, {SWKPB__TASK_STATE__ACCEPTED, true},
        {SWKPB__TASK_STATE__PREPARING, true},
        {READY, true},     {STARTING, true},
        {RUNNING, true},   {COMPLETE, true},
        {SHUTDOWN, true},  {FAILED, true},
        {REJECTED, true},  {REMOVE, false},
        {ORPHANED, false}, {777, false},
        {-1, false},       {1, false},
    };
    struct f f;
    const char *id;

    (void)state;
    f_set_up(&f);
    id = f_register(&f, "n1");
    f_add_task(&f, "t1", "n1");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t call = f_report(&f, "n1", id, "t1",
                                 (Swkpb__TaskState)cases[i].state);
        int wanted = cases[i].allowed ? SWKI_STATUS_OK
                                      : SWKI_STATUS_INVALID_ARGUMENT;

        if (f_status(&f, call) != wanted) {
            fail_msg("state %d: %s", cases[i].state, f_text(&f, call));
        }
    }
    f_fini(&f);
}

static void a_report_becomes_the_tasks_status(void **state)
{
    const Swkpb__TaskStatus *status;
    swk_wall applied;
    struct f f;
    const char *id;

    (void)state;
    f_set_up(&f);
    id = f_register(&f, "n1");
    f_add_task(&f, "t1", "n1");
    f_report(&f, "n1", id, "t1", STARTING);
    f_settle(&f);
    status = swki_task(swarm_get(&f.s, SWKI_KIND_TASK, "t1"))->status;
    assert_int_equal(status->state, STARTING);
    assert_string_equal(status->applied_by, "m1");
    assert_int_equal(swki_timestamp_read(status->applied_at, &applied, NULL),
                     0);
    assert_true(applied == f.s.wall);
    f_report(&f, "n1", id, "t1", READY); /* comes late */
    f_settle(&f);
    assert_int_equal(f_task_state(&f, "t1"), STARTING);
    f_fini(&f);
}

static void the_highest_of_several_reports_is_written(void **state)
{
    struct f f;
    const char *id;

    (void)state;
    f_set_up(&f);
    id = f_register(&f, "n1");
    f_add_task(&f, "t1", "n1");
    f_report(&f, "n1", id, "t1", STARTING);
    f_report(&f, "n1", id, "t1", RUNNING);
    f_report(&f, "n1", id, "t1", READY);
    f_settle(&f);
    assert_int_equal(f_task_state(&f, "t1"), RUNNING);
    f_fini(&f);
}

static void reports_of_one_step_are_one_entry(void **state)
{
    struct f f;
    uint64_t before;
    const char *id;
    char task[16];

    (void)state;
    f_set_up(&f);
    id = f_register(&f, "n1");
    for (int i = 0; i < 50; i++) {
        snprintf(task, sizeof(task), "t%d", i);
        f_add_task(&f, task, "n1");
    }
    f_settle(&f);
    before = f.s.index;
    for (int i = 0; i < 50; i++) {
        snprintf(task, sizeof(task), "t%d", i);
        f_report(&f, "n1", id, task, RUNNING);
    }
    f_session(&f, "n2", "");
    f_settle(&f);
    assert_int_equal(f.s.index, before + 1);
    assert_int_equal(f_task_state(&f, "t49"), RUNNING);
    f_report(&f, "n1", id, "t1", RUNNING); /* says nothing new */
    f_settle(&f);
    assert_int_equal(f.s.index, before + 1);
    f_fini(&f);
}

/* Several reports in one call; those with state 0 have no status. */
static uint64_t report_many(struct f *f, const char *session_id,
                            const char *const *tasks,
                            const Swkpb__TaskState *states, size_t count)
{
    Swkpb__UpdateTaskStatusRequest request =
        SWKPB__UPDATE_TASK_STATUS_REQUEST__INIT;
    Swkpb__UpdateTaskStatusRequest__TaskStatusUpdate update[8];
    Swkpb__UpdateTaskStatusRequest__TaskStatusUpdate *updates[8];
    Swkpb__TaskStatus status[8];

    for (size_t i = 0; i < count; i++) {
        swkpb__update_task_status_request__task_status_update__init(
            &update[i]);
        swkpb__task_status__init(&status[i]);
        status[i].state = states[i];
        update[i].task_id = (char *)tasks[i];
        update[i].status = states[i] != 0 ? &status[i] : NULL;
        updates[i] = &update[i];
    }
    request.session_id = (char *)session_id;
    request.updates = updates;
    request.n_updates = count;
    return f_call(f, "n1", TASK_STATUS, &request.base);
}

static void reports_of_unknown_tasks_or_without_status_are_skipped(void **state)
{
    static const char *const tasks[] = {"gone", "t1", "t2"};
    static const Swkpb__TaskState states[] = {RUNNING, NEW, RUNNING};
    struct f f;
    const char *id;

    (void)state;
    f_set_up(&f);
    id = f_register(&f, "n1");
    f_add_task(&f, "t1", "n1");
    f_add_task(&f, "t2", "n1");
    assert_int_equal(f_status(&f, report_many(&f, id, tasks, states, 3)),
                     SWKI_STATUS_OK);
    f_settle(&f);
    assert_int_equal(f_task_state(&f, "t1"), ASSIGNED);
    assert_int_equal(f_task_state(&f, "t2"), RUNNING);
    /* Gone between the report and its write. */
    f_report(&f, "n1", id, "t1", FAILED);
    swarm_report(&f.s, "t1", FAILED);
    f_delete_task(&f, "t1");
    f_settle(&f);
    assert_null(swarm_get(&f.s, SWKI_KIND_TASK, "t1"));
    f_fini(&f);
}

static void a_foreign_task_spoils_the_whole_call(void **state)
{
    static const char *const tasks[] = {"t1", "t2"};
    static const Swkpb__TaskState states[] = {RUNNING, RUNNING};
    struct f f;
    const char *id;

    (void)state;
    f_set_up(&f);
    id = f_register(&f, "n1");
    f_add_task(&f, "t1", "n1");
    f_add_task(&f, "t2", "n2");
    assert_int_equal(f_status(&f, report_many(&f, id, tasks, states, 2)),
                     SWKI_STATUS_PERMISSION_DENIED);
    f_settle(&f);
    assert_int_equal(f_task_state(&f, "t1"), ASSIGNED);
    assert_int_equal(f_task_state(&f, "t2"), ASSIGNED);
    f_fini(&f);
}

static uint64_t report_status(struct f *f, const char *session_id,
                              Swkpb__TaskStatus *status)
{
    Swkpb__UpdateTaskStatusRequest request =
        SWKPB__UPDATE_TASK_STATUS_REQUEST__INIT;
    Swkpb__UpdateTaskStatusRequest__TaskStatusUpdate update =
        SWKPB__UPDATE_TASK_STATUS_REQUEST__TASK_STATUS_UPDATE__INIT;
    Swkpb__UpdateTaskStatusRequest__TaskStatusUpdate *updates[] = {&update};

    update.task_id = (char *)"t1";
    update.status = status;
    request.session_id = (char *)session_id;
    request.updates = updates;
    request.n_updates = 1;
    return f_call(f, "n1", TASK_STATUS, &request.base);
}

static uint64_t report_text(struct f *f, const char *session_id, char *message,
                            size_t container_len)
{
    Swkpb__TaskStatus status = SWKPB__TASK_STATUS__INIT;
    Swkpb__ContainerStatus container = SWKPB__CONTAINER_STATUS__INIT;
    char *container_id = malloc(container_len + 1);
    uint64_t call;

    assert_non_null(container_id);
    memset(container_id, 'c', container_len);
    container_id[container_len] = '\0';
    container.container_id = container_id;
    status.state = RUNNING;
    status.message = message;
    status.runtime_status_case = SWKPB__TASK_STATUS__RUNTIME_STATUS_CONTAINER;
    status.container = &container;
    call = report_status(f, session_id, &status);
    free(container_id);
    return call;
}

static void texts_of_reports_are_cut_between_characters(void **state)
{
    char message[4096];
    const Swkpb__TaskStatus *status;
    struct f f;
    const char *id;

    (void)state;
    f_set_up(&f);
    id = f_register(&f, "n1");
    f_add_task(&f, "t1", "n1");
    message[0] = 'x';
    for (size_t i = 1; i + 2 < sizeof(message); i += 2) {
        memcpy(message + i, "\xc3\xa4", 3);
    }
    assert_int_equal(f_status(&f, report_text(&f, id, message, 10)),
                     SWKI_STATUS_OK);
    f_settle(&f);
    status = swki_task(swarm_get(&f.s, SWKI_KIND_TASK, "t1"))->status;
    assert_int_equal(strlen(status->message), SWKI_DISPATCHER_TEXT_MAX - 1);
    assert_int_equal((uint8_t)status->message[1022], 0xa4);
    f_fini(&f);
}

static void huge_reports_are_refused(void **state)
{
    Swkpb__UpdateTaskStatusRequest request =
        SWKPB__UPDATE_TASK_STATUS_REQUEST__INIT;
    struct f f;
    const char *id;

    (void)state;
    f_set_up(&f);
    id = f_register(&f, "n1");
    f_add_task(&f, "t1", "n1");
    assert_int_equal(
        f_status(&f, report_text(&f, id, (char *)"", 100000)),
        SWKI_STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal(
        f_status(&f, report_text(&f, id, (char *)"",
                                 SWKI_DISPATCHER_TEXT_MAX + 1)),
        SWKI_STATUS_RESOURCE_EXHAUSTED);
    request.session_id = (char *)id;
    request.n_updates = SWKI_DISPATCHER_UPDATES_MAX + 1;
    assert_int_equal(
        f_status(&f, f_call(&f, "n1", TASK_STATUS, &request.base)),
        SWKI_STATUS_RESOURCE_EXHAUSTED);
    f_settle(&f);
    assert_int_equal(f_task_state(&f, "t1"), ASSIGNED);
    f_fini(&f);
}

static uint64_t report_ports(struct f *f, const char *session_id,
                             Swkpb__TaskState state, size_t count)
{
    Swkpb__TaskStatus status = SWKPB__TASK_STATUS__INIT;
    Swkpb__PortStatus ports = SWKPB__PORT_STATUS__INIT;
    Swkpb__PortConfig port = SWKPB__PORT_CONFIG__INIT;
    Swkpb__PortConfig **list = calloc(count, sizeof(list[0]));
    uint64_t call;

    assert_non_null(list);
    for (size_t i = 0; i < count; i++) {
        list[i] = &port;
    }
    ports.ports = list;
    ports.n_ports = count;
    status.state = state;
    status.port_status = &ports;
    call = report_status(f, session_id, &status);
    free(list);
    return call;
}

/* A task that publishes that many ports, or wants to, with no numbers yet. */
static void add_publishing_task(struct f *f, bool assigned, size_t count)
{
    struct swki_object *object = f_make_task("t1", "");
    Swkpb__Task *task = swki_task_edit(object);
    Swkpb__PortConfig **list = swarm_new(object, count * sizeof(list[0]));

    task->endpoint = swarm_new(object, sizeof(*task->endpoint));
    swkpb__endpoint__init(task->endpoint);
    task->endpoint->spec = swarm_new(object, sizeof(*task->endpoint->spec));
    swkpb__endpoint_spec__init(task->endpoint->spec);
    for (size_t i = 0; i < count; i++) {
        list[i] = swarm_new(object, sizeof(*list[i]));
        swkpb__port_config__init(list[i]);
        list[i]->target_port = (uint32_t)(80 + i);
        list[i]->publish_mode = SWKPB__PORT_CONFIG__PUBLISH_MODE__HOST;
    }
    if (assigned) {
        task->endpoint->ports = list;
        task->endpoint->n_ports = count;
    } else {
        task->endpoint->spec->ports = list;
        task->endpoint->spec->n_ports = count;
    }
    f_place_task(f, object, "n1");
}

static void no_more_ports_are_reported_than_a_task_publishes(void **state)
{
    static const struct {
        bool assigned;
        size_t published;
    } cases[] = {{true, 3}, {false, 3}, {true, 0}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t most = 2 * cases[i].published; /* by IPv4 and by IPv6 */
        struct f f;
        const char *id;

        f_set_up(&f);
        id = f_register(&f, "n1");
        add_publishing_task(&f, cases[i].assigned, cases[i].published);
        assert_int_equal(
            f_status(&f, report_ports(&f, id, RUNNING, most + 1)),
            SWKI_STATUS_RESOURCE_EXHAUSTED);
        assert_int_equal(f_status(&f, report_ports(&f, id, RUNNING, 1000)),
                         SWKI_STATUS_RESOURCE_EXHAUSTED);
        f_settle(&f);
        assert_int_equal(f_task_state(&f, "t1"), ASSIGNED);
        assert_int_equal(f_status(&f, report_ports(&f, id, RUNNING, most)),
                         SWKI_STATUS_OK);
        f_settle(&f);
        assert_int_equal(
            swki_task(swarm_get(&f.s, SWKI_KIND_TASK, "t1"))
                ->status->port_status->n_ports,
            most);
        f_fini(&f);
    }
}

static void no_unknown_field_of_a_report_is_stored(void **state)
{
    ProtobufCMessageUnknownField unknown = {
        .tag = 5000,
        .wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED,
        .len = 4,
        .data = (uint8_t *)"\x03"
                           "new",
    };
    Swkpb__TaskStatus status = SWKPB__TASK_STATUS__INIT;
    Swkpb__ContainerStatus container = SWKPB__CONTAINER_STATUS__INIT;
    const Swkpb__TaskStatus *stored;
    struct f f;
    const char *id;

    (void)state;
    container.base.unknown_fields = status.base.unknown_fields = &unknown;
    container.base.n_unknown_fields = status.base.n_unknown_fields = 1;
    container.container_id = (char *)"c1";
    status.state = RUNNING;
    status.runtime_status_case = SWKPB__TASK_STATUS__RUNTIME_STATUS_CONTAINER;
    status.container = &container;
    f_set_up(&f);
    id = f_register(&f, "n1");
    f_add_task(&f, "t1", "n1");
    assert_int_equal(f_status(&f, report_status(&f, id, &status)),
                     SWKI_STATUS_OK);
    f_settle(&f);
    stored = swki_task(swarm_get(&f.s, SWKI_KIND_TASK, "t1"))->status;
    assert_int_equal(stored->state, RUNNING);
    assert_string_equal(stored->container->container_id, "c1");
    assert_int_equal(stored->base.n_unknown_fields, 0);
    assert_int_equal(stored->container->base.n_unknown_fields, 0);
    f_fini(&f);
}

/* -- Orphans -------------------------------------------------------------- */

static void tasks_of_a_node_down_too_long_are_orphaned(void **state)
{
    struct f f;
    const char *id;

    (void)state;
    f_init(&f);
    f_add_cluster(&f);
    swarm_add_node(&f.s, "n1");
    swarm_add_node(&f.s, "n2");
    f.orphan_after = SWK_HOUR;
    f_start(&f);
    f_register(&f, "n2");
    id = f_register(&f, "n1");
    f_add_task(&f, "t1", "n1");
    f_add_task(&f, "t2", "n1");
    f_add_task(&f, "t3", "n2");
    f_report(&f, "n1", id, "t2", FAILED);
    f_advance(&f, 3 * SWK_SECOND); /* both are down */
    f_advance(&f, SWK_HOUR - SWK_SECOND);
    assert_int_equal(f_task_state(&f, "t1"), ASSIGNED);
    f_register(&f, "n2"); /* in time, then gone again */
    f_advance(&f, SWK_SECOND);
    assert_int_equal(f_task_state(&f, "t1"), ORPHANED);
    assert_int_equal(f_task_state(&f, "t2"), FAILED);
    f_advance(&f, SWK_HOUR);
    assert_int_equal(f_task_state(&f, "t3"), ASSIGNED);
    f_advance(&f, 3 * SWK_SECOND);
    assert_int_equal(f_task_state(&f, "t3"), ORPHANED);
    f_fini(&f);
}

static void changes_of_leaders_do_not_put_off_orphaning(void **state)
{
    struct f f;

    (void)state;
    f_init(&f);
    f_add_cluster(&f);
    swarm_add_node(&f.s, "n1");
    f.orphan_after = SWK_HOUR;
    f_start(&f);
    f_register(&f, "n1");
    f_add_task(&f, "t1", "n1");
    f_advance(&f, 3 * SWK_SECOND);
    assert_int_equal(f_node(&f, "n1")->status->state, DOWN);
    for (int i = 0; i < 2; i++) {
        f_advance(&f, 25 * 60 * SWK_SECOND);
        f_stop(&f);
        f_start(&f);
    }
    f_advance(&f, 10 * 60 * SWK_SECOND - SWK_SECOND);
    assert_int_equal(f_task_state(&f, "t1"), ASSIGNED);
    f_advance(&f, SWK_SECOND);
    assert_int_equal(f_task_state(&f, "t1"), ORPHANED);
    f_fini(&f);
}

/* -- A log that refuses --------------------------------------------------- */

static void what_the_log_refused_is_written_later(void **state)
{
    struct f f;
    uint64_t call;
    const char *id;

    (void)state;
    f_set_up(&f);
    id = f_register(&f, "n1");
    f_add_task(&f, "t1", "n1");
    f_settle(&f);
    f.s.leads = false;
    f_report(&f, "n1", id, "t1", RUNNING);
    call = f_session(&f, "n2", "");
    f_settle(&f);
    assert_null(f_next_session(&f, call));
    f.s.leads = true;
    f_advance(&f, 100 * SWK_MILLISECOND);
    assert_int_equal(f_task_state(&f, "t1"), RUNNING);
    assert_non_null(f_next_session(&f, call));
    f_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_states_of_a_worker_may_be_reported),
        cmocka_unit_test(a_report_becomes_the_tasks_status),
        cmocka_unit_test(the_highest_of_several_reports_is_written),
        cmocka_unit_test(reports_of_one_step_are_one_entry),
        cmocka_unit_test(
            reports_of_unknown_tasks_or_without_status_are_skipped),
        cmocka_unit_test(a_foreign_task_spoils_the_whole_call),
        cmocka_unit_test(texts_of_reports_are_cut_between_characters),
        cmocka_unit_test(huge_reports_are_refused),
        cmocka_unit_test(no_more_ports_are_reported_than_a_task_publishes),
        cmocka_unit_test(no_unknown_field_of_a_report_is_stored),
        cmocka_unit_test(tasks_of_a_node_down_too_long_are_orphaned),
        cmocka_unit_test(changes_of_leaders_do_not_put_off_orphaning),
        cmocka_unit_test(what_the_log_refused_is_written_later),
    };

    return cmocka_run_group_tests_name("reports", tests, NULL, NULL);
}

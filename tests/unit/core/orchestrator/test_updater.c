/* SPDX-License-Identifier: Apache-2.0 */

/* Rolling updates and rollbacks. */

#include "lib/swarm.h"

#define UPDATING SWKPB__UPDATE_STATUS__UPDATE_STATE__UPDATING
#define PAUSED SWKPB__UPDATE_STATUS__UPDATE_STATE__PAUSED
#define COMPLETED SWKPB__UPDATE_STATUS__UPDATE_STATE__COMPLETED
#define ROLLBACK_PAUSED SWKPB__UPDATE_STATUS__UPDATE_STATE__ROLLBACK_PAUSED
#define ROLLBACK_COMPLETED                                                     \
    SWKPB__UPDATE_STATUS__UPDATE_STATE__ROLLBACK_COMPLETED
#define START_FIRST SWKPB__UPDATE_CONFIG__UPDATE_ORDER__START_FIRST
#define STOP_FIRST SWKPB__UPDATE_CONFIG__UPDATE_ORDER__STOP_FIRST
#define ACTION_PAUSE SWKPB__UPDATE_CONFIG__FAILURE_ACTION__PAUSE
#define ACTION_CONTINUE SWKPB__UPDATE_CONFIG__FAILURE_ACTION__CONTINUE
#define ACTION_ROLLBACK SWKPB__UPDATE_CONFIG__FAILURE_ACTION__ROLLBACK

static Swkpb__UpdateConfig *make_config(struct swki_object *service,
                                        uint64_t parallelism)
{
    Swkpb__UpdateConfig *config = swarm_new(service, sizeof(*config));

    swkpb__update_config__init(config);
    config->parallelism = parallelism;
    config->monitor = swarm_duration(service, SWK_SECOND);
    return config;
}

static void set_up(struct swarm *s, struct swki_object *service)
{
    swarm_init(s, SWARM_ALL);
    swarm_add_node(s, "node1");
    swarm_add_node(s, "node2");
    swarm_create(s, SWKI_ACTOR_CONTROL, service);
    swarm_run(s);
}

static void set_image(struct swarm *s, const char *id, const char *image)
{
    struct swki_object *service = swarm_edit_service(s, id);

    swki_service_edit(service)->spec->task->container->image =
        swarm_text(service, image);
    swarm_update(s, SWKI_ACTOR_CONTROL, service);
}

static bool is_second(const Swkpb__Task *task)
{
    return swki_task_wanted(task) &&
           strcmp(task->spec->container->image, "image:2") == 0;
}

static bool is_first(const Swkpb__Task *task)
{
    return swki_task_wanted(task) &&
           strcmp(task->spec->container->image, "image:1") == 0;
}

static Swkpb__UpdateStatus__UpdateState status_of(const struct swarm *s)
{
    const Swkpb__UpdateStatus *status =
        swki_service(swarm_get(s, SWKI_KIND_SERVICE, "web"))->update_status;

    return status != NULL ? status->state
                          : SWKPB__UPDATE_STATUS__UPDATE_STATE__UNKNOWN;
}

static void parallelism_limits_the_slots_at_work(void **state)
{
    static const struct {
        uint64_t parallelism;
        size_t at_once;
    } cases[] = {{0, 6}, {1, 1}, {2, 2}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swki_object *service = swarm_make_service("web", 6);
        struct swarm s;

        swki_service_edit(service)->spec->update =
            make_config(service, cases[i].parallelism);
        set_up(&s, service);
        set_image(&s, "web", "image:2");
        swarm_settle(&s);
        assert_int_equal(swarm_count(&s, "web", is_second), cases[i].at_once);
        assert_int_equal(swarm_count(&s, "web", is_first),
                         6 - cases[i].at_once);
        assert_int_equal(status_of(&s), UPDATING);
        swarm_run_for(&s, 10 * SWK_SECOND);
        assert_int_equal(swarm_count(&s, "web", is_second), 6);
        assert_int_equal(swarm_count(&s, "web", swarm_is_running), 6);
        assert_int_equal(status_of(&s), COMPLETED);
        swarm_fini(&s);
    }
}

/* Of a slot, tasks that a worker may be running. */
static void count_alive(const struct swarm *s, size_t alive[8])
{
    const Swkpb__Task *tasks[64];
    size_t count = swarm_tasks(s, "web", swarm_is_running, tasks, 64);

    memset(alive, 0, 8 * sizeof(*alive));
    for (size_t i = 0; i < count; i++) {
        alive[tasks[i]->slot]++;
    }
}

static void order_keeps_its_promise_in_every_moment(void **state)
{
    for (int order = 0; order < 2; order++) {
        struct swki_object *service = swarm_make_service("web", 3);
        Swkpb__UpdateConfig *config = make_config(service, 1);
        struct swarm s;
        size_t alive[8];

        swki_service_edit(service)->spec->update = config;
        config->order = order ? START_FIRST : STOP_FIRST;
        set_up(&s, service);
        set_image(&s, "web", "image:2");
        for (int i = 0; i < 200; i++) {
            swarm_settle(&s);
            count_alive(&s, alive);
            for (int slot = 1; slot <= 3; slot++) {
                assert_true(order ? alive[slot] >= 1 : alive[slot] <= 1);
            }
            swarm_work(&s);
            swarm_advance(&s, 50 * SWK_MILLISECOND);
        }
        assert_int_equal(status_of(&s), COMPLETED);
        assert_int_equal(swarm_count(&s, "web", is_second), 3);
        assert_int_equal(swarm_count(&s, "web", swarm_is_running), 3);
        swarm_fini(&s);
    }
}

static void delay_passes_between_slots_and_extends_the_monitor(void **state)
{
    struct swki_object *service = swarm_make_service("web", 3);
    Swkpb__UpdateConfig *config = make_config(service, 1);
    struct swarm s;

    swki_service_edit(service)->spec->update = config;
    config->delay = swarm_duration(service, 10 * SWK_SECOND);
    set_up(&s, service);
    set_image(&s, "web", "image:2");
    swarm_run(&s);
    assert_int_equal(swarm_count(&s, "web", is_second), 1);
    swarm_run_for(&s, 10 * SWK_SECOND - 1);
    assert_int_equal(swarm_count(&s, "web", is_second), 1);
    swarm_run_for(&s, 1);
    assert_int_equal(swarm_count(&s, "web", is_second), 2);
    swarm_run_for(&s, 10 * SWK_SECOND);
    assert_int_equal(swarm_count(&s, "web", is_second), 3);
    /* A delay after the last, and eleven seconds of watching. */
    swarm_run_for(&s, 21 * SWK_SECOND - 1);
    assert_int_equal(status_of(&s), UPDATING);
    swarm_run_for(&s, 1);
    assert_int_equal(status_of(&s), COMPLETED);
    swarm_fini(&s);
}

/* Workers that fail what runs the second image. */
static void fail_second(struct swarm *s, swk_time span)
{
    const Swkpb__Task *tasks[64];
    char ids[64][SWK_ID_LEN + 1];

    for (swk_time i = 0; i < span / (100 * SWK_MILLISECOND); i++) {
        size_t count = swarm_tasks(s, "web", is_second, tasks, 64);

        for (size_t j = 0; j < count; j++) {
            strcpy(ids[j], tasks[j]->id);
        }
        for (size_t j = 0; j < count; j++) {
            const struct swki_object *task =
                swarm_get(s, SWKI_KIND_TASK, ids[j]);

            if (swki_task_state(swki_task(task)) == RUNNING) {
                swarm_report(s, ids[j], FAILED);
            }
        }
        swarm_run_for(s, 100 * SWK_MILLISECOND);
    }
}

static void failure_leads_to_the_action_that_was_asked_for(void **state)
{
    static const struct {
        Swkpb__UpdateConfig__FailureAction action;
        Swkpb__UpdateStatus__UpdateState end;
        const char *message;
    } cases[] = {
        {ACTION_PAUSE, PAUSED,
         "update paused due to failure or early termination of task "},
        {ACTION_CONTINUE, COMPLETED, "update completed"},
        {ACTION_ROLLBACK, ROLLBACK_COMPLETED, "rollback completed"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swki_object *service = swarm_make_service("web", 4);
        Swkpb__UpdateConfig *config = make_config(service, 1);
        const Swkpb__Service *stored;
        struct swarm s;

        swki_service_edit(service)->spec->update = config;
        config->failure_action = cases[i].action;
        config->delay = swarm_duration(service, 300 * SWK_MILLISECOND);
        set_up(&s, service);
        set_image(&s, "web", "image:2");
        fail_second(&s, 20 * SWK_SECOND);
        assert_int_equal(status_of(&s), cases[i].end);
        stored = swki_service(swarm_get(&s, SWKI_KIND_SERVICE, "web"));
        assert_memory_equal(stored->update_status->message, cases[i].message,
                            strlen(cases[i].message));
        if (cases[i].action == ACTION_ROLLBACK) {
            assert_int_equal(swarm_count(&s, "web", is_second), 0);
            assert_null(stored->previous_spec);
            assert_string_equal(stored->spec->task->container->image,
                                "image:1");
        }
        if (cases[i].action == ACTION_PAUSE) {
            assert_int_equal(swarm_count(&s, "web", is_first), 3);
        }
        swarm_fini(&s);
    }
}

static void paused_update_waits_for_the_next_one(void **state)
{
    struct swki_object *service = swarm_make_service("web", 3);
    char id[SWK_ID_LEN + 1];
    struct swarm s;

    swki_service_edit(service)->spec->update = make_config(service, 1);
    swki_service_edit(service)->spec->update->delay =
        swarm_duration(service, 300 * SWK_MILLISECOND);
    set_up(&s, service);
    set_image(&s, "web", "image:2");
    fail_second(&s, SWK_SECOND);
    assert_int_equal(status_of(&s), PAUSED);
    /* A restart meanwhile keeps its version. */
    strcpy(id, swarm_slot_task(&s, "web", 3)->id);
    swarm_report(&s, id, FAILED);
    swarm_run_for(&s, 30 * SWK_SECOND);
    assert_int_equal(swarm_count(&s, "web", is_first), 2);
    set_image(&s, "web", "image:3");
    swarm_run_for(&s, 30 * SWK_SECOND);
    assert_int_equal(status_of(&s), COMPLETED);
    assert_int_equal(swarm_count(&s, "web", is_first), 0);
    assert_int_equal(swarm_count(&s, "web", is_second), 0);
    swarm_fini(&s);
}

static void ratio_decides_how_many_failures_are_too_many(void **state)
{
    struct swki_object *service = swarm_make_service("web", 4);
    Swkpb__UpdateConfig *config = make_config(service, 1);
    struct swarm s;

    swki_service_edit(service)->spec->update = config;
    config->failure_action = ACTION_PAUSE;
    config->max_failure_ratio = 0.4F;
    config->delay = swarm_duration(service, SWK_SECOND);
    set_up(&s, service);
    set_image(&s, "web", "image:2");
    swarm_run(&s);
    swarm_report(&s, swarm_slot_task(&s, "web", 1)->id, FAILED);
    swarm_run_for(&s, SWK_SECOND);
    assert_int_equal(status_of(&s), UPDATING);
    swarm_run_for(&s, SWK_SECOND);
    assert_int_equal(swarm_count(&s, "web", is_second), 3);
    swarm_report(&s, swarm_slot_task(&s, "web", 3)->id, FAILED);
    swarm_run_for(&s, 5 * SWK_SECOND);
    assert_int_equal(status_of(&s), PAUSED);
    assert_int_equal(swarm_count(&s, "web", is_first), 1);
    swarm_fini(&s);
}

static void credentials_alone_replace_nothing_that_runs(void **state)
{
    struct swki_object *service = swarm_make_service("web", 2);
    char id[SWK_ID_LEN + 1];
    struct swarm s;

    set_up(&s, service);
    strcpy(id, swarm_slot_task(&s, "web", 1)->id);
    service = swarm_edit_service(&s, "web");
    swki_service_edit(service)->spec->task->container->pull_options =
        swarm_new(service, sizeof(Swkpb__ContainerSpec__PullOptions));
    swkpb__container_spec__pull_options__init(
        swki_service_edit(service)->spec->task->container->pull_options);
    swki_service_edit(service)
        ->spec->task->container->pull_options->registry_auth =
        swarm_text(service, "token");
    swarm_update(&s, SWKI_ACTOR_CONTROL, service);
    swarm_run_for(&s, 20 * SWK_SECOND);
    assert_string_equal(swarm_slot_task(&s, "web", 1)->id, id);
    assert_int_equal(swarm_count(&s, "web", NULL), 2);
    swarm_fini(&s);
}

static void constraint_alone_replaces_tasks_on_other_nodes(void **state)
{
    struct swki_object *service = swarm_make_service("web", 4);
    Swkpb__Placement *placement;
    struct swarm s;

    set_up(&s, service);
    service = swarm_edit_service(&s, "web");
    placement = swki_service_edit(service)->spec->task->placement;
    placement->n_constraints = 1;
    placement->constraints =
        swki_arena_calloc(swki_object_arena(service), 1, sizeof(char *));
    placement->constraints[0] = swarm_text(service, "node.id==node1");
    swarm_update(&s, SWKI_ACTOR_CONTROL, service);
    swarm_run_for(&s, 60 * SWK_SECOND);
    assert_int_equal(swarm_count(&s, "web", NULL), 6);
    for (uint64_t slot = 1; slot <= 4; slot++) {
        assert_string_equal(swarm_slot_task(&s, "web", slot)->node_id, "node1");
    }
    swarm_fini(&s);
}

static void new_leader_continues_an_update(void **state)
{
    struct swki_object *service = swarm_make_service("web", 4);
    struct swarm s;

    swki_service_edit(service)->spec->update = make_config(service, 1);
    set_up(&s, service);
    set_image(&s, "web", "image:2");
    swarm_settle(&s);
    swarm_fail_over(&s, 7);
    swarm_run_for(&s, 60 * SWK_SECOND);
    assert_int_equal(status_of(&s), COMPLETED);
    assert_int_equal(swarm_count(&s, "web", is_second), 4);
    assert_int_equal(swarm_count(&s, "web", swarm_is_running), 4);
    swarm_fini(&s);
}

static void newer_update_takes_the_place_of_one_under_way(void **state)
{
    struct swki_object *service = swarm_make_service("web", 4);
    struct swarm s;

    swki_service_edit(service)->spec->update = make_config(service, 1);
    set_up(&s, service);
    set_image(&s, "web", "image:2");
    swarm_settle(&s);
    set_image(&s, "web", "image:3");
    swarm_run_for(&s, 60 * SWK_SECOND);
    assert_int_equal(status_of(&s), COMPLETED);
    assert_int_equal(swarm_count(&s, "web", is_first), 0);
    assert_int_equal(swarm_count(&s, "web", is_second), 0);
    assert_int_equal(swarm_count(&s, "web", swarm_is_running), 4);
    swarm_fini(&s);
}

/* Another signature of the service, or the first one. */
static void sign(struct swarm *s, const char *id, char *text)
{
    struct swki_object *service = swarm_edit_service(s, id);
    Swkpb__ServiceSpec *spec = swki_service_edit(service)->spec;
    Swkpb__Rpc__SpecSignature *signature =
        swarm_new(service, sizeof(*signature));

    swkpb__rpc__spec_signature__init(signature);
    signature->signature =
        (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
    spec->signatures = swarm_new(service, sizeof(spec->signatures[0]));
    spec->signatures[0] = signature;
    spec->n_signatures = 1;
    swarm_update(s, SWKI_ACTOR_CONTROL, service);
}

static bool has_new_signature(const Swkpb__Task *task)
{
    return swki_task_wanted(task) && task->n_signatures == 1 &&
           memcmp(task->signatures[0]->signature.data, "new", 3) == 0;
}

static void a_signature_is_for_tasks_that_have_no_node_yet(void **state)
{
    struct swki_object *service = swarm_make_service("web", 2);
    Swkpb__Placement *placement =
        swki_service_edit(service)->spec->task->placement;
    char old[] = "old";
    char new[] = "new";
    struct swarm s;

    placement->max_replicas = 1;
    set_up(&s, service);
    assert_int_equal(swarm_count(&s, "web", swarm_is_running), 2);
    sign(&s, "web", old);
    swarm_run_for(&s, SWK_MINUTE);
    assert_int_equal(swarm_count(&s, "web", NULL), 2); /* they go on */
    swarm_scale(&s, "web", 3);
    swarm_run_for(&s, SWK_MINUTE);
    assert_int_equal(swarm_count(&s, "web", swarm_is_running), 2);
    sign(&s, "web", new);
    swarm_run_for(&s, SWK_MINUTE);
    assert_int_equal(swarm_count(&s, "web", has_new_signature), 1);
    assert_int_equal(swarm_count(&s, "web", swarm_is_running), 2);
    assert_int_equal(swarm_count(&s, "web", swarm_wanted), 3);
    swarm_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parallelism_limits_the_slots_at_work),
        cmocka_unit_test(order_keeps_its_promise_in_every_moment),
        cmocka_unit_test(delay_passes_between_slots_and_extends_the_monitor),
        cmocka_unit_test(failure_leads_to_the_action_that_was_asked_for),
        cmocka_unit_test(paused_update_waits_for_the_next_one),
        cmocka_unit_test(ratio_decides_how_many_failures_are_too_many),
        cmocka_unit_test(credentials_alone_replace_nothing_that_runs),
        cmocka_unit_test(constraint_alone_replaces_tasks_on_other_nodes),
        cmocka_unit_test(new_leader_continues_an_update),
        cmocka_unit_test(newer_update_takes_the_place_of_one_under_way),
        cmocka_unit_test(a_signature_is_for_tasks_that_have_no_node_yet),
    };

    return cmocka_run_group_tests_name("updater", tests, NULL, NULL);
}

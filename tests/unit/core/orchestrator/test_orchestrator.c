/* SPDX-License-Identifier: Apache-2.0 */

/* Replicated services, restarts, the reaper and the enforcer. */

#include "lib/swarm.h"

#define DRAIN SWKPB__NODE_SPEC__AVAILABILITY__DRAIN
#define PAUSE SWKPB__NODE_SPEC__AVAILABILITY__PAUSE
#define ACTIVE SWKPB__NODE_SPEC__AVAILABILITY__ACTIVE
#define DOWN SWKPB__NODE_STATUS__STATE__DOWN
#define UNKNOWN SWKPB__NODE_STATUS__STATE__UNKNOWN

static struct swarm *set_up(struct swarm *s)
{
    swarm_init(s, SWARM_ALL);
    swarm_add_node(s, "node1");
    swarm_add_node(s, "node2");
    swarm_add_node(s, "node3");
    return s;
}

/* -- Replicas ------------------------------------------------------------- */

static void service_gets_tasks_in_slots_from_one(void **state)
{
    struct swarm s;

    set_up(&s);
    swarm_add_service(&s, "web", 3);
    swarm_add_service(&s, "db", 2);
    swarm_run(&s);
    assert_int_equal(swarm_count(&s, "web", swarm_is_running), 3);
    assert_int_equal(swarm_count(&s, "db", swarm_is_running), 2);
    for (uint64_t slot = 1; slot <= 3; slot++) {
        assert_non_null(swarm_slot_task(&s, "web", slot));
    }
    assert_string_equal(swarm_slot_task(&s, "web", 1)->status->applied_by,
                        "leader");
    assert_ptr_equal(swarm_slot_task(&s, "web", 1)->spec->container,
                     swki_service(swarm_get(&s, SWKI_KIND_SERVICE, "web"))
                         ->spec->task->container);
    swarm_fini(&s);
}

static void scale_up_fills_the_lowest_free_slots(void **state)
{
    struct swarm s;
    char id[SWK_ID_LEN + 1];

    set_up(&s);
    swarm_add_service(&s, "web", 3);
    swarm_run(&s);
    strcpy(id, swarm_slot_task(&s, "web", 2)->id);
    swarm_report(&s, id, FAILED);
    swarm_scale(&s, "web", 5);
    swarm_run_for(&s, 6 * SWK_SECOND);
    assert_int_equal(swarm_count(&s, "web", swarm_is_running), 5);
    for (uint64_t slot = 1; slot <= 5; slot++) {
        assert_non_null(swarm_slot_task(&s, "web", slot));
    }
    assert_string_not_equal(swarm_slot_task(&s, "web", 2)->id, id);
    swarm_fini(&s);
}

static void scale_down_takes_unassigned_then_copies(void **state)
{
    struct swarm s;
    const Swkpb__Task *tasks[8];
    size_t on_node[4] = {0};
    size_t count;

    /* Seven slots on three nodes: one node has three of them. */
    set_up(&s);
    swarm_add_service(&s, "web", 7);
    swarm_run(&s);
    swarm_set_availability(&s, "node1", PAUSE);
    swarm_set_availability(&s, "node2", PAUSE);
    swarm_set_availability(&s, "node3", PAUSE);
    swarm_scale(&s, "web", 8);
    swarm_run(&s);
    assert_int_equal(swki_task_state(swarm_slot_task(&s, "web", 8)), PENDING);
    swarm_scale(&s, "web", 7);
    swarm_run_for(&s, SWK_SECOND);
    assert_null(swarm_slot_task(&s, "web", 8));
    assert_int_equal(swarm_count(&s, "web", NULL), 7);
    swarm_scale(&s, "web", 3);
    swarm_run_for(&s, SWK_SECOND);
    count = swarm_tasks(&s, "web", swarm_is_running, tasks, 8);
    assert_int_equal(count, 3);
    for (size_t i = 0; i < count; i++) {
        on_node[tasks[i]->node_id[4] - '0']++;
    }
    assert_true(on_node[1] == 1 && on_node[2] == 1 && on_node[3] == 1);
    swarm_fini(&s);
}

static void scale_down_prefers_not_running_then_high_slots(void **state)
{
    struct swarm s;
    char id[SWK_ID_LEN + 1];

    swarm_init(&s, SWARM_ALL);
    for (int i = 0; i < 10; i++) {
        char name[16];

        snprintf(name, sizeof(name), "node%d", i);
        swarm_add_node(&s, name);
    }
    swarm_add_service(&s, "web", 10);
    swarm_settle(&s);
    for (uint64_t slot = 1; slot <= 10; slot++) {
        strcpy(id, swarm_slot_task(&s, "web", slot)->id);
        swarm_report(&s, id, slot == 4 ? STARTING : RUNNING);
    }
    swarm_scale(&s, "web", 8);
    swarm_settle(&s);
    for (uint64_t slot = 1; slot <= 10; slot++) {
        bool kept = swarm_slot_task(&s, "web", slot) != NULL;

        assert_true(kept == (slot != 4 && slot != 10));
    }
    swarm_fini(&s);
}

static void deleted_service_loses_its_tasks_in_order(void **state)
{
    struct swarm s;

    set_up(&s);
    swarm_add_service(&s, "web", 3);
    swarm_run(&s);
    swarm_delete(&s, SWKI_ACTOR_CONTROL, SWKI_KIND_SERVICE, "web");
    swarm_advance(&s, SWK_SECOND);
    /* Told to stop, but not forgotten before they did. */
    assert_int_equal(swarm_count(&s, "web", NULL), 3);
    assert_int_equal(swarm_count(&s, "web", swarm_wanted), 0);
    swarm_run_for(&s, SWK_SECOND);
    assert_int_equal(swarm_count(&s, "web", NULL), 0);
    swarm_fini(&s);
}

static void invalid_node_loses_its_tasks_at_once(void **state)
{
    struct swarm s;

    for (int how = 0; how < 3; how++) {
        char id[SWK_ID_LEN + 1];
        char node[16];

        set_up(&s);
        swarm_add_service(&s, "web", 1);
        swarm_run(&s);
        strcpy(id, swarm_slot_task(&s, "web", 1)->id);
        strcpy(node, swarm_slot_task(&s, "web", 1)->node_id);
        if (how == 0) {
            swarm_set_availability(&s, node, DRAIN);
        } else if (how == 1) {
            swarm_set_node_state(&s, node, DOWN);
        } else {
            swarm_delete(&s, SWKI_ACTOR_CONTROL, SWKI_KIND_NODE, node);
        }
        swarm_run(&s);
        assert_string_not_equal(swarm_slot_task(&s, "web", 1)->id, id);
        assert_string_not_equal(swarm_slot_task(&s, "web", 1)->node_id, node);
        assert_int_equal(swki_task_state(swarm_slot_task(&s, "web", 1)),
                         RUNNING);
        swarm_fini(&s);
    }
}

static void paused_or_unknown_node_keeps_its_tasks(void **state)
{
    struct swarm s;
    char id[SWK_ID_LEN + 1];
    char node[16];

    set_up(&s);
    swarm_add_service(&s, "web", 1);
    swarm_run(&s);
    strcpy(id, swarm_slot_task(&s, "web", 1)->id);
    strcpy(node, swarm_slot_task(&s, "web", 1)->node_id);
    swarm_set_availability(&s, node, PAUSE);
    swarm_set_node_state(&s, node, UNKNOWN);
    swarm_run_for(&s, 10 * SWK_SECOND);
    assert_string_equal(swarm_slot_task(&s, "web", 1)->id, id);
    swarm_fini(&s);
}

/* -- Restarts ------------------------------------------------------------- */

static void policy_decides_on_a_successor(void **state)
{
    static const struct {
        Swkpb__RestartPolicy__RestartCondition condition;
        Swkpb__TaskState end;
        bool restarts;
    } cases[] = {
        {SWKPB__RESTART_POLICY__RESTART_CONDITION__ANY, FAILED, true},
        {SWKPB__RESTART_POLICY__RESTART_CONDITION__ANY, COMPLETE, true},
        {SWKPB__RESTART_POLICY__RESTART_CONDITION__ON_FAILURE, FAILED, true},
        {SWKPB__RESTART_POLICY__RESTART_CONDITION__ON_FAILURE, REJECTED, true},
        {SWKPB__RESTART_POLICY__RESTART_CONDITION__ON_FAILURE, COMPLETE, false},
        {SWKPB__RESTART_POLICY__RESTART_CONDITION__NONE, FAILED, false},
        {SWKPB__RESTART_POLICY__RESTART_CONDITION__NONE, COMPLETE, false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swki_object *service = swarm_make_service("web", 1);
        struct swarm s;

        set_up(&s);
        swki_service_edit(service)->spec->task->restart->condition =
            cases[i].condition;
        swarm_create(&s, SWKI_ACTOR_CONTROL, service);
        swarm_settle(&s);
        if (cases[i].end != REJECTED) {
            swarm_run(&s);
        }
        swarm_report(&s, swarm_slot_task(&s, "web", 1)->id, cases[i].end);
        swarm_run_for(&s, 10 * SWK_SECOND);
        assert_int_equal(swarm_count(&s, "web", swarm_is_running),
                         cases[i].restarts ? 1 : 0);
        assert_int_equal(swarm_count(&s, "web", NULL),
                         cases[i].restarts ? 2 : 1);
        swarm_fini(&s);
    }
}

static void successor_waits_for_the_delay(void **state)
{
    struct swarm s;

    set_up(&s);
    swarm_add_service(&s, "web", 1);
    swarm_run(&s);
    swarm_report(&s, swarm_slot_task(&s, "web", 1)->id, FAILED);
    swarm_run_for(&s, 5 * SWK_SECOND - 1);
    assert_int_equal(swarm_slot_task(&s, "web", 1)->desired_state, READY);
    assert_int_equal(swki_task_state(swarm_slot_task(&s, "web", 1)), READY);
    swarm_run_for(&s, 1);
    assert_int_equal(swarm_slot_task(&s, "web", 1)->desired_state, RUNNING);
    swarm_fini(&s);
}

static void delay_survives_a_change_of_leaders(void **state)
{
    struct swarm s;

    set_up(&s);
    swarm_add_service(&s, "web", 1);
    swarm_run(&s);
    swarm_report(&s, swarm_slot_task(&s, "web", 1)->id, FAILED);
    swarm_run_for(&s, 3 * SWK_SECOND);
    swarm_fail_over(&s, 2);
    swarm_run_for(&s, 2 * SWK_SECOND - 1);
    assert_int_equal(swarm_slot_task(&s, "web", 1)->desired_state, READY);
    swarm_run_for(&s, 1);
    assert_int_equal(swarm_slot_task(&s, "web", 1)->desired_state, RUNNING);
    swarm_fini(&s);
}

static void failure_during_the_delay_restarts_once_after_it(void **state)
{
    struct swarm s;

    set_up(&s);
    swarm_add_service(&s, "web", 1);
    swarm_run(&s);
    swarm_report(&s, swarm_slot_task(&s, "web", 1)->id, FAILED);
    swarm_settle(&s);
    swarm_report(&s, swarm_slot_task(&s, "web", 1)->id, REJECTED);
    swarm_run_for(&s, 4 * SWK_SECOND);
    assert_int_equal(swarm_count(&s, "web", NULL), 2);
    swarm_run_for(&s, SWK_SECOND);
    assert_int_equal(swarm_count(&s, "web", NULL), 3);
    swarm_run_for(&s, 5 * SWK_SECOND);
    assert_int_equal(swarm_count(&s, "web", swarm_is_running), 1);
    assert_int_equal(swarm_count(&s, "web", NULL), 3);
    swarm_fini(&s);
}

static void what_a_node_refuses_pauses_whatever_the_policy_says(void **state)
{
    struct swki_object *service = swarm_make_service("web", 1);
    struct swarm s;

    set_up(&s);
    swki_service_edit(service)->spec->task->restart->delay =
        swarm_duration(service, 0);
    swarm_create(&s, SWKI_ACTOR_CONTROL, service);
    swarm_settle(&s);
    swarm_report(&s, swarm_slot_task(&s, "web", 1)->id, REJECTED);
    swarm_run_for(&s, SWK_SECOND - 1);
    assert_int_equal(swarm_slot_task(&s, "web", 1)->desired_state, READY);
    swarm_run_for(&s, 1);
    assert_int_equal(swarm_slot_task(&s, "web", 1)->desired_state, RUNNING);
    swarm_report(&s, swarm_slot_task(&s, "web", 1)->id, FAILED);
    swarm_run(&s);
    assert_int_equal(swarm_slot_task(&s, "web", 1)->desired_state, RUNNING);
    swarm_fini(&s);
}

static struct swki_object *make_limited(uint64_t attempts, swk_time window)
{
    struct swki_object *service = swarm_make_service("web", 2);
    Swkpb__RestartPolicy *policy =
        swki_service_edit(service)->spec->task->restart;

    policy->max_attempts = attempts;
    policy->delay = swarm_duration(service, 0);
    if (window > 0) {
        policy->window = swarm_duration(service, window);
    }
    return service;
}

static void attempts_are_counted_by_slot_and_version(void **state)
{
    struct swki_object *service;
    struct swarm s;

    for (int fail_over = 0; fail_over < 2; fail_over++) {
        set_up(&s);
        swarm_create(&s, SWKI_ACTOR_CONTROL, make_limited(1, 0));
        swarm_run(&s);
        for (uint64_t slot = 1; slot <= 2; slot++) {
            swarm_report(&s, swarm_slot_task(&s, "web", slot)->id, FAILED);
            swarm_run_for(&s, SWK_SECOND);
            assert_non_null(swarm_slot_task(&s, "web", slot));
            if (fail_over) {
                swarm_fail_over(&s, slot + 2);
            }
            swarm_report(&s, swarm_slot_task(&s, "web", slot)->id, FAILED);
            swarm_run_for(&s, SWK_SECOND);
            assert_null(swarm_slot_task(&s, "web", slot));
        }
        service = swarm_edit_service(&s, "web");
        swki_service_edit(service)->spec->task->force_update = 1;
        swarm_update(&s, SWKI_ACTOR_CONTROL, service);
        swarm_run_for(&s, SWK_MINUTE);
        assert_int_equal(swarm_count(&s, "web", swarm_is_running), 2);
        swarm_report(&s, swarm_slot_task(&s, "web", 1)->id, FAILED);
        swarm_run_for(&s, SWK_SECOND);
        assert_non_null(swarm_slot_task(&s, "web", 1));
        swarm_fini(&s);
    }
}

static void attempts_outside_the_window_do_not_count(void **state)
{
    struct swarm s;

    set_up(&s);
    swarm_create(&s, SWKI_ACTOR_CONTROL, make_limited(1, 10 * SWK_SECOND));
    swarm_run(&s);
    for (int i = 0; i < 3; i++) {
        swarm_run_for(&s, 20 * SWK_SECOND);
        swarm_report(&s, swarm_slot_task(&s, "web", 1)->id, FAILED);
        swarm_run_for(&s, SWK_SECOND);
        assert_non_null(swarm_slot_task(&s, "web", 1));
    }
    swarm_report(&s, swarm_slot_task(&s, "web", 1)->id, FAILED);
    swarm_run_for(&s, SWK_SECOND);
    assert_null(swarm_slot_task(&s, "web", 1));
    swarm_fini(&s);
}

static void successor_waits_for_a_task_that_does_not_stop(void **state)
{
    struct swarm s;
    char node[16];

    for (int down = 0; down < 2; down++) {
        set_up(&s);
        swarm_add_service(&s, "web", 1);
        swarm_run(&s);
        strcpy(node, swarm_slot_task(&s, "web", 1)->node_id);
        swarm_set_availability(&s, node, DRAIN);
        swarm_advance(&s, 30 * SWK_SECOND);
        assert_int_equal(swarm_slot_task(&s, "web", 1)->desired_state, READY);
        if (down) {
            swarm_set_node_state(&s, node, DOWN);
            swarm_settle(&s);
        } else {
            swarm_advance(&s, 30 * SWK_SECOND);
        }
        assert_int_equal(swarm_slot_task(&s, "web", 1)->desired_state, RUNNING);
        swarm_fini(&s);
    }
}

static void finished_tasks_stay_finished_until_the_spec_changes(void **state)
{
    struct swki_object *service = swarm_make_service("web", 2);
    struct swarm s;

    set_up(&s);
    swki_service_edit(service)->spec->task->restart->condition =
        SWKPB__RESTART_POLICY__RESTART_CONDITION__ON_FAILURE;
    swarm_create(&s, SWKI_ACTOR_CONTROL, service);
    swarm_run(&s);
    swarm_report(&s, swarm_slot_task(&s, "web", 1)->id, COMPLETE);
    swarm_report(&s, swarm_slot_task(&s, "web", 2)->id, COMPLETE);
    swarm_run_for(&s, 10 * SWK_SECOND);
    swarm_update(&s, SWKI_ACTOR_CONTROL, swarm_edit_service(&s, "web"));
    swarm_run_for(&s, 20 * SWK_SECOND);
    assert_int_equal(swarm_count(&s, "web", NULL), 2);
    service = swarm_edit_service(&s, "web");
    swki_service_edit(service)->spec->task->force_update = 1;
    swarm_update(&s, SWKI_ACTOR_CONTROL, service);
    swarm_run_for(&s, 20 * SWK_SECOND);
    assert_int_equal(swarm_count(&s, "web", swarm_is_running), 2);
    swarm_fini(&s);
}

/* -- The reaper ----------------------------------------------------------- */

static void history_is_kept_to_its_limit(void **state)
{
    static const struct {
        int64_t limit;
        size_t left;
    } cases[] = {{0, 1}, {1, 1}, {3, 3}, {5, 5}, {-1, 9}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swki_object *object = swki_object_new(NULL, SWKI_KIND_CLUSTER);
        Swkpb__Cluster *cluster = swki_cluster_edit(object);
        struct swarm s;

        set_up(&s);
        cluster->id = swarm_text(object, "cluster");
        cluster->spec = swarm_new(object, sizeof(*cluster->spec));
        swkpb__cluster_spec__init(cluster->spec);
        cluster->spec->orchestration =
            swarm_new(object, sizeof(*cluster->spec->orchestration));
        swkpb__orchestration_config__init(cluster->spec->orchestration);
        cluster->spec->orchestration->task_history_retention_limit =
            cases[i].limit;
        swarm_create(&s, SWKI_ACTOR_BOOTSTRAP, object);
        swarm_add_service(&s, "web", 1);
        swarm_run(&s);
        for (int restart = 0; restart < 8; restart++) {
            swarm_report(&s, swarm_slot_task(&s, "web", 1)->id, FAILED);
            swarm_run_for(&s, 6 * SWK_SECOND);
        }
        assert_int_equal(swarm_count(&s, "web", NULL), cases[i].left);
        assert_int_equal(swarm_count(&s, "web", swarm_is_running), 1);
        swarm_fini(&s);
    }
}

/* -- The enforcer --------------------------------------------------------- */

static struct swki_object *make_labelled(const char *id)
{
    struct swki_object *node = swarm_make_node(id);

    swarm_label(node, "disk", "ssd");
    return node;
}

static void lost_label_moves_the_task(void **state)
{
    struct swki_object *service = swarm_make_service("web", 1);
    Swkpb__Placement *placement =
        swki_service_edit(service)->spec->task->placement;
    struct swki_object *node;
    struct swarm s;
    char old[16];

    swarm_init(&s, SWARM_ALL);
    swarm_create(&s, SWKI_ACTOR_CA, make_labelled("node1"));
    swarm_create(&s, SWKI_ACTOR_CA, make_labelled("node2"));
    placement->n_constraints = 1;
    placement->constraints =
        swki_arena_calloc(swki_object_arena(service), 1, sizeof(char *));
    placement->constraints[0] = swarm_text(service, "node.labels.disk==ssd");
    swarm_create(&s, SWKI_ACTOR_CONTROL, service);
    swarm_run(&s);
    strcpy(old, swarm_slot_task(&s, "web", 1)->node_id);
    node = swarm_edit(&s, SWKI_KIND_NODE, old);
    swki_object_own(node, &swki_node_edit(node)->spec);
    swki_node_edit(node)->spec->annotations->n_labels = 0;
    swarm_update(&s, SWKI_ACTOR_CONTROL, node);
    swarm_run_for(&s, 10 * SWK_SECOND);
    assert_string_not_equal(swarm_slot_task(&s, "web", 1)->node_id, old);
    assert_int_equal(swarm_count(&s, "web", swarm_is_running), 1);
    swarm_fini(&s);
}

static void shrunken_node_keeps_the_oldest_that_fit(void **state)
{
    struct swki_object *service = swarm_make_service("web", 4);
    Swkpb__TaskSpec *spec = swki_service_edit(service)->spec->task;
    struct swki_object *node;
    struct swarm s;

    swarm_init(&s, SWARM_ALL);
    swarm_add_node(&s, "node1");
    spec->resources = swarm_new(service, sizeof(*spec->resources));
    swkpb__resource_requirements__init(spec->resources);
    spec->resources->reservations =
        swarm_new(service, sizeof(*spec->resources->reservations));
    swkpb__resources__init(spec->resources->reservations);
    spec->resources->reservations->nano_cpus = 1000000000;
    swarm_create(&s, SWKI_ACTOR_CONTROL, service);
    swarm_run(&s);
    assert_int_equal(swarm_count(&s, "web", swarm_is_running), 4);
    node = swarm_edit(&s, SWKI_KIND_NODE, "node1");
    swki_object_own(node, &swki_node_edit(node)->description);
    swki_node_edit(node)->description->resources->nano_cpus = 2500000000;
    swarm_update(&s, SWKI_ACTOR_DISPATCHER, node);
    swarm_run_for(&s, 10 * SWK_SECOND);
    assert_int_equal(swarm_count(&s, "web", swarm_is_running), 2);
    assert_int_equal(swarm_count(&s, "web", swarm_wanted), 4);
    swarm_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(service_gets_tasks_in_slots_from_one),
        cmocka_unit_test(scale_up_fills_the_lowest_free_slots),
        cmocka_unit_test(scale_down_takes_unassigned_then_copies),
        cmocka_unit_test(scale_down_prefers_not_running_then_high_slots),
        cmocka_unit_test(deleted_service_loses_its_tasks_in_order),
        cmocka_unit_test(invalid_node_loses_its_tasks_at_once),
        cmocka_unit_test(paused_or_unknown_node_keeps_its_tasks),
        cmocka_unit_test(policy_decides_on_a_successor),
        cmocka_unit_test(successor_waits_for_the_delay),
        cmocka_unit_test(delay_survives_a_change_of_leaders),
        cmocka_unit_test(failure_during_the_delay_restarts_once_after_it),
        cmocka_unit_test(
            what_a_node_refuses_pauses_whatever_the_policy_says),
        cmocka_unit_test(attempts_are_counted_by_slot_and_version),
        cmocka_unit_test(attempts_outside_the_window_do_not_count),
        cmocka_unit_test(successor_waits_for_a_task_that_does_not_stop),
        cmocka_unit_test(finished_tasks_stay_finished_until_the_spec_changes),
        cmocka_unit_test(history_is_kept_to_its_limit),
        cmocka_unit_test(lost_label_moves_the_task),
        cmocka_unit_test(shrunken_node_keeps_the_oldest_that_fit),
    };

    return cmocka_run_group_tests_name("orchestrator", tests, NULL, NULL);
}

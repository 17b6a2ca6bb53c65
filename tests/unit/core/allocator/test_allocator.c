/* SPDX-License-Identifier: Apache-2.0 */

/* Ports of services, and the passage of tasks to the scheduler. */

#include "lib/swarm.h"

static struct swki_object *make_publishing(const char *id, uint32_t published,
                                           uint32_t target)
{
    struct swki_object *object = swarm_make_service(id, 1);
    Swkpb__EndpointSpec *spec = swarm_new(object, sizeof(*spec));
    Swkpb__PortConfig *port = swarm_new(object, sizeof(*port));

    swkpb__endpoint_spec__init(spec);
    swkpb__port_config__init(port);
    port->published_port = published;
    port->target_port = target;
    spec->ports = swarm_new(object, sizeof(port));
    spec->ports[0] = port;
    spec->n_ports = 1;
    swki_service_edit(object)->spec->endpoint = spec;
    return object;
}

static uint32_t port_of(const struct swarm *s, const char *id)
{
    const Swkpb__Endpoint *endpoint =
        swki_service(swarm_get(s, SWKI_KIND_SERVICE, id))->endpoint;

    return endpoint != NULL && endpoint->n_ports > 0
               ? endpoint->ports[0]->published_port
               : 0;
}

static const unsigned parts = SWARM_ALLOCATOR | SWARM_ORCHESTRATOR;

static void task_becomes_pending(void **state)
{
    const Swkpb__Task *task;
    struct swarm s;

    swarm_init(&s, parts);
    swarm_add_service(&s, "web", 1);
    swarm_settle(&s);
    task = swarm_slot_task(&s, "web", 1);
    assert_int_equal(swki_task_state(task), PENDING);
    assert_string_equal(task->status->message, "pending task scheduling");
    assert_string_equal(task->status->applied_by, "leader");
    swarm_fini(&s);
}

static void automatic_ports_are_distinct_and_stay(void **state)
{
    struct swki_object *service;
    struct swarm s;

    swarm_init(&s, parts);
    swarm_create(&s, SWKI_ACTOR_CONTROL, make_publishing("a", 0, 80));
    swarm_create(&s, SWKI_ACTOR_CONTROL, make_publishing("b", 30001, 80));
    swarm_create(&s, SWKI_ACTOR_CONTROL, make_publishing("c", 0, 80));
    swarm_settle(&s);
    assert_int_equal(port_of(&s, "a"), 30000);
    assert_int_equal(port_of(&s, "b"), 30001);
    assert_int_equal(port_of(&s, "c"), 30002);
    assert_int_equal(
        swarm_slot_task(&s, "a", 1)->endpoint->ports[0]->published_port, 30000);
    swarm_fail_over(&s, 2);
    swarm_settle(&s);
    service = swarm_edit_service(&s, "a");
    swki_service_edit(service)->spec->endpoint->mode =
        SWKPB__ENDPOINT_SPEC__RESOLUTION_MODE__DNSRR;
    swarm_update(&s, SWKI_ACTOR_CONTROL, service);
    swarm_settle(&s);
    assert_int_equal(port_of(&s, "a"), 30000);
    swarm_fini(&s);
}

static void taken_port_is_explained_until_it_is_free(void **state)
{
    struct swarm s;

    swarm_init(&s, parts);
    swarm_create(&s, SWKI_ACTOR_CONTROL, make_publishing("a", 8080, 80));
    swarm_settle(&s);
    swarm_create(&s, SWKI_ACTOR_CONTROL, make_publishing("b", 8080, 80));
    swarm_settle(&s);
    assert_int_equal(swki_task_state(swarm_slot_task(&s, "b", 1)), NEW);
    assert_string_equal(swarm_slot_task(&s, "b", 1)->status->err,
                        "port 8080/tcp is in use by another service");
    swarm_delete(&s, SWKI_ACTOR_CONTROL, SWKI_KIND_SERVICE, "a");
    swarm_settle(&s);
    assert_int_equal(port_of(&s, "b"), 8080);
    assert_int_equal(swki_task_state(swarm_slot_task(&s, "b", 1)), PENDING);
    assert_string_equal(swarm_slot_task(&s, "b", 1)->status->err, "");
    swarm_fini(&s);
}

static void task_with_a_network_says_why_it_waits(void **state)
{
    struct swki_object *service = swarm_make_service("web", 1);
    Swkpb__TaskSpec *spec = swki_service_edit(service)->spec->task;
    struct swarm s;

    swarm_init(&s, parts);
    spec->n_networks = 1;
    spec->networks = swarm_new(service, sizeof(spec->networks[0]));
    spec->networks[0] = swarm_new(service, sizeof(*spec->networks[0]));
    swkpb__network_attachment_config__init(spec->networks[0]);
    spec->networks[0]->target = swarm_text(service, "net");
    swarm_create(&s, SWKI_ACTOR_CONTROL, service);
    swarm_settle(&s);
    assert_int_equal(swki_task_state(swarm_slot_task(&s, "web", 1)), NEW);
    assert_string_equal(swarm_slot_task(&s, "web", 1)->status->err,
                        "networks are not available in this release: "
                        "remove the task's networks");
    swarm_fini(&s);
}

static void work_refused_by_the_log_is_repeated(void **state)
{
    struct swarm s;

    swarm_init(&s, parts);
    swarm_add_service(&s, "web", 1);
    s.leads = false;
    for (int i = 0; i < 5; i++) {
        swarm_step(&s);
    }
    assert_int_equal(swarm_count(&s, "web", NULL), 0);
    s.leads = true;
    swarm_advance(&s, SWK_SECOND);
    assert_int_equal(swki_task_state(swarm_slot_task(&s, "web", 1)), PENDING);
    swarm_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(task_becomes_pending),
        cmocka_unit_test(automatic_ports_are_distinct_and_stay),
        cmocka_unit_test(taken_port_is_explained_until_it_is_free),
        cmocka_unit_test(task_with_a_network_says_why_it_waits),
        cmocka_unit_test(work_refused_by_the_log_is_repeated),
    };

    return cmocka_run_group_tests_name("allocator", tests, NULL, NULL);
}

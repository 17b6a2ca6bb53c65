/* SPDX-License-Identifier: Apache-2.0 */

/* Where tasks go, and what those are told that cannot go anywhere. */

#include "lib/swarm.h"

#include "base/rng.h"
#include "core/scheduler/filter.h"

static const unsigned parts =
    SWARM_SCHEDULER | SWARM_ALLOCATOR | SWARM_ORCHESTRATOR | SWARM_REAPER;

static void add_nodes(struct swarm *s, int count)
{
    for (int i = 1; i <= count; i++) {
        char id[16];

        snprintf(id, sizeof(id), "node%d", i);
        swarm_add_node(s, id);
    }
}

/* Tasks of a service that are assigned to a node and meant to run. */
static size_t on_node(const struct swarm *s, const char *service,
                      const char *node)
{
    const Swkpb__Task *tasks[512];
    size_t count = swarm_tasks(s, service, swarm_wanted, tasks, 512);
    size_t found = 0;

    for (size_t i = 0; i < count; i++) {
        found += strcmp(tasks[i]->node_id, node) == 0 ? 1 : 0;
    }
    return found;
}

/* The error of a service's first task. */
static const char *error_of(const struct swarm *s, const char *service)
{
    return swarm_slot_task(s, service, 1)->status->err;
}

static Swkpb__TaskSpec *task_spec(struct swki_object *service)
{
    return swki_service_edit(service)->spec->task;
}

static Swkpb__Resources *reserve(struct swki_object *service, int64_t cpus)
{
    Swkpb__TaskSpec *spec = task_spec(service);

    spec->resources = swarm_new(service, sizeof(*spec->resources));
    swkpb__resource_requirements__init(spec->resources);
    spec->resources->reservations =
        swarm_new(service, sizeof(*spec->resources->reservations));
    swkpb__resources__init(spec->resources->reservations);
    spec->resources->reservations->nano_cpus = cpus;
    return spec->resources->reservations;
}

/* The tables must be what a scheduler that starts now would make. */
static void check_tables(struct swarm *s)
{
    struct swki_scheduler_config config = {.store = s->store,
                                           .node_id = "leader"};
    struct swki_scheduler *fresh;
    struct swki_buf ours;
    struct swki_buf theirs;

    swarm_settle(s);
    swki_buf_init(&ours, NULL, SIZE_MAX);
    swki_buf_init(&theirs, NULL, SIZE_MAX);
    assert_int_equal(swki_scheduler_new(&config, &fresh, NULL), 0);
    swki_scheduler_start(fresh, s->now, s->wall);
    swki_scheduler_dump(s->scheduler, &ours);
    swki_scheduler_dump(fresh, &theirs);
    swki_buf_append_byte(&ours, 0);
    swki_buf_append_byte(&theirs, 0);
    assert_string_equal((char *)ours.data, (char *)theirs.data);
    swki_scheduler_free(fresh);
    swki_buf_fini(&ours);
    swki_buf_fini(&theirs);
}

static void end(struct swarm *s)
{
    check_tables(s);
    swarm_fini(s);
}

/* -- Ranking -------------------------------------------------------------- */

static void tasks_spread_by_service_then_by_load(void **state)
{
    struct swarm s;

    swarm_init(&s, parts);
    add_nodes(&s, 3);
    swarm_add_service(&s, "a", 4);
    swarm_settle(&s);
    swarm_add_service(&s, "b", 2);
    swarm_settle(&s);
    for (int i = 1; i <= 3; i++) {
        char node[16];

        snprintf(node, sizeof(node), "node%d", i);
        assert_true(on_node(&s, "a", node) >= 1);
        /* The node with two of the one gets none of the other. */
        assert_int_equal(on_node(&s, "a", node) + on_node(&s, "b", node), 2);
    }
    end(&s);
}

static void new_tasks_level_what_is_there(void **state)
{
    struct swarm s;

    swarm_init(&s, parts);
    add_nodes(&s, 1);
    swarm_add_service(&s, "a", 2);
    swarm_settle(&s);
    swarm_add_node(&s, "node2");
    swarm_add_node(&s, "node3");
    swarm_scale(&s, "a", 6);
    swarm_settle(&s);
    assert_int_equal(on_node(&s, "a", "node1"), 2);
    assert_int_equal(on_node(&s, "a", "node2"), 2);
    assert_int_equal(on_node(&s, "a", "node3"), 2);
    end(&s);
}

static void same_inputs_give_the_same_placement(void **state)
{
    char first[64][24];

    for (int round = 0; round < 2; round++) {
        struct swarm s;

        swarm_init(&s, parts);
        add_nodes(&s, 7);
        swarm_add_service(&s, "a", 20);
        swarm_settle(&s);
        for (uint64_t slot = 1; slot <= 20; slot++) {
            const char *node = swarm_slot_task(&s, "a", slot)->node_id;

            if (round == 0) {
                strcpy(first[slot], node);
            }
            assert_string_equal(first[slot], node);
        }
        end(&s);
    }
}

static void fifth_failure_sends_the_next_task_elsewhere(void **state)
{
    for (int failures = 4; failures <= 5; failures++) {
        struct swki_object *service = swarm_make_service("a", 1);
        struct swarm s;

        task_spec(service)->restart->delay = swarm_duration(service, 0);
        swarm_init(&s, parts);
        add_nodes(&s, 1);
        swarm_create(&s, SWKI_ACTOR_CONTROL, service);
        swarm_run(&s);
        for (int i = 1; i < failures; i++) {
            swarm_report(&s, swarm_slot_task(&s, "a", 1)->id, FAILED);
            swarm_run_for(&s, SWK_SECOND);
        }
        /* Load makes the second node the worse choice, but for failures. */
        swarm_set_availability(&s, "node1",
                               SWKPB__NODE_SPEC__AVAILABILITY__PAUSE);
        swarm_add_node(&s, "node2");
        swarm_add_service(&s, "b", 3);
        swarm_run(&s);
        swarm_set_availability(&s, "node1",
                               SWKPB__NODE_SPEC__AVAILABILITY__ACTIVE);
        swarm_report(&s, swarm_slot_task(&s, "a", 1)->id, FAILED);
        swarm_run_for(&s, SWK_SECOND);
        assert_string_equal(swarm_slot_task(&s, "a", 1)->node_id,
                            failures == 5 ? "node2" : "node1");
        /* After five minutes they are forgotten. */
        swarm_run_for(&s, 6 * SWK_MINUTE);
        swarm_report(&s, swarm_slot_task(&s, "a", 1)->id, FAILED);
        swarm_run_for(&s, SWK_SECOND);
        assert_string_equal(swarm_slot_task(&s, "a", 1)->node_id, "node1");
        end(&s);
    }
}

/* -- Preferences ---------------------------------------------------------- */

static void prefer(struct swki_object *service, size_t count,
                   const char *const *descriptors)
{
    Swkpb__Placement *placement = task_spec(service)->placement;

    placement->n_preferences = count;
    placement->preferences = swki_arena_calloc(
        swki_object_arena(service), count, sizeof(placement->preferences[0]));
    for (size_t i = 0; i < count; i++) {
        Swkpb__PlacementPreference *one = swarm_new(service, sizeof(*one));

        swkpb__placement_preference__init(one);
        one->preference_case = SWKPB__PLACEMENT_PREFERENCE__PREFERENCE_SPREAD;
        one->spread = swarm_new(service, sizeof(*one->spread));
        swkpb__spread_over__init(one->spread);
        one->spread->spread_descriptor = swarm_text(service, descriptors[i]);
        placement->preferences[i] = one;
    }
}

static void add_racked(struct swarm *s, const char *id, const char *zone,
                       const char *rack, int64_t cpus)
{
    struct swki_object *node = swarm_make_node(id);

    if (zone != NULL) {
        swarm_label(node, "zone", zone);
    }
    swarm_label(node, "rack", rack);
    swki_node_edit(node)->description->resources->nano_cpus = cpus;
    swarm_create(s, SWKI_ACTOR_CA, node);
}

static void preferences_fill_branches_like_water(void **state)
{
    static const char *const descriptors[] = {
        "node.labels.zone", "node.hostname", "Node.Labels.rack"};
    struct swki_object *service = swarm_make_service("a", 12);
    struct swarm s;
    size_t racks[3] = {0};

    swarm_init(&s, parts);
    add_racked(&s, "z1", "1", "x", 5);
    add_racked(&s, "r1a", "2", "1", 100);
    add_racked(&s, "r1b", "2", "1", 100);
    add_racked(&s, "r1c", "2", "1", 100);
    add_racked(&s, "r2a", "2", "2", 100);
    add_racked(&s, "r2b", "2", "2", 100);
    reserve(service, 1);
    prefer(service, 3, descriptors);
    swarm_create(&s, SWKI_ACTOR_CONTROL, service);
    swarm_settle(&s);
    racks[0] = on_node(&s, "a", "z1");
    racks[1] = on_node(&s, "a", "r1a") + on_node(&s, "a", "r1b") +
               on_node(&s, "a", "r1c");
    racks[2] = on_node(&s, "a", "r2a") + on_node(&s, "a", "r2b");
    assert_int_equal(racks[0], 5);
    assert_int_equal(racks[1] + racks[2], 7);
    assert_true(racks[1] >= 3 && racks[2] >= 3);
    end(&s);
}

static void nodes_without_the_label_are_a_branch(void **state)
{
    static const char *const descriptors[] = {"node.labels.zone"};
    struct swki_object *service = swarm_make_service("a", 6);
    struct swarm s;

    swarm_init(&s, parts);
    add_racked(&s, "n1", "1", "x", 100);
    add_racked(&s, "n2", "1", "x", 100);
    add_racked(&s, "n3", NULL, "x", 100);
    prefer(service, 1, descriptors);
    swarm_create(&s, SWKI_ACTOR_CONTROL, service);
    swarm_settle(&s);
    assert_int_equal(on_node(&s, "a", "n3"), 3);
    end(&s);
}

/* -- Explanations --------------------------------------------------------- */

static void explanations_name_every_filter(void **state)
{
    static const struct {
        uint32_t refusals[SWKI_FILTERS_COUNT];
        const char *text;
    } cases[] = {
        {{0}, ""},
        {{1, 0}, "1 node not available for new tasks"},
        {{2, 1},
         "2 nodes not available for new tasks; insufficient resources on 1 "
         "node"},
        {{0, 2}, "insufficient resources on 2 nodes"},
        {{0, 0, 1, 3},
         "scheduling constraints not satisfied on 3 nodes; missing plugin on 1 "
         "node"},
        {{0, 0, 2, 1},
         "missing plugin on 2 nodes; scheduling constraints not satisfied on 1 "
         "node"},
        {{0, 0, 0, 0, 1, 2},
         "host-mode port already in use on 2 nodes; unsupported platform on 1 "
         "node"},
        {{0, 0, 0, 0, 2, 1},
         "unsupported platform on 2 nodes; host-mode port already in use on 1 "
         "node"},
        {{0, 0, 0, 0, 0, 0, 1, 2},
         "cannot fulfill requested CSI volume mounts on 2 nodes; max replicas "
         "per node limit exceed"},
        {{0, 0, 0, 0, 0, 0, 2, 1},
         "max replicas per node limit exceed; cannot fulfill requested CSI "
         "volume mounts on 1 node"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[SWKI_EXPLANATION_SIZE];

        swki_explain(cases[i].refusals, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void unplaceable_task_is_told_why_and_retried(void **state)
{
    struct swki_object *service = swarm_make_service("a", 1);
    struct swarm s;

    swarm_init(&s, parts);
    reserve(service, INT64_C(5000000000));
    swarm_create(&s, SWKI_ACTOR_CONTROL, service);
    swarm_settle(&s);
    assert_string_equal(error_of(&s, "a"), "no suitable node");
    add_nodes(&s, 3);
    swarm_set_availability(&s, "node1", SWKPB__NODE_SPEC__AVAILABILITY__PAUSE);
    swarm_set_availability(&s, "node2", SWKPB__NODE_SPEC__AVAILABILITY__PAUSE);
    swarm_settle(&s);
    assert_string_equal(error_of(&s, "a"),
                        "no suitable node (2 nodes not available for new "
                        "tasks; insufficient resources on 1 node)");
    service = swarm_edit(&s, SWKI_KIND_NODE, "node3");
    swki_object_own(service, &swki_node_edit(service)->description);
    swki_node_edit(service)->description->resources->nano_cpus =
        INT64_C(5000000000);
    swarm_update(&s, SWKI_ACTOR_DISPATCHER, service);
    swarm_settle(&s);
    assert_string_equal(swarm_slot_task(&s, "a", 1)->node_id, "node3");
    assert_string_equal(error_of(&s, "a"), "");
    end(&s);
}

/* -- Resources ------------------------------------------------------------ */

static void reservation_is_held_until_the_task_ended(void **state)
{
    struct swki_object *service = swarm_make_service("a", 1);
    char id[SWK_ID_LEN + 1];
    struct swarm s;

    swarm_init(&s, parts);
    add_nodes(&s, 1);
    reserve(service, INT64_C(3000000000));
    swarm_create(&s, SWKI_ACTOR_CONTROL, service);
    swarm_run(&s);
    strcpy(id, swarm_slot_task(&s, "a", 1)->id);
    service = swarm_make_service("b", 1);
    reserve(service, INT64_C(2000000000));
    swarm_create(&s, SWKI_ACTOR_CONTROL, service);
    swarm_scale(&s, "a", 0);
    swarm_settle(&s);
    assert_string_equal(error_of(&s, "b"),
                        "no suitable node (insufficient resources on 1 node)");
    swarm_report(&s, id, SHUTDOWN);
    swarm_settle(&s);
    assert_string_equal(swarm_slot_task(&s, "b", 1)->node_id, "node1");
    end(&s);
}

static void add_host_port(struct swki_object *service, uint32_t published,
                          Swkpb__PortConfig__Protocol protocol)
{
    Swkpb__EndpointSpec *spec = swarm_new(service, sizeof(*spec));
    Swkpb__PortConfig *port = swarm_new(service, sizeof(*port));

    swkpb__endpoint_spec__init(spec);
    swkpb__port_config__init(port);
    port->published_port = published;
    port->target_port = 80;
    port->protocol = protocol;
    port->publish_mode = SWKPB__PORT_CONFIG__PUBLISH_MODE__HOST;
    spec->n_ports = 1;
    spec->ports = swarm_new(service, sizeof(port));
    spec->ports[0] = port;
    swki_service_edit(service)->spec->endpoint = spec;
}

static void host_port_is_one_tasks_alone(void **state)
{
    static const struct {
        const char *id;
        uint32_t port;
        Swkpb__PortConfig__Protocol protocol;
        bool fits;
    } cases[] = {
        {"tcp", 80, SWKPB__PORT_CONFIG__PROTOCOL__TCP, true},
        {"udp", 80, SWKPB__PORT_CONFIG__PROTOCOL__UDP, true},
        {"again", 80, SWKPB__PORT_CONFIG__PROTOCOL__TCP, false},
        {"any", 0, SWKPB__PORT_CONFIG__PROTOCOL__TCP, true},
        {"any2", 0, SWKPB__PORT_CONFIG__PROTOCOL__TCP, true},
    };
    char id[SWK_ID_LEN + 1];
    struct swarm s;

    swarm_init(&s, parts);
    add_nodes(&s, 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swki_object *service = swarm_make_service(cases[i].id, 1);

        add_host_port(service, cases[i].port, cases[i].protocol);
        swarm_create(&s, SWKI_ACTOR_CONTROL, service);
        swarm_settle(&s);
        assert_string_equal(
            error_of(&s, cases[i].id),
            cases[i].fits ? ""
                          : "no suitable node (host-mode port already in use "
                            "on 1 node)");
    }
    strcpy(id, swarm_slot_task(&s, "tcp", 1)->id);
    swarm_scale(&s, "tcp", 0);
    swarm_settle(&s);
    assert_int_equal(swki_task_state(swarm_slot_task(&s, "again", 1)), PENDING);
    swarm_report(&s, id, SHUTDOWN);
    swarm_settle(&s);
    assert_int_equal(swki_task_state(swarm_slot_task(&s, "again", 1)),
                     ASSIGNED);
    end(&s);
}

static void max_replicas_counts_what_is_meant_to_run(void **state)
{
    struct swki_object *service = swarm_make_service("a", 3);
    size_t waiting = 0;
    struct swarm s;

    swarm_init(&s, parts);
    add_nodes(&s, 2);
    task_spec(service)->placement->max_replicas = 1;
    swarm_create(&s, SWKI_ACTOR_CONTROL, service);
    swarm_settle(&s);
    for (uint64_t slot = 1; slot <= 3; slot++) {
        const Swkpb__Task *task = swarm_slot_task(&s, "a", slot);

        if (swki_task_state(task) == PENDING) {
            assert_string_equal(task->status->err,
                                "no suitable node (max replicas per node "
                                "limit exceed)");
            waiting++;
        }
    }
    assert_int_equal(waiting, 1);
    end(&s);
}

static void set_generic(struct swki_object *object, Swkpb__Resources *resources,
                        size_t count, const char *kind,
                        const char *const *names, int64_t amount)
{
    resources->n_generic = count;
    resources->generic = swki_arena_calloc(swki_object_arena(object), count,
                                           sizeof(resources->generic[0]));
    for (size_t i = 0; i < count; i++) {
        Swkpb__GenericResource *one = swarm_new(object, sizeof(*one));

        swkpb__generic_resource__init(one);
        resources->generic[i] = one;
        if (names != NULL) {
            one->resource_case =
                SWKPB__GENERIC_RESOURCE__RESOURCE_NAMED_RESOURCE_SPEC;
            one->named_resource_spec =
                swarm_new(object, sizeof(*one->named_resource_spec));
            swkpb__named_generic_resource__init(one->named_resource_spec);
            one->named_resource_spec->kind = swarm_text(object, kind);
            one->named_resource_spec->value = swarm_text(object, names[i]);
            continue;
        }
        one->resource_case =
            SWKPB__GENERIC_RESOURCE__RESOURCE_DISCRETE_RESOURCE_SPEC;
        one->discrete_resource_spec =
            swarm_new(object, sizeof(*one->discrete_resource_spec));
        swkpb__discrete_generic_resource__init(one->discrete_resource_spec);
        one->discrete_resource_spec->kind = swarm_text(object, kind);
        one->discrete_resource_spec->value = amount;
    }
}

static void named_device_is_never_given_twice(void **state)
{
    static const char *const names[] = {"GPU-A", "GPU-B", "GPU-C"};
    struct swki_object *node = swarm_make_node("node1");
    struct swki_object *service = swarm_make_service("a", 4);
    struct swarm s;
    bool used[3] = {false};
    size_t placed = 0;

    swarm_init(&s, parts);
    set_generic(node, swki_node_edit(node)->description->resources, 3, "gpu",
                names, 0);
    swarm_create(&s, SWKI_ACTOR_CA, node);
    set_generic(service, reserve(service, 0), 1, "gpu", NULL, 1);
    swki_service_edit(service)->spec->replicated->replicas = 2;
    swarm_create(&s, SWKI_ACTOR_CONTROL, service);
    swarm_settle(&s);
    swarm_fail_over(&s, 9);
    swarm_scale(&s, "a", 4);
    swarm_settle(&s);
    for (uint64_t slot = 1; slot <= 4; slot++) {
        const Swkpb__Task *task = swarm_slot_task(&s, "a", slot);
        size_t index;

        if (swki_task_state(task) == PENDING) {
            continue;
        }
        placed++;
        assert_int_equal(task->n_assigned_generic_resources, 1);
        index = (size_t)(task->assigned_generic_resources[0]
                             ->named_resource_spec->value[4] -
                         'A');
        assert_false(used[index]);
        used[index] = true;
    }
    assert_int_equal(placed, 3);
    end(&s);
}

static void discrete_amounts_run_out(void **state)
{
    struct swki_object *node = swarm_make_node("node1");
    struct swki_object *service = swarm_make_service("a", 1);
    struct swarm s;

    swarm_init(&s, parts);
    set_generic(node, swki_node_edit(node)->description->resources, 1, "ssd",
                NULL, 5);
    swarm_create(&s, SWKI_ACTOR_CA, node);
    set_generic(service, reserve(service, 0), 1, "ssd", NULL, 3);
    swarm_create(&s, SWKI_ACTOR_CONTROL, service);
    service = swarm_make_service("b", 1);
    set_generic(service, reserve(service, 0), 1, "ssd", NULL, 3);
    swarm_create(&s, SWKI_ACTOR_CONTROL, service);
    swarm_settle(&s);
    assert_int_equal(swarm_slot_task(&s, "a", 1)
                         ->assigned_generic_resources[0]
                         ->discrete_resource_spec->value,
                     3);
    assert_string_equal(error_of(&s, "b"),
                        "no suitable node (insufficient resources on 1 node)");
    end(&s);
}

/* -- The rest of the pipeline --------------------------------------------- */

static void cluster_volume_is_explained(void **state)
{
    struct swki_object *service = swarm_make_service("a", 1);
    Swkpb__ContainerSpec *container = task_spec(service)->container;
    struct swarm s;

    swarm_init(&s, parts);
    add_nodes(&s, 2);
    container->n_mounts = 1;
    container->mounts = swarm_new(service, sizeof(container->mounts[0]));
    container->mounts[0] = swarm_new(service, sizeof(*container->mounts[0]));
    swkpb__mount__init(container->mounts[0]);
    container->mounts[0]->type = SWKPB__MOUNT__TYPE__CLUSTER;
    swarm_create(&s, SWKI_ACTOR_CONTROL, service);
    swarm_settle(&s);
    assert_string_equal(error_of(&s, "a"),
                        "no suitable node (cannot fulfill requested CSI volume "
                        "mounts on 2 nodes)");
    end(&s);
}

static void platform_aliases_are_the_same(void **state)
{
    static const struct {
        const char *os;
        const char *arch;
        bool fits;
    } cases[] = {
        {"linux", "amd64", true},  {"linux", "x86_64", true},
        {"", "amd64", true},       {"linux", "", true},
        {"windows", "", false},    {"linux", "arm64", false},
        {"linux", "AMD64", false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swki_object *service = swarm_make_service("a", 1);
        struct swki_object *node = swarm_make_node("node1");
        Swkpb__Placement *placement = task_spec(service)->placement;
        Swkpb__Platform *platform = swarm_new(node, sizeof(*platform));
        struct swarm s;

        swarm_init(&s, parts);
        swkpb__platform__init(platform);
        platform->os = swarm_text(node, "linux");
        platform->architecture = swarm_text(node, "x86_64");
        swki_node_edit(node)->description->platform = platform;
        swarm_create(&s, SWKI_ACTOR_CA, node);
        placement->n_platforms = 1;
        placement->platforms = swarm_new(service, sizeof(platform));
        placement->platforms[0] = swarm_new(service, sizeof(*platform));
        swkpb__platform__init(placement->platforms[0]);
        placement->platforms[0]->os = swarm_text(service, cases[i].os);
        placement->platforms[0]->architecture =
            swarm_text(service, cases[i].arch);
        swarm_create(&s, SWKI_ACTOR_CONTROL, service);
        swarm_settle(&s);
        assert_string_equal(
            error_of(&s, "a"),
            cases[i].fits
                ? ""
                : "no suitable node (unsupported platform on 1 node)");
        end(&s);
    }
}

/* A log driver asked of nodes with and without the plugin. */
static void log_plugin_must_be_there(void **state)
{
    static const struct {
        const char *driver;
        const char *plugin; /* NULL for none of that type */
        bool fits;
    } cases[] = {
        {"splunk", "splunk", true},    {"splunk", "splunk:latest", true},
        {"splunk", "splunk:1", false}, {"splunk", "json-file", false},
        {"splunk", NULL, true},        {"none", "json-file", true},
        {"", "json-file", true},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swki_object *service = swarm_make_service("a", 1);
        struct swki_object *node = swarm_make_node("node1");
        Swkpb__EngineDescription *engine = swarm_new(node, sizeof(*engine));
        Swkpb__PluginDescription *plugin = swarm_new(node, sizeof(*plugin));
        struct swarm s;

        swarm_init(&s, parts);
        swkpb__engine_description__init(engine);
        swkpb__plugin_description__init(plugin);
        plugin->type =
            swarm_text(node, cases[i].plugin != NULL ? "Log" : "Volume");
        plugin->name = swarm_text(
            node, cases[i].plugin != NULL ? cases[i].plugin : "local");
        engine->n_plugins = 1;
        engine->plugins = swarm_new(node, sizeof(plugin));
        engine->plugins[0] = plugin;
        swki_node_edit(node)->description->engine = engine;
        swarm_create(&s, SWKI_ACTOR_CA, node);
        task_spec(service)->log_driver =
            swarm_new(service, sizeof(Swkpb__Driver));
        swkpb__driver__init(task_spec(service)->log_driver);
        task_spec(service)->log_driver->name =
            swarm_text(service, cases[i].driver);
        swarm_create(&s, SWKI_ACTOR_CONTROL, service);
        swarm_settle(&s);
        assert_string_equal(error_of(&s, "a"),
                            cases[i].fits
                                ? ""
                                : "no suitable node (missing plugin on 1 "
                                  "node)");
        end(&s);
    }
}

/* -- Everything at random ------------------------------------------------- */

static void disturb(struct swarm *s, struct swki_rng *rng)
{
    static const Swkpb__TaskState ends[] = {RUNNING, COMPLETE, FAILED,
                                            SHUTDOWN};
    const Swkpb__Task *tasks[512];
    char service[16];
    char node[16];
    size_t count;

    snprintf(service, sizeof(service), "s%d", (int)swki_rng_below(rng, 3));
    snprintf(node, sizeof(node), "node%d", (int)swki_rng_below(rng, 5) + 1);
    switch (swki_rng_below(rng, 6)) {
    case 0:
        swarm_scale(s, service, swki_rng_below(rng, 12));
        break;
    case 1:
        swarm_set_availability(
            s, node, (Swkpb__NodeSpec__Availability)swki_rng_below(rng, 3));
        break;
    case 2:
        swarm_set_node_state(s, node,
                             (Swkpb__NodeStatus__State)swki_rng_below(rng, 3));
        break;
    case 3:
        swarm_advance(s, swki_rng_below(rng, 6 * SWK_SECOND));
        break;
    case 4:
        swarm_work(s);
        break;
    default:
        count = swarm_tasks(s, service, NULL, tasks, 512);
        if (count > 0) {
            const Swkpb__Task *task = tasks[swki_rng_below(rng, count)];
            Swkpb__TaskState target = ends[swki_rng_below(rng, 4)];
            Swkpb__TaskState has = swki_task_state(task);

            if (has >= ASSIGNED && has <= RUNNING && target > has &&
                (target > RUNNING || target <= task->desired_state)) {
                swarm_report(s, task->id, target);
            }
        }
    }
}

static void tables_stay_exact_and_all_ends_well(void **state)
{
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct swki_rng rng;
        struct swarm s;

        swki_rng_init(&rng, seed);
        swarm_init(&s, SWARM_ALL);
        add_nodes(&s, 5);
        for (int i = 0; i < 3; i++) {
            struct swki_object *service;
            char id[16];

            snprintf(id, sizeof(id), "s%d", i);
            service = swarm_make_service(id, 4);
            reserve(service, INT64_C(100000000) * i);
            swarm_create(&s, SWKI_ACTOR_CONTROL, service);
        }
        for (int i = 0; i < 150; i++) {
            disturb(&s, &rng);
            if (i % 10 == 9) {
                check_tables(&s);
            }
            if (i % 40 == 39) {
                swarm_fail_over(&s, seed * 100 + (uint64_t)i);
            }
        }
        for (int i = 1; i <= 5; i++) {
            char node[16];

            snprintf(node, sizeof(node), "node%d", i);
            swarm_set_availability(&s, node,
                                   SWKPB__NODE_SPEC__AVAILABILITY__ACTIVE);
            swarm_set_node_state(&s, node, SWKPB__NODE_STATUS__STATE__READY);
        }
        swarm_run_for(&s, 3 * SWK_MINUTE);
        for (int i = 0; i < 3; i++) {
            const Swkpb__Service *service;
            char id[16];

            snprintf(id, sizeof(id), "s%d", i);
            service = swki_service(swarm_get(&s, SWKI_KIND_SERVICE, id));
            if (swarm_count(&s, id, swarm_is_running) !=
                service->spec->replicated->replicas) {
                fail_msg("seed %d: %s has %zu of %d", (int)seed, id,
                         swarm_count(&s, id, swarm_is_running),
                         (int)service->spec->replicated->replicas);
            }
        }
        end(&s);
    }
}

/* -- Consent -------------------------------------------------------------- */

/* The node says anew what it lets run: no image but those of the pattern, and
 * no process over a limit if there is one. */
static void set_consent(struct swarm *s, const char *id, const char *pattern,
                        int64_t pids)
{
    struct swki_object *object = swarm_edit(s, SWKI_KIND_NODE, id);
    Swkpb__Node *node = swki_node_edit(object);
    Swkpb__Rpc__NodeConsent *consent = swarm_new(object, sizeof(*consent));

    swki_object_own(object, &node->description);
    swkpb__rpc__node_consent__init(consent);
    consent->images = swarm_new(object, sizeof(*consent->images));
    swkpb__rpc__node_consent__names__init(consent->images);
    consent->images->n_allow = 1;
    consent->images->allow = swarm_new(object, sizeof(char *));
    consent->images->allow[0] = swarm_text(object, pattern);
    consent->per_task = swarm_new(object, sizeof(*consent->per_task));
    swkpb__rpc__node_consent__limits__init(consent->per_task);
    consent->per_task->pids = pids;
    node->description->consent = consent;
    swarm_update(s, SWKI_ACTOR_DISPATCHER, object);
}

static void tasks_go_where_nodes_let_them_run(void **state)
{
    struct swarm s;

    swarm_init(&s, parts);
    add_nodes(&s, 3);
    set_consent(&s, "node1", "other:*", 0);
    set_consent(&s, "node2", "image:?", 0);
    swarm_add_service(&s, "a", 4);
    swarm_run(&s);
    assert_int_equal(on_node(&s, "a", "node1"), 0);
    assert_int_equal(on_node(&s, "a", "node2"), 2);
    assert_int_equal(on_node(&s, "a", "node3"), 2);
    swarm_fini(&s);
}

static void each_reason_of_a_refusal_is_told_and_heard_again(void **state)
{
    struct swarm s;

    swarm_init(&s, parts);
    add_nodes(&s, 3);
    set_consent(&s, "node1", "other:*", 0);
    set_consent(&s, "node2", "other:*", 0);
    set_consent(&s, "node3", "*", 10);
    swarm_add_service(&s, "a", 1);
    swarm_run_for(&s, SWK_SECOND);
    assert_string_equal(error_of(&s, "a"),
                        "no suitable node (image not allowed on 2 nodes; "
                        "limits not low enough for 1 node)");
    set_consent(&s, "node2", "image:*", 0);
    swarm_run_for(&s, SWK_SECOND);
    assert_int_equal(on_node(&s, "a", "node2"), 1);
    swarm_fini(&s);
}

static void a_policy_that_makes_no_sense_gets_nothing(void **state)
{
    struct swarm s;

    swarm_init(&s, parts);
    add_nodes(&s, 1);
    set_consent(&s, "node1", "*", -1);
    swarm_add_service(&s, "a", 1);
    swarm_run_for(&s, SWK_SECOND);
    assert_string_equal(error_of(&s, "a"),
                        "no suitable node (policy of 1 node not understood)");
    swarm_fini(&s);
}

static void every_reason_has_its_words(void **state)
{
    for (int i = 0; i < SWKI_FILTERS_COUNT; i++) {
        uint32_t refusals[SWKI_FILTERS_COUNT] = {0};
        char one[SWKI_EXPLANATION_SIZE];
        char many[SWKI_EXPLANATION_SIZE];

        refusals[i] = 1;
        swki_explain(refusals, one);
        refusals[i] = 7;
        swki_explain(refusals, many);
        assert_true(strlen(one) > 10);
        assert_true(strlen(many) > 10);
        assert_true(i == SWKI_FILTER_MAX_REPLICAS || strchr(many, '7') != NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks_spread_by_service_then_by_load),
        cmocka_unit_test(new_tasks_level_what_is_there),
        cmocka_unit_test(same_inputs_give_the_same_placement),
        cmocka_unit_test(fifth_failure_sends_the_next_task_elsewhere),
        cmocka_unit_test(preferences_fill_branches_like_water),
        cmocka_unit_test(nodes_without_the_label_are_a_branch),
        cmocka_unit_test(explanations_name_every_filter),
        cmocka_unit_test(unplaceable_task_is_told_why_and_retried),
        cmocka_unit_test(reservation_is_held_until_the_task_ended),
        cmocka_unit_test(host_port_is_one_tasks_alone),
        cmocka_unit_test(max_replicas_counts_what_is_meant_to_run),
        cmocka_unit_test(named_device_is_never_given_twice),
        cmocka_unit_test(discrete_amounts_run_out),
        cmocka_unit_test(cluster_volume_is_explained),
        cmocka_unit_test(platform_aliases_are_the_same),
        cmocka_unit_test(log_plugin_must_be_there),
        cmocka_unit_test(tables_stay_exact_and_all_ends_well),
        cmocka_unit_test(tasks_go_where_nodes_let_them_run),
        cmocka_unit_test(each_reason_of_a_refusal_is_told_and_heard_again),
        cmocka_unit_test(a_policy_that_makes_no_sense_gets_nothing),
        cmocka_unit_test(every_reason_has_its_words),
    };

    return cmocka_run_group_tests_name("scheduler", tests, NULL, NULL);
}

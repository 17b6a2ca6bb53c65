/* SPDX-License-Identifier: Apache-2.0 */

/* Keys of networks go to the nodes that take part in one, and to no other. */

#include "fixture.h"

#include "core/dispatcher/networks.h"

/* -- The rule ------------------------------------------------------------- */

static void only_overlay_networks_are_sealed(void **state)
{
    static const struct {
        const char *why;
        const char *state; /* names of the drivers; NULL: absent */
        const char *config;
        bool of_the_node; /* config_from */
        bool overlay;
    } cases[] = {
        {"the default", NULL, NULL, false, true},
        {"asked for", NULL, "overlay", false, true},
        {"allocated", "overlay", NULL, false, true},
        {"another driver", NULL, "bridge", false, false},
        {"allocated by another", "host", "overlay", false, false},
        {"drivers without names", "", "", false, true},
        {"one that the node has", NULL, NULL, true, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        Swkpb__Network network = SWKPB__NETWORK__INIT;
        Swkpb__NetworkSpec spec = SWKPB__NETWORK_SPEC__INIT;
        Swkpb__Driver driver = SWKPB__DRIVER__INIT;
        Swkpb__Driver config = SWKPB__DRIVER__INIT;

        network.spec = &spec;
        driver.name = (char *)(uintptr_t)cases[i].state;
        config.name = (char *)(uintptr_t)cases[i].config;
        network.driver_state = cases[i].state != NULL ? &driver : NULL;
        spec.driver_config = cases[i].config != NULL ? &config : NULL;
        if (cases[i].of_the_node) {
            spec.config_from_case = SWKPB__NETWORK_SPEC__CONFIG_FROM_NETWORK;
        }
        if (swki_network_is_overlay(&network) != cases[i].overlay) {
            fail_msg("%s", cases[i].why);
        }
    }
}

static void a_task_needs_keys_from_assignment_to_end(void **state)
{
    Swkpb__Network network = SWKPB__NETWORK__INIT;
    Swkpb__NetworkAttachment attachment = SWKPB__NETWORK_ATTACHMENT__INIT;
    Swkpb__NetworkAttachment *attachments[] = {&attachment};
    Swkpb__TaskStatus status = SWKPB__TASK_STATUS__INIT;
    Swkpb__Task task = SWKPB__TASK__INIT;

    (void)state;
    attachment.network = &network;
    task.networks = attachments;
    task.n_networks = 1;
    assert_false(swki_task_needs_network_keys(&task)); /* no status */
    task.status = &status;
    for (int i = NEW; i <= ORPHANED; i += 64) {
        status.state = (Swkpb__TaskState)i;
        assert_int_equal(swki_task_needs_network_keys(&task),
                         i >= ASSIGNED && i <= RUNNING);
    }
    status.state = RUNNING;
    task.n_networks = 0;
    assert_false(swki_task_needs_network_keys(&task));
}

static void a_node_may_take_part_by_itself(void **state)
{
    Swkpb__Network network = SWKPB__NETWORK__INIT;
    Swkpb__NetworkAttachment attachment = SWKPB__NETWORK_ATTACHMENT__INIT;
    Swkpb__NetworkAttachment *attachments[] = {&attachment};
    Swkpb__Node node = SWKPB__NODE__INIT;

    (void)state;
    assert_false(swki_node_needs_network_keys(&node));
    attachment.network = &network;
    node.attachments = attachments;
    node.n_attachments = 1;
    assert_true(swki_node_needs_network_keys(&node));
    node.n_attachments = 0;
    node.attachment = &attachment;
    assert_true(swki_node_needs_network_keys(&node));
    attachment.network = NULL;
    assert_false(swki_node_needs_network_keys(&node));
}

/* -- Sessions ------------------------------------------------------------- */

static void set_key(struct f *f, uint64_t time)
{
    struct swki_object *object =
        swarm_edit(&f->s, SWKI_KIND_CLUSTER, "cluster");
    Swkpb__Cluster *cluster = swki_cluster_edit(object);
    Swkpb__EncryptionKey *key = swarm_new(object, sizeof(*key));

    swkpb__encryption_key__init(key);
    key->subsystem = swarm_text(object, "networking:gossip");
    key->lamport_time = time;
    cluster->network_bootstrap_keys =
        swarm_new(object, sizeof(*cluster->network_bootstrap_keys));
    cluster->network_bootstrap_keys[0] = key;
    cluster->n_network_bootstrap_keys = 1;
    swarm_update(&f->s, SWKI_ACTOR_KEY_MANAGER, object);
}

static void add_networked_task(struct f *f, const char *id, const char *node)
{
    struct swki_object *object = f_make_task(id, "");
    Swkpb__Task *task = swki_task_edit(object);
    Swkpb__NetworkAttachment *attachment =
        swarm_new(object, sizeof(*attachment));

    swkpb__network_attachment__init(attachment);
    attachment->network = swarm_new(object, sizeof(*attachment->network));
    swkpb__network__init(attachment->network);
    attachment->network->id = swarm_text(object, "net");
    task->networks = swarm_new(object, sizeof(*task->networks));
    task->networks[0] = attachment;
    task->n_networks = 1;
    f_place_task(f, object, node);
}

static uint64_t open_session(struct f *f, const char *node)
{
    uint64_t call = f_session(f, node, "");
    const Swkpb__SessionMessage *message;

    f_settle(f);
    message = f_next_session(f, call);
    assert_non_null(message);
    assert_int_equal(message->n_network_bootstrap_keys, 0);
    return call;
}

static void keys_go_where_a_task_takes_part(void **state)
{
    const Swkpb__SessionMessage *message;
    struct f f;
    uint64_t n1;
    uint64_t n2;

    (void)state;
    f_set_up(&f);
    set_key(&f, 7);
    n1 = open_session(&f, "n1");
    n2 = open_session(&f, "n2");
    f_add_task(&f, "plain", "n1");
    f_settle(&f);
    assert_null(f_next_session(&f, n1));
    add_networked_task(&f, "networked", "n1");
    f_settle(&f);
    message = f_next_session(&f, n1);
    assert_non_null(message);
    assert_int_equal(message->n_network_bootstrap_keys, 1);
    assert_int_equal(message->network_bootstrap_keys[0]->lamport_time, 7);
    assert_null(f_next_session(&f, n2));
    set_key(&f, 8); /* they are replaced */
    f_settle(&f);
    message = f_next_session(&f, n1);
    assert_non_null(message);
    assert_int_equal(message->network_bootstrap_keys[0]->lamport_time, 8);
    assert_null(f_next_session(&f, n2));
    f_fini(&f);
}

/* Each join by a limited token changes it, for one. */
static void nodes_are_not_told_of_what_does_not_matter(void **state)
{
    struct f f;
    uint64_t call;

    (void)state;
    f_set_up(&f);
    call = open_session(&f, "n1");
    f_set_period(&f, 5 * SWK_SECOND);
    f_settle(&f);
    assert_null(f_next_session(&f, call));
    f_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_overlay_networks_are_sealed),
        cmocka_unit_test(a_task_needs_keys_from_assignment_to_end),
        cmocka_unit_test(a_node_may_take_part_by_itself),
        cmocka_unit_test(keys_go_where_a_task_takes_part),
        cmocka_unit_test(nodes_are_not_told_of_what_does_not_matter),
    };

    return cmocka_run_group_tests_name("networks", tests, NULL, NULL);
}

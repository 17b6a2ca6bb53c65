/* SPDX-License-Identifier: Apache-2.0 */

/* Placement constraints: the grammar, and what they say about a node. */

#include "lib/cmocka_all.h"

#include "core/scheduler/constraint.h"

static int parse(const char *text, struct swki_constraints *out,
                 struct swk_error *err)
{
    char copy[128];
    char *texts[] = {copy};

    strcpy(copy, text);
    return swki_constraints_parse(NULL, texts, 1, out, err);
}

static void grammar_accepts_keys_and_literal_values(void **state)
{
    static const char *const texts[] = {
        " node == node1",
        "NoDe==node1",
        "no.de==x",
        "_node==_x",
        "node==[a-b]+c*(n|b)/",
        "node==node 1",
        "node!=a",
        "node.labels.a-b_c != x",
        "no==\tx\n",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct swki_constraints list;
        struct swk_error err = {0};

        if (parse(texts[i], &list, &err) != SWK_OK) {
            fail_msg("'%s': %s", texts[i], err.text);
        }
        assert_int_equal(list.count, 1);
        swki_constraints_fini(&list);
    }
}

static void grammar_refuses_the_rest_with_a_reason(void **state)
{
    static const struct {
        const char *text;
        const char *why;
    } cases[] = {
        {"", "constraint expected one operator from ==, !=: "},
        {" ", "constraint expected one operator from ==, !=:  "},
        {"nodeabc", "constraint expected one operator from ==, !=: nodeabc"},
        {"node ~ abc",
         "constraint expected one operator from ==, !=: node ~ abc"},
        {"1node==a", "constraint key '1node' is invalid"},
        {"no de== x", "constraint key 'no de' is invalid"},
        {"no*de==x", "constraint key 'no*de' is invalid"},
        {"n==x", "constraint key 'n' is invalid"},
        {"==x", "constraint key '' is invalid"},
        {"node==", "constraint value '' is invalid"},
        {"node== ", "constraint value '' is invalid"},
        {"no$de==x", "constraint key 'no$de' is invalid"},
        {"a!=b==c", "constraint key 'a!=b' is invalid"},
        {"node==a===b", "constraint value 'a===b' is invalid"},
        {"node==a@b", "constraint value 'a@b' is invalid"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swki_constraints list;
        struct swk_error err = {0};

        assert_int_equal(parse(cases[i].text, &list, &err), SWK_EINVAL);
        assert_string_equal(err.text, cases[i].why);
    }
}

/* One node that has everything the keys ask for, and one that has nothing. */
struct nodes {
    Swkpb__Node full;
    Swkpb__NodeSpec spec;
    Swkpb__NodeStatus status;
    Swkpb__NodeDescription description;
    Swkpb__Platform platform;
    Swkpb__EngineDescription engine;
    Swkpb__Annotations annotations;
    Swkpb__Annotations__LabelsEntry label;
    Swkpb__Annotations__LabelsEntry *labels[1];
    Swkpb__EngineDescription__LabelsEntry engine_label;
    Swkpb__EngineDescription__LabelsEntry *engine_labels[1];
    Swkpb__Node bare;
};

static char text_id[] = "node-1";
static char text_host[] = "Host-A";
static char text_os[] = "linux";
static char text_arch[] = "x86_64";
static char text_disk[] = "disk";
static char text_ssd[] = "ssd";
static char text_kernel[] = "kernel";
static char text_six[] = "6.1";

static void nodes_init(struct nodes *n, char *address)
{
    swkpb__node__init(&n->full);
    swkpb__node__init(&n->bare);
    swkpb__node_spec__init(&n->spec);
    swkpb__node_status__init(&n->status);
    swkpb__node_description__init(&n->description);
    swkpb__platform__init(&n->platform);
    swkpb__engine_description__init(&n->engine);
    swkpb__annotations__init(&n->annotations);
    swkpb__annotations__labels_entry__init(&n->label);
    swkpb__engine_description__labels_entry__init(&n->engine_label);
    n->full.id = text_id;
    n->full.role = SWKPB__NODE_ROLE__MANAGER;
    n->full.spec = &n->spec;
    n->full.status = &n->status;
    n->full.description = &n->description;
    n->status.addr = address;
    n->description.hostname = text_host;
    n->description.platform = &n->platform;
    n->description.engine = &n->engine;
    n->platform.os = text_os;
    n->platform.architecture = text_arch;
    n->spec.annotations = &n->annotations;
    n->label.key = text_disk;
    n->label.value = text_ssd;
    n->labels[0] = &n->label;
    n->annotations.labels = n->labels;
    n->annotations.n_labels = 1;
    n->engine_label.key = text_kernel;
    n->engine_label.value = text_six;
    n->engine_labels[0] = &n->engine_label;
    n->engine.labels = n->engine_labels;
    n->engine.n_labels = 1;
}

static bool holds(const char *text, const Swkpb__Node *node)
{
    struct swki_constraints list;
    bool match;

    assert_int_equal(parse(text, &list, NULL), SWK_OK);
    match = swki_constraints_match(&list, node);
    swki_constraints_fini(&list);
    return match;
}

static void matching_compares_what_the_key_names(void **state)
{
    static char address[] = "186.17.9.41";
    static const struct {
        const char *text;
        bool full;
        bool bare;
    } cases[] = {
        {"node.id==NODE-1", true, false},
        {"node.id!=node-1", false, true},
        {"node.hostname==host-a", true, false},
        {"node.hostname!=host-b", true, true},
        {"node.hostname==h*", false, false}, /* values are literal */
        {"node.role==Manager", true, false},
        {"node.role==worker", false, true},
        {"NODE.Platform.OS==Linux", true, false},
        {"node.platform.arch==amd64", false, false}, /* no alias here */
        {"node.platform.arch==x86_64", true, false},
        {"node.labels.disk==SSD", true, false},
        {"node.labels.Disk==ssd", false, false}, /* names keep their case */
        {"Node.Labels.disk==ssd", true, false},
        {"node.labels.kernel==6.1", false, false},
        {"engine.labels.kernel==6.1", true, false},
        {"engine.labels.disk!=x", true, true},
        {"node.labels.==x", false, false},
        {"node.colour==x", false, false},
        {"node.colour!=x", false, false},
        {"node.ip==186.17.9.41", true, false},
        {"node.ip!=186.17.9.41", false, true},
        {"node.ip==186.17.9.4/24", true, false},
        {"node.ip!=186.17.9.0/24", false, true},
        {"node.ip==186.17.10.0/23", false, false},
        {"node.ip==0.0.0.0/0", true, false},
        {"node.ip==2001:db8::2", false, false},
        {"node.ip==186.17.9", false, false},
        {"node.ip!=186.17.9", false, false},
        {"node.ip!=1.2.3.4/33", false, false},
        {"node.ip!=1.2.3.4/", false, false},
    };
    struct nodes n;

    nodes_init(&n, address);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (holds(cases[i].text, &n.full) != cases[i].full ||
            holds(cases[i].text, &n.bare) != cases[i].bare) {
            fail_msg("%s", cases[i].text);
        }
    }
}

static void matching_compares_ipv6_by_number(void **state)
{
    static char address[] = "2001:db8::2";
    struct nodes n;

    nodes_init(&n, address);
    assert_true(holds("node.ip==2001:db8:0::2", &n.full));
    assert_true(holds("node.ip==2001:db8::/33", &n.full));
    assert_false(holds("node.ip==2001:db8:8000::/33", &n.full));
    assert_false(holds("node.ip==0.0.0.0/0", &n.full));
}

static void matching_needs_every_constraint(void **state)
{
    static char address[] = "";
    static char first[] = "node.role==manager";
    static char second[] = "node.labels.disk!=ssd";
    char *texts[] = {first, second};
    struct swki_constraints list;
    struct nodes n;

    nodes_init(&n, address);
    assert_int_equal(swki_constraints_parse(NULL, texts, 2, &list, NULL), 0);
    assert_false(swki_constraints_match(&list, &n.full));
    swki_constraints_fini(&list);
    assert_int_equal(swki_constraints_parse(NULL, texts, 1, &list, NULL), 0);
    assert_true(swki_constraints_match(&list, &n.full));
    swki_constraints_fini(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grammar_accepts_keys_and_literal_values),
        cmocka_unit_test(grammar_refuses_the_rest_with_a_reason),
        cmocka_unit_test(matching_compares_what_the_key_names),
        cmocka_unit_test(matching_compares_ipv6_by_number),
        cmocka_unit_test(matching_needs_every_constraint),
    };

    return cmocka_run_group_tests_name("constraint", tests, NULL, NULL);
}

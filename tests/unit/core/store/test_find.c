/* SPDX-License-Identifier: Apache-2.0 */

/* What selectors find, and what names and kinds forbid. */

#include "lib/cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "core/store/store.h"
#include "lib/storelog.h"

struct f {
    struct storelog log;
    struct swki_store *store;
    struct swk_error err;
};

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));
    struct swki_store_config config = {0};

    assert_non_null(f);
    f->log.leads = true;
    config.proposer = storelog_proposer(&f->log);
    assert_int_equal(swki_store_new(&config, &f->store, NULL), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_store_free(f->store);
    storelog_fini(&f->log);
    free(f);
    return 0;
}

/* The IDs that a selector finds, each followed by a space. */
static const char *found(const struct f *f, enum swki_kind kind,
                         const struct swki_selector *selector)
{
    static char ids[256];
    const struct swki_object *o;
    struct swki_cursor cursor;

    ids[0] = '\0';
    assert_int_equal(swki_view_find(swki_store_head(f->store), kind, selector,
                                    &cursor, NULL),
                     0);
    while ((o = swki_cursor_next(&cursor)) != NULL) {
        assert_true(strlen(ids) + strlen(swki_object_id(o)) + 2 < sizeof(ids));
        strcat(strcat(ids, swki_object_id(o)), " ");
    }
    swki_cursor_close(&cursor);
    return ids;
}

static const char *found_by(const struct f *f, enum swki_kind kind,
                            enum swki_by by, const char *text)
{
    const struct swki_selector selector = {.by = by, .text = text};

    return found(f, kind, &selector);
}

/* -- Nodes and tasks ------------------------------------------------------- */

static void seed_node(struct f *f, const char *id, const char *hostname)
{
    struct swki_object *o = swki_object_new(NULL, SWKI_KIND_NODE);
    struct swki_arena *arena = swki_object_arena(o);
    Swkpb__Node *node = swki_node_edit(o);

    node->id = swki_arena_strdup(arena, id);
    if (hostname != NULL) {
        node->description =
            swki_arena_calloc(arena, 1, sizeof(*node->description));
        swkpb__node_description__init(node->description);
        node->description->hostname = swki_arena_strdup(arena, hostname);
    }
    assert_int_equal(storelog_seed(&f->log, f->store, o), 0);
}

static void nodes_are_found_by_hostname_if_they_have_one(void **state)
{
    struct f *f = *state;

    seed_node(f, "b", "Host");
    seed_node(f, "a", "host");
    seed_node(f, "c", NULL);
    assert_string_equal(found_by(f, SWKI_KIND_NODE, SWKI_BY_NAME, "HOST"),
                        "a b ");
    assert_string_equal(found_by(f, SWKI_KIND_NODE, SWKI_BY_NAME, ""), "");
    assert_string_equal(found_by(f, SWKI_KIND_NODE, SWKI_BY_NAME_PREFIX, ""),
                        "a b ");
    assert_string_equal(found_by(f, SWKI_KIND_NODE, SWKI_BY_ALL, ""),
                        "a b c ");
}

static Swkpb__Annotations *annotations_new(struct swki_object *o,
                                           const char *name)
{
    struct swki_arena *arena = swki_object_arena(o);
    Swkpb__Annotations *annotations =
        swki_arena_calloc(arena, 1, sizeof(*annotations));

    swkpb__annotations__init(annotations);
    annotations->name = swki_arena_strdup(arena, name);
    return annotations;
}

static struct swki_object *task_new(const char *id, uint64_t slot)
{
    struct swki_object *o = swki_object_new(NULL, SWKI_KIND_TASK);
    Swkpb__Task *task = swki_task_edit(o);

    task->id = swki_arena_strdup(swki_object_arena(o), id);
    task->slot = slot;
    task->node_id = swki_arena_strdup(swki_object_arena(o), "node");
    task->service_annotations = annotations_new(o, "Web");
    return o;
}

static void a_task_is_named_by_service_slot_or_node_and_id(void **state)
{
    struct f *f = *state;
    struct swki_object *named = task_new("named", 3);
    char name[64];
    char cut[8];

    swki_task_edit(named)->annotations = annotations_new(named, "Mine");
    assert_int_equal(storelog_seed(&f->log, f->store, task_new("t1", 12)), 0);
    assert_int_equal(storelog_seed(&f->log, f->store, task_new("t2", 0)), 0);
    assert_int_equal(storelog_seed(&f->log, f->store, named), 0);
    assert_string_equal(found_by(f, SWKI_KIND_TASK, SWKI_BY_NAME, "web.12.T1"),
                        "t1 ");
    assert_string_equal(
        found_by(f, SWKI_KIND_TASK, SWKI_BY_NAME, "web.node.t2"), "t2 ");
    assert_string_equal(found_by(f, SWKI_KIND_TASK, SWKI_BY_NAME, "mine"),
                        "named ");
    assert_string_equal(
        found_by(f, SWKI_KIND_TASK, SWKI_BY_NAME, "web.3.named"), "");
    assert_string_equal(
        found_by(f, SWKI_KIND_TASK, SWKI_BY_NAME_PREFIX, "WEB."), "t1 t2 ");
    named = task_new("t3", UINT64_MAX);
    assert_string_equal(swki_object_name(named, name, sizeof(name)),
                        "Web.18446744073709551615.t3");
    assert_string_equal(swki_object_name(named, cut, sizeof(cut)), "Web.184");
    swki_object_unref(named);
}

/* -- Configs --------------------------------------------------------------- */

static void set_index(struct swki_object *o, Swkpb__Annotations *annotations,
                      size_t i, const char *value)
{
    struct swki_arena *arena = swki_object_arena(o);
    Swkpb__IndexEntry *entry = swki_arena_calloc(arena, 1, sizeof(*entry));

    swkpb__index_entry__init(entry);
    entry->key = swki_arena_strdup(arena, "key");
    entry->val = swki_arena_strdup(arena, value);
    annotations->indices[i] = entry;
}

static struct swki_object *config_new(const char *id, const char *name)
{
    struct swki_object *o = swki_object_new(NULL, SWKI_KIND_CONFIG);
    struct swki_arena *arena = swki_object_arena(o);
    Swkpb__Config *config = swki_config_edit(o);

    config->id = swki_arena_strdup(arena, id);
    config->spec = swki_arena_calloc(arena, 1, sizeof(*config->spec));
    swkpb__config_spec__init(config->spec);
    config->spec->annotations = annotations_new(o, name);
    return o;
}

static const char *found_custom(const struct f *f, enum swki_by by,
                                const char *value)
{
    const struct swki_selector selector = {
        .by = by,
        .text = "key",
        .value = value,
    };

    return found(f, SWKI_KIND_CONFIG, &selector);
}

static void drop_an_index(struct f *f, const char *id)
{
    struct swki_tx *tx = swki_store_begin(f->store, SWKI_ACTOR_CONTROL, 1);
    struct swki_object *o = swki_object_edit(
        swki_view_get(swki_tx_view(tx), SWKI_KIND_CONFIG, id));
    Swkpb__Config *config = swki_config_edit(o);

    assert_non_null(swki_object_own(o, &config->spec));
    config->spec->annotations->n_indices--;
    assert_int_equal(swki_tx_update(tx, o, NULL), 0);
    assert_int_equal(swki_tx_commit(tx, NULL, NULL, NULL, NULL), 0);
}

static void one_key_may_have_several_values(void **state)
{
    struct f *f = *state;
    struct swki_object *o = config_new("c", "c");
    Swkpb__Annotations *annotations = swki_config_edit(o)->spec->annotations;

    annotations->n_indices = 2;
    annotations->indices = swki_arena_calloc(swki_object_arena(o), 2,
                                             sizeof(annotations->indices[0]));
    set_index(o, annotations, 0, "value1");
    set_index(o, annotations, 1, "value2");
    assert_int_equal(storelog_seed(&f->log, f->store, o), 0);
    assert_string_equal(found_custom(f, SWKI_BY_CUSTOM, "value1"), "c ");
    assert_string_equal(found_custom(f, SWKI_BY_CUSTOM, "value2"), "c ");
    assert_string_equal(found_custom(f, SWKI_BY_CUSTOM, "value"), "");
    assert_string_equal(found_custom(f, SWKI_BY_CUSTOM_PREFIX, "val"), "c ");
    drop_an_index(f, "c");
    assert_string_equal(found_custom(f, SWKI_BY_CUSTOM, "value1"), "c ");
    assert_string_equal(found_custom(f, SWKI_BY_CUSTOM, "value2"), "");
    assert_string_equal(found_custom(f, SWKI_BY_CUSTOM_PREFIX, "value2"), "");
}

static void prefixes_of_names_ignore_case_and_those_of_ids_do_not(void **state)
{
    struct f *f = *state;

    assert_int_equal(
        storelog_seed(&f->log, f->store, config_new("IdOne", "NameB")), 0);
    assert_int_equal(
        storelog_seed(&f->log, f->store, config_new("IdTwo", "nameA")), 0);
    assert_string_equal(
        found_by(f, SWKI_KIND_CONFIG, SWKI_BY_NAME_PREFIX, "NAME"),
        "IdTwo IdOne ");
    assert_string_equal(found_by(f, SWKI_KIND_CONFIG, SWKI_BY_ID_PREFIX, "Id"),
                        "IdOne IdTwo ");
    assert_string_equal(found_by(f, SWKI_KIND_CONFIG, SWKI_BY_ID_PREFIX, "id"),
                        "");
}

/* Punctuation, capitals and bytes of UTF-8 share places in the trees' keys. */
static void ids_of_any_bytes_come_in_the_order_of_bytes(void **state)
{
    static const char *const ids[] = {"x\xc3\xa9", "x~", "x{", "x_", "xZ", "xA",
                                      "x:", "x.1", "x-1", "x", "xz", "x0"};
    struct f *f = *state;

    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        const char name[] = {(char)('a' + i), '\0'};

        assert_int_equal(
            storelog_seed(&f->log, f->store, config_new(ids[i], name)), 0);
    }
    assert_string_equal(
        found_by(f, SWKI_KIND_CONFIG, SWKI_BY_ALL, ""),
        "x x-1 x.1 x0 x: xA xZ x_ xz x{ x~ x\xc3\xa9 ");
    assert_string_equal(found_by(f, SWKI_KIND_CONFIG, SWKI_BY_ID_PREFIX, "x."),
                        "x.1 ");
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        assert_non_null(swki_view_get(swki_store_head(f->store),
                                      SWKI_KIND_CONFIG, ids[i]));
    }
}

/* -- Extensions and resources ---------------------------------------------- */

static struct swki_object *extension_new(const char *id, const char *name)
{
    struct swki_object *o = swki_object_new(NULL, SWKI_KIND_EXTENSION);

    swki_extension_edit(o)->id = swki_arena_strdup(swki_object_arena(o), id);
    swki_extension_edit(o)->annotations = annotations_new(o, name);
    return o;
}

static struct swki_object *resource_new(const char *id, const char *kind)
{
    struct swki_object *o = swki_object_new(NULL, SWKI_KIND_RESOURCE);

    swki_resource_edit(o)->id = swki_arena_strdup(swki_object_arena(o), id);
    swki_resource_edit(o)->kind = swki_arena_strdup(swki_object_arena(o), kind);
    swki_resource_edit(o)->annotations = annotations_new(o, id);
    return o;
}

static void expect_refusal(struct f *f, struct swki_tx *tx, int rc, int code,
                           const char *text)
{
    assert_int_equal(rc, code);
    assert_string_equal(f->err.text, text);
    swki_tx_rollback(tx, 0);
}

static void an_extension_cannot_have_the_name_of_a_table(void **state)
{
    struct f *f = *state;
    struct swki_tx *tx = swki_store_begin(f->store, SWKI_ACTOR_CONTROL, 1);

    for (int kind = 0; kind < SWKI_KINDS_COUNT; kind++) {
        const char *name = swki_kind_name((enum swki_kind)kind);

        expect_refusal(f, tx,
                       swki_tx_create(tx, extension_new("e", name), &f->err),
                       SWK_EEXIST, "name conflicts with an existing object");
    }
    swki_tx_abort(tx);
}

static void an_extension_cannot_be_updated(void **state)
{
    struct f *f = *state;
    const struct swki_object *old;
    struct swki_tx *tx;

    assert_int_equal(
        storelog_seed(&f->log, f->store, extension_new("e", "thing")), 0);
    tx = swki_store_begin(f->store, SWKI_ACTOR_CONTROL, 1);
    old = swki_view_get(swki_tx_view(tx), SWKI_KIND_EXTENSION, "e");
    expect_refusal(f, tx, swki_tx_update(tx, swki_object_edit(old), &f->err),
                   SWK_EINVAL, "extensions are immutable");
    swki_tx_abort(tx);
}

static void a_resource_needs_its_extension_and_keeps_it(void **state)
{
    struct f *f = *state;
    struct swki_tx *tx;

    assert_int_equal(
        storelog_seed(&f->log, f->store, extension_new("e", "thing")), 0);
    tx = swki_store_begin(f->store, SWKI_ACTOR_CONTROL, 1);
    expect_refusal(f, tx,
                   swki_tx_create(tx, resource_new("r", "other"), &f->err),
                   SWK_EPRECONDITION, "object kind is unregistered");
    assert_int_equal(swki_tx_create(tx, resource_new("r", "thing"), NULL), 0);
    assert_int_equal(swki_tx_commit(tx, NULL, NULL, NULL, NULL), 0);
    assert_string_equal(
        found_by(f, SWKI_KIND_RESOURCE, SWKI_BY_KIND, "thing"), "r ");

    tx = swki_store_begin(f->store, SWKI_ACTOR_CONTROL, 1);
    expect_refusal(f, tx,
                   swki_tx_delete(tx, SWKI_KIND_EXTENSION, "e", &f->err),
                   SWK_EPRECONDITION,
                   "cannot delete extension because objects of this type exist "
                   "in the data store");
    assert_int_equal(swki_tx_delete(tx, SWKI_KIND_RESOURCE, "r", NULL), 0);
    assert_int_equal(swki_tx_delete(tx, SWKI_KIND_EXTENSION, "e", NULL), 0);
    assert_int_equal(swki_tx_commit(tx, NULL, NULL, NULL, NULL), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(nodes_are_found_by_hostname_if_they_have_one),
        TEST(a_task_is_named_by_service_slot_or_node_and_id),
        TEST(one_key_may_have_several_values),
        TEST(prefixes_of_names_ignore_case_and_those_of_ids_do_not),
        TEST(ids_of_any_bytes_come_in_the_order_of_bytes),
        TEST(an_extension_cannot_have_the_name_of_a_table),
        TEST(an_extension_cannot_be_updated),
        TEST(a_resource_needs_its_extension_and_keeps_it),
    };

    return cmocka_run_group_tests_name("store, finding", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */

/* What the leader says of certificates that end. */

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/ca/bootstrap.h"
#include "core/ca/expiry.h"
#include "lib/storelog.h"
#include "unit/crypto/pki.h"
#include "wire/message.h"

#define DAY (24 * (swk_wall)SWK_HOUR)

struct f {
    struct pki pki;
    struct storelog log;
    struct swki_store *store;
    struct swki_ca_expiry expiry;
    struct swk_logger logger;
    unsigned said;   /* lines since they were last asked for */
    char nodes[512]; /* the last line of each kind */
    char shorter[512];
    char root[512];
    swk_time now;
    swk_wall wall;
};

static void take(void *ctx, const struct swk_log_record *record)
{
    struct f *f = ctx;
    bool of_root = strstr(record->message, "root") != NULL;
    bool of_length = strstr(record->message, "are valid for") != NULL;

    f->said++;
    snprintf(of_length ? f->shorter
             : of_root ? f->root
                       : f->nodes,
             sizeof(f->root), "%s", record->message);
}

static void found_swarm(struct f *f)
{
    const struct swki_ca_bootstrap bootstrap = {
        .cluster_id = PKI_SWARM,
        .node_id = "m1",
        .root_certificate = swki_pem_of_buf(&f->pki.root),
        .root_key = swki_pem_of_buf(&f->pki.key),
        .entropy = &f->pki.entropy,
    };
    struct swki_object *cluster = swki_object_new(NULL, SWKI_KIND_CLUSTER);

    assert_int_equal(
        swki_ca_bootstrap_cluster(&bootstrap, swki_object_arena(cluster),
                                  swki_cluster_edit(cluster), NULL),
        0);
    assert_int_equal(storelog_seed(&f->log, f->store, cluster), 0);
}

/* A node whose certificate ends then; 0: it is not known. */
static void add_node(struct f *f, const char *id, swk_wall not_after)
{
    struct swki_object *object = swki_object_new(NULL, SWKI_KIND_NODE);
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__Node *node = swki_node_edit(object);

    node->id = swki_arena_strdup(arena, id);
    node->certificate = swki_arena_alloc(arena, sizeof(*node->certificate));
    swkpb__certificate__init(node->certificate);
    if (not_after != 0) {
        node->certificate->not_after =
            swki_timestamp_from_wall(not_after, arena);
    }
    assert_int_equal(storelog_seed(&f->log, f->store, object), 0);
}

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));
    const struct swki_store_config config = {.proposer =
                                                 storelog_proposer(&f->log)};

    pki_init(&f->pki, 31);
    f->log.leads = true;
    f->wall = PKI_NOW;
    f->logger = (struct swk_logger){
        .size = sizeof(f->logger),
        .ctx = f,
        .log = take,
    };
    assert_int_equal(swki_store_new(&config, &f->store, NULL), 0);
    found_swarm(f);
    swki_ca_expiry_init(&f->expiry, &f->logger, f->store, 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_store_free(f->store);
    storelog_fini(&f->log);
    pki_fini(&f->pki);
    free(f);
    return 0;
}

/* Goes on to the next look, and returns how much was said. */
static unsigned look(struct f *f)
{
    f->said = 0;
    f->now = swki_ca_expiry_deadline(&f->expiry);
    swki_ca_expiry_step(&f->expiry, f->now - 1, f->wall);
    assert_int_equal(f->said, 0);
    swki_ca_expiry_step(&f->expiry, f->now, f->wall);
    return f->said;
}

static void swarm_in_order_is_silent(void **state)
{
    struct f *f = *state;

    add_node(f, "n1", PKI_NOW + 90 * DAY);
    add_node(f, "n2", PKI_NOW + 18 * DAY);
    add_node(f, "n3", 0);
    assert_int_equal(look(f), 0);
}

static void nodes_that_are_late_are_counted_and_named_every_day(void **state)
{
    struct f *f = *state;
    swk_time first;

    add_node(f, "n1", PKI_NOW + 18 * DAY - 1);
    add_node(f, "n2", PKI_NOW - 1);
    assert_int_equal(look(f), 1);
    assert_string_equal(f->nodes,
                        "nodes that are late to renew their certificates: n1, "
                        "n2 (2, of which ended: 1)");
    first = f->now;
    assert_int_equal(look(f), 1);
    assert_true(f->now - first == 24 * SWK_HOUR);
}

static void many_late_nodes_make_one_line(void **state)
{
    struct f *f = *state;

    for (int i = 0; i < 100; i++) {
        char id[SWK_ID_LEN_MAX + 1];

        snprintf(id, sizeof(id), "%064d", i);
        add_node(f, id, PKI_NOW - 1);
    }
    assert_int_equal(look(f), 1);
    assert_non_null(strstr(f->nodes, "0003, ... (100, of which ended: 100)"));
    assert_null(strstr(f->nodes, "0004"));
}

static void root_is_warned_of_a_year_before_its_end(void **state)
{
    struct f *f = *state;
    const swk_wall end = PKI_NOW + 20 * 365 * DAY;

    f->wall = end - 366 * DAY;
    assert_int_equal(look(f), 0);
    f->wall = end - 364 * DAY;
    assert_int_equal(look(f), 1);
    assert_non_null(strstr(f->root, "root certificate ends in 36"));
    assert_non_null(strstr(f->root, "swarmctl cluster ca rotate"));
    f->wall = end + 3 * DAY;
    assert_int_equal(look(f), 1);
    assert_non_null(strstr(f->root, "ended"));
}

static void shorter_certificates_are_told_of(void **state)
{
    struct f *f = *state;
    const swk_wall end = PKI_NOW + 20 * 365 * DAY;

    f->wall = end - 91 * DAY;
    assert_int_equal(look(f), 1); /* of the root alone */
    f->wall = end - 20 * DAY;
    assert_int_equal(look(f), 2);
    assert_non_null(strstr(f->shorter, "valid for 19 days, and not the 90"));
    assert_non_null(strstr(f->shorter, "swarmctl cluster ca rotate"));
    f->wall = end + DAY;
    assert_int_equal(look(f), 1); /* there are none any more */
}

/* ---- joins that came to nothing ---- */

struct join {
    const char *id;
    Swkpb__IssuanceStatus__State state;
    swk_wall since;
    bool seen; /* by a manager */
    bool issued;
};

static void add_join(struct f *f, const struct join *join)
{
    struct swki_object *object = swki_object_new(NULL, SWKI_KIND_NODE);
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__Node *node = swki_node_edit(object);

    node->id = swki_arena_strdup(arena, join->id);
    node->meta = swki_arena_alloc(arena, sizeof(*node->meta));
    swkpb__meta__init(node->meta);
    node->meta->created_at = swki_timestamp_from_wall(join->since, arena);
    node->certificate = swki_arena_alloc(arena, sizeof(*node->certificate));
    swkpb__certificate__init(node->certificate);
    node->certificate->status =
        swki_arena_alloc(arena, sizeof(*node->certificate->status));
    swkpb__issuance_status__init(node->certificate->status);
    node->certificate->status->state = join->state;
    if (join->issued) {
        node->certificate->certificate =
            (ProtobufCBinaryData){1, swki_arena_memdup(arena, "x", 1)};
    }
    if (join->seen) {
        node->description = swki_arena_alloc(arena, sizeof(*node->description));
        swkpb__node_description__init(node->description);
    }
    assert_int_equal(storelog_seed(&f->log, f->store, object), 0);
}

static bool is_there(struct f *f, const char *id)
{
    return swki_view_get(swki_store_head(f->store), SWKI_KIND_NODE, id) != NULL;
}

#define JOIN_STATE(name) SWKPB__ISSUANCE_STATUS__STATE__##name

static void joins_that_came_to_nothing_are_removed_after_a_day(void **state)
{
    const struct join joins[] = {
        {"n1", JOIN_STATE(PENDING), PKI_NOW - DAY - 1, false, false},
        {"n2", JOIN_STATE(FAILED), PKI_NOW - 3 * DAY, false, false},
        {"n3", JOIN_STATE(PENDING), PKI_NOW - DAY, false, false},
        {"n4", JOIN_STATE(PENDING), PKI_NOW - 3 * DAY, true, false},
        {"n5", JOIN_STATE(FAILED), PKI_NOW - 3 * DAY, false, true},
        {"n6", JOIN_STATE(ISSUED), PKI_NOW - 3 * DAY, false, true},
        {"n7", JOIN_STATE(RENEW), PKI_NOW - 3 * DAY, false, false},
    };
    struct f *f = *state;

    for (size_t i = 0; i < sizeof(joins) / sizeof(joins[0]); i++) {
        add_join(f, &joins[i]);
    }
    look(f);
    for (size_t i = 0; i < sizeof(joins) / sizeof(joins[0]); i++) {
        if (is_there(f, joins[i].id) != (i >= 2)) {
            fail_msg("%s is %s", joins[i].id, i >= 2 ? "gone" : "there");
        }
    }
    assert_non_null(strstr(f->nodes, "removed 2 nodes that asked to join"));
    f->wall += 1;
    look(f);
    assert_false(is_there(f, "n3"));
}

static void many_joins_are_removed_by_and_by(void **state)
{
    struct f *f = *state;

    for (int i = 0; i < 100; i++) {
        char id[SWK_ID_LEN_MAX + 1];
        const struct join join = {id, JOIN_STATE(PENDING), PKI_NOW - 2 * DAY,
                                  false, false};

        snprintf(id, sizeof(id), "n%03d", i);
        add_join(f, &join);
    }
    look(f);
    assert_false(is_there(f, "n000"));
    assert_true(is_there(f, "n050"));
    for (int i = 0; i < 3; i++) {
        swk_time before = f->now;

        look(f);
        assert_int_equal(f->now, before + SWK_SECOND);
    }
    assert_false(is_there(f, "n050") || is_there(f, "n099"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(swarm_in_order_is_silent),
        TEST(nodes_that_are_late_are_counted_and_named_every_day),
        TEST(many_late_nodes_make_one_line),
        TEST(root_is_warned_of_a_year_before_its_end),
        TEST(shorter_certificates_are_told_of),
        TEST(joins_that_came_to_nothing_are_removed_after_a_day),
        TEST(many_joins_are_removed_by_and_by),
    };

    return cmocka_run_group_tests_name("expiry", tests, NULL, NULL);
}

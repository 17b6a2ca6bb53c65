/* SPDX-License-Identifier: Apache-2.0 */

/* How a swarm begins, and how it goes on when its beginning was cut short. */

#include "lib/cmocka_all.h"

#include "directory.h"
#include "node/founding.h"
#include "node/state_dir.h"
#include "unit/crypto/pki.h"

#define FOLDER "certificates"
#define ROOT_KEY "swarm-root-ca.key"
#define ROOTS "swarm-root-ca.crt"
#define CHAIN "swarm-node.crt"
#define CHAIN_NEW ".swarm-node.crt"
#define KEY "swarm-node.key"

/* One start of a manager in a directory. */
struct start {
    struct swki_founding founding;
    struct swki_credentials credentials;
    int rc;
};

struct f {
    struct pki pki; /* entropy, and an operator's own authority */
    struct directory dir;
    struct swk_clock clock;
};

static swk_wall wall(void *ctx)
{
    (void)ctx;
    return PKI_NOW;
}

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    pki_init(&f->pki, 3);
    directory_init(&f->dir);
    f->clock = (struct swk_clock){.size = sizeof(f->clock), .wall = wall};
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    directory_fini(&f->dir);
    pki_fini(&f->pki);
    free(f);
    return 0;
}

static int start_in(struct f *f, const struct directory *dir,
                    struct start *start)
{
    swki_founding_init(&start->founding, NULL);
    swki_credentials_init(&start->credentials, NULL);
    start->rc =
        swki_founding_identity(&start->founding, dir->path,
                               &start->credentials, &f->clock,
                               &f->pki.entropy, NULL);
    return start->rc;
}

static void end(struct start *start)
{
    swki_founding_fini(&start->founding);
    swki_credentials_fini(&start->credentials);
}

static bool same(const struct swki_buf *a, const struct swki_buf *b)
{
    return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

static void a_new_swarm_has_a_root_and_a_manager(void **state)
{
    struct f *f = *state;
    struct start start;
    struct swki_object *cluster;
    struct swki_object *node;

    assert_int_equal(start_in(f, &f->dir, &start), 0);
    assert_true(start.founding.unsettled);
    assert_int_equal(start.credentials.identity.role, SWKI_ROLE_MANAGER);
    assert_int_equal(directory_mode(&f->dir, FOLDER "/" ROOT_KEY), 0600);
    assert_int_equal(swki_founding_objects(&start.founding, &start.credentials,
                                           NULL, &f->pki.entropy, &cluster,
                                           &node, NULL),
                     0);
    assert_string_equal(swki_cluster_edit(cluster)->id,
                        start.credentials.identity.swarm_id);
    assert_string_equal(swki_node_edit(node)->id,
                        start.credentials.identity.node_id);
    assert_int_equal(swki_node_edit(node)->certificate->status->state,
                     SWKPB__ISSUANCE_STATUS__STATE__ISSUED);
    swki_object_unref(cluster);
    swki_object_unref(node);
    end(&start);
}

static void a_swarm_that_is_settled_keeps_no_key(void **state)
{
    struct f *f = *state;
    struct start first;
    struct start second;
    struct swki_object *cluster;
    struct swki_object *node;

    assert_int_equal(start_in(f, &f->dir, &first), 0);
    swki_founding_settle(&first.founding, f->dir.path);
    assert_false(directory_has(&f->dir, FOLDER "/" ROOT_KEY));
    assert_int_equal(first.founding.root_key.len, 0);
    assert_int_equal(start_in(f, &f->dir, &second), 0);
    assert_false(second.founding.unsettled);
    assert_string_equal(second.credentials.identity.node_id,
                        first.credentials.identity.node_id);
    assert_int_equal(
        swki_founding_objects(&second.founding, &second.credentials, NULL,
                              &f->pki.entropy, &cluster, &node, NULL),
        0);
    assert_null(cluster);
    assert_null(node);
    end(&first);
    end(&second);
}

/* The files of a founding that was cut short after so many writes. */
static void copy_partly(const struct directory *from,
                        const struct directory *to, int writes)
{
    struct swki_buf chain;
    char path[128];

    snprintf(path, sizeof(path), "%s/" FOLDER "/" CHAIN, from->path);
    swki_buf_init(&chain, NULL, SIZE_MAX);
    assert_int_equal(swki_file_read(path, 1 << 20, &chain, NULL), 0);
    if (writes >= 1) {
        directory_copy(from, to, FOLDER, ROOT_KEY);
    }
    if (writes >= 2) {
        directory_copy(from, to, FOLDER, ROOTS);
    }
    if (writes >= 3 && writes < 5) {
        directory_put(to, FOLDER, CHAIN_NEW, chain.data, chain.len);
    }
    if (writes >= 4) {
        directory_copy(from, to, FOLDER, KEY);
    }
    if (writes >= 5) {
        directory_copy(from, to, FOLDER, CHAIN);
    }
    swki_buf_fini(&chain);
}

static void a_founding_cut_short_goes_on_with_the_same_root(void **state)
{
    struct f *f = *state;
    struct start first;

    assert_int_equal(start_in(f, &f->dir, &first), 0);
    for (int writes = 0; writes <= 5; writes++) {
        struct directory dir;
        struct start second;
        struct start third;

        directory_init(&dir);
        copy_partly(&f->dir, &dir, writes);
        assert_int_equal(start_in(f, &dir, &second), 0);
        assert_true(second.founding.unsettled);
        assert_int_equal(writes >= 1, same(&second.founding.root_key,
                                           &first.founding.root_key));
        assert_int_equal(writes >= 2, same(&second.credentials.roots,
                                           &first.credentials.roots));
        assert_int_equal(writes >= 4,
                         strcmp(second.credentials.identity.node_id,
                                first.credentials.identity.node_id) == 0);
        assert_int_equal(start_in(f, &dir, &third), 0);
        assert_string_equal(third.credentials.identity.node_id,
                            second.credentials.identity.node_id);
        end(&second);
        end(&third);
        directory_fini(&dir);
    }
    end(&first);
}

static void an_operators_root_is_honoured(void **state)
{
    struct f *f = *state;
    struct start start;

    directory_put(&f->dir, FOLDER, ROOTS, f->pki.root.data, f->pki.root.len);
    directory_put(&f->dir, FOLDER, ROOT_KEY, f->pki.key.data, f->pki.key.len);
    assert_int_equal(start_in(f, &f->dir, &start), 0);
    assert_true(start.founding.unsettled);
    assert_true(same(&start.credentials.roots, &f->pki.root));
    assert_true(same(&start.founding.root_key, &f->pki.key));
    end(&start);
}

static void an_operators_key_alone_is_not_overwritten(void **state)
{
    struct f *f = *state;
    struct start start;

    directory_put(&f->dir, FOLDER, ROOT_KEY, f->pki.key.data, f->pki.key.len);
    assert_int_equal(start_in(f, &f->dir, &start), 0);
    assert_true(same(&start.founding.root_key, &f->pki.key));
    end(&start);
}

static void a_root_without_its_key_founds_nothing(void **state)
{
    struct f *f = *state;
    struct start start;

    directory_put(&f->dir, FOLDER, ROOTS, f->pki.root.data, f->pki.root.len);
    assert_int_equal(start_in(f, &f->dir, &start), SWK_EINVAL);
    assert_false(directory_has(&f->dir, FOLDER "/" KEY));
    end(&start);
}

static void a_root_with_another_roots_key_founds_nothing(void **state)
{
    struct f *f = *state;
    struct pki other;
    struct start start;

    pki_init(&other, 4);
    directory_put(&f->dir, FOLDER, ROOTS, f->pki.root.data, f->pki.root.len);
    directory_put(&f->dir, FOLDER, ROOT_KEY, other.key.data, other.key.len);
    assert_int_not_equal(start_in(f, &f->dir, &start), 0);
    assert_false(directory_has(&f->dir, FOLDER "/" KEY));
    end(&start);
    pki_fini(&other);
}

static void damage_never_founds_another_swarm(void **state)
{
    static const char *const names[] = {ROOTS, CHAIN, KEY};
    struct f *f = *state;
    struct start start;

    for (size_t i = 0; i < 3; i++) {
        struct directory dir;

        directory_init(&dir);
        assert_int_equal(start_in(f, &dir, &start), 0);
        end(&start);
        directory_put(&dir, FOLDER, names[i], "damaged", 7);
        assert_int_not_equal(start_in(f, &dir, &start), 0);
        end(&start);
        directory_fini(&dir);
    }
}

static void a_workers_identity_leads_no_swarm(void **state)
{
    struct f *f = *state;
    struct pki_node worker;
    struct start start;

    pki_node_init(&f->pki, &worker, "worker", SWKI_ROLE_WORKER);
    directory_put(&f->dir, FOLDER, ROOTS, f->pki.root.data, f->pki.root.len);
    directory_put(&f->dir, FOLDER, CHAIN, worker.chain.data, worker.chain.len);
    directory_put(&f->dir, FOLDER, KEY, worker.key.data, worker.key.len);
    assert_int_equal(start_in(f, &f->dir, &start), SWK_EINVAL);
    end(&start);
    pki_node_fini(&worker);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_new_swarm_has_a_root_and_a_manager),
        TEST(a_swarm_that_is_settled_keeps_no_key),
        TEST(a_founding_cut_short_goes_on_with_the_same_root),
        TEST(an_operators_root_is_honoured),
        TEST(an_operators_key_alone_is_not_overwritten),
        TEST(a_root_without_its_key_founds_nothing),
        TEST(a_root_with_another_roots_key_founds_nothing),
        TEST(damage_never_founds_another_swarm),
        TEST(a_workers_identity_leads_no_swarm),
    };

    return cmocka_run_group_tests_name("founding", tests, NULL, NULL);
}

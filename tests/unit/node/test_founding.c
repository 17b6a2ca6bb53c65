/* SPDX-License-Identifier: Apache-2.0 */

/* How a swarm begins, and how it goes on when its beginning was cut short. */

#include "lib/cmocka_all.h"

#include "crypto/job.h"
#include "directory.h"
#include "node/identity/founding.h"
#include "node/identity/state_dir.h"
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

/* A signer that keeps the key, and answers within sign(). */
struct vault {
    struct swk_signer port;
    struct swki_job_keys keys;
    struct swki_buf root_key;
    int code; /* 0: it works */
    bool hands_out_key;
    bool cheats; /* signs for another node */
    unsigned roots_made;
};

struct f {
    struct pki pki; /* entropy, and an operator's own authority */
    struct directory dir;
    struct swk_clock clock;
    struct vault vault;
};

static swk_wall wall(void *ctx)
{
    (void)ctx;
    return PKI_NOW;
}

static struct swk_bytes bytes_of(const struct swki_buf *buf)
{
    return (struct swk_bytes){buf->data, buf->len};
}

static void do_job(struct vault *vault, const struct swk_sign_request *asked,
                   struct swki_job_output *output,
                   struct swk_sign_result *result, struct swk_error *err)
{
    struct swk_sign_request request = *asked;

    if (request.authority_key.len == 0) {
        request.authority_key = bytes_of(&vault->root_key);
    }
    if (vault->cheats && request.kind == SWK_SIGN_NODE) {
        request.node_id = "another";
    }
    result->code = vault->code != 0
                       ? vault->code
                       : swki_job_sign(&vault->keys, &request, output, err);
    result->text = err->text;
    result->certificate = bytes_of(&output->certificate);
    if (result->code == 0 && request.kind == SWK_SIGN_ROOT) {
        vault->roots_made++;
        swki_buf_clear(&vault->root_key);
        assert_true(swki_buf_append(&vault->root_key, output->key.data,
                                    output->key.len));
        if (vault->hands_out_key) {
            result->key = bytes_of(&output->key);
        }
    }
}

static int vault_sign(void *ctx, uint64_t id,
                      const struct swk_sign_request *request,
                      swk_sign_done_fn done, void *done_ctx,
                      struct swk_error *err)
{
    struct swk_sign_result result = {.size = sizeof(result)};
    struct swki_job_output output;
    struct swk_error why = {0};

    (void)err;
    swki_job_output_init(&output, NULL);
    do_job(ctx, request, &output, &result, &why);
    done(done_ctx, id, &result);
    swki_job_output_fini(&output);
    return 0;
}

static void vault_forget(void *ctx, void *done_ctx)
{
    (void)ctx;
    (void)done_ctx;
}

static void vault_init(struct vault *vault, const struct swk_entropy *entropy)
{
    swki_job_keys_init(&vault->keys, NULL, entropy);
    swki_buf_init(&vault->root_key, NULL, SIZE_MAX);
    vault->port = (struct swk_signer){
        .size = sizeof(vault->port),
        .ctx = vault,
        .sign = vault_sign,
        .forget = vault_forget,
    };
}

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    pki_init(&f->pki, 3);
    directory_init(&f->dir);
    f->clock = (struct swk_clock){.size = sizeof(f->clock), .wall = wall};
    vault_init(&f->vault, &f->pki.entropy);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    directory_fini(&f->dir);
    swki_buf_fini(&f->vault.root_key);
    swki_job_keys_fini(&f->vault.keys);
    pki_fini(&f->pki);
    free(f);
    return 0;
}

static int start_with(struct f *f, const struct directory *dir,
                      const struct swk_signer *signer, struct start *start)
{
    swki_founding_init(&start->founding, NULL);
    start->founding.signer = signer;
    swki_credentials_init(&start->credentials, NULL);
    start->rc =
        swki_founding_identity(&start->founding, dir->path,
                               &start->credentials, &f->clock,
                               &f->pki.entropy, NULL);
    return start->rc;
}

static int start_in(struct f *f, const struct directory *dir,
                    struct start *start)
{
    return start_with(f, dir, NULL, start);
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

/* ---- with a signer ---- */

#define MARK "swarm-founding"

static void a_signer_makes_the_root_and_keeps_its_key(void **state)
{
    struct f *f = *state;
    struct swki_object *cluster;
    struct swki_object *node;
    struct start start;

    assert_int_equal(start_with(f, &f->dir, &f->vault.port, &start), 0);
    assert_int_equal(f->vault.roots_made, 1);
    assert_int_equal(start.credentials.identity.role, SWKI_ROLE_MANAGER);
    assert_true(start.founding.unsettled);
    assert_false(directory_has(&f->dir, FOLDER "/" ROOT_KEY));
    assert_int_equal(swki_founding_objects(&start.founding, &start.credentials,
                                           NULL, &f->pki.entropy, &cluster,
                                           &node, NULL),
                     0);
    assert_int_equal(swki_cluster(cluster)->root_ca->ca_key.len, 0);
    assert_true(swki_cluster(cluster)->root_ca->ca_cert.len > 0);
    assert_non_null(swki_node(node)->certificate->not_after);
    swki_object_unref(cluster);
    swki_object_unref(node);
    end(&start);
}

static void a_founding_with_a_signer_goes_on_after_a_crash(void **state)
{
    struct f *f = *state;
    struct start first;
    struct start second;

    assert_int_equal(start_with(f, &f->dir, &f->vault.port, &first), 0);
    assert_int_equal(start_with(f, &f->dir, &f->vault.port, &second), 0);
    assert_true(second.founding.unsettled);
    assert_int_equal(f->vault.roots_made, 1);
    assert_string_equal(first.credentials.identity.node_id,
                        second.credentials.identity.node_id);
    swki_founding_settle(&second.founding, f->dir.path);
    assert_false(second.founding.unsettled);
    assert_false(directory_has(&f->dir, FOLDER "/" MARK));
    end(&first);
    end(&second);
}

static void a_root_whose_key_the_signer_has_founds_a_swarm(void **state)
{
    struct f *f = *state;
    struct start start;

    directory_put(&f->dir, FOLDER, ROOTS, f->pki.root.data, f->pki.root.len);
    assert_true(swki_buf_append(&f->vault.root_key, f->pki.key.data,
                                f->pki.key.len));
    assert_int_equal(start_with(f, &f->dir, &f->vault.port, &start), 0);
    assert_int_equal(f->vault.roots_made, 0);
    assert_true(same(&start.credentials.roots, &f->pki.root));
    assert_true(start.founding.unsettled);
    end(&start);
}

static void a_key_that_a_signer_hands_out_is_kept_as_ones_own(void **state)
{
    struct f *f = *state;
    struct start start;

    f->vault.hands_out_key = true;
    assert_int_equal(start_with(f, &f->dir, &f->vault.port, &start), 0);
    assert_true(directory_has(&f->dir, FOLDER "/" ROOT_KEY));
    assert_true(same(&start.founding.root_key, &f->vault.root_key));
    end(&start);
}

static void a_signer_that_fails_or_cheats_founds_nothing(void **state)
{
    struct f *f = *state;
    struct start start;

    f->vault.code = SWK_EUNAVAILABLE;
    assert_int_equal(start_with(f, &f->dir, &f->vault.port, &start),
                     SWK_EUNAVAILABLE);
    end(&start);
    f->vault.code = 0;
    f->vault.cheats = true;
    assert_int_equal(start_with(f, &f->dir, &f->vault.port, &start),
                     SWK_EINVAL);
    assert_false(directory_has(&f->dir, FOLDER "/" KEY));
    end(&start);
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
        cmocka_unit_test_setup_teardown(a_signer_makes_the_root_and_keeps_its_key,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_founding_with_a_signer_goes_on_after_a_crash,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_root_whose_key_the_signer_has_founds_a_swarm,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_that_a_signer_hands_out_is_kept_as_ones_own,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_signer_that_fails_or_cheats_founds_nothing,
                                        set_up, tear_down),
    };

    return cmocka_run_group_tests_name("founding", tests, NULL, NULL);
}

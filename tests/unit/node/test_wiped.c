/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What becomes of secrets in memory: this program's free() looks at all that is
 * released, by the library, by mbedTLS or anybody, for secrets that are still
 * in it.
 */

#include "lib/cmocka_all.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <swarmkit/join_token.h>
#include <swarmkit/posix.h>
#include <swarmkit/unlock_key.h>

#include "../crypto/pki.h"
#include "core/store/store.h"
#include "directory.h"
#include "lib/storelog.h"
#include "node/identity/credentials.h"

enum {
    WANTED_MAX = 4,
};

/* Secrets that are looked for, in memory that free() does not see. */
static struct {
    uint8_t bytes[WANTED_MAX][64];
    size_t lens[WANTED_MAX];
    int count;
    int found; /* blocks that were released with one in them */
} wanted;

void __libc_free(void *ptr);

static void look(void *ptr)
{
    for (int i = 0; i < wanted.count; i++) {
        if (memmem(ptr, malloc_usable_size(ptr), wanted.bytes[i],
                   wanted.lens[i]) != NULL) {
            wanted.found++;
        }
    }
}

void free(void *ptr)
{
    if (ptr != NULL && wanted.count > 0) {
        look(ptr);
    }
    __libc_free(ptr);
}

/* What moves leaves a block behind, too. */
void *realloc(void *ptr, size_t size)
{
    size_t room = ptr != NULL ? malloc_usable_size(ptr) : 0;
    void *moved = malloc(size);

    if (moved != NULL && ptr != NULL) {
        memcpy(moved, ptr, room < size ? room : size);
        free(ptr);
    }
    return moved;
}

static void look_for(const void *secret, size_t len)
{
    if (len > sizeof(wanted.bytes[0])) {
        len = sizeof(wanted.bytes[0]);
    }
    memcpy(wanted.bytes[wanted.count], secret, len);
    wanted.lens[wanted.count++] = len;
}

static int set_up(void **state)
{
    (void)state;
    memset(&wanted, 0, sizeof(wanted));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    memset(&wanted, 0, sizeof(wanted));
    return 0;
}

/* -- Whether the test sees anything --------------------------------------- */

static void memory_that_is_not_wiped_is_noticed(void **state)
{
    char *data = strdup("a secret that stays");
    char *large = malloc(100);

    (void)state;
    look_for("a secret that stays", 19);
    memcpy(large + 50, data, 19);
    large = realloc(large, 10000);
    assert_int_equal(wanted.found, 1);
    free(data);
    assert_int_equal(wanted.found, 2);
    explicit_bzero(large, malloc_usable_size(large)); /* memset() would go */
    free(large);
    assert_int_equal(wanted.found, 2);
}

/* -- Secrets of the swarm ------------------------------------------------- */

static struct swki_object *make_secret(const struct swk_alloc *alloc)
{
    struct swki_object *object = swki_object_new(alloc, SWKI_KIND_SECRET);
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__Secret *secret = swki_secret_edit(object);

    secret->id = swki_arena_strdup(arena, "s1");
    secret->spec = swki_arena_calloc(arena, 1, sizeof(*secret->spec));
    swkpb__secret_spec__init(secret->spec);
    secret->spec->annotations =
        swki_arena_calloc(arena, 1, sizeof(Swkpb__Annotations));
    swkpb__annotations__init(secret->spec->annotations);
    secret->spec->annotations->name = swki_arena_strdup(arena, "name");
    secret->spec->data.len = wanted.lens[0];
    secret->spec->data.data =
        swki_arena_memdup(arena, wanted.bytes[0], wanted.lens[0]);
    return object;
}

static void commit(struct swki_store *store, struct swki_object *object)
{
    struct swki_tx *tx = swki_store_begin(store, SWKI_ACTOR_CONTROL, 0);

    if (object != NULL) {
        assert_int_equal(swki_tx_create(tx, object, NULL), 0);
    } else {
        assert_int_equal(swki_tx_delete(tx, SWKI_KIND_SECRET, "s1", NULL), 0);
    }
    assert_int_equal(swki_tx_commit(tx, NULL, NULL, NULL, NULL), 0);
}

/* Made on one manager; another one gets the entry, a third the snapshot. */
static void a_stored_secret_is_gone_when_it_is_deleted(void **state)
{
    const struct swk_alloc *alloc = swk_posix_wiping_alloc();
    struct swki_store_config config = {.alloc = alloc};
    struct storelog *log = calloc(1, sizeof(*log));
    struct swki_store *stores[3];
    struct swki_buf snapshot;

    (void)state;
    look_for("the payload of a secret", 23);
    for (int i = 1; i < 3; i++) {
        assert_int_equal(swki_store_new(&config, &stores[i], NULL), 0);
    }
    log->leads = true;
    config.proposer = storelog_proposer(log);
    assert_int_equal(swki_store_new(&config, &stores[0], NULL), 0);
    commit(stores[0], make_secret(alloc));
    storelog_commit_all(log, stores[0]);
    assert_int_equal(swki_store_apply(stores[1], 1, log->entries[1].data,
                                      log->entries[1].len, NULL),
                     0);
    swki_buf_init(&snapshot, alloc, SIZE_MAX);
    assert_int_equal(
        swki_view_save(swki_store_committed(stores[1]), &snapshot, NULL), 0);
    assert_int_equal(
        swki_store_restore(stores[2], 1, snapshot.data, snapshot.len, NULL), 0);
    swki_buf_fini(&snapshot);
    commit(stores[0], NULL);
    storelog_commit_all(log, stores[0]);
    assert_int_equal(swki_store_apply(stores[1], 2, log->entries[2].data,
                                      log->entries[2].len, NULL),
                     0);
    for (int i = 0; i < 3; i++) {
        swki_store_free(stores[i]);
    }
    assert_int_equal(wanted.found, 0);
    wanted.count = 0; /* the test's own log is not wiped */
    storelog_fini(log);
    free(log);
}

/* -- Keys of a node ------------------------------------------------------- */

/* A part of the key's text, behind its first line: nothing but the key. */
static void look_for_key(const struct swki_buf *key)
{
    const char *line = strchr((const char *)key->data, '\n') + 1;

    /* The first bytes are alike in all keys. */
    look_for(line + 40, strcspn(line + 40, "\n"));
}

static void a_node_key_is_gone_when_it_was_saved_loaded_and_used(void **state)
{
    struct swki_credentials credentials;
    struct swki_tls_context *context;
    struct directory dir;
    struct pki_node node;
    struct pki pki;

    (void)state;
    pki_init(&pki, 3);
    pki_node_init(&pki, &node, "n1", SWKI_ROLE_MANAGER);
    directory_init(&dir);
    directory_put(&dir, ".", "swarm-root-ca.crt", pki.root.data, pki.root.len);
    directory_put(&dir, ".", "swarm-node.crt", node.chain.data, node.chain.len);
    directory_put(&dir, ".", "swarm-node.key", node.key.data, node.key.len);
    look_for_key(&node.key);
    swki_credentials_init(&credentials, swk_posix_wiping_alloc());
    assert_int_equal(swki_credentials_load(&credentials, dir.path, PKI_NOW,
                                           &pki.entropy, NULL),
                     0);
    assert_int_equal(swki_credentials_tls(&credentials, SWKI_TLS_SERVER,
                                          swk_posix_wiping_alloc(),
                                          swk_posix_clock(), &pki.entropy,
                                          &context, NULL),
                     0);
    swki_tls_context_unref(context);
    assert_int_equal(swki_credentials_save(&credentials, dir.path, NULL), 0);
    swki_credentials_fini(&credentials);
    assert_int_equal(wanted.found, 0);
    wanted.count = 0; /* the test's own copy */
    directory_fini(&dir);
    pki_node_fini(&node);
    pki_fini(&pki);
}

static void an_unlock_key_is_gone_when_it_has_locked_and_unlocked(void **state)
{
    const struct swk_alloc *alloc = swk_posix_wiping_alloc();
    struct swki_credentials credentials;
    struct swk_unlock_key unlock_key;
    struct swki_data_keys next = {
        .has_current = true,
        .is_locked = true,
        .current = "the data key of a manager's log",
    };
    struct directory dir;
    struct pki_node node;
    struct pki pki;

    (void)state;
    pki_init(&pki, 4);
    pki_node_init(&pki, &node, "n1", SWKI_ROLE_MANAGER);
    directory_init(&dir);
    directory_put(&dir, ".", "swarm-root-ca.crt", pki.root.data, pki.root.len);
    directory_put(&dir, ".", "swarm-node.crt", node.chain.data, node.chain.len);
    directory_put(&dir, ".", "swarm-node.key", node.key.data, node.key.len);
    swki_rng_fill(&pki.rng, unlock_key.bytes, sizeof(unlock_key.bytes));
    next.unlock_key = unlock_key;
    look_for(unlock_key.bytes, sizeof(unlock_key.bytes));
    look_for(next.current, sizeof(next.current));
    look_for_key(&node.key);
    for (int i = 0; i < 2; i++) {
        swki_credentials_init(&credentials, alloc);
        swki_credentials_offer(&credentials, &unlock_key);
        assert_int_equal(swki_credentials_load(&credentials, dir.path, PKI_NOW,
                                               &pki.entropy, NULL),
                         0);
        assert_int_equal(swki_credentials_change_keys(
                             &credentials, dir.path, &next, &pki.entropy, NULL),
                         0);
        swki_credentials_fini(&credentials);
    }
    assert_int_equal(wanted.found, 0);
    wanted.count = 0;
    directory_fini(&dir);
    pki_node_fini(&node);
    pki_fini(&pki);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(memory_that_is_not_wiped_is_noticed),
        TEST(a_stored_secret_is_gone_when_it_is_deleted),
        TEST(a_node_key_is_gone_when_it_was_saved_loaded_and_used),
        TEST(an_unlock_key_is_gone_when_it_has_locked_and_unlocked),
    };

    return cmocka_run_group_tests_name("wiped", tests, NULL, NULL);
}

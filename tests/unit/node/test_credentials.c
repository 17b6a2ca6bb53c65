/* SPDX-License-Identifier: Apache-2.0 */

/* A node's key, certificate and roots on the disk: whole, half written, and
 * damaged. */

#include "lib/cmocka_all.h"

#include <stdio.h>

#include "directory.h"
#include "node/identity/credentials.h"
#include "unit/crypto/pki.h"

#define ROOTS "swarm-root-ca.crt"
#define CHAIN "swarm-node.crt"
#define CHAIN_NEW ".swarm-node.crt"
#define KEY "swarm-node.key"
#define NEXT "swarm-node-next.key"

#define HOUR (INT64_C(3600) * INT64_C(1000000000))

struct f {
    struct pki pki;
    struct pki_node old; /* "old", and the one that replaces it */
    struct pki_node next;
    struct directory dir;
    struct swki_credentials credentials;
};

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    pki_init(&f->pki, 1);
    pki_node_init(&f->pki, &f->old, "old", SWKI_ROLE_WORKER);
    pki_node_init(&f->pki, &f->next, "next", SWKI_ROLE_MANAGER);
    directory_init(&f->dir);
    swki_credentials_init(&f->credentials, NULL);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_credentials_fini(&f->credentials);
    directory_fini(&f->dir);
    pki_node_fini(&f->old);
    pki_node_fini(&f->next);
    pki_fini(&f->pki);
    free(f);
    return 0;
}

static void put(struct f *f, const char *name, const struct swki_buf *buf)
{
    directory_put(&f->dir, ".", name, buf->data, buf->len);
}

static void put_old(struct f *f)
{
    put(f, ROOTS, &f->pki.root);
    put(f, KEY, &f->old.key);
    put(f, CHAIN, &f->old.chain);
}

static int load_at(struct f *f, swk_wall now)
{
    struct swk_error err = {0};
    int rc = swki_credentials_load(&f->credentials, f->dir.path, now,
                                   &f->pki.entropy, &err);

    if (rc != SWK_OK) {
        assert_int_equal(err.code, rc);
    }
    return rc;
}

static int load(struct f *f)
{
    return load_at(f, PKI_NOW);
}

static void what_was_saved_is_loaded(void **state)
{
    struct f *f = *state;
    struct swki_credentials saved;

    swki_credentials_init(&saved, NULL);
    assert_int_equal(swki_credentials_set_roots(&saved, f->pki.root.data,
                                                f->pki.root.len, PKI_NOW, NULL),
                     0);
    assert_true(
        swki_buf_append(&saved.key, f->old.key.data, f->old.key.len + 1));
    saved.key.len--;
    assert_int_equal(swki_credentials_set_chain(&saved, f->old.chain.data,
                                                f->old.chain.len, PKI_NOW,
                                                &f->pki.entropy, NULL),
                     0);
    assert_int_equal(swki_credentials_save(&saved, f->dir.path, NULL), 0);
    swki_credentials_fini(&saved);
    assert_int_equal(load(f), 0);
    assert_string_equal(f->credentials.identity.node_id, "old");
    assert_string_equal(f->credentials.identity.swarm_id, PKI_SWARM);
    assert_int_equal(f->credentials.identity.role, SWKI_ROLE_WORKER);
    assert_int_equal(directory_mode(&f->dir, KEY), 0600);
    assert_int_equal(directory_mode(&f->dir, CHAIN), 0644);
    assert_int_equal(directory_mode(&f->dir, ROOTS), 0644);
    assert_false(directory_has(&f->dir, CHAIN_NEW));
}

static int switch_to(struct f *f, const struct swki_buf *roots)
{
    return swki_credentials_switch_roots(&f->credentials, f->dir.path,
                                         swki_pem_of_buf(roots), PKI_NOW, NULL);
}

/* What a node has on its disk while another root replaces its own: a leaf by
 * the next root's key, and a certificate that leads to its present root. */
static void put_crossed(struct f *f, struct pki *next)
{
    const struct swki_leaf leaf = {
        .node_id = "crossed",
        .swarm_id = PKI_SWARM,
        .role = SWKI_ROLE_WORKER,
        .now = PKI_NOW,
        .validity_ns = 90 * 24 * SWK_HOUR,
    };
    struct pki_node crossed;
    struct swki_buf csr;

    pki_request(next, &crossed.key, &csr);
    swki_buf_init(&crossed.chain, NULL, SIZE_MAX);
    assert_int_equal(swki_signer_issue(next->signer, swki_pem_of_buf(&csr),
                                       &leaf, &crossed.chain, NULL),
                     0);
    assert_int_equal(swki_signer_cross_sign(f->pki.signer,
                                            swki_pem_of_buf(&next->root),
                                            &crossed.chain, NULL),
                     0);
    put(f, ROOTS, &f->pki.root);
    put(f, CHAIN, &crossed.chain);
    put(f, KEY, &crossed.key);
    swki_buf_fini(&csr);
    pki_node_fini(&crossed);
}

static void join(struct swki_buf *out_both, const struct swki_buf *first,
                 const struct swki_buf *second)
{
    swki_buf_init(out_both, NULL, SIZE_MAX);
    assert_true(swki_buf_append(out_both, first->data, first->len));
    assert_true(swki_buf_append(out_both, second->data, second->len));
}

static void roots_are_switched_if_the_certificate_vouches_for_them(void **state)
{
    struct f *f = *state;
    struct swki_buf both;
    struct pki next;

    pki_init(&next, 2);
    join(&both, &next.root, &f->pki.root);
    put_crossed(f, &next);
    assert_int_equal(load(f), 0);
    assert_int_equal(switch_to(f, &both), 0);
    assert_int_equal(f->credentials.roots.len, both.len);
    assert_int_equal(directory_mode(&f->dir, ROOTS), 0644);
    /* They are on the disk, too. */
    swki_credentials_fini(&f->credentials);
    swki_credentials_init(&f->credentials, NULL);
    assert_int_equal(load(f), 0);
    assert_memory_equal(f->credentials.roots.data, both.data, both.len);
    /* The end of the rotation; the past root does not come back. */
    assert_int_equal(switch_to(f, &next.root), 0);
    assert_int_equal(load(f), 0);
    assert_int_equal(switch_to(f, &both), SWK_EUNAUTHENTICATED);
    assert_int_equal(switch_to(f, &f->pki.root), SWK_EUNAUTHENTICATED);
    swki_buf_fini(&both);
    pki_fini(&next);
}

static void another_root_does_not_come_in_beside_the_own_one(void **state)
{
    struct f *f = *state;
    struct swki_buf both;
    struct pki other;

    pki_init(&other, 2);
    put_old(f);
    assert_int_equal(load(f), 0);
    join(&both, &other.root, &f->pki.root);
    assert_int_equal(switch_to(f, &both), SWK_EUNAUTHENTICATED);
    swki_buf_fini(&both);
    join(&both, &f->pki.root, &other.root);
    assert_int_equal(switch_to(f, &both), SWK_EUNAUTHENTICATED);
    assert_memory_equal(f->credentials.roots.data, f->pki.root.data,
                        f->pki.root.len);
    /* One that is trusted may stay, or go. */
    put(f, ROOTS, &both);
    assert_int_equal(load(f), 0);
    assert_int_equal(switch_to(f, &both), 0);
    assert_int_equal(switch_to(f, &f->pki.root), 0);
    swki_buf_fini(&both);
    pki_fini(&other);
}

static void roots_that_make_nobody_of_the_node_are_refused(void **state)
{
    struct f *f = *state;
    struct pki other;

    pki_init(&other, 2);
    put_old(f);
    assert_int_equal(load(f), 0);
    assert_int_equal(switch_to(f, &other.root), SWK_EUNAUTHENTICATED);
    assert_int_equal(switch_to(f, &f->old.chain), SWK_EINVAL);
    assert_memory_equal(f->credentials.roots.data, f->pki.root.data,
                        f->pki.root.len);
    swki_credentials_fini(&f->credentials);
    swki_credentials_init(&f->credentials, NULL);
    assert_int_equal(load(f), 0);
    pki_fini(&other);
}

static void an_empty_directory_holds_nothing(void **state)
{
    assert_int_equal(load(*state), SWK_ENOTFOUND);
}

/* The state of the disk after the first steps of saving the next pair. */
static void save_partly(struct f *f, int steps)
{
    char path[128];

    if (steps >= 1) {
        put(f, ROOTS, &f->pki.root);
    }
    if (steps >= 2) {
        put(f, CHAIN_NEW, &f->next.chain);
    }
    if (steps >= 3) {
        put(f, KEY, &f->next.key);
    }
    if (steps >= 4) {
        put(f, CHAIN, &f->next.chain);
        snprintf(path, sizeof(path), "%s/%s", f->dir.path, CHAIN_NEW);
        unlink(path);
    }
}

static void a_first_pair_half_written_is_whole_or_not_there(void **state)
{
    struct f *f = *state;

    for (int steps = 0; steps <= 4; steps++) {
        save_partly(f, steps);
        if (steps < 3) {
            assert_int_equal(load(f), SWK_ENOTFOUND);
        } else {
            assert_int_equal(load(f), 0);
            assert_string_equal(f->credentials.identity.node_id, "next");
            assert_true(directory_has(&f->dir, CHAIN));
            assert_false(directory_has(&f->dir, CHAIN_NEW));
        }
    }
}

static void a_renewal_half_written_is_the_old_or_the_new_pair(void **state)
{
    struct f *f = *state;

    for (int steps = 0; steps <= 4; steps++) {
        put_old(f);
        save_partly(f, steps);
        assert_int_equal(load(f), 0);
        assert_string_equal(f->credentials.identity.node_id,
                            steps < 3 ? "old" : "next");
        assert_int_equal(load(f), 0); /* and so it stays */
        assert_string_equal(f->credentials.identity.node_id,
                            steps < 3 ? "old" : "next");
    }
}

/* -- The key of a certificate that is yet to come -------------------------- */

static const char request_text[] = "-----BEGIN CERTIFICATE REQUEST-----\nx\n"
                                   "-----END CERTIFICATE REQUEST-----\n";

/* Keeps the next pair's key. */
static void keep(struct f *f, const struct swki_credentials *own)
{
    struct swki_credentials fresh;
    struct swki_buf csr;

    swki_credentials_init(&fresh, NULL);
    swki_buf_init(&csr, NULL, SIZE_MAX);
    fresh.entropy = &f->pki.entropy;
    assert_true(swki_buf_append(&fresh.key, f->next.key.data, f->next.key.len));
    assert_true(swki_buf_append_text(&csr, request_text));
    assert_int_equal(
        swki_credentials_keep_key(&fresh, f->dir.path, own, &csr, NULL), 0);
    swki_buf_fini(&csr);
    swki_credentials_fini(&fresh);
}

static int take_up(struct f *f, const struct swki_credentials *own)
{
    struct swki_credentials fresh;
    struct swki_buf csr;
    int rc;

    swki_credentials_init(&fresh, NULL);
    swki_buf_init(&csr, NULL, SIZE_MAX);
    rc = swki_credentials_take_up_key(&fresh, f->dir.path, own, &f->pki.entropy,
                                      &csr, NULL);
    if (rc == 0) {
        assert_string_equal(fresh.key.data, f->next.key.data);
        assert_int_equal(csr.len, strlen(request_text));
        assert_memory_equal(csr.data, request_text, csr.len);
    }
    swki_buf_fini(&csr);
    swki_credentials_fini(&fresh);
    return rc;
}

static void a_kept_key_is_sealed_by_the_nodes_own(void **state)
{
    struct f *f = *state;
    struct swki_buf text;
    char path[128];

    put_old(f);
    assert_int_equal(load(f), 0);
    assert_int_equal(take_up(f, &f->credentials), SWK_ENOTFOUND);
    keep(f, &f->credentials);
    assert_int_equal(directory_mode(&f->dir, NEXT), 0600);
    snprintf(path, sizeof(path), "%s/%s", f->dir.path, NEXT);
    swki_buf_init(&text, NULL, SIZE_MAX);
    assert_int_equal(swki_file_read(path, 1 << 16, &text, NULL), 0);
    assert_memory_equal(text.data, "-----BEGIN ENCRYPTED PRIVATE KEY", 32);
    swki_buf_fini(&text);
    assert_int_equal(take_up(f, &f->credentials), 0);
    assert_int_equal(take_up(f, &f->credentials), 0); /* and so it stays */
    /* Another key does not open it, nor does having none. */
    put(f, KEY, &f->next.key);
    put(f, CHAIN, &f->next.chain);
    assert_int_equal(load(f), 0);
    assert_int_equal(take_up(f, &f->credentials), SWK_ENOTFOUND);
    assert_false(directory_has(&f->dir, NEXT));
}

static void a_node_without_a_key_keeps_its_first_one_in_clear(void **state)
{
    struct f *f = *state;

    keep(f, NULL);
    assert_int_equal(directory_mode(&f->dir, NEXT), 0600);
    assert_int_equal(take_up(f, NULL), 0);
    /* It is not for a node that has one. */
    put_old(f);
    assert_int_equal(load(f), 0);
    assert_int_equal(take_up(f, &f->credentials), SWK_ENOTFOUND);
}

/* Crash after each step of keeping a key and of storing its pair. */
static void a_kept_key_is_there_until_its_pair_is(void **state)
{
    struct f *f = *state;

    for (int steps = 0; steps <= 4; steps++) {
        put_old(f);
        assert_int_equal(load(f), 0);
        keep(f, &f->credentials);
        save_partly(f, steps);
        assert_int_equal(load(f), 0);
        assert_string_equal(f->credentials.identity.node_id,
                            steps < 3 ? "old" : "next");
        assert_int_equal(take_up(f, &f->credentials),
                         steps < 3 ? SWK_OK : SWK_ENOTFOUND);
    }
}

static void a_kept_key_that_is_damaged_is_none(void **state)
{
    struct f *f = *state;
    struct swki_buf text;
    char path[128];

    put_old(f);
    assert_int_equal(load(f), 0);
    keep(f, &f->credentials);
    snprintf(path, sizeof(path), "%s/%s", f->dir.path, NEXT);
    swki_buf_init(&text, NULL, SIZE_MAX);
    assert_int_equal(swki_file_read(path, 1 << 16, &text, NULL), 0);
    for (size_t len = 0; len < text.len - sizeof(request_text); len += 23) {
        directory_put(&f->dir, ".", NEXT, text.data, len);
        assert_int_equal(take_up(f, &f->credentials), SWK_ENOTFOUND);
    }
    swki_buf_fini(&text);
}

static void a_left_over_of_another_key_does_not_count(void **state)
{
    struct f *f = *state;
    char path[128];

    put_old(f);
    put(f, CHAIN_NEW, &f->next.chain);
    snprintf(path, sizeof(path), "%s/%s", f->dir.path, CHAIN);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(load(f), SWK_ENOTFOUND);
}

static void a_key_of_another_certificate_is_refused(void **state)
{
    struct f *f = *state;

    put_old(f);
    put(f, KEY, &f->next.key);
    assert_int_equal(load(f), SWK_ECORRUPT);
}

static void damaged_files_are_refused(void **state)
{
    static const char *const names[] = {ROOTS, CHAIN, KEY};
    struct f *f = *state;
    const struct swki_buf *bufs[] = {&f->pki.root, &f->old.chain, &f->old.key};

    for (size_t i = 0; i < 3; i++) {
        for (size_t len = 0; len < bufs[i]->len - 2; len += 97) {
            int rc;

            put_old(f);
            directory_put(&f->dir, ".", names[i], bufs[i]->data, len);
            rc = load(f);
            if (rc == SWK_OK || rc == SWK_ENOTFOUND) {
                fail_msg("%s cut to %zu bytes: %d", names[i], len, rc);
            }
        }
    }
    put_old(f);
    assert_int_equal(load(f), 0);
}

static void a_file_too_large_is_refused(void **state)
{
    struct f *f = *state;
    char *data = calloc(1, SWKI_PEM_LEN_MAX + 1);

    put_old(f);
    directory_put(&f->dir, ".", CHAIN, data, SWKI_PEM_LEN_MAX + 1);
    free(data);
    assert_int_equal(load(f), SWK_ELIMIT);
}

static void a_certificate_out_of_its_time_is_refused(void **state)
{
    struct f *f = *state;

    put_old(f);
    assert_int_equal(load_at(f, PKI_NOW + 24 * 365 * HOUR), SWK_ECLOCK);
    assert_int_equal(load_at(f, PKI_NOW), 0);
}

static void a_certificate_of_another_root_is_refused(void **state)
{
    struct f *f = *state;
    struct pki other;

    pki_init(&other, 2);
    put_old(f);
    put(f, ROOTS, &other.root);
    assert_int_equal(load(f), SWK_EUNAUTHENTICATED);
    pki_fini(&other);
}

static void a_chain_that_does_not_fit_the_key_is_not_taken(void **state)
{
    struct f *f = *state;

    put_old(f);
    assert_int_equal(load(f), 0);
    assert_int_equal(swki_credentials_set_chain(
                         &f->credentials, f->next.chain.data, f->next.chain.len,
                         PKI_NOW, &f->pki.entropy, NULL),
                     SWK_ECORRUPT);
}

static void roots_that_are_none_are_not_taken(void **state)
{
    struct f *f = *state;

    put_old(f);
    assert_int_equal(load(f), 0);
    assert_int_not_equal(
        swki_credentials_set_roots(&f->credentials, f->old.chain.data,
                                   f->old.chain.len, PKI_NOW, NULL),
        0);
    assert_int_equal(f->credentials.roots.len, f->pki.root.len);
}

/* -- The keys of the log, and the lock ------------------------------------- */

static const struct swk_unlock_key unlock_key = {{1, 2, 3}};
static const struct swki_data_keys some_keys = {
    .has_current = true,
    .needs_rotation = true,
    .current = {7, 8, 9},
    .lock_version = 5,
};

static struct swki_data_keys locked_keys(void)
{
    struct swki_data_keys keys = some_keys;

    keys.is_locked = true;
    keys.unlock_key = unlock_key;
    return keys;
}

static void change(struct f *f, const struct swki_data_keys *keys)
{
    assert_int_equal(swki_credentials_change_keys(&f->credentials, f->dir.path,
                                                  keys, &f->pki.entropy, NULL),
                     0);
}

/* Another process, that knows this key. */
static int load_again(struct f *f, const struct swk_unlock_key *key)
{
    swki_credentials_fini(&f->credentials);
    swki_credentials_init(&f->credentials, NULL);
    if (key != NULL) {
        swki_credentials_offer(&f->credentials, key);
    }
    return load(f);
}

static bool file_has(struct f *f, const char *text)
{
    char path[128];
    char content[4096] = "";
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", f->dir.path, KEY);
    file = fopen(path, "r");
    assert_non_null(file);
    assert_true(fread(content, 1, sizeof(content) - 1, file) > 0);
    fclose(file);
    return strstr(content, text) != NULL;
}

static void keys_of_the_log_lie_beside_the_nodes_key(void **state)
{
    struct f *f = *state;

    put_old(f);
    assert_int_equal(load(f), 0);
    assert_false(f->credentials.keys.has_current);
    change(f, &some_keys);
    assert_int_equal(directory_mode(&f->dir, KEY), 0600);
    assert_int_equal(load_again(f, NULL), 0);
    assert_memory_equal(&f->credentials.keys, &some_keys, sizeof(some_keys));
    assert_string_equal(f->credentials.identity.node_id, "old");
}

static void a_locked_node_needs_its_unlock_key(void **state)
{
    static const struct swk_unlock_key wrong = {{1, 2, 4}};
    const struct swki_data_keys keys = locked_keys();
    struct f *f = *state;

    put_old(f);
    assert_int_equal(load(f), 0);
    change(f, &keys);
    assert_true(file_has(f, "BEGIN ENCRYPTED PRIVATE KEY"));
    assert_int_equal(load_again(f, NULL), SWK_EDENIED);
    assert_int_equal(load_again(f, &wrong), SWK_EDENIED);
    assert_int_equal(load_again(f, &unlock_key), 0);
    assert_memory_equal(&f->credentials.keys, &keys, sizeof(keys));
    assert_memory_equal(f->credentials.key.data, "-----BEGIN PRIVATE KEY", 22);
}

static void a_lock_does_not_part_a_kept_key_from_its_node(void **state)
{
    const struct swki_data_keys keys = locked_keys();
    struct f *f = *state;

    put_old(f);
    assert_int_equal(load(f), 0);
    keep(f, &f->credentials);
    change(f, &keys);
    assert_int_equal(load_again(f, &unlock_key), 0);
    assert_int_equal(take_up(f, &f->credentials), 0);
    change(f, &some_keys);
    assert_int_equal(load_again(f, NULL), 0);
    assert_int_equal(take_up(f, &f->credentials), 0);
}

static void an_unlocked_node_ignores_an_unlock_key(void **state)
{
    struct f *f = *state;

    put_old(f);
    assert_int_equal(load_again(f, &unlock_key), 0);
    assert_false(f->credentials.keys.is_locked);
}

static void a_node_that_is_unlocked_again_needs_no_key(void **state)
{
    struct swki_data_keys keys = locked_keys();
    struct f *f = *state;

    put_old(f);
    assert_int_equal(load(f), 0);
    change(f, &keys);
    change(f, &some_keys);
    assert_false(file_has(f, "ENCRYPTED"));
    assert_int_equal(load_again(f, NULL), 0);
}

static void a_renewal_keeps_the_keys_and_the_lock(void **state)
{
    const struct swki_data_keys keys = locked_keys();
    struct f *f = *state;

    put_old(f);
    assert_int_equal(load(f), 0);
    change(f, &keys);
    swki_buf_clear(&f->credentials.key);
    assert_true(swki_buf_append(&f->credentials.key, f->next.key.data,
                                f->next.key.len + 1));
    f->credentials.key.len--;
    assert_int_equal(swki_credentials_set_chain(
                         &f->credentials, f->next.chain.data, f->next.chain.len,
                         PKI_NOW, &f->pki.entropy, NULL),
                     0);
    assert_int_equal(swki_credentials_save(&f->credentials, f->dir.path, NULL),
                     0);
    assert_int_equal(load_again(f, &unlock_key), 0);
    assert_string_equal(f->credentials.identity.node_id, "next");
    assert_memory_equal(&f->credentials.keys, &keys, sizeof(keys));
}

static void new_credentials_inherit_the_keys_and_the_lock(void **state)
{
    const struct swki_data_keys keys = locked_keys();
    struct f *f = *state;
    struct swki_credentials fresh;

    put_old(f);
    assert_int_equal(load(f), 0);
    change(f, &keys);
    swki_credentials_init(&fresh, NULL);
    assert_int_equal(swki_credentials_set_roots(&fresh, f->pki.root.data,
                                                f->pki.root.len, PKI_NOW, NULL),
                     0);
    assert_true(
        swki_buf_append(&fresh.key, f->next.key.data, f->next.key.len + 1));
    fresh.key.len--;
    assert_int_equal(swki_credentials_set_chain(&fresh, f->next.chain.data,
                                                f->next.chain.len, PKI_NOW,
                                                &f->pki.entropy, NULL),
                     0);
    assert_int_equal(
        swki_credentials_renew(&f->credentials, "/nowhere/at", &fresh, NULL),
        SWK_EIO);
    assert_string_equal(f->credentials.identity.node_id, "old");
    assert_int_equal(
        swki_credentials_renew(&f->credentials, f->dir.path, &fresh, NULL), 0);
    swki_credentials_fini(&fresh);
    assert_true(file_has(f, "BEGIN ENCRYPTED PRIVATE KEY"));
    assert_int_equal(load_again(f, &unlock_key), 0);
    assert_string_equal(f->credentials.identity.node_id, "next");
    assert_memory_equal(&f->credentials.keys, &keys, sizeof(keys));
}

static void a_change_that_cannot_be_written_is_none(void **state)
{
    const struct swki_data_keys keys = locked_keys();
    struct f *f = *state;

    put_old(f);
    assert_int_equal(load(f), 0);
    change(f, &some_keys);
    assert_int_equal(swki_credentials_change_keys(&f->credentials,
                                                  "/nowhere/at/all", &keys,
                                                  &f->pki.entropy, NULL),
                     SWK_EIO);
    assert_memory_equal(&f->credentials.keys, &some_keys, sizeof(some_keys));
    assert_int_equal(load_again(f, NULL), 0);
}

static void headers_without_an_end_are_no_key_file(void **state)
{
    static const char text[] = "-----BEGIN PRIVATE KEY-----\nkek-version: 1\n";
    struct f *f = *state;

    put_old(f);
    directory_put(&f->dir, ".", KEY, text, sizeof(text) - 1);
    assert_int_equal(load(f), SWK_ECORRUPT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_was_saved_is_loaded),
        TEST(roots_are_switched_if_the_certificate_vouches_for_them),
        TEST(another_root_does_not_come_in_beside_the_own_one),
        TEST(roots_that_make_nobody_of_the_node_are_refused),
        TEST(an_empty_directory_holds_nothing),
        TEST(a_first_pair_half_written_is_whole_or_not_there),
        TEST(a_renewal_half_written_is_the_old_or_the_new_pair),
        TEST(a_kept_key_is_sealed_by_the_nodes_own),
        TEST(a_node_without_a_key_keeps_its_first_one_in_clear),
        TEST(a_kept_key_is_there_until_its_pair_is),
        TEST(a_kept_key_that_is_damaged_is_none),
        TEST(a_left_over_of_another_key_does_not_count),
        TEST(a_key_of_another_certificate_is_refused),
        TEST(damaged_files_are_refused),
        TEST(a_file_too_large_is_refused),
        TEST(a_certificate_out_of_its_time_is_refused),
        TEST(a_certificate_of_another_root_is_refused),
        TEST(a_chain_that_does_not_fit_the_key_is_not_taken),
        TEST(roots_that_are_none_are_not_taken),
        TEST(keys_of_the_log_lie_beside_the_nodes_key),
        TEST(a_locked_node_needs_its_unlock_key),
        TEST(a_lock_does_not_part_a_kept_key_from_its_node),
        TEST(an_unlocked_node_ignores_an_unlock_key),
        TEST(a_node_that_is_unlocked_again_needs_no_key),
        TEST(a_renewal_keeps_the_keys_and_the_lock),
        TEST(new_credentials_inherit_the_keys_and_the_lock),
        TEST(a_change_that_cannot_be_written_is_none),
        TEST(headers_without_an_end_are_no_key_file),
    };

    return cmocka_run_group_tests_name("credentials", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */

#include "node/identity/credentials.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "crypto/digest.h"
#include "node/identity/key_file.h"
#include "node/identity/next_key.h"
#include "node/identity/out_of_time.h"
#include "runtime/file/atomic.h"

static const char roots_name[] = "swarm-root-ca.crt";
static const char chain_name[] = "swarm-node.crt";
static const char chain_new_name[] = ".swarm-node.crt";
static const char key_name[] = "swarm-node.key";

enum {
    PATH_SIZE = 4096,
    SESSIONS_MAX = 16, /* with managers; a swarm has fewer */
};

void swki_credentials_init(struct swki_credentials *c,
                           const struct swk_alloc *alloc)
{
    memset(c, 0, sizeof(*c));
    swki_buf_init(&c->roots, alloc, SWKI_PEM_LEN_MAX);
    swki_buf_init(&c->chain, alloc, SWKI_PEM_LEN_MAX);
    swki_buf_init(&c->key, alloc, SWKI_PEM_LEN_MAX);
}

void swki_credentials_fini(struct swki_credentials *c)
{
    if (c->key.data != NULL) {
        swki_wipe(c->key.data, c->key.size);
    }
    swki_buf_fini(&c->roots);
    swki_buf_fini(&c->chain);
    swki_buf_fini(&c->key);
    swki_data_keys_wipe(&c->keys);
    swki_wipe(&c->offer, sizeof(c->offer));
}

void swki_credentials_offer(struct swki_credentials *c,
                            const struct swk_unlock_key *unlock_key)
{
    c->offer = *unlock_key;
    c->has_offer = true;
}

/* Text in a buffer, with a NUL behind it that does not count. */
static int set_text(struct swki_buf *buf, const void *text, size_t len)
{
    swki_buf_clear(buf);
    if (!swki_buf_append(buf, text, len) || !swki_buf_append(buf, "", 1)) {
        return SWK_ENOMEM;
    }
    buf->len--;
    return SWK_OK;
}

static int terminate(struct swki_buf *buf, struct swk_error *err)
{
    if (!swki_buf_append(buf, "", 1)) {
        return swki_fail_nomem(err);
    }
    buf->len--;
    return SWK_OK;
}

/* -- Files ---------------------------------------------------------------- */

static int read_file(const char *dir, const char *name, struct swki_buf *buf,
                     struct swk_error *err)
{
    char path[PATH_SIZE];
    int rc;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    swki_buf_clear(buf);
    rc = swki_file_read(path, SWKI_PEM_LEN_MAX, buf, err);
    return rc != 0 ? rc : terminate(buf, err);
}

/* Whether key and chain are a pair that the roots vouch for. */
static int verify(struct swki_credentials *c, swk_wall now,
                  const struct swk_entropy *entropy, struct swk_error *err)
{
    const struct swki_chain chain = {
        .certificates = swki_pem_of_buf(&c->chain),
        .roots = swki_pem_of_buf(&c->roots),
        .now = now,
        .flags = c->accept_expired ? SWKI_CHAIN_ALLOW_EXPIRED : 0,
    };
    int rc = swki_key_matches(swki_pem_of_buf(&c->key),
                              swki_pem_of_buf(&c->chain), entropy, err);

    if (rc != 0) {
        return swki_fail(err, SWK_ECORRUPT,
                         "the node's key is not that of its certificate");
    }
    rc = swki_chain_verify(&chain, NULL, err);
    if (rc == 0) {
        rc = swki_certificate_identity(swki_pem_of_buf(&c->chain), &c->identity,
                                       err);
    }
    return rc;
}

int swki_credentials_load_roots(struct swki_credentials *c, const char *dir,
                                swk_wall now, struct swk_error *err)
{
    int rc = read_file(dir, roots_name, &c->roots, err);

    if (rc == 0) {
        rc = swki_roots_check(swki_pem_of_buf(&c->roots), now, err);
    }
    if (rc == SWK_ECLOCK) {
        swki_out_of_time_explain(dir, roots_name, swki_pem_of_buf(&c->roots),
                                 now, err);
    }
    return rc;
}

/* A write of a new pair that was cut short left the new certificate under its
 * temporary name: it counts if the key is its own. */
static int load_unfinished(struct swki_credentials *c, const char *dir,
                           swk_wall now, const struct swk_entropy *entropy,
                           struct swk_error *err)
{
    char from[PATH_SIZE];
    char to[PATH_SIZE];
    int rc = read_file(dir, chain_new_name, &c->chain, err);

    if (rc == 0) {
        rc = verify(c, now, entropy, err);
    }
    if (rc != 0) {
        return rc;
    }
    snprintf(from, sizeof(from), "%s/%s", dir, chain_new_name);
    snprintf(to, sizeof(to), "%s/%s", dir, chain_name);
    if (rename(from, to) != 0) {
        return swki_fail(err, SWK_EIO, "%s: %s", to, strerror(errno));
    }
    return SWK_OK;
}

static int read_key_file(struct swki_credentials *c, const char *dir,
                         const struct swk_entropy *entropy,
                         struct swk_error *err)
{
    struct swki_buf text;
    bool locked = false;
    int rc;

    swki_buf_init(&text, c->key.alloc, SWKI_PEM_LEN_MAX);
    rc = swki_buf_reserve(&text, SWKI_PEM_LEN_MAX) == NULL
             ? swki_fail_nomem(err)
             : read_file(dir, key_name, &text, err);
    if (rc == 0) {
        swki_buf_clear(&c->key);
        rc = swki_key_file_read(swki_pem_of_buf(&text),
                                c->has_offer ? &c->offer : NULL, entropy,
                                &c->key, &c->keys, err);
        locked = rc == SWK_EDENIED;
    }
    if (rc == 0) {
        rc = terminate(&c->key, err);
    }
    if (locked) {
        rc = swki_fail(err, rc,
                       "node is locked, and needs a valid unlock key%s: the "
                       "one that \"swarmctl unlock-key\" shows on another "
                       "manager or, if it was rotated since, the one before; "
                       "give it by \"swarmctl unlock\" or "
                       "--unlock-key-file FILE",
                       c->has_offer ? ", which the one given is not" : "");
    }
    if (text.data != NULL) {
        swki_wipe(text.data, text.size);
    }
    swki_buf_fini(&text);
    return rc;
}

int swki_credentials_load_key(struct swki_credentials *c, const char *dir,
                              const struct swk_entropy *entropy,
                              struct swk_error *err)
{
    c->entropy = entropy;
    return read_key_file(c, dir, entropy, err);
}

int swki_credentials_load(struct swki_credentials *c, const char *dir,
                          swk_wall now, const struct swk_entropy *entropy,
                          struct swk_error *err)
{
    struct swk_error ignored;
    int rc = swki_credentials_load_roots(c, dir, now, err);

    c->entropy = entropy;
    if (rc == 0) {
        rc = read_key_file(c, dir, entropy, err);
    }
    if (rc != 0 && rc != SWK_ECORRUPT) {
        return rc;
    }
    if (rc == 0) {
        rc = read_file(dir, chain_name, &c->chain, err);
    }
    if (rc == 0) {
        rc = verify(c, now, entropy, err);
    }
    if ((rc == SWK_ECORRUPT || rc == SWK_ENOTFOUND) &&
        load_unfinished(c, dir, now, entropy, &ignored) == 0) {
        rc = SWK_OK;
    }
    if (rc == SWK_ECLOCK) {
        swki_out_of_time_explain(dir, chain_name, swki_pem_of_buf(&c->chain),
                                 now, err);
    } else if (rc != 0 && rc != SWK_ENOTFOUND && rc != SWK_EDENIED) {
        swki_error_prefix(err, "the credentials in %s cannot be used; restore "
                               "them, or let a worker join again without them",
                          dir);
    }
    return rc;
}

static int write_file(const char *dir, const char *name,
                      const struct swki_buf *buf, mode_t mode,
                      struct swk_error *err)
{
    return swki_file_replace(dir, name, buf->data, buf->len, mode, err);
}

static int write_key_file(const struct swki_credentials *c, const char *dir,
                          const struct swki_data_keys *keys,
                          const struct swk_entropy *entropy,
                          struct swk_error *err)
{
    struct swki_buf text;
    int rc;

    swki_buf_init(&text, c->key.alloc, SWKI_PEM_LEN_MAX);
    rc = swki_key_file_write(swki_pem_of_buf(&c->key), keys, entropy, &text,
                             err);
    if (rc == 0) {
        rc = write_file(dir, key_name, &text, 0600, err);
    }
    if (text.data != NULL) {
        swki_wipe(text.data, text.size);
    }
    swki_buf_fini(&text);
    return rc;
}

int swki_credentials_change_keys(struct swki_credentials *c, const char *dir,
                                 const struct swki_data_keys *next,
                                 const struct swk_entropy *entropy,
                                 struct swk_error *err)
{
    int rc = write_key_file(c, dir, next, entropy, err);

    if (rc == 0) {
        c->keys = *next;
    }
    return rc;
}

int swki_credentials_save(const struct swki_credentials *c, const char *dir,
                          struct swk_error *err)
{
    char from[PATH_SIZE];
    char to[PATH_SIZE];
    int rc;

    if (mkdir(dir, 0755) != 0 && errno != EEXIST) {
        return swki_fail(err, SWK_EIO, "cannot create %s: %s", dir,
                         strerror(errno));
    }
    rc = write_file(dir, roots_name, &c->roots, 0644, err);
    if (rc == 0 && c->chain.len > 0) {
        rc = write_file(dir, chain_new_name, &c->chain, 0644, err);
        if (rc == 0) {
            rc = write_key_file(c, dir, &c->keys, c->entropy, err);
        }
        snprintf(from, sizeof(from), "%s/%s", dir, chain_new_name);
        snprintf(to, sizeof(to), "%s/%s", dir, chain_name);
        if (rc == 0 && rename(from, to) != 0) {
            rc = swki_fail(err, SWK_EIO, "%s: %s", to, strerror(errno));
        }
        if (rc == 0) {
            swki_next_key_remove(dir);
        }
    }
    return rc;
}

/* -- Making --------------------------------------------------------------- */

int swki_credentials_new_root(struct swki_credentials *c, swk_wall now,
                              const struct swk_entropy *entropy,
                              struct swki_buf *root_key, struct swk_error *err)
{
    int rc = SWK_OK;

    swki_buf_clear(&c->roots);
    if (root_key->len == 0) {
        rc = swki_key_generate(entropy, root_key, err);
    }
    if (rc == 0) {
        rc = swki_root_create(swki_pem_of_buf(root_key), now, entropy,
                              &c->roots, err);
    }
    return rc != 0 ? rc : terminate(&c->roots, err);
}

int swki_credentials_new_key(struct swki_credentials *c,
                             const struct swk_entropy *entropy,
                             struct swki_buf *out_csr, struct swk_error *err)
{
    int rc;

    c->entropy = entropy;
    swki_buf_clear(&c->key);
    swki_buf_clear(&c->chain);
    rc = swki_key_generate(entropy, &c->key, err);
    if (rc == 0) {
        rc = terminate(&c->key, err);
    }
    return rc != 0 ? rc
                   : swki_csr_create(swki_pem_of_buf(&c->key), "swarm-node",
                                     entropy, out_csr, err);
}

static struct swki_next_key next_key_of(const char *dir,
                                        const struct swki_credentials *own,
                                        const struct swk_entropy *entropy)
{
    struct swki_next_key file = {.dir = dir, .entropy = entropy};

    if (own != NULL) {
        file.own = swki_pem_of_buf(&own->key);
    }
    return file;
}

int swki_credentials_keep_key(const struct swki_credentials *fresh,
                              const char *dir,
                              const struct swki_credentials *own,
                              const struct swki_buf *csr, struct swk_error *err)
{
    const struct swki_next_key file = next_key_of(dir, own, fresh->entropy);

    return swki_next_key_write(&file, swki_pem_of_buf(&fresh->key),
                               swki_pem_of_buf(csr), err);
}

int swki_credentials_take_up_key(struct swki_credentials *fresh,
                                 const char *dir,
                                 const struct swki_credentials *own,
                                 const struct swk_entropy *entropy,
                                 struct swki_buf *out_csr,
                                 struct swk_error *err)
{
    const struct swki_next_key file = next_key_of(dir, own, entropy);
    int rc;

    fresh->entropy = entropy;
    swki_buf_clear(&fresh->key);
    swki_buf_clear(&fresh->chain);
    rc = swki_next_key_read(&file, &fresh->key, out_csr, err);
    return rc != 0 ? rc : terminate(&fresh->key, err);
}

int swki_credentials_set_chain(struct swki_credentials *c, const void *pem,
                               size_t len, swk_wall now,
                               const struct swk_entropy *entropy,
                               struct swk_error *err)
{
    if (len > SWKI_PEM_LEN_MAX - 1) {
        return swki_fail(err, SWK_ELIMIT, "certificate chain is too long");
    }
    if (set_text(&c->chain, pem, len) != 0) {
        return swki_fail_nomem(err);
    }
    return verify(c, now, entropy, err);
}

int swki_credentials_set_roots(struct swki_credentials *c, const void *pem,
                               size_t len, swk_wall now, struct swk_error *err)
{
    const struct swki_pem roots = {pem, len};
    int rc;

    if (len > SWKI_PEM_LEN_MAX - 1) {
        return swki_fail(err, SWK_ELIMIT, "bundle of roots is too long");
    }
    rc = swki_roots_check(roots, now, err);
    if (rc == 0 && set_text(&c->roots, pem, len) != 0) {
        rc = swki_fail_nomem(err);
    }
    return rc;
}

int swki_credentials_renew(struct swki_credentials *c, const char *dir,
                           const struct swki_credentials *fresh,
                           struct swk_error *err)
{
    struct swki_credentials next;
    int rc;

    swki_credentials_init(&next, c->key.alloc);
    if (set_text(&next.roots, fresh->roots.data, fresh->roots.len) != 0 ||
        set_text(&next.chain, fresh->chain.data, fresh->chain.len) != 0 ||
        set_text(&next.key, fresh->key.data, fresh->key.len) != 0) {
        swki_credentials_fini(&next);
        return swki_fail_nomem(err);
    }
    next.identity = fresh->identity;
    next.keys = c->keys;
    next.has_offer = c->has_offer;
    next.offer = c->offer;
    next.entropy = c->entropy;
    rc = swki_credentials_save(&next, dir, err);
    if (rc != 0) {
        swki_credentials_fini(&next);
        return rc;
    }
    swki_credentials_fini(c); /* wipes the old key */
    *c = next;
    swki_wipe(&next, sizeof(next)); /* the keys in it were copied */
    return SWK_OK;
}

int swki_credentials_switch_roots(struct swki_credentials *c, const char *dir,
                                  struct swki_pem roots, swk_wall now,
                                  struct swk_error *err)
{
    const struct swki_chain chain = {
        .certificates = swki_pem_of_buf(&c->chain),
        .roots = roots,
        .now = now,
        .flags = SWKI_CHAIN_ALLOW_EXPIRED,
    };
    struct swki_buf next;
    int rc = SWK_OK;

    swki_buf_init(&next, c->roots.alloc, SWKI_PEM_LEN_MAX);
    if (roots.len > SWKI_PEM_LEN_MAX - 1) {
        rc = swki_fail(err, SWK_ELIMIT, "bundle of roots is too long");
    }
    if (rc == 0) {
        rc = swki_roots_check(roots, now, err);
    }
    if (rc == 0) {
        rc = swki_chain_verify(&chain, NULL, err);
    }
    if (rc == 0) {
        rc = swki_leaf_vouches(chain.certificates, swki_pem_of_buf(&c->roots),
                               roots, err);
    }
    if (rc == 0 && set_text(&next, roots.text, roots.len) != 0) {
        rc = swki_fail_nomem(err);
    }
    if (rc == 0) {
        rc = write_file(dir, roots_name, &next, 0644, err);
    }
    if (rc != 0) {
        swki_buf_fini(&next);
        return rc;
    }
    swki_buf_fini(&c->roots);
    c->roots = next;
    return SWK_OK;
}

int swki_credentials_tls(const struct swki_credentials *c,
                         enum swki_tls_side side, const struct swk_alloc *alloc,
                         const struct swk_clock *clock,
                         const struct swk_entropy *entropy,
                         struct swki_tls_context **out_context,
                         struct swk_error *err)
{
    bool own = c->chain.len > 0;
    const struct swki_tls_config config = {
        .side = side,
        .chain_pem = own ? (const char *)c->chain.data : NULL,
        .key_pem = own ? (const char *)c->key.data : NULL,
        .roots_pem = c->roots.len > 0 ? (const char *)c->roots.data : NULL,
        .entropy = entropy->fill,
        .entropy_ctx = entropy->ctx,
        .wall = clock->wall,
        .wall_ctx = clock->ctx,
        .sessions_max = SESSIONS_MAX,
    };

    return swki_tls_context_new(alloc, &config, out_context, err);
}

/* The key is left out: it is that of the chain. */
bool swki_credentials_digest(const struct swki_credentials *c,
                             uint8_t out_digest[SWKI_SHA256_SIZE])
{
    uint8_t digests[2][SWKI_SHA256_SIZE];

    return swki_sha256(c->roots.data, c->roots.len, digests[0]) &&
           swki_sha256(c->chain.data, c->chain.len, digests[1]) &&
           swki_sha256(digests, sizeof(digests), out_digest);
}

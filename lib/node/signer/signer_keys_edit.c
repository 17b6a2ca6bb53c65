/* SPDX-License-Identifier: Apache-2.0 */

/* What tools do with a signer's directory. */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "node/signer/signer_files.h"

/* By its file, since names may be all that was read. */
static void look_at_key(const struct swk_signer_keys *keys,
                        const struct swki_authority *authority,
                        struct swk_authority *out_authority)
{
    struct swki_signer_name name;
    struct swki_buf text;
    struct swki_pem block;

    swki_signer_name(authority->fingerprint, &name);
    swki_buf_init(&text, keys->alloc, SWKI_PEM_LEN_MAX);
    if (swki_signer_read_file(keys, name.text, &text, NULL) == 0) {
        block = swki_signer_key_block(swki_pem_of_buf(&text));
        out_authority->has_key = block.len > 0;
        out_authority->sealed = block.len > 0 && swki_key_is_sealed(block);
    }
    swki_signer_wipe(&text);
}

static void tell(const struct swk_signer_keys *keys,
                 const struct swki_authority *authority,
                 struct swk_authority *out_authority)
{
    if (out_authority == NULL) {
        return;
    }
    *out_authority = (struct swk_authority){
        .not_before = authority->info.not_before,
        .not_after = authority->info.not_after,
        .used = authority->used,
    };
    look_at_key(keys, authority, out_authority);
    memcpy(out_authority->fingerprint, authority->fingerprint,
           sizeof(out_authority->fingerprint));
}

int swk_signer_keys_create(swk_signer_keys *keys,
                           struct swk_authority *out_authority,
                           struct swk_error *err)
{
    struct swki_authority *authority;
    int rc;

    if (keys == NULL) {
        return swki_fail(err, SWK_EINVAL, "signer: NULL argument");
    }
    rc = swki_signer_keys_make(keys, &authority, err);
    if (rc == 0) {
        tell(keys, authority, out_authority);
    }
    return rc;
}

static int find_same(const struct swk_signer_keys *keys, struct swki_pem pem,
                     struct swki_authority **out_authority,
                     struct swk_error *err)
{
    int rc = swki_roots_check(swki_pem_first(pem),
                              keys->clock->wall(keys->clock->ctx), err);

    return rc != 0 ? rc
                   : swki_authorities_find(&keys->authorities, pem,
                                           out_authority, err);
}

static int import_pair(struct swk_signer_keys *keys, struct swki_pem pem,
                       struct swki_pem password, bool used,
                       struct swki_authority **out_authority,
                       struct swk_error *err)
{
    struct swki_buf key;
    int rc;

    swki_buf_init(&key, keys->alloc, SWKI_PEM_LEN_MAX);
    rc = swki_signer_open_key(keys, pem, password, &key, err);
    if (rc == 0 && *out_authority != NULL) {
        /* It was only trusted. */
        swki_authorities_remove(&keys->authorities, *out_authority);
    }
    if (rc == 0) {
        rc = swki_signer_keys_keep(keys, pem, swki_pem_of_buf(&key), used,
                                   out_authority, err);
    }
    swki_signer_wipe(&key);
    return rc;
}

int swk_signer_keys_import(swk_signer_keys *keys, struct swk_bytes bytes,
                           struct swk_bytes password, uint32_t flags,
                           struct swk_authority *out_authority,
                           struct swk_error *err)
{
    const uint32_t known =
        SWK_SIGNER_IMPORT_NEW | SWK_SIGNER_IMPORT_CERTIFICATE;
    struct swki_pem pem = swki_signer_pem(bytes);
    struct swki_authority *authority = NULL;
    int rc;

    if (keys == NULL || pem.text == NULL || pem.len > SWKI_PEM_LEN_MAX ||
        (flags & ~known) != 0) {
        return swki_fail(err, SWK_EINVAL, "signer: nothing to import");
    }
    rc = find_same(keys, pem, &authority, err);
    if (rc == 0 && (flags & SWK_SIGNER_IMPORT_CERTIFICATE) != 0) {
        if (authority == NULL) {
            rc = swki_signer_keys_keep(keys, pem, swki_pem_of(""), true,
                                       &authority, err);
        }
    } else if (rc == 0 && (authority == NULL || authority->signer == NULL)) {
        rc = import_pair(keys, pem, swki_signer_pem(password),
                         (flags & SWK_SIGNER_IMPORT_NEW) == 0, &authority, err);
    }
    if (rc == 0) {
        tell(keys, authority, out_authority);
    }
    return rc;
}

static int export_to(struct swk_signer_keys *keys,
                     const struct swki_authority *authority,
                     struct swki_pem password, struct swki_buf *out_pem,
                     struct swk_error *err)
{
    struct swki_buf text;
    struct swki_buf key;
    struct swki_signer_name name;
    int rc;

    swki_buf_init(&text, keys->alloc, SWKI_PEM_LEN_MAX);
    swki_buf_init(&key, keys->alloc, SWKI_PEM_LEN_MAX);
    swki_signer_name(authority->fingerprint, &name);
    rc = swki_signer_read_file(keys, name.text, &text, err);
    if (rc == 0) {
        rc = swki_signer_open_key(keys, swki_pem_of_buf(&text),
                                  swki_pem_of_buf(&keys->password), &key, err);
    }
    if (rc == 0) {
        swki_buf_append(out_pem, authority->certificate.data,
                        authority->certificate.len);
        rc = swki_signer_put_key(keys, swki_pem_of_buf(&key), password, out_pem,
                                 err);
    }
    if (rc == 0 && !swki_buf_append_byte(out_pem, '\0')) {
        rc = swki_fail_nomem(err);
    }
    swki_signer_wipe(&key);
    swki_signer_wipe(&text);
    return rc;
}

int swk_signer_keys_export(swk_signer_keys *keys, const char *fingerprint,
                           struct swk_bytes password, char **out_pem,
                           size_t *out_len, struct swk_error *err)
{
    struct swki_authority *authority;
    struct swki_buf pem;
    int rc;

    if (keys == NULL || out_pem == NULL || out_len == NULL ||
        password.len == 0) {
        return swki_fail(err, SWK_EINVAL,
                         "signer: an authority leaves under a password only");
    }
    rc = swki_authorities_named(&keys->authorities, fingerprint, &authority,
                                err);
    if (rc != 0) {
        return rc;
    }
    swki_buf_init(&pem, keys->alloc, SWKI_PEM_LEN_MAX);
    rc = export_to(keys, authority, swki_signer_pem(password), &pem, err);
    if (rc != 0) {
        swki_buf_fini(&pem);
        return rc;
    }
    *out_pem = (char *)pem.data;
    *out_len = pem.len - 1;
    return SWK_OK;
}

void swk_signer_keys_release(swk_signer_keys *keys, char *pem)
{
    swki_free(keys->alloc, pem);
}

/* The bytes are overwritten first, for what that is worth on today's disks. */
static int erase(const char *path, struct swk_error *err)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;
    char zeros[512] = "";

    if (fd >= 0 && fstat(fd, &st) == 0) {
        for (off_t at = 0; at < st.st_size; at += (off_t)sizeof(zeros)) {
            if (pwrite(fd, zeros, sizeof(zeros), at) < 0) {
                break;
            }
        }
        fdatasync(fd);
    }
    if (fd >= 0) {
        close(fd);
    }
    return unlink(path) == 0 ? SWK_OK
                             : swki_fail(err, SWK_EIO, "cannot remove %s: %s",
                                         path, strerror(errno));
}

int swk_signer_keys_remove(swk_signer_keys *keys, const char *fingerprint,
                           struct swk_error *err)
{
    struct swki_authority *authority;
    char path[PATH_MAX];
    struct swki_signer_name name;
    int fd = -1;
    int rc;

    if (keys == NULL || fingerprint == NULL) {
        return swki_fail(err, SWK_EINVAL, "signer: NULL argument");
    }
    if (strlen(fingerprint) < SWK_FINGERPRINT_LEN_MIN) {
        return swki_fail(err, SWK_EINVAL,
                         "%d digits of the fingerprint are the least by which "
                         "an authority is removed",
                         SWK_FINGERPRINT_LEN_MIN);
    }
    rc = swki_authorities_named(&keys->authorities, fingerprint, &authority,
                                err);
    if (rc == 0) {
        rc = swki_signer_lock(keys, &fd, err);
    }
    if (rc != 0) {
        return rc;
    }
    swki_signer_name(authority->fingerprint, &name);
    swki_signer_path(keys, name.text, path);
    rc = erase(path, err);
    if (rc == 0 && fsync(fd) != 0) {
        rc = swki_fail(err, SWK_EIO, "cannot sync %s: %s", keys->dir,
                       strerror(errno));
    }
    close(fd);
    if (rc == 0) {
        swki_authorities_remove(&keys->authorities, authority);
    }
    return rc;
}

int swk_signer_keys_at(const swk_signer_keys *keys, uint32_t index,
                       struct swk_authority *out_authority)
{
    const struct swki_authorities *authorities = &keys->authorities;

    for (struct swki_link *link = authorities->list.next;
         link != &authorities->list; link = link->next) {
        if (index-- == 0) {
            tell(keys, SWKI_CONTAINER(link, struct swki_authority, link),
                 out_authority);
            return 1;
        }
    }
    return 0;
}

const char *swk_signer_keys_swarm_id(const swk_signer_keys *keys)
{
    return keys->swarm_id;
}

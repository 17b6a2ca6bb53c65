/* SPDX-License-Identifier: Apache-2.0 */

#include "node/identity/next_key.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "runtime/file/atomic.h"

enum {
    PATH_SIZE = 4096,
    FILE_SIZE_MAX = SWKI_PEM_LEN_MAX,
};

static const char domain[] = "swarmkit next key";
static const char csr_begin[] = "-----BEGIN CERTIFICATE REQUEST-----";

static void wipe(struct swki_buf *buf)
{
    if (buf->data != NULL) {
        swki_wipe(buf->data, buf->size);
    }
    swki_buf_fini(buf);
}

/* What seals the file: derived from the own key, in one spelling of it. */
static int seal_of(const struct swki_next_key *file,
                   uint8_t out_seal[SWKI_SHA256_SIZE], struct swk_error *err)
{
    struct swki_buf text;
    int rc;

    swki_buf_init(&text, NULL, FILE_SIZE_MAX);
    rc = swki_buf_reserve(&text, file->own.len * 2 + sizeof(domain)) != NULL &&
                 swki_buf_append(&text, domain, sizeof(domain))
             ? swki_key_convert(file->own, file->entropy, &text, err)
             : swki_fail_nomem(err);
    if (rc == 0 && !swki_sha256(text.data, text.len, out_seal)) {
        rc = swki_fail_nomem(err);
    }
    wipe(&text);
    return rc;
}

/* -- Writing -------------------------------------------------------------- */

static int put_key(const struct swki_next_key *file, struct swki_pem key,
                   struct swki_buf *text, struct swk_error *err)
{
    uint8_t seal[SWKI_SHA256_SIZE];
    int rc;

    if (file->own.len == 0) {
        return swki_buf_append(text, key.text, key.len) ? SWK_OK
                                                        : swki_fail_nomem(err);
    }
    rc = seal_of(file, seal, err);
    if (rc == 0) {
        rc = swki_key_seal(key, seal, sizeof(seal), file->entropy, text, err);
    }
    swki_wipe(seal, sizeof(seal));
    return rc;
}

int swki_next_key_write(const struct swki_next_key *file, struct swki_pem key,
                        struct swki_pem csr, struct swk_error *err)
{
    struct swki_buf text;
    int rc;

    if (mkdir(file->dir, 0755) != 0 && errno != EEXIST) {
        return swki_fail(err, SWK_EIO, "cannot create %s: %s", file->dir,
                         strerror(errno));
    }
    swki_buf_init(&text, NULL, FILE_SIZE_MAX);
    /* All the room at once: growing would leave copies behind. */
    rc = swki_buf_reserve(&text, FILE_SIZE_MAX) != NULL
             ? put_key(file, key, &text, err)
             : swki_fail_nomem(err);
    if (rc == 0 && !swki_buf_append(&text, csr.text, csr.len)) {
        rc = swki_fail(err, SWK_ELIMIT, "the request is too long");
    }
    if (rc == 0) {
        rc = swki_file_replace(file->dir, SWKI_NEXT_KEY_NAME, text.data,
                               text.len, 0600, err);
    }
    wipe(&text);
    return rc;
}

/* -- Reading -------------------------------------------------------------- */

static int take_key(const struct swki_next_key *file, struct swki_pem key,
                    struct swki_buf *out_key, struct swk_error *err)
{
    uint8_t seal[SWKI_SHA256_SIZE];
    int rc;

    if (file->own.len == 0) {
        return swki_key_convert(key, file->entropy, out_key, err);
    }
    if (!swki_key_is_sealed(key)) {
        return swki_fail(err, SWK_EDENIED, "the key is not sealed");
    }
    rc = seal_of(file, seal, err);
    if (rc == 0) {
        rc = swki_key_unseal(key, seal, sizeof(seal), file->entropy, out_key,
                             err);
    }
    swki_wipe(seal, sizeof(seal));
    return rc;
}

static int take_apart(const struct swki_next_key *file,
                      const struct swki_buf *text, struct swki_buf *out_key,
                      struct swki_buf *out_csr, struct swk_error *err)
{
    const uint8_t *csr =
        memmem(text->data, text->len, csr_begin, sizeof(csr_begin) - 1);
    size_t key_len = csr != NULL ? (size_t)(csr - text->data) : 0;
    int rc;

    if (key_len == 0 || text->len - key_len > SWKI_CSR_LEN_MAX) {
        return swki_fail(err, SWK_ECORRUPT, "there is no key with its request");
    }
    if (swki_buf_reserve(out_key, key_len * 2) == NULL) {
        return swki_fail_nomem(err);
    }
    rc = take_key(file, (struct swki_pem){text->data, key_len}, out_key, err);
    if (rc == 0 && !swki_buf_append(out_csr, csr, text->len - key_len)) {
        rc = swki_fail_nomem(err);
    }
    return rc;
}

static void path_of(const char *dir, char out_path[PATH_SIZE])
{
    snprintf(out_path, PATH_SIZE, "%s/%s", dir, SWKI_NEXT_KEY_NAME);
}

int swki_next_key_read(const struct swki_next_key *file,
                       struct swki_buf *out_key, struct swki_buf *out_csr,
                       struct swk_error *err)
{
    char path[PATH_SIZE];
    struct swki_buf text;
    int rc;

    path_of(file->dir, path);
    swki_buf_init(&text, NULL, FILE_SIZE_MAX);
    rc = swki_buf_reserve(&text, FILE_SIZE_MAX) != NULL
             ? swki_file_read(path, FILE_SIZE_MAX, &text, err)
             : swki_fail_nomem(err);
    if (rc == 0) {
        rc = take_apart(file, &text, out_key, out_csr, err);
        if (rc != 0 && rc != SWK_ENOMEM) {
            swki_next_key_remove(file->dir);
            rc = swki_fail(err, SWK_ENOTFOUND, "%s is out of date", path);
        }
    }
    wipe(&text);
    return rc;
}

bool swki_next_key_exists(const char *dir)
{
    char path[PATH_SIZE];

    path_of(dir, path);
    return access(path, F_OK) == 0;
}

void swki_next_key_remove(const char *dir)
{
    char path[PATH_SIZE];

    path_of(dir, path);
    (void)unlink(path); /* left behind it is out of date, and harmless */
}

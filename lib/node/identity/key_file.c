/* SPDX-License-Identifier: Apache-2.0 */

#include "node/identity/key_file.h"

#include <string.h>

#include "base/error.h"
#include "crypto/digest.h"

/* A file's parts, which are next to each other. */
struct parts {
    struct swki_pem first; /* the line that begins the key */
    struct swki_pem headers;
    struct swki_pem rest;
};

static void wipe(struct swki_buf *buf)
{
    if (buf->data != NULL) {
        swki_wipe(buf->data, buf->size);
    }
    swki_buf_fini(buf);
}

/* The line at text with its end; len is what is left from there on. */
static size_t line_len(const char *text, size_t len)
{
    const char *end = memchr(text, '\n', len);

    return end != NULL ? (size_t)(end - text) + 1 : len;
}

static bool is_empty_line(const char *text, size_t len)
{
    return (len == 1 && text[0] == '\n') ||
           (len == 2 && text[0] == '\r' && text[1] == '\n');
}

/* What is before the key is no part of it. False if there is none. */
static bool split(struct swki_pem text, struct parts *out)
{
    static const char begin[] = "-----BEGIN ";
    const char *at =
        memmem(text.text, text.len, begin, sizeof(begin) - 1);
    const char *end = (const char *)text.text + text.len;
    const char *headers;

    if (at == NULL) {
        return false;
    }
    out->first =
        (struct swki_pem){at, line_len(at, (size_t)(end - at))};
    headers = at + out->first.len;
    at = headers;
    while (at < end) {
        size_t len = line_len(at, (size_t)(end - at));

        if (is_empty_line(at, len)) {
            out->headers =
                (struct swki_pem){headers, (size_t)(at - headers)};
            out->rest = (struct swki_pem){at + len, (size_t)(end - at) - len};
            return true;
        }
        if (memchr(at, ':', len) == NULL) {
            break;
        }
        at += len;
    }
    out->headers = (struct swki_pem){headers, 0};
    out->rest = (struct swki_pem){headers, (size_t)(end - headers)};
    return at == headers; /* headers end in an empty line */
}

static int read_key(const struct parts *parts,
                    const struct swk_unlock_key *unlock_key,
                    const struct swk_entropy *entropy, struct swki_buf *out_key,
                    struct swk_error *err)
{
    struct swki_buf pem;
    int rc;

    swki_buf_init(&pem, out_key->alloc, SWKI_PEM_LEN_MAX);
    /* All the room at once: growing would leave copies behind. */
    if (swki_buf_reserve(&pem, parts->first.len + parts->rest.len) == NULL ||
        swki_buf_reserve(out_key, parts->first.len + parts->rest.len + 1) ==
            NULL) {
        wipe(&pem);
        return swki_fail_nomem(err);
    }
    swki_buf_append(&pem, parts->first.text, parts->first.len);
    swki_buf_append(&pem, parts->rest.text, parts->rest.len);
    if (unlock_key != NULL) {
        rc = swki_key_unseal(swki_pem_of_buf(&pem), unlock_key->bytes,
                             SWK_UNLOCK_KEY_SIZE, entropy, out_key, err);
    } else {
        rc = swki_buf_append(out_key, pem.data, pem.len)
                 ? SWK_OK
                 : swki_fail_nomem(err);
    }
    wipe(&pem);
    return rc == SWK_EMALFORMED ? swki_fail(err, SWK_ECORRUPT,
                                            "the node's key is malformed")
                                : rc;
}

/* Encrypted by a key that MD5 made, and with nothing to tell damage by. */
static bool is_old_format(const struct parts *parts)
{
    static const char type[] = "Proc-Type:";

    return memmem(parts->headers.text, parts->headers.len, type,
                  sizeof(type) - 1) != NULL;
}

int swki_key_file_read(struct swki_pem text,
                       const struct swk_unlock_key *unlock_key,
                       const struct swk_entropy *entropy,
                       struct swki_buf *out_key,
                       struct swki_data_keys *out_keys, struct swk_error *err)
{
    struct swki_data_keys keys;
    struct parts parts;
    bool sealed;
    int rc;

    if (!split(text, &parts)) {
        return swki_fail(err, SWK_ECORRUPT, "there is no key in the key file");
    }
    if (is_old_format(&parts)) {
        return swki_fail(err, SWK_ENOTSUP,
                         "unsupported key format: the key is encrypted in the "
                         "old way of PEM, which FIPS rules out");
    }
    sealed = swki_key_is_sealed(parts.first);
    if (sealed && unlock_key == NULL) {
        return swki_fail(err, SWK_EDENIED, "the key file is sealed");
    }
    unlock_key = sealed ? unlock_key : NULL;
    rc = swki_data_keys_read(parts.headers.text, parts.headers.len, unlock_key,
                             &keys, err);
    if (rc == 0) {
        rc = read_key(&parts, unlock_key, entropy, out_key, err);
    }
    if (rc == 0) {
        *out_keys = keys;
    }
    swki_data_keys_wipe(&keys);
    return rc;
}

static int write_parts(struct swki_pem pem, const struct swki_data_keys *keys,
                       const struct swk_entropy *entropy,
                       struct swki_buf *out_text, struct swk_error *err)
{
    struct parts parts;
    size_t headers_at;
    int rc;

    if (!split(pem, &parts) || parts.headers.len > 0) {
        return swki_fail(err, SWK_EINVAL, "not a key to be written");
    }
    if (swki_buf_reserve(out_text, pem.len + SWKI_DATA_KEYS_HEADERS_MAX + 1) ==
        NULL) {
        return swki_fail_nomem(err);
    }
    swki_buf_append(out_text, parts.first.text, parts.first.len);
    headers_at = out_text->len;
    rc = swki_data_keys_write(keys, entropy, out_text, err);
    if (rc == 0 && out_text->len > headers_at) {
        swki_buf_append_byte(out_text, '\n');
    }
    if (rc == 0 &&
        !swki_buf_append(out_text, parts.rest.text, parts.rest.len)) {
        rc = swki_fail_nomem(err);
    }
    return rc;
}

int swki_key_file_write(struct swki_pem key, const struct swki_data_keys *keys,
                        const struct swk_entropy *entropy,
                        struct swki_buf *out_text, struct swk_error *err)
{
    struct swki_buf sealed;
    int rc;

    if (!keys->is_locked) {
        return write_parts(key, keys, entropy, out_text, err);
    }
    swki_buf_init(&sealed, out_text->alloc, SWKI_PEM_LEN_MAX);
    rc = swki_key_seal(key, keys->unlock_key.bytes, SWK_UNLOCK_KEY_SIZE,
                       entropy, &sealed, err);
    if (rc == 0) {
        rc = write_parts(swki_pem_of_buf(&sealed), keys, entropy, out_text,
                         err);
    }
    swki_buf_fini(&sealed);
    return rc;
}

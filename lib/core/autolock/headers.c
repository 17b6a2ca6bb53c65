/* SPDX-License-Identifier: Apache-2.0 */

/* The keys of a log as headers of a key file. */

#include <inttypes.h>
#include <string.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/error.h"
#include "core/autolock/data_keys.h"
#include "crypto/aead.h"
#include "crypto/digest.h"
#include "types.pb-c.h"
#include "wire/message.h"

static const char current_name[] = "raft-dek";
static const char pending_name[] = "raft-dek-pending";
static const char rotation_name[] = "raft-dek-needs-rotation";
static const char version_name[] = "kek-version";

enum {
    SEALED_SIZE = SWKI_DATA_KEY_SIZE + SWKI_AEAD_TAG_SIZE,
    RECORD_SIZE_MAX = 256,
    TEXT_SIZE_MAX = RECORD_SIZE_MAX / 3 * 4 + 4,
};

/* -- Writing -------------------------------------------------------------- */

/* The header's name is authenticated: one key cannot pass for another. */
static int seal(const struct swki_data_keys *keys, const char *name,
                const uint8_t *key, const struct swk_entropy *entropy,
                uint8_t nonce[SWKI_AEAD_NONCE_SIZE], struct swki_buf *out_data,
                struct swk_error *err)
{
    const struct swki_aead aead = {
        .key = keys->unlock_key.bytes,
        .nonce = nonce,
        .extra = name,
        .extra_len = strlen(name),
    };

    if (entropy->fill(entropy->ctx, nonce, SWKI_AEAD_NONCE_SIZE) != 0) {
        return swki_fail(err, SWK_EIO, "no entropy to seal a key with");
    }
    return swki_aead_seal(&aead, key, SWKI_DATA_KEY_SIZE, out_data, err);
}

static int put_record(const Swkpb__MaybeEncryptedRecord *record,
                      const char *name, struct swki_buf *out,
                      struct swk_error *err)
{
    uint8_t bytes[RECORD_SIZE_MAX];
    char text[TEXT_SIZE_MAX];
    size_t len = swki_message_packed_size(&record->base);
    size_t text_len = swki_base64_len(len);
    int rc = SWK_OK;

    if (len > sizeof(bytes)) {
        return swki_fail(err, SWK_EINTERNAL, "%s is too long", name);
    }
    protobuf_c_message_pack(&record->base, bytes);
    swki_base64_encode(bytes, len, text);
    if (!swki_buf_append_text(out, name) || !swki_buf_append_text(out, ": ") ||
        !swki_buf_append(out, text, text_len) ||
        !swki_buf_append_text(out, "\n")) {
        rc = swki_fail_nomem(err);
    }
    swki_wipe(bytes, sizeof(bytes));
    swki_wipe(text, sizeof(text));
    return rc;
}

static int put_key(const struct swki_data_keys *keys, const char *name,
                   const uint8_t *key, const struct swk_entropy *entropy,
                   struct swki_buf *out, struct swk_error *err)
{
    Swkpb__MaybeEncryptedRecord record = SWKPB__MAYBE_ENCRYPTED_RECORD__INIT;
    uint8_t nonce[SWKI_AEAD_NONCE_SIZE];
    struct swki_buf sealed;
    int rc = SWK_OK;

    swki_buf_init(&sealed, out->alloc, SEALED_SIZE);
    if (keys->is_locked) {
        rc = seal(keys, name, key, entropy, nonce, &sealed, err);
        record.algorithm =
            SWKPB__MAYBE_ENCRYPTED_RECORD__ALGORITHM__AES_256_GCM;
        record.data = (ProtobufCBinaryData){sealed.len, sealed.data};
        record.nonce = (ProtobufCBinaryData){sizeof(nonce), nonce};
    } else {
        record.data = (ProtobufCBinaryData){SWKI_DATA_KEY_SIZE,
                                            (uint8_t *)(uintptr_t)key};
    }
    if (rc == 0) {
        rc = put_record(&record, name, out, err);
    }
    swki_buf_fini(&sealed);
    return rc;
}

int swki_data_keys_write(const struct swki_data_keys *keys,
                         const struct swk_entropy *entropy,
                         struct swki_buf *out_headers, struct swk_error *err)
{
    int rc = SWK_OK;

    if (!keys->has_current && !keys->is_locked && keys->lock_version == 0) {
        return SWK_OK;
    }
    if (swki_buf_reserve(out_headers, SWKI_DATA_KEYS_HEADERS_MAX) == NULL ||
        !swki_buf_printf(out_headers, "%s: %" PRIu64 "\n", version_name,
                         keys->lock_version)) {
        return swki_fail_nomem(err);
    }
    if (keys->has_current) {
        rc = put_key(keys, current_name, keys->current, entropy, out_headers,
                     err);
    }
    if (rc == 0 && keys->has_pending) {
        rc = put_key(keys, pending_name, keys->pending, entropy, out_headers,
                     err);
    }
    if (rc == 0 && keys->needs_rotation &&
        !swki_buf_printf(out_headers, "%s: true\n", rotation_name)) {
        rc = swki_fail_nomem(err);
    }
    return rc;
}

/* -- Reading -------------------------------------------------------------- */

static int unseal(const Swkpb__MaybeEncryptedRecord *record, const char *name,
                  const struct swk_unlock_key *unlock_key, uint8_t *out_key,
                  struct swk_error *err)
{
    const struct swki_aead aead = {
        .key = unlock_key->bytes,
        .nonce = record->nonce.data,
        .extra = name,
        .extra_len = strlen(name),
    };
    struct swki_buf plain;
    int rc;

    if (record->nonce.len != SWKI_AEAD_NONCE_SIZE ||
        record->data.len != SEALED_SIZE) {
        return swki_fail(err, SWK_ECORRUPT, "%s is malformed", name);
    }
    swki_buf_init(&plain, NULL, SWKI_DATA_KEY_SIZE);
    rc = swki_aead_open(&aead, record->data.data, record->data.len, &plain,
                        err);
    if (rc == 0) {
        memcpy(out_key, plain.data, SWKI_DATA_KEY_SIZE);
    } else if (rc == SWK_ECORRUPT) {
        rc = swki_fail(err, SWK_EDENIED, "%s is sealed under another key",
                       name);
    }
    if (plain.data != NULL) {
        swki_wipe(plain.data, plain.size);
    }
    swki_buf_fini(&plain);
    return rc;
}

static int take_record(const Swkpb__MaybeEncryptedRecord *record,
                       const char *name,
                       const struct swk_unlock_key *unlock_key,
                       uint8_t *out_key, struct swk_error *err)
{
    switch ((int)record->algorithm) {
    case SWKPB__MAYBE_ENCRYPTED_RECORD__ALGORITHM__NONE:
        /* A key in clear in a locked file is one that somebody slipped in. */
        if (unlock_key != NULL || record->data.len != SWKI_DATA_KEY_SIZE) {
            return swki_fail(err, SWK_ECORRUPT, "%s is malformed", name);
        }
        memcpy(out_key, record->data.data, SWKI_DATA_KEY_SIZE);
        return SWK_OK;
    case SWKPB__MAYBE_ENCRYPTED_RECORD__ALGORITHM__AES_256_GCM:
        return unlock_key != NULL
                   ? unseal(record, name, unlock_key, out_key, err)
                   : swki_fail(err, SWK_EDENIED, "%s is sealed", name);
    default:
        return swki_fail(err, SWK_ENOTSUP,
                         "%s is sealed in a way that this release does not "
                         "know (%d)",
                         name, (int)record->algorithm);
    }
}

static int take_key(const char *value, size_t value_len, const char *name,
                    const struct swk_unlock_key *unlock_key, uint8_t *out_key,
                    struct swk_error *err)
{
    uint8_t bytes[RECORD_SIZE_MAX + 3];
    struct swki_arena arena;
    ProtobufCMessage *message;
    size_t len;
    int rc;

    if (value_len > RECORD_SIZE_MAX / 3 * 4 ||
        !swki_base64_decode(value, value_len, bytes, &len)) {
        return swki_fail(err, SWK_ECORRUPT, "%s is malformed", name);
    }
    swki_arena_init(&arena, NULL, swki_message_memory_max(len));
    rc = swki_message_unpack(&swkpb__maybe_encrypted_record__descriptor, bytes,
                             len, &arena, &message, err);
    if (rc == 0) {
        const Swkpb__MaybeEncryptedRecord *record =
            (const Swkpb__MaybeEncryptedRecord *)message;

        rc = take_record(record, name, unlock_key, out_key, err);
        swki_wipe(record->data.data, record->data.len);
    } else if (rc != SWK_ENOMEM) {
        rc = swki_fail(err, SWK_ECORRUPT, "%s is malformed", name);
    }
    swki_arena_fini(&arena);
    swki_wipe(bytes, sizeof(bytes));
    return rc;
}

static int take_version(const char *value, size_t len, uint64_t *out_version,
                        struct swk_error *err)
{
    uint64_t version = 0;

    for (size_t i = 0; i < len; i++) {
        unsigned digit = (unsigned)(value[i] - '0');

        if (digit > 9 || version > (UINT64_MAX - digit) / 10) {
            len = 0;
            break;
        }
        version = version * 10 + digit;
    }
    if (len == 0) {
        return swki_fail(err, SWK_ECORRUPT, "%s is no number", version_name);
    }
    *out_version = version;
    return SWK_OK;
}

static bool is_named(const char *line, size_t name_len, const char *name)
{
    return name_len == strlen(name) && memcmp(line, name, name_len) == 0;
}

/* One line: "name: value". */
static int take_header(const char *line, size_t line_len,
                       const struct swk_unlock_key *unlock_key,
                       struct swki_data_keys *keys, struct swk_error *err)
{
    const char *colon = memchr(line, ':', line_len);
    size_t name_len = colon != NULL ? (size_t)(colon - line) : 0;
    const char *value = line + name_len + 1;
    size_t len;

    if (colon == NULL) {
        return swki_fail(err, SWK_ECORRUPT, "a header has no colon");
    }
    len = line_len - name_len - 1;
    while (len > 0 && *value == ' ') {
        value++;
        len--;
    }
    if (is_named(line, name_len, current_name)) {
        keys->has_current = true;
        return take_key(value, len, current_name, unlock_key, keys->current,
                        err);
    }
    if (is_named(line, name_len, pending_name)) {
        keys->has_pending = true;
        return take_key(value, len, pending_name, unlock_key, keys->pending,
                        err);
    }
    if (is_named(line, name_len, rotation_name)) {
        keys->needs_rotation = len == 4 && memcmp(value, "true", 4) == 0;
    }
    return is_named(line, name_len, version_name)
               ? take_version(value, len, &keys->lock_version, err)
               : SWK_OK;
}

static int take_headers(const char *headers, size_t headers_len,
                        const struct swk_unlock_key *unlock_key,
                        struct swki_data_keys *keys, struct swk_error *err)
{
    int rc = SWK_OK;

    while (headers_len > 0 && rc == 0) {
        const char *end = memchr(headers, '\n', headers_len);
        size_t line_len =
            end != NULL ? (size_t)(end - headers) : headers_len;
        size_t used = line_len + (end != NULL ? 1 : 0);

        if (line_len > 0 && headers[line_len - 1] == '\r') {
            line_len--;
        }
        if (line_len > 0) {
            rc = take_header(headers, line_len, unlock_key, keys, err);
        }
        headers += used;
        headers_len -= used;
    }
    return rc;
}

int swki_data_keys_read(const char *headers, size_t headers_len,
                        const struct swk_unlock_key *unlock_key,
                        struct swki_data_keys *out_keys,
                        struct swk_error *err)
{
    struct swki_data_keys keys = {.is_locked = unlock_key != NULL};
    int rc;

    if (unlock_key != NULL) {
        keys.unlock_key = *unlock_key;
    }
    rc = take_headers(headers, headers_len, unlock_key, &keys, err);
    if (rc == 0 && keys.has_pending && !keys.has_current) {
        rc = swki_fail(err, SWK_ECORRUPT,
                       "there is a pending DEK, but no current DEK");
    }
    if (rc == 0) {
        *out_keys = keys;
    }
    swki_data_keys_wipe(&keys);
    return rc;
}

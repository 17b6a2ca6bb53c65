/* SPDX-License-Identifier: Apache-2.0 */

#include <swarmkit/signed_spec.h>

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/options.h"
#include "core/trust/trust.h"
#include "wire/message.h"

enum {
    PASSWORD_LEN_MAX = 1024,
    KEY_TEXT_SIZE = 4096, /* more than any key takes, sealed or not */
};

struct swk_signing_key {
    struct swk_entropy entropy;
    struct swki_buf plain;   /* PEM, without a NUL in len, likewise below */
    struct swki_buf private; /* as it is kept; sealed, if there is a password */
    struct swki_buf public;
    char id[SWK_SIGNING_KEY_ID_LEN + 1];
};

/* -- Keys ----------------------------------------------------------------- */

/* All the room at once: growing would leave copies of secrets behind. */
static bool make_room(struct swki_buf *buf)
{
    swki_buf_init(buf, NULL, KEY_TEXT_SIZE);
    return swki_buf_reserve(buf, KEY_TEXT_SIZE) != NULL;
}

static bool terminate(struct swki_buf *buf)
{
    if (!swki_buf_append_byte(buf, '\0')) {
        return false;
    }
    buf->len--;
    return true;
}

static void wipe(struct swki_buf *buf)
{
    if (buf->data != NULL) {
        swki_wipe(buf->data, buf->size);
    }
    swki_buf_fini(buf);
}

static int open_plain(struct swk_signing_key *key,
                      const struct swk_signing_key_config *config,
                      struct swk_error *err)
{
    const struct swki_pem pem = {config->pem, config->pem_len};

    if (config->pem == NULL) {
        return swki_signing_key_generate(config->curve == SWK_SIGNING_CURVE_P384
                                             ? SWKI_CURVE_P384
                                             : SWKI_CURVE_P256,
                                         &key->entropy, &key->plain, err);
    }
    if (!swki_key_is_sealed(pem)) {
        return swki_key_convert(pem, &key->entropy, &key->plain, err);
    }
    if (config->password == NULL) {
        return swki_fail(err, SWK_EDENIED, "the key needs its password");
    }
    return swki_key_unseal(pem, config->password, config->password_len,
                           &key->entropy, &key->plain, err);
}

static int keep_private(struct swk_signing_key *key,
                        const struct swk_signing_key_config *config,
                        struct swk_error *err)
{
    const struct swki_pem plain = swki_pem_of_buf(&key->plain);

    if (config->password != NULL) {
        return swki_key_seal(plain, config->password, config->password_len,
                             &key->entropy, &key->private, err);
    }
    return swki_buf_append(&key->private, plain.text, plain.len)
               ? SWK_OK
               : swki_fail_nomem(err);
}

static int identify(struct swk_signing_key *key, struct swk_error *err)
{
    struct swki_verifiers *verifiers;
    int rc = swki_verifiers_new(NULL, swki_pem_of_buf(&key->public), &verifiers,
                                err);

    if (rc == SWK_OK) {
        swki_sha256_hex(swki_verifiers_id(verifiers, 0), key->id);
        swki_verifiers_free(verifiers);
    }
    return rc;
}

static int load_key(struct swk_signing_key *key,
                    const struct swk_signing_key_config *config,
                    struct swk_error *err)
{
    int rc;

    if (!make_room(&key->plain) || !make_room(&key->private) ||
        !make_room(&key->public)) {
        return swki_fail_nomem(err);
    }
    rc = open_plain(key, config, err);
    if (rc == SWK_OK) {
        rc = keep_private(key, config, err);
    }
    if (rc == SWK_OK) {
        rc = swki_signing_key_public(swki_pem_of_buf(&key->plain),
                                     &key->entropy, &key->public, err);
    }
    if (rc == SWK_OK) {
        rc = identify(key, err);
    }
    if (rc == SWK_OK &&
        (!terminate(&key->private) || !terminate(&key->public))) {
        rc = swki_fail_nomem(err);
    }
    return rc;
}

int swk_signing_key_new(const struct swk_signing_key_config *options,
                        swk_signing_key **out_key, struct swk_error *err)
{
    struct swk_signing_key_config config;
    struct swk_signing_key *key;
    int rc;

    if (options == NULL || out_key == NULL) {
        return swki_fail(err, SWK_EINVAL, "signing key: NULL argument");
    }
    rc = swki_options_read(&config, sizeof(config), options,
                           "swk_signing_key_config", err);
    if (rc != SWK_OK) {
        return rc;
    }
    if (config.entropy == NULL || config.password_len > PASSWORD_LEN_MAX ||
        config.curve < SWK_SIGNING_CURVE_P256 ||
        config.curve > SWK_SIGNING_CURVE_P384) {
        return swki_fail(err, SWK_EINVAL,
                         "signing key: no entropy, a password too long, or an "
                         "unknown curve");
    }
    key = swki_calloc(NULL, 1, sizeof(*key));
    if (key == NULL) {
        return swki_fail_nomem(err);
    }
    key->entropy = *config.entropy;
    rc = load_key(key, &config, err);
    if (rc != SWK_OK) {
        swk_signing_key_free(key);
        return rc;
    }
    *out_key = key;
    return SWK_OK;
}

void swk_signing_key_free(swk_signing_key *key)
{
    if (key != NULL) {
        wipe(&key->plain);
        wipe(&key->private);
        swki_buf_fini(&key->public);
        swki_free(NULL, key);
    }
}

int swk_signing_key_is_sealed(const void *pem, size_t pem_len)
{
    return swki_key_is_sealed((struct swki_pem){pem, pem_len});
}

const char *swk_signing_key_id(const swk_signing_key *key)
{
    return key->id;
}

const char *swk_signing_key_public(const swk_signing_key *key)
{
    return (const char *)key->public.data;
}

const char *swk_signing_key_private(const swk_signing_key *key)
{
    return (const char *)key->private.data;
}

/* -- Specs ---------------------------------------------------------------- */

static int sign(swk_signing_key *key, const struct swk_spec_terms *given,
                Swkpb__ServiceSpec *spec, struct swki_arena *arena,
                struct swki_buf *out, struct swk_error *err)
{
    const struct swki_sign_terms terms = {
        .swarm_id = given->swarm_id,
        .signed_at = given->signed_at,
        .not_after = given->not_after,
    };
    int rc = swki_spec_sign(spec, swki_pem_of_buf(&key->plain), &terms,
                            &key->entropy, arena, err);

    return rc == SWK_OK ? swki_message_pack(&spec->base, out, err) : rc;
}

static int read_spec(const void *spec, size_t len, struct swki_arena *arena,
                     Swkpb__ServiceSpec **out_spec, struct swk_error *err)
{
    ProtobufCMessage *message;
    int rc;

    swki_arena_init(arena, NULL, SIZE_MAX);
    rc = swki_message_unpack(&swkpb__service_spec__descriptor, spec, len, arena,
                             &message, err);
    if (rc == SWK_OK) {
        *out_spec = (Swkpb__ServiceSpec *)message;
    }
    return rc;
}

int swk_spec_sign(swk_signing_key *key, const struct swk_spec_terms *options,
                  const void *spec, size_t spec_len, uint8_t **out_spec,
                  size_t *out_len, struct swk_error *err)
{
    struct swk_spec_terms terms;
    Swkpb__ServiceSpec *message;
    struct swki_arena arena;
    struct swki_buf buf;
    int rc;

    if (key == NULL || options == NULL || spec == NULL || out_spec == NULL ||
        out_len == NULL) {
        return swki_fail(err, SWK_EINVAL, "sign a spec: NULL argument");
    }
    rc = swki_options_read(&terms, sizeof(terms), options, "swk_spec_terms",
                           err);
    if (rc != SWK_OK) {
        return rc;
    }
    swki_buf_init(&buf, NULL, SIZE_MAX);
    rc = read_spec(spec, spec_len, &arena, &message, err);
    if (rc == SWK_OK) {
        rc = sign(key, &terms, message, &arena, &buf, err);
    }
    swki_arena_fini(&arena);
    if (rc != SWK_OK) {
        swki_buf_fini(&buf);
        return rc;
    }
    *out_spec = buf.data;
    *out_len = buf.len;
    return SWK_OK;
}

static int verify(struct swki_trust *trust, const void *spec, size_t spec_len,
                  swk_wall now, char *out_key_id, struct swk_error *err)
{
    Swkpb__ServiceSpec *message;
    struct swki_arena arena;
    size_t index;
    int rc = read_spec(spec, spec_len, &arena, &message, err);

    if (rc == SWK_OK) {
        rc = swki_trust_check_spec(trust, message, now, &index, err);
    }
    if (rc == SWK_OK) {
        swki_key_name(&message->signatures[index]->key_id, out_key_id);
    }
    swki_arena_fini(&arena);
    return rc;
}

int swk_spec_verify(const struct swk_spec_trust *options, const void *spec,
                    size_t spec_len,
                    char out_key_id[SWK_SIGNING_KEY_ID_LEN + 1],
                    struct swk_error *err)
{
    struct swk_spec_trust given;
    struct swki_trust *trust;
    int rc;

    if (options == NULL || spec == NULL || out_key_id == NULL ||
        options->public_keys == NULL) {
        return swki_fail(err, SWK_EINVAL, "verify a spec: NULL argument");
    }
    rc = swki_options_read(&given, sizeof(given), options, "swk_spec_trust",
                           err);
    if (rc == SWK_OK) {
        rc = swki_trust_new(NULL, swki_pem_of(given.public_keys),
                            given.swarm_id, &trust, err);
    }
    if (rc == SWK_OK) {
        rc = verify(trust, spec, spec_len, given.now, out_key_id, err);
        swki_trust_free(trust);
    }
    return rc;
}

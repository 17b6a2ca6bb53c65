/* SPDX-License-Identifier: Apache-2.0 */

#include "core/trust/trust.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "wire/message.h"
#include "wire/rfc3339.h"

enum {
    REMEMBERED_MAX = 64, /* good signatures */
};

struct swki_trust {
    const struct swk_alloc *alloc;
    struct swki_verifiers *keys;
    bool any_swarm;
    char swarm_id[SWK_ID_LEN_MAX + 1];
    /* Digests of statement, key and signature; a ring. */
    uint8_t remembered[REMEMBERED_MAX][SWKI_SHA256_SIZE];
    size_t remembered_count;
    size_t next;
};

int swki_trust_new(const struct swk_alloc *alloc, struct swki_pem keys,
                   const char *swarm_id, struct swki_trust **out_trust,
                   struct swk_error *err)
{
    struct swki_trust *trust;
    int rc;

    if (swarm_id != NULL && strlen(swarm_id) > SWK_ID_LEN_MAX) {
        return swki_fail(err, SWK_EINVAL, "the swarm's ID is too long");
    }
    trust = swki_calloc(alloc, 1, sizeof(*trust));
    if (trust == NULL) {
        return swki_fail_nomem(err);
    }
    trust->alloc = alloc;
    trust->any_swarm = swarm_id == NULL;
    if (swarm_id != NULL) {
        memcpy(trust->swarm_id, swarm_id, strlen(swarm_id) + 1);
    }
    rc = swki_verifiers_new(alloc, keys, &trust->keys, err);
    if (rc != SWK_OK) {
        swki_trust_free(trust);
        return rc;
    }
    *out_trust = trust;
    return SWK_OK;
}

void swki_trust_free(struct swki_trust *trust)
{
    if (trust != NULL) {
        swki_verifiers_free(trust->keys);
        swki_free(trust->alloc, trust);
    }
}

const struct swki_verifiers *swki_trust_keys(const struct swki_trust *trust)
{
    return trust->keys;
}

void swki_key_name(const ProtobufCBinaryData *key_id,
                   char out_name[SWKI_KEY_NAME_SIZE])
{
    if (key_id->len != SWKI_KEY_ID_SIZE) {
        memcpy(out_name, "?", 2);
        return;
    }
    swki_sha256_hex(key_id->data, out_name);
}

/* -- One signature -------------------------------------------------------- */

/* A statement, as a spec or a task gives it. */
struct subject {
    const Swkpb__ServiceSpec *spec; /* one of these */
    const Swkpb__Task *task;
    Swkpb__Rpc__SpecSignature *const *signatures;
    size_t count;
};

static int fail_signature(const Swkpb__Rpc__SpecSignature *signature,
                          struct swk_error *err, const char *what,
                          const char *detail)
{
    char name[SWKI_KEY_NAME_SIZE];

    swki_key_name(&signature->key_id, name);
    return swki_fail(err, SWK_EDENIED, "signature of key %.16s %s%s", name,
                     what, detail);
}

static int check_end(const Swkpb__Rpc__SpecSignature *signature, swk_wall wall,
                     struct swk_error *err)
{
    const Swkpb__Timestamp *end = signature->not_after;
    char text[SWKI_RFC3339_SIZE];
    swk_wall not_after;

    if (end == NULL) {
        return SWK_OK;
    }
    if (swki_timestamp_read(end, &not_after, NULL) != SWK_OK) {
        return fail_signature(signature, err, "ends at no time", "");
    }
    if (wall <= not_after) {
        return SWK_OK;
    }
    if (!swki_rfc3339_timestamp(end->seconds, end->nanos, text)) {
        text[0] = '\0';
    }
    return fail_signature(signature, err, "expired on ", text);
}

static bool recall(const struct swki_trust *trust,
                   const uint8_t digest[SWKI_SHA256_SIZE])
{
    for (size_t i = 0; i < trust->remembered_count; i++) {
        if (memcmp(trust->remembered[i], digest, SWKI_SHA256_SIZE) == 0) {
            return true;
        }
    }
    return false;
}

static void remember(struct swki_trust *trust,
                     const uint8_t digest[SWKI_SHA256_SIZE])
{
    memcpy(trust->remembered[trust->next], digest, SWKI_SHA256_SIZE);
    trust->next = (trust->next + 1) % REMEMBERED_MAX;
    if (trust->remembered_count < REMEMBERED_MAX) {
        trust->remembered_count++;
    }
}

/* Whether the key signed the statement, which grows by what names the pair of
 * them in the memory of good ones: all parts have a fixed length but two, and
 * the last one ends with its length. */
static int verify(struct swki_trust *trust,
                  const Swkpb__Rpc__SpecSignature *signature,
                  struct swki_buf *statement, struct swk_error *err)
{
    const ProtobufCBinaryData *bytes = &signature->signature;
    uint8_t digest[SWKI_SHA256_SIZE];
    size_t len = statement->len;

    if (bytes->len > SWKI_SIGNATURE_SIZE_MAX) {
        return fail_signature(signature, err, "is too long", "");
    }
    swki_buf_append(statement, bytes->data, bytes->len);
    swki_buf_append(statement, signature->key_id.data, SWKI_KEY_ID_SIZE);
    swki_buf_append_byte(statement, (uint8_t)bytes->len);
    if (statement->failed ||
        !swki_sha256(statement->data, statement->len, digest)) {
        return swki_fail_nomem(err);
    }
    if (recall(trust, digest)) {
        return SWK_OK;
    }
    if (!swki_verifiers_check(trust->keys, signature->key_id.data,
                              statement->data, len, bytes->data, bytes->len)) {
        return fail_signature(signature, err,
                              "is not of this spec: it was changed after it "
                              "was signed",
                              "");
    }
    remember(trust, digest);
    return SWK_OK;
}

static int check_signature(struct swki_trust *trust,
                           const struct subject *subject,
                           const Swkpb__Rpc__SpecSignature *signature,
                           struct swk_error *err)
{
    struct swki_buf statement;
    int rc;

    if (!trust->any_swarm && signature->swarm_id[0] != '\0' &&
        strcmp(signature->swarm_id, trust->swarm_id) != 0) {
        return fail_signature(signature, err, "is for another swarm", "");
    }
    swki_buf_init(&statement, trust->alloc, SIZE_MAX);
    rc =
        subject->spec != NULL
            ? swki_statement_of_spec(subject->spec, signature, &statement, err)
            : swki_statement_of_task(subject->task, signature, &statement, err);
    if (rc == SWK_OK) {
        rc = verify(trust, signature, &statement, err);
    } else if (rc != SWK_ENOMEM) {
        rc = SWK_EDENIED;
        if (err != NULL) {
            err->code = rc;
        }
    }
    swki_buf_fini(&statement);
    return rc;
}

/* -- All of them ---------------------------------------------------------- */

static int fail_unknown(const struct subject *subject, struct swk_error *err)
{
    char name[SWKI_KEY_NAME_SIZE];

    if (subject->count == 0) {
        return swki_fail(err, SWK_EDENIED,
                         "not signed by a trusted key: it has "
                         "no signature");
    }
    swki_key_name(&subject->signatures[0]->key_id, name);
    return swki_fail(err, SWK_EDENIED,
                     "not signed by a trusted key: it has %zu "
                     "signature%s, the first of key %.16s",
                     subject->count, subject->count == 1 ? "" : "s", name);
}

/* The first that is good counts; of the others, the last one of a trusted key
 * says why none is. */
static int check(struct swki_trust *trust, const struct subject *subject,
                 swk_wall wall, enum swki_trust_moment moment,
                 size_t *out_index, struct swk_error *err)
{
    int rc = fail_unknown(subject, err);

    if (subject->count > SWKI_SIGNATURES_MAX) {
        return swki_fail(err, SWK_EDENIED, "more than %d signatures",
                         SWKI_SIGNATURES_MAX);
    }
    for (size_t i = 0; i < subject->count; i++) {
        const Swkpb__Rpc__SpecSignature *signature = subject->signatures[i];

        if (!swki_verifiers_know(trust->keys, signature->key_id.data,
                                 signature->key_id.len)) {
            continue;
        }
        rc = moment == SWKI_TRUST_TO_BEGIN ? check_end(signature, wall, err)
                                           : SWK_OK;
        if (rc == SWK_OK) {
            rc = check_signature(trust, subject, signature, err);
        }
        if (rc == SWK_OK) {
            *out_index = i;
            return rc;
        }
    }
    return rc;
}

int swki_trust_check_task(struct swki_trust *trust, const Swkpb__Task *task,
                          swk_wall wall, enum swki_trust_moment moment,
                          struct swk_error *err)
{
    const struct subject subject = {
        .task = task,
        .signatures = task->signatures,
        .count = task->n_signatures,
    };
    size_t index;
    int rc = check(trust, &subject, wall, moment, &index, err);

    if (rc == SWK_OK) {
        rc = swki_task_additions_check(task, err);
        if (rc != SWK_OK) {
            rc = SWK_EDENIED;
            if (err != NULL) {
                err->code = rc;
            }
        }
    }
    return rc;
}

int swki_trust_check_spec(struct swki_trust *trust,
                          const Swkpb__ServiceSpec *spec, swk_wall wall,
                          size_t *out_index, struct swk_error *err)
{
    const struct subject subject = {
        .spec = spec,
        .signatures = spec->signatures,
        .count = spec->n_signatures,
    };

    return check(trust, &subject, wall, SWKI_TRUST_TO_BEGIN, out_index, err);
}

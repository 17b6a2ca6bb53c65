/* SPDX-License-Identifier: Apache-2.0 */

/* Making signatures, and keeping them with what they are over. */

#include <string.h>

#include "base/error.h"
#include "core/trust/trust.h"
#include "wire/message.h"

/* -- Signing -------------------------------------------------------------- */

static int set_terms(Swkpb__Rpc__SpecSignature *signature,
                     const struct swki_sign_terms *terms,
                     struct swki_arena *arena, struct swk_error *err)
{
    signature->swarm_id = swki_arena_strdup(arena, terms->swarm_id);
    signature->signed_at = swki_timestamp_from_wall(terms->signed_at, arena);
    if (terms->not_after != 0) {
        signature->not_after =
            swki_timestamp_from_wall(terms->not_after, arena);
    }
    return signature->swarm_id != NULL && signature->signed_at != NULL &&
                   (terms->not_after == 0 || signature->not_after != NULL)
               ? SWK_OK
               : swki_fail_nomem(err);
}

static int make_signature(const Swkpb__ServiceSpec *spec, struct swki_pem key,
                          const struct swk_entropy *entropy,
                          Swkpb__Rpc__SpecSignature *signature,
                          struct swki_arena *arena, struct swk_error *err)
{
    uint8_t id[SWKI_KEY_ID_SIZE];
    struct swki_buf statement;
    struct swki_buf bytes;
    int rc;

    swki_buf_init(&statement, arena->alloc, SIZE_MAX);
    swki_buf_init(&bytes, arena->alloc, SWKI_SPEC_SIGNATURE_SIZE_MAX);
    rc = swki_statement_of_spec(spec, signature, &statement, err);
    if (rc == SWK_OK) {
        rc = swki_signature_make(key, statement.data, statement.len, entropy,
                                 &bytes, id, err);
    }
    if (rc == SWK_OK) {
        signature->key_id.data = swki_arena_memdup(arena, id, sizeof(id));
        signature->key_id.len = sizeof(id);
        signature->signature.data =
            swki_arena_memdup(arena, bytes.data, bytes.len);
        signature->signature.len = bytes.len;
        rc = signature->key_id.data != NULL && signature->signature.data != NULL
                 ? SWK_OK
                 : swki_fail_nomem(err);
    }
    swki_buf_fini(&bytes);
    swki_buf_fini(&statement);
    return rc;
}

static bool same_key(const Swkpb__Rpc__SpecSignature *a,
                     const Swkpb__Rpc__SpecSignature *b)
{
    return a->key_id.len == b->key_id.len &&
           (a->key_id.len == 0 ||
            memcmp(a->key_id.data, b->key_id.data, a->key_id.len) == 0);
}

/* The others, then the new one. */
static int add_signature(Swkpb__ServiceSpec *spec,
                         Swkpb__Rpc__SpecSignature *signature,
                         struct swki_arena *arena, struct swk_error *err)
{
    Swkpb__Rpc__SpecSignature **list =
        swki_arena_calloc(arena, spec->n_signatures + 1, sizeof(list[0]));
    size_t count = 0;

    if (list == NULL) {
        return swki_fail_nomem(err);
    }
    for (size_t i = 0; i < spec->n_signatures; i++) {
        if (!same_key(spec->signatures[i], signature)) {
            list[count++] = spec->signatures[i];
        }
    }
    if (count == SWKI_SIGNATURES_MAX) {
        return swki_fail(err, SWK_EINVAL, "the spec has %d signatures already",
                         SWKI_SIGNATURES_MAX);
    }
    list[count++] = signature;
    spec->signatures = list;
    spec->n_signatures = count;
    return SWK_OK;
}

int swki_spec_sign(Swkpb__ServiceSpec *spec, struct swki_pem key,
                   const struct swki_sign_terms *terms,
                   const struct swk_entropy *entropy, struct swki_arena *arena,
                   struct swk_error *err)
{
    Swkpb__Rpc__SpecSignature *signature =
        swki_arena_alloc(arena, sizeof(*signature));
    int rc;

    if (signature == NULL) {
        return swki_fail_nomem(err);
    }
    swkpb__rpc__spec_signature__init(signature);
    rc = set_terms(signature, terms, arena, err);
    if (rc == SWK_OK) {
        rc = make_signature(spec, key, entropy, signature, arena, err);
    }
    return rc == SWK_OK ? add_signature(spec, signature, arena, err) : rc;
}

/* -- What managers check --------------------------------------------------- */

static bool time_is_fine(const Swkpb__Timestamp *time)
{
    swk_wall unused;

    return time == NULL || swki_timestamp_read(time, &unused, NULL) == SWK_OK;
}

int swki_signatures_validate(Swkpb__Rpc__SpecSignature *const *list,
                             size_t count, struct swk_error *err)
{
    if (count > SWKI_SIGNATURES_MAX) {
        return swki_fail(err, SWK_EINVAL, "more than %d signatures",
                         SWKI_SIGNATURES_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        const Swkpb__Rpc__SpecSignature *s = list[i];

        if (s->key_id.len != SWKI_KEY_ID_SIZE || s->signature.len == 0 ||
            s->signature.len > SWKI_SPEC_SIGNATURE_SIZE_MAX ||
            strlen(s->swarm_id) > SWK_ID_LEN_MAX ||
            !time_is_fine(s->signed_at) || !time_is_fine(s->not_after)) {
            return swki_fail(err, SWK_EINVAL,
                             "signature %zu of the spec is malformed", i + 1);
        }
    }
    return SWK_OK;
}

static bool was_there(const Swkpb__ServiceSpec *spec,
                      const Swkpb__Rpc__SpecSignature *signature)
{
    for (size_t i = 0; i < spec->n_signatures; i++) {
        if (swki_message_equal(&spec->signatures[i]->base, &signature->base)) {
            return true;
        }
    }
    return false;
}

/* 1 if both specs lead to one statement, 0 if not; or a failure. What has none
 * differs from everything. */
static int says_the_same(const Swkpb__ServiceSpec *a,
                         const Swkpb__ServiceSpec *b,
                         const Swkpb__Rpc__SpecSignature *terms)
{
    struct swki_buf first;
    struct swki_buf second;
    int rc;

    swki_buf_init(&first, NULL, SIZE_MAX);
    swki_buf_init(&second, NULL, SIZE_MAX);
    rc = swki_statement_of_spec(a, terms, &first, NULL);
    if (rc == SWK_OK) {
        rc = swki_statement_of_spec(b, terms, &second, NULL);
    }
    if (rc == SWK_OK) {
        rc = first.len == second.len &&
             memcmp(first.data, second.data, first.len) == 0;
    } else if (rc != SWK_ENOMEM) {
        rc = 0;
    }
    swki_buf_fini(&second);
    swki_buf_fini(&first);
    return rc;
}

int swki_signatures_check_change(const Swkpb__ServiceSpec *before,
                                 const Swkpb__ServiceSpec *after,
                                 struct swk_error *err)
{
    for (size_t i = 0; i < after->n_signatures; i++) {
        const Swkpb__Rpc__SpecSignature *signature = after->signatures[i];
        char name[SWKI_KEY_NAME_SIZE];
        int rc = was_there(before, signature)
                     ? says_the_same(before, after, signature)
                     : 1;

        if (rc < 0) {
            return swki_fail_nomem(err);
        }
        if (rc == 0) {
            swki_key_name(&signature->key_id, name);
            return swki_fail(err, SWK_EINVAL,
                             "the signature of key %.16s is over the spec as "
                             "it was: sign the change, or leave the signature "
                             "out",
                             name);
        }
    }
    return SWK_OK;
}

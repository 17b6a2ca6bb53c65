/* SPDX-License-Identifier: Apache-2.0 */

#include "node/agent/agreement.h"

#include <string.h>

#include "base/error.h"
#include "core/consent/consent.h"

/* Managers learn whose signatures will do. */
static int announce_signers(struct swki_agreement *agreement,
                            struct swk_error *err)
{
    const struct swki_verifiers *keys = swki_trust_keys(agreement->trust);
    size_t count = swki_verifiers_count(keys);
    Swkpb__Rpc__NodeConsent__Signers *signers =
        swki_arena_alloc(&agreement->arena, sizeof(*signers));

    if (signers == NULL) {
        return swki_fail_nomem(err);
    }
    swkpb__rpc__node_consent__signers__init(signers);
    signers->key_ids = swki_arena_calloc(&agreement->arena, count,
                                         sizeof(signers->key_ids[0]));
    if (signers->key_ids == NULL) {
        return swki_fail_nomem(err);
    }
    for (size_t i = 0; i < count; i++) {
        signers->key_ids[i] = (ProtobufCBinaryData){
            SWKI_KEY_ID_SIZE, (uint8_t *)(uintptr_t)swki_verifiers_id(keys, i)};
    }
    signers->n_key_ids = count;
    agreement->consent->signers = signers;
    return SWK_OK;
}

static int need_consent(struct swki_agreement *agreement, struct swk_error *err)
{
    if (agreement->consent == NULL) {
        agreement->consent =
            swki_arena_alloc(&agreement->arena, sizeof(*agreement->consent));
        if (agreement->consent == NULL) {
            return swki_fail_nomem(err);
        }
        swkpb__rpc__node_consent__init(agreement->consent);
    }
    return SWK_OK;
}

static int take_policy(struct swki_agreement *agreement, const char *policy,
                       struct swk_error *err)
{
    struct swk_error why;
    int rc = swki_consent_read(policy, strlen(policy), &agreement->arena,
                               &agreement->consent, &why);

    return rc == SWK_OK ? rc : swki_fail(err, rc, "policy: %.230s", why.text);
}

static int take_keys(struct swki_agreement *agreement,
                     const struct swk_alloc *alloc, const char *trusted_keys,
                     const char *swarm_id, struct swk_error *err)
{
    struct swk_error why;
    int rc = swki_trust_new(alloc, swki_pem_of(trusted_keys), swarm_id,
                            &agreement->trust, &why);

    if (rc != SWK_OK) {
        return swki_fail(err, rc, "trusted keys: %.230s", why.text);
    }
    rc = need_consent(agreement, err);
    return rc == SWK_OK ? announce_signers(agreement, err) : rc;
}

int swki_agreement_init(struct swki_agreement *agreement,
                        const struct swk_alloc *alloc,
                        const struct swki_agreement_texts *texts,
                        const char *swarm_id, struct swk_error *err)
{
    int rc = SWK_OK;

    *agreement = (struct swki_agreement){0};
    swki_arena_init(&agreement->arena, alloc, SIZE_MAX);
    if (texts->policy != NULL) {
        rc = take_policy(agreement, texts->policy, err);
    }
    if (rc == SWK_OK && texts->trusted_keys != NULL) {
        rc = take_keys(agreement, alloc, texts->trusted_keys, swarm_id, err);
    }
    return rc;
}

int swki_agreement_check(const struct swk_alloc *alloc,
                         const struct swki_agreement_texts *texts,
                         struct swk_error *err)
{
    struct swki_agreement agreement;
    int rc = swki_agreement_init(&agreement, alloc, texts, NULL, err);

    swki_agreement_fini(&agreement);
    return rc;
}

void swki_agreement_fini(struct swki_agreement *agreement)
{
    swki_trust_free(agreement->trust);
    swki_arena_fini(&agreement->arena);
    *agreement = (struct swki_agreement){0};
}

/* SPDX-License-Identifier: Apache-2.0 */

#include <swarmkit/node_policy.h>

#include "base/alloc.h"
#include "base/error.h"
#include "core/consent/consent.h"

int swk_node_policy_describe(const char *json, size_t json_len, char **out_text,
                             struct swk_error *err)
{
    Swkpb__Rpc__NodeConsent *consent;
    struct swki_arena arena;
    struct swki_buf text;
    int rc;

    if (json == NULL || out_text == NULL) {
        return swki_fail(err, SWK_EINVAL, "policy: NULL argument");
    }
    swki_arena_init(&arena, NULL, SIZE_MAX);
    swki_buf_init(&text, NULL, SIZE_MAX);
    rc = swki_consent_read(json, json_len, &arena, &consent, err);
    if (rc == SWK_OK && (!swki_consent_describe(consent, &text) ||
                         !swki_buf_append_byte(&text, '\0'))) {
        rc = swki_fail_nomem(err);
    }
    swki_arena_fini(&arena);
    if (rc != SWK_OK) {
        swki_buf_fini(&text);
        return rc;
    }
    *out_text = (char *)text.data;
    return SWK_OK;
}

void swk_node_policy_text_free(char *text)
{
    swki_free(NULL, text);
}

/* SPDX-License-Identifier: Apache-2.0 */

/* In the place of cfssl.c where there is no parser of JSON. */

#include "wire/cfssl.h"

#include "base/error.h"

static int lacking(struct swk_error *err)
{
    return swki_fail(err, SWK_EUNAVAILABLE,
                     "external CAs: this library was built without cJSON");
}

int swki_cfssl_write(const struct swki_cfssl_request *request,
                     struct swki_buf *out_text, struct swk_error *err)
{
    (void)request;
    (void)out_text;
    return lacking(err);
}

int swki_cfssl_read(const void *text, size_t len, struct swki_buf *out_pem,
                    struct swk_error *err)
{
    (void)text;
    (void)len;
    (void)out_pem;
    return lacking(err);
}

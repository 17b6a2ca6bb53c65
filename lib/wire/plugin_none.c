/* SPDX-License-Identifier: Apache-2.0 */

/* In the place of plugin.c where there is no parser of JSON. */

#include "wire/plugin.h"

#include "base/error.h"

static int lacking(struct swk_error *err)
{
    return swki_fail(err, SWK_ENOTSUP,
                     "plugins: this library was built without cJSON");
}

int swki_plugin_write_request(const struct swk_secret_request *request,
                              struct swki_buf *out_text, struct swk_error *err)
{
    (void)request;
    (void)out_text;
    return lacking(err);
}

int swki_plugin_read_activation(const void *text, size_t len,
                                struct swk_error *err)
{
    (void)text;
    (void)len;
    return lacking(err);
}

int swki_plugin_read_secret(const void *text, size_t len,
                            struct swki_buf *out_value,
                            int32_t *out_do_not_reuse, struct swk_error *err)
{
    (void)text;
    (void)len;
    (void)out_value;
    (void)out_do_not_reuse;
    return lacking(err);
}

int swki_plugin_read_failure(const void *text, size_t len,
                             struct swk_error *err)
{
    (void)text;
    (void)len;
    (void)err;
    return SWK_OK;
}

int swki_plugin_read_description(const void *text, size_t len,
                                 struct swki_buf *out_address,
                                 struct swk_error *err)
{
    (void)text;
    (void)len;
    (void)out_address;
    return lacking(err);
}

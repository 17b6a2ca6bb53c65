/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What is said to a plugin that supplies secrets, and what it answers: JSON.
 *
 * Source: Docker's plugin protocol (version 1.2) and SwarmKit's secret drivers,
 * api "SecretProvider". Members that are empty are left out; driver options are
 * our own addition, which others ignore.
 */

#ifndef SWKI_WIRE_PLUGIN_H
#define SWKI_WIRE_PLUGIN_H

#include <swarmkit/port/secret_provider.h>

#include "base/buf.h"

enum {
    /* A value in base 64, and room for all else. */
    SWKI_PLUGIN_ANSWER_MAX = 1024 * 1024,
    SWKI_PLUGIN_SPEC_MAX = 4096,
};

/* Appends the body of GetSecret. SWK_ENOTSUP in a build without cJSON. */
int swki_plugin_write_request(const struct swk_secret_request *request,
                              struct swki_buf *out_text, struct swk_error *err);

/* Whether the answer to Activate says that the plugin supplies secrets: 0;
 * SWK_ENOTSUP; SWK_EMALFORMED for what is no such answer. */
int swki_plugin_read_activation(const void *text, size_t len,
                                struct swk_error *err);

/*
 * Appends the value in an answer to GetSecret. SWK_EDENIED if the plugin says
 * why not; SWK_EMALFORMED for an answer in no valid form, and for a value that
 * is empty or too large for out_value. Nothing of the value stays behind.
 */
int swki_plugin_read_secret(const void *text, size_t len,
                            struct swki_buf *out_value,
                            int32_t *out_do_not_reuse, struct swk_error *err);

/* What an answer gives as its reason, with SWK_EDENIED; SWK_OK if none. */
int swki_plugin_read_failure(const void *text, size_t len,
                             struct swk_error *err);

/* Appends the address in a description of a plugin, "Addr", with a NUL. */
int swki_plugin_read_description(const void *text, size_t len,
                                 struct swki_buf *out_address,
                                 struct swk_error *err);

#endif

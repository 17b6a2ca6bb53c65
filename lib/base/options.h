/* SPDX-License-Identifier: Apache-2.0 */

/* Reading the structs of options that callers fill. */

#ifndef SWKI_BASE_OPTIONS_H
#define SWKI_BASE_OPTIONS_H

#include <stddef.h>

#include <swarmkit/error.h>

/*
 * Copies a caller's struct, whose first member is its size_t size, to
 * out_options of known_size bytes; what an older caller lacks becomes zero.
 *
 * name is that of the struct, for the message. SWK_EINVAL if size cannot be
 * right; SWK_ENOTSUP if bytes beyond known_size are set: the caller asks for
 * something that this build does not know.
 */
int swki_options_read(void *out_options, size_t known_size, const void *options,
                      const char *name, struct swk_error *err);

#endif

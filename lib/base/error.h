/* SPDX-License-Identifier: Apache-2.0 */

/* Filling a struct swk_error. */

#ifndef SWKI_BASE_ERROR_H
#define SWKI_BASE_ERROR_H

#include <swarmkit/error.h>

/* Writes code and text to err, if there is one, and returns code. */
int swki_fail(struct swk_error *err, int code, const char *format, ...)
    SWK_PRINTF(3, 4);

/* swki_fail() with SWK_ENOMEM and the standard text. */
int swki_fail_nomem(struct swk_error *err);

/* Puts "prefix: " before the text of err, which may be NULL. */
void swki_error_prefix(struct swk_error *err, const char *format, ...)
    SWK_PRINTF(2, 3);

#endif

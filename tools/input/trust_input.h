/* SPDX-License-Identifier: Apache-2.0 */

/* The public keys that an operator names on a command line. */

#ifndef TOOLS_TRUST_INPUT_H
#define TOOLS_TRUST_INPUT_H

#include <swarmkit/error.h>

/*
 * Reads a file, or all files of a directory that end in ".pem" or ".pub", one
 * after the other in the order of their names. *out_text is NUL-terminated and
 * free()d by the caller; what it holds is not looked at. SWK_EIO says what
 * cannot be read, SWK_ELIMIT that it is too much, SWK_ENOTFOUND that a
 * directory has no such file.
 */
int trust_input_read(const char *path, char **out_text, struct swk_error *err);

#endif

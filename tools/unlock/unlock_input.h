/* SPDX-License-Identifier: Apache-2.0 */

/* Where a person or a script hands over an unlock key. */

#ifndef TOOLS_UNLOCK_INPUT_H
#define TOOLS_UNLOCK_INPUT_H

#include <swarmkit/unlock_key.h>

/*
 * Reads the key from the file at path; "-" is the standard input, where a
 * terminal is prompted and shows nothing. White space around it does not
 * count. SWK_EMALFORMED for what is no key; SWK_EIO says why it cannot be read.
 */
int unlock_input_read(const char *path, struct swk_unlock_key *out_key,
                      struct swk_error *err);

#endif

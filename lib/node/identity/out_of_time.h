/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a node that starts is told when what it has is not valid at its time.
 *
 * What begins later comes from a clock: this machine's is behind now, or that
 * of whoever made it was ahead. Nothing makes it valid before its time, so
 * there is either the clock to be set, or another certificate to be got; how,
 * depends on what the node is.
 */

#ifndef SWKI_NODE_OUT_OF_TIME_H
#define SWKI_NODE_OUT_OF_TIME_H

#include <swarmkit/log.h>

#include "node/identity/credentials.h"

/* err, which says when pem is valid, says of which file that is, too. */
void swki_out_of_time_explain(const char *dir, const char *name,
                              struct swki_pem pem, swk_wall now,
                              struct swk_error *err);

/* Logs what to do about credentials that could not be loaded for SWK_ECLOCK. */
void swki_out_of_time_advise(const struct swki_credentials *credentials,
                             const char *state_dir, swk_wall now,
                             const struct swk_logger *logger);

#endif

/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The register of a signer on the disk: the file "nodes" beside its keys, to
 * which a line is added for each signature before that is given away. It is
 * written anew when it has become long, and when its end is not whole. Only the
 * service writes to it.
 */

#ifndef SWKI_NODE_SIGNER_REGISTER_H
#define SWKI_NODE_SIGNER_REGISTER_H

#include "core/signer/register.h"
#include "node/signer/signer_keys.h"
#include "node/signer/signer_log.h"

struct swki_signer_register {
    const struct swk_signer_keys *keys; /* whose directory it is */
    struct swki_register *nodes;        /* borrowed */
    struct swki_signer_log file;        /* lines that are added */
    size_t lines_count;                 /* in the file */
    bool rewrite;                       /* it cannot be added to */
};

/* Reads what was signed before into nodes. What a crash cut off at the end
 * tells of nothing that was given away, and is left out; SWK_ECORRUPT for
 * damage before that. */
int swki_signer_register_open(struct swki_signer_register *file,
                              const struct swk_signer_keys *keys,
                              struct swki_register *nodes,
                              struct swk_error *err);
void swki_signer_register_close(struct swki_signer_register *file);

/* Takes a record in; sync() writes it. A node for which there is no room is
 * not remembered: 1. SWK_ENOMEM. */
int swki_signer_register_add(struct swki_signer_register *file,
                             const struct swki_register_record *record,
                             swk_wall wall, struct swk_error *err);

/* After a failure nothing that was added may be given away. */
int swki_signer_register_sync(struct swki_signer_register *file,
                              struct swk_error *err);

#endif

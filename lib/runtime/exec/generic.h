/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Generic resources as text: "fpga=2,gpu=UUID1,gpu=UUID2". A kind has either
 * one integer, or a set of names.
 */

#ifndef SWKI_EXEC_GENERIC_H
#define SWKI_EXEC_GENERIC_H

#include "base/arena.h"
#include "base/error.h"
#include "types.pb-c.h"

enum {
    SWKI_GENERIC_RESOURCES_MAX = 1024,
};

/*
 * Parses comma-separated terms with quoting as in CSV. The list lives in the
 * arena: discrete kinds and named values in the order of the text. "" and NULL
 * give none. SWK_EINVAL, SWK_ELIMIT or SWK_ENOMEM.
 */
int swki_generic_parse(const char *text, struct swki_arena *arena,
                       Swkpb__GenericResource ***out_list, size_t *out_count,
                       struct swk_error *err);

#endif

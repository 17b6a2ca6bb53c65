/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The register: for which nodes a signer has signed, in which role, for which
 * key. So whoever asks cannot present a node as new that is not, nor show an
 * earlier certificate than the last to have its role back.
 *
 * An entry counts as long as the certificate itself would: until it has been
 * expired for longer than the policy's grace. After that the node is a stranger
 * and its place is free.
 */

#ifndef SWKI_CORE_SIGNER_REGISTER_H
#define SWKI_CORE_SIGNER_REGISTER_H

#include <stdbool.h>
#include <stdint.h>

#include <swarmkit/types.h>

#include "base/buf.h"
#include "base/map.h"
#include "base/roles.h"
#include "crypto/digest.h"

enum {
    /* With its line end. */
    SWKI_REGISTER_LINE_MAX = SWK_ID_LEN_MAX + 160,
};

/* The last certificate of a node that was signed here. A plain value. */
struct swki_register_record {
    char node_id[SWK_ID_LEN_MAX + 1];
    enum swki_role role;
    uint8_t key[SWKI_SHA256_SIZE]; /* digest of the public key */
    swk_wall not_before;           /* whole seconds */
    swk_wall not_after;
};

struct swki_register {
    const struct swk_alloc *alloc;
    struct swki_map nodes;
    size_t nodes_max;
    uint64_t grace_ns;
    swk_wall sweep_at; /* nothing comes to its end before */
};

void swki_register_init(struct swki_register *nodes,
                        const struct swk_alloc *alloc, size_t nodes_max,
                        uint64_t grace_ns);
void swki_register_fini(struct swki_register *nodes);

size_t swki_register_count(const struct swki_register *nodes);

/* False if there is none that counts. */
bool swki_register_get(const struct swki_register *nodes, const char *node_id,
                       swk_wall wall, struct swki_register_record *out_record);

/* Whether one more can be taken in. Those that no longer count make room. */
bool swki_register_has_room(struct swki_register *nodes, swk_wall wall);

/* Adds or replaces, whatever room there is. False for no memory. */
bool swki_register_put(struct swki_register *nodes,
                       const struct swki_register_record *record);

/* Whether an ID is fit for a line: 1 to SWK_ID_LEN_MAX printable characters of
 * ASCII, no space. */
bool swki_register_fits(const char *node_id);

/* Appends a line, which tells if a part of it is missing or damaged. */
bool swki_register_write_line(const struct swki_register_record *record,
                              struct swki_buf *out_text);
/* Likewise a line for each. */
bool swki_register_write(const struct swki_register *nodes,
                         struct swki_buf *out_text);

/* len without the line end. False for a line that is no such. */
bool swki_register_read_line(const char *line, size_t len,
                             struct swki_register_record *out_record);

#endif

/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Join tokens with limits, as the authority applies them.
 *
 * A use is counted by the transaction that makes the node, so a token lets in
 * just as many nodes as it says. A joiner whose answer was lost asks again with
 * the same request: as long as the node that was made for it never came, it is
 * given that one, and no further use is counted. It is found by its ID, which
 * follows from token and request: whoever has a token, an ended one too, may
 * ask as often as they like.
 */

#ifndef SWKI_CA_LIMITED_TOKENS_H
#define SWKI_CA_LIMITED_TOKENS_H

#include "core/store/store.h"

/* The token of that text, or NULL. All are compared, in a time that does not
 * depend on what they hold. */
const Swkpb__Rpc__LimitedJoinToken *
swki_limited_token_find(const Swkpb__JoinTokens *tokens, const char *text);

/* 0 if a node may come by it at this time, or SWK_EDENIED with the reason. */
int swki_limited_token_check(const Swkpb__Rpc__LimitedJoinToken *token,
                             swk_wall wall, struct swk_error *err);

/* The ID of the node that this request makes. SWK_ENOMEM. */
int swki_limited_token_node_id(const Swkpb__Rpc__LimitedJoinToken *token,
                               const ProtobufCBinaryData *csr,
                               char out_id[SWK_ID_LEN + 1],
                               struct swk_error *err);

/* Whether a node was made for this very request and has not been seen yet. */
bool swki_limited_token_made(const Swkpb__Node *node,
                             const Swkpb__Rpc__LimitedJoinToken *token,
                             const ProtobufCBinaryData *csr);

/* Gives a new node what the token says: its labels, and the token's ID. */
int swki_limited_token_mark(const Swkpb__Rpc__LimitedJoinToken *token,
                            struct swki_object *node, struct swk_error *err);

/* Counts a use, in the transaction. */
int swki_limited_token_use(const Swkpb__Rpc__LimitedJoinToken *token,
                           const struct swki_object *cluster, swk_wall wall,
                           struct swki_tx *tx, struct swk_error *err);

#endif

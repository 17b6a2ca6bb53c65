/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * Policies of nodes: what a node's owner lets run on it, whatever its managers
 * say.
 *
 * A policy is JSON of the message swarmkit.v1.NodeConsent: of each part of it,
 * absent means that everything is allowed, and present that what it names is
 * allowed and nothing else. An agent takes it in its configuration.
 */

#ifndef SWARMKIT_NODE_POLICY_H
#define SWARMKIT_NODE_POLICY_H

#include <swarmkit/error.h>
#include <swarmkit/types.h>

SWK_BEGIN_DECLS

/**
 * Reads a policy and puts it in words, a line for each part.
 *
 * @param json      UTF-8, borrowed for the call; needs no NUL; not NULL.
 * @param json_len  Bytes at json.
 * @param out_text  Receives the text, NUL-terminated; *given*:
 *                  swk_node_policy_text_free(). Untouched on failure; not NULL.
 * @param err       Receives the reason on failure, with the place in the
 *                  policy; may be NULL.
 * @return 0; SWK_EINVAL for a NULL argument or a policy that makes no sense;
 *         SWK_EMALFORMED for a text that is no policy; SWK_ELIMIT for one that
 *         is too long; SWK_ENOTSUP if the library was built without a parser
 *         of JSON; SWK_ENOMEM.
 * @threads any
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_node_policy_describe(const char *json,
                                                    size_t json_len,
                                                    char **out_text,
                                                    struct swk_error *err);

/**
 * Releases a text of swk_node_policy_describe().
 *
 * @param text  The text; may be NULL.
 * @threads any
 * @since   0.1
 */
SWK_API void swk_node_policy_text_free(char *text);

SWK_END_DECLS

#endif

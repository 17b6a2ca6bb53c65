/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Answers of HTTP, as far as they are needed: a status, a length, a body.
 *
 * What a server says is not believed: the head is limited, and what could be
 * read in two ways is refused.
 */

#ifndef SWKI_NODE_HTTP_ANSWER_H
#define SWKI_NODE_HTTP_ANSWER_H

#include <stdbool.h>

#include <swarmkit/error.h>

enum {
    SWKI_HTTP_HEAD_MAX = 16 * 1024,
};

/* What the head of an answer says. */
struct swki_http_head {
    size_t len; /* of it, with the empty line; 0: it is not whole yet */
    int status;
    size_t body_len; /* SIZE_MAX: up to the end */
};

/* What has come so far. */
struct swki_http_received {
    const void *data;
    size_t len;
    bool ended; /* nothing more will come */
};

/*
 * 1 if the answer is whole: its body follows the head, and is
 * out_head->body_len long, or up to the end; 0 if more must come. SWK_ELIMIT
 * for a body of more than body_max bytes, SWK_EIO for what is no such answer,
 * comes in parts, or was cut off.
 */
int swki_http_answer_look(const struct swki_http_received *received,
                          size_t body_max, struct swki_http_head *out_head,
                          struct swk_error *err);

#endif

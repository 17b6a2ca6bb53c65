/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Calls over HTTPS, for threads that may block: HTTP/1.0 in a connection of its
 * own, over the same transport and the same TLS as all else.
 *
 * Both ends show certificates. The server must have one that leads to the given
 * roots, for the host in the URL. Redirections are not followed.
 */

#ifndef SWKI_NODE_HTTPS_H
#define SWKI_NODE_HTTPS_H

#include <swarmkit/port/clock.h>
#include <swarmkit/port/entropy.h>
#include <swarmkit/port/transport.h>

#include "base/buf.h"

/* Calls that are ended together. */
struct swki_https;

struct swki_https_config {
    const struct swk_alloc *alloc;
    const struct swk_clock *clock;
    const struct swk_entropy *entropy;
    const struct swk_transport *transport;
};

int swki_https_new(const struct swki_https_config *config,
                   struct swki_https **out_https, struct swk_error *err);
/* Any thread: calls under way, and all later ones, fail with SWK_ECANCELED. One
 * that is connecting does when its time is up. */
void swki_https_close(struct swki_https *https);
/* No call is under way. */
void swki_https_free(struct swki_https *https);

struct swki_https_request {
    const char *method;       /* "POST" */
    const char *url;          /* "https://HOST[:PORT][/...]" */
    /* Path of a socket of this machine, to be asked in the clear in the place
     * of a host; url is "/..." then, and nobody shows a certificate. Or NULL.
     */
    const char *socket;
    const char *roots;        /* PEM with a NUL, as the two that follow */
    const char *certificate;  /* the own one, with what is behind it */
    const char *key;          /* secret */
    const char *content_type; /* of the body; NULL without one */
    const void *body;
    size_t body_len;
    size_t answer_max; /* bytes of its body */
    swk_time limit_ns; /* for all of it */
};

/*
 * Makes a call, and appends the body of the answer. 0 if there was an answer,
 * whatever its status. SWK_EINVAL for a URL or certificates of no use,
 * SWK_EUNAUTHENTICATED for a server that is not trusted, SWK_ELIMIT for an
 * answer that is too large, SWK_ETIMEDOUT; SWK_EIO and others if there was
 * none, or no whole one.
 */
int swki_https_call(struct swki_https *https,
                    const struct swki_https_request *request, int *out_status,
                    struct swki_buf *out_body, struct swk_error *err);

#endif

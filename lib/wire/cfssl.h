/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What is said to a CA that speaks CFSSL's protocol, and what it answers: JSON.
 *
 * Source: the API of cfssl, "sign" with its fields as of version 1.6. Times go
 * along, since without them the CA would choose a validity of its own.
 */

#ifndef SWKI_WIRE_CFSSL_H
#define SWKI_WIRE_CFSSL_H

#include <swarmkit/error.h>
#include <swarmkit/types.h>

#include "base/buf.h"

enum {
    SWKI_CFSSL_ANSWER_MAX = 256 * 1024,
};

/* A part of a subject, under the name that CFSSL has for it: "O", "ST". */
struct swki_cfssl_name {
    const char *word;
    const char *value;
};

struct swki_cfssl_request {
    const char *const *hosts; /* names in the certificate */
    size_t hosts_count;
    const char *csr; /* PEM, needs no NUL */
    size_t csr_len;
    const char *cn;
    const char *o; /* NULL for none, as the next */
    const char *ou;
    const struct swki_cfssl_name *names; /* in the place of o and ou, each */
    size_t names_count;                  /* by itself */
    const char *profile; /* "" for the CA's default */
    swk_wall not_before; /* 0: as the CA likes, likewise the next */
    swk_wall not_after;
    int32_t is_ca; /* 1: for a root, with basic constraints as an extension */
};

/* Appends the body of a request. SWK_EUNAVAILABLE in a build without cJSON. */
int swki_cfssl_write(const struct swki_cfssl_request *request,
                     struct swki_buf *out_text, struct swk_error *err);

/*
 * Appends the certificate of an answer, as PEM. SWK_EDENIED if the CA says no,
 * or says yes in a form that is none of its protocol; SWK_EIO for what does not
 * say either, such as no JSON at all.
 */
int swki_cfssl_read(const void *text, size_t len, struct swki_buf *out_pem,
                    struct swk_error *err);

#endif

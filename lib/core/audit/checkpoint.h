/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A checkpoint: how far the audit log had come, signed by the node.
 *
 * The chain alone does not show that its end was cut off, nor that all of it
 * was written anew. Three lines of text, with the certificate behind them:
 *
 *     {"seq":7,"hash":"...","file":1,"offset":2345,"time":"...","node":"..."}
 *     {"signature":"<hex>"}
 *     -----BEGIN CERTIFICATE-----
 *
 * Signed is the SHA-256 of SWKI_AUDIT_CHECKPOINT_TAG, a NUL, and the first line
 * without its end.
 */

#ifndef SWKI_CORE_AUDIT_CHECKPOINT_H
#define SWKI_CORE_AUDIT_CHECKPOINT_H

#include "core/audit/line.h"

#define SWKI_AUDIT_CHECKPOINT_TAG "swarmkit audit checkpoint 1"

enum {
    SWKI_AUDIT_CHECKPOINT_SIZE_MAX = 128 * 1024, /* bytes of the text */
    SWKI_AUDIT_SIGNATURE_SIZE_MAX = 1024,
};

struct swki_audit_checkpoint {
    struct swki_audit_link link;
    uint64_t file;
    uint64_t offset; /* where the record ends */
    swk_wall time;
    char node_id[SWK_ID_LEN_MAX + 1];
};

/* A text taken apart; borrowed from it. */
struct swki_audit_checkpoint_text {
    const char *body; /* the first line */
    size_t body_len;
    uint8_t signature[SWKI_AUDIT_SIGNATURE_SIZE_MAX];
    size_t signature_len;    /* 0: it is not signed */
    const char *certificate; /* PEM */
    size_t certificate_len;
};

/* Appends the first line, without its end. */
bool swki_audit_checkpoint_body(const struct swki_audit_checkpoint *checkpoint,
                                struct swki_buf *out);

/* Appends what comes behind it. */
bool swki_audit_checkpoint_sign(const uint8_t *signature, size_t signature_len,
                                const void *certificate, size_t certificate_len,
                                struct swki_buf *out);

/* What is signed. */
bool swki_audit_checkpoint_digest(const void *body, size_t len,
                                  uint8_t out_digest[SWKI_SHA256_SIZE]);

/* False for what is no checkpoint; text may be NULL if there is none. The
 * signature is not looked at. */
bool swki_audit_checkpoint_read(const char *text, size_t len,
                                struct swki_audit_checkpoint *out_checkpoint,
                                struct swki_audit_checkpoint_text *out_text);

#endif

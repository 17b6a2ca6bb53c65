/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * How calls fail: a code that says what the caller can do, and a line of text.
 *
 * Functions that can fail return 0 or a negative code. Where words help, they
 * also fill a struct swk_error of the caller's. Outputs are written only on
 * success.
 */

#ifndef SWARMKIT_ERROR_H
#define SWARMKIT_ERROR_H

#include <swarmkit/types.h>

SWK_BEGIN_DECLS

/** What went wrong, by what can be done about it. Never renumbered. */
enum swk_error_code {
    SWK_OK = 0,
    SWK_EINVAL = -1,        /**< The request is wrong; change it. */
    SWK_ENOMEM = -2,        /**< Out of memory, or over a memory limit. */
    SWK_EMALFORMED = -3,    /**< Bytes or text in no valid form. */
    SWK_ENOTSUP = -4,       /**< This build or peer cannot do that. */
    SWK_ENOTFOUND = -5,     /**< No such object. */
    SWK_EEXIST = -6,        /**< The ID or name is taken. */
    SWK_ECONFLICT = -7,     /**< Changed meanwhile: read again and retry. */
    SWK_EDENIED = -8,       /**< The caller may not do that. */
    SWK_ENOTLEADER = -9,    /**< Ask the leader; nothing was changed. */
    SWK_EUNKNOWN = -10,     /**< May or may not happen: retry with the same
                                 request ID. */
    SWK_ELIMIT = -11,       /**< A documented limit was reached. */
    SWK_EIO = -12,          /**< The disk or the network failed. */
    SWK_ETIMEDOUT = -13,    /**< The deadline passed. */
    SWK_ECANCELED = -14,    /**< The caller or a stop cancelled it. */
    SWK_EUNAVAILABLE = -15, /**< Not now; retry later. */
    SWK_EPRECONDITION = -16, /**< The state of the system forbids it. */
    SWK_ECORRUPT = -17,     /**< Stored data is damaged. */
    SWK_EBUSY = -18,        /**< In use by another. */
    SWK_EINTERNAL = -19,    /**< A defect of this library. */
    SWK_EUNAUTHENTICATED = -20, /**< The peer has no valid identity. */
    SWK_EABORTED = -21,     /**< Given up on by the other side; start over. */
    SWK_ECLOCK = -22,       /**< A certificate is not valid at this machine's
                                 time: compare the clocks, or renew it. */
    SWK_EREMOVED = -23,     /**< The node was removed from the swarm: join
                                 anew, with an empty state directory. */
};

enum {
    SWK_ERROR_TEXT_SIZE = 252, /**< Bytes of room, with the NUL. */
};

/** A failure in words. Belongs to the caller; needs no release. */
struct swk_error {
    int32_t code; /**< enum swk_error_code. */
    /** One line of UTF-8, NUL-terminated, without a secret. */
    char text[SWK_ERROR_TEXT_SIZE];
};

/**
 * Names a code.
 *
 * @param code  Any number.
 * @return A static text such as "not found"; "unknown error" for other codes.
 * @threads any
 * @since   0.1
 */
SWK_API const char *swk_error_name(int code);

SWK_END_DECLS

#endif

/* SPDX-License-Identifier: Apache-2.0 */

#include "wire/status.h"

static const char *const names[] = {
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
};

static const struct {
    int code;
    enum swki_status status;
} pairs[] = {
    {SWK_OK, SWKI_STATUS_OK},
    {SWK_EINVAL, SWKI_STATUS_INVALID_ARGUMENT},
    {SWK_EMALFORMED, SWKI_STATUS_INVALID_ARGUMENT},
    {SWK_ELIMIT, SWKI_STATUS_RESOURCE_EXHAUSTED},
    {SWK_ENOMEM, SWKI_STATUS_RESOURCE_EXHAUSTED},
    {SWK_ENOTSUP, SWKI_STATUS_UNIMPLEMENTED},
    {SWK_ENOTFOUND, SWKI_STATUS_NOT_FOUND},
    {SWK_EEXIST, SWKI_STATUS_ALREADY_EXISTS},
    {SWK_EABORTED, SWKI_STATUS_ABORTED},
    {SWK_ECONFLICT, SWKI_STATUS_ABORTED},
    {SWK_EDENIED, SWKI_STATUS_PERMISSION_DENIED},
    {SWK_EUNAVAILABLE, SWKI_STATUS_UNAVAILABLE},
    {SWK_ENOTLEADER, SWKI_STATUS_UNAVAILABLE},
    {SWK_EBUSY, SWKI_STATUS_UNAVAILABLE},
    {SWK_EUNKNOWN, SWKI_STATUS_UNKNOWN},
    {SWK_ETIMEDOUT, SWKI_STATUS_DEADLINE_EXCEEDED},
    {SWK_ECANCELED, SWKI_STATUS_CANCELLED},
    {SWK_EPRECONDITION, SWKI_STATUS_FAILED_PRECONDITION},
    {SWK_ECORRUPT, SWKI_STATUS_DATA_LOSS},
    {SWK_EINTERNAL, SWKI_STATUS_INTERNAL},
    {SWK_EIO, SWKI_STATUS_INTERNAL},
    {SWK_EINVAL, SWKI_STATUS_OUT_OF_RANGE},
    {SWK_EUNAUTHENTICATED, SWKI_STATUS_UNAUTHENTICATED},
    {SWK_ECLOCK, SWKI_STATUS_UNAUTHENTICATED},
    {SWK_EREMOVED, SWKI_STATUS_PERMISSION_DENIED},
};

enum {
    PAIRS_COUNT = sizeof(pairs) / sizeof(pairs[0]),
};

const char *swki_status_name(int status)
{
    return status >= 0 && status <= SWKI_STATUS_UNAUTHENTICATED ? names[status]
                                                                : "UNKNOWN";
}

enum swki_status swki_status_from_error(int code)
{
    for (int i = 0; i < PAIRS_COUNT; i++) {
        if (pairs[i].code == code) {
            return pairs[i].status;
        }
    }
    return SWKI_STATUS_UNKNOWN;
}

/* The first pair of a status is the one that is meant here. */
int swki_status_to_error(int status)
{
    for (int i = 0; i < PAIRS_COUNT; i++) {
        if ((int)pairs[i].status == status) {
            return pairs[i].code;
        }
    }
    return SWK_EUNKNOWN;
}

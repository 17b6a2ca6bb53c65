/* SPDX-License-Identifier: Apache-2.0 */

/* How a call ended: gRPC's status codes, and what they mean for the API. */

#ifndef SWKI_WIRE_STATUS_H
#define SWKI_WIRE_STATUS_H

#include <swarmkit/error.h>

enum swki_status {
    SWKI_STATUS_OK = 0,
    SWKI_STATUS_CANCELLED = 1,
    SWKI_STATUS_UNKNOWN = 2,
    SWKI_STATUS_INVALID_ARGUMENT = 3,
    SWKI_STATUS_DEADLINE_EXCEEDED = 4,
    SWKI_STATUS_NOT_FOUND = 5,
    SWKI_STATUS_ALREADY_EXISTS = 6,
    SWKI_STATUS_PERMISSION_DENIED = 7,
    SWKI_STATUS_RESOURCE_EXHAUSTED = 8,
    SWKI_STATUS_FAILED_PRECONDITION = 9,
    SWKI_STATUS_ABORTED = 10,
    SWKI_STATUS_OUT_OF_RANGE = 11,
    SWKI_STATUS_UNIMPLEMENTED = 12,
    SWKI_STATUS_INTERNAL = 13,
    SWKI_STATUS_UNAVAILABLE = 14,
    SWKI_STATUS_DATA_LOSS = 15,
    SWKI_STATUS_UNAUTHENTICATED = 16,
};

/* "NOT_FOUND" and so on; "UNKNOWN" for other numbers. */
const char *swki_status_name(int status);

/* The status that tells a caller of an enum swk_error_code. */
enum swki_status swki_status_from_error(int code);

/* The code that a status from a peer becomes; SWK_OK for OK. */
int swki_status_to_error(int status);

#endif

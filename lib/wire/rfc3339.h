/* SPDX-License-Identifier: Apache-2.0 */

/* Times as text, as protobuf's JSON has them. */

#ifndef SWKI_WIRE_RFC3339_H
#define SWKI_WIRE_RFC3339_H

#include <stdbool.h>
#include <stdint.h>

enum {
    SWKI_RFC3339_SIZE = 40, /* room for any text below, with its NUL */
};

/* "2017-01-15T01:30:15.010Z": RFC 3339 in UTC, with 0, 3, 6 or 9 digits after
 * the point. False for what is not in the years 1 to 9999. */
bool swki_rfc3339_timestamp(int64_t seconds, int32_t nanos,
                            char out_text[SWKI_RFC3339_SIZE]);

/* "-1.500s", with as many digits. False for a duration that is not valid. */
bool swki_rfc3339_duration(int64_t seconds, int32_t nanos,
                           char out_text[SWKI_RFC3339_SIZE]);

/* The reverse, for one to nine digits after the point, and for times that stand
 * off UTC ("+02:00"). False, with nothing stored, for any other text. */
bool swki_rfc3339_read_timestamp(const char *text, int64_t *out_seconds,
                                 int32_t *out_nanos);
bool swki_rfc3339_read_duration(const char *text, int64_t *out_seconds,
                                int32_t *out_nanos);

#endif

/* SPDX-License-Identifier: Apache-2.0 */

/* Between nanoseconds since 1970 and the dates that certificates carry. */

#ifndef SWKI_CRYPTO_CALENDAR_H
#define SWKI_CRYPTO_CALENDAR_H

#include <swarmkit/types.h>

struct swki_calendar {
    int year;
    int month; /* 1 to 12 */
    int day;   /* 1 to 31 */
    int hour;
    int minute;
    int second;
};

/* UTC; fractions of a second are dropped. */
struct swki_calendar swki_calendar_from_wall(swk_wall wall);

/* Dates that a swk_wall cannot hold become its least or greatest value. */
swk_wall swki_calendar_to_wall(const struct swki_calendar *calendar);

#endif

/* SPDX-License-Identifier: Apache-2.0 */

#include "wire/rfc3339.h"

#include <inttypes.h>
#include <stdio.h>

#include "wire/message.h"

enum {
    DAY_SECONDS = 24 * 60 * 60,
    YEAR_DAYS = 365,
    FOUR_YEARS_DAYS = 4 * YEAR_DAYS + 1,
    CENTURY_DAYS = 25 * FOUR_YEARS_DAYS - 1,
    FOUR_CENTURIES_DAYS = 4 * CENTURY_DAYS + 1,
};

struct date {
    int year;
    int month; /* 1 to 12 */
    int day;   /* 1 to 31 */
};

/* Takes out of *days as many of a period as there are, or most at the most: the
 * leap day makes the last one longer. */
static int take(int *days, int period_days, int most)
{
    int count = *days / period_days;

    if (count > most) {
        count = most;
    }
    *days -= count * period_days;
    return count;
}

/* The C library's time_t may end in 2038. days count from 0001-01-01. */
static struct date date_of(int days)
{
    static const int months[] = {31, 28, 31, 30, 31, 30,
                                 31, 31, 30, 31, 30, 31};
    struct date date = {.year = 1, .month = 1};
    bool is_leap;

    date.year += 400 * take(&days, FOUR_CENTURIES_DAYS, 24);
    date.year += 100 * take(&days, CENTURY_DAYS, 3);
    date.year += 4 * take(&days, FOUR_YEARS_DAYS, 24);
    date.year += take(&days, YEAR_DAYS, 3);
    is_leap =
        date.year % 4 == 0 && (date.year % 100 != 0 || date.year % 400 == 0);
    for (;;) {
        int len = months[date.month - 1] + (date.month == 2 && is_leap);

        if (days < len) {
            date.day = days + 1;
            return date;
        }
        days -= len;
        date.month++;
    }
}

/* ".010" and so on, or "" for no nanoseconds. */
static void write_fraction(int32_t nanos, char out_text[11])
{
    if (nanos == 0) {
        out_text[0] = '\0';
    } else if (nanos % 1000000 == 0) {
        snprintf(out_text, 11, ".%03" PRId32, nanos / 1000000);
    } else if (nanos % 1000 == 0) {
        snprintf(out_text, 11, ".%06" PRId32, nanos / 1000);
    } else {
        snprintf(out_text, 11, ".%09" PRId32, nanos);
    }
}

bool swki_rfc3339_timestamp(int64_t seconds, int32_t nanos,
                            char out_text[SWKI_RFC3339_SIZE])
{
    char fraction[11];
    int64_t since_year_1;
    struct date date;
    int second;

    if (!swki_timestamp_is_valid(seconds, nanos)) {
        return false;
    }
    since_year_1 = seconds - SWKI_TIMESTAMP_SECONDS_MIN;
    date = date_of((int)(since_year_1 / DAY_SECONDS));
    second = (int)(since_year_1 % DAY_SECONDS);
    write_fraction(nanos, fraction);
    snprintf(out_text, SWKI_RFC3339_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d%sZ",
             date.year, date.month, date.day, second / 3600, second / 60 % 60,
             second % 60, fraction);
    return true;
}

bool swki_rfc3339_duration(int64_t seconds, int32_t nanos,
                           char out_text[SWKI_RFC3339_SIZE])
{
    bool is_negative = seconds < 0 || nanos < 0;
    char fraction[11];

    if (!swki_duration_is_valid(seconds, nanos)) {
        return false;
    }
    write_fraction(is_negative ? -nanos : nanos, fraction);
    snprintf(out_text, SWKI_RFC3339_SIZE, "%s%" PRId64 "%ss",
             is_negative ? "-" : "", is_negative ? -seconds : seconds,
             fraction);
    return true;
}

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

static int month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return days[month - 1] + (month == 2 && is_leap);
}

/* The C library's time_t may end in 2038. days count from 0001-01-01. */
static struct date date_of(int days)
{
    struct date date = {.year = 1, .month = 1};

    date.year += 400 * take(&days, FOUR_CENTURIES_DAYS, 24);
    date.year += 100 * take(&days, CENTURY_DAYS, 3);
    date.year += 4 * take(&days, FOUR_YEARS_DAYS, 24);
    date.year += take(&days, YEAR_DAYS, 3);
    for (;;) {
        int len = month_days(date.year, date.month);

        if (days < len) {
            date.day = days + 1;
            return date;
        }
        days -= len;
        date.month++;
    }
}

/* The reverse, for a date that there is. */
static int days_until(const struct date *date)
{
    int years = date->year - 1;
    int days = years * YEAR_DAYS + years / 4 - years / 100 + years / 400;

    for (int month = 1; month < date->month; month++) {
        days += month_days(date->year, month);
    }
    return days + date->day - 1;
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

/* -- Reading -------------------------------------------------------------- */

/* Takes exactly count digits from *text. */
static bool take_digits(const char **text, int count, int *out_value)
{
    int value = 0;

    for (int i = 0; i < count; i++) {
        char digit = *(*text)++;

        if (digit < '0' || digit > '9') {
            return false;
        }
        value = value * 10 + (digit - '0');
    }
    *out_value = value;
    return true;
}

static bool take_character(const char **text, char character)
{
    return *(*text)++ == character;
}

/* A point and one to nine digits; nothing is 0. */
static bool take_fraction(const char **text, int32_t *out_nanos)
{
    int32_t nanos = 0;
    int digits = 0;

    if (**text == '.') {
        const char *at = *text + 1;

        for (; *at >= '0' && *at <= '9'; at++, digits++) {
            if (digits == 9) {
                return false;
            }
            nanos = nanos * 10 + (*at - '0');
        }
        if (digits == 0) {
            return false;
        }
        for (; digits < 9; digits++) {
            nanos *= 10;
        }
        *text = at;
    }
    *out_nanos = nanos;
    return true;
}

static bool take_date(const char **text, int64_t *out_seconds)
{
    struct date date;

    if (!take_digits(text, 4, &date.year) || !take_character(text, '-') ||
        !take_digits(text, 2, &date.month) || !take_character(text, '-') ||
        !take_digits(text, 2, &date.day) || date.year < 1 || date.month < 1 ||
        date.month > 12 || date.day < 1 ||
        date.day > month_days(date.year, date.month)) {
        return false;
    }
    *out_seconds = (int64_t)days_until(&date) * DAY_SECONDS +
                   SWKI_TIMESTAMP_SECONDS_MIN;
    return true;
}

static bool take_time(const char **text, int64_t *out_seconds)
{
    int hour;
    int minute;
    int second;

    if (!take_digits(text, 2, &hour) || !take_character(text, ':') ||
        !take_digits(text, 2, &minute) || !take_character(text, ':') ||
        !take_digits(text, 2, &second) || hour > 23 || minute > 59 ||
        second > 59) {
        return false;
    }
    *out_seconds = (hour * 60 + minute) * 60 + second;
    return true;
}

/* "Z", or how far the clock is ahead of UTC. */
static bool take_zone(const char **text, int64_t *out_seconds)
{
    char sign = *(*text)++;
    int hour;
    int minute;

    *out_seconds = 0;
    if (sign == 'Z') {
        return true;
    }
    if ((sign != '+' && sign != '-') || !take_digits(text, 2, &hour) ||
        !take_character(text, ':') || !take_digits(text, 2, &minute) ||
        hour > 23 || minute > 59) {
        return false;
    }
    *out_seconds = (hour * 60 + minute) * (sign == '-' ? -60 : 60);
    return true;
}

bool swki_rfc3339_read_timestamp(const char *text, int64_t *out_seconds,
                                 int32_t *out_nanos)
{
    int64_t day;
    int64_t time;
    int64_t ahead;
    int32_t nanos;

    if (!take_date(&text, &day) || !take_character(&text, 'T') ||
        !take_time(&text, &time) || !take_fraction(&text, &nanos) ||
        !take_zone(&text, &ahead) || *text != '\0' ||
        !swki_timestamp_is_valid(day + time - ahead, nanos)) {
        return false;
    }
    *out_seconds = day + time - ahead;
    *out_nanos = nanos;
    return true;
}

bool swki_rfc3339_read_duration(const char *text, int64_t *out_seconds,
                                int32_t *out_nanos)
{
    bool is_negative = *text == '-';
    int64_t seconds = 0;
    int32_t nanos;
    int digits = 0;

    text += is_negative ? 1 : 0;
    for (; *text >= '0' && *text <= '9' && digits < 15; text++, digits++) {
        seconds = seconds * 10 + (*text - '0');
    }
    if (digits == 0 || !take_fraction(&text, &nanos) || text[0] != 's' ||
        text[1] != '\0') {
        return false;
    }
    seconds = is_negative ? -seconds : seconds;
    nanos = is_negative ? -nanos : nanos;
    if (!swki_duration_is_valid(seconds, nanos)) {
        return false;
    }
    *out_seconds = seconds;
    *out_nanos = nanos;
    return true;
}

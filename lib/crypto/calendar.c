/* SPDX-License-Identifier: Apache-2.0 */

#include "crypto/calendar.h"

enum {
    DAY_SECONDS = 86400,
    ERA_DAYS = 146097,       /* 400 years */
    DAYS_TO_1970 = 719468,   /* from the 1st of March of year 0 */
    WALL_YEAR_FIRST = 1678,  /* years that int64_t nanoseconds hold whole */
    WALL_YEAR_LAST = 2261,
};

/* Years here begin in March, so that the leap day is a year's last. */
struct swki_calendar swki_calendar_from_wall(swk_wall wall)
{
    const int64_t second = (int64_t)SWK_SECOND;
    int64_t seconds = wall / second - (wall % second < 0 ? 1 : 0);
    int64_t days = seconds / DAY_SECONDS - (seconds % DAY_SECONDS < 0 ? 1 : 0);
    int rest = (int)(seconds - days * DAY_SECONDS);
    int64_t since = days + DAYS_TO_1970; /* positive for every swk_wall */
    int64_t era = since / ERA_DAYS;
    int64_t day = since % ERA_DAYS;
    int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    int64_t year_day = day - (365 * year + year / 4 - year / 100);
    int64_t march_month = (5 * year_day + 2) / 153;
    struct swki_calendar c = {
        .day = (int)(year_day - (153 * march_month + 2) / 5 + 1),
        .month = (int)(march_month < 10 ? march_month + 3 : march_month - 9),
        .hour = rest / 3600,
        .minute = rest / 60 % 60,
        .second = rest % 60,
    };

    c.year = (int)(year + era * 400 + (c.month <= 2 ? 1 : 0));
    return c;
}

swk_wall swki_calendar_to_wall(const struct swki_calendar *c)
{
    int64_t year = c->month <= 2 ? c->year - 1 : c->year;
    int64_t month = c->month <= 2 ? c->month + 9 : c->month - 3;
    int64_t era = year / 400;
    int64_t era_year = year % 400;
    int64_t year_day = (153 * month + 2) / 5 + c->day - 1;
    int64_t days = era * ERA_DAYS + era_year * 365 + era_year / 4 -
                   era_year / 100 + year_day - DAYS_TO_1970;

    if (c->year < WALL_YEAR_FIRST) {
        return INT64_MIN;
    }
    if (c->year > WALL_YEAR_LAST) {
        return INT64_MAX;
    }
    return (days * DAY_SECONDS + c->hour * 3600 + c->minute * 60 + c->second) *
           (int64_t)SWK_SECOND;
}

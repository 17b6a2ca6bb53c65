/* SPDX-License-Identifier: Apache-2.0 */

#include "node/identity/clock_skew.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "crypto/calendar.h"

void swki_clock_skew_measure(struct swki_clock_skew *skew,
                             const Swkpb__Timestamp *time, swk_wall wall,
                             swk_time round_trip, const char *address)
{
    swk_wall theirs;

    memset(skew, 0, sizeof(*skew));
    /* Before 1970 no clock is; the rest is so that nothing overflows. */
    if (time == NULL || swki_timestamp_read(time, &theirs, NULL) != 0 ||
        theirs < 0 || wall < 0 || round_trip > INT64_MAX / 2) {
        return;
    }
    skew->measured = true;
    skew->error_ns = round_trip / 2;
    skew->ahead = theirs - (wall - (swk_wall)skew->error_ns);
    snprintf(skew->address, sizeof(skew->address), "%s", address);
}

static swk_time size_of(const struct swki_clock_skew *skew)
{
    return skew->ahead < 0 ? (swk_time)-skew->ahead : (swk_time)skew->ahead;
}

bool swki_clock_skew_matters(const struct swki_clock_skew *skew)
{
    return skew->measured &&
           size_of(skew) > SWKI_CLOCK_SKEW_MIN + skew->error_ns;
}

/* Two units are enough; the last one is rounded. */
void swki_clock_span_text(swk_time span,
                          char out_text[SWKI_CLOCK_SPAN_TEXT_SIZE])
{
    uint64_t seconds = span / SWK_SECOND;
    uint64_t minutes = seconds / 60;
    uint64_t hours = (seconds + 30) / 3600;

    if (hours >= 48) {
        snprintf(out_text, SWKI_CLOCK_SPAN_TEXT_SIZE, "%" PRIu64 " days",
                 (hours + 12) / 24);
    } else if (hours > 0) {
        minutes = (seconds + 30) / 60;
        snprintf(out_text, SWKI_CLOCK_SPAN_TEXT_SIZE,
                 "%" PRIu64 "h%02" PRIu64 "m", hours, minutes % 60);
    } else {
        snprintf(out_text, SWKI_CLOCK_SPAN_TEXT_SIZE,
                 "%" PRIu64 "m%02" PRIu64 "s", minutes, seconds % 60);
    }
}

void swki_clock_time_text(swk_wall time,
                          char out_text[SWKI_CLOCK_TIME_TEXT_SIZE])
{
    struct swki_calendar c = swki_calendar_from_wall(time);

    snprintf(out_text, SWKI_CLOCK_TIME_TEXT_SIZE,
             "%04d-%02d-%02dT%02d:%02d:%02dZ", c.year, c.month, c.day, c.hour,
             c.minute, c.second);
}

void swki_clock_skew_text(const struct swki_clock_skew *skew,
                          char out_text[SWKI_CLOCK_SKEW_TEXT_SIZE])
{
    char span[SWKI_CLOCK_SPAN_TEXT_SIZE];

    swki_clock_span_text(size_of(skew), span);
    snprintf(out_text, SWKI_CLOCK_SKEW_TEXT_SIZE,
             "this machine's clock is %s %s that of manager %s (measured, "
             "+-%" PRIu64 " ms): set it right (timedatectl)",
             span, skew->ahead > 0 ? "behind" : "ahead of", skew->address,
             skew->error_ns / SWK_MILLISECOND + 1);
}

void swki_clock_skew_explain(const struct swki_clock_skew *skew,
                             struct swk_error *err)
{
    char text[SWKI_CLOCK_SKEW_TEXT_SIZE];

    if (swki_clock_skew_matters(skew)) {
        swki_clock_skew_text(skew, text);
        swki_fail(err, SWK_ECLOCK, "%s", text);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */

#include "wire/time.h"

swk_time swki_duration_get(const Swkpb__Duration *duration, swk_time fallback)
{
    int64_t ns;

    if (duration == NULL || swki_duration_read(duration, &ns, NULL) != SWK_OK ||
        ns < 0) {
        return fallback;
    }
    return (swk_time)ns;
}

swk_wall swki_timestamp_get(const Swkpb__Timestamp *timestamp)
{
    swk_wall wall;

    if (swki_timestamp_read(timestamp, &wall, NULL) != SWK_OK) {
        return 0;
    }
    return wall;
}

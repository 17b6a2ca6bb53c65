/* SPDX-License-Identifier: Apache-2.0 */

/* Times, labels and enums: the values that many messages share. */

#include <string.h>

#include "base/error.h"
#include "wire/fields.h"
#include "wire/message.h"

enum {
    NS_PER_SECOND = 1000000000,
    NANOS_MAX = NS_PER_SECOND - 1,
};

/* As many days as 10,000 years have. */
#define DURATION_SECONDS_MAX INT64_C(315576000000)

bool swki_timestamp_is_valid(int64_t seconds, int32_t nanos)
{
    return seconds >= SWKI_TIMESTAMP_SECONDS_MIN &&
           seconds <= SWKI_TIMESTAMP_SECONDS_MAX && nanos >= 0 &&
           nanos <= NANOS_MAX;
}

bool swki_duration_is_valid(int64_t seconds, int32_t nanos)
{
    return seconds >= -DURATION_SECONDS_MAX &&
           seconds <= DURATION_SECONDS_MAX && nanos >= -NANOS_MAX &&
           nanos <= NANOS_MAX && !(seconds < 0 && nanos > 0) &&
           !(seconds > 0 && nanos < 0);
}

/* Whether seconds and nanos fit nanoseconds, and what they are. */
static bool to_ns(int64_t seconds, int32_t nanos, int64_t *out_ns)
{
    int64_t ns;

    /* Brings the smallest value within reach of the multiplication. */
    if (seconds < 0 && nanos > 0) {
        seconds++;
        nanos -= NS_PER_SECOND;
    }
    if (__builtin_mul_overflow(seconds, (int64_t)NS_PER_SECOND, &ns) ||
        __builtin_add_overflow(ns, nanos, &ns)) {
        return false;
    }
    *out_ns = ns;
    return true;
}

void swki_timestamp_write(swk_wall wall, Swkpb__Timestamp *out_timestamp)
{
    int64_t seconds = wall / NS_PER_SECOND;
    int32_t nanos = (int32_t)(wall % NS_PER_SECOND);

    /* Nanos count forward, also before 1970. */
    if (nanos < 0) {
        seconds--;
        nanos += NS_PER_SECOND;
    }
    swkpb__timestamp__init(out_timestamp);
    out_timestamp->seconds = seconds;
    out_timestamp->nanos = nanos;
}

void swki_duration_write(int64_t ns, Swkpb__Duration *out_duration)
{
    swkpb__duration__init(out_duration);
    out_duration->seconds = ns / NS_PER_SECOND;
    out_duration->nanos = (int32_t)(ns % NS_PER_SECOND);
}

Swkpb__Timestamp *swki_timestamp_from_wall(swk_wall wall,
                                           struct swki_arena *arena)
{
    Swkpb__Timestamp *timestamp = swki_arena_alloc(arena, sizeof(*timestamp));

    if (timestamp != NULL) {
        swki_timestamp_write(wall, timestamp);
    }
    return timestamp;
}

Swkpb__Duration *swki_duration_from_ns(int64_t ns, struct swki_arena *arena)
{
    Swkpb__Duration *duration = swki_arena_alloc(arena, sizeof(*duration));

    if (duration != NULL) {
        swki_duration_write(ns, duration);
    }
    return duration;
}

int swki_timestamp_read(const Swkpb__Timestamp *timestamp, swk_wall *out_wall,
                        struct swk_error *err)
{
    if (timestamp == NULL) {
        *out_wall = 0;
        return SWK_OK;
    }
    if (!swki_timestamp_is_valid(timestamp->seconds, timestamp->nanos)) {
        return swki_fail(err, SWK_EINVAL, "invalid timestamp");
    }
    if (!to_ns(timestamp->seconds, timestamp->nanos, out_wall)) {
        return swki_fail(err, SWK_EINVAL,
                         "timestamp outside the years 1678 to 2261");
    }
    return SWK_OK;
}

int swki_duration_read(const Swkpb__Duration *duration, int64_t *out_ns,
                       struct swk_error *err)
{
    if (duration == NULL) {
        *out_ns = 0;
        return SWK_OK;
    }
    if (!swki_duration_is_valid(duration->seconds, duration->nanos)) {
        return swki_fail(err, SWK_EINVAL, "invalid duration");
    }
    if (!to_ns(duration->seconds, duration->nanos, out_ns)) {
        return swki_fail(err, SWK_EINVAL, "duration of more than 292 years");
    }
    return SWK_OK;
}

const char *swki_labels_get(const void *entries, size_t entries_count,
                            const char *key)
{
    for (size_t i = entries_count; i > 0; i--) {
        const ProtobufCMessage *entry = swki_pointer_at(entries, i - 1);
        const char *value;

        if (strcmp(swki_entry_key(entry), key) == 0) {
            value = swki_pointer_at(
                swki_field_member(entry, &entry->descriptor->fields[1]), 0);
            return value != NULL ? value : "";
        }
    }
    return NULL;
}

const char *swki_enum_name(const ProtobufCEnumDescriptor *type, int value)
{
    const ProtobufCEnumValue *found =
        protobuf_c_enum_descriptor_get_value(type, value);

    return found != NULL ? found->name : NULL;
}

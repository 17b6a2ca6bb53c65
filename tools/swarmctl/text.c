/* SPDX-License-Identifier: Apache-2.0 */

/* What messages hold, as text for people. */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ctl.h"

const char *annotations_name(const Swkpb__Annotations *annotations)
{
    return annotations != NULL ? annotations->name : "";
}

const char *node_name(const Swkpb__Node *node)
{
    if (node->description != NULL && node->description->hostname[0] != '\0') {
        return node->description->hostname;
    }
    return node->id;
}

const char *service_name(const Swkpb__Service *service)
{
    return annotations_name(service->spec != NULL ? service->spec->annotations
                                                  : NULL);
}

const char *enum_text(const ProtobufCEnumDescriptor *type, int value)
{
    const ProtobufCEnumValue *found =
        protobuf_c_enum_descriptor_get_value(type, value);

    return found != NULL ? found->name : "?";
}

/* "3 minutes"; NULL for less than a second. */
static const char *span_text(struct ctl *ctl, int64_t seconds)
{
    static const struct {
        int64_t seconds;
        const char *name;
    } units[] = {{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}};

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        int64_t count = seconds / units[i].seconds;

        if (count > 0) {
            return pool_printf(&ctl->pool, "%lld %s%s", (long long)count,
                               units[i].name, count > 1 ? "s" : "");
        }
    }
    return NULL;
}

const char *age_text(struct ctl *ctl, const Swkpb__Timestamp *timestamp)
{
    const char *span;
    int64_t age;

    /* The time may be a node's own idea of it. */
    if (timestamp == NULL ||
        __builtin_sub_overflow((int64_t)time(NULL), timestamp->seconds, &age)) {
        return "-";
    }
    span = span_text(ctl, age);
    return span != NULL ? pool_printf(&ctl->pool, "%s ago", span) : "now";
}

const char *expiry_text(struct ctl *ctl, const Swkpb__Timestamp *timestamp)
{
    const char *span;
    int64_t left;

    if (timestamp == NULL ||
        __builtin_sub_overflow(timestamp->seconds, (int64_t)time(NULL),
                               &left)) {
        return "-";
    }
    if (left > 0) {
        return pool_printf(&ctl->pool, "in %s", span_text(ctl, left));
    }
    span = left > INT64_MIN ? span_text(ctl, -left) : NULL;
    return span != NULL ? pool_printf(&ctl->pool, "EXPIRED %s ago", span)
                        : "EXPIRED";
}

const char *wall_text(swk_wall wall, char out_text[WALL_TEXT_SIZE])
{
    time_t seconds = (time_t)(wall / (swk_wall)SWK_SECOND);
    struct tm tm;

    if (gmtime_r(&seconds, &tm) == NULL ||
        strftime(out_text, WALL_TEXT_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0) {
        snprintf(out_text, WALL_TEXT_SIZE, "-");
    }
    return out_text;
}

const char *time_text(struct ctl *ctl, const Swkpb__Timestamp *timestamp)
{
    const int64_t seconds_max = INT64_MAX / (int64_t)SWK_SECOND;
    char text[WALL_TEXT_SIZE];

    if (timestamp->seconds > seconds_max || timestamp->seconds < -seconds_max) {
        return "-";
    }
    return pool_strdup(
        &ctl->pool, wall_text(timestamp->seconds * (swk_wall)SWK_SECOND, text));
}

const char *duration_text(struct ctl *ctl, const Swkpb__Duration *duration)
{
    if (duration == NULL) {
        return "-";
    }

    long long seconds = duration->seconds;
    long long ms = duration->nanos / 1000000;
    if (seconds == 0 && ms != 0) {
        return pool_printf(&ctl->pool, "%lldms", ms);
    }
    if (ms != 0) {
        return pool_printf(&ctl->pool, "%lld.%03llds", seconds, ms);
    }
    if (seconds != 0 && seconds % 3600 == 0) {
        return pool_printf(&ctl->pool, "%lldh", seconds / 3600);
    }
    if (seconds > 60) {
        return pool_printf(&ctl->pool, "%lldm%llds", seconds / 60,
                           seconds % 60);
    }
    return pool_printf(&ctl->pool, "%llds", seconds);
}

Swkpb__Duration *new_duration(struct ctl *ctl, int64_t ns)
{
    Swkpb__Duration *duration =
        pool_message(&ctl->pool, &swkpb__duration__descriptor);

    duration->seconds = ns / 1000000000;
    duration->nanos = (int32_t)(ns % 1000000000);
    return duration;
}

void print_field(const char *name, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    printf("%-20s ", name);
    vprintf(format, args);
    putchar('\n');
    va_end(args);
}

void print_json_text(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            printf("\\%c", *text);
        } else if ((unsigned char)*text < ' ' || *text == 0x7f) {
            printf("\\u%04x", (unsigned char)*text);
        } else {
            putchar(*text);
        }
    }
    putchar('"');
}

void print_removed(const struct ctl *ctl, const char *id, const char *typed)
{
    if (!ctl->json) {
        puts(typed);
        return;
    }
    printf("{\"id\":");
    print_json_text(id);
    printf(",\"removed\":true}\n");
}

/* SPDX-License-Identifier: Apache-2.0 */

#include "parse.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The number at text, with decimals, times scale; rounded towards zero. NULL
 * if there is none, or it is too large; else where it ends. */
static const char *scaled(const char *text, int64_t scale, int64_t *out)
{
    const char *at = text;
    __int128 whole = 0;
    __int128 fraction = 0;
    __int128 base = 1;

    while (is_digit(*at)) {
        whole = whole * 10 + (*at++ - '0');
        if (whole > INT64_MAX) {
            return NULL;
        }
    }
    if (*at == '.') {
        const char *dot = at++;

        for (; is_digit(*at); at++) {
            if (base < INT64_C(1000000000000)) {
                fraction = fraction * 10 + (*at - '0');
                base *= 10;
            }
        }
        if (at == dot + 1) {
            return NULL;
        }
    }
    if (at == text || !is_digit(*text)) {
        return NULL;
    }

    __int128 value = whole * scale + fraction * scale / base;
    if (value > INT64_MAX) {
        return NULL;
    }
    *out = (int64_t)value;
    return at;
}

struct unit {
    const char *name;
    int64_t scale;
};

static const struct unit *find_unit(const struct unit *units, const char *text,
                                    size_t len)
{
    for (; units->name != NULL; units++) {
        if (strlen(units->name) == len &&
            strncasecmp(units->name, text, len) == 0) {
            return units;
        }
    }
    return NULL;
}

static size_t number_len(const char *text)
{
    return strspn(text, "0123456789.");
}

/* One number with its unit; NULL if it is not valid. */
static const char *duration_part(const char *text, int64_t *out_ns)
{
    static const struct unit units[] = {
        {"ns", 1},
        {"us", 1000},
        {"ms", 1000000},
        {"s", INT64_C(1000000000)},
        {"m", INT64_C(60) * 1000000000},
        {"h", INT64_C(3600) * 1000000000},
        {"d", INT64_C(86400) * 1000000000},
        {NULL, 0},
    };
    const char *name = text + number_len(text);
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz");
    const struct unit *unit = find_unit(units, name, len);

    if (unit == NULL || scaled(text, unit->scale, out_ns) != name) {
        return NULL;
    }
    return name + len;
}

bool parse_duration(const char *text, int64_t *out_ns)
{
    bool negative = text[0] == '-';
    int64_t total = 0;

    text += negative;
    if (strcmp(text, "0") == 0) {
        *out_ns = 0;
        return true;
    }
    if (text[0] == '\0') {
        return false;
    }
    while (text[0] != '\0') {
        int64_t part = 0;

        text = duration_part(text, &part);
        if (text == NULL || part > INT64_MAX - total) {
            return false;
        }
        total += part;
    }
    *out_ns = negative ? -total : total;
    return true;
}

bool parse_size(const char *text, int64_t *out_bytes)
{
    static const struct unit units[] = {
        {"", 1},
        {"b", 1},
        {"k", 1 << 10},
        {"kb", 1 << 10},
        {"kib", 1 << 10},
        {"m", 1 << 20},
        {"mb", 1 << 20},
        {"mib", 1 << 20},
        {"g", 1 << 30},
        {"gb", 1 << 30},
        {"gib", 1 << 30},
        {"t", INT64_C(1) << 40},
        {"tb", INT64_C(1) << 40},
        {"tib", INT64_C(1) << 40},
        {NULL, 0},
    };
    const char *name = text + number_len(text);
    const struct unit *unit = find_unit(units, name, strlen(name));
    int64_t bytes;

    if (unit == NULL || scaled(text, unit->scale, &bytes) != name) {
        return false;
    }
    *out_bytes = bytes;
    return true;
}

bool parse_cpus(const char *text, int64_t *out_nano)
{
    int64_t nano;
    const char *end = scaled(text, 1000000000, &nano);

    if (end == NULL || *end != '\0') {
        return false;
    }
    *out_nano = nano;
    return true;
}

bool parse_unsigned(const char *text, uint64_t max, uint64_t *out_number)
{
    uint64_t number = 0;

    if (text[0] == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        uint64_t digit = (uint64_t)(*text - '0');

        if (!is_digit(*text) || digit > max || number > (max - digit) / 10) {
            return false;
        }
        number = number * 10 + digit;
    }
    *out_number = number;
    return true;
}

bool parse_integer(const char *text, int64_t min, int64_t max,
                   int64_t *out_number)
{
    bool negative = text[0] == '-';
    uint64_t magnitude;

    if (!parse_unsigned(text + negative, INT64_MAX, &magnitude)) {
        return false;
    }
    int64_t number = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    if (number < min || number > max) {
        return false;
    }
    *out_number = number;
    return true;
}

bool parse_pair(const char *text, size_t *out_key_len, const char **out_value)
{
    size_t len = strcspn(text, "=");

    if (len == 0) {
        return false;
    }
    *out_key_len = len;
    *out_value = text[len] == '=' ? text + len + 1 : "";
    return true;
}

bool parse_env(const char *text)
{
    size_t len;
    const char *value;

    return parse_pair(text, &len, &value) && memchr(text, ' ', len) == NULL;
}

/* The text up to one of the ends, as a port number. */
static bool port_number(const char *text, size_t len, uint32_t *out_number)
{
    char digits[8];
    uint64_t number;

    if (len >= sizeof(digits)) {
        return false;
    }
    memcpy(digits, text, len);
    digits[len] = '\0';
    if (!parse_unsigned(digits, 65535, &number) || number == 0) {
        return false;
    }
    *out_number = (uint32_t)number;
    return true;
}

bool parse_port(const char *text, struct parsed_port *out_port)
{
    static const char *const protocols[] = {"tcp", "udp", "sctp", NULL};
    struct parsed_port port = {.protocol = "tcp"};
    size_t len = strcspn(text, ":");
    int index;

    if (len == 0 || len >= sizeof(port.name) || text[len] != ':') {
        return false;
    }
    memcpy(port.name, text, len);
    text += len + 1;

    len = strcspn(text, "/:");
    if (!port_number(text, len, &port.target)) {
        return false;
    }
    text += len;
    if (*text == '/') {
        len = strcspn(++text, ":");
        if (len >= sizeof(port.protocol)) {
            return false;
        }
        memset(port.protocol, 0, sizeof(port.protocol));
        memcpy(port.protocol, text, len);
        text += len;
    }
    if (!parse_word(port.protocol, protocols, &index)) {
        return false;
    }
    if (*text == ':' && !port_number(text + 1, strlen(text + 1),
                                     &port.published)) {
        return false;
    }
    *out_port = port;
    return true;
}

bool parse_constraint(const char *text)
{
    const char *at = strstr(text, "==");

    if (at == NULL) {
        at = strstr(text, "!=");
    }
    return at != NULL && at > text && at[2] != '\0';
}

bool parse_word(const char *text, const char *const *words, int *out_index)
{
    for (int i = 0; words[i] != NULL; i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *out_index = i;
            return true;
        }
    }
    return false;
}

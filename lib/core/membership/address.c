/* SPDX-License-Identifier: Apache-2.0 */

/* Where members are: "name:port", "192.0.2.1:port", "[2001:db8::1]:port". */

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "core/membership/membership.h"

enum {
    HOST_LEN_MAX = 255,
    LABEL_LEN_MAX = 63,
    PORT_MAX = 65535,
};

/* An address taken apart; pointing into its text. */
struct address {
    const char *host; /* with the brackets, if there are any */
    size_t host_len;
    const char *port;
};

static bool split(const char *text, struct address *out_address)
{
    const char *colon = strrchr(text, ':');

    if (colon == NULL || colon == text) {
        return false;
    }
    out_address->host = text;
    out_address->host_len = (size_t)(colon - text);
    out_address->port = colon + 1;
    return true;
}

static bool port_valid(const char *text)
{
    unsigned value = 0;
    size_t len = strlen(text);

    for (size_t i = 0; i < len && i < 5; i++) {
        if (!isdigit((unsigned char)text[i])) {
            return false;
        }
        value = value * 10 + (unsigned)(text[i] - '0');
    }
    return len <= 5 && value >= 1 && value <= PORT_MAX;
}

/* Hexadecimal groups, colons, perhaps a dotted end or a zone: what is wrong
 * within fails when it is connected to. */
static bool ipv6_valid(const char *host, size_t len)
{
    size_t colons = 0;
    size_t i = 1;

    if (len < 4 || host[len - 1] != ']') {
        return false;
    }
    for (; i < len - 1 && host[i] != '%'; i++) {
        if (!isxdigit((unsigned char)host[i]) && host[i] != ':' &&
            host[i] != '.') {
            return false;
        }
        colons += host[i] == ':';
    }
    for (; i < len - 1; i++) {
        if (!isgraph((unsigned char)host[i]) || host[i] == ']') {
            return false;
        }
    }
    return colons >= 2;
}

/* A name of labels, or an IPv4 address, which looks like one. */
static bool name_valid(const char *host, size_t len)
{
    size_t label_len = 0;

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)host[i];

        if (c == '.') {
            if (label_len == 0) {
                return false;
            }
            label_len = 0;
        } else if (isalnum(c) || c == '_' || (c == '-' && label_len > 0)) {
            label_len++;
        } else {
            return false;
        }
        if (label_len > LABEL_LEN_MAX) {
            return false;
        }
    }
    return true; /* a dot at the end is fine */
}

static bool host_valid(const struct address *address)
{
    if (address->host_len > HOST_LEN_MAX) {
        return false;
    }
    return address->host[0] == '['
               ? ipv6_valid(address->host, address->host_len)
               : name_valid(address->host, address->host_len);
}

bool swki_member_address_valid(const char *text)
{
    struct address address;

    return strlen(text) <= SWKI_MEMBER_ADDRESS_LEN_MAX &&
           split(text, &address) && port_valid(address.port) &&
           host_valid(&address);
}

static bool unspecified(const struct address *address)
{
    static const char *const hosts[] = {"0.0.0.0", "[::]", "[::0]",
                                        "[0:0:0:0:0:0:0:0]"};

    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        if (strlen(hosts[i]) == address->host_len &&
            strncmp(hosts[i], address->host, address->host_len) == 0) {
            return true;
        }
    }
    return false;
}

int swki_member_address_complete(const char *text, const char *caller,
                                 char out_text[SWKI_MEMBER_ADDRESS_LEN_MAX + 1],
                                 struct swk_error *err)
{
    struct address address;
    struct address source;

    if (!swki_member_address_valid(text) || !split(text, &address)) {
        return swki_fail(err, SWK_EINVAL,
                         "invalid address %.100s in raft join request", text);
    }
    if (!unspecified(&address)) {
        snprintf(out_text, SWKI_MEMBER_ADDRESS_LEN_MAX + 1, "%s", text);
        return SWK_OK;
    }
    if (!split(caller, &source) || !host_valid(&source) ||
        unspecified(&source)) {
        return swki_fail(err, SWK_EINVAL,
                         "invalid address %.100s in raft join request: it "
                         "names no host, and the caller's is not known",
                         text);
    }
    snprintf(out_text, SWKI_MEMBER_ADDRESS_LEN_MAX + 1, "%.*s:%s",
             (int)source.host_len, source.host, address.port);
    return SWK_OK;
}

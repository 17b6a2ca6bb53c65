/* SPDX-License-Identifier: Apache-2.0 */

#include "node/signing/http_answer.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"

enum {
    STATUS_DIGITS = 3,
    STATUS_MIN = 200, /* those below only announce an answer */
    STATUS_MAX = 599,
};

/* Part of a head; not ended by a NUL. */
struct text {
    const char *at;
    size_t len;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* "HTTP/1.0 200 OK", or 1.1; the reason may lack. */
static bool read_status(struct text line, int *out_status)
{
    static const char version[] = "HTTP/1.";
    const size_t at = sizeof(version) - 1 + 2; /* of the status */
    int status = 0;

    if (line.len < at + STATUS_DIGITS ||
        memcmp(line.at, version, sizeof(version) - 1) != 0 ||
        (line.at[at - 2] != '0' && line.at[at - 2] != '1') ||
        line.at[at - 1] != ' ' ||
        (line.len > at + STATUS_DIGITS && line.at[at + STATUS_DIGITS] != ' ')) {
        return false;
    }
    for (size_t i = at; i < at + STATUS_DIGITS; i++) {
        if (!is_digit(line.at[i])) {
            return false;
        }
        status = 10 * status + (line.at[i] - '0');
    }
    *out_status = status;
    return status >= STATUS_MIN && status <= STATUS_MAX;
}

/* Whether a line is "Name: value" of this name. */
static bool read_value(struct text line, const char *name,
                       struct text *out_value)
{
    size_t len = strlen(name);

    if (line.len <= len || strncasecmp(line.at, name, len) != 0 ||
        line.at[len] != ':') {
        return false;
    }
    out_value->at = line.at + len + 1;
    out_value->len = line.len - len - 1;
    while (out_value->len > 0 && is_blank(out_value->at[0])) {
        out_value->at++;
        out_value->len--;
    }
    while (out_value->len > 0 && is_blank(out_value->at[out_value->len - 1])) {
        out_value->len--;
    }
    return true;
}

/* False for what is no number, or one too large to be meant. */
static bool read_length(struct text value, size_t *out_length)
{
    size_t length = 0;

    for (size_t i = 0; i < value.len; i++) {
        if (!is_digit(value.at[i]) || length > SIZE_MAX / 100) {
            return false;
        }
        length = 10 * length + (size_t)(value.at[i] - '0');
    }
    *out_length = length;
    return value.len > 0;
}

static int read_line(struct text line, struct swki_http_head *head,
                     struct swk_error *err)
{
    struct text value;
    size_t length;

    if (read_value(line, "Transfer-Encoding", &value)) {
        return swki_fail(err, SWK_EIO, "an answer in parts to HTTP/1.0");
    }
    if (!read_value(line, "Content-Length", &value)) {
        return SWK_OK;
    }
    if (!read_length(value, &length) ||
        (head->body_len != SIZE_MAX && head->body_len != length)) {
        return swki_fail(err, SWK_EIO, "an answer of unknown length");
    }
    head->body_len = length;
    return SWK_OK;
}

/* Takes the next line off; there is one. */
static struct text next_line(struct text *head)
{
    const char *end = memmem(head->at, head->len, "\r\n", 2);
    struct text line = {head->at, (size_t)(end - head->at)};

    head->at += line.len + 2;
    head->len -= line.len + 2;
    return line;
}

/* The lines of a head, each with its end. */
static int read_lines(struct text lines, struct swki_http_head *head,
                      struct swk_error *err)
{
    int rc = SWK_OK;

    if (memchr(lines.at, '\0', lines.len) != NULL ||
        !read_status(next_line(&lines), &head->status)) {
        return swki_fail(err, SWK_EIO, "an answer that is not HTTP");
    }
    while (rc == 0 && lines.len > 0) {
        rc = read_line(next_line(&lines), head, err);
    }
    return rc;
}

static int read_head(const struct swki_http_received *received,
                     struct swki_http_head *head, struct swk_error *err)
{
    static const char end[] = "\r\n\r\n";
    const size_t look =
        received->len < SWKI_HTTP_HEAD_MAX ? received->len : SWKI_HTTP_HEAD_MAX;
    const char *found =
        look > 0 ? memmem(received->data, look, end, strlen(end)) : NULL;
    struct text lines = {.at = received->data};

    *head = (struct swki_http_head){.body_len = SIZE_MAX};
    if (found == NULL) {
        return look < SWKI_HTTP_HEAD_MAX
                   ? SWK_OK
                   : swki_fail(err, SWK_EIO, "an answer without a body");
    }
    lines.len = (size_t)(found - lines.at) + 2;
    head->len = lines.len + 2;
    return read_lines(lines, head, err);
}

int swki_http_answer_look(const struct swki_http_received *received,
                          size_t body_max, struct swki_http_head *out_head,
                          struct swk_error *err)
{
    struct swki_http_head *head = out_head;
    size_t body_len;
    int rc = read_head(received, head, err);

    if (rc != 0) {
        return rc;
    }
    body_len = head->len > 0 ? received->len - head->len : 0;
    if (body_len > body_max ||
        (head->body_len != SIZE_MAX && head->body_len > body_max)) {
        return swki_fail(err, SWK_ELIMIT, "an answer of more than %zu bytes",
                         body_max);
    }
    if (head->len > 0 && body_len >= head->body_len) {
        return 1;
    }
    if (!received->ended) {
        return 0;
    }
    /* The end is the answer's own only if it did not say another. */
    return head->len > 0 && head->body_len == SIZE_MAX
               ? 1
               : swki_fail(err, SWK_EIO, "an answer that was cut off");
}

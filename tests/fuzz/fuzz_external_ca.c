/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Reads any bytes as what an external CA answers: HTTP, and in it JSON. The
 * first byte chooses what stands before them, so that each part is reached.
 * Where an answer ends must not depend on how it comes in.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "node/signing/http_answer.h"
#include "wire/cfssl.h"

enum {
    BODY_MAX = 2000, /* so that it is reached */
    PIECE_LEN = 7,
};

static const char *const beginnings[] = {
    "",
    "HTTP/1.1 ",
    "HTTP/1.0 200 OK\r\n",
    "HTTP/1.0 200 OK\r\nContent-Length: ",
    "HTTP/1.1 400 Bad Request\r\n\r\n",
    "HTTP/1.1 200 OK\r\n\r\n{\"success\":",
    "HTTP/1.1 200 OK\r\n\r\n{\"success\":false,\"errors\":[{\"message\":\"",
    "HTTP/1.1 200 OK\r\n\r\n{\"success\":true,\"result\":{\"certificate\":\"",
};

static void require(int holds)
{
    if (!holds) {
        abort();
    }
}

static int look(const struct swki_buf *answer, size_t len, bool ended,
                struct swki_http_head *out_head)
{
    /* A copy of just this size: what is read behind it shows. */
    uint8_t *data = malloc(len + (len == 0));
    const struct swki_http_received received = {
        .data = data, .len = len, .ended = ended};
    int rc;

    require(data != NULL);
    if (len > 0) {
        memcpy(data, answer->data, len);
    }
    rc = swki_http_answer_look(&received, BODY_MAX, out_head, NULL);
    free(data);
    return rc;
}

static void check_head(const struct swki_http_head *head, size_t len)
{
    require(head->len >= 4 && head->len <= SWKI_HTTP_HEAD_MAX &&
            head->len <= len);
    require(head->status >= 200 && head->status <= 599);
    require(head->body_len == SIZE_MAX ||
            (head->body_len <= BODY_MAX && head->len + head->body_len <= len));
}

/* In pieces it is whole, or refused, as it is at once; a refusal may come
 * sooner. */
static void check_pieces(const struct swki_buf *answer,
                         const struct swki_http_head *whole, int whole_rc)
{
    struct swki_http_head head;
    int rc = 0;

    for (size_t len = 0; rc == 0 && len < answer->len; len += PIECE_LEN) {
        rc = look(answer, len, false, &head);
    }
    if (rc == 0) {
        rc = look(answer, answer->len, true, &head);
    }
    if (whole_rc == 1) {
        require(rc == 1 && head.len == whole->len &&
                head.status == whole->status &&
                head.body_len == whole->body_len);
    }
    require(whole_rc == rc || rc == 1); /* what came behind is not looked at */
}

static void check_json(const uint8_t *data, size_t len)
{
    struct swki_buf pem;
    int rc;

    swki_buf_init(&pem, NULL, BODY_MAX);
    rc = swki_cfssl_read(data, len, &pem, NULL);
    require(rc == 0 || (rc < 0 && pem.len == 0));
    swki_buf_fini(&pem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct swki_http_head head;
    struct swki_buf answer;
    int rc;

    if (size == 0) {
        return 0;
    }
    swki_buf_init(&answer, NULL, SIZE_MAX);
    require(swki_buf_append_text(
        &answer,
        beginnings[data[0] % (sizeof(beginnings) / sizeof(beginnings[0]))]));
    require(swki_buf_append(&answer, data + 1, size - 1));
    rc = look(&answer, answer.len, true, &head);
    require(rc == 1 || rc == SWK_EIO || rc == SWK_ELIMIT);
    check_pieces(&answer, &head, rc);
    if (rc == 1) {
        check_head(&head, answer.len);
        check_json(answer.data + head.len, head.body_len == SIZE_MAX
                                               ? answer.len - head.len
                                               : head.body_len);
    }
    check_json(data + 1, size - 1);
    swki_buf_fini(&answer);
    return 0;
}

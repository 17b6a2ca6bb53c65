/* SPDX-License-Identifier: Apache-2.0 */

#include "wire/frame.h"

#include <assert.h>
#include <string.h>

#include "base/error.h"

/* What a header may say, by type. */
static const struct rule {
    uint32_t least;
    uint32_t most;
    uint8_t flags;
    bool of_call; /* else of the connection */
} rules[] = {
    [SWKI_FRAME_HELLO] = {SWKI_FRAME_HELLO_LEN, SWKI_FRAME_HELLO_LEN, 0, false},
    [SWKI_FRAME_CALL] = {1, SWKI_FRAME_CALL_MAX, 0, true},
    [SWKI_FRAME_DATA] = {0, SWKI_FRAME_DATA_MAX, SWKI_FRAME_MORE, true},
    [SWKI_FRAME_END] = {0, SWKI_FRAME_END_MAX, 0, true},
    [SWKI_FRAME_RESET] = {0, 0, 0, true},
    [SWKI_FRAME_WINDOW] = {4, 4, 0, true},
    [SWKI_FRAME_PING] = {8, 8, 0, false},
    [SWKI_FRAME_PONG] = {8, 8, 0, false},
    [SWKI_FRAME_GOAWAY] = {4, 4, 0, false},
};

uint32_t swki_frame_get_u32(const uint8_t *data)
{
    return (uint32_t)data[0] | (uint32_t)data[1] << 8 |
           (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
}

void swki_frame_put_u32(uint8_t *data, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        data[i] = (uint8_t)(value >> (8 * i));
    }
}

static bool fits(const struct swki_frame *frame)
{
    if (frame->type < SWKI_FRAME_HELLO || frame->type > SWKI_FRAME_GOAWAY) {
        return false;
    }

    const struct rule *rule = &rules[frame->type];
    return frame->payload_len >= rule->least &&
           frame->payload_len <= rule->most &&
           (frame->flags & ~rule->flags) == 0 &&
           (frame->stream != 0) == rule->of_call;
}

void swki_frame_parser_init(struct swki_frame_parser *parser,
                            const struct swk_alloc *alloc)
{
    *parser = (struct swki_frame_parser){0};
    swki_buf_init(&parser->payload, alloc, SWKI_FRAME_DATA_MAX);
}

void swki_frame_parser_fini(struct swki_frame_parser *parser)
{
    swki_buf_fini(&parser->payload);
}

/* 1 when the header is whole and in order. */
static int parse_header(struct swki_frame_parser *parser, const uint8_t **data,
                        size_t *len, struct swk_error *err)
{
    const uint8_t *h = parser->header;
    size_t want = SWKI_FRAME_HEADER_SIZE - parser->header_len;
    size_t n = *len < want ? *len : want;

    if (want == 0) {
        return 1;
    }
    if (n > 0) {
        memcpy(parser->header + parser->header_len, *data, n);
    }
    parser->header_len += n;
    *data += n;
    *len -= n;
    if (n < want) {
        return 0;
    }
    parser->frame = (struct swki_frame){
        .payload_len = swki_frame_get_u32(h),
        .stream = swki_frame_get_u32(h + 4),
        .type = h[8],
        .flags = h[9],
        .code = (uint16_t)(h[10] | h[11] << 8),
    };
    if (!fits(&parser->frame)) {
        return swki_fail(err, SWK_EMALFORMED,
                         "invalid frame: type %u, flags %u, %u bytes",
                         parser->frame.type, parser->frame.flags,
                         parser->frame.payload_len);
    }
    swki_buf_clear(&parser->payload);
    return 1;
}

int swki_frame_parse(struct swki_frame_parser *parser, const uint8_t **data,
                     size_t *len, struct swki_frame *out_frame,
                     struct swk_error *err)
{
    int rc = parse_header(parser, data, len, err);

    if (rc <= 0) {
        return rc;
    }

    struct swki_frame *frame = &parser->frame;
    size_t want = frame->payload_len - parser->payload.len;
    size_t n = *len < want ? *len : want;
    bool whole = parser->payload.len == 0 && n == want;

    if (whole) {
        frame->payload = *data;
    } else if (!swki_buf_append(&parser->payload, *data, n)) {
        return swki_fail_nomem(err);
    } else {
        frame->payload = parser->payload.data;
    }
    *data += n;
    *len -= n;
    if (n < want) {
        return 0;
    }
    parser->header_len = 0;
    *out_frame = *frame;
    return 1;
}

bool swki_frame_write(struct swki_buf *buf, const struct swki_frame *frame)
{
    uint8_t *h;

    assert(fits(frame));
    h = swki_buf_reserve(buf, SWKI_FRAME_HEADER_SIZE + frame->payload_len);
    if (h == NULL) {
        return false;
    }
    swki_frame_put_u32(h, frame->payload_len);
    swki_frame_put_u32(h + 4, frame->stream);
    h[8] = frame->type;
    h[9] = frame->flags;
    h[10] = (uint8_t)frame->code;
    h[11] = (uint8_t)(frame->code >> 8);
    if (frame->payload_len > 0) {
        memcpy(h + SWKI_FRAME_HEADER_SIZE, frame->payload, frame->payload_len);
    }
    buf->len += SWKI_FRAME_HEADER_SIZE + frame->payload_len;
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Frames: what an RPC connection is cut into.
 *
 * A frame is a header of 12 bytes, numbers in little-endian order, and a
 * payload:
 *
 *     0  u32  length of the payload
 *     4  u32  stream: the number of the call; 0 for the connection itself
 *     8  u8   type
 *     9  u8   flags
 *    10  u16  code
 *
 *     type       stream  payload
 *     1 HELLO       0    "swarmrpc", u32 window, u32 calls at once; the code
 *                        is the version of the protocol
 *     2 CALL        n    swarmkit.v1.CallHeader
 *     3 DATA        n    a part of a message; flag 1: more parts follow
 *     4 END         n    of a client: none, it has said all; of a server:
 *                        swarmkit.v1.Status, the call is over
 *     5 RESET       n    none; the call is given up, the code says why
 *     6 WINDOW      n    u32: so many more bytes of DATA may be sent
 *     7 PING        0    8 bytes
 *     8 PONG        0    the 8 bytes of the PING
 *     9 GOAWAY      0    u32: the last call that will be served
 *
 * A length is checked against its type before anything is kept. The parser
 * takes any split of the bytes and copies only payloads that arrive in parts.
 */

#ifndef SWKI_WIRE_FRAME_H
#define SWKI_WIRE_FRAME_H

#include <swarmkit/error.h>

#include "base/buf.h"

enum {
    SWKI_FRAME_HEADER_SIZE = 12,
    SWKI_FRAME_DATA_MAX = 64 * 1024, /* bytes of payload of a DATA frame */
    SWKI_FRAME_CALL_MAX = 16 * 1024,
    SWKI_FRAME_END_MAX = 8 * 1024,
    SWKI_FRAME_HELLO_LEN = 16,
    SWKI_FRAME_MORE = 1 << 0, /* flag of DATA */
};

enum swki_frame_type {
    SWKI_FRAME_HELLO = 1,
    SWKI_FRAME_CALL = 2,
    SWKI_FRAME_DATA = 3,
    SWKI_FRAME_END = 4,
    SWKI_FRAME_RESET = 5,
    SWKI_FRAME_WINDOW = 6,
    SWKI_FRAME_PING = 7,
    SWKI_FRAME_PONG = 8,
    SWKI_FRAME_GOAWAY = 9,
};

struct swki_frame {
    uint32_t stream;
    uint8_t type; /* enum swki_frame_type */
    uint8_t flags;
    uint16_t code;
    uint32_t payload_len;
    const uint8_t *payload; /* borrowed until the parser's next call */
};

struct swki_frame_parser {
    uint8_t header[SWKI_FRAME_HEADER_SIZE];
    size_t header_len;
    struct swki_buf payload; /* of a frame that came in parts */
    struct swki_frame frame;
};

void swki_frame_parser_init(struct swki_frame_parser *parser,
                            const struct swk_alloc *alloc);
void swki_frame_parser_fini(struct swki_frame_parser *parser);

/*
 * Eats from *data until a frame is whole. 1 with a frame, 0 when more bytes
 * are needed, SWK_EMALFORMED or SWK_ENOMEM, after which the parser is of no
 * use. *data and *len move past what was eaten; the frame may point into it.
 */
int swki_frame_parse(struct swki_frame_parser *parser, const uint8_t **data,
                     size_t *len, struct swki_frame *out_frame,
                     struct swk_error *err);

/* Appends a frame; its payload_len must suit its type. False for no room. */
bool swki_frame_write(struct swki_buf *buf, const struct swki_frame *frame);

uint32_t swki_frame_get_u32(const uint8_t *data);
void swki_frame_put_u32(uint8_t *data, uint32_t value);

#endif

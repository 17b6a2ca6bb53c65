/* SPDX-License-Identifier: Apache-2.0 */

/* The insides of a connection, shared by its two files. */

#ifndef SWKI_WIRE_RPC_STREAM_H
#define SWKI_WIRE_RPC_STREAM_H

#include "base/arena.h"
#include "base/timers.h"
#include "wire/frame.h"
#include "wire/rpc_connection.h"

/* A message that waits for the peer's grant. */
struct swki_rpc_pending {
    struct swki_rpc_pending *next;
    size_t len;
    size_t sent;
    uint8_t data[];
};

struct swki_rpc_stream {
    struct swki_timer timer; /* the deadline */
    uint32_t id;
    void *owner;
    bool abandoned;    /* its owner has ended it: no more events */
    bool remote_ended; /* a client's END has come */
    bool end_due;      /* END follows the pending messages */
    bool local_ended;  /* END was written */
    int end_status;
    char *end_text;
    int64_t grant; /* bytes that may be sent */
    struct swki_rpc_pending *first;
    struct swki_rpc_pending *last;
    size_t pending_len;
    struct swki_buf message; /* being put together */
    uint64_t received;       /* bytes of DATA in all */
    uint64_t credited;       /* bytes granted again */
    uint64_t held;           /* bytes delivered and not consumed */
};

struct swki_rpc_connection {
    struct swki_rpc_connection_config config;
    struct swki_frame_parser parser;
    struct swki_timers timers;
    struct swki_arena arena; /* of the present event */
    struct swki_rpc_header header;
    struct swki_buf out;
    struct swki_rpc_stream **streams; /* by number */
    size_t streams_count;
    size_t streams_size;
    size_t turn;             /* whose message goes next */
    size_t busy;             /* streams with pending messages */
    size_t unsent;           /* bytes of pending messages */
    size_t parts;            /* bytes in the streams' message buffers */
    uint32_t last_stream;    /* the highest that was opened */
    uint32_t peer_window;    /* 0 before HELLO */
    uint32_t peer_calls;
    uint32_t delivered;      /* stream whose message buffer is to be emptied */
    bool going;              /* GOAWAY was sent or received */
    uint32_t going_last;     /* the last one that is served */
    bool pinged;
    swk_time heard;          /* when bytes came last */
};

struct swki_rpc_stream *
swki_rpc_stream_find(const struct swki_rpc_connection *c, uint32_t id);
/* NULL for no memory. */
struct swki_rpc_stream *swki_rpc_stream_add(struct swki_rpc_connection *c,
                                            uint32_t id, swk_time deadline);
void swki_rpc_stream_remove(struct swki_rpc_connection *c,
                            struct swki_rpc_stream *s);
/* Empties the buffer of the message that is put together. */
void swki_rpc_stream_drop_message(struct swki_rpc_connection *c,
                                  struct swki_rpc_stream *s);
void swki_rpc_stream_drop_pending(struct swki_rpc_connection *c,
                                  struct swki_rpc_stream *s);
bool swki_rpc_stream_queue(struct swki_rpc_connection *c,
                           struct swki_rpc_stream *s, const void *data,
                           size_t len);
/* Moves what may go to the output. */
void swki_rpc_streams_pump(struct swki_rpc_connection *c);
/* Grants again what may be, if it is worth a frame. */
void swki_rpc_stream_credit(struct swki_rpc_connection *c,
                            struct swki_rpc_stream *s);
/* END or RESET at once. */
void swki_rpc_write_status(struct swki_rpc_connection *c, uint32_t id,
                           int status, const char *text);

#endif

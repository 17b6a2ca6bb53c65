/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * A port: streams of bytes between machines and on one machine.
 *
 * Addresses are "tcp://HOST:PORT" and "ipc://PATH". What runs inside a stream
 * (TLS, frames) is none of the transport's business.
 */

#ifndef SWARMKIT_PORT_TRANSPORT_H
#define SWARMKIT_PORT_TRANSPORT_H

#include <swarmkit/error.h>
#include <swarmkit/types.h>

SWK_BEGIN_DECLS

/** A stream; the transport's own type. */
typedef struct swk_stream swk_stream;
/** A listener; the transport's own type. */
typedef struct swk_listener swk_listener;

/** Who is at the other end of a local stream, as the kernel knows it. */
struct swk_stream_peer {
    char address[128]; /**< "192.0.2.1:4242", or "" for local streams. */
    int64_t uid;       /**< Of a local peer; -1 for others. */
    int64_t pid;       /**< Of a local peer; -1 for others. */
};

/**
 * What a stream reports. Called on the transport's threads, one at a time for
 * one stream; must not block, and must not call close() or free() of the
 * stream it is called for.
 */
struct swk_stream_events {
    size_t size; /**< sizeof(struct swk_stream_events). */
    /** Bytes came; borrowed for the call. */
    void (*received)(void *ctx, const void *data, size_t len);
    /** What was given to send() is on its way: more may be sent. */
    void (*sent)(void *ctx);
    /** The stream is of no use any more; called once, last. */
    void (*failed)(void *ctx, const struct swk_error *err);
};

struct swk_transport {
    size_t size; /**< sizeof(struct swk_transport). */
    void *ctx;   /**< Passed to each function. */

    /**
     * Opens a listener. accepted() is called on a transport's thread for each
     * new stream, which is *given* to it. local files get mode 0600.
     */
    int (*listen)(void *ctx, const char *address,
                  void (*accepted)(void *accept_ctx, swk_stream *stream),
                  void *accept_ctx, swk_listener **out_listener,
                  struct swk_error *err);
    /** The TCP port that listen() got, for port 0; 0 for local ones. */
    int (*listener_port)(void *ctx, const swk_listener *listener);
    /** Stops accepting; when it returns no accepted() runs any more. */
    void (*listener_close)(void *ctx, swk_listener *listener);

    /**
     * Dials. done() is called once on a transport's thread with the stream,
     * which is *given*, or with NULL and the reason. Returns 0, or a negative
     * code when the address is in no known form, and done() is not called.
     */
    int (*dial)(void *ctx, const char *address, swk_time timeout_ns,
                void (*done)(void *dial_ctx, swk_stream *stream,
                             const struct swk_error *err),
                void *dial_ctx, struct swk_error *err);

    /** Starts the events of a stream; once, on any thread. */
    void (*start)(void *ctx, swk_stream *stream,
                  const struct swk_stream_events *events, void *events_ctx);
    /**
     * Sends; data is borrowed until sent() or failed(). One send at a time.
     * Callable on any thread, in events too.
     */
    void (*send)(void *ctx, swk_stream *stream, const void *data, size_t len);
    /** Holds back (paused != 0) or goes on with received(). */
    void (*pause)(void *ctx, swk_stream *stream, int paused);
    void (*peer)(void *ctx, const swk_stream *stream,
                 struct swk_stream_peer *out_peer);
    /** Makes failed() come soon if it has not come yet. Any thread. */
    void (*close)(void *ctx, swk_stream *stream);
    /** Closes, waits for running events, releases. Never in an event. */
    void (*free)(void *ctx, swk_stream *stream);
};

SWK_END_DECLS

#endif

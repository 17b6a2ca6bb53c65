/* SPDX-License-Identifier: Apache-2.0 */

/* What the files of the nng transport share. */

#ifndef SWKI_RUNTIME_NNG_INTERNAL_H
#define SWKI_RUNTIME_NNG_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>

#include <nng/nng.h>

#include <swarmkit/nng_transport.h>

#include "base/list.h"

struct swk_nng_transport {
    struct swk_transport port;
    const struct swk_alloc *alloc;
    const struct swk_logger *logger;
    pthread_mutex_t lock;   /* guards dials */
    struct swki_link dials; /* struct dial, finished ones included */
};

/* Wraps an open stream, which is taken; NULL for no memory. */
struct swk_stream *swki_nng_stream_new(const struct swk_alloc *alloc,
                                       nng_stream *stream);

/* The stream's part of the port. */
void swki_nng_stream_start(void *ctx, struct swk_stream *stream,
                           const struct swk_stream_events *events,
                           void *events_ctx);
void swki_nng_stream_send(void *ctx, struct swk_stream *stream,
                          const void *data, size_t len);
void swki_nng_stream_pause(void *ctx, struct swk_stream *stream, int paused);
void swki_nng_stream_peer(void *ctx, const struct swk_stream *stream,
                          struct swk_stream_peer *out_peer);
void swki_nng_stream_close(void *ctx, struct swk_stream *stream);
void swki_nng_stream_free(void *ctx, struct swk_stream *stream);

/* The listener's part. */
int swki_nng_listen(void *ctx, const char *address,
                    void (*accepted)(void *accept_ctx, swk_stream *stream),
                    void *accept_ctx, swk_listener **out_listener,
                    struct swk_error *err);
int swki_nng_listener_port(void *ctx, const swk_listener *listener);
void swki_nng_listener_close(void *ctx, swk_listener *listener);

/* The dialer's part. */
int swki_nng_dial(void *ctx, const char *address, swk_time timeout_ns,
                  void (*done)(void *dial_ctx, swk_stream *stream,
                               const struct swk_error *err),
                  void *dial_ctx, struct swk_error *err);
/* Waits for all dials to end and releases them. */
void swki_nng_dials_fini(struct swk_nng_transport *transport);

/* What an nng error means to our callers, and its text. */
int swki_nng_code(int nng_code);
const char *swki_nng_text(int nng_code);

/* 0 if address has a form that this transport takes. out_path is set to the
 * path of a local one, and to NULL for TCP. */
int swki_nng_check_address(const char *address, const char **out_path,
                           struct swk_error *err);

#endif

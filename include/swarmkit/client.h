/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file
 * A client for tools: connects to a manager, makes calls, waits for answers.
 *
 * Requests and responses are encoded messages of the .proto files; methods go
 * by their paths, such as "/docker.swarmkit.v1.Control/ListNodes". A client
 * runs on the thread that calls it and needs none of its own.
 */

#ifndef SWARMKIT_CLIENT_H
#define SWARMKIT_CLIENT_H

#include <swarmkit/alloc.h>
#include <swarmkit/error.h>
#include <swarmkit/types.h>

SWK_BEGIN_DECLS

/** A connection to a manager. */
typedef struct swk_client swk_client;
/** The answers to a call that has many. */
typedef struct swk_client_stream swk_client_stream;

/** Where to connect, and as whom. Texts are borrowed for the call. */
struct swk_client_config {
    size_t size; /**< sizeof(struct swk_client_config). */
    /** Must be safe on any thread; NULL for malloc(). */
    const struct swk_alloc *alloc;
    /** Path of a control socket, or "ipc://PATH", or "tcp://HOST:PORT". */
    const char *address;
    /** Own certificate chain, PEM, for TCP; NULL for none. */
    const char *chain_pem;
    const char *key_pem;   /**< Its key, PEM; NULL for none. */
    const char *roots_pem; /**< Trusted roots, PEM; needed for TCP. */
    /** Expected in the server's certificate; NULL: "swarm-manager". */
    const char *server_name;
    swk_time timeout_ns; /**< To connect; 0 for 10 s. */
};

/** A configuration with defaults. */
#define SWK_CLIENT_CONFIG_INIT {sizeof(struct swk_client_config)}

/**
 * Connects, and waits until the server has greeted.
 *
 * @param config     Borrowed for the call; not NULL, nor its address.
 * @param out_client Receives the client, *given*: swk_client_close().
 * @param err        Receives the reason on failure; may be NULL.
 * @return 0; SWK_EINVAL for a wrong configuration; SWK_ENOTFOUND if there is
 *         no such socket or host; SWK_EDENIED; SWK_EUNAVAILABLE if nobody
 *         listens; SWK_EUNAUTHENTICATED if either side refused the other's
 *         certificate; SWK_ETIMEDOUT; SWK_EIO; SWK_ENOMEM.
 * @threads any
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_client_open(const struct swk_client_config *config,
                swk_client **out_client, struct swk_error *err);

/**
 * Hangs up and releases. Its streams have to be closed before.
 *
 * @param client  May be NULL.
 * @threads one at a time
 * @since   0.1
 */
SWK_API void swk_client_close(swk_client *client);

/**
 * Makes a unary call and waits for the answer.
 *
 * @param client       Not NULL.
 * @param method       Path of the method; not NULL.
 * @param request      Encoded request; may be NULL if request_len is 0.
 * @param request_len  Bytes at request.
 * @param timeout_ns   For the whole call; 0 for no limit.
 * @param out_response Receives the encoded response, *given*: release it with
 *                     swk_client_release(); not NULL.
 * @param out_len      Receives its bytes; not NULL.
 * @param err          Receives the reason on failure, in the server's words
 *                     if it has answered; may be NULL.
 * @return 0, or the code that the server's status stands for (see
 *         swk_client_status()); SWK_EUNAVAILABLE if the connection is down.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_client_call(swk_client *client, const char *method, const void *request,
                size_t request_len, swk_time timeout_ns,
                uint8_t **out_response, size_t *out_len,
                struct swk_error *err);

/**
 * Sets the request ID of the calls that follow: a manager recognises a call
 * that is repeated with the same one.
 *
 * @param client      Not NULL.
 * @param request_id  Up to 128 characters, copied; NULL or "" for none.
 * @return 0; SWK_EINVAL for one that is too long.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int swk_client_set_request_id(swk_client *client,
                                                     const char *request_id);

/**
 * The status of the last call that ended, as gRPC numbers them.
 *
 * @param client  Not NULL.
 * @return 0 for success, 5 for "not found", and so on.
 * @threads one at a time
 * @since   0.1
 */
SWK_API int swk_client_status(const swk_client *client);

/**
 * Releases a response or a message.
 *
 * @param client  The client that gave it; not NULL.
 * @param data    May be NULL.
 * @threads one at a time
 * @since   0.1
 */
SWK_API void swk_client_release(swk_client *client, uint8_t *data);

/**
 * Makes a call that is answered by many messages.
 *
 * @param client       Not NULL.
 * @param method       Path of the method; not NULL.
 * @param request      Encoded request; may be NULL if request_len is 0.
 * @param request_len  Bytes at request.
 * @param out_stream   Receives the stream, *given*: swk_client_stream_close().
 * @param err          Receives the reason on failure; may be NULL.
 * @return 0; SWK_EINVAL; SWK_EUNAVAILABLE; SWK_ENOMEM. What the server has
 *         against the call is told by swk_client_stream_next().
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_client_stream_open(swk_client *client, const char *method,
                       const void *request, size_t request_len,
                       swk_client_stream **out_stream, struct swk_error *err);

/**
 * Waits for the next message.
 *
 * @param stream      Not NULL.
 * @param timeout_ns  How long to wait; SWK_NEVER for no limit.
 * @param out_data    Receives the message, *given*: swk_client_release().
 * @param out_len     Receives its bytes.
 * @param err         Receives the reason on failure; may be NULL.
 * @return 1 with a message; 0 when the server has ended the stream in good
 *         order; SWK_ETIMEDOUT if none came in time (the stream goes on), or
 *         the code that the server's status stands for.
 * @threads one at a time
 * @since   0.1
 */
SWK_API SWK_MUST_CHECK int
swk_client_stream_next(swk_client_stream *stream, swk_time timeout_ns,
                       uint8_t **out_data, size_t *out_len,
                       struct swk_error *err);

/**
 * Gives the call up, if it still runs, and releases.
 *
 * @param stream  May be NULL.
 * @threads one at a time
 * @since   0.1
 */
SWK_API void swk_client_stream_close(swk_client_stream *stream);

SWK_END_DECLS

#endif

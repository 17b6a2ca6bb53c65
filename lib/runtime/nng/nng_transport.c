/* SPDX-License-Identifier: Apache-2.0 */

#include <swarmkit/nng_transport.h>

#include <string.h>
#include <sys/un.h>

#include "base/alloc.h"
#include "base/error.h"
#include "runtime/nng/nng_internal.h"

int swki_nng_code(int nng_code)
{
    switch (nng_code) {
    case 0:
        return SWK_OK;
    case NNG_ENOMEM:
        return SWK_ENOMEM;
    case NNG_EINVAL:
        return SWK_EINVAL;
    case NNG_EADDRINUSE:
    case NNG_EBUSY:
        return SWK_EBUSY;
    case NNG_EPERM:
        return SWK_EDENIED;
    case NNG_ENOENT:
    case NNG_EADDRINVAL:
        return SWK_ENOTFOUND;
    case NNG_ETIMEDOUT:
        return SWK_ETIMEDOUT;
    case NNG_ENOTSUP:
        return SWK_ENOTSUP;
    case NNG_ENOFILES:
        return SWK_ELIMIT;
    case NNG_ECANCELED:
        return SWK_ECANCELED;
    case NNG_ECONNREFUSED:
    case NNG_EUNREACHABLE:
        return SWK_EUNAVAILABLE;
    default:
        return SWK_EIO;
    }
}

const char *swki_nng_text(int nng_code)
{
    switch (nng_code) {
    case NNG_ECONNREFUSED:
        return "connection refused: nothing listens there";
    case NNG_EADDRINUSE:
        return "address in use: another process has it";
    case NNG_EADDRINVAL:
        return "no such host or address";
    case NNG_EPERM:
        return "permission denied";
    case NNG_ENOENT:
        return "no such file";
    case NNG_ETIMEDOUT:
        return "no answer in time";
    case NNG_EUNREACHABLE:
        return "network or host unreachable";
    case NNG_ENOFILES:
        return "out of file descriptors";
    case NNG_ECONNSHUT:
    case NNG_ECLOSED:
        return "connection closed";
    case NNG_ECONNRESET:
    case NNG_ECONNABORTED:
        return "connection reset by the peer";
    default:
        return nng_strerror(nng_code);
    }
}

static int check_tcp(const char *address, struct swk_error *err)
{
    const char *host = address + strlen("tcp://");
    const char *colon = strrchr(host, ':');
    unsigned port = 0;
    size_t digits = 0;

    for (const char *p = colon == NULL ? "" : colon + 1; *p != '\0'; p++) {
        if (*p < '0' || *p > '9' || ++digits > 5) {
            digits = 0;
            break;
        }
        port = port * 10 + (unsigned)(*p - '0');
    }
    if (digits == 0 || port > 65535) {
        return swki_fail(err, SWK_EINVAL,
                         "invalid address \"%s\": expected tcp://HOST:PORT",
                         address);
    }
    return SWK_OK;
}

int swki_nng_check_address(const char *address, const char **out_path,
                           struct swk_error *err)
{
    static const char ipc[] = "ipc://";

    if (strncmp(address, "tcp://", 6) == 0) {
        *out_path = NULL;
        return check_tcp(address, err);
    }
    if (strncmp(address, ipc, 6) != 0 || address[6] == '\0') {
        return swki_fail(err, SWK_EINVAL,
                         "invalid address \"%s\": expected tcp://HOST:PORT or "
                         "ipc://PATH",
                         address);
    }
    if (strlen(address + 6) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
        return swki_fail(err, SWK_EINVAL,
                         "the path of a socket must be shorter than %zu "
                         "bytes: \"%s\"",
                         sizeof(((struct sockaddr_un *)0)->sun_path),
                         address + 6);
    }
    *out_path = address + 6;
    return SWK_OK;
}

int swk_nng_transport_new(const struct swk_alloc *alloc,
                          const struct swk_logger *logger,
                          swk_nng_transport **out_transport,
                          struct swk_error *err)
{
    struct swk_nng_transport *transport;

    if (out_transport == NULL) {
        return swki_fail(err, SWK_EINVAL, "nng transport: NULL argument");
    }
    transport = swki_calloc(alloc, 1, sizeof(*transport));
    if (transport == NULL) {
        return swki_fail_nomem(err);
    }
    transport->alloc = alloc;
    transport->logger = logger;
    swki_list_init(&transport->dials);
    pthread_mutex_init(&transport->lock, NULL);
    transport->port = (struct swk_transport){
        .size = sizeof(transport->port),
        .ctx = transport,
        .listen = swki_nng_listen,
        .listener_port = swki_nng_listener_port,
        .listener_close = swki_nng_listener_close,
        .dial = swki_nng_dial,
        .start = swki_nng_stream_start,
        .send = swki_nng_stream_send,
        .pause = swki_nng_stream_pause,
        .peer = swki_nng_stream_peer,
        .close = swki_nng_stream_close,
        .free = swki_nng_stream_free,
    };
    *out_transport = transport;
    return SWK_OK;
}

const struct swk_transport *
swk_nng_transport_port(const swk_nng_transport *transport)
{
    return &transport->port;
}

void swk_nng_transport_free(swk_nng_transport *transport)
{
    if (transport == NULL) {
        return;
    }
    swki_nng_dials_fini(transport);
    pthread_mutex_destroy(&transport->lock);
    swki_free(transport->alloc, transport);
}

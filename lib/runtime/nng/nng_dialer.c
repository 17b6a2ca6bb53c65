/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Dials. What a dial used cannot be released in its own callback, so finished
 * ones wait in the transport's list for the next dial, or for the end.
 */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "runtime/nng/nng_internal.h"

struct dial {
    struct swki_link link; /* in the transport's dials */
    struct swk_nng_transport *transport;
    nng_stream_dialer *dialer;
    nng_aio *aio;
    bool finished; /* guarded by the transport's lock */
    void (*done)(void *ctx, swk_stream *stream, const struct swk_error *err);
    void *done_ctx;
    char address[160];
};

static void release(struct dial *d)
{
    if (d->aio != NULL) {
        nng_aio_free(d->aio); /* waits for the rest of the callback */
    }
    if (d->dialer != NULL) {
        nng_stream_dialer_free(d->dialer);
    }
    swki_free(d->transport->alloc, d);
}

/* Takes a finished dial, or any, out of the list. */
static struct dial *take_dial(struct swk_nng_transport *transport, bool any)
{
    struct dial *found = NULL;

    pthread_mutex_lock(&transport->lock);
    for (struct swki_link *link = transport->dials.next;
         link != &transport->dials && found == NULL; link = link->next) {
        struct dial *d = SWKI_CONTAINER(link, struct dial, link);

        found = d->finished || any ? d : NULL;
    }
    if (found != NULL) {
        swki_list_remove(&found->link);
    }
    pthread_mutex_unlock(&transport->lock);
    return found;
}

void swki_nng_dials_fini(struct swk_nng_transport *transport)
{
    struct dial *d;

    while ((d = take_dial(transport, true)) != NULL) {
        nng_aio_cancel(d->aio);
        nng_aio_wait(d->aio);
        release(d);
    }
}

static void dial_failed(struct dial *d, int rc)
{
    struct swk_error err;

    swki_fail(&err, swki_nng_code(rc), "cannot connect to %s: %s", d->address,
              swki_nng_text(rc));
    d->done(d->done_ctx, NULL, &err);
}

static void dial_done(void *arg)
{
    struct dial *d = arg;
    struct swk_nng_transport *transport = d->transport;
    int rc = nng_aio_result(d->aio);
    struct swk_stream *stream = NULL;

    if (rc == 0) {
        stream = swki_nng_stream_new(transport->alloc,
                                     nng_aio_get_output(d->aio, 0));
        rc = stream == NULL ? NNG_ENOMEM : 0;
    }
    if (rc == 0) {
        d->done(d->done_ctx, stream, NULL);
    } else {
        dial_failed(d, rc);
    }
    pthread_mutex_lock(&transport->lock);
    d->finished = true;
    pthread_mutex_unlock(&transport->lock);
}

/* nng gives one code to a missing socket and to a dead one. */
static int check_socket(const char *path, struct swk_error *err)
{
    struct stat st;

    if (path == NULL) {
        return SWK_OK;
    }
    if (stat(path, &st) != 0) {
        int code = errno == ENOENT || errno == ENOTDIR ? SWK_ENOTFOUND
                   : errno == EACCES                   ? SWK_EDENIED
                                                       : SWK_EIO;

        return swki_fail(err, code, "cannot connect to %s: %s", path,
                         code == SWK_ENOTFOUND ? "no such file"
                                               : strerror(errno));
    }
    if (!S_ISSOCK(st.st_mode)) {
        return swki_fail(err, SWK_EINVAL, "cannot connect to %s: no socket",
                         path);
    }
    if (access(path, W_OK) != 0 && errno == EACCES) {
        return swki_fail(err, SWK_EDENIED,
                         "cannot connect to %s: permission denied", path);
    }
    return SWK_OK;
}

static int open_dial(struct dial *d, const char *address, const char *path)
{
    int rc = nng_stream_dialer_alloc(&d->dialer, address);

    if (rc == 0) {
        rc = nng_aio_alloc(&d->aio, dial_done, d);
    }
    if (rc == 0 && path == NULL) {
        rc = nng_stream_dialer_set_bool(d->dialer, NNG_OPT_TCP_NODELAY, true);
    }
    return rc;
}

static nng_duration duration(swk_time timeout_ns)
{
    swk_time ms = timeout_ns / SWK_MILLISECOND;

    if (timeout_ns == SWK_NEVER) {
        return NNG_DURATION_INFINITE;
    }
    return ms == 0 ? 1 : ms > INT_MAX ? INT_MAX : (nng_duration)ms;
}

int swki_nng_dial(void *ctx, const char *address, swk_time timeout_ns,
                  void (*done)(void *dial_ctx, swk_stream *stream,
                               const struct swk_error *err),
                  void *dial_ctx, struct swk_error *err)
{
    struct swk_nng_transport *transport = ctx;
    const char *path;
    struct dial *d;
    int rc = swki_nng_check_address(address, &path, err);

    if (rc == SWK_OK) {
        rc = check_socket(path, err);
    }
    if (rc != SWK_OK) {
        return rc;
    }
    while ((d = take_dial(transport, false)) != NULL) {
        release(d);
    }
    d = swki_calloc(transport->alloc, 1, sizeof(*d));
    if (d == NULL) {
        return swki_fail_nomem(err);
    }
    d->transport = transport;
    d->done = done;
    d->done_ctx = dial_ctx;
    snprintf(d->address, sizeof(d->address), "%s", path ? path : address);
    rc = open_dial(d, address, path);
    if (rc != 0) {
        release(d);
        return swki_fail(err, swki_nng_code(rc), "cannot connect to %s: %s",
                         address, swki_nng_text(rc));
    }
    pthread_mutex_lock(&transport->lock);
    swki_list_append(&transport->dials, &d->link);
    pthread_mutex_unlock(&transport->lock);
    nng_aio_set_timeout(d->aio, duration(timeout_ns));
    nng_stream_dialer_dial(d->dialer, d->aio);
    return SWK_OK;
}

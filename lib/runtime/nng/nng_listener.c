/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A listener: one aio that accepts, and waits when descriptors run out.
 *
 * nng sets the mode of a local socket after it has bound it, and takes any
 * file in the way for a stale socket. So the umask is narrowed meanwhile, and
 * what lies at the path is looked at first.
 */

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "runtime/nng/nng_internal.h"

enum {
    PAUSE_MS = 200, /* before accepting again after a failure */
    PATH_SIZE = 128,
};

struct swk_listener {
    struct swk_nng_transport *transport;
    nng_stream_listener *listener;
    nng_aio *aio;
    void (*accepted)(void *ctx, swk_stream *stream);
    void *accepted_ctx;
    bool pausing;   /* the aio sleeps; touched in its callback only */
    bool exhausted; /* told the logger; touched in its callback only */
};

static void pause_accepting(struct swk_listener *l, int rc)
{
    if (rc == NNG_ENOFILES && !l->exhausted) {
        l->exhausted = true;
        swki_log(l->transport->logger, SWK_LOG_WARN, "transport",
                 "out of file descriptors: new connections have to wait");
    }
    l->pausing = true;
    nng_sleep_aio(PAUSE_MS, l->aio);
}

static void accept_done(void *arg)
{
    struct swk_listener *l = arg;
    int rc = nng_aio_result(l->aio);
    struct swk_stream *stream;

    if (rc == NNG_ECLOSED || rc == NNG_ECANCELED) {
        return;
    }
    if (rc != 0) {
        pause_accepting(l, rc);
        return;
    }
    if (l->pausing) {
        l->pausing = false;
    } else {
        l->exhausted = false;
        stream = swki_nng_stream_new(l->transport->alloc,
                                     nng_aio_get_output(l->aio, 0));
        if (stream != NULL) {
            l->accepted(l->accepted_ctx, stream);
        }
    }
    nng_stream_listener_accept(l->listener, l->aio);
}

static void parent_of(const char *path, char out_parent[PATH_SIZE])
{
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path);

    if (slash == NULL) {
        memcpy(out_parent, ".", 2);
    } else if (len == 0) {
        memcpy(out_parent, "/", 2);
    } else {
        memcpy(out_parent, path, len);
        out_parent[len] = '\0';
    }
}

/* Nobody else may be able to replace the socket. */
static int check_parent(const char *path, struct swk_error *err)
{
    char parent[PATH_SIZE];
    struct stat st;

    parent_of(path, parent);
    if (stat(parent, &st) != 0) {
        int code = errno == EACCES ? SWK_EDENIED : SWK_ENOTFOUND;

        return swki_fail(err, code, "cannot use directory %s: %s", parent,
                         strerror(errno));
    }
    if (!S_ISDIR(st.st_mode)) {
        return swki_fail(err, SWK_EINVAL, "%s is not a directory", parent);
    }
    if (st.st_uid != 0 && st.st_uid != geteuid()) {
        return swki_fail(err, SWK_EDENIED,
                         "directory %s belongs to another user", parent);
    }
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0 &&
        (st.st_mode & S_ISVTX) == 0) {
        return swki_fail(err, SWK_EDENIED,
                         "directory %s can be written by others", parent);
    }
    return SWK_OK;
}

static int check_path(const char *path, struct swk_error *err)
{
    struct stat st;
    int rc = check_parent(path, err);

    if (rc == SWK_OK && lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode)) {
        rc = swki_fail(err, SWK_EEXIST,
                       "cannot listen on %s: it exists and is no socket", path);
    }
    return rc;
}

static int bind_local(nng_stream_listener *listener)
{
    mode_t before = umask(S_IXUSR | S_IRWXG | S_IRWXO);
    int rc = nng_stream_listener_listen(listener);

    umask(before);
    return rc;
}

static int open_listener(struct swk_listener *l, const char *address,
                         const char *path)
{
    int rc = nng_stream_listener_alloc(&l->listener, address);

    if (rc == 0) {
        rc = nng_aio_alloc(&l->aio, accept_done, l);
    }
    if (rc == 0 && path == NULL) {
        rc = nng_stream_listener_set_bool(l->listener, NNG_OPT_TCP_NODELAY,
                                          true);
    }
    if (rc == 0 && path != NULL) {
        rc = nng_stream_listener_set_int(l->listener, NNG_OPT_IPC_PERMISSIONS,
                                         S_IRUSR | S_IWUSR);
    }
    if (rc != 0) {
        return rc;
    }
    return path == NULL ? nng_stream_listener_listen(l->listener)
                        : bind_local(l->listener);
}

static void release(struct swk_listener *l)
{
    if (l->aio != NULL) {
        nng_aio_free(l->aio);
    }
    if (l->listener != NULL) {
        nng_stream_listener_free(l->listener);
    }
    swki_free(l->transport->alloc, l);
}

int swki_nng_listen(void *ctx, const char *address,
                    void (*accepted)(void *accept_ctx, swk_stream *stream),
                    void *accept_ctx, swk_listener **out_listener,
                    struct swk_error *err)
{
    struct swk_nng_transport *transport = ctx;
    const char *path;
    struct swk_listener *l;
    int rc = swki_nng_check_address(address, &path, err);

    if (rc == SWK_OK && path != NULL) {
        rc = check_path(path, err);
    }
    if (rc != SWK_OK) {
        return rc;
    }
    l = swki_calloc(transport->alloc, 1, sizeof(*l));
    if (l == NULL) {
        return swki_fail_nomem(err);
    }
    l->transport = transport;
    l->accepted = accepted;
    l->accepted_ctx = accept_ctx;
    rc = open_listener(l, address, path);
    if (rc != 0) {
        release(l);
        return swki_fail(err, swki_nng_code(rc), "cannot listen on %s: %s",
                         address, swki_nng_text(rc));
    }
    nng_stream_listener_accept(l->listener, l->aio);
    *out_listener = l;
    return SWK_OK;
}

int swki_nng_listener_port(void *ctx, const swk_listener *listener)
{
    int port = 0;

    (void)ctx;
    if (nng_stream_listener_get_int(listener->listener, NNG_OPT_TCP_BOUND_PORT,
                                    &port) != 0) {
        return 0;
    }
    return port;
}

void swki_nng_listener_close(void *ctx, swk_listener *listener)
{
    (void)ctx;
    if (listener == NULL) {
        return;
    }
    nng_stream_listener_close(listener->listener);
    nng_aio_stop(listener->aio);
    release(listener);
}

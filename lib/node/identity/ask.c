/* SPDX-License-Identifier: Apache-2.0 */

#include "node/identity/ask.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/roles.h"
#include "node/rpc/client.h"
#include "wire/status.h"

enum {
    CALL_ID = 1,
    ANSWER_SIZE_MAX = 4 << 20,
};

struct swki_ask {
    const struct swki_asker *asker;
    struct swki_rpc_client *client;
    struct swki_tls_context *context;
    struct swki_buf answer;
    bool answered;
    swki_ask_done_fn done; /* NULL once it was called */
    void *ctx;
    swk_time started;
    bool local;
    char address[SWKI_REMOTE_ADDRESS_SIZE + 8];
};

/* The question may be gone when it returns. */
static void finish(struct swki_ask *ask, const struct swk_error *failure,
                   swk_time now)
{
    swki_ask_done_fn done = ask->done;

    ask->done = NULL;
    if (done != NULL) {
        done(ask->ctx, failure, ask->answer.data, ask->answer.len, now);
    }
}

static void disconnected(void *ctx, const struct swk_error *reason,
                         swk_time now)
{
    finish(ctx, reason, now);
}

static void message(void *ctx, uint64_t call_id, const uint8_t *data,
                    size_t len, swk_time now)
{
    struct swki_ask *ask = ctx;

    (void)call_id;
    (void)now;
    swki_buf_clear(&ask->answer);
    ask->answered = swki_buf_append(&ask->answer, data, len);
}

static void ended(void *ctx, uint64_t call_id, int status, const char *text,
                  swk_time now)
{
    struct swki_ask *ask = ctx;
    struct swk_error failure = {0};

    (void)call_id;
    if (status != SWKI_STATUS_OK) {
        swki_fail(&failure, swki_status_to_error(status), "%s", text);
    } else if (!ask->answered) {
        swki_fail(&failure, SWK_EMALFORMED, "the manager sent no answer");
    }
    finish(ask, &failure, now);
}

/* Whose TLS it is: with the node's own certificate, or without one. */
static int make_context(struct swki_ask *ask, enum swki_ask_as as,
                        struct swk_error *err)
{
    const struct swki_asker *asker = ask->asker;
    const struct swki_credentials *own = asker->credentials;
    struct swki_credentials nobody;
    int rc;

    if (as == SWKI_ASK_AS_NODE) {
        return swki_credentials_tls(own, SWKI_TLS_CLIENT, asker->alloc,
                                    asker->clock, asker->entropy, &ask->context,
                                    err);
    }
    swki_credentials_init(&nobody, asker->alloc);
    if (as == SWKI_ASK_AS_NOBODY) {
        nobody.roots = own->roots; /* lent */
    }
    rc = swki_credentials_tls(&nobody, SWKI_TLS_CLIENT, asker->alloc,
                              asker->clock, asker->entropy, &ask->context, err);
    swki_buf_init(&nobody.roots, asker->alloc, SWKI_PEM_LEN_MAX);
    swki_credentials_fini(&nobody);
    return rc;
}

static int open_client(struct swki_ask *ask,
                       const struct swki_ask_question *question,
                       struct swk_error *err)
{
    static const char *const names[] = {
        [SWKI_ASK_AS_NODE] = SWKI_OU_MANAGER,
        [SWKI_ASK_AS_NOBODY] = SWKI_SERVER_NAME_CA,
        [SWKI_ASK_ANYBODY] = NULL,
    };
    const struct swki_asker *asker = ask->asker;
    struct swki_rpc_client_config config = {
        .alloc = asker->alloc,
        .logger = asker->logger,
        .clock = asker->clock,
        .transport = asker->transport,
        .loop = asker->loop,
        .address = ask->address,
        .timeout_ns = question->timeout_ns,
        .ctx = ask,
        .disconnected = disconnected,
    };

    if (!ask->local) {
        int rc = make_context(ask, question->as, err);

        if (rc != 0) {
            return rc;
        }
        config.context = ask->context;
        config.server_name = names[question->as];
    }
    return swki_rpc_client_new(&config, &ask->client, err);
}

static int send_request(struct swki_ask *ask,
                        const struct swki_ask_question *question,
                        struct swk_error *err)
{
    const struct swki_rpc_client_call_events events = {
        .ctx = ask,
        .call_id = CALL_ID,
        .message = message,
        .ended = ended,
    };
    struct swki_buf encoded;
    int rc;

    swki_buf_init(&encoded, ask->asker->alloc, SIZE_MAX);
    rc = swki_message_pack(question->request, &encoded, err);
    if (rc == 0) {
        rc = swki_rpc_client_call(ask->client, question->path, encoded.data,
                                  encoded.len, question->timeout_ns, &events,
                                  err);
    }
    swki_buf_fini(&encoded);
    return rc;
}

/* The next manager in turn that is not this node itself, if there is another.
 */
static const struct swki_remote *pick(const struct swki_asker *asker)
{
    const char *own = asker->credentials->identity.node_id;
    const struct swki_remote *remote = NULL;

    for (size_t i = 0; i < asker->remotes->count; i++) {
        remote = swki_remotes_pick(asker->remotes);
        if (strcmp(remote->node_id, own) != 0) {
            break;
        }
    }
    return remote;
}

/* Where to ask; false if no manager is known. A manager that has a certificate
 * is a node like others, even to itself. Whoever may say anything is another,
 * and rather one that has not shut this node out already. */
static bool choose_address(struct swki_ask *ask, enum swki_ask_as as)
{
    const struct swki_asker *asker = ask->asker;
    const char *own = asker->credentials->identity.node_id;
    const struct swki_remote *remote =
        as == SWKI_ASK_ANYBODY ? swki_remotes_pick_other(asker->remotes, own)
                               : pick(asker);

    if (asker->local_path != NULL && as == SWKI_ASK_AS_NOBODY &&
        (remote == NULL || strcmp(remote->node_id, own) == 0)) {
        ask->local = true;
        snprintf(ask->address, sizeof(ask->address), "ipc://%s",
                 asker->local_path);
        return true;
    }
    if (remote != NULL) {
        snprintf(ask->address, sizeof(ask->address), "tcp://%s",
                 remote->address);
    }
    return remote != NULL;
}

int swki_ask_new(const struct swki_asker *asker,
                 const struct swki_ask_question *question,
                 swki_ask_done_fn done, void *ctx, struct swki_ask **out_ask,
                 struct swk_error *err)
{
    struct swki_ask *ask = swki_calloc(asker->alloc, 1, sizeof(*ask));
    int rc;

    if (ask == NULL) {
        return swki_fail_nomem(err);
    }
    ask->asker = asker;
    ask->done = done;
    ask->ctx = ctx;
    ask->started = asker->clock->now(asker->clock->ctx);
    swki_buf_init(&ask->answer, asker->alloc, ANSWER_SIZE_MAX);
    rc = choose_address(ask, question->as)
             ? open_client(ask, question, err)
             : swki_fail(err, SWK_EUNAVAILABLE, "no manager to ask is known");
    if (rc == 0) {
        rc = send_request(ask, question, err);
    }
    if (rc != 0) {
        swki_ask_free(ask);
        return rc;
    }
    *out_ask = ask;
    return SWK_OK;
}

void swki_ask_free(struct swki_ask *ask)
{
    if (ask != NULL) {
        swki_rpc_client_free(ask->client);
        swki_tls_context_unref(ask->context);
        swki_buf_fini(&ask->answer);
        swki_free(ask->asker->alloc, ask);
    }
}

const char *swki_ask_address(const struct swki_ask *ask)
{
    return ask->address + sizeof("tcp://") - 1;
}

swk_time swki_ask_started(const struct swki_ask *ask)
{
    return ask->started;
}

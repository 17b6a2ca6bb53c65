/* SPDX-License-Identifier: Apache-2.0 */

/* The administrator of the simulated swarm: one call at a time. */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/sim_swarm.h"
#include "wire/message.h"

static void send_request(struct sim *sim)
{
    struct sim_client *c = &sim->client;
    struct sim_event *event = sim_event_new(SIM_CLIENT_CALL);

    event->path = c->path;
    event->call_id = ++c->last_id;
    event->data = malloc(c->request_len + 1);
    assert(event->data != NULL);
    memcpy(event->data, c->request, c->request_len);
    event->len = c->request_len;
    c->waiting = true;
    sim_post(sim, event, sim->network_ns);
}

void sim_client_call(struct sim *sim, const char *path,
                     const ProtobufCMessage *request)
{
    struct sim_client *c = &sim->client;
    struct swki_buf buf;

    swki_buf_init(&buf, NULL, SIZE_MAX);
    if (swki_message_pack(request, &buf, NULL) != 0) {
        abort();
    }
    free(c->request);
    c->request = malloc(buf.len + 1);
    assert(c->request != NULL);
    if (buf.len > 0) {
        memcpy(c->request, buf.data, buf.len);
    }
    c->request_len = buf.len;
    swki_buf_fini(&buf);
    c->path = path;
    snprintf(c->request_id, sizeof(c->request_id), "request-%llu",
             (unsigned long long)c->last_id);
    send_request(sim);
}

void sim_client_retry(struct sim *sim)
{
    send_request(sim);
}

void sim_client_reply(struct sim *sim, int status, const char *text,
                      const uint8_t *data, size_t len)
{
    struct sim_client *c = &sim->client;

    free(c->reply);
    c->reply = NULL;
    c->reply_len = 0;
    c->waiting = false;
    if (c->lose_reply) {
        c->lose_reply = false;
        c->status = SWKI_STATUS_UNAVAILABLE;
        snprintf(c->text, sizeof(c->text), "the reply was lost");
        return;
    }
    c->status = status;
    snprintf(c->text, sizeof(c->text), "%s", text);
    if (data != NULL) {
        c->reply = malloc(len + 1);
        assert(c->reply != NULL);
        memcpy(c->reply, data, len);
        c->reply_len = len;
        sim_check_reply(sim);
    }
}

void sim_client_fini(struct sim *sim)
{
    free(sim->client.request);
    free(sim->client.reply);
}

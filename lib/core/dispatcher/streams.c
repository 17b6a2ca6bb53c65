/* SPDX-License-Identifier: Apache-2.0 */

/* The streams of nodes, and what goes on them when it is due. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/dispatcher/internal.h"
#include "core/dispatcher/networks.h"
#include "dispatcher.pb-c.h"

bool swki_dispatcher_open_stream(struct swki_dispatcher *d,
                                 struct stream *stream, uint64_t call_id)
{
    snprintf(stream->key, sizeof(stream->key), "%" PRIx64, call_id);
    if (!swki_map_put(&d->streams, stream->key, stream)) {
        return false;
    }
    stream->call_id = call_id;
    return true;
}

void swki_dispatcher_close_stream(struct swki_dispatcher *d,
                                  struct stream *stream)
{
    if (stream->call_id != 0) {
        swki_map_remove(&d->streams, stream->key);
        stream->call_id = 0;
    }
}

void swki_dispatcher_end_stream(struct swki_dispatcher *d,
                                struct stream *stream,
                                struct swki_answers *answers,
                                enum swki_status status, const char *text)
{
    if (stream->call_id != 0) {
        swki_answer_end(answers, stream->call_id, status, text);
        swki_dispatcher_close_stream(d, stream);
    }
}

void swki_dispatcher_end_streams(struct swki_dispatcher *d, struct node *node,
                                 struct swki_answers *answers,
                                 enum swki_status status, const char *text)
{
    swki_dispatcher_end_stream(d, &node->session, answers, status, text);
    swki_dispatcher_end_assignments(d, node, answers, status, text);
    node->session_due = false;
}

void swki_dispatcher_cancel(struct swki_dispatcher *d, uint64_t call_id)
{
    char key[sizeof(((struct stream *)0)->key)];
    struct stream *stream;

    snprintf(key, sizeof(key), "%" PRIx64, call_id);
    stream = swki_map_get(&d->streams, key);
    if (stream == NULL) {
        return;
    }
    if (stream == &stream->node->assignments) {
        swki_dispatcher_close_assignments(d, stream->node);
    } else {
        swki_dispatcher_close_stream(d, stream);
    }
}

/* -- Sending -------------------------------------------------------------- */

static const Swkpb__Cluster *find_cluster(const struct swki_view *view)
{
    const struct swki_selector all = {.by = SWKI_BY_ALL};
    const struct swki_object *object = NULL;
    struct swki_cursor cursor;

    if (swki_view_find(view, SWKI_KIND_CLUSTER, &all, &cursor, NULL) == 0) {
        object = swki_cursor_next(&cursor);
        swki_cursor_close(&cursor);
    }
    return object != NULL ? swki_cluster(object) : NULL;
}

bool swki_dispatcher_news(const Swkpb__Cluster *old, const Swkpb__Cluster *now)
{
    const Swkpb__RootCA *before = old != NULL ? old->root_ca : NULL;
    const Swkpb__RootCA *after = now->root_ca;

    if (before == NULL || after == NULL) {
        return before != after;
    }
    return before->ca_cert.len != after->ca_cert.len ||
           memcmp(before->ca_cert.data, after->ca_cert.data,
                  after->ca_cert.len) != 0;
}

bool swki_dispatcher_new_keys(const Swkpb__Cluster *old,
                              const Swkpb__Cluster *now)
{
    size_t count = now->n_network_bootstrap_keys;

    if (old == NULL || old->n_network_bootstrap_keys != count) {
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        if (old->network_bootstrap_keys[i]->lamport_time !=
            now->network_bootstrap_keys[i]->lamport_time) {
            return true;
        }
    }
    return false;
}

static void send_session(struct swki_dispatcher *d, struct node *node,
                         struct swki_answers *answers)
{
    const struct swki_view *view = swki_store_committed(d->store);
    const struct swki_object *object =
        swki_view_get(view, SWKI_KIND_NODE, node->id);
    const Swkpb__Cluster *cluster = find_cluster(view);
    Swkpb__SessionMessage message = SWKPB__SESSION_MESSAGE__INIT;

    if (object == NULL) {
        return;
    }
    message.session_id = node->session_id;
    message.node = (Swkpb__Node *)swki_node(object);
    message.managers = d->managers;
    message.n_managers = d->managers_count;
    node->has_keys = swki_needs_network_keys(view, swki_node(object));
    if (cluster != NULL && node->has_keys) {
        message.network_bootstrap_keys = cluster->network_bootstrap_keys;
        message.n_network_bootstrap_keys = cluster->n_network_bootstrap_keys;
    }
    if (cluster != NULL && cluster->root_ca != NULL) {
        message.rootca = cluster->root_ca->ca_cert;
    }
    swki_answer_send(answers, node->session.call_id, &message.base);
    node->session_due = false;
}

void swki_dispatcher_send_streams(struct swki_dispatcher *d,
                                  struct swki_answers *answers)
{
    uint64_t committed = swki_view_index(swki_store_committed(d->store));
    struct swki_link *next;

    d->streams_due = false;
    for (struct swki_link *link = d->due.next; link != &d->due; link = next) {
        struct node *node = SWKI_CONTAINER(link, struct node, due);

        next = link->next;
        if (node->assignments.call_id != 0) {
            swki_dispatcher_send_assignments(d, node, answers);
        }
        if (node->session.call_id != 0 && node->session_due) {
            if (node->registered_index == 0 ||
                node->registered_index > committed) {
                continue; /* until the commit of its registration */
            }
            send_session(d, node, answers);
        }
        swki_list_remove(link);
    }
}

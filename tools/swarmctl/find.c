/* SPDX-License-Identifier: Apache-2.0 */

/*
 * From what a person types to an object.
 *
 * All lists of the control API have the same shape: a request with filters, of
 * which `names` and `id_prefixes` are lists of texts, and a response that holds
 * one list of objects. So one function serves them all, by their descriptors.
 */

#include <stdio.h>
#include <string.h>

#include "ctl.h"

struct kind {
    const char *noun;
    const char *method;
    const ProtobufCMessageDescriptor *request;
    const ProtobufCMessageDescriptor *filters;
    const ProtobufCMessageDescriptor *response;
    /* NULL: the manager compares names exactly. */
    const char *(*name)(const void *object);
};

struct objects {
    size_t count;
    ProtobufCMessage **items;
};

static void *member(const ProtobufCMessage *message, unsigned offset)
{
    return (char *)(uintptr_t)message + offset;
}

static const ProtobufCFieldDescriptor *
field_of(const ProtobufCMessageDescriptor *type, const char *name)
{
    return protobuf_c_message_descriptor_get_field_by_name(type, name);
}

static const char *object_id(const ProtobufCMessage *object)
{
    return *(char **)member(object, field_of(object->descriptor, "id")->offset);
}

/* The objects that the filter called `field` finds with the text. */
static int list(struct ctl *ctl, const struct kind *kind, const char *field,
                const char *text, struct objects *out_objects)
{
    const ProtobufCFieldDescriptor *texts = field_of(kind->filters, field);
    const ProtobufCFieldDescriptor *found = &kind->response->fields[0];
    ProtobufCMessage *request = pool_message(&ctl->pool, kind->request);
    ProtobufCMessage *filters = pool_message(&ctl->pool, kind->filters);
    char **entries = pool_alloc(&ctl->pool, sizeof(*entries));
    ProtobufCMessage *response;

    entries[0] = pool_strdup(&ctl->pool, text);
    *(size_t *)member(filters, texts->quantifier_offset) = 1;
    *(char ***)member(filters, texts->offset) = entries;
    *(ProtobufCMessage **)member(
        request, field_of(kind->request, "filters")->offset) = filters;

    int rc = ctl_call(ctl, kind->method, request, kind->response, &response);
    if (rc == EXIT_OK) {
        out_objects->count =
            *(size_t *)member(response, found->quantifier_offset);
        out_objects->items =
            *(ProtobufCMessage ***)member(response, found->offset);
    }
    return rc;
}

struct typed {
    struct typed *next;
    const char *id;
    const char *text;
};

void note_typed(struct ctl *ctl, const char *id, const char *text)
{
    struct typed *typed = pool_alloc(&ctl->pool, sizeof(*typed));

    *typed = (struct typed){ctl->typed, id, text};
    ctl->typed = typed;
}

const char *typed_name(const struct ctl *ctl, const char *id)
{
    for (const struct typed *t = ctl->typed; t != NULL; t = t->next) {
        if (strcmp(t->id, id) == 0) {
            return t->text;
        }
    }
    return id;
}

void name_objects(const struct ctl *ctl, struct swk_error *err)
{
    for (const struct typed *t = ctl->typed; t != NULL; t = t->next) {
        struct swk_error before = *err;
        const char *id = strstr(before.text, t->id);

        if (id != NULL && strcmp(t->text, t->id) != 0 &&
            (id == before.text || id[-1] != '(')) {
            snprintf(err->text, sizeof(err->text), "%.*s%s (%s)%s",
                     (int)(id - before.text), before.text, t->text, t->id,
                     id + strlen(t->id));
        }
    }
}

static int search(struct ctl *ctl, const struct kind *kind, const char *text,
                  ProtobufCMessage **out)
{
    struct objects by_id;
    struct objects by_name;
    int rc = list(ctl, kind, "id_prefixes", text, &by_id);

    for (size_t i = 0; rc == EXIT_OK && i < by_id.count; i++) {
        if (strcmp(object_id(by_id.items[i]), text) == 0) {
            *out = by_id.items[i];
            return EXIT_OK;
        }
    }
    if (rc == EXIT_OK) {
        rc = list(ctl, kind, "names", text, &by_name);
    }
    if (rc != EXIT_OK) {
        return rc;
    }

    size_t count = 0;
    for (size_t i = 0; i < by_name.count; i++) {
        if (kind->name == NULL ||
            strcmp(kind->name(by_name.items[i]), text) == 0) {
            *out = by_name.items[i];
            count++;
        }
    }
    if (count == 0 && text[0] != '\0') {
        count = by_id.count;
        *out = count > 0 ? by_id.items[0] : NULL;
    }
    if (count == 0) {
        return ctl_error(EXIT_NOT_FOUND, "%s %s not found", kind->noun, text);
    }
    if (count > 1) {
        return ctl_error(EXIT_FAILED,
                         "%s %s is ambiguous: %zu objects match; give the "
                         "whole ID",
                         kind->noun, text, count);
    }
    return EXIT_OK;
}

static int find(struct ctl *ctl, const struct kind *kind, const char *text,
                void *out_object)
{
    ProtobufCMessage **out = out_object;
    int rc = search(ctl, kind, text, out);

    if (rc == EXIT_OK) {
        note_typed(ctl, object_id(*out), text);
    }
    return rc;
}

static const char *name_of_secret(const void *object)
{
    const Swkpb__Secret *secret = object;

    return annotations_name(secret->spec != NULL ? secret->spec->annotations
                                                 : NULL);
}

static const char *name_of_config(const void *object)
{
    const Swkpb__Config *config = object;

    return annotations_name(config->spec != NULL ? config->spec->annotations
                                                 : NULL);
}

#define LISTS(kind)                                                            \
    &swkpb__list_##kind##_request__descriptor,                                 \
        &swkpb__list_##kind##_request__filters__descriptor,                    \
        &swkpb__list_##kind##_response__descriptor

int find_node(struct ctl *ctl, const char *text, Swkpb__Node **out_node)
{
    static const struct kind kind = {"node", "ListNodes", LISTS(nodes),
                                     NULL};

    return find(ctl, &kind, text, out_node);
}

int find_service(struct ctl *ctl, const char *text,
                 Swkpb__Service **out_service)
{
    static const struct kind kind = {"service", "ListServices",
                                     LISTS(services), NULL};

    return find(ctl, &kind, text, out_service);
}

int find_task(struct ctl *ctl, const char *text, Swkpb__Task **out_task)
{
    static const struct kind kind = {"task", "ListTasks", LISTS(tasks),
                                     NULL};

    return find(ctl, &kind, text, out_task);
}

int find_cluster(struct ctl *ctl, const char *text,
                 Swkpb__Cluster **out_cluster)
{
    static const struct kind kind = {"cluster", "ListClusters",
                                     LISTS(clusters), NULL};

    return find(ctl, &kind, text, out_cluster);
}

int find_secret(struct ctl *ctl, const char *text, Swkpb__Secret **out_secret)
{
    static const struct kind kind = {"secret", "ListSecrets", LISTS(secrets),
                                     name_of_secret};

    return find(ctl, &kind, text, out_secret);
}

int find_config(struct ctl *ctl, const char *text, Swkpb__Config **out_config)
{
    static const struct kind kind = {"config", "ListConfigs", LISTS(configs),
                                     name_of_config};

    return find(ctl, &kind, text, out_config);
}

int list_nodes(struct ctl *ctl, struct pool *pool,
               Swkpb__ListNodesResponse **out_nodes, struct swk_error *err)
{
    Swkpb__ListNodesRequest request = SWKPB__LIST_NODES_REQUEST__INIT;

    return ctl_try(ctl, "ListNodes", &request.base,
                   &swkpb__list_nodes_response__descriptor, pool, out_nodes,
                   err);
}

bool on_down_node(const Swkpb__ListNodesResponse *nodes,
                  const Swkpb__Task *task)
{
    for (size_t i = 0; i < nodes->n_nodes; i++) {
        const Swkpb__Node *node = nodes->nodes[i];

        if (strcmp(node->id, task->node_id) == 0) {
            return node->status != NULL &&
                   node->status->state == SWKPB__NODE_STATUS__STATE__DOWN;
        }
    }
    return false;
}

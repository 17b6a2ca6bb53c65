/* SPDX-License-Identifier: Apache-2.0 */

#include "core/trust/statement.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "swarmkit/signed_spec.pb-c.h"
#include "wire/fields.h"
#include "wire/message.h"

/* -- One form ------------------------------------------------------------- */

static int compare_entries(const void *a, const void *b)
{
    return strcmp(swki_entry_key(*(const ProtobufCMessage *const *)a),
                  swki_entry_key(*(const ProtobufCMessage *const *)b));
}

/* By the bytes of the keys; no key may be there twice. */
static int sort_map(ProtobufCMessage **entries, size_t count,
                    struct swk_error *err)
{
    if (count == 0) {
        return SWK_OK;
    }
    qsort(entries, count, sizeof(entries[0]), compare_entries);
    for (size_t i = 1; i < count; i++) {
        if (compare_entries(&entries[i - 1], &entries[i]) == 0) {
            return swki_fail(err, SWK_EINVAL, "a key is twice in a map");
        }
    }
    return SWK_OK;
}

static int normalise(ProtobufCMessage *message, struct swki_arena *arena,
                     struct swk_error *err);

/* An empty text that was chosen is written, like any other that was. */
static int keep_chosen(ProtobufCMessage *message,
                       const ProtobufCFieldDescriptor *field,
                       struct swki_arena *arena, struct swk_error *err)
{
    char **text = (char **)(void *)((char *)message + field->offset);

    if (*text == NULL || **text == '\0') {
        *text = swki_arena_strdup(arena, "");
    }
    return *text != NULL ? SWK_OK : swki_fail_nomem(err);
}

static int normalise_list(ProtobufCMessage *message,
                          const ProtobufCFieldDescriptor *field,
                          struct swki_arena *arena, struct swk_error *err)
{
    size_t count = swki_field_count(message, field);
    ProtobufCMessage **list;
    int rc = SWK_OK;

    if (field->type != PROTOBUF_C_TYPE_MESSAGE) {
        return SWK_OK;
    }
    list = *(ProtobufCMessage ***)(void *)((char *)message + field->offset);
    for (size_t i = 0; rc == SWK_OK && i < count; i++) {
        rc = normalise(list[i], arena, err);
    }
    return rc == SWK_OK && swki_field_is_map(message->descriptor, field)
               ? sort_map(list, count, err)
               : rc;
}

static int normalise_field(ProtobufCMessage *message,
                           const ProtobufCFieldDescriptor *field,
                           struct swki_arena *arena, struct swk_error *err)
{
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        return normalise_list(message, field, arena, err);
    }
    if (!swki_field_is_set(message, field)) {
        return SWK_OK;
    }
    if (field->type == PROTOBUF_C_TYPE_STRING &&
        (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
        return keep_chosen(message, field, arena, err);
    }
    return field->type == PROTOBUF_C_TYPE_MESSAGE
               ? normalise(*(ProtobufCMessage **)(void *)((char *)message +
                                                          field->offset),
                           arena, err)
               : SWK_OK;
}

/* Makes one encoding of all those that mean the same. The message is a copy of
 * the caller's; it is no deeper than what can be decoded. */
static int normalise(ProtobufCMessage *message, struct swki_arena *arena,
                     struct swk_error *err)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    int rc = SWK_OK;

    if (message->n_unknown_fields > 0) {
        return swki_fail(err, SWK_EINVAL,
                         "%s has a field that this version does not know",
                         type->short_name);
    }
    for (unsigned i = 0; rc == SWK_OK && i < type->n_fields; i++) {
        rc = normalise_field(message, &type->fields[i], arena, err);
    }
    return rc;
}

/* -- Statements ----------------------------------------------------------- */

/* What the swarm or the operator may change without another signature goes. */
static void leave_out(Swkpb__TaskSpec *task, Swkpb__ContainerSpec *container)
{
    task->restart = NULL;
    task->placement = NULL;
    task->force_update = 0;
    if (task->runtime_case == SWKPB__TASK_SPEC__RUNTIME_CONTAINER &&
        task->container != NULL) {
        *container = *task->container;
        container->pull_options = NULL;
        task->container = container;
    }
}

static int write_statement(const Swkpb__Rpc__SignedSpec *signed_spec,
                           struct swki_buf *out, struct swk_error *err)
{
    ProtobufCMessage *copy;
    struct swki_arena arena;
    int rc;

    swki_arena_init(&arena, out->alloc, SIZE_MAX);
    copy = swki_message_copy(&signed_spec->base, &arena);
    rc = copy != NULL ? normalise(copy, &arena, err) : swki_fail_nomem(err);
    if (rc == SWK_OK &&
        swki_message_packed_size(copy) > SWKI_STATEMENT_SIZE_MAX) {
        rc = swki_fail(err, SWK_EINVAL, "the spec is too long to be signed");
    }
    if (rc == SWK_OK && !swki_buf_append(out, SWKI_STATEMENT_PREFIX,
                                         sizeof(SWKI_STATEMENT_PREFIX) - 1)) {
        rc = swki_fail_nomem(err);
    }
    if (rc == SWK_OK) {
        rc = swki_message_pack(copy, out, err);
    }
    swki_arena_fini(&arena);
    return rc;
}

/* The parts are borrowed; each may be NULL but for the task spec and the name.
 */
struct parts {
    Swkpb__Annotations *annotations;
    const Swkpb__TaskSpec *task;
    Swkpb__EndpointSpec *endpoint;
};

static int state(const struct parts *parts,
                 const Swkpb__Rpc__SpecSignature *terms, struct swki_buf *out,
                 struct swk_error *err)
{
    Swkpb__Rpc__SignedSpec signed_spec = SWKPB__RPC__SIGNED_SPEC__INIT;
    Swkpb__ContainerSpec container;
    Swkpb__TaskSpec task;

    if (parts->task == NULL || parts->annotations == NULL ||
        parts->annotations->name == NULL ||
        parts->annotations->name[0] == '\0') {
        return swki_fail(err, SWK_EINVAL, "no name, or no task, to be signed");
    }
    task = *parts->task;
    leave_out(&task, &container);
    signed_spec.swarm_id = terms->swarm_id;
    signed_spec.signed_at = terms->signed_at;
    signed_spec.not_after = terms->not_after;
    signed_spec.annotations = parts->annotations;
    signed_spec.task = &task;
    signed_spec.endpoint = parts->endpoint;
    return write_statement(&signed_spec, out, err);
}

int swki_statement_of_spec(const Swkpb__ServiceSpec *spec,
                           const Swkpb__Rpc__SpecSignature *terms,
                           struct swki_buf *out, struct swk_error *err)
{
    const struct parts parts = {spec->annotations, spec->task, spec->endpoint};

    if (spec->base.n_unknown_fields > 0) {
        return swki_fail(err, SWK_EINVAL,
                         "ServiceSpec has a field that this version does not "
                         "know");
    }
    if (spec->n_networks > 0) {
        /* Tasks do not have them, so no node could tell. */
        return swki_fail(err, SWK_EINVAL,
                         "networks of the service cannot be signed; give them "
                         "in its task");
    }
    return state(&parts, terms, out, err);
}

int swki_statement_of_task(const Swkpb__Task *task,
                           const Swkpb__Rpc__SpecSignature *terms,
                           struct swki_buf *out, struct swk_error *err)
{
    const struct parts parts = {task->service_annotations, task->spec,
                                task->endpoint != NULL ? task->endpoint->spec
                                                       : NULL};

    return state(&parts, terms, out, err);
}

bool swki_statement_same(const struct swk_alloc *alloc,
                         const Swkpb__Task *before, const Swkpb__Task *after)
{
    const Swkpb__Rpc__SpecSignature terms = SWKPB__RPC__SPEC_SIGNATURE__INIT;
    struct swki_buf a;
    struct swki_buf b;
    bool same;

    swki_buf_init(&a, alloc, SIZE_MAX);
    swki_buf_init(&b, alloc, SIZE_MAX);
    same = swki_statement_of_task(before, &terms, &a, NULL) == SWK_OK &&
           swki_statement_of_task(after, &terms, &b, NULL) == SWK_OK &&
           a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
    swki_buf_fini(&b);
    swki_buf_fini(&a);
    return same;
}

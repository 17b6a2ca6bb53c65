/* SPDX-License-Identifier: Apache-2.0 */

#include "core/control/control.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "control.pb-c.h"
#include "core/control/handlers.h"
#include "core/control/retries.h"
#include "swarmkit/tokens.pb-c.h"
#include "wire/message.h"

#define SERVICE_PATH "/docker.swarmkit.v1.Control/"
#define TOKENS_PATH "/swarmkit.v1.JoinTokens/"

struct swki_control {
    struct swki_control_config config;
    struct swki_rng rng;
    struct swki_arena arena;
    struct swki_retries retries;
    struct swki_ca_change ca_change;
};

/* What a write does to its object; a read is none. */
enum swki_verb {
    SWKI_VERB_READ,
    SWKI_VERB_CREATE,
    SWKI_VERB_UPDATE,
    SWKI_VERB_REMOVE,
};

/* What is not in the table is not part of this release, and answered so. */
struct method {
    const char *name;
    enum swki_verb verb;
    const ProtobufCMessageDescriptor *request;
    const ProtobufCMessageDescriptor *response;
    swki_control_handler handler;
    bool secret; /* the answer is given once, and not remembered */
};

#define MESSAGES(name)                                                         \
    &swkpb__##name##_request__descriptor, &swkpb__##name##_response__descriptor

static const struct method methods[] = {
    {"GetNode", SWKI_VERB_READ, MESSAGES(get_node), swki_control_get_node},
    {"ListNodes", SWKI_VERB_READ, MESSAGES(list_nodes),
     swki_control_list_nodes},
    {"UpdateNode", SWKI_VERB_UPDATE, MESSAGES(update_node),
     swki_control_update_node},
    {"RemoveNode", SWKI_VERB_REMOVE, MESSAGES(remove_node),
     swki_control_remove_node},
    {"GetTask", SWKI_VERB_READ, MESSAGES(get_task), swki_control_get_task},
    {"ListTasks", SWKI_VERB_READ, MESSAGES(list_tasks),
     swki_control_list_tasks},
    {"RemoveTask", SWKI_VERB_REMOVE, MESSAGES(remove_task),
     swki_control_remove_task},
    {"GetService", SWKI_VERB_READ, MESSAGES(get_service),
     swki_control_get_service},
    {"ListServices", SWKI_VERB_READ, MESSAGES(list_services),
     swki_control_list_services},
    {"CreateService", SWKI_VERB_CREATE, MESSAGES(create_service),
     swki_control_create_service},
    {"UpdateService", SWKI_VERB_UPDATE, MESSAGES(update_service),
     swki_control_update_service},
    {"RemoveService", SWKI_VERB_REMOVE, MESSAGES(remove_service),
     swki_control_remove_service},
    {"ListServiceStatuses", SWKI_VERB_READ, MESSAGES(list_service_statuses),
     swki_control_list_service_statuses},
    {"GetCluster", SWKI_VERB_READ, MESSAGES(get_cluster),
     swki_control_get_cluster},
    {"ListClusters", SWKI_VERB_READ, MESSAGES(list_clusters),
     swki_control_list_clusters},
    {"UpdateCluster", SWKI_VERB_UPDATE, MESSAGES(update_cluster),
     swki_control_update_cluster},
    {"GetSecret", SWKI_VERB_READ, MESSAGES(get_secret),
     swki_control_get_secret},
    {"ListSecrets", SWKI_VERB_READ, MESSAGES(list_secrets),
     swki_control_list_secrets},
    {"CreateSecret", SWKI_VERB_CREATE, MESSAGES(create_secret),
     swki_control_create_secret},
    {"UpdateSecret", SWKI_VERB_UPDATE, MESSAGES(update_secret),
     swki_control_update_secret},
    {"RemoveSecret", SWKI_VERB_REMOVE, MESSAGES(remove_secret),
     swki_control_remove_secret},
    {"GetConfig", SWKI_VERB_READ, MESSAGES(get_config),
     swki_control_get_config},
    {"ListConfigs", SWKI_VERB_READ, MESSAGES(list_configs),
     swki_control_list_configs},
    {"CreateConfig", SWKI_VERB_CREATE, MESSAGES(create_config),
     swki_control_create_config},
    {"UpdateConfig", SWKI_VERB_UPDATE, MESSAGES(update_config),
     swki_control_update_config},
    {"RemoveConfig", SWKI_VERB_REMOVE, MESSAGES(remove_config),
     swki_control_remove_config},
};

/* Those of the service of join tokens. */
static const struct method token_methods[] = {
    {"CreateJoinToken", SWKI_VERB_CREATE, MESSAGES(rpc__create_join_token),
     swki_control_create_join_token, true},
    {"ListJoinTokens", SWKI_VERB_READ, MESSAGES(rpc__list_join_tokens),
     swki_control_list_join_tokens},
    {"RemoveJoinToken", SWKI_VERB_REMOVE, MESSAGES(rpc__remove_join_token),
     swki_control_remove_join_token},
};

static const struct method *find_in(const struct method *table, size_t count,
                                    const char *prefix, const char *path)
{
    size_t prefix_len = strlen(prefix);

    if (strncmp(path, prefix, prefix_len) != 0) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(table[i].name, path + prefix_len) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

static const struct method *find_method(const char *path)
{
    const struct method *method = find_in(
        methods, sizeof(methods) / sizeof(methods[0]), SERVICE_PATH, path);

    return method != NULL
               ? method
               : find_in(token_methods,
                         sizeof(token_methods) / sizeof(token_methods[0]),
                         TOKENS_PATH, path);
}

int swki_control_new(const struct swki_control_config *config,
                     struct swki_control **out_control, struct swk_error *err)
{
    struct swki_control *control =
        swki_calloc(config->alloc, 1, sizeof(*control));

    if (control == NULL) {
        return swki_fail_nomem(err);
    }
    control->config = *config;
    swki_rng_init(&control->rng, config->seed);
    swki_arena_init(&control->arena, config->alloc, SIZE_MAX);
    swki_retries_init(&control->retries, config->alloc,
                      config->retries_max != 0 ? config->retries_max
                                               : SWKI_CONTROL_RETRIES_MAX,
                      config->retries_bytes != 0 ? config->retries_bytes
                                                 : SWKI_CONTROL_RETRIES_BYTES);
    swki_ca_change_init(&control->ca_change, config->alloc);
    /* So that work of an earlier leader is not taken for that of this one. */
    control->ca_change.last_id = swki_rng_next(&control->rng) >> 16;
    *out_control = control;
    return SWK_OK;
}

void swki_control_free(struct swki_control *control)
{
    if (control != NULL) {
        swki_ca_change_end(&control->ca_change);
        swki_arena_fini(&control->ca_change.arena);
        swki_retries_fini(&control->retries);
        swki_arena_fini(&control->arena);
        swki_free(control->config.alloc, control);
    }
}

/* -- Retries -------------------------------------------------------------- */

/* Answers from this leader's memory; false if it has none. */
static bool answer_again(const struct swki_control *control,
                         const struct method *method,
                         struct swki_control_request *r)
{
    const struct swki_retry *retry =
        swki_retries_find(&control->retries, r->key);
    ProtobufCMessage *message;

    if (retry == NULL ||
        swki_message_unpack(method->response, retry->message,
                            retry->message_len, r->arena, &message,
                            NULL) != SWK_OK) {
        return false;
    }
    swki_control_reply(r, message, retry->index);
    return true;
}

/* CreateX and UpdateX are answered with the object, just as GetX is. */
static const struct method *reader_of(const struct method *method)
{
    size_t verb_len = strlen("Create"); /* as long as "Update" */

    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (strncmp(methods[i].name, "Get", 3) == 0 &&
            strcmp(methods[i].name + 3, method->name + verb_len) == 0) {
            return &methods[i];
        }
    }
    return NULL;
}

/* The object of a write that an earlier leader was asked for, as it is now. */
static int show_object(const struct method *method,
                       const struct swki_done_request *done,
                       struct swki_control_request *r, struct swk_error *err)
{
    const struct method *reader = reader_of(method);
    uint8_t request[2 + SWK_ID_LEN_MAX] = {1 << 3 | 2}; /* the ID, field 1 */
    size_t id_len = strlen(done->object_id);
    ProtobufCMessage *message;
    int rc;

    if (reader == NULL) {
        return swki_fail(err, SWK_EINTERNAL, "%s has no answer", method->name);
    }
    request[1] = (uint8_t)id_len;
    memcpy(request + 2, done->object_id, id_len);
    rc = swki_message_unpack(reader->request, request, 2 + id_len, r->arena,
                             &message, err);
    if (rc == SWK_OK) {
        rc = reader->handler(r, message, err);
    }
    return rc != SWK_ENOTFOUND
               ? rc
               : swki_fail(err, rc,
                           "this request was carried out before, and %s was "
                           "removed since",
                           done->object_id);
}

/* Of an answer that is given once only. */
static int show_no_secret(const char *object_id, struct swk_error *err)
{
    return swki_fail(err, SWK_EEXIST,
                     "this request was carried out before, and its answer is "
                     "given once only: remove %s, and make another one",
                     object_id);
}

/* For a retry: the answer, or just that there was one. */
static void remember(struct swki_control *control, const struct method *method,
                     const struct swki_control_request *r,
                     const struct swki_answer *answer)
{
    const struct swki_answer only_that = {.index = answer->index};

    swki_retries_add(&control->retries, r->key,
                     method->secret ? &only_that : answer);
}

static int show_nothing(const struct method *method,
                        struct swki_control_request *r, struct swk_error *err)
{
    ProtobufCMessage *message =
        swki_arena_alloc(r->arena, method->response->sizeof_message);

    if (message == NULL) {
        return swki_fail_nomem(err);
    }
    method->response->message_init(message);
    swki_control_reply(r, message, 0);
    return SWK_OK;
}

/* -- Calls ---------------------------------------------------------------- */

static int serve_write(struct swki_control *control,
                       const struct method *method,
                       struct swki_control_request *r, struct swk_error *err)
{
    struct swki_done_request done;
    struct swki_answer **slot = r->answers->last;
    int rc;

    if (strlen(r->call->caller->request_id) >
        SWKI_CONTROL_REQUEST_ID_LEN_MAX) {
        return swki_fail(err, SWK_EINVAL,
                         "the request ID is longer than %d bytes",
                         SWKI_CONTROL_REQUEST_ID_LEN_MAX);
    }
    r->key = swki_retries_key(r->call, r->arena);
    if (r->key == NULL) {
        return swki_fail_nomem(err);
    }
    if (method->secret &&
        swki_retries_find(&control->retries, r->key) != NULL) {
        return show_no_secret("what it made", err);
    }
    if (answer_again(control, method, r)) {
        return SWK_OK;
    }
    if (swki_store_find_request(control->config.store, r->key, &done)) {
        if (method->secret) {
            return show_no_secret(done.object_id, err);
        }
        return method->verb == SWKI_VERB_REMOVE
                   ? show_nothing(method, r, err)
                   : show_object(method, &done, r, err);
    }
    rc = method->handler(r, r->call->request, err);
    if (rc == SWK_OK && *slot != NULL) {
        remember(control, method, r, *slot);
    }
    return rc;
}

static int serve(struct swki_control *control, const struct method *method,
                 struct swki_control_request *r, struct swk_error *err)
{
    if (r->call->request->descriptor != method->request) {
        return swki_fail(err, SWK_EINTERNAL, "%s was given a %s", method->name,
                         r->call->request->descriptor->name);
    }
    if (method->verb == SWKI_VERB_READ ||
        r->call->caller->request_id[0] == '\0') {
        return method->handler(r, r->call->request, err);
    }
    return serve_write(control, method, r, err);
}

void swki_control_call(struct swki_control *control, swk_wall wall,
                       const struct swki_call *call,
                       struct swki_answers *answers)
{
    const struct method *method = find_method(call->path);
    struct swk_error err = {0};
    int rc;

    if (method == NULL) {
        rc = swki_fail(&err, SWK_ENOTSUP,
                       "%.100s is not part of this release", call->path);
    } else {
        struct swki_control_request r = {
            .config = &control->config,
            .rng = &control->rng,
            .wall = wall,
            .call = call,
            .answers = answers,
            .arena = &control->arena,
            .ca_change = &control->ca_change,
        };

        rc = serve(control, method, &r, &err);
        swki_arena_reset(&control->arena);
    }
    if (rc != SWK_OK) {
        err.code = rc;
        swki_answer_fail(answers, call->id, &err);
    }
}

void swki_control_lose_leadership(struct swki_control *control)
{
    swki_retries_forget(
        &control->retries,
        swki_view_index(swki_store_committed(control->config.store)));
}

/* -- Work ----------------------------------------------------------------- */

static struct swk_bytes bytes_of(struct swki_pem pem)
{
    return (struct swk_bytes){.data = pem.text, .len = pem.len};
}

static int32_t kind_of(enum swki_rotation_need_kind kind)
{
    switch (kind) {
    case SWKI_ROTATION_NEEDS_ROOT:
        return SWK_SIGN_ROOT;
    case SWKI_ROTATION_NEEDS_CROSS:
        return SWK_SIGN_CROSS;
    case SWKI_ROTATION_NEEDS_CHECK:
        return SWK_SIGN_CHECK;
    case SWKI_ROTATION_NEEDS_NOTHING:
        break;
    }
    return 0;
}

const struct swki_control_work *
swki_control_next_work(struct swki_control *control)
{
    struct swki_ca_change *change = &control->ca_change;
    const struct swki_rotation_need *need = &change->need;

    if (!change->active || change->handed) {
        return NULL;
    }
    change->handed = true;
    change->out = (struct swki_control_work){
        .id = ++change->last_id,
        .request =
            {
                .size = sizeof(struct swk_sign_request),
                .kind = kind_of(need->kind),
                .now = change->wall,
                .swarm_id = swki_object_id(change->cluster),
                .authority = bytes_of(need->authority),
                .authority_key = bytes_of(need->authority_key),
                .root = bytes_of(need->root),
                .urls = need->urls,
                .urls_count = need->urls_count,
                .urls_roots = bytes_of(need->urls_count > 0
                                           ? need->authority
                                           : (struct swki_pem){NULL, 0}),
                .root_key = bytes_of(need->root_key),
            },
    };
    return &change->out;
}

/* Serves the parked call again, with what is known now. */
static int resume(struct swki_control *control, swk_wall wall,
                  struct swki_answers *answers, struct swk_error *err)
{
    struct swki_ca_change *change = &control->ca_change;
    const struct method *method = find_method(change->call.path);
    struct swki_answer **slot = answers->last;
    struct swki_control_request r = {
        .config = &control->config,
        .rng = &control->rng,
        .wall = wall,
        .call = &change->call,
        .answers = answers,
        .arena = &control->arena,
        .key = change->key,
        .ca_change = change,
    };
    int rc;

    change->resumed = true;
    rc = method->handler(&r, change->call.request, err);
    change->resumed = false;
    if (rc == 0 && *slot != NULL && change->key != NULL) {
        swki_retries_add(&control->retries, change->key, *slot);
    }
    if (rc == 0 && *slot != NULL) { /* answered, not parked again */
        swki_ca_change_end(change);
    }
    swki_arena_reset(&control->arena);
    return rc;
}

static void fail_change(struct swki_control *control,
                        struct swki_answers *answers, struct swk_error *err,
                        int code)
{
    err->code = code;
    swki_answer_fail(answers, control->ca_change.call.id, err);
    swki_ca_change_end(&control->ca_change);
}

void swki_control_worked(struct swki_control *control, swk_wall wall,
                         uint64_t id, const struct swk_sign_result *result,
                         struct swki_answers *answers)
{
    struct swki_ca_change *change = &control->ca_change;
    const struct swki_rotation_result outcome = {
        .code = result->code,
        .text = result->text,
        .certificate = {result->certificate.data, result->certificate.len},
        .key = {result->key.data, result->key.len},
    };
    struct swk_error err = {0};
    int rc;

    if (!change->active || !change->handed || id != change->last_id) {
        return;
    }
    rc = swki_rotation_work_add(&change->work, &change->need, &outcome, wall,
                                control->config.entropy, &err);
    if (rc == 0) {
        rc = resume(control, wall, answers, &err);
    }
    if (rc != 0) {
        fail_change(control, answers, &err, rc);
    }
}

void swki_control_step(struct swki_control *control, swk_time now,
                       struct swki_answers *answers)
{
    struct swki_ca_change *change = &control->ca_change;
    struct swk_error err = {0};

    if (change->active && change->deadline == 0) {
        change->deadline = now + SWKI_CONTROL_WORK_LIMIT;
    } else if (change->active && now >= change->deadline) {
        swki_fail(&err, SWK_EUNAVAILABLE,
                  "the CA's signer has not answered in time");
        fail_change(control, answers, &err, SWK_EUNAVAILABLE);
    }
}

bool swki_control_pending(const struct swki_control *control)
{
    const struct swki_ca_change *change = &control->ca_change;

    return change->active && (!change->handed || change->deadline == 0);
}

swk_time swki_control_deadline(const struct swki_control *control)
{
    return control->ca_change.active ? control->ca_change.deadline : SWK_NEVER;
}

void swki_control_cancel(struct swki_control *control, uint64_t call_id)
{
    if (control->ca_change.active && control->ca_change.call.id == call_id) {
        swki_ca_change_end(&control->ca_change);
    }
}

void swki_control_stop(struct swki_control *control,
                       struct swki_answers *answers)
{
    struct swk_error err = {0};

    if (control->ca_change.active) {
        swki_fail(&err, SWK_EUNAVAILABLE,
                  "this manager leads the swarm no more: retry");
        fail_change(control, answers, &err, SWK_EUNAVAILABLE);
    }
}

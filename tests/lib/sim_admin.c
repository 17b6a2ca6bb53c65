/* SPDX-License-Identifier: Apache-2.0 */

#include "lib/sim_admin.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control.pb-c.h"
#include "core/store/task.h"
#include "wire/message.h"

enum {
    WORDS_MAX = 16, /* of a list */
};

bool sim_read_span(const char *text, swk_time *out_span)
{
    char *end;
    double number = strtod(text, &end);
    swk_time unit;

    if (strcmp(end, "ms") == 0) {
        unit = SWK_MILLISECOND;
    } else if (strcmp(end, "s") == 0) {
        unit = SWK_SECOND;
    } else if (strcmp(end, "m") == 0) {
        unit = SWK_MINUTE;
    } else if (strcmp(end, "h") == 0) {
        unit = 60 * SWK_MINUTE;
    } else {
        return false;
    }
    *out_span = (swk_time)(number * (double)unit);
    return end != text;
}

/* -- Objects -------------------------------------------------------------- */

static const void *by_name(const struct sim *sim, enum swki_kind kind,
                           const char *name)
{
    const struct swki_selector by = {.by = SWKI_BY_NAME, .text = name};
    const struct swki_object *object;
    struct swki_cursor cursor;

    if (swki_view_find(sim_view(sim), kind, &by, &cursor, NULL) != 0) {
        return NULL;
    }
    object = swki_cursor_next(&cursor);
    swki_cursor_close(&cursor);
    return object != NULL ? swki_object_message(object) : NULL;
}

/* -- Words ---------------------------------------------------------------- */

static void *make(struct swki_arena *arena,
                  const ProtobufCMessageDescriptor *type)
{
    void *message = swki_arena_calloc(arena, 1, type->sizeof_message);

    assert(message != NULL);
    type->message_init(message);
    return message;
}

static Swkpb__Duration *duration(struct swki_arena *arena, const char *text)
{
    swk_time span = 0;

    (void)sim_read_span(text, &span);
    return swki_duration_from_ns((int64_t)span, arena);
}

static void split(struct swki_arena *arena, const char *text, char ***out_items,
                  size_t *out_count)
{
    char *copy = swki_arena_strdup(arena, text);
    char *rest = NULL;

    *out_items = swki_arena_calloc(arena, WORDS_MAX, sizeof(char *));
    *out_count = 0;
    for (char *item = strtok_r(copy, ",", &rest);
         item != NULL && *out_count < WORDS_MAX;
         item = strtok_r(NULL, ",", &rest)) {
        (*out_items)[(*out_count)++] = item;
    }
}

static bool restart_word(struct swki_arena *arena, Swkpb__TaskSpec *task,
                         const char *key, const char *value)
{
    Swkpb__RestartPolicy *restart = task->restart;

    if (restart == NULL) {
        restart = make(arena, &swkpb__restart_policy__descriptor);
        restart->condition = SWKPB__RESTART_POLICY__RESTART_CONDITION__ANY;
        task->restart = restart;
    }
    if (strcmp(key, "restart") == 0) {
        restart->condition =
            strcmp(value, "none") == 0
                ? SWKPB__RESTART_POLICY__RESTART_CONDITION__NONE
            : strcmp(value, "on-failure") == 0
                ? SWKPB__RESTART_POLICY__RESTART_CONDITION__ON_FAILURE
                : SWKPB__RESTART_POLICY__RESTART_CONDITION__ANY;
    } else if (strcmp(key, "restart-delay") == 0) {
        restart->delay = duration(arena, value);
    } else if (strcmp(key, "restart-max") == 0) {
        restart->max_attempts = strtoull(value, NULL, 10);
    } else if (strcmp(key, "restart-window") == 0) {
        restart->window = duration(arena, value);
    } else {
        return false;
    }
    return true;
}

static bool update_word(struct swki_arena *arena, Swkpb__ServiceSpec *spec,
                        const char *key, const char *value)
{
    Swkpb__UpdateConfig *update = spec->update;

    if (update == NULL) {
        update = make(arena, &swkpb__update_config__descriptor);
        spec->update = update;
    }
    if (strcmp(key, "update-parallelism") == 0) {
        update->parallelism = strtoull(value, NULL, 10);
    } else if (strcmp(key, "update-delay") == 0) {
        update->delay = duration(arena, value);
    } else if (strcmp(key, "update-monitor") == 0) {
        update->monitor = duration(arena, value);
    } else if (strcmp(key, "update-ratio") == 0) {
        update->max_failure_ratio = (float)atof(value);
    } else if (strcmp(key, "update-failure") == 0) {
        update->failure_action =
            strcmp(value, "pause") == 0
                ? SWKPB__UPDATE_CONFIG__FAILURE_ACTION__PAUSE
            : strcmp(value, "rollback") == 0
                ? SWKPB__UPDATE_CONFIG__FAILURE_ACTION__ROLLBACK
                : SWKPB__UPDATE_CONFIG__FAILURE_ACTION__CONTINUE;
    } else if (strcmp(key, "update-order") == 0) {
        update->order = strcmp(value, "start-first") == 0
                            ? SWKPB__UPDATE_CONFIG__UPDATE_ORDER__START_FIRST
                            : SWKPB__UPDATE_CONFIG__UPDATE_ORDER__STOP_FIRST;
    } else {
        return false;
    }
    return true;
}

static bool placement_word(struct swki_arena *arena, Swkpb__TaskSpec *task,
                           const char *value)
{
    Swkpb__Placement *placement = task->placement;

    if (placement == NULL) {
        placement = make(arena, &swkpb__placement__descriptor);
        task->placement = placement;
    }
    split(arena, value, &placement->constraints, &placement->n_constraints);
    return true;
}

static Swkpb__FileTarget *target(struct swki_arena *arena, const char *name)
{
    Swkpb__FileTarget *file = make(arena, &swkpb__file_target__descriptor);

    file->name = swki_arena_strdup(arena, name);
    file->uid = swki_arena_strdup(arena, "0");
    file->gid = swki_arena_strdup(arena, "0");
    file->mode = 0444;
    return file;
}

static bool secrets_word(const struct sim *sim, struct swki_arena *arena,
                         Swkpb__ContainerSpec *c, const char *value)
{
    char **names;
    size_t count;

    split(arena, value, &names, &count);
    c->secrets = swki_arena_calloc(arena, count + 1, sizeof(*c->secrets));
    c->n_secrets = 0;
    for (size_t i = 0; i < count; i++) {
        const Swkpb__Secret *secret = by_name(sim, SWKI_KIND_SECRET, names[i]);
        Swkpb__SecretReference *reference =
            make(arena, &swkpb__secret_reference__descriptor);

        if (secret == NULL) {
            return false;
        }
        reference->secret_id = swki_arena_strdup(arena, secret->id);
        reference->secret_name = names[i];
        reference->target_case = SWKPB__SECRET_REFERENCE__TARGET_FILE;
        reference->file = target(arena, names[i]);
        c->secrets[c->n_secrets++] = reference;
    }
    return true;
}

static bool configs_word(const struct sim *sim, struct swki_arena *arena,
                         Swkpb__ContainerSpec *c, const char *value)
{
    char **names;
    size_t count;

    split(arena, value, &names, &count);
    c->configs = swki_arena_calloc(arena, count + 1, sizeof(*c->configs));
    c->n_configs = 0;
    for (size_t i = 0; i < count; i++) {
        const Swkpb__Config *config = by_name(sim, SWKI_KIND_CONFIG, names[i]);
        Swkpb__ConfigReference *reference =
            make(arena, &swkpb__config_reference__descriptor);

        if (config == NULL) {
            return false;
        }
        reference->config_id = swki_arena_strdup(arena, config->id);
        reference->config_name = names[i];
        reference->target_case = SWKPB__CONFIG_REFERENCE__TARGET_FILE;
        reference->file = target(arena, names[i]);
        c->configs[c->n_configs++] = reference;
    }
    return true;
}

static bool service_word(const struct sim *sim, struct swki_arena *arena,
                         Swkpb__ServiceSpec *spec, const char *word)
{
    const char *value = strchr(word, '=');
    char key[32];

    if (value == NULL || (size_t)(value - word) >= sizeof(key)) {
        return false;
    }
    memcpy(key, word, (size_t)(value - word));
    key[value - word] = '\0';
    value++;
    if (strcmp(key, "image") == 0) {
        spec->task->container->image = swki_arena_strdup(arena, value);
    } else if (strcmp(key, "run") == 0) {
        split(arena, value, &spec->task->container->args,
              &spec->task->container->n_args);
    } else if (strcmp(key, "secrets") == 0) {
        return secrets_word(sim, arena, spec->task->container, value);
    } else if (strcmp(key, "configs") == 0) {
        return configs_word(sim, arena, spec->task->container, value);
    } else if (strcmp(key, "replicas") == 0) {
        spec->replicated->replicas = strtoull(value, NULL, 10);
    } else if (strcmp(key, "constraint") == 0) {
        return placement_word(arena, spec->task, value);
    } else if (strncmp(key, "restart", 7) == 0) {
        return restart_word(arena, spec->task, key, value);
    } else {
        return update_word(arena, spec, key, value);
    }
    return true;
}

static bool service_words(const struct sim *sim, struct swki_arena *arena,
                          Swkpb__ServiceSpec *spec, char *const *words,
                          size_t words_count)
{
    for (size_t i = 0; i < words_count; i++) {
        if (!service_word(sim, arena, spec, words[i])) {
            return false;
        }
    }
    return true;
}

/* -- Services ------------------------------------------------------------- */

static Swkpb__ServiceSpec *new_spec(struct swki_arena *arena, const char *name)
{
    Swkpb__ServiceSpec *spec = make(arena, &swkpb__service_spec__descriptor);

    spec->annotations = make(arena, &swkpb__annotations__descriptor);
    spec->annotations->name = swki_arena_strdup(arena, name);
    spec->task = make(arena, &swkpb__task_spec__descriptor);
    spec->task->container = make(arena, &swkpb__container_spec__descriptor);
    spec->task->container->image = swki_arena_strdup(arena, "app:1");
    spec->task->runtime_case = SWKPB__TASK_SPEC__RUNTIME_CONTAINER;
    spec->mode_case = SWKPB__SERVICE_SPEC__MODE_REPLICATED;
    spec->replicated = make(arena, &swkpb__replicated_service__descriptor);
    spec->replicated->replicas = 1;
    return spec;
}

bool sim_create_service(struct sim *sim, const char *name,
                        char *const *words, size_t words_count)
{
    Swkpb__CreateServiceRequest request = SWKPB__CREATE_SERVICE_REQUEST__INIT;
    struct swki_arena arena;
    bool good;

    swki_arena_init(&arena, NULL, SIZE_MAX);
    request.spec = new_spec(&arena, name);
    good = service_words(sim, &arena, request.spec, words, words_count);
    if (good) {
        sim_client_call(sim, SIM_CREATE_SERVICE,
                        &request.base);
    }
    swki_arena_fini(&arena);
    return good;
}

const Swkpb__Service *sim_service(const struct sim *sim, const char *name)
{
    return by_name(sim, SWKI_KIND_SERVICE, name);
}

bool sim_update_service(struct sim *sim, const char *name,
                        char *const *words, size_t words_count)
{
    const Swkpb__Service *service = sim_service(sim, name);
    Swkpb__UpdateServiceRequest request = SWKPB__UPDATE_SERVICE_REQUEST__INIT;
    struct swki_arena arena;
    bool good;

    if (service == NULL) {
        return false;
    }
    swki_arena_init(&arena, NULL, SIZE_MAX);
    request.service_id = service->id;
    request.service_version = service->meta->version;
    request.spec = (Swkpb__ServiceSpec *)swki_message_copy(
        &service->spec->base, &arena);
    good = service_words(sim, &arena, request.spec, words, words_count);
    if (good) {
        sim_client_call(sim, SIM_UPDATE_SERVICE,
                        &request.base);
    }
    swki_arena_fini(&arena);
    return good;
}

bool sim_remove_service(struct sim *sim, const char *name)
{
    const Swkpb__Service *service = sim_service(sim, name);
    Swkpb__RemoveServiceRequest request = SWKPB__REMOVE_SERVICE_REQUEST__INIT;

    if (service == NULL) {
        return false;
    }
    request.service_id = service->id;
    sim_client_call(sim, "/docker.swarmkit.v1.Control/RemoveService",
                    &request.base);
    return true;
}

const Swkpb__Task *sim_slot_task(const struct sim *sim, const char *name,
                                 uint64_t slot)
{
    const Swkpb__Service *service = sim_service(sim, name);
    struct swki_selector by_slot = {.by = SWKI_BY_SLOT, .number = slot};
    const struct swki_object *object;
    const Swkpb__Task *found = NULL;
    struct swki_cursor cursor;

    if (service == NULL) {
        return NULL;
    }
    by_slot.text = service->id;
    if (swki_view_find(sim_view(sim), SWKI_KIND_TASK, &by_slot, &cursor,
                       NULL) != 0) {
        return NULL;
    }
    while ((object = swki_cursor_next(&cursor)) != NULL) {
        if (swki_task_wanted(swki_task(object))) {
            found = swki_task(object);
        }
    }
    swki_cursor_close(&cursor);
    return found;
}

/* -- Secrets and configs -------------------------------------------------- */

bool sim_create_secret(struct sim *sim, const char *name)
{
    Swkpb__CreateSecretRequest request = SWKPB__CREATE_SECRET_REQUEST__INIT;
    struct swki_arena arena;

    swki_arena_init(&arena, NULL, SIZE_MAX);
    request.spec = make(&arena, &swkpb__secret_spec__descriptor);
    request.spec->annotations = make(&arena, &swkpb__annotations__descriptor);
    request.spec->annotations->name = swki_arena_strdup(&arena, name);
    request.spec->data.data = (uint8_t *)request.spec->annotations->name;
    request.spec->data.len = strlen(name);
    sim_client_call(sim, "/docker.swarmkit.v1.Control/CreateSecret",
                    &request.base);
    swki_arena_fini(&arena);
    return true;
}

bool sim_create_config(struct sim *sim, const char *name)
{
    Swkpb__CreateConfigRequest request = SWKPB__CREATE_CONFIG_REQUEST__INIT;
    struct swki_arena arena;

    swki_arena_init(&arena, NULL, SIZE_MAX);
    request.spec = make(&arena, &swkpb__config_spec__descriptor);
    request.spec->annotations = make(&arena, &swkpb__annotations__descriptor);
    request.spec->annotations->name = swki_arena_strdup(&arena, name);
    request.spec->data.data = (uint8_t *)request.spec->annotations->name;
    request.spec->data.len = strlen(name);
    sim_client_call(sim, "/docker.swarmkit.v1.Control/CreateConfig",
                    &request.base);
    swki_arena_fini(&arena);
    return true;
}

/* -- Nodes ---------------------------------------------------------------- */

/* A request with a copy of the node's spec to be changed; NULL if the node is
 * not known. */
static Swkpb__NodeSpec *change_node(const struct sim *sim, const char *name,
                                    struct swki_arena *arena,
                                    Swkpb__UpdateNodeRequest *request)
{
    const struct sim_node *node = sim_node_by_name((struct sim *)sim, name);
    const struct swki_object *object;

    if (node == NULL) {
        return NULL;
    }
    object = swki_view_get(sim_view(sim), SWKI_KIND_NODE, node->id);
    if (object == NULL) {
        return NULL;
    }
    request->node_id = swki_node(object)->id;
    request->node_version = swki_node(object)->meta->version;
    request->spec = (Swkpb__NodeSpec *)swki_message_copy(
        &swki_node(object)->spec->base, arena);
    return request->spec;
}

static void call_update_node(struct sim *sim,
                             const Swkpb__UpdateNodeRequest *request)
{
    sim_client_call(sim, "/docker.swarmkit.v1.Control/UpdateNode",
                    &request->base);
}

bool sim_set_availability(struct sim *sim, const char *node,
                          const char *availability)
{
    Swkpb__UpdateNodeRequest request = SWKPB__UPDATE_NODE_REQUEST__INIT;
    struct swki_arena arena;
    Swkpb__NodeSpec *spec;

    swki_arena_init(&arena, NULL, SIZE_MAX);
    spec = change_node(sim, node, &arena, &request);
    if (spec != NULL) {
        spec->availability = strcmp(availability, "drain") == 0
                                 ? SWKPB__NODE_SPEC__AVAILABILITY__DRAIN
                             : strcmp(availability, "pause") == 0
                                 ? SWKPB__NODE_SPEC__AVAILABILITY__PAUSE
                                 : SWKPB__NODE_SPEC__AVAILABILITY__ACTIVE;
        call_update_node(sim, &request);
    }
    swki_arena_fini(&arena);
    return spec != NULL;
}

bool sim_label_node(struct sim *sim, const char *node, const char *key,
                    const char *value)
{
    Swkpb__UpdateNodeRequest request = SWKPB__UPDATE_NODE_REQUEST__INIT;
    Swkpb__Annotations__LabelsEntry label =
        SWKPB__ANNOTATIONS__LABELS_ENTRY__INIT;
    Swkpb__Annotations__LabelsEntry *labels[] = {&label};
    struct swki_arena arena;
    Swkpb__NodeSpec *spec;

    swki_arena_init(&arena, NULL, SIZE_MAX);
    spec = change_node(sim, node, &arena, &request);
    if (spec != NULL) {
        if (spec->annotations == NULL) {
            spec->annotations = make(&arena, &swkpb__annotations__descriptor);
        }
        label.key = (char *)key;
        label.value = (char *)value;
        spec->annotations->labels = labels;
        spec->annotations->n_labels = 1;
        call_update_node(sim, &request);
    }
    swki_arena_fini(&arena);
    return spec != NULL;
}

bool sim_remove_node(struct sim *sim, const char *name)
{
    struct sim_node *node = sim_node_by_name(sim, name);
    Swkpb__RemoveNodeRequest request = SWKPB__REMOVE_NODE_REQUEST__INIT;

    if (node == NULL) {
        return false;
    }
    request.node_id = node->id;
    request.force = true;
    sim_client_call(sim, "/docker.swarmkit.v1.Control/RemoveNode",
                    &request.base);
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */

#include "core/store/index.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

enum {
    NAME_SIZE = 1024, /* of a task's derived name; longer ones are cut */
    PLACE_VALUES = 39,
    ID_KEY_PLACES = 12, /* PLACE_VALUES to this power is under 2^64 */
    KEY_ID_PLACES = 6,  /* and under 2^32 */
};

#define BIT(by) (UINT32_C(1) << SWKI_BY_##by)
#define EVERY                                                                  \
    (BIT(ALL) | BIT(OR) | BIT(NAME) | BIT(ID_PREFIX) | BIT(CUSTOM) |           \
     BIT(CUSTOM_PREFIX))
#define REFERENCES (BIT(RUNTIME) | BIT(NETWORK) | BIT(SECRET) | BIT(CONFIG))

static const uint32_t allowed[SWKI_KINDS_COUNT] = {
    [SWKI_KIND_CLUSTER] = EVERY | BIT(NAME_PREFIX),
    [SWKI_KIND_CONFIG] = EVERY | BIT(NAME_PREFIX),
    [SWKI_KIND_EXTENSION] = EVERY,
    [SWKI_KIND_NETWORK] = EVERY | BIT(NAME_PREFIX),
    [SWKI_KIND_NODE] = EVERY | BIT(NAME_PREFIX) | BIT(ROLE) | BIT(MEMBERSHIP),
    [SWKI_KIND_RESOURCE] = EVERY | BIT(NAME_PREFIX) | BIT(KIND),
    [SWKI_KIND_SECRET] = EVERY | BIT(NAME_PREFIX),
    [SWKI_KIND_SERVICE] = EVERY | BIT(NAME_PREFIX) | REFERENCES,
    [SWKI_KIND_TASK] = EVERY | BIT(NAME_PREFIX) | REFERENCES |
                       BIT(SERVICE_ID) | BIT(NODE_ID) | BIT(SLOT) |
                       BIT(DESIRED_STATE) | BIT(TASK_STATE) | BIT(VOLUME),
    [SWKI_KIND_VOLUME] = EVERY | BIT(NAME_PREFIX) | BIT(VOLUME_GROUP) |
                         BIT(DRIVER) | BIT(SECRET),
};

/* Allowed selectors that have no keys. Those of tasks here find large shares of
 * all tasks, change often, and are asked for rarely. */
static const uint32_t walked[SWKI_KINDS_COUNT] = {
    [SWKI_KIND_TASK] = BIT(RUNTIME) | BIT(DESIRED_STATE) | BIT(TASK_STATE),
};

bool swki_index_allows(enum swki_kind kind, enum swki_by by)
{
    return (unsigned)by <= SWKI_BY_DRIVER &&
           (allowed[kind] >> (unsigned)by & 1) != 0;
}

bool swki_index_has_keys(enum swki_kind kind, enum swki_by by)
{
    return by != SWKI_BY_ALL && by != SWKI_BY_ID_PREFIX &&
           (walked[kind] >> (unsigned)by & 1) == 0;
}

struct swki_key swki_index_key(const struct swki_selector *selector)
{
    const uint32_t numbers = BIT(ROLE) | BIT(MEMBERSHIP) | BIT(DESIRED_STATE) |
                             BIT(TASK_STATE);
    uint32_t bit = UINT32_C(1) << (unsigned)selector->by;
    struct swki_key key = {.by = selector->by};

    if ((bit & numbers) == 0) {
        key.text = selector->text;
    }
    if ((bit & (numbers | BIT(SLOT))) != 0) {
        key.number = selector->number;
    }
    if ((bit & BIT(CUSTOM)) != 0) {
        key.value = selector->value;
    }
    return key;
}

/* -- The keys of objects --------------------------------------------------- */

/* Returns false to end the visit. */
typedef bool (*key_fn)(void *ctx, const struct swki_key *key);

/* A visit under way; it has ended when go_on is false. */
struct visit {
    uint32_t wanted; /* bits of the selectors whose keys are asked for */
    key_fn fn;
    void *ctx;
    bool go_on;
};

static const char *text(const char *value)
{
    return value != NULL ? value : "";
}

static bool wants(const struct visit *visit, uint32_t bits)
{
    return (visit->wanted & bits) != 0;
}

static void visit_key(struct visit *visit, const struct swki_key *key)
{
    if (visit->go_on && wants(visit, UINT32_C(1) << (unsigned)key->by)) {
        visit->go_on = visit->fn(visit->ctx, key);
    }
}

static void visit_text(struct visit *visit, enum swki_by by, const char *value)
{
    const struct swki_key key = {.by = by, .text = text(value)};

    visit_key(visit, &key);
}

static void visit_number(struct visit *visit, enum swki_by by, uint64_t number)
{
    const struct swki_key key = {.by = by, .number = number};

    visit_key(visit, &key);
}

static void visit_annotations(struct visit *visit,
                              const Swkpb__Annotations *annotations)
{
    if (!wants(visit, BIT(CUSTOM) | BIT(CUSTOM_PREFIX))) {
        return;
    }
    for (size_t i = 0; annotations != NULL && i < annotations->n_indices;
         i++) {
        const Swkpb__IndexEntry *entry = annotations->indices[i];
        const struct swki_key key = {
            .by = SWKI_BY_CUSTOM,
            .text = text(entry->key),
            .value = text(entry->val),
        };

        visit_key(visit, &key);
        visit_text(visit, SWKI_BY_CUSTOM_PREFIX, entry->key);
    }
}

static void visit_networks(struct visit *visit, size_t count,
                           Swkpb__NetworkAttachmentConfig *const *networks)
{
    for (size_t i = 0; i < count; i++) {
        visit_text(visit, SWKI_BY_NETWORK, networks[i]->target);
    }
}

static void visit_container(struct visit *visit,
                            const Swkpb__ContainerSpec *container)
{
    for (size_t i = 0; container != NULL && i < container->n_secrets; i++) {
        visit_text(visit, SWKI_BY_SECRET, container->secrets[i]->secret_id);
    }
    for (size_t i = 0; container != NULL && i < container->n_configs; i++) {
        visit_text(visit, SWKI_BY_CONFIG, container->configs[i]->config_id);
    }
}

static void visit_runtime(struct visit *visit, const Swkpb__TaskSpec *spec)
{
    switch (spec->runtime_case) {
    case SWKPB__TASK_SPEC__RUNTIME_CONTAINER:
        visit_text(visit, SWKI_BY_RUNTIME, "container");
        visit_container(visit, spec->container);
        break;
    case SWKPB__TASK_SPEC__RUNTIME_ATTACHMENT:
        visit_text(visit, SWKI_BY_RUNTIME, "attachment");
        break;
    case SWKPB__TASK_SPEC__RUNTIME_GENERIC:
        if (spec->generic != NULL) {
            visit_text(visit, SWKI_BY_RUNTIME, spec->generic->kind);
        }
        break;
    case SWKPB__TASK_SPEC__RUNTIME__NOT_SET:
    case _SWKPB__TASK_SPEC__RUNTIME__CASE_IS_INT_SIZE:
        break;
    }
}

static void visit_task_spec(struct visit *visit, const Swkpb__TaskSpec *spec)
{
    if (spec == NULL || !wants(visit, REFERENCES)) {
        return;
    }
    visit_runtime(visit, spec);
    visit_networks(visit, spec->n_networks, spec->networks);
    for (size_t i = 0; i < spec->n_resource_references; i++) {
        const Swkpb__ResourceReference *reference =
            spec->resource_references[i];

        if (reference->resource_type == SWKPB__RESOURCE_TYPE__SECRET) {
            visit_text(visit, SWKI_BY_SECRET, reference->resource_id);
        }
        if (reference->resource_type == SWKPB__RESOURCE_TYPE__CONFIG) {
            visit_text(visit, SWKI_BY_CONFIG, reference->resource_id);
        }
    }
}

/* Networks of the whole spec are deprecated, but stored services have them. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static void visit_spec_networks(struct visit *visit,
                                const Swkpb__ServiceSpec *spec)
{
    visit_networks(visit, spec->n_networks, spec->networks);
}

#pragma GCC diagnostic pop

static void visit_service(struct visit *visit, const Swkpb__Service *service)
{
    const Swkpb__ServiceSpec *spec = service->spec;

    if (spec == NULL) {
        return;
    }
    visit_task_spec(visit, spec->task);
    if (spec->task == NULL || spec->task->n_networks == 0) {
        visit_spec_networks(visit, spec);
    }
}

static void visit_task(struct visit *visit, const Swkpb__Task *task)
{
    const struct swki_key slot = {
        .by = SWKI_BY_SLOT,
        .text = text(task->service_id),
        .number = task->slot,
    };

    visit_text(visit, SWKI_BY_SERVICE_ID, task->service_id);
    visit_text(visit, SWKI_BY_NODE_ID, task->node_id);
    visit_key(visit, &slot);
    visit_number(visit, SWKI_BY_DESIRED_STATE, (uint64_t)task->desired_state);
    visit_number(visit, SWKI_BY_TASK_STATE,
                 task->status != NULL ? (uint64_t)task->status->state : 0);
    for (size_t i = 0; i < task->n_volumes; i++) {
        visit_text(visit, SWKI_BY_VOLUME, task->volumes[i]->id);
    }
    visit_task_spec(visit, task->spec);
}

static void visit_node(struct visit *visit, const Swkpb__Node *node)
{
    visit_number(visit, SWKI_BY_ROLE, (uint64_t)node->role);
    visit_number(visit, SWKI_BY_MEMBERSHIP,
                 node->spec != NULL ? (uint64_t)node->spec->membership : 0);
}

static void visit_volume(struct visit *visit, const Swkpb__Volume *volume)
{
    const Swkpb__VolumeSpec *spec = volume->spec;

    visit_text(visit, SWKI_BY_VOLUME_GROUP, spec != NULL ? spec->group : "");
    if (spec == NULL) {
        return;
    }
    if (spec->driver != NULL) {
        visit_text(visit, SWKI_BY_DRIVER, spec->driver->name);
    }
    for (size_t i = 0; i < spec->n_secrets; i++) {
        visit_text(visit, SWKI_BY_SECRET, spec->secrets[i]->secret);
    }
}

static void visit_name(struct visit *visit, const struct swki_object *object)
{
    char name[NAME_SIZE];

    if (!wants(visit, BIT(NAME)) ||
        (swki_object_kind(object) == SWKI_KIND_NODE &&
         swki_node(object)->description == NULL)) {
        return;
    }
    visit_text(visit, SWKI_BY_NAME,
               swki_object_name(object, name, sizeof(name)));
}

/* Visits an object's keys for the wanted selectors; some may come twice. */
static void visit_keys(const struct swki_object *object, uint32_t wanted,
                       key_fn fn, void *ctx)
{
    struct visit visit = {
        .wanted = wanted,
        .fn = fn,
        .ctx = ctx,
        .go_on = true,
    };

    visit_name(&visit, object);
    visit_annotations(&visit, swki_object_annotations(object));
    switch (swki_object_kind(object)) {
    case SWKI_KIND_NODE:
        visit_node(&visit, swki_node(object));
        break;
    case SWKI_KIND_RESOURCE:
        visit_text(&visit, SWKI_BY_KIND, swki_resource(object)->kind);
        break;
    case SWKI_KIND_SERVICE:
        visit_service(&visit, swki_service(object));
        break;
    case SWKI_KIND_TASK:
        visit_task(&visit, swki_task(object));
        break;
    case SWKI_KIND_VOLUME:
        visit_volume(&visit, swki_volume(object));
        break;
    case SWKI_KIND_CLUSTER:
    case SWKI_KIND_CONFIG:
    case SWKI_KIND_EXTENSION:
    case SWKI_KIND_NETWORK:
    case SWKI_KIND_SECRET:
    case SWKI_KINDS_COUNT:
        break;
    }
}

/* Members at the same address are the same, as after an edit most are. */
static uint32_t moved_task_keys(const Swkpb__Task *old, const Swkpb__Task *task)
{
    uint32_t bits = 0;

    if (old->service_id != task->service_id) {
        bits |= BIT(SERVICE_ID) | BIT(SLOT);
    }
    if (old->slot != task->slot) {
        bits |= BIT(SLOT) | BIT(NAME);
    }
    if (old->node_id != task->node_id) {
        bits |= BIT(NODE_ID) | BIT(NAME);
    }
    if (old->annotations != task->annotations) {
        bits |= BIT(NAME) | BIT(CUSTOM) | BIT(CUSTOM_PREFIX);
    }
    if (old->service_annotations != task->service_annotations) {
        bits |= BIT(NAME);
    }
    if (old->spec != task->spec) {
        bits |= REFERENCES;
    }
    if (old->volumes != task->volumes || old->n_volumes != task->n_volumes) {
        bits |= BIT(VOLUME);
    }
    return bits;
}

uint32_t swki_index_moved(const struct swki_object *old,
                          const struct swki_object *object)
{
    return swki_object_kind(object) == SWKI_KIND_TASK
               ? moved_task_keys(swki_task(old), swki_task(object))
               : SWKI_INDEX_EVERY;
}

/* -- Comparing and hashing ------------------------------------------------- */

static unsigned char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c - 'A' + 'a')
                                : (unsigned char)c;
}

bool swki_text_equal(const char *a, const char *b)
{
    while (*a != '\0' && lower(*a) == lower(*b)) {
        a++;
        b++;
    }
    return lower(*a) == lower(*b);
}

bool swki_text_begins(const char *value, const char *prefix)
{
    while (*prefix != '\0' && lower(*value) == lower(*prefix)) {
        value++;
        prefix++;
    }
    return *prefix == '\0';
}

static bool ignores_case(enum swki_by by)
{
    return by == SWKI_BY_NAME || by == SWKI_BY_RUNTIME;
}

struct match {
    const struct swki_key *wanted;
    bool found;
};

static bool match_key(void *ctx, const struct swki_key *key)
{
    struct match *match = ctx;
    const struct swki_key *wanted = match->wanted;

    if (key->by != wanted->by || key->number != wanted->number) {
        return true;
    }
    if (ignores_case(key->by)) {
        match->found = swki_text_equal(text(key->text), text(wanted->text));
    } else {
        match->found = strcmp(text(key->text), text(wanted->text)) == 0 &&
                       strcmp(text(key->value), text(wanted->value)) == 0;
    }
    return !match->found;
}

bool swki_index_matches(const struct swki_object *object,
                        const struct swki_key *key)
{
    struct match match = {.wanted = key};

    visit_keys(object, UINT32_C(1) << (unsigned)key->by, match_key, &match);
    return match.found;
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

static uint64_t hash_text(uint64_t hash, const char *value, bool any_case)
{
    for (; *value != '\0'; value++) {
        unsigned byte = any_case ? lower(*value) : (unsigned char)*value;

        hash = (hash ^ byte) * UINT64_C(0x100000001b3); /* as FNV-1a does */
    }
    return mix(hash, 0x100); /* no byte: it ends the text */
}

uint64_t swki_index_hash(const struct swki_key *key)
{
    uint64_t hash = mix(mix(0, (uint64_t)key->by + 1), key->number);

    hash = hash_text(hash, text(key->text), ignores_case(key->by));
    hash = hash_text(hash, text(key->value), false);
    return hash & ~(uint64_t)UINT32_MAX;
}

/* IDs are written in digits and small letters, so a place needs few values.
 * Each other byte falls together with its neighbours, and ends what is
 * compared. */
static bool place_value(char c, unsigned *out_value)
{
    unsigned char byte = (unsigned char)c;

    if (byte >= '0' && byte <= '9') {
        *out_value = byte - '0' + 1u;
        return true;
    }
    if (byte >= 'a' && byte <= 'z') {
        *out_value = byte - 'a' + 12u;
        return true;
    }
    *out_value = byte < '0' ? 0 : byte < 'a' ? 11 : 38;
    return false;
}

/* The first places of an ID as a number: less for none that comes later. */
static uint64_t id_number(const char *id, unsigned places)
{
    uint64_t number = 0;
    bool is_over = false;

    for (unsigned i = 0; i < places; i++) {
        unsigned value = 0;

        if (!is_over) {
            is_over = !place_value(id[i], &value); /* NUL is one such byte */
        }
        number = number * PLACE_VALUES + value;
    }
    return number;
}

uint64_t swki_index_id_key(const char *id)
{
    return id_number(id, ID_KEY_PLACES);
}

/* -- Lists of keys --------------------------------------------------------- */

void swki_keys_init(struct swki_keys *keys, const struct swk_alloc *alloc)
{
    *keys = (struct swki_keys){.alloc = alloc};
}

void swki_keys_fini(struct swki_keys *keys)
{
    swki_free(keys->alloc, keys->items);
    swki_keys_init(keys, keys->alloc);
}

struct collect {
    struct swki_keys *keys;
    uint64_t id_bits; /* the lower half of all keys */
    bool failed;
};

static bool collect_key(void *ctx, const struct swki_key *key)
{
    struct collect *collect = ctx;
    struct swki_keys *keys = collect->keys;

    if (keys->count == keys->size) {
        size_t size = keys->size > 0 ? keys->size * 2 : 16;
        uint64_t *items =
            swki_realloc(keys->alloc, keys->items, size, sizeof(*items));

        if (items == NULL) {
            collect->failed = true;
            return false;
        }
        keys->items = items;
        keys->size = size;
    }
    keys->items[keys->count++] = swki_index_hash(key) | collect->id_bits;
    return true;
}

static int compare_keys(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static void sort(struct swki_keys *keys)
{
    if (keys->count > 16) {
        qsort(keys->items, keys->count, sizeof(keys->items[0]), compare_keys);
        return;
    }
    for (size_t i = 1; i < keys->count; i++) {
        uint64_t key = keys->items[i];
        size_t at = i;

        for (; at > 0 && keys->items[at - 1] > key; at--) {
            keys->items[at] = keys->items[at - 1];
        }
        keys->items[at] = key;
    }
}

bool swki_keys_collect(struct swki_keys *keys, const struct swki_object *object,
                       uint32_t bits)
{
    struct collect collect = {
        .keys = keys,
        .id_bits = id_number(swki_object_id(object), KEY_ID_PLACES),
    };
    size_t kept = 0;

    keys->count = 0;
    visit_keys(object, bits & ~walked[swki_object_kind(object)], collect_key,
               &collect);
    if (collect.failed) {
        return false;
    }
    sort(keys);
    for (size_t i = 0; i < keys->count; i++) {
        if (kept == 0 || keys->items[kept - 1] != keys->items[i]) {
            keys->items[kept++] = keys->items[i];
        }
    }
    keys->count = kept;
    return true;
}

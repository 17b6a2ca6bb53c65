/* SPDX-License-Identifier: Apache-2.0 */

#include "core/scheduler/table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "core/consent/consent.h"
#include "core/store/task.h"

/* -- Reading messages ----------------------------------------------------- */

const Swkpb__Resources *swki_reservations(const Swkpb__Task *task)
{
    return task->spec != NULL && task->spec->resources != NULL
               ? task->spec->resources->reservations
               : NULL;
}

uint32_t swki_host_port(const Swkpb__PortConfig *port)
{
    if (port->publish_mode != SWKPB__PORT_CONFIG__PUBLISH_MODE__HOST ||
        port->published_port == 0 || port->published_port > 65535) {
        return 0;
    }
    return (uint32_t)port->protocol << 16 | port->published_port;
}

static const Swkpb__Resources *capacity(const struct swki_table_node *node)
{
    const Swkpb__NodeDescription *description =
        swki_node(node->object)->description;

    return description != NULL ? description->resources : NULL;
}

static bool is_discrete(const Swkpb__GenericResource *resource)
{
    return resource->resource_case ==
           SWKPB__GENERIC_RESOURCE__RESOURCE_DISCRETE_RESOURCE_SPEC;
}

static bool is_named(const Swkpb__GenericResource *resource)
{
    return resource->resource_case ==
           SWKPB__GENERIC_RESOURCE__RESOURCE_NAMED_RESOURCE_SPEC;
}

/* -- What a node has left ------------------------------------------------- */

/* Of what is advertised now, in the form in which it is advertised now. */
static bool fill_generic(struct swki_table *table, struct swki_table_node *node)
{
    const Swkpb__Resources *has = capacity(node);
    size_t count = has != NULL ? has->n_generic : 0;
    struct swki_generic *generic = NULL;

    if (count > 0) {
        generic = swki_calloc(table->alloc, count, sizeof(*generic));
        if (generic == NULL) {
            return false;
        }
    }
    swki_free(table->alloc, node->generic);
    node->generic = generic;
    node->generic_count = 0;
    for (size_t i = 0; i < count; i++) {
        const Swkpb__GenericResource *one = has->generic[i];

        if (is_discrete(one)) {
            generic[node->generic_count++] = (struct swki_generic){
                .kind = one->discrete_resource_spec->kind,
                .left = one->discrete_resource_spec->value,
            };
        } else if (is_named(one)) {
            generic[node->generic_count++] = (struct swki_generic){
                .kind = one->named_resource_spec->kind,
                .name = one->named_resource_spec->value,
                .left = 1,
            };
        }
    }
    return true;
}

/* A kind or name that is no longer there, or has another form, is ignored: it
 * cannot be taken off what does not exist. */
static void change_generic(struct swki_table_node *node,
                           const Swkpb__GenericResource *assigned, int sign)
{
    for (size_t i = 0; i < node->generic_count; i++) {
        struct swki_generic *one = &node->generic[i];

        if (is_discrete(assigned) && one->name == NULL &&
            strcmp(one->kind, assigned->discrete_resource_spec->kind) == 0) {
            one->left += sign * assigned->discrete_resource_spec->value;
            return;
        }
        if (is_named(assigned) && one->name != NULL &&
            strcmp(one->kind, assigned->named_resource_spec->kind) == 0 &&
            strcmp(one->name, assigned->named_resource_spec->value) == 0) {
            one->left += sign;
            return;
        }
    }
}

static void change_resources(struct swki_table_node *node,
                             const Swkpb__Task *task, int sign)
{
    const Swkpb__Resources *reserved = swki_reservations(task);

    if (reserved != NULL) {
        node->cpus_free += sign * reserved->nano_cpus;
        node->memory_free += sign * reserved->memory_bytes;
    }
    for (size_t i = 0; i < task->n_assigned_generic_resources; i++) {
        change_generic(node, task->assigned_generic_resources[i], sign);
    }
}

static bool refresh(struct swki_table *table, struct swki_table_node *node)
{
    const Swkpb__Resources *has = capacity(node);
    struct swki_link *link;

    if (!fill_generic(table, node)) {
        return false;
    }
    node->cpus_free = has != NULL ? has->nano_cpus : 0;
    node->memory_free = has != NULL ? has->memory_bytes : 0;
    for (link = node->tasks.next; link != &node->tasks; link = link->next) {
        const struct swki_table_task *task =
            SWKI_CONTAINER(link, struct swki_table_task, node_link);

        change_resources(node, swki_task(task->charged), -1);
    }
    return true;
}

static bool reserve_ports(struct swki_table *table,
                          struct swki_table_node *node, size_t more)
{
    size_t size = node->ports_count + more;
    uint32_t *ports;

    if (size <= node->ports_size) {
        return true;
    }
    ports = swki_realloc(table->alloc, node->ports, size * 2, sizeof(*ports));
    if (ports == NULL) {
        return false;
    }
    node->ports = ports;
    node->ports_size = size * 2;
    return true;
}

static void add_ports(struct swki_table_node *node, const Swkpb__Task *task)
{
    for (size_t i = 0; task->endpoint != NULL && i < task->endpoint->n_ports;
         i++) {
        uint32_t port = swki_host_port(task->endpoint->ports[i]);

        if (port != 0) {
            node->ports[node->ports_count++] = port;
        }
    }
}

static void remove_ports(struct swki_table_node *node, const Swkpb__Task *task)
{
    for (size_t i = 0; task->endpoint != NULL && i < task->endpoint->n_ports;
         i++) {
        uint32_t port = swki_host_port(task->endpoint->ports[i]);

        for (size_t j = 0; port != 0 && j < node->ports_count; j++) {
            if (node->ports[j] == port) {
                node->ports[j] = node->ports[--node->ports_count];
                break;
            }
        }
    }
}

/* -- Nodes ---------------------------------------------------------------- */

static bool take_index(struct swki_table *table, struct swki_table_node *node)
{
    struct swki_table_node **more;
    uint32_t size;

    for (uint32_t i = 0; i < table->indexes_count; i++) {
        if (table->by_index[i] == NULL) {
            node->index = i;
            table->by_index[i] = node;
            return true;
        }
    }
    if (table->indexes_count == table->indexes_size) {
        size = table->indexes_size == 0 ? 64 : table->indexes_size * 2;
        more = swki_realloc(table->alloc, table->by_index, size, sizeof(*more));
        if (more == NULL) {
            return false;
        }
        table->by_index = more;
        table->indexes_size = size;
    }
    node->index = table->indexes_count;
    table->by_index[table->indexes_count++] = node;
    return true;
}

static struct swki_table_node *add_node(struct swki_table *table,
                                        const char *id)
{
    size_t size = strlen(id) + 1;
    struct swki_table_node *node =
        swki_calloc(table->alloc, 1, sizeof(*node) + size);

    if (node == NULL) {
        return NULL;
    }
    memcpy(node->id, id, size);
    swki_list_init(&node->tasks);
    if (!swki_map_put(&table->nodes, node->id, node)) {
        swki_free(table->alloc, node);
        return NULL;
    }
    if (!take_index(table, node)) {
        swki_map_remove(&table->nodes, node->id);
        swki_free(table->alloc, node);
        return NULL;
    }
    return node;
}

/* Agents check their own policy; what another one sends is bounded here. */
static void take_consent(struct swki_table_node *node)
{
    const Swkpb__NodeDescription *description =
        swki_node(node->object)->description;

    node->consent = description != NULL ? description->consent : NULL;
    node->is_unreadable = node->consent != NULL &&
                          swki_consent_validate(node->consent, NULL) != SWK_OK;
}

bool swki_table_put_node(struct swki_table *table,
                         const struct swki_object *object)
{
    const char *id = swki_object_id(object);
    struct swki_table_node *node = swki_map_get(&table->nodes, id);

    if (node == NULL) {
        node = add_node(table, id);
    }
    if (node == NULL) {
        return false;
    }
    swki_object_ref(object);
    swki_object_unref(node->object);
    node->object = object;
    take_consent(node);
    return refresh(table, node);
}

static void forget_failures_on(struct swki_table *table, uint32_t node_index)
{
    struct swki_table_service *service;
    size_t cursor = 0;

    while ((service = swki_map_next(&table->services, &cursor)) != NULL) {
        for (size_t i = 0; i < service->failures_count;) {
            if (service->failures[i].node_index == node_index) {
                service->failures[i] =
                    service->failures[--service->failures_count];
            } else {
                i++;
            }
        }
    }
}

void swki_table_remove_node(struct swki_table *table, const char *id)
{
    struct swki_table_node *node = swki_map_get(&table->nodes, id);

    if (node == NULL) {
        return;
    }
    while (!swki_list_empty(&node->tasks)) {
        swki_table_release(table,
                           SWKI_CONTAINER(node->tasks.next,
                                          struct swki_table_task, node_link));
    }
    forget_failures_on(table, node->index);
    table->by_index[node->index] = NULL;
    swki_map_remove(&table->nodes, node->id);
    swki_object_unref(node->object);
    swki_free(table->alloc, node->generic);
    swki_free(table->alloc, node->ports);
    swki_free(table->alloc, node);
}

/* -- Services ------------------------------------------------------------- */

static struct swki_table_service *use_service(struct swki_table *table,
                                              const char *id)
{
    struct swki_table_service *service = swki_map_get(&table->services, id);
    size_t size = strlen(id) + 1;

    if (service != NULL) {
        service->users++;
        return service;
    }
    service = swki_calloc(table->alloc, 1, sizeof(*service) + size);
    if (service == NULL) {
        return NULL;
    }
    memcpy(service->id, id, size);
    service->users = 1;
    if (!swki_map_put(&table->services, service->id, service)) {
        swki_free(table->alloc, service);
        return NULL;
    }
    return service;
}

static void free_service(struct swki_table *table,
                         struct swki_table_service *service)
{
    swki_map_remove(&table->services, service->id);
    swki_free(table->alloc, service->counts);
    swki_free(table->alloc, service->failures);
    swki_free(table->alloc, service);
}

static void drop_service(struct swki_table *table,
                         struct swki_table_service *service)
{
    service->users--;
    /* What is known of its failures outlives its tasks. */
    if (service->users == 0 && service->failures_count == 0) {
        free_service(table, service);
    }
}

static bool reserve_counts(struct swki_table *table,
                           struct swki_table_service *service, uint32_t index)
{
    size_t size = table->indexes_size;
    uint32_t *counts;

    if (index < service->counts_size) {
        return true;
    }
    counts = swki_realloc(table->alloc, service->counts, size, sizeof(*counts));
    if (counts == NULL) {
        return false;
    }
    memset(counts + service->counts_size, 0,
           (size - service->counts_size) * sizeof(*counts));
    service->counts = counts;
    service->counts_size = size;
    return true;
}

uint32_t swki_table_count(const struct swki_table_service *service,
                          const struct swki_table_node *node)
{
    return node->index < service->counts_size ? service->counts[node->index]
                                              : 0;
}

/* -- Failures ------------------------------------------------------------- */

static struct swki_failures *
find_failures(const struct swki_table_service *service, uint32_t node_index,
              uint64_t version)
{
    for (size_t i = 0; i < service->failures_count; i++) {
        if (service->failures[i].node_index == node_index &&
            service->failures[i].version == version) {
            return &service->failures[i];
        }
    }
    return NULL;
}

static uint32_t count_recent(const struct swki_failures *failures, swk_time now)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < failures->count; i++) {
        count += now - failures->times[i] < SWKI_FAILURES_PERIOD ? 1 : 0;
    }
    return count;
}

/* Records that say nothing any more make room for a new one. */
static void prune_failures(struct swki_table_service *service, swk_time now)
{
    for (size_t i = 0; i < service->failures_count;) {
        if (count_recent(&service->failures[i], now) == 0) {
            service->failures[i] = service->failures[--service->failures_count];
        } else {
            i++;
        }
    }
}

static void sweep_failures(struct swki_table *table, swk_time now)
{
    struct swki_table_service *service;
    size_t cursor = 0;

    while ((service = swki_map_next(&table->services, &cursor)) != NULL) {
        prune_failures(service, now);
        if (service->users == 0 && service->failures_count == 0) {
            free_service(table, service);
        }
    }
}

static struct swki_failures *add_failures(struct swki_table *table,
                                          struct swki_table_service *service)
{
    size_t size = service->failures_size * 2 + 4;
    struct swki_failures *more;

    if (service->failures_count == service->failures_size) {
        more =
            swki_realloc(table->alloc, service->failures, size, sizeof(*more));
        if (more == NULL) {
            return NULL;
        }
        service->failures = more;
        service->failures_size = size;
    }
    return &service->failures[service->failures_count++];
}

bool swki_table_add_failure(struct swki_table *table,
                            struct swki_table_service *service,
                            const struct swki_table_node *node,
                            uint64_t version, swk_time now)
{
    struct swki_failures *failures;

    sweep_failures(table, now);
    failures = find_failures(service, node->index, version);
    if (failures == NULL) {
        failures = add_failures(table, service);
        if (failures == NULL) {
            return false;
        }
        *failures = (struct swki_failures){
            .version = version,
            .node_index = node->index,
        };
    }
    failures->times[failures->next] = now;
    failures->next = (failures->next + 1) % SWKI_FAILURES_MARK;
    if (failures->count < SWKI_FAILURES_MARK) {
        failures->count++;
    }
    return true;
}

uint32_t swki_table_failures(const struct swki_table_service *service,
                             const struct swki_table_node *node,
                             uint64_t version, swk_time now)
{
    const struct swki_failures *failures =
        find_failures(service, node->index, version);

    return failures != NULL ? count_recent(failures, now) : 0;
}

/* -- Tasks ---------------------------------------------------------------- */

struct swki_table_task *swki_table_put_task(struct swki_table *table,
                                            const struct swki_object *object)
{
    const char *id = swki_object_id(object);
    struct swki_table_task *task = swki_map_get(&table->tasks, id);
    size_t size = strlen(id) + 1;

    if (task == NULL) {
        task = swki_calloc(table->alloc, 1, sizeof(*task) + size);
        if (task == NULL) {
            return NULL;
        }
        memcpy(task->id, id, size);
        swki_list_init(&task->node_link);
        swki_list_init(&task->group_link);
        task->service = use_service(table, swki_task(object)->service_id);
        if (task->service == NULL) {
            swki_free(table->alloc, task);
            return NULL;
        }
        if (!swki_map_put(&table->tasks, task->id, task)) {
            drop_service(table, task->service);
            swki_free(table->alloc, task);
            return NULL;
        }
    }
    swki_object_ref(object);
    swki_object_unref(task->object);
    task->object = object;
    return task;
}

void swki_table_remove_task(struct swki_table *table,
                            struct swki_table_task *task)
{
    swki_table_release(table, task);
    swki_map_remove(&table->tasks, task->id);
    drop_service(table, task->service);
    swki_object_unref(task->object);
    swki_free(table->alloc, task);
}

void swki_table_set_active(struct swki_table_task *task, bool active)
{
    if (task->node == NULL || task->active == active) {
        return;
    }
    task->active = active;
    if (active) {
        task->node->active++;
        task->service->counts[task->node->index]++;
    } else {
        task->node->active--;
        task->service->counts[task->node->index]--;
    }
}

bool swki_table_charge(struct swki_table *table, struct swki_table_task *task,
                       struct swki_table_node *node,
                       const struct swki_object *object)
{
    const Swkpb__Task *t = swki_task(object);

    swki_table_release(table, task);
    if (!reserve_counts(table, task->service, node->index) ||
        !reserve_ports(table, node,
                       t->endpoint != NULL ? t->endpoint->n_ports : 0)) {
        return false;
    }
    task->charged = swki_object_ref(object);
    task->node = node;
    swki_list_append(&node->tasks, &task->node_link);
    change_resources(node, t, -1);
    add_ports(node, t);
    swki_table_set_active(task,
                          t->desired_state <= SWKPB__TASK_STATE__COMPLETE);
    return true;
}

void swki_table_release(struct swki_table *table, struct swki_table_task *task)
{
    const Swkpb__Task *t;

    if (task->node == NULL) {
        return;
    }
    t = swki_task(task->charged);
    swki_table_set_active(task, false);
    change_resources(task->node, t, 1);
    remove_ports(task->node, t);
    swki_list_remove(&task->node_link);
    task->node = NULL;
    swki_object_unref(task->charged);
    task->charged = NULL;
}

/* -- Claiming generic resources ------------------------------------------- */

static Swkpb__GenericResource *new_discrete(struct swki_arena *arena,
                                            const char *kind, int64_t value)
{
    Swkpb__GenericResource *out = swki_arena_alloc(arena, sizeof(*out));
    Swkpb__DiscreteGenericResource *spec =
        swki_arena_alloc(arena, sizeof(*spec));

    if (out == NULL || spec == NULL) {
        return NULL;
    }
    swkpb__generic_resource__init(out);
    swkpb__discrete_generic_resource__init(spec);
    out->resource_case =
        SWKPB__GENERIC_RESOURCE__RESOURCE_DISCRETE_RESOURCE_SPEC;
    out->discrete_resource_spec = spec;
    spec->kind = swki_arena_strdup(arena, kind);
    spec->value = value;
    return spec->kind != NULL ? out : NULL;
}

static Swkpb__GenericResource *new_named(struct swki_arena *arena,
                                         const char *kind, const char *name)
{
    Swkpb__GenericResource *out = swki_arena_alloc(arena, sizeof(*out));
    Swkpb__NamedGenericResource *spec = swki_arena_alloc(arena, sizeof(*spec));

    if (out == NULL || spec == NULL) {
        return NULL;
    }
    swkpb__generic_resource__init(out);
    swkpb__named_generic_resource__init(spec);
    out->resource_case = SWKPB__GENERIC_RESOURCE__RESOURCE_NAMED_RESOURCE_SPEC;
    out->named_resource_spec = spec;
    spec->kind = swki_arena_strdup(arena, kind);
    spec->value = swki_arena_strdup(arena, name);
    return spec->kind != NULL && spec->value != NULL ? out : NULL;
}

/* The amount of a kind, or as many of its names, the first free ones first. */
static int claim_kind(const struct swki_table_node *node,
                      const Swkpb__DiscreteGenericResource *wanted,
                      struct swki_arena *arena, Swkpb__Task *task)
{
    int64_t need = wanted->value;

    for (size_t i = 0; need > 0 && i < node->generic_count; i++) {
        const struct swki_generic *one = &node->generic[i];
        Swkpb__GenericResource *made;

        if (strcmp(one->kind, wanted->kind) != 0 || one->left <= 0) {
            continue;
        }
        made = one->name == NULL ? new_discrete(arena, one->kind, need)
                                 : new_named(arena, one->kind, one->name);
        if (made == NULL) {
            return SWK_ENOMEM;
        }
        task->assigned_generic_resources[task->n_assigned_generic_resources++] =
            made;
        need = one->name == NULL ? 0 : need - 1;
    }
    return SWK_OK;
}

int swki_table_claim(const struct swki_table_node *node,
                     struct swki_object *object)
{
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__Task *task = swki_task_edit(object);
    const Swkpb__Resources *reserved = swki_reservations(task);
    int rc = SWK_OK;

    if (reserved == NULL || reserved->n_generic == 0) {
        return SWK_OK;
    }
    task->n_assigned_generic_resources = 0;
    task->assigned_generic_resources =
        swki_arena_calloc(arena, node->generic_count + reserved->n_generic,
                          sizeof(Swkpb__GenericResource *));
    if (task->assigned_generic_resources == NULL) {
        return SWK_ENOMEM;
    }
    for (size_t i = 0; rc == SWK_OK && i < reserved->n_generic; i++) {
        if (is_discrete(reserved->generic[i])) {
            rc = claim_kind(node, reserved->generic[i]->discrete_resource_spec,
                            arena, task);
        }
    }
    return rc;
}

/* -- The whole ------------------------------------------------------------ */

void swki_table_init(struct swki_table *table, const struct swk_alloc *alloc)
{
    *table = (struct swki_table){.alloc = alloc};
    swki_map_init(&table->nodes, alloc);
    swki_map_init(&table->services, alloc);
    swki_map_init(&table->tasks, alloc);
}

void swki_table_fini(struct swki_table *table)
{
    struct swki_table_service *service;
    struct swki_table_task *task;
    struct swki_table_node *node;
    size_t cursor = 0;

    while ((task = swki_map_next(&table->tasks, &cursor)) != NULL) {
        swki_table_remove_task(table, task);
    }
    cursor = 0;
    while ((node = swki_map_next(&table->nodes, &cursor)) != NULL) {
        swki_table_remove_node(table, node->id);
    }
    cursor = 0;
    while ((service = swki_map_next(&table->services, &cursor)) != NULL) {
        free_service(table, service);
    }
    swki_map_fini(&table->nodes);
    swki_map_fini(&table->services);
    swki_map_fini(&table->tasks);
    swki_free(table->alloc, table->by_index);
    swki_table_init(table, table->alloc);
}

static int compare_ports(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;

    return a < b ? -1 : a > b;
}

static void dump_node(const struct swki_table_node *node, struct swki_buf *out)
{
    swki_buf_printf(
        out, "node %s: cpus %" PRId64 " memory %" PRId64 " active %u ports",
        node->id, node->cpus_free, node->memory_free, node->active);
    if (node->ports_count > 0) {
        qsort(node->ports, node->ports_count, sizeof(*node->ports),
              compare_ports);
    }
    for (size_t i = 0; i < node->ports_count; i++) {
        swki_buf_printf(out, " %x", node->ports[i]);
    }
    for (size_t i = 0; i < node->generic_count; i++) {
        swki_buf_printf(out, " %s:%s=%" PRId64, node->generic[i].kind,
                        node->generic[i].name != NULL ? node->generic[i].name
                                                      : "",
                        node->generic[i].left);
    }
    swki_buf_append_byte(out, '\n');
}

static int compare_keys(const void *left, const void *right)
{
    const struct swki_map_entry *a = left;
    const struct swki_map_entry *b = right;

    return strcmp(a->key, b->key);
}

/* The entries of a map by key; given, with swki_free(). */
static struct swki_map_entry *sorted(const struct swki_map *map,
                                     size_t *out_count)
{
    struct swki_map_entry *entries =
        swki_calloc(map->alloc, map->count + 1, sizeof(*entries));

    *out_count = 0;
    for (size_t i = 0; entries != NULL && i < map->entries_count; i++) {
        if (map->entries[i].key != NULL) {
            entries[(*out_count)++] = map->entries[i];
        }
    }
    if (*out_count > 0) {
        qsort(entries, *out_count, sizeof(*entries), compare_keys);
    }
    return entries;
}

void swki_table_dump(const struct swki_table *table, struct swki_buf *out)
{
    size_t count;
    struct swki_map_entry *entries = sorted(&table->nodes, &count);

    for (size_t i = 0; i < count; i++) {
        dump_node(entries[i].value, out);
    }
    swki_free(table->alloc, entries);
    entries = sorted(&table->tasks, &count);
    for (size_t i = 0; i < count; i++) {
        const struct swki_table_task *task = entries[i].value;

        swki_buf_printf(out, "task %s: node %s active %d waits %d of %u\n",
                        task->id, task->node != NULL ? task->node->id : "-",
                        task->active, task->group != NULL,
                        task->node != NULL
                            ? swki_table_count(task->service, task->node)
                            : 0);
    }
    swki_free(table->alloc, entries);
}

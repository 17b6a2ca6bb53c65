/* SPDX-License-Identifier: Apache-2.0 */

/* What the store costs: one figure a line. */

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/rng.h"
#include "core/store/codec.h"
#include "core/store/object_impl.h"
#include "core/store/store.h"

enum {
    TASKS_PER_SERVICE = 1000,
    NODES = 1000,
    PROBES = 1000000,
    ENCODINGS = 1000000,
    LINES_PER_TASK = 13, /* of 64 bytes: what the store needs */
};

struct bench {
    struct swki_store *store;
    struct swki_rng rng;
    unsigned count;
    unsigned next;
    char (*ids)[SWK_ID_LEN + 1];
    char (*services)[SWK_ID_LEN + 1];
    char (*nodes)[SWK_ID_LEN + 1];
};

/* Seconds of processor time, so that a busy machine matters less. */
static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static size_t heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

static void require(int ok)
{
    if (!ok) {
        abort();
    }
}

static void report(const struct bench *b, const char *what, double value,
                   const char *unit)
{
    printf("store %s, %u tasks: %.0f %s\n", what, b->count, value, unit);
}

/* What each of so many operations took since a start. */
static void report_each(const struct bench *b, const char *what, double start,
                        unsigned count)
{
    report(b, what, (now() - start) * 1e9 / count, "ns/op");
}

static struct swki_object *make_service(struct bench *b, const char *id)
{
    struct swki_object *o = swki_object_new(NULL, SWKI_KIND_SERVICE);
    struct swki_arena *arena = swki_object_arena(o);
    Swkpb__Service *service = swki_service_edit(o);
    Swkpb__ServiceSpec *spec = swki_arena_calloc(arena, 1, sizeof(*spec));
    Swkpb__TaskSpec *task = swki_arena_calloc(arena, 1, sizeof(*task));

    (void)b;
    swkpb__service_spec__init(spec);
    swkpb__task_spec__init(task);
    spec->annotations =
        swki_arena_calloc(arena, 1, sizeof(*spec->annotations));
    swkpb__annotations__init(spec->annotations);
    spec->annotations->name = swki_arena_strdup(arena, id);
    task->runtime_case = SWKPB__TASK_SPEC__RUNTIME_CONTAINER;
    task->container = swki_arena_calloc(arena, 1, sizeof(*task->container));
    swkpb__container_spec__init(task->container);
    task->container->image = swki_arena_strdup(arena, "registry/image:tag");
    spec->task = task;
    service->id = swki_arena_strdup(arena, id);
    service->spec = spec;
    return o;
}

static Swkpb__TaskStatus *make_status(struct swki_object *o,
                                      Swkpb__TaskState at, const char *text)
{
    struct swki_arena *arena = swki_object_arena(o);
    Swkpb__TaskStatus *status = swki_arena_calloc(arena, 1, sizeof(*status));

    swkpb__task_status__init(status);
    status->state = at;
    status->message = swki_arena_strdup(arena, text);
    status->timestamp = swki_arena_calloc(arena, 1, sizeof(*status->timestamp));
    swkpb__timestamp__init(status->timestamp);
    return status;
}

static int create_task(void *ctx, struct swki_tx *tx, struct swk_error *err)
{
    struct bench *b = ctx;
    unsigned n = b->next++;
    const char *service_id = b->services[n / TASKS_PER_SERVICE];
    const struct swki_object *service =
        swki_view_get(swki_tx_view(tx), SWKI_KIND_SERVICE, service_id);
    struct swki_object *o = swki_object_new(NULL, SWKI_KIND_TASK);
    struct swki_arena *arena = swki_object_arena(o);
    Swkpb__Task *task = swki_task_edit(o);

    task->id = swki_arena_strdup(arena, b->ids[n]);
    task->slot = n % TASKS_PER_SERVICE + 1;
    task->node_id = swki_arena_strdup(arena, b->nodes[n % NODES]);
    task->desired_state = SWKPB__TASK_STATE__RUNNING;
    task->status = make_status(o, SWKPB__TASK_STATE__NEW, "created");
    require(swki_object_share(o, 3, service, 3) == SWK_OK);
    require(swki_object_share(o, 8, service, 3) == SWK_OK);
    require(swki_object_share(o, 4, service, 1) == SWK_OK);
    task->spec = swki_service(service)->spec->task;
    task->service_annotations = swki_service(service)->spec->annotations;
    task->service_id = swki_service(service)->id;
    return swki_tx_create(tx, o, err);
}

static int update_task(void *ctx, struct swki_tx *tx, struct swk_error *err)
{
    struct bench *b = ctx;
    const char *id = b->ids[(uint64_t)b->next++ * 7919 % b->count];
    struct swki_object *o = swki_object_edit(
        swki_view_get(swki_tx_view(tx), SWKI_KIND_TASK, id));

    swki_task_edit(o)->status =
        make_status(o, SWKPB__TASK_STATE__PENDING, "pending task scheduling");
    return swki_tx_update(tx, o, err);
}

/* Without a log nothing is encoded: this is the store alone. */
static void run_steps(struct bench *b, enum swki_actor actor, swki_step_fn step)
{
    struct swki_tx *tx = NULL;

    for (b->next = 0; b->next < b->count;) {
        if (tx == NULL) {
            tx = swki_store_begin(b->store, actor, 1);
        }
        require(step(b, tx, NULL) == SWK_OK);
        if (swki_tx_changes(tx) == SWKI_STORE_BATCH_CHANGES ||
            b->next == b->count) {
            require(swki_tx_commit(tx, NULL, NULL, NULL, NULL) == SWK_OK);
            tx = NULL;
        }
    }
}

static void create_services(struct bench *b)
{
    struct swki_tx *tx = swki_store_begin(b->store, SWKI_ACTOR_CONTROL, 1);

    for (unsigned i = 0; i < b->count / TASKS_PER_SERVICE; i++) {
        require(swki_tx_create(tx, make_service(b, b->services[i]), NULL) ==
                SWK_OK);
    }
    require(swki_tx_commit(tx, NULL, NULL, NULL, NULL) == SWK_OK);
}

static void bench_get(struct bench *b)
{
    const struct swki_view *view = swki_store_head(b->store);
    double start = now();

    for (unsigned i = 0; i < PROBES; i++) {
        const char *id = b->ids[(uint64_t)i * 7919 % b->count];

        require(swki_view_get(view, SWKI_KIND_TASK, id) != NULL);
    }
    report_each(b, "get", start, PROBES);
}

/* Opens a cursor and takes the first task that it finds. */
static void bench_find(struct bench *b, enum swki_by by, const char *what)
{
    const struct swki_view *view = swki_store_head(b->store);
    double start = now();

    for (unsigned i = 0; i < PROBES; i++) {
        unsigned n = (unsigned)((uint64_t)i * 7919 % b->count);
        const struct swki_selector selector = {
            .by = by,
            .text = by == SWKI_BY_NODE_ID ? b->nodes[n % NODES]
                                          : b->services[n / TASKS_PER_SERVICE],
            .number = n % TASKS_PER_SERVICE + 1,
        };
        struct swki_cursor cursor;

        require(swki_view_find(view, SWKI_KIND_TASK, &selector, &cursor,
                               NULL) == SWK_OK);
        require(swki_cursor_next(&cursor) != NULL);
        swki_cursor_close(&cursor);
    }
    report_each(b, what, start, PROBES);
}

/* Some tasks over and over, as those of a transaction are at hand. */
static void bench_encode(struct bench *b)
{
    const struct swki_view *view = swki_store_head(b->store);
    struct swki_buf buf;
    size_t bytes = 0;
    double start = now();

    swki_buf_init(&buf, NULL, SIZE_MAX);
    for (unsigned i = 0; i < ENCODINGS; i++) {
        const struct swki_object *object = swki_view_get(
            view, SWKI_KIND_TASK, b->ids[i % SWKI_STORE_BATCH_CHANGES]);

        require(swki_codec_add_action(&buf, SWKI_CHANGE_CREATE, object,
                                      NULL) == SWK_OK);
        bytes += buf.len;
        swki_buf_clear(&buf);
    }
    report_each(b, "encoding", start, ENCODINGS);
    report(b, "encoded size", (double)bytes / ENCODINGS, "bytes/task");
    swki_buf_fini(&buf);
}

/* How long it takes to reach what is in no cache: all figures above are so many
 * of these. Each step of a walk over shuffled lines depends on the last. */
static void bench_memory(struct bench *b)
{
    size_t count = (size_t)b->count * LINES_PER_TASK;
    struct line {
        size_t next;
        char rest[64 - sizeof(size_t)];
    } *lines = malloc(count * sizeof(lines[0]));
    size_t at = 0;
    double start;

    require(lines != NULL);
    for (size_t i = 0; i < count; i++) {
        lines[i].next = i;
    }
    for (size_t i = count - 1; i > 0; i--) { /* one cycle through all */
        size_t j = swki_rng_below(&b->rng, i);
        size_t next = lines[i].next;

        lines[i].next = lines[j].next;
        lines[j].next = next;
    }
    start = now();
    for (unsigned i = 0; i < PROBES; i++) {
        at = lines[at].next;
    }
    require(at < count);
    report_each(b, "machine, one read of as much memory", start, PROBES);
    free(lines);
}

static void bench_save(struct bench *b)
{
    struct swki_buf buf;
    double start = now();

    swki_buf_init(&buf, NULL, SIZE_MAX);
    require(swki_view_save(swki_store_head(b->store), &buf, NULL) == SWK_OK);
    report(b, "snapshot save", (now() - start) * 1e3, "ms");
    report(b, "snapshot size", (double)buf.len / 1e6, "MB");
    swki_buf_fini(&buf);
}

static void fill_ids(struct bench *b)
{
    b->ids = calloc(b->count, sizeof(b->ids[0]));
    b->services = calloc(b->count / TASKS_PER_SERVICE + 1, sizeof(b->ids[0]));
    b->nodes = calloc(NODES, sizeof(b->ids[0]));
    for (unsigned i = 0; i < b->count; i++) {
        swki_rng_id(&b->rng, b->ids[i]);
    }
    for (unsigned i = 0; i < b->count / TASKS_PER_SERVICE; i++) {
        swki_rng_id(&b->rng, b->services[i]);
    }
    for (unsigned i = 0; i < NODES; i++) {
        swki_rng_id(&b->rng, b->nodes[i]);
    }
}

static void bench(unsigned count)
{
    struct bench b = {.count = count};
    struct swki_store_config config = {0};
    size_t bytes;
    double start;

    swki_rng_init(&b.rng, count);
    fill_ids(&b);
    require(swki_store_new(&config, &b.store, NULL) == SWK_OK);
    create_services(&b);
    bytes = heap_bytes();
    start = now();
    run_steps(&b, SWKI_ACTOR_ORCHESTRATOR, create_task);
    report_each(&b, "create", start, count);
    report(&b, "memory", (double)(heap_bytes() - bytes) / count, "bytes/task");
    start = now();
    run_steps(&b, SWKI_ACTOR_ALLOCATOR, update_task);
    report_each(&b, "update of status", start, count);
    report(&b, "memory after updates", (double)(heap_bytes() - bytes) / count,
           "bytes/task");
    bench_encode(&b);
    bench_get(&b);
    bench_find(&b, SWKI_BY_SERVICE_ID, "find by service");
    bench_find(&b, SWKI_BY_NODE_ID, "find by node");
    bench_find(&b, SWKI_BY_SLOT, "find by slot");
    bench_save(&b);
    swki_store_free(b.store);
    bench_memory(&b);
    free(b.ids);
    free(b.services);
    free(b.nodes);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    bench(100000);
    bench(1000000);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */

/* Virtual time: what is due next happens next. */

#include "sim/sim.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum {
    EVENTS_A_BLOCK = 64,
    CHUNK_SIZE = 64 * 1024,
    LINEAR_STATES_MAX = 20000,
};

/* -- Memory --------------------------------------------------------------- */

void *sim_grow(void *array, size_t *size, size_t need, size_t item)
{
    size_t old = *size;

    if (need <= old) {
        return array;
    }
    *size = need + old + 16;
    array = realloc(array, *size * item);
    if (array == NULL) {
        abort();
    }
    memset((uint8_t *)array + old * item, 0, (*size - old) * item);
    return array;
}

static uint8_t *new_memory(struct sim *sim, size_t len)
{
    void *memory = calloc(1, len);

    if (memory == NULL) {
        abort();
    }
    sim->memory = sim_grow(sim->memory, &sim->memory_size,
                           sim->memory_count + 1, sizeof(sim->memory[0]));
    sim->memory[sim->memory_count++] = memory;
    return memory;
}

void *sim_alloc(struct sim *sim, size_t len)
{
    uint8_t *at;

    len = (len + 15) & ~(size_t)15;
    if (len > CHUNK_SIZE / 4) {
        return new_memory(sim, len);
    }
    if (len > sim->chunk_left) {
        sim->chunk = new_memory(sim, CHUNK_SIZE);
        sim->chunk_left = CHUNK_SIZE;
    }
    at = sim->chunk;
    sim->chunk += len;
    sim->chunk_left -= len;
    return at;
}

/* -- Events --------------------------------------------------------------- */

struct event *sim_event(struct sim *sim, enum event_kind kind, size_t member)
{
    struct event *event = sim->free_events;

    if (event == NULL) {
        struct event *block =
            sim_alloc(sim, EVENTS_A_BLOCK * sizeof(struct event));

        for (int i = 0; i < EVENTS_A_BLOCK; i++) {
            block[i].next_free = sim->free_events;
            sim->free_events = &block[i];
        }
        event = sim->free_events;
    }
    sim->free_events = event->next_free;
    event->kind = kind;
    event->member = member;
    event->incarnation = 0;
    return event;
}

static bool before(const struct due *a, const struct due *b)
{
    return a->at < b->at || (a->at == b->at && a->order < b->order);
}

void sim_post(struct sim *sim, swk_time at, struct event *event)
{
    size_t i = sim->heap_count++;
    struct due due = {at, sim->order++, event};

    sim->heap = sim_grow(sim->heap, &sim->heap_size, sim->heap_count,
                         sizeof(sim->heap[0]));
    while (i > 0 && before(&due, &sim->heap[(i - 1) / 2])) {
        sim->heap[i] = sim->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    sim->heap[i] = due;
}

static struct event *pop(struct sim *sim)
{
    struct event *event = sim->heap[0].event;
    struct due last = sim->heap[--sim->heap_count];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= sim->heap_count) {
            break;
        }
        if (child + 1 < sim->heap_count &&
            before(&sim->heap[child + 1], &sim->heap[child])) {
            child++;
        }
        if (!before(&sim->heap[child], &last)) {
            break;
        }
        sim->heap[i] = sim->heap[child];
        i = child;
    }
    sim->heap[i] = last;
    return event;
}

static void release(struct sim *sim, struct event *event)
{
    net_release(event);
    event->next_free = sim->free_events;
    sim->free_events = event;
}

/* -- What was said -------------------------------------------------------- */

void sim_trace(struct sim *sim, const struct member *m, const char *format, ...)
{
    char *line;
    int len;
    va_list args;

    if (sim->s.trace == 0) {
        return;
    }
    line = sim->trace[sim->trace_count++ % TRACE_LINES];
    len = snprintf(line, TRACE_LINE_SIZE, "[%10.3f] %-4s ",
                   (double)sim->now / (double)SWK_MILLISECOND,
                   m != NULL ? m->name : "-");
    va_start(args, format);
    vsnprintf(line + len, TRACE_LINE_SIZE - (size_t)len, format, args);
    va_end(args);
    if (sim->s.trace == 2) {
        puts(line);
    }
}

void sim_broken(struct sim *sim, const char *rule, const char *format, ...)
{
    char text[300];
    va_list args;

    if (sim->broken[0] != '\0') {
        return;
    }
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    snprintf(sim->broken, sizeof(sim->broken), "%s: %s", rule, text);
    sim_trace(sim, NULL, "BROKEN %s", sim->broken);
}

/* -- Time ----------------------------------------------------------------- */

static void happen(struct sim *sim, struct event *event)
{
    switch (event->kind) {
    case EVENT_HEAL:
        net_heal(sim, event->member, (size_t)event->u.number >> 32,
                 event->incarnation);
        break;
    case EVENT_FAULT:
        fault_strike(sim, (enum fault)event->u.number);
        break;
    case EVENT_CLIENT:
        client_wake(sim, event->member, event->u.number);
        break;
    case EVENT_REPLY:
        client_reply(sim, &event->u.request);
        break;
    case EVENT_ADMIN:
        admin_look(sim);
        break;
    case EVENT_MESSAGE:
    case EVENT_SNAPSHOT:
    case EVENT_UNREACHABLE:
    case EVENT_SNAPSHOT_REPORT:
    case EVENT_SYNCED:
    case EVENT_SYNC_REPORT:
    case EVENT_APPLY:
    case EVENT_SAVE:
    case EVENT_START:
    case EVENT_RESUME:
    case EVENT_REQUEST:
        member_event(sim->members[event->member], event);
        break;
    }
}

static struct member *next_timer(struct sim *sim)
{
    struct member *first = NULL;

    for (size_t i = 0; i < sim->members_count; i++) {
        struct member *m = sim->members[i];

        if (m->timer_at != SWK_NEVER &&
            (first == NULL || m->timer_at < first->timer_at)) {
            first = m;
        }
    }
    return first;
}

void sim_advance(struct sim *sim, swk_time until)
{
    while (sim->broken[0] == '\0') {
        struct member *timer = next_timer(sim);
        swk_time at = timer != NULL ? timer->timer_at : SWK_NEVER;
        bool event_first = sim->heap_count > 0 && sim->heap[0].at <= at;

        if (event_first) {
            at = sim->heap[0].at;
        }
        if (at > until) {
            break;
        }
        sim->now = at > sim->now ? at : sim->now;
        sim->stats.events++;
        if (event_first) {
            struct event *event = pop(sim);

            happen(sim, event);
            release(sim, event);
        } else {
            member_timer(timer);
        }
    }
    if (sim->broken[0] == '\0' && until > sim->now) {
        sim->now = until;
    }
}

/* -- Members -------------------------------------------------------------- */

struct member *sim_by_id(struct sim *sim, uint64_t id)
{
    for (size_t i = 0; i < sim->members_count; i++) {
        if (sim->members[i]->id == id) {
            return sim->members[i];
        }
    }
    return NULL;
}

struct member *sim_leader(struct sim *sim)
{
    struct member *leader = NULL;

    for (size_t i = 0; i < sim->members_count; i++) {
        struct member *m = sim->members[i];

        if (m->raft != NULL && m->seen.role == SWK_RAFT_LEADER &&
            (leader == NULL || m->seen.term > leader->seen.term)) {
            leader = m;
        }
    }
    return leader;
}

swk_time sim_election(const struct sim *sim)
{
    return sim->s.election_ticks * sim->s.tick_ns;
}

/* -- A run ---------------------------------------------------------------- */

static void seed_all(struct sim *sim)
{
    swki_rng_init(&sim->rng, sim->s.seed ^ 1);
    swki_rng_init(&sim->net_rng, sim->s.seed ^ 0x10000);
    swki_rng_init(&sim->disk_rng, sim->s.seed ^ 0x20000);
    swki_rng_init(&sim->client_rng, sim->s.seed ^ 0x30000);
    for (uint64_t i = 0; i < FAULT_COUNT; i++) {
        swki_rng_init(&sim->fault_rng[i], sim->s.seed ^ (0x40000 + i));
    }
}

static void begin(struct sim *sim)
{
    sim->now = SWK_SECOND;
    if (swk_raft_decoder_new(NULL, &sim->decoder) != 0) {
        abort();
    }
    for (uint32_t i = 0; i < sim->s.keys; i++) {
        linear_init(&sim->keys[i], LINEAR_STATES_MAX);
    }
    uint32_t first = sim->s.bootstrap_all ? sim->s.members : 1;

    sim->bootstrap_entries = first;
    for (uint32_t i = 0; i < first; i++) {
        (void)member_new(sim, true);
    }
    for (uint32_t i = 0; i < first; i++) {
        member_start(sim->members[i]);
    }
    clients_start(sim);
    faults_start(sim);
    sim_post(sim, sim->now + sim->s.tick_ns, sim_event(sim, EVENT_ADMIN, 0));
}

struct sim *sim_run(const struct settings *s)
{
    struct sim *sim = calloc(1, sizeof(*sim));

    if (sim == NULL) {
        abort();
    }
    sim->s = *s;
    seed_all(sim);
    begin(sim);
    swk_time start = sim->now;

    sim_advance(sim, sim->now + s->duration);
    if (sim->broken[0] == '\0') {
        faults_end(sim);
        rest(sim);
    }
    clients_check(sim);
    for (uint32_t i = 0; i < sim->s.keys; i++) {
        sim->stats.checked += sim->keys[i].checked;
        sim->stats.undecided += sim->keys[i].verdict == LINEAR_UNDECIDED;
    }
    sim->stats.runs = 1;
    sim->stats.failed = sim->broken[0] != '\0';
    sim->stats.simulated_ns = sim->now - start;
    sim->stats.committed = sim->committed;
    sim->stats.terms = sim->term_highest;
    return sim;
}

void sim_free(struct sim *sim)
{
    if (sim == NULL) {
        return;
    }
    for (size_t i = 0; i < sim->heap_count; i++) {
        net_release(sim->heap[i].event);
    }
    for (size_t i = 0; i < sim->members_count; i++) {
        member_free(sim->members[i]);
        free(sim->votes[i]);
    }
    for (uint32_t i = 0; i < sim->s.keys; i++) {
        linear_fini(&sim->keys[i]);
    }
    for (size_t i = 0; i < sim->memory_count; i++) {
        free(sim->memory[i]);
    }
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        free(sim->done_requests[i]);
    }
    swk_raft_decoder_free(sim->decoder);
    free(sim->memory);
    free(sim->heap);
    free(sim->by_index);
    free(sim->commits);
    free(sim->marks);
    free(sim->confs);
    free(sim->leaders);
    free(sim);
}

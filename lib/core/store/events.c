/* SPDX-License-Identifier: Apache-2.0 */

/* Watches: a bounded queue of events each. */

#include "base/alloc.h"
#include "core/store/store_impl.h"

enum {
    FIRST_SIZE = 16,
};

struct swki_watch {
    struct swki_link link;
    const struct swk_alloc *alloc;
    enum swki_feed feed;
    uint32_t kinds;
    struct swki_event *ring;
    size_t size;
    size_t first;
    size_t count;
    size_t limit;
    bool is_reset; /* a RESET comes before what is in the queue */
    uint64_t reset_index;
    struct swki_event current; /* the one that was handed out */
};

static void event_fini(struct swki_event *event)
{
    swki_object_unref(event->object);
    swki_object_unref(event->old);
    *event = (struct swki_event){0};
}

static void drop_all(struct swki_watch *watch)
{
    for (; watch->count > 0; watch->count--) {
        event_fini(&watch->ring[watch->first]);
        watch->first = (watch->first + 1) % watch->size;
    }
}

static void reset(struct swki_watch *watch, uint64_t index)
{
    drop_all(watch);
    watch->is_reset = true;
    watch->reset_index = index;
}

static bool grow(struct swki_watch *watch)
{
    size_t size = watch->size > 0 ? watch->size * 2 : FIRST_SIZE;
    struct swki_event *ring =
        swki_calloc(watch->alloc, size, sizeof(ring[0]));

    if (ring == NULL) {
        return false;
    }
    for (size_t i = 0; i < watch->count; i++) {
        ring[i] = watch->ring[(watch->first + i) % watch->size];
    }
    swki_free(watch->alloc, watch->ring);
    watch->ring = ring;
    watch->size = size;
    watch->first = 0;
    return true;
}

/* An event that finds no room empties the queue: it is worth nothing without
 * those before it. */
static void push(struct swki_watch *watch, const struct swki_event *event)
{
    struct swki_event *slot;

    if (watch->count >= watch->limit ||
        (watch->count == watch->size && !grow(watch))) {
        reset(watch, event->index);
        return;
    }
    slot = &watch->ring[(watch->first + watch->count) % watch->size];
    *slot = *event;
    if (slot->object != NULL) {
        slot->object = swki_object_ref(slot->object);
    }
    if (slot->old != NULL) {
        slot->old = swki_object_ref(slot->old);
    }
    watch->count++;
}

static void push_all(struct swki_watch *watch, const struct swki_writes *writes,
                     uint64_t index)
{
    const struct swki_event end = {
        .change = SWKI_CHANGE_COMMIT,
        .index = index,
    };

    for (size_t i = 0; i < writes->count; i++) {
        const struct swki_write *write = &writes->items[i];
        const struct swki_event event = {
            .change = write->change,
            .kind = swki_object_kind(write->object),
            .object = write->object,
            .old = write->old,
            .index = index,
        };

        if ((watch->kinds >> event.kind & 1) != 0) {
            push(watch, &event);
        }
    }
    push(watch, &end);
}

void swki_events_publish(struct swki_store *store, enum swki_feed feed,
                         const struct swki_writes *writes, uint64_t index)
{
    for (struct swki_link *link = store->watches.next; link != &store->watches;
         link = link->next) {
        struct swki_watch *watch =
            SWKI_CONTAINER(link, struct swki_watch, link);

        if (watch->feed == feed && writes->count > 0) {
            push_all(watch, writes, index);
        }
    }
}

void swki_events_reset(struct swki_store *store, enum swki_feed feed,
                       uint64_t index)
{
    for (struct swki_link *link = store->watches.next; link != &store->watches;
         link = link->next) {
        struct swki_watch *watch =
            SWKI_CONTAINER(link, struct swki_watch, link);

        if (watch->feed == feed) {
            reset(watch, index);
        }
    }
}

void swki_events_detach(struct swki_store *store)
{
    while (!swki_list_empty(&store->watches)) {
        swki_list_remove(store->watches.next);
    }
}

struct swki_watch *swki_store_watch(struct swki_store *store,
                                    enum swki_feed feed, uint32_t kinds,
                                    size_t limit)
{
    struct swki_watch *watch = swki_calloc(store->alloc, 1, sizeof(*watch));

    if (watch != NULL) {
        watch->alloc = store->alloc;
        watch->feed = feed;
        watch->kinds = kinds;
        watch->limit = limit > 0 ? limit : 1;
        swki_list_append(&store->watches, &watch->link);
    }
    return watch;
}

void swki_watch_free(struct swki_watch *watch)
{
    if (watch != NULL) {
        swki_list_remove(&watch->link);
        drop_all(watch);
        event_fini(&watch->current);
        swki_free(watch->alloc, watch->ring);
        swki_free(watch->alloc, watch);
    }
}

bool swki_watch_pending(const struct swki_watch *watch)
{
    return watch->is_reset || watch->count > 0;
}

const struct swki_event *swki_watch_next(struct swki_watch *watch)
{
    event_fini(&watch->current);
    if (watch->is_reset) {
        watch->is_reset = false;
        watch->current.change = SWKI_CHANGE_RESET;
        watch->current.index = watch->reset_index;
        return &watch->current;
    }
    if (watch->count == 0) {
        return NULL;
    }
    watch->current = watch->ring[watch->first];
    watch->first = (watch->first + 1) % watch->size;
    watch->count--;
    return &watch->current;
}

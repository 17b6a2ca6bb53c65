/* SPDX-License-Identifier: Apache-2.0 */

#include "core/secretdriver/fetcher.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/utf8.h"
#include "core/secretdriver/request.h"
#include "crypto/digest.h"

struct swki_fetcher {
    struct swki_fetcher_config config;
    struct swki_rng rng;
    struct swki_timers timers;
    struct swki_link queued;
    struct swki_link asked;
    struct swki_link ended;
    struct swki_link news;
    size_t asked_count;
    size_t waiting_count; /* queued, asked and paused */
    size_t held;          /* bytes of values */
    uint64_t last_id;
    struct swki_arena arena; /* of the work */
    struct swki_fetch_work work;
};

int swki_fetcher_new(const struct swki_fetcher_config *config,
                     struct swki_fetcher **out_fetcher, struct swk_error *err)
{
    struct swki_fetcher *f = swki_calloc(config->alloc, 1, sizeof(*f));

    if (f == NULL) {
        return swki_fail_nomem(err);
    }
    f->config = *config;
    swki_rng_init(&f->rng, config->seed);
    f->last_id = swki_rng_next(&f->rng);
    swki_timers_init(&f->timers, config->alloc);
    swki_list_init(&f->queued);
    swki_list_init(&f->asked);
    swki_list_init(&f->ended);
    swki_list_init(&f->news);
    swki_arena_init(&f->arena, config->alloc, SIZE_MAX);
    *out_fetcher = f;
    return SWK_OK;
}

/* -- States --------------------------------------------------------------- */

static const char *driver_of(const struct swki_fetch *fetch)
{
    return swki_secret(fetch->secret)->spec->driver->name;
}

static bool is_waiting(const struct swki_fetch *fetch)
{
    return fetch->state == SWKI_FETCH_QUEUED ||
           fetch->state == SWKI_FETCH_ASKED ||
           fetch->state == SWKI_FETCH_PAUSED;
}

/* Out of whatever list it is in, with no timer. */
static void detach(struct swki_fetcher *f, struct swki_fetch *fetch)
{
    if (fetch->state == SWKI_FETCH_ASKED ||
        fetch->state == SWKI_FETCH_DROPPED) {
        f->asked_count--;
    }
    swki_list_remove(&fetch->link);
    swki_timers_cancel(&f->timers, &fetch->timer);
}

static void end(struct swki_fetcher *f, struct swki_fetch *fetch,
                enum swki_fetch_state state)
{
    detach(f, fetch);
    swki_list_remove(&fetch->news);
    f->waiting_count--;
    fetch->state = state;
    swki_list_append(&f->ended, &fetch->link);
}

/* Whether the reason is another than before. One that memory does not suffice
 * for is not told. */
static bool note_why(struct swki_fetcher *f, struct swki_fetch *fetch,
                     const char *why)
{
    char *copy;

    if (fetch->why != NULL && strcmp(fetch->why, why) == 0) {
        return false;
    }
    copy = swki_strdup(f->config.alloc, why);
    if (copy == NULL) {
        return false;
    }
    swki_free(f->config.alloc, fetch->why);
    fetch->why = copy;
    return true;
}

static void give_up(struct swki_fetcher *f, struct swki_fetch *fetch,
                    const char *why)
{
    swki_log(f->config.logger, SWK_LOG_WARN, "secrets",
             "secret %s: task %s gets no value from driver %.64s: %s",
             swki_object_id(fetch->secret), swki_object_id(fetch->task),
             driver_of(fetch), why);
    (void)note_why(f, fetch, why);
    end(f, fetch, SWKI_FETCH_FAILED);
}

static swk_time earlier(swk_time a, swk_time b)
{
    return a < b ? a : b;
}

static void queue(struct swki_fetcher *f, struct swki_fetch *fetch)
{
    detach(f, fetch);
    fetch->state = SWKI_FETCH_QUEUED;
    swki_list_append(&f->queued, &fetch->link);
    if (!swki_timers_set(&f->timers, &fetch->timer, fetch->give_up)) {
        give_up(f, fetch, "out of memory");
    }
}

/* An attempt failed in a way that may pass. Pauses differ, so that those who
 * failed together do not all come back together. */
static void try_later(struct swki_fetcher *f, struct swki_fetch *fetch,
                      swk_time now, const char *why)
{
    swk_time span = SWKI_FETCH_PAUSE;

    for (unsigned i = 1; i < fetch->attempts && span < SWKI_FETCH_GIVE_UP;
         i++) {
        span *= 2;
    }
    span += swki_rng_below(&f->rng, span / 4);
    if (span >= SWKI_FETCH_GIVE_UP || now + span >= fetch->give_up) {
        give_up(f, fetch, why);
        return;
    }
    detach(f, fetch);
    fetch->state = SWKI_FETCH_PAUSED;
    if (!swki_timers_set(&f->timers, &fetch->timer, now + span)) {
        give_up(f, fetch, why);
    } else if (note_why(f, fetch, why) && swki_list_empty(&fetch->news)) {
        swki_list_append(&f->news, &fetch->news);
    }
}

/* -- Who needs a value ---------------------------------------------------- */

struct swki_fetch *swki_fetcher_ask(struct swki_fetcher *f, swk_time now,
                                    const struct swki_object *secret,
                                    const struct swki_object *task,
                                    const char *node_id, void *owner)
{
    struct swki_fetch *fetch = swki_calloc(f->config.alloc, 1, sizeof(*fetch));

    if (fetch == NULL) {
        return NULL;
    }
    swki_list_init(&fetch->link);
    swki_list_init(&fetch->news);
    fetch->owner = owner;
    fetch->secret = swki_object_ref(secret);
    fetch->task = swki_object_ref(task);
    snprintf(fetch->node_id, sizeof(fetch->node_id), "%s", node_id);
    fetch->give_up = now + SWKI_FETCH_GIVE_UP;
    f->waiting_count++;
    if (f->waiting_count > SWKI_FETCH_WAITING_MAX) {
        give_up(f, fetch, "too many values are waited for");
    } else {
        queue(f, fetch);
    }
    return fetch;
}

static void wipe_value(struct swki_fetcher *f, struct swki_fetch *fetch)
{
    if (fetch->value != NULL) {
        swki_wipe(fetch->value, fetch->value_len);
        swki_free(f->config.alloc, fetch->value);
        f->held -= fetch->value_len;
    }
}

static void free_fetch(struct swki_fetcher *f, struct swki_fetch *fetch)
{
    detach(f, fetch);
    wipe_value(f, fetch);
    swki_free(f->config.alloc, fetch->why);
    swki_object_unref(fetch->secret);
    swki_object_unref(fetch->task);
    swki_free(f->config.alloc, fetch);
}

/* The provider does not know that one which it was asked for is not wanted any
 * more: that counts on, or whoever asks and drops without end would have it
 * asked without bound. */
void swki_fetcher_drop(struct swki_fetcher *f, struct swki_fetch *fetch)
{
    if (fetch == NULL) {
        return;
    }
    if (is_waiting(fetch)) {
        f->waiting_count--;
    }
    swki_list_remove(&fetch->news);
    if (fetch->state == SWKI_FETCH_ASKED) {
        fetch->state = SWKI_FETCH_DROPPED;
        fetch->owner = NULL;
    } else {
        free_fetch(f, fetch);
    }
}

void swki_fetcher_free(struct swki_fetcher *f)
{
    if (f == NULL) {
        return;
    }
    while (!swki_list_empty(&f->asked)) {
        free_fetch(f, SWKI_CONTAINER(f->asked.next, struct swki_fetch, link));
    }
    swki_timers_fini(&f->timers);
    swki_arena_fini(&f->arena);
    swki_free(f->config.alloc, f);
}

struct swki_fetch *swki_fetcher_next_news(struct swki_fetcher *f)
{
    struct swki_fetch *fetch;

    if (swki_list_empty(&f->news)) {
        return NULL;
    }
    fetch = SWKI_CONTAINER(f->news.next, struct swki_fetch, news);
    swki_list_remove(&fetch->news);
    return fetch;
}

struct swki_fetch *swki_fetcher_next_ended(struct swki_fetcher *f)
{
    struct swki_fetch *fetch;

    if (swki_list_empty(&f->ended)) {
        return NULL;
    }
    fetch = SWKI_CONTAINER(f->ended.next, struct swki_fetch, link);
    swki_list_remove(&fetch->link);
    return fetch;
}

/* -- Work ----------------------------------------------------------------- */

static bool driver_is_busy(const struct swki_fetcher *f, const char *driver)
{
    int count = 0;

    for (const struct swki_link *link = f->asked.next; link != &f->asked;
         link = link->next) {
        if (strcmp(driver_of(SWKI_CONTAINER(link, struct swki_fetch, link)),
                   driver) == 0) {
            count++;
        }
    }
    return count >= SWKI_FETCH_ASKED_OF_DRIVER_MAX;
}

/* The first whose driver is not busy, so that one that hangs stops no other. */
static struct swki_fetch *choose(const struct swki_fetcher *f)
{
    if (f->asked_count >= SWKI_FETCH_ASKED_MAX ||
        f->held >= SWKI_FETCH_HELD_MAX) {
        return NULL;
    }
    for (struct swki_link *link = f->queued.next; link != &f->queued;
         link = link->next) {
        struct swki_fetch *fetch =
            SWKI_CONTAINER(link, struct swki_fetch, link);

        if (!driver_is_busy(f, driver_of(fetch))) {
            return fetch;
        }
    }
    return NULL;
}

static bool fill_work(struct swki_fetcher *f, const struct swki_fetch *fetch,
                      swk_time limit)
{
    swki_arena_reset(&f->arena);
    f->work.id = fetch->id;
    if (!swki_secret_request_fill(fetch->secret, fetch->task, fetch->node_id,
                                  &f->arena, &f->work.request)) {
        return false;
    }
    f->work.request.timeout_ns = limit;
    return true;
}

const struct swki_fetch_work *swki_fetcher_next_work(struct swki_fetcher *f,
                                                     swk_time now)
{
    struct swki_fetch *fetch;

    while ((fetch = choose(f)) != NULL) {
        swk_time until = earlier(now + SWKI_FETCH_ATTEMPT, fetch->give_up);

        detach(f, fetch);
        fetch->state = SWKI_FETCH_ASKED;
        fetch->id = ++f->last_id;
        fetch->attempts++;
        f->asked_count++;
        swki_list_append(&f->asked, &fetch->link);
        if (until > now && swki_timers_set(&f->timers, &fetch->timer, until) &&
            fill_work(f, fetch, until - now)) {
            return &f->work;
        }
        give_up(f, fetch, until > now ? "out of memory" : "no time is left");
    }
    return NULL;
}

static struct swki_fetch *find_asked(const struct swki_fetcher *f, uint64_t id)
{
    for (struct swki_link *link = f->asked.next; link != &f->asked;
         link = link->next) {
        struct swki_fetch *fetch =
            SWKI_CONTAINER(link, struct swki_fetch, link);

        if (fetch->id == id) {
            return fetch;
        }
    }
    return NULL;
}

static bool is_final(int code)
{
    return code == SWK_EDENIED || code == SWK_EMALFORMED ||
           code == SWK_EINVAL || code == SWK_ENOTSUP || code == SWK_ENOTFOUND;
}

/* The reason is a stranger's. */
static void take_failure(struct swki_fetcher *f, struct swki_fetch *fetch,
                         swk_time now, const struct swk_secret_result *result)
{
    struct swk_error why;

    swki_fail(&why, result->code, "%s",
              result->text != NULL ? result->text
                                   : swk_error_name(result->code));
    swki_utf8_repair(why.text);
    if (is_final(result->code)) {
        give_up(f, fetch, why.text);
    } else {
        try_later(f, fetch, now, why.text);
    }
}

void swki_fetcher_worked(struct swki_fetcher *f, swk_time now, uint64_t id,
                         const struct swk_secret_result *result)
{
    struct swki_fetch *fetch = find_asked(f, id);
    const size_t len = result->value.len;

    if (fetch == NULL) {
        return;
    }
    if (fetch->state == SWKI_FETCH_DROPPED) {
        free_fetch(f, fetch);
        return;
    }
    if (result->code != 0) {
        take_failure(f, fetch, now, result);
        return;
    }
    if (len == 0 || len > SWK_SECRET_VALUE_MAX) {
        give_up(f, fetch,
                len == 0 ? "the value is empty" : "the value is too large");
        return;
    }
    fetch->value = swki_alloc(f->config.alloc, len);
    if (fetch->value == NULL) {
        give_up(f, fetch, "out of memory");
        return;
    }
    memcpy(fetch->value, result->value.data, len);
    fetch->value_len = len;
    fetch->do_not_reuse = result->do_not_reuse != 0;
    f->held += len;
    end(f, fetch, SWKI_FETCH_READY);
}

/* -- Time ----------------------------------------------------------------- */

void swki_fetcher_expire(struct swki_fetcher *f, swk_time now)
{
    struct swki_timer *timer;

    while ((timer = swki_timers_expire(&f->timers, now)) != NULL) {
        struct swki_fetch *fetch =
            SWKI_CONTAINER(timer, struct swki_fetch, timer);

        if (fetch->state == SWKI_FETCH_DROPPED) {
            free_fetch(f, fetch);
        } else if (now >= fetch->give_up) {
            give_up(f, fetch, "no answer in time");
        } else if (fetch->state == SWKI_FETCH_ASKED) {
            try_later(f, fetch, now, "no answer in time");
        } else {
            queue(f, fetch);
        }
    }
}

swk_time swki_fetcher_deadline(const struct swki_fetcher *f)
{
    return swki_list_empty(&f->ended) ? swki_timers_deadline(&f->timers) : 0;
}

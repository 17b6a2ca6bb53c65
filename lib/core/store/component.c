/* SPDX-License-Identifier: Apache-2.0 */

#include "core/store/component.h"

#include "base/log.h"

static const swk_time pause_min = 100 * SWK_MILLISECOND;
static const swk_time pause_max = 5 * SWK_SECOND;

void swki_component_init(struct swki_component *component, const char *name,
                         struct swki_store *store,
                         const struct swk_logger *logger, uint32_t kinds)
{
    *component = (struct swki_component){
        .name = name,
        .logger = logger,
        .store = store,
        .kinds = kinds,
        .stale = true,
        .pause = pause_min,
    };
}

void swki_component_fini(struct swki_component *component)
{
    swki_watch_free(component->watch);
    component->watch = NULL;
}

bool swki_component_due(struct swki_component *component, swk_time now)
{
    if (component->retry_at > now) {
        return false;
    }
    component->retry_at = 0;
    return true;
}

bool swki_component_restart(struct swki_component *component)
{
    swki_watch_free(component->watch);
    component->watch =
        swki_store_watch(component->store, SWKI_FEED_HEAD, component->kinds,
                         SWKI_COMPONENT_EVENTS_MAX);
    component->stale = component->watch == NULL;
    return !component->stale;
}

const struct swki_event *swki_component_next(struct swki_component *component)
{
    const struct swki_event *event;

    if (component->stale) {
        return NULL;
    }
    do {
        event = swki_watch_next(component->watch);
    } while (event != NULL && event->change == SWKI_CHANGE_COMMIT);
    if (event != NULL && event->change == SWKI_CHANGE_RESET) {
        component->stale = true;
        return NULL;
    }
    return event;
}

void swki_component_failed(struct swki_component *component, swk_time now,
                           int code, const char *text)
{
    swki_log(component->logger, SWK_LOG_WARN, component->name,
             "a step failed and will be repeated: %s",
             text != NULL && text[0] != '\0' ? text : swk_error_name(code));
    component->stale = true;
    component->retry_at = now + component->pause;
    component->pause *= 2;
    if (component->pause > pause_max) {
        component->pause = pause_max;
    }
}

void swki_component_succeeded(struct swki_component *component)
{
    component->pause = pause_min;
}

bool swki_component_pending(const struct swki_component *component)
{
    if (component->retry_at != 0) {
        return false;
    }
    return component->stale || swki_watch_pending(component->watch);
}

swk_time swki_component_deadline(const struct swki_component *component,
                                 swk_time own)
{
    return component->retry_at != 0 ? component->retry_at : own;
}

bool swki_component_can_write(const struct swki_component *component)
{
    return swki_store_in_flight(component->store) <
           SWKI_STORE_IN_FLIGHT_MAX / 2;
}

/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The frame of a component that lives on the leader and works on the store.
 *
 * Every one of them has the same shape: it reads head once, follows head by a
 * watch, and writes transactions as its actor. What it keeps in memory can be
 * made again from head at any time. So there is one answer to everything that
 * may go wrong (a commit that fails, memory that is short, a watch that fell
 * behind): pause, then forget all and read head again. Nothing can be lost,
 * because nothing is remembered that the store does not know.
 */

#ifndef SWKI_STORE_COMPONENT_H
#define SWKI_STORE_COMPONENT_H

#include "core/store/store.h"

enum {
    SWKI_COMPONENT_EVENTS_MAX = 1 << 20, /* a watch may fall behind so far */
    SWKI_COMPONENT_STEP_EVENTS = 20000,  /* taken in by one step */
    SWKI_COMPONENT_STEP_CHANGES = 2000,  /* written by one step */
};

struct swki_component {
    const char *name;
    const struct swk_logger *logger;
    struct swki_store *store;
    struct swki_watch *watch;
    uint32_t kinds;
    bool stale;        /* head must be read again */
    swk_time retry_at; /* nothing is done before; 0 when not pausing */
    swk_time pause;    /* the next one's length */
};

/* kinds is a set of bits (1 << kind). The component starts stale. */
void swki_component_init(struct swki_component *component, const char *name,
                         struct swki_store *store,
                         const struct swk_logger *logger, uint32_t kinds);
void swki_component_fini(struct swki_component *component);

/* Whether the component may work now; ends a pause that is over. */
bool swki_component_due(struct swki_component *component, swk_time now);

/* Starts a fresh watch, before head is read again; false for no memory. */
bool swki_component_restart(struct swki_component *component);

/* The next event but COMMIT; a RESET makes the component stale and ends the
 * walk. NULL when nothing is left. */
const struct swki_event *swki_component_next(struct swki_component *component);

/* A write or an allocation failed: pause, and read head again. The pause grows
 * up to a few seconds until swki_component_succeeded(). */
void swki_component_failed(struct swki_component *component, swk_time now,
                           int code, const char *text);
void swki_component_succeeded(struct swki_component *component);

/* Something to do at once, apart from what the component itself knows. */
bool swki_component_pending(const struct swki_component *component);

/* The component's own deadline, or the end of its pause. */
swk_time swki_component_deadline(const struct swki_component *component,
                                 swk_time own);

/* Whether the store can take many more proposals; write later if not. */
bool swki_component_can_write(const struct swki_component *component);

#endif

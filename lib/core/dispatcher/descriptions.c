/* SPDX-License-Identifier: Apache-2.0 */

/* What nodes say of themselves: how much it may be, and how often. */

#include "base/error.h"
#include "core/dispatcher/internal.h"
#include "wire/message.h"

/* How far from whole an allowance may be for one more to be taken of it. */
#define SPENT_MAX                                                              \
    ((SWKI_DISPATCHER_DESCRIPTIONS_AT_ONCE - 1) *                              \
     SWKI_DISPATCHER_DESCRIPTION_INTERVAL)

int swki_dispatcher_check_description(const Swkpb__NodeDescription *description,
                                      struct swk_error *err)
{
    const Swkpb__Resources *resources = description->resources;

    if (protobuf_c_message_get_packed_size(&description->base) >
        SWKI_DISPATCHER_DESCRIPTION_MAX) {
        return swki_fail(err, SWK_ELIMIT, "node description is too large");
    }
    if (swki_message_parts(&description->base) > SWKI_DISPATCHER_PARTS_MAX) {
        return swki_fail(err, SWK_ELIMIT,
                         "node description has more than %d parts: labels, "
                         "plugins, resources, rules of consent",
                         SWKI_DISPATCHER_PARTS_MAX);
    }
    if (resources != NULL &&
        (resources->nano_cpus < 0 || resources->memory_bytes < 0)) {
        return swki_fail(err, SWK_EINVAL,
                         "node description has negative resources");
    }
    return SWK_OK;
}

static bool is_news(const struct swki_dispatcher *d, const struct node *node,
                    const ProtobufCMessage *description)
{
    const struct swki_object *stored =
        swki_view_get(swki_store_head(d->store), SWKI_KIND_NODE, node->id);

    return stored != NULL &&
           (swki_node(stored)->description == NULL ||
            !swki_message_equal(&swki_node(stored)->description->base,
                                description));
}

/* Takes one of the allowance. */
static void spend(const struct swki_dispatcher *d, struct node *node)
{
    if (node->allowance_whole_at < d->now) {
        node->allowance_whole_at = d->now;
    }
    node->allowance_whole_at += SWKI_DISPATCHER_DESCRIPTION_INTERVAL;
}

/* Lets the description wait for its turn, or not, as the allowance says. False
 * for no memory. */
static bool pace(struct swki_dispatcher *d, struct node *node, bool news)
{
    bool is_spent = node->allowance_whole_at > d->now + SPENT_MAX;

    if (news && is_spent) {
        return swki_timers_set(&d->timers, &node->description_timer,
                               node->allowance_whole_at - SPENT_MAX);
    }
    swki_timers_cancel(&d->timers, &node->description_timer);
    if (news) {
        spend(d, node);
    }
    return true;
}

int swki_dispatcher_set_description(struct swki_dispatcher *d,
                                    struct node *node,
                                    const Swkpb__NodeDescription *description)
{
    struct swki_arena arena;
    ProtobufCMessage *copy;

    swki_arena_init(&arena, d->config.alloc, SIZE_MAX);
    copy = swki_message_copy(&description->base, &arena);
    if (copy != NULL) {
        swki_message_drop_unknown(copy);
    }
    if (copy == NULL || !pace(d, node, is_news(d, node, copy))) {
        swki_arena_fini(&arena);
        return SWK_ENOMEM;
    }
    swki_arena_fini(&node->description_arena);
    node->description_arena = arena;
    node->description = (Swkpb__NodeDescription *)copy;
    return SWK_OK;
}

void swki_dispatcher_expire_description(struct swki_dispatcher *d,
                                        struct node *node)
{
    spend(d, node);
    swki_dispatcher_queue_write(d, node);
}

bool swki_dispatcher_description_waits(const struct node *node)
{
    return node->description_timer.index != 0;
}

/* SPDX-License-Identifier: Apache-2.0 */

#include "core/control/retries.h"

#include <string.h>

#include "base/alloc.h"

void swki_retries_init(struct swki_retries *retries,
                       const struct swk_alloc *alloc, size_t count_max,
                       size_t bytes_max)
{
    *retries = (struct swki_retries){
        .alloc = alloc, .count_max = count_max, .bytes_max = bytes_max};
    swki_map_init(&retries->map, alloc);
    swki_list_init(&retries->list);
}

static struct swki_retry *oldest(struct swki_retries *retries)
{
    return SWKI_CONTAINER(retries->list.next, struct swki_retry, link);
}

static void forget(struct swki_retries *retries, struct swki_retry *retry)
{
    swki_map_remove(&retries->map, retry->key);
    swki_list_remove(&retry->link);
    retries->count--;
    retries->bytes -= retry->message_len;
    swki_free(retries->alloc, retry->key);
    swki_free(retries->alloc, retry);
}

void swki_retries_fini(struct swki_retries *retries)
{
    while (!swki_list_empty(&retries->list)) {
        forget(retries, oldest(retries));
    }
    swki_map_fini(&retries->map);
}

const char *swki_retries_key(const struct swki_call *call,
                             struct swki_arena *arena)
{
    return swki_arena_printf(arena, "%s %s", call->path,
                             call->caller->request_id);
}

const struct swki_retry *swki_retries_find(const struct swki_retries *retries,
                                           const char *key)
{
    return swki_map_get(&retries->map, key);
}

void swki_retries_add(struct swki_retries *retries, const char *key,
                      const struct swki_answer *answer)
{
    struct swki_retry *old = swki_map_get(&retries->map, key);

    if (old != NULL) {
        forget(retries, old);
    }
    if (answer->message_len > retries->bytes_max) {
        return;
    }

    struct swki_retry *retry = swki_alloc(
        retries->alloc, sizeof(*retry) + answer->message_len);
    char *own_key = swki_strdup(retries->alloc, key);
    if (retry == NULL || own_key == NULL ||
        !swki_map_put(&retries->map, own_key, retry)) {
        swki_free(retries->alloc, own_key);
        swki_free(retries->alloc, retry);
        return;
    }

    *retry = (struct swki_retry){
        .key = own_key,
        .index = answer->index,
        .message_len = answer->message_len,
    };
    if (answer->message_len > 0) {
        memcpy(retry->message, answer->message, answer->message_len);
    }
    swki_list_append(&retries->list, &retry->link);
    retries->count++;
    retries->bytes += retry->message_len;
    while (retries->count > retries->count_max ||
           retries->bytes > retries->bytes_max) {
        forget(retries, oldest(retries));
    }
}

void swki_retries_forget(struct swki_retries *retries, uint64_t committed_index)
{
    struct swki_link *at = retries->list.next;

    while (at != &retries->list) {
        struct swki_retry *retry = SWKI_CONTAINER(at, struct swki_retry, link);

        at = at->next;
        if (retry->index > committed_index) {
            forget(retries, retry);
        }
    }
}

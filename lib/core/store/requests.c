/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The requests that were carried out, as every manager remembers them.
 *
 * What is remembered follows from the log alone, so that all managers know the
 * same, and a leader, which has applied all of it before it leads, recognises
 * a retry of what an earlier one was asked.
 */

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "core/store/codec.h"
#include "core/store/store_impl.h"

void swki_request_log_init(struct swki_request_log *log,
                           const struct swk_alloc *alloc)
{
    *log = (struct swki_request_log){.alloc = alloc};
    swki_map_init(&log->map, alloc);
    swki_list_init(&log->list);
}

static void forget(struct swki_request_log *log,
                   struct swki_store_request *request)
{
    swki_map_remove(&log->map, request->key);
    swki_list_remove(&request->link);
    swki_free(log->alloc, request);
    log->count--;
}

static struct swki_store_request *request_of(const struct swki_link *link)
{
    return SWKI_CONTAINER((struct swki_link *)(uintptr_t)link,
                          struct swki_store_request, link);
}

void swki_request_log_fini(struct swki_request_log *log)
{
    while (!swki_list_empty(&log->list)) {
        forget(log, request_of(log->list.next));
    }
    swki_map_fini(&log->map);
}

struct swki_store_request *swki_store_request_new(const struct swk_alloc *alloc,
                                      const char *key, const char *object_id)
{
    size_t key_size = strlen(key) + 1;
    size_t id_size = strlen(object_id) + 1;
    struct swki_store_request *request =
        swki_alloc(alloc, sizeof(*request) + key_size + id_size);

    if (request == NULL) {
        return NULL;
    }
    swki_list_init(&request->link);
    request->index = 0;
    memcpy(request->key, key, key_size);
    request->object_id =
        memcpy(request->key + key_size, object_id, id_size);
    return request;
}

void swki_request_log_add(struct swki_request_log *log,
                          struct swki_store_request *request, uint64_t index)
{
    struct swki_store_request *old;

    if (request == NULL) {
        return;
    }
    old = swki_map_get(&log->map, request->key);
    if (old != NULL) {
        forget(log, old);
    }
    request->index = index;
    if (!swki_map_put(&log->map, request->key, request)) {
        swki_free(log->alloc, request);
        return;
    }
    swki_list_append(&log->list, &request->link);
    log->count++;
    if (log->count > SWKI_STORE_REQUESTS_MAX) {
        forget(log, request_of(log->list.next));
    }
}

void swki_request_log_take(struct swki_request_log *log,
                           const Swkpb__Rpc__DoneRequest *message,
                           uint64_t index)
{
    if (message != NULL && message->key[0] != '\0' &&
        strlen(message->key) <= SWKI_STORE_REQUEST_KEY_MAX &&
        strlen(message->object_id) <= SWK_ID_LEN_MAX) {
        swki_request_log_add(log,
                             swki_store_request_new(log->alloc, message->key,
                                                    message->object_id),
                             index);
    }
}

void swki_request_log_replace(struct swki_request_log *log,
                              struct swki_request_log *others)
{
    swki_request_log_fini(log);
    swki_request_log_init(log, others->alloc);
    while (!swki_list_empty(&others->list)) {
        struct swki_store_request *request = request_of(others->list.next);

        swki_map_remove(&others->map, request->key);
        swki_list_remove(&request->link);
        swki_request_log_add(log, request, request->index);
    }
    swki_map_fini(&others->map);
}

bool swki_store_find_request(const struct swki_store *store, const char *key,
                             struct swki_done_request *out_request)
{
    const struct swki_store_request *request =
        swki_map_get(&store->requests.map, key);

    if (request == NULL) {
        return false;
    }
    *out_request = (struct swki_done_request){
        .index = request->index,
        .key = request->key,
        .object_id = request->object_id,
    };
    return true;
}

int swki_store_save_requests(const struct swki_store *store,
                             struct swki_buf *out, struct swk_error *err)
{
    const struct swki_link *list = &store->requests.list;
    size_t start = out->len;

    for (const struct swki_link *at = list->next; at != list; at = at->next) {
        const struct swki_store_request *request = request_of(at);

        if (!swki_codec_add_request(out, request->index, request->key,
                                    request->object_id)) {
            out->len = start;
            return swki_fail_nomem(err);
        }
    }
    return SWK_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */

#include "lib/storelog.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "core/store/codec.h"

static uint64_t next_index(void *ctx)
{
    struct storelog *log = ctx;

    return log->leads ? log->last + 1 : 0;
}

static int append(void *ctx, const uint8_t *data, size_t len,
                  struct swk_error *err)
{
    struct storelog *log = ctx;
    uint64_t index = log->last + 1;
    uint8_t *copy;

    if (!log->leads || index >= STORELOG_SIZE) {
        return swki_fail(err, SWK_ENOTLEADER, "not the leader");
    }
    copy = malloc(len);
    if (copy == NULL) {
        return swki_fail_nomem(err);
    }
    memcpy(copy, data, len);
    log->entries[index].data = copy;
    log->entries[index].len = len;
    log->last = index;
    return SWK_OK;
}

struct swki_proposer storelog_proposer(struct storelog *log)
{
    return (struct swki_proposer){
        .ctx = log,
        .next_index = next_index,
        .propose = append,
    };
}

void storelog_fini(struct storelog *log)
{
    for (size_t i = 0; i < STORELOG_SIZE; i++) {
        free(log->entries[i].data);
    }
    memset(log, 0, sizeof(*log));
}

int storelog_commit_one(struct storelog *log, struct swki_store *store)
{
    uint64_t index = ++log->committed;

    return swki_store_apply(store, index, log->entries[index].data,
                            log->entries[index].len, NULL);
}

void storelog_commit_all(struct storelog *log, struct swki_store *store)
{
    while (log->committed < log->last) {
        if (storelog_commit_one(log, store) < 0) {
            abort();
        }
    }
}

int storelog_seed(struct storelog *log, struct swki_store *store,
                  struct swki_object *object)
{
    bool leads = log->leads;
    struct swki_buf entry;
    int rc;

    swki_buf_init(&entry, NULL, SIZE_MAX);
    rc = swki_codec_begin_entry(&entry, log->last + 1) ? SWK_OK : SWK_ENOMEM;
    if (rc == SWK_OK) {
        rc = swki_codec_add_action(&entry, SWKI_CHANGE_CREATE, object, NULL);
    }
    log->leads = true;
    if (rc == SWK_OK) {
        rc = append(log, entry.data, entry.len, NULL);
    }
    log->leads = leads;
    swki_buf_fini(&entry);
    swki_object_unref(object);
    return rc < 0 ? rc : storelog_commit_one(log, store);
}

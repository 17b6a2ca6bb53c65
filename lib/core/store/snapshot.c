/* SPDX-License-Identifier: Apache-2.0 */

/* Snapshots: docker.swarmkit.v1.Snapshot, written and read object by object. */

#include <stdio.h>

#include "base/error.h"
#include "core/store/codec.h"
#include "core/store/object_impl.h"
#include "core/store/store_impl.h"
#include "wire/message.h"

enum {
    VERSION = 0,
    STORE_FIELD = 3,
    LEN_SIZE = 5, /* a length of up to 32 GiB, with padding */
};

/* -- Saving ---------------------------------------------------------------- */

/* Writes a length into the room that was left for it: a varint whose last
 * bytes may be empty. */
static void put_len(uint8_t *room, size_t len)
{
    for (unsigned i = 0; i < LEN_SIZE; i++) {
        room[i] = (uint8_t)((len >> (7 * i) & 0x7f) |
                            (i + 1 < LEN_SIZE ? 0x80 : 0));
    }
}

void swki_saver_init(struct swki_saver *saver, const struct swki_view *view)
{
    *saver = (struct swki_saver){.view = swki_view_ref(view)};
}

void swki_saver_fini(struct swki_saver *saver)
{
    if (saver->open) {
        swki_cursor_close(&saver->cursor);
    }
    swki_view_unref(saver->view);
    *saver = (struct swki_saver){.kind = SWKI_KINDS_COUNT};
}

bool swki_saver_done(const struct swki_saver *saver)
{
    return saver->kind == SWKI_KINDS_COUNT;
}

/* Appends the next object; or goes on to the next kind when there is none. */
static int save_next(struct swki_saver *saver, struct swki_buf *out,
                     struct swk_error *err)
{
    const struct swki_selector all = {.by = SWKI_BY_ALL};
    const struct swki_object *object;

    if (!saver->open) {
        int rc = swki_view_find(saver->view,
                                swki_codec_snapshot_order(saver->kind), &all,
                                &saver->cursor, err);

        if (rc != SWK_OK) {
            return rc;
        }
        saver->open = true;
    }
    object = swki_cursor_next(&saver->cursor);
    if (object != NULL) {
        return swki_codec_add_object(out, object, err);
    }
    swki_cursor_close(&saver->cursor);
    saver->open = false;
    saver->kind++;
    return SWK_OK;
}

/* Each piece is a field "store" of its own: decoders join them. */
int swki_saver_next(struct swki_saver *saver, size_t size, struct swki_buf *out,
                    struct swk_error *err)
{
    static const uint8_t head[] = {STORE_FIELD << 3 | 2, 0, 0, 0, 0, 0};
    size_t start = out->len;
    int rc = SWK_OK;

    /* Version 0 is what its absence stands for. */
    if (!swki_buf_append(out, head, sizeof(head))) {
        return swki_fail_nomem(err);
    }
    while (rc == SWK_OK && !swki_saver_done(saver) &&
           out->len - start < size) {
        rc = save_next(saver, out, err);
    }
    if (rc < 0) {
        out->len = start;
        return rc;
    }
    put_len(out->data + start + 1, out->len - start - sizeof(head));
    return SWK_OK;
}

int swki_view_save(const struct swki_view *view, struct swki_buf *out,
                   struct swk_error *err)
{
    struct swki_saver saver;
    int rc;

    swki_saver_init(&saver, view);
    rc = swki_saver_next(&saver, SIZE_MAX, out, err);
    swki_saver_fini(&saver);
    return rc;
}

/* -- Restoring ------------------------------------------------------------- */

static int restore_object(struct swki_tx *tx, enum swki_kind kind,
                          const struct swki_field *field,
                          struct swki_arena *arena, struct swk_error *err)
{
    ProtobufCMessage *message;
    const struct swki_object *old;
    struct swki_object *object;
    int rc = swki_message_unpack(swki_kind_type(kind), field->data, field->len,
                                 arena, &message, err);

    if (rc < 0) {
        return rc;
    }
    old = swki_view_get(tx->view, kind, ((const Swkpb__Node *)message)->id);
    object = swki_store_take(tx->view, tx->store->alloc, kind, message, old);
    if (object == NULL) {
        return swki_fail_nomem(err);
    }
    return old == NULL ? swki_tx_put_new(tx, object, err)
                       : swki_tx_put_next(tx, old, object, err);
}

/* No object is larger than the entry that it came with, so there is no limit of
 * memory here either. */
static int restore_store(struct swki_tx *tx, const uint8_t *data, size_t len,
                         struct swk_error *err)
{
    struct swki_reader reader = {.data = data, .len = len};
    struct swki_arena arena;
    struct swki_field field;
    int rc;

    swki_arena_init(&arena, tx->store->alloc, SIZE_MAX);
    while ((rc = swki_reader_next(&reader, &field)) > 0) {
        enum swki_kind kind = swki_codec_snapshot_kind(field.number);

        if (kind == SWKI_KINDS_COUNT) {
            continue; /* of a newer version */
        }
        if (field.data == NULL) {
            rc = SWK_EMALFORMED;
            break;
        }
        swki_arena_reset(&arena);
        rc = restore_object(tx, kind, &field, &arena, err);
        if (rc < 0) {
            break;
        }
    }
    swki_arena_fini(&arena);
    return rc == SWK_EMALFORMED
               ? swki_fail(err, rc, "store: the snapshot is malformed")
               : rc;
}

/* Deletes what the snapshot does not have: what it has is of this epoch. */
static int delete_others(struct swki_tx *tx, enum swki_kind kind,
                         struct swk_error *err)
{
    const struct swki_selector all = {.by = SWKI_BY_ALL};
    struct swki_cursor cursor;
    const struct swki_object *object;
    int rc = swki_view_find(tx->view, kind, &all, &cursor, err);

    if (rc < 0) {
        return rc;
    }
    while (rc == SWK_OK && (object = swki_cursor_next(&cursor)) != NULL) {
        if (object->born != tx->writer.epoch) {
            rc = swki_tx_put_gone(tx, object, err);
        }
    }
    swki_cursor_close(&cursor);
    return rc;
}

static int restore_request(struct swki_request_log *requests,
                           const struct swki_field *field,
                           struct swk_error *err)
{
    struct swki_arena arena;
    ProtobufCMessage *message;
    int rc;

    swki_arena_init(&arena, requests->alloc,
                    swki_message_memory_max(field->len));
    rc = swki_message_unpack(&swkpb__rpc__done_request__descriptor,
                             field->data, field->len, &arena, &message, err);
    if (rc == SWK_OK) {
        const Swkpb__Rpc__DoneRequest *request =
            (const Swkpb__Rpc__DoneRequest *)message;

        swki_request_log_take(requests, request, request->index);
    }
    swki_arena_fini(&arena);
    return rc;
}

static int restore_all(struct swki_tx *tx, const uint8_t *data, size_t len,
                       struct swki_request_log *requests,
                       struct swk_error *err)
{
    struct swki_reader reader = {.data = data, .len = len};
    struct swki_field field;
    int rc;

    while ((rc = swki_reader_next(&reader, &field)) > 0) {
        if (field.number == 1 && field.value != VERSION) {
            return swki_fail(err, SWK_ENOTSUP,
                             "unrecognized snapshot version %d",
                             (int)field.value);
        }
        if (field.number == STORE_FIELD && field.data != NULL) {
            rc = restore_store(tx, field.data, field.len, err);
            if (rc < 0) {
                return rc;
            }
        }
        if (field.number == SWKI_CODEC_REQUEST_FIELD && field.data != NULL) {
            rc = restore_request(requests, &field, err);
            if (rc < 0) {
                return rc;
            }
        }
    }
    if (rc < 0) {
        return swki_fail(err, rc, "store: the snapshot is malformed");
    }
    for (int kind = 0; kind < SWKI_KINDS_COUNT && rc == SWK_OK; kind++) {
        rc = delete_others(tx, (enum swki_kind)kind, err);
    }
    return rc;
}

int swki_store_restore(struct swki_store *store, uint64_t index,
                       const uint8_t *data, size_t len, struct swk_error *err)
{
    struct swki_request_log requests;
    struct swki_tx *tx;
    int rc;

    swki_store_lose_leadership(store);
    if (store->tx != NULL) {
        store->tx->is_stale = true;
    }
    tx = swki_tx_open(store);
    if (tx == NULL) {
        return swki_fail_nomem(err);
    }
    swki_request_log_init(&requests, store->alloc);
    rc = restore_all(tx, data, len, &requests, err);
    if (rc < 0) {
        swki_request_log_fini(&requests);
        swki_tx_abort(tx);
        return rc;
    }
    swki_tx_install(tx, index);
    swki_request_log_replace(&store->requests, &requests);
    store->failed = SWK_OK;
    return SWK_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Decodes any bytes as one of several types; the first byte chooses. What is
 * accepted must survive being packed, copied, compared and shown, unchanged.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher.pb-c.h"
#include "objects.pb-c.h"
#include "raft.pb-c.h"
#include "raftpb/raft.pb-c.h"
#include "snapshot.pb-c.h"
#include "watch.pb-c.h"
#include "wire/json.h"
#include "wire/message.h"

static const ProtobufCMessageDescriptor *const types[] = {
    &swkpb__task__descriptor,
    &swkpb__service__descriptor,
    &swkpb__node__descriptor,
    &swkpb__cluster__descriptor,
    &swkpb__network__descriptor,
    &swkpb__volume__descriptor,
    &swkpb__snapshot__descriptor,
    &swkpb__internal_raft_request__descriptor,
    &swkpb__assignments_message__descriptor,
    &swkpb__watch_message__descriptor,
    &swkpb__raft__message__descriptor,
    &swkpb__raft__conf_state__descriptor,
};

static void require(int holds)
{
    if (!holds) {
        abort();
    }
}

/* What was packed decodes to the same, and packs to the same once more. */
static void check_pack(const ProtobufCMessage *message)
{
    ProtobufCMessage *again = NULL;
    struct swki_arena arena;
    struct swki_buf first;
    struct swki_buf second;

    swki_arena_init(&arena, NULL, SIZE_MAX);
    swki_buf_init(&first, NULL, SIZE_MAX);
    swki_buf_init(&second, NULL, SIZE_MAX);
    require(swki_message_pack(message, &first, NULL) == SWK_OK);
    require(first.len == swki_message_packed_size(message));
    require(swki_message_unpack(message->descriptor, first.data, first.len,
                                &arena, &again, NULL) == SWK_OK);
    require(swki_message_equal(message, again));
    require(swki_message_equal(again, message));
    require(swki_message_pack(again, &second, NULL) == SWK_OK);
    require(first.len == second.len &&
            memcmp(first.data, second.data, first.len) == 0);
    swki_buf_fini(&second);
    swki_buf_fini(&first);
    swki_arena_fini(&arena);
}

static void check_copy(const ProtobufCMessage *message)
{
    struct swki_arena arena;
    ProtobufCMessage *copy;

    swki_arena_init(&arena, NULL, SIZE_MAX);
    copy = swki_message_copy(message, &arena);
    require(copy != NULL && swki_message_equal(message, copy));
    require(swki_message_packed_size(message) ==
            swki_message_packed_size(copy));
    swki_arena_fini(&arena);
}

static void check_json(const ProtobufCMessage *message)
{
    struct swki_buf buf;

    swki_buf_init(&buf, NULL, SIZE_MAX);
    require(swki_message_to_json(message, SWKI_JSON_COMPACT, &buf, NULL) ==
            SWK_OK);
    require(buf.len >= 2 && memchr(buf.data, '\n', buf.len) == NULL);
    swki_buf_fini(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ProtobufCMessage *message;
    struct swki_arena arena;

    if (size == 0) {
        return 0;
    }
    swki_arena_init(&arena, NULL, swki_message_memory_max(size));
    if (swki_message_unpack(types[data[0] % (sizeof(types) / sizeof(types[0]))],
                            data + 1, size - 1, &arena, &message,
                            NULL) == SWK_OK) {
        check_pack(message);
        check_copy(message);
        check_json(message);
    }
    swki_arena_fini(&arena);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Any bytes as a message between raft members. What is accepted must survive
 * being encoded, read by the generated code too.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <swarmkit/raft.h>

#include "raftpb/raft.pb-c.h"
#include "wire/message.h"

static void require(int holds)
{
    if (!holds) {
        abort();
    }
}

static void check_generated(const struct swk_raft_message *message,
                            const uint8_t *data, size_t len)
{
    ProtobufCMessage *read = NULL;
    const Swkpb__Raft__Message *m;
    struct swki_arena arena;

    swki_arena_init(&arena, NULL, SIZE_MAX);
    require(swki_message_unpack(&swkpb__raft__message__descriptor, data, len,
                                &arena, &read, NULL) == SWK_OK);
    m = (const Swkpb__Raft__Message *)read;
    require((int32_t)m->type == message->type && m->to == message->to &&
            m->from == message->from && m->term == message->term &&
            m->n_entries == message->entries_count &&
            (m->snapshot != NULL) == (message->snapshot != NULL));
    swki_arena_fini(&arena);
}

/* The same bytes come out of what was read back from them. */
static void check_again(swk_raft_decoder *decoder, const uint8_t *first,
                        size_t len)
{
    struct swk_raft_message message;
    uint8_t *second = malloc(len);

    require(second != NULL);
    require(swk_raft_message_decode(decoder, first, len, &message, NULL) ==
            SWK_OK);
    require(swk_raft_message_size(&message) == len);
    require(swk_raft_message_encode(&message, second) == len);
    require(memcmp(first, second, len) == 0);
    free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct swk_raft_message message;
    swk_raft_decoder *decoder;

    require(swk_raft_decoder_new(NULL, &decoder) == SWK_OK);
    if (swk_raft_message_decode(decoder, data, size, &message, NULL) ==
        SWK_OK) {
        size_t len = swk_raft_message_size(&message);
        uint8_t *bytes = malloc(len);

        require(bytes != NULL);
        require(swk_raft_message_encode(&message, bytes) == len);
        check_generated(&message, bytes, len);
        check_again(decoder, bytes, len);
        free(bytes);
    }
    swk_raft_decoder_free(decoder);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */

#include "wire/service.h"

void swki_answers_init(struct swki_answers *answers,
                       const struct swk_alloc *alloc)
{
    swki_arena_init(&answers->arena, alloc, SIZE_MAX);
    swki_answers_reset(answers);
}

void swki_answers_fini(struct swki_answers *answers)
{
    swki_arena_fini(&answers->arena);
    swki_answers_reset(answers);
}

void swki_answers_reset(struct swki_answers *answers)
{
    swki_arena_reset(&answers->arena);
    answers->first = NULL;
    answers->last = &answers->first;
    answers->failed = false;
}

static struct swki_answer *append(struct swki_answers *answers,
                                  uint64_t call_id)
{
    struct swki_answer *answer =
        swki_arena_calloc(&answers->arena, 1, sizeof(*answer));

    if (answer == NULL) {
        answers->failed = true;
        return NULL;
    }
    answer->call_id = call_id;
    answer->text = "";
    *answers->last = answer;
    answers->last = &answer->next;
    return answer;
}

static struct swki_answer *append_message(struct swki_answers *answers,
                                          uint64_t call_id,
                                          const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *data = swki_arena_alloc(&answers->arena, len);
    struct swki_answer *answer = NULL;

    if (data != NULL) {
        answer = append(answers, call_id);
    }
    if (answer == NULL) {
        answers->failed = true;
        return NULL;
    }
    answer->message = data;
    answer->message_len = protobuf_c_message_pack(message, data);
    return answer;
}

void swki_answer_reply(struct swki_answers *answers, uint64_t call_id,
                       const ProtobufCMessage *message, uint64_t index)
{
    struct swki_answer *answer = append_message(answers, call_id, message);

    if (answer != NULL) {
        answer->end = true;
        answer->status = SWKI_STATUS_OK;
        answer->index = index;
    }
}

void swki_answer_send(struct swki_answers *answers, uint64_t call_id,
                      const ProtobufCMessage *message)
{
    append_message(answers, call_id, message);
}

void swki_answer_end(struct swki_answers *answers, uint64_t call_id,
                     enum swki_status status, const char *text)
{
    struct swki_answer *answer = append(answers, call_id);

    if (answer != NULL) {
        answer->end = true;
        answer->status = status;
        answer->text = swki_arena_strdup(&answers->arena, text);
        if (answer->text == NULL) {
            answer->text = "";
        }
    }
}

void swki_answer_fail(struct swki_answers *answers, uint64_t call_id,
                      const struct swk_error *err)
{
    swki_answer_end(answers, call_id, swki_status_from_error(err->code),
                    err->text);
}

/* SPDX-License-Identifier: Apache-2.0 */

/* Messages as bytes, held against the generated code both ways. */

#include "lib/cmocka_all.h"

#include <stdlib.h>

#include <swarmkit/raft.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/rng.h"
#include "lib/heap.h"
#include "raftpb/raft.pb-c.h"
#include "wire/message.h"

enum {
    ROUNDS = 3000,
};

struct f {
    struct heap heap;
    swk_raft_decoder *decoder;
    struct swki_rng rng;
};

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    heap_init(&f->heap);
    swki_rng_init(&f->rng, 4);
    assert_int_equal(swk_raft_decoder_new(&f->heap.alloc, &f->decoder), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swk_raft_decoder_free(f->decoder);
    assert_int_equal(heap_live(&f->heap), 0);
    free(f);
    return 0;
}

/* -- Any message ---------------------------------------------------------- */

/* A message and room for its parts. */
struct made {
    struct swk_raft_message message;
    struct swk_log_entry entries[5];
    struct swk_snapshot_meta meta;
    uint64_t ids[4][3];
    uint8_t bytes[300];
};

/* Zero at times, and of any length as a varint. */
static uint64_t any_number(struct f *f)
{
    return swki_rng_next(&f->rng) >> swki_rng_below(&f->rng, 64) >>
           (swki_rng_below(&f->rng, 3) == 0 ? 32 : 0);
}

static size_t make_ids(struct f *f, uint64_t ids[3], const uint64_t **out_ids)
{
    size_t count = (size_t)swki_rng_below(&f->rng, 4);

    for (size_t i = 0; i < count; i++) {
        ids[i] = (i > 0 ? ids[i - 1] : 0) + 1 + swki_rng_below(&f->rng, 999);
    }
    *out_ids = count > 0 ? ids : NULL;
    return count;
}

static void make_snapshot(struct f *f, struct made *made)
{
    struct swk_conf_state *conf = &made->meta.conf_state;

    made->meta.index = any_number(f) | 1;
    made->meta.term = any_number(f);
    conf->voters_count = make_ids(f, made->ids[0], &conf->voters);
    conf->learners_count = make_ids(f, made->ids[1], &conf->learners);
    conf->voters_outgoing_count =
        make_ids(f, made->ids[2], &conf->voters_outgoing);
    conf->learners_next_count =
        make_ids(f, made->ids[3], &conf->learners_next);
    conf->auto_leave = (int32_t)swki_rng_below(&f->rng, 2);
    made->message.snapshot = &made->meta;
}

static void make_message(struct f *f, struct made *made)
{
    struct swk_raft_message *m = &made->message;

    memset(made, 0, sizeof(*made));
    swki_rng_fill(&f->rng, made->bytes, sizeof(made->bytes));
    m->type = (int32_t)swki_rng_below(&f->rng, 24);
    m->reject = (int32_t)swki_rng_below(&f->rng, 2);
    m->to = any_number(f);
    m->from = any_number(f);
    m->term = any_number(f);
    m->log_term = any_number(f);
    m->index = any_number(f);
    m->commit = any_number(f);
    m->vote = any_number(f);
    m->reject_hint = any_number(f);
    m->entries_count = (size_t)swki_rng_below(&f->rng, 6);
    m->entries = m->entries_count > 0 ? made->entries : NULL;
    for (size_t i = 0; i < m->entries_count; i++) {
        struct swk_log_entry *entry = &made->entries[i];

        entry->index = any_number(f);
        entry->term = any_number(f);
        entry->type = (int32_t)swki_rng_below(&f->rng, 3);
        entry->data_len = (size_t)swki_rng_below(&f->rng, 200);
        entry->data = entry->data_len > 0 ? made->bytes + i : NULL;
    }
    if (swki_rng_below(&f->rng, 2) == 0) {
        make_snapshot(f, made);
    }
    m->context_len = (size_t)swki_rng_below(&f->rng, 20);
    m->context = m->context_len > 0 ? made->bytes + 7 : NULL;
}

static void assert_ids(const uint64_t *a, size_t a_count, const uint64_t *b,
                       size_t b_count)
{
    assert_int_equal(a_count, b_count);
    if (a_count > 0) {
        assert_memory_equal(a, b, a_count * sizeof(a[0]));
    }
}

static void assert_snapshot(const struct swk_snapshot_meta *a,
                            const struct swk_snapshot_meta *b)
{
    const struct swk_conf_state *x = &a->conf_state;
    const struct swk_conf_state *y = &b->conf_state;

    assert_int_equal(a->index, b->index);
    assert_int_equal(a->term, b->term);
    assert_ids(x->voters, x->voters_count, y->voters, y->voters_count);
    assert_ids(x->learners, x->learners_count, y->learners,
               y->learners_count);
    assert_ids(x->voters_outgoing, x->voters_outgoing_count,
               y->voters_outgoing, y->voters_outgoing_count);
    assert_ids(x->learners_next, x->learners_next_count, y->learners_next,
               y->learners_next_count);
    assert_int_equal(x->auto_leave, y->auto_leave);
}

static void assert_message(const struct swk_raft_message *a,
                           const struct swk_raft_message *b)
{
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->reject, b->reject);
    assert_int_equal(a->to, b->to);
    assert_int_equal(a->from, b->from);
    assert_int_equal(a->term, b->term);
    assert_int_equal(a->log_term, b->log_term);
    assert_int_equal(a->index, b->index);
    assert_int_equal(a->commit, b->commit);
    assert_int_equal(a->vote, b->vote);
    assert_int_equal(a->reject_hint, b->reject_hint);
    assert_int_equal(a->entries_count, b->entries_count);
    for (size_t i = 0; i < a->entries_count; i++) {
        assert_int_equal(a->entries[i].index, b->entries[i].index);
        assert_int_equal(a->entries[i].term, b->entries[i].term);
        assert_int_equal(a->entries[i].type, b->entries[i].type);
        assert_int_equal(a->entries[i].data_len, b->entries[i].data_len);
        if (a->entries[i].data_len > 0) {
            assert_memory_equal(a->entries[i].data, b->entries[i].data,
                                a->entries[i].data_len);
        }
    }
    assert_int_equal(a->snapshot != NULL, b->snapshot != NULL);
    if (a->snapshot != NULL) {
        assert_snapshot(a->snapshot, b->snapshot);
    }
    assert_int_equal(a->context_len, b->context_len);
    if (a->context_len > 0) {
        assert_memory_equal(a->context, b->context, a->context_len);
    }
}

static size_t encode(const struct swk_raft_message *m, uint8_t *out,
                     size_t size)
{
    size_t len = swk_raft_message_size(m);

    assert_true(len <= size);
    memset(out, 0xee, size);
    assert_int_equal(swk_raft_message_encode(m, out), len);
    assert_true(len == size || out[len] == 0xee);
    return len;
}

/* -- Tests ---------------------------------------------------------------- */

static void what_was_encoded_decodes_to_the_same(void **state)
{
    struct f *f = *state;
    uint8_t bytes[4096];
    struct made made;

    for (int i = 0; i < ROUNDS; i++) {
        struct swk_raft_message again;

        make_message(f, &made);
        size_t len = encode(&made.message, bytes, sizeof(bytes));
        assert_int_equal(
            swk_raft_message_decode(f->decoder, bytes, len, &again, NULL), 0);
        assert_message(&made.message, &again);
    }
}

/* The generated code reads what we write, and we read what it writes then. */
static void the_generated_code_agrees(void **state)
{
    struct f *f = *state;
    uint8_t bytes[4096];
    struct made made;

    for (int i = 0; i < ROUNDS; i++) {
        struct swk_raft_message again;
        ProtobufCMessage *theirs;
        struct swki_arena arena;
        struct swki_buf buf;

        make_message(f, &made);
        size_t len = encode(&made.message, bytes, sizeof(bytes));
        swki_arena_init(&arena, NULL, SIZE_MAX);
        swki_buf_init(&buf, NULL, SIZE_MAX);
        assert_int_equal(swki_message_unpack(&swkpb__raft__message__descriptor,
                                             bytes, len, &arena, &theirs,
                                             NULL), 0);
        const Swkpb__Raft__Message *m = (const Swkpb__Raft__Message *)theirs;
        assert_int_equal(m->type, made.message.type);
        assert_int_equal(m->logterm, made.message.log_term);
        assert_int_equal(m->n_entries, made.message.entries_count);
        assert_int_equal(m->snapshot != NULL, made.message.snapshot != NULL);
        assert_int_equal(swki_message_pack(theirs, &buf, NULL), 0);
        assert_int_equal(swk_raft_message_decode(f->decoder, buf.data, buf.len,
                                                 &again, NULL), 0);
        assert_message(&made.message, &again);
        swki_buf_fini(&buf);
        swki_arena_fini(&arena);
    }
}

static void zeros_and_an_empty_snapshot_may_be_written_out(void **state)
{
    struct f *f = *state;
    static const uint8_t bytes[] = {
        0x08, 0x08, 0x10, 0x02, 0x18, 0x01, 0x20, 0x07, 0x28, 0x00, 0x30,
        0x00, 0x40, 0x00, 0x4a, 0x08, 0x12, 0x06, 0x0a, 0x00, 0x10, 0x00,
        0x18, 0x00, 0x50, 0x00, 0x58, 0x00, 0x68, 0x00};
    struct swk_raft_message m;

    assert_int_equal(swk_raft_message_decode(f->decoder, bytes, sizeof(bytes),
                                             &m, NULL), 0);
    assert_int_equal(m.type, SWK_RAFT_MSG_HEARTBEAT);
    assert_int_equal(m.to, 2);
    assert_int_equal(m.term, 7);
    assert_null(m.snapshot);
    assert_null(m.context);
}

/* Appendix B: these fields are written even if they are zero. */
static void some_fields_are_always_written(void **state)
{
    static const struct swk_log_entry entry = {0};
    static const struct swk_raft_message m = {.entries = &entry,
                                              .entries_count = 1};
    static const uint8_t expected[] = {0x08, 0, 0x10, 0, 0x18, 0, 0x20, 0,
                                       0x3a, 4, 0x10, 0, 0x18, 0};
    uint8_t bytes[sizeof(expected)];

    (void)state;
    assert_int_equal(swk_raft_message_size(&m), sizeof(expected));
    assert_int_equal(swk_raft_message_encode(&m, bytes), sizeof(expected));
    assert_memory_equal(bytes, expected, sizeof(expected));
}

static void damage_is_refused(void **state)
{
    static const struct {
        const char *why;
        const char *bytes;
        size_t len;
        int code;
    } cases[] = {
        {"cut in a tag", "\x88", 1, SWK_EINVAL},
        {"cut in a number", "\x08", 1, SWK_EINVAL},
        {"cut in bytes", "\x62\x05" "abc", 5, SWK_EINVAL},
        {"field number 0", "\x00\x01", 2, SWK_EINVAL},
        {"a group", "\xa3\x01", 2, SWK_EINVAL},
        {"more than 64 bits",
         "\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11, SWK_EINVAL},
        {"eleven bytes of a number",
         "\x10\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 12, SWK_EINVAL},
        {"a negative type",
         "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, SWK_EINVAL},
        {"a number for a context", "\x60\x01", 2, SWK_EINVAL},
        {"bytes for a term", "\x22\x01\x01", 3, SWK_EINVAL},
        {"bytes for reject", "\x52\x01\x01", 3, SWK_EINVAL},
        {"a number for an entry", "\x38\x01", 2, SWK_EINVAL},
        {"a number for a snapshot", "\x48\x01", 2, SWK_EINVAL},
        {"a number for metadata", "\x4a\x02\x10\x01", 4, SWK_EINVAL},
        {"a number for a configuration", "\x4a\x04\x12\x02\x08\x01", 6,
         SWK_EINVAL},
        {"an entry cut short", "\x3a\x02\x22\x05", 4, SWK_EINVAL},
        {"a voter twice", "\x4a\x08\x12\x06\x0a\x04\x08\x05\x08\x05", 10,
         SWK_EINVAL},
        {"packed voters cut short", "\x4a\x07\x12\x05\x0a\x03\x0a\x01\x80", 9,
         SWK_EINVAL},
        {"fixed bytes for voters",
         "\x4a\x09\x12\x07\x0a\x05\x0d\x00\x00\x00\x00", 11, SWK_EINVAL},
    };
    struct f *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swk_raft_message m = {.type = 77};
        int rc = swk_raft_message_decode(f->decoder,
                                         (const uint8_t *)cases[i].bytes,
                                         cases[i].len, &m, NULL);

        if (rc != cases[i].code || m.type != 77) {
            fail_msg("%s: got %d", cases[i].why, rc);
        }
    }
}

static void fields_of_a_later_protocol_are_passed_over(void **state)
{
    /* Field 99 in each form, and field 5 of an entry. */
    static const char bytes[] = "\x08\x08\x98\x06\x05\x9a\x06\x02xy"
                                "\x99\x06"
                                "12345678\x9d\x06"
                                "1234\x3a\x06\x10\x01\x18\x02\x28\x20";
    struct f *f = *state;
    struct swk_raft_message m;

    assert_int_equal(swk_raft_message_decode(f->decoder,
                                             (const uint8_t *)bytes,
                                             sizeof(bytes) - 1, &m, NULL), 0);
    assert_int_equal(m.type, SWK_RAFT_MSG_HEARTBEAT);
    assert_int_equal(m.entries_count, 1);
    assert_int_equal(m.entries[0].index, 2);
}

static void members_come_out_in_order_packed_or_not(void **state)
{
    static const char bytes[] = "\x4a\x0d\x12\x0b\x0a\x07\x08\x09\x0a\x03\x05"
                                "\x07\x01\x10\x04";
    static const uint64_t expected[] = {1, 5, 7, 9};
    struct f *f = *state;
    struct swk_raft_message m;

    assert_int_equal(swk_raft_message_decode(f->decoder,
                                             (const uint8_t *)bytes,
                                             sizeof(bytes) - 1, &m, NULL), 0);
    assert_non_null(m.snapshot);
    assert_int_equal(m.snapshot->index, 4);
    assert_ids(m.snapshot->conf_state.voters,
               m.snapshot->conf_state.voters_count, expected, 4);
}

/* Bytes of count empty entries. */
static uint8_t *empty_entries(size_t count)
{
    uint8_t *bytes = malloc(2 * count);

    for (size_t i = 0; i < count; i++) {
        bytes[2 * i] = 0x3a;
        bytes[2 * i + 1] = 0;
    }
    return bytes;
}

static void entries_are_limited(void **state)
{
    struct f *f = *state;
    struct swk_raft_message m;
    uint8_t *bytes = empty_entries(65537);

    assert_int_equal(
        swk_raft_message_decode(f->decoder, bytes, 2 * 65536, &m, NULL), 0);
    assert_int_equal(m.entries_count, 65536);
    assert_int_equal(
        swk_raft_message_decode(f->decoder, bytes, 2 * 65537, &m, NULL),
        SWK_ELIMIT);
    free(bytes);
}

static void members_are_limited(void **state)
{
    /* A snapshot's metadata with voters in the packed form: 0 to 255. */
    uint8_t bytes[12 + 384] = {0x4a, 0x89, 0x03, 0x12, 0x86, 0x03,
                               0x0a, 0x83, 0x03, 0x0a, 0x80, 0x03};
    struct f *f = *state;
    struct swk_raft_message m;
    size_t len = 12;

    for (unsigned id = 0; id < 128; id++) {
        bytes[len++] = (uint8_t)id;
    }
    for (unsigned id = 128; id < 256; id++) {
        bytes[len++] = (uint8_t)id;
        bytes[len++] = 1;
    }
    assert_int_equal(len, sizeof(bytes));
    assert_int_equal(swk_raft_message_decode(f->decoder, bytes, len, &m, NULL),
                     SWK_ELIMIT);
}

static void a_decoder_reuses_its_memory(void **state)
{
    struct f *f = *state;
    struct swk_raft_message m;
    uint8_t *bytes = empty_entries(1000);

    assert_int_equal(
        swk_raft_message_decode(f->decoder, bytes, 2000, &m, NULL), 0);
    heap_fail_at(&f->heap, 1);
    assert_int_equal(
        swk_raft_message_decode(f->decoder, bytes, 2000, &m, NULL), 0);
    assert_false(heap_failed(&f->heap));
    free(bytes);
}

static void lack_of_memory_is_an_answer(void **state)
{
    struct f *f = *state;
    struct swk_raft_message m = {.type = 77};
    swk_raft_decoder *decoder = NULL;
    uint8_t *bytes = empty_entries(100);

    heap_fail_at(&f->heap, 1);
    assert_int_equal(swk_raft_message_decode(f->decoder, bytes, 200, &m, NULL),
                     SWK_ENOMEM);
    assert_int_equal(m.type, 77);
    assert_int_equal(swk_raft_decoder_new(&f->heap.alloc, &decoder),
                     SWK_ENOMEM);
    assert_null(decoder);
    heap_fail_at(&f->heap, 0);
    assert_int_equal(swk_raft_message_decode(f->decoder, bytes, 200, &m, NULL),
                     0);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_encoded_decodes_to_the_same,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_generated_code_agrees, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            zeros_and_an_empty_snapshot_may_be_written_out, set_up, tear_down),
        cmocka_unit_test(some_fields_are_always_written),
        cmocka_unit_test_setup_teardown(damage_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            fields_of_a_later_protocol_are_passed_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            members_come_out_in_order_packed_or_not, set_up, tear_down),
        cmocka_unit_test_setup_teardown(entries_are_limited, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(members_are_limited, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_decoder_reuses_its_memory, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(lack_of_memory_is_an_answer, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests_name("raft codec", tests, NULL, NULL);
}

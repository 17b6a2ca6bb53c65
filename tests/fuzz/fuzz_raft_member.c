/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A member of a raft group as whoever drives it, its storage and its network
 * might treat it: the input is a list of calls with their arguments. The first
 * ones restore it from whatever they say. Messages are made up, changed by a
 * few bytes on their way as bytes, or any bytes at all. Whatever is refused, it
 * must not crash; it may give up, and does nothing more then.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <swarmkit/raft.h>

enum {
    CALLS_MAX = 400,
    ENTRIES_MAX = 6,
    IDS_MAX = 4,
    BYTES_MAX = 512,
    SELF = 1,
};

struct input {
    const uint8_t *data;
    size_t len;
};

struct member {
    swk_raft *raft;
    swk_raft_decoder *decoder;
    struct input in;
    swk_time now;
    uint64_t tickets; /* given out so far */
    uint64_t applied;
    bool saving;
};

static void require(int holds)
{
    if (!holds) {
        abort();
    }
}

/* -- Arguments ------------------------------------------------------------- */

static uint8_t byte(struct input *in)
{
    if (in->len == 0) {
        return 0;
    }
    in->len--;
    return *in->data++;
}

/* Mostly small, as indices and terms are; sometimes any. */
static uint64_t number(struct input *in)
{
    uint8_t first = byte(in);
    uint64_t any = 0;

    if (first < 250) {
        return first % 32;
    }
    for (int i = 0; i < 8; i++) {
        any = any << 8 | byte(in);
    }
    return first == 255 ? UINT64_MAX - any % 4 : any;
}

static uint64_t id(struct input *in)
{
    uint8_t one = byte(in);

    return one < 250 ? UINT64_C(1) + one % IDS_MAX : number(in);
}

/* Bytes of the input itself. */
static const uint8_t *bytes(struct input *in, size_t max, size_t *out_len)
{
    const uint8_t *at = in->data;
    size_t len = byte(in) % (max + 1);

    at = in->data;
    *out_len = len < in->len ? len : in->len;
    in->data += *out_len;
    in->len -= *out_len;
    return at;
}

static void fill_entries(struct input *in, struct swk_log_entry *entries,
                         size_t count, uint64_t first)
{
    for (size_t i = 0; i < count; i++) {
        size_t len;
        const uint8_t *data = bytes(in, 40, &len);

        entries[i] = (struct swk_log_entry){
            .index = byte(in) < 240 ? first + i : number(in),
            .term = number(in),
            .type = byte(in) % 5 - (byte(in) > 250),
            .data = len > 0 ? data : NULL,
            .data_len = len,
        };
    }
}

static void fill_ids(struct input *in, uint64_t *ids, size_t *out_count)
{
    *out_count = byte(in) % (IDS_MAX + 1);
    for (size_t i = 0; i < *out_count; i++) {
        ids[i] = byte(in) < 200 ? i + 1 : id(in);
    }
}

struct place {
    struct swk_snapshot_meta meta;
    uint64_t ids[4][IDS_MAX];
};

static void fill_place(struct input *in, struct place *place)
{
    struct swk_conf_state *conf = &place->meta.conf_state;

    place->meta = (struct swk_snapshot_meta){0};
    place->meta.index = number(in);
    place->meta.term = number(in);
    fill_ids(in, place->ids[0], &conf->voters_count);
    conf->voters = place->ids[0];
    if (byte(in) % 4 == 0) {
        fill_ids(in, place->ids[1], &conf->learners_count);
        fill_ids(in, place->ids[2], &conf->voters_outgoing_count);
        fill_ids(in, place->ids[3], &conf->learners_next_count);
        conf->learners = place->ids[1];
        conf->voters_outgoing = place->ids[2];
        conf->learners_next = place->ids[3];
        conf->auto_leave = byte(in) % 2;
    }
}

/* -- Restoring ------------------------------------------------------------- */

static void restore_one(struct member *m)
{
    struct swk_log_entry entry;
    struct swk_hard_state hard;
    struct place place;

    switch (byte(&m->in) % 4) {
    case 0:
        fill_place(&m->in, &place);
        (void)!swk_raft_restore_snapshot(m->raft, &place.meta, NULL);
        break;
    case 1:
        hard = (struct swk_hard_state){.term = number(&m->in),
                                       .vote = id(&m->in),
                                       .commit = number(&m->in)};
        (void)!swk_raft_restore_hard_state(m->raft, &hard, NULL);
        break;
    case 2:
        fill_entries(&m->in, &entry, 1, number(&m->in));
        (void)!swk_raft_restore_entry(m->raft, &entry, NULL);
        break;
    default:
        (void)!swk_raft_restore_lost(m->raft, number(&m->in), NULL);
        break;
    }
}

/* As a storage of its own would: a log that follows a snapshot. */
static void restore_sound(struct member *m)
{
    struct place place = {.ids = {{1, 2, 3}}};
    struct swk_hard_state hard = {.term = 1 + byte(&m->in) % 4};
    uint64_t entries = byte(&m->in) % 8;

    place.meta.index = 1 + byte(&m->in) % 8;
    place.meta.term = 1;
    place.meta.conf_state.voters = place.ids[0];
    place.meta.conf_state.voters_count = 1 + byte(&m->in) % 3;
    hard.commit = place.meta.index;
    require(swk_raft_restore_snapshot(m->raft, &place.meta, NULL) == SWK_OK);
    require(swk_raft_restore_hard_state(m->raft, &hard, NULL) == SWK_OK);
    for (uint64_t i = 1; i <= entries; i++) {
        const struct swk_log_entry entry = {.index = place.meta.index + i,
                                            .term = 1};

        require(swk_raft_restore_entry(m->raft, &entry, NULL) == SWK_OK);
    }
    m->applied = place.meta.index;
}

static bool restore(struct member *m)
{
    size_t count = byte(&m->in);

    if (count < 200) {
        restore_sound(m);
    } else {
        for (size_t i = 0; i < count % 16; i++) {
            restore_one(m);
        }
    }
    return swk_raft_start(m->raft, m->now, NULL) == SWK_OK;
}

/* -- Messages -------------------------------------------------------------- */

static int32_t message_type(struct input *in)
{
    static const int32_t types[] = {
        SWK_RAFT_MSG_APP,
        SWK_RAFT_MSG_APP_RESP,
        SWK_RAFT_MSG_VOTE,
        SWK_RAFT_MSG_VOTE_RESP,
        SWK_RAFT_MSG_SNAP,
        SWK_RAFT_MSG_HEARTBEAT,
        SWK_RAFT_MSG_HEARTBEAT_RESP,
        SWK_RAFT_MSG_TRANSFER_LEADER,
        SWK_RAFT_MSG_TIMEOUT_NOW,
        SWK_RAFT_MSG_READ_INDEX,
        SWK_RAFT_MSG_READ_INDEX_RESP,
        SWK_RAFT_MSG_PRE_VOTE,
        SWK_RAFT_MSG_PRE_VOTE_RESP,
        SWK_RAFT_MSG_PROP,
    };
    uint8_t one = byte(in);

    return one < 240 ? types[one % (sizeof(types) / sizeof(types[0]))]
                     : (int32_t)one - 230;
}

static void fill_message(struct member *m, struct swk_raft_message *message,
                         struct swk_log_entry *entries, struct place *place)
{
    struct input *in = &m->in;
    struct swk_raft_status status = {.size = sizeof(status)};

    swk_raft_status(m->raft, &status);
    *message = (struct swk_raft_message){
        .type = message_type(in),
        .reject = byte(in) < 60,
        .to = byte(in) < 250 ? SELF : id(in),
        .from = 2 + byte(in) % 2,
        .term = byte(in) < 160 ? status.term + byte(in) % 3 / 2 : number(in),
        .log_term = byte(in) < 128 ? status.term : number(in),
        .index = byte(in) < 128 ? status.last_index : number(in),
        .commit = number(in),
        .reject_hint = number(in),
    };
    if (byte(in) % 3 != 0) {
        message->entries_count = byte(in) % ENTRIES_MAX;
        fill_entries(in, entries, message->entries_count, message->index + 1);
        message->entries = entries;
    }
    if (message->type == SWK_RAFT_MSG_SNAP || byte(in) > 250) {
        fill_place(in, place);
        message->snapshot = &place->meta;
    }
    if (byte(in) % 4 == 0) {
        message->context = bytes(in, 70, &message->context_len);
    }
}

/* Some bytes are others when it arrives. */
static void step_changed(struct member *m,
                         const struct swk_raft_message *message)
{
    size_t len = swk_raft_message_size(message);
    uint8_t *encoded = malloc(len + 1);
    struct swk_raft_message decoded;

    require(encoded != NULL);
    require(swk_raft_message_encode(message, encoded) == len);
    for (int i = byte(&m->in) % 4; i > 0 && len > 0; i--) {
        encoded[number(&m->in) % len] ^= byte(&m->in);
    }
    if (swk_raft_message_decode(m->decoder, encoded, len, &decoded, NULL) ==
        SWK_OK) {
        (void)!swk_raft_step(m->raft, &decoded, NULL);
    }
    free(encoded);
}

static void step(struct member *m)
{
    struct swk_log_entry entries[ENTRIES_MAX];
    struct swk_raft_message message;
    struct place place;
    size_t len;
    const uint8_t *any;

    switch (byte(&m->in) % 4) {
    case 0:
        any = bytes(&m->in, 200, &len);
        if (swk_raft_message_decode(m->decoder, any, len, &message, NULL) ==
            SWK_OK) {
            (void)!swk_raft_step(m->raft, &message, NULL);
        }
        break;
    case 1:
        fill_message(m, &message, entries, &place);
        step_changed(m, &message);
        break;
    default:
        fill_message(m, &message, entries, &place);
        (void)!swk_raft_step(m->raft, &message, NULL);
        break;
    }
}

/* -- The driver ------------------------------------------------------------ */

static void apply(struct member *m, const struct swk_raft_actions *actions)
{
    for (size_t i = 0; i < actions->committed_count; i++) {
        const struct swk_log_entry *entry = &actions->committed[i];

        if (entry->type != SWK_RAFT_ENTRY_NORMAL) {
            (void)!swk_raft_apply_conf_change(m->raft, entry,
                                              byte(&m->in) > 200, NULL);
        }
        m->applied = entry->index;
    }
    if (byte(&m->in) < 230) {
        (void)!swk_raft_applied(m->raft, m->applied, NULL);
    }
}

static void drive(struct member *m)
{
    const struct swk_raft_actions *actions = swk_raft_take_actions(m->raft);

    require(actions->size == sizeof(*actions));
    if (actions->install != NULL) {
        m->tickets = actions->install_ticket;
        m->applied = actions->install->index;
    }
    if (actions->persist_ticket != 0) {
        m->tickets = actions->persist_ticket;
    }
    for (size_t i = 0; i < actions->messages_count; i++) {
        uint8_t *out = malloc(swk_raft_message_size(&actions->messages[i]));

        require(out != NULL);
        (void)swk_raft_message_encode(&actions->messages[i], out);
        free(out);
    }
    apply(m, actions);
}

static void change_members(struct member *m)
{
    struct swk_raft_change changes[IDS_MAX];
    struct swk_raft_conf_change change = {.size = sizeof(change)};
    uint64_t active[] = {2, 3};

    change.transition = byte(&m->in) % 4;
    change.changes = changes;
    change.changes_count = byte(&m->in) % IDS_MAX;
    for (size_t i = 0; i < change.changes_count; i++) {
        changes[i] = (struct swk_raft_change){.type = byte(&m->in) % 5,
                                              .id = id(&m->in)};
    }
    (void)swk_raft_keeps_quorum(m->raft, &change, active, byte(&m->in) % 3);
    (void)!swk_raft_propose_conf_change(m->raft, &change, NULL, NULL);
}

static void save(struct member *m)
{
    struct swk_snapshot_meta meta;
    uint64_t ticket = 0;

    if (!m->saving) {
        m->saving = swk_raft_begin_snapshot(m->raft, &meta, NULL) == SWK_OK;
    } else if (byte(&m->in) < 40) {
        swk_raft_snapshot_abandoned(m->raft);
        m->saving = false;
    } else {
        if (swk_raft_finish_snapshot(m->raft, &ticket, NULL) == SWK_OK) {
            m->tickets = ticket;
        }
        m->saving = false;
    }
}

static void ask(struct member *m)
{
    size_t len;
    const uint8_t *data = bytes(&m->in, 70, &len);

    switch (byte(&m->in) % 6) {
    case 0:
        (void)!swk_raft_propose(m->raft, data, len, NULL, NULL);
        break;
    case 1:
        (void)!swk_raft_read_index(m->raft, data, len, NULL);
        break;
    case 2:
        (void)!swk_raft_transfer(m->raft, number(&m->in), NULL);
        break;
    case 3:
        (void)!swk_raft_forget_leader(m->raft, NULL);
        break;
    case 4:
        (void)!swk_raft_campaign(m->raft, NULL);
        break;
    default:
        change_members(m);
        break;
    }
}

static void report(struct member *m)
{
    switch (byte(&m->in) % 6) {
    case 0:
        swk_raft_report_unreachable(m->raft, id(&m->in));
        break;
    case 1:
        swk_raft_report_snapshot(m->raft, id(&m->in), byte(&m->in) % 2);
        break;
    case 2:
        swk_raft_snapshot_alive(m->raft, id(&m->in));
        break;
    case 3:
        (void)!swk_raft_applied(m->raft, number(&m->in), NULL);
        break;
    case 4:
        (void)!swk_raft_persisted(m->raft, number(&m->in), NULL);
        break;
    default:
        swk_raft_set_snapshot_interval(m->raft, number(&m->in), number(&m->in));
        break;
    }
}

static void check(struct member *m)
{
    struct swk_raft_status s = {.size = sizeof(s)};
    struct swk_conf_state conf;
    struct swk_raft_peer peers[4];

    swk_raft_status(m->raft, &s);
    swk_raft_conf_state(m->raft, &conf);
    (void)swk_raft_peers(m->raft, peers, 4);
    if (s.failure == 0) {
        require(s.applied <= s.committed && s.committed <= s.last_index &&
                s.first_index <= s.committed + 1);
    }
}

static void call(struct member *m)
{
    switch (byte(&m->in) % 10) {
    case 0:
    case 1:
    case 2:
    case 3:
        step(m);
        break;
    case 4:
        m->now += byte(&m->in) * 20 * SWK_MILLISECOND;
        (void)!swk_raft_expire(m->raft, m->now, NULL);
        break;
    case 5:
        ask(m);
        break;
    case 6:
        report(m);
        break;
    case 7:
        save(m);
        break;
    case 8:
        (void)!swk_raft_persisted(m->raft, m->tickets, NULL);
        break;
    default:
        drive(m);
        break;
    }
    if (byte(&m->in) % 4 != 0) {
        drive(m);
    }
}

static swk_raft *new_raft(struct input *in)
{
    struct swk_raft_config config = {
        .size = sizeof(config),
        .id = SELF,
        .seed = byte(in),
        .flags = byte(in) % 64,
        .heartbeat_ticks = 1,
        .election_ticks = 5,
        .tick_ns = 100 * SWK_MILLISECOND,
        .message_size_max = byte(in),
        .inflight_messages_max = 1 + byte(in) % 4,
        .apply_size_max = byte(in) % 4 == 0 ? 64 : 0,
        .uncommitted_size_max = byte(in) % 4 == 0 ? 64 : 0,
        .snapshot_interval = 1 + byte(in) % 8,
        .entries_for_slow_followers = byte(in) % 4,
    };
    swk_raft *raft = NULL;

    return swk_raft_new(&config, &raft, NULL) == SWK_OK ? raft : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct member m = {.in = {.data = data, .len = size}, .now = SWK_SECOND};

    m.raft = new_raft(&m.in);
    if (m.raft == NULL) {
        return 0;
    }
    require(swk_raft_decoder_new(NULL, &m.decoder) == SWK_OK);
    if (restore(&m)) {
        for (int i = 0; i < CALLS_MAX && m.in.len > 0; i++) {
            call(&m);
            check(&m);
        }
    }
    swk_raft_decoder_free(m.decoder);
    swk_raft_free(m.raft);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A replicated key-value store: three processes, each a member of a raft group.
 *
 *     raft_kv ID PORT1 PORT2 PORT3 DIR
 *
 * Run it as 1, 2 and 3 with the same ports, each with a directory of its own,
 * which it makes; after "ninja -C build" it is build/examples/example-raft_kv.
 * Each reads commands from its standard input, and answers each with a line:
 *
 *     set KEY VALUE    ok; or leader N: ask that one (0: nobody knows)
 *     get KEY          value VALUE, or none: with all that was set before
 *     status           id, leader, term, applied index, oldest entry,
 *                      snapshot's index
 *
 * This file drives the member; the others are what it needs beside: the
 * application (raft_kv_app), a network (_net) and a mailbox (_mail).
 *
 * The member is a machine without threads: the main thread owns it and drives
 * it. The threads of storage and network, and the one that reads commands, only
 * post events to its mailbox. Members trust each other and the network, as only
 * something on the loopback may; a real program would use TLS.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <swarmkit/file_storage.h>
#include <swarmkit/posix.h>
#include <swarmkit/raft.h>

#include "raft_kv_app.h"
#include "raft_kv_mail.h"
#include "raft_kv_net.h"

enum {
    MEMBERS = 3,
    LINE_SIZE = 1024,
    PART_SIZE = 64 * 1024, /* of a snapshot, at once */
    SNAPSHOT_INTERVAL = 100,
};

struct node {
    uint64_t id;
    const struct swk_clock *clock;
    struct net *net;
    swk_raft *raft;
    swk_raft_decoder *decoder;
    struct swk_storage storage;
    bool identified; /* by what the storage holds */
    bool restored;   /* something, from the storage */
    bool ended;

    struct app app;

    uint8_t *received; /* a snapshot's data, until it is installed */
    size_t received_len;
    uint64_t received_index;
    uint64_t install_ticket;
    struct mailbox mailbox;
};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "raft_kv: %s: %s\n", what, why);
    exit(1);
}

/* -- What other threads post ----------------------------------------------- */

static void *read_commands(void *ctx)
{
    struct node *n = ctx;
    char line[LINE_SIZE];

    while (fgets(line, sizeof(line), stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        mailbox_post(&n->mailbox, (struct event){.kind = EVENT_LINE}, line,
                     strlen(line) + 1);
    }
    mailbox_post(&n->mailbox, (struct event){.kind = EVENT_END}, NULL, 0);
    return NULL;
}

static void on_frame(void *ctx, const uint8_t *frame, size_t len)
{
    struct node *n = ctx;

    mailbox_post(&n->mailbox, (struct event){.kind = EVENT_FRAME}, frame, len);
}

static void on_stored(void *ctx, uint64_t ticket, int code,
                      const struct swk_error *err)
{
    struct node *n = ctx;
    struct event event = {.kind = EVENT_STORED, .ticket = ticket};

    if (code != 0) {
        event.kind = EVENT_STORAGE_FAILED;
        event.err = *err;
    }
    mailbox_post(&n->mailbox, event, NULL, 0);
}

/* -- Carrying out what the member wants ------------------------------------ */

static void store(struct node *n, const struct swk_raft_actions *a)
{
    const struct swk_storage *s = &n->storage;
    struct swk_error err = {0};

    if (a->install != NULL) {
        n->install_ticket = a->install_ticket;
        if (s->finish_snapshot(s->ctx, 1, a->install_ticket, &err) != 0) {
            die("storage", err.text);
        }
    }
    if (a->persist_ticket != 0 &&
        s->append(s->ctx, a->hard_state, a->entries, a->entries_count,
                  a->persist_ticket, &err) != 0) {
        die("storage", err.text);
    }
}

/* The data of the snapshot that a message announces, to be freed. */
static uint8_t *read_snapshot(struct node *n,
                              const struct swk_snapshot_meta *meta,
                              size_t *out_len)
{
    const struct swk_storage *s = &n->storage;
    uint8_t *data = app_take(malloc(1));
    uint64_t total = 1;
    size_t part = 1;

    for (*out_len = 0; part > 0 && *out_len < total; *out_len += part) {
        data = app_take(realloc(data, *out_len + PART_SIZE));
        if (s->read_snapshot(s->ctx, meta->index, meta->term, *out_len,
                             data + *out_len, PART_SIZE, &part, &total,
                             NULL) != 0) {
            free(data);
            return NULL;
        }
    }
    return data;
}

/* A frame: the message's length, the message, and the snapshot's data. */
static bool send_message(struct node *n, const struct swk_raft_message *m)
{
    uint32_t len = (uint32_t)swk_raft_message_size(m);
    uint8_t *head = app_take(malloc(sizeof(len) + len));
    uint8_t *data = NULL;
    size_t data_len = 0;
    bool sent;

    memcpy(head, &len, sizeof(len));
    swk_raft_message_encode(m, head + sizeof(len));
    if (m->snapshot != NULL) {
        data = read_snapshot(n, m->snapshot, &data_len);
    }
    sent = (m->snapshot == NULL || data != NULL) &&
           net_send(n->net, m->to, head, sizeof(len) + len, data, data_len);
    free(data);
    free(head);
    return sent;
}

/* What became of the messages to each member; told when all actions are
 * done. */
struct sending {
    bool lost[MEMBERS + 1];
    bool snapshot[MEMBERS + 1];
};

static void send_all(struct node *n, const struct swk_raft_actions *a,
                     struct sending *out)
{
    for (size_t i = 0; i < a->messages_count; i++) {
        const struct swk_raft_message *m = &a->messages[i];

        if (m->to <= MEMBERS) {
            out->snapshot[m->to] |= m->type == SWK_RAFT_MSG_SNAP;
            out->lost[m->to] |= !send_message(n, m);
        }
    }
}

static void report_sending(struct node *n, const struct sending *sending)
{
    for (uint64_t id = 1; id <= MEMBERS; id++) {
        if (sending->snapshot[id]) {
            swk_raft_report_snapshot(n->raft, id, !sending->lost[id]);
        } else if (sending->lost[id]) {
            swk_raft_report_unreachable(n->raft, id);
        }
    }
}

/* A snapshot of the state as it is now, to be stored when all actions are
 * done. NULL if none can be made. */
static char *begin_snapshot(struct node *n, size_t *out_len)
{
    const struct swk_storage *s = &n->storage;
    struct swk_snapshot_meta meta;

    if (swk_raft_begin_snapshot(n->raft, &meta, NULL) != 0 ||
        s->begin_snapshot(s->ctx, &meta, NULL, NULL) != 0) {
        return NULL;
    }
    return app_save(&n->app, out_len);
}

static void finish_snapshot(struct node *n, const char *data, size_t len)
{
    const struct swk_storage *s = &n->storage;
    uint64_t ticket;

    if (data == NULL) {
        swk_raft_snapshot_abandoned(n->raft);
    } else if (s->write_snapshot(s->ctx, (const uint8_t *)data, len, NULL) !=
                   0 ||
               swk_raft_finish_snapshot(n->raft, &ticket, NULL) != 0) {
        s->abort_snapshot(s->ctx, 0);
        swk_raft_snapshot_abandoned(n->raft);
    } else if (s->finish_snapshot(s->ctx, 0, ticket, NULL) != 0) {
        die("storage", "the snapshot is refused");
    }
}

static void apply(struct node *n, const struct swk_raft_actions *a)
{
    struct swk_error err = {0};

    for (size_t i = 0; i < a->committed_count; i++) {
        const struct swk_log_entry *entry = &a->committed[i];

        if (entry->type != SWK_RAFT_ENTRY_NORMAL &&
            swk_raft_apply_conf_change(n->raft, entry, 0, &err) != 0) {
            die("membership", err.text);
        }
        app_apply(&n->app, entry);
    }
    for (size_t i = 0; i < a->reads_count; i++) {
        app_read(&n->app, &a->reads[i]);
    }
}

/* One round of actions, in the order of swk_raft_actions. False if there was
 * nothing to do. */
static bool run_actions(struct node *n)
{
    const struct swk_raft_actions *a = swk_raft_take_actions(n->raft);
    bool due = a->install != NULL || a->persist_ticket != 0 ||
               a->messages_count > 0 || a->committed_count > 0 ||
               a->snapshot_wanted != 0 || a->reads_count > 0;
    bool applies = a->committed_count > 0;
    bool wanted = a->snapshot_wanted != 0;
    char *snapshot = NULL;
    size_t snapshot_len = 0;
    struct sending sending = {0};
    struct swk_error err = {0};

    store(n, a);
    send_all(n, a, &sending);
    if (a->leadership_lost != 0) {
        app_lost_leadership(&n->app);
    }
    if (a->failure != 0) {
        die("stopped", swk_error_name(a->failure));
    }
    if (wanted) {
        snapshot = begin_snapshot(n, &snapshot_len);
    }
    apply(n, a);
    if (applies && swk_raft_applied(n->raft, n->app.applied, &err) != 0) {
        die("applying", err.text);
    }
    if (wanted) {
        finish_snapshot(n, snapshot, snapshot_len);
        free(snapshot);
    }
    report_sending(n, &sending);
    return due;
}

/* -- Events ---------------------------------------------------------------- */

/* A received snapshot waits in the storage until the member says what to do
 * with it, which its next actions do. */
static void begin_install(struct node *n, const struct swk_raft_message *m,
                          const uint8_t *data, size_t len)
{
    const struct swk_storage *s = &n->storage;

    if (n->install_ticket != 0 ||
        s->begin_snapshot(s->ctx, m->snapshot, NULL, NULL) != 0) {
        return; /* it is sent again */
    }
    free(n->received);
    n->received = app_take(malloc(len + 1));
    memcpy(n->received, data, len);
    n->received_len = len;
    n->received_index = m->snapshot->index;
    if (s->write_snapshot(s->ctx, data, len, NULL) != 0 ||
        swk_raft_step(n->raft, m, NULL) != 0) {
        s->abort_snapshot(s->ctx, 0);
        return;
    }
    while (run_actions(n)) {
    }
    if (n->install_ticket == 0) {
        s->abort_snapshot(s->ctx, 0); /* it was not needed */
    }
}

static void take_frame(struct node *n, const uint8_t *frame, size_t len)
{
    struct swk_raft_message message;
    struct swk_error err;
    uint32_t message_len;

    if (len < sizeof(message_len)) {
        return;
    }
    memcpy(&message_len, frame, sizeof(message_len));
    frame += sizeof(message_len);
    len -= sizeof(message_len);
    if (message_len > len ||
        swk_raft_message_decode(n->decoder, frame, message_len, &message,
                                &err) != 0) {
        fprintf(stderr, "raft_kv: a frame that is none\n");
    } else if (message.snapshot != NULL) {
        begin_install(n, &message, frame + message_len, len - message_len);
    } else if (swk_raft_step(n->raft, &message, &err) != 0) {
        fprintf(stderr, "raft_kv: %s\n", err.text);
    }
}

static void stored(struct node *n, uint64_t ticket)
{
    struct swk_error err = {0};

    if (n->install_ticket != 0 && ticket >= n->install_ticket) {
        app_restore(&n->app, n->received, n->received_len, n->received_index);
        n->install_ticket = 0;
    }
    if (swk_raft_persisted(n->raft, ticket, &err) != 0) {
        die("raft", err.text);
    }
}

static void handle(struct node *n, const struct event *event)
{
    switch (event->kind) {
    case EVENT_LINE:
        app_command(&n->app, (const char *)event->data,
                    n->clock->now(n->clock->ctx));
        break;
    case EVENT_END:
        n->ended = true;
        break;
    case EVENT_FRAME:
        take_frame(n, event->data, event->len);
        break;
    case EVENT_STORED:
        stored(n, event->ticket);
        break;
    case EVENT_STORAGE_FAILED:
        die("storage", event->err.text);
    }
}

static void run(struct node *n)
{
    while (!n->ended) {
        swk_time now = n->clock->now(n->clock->ctx);
        struct swk_error err = {0};
        struct event *event;

        net_turn(n->net, now);
        app_expire(&n->app, now);
        if (swk_raft_expire(n->raft, now, &err) != 0) {
            die("raft", err.text);
        }
        while (run_actions(n)) {
        }
        event = mailbox_receive(&n->mailbox, swk_raft_deadline(n->raft));
        if (event != NULL) {
            handle(n, event);
            free(event);
        }
    }
}

/* -- The beginning --------------------------------------------------------- */

static int on_identity(void *ctx, const uint8_t *identity, size_t len,
                       struct swk_error *err)
{
    struct node *n = ctx;

    if (len != sizeof(n->id) || memcmp(identity, &n->id, len) != 0) {
        err->code = SWK_EPRECONDITION;
        snprintf(err->text, sizeof(err->text), "this is another member's");
        return err->code;
    }
    n->identified = true;
    return 0;
}

static int on_snapshot(void *ctx, const struct swk_snapshot_meta *meta,
                       const uint8_t *data, size_t len, struct swk_error *err)
{
    struct node *n = ctx;

    n->restored = true;
    app_restore(&n->app, data, len, meta->index);
    return swk_raft_restore_snapshot(n->raft, meta, err);
}

static int on_hard_state(void *ctx, const struct swk_hard_state *state,
                         struct swk_error *err)
{
    struct node *n = ctx;

    n->restored = true;
    return swk_raft_restore_hard_state(n->raft, state, err);
}

static int on_entry(void *ctx, const struct swk_log_entry *entry,
                    struct swk_error *err)
{
    struct node *n = ctx;

    n->restored = true;
    return swk_raft_restore_entry(n->raft, entry, err);
}

/* All three begin alike: with the same list of members. */
static int found_group(struct node *n, struct swk_error *err)
{
    struct swk_raft_conf_change members[MEMBERS];
    struct swk_raft_change changes[MEMBERS];

    for (size_t i = 0; i < MEMBERS; i++) {
        changes[i] =
            (struct swk_raft_change){.type = SWK_RAFT_ADD_VOTER, .id = i + 1};
        members[i] = (struct swk_raft_conf_change){.size = sizeof(members[i]),
                                                   .changes = &changes[i],
                                                   .changes_count = 1};
    }
    return swk_raft_bootstrap(n->raft, members, MEMBERS, err);
}

static int load(struct node *n, const char *dir, struct swk_error *err)
{
    const struct swk_file_storage_config config = {
        .size = sizeof(config), .dir = dir, .done = on_stored, .done_ctx = n};
    const struct swk_storage_replay replay = {.size = sizeof(replay),
                                              .ctx = n,
                                              .identity = on_identity,
                                              .snapshot = on_snapshot,
                                              .hard_state = on_hard_state,
                                              .entry = on_entry};
    int rc = swk_file_storage_open(&config, &n->storage, err);

    if (rc == 0) {
        rc = n->storage.load(n->storage.ctx, &replay, err);
    }
    if (rc == 0 && !n->identified) {
        rc = n->storage.identify(n->storage.ctx, (const uint8_t *)&n->id,
                                 sizeof(n->id), err);
    }
    return rc == 0 && !n->restored ? found_group(n, err) : rc;
}

static void start(struct node *n, const char *dir)
{
    const struct swk_entropy *entropy = swk_posix_entropy();
    struct swk_raft_config config = {
        .size = sizeof(config),
        .id = n->id,
        .snapshot_interval = SNAPSHOT_INTERVAL,
        .entries_for_slow_followers = SNAPSHOT_INTERVAL / 2,
    };
    struct swk_error err = {0};
    int rc = entropy->fill(entropy->ctx, &config.seed, sizeof(config.seed));

    if (rc == 0) {
        rc = entropy->fill(entropy->ctx, &n->app.run, sizeof(n->app.run));
    }
    if (rc == 0) {
        rc = swk_raft_decoder_new(NULL, &n->decoder);
    }
    if (rc == 0) {
        rc = swk_raft_new(&config, &n->raft, &err);
        n->app.raft = n->raft;
    }
    if (rc == 0) {
        rc = load(n, dir, &err);
    }
    if (rc == 0) {
        rc = swk_raft_start(n->raft, n->clock->now(n->clock->ctx), &err);
    }
    if (rc != 0) {
        die(dir, err.text[0] != '\0' ? err.text : swk_error_name(rc));
    }
}

int main(int argc, char **argv)
{
    static struct node n;
    int ports[MEMBERS + 1] = {0};
    pthread_t commands;

    if (argc != 6 || atoi(argv[1]) < 1 || atoi(argv[1]) > MEMBERS) {
        fprintf(stderr, "usage: raft_kv ID PORT1 PORT2 PORT3 DIR\n");
        return 2;
    }
    for (int i = 1; i <= MEMBERS; i++) {
        ports[i] = atoi(argv[1 + i]);
    }
    n.id = (uint64_t)atoi(argv[1]);
    n.clock = swk_posix_clock();
    mailbox_init(&n.mailbox);
    start(&n, argv[5]);
    n.net = net_open(n.id, ports, MEMBERS, on_frame, &n);
    if (n.net == NULL ||
        pthread_create(&commands, NULL, read_commands, &n) != 0) {
        return 1;
    }
    run(&n);
    pthread_join(commands, NULL);
    net_close(n.net);
    n.storage.close(n.storage.ctx);
    swk_raft_free(n.raft);
    swk_raft_decoder_free(n.decoder);
    app_fini(&n.app);
    free(n.received);
    return 0;
}

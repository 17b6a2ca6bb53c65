/* SPDX-License-Identifier: Apache-2.0 */

#include "raft_kv_app.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST_TIMEOUT (3 * SWK_SECOND)

enum {
    KEY_SIZE = 1024,
};

struct app_pair {
    struct app_pair *next;
    char *key;
    char *value;
};

/* A command that waits: for its entry, or for the index of its read. */
struct app_request {
    struct app_request *next;
    uint64_t index; /* 0: not known yet */
    uint64_t term;  /* of the entry; 0 for a read */
    uint64_t read;  /* number of the read; 0 for an entry */
    swk_time deadline;
    bool answered;
    char key[KEY_SIZE];
};

void *app_take(void *memory)
{
    if (memory == NULL) {
        fprintf(stderr, "raft_kv: out of memory\n");
        exit(1);
    }
    return memory;
}

/* -- The state ------------------------------------------------------------- */

static struct app_pair *find_pair(const struct app *app, const char *key)
{
    struct app_pair *pair = app->pairs;

    while (pair != NULL && strcmp(pair->key, key) != 0) {
        pair = pair->next;
    }
    return pair;
}

/* An entry is a line "KEY VALUE", and a snapshot is all of them. */
static void apply_line(struct app *app, const char *line, size_t len)
{
    const char *space = memchr(line, ' ', len);
    size_t key_len = space != NULL ? (size_t)(space - line) : len;
    char *key = app_take(strndup(line, key_len));
    struct app_pair *pair = find_pair(app, key);

    if (pair == NULL) {
        pair = app_take(calloc(1, sizeof(*pair)));
        *pair = (struct app_pair){.next = app->pairs, .key = key};
        app->pairs = pair;
    } else {
        free(key);
    }
    free(pair->value);
    pair->value = app_take(
        space != NULL ? strndup(space + 1, len - key_len - 1) : strdup(""));
}

static void clear(struct app *app)
{
    while (app->pairs != NULL) {
        struct app_pair *next = app->pairs->next;

        free(app->pairs->key);
        free(app->pairs->value);
        free(app->pairs);
        app->pairs = next;
    }
}

void app_restore(struct app *app, const uint8_t *data, size_t len,
                 uint64_t index)
{
    const char *at = (const char *)data;
    const char *end = at + len;
    const char *newline;

    clear(app);
    while (at < end && (newline = memchr(at, '\n', (size_t)(end - at)))) {
        apply_line(app, at, (size_t)(newline - at));
        at = newline + 1;
    }
    app->applied = index;
}

char *app_save(const struct app *app, size_t *out_len)
{
    char *text = NULL;
    FILE *stream = app_take(open_memstream(&text, out_len));

    for (const struct app_pair *pair = app->pairs; pair != NULL;
         pair = pair->next) {
        fprintf(stream, "%s %s\n", pair->key, pair->value);
    }
    fclose(stream);
    return app_take(text);
}

/* -- Answers --------------------------------------------------------------- */

static void answer(const char *format, const char *value)
{
    printf(format, value);
    fflush(stdout);
}

static void answer_leader(const struct app *app)
{
    struct swk_raft_status status = {.size = sizeof(status)};

    swk_raft_status(app->raft, &status);
    printf("leader %llu\n", (unsigned long long)status.leader);
    fflush(stdout);
}

static void answer_get(const struct app *app, const char *key)
{
    const struct app_pair *pair = find_pair(app, key);

    answer(pair != NULL ? "value %s\n" : "none\n",
           pair != NULL ? pair->value : "");
}

static void add_request(struct app *app, const struct app_request *request)
{
    struct app_request **end = &app->requests;

    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = app_take(malloc(sizeof(**end)));
    **end = *request;
}

/* Forgets the requests that were answered. */
static void drop_answered(struct app *app)
{
    struct app_request **at = &app->requests;

    while (*at != NULL) {
        struct app_request *request = *at;

        if (request->answered) {
            *at = request->next;
            free(request);
        } else {
            at = &request->next;
        }
    }
}

static void answer_unknown(struct app_request *request)
{
    answer("%s", "unknown\n");
    request->answered = true;
}

/* Answers the reads whose index is applied. */
static void answer_reads(struct app *app)
{
    for (struct app_request *r = app->requests; r != NULL; r = r->next) {
        if (r->read != 0 && r->index != 0 && r->index <= app->applied) {
            answer_get(app, r->key);
            r->answered = true;
        }
    }
    drop_answered(app);
}

/* -- Commands -------------------------------------------------------------- */

/* Accepted does not mean committed: the answer waits for the entry to come
 * back with the term in which it was proposed. */
static void command_set(struct app *app, const char *pair, swk_time now)
{
    struct swk_raft_status status = {.size = sizeof(status)};
    struct app_request request = {.deadline = now + REQUEST_TIMEOUT};

    if (swk_raft_propose(app->raft, pair, strlen(pair), &request.index,
                         NULL) != 0) {
        answer_leader(app);
        return;
    }
    swk_raft_status(app->raft, &status);
    request.term = status.term;
    add_request(app, &request);
}

/* Reading what is here might miss what another leader has already answered:
 * the member asks a quorum first. */
static void command_get(struct app *app, const char *key, swk_time now)
{
    struct app_request request = {.deadline = now + REQUEST_TIMEOUT,
                                  .read = app->reads + 1};
    const uint64_t context[] = {app->run, request.read};

    if (swk_raft_read_index(app->raft, context, sizeof(context), NULL) != 0) {
        answer_leader(app);
        return;
    }
    app->reads++;
    snprintf(request.key, sizeof(request.key), "%s", key);
    add_request(app, &request);
}

static void command_status(const struct app *app)
{
    struct swk_raft_status status = {.size = sizeof(status)};

    swk_raft_status(app->raft, &status);
    printf("id %llu leader %llu term %llu applied %llu first %llu"
           " snapshot %llu\n",
           (unsigned long long)status.id, (unsigned long long)status.leader,
           (unsigned long long)status.term, (unsigned long long)status.applied,
           (unsigned long long)status.first_index,
           (unsigned long long)status.snapshot_index);
    fflush(stdout);
}

void app_command(struct app *app, const char *line, swk_time now)
{
    const char *rest = strchr(line, ' ');

    if (rest != NULL && strncmp(line, "set ", 4) == 0 &&
        strchr(rest + 1, ' ') != NULL) {
        command_set(app, rest + 1, now);
    } else if (rest != NULL && strncmp(line, "get ", 4) == 0) {
        command_get(app, rest + 1, now);
    } else if (strcmp(line, "status") == 0) {
        command_status(app);
    } else {
        answer("%s", "set KEY VALUE, get KEY, or status\n");
    }
}

/* -- What the member tells ------------------------------------------------- */

void app_apply(struct app *app, const struct swk_log_entry *entry)
{
    if (entry->type == SWK_RAFT_ENTRY_NORMAL && entry->data_len > 0) {
        apply_line(app, (const char *)entry->data, entry->data_len);
    }
    app->applied = entry->index;
    for (struct app_request *r = app->requests; r != NULL; r = r->next) {
        if (r->read == 0 && r->index == entry->index) {
            answer("%s", r->term == entry->term ? "ok\n" : "lost\n");
            r->answered = true;
        }
    }
    answer_reads(app);
}

void app_read(struct app *app, const struct swk_raft_read *read)
{
    uint64_t context[2];

    memcpy(context, read->context, sizeof(context));
    for (struct app_request *r = app->requests; r != NULL; r = r->next) {
        if (context[0] == app->run && r->read == context[1]) {
            r->index = read->index;
        }
    }
    answer_reads(app);
}

void app_lost_leadership(struct app *app)
{
    for (struct app_request *r = app->requests; r != NULL; r = r->next) {
        if (r->read == 0) {
            answer_unknown(r);
        }
    }
    drop_answered(app);
}

void app_expire(struct app *app, swk_time now)
{
    for (struct app_request *r = app->requests; r != NULL; r = r->next) {
        if (r->deadline <= now) {
            answer_unknown(r);
        }
    }
    drop_answered(app);
}

void app_fini(struct app *app)
{
    for (struct app_request *r = app->requests; r != NULL; r = r->next) {
        r->answered = true;
    }
    drop_answered(app);
    clear(app);
}

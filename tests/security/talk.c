/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A conversation with a manager, of lines: what is asked comes in, what was
 * answered goes out.
 *
 *     in   PATH <tab> OPTIONS <tab> REQUEST
 *     out  STATUS <tab> MESSAGES <tab> TEXT
 *          and each message as a line of JSON
 *
 * STATUS is the number of a gRPC status, "open" for a call that has not ended,
 * or "down" when there is no connection. REQUEST is JSON; after "hex:" the
 * bytes themselves, after "zeros:" so many of them. OPTIONS, with ';' between:
 *
 *     wait=MS    how long to listen; 2000 if nothing is said
 *     messages=N listens no longer once so many have come
 *     keep       leaves the call open, for "poll"
 *     open       leaves the half of the client open
 *     node= swarm= role= address=    whom the call is forwarded for
 *
 * "poll" instead of a PATH says what came on the call kept last.
 */

#include "attacker.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <swarmkit/nng_transport.h>
#include <swarmkit/posix.h>

#include "node/rpc/client.h"
#include "wire/json.h"
#include "wire/json_read.h"
#include "wire/message.h"
#include "wire/methods.h"

enum {
    WAIT_MS = 2000,
    CONNECT_SECONDS = 20,
    REQUEST_MEMORY = 256 * 1024 * 1024,
    TEXT_SIZE = 512,
};

struct call {
    const struct swki_method *method; /* NULL for one that there is not */
    uint64_t id;
    bool ended;
    int status;
    char text[TEXT_SIZE];
    size_t count;
    struct swki_buf lines; /* the messages */
};

struct options {
    swk_time wait_ns;
    size_t messages;
    bool keep;
    bool open;
    struct swki_rpc_header header;
};

struct talker {
    swk_nng_transport *transport;
    struct swki_loop *loop;
    struct swki_tls_context *context;
    struct swki_rpc_client *client;
    bool connected;
    bool down;
    struct swk_error reason;
    uint64_t last_id;
    struct call calls[2]; /* the one at hand, the one that was kept */
};

/* -- The connection ---------------------------------------------------------
 */

static void on_connected(void *ctx, swk_time now)
{
    struct talker *t = ctx;

    (void)now;
    t->connected = true;
}

static void on_disconnected(void *ctx, const struct swk_error *reason,
                            swk_time now)
{
    struct talker *t = ctx;

    (void)now;
    t->down = true;
    t->reason = *reason;
}

static swk_time now_of(void)
{
    return swk_posix_clock()->now(NULL);
}

static void turn(struct talker *t, swk_time until)
{
    swk_time next = now_of() + 20 * SWK_MILLISECOND;

    if (swki_loop_wait(t->loop, next < until ? next : until, NULL) != 0) {
        die("cannot wait");
    }
}

static void make_context(struct talker *t, int argc, char **argv)
{
    struct swki_buf texts[3];
    struct swk_error err = {0};
    struct swki_tls_config config = {
        .side = SWKI_TLS_CLIENT,
        .entropy = swk_posix_entropy()->fill,
        .entropy_ctx = swk_posix_entropy()->ctx,
        .wall = swk_posix_clock()->wall,
        .wall_ctx = swk_posix_clock()->ctx,
    };

    for (int i = 0; i < 3; i++) {
        swki_buf_init(&texts[i], NULL, SIZE_MAX);
        if (i < argc) {
            read_file(argv[i], &texts[i]);
        }
    }
    config.roots_pem = (const char *)texts[0].data;
    config.chain_pem = (const char *)texts[1].data;
    config.key_pem = (const char *)texts[2].data;
    if (swki_tls_context_new(NULL, &config, &t->context, &err) != 0) {
        die("%s", err.text);
    }
    for (int i = 0; i < 3; i++) {
        swki_buf_fini(&texts[i]);
    }
}

static void connect_to(struct talker *t, const char *address)
{
    const struct swki_rpc_client_config config = {
        .clock = swk_posix_clock(),
        .transport = swk_nng_transport_port(t->transport),
        .loop = t->loop,
        .address = address,
        .context = t->context,
        .server_name = t->context != NULL ? SWKI_OU_MANAGER : NULL,
        .timeout_ns = CONNECT_SECONDS * SWK_SECOND,
        .ctx = t,
        .connected = on_connected,
        .disconnected = on_disconnected,
    };
    struct swk_error err = {0};

    if (swki_rpc_client_new(&config, &t->client, &err) != 0) {
        t->down = true; /* a socket that may not be opened */
        t->reason = err;
    }
    while (!t->connected && !t->down) {
        turn(t, SWK_NEVER);
    }
}

/* -- Calls ------------------------------------------------------------------
 */

static struct call *find(struct talker *t, uint64_t id)
{
    for (int i = 0; i < 2; i++) {
        if (t->calls[i].id == id) {
            return &t->calls[i];
        }
    }
    return NULL;
}

static void on_message(void *ctx, uint64_t call_id, const uint8_t *data,
                       size_t len, swk_time now)
{
    struct call *call = find(ctx, call_id);
    ProtobufCMessage *message;
    struct swki_arena arena;

    (void)now;
    if (call == NULL) {
        return;
    }
    swki_arena_init(&arena, NULL, REQUEST_MEMORY);
    if (call->method == NULL ||
        swki_message_unpack(call->method->response, data, len, &arena, &message,
                            NULL) != 0 ||
        swki_message_to_json(message, SWKI_JSON_COMPACT, &call->lines, NULL) !=
            0) {
        die("an answer that is none");
    }
    swki_buf_append_byte(&call->lines, '\n');
    call->count++;
    swki_arena_fini(&arena);
}

static void on_ended(void *ctx, uint64_t call_id, int status, const char *text,
                     swk_time now)
{
    struct call *call = find(ctx, call_id);

    (void)now;
    if (call != NULL) {
        call->ended = true;
        call->status = status;
        snprintf(call->text, sizeof(call->text), "%s", text);
    }
}

static void report(struct talker *t, struct call *call)
{
    for (char *c = call->text; *c != '\0'; c++) {
        *c = *c == '\n' || *c == '\t' ? ' ' : *c;
    }
    if (call->ended && !t->down) {
        printf("%d", call->status);
    } else {
        fputs(t->down ? "down" : "open", stdout);
    }
    printf("\t%zu\t%s\n", call->count, t->down ? t->reason.text : call->text);
    fwrite(call->lines.data, 1, call->lines.len, stdout);
    fflush(stdout);
    call->count = 0;
    swki_buf_clear(&call->lines);
}

static void start(struct talker *t, const struct options *options,
                  const struct swki_buf *request)
{
    struct call *call = &t->calls[0];
    const struct swki_rpc_client_call_events events = {
        .ctx = t,
        .call_id = ++t->last_id,
        .message = on_message,
        .ended = on_ended,
    };
    const char *path = options->header.path;
    struct swk_error err = {0};

    swki_buf_clear(&call->lines);
    call->method = swki_method_by_path(path, strlen(path));
    call->id = t->last_id;
    call->ended = false;
    call->count = 0;
    call->text[0] = '\0';
    if (t->down) {
        return;
    }
    if (swki_rpc_client_open(t->client, &options->header, &events, &err) != 0 ||
        swki_rpc_client_send(t->client, call->id, request->data, request->len,
                             &err) != 0) {
        die("%s", err.text);
    }
    if (!options->open) {
        swki_rpc_client_finish(t->client, call->id);
    }
}

static void listen_to(struct talker *t, const struct call *call,
                      const struct options *options)
{
    swk_time until = now_of() + options->wait_ns;

    while (!call->ended && !t->down && now_of() < until &&
           call->count < options->messages) {
        turn(t, until);
    }
}

static void keep(struct talker *t)
{
    struct call before = t->calls[1];

    t->calls[1] = t->calls[0];
    t->calls[0] = before;
}

static void make_call(struct talker *t, const struct options *options,
                      const struct swki_buf *request)
{
    struct call *call = &t->calls[0];

    start(t, options, request);
    listen_to(t, call, options);
    report(t, call);
    if (options->keep) {
        keep(t);
    } else if (!call->ended && !t->down) {
        swki_rpc_client_cancel(t->client, call->id);
    }
    /* What is dead must not answer for the next one. */
    t->calls[0].id = 0;
}

/* -- Lines ------------------------------------------------------------------
 */

static void read_options(char *text, struct options *out)
{
    char *rest = NULL;

    for (char *word = strtok_r(text, ";", &rest); word != NULL;
         word = strtok_r(NULL, ";", &rest)) {
        char *value = strchr(word, '=');

        value = value == NULL ? word + strlen(word) : value + 1;
        if (strncmp(word, "wait=", 5) == 0) {
            out->wait_ns = strtoull(value, NULL, 10) * SWK_MILLISECOND;
        } else if (strncmp(word, "messages=", 9) == 0) {
            out->messages = strtoull(value, NULL, 10);
        } else if (strcmp(word, "keep") == 0) {
            out->keep = true;
        } else if (strcmp(word, "open") == 0) {
            out->open = true;
        } else if (strncmp(word, "node=", 5) == 0) {
            out->header.forwarded_node_id = value;
        } else if (strncmp(word, "swarm=", 6) == 0) {
            out->header.forwarded_swarm_id = value;
        } else if (strncmp(word, "role=", 5) == 0) {
            out->header.forwarded_role = value;
        } else if (strncmp(word, "address=", 8) == 0) {
            out->header.forwarded_address = value;
        } else {
            die("unknown option %s", word);
        }
    }
}

static void read_hex(const char *text, struct swki_buf *out)
{
    unsigned byte;

    for (; sscanf(text, "%2x", &byte) == 1; text += 2) {
        swki_buf_append_byte(out, (uint8_t)byte);
    }
}

static void read_json(const char *path, const char *text, struct swki_buf *out)
{
    const struct swki_method *method = swki_method_by_path(path, strlen(path));
    ProtobufCMessage *message;
    struct swki_arena arena;
    struct swk_error err = {0};

    if (method == NULL) {
        die("no method %s", path);
    }
    swki_arena_init(&arena, NULL, REQUEST_MEMORY);
    if (swki_message_from_json(method->request, text, strlen(text), &arena,
                               &message, &err) != 0 ||
        swki_message_pack(message, out, &err) != 0) {
        die("%s: %s", path, err.text);
    }
    swki_arena_fini(&arena);
}

static void read_request(const char *path, const char *text,
                         struct swki_buf *out)
{
    if (strncmp(text, "hex:", 4) == 0) {
        read_hex(text + 4, out);
    } else if (strncmp(text, "zeros:", 6) == 0) {
        size_t len = strtoull(text + 6, NULL, 10);
        uint8_t *room = swki_buf_reserve(out, len);

        if (room != NULL) {
            memset(room, 0, len);
            out->len += len;
        }
    } else if (text[0] != '\0') {
        read_json(path, text, out);
    }
}

static void on_line(struct talker *t, char *line)
{
    char *fields[3] = {line, NULL, NULL};
    struct options options = {
        .wait_ns = WAIT_MS * SWK_MILLISECOND,
        .messages = SIZE_MAX,
    };
    struct swki_buf request;

    line[strcspn(line, "\n")] = '\0';
    for (int i = 1; i < 3; i++) {
        fields[i] = strchr(fields[i - 1], '\t');
        if (fields[i] == NULL) {
            die("a line of %d fields", i);
        }
        *fields[i]++ = '\0';
    }
    options.header.path = fields[0];
    read_options(fields[1], &options);
    if (strcmp(fields[0], "poll") == 0) {
        listen_to(t, &t->calls[1], &options);
        report(t, &t->calls[1]);
        return;
    }
    swki_buf_init(&request, NULL, SIZE_MAX);
    read_request(fields[0], fields[2], &request);
    make_call(t, &options, &request);
    swki_buf_fini(&request);
}

/* Whoever says nothing meanwhile would be taken for dead. One line is read at a
 * time: the next is written when this one was answered. */
static bool next_line(struct talker *t, char **line, size_t *size)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

    while (poll(&input, 1, 100) == 0) {
        turn(t, now_of());
    }
    return getline(line, size, stdin) > 0;
}

int talk(int argc, char **argv)
{
    struct talker t = {0};
    struct swk_error err = {0};
    char *line = NULL;
    size_t size = 0;

    if (argc < 1 || argc > 4 || argc == 3) {
        die("talk ADDRESS [ROOTS [CHAIN KEY]]");
    }
    if (argc > 1) {
        make_context(&t, argc - 1, argv + 1);
    }
    swki_buf_init(&t.calls[0].lines, NULL, SIZE_MAX);
    swki_buf_init(&t.calls[1].lines, NULL, SIZE_MAX);
    if (swk_nng_transport_new(NULL, NULL, &t.transport, &err) != 0 ||
        swki_loop_new(NULL, swk_posix_clock(), &t.loop, &err) != 0) {
        die("%s", err.text);
    }
    connect_to(&t, argv[0]);
    printf("%s\t0\t%s\n", t.connected ? "0" : "down",
           t.down ? t.reason.text : "");
    fflush(stdout);
    while (next_line(&t, &line, &size)) {
        on_line(&t, line);
    }
    free(line);
    swki_rpc_client_free(t.client);
    swk_nng_transport_free(t.transport);
    swki_loop_free(t.loop);
    swki_tls_context_unref(t.context);
    swki_buf_fini(&t.calls[0].lines);
    swki_buf_fini(&t.calls[1].lines);
    return 0;
}

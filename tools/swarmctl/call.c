/* SPDX-License-Identifier: Apache-2.0 */

/* Calls to the manager, and how their failures are told. */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <swarmkit/message.h>

#include "ctl.h"

#define CALL_TIMEOUT (60 * SWK_SECOND)

enum {
    RETRY_FOR_MS = 3000,
    RETRY_PAUSE_MS = 200,
};

void ctl_close(struct ctl *ctl)
{
    swk_client_close(ctl->client);
    pool_empty(&ctl->pool);
}

int ctl_error(enum exit_code code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("Error: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return (int)code;
}

int ctl_usage(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("Error: ", stderr);
    vfprintf(stderr, format, args);
    fputs("\nSay \"swarmctl --help\" or \"swarmctl COMMAND --help\" for the "
          "usage.\n",
          stderr);
    va_end(args);
    return EXIT_USAGE;
}

int ctl_fail(const struct swk_error *err)
{
    static const struct {
        int error;
        enum exit_code code;
    } codes[] = {
        {SWK_ENOTFOUND, EXIT_NOT_FOUND},
        {SWK_EEXIST, EXIT_CONFLICT},
        {SWK_ECONFLICT, EXIT_CONFLICT},
        {SWK_EABORTED, EXIT_CONFLICT},
        {SWK_EDENIED, EXIT_DENIED},
        {SWK_EUNAUTHENTICATED, EXIT_DENIED},
        {SWK_ECLOCK, EXIT_DENIED},
        {SWK_EUNAVAILABLE, EXIT_UNAVAILABLE},
        {SWK_ENOTLEADER, EXIT_UNAVAILABLE},
        {SWK_EIO, EXIT_UNAVAILABLE},
        {SWK_ETIMEDOUT, EXIT_TIMEOUT},
    };
    const char *text =
        err->text[0] != '\0' ? err->text : swk_error_name(err->code);

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (codes[i].error == err->code) {
            return ctl_error(codes[i].code, "%s", text);
        }
    }
    return ctl_error(EXIT_FAILED, "%s", text);
}

void ctl_name_file(struct swk_error *err, const char *path)
{
    const struct swk_error before = *err;

    snprintf(err->text, sizeof(err->text), "%.160s: %s", path,
             before.text[0] != '\0' ? before.text
                                    : swk_error_name(before.code));
}

static void *take(void *pool, size_t size)
{
    return pool_alloc(pool, size);
}

/* What is in the pool goes when the pool is emptied. */
static void keep(void *pool, void *memory)
{
    (void)pool;
    (void)memory;
}

static int decode(const ProtobufCMessageDescriptor *type, const uint8_t *data,
                  size_t len, struct pool *pool, void *out_message,
                  struct swk_error *err)
{
    ProtobufCAllocator allocator = {take, keep, pool};
    ProtobufCMessage *message =
        protobuf_c_message_unpack(type, &allocator, len, data);

    if (message == NULL) {
        err->code = SWK_EMALFORMED;
        snprintf(err->text, sizeof(err->text),
                 "the manager's answer is malformed");
        return SWK_EMALFORMED;
    }
    *(ProtobufCMessage **)out_message = message;
    return 0;
}

/* Whatever keeps the tool from its manager is one kind of failure to scripts,
 * but for a socket that this user may not open. */
static int open_client(struct ctl *ctl, struct swk_error *err)
{
    struct swk_client_config config = SWK_CLIENT_CONFIG_INIT;

    config.address = ctl->socket;
    int rc = swk_client_open(&config, &ctl->client, err);
    return rc == 0 || rc == SWK_EDENIED ? rc : SWK_EUNAVAILABLE;
}

int ctl_try(struct ctl *ctl, const char *method,
            const ProtobufCMessage *request,
            const ProtobufCMessageDescriptor *type, struct pool *pool,
            void *out_message, struct swk_error *err)
{
    const char *path =
        method[0] == '/'
            ? method
            : pool_printf(&ctl->pool, "/docker.swarmkit.v1.%s%s",
                          strchr(method, '/') == NULL ? "Control/" : "",
                          method);
    size_t len = protobuf_c_message_get_packed_size(request);
    uint8_t *data = malloc(len + 1);
    uint8_t *reply = NULL;
    size_t reply_len = 0;
    int rc = 0;

    *err = (struct swk_error){0};
    if (data == NULL) {
        err->code = SWK_ENOMEM;
        return SWK_ENOMEM;
    }
    protobuf_c_message_pack(request, data);
    if (ctl->client == NULL) {
        rc = open_client(ctl, err);
    }
    if (rc == 0) {
        rc = swk_client_set_request_id(ctl->client, ctl->request_id);
    }
    if (rc == 0) {
        rc = swk_client_call(ctl->client, path, data, len, CALL_TIMEOUT, &reply,
                             &reply_len, err);
    }
    explicit_bzero(data, len); /* it may hold a secret */
    free(data);
    if (rc == SWK_EUNAVAILABLE) {
        /* A connection that is down stays down; the next call makes one. */
        swk_client_close(ctl->client);
        ctl->client = NULL;
    }
    if (rc != 0) {
        name_objects(ctl, err);
        return rc;
    }
    rc = decode(type, reply, reply_len, pool != NULL ? pool : &ctl->pool,
                out_message, err);
    swk_client_release(ctl->client, reply);
    return rc;
}

/* A new ID for a call, by which the managers know it when it comes again. */
static int name_request(struct ctl *ctl, struct swk_error *err)
{
    uint64_t random[2];

    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
        snprintf(err->text, sizeof(err->text),
                 "the system gives no random numbers");
        return SWK_EIO;
    }
    snprintf(ctl->request_id, sizeof(ctl->request_id), "%016llx%016llx",
             (unsigned long long)random[0], (unsigned long long)random[1]);
    return 0;
}

static int64_t milliseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Makes the call; and again with the same ID while a manager answers that none
 * of them leads, for a leader is chosen within about a second. */
static int call_again(struct ctl *ctl, const char *method,
                      const ProtobufCMessage *request,
                      const ProtobufCMessageDescriptor *type, void *out_message,
                      struct swk_error *err)
{
    static const struct timespec pause = {.tv_nsec = RETRY_PAUSE_MS * 1000000};
    int rc = name_request(ctl, err);

    if (rc == 0 && ctl->client == NULL) {
        rc = open_client(ctl, err);
    }
    if (rc != 0) {
        return rc;
    }
    rc = ctl_try(ctl, method, request, type, NULL, out_message, err);
    int64_t end = milliseconds() + RETRY_FOR_MS;

    while (rc == SWK_EUNAVAILABLE && milliseconds() < end) {
        nanosleep(&pause, NULL);
        rc = ctl_try(ctl, method, request, type, NULL, out_message, err);
    }
    return rc;
}

int ctl_call(struct ctl *ctl, const char *method,
             const ProtobufCMessage *request,
             const ProtobufCMessageDescriptor *type, void *out_message)
{
    struct swk_error err = {0};
    int rc = call_again(ctl, method, request, type, out_message, &err);

    ctl->request_id[0] = '\0';
    if (rc == 0) {
        return EXIT_OK;
    }
    err.code = rc;
    int code = ctl_fail(&err);
    if (ctl->hint != NULL && ctl->hint_for == rc) {
        fprintf(stderr, "%s\n", ctl->hint);
    }
    return code;
}

/* -- JSON ----------------------------------------------------------------- */

static int print_object(struct ctl *ctl, const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *data = pool_alloc(&ctl->pool, len + 1);
    struct swk_error err = {0};
    char *text;

    protobuf_c_message_pack(message, data);
    err.code = swk_message_to_json(message->descriptor->name, data, len,
                                   SWK_JSON_INDENTED, &text, &err);
    if (err.code != 0) {
        return ctl_fail(&err);
    }
    fputs(text, stdout);
    swk_message_json_free(text);
    return EXIT_OK;
}

int ctl_print_json(struct ctl *ctl, const ProtobufCMessage *message)
{
    const ProtobufCFieldDescriptor *list = &message->descriptor->fields[0];
    int rc = EXIT_OK;

    if (list->label != PROTOBUF_C_LABEL_REPEATED ||
        list->type != PROTOBUF_C_TYPE_MESSAGE) {
        rc = print_object(ctl, message);
        putchar('\n');
        return rc;
    }

    const char *top = (const char *)message;
    size_t count =
        *(const size_t *)(const void *)(top + list->quantifier_offset);
    ProtobufCMessage *const *items =
        *(ProtobufCMessage *const *const *)(const void *)(top + list->offset);
    putchar('[');
    for (size_t i = 0; rc == EXIT_OK && i < count; i++) {
        fputs(i > 0 ? ",\n" : "\n", stdout);
        rc = print_object(ctl, items[i]);
    }
    fputs("\n]\n", stdout);
    return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */

/* What the commands share: failures, the state that is read, objects. */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <swarmkit/message.h>
#include <swarmkit/posix.h>

#include "objects.pb-c.h"
#include "rafttool.h"
#include "snapshot.pb-c.h"
#include "unlock_input.h"

/* -- Text ----------------------------------------------------------------- */

static void write_plain(FILE *file, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        putc(c < ' ' || c == 0x7f ? '?' : c, file);
    }
}

void print_plain(const char *text)
{
    write_plain(stdout, text);
}

static void write_line(const char *head, const char *format, va_list args)
{
    char text[1024];

    vsnprintf(text, sizeof(text), format, args);
    fputs(head, stderr);
    write_plain(stderr, text);
    putc('\n', stderr);
}

int tool_error(enum exit_code code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    write_line("swarm-rafttool: error: ", format, args);
    va_end(args);
    return (int)code;
}

void tool_note(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    write_line("swarm-rafttool: ", format, args);
    va_end(args);
}

int tool_fail(const struct swk_error *err)
{
    static const struct {
        int error;
        enum exit_code code;
    } codes[] = {
        {SWK_EDENIED, EXIT_LOCKED},     {SWK_ENOTFOUND, EXIT_NOT_FOUND},
        {SWK_EEXIST, EXIT_EXISTS},      {SWK_ECORRUPT, EXIT_DAMAGED},
        {SWK_EMALFORMED, EXIT_DAMAGED}, {SWK_EBUSY, EXIT_IN_USE},
    };

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (codes[i].error == err->code) {
            return tool_error(codes[i].code, "%s", err->text);
        }
    }
    return tool_error(EXIT_FAILED, "%s",
                      err->text[0] != '\0' ? err->text
                                           : swk_error_name(err->code));
}

int print_message(const struct options *options, const char *type,
                  const void *data, size_t len, uint32_t flags)
{
    struct swk_error err;
    char *text;

    flags |= options->redact ? SWK_JSON_REDACTED : 0;
    if (swk_message_to_json(type, data, len, flags, &text, &err) != 0) {
        return tool_fail(&err);
    }
    fputs(text, stdout);
    explicit_bzero(text, strlen(text));
    swk_message_json_free(text);
    return EXIT_OK;
}

/* -- Reading -------------------------------------------------------------- */

int tool_config(const struct options *options, struct swk_unlock_key *key,
                struct swk_offline_config *out_config)
{
    struct swk_offline_config config = SWK_OFFLINE_CONFIG_INIT;
    struct swk_error err;

    config.state_dir = options->state_dir;
    config.clock = swk_posix_clock();
    config.entropy = swk_posix_entropy();
    if (options->unlock_key_file != NULL) {
        if (unlock_input_read(options->unlock_key_file, key, &err) != 0) {
            return tool_error(EXIT_LOCKED, "%s", err.text);
        }
        config.unlock_key = key;
    }
    *out_config = config;
    return EXIT_OK;
}

int tool_open(const struct options *options, uint64_t flags,
              swk_offline **out_offline)
{
    struct swk_offline_config config;
    struct swk_unlock_key key;
    struct swk_error err;
    int code = tool_config(options, &key, &config);

    if (code != EXIT_OK) {
        return code;
    }
    config.flags = flags;
    if (swk_offline_open(&config, out_offline, &err) != 0) {
        code = tool_fail(&err);
        if (code == EXIT_LOCKED && options->unlock_key_file == NULL) {
            tool_note("--unlock-key-file FILE names the key, as \"swarmctl "
                      "unlock-key\" shows it");
        }
        if (code == EXIT_DAMAGED) {
            tool_note("\"swarm-rafttool verify\" says what is damaged, and "
                      "what can be done");
        }
    }
    explicit_bzero(&key, sizeof(key));
    return code;
}

int tool_state(const struct options *options, const swk_offline *offline,
               uint8_t **out_data, size_t *out_len)
{
    struct swk_offline_info info = {.size = sizeof(info)};
    struct swk_error err;
    uint64_t index;

    swk_offline_info(offline, &info);
    index = options->uncommitted ? info.last_index : info.committed_index;
    if (info.last_index > info.committed_index) {
        tool_note("entries %llu to %llu may not be committed, and are %s",
                  (unsigned long long)info.committed_index + 1,
                  (unsigned long long)info.last_index,
                  options->uncommitted
                      ? "used all the same"
                      : "left out: --uncommitted uses them, too");
    }
    if (info.lost_index > info.last_index) {
        tool_note("entries up to %llu are lost: what is shown is older than "
                  "what other managers have",
                  (unsigned long long)info.lost_index);
    }
    return swk_offline_state(offline, index, out_data, out_len, &err) == 0
               ? EXIT_OK
               : tool_fail(&err);
}

/* -- Objects -------------------------------------------------------------- */

bool object_list_at(const ProtobufCMessage *store, unsigned position,
                    struct object_list *out_list)
{
    const ProtobufCMessageDescriptor *type = &swkpb__store_snapshot__descriptor;
    const ProtobufCFieldDescriptor *field;
    const char *top = (const char *)store;

    if (position >= type->n_fields) {
        return false;
    }
    field = &type->fields[position];
    *out_list = (struct object_list){.field = field};
    snprintf(out_list->kind, sizeof(out_list->kind), "%.*s",
             (int)strlen(field->name) - 1, field->name); /* without the "s" */
    if (store != NULL) {
        out_list->objects =
            *(ProtobufCMessage *const *const *)(const void *)(top +
                                                              field->offset);
        out_list->count =
            *(const size_t *)(const void *)(top + field->quantifier_offset);
    }
    return true;
}

/* The sub-message of that name; NULL if there is none. */
static const ProtobufCMessage *sub(const ProtobufCMessage *message,
                                   const char *name)
{
    const ProtobufCFieldDescriptor *field =
        message != NULL ? protobuf_c_message_descriptor_get_field_by_name(
                              message->descriptor, name)
                        : NULL;

    if (field == NULL || field->type != PROTOBUF_C_TYPE_MESSAGE ||
        field->label == PROTOBUF_C_LABEL_REPEATED) {
        return NULL;
    }
    return *(ProtobufCMessage *const *)(const void *)((const char *)message +
                                                      field->offset);
}

const char *object_id(const ProtobufCMessage *object)
{
    /* The first field of every kind. */
    return *(char *const *)(const void *)((const char *)object +
                                          object->descriptor->fields[0].offset);
}

const char *object_name(const ProtobufCMessage *object)
{
    const Swkpb__Annotations *annotations =
        (const Swkpb__Annotations *)sub(sub(object, "spec"), "annotations");
    const Swkpb__NodeDescription *description;

    if (object->descriptor == &swkpb__node__descriptor) {
        description =
            (const Swkpb__NodeDescription *)sub(object, "description");
        return description != NULL ? description->hostname : "";
    }
    if (annotations == NULL) {
        annotations = (const Swkpb__Annotations *)sub(object, "annotations");
    }
    return annotations != NULL ? annotations->name : "";
}

uint64_t object_version(const ProtobufCMessage *object)
{
    const Swkpb__Meta *meta = (const Swkpb__Meta *)sub(object, "meta");

    return meta != NULL && meta->version != NULL ? meta->version->index : 0;
}

int print_object(const struct options *options, const ProtobufCMessage *object)
{
    size_t len = protobuf_c_message_get_packed_size(object);
    uint8_t *data = malloc(len + 1);
    int code;

    if (data == NULL) {
        return tool_error(EXIT_FAILED, "out of memory");
    }
    protobuf_c_message_pack(object, data);
    code = print_message(options, object->descriptor->name, data, len,
                         SWK_JSON_INDENTED);
    explicit_bzero(data, len);
    free(data);
    return code;
}

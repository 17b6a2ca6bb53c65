/* SPDX-License-Identifier: Apache-2.0 */

#include "wire/redact.h"

#include <string.h>

#include "wire/fields.h"

static char mark[] = "<redacted>";

/* What is secret, or may be for all that can be known here. All texts and bytes
 * within such a field go; of a map, the values. */
static const struct rule {
    const char *type;
    const char *field;
} secrets[] = {
    {"docker.swarmkit.v1.SecretSpec", "data"},
    {"docker.swarmkit.v1.ConfigSpec", "data"},
    {"docker.swarmkit.v1.ContainerSpec", "env"},
    {"docker.swarmkit.v1.ContainerSpec.PullOptions", "registry_auth"},
    {"docker.swarmkit.v1.EncryptionKey", "key"},
    {"docker.swarmkit.v1.RootCA", "ca_key"},
    {"docker.swarmkit.v1.JoinTokens", "worker"},
    {"docker.swarmkit.v1.JoinTokens", "manager"},
    {"swarmkit.v1.LimitedJoinToken", "secret_hash"},
    {"swarmkit.v1.CreateJoinTokenResponse", "join_token"},
    {"docker.swarmkit.v1.RootRotation", "ca_key"},
    {"docker.swarmkit.v1.ClusterSpec", "ca_config"},
    {"docker.swarmkit.v1.AcceptancePolicy.RoleAdmissionPolicy.Secret", "data"},
    /* A log driver's may be a token, a volume driver's a password. */
    {"docker.swarmkit.v1.Driver", "options"},
    {"docker.swarmkit.v1.VolumeInfo", "volume_context"},
    {"docker.swarmkit.v1.VolumePublishStatus", "publish_context"},
    /* Of a type that is known elsewhere. */
    {"google.protobuf.Any", "value"},
};

/* Where options are numbers of networks, and what one looks for. */
static const struct rule spared[] = {
    {"docker.swarmkit.v1.Network", "driver_state"},
    {"docker.swarmkit.v1.NetworkSpec", "driver_config"},
};

static bool applies(const struct rule *rules, size_t count,
                    const ProtobufCMessage *message,
                    const ProtobufCFieldDescriptor *field)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rules[i].field, field->name) == 0 &&
            strcmp(rules[i].type, message->descriptor->name) == 0) {
            return true;
        }
    }
    return false;
}

/* Calls visit for each element of a field that is there; false if one call
 * says so. */
typedef bool (*visit_fn)(void *element, const ProtobufCFieldDescriptor *field,
                         struct swki_arena *arena);

static bool each_element(ProtobufCMessage *message,
                         const ProtobufCFieldDescriptor *field,
                         struct swki_arena *arena, visit_fn visit)
{
    char *member = (char *)message + field->offset;
    size_t count;

    if (field->label != PROTOBUF_C_LABEL_REPEATED) {
        return !swki_field_is_set(message, field) ||
               visit(member, field, arena);
    }
    count = swki_field_count(message, field);
    for (size_t i = 0; i < count; i++) {
        char *array = *(char **)member;

        if (!visit(array + i * swki_type_size(field->type), field, arena)) {
            return false;
        }
    }
    return true;
}

/* The names of variables stay: they say what is set, and not to what. */
static bool blank_text(char **text, const ProtobufCFieldDescriptor *field,
                       struct swki_arena *arena)
{
    const char *sign = *text != NULL ? strchr(*text, '=') : NULL;

    if (*text == NULL || **text == '\0') {
        return true;
    }
    *text = sign != NULL && strcmp(field->name, "env") == 0
                ? swki_arena_printf(arena, "%.*s=%s", (int)(sign - *text),
                                    *text, mark)
                : mark;
    return *text != NULL;
}

/* Of a map's entry, the key stays. */
static bool is_key(const ProtobufCMessage *message,
                   const ProtobufCFieldDescriptor *field)
{
    const char *name = message->descriptor->name;
    size_t len = strlen(name);

    return len > 5 && strcmp(name + len - 5, "Entry") == 0 &&
           strcmp(field->name, "key") == 0;
}

static bool blank(void *element, const ProtobufCFieldDescriptor *field,
                  struct swki_arena *arena);

static bool blank_message(ProtobufCMessage *message, struct swki_arena *arena)
{
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];

        if (!is_key(message, field) &&
            !each_element(message, field, arena, blank)) {
            return false;
        }
    }
    return true;
}

static bool blank(void *element, const ProtobufCFieldDescriptor *field,
                  struct swki_arena *arena)
{
    ProtobufCBinaryData *bytes = element;

    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        return blank_text(element, field, arena);
    case PROTOBUF_C_TYPE_BYTES:
        if (bytes->len > 0) {
            *bytes = (ProtobufCBinaryData){sizeof(mark) - 1, (uint8_t *)mark};
        }
        return true;
    case PROTOBUF_C_TYPE_MESSAGE:
        return blank_message(*(ProtobufCMessage **)element, arena);
    default:
        return true; /* numbers tell nothing */
    }
}

static bool visit_message(void *element, const ProtobufCFieldDescriptor *field,
                          struct swki_arena *arena)
{
    return swki_message_redact(*(ProtobufCMessage **)element, arena);
}

static bool redact_field(ProtobufCMessage *message,
                         const ProtobufCFieldDescriptor *field,
                         struct swki_arena *arena)
{
    if (applies(secrets, sizeof(secrets) / sizeof(secrets[0]), message,
                field)) {
        return each_element(message, field, arena, blank);
    }
    if (field->type != PROTOBUF_C_TYPE_MESSAGE ||
        applies(spared, sizeof(spared) / sizeof(spared[0]), message, field)) {
        return true;
    }
    return each_element(message, field, arena, visit_message);
}

/* A swarm's state says of itself that it cannot be brought back. */
static void note(ProtobufCMessage *message)
{
    const ProtobufCFieldDescriptor *field;

    if (strcmp(message->descriptor->name, "swarmkit.v1.State") == 0) {
        field = protobuf_c_message_descriptor_get_field_by_name(
            message->descriptor, "redacted");
        *(protobuf_c_boolean *)((char *)message + field->offset) = 1;
    }
}

bool swki_message_redact(ProtobufCMessage *message, struct swki_arena *arena)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;

    for (unsigned i = 0; i < type->n_fields; i++) {
        if (!redact_field(message, &type->fields[i], arena)) {
            return false;
        }
    }
    note(message);
    return true;
}

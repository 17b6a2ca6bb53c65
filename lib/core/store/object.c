/* SPDX-License-Identifier: Apache-2.0 */

#include "core/store/object.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "core/store/object_impl.h"
#include "wire/fields.h"
#include "wire/message.h"

enum {
    /* Where a field that borrows nothing points. */
    NOWHERE = 0xff, /* or into memory that is always there */
    OWN = 0xfe,
    /* Bytes of room that a new object is made with: enough for a task. What
     * does not fit is allocated besides. */
    ROOM_NEW = 224,
    /* Bytes beyond what the old version needed: texts of states vary. */
    ROOM_MORE = 48,
    /* The unknown fields' place behind those of the message. */
    UNKNOWN_FIELDS = SWKI_OBJECT_FIELDS_MAX - 1,
    /* Bytes up to which the old version's memory is copied, rather than kept
     * alive for the few fields that still need it. */
    COPY_MAX = 1024,
};

static const struct {
    const char *name;
    const ProtobufCMessageDescriptor *type;
} kinds[SWKI_KINDS_COUNT] = {
    [SWKI_KIND_CLUSTER] = {"cluster", &swkpb__cluster__descriptor},
    [SWKI_KIND_CONFIG] = {"config", &swkpb__config__descriptor},
    [SWKI_KIND_EXTENSION] = {"extension", &swkpb__extension__descriptor},
    [SWKI_KIND_NETWORK] = {"network", &swkpb__network__descriptor},
    [SWKI_KIND_NODE] = {"node", &swkpb__node__descriptor},
    [SWKI_KIND_RESOURCE] = {"resource", &swkpb__resource__descriptor},
    [SWKI_KIND_SECRET] = {"secret", &swkpb__secret__descriptor},
    [SWKI_KIND_SERVICE] = {"service", &swkpb__service__descriptor},
    [SWKI_KIND_TASK] = {"task", &swkpb__task__descriptor},
    [SWKI_KIND_VOLUME] = {"volume", &swkpb__volume__descriptor},
};

/* What all ten messages begin with. */
struct common {
    ProtobufCMessage base;
    char *id;
    Swkpb__Meta *meta;
};

static struct common *common(struct swki_object *object)
{
    return (struct common *)(void *)object->message;
}

static const struct common *common_const(const struct swki_object *object)
{
    return (const struct common *)(const void *)object->message;
}

const char *swki_kind_name(enum swki_kind kind)
{
    return kinds[kind].name;
}

const ProtobufCMessageDescriptor *swki_kind_type(enum swki_kind kind)
{
    return kinds[kind].type;
}

/* -- Memory ---------------------------------------------------------------- */

static void memory_unref(struct swki_object *object)
{
    if (atomic_fetch_sub_explicit(&object->memory_refs, 1,
                                  memory_order_acq_rel) == 1) {
        const struct swk_alloc *alloc = object->arena.alloc;

        swki_arena_fini(&object->arena);
        swki_free(alloc, object);
    }
}

/* The place of a lender among an object's, which it is given if there is room;
 * NOWHERE if there is none. */
static uint8_t keep_lender(struct swki_object *object,
                           struct swki_object *lender)
{
    for (uint8_t i = 0; i < object->lenders_count; i++) {
        if (object->lenders[i] == lender) {
            return i;
        }
    }
    if (object->lenders_count == SWKI_OBJECT_LENDERS_MAX) {
        return NOWHERE;
    }
    atomic_fetch_add_explicit(&lender->memory_refs, 1, memory_order_relaxed);
    object->lenders[object->lenders_count] = lender;
    return object->lenders_count++;
}

/* Whose memory a field points into; NULL for none's. */
static struct swki_object *lender_of(const struct swki_object *object,
                                     unsigned index)
{
    uint8_t owner = object->owners[index];

    if (owner == OWN) {
        return (struct swki_object *)object;
    }
    return owner != NOWHERE ? object->lenders[owner] : NULL;
}

/* Whether a later version keeps this memory rather than copying from it. */
static bool is_kept(const struct swki_object *lender)
{
    return lender->is_lender || lender->arena.used > COPY_MAX;
}

/* -- Making and counting --------------------------------------------------- */

static struct swki_object *make(const struct swk_alloc *alloc,
                                enum swki_kind kind, size_t room)
{
    size_t top = kinds[kind].type->sizeof_message;
    struct swki_object *object =
        swki_alloc(alloc, sizeof(*object) + top + room);

    if (object == NULL) {
        return NULL;
    }
    memset(object, 0, sizeof(*object));
    memset(object->owners, NOWHERE, sizeof(object->owners));
    atomic_init(&object->refs, 1);
    atomic_init(&object->memory_refs, 1);
    object->kind = (uint8_t)kind;
    swki_arena_init_room(&object->arena, alloc, object->message + top, room);
    return object;
}

struct swki_object *swki_object_new(const struct swk_alloc *alloc,
                                    enum swki_kind kind)
{
    struct swki_object *object = make(alloc, kind, ROOM_NEW);

    if (object != NULL) {
        kinds[kind].type->message_init((void *)object->message);
    }
    return object;
}

struct swki_object *swki_object_edit(const struct swki_object *base)
{
    size_t room = is_kept(base) ? ROOM_NEW : base->arena.used + ROOM_MORE;
    struct swki_object *object = make(base->arena.alloc, base->kind, room);

    assert(base->is_sealed);
    if (object != NULL) {
        memcpy(object->message, base->message,
               kinds[base->kind].type->sizeof_message);
        object->base = swki_object_ref(base);
    }
    return object;
}

struct swki_object *swki_object_ref(const struct swki_object *object)
{
    struct swki_object *counted = (struct swki_object *)object;

    atomic_fetch_add_explicit(&counted->refs, 1, memory_order_relaxed);
    return counted;
}

void swki_object_unref(const struct swki_object *object)
{
    struct swki_object *counted = (struct swki_object *)object;

    if (object == NULL || atomic_fetch_sub_explicit(&counted->refs, 1,
                                                    memory_order_acq_rel) > 1) {
        return;
    }
    for (uint8_t i = 0; i < counted->lenders_count; i++) {
        memory_unref(counted->lenders[i]);
    }
    swki_object_unref(counted->base);
    memory_unref(counted);
}

struct swki_arena *swki_object_arena(struct swki_object *object)
{
    assert(!object->is_sealed);
    return &object->arena;
}

/* -- Fields ---------------------------------------------------------------- */

static const ProtobufCMessageDescriptor *type_of(const struct swki_object *o)
{
    return kinds[o->kind].type;
}

/* What a field of the top points to; NULL if it needs no memory. */
static const void *field_memory(const struct swki_object *object,
                                const ProtobufCFieldDescriptor *field)
{
    const void *member = object->message + field->offset;

    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        return swki_field_count(swki_object_message(object), field) > 0
                   ? swki_pointer_at(member, 0)
                   : NULL;
    }
    switch (field->type) {
    case PROTOBUF_C_TYPE_BYTES:
        return ((const ProtobufCBinaryData *)member)->data;
    case PROTOBUF_C_TYPE_STRING:
        return swki_pointer_at(member, 0) != protobuf_c_empty_string
                   ? swki_pointer_at(member, 0)
                   : NULL;
    case PROTOBUF_C_TYPE_MESSAGE:
        return swki_pointer_at(member, 0);
    default:
        return NULL;
    }
}

static unsigned field_index(enum swki_kind kind, uint32_t number)
{
    const ProtobufCMessageDescriptor *type = kinds[kind].type;
    unsigned i = 0;

    while (i < type->n_fields && type->fields[i].id != number) {
        i++;
    }
    assert(i < type->n_fields);
    return i;
}

void *swki_object_own(struct swki_object *object, void *field)
{
    ProtobufCMessage **member = field;
    const ProtobufCMessageDescriptor *type = type_of(object);
    size_t offset = (size_t)((unsigned char *)field - object->message);
    ProtobufCMessage *copy;

    assert(!object->is_sealed);
    if (*member == NULL) {
        return NULL;
    }
    copy = swki_message_copy(*member, swki_object_arena(object));
    if (copy == NULL) {
        return NULL;
    }
    *member = copy;
    for (unsigned i = 0; i < type->n_fields; i++) {
        if (type->fields[i].offset == offset) {
            object->owners[i] = NOWHERE; /* shared before, perhaps */
        }
    }
    return copy;
}

int swki_object_share(struct swki_object *object, uint32_t field,
                      const struct swki_object *from, uint32_t from_field)
{
    struct swki_object *lender =
        lender_of(from, field_index(from->kind, from_field));
    uint8_t place;

    assert(!object->is_sealed && from->is_sealed);
    if (lender == NULL) {
        return SWK_OK;
    }
    place = keep_lender(object, lender);
    if (place == NOWHERE) {
        return SWK_ELIMIT;
    }
    lender->is_lender = true;
    object->owners[field_index(object->kind, field)] = place;
    return SWK_OK;
}

/* -- Sealing --------------------------------------------------------------- */

/* Whose memory this is among the old version's. Nearly always the field's own;
 * but makers move memory among fields, as to previous_spec. */
static struct swki_object *base_lender(const struct swki_object *base,
                                       unsigned index, const void *memory)
{
    const ProtobufCMessageDescriptor *type = type_of(base);

    if (field_memory(base, &type->fields[index]) != memory) {
        for (index = 0; index < type->n_fields; index++) {
            if (field_memory(base, &type->fields[index]) == memory) {
                break;
            }
        }
    }
    return index < type->n_fields ? lender_of(base, index) : NULL;
}

/* Keeps another's memory, unless there is so little that a copy is better: the
 * old version has other fields there, which nobody needs any more. */
static bool keep_or_copy(struct swki_object *object, unsigned index,
                         struct swki_object *lender)
{
    const ProtobufCFieldDescriptor *field = &type_of(object)->fields[index];

    if (is_kept(lender)) {
        object->owners[index] = keep_lender(object, lender);
    }
    if (object->owners[index] == NOWHERE) {
        object->owners[index] = OWN;
        return swki_field_copy((void *)object->message, field, &object->arena);
    }
    return true;
}

static bool seal_field(struct swki_object *object, unsigned index)
{
    const void *memory =
        field_memory(object, &type_of(object)->fields[index]);
    struct swki_object *lender = NULL;

    if (memory == NULL || memory == &object->meta) {
        object->owners[index] = NOWHERE;
        return true;
    }
    if (object->owners[index] != NOWHERE) {
        return true; /* shared explicitly */
    }
    if (object->base != NULL) {
        lender = base_lender(object->base, index, memory);
    }
    if (lender != NULL) {
        return keep_or_copy(object, index, lender);
    }
    object->owners[index] = OWN;
    return true;
}

/* Fields of a newer schema, which nobody edits, are the old version's. */
static bool seal_unknown(struct swki_object *object)
{
    ProtobufCMessage *message = (void *)object->message;
    struct swki_object *lender = NULL;

    if (message->n_unknown_fields == 0) {
        return true;
    }
    if (object->base != NULL &&
        swki_object_message(object->base)->unknown_fields ==
            message->unknown_fields) {
        lender = lender_of(object->base, UNKNOWN_FIELDS);
    }
    if (lender == NULL) {
        object->owners[UNKNOWN_FIELDS] = OWN;
        return true;
    }
    object->owners[UNKNOWN_FIELDS] = keep_lender(object, lender);
    return object->owners[UNKNOWN_FIELDS] != NOWHERE;
}

static bool has_unknown(const ProtobufCMessage *message)
{
    return message != NULL && message->n_unknown_fields > 0;
}

/* Brings the meta into the object itself, where every version has its own. */
static void seal_meta(struct swki_object *object)
{
    Swkpb__Meta *meta = common(object)->meta;

    if (meta == NULL || meta == &object->meta || has_unknown(&meta->base) ||
        (meta->version != NULL && has_unknown(&meta->version->base)) ||
        (meta->created_at != NULL && has_unknown(&meta->created_at->base)) ||
        (meta->updated_at != NULL && has_unknown(&meta->updated_at->base))) {
        return;
    }
    object->meta = *meta;
    if (meta->version != NULL) {
        object->version = *meta->version;
        object->meta.version = &object->version;
    }
    if (meta->created_at != NULL) {
        object->created_at = *meta->created_at;
        object->meta.created_at = &object->created_at;
    }
    if (meta->updated_at != NULL) {
        object->updated_at = *meta->updated_at;
        object->meta.updated_at = &object->updated_at;
    }
    common(object)->meta = &object->meta;
}

int swki_object_seal(struct swki_object *object)
{
    bool ok;

    if (object->is_sealed) {
        return SWK_OK;
    }
    seal_meta(object);
    ok = seal_unknown(object);
    for (unsigned i = 0; ok && i < type_of(object)->n_fields; i++) {
        ok = seal_field(object, i);
    }
    if (!ok) {
        return SWK_ENOMEM;
    }
    swki_object_unref(object->base);
    object->base = NULL;
    object->is_sealed = true;
    return SWK_OK;
}

void swki_object_stamp(struct swki_object *object, uint64_t index,
                       swk_wall wall)
{
    Swkpb__Meta *meta = common(object)->meta;
    bool has_created = meta != NULL && meta->created_at != NULL;

    swkpb__version__init(&object->version);
    object->version.index = index;
    swkpb__timestamp__init(&object->updated_at);
    swki_timestamp_write(wall, &object->updated_at);
    object->created_at = has_created ? *meta->created_at : object->updated_at;
    if (meta != &object->meta) {
        swkpb__meta__init(&object->meta);
    }
    object->meta.version = &object->version;
    object->meta.created_at = &object->created_at;
    object->meta.updated_at = &object->updated_at;
    common(object)->meta = &object->meta;
}

void swki_object_restamp(struct swki_object *object, uint64_t index)
{
    object->version.index = index;
}

/* Every version has a meta of its own, most often in the object itself. */
static void take_meta(struct swki_object *object, Swkpb__Meta *meta)
{
    Swkpb__Meta *old = common(object)->meta;

    common(object)->meta = meta;
    seal_meta(object);
    if (meta != NULL && common(object)->meta == meta) {
        common(object)->meta = old; /* to be copied as any field */
    }
}

/* A deep copy of a field of another message of the type. */
static bool take_field(ProtobufCMessage *top, const ProtobufCMessage *message,
                       const ProtobufCFieldDescriptor *field,
                       struct swki_arena *arena)
{
    bool is_repeated = field->label == PROTOBUF_C_LABEL_REPEATED;

    memcpy((char *)top + field->offset, (const char *)message + field->offset,
           is_repeated ? sizeof(void *) : swki_type_size(field->type));
    if (is_repeated) {
        memcpy((char *)top + field->quantifier_offset,
               (const char *)message + field->quantifier_offset,
               sizeof(size_t));
    }
    return swki_field_copy(top, field, arena);
}

static bool take_unknown(ProtobufCMessage *top, const ProtobufCMessage *message,
                         struct swki_arena *arena)
{
    ProtobufCMessageUnknownField *fields;

    top->n_unknown_fields = message->n_unknown_fields;
    top->unknown_fields = NULL;
    if (message->n_unknown_fields == 0) {
        return true;
    }
    fields = swki_arena_memdup(arena, message->unknown_fields,
                               message->n_unknown_fields * sizeof(*fields));
    top->unknown_fields = fields;
    for (unsigned i = 0; fields != NULL && i < top->n_unknown_fields; i++) {
        fields[i].data =
            swki_arena_memdup(arena, fields[i].data, fields[i].len);
        if (fields[i].data == NULL) {
            return false;
        }
    }
    return fields != NULL;
}

struct swki_object *swki_object_from_message(const struct swk_alloc *alloc,
                                             enum swki_kind kind,
                                             const ProtobufCMessage *message,
                                             const struct swki_object *old)
{
    const ProtobufCMessageDescriptor *type = kinds[kind].type;
    struct swki_object *object =
        old != NULL ? swki_object_edit(old) : swki_object_new(alloc, kind);
    ProtobufCMessage *top;
    Swkpb__Meta *meta = ((const struct common *)(const void *)message)->meta;
    struct swki_arena *arena;
    bool ok;

    if (object == NULL) {
        return NULL;
    }
    top = (void *)object->message;
    arena = swki_object_arena(object);
    ok = take_unknown(top, message, arena);
    if (old == NULL || !swki_message_equal((ProtobufCMessage *)meta,
                                           (ProtobufCMessage *)
                                               common(object)->meta)) {
        take_meta(object, meta);
    }
    for (unsigned i = 0; ok && i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];

        if (field_memory(object, field) != &object->meta &&
            (old == NULL || !swki_field_equal(message, top, field))) {
            ok = take_field(top, message, field, arena);
        }
    }
    if (!ok) {
        swki_object_unref(object);
        return NULL;
    }
    return object;
}

/* -- Reading --------------------------------------------------------------- */

enum swki_kind swki_object_kind(const struct swki_object *object)
{
    return object->kind;
}

const char *swki_object_id(const struct swki_object *object)
{
    const char *id = common_const(object)->id;

    return id != NULL ? id : "";
}

uint64_t swki_object_version(const struct swki_object *object)
{
    const Swkpb__Meta *meta = common_const(object)->meta;

    return meta != NULL && meta->version != NULL ? meta->version->index : 0;
}

const ProtobufCMessage *swki_object_message(const struct swki_object *object)
{
    return (const void *)object->message;
}

static const char *text(const char *value)
{
    return value != NULL ? value : "";
}

/* Appends what fits; buf stays terminated. Names are read for every write, and
 * snprintf() takes several times as long. */
static size_t append_text(char *buf, size_t size, size_t len, const char *part)
{
    size_t part_len = strlen(part);

    if (part_len > size - 1 - len) {
        part_len = size - 1 - len;
    }
    memcpy(buf + len, part, part_len);
    buf[len + part_len] = '\0';
    return len + part_len;
}

static const char *decimal(uint64_t number, char buf[static 21])
{
    char *at = buf + 20;

    *at = '\0';
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return at;
}

/* The service's name, slot or node, and the ID. */
static const char *task_name(const Swkpb__Task *task, char *buf, size_t size)
{
    const char *service = "";
    char digits[21];
    size_t len;

    assert(size > 0);
    if (task->annotations != NULL && *text(task->annotations->name) != '\0') {
        return task->annotations->name;
    }
    if (task->service_annotations != NULL) {
        service = text(task->service_annotations->name);
    }
    len = append_text(buf, size, 0, service);
    len = append_text(buf, size, len, ".");
    len = append_text(buf, size, len,
                      task->slot != 0 ? decimal(task->slot, digits)
                                      : text(task->node_id));
    len = append_text(buf, size, len, ".");
    (void)append_text(buf, size, len, text(task->id));
    return buf;
}

const Swkpb__Annotations *
swki_object_annotations(const struct swki_object *object)
{
    const ProtobufCMessage *message = swki_object_message(object);

    switch (swki_object_kind(object)) {
    case SWKI_KIND_EXTENSION:
        return ((const Swkpb__Extension *)message)->annotations;
    case SWKI_KIND_RESOURCE:
        return ((const Swkpb__Resource *)message)->annotations;
    case SWKI_KIND_TASK:
        return ((const Swkpb__Task *)message)->annotations;
    case SWKI_KIND_CLUSTER:
    case SWKI_KIND_CONFIG:
    case SWKI_KIND_NETWORK:
    case SWKI_KIND_NODE:
    case SWKI_KIND_SECRET:
    case SWKI_KIND_SERVICE:
    case SWKI_KIND_VOLUME:
    case SWKI_KINDS_COUNT:
        break;
    }
    /* The others have a spec, whose first member are the annotations. */
    const struct {
        struct common common;
        const struct {
            ProtobufCMessage base;
            Swkpb__Annotations *annotations;
        } *spec;
    } *with_spec = (const void *)message;

    return with_spec->spec != NULL ? with_spec->spec->annotations : NULL;
}

const char *swki_object_name(const struct swki_object *object, char *buf,
                             size_t size)
{
    const Swkpb__Annotations *annotations;

    if (object->kind == SWKI_KIND_TASK) {
        return task_name(swki_task(object), buf, size);
    }
    if (object->kind == SWKI_KIND_NODE) {
        const Swkpb__Node *node = swki_node(object);

        return node->description != NULL ? text(node->description->hostname)
                                         : "";
    }
    annotations = swki_object_annotations(object);
    return annotations != NULL ? text(annotations->name) : "";
}

/* -- By type --------------------------------------------------------------- */

static const void *read_as(const struct swki_object *object,
                           enum swki_kind kind)
{
    assert(object->kind == kind);
    return object->message;
}

static void *edit_as(struct swki_object *object, enum swki_kind kind)
{
    assert(object->kind == kind && !object->is_sealed);
    return object->message;
}

const Swkpb__Cluster *swki_cluster(const struct swki_object *object)
{
    return read_as(object, SWKI_KIND_CLUSTER);
}

const Swkpb__Config *swki_config(const struct swki_object *object)
{
    return read_as(object, SWKI_KIND_CONFIG);
}

const Swkpb__Extension *swki_extension(const struct swki_object *object)
{
    return read_as(object, SWKI_KIND_EXTENSION);
}

const Swkpb__Network *swki_network(const struct swki_object *object)
{
    return read_as(object, SWKI_KIND_NETWORK);
}

const Swkpb__Node *swki_node(const struct swki_object *object)
{
    return read_as(object, SWKI_KIND_NODE);
}

const Swkpb__Resource *swki_resource(const struct swki_object *object)
{
    return read_as(object, SWKI_KIND_RESOURCE);
}

const Swkpb__Secret *swki_secret(const struct swki_object *object)
{
    return read_as(object, SWKI_KIND_SECRET);
}

const Swkpb__Service *swki_service(const struct swki_object *object)
{
    return read_as(object, SWKI_KIND_SERVICE);
}

const Swkpb__Task *swki_task(const struct swki_object *object)
{
    return read_as(object, SWKI_KIND_TASK);
}

const Swkpb__Volume *swki_volume(const struct swki_object *object)
{
    return read_as(object, SWKI_KIND_VOLUME);
}

Swkpb__Cluster *swki_cluster_edit(struct swki_object *object)
{
    return edit_as(object, SWKI_KIND_CLUSTER);
}

Swkpb__Config *swki_config_edit(struct swki_object *object)
{
    return edit_as(object, SWKI_KIND_CONFIG);
}

Swkpb__Extension *swki_extension_edit(struct swki_object *object)
{
    return edit_as(object, SWKI_KIND_EXTENSION);
}

Swkpb__Network *swki_network_edit(struct swki_object *object)
{
    return edit_as(object, SWKI_KIND_NETWORK);
}

Swkpb__Node *swki_node_edit(struct swki_object *object)
{
    return edit_as(object, SWKI_KIND_NODE);
}

Swkpb__Resource *swki_resource_edit(struct swki_object *object)
{
    return edit_as(object, SWKI_KIND_RESOURCE);
}

Swkpb__Secret *swki_secret_edit(struct swki_object *object)
{
    return edit_as(object, SWKI_KIND_SECRET);
}

Swkpb__Service *swki_service_edit(struct swki_object *object)
{
    return edit_as(object, SWKI_KIND_SERVICE);
}

Swkpb__Task *swki_task_edit(struct swki_object *object)
{
    return edit_as(object, SWKI_KIND_TASK);
}

Swkpb__Volume *swki_volume_edit(struct swki_object *object)
{
    return edit_as(object, SWKI_KIND_VOLUME);
}

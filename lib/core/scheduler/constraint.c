/* SPDX-License-Identifier: Apache-2.0 */

#include "core/scheduler/constraint.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"

#define NODE_LABELS "node.labels."
#define ENGINE_LABELS "engine.labels."

static const struct {
    const char *text;
    enum swki_constraint_key key;
} keys[] = {
    {"node.id", SWKI_CONSTRAINT_NODE_ID},
    {"node.hostname", SWKI_CONSTRAINT_HOSTNAME},
    {"node.ip", SWKI_CONSTRAINT_IP},
    {"node.role", SWKI_CONSTRAINT_ROLE},
    {"node.platform.os", SWKI_CONSTRAINT_OS},
    {"node.platform.arch", SWKI_CONSTRAINT_ARCH},
};

/* -- Grammar -------------------------------------------------------------- */

/* Independent of the locale, unlike <ctype.h>. */
static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool key_valid(const char *text, size_t len)
{
    if (len < 2 || (!is_letter(text[0]) && text[0] != '_')) {
        return false;
    }
    for (size_t i = 1; i < len; i++) {
        if (!is_letter(text[i]) && !is_digit(text[i]) &&
            memchr("-_.", text[i], 3) == NULL) {
            return false;
        }
    }
    return true;
}

static bool value_valid(const char *text, size_t len)
{
    static const char others[] = " :-_.*()?+[]\\^$|/";

    for (size_t i = 0; i < len; i++) {
        if (!is_letter(text[i]) && !is_digit(text[i]) &&
            memchr(others, text[i], sizeof(others) - 1) == NULL) {
            return false;
        }
    }
    return len > 0;
}

static void trim(const char **text, size_t *len)
{
    while (*len > 0 && is_space((*text)[0])) {
        (*text)++;
        (*len)--;
    }
    while (*len > 0 && is_space((*text)[*len - 1])) {
        (*len)--;
    }
}

static char *copy_part(struct swki_arena *arena, const char *text, size_t len)
{
    char *copy = swki_arena_alloc(arena, len + 1);

    if (copy != NULL) {
        memcpy(copy, text, len);
        copy[len] = '\0';
    }
    return copy;
}

/* -- Addresses ------------------------------------------------------------ */

static bool read_address(const char *text, struct swki_ip_range *out)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    if (inet_pton(AF_INET, text, out->address + sizeof(mapped)) == 1) {
        memcpy(out->address, mapped, sizeof(mapped));
        out->bits = 32;
        return true;
    }
    out->bits = 128;
    return inet_pton(AF_INET6, text, out->address) == 1;
}

static bool read_prefix(const char *text, unsigned max, unsigned *out_bits)
{
    unsigned bits = 0;

    if (text[0] == '\0' || strlen(text) > 3) {
        return false;
    }
    for (; *text != '\0'; text++) {
        if (!is_digit(*text)) {
            return false;
        }
        bits = bits * 10 + (unsigned)(*text - '0');
    }
    *out_bits = bits;
    return bits <= max;
}

/* An address or a CIDR. */
static struct swki_ip_range read_range(const char *text)
{
    char address[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
    struct swki_ip_range range = {.valid = false};
    unsigned bits;

    if (len >= sizeof(address)) {
        return range;
    }
    memcpy(address, text, len);
    address[len] = '\0';
    if (!read_address(address, &range)) {
        return range;
    }
    bits = range.bits;
    if (slash != NULL && !read_prefix(slash + 1, range.bits, &bits)) {
        return range;
    }
    /* Of a mapped address the 96 bits in front count too. */
    range.bits = 128 - range.bits + bits;
    range.valid = true;
    return range;
}

static bool in_range(const struct swki_ip_range *range,
                     const uint8_t address[16])
{
    unsigned bytes = range->bits / 8;
    unsigned rest = range->bits % 8;

    if (memcmp(range->address, address, bytes) != 0) {
        return false;
    }
    return rest == 0 ||
           ((range->address[bytes] ^ address[bytes]) >> (8 - rest)) == 0;
}

/* -- Parsing -------------------------------------------------------------- */

enum swki_constraint_key swki_label_key(const char *text, const char **out_name)
{
    static const struct {
        const char *prefix;
        size_t len;
        enum swki_constraint_key key;
    } prefixes[] = {
        {NODE_LABELS, sizeof(NODE_LABELS) - 1, SWKI_CONSTRAINT_NODE_LABEL},
        {ENGINE_LABELS, sizeof(ENGINE_LABELS) - 1,
         SWKI_CONSTRAINT_ENGINE_LABEL},
    };

    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        if (strncasecmp(text, prefixes[i].prefix, prefixes[i].len) == 0 &&
            text[prefixes[i].len] != '\0') {
            *out_name = text + prefixes[i].len;
            return prefixes[i].key;
        }
    }
    return SWKI_CONSTRAINT_UNKNOWN;
}

static void classify(struct swki_constraint *constraint, const char *key)
{
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (strcasecmp(key, keys[i].text) == 0) {
            constraint->key = keys[i].key;
            return;
        }
    }
    constraint->key = swki_label_key(key, &constraint->label);
}

static int parse_one(struct swki_arena *arena, const char *text,
                     struct swki_constraint *out, struct swk_error *err)
{
    const char *op = strstr(text, "==");
    const char *key = text;
    const char *value;
    size_t key_len;
    size_t value_len;
    char *key_copy;

    *out = (struct swki_constraint){.negated = op == NULL};
    if (op == NULL) {
        op = strstr(text, "!=");
    }
    if (op == NULL) {
        return swki_fail(err, SWK_EINVAL,
                         "constraint expected one operator from ==, !=: %.80s",
                         text);
    }
    key_len = (size_t)(op - text);
    value = op + 2;
    value_len = strlen(value);
    trim(&key, &key_len);
    trim(&value, &value_len);
    if (!key_valid(key, key_len)) {
        return swki_fail(err, SWK_EINVAL, "constraint key '%.*s' is invalid",
                         key_len > 80 ? 80 : (int)key_len, key);
    }
    if (!value_valid(value, value_len)) {
        return swki_fail(err, SWK_EINVAL, "constraint value '%.*s' is invalid",
                         value_len > 80 ? 80 : (int)value_len, value);
    }
    key_copy = copy_part(arena, key, key_len);
    out->value = copy_part(arena, value, value_len);
    if (key_copy == NULL || out->value == NULL) {
        return swki_fail_nomem(err);
    }
    classify(out, key_copy);
    if (out->key == SWKI_CONSTRAINT_IP) {
        out->range = read_range(out->value);
    }
    return SWK_OK;
}

int swki_constraints_parse(const struct swk_alloc *alloc, char *const *texts,
                           size_t texts_count, struct swki_constraints *out,
                           struct swk_error *err)
{
    struct swki_constraints list = {.count = texts_count};
    int rc = SWK_OK;

    if (texts_count > SWKI_CONSTRAINTS_MAX) {
        return swki_fail(err, SWK_EINVAL, "more than %d constraints",
                         SWKI_CONSTRAINTS_MAX);
    }
    swki_arena_init(&list.arena, alloc, SIZE_MAX);
    list.items =
        swki_arena_calloc(&list.arena, texts_count, sizeof(*list.items));
    if (texts_count > 0 && list.items == NULL) {
        rc = swki_fail_nomem(err);
    }
    for (size_t i = 0; rc == SWK_OK && i < texts_count; i++) {
        rc = parse_one(&list.arena, texts[i], &list.items[i], err);
    }
    if (rc != SWK_OK) {
        swki_arena_fini(&list.arena);
        return rc;
    }
    *out = list;
    return SWK_OK;
}

void swki_constraints_fini(struct swki_constraints *constraints)
{
    swki_arena_fini(&constraints->arena);
    constraints->items = NULL;
    constraints->count = 0;
}

/* -- Matching ------------------------------------------------------------- */

const char *swki_node_label(const Swkpb__Node *node, const char *name)
{
    const Swkpb__Annotations *annotations =
        node->spec != NULL ? node->spec->annotations : NULL;

    for (size_t i = 0; annotations != NULL && i < annotations->n_labels; i++) {
        if (strcmp(annotations->labels[i]->key, name) == 0) {
            return annotations->labels[i]->value;
        }
    }
    return "";
}

const char *swki_engine_label(const Swkpb__Node *node, const char *name)
{
    const Swkpb__EngineDescription *engine =
        node->description != NULL ? node->description->engine : NULL;

    for (size_t i = 0; engine != NULL && i < engine->n_labels; i++) {
        if (strcmp(engine->labels[i]->key, name) == 0) {
            return engine->labels[i]->value;
        }
    }
    return "";
}

static const char *platform_text(const Swkpb__Node *node,
                                 enum swki_constraint_key key)
{
    const Swkpb__Platform *platform =
        node->description != NULL ? node->description->platform : NULL;

    if (platform == NULL) {
        return "";
    }
    return key == SWKI_CONSTRAINT_OS ? platform->os : platform->architecture;
}

/* What the value is compared with; NULL if the key has no text. */
static const char *node_text(const struct swki_constraint *constraint,
                             const Swkpb__Node *node)
{
    switch (constraint->key) {
    case SWKI_CONSTRAINT_NODE_ID:
        return node->id;
    case SWKI_CONSTRAINT_HOSTNAME:
        return node->description != NULL ? node->description->hostname : "";
    case SWKI_CONSTRAINT_ROLE:
        return node->role == SWKPB__NODE_ROLE__MANAGER ? "manager" : "worker";
    case SWKI_CONSTRAINT_OS:
    case SWKI_CONSTRAINT_ARCH:
        return platform_text(node, constraint->key);
    case SWKI_CONSTRAINT_NODE_LABEL:
        return swki_node_label(node, constraint->label);
    case SWKI_CONSTRAINT_ENGINE_LABEL:
        return swki_engine_label(node, constraint->label);
    case SWKI_CONSTRAINT_IP:
    case SWKI_CONSTRAINT_UNKNOWN:
        break;
    }
    return NULL;
}

static bool ip_matches(const struct swki_constraint *constraint,
                       const Swkpb__Node *node)
{
    struct swki_ip_range address;

    if (!constraint->range.valid) {
        return false;
    }
    if (node->status == NULL || !read_address(node->status->addr, &address)) {
        return constraint->negated;
    }
    return in_range(&constraint->range, address.address) != constraint->negated;
}

static bool matches(const struct swki_constraint *constraint,
                    const Swkpb__Node *node)
{
    const char *text;

    if (constraint->key == SWKI_CONSTRAINT_IP) {
        return ip_matches(constraint, node);
    }
    text = node_text(constraint, node);
    return text != NULL &&
           (strcasecmp(text, constraint->value) == 0) != constraint->negated;
}

bool swki_constraints_match(const struct swki_constraints *constraints,
                            const Swkpb__Node *node)
{
    for (size_t i = 0; i < constraints->count; i++) {
        if (!matches(&constraints->items[i], node)) {
            return false;
        }
    }
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */

/* Which objects a list request wants. */

#include <string.h>
#include <strings.h>

#include "core/control/request.h"
#include "wire/message.h"

typedef bool (*match_fn)(const char *entry, const char *text);

static bool equals(const char *entry, const char *text)
{
    return strcmp(entry, text) == 0;
}

static bool starts(const char *entry, const char *text)
{
    return strncmp(entry, text, strlen(entry)) == 0;
}

static bool equals_any_case(const char *entry, const char *text)
{
    return strcasecmp(entry, text) == 0;
}

static bool starts_any_case(const char *entry, const char *text)
{
    return strncasecmp(entry, text, strlen(entry)) == 0;
}

static bool any(struct swki_texts texts, match_fn match, const char *text)
{
    for (size_t i = 0; i < texts.count; i++) {
        if (match(texts.items[i], text)) {
            return true;
        }
    }
    return false;
}

bool swki_texts_allow(struct swki_texts texts, const char *text)
{
    return texts.count == 0 || any(texts, equals, text);
}

bool swki_prefixes_allow(struct swki_texts prefixes, const char *text)
{
    return prefixes.count == 0 || any(prefixes, starts, text);
}

/* A map entry's key is its field 1, the value its field 2, whatever its type. */
static const char *entry_text(const ProtobufCMessage *entry, unsigned field)
{
    const ProtobufCFieldDescriptor *f = &entry->descriptor->fields[field];
    char *const *member =
        (char *const *)(const void *)((const char *)entry + f->offset);

    return *member;
}

bool swki_labels_allow(struct swki_labels wanted, struct swki_labels labels)
{
    ProtobufCMessage *const *entries = wanted.entries;

    for (size_t i = 0; i < wanted.count; i++) {
        const char *value = entry_text(entries[i], 1);
        const char *has = swki_labels_get(labels.entries, labels.count,
                                          entry_text(entries[i], 0));

        if (has == NULL || (value[0] != '\0' && strcmp(value, has) != 0)) {
            return false;
        }
    }
    return true;
}

struct swki_labels swki_annotations_labels(const Swkpb__Annotations *a)
{
    return a != NULL ? SWKI_LABELS(a, labels) : (struct swki_labels){0};
}

const char *swki_annotations_name(const Swkpb__Annotations *a)
{
    return a != NULL && a->name != NULL ? a->name : "";
}

bool swki_filter_all(const struct swki_filter *filter, const char *id,
                     const char *name, struct swki_labels labels)
{
    return swki_texts_allow(filter->names, name) &&
           swki_prefixes_allow(filter->name_prefixes, name) &&
           swki_prefixes_allow(filter->id_prefixes, id) &&
           swki_labels_allow(filter->labels, labels);
}

bool swki_filter_any(const struct swki_filter *filter, const char *id,
                     const char *name, struct swki_labels labels)
{
    bool restricted = filter->names.count > 0 ||
                      filter->name_prefixes.count > 0 ||
                      filter->id_prefixes.count > 0;

    if (restricted && !any(filter->names, equals_any_case, name) &&
        !any(filter->name_prefixes, starts_any_case, name) &&
        !any(filter->id_prefixes, starts, id)) {
        return false;
    }
    return swki_labels_allow(filter->labels, labels);
}

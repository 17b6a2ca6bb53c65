/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "lists.h"

static size_t find_label(const Swkpb__Annotations *a, const char *key,
                         size_t key_len)
{
    size_t i = 0;

    while (i < a->n_labels && (strlen(a->labels[i]->key) != key_len ||
                               memcmp(a->labels[i]->key, key, key_len) != 0)) {
        i++;
    }
    return i;
}

static int put_label(struct ctl *ctl, Swkpb__Annotations *a, const char *text)
{
    const char *value;
    size_t key_len;

    if (!parse_pair(text, &key_len, &value)) {
        return ctl_usage("\"%s\" is not KEY=VALUE", text);
    }

    size_t at = find_label(a, text, key_len);
    if (at == a->n_labels) {
        Swkpb__Annotations__LabelsEntry **labels =
            pool_alloc(&ctl->pool, (at + 1) * sizeof(*labels));

        if (at > 0) {
            memcpy(labels, a->labels, at * sizeof(*labels));
        }
        labels[at] = pool_message(&ctl->pool,
                                  &swkpb__annotations__labels_entry__descriptor);
        labels[at]->key = pool_strndup(&ctl->pool, text, key_len);
        a->labels = labels;
        a->n_labels++;
    }
    a->labels[at]->value = pool_strdup(&ctl->pool, value);
    return EXIT_OK;
}

static int remove_label(Swkpb__Annotations *a, const char *key)
{
    size_t at = find_label(a, key, strlen(key));

    if (at == a->n_labels) {
        return ctl_error(EXIT_NOT_FOUND, "there is no label %s", key);
    }
    a->n_labels--;
    memmove(a->labels + at, a->labels + at + 1,
            (a->n_labels - at) * sizeof(*a->labels));
    return EXIT_OK;
}

/* The labels as one text, to see whether they changed. */
static const char *fingerprint(struct ctl *ctl, const Swkpb__Annotations *a)
{
    const char *text = "";

    for (size_t i = 0; i < a->n_labels; i++) {
        text = pool_printf(&ctl->pool, "%s%zu:%s=%s", text,
                           strlen(a->labels[i]->key), a->labels[i]->key,
                           a->labels[i]->value);
    }
    return text;
}

int change_labels(struct ctl *ctl, const struct args *args,
                  Swkpb__Annotations **annotations, bool *changed)
{
    const char *const *texts;
    int rc = EXIT_OK;

    if (*annotations == NULL) {
        *annotations =
            pool_message(&ctl->pool, &swkpb__annotations__descriptor);
    }

    Swkpb__Annotations *a = *annotations;
    const char *before = fingerprint(ctl, a);
    size_t count = args_list(args, "label", &texts);
    if (count > 0) {
        a->n_labels = 0;
    }
    for (size_t i = 0; rc == EXIT_OK && i < count; i++) {
        rc = texts[i][0] == '\0' ? EXIT_OK : put_label(ctl, a, texts[i]);
    }
    count = args_list(args, "label-add", &texts);
    for (size_t i = 0; rc == EXIT_OK && i < count; i++) {
        rc = put_label(ctl, a, texts[i]);
    }
    count = args_list(args, "label-rm", &texts);
    for (size_t i = 0; rc == EXIT_OK && i < count; i++) {
        rc = remove_label(a, texts[i]);
    }
    *changed = *changed || strcmp(before, fingerprint(ctl, a)) != 0;
    return rc;
}

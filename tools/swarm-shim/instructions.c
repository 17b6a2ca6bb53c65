/* SPDX-License-Identifier: Apache-2.0 */

#include "shim.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct key {
    const char *name;
    size_t values_count;
    size_t list_offset;
} keys[] = {
    {"arg", 1, offsetof(struct shim_instructions, args)},
    {"env", 1, offsetof(struct shim_instructions, env)},
    {"dir", 1, offsetof(struct shim_instructions, dir)},
    {"user", 1, offsetof(struct shim_instructions, user)},
    {"group", 1, offsetof(struct shim_instructions, groups)},
    {"hostname", 1, offsetof(struct shim_instructions, hostname)},
    {"image", 1, offsetof(struct shim_instructions, image)},
    {"nolinks", 1, offsetof(struct shim_instructions, nolinks)},
    {"readonly", 1, offsetof(struct shim_instructions, readonly)},
    {"bind", 3, offsetof(struct shim_instructions, binds)},
    {"tmpfs", 3, offsetof(struct shim_instructions, tmpfs)},
    {"cgroup", 1, offsetof(struct shim_instructions, cgroups)},
    {"limit", 2, offsetof(struct shim_instructions, limits)},
    {"oom", 1, offsetof(struct shim_instructions, oom)},
    {"rlimit", 3, offsetof(struct shim_instructions, rlimits)},
    {"caps", 1, offsetof(struct shim_instructions, caps)},
    {"no_new_privs", 1, offsetof(struct shim_instructions, no_new_privs)},
    {"oom_score_adj", 1, offsetof(struct shim_instructions, oom_score_adj)},
    {"log_size", 1, offsetof(struct shim_instructions, log_size)},
    {"log_files", 1, offsetof(struct shim_instructions, log_files)},
    {"secret", 4, offsetof(struct shim_instructions, secrets)},
    {"stop", 2, offsetof(struct shim_instructions, stop)},
};

static struct shim_list *list_of(struct shim_instructions *in,
                                 const struct key *key)
{
    return (struct shim_list *)(void *)((char *)in + key->list_offset);
}

static const struct key *find_key(const char *name)
{
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (strcmp(keys[i].name, name) == 0) {
            return &keys[i];
        }
    }
    return NULL;
}

static bool append(struct shim_list *list, char *item)
{
    /* Grown in steps, with room for the NULL at the end. */
    if (list->count % 16 == 0) {
        char **items =
            realloc(list->items, (list->count + 17) * sizeof(*items));

        if (items == NULL) {
            return false;
        }
        list->items = items;
    }
    list->items[list->count++] = item;
    list->items[list->count] = NULL;
    return true;
}

/* The string at *next, which is moved behind it; NULL at the end. */
static char *take(char **next, const char *end)
{
    char *text = *next;
    char *nul = memchr(text, '\0', (size_t)(end - text));

    if (nul == NULL) {
        return NULL;
    }
    *next = nul + 1;
    return text;
}

static bool parse(struct shim_instructions *in, size_t len)
{
    char *next = in->text;
    const char *end = in->text + len;
    const char *text = take(&next, end);

    if (text == NULL || strcmp(text, SWK_SHIM_MAGIC) != 0) {
        return false;
    }
    while ((text = take(&next, end)) != NULL && strcmp(text, "end") != 0) {
        const struct key *key = find_key(text);

        if (key == NULL) {
            return false;
        }
        for (size_t i = 0; i < key->values_count; i++) {
            char *value = take(&next, end);

            if (value == NULL || !append(list_of(in, key), value)) {
                return false;
            }
        }
    }
    return text != NULL && next == end;
}

bool shim_instructions_load(struct shim_instructions *in, const char *name)
{
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;
    size_t len = 0;
    bool ok = false;

    memset(in, 0, sizeof(*in));
    if (fd < 0) {
        return false;
    }
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
        st.st_size <= SWK_SHIM_INSTRUCTIONS_MAX) {
        in->text = malloc((size_t)st.st_size);
    }
    while (in->text != NULL && len < (size_t)st.st_size) {
        ssize_t n = read(fd, in->text + len, (size_t)st.st_size - len);

        if (n <= 0) {
            break;
        }
        len += (size_t)n;
    }
    close(fd);
    if (in->text != NULL && len == (size_t)st.st_size) {
        ok = parse(in, len);
    }
    return ok;
}

void shim_instructions_free(struct shim_instructions *in)
{
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        free(list_of(in, &keys[i])->items);
    }
    free(in->text);
    memset(in, 0, sizeof(*in));
}

const char *shim_text(const struct shim_list *list, const char *fallback)
{
    return list->count > 0 ? list->items[list->count - 1] : fallback;
}

long long shim_number(const struct shim_list *list, long long fallback)
{
    return list->count > 0 ? strtoll(list->items[list->count - 1], NULL, 10)
                           : fallback;
}

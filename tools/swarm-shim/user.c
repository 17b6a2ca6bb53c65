/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Users and groups, from /etc/passwd and /etc/group of the workload's root
 * directory. Read here, not with getpwnam(): that would consult this
 * machine's name services for an image's users.
 */

#include "shim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    FIELDS_MAX = 7,
};

/* A line of such a file, cut at the colons. */
struct entry {
    char *text;
    size_t text_size;
    char *fields[FIELDS_MAX];
    size_t count;
};

/* A link of an image must not lead out of it. */
static FILE *open_list(const char *path)
{
    int fd = shim_path_read(path, SHIM_LINKS_INSIDE);
    FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;

    if (fd >= 0 && file == NULL) {
        close(fd);
    }
    return file;
}

static bool next_entry(FILE *file, struct entry *entry)
{
    char *rest;

    if (getline(&entry->text, &entry->text_size, file) < 0) {
        return false;
    }
    entry->text[strcspn(entry->text, "\n")] = '\0';
    entry->count = 0;
    rest = entry->text;
    while (rest != NULL && entry->count < FIELDS_MAX) {
        entry->fields[entry->count++] = strsep(&rest, ":");
    }
    return true;
}

/* Reads a number below 2^32 - 1, which means "none" to the kernel. */
static bool parse_id(const char *text, unsigned *out_id)
{
    char *end;
    unsigned long id;

    if (*text < '0' || *text > '9') {
        return false;
    }
    errno = 0;
    id = strtoul(text, &end, 10);
    if (*end != '\0' || errno != 0 || id >= UINT32_MAX) {
        return false;
    }
    *out_id = (unsigned)id;
    return true;
}

/* By name, or by number for a user without an entry. */
static bool find_user(struct shim_user *user, const char *name,
                      const char **out_name, struct entry *entry)
{
    FILE *file = open_list("/etc/passwd");
    unsigned uid = 0;
    unsigned gid;
    bool is_number = parse_id(name, &uid);
    bool found = false;

    while (file != NULL && !found && next_entry(file, entry)) {
        unsigned its_uid;

        if (entry->count < 6 || !parse_id(entry->fields[2], &its_uid) ||
            !parse_id(entry->fields[3], &gid)) {
            continue;
        }
        found = strcmp(entry->fields[0], name) == 0 ||
                (is_number && its_uid == uid);
        if (found) {
            user->uid = its_uid;
            user->gid = gid;
            snprintf(user->home, sizeof(user->home), "%s", entry->fields[5]);
            *out_name = entry->fields[0];
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    if (!found && is_number) {
        user->uid = uid;
        user->gid = 0;
        *out_name = NULL;
    }
    return found || is_number;
}

static bool find_group(const char *name, gid_t *out_gid)
{
    FILE *file = open_list("/etc/group");
    struct entry entry = {0};
    unsigned gid = 0;
    bool found = false;

    while (file != NULL && !found && next_entry(file, &entry)) {
        found = entry.count >= 3 && strcmp(entry.fields[0], name) == 0 &&
                parse_id(entry.fields[2], &gid);
    }
    if (file != NULL) {
        fclose(file);
    }
    free(entry.text);
    found = found || parse_id(name, &gid);
    if (found) {
        *out_gid = gid;
    }
    return found;
}

static bool add_group(struct shim_user *user, gid_t gid)
{
    const size_t room = sizeof(user->groups) / sizeof(user->groups[0]);

    for (size_t i = 0; i < user->groups_count; i++) {
        if (user->groups[i] == gid) {
            return true;
        }
    }
    if (user->groups_count == room) {
        return false;
    }
    user->groups[user->groups_count++] = gid;
    return true;
}

static bool is_member(char *members, const char *name)
{
    const char *member;

    while ((member = strsep(&members, ",")) != NULL) {
        if (strcmp(member, name) == 0) {
            return true;
        }
    }
    return false;
}

/* The groups that list the user as a member. */
static bool add_memberships(struct shim_user *user, const char *name)
{
    FILE *file = open_list("/etc/group");
    struct entry entry = {0};
    unsigned gid;
    bool ok = true;

    while (file != NULL && ok && next_entry(file, &entry)) {
        if (entry.count >= 4 && parse_id(entry.fields[2], &gid) &&
            is_member(entry.fields[3], name)) {
            ok = add_group(user, gid);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    free(entry.text);
    return ok;
}

static bool find_main_user(struct shim_user *user, const char *spec,
                           char *failure)
{
    struct entry entry = {0};
    const char *entry_name = NULL;
    char *name = strdup(spec);
    char *group = name;
    bool ok = true;

    if (name == NULL) {
        return shim_fail(failure, ENOMEM, "user %s", spec);
    }
    strsep(&group, ":");
    if (*name != '\0' && !find_user(user, name, &entry_name, &entry)) {
        ok = shim_fail(failure, 0, "unable to find user %s", name);
    }
    if (ok && group != NULL && !find_group(group, &user->gid)) {
        ok = shim_fail(failure, 0, "unable to find group %s", group);
    }
    if (ok && group == NULL && entry_name != NULL &&
        !add_memberships(user, entry_name)) {
        ok = shim_fail(failure, 0, "user %s is in too many groups", name);
    }
    free(entry.text);
    free(name);
    return ok;
}

bool shim_user_find(const struct shim_instructions *in, struct shim_user *user,
                    char *failure)
{
    const char *spec = shim_text(&in->user, NULL);
    char self[16];

    snprintf(self, sizeof(self), "%u", geteuid());
    memset(user, 0, sizeof(*user));
    snprintf(user->home, sizeof(user->home), "/");
    user->wanted = spec != NULL || in->groups.count > 0;
    if (!find_main_user(user, spec != NULL ? spec : self, failure)) {
        return false;
    }
    for (size_t i = 0; i < in->groups.count; i++) {
        gid_t gid;

        if (!find_group(in->groups.items[i], &gid)) {
            return shim_fail(failure, 0, "unable to find group %s",
                             in->groups.items[i]);
        }
        if (!add_group(user, gid)) {
            return shim_fail(failure, 0, "too many groups");
        }
    }
    return true;
}

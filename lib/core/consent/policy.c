/* SPDX-License-Identifier: Apache-2.0 */

/* Policies as texts: read, checked, and put in words. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "core/consent/consent.h"
#include "core/consent/match.h"
#include "crypto/digest.h"
#include "wire/json_read.h"
#include "wire/message.h"

typedef Swkpb__Rpc__NodeConsent Consent;
typedef Swkpb__Rpc__NodeConsent__Names Names;

enum {
    POLICY_MEMORY_MAX = 1 << 20, /* bytes that a policy may take */
    PORT_MAX = 65535,
};

/* Where a list of names is, and which words it may have; NULL: any. */
struct names_part {
    const char *name;
    const Names *names;
    const char *const *words;
    const char *prefix; /* that every pattern begins with, or "*"; or NULL */
};

static const char *const namespaces[] = {"network", "pid", "ipc", NULL};
static const char *const privileges[] = {
    "new-privileges",    "seccomp-unconfined", "seccomp-custom",
    "apparmor-disabled", "selinux-disabled",   "selinux-label",
    "credential-spec",   "oom-protected",      NULL};
static const char *const mount_types[] = {"*",     "bind",    "volume", "tmpfs",
                                          "npipe", "cluster", NULL};

enum {
    NAMES_PARTS = 9,
};

static void list_parts(const Consent *c, struct names_part out[NAMES_PARTS])
{
    const struct names_part parts[NAMES_PARTS] = {
        {"executors", c->executors, NULL, NULL},
        {"images", c->images, NULL, NULL},
        {"users", c->users, NULL, NULL},
        {"groups", c->groups, NULL, NULL},
        {"genericResources", c->generic_resources, NULL, NULL},
        {"hostNamespaces", c->host_namespaces, namespaces, NULL},
        {"capabilities", c->capabilities, NULL, "CAP_"},
        {"privileges", c->privileges, privileges, NULL},
        {"sysctls", c->sysctls, NULL, NULL},
    };

    memcpy(out, parts, sizeof(parts));
}

/* -- Checking ------------------------------------------------------------- */

/* Whether a pattern can match any of the words. */
static bool is_of_use(const char *pattern, const char *const *words)
{
    while (*words != NULL && !swki_pattern_matches(pattern, *words)) {
        words++;
    }
    return *words != NULL;
}

static int check_pattern(const struct names_part *part, const char *list,
                         size_t index, const char *pattern,
                         struct swk_error *err)
{
    size_t len = strlen(pattern);

    if (len == 0 || len > SWKI_CONSENT_PATTERN_LEN_MAX) {
        return swki_fail(err, SWK_EINVAL,
                         "%s.%s[%zu]: a text of 1 to %d bytes is needed",
                         part->name, list, index, SWKI_CONSENT_PATTERN_LEN_MAX);
    }
    if (part->words != NULL && !is_of_use(pattern, part->words)) {
        return swki_fail(err, SWK_EINVAL,
                         "%s.%s[%zu]: nothing is called \"%s\"", part->name,
                         list, index, pattern);
    }
    if (part->prefix != NULL && pattern[0] != '*' &&
        strncmp(pattern, part->prefix, strlen(part->prefix)) != 0) {
        return swki_fail(err, SWK_EINVAL,
                         "%s.%s[%zu]: \"%s\" does not begin with %s",
                         part->name, list, index, pattern, part->prefix);
    }
    return SWK_OK;
}

static int check_list(const struct names_part *part, const char *list,
                      char *const *patterns, size_t count,
                      struct swk_error *err)
{
    if (count > SWKI_CONSENT_ENTRIES_MAX) {
        return swki_fail(err, SWK_EINVAL, "%s.%s: more than %d entries",
                         part->name, list, SWKI_CONSENT_ENTRIES_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        int rc = check_pattern(part, list, i, patterns[i], err);

        if (rc != SWK_OK) {
            return rc;
        }
    }
    return SWK_OK;
}

static int check_names(const Consent *consent, struct swk_error *err)
{
    struct names_part parts[NAMES_PARTS];
    int rc = SWK_OK;

    list_parts(consent, parts);
    for (size_t i = 0; rc == SWK_OK && i < NAMES_PARTS; i++) {
        const Names *names = parts[i].names;

        if (names == NULL) {
            continue;
        }
        rc = check_list(&parts[i], "allow", names->allow, names->n_allow, err);
        if (rc == SWK_OK) {
            rc = check_list(&parts[i], "deny", names->deny, names->n_deny, err);
        }
    }
    return rc;
}

static bool is_word(const char *text, const char *const *words)
{
    while (*words != NULL && strcmp(text, *words) != 0) {
        words++;
    }
    return *words != NULL;
}

static int check_mount(const Swkpb__Rpc__NodeConsent__Mount *mount,
                       size_t index, struct swk_error *err)
{
    bool bind = strcmp(mount->type, "bind") == 0;

    if (!is_word(mount->type, mount_types)) {
        return swki_fail(err, SWK_EINVAL,
                         "mounts.allow[%zu].type: \"%s\" is none of bind, "
                         "volume, tmpfs, npipe, cluster and *",
                         index, mount->type);
    }
    if (strlen(mount->source) > SWKI_CONSENT_PATTERN_LEN_MAX) {
        return swki_fail(err, SWK_EINVAL,
                         "mounts.allow[%zu].source: over %d bytes", index,
                         SWKI_CONSENT_PATTERN_LEN_MAX);
    }
    if (bind && mount->source[0] != '\0' &&
        !swki_path_is_plain(mount->source)) {
        return swki_fail(err, SWK_EINVAL,
                         "mounts.allow[%zu].source: an absolute path without "
                         "\"//\", \".\", \"..\" and a \"/\" at its end is "
                         "needed",
                         index);
    }
    if (strcmp(mount->type, "*") == 0 && mount->source[0] != '\0') {
        return swki_fail(err, SWK_EINVAL,
                         "mounts.allow[%zu].source: what it means depends on "
                         "the type, which is any",
                         index);
    }
    return SWK_OK;
}

static int check_mounts(const Swkpb__Rpc__NodeConsent__Mounts *mounts,
                        struct swk_error *err)
{
    int rc = SWK_OK;

    if (mounts != NULL && mounts->n_allow > SWKI_CONSENT_ENTRIES_MAX) {
        return swki_fail(err, SWK_EINVAL, "mounts.allow: more than %d entries",
                         SWKI_CONSENT_ENTRIES_MAX);
    }
    for (size_t i = 0; rc == SWK_OK && mounts != NULL && i < mounts->n_allow;
         i++) {
        rc = check_mount(mounts->allow[i], i, err);
    }
    return rc;
}

static int check_ranges(const char *name,
                        Swkpb__Rpc__NodeConsent__PortRange *const *ranges,
                        size_t count, struct swk_error *err)
{
    if (count > SWKI_CONSENT_ENTRIES_MAX) {
        return swki_fail(err, SWK_EINVAL, "ports.%s: more than %d entries",
                         name, SWKI_CONSENT_ENTRIES_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        if (ranges[i]->first > ranges[i]->last || ranges[i]->last > PORT_MAX) {
            return swki_fail(err, SWK_EINVAL,
                             "ports.%s[%zu]: from %u to %u is no range of "
                             "ports",
                             name, i, ranges[i]->first, ranges[i]->last);
        }
    }
    return SWK_OK;
}

static int check_rest(const Consent *consent, struct swk_error *err)
{
    const Swkpb__Rpc__NodeConsent__Ports *ports = consent->ports;
    const Swkpb__Rpc__NodeConsent__Limits *limits = consent->per_task;
    const Swkpb__Rpc__NodeConsent__Signers *signers = consent->signers;
    int rc = SWK_OK;

    if (ports != NULL) {
        rc = check_ranges("host", ports->host, ports->n_host, err);
        if (rc == SWK_OK) {
            rc = check_ranges("ingress", ports->ingress, ports->n_ingress, err);
        }
    }
    if (rc == SWK_OK && limits != NULL &&
        (limits->nano_cpus < 0 || limits->memory_bytes < 0 ||
         limits->pids < 0)) {
        rc = swki_fail(err, SWK_EINVAL, "perTask: a limit is negative");
    }
    if (rc == SWK_OK && signers != NULL &&
        signers->n_key_ids > SWKI_CONSENT_ENTRIES_MAX) {
        rc = swki_fail(err, SWK_EINVAL, "signers: more than %d keys",
                       SWKI_CONSENT_ENTRIES_MAX);
    }
    return rc;
}

int swki_consent_validate(const Consent *consent, struct swk_error *err)
{
    int rc = check_names(consent, err);

    if (rc == SWK_OK) {
        rc = check_mounts(consent->mounts, err);
    }
    return rc == SWK_OK ? check_rest(consent, err) : rc;
}

int swki_consent_read(const char *text, size_t len, struct swki_arena *arena,
                      Consent **out_consent, struct swk_error *err)
{
    ProtobufCMessage *message;
    Consent *consent;
    struct swki_arena room;
    int rc;

    /* A limit of its own, so that a text is refused before it takes all. */
    swki_arena_init(&room, arena->alloc, POLICY_MEMORY_MAX);
    rc = swki_message_from_json(&swkpb__rpc__node_consent__descriptor, text,
                                len, &room, &message, err);
    if (rc == SWK_OK && ((Consent *)message)->signers != NULL) {
        rc = swki_fail(err, SWK_EINVAL,
                       "signers: a policy does not say it; the node's trusted "
                       "keys do");
    }
    if (rc == SWK_OK) {
        rc = swki_consent_validate((Consent *)message, err);
    }
    if (rc == SWK_OK) {
        consent = (Consent *)swki_message_copy(message, arena);
        if (consent == NULL) {
            rc = swki_fail_nomem(err);
        } else {
            *out_consent = consent;
        }
    }
    swki_arena_fini(&room);
    return rc;
}

/* -- Words ---------------------------------------------------------------- */

static void put_list(struct swki_buf *out, char *const *patterns, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        swki_buf_printf(out, "%s%s", i > 0 ? ", " : "", patterns[i]);
    }
}

/* Whatever else is denied. */
static bool allows_any(const Names *names)
{
    Names allowed = *names;

    allowed.n_deny = 0;
    return swki_names_allow_all(&allowed);
}

static void put_names(struct swki_buf *out, const struct names_part *part)
{
    const Names *names = part->names;

    swki_buf_printf(out, "%s: ", part->name);
    if (names == NULL) {
        swki_buf_append_text(out, "anything\n");
        return;
    }
    if (names->n_allow == 0) {
        swki_buf_append_text(out, "nothing\n");
        return;
    }
    if (allows_any(names)) {
        swki_buf_append_text(out, "anything");
    } else {
        put_list(out, names->allow, names->n_allow);
    }
    if (names->n_deny > 0) {
        swki_buf_append_text(out, ", but not ");
        put_list(out, names->deny, names->n_deny);
    }
    swki_buf_append_byte(out, '\n');
}

static void put_mounts(struct swki_buf *out,
                       const Swkpb__Rpc__NodeConsent__Mounts *mounts)
{
    swki_buf_append_text(out, "mounts: ");
    if (mounts == NULL || mounts->n_allow == 0) {
        swki_buf_printf(out, "%s\n", mounts == NULL ? "anything" : "nothing");
        return;
    }
    for (size_t i = 0; i < mounts->n_allow; i++) {
        const Swkpb__Rpc__NodeConsent__Mount *m = mounts->allow[i];

        swki_buf_printf(out, "%s%s%s%s%s", i > 0 ? ", " : "",
                        strcmp(m->type, "*") == 0 ? "any" : m->type,
                        m->source[0] != '\0' ? " " : "", m->source,
                        m->readonly ? " (read-only)" : "");
    }
    swki_buf_append_byte(out, '\n');
}

static void put_ranges(struct swki_buf *out, const char *name, bool given,
                       Swkpb__Rpc__NodeConsent__PortRange *const *ranges,
                       size_t count)
{
    swki_buf_printf(out, "%s ports: ", name);
    if (count == 0) {
        swki_buf_printf(out, "%s\n", given ? "nothing" : "anything");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        swki_buf_printf(out, "%s%u", i > 0 ? ", " : "", ranges[i]->first);
        if (ranges[i]->last != ranges[i]->first) {
            swki_buf_printf(out, "-%u", ranges[i]->last);
        }
    }
    swki_buf_append_byte(out, '\n');
}

static void put_limit(struct swki_buf *out, const char *name, int64_t limit,
                      const char *unit)
{
    if (limit > 0) {
        swki_buf_printf(out,
                        "each task's %s: limited to %" PRId64 " %s or less\n",
                        name, limit, unit);
    } else {
        swki_buf_printf(out, "each task's %s: anything\n", name);
    }
}

static void put_signers(struct swki_buf *out,
                        const Swkpb__Rpc__NodeConsent__Signers *signers)
{
    for (size_t i = 0; signers != NULL && i < signers->n_key_ids; i++) {
        char name[SWKI_SHA256_HEX_LEN + 1] = "?";

        if (signers->key_ids[i].len == SWKI_SHA256_SIZE) {
            swki_sha256_hex(signers->key_ids[i].data, name);
        }
        swki_buf_printf(out, "%s%s", i > 0 ? ", " : "signed by: ", name);
    }
    if (signers != NULL) {
        swki_buf_append_byte(out, '\n');
    }
}

bool swki_consent_describe(const Consent *consent, struct swki_buf *out)
{
    const Swkpb__Rpc__NodeConsent__Ports *ports = consent->ports;
    const Swkpb__Rpc__NodeConsent__Limits *limits = consent->per_task;
    struct names_part parts[NAMES_PARTS];

    put_signers(out, consent->signers);
    list_parts(consent, parts);
    for (size_t i = 0; i < NAMES_PARTS; i++) {
        put_names(out, &parts[i]);
    }
    put_mounts(out, consent->mounts);
    put_ranges(out, "host", ports != NULL, ports != NULL ? ports->host : NULL,
               ports != NULL ? ports->n_host : 0);
    put_ranges(out, "ingress", ports != NULL,
               ports != NULL ? ports->ingress : NULL,
               ports != NULL ? ports->n_ingress : 0);
    put_limit(out, "CPUs", limits != NULL ? limits->nano_cpus : 0,
              "billionths of one");
    put_limit(out, "memory", limits != NULL ? limits->memory_bytes : 0,
              "bytes");
    put_limit(out, "processes", limits != NULL ? limits->pids : 0, "in all");
    return !out->failed;
}

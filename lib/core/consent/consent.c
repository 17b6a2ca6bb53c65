/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The check itself: what of a task asks for something, looked at in turn.
 *
 * Whatever the rules cannot judge is refused as soon as there is a rule for it.
 */

#include "core/consent/consent.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "core/consent/match.h"

typedef Swkpb__Rpc__NodeConsent Consent;

enum {
    ROOM_SIZE = 160, /* of what is shown of a name */
    CAPABILITY_SIZE = 64,
};

static void deny(struct swk_error *out_why, const char *what, const char *name)
{
    swki_fail(out_why, SWK_EDENIED,
              "this node's policy does not allow %s%s%.*s", what,
              name[0] != '\0' ? " " : "", ROOM_SIZE, name);
}

static const Swkpb__ContainerSpec *container_of(const Swkpb__Task *task)
{
    return task->spec->runtime_case == SWKPB__TASK_SPEC__RUNTIME_CONTAINER
               ? task->spec->container
               : NULL;
}

static const char *text_of(const char *text)
{
    return text != NULL ? text : "";
}

/* -- Signatures ----------------------------------------------------------- */

static bool is_among(const Swkpb__Rpc__NodeConsent__Signers *signers,
                     const ProtobufCBinaryData *key_id)
{
    for (size_t i = 0; i < signers->n_key_ids; i++) {
        const ProtobufCBinaryData *known = &signers->key_ids[i];

        if (known->len == key_id->len && known->len > 0 &&
            memcmp(known->data, key_id->data, known->len) == 0) {
            return true;
        }
    }
    return false;
}

static bool check_signature(const Consent *consent, const Swkpb__Task *task,
                            struct swk_error *out_why)
{
    if (consent->signers == NULL) {
        return true;
    }
    for (size_t i = 0; i < task->n_signatures; i++) {
        if (is_among(consent->signers, &task->signatures[i]->key_id)) {
            return true;
        }
    }
    deny(out_why, "a spec that no trusted key has signed", "");
    return false;
}

/* -- Executors and images ------------------------------------------------- */

/* Rules for what a generic task hides. */
static bool judges_containers(const Consent *consent)
{
    return consent->images != NULL || consent->users != NULL ||
           consent->groups != NULL || consent->mounts != NULL ||
           consent->capabilities != NULL || consent->privileges != NULL ||
           consent->sysctls != NULL;
}

/* Whether a task of any form calls itself what it is not. */
static bool takes_a_name(const char *kind)
{
    return strcmp(kind, "container") == 0 || strcmp(kind, "attachment") == 0;
}

static bool check_executor(const Consent *consent, const Swkpb__Task *task,
                           struct swk_error *out_why)
{
    const Swkpb__TaskSpec *spec = task->spec;
    const char *kind = "";
    bool hidden = false;

    switch (spec->runtime_case) {
    case SWKPB__TASK_SPEC__RUNTIME_CONTAINER:
        kind = "container";
        break;
    case SWKPB__TASK_SPEC__RUNTIME_ATTACHMENT:
        kind = "attachment";
        break;
    case SWKPB__TASK_SPEC__RUNTIME_GENERIC:
        kind = text_of(spec->generic->kind);
        hidden = takes_a_name(kind) ? consent->executors != NULL ||
                                          judges_containers(consent)
                                    : consent->executors == NULL &&
                                          judges_containers(consent);
        break;
    default:
        hidden = consent->executors != NULL || judges_containers(consent);
        break;
    }
    if (!hidden && swki_names_allow(consent->executors, kind)) {
        return true;
    }
    deny(out_why, hidden ? "tasks that it cannot judge:" : "tasks of kind",
         kind);
    return false;
}

bool swki_consent_bounds_images(const Consent *consent)
{
    return !swki_names_allow_all(consent->images);
}

/* A directory that goes elsewhere than it seems to. */
static bool is_detour(const Consent *consent, const char *image)
{
    return swki_consent_bounds_images(consent) && image[0] == '/' &&
           !swki_path_is_plain(image);
}

static bool check_image(const Consent *consent, const Swkpb__Task *task,
                        struct swk_error *out_why)
{
    const Swkpb__ContainerSpec *c = container_of(task);
    const char *image = c != NULL ? text_of(c->image) : "";

    if (c == NULL || (swki_names_allow(consent->images, image) &&
                      !is_detour(consent, image))) {
        return true;
    }
    deny(out_why, "image", image);
    return false;
}

/* -- Users and groups ----------------------------------------------------- */

/* A number without zeros in front; 0, and nothing, are root. */
static void plain_name(const char *text, size_t len, char out_name[ROOM_SIZE])
{
    bool is_number = strspn(text, "0123456789") >= len;

    while (is_number && len > 0 && text[0] == '0') {
        text++;
        len--;
    }
    if (len == 0) {
        snprintf(out_name, ROOM_SIZE, "root");
    } else {
        snprintf(out_name, ROOM_SIZE, "%.*s", (int)len, text);
    }
}

static bool allows_name(const Swkpb__Rpc__NodeConsent__Names *names,
                        const char *text, size_t len, const char *what,
                        struct swk_error *out_why)
{
    char name[ROOM_SIZE] = "?";
    /* Cut short it might be another's. */
    bool fits = len < ROOM_SIZE;

    if (swki_names_allow_all(names)) {
        return true;
    }
    if (fits) {
        plain_name(text, len, name);
    }
    if (fits && swki_names_allow(names, name)) {
        return true;
    }
    deny(out_why, what, name);
    return false;
}

static bool check_user(const Consent *consent, const Swkpb__Task *task,
                       struct swk_error *out_why)
{
    const Swkpb__ContainerSpec *c = container_of(task);
    const char *user;
    const char *group;

    if (c == NULL) {
        return true;
    }
    user = text_of(c->user);
    group = strchr(user, ':');
    if (!allows_name(consent->users, user, strcspn(user, ":"), "user",
                     out_why)) {
        return false;
    }
    if (group != NULL && !allows_name(consent->groups, group + 1,
                                      strlen(group + 1), "group", out_why)) {
        return false;
    }
    for (size_t i = 0; i < c->n_groups; i++) {
        if (!allows_name(consent->groups, c->groups[i], strlen(c->groups[i]),
                         "group", out_why)) {
            return false;
        }
    }
    return true;
}

/* -- Mounts --------------------------------------------------------------- */

static const char *mount_type(const Swkpb__Mount *mount)
{
    static const char *const names[] = {"bind", "volume", "tmpfs", "npipe",
                                        "cluster"};
    size_t type = (size_t)mount->type;

    return type < sizeof(names) / sizeof(names[0]) ? names[type] : "?";
}

bool swki_consent_bounds_binds(const Consent *consent)
{
    const Swkpb__Rpc__NodeConsent__Mounts *rules = consent->mounts;

    for (size_t i = 0; rules != NULL && i < rules->n_allow; i++) {
        if (strcmp(rules->allow[i]->type, "bind") == 0 &&
            rules->allow[i]->source[0] != '\0') {
            return true;
        }
    }
    return false;
}

/* The driver of a volume can be told to mount any place of the node. */
static bool hides_its_source(const Swkpb__Mount *mount)
{
    const Swkpb__Mount__VolumeOptions *options = mount->volume_options;
    const Swkpb__Driver *driver =
        options != NULL ? options->driver_config : NULL;

    return driver != NULL && driver->n_options > 0;
}

static bool source_fits(const Swkpb__Mount *mount,
                        const Swkpb__Rpc__NodeConsent__Mount *rule)
{
    const char *source = text_of(mount->source);

    if (rule->source[0] == '\0') {
        return true;
    }
    if (strstr(source, "{{") != NULL ||
        strlen(source) > SWKI_CONSENT_VALUE_LEN_MAX) {
        return false;
    }
    return mount->type == SWKPB__MOUNT__TYPE__BIND
               ? swki_path_is_plain(source) &&
                     swki_path_within(source, rule->source)
               : swki_pattern_matches(rule->source, source);
}

static bool mount_fits(const Swkpb__Mount *mount,
                       const Swkpb__Rpc__NodeConsent__Mount *rule)
{
    bool any = strcmp(rule->type, "*") == 0;

    if (!any && strcmp(rule->type, mount_type(mount)) != 0) {
        return false;
    }
    if (hides_its_source(mount) && (!any || rule->source[0] != '\0')) {
        return false;
    }
    if (rule->readonly &&
        (!mount->readonly || (mount->bind_options != NULL &&
                              mount->bind_options->readonlynonrecursive))) {
        return false;
    }
    return source_fits(mount, rule);
}

static bool allows_mount(const Swkpb__Rpc__NodeConsent__Mounts *rules,
                         const Swkpb__Mount *mount)
{
    for (size_t i = 0; i < rules->n_allow; i++) {
        if (mount_fits(mount, rules->allow[i])) {
            return true;
        }
    }
    return false;
}

static bool check_mounts(const Consent *consent, const Swkpb__Task *task,
                         struct swk_error *out_why)
{
    const Swkpb__ContainerSpec *c = container_of(task);

    for (size_t i = 0; consent->mounts != NULL && c != NULL && i < c->n_mounts;
         i++) {
        const Swkpb__Mount *mount = c->mounts[i];
        char name[ROOM_SIZE];

        if (!allows_mount(consent->mounts, mount)) {
            snprintf(name, sizeof(name), "%s %.100s%s", mount_type(mount),
                     text_of(mount->source),
                     mount->readonly ? " (read-only)" : "");
            deny(out_why, "mount", name);
            return false;
        }
    }
    return true;
}

/* -- Generic resources ---------------------------------------------------- */

static const char *kind_of(const Swkpb__GenericResource *resource)
{
    switch (resource->resource_case) {
    case SWKPB__GENERIC_RESOURCE__RESOURCE_NAMED_RESOURCE_SPEC:
        return text_of(resource->named_resource_spec->kind);
    case SWKPB__GENERIC_RESOURCE__RESOURCE_DISCRETE_RESOURCE_SPEC:
        return text_of(resource->discrete_resource_spec->kind);
    default:
        return "?";
    }
}

static bool allows_resources(const Consent *consent,
                             Swkpb__GenericResource *const *list, size_t count,
                             struct swk_error *out_why)
{
    for (size_t i = 0; i < count; i++) {
        if (!swki_names_allow(consent->generic_resources, kind_of(list[i]))) {
            deny(out_why, "generic resource", kind_of(list[i]));
            return false;
        }
    }
    return true;
}

static bool check_resources(const Consent *consent, const Swkpb__Task *task,
                            struct swk_error *out_why)
{
    const Swkpb__ResourceRequirements *resources = task->spec->resources;
    const Swkpb__Resources *reserved =
        resources != NULL ? resources->reservations : NULL;

    if (consent->generic_resources == NULL) {
        return true;
    }
    return (reserved == NULL ||
            allows_resources(consent, reserved->generic, reserved->n_generic,
                             out_why)) &&
           allows_resources(consent, task->assigned_generic_resources,
                            task->n_assigned_generic_resources, out_why);
}

/* -- Namespaces ----------------------------------------------------------- */

static bool is_host(const char *text)
{
    return text != NULL && strcmp(text, "host") == 0;
}

static bool is_host_network(const Swkpb__NetworkAttachment *attachment)
{
    const Swkpb__Network *network = attachment->network;
    const Swkpb__NetworkSpec *spec = network != NULL ? network->spec : NULL;

    if (network != NULL && network->driver_state != NULL &&
        is_host(network->driver_state->name)) {
        return true;
    }
    return spec != NULL &&
           ((spec->annotations != NULL && is_host(spec->annotations->name)) ||
            (spec->driver_config != NULL &&
             is_host(spec->driver_config->name)));
}

static bool shares_network(const Swkpb__Task *task)
{
    for (size_t i = 0; i < task->spec->n_networks; i++) {
        if (is_host(task->spec->networks[i]->target)) {
            return true;
        }
    }
    for (size_t i = 0; i < task->n_networks; i++) {
        if (is_host_network(task->networks[i])) {
            return true;
        }
    }
    return false;
}

static bool check_namespaces(const Consent *consent, const Swkpb__Task *task,
                             struct swk_error *out_why)
{
    if (consent->host_namespaces == NULL || !shares_network(task) ||
        swki_names_allow(consent->host_namespaces, "network")) {
        return true;
    }
    deny(out_why, "the node's own namespace: network", "");
    return false;
}

/* -- Capabilities, privileges, sysctls ------------------------------------ */

/* "net_admin" is CAP_NET_ADMIN; false for what is none. */
static bool capability_name(const char *text, char out_name[CAPABILITY_SIZE])
{
    bool has_prefix = strncasecmp(text, "CAP_", 4) == 0;
    int len = snprintf(out_name, CAPABILITY_SIZE, "%s%s",
                       has_prefix ? "" : "CAP_", text);

    for (char *c = out_name; *c != '\0'; c++) {
        *c = (char)toupper((unsigned char)*c);
    }
    return len < CAPABILITY_SIZE;
}

static bool allows_capability(const Swkpb__Rpc__NodeConsent__Names *names,
                              const char *text)
{
    char name[CAPABILITY_SIZE];

    if (names == NULL || swki_names_allow_all(names)) {
        return true;
    }
    /* All of them are more than some that are denied. */
    return capability_name(text, name) && swki_names_allow(names, name) &&
           (strcmp(name, "CAP_ALL") != 0 || names->n_deny == 0);
}

static bool check_capabilities(const Consent *consent, const Swkpb__Task *task,
                               struct swk_error *out_why)
{
    const Swkpb__ContainerSpec *c = container_of(task);

    for (size_t i = 0; c != NULL && i < c->n_capability_add; i++) {
        if (!allows_capability(consent->capabilities, c->capability_add[i])) {
            deny(out_why, "capability", c->capability_add[i]);
            return false;
        }
    }
    return true;
}

/* The word for what a mode of seccomp gives away; NULL for nothing. */
static const char *seccomp_word(const Swkpb__Privileges__SeccompOpts *seccomp)
{
    if (seccomp == NULL ||
        seccomp->mode ==
            SWKPB__PRIVILEGES__SECCOMP_OPTS__SECCOMP_MODE__DEFAULT) {
        return NULL;
    }
    return seccomp->mode ==
                   SWKPB__PRIVILEGES__SECCOMP_OPTS__SECCOMP_MODE__CUSTOM
               ? "seccomp-custom"
               : "seccomp-unconfined";
}

static const char *
apparmor_word(const Swkpb__Privileges__AppArmorOpts *apparmor)
{
    return apparmor == NULL ||
                   apparmor->mode ==
                       SWKPB__PRIVILEGES__APP_ARMOR_OPTS__APP_ARMOR_MODE__DEFAULT
               ? NULL
               : "apparmor-disabled";
}

static const char *
selinux_word(const Swkpb__Privileges__SELinuxContext *selinux)
{
    if (selinux == NULL) {
        return NULL;
    }
    if (selinux->disable) {
        return "selinux-disabled";
    }
    return selinux->user[0] != '\0' || selinux->role[0] != '\0' ||
                   selinux->type[0] != '\0' || selinux->level[0] != '\0'
               ? "selinux-label"
               : NULL;
}

static bool check_privileges(const Consent *consent, const Swkpb__Task *task,
                             struct swk_error *out_why)
{
    const Swkpb__ContainerSpec *c = container_of(task);
    const Swkpb__Privileges *p = c != NULL ? c->privileges : NULL;
    const char *words[6] = {NULL};

    if (c == NULL || consent->privileges == NULL) {
        return true;
    }
    if (p == NULL || !p->no_new_privileges) {
        words[0] = "new-privileges";
    }
    if (p != NULL) {
        words[1] = seccomp_word(p->seccomp);
        words[2] = apparmor_word(p->apparmor);
        words[3] = selinux_word(p->selinux_context);
        words[4] = p->credential_spec != NULL ? "credential-spec" : NULL;
    }
    words[5] = c->oom_score_adj < 0 ? "oom-protected" : NULL;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (words[i] != NULL &&
            !swki_names_allow(consent->privileges, words[i])) {
            deny(out_why, "privilege", words[i]);
            return false;
        }
    }
    return true;
}

static bool check_sysctls(const Consent *consent, const Swkpb__Task *task,
                          struct swk_error *out_why)
{
    const Swkpb__ContainerSpec *c = container_of(task);

    for (size_t i = 0; c != NULL && i < c->n_sysctls; i++) {
        if (!swki_names_allow(consent->sysctls, c->sysctls[i]->key)) {
            deny(out_why, "sysctl", c->sysctls[i]->key);
            return false;
        }
    }
    return true;
}

/* -- Ports ---------------------------------------------------------------- */

static bool in_ranges(Swkpb__Rpc__NodeConsent__PortRange *const *ranges,
                      size_t count, uint32_t port)
{
    for (size_t i = 0; i < count; i++) {
        if (ranges[i]->first <= port && port <= ranges[i]->last) {
            return true;
        }
    }
    return false;
}

static bool allows_ports(const Swkpb__Rpc__NodeConsent__Ports *rules,
                         Swkpb__PortConfig *const *ports, size_t count,
                         struct swk_error *out_why)
{
    for (size_t i = 0; i < count; i++) {
        const Swkpb__PortConfig *port = ports[i];
        bool ingress =
            port->publish_mode == SWKPB__PORT_CONFIG__PUBLISH_MODE__INGRESS;
        char name[ROOM_SIZE];

        if (ingress
                ? in_ranges(rules->ingress, rules->n_ingress,
                            port->published_port)
                : in_ranges(rules->host, rules->n_host, port->published_port)) {
            continue;
        }
        snprintf(name, sizeof(name), "%u (%s)", port->published_port,
                 ingress ? "ingress" : "host");
        deny(out_why, "published port", name);
        return false;
    }
    return true;
}

/* As allocated; as asked for where they are not. */
static bool check_ports(const Consent *consent, const Swkpb__Task *task,
                        struct swk_error *out_why)
{
    const Swkpb__Endpoint *endpoint = task->endpoint;

    if (consent->ports == NULL || endpoint == NULL) {
        return true;
    }
    if (endpoint->n_ports == 0 && endpoint->spec != NULL) {
        return allows_ports(consent->ports, endpoint->spec->ports,
                            endpoint->spec->n_ports, out_why);
    }
    return allows_ports(consent->ports, endpoint->ports, endpoint->n_ports,
                        out_why);
}

/* -- Limits --------------------------------------------------------------- */

static bool within(int64_t limit, int64_t highest, const char *what,
                   struct swk_error *out_why)
{
    if (highest == 0 || (limit > 0 && limit <= highest)) {
        return true;
    }
    deny(out_why, limit > 0 ? "so high a limit of" : "tasks without a limit of",
         what);
    return false;
}

static bool check_limits(const Consent *consent, const Swkpb__Task *task,
                         struct swk_error *out_why)
{
    const Swkpb__Rpc__NodeConsent__Limits *highest = consent->per_task;
    const Swkpb__ResourceRequirements *resources = task->spec->resources;
    const Swkpb__Resources *limits =
        resources != NULL ? resources->limits : NULL;
    const Swkpb__ContainerSpec *c = container_of(task);

    /* An attachment runs nothing. */
    if (highest == NULL ||
        task->spec->runtime_case == SWKPB__TASK_SPEC__RUNTIME_ATTACHMENT) {
        return true;
    }
    return within(limits != NULL ? limits->nano_cpus : 0, highest->nano_cpus,
                  "CPUs", out_why) &&
           within(limits != NULL ? limits->memory_bytes : 0,
                  highest->memory_bytes, "memory", out_why) &&
           within(c != NULL ? c->pidslimit : 0, highest->pids, "processes",
                  out_why);
}

/* -- All of it ------------------------------------------------------------ */

typedef bool (*check_fn)(const Consent *consent, const Swkpb__Task *task,
                         struct swk_error *out_why);

static const check_fn checks[SWKI_CONSENT_REASONS_COUNT] = {
    [SWKI_CONSENT_SIGNATURE] = check_signature,
    [SWKI_CONSENT_EXECUTOR] = check_executor,
    [SWKI_CONSENT_IMAGE] = check_image,
    [SWKI_CONSENT_USER] = check_user,
    [SWKI_CONSENT_MOUNT] = check_mounts,
    [SWKI_CONSENT_RESOURCE] = check_resources,
    [SWKI_CONSENT_NAMESPACE] = check_namespaces,
    [SWKI_CONSENT_CAPABILITY] = check_capabilities,
    [SWKI_CONSENT_PRIVILEGE] = check_privileges,
    [SWKI_CONSENT_SYSCTL] = check_sysctls,
    [SWKI_CONSENT_PORT] = check_ports,
    [SWKI_CONSENT_LIMIT] = check_limits,
};

enum swki_consent_reason swki_consent_check(const Consent *consent,
                                            const Swkpb__Task *task,
                                            struct swk_error *out_why)
{
    if (task->spec == NULL) {
        deny(out_why, "a task without a spec", "");
        return SWKI_CONSENT_EXECUTOR;
    }
    for (int i = SWKI_CONSENT_GIVEN + 1; i < SWKI_CONSENT_REASONS_COUNT; i++) {
        if (!checks[i](consent, task, out_why)) {
            return (enum swki_consent_reason)i;
        }
    }
    return SWKI_CONSENT_GIVEN;
}

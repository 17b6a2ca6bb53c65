/* SPDX-License-Identifier: Apache-2.0 */

/* swarmctl service ... */

#include <stdio.h>
#include <string.h>

#include "converge.h"
#include "flags.h"
#include "lists.h"
#include "service_flags.h"
#include "service_refs.h"
#include "service_views.h"
#include "signing.h"
#include "verify.h"

static const struct flag create_flags[] = {
    {.name = "name",
     .argument = "NAME",
     .help = "the service's name; needed, but for what --spec names"},
    {.name = "spec",
     .argument = "FILE",
     .help = "begin with a spec as JSON; the other flags change it"},
    {.name = "sign",
     .argument = "KEY",
     .help = "sign the spec with the private key in a file"},
    TRUST_FLAG,
    {.name = "mode",
     .argument = "MODE",
     .otherwise = "replicated",
     .help = "replicated, global, replicated-job or global-job"},
    {.name = "secret",
     .argument = "NAME[:TARGET]",
     .help = "give the tasks a secret",
     .list = true},
    {.name = "config",
     .argument = "NAME[:TARGET]",
     .help = "give the tasks a config",
     .list = true},
    {0}};
static const struct flag update_flags[] = {
    {.name = "force", .help = "restart the tasks even if nothing differs"},
    {.name = "rollback", .help = "return to the previous spec"},
    {.name = "spec",
     .argument = "FILE",
     .help = "begin with a spec as JSON, not with the present one"},
    {.name = "sign",
     .argument = "KEY",
     .help = "sign the changed spec, in place of all old signatures"},
    {.name = "unsign", .help = "leave out all signatures"},
    TRUST_FLAG,
    {.name = "add-secret",
     .argument = "NAME[:TARGET]",
     .help = "give the tasks a secret",
     .list = true},
    {.name = "rm-secret",
     .argument = "NAME",
     .help = "take a secret away",
     .list = true},
    {.name = "add-config",
     .argument = "NAME[:TARGET]",
     .help = "give the tasks a config",
     .list = true},
    {.name = "rm-config",
     .argument = "NAME",
     .help = "take a config away",
     .list = true},
    {0}};

/* -- Create --------------------------------------------------------------- */

static int set_mode(struct ctl *ctl, const struct args *args,
                    Swkpb__ServiceSpec *spec)
{
    static const char *const words[] = {"replicated", "global",
                                        "replicated-job", "global-job", NULL};
    const char *word = args_text(args, "mode");
    int mode = 0;

    if (word != NULL && !parse_word(word, words, &mode)) {
        return ctl_usage("--mode is replicated, global, replicated-job or "
                         "global-job");
    }
    switch (mode) {
    case 0:
        spec->mode_case = SWKPB__SERVICE_SPEC__MODE_REPLICATED;
        spec->replicated = pool_message(
            &ctl->pool, &swkpb__replicated_service__descriptor);
        spec->replicated->replicas = 1;
        break;
    case 1:
        spec->mode_case = SWKPB__SERVICE_SPEC__MODE_GLOBAL;
        spec->global =
            pool_message(&ctl->pool, &swkpb__global_service__descriptor);
        break;
    case 2:
        spec->mode_case = SWKPB__SERVICE_SPEC__MODE_REPLICATED_JOB;
        spec->replicated_job =
            pool_message(&ctl->pool, &swkpb__replicated_job__descriptor);
        spec->replicated_job->max_concurrent = 1;
        spec->replicated_job->total_completions = 1;
        break;
    default:
        spec->mode_case = SWKPB__SERVICE_SPEC__MODE_GLOBAL_JOB;
        spec->global_job =
            pool_message(&ctl->pool, &swkpb__global_job__descriptor);
        break;
    }
    return EXIT_OK;
}

static Swkpb__ServiceSpec *new_spec(struct ctl *ctl)
{
    Swkpb__ServiceSpec *spec =
        pool_message(&ctl->pool, &swkpb__service_spec__descriptor);
    Swkpb__TaskSpec *task =
        pool_message(&ctl->pool, &swkpb__task_spec__descriptor);

    task->runtime_case = SWKPB__TASK_SPEC__RUNTIME_CONTAINER;
    task->container =
        pool_message(&ctl->pool, &swkpb__container_spec__descriptor);
    task->container->image = pool_strdup(&ctl->pool, "host");
    spec->annotations =
        pool_message(&ctl->pool, &swkpb__annotations__descriptor);
    spec->task = task;
    return spec;
}

/* Also tells what the signatures in the file are over; nothing if it has none.
 */
static int read_container_spec(struct ctl *ctl, const char *path,
                               Swkpb__ServiceSpec **out_spec,
                               ProtobufCBinaryData *out_covered)
{
    Swkpb__ServiceSpec *spec;
    int rc = signing_read_spec(ctl, path, &spec);

    if (rc != EXIT_OK) {
        return rc;
    }
    if (spec->task == NULL || spec->task->container == NULL ||
        spec->task->runtime_case != SWKPB__TASK_SPEC__RUNTIME_CONTAINER) {
        return ctl_error(EXIT_FAILED, "%s is not the spec of containers", path);
    }
    if (spec->n_signatures > 0) {
        *out_covered = verify_covered(ctl, spec);
    }
    if (spec->annotations == NULL) {
        spec->annotations =
            pool_message(&ctl->pool, &swkpb__annotations__descriptor);
    }
    *out_spec = spec;
    return EXIT_OK;
}

/* Signatures in a file are over what the file says. If flags changed that, they
 * are of use to nobody. */
static int keep_signatures(struct ctl *ctl, const struct args *args,
                           const ProtobufCBinaryData *covered,
                           Swkpb__ServiceSpec *spec)
{
    const ProtobufCBinaryData now = verify_covered(ctl, spec);

    if (covered->data == NULL ||
        (covered->len == now.len &&
         memcmp(covered->data, now.data, now.len) == 0)) {
        return EXIT_OK;
    }
    if (!args_has(args, "sign")) {
        return ctl_usage("the flags change what is signed in %s: sign it anew "
                         "with --sign, or leave the flags out",
                         args_text(args, "spec"));
    }
    spec->n_signatures = 0;
    return EXIT_OK;
}

/* What follows the flags. A process of the host is a command with arguments;
 * an image has a command of its own, which the arguments go to. */
static void set_command(struct ctl *ctl, const struct args *args, size_t first,
                        Swkpb__ContainerSpec *c)
{
    size_t count = args_count(args) - first;
    size_t at = 0;
    char **texts = pool_alloc(&ctl->pool, (count + 1) * sizeof(*texts));

    if (count == 0) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        texts[i] = pool_strdup(&ctl->pool, args_at(args, first + i));
    }
    if (strcmp(c->image, "host") == 0) {
        c->n_command = 1;
        c->command = texts;
        at = 1;
    }
    c->n_args = count - at;
    c->args = texts + at;
}

/* What "service create" begins with: nothing, or the spec in a file. */
static int first_spec(struct ctl *ctl, const struct args *args,
                      Swkpb__ServiceSpec **out_spec,
                      ProtobufCBinaryData *out_covered)
{
    const char *path = args_text(args, "spec");
    const char *name = args_text(args, "name");
    Swkpb__ServiceSpec *spec = new_spec(ctl);
    int rc = path != NULL ? read_container_spec(ctl, path, &spec, out_covered)
                          : EXIT_OK;

    if (rc != EXIT_OK) {
        return rc;
    }
    if (name != NULL) {
        spec->annotations->name = pool_strdup(&ctl->pool, name);
    }
    if (spec->annotations->name[0] == '\0') {
        return ctl_usage("a service needs a --name");
    }
    *out_spec = spec;
    return path == NULL || args_has(args, "mode") ||
                   spec->mode_case == SWKPB__SERVICE_SPEC__MODE__NOT_SET
               ? set_mode(ctl, args, spec)
               : EXIT_OK;
}

static int run_create(struct ctl *ctl, const struct args *args)
{
    Swkpb__CreateServiceRequest request = SWKPB__CREATE_SERVICE_REQUEST__INIT;
    Swkpb__CreateServiceResponse *reply;
    ProtobufCBinaryData covered = {0};
    Swkpb__ServiceSpec *spec;
    int rc = first_spec(ctl, args, &spec, &covered);

    if (rc == EXIT_OK) {
        rc = service_apply_flags(ctl, args, spec);
    }
    if (rc == EXIT_OK) {
        rc = service_add_references(ctl, args, "secret", "config",
                                    spec->task->container);
    }
    if (rc != EXIT_OK) {
        return rc;
    }
    set_command(ctl, args, 0, spec->task->container);
    if (strcmp(spec->task->container->image, "host") == 0 &&
        spec->task->container->n_command == 0) {
        return ctl_usage("a process of the host needs a command");
    }
    rc = keep_signatures(ctl, args, &covered, spec);
    if (rc == EXIT_OK && args_has(args, "sign")) {
        rc = signing_apply(ctl, args, args_text(args, "sign"), &spec);
    }
    if (rc == EXIT_OK) {
        rc = verify_before_sending(ctl, args, spec);
    }
    if (rc != EXIT_OK) {
        return rc;
    }
    request.spec = spec;
    rc = ctl_call(ctl, "CreateService", &request.base,
                  &swkpb__create_service_response__descriptor, &reply);
    if (rc != EXIT_OK) {
        return rc;
    }
    if (!ctl->json) {
        puts(reply->service->id);
    }
    note_typed(ctl, reply->service->id, spec->annotations->name);
    rc = converge_service(ctl, args, reply->service->id);
    return ctl->json && rc == EXIT_OK
               ? ctl_print_json(ctl, &reply->service->base)
               : rc;
}

/* -- Update --------------------------------------------------------------- */

static int find_container_service(struct ctl *ctl, const char *text,
                                  Swkpb__Service **out_service)
{
    int rc = find_service(ctl, text, out_service);

    if (rc != EXIT_OK) {
        return rc;
    }

    const Swkpb__ServiceSpec *spec = (*out_service)->spec;
    if (spec == NULL || spec->task == NULL ||
        spec->task->runtime_case != SWKPB__TASK_SPEC__RUNTIME_CONTAINER) {
        return ctl_error(EXIT_FAILED,
                         "service %s is not of a kind that swarmctl updates",
                         text);
    }
    return EXIT_OK;
}

/* Signatures are over the spec as it was: they go when it is signed anew. */
static int change_signatures(struct ctl *ctl, const struct args *args,
                             const ProtobufCBinaryData *covered,
                             Swkpb__ServiceSpec **spec)
{
    bool sign = args_has(args, "sign");
    int rc = EXIT_OK;

    if (sign && args_has(args, "unsign")) {
        return ctl_usage("--sign and --unsign exclude each other");
    }
    if (sign || args_has(args, "unsign")) {
        (*spec)->n_signatures = 0;
        (*spec)->signatures = NULL;
    } else {
        rc = keep_signatures(ctl, args, covered, *spec);
    }
    if (rc == EXIT_OK && sign) {
        rc = signing_apply(ctl, args, args_text(args, "sign"), spec);
    }
    return rc == EXIT_OK ? verify_before_sending(ctl, args, *spec) : rc;
}

/* Managers refuse what was signed and changed, and know nothing of the flags
 * here. */
static void hint_at_signing(struct ctl *ctl, const struct args *args,
                            const ProtobufCBinaryData *before,
                            const Swkpb__ServiceSpec *spec)
{
    const ProtobufCBinaryData now = verify_covered(ctl, spec);
    bool changed =
        before->len != now.len || memcmp(before->data, now.data, now.len) != 0;

    if (changed && spec->n_signatures > 0 && !args_has(args, "sign")) {
        ctl->hint = "--sign KEY signs it, --unsign leaves all signatures out";
        ctl->hint_for = SWK_EINVAL;
    }
}

static int send_update(struct ctl *ctl, const struct args *args,
                       Swkpb__Service *service,
                       Swkpb__UpdateServiceRequest__Rollback rollback)
{
    Swkpb__UpdateServiceRequest request = SWKPB__UPDATE_SERVICE_REQUEST__INIT;
    Swkpb__UpdateServiceResponse *reply;

    request.service_id = service->id;
    request.service_version =
        service->meta != NULL ? service->meta->version : NULL;
    request.spec = service->spec;
    request.rollback = rollback;
    int rc = ctl_call(ctl, "UpdateService", &request.base,
                      &swkpb__update_service_response__descriptor, &reply);
    if (rc != EXIT_OK) {
        return rc;
    }
    if (!ctl->json) {
        puts(service->id);
    }
    rc = converge_service(ctl, args, service->id);
    return ctl->json && rc == EXIT_OK
               ? ctl_print_json(ctl, &reply->service->base)
               : rc;
}

static int roll_back(struct ctl *ctl, const struct args *args,
                     Swkpb__Service *service)
{
    int rc = service->previous_spec != NULL
                 ? verify_before_sending(ctl, args, service->previous_spec)
                 : EXIT_OK;

    return rc == EXIT_OK
               ? send_update(ctl, args, service,
                             SWKPB__UPDATE_SERVICE_REQUEST__ROLLBACK__PREVIOUS)
               : rc;
}

static int run_update(struct ctl *ctl, const struct args *args)
{
    ProtobufCBinaryData covered = {0};
    Swkpb__Service *service;
    int rc = find_container_service(ctl, args_at(args, 0), &service);

    if (rc != EXIT_OK) {
        return rc;
    }
    if (args_has(args, "rollback")) {
        return roll_back(ctl, args, service);
    }

    const ProtobufCBinaryData before = signing_encode(ctl, service->spec);
    const ProtobufCBinaryData content = verify_covered(ctl, service->spec);
    if (args_has(args, "spec")) {
        rc = read_container_spec(ctl, args_text(args, "spec"), &service->spec,
                                 &covered);
        if (rc != EXIT_OK) {
            return rc;
        }
    }
    Swkpb__ContainerSpec *c = service->spec->task->container;
    rc = service_apply_flags(ctl, args, service->spec);
    if (rc == EXIT_OK) {
        rc = service_remove_references(args, c);
    }
    if (rc == EXIT_OK) {
        rc = service_add_references(ctl, args, "add-secret", "add-config", c);
    }
    if (rc != EXIT_OK) {
        return rc;
    }
    set_command(ctl, args, 1, c);
    if (args_has(args, "force")) {
        service->spec->task->force_update++;
    }
    rc = change_signatures(ctl, args, &covered, &service->spec);
    if (rc != EXIT_OK) {
        return rc;
    }
    hint_at_signing(ctl, args, &content, service->spec);

    const ProtobufCBinaryData after = signing_encode(ctl, service->spec);
    if (before.len == after.len &&
        memcmp(before.data, after.data, after.len) == 0) {
        return ctl_error(EXIT_FAILED, "no changes detected");
    }
    return send_update(ctl, args, service,
                       SWKPB__UPDATE_SERVICE_REQUEST__ROLLBACK__NONE);
}

/* SERVICE=N, each on its own. */
static int scale(struct ctl *ctl, const struct args *args, const char *text)
{
    Swkpb__Service *service;
    size_t name_len;
    const char *value;
    uint64_t replicas;

    if (!parse_pair(text, &name_len, &value) ||
        !parse_unsigned(value, INT64_MAX, &replicas)) {
        return ctl_usage("\"%s\" is not SERVICE=N", text);
    }
    int rc = find_service(ctl, pool_strndup(&ctl->pool, text, name_len),
                          &service);
    if (rc != EXIT_OK) {
        return rc;
    }
    Swkpb__ServiceSpec *spec = service->spec;
    if (spec == NULL ||
        spec->mode_case != SWKPB__SERVICE_SPEC__MODE_REPLICATED) {
        return ctl_error(EXIT_FAILED, "service %s is not replicated",
                         service_name(service));
    }
    if (spec->replicated->replicas == replicas) {
        return ctl_error(EXIT_FAILED,
                         "no changes detected: service %s has %llu task%s "
                         "already",
                         service_name(service), (unsigned long long)replicas,
                         replicas == 1 ? "" : "s");
    }
    spec->replicated->replicas = replicas;
    return send_update(ctl, args, service,
                       SWKPB__UPDATE_SERVICE_REQUEST__ROLLBACK__NONE);
}

static int run_scale(struct ctl *ctl, const struct args *args)
{
    int result = EXIT_OK;

    for (size_t i = 0; i < args_count(args); i++) {
        int rc = scale(ctl, args, args_at(args, i));

        result = rc != EXIT_OK ? rc : result;
    }
    return result;
}

/* -- Remove --------------------------------------------------------------- */

static int remove_service(struct ctl *ctl, const struct args *args,
                          const char *text)
{
    Swkpb__RemoveServiceRequest request = SWKPB__REMOVE_SERVICE_REQUEST__INIT;
    Swkpb__RemoveServiceResponse *reply;
    Swkpb__Service *service;
    int rc = find_service(ctl, text, &service);

    if (rc != EXIT_OK) {
        return rc;
    }
    request.service_id = service->id;
    rc = ctl_call(ctl, "RemoveService", &request.base,
                  &swkpb__remove_service_response__descriptor, &reply);
    if (rc != EXIT_OK) {
        return rc;
    }
    print_removed(ctl, service->id, text);
    return converge_removal(ctl, args, service->id);
}

static int run_remove(struct ctl *ctl, const struct args *args)
{
    int result = EXIT_OK;

    for (size_t i = 0; i < args_count(args); i++) {
        int rc = remove_service(ctl, args, args_at(args, i));

        result = rc != EXIT_OK ? rc : result;
    }
    return result;
}

const struct command service_commands[] = {
    {"service", "create", NULL, "[--] COMMAND [ARGUMENT...]",
     "Create a service and wait until its tasks run.\n\n"
     "What follows the flags is the process to run; with an image other than\n"
     "host, it is what the image's own command is given.",
     "swarmctl service create --name web --replicas 3 --memory-limit 64m -- "
     "python3 -m http.server",
     {create_flags, service_flags, signing_flags, wait_flags}, 0, -1, true,
     run_create},
    {"service", "update", NULL, "SERVICE [--] [COMMAND [ARGUMENT...]]",
     "Change a service and wait until its tasks are replaced.\n\n"
     "What no flag names stays as it is. Flags for lists replace the list.",
     "swarmctl service update --env LEVEL=debug web",
     {update_flags, service_flags, signing_flags, wait_flags}, 1, -1, false,
     run_update},
    {"service", "scale", NULL, "SERVICE=N...",
     "Set the number of tasks of replicated services.",
     "swarmctl service scale web=5", {wait_flags}, 1, -1, false, run_scale},
    {"service", "ls", "list", "", "List the services.", "swarmctl service ls",
     {service_list_flags}, 0, 0, false, run_service_list},
    {"service", "inspect", NULL, "SERVICE", "Show a service and its tasks.",
     "swarmctl service inspect web", {service_inspect_flags}, 1, 1, false,
     run_service_inspect},
    {"service", "ps", NULL, "SERVICE", "List the tasks of a service.",
     "swarmctl service ps --all web", {service_inspect_flags}, 1, 1, false,
     run_service_ps},
    {"service", "rm", "remove", "SERVICE...",
     "Remove services and wait until their tasks are stopped.",
     "swarmctl service rm web", {wait_flags}, 1, -1, false, run_remove},
    {0},
};

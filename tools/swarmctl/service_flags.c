/* SPDX-License-Identifier: Apache-2.0 */

#include "service_flags.h"

#include <stdlib.h>
#include <string.h>

#include "lists.h"
#include "parse.h"

const struct flag service_flags[] = {
    {.name = "image",
     .argument = "IMAGE",
     .otherwise = "host",
     .help = "host for a process of the node, or a root directory"},
    {.name = "replicas",
     .argument = "N",
     .otherwise = "1",
     .help = "tasks of a replicated service; runs of a replicated job"},
    {.name = "max-concurrent",
     .argument = "N",
     .otherwise = "--replicas",
     .help = "runs of a replicated job at a time"},
    {.name = "replicas-max-per-node",
     .argument = "N",
     .otherwise = "0, no limit",
     .help = "tasks on one node"},
    {.name = "label", .argument = "KEY=VALUE", .list = true,
     .help = "replace all labels by these; \"\" for none"},
    {.name = "label-add", .argument = "KEY=VALUE", .list = true,
     .help = "add or change a label"},
    {.name = "label-rm", .argument = "KEY", .list = true,
     .help = "remove a label"},
    {.name = "env", .letter = 'e', .argument = "NAME=VALUE", .list = true,
     .help = "replace the environment by these; \"\" for none"},
    {.name = "command", .argument = "WORD", .list = true,
     .help = "replace the command"},
    {.name = "args", .argument = "WORD", .list = true,
     .help = "replace the command's arguments"},
    {.name = "constraint", .argument = "KEY==VALUE", .list = true,
     .help = "replace the constraints on nodes; \"\" for none"},
    {.name = "hostname", .argument = "NAME", .help = "the tasks' host name"},
    {.name = "user", .letter = 'u', .argument = "USER[:GROUP]",
     .help = "who the process runs as"},
    {.name = "workdir", .letter = 'w', .argument = "PATH",
     .help = "where the process starts"},
    {.name = "tty", .letter = 't', .help = "give the process a terminal"},
    {.name = "open-stdin", .help = "keep the standard input open"},
    {.name = "init", .help = "run a small init that reaps processes"},
    {.name = "read-only", .help = "mount the root directory read-only"},
    {.name = "stop-signal", .argument = "SIGNAL", .otherwise = "SIGTERM",
     .help = "what asks the process to end"},
    {.name = "stop-grace-period", .argument = "DURATION", .otherwise = "10s",
     .help = "how long it has before it is killed"},
    {.name = "ports", .letter = 'p',
     .argument = "NAME:TARGET[/PROTOCOL][:PUBLISHED]", .list = true,
     .help = "replace the ports, published by the host; \"\" for none"},
    {.name = "memory-reservation", .argument = "SIZE",
     .help = "memory a node must have free, such as 512m"},
    {.name = "memory-limit", .argument = "SIZE",
     .help = "memory a task may use"},
    {.name = "cpu-reservation", .argument = "CPUS",
     .help = "processors a node must have free, such as 0.5"},
    {.name = "cpu-limit", .argument = "CPUS",
     .help = "processors a task may use"},
    {.name = "generic-resources", .argument = "KIND=N,...",
     .help = "other resources a node must have free"},
    {.name = "ulimit", .argument = "NAME=SOFT[:HARD]", .list = true,
     .help = "replace the resource limits of the process"},
    {.name = "pids-limit", .argument = "N", .otherwise = "0, no limit",
     .help = "processes of a task"},
    {.name = "oom-score-adj", .argument = "N", .otherwise = "0",
     .help = "-1000 to 1000"},
    {.name = "update-parallelism", .argument = "N", .otherwise = "0, all",
     .help = "tasks updated at a time"},
    {.name = "update-delay", .argument = "DURATION", .otherwise = "0s",
     .help = "pause between updates"},
    {.name = "update-monitor", .argument = "DURATION", .otherwise = "5s",
     .help = "how long a failure counts against the update"},
    {.name = "update-max-failure-ratio", .argument = "RATIO",
     .otherwise = "0", .help = "failures an update endures, 0 to 1"},
    {.name = "update-on-failure", .argument = "ACTION", .otherwise = "pause",
     .help = "pause, continue or rollback"},
    {.name = "update-order", .argument = "ORDER", .otherwise = "stop-first",
     .help = "stop-first or start-first"},
    {.name = "rollback-parallelism", .argument = "N", .otherwise = "0, all",
     .help = "tasks rolled back at a time"},
    {.name = "rollback-delay", .argument = "DURATION", .otherwise = "0s",
     .help = "pause between them"},
    {.name = "rollback-monitor", .argument = "DURATION", .otherwise = "5s",
     .help = "how long a failure counts against the rollback"},
    {.name = "rollback-max-failure-ratio", .argument = "RATIO",
     .otherwise = "0", .help = "failures a rollback endures, 0 to 1"},
    {.name = "rollback-on-failure", .argument = "ACTION",
     .otherwise = "pause", .help = "pause or continue"},
    {.name = "rollback-order", .argument = "ORDER",
     .otherwise = "stop-first", .help = "stop-first or start-first"},
    {.name = "restart-condition", .argument = "WORD", .otherwise = "any",
     .help = "any, failure or none"},
    {.name = "restart-delay", .argument = "DURATION", .otherwise = "5s",
     .help = "pause before a restart"},
    {.name = "restart-max-attempts", .argument = "N",
     .otherwise = "0, unlimited", .help = "restarts of a task"},
    {.name = "restart-window", .argument = "DURATION", .otherwise = "0s",
     .help = "time within which attempts count; 0s: for ever"},
    {.name = "bind", .argument = "SOURCE:TARGET[:ro]", .list = true,
     .help = "replace the mounts of node directories"},
    {.name = "tmpfs", .argument = "PATH[:OPTIONS]", .list = true,
     .help = "replace the memory file systems"},
    {.name = "log-driver", .argument = "NAME", .help = "where output goes"},
    {.name = "log-opt", .argument = "KEY=VALUE", .list = true,
     .help = "replace the options of the log driver"},
    {.name = "health-cmd", .argument = "COMMAND",
     .help = "what tells whether a task is healthy; \"\" for none"},
    {.name = "health-interval", .argument = "DURATION",
     .help = "pause between checks"},
    {.name = "health-timeout", .argument = "DURATION",
     .help = "time a check may take"},
    {.name = "health-start-period", .argument = "DURATION",
     .help = "time within which failures do not count"},
    {.name = "health-retries", .argument = "N",
     .help = "failures in a row that make a task unhealthy"},
    {0}};

/* An absent sub-message is made, so that its field can be set. */
static void *ensure(struct ctl *ctl, void *field,
                    const ProtobufCMessageDescriptor *type)
{
    void **message = field;

    if (*message == NULL) {
        *message = pool_message(&ctl->pool, type);
    }
    return *message;
}

/* -- Single values: left alone if the flag is not given ------------------- */

static void set_text(struct ctl *ctl, const struct args *args,
                     const char *flag, char **field)
{
    if (args_has(args, flag)) {
        *field = pool_strdup(&ctl->pool, args_text(args, flag));
    }
}

static int set_duration(struct ctl *ctl, const struct args *args,
                        const char *flag, Swkpb__Duration **field)
{
    int64_t ns;

    if (!args_has(args, flag)) {
        return EXIT_OK;
    }
    if (!parse_duration(args_text(args, flag), &ns) || ns < 0) {
        return ctl_usage("--%s takes a duration such as 1m30s", flag);
    }
    *field = new_duration(ctl, ns);
    return EXIT_OK;
}

static int set_number(const struct args *args, const char *flag,
                      uint64_t *field)
{
    if (args_has(args, flag) &&
        !parse_unsigned(args_text(args, flag), INT64_MAX, field)) {
        return ctl_usage("--%s takes a number", flag);
    }
    return EXIT_OK;
}

static int set_word(const struct args *args, const char *flag,
                    const char *const *words, int *field)
{
    if (args_has(args, flag) &&
        !parse_word(args_text(args, flag), words, field)) {
        return ctl_usage("--%s does not take \"%s\"", flag,
                         args_text(args, flag));
    }
    return EXIT_OK;
}

/* Replaces a list by what is given; one empty text empties it. */
static bool set_list(struct ctl *ctl, const struct args *args,
                     const char *flag, size_t *count_field, char ***field)
{
    const char *const *texts;
    size_t count = args_list(args, flag, &texts);
    char **items;

    if (count == 0) {
        return false;
    }
    if (count == 1 && texts[0][0] == '\0') {
        count = 0;
    }
    items = pool_alloc(&ctl->pool, (count + 1) * sizeof(*items));
    for (size_t i = 0; i < count; i++) {
        items[i] = pool_strdup(&ctl->pool, texts[i]);
    }
    *count_field = count;
    *field = items;
    return true;
}

/* -- Groups --------------------------------------------------------------- */

static int apply_process(struct ctl *ctl, const struct args *args,
                         Swkpb__ContainerSpec *c)
{
    set_text(ctl, args, "image", &c->image);
    set_text(ctl, args, "hostname", &c->hostname);
    set_text(ctl, args, "user", &c->user);
    set_text(ctl, args, "workdir", &c->dir);
    set_text(ctl, args, "stop-signal", &c->stop_signal);
    set_list(ctl, args, "env", &c->n_env, &c->env);
    set_list(ctl, args, "command", &c->n_command, &c->command);
    set_list(ctl, args, "args", &c->n_args, &c->args);
    c->tty = c->tty || args_has(args, "tty");
    c->open_stdin = c->open_stdin || args_has(args, "open-stdin");
    c->read_only = c->read_only || args_has(args, "read-only");
    if (args_has(args, "init")) {
        ensure(ctl, &c->init, &swkpb__bool_value__descriptor);
        c->init->value = true;
    }
    for (size_t i = 0; args_has(args, "env") && i < c->n_env; i++) {
        if (!parse_env(c->env[i])) {
            return ctl_usage("--env: \"%s\" is not NAME=VALUE", c->env[i]);
        }
    }
    if (args_has(args, "pids-limit") &&
        !parse_integer(args_text(args, "pids-limit"), 0, INT64_MAX,
                       &c->pidslimit)) {
        return ctl_usage("--pids-limit takes a number");
    }
    if (args_has(args, "oom-score-adj") &&
        !parse_integer(args_text(args, "oom-score-adj"), -1000, 1000,
                       &c->oom_score_adj)) {
        return ctl_usage("--oom-score-adj takes a number from -1000 to 1000");
    }
    return set_duration(ctl, args, "stop-grace-period", &c->stop_grace_period);
}

static int apply_ulimits(struct ctl *ctl, const struct args *args,
                         Swkpb__ContainerSpec *c)
{
    const char *const *texts;
    size_t count = args_list(args, "ulimit", &texts);

    if (count == 0) {
        return EXIT_OK;
    }
    c->ulimits = pool_alloc(&ctl->pool, count * sizeof(*c->ulimits));
    c->n_ulimits = 0;
    for (size_t i = 0; i < count; i++) {
        Swkpb__ContainerSpec__Ulimit *u = pool_message(
            &ctl->pool, &swkpb__container_spec__ulimit__descriptor);
        size_t key_len;
        const char *value;

        if (!parse_pair(texts[i], &key_len, &value)) {
            return ctl_usage("--ulimit takes NAME=SOFT[:HARD]");
        }
        size_t soft_len = strcspn(value, ":");
        const char *hard =
            value[soft_len] == ':' ? value + soft_len + 1 : value;
        char *soft = pool_strndup(&ctl->pool, value, soft_len);
        if (!parse_integer(soft, -1, INT64_MAX, &u->soft) ||
            !parse_integer(hard == value ? soft : hard, -1, INT64_MAX,
                           &u->hard)) {
            return ctl_usage("--ulimit takes NAME=SOFT[:HARD]");
        }
        u->name = pool_strndup(&ctl->pool, texts[i], key_len);
        c->ulimits[c->n_ulimits++] = u;
    }
    return EXIT_OK;
}

/* Keeps the mounts of other types, and adds one. */
static void add_mount(struct ctl *ctl, Swkpb__ContainerSpec *c,
                      Swkpb__Mount *mount)
{
    Swkpb__Mount **mounts =
        pool_alloc(&ctl->pool, (c->n_mounts + 1) * sizeof(*mounts));

    if (c->n_mounts > 0) {
        memcpy(mounts, c->mounts, c->n_mounts * sizeof(*mounts));
    }
    mounts[c->n_mounts++] = mount;
    c->mounts = mounts;
}

static void drop_mounts(Swkpb__ContainerSpec *c, Swkpb__Mount__Type type)
{
    size_t kept = 0;

    for (size_t i = 0; i < c->n_mounts; i++) {
        if (c->mounts[i]->type != type) {
            c->mounts[kept++] = c->mounts[i];
        }
    }
    c->n_mounts = kept;
}

static int add_bind(struct ctl *ctl, Swkpb__ContainerSpec *c, const char *text)
{
    Swkpb__Mount *mount = pool_message(&ctl->pool, &swkpb__mount__descriptor);
    size_t len = strcspn(text, ":");
    const char *target = text + len + (text[len] == ':');
    size_t target_len = strcspn(target, ":");
    const char *mode = target + target_len;

    if (len == 0 || target_len == 0 ||
        (mode[0] != '\0' && strcmp(mode, ":ro") != 0)) {
        return ctl_usage("--bind takes SOURCE:TARGET[:ro]");
    }
    mount->type = SWKPB__MOUNT__TYPE__BIND;
    mount->source = pool_strndup(&ctl->pool, text, len);
    mount->target = pool_strndup(&ctl->pool, target, target_len);
    mount->readonly = mode[0] != '\0';
    add_mount(ctl, c, mount);
    return EXIT_OK;
}

static int add_tmpfs(struct ctl *ctl, Swkpb__ContainerSpec *c,
                     const char *text)
{
    Swkpb__Mount *mount = pool_message(&ctl->pool, &swkpb__mount__descriptor);
    size_t len = strcspn(text, ":");

    if (len == 0) {
        return ctl_usage("--tmpfs takes PATH[:OPTIONS]");
    }
    mount->type = SWKPB__MOUNT__TYPE__TMPFS;
    mount->target = pool_strndup(&ctl->pool, text, len);
    mount->tmpfs_options =
        pool_message(&ctl->pool, &swkpb__mount__tmpfs_options__descriptor);
    if (text[len] == ':') {
        mount->tmpfs_options->options =
            pool_strdup(&ctl->pool, text + len + 1);
    }
    add_mount(ctl, c, mount);
    return EXIT_OK;
}

static int apply_mounts(struct ctl *ctl, const struct args *args,
                        Swkpb__ContainerSpec *c)
{
    const char *const *texts;
    int rc = EXIT_OK;
    size_t count = args_list(args, "bind", &texts);

    if (count > 0) {
        drop_mounts(c, SWKPB__MOUNT__TYPE__BIND);
    }
    for (size_t i = 0; rc == EXIT_OK && i < count; i++) {
        rc = texts[i][0] == '\0' ? EXIT_OK : add_bind(ctl, c, texts[i]);
    }
    count = args_list(args, "tmpfs", &texts);
    if (count > 0) {
        drop_mounts(c, SWKPB__MOUNT__TYPE__TMPFS);
    }
    for (size_t i = 0; rc == EXIT_OK && i < count; i++) {
        rc = texts[i][0] == '\0' ? EXIT_OK : add_tmpfs(ctl, c, texts[i]);
    }
    return rc;
}

static int apply_health(struct ctl *ctl, const struct args *args,
                        Swkpb__ContainerSpec *c)
{
    const char *command = args_text(args, "health-cmd");
    uint64_t retries = 0;

    if (command == NULL && !args_has(args, "health-interval") &&
        !args_has(args, "health-timeout") &&
        !args_has(args, "health-start-period") &&
        !args_has(args, "health-retries")) {
        return EXIT_OK;
    }

    Swkpb__HealthConfig *health =
        ensure(ctl, &c->healthcheck, &swkpb__health_config__descriptor);
    if (command != NULL) {
        bool none = command[0] == '\0';

        health->n_test = none ? 1 : 2;
        health->test = pool_alloc(&ctl->pool, 2 * sizeof(*health->test));
        health->test[0] = pool_strdup(&ctl->pool, none ? "NONE" : "CMD-SHELL");
        health->test[1] = pool_strdup(&ctl->pool, command);
    }

    int rc = set_duration(ctl, args, "health-interval", &health->interval);
    if (rc == EXIT_OK) {
        rc = set_duration(ctl, args, "health-timeout", &health->timeout);
    }
    if (rc == EXIT_OK) {
        rc = set_duration(ctl, args, "health-start-period",
                          &health->start_period);
    }
    if (rc == EXIT_OK && args_has(args, "health-retries")) {
        if (!parse_unsigned(args_text(args, "health-retries"), INT32_MAX,
                            &retries)) {
            return ctl_usage("--health-retries takes a number");
        }
        health->retries = (int32_t)retries;
    }
    return rc;
}

static int apply_amounts(struct ctl *ctl, const struct args *args,
                         const char *cpu_flag, const char *memory_flag,
                         Swkpb__Resources **field)
{
    if (!args_has(args, cpu_flag) && !args_has(args, memory_flag)) {
        return EXIT_OK;
    }

    Swkpb__Resources *r = ensure(ctl, field, &swkpb__resources__descriptor);
    if (args_has(args, cpu_flag) &&
        !parse_cpus(args_text(args, cpu_flag), &r->nano_cpus)) {
        return ctl_usage("--%s takes a number of processors such as 0.5",
                         cpu_flag);
    }
    if (args_has(args, memory_flag) &&
        !parse_size(args_text(args, memory_flag), &r->memory_bytes)) {
        return ctl_usage("--%s takes a size such as 512m", memory_flag);
    }
    return EXIT_OK;
}

static Swkpb__GenericResource *new_generic(struct ctl *ctl, const char *kind,
                                           size_t kind_len, int64_t value)
{
    Swkpb__GenericResource *g =
        pool_message(&ctl->pool, &swkpb__generic_resource__descriptor);

    g->resource_case = SWKPB__GENERIC_RESOURCE__RESOURCE_DISCRETE_RESOURCE_SPEC;
    g->discrete_resource_spec = pool_message(
        &ctl->pool, &swkpb__discrete_generic_resource__descriptor);
    g->discrete_resource_spec->kind =
        pool_strndup(&ctl->pool, kind, kind_len);
    g->discrete_resource_spec->value = value;
    return g;
}

static int apply_generic(struct ctl *ctl, const char *text,
                         Swkpb__Resources *r)
{
    r->n_generic = 0;
    r->generic =
        pool_alloc(&ctl->pool, (strlen(text) + 1) * sizeof(*r->generic));
    while (text[0] != '\0') {
        size_t len = strcspn(text, ",");
        const char *item = pool_strndup(&ctl->pool, text, len);
        const char *value;
        size_t kind_len;
        int64_t number;

        if (!parse_pair(item, &kind_len, &value) ||
            !parse_integer(value, 0, INT64_MAX, &number)) {
            return ctl_usage("--generic-resources takes KIND=N,...");
        }
        r->generic[r->n_generic++] = new_generic(ctl, item, kind_len, number);
        text += len + (text[len] == ',');
    }
    return EXIT_OK;
}

static int apply_resources(struct ctl *ctl, const struct args *args,
                           Swkpb__TaskSpec *task)
{
    const char *generic = args_text(args, "generic-resources");

    if (generic == NULL && !args_has(args, "cpu-limit") &&
        !args_has(args, "memory-limit") &&
        !args_has(args, "cpu-reservation") &&
        !args_has(args, "memory-reservation")) {
        return EXIT_OK;
    }

    Swkpb__ResourceRequirements *r = ensure(
        ctl, &task->resources, &swkpb__resource_requirements__descriptor);
    int rc = apply_amounts(ctl, args, "cpu-limit", "memory-limit", &r->limits);
    if (rc == EXIT_OK) {
        rc = apply_amounts(ctl, args, "cpu-reservation", "memory-reservation",
                           &r->reservations);
    }
    if (rc == EXIT_OK && generic != NULL) {
        ensure(ctl, &r->reservations, &swkpb__resources__descriptor);
        rc = apply_generic(ctl, generic, r->reservations);
    }
    return rc;
}

static int apply_restart(struct ctl *ctl, const struct args *args,
                         Swkpb__TaskSpec *task)
{
    static const char *const words[] = {"none", "failure", "any", NULL};

    if (!args_has(args, "restart-condition") &&
        !args_has(args, "restart-delay") &&
        !args_has(args, "restart-max-attempts") &&
        !args_has(args, "restart-window")) {
        return EXIT_OK;
    }
    if (task->restart == NULL) {
        task->restart =
            pool_message(&ctl->pool, &swkpb__restart_policy__descriptor);
        task->restart->condition =
            SWKPB__RESTART_POLICY__RESTART_CONDITION__ANY;
    }

    int condition = (int)task->restart->condition;
    int rc = set_word(args, "restart-condition", words, &condition);
    task->restart->condition =
        (Swkpb__RestartPolicy__RestartCondition)condition;
    if (rc == EXIT_OK) {
        rc = set_duration(ctl, args, "restart-delay", &task->restart->delay);
    }
    if (rc == EXIT_OK) {
        rc = set_number(args, "restart-max-attempts",
                        &task->restart->max_attempts);
    }
    return rc == EXIT_OK ? set_duration(ctl, args, "restart-window",
                                        &task->restart->window)
                         : rc;
}

/* The flags of updates and of rollbacks differ in their first word. */
static int apply_update(struct ctl *ctl, const struct args *args,
                        const char *word, Swkpb__UpdateConfig **field)
{
    static const char *const names[] = {"parallelism", "delay",
                                        "monitor",     "max-failure-ratio",
                                        "on-failure",  "order"};
    static const char *const actions[] = {"pause", "continue", "rollback",
                                          NULL};
    static const char *const orders[] = {"stop-first", "start-first", NULL};
    const char *flags[6];
    bool any = false;

    for (int i = 0; i < 6; i++) {
        flags[i] = pool_printf(&ctl->pool, "%s-%s", word, names[i]);
        any = any || args_has(args, flags[i]);
    }
    if (!any) {
        return EXIT_OK;
    }

    Swkpb__UpdateConfig *update =
        ensure(ctl, field, &swkpb__update_config__descriptor);
    int action = (int)update->failure_action;
    int order = (int)update->order;
    int rc = set_number(args, flags[0], &update->parallelism);
    if (rc == EXIT_OK) {
        rc = set_duration(ctl, args, flags[1], &update->delay);
    }
    if (rc == EXIT_OK) {
        rc = set_duration(ctl, args, flags[2], &update->monitor);
    }
    if (rc == EXIT_OK && args_has(args, flags[3])) {
        int64_t ratio;

        if (!parse_cpus(args_text(args, flags[3]), &ratio)) {
            return ctl_usage("--%s takes a number from 0 to 1", flags[3]);
        }
        update->max_failure_ratio = (float)((double)ratio / 1e9);
    }
    if (rc == EXIT_OK) {
        rc = set_word(args, flags[4], actions, &action);
    }
    if (rc == EXIT_OK) {
        rc = set_word(args, flags[5], orders, &order);
    }
    update->failure_action = (Swkpb__UpdateConfig__FailureAction)action;
    update->order = (Swkpb__UpdateConfig__UpdateOrder)order;
    return rc;
}

static int apply_ports(struct ctl *ctl, const struct args *args,
                       Swkpb__ServiceSpec *spec)
{
    static const char *const protocols[] = {"tcp", "udp", "sctp", NULL};
    const char *const *texts;
    size_t count = args_list(args, "ports", &texts);

    if (count == 0) {
        return EXIT_OK;
    }

    Swkpb__EndpointSpec *endpoint =
        ensure(ctl, &spec->endpoint, &swkpb__endpoint_spec__descriptor);
    endpoint->ports = pool_alloc(&ctl->pool, count * sizeof(*endpoint->ports));
    endpoint->n_ports = 0;
    for (size_t i = 0; i < count; i++) {
        struct parsed_port parsed;
        int protocol = 0;

        if (count == 1 && texts[i][0] == '\0') {
            break;
        }
        if (!parse_port(texts[i], &parsed)) {
            return ctl_usage("--ports: \"%s\" is not "
                             "NAME:TARGET[/PROTOCOL][:PUBLISHED]",
                             texts[i]);
        }
        Swkpb__PortConfig *port =
            pool_message(&ctl->pool, &swkpb__port_config__descriptor);
        parse_word(parsed.protocol, protocols, &protocol);
        port->name = pool_strdup(&ctl->pool, parsed.name);
        port->target_port = parsed.target;
        port->published_port =
            parsed.published != 0 ? parsed.published : parsed.target;
        port->protocol = (Swkpb__PortConfig__Protocol)protocol;
        port->publish_mode = SWKPB__PORT_CONFIG__PUBLISH_MODE__HOST;
        endpoint->ports[endpoint->n_ports++] = port;
    }
    return EXIT_OK;
}

static int apply_placement(struct ctl *ctl, const struct args *args,
                           Swkpb__TaskSpec *task)
{
    if (!args_has(args, "constraint") &&
        !args_has(args, "replicas-max-per-node")) {
        return EXIT_OK;
    }

    Swkpb__Placement *p =
        ensure(ctl, &task->placement, &swkpb__placement__descriptor);
    set_list(ctl, args, "constraint", &p->n_constraints, &p->constraints);
    for (size_t i = 0; i < p->n_constraints; i++) {
        if (!parse_constraint(p->constraints[i])) {
            return ctl_usage("--constraint: \"%s\" is neither KEY==VALUE nor "
                             "KEY!=VALUE",
                             p->constraints[i]);
        }
    }
    return set_number(args, "replicas-max-per-node", &p->max_replicas);
}

static int apply_log(struct ctl *ctl, const struct args *args,
                     Swkpb__TaskSpec *task)
{
    const char *const *texts;
    size_t count = args_list(args, "log-opt", &texts);

    if (count == 0 && !args_has(args, "log-driver")) {
        return EXIT_OK;
    }

    Swkpb__Driver *driver =
        ensure(ctl, &task->log_driver, &swkpb__driver__descriptor);
    set_text(ctl, args, "log-driver", &driver->name);
    if (count == 0) {
        return EXIT_OK;
    }
    driver->options = pool_alloc(&ctl->pool, count * sizeof(*driver->options));
    driver->n_options = 0;
    for (size_t i = 0; i < count; i++) {
        Swkpb__Driver__OptionsEntry *entry = pool_message(
            &ctl->pool, &swkpb__driver__options_entry__descriptor);
        const char *value;
        size_t key_len;

        if (!parse_pair(texts[i], &key_len, &value)) {
            return ctl_usage("--log-opt takes KEY=VALUE");
        }
        entry->key = pool_strndup(&ctl->pool, texts[i], key_len);
        entry->value = pool_strdup(&ctl->pool, value);
        driver->options[driver->n_options++] = entry;
    }
    return EXIT_OK;
}

static int apply_counts(const struct args *args, Swkpb__ServiceSpec *spec)
{
    uint64_t number = 0;
    bool given = args_has(args, "replicas");
    int rc = set_number(args, "replicas", &number);

    if (rc != EXIT_OK) {
        return rc;
    }
    switch (spec->mode_case) {
    case SWKPB__SERVICE_SPEC__MODE_REPLICATED:
        spec->replicated->replicas = given ? number
                                           : spec->replicated->replicas;
        break;
    case SWKPB__SERVICE_SPEC__MODE_REPLICATED_JOB:
        if (given) {
            spec->replicated_job->total_completions = number;
            spec->replicated_job->max_concurrent = number;
        }
        return set_number(args, "max-concurrent",
                          &spec->replicated_job->max_concurrent);
    default:
        if (given) {
            return ctl_usage("--replicas is for replicated services and jobs");
        }
        break;
    }
    return args_has(args, "max-concurrent")
               ? ctl_usage("--max-concurrent is for replicated jobs")
               : EXIT_OK;
}

int service_apply_flags(struct ctl *ctl, const struct args *args,
                        Swkpb__ServiceSpec *spec)
{
    Swkpb__TaskSpec *task = spec->task;
    Swkpb__ContainerSpec *c = task->container;
    bool changed = false;
    int rc = change_labels(ctl, args, &spec->annotations, &changed);

    rc = rc == EXIT_OK ? apply_counts(args, spec) : rc;
    rc = rc == EXIT_OK ? apply_process(ctl, args, c) : rc;
    rc = rc == EXIT_OK ? apply_ulimits(ctl, args, c) : rc;
    rc = rc == EXIT_OK ? apply_mounts(ctl, args, c) : rc;
    rc = rc == EXIT_OK ? apply_health(ctl, args, c) : rc;
    rc = rc == EXIT_OK ? apply_resources(ctl, args, task) : rc;
    rc = rc == EXIT_OK ? apply_restart(ctl, args, task) : rc;
    rc = rc == EXIT_OK ? apply_placement(ctl, args, task) : rc;
    rc = rc == EXIT_OK ? apply_log(ctl, args, task) : rc;
    rc = rc == EXIT_OK ? apply_ports(ctl, args, spec) : rc;
    rc = rc == EXIT_OK ? apply_update(ctl, args, "update", &spec->update) : rc;
    return rc == EXIT_OK ? apply_update(ctl, args, "rollback", &spec->rollback)
                         : rc;
}

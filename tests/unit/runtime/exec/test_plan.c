/* SPDX-License-Identifier: Apache-2.0 */

/* From specs to instructions: what is refused, by name, and what is planned.
 * The machine is made up, so every branch can be taken anywhere. */

#include "lib/cmocka_all.h"

#include <signal.h>
#include <stdio.h>

#include "runtime/exec/plan.h"

struct f {
    struct swki_machine machine;
    Swkpb__Task task;
    Swkpb__TaskSpec spec;
    Swkpb__ContainerSpec c;
    Swkpb__ResourceRequirements requirements;
    Swkpb__Resources limits;
    Swkpb__Endpoint endpoint;
    Swkpb__PortConfig port;
    Swkpb__PortConfig *ports[1];
    Swkpb__Privileges privileges;
    Swkpb__Mount mount;
    Swkpb__Mount *mounts[1];
    char *command[2];
    char *text[1];
};

static void init(struct f *f)
{
    memset(f, 0, sizeof(*f));
    f->machine.root = true;
    f->machine.capabilities = ~UINT64_C(0);
    for (int i = 0; i < SWKI_RLIMITS_COUNT; i++) {
        f->machine.rlimits_hard[i] = UINT64_MAX;
    }
    strcpy(f->machine.cgroups.unified, "/cg/swarm");
    f->machine.cgroups.in_unified[SWKI_CGROUP_MEMORY] = true;
    f->machine.cgroups.in_unified[SWKI_CGROUP_CPU] = true;
    strcpy(f->machine.cgroups.v1[SWKI_CGROUP_PIDS], "/v1/pids/swarm");
    swkpb__task__init(&f->task);
    swkpb__task_spec__init(&f->spec);
    swkpb__container_spec__init(&f->c);
    swkpb__resource_requirements__init(&f->requirements);
    swkpb__resources__init(&f->limits);
    swkpb__endpoint__init(&f->endpoint);
    swkpb__port_config__init(&f->port);
    swkpb__privileges__init(&f->privileges);
    swkpb__mount__init(&f->mount);
    f->task.id = (char *)"t1";
    f->task.spec = &f->spec;
    f->spec.runtime_case = SWKPB__TASK_SPEC__RUNTIME_CONTAINER;
    f->spec.container = &f->c;
    f->spec.resources = &f->requirements;
    f->requirements.limits = &f->limits;
    f->task.endpoint = &f->endpoint;
    f->ports[0] = &f->port;
    f->mounts[0] = &f->mount;
    f->c.privileges = &f->privileges;
    f->c.image = (char *)"host";
    f->command[0] = (char *)"prog";
    f->command[1] = (char *)"-x";
    f->c.command = f->command;
    f->c.n_command = 2;
}

static int make(struct f *f, struct swki_plan *plan, struct swk_error *err)
{
    static const struct swki_plan_options options = {1000, 3};

    return swki_plan_make(plan, &f->task, &f->machine, &options, err);
}

/* Whether the instructions hold these words, one after the other. */
static bool has(const struct swki_plan *plan, const char *key, const char *a,
                const char *b)
{
    const char *words[] = {key, a, b};
    const char *text = (const char *)plan->instructions.data;
    size_t len = plan->instructions.len;
    char wanted[1024];
    size_t wanted_len = 0;

    for (int i = 0; i < 3 && words[i] != NULL; i++) {
        memcpy(wanted + wanted_len, words[i], strlen(words[i]) + 1);
        wanted_len += strlen(words[i]) + 1;
    }
    return memmem(text, len, wanted, wanted_len) != NULL;
}

static void assert_fails(struct f *f, int code, const char *part)
{
    struct swk_error err = {0};
    struct swki_plan plan;

    if (make(f, &plan, &err) != code || strstr(err.text, part) == NULL) {
        fail_msg("wanted %d, %s; got %d, %s", code, part, err.code, err.text);
    }
}

static void a_small_task_is_planned(void **state)
{
    struct swki_plan plan;
    struct f f;

    (void)state;
    init(&f);
    assert_int_equal(make(&f, &plan, NULL), SWK_OK);
    assert_string_equal(plan.task_id, "t1");
    assert_null(plan.image);
    assert_int_equal(plan.stop_signal, SIGTERM);
    assert_int_equal(plan.grace_ms, 10000);
    assert_true(has(&plan, "swarm-shim 1", "arg", "prog"));
    assert_true(has(&plan, "arg", "-x", NULL));
    assert_true(has(&plan, "cgroup", "/cg/swarm/t1", NULL));
    assert_true(has(&plan, "stop", "15", "10000"));
    assert_true(has(&plan, "log_size", "1000", NULL));
    assert_true(has(&plan, "log_files", "3", "end"));
    assert_false(has(&plan, "limit", NULL, NULL));
    swki_plan_fini(&plan);
}

static void limits_go_to_the_hierarchy_that_has_the_controller(void **state)
{
    struct swki_plan plan;
    struct f f;

    (void)state;
    init(&f);
    f.limits.memory_bytes = 123456;
    f.limits.nano_cpus = 1500000000;
    f.c.pidslimit = 9;
    assert_int_equal(make(&f, &plan, NULL), SWK_OK);
    assert_true(has(&plan, "limit", "/cg/swarm/t1/memory.max", "123456"));
    assert_true(has(&plan, "oom", "/cg/swarm/t1/memory.events", NULL));
    assert_true(has(&plan, "limit", "/cg/swarm/t1/cpu.max", "150000 100000"));
    assert_true(has(&plan, "cgroup", "/v1/pids/swarm/t1", NULL));
    assert_true(has(&plan, "limit", "/v1/pids/swarm/t1/pids.max", "9"));
    swki_plan_fini(&plan);

    f.machine.cgroups.in_unified[SWKI_CGROUP_MEMORY] = false;
    f.machine.cgroups.in_unified[SWKI_CGROUP_CPU] = false;
    strcpy(f.machine.cgroups.v1[SWKI_CGROUP_MEMORY], "/v1/m");
    strcpy(f.machine.cgroups.v1[SWKI_CGROUP_CPU], "/v1/c");
    assert_int_equal(make(&f, &plan, NULL), SWK_OK);
    assert_true(has(&plan, "limit", "/v1/m/t1/memory.limit_in_bytes", NULL));
    assert_true(has(&plan, "oom", "/v1/m/t1/memory.oom_control", NULL));
    assert_true(has(&plan, "limit", "/v1/c/t1/cpu.cfs_quota_us", "150000"));
    swki_plan_fini(&plan);
}

static void limits_without_a_controller_are_refused(void **state)
{
    struct f f;

    (void)state;
    init(&f);
    memset(&f.machine.cgroups, 0, sizeof(f.machine.cgroups));
    f.limits.memory_bytes = 1;
    assert_fails(&f, SWK_ENOTSUP,
                 "this node has no cgroup controller for memory: cannot "
                 "enforce resources.limits.memory_bytes");
    f.limits.memory_bytes = 0;
    f.limits.nano_cpus = 1000000000;
    assert_fails(&f, SWK_ENOTSUP, "resources.limits.nano_cpus");
    f.limits.nano_cpus = 0;
    f.c.pidslimit = 1;
    assert_fails(&f, SWK_ENOTSUP, "container.pids_limit");
}

/* Each sets one field that no process can have. */
static void set_swap(struct f *f)
{
    static Swkpb__Int64Value value = SWKPB__INT64_VALUE__INIT;

    f->requirements.swap_bytes = &value;
}

static void set_swappiness(struct f *f)
{
    static Swkpb__Int64Value value = SWKPB__INT64_VALUE__INIT;

    f->requirements.memory_swappiness = &value;
}

static void set_generic_limit(struct f *f)
{
    static Swkpb__GenericResource resource = SWKPB__GENERIC_RESOURCE__INIT;
    static Swkpb__GenericResource *list[1] = {&resource};

    f->limits.generic = list;
    f->limits.n_generic = 1;
}

static void set_log_driver(struct f *f)
{
    static Swkpb__Driver driver = SWKPB__DRIVER__INIT;

    driver.name = (char *)"syslog";
    f->task.log_driver = &driver;
}

static void set_network(struct f *f)
{
    static Swkpb__NetworkAttachment attachment =
        SWKPB__NETWORK_ATTACHMENT__INIT;
    static Swkpb__NetworkAttachment *list[1] = {&attachment};

    f->task.networks = list;
    f->task.n_networks = 1;
}

static void set_port(struct f *f)
{
    f->port.publish_mode = SWKPB__PORT_CONFIG__PUBLISH_MODE__HOST;
    f->port.target_port = 80;
    f->port.published_port = 8080;
    f->endpoint.ports = f->ports;
    f->endpoint.n_ports = 1;
}

static void set_volume(struct f *f)
{
    static Swkpb__VolumeAttachment attachment = SWKPB__VOLUME_ATTACHMENT__INIT;
    static Swkpb__VolumeAttachment *list[1] = {&attachment};

    f->task.volumes = list;
    f->task.n_volumes = 1;
}

static void set_tty(struct f *f)
{
    f->c.tty = 1;
}

static void set_stdin(struct f *f)
{
    f->c.open_stdin = 1;
}

static void set_read_only(struct f *f)
{
    f->c.read_only = 1;
}

static void set_secret(struct f *f)
{
    static Swkpb__SecretReference reference = SWKPB__SECRET_REFERENCE__INIT;
    static Swkpb__SecretReference *list[1] = {&reference};

    reference.secret_name = (char *)"db";
    f->c.secrets = list;
    f->c.n_secrets = 1;
}

static void set_config(struct f *f)
{
    static Swkpb__ConfigReference reference = SWKPB__CONFIG_REFERENCE__INIT;
    static Swkpb__ConfigReference *list[1] = {&reference};

    f->c.configs = list;
    f->c.n_configs = 1;
}

static void set_hosts(struct f *f)
{
    f->text[0] = (char *)"10.0.0.1 db";
    f->c.hosts = f->text;
    f->c.n_hosts = 1;
}

static void set_dns(struct f *f)
{
    static Swkpb__ContainerSpec__DNSConfig dns =
        SWKPB__CONTAINER_SPEC__DNSCONFIG__INIT;

    f->text[0] = (char *)"10.0.0.1";
    dns.nameservers = f->text;
    dns.n_nameservers = 1;
    f->c.dns_config = &dns;
}

static void set_health(struct f *f)
{
    static Swkpb__HealthConfig health = SWKPB__HEALTH_CONFIG__INIT;

    f->text[0] = (char *)"CMD";
    health.test = f->text;
    health.n_test = 1;
    f->c.healthcheck = &health;
}

static void set_isolation(struct f *f)
{
    f->c.isolation = SWKPB__CONTAINER_SPEC__ISOLATION__ISOLATION_HYPERV;
}

static void set_sysctls(struct f *f)
{
    static Swkpb__ContainerSpec__SysctlsEntry entry =
        SWKPB__CONTAINER_SPEC__SYSCTLS_ENTRY__INIT;
    static Swkpb__ContainerSpec__SysctlsEntry *list[1] = {&entry};

    f->c.sysctls = list;
    f->c.n_sysctls = 1;
}

static void set_credential_spec(struct f *f)
{
    static Swkpb__Privileges__CredentialSpec spec =
        SWKPB__PRIVILEGES__CREDENTIAL_SPEC__INIT;

    f->privileges.credential_spec = &spec;
}

static void set_selinux(struct f *f)
{
    static Swkpb__Privileges__SELinuxContext context =
        SWKPB__PRIVILEGES__SELINUX_CONTEXT__INIT;

    context.type = (char *)"svirt_t";
    f->privileges.selinux_context = &context;
}

static void set_seccomp(struct f *f)
{
    static Swkpb__Privileges__SeccompOpts seccomp =
        SWKPB__PRIVILEGES__SECCOMP_OPTS__INIT;

    seccomp.mode = SWKPB__PRIVILEGES__SECCOMP_OPTS__SECCOMP_MODE__CUSTOM;
    f->privileges.seccomp = &seccomp;
}

static void set_env_template(struct f *f)
{
    f->text[0] = (char *)"WHO={{.Node.Hostname}}";
    f->c.env = f->text;
    f->c.n_env = 1;
}

static void set_hostname_template(struct f *f)
{
    f->c.hostname = (char *)"{{.Task.ID}}";
}

static void set_mount_on_host(struct f *f)
{
    f->c.mounts = f->mounts;
    f->c.n_mounts = 1;
}

static void set_volume_mount(struct f *f)
{
    f->c.image = (char *)"/img";
    f->mount.type = SWKPB__MOUNT__TYPE__VOLUME;
    f->mount.target = (char *)"/data";
    f->c.mounts = f->mounts;
    f->c.n_mounts = 1;
}

static void set_generic_runtime(struct f *f)
{
    f->spec.runtime_case = SWKPB__TASK_SPEC__RUNTIME_GENERIC;
}

static void unsupported_fields_are_refused_by_name(void **state)
{
    static const struct {
        void (*set)(struct f *f);
        const char *named;
    } cases[] = {
        {set_swap, "resources.swap_bytes"},
        {set_swappiness, "resources.memory_swappiness"},
        {set_generic_limit, "resources.limits.generic"},
        {set_log_driver, "log_driver"},
        {set_network, "networks"},
        {set_port, "endpoint.ports"},
        {set_volume, "volumes"},
        {set_tty, "container.tty"},
        {set_stdin, "container.open_stdin"},
        {set_read_only, "container.read_only"},
        {set_secret, "container.secrets"},
        {set_config, "container.configs"},
        {set_hosts, "container.hosts"},
        {set_dns, "container.dns_config"},
        {set_health, "container.healthcheck"},
        {set_isolation, "container.isolation"},
        {set_sysctls, "container.sysctls"},
        {set_credential_spec, "container.privileges.credential_spec"},
        {set_selinux, "container.privileges.selinux_context"},
        {set_seccomp, "container.privileges.seccomp"},
        {set_env_template, "container.env: WHO"},
        {set_hostname_template, "container.hostname"},
        {set_mount_on_host, "container.mounts"},
        {set_volume_mount, "container.mounts"},
        {set_generic_runtime, "unsupported runtime"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct f f;

        init(&f);
        cases[i].set(&f);
        assert_fails(&f, SWK_ENOTSUP, cases[i].named);
    }
}

static void what_needs_no_action_is_accepted(void **state)
{
    Swkpb__HealthConfig health = SWKPB__HEALTH_CONFIG__INIT;
    Swkpb__Privileges__SELinuxContext selinux =
        SWKPB__PRIVILEGES__SELINUX_CONTEXT__INIT;
    Swkpb__ContainerSpec__PullOptions pull =
        SWKPB__CONTAINER_SPEC__PULL_OPTIONS__INIT;
    struct swki_plan plan;
    struct f f;

    (void)state;
    init(&f);
    set_port(&f);
    f.port.published_port = 80;
    f.text[0] = (char *)"NONE";
    health.test = f.text;
    health.n_test = 1;
    f.c.healthcheck = &health;
    selinux.disable = 1;
    f.privileges.selinux_context = &selinux;
    f.c.pull_options = &pull;
    assert_int_equal(make(&f, &plan, NULL), SWK_OK);
    swki_plan_fini(&plan);
}

static void wrong_values_are_refused_by_name(void **state)
{
    struct f f;

    (void)state;
    init(&f);
    f.c.image = (char *)"";
    assert_fails(&f, SWK_EINVAL, "image required");
    f.c.image = (char *)"nginx:latest";
    assert_fails(&f, SWK_EINVAL,
                 "image nginx:latest: the process executor runs 'host' or an "
                 "absolute directory");
    init(&f);
    f.c.n_command = 0;
    assert_fails(&f, SWK_EINVAL, "container.command");
    init(&f);
    f.c.stop_signal = (char *)"SIGNOPE";
    assert_fails(&f, SWK_EINVAL, "container.stop_signal");
    init(&f);
    f.c.dir = (char *)"relative";
    assert_fails(&f, SWK_EINVAL, "container.dir");
    init(&f);
    f.limits.nano_cpus = 100;
    assert_fails(&f, SWK_EINVAL, "resources.limits.nano_cpus");
    init(&f);
    f.c.oom_score_adj = 2000;
    assert_fails(&f, SWK_EINVAL, "container.oom_score_adj");
    init(&f);
    f.text[0] = (char *)"NO_SUCH";
    f.c.capability_add = f.text;
    f.c.n_capability_add = 1;
    assert_fails(&f, SWK_EINVAL, "container.capability_add");
    init(&f);
    f.text[0] = (char *)"=x";
    f.c.env = f.text;
    f.c.n_env = 1;
    assert_fails(&f, SWK_EINVAL, "container.env");
}

static void ids_that_are_no_file_names_are_refused(void **state)
{
    static const char *const ids[] = {
        "",
        ".",
        "..",
        ".hidden",
        "a/b",
        "a b",
        "\xc3\xa4",
        "0123456789012345678901234567890123456789012345678901234567890123x",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        struct f f;

        init(&f);
        f.task.id = (char *)ids[i];
        assert_fails(&f, SWK_EINVAL, "no valid ID");
    }
}

static void without_privileges_what_needs_them_is_refused(void **state)
{
    Swkpb__ContainerSpec__Ulimit ulimit = SWKPB__CONTAINER_SPEC__ULIMIT__INIT;
    Swkpb__ContainerSpec__Ulimit *ulimits[1] = {&ulimit};
    struct swki_plan plan;
    struct f f;

    (void)state;
    init(&f);
    f.machine.root = false;
    f.machine.capabilities = 0;
    assert_int_equal(make(&f, &plan, NULL), SWK_OK);
    assert_false(has(&plan, "caps", NULL, NULL));
    swki_plan_fini(&plan);
    f.c.user = (char *)"web";
    assert_fails(&f, SWK_ENOTSUP, "container.user");
    f.c.user = (char *)"";
    f.c.hostname = (char *)"web";
    assert_fails(&f, SWK_ENOTSUP, "container.hostname");
    f.c.hostname = (char *)"";
    f.c.image = (char *)"/img";
    assert_fails(&f, SWK_ENOTSUP, "container.image");
    f.c.image = (char *)"host";
    f.c.oom_score_adj = -5;
    assert_fails(&f, SWK_ENOTSUP, "container.oom_score_adj");
    f.c.oom_score_adj = 0;
    f.text[0] = (char *)"ALL";
    f.c.capability_drop = f.text;
    f.c.n_capability_drop = 1;
    assert_fails(&f, SWK_ENOTSUP, "container.capability_drop");
    f.c.n_capability_drop = 0;
    ulimit.name = (char *)"nofile";
    ulimit.soft = 10;
    ulimit.hard = -1;
    f.c.ulimits = ulimits;
    f.c.n_ulimits = 1;
    f.machine.rlimits_hard[7] = 1000;
    assert_fails(&f, SWK_ENOTSUP, "container.ulimits: nofile");
}

static void capability_lists_are_combined(void **state)
{
    static const struct {
        const char *add;
        const char *drop;
        const char *caps;
    } cases[] = {
        {NULL, NULL, "a80425fb"},
        {"SYS_ADMIN", NULL, "a82425fb"},
        {NULL, "CHOWN", "a80425fa"},
        {"CHOWN", "ALL", "1"},
        {NULL, "ALL", "0"},
        {"ALL", NULL, "1ffffffffff"},
        {"ALL", "CHOWN", "1fffffffffe"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *add[] = {(char *)cases[i].add};
        char *drop[] = {(char *)cases[i].drop};
        struct swki_plan plan;
        struct f f;

        init(&f);
        f.c.capability_add = add;
        f.c.n_capability_add = add[0] != NULL ? 1 : 0;
        f.c.capability_drop = drop;
        f.c.n_capability_drop = drop[0] != NULL ? 1 : 0;
        assert_int_equal(make(&f, &plan, NULL), SWK_OK);
        if (!has(&plan, "caps", cases[i].caps, NULL)) {
            fail_msg("case %zu", i);
        }
        swki_plan_fini(&plan);
    }
}

static void mounts_are_checked_and_planned(void **state)
{
    Swkpb__Mount__BindOptions bind = SWKPB__MOUNT__BIND_OPTIONS__INIT;
    Swkpb__Mount__TmpfsOptions tmpfs = SWKPB__MOUNT__TMPFS_OPTIONS__INIT;
    struct swki_plan plan;
    struct f f;

    (void)state;
    init(&f);
    f.c.image = (char *)"/img";
    f.c.mounts = f.mounts;
    f.c.n_mounts = 1;
    f.mount.source = (char *)"/src";
    f.mount.target = (char *)"dst";
    assert_fails(&f, SWK_EINVAL,
                 "invalid mount target, must be an absolute "
                 "path: dst");
    f.mount.target = (char *)"/dst";
    f.mount.source = (char *)"src";
    assert_fails(&f, SWK_EINVAL, "invalid bind mount source");
    f.mount.source = (char *)"/src";
    f.mount.readonly = 1;
    f.mount.bind_options = &bind;
    assert_int_equal(make(&f, &plan, NULL), SWK_OK);
    assert_string_equal(plan.image, "/img");
    assert_true(has(&plan, "/src", "/dst", "r"));
    swki_plan_fini(&plan);
    bind.propagation = SWKPB__MOUNT__BIND_OPTIONS__PROPAGATION__RSHARED;
    assert_fails(&f, SWK_ENOTSUP, "propagation");

    f.mount.bind_options = NULL;
    f.mount.type = SWKPB__MOUNT__TYPE__TMPFS;
    assert_fails(&f, SWK_EINVAL, "source must be empty");
    f.mount.source = (char *)"";
    f.mount.tmpfs_options = &tmpfs;
    tmpfs.size_bytes = 4096;
    tmpfs.mode = 0750;
    tmpfs.options = (char *)"exec";
    assert_int_equal(make(&f, &plan, NULL), SWK_OK);
    assert_true(has(&plan, "/dst", "mode=750,size=4096", "rx"));
    swki_plan_fini(&plan);
    tmpfs.options = (char *)"uid=0";
    assert_fails(&f, SWK_ENOTSUP, "tmpfs options");
}

static void secrets_are_files_without_their_values(void **state)
{
    Swkpb__SecretReference a = SWKPB__SECRET_REFERENCE__INIT;
    Swkpb__SecretReference b = SWKPB__SECRET_REFERENCE__INIT;
    Swkpb__FileTarget file_a = SWKPB__FILE_TARGET__INIT;
    Swkpb__FileTarget file_b = SWKPB__FILE_TARGET__INIT;
    Swkpb__SecretReference *list[] = {&a, &b};
    struct swki_plan plan;
    struct f f;

    (void)state;
    init(&f);
    f.c.image = (char *)"/img";
    f.c.secrets = list;
    f.c.n_secrets = 2;
    a.secret_id = (char *)"s1";
    b.secret_id = (char *)"s2";
    a.secret_name = b.secret_name = (char *)"db";
    a.target_case = b.target_case = SWKPB__SECRET_REFERENCE__TARGET_FILE;
    a.file = &file_a;
    b.file = &file_b;
    file_a.name = (char *)"one";
    file_a.uid = file_a.gid = file_b.uid = file_b.gid = (char *)"0";
    file_a.mode = 0444;
    file_b = file_a;
    assert_fails(&f, SWK_EINVAL, "two files are called one");
    file_b.name = (char *)"two";
    file_b.uid = (char *)"7";
    assert_int_equal(make(&f, &plan, NULL), SWK_OK);
    assert_true(has(&plan, "one", "0", "0"));
    assert_true(has(&plan, "7", "0", "444"));
    assert_int_equal(plan.secrets_count, 2);
    assert_memory_equal(plan.secret_ids.data, "s1\0s2", 6);
    swki_plan_fini(&plan);

    file_b.name = (char *)"/etc/two";
    assert_fails(&f, SWK_ENOTSUP, "files in /run/secrets only");
    file_b.name = (char *)"..";
    assert_fails(&f, SWK_ENOTSUP, "files in /run/secrets only");
    file_b.name = (char *)"two";
    file_b.uid = (char *)"root";
    assert_fails(&f, SWK_EINVAL, "owners are numbers");
    file_b.uid = (char *)"0";
    file_b.mode = 010000;
    assert_fails(&f, SWK_EINVAL, "mode");
    file_b.mode = 0;
    f.c.image = (char *)"host";
    assert_fails(&f, SWK_ENOTSUP, "not into 'host'");
}

static void instructions_are_bounded(void **state)
{
    static char large[600000];
    struct f f;

    (void)state;
    memset(large, 'x', sizeof(large) - 1);
    init(&f);
    f.command[0] = large;
    f.command[1] = large;
    assert_fails(&f, SWK_ELIMIT, "more than 1048576 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_task_is_planned),
        cmocka_unit_test(limits_go_to_the_hierarchy_that_has_the_controller),
        cmocka_unit_test(limits_without_a_controller_are_refused),
        cmocka_unit_test(unsupported_fields_are_refused_by_name),
        cmocka_unit_test(what_needs_no_action_is_accepted),
        cmocka_unit_test(wrong_values_are_refused_by_name),
        cmocka_unit_test(ids_that_are_no_file_names_are_refused),
        cmocka_unit_test(without_privileges_what_needs_them_is_refused),
        cmocka_unit_test(capability_lists_are_combined),
        cmocka_unit_test(mounts_are_checked_and_planned),
        cmocka_unit_test(secrets_are_files_without_their_values),
        cmocka_unit_test(instructions_are_bounded),
    };

    return cmocka_run_group_tests_name("exec plan", tests, NULL, NULL);
}

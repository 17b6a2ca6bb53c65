/* SPDX-License-Identifier: Apache-2.0 */

/* What a specification may say, table by table. */

#include "fixture.h"

#include "core/control/validate.h"

#define TCP SWKPB__PORT_CONFIG__PROTOCOL__TCP
#define UDP SWKPB__PORT_CONFIG__PROTOCOL__UDP
#define INGRESS SWKPB__PORT_CONFIG__PUBLISH_MODE__INGRESS
#define HOST SWKPB__PORT_CONFIG__PUBLISH_MODE__HOST

static void names_of_services_are_checked(void **state)
{
    static const struct {
        const char *name;
        int rc;
    } cases[] = {
        {"name", SWK_OK},       {"n-me", SWK_OK},       {"n_me", SWK_OK},
        {"n--d", SWK_OK},       {"1", SWK_OK},          {"", SWK_EINVAL},
        {"_nam", SWK_EINVAL},   {".nam", SWK_EINVAL},   {"-nam", SWK_EINVAL},
        {"nam-", SWK_EINVAL},   {"n/me", SWK_EINVAL},   {"n&me", SWK_EINVAL},
        {"n.me", SWK_EINVAL},   {"n\xc3\xa4me", SWK_EINVAL},
    };
    char longest[SWKI_SERVICE_NAME_LEN_MAX + 2];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (swki_validate_name(cases[i].name, NULL) != cases[i].rc) {
            fail_msg("\"%s\"", cases[i].name);
        }
    }
    memset(longest, 'a', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(swki_validate_name(longest, NULL), SWK_EINVAL);
    longest[sizeof(longest) - 2] = '\0';
    assert_int_equal(swki_validate_name(longest, NULL), SWK_OK);
}

static void names_of_secrets_may_have_dots(void **state)
{
    (void)state;
    assert_int_equal(swki_validate_payload_name("secret", "a.b", NULL), SWK_OK);
    assert_int_equal(swki_validate_payload_name("secret", ".b", NULL),
                     SWK_EINVAL);
    assert_int_equal(swki_validate_payload_name("secret", "", NULL),
                     SWK_EINVAL);
}

static void image_references_follow_the_grammar(void **state)
{
    static const struct {
        const char *image;
        bool valid;
    } cases[] = {
        {"host", true},
        {"/srv/root", true},
        {"/", true},
        {"busybox", true},
        {"busybox:1.36", true},
        {"library/busybox", true},
        {"localhost/a", true},
        {"localhost:5000/a/b:tag", true},
        {"registry.example.com:5000/team/app@sha256:"
         "0123456789abcdef0123456789abcdef",
         true},
        {"[2001:db8::1]:5000/app", true},
        {"a__b/c--d.e", true},
        {"UPPER/app", true}, /* a domain */
        {"", false},
        {"busybox###", false},
        {"Busybox", false},
        {"a/Busybox", false},
        {"a//b", false},
        {"a:", false},
        {"a:.tag", false},
        {"a@sha256:short", false},
        {"a@:0123456789abcdef0123456789abcdef", false},
        {"a___b", false},
        {"-a", false},
        {"a-", false},
        {"../a", false},
        {"/srv/../etc", false},
        {"/srv/.", false},
        {"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
         false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (swki_image_valid(cases[i].image) != cases[i].valid) {
            fail_msg("\"%s\"", cases[i].image);
        }
    }
}

static int check(const Swkpb__ServiceSpec *spec)
{
    return swki_validate_service(spec, NULL, NULL);
}

static void resources_have_minimums(void **state)
{
    static const struct {
        int64_t cpus;
        int64_t memory;
        int rc;
    } cases[] = {
        {0, 0, SWK_OK},           {1, 0, SWK_EINVAL},
        {999999, 0, SWK_EINVAL},  {1000000, 0, SWK_OK},
        {-1, 0, SWK_EINVAL},      {0, 4194303, SWK_EINVAL},
        {0, 4194304, SWK_OK},     {0, -1, SWK_EINVAL},
    };
    struct f *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        Swkpb__ServiceSpec *spec = service_spec(f, "web");
        Swkpb__Resources *r = make(f, &swkpb__resources__descriptor);
        Swkpb__ResourceRequirements *both =
            make(f, &swkpb__resource_requirements__descriptor);

        r->nano_cpus = cases[i].cpus;
        r->memory_bytes = cases[i].memory;
        spec->task->resources = both;
        both->limits = r;
        assert_int_equal(check(spec), cases[i].rc);
        both->limits = NULL;
        both->reservations = r;
        assert_int_equal(check(spec), cases[i].rc);
    }
}

static Swkpb__GenericResource *discrete(struct f *f, const char *kind,
                                        int64_t value)
{
    Swkpb__GenericResource *g = make(f, &swkpb__generic_resource__descriptor);

    g->resource_case = SWKPB__GENERIC_RESOURCE__RESOURCE_DISCRETE_RESOURCE_SPEC;
    g->discrete_resource_spec =
        make(f, &swkpb__discrete_generic_resource__descriptor);
    g->discrete_resource_spec->kind = copy(f, kind);
    g->discrete_resource_spec->value = value;
    return g;
}

static void generic_resources_are_requested_by_number(void **state)
{
    struct f *f = *state;
    Swkpb__ServiceSpec *spec = service_spec(f, "web");
    Swkpb__Resources *r = make(f, &swkpb__resources__descriptor);
    Swkpb__GenericResource *list[] = {discrete(f, "gpu", 1),
                                      discrete(f, "gpu", 1)};
    Swkpb__GenericResource *named =
        make(f, &swkpb__generic_resource__descriptor);

    spec->task->resources = make(f, &swkpb__resource_requirements__descriptor);
    spec->task->resources->reservations = r;
    r->generic = list;
    r->n_generic = 1;
    assert_int_equal(check(spec), SWK_OK);
    r->n_generic = 2; /* the same kind twice */
    assert_int_equal(check(spec), SWK_EINVAL);
    list[1] = discrete(f, "fpga", -1);
    assert_int_equal(check(spec), SWK_EINVAL);
    list[1] = discrete(f, "", 1);
    assert_int_equal(check(spec), SWK_EINVAL);
    named->resource_case = SWKPB__GENERIC_RESOURCE__RESOURCE_NAMED_RESOURCE_SPEC;
    named->named_resource_spec =
        make(f, &swkpb__named_generic_resource__descriptor);
    list[1] = named;
    assert_int_equal(check(spec), SWK_EINVAL);
}

static void counts_are_not_negative(void **state)
{
    struct f *f = *state;
    Swkpb__ServiceSpec *spec = service_spec(f, "web");

    spec->replicated->replicas = (uint64_t)-4;
    assert_int_equal(check(spec), SWK_EINVAL);
    spec->mode_case = SWKPB__SERVICE_SPEC__MODE_REPLICATED_JOB;
    spec->replicated_job = make(f, &swkpb__replicated_job__descriptor);
    assert_int_equal(check(spec), SWK_OK);
    spec->replicated_job->max_concurrent = (uint64_t)-1;
    assert_int_equal(check(spec), SWK_EINVAL);
    spec->replicated_job->max_concurrent = 0;
    spec->replicated_job->total_completions = (uint64_t)-1;
    assert_int_equal(check(spec), SWK_EINVAL);
    spec->mode_case = SWKPB__SERVICE_SPEC__MODE__NOT_SET;
    assert_int_equal(check(spec), SWK_EINVAL);
}

static void update_settings_are_checked(void **state)
{
    struct f *f = *state;
    Swkpb__ServiceSpec *spec = service_spec(f, "web");
    Swkpb__UpdateConfig *update = make(f, &swkpb__update_config__descriptor);

    spec->update = update;
    assert_int_equal(check(spec), SWK_OK);
    update->delay = duration_ms(f, -1000);
    assert_int_equal(check(spec), SWK_EINVAL);
    update->delay = NULL;
    update->monitor = duration_ms(f, -1000);
    assert_int_equal(check(spec), SWK_EINVAL);
    update->monitor = NULL;
    update->max_failure_ratio = -0.1F;
    assert_int_equal(check(spec), SWK_EINVAL);
    update->max_failure_ratio = 1.1F;
    assert_int_equal(check(spec), SWK_EINVAL);
    update->max_failure_ratio = 0.5F;
    update->order = (Swkpb__UpdateConfig__UpdateOrder)9;
    assert_int_equal(check(spec), SWK_EINVAL);
    update->order = SWKPB__UPDATE_CONFIG__UPDATE_ORDER__STOP_FIRST;
    assert_int_equal(check(spec), SWK_OK);

    spec->mode_case = SWKPB__SERVICE_SPEC__MODE_GLOBAL_JOB;
    spec->global_job = make(f, &swkpb__global_job__descriptor);
    assert_int_equal(check(spec), SWK_EINVAL);
    spec->update = NULL;
    assert_int_equal(check(spec), SWK_OK);
}

static void runtimes_are_checked(void **state)
{
    static const struct {
        const char *kind;
        int rc;
    } kinds[] = {{"", SWK_EINVAL},
                 {"c", SWK_EINVAL},
                 {"Container", SWK_EINVAL},
                 {"custom", SWK_OK}};
    struct f *f = *state;
    Swkpb__ServiceSpec *spec = service_spec(f, "web");

    spec->task->runtime_case = SWKPB__TASK_SPEC__RUNTIME_ATTACHMENT;
    spec->task->attachment = make(f, &swkpb__network_attachment_spec__descriptor);
    assert_int_equal(check(spec), SWK_ENOTSUP);
    spec->task->runtime_case = SWKPB__TASK_SPEC__RUNTIME__NOT_SET;
    assert_int_equal(check(spec), SWK_EINVAL);
    spec->task->runtime_case = SWKPB__TASK_SPEC__RUNTIME_GENERIC;
    spec->task->generic = make(f, &swkpb__generic_runtime_spec__descriptor);
    spec->task->generic->payload = make(f, &swkpb__any__descriptor);
    spec->task->generic->payload->type_url = copy(f, "type");
    spec->task->generic->payload->value =
        (ProtobufCBinaryData){1, (uint8_t *)copy(f, "x")};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        spec->task->generic->kind = copy(f, kinds[i].kind);
        assert_int_equal(check(spec), kinds[i].rc);
    }
    spec->task->generic->payload = NULL;
    assert_int_equal(check(spec), SWK_EINVAL);
    spec->task = NULL;
    assert_int_equal(check(spec), SWK_EINVAL);
    assert_int_equal(check(NULL), SWK_EINVAL);
}

static void health_checks_are_not_too_fast(void **state)
{
    struct f *f = *state;
    Swkpb__ServiceSpec *spec = service_spec(f, "web");
    Swkpb__HealthConfig *health = make(f, &swkpb__health_config__descriptor);
    Swkpb__Duration **fields[] = {&health->interval, &health->timeout,
                                  &health->start_period,
                                  &health->start_interval};

    spec->task->container->healthcheck = health;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        *fields[i] = duration_ms(f, -1000);
        assert_int_equal(check(spec), SWK_EINVAL);
        *fields[i] = swki_duration_from_ns(500000, &f->arena);
        assert_int_equal(check(spec), SWK_EINVAL);
        *fields[i] = duration_ms(f, 0);
        assert_int_equal(check(spec), SWK_OK);
        *fields[i] = duration_ms(f, 1);
        assert_int_equal(check(spec), SWK_OK);
    }
    health->retries = -1;
    assert_int_equal(check(spec), SWK_EINVAL);
}

static Swkpb__Mount *mount(struct f *f, const char *target)
{
    Swkpb__Mount *m = make(f, &swkpb__mount__descriptor);

    m->source = copy(f, "/srv");
    m->target = copy(f, target);
    return m;
}

static void mounts_have_different_absolute_targets(void **state)
{
    struct f *f = *state;
    Swkpb__ServiceSpec *spec = service_spec(f, "web");
    Swkpb__Mount *mounts[] = {mount(f, "/a"), mount(f, "/b")};

    spec->task->container->n_mounts = 2;
    spec->task->container->mounts = mounts;
    assert_int_equal(check(spec), SWK_OK);
    mounts[1] = mount(f, "/a");
    assert_int_equal(check(spec), SWK_EINVAL);
    mounts[1] = mount(f, "relative");
    assert_int_equal(check(spec), SWK_EINVAL);
    mounts[1] = mount(f, "{{.Node.ID}}");
    assert_int_equal(check(spec), SWK_OK);
}

static void constraints_must_parse(void **state)
{
    struct f *f = *state;
    Swkpb__ServiceSpec *spec = service_spec(f, "web");
    char *good[] = {copy(f, "node.role == manager")};
    char *bad[] = {copy(f, "node.role ~ manager")};

    spec->task->placement = make(f, &swkpb__placement__descriptor);
    spec->task->placement->n_constraints = 1;
    spec->task->placement->constraints = good;
    assert_int_equal(check(spec), SWK_OK);
    spec->task->placement->constraints = bad;
    assert_int_equal(check(spec), SWK_EINVAL);
}

static Swkpb__PortConfig *port(struct f *f, uint32_t published,
                               Swkpb__PortConfig__Protocol protocol,
                               Swkpb__PortConfig__PublishMode mode)
{
    Swkpb__PortConfig *p = make(f, &swkpb__port_config__descriptor);

    p->target_port = 80;
    p->published_port = published;
    p->protocol = protocol;
    p->publish_mode = mode;
    return p;
}

static void endpoints_are_consistent(void **state)
{
    struct f *f = *state;
    Swkpb__ServiceSpec *spec = service_spec(f, "web");
    Swkpb__PortConfig *ports[] = {port(f, 0, TCP, INGRESS),
                                  port(f, 0, TCP, INGRESS)};

    spec->endpoint = make(f, &swkpb__endpoint_spec__descriptor);
    spec->endpoint->ports = ports;
    spec->endpoint->n_ports = 2;
    assert_int_equal(check(spec), SWK_OK); /* two to be chosen */
    spec->endpoint->mode = SWKPB__ENDPOINT_SPEC__RESOLUTION_MODE__DNSRR;
    assert_int_equal(check(spec), SWK_EINVAL);
    ports[0] = port(f, 80, TCP, HOST);
    ports[1] = port(f, 81, TCP, HOST);
    assert_int_equal(check(spec), SWK_OK);
    ports[1] = port(f, 80, TCP, HOST);
    assert_int_equal(check(spec), SWK_EINVAL);
    ports[1] = port(f, 80, UDP, HOST);
    assert_int_equal(check(spec), SWK_OK);
    ports[1] = port(f, 65536, UDP, HOST);
    assert_int_equal(check(spec), SWK_EINVAL);
    ports[1] = port(f, 81, UDP, HOST);
    ports[1]->target_port = 0;
    assert_int_equal(check(spec), SWK_EINVAL);
}

static Swkpb__SecretReference *secret_ref(struct f *f, const char *file)
{
    Swkpb__SecretReference *ref = make(f, &swkpb__secret_reference__descriptor);

    ref->secret_id = copy(f, "id");
    ref->secret_name = copy(f, "name");
    ref->target_case = SWKPB__SECRET_REFERENCE__TARGET_FILE;
    ref->file = make(f, &swkpb__file_target__descriptor);
    ref->file->name = copy(f, file);
    return ref;
}

static void secret_references_are_complete(void **state)
{
    struct f *f = *state;
    Swkpb__ServiceSpec *spec = service_spec(f, "web");
    Swkpb__SecretReference *refs[] = {secret_ref(f, "a"), secret_ref(f, "b")};

    spec->task->container->n_secrets = 2;
    spec->task->container->secrets = refs;
    assert_int_equal(check(spec), SWK_OK); /* one secret, two files */
    refs[1] = secret_ref(f, "a");
    assert_int_equal(check(spec), SWK_EINVAL);
    refs[1] = secret_ref(f, "");
    assert_int_equal(check(spec), SWK_EINVAL);
    refs[1] = secret_ref(f, "x/../../etc");
    assert_int_equal(check(spec), SWK_EINVAL);
    refs[1] = secret_ref(f, "b");
    refs[1]->secret_id = copy(f, "");
    assert_int_equal(check(spec), SWK_EINVAL);
    refs[1] = secret_ref(f, "b");
    refs[1]->secret_name = copy(f, "");
    assert_int_equal(check(spec), SWK_EINVAL);
    refs[1] = secret_ref(f, "b");
    refs[1]->target_case = SWKPB__SECRET_REFERENCE__TARGET__NOT_SET;
    assert_int_equal(check(spec), SWK_EINVAL);
}

static void a_credential_spec_needs_its_config(void **state)
{
    struct f *f = *state;
    Swkpb__ServiceSpec *spec = service_spec(f, "web");
    Swkpb__ContainerSpec *c = spec->task->container;
    Swkpb__ConfigReference *ref = make(f, &swkpb__config_reference__descriptor);
    Swkpb__ConfigReference *refs[] = {ref};

    c->privileges = make(f, &swkpb__privileges__descriptor);
    c->privileges->credential_spec =
        make(f, &swkpb__privileges__credential_spec__descriptor);
    c->privileges->credential_spec->source_case =
        SWKPB__PRIVILEGES__CREDENTIAL_SPEC__SOURCE_CONFIG;
    c->privileges->credential_spec->config = copy(f, "id");
    assert_int_equal(check(spec), SWK_EINVAL);
    ref->config_id = copy(f, "id");
    ref->config_name = copy(f, "name");
    ref->target_case = SWKPB__CONFIG_REFERENCE__TARGET_FILE;
    ref->file = make(f, &swkpb__file_target__descriptor);
    ref->file->name = copy(f, "a");
    c->configs = refs;
    c->n_configs = 1;
    assert_int_equal(check(spec), SWK_EINVAL); /* as a file */
    ref->target_case = SWKPB__CONFIG_REFERENCE__TARGET_RUNTIME;
    ref->runtime = make(f, &swkpb__runtime_target__descriptor);
    assert_int_equal(check(spec), SWK_OK);
}

static void durations_must_be_valid(void **state)
{
    struct f *f = *state;
    Swkpb__ServiceSpec *spec = service_spec(f, "web");

    spec->task->restart = make(f, &swkpb__restart_policy__descriptor);
    spec->task->restart->delay = duration_ms(f, 1000);
    assert_int_equal(check(spec), SWK_OK);
    spec->task->restart->delay->nanos = -1; /* signs differ */
    assert_int_equal(check(spec), SWK_EINVAL);
    spec->task->restart->delay->nanos = 1000000000;
    assert_int_equal(check(spec), SWK_EINVAL);
    spec->task->restart->delay = NULL;
    spec->task->restart->window = duration_ms(f, -1);
    assert_int_equal(check(spec), SWK_EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(names_of_services_are_checked),
        TEST(names_of_secrets_may_have_dots),
        TEST(image_references_follow_the_grammar),
        TEST(resources_have_minimums),
        TEST(generic_resources_are_requested_by_number),
        TEST(counts_are_not_negative),
        TEST(update_settings_are_checked),
        TEST(runtimes_are_checked),
        TEST(health_checks_are_not_too_fast),
        TEST(mounts_have_different_absolute_targets),
        TEST(constraints_must_parse),
        TEST(endpoints_are_consistent),
        TEST(secret_references_are_complete),
        TEST(a_credential_spec_needs_its_config),
        TEST(durations_must_be_valid),
    };

    return cmocka_run_group_tests_name("control/validate", tests, NULL, NULL);
}

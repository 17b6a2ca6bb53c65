/* SPDX-License-Identifier: Apache-2.0 */

/* Whose signatures count, when, and over what. */

#include "lib/cmocka_all.h"

#include "base/rng.h"
#include "core/trust/trust.h"
#include "wire/message.h"

#define NOW (INT64_C(1893456000) * INT64_C(1000000000))
#define HOUR (INT64_C(3600) * INT64_C(1000000000))
#define SWARM "swarm1"

struct key {
    struct swki_buf pem;
    struct swki_buf public_pem;
};

struct f {
    struct swki_rng rng;
    struct swk_entropy entropy;
    struct swki_arena arena;
    struct key alice;
    struct key bob;
    struct swki_trust *trust; /* alice's */
    Swkpb__ServiceSpec service;
    Swkpb__TaskSpec spec;
    Swkpb__ContainerSpec container;
    Swkpb__Annotations annotations;
    Swkpb__EndpointSpec endpoint_spec;
    Swkpb__PortConfig port;
    Swkpb__PortConfig *ports[1];
    Swkpb__Endpoint endpoint;
    Swkpb__Task task;
    struct swk_error err;
};

static int fill(void *ctx, void *out_data, size_t len)
{
    swki_rng_fill(ctx, out_data, len);
    return 0;
}

static void make_key(struct f *f, struct key *key)
{
    swki_buf_init(&key->pem, NULL, SIZE_MAX);
    swki_buf_init(&key->public_pem, NULL, SIZE_MAX);
    assert_int_equal(swki_signing_key_generate(SWKI_CURVE_P256, &f->entropy,
                                               &key->pem, NULL),
                     SWK_OK);
    assert_int_equal(swki_signing_key_public(swki_pem_of_buf(&key->pem),
                                             &f->entropy, &key->public_pem,
                                             NULL),
                     SWK_OK);
}

static int set_up(void **state)
{
    static struct f f;

    memset(&f, 0, sizeof(f));
    swki_rng_init(&f.rng, 9);
    f.entropy = (struct swk_entropy){sizeof(f.entropy), &f.rng, fill};
    swki_arena_init(&f.arena, NULL, SIZE_MAX);
    make_key(&f, &f.alice);
    make_key(&f, &f.bob);
    assert_int_equal(swki_trust_new(NULL, swki_pem_of_buf(&f.alice.public_pem),
                                    SWARM, &f.trust, NULL),
                     SWK_OK);
    swkpb__service_spec__init(&f.service);
    swkpb__task_spec__init(&f.spec);
    swkpb__container_spec__init(&f.container);
    swkpb__annotations__init(&f.annotations);
    swkpb__endpoint_spec__init(&f.endpoint_spec);
    swkpb__port_config__init(&f.port);
    swkpb__endpoint__init(&f.endpoint);
    swkpb__task__init(&f.task);
    f.annotations.name = (char *)"web";
    f.container.image = (char *)"registry.example.com/web:1";
    f.spec.runtime_case = SWKPB__TASK_SPEC__RUNTIME_CONTAINER;
    f.spec.container = &f.container;
    f.port.target_port = 80;
    f.ports[0] = &f.port;
    f.endpoint_spec.n_ports = 1;
    f.endpoint_spec.ports = f.ports;
    f.endpoint.spec = &f.endpoint_spec;
    f.service.annotations = f.task.service_annotations = &f.annotations;
    f.service.task = f.task.spec = &f.spec;
    f.service.endpoint = &f.endpoint_spec;
    f.task.endpoint = &f.endpoint;
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_trust_free(f->trust);
    swki_buf_fini(&f->alice.pem);
    swki_buf_fini(&f->alice.public_pem);
    swki_buf_fini(&f->bob.pem);
    swki_buf_fini(&f->bob.public_pem);
    swki_arena_fini(&f->arena);
    return 0;
}

static void sign_by(struct f *f, const struct key *key, const char *swarm_id,
                    swk_wall not_after)
{
    const struct swki_sign_terms terms = {swarm_id, NOW, not_after};

    assert_int_equal(swki_spec_sign(&f->service, swki_pem_of_buf(&key->pem),
                                    &terms, &f->entropy, &f->arena, &f->err),
                     SWK_OK);
    f->task.signatures = f->service.signatures;
    f->task.n_signatures = f->service.n_signatures;
}

static int check_at(struct f *f, swk_wall wall, enum swki_trust_moment moment)
{
    return swki_trust_check_task(f->trust, &f->task, wall, moment, &f->err);
}

static void assert_runs(struct f *f)
{
    size_t index;

    assert_int_equal(check_at(f, NOW, SWKI_TRUST_TO_BEGIN), SWK_OK);
    assert_int_equal(
        swki_trust_check_spec(f->trust, &f->service, NOW, &index, &f->err),
        SWK_OK);
}

static void assert_refused(struct f *f, const char *why)
{
    assert_int_equal(check_at(f, NOW, SWKI_TRUST_TO_BEGIN), SWK_EDENIED);
    assert_int_equal(f->err.code, SWK_EDENIED);
    if (strstr(f->err.text, why) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", f->err.text, why);
    }
}

static void what_a_trusted_key_signed_runs(void **state)
{
    struct f *f = *state;

    sign_by(f, &f->alice, SWARM, 0);
    assert_runs(f);
    assert_runs(f); /* from memory */
}

static void without_a_signature_nothing_runs(void **state)
{
    assert_refused(*state, "it has no signature");
}

static void a_key_that_is_not_trusted_counts_for_nothing(void **state)
{
    struct f *f = *state;

    sign_by(f, &f->bob, SWARM, 0);
    assert_refused(f, "not signed by a trusted key: it has 1 "
                      "signature, the first of key ");
}

static void one_good_signature_of_several_is_enough(void **state)
{
    struct f *f = *state;

    sign_by(f, &f->bob, SWARM, 0);
    sign_by(f, &f->alice, SWARM, 0);
    assert_int_equal(f->task.n_signatures, 2);
    assert_runs(f);
}

static void signing_again_replaces_the_old_signature(void **state)
{
    struct f *f = *state;

    sign_by(f, &f->alice, SWARM, 0);
    f->container.image = (char *)"registry.example.com/web:2";
    sign_by(f, &f->alice, SWARM, 0);
    assert_int_equal(f->task.n_signatures, 1);
    assert_runs(f);
}

static void a_changed_spec_does_not_run(void **state)
{
    struct f *f = *state;

    sign_by(f, &f->alice, SWARM, 0);
    assert_runs(f);
    f->container.user = (char *)"root";
    assert_refused(f, "changed after it was signed");
    f->container.user = (char *)"";
    assert_runs(f);
    f->annotations.name = (char *)"db";
    assert_refused(f, "changed after it was signed");
}

static void terms_cannot_be_changed_either(void **state)
{
    struct f *f = *state;

    sign_by(f, &f->alice, SWARM, NOW + HOUR);
    f->task.signatures[0]->not_after->seconds += 1;
    assert_refused(f, "changed after it was signed");
    f->task.signatures[0]->not_after->seconds -= 1;
    assert_runs(f);
    f->task.signatures[0]->swarm_id = (char *)"";
    assert_refused(f, "changed after it was signed");
}

static void a_signature_is_for_one_swarm_or_for_any(void **state)
{
    struct f *f = *state;

    sign_by(f, &f->alice, "staging", 0);
    assert_refused(f, "is for another swarm");
    sign_by(f, &f->alice, NULL, 0);
    assert_runs(f);
}

static void nothing_begins_after_the_end_and_nothing_stops_for_it(void **state)
{
    struct f *f = *state;

    sign_by(f, &f->alice, SWARM, NOW + HOUR);
    assert_int_equal(check_at(f, NOW + HOUR, SWKI_TRUST_TO_BEGIN), SWK_OK);
    assert_int_equal(check_at(f, NOW + HOUR + 1, SWKI_TRUST_TO_BEGIN),
                     SWK_EDENIED);
    assert_non_null(strstr(f->err.text, "expired on 2030-01-01T01:00:00Z"));
    assert_int_equal(check_at(f, NOW + HOUR + 1, SWKI_TRUST_BEGUN), SWK_OK);
}

static void more_signatures_than_allowed_are_refused(void **state)
{
    struct f *f = *state;
    Swkpb__Rpc__SpecSignature *many[SWKI_SIGNATURES_MAX + 1];

    sign_by(f, &f->alice, SWARM, 0);
    for (size_t i = 0; i < SWKI_SIGNATURES_MAX + 1; i++) {
        many[i] = f->service.signatures[0];
    }
    f->task.signatures = many;
    f->task.n_signatures = SWKI_SIGNATURES_MAX + 1;
    assert_refused(f, "more than 8 signatures");
    assert_int_equal(
        swki_signatures_validate(many, SWKI_SIGNATURES_MAX + 1, NULL),
        SWK_EINVAL);
    assert_int_equal(swki_signatures_validate(many, SWKI_SIGNATURES_MAX, NULL),
                     SWK_OK);
}

static void malformed_signatures_are_refused(void **state)
{
    struct f *f = *state;
    Swkpb__Rpc__SpecSignature *s;

    sign_by(f, &f->alice, SWARM, 0);
    s = f->task.signatures[0];
    s->key_id.len--;
    assert_refused(f, "not signed by a trusted key");
    assert_int_equal(swki_signatures_validate(&s, 1, NULL), SWK_EINVAL);
    s->key_id.len++;
    s->signature.len = 0;
    assert_refused(f, "changed after it was signed");
    assert_int_equal(swki_signatures_validate(&s, 1, NULL), SWK_EINVAL);
    s->signature.len = SWKI_SIGNATURE_SIZE_MAX + 1;
    assert_refused(f, "too long");
    assert_int_equal(swki_signatures_validate(&s, 1, NULL), SWK_EINVAL);
}

/* -- What the swarm adds --------------------------------------------------- */

static void ports_are_those_of_the_spec(void **state)
{
    struct f *f = *state;
    Swkpb__PortConfig given = f->port;
    Swkpb__PortConfig *list[] = {&given, &given};

    sign_by(f, &f->alice, SWARM, 0);
    given.published_port = 30000; /* the swarm's choice */
    f->endpoint.ports = list;
    f->endpoint.n_ports = 1;
    assert_runs(f);
    f->endpoint.n_ports = 2;
    assert_refused(f, "has ports that its spec does not ask for");
    f->endpoint.n_ports = 1;
    given.publish_mode = SWKPB__PORT_CONFIG__PUBLISH_MODE__HOST;
    assert_refused(f, "has ports");
    given.publish_mode = SWKPB__PORT_CONFIG__PUBLISH_MODE__INGRESS;
    given.target_port = 81;
    assert_refused(f, "has ports");
}

static void networks_are_those_of_the_spec_or_the_ingress_one(void **state)
{
    struct f *f = *state;
    Swkpb__NetworkAttachmentConfig wanted =
        SWKPB__NETWORK_ATTACHMENT_CONFIG__INIT;
    Swkpb__NetworkAttachmentConfig *wanted_list[] = {&wanted};
    Swkpb__NetworkAttachment given = SWKPB__NETWORK_ATTACHMENT__INIT;
    Swkpb__NetworkAttachment *given_list[] = {&given};
    Swkpb__Network network = SWKPB__NETWORK__INIT;
    Swkpb__NetworkSpec spec = SWKPB__NETWORK_SPEC__INIT;

    wanted.target = (char *)"n1";
    f->spec.networks = wanted_list;
    f->spec.n_networks = 1;
    network.id = (char *)"n1";
    network.spec = &spec;
    given.network = &network;
    f->task.networks = given_list;
    f->task.n_networks = 1;
    sign_by(f, &f->alice, SWARM, 0);
    assert_runs(f);
    network.id = (char *)"n2";
    assert_refused(f, "has a network");
    spec.ingress = true; /* the spec publishes a port */
    assert_runs(f);
    given.network = NULL;
    assert_refused(f, "has a network");
}

static void resources_are_no_more_than_reserved(void **state)
{
    struct f *f = *state;
    Swkpb__DiscreteGenericResource two = SWKPB__DISCRETE_GENERIC_RESOURCE__INIT;
    Swkpb__GenericResource wanted = SWKPB__GENERIC_RESOURCE__INIT;
    Swkpb__GenericResource *wanted_list[] = {&wanted};
    Swkpb__Resources reserved = SWKPB__RESOURCES__INIT;
    Swkpb__ResourceRequirements requirements =
        SWKPB__RESOURCE_REQUIREMENTS__INIT;
    Swkpb__NamedGenericResource name = SWKPB__NAMED_GENERIC_RESOURCE__INIT;
    Swkpb__GenericResource given = SWKPB__GENERIC_RESOURCE__INIT;
    Swkpb__GenericResource *given_list[] = {&given, &given, &given};

    two.kind = (char *)"gpu";
    two.value = 2;
    wanted.resource_case =
        SWKPB__GENERIC_RESOURCE__RESOURCE_DISCRETE_RESOURCE_SPEC;
    wanted.discrete_resource_spec = &two;
    reserved.generic = wanted_list;
    reserved.n_generic = 1;
    requirements.reservations = &reserved;
    f->spec.resources = &requirements;
    sign_by(f, &f->alice, SWARM, 0);
    name.kind = (char *)"gpu";
    given.resource_case = SWKPB__GENERIC_RESOURCE__RESOURCE_NAMED_RESOURCE_SPEC;
    given.named_resource_spec = &name;
    f->task.assigned_generic_resources = given_list;
    f->task.n_assigned_generic_resources = 2;
    assert_runs(f);
    f->task.n_assigned_generic_resources = 3;
    assert_refused(f, "has generic resources");
    f->task.n_assigned_generic_resources = 1;
    name.kind = (char *)"fpga";
    assert_refused(f, "has generic resources");
}

static void other_additions_are_refused(void **state)
{
    struct f *f = *state;
    Swkpb__Annotations name = SWKPB__ANNOTATIONS__INIT;
    Swkpb__VolumeAttachment volume = SWKPB__VOLUME_ATTACHMENT__INIT;
    Swkpb__VolumeAttachment *volumes[] = {&volume};
    Swkpb__Driver driver = SWKPB__DRIVER__INIT;
    Swkpb__Driver wanted = SWKPB__DRIVER__INIT;

    sign_by(f, &f->alice, SWARM, 0);
    f->task.annotations = &name;
    assert_runs(f);
    name.name = (char *)"other";
    assert_refused(f, "has a name");
    f->task.annotations = NULL;
    f->task.volumes = volumes;
    f->task.n_volumes = 1;
    assert_refused(f, "has a volume");
    f->task.n_volumes = 0;
    driver.name = (char *)"syslog";
    f->task.log_driver = &driver; /* the cluster's default */
    assert_runs(f);
    wanted.name = (char *)"none";
    f->spec.log_driver = &wanted;
    sign_by(f, &f->alice, SWARM, 0);
    assert_refused(f, "has a log driver");
    driver.name = (char *)"none";
    assert_runs(f);
}

/* -- Changes --------------------------------------------------------------- */

static void an_old_signature_does_not_go_with_another_spec(void **state)
{
    struct f *f = *state;
    Swkpb__ServiceSpec before;
    Swkpb__ServiceSpec after;
    Swkpb__TaskSpec task;
    Swkpb__ReplicatedService more = SWKPB__REPLICATED_SERVICE__INIT;

    sign_by(f, &f->alice, SWARM, 0);
    before = after = f->service;
    task = f->spec;
    after.task = &task;
    more.replicas = 5;
    after.mode_case = SWKPB__SERVICE_SPEC__MODE_REPLICATED;
    after.replicated = &more;
    task.force_update = 1;
    assert_int_equal(swki_signatures_check_change(&before, &after, &f->err),
                     SWK_OK);
    after.endpoint = NULL;
    assert_int_equal(swki_signatures_check_change(&before, &after, &f->err),
                     SWK_EINVAL);
    assert_non_null(strstr(f->err.text, "sign the change"));
    after.n_signatures = 0;
    assert_int_equal(swki_signatures_check_change(&before, &after, &f->err),
                     SWK_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_a_trusted_key_signed_runs),
        TEST(without_a_signature_nothing_runs),
        TEST(a_key_that_is_not_trusted_counts_for_nothing),
        TEST(one_good_signature_of_several_is_enough),
        TEST(signing_again_replaces_the_old_signature),
        TEST(a_changed_spec_does_not_run),
        TEST(terms_cannot_be_changed_either),
        TEST(a_signature_is_for_one_swarm_or_for_any),
        TEST(nothing_begins_after_the_end_and_nothing_stops_for_it),
        TEST(more_signatures_than_allowed_are_refused),
        TEST(malformed_signatures_are_refused),
        TEST(ports_are_those_of_the_spec),
        TEST(networks_are_those_of_the_spec_or_the_ingress_one),
        TEST(resources_are_no_more_than_reserved),
        TEST(other_additions_are_refused),
        TEST(an_old_signature_does_not_go_with_another_spec),
    };

    return cmocka_run_group_tests_name("trust", tests, NULL, NULL);
}

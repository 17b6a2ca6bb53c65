/* SPDX-License-Identifier: Apache-2.0 */

/*
 * From the call that creates a service to the task that a node is given, with
 * all that managers change on the way: what was signed still verifies.
 */

#include "lib/swarm.h"

#include "base/rng.h"
#include "control.pb-c.h"
#include "core/control/control.h"
#include "core/trust/trust.h"
#include "wire/json_read.h"
#include "wire/message.h"

enum {
    TASKS_MAX = 16,
};

/* As much of a spec as these machines take. */
static const char spec_json[] =
    "{'annotations':{'name':'web','labels':{'tier':'front','a':''}},"
    "'replicated':{'replicas':'3'},"
    "'update':{'parallelism':'1'},"
    "'task':{'container':{'image':'registry.example.com/web:1',"
    "'command':['/bin/"
    "server'],'args':['--port','80'],'labels':{'z':'1','y':''},"
    "'env':['A=1','B={{.Service.Labels}}'],'user':'www','groups':['log'],"
    "'dir':'/srv','hostname':'h','init':true,'readOnly':true,"
    "'privileges':{'noNewPrivileges':true,'seccomp':{'mode':'UNCONFINED'}},"
    "'mounts':[{'type':'BIND','source':'/srv','target':'/data',"
    "'readonly':true},{'type':'TMPFS','target':'/tmp',"
    "'tmpfsOptions':{'sizeBytes':'4096'}}],"
    "'pullOptions':{'registryAuth':'secret'},"
    "'healthcheck':{'test':['CMD','true'],'interval':'1.5s'},"
    "'hosts':['10.0.0.1 db'],'dnsConfig':{'nameservers':['10.0.0.2']},"
    "'sysctls':{'net.core.somaxconn':'1024'},'capabilityAdd':['CAP_SYS_TIME'],"
    "'capabilityDrop':['CAP_CHOWN'],"
    "'ulimits':[{'name':'nofile','soft':'10','hard':'20'}],"
    "'pidsLimit':'50','stopGracePeriod':'3s','stopSignal':'TERM'},"
    "'resources':{'limits':{'memoryBytes':'67108864'},"
    "'reservations':{'nanoCpus':'100000000','generic':["
    "{'discreteResourceSpec':{'kind':'gpu','value':'1'}},"
    "{'discreteResourceSpec':{'kind':'ssd','value':'2'}}]}},"
    "'restart':{'condition':'ANY','delay':'1s'},"
    "'placement':{'constraints':['node.id != nowhere']},"
    "'logDriver':{'name':'none'},'forceUpdate':'4'},"
    "'endpoint':{'ports':[{'protocol':'TCP','targetPort':80,"
    "'publishMode':'HOST','name':'www'}]}}";

struct f {
    struct swarm swarm;
    struct swki_control *control;
    struct swki_answers answers;
    struct swki_arena arena;
    struct swki_rng rng;
    struct swk_entropy entropy;
    struct swki_buf key;
    struct swki_trust *trust;
    char service_id[SWK_ID_LEN_MAX + 1];
};

static int fill(void *ctx, void *out_data, size_t len)
{
    swki_rng_fill(ctx, out_data, len);
    return 0;
}

static void make_trust(struct f *f)
{
    struct swki_buf public_key;

    swki_rng_init(&f->rng, 3);
    f->entropy = (struct swk_entropy){sizeof(f->entropy), &f->rng, fill};
    swki_buf_init(&f->key, NULL, SIZE_MAX);
    swki_buf_init(&public_key, NULL, SIZE_MAX);
    assert_int_equal(
        swki_signing_key_generate(SWKI_CURVE_P384, &f->entropy, &f->key, NULL),
        0);
    assert_int_equal(swki_signing_key_public(swki_pem_of_buf(&f->key),
                                             &f->entropy, &public_key, NULL),
                     0);
    assert_int_equal(swki_trust_new(NULL, swki_pem_of_buf(&public_key),
                                    "swarm1", &f->trust, NULL),
                     0);
    swki_buf_fini(&public_key);
}

static void *new_message(struct swki_object *object,
                         const ProtobufCMessageDescriptor *type)
{
    void *message = swarm_new(object, type->sizeof_message);

    type->message_init(message);
    return message;
}

/* What the node has of a kind: an amount, or names "NAME0" and so on. */
static void put_resource(struct swki_object *node, size_t index,
                         const char *kind, int64_t amount, const char *name)
{
    Swkpb__GenericResource *r =
        new_message(node, &swkpb__generic_resource__descriptor);

    if (name == NULL) {
        r->resource_case =
            SWKPB__GENERIC_RESOURCE__RESOURCE_DISCRETE_RESOURCE_SPEC;
        r->discrete_resource_spec =
            new_message(node, &swkpb__discrete_generic_resource__descriptor);
        r->discrete_resource_spec->kind = swarm_text(node, kind);
        r->discrete_resource_spec->value = amount;
    } else {
        r->resource_case =
            SWKPB__GENERIC_RESOURCE__RESOURCE_NAMED_RESOURCE_SPEC;
        r->named_resource_spec =
            new_message(node, &swkpb__named_generic_resource__descriptor);
        r->named_resource_spec->kind = swarm_text(node, kind);
        r->named_resource_spec->value = swarm_text(node, name);
    }
    swki_node_edit(node)->description->resources->generic[index] = r;
}

static void add_node(struct swarm *s, const char *id)
{
    struct swki_object *node = swarm_make_node(id);
    Swkpb__Resources *resources = swki_node_edit(node)->description->resources;

    resources->n_generic = 9;
    resources->generic = swarm_new(node, 9 * sizeof(resources->generic[0]));
    put_resource(node, 0, "ssd", 100, NULL);
    for (size_t i = 1; i < 9; i++) {
        char name[] = {(char)('0' + i), '\0'};

        put_resource(node, i, "gpu", 0, name);
    }
    swarm_create(s, SWKI_ACTOR_CA, node);
}

static void make_control(struct f *f, uint64_t seed)
{
    const struct swki_control_config config = {.store = f->swarm.store,
                                               .seed = seed};

    swki_control_free(f->control);
    assert_int_equal(swki_control_new(&config, &f->control, NULL), 0);
}

static int set_up(void **state)
{
    static const char *const ids[] = {"n1", "n2", "n3"};
    struct f *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    make_trust(f);
    swki_answers_init(&f->answers, NULL);
    swki_arena_init(&f->arena, NULL, SIZE_MAX);
    swarm_init(&f->swarm, SWARM_ALL);
    for (size_t i = 0; i < 3; i++) {
        add_node(&f->swarm, ids[i]);
    }
    make_control(f, 1);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_control_free(f->control);
    swarm_fini(&f->swarm);
    swki_trust_free(f->trust);
    swki_answers_fini(&f->answers);
    swki_arena_fini(&f->arena);
    swki_buf_fini(&f->key);
    free(f);
    return 0;
}

static enum swki_status call(struct f *f, const char *path, const void *request)
{
    const struct swki_caller caller = {.node_id = "",
                                       .swarm_id = "",
                                       .local = true,
                                       .address = "",
                                       .request_id = ""};
    const struct swki_call c = {
        .id = 1, .path = path, .caller = &caller, .request = request};

    swki_answers_reset(&f->answers);
    swki_control_call(f->control, f->swarm.wall, &c, &f->answers);
    return f->answers.first->status;
}

static Swkpb__ServiceSpec *make_spec(struct f *f)
{
    char json[sizeof(spec_json)];
    ProtobufCMessage *message;
    struct swk_error err;

    memcpy(json, spec_json, sizeof(json));
    for (char *c = json; *c != '\0'; c++) {
        *c = *c == '\'' ? '"' : *c;
    }
    if (swki_message_from_json(&swkpb__service_spec__descriptor, json,
                               strlen(json), &f->arena, &message, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return (Swkpb__ServiceSpec *)message;
}

static void sign(struct f *f, Swkpb__ServiceSpec *spec)
{
    const struct swki_sign_terms terms = {"swarm1", f->swarm.wall, 0};

    assert_int_equal(swki_spec_sign(spec, swki_pem_of_buf(&f->key), &terms,
                                    &f->entropy, &f->arena, NULL),
                     0);
}

static void create(struct f *f, Swkpb__ServiceSpec *spec)
{
    Swkpb__CreateServiceRequest request = SWKPB__CREATE_SERVICE_REQUEST__INIT;
    ProtobufCMessage *reply;

    request.spec = spec;
    if (call(f, "/docker.swarmkit.v1.Control/CreateService", &request) !=
        SWKI_STATUS_OK) {
        fail_msg("%s", f->answers.first->text);
    }
    assert_int_equal(
        swki_message_unpack(&swkpb__create_service_response__descriptor,
                            f->answers.first->message,
                            f->answers.first->message_len, &f->arena, &reply,
                            NULL),
        0);
    snprintf(f->service_id, sizeof(f->service_id), "%s",
             ((Swkpb__CreateServiceResponse *)reply)->service->id);
    swarm_run_for(&f->swarm, 10 * SWK_SECOND);
}

/* The stored spec, in memory that may be changed. */
static Swkpb__ServiceSpec *stored_spec(struct f *f)
{
    const Swkpb__Service *service =
        swki_service(swarm_get(&f->swarm, SWKI_KIND_SERVICE, f->service_id));

    return (Swkpb__ServiceSpec *)swki_message_copy(&service->spec->base,
                                                   &f->arena);
}

static enum swki_status update(struct f *f, Swkpb__ServiceSpec *spec)
{
    Swkpb__UpdateServiceRequest request = SWKPB__UPDATE_SERVICE_REQUEST__INIT;
    const Swkpb__Service *service =
        swki_service(swarm_get(&f->swarm, SWKI_KIND_SERVICE, f->service_id));
    enum swki_status status;

    request.service_id = f->service_id;
    request.service_version = service->meta->version;
    request.spec = spec;
    status = call(f, "/docker.swarmkit.v1.Control/UpdateService", &request);
    swarm_run_for(&f->swarm, 60 * SWK_SECOND);
    return status;
}

/* What a node would make of the task once it has travelled there. */
static int verify(struct f *f, const Swkpb__Task *task, struct swk_error *err)
{
    struct swki_buf wire;
    ProtobufCMessage *message;
    int rc;

    swki_buf_init(&wire, NULL, SIZE_MAX);
    assert_int_equal(swki_message_pack(&task->base, &wire, NULL), 0);
    assert_int_equal(swki_message_unpack(&swkpb__task__descriptor, wire.data,
                                         wire.len, &f->arena, &message, NULL),
                     0);
    rc = swki_trust_check_task(f->trust, (Swkpb__Task *)message, f->swarm.wall,
                               SWKI_TRUST_TO_BEGIN, err);
    swki_buf_fini(&wire);
    return rc;
}

static void assert_all_verify(struct f *f, size_t running)
{
    const Swkpb__Task *tasks[TASKS_MAX];
    size_t count =
        swarm_tasks(&f->swarm, f->service_id, NULL, tasks, TASKS_MAX);

    assert_in_range(count, running, TASKS_MAX);
    assert_int_equal(swarm_count(&f->swarm, f->service_id, swarm_is_running),
                     running);
    for (size_t i = 0; i < count; i++) {
        struct swk_error err;

        if (verify(f, tasks[i], &err) != SWK_OK) {
            fail_msg("%s", err.text);
        }
    }
}

static void a_signed_service_verifies_on_its_nodes(void **state)
{
    struct f *f = *state;
    Swkpb__ServiceSpec *spec = make_spec(f);

    sign(f, spec);
    create(f, spec);
    assert_all_verify(f, 3);
}

static void scaling_and_another_leader_keep_the_signature(void **state)
{
    struct f *f = *state;
    Swkpb__ServiceSpec *spec = make_spec(f);

    sign(f, spec);
    create(f, spec);
    spec = stored_spec(f);
    spec->replicated->replicas = 5;
    assert_int_equal(update(f, spec), SWKI_STATUS_OK);
    assert_all_verify(f, 5);

    swarm_fail_over(&f->swarm, 99);
    make_control(f, 2);
    swarm_set_node_state(&f->swarm, "n1", SWKPB__NODE_STATUS__STATE__DOWN);
    swarm_run_for(&f->swarm, 60 * SWK_SECOND);
    spec = stored_spec(f);
    spec->replicated->replicas = 6;
    spec->task->force_update++;
    spec->task->placement->n_constraints = 0;
    spec->task->restart->delay->seconds = 2;
    spec->task->container->pull_options->registry_auth = (char *)"newer";
    assert_int_equal(update(f, spec), SWKI_STATUS_OK);
    swarm_set_node_state(&f->swarm, "n1", SWKPB__NODE_STATUS__STATE__READY);
    swarm_run_for(&f->swarm, 60 * SWK_SECOND);
    assert_all_verify(f, 6);
}

static void a_signed_update_replaces_tasks_and_signature(void **state)
{
    struct f *f = *state;
    Swkpb__ServiceSpec *spec = make_spec(f);

    sign(f, spec);
    create(f, spec);
    spec = stored_spec(f);
    spec->task->container->image = (char *)"registry.example.com/web:2";
    sign(f, spec);
    assert_int_equal(update(f, spec), SWKI_STATUS_OK);
    assert_all_verify(f, 3); /* the old ones too, which are history */
}

static void a_change_under_an_old_signature_is_refused(void **state)
{
    struct f *f = *state;
    Swkpb__ServiceSpec *spec = make_spec(f);

    sign(f, spec);
    create(f, spec);
    spec = stored_spec(f);
    spec->task->container->user = (char *)"root";
    assert_int_equal(update(f, spec), SWKI_STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(f->answers.first->text, "sign the change"));
    assert_all_verify(f, 3);
}

static void unsigned_tasks_of_a_service_do_not_verify(void **state)
{
    struct f *f = *state;
    Swkpb__ServiceSpec *spec = make_spec(f);
    const Swkpb__Task *tasks[TASKS_MAX];
    size_t count;

    sign(f, spec);
    create(f, spec);
    spec = stored_spec(f);
    spec->task->container->user = (char *)"root";
    spec->n_signatures = 0;
    assert_int_equal(update(f, spec), SWKI_STATUS_OK);
    count = swarm_tasks(&f->swarm, f->service_id, swarm_is_running, tasks,
                        TASKS_MAX);
    assert_int_equal(count, 3);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(verify(f, tasks[i], NULL), SWK_EDENIED);
    }
}

static void signatures_that_make_no_sense_are_refused(void **state)
{
    struct f *f = *state;
    Swkpb__CreateServiceRequest request = SWKPB__CREATE_SERVICE_REQUEST__INIT;
    Swkpb__ServiceSpec *spec = make_spec(f);

    sign(f, spec);
    spec->signatures[0]->key_id.len = 31;
    request.spec = spec;
    assert_int_equal(
        call(f, "/docker.swarmkit.v1.Control/CreateService", &request),
        SWKI_STATUS_INVALID_ARGUMENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_signed_service_verifies_on_its_nodes),
        TEST(scaling_and_another_leader_keep_the_signature),
        TEST(a_signed_update_replaces_tasks_and_signature),
        TEST(a_change_under_an_old_signature_is_refused),
        TEST(unsigned_tasks_of_a_service_do_not_verify),
        TEST(signatures_that_make_no_sense_are_refused),
    };

    return cmocka_run_group_tests_name("pipeline", tests, NULL, NULL);
}

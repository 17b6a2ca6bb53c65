/* SPDX-License-Identifier: Apache-2.0 */

/* Services, from the request to the stored object. */

#include "fixture.h"

static enum swki_status update(struct f *f, const Swkpb__Service *service,
                               Swkpb__ServiceSpec *spec)
{
    Swkpb__UpdateServiceRequest request = SWKPB__UPDATE_SERVICE_REQUEST__INIT;

    request.service_id = service->id;
    request.service_version = service->meta->version;
    request.spec = spec;
    enum swki_status status = call(f, "UpdateService", &request);
    commit(f);
    return status;
}

static Swkpb__Service *updated(struct f *f)
{
    Swkpb__UpdateServiceResponse *response =
        reply(f, &swkpb__update_service_response__descriptor);

    return response->service;
}

static enum swki_status roll_back(struct f *f, const Swkpb__Service *service)
{
    Swkpb__UpdateServiceRequest request = SWKPB__UPDATE_SERVICE_REQUEST__INIT;

    request.service_id = service->id;
    request.service_version = service->meta->version;
    request.spec = service->spec;
    request.rollback = SWKPB__UPDATE_SERVICE_REQUEST__ROLLBACK__PREVIOUS;
    enum swki_status status = call(f, "UpdateService", &request);
    commit(f);
    return status;
}

static Swkpb__Service *get(struct f *f, char *id, bool defaults)
{
    Swkpb__GetServiceRequest request = SWKPB__GET_SERVICE_REQUEST__INIT;

    request.service_id = id;
    request.insert_defaults = defaults;
    assert_int_equal(call(f, "GetService", &request), SWKI_STATUS_OK);
    Swkpb__GetServiceResponse *response =
        reply(f, &swkpb__get_service_response__descriptor);
    return response->service;
}

static void create_stores_the_spec_as_given(void **state)
{
    struct f *f = *state;
    Swkpb__Service *s = create_service(f, service_spec(f, "web"));

    assert_int_equal(strlen(s->id), SWK_ID_LEN);
    assert_non_null(s->spec_version);
    assert_int_equal(s->spec_version->index, 0);
    assert_int_equal(s->meta->version->index, f->index);
    assert_null(s->spec->update);
    assert_null(s->job_status);
    assert_string_equal(get(f, s->id, false)->spec->annotations->name, "web");
}

static void the_answer_waits_for_the_commit(void **state)
{
    struct f *f = *state;
    Swkpb__CreateServiceRequest create = SWKPB__CREATE_SERVICE_REQUEST__INIT;
    Swkpb__ListServicesRequest list = SWKPB__LIST_SERVICES_REQUEST__INIT;
    Swkpb__ListServicesResponse *services;

    create.spec = service_spec(f, "web");
    assert_int_equal(call(f, "CreateService", &create), SWKI_STATUS_OK);
    assert_int_equal(f->answers.first->index, f->index);
    assert_int_equal(call(f, "ListServices", &list), SWKI_STATUS_OK);
    services = reply(f, &swkpb__list_services_response__descriptor);
    assert_int_equal(services->n_services, 0); /* not committed yet */
    commit(f);
    assert_int_equal(call(f, "ListServices", &list), SWKI_STATUS_OK);
    services = reply(f, &swkpb__list_services_response__descriptor);
    assert_int_equal(services->n_services, 1);
}

static void a_name_is_taken_in_any_case(void **state)
{
    struct f *f = *state;

    create_service(f, service_spec(f, "web"));
    assert_int_equal(try_create(f, service_spec(f, "WEB")),
                     SWKI_STATUS_ALREADY_EXISTS);
    assert_non_null(strstr(text(f), "name conflicts with an existing object"));
}

static void a_job_starts_with_iteration_0(void **state)
{
    struct f *f = *state;
    Swkpb__ServiceSpec *spec = service_spec(f, "job");

    spec->mode_case = SWKPB__SERVICE_SPEC__MODE_REPLICATED_JOB;
    spec->replicated_job = make(f, &swkpb__replicated_job__descriptor);
    Swkpb__Service *s = create_service(f, spec);
    assert_int_equal(s->job_status->job_iteration->index, 0);
    assert_int_equal(s->job_status->last_execution->seconds, 1700000000);
    assert_int_equal(update(f, s, spec), SWKI_STATUS_OK);
    assert_int_equal(updated(f)->job_status->job_iteration->index, 1);
}

static void update_keeps_the_previous_spec(void **state)
{
    struct f *f = *state;
    Swkpb__Service *s = create_service(f, service_spec(f, "web"));
    Swkpb__ServiceSpec *spec = service_spec(f, "web");

    spec->replicated->replicas = 9;
    assert_int_equal(update(f, s, spec), SWKI_STATUS_OK);
    Swkpb__Service *after = updated(f);
    assert_int_equal(after->spec->replicated->replicas, 9);
    assert_int_equal(after->previous_spec->replicated->replicas, 2);
    assert_int_equal(after->spec_version->index, s->meta->version->index);
    assert_int_equal(after->previous_spec_version->index, 0);
    assert_null(after->update_status);
}

static void update_refuses_a_stale_version(void **state)
{
    struct f *f = *state;
    Swkpb__Service *s = create_service(f, service_spec(f, "web"));

    assert_int_equal(update(f, s, service_spec(f, "web")), SWKI_STATUS_OK);
    assert_int_equal(update(f, s, service_spec(f, "web")),
                     SWKI_STATUS_ABORTED);
    assert_non_null(strstr(text(f), "update out of sequence"));
    s->meta->version->index = 0;
    assert_int_equal(update(f, s, service_spec(f, "web")),
                     SWKI_STATUS_ABORTED);
    s->meta->version = NULL;
    assert_int_equal(update(f, s, service_spec(f, "web")),
                     SWKI_STATUS_INVALID_ARGUMENT);
}

static void name_and_mode_cannot_change(void **state)
{
    struct f *f = *state;
    Swkpb__Service *s = create_service(f, service_spec(f, "web"));
    Swkpb__ServiceSpec *spec = service_spec(f, "web");

    assert_int_equal(update(f, s, service_spec(f, "Web")),
                     SWKI_STATUS_UNIMPLEMENTED);
    spec->mode_case = SWKPB__SERVICE_SPEC__MODE_GLOBAL;
    spec->global = make(f, &swkpb__global_service__descriptor);
    assert_int_equal(update(f, s, spec), SWKI_STATUS_UNIMPLEMENTED);
    s->id = copy(f, "none");
    assert_int_equal(update(f, s, service_spec(f, "web")),
                     SWKI_STATUS_NOT_FOUND);
    s->id = copy(f, "");
    assert_int_equal(update(f, s, service_spec(f, "web")),
                     SWKI_STATUS_INVALID_ARGUMENT);
}

static void rolling_back_twice_returns(void **state)
{
    struct f *f = *state;
    Swkpb__Service *s = create_service(f, service_spec(f, "web"));
    Swkpb__ServiceSpec *spec = service_spec(f, "web");

    assert_int_equal(roll_back(f, s), SWKI_STATUS_FAILED_PRECONDITION);
    spec->replicated->replicas = 9;
    assert_int_equal(update(f, s, spec), SWKI_STATUS_OK);
    s = updated(f);
    assert_int_equal(roll_back(f, s), SWKI_STATUS_OK);
    s = updated(f);
    assert_int_equal(s->spec->replicated->replicas, 2);
    assert_int_equal(s->previous_spec->replicated->replicas, 9);
    assert_int_equal(s->update_status->state,
                     SWKPB__UPDATE_STATUS__UPDATE_STATE__ROLLBACK_STARTED);
    assert_string_equal(s->update_status->message,
                        "manually requested rollback");
    assert_int_equal(roll_back(f, s), SWKI_STATUS_OK);
    s = updated(f);
    assert_int_equal(s->spec->replicated->replicas, 9);
    assert_int_equal(s->previous_spec->replicated->replicas, 2);
}

static Swkpb__ServiceSpec *with_port(struct f *f, const char *name,
                                     uint32_t published, bool host)
{
    Swkpb__ServiceSpec *spec = service_spec(f, name);
    Swkpb__PortConfig *port = make(f, &swkpb__port_config__descriptor);

    port->target_port = 80;
    port->published_port = published;
    port->publish_mode = host ? SWKPB__PORT_CONFIG__PUBLISH_MODE__HOST
                              : SWKPB__PORT_CONFIG__PUBLISH_MODE__INGRESS;
    spec->endpoint = make(f, &swkpb__endpoint_spec__descriptor);
    spec->endpoint->n_ports = 1;
    spec->endpoint->ports =
        swki_arena_calloc(&f->arena, 1, sizeof(Swkpb__PortConfig *));
    spec->endpoint->ports[0] = port;
    return spec;
}

static void put_ingress(struct f *f)
{
    Swkpb__Network *network = make(f, &swkpb__network__descriptor);

    network->id = copy(f, "ingress1");
    network->spec = make(f, &swkpb__network_spec__descriptor);
    network->spec->annotations = make(f, &swkpb__annotations__descriptor);
    network->spec->annotations->name = copy(f, "ingress");
    network->spec->ingress = true;
    put(f, SWKI_KIND_NETWORK, network);
}

static void ports_conflict_unless_both_are_of_the_host(void **state)
{
    struct f *f = *state;
    char name[32];

    put_ingress(f);
    for (int first = 0; first < 2; first++) {
        for (int second = 0; second < 2; second++) {
            uint32_t port = (uint32_t)(1000 + first * 2 + second);
            bool both = first == 1 && second == 1;

            snprintf(name, sizeof(name), "a%u", port);
            create_service(f, with_port(f, name, port, first == 1));
            snprintf(name, sizeof(name), "b%u", port);
            assert_int_equal(
                try_create(f, with_port(f, name, port, second == 1)),
                both ? SWKI_STATUS_OK : SWKI_STATUS_INVALID_ARGUMENT);
        }
    }
}

static void an_allocated_port_conflicts_too(void **state)
{
    struct f *f = *state;

    put_ingress(f);
    Swkpb__Service *s = create_service(f, service_spec(f, "a"));
    s->endpoint = make(f, &swkpb__endpoint__descriptor);
    s->endpoint->n_ports = 1;
    s->endpoint->ports = with_port(f, "x", 30000, false)->endpoint->ports;
    change(f, SWKI_KIND_SERVICE, s);
    assert_int_equal(try_create(f, with_port(f, "b", 30000, false)),
                     SWKI_STATUS_INVALID_ARGUMENT);
    assert_int_equal(update(f, s, with_port(f, "a", 30000, false)),
                     SWKI_STATUS_OK); /* with itself there is no conflict */
}

static void ingress_ports_need_an_ingress_network(void **state)
{
    struct f *f = *state;

    assert_int_equal(try_create(f, with_port(f, "web", 80, false)),
                     SWKI_STATUS_FAILED_PRECONDITION);
    put_ingress(f);
    create_service(f, with_port(f, "web", 80, false));
}

static void services_do_not_attach_to_ingress(void **state)
{
    struct f *f = *state;
    Swkpb__ServiceSpec *spec = service_spec(f, "web");
    Swkpb__NetworkAttachmentConfig *attachment =
        make(f, &swkpb__network_attachment_config__descriptor);
    Swkpb__NetworkAttachmentConfig *networks[] = {attachment};

    put_ingress(f);
    Swkpb__Service *s = create_service(f, service_spec(f, "other"));
    attachment->target = copy(f, "ingress1");
    spec->task->networks = networks;
    spec->task->n_networks = 1;
    assert_int_equal(try_create(f, spec), SWKI_STATUS_INVALID_ARGUMENT);
    spec->annotations->name = copy(f, "other");
    assert_int_equal(update(f, s, spec), SWKI_STATUS_INVALID_ARGUMENT);
    attachment->target = copy(f, "unknown");
    assert_int_equal(update(f, s, spec), SWKI_STATUS_OK);
}

static Swkpb__SecretReference *ref_to(struct f *f, const char *id,
                                      const char *name)
{
    Swkpb__SecretReference *ref = make(f, &swkpb__secret_reference__descriptor);

    ref->secret_id = copy(f, id);
    ref->secret_name = copy(f, name);
    ref->target_case = SWKPB__SECRET_REFERENCE__TARGET_FILE;
    ref->file = make(f, &swkpb__file_target__descriptor);
    ref->file->name = copy(f, name);
    return ref;
}

static void all_bad_references_are_named(void **state)
{
    struct f *f = *state;
    Swkpb__ServiceSpec *spec = service_spec(f, "web");
    Swkpb__SecretReference *refs[] = {ref_to(f, "s1", "right"),
                                      ref_to(f, "s1", "wrong"),
                                      ref_to(f, "s9", "missing")};
    Swkpb__Secret *secret = make(f, &swkpb__secret__descriptor);

    secret->id = copy(f, "s1");
    secret->spec = make(f, &swkpb__secret_spec__descriptor);
    secret->spec->annotations = make(f, &swkpb__annotations__descriptor);
    secret->spec->annotations->name = copy(f, "right");
    put(f, SWKI_KIND_SECRET, secret);
    spec->task->container->secrets = refs;
    spec->task->container->n_secrets = 3;
    assert_int_equal(try_create(f, spec), SWKI_STATUS_INVALID_ARGUMENT);
    assert_string_equal(text(f), "secrets not found: wrong, missing");
    spec->task->container->n_secrets = 1;
    create_service(f, spec);
}

static void defaults_are_shown_but_not_stored(void **state)
{
    struct f *f = *state;
    Swkpb__Service *s = create_service(f, service_spec(f, "web"));
    Swkpb__ServiceSpec *full = get(f, s->id, true)->spec;

    assert_int_equal(full->task->container->stop_grace_period->seconds, 10);
    assert_non_null(full->task->container->pull_options);
    assert_non_null(full->task->container->dns_config);
    assert_non_null(full->task->resources);
    assert_non_null(full->task->placement);
    assert_int_equal(full->task->restart->condition,
                     SWKPB__RESTART_POLICY__RESTART_CONDITION__ANY);
    assert_int_equal(full->task->restart->delay->seconds, 5);
    assert_int_equal(full->update->parallelism, 1);
    assert_int_equal(full->update->monitor->seconds, 5);
    assert_int_equal(full->rollback->parallelism, 1);
    assert_null(get(f, s->id, false)->spec->update);
    assert_null(get(f, s->id, false)->spec->task->restart);
}

static void a_retry_is_not_applied_twice(void **state)
{
    struct f *f = *state;

    snprintf(f->request_id, sizeof(f->request_id), "r1");
    Swkpb__Service *first = create_service(f, service_spec(f, "web"));
    uint64_t index = f->index;
    Swkpb__Service *again = create_service(f, service_spec(f, "web"));
    assert_string_equal(first->id, again->id);
    assert_int_equal(f->index, index);
    snprintf(f->request_id, sizeof(f->request_id), "r2");
    assert_int_equal(try_create(f, service_spec(f, "web")),
                     SWKI_STATUS_ALREADY_EXISTS);
}

static void a_retry_of_what_was_lost_is_applied(void **state)
{
    struct f *f = *state;
    Swkpb__CreateServiceRequest request = SWKPB__CREATE_SERVICE_REQUEST__INIT;

    snprintf(f->request_id, sizeof(f->request_id), "r1");
    request.spec = service_spec(f, "web");
    assert_int_equal(call(f, "CreateService", &request), SWKI_STATUS_OK);
    lose(f);
    Swkpb__Service *s = create_service(f, service_spec(f, "web"));
    assert_string_equal(get(f, s->id, false)->id, s->id);
}

static void another_leader_recognises_a_retry(void **state)
{
    struct f *f = *state;

    snprintf(f->request_id, sizeof(f->request_id), "r1");
    Swkpb__Service *first = create_service(f, service_spec(f, "web"));
    lead_anew(f);
    uint64_t index = f->index;
    Swkpb__Service *again = create_service(f, service_spec(f, "web"));
    assert_string_equal(first->id, again->id);
    assert_true(swki_message_equal(&first->base, &again->base));
    assert_int_equal(f->index, index);

    Swkpb__UpdateServiceRequest update = SWKPB__UPDATE_SERVICE_REQUEST__INIT;
    snprintf(f->request_id, sizeof(f->request_id), "r2");
    update.service_id = first->id;
    update.service_version = first->meta->version;
    update.spec = first->spec;
    update.spec->task->force_update = 1;
    assert_int_equal(call(f, "UpdateService", &update), SWKI_STATUS_OK);
    commit(f);
    lead_anew(f);
    index = f->index;
    assert_int_equal(call(f, "UpdateService", &update), SWKI_STATUS_OK);
    Swkpb__UpdateServiceResponse *updated =
        reply(f, &swkpb__update_service_response__descriptor);
    assert_int_equal(updated->service->spec->task->force_update, 1);
    assert_int_equal(f->index, index);
}

static void another_leader_knows_of_what_is_gone(void **state)
{
    struct f *f = *state;
    Swkpb__RemoveServiceRequest request = SWKPB__REMOVE_SERVICE_REQUEST__INIT;
    Swkpb__CreateServiceRequest create = SWKPB__CREATE_SERVICE_REQUEST__INIT;

    snprintf(f->request_id, sizeof(f->request_id), "r1");
    Swkpb__Service *s = create_service(f, service_spec(f, "web"));
    snprintf(f->request_id, sizeof(f->request_id), "r2");
    request.service_id = s->id;
    assert_int_equal(call(f, "RemoveService", &request), SWKI_STATUS_OK);
    commit(f);
    lead_anew(f);
    uint64_t index = f->index;
    assert_int_equal(call(f, "RemoveService", &request), SWKI_STATUS_OK);
    assert_int_equal(f->index, index);

    snprintf(f->request_id, sizeof(f->request_id), "r1");
    create.spec = service_spec(f, "web");
    assert_int_equal(call(f, "CreateService", &create), SWKI_STATUS_NOT_FOUND);
    assert_non_null(strstr(text(f), "was removed since"));
    assert_int_equal(f->index, index);
}

static void another_leader_applies_what_was_lost(void **state)
{
    struct f *f = *state;
    Swkpb__CreateServiceRequest request = SWKPB__CREATE_SERVICE_REQUEST__INIT;

    snprintf(f->request_id, sizeof(f->request_id), "r1");
    request.spec = service_spec(f, "web");
    assert_int_equal(call(f, "CreateService", &request), SWKI_STATUS_OK);
    lead_anew(f);
    uint64_t index = f->index;
    create_service(f, service_spec(f, "web"));
    assert_int_equal(f->index, index + 1);
}

static Swkpb__ListServiceStatusesResponse__ServiceStatus *
status_of(struct f *f, char *id)
{
    Swkpb__ListServiceStatusesRequest request =
        SWKPB__LIST_SERVICE_STATUSES_REQUEST__INIT;
    char *ids[] = {id, id};

    request.services = ids;
    request.n_services = 2;
    assert_int_equal(call(f, "ListServiceStatuses", &request), SWKI_STATUS_OK);
    Swkpb__ListServiceStatusesResponse *response =
        reply(f, &swkpb__list_service_statuses_response__descriptor);
    assert_int_equal(response->n_statuses, 2); /* as often as asked for */
    assert_string_equal(response->statuses[1]->service_id, id);
    return response->statuses[0];
}

static void statuses_count_tasks(void **state)
{
    struct f *f = *state;
    Swkpb__Service *s = create_service(f, service_spec(f, "web"));

    put(f, SWKI_KIND_TASK,
        task(f, "t1", s->id, "n1", SWKPB__TASK_STATE__RUNNING));
    put(f, SWKI_KIND_TASK,
        task(f, "t2", s->id, "n1", SWKPB__TASK_STATE__PREPARING));
    put(f, SWKI_KIND_TASK,
        task(f, "t3", "gone", "n1", SWKPB__TASK_STATE__RUNNING));
    assert_int_equal(status_of(f, s->id)->desired_tasks, 2);
    assert_int_equal(status_of(f, s->id)->running_tasks, 1);
    assert_int_equal(status_of(f, copy(f, "gone"))->desired_tasks, 0);
    assert_int_equal(status_of(f, copy(f, "gone"))->running_tasks, 1);
    assert_int_equal(status_of(f, copy(f, "never"))->running_tasks, 0);
}

static void a_job_counts_its_iteration_only(void **state)
{
    struct f *f = *state;
    Swkpb__ServiceSpec *spec = service_spec(f, "job");
    Swkpb__Task *t;

    spec->mode_case = SWKPB__SERVICE_SPEC__MODE_GLOBAL_JOB;
    spec->global_job = make(f, &swkpb__global_job__descriptor);
    Swkpb__Service *s = create_service(f, spec);
    assert_int_equal(update(f, s, spec), SWKI_STATUS_OK);
    t = task(f, "t1", s->id, "n1", SWKPB__TASK_STATE__COMPLETE);
    t->job_iteration = version(f, 0);
    put(f, SWKI_KIND_TASK, t);
    t = task(f, "t2", s->id, "n1", SWKPB__TASK_STATE__COMPLETE);
    t->job_iteration = version(f, 1);
    t->desired_state = SWKPB__TASK_STATE__COMPLETE;
    put(f, SWKI_KIND_TASK, t);
    t = task(f, "t3", s->id, "n2", SWKPB__TASK_STATE__RUNNING);
    t->job_iteration = version(f, 1);
    t->desired_state = SWKPB__TASK_STATE__COMPLETE;
    put(f, SWKI_KIND_TASK, t);
    assert_int_equal(status_of(f, s->id)->completed_tasks, 1);
    assert_int_equal(status_of(f, s->id)->running_tasks, 1);
    assert_int_equal(status_of(f, s->id)->desired_tasks, 1);
}

static size_t list_count(struct f *f, Swkpb__ListServicesRequest__Filters *by)
{
    Swkpb__ListServicesRequest request = SWKPB__LIST_SERVICES_REQUEST__INIT;

    request.filters = by;
    assert_int_equal(call(f, "ListServices", &request), SWKI_STATUS_OK);
    Swkpb__ListServicesResponse *response =
        reply(f, &swkpb__list_services_response__descriptor);
    return response->n_services;
}

static void lists_are_filtered(void **state)
{
    struct f *f = *state;
    Swkpb__ListServicesRequest__Filters by =
        SWKPB__LIST_SERVICES_REQUEST__FILTERS__INIT;
    Swkpb__ListServicesRequest__Filters__LabelsEntry wanted =
        SWKPB__LIST_SERVICES_REQUEST__FILTERS__LABELS_ENTRY__INIT;
    Swkpb__ListServicesRequest__Filters__LabelsEntry *labels[] = {&wanted};
    Swkpb__Annotations__LabelsEntry label =
        SWKPB__ANNOTATIONS__LABELS_ENTRY__INIT;
    Swkpb__Annotations__LabelsEntry *own[] = {&label};
    Swkpb__ServiceSpec *spec = service_spec(f, "web-1");
    char *prefixes[] = {copy(f, "web"), copy(f, "db"), copy(f, "WEB")};
    char *names[] = {copy(f, "web-1"), copy(f, "none")};
    char *runtimes[] = {copy(f, "generic")};

    label.key = copy(f, "zone");
    label.value = copy(f, "a");
    spec->annotations->labels = own;
    spec->annotations->n_labels = 1;
    create_service(f, spec);
    create_service(f, service_spec(f, "web-2"));
    create_service(f, service_spec(f, "db"));
    assert_int_equal(list_count(f, NULL), 3);
    by.name_prefixes = prefixes;
    by.n_name_prefixes = 2;
    assert_int_equal(list_count(f, &by), 3);
    by.n_name_prefixes = 1;
    assert_int_equal(list_count(f, &by), 2);
    by.names = names;
    by.n_names = 2;
    assert_int_equal(list_count(f, &by), 1); /* both kinds must hold */
    by.name_prefixes = prefixes + 2;
    assert_int_equal(list_count(f, &by), 0); /* letter case counts */
    by.n_names = by.n_name_prefixes = 0;
    wanted.key = copy(f, "zone");
    by.labels = labels;
    by.n_labels = 1;
    assert_int_equal(list_count(f, &by), 1);
    wanted.value = copy(f, "b");
    assert_int_equal(list_count(f, &by), 0);
    by.n_labels = 0;
    by.runtimes = runtimes;
    by.n_runtimes = 1;
    assert_int_equal(list_count(f, &by), 0);
}

static void removal_deletes_at_once(void **state)
{
    struct f *f = *state;
    Swkpb__RemoveServiceRequest request = SWKPB__REMOVE_SERVICE_REQUEST__INIT;
    Swkpb__Service *s = create_service(f, service_spec(f, "web"));

    assert_int_equal(call(f, "RemoveService", &request),
                     SWKI_STATUS_INVALID_ARGUMENT);
    request.service_id = s->id;
    assert_int_equal(call(f, "RemoveService", &request), SWKI_STATUS_OK);
    commit(f);
    assert_int_equal(call(f, "RemoveService", &request),
                     SWKI_STATUS_NOT_FOUND);
}

static void what_is_missing_says_so(void **state)
{
    static const char *const names[] = {"CreateNetwork", "ListVolumes",
                                        "CreateExtension", "ListResources",
                                        "NoSuchCall"};
    struct f *f = *state;
    Swkpb__ListServicesRequest request = SWKPB__LIST_SERVICES_REQUEST__INIT;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(call(f, names[i], &request),
                         SWKI_STATUS_UNIMPLEMENTED);
        assert_non_null(strstr(text(f), names[i]));
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(create_stores_the_spec_as_given),
        TEST(the_answer_waits_for_the_commit),
        TEST(a_name_is_taken_in_any_case),
        TEST(a_job_starts_with_iteration_0),
        TEST(update_keeps_the_previous_spec),
        TEST(update_refuses_a_stale_version),
        TEST(name_and_mode_cannot_change),
        TEST(rolling_back_twice_returns),
        TEST(ports_conflict_unless_both_are_of_the_host),
        TEST(an_allocated_port_conflicts_too),
        TEST(ingress_ports_need_an_ingress_network),
        TEST(services_do_not_attach_to_ingress),
        TEST(all_bad_references_are_named),
        TEST(defaults_are_shown_but_not_stored),
        TEST(a_retry_is_not_applied_twice),
        TEST(a_retry_of_what_was_lost_is_applied),
        TEST(another_leader_recognises_a_retry),
        TEST(another_leader_knows_of_what_is_gone),
        TEST(another_leader_applies_what_was_lost),
        TEST(statuses_count_tasks),
        TEST(a_job_counts_its_iteration_only),
        TEST(lists_are_filtered),
        TEST(removal_deletes_at_once),
        TEST(what_is_missing_says_so),
    };

    return cmocka_run_group_tests_name("control/services", tests, NULL, NULL);
}

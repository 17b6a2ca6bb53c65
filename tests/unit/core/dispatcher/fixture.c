/* SPDX-License-Identifier: Apache-2.0 */

#include "fixture.h"

/* -- Life ----------------------------------------------------------------- */

void f_init(struct f *f)
{
    memset(f, 0, sizeof(*f));
    swarm_init(&f->s, 0);
    heap_init(&f->heap);
    swki_answers_init(&f->answers, NULL);
    swki_arena_init(&f->arena, NULL, SIZE_MAX);
    f->address = "192.0.2.1:4711";
}

void f_fini(struct f *f)
{
    f_stop(f);
    for (size_t i = 0; i < f->records_count; i++) {
        free(f->records[i].data);
    }
    free(f->records);
    swki_answers_fini(&f->answers);
    swki_arena_fini(&f->arena);
    swarm_fini(&f->s);
    assert_int_equal(heap_live(&f->heap), 0);
}

void f_start(struct f *f)
{
    static const struct swki_dispatcher_manager managers[] = {
        {"m1", "192.0.2.11:4242"}, {"m2", "192.0.2.12:4242"}};
    struct swki_dispatcher_config config = {
        .alloc = &f->heap.alloc,
        .logger = &swarm_logger,
        .store = f->s.store,
        .node_id = "m1",
        .seed = f->s.index + 1,
        .orphan_after_ns = f->orphan_after,
        .events_max = f->events_max,
    };

    assert_int_equal(swki_dispatcher_new(&config, &f->d, NULL), 0);
    assert_int_equal(swki_dispatcher_set_managers(f->d, managers, 2, NULL), 0);
    assert_int_equal(
        swki_dispatcher_start(f->d, f->s.now, f->s.wall, NULL), 0);
    if (!f->s.manual) {
        swarm_commit(&f->s);
    }
}

void f_set_up(struct f *f)
{
    f_init(f);
    f_add_cluster(f);
    swarm_add_node(&f->s, "n1");
    swarm_add_node(&f->s, "n2");
    f_start(f);
}

static void take_answers(struct f *f)
{
    for (const struct swki_answer *answer = f->answers.first; answer != NULL;
         answer = answer->next) {
        struct record *record;

        if (f->records_count == f->records_size) {
            f->records_size = f->records_size * 2 + 64;
            f->records =
                realloc(f->records, f->records_size * sizeof(f->records[0]));
            assert_non_null(f->records);
        }
        record = &f->records[f->records_count++];
        memset(record, 0, sizeof(*record));
        record->call_id = answer->call_id;
        if (answer->message != NULL) {
            record->data = malloc(answer->message_len + 1);
            assert_non_null(record->data);
            memcpy(record->data, answer->message, answer->message_len);
            record->len = answer->message_len;
        }
        record->end = answer->end;
        record->status = answer->status;
        snprintf(record->text, sizeof(record->text), "%s", answer->text);
    }
    assert_false(f->answers.failed);
    swki_answers_reset(&f->answers);
}

void f_stop(struct f *f)
{
    if (f->d != NULL) {
        swki_dispatcher_stop(f->d, &f->answers);
        take_answers(f);
        swki_dispatcher_free(f->d);
        f->d = NULL;
    }
}

/* -- Time ----------------------------------------------------------------- */

void f_step(struct f *f)
{
    swki_dispatcher_step(f->d, f->s.now, f->s.wall, &f->answers);
    take_answers(f);
    if (!f->s.manual) {
        swarm_commit(&f->s);
    }
}

void f_settle(struct f *f)
{
    for (int i = 0; i < 100; i++) {
        if (!swki_dispatcher_pending(f->d) &&
            swki_dispatcher_deadline(f->d) > f->s.now) {
            return;
        }
        f_step(f);
    }
    fail_msg("the dispatcher does not come to rest");
}

void f_advance(struct f *f, swk_time span)
{
    swk_time end = f->s.now + span;

    f_settle(f);
    while (f->s.now < end) {
        swk_time next = swarm_earlier(swki_dispatcher_deadline(f->d), end);

        f->s.wall += (swk_wall)(next - f->s.now);
        f->s.now = next;
        f_settle(f);
    }
}

void f_commit(struct f *f)
{
    swarm_commit(&f->s);
    f_settle(f);
}

/* -- Calls ---------------------------------------------------------------- */

uint64_t f_call(struct f *f, const char *node_id, const char *method,
                const ProtobufCMessage *request)
{
    const struct swki_caller caller = {
        .node_id = node_id,
        .swarm_id = "swarm",
        .address = f->address,
        .request_id = "",
    };
    char path[64];
    const struct swki_call call = {
        .id = ++f->last_call,
        .path = path,
        .caller = &caller,
        .request = request,
    };

    snprintf(path, sizeof(path), "/docker.swarmkit.v1.Dispatcher/%s", method);
    swki_dispatcher_call(f->d, f->s.now, &call, &f->answers);
    take_answers(f);
    return call.id;
}

uint64_t f_session(struct f *f, const char *node_id, const char *session_id)
{
    Swkpb__SessionRequest request = SWKPB__SESSION_REQUEST__INIT;

    request.session_id = (char *)session_id;
    return f_call(f, node_id, SESSION, &request.base);
}

uint64_t f_beat(struct f *f, const char *node_id, const char *session_id)
{
    Swkpb__HeartbeatRequest request = SWKPB__HEARTBEAT_REQUEST__INIT;

    request.session_id = (char *)session_id;
    return f_call(f, node_id, HEARTBEAT, &request.base);
}

uint64_t f_assignments(struct f *f, const char *node_id,
                       const char *session_id)
{
    Swkpb__AssignmentsRequest request = SWKPB__ASSIGNMENTS_REQUEST__INIT;

    request.session_id = (char *)session_id;
    return f_call(f, node_id, ASSIGNMENTS, &request.base);
}

uint64_t f_report(struct f *f, const char *node_id, const char *session_id,
                  const char *task_id, Swkpb__TaskState state)
{
    Swkpb__UpdateTaskStatusRequest request =
        SWKPB__UPDATE_TASK_STATUS_REQUEST__INIT;
    Swkpb__UpdateTaskStatusRequest__TaskStatusUpdate update =
        SWKPB__UPDATE_TASK_STATUS_REQUEST__TASK_STATUS_UPDATE__INIT;
    Swkpb__UpdateTaskStatusRequest__TaskStatusUpdate *updates[] = {&update};
    Swkpb__TaskStatus status = SWKPB__TASK_STATUS__INIT;

    status.state = state;
    update.task_id = (char *)task_id;
    update.status = &status;
    request.session_id = (char *)session_id;
    request.updates = updates;
    request.n_updates = 1;
    return f_call(f, node_id, TASK_STATUS, &request.base);
}

const char *f_register(struct f *f, const char *node_id)
{
    uint64_t call = f_session(f, node_id, "");
    const Swkpb__SessionMessage *message;

    f_settle(f);
    message = f_next_session(f, call);
    assert_non_null(message);
    return message->session_id;
}

uint64_t f_attach(struct f *f, const char *node_id)
{
    uint64_t call = f_assignments(f, node_id, f_register(f, node_id));

    f_settle(f);
    return call;
}

/* -- Answers -------------------------------------------------------------- */

const void *f_next(struct f *f, uint64_t call_id,
                   const ProtobufCMessageDescriptor *type)
{
    for (size_t i = 0; i < f->records_count; i++) {
        struct record *record = &f->records[i];
        ProtobufCMessage *message;

        if (record->call_id != call_id || record->data == NULL ||
            record->read) {
            continue;
        }
        record->read = true;
        assert_int_equal(swki_message_unpack(type, record->data, record->len,
                                             &f->arena, &message, NULL),
                         0);
        return message;
    }
    return NULL;
}

const Swkpb__SessionMessage *f_next_session(struct f *f, uint64_t call_id)
{
    return f_next(f, call_id, &swkpb__session_message__descriptor);
}

const Swkpb__AssignmentsMessage *f_next_assignments(struct f *f,
                                                    uint64_t call_id)
{
    return f_next(f, call_id, &swkpb__assignments_message__descriptor);
}

static const struct record *find_end(const struct f *f, uint64_t call_id)
{
    for (size_t i = 0; i < f->records_count; i++) {
        if (f->records[i].call_id == call_id && f->records[i].end) {
            return &f->records[i];
        }
    }
    return NULL;
}

int f_status(const struct f *f, uint64_t call_id)
{
    const struct record *record = find_end(f, call_id);

    return record != NULL ? (int)record->status : -1;
}

const char *f_text(const struct f *f, uint64_t call_id)
{
    const struct record *record = find_end(f, call_id);

    return record != NULL ? record->text : "";
}

/* -- Objects -------------------------------------------------------------- */

static Swkpb__Annotations *named(struct swki_object *object, const char *name)
{
    Swkpb__Annotations *annotations = swarm_new(object, sizeof(*annotations));

    swkpb__annotations__init(annotations);
    annotations->name = swarm_text(object, name);
    return annotations;
}

void f_add_cluster(struct f *f)
{
    struct swki_object *object = swki_object_new(NULL, SWKI_KIND_CLUSTER);
    Swkpb__Cluster *cluster = swki_cluster_edit(object);

    cluster->id = swarm_text(object, "cluster");
    cluster->spec = swarm_new(object, sizeof(*cluster->spec));
    swkpb__cluster_spec__init(cluster->spec);
    cluster->spec->annotations = named(object, "default");
    cluster->root_ca = swarm_new(object, sizeof(*cluster->root_ca));
    swkpb__root_ca__init(cluster->root_ca);
    cluster->root_ca->ca_cert.data = (uint8_t *)swarm_text(object, "roots");
    cluster->root_ca->ca_cert.len = 5;
    swarm_create(&f->s, SWKI_ACTOR_BOOTSTRAP, object);
}

void f_set_period(struct f *f, swk_time period)
{
    struct swki_object *object =
        swarm_edit(&f->s, SWKI_KIND_CLUSTER, "cluster");
    Swkpb__Cluster *cluster = swki_cluster_edit(object);

    swki_object_own(object, &cluster->spec);
    cluster->spec->dispatcher =
        swarm_new(object, sizeof(*cluster->spec->dispatcher));
    swkpb__dispatcher_config__init(cluster->spec->dispatcher);
    cluster->spec->dispatcher->heartbeat_period =
        swarm_duration(object, period);
    swarm_update(&f->s, SWKI_ACTOR_CONTROL, object);
}

struct swki_object *f_make_task(const char *id, const char *node_id)
{
    struct swki_object *object = swki_object_new(NULL, SWKI_KIND_TASK);
    Swkpb__Task *task = swki_task_edit(object);

    task->id = swarm_text(object, id);
    task->node_id = swarm_text(object, node_id);
    task->service_id = swarm_text(object, "service");
    task->desired_state = RUNNING;
    task->spec = swarm_new(object, sizeof(*task->spec));
    swkpb__task_spec__init(task->spec);
    task->spec->runtime_case = SWKPB__TASK_SPEC__RUNTIME_CONTAINER;
    task->spec->container = swarm_new(object, sizeof(*task->spec->container));
    swkpb__container_spec__init(task->spec->container);
    task->status = swarm_new(object, sizeof(*task->status));
    swkpb__task_status__init(task->status);
    return object;
}

static void move_task(struct f *f, enum swki_actor actor, const char *id,
                      const char *node_id, Swkpb__TaskState state)
{
    struct swki_object *object = swarm_edit(&f->s, SWKI_KIND_TASK, id);
    Swkpb__Task *task = swki_task_edit(object);

    swki_object_own(object, &task->status);
    task->status->state = state;
    task->node_id = swarm_text(object, node_id);
    swarm_update(&f->s, actor, object);
}

void f_place_task(struct f *f, struct swki_object *object, const char *node_id)
{
    char id[SWK_ID_LEN_MAX + 1];

    snprintf(id, sizeof(id), "%s", swki_task(object)->id);
    swarm_create(&f->s, SWKI_ACTOR_ORCHESTRATOR, object);
    move_task(f, SWKI_ACTOR_ALLOCATOR, id, "", PENDING);
    move_task(f, SWKI_ACTOR_SCHEDULER, id, node_id, ASSIGNED);
}

void f_add_task(struct f *f, const char *id, const char *node_id)
{
    f_place_task(f, f_make_task(id, ""), node_id);
}

void f_delete_task(struct f *f, const char *id)
{
    swarm_delete(&f->s, SWKI_ACTOR_ORCHESTRATOR, SWKI_KIND_TASK, id);
}

void f_add_secret(struct f *f, const char *id)
{
    struct swki_object *object = swki_object_new(NULL, SWKI_KIND_SECRET);
    Swkpb__Secret *secret = swki_secret_edit(object);

    secret->id = swarm_text(object, id);
    secret->spec = swarm_new(object, sizeof(*secret->spec));
    swkpb__secret_spec__init(secret->spec);
    secret->spec->annotations = named(object, id);
    swarm_create(&f->s, SWKI_ACTOR_CONTROL, object);
}

void f_add_config(struct f *f, const char *id)
{
    struct swki_object *object = swki_object_new(NULL, SWKI_KIND_CONFIG);
    Swkpb__Config *config = swki_config_edit(object);

    config->id = swarm_text(object, id);
    config->spec = swarm_new(object, sizeof(*config->spec));
    swkpb__config_spec__init(config->spec);
    config->spec->annotations = named(object, id);
    swarm_create(&f->s, SWKI_ACTOR_CONTROL, object);
}

Swkpb__TaskState f_task_state(const struct f *f, const char *id)
{
    return swki_task_state(swki_task(swarm_get(&f->s, SWKI_KIND_TASK, id)));
}

const Swkpb__Node *f_node(const struct f *f, const char *id)
{
    return swki_node(swarm_get(&f->s, SWKI_KIND_NODE, id));
}

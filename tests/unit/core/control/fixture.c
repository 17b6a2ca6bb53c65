/* SPDX-License-Identifier: Apache-2.0 */

#include "fixture.h"

#include "base/error.h"

#include "raft.pb-c.h"

/* -- The log -------------------------------------------------------------- */

static uint64_t next_index(void *ctx)
{
    const struct f *f = ctx;

    return f->index + 1;
}

static int propose(void *ctx, const uint8_t *data, size_t len,
                   struct swk_error *err)
{
    struct f *f = ctx;
    struct swki_buf *entry = &f->entries[(f->index + 1) % ENTRIES_MAX];

    (void)err;
    swki_buf_fini(entry);
    swki_buf_init(entry, NULL, SIZE_MAX);
    assert_true(swki_buf_append(entry, data, len));
    f->index++;
    return SWK_OK;
}

void commit(struct f *f)
{
    while (f->applied < f->index) {
        const struct swki_buf *entry =
            &f->entries[++f->applied % ENTRIES_MAX];
        struct swk_error err = {0};

        if (swki_store_apply(f->store, f->applied, entry->data, entry->len,
                             &err) != SWK_OK) {
            fail_msg("apply: %s", err.text);
        }
    }
}

void lose(struct f *f)
{
    swki_store_lose_leadership(f->store);
    swki_control_lose_leadership(f->control);
    f->index = f->applied;
}

/* -- The machine ---------------------------------------------------------- */

static int fill(void *ctx, void *out_data, size_t len)
{
    struct f *f = ctx;

    memset(out_data, f->entropy++, len);
    return 0;
}

static size_t list_members(void *ctx,
                           const struct swki_control_member **out_members)
{
    struct f *f = ctx;

    *out_members = f->members;
    return f->members_count;
}

/* Those left that are reachable are a majority. */
static bool can_remove(void *ctx, uint64_t raft_id)
{
    const struct f *f = ctx;
    size_t left = 0;

    for (size_t i = 0; i < f->members_count; i++) {
        left += f->members[i].raft_id != raft_id &&
                f->members[i].reachability ==
                    SWKPB__RAFT_MEMBER_STATUS__REACHABILITY__REACHABLE;
    }
    return left >= (f->members_count - 1) / 2 + 1;
}

static struct swk_entropy entropy = {sizeof(entropy), NULL, fill};

static void put_cluster(struct f *f)
{
    Swkpb__Cluster *cluster = make(f, &swkpb__cluster__descriptor);

    cluster->id = copy(f, "cluster1");
    cluster->spec = make(f, &swkpb__cluster_spec__descriptor);
    cluster->spec->annotations = make(f, &swkpb__annotations__descriptor);
    cluster->spec->annotations->name = copy(f, "default");
    cluster->root_ca = make(f, &swkpb__root_ca__descriptor);
    cluster->root_ca->ca_cert =
        (ProtobufCBinaryData){11, (uint8_t *)copy(f, "hello root\n")};
    cluster->root_ca->ca_key =
        (ProtobufCBinaryData){10, (uint8_t *)copy(f, "KEYKEYKEY1")};
    cluster->root_ca->join_tokens = make(f, &swkpb__join_tokens__descriptor);
    cluster->root_ca->join_tokens->worker = copy(f, "old worker token");
    cluster->root_ca->join_tokens->manager = copy(f, "old manager token");
    cluster->n_unlock_keys = 1;
    cluster->unlock_keys =
        swki_arena_calloc(&f->arena, 1, sizeof(Swkpb__EncryptionKey *));
    cluster->unlock_keys[0] = make(f, &swkpb__encryption_key__descriptor);
    cluster->unlock_keys[0]->key =
        (ProtobufCBinaryData){10, (uint8_t *)copy(f, "KEYKEYKEY2")};
    put(f, SWKI_KIND_CLUSTER, cluster);
}

/* There is one driver of secrets. */
static int find_driver(void *ctx, const char *name, struct swk_error *err)
{
    (void)ctx;
    return strcmp(name, "vault") == 0
               ? SWK_OK
               : swki_fail(err, SWK_ENOTFOUND, "no such plugin");
}

void lead_anew(struct f *f)
{
    const struct swki_control_config config = {
        .store = f->store,
        .seed = ++f->seed,
        .entropy = &entropy,
        .members = list_members,
        .can_remove = can_remove,
        .members_ctx = f,
        .find_driver = find_driver,
    };

    swki_store_lose_leadership(f->store);
    f->index = f->applied;
    swki_control_free(f->control);
    assert_int_equal(swki_control_new(&config, &f->control, NULL), SWK_OK);
}

int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));
    const struct swki_store_config store_config = {
        .proposer = {f, next_index, propose}};

    assert_non_null(f);
    swki_answers_init(&f->answers, NULL);
    swki_arena_init(&f->arena, NULL, SIZE_MAX);
    assert_int_equal(swki_store_new(&store_config, &f->store, NULL), SWK_OK);
    entropy.ctx = f;
    lead_anew(f);
    put_cluster(f);
    *state = f;
    return 0;
}

int tear_down(void **state)
{
    struct f *f = *state;

    swki_control_free(f->control);
    swki_store_free(f->store);
    swki_answers_fini(&f->answers);
    swki_arena_fini(&f->arena);
    for (size_t i = 0; i < ENTRIES_MAX; i++) {
        swki_buf_fini(&f->entries[i]);
    }
    free(f);
    return 0;
}

enum swki_status call(struct f *f, const char *method, const void *request)
{
    const struct swki_caller caller = {
        .node_id = "",
        .swarm_id = "",
        .local = true,
        .address = "",
        .request_id = f->request_id,
    };
    char path[128];
    const struct swki_call c = {
        .id = 7, .path = path, .caller = &caller, .request = request};

    snprintf(path, sizeof(path), "/docker.swarmkit.v1.Control/%s", method);
    swki_answers_reset(&f->answers);
    swki_control_call(f->control, TEST_WALL, &c, &f->answers);
    assert_non_null(f->answers.first);
    assert_null(f->answers.first->next);
    assert_true(f->answers.first->end);
    assert_int_equal(f->answers.first->call_id, 7);
    return f->answers.first->status;
}

void *reply(struct f *f, const ProtobufCMessageDescriptor *type)
{
    ProtobufCMessage *message;

    assert_int_equal(f->answers.first->status, SWKI_STATUS_OK);
    assert_int_equal(swki_message_unpack(type, f->answers.first->message,
                                         f->answers.first->message_len,
                                         &f->arena, &message, NULL),
                     SWK_OK);
    return message;
}

const char *text(const struct f *f)
{
    return f->answers.first->text;
}

/* -- Objects -------------------------------------------------------------- */

void *make(struct f *f, const ProtobufCMessageDescriptor *type)
{
    void *message = swki_arena_alloc(&f->arena, type->sizeof_message);

    assert_non_null(message);
    type->message_init(message);
    return message;
}

char *copy(struct f *f, const char *from)
{
    return swki_arena_strdup(&f->arena, from);
}

static unsigned target_of(enum swki_kind kind)
{
    static const unsigned targets[SWKI_KINDS_COUNT] = {
        [SWKI_KIND_NODE] = SWKPB__STORE_ACTION__TARGET_NODE,
        [SWKI_KIND_SERVICE] = SWKPB__STORE_ACTION__TARGET_SERVICE,
        [SWKI_KIND_TASK] = SWKPB__STORE_ACTION__TARGET_TASK,
        [SWKI_KIND_NETWORK] = SWKPB__STORE_ACTION__TARGET_NETWORK,
        [SWKI_KIND_CLUSTER] = SWKPB__STORE_ACTION__TARGET_CLUSTER,
        [SWKI_KIND_SECRET] = SWKPB__STORE_ACTION__TARGET_SECRET,
        [SWKI_KIND_CONFIG] = SWKPB__STORE_ACTION__TARGET_CONFIG,
    };

    return targets[kind];
}

static void store_action(struct f *f, enum swki_kind kind, const void *message,
                         Swkpb__StoreActionKind action_kind)
{
    Swkpb__InternalRaftRequest entry = SWKPB__INTERNAL_RAFT_REQUEST__INIT;
    Swkpb__StoreAction action = SWKPB__STORE_ACTION__INIT;
    Swkpb__StoreAction *actions[] = {&action};
    const ProtobufCFieldDescriptor *meta_field =
        protobuf_c_message_descriptor_get_field_by_name(
            ((const ProtobufCMessage *)message)->descriptor, "meta");
    Swkpb__Meta *meta = make(f, &swkpb__meta__descriptor);
    struct swki_buf data;
    struct swk_error err = {0};

    meta->version = version(f, f->index + 1);
    *(Swkpb__Meta **)(void *)((char *)(uintptr_t)message +
                              meta_field->offset) = meta;
    action.action = action_kind;
    action.target_case = (Swkpb__StoreAction__TargetCase)target_of(kind);
    action.node = (Swkpb__Node *)(uintptr_t)message;
    entry.id = f->index + 1;
    entry.n_action = 1;
    entry.action = actions;
    swki_buf_init(&data, NULL, SIZE_MAX);
    assert_int_equal(swki_message_pack(&entry.base, &data, NULL), SWK_OK);
    f->applied = ++f->index;
    if (swki_store_apply(f->store, f->index, data.data, data.len, &err) !=
        SWK_OK) {
        fail_msg("put: %s", err.text);
    }
    swki_buf_fini(&data);
}

/* As an entry of another leader, so that no policy is in the way. */
void put(struct f *f, enum swki_kind kind, const void *message)
{
    store_action(f, kind, message, SWKPB__STORE_ACTION_KIND__STORE_ACTION_CREATE);
}

void change(struct f *f, enum swki_kind kind, const void *message)
{
    store_action(f, kind, message, SWKPB__STORE_ACTION_KIND__STORE_ACTION_UPDATE);
}

Swkpb__ServiceSpec *service_spec(struct f *f, const char *name)
{
    Swkpb__ServiceSpec *spec = make(f, &swkpb__service_spec__descriptor);

    spec->annotations = make(f, &swkpb__annotations__descriptor);
    spec->annotations->name = copy(f, name);
    spec->task = make(f, &swkpb__task_spec__descriptor);
    spec->task->runtime_case = SWKPB__TASK_SPEC__RUNTIME_CONTAINER;
    spec->task->container = make(f, &swkpb__container_spec__descriptor);
    spec->task->container->image = copy(f, "host");
    spec->mode_case = SWKPB__SERVICE_SPEC__MODE_REPLICATED;
    spec->replicated = make(f, &swkpb__replicated_service__descriptor);
    spec->replicated->replicas = 2;
    return spec;
}

enum swki_status try_create(struct f *f, Swkpb__ServiceSpec *spec)
{
    Swkpb__CreateServiceRequest request = SWKPB__CREATE_SERVICE_REQUEST__INIT;

    request.spec = spec;
    enum swki_status status = call(f, "CreateService", &request);
    commit(f);
    return status;
}

Swkpb__Service *create_service(struct f *f, Swkpb__ServiceSpec *spec)
{
    enum swki_status status = try_create(f, spec);

    if (status != SWKI_STATUS_OK) {
        fail_msg("create: %s", text(f));
    }
    Swkpb__CreateServiceResponse *response =
        reply(f, &swkpb__create_service_response__descriptor);
    return response->service;
}

Swkpb__Duration *duration_ms(struct f *f, int64_t ms)
{
    return swki_duration_from_ns(ms * 1000000, &f->arena);
}

Swkpb__Version *version(struct f *f, uint64_t index)
{
    Swkpb__Version *v = make(f, &swkpb__version__descriptor);

    v->index = index;
    return v;
}

Swkpb__Node *node(struct f *f, const char *id, Swkpb__NodeStatus__State state)
{
    Swkpb__Node *n = make(f, &swkpb__node__descriptor);

    n->id = copy(f, id);
    n->spec = make(f, &swkpb__node_spec__descriptor);
    n->spec->membership = SWKPB__NODE_SPEC__MEMBERSHIP__ACCEPTED;
    n->status = make(f, &swkpb__node_status__descriptor);
    n->status->state = state;
    n->description = make(f, &swkpb__node_description__descriptor);
    n->description->hostname = copy(f, id);
    return n;
}

Swkpb__Task *task(struct f *f, const char *id, const char *service_id,
                  const char *node_id, Swkpb__TaskState state)
{
    Swkpb__Task *t = make(f, &swkpb__task__descriptor);

    t->id = copy(f, id);
    t->service_id = copy(f, service_id);
    t->node_id = copy(f, node_id);
    t->desired_state = SWKPB__TASK_STATE__RUNNING;
    t->status = make(f, &swkpb__task_status__descriptor);
    t->status->state = state;
    return t;
}

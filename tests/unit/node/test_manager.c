/* SPDX-License-Identifier: Apache-2.0 */

/* A manager as a machine: its log in memory, its callers by hand. */

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "control.pb-c.h"
#include "core/ca/bootstrap.h"
#include "dispatcher.pb-c.h"
#include "lib/heap.h"
#include "memory_storage.h"
#include "node/manager/manager.h"
#include "unit/crypto/pki.h"
#include "wire/message.h"

#define CREATE_CONFIG "/docker.swarmkit.v1.Control/CreateConfig"
#define LIST_CONFIGS "/docker.swarmkit.v1.Control/ListConfigs"
#define SESSION "/docker.swarmkit.v1.Dispatcher/Session"

#define FOUNDER "founder000000000000000000"

/* How a call ended, or what it was sent last. */
struct record {
    uint64_t call_id;
    bool end;
    enum swki_status status;
    char text[SWK_ERROR_TEXT_SIZE];
    uint8_t *message;
    size_t message_len;
};

enum {
    RECORDS = 8192,
};

struct f {
    struct pki pki;
    struct heap heap;
    struct memory_storage storage;
    struct swk_clock clock;
    swk_time now;
    const char *node_id;
    struct swki_manager *manager;
    struct swki_arena arena;
    struct record records[RECORDS]; /* by call, newest answer */
    uint64_t last_call;
    uint64_t snapshot_interval;
    const char *removed; /* a node that was removed from the swarm, or NULL */
};

static swk_time clock_now(void *ctx)
{
    return ((struct f *)ctx)->now;
}

static swk_wall clock_wall(void *ctx)
{
    return PKI_NOW + (swk_wall)((struct f *)ctx)->now;
}

static void take_answer(void *ctx, const struct swki_answer *answer)
{
    struct f *f = ctx;
    struct record *record = &f->records[answer->call_id];

    assert_true(answer->call_id < RECORDS);
    assert_false(record->end);
    if (answer->message != NULL) {
        free(record->message);
        record->message = malloc(answer->message_len + 1);
        assert_non_null(record->message);
        memcpy(record->message, answer->message, answer->message_len);
        record->message_len = answer->message_len;
    }
    record->end = answer->end;
    record->status = answer->status;
    snprintf(record->text, sizeof(record->text), "%s", answer->text);
}

/* -- Life ----------------------------------------------------------------- */

static void remove_node(struct swki_object *object, const char *node_id)
{
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__Cluster *cluster = swki_cluster_edit(object);
    Swkpb__Cluster__BlacklistedCertificatesEntry *entry =
        swki_arena_calloc(arena, 1, sizeof(*entry));

    swkpb__cluster__blacklisted_certificates_entry__init(entry);
    entry->key = swki_arena_strdup(arena, node_id);
    entry->value = swki_arena_calloc(arena, 1, sizeof(*entry->value));
    swkpb__blacklisted_certificate__init(entry->value);
    cluster->blacklisted_certificates =
        swki_arena_calloc(arena, 1, sizeof(entry));
    cluster->blacklisted_certificates[0] = entry;
    cluster->n_blacklisted_certificates = 1;
}

static struct swki_object *make_cluster(struct f *f)
{
    const struct swki_ca_bootstrap bootstrap = {
        .cluster_id = PKI_SWARM,
        .node_id = FOUNDER,
        .root_certificate = swki_pem_of_buf(&f->pki.root),
        .root_key = swki_pem_of_buf(&f->pki.key),
        .entropy = &f->pki.entropy,
    };
    struct swki_object *object = swki_object_new(NULL, SWKI_KIND_CLUSTER);
    Swkpb__Cluster *cluster = swki_cluster_edit(object);

    assert_int_equal(swki_ca_bootstrap_cluster(&bootstrap,
                                               swki_object_arena(object),
                                               cluster, NULL),
                     0);
    if (f->snapshot_interval != 0) {
        cluster->spec->raft->snapshot_interval = f->snapshot_interval;
        cluster->spec->raft->log_entries_for_slow_followers = 1;
    }
    if (f->removed != NULL) {
        remove_node(object, f->removed);
    }
    return object;
}

static struct swki_object *make_node(void)
{
    struct swki_object *object = swki_object_new(NULL, SWKI_KIND_NODE);
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__Node *node = swki_node_edit(object);

    node->id = swki_arena_strdup(arena, FOUNDER);
    node->spec = swki_arena_calloc(arena, 1, sizeof(*node->spec));
    swkpb__node_spec__init(node->spec);
    node->spec->annotations =
        swki_arena_calloc(arena, 1, sizeof(*node->spec->annotations));
    swkpb__annotations__init(node->spec->annotations);
    return object;
}

/* A manager that is alone sends nothing. */
static void take_message(void *ctx, const struct swk_raft_message *message)
{
    (void)ctx;
    (void)message;
    fail();
}

static const char *const own_addresses[] = {"192.0.2.1:4242"};

/* found: with the first objects of a swarm. */
static int try_start(struct f *f, bool found, struct swk_error *err)
{
    struct swki_manager_config config = {
        .alloc = &f->heap.alloc,
        .clock = &f->clock,
        .entropy = &f->pki.entropy,
        .storage = &f->storage.port,
        .node_id = f->node_id,
        .swarm_id = PKI_SWARM,
        .addresses = own_addresses,
        .addresses_count = 1,
        .seed = 1,
        .answer = take_answer,
        .answer_ctx = f,
        .send = take_message,
        .send_ctx = f,
    };
    int rc;

    if (found) {
        config.cluster = make_cluster(f);
        config.node = make_node();
    }
    rc = swki_manager_new(&config, &f->manager, err);
    if (rc == 0 && found && swki_manager_raft_id(f->manager) == 0) {
        rc = swki_manager_found(f->manager, 1, err);
    }
    return rc;
}

static struct f *f_new(void)
{
    struct f *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    pki_init(&f->pki, 7);
    heap_init(&f->heap);
    memory_storage_init(&f->storage);
    swki_arena_init(&f->arena, NULL, SIZE_MAX);
    f->clock = (struct swk_clock){sizeof(f->clock), f, clock_now, clock_wall};
    f->now = SWK_SECOND;
    f->node_id = FOUNDER;
    return f;
}

static void f_free(struct f *f)
{
    swki_manager_free(f->manager);
    assert_int_equal(heap_live(&f->heap), 0);
    for (size_t i = 0; i < RECORDS; i++) {
        free(f->records[i].message);
    }
    memory_storage_fini(&f->storage);
    swki_arena_fini(&f->arena);
    pki_fini(&f->pki);
    free(f);
}

/* Turns without a word from the storage. */
static swk_time turn(struct f *f)
{
    swk_time deadline;
    int turns = 0;

    do {
        deadline = swki_manager_turn(f->manager, f->now);
        assert_true(++turns < 1000);
    } while (deadline <= f->now);
    return deadline;
}

/* Turns until nothing is left to do at this time. */
static void settle(struct f *f)
{
    uint64_t ticket;

    turn(f);
    while ((ticket = memory_storage_complete(&f->storage)) != 0) {
        swki_manager_stored(f->manager, ticket, 0, NULL);
        turn(f);
    }
}

static void settle_for(struct f *f, swk_time span)
{
    swk_time end = f->now + span;

    settle(f);
    while (f->now < end) {
        swk_time deadline = turn(f);

        f->now = deadline < end ? deadline : end;
        settle(f);
    }
}

static void found(struct f *f)
{
    assert_int_equal(try_start(f, true, NULL), 0);
    settle_for(f, 5 * SWK_SECOND);
    assert_true(swki_manager_leads(f->manager));
}

static void restart(struct f *f)
{
    swki_manager_free(f->manager);
    f->manager = NULL;
    memory_storage_crash(&f->storage);
    assert_int_equal(try_start(f, false, NULL), 0);
    settle_for(f, 5 * SWK_SECOND);
    assert_true(swki_manager_leads(f->manager));
}

/* -- Calls ---------------------------------------------------------------- */

static const struct swki_caller local_caller = {
    .node_id = "",
    .swarm_id = "",
    .local = true,
    .address = "",
    .request_id = "",
};

static uint64_t call_as(struct f *f, const struct swki_caller *caller,
                        const char *path, const ProtobufCMessage *request)
{
    uint8_t data[4096];
    const struct swki_manager_call call = {
        .id = ++f->last_call,
        .path = path,
        .caller = caller,
        .request = data,
        .request_len =
            request != NULL ? protobuf_c_message_pack(request, data) : 0,
    };

    swki_manager_call(f->manager, f->now, &call);
    return call.id;
}

static uint64_t create_config(struct f *f, const char *name)
{
    Swkpb__CreateConfigRequest request = SWKPB__CREATE_CONFIG_REQUEST__INIT;
    Swkpb__ConfigSpec spec = SWKPB__CONFIG_SPEC__INIT;
    Swkpb__Annotations annotations = SWKPB__ANNOTATIONS__INIT;

    annotations.name = (char *)name;
    spec.annotations = &annotations;
    spec.data.data = (uint8_t *)"data";
    spec.data.len = 4;
    request.spec = &spec;
    return call_as(f, &local_caller, CREATE_CONFIG, &request.base);
}

static int compare_names(const void *a, const void *b)
{
    const Swkpb__Config *const *x = a;
    const Swkpb__Config *const *y = b;

    return strcmp((*x)->spec->annotations->name, (*y)->spec->annotations->name);
}

/* The names of all configs, sorted, each followed by a blank. */
static const char *config_names(struct f *f)
{
    static char names[2048];
    Swkpb__ListConfigsRequest request = SWKPB__LIST_CONFIGS_REQUEST__INIT;
    uint64_t call = call_as(f, &local_caller, LIST_CONFIGS, &request.base);
    const Swkpb__ListConfigsResponse *response;
    ProtobufCMessage *message;

    settle(f);
    assert_true(f->records[call].end);
    assert_int_equal(f->records[call].status, SWKI_STATUS_OK);
    assert_int_equal(
        swki_message_unpack(&swkpb__list_configs_response__descriptor,
                            f->records[call].message,
                            f->records[call].message_len, &f->arena, &message,
                            NULL),
        0);
    response = (const Swkpb__ListConfigsResponse *)message;
    if (response->n_configs > 0) {
        qsort(response->configs, response->n_configs,
              sizeof(response->configs[0]), compare_names);
    }
    names[0] = '\0';
    for (size_t i = 0; i < response->n_configs; i++) {
        snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s ",
                 response->configs[i]->spec->annotations->name);
    }
    return names;
}

/* -- The log -------------------------------------------------------------- */

static void a_new_swarm_begins_when_its_first_entry_is_durable(void **state)
{
    struct f *f = f_new();

    (void)state;
    assert_int_equal(try_start(f, true, NULL), 0);
    f->now += 20 * SWK_SECOND; /* long past any election */
    turn(f);
    assert_false(swki_manager_has_cluster(f->manager));
    settle_for(f, 5 * SWK_SECOND);
    assert_true(swki_manager_leads(f->manager));
    assert_true(swki_manager_has_cluster(f->manager));
    assert_null(swki_manager_failure(f->manager));
    f_free(f);
}

static void a_founding_that_was_cut_short_goes_on(void **state)
{
    struct f *f = f_new();

    (void)state;
    assert_int_equal(try_start(f, true, NULL), 0);
    for (int i = 0; i < 2; i++) {
        bool founder = i == 1;

        swki_manager_free(f->manager);
        f->manager = NULL;
        memory_storage_crash(&f->storage);
        assert_int_equal(try_start(f, founder, NULL), 0);
        assert_int_equal(swki_manager_raft_id(f->manager), 1);
        settle_for(f, 20 * SWK_SECOND);
        /* Another one's first entries come from who let it join. */
        assert_int_equal(swki_manager_leads(f->manager), founder);
    }
    assert_true(swki_manager_has_cluster(f->manager));
    restart(f);
    f_free(f);
}

static void a_manager_with_an_empty_log_waits_to_be_told_its_number(void **state)
{
    struct f *f = f_new();

    (void)state;
    assert_int_equal(try_start(f, false, NULL), 0);
    assert_int_equal(swki_manager_raft_id(f->manager), 0);
    settle_for(f, 20 * SWK_SECOND);
    assert_null(swki_manager_failure(f->manager));
    assert_false(swki_manager_leads(f->manager));
    assert_int_equal(swki_manager_join(f->manager, 7, NULL), 0);
    assert_int_equal(swki_manager_raft_id(f->manager), 7);
    settle_for(f, 20 * SWK_SECOND); /* it is in no configuration yet */
    assert_false(swki_manager_leads(f->manager));
    f_free(f);
}

static void a_reply_waits_until_its_entry_is_durable(void **state)
{
    struct f *f = f_new();
    uint64_t call;
    uint64_t ticket;

    (void)state;
    found(f);
    call = create_config(f, "one");
    turn(f);
    f->now += 50 * SWK_MILLISECOND;
    turn(f);
    assert_false(f->records[call].end);
    ticket = memory_storage_complete(&f->storage);
    assert_true(ticket != 0);
    swki_manager_stored(f->manager, ticket, 0, NULL);
    settle(f);
    assert_true(f->records[call].end);
    assert_int_equal(f->records[call].status, SWKI_STATUS_OK);
    assert_string_equal(config_names(f), "one ");
    f_free(f);
}

static void calls_before_it_leads_are_unavailable(void **state)
{
    struct f *f = f_new();
    uint64_t call;

    (void)state;
    assert_int_equal(try_start(f, true, NULL), 0);
    call = create_config(f, "one");
    assert_true(f->records[call].end);
    assert_int_equal(f->records[call].status, SWKI_STATUS_UNAVAILABLE);
    f_free(f);
}

static void a_restart_gives_what_was_durable(void **state)
{
    struct f *f = f_new();

    (void)state;
    found(f);
    create_config(f, "a");
    create_config(f, "b");
    settle(f);
    create_config(f, "lost");
    turn(f); /* proposed, never durable */
    restart(f);
    assert_string_equal(config_names(f), "a b ");
    create_config(f, "c");
    restart(f); /* not even proposed */
    create_config(f, "d");
    settle(f);
    restart(f);
    assert_string_equal(config_names(f), "a b d ");
    f_free(f);
}

static void a_restart_from_a_snapshot_gives_the_same(void **state)
{
    struct f *f = f_new();
    char name[16];
    char before[2048];

    (void)state;
    f->snapshot_interval = 5; /* the cluster's setting reaches the log */
    found(f);
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "config%02d", i);
        create_config(f, name);
        settle(f);
    }
    assert_true(f->storage.meta.is.index > 15);
    snprintf(before, sizeof(before), "%s", config_names(f));
    restart(f);
    assert_string_equal(config_names(f), before);
    /* The setting is in force after a restart too. */
    for (int i = 20; i < 40; i++) {
        snprintf(name, sizeof(name), "config%02d", i);
        create_config(f, name);
        settle(f);
    }
    assert_true(f->storage.meta.is.index > 35);
    f_free(f);
}

/* A member that comes back with another log may have voted, and acknowledged
 * entries, of which it knows nothing any more. */
static void r_boo_5_only_the_log_of_this_very_node_is_taken(void **state)
{
    struct f *f = f_new();
    struct swk_error err = {0};

    (void)state;
    found(f);
    swki_manager_free(f->manager);
    f->manager = NULL;
    memory_storage_crash(&f->storage);
    f->node_id = "another00000000000000000";
    assert_int_equal(try_start(f, false, &err), SWK_ECORRUPT);
    assert_non_null(strstr(err.text, FOUNDER));
    f->node_id = FOUNDER;
    f->storage.identity_len = 0; /* it does not say whose it is */
    assert_int_equal(try_start(f, false, &err), SWK_ECORRUPT);
    f_free(f);
}

/* Wiped, it does not remember its number, and waits for a new one. */
static void r_boo_5_who_lost_its_log_does_not_come_back_as_itself(void **state)
{
    struct f *f = f_new();

    (void)state;
    found(f);
    swki_manager_free(f->manager);
    f->manager = NULL;
    memory_storage_fini(&f->storage);
    memory_storage_init(&f->storage);
    assert_int_equal(try_start(f, false, NULL), 0);
    assert_int_equal(swki_manager_raft_id(f->manager), 0);
    settle_for(f, 20 * SWK_SECOND);
    assert_false(swki_manager_leads(f->manager));
    f_free(f);
}

static void without_a_setting_so_few_entries_make_no_snapshot(void **state)
{
    struct f *f = f_new();
    char name[16];

    (void)state;
    found(f);
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof(name), "config%02d", i);
        create_config(f, name);
        settle(f);
    }
    assert_int_equal(f->storage.meta.is.index, 0);
    f_free(f);
}

/* -- A storage that fails ------------------------------------------------- */

static void check_failed(struct f *f, uint64_t held, uint64_t stream)
{
    uint64_t late;

    assert_non_null(swki_manager_failure(f->manager));
    assert_false(swki_manager_leads(f->manager));
    assert_true(f->records[held].end);
    assert_int_equal(f->records[held].status, SWKI_STATUS_UNAVAILABLE);
    assert_true(f->records[stream].end);
    assert_int_equal(f->records[stream].status, SWKI_STATUS_ABORTED);
    late = create_config(f, "late");
    assert_true(f->records[late].end);
    assert_int_equal(f->records[late].status, SWKI_STATUS_UNAVAILABLE);
    assert_true(swki_manager_turn(f->manager, f->now) == SWK_NEVER);
}

static const struct swki_caller founder = {
    .node_id = FOUNDER,
    .swarm_id = PKI_SWARM,
    .role = SWKI_ROLE_MANAGER,
    .address = "192.0.2.1:4711",
    .request_id = "",
};

static void a_write_that_fails_ends_everything(void **state)
{
    const struct swk_error why = {SWK_EIO, "input/output error"};
    struct f *f = f_new();
    uint64_t held;
    uint64_t stream;

    (void)state;
    found(f);
    stream = call_as(f, &founder, SESSION, NULL);
    settle(f);
    assert_non_null(f->records[stream].message);
    held = create_config(f, "one");
    turn(f);
    swki_manager_stored(f->manager, memory_storage_complete(&f->storage),
                        SWK_EIO, &why);
    (void)swki_manager_turn(f->manager, f->now);
    check_failed(f, held, stream);
    f_free(f);
}

static void a_write_that_is_refused_ends_everything(void **state)
{
    struct f *f = f_new();
    uint64_t held;
    uint64_t stream;

    (void)state;
    found(f);
    stream = call_as(f, &founder, SESSION, NULL);
    settle(f);
    f->storage.refuses = true;
    held = create_config(f, "one");
    (void)swki_manager_turn(f->manager, f->now);
    check_failed(f, held, stream);
    assert_non_null(
        strstr(swki_manager_failure(f->manager)->text, "the disk is full"));
    f_free(f);
}

/* -- Without memory ------------------------------------------------------- */

/* Every call is answered, or the manager says that it failed; what was said to
 * be made is there after a restart. */
static void want_of_memory_loses_nothing_acknowledged(void **state)
{
    bool failed = true;

    (void)state;
    for (size_t n = 1; failed; n++) {
        struct f *f = f_new();
        uint64_t call;

        found(f);
        heap_fail_at(&f->heap, n);
        call = create_config(f, "one");
        settle(f);
        failed = heap_failed(&f->heap);
        heap_fail_at(&f->heap, 0);
        settle_for(f, SWK_SECOND);
        assert_true(f->records[call].end ||
                    swki_manager_failure(f->manager) != NULL);
        /* The request was a good one. */
        assert_int_not_equal(f->records[call].status,
                             SWKI_STATUS_INVALID_ARGUMENT);
        if (f->records[call].end &&
            f->records[call].status == SWKI_STATUS_OK) {
            restart(f);
            assert_string_equal(config_names(f), "one ");
        }
        f_free(f);
    }
}

/* -- Who may call --------------------------------------------------------- */

static void a_caller_that_went_away_is_not_answered(void **state)
{
    struct f *f = f_new();
    uint64_t stream;

    (void)state;
    found(f);
    stream = call_as(f, &founder, SESSION, NULL);
    swki_manager_cancel(f->manager, stream);
    settle_for(f, SWK_SECOND);
    assert_false(f->records[stream].end);
    assert_null(f->records[stream].message);
    f_free(f);
}

static void requests_that_make_no_sense_are_refused(void **state)
{
    static const struct {
        const char *path;
        size_t len;
        enum swki_status status;
    } cases[] = {
        {"/docker.swarmkit.v1.Control/Nothing", 0, SWKI_STATUS_UNIMPLEMENTED},
        {"", 0, SWKI_STATUS_UNIMPLEMENTED},
        {CREATE_CONFIG, 3, SWKI_STATUS_INVALID_ARGUMENT},
        {CREATE_CONFIG, SWKI_MANAGER_REQUEST_MAX + 1,
         SWKI_STATUS_RESOURCE_EXHAUSTED},
    };
    uint8_t *data = malloc(SWKI_MANAGER_REQUEST_MAX + 1);
    struct f *f = f_new();

    (void)state;
    assert_non_null(data);
    memset(data, 0xff, SWKI_MANAGER_REQUEST_MAX + 1);
    found(f);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct swki_manager_call call = {
            .id = ++f->last_call,
            .path = cases[i].path,
            .caller = &local_caller,
            .request = data,
            .request_len = cases[i].len,
        };

        swki_manager_call(f->manager, f->now, &call);
        assert_true(f->records[call.id].end);
        assert_int_equal(f->records[call.id].status, cases[i].status);
    }
    free(data);
    f_free(f);
}

/* Who may call what, by services; the table of methods is held against it. */
enum audience {
    EVERYBODY,
    NODES,
    MANAGERS,
};

static enum audience audience_of(const struct swki_method *method)
{
    static const char *const of_nodes[] = {"Dispatcher", "ResourceAllocator",
                                           "LogBroker"};

    if (strcmp(method->service, "NodeCA") == 0 ||
        strcmp(method->name, "GetRootCACertificate") == 0) {
        return EVERYBODY;
    }
    for (size_t i = 0; i < sizeof(of_nodes) / sizeof(of_nodes[0]); i++) {
        if (strcmp(method->service, of_nodes[i]) == 0) {
            return NODES;
        }
    }
    return MANAGERS;
}

static bool only_between_managers(const struct swki_method *method)
{
    return strcmp(method->service, "Raft") == 0 ||
           strcmp(method->service, "RaftMembership") == 0;
}

#define DENIED "Permission denied: "
#define NO_PEER DENIED "unauthorized peer role: remote certificate not part of "

static const char *const not_certified =
    DENIED "no client certificates in request";
static const char *const not_manager = NO_PEER "OUs: [swarm-manager]";
static const char *const not_ours = NO_PEER "organization: " PKI_SWARM;
static const char *const was_removed =
    DENIED "node removed00000000000000000 was removed from swarm";
static const char *const no_node =
    DENIED "only a node with its certificate makes this call, and the control "
           "socket is none";

#define LET_IN NULL

static const struct {
    struct swki_caller caller;
    const char *texts[3]; /* of the refusal, by audience */
} callers[] = {
    {{"", "", SWKI_ROLE_NONE, false, "192.0.2.9:1", ""},
     {LET_IN, not_certified, not_certified}},
    {{"worker", PKI_SWARM, SWKI_ROLE_WORKER, false, "192.0.2.9:1", ""},
     {LET_IN, LET_IN, not_manager}},
    {{"manager", PKI_SWARM, SWKI_ROLE_MANAGER, false, "192.0.2.9:1", ""},
     {LET_IN, LET_IN, LET_IN}},
    {{"manager", "another", SWKI_ROLE_MANAGER, false, "192.0.2.9:1", ""},
     {LET_IN, not_ours, not_ours}},
    {{"removed00000000000000000", PKI_SWARM, SWKI_ROLE_MANAGER, false,
      "192.0.2.9:1", ""},
     {LET_IN, was_removed, was_removed}},
    {{"", "", SWKI_ROLE_NONE, true, "", ""}, {LET_IN, no_node, LET_IN}},
};

static void check_access(struct f *f, const struct swki_method *method,
                         size_t i)
{
    const struct swki_caller *caller = &callers[i].caller;
    const char *wanted = callers[i].texts[audience_of(method)];
    uint64_t call = call_as(f, caller, method->path, NULL);
    const struct record *record = &f->records[call];

    settle(f);
    if (wanted != NULL) {
        if (!record->end || record->status != SWKI_STATUS_PERMISSION_DENIED ||
            strcmp(record->text, wanted) != 0) {
            fail_msg("caller %zu, %s: %s", i, method->path, record->text);
        }
    } else if (record->end && strncmp(record->text, DENIED, 19) == 0) {
        fail_msg("caller %zu, %s: %s", i, method->path, record->text);
    }
    if (caller->local && only_between_managers(method) &&
        (record->status != SWKI_STATUS_UNIMPLEMENTED ||
         strstr(record->text, "is not served through the control socket") ==
             NULL)) {
        fail_msg("control socket, %s: %s", method->path, record->text);
    }
    if (!record->end) {
        swki_manager_cancel(f->manager, call);
    }
}

static void every_method_lets_in_whom_it_should(void **state)
{
    struct f *f = f_new();

    (void)state;
    f->removed = "removed00000000000000000";
    found(f);
    for (uint32_t number = 1; number <= SWKI_METHODS_COUNT; number++) {
        for (size_t i = 0; i < sizeof(callers) / sizeof(callers[0]); i++) {
            check_access(f, swki_method_by_number(number), i);
        }
    }
    f_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_swarm_begins_when_its_first_entry_is_durable),
        cmocka_unit_test(a_founding_that_was_cut_short_goes_on),
        cmocka_unit_test(
            a_manager_with_an_empty_log_waits_to_be_told_its_number),
        cmocka_unit_test(a_reply_waits_until_its_entry_is_durable),
        cmocka_unit_test(calls_before_it_leads_are_unavailable),
        cmocka_unit_test(a_restart_gives_what_was_durable),
        cmocka_unit_test(a_restart_from_a_snapshot_gives_the_same),
        cmocka_unit_test(r_boo_5_only_the_log_of_this_very_node_is_taken),
        cmocka_unit_test(r_boo_5_who_lost_its_log_does_not_come_back_as_itself),
        cmocka_unit_test(without_a_setting_so_few_entries_make_no_snapshot),
        cmocka_unit_test(a_write_that_fails_ends_everything),
        cmocka_unit_test(a_write_that_is_refused_ends_everything),
        cmocka_unit_test(want_of_memory_loses_nothing_acknowledged),
        cmocka_unit_test(a_caller_that_went_away_is_not_answered),
        cmocka_unit_test(requests_that_make_no_sense_are_refused),
        cmocka_unit_test(every_method_lets_in_whom_it_should),
    };

    return cmocka_run_group_tests_name("manager", tests, NULL, NULL);
}

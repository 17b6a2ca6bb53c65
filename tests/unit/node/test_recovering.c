/* SPDX-License-Identifier: Apache-2.0 */

/* The last manager of a swarm (R-BOO-6): what it reports, what it needs, and
 * its certificate. */

#include "lib/cmocka_all.h"

#include <swarmkit/file_storage.h>

#include "core/membership/membership.h"
#include "core/raft/conf_change.h"
#include "core/store/store.h"
#include "directory.h"
#include "lib/heap.h"
#include "node/identity/founding.h"
#include "node/storage/recovering.h"
#include "node/identity/state_dir.h"
#include "raft.pb-c.h"
#include "unit/crypto/pki.h"
#include "wire/message.h"

enum {
    OWN = 1,
};

#define DAY (24 * (swk_wall)SWK_HOUR)

struct f {
    struct pki pki;
    struct directory dir;
    char log_dir[96];
    struct swk_clock clock;
    swk_wall now;
    char node_id[SWK_ID_LEN_MAX + 1];
    struct swki_recovering_config config;
    struct swk_recovery_report report;
    struct swk_error err;
    /* while a log is written */
    struct swk_storage storage;
    uint64_t index;
    const uint8_t *key; /* of the log */
};

/* -- A manager's state directory ------------------------------------------- */

static swk_wall wall(void *ctx)
{
    return ((struct f *)ctx)->now;
}

static void done(void *ctx, uint64_t ticket, int code,
                 const struct swk_error *err)
{
    (void)ctx;
    (void)ticket;
    (void)err;
    assert_int_equal(code, 0);
}

static int ignore_state(void *ctx, const struct swk_hard_state *state,
                        struct swk_error *err)
{
    (void)ctx;
    (void)state;
    (void)err;
    return 0;
}

static int count_entry(void *ctx, const struct swk_log_entry *entry,
                       struct swk_error *err)
{
    (void)err;
    ((struct f *)ctx)->index = entry->index;
    return 0;
}

static void open_log(struct f *f)
{
    const struct swk_file_storage_config config = {
        .size = sizeof(config),
        .dir = f->log_dir,
        .done = done,
        .key = f->key,
    };
    const struct swk_storage_replay replay = {
        .size = sizeof(replay),
        .ctx = f,
        .hard_state = ignore_state,
        .entry = count_entry,
    };

    assert_int_equal(swk_file_storage_open(&config, &f->storage, NULL), 0);
    assert_int_equal(f->storage.load(f->storage.ctx, &replay, NULL), 0);
}

static uint64_t last_index(struct f *f)
{
    f->index = 0;
    open_log(f);
    f->storage.close(f->storage.ctx);
    return f->index;
}

static void identify_log(struct f *f, const char *node_id)
{
    Swkpb__RaftMember own = SWKPB__RAFT_MEMBER__INIT;
    struct swki_buf buf;

    own.raft_id = OWN;
    own.node_id = (char *)(uintptr_t)node_id;
    swki_buf_init(&buf, NULL, SIZE_MAX);
    assert_int_equal(swki_message_pack(&own.base, &buf, NULL), 0);
    assert_int_equal(
        f->storage.identify(f->storage.ctx, buf.data, buf.len, NULL), 0);
    swki_buf_fini(&buf);
}

static void add_entry(struct f *f, int32_t type, const uint8_t *data,
                      size_t len)
{
    const struct swk_log_entry entry = {.index = ++f->index,
                                        .term = 1,
                                        .type = type,
                                        .data = data,
                                        .data_len = len};

    assert_int_equal(
        f->storage.append(f->storage.ctx, NULL, &entry, 1, f->index, NULL), 0);
}

static void add_voter(struct f *f, uint64_t raft_id, const char *node_id,
                      const char *address)
{
    const struct swki_member member = {.raft_id = raft_id,
                                       .node_id = node_id,
                                       .addresses = &address,
                                       .addresses_count = 1};
    const struct swk_raft_change add = {.type = SWK_RAFT_ADD_VOTER,
                                        .id = raft_id};
    struct swk_raft_conf_change change = {
        .size = sizeof(change), .changes = &add, .changes_count = 1};
    struct swki_buf context;
    uint8_t data[512];

    swki_buf_init(&context, NULL, SIZE_MAX);
    assert_int_equal(swki_member_encode(&member, &context, NULL), 0);
    change.context = context.data;
    change.context_len = context.len;
    assert_in_range(swki_conf_change_v1_size(&change), 1, sizeof(data));
    swki_conf_change_v1_encode(&change, data);
    add_entry(f, SWK_RAFT_ENTRY_CONF_CHANGE, data,
              swki_conf_change_v1_size(&change));
    swki_buf_fini(&context);
}

static uint64_t next_index(void *ctx)
{
    return ((struct f *)ctx)->index + 1;
}

static int propose(void *ctx, const uint8_t *data, size_t len,
                   struct swk_error *err)
{
    (void)err;
    add_entry(ctx, SWK_RAFT_ENTRY_NORMAL, data, len);
    return 0;
}

static void add_object(struct swki_store *store, struct swki_object *object)
{
    struct swki_tx *tx = swki_store_begin(store, SWKI_ACTOR_BOOTSTRAP, 1);

    assert_int_equal(swki_tx_create(tx, object, NULL), 0);
    assert_int_equal(swki_tx_commit(tx, NULL, NULL, NULL, NULL), 0);
}

static struct swki_object *new_node(const char *id, const char *hostname)
{
    struct swki_object *object = swki_object_new(NULL, SWKI_KIND_NODE);
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__NodeDescription *description =
        swki_arena_alloc(arena, sizeof(*description));

    swkpb__node_description__init(description);
    description->hostname = swki_arena_strdup(arena, hostname);
    swki_node_edit(object)->id = swki_arena_strdup(arena, id);
    swki_node_edit(object)->description = description;
    return object;
}

/* The swarm, its manager and the other one's node, then the third's. */
static void add_objects(struct f *f, struct swki_object *cluster,
                        struct swki_object *node)
{
    const struct swki_store_config config = {
        .proposer = {.ctx = f, .next_index = next_index, .propose = propose}};
    struct swki_store *store;

    assert_int_equal(swki_store_new(&config, &store, NULL), 0);
    for (uint64_t i = 1; i <= f->index; i++) {
        swki_store_apply_nothing(store, i);
    }
    add_object(store, cluster);
    add_object(store, node);
    add_object(store, new_node("n2", "second"));
    add_object(store, new_node("n3", "third"));
    swki_store_free(store);
}

/* Three voters, then four entries of objects, the last of which may not be
 * committed. */
static void write_log(struct f *f, struct swki_object *cluster,
                      struct swki_object *node)
{
    struct swk_hard_state state = {.term = 2, .vote = OWN, .commit = 6};

    open_log(f);
    identify_log(f, f->node_id);
    add_voter(f, OWN, f->node_id, "a:1");
    add_voter(f, 2, "n2", "b:2");
    add_voter(f, 3, "n3", "c:3");
    add_objects(f, cluster, node);
    assert_int_equal(
        f->storage.append(f->storage.ctx, &state, NULL, 0, f->index + 1, NULL),
        0);
    f->storage.close(f->storage.ctx);
    assert_int_equal(f->index, 7);
}

enum root_key {
    KEY_IN_LOG,
    KEY_ELSEWHERE,
};

static void make_identity(struct f *f, struct swki_founding *founding,
                          struct swki_credentials *credentials)
{
    swki_founding_init(founding, NULL);
    swki_credentials_init(credentials, NULL);
    assert_int_equal(swki_founding_identity(founding, f->dir.path, credentials,
                                            &f->clock, &f->pki.entropy, NULL),
                     0);
}

static void found(struct f *f, enum root_key root_key)
{
    struct swki_founding founding;
    struct swki_credentials credentials;
    struct swki_object *cluster;
    struct swki_object *node;

    make_identity(f, &founding, &credentials);
    snprintf(f->node_id, sizeof(f->node_id), "%s",
             credentials.identity.node_id);
    assert_int_equal(swki_founding_objects(&founding, &credentials, NULL,
                                           &f->pki.entropy, &cluster, &node,
                                           NULL),
                     0);
    if (root_key == KEY_ELSEWHERE) {
        swki_cluster_edit(cluster)->root_ca->ca_key.len = 0;
    }
    write_log(f, cluster, node);
    swki_founding_fini(&founding);
    swki_credentials_fini(&credentials);
}

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    pki_init(&f->pki, 3);
    directory_init(&f->dir);
    f->now = PKI_NOW;
    f->clock =
        (struct swk_clock){.size = sizeof(f->clock), .ctx = f, .wall = wall};
    snprintf(f->log_dir, sizeof(f->log_dir), "%s/raft", f->dir.path);
    f->config = (struct swki_recovering_config){
        .clock = &f->clock,
        .entropy = &f->pki.entropy,
        .state_dir = f->dir.path,
    };
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    directory_fini(&f->dir);
    pki_fini(&f->pki);
    free(f);
    return 0;
}

/* -- What is done with it -------------------------------------------------- */

static int run(struct f *f)
{
    f->report = (struct swk_recovery_report){0};
    f->err = (struct swk_error){0};
    return swki_recovering_run(&f->config, &f->report, &f->err);
}

static void assert_runs(struct f *f)
{
    if (run(f) != 0) {
        fail_msg("%s", f->err.text);
    }
}

static int load(struct f *f, struct swki_credentials *credentials)
{
    swki_credentials_init(credentials, NULL);
    int rc = swki_state_dir_load(f->dir.path, credentials, &f->clock,
                                 &f->pki.entropy, NULL);

    swki_credentials_fini(credentials);
    return rc;
}

static const struct swk_recovery_objects *objects(const struct f *f,
                                                  const char *kind)
{
    for (uint64_t i = 0; i < f->report.kinds_count; i++) {
        if (strcmp(f->report.kinds[i].kind, kind) == 0) {
            return &f->report.kinds[i];
        }
    }
    fail_msg("no %s", kind);
    return NULL;
}

static void the_report_names_those_who_go_and_what_is_kept(void **state)
{
    struct f *f = *state;

    found(f, KEY_IN_LOG);
    assert_runs(f);
    assert_string_equal(f->report.node_id, f->node_id);
    assert_int_equal(f->report.raft_id, OWN);
    assert_int_equal(f->report.term, 2);
    assert_int_equal(f->report.last_index, 7);
    assert_int_equal(f->report.last_term, 1);
    assert_int_equal(f->report.commit_index, 6);
    assert_int_equal(f->report.forced_index, 9);
    assert_int_equal(f->report.members_count, 2);
    assert_int_equal(f->report.members[0].raft_id, 2);
    assert_string_equal(f->report.members[0].node_id, "n2");
    assert_string_equal(f->report.members[0].hostname, "second");
    assert_string_equal(f->report.members[0].address, "b:2");
    assert_string_equal(f->report.members[1].hostname, "third");
    assert_int_equal(objects(f, "node")->count, 3);
    assert_int_equal(objects(f, "node")->created, 1);
    assert_int_equal(objects(f, "cluster")->count, 1);
    assert_int_equal(objects(f, "cluster")->created, 0);
    assert_int_equal(f->report.membership_changes, 0);
    assert_int_equal(f->report.certificate_expired, 0);
    assert_int_equal(last_index(f), 9);
}

static void done_twice_it_only_says_so(void **state)
{
    struct f *f = *state;

    found(f, KEY_IN_LOG);
    assert_runs(f);
    assert_int_equal(f->report.generation, 0);
    assert_runs(f);
    assert_int_equal(f->report.generation, 1);
    assert_int_equal(f->report.members_count, 0);
    assert_int_equal(last_index(f), 9);
}

static void a_dry_run_changes_neither_log_nor_certificate(void **state)
{
    struct swki_credentials credentials;
    struct f *f = *state;

    found(f, KEY_IN_LOG);
    f->now += 100 * DAY;
    f->config.dry_run = true;
    assert_runs(f);
    assert_int_equal(f->report.certificate_expired, 1);
    assert_int_equal(f->report.members_count, 2);
    assert_int_equal(last_index(f), 7);
    assert_int_equal(load(f, &credentials), SWK_ECLOCK);
}

static void an_expired_certificate_is_renewed(void **state)
{
    struct swki_credentials credentials;
    struct f *f = *state;

    found(f, KEY_IN_LOG);
    f->now += 100 * DAY;
    assert_int_equal(load(f, &credentials), SWK_ECLOCK);
    assert_runs(f);
    assert_int_equal(f->report.certificate_expired, 1);
    assert_int_equal(load(f, &credentials), 0);
    assert_string_equal(credentials.identity.node_id, f->node_id);
    assert_int_equal(credentials.identity.role, SWKI_ROLE_MANAGER);
    assert_int_equal(last_index(f), 9);
}

static void without_what_signs_a_new_one_nothing_changes(void **state)
{
    struct f *f = *state;

    found(f, KEY_ELSEWHERE);
    f->now += 100 * DAY;
    assert_true(run(f) < 0);
    assert_non_null(strstr(f->err.text, "certificate expired"));
    assert_int_equal(last_index(f), 7);
    f->now -= 100 * DAY;
    assert_runs(f);
}

static void change_keys(struct f *f, const struct swki_data_keys *keys)
{
    struct swki_credentials credentials;

    swki_credentials_init(&credentials, NULL);
    assert_int_equal(swki_state_dir_load(f->dir.path, &credentials, &f->clock,
                                         &f->pki.entropy, NULL),
                     0);
    assert_int_equal(swki_state_dir_change_keys(f->dir.path, &credentials, keys,
                                                &f->pki.entropy, NULL),
                     0);
    swki_credentials_fini(&credentials);
}

static void a_locked_manager_needs_its_unlock_key(void **state)
{
    static const struct swk_unlock_key key = {{1, 2, 3}};
    static const struct swki_data_keys keys = {
        .is_locked = true, .unlock_key = {{1, 2, 3}}, .lock_version = 5};
    struct f *f = *state;

    found(f, KEY_IN_LOG);
    change_keys(f, &keys);
    assert_int_equal(run(f), SWK_EDENIED);
    assert_int_equal(last_index(f), 7);
    f->config.unlock_key = &key;
    f->now += 100 * DAY; /* the renewed key is sealed like the old one */
    assert_runs(f);
    f->config.unlock_key = NULL;
    assert_int_equal(run(f), SWK_EDENIED);
}

static void a_sealed_log_is_read_with_the_keys_of_the_key_file(void **state)
{
    static const struct swki_data_keys keys = {
        .has_current = true,
        .has_pending = true,
        .current = {1, 2, 3},
        .pending = {4, 5, 6},
    };
    struct f *f = *state;

    f->key = keys.current;
    found(f, KEY_IN_LOG);
    assert_int_equal(run(f), SWK_EDENIED);
    change_keys(f, &keys);
    assert_runs(f);
    assert_int_equal(f->report.members_count, 2);
    assert_runs(f);
    assert_int_equal(f->report.last_index, 9);
}

static void the_log_of_another_node_is_refused(void **state)
{
    struct f *f = *state;

    found(f, KEY_IN_LOG);
    /* The identity is another's from now on, the log stays. */
    char command[160];
    snprintf(command, sizeof(command), "rm -r %s/certificates", f->dir.path);
    assert_int_equal(system(command), 0);
    struct swki_founding founding;
    struct swki_credentials credentials;
    make_identity(f, &founding, &credentials);
    swki_founding_fini(&founding);
    swki_credentials_fini(&credentials);

    assert_int_equal(run(f), SWK_ECORRUPT);
    assert_non_null(strstr(f->err.text, "the log is that of node"));
}

static void an_empty_log_is_refused(void **state)
{
    struct f *f = *state;
    char command[128];

    found(f, KEY_IN_LOG);
    snprintf(command, sizeof(command), "rm -r %s", f->log_dir);
    assert_int_equal(system(command), 0);
    assert_int_equal(run(f), SWK_EPRECONDITION);
    assert_non_null(strstr(f->err.text, "is empty"));
}

static void a_directory_without_an_identity_is_refused(void **state)
{
    struct f *f = *state;

    assert_int_equal(run(f), SWK_EPRECONDITION);
    assert_non_null(strstr(f->err.text, "in no swarm"));
    assert_false(directory_has(&f->dir, "raft"));
}

static void impossible_arguments_are_refused(void **state)
{
    struct f *f = *state;
    struct swk_manager_config config = SWK_MANAGER_CONFIG_INIT;

    assert_int_equal(swk_recovery_inspect(NULL, &f->report, NULL), SWK_EINVAL);
    assert_int_equal(swk_recovery_inspect(&config, &f->report, NULL),
                     SWK_EINVAL); /* no size */
    f->report.size = sizeof(f->report);
    assert_int_equal(swk_recovery_inspect(&config, &f->report, NULL),
                     SWK_EINVAL);
}

static void memory_that_fails_leaks_nothing_and_changes_nothing(void **state)
{
    struct f *f = *state;
    struct heap heap;
    int rc = SWK_ENOMEM;

    heap_init(&heap);
    found(f, KEY_IN_LOG);
    f->config.alloc = &heap.alloc;
    for (size_t n = 1; rc != 0; n += 1 + n / 8) { /* each writes files */
        assert_int_equal(last_index(f), 7);
        heap_fail_at(&heap, n);
        rc = run(f);
        assert_true(rc == SWK_ENOMEM || !heap_failed(&heap));
        assert_int_equal(heap_live(&heap), 0);
    }
    assert_int_equal(last_index(f), 9);
}

static void in_public_it_is_a_dry_run(void **state)
{
    struct f *f = *state;
    struct swk_manager_config config = SWK_MANAGER_CONFIG_INIT;

    found(f, KEY_IN_LOG);
    config.state_dir = f->dir.path;
    config.clock = &f->clock;
    config.entropy = &f->pki.entropy;
    f->report.size = sizeof(f->report);
    assert_int_equal(swk_recovery_inspect(&config, &f->report, NULL), 0);
    assert_int_equal(f->report.members_count, 2);
    assert_int_equal(last_index(f), 7);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_report_names_those_who_go_and_what_is_kept),
        TEST(done_twice_it_only_says_so),
        TEST(a_dry_run_changes_neither_log_nor_certificate),
        TEST(an_expired_certificate_is_renewed),
        TEST(without_what_signs_a_new_one_nothing_changes),
        TEST(a_locked_manager_needs_its_unlock_key),
        TEST(a_sealed_log_is_read_with_the_keys_of_the_key_file),
        TEST(the_log_of_another_node_is_refused),
        TEST(an_empty_log_is_refused),
        TEST(a_directory_without_an_identity_is_refused),
        TEST(impossible_arguments_are_refused),
        TEST(memory_that_fails_leaks_nothing_and_changes_nothing),
        TEST(in_public_it_is_a_dry_run),
    };

    return cmocka_run_group_tests_name("recovering", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The library's store as state machine. A register is an object, and absent
 * while it is 0; its value is the beginning of the object's data. Whoever sets
 * it from a value that he has seen does so by the version that he has seen, so
 * that a history of values is one of versions too.
 */

#include "sim/sim.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "core/store/store.h"
#include "raft.pb-c.h"
#include "wire/message.h"

enum {
    PIECE_SIZE_MAX = 3000, /* of a snapshot that is made in slices */
    DIGEST_EVERY = 32,     /* entries */
    DATA_MAX = 4096,
};

struct store_machine {
    struct member *member;
    struct swki_store *store;
    uint64_t proposed; /* index of the newest proposal */
    bool saving;
    struct swki_saver saver;
    struct swki_buf saved;
};

/* -- The log's side -------------------------------------------------------- */

static uint64_t next_index(void *ctx)
{
    const struct store_machine *s = ctx;

    return s->member->leads ? swk_raft_next_index(s->member->raft) : 0;
}

static int propose_entry(void *ctx, const uint8_t *data, size_t len,
                         struct swk_error *err)
{
    struct store_machine *s = ctx;
    uint64_t expected = next_index(ctx);
    int rc = swk_raft_propose(s->member->raft, data, len, &s->proposed, err);

    if (rc == SWK_OK && s->proposed != expected) {
        sim_broken(s->member->sim, "store", "%s proposes %llu instead of %llu",
                   s->member->name, (unsigned long long)s->proposed,
                   (unsigned long long)expected);
    }
    return rc;
}

struct store_machine *store_machine_new(struct member *m)
{
    struct store_machine *s = calloc(1, sizeof(*s));
    const struct swki_store_config config = {
        .proposer = {.ctx = s,
                     .next_index = next_index,
                     .propose = propose_entry},
    };

    if (s == NULL || swki_store_new(&config, &s->store, NULL) != SWK_OK) {
        abort();
    }
    s->member = m;
    return s;
}

static void stop_saving(struct store_machine *s)
{
    if (s->saving) {
        swki_saver_fini(&s->saver);
        swki_buf_fini(&s->saved);
        s->saving = false;
    }
}

void store_machine_free(struct store_machine *s)
{
    if (s != NULL) {
        stop_saving(s);
        swki_store_free(s->store);
        free(s);
    }
}

/* -- Objects --------------------------------------------------------------- */

static enum swki_kind kind_of(uint32_t key)
{
    return key % 2 == 0 ? SWKI_KIND_CONFIG : SWKI_KIND_SECRET;
}

static void name_of(uint32_t key, char *out, size_t size)
{
    snprintf(out, size, "object%u", key);
}

static const struct swki_object *find(const struct swki_view *view,
                                      uint32_t key)
{
    char id[16];

    name_of(key, id, sizeof(id));
    return swki_view_get(view, kind_of(key), id);
}

static const ProtobufCBinaryData *data_of(const struct swki_object *object)
{
    return swki_object_kind(object) == SWKI_KIND_CONFIG
               ? &swki_config(object)->spec->data
               : &swki_secret(object)->spec->data;
}

int64_t store_machine_read(const struct store_machine *s, uint32_t key,
                           uint64_t *out_version)
{
    const struct swki_object *object =
        find(swki_store_committed(s->store), key);
    int64_t value = 0;

    *out_version = 0;
    if (object != NULL) {
        memcpy(&value, data_of(object)->data, sizeof(value));
        *out_version = swki_object_version(object);
    }
    return value;
}

/* The value, and something behind it. */
static ProtobufCBinaryData make_data(struct store_machine *s,
                                     struct swki_arena *arena, int64_t value)
{
    struct sim *sim = s->member->sim;
    size_t room = sim->s.payload_max < DATA_MAX ? sim->s.payload_max : DATA_MAX;
    size_t len = sizeof(value) + (size_t)swki_rng_below(&sim->rng, room + 1);
    ProtobufCBinaryData data = {.len = len,
                                .data = swki_arena_calloc(arena, 1, len)};

    if (data.data == NULL) {
        abort();
    }
    memcpy(data.data, &value, sizeof(value));
    return data;
}

static Swkpb__Annotations *make_annotations(struct swki_arena *arena,
                                            const char *name)
{
    Swkpb__Annotations *annotations =
        swki_arena_calloc(arena, 1, sizeof(*annotations));

    if (annotations == NULL) {
        abort();
    }
    swkpb__annotations__init(annotations);
    annotations->name = swki_arena_strdup(arena, name);
    return annotations;
}

static struct swki_object *make_object(struct store_machine *s, uint32_t key,
                                       int64_t value)
{
    struct swki_object *object = swki_object_new(NULL, kind_of(key));
    struct swki_arena *arena = swki_object_arena(object);
    char id[16];

    name_of(key, id, sizeof(id));
    if (kind_of(key) == SWKI_KIND_CONFIG) {
        Swkpb__Config *config = swki_config_edit(object);

        config->id = swki_arena_strdup(arena, id);
        config->spec = swki_arena_calloc(arena, 1, sizeof(*config->spec));
        swkpb__config_spec__init(config->spec);
        config->spec->annotations = make_annotations(arena, id);
        config->spec->data = make_data(s, arena, value);
    } else {
        Swkpb__Secret *secret = swki_secret_edit(object);

        secret->id = swki_arena_strdup(arena, id);
        secret->spec = swki_arena_calloc(arena, 1, sizeof(*secret->spec));
        swkpb__secret_spec__init(secret->spec);
        secret->spec->annotations = make_annotations(arena, id);
        secret->spec->data = make_data(s, arena, value);
    }
    return object;
}

static struct swki_object *edit_object(struct store_machine *s,
                                       const struct swki_object *old,
                                       uint64_t version, int64_t value)
{
    struct swki_object *object = swki_object_edit(old);
    struct swki_arena *arena = swki_object_arena(object);
    Swkpb__Meta *meta;

    if (swki_object_kind(object) == SWKI_KIND_CONFIG) {
        Swkpb__Config *config = swki_config_edit(object);
        Swkpb__ConfigSpec *spec = swki_object_own(object, &config->spec);

        spec->data = make_data(s, arena, value);
        meta = swki_object_own(object, &config->meta);
    } else {
        Swkpb__Secret *secret = swki_secret_edit(object);
        Swkpb__SecretSpec *spec = swki_object_own(object, &secret->spec);

        spec->data = make_data(s, arena, value);
        meta = swki_object_own(object, &secret->meta);
    }
    meta->version = swki_arena_calloc(arena, 1, sizeof(*meta->version));
    swkpb__version__init(meta->version);
    meta->version->index = version;
    return object;
}

/* -- Requests -------------------------------------------------------------- */

static void name_request(char *out, size_t size, uint32_t client,
                         uint32_t request)
{
    snprintf(out, size, "%u/%u", client, request);
}

/* The record of a request says what it was: a change of a value answers 1. */
static const char *record_of(const struct request *request)
{
    return request->kind == LINEAR_CAS ? "changed" : "set";
}

bool store_machine_answer(const struct store_machine *s, uint32_t client,
                          uint32_t request, int64_t *out_result,
                          uint64_t *out_version)
{
    struct swki_done_request done;
    char key[32];

    name_request(key, sizeof(key), client, request);
    if (!swki_store_find_request(s->store, key, &done)) {
        return false;
    }
    *out_result = strcmp(done.object_id, "changed") == 0;
    *out_version = done.index;
    return true;
}

static int replace(struct store_machine *s, struct swki_tx *tx,
                   const struct request *request,
                   const struct swki_object *old, struct swk_error *err)
{
    bool any_version = request->kind == LINEAR_WRITE ||
                       s->member->sim->s.plant == PLANT_ANY_VERSION;
    uint64_t version =
        any_version ? swki_object_version(old) : request->version;
    int64_t value =
        request->kind == LINEAR_WRITE ? request->a : request->b;
    char id[16];

    if (value != 0) {
        return swki_tx_update(tx, edit_object(s, old, version, value), err);
    }
    if (version != swki_object_version(old)) {
        return SWK_ECONFLICT;
    }
    name_of(request->key, id, sizeof(id));
    return swki_tx_delete(tx, kind_of(request->key), id, err);
}

static int change(struct store_machine *s, struct swki_tx *tx,
                  const struct request *request, struct swk_error *err)
{
    const struct swki_object *old = find(swki_tx_view(tx), request->key);
    bool create = request->kind == LINEAR_WRITE ? old == NULL
                                                : request->a == 0;
    int64_t value =
        request->kind == LINEAR_WRITE ? request->a : request->b;

    if (create) {
        return swki_tx_create(tx, make_object(s, request->key, value), err);
    }
    return old != NULL ? replace(s, tx, request, old, err) : SWK_ENOTFOUND;
}

static void count_fate(void *ctx, enum swki_fate fate, uint64_t index)
{
    struct store_machine *s = ctx;
    struct stats *stats = &s->member->sim->stats;

    stats->store_committed += fate == SWKI_FATE_COMMITTED;
    stats->store_unknown += fate == SWKI_FATE_UNKNOWN;
    if (fate == SWKI_FATE_COMMITTED && index != s->member->applied + 1) {
        sim_broken(s->member->sim, "store",
                   "%s is told that %llu is committed, after %llu",
                   s->member->name, (unsigned long long)index,
                   (unsigned long long)s->member->applied);
    }
}

int store_machine_propose(struct store_machine *s,
                          const struct request *request, uint64_t *out_index)
{
    struct swk_error err = {0};
    struct swki_tx *tx;
    char key[32];
    int rc;

    if (!s->member->leads) {
        return SWK_ENOTLEADER;
    }
    tx = swki_store_begin(s->store, SWKI_ACTOR_CONTROL,
                          (swk_wall)s->member->sim->now);
    rc = change(s, tx, request, &err);
    if (rc == SWK_OK) {
        name_request(key, sizeof(key), request->client, request->request);
        rc = swki_tx_set_request(tx, key, record_of(request), &err);
    }
    if (rc != SWK_OK) {
        bool conflict = rc == SWK_ECONFLICT || rc == SWK_EEXIST ||
                        rc == SWK_ENOTFOUND;

        swki_tx_abort(tx);
        if (!conflict) {
            sim_broken(s->member->sim, "store", "%s refuses a change: %s",
                       s->member->name, err.text);
        }
        s->member->sim->stats.conflicts++;
        return SWK_ECONFLICT;
    }
    rc = swki_tx_commit(tx, count_fate, s, out_index, &err);
    sim_trace(s->member->sim, s->member, "proposes request %u of client %u: %d",
              request->request, request->client, rc);
    if (rc == SWK_OK && *out_index != s->proposed) {
        sim_broken(s->member->sim, "store", "%s commits %llu as %llu",
                   s->member->name, (unsigned long long)s->proposed,
                   (unsigned long long)*out_index);
    }
    return rc;
}

/* -- Applied once ---------------------------------------------------------- */

static void note_done(struct sim *sim, unsigned client, unsigned number,
                      uint64_t index)
{
    bool *done = sim_grow(sim->done_requests[client], &sim->done_sizes[client],
                          number + 1, sizeof(bool));

    if (done[number]) {
        sim_broken(sim, "applied once",
                   "request %u of client %u is applied at %llu again", number,
                   client, (unsigned long long)index);
    }
    done[number] = true;
    sim->done_requests[client] = done;
}

/* Each request is in the log once, as far as it is committed. */
static void note_request(struct sim *sim, const struct blob *blob)
{
    struct swki_arena arena;
    ProtobufCMessage *message;
    unsigned client = 0;
    unsigned number = 0;

    swki_arena_init(&arena, NULL, SIZE_MAX);
    if (swki_message_unpack(&swkpb__internal_raft_request__descriptor,
                            blob->entry.data, blob->entry.data_len, &arena,
                            &message, NULL) == SWK_OK) {
        const Swkpb__InternalRaftRequest *entry =
            (const Swkpb__InternalRaftRequest *)message;

        if (entry->request == NULL ||
            sscanf(entry->request->key, "%u/%u", &client, &number) != 2 ||
            client >= CLIENTS_MAX) {
            sim_broken(sim, "store", "entry %llu is nobody's request",
                       (unsigned long long)blob->entry.index);
        } else {
            note_done(sim, client, number, blob->entry.index);
        }
    }
    swki_arena_fini(&arena);
}

void store_machine_apply(struct store_machine *s, const struct blob *blob)
{
    struct member *m = s->member;
    struct swk_error err = {0};

    if (blob->entry.type != SWK_RAFT_ENTRY_NORMAL ||
        blob->entry.data_len == 0) {
        swki_store_apply_nothing(s->store, blob->entry.index);
        return;
    }
    if (blob->entry.index > m->sim->done_index) {
        m->sim->done_index = blob->entry.index;
        note_request(m->sim, blob);
    }
    if (swki_store_apply(s->store, blob->entry.index, blob->entry.data,
                         blob->entry.data_len, &err) != SWK_OK) {
        sim_broken(m->sim, "19 state machine safety",
                   "the store of %s does not take %llu: %s", m->name,
                   (unsigned long long)blob->entry.index, err.text);
    }
}

/* -- The whole ------------------------------------------------------------- */

static uint64_t hash(const struct swki_buf *buf)
{
    uint64_t digest = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < buf->len; i++) {
        digest = (digest ^ buf->data[i]) * UINT64_C(0x100000001b3);
    }
    return digest | 1;
}

static uint64_t digest_view(const struct store_machine *s,
                            const struct swki_view *view)
{
    struct swki_buf buf;
    uint64_t digest;

    swki_buf_init(&buf, NULL, SIZE_MAX);
    if (swki_store_save_requests(s->store, &buf, NULL) != SWK_OK ||
        swki_view_save(view, &buf, NULL) != SWK_OK) {
        abort();
    }
    digest = hash(&buf);
    swki_buf_fini(&buf);
    return digest;
}

uint64_t store_machine_digest(const struct store_machine *s)
{
    s->member->sim->stats.store_compares++;
    return digest_view(s, swki_store_committed(s->store));
}

uint64_t store_machine_digest_at(const struct store_machine *s, uint64_t index)
{
    return index % DIGEST_EVERY == 0 ? store_machine_digest(s) : 0;
}

/* What was only proposed is gone: head is what is committed. */
void store_machine_lose_leadership(struct store_machine *s)
{
    struct member *m = s->member;

    if (m->sim->s.plant != PLANT_KEEP_HEAD) {
        swki_store_lose_leadership(s->store);
    }
    if (swki_store_in_flight(s->store) != 0 ||
        digest_view(s, swki_store_head(s->store)) !=
            digest_view(s, swki_store_committed(s->store))) {
        sim_broken(m->sim, "head is committed",
                   "%s has lost its leadership, and keeps what it proposed",
                   m->name);
    }
}

/* -- Snapshots ------------------------------------------------------------- */

void store_machine_save(struct store_machine *s)
{
    stop_saving(s);
    swki_buf_init(&s->saved, NULL, SIZE_MAX);
    swki_saver_init(&s->saver, swki_store_committed(s->store));
    s->saving = true;
    if (swki_store_save_requests(s->store, &s->saved, NULL) != SWK_OK) {
        abort();
    }
}

bool store_machine_save_more(struct store_machine *s, struct snapshot *snapshot)
{
    size_t size =
        1 + (size_t)swki_rng_below(&s->member->sim->rng, PIECE_SIZE_MAX);

    if (!s->saving) {
        return true; /* restored meanwhile: it is given up */
    }
    if (swki_saver_next(&s->saver, size, &s->saved, NULL) != SWK_OK) {
        abort();
    }
    s->member->sim->stats.store_slices++;
    if (!swki_saver_done(&s->saver)) {
        return false;
    }
    snapshot_fill(snapshot, s->saved.data, s->saved.len);
    stop_saving(s);
    return true;
}

void store_machine_restore(struct store_machine *s,
                           const struct snapshot *snapshot)
{
    struct swk_error err = {0};

    stop_saving(s);
    if (swki_store_restore(s->store, snapshot->meta.index, snapshot->data,
                           snapshot->len, &err) != SWK_OK) {
        sim_broken(s->member->sim, "store", "%s does not take a snapshot: %s",
                   s->member->name, err.text);
    }
}

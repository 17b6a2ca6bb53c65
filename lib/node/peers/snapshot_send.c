/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Sending a snapshot: its place, then, from where the receiver says, its parts,
 * then its digest.
 *
 * Only so many parts are under way unacknowledged; each acknowledgement is
 * progress, and without any for some time the whole has failed. What the
 * receiver has from before counts only if its digest is that of the same bytes
 * here.
 */

#include "node/peers/peers_internal.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "swarmkit/peers.pb-c.h"
#include "wire/message.h"

enum {
    WINDOW_PARTS = 4, /* sent and not acknowledged */
    CHECK_PARTS = 2,  /* of what the receiver has, in one turn */
};

enum send_state {
    SEND_ASKING,   /* where to go on */
    SEND_CHECKING, /* whether the receiver has the same as we */
    SEND_PARTS,
    SEND_ENDING,   /* all is sent */
};

struct swki_snapshot_send {
    struct swki_peer *peer;
    enum send_state state;
    uint64_t call_id;
    uint64_t index;
    uint64_t term;
    uint64_t total;
    uint64_t offset; /* of the next part to read */
    uint64_t acknowledged;
    uint64_t resume; /* where the receiver wants to go on */
    uint8_t resume_digest[SWKI_SHA256_SIZE];
    uint8_t digest[SWKI_SHA256_SIZE]; /* of what comes before offset */
    swk_time progress_by;
    uint8_t *part;
};

bool swki_snapshot_digest(uint8_t digest[SWKI_SHA256_SIZE], const void *part,
                          size_t len)
{
    uint8_t both[2 * SWKI_SHA256_SIZE];

    memcpy(both, digest, SWKI_SHA256_SIZE);
    return swki_sha256(part, len, both + SWKI_SHA256_SIZE) &&
           swki_sha256(both, sizeof(both), digest);
}

/* -- Ends ------------------------------------------------------------------- */

static const struct swki_peers_config *config_of(
    const struct swki_snapshot_send *send)
{
    return &send->peer->peers->config;
}

/* Nothing is known to the client of it any more. */
static void finish(struct swki_snapshot_send *send, bool ok)
{
    struct swki_peer *peer = send->peer;
    const struct swk_alloc *alloc = peer->peers->config.alloc;

    peer->peers->sends_count--;
    peer->snapshot = NULL;
    peer->snapshot_moved = false;
    peer->snapshot_due = true;
    peer->snapshot_ok = ok;
    swki_peers_wake(peer->peers);
    swki_free(alloc, send->part);
    swki_free(alloc, send);
}

static void log_failure(const struct swki_peer *peer, const char *why)
{
    swki_log(peer->peers->config.logger, SWK_LOG_WARN, "peers",
             "no snapshot for member %llx: %s",
             (unsigned long long)peer->raft_id, why);
}

void swki_snapshot_send_fail(struct swki_snapshot_send *send, const char *why)
{
    log_failure(send->peer, why);
    if (send->call_id != 0) {
        swki_rpc_client_cancel(send->peer->client, send->call_id);
    }
    finish(send, false);
}

/* -- Parts ------------------------------------------------------------------ */

/* Reads the part at offset. */
static int read_part(struct swki_snapshot_send *send, size_t *out_len,
                     struct swk_error *err)
{
    const struct swki_peers_config *config = config_of(send);
    const struct swk_storage *storage = config->storage;
    uint64_t left = send->total - send->offset;
    size_t want = left < config->part_size ? (size_t)left : config->part_size;
    size_t done = 0;

    while (done < want) {
        uint64_t total = 0;
        size_t len = 0;
        int rc = storage->read_snapshot(storage->ctx, send->index, send->term,
                                        send->offset + done, send->part + done,
                                        want - done, &len, &total, err);

        if (rc != SWK_OK) {
            return rc;
        }
        if (len == 0 || total != send->total) {
            return swki_fail(err, SWK_ECORRUPT,
                             "the snapshot changed its length");
        }
        done += len;
    }
    *out_len = want;
    return SWK_OK;
}

/* The next part, and its link of the digest. */
static int take_part(struct swki_snapshot_send *send, size_t *out_len,
                     struct swk_error *err)
{
    int rc = read_part(send, out_len, err);

    if (rc == SWK_OK &&
        !swki_snapshot_digest(send->digest, send->part, *out_len)) {
        rc = swki_fail_nomem(err);
    }
    return rc;
}

static int send_step(struct swki_snapshot_send *send,
                     const Swkpb__Rpc__StreamSnapshotRequest *step,
                     struct swk_error *err)
{
    struct swki_buf *out = &send->peer->peers->scratch;
    int rc;

    swki_buf_clear(out);
    rc = swki_message_pack(&step->base, out, err);
    return rc != SWK_OK
               ? rc
               : swki_rpc_client_send(send->peer->client, send->call_id,
                                      out->data, out->len, err);
}

static int send_part(struct swki_snapshot_send *send, struct swk_error *err)
{
    Swkpb__Rpc__StreamSnapshotRequest step =
        SWKPB__RPC__STREAM_SNAPSHOT_REQUEST__INIT;
    Swkpb__Rpc__SnapshotPart part = SWKPB__RPC__SNAPSHOT_PART__INIT;
    uint64_t offset = send->offset;
    size_t len = 0;
    int rc = take_part(send, &len, err);

    if (rc != SWK_OK) {
        return rc;
    }
    part.offset = offset;
    part.data.data = send->part;
    part.data.len = len;
    step.step_case = SWKPB__RPC__STREAM_SNAPSHOT_REQUEST__STEP_PART;
    step.part = &part;
    send->offset = offset + len;
    return send_step(send, &step, err);
}

static int send_digest(struct swki_snapshot_send *send, struct swk_error *err)
{
    Swkpb__Rpc__StreamSnapshotRequest step =
        SWKPB__RPC__STREAM_SNAPSHOT_REQUEST__INIT;
    int rc;

    step.step_case = SWKPB__RPC__STREAM_SNAPSHOT_REQUEST__STEP_DIGEST;
    step.digest.data = send->digest;
    step.digest.len = sizeof(send->digest);
    rc = send_step(send, &step, err);
    if (rc == SWK_OK) {
        swki_rpc_client_finish(send->peer->client, send->call_id);
        send->state = SEND_ENDING;
    }
    return rc;
}

static int pump(struct swki_snapshot_send *send, struct swk_error *err)
{
    uint64_t window = WINDOW_PARTS * (uint64_t)config_of(send)->part_size;
    int rc = SWK_OK;

    while (rc == SWK_OK && send->offset < send->total &&
           send->offset - send->acknowledged < window) {
        rc = send_part(send, err);
    }
    if (rc == SWK_OK && send->offset == send->total) {
        rc = send_digest(send, err);
    }
    return rc;
}

/* Follows the digest up to where the receiver wants to go on. */
static int check(struct swki_snapshot_send *send, struct swk_error *err)
{
    int rc = SWK_OK;

    for (int i = 0; rc == SWK_OK && i < CHECK_PARTS &&
                    send->offset < send->resume;
         i++) {
        size_t len = 0;

        rc = take_part(send, &len, err);
        send->offset += len;
    }
    if (rc != SWK_OK || send->offset < send->resume) {
        return rc;
    }
    if (!swki_ct_equal(send->digest, send->resume_digest,
                       sizeof(send->digest))) {
        memset(send->digest, 0, sizeof(send->digest)); /* all anew */
        send->offset = 0;
    }
    send->acknowledged = send->offset;
    send->state = SEND_PARTS;
    return SWK_OK;
}

/* -- Answers ---------------------------------------------------------------- */

/* The first answer: where to go on. */
static bool take_resume(struct swki_snapshot_send *send,
                        const Swkpb__Rpc__StreamSnapshotResponse *response)
{
    if (response->offset == 0) {
        send->state = SEND_PARTS;
        return true;
    }
    if (response->offset > send->total ||
        (response->offset % config_of(send)->part_size != 0 &&
         response->offset != send->total) ||
        response->digest.len != sizeof(send->resume_digest)) {
        return false;
    }
    send->resume = response->offset;
    memcpy(send->resume_digest, response->digest.data,
           sizeof(send->resume_digest));
    send->state = SEND_CHECKING;
    return true;
}

static bool take_answer(struct swki_snapshot_send *send,
                        const Swkpb__Rpc__StreamSnapshotResponse *response)
{
    switch (send->state) {
    case SEND_ASKING:
        return take_resume(send, response);
    case SEND_CHECKING:
        return false;
    case SEND_PARTS:
    case SEND_ENDING:
        if (response->offset > send->offset ||
            response->offset < send->acknowledged) {
            return false;
        }
        send->acknowledged = response->offset;
        return true;
    }
    return false;
}

static void on_message(void *ctx, uint64_t call_id, const uint8_t *data,
                       size_t len, swk_time now)
{
    struct swki_snapshot_send *send = ctx;
    ProtobufCMessage *message = NULL;
    struct swki_arena arena;
    bool good;

    (void)call_id;
    swki_arena_init(&arena, config_of(send)->alloc,
                    swki_message_memory_max(len));
    good = swki_message_unpack(
               &swkpb__rpc__stream_snapshot_response__descriptor, data, len,
               &arena, &message, NULL) == SWK_OK &&
           take_answer(send,
                       (const Swkpb__Rpc__StreamSnapshotResponse *)message);
    swki_arena_fini(&arena);
    if (!good) {
        swki_snapshot_send_fail(send, "the receiver's answer makes no sense");
        return;
    }
    send->progress_by = now + config_of(send)->progress_ns;
    send->peer->snapshot_moved = true;
    swki_peers_wake(send->peer->peers);
}

static void on_ended(void *ctx, uint64_t call_id, int status, const char *text,
                     swk_time now)
{
    struct swki_snapshot_send *send = ctx;

    (void)call_id;
    (void)now;
    send->call_id = 0;
    if (swki_peer_says_removed(status, text)) {
        swki_peer_note_removed(send->peer);
    }
    if (status == SWKI_STATUS_OK && send->state == SEND_ENDING) {
        finish(send, true);
    } else {
        swki_snapshot_send_fail(send, text);
    }
}

/* -- Life ------------------------------------------------------------------- */

static int open_call(struct swki_snapshot_send *send,
                     const struct swk_raft_message *message,
                     struct swk_error *err)
{
    static const struct swki_rpc_header rpc = {
        .path = SWKI_PATH_RAFT_STREAM_SNAPSHOT};
    struct swki_peers *peers = send->peer->peers;
    const struct swki_rpc_client_call_events events = {
        .ctx = send,
        .call_id = ++peers->last_call,
        .message = on_message,
        .ended = on_ended,
    };
    Swkpb__Rpc__StreamSnapshotRequest step =
        SWKPB__RPC__STREAM_SNAPSHOT_REQUEST__INIT;
    Swkpb__Rpc__SnapshotHeader header = SWKPB__RPC__SNAPSHOT_HEADER__INIT;
    size_t len = swk_raft_message_size(message);
    uint8_t *encoded = swki_alloc(peers->config.alloc, len);
    int rc;

    if (encoded == NULL) {
        return swki_fail_nomem(err);
    }
    header.message.data = encoded;
    header.message.len = swk_raft_message_encode(message, encoded);
    header.length = send->total;
    header.part_size = (uint32_t)peers->config.part_size;
    header.generation = swki_peers_generation(peers);
    step.step_case = SWKPB__RPC__STREAM_SNAPSHOT_REQUEST__STEP_HEADER;
    step.header = &header;
    rc = swki_rpc_client_open(send->peer->client, &rpc, &events, err);
    if (rc == SWK_OK) {
        send->call_id = events.call_id;
        rc = send_step(send, &step, err);
    }
    swki_free(peers->config.alloc, encoded);
    return rc;
}

static int start(struct swki_snapshot_send *send,
                 const struct swk_raft_message *message, struct swk_error *err)
{
    const struct swki_peers_config *config = config_of(send);
    const struct swk_storage *storage = config->storage;
    size_t len = 0;
    int rc;

    send->part = swki_alloc(config->alloc, config->part_size);
    if (send->part == NULL) {
        return swki_fail_nomem(err);
    }
    rc = storage->read_snapshot(storage->ctx, send->index, send->term, 0,
                                send->part, config->part_size, &len,
                                &send->total, err);
    if (rc == SWK_OK && send->total == 0) {
        rc = swki_fail(err, SWK_ECORRUPT, "the snapshot is empty");
    }
    return rc != SWK_OK ? rc : open_call(send, message, err);
}

/* Why it cannot be sent now, or NULL. */
static const char *obstacle(const struct swki_peer *peer,
                            const struct swk_raft_message *message)
{
    const struct swki_peers *peers = peer->peers;

    if (peers->config.storage == NULL || message->snapshot == NULL) {
        return "there is none";
    }
    if (peer->client == NULL) {
        return "it cannot be reached";
    }
    return peers->sends_count >= peers->config.snapshots_max
               ? "too many are under way"
               : NULL;
}

void swki_snapshot_send_start(struct swki_peer *peer,
                              const struct swk_raft_message *message)
{
    struct swki_peers *peers = peer->peers;
    const char *why = obstacle(peer, message);
    struct swki_snapshot_send *send;
    struct swk_error err;

    if (peer->snapshot != NULL) {
        return; /* the one under way speaks for both */
    }
    send = why != NULL ? NULL
                       : swki_calloc(peers->config.alloc, 1, sizeof(*send));
    if (send == NULL) {
        log_failure(peer, why != NULL ? why : "out of memory");
        peer->snapshot_due = true;
        peer->snapshot_ok = false;
        swki_peers_wake(peers);
        return;
    }
    peers->sends_count++;
    peer->snapshot = send;
    peer->snapshot_due = false;
    send->peer = peer;
    send->index = message->snapshot->index;
    send->term = message->snapshot->term;
    send->progress_by = swki_peers_now(peers) + peers->config.progress_ns;
    if (start(send, message, &err) != SWK_OK) {
        swki_snapshot_send_fail(send, err.text);
    }
}

swk_time swki_snapshot_send_turn(struct swki_snapshot_send *send, swk_time now)
{
    swk_time deadline = send->progress_by;
    struct swk_error err = {0};
    int rc = SWK_OK;

    if (now >= send->progress_by) {
        swki_snapshot_send_fail(send, "no progress in time");
        return SWK_NEVER;
    }
    if (send->state == SEND_CHECKING) {
        send->progress_by = now + config_of(send)->progress_ns;
        rc = check(send, &err);
        deadline = now; /* there is more */
    } else if (send->state == SEND_PARTS) {
        rc = pump(send, &err);
    }
    if (rc != SWK_OK) {
        swki_snapshot_send_fail(send, err.text);
        return SWK_NEVER;
    }
    return deadline;
}

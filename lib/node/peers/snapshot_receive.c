/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Receiving a snapshot, part by part, into the storage; one at a time.
 *
 * The digest is a chain over the parts, and every link of it is kept: so a
 * stream that broke off goes on at any part that the storage kept. After a
 * restart what the storage has is read again for that.
 *
 * The storage keeps no whole parts, but what suits it. So the first part that
 * comes may be there in its front already: it must be the same then.
 */

#include "node/peers/peers_internal.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "swarmkit/peers.pb-c.h"
#include "wire/message.h"

enum {
    WAITING_PARTS_MAX = 8, /* of a sender that minds no acknowledgements */
    PART_SIZE_MIN = 1024,
    READ_PARTS = 4, /* of what the storage has, in one turn */
};

#define LENGTH_MAX (UINT64_C(64) << 30)
#define DIGESTS_SIZE_MAX (64 * 1024 * 1024)
#define WRITE_AGAIN_NS (5 * SWK_MILLISECOND)
#define TELL_NS SWK_SECOND /* while nothing comes, as a sign of life */

void swki_snapshot_receive_init(struct swki_peers *peers)
{
    struct swki_snapshot_receive *r = &peers->receive;

    r->write_at = SWK_NEVER;
    swki_buf_init(&r->digests, peers->config.alloc, DIGESTS_SIZE_MAX);
}

static void drop_waiting(struct swki_peers *peers)
{
    struct swki_snapshot_receive *r = &peers->receive;

    while (r->first != NULL) {
        struct swki_queued *next = r->first->next;

        swki_free(peers->config.alloc, r->first);
        r->first = next;
    }
    r->last = NULL;
    r->waiting = 0;
    r->write_at = SWK_NEVER;
}

enum { FORGET, KEEP };

/* The stream is over before its end; the storage is told. */
static void give_up(struct swki_peers *peers, int keep)
{
    struct swki_snapshot_receive *r = &peers->receive;
    const struct swk_storage *storage = peers->config.storage;

    if (r->state != SWKI_RECEIVE_NONE) {
        storage->abort_snapshot(storage->ctx, keep);
    }
    drop_waiting(peers);
    swki_free(peers->config.alloc, r->message);
    r->message = NULL;
    r->call = NULL;
    r->state = SWKI_RECEIVE_NONE;
    r->kept = keep == KEEP;
}

static void end(struct swki_peers *peers, enum swki_status status,
                const char *text, int keep)
{
    struct swki_rpc_call *call = peers->receive.call;

    swki_log(peers->config.logger, SWK_LOG_WARN, "peers",
             "a snapshot of member %llx is not taken: %s",
             (unsigned long long)peers->receive.from, text);
    give_up(peers, keep);
    if (call != NULL) {
        swki_rpc_call_end(call, (int)status, text);
    }
}

void swki_snapshot_receive_fini(struct swki_peers *peers)
{
    give_up(peers, KEEP);
    swki_buf_fini(&peers->receive.digests);
}

/* -- Beginning --------------------------------------------------------------
 */

/* Tells how far it has come; with the digest at the beginning. */
static void answer(struct swki_peers *peers, uint64_t offset,
                   const uint8_t *digest)
{
    Swkpb__Rpc__StreamSnapshotResponse response =
        SWKPB__RPC__STREAM_SNAPSHOT_RESPONSE__INIT;
    struct swki_buf *out = &peers->scratch;

    if (peers->receive.call == NULL) {
        return;
    }
    response.offset = offset;
    if (digest != NULL) {
        response.digest.data = (uint8_t *)(uintptr_t)digest;
        response.digest.len = SWKI_SHA256_SIZE;
    }
    swki_buf_clear(out);
    if (swki_message_pack(&response.base, out, NULL) == SWK_OK) {
        swki_rpc_call_send(peers->receive.call, out->data, out->len);
    }
}

static bool forget_digests(struct swki_snapshot_receive *r)
{
    static const uint8_t zeros[SWKI_SHA256_SIZE];

    swki_buf_clear(&r->digests);
    return swki_buf_append(&r->digests, zeros, sizeof(zeros));
}

static bool add_digest(struct swki_snapshot_receive *r, const uint8_t *data,
                       size_t len)
{
    uint8_t digest[SWKI_SHA256_SIZE];

    memcpy(digest, r->digests.data + r->digests.len - sizeof(digest),
           sizeof(digest));
    return swki_snapshot_digest(digest, data, len) &&
           swki_buf_append(&r->digests, digest, sizeof(digest));
}

/* Makes the storage ready for the parts; same: the digests are those of what
 * it may have. */
static int begin_storage(struct swki_peers *peers,
                         const struct swk_snapshot_meta *meta, bool same,
                         struct swk_error *err)
{
    struct swki_snapshot_receive *r = &peers->receive;
    const struct swk_storage *storage = peers->config.storage;
    uint64_t stored = 0;
    int rc = storage->begin_snapshot(storage->ctx, meta, &stored, err);

    if (rc == SWK_OK && stored > r->length) { /* it is of another */
        storage->abort_snapshot(storage->ctx, FORGET);
        rc = storage->begin_snapshot(storage->ctx, meta, &stored, err);
    }
    if (rc != SWK_OK) {
        return rc;
    }
    if (stored > r->length || ((!same || stored == 0) && !forget_digests(r))) {
        storage->abort_snapshot(storage->ctx, FORGET);
        return swki_fail_nomem(err);
    }
    r->stored = stored;
    return SWK_OK;
}

/* How many parts the storage has whole. */
static size_t stored_parts(const struct swki_snapshot_receive *r)
{
    return (size_t)(r->stored / r->part_size);
}

static size_t known_parts(const struct swki_snapshot_receive *r)
{
    return r->digests.len / SWKI_SHA256_SIZE - 1;
}

/* Tells the sender where to go on: after the parts that are stored whole. */
static void ask_for_parts(struct swki_peers *peers)
{
    struct swki_snapshot_receive *r = &peers->receive;
    size_t parts = stored_parts(r);

    r->digests.len = (parts + 1) * SWKI_SHA256_SIZE;
    r->offset = parts * (uint64_t)r->part_size;
    r->written = r->offset;
    r->skip = (size_t)(r->stored - r->offset);
    r->state = SWKI_RECEIVE_PARTS;
    answer(peers, r->offset,
           r->digests.data + r->digests.len - SWKI_SHA256_SIZE);
}

/* Reads len bytes that the storage had from before. */
static int read_stored(struct swki_peers *peers, uint64_t offset, uint8_t *buf,
                       size_t len, struct swk_error *err)
{
    const struct swki_snapshot_receive *r = &peers->receive;
    const struct swk_storage *storage = peers->config.storage;
    size_t done = 0;

    while (done < len) {
        uint64_t total;
        size_t count = 0;
        int rc = storage->read_snapshot(
            storage->ctx, r->index, r->snapshot_term, offset + done, buf + done,
            len - done, &count, &total, err);

        if (rc != SWK_OK) {
            return rc;
        }
        if (count == 0) {
            return swki_fail(err, SWK_ECORRUPT,
                             "the storage has less of it than it said");
        }
        done += count;
    }
    return SWK_OK;
}

/* Adds the digests of some parts that the storage has. */
static int read_parts(struct swki_peers *peers, struct swk_error *err)
{
    struct swki_snapshot_receive *r = &peers->receive;
    uint8_t *part = swki_alloc(peers->config.alloc, r->part_size);
    int rc = part != NULL ? SWK_OK : swki_fail_nomem(err);

    for (int i = 0;
         rc == SWK_OK && i < READ_PARTS && known_parts(r) < stored_parts(r);
         i++) {
        rc = read_stored(peers, known_parts(r) * (uint64_t)r->part_size, part,
                         r->part_size, err);
        if (rc == SWK_OK && !add_digest(r, part, r->part_size)) {
            rc = swki_fail_nomem(err);
        }
    }
    swki_free(peers->config.alloc, part);
    return rc;
}

/* A turn of reading what the storage has. */
static void read_more(struct swki_peers *peers, swk_time now)
{
    struct swk_error err;

    peers->receive.heard_at = now;
    if (read_parts(peers, &err) != SWK_OK) {
        end(peers, swki_status_from_error(err.code), err.text, FORGET);
    } else if (known_parts(&peers->receive) >= stored_parts(&peers->receive)) {
        ask_for_parts(peers);
    }
}

/* Whether the new stream is to take the place of the one that goes on. */
static bool supersedes(const struct swki_snapshot_receive *r,
                       const struct swk_raft_message *message)
{
    return message->term > r->term || message->from == r->from ||
           (message->term == r->term && message->snapshot->index > r->index);
}

static bool same_place(const struct swki_snapshot_receive *r,
                       const struct swk_raft_message *message,
                       const Swkpb__Rpc__SnapshotHeader *header)
{
    return r->kept && r->index == message->snapshot->index &&
           r->snapshot_term == message->snapshot->term &&
           r->length == header->length && r->part_size == header->part_size;
}

static bool header_valid(const struct swki_peers *peers,
                         const struct swk_raft_message *message,
                         const Swkpb__Rpc__SnapshotHeader *header)
{
    return message->type == SWK_RAFT_MSG_SNAP && message->snapshot != NULL &&
           message->snapshot->index > 0 && message->to != 0 &&
           message->to == peers->config.raft_id && header->length > 0 &&
           header->length <= LENGTH_MAX && header->part_size >= PART_SIZE_MIN &&
           header->part_size <= SWKI_PEERS_PART_SIZE &&
           header->length / header->part_size <
               DIGESTS_SIZE_MAX / SWKI_SHA256_SIZE - 2;
}

static int keep_header(struct swki_peers *peers,
                       const struct swk_raft_message *message,
                       const Swkpb__Rpc__SnapshotHeader *header,
                       struct swk_error *err)
{
    struct swki_snapshot_receive *r = &peers->receive;
    size_t len = header->message.len;

    r->message = swki_alloc(peers->config.alloc, len);
    if (r->message == NULL) {
        return swki_fail_nomem(err);
    }
    memcpy(r->message, header->message.data, len);
    r->message_len = len;
    r->from = message->from;
    r->term = message->term;
    r->index = message->snapshot->index;
    r->snapshot_term = message->snapshot->term;
    r->length = header->length;
    r->part_size = header->part_size;
    r->began = false;
    return SWK_OK;
}

static void begin(struct swki_peers *peers, struct swki_rpc_call *call,
                  const struct swk_raft_message *message,
                  const Swkpb__Rpc__SnapshotHeader *header, swk_time now)
{
    struct swki_snapshot_receive *r = &peers->receive;
    struct swk_error err;
    bool same;
    int rc;

    if (r->state == SWKI_RECEIVE_WHOLE ||
        (r->state != SWKI_RECEIVE_NONE && !supersedes(r, message))) {
        swki_rpc_call_end(call, SWKI_STATUS_UNAVAILABLE,
                          "another snapshot is being received");
        return;
    }
    if (r->state != SWKI_RECEIVE_NONE) {
        end(peers, SWKI_STATUS_ABORTED, "a newer one has come", KEEP);
    }
    same = same_place(r, message, header);
    rc = keep_header(peers, message, header, &err);
    if (rc == SWK_OK) {
        rc = begin_storage(peers, message->snapshot, same, &err);
    }
    if (rc != SWK_OK) {
        swki_free(peers->config.alloc, r->message);
        r->message = NULL;
        r->kept = false;
        swki_rpc_call_end(call,
                          rc == SWK_EBUSY ? SWKI_STATUS_UNAVAILABLE
                                          : (int)swki_status_from_error(rc),
                          err.text);
        return;
    }
    r->state = SWKI_RECEIVE_READING;
    r->call = call;
    r->heard_at = now;
    swki_peers_wake(peers);
    if (known_parts(r) >= stored_parts(r)) {
        ask_for_parts(peers);
    }
}

/* The first message of a stream. */
static void take_header(struct swki_peers *peers, struct swki_rpc_call *call,
                        const Swkpb__Rpc__StreamSnapshotRequest *request,
                        swk_time now)
{
    const Swkpb__Rpc__SnapshotHeader *header = request->header;
    const char *text = "a malformed snapshot header";
    enum swki_status status = SWKI_STATUS_INVALID_ARGUMENT;
    struct swk_raft_message message;

    if (peers->config.storage == NULL) {
        text = "no snapshots are received";
        status = SWKI_STATUS_UNIMPLEMENTED;
    } else if (request->step_case ==
                   SWKPB__RPC__STREAM_SNAPSHOT_REQUEST__STEP_HEADER &&
               swk_raft_message_decode(peers->decoder, header->message.data,
                                       header->message.len, &message,
                                       NULL) == SWK_OK &&
               header_valid(peers, &message, header)) {
        status = swki_peers_check_sender(peers, swki_rpc_call_info(call),
                                         message.from, header->generation, now,
                                         &text);
    }
    if (text != NULL) {
        swki_rpc_call_end(call, (int)status, text);
    } else {
        begin(peers, call, &message, header, now);
    }
}

/* -- Parts ------------------------------------------------------------------
 */

static void write_failed(struct swki_peers *peers, const struct swk_error *err)
{
    end(peers, swki_status_from_error(err->code), err->text, FORGET);
}

/* All is there, and durable. */
static void deliver(struct swki_peers *peers)
{
    struct swki_snapshot_receive *r = &peers->receive;
    struct swki_rpc_call *call = r->call;
    uint8_t *message = r->message;

    r->message = NULL;
    r->call = NULL;
    r->kept = false;
    r->state = SWKI_RECEIVE_NONE;
    r->write_at = SWK_NEVER;
    if (call != NULL) {
        swki_rpc_call_end(call, SWKI_STATUS_OK, "");
    }
    swki_peers_deliver(peers, message, r->message_len);
    swki_free(peers->config.alloc, message);
}

/* All was given to the storage, and is delivered once it is durable. */
static void complete(struct swki_peers *peers, swk_time now)
{
    struct swki_snapshot_receive *r = &peers->receive;
    const struct swk_storage *storage = peers->config.storage;
    struct swk_error err;

    if (!swki_ct_equal(r->digest,
                       r->digests.data + r->digests.len - SWKI_SHA256_SIZE,
                       SWKI_SHA256_SIZE)) {
        end(peers, SWKI_STATUS_DATA_LOSS, "its digest is another", FORGET);
        return;
    }
    int rc = storage->write_snapshot(storage->ctx, NULL, 0, &err);
    if (rc == SWK_OK) {
        deliver(peers);
        return;
    }
    if (rc != SWK_EUNAVAILABLE) {
        write_failed(peers, &err);
        return;
    }
    r->heard_at = now; /* there is nothing more to hear */
    r->write_at = now + WRITE_AGAIN_NS;
    if (now >= r->told_at + TELL_NS) {
        r->told_at = now;
        answer(peers, r->written, NULL);
    }
    swki_peers_wake(peers);
}

/* Gives a part to the storage; SWK_EUNAVAILABLE if it cannot take it yet. */
static int write_part(struct swki_peers *peers, const uint8_t *data, size_t len,
                      struct swk_error *err)
{
    struct swki_snapshot_receive *r = &peers->receive;
    const struct swk_storage *storage = peers->config.storage;
    int rc = storage->write_snapshot(storage->ctx, data, len, err);

    if (rc == SWK_OK) {
        r->written += len;
        answer(peers, r->written, NULL);
    }
    return rc;
}

/* What had to wait. */
static void write_waiting(struct swki_peers *peers, swk_time now)
{
    struct swki_snapshot_receive *r = &peers->receive;
    struct swk_error err;

    while (r->first != NULL) {
        struct swki_queued *part = r->first;
        int rc = write_part(peers, part->data, part->len, &err);

        if (rc == SWK_EUNAVAILABLE) {
            r->write_at = now + WRITE_AGAIN_NS;
            return;
        }
        if (rc != SWK_OK) {
            write_failed(peers, &err);
            return;
        }
        r->first = part->next;
        r->waiting--;
        swki_free(peers->config.alloc, part);
    }
    r->last = NULL;
    r->write_at = SWK_NEVER;
    if (r->state == SWKI_RECEIVE_WHOLE) {
        complete(peers, now);
    }
}

static bool keep_part(struct swki_peers *peers, const uint8_t *data, size_t len)
{
    struct swki_snapshot_receive *r = &peers->receive;
    struct swki_queued *part =
        r->waiting < WAITING_PARTS_MAX
            ? swki_alloc(peers->config.alloc, sizeof(*part) + len)
            : NULL;

    if (part == NULL) {
        return false;
    }
    part->next = NULL;
    part->len = len;
    memcpy(part->data, data, len);
    if (r->first == NULL) {
        r->first = part;
    } else {
        r->last->next = part;
    }
    r->last = part;
    r->waiting++;
    return true;
}

/* The sender has other bytes than those that are here already. */
static int begin_anew(struct swki_peers *peers, struct swk_error *err)
{
    struct swki_snapshot_receive *r = &peers->receive;
    const struct swk_storage *storage = peers->config.storage;
    struct swk_raft_message message;
    uint64_t stored = 0;
    int rc = swk_raft_message_decode(peers->decoder, r->message, r->message_len,
                                     &message, err);

    if (rc == SWK_OK) {
        storage->abort_snapshot(storage->ctx, FORGET);
        rc = storage->begin_snapshot(storage->ctx, message.snapshot, &stored,
                                     err);
    }
    if (rc == SWK_OK && (stored != 0 || !forget_digests(r))) {
        rc = swki_fail_nomem(err);
    }
    r->offset = 0;
    r->written = 0;
    r->skip = 0;
    return rc;
}

/* Whether the front of a part is what the storage has of it. */
static bool is_stored(struct swki_peers *peers, const uint8_t *data)
{
    struct swki_snapshot_receive *r = &peers->receive;
    uint8_t *stored = swki_alloc(peers->config.alloc, r->skip);
    bool same =
        stored != NULL &&
        read_stored(peers, r->offset, stored, r->skip, NULL) == SWK_OK &&
        memcmp(stored, data, r->skip) == 0;

    swki_free(peers->config.alloc, stored);
    return same;
}

/* Stores a part that is in its place, or lets it wait. */
static void store_part(struct swki_peers *peers, const uint8_t *data,
                       size_t len, swk_time now)
{
    struct swki_snapshot_receive *r = &peers->receive;
    struct swk_error err = {0};
    int rc = r->first != NULL ? SWK_EUNAVAILABLE
                              : write_part(peers, data, len, &err);

    if (rc == SWK_OK) {
        return;
    }
    if (rc != SWK_EUNAVAILABLE) {
        write_failed(peers, &err);
        return;
    }
    if (!keep_part(peers, data, len)) {
        end(peers, SWKI_STATUS_RESOURCE_EXHAUSTED,
            "parts come faster than they can be stored", KEEP);
        return;
    }
    r->write_at = r->write_at == SWK_NEVER ? now + WRITE_AGAIN_NS : r->write_at;
    swki_peers_wake(peers);
}

static void take_part(struct swki_peers *peers,
                      const Swkpb__Rpc__SnapshotPart *part, swk_time now)
{
    struct swki_snapshot_receive *r = &peers->receive;
    uint64_t left;
    size_t skip;
    struct swk_error err = {0};

    if (part->offset == 0 && !r->began && r->offset + r->skip > 0 &&
        begin_anew(peers, &err) != SWK_OK) {
        write_failed(peers, &err);
        return;
    }
    r->began = true;
    left = r->length - r->offset;
    if (part->offset != r->offset || part->data.len == 0 ||
        part->data.len != (left < r->part_size ? left : r->part_size)) {
        end(peers, SWKI_STATUS_INVALID_ARGUMENT,
            "a part of a snapshot out of order", FORGET);
        return;
    }
    if (r->skip > 0 && !is_stored(peers, part->data.data)) {
        end(peers, SWKI_STATUS_DATA_LOSS, "it became another", FORGET);
        return;
    }
    if (!add_digest(r, part->data.data, part->data.len)) {
        end(peers, SWKI_STATUS_RESOURCE_EXHAUSTED, "out of memory", KEEP);
        return;
    }
    skip = r->skip;
    r->skip = 0;
    r->offset += part->data.len;
    r->written += skip;
    store_part(peers, part->data.data + skip, part->data.len - skip, now);
}

static void take_digest(struct swki_peers *peers,
                        const ProtobufCBinaryData *digest, swk_time now)
{
    struct swki_snapshot_receive *r = &peers->receive;

    if (r->offset != r->length || digest->len != sizeof(r->digest)) {
        end(peers, SWKI_STATUS_INVALID_ARGUMENT,
            "the end of a snapshot out of order", FORGET);
        return;
    }
    memcpy(r->digest, digest->data, sizeof(r->digest));
    r->state = SWKI_RECEIVE_WHOLE;
    r->told_at = now;
    if (r->first == NULL) {
        complete(peers, now);
    }
}

static void take_step(struct swki_peers *peers,
                      const Swkpb__Rpc__StreamSnapshotRequest *request,
                      swk_time now)
{
    struct swki_snapshot_receive *r = &peers->receive;

    r->heard_at = now;
    if (r->state == SWKI_RECEIVE_PARTS &&
        request->step_case == SWKPB__RPC__STREAM_SNAPSHOT_REQUEST__STEP_PART) {
        take_part(peers, request->part, now);
    } else if (r->state == SWKI_RECEIVE_PARTS &&
               request->step_case ==
                   SWKPB__RPC__STREAM_SNAPSHOT_REQUEST__STEP_DIGEST) {
        take_digest(peers, &request->digest, now);
    } else {
        end(peers, SWKI_STATUS_INVALID_ARGUMENT,
            "a step of a snapshot out of order", FORGET);
    }
}

/* -- Events -----------------------------------------------------------------
 */

void swki_snapshot_receive_request(struct swki_peers *peers,
                                   struct swki_rpc_call *call,
                                   const uint8_t *data, size_t len,
                                   swk_time now)
{
    ProtobufCMessage *message = NULL;
    struct swki_arena arena;

    swki_arena_init(&arena, peers->config.alloc, swki_message_memory_max(len));
    if (swki_message_unpack(&swkpb__rpc__stream_snapshot_request__descriptor,
                            data, len, &arena, &message, NULL) != SWK_OK) {
        if (call == peers->receive.call) {
            end(peers, SWKI_STATUS_INVALID_ARGUMENT, "a malformed part",
                FORGET);
        } else {
            swki_rpc_call_end(call, SWKI_STATUS_INVALID_ARGUMENT,
                              "a malformed snapshot header");
        }
    } else if (call == peers->receive.call) {
        take_step(peers, (const Swkpb__Rpc__StreamSnapshotRequest *)message,
                  now);
    } else {
        take_header(peers, call,
                    (const Swkpb__Rpc__StreamSnapshotRequest *)message, now);
    }
    swki_arena_fini(&arena);
}

void swki_snapshot_receive_finished(struct swki_peers *peers,
                                    struct swki_rpc_call *call)
{
    if (call == peers->receive.call &&
        peers->receive.state != SWKI_RECEIVE_WHOLE) {
        end(peers, SWKI_STATUS_INVALID_ARGUMENT, "a snapshot without an end",
            KEEP);
    }
}

void swki_snapshot_receive_closed(struct swki_peers *peers,
                                  const struct swki_rpc_call *call)
{
    struct swki_snapshot_receive *r = &peers->receive;

    if (call != r->call) {
        return;
    }
    if (r->state == SWKI_RECEIVE_WHOLE) { /* the sender is needed no more */
        r->call = NULL;
    } else {
        give_up(peers, KEEP);
    }
}

void swki_snapshot_receive_new_term(struct swki_peers *peers, uint64_t from,
                                    uint64_t term)
{
    const struct swki_snapshot_receive *r = &peers->receive;

    if (r->state != SWKI_RECEIVE_NONE && r->state != SWKI_RECEIVE_WHOLE &&
        from != r->from && term > r->term) {
        end(peers, SWKI_STATUS_ABORTED, "another leads now", KEEP);
    }
}

swk_time swki_snapshot_receive_turn(struct swki_peers *peers, swk_time now)
{
    struct swki_snapshot_receive *r = &peers->receive;
    swk_time silence;

    if (now >= r->write_at) {
        write_waiting(peers, now);
    }
    if (r->state == SWKI_RECEIVE_READING) {
        read_more(peers, now);
    }
    if (r->state == SWKI_RECEIVE_NONE) {
        return SWK_NEVER;
    }
    if (r->state == SWKI_RECEIVE_READING) {
        return now; /* there is more */
    }
    silence = r->heard_at + peers->config.silence_ns;
    if (now >= silence) {
        end(peers, SWKI_STATUS_DEADLINE_EXCEEDED, "nothing came in time", KEEP);
        return SWK_NEVER;
    }
    return silence < r->write_at ? silence : r->write_at;
}

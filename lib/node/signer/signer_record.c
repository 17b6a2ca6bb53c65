/* SPDX-License-Identifier: Apache-2.0 */

#include "node/signer/signer_record.h"

#include <stdio.h>

#include "base/log.h"
#include "crypto/digest.h"
#include "wire/message.h"
#include "wire/time.h"

static const char *role_name(enum swki_role role)
{
    return role == SWKI_ROLE_MANAGER  ? "manager"
           : role == SWKI_ROLE_WORKER ? "worker"
                                      : NULL;
}

static char *hex_text(const struct swki_buf *bytes, struct swki_arena *arena)
{
    char *text = swki_arena_alloc(arena, 2 * bytes->len + 1);

    for (size_t i = 0; text != NULL && i < bytes->len; i++) {
        snprintf(text + 2 * i, 3, "%02x", bytes->data[i]);
    }
    return text;
}

static void describe_certificate(Swkpb__Rpc__SignerRecord *record,
                                 struct swki_pem pem, struct swki_arena *arena)
{
    char hex[SWKI_SHA256_HEX_LEN + 1];
    uint8_t digest[SWKI_SHA256_SIZE];
    struct swki_certificate_info info;

    if (pem.len == 0 ||
        swki_certificate_info_init(&info, NULL, pem, NULL) != 0) {
        return;
    }
    record->serial = hex_text(&info.serial, arena);
    record->not_before = swki_timestamp_from_wall(info.not_before, arena);
    record->not_after = swki_timestamp_from_wall(info.not_after, arena);
    if (swki_sha256(info.public_key.data, info.public_key.len, digest)) {
        swki_sha256_hex(digest, hex);
        record->public_key = swki_arena_strdup(arena, hex);
    }
    swki_certificate_info_fini(&info);
}

/* Strings of a record are only read. */
static char *text_of(const char *text)
{
    return text == NULL ? (char *)(uintptr_t)protobuf_c_empty_string
                        : (char *)(uintptr_t)text;
}

void swki_signer_record_add(const struct swki_signer_event *event,
                            struct swki_arena *arena,
                            struct swki_signer_log *log,
                            const struct swk_logger *logger)
{
    const struct swki_notary_request *request = &event->request->notary;
    const struct swk_error *why = event->why;
    Swkpb__Rpc__SignerRecord record = SWKPB__RPC__SIGNER_RECORD__INIT;
    bool failed = why->code == SWK_ENOMEM || why->code == SWK_EIO;
    char uid[24];
    char pid[24];

    record.time = swki_timestamp_from_wall(event->wall, arena);
    record.call = text_of(event->request->name);
    record.outcome = text_of(why->code == 0 ? "signed"
                             : failed       ? "failed"
                                            : "refused");
    record.reason = text_of(why->code == 0 ? NULL : why->text);
    record.swarm_id = text_of(request->swarm_id);
    record.node_id = text_of(request->node_id);
    record.role = text_of(role_name(request->role));
    record.previous_role = text_of(role_name(event->decision->previous_role));
    snprintf(uid, sizeof(uid), "%lld", (long long)event->caller->uid);
    snprintf(pid, sizeof(pid), "%lld", (long long)event->caller->pid);
    record.left_out = event->left_out;
    record.uid = uid;
    record.pid = pid;
    if (event->decision->authority != NULL) {
        record.authority = event->decision->authority->fingerprint;
    }
    if (why->code == 0) {
        describe_certificate(&record, event->certificate, arena);
    }
    swki_signer_log_add(log, &record);
    swki_log(logger, why->code == 0 ? SWK_LOG_DEBUG : SWK_LOG_WARN, "signer",
             "%s %s%s%s%s%s", record.call, request->node_id,
             request->node_id[0] == '\0' ? "" : ": ", record.outcome,
             why->code == 0 ? "" : ": ", record.reason);
}

void swki_signer_record_removed(const char *fingerprint, swk_wall wall,
                                struct swki_signer_log *log)
{
    Swkpb__Rpc__SignerRecord record = SWKPB__RPC__SIGNER_RECORD__INIT;
    Swkpb__Timestamp time = SWKPB__TIMESTAMP__INIT;

    swki_timestamp_write(wall, &time);
    record.time = &time;
    record.call = text_of("Remove");
    record.outcome = text_of("removed");
    record.authority = text_of(fingerprint);
    swki_signer_log_add(log, &record);
}

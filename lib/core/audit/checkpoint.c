/* SPDX-License-Identifier: Apache-2.0 */

#include "core/audit/checkpoint.h"

#include <inttypes.h>
#include <string.h>

bool swki_audit_checkpoint_body(const struct swki_audit_checkpoint *checkpoint,
                                struct swki_buf *out)
{
    char hex[SWKI_SHA256_HEX_LEN + 1];
    char time[SWKI_AUDIT_TIME_SIZE];

    swki_sha256_hex(checkpoint->link.hash, hex);
    swki_audit_time_text(checkpoint->time, time);
    return swki_buf_printf(out,
                           "{\"seq\":%" PRIu64 ",\"hash\":\"%s\","
                           "\"file\":%" PRIu64 ",\"offset\":%" PRIu64
                           ",\"time\":\"%s\",\"node\":\"%s\"}",
                           checkpoint->link.seq, hex, checkpoint->file,
                           checkpoint->offset, time, checkpoint->node_id);
}

bool swki_audit_checkpoint_sign(const uint8_t *signature, size_t signature_len,
                                const void *certificate, size_t certificate_len,
                                struct swki_buf *out)
{
    swki_buf_append_text(out, "\n{\"signature\":\"");
    for (size_t i = 0; i < signature_len; i++) {
        swki_buf_printf(out, "%02x", signature[i]);
    }
    swki_buf_append_text(out, "\"}\n");
    swki_buf_append(out, certificate, certificate_len);
    return !out->failed;
}

bool swki_audit_checkpoint_digest(const void *body, size_t len,
                                  uint8_t out_digest[SWKI_SHA256_SIZE])
{
    return swki_sha256_tagged(SWKI_AUDIT_CHECKPOINT_TAG, body, len, out_digest);
}

static bool read_body(const char *body, size_t len,
                      struct swki_audit_checkpoint *out)
{
    struct swki_audit_fields fields;

    if (!swki_audit_fields_read(body, len, &fields)) {
        return false;
    }
    swki_audit_field_text(swki_audit_fields_find(&fields, "node"), out->node_id,
                          sizeof(out->node_id));
    return swki_audit_field_number(swki_audit_fields_find(&fields, "seq"),
                                   &out->link.seq) &&
           swki_audit_field_hash(swki_audit_fields_find(&fields, "hash"),
                                 out->link.hash) &&
           swki_audit_field_number(swki_audit_fields_find(&fields, "file"),
                                   &out->file) &&
           swki_audit_field_number(swki_audit_fields_find(&fields, "offset"),
                                   &out->offset) &&
           swki_audit_time_read(swki_audit_fields_find(&fields, "time"),
                                &out->time);
}

static bool read_signature(const char *line, size_t len,
                           struct swki_audit_checkpoint_text *out)
{
    const struct swki_audit_field *field;
    struct swki_audit_fields fields;

    if (!swki_audit_fields_read(line, len, &fields)) {
        return false;
    }
    field = swki_audit_fields_find(&fields, "signature");
    if (field == NULL || !field->is_text || field->value_len % 2 != 0 ||
        field->value_len / 2 > sizeof(out->signature)) {
        return false;
    }
    out->signature_len = field->value_len / 2;
    return swki_audit_hex_read(field->value, field->value_len, out->signature);
}

bool swki_audit_checkpoint_read(const char *text, size_t len,
                                struct swki_audit_checkpoint *out_checkpoint,
                                struct swki_audit_checkpoint_text *out_text)
{
    const char *first = len > 0 ? memchr(text, '\n', len) : NULL;
    const char *second;
    const char *end;

    if (first == NULL) {
        return false;
    }
    end = text + len;
    second = memchr(first + 1, '\n', (size_t)(end - first - 1));
    if (second == NULL) {
        return false;
    }
    out_text->body = text;
    out_text->body_len = (size_t)(first - text);
    out_text->certificate = second + 1;
    out_text->certificate_len = (size_t)(end - second - 1);
    return read_body(text, out_text->body_len, out_checkpoint) &&
           read_signature(first + 1, (size_t)(second - first - 1), out_text);
}

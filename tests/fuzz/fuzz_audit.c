/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The files of an audit log, which whoever has changed them wants to be
 * believed: any bytes as lines, as a checkpoint and as its signature; and lines
 * that are made of any bytes, which come back as they were, but not with a byte
 * changed.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/audit/check.h"
#include "node/audit/audit_signature.h"

enum {
    TEXT_SIZE = 100,
};

static void require(int holds)
{
    if (!holds) {
        abort();
    }
}

/* As they are printed. */
static void look_at_fields(const struct swki_audit_fields *fields)
{
    char text[TEXT_SIZE];

    require(fields->count <= SWKI_AUDIT_FIELDS_MAX);
    for (size_t i = 0; i < fields->count; i++) {
        uint64_t number;

        swki_audit_field_text(&fields->list[i], text, sizeof(text));
        require(strlen(text) < sizeof(text));
        require(!fields->list[i].is_text ||
                !swki_audit_field_number(&fields->list[i], &number));
    }
}

static void read_lines(const char *text, size_t len)
{
    struct swki_audit_check check;
    struct swki_audit_fields fields;

    swki_audit_check_init(&check);
    for (const char *at = text; len > 0;) {
        const char *end = memchr(at, '\n', len);
        size_t line_len = end != NULL ? (size_t)(end - at) : len;
        struct swki_audit_record record;

        if (swki_audit_fields_read(at, line_len, &fields)) {
            look_at_fields(&fields);
        }
        (void)swki_audit_check_line(&check, 1, at, line_len, &record);
        at += line_len;
        len -= line_len;
        if (len > 0) {
            at++;
            len--;
        }
    }
    require(strlen(check.text) < sizeof(check.text));
}

/* As nodes' IDs are. */
static bool is_plain(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < ' ' || *text == '"' || *text == '\\') {
            return false;
        }
    }
    return true;
}

/* What was read can be written, and be read again. */
static void write_again(const struct swki_audit_checkpoint *checkpoint,
                        const struct swki_audit_checkpoint_text *parts)
{
    struct swki_audit_checkpoint_text parts_again;
    struct swki_audit_checkpoint again;
    struct swki_buf text;

    swki_buf_init(&text, NULL, SIZE_MAX);
    require(swki_audit_checkpoint_body(checkpoint, &text));
    require(swki_audit_checkpoint_sign(parts->signature, parts->signature_len,
                                       parts->certificate,
                                       parts->certificate_len, &text));
    if (is_plain(checkpoint->node_id)) {
        require(swki_audit_checkpoint_read((const char *)text.data, text.len,
                                           &again, &parts_again));
        require(again.link.seq == checkpoint->link.seq);
        require(again.file == checkpoint->file);
        require(again.offset == checkpoint->offset);
        require(again.time == checkpoint->time);
        require(strcmp(again.node_id, checkpoint->node_id) == 0);
        require(parts_again.signature_len == parts->signature_len);
        require(parts_again.certificate_len == parts->certificate_len);
    }
    swki_buf_fini(&text);
}

static void read_checkpoint(const char *text, size_t len)
{
    static const struct swki_audit_signer anybody = {0};
    struct swki_audit_checkpoint checkpoint;
    struct swki_audit_checkpoint_text parts;
    struct swki_identity identity;

    if (swki_audit_checkpoint_read(text, len, &checkpoint, &parts)) {
        require(parts.signature_len <= sizeof(parts.signature));
        require(parts.certificate + parts.certificate_len == text + len);
        require(swki_audit_signature_check(&checkpoint, &parts, &anybody,
                                           &identity, NULL) != 0);
        write_again(&checkpoint, &parts);
    }
}

/* Of any numbers, with any bytes as a signature and as a certificate; then
 * with a byte changed. */
static void write_checkpoint(const uint8_t *data, size_t size)
{
    struct swki_audit_checkpoint checkpoint = {.node_id = "node1"};
    const size_t head = 4 * sizeof(uint64_t);
    struct swki_buf text;
    size_t signature_len;

    if (size < head) {
        return;
    }
    memcpy(&checkpoint.link.seq, data, sizeof(uint64_t));
    memcpy(&checkpoint.file, data + 8, sizeof(uint64_t));
    memcpy(&checkpoint.offset, data + 16, sizeof(uint64_t));
    memcpy(&checkpoint.time, data + 24, sizeof(uint64_t));
    signature_len = (size - head) / 2;
    if (signature_len > SWKI_AUDIT_SIGNATURE_SIZE_MAX) {
        signature_len = SWKI_AUDIT_SIGNATURE_SIZE_MAX;
    }
    swki_buf_init(&text, NULL, SIZE_MAX);
    require(swki_audit_checkpoint_body(&checkpoint, &text));
    require(swki_audit_checkpoint_sign(data + head, signature_len,
                                       data + head + signature_len,
                                       size - head - signature_len, &text));
    read_checkpoint((const char *)text.data, text.len);
    text.data[(data[0] + 256U * data[1]) % text.len] ^= data[2];
    read_checkpoint((const char *)text.data, text.len);
    swki_buf_fini(&text);
}

/* The first two bytes say which byte of the line is changed, and how. */
static void write_line(const uint8_t *data, size_t size)
{
    struct swki_audit_link last = {.seq = 6};
    struct swki_audit_record record;
    struct swki_audit_line line;
    struct swki_buf buf;
    char text[TEXT_SIZE];
    size_t len = size - 2 < sizeof(text) - 1 ? size - 2 : sizeof(text) - 1;

    memcpy(text, data + 2, len);
    text[len] = '\0';
    swki_buf_init(&buf, NULL, SIZE_MAX);
    line = swki_audit_line_begin(&buf, &last, 1, "call");
    swki_audit_line_text(&line, "text", text);
    swki_audit_line_number(&line, "uid", data[0]);
    require(swki_audit_line_end(&line, &last));
    len = buf.len - 1;
    require(swki_audit_record_read((const char *)buf.data, len, &record));
    require(record.link.seq == 7 &&
            memcmp(record.link.hash, last.hash, sizeof(last.hash)) == 0);
    look_at_fields(&record.fields);
    if (data[1] != 0) {
        buf.data[(size_t)data[0] * 3 % len] ^= data[1];
        require(!swki_audit_record_read((const char *)buf.data, len, &record));
    }
    swki_buf_fini(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_lines((const char *)data, size);
    read_checkpoint((const char *)data, size);
    if (size >= 2) {
        write_line(data, size);
    }
    write_checkpoint(data, size);
    return 0;
}

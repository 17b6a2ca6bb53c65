/* SPDX-License-Identifier: Apache-2.0 */

#include "core/signer/register.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

enum {
    CHECK_DIGITS = 16, /* of the digest of what stands before them */
};

struct entry {
    enum swki_role role;
    uint8_t key[SWKI_SHA256_SIZE];
    swk_wall not_before;
    swk_wall not_after;
    char node_id[];
};

void swki_register_init(struct swki_register *nodes,
                        const struct swk_alloc *alloc, size_t nodes_max,
                        uint64_t grace_ns)
{
    nodes->alloc = alloc;
    nodes->nodes_max = nodes_max;
    nodes->grace_ns = grace_ns;
    nodes->sweep_at = INT64_MAX;
    swki_map_init(&nodes->nodes, alloc);
}

void swki_register_fini(struct swki_register *nodes)
{
    struct entry *entry;
    size_t cursor = 0;

    while ((entry = swki_map_next(&nodes->nodes, &cursor)) != NULL) {
        swki_free(nodes->alloc, entry);
    }
    swki_map_fini(&nodes->nodes);
}

size_t swki_register_count(const struct swki_register *nodes)
{
    return nodes->nodes.count;
}

/* The moment from which it does not count any more. */
static swk_wall end_of(const struct swki_register *nodes, swk_wall not_after)
{
    return nodes->grace_ns > (uint64_t)INT64_MAX - (uint64_t)not_after
               ? INT64_MAX
               : not_after + (swk_wall)nodes->grace_ns;
}

bool swki_register_get(const struct swki_register *nodes, const char *node_id,
                       swk_wall wall, struct swki_register_record *out_record)
{
    const struct entry *entry = swki_map_get(&nodes->nodes, node_id);

    if (entry == NULL || end_of(nodes, entry->not_after) < wall) {
        return false;
    }
    out_record->role = entry->role;
    out_record->not_before = entry->not_before;
    out_record->not_after = entry->not_after;
    memcpy(out_record->key, entry->key, sizeof(out_record->key));
    snprintf(out_record->node_id, sizeof(out_record->node_id), "%s",
             entry->node_id);
    return true;
}

static void sweep(struct swki_register *nodes, swk_wall wall)
{
    struct entry *entry;
    size_t cursor = 0;

    nodes->sweep_at = INT64_MAX;
    while ((entry = swki_map_next(&nodes->nodes, &cursor)) != NULL) {
        swk_wall end = end_of(nodes, entry->not_after);

        if (end < wall) {
            swki_map_remove(&nodes->nodes, entry->node_id);
            swki_free(nodes->alloc, entry);
        } else if (end < nodes->sweep_at) {
            nodes->sweep_at = end;
        }
    }
}

bool swki_register_has_room(struct swki_register *nodes, swk_wall wall)
{
    if (nodes->nodes.count >= nodes->nodes_max && nodes->sweep_at < wall) {
        sweep(nodes, wall);
    }
    return nodes->nodes.count < nodes->nodes_max;
}

static struct entry *add(struct swki_register *nodes, const char *node_id)
{
    size_t len = strlen(node_id);
    struct entry *entry =
        swki_calloc(nodes->alloc, 1, sizeof(*entry) + len + 1);

    if (entry == NULL) {
        return NULL;
    }
    memcpy(entry->node_id, node_id, len + 1);
    if (!swki_map_put(&nodes->nodes, entry->node_id, entry)) {
        swki_free(nodes->alloc, entry);
        return NULL;
    }
    return entry;
}

bool swki_register_put(struct swki_register *nodes,
                       const struct swki_register_record *record)
{
    struct entry *entry = swki_map_get(&nodes->nodes, record->node_id);
    swk_wall end = end_of(nodes, record->not_after);

    if (entry == NULL) {
        entry = add(nodes, record->node_id);
    }
    if (entry == NULL) {
        return false;
    }
    entry->role = record->role;
    entry->not_before = record->not_before;
    entry->not_after = record->not_after;
    memcpy(entry->key, record->key, sizeof(entry->key));
    nodes->sweep_at = end < nodes->sweep_at ? end : nodes->sweep_at;
    return true;
}

/* -- Lines ------------------------------------------------------------------
 */

bool swki_register_fits(const char *node_id)
{
    size_t len = 0;

    while (node_id[len] > ' ' && node_id[len] <= '~') {
        len++;
    }
    return node_id[len] == '\0' && len > 0 && len <= SWK_ID_LEN_MAX;
}

static int64_t seconds_of(swk_wall wall)
{
    return wall / (swk_wall)SWK_SECOND;
}

static bool check_of(const char *text, size_t len, char out_check[65])
{
    uint8_t digest[SWKI_SHA256_SIZE];
    bool made = swki_sha256(text, len, digest);

    if (made) {
        swki_sha256_hex(digest, out_check);
        out_check[CHECK_DIGITS] = '\0';
    }
    return made;
}

bool swki_register_write_line(const struct swki_register_record *record,
                              struct swki_buf *out_text)
{
    char key[SWKI_SHA256_HEX_LEN + 1];
    char check[SWKI_SHA256_HEX_LEN + 1];
    char line[SWKI_REGISTER_LINE_MAX];
    int len;

    swki_sha256_hex(record->key, key);
    len = snprintf(
        line, sizeof(line), "%s %s %s %" PRId64 " %" PRId64, record->node_id,
        record->role == SWKI_ROLE_MANAGER ? "manager" : "worker", key,
        seconds_of(record->not_before), seconds_of(record->not_after));
    return check_of(line, (size_t)len, check) &&
           swki_buf_printf(out_text, "%s %s\n", line, check);
}

bool swki_register_write(const struct swki_register *nodes,
                         struct swki_buf *out_text)
{
    const struct entry *entry;
    size_t cursor = 0;

    while ((entry = swki_map_next(&nodes->nodes, &cursor)) != NULL) {
        struct swki_register_record record = {
            .role = entry->role,
            .not_before = entry->not_before,
            .not_after = entry->not_after,
        };

        memcpy(record.key, entry->key, sizeof(record.key));
        snprintf(record.node_id, sizeof(record.node_id), "%s", entry->node_id);
        if (!swki_register_write_line(&record, out_text)) {
            return false;
        }
    }
    return true;
}

static bool read_key(const char *text, uint8_t out_key[SWKI_SHA256_SIZE])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < SWKI_SHA256_HEX_LEN; i++) {
        const char *digit = text[i] == '\0' ? NULL : strchr(digits, text[i]);

        if (digit == NULL) {
            return false;
        }
        out_key[i / 2] =
            (uint8_t)(i % 2 == 0 ? (digit - digits) << 4
                                 : out_key[i / 2] | (digit - digits));
    }
    return text[SWKI_SHA256_HEX_LEN] == '\0';
}

static bool read_fields(const char *text,
                        struct swki_register_record *out_record)
{
    const int64_t most = INT64_MAX / (int64_t)SWK_SECOND;
    char role[8];
    char key[SWKI_SHA256_HEX_LEN + 2];
    int64_t from;
    int64_t to;
    int used = 0;

    if (sscanf(text, "%64s %7s %65s %" SCNd64 " %" SCNd64 "%n",
               out_record->node_id, role, key, &from, &to, &used) != 5 ||
        text[used] != '\0' || from < -most || from > most || to < -most ||
        to > most) {
        return false;
    }
    out_record->not_before = from * (int64_t)SWK_SECOND;
    out_record->not_after = to * (int64_t)SWK_SECOND;
    out_record->role = strcmp(role, "manager") == 0  ? SWKI_ROLE_MANAGER
                       : strcmp(role, "worker") == 0 ? SWKI_ROLE_WORKER
                                                     : SWKI_ROLE_NONE;
    return out_record->role != SWKI_ROLE_NONE && read_key(key, out_record->key);
}

bool swki_register_read_line(const char *line, size_t len,
                             struct swki_register_record *out_record)
{
    char text[SWKI_REGISTER_LINE_MAX];
    char check[SWKI_SHA256_HEX_LEN + 1];
    size_t rest = len - CHECK_DIGITS - 1;

    if (len <= CHECK_DIGITS + 1 || len >= sizeof(text) ||
        memchr(line, '\0', len) != NULL || line[rest] != ' ' ||
        !check_of(line, rest, check) ||
        memcmp(check, line + rest + 1, CHECK_DIGITS) != 0) {
        return false;
    }
    memcpy(text, line, rest);
    text[rest] = '\0';
    return read_fields(text, out_record);
}

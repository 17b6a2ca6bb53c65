/* SPDX-License-Identifier: Apache-2.0 */

#include "core/signer/approvals.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/signer/register.h"

static struct swki_approval *find(struct swki_approvals *approvals,
                                  const char *node_id)
{
    for (size_t i = 0; i < approvals->count; i++) {
        if (strcmp(approvals->list[i].node_id, node_id) == 0) {
            return &approvals->list[i];
        }
    }
    return NULL;
}

static void drop(struct swki_approvals *approvals, struct swki_approval *one)
{
    *one = approvals->list[--approvals->count];
}

bool swki_approvals_has(const struct swki_approvals *approvals,
                        const char *node_id, swk_wall wall)
{
    for (size_t i = 0; i < approvals->count; i++) {
        if (strcmp(approvals->list[i].node_id, node_id) == 0) {
            return approvals->list[i].until >= wall;
        }
    }
    return false;
}

bool swki_approvals_add(struct swki_approvals *approvals, const char *node_id,
                        swk_wall until, swk_wall wall)
{
    struct swki_approval *one = find(approvals, node_id);

    for (size_t i = approvals->count; one == NULL && i-- > 0;) {
        if (approvals->list[i].until < wall) {
            drop(approvals, &approvals->list[i]);
        }
    }
    if (one == NULL && approvals->count == SWKI_APPROVALS_MAX) {
        return false;
    }
    if (one == NULL) {
        one = &approvals->list[approvals->count++];
        snprintf(one->node_id, sizeof(one->node_id), "%s", node_id);
    }
    one->until = until;
    return true;
}

bool swki_approvals_remove(struct swki_approvals *approvals,
                           const char *node_id)
{
    struct swki_approval *one = find(approvals, node_id);

    if (one != NULL) {
        drop(approvals, one);
    }
    return one != NULL;
}

static bool read_line(struct swki_approval *out_approval, const char *line,
                      size_t len)
{
    char text[SWK_ID_LEN_MAX + 24];
    int64_t seconds;
    int used = 0;

    if (len >= sizeof(text) || memchr(line, '\0', len) != NULL) {
        return false;
    }
    memcpy(text, line, len);
    text[len] = '\0';
    if (sscanf(text, "%64s %" SCNd64 "%n", out_approval->node_id, &seconds,
               &used) != 2 ||
        text[used] != '\0' || seconds < 0 ||
        seconds > INT64_MAX / (int64_t)SWK_SECOND ||
        !swki_register_fits(out_approval->node_id)) {
        return false;
    }
    out_approval->until = seconds * (int64_t)SWK_SECOND;
    return true;
}

bool swki_approvals_read(struct swki_approvals *out_approvals, const char *text,
                         size_t len)
{
    size_t at = 0;

    out_approvals->count = 0;
    while (at < len && out_approvals->count < SWKI_APPROVALS_MAX) {
        const char *end = memchr(text + at, '\n', len - at);

        if (end == NULL ||
            !read_line(&out_approvals->list[out_approvals->count], text + at,
                       (size_t)(end - text) - at)) {
            return false;
        }
        out_approvals->count++;
        at = (size_t)(end - text) + 1;
    }
    return at == len;
}

bool swki_approvals_write(const struct swki_approvals *approvals,
                          struct swki_buf *out_text)
{
    for (size_t i = 0; i < approvals->count; i++) {
        const struct swki_approval *one = &approvals->list[i];

        swki_buf_printf(out_text, "%s %" PRId64 "\n", one->node_id,
                        one->until / (swk_wall)SWK_SECOND);
    }
    return !out_text->failed;
}

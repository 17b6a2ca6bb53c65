/* SPDX-License-Identifier: Apache-2.0 */

#include "node/identity/remotes.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "runtime/file/atomic.h"

enum {
    STATE_SIZE_MAX = 64 * 1024, /* bytes of the file */
    PATH_SIZE = 4096,
};

static const char state_name[] = "managers";

/* Host and port, of the characters that those consist of. */
static bool address_is_plain(const char *address)
{
    const char *colon = strrchr(address, ':');
    const char *bracket = strpbrk(address, "[]");
    long port;
    char *end;

    if (colon == NULL || colon == address ||
        strlen(address) >= SWKI_REMOTE_ADDRESS_SIZE) {
        return false;
    }
    /* Around the whole host, or none. */
    if (bracket != NULL &&
        (bracket != address || strpbrk(address + 1, "[]") != colon - 1)) {
        return false;
    }
    for (const char *c = address; *c != '\0'; c++) {
        if (!isalnum((unsigned char)*c) && strchr(".:-_[]%", *c) == NULL) {
            return false;
        }
    }
    port = strtol(colon + 1, &end, 10);
    return colon[1] != '\0' && *end == '\0' && port > 0 && port < 65536;
}

int swki_remotes_add(struct swki_remotes *remotes, const char *node_id,
                     const char *address, struct swk_error *err)
{
    struct swki_remote *remote;

    if (!address_is_plain(address)) {
        return swki_fail(err, SWK_EINVAL,
                         "address of a manager must be HOST:PORT");
    }
    if (strlen(node_id) > SWK_ID_LEN_MAX || strpbrk(node_id, " \n") != NULL) {
        return swki_fail(err, SWK_EINVAL, "node ID of a manager is not plain");
    }
    for (size_t i = 0; i < remotes->count; i++) {
        if (strcmp(remotes->list[i].address, address) == 0) {
            return SWK_OK;
        }
    }
    if (remotes->count == SWKI_REMOTES_MAX) {
        return swki_fail(err, SWK_ELIMIT, "more than %d managers",
                         SWKI_REMOTES_MAX);
    }
    remote = &remotes->list[remotes->count++];
    snprintf(remote->node_id, sizeof(remote->node_id), "%s", node_id);
    snprintf(remote->address, sizeof(remote->address), "%s", address);
    return SWK_OK;
}

void swki_remotes_clear(struct swki_remotes *remotes)
{
    memset(remotes, 0, sizeof(*remotes));
}

const struct swki_remote *swki_remotes_pick(struct swki_remotes *remotes)
{
    const struct swki_remote *remote;

    if (remotes->count == 0) {
        return NULL;
    }
    remote = &remotes->list[remotes->next % remotes->count];
    remotes->next = (remotes->next + 1) % remotes->count;
    return remote;
}

void swki_remotes_stay(struct swki_remotes *remotes)
{
    if (remotes->count > 0) {
        remotes->next = (remotes->next + remotes->count - 1) % remotes->count;
    }
}

/* -- Shut out ------------------------------------------------------------- */

enum word {
    OPEN,
    SILENT,
    SHUT_OUT,
    WORDS_COUNT,
};

static enum word word_of(const struct swki_remotes *remotes, size_t i)
{
    if (remotes->retry_at[i] != 0) {
        return SHUT_OUT;
    }
    return remotes->silent[i] ? SILENT : OPEN;
}

static bool is_at(const struct swki_remote *remote, const char *address)
{
    return address == NULL || strcmp(remote->address, address) == 0;
}

static void set_retry(struct swki_remotes *remotes, const char *address,
                      swk_time retry_at)
{
    for (size_t i = 0; i < remotes->count; i++) {
        if (is_at(&remotes->list[i], address)) {
            remotes->retry_at[i] = retry_at;
        }
    }
}

static void set_silent(struct swki_remotes *remotes, const char *address,
                       bool silent)
{
    for (size_t i = 0; i < remotes->count; i++) {
        if (is_at(&remotes->list[i], address)) {
            remotes->silent[i] = silent;
        }
    }
}

void swki_remotes_shut_out(struct swki_remotes *remotes, const char *address,
                           swk_time now)
{
    set_retry(remotes, address, now + SWKI_REMOTES_SHUT_OUT_PAUSE);
}

void swki_remotes_silent(struct swki_remotes *remotes, const char *address)
{
    set_silent(remotes, address, true);
}

void swki_remotes_let_in(struct swki_remotes *remotes, const char *address)
{
    set_retry(remotes, address, 0);
    set_silent(remotes, address, false);
}

struct swki_remotes_tally swki_remotes_tally(const struct swki_remotes *remotes,
                                             const char *node_id)
{
    size_t counts[WORDS_COUNT] = {0};

    for (size_t i = 0; i < remotes->count; i++) {
        if (strcmp(remotes->list[i].node_id, node_id) != 0) {
            counts[word_of(remotes, i)]++;
        }
    }
    return (struct swki_remotes_tally){
        .shut_out = counts[SHUT_OUT],
        .silent = counts[SILENT],
        .open = counts[OPEN],
    };
}

static const struct swki_remote *pick_word(struct swki_remotes *remotes,
                                           const char *node_id, enum word word)
{
    for (size_t i = 0; i < remotes->count; i++) {
        const struct swki_remote *remote = swki_remotes_pick(remotes);

        if (strcmp(remote->node_id, node_id) != 0 &&
            word_of(remotes, (size_t)(remote - remotes->list)) == word) {
            return remote;
        }
    }
    return NULL;
}

const struct swki_remote *swki_remotes_pick_other(struct swki_remotes *remotes,
                                                  const char *node_id)
{
    const struct swki_remote *remote = NULL;

    for (int word = OPEN; word < WORDS_COUNT && remote == NULL; word++) {
        remote = pick_word(remotes, node_id, (enum word)word);
    }
    return remote;
}

const struct swki_remote *swki_remotes_pick_due(struct swki_remotes *remotes,
                                                swk_time now)
{
    for (size_t i = 0; i < remotes->count; i++) {
        const struct swki_remote *remote = swki_remotes_pick(remotes);
        swk_time *retry_at = &remotes->retry_at[remote - remotes->list];

        if (*retry_at <= now) {
            if (*retry_at != 0) {
                *retry_at = now + SWKI_REMOTES_SHUT_OUT_PAUSE;
            }
            return remote;
        }
    }
    return NULL;
}

swk_time swki_remotes_due(const struct swki_remotes *remotes)
{
    swk_time due = remotes->count > 0 ? remotes->retry_at[0] : 0;

    for (size_t i = 1; i < remotes->count; i++) {
        due = remotes->retry_at[i] < due ? remotes->retry_at[i] : due;
    }
    return due;
}

/* -- The file ------------------------------------------------------------- */

static bool read_remotes(char *text, struct swki_remotes *remotes)
{
    char *rest = text;
    char *line;

    while ((line = strsep(&rest, "\n")) != NULL) {
        char *address = strsep(&line, " ");
        const char *node_id = line != NULL ? line : "";

        if (address[0] != '\0' &&
            swki_remotes_add(remotes, node_id, address, NULL) != 0) {
            return false;
        }
    }
    return true;
}

int swki_remotes_load(struct swki_remotes *remotes, const char *state_dir,
                      struct swk_error *err)
{
    char path[PATH_SIZE];
    struct swki_buf buf;
    int rc;

    snprintf(path, sizeof(path), "%s/%s", state_dir, state_name);
    swki_buf_init(&buf, NULL, STATE_SIZE_MAX);
    rc = swki_file_read(path, STATE_SIZE_MAX - 1, &buf, err);
    if (rc == 0 && !swki_buf_append(&buf, "", 1)) {
        rc = swki_fail_nomem(err);
    }
    if (rc == 0 && !read_remotes((char *)buf.data, remotes)) {
        rc = swki_fail(err, SWK_ECORRUPT,
                       "%s is not a list of managers: remove it and give "
                       "the address of a manager",
                       path);
    }
    swki_buf_fini(&buf);
    return rc;
}

int swki_remotes_save(const struct swki_remotes *remotes, const char *state_dir,
                      struct swk_error *err)
{
    struct swki_buf buf;
    int rc;

    swki_buf_init(&buf, NULL, STATE_SIZE_MAX);
    for (size_t i = 0; i < remotes->count; i++) {
        const struct swki_remote *remote = &remotes->list[i];

        swki_buf_printf(&buf, "%s%s%s\n", remote->address,
                        remote->node_id[0] != '\0' ? " " : "",
                        remote->node_id);
    }
    rc = buf.failed ? swki_fail_nomem(err)
                    : swki_file_replace(state_dir, state_name, buf.data,
                                        buf.len, 0600, err);
    swki_buf_fini(&buf);
    return rc;
}

void swki_remotes_remember(const struct swki_remotes *remotes,
                           const char *state_dir,
                           const struct swk_logger *logger,
                           const char *component)
{
    struct swk_error err;

    if (swki_remotes_save(remotes, state_dir, &err) != 0) {
        swki_log(logger, SWK_LOG_WARN, component, "managers not remembered: %s",
                 err.text);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */

#include "node/identity/out_of_time.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "node/identity/clock_skew.h"

enum {
    /* So that the dates behind it are not cut off: its end tells more. */
    PATH_SHOWN_MAX = 60,
    PATH_SIZE = 4096,
};

/* When the first certificate begins; 0 if it cannot be read. */
static swk_wall begin_of(struct swki_pem pem)
{
    struct swki_certificate_info info;
    swk_wall begin;

    if (pem.len == 0 ||
        swki_certificate_info_init(&info, NULL, pem, NULL) != 0) {
        return 0;
    }
    begin = info.not_before;
    swki_certificate_info_fini(&info);
    return begin;
}

void swki_out_of_time_explain(const char *dir, const char *name,
                              struct swki_pem pem, swk_wall now,
                              struct swk_error *err)
{
    bool later = begin_of(pem) > now;
    char path[PATH_SIZE];
    const char *shown = path;
    size_t len;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    len = strlen(path);
    if (len > PATH_SHOWN_MAX) {
        shown = path + len - PATH_SHOWN_MAX;
        memcpy(path + len - PATH_SHOWN_MAX, "...", 3);
    }
    swki_error_prefix(err, "this machine's clock is wrong, or %s: %s",
                      later ? "was" : "the time is over", shown);
}

static void advise_on_roots(const char *state_dir, swk_wall begin, swk_wall now,
                            const struct swk_logger *logger)
{
    char begin_text[SWKI_CLOCK_TIME_TEXT_SIZE];
    char now_text[SWKI_CLOCK_TIME_TEXT_SIZE];

    swki_clock_time_text(begin, begin_text);
    swki_clock_time_text(now, now_text);
    swki_log(logger, SWK_LOG_ERROR, "node",
             "this machine's clock says %s, and the swarm's root certificate "
             "is valid from %s on: most likely the clock is behind; set it "
             "right (timedatectl), then start again with %.128s as it is",
             now_text, begin_text, state_dir);
}

static void advise_on_role(const struct swki_identity *identity,
                           const char *state_dir,
                           const struct swk_logger *logger)
{
    if (identity->role != SWKI_ROLE_MANAGER) {
        swki_log(logger, SWK_LOG_ERROR, "node",
                 "if the clock is right now, this worker has to join again: on "
                 "a manager, swarmctl node rm %s and swarmctl cluster token "
                 "worker; then empty %.128s, and start with --join-addr and "
                 "--join-token",
                 identity->node_id, state_dir);
        return;
    }
    swki_log(logger, SWK_LOG_ERROR, "node",
             "if the clock is right now, and other managers lead the swarm: on "
             "one of them, swarmctl node rm --force %s and swarmctl cluster "
             "token manager; then empty %.128s, and start with --join-addr and "
             "--join-token",
             identity->node_id, state_dir);
    swki_log(logger, SWK_LOG_ERROR, "node",
             "if the clock is right now, and this is the swarm's only manager: "
             "keep %.128s; swarm-rafttool export, and import into another "
             "directory, let the same swarm go on (swarm-rafttool(1))",
             state_dir);
}

static void advise_on_certificate(const struct swki_identity *identity,
                                  const char *state_dir, swk_wall now,
                                  const struct swk_logger *logger)
{
    swk_wall issued = identity->not_before + (swk_wall)SWKI_LEAF_BACKDATE;
    char begin_text[SWKI_CLOCK_TIME_TEXT_SIZE];
    char now_text[SWKI_CLOCK_TIME_TEXT_SIZE];
    char span[SWKI_CLOCK_SPAN_TEXT_SIZE];

    swki_clock_time_text(identity->not_before, begin_text);
    swki_clock_time_text(now, now_text);
    swki_clock_span_text((swk_time)(issued - now), span);
    swki_log(logger, SWK_LOG_ERROR, "node",
             "this machine's clock says %s, and this node's certificate is "
             "valid from %s on, and not before: either the clock is behind, "
             "then set it right (timedatectl) and start again; or the clock by "
             "which it was issued was ahead, by some %s",
             now_text, begin_text, span);
    advise_on_role(identity, state_dir, logger);
}

void swki_out_of_time_advise(const struct swki_credentials *credentials,
                             const char *state_dir, swk_wall now,
                             const struct swk_logger *logger)
{
    struct swki_pem chain = swki_pem_of_buf(&credentials->chain);
    swk_wall begin = begin_of(swki_pem_of_buf(&credentials->roots));
    struct swki_identity identity;

    if (begin > now) {
        advise_on_roots(state_dir, begin, now, logger);
    } else if (chain.len > 0 &&
               swki_certificate_identity(chain, &identity, NULL) == 0 &&
               identity.not_before > now) {
        advise_on_certificate(&identity, state_dir, now, logger);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */

/* Files about configurations: one that is changed by case after case. */

#include "environment.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/raft/configuration.h"

#include "changes.h"
#include "render.h"

enum {
    INFLIGHT_MAX = 10,
};

struct walk {
    struct faults *faults;
    struct swki_raft_configuration configuration;
    uint64_t last; /* one more after every case */
};

/* In the words of the data files. */
static const char *result_text(enum swki_raft_change_result result)
{
    switch (result) {
    case SWKI_RAFT_CHANGE_NOT_JOINT:
        return "can't leave a non-joint config";
    case SWKI_RAFT_CHANGE_ALREADY_JOINT:
        return "config is already joint";
    case SWKI_RAFT_CHANGE_NO_VOTERS:
        return "can't make a zero-voter config joint";
    case SWKI_RAFT_CHANGE_SIMPLE_IN_JOINT:
        return "can't apply simple config change in joint config";
    case SWKI_RAFT_CHANGE_TOO_MANY:
        return "more than one voter changed without entering joint config";
    case SWKI_RAFT_CHANGE_REMOVES_ALL:
        return "removed all voters";
    default:
        return swki_raft_change_text(result);
    }
}

static void print(const struct walk *w, struct swki_buf *out)
{
    render_configuration(out, &w->configuration);
    (void)swki_buf_append_byte(out, '\n');
    render_members(out, &w->configuration);
}

/* R-CFG-12: what the lists say makes the same configuration again. */
static void check_round_trip(struct walk *w)
{
    struct swk_conf_state state;
    struct swki_raft_configuration made;
    struct swki_buf one;
    struct swki_buf two;

    swki_raft_configuration_state(&w->configuration, &state);
    if (swki_raft_configuration_prepare_restored(
            &w->configuration, &state, w->last, &made) != SWKI_RAFT_CHANGE_OK) {
        if (!w->faults->failed) {
            faults_report(w->faults, "the configuration cannot be restored");
        }
        return;
    }
    swki_buf_init(&one, NULL, SIZE_MAX);
    swki_buf_init(&two, NULL, SIZE_MAX);
    render_configuration(&one, &w->configuration);
    render_configuration(&two, &made);
    if (one.len != two.len || memcmp(one.data, two.data, one.len) != 0) {
        faults_report(w->faults, "the configuration is not restored as it was");
    }
    swki_buf_fini(&one);
    swki_buf_fini(&two);
    swki_raft_configuration_discard(&made);
}

static enum swki_raft_change_result
prepare(struct walk *w, enum swki_raft_change_kind kind,
        const struct swk_raft_change *changes, size_t changes_count,
        struct swki_raft_configuration *next)
{
    enum swki_raft_change_result result = swki_raft_configuration_prepare(
        &w->configuration, kind, changes, changes_count, w->last, next);

    while (result == SWKI_RAFT_CHANGE_NOMEM) { /* nothing changed */
        result = swki_raft_configuration_prepare(
            &w->configuration, kind, changes, changes_count, w->last, next);
    }
    return result;
}

static const char *change(struct walk *w, enum swki_raft_change_kind kind,
                          const char *words)
{
    struct swk_raft_change changes[SWK_RAFT_CHANGES_MAX];
    struct swki_raft_configuration next;
    const char *broken;
    size_t count = 0;

    if (!changes_parse(words, changes, &count)) {
        return "the changes cannot be read";
    }

    enum swki_raft_change_result result =
        prepare(w, kind, changes, count, &next);
    if (result != SWKI_RAFT_CHANGE_OK) {
        return result_text(result);
    }
    swki_raft_configuration_replace(&w->configuration, &next);
    broken = swki_raft_configuration_check(&w->configuration);
    if (broken != NULL) {
        faults_report(w->faults, "%s", broken);
    }
    check_round_trip(w);
    return NULL;
}

static const char *enter(struct walk *w, const struct directive *d)
{
    const char *value = directive_value(d, "autoleave");
    bool auto_leave = false;

    if (value != NULL && !parse_flag(value, &auto_leave)) {
        return "autoleave is neither true nor false";
    }
    return change(w,
                  auto_leave ? SWKI_RAFT_CHANGE_ENTER_AUTO
                             : SWKI_RAFT_CHANGE_ENTER,
                  d->input);
}

static const char *leave(struct walk *w, const struct directive *d)
{
    return *d->input != '\0' ? "this command takes no input"
                             : change(w, SWKI_RAFT_CHANGE_LEAVE, "");
}

static const char *carry_out(struct walk *w, const struct directive *d)
{
    if (strcmp(d->command, "simple") == 0) {
        return change(w, SWKI_RAFT_CHANGE_SIMPLE, d->input);
    }
    if (strcmp(d->command, "enter-joint") == 0) {
        return enter(w, d);
    }
    if (strcmp(d->command, "leave-joint") == 0) {
        return leave(w, d);
    }
    return "unknown command";
}

static void run(void *ctx, const struct directive *d, struct swki_buf *out)
{
    struct walk *w = ctx;
    const char *wrong = carry_out(w, d);

    w->last++;
    if (wrong != NULL) {
        (void)swki_buf_append_text(out, wrong);
        return;
    }
    print(w, out);
}

static void release(void *ctx)
{
    struct walk *w = ctx;

    swki_raft_configuration_fini(&w->configuration);
    free(w);
}

struct environment confchange_environment(struct faults *faults)
{
    struct walk *w = calloc(1, sizeof(*w));

    if (w == NULL) {
        abort();
    }
    w->faults = faults;
    swki_raft_configuration_init(&w->configuration, &faults->alloc,
                                 INFLIGHT_MAX, 0);
    return (struct environment){.run = run, .free = release, .ctx = w};
}

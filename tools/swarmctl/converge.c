/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The progress is polled: a few small calls, five times a second. On a terminal
 * it is redrawn in place; elsewhere a line is printed when something changed.
 *
 * Tasks that end right after their start would look fine for a moment, so all
 * must be well for one second before the wait is over.
 */

#include "converge.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "parse.h"

#define POLL_NS INT64_C(200000000)
#define STABLE_NS INT64_C(1000000000)
#define NO_TASKS_NS INT64_C(2000000000)
#define DOWN_NS INT64_C(30000000000)

enum {
    SLOTS_SHOWN = 20,
};

const struct flag wait_flags[] = {
    {.name = "detach", .letter = 'd', .help = "do not wait for the tasks"},
    {.name = "timeout",
     .argument = "DURATION",
     .otherwise = "0, for ever",
     .help = "how long to wait at most"},
    {0}};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

struct wait {
    struct ctl *ctl;
    const char *id;
    int64_t start;
    int64_t timeout;    /* 0: none */
    int64_t good_since; /* 0: not all is well */
    int64_t seen;       /* when the manager answered last */
    bool terminal;
    int lines;       /* drawn on the terminal */
    char *last_text; /* printed elsewhere */
    struct sigaction old_action;
};

/* What one poll found. */
struct progress {
    uint64_t done;
    uint64_t wanted;
    bool complete;
    const char *note;   /* about the whole, or "" */
    const char *failed; /* why it will not come to a good end, or NULL */
    size_t count;     /* tasks to show */
    Swkpb__Task **tasks;
    const Swkpb__ListTasksResponse *all; /* ended ones, too; or NULL */
};

static int64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int wait_begin(struct wait *w, struct ctl *ctl, const struct args *args,
                      const char *id)
{
    struct sigaction action = {.sa_handler = on_interrupt};

    *w = (struct wait){
        .ctl = ctl, .id = id, .start = now_ns(), .seen = now_ns()};
    if (args_has(args, "timeout") &&
        (!parse_duration(args_text(args, "timeout"), &w->timeout) ||
         w->timeout < 0)) {
        return ctl_usage("--timeout takes a duration such as 1m30s");
    }
    w->terminal = isatty(STDOUT_FILENO) != 0;
    sigaction(SIGINT, &action, &w->old_action);
    return EXIT_OK;
}

static void wait_end(struct wait *w)
{
    sigaction(SIGINT, &w->old_action, NULL);
    free(w->last_text);
}

/* -- Asking --------------------------------------------------------------- */

static unsigned state_of(const Swkpb__Task *task)
{
    return task->status != NULL ? task->status->state : 0;
}

static int ask_tasks(struct wait *w, struct pool *pool, bool up_to_date,
                     Swkpb__ListTasksResponse **out, struct swk_error *err)
{
    Swkpb__ListTasksRequest request = SWKPB__LIST_TASKS_REQUEST__INIT;
    Swkpb__ListTasksRequest__Filters filters =
        SWKPB__LIST_TASKS_REQUEST__FILTERS__INIT;
    char *ids[] = {pool_strdup(pool, w->id)};

    filters.n_service_ids = 1;
    filters.service_ids = ids;
    filters.up_to_date = up_to_date;
    request.filters = &filters;
    return ctl_try(w->ctl, "ListTasks", &request.base,
                   &swkpb__list_tasks_response__descriptor, pool, out, err);
}

static int ask_status(struct wait *w, struct pool *pool,
                      Swkpb__ListServiceStatusesResponse **out,
                      struct swk_error *err)
{
    Swkpb__ListServiceStatusesRequest request =
        SWKPB__LIST_SERVICE_STATUSES_REQUEST__INIT;
    char *ids[] = {pool_strdup(pool, w->id)};

    request.n_services = 1;
    request.services = ids;
    return ctl_try(w->ctl, "ListServiceStatuses", &request.base,
                   &swkpb__list_service_statuses_response__descriptor, pool,
                   out, err);
}

static int ask_service(struct wait *w, struct pool *pool,
                       Swkpb__Service **out, struct swk_error *err)
{
    Swkpb__GetServiceRequest request = SWKPB__GET_SERVICE_REQUEST__INIT;
    Swkpb__GetServiceResponse *reply;

    request.service_id = pool_strdup(pool, w->id);
    int rc = ctl_try(w->ctl, "GetService", &request.base,
                     &swkpb__get_service_response__descriptor, pool, &reply,
                     err);
    if (rc == 0) {
        *out = reply->service;
    }
    return rc;
}

/* -- Judging -------------------------------------------------------------- */

static bool holds(const Swkpb__ListTasksResponse *list, const char *id)
{
    for (size_t i = 0; i < list->n_tasks; i++) {
        if (strcmp(list->tasks[i]->id, id) == 0) {
            return true;
        }
    }
    return false;
}

/* Tasks that are wanted come first in the display; old ones that still run
 * keep the wait from ending. */
static void sort_tasks(struct pool *pool, const Swkpb__ListTasksResponse *all,
                       const Swkpb__ListTasksResponse *fresh,
                       struct progress *progress, uint64_t *out_running,
                       uint64_t *out_old)
{
    progress->all = all;
    progress->tasks = pool_alloc(pool, (all->n_tasks + 1) * sizeof(void *));
    for (size_t i = 0; i < all->n_tasks; i++) {
        Swkpb__Task *task = all->tasks[i];
        bool wanted =
            task->desired_state <= SWKPB__TASK_STATE__COMPLETE;

        if (wanted && holds(fresh, task->id)) {
            progress->tasks[progress->count++] = task;
            *out_running += state_of(task) == SWKPB__TASK_STATE__RUNNING;
        } else if (wanted || state_of(task) <= SWKPB__TASK_STATE__RUNNING) {
            *out_old += state_of(task) >= SWKPB__TASK_STATE__ASSIGNED &&
                        state_of(task) <= SWKPB__TASK_STATE__RUNNING;
        }
    }
}

/* What the updater says. One that paused, or went back to the old spec, has
 * not done what was asked. */
static void note_update(const Swkpb__Service *service,
                        struct progress *progress, bool *out_busy)
{
    const Swkpb__UpdateStatus *status = service->update_status;

    progress->note = "";
    if (status == NULL) {
        return;
    }
    switch (status->state) {
    case SWKPB__UPDATE_STATUS__UPDATE_STATE__UPDATING:
    case SWKPB__UPDATE_STATUS__UPDATE_STATE__ROLLBACK_STARTED:
        *out_busy = true;
        progress->note = status->message;
        break;
    case SWKPB__UPDATE_STATUS__UPDATE_STATE__PAUSED:
    case SWKPB__UPDATE_STATUS__UPDATE_STATE__ROLLBACK_PAUSED:
        progress->note = status->message;
        progress->failed = status->message;
        break;
    case SWKPB__UPDATE_STATUS__UPDATE_STATE__ROLLBACK_COMPLETED:
        progress->note = status->message;
        /* One that was asked for keeps the spec it left; one that a failure
         * led to does not. */
        if (service->previous_spec == NULL) {
            progress->failed = "the update failed and was rolled back";
        }
        break;
    default:
        break;
    }
}

static void judge_job(const Swkpb__Service *service,
                      const Swkpb__ListServiceStatusesResponse__ServiceStatus
                          *status,
                      struct progress *progress)
{
    const Swkpb__ServiceSpec *spec = service->spec;

    progress->done = status->completed_tasks;
    progress->wanted =
        spec->mode_case == SWKPB__SERVICE_SPEC__MODE_REPLICATED_JOB
            ? spec->replicated_job->total_completions
            : status->completed_tasks + status->desired_tasks;
    progress->complete =
        progress->done >= progress->wanted && progress->wanted > 0;
}

static int poll_service(struct wait *w, struct pool *pool,
                        struct progress *progress, struct swk_error *err)
{
    Swkpb__ListServiceStatusesResponse *statuses;
    Swkpb__ListTasksResponse *fresh;
    Swkpb__ListTasksResponse *all;
    Swkpb__Service *service;
    uint64_t running = 0;
    uint64_t old = 0;
    bool busy = false;
    int rc = ask_service(w, pool, &service, err);

    rc = rc == 0 ? ask_tasks(w, pool, true, &fresh, err) : rc;
    rc = rc == 0 ? ask_tasks(w, pool, false, &all, err) : rc;
    rc = rc == 0 ? ask_status(w, pool, &statuses, err) : rc;
    if (rc != 0) {
        return rc;
    }
    if (service->spec == NULL || statuses->n_statuses == 0) {
        snprintf(err->text, sizeof(err->text), "the service has no spec");
        return SWK_EMALFORMED;
    }

    const Swkpb__ServiceSpec *spec = service->spec;
    bool global = spec->mode_case == SWKPB__SERVICE_SPEC__MODE_GLOBAL;
    sort_tasks(pool, all, fresh, progress, &running, &old);
    note_update(service, progress, &busy);
    if (service->job_status != NULL) {
        judge_job(service, statuses->statuses[0], progress);
        return 0;
    }
    progress->done = running;
    progress->wanted = statuses->statuses[0]->desired_tasks;
    progress->complete = running == progress->wanted && old == 0 && !busy &&
                         (!global || progress->wanted > 0 ||
                          now_ns() - w->start > NO_TASKS_NS);
    return 0;
}

static int poll_removal(struct wait *w, struct pool *pool,
                        struct progress *progress, struct swk_error *err)
{
    Swkpb__ListTasksResponse *all;
    Swkpb__ListNodesResponse *nodes;
    size_t unreachable = 0;
    int rc = ask_tasks(w, pool, false, &all, err);

    if (rc == 0) {
        rc = list_nodes(w->ctl, pool, &nodes, err);
    }
    if (rc != 0) {
        return rc;
    }
    progress->tasks = pool_alloc(pool, (all->n_tasks + 1) * sizeof(void *));
    progress->wanted = all->n_tasks;
    for (size_t i = 0; i < all->n_tasks; i++) {
        unsigned state = state_of(all->tasks[i]);

        if (state > SWKPB__TASK_STATE__RUNNING) {
            continue;
        }
        if (on_down_node(nodes, all->tasks[i])) {
            unreachable++;
        } else {
            progress->tasks[progress->count++] = all->tasks[i];
        }
    }
    progress->note =
        unreachable == 0
            ? ""
            : pool_printf(pool, "%zu on nodes that are down, which stop them "
                                "when they return",
                          unreachable);
    progress->done = progress->wanted - progress->count - unreachable;
    progress->complete = progress->count == 0;
    return 0;
}

/* -- Showing -------------------------------------------------------------- */

static bool is_later(const Swkpb__Task *a, const Swkpb__Task *b)
{
    const Swkpb__Timestamp *x = a->meta != NULL ? a->meta->created_at : NULL;
    const Swkpb__Timestamp *y = b->meta != NULL ? b->meta->created_at : NULL;

    if (x == NULL || y == NULL) {
        return y == NULL;
    }
    return x->seconds != y->seconds ? x->seconds > y->seconds
                                    : x->nanos > y->nanos;
}

/* Why the one before a task failed, or NULL: a task that is held back before a
 * restart is fine itself. */
static const char *last_failure(const Swkpb__ListTasksResponse *all,
                                const Swkpb__Task *task)
{
    const Swkpb__Task *last = NULL;

    if (all == NULL || task->desired_state != SWKPB__TASK_STATE__READY) {
        return NULL;
    }
    for (size_t i = 0; i < all->n_tasks; i++) {
        const Swkpb__Task *one = all->tasks[i];

        if (one->slot == task->slot &&
            (task->slot != 0 || strcmp(one->node_id, task->node_id) == 0) &&
            state_of(one) > SWKPB__TASK_STATE__RUNNING &&
            (last == NULL || is_later(one, last))) {
            last = one;
        }
    }
    return last != NULL && last->status->err[0] != '\0' ? last->status->err
                                                        : NULL;
}

static const char *task_line(struct pool *pool,
                             const Swkpb__ListTasksResponse *all,
                             const Swkpb__Task *task)
{
    const char *state =
        enum_text(&swkpb__task_state__descriptor, (int)state_of(task));
    const char *failure = last_failure(all, task);
    const char *why =
        task->status != NULL && task->status->err[0] != '\0'
            ? task->status->err
            : (task->status != NULL ? task->status->message : "");

    if (failure != NULL &&
        (task->status == NULL || task->status->err[0] == '\0')) {
        why = pool_printf(pool, "waits to start again: %s", failure);
    }
    return task->slot != 0
               ? pool_printf(pool, "%4llu: %-10s %s",
                             (unsigned long long)task->slot, state, why)
               : pool_printf(pool, "%s: %-10s %s", task->node_id, state, why);
}

static int by_slot(const void *a, const void *b)
{
    const Swkpb__Task *x = *(Swkpb__Task *const *)a;
    const Swkpb__Task *y = *(Swkpb__Task *const *)b;

    if (x->slot != y->slot) {
        return x->slot < y->slot ? -1 : 1;
    }
    return strcmp(x->id, y->id);
}

/* Without ages or counters that change by themselves, so that it can be
 * compared with the last. */
static char *describe(struct pool *pool, const char *verb,
                      const struct progress *progress, int *out_lines)
{
    char *text = pool_printf(
        pool, "overall progress: %llu out of %llu task%s%s%s%s\n",
        (unsigned long long)progress->done,
        (unsigned long long)progress->wanted, progress->wanted == 1 ? "" : "s",
        verb, progress->note[0] != '\0' ? ": " : "", progress->note);

    *out_lines = 1;
    if (progress->count > 1) {
        qsort(progress->tasks, progress->count, sizeof(progress->tasks[0]),
              by_slot);
    }
    for (size_t i = 0; i < progress->count && i < SLOTS_SHOWN; i++) {
        text = pool_printf(pool, "%s%s\n", text,
                           task_line(pool, progress->all, progress->tasks[i]));
        ++*out_lines;
    }
    return text;
}

static void show(struct wait *w, char *text, int lines)
{
    if (w->last_text != NULL && strcmp(w->last_text, text) == 0) {
        return;
    }
    if (w->terminal && w->lines > 0) {
        printf("\033[%dA\033[J", w->lines);
    }
    fputs(text, stdout);
    fflush(stdout);
    w->lines = lines;
    free(w->last_text);
    w->last_text = strdup(text);
}

typedef int (*poll_fn)(struct wait *w, struct pool *pool,
                       struct progress *progress, struct swk_error *err);

/* One look. -1 to go on, else an exit code. */
static int look(struct wait *w, poll_fn poll, const char *verb,
                int64_t stable_ns)
{
    struct progress progress = {0};
    struct swk_error err = {0};
    struct pool pool = {0};
    int lines;
    int rc = poll(w, &pool, &progress, &err);

    if (rc != 0) {
        pool_empty(&pool);
        err.code = rc;
        /* A change of leaders passes; the wait outlives it. */
        return rc == SWK_EUNAVAILABLE && now_ns() - w->seen < DOWN_NS
                   ? -1
                   : ctl_fail(&err);
    }
    w->seen = now_ns();
    if (!w->ctl->json) {
        char *text = describe(&pool, verb, &progress, &lines);

        show(w, text, lines);
    }
    if (progress.failed != NULL) {
        rc = ctl_error(EXIT_FAILED, "%s", progress.failed);
        pool_empty(&pool);
        return rc;
    }
    pool_empty(&pool);
    if (!progress.complete) {
        w->good_since = 0;
        return -1;
    }

    int64_t now = now_ns();
    if (w->good_since == 0) {
        w->good_since = now;
    }
    return now - w->good_since >= stable_ns ? EXIT_OK : -1;
}

static int wait_for(struct wait *w, poll_fn poll, const char *verb,
                    int64_t stable_ns)
{
    const struct timespec pause = {0, POLL_NS};

    for (;;) {
        int rc = look(w, poll, verb, stable_ns);

        if (rc >= 0) {
            return rc;
        }
        if (w->timeout != 0 && now_ns() - w->start >= w->timeout) {
            return ctl_error(EXIT_TIMEOUT,
                             "not done in time; the swarm goes on with it");
        }
        if (!interrupted) {
            nanosleep(&pause, NULL);
        }
        if (interrupted) {
            fprintf(stderr,
                    "Interrupted: the swarm goes on with service %s. "
                    "See \"swarmctl service ps %s\".\n",
                    typed_name(w->ctl, w->id), typed_name(w->ctl, w->id));
            return EXIT_INTERRUPTED;
        }
    }
}

static int converge(struct ctl *ctl, const struct args *args, const char *id,
                    poll_fn poll, const char *verb, int64_t stable_ns)
{
    struct wait w;

    if (args_has(args, "detach")) {
        return EXIT_OK;
    }
    int rc = wait_begin(&w, ctl, args, id);
    if (rc == EXIT_OK) {
        rc = wait_for(&w, poll, verb, stable_ns);
        wait_end(&w);
    }
    return rc;
}

int converge_service(struct ctl *ctl, const struct args *args, const char *id)
{
    int rc = converge(ctl, args, id, poll_service, "", STABLE_NS);

    if (rc == EXIT_OK && !args_has(args, "detach") && !ctl->json) {
        printf("service %s has converged\n", typed_name(ctl, id));
    }
    return rc;
}

int converge_removal(struct ctl *ctl, const struct args *args, const char *id)
{
    return converge(ctl, args, id, poll_removal, " stopped", 0);
}

/* SPDX-License-Identifier: Apache-2.0 */

#include "commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/store/task.h"
#include "lib/sim_admin.h"
#include "wire/message.h"

enum {
    LINE_SIZE = 1024,
};

/* A command's words after its name, and where it prints. */
struct line {
    struct sim *sim;
    char *words[COMMAND_WORDS_MAX];
    size_t count;
    struct swki_buf *out;
};

static const char *word(const struct line *l, size_t i)
{
    return i < l->count ? l->words[i] : "";
}

/* -- Tables --------------------------------------------------------------- */

typedef void (*row_fn)(const struct line *l, const struct swki_object *object);

static void each(const struct line *l, enum swki_kind kind, row_fn row)
{
    const struct swki_selector all = {.by = SWKI_BY_ALL};
    const struct swki_object *object;
    struct swki_cursor cursor;

    if (swki_view_find(sim_view(l->sim), kind, &all, &cursor, NULL) != 0) {
        return;
    }
    while ((object = swki_cursor_next(&cursor)) != NULL) {
        row(l, object);
    }
    swki_cursor_close(&cursor);
}

static const char *state(int value)
{
    const char *name = swki_enum_name(&swkpb__task_state__descriptor, value);

    return name != NULL ? name : "?";
}

static void task_row(const struct line *l, const struct swki_object *object)
{
    const Swkpb__Task *task = swki_task(object);
    char name[SIM_NAME_SIZE * 2];

    snprintf(name, sizeof(name), "%s.%llu", task->service_annotations->name,
             (unsigned long long)task->slot);
    (void)swki_buf_printf(
        l->out, "%-4s %-8s %-4s %-10s %-9s %s%s%s\n",
        sim_name_of(l->sim, task->id), name,
        task->node_id[0] != '\0' ? sim_name_of(l->sim, task->node_id) : "-",
        state((int)swki_task_state(task)), state((int)task->desired_state),
        task->spec->container->image, task->status->err[0] != '\0' ? "  " : "",
        task->status->err);
}

/* IDs are random; the order of appearance is not. */
static int compare_tasks(const void *a, const void *b)
{
    long na = strtol((*(char *const *)a) + 1, NULL, 10);
    long nb = strtol((*(char *const *)b) + 1, NULL, 10);

    return (na > nb) - (na < nb);
}

static void sort_rows(struct swki_buf *rows, struct swki_buf *out)
{
    char *lines[512];
    size_t count = 0;
    char *rest = NULL;

    (void)swki_buf_append_byte(rows, '\0');
    for (char *row = strtok_r((char *)rows->data, "\n", &rest);
         row != NULL && count < 512; row = strtok_r(NULL, "\n", &rest)) {
        lines[count++] = row;
    }
    qsort(lines, count, sizeof(lines[0]), compare_tasks);
    for (size_t i = 0; i < count; i++) {
        (void)swki_buf_printf(out, "%s\n", lines[i]);
    }
}

static bool tasks(const struct line *l)
{
    struct line rows = *l;
    struct swki_buf buf;

    swki_buf_init(&buf, NULL, SIZE_MAX);
    rows.out = &buf;
    each(&rows, SWKI_KIND_TASK, task_row);
    sort_rows(&buf, l->out);
    swki_buf_fini(&buf);
    return true;
}

static bool nodes(const struct line *l)
{
    for (size_t i = 0; i < l->sim->nodes_count; i++) {
        const struct sim_node *node = l->sim->nodes[i];
        const struct swki_object *object =
            swki_view_get(sim_view(l->sim), SWKI_KIND_NODE, node->id);
        const Swkpb__Node *n = object != NULL ? swki_node(object) : NULL;

        if (n == NULL || n->status == NULL) {
            (void)swki_buf_printf(l->out, "%s -\n", node->name);
            continue;
        }
        (void)swki_buf_printf(
            l->out, "%s %s %s %s\n", node->name,
            swki_enum_name(&swkpb__node_status__state__descriptor,
                           (int)n->status->state),
            swki_enum_name(&swkpb__node_spec__availability__descriptor,
                           (int)n->spec->availability),
            n->status->message);
    }
    return true;
}

static void service_row(const struct line *l, const struct swki_object *object)
{
    const Swkpb__Service *s = swki_service(object);

    (void)swki_buf_printf(
        l->out, "%s replicas=%llu %s%s%s%s\n", s->spec->annotations->name,
        (unsigned long long)s->spec->replicated->replicas,
        s->spec->task->container->image,
        s->pending_delete ? " being removed" : "",
        s->update_status != NULL ? " " : "",
        s->update_status != NULL
            ? swki_enum_name(&swkpb__update_status__update_state__descriptor,
                             (int)s->update_status->state)
            : "");
}

static bool services(const struct line *l)
{
    each(l, SWKI_KIND_SERVICE, service_row);
    return true;
}

static bool workloads(const struct line *l)
{
    for (size_t i = 0; i < l->sim->nodes_count; i++) {
        const struct sim_node *node = l->sim->nodes[i];
        const struct sim_workload *w;
        size_t cursor = 0;

        (void)swki_buf_printf(l->out, "%s:", node->name);
        while ((w = swki_map_next(&node->workloads, &cursor)) != NULL) {
            if (w->running) {
                (void)swki_buf_printf(l->out, " %s",
                                      sim_name_of(l->sim, w->id));
            }
        }
        (void)swki_buf_append_text(l->out, "\n");
    }
    return true;
}

/* -- Calls ---------------------------------------------------------------- */

static void print_status(struct sim *sim)
{
    const struct sim_client *c = &sim->client;

    if (c->waiting) {
        sim_trace(sim, "client", "no answer");
    } else if (c->status == 0) {
        sim_trace(sim, "client", "OK");
    } else {
        sim_trace(sim, "client", "%s: %s", swki_status_name(c->status),
                  c->text);
    }
}

static bool wait_and_print(const struct line *l, bool made)
{
    if (!made) {
        return false;
    }
    (void)sim_wait(l->sim);
    print_status(l->sim);
    return true;
}

/* A command that begins with "begin" does not wait for the answer. */
static bool call(const struct line *l, const char *name)
{
    struct sim *sim = l->sim;

    if (strcmp(name, "service") == 0) {
        return sim_create_service(sim, word(l, 0), l->words + 1, l->count - 1);
    }
    if (strcmp(name, "update") == 0) {
        return sim_update_service(sim, word(l, 0), l->words + 1, l->count - 1);
    }
    if (strcmp(name, "scale") == 0) {
        char text[64];
        char *words[] = {text};

        snprintf(text, sizeof(text), "replicas=%s", word(l, 1));
        return sim_update_service(sim, word(l, 0), words, 1);
    }
    if (strcmp(name, "remove") == 0) {
        return sim_remove_service(sim, word(l, 0));
    }
    if (strcmp(name, "drain") == 0 || strcmp(name, "pause") == 0) {
        return sim_set_availability(sim, word(l, 0), name);
    }
    if (strcmp(name, "activate") == 0) {
        return sim_set_availability(sim, word(l, 0), "active");
    }
    if (strcmp(name, "label") == 0) {
        return sim_label_node(sim, word(l, 0), word(l, 1), word(l, 2));
    }
    if (strcmp(name, "remove-node") == 0) {
        return sim_remove_node(sim, word(l, 0));
    }
    if (strcmp(name, "retry") == 0) {
        sim_client_retry(sim);
        return true;
    }
    return false;
}

static bool begin(const struct line *l)
{
    struct line rest = *l;

    if (l->count == 0) {
        return false;
    }
    rest.count--;
    memmove(rest.words, l->words + 1, rest.count * sizeof(rest.words[0]));
    return call(&rest, l->words[0]);
}

static bool answer(const struct line *l)
{
    print_status(l->sim);
    return true;
}

static bool lose_reply(const struct line *l)
{
    l->sim->client.lose_reply = true;
    return true;
}

/* -- Disturbances --------------------------------------------------------- */

static bool advance(const struct line *l)
{
    swk_time span;

    if (!sim_read_span(word(l, 0), &span)) {
        return false;
    }
    sim_advance(l->sim, span);
    return true;
}

static bool agent(const struct line *l)
{
    for (size_t i = 0; i < l->count; i++) {
        if (sim_add_node(l->sim, l->words[i]) == NULL) {
            return false;
        }
    }
    sim_advance(l->sim, 100 * SWK_MILLISECOND);
    return true;
}

static bool kill_task(const struct line *l)
{
    char *dot = strchr(word(l, 0), '.');
    const Swkpb__Task *task;
    int code = l->count > 1 ? atoi(l->words[1]) : 137;

    if (dot == NULL) {
        return false;
    }
    *dot = '\0';
    task = sim_slot_task(l->sim, l->words[0], strtoull(dot + 1, NULL, 10));
    for (size_t i = 0; task != NULL && i < l->sim->nodes_count; i++) {
        struct sim_workload *w = sim_workload(l->sim->nodes[i], task->id);

        if (w != NULL && w->running) {
            sim_exit_workload(w, code);
            return true;
        }
    }
    return false;
}

static bool node_command(const struct line *l, const char *name)
{
    struct sim_node *node = sim_node_by_name(l->sim, word(l, 0));

    if (node == NULL) {
        return false;
    }
    if (strcmp(name, "kill-agent") == 0) {
        sim_kill_agent(node);
    } else if (strcmp(name, "kill-node") == 0) {
        sim_kill_node(node);
    } else if (strcmp(name, "start-agent") == 0 && node->agent == NULL) {
        sim_start_agent(node);
    } else if (strcmp(name, "partition") == 0) {
        sim_cut(node, strcmp(word(l, 1), "in") != 0,
                strcmp(word(l, 1), "out") != 0);
    } else if (strcmp(name, "heal") == 0) {
        sim_heal(node);
    } else if (strcmp(name, "reset") == 0) {
        sim_break_connection(node);
    } else {
        return false;
    }
    return true;
}

static bool kill_manager(const struct line *l)
{
    if (l->sim->manager == NULL) {
        return false;
    }
    sim_kill_manager(l->sim, strcmp(word(l, 0), "keep") == 0 ? SIZE_MAX : 0);
    return true;
}

static bool start_manager(const struct line *l)
{
    sim_start_manager(l->sim);
    sim_advance(l->sim, 20 * SWK_MILLISECOND);
    return true;
}

static bool hold_disk(const struct line *l)
{
    sim_hold_disk(l->sim);
    return true;
}

static bool release_disk(const struct line *l)
{
    sim_release_disk(l->sim);
    return true;
}

static bool trace_tasks(const struct line *l)
{
    l->sim->trace_tasks = strcmp(word(l, 0), "off") != 0;
    return true;
}

/* Whether the swarm is as it should be at rest. */
static bool settled(const struct line *l)
{
    char why[128];
    const char *unsettled = sim_unsettled(l->sim, why, sizeof(why));

    (void)swki_buf_printf(l->out, "%s\n",
                          unsettled != NULL ? unsettled : "settled");
    return true;
}

/* -- Lines ---------------------------------------------------------------- */

static const struct {
    const char *name;
    bool (*run)(const struct line *l);
} table[] = {
    {"advance", advance},
    {"agent", agent},
    {"answer", answer},
    {"begin", begin},
    {"hold-disk", hold_disk},
    {"kill-manager", kill_manager},
    {"kill-task", kill_task},
    {"lose-reply", lose_reply},
    {"nodes", nodes},
    {"release-disk", release_disk},
    {"services", services},
    {"settled", settled},
    {"start-manager", start_manager},
    {"tasks", tasks},
    {"trace-tasks", trace_tasks},
    {"workloads", workloads},
};

static bool run_named(const struct line *l, const char *name)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (strcmp(table[i].name, name) == 0) {
            return table[i].run(l);
        }
    }
    return node_command(l, name) || wait_and_print(l, call(l, name));
}

static void take_trace(struct sim *sim, struct swki_buf *out)
{
    (void)swki_buf_append(out, sim->trace.data, sim->trace.len);
    swki_buf_clear(&sim->trace);
}

/* "manager" makes the swarm. */
static bool make_swarm(struct commands *commands)
{
    sim_free(commands->sim);
    commands->sim = sim_new(1);
    if (commands->sim == NULL) {
        return false;
    }
    sim_start_manager(commands->sim);
    sim_advance(commands->sim, 100 * SWK_MILLISECOND);
    return true;
}

bool commands_run(struct commands *commands, const char *text,
                  struct swki_buf *out)
{
    char copy[LINE_SIZE];
    struct line line = {0};
    struct swki_buf printed;
    const char *name;
    char *rest = NULL;
    bool good;

    snprintf(copy, sizeof(copy), "%s", text);
    name = strtok_r(copy, " \n", &rest);
    while (line.count < COMMAND_WORDS_MAX &&
           (line.words[line.count] = strtok_r(NULL, " \n", &rest)) != NULL) {
        line.count++;
    }
    swki_buf_init(&printed, NULL, SIZE_MAX);
    line.out = &printed;
    line.sim = commands->sim;
    if (strcmp(name, "manager") == 0) {
        good = make_swarm(commands);
    } else {
        good = commands->sim != NULL && run_named(&line, name);
    }
    if (commands->sim != NULL) {
        take_trace(commands->sim, out);
        good = good && commands->sim->broken[0] == '\0';
    }
    (void)swki_buf_append(out, printed.data, printed.len);
    swki_buf_fini(&printed);
    if (!good) {
        (void)swki_buf_append_text(out, "failed\n");
    }
    return good;
}

void commands_fini(struct commands *commands)
{
    sim_free(commands->sim);
    commands->sim = NULL;
}

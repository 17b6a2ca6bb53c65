/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the audit log costs: a record of a call and of a change in the machine
 * alone; the same with its line written to a file, which is what a call has to
 * wait for; and how fast a log is verified.
 *
 * Prints one line a figure: name, value, unit. The directory to use may be
 * given; it is made and removed.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <swarmkit/audit.h>
#include <swarmkit/posix.h>

#include "base/roles.h"
#include "node/audit/audit_log.h"

enum {
    RECORDS = 200 * 1000,
    AT_ONCE = 64, /* records that share a write */
};

static const struct swki_caller caller = {
    .node_id = "k3jx9s8fbq1n0u5m2r7w4tzye",
    .swarm_id = "9qhd0b3m5xk2u8r1w6tzc4fse",
    .role = SWKI_ROLE_MANAGER,
    .address = "192.0.2.1:53211",
    .request_id = "3f1c2a9b8d7e6f504132a1b2c3d4e5f6",
    .forwarded_by = "",
};

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void figure(const char *name, double value, const char *unit)
{
    printf("%-52s %12.0f %s\n", name, value, unit);
}

static void record_call(struct swki_audit *audit,
                        const struct swki_method *method, uint64_t id)
{
    swki_audit_call_begins(audit, (swk_wall)id, id, method, &caller);
    swki_audit_call_ends(audit, (swk_wall)id, id, SWKI_STATUS_OK, "");
}

static void make_objects(struct swki_object **objects, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct swki_object *object = swki_object_new(NULL, SWKI_KIND_TASK);

        swki_task_edit(object)->id = swki_arena_printf(
            swki_object_arena(object), "task%021zu", i);
        objects[i] = object;
    }
}

static void machine_alone(const struct swki_method *method)
{
    const struct swki_audit_config config = {.pending_max = 64 << 20};
    struct swki_object *objects[AT_ONCE];
    struct swki_store_observer observer;
    struct swki_audit *audit;
    double start;

    if (swki_audit_new(&config, &audit, NULL) != 0) {
        exit(1);
    }
    start = seconds();
    for (uint64_t i = 0; i < RECORDS; i++) {
        record_call(audit, method, i);
        swki_audit_written(audit, swki_audit_pending(audit)->len);
    }
    figure("a call's record", (seconds() - start) / RECORDS * 1e9, "ns");
    make_objects(objects, AT_ONCE);
    observer = swki_audit_observer(audit);
    start = seconds();
    for (uint64_t i = 0; i < RECORDS; i++) {
        const struct swki_observed observed = {
            .actor = SWKI_ACTOR_SCHEDULER,
            .change = SWKI_CHANGE_UPDATE,
            .fate = SWKI_FATE_COMMITTED,
            .index = i + 1,
            .object = objects[i % AT_ONCE],
        };

        observer.ended(observer.ctx, &observed);
        swki_audit_written(audit, swki_audit_pending(audit)->len);
    }
    figure("a change's record", (seconds() - start) / RECORDS * 1e9, "ns");
    for (size_t i = 0; i < AT_ONCE; i++) {
        swki_object_unref(objects[i]);
    }
    swki_audit_free(audit);
}

static void with_files(const char *dir, const struct swki_method *method,
                       uint64_t at_once)
{
    const struct swki_audit_log_config config = {
        .clock = swk_posix_clock(),
        .entropy = swk_posix_entropy(),
        .dir = dir,
        .node_id = caller.node_id,
        .swarm_id = caller.swarm_id,
    };
    struct swki_audit_log *log;
    char name[80];
    double start;

    if (swki_audit_log_open(&config, &log, NULL) != 0) {
        exit(1);
    }
    start = seconds();
    for (uint64_t i = 0; i < RECORDS; i++) {
        record_call(swki_audit_log_machine(log), method, i);
        if (i % at_once == at_once - 1) {
            swki_audit_log_write(log);
        }
    }
    snprintf(name, sizeof(name), "records written, %d at once", (int)at_once);
    figure(name, RECORDS / (seconds() - start), "1/s");
    start = seconds();
    swki_audit_log_close(log);
    figure("then to make them durable and stop", (seconds() - start) * 1e3,
           "ms");
}

static void verify(const char *dir)
{
    struct swk_audit_options options = SWK_AUDIT_OPTIONS_INIT;
    struct swk_audit_report report = {.size = sizeof(report)};
    double start = seconds();

    options.dir = dir;
    if (swk_audit_verify(&options, &report, NULL) != 0) {
        exit(1);
    }
    figure("records verified", (double)report.records / (seconds() - start),
           "1/s");
}

int main(int argc, char **argv)
{
    const struct swki_method *method =
        swki_method_by_path(SWKI_PATH_CONTROL_UPDATE_NODE,
                            strlen(SWKI_PATH_CONTROL_UPDATE_NODE));
    char dir[256];
    char single[270];
    char command[600];

    snprintf(dir, sizeof(dir), "%s/swk-bench-audit-%d",
             argc > 1 ? argv[1] : "/tmp", (int)getpid());
    snprintf(single, sizeof(single), "%s-single", dir);
    machine_alone(method);
    with_files(single, method, 1);
    with_files(dir, method, AT_ONCE);
    verify(dir);
    snprintf(command, sizeof(command), "rm -r %s %s", single, dir);
    return system(command) == 0 ? 0 : 1;
}

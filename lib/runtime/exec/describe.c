/* SPDX-License-Identifier: Apache-2.0 */

#include "runtime/exec/describe.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "runtime/exec/generic.h"

enum {
    ARENA_LIMIT = 4 << 20,
};

#define ENGINE_VERSION "swarmkit-process/0.1"

/* "cpu,memory,pids", or less. */
static void list_limits(const struct swki_machine *machine, char *out,
                        size_t size)
{
    static const enum swki_cgroup_controller sorted[] = {
        SWKI_CGROUP_CPU, SWKI_CGROUP_MEMORY, SWKI_CGROUP_PIDS};
    size_t len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < sizeof(sorted) / sizeof(sorted[0]); i++) {
        if (swki_cgroups_limits(&machine->cgroups, sorted[i])) {
            len += (size_t)snprintf(out + len, size - len, "%s%s",
                                    len > 0 ? "," : "",
                                    swki_cgroup_controller_name(sorted[i]));
        }
    }
}

int swki_describe(const struct swki_machine *machine,
                  const char *generic_resources, struct swki_buf *out_buf,
                  struct swk_error *err)
{
    Swkpb__NodeDescription node = SWKPB__NODE_DESCRIPTION__INIT;
    Swkpb__Platform platform = SWKPB__PLATFORM__INIT;
    Swkpb__Resources resources = SWKPB__RESOURCES__INIT;
    Swkpb__EngineDescription engine = SWKPB__ENGINE_DESCRIPTION__INIT;
    char limits[64];
    const char *const labels[][2] = {
        /* Sorted, so that equal nodes have equal descriptions. */
        {"swarmkit.cgroup", swki_cgroups_version(&machine->cgroups)},
        {"swarmkit.executor", "process"},
        {"swarmkit.images",
         swki_machine_can(machine, "SYS_ADMIN") ? "directory,host" : "host"},
        {"swarmkit.limits", limits},
    };
    enum { LABELS_COUNT = sizeof(labels) / sizeof(labels[0]) };
    Swkpb__EngineDescription__LabelsEntry entries[LABELS_COUNT];
    Swkpb__EngineDescription__LabelsEntry *list[LABELS_COUNT];
    struct swki_arena arena;
    size_t len;
    uint8_t *data;
    int rc;

    list_limits(machine, limits, sizeof(limits));
    for (size_t i = 0; i < LABELS_COUNT; i++) {
        swkpb__engine_description__labels_entry__init(&entries[i]);
        entries[i].key = (char *)labels[i][0];
        entries[i].value = (char *)labels[i][1];
        list[i] = &entries[i];
    }
    engine.engine_version = (char *)ENGINE_VERSION;
    engine.n_labels = LABELS_COUNT;
    engine.labels = list;
    platform.architecture = (char *)machine->architecture;
    platform.os = (char *)"linux";
    resources.nano_cpus = machine->nano_cpus;
    resources.memory_bytes = machine->memory_bytes;
    node.hostname = (char *)machine->hostname;
    node.platform = &platform;
    node.resources = &resources;
    node.engine = &engine;

    swki_arena_init(&arena, NULL, ARENA_LIMIT);
    rc = swki_generic_parse(generic_resources, &arena, &resources.generic,
                            &resources.n_generic, err);
    if (rc == SWK_OK) {
        len = protobuf_c_message_get_packed_size(&node.base);
        data = swki_buf_reserve(out_buf, len);
        if (data == NULL) {
            rc = swki_fail_nomem(err);
        } else {
            out_buf->len += protobuf_c_message_pack(&node.base, data);
        }
    }
    swki_arena_fini(&arena);
    return rc;
}

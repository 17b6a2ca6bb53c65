/* SPDX-License-Identifier: Apache-2.0 */

/* swarmctl config ... */

#include <stdio.h>
#include <string.h>

#include "flags.h"
#include "lists.h"
#include "payload.h"

static const struct flag no_flags[] = {{0}};
static const struct flag list_flags[] = {
    {.name = "quiet", .letter = 'q', .help = "print IDs only"}, {0}};
static const struct flag create_flags[] = {
    {.name = "file",
     .letter = 'f',
     .argument = "PATH",
     .otherwise = "-, the standard input",
     .help = "where the data is"},
    {.name = "label",
     .argument = "KEY=VALUE",
     .help = "add a label",
     .list = true},
    {.name = "label-add", .argument = "KEY=VALUE", .help = "the same",
     .list = true},
    {.name = "label-rm", .argument = "KEY", .help = "take a label back",
     .list = true},
    {0}};

static int run_create(struct ctl *ctl, const struct args *args)
{
    Swkpb__CreateConfigRequest request = SWKPB__CREATE_CONFIG_REQUEST__INIT;
    Swkpb__ConfigSpec spec = SWKPB__CONFIG_SPEC__INIT;
    Swkpb__CreateConfigResponse *reply;
    bool changed = false;
    int rc = change_labels(ctl, args, &spec.annotations, &changed);

    if (rc == EXIT_OK) {
        rc = payload_read(ctl, args_text(args, "file"), &spec.data);
    }
    if (rc != EXIT_OK) {
        return rc;
    }
    spec.annotations->name = pool_strdup(&ctl->pool, args_at(args, 0));
    request.spec = &spec;
    rc = ctl_call(ctl, "CreateConfig", &request.base,
                  &swkpb__create_config_response__descriptor, &reply);
    if (rc != EXIT_OK || ctl->json) {
        return rc != EXIT_OK ? rc : ctl_print_json(ctl, &reply->config->base);
    }
    puts(reply->config->id);
    return EXIT_OK;
}

static int run_list(struct ctl *ctl, const struct args *args)
{
    static const char *const columns[] = {"ID", "NAME", "CREATED", NULL};
    Swkpb__ListConfigsRequest request = SWKPB__LIST_CONFIGS_REQUEST__INIT;
    Swkpb__ListConfigsResponse *reply;
    int rc = ctl_call(ctl, "ListConfigs", &request.base,
                      &swkpb__list_configs_response__descriptor, &reply);

    if (rc != EXIT_OK || ctl->json) {
        return rc != EXIT_OK ? rc : ctl_print_json(ctl, &reply->base);
    }
    if (args_has(args, "quiet")) {
        for (size_t i = 0; i < reply->n_configs; i++) {
            puts(reply->configs[i]->id);
        }
        return EXIT_OK;
    }

    struct table *table = table_new(columns);
    for (size_t i = 0; i < reply->n_configs; i++) {
        const Swkpb__Config *s = reply->configs[i];
        const char *const row[] = {
            s->id,
            annotations_name(s->spec != NULL ? s->spec->annotations : NULL),
            age_text(ctl, s->meta != NULL ? s->meta->created_at : NULL)};

        table_row(table, row);
    }
    table_end(table);
    return EXIT_OK;
}

static int run_inspect(struct ctl *ctl, const struct args *args)
{
    Swkpb__Config *config;
    int rc = find_config(ctl, args_at(args, 0), &config);

    if (rc != EXIT_OK || ctl->json) {
        return rc != EXIT_OK ? rc : ctl_print_json(ctl, &config->base);
    }
    print_field("ID", "%s", config->id);
    payload_print(ctl, config->spec != NULL ? config->spec->annotations : NULL,
                  config->meta);
    if (config->spec != NULL) {
        printf("\n%.*s", (int)config->spec->data.len,
               (const char *)config->spec->data.data);
    }
    return EXIT_OK;
}

static int run_remove(struct ctl *ctl, const struct args *args)
{
    int result = EXIT_OK;

    for (size_t i = 0; i < args_count(args); i++) {
        Swkpb__RemoveConfigRequest request = SWKPB__REMOVE_CONFIG_REQUEST__INIT;
        Swkpb__RemoveConfigResponse *reply;
        Swkpb__Config *config;
        int rc = find_config(ctl, args_at(args, i), &config);

        if (rc == EXIT_OK) {
            request.config_id = config->id;
            rc = ctl_call(ctl, "RemoveConfig", &request.base,
                          &swkpb__remove_config_response__descriptor, &reply);
        }
        if (rc == EXIT_OK) {
            print_removed(ctl, config->id, args_at(args, i));
        }
        result = rc != EXIT_OK ? rc : result;
    }
    return result;
}

const struct command config_commands[] = {
    {"config", "create", NULL, "NAME", "Store a config.",
     "swarmctl config create web.conf < web.conf", {create_flags}, 1, 1,
     false, run_create},
    {"config", "ls", "list", "", "List the configs.", "swarmctl config ls",
     {list_flags}, 0, 0, false, run_list},
    {"config", "inspect", NULL, "CONFIG",
     "Show a config with its data.",
     "swarmctl config inspect web.conf", {no_flags}, 1, 1, false,
     run_inspect},
    {"config", "rm", "remove", "CONFIG...",
     "Remove configs that no service uses.", "swarmctl config rm web.conf",
     {no_flags}, 1, -1, false, run_remove},
    {0},
};

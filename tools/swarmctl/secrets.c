/* SPDX-License-Identifier: Apache-2.0 */

/* swarmctl secret ... */

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
    {.name = "driver",
     .letter = 'd',
     .argument = "NAME",
     .help = "the plugin that supplies the value; no data is stored"},
    {.name = "driver-opt",
     .argument = "KEY=VALUE",
     .help = "an option for the plugin",
     .list = true},
    {.name = "template-driver",
     .argument = "NAME",
     .help = "golang: expand the data for each task"},
    {.name = "label",
     .argument = "KEY=VALUE",
     .help = "add a label",
     .list = true},
    {.name = "label-add",
     .argument = "KEY=VALUE",
     .help = "the same",
     .list = true},
    {.name = "label-rm",
     .argument = "KEY",
     .help = "take a label back",
     .list = true},
    {0}};

static int add_option(struct ctl *ctl, Swkpb__Driver *driver, const char *text)
{
    Swkpb__Driver__OptionsEntry *entry =
        pool_message(&ctl->pool, &swkpb__driver__options_entry__descriptor);
    const char *value;
    size_t key_len;

    if (!parse_pair(text, &key_len, &value)) {
        return ctl_usage("--driver-opt takes KEY=VALUE");
    }
    entry->key = pool_strndup(&ctl->pool, text, key_len);
    entry->value = pool_strdup(&ctl->pool, value);
    driver->options[driver->n_options++] = entry;
    return EXIT_OK;
}

static Swkpb__Driver *new_driver(struct ctl *ctl, const char *name)
{
    Swkpb__Driver *driver =
        pool_message(&ctl->pool, &swkpb__driver__descriptor);

    driver->name = pool_strdup(&ctl->pool, name);
    return driver;
}

static int read_driver(struct ctl *ctl, const struct args *args,
                       Swkpb__SecretSpec *spec)
{
    const char *const *options;
    size_t count = args_list(args, "driver-opt", &options);
    int rc = EXIT_OK;

    if (!args_has(args, "driver")) {
        return count == 0 ? EXIT_OK : ctl_usage("--driver-opt needs --driver");
    }
    if (args_has(args, "file")) {
        return ctl_usage("--driver and --file exclude each other: a secret "
                         "with a driver has no data");
    }
    spec->driver = new_driver(ctl, args_text(args, "driver"));
    spec->driver->options =
        pool_alloc(&ctl->pool, (count + 1) * sizeof(spec->driver->options[0]));
    for (size_t i = 0; rc == EXIT_OK && i < count; i++) {
        rc = add_option(ctl, spec->driver, options[i]);
    }
    return rc;
}

static int run_create(struct ctl *ctl, const struct args *args)
{
    Swkpb__CreateSecretRequest request = SWKPB__CREATE_SECRET_REQUEST__INIT;
    Swkpb__SecretSpec spec = SWKPB__SECRET_SPEC__INIT;
    Swkpb__CreateSecretResponse *reply;
    bool changed = false;
    int rc = change_labels(ctl, args, &spec.annotations, &changed);

    if (rc == EXIT_OK) {
        rc = read_driver(ctl, args, &spec);
    }
    if (args_has(args, "template-driver")) {
        spec.templating = new_driver(ctl, args_text(args, "template-driver"));
    }
    if (rc == EXIT_OK && spec.driver == NULL) {
        rc = payload_read(ctl, args_text(args, "file"), &spec.data);
    }
    if (rc != EXIT_OK) {
        return rc;
    }
    spec.annotations->name = pool_strdup(&ctl->pool, args_at(args, 0));
    request.spec = &spec;
    rc = ctl_call(ctl, "CreateSecret", &request.base,
                  &swkpb__create_secret_response__descriptor, &reply);
    payload_wipe(&spec.data);
    if (rc != EXIT_OK || ctl->json) {
        return rc != EXIT_OK ? rc : ctl_print_json(ctl, &reply->secret->base);
    }
    puts(reply->secret->id);
    return EXIT_OK;
}

/* "" for a secret whose value is stored. */
static const char *driver_name(const Swkpb__Secret *secret)
{
    return secret->spec != NULL && secret->spec->driver != NULL
               ? secret->spec->driver->name
               : "";
}

static void print_driver(const Swkpb__SecretSpec *spec)
{
    if (spec == NULL || spec->driver == NULL) {
        return;
    }
    print_field("Driver", "%s", spec->driver->name);
    for (size_t i = 0; i < spec->driver->n_options; i++) {
        print_field("Driver option", "%s=%s", spec->driver->options[i]->key,
                    spec->driver->options[i]->value);
    }
}

static int run_list(struct ctl *ctl, const struct args *args)
{
    static const char *const columns[] = {"ID", "NAME", "DRIVER", "CREATED",
                                          NULL};
    Swkpb__ListSecretsRequest request = SWKPB__LIST_SECRETS_REQUEST__INIT;
    Swkpb__ListSecretsResponse *reply;
    int rc = ctl_call(ctl, "ListSecrets", &request.base,
                      &swkpb__list_secrets_response__descriptor, &reply);

    if (rc != EXIT_OK || ctl->json) {
        return rc != EXIT_OK ? rc : ctl_print_json(ctl, &reply->base);
    }
    if (args_has(args, "quiet")) {
        for (size_t i = 0; i < reply->n_secrets; i++) {
            puts(reply->secrets[i]->id);
        }
        return EXIT_OK;
    }

    struct table *table = table_new(columns);
    for (size_t i = 0; i < reply->n_secrets; i++) {
        const Swkpb__Secret *s = reply->secrets[i];
        const char *const row[] = {
            s->id,
            annotations_name(s->spec != NULL ? s->spec->annotations : NULL),
            driver_name(s),
            age_text(ctl, s->meta != NULL ? s->meta->created_at : NULL)};

        table_row(table, row);
    }
    table_end(table);
    return EXIT_OK;
}

static int run_inspect(struct ctl *ctl, const struct args *args)
{
    Swkpb__Secret *secret;
    int rc = find_secret(ctl, args_at(args, 0), &secret);

    if (rc != EXIT_OK || ctl->json) {
        return rc != EXIT_OK ? rc : ctl_print_json(ctl, &secret->base);
    }
    print_field("ID", "%s", secret->id);
    payload_print(ctl, secret->spec != NULL ? secret->spec->annotations : NULL,
                  secret->meta);
    print_driver(secret->spec);
    return EXIT_OK;
}

static int run_remove(struct ctl *ctl, const struct args *args)
{
    int result = EXIT_OK;

    for (size_t i = 0; i < args_count(args); i++) {
        Swkpb__RemoveSecretRequest request = SWKPB__REMOVE_SECRET_REQUEST__INIT;
        Swkpb__RemoveSecretResponse *reply;
        Swkpb__Secret *secret;
        int rc = find_secret(ctl, args_at(args, i), &secret);

        if (rc == EXIT_OK) {
            request.secret_id = secret->id;
            rc = ctl_call(ctl, "RemoveSecret", &request.base,
                          &swkpb__remove_secret_response__descriptor, &reply);
        }
        if (rc == EXIT_OK) {
            print_removed(ctl, secret->id, args_at(args, i));
        }
        result = rc != EXIT_OK ? rc : result;
    }
    return result;
}

const struct command secret_commands[] = {
    {"secret",
     "create",
     NULL,
     "NAME",
     "Store a secret.\n\n"
     "With --driver the value comes from a plugin on the managers instead, "
     "for\n"
     "each task that uses the secret.",
     "swarmctl secret create db-password < password.txt",
     {create_flags},
     1,
     1,
     false,
     run_create},
    {"secret",
     "ls",
     "list",
     "",
     "List the secrets.",
     "swarmctl secret ls",
     {list_flags},
     0,
     0,
     false,
     run_list},
    {"secret",
     "inspect",
     NULL,
     "SECRET",
     "Show a secret; its data is never shown.",
     "swarmctl secret inspect db-password",
     {no_flags},
     1,
     1,
     false,
     run_inspect},
    {"secret",
     "rm",
     "remove",
     "SECRET...",
     "Remove secrets that no service uses.",
     "swarmctl secret rm db-password",
     {no_flags},
     1,
     -1,
     false,
     run_remove},
    {0},
};

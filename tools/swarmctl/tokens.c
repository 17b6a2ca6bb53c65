/* SPDX-License-Identifier: Apache-2.0 */

/* swarmctl cluster token create, ls, rm: join tokens with limits. */

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "flags.h"
#include "lists.h"
#include "swarmkit/tokens.pb-c.h"
#include "tokens.h"

#define SERVICE "/swarmkit.v1.JoinTokens/"

const struct flag token_create_flags[] = {
    {.name = "role",
     .argument = "ROLE",
     .otherwise = "worker",
     .help = "what its nodes become: worker or manager"},
    {.name = "ttl",
     .argument = "DURATION",
     .otherwise = "no end",
     .help = "how long it lets nodes in, such as 10m or 24h"},
    {.name = "uses",
     .argument = "N",
     .otherwise = "any number",
     .help = "how many nodes it lets in"},
    {.name = "label",
     .argument = "KEY=VALUE",
     .help = "give its nodes this label",
     .list = true},
    {.name = "description", .argument = "TEXT", .help = "what it is for"},
    {.name = "quiet", .letter = 'q', .help = "print the token only"},
    {0}};

/* -- Create --------------------------------------------------------------- */

static int read_role(const struct args *args,
                     Swkpb__Rpc__JoinTokenRole *out_role)
{
    static const char *const words[] = {"worker", "manager", NULL};
    const char *text = args_text(args, "role");
    int role = 0;

    if (text != NULL && !parse_word(text, words, &role)) {
        return ctl_usage("--role is worker or manager");
    }
    *out_role = (Swkpb__Rpc__JoinTokenRole)role;
    return EXIT_OK;
}

static int read_limits(struct ctl *ctl, const struct args *args,
                       Swkpb__Rpc__CreateJoinTokenRequest *request)
{
    int64_t number;

    if (args_has(args, "ttl")) {
        if (!parse_duration(args_text(args, "ttl"), &number) || number <= 0) {
            return ctl_usage("--ttl takes a duration from 1s to 3650d, such as "
                             "10m or 24h; without it there is no end");
        }
        request->ttl = new_duration(ctl, number);
    }
    if (args_has(args, "uses")) {
        if (!parse_integer(args_text(args, "uses"), 1, UINT32_MAX, &number)) {
            return ctl_usage("--uses takes a number of nodes from 1 to %u; "
                             "without it any number may join",
                             UINT32_MAX);
        }
        request->uses = (uint32_t)number;
    }
    return EXIT_OK;
}

static int read_labels(struct ctl *ctl, const struct args *args,
                       Swkpb__Rpc__CreateJoinTokenRequest *request)
{
    const char *const *texts;
    size_t count = args_list(args, "label", &texts);

    request->labels =
        pool_alloc(&ctl->pool, (count + 1) * sizeof(*request->labels));
    for (size_t i = 0; i < count; i++) {
        Swkpb__Rpc__CreateJoinTokenRequest__LabelsEntry *label = pool_message(
            &ctl->pool,
            &swkpb__rpc__create_join_token_request__labels_entry__descriptor);
        const char *value;
        size_t key_len;

        if (!parse_pair(texts[i], &key_len, &value)) {
            return ctl_usage("\"%s\" is not KEY=VALUE", texts[i]);
        }
        label->key = pool_strndup(&ctl->pool, texts[i], key_len);
        label->value = pool_strdup(&ctl->pool, value);
        request->labels[request->n_labels++] = label;
    }
    return EXIT_OK;
}

static const char *role_text(Swkpb__Rpc__JoinTokenRole role)
{
    return role == SWKPB__RPC__JOIN_TOKEN_ROLE__JOIN_TOKEN_MANAGER ? "manager"
                                                                   : "worker";
}

static const char *end_text(struct ctl *ctl, const Swkpb__Timestamp *timestamp)
{
    return timestamp != NULL ? time_text(ctl, timestamp) : "never";
}

static void print_token(struct ctl *ctl, const struct args *args,
                        const Swkpb__Rpc__CreateJoinTokenResponse *reply)
{
    const Swkpb__Rpc__LimitedJoinToken *token = reply->token;

    if (args_has(args, "quiet") || token == NULL) {
        puts(reply->join_token);
        return;
    }
    printf("To add a %s to this swarm, start its node with\n\n"
           "    --join-token %s\n\nand --join-addr with the address of a "
           "manager. The token is not shown again.\n\n",
           role_text(token->role), reply->join_token);
    print_field("ID", "%s", token->id);
    print_field("Expires", "%s", end_text(ctl, token->expires_at));
    if (token->uses_max != 0) {
        print_field("Uses", "%u", token->uses_max);
    }
}

static bool is_past(const Swkpb__Timestamp *timestamp)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return timestamp->seconds < now.tv_sec ||
           (timestamp->seconds == now.tv_sec &&
            timestamp->nanos <= now.tv_nsec);
}

static const char *state_text(const Swkpb__Rpc__LimitedJoinToken *token)
{
    if (token->uses_max != 0 && token->uses >= token->uses_max) {
        return "used up";
    }
    return token->expires_at != NULL && is_past(token->expires_at) ? "expired"
                                                                   : "valid";
}

static void json_time(const char *key, const Swkpb__Timestamp *timestamp,
                      struct ctl *ctl)
{
    if (timestamp != NULL) {
        printf(",\"%s\":\"%s\"", key, time_text(ctl, timestamp));
    }
}

/* The state is judged here, and a role is told also if it is the first. */
static void json_token(struct ctl *ctl, const Swkpb__Rpc__LimitedJoinToken *t)
{
    printf("{\"id\":\"%s\",\"role\":\"%s\",\"state\":\"%s\",\"uses\":%u", t->id,
           role_text(t->role), state_text(t), t->uses);
    if (t->uses_max != 0) {
        printf(",\"usesMax\":%u", t->uses_max);
    }
    json_time("createdAt", t->created_at, ctl);
    json_time("expiresAt", t->expires_at, ctl);
    json_time("lastUsedAt", t->last_used_at, ctl);
    printf(",\"labels\":{");
    for (size_t i = 0; i < t->n_labels; i++) {
        fputs(i > 0 ? "," : "", stdout);
        print_json_text(t->labels[i]->key);
        putchar(':');
        print_json_text(t->labels[i]->value);
    }
    printf("},\"description\":");
    print_json_text(t->description);
    putchar('}');
}

static void json_created(struct ctl *ctl,
                         const Swkpb__Rpc__CreateJoinTokenResponse *reply)
{
    printf("{\"joinToken\":\"%s\"", reply->join_token);
    if (reply->token != NULL) {
        printf(",\"token\":");
        json_token(ctl, reply->token);
    }
    puts("}");
}

int run_token_create(struct ctl *ctl, const struct args *args)
{
    Swkpb__Rpc__CreateJoinTokenRequest request =
        SWKPB__RPC__CREATE_JOIN_TOKEN_REQUEST__INIT;
    Swkpb__Rpc__CreateJoinTokenResponse *reply;
    int rc = read_role(args, &request.role);

    if (rc == EXIT_OK) {
        rc = read_limits(ctl, args, &request);
    }
    if (rc == EXIT_OK) {
        rc = read_labels(ctl, args, &request);
    }
    if (rc == EXIT_OK && args_has(args, "description")) {
        request.description =
            pool_strdup(&ctl->pool, args_text(args, "description"));
    }
    if (rc == EXIT_OK) {
        rc = ctl_call(ctl, SERVICE "CreateJoinToken", &request.base,
                      &swkpb__rpc__create_join_token_response__descriptor,
                      &reply);
    }
    if (rc != EXIT_OK) {
        return rc;
    }
    if (ctl->json) {
        json_created(ctl, reply);
    } else {
        print_token(ctl, args, reply);
    }
    explicit_bzero(reply->join_token, strlen(reply->join_token));
    return rc;
}

/* -- List and remove ------------------------------------------------------ */

const struct flag token_list_flags[] = {
    {.name = "quiet", .letter = 'q', .help = "print IDs only"}, {0}};

static const char *labels_text(struct ctl *ctl,
                               const Swkpb__Rpc__LimitedJoinToken *token)
{
    const char *text = "";

    for (size_t i = 0; i < token->n_labels; i++) {
        text = pool_printf(&ctl->pool, "%s%s%s=%s", text, i > 0 ? "," : "",
                           token->labels[i]->key, token->labels[i]->value);
    }
    return text;
}

static const char *uses_text(struct ctl *ctl,
                             const Swkpb__Rpc__LimitedJoinToken *token)
{
    return token->uses_max != 0
               ? pool_printf(&ctl->pool, "%u/%u", token->uses, token->uses_max)
               : pool_printf(&ctl->pool, "%u", token->uses);
}

static void print_tokens(struct ctl *ctl,
                         const Swkpb__Rpc__ListJoinTokensResponse *reply)
{
    static const char *const columns[] = {"ID",          "ROLE",    "STATE",
                                          "USES",        "EXPIRES", "LABELS",
                                          "DESCRIPTION", NULL};
    struct table *table = table_new(columns);

    for (size_t i = 0; i < reply->n_tokens; i++) {
        const Swkpb__Rpc__LimitedJoinToken *token = reply->tokens[i];
        const char *const row[] = {token->id,
                                   role_text(token->role),
                                   state_text(token),
                                   uses_text(ctl, token),
                                   end_text(ctl, token->expires_at),
                                   labels_text(ctl, token),
                                   token->description};

        table_row(table, row);
    }
    table_end(table);
}

static void json_tokens(struct ctl *ctl,
                        const Swkpb__Rpc__ListJoinTokensResponse *reply)
{
    putchar('[');
    for (size_t i = 0; i < reply->n_tokens; i++) {
        fputs(i > 0 ? ",\n" : "\n", stdout);
        json_token(ctl, reply->tokens[i]);
    }
    puts("\n]");
}

static int ask_tokens(struct ctl *ctl,
                      Swkpb__Rpc__ListJoinTokensResponse **out_reply)
{
    Swkpb__Rpc__ListJoinTokensRequest request =
        SWKPB__RPC__LIST_JOIN_TOKENS_REQUEST__INIT;

    return ctl_call(ctl, SERVICE "ListJoinTokens", &request.base,
                    &swkpb__rpc__list_join_tokens_response__descriptor,
                    out_reply);
}

int run_token_list(struct ctl *ctl, const struct args *args)
{
    Swkpb__Rpc__ListJoinTokensResponse *reply;
    int rc = ask_tokens(ctl, &reply);

    if (rc != EXIT_OK) {
        return rc;
    }
    if (ctl->json) {
        json_tokens(ctl, reply);
        return EXIT_OK;
    }
    if (!args_has(args, "quiet")) {
        print_tokens(ctl, reply);
        return EXIT_OK;
    }
    for (size_t i = 0; i < reply->n_tokens; i++) {
        puts(reply->tokens[i]->id);
    }
    return EXIT_OK;
}

/* The ID that begins so, if it is one alone. */
static int find_token(struct ctl *ctl, const char *text, const char **out_id)
{
    Swkpb__Rpc__ListJoinTokensResponse *reply;
    size_t count = 0;
    int rc = ask_tokens(ctl, &reply);

    for (size_t i = 0; rc == EXIT_OK && i < reply->n_tokens; i++) {
        if (strncmp(reply->tokens[i]->id, text, strlen(text)) == 0) {
            *out_id = reply->tokens[i]->id;
            count++;
        }
    }
    if (rc != EXIT_OK) {
        return rc;
    }
    if (count == 0 || text[0] == '\0') {
        return ctl_error(EXIT_NOT_FOUND, "join token %s not found", text);
    }
    return count == 1
               ? EXIT_OK
               : ctl_error(EXIT_FAILED,
                           "join token %s is ambiguous: %zu objects match; "
                           "give the whole ID",
                           text, count);
}

static int remove_token(struct ctl *ctl, const char *text)
{
    Swkpb__Rpc__RemoveJoinTokenRequest request =
        SWKPB__RPC__REMOVE_JOIN_TOKEN_REQUEST__INIT;
    Swkpb__Rpc__RemoveJoinTokenResponse *reply;
    const char *id = NULL;
    int rc = find_token(ctl, text, &id);

    if (rc == EXIT_OK) {
        request.token_id = pool_strdup(&ctl->pool, id);
        rc = ctl_call(ctl, SERVICE "RemoveJoinToken", &request.base,
                      &swkpb__rpc__remove_join_token_response__descriptor,
                      &reply);
    }
    if (rc == EXIT_OK) {
        print_removed(ctl, id, text);
    }
    return rc;
}

int run_token_remove(struct ctl *ctl, const struct args *args)
{
    int result = EXIT_OK;

    for (size_t i = 0; i < args_count(args); i++) {
        int rc = remove_token(ctl, args_at(args, i));

        result = rc != EXIT_OK ? rc : result;
    }
    return result;
}

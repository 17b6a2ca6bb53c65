/* SPDX-License-Identifier: Apache-2.0 */

/* What a signer that runs says of itself. */

#include "signer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <swarmkit/client.h>
#include <swarmkit/message.h>

#include "google/protobuf/duration.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "swarmkit/signer.pb-c.h"

static const char *date_text(const Swkpb__Timestamp *timestamp,
                             char out_text[32])
{
    time_t seconds = timestamp != NULL ? (time_t)timestamp->seconds : 0;
    struct tm tm;

    gmtime_r(&seconds, &tm);
    strftime(out_text, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return out_text;
}

static void print_rate(const char *name, const Swkpb__Rpc__SignerRate *rate)
{
    if (rate != NULL) {
        printf("  %-18s %" PRIu32 " an hour, %" PRIu32 " at once\n", name,
               rate->per_hour, rate->burst);
    }
}

static void print_span(const char *name, const Swkpb__Duration *span)
{
    if (span != NULL && span->seconds % 3600 == 0) {
        printf("  %-18s %" PRId64 " h\n", name, span->seconds / 3600);
    } else if (span != NULL) {
        printf("  %-18s %" PRId64 " s\n", name, span->seconds);
    }
}

static const char *yes_no(int value)
{
    return value ? "yes" : "no";
}

static void print_policy(const Swkpb__Rpc__SignerPolicy *policy)
{
    printf("Policy\n");
    printf("  %-18s %s\n", "managers", yes_no(policy->managers));
    printf("  %-18s %s\n", "approve managers",
           yes_no(policy->approve_managers));
    printf("  %-18s %s\n", "promotions", yes_no(policy->promotions));
    printf("  %-18s %s\n", "new roots", yes_no(policy->new_roots));
    printf("  %-18s %s\n", "foreign roots", yes_no(policy->foreign_roots));
    print_span("longest validity", policy->longest_validity);
    print_span("expired grace", policy->expired_grace);
    print_span("clock skew", policy->clock_skew);
    print_rate("new nodes", policy->new_nodes);
    print_rate("renewals", policy->renewals);
    print_rate("new managers", policy->new_managers);
    print_rate("roots", policy->roots);
    printf("  %-18s %" PRIu32 "\n", "nodes at most", policy->nodes_max);
}

static void print_counters(const Swkpb__Rpc__SignerCounters *counters)
{
    printf("Since it started\n");
    printf("  %-18s %" PRIu64 "\n", "new nodes", counters->new_nodes);
    printf("  %-18s %" PRIu64 "\n", "renewals", counters->renewals);
    printf("  %-18s %" PRIu64 "\n", "roots", counters->roots);
    printf("  %-18s %" PRIu64 "\n", "cross-signed", counters->cross_signed);
    printf("  %-18s %" PRIu64 "\n", "refused", counters->refused);
    printf("  %-18s %" PRIu64 "\n", "failed", counters->failed);
}

static void print_response(const Swkpb__Rpc__DescribeSignerResponse *response)
{
    char from[32];
    char to[32];

    printf("Swarm: %s\n",
           response->swarm_id[0] == '\0' ? "none yet" : response->swarm_id);
    printf("Authorities\n");
    for (size_t i = 0; i < response->n_authorities; i++) {
        const Swkpb__Rpc__SignerAuthority *one = response->authorities[i];

        printf("  %s  %s to %s  %s\n", one->fingerprint,
               date_text(one->not_before, from), date_text(one->not_after, to),
               !one->has_key ? "without key"
               : one->used   ? "used"
                             : "new");
    }
    for (size_t i = 0; i < response->n_removed; i++) {
        printf("%s  %s  %s\n", i == 0 ? "Removed\n" : "",
               response->removed[i]->fingerprint,
               date_text(response->removed[i]->time, from));
    }
    printf("Nodes remembered: %" PRIu64 "\n", response->nodes);
    for (size_t i = 0; i < response->n_allowed; i++) {
        printf("%s  %s\n", i == 0 ? "May become managers\n" : "",
               response->allowed[i]);
    }
    if (response->policy != NULL) {
        print_policy(response->policy);
    }
    if (response->counters != NULL) {
        print_counters(response->counters);
    }
}

static int print_json(const uint8_t *data, size_t len, struct swk_error *err)
{
    char *text;
    int rc = swk_message_to_json("swarmkit.v1.DescribeSignerResponse", data,
                                 len, 0, &text, err);

    if (rc == 0) {
        printf("%s\n", text);
        swk_message_json_free(text);
    }
    return rc;
}

static int print_answer(const struct options *options, const uint8_t *data,
                        size_t len, struct swk_error *err)
{
    Swkpb__Rpc__DescribeSignerResponse *response;

    if (options->format != NULL && strcmp(options->format, "json") == 0) {
        return print_json(data, len, err);
    }
    response = (Swkpb__Rpc__DescribeSignerResponse *)protobuf_c_message_unpack(
        &swkpb__rpc__describe_signer_response__descriptor, NULL, len, data);
    if (response == NULL) {
        snprintf(err->text, sizeof(err->text),
                 "the signer's answer cannot be read");
        return SWK_EMALFORMED;
    }
    print_response(response);
    protobuf_c_message_free_unpacked(&response->base, NULL);
    return 0;
}

int print_status(const struct options *options, struct swk_error *err)
{
    struct swk_client_config config = SWK_CLIENT_CONFIG_INIT;
    swk_client *client;
    uint8_t *data;
    size_t len;
    int rc;

    config.address = options->socket_path;
    rc = swk_client_open(&config, &client, err);
    if (rc != 0) {
        err->code = rc;
        snprintf(err->text, sizeof(err->text),
                 "no signer answers at %.150s: %s", options->socket_path,
                 swk_error_name(rc));
        return rc;
    }
    rc = swk_client_call(client, "/swarmkit.v1.Signer/Describe", NULL, 0,
                         10 * SWK_SECOND, &data, &len, err);
    if (rc == 0) {
        rc = err->code = print_answer(options, data, len, err);
        swk_client_release(client, data);
    }
    swk_client_close(client);
    return rc;
}

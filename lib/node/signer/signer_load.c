/* SPDX-License-Identifier: Apache-2.0 */

#include "node/signer/signer_load.h"

#include "base/alloc.h"

enum {
    JOBS_MAX = 4096,
    JOBS_PER_USER_MAX = 1024,
    JOBS_PER_CONNECTION_MAX = 512,
    BYTES_MAX = 64 * 1024 * 1024,
    BYTES_PER_USER_MAX = 16 * 1024 * 1024,
    BYTES_PER_CONNECTION_MAX = 8 * 1024 * 1024,
};

static struct swki_signer_load_part most(uint32_t jobs, uint32_t jobs_usual,
                                         size_t bytes)
{
    return (struct swki_signer_load_part){jobs != 0 ? jobs : jobs_usual, bytes};
}

void swki_signer_load_init(struct swki_signer_load *load,
                           const struct swk_signer_service_config *config)
{
    *load = (struct swki_signer_load){
        .alloc = config->alloc,
        .most = most(config->jobs_max, JOBS_MAX, BYTES_MAX),
        .most_per_user = most(config->jobs_per_user_max, JOBS_PER_USER_MAX,
                              BYTES_PER_USER_MAX),
        .most_per_connection =
            most(config->jobs_per_connection_max, JOBS_PER_CONNECTION_MAX,
                 BYTES_PER_CONNECTION_MAX),
    };
    swki_list_init(&load->callers);
}

static struct swki_signer_caller *caller_at(struct swki_link *link)
{
    return SWKI_CONTAINER(link, struct swki_signer_caller, link);
}

static struct swki_signer_caller *
find_caller(struct swki_signer_load *load,
            const struct swki_rpc_call_info *info)
{
    struct swki_signer_caller *caller;

    for (struct swki_link *link = load->callers.next; link != &load->callers;
         link = link->next) {
        if (caller_at(link)->connection == info->connection) {
            return caller_at(link);
        }
    }
    caller = swki_calloc(load->alloc, 1, sizeof(*caller));
    if (caller != NULL) {
        caller->connection = info->connection;
        caller->uid = info->uid;
        swki_list_append(&load->callers, &caller->link);
    }
    return caller;
}

static struct swki_signer_load_part
load_of_user(const struct swki_signer_load *load, int64_t uid)
{
    struct swki_signer_load_part sum = {0, 0};

    for (struct swki_link *link = load->callers.next; link != &load->callers;
         link = link->next) {
        const struct swki_signer_caller *caller = caller_at(link);

        if (caller->uid == uid) {
            sum.jobs += caller->load.jobs;
            sum.bytes += caller->load.bytes;
        }
    }
    return sum;
}

static bool fits(struct swki_signer_load_part part, size_t bytes,
                 struct swki_signer_load_part limit)
{
    return part.jobs < limit.jobs && part.bytes + bytes <= limit.bytes;
}

static const char *too_much(const struct swki_signer_load *load,
                            const struct swki_signer_caller *caller,
                            size_t bytes)
{
    if (!fits(caller->load, bytes, load->most_per_connection)) {
        return "the signer has too much to do for one connection";
    }
    if (!fits(load_of_user(load, caller->uid), bytes, load->most_per_user)) {
        return "the signer has too much to do for one user";
    }
    return fits(load->all, bytes, load->most) ? NULL
                                              : "the signer has too much to do";
}

static void drop_if_idle(struct swki_signer_load *load,
                         struct swki_signer_caller *caller)
{
    if (caller->load.jobs == 0) {
        swki_list_remove(&caller->link);
        swki_free(load->alloc, caller);
    }
}

const char *swki_signer_load_take(struct swki_signer_load *load,
                                  const struct swki_rpc_call_info *info,
                                  size_t bytes,
                                  struct swki_signer_caller **out_caller)
{
    struct swki_signer_caller *caller = find_caller(load, info);
    const char *why =
        caller == NULL ? "no memory" : too_much(load, caller, bytes);

    if (why != NULL) {
        if (caller != NULL) {
            drop_if_idle(load, caller);
        }
        return why;
    }
    caller->load.jobs++;
    caller->load.bytes += bytes;
    load->all.jobs++;
    load->all.bytes += bytes;
    *out_caller = caller;
    return NULL;
}

void swki_signer_load_release(struct swki_signer_load *load,
                              struct swki_signer_caller *caller, size_t bytes)
{
    caller->load.jobs--;
    caller->load.bytes -= bytes;
    load->all.jobs--;
    load->all.bytes -= bytes;
    drop_if_idle(load, caller);
}

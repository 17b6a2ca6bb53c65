/* SPDX-License-Identifier: Apache-2.0 */

/* What the raft core costs: three members in one thread, without disk or
 * network. One figure a line. */

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/raft/configuration.h"
#include "lib/heap.h"
#include "lib/raft_direct.h"

enum {
    DATA_LEN = 256,
    WARM_UP = 200000, /* until all memory that is needed is there */
    MESSAGES = 2000000,
};

/* Seconds of processor time, so that a busy machine matters less. */
static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void require(int ok)
{
    if (!ok) {
        abort();
    }
}

/* Proposals in batches, each of which is applied everywhere before the next. */
static void run(struct direct *d, unsigned proposals, unsigned batch)
{
    static const uint8_t data[DATA_LEN];
    uint64_t index = 0;

    for (unsigned done = 0; done < proposals; done += batch) {
        for (unsigned i = 0; i < batch; i++) {
            require(direct_propose(d, data, sizeof(data), &index) == 0);
        }
        direct_settle(d);
    }
    require(d->rc == 0 && direct_all_applied(d, index));
}

static void bench_commits(unsigned proposals, unsigned batch)
{
    const struct swk_raft_config config = {.size = sizeof(config)};
    struct swk_raft_config counted = config;
    struct heap heap;
    struct direct d;

    heap_init(&heap);
    counted.alloc = &heap.alloc;
    require(direct_found(&d, 3, &counted) == 0);
    for (int i = 0; i < 100 && direct_leader(&d) == NULL; i++) {
        direct_tick(&d);
    }
    require(direct_leader(&d) != NULL);
    run(&d, WARM_UP, batch);

    size_t calls = heap.calls;
    uint64_t messages = d.messages;
    double start = now();
    run(&d, proposals, batch);
    double seconds = now() - start;

    printf("raft 3 members, batch %u: %.0f commits/s\n", batch,
           proposals / seconds);
    printf("raft 3 members, batch %u: %.4f allocations/commit\n", batch,
           (double)(heap.calls - calls) / proposals);
    printf("raft 3 members, batch %u: %.2f messages/commit\n", batch,
           (double)(d.messages - messages) / proposals);
    direct_free(&d);
}

/* Encoding and decoding of an append with so many entries. */
static void bench_codec(unsigned entries_count)
{
    static struct swk_log_entry entries[64];
    static uint8_t data[DATA_LEN];
    static uint8_t bytes[64 * (DATA_LEN + 64)];
    struct swk_raft_message message = {
        .type = SWK_RAFT_MSG_APP,
        .to = 2,
        .from = 1,
        .term = 7,
        .log_term = 7,
        .index = 1000000,
        .commit = 1000000,
        .entries = entries,
        .entries_count = entries_count,
    };
    unsigned rounds = MESSAGES / entries_count;
    swk_raft_decoder *decoder;
    size_t len = 0;

    for (unsigned i = 0; i < entries_count; i++) {
        entries[i] = (struct swk_log_entry){.index = 1000001 + i,
                                            .term = 7,
                                            .data = data,
                                            .data_len = sizeof(data)};
    }
    require(swk_raft_decoder_new(NULL, &decoder) == 0);
    double start = now();
    for (unsigned i = 0; i < rounds; i++) {
        require(swk_raft_message_size(&message) <= sizeof(bytes));
        len = swk_raft_message_encode(&message, bytes);
    }
    double encoded = now();
    for (unsigned i = 0; i < rounds; i++) {
        struct swk_raft_message read;

        require(swk_raft_message_decode(decoder, bytes, len, &read, NULL) ==
                0);
    }
    double decoded = now();
    printf("raft message of %u entries, encode: %.0f ns\n", entries_count,
           (encoded - start) * 1e9 / rounds);
    printf("raft message of %u entries, decode: %.0f ns\n", entries_count,
           (decoded - encoded) * 1e9 / rounds);
    swk_raft_decoder_free(decoder);
}

/* How far a quorum of so many voters is (R-QUO-4: below 100 ns for 5). */
static void bench_quorum(size_t voters_count)
{
    static const uint64_t ids[] = {1, 2, 3, 4, 5, 6, 7};
    const struct swk_conf_state lists = {.voters = ids,
                                         .voters_count = voters_count};
    struct swki_raft_configuration c;
    struct swki_raft_configuration next;
    uint64_t sum = 0;

    swki_raft_configuration_init(&c, NULL, 1, 0);
    require(swki_raft_configuration_prepare_restored(&c, &lists, 1, &next) ==
            SWKI_RAFT_CHANGE_OK);
    swki_raft_configuration_replace(&c, &next);
    double start = now();
    for (unsigned i = 0; i < MESSAGES; i++) {
        c.peers[i % voters_count].match = i;
        sum += swki_raft_configuration_matched(&c);
    }
    printf("raft commit index of %zu voters: %.0f ns\n", voters_count,
           (now() - start) * 1e9 / MESSAGES);
    require(sum > 0);
    swki_raft_configuration_fini(&c);
}

int main(void)
{
    bench_commits(1000000, 1);
    bench_commits(6400000, 64);
    bench_codec(1);
    bench_codec(64);
    bench_quorum(5);
    return 0;
}

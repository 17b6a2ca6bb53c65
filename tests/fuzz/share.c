/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A share of a fuzz target without a fuzzer: inputs of any bytes, from a seed,
 * a number of times.
 *
 *     fuzz-NAME-share RUNS SEED NAME-OF-THE-TEST
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

enum {
    SIZE_MAX_OF_INPUTS = 4000,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc, char **argv)
{
    uint64_t runs = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;

    for (uint64_t i = 0; i < runs; i++) {
        struct swki_rng rng;
        size_t len;
        uint8_t *data; /* of just this size: what is read behind it shows */

        swki_rng_init(&rng, seed + i);
        len = (size_t)swki_rng_below(&rng, SIZE_MAX_OF_INPUTS);
        data = malloc(len + (len == 0));
        if (data == NULL) {
            abort();
        }
        for (size_t at = 0; at < len; at++) {
            data[at] = (uint8_t)swki_rng_next(&rng);
        }
        (void)LLVMFuzzerTestOneInput(data, len);
        free(data);
    }
    if (argc > 3) {
        printf("[       OK ] %s\n", argv[3]);
    }
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */

/* Memory that is wiped when it is released: what comes back to the source of
 * the memory holds nothing of what was in it. */

#include "lib/cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include <swarmkit/posix.h>

#include "base/alloc.h"
#include "runtime/posix/wiping_alloc.h"

enum {
    SLACK = 24, /* bytes of room beyond what was asked for */
};

/* A source that looks at all it gets back. */
struct source {
    struct swki_wiping_source port;
    struct swk_alloc alloc;
    int live;
    int unclean; /* blocks that came back with something in them */
    bool fails;
};

struct block {
    size_t size;
    uint64_t data[];
};

static void *source_alloc(void *ctx, size_t size)
{
    struct source *source = ctx;
    struct block *block =
        source->fails ? NULL : malloc(sizeof(*block) + size + SLACK);

    if (block == NULL) {
        return NULL;
    }
    block->size = size + SLACK;
    source->live++;
    return block->data;
}

static size_t source_size_of(void *ctx, void *ptr)
{
    (void)ctx;
    return ((struct block *)((char *)ptr - sizeof(struct block)))->size;
}

static void source_free(void *ctx, void *ptr)
{
    struct source *source = ctx;
    const unsigned char *bytes = ptr;
    bool clean = true;

    for (size_t i = 0; i < source_size_of(ctx, ptr); i++) {
        clean = clean && bytes[i] == 0;
    }
    source->unclean += !clean;
    source->live--;
    free((char *)ptr - sizeof(struct block));
}

static void source_init(struct source *source)
{
    *source = (struct source){
        .port = {.ctx = source,
                 .alloc = source_alloc,
                 .free = source_free,
                 .size_of = source_size_of},
    };
    source->alloc = swki_wiping_alloc_on(&source->port);
}

static void what_is_released_is_wiped(void **state)
{
    struct source source;
    char *data;

    (void)state;
    source_init(&source);
    data = swki_alloc(&source.alloc, 100);
    assert_non_null(data);
    memset(data, 'x', 100 + SLACK); /* all that there is room for */
    swki_free(&source.alloc, data);
    swki_free(&source.alloc, NULL);
    assert_int_equal(source.live, 0);
    assert_int_equal(source.unclean, 0);
}

static void what_is_moved_leaves_no_copy(void **state)
{
    struct source source;
    char *data = NULL;

    (void)state;
    source_init(&source);
    for (size_t size = 1; size < 5000; size += 97) {
        data = swki_realloc(&source.alloc, data, size, 1);
        assert_non_null(data);
        if (size > 1) {
            assert_int_equal(data[0], 'x');
        }
        memset(data, 'x', size);
    }
    for (size_t size = 4900; size > 10; size /= 2) {
        data = swki_realloc(&source.alloc, data, size, 1);
        assert_non_null(data);
        assert_int_equal(data[size - 1], 'x');
    }
    assert_int_equal(source.live, 1);
    swki_free(&source.alloc, data);
    assert_int_equal(source.live, 0);
    assert_int_equal(source.unclean, 0);
}

static void want_of_memory_leaves_things_as_they_are(void **state)
{
    struct source source;
    char *data;

    (void)state;
    source_init(&source);
    data = swki_alloc(&source.alloc, 10);
    memset(data, 'x', 10);
    source.fails = true;
    assert_null(swki_realloc(&source.alloc, data, 1000, 1));
    assert_null(swki_alloc(&source.alloc, 10));
    assert_int_equal(data[9], 'x');
    swki_free(&source.alloc, data);
    assert_int_equal(source.live, 0);
    assert_int_equal(source.unclean, 0);
}

static void the_public_one_serves_as_malloc_does(void **state)
{
    const struct swk_alloc *alloc = swk_posix_wiping_alloc();
    char *data = swki_calloc(alloc, 100, 10);

    (void)state;
    assert_int_equal(alloc->size, sizeof(*alloc));
    assert_non_null(data);
    memset(data, 'x', 1000);
    data = swki_realloc(alloc, data, 100000, 1);
    assert_non_null(data);
    assert_int_equal(data[999], 'x');
    swki_free(alloc, data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_released_is_wiped),
        cmocka_unit_test(what_is_moved_leaves_no_copy),
        cmocka_unit_test(want_of_memory_leaves_things_as_they_are),
        cmocka_unit_test(the_public_one_serves_as_malloc_does),
    };

    return cmocka_run_group_tests_name("wiping_alloc", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */

#include "faults.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static bool fails(struct faults *faults)
{
    faults->calls++;
    if (faults->calls < faults->fail_at ||
        faults->calls >= faults->fail_at + faults->fail_count) {
        return false;
    }
    faults->failed = true;
    return true;
}

static void *take(void *ctx, size_t size)
{
    struct faults *faults = ctx;
    void *block = fails(faults) ? NULL : malloc(size);

    faults->live += block != NULL ? 1 : 0;
    return block;
}

static void *resize(void *ctx, void *block, size_t size)
{
    struct faults *faults = ctx;

    if (fails(faults)) {
        return NULL;
    }
    void *moved = realloc(block, size);
    faults->live += block == NULL && moved != NULL ? 1 : 0;
    return moved;
}

static void release(void *ctx, void *block)
{
    struct faults *faults = ctx;

    faults->live -= block != NULL ? 1 : 0;
    free(block);
}

bool faults_ahead(const struct faults *faults)
{
    return faults->calls + 1 < faults->fail_at + faults->fail_count;
}

void faults_init(struct faults *faults, uint64_t fail_at, uint64_t fail_count)
{
    *faults = (struct faults){
        .alloc = {.size = sizeof(faults->alloc),
                  .ctx = faults,
                  .alloc = take,
                  .realloc = resize,
                  .free = release},
        .fail_at = fail_at,
        .fail_count = fail_count,
    };
}

void faults_report(struct faults *faults, const char *format, ...)
{
    va_list args;

    if (faults->problem[0] != '\0') {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(faults->problem, sizeof(faults->problem), format, args);
    va_end(args);
}

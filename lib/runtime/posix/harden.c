/* SPDX-License-Identifier: Apache-2.0 */

#include <swarmkit/posix.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/error.h"

/* No kind of memory goes into a dump, whoever makes it. */
static int filter_dumps(void)
{
    int fd = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC);
    ssize_t count = fd >= 0 ? write(fd, "0", 1) : -1;
    int error = errno;

    if (fd >= 0) {
        close(fd);
    }
    return count == 1 ? 0 : error;
}

static int limit_dumps(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_CORE, &limit) != 0) {
        return errno;
    }
    limit.rlim_cur = 0; /* the hard one is for tasks to be given back */
    return setrlimit(RLIMIT_CORE, &limit) == 0 ? 0 : errno;
}

int swk_process_harden(struct swk_error *err)
{
    /* The filter first: afterwards its file may be out of reach. */
    int filter = filter_dumps();
    int limit = limit_dumps();
    int dumpable = prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : errno;

    if (filter != 0) {
        return swki_fail(err, SWK_EIO, "core dumps are not filtered: %s",
                         strerror(filter));
    }
    if (limit != 0 || dumpable != 0) {
        return swki_fail(err, SWK_EIO, "core dumps are not forbidden: %s",
                         strerror(limit != 0 ? limit : dumpable));
    }
    return SWK_OK;
}

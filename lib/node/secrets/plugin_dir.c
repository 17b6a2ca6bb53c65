/* SPDX-License-Identifier: Apache-2.0 */

#include "node/secrets/plugin_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "wire/plugin.h"

/* The name becomes part of a path: it must not lead out of the directory. */
static bool is_name(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    size_t len = strlen(name);

    return len > 0 && len <= SWKI_PLUGIN_NAME_MAX && name[0] != '.' &&
           strspn(name, letters) == len;
}

static bool is_socket(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* Reads a small file; -1 if there is none, or it is none of ours. */
static ssize_t read_small(const char *path, char *buf, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    ssize_t len = -1;

    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        len = read(fd, buf, size);
    }
    if (fd >= 0) {
        close(fd);
    }
    return len;
}

/* Of the address "unix://PATH", with white space behind it or not. */
static int take_address(const char *address, size_t len,
                        char out_path[SWKI_PLUGIN_PATH_SIZE],
                        struct swk_error *err)
{
    static const char scheme[] = "unix://";
    const size_t scheme_len = strlen(scheme);

    while (len > 0 && strchr(" \t\r\n", address[len - 1]) != NULL) {
        len--;
    }
    if (len <= scheme_len || memcmp(address, scheme, scheme_len) != 0 ||
        address[scheme_len] != '/' || memchr(address, '\0', len) != NULL ||
        len - scheme_len >= SWKI_PLUGIN_PATH_SIZE) {
        return swki_fail(err, SWK_EMALFORMED,
                         "the plugin's address is not unix:///PATH");
    }
    memcpy(out_path, address + scheme_len, len - scheme_len);
    out_path[len - scheme_len] = '\0';
    return SWK_OK;
}

static int take_description(const char *text, size_t len,
                            char out_path[SWKI_PLUGIN_PATH_SIZE],
                            struct swk_error *err)
{
    struct swki_buf address;
    int rc;

    swki_buf_init(&address, NULL, SWKI_PLUGIN_SPEC_MAX);
    rc = swki_plugin_read_description(text, len, &address, err);
    if (rc == SWK_OK) {
        rc = take_address((const char *)address.data, address.len - 1, out_path,
                          err);
    }
    swki_buf_fini(&address);
    return rc;
}

/* In the order in which Docker looks. */
int swki_plugin_dir_find(const char *directory, const char *name,
                         char out_path[SWKI_PLUGIN_PATH_SIZE],
                         struct swk_error *err)
{
    char path[PATH_MAX];
    char text[SWKI_PLUGIN_SPEC_MAX];
    ssize_t len;

    if (!is_name(name)) {
        return swki_fail(err, SWK_EINVAL, "not the name of a plugin");
    }
    snprintf(path, sizeof(path), "%s/%s.sock", directory, name);
    if (strlen(path) < SWKI_PLUGIN_PATH_SIZE && is_socket(path)) {
        memcpy(out_path, path, strlen(path) + 1);
        return SWK_OK;
    }
    snprintf(path, sizeof(path), "%s/%s.spec", directory, name);
    len = read_small(path, text, sizeof(text));
    if (len >= 0) {
        return take_address(text, (size_t)len, out_path, err);
    }
    snprintf(path, sizeof(path), "%s/%s.json", directory, name);
    len = read_small(path, text, sizeof(text));
    if (len >= 0) {
        return take_description(text, (size_t)len, out_path, err);
    }
    return swki_fail(err, SWK_ENOTFOUND, "there is no such plugin in %.100s",
                     directory);
}

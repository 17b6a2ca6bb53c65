/* SPDX-License-Identifier: Apache-2.0 */

#include "node/signer/signer_register.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "node/signer/signer_files.h"

static const char file_name[] = "nodes";

enum {
    LINES_SPARE = 4096, /* so that few nodes do not have it written often */
    FILE_MODE = 0600,
};

/* -- Reading ----------------------------------------------------------------
 */

static int fail_line(const struct swki_signer_register *file, size_t line,
                     struct swk_error *err)
{
    return swki_fail(err, SWK_ECORRUPT,
                     "line %zu of %s/%s is damaged: bring the file back, or "
                     "remove it, and the nodes in it are taken for new",
                     line, file->keys->dir, file_name);
}

/* Damage is an end that was not written whole unless something follows. */
static int read_lines(struct swki_signer_register *file, FILE *stream,
                      struct swk_error *err)
{
    char line[SWKI_REGISTER_LINE_MAX + 1];
    struct swki_register_record record;
    size_t damaged = 0;
    size_t count = 0;

    while (fgets(line, sizeof(line), stream) != NULL) {
        size_t len = strcspn(line, "\n");

        count++;
        if (line[len] != '\n' || !swki_register_read_line(line, len, &record)) {
            damaged = damaged != 0 ? damaged : count;
        } else if (damaged != 0) {
            return fail_line(file, damaged, err);
        } else if (!swki_register_put(file->nodes, &record)) {
            return swki_fail_nomem(err);
        }
    }
    file->lines_count = count;
    file->rewrite = damaged != 0;
    return ferror(stream)
               ? swki_fail(err, SWK_EIO, "cannot read %s/%s: %s",
                           file->keys->dir, file_name, strerror(errno))
               : SWK_OK;
}

static int load(struct swki_signer_register *file, struct swk_error *err)
{
    char path[PATH_MAX];
    FILE *stream;
    int rc;

    swki_signer_path(file->keys, file_name, path);
    rc = swki_signer_check_private(path, S_IFREG, err);
    if (rc != 0) {
        return rc == SWK_ENOTFOUND ? SWK_OK : rc;
    }
    stream = fopen(path, "re");
    if (stream == NULL) {
        return swki_fail(err, SWK_EIO, "cannot read %s: %s", path,
                         strerror(errno));
    }
    rc = read_lines(file, stream, err);
    fclose(stream);
    return rc;
}

/* -- Writing ----------------------------------------------------------------
 */

static bool is_long(const struct swki_signer_register *file)
{
    return file->lines_count >
           2 * swki_register_count(file->nodes) + LINES_SPARE;
}

static int open_file(struct swki_signer_register *file, struct swk_error *err)
{
    char path[PATH_MAX];

    swki_signer_path(file->keys, file_name, path);
    return swki_signer_log_open(&file->file, file->keys->alloc,
                                "the register of nodes", path, err);
}

/* The whole register, in place of the file there is. */
static int rewrite(struct swki_signer_register *file, struct swk_error *err)
{
    struct swki_buf text;
    int rc = SWK_OK;

    file->rewrite = true;
    swki_buf_init(&text, file->keys->alloc, SIZE_MAX);
    if (!swki_register_write(file->nodes, &text)) {
        rc = swki_fail_nomem(err);
    }
    if (rc == 0) {
        rc = swki_signer_write_file(file->keys, file_name, &text, err);
    }
    swki_buf_fini(&text);
    if (rc == 0) {
        swki_signer_log_close(&file->file);
        rc = open_file(file, err);
    }
    if (rc == 0) {
        file->lines_count = swki_register_count(file->nodes);
        file->rewrite = false;
    }
    return rc;
}

int swki_signer_register_open(struct swki_signer_register *file,
                              const struct swk_signer_keys *keys,
                              struct swki_register *nodes,
                              struct swk_error *err)
{
    int rc;

    file->keys = keys;
    file->nodes = nodes;
    file->file.fd = -1;
    file->lines_count = 0;
    file->rewrite = false;
    rc = load(file, err);
    if (rc != 0) {
        return rc;
    }
    return file->rewrite || is_long(file) ? rewrite(file, err)
                                          : open_file(file, err);
}

void swki_signer_register_close(struct swki_signer_register *file)
{
    if (file->nodes != NULL) {
        swki_signer_log_close(&file->file);
    }
}

int swki_signer_register_add(struct swki_signer_register *file,
                             const struct swki_register_record *record,
                             swk_wall wall, struct swk_error *err)
{
    struct swki_register_record known;

    if (!swki_register_get(file->nodes, record->node_id, wall, &known) &&
        !swki_register_has_room(file->nodes, wall)) {
        return 1;
    }
    if (!swki_register_put(file->nodes, record) ||
        !swki_register_write_line(record, &file->file.text)) {
        return swki_fail_nomem(err);
    }
    file->lines_count++;
    return SWK_OK;
}

int swki_signer_register_sync(struct swki_signer_register *file,
                              struct swk_error *err)
{
    int rc;

    if (file->file.text.len == 0 && !file->file.text.failed) {
        return SWK_OK;
    }
    if (file->rewrite || is_long(file)) {
        return rewrite(file, err);
    }
    rc = swki_signer_log_sync(&file->file, err);
    file->rewrite = rc != 0;
    return rc;
}

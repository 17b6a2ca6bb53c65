/* SPDX-License-Identifier: Apache-2.0 */

#include "node/audit/audit_log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "node/audit/audit_files.h"
#include "node/audit/audit_sync.h"

#define RETRY_PAUSE SWK_SECOND
#define HEAD_PAUSE SWK_HOUR

enum {
    PATH_SIZE = 4096,
};

struct swki_audit_log {
    struct swki_audit_log_config config;
    char path[PATH_SIZE];
    char node_id[SWK_ID_LEN_MAX + 1];
    char swarm_id[SWK_ID_LEN_MAX + 1];
    struct swki_audit_files files;
    struct swki_audit *audit;
    struct swki_audit_sync sync;
    bool syncing;
    int fd;
    uint64_t file;
    uint64_t size;     /* of the file */
    uint64_t oldest;   /* file that is kept */
    swk_time retry_at; /* after a write that failed; 0: all is well */
    swk_time head_at;  /* the head is told to the logger */
    uint64_t lost;     /* records, as was last complained of */
};

/* -- Writing -------------------------------------------------------------- */

static swk_time now_of(const struct swki_audit_log *log)
{
    return log->config.clock->now(log->config.clock->ctx);
}

static swk_wall wall_of(const struct swki_audit_log *log)
{
    return log->config.clock->wall(log->config.clock->ctx);
}

static int write_pending(struct swki_audit_log *log, struct swk_error *err)
{
    const struct swki_buf *pending = swki_audit_pending(log->audit);
    const struct swki_file_io *io = log->files.io;
    char name[SWKI_AUDIT_NAME_SIZE];
    size_t len = pending->len;
    /* At its own place: what a failed attempt has left is written over. */
    int rc = swki_io_write_all(io, log->fd, pending->data, len, log->size);

    if (rc < 0) {
        swki_audit_file_name(log->file, name);
        return swki_io_fail(err, rc, "write to", log->path, name);
    }
    log->size += len;
    swki_audit_written(log->audit, len);
    return SWK_OK;
}

/* How far the log is written, for the thread that syncs it. */
static void tell_sync(struct swki_audit_log *log)
{
    const struct swki_audit_point point = {
        .link = *swki_audit_head(log->audit),
        .file = log->file,
        .offset = log->size,
    };

    swki_audit_sync_written(&log->sync, log->fd, &point, log->oldest);
}

/* Makes a file, whose first record waits in the machine then. */
static int begin_file(struct swki_audit_log *log, uint64_t number,
                      struct swk_error *err)
{
    const struct swki_file_io *io = log->files.io;
    char name[SWKI_AUDIT_NAME_SIZE];
    int fd;

    swki_audit_file_name(number, name);
    fd = io->create(io->ctx, log->files.dir, name);
    if (fd < 0) {
        return swki_io_fail(err, fd, "make", log->path, name);
    }
    log->fd = fd;
    log->file = number;
    log->size = 0;
    if (log->oldest == 0) {
        log->oldest = number;
    }
    if (number >= log->config.files_max &&
        number - log->config.files_max + 1 > log->oldest) {
        log->oldest = number - log->config.files_max + 1;
    }
    swki_audit_file(log->audit, wall_of(log), number, log->oldest);
    return SWK_OK;
}

/* The thread gets the former file with the first that is written to the new
 * one; while it has too many, the file just grows. */
static int rotate(struct swki_audit_log *log, struct swk_error *err)
{
    int rc;

    if (!swki_audit_sync_has_room(&log->sync)) {
        return SWK_OK;
    }
    rc = begin_file(log, log->file + 1, err);
    if (rc == 0) {
        rc = write_pending(log, err);
    }
    if (rc == 0) {
        tell_sync(log);
    }
    return rc;
}

static void note_failure(struct swki_audit_log *log,
                         const struct swk_error *why)
{
    if (log->retry_at == 0) {
        swki_log(log->config.logger, SWK_LOG_ERROR, "audit",
                 "records wait to be written%s: %s",
                 log->config.required ? ", and changes are refused" : "",
                 why->text);
    }
    log->retry_at = now_of(log) + RETRY_PAUSE;
}

static void note_success(struct swki_audit_log *log)
{
    if (log->retry_at != 0) {
        swki_log(log->config.logger, SWK_LOG_INFO, "audit",
                 "records are written again");
    }
    log->retry_at = 0;
}

static void note_lost(struct swki_audit_log *log)
{
    uint64_t lost = swki_audit_lost(log->audit);

    if (lost > 0 && log->lost == 0) {
        swki_log(log->config.logger, SWK_LOG_ERROR, "audit",
                 "there is no room for further records: they are lost");
    }
    log->lost = lost;
}

static void log_head(const struct swki_audit_log *log, const char *what)
{
    const struct swki_audit_link *head = swki_audit_head(log->audit);
    char hex[SWKI_SHA256_HEX_LEN + 1];

    swki_sha256_hex(head->hash, hex);
    swki_log(log->config.logger, SWK_LOG_INFO, "audit",
             "%s record %" PRIu64 ": %" PRIu64 ":%s", what, head->seq,
             head->seq, hex);
}

static void write_once(struct swki_audit_log *log)
{
    struct swk_error err;
    int rc = write_pending(log, &err);

    if (rc == 0) {
        note_success(log);
        tell_sync(log);
        if (log->size >= log->config.file_size) {
            rc = rotate(log, &err);
        }
    }
    if (rc != 0) {
        note_failure(log, &err);
    }
}

void swki_audit_log_write(struct swki_audit_log *log)
{
    swk_time now;

    note_lost(log);
    if (swki_audit_pending(log->audit)->len == 0) {
        return;
    }
    if (log->retry_at == 0 || now_of(log) >= log->retry_at) {
        write_once(log);
    }
    now = now_of(log);
    if (now >= log->head_at) {
        log->head_at = now + HEAD_PAUSE;
        log_head(log, "the log has come to");
    }
}

bool swki_audit_log_blocks(struct swki_audit_log *log)
{
    return log->config.required &&
           (log->retry_at != 0 || swki_audit_lost(log->audit) > 0 ||
            swki_audit_sync_failed(&log->sync));
}

/* -- Life ----------------------------------------------------------------- */

static int open_files(struct swki_audit_log *log, struct swk_error *err)
{
    const struct swki_file_io *io =
        log->config.io != NULL ? log->config.io : &swki_file_io_posix;
    int rc = io->make_dir(io->ctx, log->path);

    if (rc < 0) {
        return swki_io_fail(err, rc, "make", log->path, "");
    }
    return swki_audit_files_open(&log->files, io, log->path, err);
}

/* What an operator has to know of the log that was found. */
static void log_end(const struct swki_audit_log *log,
                    const struct swki_audit_end *end)
{
    if (end->torn > 0) {
        swki_log(log->config.logger, SWK_LOG_WARN, "audit",
                 "the last record was not finished: %" PRIu64
                 " bytes are cut off",
                 end->torn);
    }
    if (end->before == SWKI_AUDIT_BEFORE_UNSIGNED) {
        swki_log(log->config.logger, SWK_LOG_ERROR, "audit",
                 "%s has no checkpoint that this node has signed, under a root "
                 "that it trusts: verify it",
                 log->path);
    }
    if (end->before == SWKI_AUDIT_BEFORE_ALTERED ||
        end->before == SWKI_AUDIT_BEFORE_TRUNCATED) {
        swki_log(log->config.logger, SWK_LOG_ERROR, "audit",
                 "%s was %s since this node wrote it: verify it", log->path,
                 end->before == SWKI_AUDIT_BEFORE_ALTERED ? "altered"
                                                          : "shortened");
    }
}

/* Goes on where the log ends; the first records wait in the machine then. */
static int go_on(struct swki_audit_log *log, const struct swki_audit_end *end,
                 struct swk_error *err)
{
    const struct swki_audit_start start = {
        .release = SWKI_VERSION,
        .before = end->before,
        .torn = end->torn,
    };
    const struct swki_file_io *io = log->files.io;
    char name[SWKI_AUDIT_NAME_SIZE];
    int rc = SWK_OK;

    if (end->offset == 0) {
        rc = begin_file(log, end->file, err);
    } else {
        swki_audit_file_name(end->file, name);
        log->fd = io->open(io->ctx, log->files.dir, name);
        log->file = end->file;
        log->size = end->offset;
        rc = log->fd < 0 ? swki_io_fail(err, log->fd, "open", log->path, name)
                         : SWK_OK;
    }
    if (rc == 0) {
        swki_audit_start(log->audit, wall_of(log), &start);
        rc = write_pending(log, err);
    }
    return rc;
}

static int start_sync(struct swki_audit_log *log, struct swk_error *err)
{
    const struct swki_audit_sync_config config = {
        .alloc = log->config.alloc,
        .logger = log->config.logger,
        .clock = log->config.clock,
        .entropy = log->config.entropy,
        .files = log->files,
        .node_id = log->node_id,
        .interval_ns = log->config.sync_ns,
        .checkpoint_ns = log->config.checkpoint_ns,
    };

    int rc = swki_audit_sync_start(&log->sync, &config, err);

    log->syncing = true;
    if (rc == 0 && log->config.key.len > 0) {
        rc = swki_audit_sync_set_key(&log->sync, log->config.key,
                                     log->config.certificate, err);
    }
    return rc;
}

/* A log that has nothing yet is signed as such: from its first record on a
 * checkpoint that is missing was removed. */
static int sign_nothing(struct swki_audit_log *log, struct swk_error *err)
{
    struct swki_audit_checkpoint checkpoint = {
        .file = 1,
        .time = wall_of(log),
    };
    struct swk_error why;
    struct swki_buf text;
    int rc;

    snprintf(checkpoint.node_id, sizeof(checkpoint.node_id), "%s",
             log->node_id);
    swki_buf_init(&text, log->config.alloc, SIZE_MAX);
    rc = swki_audit_signature_make(&checkpoint, log->config.key,
                                   log->config.certificate, log->config.entropy,
                                   &text, &why);
    if (rc == 0) {
        rc = swki_audit_files_replace_checkpoint(&log->files, text.data,
                                                 text.len, err);
    } else {
        swki_log(log->config.logger, SWK_LOG_WARN, "audit",
                 "nothing is signed yet: %s", why.text);
        rc = SWK_OK;
    }
    swki_buf_fini(&text);
    return rc;
}

static int set_up(struct swki_audit_log *log, struct swk_error *err)
{
    struct swki_audit_config config = {
        .alloc = log->config.alloc,
        .level = log->config.level,
        .node_id = log->node_id,
        .swarm_id = log->swarm_id,
    };
    const struct swki_audit_signer self = {
        .roots = log->config.roots,
        .node_id = log->node_id,
        .swarm_id = log->swarm_id,
    };
    struct swki_audit_end end = {0};
    int rc = open_files(log, err);

    if (rc == 0) {
        rc = swki_audit_files_find_end(&log->files, &self, log->config.alloc,
                                       &end, err);
    }
    if (rc == 0 && log->files.last == 0 && !end.has_checkpoint &&
        log->config.key.len > 0) {
        rc = sign_nothing(log, err);
    }
    if (rc == 0) {
        config.last = end.last;
        config.recorded_index = end.recorded_index;
        rc = swki_audit_new(&config, &log->audit, err);
    }
    if (rc == 0) {
        log->oldest = end.oldest;
        log_end(log, &end);
        rc = go_on(log, &end, err);
    }
    if (rc == 0) {
        rc = start_sync(log, err);
    }
    if (rc == 0) {
        tell_sync(log);
    }
    return rc;
}

static void set_defaults(struct swki_audit_log_config *config)
{
    if (config->file_size == 0) {
        config->file_size = SWKI_AUDIT_LOG_FILE_SIZE;
    }
    if (config->files_max == 0) {
        config->files_max = SWKI_AUDIT_LOG_FILES_MAX;
    }
    if (config->sync_ns == 0) {
        config->sync_ns = SWKI_AUDIT_LOG_SYNC;
    }
    if (config->checkpoint_ns == 0) {
        config->checkpoint_ns = SWKI_AUDIT_LOG_CHECKPOINT;
    }
}

static void free_log(struct swki_audit_log *log)
{
    if (log->syncing) {
        swki_audit_sync_stop(&log->sync);
    }
    if (log->fd >= 0 && (!log->syncing || log->fd != log->sync.fd)) {
        log->files.io->close(log->files.io->ctx, log->fd);
    }
    if (log->files.io != NULL) {
        swki_audit_files_close(&log->files);
    }
    swki_audit_free(log->audit);
    swki_free(log->config.alloc, log);
}

int swki_audit_log_open(const struct swki_audit_log_config *config,
                        struct swki_audit_log **out_log, struct swk_error *err)
{
    struct swki_audit_log *log = swki_calloc(config->alloc, 1, sizeof(*log));
    int rc;

    if (log == NULL) {
        return swki_fail_nomem(err);
    }
    log->config = *config;
    log->fd = -1;
    log->files.dir = -1;
    set_defaults(&log->config);
    snprintf(log->path, sizeof(log->path), "%s", config->dir);
    snprintf(log->node_id, sizeof(log->node_id), "%s", config->node_id);
    snprintf(log->swarm_id, sizeof(log->swarm_id), "%s", config->swarm_id);
    rc = set_up(log, err);
    log->config.key = (struct swki_pem){0};
    log->config.certificate = (struct swki_pem){0};
    log->config.roots = (struct swki_pem){0};
    if (rc != 0) {
        swki_error_prefix(err, "audit log");
        free_log(log);
        return rc;
    }
    log->head_at = now_of(log) + HEAD_PAUSE;
    *out_log = log;
    return SWK_OK;
}

void swki_audit_log_close(struct swki_audit_log *log)
{
    if (log == NULL) {
        return;
    }
    swki_audit_stop(log->audit, wall_of(log));
    log->retry_at = 0;
    write_once(log);
    if (swki_audit_pending(log->audit)->len == 0) {
        log_head(log, "the log ends at");
    } else {
        swki_log(log->config.logger, SWK_LOG_ERROR, "audit",
                 "the manager stops, and %zu bytes of records are lost",
                 swki_audit_pending(log->audit)->len);
    }
    free_log(log);
}

struct swki_audit *swki_audit_log_machine(struct swki_audit_log *log)
{
    return log->audit;
}

int swki_audit_log_set_key(struct swki_audit_log *log, struct swki_pem key,
                           struct swki_pem certificate, struct swk_error *err)
{
    return swki_audit_sync_set_key(&log->sync, key, certificate, err);
}

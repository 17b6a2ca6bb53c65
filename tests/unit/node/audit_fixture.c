/* SPDX-License-Identifier: Apache-2.0 */

#include "audit_fixture.h"

#include "lib/cmocka_all.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <swarmkit/posix.h>

static swk_time now(void *ctx)
{
    const struct f *f = ctx;

    return f->now;
}

static swk_wall wall(void *ctx)
{
    const struct f *f = ctx;

    return f->wall;
}

static int sync_nothing(void *ctx, int fd)
{
    (void)ctx;
    (void)fd;
    return 0;
}

int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    directory_init(&f->dir);
    snprintf(f->audit, sizeof(f->audit), "%s/audit", f->dir.path);
    snprintf(f->roots, sizeof(f->roots), "%s/roots", f->dir.path);
    pki_init(&f->pki, 5);
    pki_node_init(&f->pki, &f->node, "manager1", SWKI_ROLE_MANAGER);
    directory_put(&f->dir, ".", "roots", f->pki.root.data, f->pki.root.len);
    f->trusted = &f->pki.root;
    f->now = SWK_SECOND;
    f->wall = PKI_NOW;
    f->clock = (struct swk_clock){
        .size = sizeof(f->clock), .ctx = f, .now = now, .wall = wall};
    f->io = swki_file_io_posix;
    f->io.sync = sync_nothing;
    f->io.sync_dir = sync_nothing;
    f->config = (struct swki_audit_log_config){
        .io = &f->io,
        .clock = &f->clock,
        .entropy = swk_posix_entropy(),
        .dir = f->audit,
        .node_id = "manager1",
        .swarm_id = PKI_SWARM,
        .sync_ns = SWK_MILLISECOND,
    };
    *state = f;
    return 0;
}

int tear_down(void **state)
{
    struct f *f = *state;

    swki_audit_log_close(f->log);
    pki_node_fini(&f->node);
    pki_fini(&f->pki);
    directory_fini(&f->dir);
    free(f);
    return 0;
}

void open_log(struct f *f)
{
    f->config.key = swki_pem_of_buf(&f->node.key);
    f->config.certificate = swki_pem_of_buf(&f->node.chain);
    f->config.roots = swki_pem_of_buf(f->trusted);
    assert_int_equal(swki_audit_log_open(&f->config, &f->log, NULL), 0);
}

void close_log(struct f *f)
{
    swki_audit_log_close(f->log);
    f->log = NULL;
}

void add(struct f *f, int count)
{
    for (int i = 0; i < count; i++) {
        swki_audit_leads(swki_audit_log_machine(f->log),
                         f->wall + i * 10 * (swk_wall)SWK_SECOND, (uint64_t)i);
        swki_audit_log_write(f->log);
    }
}

void make_log(struct f *f, int count)
{
    open_log(f);
    add(f, count);
    close_log(f);
}

static int take_type(void *ctx, const struct swk_audit_record *record)
{
    struct f *f = ctx;
    size_t used = strlen(f->types);
    char before[20];
    char type[20];

    swk_audit_record_text(record, "type", type, sizeof(type));
    swk_audit_record_text(record, "before", before, sizeof(before));
    snprintf(f->types + used, sizeof(f->types) - used, "%s%s%s ", type,
             before[0] != '\0' ? "=" : "", before);
    return 0;
}

int verify(struct f *f)
{
    struct swk_audit_options options = SWK_AUDIT_OPTIONS_INIT;

    f->types[0] = '\0';
    options.dir = f->audit;
    options.roots_file = f->roots;
    options.node_id = "manager1";
    options.ctx = f;
    options.record = take_type;
    f->report.size = sizeof(f->report);
    assert_int_equal(swk_audit_verify(&options, &f->report, NULL), 0);
    return f->report.finding;
}

void assert_finding(struct f *f, int finding)
{
    if (verify(f) != finding) {
        fail_msg("found %s in %s, line %d, record %d: %s",
                 swk_audit_finding_name(f->report.finding), f->report.file,
                 (int)f->report.line, (int)f->report.seq, f->report.text);
    }
}

/* -- Files by hand -------------------------------------------------------- */

const char *path_of(struct f *f, const char *name)
{
    static char path[160];

    snprintf(path, sizeof(path), "%s/%s", f->audit, name);
    return path;
}

size_t load(struct f *f, const char *name)
{
    FILE *file = fopen(path_of(f, name), "r");
    size_t len;

    assert_non_null(file);
    len = fread(f->text, 1, sizeof(f->text) - 1, file);
    f->text[len] = '\0';
    fclose(file);
    return len;
}

void load_end(struct f *f)
{
    FILE *file = fopen(path_of(f, FIRST_FILE), "r");
    size_t len;

    assert_non_null(file);
    assert_int_equal(fseek(file, -(long)sizeof(f->text) + 1, SEEK_END), 0);
    len = fread(f->text, 1, sizeof(f->text) - 1, file);
    f->text[len] = '\0';
    fclose(file);
}

void store(struct f *f, const char *name, const char *text, size_t len)
{
    FILE *file = fopen(path_of(f, name), "w");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    fclose(file);
}

char *line_at(struct f *f, int line)
{
    char *at = f->text;

    while (--line > 0) {
        at = strchr(at, '\n') + 1;
    }
    return at;
}

void shell(const char *format, ...)
{
    char command[800];
    va_list args;

    va_start(args, format);
    vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    assert_int_equal(system(command), 0);
}

void leave_as_crashed(struct f *f)
{
    shell("mkdir %s.copy && cp %s/audit-* %s/checkpoint %s.copy", f->audit,
          f->audit, f->audit, f->audit);
    close_log(f);
    shell("rm -r %s && mv %s.copy %s", f->audit, f->audit, f->audit);
}

void sign(struct f *f, const struct pki_node *node,
          const struct swki_audit_checkpoint *checkpoint)
{
    uint8_t signature[SWKI_SIGNATURE_SIZE_MAX];
    uint8_t digest[SWKI_SHA256_SIZE];
    struct swki_buf text;
    size_t len;

    swki_buf_init(&text, NULL, SIZE_MAX);
    assert_true(swki_audit_checkpoint_body(checkpoint, &text));
    assert_true(swki_audit_checkpoint_digest(text.data, text.len, digest));
    assert_int_equal(swki_key_sign_digest(swki_pem_of_buf(&node->key), digest,
                                          f->config.entropy, signature, &len,
                                          NULL),
                     0);
    assert_true(swki_audit_checkpoint_sign(signature, len, node->chain.data,
                                           node->chain.len, &text));
    store(f, "checkpoint", (const char *)text.data, text.len);
    swki_buf_fini(&text);
}

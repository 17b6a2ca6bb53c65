/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What no tool of the swarm would do: makes certificates of any authority for
 * anybody, and calls as whoever they say.
 *
 *     attacker methods
 *     attacker root PREFIX
 *     attacker issue CA-CERT CA-KEY NODE SWARM ROLE BEGIN LENGTH PREFIX
 *     attacker csr PREFIX
 *     attacker talk ADDRESS ROOTS [CHAIN KEY]
 *
 * BEGIN (from now) and LENGTH are seconds; PREFIX.crt, PREFIX.key and
 * PREFIX.csr are written. How to talk is in talk.c.
 */

#include "attacker.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <swarmkit/posix.h>

#include "crypto/x509.h"
#include "wire/methods.h"

void die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(2);
}

void read_file(const char *path, struct swki_buf *out_text)
{
    FILE *file = fopen(path, "rb");
    char chunk[4096];
    size_t len;

    if (file == NULL) {
        die("cannot read %s", path);
    }
    while ((len = fread(chunk, 1, sizeof(chunk), file)) > 0) {
        swki_buf_append(out_text, chunk, len);
    }
    fclose(file);
    swki_buf_append_byte(out_text, 0);
    if (out_text->failed) {
        die("out of memory");
    }
    out_text->len--;
}

static void write_file(const char *prefix, const char *suffix,
                       const struct swki_buf *text)
{
    char path[512];
    FILE *file;

    snprintf(path, sizeof(path), "%s.%s", prefix, suffix);
    file = fopen(path, "wb");
    if (file == NULL || fwrite(text->data, 1, text->len, file) != text->len ||
        fclose(file) != 0) {
        die("cannot write %s", path);
    }
}

void print_methods(void)
{
    const struct swki_method *method;

    for (uint32_t i = 1; (method = swki_method_by_number(i)) != NULL; i++) {
        printf("%s\t%d\t%u\t%d\t%d\t%u\n", method->path, (int)method->kind,
               method->roles, (int)method->remote, (int)method->local,
               method->flags);
    }
}

static void check(int rc, const struct swk_error *err)
{
    if (rc != 0) {
        die("%s", err->text);
    }
}

static int make_root(const char *prefix)
{
    const struct swk_clock *clock = swk_posix_clock();
    struct swk_error err = {0};
    struct swki_buf key;
    struct swki_buf root;

    swki_buf_init(&key, NULL, SIZE_MAX);
    swki_buf_init(&root, NULL, SIZE_MAX);
    check(swki_key_generate(swk_posix_entropy(), &key, &err), &err);
    check(swki_root_create(swki_pem_of_buf(&key), clock->wall(clock->ctx),
                           swk_posix_entropy(), &root, &err),
          &err);
    write_file(prefix, "key", &key);
    write_file(prefix, "crt", &root);
    swki_buf_fini(&key);
    swki_buf_fini(&root);
    return 0;
}

/* A new key, written, and a request for it. */
static void make_request(const char *prefix, struct swki_buf *out_csr)
{
    struct swk_error err = {0};
    struct swki_buf key;

    swki_buf_init(&key, NULL, SIZE_MAX);
    swki_buf_init(out_csr, NULL, SIZE_MAX);
    check(swki_key_generate(swk_posix_entropy(), &key, &err), &err);
    check(swki_csr_create(swki_pem_of_buf(&key), "whoever", swk_posix_entropy(),
                          out_csr, &err),
          &err);
    write_file(prefix, "key", &key);
    swki_buf_fini(&key);
}

static int make_csr(const char *prefix)
{
    struct swki_buf csr;

    make_request(prefix, &csr);
    write_file(prefix, "csr", &csr);
    swki_buf_fini(&csr);
    return 0;
}

static int issue(char **argv)
{
    const struct swk_clock *clock = swk_posix_clock();
    const struct swki_leaf leaf = {
        .node_id = argv[2],
        .swarm_id = argv[3],
        .role = strcmp(argv[4], SWKI_OU_MANAGER) == 0 ? SWKI_ROLE_MANAGER
                                                      : SWKI_ROLE_WORKER,
        .now = clock->wall(clock->ctx) +
               (swk_wall)atoll(argv[5]) * (swk_wall)SWK_SECOND,
        .validity_ns = strtoull(argv[6], NULL, 10) * SWK_SECOND,
    };
    struct swki_signer *signer;
    struct swk_error err = {0};
    struct swki_buf texts[4];

    for (int i = 0; i < 4; i++) {
        swki_buf_init(&texts[i], NULL, SIZE_MAX);
    }
    read_file(argv[0], &texts[0]);
    read_file(argv[1], &texts[1]);

    const struct swki_signer_config config = {
        .certificate = swki_pem_of_buf(&texts[0]),
        .key = swki_pem_of_buf(&texts[1]),
        .entropy = swk_posix_entropy(),
    };
    check(swki_signer_new(NULL, &config, &signer, &err), &err);
    make_request(argv[7], &texts[2]);
    check(swki_signer_issue(signer, swki_pem_of_buf(&texts[2]), &leaf,
                            &texts[3], &err),
          &err);
    write_file(argv[7], "crt", &texts[3]);
    swki_signer_free(signer);
    for (int i = 0; i < 4; i++) {
        swki_buf_fini(&texts[i]);
    }
    return 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";

    if (argc == 2 && strcmp(what, "methods") == 0) {
        print_methods();
        return 0;
    }
    if (argc == 3 && strcmp(what, "root") == 0) {
        return make_root(argv[2]);
    }
    if (argc == 3 && strcmp(what, "csr") == 0) {
        return make_csr(argv[2]);
    }
    if (argc == 10 && strcmp(what, "issue") == 0) {
        return issue(argv + 2);
    }
    if (strcmp(what, "talk") == 0) {
        return talk(argc - 2, argv + 2);
    }
    die("usage: see the top of attacker.c");
}

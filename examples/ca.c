/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A certificate authority for somebody else's cluster, in a directory.
 *
 *     ca init DIR SWARM              a new authority
 *     ca token DIR ROLE              what admits a node; ROLE: worker, manager
 *     ca roots DIR                   what nodes trust
 *     ca key                         a node's private key
 *     ca request KEY                 a request for its certificate
 *     ca issue DIR TOKEN NODE CSR    a certificate for whoever has the token
 *     ca renew DIR CHAIN CSR         another for the node of that chain
 *     ca rotate DIR begin|finish|abort
 *     ca rotated DIR CHAIN           whether that node has renewed since
 *     ca verify ROOTS CHAIN          as nodes verify each other
 *
 * Results go to the standard output. DIR/state holds the private key in clear
 * and is readable by its owner alone; a real authority would seal it.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <swarmkit/ca.h>
#include <swarmkit/posix.h>

enum {
    FILE_LEN_MAX = 256 * 1024,
    PATH_SIZE = 4096,
};

/* -- Files ----------------------------------------------------------------- */

static void die(const char *what, const char *why)
{
    fprintf(stderr, "ca: %s: %s\n", what, why);
    exit(1);
}

/* The content with a NUL behind it; free() it. */
static char *read_file(const char *path, size_t *out_len)
{
    FILE *file = fopen(path, "rb");
    char *data = malloc(FILE_LEN_MAX + 1);

    if (file == NULL || data == NULL) {
        die(path, strerror(errno));
    }
    *out_len = fread(data, 1, FILE_LEN_MAX, file);
    if (ferror(file) != 0) {
        die(path, strerror(errno));
    }
    fclose(file);
    data[*out_len] = '\0';
    return data;
}

static char *read_text(const char *path)
{
    size_t len;

    return read_file(path, &len);
}

/* Replaces the file as a whole, or not at all. */
static void write_file(const char *path, const void *data, size_t len)
{
    char fresh[PATH_SIZE];
    int fd;

    snprintf(fresh, sizeof(fresh), "%s.new", path);
    fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, data, len) != (ssize_t)len || fsync(fd) != 0 ||
        close(fd) != 0 || rename(fresh, path) != 0) {
        die(path, strerror(errno));
    }
}

static const char *in_dir(const char *dir, const char *name)
{
    static char path[PATH_SIZE];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

/* -- The authority --------------------------------------------------------- */

static swk_wall now(void)
{
    const struct swk_clock *clock = swk_posix_clock();

    return clock->wall(clock->ctx);
}

static swk_ca *open_ca(const char *dir)
{
    struct swk_ca_config config = SWK_CA_CONFIG_INIT;
    struct swk_error err;
    swk_ca *ca;
    size_t len;
    char *swarm = read_text(in_dir(dir, "swarm"));
    char *state = read_file(in_dir(dir, "state"), &len);

    config.swarm_id = swarm;
    config.entropy = swk_posix_entropy();
    if (swk_ca_load(&config, state, len, &ca, &err) != 0) {
        die(dir, err.text);
    }
    explicit_bzero(state, len);
    free(state);
    free(swarm);
    return ca;
}

/* Whatever changed is on the disk before anything leaves this program. */
static void keep(const char *dir, const swk_ca *ca)
{
    struct swk_error err;
    uint8_t *state;
    size_t len;

    if (swk_ca_save(ca, &state, &len, &err) != 0) {
        die(dir, err.text);
    }
    write_file(in_dir(dir, "state"), state, len);
    swk_ca_state_free(state, len);
}

static int32_t role_of(const char *name)
{
    if (strcmp(name, "manager") == 0) {
        return SWK_NODE_MANAGER;
    }
    if (strcmp(name, "worker") != 0) {
        die(name, "the role is worker or manager");
    }
    return SWK_NODE_WORKER;
}

static const char *role_name(int32_t role)
{
    return role == SWK_NODE_MANAGER ? "manager" : "worker";
}

/* -- Commands -------------------------------------------------------------- */

static int init(char **args)
{
    struct swk_ca_config config = SWK_CA_CONFIG_INIT;
    struct swk_error err;
    swk_ca *ca;

    config.swarm_id = args[1];
    config.entropy = swk_posix_entropy();
    if (swk_ca_new(&config, now(), &ca, &err) != 0) {
        die(args[1], err.text);
    }
    if (mkdir(args[0], 0700) != 0) {
        die(args[0], strerror(errno));
    }
    write_file(in_dir(args[0], "swarm"), args[1], strlen(args[1]));
    keep(args[0], ca);
    swk_ca_free(ca);
    return 0;
}

static int token(char **args)
{
    swk_ca *ca = open_ca(args[0]);

    puts(swk_ca_token(ca, role_of(args[1])));
    swk_ca_free(ca);
    return 0;
}

static int roots(char **args)
{
    swk_ca *ca = open_ca(args[0]);

    fputs(swk_ca_roots(ca), stdout);
    swk_ca_free(ca);
    return 0;
}

static int key(char **args)
{
    struct swk_error err;
    char *text;

    (void)args;
    if (swk_ca_key_new(swk_posix_entropy(), &text, &err) != 0) {
        die("key", err.text);
    }
    fputs(text, stdout);
    swk_ca_text_free(text);
    return 0;
}

static int request(char **args)
{
    char *secret = read_text(args[0]);
    struct swk_error err;
    char *csr;

    if (swk_ca_csr_new(secret, swk_posix_entropy(), &csr, &err) != 0) {
        die(args[0], err.text);
    }
    fputs(csr, stdout);
    swk_ca_text_free(csr);
    explicit_bzero(secret, strlen(secret));
    free(secret);
    return 0;
}

static int issue(char **args)
{
    struct swk_ca_request wanted = SWK_CA_REQUEST_INIT;
    swk_ca *ca = open_ca(args[0]);
    char *csr = read_text(args[3]);
    struct swk_error err;
    char *chain;

    wanted.role = swk_ca_token_role(ca, args[1]);
    if (wanted.role == 0) {
        die(args[2], "the token admits nobody");
    }
    wanted.node_id = args[2];
    wanted.csr = csr;
    wanted.now = now();
    if (swk_ca_issue(ca, &wanted, &chain, &err) != 0) {
        die(args[2], err.text);
    }
    fputs(chain, stdout);
    swk_ca_text_free(chain);
    swk_ca_free(ca);
    free(csr);
    return 0;
}

static int renew(char **args)
{
    struct swk_ca_request wanted = SWK_CA_REQUEST_INIT;
    swk_ca *ca = open_ca(args[0]);
    char *old = read_text(args[1]);
    char *csr = read_text(args[2]);
    struct swk_error err;
    char *chain;

    wanted.chain = old;
    wanted.csr = csr;
    wanted.now = now();
    if (swk_ca_renew(ca, &wanted, &chain, &err) != 0) {
        die(args[1], err.text);
    }
    fputs(chain, stdout);
    swk_ca_text_free(chain);
    swk_ca_free(ca);
    free(csr);
    free(old);
    return 0;
}

static int rotate(char **args)
{
    swk_ca *ca = open_ca(args[0]);
    struct swk_error err;
    int rc;

    if (strcmp(args[1], "begin") == 0) {
        rc = swk_ca_begin_rotation(ca, NULL, NULL, now(), &err);
    } else if (strcmp(args[1], "finish") == 0) {
        rc = swk_ca_finish_rotation(ca, &err);
    } else if (strcmp(args[1], "abort") == 0) {
        rc = swk_ca_abort_rotation(ca, &err);
    } else {
        die(args[1], "the step is begin, finish or abort");
        return 1;
    }
    if (rc != 0) {
        die(args[1], err.text);
    }
    keep(args[0], ca);
    swk_ca_free(ca);
    return 0;
}

static int rotated(char **args)
{
    swk_ca *ca = open_ca(args[0]);
    char *chain = read_text(args[1]);
    int yes = swk_ca_is_rotated(ca, chain, now());

    puts(yes ? "yes" : "no");
    swk_ca_free(ca);
    free(chain);
    return yes ? 0 : 1;
}

static int verify(char **args)
{
    struct swk_ca_certificate certificate;
    char *trusted = read_text(args[0]);
    char *chain = read_text(args[1]);
    struct swk_error err;

    if (swk_ca_verify(chain, trusted, now(), &certificate, &err) != 0) {
        die(args[1], err.text);
    }
    printf("%s %s of %s\n", role_name(certificate.identity.role),
           certificate.identity.node_id, certificate.identity.swarm_id);
    free(chain);
    free(trusted);
    return 0;
}

static const struct command {
    const char *name;
    int args_count;
    int (*run)(char **args);
    const char *usage;
} commands[] = {
    {"init", 2, init, "DIR SWARM"},
    {"token", 2, token, "DIR worker|manager"},
    {"roots", 1, roots, "DIR"},
    {"key", 0, key, ""},
    {"request", 1, request, "KEY"},
    {"issue", 4, issue, "DIR TOKEN NODE CSR"},
    {"renew", 3, renew, "DIR CHAIN CSR"},
    {"rotate", 2, rotate, "DIR begin|finish|abort"},
    {"rotated", 2, rotated, "DIR CHAIN"},
    {"verify", 2, verify, "ROOTS CHAIN"},
};

int main(int argc, char **argv)
{
    size_t count = sizeof(commands) / sizeof(commands[0]);

    for (size_t i = 0; argc > 1 && i < count; i++) {
        if (strcmp(argv[1], commands[i].name) == 0 &&
            argc - 2 == commands[i].args_count) {
            return commands[i].run(argv + 2);
        }
    }
    for (size_t i = 0; i < count; i++) {
        fprintf(stderr, "%s ca %s %s\n", i == 0 ? "usage:" : "      ",
                commands[i].name, commands[i].usage);
    }
    return 2;
}

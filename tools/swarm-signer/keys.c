/* SPDX-License-Identifier: Apache-2.0 */

/* What a person does with the directory of keys. */

#include "signer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <swarmkit/posix.h>

enum {
    FILE_SIZE_MAX = 64 * 1024,
};

static int fail(struct swk_error *err, int code, const char *what,
                const char *which, const char *why)
{
    err->code = code;
    snprintf(err->text, sizeof(err->text), "%s %.120s: %.80s", what, which,
             why);
    return code;
}

/* -- Files ------------------------------------------------------------------
 */

/* "-" is the standard input. */
static int read_file(const char *path, char *buf, size_t size, size_t *out_len,
                     struct swk_error *err)
{
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    ssize_t n = fd < 0 ? -1 : 1;

    while (n > 0 && len < size) {
        n = read(fd, buf + len, size - len);
        len += n > 0 ? (size_t)n : 0;
    }
    if (fd > STDIN_FILENO) {
        close(fd);
    }
    if (n < 0) {
        return fail(err, errno == ENOENT ? SWK_ENOTFOUND : SWK_EIO,
                    "cannot read", path, strerror(errno));
    }
    if (len == size) {
        return fail(err, SWK_ELIMIT, "cannot read", path, "it is too long");
    }
    *out_len = len;
    return 0;
}

static int check_secret_file(const char *path, struct swk_error *err)
{
    struct stat st;

    if (strcmp(path, "-") == 0 || stat(path, &st) != 0 ||
        !S_ISREG(st.st_mode)) {
        return 0; /* what cannot be read says so when it is read */
    }
    return (st.st_mode & (S_IRWXG | S_IRWXO)) == 0
               ? 0
               : fail(err, SWK_EDENIED, "will not use", path,
                      "others can read it (chmod go= it)");
}

int read_password(const char *path, char out_text[PASSWORD_SIZE],
                  struct swk_bytes *out_password, struct swk_error *err)
{
    const char *credentials = getenv("CREDENTIALS_DIRECTORY");
    char usual[PATH_MAX];
    size_t len = 0;
    int rc;

    *out_password = (struct swk_bytes){out_text, 0};
    if (path == NULL && credentials != NULL) {
        snprintf(usual, sizeof(usual), "%s/signer-password", credentials);
        path = access(usual, F_OK) == 0 ? usual : NULL;
    }
    if (path == NULL) {
        return 0;
    }
    rc = check_secret_file(path, err);
    if (rc == 0) {
        rc = read_file(path, out_text, PASSWORD_SIZE, &len, err);
    }
    while (len > 0 &&
           (out_text[len - 1] == '\n' || out_text[len - 1] == '\r')) {
        len--;
    }
    if (rc == 0 && len == 0) {
        return fail(err, SWK_EINVAL, "no password in", path, "it is empty");
    }
    out_password->len = len;
    return rc;
}

int check_state_dir(const struct options *options, struct swk_error *err)
{
    if (access(options->state_dir, F_OK) == 0 || errno != ENOENT) {
        return 0;
    }
    err->code = SWK_ENOTFOUND;
    snprintf(err->text, sizeof(err->text),
             "there is no directory %.120s; make it with \"swarm-signer init\"",
             options->state_dir);
    return err->code;
}

int open_keys(const struct options *options, struct swk_bytes password,
              uint32_t flags, swk_signer_keys **out_keys, struct swk_error *err)
{
    struct swk_signer_keys_config config = SWK_SIGNER_KEYS_CONFIG_INIT;
    int rc;

    config.clock = swk_posix_clock();
    config.entropy = swk_posix_entropy();
    config.dir = options->state_dir;
    config.password = password;
    config.flags = flags;
    rc = (flags & SWK_SIGNER_KEYS_CREATE) != 0 ? 0
                                               : check_state_dir(options, err);
    return rc != 0 ? rc : swk_signer_keys_open(&config, out_keys, err);
}

/* -- Who --------------------------------------------------------------------
 */

/* Files have to be the service's: root works on them as their owner. */
static int become_owner(const struct options *options, struct swk_error *err)
{
    struct identity identity;
    struct stat st;
    int rc;

    if (geteuid() != 0) {
        return 0;
    }
    if (stat(options->state_dir, &st) == 0) {
        identity = (struct identity){st.st_uid, st.st_gid, (gid_t)-1};
        return identity_take(&identity, err);
    }
    if (options->command != COMMAND_INIT || options->user == NULL) {
        return 0;
    }
    rc = identity_find(options->user, NULL, &identity, err);
    if (rc == 0 &&
        (mkdir(options->state_dir, S_IRWXU) != 0 ||
         chown(options->state_dir, identity.uid, identity.gid) != 0)) {
        rc = fail(err, SWK_EIO, "cannot make", options->state_dir,
                  strerror(errno));
    }
    return rc == 0 ? identity_take(&identity, err) : rc;
}

/* -- Commands ---------------------------------------------------------------
 */

static const char *date_text(swk_wall wall, char out_text[32])
{
    time_t seconds = (time_t)(wall / (swk_wall)SWK_SECOND);
    struct tm tm;

    gmtime_r(&seconds, &tm);
    strftime(out_text, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return out_text;
}

static void print_text(const swk_signer_keys *keys)
{
    const char *swarm = swk_signer_keys_swarm_id(keys);
    struct swk_authority one;
    char from[32];
    char to[32];

    printf("Swarm: %s\n", swarm[0] == '\0' ? "none yet" : swarm);
    for (uint32_t i = 0; swk_signer_keys_at(keys, i, &one) == 1; i++) {
        printf("%s  %s to %s  %s%s\n", one.fingerprint,
               date_text(one.not_before, from), date_text(one.not_after, to),
               !one.has_key ? "without key"
               : one.used   ? "used"
                            : "new",
               one.sealed ? ", sealed" : "");
    }
}

static void print_json(const swk_signer_keys *keys)
{
    struct swk_authority one;
    char from[32];
    char to[32];

    printf("{\"swarmId\":\"%s\",\"authorities\":[",
           swk_signer_keys_swarm_id(keys));
    for (uint32_t i = 0; swk_signer_keys_at(keys, i, &one) == 1; i++) {
        printf("%s{\"fingerprint\":\"%s\",\"notBefore\":\"%s\","
               "\"notAfter\":\"%s\",\"used\":%s,\"hasKey\":%s,"
               "\"sealed\":%s}",
               i == 0 ? "" : ",", one.fingerprint,
               date_text(one.not_before, from), date_text(one.not_after, to),
               one.used ? "true" : "false", one.has_key ? "true" : "false",
               one.sealed ? "true" : "false");
    }
    printf("]}\n");
}

static void list(const struct options *options, const swk_signer_keys *keys)
{
    if (options->format != NULL && strcmp(options->format, "json") == 0) {
        print_json(keys);
    } else {
        print_text(keys);
    }
}

/* What is to be taken in: read before root becomes somebody else. */
struct input {
    char text[FILE_SIZE_MAX];
    size_t len;
};

static int read_input(const struct options *options, struct input *input,
                      struct swk_error *err)
{
    size_t more = 0;
    int rc;

    input->len = 0;
    if (options->command == COMMAND_IMPORT ||
        options->command == COMMAND_TRUST) {
        return read_file(options->argument, input->text, sizeof(input->text),
                         &input->len, err);
    }
    if (options->command != COMMAND_INIT || options->certificate_file == NULL) {
        return 0;
    }
    rc = check_secret_file(options->key_file, err);
    if (rc == 0) {
        rc = read_file(options->certificate_file, input->text,
                       sizeof(input->text) / 2, &input->len, err);
    }
    if (rc == 0) {
        input->text[input->len++] = '\n';
        rc = read_file(options->key_file, input->text + input->len,
                       sizeof(input->text) - input->len, &more, err);
        input->len += more;
    }
    return rc;
}

/* So that nobody has to guess which file an error is about. */
static int name_file(int rc, const char *path, struct swk_error *err)
{
    char text[SWK_ERROR_TEXT_SIZE];

    if (strcmp(path, "-") == 0) {
        path = "the standard input";
    }
    if (rc != 0 && strstr(err->text, path) == NULL) {
        snprintf(text, sizeof(text), "%s", err->text);
        snprintf(err->text, sizeof(err->text), "%.110s: %.140s", path, text);
    }
    return rc;
}

static int import(const struct options *options, swk_signer_keys *keys,
                  const struct input *input, struct swk_bytes password,
                  uint32_t flags, struct swk_error *err)
{
    const struct swk_bytes pem = {input->text, input->len};
    const char *path = options->command == COMMAND_INIT ? options->key_file
                                                        : options->argument;
    struct swk_authority one;
    int rc =
        name_file(swk_signer_keys_import(keys, pem, password, flags, &one, err),
                  path, err);

    if (rc == 0) {
        printf("%s\n", one.fingerprint);
    } else if (rc == SWK_EDENIED && password.len == 0 &&
               options->command == COMMAND_IMPORT) {
        size_t used = strlen(err->text);

        snprintf(err->text + used, sizeof(err->text) - used,
                 ": give --transfer-password-file FILE");
    }
    return rc;
}

static int refuse_another(const swk_signer_keys *keys, struct swk_error *err)
{
    struct swk_authority one;

    for (uint32_t i = 0; swk_signer_keys_at(keys, i, &one) == 1; i++) {
        if (one.has_key) {
            err->code = SWK_EEXIST;
            snprintf(err->text, sizeof(err->text),
                     "there is a root already, %.16s...: a second one becomes "
                     "that of the swarm when the root is rotated; say "
                     "--another if it is wanted",
                     one.fingerprint);
            return err->code;
        }
    }
    return 0;
}

static int init(const struct options *options, swk_signer_keys *keys,
                const struct input *input, struct swk_bytes password,
                struct swk_error *err)
{
    struct swk_authority one;
    int rc = options->another ? 0 : refuse_another(keys, err);

    if (rc != 0) {
        return rc;
    }
    if (input->len > 0) {
        return import(options, keys, input, password, SWK_SIGNER_IMPORT_NEW,
                      err);
    }
    rc = swk_signer_keys_create(keys, &one, err);
    if (rc == 0) {
        printf("%s\n", one.fingerprint);
    }
    return rc;
}

static int export_text(const struct options *options, swk_signer_keys *keys,
                       struct swk_bytes password, struct swk_error *err)
{
    char *pem;
    size_t len;
    int rc;

    if (password.len == 0) {
        return fail(err, SWK_EINVAL, "export writes",
                    "no key without a password",
                    "give --transfer-password-file FILE");
    }
    rc = swk_signer_keys_export(keys, options->argument, password, &pem, &len,
                                err);
    if (rc == 0) {
        fwrite(pem, 1, len, stdout);
        swk_signer_keys_release(keys, pem);
    }
    return rc;
}

/* The one whose fingerprint begins so; false if that is not clear. */
static bool find_one(const swk_signer_keys *keys, const char *digits,
                     struct swk_authority *out_one)
{
    struct swk_authority one;
    unsigned count = 0;

    for (uint32_t i = 0; swk_signer_keys_at(keys, i, &one) == 1; i++) {
        if (strncmp(one.fingerprint, digits, strlen(digits)) == 0) {
            *out_one = one;
            count++;
        }
    }
    return count == 1;
}

/* Some digits could be a mistake: what they stand for is to be seen first. */
static int confirm(const struct swk_authority *one, struct swk_error *err)
{
    char answer[8] = "";

    if (!isatty(STDIN_FILENO)) {
        err->code = SWK_EINVAL;
        snprintf(err->text, sizeof(err->text),
                 "to remove %s, give all digits of it, or --force",
                 one->fingerprint);
        return err->code;
    }
    printf("Remove %s for good? (yes or no) ", one->fingerprint);
    fflush(stdout);
    if (fgets(answer, sizeof(answer), stdin) != NULL &&
        strcmp(answer, "yes\n") == 0) {
        return 0;
    }
    err->code = SWK_ECANCELED;
    snprintf(err->text, sizeof(err->text), "nothing was removed");
    return err->code;
}

static int remove_one(const struct options *options, swk_signer_keys *keys,
                      struct swk_error *err)
{
    const char *digits = options->argument;
    struct swk_authority one;
    bool found = find_one(keys, digits, &one);
    int rc = 0;

    if (found && !options->force && strlen(digits) < SWK_FINGERPRINT_LEN &&
        strlen(digits) >= SWK_FINGERPRINT_LEN_MIN) {
        rc = confirm(&one, err);
    }
    if (rc == 0) {
        rc = swk_signer_keys_remove(keys, digits, err);
    }
    if (rc == 0 && found) {
        printf("removed %s%s\n", one.fingerprint,
               one.has_key ? " and its key" : "");
    }
    return rc;
}

static int allow(const struct options *options, swk_signer_keys *keys,
                 struct swk_error *err)
{
    int rc =
        swk_signer_keys_allow(keys, options->argument,
                              options->withdraw ? 0 : options->allow_ns, err);

    if (rc == 0 && options->withdraw) {
        printf("node %s may not become a manager any more\n",
               options->argument);
    } else if (rc == 0) {
        printf("node %s may become a manager, once, within %" PRIu64 " h\n",
               options->argument,
               (options->allow_ns + SWK_HOUR - 1) / SWK_HOUR);
    }
    return rc;
}

static int work_with(const struct options *options, swk_signer_keys *keys,
                     const struct input *input, struct swk_bytes password,
                     struct swk_error *err)
{
    switch (options->command) {
    case COMMAND_INIT:
        return init(options, keys, input, password, err);
    case COMMAND_EXPORT:
        return export_text(options, keys, password, err);
    case COMMAND_IMPORT:
        return import(options, keys, input, password, 0, err);
    case COMMAND_TRUST:
        return import(options, keys, input, password,
                      SWK_SIGNER_IMPORT_CERTIFICATE, err);
    case COMMAND_ALLOW:
        return allow(options, keys, err);
    case COMMAND_REMOVE:
        return remove_one(options, keys, err);
    case COMMAND_LIST:
    case COMMAND_RUN:
    case COMMAND_CHECK_SANDBOX:
    case COMMAND_STATUS:
        list(options, keys);
        return 0;
    }
    return 0;
}

static uint32_t flags_of(enum command command)
{
    return command == COMMAND_INIT || command == COMMAND_IMPORT ||
                   command == COMMAND_TRUST
               ? SWK_SIGNER_KEYS_CREATE
           : command == COMMAND_LIST || command == COMMAND_ALLOW ||
                   command == COMMAND_REMOVE
               ? SWK_SIGNER_KEYS_NAMES_ONLY
               : 0;
}

int work_on_keys(const struct options *options, struct swk_error *err)
{
    char text[PASSWORD_SIZE];
    char transfer_text[PASSWORD_SIZE];
    struct swk_bytes password = {0};
    struct swk_bytes transfer = {0};
    swk_signer_keys *keys = NULL;
    struct input input;
    int rc;

    sandbox_harden();
    rc = read_password(options->password_file, text, &password, err);
    if (rc == 0 && options->transfer_password_file != NULL) {
        rc = read_password(options->transfer_password_file, transfer_text,
                           &transfer, err);
    }
    if (rc == 0) {
        rc = read_input(options, &input, err);
    }
    if (rc == 0) {
        rc = become_owner(options, err);
    }
    if (rc == 0) {
        rc = open_keys(options, password, flags_of(options->command), &keys,
                       err);
    }
    if (rc == 0) {
        rc = work_with(options, keys, &input, transfer, err);
    }
    swk_signer_keys_free(keys);
    explicit_bzero(&input, sizeof(input));
    explicit_bzero(text, sizeof(text));
    explicit_bzero(transfer_text, sizeof(transfer_text));
    if (rc == 0 && fflush(stdout) != 0) {
        rc = fail(err, SWK_EIO, "cannot write to", "the standard output",
                  strerror(errno));
    }
    return rc;
}

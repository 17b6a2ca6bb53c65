/* SPDX-License-Identifier: Apache-2.0 */

/* swarmctl spec ... */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "signing.h"
#include "verify.h"

static const struct flag keygen_flags[] = {
    {.name = "out",
     .argument = "FILE",
     .help = "where the private key goes, and the public one as FILE.pub; "
             "needed"},
    {.name = "curve",
     .argument = "CURVE",
     .otherwise = "p256",
     .help = "p256 or p384"},
    {.name = "encrypt", .help = "ask for a passphrase to encrypt it with"},
    {.name = "passphrase-file",
     .argument = "FILE",
     .help = "encrypt it with the passphrase in a file"},
    {0}};
static const struct flag sign_flags[] = {
    {.name = "key",
     .argument = "FILE",
     .help = "the private key to sign with; needed"},
    {0}};
static const struct flag verify_flags[] = {
    {.name = "trust",
     .argument = "FILE|DIR",
     .help = "the public keys that count; needed"},
    {.name = "swarm",
     .argument = "ID",
     .otherwise = "any",
     .help = "the swarm that the spec is to run in"},
    {0}};

/* -- Keys ----------------------------------------------------------------- */

/* A new file; one that is there already stays as it is. */
static int write_file(const char *path, mode_t mode, const char *text)
{
    size_t len = strlen(text);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    int error = 0;

    if (fd < 0) {
        return ctl_error(EXIT_FAILED, "cannot write %s: %s", path,
                         strerror(errno));
    }
    if (write(fd, text, len) != (ssize_t)len || fsync(fd) != 0) {
        error = errno;
    }
    if (close(fd) != 0 && error == 0) {
        error = errno;
    }
    if (error != 0) {
        unlink(path);
        return ctl_error(EXIT_FAILED, "cannot write %s: %s", path,
                         strerror(error));
    }
    return EXIT_OK;
}

static void print_key(const struct ctl *ctl, const char *id,
                      const char *private_path, const char *public_path)
{
    if (!ctl->json) {
        puts(id);
        return;
    }
    printf("{\"keyId\":");
    print_json_text(id);
    printf(",\"privateKey\":");
    print_json_text(private_path);
    printf(",\"publicKey\":");
    print_json_text(public_path);
    printf("}\n");
}

static int run_keygen(struct ctl *ctl, const struct args *args)
{
    const char *path = args_text(args, "out");
    swk_signing_key *key;
    const char *public_path;
    int rc;

    if (path == NULL) {
        return ctl_usage("a new key needs a file to go to: --out FILE");
    }
    rc = signing_make_key(args, &key);
    if (rc != EXIT_OK) {
        return rc;
    }
    public_path = pool_printf(&ctl->pool, "%s.pub", path);
    rc = write_file(path, 0600, swk_signing_key_private(key));
    if (rc == EXIT_OK) {
        rc = write_file(public_path, 0644, swk_signing_key_public(key));
        if (rc != EXIT_OK) {
            unlink(path);
        }
    }
    if (rc == EXIT_OK) {
        print_key(ctl, swk_signing_key_id(key), path, public_path);
    }
    swk_signing_key_free(key);
    return rc;
}

/* -- Specs ---------------------------------------------------------------- */

static int run_sign(struct ctl *ctl, const struct args *args)
{
    const char *key = args_text(args, "key");
    Swkpb__ServiceSpec *spec;
    int rc;

    if (key == NULL) {
        return ctl_usage("a signature needs a key: --key FILE");
    }
    rc = signing_read_spec(ctl, args_at(args, 0), &spec);
    if (rc == EXIT_OK) {
        rc = signing_apply(ctl, args, key, &spec);
    }
    return rc == EXIT_OK ? ctl_print_json(ctl, &spec->base) : rc;
}

static int report(const struct ctl *ctl, const char *key_id,
                  const struct swk_error *err)
{
    if (ctl->json) {
        printf("{\"verified\":%s,\"%s\":", err->code == 0 ? "true" : "false",
               err->code == 0 ? "keyId" : "reason");
        print_json_text(err->code == 0 ? key_id : err->text);
        printf("}\n");
    } else if (err->code == 0) {
        printf("signed by key %s\n", key_id);
    }
    return err->code == 0 ? EXIT_OK : ctl_fail(err);
}

static int run_verify(struct ctl *ctl, const struct args *args)
{
    char key_id[SWK_SIGNING_KEY_ID_LEN + 1];
    Swkpb__ServiceSpec *spec;
    struct swk_error err = {0};
    int rc;

    if (!args_has(args, "trust")) {
        return ctl_usage("say whose signatures count: --trust FILE");
    }
    rc = signing_read_spec(ctl, args_at(args, 0), &spec);
    if (rc != EXIT_OK) {
        return rc;
    }
    err.code = verify_spec(ctl, args_text(args, "trust"),
                           args_text(args, "swarm"), spec, key_id, &err);
    /* Without its keys or its spec nothing was found out. */
    return err.code == 0 || err.code == SWK_EDENIED
               ? report(ctl, key_id, &err)
               : ctl_error(EXIT_FAILED, "%s", err.text);
}

const struct command spec_commands[] = {
    {"spec",
     "keygen",
     NULL,
     "",
     "Make a key to sign specs with, and print its ID.",
     "swarmctl spec keygen --encrypt --out alice.pem",
     {keygen_flags},
     0,
     0,
     false,
     run_keygen},
    {"spec",
     "sign",
     NULL,
     "FILE|-",
     "Sign the spec of a service, as JSON, and print it.\n\n"
     "The JSON is that of a spec, or of a service as \"service inspect "
     "--format\n"
     "json\" shows it. Signatures of other keys stay.",
     "swarmctl spec sign --key alice.pem --valid-for 90d web.json > "
     "signed.json",
     {sign_flags, signing_flags},
     1,
     1,
     false,
     run_sign},
    {"spec",
     "verify",
     NULL,
     "FILE|-",
     "Check whether a trusted key signed a spec, as a node would.\n\n"
     "It is denied (exit status 5) unless one did.",
     "swarmctl service inspect --format json web | "
     "swarmctl spec verify --trust operators.pem -",
     {verify_flags},
     1,
     1,
     false,
     run_verify},
    {0},
};

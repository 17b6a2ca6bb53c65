/* SPDX-License-Identifier: Apache-2.0 */

#include "signing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <swarmkit/message.h>
#include <swarmkit/posix.h>

#include "parse.h"
#include "payload.h"

enum {
    KEY_SIZE_MAX = 16 * 1024,
    PASSPHRASE_SIZE = 1024,
};

const struct flag signing_flags[] = {
    {.name = "passphrase-file",
     .argument = "FILE",
     .help = "where the key's passphrase is, instead of asking"},
    {.name = "valid-for",
     .argument = "DURATION",
     .help = "how long tasks may be begun by the signature, such as 90d"},
    {.name = "swarm",
     .argument = "ID",
     .otherwise = "the manager's",
     .help = "the only swarm that the signature is for"},
    {.name = "any-swarm", .help = "the signature is for every swarm"},
    {0}};

/* -- Passphrases ---------------------------------------------------------- */

struct passphrase {
    char text[PASSPHRASE_SIZE];
    size_t len;
};

/* A line from the terminal, which shows nothing of it. */
static int ask(const char *prompt, struct passphrase *out)
{
    int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC);
    struct termios before;
    struct termios silent;
    ssize_t len;

    if (terminal < 0) {
        return ctl_error(EXIT_FAILED,
                         "the key has a passphrase, and there is no terminal "
                         "to ask for it: say --passphrase-file");
    }
    dprintf(terminal, "%s: ", prompt);
    tcgetattr(terminal, &before);
    silent = before;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
    tcsetattr(terminal, TCSAFLUSH, &silent);
    len = read(terminal, out->text, sizeof(out->text));
    tcsetattr(terminal, TCSAFLUSH, &before);
    dprintf(terminal, "\n");
    close(terminal);
    out->len = len > 0 ? (size_t)len : 0;
    return EXIT_OK;
}

static int read_passphrase(const struct args *args, const char *prompt,
                           struct passphrase *out)
{
    const char *path = args_text(args, "passphrase-file");
    FILE *file;
    int rc = EXIT_OK;

    if (path == NULL) {
        rc = ask(prompt, out);
    } else {
        file = fopen(path, "re");
        if (file == NULL) {
            return ctl_error(EXIT_FAILED, "cannot read %s: %s", path,
                             strerror(errno));
        }
        setvbuf(file, NULL, _IONBF, 0); /* no copy of it elsewhere */
        out->len = fread(out->text, 1, sizeof(out->text), file);
        fclose(file);
    }
    while (out->len > 0 && (out->text[out->len - 1] == '\n' ||
                            out->text[out->len - 1] == '\r')) {
        out->len--;
    }
    if (rc == EXIT_OK && (out->len == 0 || out->len == sizeof(out->text))) {
        rc = ctl_error(EXIT_FAILED, "no passphrase, or one too long");
    }
    return rc;
}

/* -- Keys ----------------------------------------------------------------- */

static int read_key(const char *path, char *buf, size_t size, size_t *out_len)
{
    FILE *file = fopen(path, "re");

    if (file == NULL) {
        return ctl_error(EXIT_FAILED, "cannot read %s: %s", path,
                         strerror(errno));
    }
    setvbuf(file, NULL, _IONBF, 0);
    *out_len = fread(buf, 1, size, file);
    fclose(file);
    return *out_len < size
               ? EXIT_OK
               : ctl_error(EXIT_FAILED, "%s is too long for a key", path);
}

/* From the file called path; NULL for a new one. */
static int make_key(const struct swk_signing_key_config *config,
                    const char *path, swk_signing_key **out_key)
{
    struct swk_error err;

    if (swk_signing_key_new(config, out_key, &err) == 0) {
        return EXIT_OK;
    }
    if (path != NULL) {
        ctl_name_file(&err, path);
    }
    return ctl_fail(&err);
}

int signing_open_key(const struct args *args, const char *path,
                     swk_signing_key **out_key)
{
    struct swk_signing_key_config config = SWK_SIGNING_KEY_CONFIG_INIT;
    struct passphrase passphrase = {.len = 0};
    char pem[KEY_SIZE_MAX];
    int rc = read_key(path, pem, sizeof(pem), &config.pem_len);

    config.pem = pem;
    config.entropy = swk_posix_entropy();
    if (rc == EXIT_OK && swk_signing_key_is_sealed(pem, config.pem_len)) {
        char prompt[128];

        snprintf(prompt, sizeof(prompt), "Passphrase of %.80s", path);
        rc = read_passphrase(args, prompt, &passphrase);
        config.password = passphrase.text;
        config.password_len = passphrase.len;
    }
    if (rc == EXIT_OK && memmem(pem, config.pem_len, "PUBLIC KEY-----",
                                strlen("PUBLIC KEY-----")) != NULL) {
        rc = ctl_error(EXIT_FAILED,
                       "%s holds a public key, which signs nothing", path);
    }
    if (rc == EXIT_OK) {
        rc = make_key(&config, path, out_key);
    }
    explicit_bzero(&passphrase, sizeof(passphrase));
    explicit_bzero(pem, sizeof(pem));
    return rc;
}

/* Asked for twice on a terminal: what is mistyped is lost. */
static int new_passphrase(const struct args *args, struct passphrase *out)
{
    struct passphrase again = {.len = 0};
    int rc = read_passphrase(args, "Passphrase for the new key", out);

    if (rc == EXIT_OK && !args_has(args, "passphrase-file")) {
        rc = read_passphrase(args, "The same again", &again);
        if (rc == EXIT_OK && (again.len != out->len ||
                              memcmp(again.text, out->text, out->len) != 0)) {
            rc = ctl_error(EXIT_FAILED, "the two are not the same");
        }
    }
    explicit_bzero(&again, sizeof(again));
    return rc;
}

int signing_make_key(const struct args *args, swk_signing_key **out_key)
{
    static const char *const curves[] = {"p256", "p384", NULL};
    struct swk_signing_key_config config = SWK_SIGNING_KEY_CONFIG_INIT;
    struct passphrase passphrase = {.len = 0};
    const char *curve = args_text(args, "curve");
    int index = 0;
    int rc = EXIT_OK;

    if (curve != NULL && !parse_word(curve, curves, &index)) {
        return ctl_usage("--curve is p256 or p384");
    }
    config.curve = index;
    config.entropy = swk_posix_entropy();
    if (args_has(args, "encrypt") || args_has(args, "passphrase-file")) {
        rc = new_passphrase(args, &passphrase);
        config.password = passphrase.text;
        config.password_len = passphrase.len;
    }
    if (rc == EXIT_OK) {
        rc = make_key(&config, NULL, out_key);
    }
    explicit_bzero(&passphrase, sizeof(passphrase));
    return rc;
}

/* -- Specs ---------------------------------------------------------------- */

ProtobufCBinaryData signing_encode(struct ctl *ctl,
                                   const Swkpb__ServiceSpec *spec)
{
    size_t len = protobuf_c_message_get_packed_size(&spec->base);
    uint8_t *data = pool_alloc(&ctl->pool, len + 1);

    protobuf_c_message_pack(&spec->base, data);
    return (ProtobufCBinaryData){len, data};
}

static void *take(void *pool, size_t size)
{
    return pool_alloc(pool, size);
}

static void keep(void *pool, void *memory)
{
    (void)pool;
    (void)memory;
}

/* Into the pool; NULL for bytes that are no such message. */
static void *decode(struct ctl *ctl, const ProtobufCMessageDescriptor *type,
                    const uint8_t *data, size_t len)
{
    ProtobufCAllocator allocator = {take, keep, &ctl->pool};

    return protobuf_c_message_unpack(type, &allocator, len, data);
}

static void *from_json(struct ctl *ctl, const char *type_name,
                       const ProtobufCMessageDescriptor *type,
                       const ProtobufCBinaryData *json, struct swk_error *err)
{
    void *message = NULL;
    uint8_t *data;
    size_t len;

    if (swk_message_from_json(type_name, (const char *)json->data, json->len,
                              &data, &len, err) == 0) {
        message = decode(ctl, type, data, len);
        swk_message_data_free(data, len);
    }
    return message;
}

int signing_read_spec(struct ctl *ctl, const char *path,
                      Swkpb__ServiceSpec **out_spec)
{
    Swkpb__ServiceSpec *spec = NULL;
    const bool input = path == NULL || strcmp(path, "-") == 0;
    Swkpb__Service *service;
    ProtobufCBinaryData json;
    struct swk_error of_service;
    struct swk_error err;
    int rc = payload_read(ctl, path, &json);

    if (rc != EXIT_OK) {
        return rc;
    }
    service = from_json(ctl, "docker.swarmkit.v1.Service",
                        &swkpb__service__descriptor, &json, &of_service);
    if (service != NULL && service->spec != NULL) {
        spec = service->spec;
    } else {
        spec = from_json(ctl, "docker.swarmkit.v1.ServiceSpec",
                         &swkpb__service_spec__descriptor, &json, &err);
    }
    if (spec == NULL) {
        /* Only a service has a spec: what is wrong is inside of it. */
        if (service == NULL && strstr(err.text, " spec: ") != NULL) {
            err = of_service;
        }
        ctl_name_file(&err, input ? "the standard input" : path);
        return ctl_fail(&err);
    }
    *out_spec = spec;
    return EXIT_OK;
}

/* -- Terms ---------------------------------------------------------------- */

static int ask_swarm(struct ctl *ctl, const char **out_id)
{
    Swkpb__ListClustersRequest request = SWKPB__LIST_CLUSTERS_REQUEST__INIT;
    Swkpb__ListClustersResponse *reply;
    struct swk_error err;

    if (ctl_try(ctl, "ListClusters", &request.base,
                &swkpb__list_clusters_response__descriptor, &ctl->pool, &reply,
                &err) != 0) {
        ctl_fail(&err);
        return ctl_error(EXIT_UNAVAILABLE,
                         "no manager says which swarm the signature is for: "
                         "say --swarm ID or --any-swarm");
    }
    if (reply->n_clusters != 1) {
        return ctl_error(EXIT_FAILED, "the manager's answer is malformed");
    }
    *out_id = reply->clusters[0]->id;
    return EXIT_OK;
}

static int read_terms(struct ctl *ctl, const struct args *args,
                      struct swk_spec_terms *terms)
{
    const char *valid_for = args_text(args, "valid-for");
    struct timespec now;
    int64_t ns;

    clock_gettime(CLOCK_REALTIME, &now);
    /* Whole seconds read better, and are as good. */
    terms->signed_at = (swk_wall)now.tv_sec * (swk_wall)SWK_SECOND;
    if (valid_for != NULL) {
        if (!parse_duration(valid_for, &ns) || ns <= 0 ||
            ns > INT64_MAX - terms->signed_at) {
            return ctl_usage("--valid-for takes a duration such as 90d");
        }
        terms->not_after = terms->signed_at + ns;
    }
    if (args_has(args, "any-swarm")) {
        return args_has(args, "swarm")
                   ? ctl_usage("--swarm and --any-swarm exclude each other")
                   : EXIT_OK;
    }
    terms->swarm_id = args_text(args, "swarm");
    return terms->swarm_id != NULL ? EXIT_OK : ask_swarm(ctl, &terms->swarm_id);
}

static int sign(struct ctl *ctl, swk_signing_key *key,
                const struct swk_spec_terms *terms, Swkpb__ServiceSpec **spec)
{
    const ProtobufCBinaryData before = signing_encode(ctl, *spec);
    Swkpb__ServiceSpec *after;
    struct swk_error err;
    uint8_t *data;
    size_t len;

    if (swk_spec_sign(key, terms, before.data, before.len, &data, &len, &err) !=
        0) {
        return ctl_fail(&err);
    }
    after = decode(ctl, &swkpb__service_spec__descriptor, data, len);
    swk_message_data_free(data, len);
    if (after == NULL) {
        return ctl_error(EXIT_FAILED, "the signed spec is malformed");
    }
    *spec = after;
    return EXIT_OK;
}

int signing_apply(struct ctl *ctl, const struct args *args, const char *path,
                  Swkpb__ServiceSpec **spec)
{
    struct swk_spec_terms terms = SWK_SPEC_TERMS_INIT;
    swk_signing_key *key = NULL;
    int rc = read_terms(ctl, args, &terms);

    if (rc == EXIT_OK) {
        rc = signing_open_key(args, path, &key);
    }
    if (rc == EXIT_OK) {
        rc = sign(ctl, key, &terms, spec);
    }
    swk_signing_key_free(key);
    return rc;
}

const char *signing_key_text(struct ctl *ctl,
                             const Swkpb__Rpc__SpecSignature *signature)
{
    const ProtobufCBinaryData *id = &signature->key_id;
    char *text = pool_alloc(&ctl->pool, 2 * id->len + 1);

    for (size_t i = 0; i < id->len; i++) {
        snprintf(text + 2 * i, 3, "%02x", id->data[i]);
    }
    return text;
}

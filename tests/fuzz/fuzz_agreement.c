/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Any text as the files by which a node's owner says what it runs: a policy,
 * and the public keys whose signatures count. Half of the inputs are texts as
 * they are; of the others each byte stands for a piece of such a file, so that
 * what is read is often nearly one.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "core/consent/consent.h"
#include "core/trust/trust.h"

static const char *const policy_pieces[] = {
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"users\":{\"allow\":[\"*\"],\"deny\":[\"root\"]}",
    "\"images\":{\"allow\":[\"/srv/*\"],\"deny\":[\"*:latest\"]}",
    "\"mounts\":{\"allow\":[{\"type\":\"bind\",\"source\":\"/srv\"}]}",
    "\"mounts\":{\"allow\":[{\"type\":\"bind\",\"source\":\"/a/../b\"}]}",
    "\"mounts\":{\"allow\":[{\"type\":\"*\",\"source\":\"x\"}]}",
    "\"mounts\":null",
    "\"groups\":{}",
    "\"sysctls\":{\"allow\":[\"net.*\"]}",
    "\"privileges\":{\"allow\":[\"nothing\"]}",
    "\"executors\":{\"alow\":[]}",
    "\"perTask\":{\"memoryBytes\":-1,\"pids\":1.5}",
    "\"readonly\":true",
    "\"ports\":{\"host\":[{\"first\":80,\"last\":65535}]}",
    "\"first\":-1",
    "\"perTask\":{\"nanoCpus\":\"2000000000\"}",
    "\"capabilities\":{\"allow\":[\"CAP_CHOWN\"]}",
    "\"hostNamespaces\":{}",
    "\"allow\":[",
    "null",
    "1e999",
    "\"\\ud800\"",
    "\"\\u0000\"",
};

static const char *const key_pieces[] = {
    "-----BEGIN PUBLIC KEY-----\n",
    "-----END PUBLIC KEY-----\n",
    "-----BEGIN PRIVATE KEY-----\n",
    "-----BEGIN EC PARAMETERS-----\n",
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE",
    "6p0JawTSCbmIwf50IQjKRgnDAjehkuyULBIjTgIfT8yd6WkaBAzZFg7LbG1+mr8s"
    "BrE4dvcPspcgR5CHIVWhOw==\n",
    "-----BEGIN PUBLIC KEY-----\n"
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE6p0JawTSCbmIwf50IQjKRgnDAjeh\n"
    "kuyULBIjTgIfT8yd6WkaBAzZFg7LbG1+mr8sBrE4dvcPspcgR5CHIVWhOw==\n"
    "-----END PUBLIC KEY-----\n",
    "MAsGCSqGSIb3DQEBAQ==\n",
    "A",
    "\n",
    "\r\n",
    "alice's key:\n",
};

static void require(int holds)
{
    if (!holds) {
        abort();
    }
}

static void add(struct swki_buf *out, const char *text)
{
    swki_buf_append(out, text, strlen(text));
}

/* A few pieces: how many says the first byte. The seventh stands for itself. */
static void compose(const uint8_t *data, size_t len, const char *const *pieces,
                    size_t count, const char *between, struct swki_buf *out)
{
    size_t wanted = len > 0 ? 1 + data[0] % 8 : 0;

    for (size_t i = 1; i < len && i <= wanted; i++) {
        add(out, i > 1 ? between : "");
        if (i == 7) {
            swki_buf_append(out, data + i, 1);
        } else {
            add(out, pieces[data[i] % count]);
        }
    }
}

/* What is taken is within bounds, and can be put in words. */
static void read_policy(const void *text, size_t len)
{
    Swkpb__Rpc__NodeConsent *consent = NULL;
    struct swki_arena arena;
    struct swki_buf words;
    struct swk_error err;

    swki_arena_init(&arena, NULL, SIZE_MAX);
    swki_buf_init(&words, NULL, SIZE_MAX);
    if (swki_consent_read(text, len, &arena, &consent, &err) == SWK_OK) {
        require(swki_consent_validate(consent, &err) == SWK_OK);
        require(consent->signers == NULL);
        require(swki_consent_describe(consent, &words));
        (void)swki_consent_bounds_images(consent);
        (void)swki_consent_bounds_binds(consent);
    } else {
        require(err.code < 0 && strlen(err.text) > 0);
    }
    swki_buf_fini(&words);
    swki_arena_fini(&arena);
}

/* What is taken has a key, and knows each of its own. */
static void read_keys(const void *text, size_t len)
{
    const struct swki_pem pem = {text, len};
    const struct swki_verifiers *keys;
    struct swki_trust *trust = NULL;
    struct swk_error err;

    if (swki_trust_new(NULL, pem, NULL, &trust, &err) != SWK_OK) {
        require(err.code < 0 && strlen(err.text) > 0);
        return;
    }
    keys = swki_trust_keys(trust);
    require(swki_verifiers_count(keys) > 0);
    for (size_t i = 0; i < swki_verifiers_count(keys); i++) {
        require(swki_verifiers_know(keys, swki_verifiers_id(keys, i),
                                    SWKI_KEY_ID_SIZE));
    }
    swki_trust_free(trust);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct swki_buf text;

    if (size == 0) {
        return 0;
    }
    swki_buf_init(&text, NULL, SIZE_MAX);
    switch (data[0] % 4) {
    case 0:
        read_policy(data + 1, size - 1);
        break;
    case 1:
        read_keys(data + 1, size - 1);
        break;
    case 2:
        add(&text, "{");
        compose(data + 1, size - 1, policy_pieces,
                sizeof(policy_pieces) / sizeof(policy_pieces[0]),
                size > 2 && data[1] < 128 ? "," : "", &text);
        add(&text, "}");
        require(!text.failed);
        read_policy(text.data, text.len);
        break;
    default:
        compose(data + 1, size - 1, key_pieces,
                sizeof(key_pieces) / sizeof(key_pieces[0]), "", &text);
        require(!text.failed);
        read_keys(text.data, text.len);
        break;
    }
    swki_buf_fini(&text);
    return 0;
}

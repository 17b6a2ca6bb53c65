/* SPDX-License-Identifier: Apache-2.0 */

/* Whether roots may be trusted, and whether a chain leads to one of them. */

#include <stdio.h>

#include "base/error.h"
#include "crypto/calendar.h"
#include "crypto/mbed.h"

enum {
    TIME_TEXT_SIZE = 64,
    PATH_MAX_LEN = SWKI_CERTIFICATES_MAX + 1, /* with the root */
};

/* The library's own opinion of dates rests on the system's clock. */
static const uint32_t date_flags =
    MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE;

static const char *time_text(swk_wall time, char out_text[TIME_TEXT_SIZE])
{
    struct swki_calendar c = swki_calendar_from_wall(time);

    snprintf(out_text, TIME_TEXT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02dZ",
             c.year, c.month, c.day, c.hour, c.minute, c.second);
    return out_text;
}

/* position counts from 1; which side of the limit is wrong: "before" or
 * "after". */
static int fail_dates(const mbedtls_x509_crt *certificate, size_t position,
                      const char *side, swk_wall limit,
                      const struct swki_chain *chain, struct swk_error *err)
{
    char name[65];
    char limit_text[TIME_TEXT_SIZE];
    char now_text[TIME_TEXT_SIZE];
    bool tells_now = !(chain->flags & SWKI_CHAIN_LASTING_REASON);

    swki_mbed_name(certificate, name);
    return swki_fail(err, SWK_ECLOCK,
                     "certificate (%zu - %s) not valid %s %s%s%s", position,
                     name, side, time_text(limit, limit_text),
                     tells_now ? ", and it is currently " : "",
                     tells_now ? time_text(chain->now, now_text) : "");
}

static int check_dates(const mbedtls_x509_crt *certificate, size_t position,
                       const struct swki_chain *chain, struct swk_error *err)
{
    swk_wall not_before = swki_mbed_wall(&certificate->valid_from);
    swk_wall not_after = swki_mbed_wall(&certificate->valid_to);

    if (not_before > chain->now) {
        return fail_dates(certificate, position, "before", not_before, chain,
                          err);
    }
    if (not_after < chain->now && !(chain->flags & SWKI_CHAIN_ALLOW_EXPIRED)) {
        return fail_dates(certificate, position, "after", not_after, chain,
                          err);
    }
    return SWK_OK;
}

static int check_all_dates(const mbedtls_x509_crt *leaf,
                           const struct swki_chain *chain,
                           struct swk_error *err)
{
    size_t position = 1;
    int rc = SWK_OK;

    for (const mbedtls_x509_crt *c = leaf; rc == 0 && c != NULL;
         c = c->next, position++) {
        rc = check_dates(c, position, chain, err);
    }
    return rc;
}

/* What is learned while the library walks the chain that it found. */
struct walk {
    swk_wall all_from; /* when every certificate in it was valid */
    swk_wall all_to;
    const mbedtls_x509_crt *path[PATH_MAX_LEN]; /* the leaf first */
};

/* Whether the walk went from one certificate to the next in the file: then it
 * has verified the signature, which costs more than all the rest. */
static bool has_walked(const struct walk *walk, const mbedtls_x509_crt *c,
                       size_t depth)
{
    return depth + 1 < PATH_MAX_LEN && walk->path[depth] == c &&
           walk->path[depth + 1] == c->next;
}

static int check_links(mbedtls_x509_crt *leaf, const struct walk *walk,
                       struct swk_error *err)
{
    size_t depth = 0;

    for (mbedtls_x509_crt *c = leaf; c->next != NULL; c = c->next, depth++) {
        if (!has_walked(walk, c, depth) && !swki_mbed_signed_by(c, c->next)) {
            return swki_fail(err, SWK_EUNAUTHENTICATED,
                             "certificates do not form a chain: certificate "
                             "%zu is not signed by the next",
                             depth + 1);
        }
    }
    return SWK_OK;
}

static int see_certificate(void *ctx, mbedtls_x509_crt *certificate, int depth,
                           uint32_t *flags)
{
    swk_wall from = swki_mbed_wall(&certificate->valid_from);
    swk_wall to = swki_mbed_wall(&certificate->valid_to);
    struct walk *walk = ctx;

    *flags &= ~date_flags;
    walk->all_from = from > walk->all_from ? from : walk->all_from;
    walk->all_to = to < walk->all_to ? to : walk->all_to;
    if (depth >= 0 && depth < PATH_MAX_LEN) {
        walk->path[depth] = certificate;
    }
    return 0;
}

static int check_path(mbedtls_x509_crt *leaf, mbedtls_x509_crt *roots,
                      const struct swki_chain *chain, struct walk *walk,
                      struct swk_error *err)
{
    uint32_t flags = 0;
    int rc = mbedtls_x509_crt_verify_with_profile(
        leaf, roots, NULL, &swki_mbed_profile, NULL, &flags, see_certificate,
        walk);

    if (rc != 0 || flags != 0) {
        const struct walk nowhere = {0};

        /* The reason may be nearer. */
        rc = check_links(leaf, &nowhere, err);
        return rc != 0
                   ? rc
                   : swki_fail(err, SWK_EUNAUTHENTICATED,
                               "certificate is not signed by a trusted root "
                               "(0x%x)",
                               (unsigned)flags);
    }
    if (walk->all_from > chain->now) {
        return swki_fail(err, SWK_ECLOCK,
                         "the root certificate is not valid yet");
    }
    if (chain->flags & SWKI_CHAIN_ALLOW_EXPIRED) {
        return walk->all_from <= walk->all_to
                   ? SWK_OK
                   : swki_fail(err, SWK_EUNAUTHENTICATED,
                               "there is no time span for which all of the "
                               "certificates, including a root, are valid");
    }
    if (walk->all_to < chain->now) {
        return swki_fail(err, SWK_ECLOCK,
                         "the root certificate has expired");
    }
    return SWK_OK;
}

void swki_chain_issuer_init(struct swki_chain_issuer *issuer,
                            const struct swk_alloc *alloc)
{
    swki_buf_init(&issuer->subject, alloc, SIZE_MAX);
    swki_buf_init(&issuer->public_key, alloc, SIZE_MAX);
}

void swki_chain_issuer_fini(struct swki_chain_issuer *issuer)
{
    swki_buf_fini(&issuer->public_key);
    swki_buf_fini(&issuer->subject);
}

static int fill_issuer(struct swki_chain_issuer *issuer,
                       const mbedtls_x509_crt *certificate,
                       struct swk_error *err)
{
    swki_buf_clear(&issuer->subject);
    swki_buf_clear(&issuer->public_key);
    if (!swki_buf_append(&issuer->subject, certificate->subject_raw.p,
                         certificate->subject_raw.len) ||
        !swki_buf_append(&issuer->public_key, certificate->pk_raw.p,
                         certificate->pk_raw.len)) {
        return swki_fail_nomem(err);
    }
    return SWK_OK;
}

int swki_chain_verify(const struct swki_chain *chain,
                      struct swki_chain_issuer *out_issuer,
                      struct swk_error *err)
{
    struct walk walk = {.all_from = INT64_MIN, .all_to = INT64_MAX};
    mbedtls_x509_crt leaf;
    mbedtls_x509_crt roots;
    int rc;

    mbedtls_x509_crt_init(&leaf);
    mbedtls_x509_crt_init(&roots);
    rc = swki_mbed_parse_chain(&leaf, chain->certificates, err);
    if (rc == 0) {
        rc = swki_mbed_parse_chain(&roots, chain->roots, err);
    }
    if (rc == 0) {
        rc = check_all_dates(&leaf, chain, err);
    }
    if (rc == 0) {
        rc = check_path(&leaf, &roots, chain, &walk, err);
    }
    if (rc == 0) {
        rc = check_links(&leaf, &walk, err);
    }
    if (rc == 0 && out_issuer != NULL) {
        /* A leaf that is a root itself has nothing above it. */
        rc = fill_issuer(out_issuer,
                         walk.path[1] != NULL ? walk.path[1] : &leaf, err);
    }
    mbedtls_x509_crt_free(&roots);
    mbedtls_x509_crt_free(&leaf);
    return rc;
}

static int check_root(mbedtls_x509_crt *root, size_t position,
                      const struct swki_chain *chain, struct swk_error *err)
{
    int rc;

    if (root->sig_md != MBEDTLS_MD_SHA256 &&
        root->sig_md != MBEDTLS_MD_SHA384 &&
        root->sig_md != MBEDTLS_MD_SHA512) {
        return swki_fail(err, SWK_EINVAL,
                         "unsupported signature algorithm: certificate %zu",
                         position);
    }
    rc = check_dates(root, position, chain, err);
    if (rc != 0) {
        swki_error_prefix(err, "root");
        return rc;
    }
    if (!swki_mbed_signed_by(root, root)) {
        return swki_fail(err, SWK_EINVAL, "root certificate %zu is not "
                         "self-signed", position);
    }
    /* Nothing that it signs would verify. */
    if (root->version >= 3 && root->ca_istrue == 0) {
        return swki_fail(err, SWK_EINVAL, "root certificate %zu is not that of "
                         "a CA", position);
    }
    return SWK_OK;
}

int swki_chain_check_roots(const struct swki_chain *chain,
                           struct swk_error *err)
{
    size_t position = 1;
    mbedtls_x509_crt roots;
    int rc;

    mbedtls_x509_crt_init(&roots);
    rc = swki_mbed_parse_chain(&roots, chain->roots, err);
    for (mbedtls_x509_crt *root = &roots; rc == 0 && root != NULL;
         root = root->next, position++) {
        rc = check_root(root, position, chain, err);
    }
    mbedtls_x509_crt_free(&roots);
    return rc;
}

int swki_roots_check(struct swki_pem roots, swk_wall now, struct swk_error *err)
{
    const struct swki_chain chain = {.roots = roots, .now = now};

    return swki_chain_check_roots(&chain, err);
}

/* SPDX-License-Identifier: Apache-2.0 */

#include "core/signer/authorities.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"

void swki_authorities_init(struct swki_authorities *authorities,
                           const struct swk_alloc *alloc)
{
    authorities->alloc = alloc;
    authorities->count = 0;
    swki_list_init(&authorities->list);
}

static struct swki_authority *authority_at(struct swki_link *link)
{
    return SWKI_CONTAINER(link, struct swki_authority, link);
}

static void release(struct swki_authorities *authorities,
                    struct swki_authority *authority)
{
    swki_signer_free(authority->signer);
    swki_certificate_info_fini(&authority->info);
    swki_buf_fini(&authority->certificate);
    swki_free(authorities->alloc, authority);
}

void swki_authorities_remove(struct swki_authorities *authorities,
                             struct swki_authority *authority)
{
    swki_list_remove(&authority->link);
    authorities->count--;
    release(authorities, authority);
}

void swki_authorities_fini(struct swki_authorities *authorities)
{
    while (!swki_list_empty(&authorities->list)) {
        swki_authorities_remove(authorities,
                                authority_at(authorities->list.next));
    }
}

struct swki_pem swki_pem_first(struct swki_pem chain)
{
    static const char end[] = "-----END CERTIFICATE-----";
    const char *found =
        chain.len == 0 ? NULL
                       : memmem(chain.text, chain.len, end, sizeof(end) - 1);

    if (found != NULL) {
        chain.len =
            (size_t)(found - (const char *)chain.text) + sizeof(end) - 1;
    }
    return chain;
}

static int read_certificate(struct swki_authority *authority,
                            const struct swk_alloc *alloc,
                            struct swki_pem certificate, struct swk_error *err)
{
    uint8_t digest[SWKI_SHA256_SIZE];
    int rc =
        swki_certificate_info_init(&authority->info, alloc, certificate, err);

    if (rc == 0) {
        rc = swki_certificate_digest(certificate, digest, err);
    }
    if (rc == 0) {
        swki_sha256_hex(digest, authority->fingerprint);
        rc = swki_certificate_normalise(certificate, &authority->certificate,
                                        err);
    }
    return rc;
}

static int read_key(struct swki_authority *authority,
                    const struct swk_alloc *alloc, struct swki_pem key,
                    const struct swk_entropy *entropy, struct swk_error *err)
{
    const struct swki_signer_config config = {
        .certificate = swki_pem_of_buf(&authority->certificate),
        .key = key,
        .entropy = entropy,
    };

    return key.len == 0
               ? SWK_OK
               : swki_signer_new(alloc, &config, &authority->signer, err);
}

static bool holds(const struct swki_authorities *authorities,
                  const char *fingerprint)
{
    struct swki_authority *found;

    return swki_authorities_named(authorities, fingerprint, &found, NULL) == 0;
}

/* The oldest comes first. */
static void insert(struct swki_authorities *authorities,
                   struct swki_authority *authority)
{
    struct swki_link *after = &authorities->list;

    while (after->prev != &authorities->list &&
           authority_at(after->prev)->info.not_before >
               authority->info.not_before) {
        after = after->prev;
    }
    swki_list_append(after, &authority->link);
}

int swki_authorities_add(struct swki_authorities *authorities,
                         struct swki_pem certificate, struct swki_pem key,
                         const struct swk_entropy *entropy,
                         struct swki_authority **out_authority,
                         struct swk_error *err)
{
    const struct swk_alloc *alloc = authorities->alloc;
    struct swki_authority *authority;
    int rc;

    if (authorities->count >= SWK_AUTHORITIES_MAX) {
        return swki_fail(err, SWK_ELIMIT, "there are %d authorities already",
                         SWK_AUTHORITIES_MAX);
    }
    authority = swki_calloc(alloc, 1, sizeof(*authority));
    if (authority == NULL) {
        return swki_fail_nomem(err);
    }
    swki_list_init(&authority->link);
    swki_buf_init(&authority->certificate, alloc, SWKI_PEM_LEN_MAX);
    rc = read_certificate(authority, alloc, swki_pem_first(certificate), err);
    if (rc == 0 && holds(authorities, authority->fingerprint)) {
        rc = swki_fail(err, SWK_EEXIST, "authority %.16s is there already",
                       authority->fingerprint);
    }
    if (rc == 0) {
        rc = read_key(authority, alloc, key, entropy, err);
    }
    if (rc != 0) {
        release(authorities, authority);
        return rc;
    }
    insert(authorities, authority);
    authorities->count++;
    *out_authority = authority;
    return SWK_OK;
}

static bool same_bytes(const struct swki_buf *a, const struct swki_buf *b)
{
    return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

int swki_authorities_find(const struct swki_authorities *authorities,
                          struct swki_pem certificate,
                          struct swki_authority **out_authority,
                          struct swk_error *err)
{
    struct swki_authority *found = NULL;
    struct swki_certificate_info info;
    int rc =
        swki_certificate_info_init(&info, authorities->alloc, certificate, err);

    if (rc != 0) {
        return rc;
    }
    for (struct swki_link *link = authorities->list.next;
         link != &authorities->list && found == NULL; link = link->next) {
        struct swki_authority *one = authority_at(link);

        if (same_bytes(&one->info.subject, &info.subject) &&
            same_bytes(&one->info.public_key, &info.public_key)) {
            found = one;
        }
    }
    swki_certificate_info_fini(&info);
    *out_authority = found;
    return SWK_OK;
}

int swki_authorities_named(const struct swki_authorities *authorities,
                           const char *fingerprint,
                           struct swki_authority **out_authority,
                           struct swk_error *err)
{
    size_t len = fingerprint == NULL ? 0 : strlen(fingerprint);
    struct swki_authority *found = NULL;

    for (struct swki_link *link = authorities->list.next;
         link != &authorities->list; link = link->next) {
        struct swki_authority *one = authority_at(link);

        if (len > 0 && strncmp(one->fingerprint, fingerprint, len) != 0) {
            continue;
        }
        if (found != NULL) {
            return swki_fail(err, SWK_EINVAL,
                             "there is more than one authority%s%.16s: tell "
                             "more of the fingerprint",
                             len > 0 ? " " : "", len > 0 ? fingerprint : "");
        }
        found = one;
    }
    if (found == NULL) {
        return swki_fail(err, SWK_ENOTFOUND, "there is no authority%s%.64s",
                         len > 0 ? " " : "", len > 0 ? fingerprint : "");
    }
    *out_authority = found;
    return SWK_OK;
}

struct swki_authority *
swki_authorities_unused(const struct swki_authorities *authorities)
{
    for (struct swki_link *link = authorities->list.next;
         link != &authorities->list; link = link->next) {
        struct swki_authority *one = authority_at(link);

        if (!one->used && one->signer != NULL) {
            return one;
        }
    }
    return NULL;
}

bool swki_authorities_bundle(const struct swki_authorities *authorities,
                             struct swki_buf *out_pem)
{
    for (struct swki_link *link = authorities->list.next;
         link != &authorities->list; link = link->next) {
        const struct swki_authority *one = authority_at(link);

        swki_buf_append(out_pem, one->certificate.data, one->certificate.len);
    }
    return !out_pem->failed;
}

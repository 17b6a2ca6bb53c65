/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The table of what a change of the CA's settings means. Each row is tried in
 * turn; the first that decides ends it.
 */

#include "core/ca/rotation.h"

#include <string.h>

#include "base/error.h"
#include "crypto/digest.h"
#include "wire/message.h"

/* What is read once, for all rows. */
struct decision {
    const struct swki_rotation_question *question;
    const struct swki_rotation_work *work;
    struct swki_arena *arena;
    struct swki_rotation_plan plan;
    struct swki_pem current;     /* normalised, as the two below */
    struct swki_pem current_key; /* as stored; empty: not here */
    struct swki_pem next;        /* of the rotation under way; empty: none */
    struct swki_pem next_key;
    struct swki_pem desired; /* as asked for, until row 7 has checked it */
    struct swki_pem desired_key;
    bool forced;
};

enum verdict {
    NOT_THIS_ROW,
    DECIDED,
};

/* Returns a verdict, or a negative code. */
typedef int (*row_fn)(struct decision *d, struct swk_error *err);

/* -- Bytes ---------------------------------------------------------------- */

static struct swki_pem pem_of_data(const ProtobufCBinaryData *data)
{
    return (struct swki_pem){data->data, data->len};
}

/* In constant time, as both may be keys. */
static bool same_pem(struct swki_pem a, struct swki_pem b)
{
    return a.len == b.len &&
           (a.len == 0 || swki_ct_equal(a.text, b.text, a.len));
}

static int normalise(struct swki_arena *arena, struct swki_pem pem,
                     struct swki_pem *out_pem, struct swk_error *err)
{
    struct swki_buf text;
    uint8_t *copy;
    int rc;

    swki_buf_init(&text, NULL, SWKI_PEM_LEN_MAX);
    rc = swki_certificate_normalise(pem, &text, err);
    if (rc == 0) {
        copy = swki_arena_memdup(arena, text.data, text.len);
        if (copy != NULL) {
            *out_pem = (struct swki_pem){copy, text.len};
        } else {
            rc = swki_fail_nomem(err);
        }
    }
    swki_buf_fini(&text);
    return rc;
}

static size_t count_certificates(struct swki_pem pem)
{
    static const char begin[] = "-----BEGIN ";
    const size_t begin_len = sizeof(begin) - 1;
    const char *text = pem.text;
    size_t count = 0;

    for (size_t i = 0; i + begin_len <= pem.len; i++) {
        count += memcmp(text + i, begin, begin_len) == 0;
    }
    return count;
}

/* Whether two certificates are for the same key. */
static int same_public_key(struct swki_pem a, struct swki_pem b, bool *out_same,
                           struct swk_error *err)
{
    struct swki_certificate_info info_a;
    struct swki_certificate_info info_b;
    int rc = swki_certificate_info_init(&info_a, NULL, a, err);

    if (rc != 0) {
        return rc;
    }
    rc = swki_certificate_info_init(&info_b, NULL, b, err);
    if (rc == 0) {
        *out_same = same_pem(swki_pem_of_buf(&info_a.public_key),
                             swki_pem_of_buf(&info_b.public_key));
        swki_certificate_info_fini(&info_b);
    }
    swki_certificate_info_fini(&info_a);
    return rc;
}

/* The key is one that can sign, and the certificate's. */
static int check_pair(struct swki_pem certificate, struct swki_pem key,
                      const struct swk_entropy *entropy, struct swk_error *err)
{
    const struct swki_signer_config config = {
        .certificate = certificate, .key = key, .entropy = entropy};
    struct swki_signer *signer = NULL;
    int rc = swki_signer_new(NULL, &config, &signer, err);

    swki_signer_free(signer);
    return rc;
}

/* -- External CAs --------------------------------------------------------- */

/* One that names no root belongs to the present one. */
static int belongs_to(const struct decision *d, const Swkpb__ExternalCA *ca,
                      struct swki_pem root, bool *out_belongs,
                      struct swk_error *err)
{
    struct swki_pem named = d->current;
    int rc = SWK_OK;

    if (ca->ca_cert.len > 0) {
        rc = normalise(d->arena, pem_of_data(&ca->ca_cert), &named, err);
    }
    if (rc == SWK_EMALFORMED) { /* it belongs to none */
        *out_belongs = false;
        return SWK_OK;
    }
    if (rc == 0) {
        *out_belongs = same_pem(named, root);
    }
    return rc;
}

bool swki_rotation_same_external_cas(const Swkpb__CAConfig *a,
                                     const Swkpb__CAConfig *b)
{
    size_t count = a != NULL ? a->n_external_cas : 0;

    if (count != (b != NULL ? b->n_external_cas : 0)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!swki_message_equal(&a->external_cas[i]->base,
                                &b->external_cas[i]->base)) {
            return false;
        }
    }
    return true;
}

static bool can_be_asked(const Swkpb__ExternalCA *ca)
{
    return ca->protocol == SWKPB__EXTERNAL_CA__CAPROTOCOL__CFSSL &&
           ca->url != NULL && strncmp(ca->url, "https://", 8) == 0;
}

/* The addresses of those that belong to a root. */
static int find_urls(const struct decision *d, struct swki_pem root,
                     struct swki_rotation_need *need, struct swk_error *err)
{
    const Swkpb__CAConfig *config = d->question->config;
    size_t count = config != NULL ? config->n_external_cas : 0;
    const char **urls;

    need->urls = NULL;
    need->urls_count = 0;
    if (count == 0) {
        return SWK_OK;
    }
    urls = swki_arena_calloc(d->arena, SWKI_ROTATION_URLS_MAX, sizeof(*urls));
    if (urls == NULL) {
        return swki_fail_nomem(err);
    }
    for (size_t i = 0; i < count && need->urls_count < SWKI_ROTATION_URLS_MAX;
         i++) {
        const Swkpb__ExternalCA *ca = config->external_cas[i];
        bool belongs = false;
        int rc = can_be_asked(ca) ? belongs_to(d, ca, root, &belongs, err) : 0;

        if (rc != 0) {
            return rc;
        }
        if (belongs) {
            urls[need->urls_count++] = ca->url;
        }
    }
    need->urls = urls;
    return SWK_OK;
}

static const struct swki_rotation_check *
find_check(const struct swki_rotation_work *work, struct swki_pem authority)
{
    for (size_t i = 0; work != NULL && i < work->checks_count; i++) {
        if (same_pem(swki_pem_of_buf(&work->checks[i].authority), authority)) {
            return &work->checks[i];
        }
    }
    return NULL;
}

/* Whether there is one that names no root, and so belongs to the present. */
static bool is_any_unbound(const Swkpb__CAConfig *config)
{
    for (size_t i = 0; i < config->n_external_cas; i++) {
        if (config->external_cas[i]->ca_cert.len == 0) {
            return true;
        }
    }
    return false;
}

/* Keys that are neither in the log nor with an external CA are with a signer:
 * it is not there, or does not hold this one. */
static int fail_unsigned(const struct decision *d, struct swki_pem authority,
                         const char *which, const char *why,
                         struct swk_error *err)
{
    const Swkpb__CAConfig *config = d->question->config;
    size_t named = config != NULL ? config->n_external_cas : 0;
    struct swki_rotation_need need;
    int rc = find_urls(d, authority, &need, err);

    if (rc != 0) {
        return rc;
    }
    if (named > 0 && need.urls_count == 0) {
        bool hint = is_any_unbound(config) && !same_pem(authority, d->current);

        return swki_fail(
            err, SWK_EINVAL,
            "no external CA that is named signs for the %s CA "
            "certificate%s: %s",
            which, hint ? " (one without cacert= is of the current one)" : "",
            why);
    }
    if (d->current_key.len == 0 && named == 0) {
        return swki_fail(err, SWK_EPRECONDITION,
                         "nobody signs with the key of the %s CA certificate: "
                         "%s",
                         which, why);
    }
    return swki_fail(err, SWK_EINVAL,
                     "there must be at least one valid, reachable external CA "
                     "corresponding to the %s CA certificate: %s",
                     which, why);
}

/* Somebody must be there that signs for a root whose key the swarm does not
 * hold. NOT_THIS_ROW if there is, DECIDED if that has to be found out first. */
static int require_signer(struct decision *d, struct swki_pem authority,
                          const char *which, struct swk_error *err)
{
    const struct swki_rotation_check *check = find_check(d->work, authority);
    int rc;

    if (check == NULL) {
        d->plan.step = SWKI_ROTATION_WORK;
        d->plan.need = (struct swki_rotation_need){
            .kind = SWKI_ROTATION_NEEDS_CHECK,
            .authority = authority,
        };
        rc = find_urls(d, authority, &d->plan.need, err);
        return rc != 0 ? rc : DECIDED;
    }
    if (check->outcome.code == 0) {
        return NOT_THIS_ROW;
    }
    return fail_unsigned(d, authority, which, check->outcome.text, err);
}

/* -- Rows ----------------------------------------------------------------- */

static int key_without_certificate(struct decision *d, struct swk_error *err)
{
    return d->desired_key.len > 0 && d->desired.len == 0
               ? swki_fail(err, SWK_EINVAL,
                           "if a signing CA key is provided, the signing CA "
                           "cert must also be provided")
               : NOT_THIS_ROW;
}

/* A certificate that cannot be read is for row 7 to tell. */
static bool wants_current(struct decision *d)
{
    struct swki_pem desired;

    return d->desired.len > 0 &&
           normalise(d->arena, d->desired, &desired, NULL) == 0 &&
           same_pem(desired, d->current);
}

static int key_for_keyless_root(struct decision *d, struct swk_error *err)
{
    int rc;

    if (d->current_key.len > 0 || d->desired_key.len == 0 ||
        !wants_current(d)) {
        return NOT_THIS_ROW;
    }
    rc = check_pair(d->desired, d->desired_key, d->question->entropy, err);
    if (rc != 0) {
        return swki_fail(err, SWK_EINVAL, "certificate key mismatch");
    }
    d->plan.step = SWKI_ROTATION_REKEY;
    d->plan.key = d->desired_key;
    return DECIDED;
}

static int keyless_root(struct decision *d, struct swk_error *err)
{
    return d->current_key.len == 0
               ? require_signer(d, d->current, "current", err)
               : NOT_THIS_ROW;
}

static int start(struct decision *d, struct swki_pem root, struct swki_pem key,
                 struct swk_error *err);

static int forced(struct decision *d, struct swk_error *err)
{
    if (d->desired.len > 0 || !d->forced) {
        return NOT_THIS_ROW;
    }
    if (d->work == NULL || d->work->root.len == 0) {
        d->plan.step = SWKI_ROTATION_WORK;
        d->plan.need.kind = SWKI_ROTATION_NEEDS_ROOT;
        return DECIDED;
    }
    return start(d, swki_pem_of_buf(&d->work->root),
                 swki_pem_of_buf(&d->work->root_key), err);
}

static int keyless_rotation(struct decision *d, struct swk_error *err)
{
    return d->desired.len == 0 && d->next.len > 0 && d->next_key.len == 0
               ? require_signer(d, d->next, "next", err)
               : NOT_THIS_ROW;
}

static int nothing_desired(struct decision *d, struct swk_error *err)
{
    (void)err;
    return d->desired.len == 0 ? DECIDED : NOT_THIS_ROW; /* KEEP */
}

/* From here on a certificate is desired. */
static int bad_certificate(struct decision *d, struct swk_error *err)
{
    int rc = swki_roots_check(d->desired, d->question->now, err);

    if (rc == 0 && d->desired_key.len > 0) {
        rc = check_pair(d->desired, d->desired_key, d->question->entropy, err);
    }
    if (rc == 0) {
        rc = normalise(d->arena, d->desired, &d->desired, err);
    }
    if (rc == SWK_EMALFORMED || rc == SWK_ECLOCK) { /* the caller's mistake */
        rc = SWK_EINVAL;
        if (err != NULL) {
            err->code = rc;
        }
    }
    return rc;
}

static int several_certificates(struct decision *d, struct swk_error *err)
{
    return count_certificates(d->desired) > 1
               ? swki_fail(err, SWK_EINVAL,
                           "the desired CA certificate cannot contain "
                           "multiple certificates")
               : NOT_THIS_ROW;
}

static int expires_soon(struct decision *d, struct swk_error *err)
{
    struct swki_certificate_info info;
    swk_wall limit = d->question->now + (swk_wall)SWKI_ROTATION_VALIDITY_MIN;
    int rc = swki_certificate_info_init(&info, NULL, d->desired, err);

    if (rc != 0) {
        return rc;
    }
    if (info.not_after < limit) {
        rc = swki_fail(err, SWK_EINVAL, "CA certificate expires too soon");
    }
    swki_certificate_info_fini(&info);
    return rc;
}

static int keyless_desired(struct decision *d, struct swk_error *err)
{
    return d->desired_key.len == 0
               ? require_signer(d, d->desired, "desired", err)
               : NOT_THIS_ROW;
}

static int current_desired(struct decision *d, struct swk_error *err)
{
    (void)err;
    if (!same_pem(d->desired, d->current)) {
        return NOT_THIS_ROW;
    }
    d->plan.step = SWKI_ROTATION_REKEY;
    d->plan.key = d->desired_key;
    return DECIDED;
}

/* Two roots of one key could not be told apart by those who verify. */
static int same_key(struct decision *d, struct swk_error *err)
{
    bool same = false;
    int rc = same_public_key(d->desired, d->current, &same, err);

    if (rc != 0) {
        return rc;
    }
    return same ? swki_fail(err, SWK_EINVAL,
                            "Cannot update to a cert with an identical key")
                : NOT_THIS_ROW;
}

static int rotation_desired(struct decision *d, struct swk_error *err)
{
    (void)err;
    if (d->next.len == 0 || !same_pem(d->desired, d->next)) {
        return NOT_THIS_ROW;
    }
    d->plan.step = SWKI_ROTATION_CONTINUE;
    d->plan.key = d->desired_key;
    return DECIDED;
}

static int another_desired(struct decision *d, struct swk_error *err)
{
    return start(d, d->desired, d->desired_key, err);
}

/* Begins a rotation, once the present root has signed the new one: always the
 * present one, never that of a rotation under way, which nobody trusts yet. */
static int start(struct decision *d, struct swki_pem root, struct swki_pem key,
                 struct swk_error *err)
{
    const struct swki_rotation_work *work = d->work;
    struct swki_rotation_need need = {
        .kind = SWKI_ROTATION_NEEDS_CROSS,
        .authority = d->current,
        .authority_key = d->current_key,
        .root = root,
    };

    if (work != NULL && work->cross.len > 0 &&
        same_pem(swki_pem_of_buf(&work->cross_root), root) &&
        same_pem(swki_pem_of_buf(&work->cross_authority), d->current)) {
        d->plan.step = SWKI_ROTATION_START;
        d->plan.certificate = root;
        d->plan.key = key;
        d->plan.cross = swki_pem_of_buf(&work->cross);
        return DECIDED;
    }
    if (d->current_key.len == 0) {
        int rc = find_urls(d, d->current, &need, err);

        if (rc != 0) {
            return rc;
        }
    }
    if (need.urls_count > 0 && key.len == 0) {
        return swki_fail(err, SWK_EINVAL,
                         "rotating from one external CA to a different "
                         "external CA is not supported");
    }
    if (need.urls_count > 0) { /* it is asked in the name of the new root */
        need.root_key = key;
    }
    d->plan.step = SWKI_ROTATION_WORK;
    d->plan.need = need;
    return DECIDED;
}

static const row_fn rows[] = {
    key_without_certificate, /* 1 */
    key_for_keyless_root,    /* 2 */
    keyless_root,            /* 3 */
    forced,                  /* 4 */
    keyless_rotation,        /* 5 */
    nothing_desired,         /* 6 */
    bad_certificate,         /* 7 */
    several_certificates,    /* 8 */
    expires_soon,            /* 9 */
    keyless_desired,         /* 10 */
    current_desired,         /* 11 */
    same_key,                /* 12 */
    rotation_desired,        /* 13 */
    another_desired,         /* 14 */
};

/* -- The decision --------------------------------------------------------- */

static int read_state(struct decision *d, struct swk_error *err)
{
    const Swkpb__RootCA *root = d->question->root;
    const Swkpb__RootRotation *rotation = root->root_rotation;
    int rc = normalise(d->arena, pem_of_data(&root->ca_cert), &d->current, err);

    d->current_key = pem_of_data(&root->ca_key);
    if (rc == 0 && rotation != NULL) {
        rc =
            normalise(d->arena, pem_of_data(&rotation->ca_cert), &d->next, err);
        d->next_key = pem_of_data(&rotation->ca_key);
    }
    if (rc == 0 || rc == SWK_ENOMEM) {
        return rc;
    }
    swki_error_prefix(err, "the swarm's root certificate");
    if (err != NULL) {
        err->code = SWK_EINTERNAL;
    }
    return SWK_EINTERNAL;
}

static void read_wish(struct decision *d)
{
    const Swkpb__CAConfig *config = d->question->config;

    if (config != NULL) {
        d->desired = pem_of_data(&config->signing_ca_cert);
        d->desired_key = pem_of_data(&config->signing_ca_key);
        d->forced = config->force_rotate !=
                    d->question->root->last_forced_rotation;
    }
}

int swki_rotation_decide(const struct swki_rotation_question *question,
                         const struct swki_rotation_work *work,
                         struct swki_arena *arena,
                         struct swki_rotation_plan *out_plan,
                         struct swk_error *err)
{
    struct decision d = {
        .question = question,
        .work = work,
        .arena = arena,
    };
    int rc = read_state(&d, err);

    if (rc != 0) {
        return rc;
    }
    read_wish(&d);
    for (size_t i = 0; rc == NOT_THIS_ROW && i < sizeof(rows) / sizeof(rows[0]);
         i++) {
        rc = rows[i](&d, err);
    }
    if (rc < 0) {
        return rc;
    }
    *out_plan = d.plan;
    return SWK_OK;
}

/* -- Its effect ----------------------------------------------------------- */

static bool put_pem(struct swki_arena *arena, struct swki_pem pem,
                    ProtobufCBinaryData *out_data)
{
    uint8_t *data = NULL;

    if (pem.len > 0) {
        data = swki_arena_memdup(arena, pem.text, pem.len);
        if (data == NULL) {
            return false;
        }
    }
    *out_data = (ProtobufCBinaryData){.len = pem.len, .data = data};
    return true;
}

static bool put_rotation(const struct swki_rotation_plan *plan,
                         struct swki_arena *arena, Swkpb__RootCA *root)
{
    Swkpb__RootRotation *rotation = swki_arena_alloc(arena, sizeof(*rotation));

    if (rotation == NULL) {
        return false;
    }
    swkpb__root_rotation__init(rotation);
    root->root_rotation = rotation;
    return put_pem(arena, plan->certificate, &rotation->ca_cert) &&
           put_pem(arena, plan->key, &rotation->ca_key) &&
           put_pem(arena, plan->cross, &rotation->cross_signed_ca_cert);
}

int swki_rotation_apply(const struct swki_rotation_plan *plan,
                        uint64_t force_rotate, struct swki_arena *arena,
                        Swkpb__RootCA *root, struct swk_error *err)
{
    bool complete = true;

    switch (plan->step) {
    case SWKI_ROTATION_KEEP:
        return SWK_OK;
    case SWKI_ROTATION_WORK:
        return swki_fail(err, SWK_EINTERNAL,
                         "a change of the CA is not decided yet");
    case SWKI_ROTATION_REKEY:
        root->root_rotation = NULL;
        complete = put_pem(arena, plan->key, &root->ca_key);
        break;
    case SWKI_ROTATION_CONTINUE:
        complete = put_pem(arena, plan->key, &root->root_rotation->ca_key);
        break;
    case SWKI_ROTATION_START:
        complete = put_rotation(plan, arena, root);
        break;
    }
    root->last_forced_rotation = force_rotate;
    return complete ? SWK_OK : swki_fail_nomem(err);
}

/* -- Work ----------------------------------------------------------------- */

void swki_rotation_work_init(struct swki_rotation_work *work,
                             const struct swk_alloc *alloc)
{
    *work = (struct swki_rotation_work){.alloc = alloc};
    swki_buf_init(&work->root, alloc, SWKI_PEM_LEN_MAX);
    swki_buf_init(&work->root_key, alloc, SWKI_PEM_LEN_MAX);
    swki_buf_init(&work->cross, alloc, SWKI_PEM_LEN_MAX);
    swki_buf_init(&work->cross_root, alloc, SWKI_PEM_LEN_MAX);
    swki_buf_init(&work->cross_authority, alloc, SWKI_PEM_LEN_MAX);
}

void swki_rotation_work_fini(struct swki_rotation_work *work)
{
    swki_wipe(work->root_key.data, work->root_key.size);
    swki_buf_fini(&work->root_key);
    swki_buf_fini(&work->root);
    swki_buf_fini(&work->cross);
    swki_buf_fini(&work->cross_root);
    swki_buf_fini(&work->cross_authority);
    for (size_t i = 0; i < work->checks_count; i++) {
        swki_buf_fini(&work->checks[i].authority);
    }
    work->checks_count = 0;
}

static int keep(struct swki_buf *buf, struct swki_pem pem,
                struct swk_error *err)
{
    swki_buf_clear(buf);
    /* At once: growing a key would leave copies behind. */
    return swki_buf_append(buf, pem.text, pem.len) ? SWK_OK
                                                   : swki_fail_nomem(err);
}

static int add_check(struct swki_rotation_work *work,
                     const struct swki_rotation_need *need,
                     const struct swki_rotation_result *result,
                     struct swk_error *err)
{
    struct swki_rotation_check *check = &work->checks[work->checks_count];
    int rc;

    if (work->checks_count == SWKI_ROTATION_CHECKS_MAX) {
        return swki_fail(err, SWK_EABORTED,
                         "the swarm's CA changes too often to be changed");
    }
    swki_buf_init(&check->authority, work->alloc, SWKI_PEM_LEN_MAX);
    rc = keep(&check->authority, need->authority, err);
    if (rc != 0) {
        swki_buf_fini(&check->authority);
        return rc;
    }
    check->outcome = (struct swk_error){.code = result->code};
    if (result->code != 0) {
        swki_fail(&check->outcome, result->code, "%s",
                  result->text != NULL ? result->text
                                       : swk_error_name(result->code));
    }
    work->checks_count++;
    return SWK_OK;
}

static int keep_one(struct swki_buf *buf, struct swki_pem pem,
                    struct swk_error *err)
{
    if (count_certificates(pem) != 1) {
        return swki_fail(err, SWK_EMALFORMED, "it is not one certificate");
    }
    swki_buf_clear(buf);
    return swki_certificate_normalise(pem, buf, err);
}

static int add_root(struct swki_rotation_work *work,
                    const struct swki_rotation_result *result, swk_wall now,
                    const struct swk_entropy *entropy, struct swk_error *err)
{
    int rc = swki_roots_check(result->certificate, now, err);

    if (rc == 0 && result->key.len > 0) {
        rc = check_pair(result->certificate, result->key, entropy, err);
    }
    if (rc == 0) {
        rc = keep(&work->root_key, result->key, err);
    }
    if (rc == 0) {
        rc = keep_one(&work->root, result->certificate, err);
    }
    return rc;
}

/* Whoever signed is not believed: it must be for the key and the name that were
 * asked for, serve as a CA, and lead to the authority. */
static int check_cross(const struct swki_rotation_need *need,
                       struct swki_pem cross, swk_wall now,
                       struct swk_error *err)
{
    const struct swki_chain chain = {
        .certificates = cross, .roots = need->authority, .now = now};
    int rc = swki_cross_check(cross, need->root, err);

    return rc == 0 ? swki_chain_verify(&chain, NULL, err) : rc;
}

static int add_cross(struct swki_rotation_work *work,
                     const struct swki_rotation_need *need,
                     const struct swki_rotation_result *result, swk_wall now,
                     struct swk_error *err)
{
    int rc = check_cross(need, result->certificate, now, err);

    if (rc == 0) {
        rc = keep_one(&work->cross, result->certificate, err);
    }
    if (rc == 0) {
        rc = keep(&work->cross_root, need->root, err);
    }
    if (rc == 0) {
        rc = keep(&work->cross_authority, need->authority, err);
    }
    return rc;
}

int swki_rotation_work_add(struct swki_rotation_work *work,
                           const struct swki_rotation_need *need,
                           const struct swki_rotation_result *result,
                           swk_wall now, const struct swk_entropy *entropy,
                           struct swk_error *err)
{
    const char *what = "unable to generate a cross-signed certificate for "
                       "root rotation";
    struct swk_error why = {0};
    int rc;

    if (need->kind == SWKI_ROTATION_NEEDS_CHECK) {
        return add_check(work, need, result, err);
    }
    if (result->code != 0) {
        rc = swki_fail(&why, result->code, "%s",
                       result->text != NULL ? result->text
                                            : swk_error_name(result->code));
    } else if (need->kind == SWKI_ROTATION_NEEDS_ROOT) {
        rc = add_root(work, result, now, entropy, &why);
    } else {
        rc = add_cross(work, need, result, now, &why);
    }
    if (rc == 0 || rc == SWK_ENOMEM) {
        return rc == 0 ? SWK_OK : swki_fail_nomem(err);
    }
    if (need->kind == SWKI_ROTATION_NEEDS_ROOT) {
        what = "no new root could be made for root rotation";
    }
    return swki_fail(err, SWK_EINTERNAL, "%s: %.120s", what, why.text);
}

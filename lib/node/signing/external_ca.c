/* SPDX-License-Identifier: Apache-2.0 */

#include "node/signing/external_ca.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "node/signing/sign_worker.h"
#include "wire/cfssl.h"

enum {
    HTTP_OK = 200,
    HTTP_CLIENT_ERRORS = 400, /* the request was at fault */
    HTTP_SERVER_ERRORS = 500,
    HTTP_NOT_IMPLEMENTED = 501,              /* the method */
    REQUEST_SIZE_MAX = 2 * SWKI_PEM_LEN_MAX, /* a CSR, with room for escapes */
    HOSTS_MAX = 3,
};

/* As texts that end in a NUL. */
struct identity {
    struct swki_buf certificate;
    struct swki_buf key; /* secret */
};

struct swki_external_ca {
    const struct swk_alloc *alloc;
    struct swk_entropy entropy;
    struct swki_https *https;
    struct swki_sign_worker *worker;
    struct swk_signer port;
    pthread_mutex_t lock; /* of the identity */
    struct identity identity;
};

/* -- Who asks ------------------------------------------------------------- */

static void identity_init(struct identity *identity,
                          const struct swk_alloc *alloc)
{
    swki_buf_init(&identity->certificate, alloc, SWKI_PEM_LEN_MAX + 1);
    swki_buf_init(&identity->key, alloc, SWKI_PEM_LEN_MAX + 1);
}

static void identity_fini(struct identity *identity)
{
    if (identity->key.data != NULL) {
        swki_wipe(identity->key.data, identity->key.size);
    }
    swki_buf_fini(&identity->key);
    swki_buf_fini(&identity->certificate);
}

static bool put_text(struct swki_buf *buf, const void *text, size_t len)
{
    return swki_buf_append(buf, text, len) && swki_buf_append_byte(buf, 0);
}

int swki_external_ca_set_identity(struct swki_external_ca *ca,
                                  struct swki_pem certificate,
                                  struct swki_pem key, struct swk_error *err)
{
    struct identity fresh;
    struct identity old;

    identity_init(&fresh, ca->alloc);
    if (!put_text(&fresh.certificate, certificate.text, certificate.len) ||
        !put_text(&fresh.key, key.text, key.len)) {
        identity_fini(&fresh);
        return swki_fail_nomem(err);
    }
    pthread_mutex_lock(&ca->lock);
    old = ca->identity;
    ca->identity = fresh;
    pthread_mutex_unlock(&ca->lock);
    identity_fini(&old);
    return SWK_OK;
}

/* A copy, since the manager may get another one meanwhile. */
static int copy_identity(struct swki_external_ca *ca, struct identity *out,
                         struct swk_error *err)
{
    bool ok;
    bool any;

    identity_init(out, ca->alloc);
    pthread_mutex_lock(&ca->lock);
    any = ca->identity.key.len > 0;
    ok =
        swki_buf_append(&out->certificate, ca->identity.certificate.data,
                        ca->identity.certificate.len) &&
        swki_buf_append(&out->key, ca->identity.key.data, ca->identity.key.len);
    pthread_mutex_unlock(&ca->lock);
    if (!any) {
        return swki_fail(err, SWK_EUNAVAILABLE,
                         "this manager has no certificate to ask with");
    }
    return ok ? SWK_OK : swki_fail_nomem(err);
}

/* -- What is asked -------------------------------------------------------- */

static int write_node(const struct swk_sign_request *request,
                      struct swki_buf *out_body, struct swk_error *err)
{
    const bool is_manager = request->role == SWK_NODE_MANAGER;
    const char *ou = is_manager ? SWKI_OU_MANAGER : SWKI_OU_WORKER;
    const char *const hosts[HOSTS_MAX] = {ou, request->node_id,
                                          SWKI_SERVER_NAME_CA};
    const struct swki_cfssl_request what = {
        .hosts = hosts,
        .hosts_count = is_manager ? HOSTS_MAX : HOSTS_MAX - 1,
        .csr = request->csr.data,
        .csr_len = request->csr.len,
        .cn = request->node_id,
        .o = request->swarm_id,
        .ou = ou,
        .profile = "",
        .not_before = request->now - (swk_wall)SWKI_LEAF_BACKDATE,
        .not_after = request->now + (swk_wall)request->validity_ns,
    };
    /* Who asks is to have the key, and that is for us to see. */
    int rc = swki_csr_check(
        (struct swki_pem){request->csr.data, request->csr.len}, err);

    return rc != 0 ? rc : swki_cfssl_write(&what, out_body, err);
}

static struct swki_pem pem_of(struct swk_bytes bytes)
{
    return (struct swki_pem){bytes.data, bytes.len};
}

/* The first CN has a place of its own. */
static void fill_subject(const struct swki_subject *subject,
                         struct swki_cfssl_name names[SWKI_SUBJECT_PARTS_MAX],
                         struct swki_cfssl_request *what)
{
    what->cn = "";
    what->names = names;
    for (size_t i = 0; i < subject->parts_count; i++) {
        const struct swki_subject_part *part = &subject->parts[i];

        if (strcmp(part->word, "CN") == 0 && what->cn[0] == '\0') {
            what->cn = part->value;
        } else {
            names[what->names_count++] =
                (struct swki_cfssl_name){part->word, part->value};
        }
    }
}

/* Asks in the name of the root, as the CA must see that who asks has its key.
 * With a validity of its own the cross certificate could end before the
 * rotation does. */
static int write_cross_with(const struct swk_sign_request *request,
                            const struct swki_buf *csr,
                            struct swki_buf *out_body, struct swk_error *err)
{
    struct swki_cfssl_name names[SWKI_SUBJECT_PARTS_MAX];
    struct swki_cfssl_request what = {
        .csr = (const char *)csr->data,
        .csr_len = csr->len,
        .profile = "CA",
        .is_ca = 1,
    };
    struct swki_certificate_info info;
    struct swki_subject subject;
    int rc = swki_certificate_subject(pem_of(request->root), &subject, err);

    if (rc == 0) {
        rc =
            swki_certificate_info_init(&info, NULL, pem_of(request->root), err);
    }
    if (rc != 0) {
        return rc;
    }
    fill_subject(&subject, names, &what);
    what.not_before = info.not_before;
    what.not_after = info.not_after;
    swki_certificate_info_fini(&info);
    return swki_cfssl_write(&what, out_body, err);
}

static int write_cross(const struct swki_external_ca *ca,
                       const struct swk_sign_request *request,
                       struct swki_buf *out_body, struct swk_error *err)
{
    struct swki_buf csr;
    int rc;

    if (request->root_key.len == 0) {
        return swki_fail(err, SWK_ENOTSUP,
                         "an external CA signs only roots whose key is at "
                         "hand");
    }
    swki_buf_init(&csr, NULL, SWKI_PEM_LEN_MAX);
    rc = swki_cross_request(pem_of(request->root), pem_of(request->root_key),
                            &ca->entropy, &csr, err);
    if (rc == 0) {
        rc = write_cross_with(request, &csr, out_body, err);
    }
    swki_buf_fini(&csr);
    return rc;
}

static int write_body(const struct swki_external_ca *ca,
                      const struct swk_sign_request *request,
                      struct swki_buf *out_body, struct swk_error *err)
{
    switch (request->kind) {
    case SWK_SIGN_NODE:
        return write_node(request, out_body, err);
    case SWK_SIGN_CROSS:
        return write_cross(ca, request, out_body, err);
    case SWK_SIGN_CHECK:
        return SWK_OK;
    default:
        return swki_fail(err, SWK_ENOTSUP, "external CAs make no roots");
    }
}

/* -- Asking --------------------------------------------------------------- */

/* One question, to be put to several. */
struct question {
    struct swki_https *https;
    const struct swk_sign_request *request;
    const struct identity *identity;
    const char *roots;
    const struct swki_buf *body; /* empty: whether somebody is there */
};

/* An answer of another status. It is about this request alone if it says so, or
 * if it is in the CA's own words; else nobody may be there who could sign. */
static int read_refusal(int status, const struct swki_buf *answer,
                        struct swk_error *err)
{
    struct swki_buf pem;
    struct swk_error why = {0};
    int rc;

    swki_buf_init(&pem, NULL, SWKI_CFSSL_ANSWER_MAX);
    rc = swki_cfssl_read(answer->data, answer->len, &pem, &why);
    swki_buf_fini(&pem);
    if (rc == SWK_EDENIED) {
        return swki_fail(err, SWK_EABORTED, "HTTP status %d: %s", status,
                         why.text);
    }
    return swki_fail(err,
                     status >= HTTP_CLIENT_ERRORS && status < HTTP_SERVER_ERRORS
                         ? SWK_EABORTED
                         : SWK_EUNAVAILABLE,
                     "HTTP status %d", status);
}

/* Nothing was asked for, so only a server in trouble says something: another
 * refuses a GET in some way, if it takes nothing but requests to sign. */
static int read_check(int status, struct swk_error *err)
{
    return status >= HTTP_SERVER_ERRORS && status != HTTP_NOT_IMPLEMENTED
               ? swki_fail(err, SWK_EUNAVAILABLE, "HTTP status %d", status)
               : SWK_OK;
}

static int ask(const struct question *question, const char *url,
               struct swki_buf *out_pem, struct swk_error *err)
{
    const bool checks = question->body->len == 0;
    const struct swki_https_request request = {
        .method = checks ? "GET" : "POST",
        .url = url,
        .roots = question->roots,
        .certificate = (const char *)question->identity->certificate.data,
        .key = (const char *)question->identity->key.data,
        .content_type = checks ? NULL : "application/json",
        .body = question->body->data,
        .body_len = question->body->len,
        .answer_max = SWKI_CFSSL_ANSWER_MAX,
        .limit_ns = SWKI_EXTERNAL_CA_LIMIT,
    };
    struct swki_buf answer;
    int status = 0;
    int rc;

    swki_buf_init(&answer, NULL, SWKI_CFSSL_ANSWER_MAX);
    rc = swki_https_call(question->https, &request, &status, &answer, err);
    if (rc == 0 && checks) {
        rc = read_check(status, err);
    } else if (rc == 0 && status != HTTP_OK) {
        rc = read_refusal(status, &answer, err);
    }
    if (rc != 0 && (rc == SWK_EINVAL || rc == SWK_ENOTSUP)) {
        rc = SWK_EPRECONDITION; /* a setting is wrong, not the request */
    }
    if (rc == 0 && !checks) {
        rc = swki_cfssl_read(answer.data, answer.len, out_pem, err);
    }
    swki_buf_fini(&answer);
    return rc;
}

/* What a CA answered; by the weight that it has beside others. */
enum verdict {
    IS_AWAY,    /* it may yet sign; as may others */
    SAYS_NO,    /* for good */
    REFUSES_IT, /* this request, for now */
};

static enum verdict verdict_of(int rc)
{
    switch (rc) {
    case SWK_EDENIED:
        return SAYS_NO;
    case SWK_ELIMIT:
    case SWK_EABORTED:
        return REFUSES_IT;
    default:
        return IS_AWAY;
    }
}

/* Of two failures what they say together: a no of each is a no; if one is away
 * and another refused, it is this request that waits, and not all others. */
static int join_codes(int a, int b)
{
    if (verdict_of(a) == verdict_of(b)) {
        return b;
    }
    return SWK_EABORTED;
}

/* The last failure is told, but one that may pass before one that is final. */
static int ask_all(const struct question *question, struct swki_buf *out_pem,
                   struct swk_error *err)
{
    const struct swk_sign_request *request = question->request;
    struct swk_error last = {0};
    int code = SWK_EUNAVAILABLE;

    for (size_t i = 0; i < request->urls_count; i++) {
        struct swk_error why = {0};
        int rc = ask(question, request->urls[i], out_pem, &why);

        if (rc == 0 || rc == SWK_ECANCELED) {
            return rc == 0 ? SWK_OK : swki_fail(err, rc, "%s", why.text);
        }
        swki_buf_clear(out_pem);
        code = i == 0 ? rc : join_codes(code, rc);
        if (i == 0 || rc != SWK_EDENIED || last.code == SWK_EDENIED) {
            last = why;
            last.code = rc;
            swki_error_prefix(&last, "%s", request->urls[i]);
        }
    }
    return swki_fail(err, code, "%s", last.text);
}

/* On a thread of the worker. */
static int work(void *ctx, const struct swk_sign_request *request,
                struct swki_job_output *output, struct swk_error *err)
{
    struct swki_external_ca *ca = ctx;
    struct identity identity;
    struct question question = {
        .https = ca->https, .request = request, .identity = &identity};
    struct swki_buf roots;
    struct swki_buf body;
    int rc = copy_identity(ca, &identity, err);

    swki_buf_init(&roots, ca->alloc, SIZE_MAX);
    swki_buf_init(&body, ca->alloc, REQUEST_SIZE_MAX);
    if (rc == 0 &&
        !put_text(&roots, request->urls_roots.data, request->urls_roots.len)) {
        rc = swki_fail_nomem(err);
    }
    if (rc == 0) {
        rc = write_body(ca, request, &body, err);
    }
    if (rc == 0) {
        question.roots = (const char *)roots.data;
        question.body = &body;
        rc = ask_all(&question, &output->certificate, err);
    }
    swki_buf_fini(&body);
    swki_buf_fini(&roots);
    identity_fini(&identity);
    return rc;
}

/* -- Life ----------------------------------------------------------------- */

int swki_external_ca_new(const struct swki_https_config *config,
                         struct swki_external_ca **out_ca,
                         struct swk_error *err)
{
    struct swki_external_ca *ca = swki_calloc(config->alloc, 1, sizeof(*ca));
    struct swki_sign_worker_config worker = {
        .alloc = config->alloc,
        .threads_max = SWKI_EXTERNAL_CA_THREADS,
        .work = work,
    };
    int rc;

    if (ca == NULL) {
        return swki_fail_nomem(err);
    }
    ca->alloc = config->alloc;
    ca->entropy = *config->entropy;
    pthread_mutex_init(&ca->lock, NULL);
    identity_init(&ca->identity, config->alloc);
    worker.ctx = ca;
    rc = swki_https_new(config, &ca->https, err);
    if (rc == 0) {
        rc = swki_sign_worker_new(&worker, &ca->worker, err);
    }
    if (rc != 0) {
        swki_external_ca_free(ca);
        return rc;
    }
    ca->port = swki_sign_worker_port(ca->worker);
    *out_ca = ca;
    return SWK_OK;
}

void swki_external_ca_free(struct swki_external_ca *ca)
{
    if (ca == NULL) {
        return;
    }
    if (ca->https != NULL) {
        swki_https_close(ca->https);
    }
    swki_sign_worker_free(ca->worker);
    swki_https_free(ca->https);
    identity_fini(&ca->identity);
    pthread_mutex_destroy(&ca->lock);
    swki_free(ca->alloc, ca);
}

const struct swk_signer *
swki_external_ca_port(const struct swki_external_ca *ca)
{
    return &ca->port;
}

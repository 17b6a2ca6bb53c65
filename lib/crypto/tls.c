/* SPDX-License-Identifier: Apache-2.0 */

#include "crypto/tls.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <mbedtls/version.h>

#include "crypto/mbed.h"

#include <mbedtls/ssl.h>

#if MBEDTLS_VERSION_MAJOR >= 3
#include <psa/crypto.h>
#endif

#include "base/alloc.h"
#include "base/error.h"
#include "crypto/tls_session.h"

enum {
    READ_CHUNK_SIZE = 4096,
    FLAGS_TEXT_SIZE = 64,
    SERVER_NAME_LEN_MAX = 255,
    SESSIONS_MAX = 256,
};

/* Alerts by which the other side refuses a certificate; RFC 8446, section 6. */
enum {
    ALERT_BAD_CERTIFICATE = 42,
    ALERT_CERTIFICATE_UNKNOWN = 46,
    ALERT_UNKNOWN_CA = 48,
    ALERT_ACCESS_DENIED = 49,
    ALERT_DECRYPT_ERROR = 51,
    ALERT_CERTIFICATE_REQUIRED = 116,
};

/* What both ends must have in common. All of it is read by connections as long
 * as they live, so it is static. */
static const char *alpn_protocols[] = {"swarmkit/1", NULL};

static const int cipher_suites[] = {
#if MBEDTLS_VERSION_MAJOR >= 3
    MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
#endif
    /* Without AES instructions in Debian's build the first is the faster. */
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    0,
};

/* With others, also for certificates of RSA. */
static const int foreign_suites[] = {
#if MBEDTLS_VERSION_MAJOR >= 3
    MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
    MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
#endif
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    0,
};

/* Left alone, 2.28 picks P-521, at twice the price of a handshake. */
#if MBEDTLS_VERSION_MAJOR < 3
static const mbedtls_ecp_group_id curves[] = {MBEDTLS_ECP_DP_SECP256R1,
                                              MBEDTLS_ECP_DP_NONE};
/* For signatures of handshakes; SHA-1 and SHA-224 are not among them. */
static const int digests[] = {MBEDTLS_MD_SHA256, MBEDTLS_MD_SHA384,
                              MBEDTLS_MD_SHA512, MBEDTLS_MD_NONE};
#else
static const uint16_t groups[] = {MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1,
                                  MBEDTLS_SSL_IANA_TLS_GROUP_X25519,
                                  MBEDTLS_SSL_IANA_TLS_GROUP_NONE};
#endif

static const char refused_text[] = "the peer refused our certificate";

struct swki_tls_context {
    const struct swk_alloc *alloc;
    atomic_uint refs;
    enum swki_tls_side side;
    bool verifies; /* has roots */
    bool foreign;  /* whoever is there speaks a protocol of its own */
    struct swk_entropy entropy;
    swk_wall (*wall)(void *ctx);
    void *wall_ctx;
    mbedtls_ssl_config conf;
    mbedtls_x509_crt chain;
    mbedtls_x509_crt roots;
    mbedtls_pk_context key;
    struct swki_tls_tickets *tickets;   /* of a server that verifies */
    struct swki_tls_sessions *sessions; /* of a client that remembers */
};

enum state {
    STATE_HANDSHAKE,
    STATE_OPEN,
    STATE_FAILED, /* ended, in good order or not */
};

struct swki_tls {
    struct swki_tls_context *context;
    enum state state;
    int failure; /* enum swk_error_code, in STATE_FAILED */
    mbedtls_ssl_context ssl;
    const uint8_t *input; /* borrowed for the feed that runs */
    size_t input_len;
    struct swki_buf output;
    uint32_t refusal; /* what verification had against the peer */
    bool has_read;    /* plaintext has come: the peer accepted us */
    bool judged;  /* the peer's chain was verified: no session was taken up */
    bool offered; /* a session, to the server */
    size_t handshake_len; /* bytes that the handshake has taken */
    char *session;        /* the name of this server's; NULL for none */
};

/* ---- contexts ---- */

static void set_versions(mbedtls_ssl_config *conf)
{
#if MBEDTLS_VERSION_MAJOR < 3
    mbedtls_ssl_conf_min_version(conf, MBEDTLS_SSL_MAJOR_VERSION_3,
                                 MBEDTLS_SSL_MINOR_VERSION_3);
    mbedtls_ssl_conf_curves(conf, curves);
    mbedtls_ssl_conf_sig_hashes(conf, digests);
#else
    mbedtls_ssl_conf_min_tls_version(conf, MBEDTLS_SSL_VERSION_TLS1_2);
    mbedtls_ssl_conf_groups(conf, groups);
#endif
#if defined(MBEDTLS_SSL_RENEGOTIATION)
    mbedtls_ssl_conf_renegotiation(conf, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
#endif
}

/* Sessions of 1.2 alone: one of 1.3 that is taken up again has lost the peer's
 * certificate. */
static void set_sessions(struct swki_tls_context *context)
{
    mbedtls_ssl_config *conf = &context->conf;

    mbedtls_ssl_conf_session_tickets(
        conf, context->sessions != NULL ? MBEDTLS_SSL_SESSION_TICKETS_ENABLED
                                        : MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
    if (context->tickets != NULL) {
        mbedtls_ssl_conf_session_tickets_cb(conf, swki_tls_ticket_write,
                                            swki_tls_ticket_parse,
                                            context->tickets);
    }
#if MBEDTLS_VERSION_MAJOR >= 3
    mbedtls_ssl_conf_new_session_tickets(conf, 0);
    mbedtls_ssl_conf_tls13_key_exchange_modes(
        conf, MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL);
    if (context->sessions != NULL) {
        mbedtls_ssl_conf_max_tls_version(conf, MBEDTLS_SSL_VERSION_TLS1_2);
    }
#endif
}

/* A server lets clients without certificate in; those with a bad one are
 * refused by the verification callback, which this mode does not silence. */
static int auth_mode(const struct swki_tls_context *context)
{
    if (!context->verifies) {
        return MBEDTLS_SSL_VERIFY_NONE;
    }
    return context->side == SWKI_TLS_SERVER ? MBEDTLS_SSL_VERIFY_OPTIONAL
                                            : MBEDTLS_SSL_VERIFY_REQUIRED;
}

static int configure(struct swki_tls_context *context, struct swk_error *err)
{
    mbedtls_ssl_config *conf = &context->conf;
    bool is_server = context->side == SWKI_TLS_SERVER;

    if (mbedtls_ssl_config_defaults(
            conf, is_server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT,
            MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT) != 0) {
        return swki_fail_nomem(err);
    }
    set_versions(conf);
    set_sessions(context);
    mbedtls_ssl_conf_ciphersuites(conf, context->foreign ? foreign_suites
                                                         : cipher_suites);
    mbedtls_ssl_conf_cert_profile(conf, &swki_mbed_profile);
    mbedtls_ssl_conf_rng(conf, swki_mbed_random, &context->entropy);
    mbedtls_ssl_conf_authmode(conf, auth_mode(context));
    if (context->verifies) {
        mbedtls_ssl_conf_ca_chain(conf, &context->roots, NULL);
    }
    if (!context->foreign &&
        mbedtls_ssl_conf_alpn_protocols(conf, alpn_protocols) != 0) {
        return swki_fail(err, SWK_EINTERNAL, "TLS protocol name refused");
    }
    return SWK_OK;
}

static int load_own(struct swki_tls_context *context,
                    const struct swki_tls_config *config, struct swk_error *err)
{
    int rc;

    if (config->chain_pem == NULL && config->key_pem == NULL) {
        return context->side == SWKI_TLS_CLIENT
                   ? SWK_OK
                   : swki_fail(err, SWK_EINVAL,
                               "a TLS server needs a certificate");
    }
    if (config->chain_pem == NULL || config->key_pem == NULL) {
        return swki_fail(err, SWK_EINVAL,
                         "certificate and key must come together");
    }
    rc = swki_mbed_parse_chain(&context->chain, swki_pem_of(config->chain_pem),
                               err);
    if (rc == 0) {
        rc = swki_mbed_parse_key(&context->key, swki_pem_of(config->key_pem),
                                 &context->entropy, err);
    }
    if (rc == 0 && !swki_mbed_is_pair(&context->chain.pk, &context->key,
                                      &context->entropy)) {
        rc = swki_fail(err, SWK_EINVAL, "certificate key mismatch");
    }
    if (rc == 0 && mbedtls_ssl_conf_own_cert(&context->conf, &context->chain,
                                             &context->key) != 0) {
        rc = swki_fail_nomem(err);
    }
    return rc;
}

/* Only where the peer is verified: whoever may be anybody has nothing to be
 * taken up. */
static int make_sessions(struct swki_tls_context *context,
                         const struct swki_tls_config *config,
                         struct swk_error *err)
{
    const struct swki_tls_session_config sessions = {
        .alloc = context->alloc,
        .entropy = &context->entropy,
        .wall = context->wall,
        .wall_ctx = context->wall_ctx,
        .roots = &context->roots,
        .sessions_max = config->sessions_max < SESSIONS_MAX
                            ? config->sessions_max
                            : SESSIONS_MAX,
    };

    if (!context->verifies) {
        return SWK_OK;
    }
    if (context->side == SWKI_TLS_SERVER) {
        return swki_tls_tickets_new(&sessions, &context->tickets, err);
    }
    return sessions.sessions_max > 0
               ? swki_tls_sessions_new(&sessions, &context->sessions, err)
               : SWK_OK;
}

static int load(struct swki_tls_context *context,
                const struct swki_tls_config *config, struct swk_error *err)
{
    int rc = SWK_OK;

#if MBEDTLS_VERSION_MAJOR >= 3
    /* TLS 1.3 rests on it; calling it again does nothing. */
    if (psa_crypto_init() != PSA_SUCCESS) {
        return swki_fail(err, SWK_EINTERNAL, "PSA cannot start");
    }
#endif
    if (context->verifies) {
        rc = swki_mbed_parse_chain(&context->roots,
                                   swki_pem_of(config->roots_pem), err);
    }
    if (rc == 0) {
        rc = make_sessions(context, config, err);
    }
    if (rc == 0) {
        rc = configure(context, err);
    }
    return rc != 0 ? rc : load_own(context, config, err);
}

static void free_context(struct swki_tls_context *context)
{
    mbedtls_ssl_config_free(&context->conf);
    mbedtls_x509_crt_free(&context->chain);
    mbedtls_x509_crt_free(&context->roots);
    mbedtls_pk_free(&context->key);
    swki_tls_tickets_free(context->tickets);
    swki_tls_sessions_free(context->sessions);
    swki_free(context->alloc, context);
}

int swki_tls_context_new(const struct swk_alloc *alloc,
                         const struct swki_tls_config *config,
                         struct swki_tls_context **out_context,
                         struct swk_error *err)
{
    struct swki_tls_context *context;
    int rc;

    if (config->entropy == NULL || config->wall == NULL) {
        return swki_fail(err, SWK_EINVAL, "TLS needs entropy and a calendar");
    }
    context = swki_calloc(alloc, 1, sizeof(*context));
    if (context == NULL) {
        return swki_fail_nomem(err);
    }
    context->alloc = alloc;
    atomic_init(&context->refs, 1);
    context->side = config->side;
    context->verifies = config->roots_pem != NULL;
    context->foreign = config->foreign;
    context->entropy = (struct swk_entropy){
        .size = sizeof(struct swk_entropy),
        .ctx = config->entropy_ctx,
        .fill = config->entropy,
    };
    context->wall = config->wall;
    context->wall_ctx = config->wall_ctx;
    mbedtls_ssl_config_init(&context->conf);
    mbedtls_x509_crt_init(&context->chain);
    mbedtls_x509_crt_init(&context->roots);
    mbedtls_pk_init(&context->key);
    rc = load(context, config, err);
    if (rc != 0) {
        free_context(context);
        return rc;
    }
    *out_context = context;
    return SWK_OK;
}

struct swki_tls_context *swki_tls_context_ref(struct swki_tls_context *context)
{
    atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
    return context;
}

void swki_tls_context_unref(struct swki_tls_context *context)
{
    if (context != NULL && atomic_fetch_sub_explicit(
                               &context->refs, 1, memory_order_acq_rel) == 1) {
        free_context(context);
    }
}

/* ---- what the library calls ---- */

static int receive(void *ctx, unsigned char *out_data, size_t size)
{
    struct swki_tls *tls = ctx;
    size_t len = size < tls->input_len ? size : tls->input_len;

    if (len == 0) {
        return MBEDTLS_ERR_SSL_WANT_READ;
    }
    memcpy(out_data, tls->input, len);
    tls->input += len;
    tls->input_len -= len;
    return (int)len;
}

/* Takes everything: back pressure is the caller's, by the output's length. So
 * writes never answer WANT_WRITE, and none is repeated with another length. */
static int put_out(void *ctx, const unsigned char *data, size_t len)
{
    struct swki_tls *tls = ctx;

    return swki_buf_append(&tls->output, data, len)
               ? (int)len
               : MBEDTLS_ERR_SSL_ALLOC_FAILED;
}

/* What the clock has against a certificate. */
static uint32_t clock_flags(const struct swki_tls *tls,
                            const mbedtls_x509_crt *certificate)
{
    swk_wall now = tls->context->wall(tls->context->wall_ctx);
    uint32_t flags = 0;

    if (swki_mbed_wall(&certificate->valid_to) < now) {
        flags |= MBEDTLS_X509_BADCERT_EXPIRED;
    }
    if (swki_mbed_wall(&certificate->valid_from) > now) {
        flags |= MBEDTLS_X509_BADCERT_FUTURE;
    }
    return flags;
}

/* Called for the root first, for the leaf last. */
static int verify(void *ctx, mbedtls_x509_crt *certificate, int depth,
                  uint32_t *flags)
{
    struct swki_tls *tls = ctx;

    /* The library looks at the system's clock; ours may be another. */
    *flags &=
        ~(uint32_t)(MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE);
    *flags |= clock_flags(tls, certificate);
    tls->refusal |= *flags;
    tls->judged = true;
    /* OPTIONAL forgives flags, but not an error of this function. */
    return depth == 0 && tls->refusal != 0 &&
                   tls->context->side == SWKI_TLS_SERVER
               ? MBEDTLS_ERR_X509_FATAL_ERROR
               : 0;
}

/* ---- connections ---- */

static int set_up(struct swki_tls *tls, const char *server_name,
                  struct swk_error *err)
{
    if (mbedtls_ssl_setup(&tls->ssl, &tls->context->conf) != 0) {
        return swki_fail_nomem(err);
    }
    /* Always called: since 3.6.3 a client that did not is refused. */
    if (tls->context->side == SWKI_TLS_CLIENT &&
        mbedtls_ssl_set_hostname(&tls->ssl, server_name) != 0) {
        return swki_fail(err, SWK_EINVAL, "unusable server name");
    }
    mbedtls_ssl_set_bio(&tls->ssl, tls, put_out, receive, NULL);
    mbedtls_ssl_set_verify(&tls->ssl, verify, tls);
    return SWK_OK;
}

int swki_tls_new(struct swki_tls_context *context, const char *server_name,
                 struct swki_tls **out_tls, struct swk_error *err)
{
    struct swki_tls *tls;
    int rc;

    if (server_name != NULL && strlen(server_name) > SERVER_NAME_LEN_MAX) {
        return swki_fail(err, SWK_EINVAL, "unusable server name");
    }
    tls = swki_calloc(context->alloc, 1, sizeof(*tls));
    if (tls == NULL) {
        return swki_fail_nomem(err);
    }
    tls->context = swki_tls_context_ref(context);
    mbedtls_ssl_init(&tls->ssl);
    swki_buf_init(&tls->output, context->alloc, SIZE_MAX);
    rc = set_up(tls, server_name, err);
    if (rc != 0) {
        swki_tls_free(tls);
        return rc;
    }
    *out_tls = tls;
    return SWK_OK;
}

/* A session that made trouble is not offered again. */
static void drop_offered(struct swki_tls *tls)
{
    if (tls->state == STATE_HANDSHAKE && tls->offered) {
        swki_tls_sessions_drop(tls->context->sessions, tls->session);
    }
}

void swki_tls_free(struct swki_tls *tls)
{
    struct swki_tls_context *context;

    if (tls == NULL) {
        return;
    }
    context = tls->context;
    drop_offered(tls);
    mbedtls_ssl_free(&tls->ssl);
    swki_buf_fini(&tls->output);
    swki_free(context->alloc, tls->session);
    swki_free(context->alloc, tls);
    swki_tls_context_unref(context);
}

void swki_tls_resume(struct swki_tls *tls, const char *server)
{
    struct swki_tls_context *context = tls->context;
    const char *expected = tls->ssl.hostname;
    char name[SWKI_TLS_SESSION_NAME_SIZE];
    int len;

    if (context->sessions == NULL || tls->session != NULL) {
        return;
    }
    /* Who the server was found to be belongs to it. */
    len = snprintf(name, sizeof(name), "%s %s",
                   expected != NULL ? expected : "-", server);
    if (len < 0 || (size_t)len >= sizeof(name)) {
        return;
    }
    tls->session = swki_strdup(context->alloc, name);
    tls->offered =
        tls->session != NULL &&
        swki_tls_sessions_offer(context->sessions, tls->session, &tls->ssl);
}

static const char *refusal_text(uint32_t flags)
{
    static const struct {
        uint32_t flag;
        const char *text;
    } words[] = {
        {MBEDTLS_X509_BADCERT_EXPIRED, "has expired"},
        {MBEDTLS_X509_BADCERT_FUTURE, "is not valid yet"},
        {MBEDTLS_X509_BADCERT_CN_MISMATCH, "has not the name expected"},
        {MBEDTLS_X509_BADCERT_NOT_TRUSTED, "is not signed by a trusted root"},
        {MBEDTLS_X509_BADCERT_MISSING, "is missing"},
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (flags & words[i].flag) {
            return words[i].text;
        }
    }
    return "is not acceptable";
}

/* Ends the connection for good. */
static int end_with(struct swki_tls *tls, int code, const char *text,
                    struct swk_error *err)
{
    drop_offered(tls);
    tls->state = STATE_FAILED;
    tls->failure = code;
    return swki_fail(err, code, "TLS: %s", text);
}

static int refuse_peer(struct swki_tls *tls, struct swk_error *err)
{
    char text[FLAGS_TEXT_SIZE];
    uint32_t flags = tls->refusal;

    if (flags == 0) {
        flags = mbedtls_ssl_get_verify_result(&tls->ssl);
    }
    snprintf(text, sizeof(text), "the peer's certificate %s",
             refusal_text(flags));
    return end_with(tls, SWK_EUNAUTHENTICATED, text, err);
}

/* Whether the alert received last, which the library keeps, refuses us. */
static bool is_refused(const struct swki_tls *tls)
{
    unsigned alert = tls->ssl.in_msg != NULL ? tls->ssl.in_msg[1] : 0;

    if (alert == 0 || tls->ssl.in_msg[0] != MBEDTLS_SSL_ALERT_LEVEL_FATAL) {
        return false;
    }
    return (alert >= ALERT_BAD_CERTIFICATE &&
            alert <= ALERT_CERTIFICATE_UNKNOWN) ||
           alert == ALERT_UNKNOWN_CA || alert == ALERT_ACCESS_DENIED ||
           alert == ALERT_DECRYPT_ERROR || alert == ALERT_CERTIFICATE_REQUIRED;
}

#if MBEDTLS_VERSION_MAJOR >= 3
/*
 * In TLS 1.3 a refusal may look like damage: a client of 3.6 refuses by an
 * alert in the clear, which the server cannot open; and it learns that it was
 * refused itself only when it takes its own handshake to be over.
 */
static bool is_hidden_refusal(const struct swki_tls *tls)
{
    if (tls->state == STATE_HANDSHAKE) {
        return is_refused(tls);
    }
    return !tls->has_read && tls->context->side == SWKI_TLS_CLIENT;
}
#endif

static int end_by(struct swki_tls *tls, int rc, struct swk_error *err)
{
    switch (rc) {
    case 0:
    case MBEDTLS_ERR_SSL_CONN_EOF:
    case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
        return end_with(tls, SWK_EIO, "closed by the peer", err);
    case MBEDTLS_ERR_X509_CERT_VERIFY_FAILED:
    case MBEDTLS_ERR_X509_FATAL_ERROR:
        return refuse_peer(tls, err);
    case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
        if (is_refused(tls)) {
            return end_with(tls, SWK_EUNAUTHENTICATED, refused_text, err);
        }
        return end_with(tls, SWK_EMALFORMED, "the peer gave up", err);
    case MBEDTLS_ERR_SSL_ALLOC_FAILED:
    case MBEDTLS_ERR_X509_ALLOC_FAILED:
        return end_with(tls, SWK_ENOMEM, "out of memory", err);
#if MBEDTLS_VERSION_MAJOR >= 3
    case MBEDTLS_ERR_SSL_BAD_CERTIFICATE:
        return refuse_peer(tls, err);
    case MBEDTLS_ERR_SSL_INVALID_MAC:
        if (is_hidden_refusal(tls)) {
            return end_with(tls, SWK_EUNAUTHENTICATED, refused_text, err);
        }
        break;
#else
    case MBEDTLS_ERR_SSL_BAD_HS_CERTIFICATE:
        return refuse_peer(tls, err);
#endif
    default:
        break;
    }
    return end_with(tls, SWK_EMALFORMED, "not TLS, or damaged on the way", err);
}

/* A session that was taken up skips the verification, so what time may have
 * changed since is looked at here. */
static uint32_t peer_flags(const struct swki_tls *tls)
{
    const mbedtls_x509_crt *peer = mbedtls_ssl_get_peer_cert(&tls->ssl);

    if (!tls->context->verifies) {
        return 0;
    }
    if (peer == NULL) {
        return tls->context->side == SWKI_TLS_CLIENT
                   ? MBEDTLS_X509_BADCERT_MISSING
                   : 0;
    }
    return mbedtls_ssl_get_verify_result(&tls->ssl) | clock_flags(tls, peer);
}

/* A handshake that the library calls done may still not be good enough. */
static int check_handshake(struct swki_tls *tls, struct swk_error *err)
{
    const char *protocol = mbedtls_ssl_get_alpn_protocol(&tls->ssl);
    uint32_t flags = peer_flags(tls);

    if (!tls->context->foreign &&
        (protocol == NULL || strcmp(protocol, alpn_protocols[0]) != 0)) {
        return end_with(tls, SWK_EMALFORMED, "the peer speaks another protocol",
                        err);
    }
    if (flags != 0) {
        tls->refusal = flags;
        return refuse_peer(tls, err);
    }
    tls->state = STATE_OPEN;
    if (tls->session != NULL && tls->judged) {
        swki_tls_sessions_keep(tls->context->sessions, tls->session, &tls->ssl);
    }
    return SWK_OK;
}

/* 0 also when more bytes are needed. */
static int shake_hands(struct swki_tls *tls, struct swk_error *err)
{
    size_t len = tls->input_len;
    int rc = mbedtls_ssl_handshake(&tls->ssl);

    if (rc == 0) {
        return check_handshake(tls, err);
    }
    if (rc != MBEDTLS_ERR_SSL_WANT_READ) {
        return end_by(tls, rc, err);
    }
    tls->handshake_len += len - tls->input_len;
    return tls->handshake_len <= SWKI_TLS_HANDSHAKE_MAX
               ? SWK_OK
               : end_with(tls, SWK_EMALFORMED, "a handshake without end", err);
}

static int read_all(struct swki_tls *tls, struct swki_buf *plain,
                    struct swk_error *err)
{
    uint8_t chunk[READ_CHUNK_SIZE];
    size_t output_len = tls->output.len;

    for (;;) {
        int rc = mbedtls_ssl_read(&tls->ssl, chunk, sizeof(chunk));

        /* Reading makes the library write only when it declines to negotiate
         * anew; whoever asks for that over and over would fill our memory. */
        if ((rc > 0 || rc == MBEDTLS_ERR_SSL_WANT_READ) &&
            tls->output.len > output_len) {
            return end_with(tls, SWK_EMALFORMED,
                            "the peer wants to negotiate anew", err);
        }
        if (rc == MBEDTLS_ERR_SSL_WANT_READ) {
            return SWK_OK;
        }
        if (rc <= 0) {
            return end_by(tls, rc, err);
        }
        tls->has_read = true;
        if (!swki_buf_append(plain, chunk, (size_t)rc)) {
            return end_with(tls, SWK_ELIMIT, "no room for what was received",
                            err);
        }
    }
}

int swki_tls_feed(struct swki_tls *tls, const void *data, size_t len,
                  struct swki_buf *plain, struct swk_error *err)
{
    int rc = SWK_OK;

    if (tls->state == STATE_FAILED) {
        return swki_fail(err, tls->failure, "TLS: the connection has ended");
    }
    tls->input = data;
    tls->input_len = len;
    if (tls->state == STATE_HANDSHAKE) {
        rc = shake_hands(tls, err);
    }
    if (rc == 0 && tls->state == STATE_OPEN) {
        rc = read_all(tls, plain, err);
    }
    tls->input = NULL;
    tls->input_len = 0;
    return rc;
}

int swki_tls_write(struct swki_tls *tls, const void *data, size_t len,
                   struct swk_error *err)
{
    const uint8_t *next = data;

    if (tls->state == STATE_FAILED) {
        return swki_fail(err, tls->failure, "TLS: the connection has ended");
    }
    if (tls->state != STATE_OPEN) {
        return swki_fail(err, SWK_EINVAL, "TLS: the handshake is not over");
    }
    while (len > 0) {
        /* May take less than it is offered: a record at a time. */
        int rc = mbedtls_ssl_write(&tls->ssl, next, len);

        if (rc <= 0) {
            return end_by(tls, rc != 0 ? rc : MBEDTLS_ERR_SSL_INTERNAL_ERROR,
                          err);
        }
        next += rc;
        len -= (size_t)rc;
    }
    return SWK_OK;
}

void swki_tls_shutdown(struct swki_tls *tls)
{
    if (tls->state == STATE_OPEN) {
        /* If there is no memory for it, the peer sees the end all the same. */
        mbedtls_ssl_close_notify(&tls->ssl);
    }
}

struct swki_buf *swki_tls_output(struct swki_tls *tls)
{
    return &tls->output;
}

bool swki_tls_established(const struct swki_tls *tls)
{
    return tls->state == STATE_OPEN;
}

bool swki_tls_resumed(const struct swki_tls *tls)
{
    return tls->state == STATE_OPEN && tls->context->verifies && !tls->judged &&
           mbedtls_ssl_get_peer_cert(&tls->ssl) != NULL;
}

int swki_tls_peer(const struct swki_tls *tls, struct swki_identity *out_peer,
                  struct swk_error *err)
{
    const mbedtls_x509_crt *certificate;

    /* All three, because a result of 0 alone may mean that nobody looked. */
    if (tls->state != STATE_OPEN || !tls->context->verifies) {
        return swki_fail(err, SWK_EUNAUTHENTICATED,
                         "the peer was not verified");
    }
    certificate = mbedtls_ssl_get_peer_cert(&tls->ssl);
    if (certificate == NULL || mbedtls_ssl_get_verify_result(&tls->ssl) != 0) {
        return swki_fail(err, SWK_EUNAUTHENTICATED,
                         "the peer showed no certificate");
    }
    if (swki_mbed_identity(certificate, out_peer, err) != 0) {
        return swki_fail(err, SWK_EUNAUTHENTICATED,
                         "the peer's certificate names no node");
    }
    return SWK_OK;
}

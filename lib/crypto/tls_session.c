/* SPDX-License-Identifier: Apache-2.0 */

#include "crypto/tls_session.h"

#include <pthread.h>
#include <string.h>

#include <mbedtls/version.h>

#include "base/alloc.h"
#include "base/error.h"
#include "crypto/aead.h"
#include "crypto/digest.h"

enum {
    NAME_SIZE = 16, /* of a key, so that it is found again */
    TIME_SIZE = 8,
    /* What is authenticated, and in the clear: name, issue, end. */
    HEAD_SIZE = NAME_SIZE + 2 * TIME_SIZE,
    PREFIX_SIZE = HEAD_SIZE + SWKI_AEAD_NONCE_SIZE,
    SESSION_SIZE_MAX = 16 * 1024, /* of a session, with a certificate */
};

/* Nobody can be made to use tickets longer than this. */
#define TICKET_LIFE ((swk_wall)(SWKI_TLS_TICKET_SECONDS * SWK_SECOND))

/* ---- times ---- */

static swk_wall wall_of(const struct swki_tls_session_config *config)
{
    return config->wall(config->wall_ctx);
}

static swk_wall earlier(swk_wall a, swk_wall b)
{
    return a < b ? a : b;
}

/* When a session that begins now has to end: no later than any certificate by
 * which the peer was judged. Which of the roots it was is not known, so all
 * that are good now count. */
static swk_wall end_of(const struct swki_tls_session_config *config,
                       const mbedtls_x509_crt *peer, swk_wall now)
{
    swk_wall end = now + TICKET_LIFE;

    for (const mbedtls_x509_crt *c = peer; c != NULL; c = c->next) {
        end = earlier(end, swki_mbed_wall(&c->valid_to));
    }
    for (const mbedtls_x509_crt *c = config->roots; c != NULL; c = c->next) {
        swk_wall root_end = swki_mbed_wall(&c->valid_to);

        end = root_end >= now ? earlier(end, root_end) : end;
    }
    return end;
}

static void put_time(uint8_t *data, swk_wall time)
{
    for (unsigned i = 0; i < TIME_SIZE; i++) {
        data[i] = (uint8_t)((uint64_t)time >> (8 * i));
    }
}

static swk_wall get_time(const uint8_t *data)
{
    uint64_t time = 0;

    for (unsigned i = 0; i < TIME_SIZE; i++) {
        time |= (uint64_t)data[i] << (8 * i);
    }
    return (swk_wall)time;
}

/* ---- a server's ---- */

struct ticket_key {
    uint8_t name[NAME_SIZE];
    uint8_t key[SWKI_AEAD_KEY_SIZE];
    swk_wall made;
    bool usable;
};

struct swki_tls_tickets {
    struct swki_tls_session_config config;
    pthread_mutex_t lock; /* guards the keys */
    /* The one that seals, and its predecessor, which opens what it sealed. */
    struct ticket_key keys[2];
};

int swki_tls_tickets_new(const struct swki_tls_session_config *config,
                         struct swki_tls_tickets **out_tickets,
                         struct swk_error *err)
{
    struct swki_tls_tickets *tickets =
        swki_calloc(config->alloc, 1, sizeof(*tickets));

    if (tickets == NULL) {
        return swki_fail_nomem(err);
    }
    tickets->config = *config;
    pthread_mutex_init(&tickets->lock, NULL);
    *out_tickets = tickets;
    return SWK_OK;
}

void swki_tls_tickets_free(struct swki_tls_tickets *tickets)
{
    if (tickets != NULL) {
        pthread_mutex_destroy(&tickets->lock);
        swki_wipe(tickets->keys, sizeof(tickets->keys));
        swki_free(tickets->config.alloc, tickets);
    }
}

static bool make_key(const struct swki_tls_session_config *config,
                     struct ticket_key *out_key, swk_wall now)
{
    const struct swk_entropy *entropy = config->entropy;

    out_key->made = now;
    out_key->usable =
        entropy->fill(entropy->ctx, out_key->name, NAME_SIZE) == 0 &&
        entropy->fill(entropy->ctx, out_key->key, SWKI_AEAD_KEY_SIZE) == 0;
    return out_key->usable;
}

/* The key to seal with, which serves for as long as a ticket lives: then what
 * was sealed with the one before it has ended too. A clock that was set back
 * makes another one. */
static bool current_key(struct swki_tls_tickets *tickets, swk_wall now,
                        struct ticket_key *out_key)
{
    struct ticket_key *keys = tickets->keys;
    bool ok = true;

    pthread_mutex_lock(&tickets->lock);
    if (!keys[0].usable || now < keys[0].made ||
        now - keys[0].made >= TICKET_LIFE) {
        keys[1] = keys[0];
        ok = make_key(&tickets->config, &keys[0], now);
    }
    *out_key = keys[0];
    pthread_mutex_unlock(&tickets->lock);
    return ok;
}

static bool find_key(struct swki_tls_tickets *tickets, const uint8_t *name,
                     struct ticket_key *out_key)
{
    bool found = false;

    pthread_mutex_lock(&tickets->lock);
    for (unsigned i = 0; i < 2 && !found; i++) {
        found = tickets->keys[i].usable &&
                memcmp(tickets->keys[i].name, name, NAME_SIZE) == 0;
        if (found) {
            *out_key = tickets->keys[i];
        }
    }
    pthread_mutex_unlock(&tickets->lock);
    return found;
}

/* The session as bytes, in room; their number, or 0. */
static size_t save(const mbedtls_ssl_session *session, uint8_t *room,
                   size_t size)
{
    size_t len = 0;

    return mbedtls_ssl_session_save(session, room, size, &len) == 0 ? len : 0;
}

/* Seals the session behind head and nonce, which are in place. */
static size_t seal(const struct ticket_key *key,
                   const mbedtls_ssl_session *session, uint8_t *ticket,
                   size_t size)
{
    struct swki_aead_cipher *cipher;
    const struct swki_aead_frame frame = {
        .nonce = ticket + HEAD_SIZE,
        .extra = ticket,
        .extra_len = HEAD_SIZE,
    };
    size_t len = save(session, ticket + PREFIX_SIZE,
                      size - PREFIX_SIZE - SWKI_AEAD_TAG_SIZE);

    if (len == 0 ||
        swki_aead_cipher_new(NULL, key->key, &cipher, NULL) != SWK_OK) {
        swki_wipe(ticket, size);
        return 0;
    }
    swki_aead_cipher_seal(cipher, &frame, ticket + PREFIX_SIZE, len,
                          ticket + PREFIX_SIZE + len);
    swki_aead_cipher_free(cipher);
    return PREFIX_SIZE + len + SWKI_AEAD_TAG_SIZE;
}

int swki_tls_ticket_write(void *ctx, const mbedtls_ssl_session *session,
                          unsigned char *start, const unsigned char *end,
                          size_t *out_len, uint32_t *out_lifetime)
{
    struct swki_tls_tickets *tickets = ctx;
    const struct swk_entropy *entropy = tickets->config.entropy;
    swk_wall now = wall_of(&tickets->config);
    swk_wall until = end_of(&tickets->config, session->peer_cert, now);
    struct ticket_key key = {.usable = false};
    size_t size = (size_t)(end - start);
    bool ok;

    if (session->peer_cert == NULL || session->verify_result != 0 ||
        until <= now || size <= PREFIX_SIZE + SWKI_AEAD_TAG_SIZE) {
        return MBEDTLS_ERR_SSL_FEATURE_UNAVAILABLE;
    }
    ok = current_key(tickets, now, &key) &&
         entropy->fill(entropy->ctx, start + HEAD_SIZE, SWKI_AEAD_NONCE_SIZE) ==
             0;
    if (ok) {
        memcpy(start, key.name, NAME_SIZE);
        put_time(start + NAME_SIZE, now);
        put_time(start + NAME_SIZE + TIME_SIZE, until);
        *out_len = seal(&key, session, start, size);
        *out_lifetime = (uint32_t)((until - now) / (swk_wall)SWK_SECOND);
    }
    swki_wipe(&key, sizeof(key));
    return ok && *out_len > 0 ? 0 : MBEDTLS_ERR_SSL_ALLOC_FAILED;
}

static bool unseal(const struct ticket_key *key, uint8_t *ticket, size_t len)
{
    struct swki_aead_cipher *cipher;
    const struct swki_aead_frame frame = {
        .nonce = ticket + HEAD_SIZE,
        .extra = ticket,
        .extra_len = HEAD_SIZE,
    };
    bool ok;

    if (swki_aead_cipher_new(NULL, key->key, &cipher, NULL) != SWK_OK) {
        return false;
    }
    ok = swki_aead_cipher_open(cipher, &frame, ticket + PREFIX_SIZE,
                               len - PREFIX_SIZE - SWKI_AEAD_TAG_SIZE,
                               ticket + len - SWKI_AEAD_TAG_SIZE);
    swki_aead_cipher_free(cipher);
    return ok;
}

/* Whatever is wrong with a ticket, a full handshake follows. */
int swki_tls_ticket_parse(void *ctx, mbedtls_ssl_session *session,
                          unsigned char *data, size_t len)
{
    struct swki_tls_tickets *tickets = ctx;
    swk_wall now = wall_of(&tickets->config);
    struct ticket_key key = {.usable = false};
    int rc = MBEDTLS_ERR_SSL_INVALID_MAC;
    size_t room;

    if (len <= PREFIX_SIZE + SWKI_AEAD_TAG_SIZE ||
        !find_key(tickets, data, &key)) {
        return rc;
    }
    room = len - PREFIX_SIZE - SWKI_AEAD_TAG_SIZE;
    if (unseal(&key, data, len)) {
        bool good = now >= get_time(data + NAME_SIZE) &&
                    now < get_time(data + NAME_SIZE + TIME_SIZE);

        rc = !good
                 ? MBEDTLS_ERR_SSL_SESSION_TICKET_EXPIRED
                 : mbedtls_ssl_session_load(session, data + PREFIX_SIZE, room);
        swki_wipe(data + PREFIX_SIZE, room);
    }
    swki_wipe(&key, sizeof(key));
    return rc;
}

/* ---- a client's ---- */

struct kept {
    char name[SWKI_TLS_SESSION_NAME_SIZE];
    swk_wall made;
    swk_wall end;
    uint8_t *data; /* NULL for a free place */
    size_t len;
};

struct swki_tls_sessions {
    struct swki_tls_session_config config;
    pthread_mutex_t lock; /* guards the sessions */
    struct kept kept[];
};

int swki_tls_sessions_new(const struct swki_tls_session_config *config,
                          struct swki_tls_sessions **out_sessions,
                          struct swk_error *err)
{
    struct swki_tls_sessions *sessions = swki_calloc(
        config->alloc, 1,
        sizeof(*sessions) + config->sessions_max * sizeof(sessions->kept[0]));

    if (sessions == NULL) {
        return swki_fail_nomem(err);
    }
    sessions->config = *config;
    pthread_mutex_init(&sessions->lock, NULL);
    *out_sessions = sessions;
    return SWK_OK;
}

static void forget(struct swki_tls_sessions *sessions, struct kept *kept)
{
    if (kept->data != NULL) {
        swki_wipe(kept->data, kept->len);
        swki_free(sessions->config.alloc, kept->data);
    }
    memset(kept, 0, sizeof(*kept));
}

void swki_tls_sessions_free(struct swki_tls_sessions *sessions)
{
    if (sessions == NULL) {
        return;
    }
    for (size_t i = 0; i < sessions->config.sessions_max; i++) {
        forget(sessions, &sessions->kept[i]);
    }
    pthread_mutex_destroy(&sessions->lock);
    swki_free(sessions->config.alloc, sessions);
}

/* With the lock. */
static struct kept *find(struct swki_tls_sessions *sessions, const char *name)
{
    for (size_t i = 0; i < sessions->config.sessions_max; i++) {
        struct kept *kept = &sessions->kept[i];

        if (kept->data != NULL && strcmp(kept->name, name) == 0) {
            return kept;
        }
    }
    return NULL;
}

/* With the lock. The one of the name, a free one, or the oldest. */
static struct kept *place_for(struct swki_tls_sessions *sessions,
                              const char *name)
{
    struct kept *place = find(sessions, name);

    if (place != NULL) {
        return place;
    }
    place = &sessions->kept[0];
    for (size_t i = 0; i < sessions->config.sessions_max; i++) {
        struct kept *kept = &sessions->kept[i];

        if (kept->data == NULL) {
            return kept;
        }
        place = kept->made < place->made ? kept : place;
    }
    return place;
}

/* Takes the data. */
static void store(struct swki_tls_sessions *sessions, const char *name,
                  const struct kept *fresh)
{
    struct kept *place;

    pthread_mutex_lock(&sessions->lock);
    place = place_for(sessions, name);
    forget(sessions, place);
    *place = *fresh;
    strcpy(place->name, name); /* its length was checked */
    pthread_mutex_unlock(&sessions->lock);
}

/* When the session must no longer be offered. */
static swk_wall session_end(const struct swki_tls_sessions *sessions,
                            const mbedtls_ssl_session *session,
                            const mbedtls_x509_crt *peer, swk_wall now)
{
    swk_wall end = end_of(&sessions->config, peer, now);

    return session->ticket_lifetime == 0
               ? end
               : earlier(end, now + (swk_wall)session->ticket_lifetime *
                                        (swk_wall)SWK_SECOND);
}

static void keep(struct swki_tls_sessions *sessions, const char *name,
                 const mbedtls_ssl_session *session,
                 const mbedtls_x509_crt *peer)
{
    const struct swk_alloc *alloc = sessions->config.alloc;
    swk_wall now = wall_of(&sessions->config);
    struct kept fresh = {
        .made = now,
        .end = session_end(sessions, session, peer, now),
    };
    uint8_t *room = swki_alloc(alloc, SESSION_SIZE_MAX);

    if (room != NULL) {
        fresh.len = save(session, room, SESSION_SIZE_MAX);
        fresh.data = fresh.len > 0 ? swki_alloc(alloc, fresh.len) : NULL;
    }
    if (fresh.data != NULL) {
        memcpy(fresh.data, room, fresh.len);
        store(sessions, name, &fresh);
    }
    if (room != NULL) {
        swki_wipe(room, fresh.len);
        swki_free(alloc, room);
    }
}

void swki_tls_sessions_keep(struct swki_tls_sessions *sessions,
                            const char *name, const mbedtls_ssl_context *ssl)
{
    mbedtls_ssl_session session;

    mbedtls_ssl_session_init(&session);
    if (mbedtls_ssl_get_session(ssl, &session) == 0 && session.ticket != NULL &&
        session.ticket_len > 0 && session.peer_cert != NULL &&
        session.verify_result == 0) {
        /* The session has but the leaf of the chain. */
        keep(sessions, name, &session, mbedtls_ssl_get_peer_cert(ssl));
    }
    mbedtls_ssl_session_free(&session);
}

bool swki_tls_sessions_offer(struct swki_tls_sessions *sessions,
                             const char *name, mbedtls_ssl_context *ssl)
{
    swk_wall now = wall_of(&sessions->config);
    mbedtls_ssl_session session;
    struct kept *kept;
    bool offered = false;

    mbedtls_ssl_session_init(&session);
    pthread_mutex_lock(&sessions->lock);
    kept = find(sessions, name);
    if (kept != NULL && (now < kept->made || now >= kept->end)) {
        forget(sessions, kept);
    } else if (kept != NULL) {
        offered =
            mbedtls_ssl_session_load(&session, kept->data, kept->len) == 0 &&
            mbedtls_ssl_set_session(ssl, &session) == 0;
    }
    pthread_mutex_unlock(&sessions->lock);
    mbedtls_ssl_session_free(&session);
    return offered;
}

void swki_tls_sessions_drop(struct swki_tls_sessions *sessions,
                            const char *name)
{
    struct kept *kept;

    pthread_mutex_lock(&sessions->lock);
    kept = find(sessions, name);
    if (kept != NULL) {
        forget(sessions, kept);
    }
    pthread_mutex_unlock(&sessions->lock);
}

/* SPDX-License-Identifier: Apache-2.0 */

/* The authority of a swarm with a store, a log of one member, and a signer that
 * is as good or as bad as a test wants it. */

#ifndef TESTS_UNIT_CORE_CA_SERVER_FIXTURE_H
#define TESTS_UNIT_CORE_CA_SERVER_FIXTURE_H

#include "base/roles.h"
#include "ca.pb-c.h"
#include "core/ca/server.h"
#include "crypto/job.h"
#include "unit/crypto/pki.h"

#define SERVICES "/docker.swarmkit.v1."
#define STATE(name) SWKPB__ISSUANCE_STATUS__STATE__##name

enum {
    ENTRIES_MAX = 1024,
    HELD_MAX = 128,
};

/* A log of one member, which commits when the test says so. */
struct log {
    struct swki_buf entries[ENTRIES_MAX];
    size_t proposed;
    size_t applied;
    bool leads;
};

/* A heap whose n-th allocation fails. */
struct heap {
    size_t left;
    bool failed;
};

/* What a signer was given, to be answered later; its bytes are not kept. */
struct held {
    uint64_t id;
    char node_id[SWK_ID_LEN_MAX + 1];
    size_t urls_count;
    size_t key_len;
    size_t previous_len;
    uint64_t validity_ns;
    int32_t role;
    struct swki_buf certificate; /* the right answer */
};

/* How the signer answers. */
enum signer_mood {
    SIGNER_SIGNS, /* at once */
    SIGNER_HOLDS, /* when told to, by answer_held() */
    SIGNER_FAILS, /* with code and text, at once */
};

struct signer {
    enum signer_mood mood;
    int code;
    const char *text;
    struct swki_job_keys keys;
    struct swki_signer *other; /* signs in the place of the key, if set */
    struct held held[HELD_MAX];
    size_t held_count;
    size_t asked_count;
};

struct f {
    struct pki pki;
    struct log log;
    struct heap heap;       /* objects in the store come from it, too */
    struct swk_alloc alloc; /* on it */
    struct swki_store *store;
    struct swki_ca_server *server;
    struct swk_logger logger;
    size_t lines; /* logged */
    struct signer signer;
    struct swki_answers answers;
    struct swki_arena arena; /* of decoded answers */
    struct swki_buf key;
    struct swki_buf csr;
    swk_time now;
    swk_wall wall;
    uint64_t calls; /* the number of the last call */
};

/* What was answered to a call. */
struct reply {
    const struct swki_answer *answer;
    ProtobufCMessage *message;
};

extern const struct swki_caller nobody;

/* With a swarm that works, or with an empty store. */
int set_up(void **state);
int set_up_empty(void **state);
int tear_down(void **state);

void found_swarm(struct f *f);
void commit(struct f *f);
/* Steps, and gives work to the signer. */
void step(struct f *f);
/* Steps and commits until nothing is left to do. */
void settle(struct f *f);
/* Changes an object as an administrator or another component would. */
void change(struct f *f, enum swki_actor actor, struct swki_object *object);
/* The next version of the cluster object. */
struct swki_object *edit_cluster(struct f *f);

/* Answers what the signer holds, the first with this code; 0: as it should. */
void answer_held(struct f *f, size_t index, int code);
void answer_held_with(struct f *f, size_t index, struct swk_bytes certificate);

uint64_t call_as(struct f *f, const struct swki_caller *caller,
                 const char *path, const ProtobufCMessage *request);
const struct swki_answer *answer_to(const struct f *f, uint64_t call_id);
/* The answer, which must be there, decoded if it is a good one. */
struct reply reply_to(struct f *f, uint64_t call_id,
                      const ProtobufCMessageDescriptor *type);
struct reply issue_as(struct f *f, const struct swki_caller *caller,
                      const char *token);
/* As the node that sent the request. */
uint64_t ask_status(struct f *f, const char *node_id);
uint64_t ask_status_as(struct f *f, const struct swki_caller *caller,
                       const char *node_id, const void *digest,
                       size_t digest_len);
const Swkpb__NodeCertificateStatusResponse *status_reply(struct f *f,
                                                         uint64_t call_id);
struct swki_caller caller_of(const char *node_id, const char *swarm_id,
                             uint32_t role);

const Swkpb__Node *node_of(struct f *f, const char *id);
const Swkpb__JoinTokens *tokens_of(struct f *f);
void join_swarm(struct f *f, const char *token,
                char out_id[SWK_ID_LEN_MAX + 1]);
struct swki_identity identity_of(const ProtobufCBinaryData *pem);
void join_many(struct f *f, size_t count);
/* As a worker, with its certificate. */
void renew(struct f *f, const char *id);
void set_data(struct swki_object *object, ProtobufCBinaryData *data,
              const struct swki_buf *pem);
/* An external CA, for this root; NULL: without one. */
void name_external(struct f *f, const struct swki_buf *root);
/* The state of a node's certificate. */
int state_of(struct f *f, const char *id);

#endif

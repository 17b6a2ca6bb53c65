/* SPDX-License-Identifier: Apache-2.0 */

/* One request, from its call to its answer. */

#ifndef SWKI_MEMBERSHIP_REQUESTS_IMPL_H
#define SWKI_MEMBERSHIP_REQUESTS_IMPL_H

#include "base/list.h"
#include "core/membership/requests.h"

enum swki_request_kind {
    SWKI_REQUEST_JOIN,    /* node_id is a member at the addresses */
    SWKI_REQUEST_REMOVE,  /* raft_id is no member */
    SWKI_REQUEST_SELF,    /* this manager is where it says */
    SWKI_REQUEST_PROMOTE, /* raft_id votes */
};

/* Addresses of a member, and the texts they point to. */
struct swki_addresses {
    char texts[SWKI_MEMBER_ADDRESSES_MAX][SWKI_MEMBER_ADDRESS_LEN_MAX + 1];
    const char *pointers[SWKI_MEMBER_ADDRESSES_MAX];
    size_t count;
};

struct swki_request {
    struct swki_link link;
    enum swki_request_kind kind;
    uint64_t call_id; /* 0: nobody waits */
    uint64_t raft_id;
    char node_id[SWK_ID_LEN_MAX + 1];
    struct swki_addresses addresses;
    bool empty_log;
    swk_time deadline;
    /* While it is checked: */
    size_t checking; /* which of the addresses */
    uint64_t check_id;
    bool check_due;       /* not handed out yet */
    swk_time check_until; /* of all addresses */
    swk_time try_until;   /* of this one */
    /* At the head of the queue: */
    uint64_t index;     /* of the change it waits for; 0 for none */
    uint64_t settled;   /* index to be committed before a hand-over, or 0 */
    unsigned proposals; /* so far */
    struct swk_error failure; /* code is 0 while there is none */
};

struct swki_requests {
    struct swki_requests_config config;
    char node_id[SWK_ID_LEN_MAX + 1];
    struct swki_addresses addresses; /* of this manager */
    size_t count;
    size_t max;
    struct swki_link checking;
    struct swki_link queue;
    struct swki_link failed;          /* to be answered by the next step */
    uint64_t checks;                  /* numbers given out */
    struct swki_requests_check check; /* the last one handed out */
    swk_time retry_at; /* the head of the queue is left alone before */
    swk_time poll_at;  /* learners are left alone before */
    struct swk_raft_peer peers[SWK_RAFT_MEMBERS_MAX];
};

struct swki_request *swki_request_new(struct swki_requests *requests,
                                      enum swki_request_kind kind,
                                      struct swk_error *err);
void swki_request_free(struct swki_requests *requests,
                       struct swki_request *request);
struct swki_request *swki_request_of(struct swki_link *link);

/* The head of the queue; NULL if it is empty. */
struct swki_request *swki_requests_head(const struct swki_requests *requests);

/* Whether the node is to be a manager: SWK_EPRECONDITION. */
int swki_requests_may_join(const struct swki_requests *requests,
                           const char *node_id, struct swk_error *err);

bool swki_addresses_are(const struct swki_addresses *addresses,
                        const struct swki_member *member);

/* Runs the queue as far as it goes (queue.c). */
void swki_requests_run(struct swki_requests *requests, swk_time now,
                       struct swki_answers *answers);

#endif

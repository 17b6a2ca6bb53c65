/* SPDX-License-Identifier: Apache-2.0 */

/* A control machine on a store whose log commits when the test says so. */

#ifndef TEST_CONTROL_FIXTURE_H
#define TEST_CONTROL_FIXTURE_H

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "control.pb-c.h"
#include "core/control/control.h"
#include "wire/message.h"

enum {
    ENTRIES_MAX = 256,
};

#define TEST_WALL ((swk_wall)1700000000 * 1000000000)

struct f {
    struct swki_store *store;
    struct swki_control *control;
    struct swki_answers answers;
    struct swki_arena arena; /* of decoded replies and what tests build */
    uint64_t index;          /* of the last proposal */
    uint64_t applied;
    struct swki_buf entries[ENTRIES_MAX];
    struct swki_control_member members[8];
    size_t members_count;
    uint8_t entropy; /* the next byte handed out */
    char request_id[32];
    uint64_t seed;
};

int set_up(void **state);
int tear_down(void **state);

/* Commits all that was proposed. */
void commit(struct f *f);

/* Forgets all that was proposed, as a leader that lost. */
void lose(struct f *f);

/* Another leader takes over, who knows what was committed and no more. */
void lead_anew(struct f *f);

/* Calls and returns the status; the answer's text or message is in
 * f->answers.first. */
enum swki_status call(struct f *f, const char *method, const void *request);

/* The decoded message of the last answer. */
void *reply(struct f *f, const ProtobufCMessageDescriptor *type);

/* The text of the last answer. */
const char *text(const struct f *f);

/* Puts an object of the given message into the store, committed. */
void put(struct f *f, enum swki_kind kind, const void *message);
/* Replaces it. */
void change(struct f *f, enum swki_kind kind, const void *message);

/* A message in the fixture's memory. */
void *make(struct f *f, const ProtobufCMessageDescriptor *type);
char *copy(struct f *f, const char *text);

/* A valid replicated service of one container. */
Swkpb__ServiceSpec *service_spec(struct f *f, const char *name);
/* Creates it, commits, and returns what the answer showed. */
Swkpb__Service *create_service(struct f *f, Swkpb__ServiceSpec *spec);
enum swki_status try_create(struct f *f, Swkpb__ServiceSpec *spec);

Swkpb__Duration *duration_ms(struct f *f, int64_t ms);
Swkpb__Version *version(struct f *f, uint64_t index);
Swkpb__Node *node(struct f *f, const char *id, Swkpb__NodeStatus__State state);
Swkpb__Task *task(struct f *f, const char *id, const char *service_id,
                  const char *node_id, Swkpb__TaskState state);

#endif

/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What an agent uses of the wire must not bring along the messages of the
 * managers' calls. This program links as an agent does, and asks by weak
 * references what else came in.
 */

#include "lib/cmocka_all.h"

#include "control.pb-c.h"
#include "dispatcher.pb-c.h"
#include "raft.pb-c.h"
#include "snapshot.pb-c.h"
#include "watch.pb-c.h"
#include "wire/message.h"
#include "wire/method_paths.h"
#include "wire/status.h"

#pragma weak swkpb__get_node_request__descriptor
#pragma weak swkpb__watch_request__descriptor
#pragma weak swkpb__snapshot__descriptor
#pragma weak swkpb__join_request__descriptor

static void what_an_agent_needs_is_there(void **state)
{
    Swkpb__HeartbeatRequest request = SWKPB__HEARTBEAT_REQUEST__INIT;
    ProtobufCMessage *copy = NULL;
    struct swki_arena arena;
    struct swki_buf buf;

    (void)state;
    swki_arena_init(&arena, NULL, 4096);
    swki_buf_init(&buf, NULL, 4096);
    request.session_id = (char *)"session";
    assert_int_equal(swki_message_pack(&request.base, &buf, NULL), 0);
    assert_int_equal(swki_message_unpack(&swkpb__heartbeat_request__descriptor,
                                         buf.data, buf.len, &arena, &copy,
                                         NULL),
                     0);
    assert_true(swki_message_equal(&request.base, copy));
    assert_string_equal(SWKI_PATH_DISPATCHER_HEARTBEAT,
                        "/docker.swarmkit.v1.Dispatcher/Heartbeat");
    assert_string_equal(swki_status_name(SWKI_STATUS_OK), "OK");
    swki_buf_fini(&buf);
    swki_arena_fini(&arena);
}

static void the_managers_messages_are_not(void **state)
{
    (void)state;
    assert_null(&swkpb__get_node_request__descriptor);
    assert_null(&swkpb__watch_request__descriptor);
    assert_null(&swkpb__snapshot__descriptor);
    assert_null(&swkpb__join_request__descriptor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_an_agent_needs_is_there),
        cmocka_unit_test(the_managers_messages_are_not),
    };

    return cmocka_run_group_tests_name("linking", tests, NULL, NULL);
}

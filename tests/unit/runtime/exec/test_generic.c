/* SPDX-License-Identifier: Apache-2.0 */

/* Generic resources as text, and in the node's description. */

#include "lib/cmocka_all.h"

#include <stdio.h>

#include "runtime/exec/describe.h"
#include "runtime/exec/generic.h"

/* Writes what was parsed as "kind=value;" for each. */
static int parse(const char *text, char *out, size_t size,
                 struct swk_error *err)
{
    Swkpb__GenericResource **list;
    struct swki_arena arena;
    size_t count;
    size_t len = 0;
    int rc;

    swki_arena_init(&arena, NULL, 1 << 20);
    rc = swki_generic_parse(text, &arena, &list, &count, err);
    out[0] = '\0';
    for (size_t i = 0; rc == SWK_OK && i < count; i++) {
        const Swkpb__GenericResource *r = list[i];

        if (r->resource_case ==
            SWKPB__GENERIC_RESOURCE__RESOURCE_NAMED_RESOURCE_SPEC) {
            len += (size_t)snprintf(out + len, size - len, "%s=\"%s\";",
                                    r->named_resource_spec->kind,
                                    r->named_resource_spec->value);
        } else {
            len += (size_t)snprintf(out + len, size - len, "%s=%d;",
                                    r->discrete_resource_spec->kind,
                                    (int)r->discrete_resource_spec->value);
        }
    }
    swki_arena_fini(&arena);
    return rc;
}

static void good_text_is_parsed(void **state)
{
    static const struct {
        const char *text;
        const char *parsed;
    } cases[] = {
        {NULL, ""},
        {"", ""},
        {"gpu=UUID1,gpu=UUID2,ssd=3", "gpu=\"UUID1\";gpu=\"UUID2\";ssd=3;"},
        {" apple = 3 ", "apple=3;"},
        {"\"a=x,y\",b=1", "a=\"x,y\";b=1;"},
        {"\"a=say \"\"hi\"\"\"", "a=\"say \"hi\"\";"},
        {"apple=0", "apple=0;"},
        {"a=3x", "a=\"3x\";"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swk_error err = {0};
        char out[256];

        if (parse(cases[i].text, out, sizeof(out), &err) != SWK_OK) {
            fail_msg("%s: %s", cases[i].text, err.text);
        }
        assert_string_equal(out, cases[i].parsed);
    }
}

static void bad_text_is_refused_with_the_reason(void **state)
{
    static const struct {
        const char *text;
        const char *reason;
    } cases[] = {
        {"a=1\nb=2", "unexpected '\\n' character"},
        {"apple", "incorrect term apple, missing '='"},
        {"apple=1=2", "incorrect term apple=1=2"},
        {"=1", "incorrect term"},
        {"a=", "incorrect term"},
        {"a=1,", "incorrect term"},
        {"apple=-3", "cannot ask for negative resource apple"},
        {"apple=3,apple=4", "mixed discrete and named resources"},
        {"apple=3,apple=x", "mixed discrete and named resources"},
        {"a=\"x\"", "misplaced '\"'"},
        {"\"a=x", "misplaced '\"'"},
        {"\"a=x\"y,b=1", "misplaced '\"'"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct swk_error err = {0};
        char out[256];

        assert_int_equal(parse(cases[i].text, out, sizeof(out), &err),
                         SWK_EINVAL);
        if (strncmp(err.text, "could not parse GenericResource: ", 33) != 0 ||
            strstr(err.text, cases[i].reason) == NULL) {
            fail_msg("%s: %s", cases[i].text, err.text);
        }
    }
}

static void too_many_terms_are_refused(void **state)
{
    static char text[4 * SWKI_GENERIC_RESOURCES_MAX + 8];
    static char out[1 << 16];

    (void)state;
    for (size_t i = 0; i <= SWKI_GENERIC_RESOURCES_MAX; i++) {
        memcpy(text + 4 * i, "a=x,", 4);
    }
    text[4 * SWKI_GENERIC_RESOURCES_MAX + 3] = '\0';
    assert_int_equal(parse(text, out, sizeof(out), NULL), SWK_ELIMIT);
}

static void descriptions_are_complete_and_equal(void **state)
{
    struct swki_machine m = {.hostname = "h1",
                             .architecture = "riscv64",
                             .nano_cpus = 4000000000,
                             .memory_bytes = 1 << 30};
    Swkpb__NodeDescription *d;
    struct swki_buf a;
    struct swki_buf b;

    (void)state;
    swki_buf_init(&a, NULL, SIZE_MAX);
    swki_buf_init(&b, NULL, SIZE_MAX);
    strcpy(m.cgroups.v1[SWKI_CGROUP_PIDS], "/x");
    strcpy(m.cgroups.v1[SWKI_CGROUP_CPU], "/y");
    assert_int_equal(swki_describe(&m, "gpu=2", &a, NULL), SWK_OK);
    assert_int_equal(swki_describe(&m, "gpu=2", &b, NULL), SWK_OK);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len);
    d = (Swkpb__NodeDescription *)(void *)protobuf_c_message_unpack(
        &swkpb__node_description__descriptor, NULL, a.len, a.data);
    assert_non_null(d);
    assert_string_equal(d->hostname, "h1");
    assert_string_equal(d->platform->architecture, "riscv64");
    assert_string_equal(d->platform->os, "linux");
    assert_int_equal(d->resources->nano_cpus, 4000000000);
    assert_int_equal(d->resources->n_generic, 1);
    assert_string_equal(d->engine->engine_version, "swarmkit-process/0.1");
    assert_int_equal(d->engine->n_labels, 4);
    assert_string_equal(d->engine->labels[0]->key, "swarmkit.cgroup");
    assert_string_equal(d->engine->labels[0]->value, "v1");
    assert_string_equal(d->engine->labels[2]->value, "host");
    assert_string_equal(d->engine->labels[3]->value, "cpu,pids");
    protobuf_c_message_free_unpacked(&d->base, NULL);
    swki_buf_fini(&a);
    swki_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_text_is_parsed),
        cmocka_unit_test(bad_text_is_refused_with_the_reason),
        cmocka_unit_test(too_many_terms_are_refused),
        cmocka_unit_test(descriptions_are_complete_and_equal),
    };

    return cmocka_run_group_tests_name("exec generic", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */

/* What a policy lets run: a table of policies and tasks, in JSON with single
 * quotes. */

#include "lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/consent/consent.h"
#include "wire/json_read.h"
#include "wire/message.h"

#define C(inner) "{'spec':{'container':{" inner "}}}"
#define OK SWKI_CONSENT_GIVEN
#define NO(reason) SWKI_CONSENT_##reason

enum {
    JSON_SIZE = 4096,
};

struct check {
    const char *policy;
    const char *task;
    enum swki_consent_reason reason;
};

static char *quoted(const char *text, char buf[JSON_SIZE])
{
    snprintf(buf, JSON_SIZE, "%s", text);
    for (char *c = buf; *c != '\0'; c++) {
        *c = *c == '\'' ? '"' : *c;
    }
    return buf;
}

static Swkpb__Rpc__NodeConsent *policy_of(const char *text,
                                          struct swki_arena *arena)
{
    Swkpb__Rpc__NodeConsent *consent = NULL;
    char json[JSON_SIZE];
    struct swk_error err;

    quoted(text, json);
    if (swki_consent_read(json, strlen(json), arena, &consent, &err) != 0) {
        fail_msg("%s: %s", text, err.text);
    }
    return consent;
}

static Swkpb__Task *task_of(const char *text, struct swki_arena *arena)
{
    ProtobufCMessage *message = NULL;
    char json[JSON_SIZE];
    struct swk_error err;

    quoted(text, json);
    if (swki_message_from_json(&swkpb__task__descriptor, json, strlen(json),
                               arena, &message, &err) != 0) {
        fail_msg("%s: %s", text, err.text);
    }
    return (Swkpb__Task *)message;
}

static void run_checks(const struct check *checks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct swki_arena arena;
        struct swk_error why = {0};
        enum swki_consent_reason reason;

        swki_arena_init(&arena, NULL, SIZE_MAX);
        reason = swki_consent_check(policy_of(checks[i].policy, &arena),
                                    task_of(checks[i].task, &arena), &why);
        if (reason != checks[i].reason) {
            fail_msg("%s\n%s\ngot %d, not %d: %s", checks[i].policy,
                     checks[i].task, (int)reason, (int)checks[i].reason,
                     why.text);
        }
        if (reason != OK) {
            assert_int_equal(why.code, SWK_EDENIED);
            assert_non_null(
                strstr(why.text, "this node's policy does not allow "));
        }
        swki_arena_fini(&arena);
    }
}

#define RUN(checks) run_checks(checks, sizeof(checks) / sizeof((checks)[0]))

static void without_a_rule_everything_is_allowed(void **state)
{
    static const struct check checks[] = {
        {"{}",
         C("'image':'x','user':'root','capabilityAdd':['ALL'],"
           "'mounts':[{'source':'/','target':'/h'}]"),
         OK},
        {"{}", "{'spec':{'generic':{'kind':'vm'}}}", OK},
        {"{}", "{'spec':{'generic':{'kind':'container'}}}", OK},
        {"{}", "{'spec':{'attachment':{}}}", OK},
        {"{}", "{'spec':{}}", OK},
        {"{}", "{}", NO(EXECUTOR)},
    };

    (void)state;
    RUN(checks);
}

static void an_empty_rule_allows_nothing(void **state)
{
    static const struct check checks[] = {
        {"{'executors':{}}", C("'image':'x'"), NO(EXECUTOR)},
        {"{'images':{}}", C("'image':'x'"), NO(IMAGE)},
        {"{'users':{}}", C("'user':'www'"), NO(USER)},
        {"{'groups':{}}", C("'groups':['log']"), NO(USER)},
        {"{'groups':{}}", C("'image':'x'"), OK},
        {"{'mounts':{}}", C("'mounts':[{'type':'TMPFS','target':'/t'}]"),
         NO(MOUNT)},
        {"{'mounts':{}}", C("'image':'x'"), OK},
        {"{'genericResources':{}}",
         "{'spec':{'container':{},'resources':{'reservations':{'generic':["
         "{'discreteResourceSpec':{'kind':'gpu','value':'1'}}]}}}}",
         NO(RESOURCE)},
        {"{'hostNamespaces':{}}",
         "{'spec':{'container':{},'networks':[{'target':'host'}]}}",
         NO(NAMESPACE)},
        {"{'capabilities':{}}", C("'capabilityAdd':['CAP_CHOWN']"),
         NO(CAPABILITY)},
        {"{'capabilities':{}}", C("'capabilityDrop':['CAP_CHOWN']"), OK},
        {"{'privileges':{}}", C("'image':'x'"), NO(PRIVILEGE)},
        {"{'privileges':{}}", C("'privileges':{'noNewPrivileges':true}"), OK},
        {"{'sysctls':{}}", C("'sysctls':{'net.a':'1'}"), NO(SYSCTL)},
        {"{'ports':{}}",
         "{'spec':{'container':{}},'endpoint':{'spec':{'ports':["
         "{'targetPort':80}]}}}",
         NO(PORT)},
        {"{'perTask':{}}", C("'image':'x'"), OK},
    };

    (void)state;
    RUN(checks);
}

static void executors_are_kinds_of_tasks(void **state)
{
    static const struct check checks[] = {
        {"{'executors':{'allow':['container']}}", C("'image':'x'"), OK},
        {"{'executors':{'allow':['container']}}", "{'spec':{'attachment':{}}}",
         NO(EXECUTOR)},
        {"{'executors':{'allow':['vm*']}}",
         "{'spec':{'generic':{'kind':'vm1'}}}", OK},
        {"{'executors':{'allow':['vm*']}}", C("'image':'x'"), NO(EXECUTOR)},
        /* What it hides cannot be judged by rules for containers. */
        {"{'images':{'allow':['*']}}", "{'spec':{'generic':{'kind':'vm'}}}",
         NO(EXECUTOR)},
        {"{'images':{'allow':['*']},'executors':{'allow':['vm']}}",
         "{'spec':{'generic':{'kind':'vm'}}}", OK},
        {"{'ports':{}}", "{'spec':{'generic':{'kind':'vm'}}}", OK},
        /* Whatever it is, a container it is not. */
        {"{'executors':{'allow':['container']}}",
         "{'spec':{'generic':{'kind':'container'}}}", NO(EXECUTOR)},
        {"{'executors':{'allow':['*']}}",
         "{'spec':{'generic':{'kind':'attachment'}}}", NO(EXECUTOR)},
    };

    (void)state;
    RUN(checks);
}

static void images_match_patterns(void **state)
{
    static const struct check checks[] = {
        {"{'images':{'allow':['reg.example.com/*'],'deny':['*:latest']}}",
         C("'image':'reg.example.com/web:1'"), OK},
        {"{'images':{'allow':['reg.example.com/*'],'deny':['*:latest']}}",
         C("'image':'reg.example.com/web:latest'"), NO(IMAGE)},
        {"{'images':{'allow':['reg.example.com/*']}}", C("'image':'web'"),
         NO(IMAGE)},
        /* Directories do not lead elsewhere. */
        {"{'images':{'allow':['/srv/*']}}", C("'image':'/srv/web'"), OK},
        {"{'images':{'allow':['/srv/*']}}", C("'image':'/srv/web/../..'"),
         NO(IMAGE)},
        {"{'images':{'allow':['/srv/*']}}", C("'image':'/srv/./web'"),
         NO(IMAGE)},
        {"{'images':{'allow':['*']}}", C("'image':'/srv/web/../..'"), OK},
    };

    (void)state;
    RUN(checks);
}

static void root_has_many_names(void **state)
{
#define NOT_ROOT "{'users':{'allow':['*'],'deny':['root']}}"
#define LOG_ONLY "{'groups':{'allow':['log','4']}}"
    static const struct check checks[] = {
        {NOT_ROOT, C("'user':'www'"), OK},
        {NOT_ROOT, C("'user':'1000:1000'"), OK},
        {NOT_ROOT, C("'user':'root'"), NO(USER)},
        {NOT_ROOT, C("'image':'x'"), NO(USER)},
        {NOT_ROOT, C("'user':'0'"), NO(USER)},
        {NOT_ROOT, C("'user':'000'"), NO(USER)},
        {NOT_ROOT, C("'user':':log'"), NO(USER)},
        {NOT_ROOT, C("'user':'{{.Service.Name}}'"), NO(USER)},
        {"{'users':{'allow':['1000']}}", C("'user':'01000'"), OK},
        {"{'users':{'allow':['1000']}}", C("'user':'10000'"), NO(USER)},
        {"{'users':{'allow':['root']}}", C("'image':'x'"), OK},
        {LOG_ONLY, C("'user':'www'"), OK},
        {LOG_ONLY, C("'user':'www:log','groups':['04']"), OK},
        {LOG_ONLY, C("'user':'www:0'"), NO(USER)},
        {LOG_ONLY, C("'user':'www:'"), NO(USER)},
        {LOG_ONLY, C("'user':'www','groups':['log','disk']"), NO(USER)},
    };

    (void)state;
    RUN(checks);
}

static void mounts_fit_a_rule(void **state)
{
#define MOUNT(inner) C("'mounts':[{" inner ",'target':'/t'}]")
#define DATA "{'mounts':{'allow':[{'type':'bind','source':'/srv/data'}]}}"
#define READ                                                                   \
    "{'mounts':{'allow':[{'type':'bind','source':'/srv','readonly':true}]}}"
#define VOLUMES "{'mounts':{'allow':[{'type':'volume'}]}}"
    static const struct check checks[] = {
        {DATA, MOUNT("'type':'BIND','source':'/srv/data'"), OK},
        {DATA, MOUNT("'type':'BIND','source':'/srv/data/x'"), OK},
        {DATA, MOUNT("'type':'BIND','source':'/srv/database'"), NO(MOUNT)},
        {DATA, MOUNT("'type':'BIND','source':'/srv'"), NO(MOUNT)},
        {DATA, MOUNT("'type':'BIND','source':'/srv/data/../../etc'"),
         NO(MOUNT)},
        {DATA, MOUNT("'type':'BIND','source':'/srv/data/'"), NO(MOUNT)},
        {DATA, MOUNT("'type':'BIND','source':'/srv/data/{{.Node.ID}}'"),
         NO(MOUNT)},
        {DATA, MOUNT("'type':'VOLUME','source':'/srv/data'"), NO(MOUNT)},
        {DATA, MOUNT("'type':'TMPFS'"), NO(MOUNT)},
        {READ, MOUNT("'type':'BIND','source':'/srv','readonly':true"), OK},
        {READ, MOUNT("'type':'BIND','source':'/srv'"), NO(MOUNT)},
        {READ,
         MOUNT("'type':'BIND','source':'/srv','readonly':true,"
               "'bindOptions':{'readonlynonrecursive':true}"),
         NO(MOUNT)},
        {VOLUMES, MOUNT("'type':'VOLUME','source':'v'"), OK},
        {VOLUMES,
         MOUNT("'type':'VOLUME','source':'v','volumeOptions':{"
               "'driverConfig':{'options':{'device':'/'}}}"),
         NO(MOUNT)},
        {"{'mounts':{'allow':[{'type':'*'}]}}",
         MOUNT("'type':'VOLUME','source':'v','volumeOptions':{"
               "'driverConfig':{'options':{'device':'/'}}}"),
         OK},
        {"{'mounts':{'allow':[{'type':'volume','source':'web-*'}]}}",
         MOUNT("'type':'VOLUME','source':'web-1'"), OK},
        {"{'mounts':{'allow':[{'type':'volume','source':'web-*'}]}}",
         MOUNT("'type':'VOLUME','source':'db'"), NO(MOUNT)},
        {"{'mounts':{'allow':[{'type':'tmpfs'},{'type':'cluster'}]}}",
         MOUNT("'type':'CLUSTER','source':'g'"), OK},
        {"{'mounts':{'allow':[{'type':'tmpfs'}]}}", MOUNT("'type':77"),
         NO(MOUNT)},
    };

    (void)state;
    RUN(checks);
}

static void resources_are_asked_for_or_given(void **state)
{
    static const struct check checks[] = {
        {"{'genericResources':{'allow':['ssd']}}",
         "{'spec':{'container':{}},'assignedGenericResources':["
         "{'namedResourceSpec':{'kind':'gpu','value':'1'}}]}",
         NO(RESOURCE)},
        {"{'genericResources':{'allow':['gpu']}}",
         "{'spec':{'container':{}},'assignedGenericResources':["
         "{'namedResourceSpec':{'kind':'gpu','value':'1'}}]}",
         OK},
    };

    (void)state;
    RUN(checks);
}

static void the_host_network_is_known_by_name_and_driver(void **state)
{
#define ATTACHED(inner)                                                        \
    "{'spec':{'container':{}},'networks':[{'network':{" inner "}}]}"
    static const struct check checks[] = {
        {"{'hostNamespaces':{}}", ATTACHED("'driverState':{'name':'overlay'}"),
         OK},
        {"{'hostNamespaces':{}}", ATTACHED("'driverState':{'name':'host'}"),
         NO(NAMESPACE)},
        {"{'hostNamespaces':{}}",
         ATTACHED("'spec':{'driverConfig':{'name':'host'}}"), NO(NAMESPACE)},
        {"{'hostNamespaces':{}}",
         ATTACHED("'spec':{'annotations':{'name':'host'}}"), NO(NAMESPACE)},
        {"{'hostNamespaces':{'allow':['network']}}",
         ATTACHED("'driverState':{'name':'host'}"), OK},
        {"{'hostNamespaces':{'allow':['pid']}}",
         ATTACHED("'driverState':{'name':'host'}"), NO(NAMESPACE)},
    };

    (void)state;
    RUN(checks);
}

static void capabilities_have_one_name(void **state)
{
#define NETWORK "{'capabilities':{'allow':['CAP_NET_*']}}"
    static const struct check checks[] = {
        {NETWORK, C("'capabilityAdd':['CAP_NET_ADMIN','net_raw']"), OK},
        {NETWORK, C("'capabilityAdd':['CAP_NET_ADMIN','SYS_ADMIN']"),
         NO(CAPABILITY)},
        {NETWORK, C("'capabilityAdd':['ALL']"), NO(CAPABILITY)},
        {"{'capabilities':{'allow':['*']}}", C("'capabilityAdd':['ALL']"), OK},
        {"{'capabilities':{'allow':['*'],'deny':['CAP_SYS_ADMIN']}}",
         C("'capabilityAdd':['all']"), NO(CAPABILITY)},
        {"{'capabilities':{'allow':['*'],'deny':['CAP_SYS_ADMIN']}}",
         C("'capabilityAdd':['CAP_CHOWN']"), OK},
    };

    (void)state;
    RUN(checks);
}

static void each_privilege_has_a_word(void **state)
{
#define PRIVILEGED(inner) C("'privileges':{'noNewPrivileges':true," inner "}")
#define NEW_ONLY "{'privileges':{'allow':['new-privileges']}}"
    static const struct check checks[] = {
        {NEW_ONLY, C("'image':'x'"), OK},
        {NEW_ONLY, PRIVILEGED("'seccomp':{'mode':'UNCONFINED'}"),
         NO(PRIVILEGE)},
        {NEW_ONLY, PRIVILEGED("'seccomp':{'mode':'CUSTOM'}"), NO(PRIVILEGE)},
        {NEW_ONLY, PRIVILEGED("'seccomp':{'mode':9}"), NO(PRIVILEGE)},
        {NEW_ONLY, PRIVILEGED("'seccomp':{}"), OK},
        {NEW_ONLY, PRIVILEGED("'apparmor':{'mode':'DISABLED'}"), NO(PRIVILEGE)},
        {NEW_ONLY, PRIVILEGED("'selinuxContext':{'disable':true}"),
         NO(PRIVILEGE)},
        {NEW_ONLY, PRIVILEGED("'selinuxContext':{'type':'t'}"), NO(PRIVILEGE)},
        {NEW_ONLY, PRIVILEGED("'selinuxContext':{}"), OK},
        {NEW_ONLY, PRIVILEGED("'credentialSpec':{}"), NO(PRIVILEGE)},
        {NEW_ONLY, C("'oomScoreAdj':'-1'"), NO(PRIVILEGE)},
        {NEW_ONLY, C("'oomScoreAdj':'1'"), OK},
        {"{'privileges':{'allow':['seccomp-*']}}",
         PRIVILEGED("'seccomp':{'mode':'CUSTOM'}"), OK},
        {"{'sysctls':{'allow':['net.*']}}", C("'sysctls':{'net.a':'1'}"), OK},
        {"{'sysctls':{'allow':['net.*']}}", C("'sysctls':{'kernel.a':'1'}"),
         NO(SYSCTL)},
    };

    (void)state;
    RUN(checks);
}

static void ports_are_in_ranges_of_their_mode(void **state)
{
#define PORTS(inner)                                                           \
    "{'spec':{'container':{}},'endpoint':{'ports':[" inner "]}}"
#define HIGH                                                                   \
    "{'ports':{'host':[{'first':80,'last':80},{'first':8000,'last':8999}]}}"
    static const struct check checks[] = {
        {HIGH, PORTS("{'publishMode':'HOST','publishedPort':80}"), OK},
        {HIGH,
         PORTS("{'publishMode':'HOST','publishedPort':8000},"
               "{'publishMode':'HOST','publishedPort':8999}"),
         OK},
        {HIGH, PORTS("{'publishMode':'HOST','publishedPort':9000}"), NO(PORT)},
        {HIGH, PORTS("{'publishMode':'HOST'}"), NO(PORT)},
        {HIGH, PORTS("{'publishedPort':8000}"), NO(PORT)},
        {"{'ports':{'ingress':[{'first':0,'last':65535}]}}",
         PORTS("{'publishedPort':8000}"), OK},
        {"{'ports':{'host':[{'first':0,'last':0}]}}",
         PORTS("{'publishMode':'HOST'}"), OK},
        {HIGH, "{'spec':{'container':{}},'endpoint':{}}", OK},
        {HIGH,
         "{'spec':{'container':{}},'endpoint':{'spec':{'ports':[{"
         "'publishMode':'HOST','publishedPort':80}]},'ports':[{"
         "'publishMode':'HOST','publishedPort':81}]}}",
         NO(PORT)},
    };

    (void)state;
    RUN(checks);
}

static void limits_must_be_there_and_low(void **state)
{
#define LIMITS(inner)                                                          \
    "{'spec':{'container':{},'resources':{'limits':{" inner "}}}}"
    static const struct check checks[] = {
        {"{'perTask':{'memoryBytes':'1000'}}", LIMITS("'memoryBytes':'1000'"),
         OK},
        {"{'perTask':{'memoryBytes':'1000'}}", LIMITS("'memoryBytes':'1001'"),
         NO(LIMIT)},
        {"{'perTask':{'memoryBytes':'1000'}}", C("'image':'x'"), NO(LIMIT)},
        {"{'perTask':{'nanoCpus':'5'}}", LIMITS("'nanoCpus':'5'"), OK},
        {"{'perTask':{'nanoCpus':'5'}}", LIMITS("'nanoCpus':'6'"), NO(LIMIT)},
        {"{'perTask':{'pids':'5'}}", C("'pidsLimit':'5'"), OK},
        {"{'perTask':{'pids':'5'}}", C("'pidsLimit':'-1'"), NO(LIMIT)},
        {"{'perTask':{'pids':'5'}}", "{'spec':{'generic':{'kind':'vm'}}}",
         NO(LIMIT)},
        {"{'perTask':{'pids':'5'}}", "{'spec':{'attachment':{}}}", OK},
    };

    (void)state;
    RUN(checks);
}

static void signers_are_looked_at_by_their_keys(void **state)
{
    uint8_t id[] = {1, 2, 3};
    uint8_t other[] = {1, 2, 4};
    ProtobufCBinaryData known = {sizeof(id), id};
    Swkpb__Rpc__NodeConsent consent = SWKPB__RPC__NODE_CONSENT__INIT;
    Swkpb__Rpc__NodeConsent__Signers signers =
        SWKPB__RPC__NODE_CONSENT__SIGNERS__INIT;
    Swkpb__Rpc__SpecSignature signature = SWKPB__RPC__SPEC_SIGNATURE__INIT;
    Swkpb__Rpc__SpecSignature *list[] = {&signature};
    Swkpb__TaskSpec spec = SWKPB__TASK_SPEC__INIT;
    Swkpb__Task task = SWKPB__TASK__INIT;

    (void)state;
    task.spec = &spec;
    consent.signers = &signers;
    assert_int_equal(swki_consent_check(&consent, &task, NULL), NO(SIGNATURE));
    signers.key_ids = &known;
    signers.n_key_ids = 1;
    assert_int_equal(swki_consent_check(&consent, &task, NULL), NO(SIGNATURE));
    task.signatures = list;
    task.n_signatures = 1;
    assert_int_equal(swki_consent_check(&consent, &task, NULL), NO(SIGNATURE));
    signature.key_id = (ProtobufCBinaryData){sizeof(other), other};
    assert_int_equal(swki_consent_check(&consent, &task, NULL), NO(SIGNATURE));
    signature.key_id = (ProtobufCBinaryData){sizeof(id), id};
    assert_int_equal(swki_consent_check(&consent, &task, NULL), OK);
}

/* -- Policies ------------------------------------------------------------- */

static void what_makes_no_sense_is_refused_with_its_place(void **state)
{
    static const struct {
        const char *policy;
        const char *where;
    } cases[] = {
        {"", "JSON"},
        {"[]", "JSON"},
        {"{'image':{}}", "image"},
        {"{'images':{'allow':'x'}}", "images.allow"},
        {"{'images':{'allow':['x',7]}}", "images.allow[1]"},
        {"{'images':{'allow':['']}}", "images.allow[0]"},
        {"{'images':{'any':['x']}}", "images.any"},
        {"{'images':{},'images':{}}", "images"},
        {"{'hostNamespaces':{'allow':['net']}}", "hostNamespaces.allow[0]"},
        {"{'privileges':{'deny':['*','all']}}", "privileges.deny[1]"},
        {"{'capabilities':{'allow':['NET_ADMIN']}}", "capabilities.allow[0]"},
        {"{'mounts':{'allow':[{'type':'bind'},{'type':'disk'}]}}",
         "mounts.allow[1].type"},
        {"{'mounts':{'allow':[{}]}}", "mounts.allow[0].type"},
        {"{'mounts':{'allow':[{'type':'b*'}]}}", "mounts.allow[0].type"},
        {"{'mounts':{'allow':[{'type':'bind','source':'srv'}]}}",
         "mounts.allow[0].source"},
        {"{'mounts':{'allow':[{'type':'bind','source':'/srv/'}]}}",
         "mounts.allow[0].source"},
        {"{'mounts':{'allow':[{'type':'*','source':'/srv'}]}}",
         "mounts.allow[0].source"},
        {"{'ports':{'host':[{'first':2,'last':1}]}}", "ports.host[0]"},
        {"{'ports':{'ingress':[{'first':2,'last':65536}]}}",
         "ports.ingress[0]"},
        {"{'perTask':{'pids':'-1'}}", "perTask"},
        {"{'signers':{}}", "signers"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        Swkpb__Rpc__NodeConsent *consent = NULL;
        struct swki_arena arena;
        char json[JSON_SIZE];
        struct swk_error err = {0};

        swki_arena_init(&arena, NULL, SIZE_MAX);
        quoted(cases[i].policy, json);
        if (swki_consent_read(json, strlen(json), &arena, &consent, &err) ==
                SWK_OK ||
            consent != NULL || strstr(err.text, cases[i].where) == NULL) {
            fail_msg("%s: \"%s\"", cases[i].policy, err.text);
        }
        swki_arena_fini(&arena);
    }
}

static void lists_have_a_limit(void **state)
{
    char *patterns[SWKI_CONSENT_ENTRIES_MAX + 1];
    Swkpb__Rpc__NodeConsent consent = SWKPB__RPC__NODE_CONSENT__INIT;
    Swkpb__Rpc__NodeConsent__Names names =
        SWKPB__RPC__NODE_CONSENT__NAMES__INIT;

    (void)state;
    for (size_t i = 0; i < SWKI_CONSENT_ENTRIES_MAX + 1; i++) {
        patterns[i] = (char *)"x";
    }
    consent.images = &names;
    names.deny = patterns;
    names.n_deny = SWKI_CONSENT_ENTRIES_MAX;
    assert_int_equal(swki_consent_validate(&consent, NULL), SWK_OK);
    names.n_deny++;
    assert_int_equal(swki_consent_validate(&consent, NULL), SWK_EINVAL);
}

static void a_policy_is_put_in_words(void **state)
{
    static const char expected[] =
        "executors: container\n"
        "images: anything, but not host\n"
        "users: anything\n"
        "groups: anything\n"
        "genericResources: anything\n"
        "hostNamespaces: nothing\n"
        "capabilities: anything\n"
        "privileges: anything\n"
        "sysctls: anything\n"
        "mounts: bind /srv (read-only), tmpfs\n"
        "host ports: 80, 8000-8999\n"
        "ingress ports: nothing\n"
        "each task's CPUs: anything\n"
        "each task's memory: limited to 1024 bytes or less\n"
        "each task's processes: anything\n";
    struct swki_arena arena;
    struct swki_buf out;

    (void)state;
    swki_arena_init(&arena, NULL, SIZE_MAX);
    swki_buf_init(&out, NULL, SIZE_MAX);
    assert_true(swki_consent_describe(
        policy_of("{'executors':{'allow':['container']},"
                  "'images':{'allow':['*'],'deny':['host']},"
                  "'hostNamespaces':{},"
                  "'mounts':{'allow':[{'type':'bind','source':'/srv',"
                  "'readonly':true},{'type':'tmpfs'}]},"
                  "'ports':{'host':[{'first':80,'last':80},"
                  "{'first':8000,'last':8999}]},"
                  "'perTask':{'memoryBytes':'1024'}}",
                  &arena),
        &out));
    assert_true(swki_buf_append_byte(&out, 0));
    assert_string_equal((const char *)out.data, expected);
    swki_buf_fini(&out);
    swki_arena_fini(&arena);
}

static void links_matter_where_paths_are_judged(void **state)
{
    static const struct {
        const char *policy;
        bool images;
        bool binds;
    } cases[] = {
        {"{}", false, false},
        {"{'users':{'allow':['www']}}", false, false},
        {"{'images':{'allow':['*']}}", false, false},
        {"{'images':{'allow':['/srv/*']}}", true, false},
        {"{'images':{'allow':['*'],'deny':['/root/*']}}", true, false},
        {"{'mounts':{'allow':[{'type':'bind'}]}}", false, false},
        {"{'mounts':{'allow':[{'type':'volume','source':'v'}]}}", false, false},
        {"{'mounts':{'allow':[{'type':'bind','source':'/srv'}]}}", false, true},
        {"{'mounts':{'allow':[{'type':'*'}]}}", false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        Swkpb__Rpc__NodeConsent *consent;
        struct swki_arena arena;

        swki_arena_init(&arena, NULL, SIZE_MAX);
        consent = policy_of(cases[i].policy, &arena);
        if (swki_consent_bounds_images(consent) != cases[i].images ||
            swki_consent_bounds_binds(consent) != cases[i].binds) {
            fail_msg("%s", cases[i].policy);
        }
        swki_arena_fini(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_rule_everything_is_allowed),
        cmocka_unit_test(an_empty_rule_allows_nothing),
        cmocka_unit_test(executors_are_kinds_of_tasks),
        cmocka_unit_test(images_match_patterns),
        cmocka_unit_test(root_has_many_names),
        cmocka_unit_test(mounts_fit_a_rule),
        cmocka_unit_test(resources_are_asked_for_or_given),
        cmocka_unit_test(the_host_network_is_known_by_name_and_driver),
        cmocka_unit_test(capabilities_have_one_name),
        cmocka_unit_test(each_privilege_has_a_word),
        cmocka_unit_test(ports_are_in_ranges_of_their_mode),
        cmocka_unit_test(limits_must_be_there_and_low),
        cmocka_unit_test(signers_are_looked_at_by_their_keys),
        cmocka_unit_test(what_makes_no_sense_is_refused_with_its_place),
        cmocka_unit_test(lists_have_a_limit),
        cmocka_unit_test(a_policy_is_put_in_words),
        cmocka_unit_test(links_matter_where_paths_are_judged),
    };

    return cmocka_run_group_tests_name("consent", tests, NULL, NULL);
}

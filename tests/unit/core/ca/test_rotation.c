/* SPDX-License-Identifier: Apache-2.0 */

/* What a change of the CA's settings means: every row of the table. */

#include "lib/cmocka_all.h"

#include <stdlib.h>

#include "core/ca/rotation.h"
#include "unit/crypto/pki.h"

#define YEAR ((swk_wall)(365 * 24 * SWK_HOUR))

/* A root with its key. */
struct ca {
    struct swki_buf key;
    struct swki_buf root;
};

struct f {
    struct pki pki; /* of the present root */
    struct ca other;
    struct ca third;
    struct ca short_lived; /* ends within the year */
    Swkpb__RootCA root;
    Swkpb__RootRotation rotation;
    Swkpb__CAConfig config;
    Swkpb__ExternalCA external;
    Swkpb__ExternalCA *externals[1];
    struct swki_arena arena;
    struct swki_rotation_work work;
    struct swki_rotation_plan plan;
    struct swk_error err;
};

static void make_ca(struct pki *pki, swk_wall now, struct ca *ca)
{
    swki_buf_init(&ca->key, NULL, SIZE_MAX);
    swki_buf_init(&ca->root, NULL, SIZE_MAX);
    assert_int_equal(swki_key_generate(&pki->entropy, &ca->key, NULL), 0);
    assert_int_equal(swki_root_create(swki_pem_of_buf(&ca->key), now,
                                      &pki->entropy, &ca->root, NULL),
                     0);
}

static void free_ca(struct ca *ca)
{
    swki_buf_fini(&ca->key);
    swki_buf_fini(&ca->root);
}

static ProtobufCBinaryData data_of(const struct swki_buf *buf)
{
    return (ProtobufCBinaryData){.len = buf->len, .data = buf->data};
}

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    pki_init(&f->pki, 17);
    make_ca(&f->pki, PKI_NOW, &f->other);
    make_ca(&f->pki, PKI_NOW, &f->third);
    make_ca(&f->pki, PKI_NOW - 19 * YEAR - YEAR / 2, &f->short_lived);
    swkpb__root_ca__init(&f->root);
    swkpb__root_rotation__init(&f->rotation);
    swkpb__caconfig__init(&f->config);
    swkpb__external_ca__init(&f->external);
    f->root.ca_cert = data_of(&f->pki.root);
    f->root.ca_key = data_of(&f->pki.key);
    f->root.last_forced_rotation = 4;
    f->config.force_rotate = 4;
    f->externals[0] = &f->external;
    swki_arena_init(&f->arena, NULL, SIZE_MAX);
    swki_rotation_work_init(&f->work, NULL);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swki_rotation_work_fini(&f->work);
    swki_arena_fini(&f->arena);
    free_ca(&f->short_lived);
    free_ca(&f->third);
    free_ca(&f->other);
    pki_fini(&f->pki);
    free(f);
    return 0;
}

/* ---- the question ---- */

static void desire(struct f *f, const struct ca *ca)
{
    f->config.signing_ca_cert = data_of(&ca->root);
    f->config.signing_ca_key = data_of(&ca->key);
}

static void rotate_under_way(struct f *f, const struct ca *ca)
{
    f->rotation.ca_cert = data_of(&ca->root);
    f->rotation.ca_key = data_of(&ca->key);
    f->root.root_rotation = &f->rotation;
}

static char *text_of(struct f *f, const char *text)
{
    return swki_arena_strdup(&f->arena, text);
}

/* An external CA; of no root: of the present one. */
static void add_external(struct f *f, const struct swki_buf *root)
{
    f->external.url = text_of(f, "https://ca.example.org/sign");
    if (root != NULL) {
        f->external.ca_cert = data_of(root);
    }
    f->config.external_cas = f->externals;
    f->config.n_external_cas = 1;
}

static int decide(struct f *f)
{
    const struct swki_rotation_question question = {
        .root = &f->root,
        .config = &f->config,
        .now = PKI_NOW,
        .entropy = &f->pki.entropy,
    };

    f->err = (struct swk_error){0};
    return swki_rotation_decide(&question, &f->work, &f->arena, &f->plan,
                                &f->err);
}

static void expect_step(struct f *f, enum swki_rotation_step step)
{
    int rc = decide(f);

    if (rc != 0) {
        fail_msg("%s", f->err.text);
    }
    assert_int_equal(f->plan.step, step);
}

static void expect_need(struct f *f, enum swki_rotation_need_kind kind)
{
    expect_step(f, SWKI_ROTATION_WORK);
    assert_int_equal(f->plan.need.kind, kind);
}

static void expect_failure(struct f *f, int code, const char *text)
{
    assert_int_equal(decide(f), code);
    assert_int_equal(f->err.code, code);
    if (strstr(f->err.text, text) == NULL) {
        fail_msg("\"%s\" is not \"%s\"", f->err.text, text);
    }
}

static void assert_pem(struct swki_pem pem, const struct swki_buf *buf)
{
    assert_int_equal(pem.len, buf->len);
    assert_memory_equal(pem.text, buf->data, buf->len);
}

/* ---- the work ---- */

static int add(struct f *f, const struct swki_rotation_result *result)
{
    f->err = (struct swk_error){0};
    return swki_rotation_work_add(&f->work, &f->plan.need, result, PKI_NOW,
                                  &f->pki.entropy, &f->err);
}

static void answer_check(struct f *f, int code)
{
    const struct swki_rotation_result result = {.code = code,
                                                .text = "connection refused"};

    assert_int_equal(add(f, &result), 0);
}

static void answer_root(struct f *f, const struct ca *ca)
{
    const struct swki_rotation_result result = {
        .certificate = swki_pem_of_buf(&ca->root),
        .key = swki_pem_of_buf(&ca->key),
    };

    assert_int_equal(add(f, &result), 0);
}

/* A certificate of root, under the present one. */
static void cross_sign(struct f *f, struct swki_pem root,
                       struct swki_buf *out_pem)
{
    swki_buf_init(out_pem, NULL, SIZE_MAX);
    assert_int_equal(swki_signer_cross_sign(f->pki.signer, root, out_pem, NULL),
                     0);
}

static void answer_cross(struct f *f)
{
    struct swki_rotation_result result = {0};
    struct swki_buf cross;

    cross_sign(f, f->plan.need.root, &cross);
    result.certificate = swki_pem_of_buf(&cross);
    assert_int_equal(add(f, &result), 0);
    swki_buf_fini(&cross);
}

/* What a leaf of ca with the cross certificate behind it is to who trusts the
 * present root. */
static void assert_leaf_is_trusted(struct f *f, struct swki_pem key,
                                   struct swki_pem cross)
{
    const struct swki_signer_config config = {
        .certificate = cross,
        .key = key,
        .intermediates = cross,
        .entropy = &f->pki.entropy,
    };
    const struct swki_leaf leaf = {
        .node_id = "n1",
        .swarm_id = PKI_SWARM,
        .role = SWKI_ROLE_WORKER,
        .now = PKI_NOW,
        .validity_ns = SWK_HOUR,
    };
    struct swki_signer *signer;
    struct swki_buf node_key;
    struct swki_buf csr;
    struct swki_buf chain;

    pki_request(&f->pki, &node_key, &csr);
    swki_buf_init(&chain, NULL, SIZE_MAX);
    assert_int_equal(swki_signer_new(NULL, &config, &signer, NULL), 0);
    assert_int_equal(
        swki_signer_issue(signer, swki_pem_of_buf(&csr), &leaf, &chain, NULL),
        0);
    const struct swki_chain question = {
        .certificates = swki_pem_of_buf(&chain),
        .roots = swki_pem_of_buf(&f->pki.root),
        .now = PKI_NOW,
    };
    assert_int_equal(swki_chain_verify(&question, NULL, NULL), 0);
    swki_signer_free(signer);
    swki_buf_fini(&chain);
    swki_buf_fini(&node_key);
    swki_buf_fini(&csr);
}

/* ---- rows ---- */

static void a_key_without_its_certificate_is_refused(void **state)
{
    struct f *f = *state;

    f->config.signing_ca_key = data_of(&f->other.key);
    expect_failure(f, SWK_EINVAL,
                   "if a signing CA key is provided, the signing CA cert must "
                   "also be provided");
}

static void a_keyless_swarm_may_be_given_its_key(void **state)
{
    struct f *f = *state;

    f->root.ca_key = (ProtobufCBinaryData){0};
    rotate_under_way(f, &f->other);
    f->config.signing_ca_cert = data_of(&f->pki.root);
    f->config.signing_ca_key = data_of(&f->pki.key);
    expect_step(f, SWKI_ROTATION_REKEY);
    assert_pem(f->plan.key, &f->pki.key);

    assert_int_equal(
        swki_rotation_apply(&f->plan, 5, &f->arena, &f->root, NULL), 0);
    assert_null(f->root.root_rotation);
    assert_int_equal(f->root.ca_key.len, f->pki.key.len);
    assert_int_equal(f->root.last_forced_rotation, 5);
}

static void the_key_given_to_a_keyless_swarm_must_match(void **state)
{
    struct f *f = *state;

    f->root.ca_key = (ProtobufCBinaryData){0};
    f->config.signing_ca_cert = data_of(&f->pki.root);
    f->config.signing_ca_key = data_of(&f->other.key);
    expect_failure(f, SWK_EINVAL, "certificate key mismatch");
}

static void a_keyless_swarm_needs_an_external_ca(void **state)
{
    struct f *f = *state;

    f->root.ca_key = (ProtobufCBinaryData){0};
    add_external(f, NULL);
    expect_need(f, SWKI_ROTATION_NEEDS_CHECK);
    assert_pem(f->plan.need.authority, &f->pki.root);
    assert_int_equal(f->plan.need.urls_count, 1);
    assert_string_equal(f->plan.need.urls[0], "https://ca.example.org/sign");

    answer_check(f, SWK_EUNAVAILABLE);
    expect_failure(f, SWK_EINVAL,
                   "there must be at least one valid, reachable external CA "
                   "corresponding to the current CA certificate");
}

static void a_keyless_swarm_with_an_external_ca_may_change(void **state)
{
    struct f *f = *state;

    f->root.ca_key = (ProtobufCBinaryData){0};
    add_external(f, &f->pki.root);
    expect_need(f, SWKI_ROTATION_NEEDS_CHECK);
    answer_check(f, 0);
    expect_step(f, SWKI_ROTATION_KEEP);
}

static void external_cas_of_other_roots_are_not_asked(void **state)
{
    struct f *f = *state;

    f->root.ca_key = (ProtobufCBinaryData){0};
    add_external(f, &f->other.root);
    expect_need(f, SWKI_ROTATION_NEEDS_CHECK);
    assert_int_equal(f->plan.need.urls_count, 0);
    f->external.ca_cert = data_of(&f->pki.root);
    f->external.url = text_of(f, "http://ca.example.org/sign");
    expect_need(f, SWKI_ROTATION_NEEDS_CHECK);
    assert_int_equal(f->plan.need.urls_count, 0);
}

static void a_new_count_makes_a_new_root(void **state)
{
    struct f *f = *state;

    f->config.force_rotate = 5;
    expect_need(f, SWKI_ROTATION_NEEDS_ROOT);
    answer_root(f, &f->other);
    expect_need(f, SWKI_ROTATION_NEEDS_CROSS);
    assert_pem(f->plan.need.authority, &f->pki.root);
    assert_pem(f->plan.need.authority_key, &f->pki.key);
    assert_pem(f->plan.need.root, &f->other.root);
    answer_cross(f);
    expect_step(f, SWKI_ROTATION_START);
    assert_pem(f->plan.certificate, &f->other.root);
    assert_pem(f->plan.key, &f->other.key);
    assert_leaf_is_trusted(f, f->plan.key, f->plan.cross);

    assert_int_equal(
        swki_rotation_apply(&f->plan, 5, &f->arena, &f->root, NULL), 0);
    assert_int_equal(f->root.root_rotation->ca_cert.len, f->other.root.len);
    assert_int_equal(f->root.root_rotation->ca_key.len, f->other.key.len);
    assert_true(f->root.root_rotation->cross_signed_ca_cert.len > 0);
    assert_int_equal(f->root.ca_cert.len, f->pki.root.len);
    assert_int_equal(f->root.last_forced_rotation, 5);
}

static void a_keyless_rotation_needs_an_external_ca(void **state)
{
    struct f *f = *state;

    rotate_under_way(f, &f->other);
    f->rotation.ca_key = (ProtobufCBinaryData){0};
    add_external(f, &f->other.root);
    expect_need(f, SWKI_ROTATION_NEEDS_CHECK);
    assert_pem(f->plan.need.authority, &f->other.root);
    assert_int_equal(f->plan.need.urls_count, 1);
    answer_check(f, SWK_ETIMEDOUT);
    expect_failure(f, SWK_EINVAL, "corresponding to the next CA certificate");
}

static void no_wish_changes_nothing(void **state)
{
    struct f *f = *state;

    expect_step(f, SWKI_ROTATION_KEEP);
    rotate_under_way(f, &f->other);
    expect_step(f, SWKI_ROTATION_KEEP);
    f->root.last_forced_rotation = 4;
    assert_int_equal(
        swki_rotation_apply(&f->plan, 9, &f->arena, &f->root, NULL), 0);
    assert_int_equal(f->root.last_forced_rotation, 4);
}

static void bad_certificates_are_refused(void **state)
{
    struct f *f = *state;
    uint8_t garbage[] = "no certificate";
    struct ca expired;

    f->config.signing_ca_cert =
        (ProtobufCBinaryData){sizeof(garbage) - 1, garbage};
    expect_failure(f, SWK_EINVAL, "certificate");

    desire(f, &f->other);
    f->config.signing_ca_key = data_of(&f->third.key);
    expect_failure(f, SWK_EINVAL, "certificate key mismatch");

    make_ca(&f->pki, PKI_NOW - 21 * YEAR, &expired);
    desire(f, &expired);
    expect_failure(f, SWK_EINVAL, "not valid");
    free_ca(&expired);
}

static void a_certificate_of_a_node_is_no_root(void **state)
{
    struct f *f = *state;
    struct pki_node node;

    pki_node_init(&f->pki, &node, "n1", SWKI_ROLE_MANAGER);
    f->config.signing_ca_cert = data_of(&node.chain);
    f->config.signing_ca_key = data_of(&node.key);
    expect_failure(f, SWK_EINVAL, "self-signed");
    pki_node_fini(&node);
}

/* Signed by itself, like a root, but with CA:FALSE; until the year 2126. */
static const char no_authority[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBejCCASCgAwIBAgIUTp8W2FzUW/p7eh/rnMzUL5MF3A4wCgYIKoZIzj0EAwIw\n"
    "EzERMA8GA1UEAwwIc3dhcm0tY2EwIBcNMjYxMTIzMTU0OTQxWhgPMjEyNjEwMzAx\n"
    "NTQ5NDFaMBMxETAPBgNVBAMMCHN3YXJtLWNhMFkwEwYHKoZIzj0CAQYIKoZIzj0D\n"
    "AQcDQgAEkcyKRswRpZScX6Mkm9LzQHgUA9U2iSnA+/PhEtcfxGCGEfB3oOo2z/YY\n"
    "khvLjOODFUfexUDHP0Y64vBKEEAEe6NQME4wHQYDVR0OBBYEFJWRYN/XQe3lQzqR\n"
    "+6YSGApzSr6WMB8GA1UdIwQYMBaAFJWRYN/XQe3lQzqR+6YSGApzSr6WMAwGA1Ud\n"
    "EwEB/wQCMAAwCgYIKoZIzj0EAwIDSAAwRQIgO4O6QqREp2Cd3nvQKAZWJ2TqG/DQ\n"
    "eglMngWXJCpPFiQCIQDDE3iTeVNBPYN6CQrk3Er62kdSG2WRxCFnzP3f1Oudwg==\n"
    "-----END CERTIFICATE-----\n";

static void a_certificate_that_may_not_sign_is_no_root(void **state)
{
    struct f *f = *state;
    char *text = text_of(f, no_authority);

    f->config.signing_ca_cert =
        (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
    expect_failure(f, SWK_EINVAL, "not that of a CA");
}

static void several_certificates_are_refused(void **state)
{
    struct f *f = *state;
    struct swki_buf both;

    swki_buf_init(&both, NULL, SIZE_MAX);
    swki_buf_append(&both, f->other.root.data, f->other.root.len);
    swki_buf_append(&both, f->third.root.data, f->third.root.len);
    desire(f, &f->other);
    f->config.signing_ca_cert = data_of(&both);
    expect_failure(f, SWK_EINVAL,
                   "the desired CA certificate cannot contain multiple "
                   "certificates");
    swki_buf_fini(&both);
}

static void a_root_must_outlive_the_year(void **state)
{
    struct f *f = *state;

    desire(f, &f->short_lived);
    expect_failure(f, SWK_EINVAL, "CA certificate expires too soon");
}

static void a_desired_root_without_key_needs_an_external_ca(void **state)
{
    struct f *f = *state;

    desire(f, &f->other);
    f->config.signing_ca_key = (ProtobufCBinaryData){0};
    add_external(f, NULL); /* of the present root: of no use here */
    expect_need(f, SWKI_ROTATION_NEEDS_CHECK);
    assert_pem(f->plan.need.authority, &f->other.root);
    assert_int_equal(f->plan.need.urls_count, 0);
    answer_check(f, SWK_ENOTFOUND);
    expect_failure(f, SWK_EINVAL,
                   "no external CA that is named signs for the desired CA "
                   "certificate (one without cacert= is of the current one): ");
    f->external.ca_cert = data_of(&f->pki.root); /* it is said to be */
    expect_failure(f, SWK_EINVAL, "signs for the desired CA certificate: ");
    f->config.n_external_cas = 0;
    expect_failure(f, SWK_EINVAL,
                   "there must be at least one valid, reachable external CA "
                   "corresponding to the desired CA certificate");
}

static void a_local_root_signs_an_external_one(void **state)
{
    struct f *f = *state;

    desire(f, &f->other);
    f->config.signing_ca_key = (ProtobufCBinaryData){0};
    add_external(f, &f->other.root);
    expect_need(f, SWKI_ROTATION_NEEDS_CHECK);
    answer_check(f, 0);
    expect_need(f, SWKI_ROTATION_NEEDS_CROSS);
    answer_cross(f);
    expect_step(f, SWKI_ROTATION_START);
    assert_int_equal(f->plan.key.len, 0);
}

static void the_present_root_ends_a_rotation(void **state)
{
    struct f *f = *state;

    rotate_under_way(f, &f->other);
    f->config.signing_ca_cert = data_of(&f->pki.root);
    f->config.signing_ca_key = data_of(&f->pki.key);
    f->config.force_rotate = 6;
    expect_step(f, SWKI_ROTATION_REKEY);
    assert_int_equal(
        swki_rotation_apply(&f->plan, 6, &f->arena, &f->root, NULL), 0);
    assert_null(f->root.root_rotation);
    assert_int_equal(f->root.last_forced_rotation, 6);
}

static void the_present_root_may_lose_its_key(void **state)
{
    struct f *f = *state;

    f->config.signing_ca_cert = data_of(&f->pki.root);
    add_external(f, NULL);
    expect_need(f, SWKI_ROTATION_NEEDS_CHECK);
    answer_check(f, 0);
    expect_step(f, SWKI_ROTATION_REKEY);
    assert_int_equal(f->plan.key.len, 0);
    assert_int_equal(
        swki_rotation_apply(&f->plan, 4, &f->arena, &f->root, NULL), 0);
    assert_int_equal(f->root.ca_key.len, 0);
}

static void another_root_of_the_same_key_is_refused(void **state)
{
    struct f *f = *state;
    struct swki_buf again;

    swki_buf_init(&again, NULL, SIZE_MAX);
    assert_int_equal(swki_root_create(swki_pem_of_buf(&f->pki.key),
                                      PKI_NOW + YEAR / 300, &f->pki.entropy,
                                      &again, NULL),
                     0);
    f->config.signing_ca_cert = data_of(&again);
    f->config.signing_ca_key = data_of(&f->pki.key);
    expect_failure(f, SWK_EINVAL, "not valid"); /* it begins tomorrow */
    swki_buf_clear(&again);
    assert_int_equal(swki_root_create(swki_pem_of_buf(&f->pki.key),
                                      PKI_NOW - YEAR, &f->pki.entropy, &again,
                                      NULL),
                     0);
    f->config.signing_ca_cert = data_of(&again);
    expect_failure(f, SWK_EINVAL,
                   "Cannot update to a cert with an identical key");
    swki_buf_fini(&again);
}

static void the_same_target_goes_on_with_the_key(void **state)
{
    struct f *f = *state;

    rotate_under_way(f, &f->other);
    f->rotation.ca_key = (ProtobufCBinaryData){0};
    desire(f, &f->other);
    f->config.force_rotate = 7;
    expect_step(f, SWKI_ROTATION_CONTINUE);
    assert_int_equal(
        swki_rotation_apply(&f->plan, 7, &f->arena, &f->root, NULL), 0);
    assert_int_equal(f->root.root_rotation->ca_key.len, f->other.key.len);
    assert_int_equal(f->root.last_forced_rotation, 7);
}

static void another_target_replaces_the_first(void **state)
{
    struct f *f = *state;

    rotate_under_way(f, &f->other);
    desire(f, &f->third);
    expect_need(f, SWKI_ROTATION_NEEDS_CROSS);
    assert_pem(f->plan.need.authority, &f->pki.root); /* not the other's */
    answer_cross(f);
    expect_step(f, SWKI_ROTATION_START);
    assert_pem(f->plan.certificate, &f->third.root);
    assert_leaf_is_trusted(f, f->plan.key, f->plan.cross);
}

static void from_external_to_external_is_refused(void **state)
{
    struct f *f = *state;
    Swkpb__ExternalCA both[2];
    Swkpb__ExternalCA *list[2] = {&both[0], &both[1]};

    f->root.ca_key = (ProtobufCBinaryData){0};
    for (int i = 0; i < 2; i++) {
        swkpb__external_ca__init(&both[i]);
        both[i].url = text_of(f, "https://ca.example.org/sign");
    }
    both[1].ca_cert = data_of(&f->other.root);
    f->config.external_cas = list;
    f->config.n_external_cas = 2;
    f->config.signing_ca_cert = data_of(&f->other.root);
    expect_need(f, SWKI_ROTATION_NEEDS_CHECK);
    answer_check(f, 0);
    expect_need(f, SWKI_ROTATION_NEEDS_CHECK);
    answer_check(f, 0);
    expect_failure(f, SWK_EINVAL,
                   "rotating from one external CA to a different external CA "
                   "is not supported");
}

/* Who asks must show that it has the new root's key. */
static void an_external_root_signs_one_whose_key_is_at_hand(void **state)
{
    struct f *f = *state;

    f->root.ca_key = (ProtobufCBinaryData){0};
    add_external(f, NULL);
    desire(f, &f->other);
    expect_need(f, SWKI_ROTATION_NEEDS_CHECK);
    answer_check(f, 0);
    expect_need(f, SWKI_ROTATION_NEEDS_CROSS);
    assert_int_equal(f->plan.need.urls_count, 1);
    assert_int_equal(f->plan.need.authority_key.len, 0);
    assert_pem(f->plan.need.root, &f->other.root);
    assert_pem(f->plan.need.root_key, &f->other.key);
    answer_cross(f);
    expect_step(f, SWKI_ROTATION_START);
    assert_leaf_is_trusted(f, f->plan.key, f->plan.cross);
}

/* A key is shown to nobody who does not need it. */
static void a_local_root_needs_no_key_of_the_next(void **state)
{
    struct f *f = *state;

    desire(f, &f->other);
    expect_need(f, SWKI_ROTATION_NEEDS_CROSS);
    assert_int_equal(f->plan.need.root_key.len, 0);
}

/* A signer that keeps its keys is no external CA: it can sign across. */
static void a_signer_that_keeps_its_keys_makes_and_signs_roots(void **state)
{
    struct f *f = *state;
    struct ca kept = f->other;

    swki_buf_init(&kept.key, NULL, 0);
    f->root.ca_key = (ProtobufCBinaryData){0};
    f->config.force_rotate = 5;
    expect_need(f, SWKI_ROTATION_NEEDS_CHECK);
    answer_check(f, 0);
    expect_need(f, SWKI_ROTATION_NEEDS_ROOT);
    answer_root(f, &kept);
    expect_need(f, SWKI_ROTATION_NEEDS_CROSS);
    assert_int_equal(f->plan.need.authority_key.len, 0);
    answer_cross(f);
    expect_step(f, SWKI_ROTATION_START);
    assert_int_equal(f->plan.key.len, 0);
}

static void a_signer_that_is_away_is_not_called_an_external_ca(void **state)
{
    const struct swki_rotation_result away = {
        .code = SWK_EUNAVAILABLE,
        .text = "swarm-signer: the signer at "
                "/run/a/path/of/many/characters/swarm-signer/signer.sock is "
                "not there: connection refused",
    };
    struct f *f = *state;

    f->root.ca_key = (ProtobufCBinaryData){0};
    f->config.force_rotate = 5;
    expect_need(f, SWKI_ROTATION_NEEDS_CHECK);
    assert_int_equal(add(f, &away), 0);
    expect_failure(f, SWK_EPRECONDITION,
                   "nobody signs with the key of the current CA certificate: ");
    expect_failure(f, SWK_EPRECONDITION, away.text); /* all of it */
    assert_null(strstr(f->err.text, "external"));
}

/* ---- work that is of no use ---- */

static void a_failed_signature_fails_the_change(void **state)
{
    const struct swki_rotation_result result = {
        .code = SWK_EDENIED, .text = "the policy forbids it"};
    struct f *f = *state;

    desire(f, &f->other);
    expect_need(f, SWKI_ROTATION_NEEDS_CROSS);
    assert_int_equal(add(f, &result), SWK_EINTERNAL);
    assert_string_equal(f->err.text,
                        "unable to generate a cross-signed certificate for "
                        "root rotation: the policy forbids it");
}

static void cross_certificates_are_checked(void **state)
{
    struct swki_rotation_result result = {0};
    struct f *f = *state;
    struct swki_buf cross;

    desire(f, &f->other);
    expect_need(f, SWKI_ROTATION_NEEDS_CROSS);

    cross_sign(f, swki_pem_of_buf(&f->third.root), &cross);
    result.certificate = swki_pem_of_buf(&cross);
    assert_int_equal(add(f, &result), SWK_EINTERNAL); /* of another root */
    swki_buf_fini(&cross);

    cross_sign(f, swki_pem_of_buf(&f->other.root), &cross);
    assert_true(swki_buf_append(&cross, f->pki.root.data, f->pki.root.len));
    result.certificate = swki_pem_of_buf(&cross); /* and more behind it */
    assert_int_equal(add(f, &result), SWK_EINTERNAL);
    swki_buf_fini(&cross);

    result.certificate = swki_pem_of_buf(&f->other.root); /* signed by itself */
    assert_int_equal(add(f, &result), SWK_EINTERNAL);
    result.certificate = swki_pem_of("nothing");
    assert_int_equal(add(f, &result), SWK_EINTERNAL);
    expect_need(f, SWKI_ROTATION_NEEDS_CROSS);
}

static void made_roots_are_checked(void **state)
{
    struct f *f = *state;
    struct swki_rotation_result result = {
        .certificate = swki_pem_of_buf(&f->other.root),
        .key = swki_pem_of_buf(&f->third.key),
    };

    f->config.force_rotate = 5;
    expect_need(f, SWKI_ROTATION_NEEDS_ROOT);
    assert_int_equal(add(f, &result), SWK_EINTERNAL);
    expect_need(f, SWKI_ROTATION_NEEDS_ROOT);
}

/* The root changed while the new one was being signed. */
static void a_stale_cross_certificate_is_made_again(void **state)
{
    struct f *f = *state;

    desire(f, &f->other);
    expect_need(f, SWKI_ROTATION_NEEDS_CROSS);
    answer_cross(f);
    f->root.ca_cert = data_of(&f->third.root);
    f->root.ca_key = data_of(&f->third.key);
    expect_need(f, SWKI_ROTATION_NEEDS_CROSS);
    assert_pem(f->plan.need.authority, &f->third.root);
}

static void a_damaged_root_of_the_swarm_is_an_internal_error(void **state)
{
    struct f *f = *state;
    uint8_t garbage[] = "garbage";

    f->root.ca_cert = (ProtobufCBinaryData){sizeof(garbage), garbage};
    expect_failure(f, SWK_EINTERNAL, "the swarm's root certificate");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_key_without_its_certificate_is_refused),
        TEST(a_keyless_swarm_may_be_given_its_key),
        TEST(the_key_given_to_a_keyless_swarm_must_match),
        TEST(a_keyless_swarm_needs_an_external_ca),
        TEST(a_keyless_swarm_with_an_external_ca_may_change),
        TEST(external_cas_of_other_roots_are_not_asked),
        TEST(a_new_count_makes_a_new_root),
        TEST(a_keyless_rotation_needs_an_external_ca),
        TEST(no_wish_changes_nothing),
        TEST(bad_certificates_are_refused),
        TEST(a_certificate_of_a_node_is_no_root),
        TEST(a_certificate_that_may_not_sign_is_no_root),
        TEST(several_certificates_are_refused),
        TEST(a_root_must_outlive_the_year),
        TEST(a_desired_root_without_key_needs_an_external_ca),
        TEST(a_local_root_signs_an_external_one),
        TEST(the_present_root_ends_a_rotation),
        TEST(the_present_root_may_lose_its_key),
        TEST(another_root_of_the_same_key_is_refused),
        TEST(the_same_target_goes_on_with_the_key),
        TEST(another_target_replaces_the_first),
        TEST(from_external_to_external_is_refused),
        TEST(an_external_root_signs_one_whose_key_is_at_hand),
        TEST(a_local_root_needs_no_key_of_the_next),
        TEST(a_signer_that_keeps_its_keys_makes_and_signs_roots),
        TEST(a_signer_that_is_away_is_not_called_an_external_ca),
        TEST(a_failed_signature_fails_the_change),
        TEST(cross_certificates_are_checked),
        TEST(made_roots_are_checked),
        TEST(a_stale_cross_certificate_is_made_again),
        TEST(a_damaged_root_of_the_swarm_is_an_internal_error),
    };

    return cmocka_run_group_tests_name("rotation", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */

#include "unit/crypto/pki.h"

#include "lib/cmocka_all.h"

static int fill(void *ctx, void *out_data, size_t len)
{
    swki_rng_fill(ctx, out_data, len);
    return 0;
}

void pki_end(struct swki_buf *buf)
{
    assert_true(swki_buf_append_byte(buf, 0));
    buf->len--;
}

const char *pki_text(const struct swki_buf *buf)
{
    return (const char *)buf->data;
}

void pki_init(struct pki *pki, uint64_t seed)
{
    struct swki_signer_config config;

    memset(pki, 0, sizeof(*pki));
    swki_rng_init(&pki->rng, seed);
    pki->entropy = (struct swk_entropy){sizeof(pki->entropy), &pki->rng, fill};
    swki_buf_init(&pki->key, NULL, SIZE_MAX);
    swki_buf_init(&pki->root, NULL, SIZE_MAX);
    assert_int_equal(swki_key_generate(&pki->entropy, &pki->key, NULL), 0);
    assert_int_equal(swki_root_create(swki_pem_of_buf(&pki->key), PKI_NOW,
                                      &pki->entropy, &pki->root, NULL),
                     0);
    pki_end(&pki->key);
    pki_end(&pki->root);
    config = (struct swki_signer_config){
        .certificate = swki_pem_of_buf(&pki->root),
        .key = swki_pem_of_buf(&pki->key),
        .entropy = &pki->entropy,
    };
    assert_int_equal(swki_signer_new(NULL, &config, &pki->signer, NULL), 0);
}

void pki_fini(struct pki *pki)
{
    swki_signer_free(pki->signer);
    swki_buf_fini(&pki->root);
    swki_buf_fini(&pki->key);
}

void pki_request(struct pki *pki, struct swki_buf *out_key,
                 struct swki_buf *out_csr)
{
    swki_buf_init(out_key, NULL, SIZE_MAX);
    swki_buf_init(out_csr, NULL, SIZE_MAX);
    assert_int_equal(swki_key_generate(&pki->entropy, out_key, NULL), 0);
    assert_int_equal(swki_csr_create(swki_pem_of_buf(out_key), "whatever",
                                     &pki->entropy, out_csr, NULL),
                     0);
    pki_end(out_key);
    pki_end(out_csr);
}

void pki_node_init(struct pki *pki, struct pki_node *node, const char *id,
                   enum swki_role role)
{
    struct swki_leaf leaf = {
        .node_id = id,
        .swarm_id = PKI_SWARM,
        .role = role,
        .now = PKI_NOW,
        .validity_ns = 2160 * SWK_HOUR,
    };
    struct swki_buf csr;

    pki_request(pki, &node->key, &csr);
    swki_buf_init(&node->chain, NULL, SIZE_MAX);
    assert_int_equal(swki_signer_issue(pki->signer, swki_pem_of_buf(&csr),
                                       &leaf, &node->chain, NULL),
                     0);
    pki_end(&node->chain);
    swki_buf_fini(&csr);
}

void pki_node_fini(struct pki_node *node)
{
    swki_buf_fini(&node->chain);
    swki_buf_fini(&node->key);
}

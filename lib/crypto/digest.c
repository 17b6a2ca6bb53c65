/* SPDX-License-Identifier: Apache-2.0 */

#include "crypto/digest.h"

#include <string.h>

#include <mbedtls/constant_time.h>
#include <mbedtls/md.h>
#include <mbedtls/platform_util.h>

bool swki_sha256(const void *data, size_t len,
                 uint8_t out_digest[SWKI_SHA256_SIZE])
{
    /* The md layer has one name in all versions; sha256.h has two. */
    return mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), data, len,
                      out_digest) == 0;
}

bool swki_sha256_tagged(const char *tag, const void *data, size_t len,
                        uint8_t out_digest[SWKI_SHA256_SIZE])
{
    mbedtls_md_context_t md;
    bool ok;

    mbedtls_md_init(&md);
    ok = mbedtls_md_setup(&md, mbedtls_md_info_from_type(MBEDTLS_MD_SHA256),
                          0) == 0 &&
         mbedtls_md_starts(&md) == 0 &&
         mbedtls_md_update(&md, (const unsigned char *)tag, strlen(tag) + 1) ==
             0 &&
         mbedtls_md_update(&md, data, len) == 0 &&
         mbedtls_md_finish(&md, out_digest) == 0;
    mbedtls_md_free(&md);
    return ok;
}

void swki_sha256_hex(const uint8_t digest[SWKI_SHA256_SIZE],
                     char out_hex[SWKI_SHA256_HEX_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < SWKI_SHA256_SIZE; i++) {
        out_hex[2 * i] = digits[digest[i] >> 4];
        out_hex[2 * i + 1] = digits[digest[i] & 15];
    }
    out_hex[SWKI_SHA256_HEX_LEN] = '\0';
}

bool swki_ct_equal(const void *a, const void *b, size_t len)
{
    return mbedtls_ct_memcmp(a, b, len) == 0;
}

bool swki_ct_equal_text(const char *a, const char *b)
{
    size_t len = strlen(a);

    return strlen(b) == len && swki_ct_equal(a, b, len);
}

void swki_wipe(void *data, size_t len)
{
    if (len > 0) {
        mbedtls_platform_zeroize(data, len);
    }
}

#if defined(__x86_64__)
static __attribute__((target("avx"))) void wipe_lower_registers(void)
{
    __asm__ volatile("vzeroall" ::
                         : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",
                           "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
                           "xmm12", "xmm13", "xmm14", "xmm15");
}

#define WIPE(n) "vpxord %%zmm" #n ", %%zmm" #n ", %%zmm" #n "\n\t"

/* The compiler keeps nothing in these without being told to use them. */
static __attribute__((target("avx512f"))) void wipe_upper_registers(void)
{
    __asm__ volatile(WIPE(16) WIPE(17) WIPE(18) WIPE(19) WIPE(20) WIPE(21)
                         WIPE(22) WIPE(23) WIPE(24) WIPE(25) WIPE(26) WIPE(27)
                             WIPE(28) WIPE(29) WIPE(30) WIPE(31)::);
}
#endif

void swki_wipe_registers(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx")) {
        wipe_lower_registers();
    }
    if (__builtin_cpu_supports("avx512f")) {
        wipe_upper_registers();
    }
#endif
}

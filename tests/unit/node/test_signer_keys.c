/* SPDX-License-Identifier: Apache-2.0 */

/* The directory of a signer's keys: what it keeps, and whom it does not trust
 * with them. */

#include "lib/cmocka_all.h"

#include <fcntl.h>

#include <swarmkit/posix.h>

#include "directory.h"
#include "node/signer/signer_keys.h"

static const struct swk_bytes no_password;
static const struct swk_bytes password = {"open sesame", 11};
static const struct swk_bytes wrong = {"open poppy", 10};

struct f {
    struct directory dir;
    struct directory other;
    struct swk_signer_keys *keys;
};

static int set_up(void **state)
{
    struct f *f = calloc(1, sizeof(*f));

    directory_init(&f->dir);
    directory_init(&f->other);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct f *f = *state;

    swk_signer_keys_free(f->keys);
    directory_fini(&f->dir);
    directory_fini(&f->other);
    free(f);
    return 0;
}

static int open_at(struct f *f, const struct directory *dir,
                   struct swk_bytes with, uint32_t flags, struct swk_error *err)
{
    struct swk_signer_keys_config config = SWK_SIGNER_KEYS_CONFIG_INIT;

    swk_signer_keys_free(f->keys);
    f->keys = NULL;
    config.clock = swk_posix_clock();
    config.entropy = swk_posix_entropy();
    config.dir = dir->path;
    config.password = with;
    config.flags = flags;
    return swk_signer_keys_open(&config, &f->keys, err);
}

static void reopen(struct f *f, struct swk_bytes with)
{
    struct swk_error err = {0};

    if (open_at(f, &f->dir, with, 0, &err) != 0) {
        fail_msg("%s", err.text);
    }
}

static void key_file(const struct f *f, const char *fingerprint, char *out)
{
    snprintf(out, 256, "%s/%s.pem", f->dir.path, fingerprint);
}

static void a_root_that_was_made_is_there_again(void **state)
{
    struct f *f = *state;
    struct swk_authority made;
    struct swk_authority found;
    char name[128];

    reopen(f, no_password);
    assert_int_equal(swk_signer_keys_create(f->keys, &made, NULL), 0);
    assert_int_equal(made.used, 0);
    assert_int_equal(made.sealed, 0);
    snprintf(name, sizeof(name), "%s.pem", made.fingerprint);
    assert_int_equal(directory_mode(&f->dir, name), 0600);
    reopen(f, no_password);
    assert_int_equal(swk_signer_keys_at(f->keys, 0, &found), 1);
    assert_memory_equal(&found, &made, sizeof(found));
    assert_int_equal(swk_signer_keys_at(f->keys, 1, &found), 0);
    assert_string_equal(swk_signer_keys_swarm_id(f->keys), "");
}

static void what_was_used_and_for_whom_is_remembered(void **state)
{
    struct f *f = *state;
    struct swki_authority *made;
    struct swk_authority found;

    reopen(f, no_password);
    assert_int_equal(swki_signer_keys_make(f->keys, &made, NULL), 0);
    assert_int_equal(swki_signer_keys_mark_used(f->keys, made, NULL), 0);
    assert_int_equal(swki_signer_keys_mark_used(f->keys, made, NULL), 0);
    assert_int_equal(swki_signer_keys_bind(f->keys, "swarm1", NULL), 0);
    reopen(f, no_password);
    assert_int_equal(swk_signer_keys_at(f->keys, 0, &found), 1);
    assert_int_equal(found.used, 1);
    assert_string_equal(swk_signer_keys_swarm_id(f->keys), "swarm1");
}

static void a_sealed_key_needs_its_password(void **state)
{
    struct f *f = *state;
    struct swk_authority made;
    struct swk_error err;
    char path[256];
    struct swki_buf text;

    reopen(f, password);
    assert_int_equal(swk_signer_keys_create(f->keys, &made, NULL), 0);
    assert_int_equal(made.sealed, 1);
    swki_buf_init(&text, NULL, SIZE_MAX);
    key_file(f, made.fingerprint, path);
    assert_int_equal(swki_file_read(path, 1 << 20, &text, NULL), 0);
    assert_non_null(memmem(text.data, text.len, "ENCRYPTED PRIVATE KEY", 21));
    assert_null(memmem(text.data, text.len, "BEGIN PRIVATE KEY", 17));
    swki_buf_fini(&text);

    assert_int_equal(open_at(f, &f->dir, wrong, 0, &err), SWK_EDENIED);
    assert_non_null(strstr(err.text, "password"));
    assert_int_equal(open_at(f, &f->dir, no_password, 0, &err), SWK_EDENIED);
    assert_int_equal(
        open_at(f, &f->dir, no_password, SWK_SIGNER_KEYS_NAMES_ONLY, &err), 0);
    reopen(f, password);
}

static void whoever_else_can_read_it_is_a_reason_to_refuse(void **state)
{
    struct f *f = *state;
    struct swk_authority made;
    struct swk_error err;
    char path[256];

    reopen(f, no_password);
    assert_int_equal(swk_signer_keys_create(f->keys, &made, NULL), 0);
    key_file(f, made.fingerprint, path);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(open_at(f, &f->dir, no_password, 0, &err), SWK_EDENIED);
    assert_non_null(strstr(err.text, "open to others (mode 0640)"));
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(chmod(f->dir.path, 0755), 0);
    assert_int_equal(open_at(f, &f->dir, no_password, 0, &err), SWK_EDENIED);
    assert_non_null(strstr(err.text, "open to others (mode 0755)"));
    assert_int_equal(chmod(f->dir.path, 0700), 0);
    reopen(f, no_password);
}

static void a_link_is_not_followed(void **state)
{
    struct f *f = *state;
    struct swk_authority made;
    struct swk_error err;
    char path[256];
    char moved[256];

    reopen(f, no_password);
    assert_int_equal(swk_signer_keys_create(f->keys, &made, NULL), 0);
    key_file(f, made.fingerprint, path);
    snprintf(moved, sizeof(moved), "%s/elsewhere", f->other.path);
    assert_int_equal(rename(path, moved), 0);
    assert_int_equal(symlink(moved, path), 0);
    assert_int_not_equal(open_at(f, &f->dir, no_password, 0, &err), 0);
    assert_non_null(strstr(err.text, "not a regular file"));
}

static void an_exported_authority_is_imported_elsewhere(void **state)
{
    struct f *f = *state;
    struct swk_authority made;
    struct swk_authority found;
    char *pem = NULL;
    size_t len = 0;

    reopen(f, no_password);
    assert_int_equal(swk_signer_keys_create(f->keys, &made, NULL), 0);
    assert_int_equal(
        swk_signer_keys_export(f->keys, NULL, no_password, &pem, &len, NULL),
        SWK_EINVAL); /* never in the clear */
    assert_int_equal(
        swk_signer_keys_export(f->keys, NULL, password, &pem, &len, NULL), 0);
    assert_int_equal(strlen(pem), len);
    assert_null(strstr(pem, "BEGIN PRIVATE KEY"));

    struct swk_signer_keys *from = f->keys;
    struct swk_bytes bytes = {pem, len};

    f->keys = NULL;
    assert_int_equal(open_at(f, &f->other, no_password, 0, NULL), 0);
    assert_int_equal(
        swk_signer_keys_import(f->keys, bytes, no_password, 0, &found, NULL),
        SWK_EDENIED);
    assert_int_equal(
        swk_signer_keys_import(f->keys, bytes, wrong, 0, &found, NULL),
        SWK_EDENIED);
    assert_int_equal(
        swk_signer_keys_import(f->keys, bytes, password, 0, &found, NULL), 0);
    assert_string_equal(found.fingerprint, made.fingerprint);
    assert_int_equal(found.used, 1); /* never given away as a new one */
    assert_int_equal(found.sealed, 0);
    assert_int_equal(
        swk_signer_keys_import(f->keys, bytes, password, 0, &found, NULL),
        0); /* again is no harm */
    assert_int_equal(swk_signer_keys_at(f->keys, 1, &found), 0);
    swk_signer_keys_release(from, pem);
    swk_signer_keys_free(from);
}

static void a_certificate_alone_is_trusted_until_its_key_comes(void **state)
{
    struct f *f = *state;
    struct swki_authority *made;
    struct swk_signer_keys *from;
    struct swk_authority found;
    struct swk_bytes certificate;
    struct swki_buf text;
    struct swk_bytes pair;
    char path[256];

    reopen(f, no_password);
    assert_int_equal(swki_signer_keys_make(f->keys, &made, NULL), 0);
    certificate =
        (struct swk_bytes){made->certificate.data, made->certificate.len};
    swki_buf_init(&text, NULL, SIZE_MAX);
    key_file(f, made->fingerprint, path);
    assert_int_equal(swki_file_read(path, 1 << 20, &text, NULL), 0);
    pair = (struct swk_bytes){text.data, text.len};
    from = f->keys;
    f->keys = NULL;
    assert_int_equal(open_at(f, &f->other, no_password, 0, NULL), 0);
    assert_int_equal(swk_signer_keys_import(f->keys, certificate, no_password,
                                            0, &found, NULL),
                     SWK_EMALFORMED); /* without its key it is to be said */
    assert_int_equal(swk_signer_keys_import(f->keys, certificate, no_password,
                                            SWK_SIGNER_IMPORT_CERTIFICATE,
                                            &found, NULL),
                     0);
    assert_int_equal(found.has_key, 0);
    assert_int_equal(found.used, 1);

    struct swk_signer_keys *service = f->keys;
    f->keys = NULL;
    assert_int_equal(open_at(f, &f->other, no_password, 0, NULL), 0);
    assert_int_equal(swk_signer_keys_at(f->keys, 0, &found), 1);
    assert_int_equal(found.has_key, 0);
    assert_int_equal(
        swk_signer_keys_import(f->keys, pair, no_password, 0, &found, NULL), 0);
    assert_int_equal(found.has_key, 1);
    assert_int_equal(swk_signer_keys_at(f->keys, 1, &found), 0);
    assert_int_equal(swki_signer_keys_reload(service, NULL), 0);
    assert_non_null(SWKI_CONTAINER(service->authorities.list.next,
                                   struct swki_authority, link)
                        ->signer);
    swk_signer_keys_free(service);
    swk_signer_keys_free(from);
    swki_buf_fini(&text);
}

static void what_is_no_pair_is_not_taken_in(void **state)
{
    struct f *f = *state;
    struct swki_authority *one;
    struct swki_authority *two;
    struct swki_buf mixed;
    struct swki_buf text;
    struct swk_bytes bytes;
    char path[256];

    reopen(f, no_password);
    assert_int_equal(swki_signer_keys_make(f->keys, &one, NULL), 0);
    assert_int_equal(swki_signer_keys_make(f->keys, &two, NULL), 0);
    swki_buf_init(&mixed, NULL, SIZE_MAX);
    swki_buf_init(&text, NULL, SIZE_MAX);
    key_file(f, two->fingerprint, path);
    assert_int_equal(swki_file_read(path, 1 << 20, &text, NULL), 0);
    swki_buf_append(&mixed, one->certificate.data, one->certificate.len);
    swki_buf_append(&mixed, memmem(text.data, text.len, "-----BEGIN PRIV", 15),
                    40);
    bytes = (struct swk_bytes){mixed.data, mixed.len};
    assert_int_equal(open_at(f, &f->other, no_password, 0, NULL), 0);
    assert_int_equal(
        swk_signer_keys_import(f->keys, bytes, no_password, 0, NULL, NULL),
        SWK_EMALFORMED); /* half a key */
    mixed.len -= 40;
    swki_buf_append(&mixed, text.data, text.len); /* with the other's key */
    bytes = (struct swk_bytes){mixed.data, mixed.len};
    assert_int_equal(
        swk_signer_keys_import(f->keys, bytes, no_password, 0, NULL, NULL),
        SWK_EINVAL);
    bytes = (struct swk_bytes){"nothing", 7};
    assert_int_equal(
        swk_signer_keys_import(f->keys, bytes, no_password, 0, NULL, NULL),
        SWK_EMALFORMED);
    swki_buf_fini(&text);
    swki_buf_fini(&mixed);
}

static void damage_is_told(void **state)
{
    struct f *f = *state;
    struct swk_authority made;
    struct swk_error err;
    char path[256];
    int fd;

    reopen(f, no_password);
    assert_int_equal(swk_signer_keys_create(f->keys, &made, NULL), 0);
    key_file(f, made.fingerprint, path);
    fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "xxxxxxxx", 8, 300), 8);
    close(fd);
    assert_int_equal(open_at(f, &f->dir, no_password, 0, &err), SWK_ECORRUPT);
    assert_non_null(
        strstr(err.text, made.fingerprint[0] == 0 ? "" : "it is damaged"));
}

static void what_others_bring_and_take_is_seen(void **state)
{
    struct f *f = *state;
    struct swk_authority one;
    struct swk_authority two;
    struct swk_authority found;
    struct swk_signer_keys *service;

    reopen(f, no_password);
    assert_int_equal(swk_signer_keys_create(f->keys, &one, NULL), 0);
    service = f->keys;
    f->keys = NULL;
    reopen(f, no_password);
    assert_int_equal(swk_signer_keys_create(f->keys, &two, NULL), 0);
    char digits[SWK_FINGERPRINT_LEN_MIN + 1] = "";
    memcpy(digits, one.fingerprint, SWK_FINGERPRINT_LEN_MIN - 1);
    assert_int_equal(swk_signer_keys_remove(f->keys, digits, NULL), SWK_EINVAL);
    assert_int_equal(swk_signer_keys_remove(f->keys, "", NULL), SWK_EINVAL);
    assert_int_equal(swk_signer_keys_remove(f->keys, one.fingerprint, NULL), 0);
    assert_int_equal(swk_signer_keys_remove(f->keys, one.fingerprint, NULL),
                     SWK_ENOTFOUND);
    assert_int_equal(swki_signer_keys_reload(service, NULL), 0);
    assert_int_equal(swk_signer_keys_at(service, 0, &found), 1);
    assert_string_equal(found.fingerprint, two.fingerprint);
    assert_int_equal(swk_signer_keys_at(service, 1, &found), 0);
    swk_signer_keys_free(service);
}

/* As when it lies on something that is taken out of the machine. */
static void keys_go_and_come_with_their_directory(void **state)
{
    struct f *f = *state;
    struct swk_authority made;
    struct swk_authority found;
    char away[160];

    reopen(f, no_password);
    assert_int_equal(swk_signer_keys_create(f->keys, &made, NULL), 0);
    snprintf(away, sizeof(away), "%s/away", f->other.path);
    assert_int_equal(rename(f->dir.path, away), 0);
    assert_int_equal(swki_signer_keys_refresh(f->keys, NULL), SWK_EIO);
    assert_int_equal(swk_signer_keys_at(f->keys, 0, &found), 0);
    assert_int_equal(rename(away, f->dir.path), 0);
    assert_int_equal(swki_signer_keys_refresh(f->keys, NULL), 0);
    assert_int_equal(swk_signer_keys_at(f->keys, 0, &found), 1);
    assert_string_equal(found.fingerprint, made.fingerprint);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_root_that_was_made_is_there_again),
        TEST(what_was_used_and_for_whom_is_remembered),
        TEST(a_sealed_key_needs_its_password),
        TEST(whoever_else_can_read_it_is_a_reason_to_refuse),
        TEST(a_link_is_not_followed),
        TEST(an_exported_authority_is_imported_elsewhere),
        TEST(a_certificate_alone_is_trusted_until_its_key_comes),
        TEST(what_is_no_pair_is_not_taken_in),
        TEST(damage_is_told),
        TEST(what_others_bring_and_take_is_seen),
        TEST(keys_go_and_come_with_their_directory),
    };

    return cmocka_run_group_tests_name("signer_keys", tests, NULL, NULL);
}

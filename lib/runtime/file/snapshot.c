/* SPDX-License-Identifier: Apache-2.0 */

/* Snapshots as the log knows them, and the removal of what they make
 * needless. */

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "runtime/file/conf_state.h"
#include "runtime/file/wal.h"

/* One that is there for the case that the newest is damaged goes earlier if
 * its key does. */
static bool is_needless(const struct swki_wal *wal,
                        const struct swki_wal_snapshot *snapshot)
{
    const struct swki_wal_snapshot *newest =
        &wal->snapshots[wal->snapshots_count - 1];

    return wal->snapshots_count > wal->snapshots_max ||
           (newest->key == swki_keyring_newest(wal->ring) &&
            snapshot->key != newest->key);
}

static int remove_snapshots(struct swki_wal *wal)
{
    while (is_needless(wal, &wal->snapshots[0])) {
        char name[SWKI_WAL_NAME_SIZE];

        swki_wal_snapshot_name(&wal->snapshots[0].place, name);
        int rc = swki_wal_remove_file(wal, name);
        if (rc != 0) {
            return rc;
        }
        wal->snapshots_count--;
        memmove(wal->snapshots, wal->snapshots + 1,
                wal->snapshots_count * sizeof(wal->snapshots[0]));
    }
    return 0;
}

/* One that cannot be opened needs no key. */
void swki_wal_find_snapshot_keys(struct swki_wal *wal)
{
    for (size_t i = 0; i < wal->snapshots_count; i++) {
        struct swki_wal_snapshot *snapshot = &wal->snapshots[i];
        char name[SWKI_WAL_NAME_SIZE];
        struct swki_snapshot_file file;

        snapshot->key = swki_keyring_newest(wal->ring);
        swki_wal_snapshot_name(&snapshot->place, name);
        if (swki_snapshot_file_open(&wal->files, name, &snapshot->place, &file,
                                    NULL) == SWK_OK) {
            snapshot->key = file.seal.number;
            swki_snapshot_file_close(&file);
        }
    }
}

static int write_record(struct swki_wal *wal, const struct swki_place *place,
                        bool install, struct swk_error *err)
{
    bool sealed = swki_keyring_newest(wal->ring) != 0;
    uint8_t bytes[SWKI_RECORD_HEADER_SIZE + SWKI_SNAPSHOT_PAYLOAD_LEN +
                  SWKI_SEAL_TAG_SIZE];

    swki_record_begin(bytes, SWKI_RECORD_SNAPSHOT, SWKI_SNAPSHOT_PAYLOAD_LEN,
                      sealed);
    swki_snapshot_payload_encode(bytes + SWKI_RECORD_HEADER_SIZE, place,
                                 install);
    return swki_wal_write(
        wal, bytes, swki_record_size(SWKI_SNAPSHOT_PAYLOAD_LEN, sealed), err);
}

/* Checked here, as it comes from a file. */
static int take_members(struct swki_wal *wal,
                        const struct swki_snapshot_file *file,
                        struct swki_loaded_snapshot *out_snapshot,
                        struct swk_error *err)
{
    int rc =
        swki_conf_state_decode(wal->alloc, file->place.index, file->place.term,
                               file->head + SWKI_SNAPSHOT_HEAD_SIZE,
                               file->members_len, &out_snapshot->meta);

    if (rc == SWK_ENOMEM) {
        return swki_fail_nomem(err);
    }
    return rc == SWK_OK ? rc
                        : swki_fail(err, SWK_ECORRUPT, "%s/%s is damaged",
                                    wal->dir_path, file->name);
}

static int read_file(struct swki_wal *wal, struct swki_snapshot_file *file,
                     struct swki_loaded_snapshot *out_snapshot,
                     struct swk_error *err)
{
    size_t size = (size_t)file->length;
    struct swki_loaded_snapshot snapshot = {
        .data_len = size,
        .key = file->seal.number,
    };

    if (!file->complete) {
        return swki_fail(err, SWK_ECORRUPT, "%s/%s is not complete",
                         wal->dir_path, file->name);
    }
    snapshot.data = size == file->length ? swki_alloc(wal->alloc, size) : NULL;
    if (snapshot.data == NULL) {
        return swki_fail_nomem(err);
    }
    int rc = swki_snapshot_file_read(file, 0, snapshot.data, size,
                                     &snapshot.data_len, err);
    if (rc == SWK_OK) {
        rc = take_members(wal, file, &snapshot, err);
    }
    if (rc != SWK_OK) {
        swki_loaded_snapshot_fini(wal->alloc, &snapshot);
        return rc;
    }
    *out_snapshot = snapshot;
    return SWK_OK;
}

void swki_loaded_snapshot_fini(const struct swk_alloc *alloc,
                               struct swki_loaded_snapshot *snapshot)
{
    swki_snapshot_meta_fini(alloc, &snapshot->meta);
    if (snapshot->data != NULL && snapshot->key != 0) {
        explicit_bzero(snapshot->data, snapshot->data_len);
    }
    swki_free(alloc, snapshot->data);
    *snapshot = (struct swki_loaded_snapshot){.data = NULL};
}

int swki_wal_read_snapshot(struct swki_wal *wal, const struct swki_place *place,
                           struct swki_loaded_snapshot *out_snapshot,
                           struct swk_error *err)
{
    char name[SWKI_WAL_NAME_SIZE];
    struct swki_snapshot_file file;

    swki_wal_snapshot_name(place, name);
    int rc = swki_snapshot_file_open(&wal->files, name, place, &file, err);
    if (rc != SWK_OK) {
        return rc;
    }
    rc = read_file(wal, &file, out_snapshot, err);
    swki_snapshot_file_close(&file);
    return rc;
}

/* The snapshot counts from the moment its record is in the log. */
int swki_wal_save_snapshot(struct swki_wal *wal,
                           const struct swki_wal_snapshot *snapshot,
                           bool install, struct swk_error *err)
{
    int rc = write_record(wal, &snapshot->place, install, err);

    if (rc != SWK_OK) {
        return rc;
    }
    if (!swki_wal_add_snapshot(wal, snapshot)) {
        return swki_fail_nomem(err);
    }
    rc = remove_snapshots(wal);
    if (rc == 0) {
        rc = swki_wal_drop_segments(wal);
    }
    return rc < 0 ? swki_io_fail(err, rc, "sync", wal->dir_path, "") : SWK_OK;
}

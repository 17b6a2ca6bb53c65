/* SPDX-License-Identifier: Apache-2.0 */

/* How the log is read back: what the parts of it share. */

#ifndef SWKI_RUNTIME_FILE_LOAD_H
#define SWKI_RUNTIME_FILE_LOAD_H

#include "runtime/file/wal.h"

/* A segment's bytes, as entries point into them until load ends. */
struct swki_piece {
    uint64_t id;
    uint8_t *bytes;
    size_t size;
    bool good;       /* its header is */
    const char *why; /* it is not */
    int rc;          /* what came of opening it */
    uint64_t format; /* version; 0 if there is no telling */
    struct swki_segment_header header;
    const struct swki_seal *seal; /* that opens it */
    uint64_t limit;               /* records from this sequence on are void */
};

/* Entries one after the other, those after base. */
struct swki_entries {
    struct swk_log_entry *list;
    size_t count;
    size_t size;
    struct swki_place base;
    /* What is before base is not known, nor base itself: more may be
     * replaced. */
    bool floating;
    bool open; /* not even base is known */
};

/* Where reading failed for the first time. */
struct swki_gap {
    bool is_there;
    uint64_t id; /* of the segment */
    uint64_t offset;
    const char *why;
    uint64_t sequence; /* of the first record that is missing */
    uint32_t chain;
};

struct swki_load {
    struct swki_wal *wal;
    struct swk_error *err;
    bool goes_on;  /* past segments that cannot be opened */
    uint64_t *ids; /* of segments, ascending */
    size_t ids_count;
    size_t ids_size;
    struct swki_seal seals[3]; /* newest, old, none */
    struct swki_piece *pieces; /* one a segment */
    size_t pieces_count;
    struct swki_entries prefix; /* before the gap, if there is one */
    struct swki_entries log;    /* after it, or all */
    struct swki_gap gap;
    bool started;            /* a good header was read */
    uint64_t top;            /* highest index of an entry read */
    struct swki_bound bound; /* the newest of the last segment */
    uint64_t bound_at;       /* its offset; 0: there is none */
    uint64_t settled; /* offset in the segment; what is before it is durable */
    bool torn;        /* something is behind the last record */
    bool ends_badly;  /* nothing good is behind the last gap */
};

/* Finds the files. */
int swki_load_list(struct swki_load *load);

/* Reads the segments' bytes and headers. SWK_EUNAVAILABLE if one went away. */
int swki_load_open(struct swki_load *load);
void swki_load_release(struct swki_load *load);

/* Reads the records of all segments, in order, into load and wal. */
int swki_load_records(struct swki_load *load);

/* Describes damage. */
int swki_load_damaged(struct swki_load *load, uint64_t id, uint64_t offset,
                      const char *why);

uint64_t swki_entries_last_index(const struct swki_entries *entries);
/* The term at an index from that of base on; 0 for others. */
uint64_t swki_entries_term_at(const struct swki_entries *entries,
                              uint64_t index);

#endif

/* SPDX-License-Identifier: Apache-2.0 */

/* An audit log of a manager in a directory of its own, which tests write,
 * change by hand, and verify. */

#ifndef TESTS_UNIT_NODE_AUDIT_FIXTURE_H
#define TESTS_UNIT_NODE_AUDIT_FIXTURE_H

#include <swarmkit/audit.h>

#include "../crypto/pki.h"
#include "core/audit/checkpoint.h"
#include "directory.h"
#include "node/audit/audit_log.h"

enum {
    TEXT_SIZE = 64 * 1024,
};

#define FIRST_FILE "audit-00000001.log"

struct f {
    struct directory dir;
    char audit[96]; /* the directory of the log */
    char roots[96]; /* the file of those that verify() trusts */
    struct pki pki;
    struct pki_node node;
    struct swki_buf *trusted; /* roots, of the node that opens the log */
    struct swk_clock clock;
    swk_time now;  /* what it says, likewise below */
    swk_wall wall; /* not to be set while the log is open */
    struct swki_file_io io; /* the real one, which does not sync */
    struct swki_audit_log_config config;
    struct swki_audit_log *log;
    struct swk_audit_report report;
    char text[TEXT_SIZE]; /* of one file */
    char types[1024];     /* of the records that were read */
};

int set_up(void **state);
int tear_down(void **state);

/* Opens it as the node that f->node is, which trusts f->trusted. */
void open_log(struct f *f);
void close_log(struct f *f);

/* Records, ten seconds after each other. */
void add(struct f *f, int count);

/* A log that was stopped in order, with `count` records beside three. */
void make_log(struct f *f, int count);

/* What is found under the roots of f->roots; "type=before" of each record goes
 * to f->types. */
int verify(struct f *f);
void assert_finding(struct f *f, int finding);

/* -- Files by hand, of f->audit -- */

const char *path_of(struct f *f, const char *name);

/* Reads a file into f->text. */
size_t load(struct f *f, const char *name);

/* The same with the end of the first file, which is longer. */
void load_end(struct f *f);

void store(struct f *f, const char *name, const char *text, size_t len);

/* Where a line of the text begins, from 1. */
char *line_at(struct f *f, int line);

/* Puts a checkpoint there that a node has signed, whoever it is. */
void sign(struct f *f, const struct pki_node *node,
          const struct swki_audit_checkpoint *checkpoint);

/* As after a crash: what is there while the log is open. */
void leave_as_crashed(struct f *f);

/* Runs a command of the shell. */
void shell(const char *format, ...) SWK_PRINTF(1, 2);

#endif

/* SPDX-License-Identifier: Apache-2.0 */

/* What the attacking program is made of; its usage is in attacker.c. */

#ifndef TESTS_SECURITY_ATTACKER_H
#define TESTS_SECURITY_ATTACKER_H

#include "base/buf.h"

/* Ends the program. */
_Noreturn void die(const char *format, ...) SWK_PRINTF(1, 2);

/* A whole file, with a NUL behind it. */
void read_file(const char *path, struct swki_buf *out_text);

/* The table of calls, one line each. */
void print_methods(void);

/* talk ADDRESS ROOTS [CHAIN KEY]: calls that the standard input tells. */
int talk(int argc, char **argv);

#endif

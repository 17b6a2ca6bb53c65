/* SPDX-License-Identifier: Apache-2.0 */

/* Tables on the standard output; without memory for one the program ends. */

#ifndef TOOLS_TABLE_H
#define TOOLS_TABLE_H

struct table;

/* columns ends with NULL. */
struct table *table_new(const char *const *columns);
/* As many texts as there are columns; copied. */
void table_row(struct table *table, const char *const *texts);
/* Prints the table and frees it. */
void table_end(struct table *table);

#endif

/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Tables by libsmartcols. They are as wide as their contents; what does not
 * fit a terminal wraps there, and nothing is cut off, so that scripts and
 * people see the same.
 */

#include <libsmartcols.h>
#include <stdio.h>
#include <stdlib.h>

#include "table.h"

struct table {
    struct libscols_table *scols;
    size_t columns;
};

static void check(int rc)
{
    if (rc != 0) {
        fputs("Error: out of memory\n", stderr);
        exit(EXIT_FAILURE);
    }
}

struct table *table_new(const char *const *columns)
{
    struct table *table = calloc(1, sizeof(*table));

    check(table == NULL);
    table->scols = scols_new_table();
    check(table->scols == NULL);
    check(scols_table_enable_maxout(table->scols, 0));
    check(scols_table_set_termforce(table->scols, SCOLS_TERMFORCE_NEVER));
    check(scols_table_set_column_separator(table->scols, "   "));
    for (; columns[table->columns] != NULL; table->columns++) {
        check(scols_table_new_column(table->scols, columns[table->columns], 0,
                                     0) == NULL);
    }
    return table;
}

void table_row(struct table *table, const char *const *texts)
{
    struct libscols_line *line = scols_table_new_line(table->scols, NULL);

    check(line == NULL);
    for (size_t i = 0; i < table->columns; i++) {
        check(scols_line_set_data(line, i, texts[i]));
    }
}

void table_end(struct table *table)
{
    scols_print_table(table->scols);
    scols_unref_table(table->scols);
    free(table);
}

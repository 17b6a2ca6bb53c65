/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Intrusive doubly linked lists.
 *
 * A list is a ring through its head. Members embed a struct swki_link and are
 * found again from it with SWKI_CONTAINER().
 */

#ifndef SWKI_BASE_LIST_H
#define SWKI_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct swki_link {
    struct swki_link *prev;
    struct swki_link *next;
};

/* The struct that holds the given member at pointer. */
#define SWKI_CONTAINER(pointer, type, member)                                  \
    ((type *)(void *)((char *)(pointer) - offsetof(type, member)))

/* Makes an empty list of a head, or a link that is in no list. */
static inline void swki_list_init(struct swki_link *head)
{
    head->prev = head;
    head->next = head;
}

static inline bool swki_list_empty(const struct swki_link *head)
{
    return head->next == head;
}

static inline void swki_list_append(struct swki_link *head,
                                    struct swki_link *link)
{
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

/* Takes the link out of its list, if it is in one. */
static inline void swki_list_remove(struct swki_link *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    swki_list_init(link);
}

#endif

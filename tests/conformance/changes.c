/* SPDX-License-Identifier: Apache-2.0 */

#include "changes.h"

#include <string.h>

#include "datafile.h"

static const char blanks[] = " \t\n";

static bool parse_word(const char *word, struct swk_raft_change *out)
{
    *out = (struct swk_raft_change){.type = 0};
    switch (word[0]) {
    case 'v':
        out->type = SWK_RAFT_ADD_VOTER;
        break;
    case 'l':
        out->type = SWK_RAFT_ADD_LEARNER;
        break;
    case 'r':
        out->type = SWK_RAFT_REMOVE;
        break;
    case 'u':
        out->type = SWK_RAFT_UPDATE;
        break;
    default:
        return false;
    }
    return parse_number(word + 1, &out->id);
}

bool changes_parse(const char *words, struct swk_raft_change *changes,
                   size_t *out_count)
{
    size_t count = 0;

    for (words += strspn(words, blanks); *words != '\0';
         words += strspn(words, blanks)) {
        size_t len = strcspn(words, blanks);
        char word[32];

        if (len >= sizeof(word) || count == SWK_RAFT_CHANGES_MAX) {
            return false;
        }
        memcpy(word, words, len);
        word[len] = '\0';
        if (!parse_word(word, &changes[count])) {
            return false;
        }
        count++;
        words += len;
    }
    *out_count = count;
    return true;
}

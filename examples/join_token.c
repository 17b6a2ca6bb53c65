/* SPDX-License-Identifier: Apache-2.0 */

/* Takes a join token apart: which roots it pins, and what it asks for. */

#include <stdio.h>
#include <string.h>

#include <swarmkit/swarmkit.h>

static void print_token(const struct swk_join_token *token)
{
    printf("roots' SHA-256: ");
    for (size_t i = 0; i < sizeof(token->root_digest); i++) {
        printf("%02x", token->root_digest[i]);
    }
    printf("\nFIPS nodes only: %s\n",
           (token->flags & SWK_JOIN_TOKEN_FIPS) != 0 ? "yes" : "no");
}

int main(int argc, char **argv)
{
    struct swk_join_token token;
    struct swk_error err;

    if (argc != 2) {
        fprintf(stderr, "usage: join_token TOKEN\n");
        return 2;
    }
    if (swk_join_token_parse(argv[1], strlen(argv[1]), &token, &err) != 0) {
        fprintf(stderr, "join_token: %s\n", err.text);
        return 1;
    }
    print_token(&token);
    return 0;
}

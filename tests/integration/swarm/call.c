/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Makes one call of a manager as whoever the certificates say, and prints its
 * status: what no tool of the swarm would do.
 *
 * usage: call ADDRESS METHOD BYTES [ROOTS [CHAIN KEY]]
 *
 * The request is of so many zero bytes. Exit status: 0 if an answer came,
 * whatever it says; 1 if there is none.
 */

#include <stdio.h>
#include <stdlib.h>

#include <swarmkit/client.h>

static char *read_text(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *text = calloc(1, 65536);

    if (file == NULL || text == NULL ||
        fread(text, 1, 65535, file) == 0) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(2);
    }
    fclose(file);
    return text;
}

static int call(swk_client *client, const char *method, size_t len)
{
    uint8_t *request = calloc(1, len + 1);
    uint8_t *response = NULL;
    size_t response_len = 0;
    struct swk_error err = {0};
    int rc;

    if (request == NULL) {
        return 2;
    }
    rc = swk_client_call(client, method, request, len, 30 * SWK_SECOND,
                         &response, &response_len, &err);
    printf("%s %s\n", rc == 0 ? "OK" : swk_error_name(rc), err.text);
    swk_client_release(client, response);
    free(request);
    return 0;
}

int main(int argc, char **argv)
{
    struct swk_client_config config = SWK_CLIENT_CONFIG_INIT;
    struct swk_error err = {0};
    swk_client *client = NULL;
    char *files[3] = {0};
    int status = 1;

    if (argc < 4 || argc > 7) {
        return 2;
    }
    for (int i = 4; i < argc; i++) {
        files[i - 4] = read_text(argv[i]);
    }
    config.address = argv[1];
    config.roots_pem = files[0];
    config.chain_pem = files[1];
    config.key_pem = files[2];
    if (swk_client_open(&config, &client, &err) == 0) {
        status = call(client, argv[2], strtoul(argv[3], NULL, 10));
    } else {
        printf("%s %s\n", swk_error_name(err.code), err.text);
    }
    swk_client_close(client);
    for (int i = 0; i < 3; i++) {
        free(files[i]);
    }
    return status;
}

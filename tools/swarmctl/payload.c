/* SPDX-License-Identifier: Apache-2.0 */

#include "payload.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int payload_read(struct ctl *ctl, const char *path, ProtobufCBinaryData *out)
{
    bool input = path == NULL || strcmp(path, "-") == 0;
    FILE *file = input ? stdin : fopen(path, "rb");

    if (file == NULL) {
        return ctl_error(EXIT_FAILED, "cannot read %s: %s", path,
                         strerror(errno));
    }

    uint8_t *data = pool_alloc(&ctl->pool, PAYLOAD_SIZE_MAX);
    setvbuf(file, NULL, _IONBF, 0); /* no copy of a secret elsewhere */
    size_t len = fread(data, 1, PAYLOAD_SIZE_MAX, file);
    bool failed = ferror(file) != 0;
    if (!input) {
        fclose(file);
    }
    if (failed) {
        return ctl_error(EXIT_FAILED, "cannot read %s",
                         input ? "the standard input" : path);
    }
    if (len == PAYLOAD_SIZE_MAX) {
        return ctl_error(EXIT_FAILED, "the data is too long");
    }
    *out = (ProtobufCBinaryData){len, data};
    return EXIT_OK;
}

void payload_wipe(ProtobufCBinaryData *data)
{
    if (data->len > 0) {
        explicit_bzero(data->data, data->len);
    }
}

void payload_print(struct ctl *ctl, const Swkpb__Annotations *annotations,
                   const Swkpb__Meta *meta)
{
    print_field("Name", "%s", annotations_name(annotations));
    print_field("Created", "%s",
                age_text(ctl, meta != NULL ? meta->created_at : NULL));
    for (size_t i = 0; annotations != NULL && i < annotations->n_labels; i++) {
        print_field("Label", "%s=%s", annotations->labels[i]->key,
                    annotations->labels[i]->value);
    }
}

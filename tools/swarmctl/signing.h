/* SPDX-License-Identifier: Apache-2.0 */

/* Signing the specs that other commands make. */

#ifndef SWARMCTL_SIGNING_H
#define SWARMCTL_SIGNING_H

#include <swarmkit/signed_spec.h>

#include "flags.h"

/* Of every command that signs: the terms, and where a passphrase is. */
extern const struct flag signing_flags[];

/*
 * Opens the private key in a file: its passphrase is asked for, or read from
 * the file that --passphrase-file names. Release with swk_signing_key_free().
 * An exit code.
 */
int signing_open_key(const struct args *args, const char *path,
                     swk_signing_key **out_key);

/* A new key of --curve, under a passphrase if --encrypt or --passphrase-file
 * says so. */
int signing_make_key(const struct args *args, swk_signing_key **out_key);

/* Signs with the key in a file, by the terms of the flags. */
int signing_apply(struct ctl *ctl, const struct args *args, const char *path,
                  Swkpb__ServiceSpec **spec);

/* A spec from JSON, also that of a service as "service inspect" shows it; the
 * standard input for "-" and NULL. */
int signing_read_spec(struct ctl *ctl, const char *path,
                      Swkpb__ServiceSpec **out_spec);

/* The encoded spec. */
ProtobufCBinaryData signing_encode(struct ctl *ctl,
                                   const Swkpb__ServiceSpec *spec);

/* The ID of a signature's key: hexadecimal digits. */
const char *signing_key_text(struct ctl *ctl,
                             const Swkpb__Rpc__SpecSignature *signature);

#endif

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Lists the descriptors that generated headers declare, as C arrays.

protobuf-c keeps no registry, so that a test of all types needs this.

usage: list_descriptors.py OUT_FILE HEADER...
"""

import pathlib
import re
import sys

KINDS = {"messages": "Message", "enums": "Enum", "services": "Service"}


def main():
    out, *headers = sys.argv[1:]
    text = "\n".join(pathlib.Path(name).read_text("utf-8") for name in headers)
    lines = ['#include "descriptors.h"', ""]
    for name, kind in KINDS.items():
        kind = f"ProtobufC{kind}Descriptor"
        found = sorted(set(re.findall(rf"extern const {kind}\s+(\w+);", text)))
        lines += [f"extern const {kind} {symbol};" for symbol in found]
        lines += [f"const {kind} *const all_{name}[] = {{"]
        lines += [f"    &{symbol}," for symbol in found]
        lines += ["    NULL,", "};", ""]
    pathlib.Path(out).write_text("\n".join(lines), "utf-8")


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the functions that the public headers declare, a line each.

usage: list_symbols.py INCLUDE_DIR
"""

import pathlib
import re
import sys


def functions(text):
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    for match in re.finditer(r"\bSWK_API\b([^;]*);", text):
        name = re.search(r"\b(swk_\w+)\s*\(", match.group(1))
        if name:
            yield name.group(1)


def main():
    names = set()
    for header in pathlib.Path(sys.argv[1]).rglob("*.h"):
        names.update(functions(header.read_text("utf-8")))
    print("\n".join(sorted(names)))


main()

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Every public header compiles alone, as C99, C11 and C++.
# usage: check_headers.sh INCLUDE_DIR
set -u
failed=0
count=0
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT

for header in $(cd "$1" && find swarmkit -name '*.h' | sort); do
    echo "#include <$header>" >"$temporary/alone.c"
    cp "$temporary/alone.c" "$temporary/alone.cc"
    for compile in "cc -std=c99" "cc -std=c11" "c++ -std=c++11"; do
        source=$temporary/alone.c
        [ "${compile#c++}" = "$compile" ] || source=$temporary/alone.cc
        count=$((count + 1))
        $compile -pedantic -Wall -Wextra -Werror -I"$1" -fsyntax-only \
            "$source" || {
            echo "$header: $compile"
            failed=$((failed + 1))
        }
    done
done
echo "$count compilations, $failed failed"
[ "$failed" -eq 0 ] && [ "$count" -gt 0 ] || exit 1
echo "[       OK ] each_header_compiles_alone"

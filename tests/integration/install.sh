#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs into a temporary prefix and builds an example against it through
# pkg-config: in C and in C++, with the shared and with the static library.
# usage: install.sh SOURCE_DIR BUILD_DIR
set -eu
source=$1
build=$2
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT

DESTDIR=$prefix meson install -C "$build" --no-rebuild >"$prefix/log" 2>&1 || {
    cat "$prefix/log"
    exit 1
}
pc=$(find "$prefix" -name swarmkit.pc -printf '%h')
export PKG_CONFIG_PATH="$pc"
root=$(pkg-config --variable=prefix swarmkit)
at() {
    pkg-config --define-variable=prefix="$prefix$root" "$@"
}

protodir=$(at --variable=protodir swarmkit)
[ -f "$protodir/control.proto" ]
[ -f "$protodir/google/protobuf/timestamp.proto" ]
[ -f "$protodir/swarmkit/rpc.proto" ]
[ -f "$(at --variable=includedir swarmkit)/swarmkit/proto/objects.pb-c.h" ]

token=SWMTKN-1-1kxftv4ofnc6mt30lmgipg6ngf9luhwqopfk1tz6bdmnkubg0e
token=$token-4myj5xihyto11dg1cn55w8p61
libdir=$(at --variable=libdir swarmkit)
export LD_LIBRARY_PATH="$libdir"

try() {
    echo "$*"
    "$@" -o "$prefix/example"
    "$prefix/example" "$token" >"$prefix/out"
    grep -q "FIPS nodes only: no" "$prefix/out"
    ! "$prefix/example" nonsense 2>"$prefix/out"
    grep -q "invalid join token" "$prefix/out"
}

# shellcheck disable=SC2046
try cc -std=c11 "$source/examples/join_token.c" $(at --cflags --libs swarmkit)
# shellcheck disable=SC2046
try c++ -std=c++11 -x c++ "$source/examples/join_token.c" \
    $(at --cflags --libs swarmkit)
# shellcheck disable=SC2046
try cc -std=c11 "$source/examples/join_token.c" $(at --cflags swarmkit) \
    "$libdir/libswarmkit.a" "$libdir/libswarmkit-proto.a" \
    $(at --libs --static swarmkit | sed 's/-lswarmkit-proto//; s/-lswarmkit//')
for tool in bin/swarmd bin/swarm-agent bin/swarmctl bin/swarm-rafttool \
    libexec/swarmkit/swarm-shim; do
    [ -x "$prefix$root/$tool" ]
done
"$prefix$root/bin/swarmd" --version
echo "[       OK ] the_installation_serves_c_and_cpp_programs"

# SPDX-License-Identifier: Apache-2.0

"""What strangers, and nodes that want too much, can do to a manager."""

import errno
import os
import socket
import ssl
import struct

from swarm import ALPN, PATIENCE_S, Swarm, expect, main, run

CALL = os.environ.get("SWARM_CALL") or os.path.normpath(os.path.join(
    os.path.dirname(__file__), "../../../build/tests/integration/swarm/call"))
PACKAGE = "/docker.swarmkit.v1."
MANAGERS_OWN = ["Control/ListNodes", "Control/ListServices",
                "Control/CreateService", "Control/RemoveNode",
                "Control/ListClusters", "CA/GetUnlockKey",
                "Control/CreateSecret"]
NODES_OWN = ["Dispatcher/Heartbeat", "Dispatcher/UpdateTaskStatus"]
HELLO, CALL_FRAME, DATA = 1, 2, 3


def certificates(swarm, name, *files):
    return [swarm.path(name, "certificates", f) for f in files]


def roots(swarm, name):
    return certificates(swarm, name, "swarm-root-ca.crt")


def identity(swarm, name):
    return certificates(swarm, name, "swarm-root-ca.crt",
                        "swarm-node.crt") + [plain_key(swarm, name)]


def plain_key(swarm, name):
    """The node's key without the keys of a manager's log."""
    with open(certificates(swarm, name, "swarm-node.key")[0]) as f:
        lines = [line for line in f if ": " not in line and line != "\n"]
    path = swarm.path(name + ".key")
    with open(path, "w") as f:
        f.writelines(lines)
    return path


def call(swarm, method, files, size=0, address=None):
    return run(CALL, address or "tcp://" + swarm.address, PACKAGE + method,
               str(size), *files)


def a_worker_may_not_do_what_managers_do():
    with Swarm(drained=True) as swarm:
        swarm.worker("w1")
        for method in MANAGERS_OWN:
            result = call(swarm, method, identity(swarm, "w1"))
            expect(result.out.startswith("EDENIED") or
                   "denied" in result.out.lower(),
                   "%s: %s" % (method, result.out))
        result = call(swarm, "Control/NoSuchCall", identity(swarm, "w1"))
        expect(not result.out.startswith("OK"), result.out)
        swarm.ctl("node", "ls")


def nobody_may_do_what_nodes_or_managers_do():
    with Swarm(drained=True) as swarm:
        for method in MANAGERS_OWN + NODES_OWN:
            result = call(swarm, method, roots(swarm, "manager"))
            expect("denied" in result.out.lower(),
                   "%s: %s" % (method, result.out))
        result = call(swarm, "CA/GetRootCACertificate",
                      roots(swarm, "manager"))
        expect(result.out.startswith("OK"), result.out)


def a_certificate_of_another_swarm_is_refused():
    with Swarm(drained=True) as swarm, Swarm(drained=True) as other:
        other.worker("w1")
        for name in ("w1", "manager"):
            files = roots(swarm, "manager") + identity(other, name)[1:]
            result = call(swarm, "Control/ListNodes", files)
            expect(not result.out.startswith("OK"), result.out)
            expect("certificate" in result.out.lower() or
                   "denied" in result.out.lower(), result.out)
        result = call(swarm, "Control/ListNodes", identity(other, "w1"))
        expect(result.code == 1, "the client trusts a strange manager")


def a_request_that_is_too_large_is_refused():
    with Swarm(drained=True) as swarm:
        small = call(swarm, "Control/ListNodes", [], 0, swarm.socket)
        expect(small.out.startswith("OK"), small.out)
        result = call(swarm, "Control/ListNodes", [], 5 << 20, swarm.socket)
        expect("limit" in result.out, result.out)
        result = call(swarm, "CA/GetRootCACertificate",
                      roots(swarm, "manager"), 5 << 20)
        expect("limit" in result.out, result.out)
        swarm.ctl("node", "ls")


# -- Garbage ------------------------------------------------------------------

def frame(kind, stream=0, payload=b"", length=None, flags=0, code=0):
    return struct.pack("<IIBBH", len(payload) if length is None else length,
                       stream, kind, flags, code) + payload


GREETING = frame(HELLO, payload=b"swarmrpc" + struct.pack("<II", 65536, 16),
                 code=1)
GARBAGE = {
    "nothing": b"",
    "plain HTTP": b"GET / HTTP/1.1\r\nHost: swarm\r\n\r\n",
    "zeros": bytes(4096),
    "ones": b"\xff" * 70000,
    "half a TLS hello": bytes.fromhex("160301020001 0001fc0303".replace(
        " ", "")) + b"\x17" * 40,
    "a TLS alert": bytes.fromhex("15030300020228"),
    "a TLS record that is too long": b"\x16\x03\x01\xff\xff" + b"a" * 70000,
    "half a greeting": GREETING[:17],
    "a greeting of another protocol": GREETING.replace(b"swarm", b"SWARM"),
    "a length of 4 GiB": frame(DATA, 1, b"", length=0xffffffff),
    "data without a call": GREETING + frame(DATA, 7, b"x" * 100),
    "a type that there is not": GREETING + frame(99, 1, b"x"),
    "a call that is no message": GREETING + frame(CALL_FRAME, 1,
                                                  b"\xff" * 64),
    "a call that is too long": GREETING + frame(CALL_FRAME, 1,
                                                b"x" * 20000),
}


def send(connection, data, half):
    """Sends, and reads until the manager hangs up, or for a moment."""
    connection.settimeout(PATIENCE_S)
    try:
        connection.sendall(data)
        if half:
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
    except (ConnectionError, ssl.SSLError):
        pass
    except OSError as error:
        if error.errno != errno.ENOTCONN:  # reset before the shutdown
            raise
    finally:
        connection.close()


def garbage_at_the_remote_port_does_no_harm():
    with Swarm(drained=True) as swarm:
        where = ("127.0.0.1", swarm.port)
        for why, data in GARBAGE.items():
            for half in (True, False):
                send(socket.create_connection(where), data, half)
            expect(swarm.manager.running(), why)
            swarm.ctl("node", "ls")
        swarm.worker("w1")


def garbage_within_tls_does_no_harm():
    with Swarm(drained=True) as swarm:
        context = ssl.create_default_context(
            cafile=roots(swarm, "manager")[0])
        context.check_hostname = False
        context.set_alpn_protocols([ALPN])
        for why, data in GARBAGE.items():
            plain = socket.create_connection(("127.0.0.1", swarm.port))
            tls = context.wrap_socket(plain, server_hostname="swarm-manager")
            expect(tls.version() in ("TLSv1.2", "TLSv1.3"), tls.version())
            send(tls, data, False)
            expect(swarm.manager.running(), why)
            swarm.ctl("node", "ls")
        expect("another protocol" not in swarm.manager.text(),
               swarm.manager.text())
        swarm.worker("w1")


def garbage_at_the_control_socket_does_no_harm():
    with Swarm(drained=True) as swarm:
        for why, data in GARBAGE.items():
            for half in (True, False):
                connection = socket.socket(socket.AF_UNIX)
                connection.connect(swarm.socket)
                send(connection, data, half)
            expect(swarm.manager.running(), why)
            swarm.ctl("node", "ls")


def many_idle_connections_do_not_keep_others_out():
    with Swarm(drained=True) as swarm:
        idle = [socket.create_connection(("127.0.0.1", swarm.port))
                for _ in range(200)]
        swarm.worker("w1")
        swarm.ctl("node", "ls")
        for connection in idle:
            connection.close()


main([
    a_worker_may_not_do_what_managers_do,
    nobody_may_do_what_nodes_or_managers_do,
    a_certificate_of_another_swarm_is_refused,
    a_request_that_is_too_large_is_refused,
    garbage_at_the_remote_port_does_no_harm,
    garbage_within_tls_does_no_harm,
    garbage_at_the_control_socket_does_no_harm,
    many_idle_connections_do_not_keep_others_out,
])

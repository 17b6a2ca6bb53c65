# SPDX-License-Identifier: Apache-2.0

"""Too many, too slow, too large: what a manager bears while others are served.

The attackers come from other addresses of the loopback interface than honest
clients. With SWARM_DEEP=1 in the environment all of it is more
and longer.
"""

import os
import resource
import socket
import ssl
import struct
import threading
import time

from attack import MANAGER, OK, WORKER, Attacked
from swarm import ALPN, expect, main, wait_for

DEEP = bool(os.environ.get("SWARM_DEEP"))
THERE, ELSEWHERE = "127.0.0.2", "127.0.0.3"
SLACK = int(os.environ.get("SWARM_SLACK", "1"))
PATIENCE_S = 5 * SLACK    # of an honest client with an attacked manager
GROWTH_MAX = 160 * SLACK  # MiB that an attack may cost
HELLO, CALL, DATA, END, RESET, WINDOW, PING = 1, 2, 3, 4, 5, 6, 7
MORE = 1


def more_files():
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def memory(daemon):
    """MiB."""
    with open("/proc/%d/status" % daemon.process.pid) as f:
        for line in f:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return 0


def dial(swarm, source=THERE):
    return socket.create_connection(("127.0.0.1", swarm.port), 10,
                                    (source, 0))


def drop(connections):
    for connection in connections:
        connection.close()


class Honest:
    """Clients that call now and then, each by a connection of its own, while
    the block runs; each has to be served in time."""

    def __init__(self, swarm):
        self.swarm = swarm
        self.files = swarm.issue("honest", MANAGER)
        self.times = []
        self.failures = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.before = memory(swarm.manager)

    def once(self):
        start = time.monotonic()
        with self.swarm.talk(self.files) as talk:
            answer = talk.call("Control/ListNodes", wait=15000)
        self.times.append(time.monotonic() - start)
        if answer.status != OK:
            self.failures.append(answer)

    def run(self):
        while not self.over.is_set():
            try:
                self.once()
            except Exception as error:  # told when the block ends
                self.failures.append(error)
            self.over.wait(0.2)

    def __enter__(self):
        self.once()
        self.thread.start()
        return self

    def __exit__(self, kind, *error):
        self.over.set()
        self.thread.join(60)
        if kind is not None:
            return
        growth = memory(self.swarm.manager) - self.before
        print("  %d honest calls, the slowest took %.2f s; %.0f MiB more" %
              (len(self.times), max(self.times), growth))
        expect(not self.failures, "honest clients: %s" % self.failures[:3])
        expect(len(self.times) > 1, "none was served")
        expect(max(self.times) < PATIENCE_S, "served too late")
        expect(growth < GROWTH_MAX, "%.0f MiB more" % growth)


def client_hello():
    """What openssl would say first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([ALPN])
    tls = context.wrap_bio(incoming, outgoing)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def alive(connection):
    """Whether the manager has not hung up."""
    try:
        connection.setblocking(False)
        return connection.recv(4096) != b""
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False


def slow_handshakes_and_silent_strangers_keep_nobody_out():
    """Handshakes of a byte a second, and connections that were greeted, from
    which nothing more comes; a node joins meanwhile."""
    count = 1500 if DEEP else 300
    hello = client_hello()
    with Attacked(drained=True) as swarm, Honest(swarm):
        slow = []
        for _ in range(count):
            try:
                slow.append(dial(swarm))
            except OSError:
                break
        start = time.monotonic()
        strangers = []
        worker = threading.Thread(target=hold_strangers,
                                  args=(swarm, count, strangers))
        worker.start()
        for second in range(14):
            for connection in slow:
                try:
                    connection.send(hello[second:second + 1])
                except OSError:
                    pass
            if second == 2:
                swarm.worker("w1")
            time.sleep(max(0, start + second + 1 - time.monotonic()))
        left = [c for c in slow if alive(c)]
        expect(not left, "%d of %d are still at it after 14 s" %
               (len(left), len(slow)))
        worker.join()
        expect(len(strangers) > count / 2, "%d were let in" % len(strangers))
        wait_for(lambda: not any(alive_tls(c) for c in strangers),
                 "strangers are hung up on", 14)
        drop(slow)
        drop(strangers)


def hold_strangers(swarm, count, held):
    context = ssl.create_default_context(cafile=swarm.roots)
    context.set_alpn_protocols([ALPN])
    for _ in range(count):
        try:
            tls = context.wrap_socket(dial(swarm, ELSEWHERE),
                                      server_hostname="swarm-manager")
            tls.sendall(GREETING)
            held.append(tls)
        except OSError:
            pass


def a_flood_of_connections_keeps_nobody_out():
    seconds = 40 if DEEP else 5
    hello = client_hello()
    with Attacked(drained=True) as swarm, Honest(swarm):
        made, held = 0, []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                connection = dial(swarm)
                made += 1
                if made % 3 == 0:
                    connection.sendall(hello)
                held.append(connection)
            except OSError:
                time.sleep(0.01)
            if len(held) > 3000:
                held.pop(0).close()
        print("  %d connections" % made)
        drop(held)


def alive_tls(tls):
    try:
        tls.setblocking(False)
        while tls.recv(65536):
            pass
        return False
    except ssl.SSLWantReadError:
        return True
    except OSError:
        return False


# -- Within TLS ---------------------------------------------------------------

def frame(kind, stream=0, payload=b"", length=None, flags=0, code=0):
    return struct.pack("<IIBBH", len(payload) if length is None else length,
                       stream, kind, flags, code) + payload


GREETING = frame(HELLO, payload=b"swarmrpc" + struct.pack("<II", 1 << 20, 16),
                 code=1)


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def header(path, *more):
    return field(1, path.encode()) + b"".join(more)


def open_call(stream, path="/docker.swarmkit.v1.Dispatcher/Heartbeat", *more):
    return frame(CALL, stream, header(path, *more))


def as_worker(swarm, name="w-attack"):
    files = swarm.issue(name, WORKER)
    context = ssl.create_default_context(cafile=swarm.roots)
    context.set_alpn_protocols([ALPN])
    context.load_cert_chain(files[1], files[2])
    tls = context.wrap_socket(dial(swarm), server_hostname="swarm-manager")
    tls.sendall(GREETING)
    return tls


def push(tls, data, seconds=8):
    """Sends all it can; False if the manager hung up."""
    tls.settimeout(seconds)
    try:
        tls.sendall(data)
        return True
    except (OSError, ssl.SSLError):
        return False


def nested(levels):
    data = b""
    for _ in range(levels):
        data = field(1, data)
    return data


def half_open_calls_and_giant_headers_are_bounded():
    connections = 120 if DEEP else 20
    with Attacked(drained=True) as swarm, Honest(swarm):
        held = []
        for i in range(connections):
            tls = as_worker(swarm, "w%d" % (i % 3))
            held.append(tls)
            # 5,000 calls of which nothing more comes.
            push(tls, b"".join(open_call(n) for n in range(1, 5000)), 2)
        expect(swarm.manager.running(), "half-open calls")
        headers = {
            "of 16 KiB": header("/x/y", field(15, b"u" * 16300)),
            "too long": header("/x/y", field(15, b"u" * 20000)),
            "a long path": header("/" + "p" * 300),
            "a long ID": header("/x/y", field(3, b"i" * 200)),
            "a long name": header("/x/y", field(4, field(1, b"n" * 9000))),
            "a deep one": header("/x/y", field(4, nested(3000))),
            "none": b"",
            "many fields": header("/x/y", field(4, b"") * 5000),
        }
        for why, payload in headers.items():
            tls = as_worker(swarm)
            push(tls, frame(CALL, 1, payload) + frame(DATA, 1, b"") +
                 frame(END, 1))
            expect(swarm.manager.running(), why)
            tls.close()
        drop(held)


def messages_that_never_end_are_bounded():
    connections = 60 if DEEP else 4
    with Attacked(drained=True) as swarm, Honest(swarm):
        held = []
        part = b"p" * 65536
        for i in range(connections):
            tls = as_worker(swarm)
            held.append(tls)
            calls = b"".join(
                open_call(n) + frame(DATA, n, part, flags=MORE) * 3
                for n in range(1, 200))
            push(tls, calls, 2)
        drop(held)


def deep_and_swollen_messages_are_refused():
    with Attacked(drained=True) as swarm, Honest(swarm):
        path = "/docker.swarmkit.v1.Dispatcher/UpdateTaskStatus"
        empty = {
            "deep": nested(60000),
            "swollen": field(3, b"") * 1000000,
            "swollen inside": field(3, field(2, field(5, b"") * 200)) * 2000,
            "4 MiB of one text": field(1, b"s" * (4 << 20 - 1)),
            "5 MiB": field(1, b"s" * (5 << 20)),
            "groups": b"\x0b" * 100000,
            "a length beyond the end": varint(3 << 3 | 2) + varint(1 << 40),
        }
        for why, message in empty.items():
            tls = as_worker(swarm)
            parts = [message[i:i + 65536]
                     for i in range(0, len(message), 65536)] or [b""]
            data = open_call(1, path) + b"".join(
                frame(DATA, 1, p, flags=MORE if p is not parts[-1] else 0)
                for p in parts) + frame(END, 1)
            push(tls, data)
            expect(swarm.manager.running(), why)
            tls.close()
        # As a manager, at what manages most.
        with swarm.as_manager() as talk:
            for body in ("hex:" + nested(20000).hex(),
                         "zeros:%d" % (5 << 20)):
                answer = talk.call("Control/CreateService", body)
                expect(answer.status not in (OK, "open"), answer)


def who_asks_and_does_not_read_is_hung_up_on():
    with Attacked(drained=True) as swarm, Honest(swarm):
        tls = as_worker(swarm)
        pings = frame(PING, payload=b"12345678") * 3000
        sent = 0
        end = time.monotonic() + 20
        while time.monotonic() < end and push(tls, pings, 2):
            sent += len(pings)
        print("  %.1f MiB of questions" % (sent / (1 << 20)))
        expect(time.monotonic() < end, "it goes on for ever")
        tls.close()


def the_log_does_not_grow_with_an_attack():
    count = 3000 if DEEP else 500
    with Attacked(drained=True) as swarm:
        before = len(swarm.manager.text())
        for _ in range(count):
            with dial(swarm) as connection:
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        wait_for(lambda: "is down" in swarm.manager.text(), "it is told of")
        time.sleep(1)
        lines = swarm.manager.text()[before:].count("\n")
        print("  %d lines for %d connections" % (lines, count))
        expect(lines < 100, "%d lines" % lines)


more_files()
main([slow_handshakes_and_silent_strangers_keep_nobody_out,
      a_flood_of_connections_keeps_nobody_out,
      half_open_calls_and_giant_headers_are_bounded,
      messages_that_never_end_are_bounded,
      deep_and_swollen_messages_are_refused,
      who_asks_and_does_not_read_is_hung_up_on,
      the_log_does_not_grow_with_an_attack])

# SPDX-License-Identifier: Apache-2.0

"""Whoever sits on the wire: passes TLS records on, and meddles with them."""

import socket
import struct
import threading

APPLICATION_DATA = 23


def records(data):
    """Whole TLS records at the front of the bytes, and what is left."""
    found = []
    while len(data) >= 5:
        length = struct.unpack(">H", data[3:5])[0] + 5
        if len(data) < length:
            break
        found.append(data[:length])
        data = data[length:]
    return found, data


class Proxy:
    """meddle(record, number) says what goes to the server in the place of the
    client's record of that number (from 0, application data alone): bytes, or
    None, after which the connection is cut."""

    def __init__(self, port, meddle=None):
        self.server_port = port
        self.meddle = meddle or (lambda record, number: record)
        self.sent = b""  # by the clients, all of it
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.at = "tcp://127.0.0.1:%d" % self.port
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.listener.close()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.server_port))
            threading.Thread(target=self.down, args=(server, client),
                             daemon=True).start()
            threading.Thread(target=self.up, args=(client, server),
                             daemon=True).start()

    def up(self, client, server):
        waiting, number = b"", 0
        try:
            while True:
                data = client.recv(65536)
                if not data:
                    break
                self.sent += data
                whole, waiting = records(waiting + data)
                for record in whole:
                    if record[0] == APPLICATION_DATA:
                        record = self.meddle(record, number)
                        number += 1
                    if record is None:
                        return
                    server.sendall(record)
        except OSError:
            pass
        finally:
            close(server)
            close(client)

    @staticmethod
    def down(server, client):
        try:
            while True:
                data = server.recv(65536)
                if not data:
                    break
                client.sendall(data)
        except OSError:
            pass
        finally:
            close(client)
            close(server)


def close(connection):
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()

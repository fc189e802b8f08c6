"""A public host that carries a line between two clients.

As `serve OWN-ADDRESS`, it waits for two clients. Each first says which address it believes to
come from, then its line; it is given the other's line, or told what its address really is.
As `visit HOST OWN-ADDRESS`, it is such a client: with a line from standard input, and the answer
on standard output."""

import socket
import sys
import time

PORT = 7000


def serve(address):
    # More than the pipe of anybody who does not read it can hold.
    sys.stdout.write("a talkative server\n" * 20_000)
    sys.stdout.flush()
    listener = socket.create_server((address, PORT))
    clients = []
    while len(clients) < 2:
        connection, (seen, _) = listener.accept()
        lines = connection.makefile("rb")
        believed = lines.readline().decode().strip()
        line = lines.readline() if believed == seen else f"you are {seen}\n".encode()
        clients.append((connection, line))
    for (connection, _), (_, line) in zip(clients, reversed(clients)):
        connection.sendall(line)
        connection.close()
    time.sleep(60)


def visit(host, own_address):
    for _ in range(100):
        try:
            connection = socket.create_connection((host, PORT), timeout=5)
            break
        except ConnectionRefusedError:
            time.sleep(0.02)
    else:
        sys.exit(f"{host} does not serve")
    connection.sendall(own_address.encode() + b"\n" + sys.stdin.buffer.readline())
    sys.stdout.buffer.write(connection.makefile("rb").readline())
    sys.stdout.flush()


{"serve": serve, "visit": visit}[sys.argv[1]](*sys.argv[2:])

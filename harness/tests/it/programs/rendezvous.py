"""A public host that exchanges lines between two clients.

`serve OWN-ADDRESS` waits for two clients. Each sends the address that it believes to have, then a
line. It receives the other client's line, or its real address if the belief was wrong.
`visit HOST OWN-ADDRESS` is such a client: it sends a line of standard input and prints the
answer."""

import socket
import sys
import time

PORT = 7000


def serve(address):
    # More than a pipe holds: a harness that does not read the output would block this program.
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

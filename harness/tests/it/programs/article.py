"""The article's method with one fixed port instead of a port schedule: bind, connect to the
same port of the peer in a loop, then relay one line in each direction."""

import socket
import sys
import time

peer, port, timeout_s = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
deadline = time.monotonic() + timeout_s
while True:
    left = deadline - time.monotonic()
    if left <= 0:
        sys.exit(f"no connection with {peer} within {timeout_s} s")
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    connection.settimeout(left)
    try:
        connection.bind(("", port))
        connection.connect((peer, port))
        break
    except OSError:
        connection.close()
        time.sleep(0.01)
connection.sendall(sys.stdin.buffer.readline())
line = connection.makefile("rb").readline()
sys.stdout.buffer.write(line)
sys.stdout.flush()

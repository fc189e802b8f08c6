"""The article's algorithm as a program, written from its text: one bucket chosen once, the ports of
Python's generator, connect_ex in a loop with a pause of 10 ms, one `$` from the greater WAN address.

Relays one line each way: standard input to the peer, the peer's line to standard output.
"""

import argparse
import ipaddress
import random
import select
import socket
import sys
import time

MAX_CLOCK_ERROR = 20
WINDOW = MAX_CLOCK_ERROR * 2 + 2
LARGE_PRIME = 2654435761
PAUSE = 0.01


def ports(now):
    bucket = int((now - MAX_CLOCK_ERROR) // WINDOW)
    generator = random.Random(bucket * LARGE_PRIME % 0xFFFFFFFF)
    chosen = []
    while len(chosen) < 16:
        port = 30000 + generator.randint(0, 19999)
        if port not in chosen:
            chosen.append(port)
    return chosen


def bound(port):
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    s.setblocking(False)
    try:
        s.bind(("0.0.0.0", port))
    except OSError:
        s.close()
        return None
    return s


def connected(s):
    try:
        s.getpeername()
    except OSError:
        return False
    return s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


def punch(peer, own, now, deadline):
    """The winner among the connections, or None."""
    sockets = {s: port for port in ports(now) if (s := bound(port))}
    leads = ipaddress.ip_address(own) > ipaddress.ip_address(peer)
    standing = []
    while time.monotonic() < deadline:
        for s in [s for s in sockets if s not in standing]:
            s.connect_ex((peer, sockets[s]))
        _, writable, _ = select.select([], [s for s in sockets if s not in standing], [], PAUSE)
        standing += [s for s in writable if connected(s)]
        time.sleep(PAUSE)
        if leads and standing:
            standing[0].send(b"$")
            close_losers(sockets, standing[0])
            return standing[0]
        if not leads and standing:
            for s in select.select(standing, [], [], 0)[0]:
                try:
                    if s.recv(1) == b"$":
                        close_losers(sockets, s)
                        return s
                except OSError:
                    pass
                standing.remove(s)
                del sockets[s]
                s.close()
    return None


def close_losers(sockets, winner):
    for loser in sockets:
        if loser is not winner:
            try:
                loser.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            loser.close()


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("peer")
    arguments.add_argument("--wan-ip", required=True)
    arguments.add_argument("--clock-offset", type=float, default=0)
    arguments.add_argument("--timeout", type=float, default=10)
    options = arguments.parse_args()
    now = int(time.time() + options.clock_offset)
    winner = punch(options.peer, options.wan_ip, now, time.monotonic() + options.timeout)
    if winner is None:
        sys.exit("article: no connection")
    winner.setblocking(True)
    winner.sendall(sys.stdin.buffer.readline())
    stream = winner.makefile("rb")
    sys.stdout.buffer.write(stream.readline())
    sys.stdout.flush()
    sys.stdin.buffer.read()
    winner.shutdown(socket.SHUT_WR)
    stream.read()


main()

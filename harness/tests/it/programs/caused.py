"""A puncher that fails in a manner of one's choice: `caused.py MANNER SIDE PEER TIMEOUT_S`.

Both sides bind and connect to the same port, 4321, unless their manner says otherwise; on a
connection each sends the line of its standard input and prints the line it gets."""

import os
import socket
import sys
import time

manner, side, peer, timeout_s = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])
deadline = time.monotonic() + timeout_s
line = sys.stdin.buffer.readline()


def left():
    return max(deadline - time.monotonic(), 0.001)


def connect(port):
    """Sends a SYN; the kernel repeats it each second. None where it was refused."""
    connection = socket.socket(socket.AF_INET6 if ":" in peer else socket.AF_INET)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    connection.settimeout(left())
    connection.bind(("", port))
    try:
        connection.connect((peer, port))
    except OSError:
        return None
    return connection


def ignore(*match):
    """Lets this host swallow packets, as a firewall on it would."""
    import subprocess  # Takes its time.

    path = {"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
    command = ["iptables", "-A", "INPUT", "-p", "tcp", *match, "-j", "DROP"]
    subprocess.run(command, check=True, env=path)


def wait(connection):
    """Until the time is over; what comes in meanwhile is not for anybody."""
    time.sleep(left())
    sys.exit(1)


def exchange(connection):
    if connection is None:
        wait(None)
    connection.sendall(line)
    answer = connection.makefile("rb").readline()
    sys.stdout.buffer.write(answer)
    sys.stdout.flush()


def once():
    exchange(connect(4321))


def other_ports():
    exchange(connect({"a": 4321, "b": 4322}[side]))


def deaf():
    ignore("--syn")
    exchange(connect(4321))


def half_deaf():
    ignore("--tcp-flags", "SYN,ACK", "SYN,ACK")
    exchange(connect(4321))


def send_syn():
    """One, which is not repeated."""
    connection = socket.socket()
    connection.setblocking(False)
    connection.bind(("", 4321))
    connection.connect_ex((peer, 4321))
    time.sleep(0.2)
    connection.close()


def one_syn():
    # A repeated SYN would remind the NAT.
    send_syn()
    wait(None)


def syn_then_listen():
    """a's SYN-ACK comes from another socket than its SYN did, and its NAT does not expect it."""
    if side == "b":
        return exchange(connect(4321))
    send_syn()
    listener = socket.create_server(("", 4321))
    listener.settimeout(left())
    try:
        exchange(listener.accept()[0])
    except OSError:
        sys.exit(1)


def split():
    """Each side talks on a connection of its own choice, and listens on that one only."""
    import threading  # Takes its time.

    ports = {"a": [4001, 4002], "b": [4002, 4001]}[side]
    found = {}
    threads = [
        threading.Thread(target=lambda port=port: found.update({port: connect(port)}))
        for port in ports
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    own = found[ports[0]]
    own.sendall(line)
    own.settimeout(left())
    try:
        sys.stdout.buffer.write(own.makefile("rb").readline())
    except OSError:
        sys.exit(1)


def mute():
    connection = connect(4321)
    if side == "a":
        connection.sendall(line)
    wait(connection)


def then_fail():
    exchange(connect(4321))
    # Not before the other side has it all.
    time.sleep(0.3)
    sys.exit("changed my mind")


manners = [once, other_ports, deaf, half_deaf, one_syn, syn_then_listen, split, mute, then_fail]
{function.__name__: function for function in manners}[manner.replace("-", "_")]()

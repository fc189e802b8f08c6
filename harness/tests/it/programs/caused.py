"""A puncher that fails in a chosen way: `caused.py BEHAVIOUR SIDE PEER TIMEOUT_S`.

Both sides bind to port 4321 and connect to port 4321 of the peer, unless the behaviour says
otherwise. On the connection, each sends the line of its standard input and prints the line that
it receives."""

import os
import socket
import sys
import time

behaviour, side, peer, timeout_s = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])
deadline = time.monotonic() + timeout_s
line = sys.stdin.buffer.readline()


def left():
    return max(deadline - time.monotonic(), 0.001)


def connect(port):
    """Sends a SYN, which the kernel repeats each second. Returns None if it is refused."""
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
    """Makes this host drop packets, as a firewall on it would."""
    import subprocess  # Slow: imported only where it is needed.

    path = {"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
    command = ["iptables", "-A", "INPUT", "-p", "tcp", *match, "-j", "DROP"]
    subprocess.run(command, check=True, env=path)


def wait(connection):
    """Waits until the time-out without reading, then fails."""
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
    """Sends one SYN that is not repeated."""
    connection = socket.socket()
    connection.setblocking(False)
    connection.bind(("", 4321))
    connection.connect_ex((peer, 4321))
    time.sleep(0.2)
    connection.close()


def one_syn():
    # A repeated SYN would refresh the mapping of the NAT.
    send_syn()
    wait(None)


def syn_then_listen():
    """Side a sends its SYN-ACK from another socket than its SYN; the NAT does not expect it."""
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
    """Each side chooses a connection of its own, and sends and reads on that one only."""
    import threading  # Slow: imported only where it is needed.

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
    # The other side has received everything by then.
    time.sleep(0.3)
    sys.exit("changed my mind")


def datagrams(port=4321, to=peer, own_port=4321):
    """Sends the line every 50 ms, until the time-out or until a line is received."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("", own_port))
        while left() > 0.001:
            sock.sendto(line, (to, port))
            sock.settimeout(min(left(), 0.05))
            try:
                answer = sock.recv(2000)
            except OSError:
                continue
            if behaviour not in ("udp-deaf", "udp-closed"):
                sys.stdout.buffer.write(answer)
                sys.stdout.flush()
                return wait(None)
    sys.exit(1)


def udp_steady():
    datagrams()


def udp_other_ports():
    port = {"a": 4321, "b": 4322}[side]
    datagrams(port, peer, port)


def udp_elsewhere():
    datagrams(to="192.0.2.99")


def send_datagram():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("", 4321))
        sock.sendto(line, (peer, 4321))


def udp_closed():
    """Side b opens its NAT, and then has no socket at the port."""
    if side == "a":
        return datagrams()
    send_datagram()
    wait(None)


def udp_one():
    send_datagram()
    time.sleep(1 if side == "b" else left())
    sys.exit(1)


behaviours = {
    function.__name__.replace("_", "-"): function
    for function in (
        once,
        other_ports,
        deaf,
        half_deaf,
        one_syn,
        syn_then_listen,
        split,
        mute,
        then_fail,
        udp_steady,
        udp_other_ports,
        udp_elsewhere,
        udp_closed,
        udp_one,
    )
}
behaviours["udp-deaf"] = udp_steady
behaviours[behaviour]()

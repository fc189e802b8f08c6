"""The router that is a NAT: a network namespace with three TUN devices, the WAN and two LANs.

This program holds the other ends of the devices and plays all hosts. When the write of a packet to
a TUN device returns, the packet has gone through the router. An echo request follows each packet;
every router answers it. When the echo arrives, nothing else will: silence needs no waiting.
"""

import ctypes
import fcntl
import os
import select
import signal
import socket
import struct
import subprocess
import time

from packets import ICMP, SYN, TCP, Problem, decode, encode

# The inside hosts, each on a LAN of its own; the router has the first address of each.
INSIDE = {"a": "10.77.1.2", "b": "10.77.2.2"}
GATEWAY = {"a": "10.77.1.1", "b": "10.77.2.1"}

# Outside hosts are neighbours of the WAN address, which is the first of its /24.
CONTACTED, ANOTHER, BUSY = 2, 3, 4
STRANGERS = range(100, 250)

# Ports of inside hosts. Each probe takes new ones.
PORTS = range(20000, 29000, 7)


def enter_namespace():
    """Enters a network namespace of this process, which ends when its parent ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.geteuid(), os.getegid()
    new_user, new_net = 0x10000000, 0x40000000  # CLONE_NEWUSER, CLONE_NEWNET
    if libc.unshare(new_net | (new_user if user != 0 else 0)) != 0:
        raise Problem(f"no network namespace: {os.strerror(ctypes.get_errno())}")
    # Only now: entering a user namespace resets it.
    libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if user != 0:
        files = {"setgroups": "deny", "uid_map": f"0 {user} 1", "gid_map": f"0 {group} 1"}
        for name, text in files.items():
            write(f"/proc/self/{name}", text)


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def tun(name, address):
    """A TUN device of the router with this address and a /24; its descriptor is the other end."""
    end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    packets_alone = struct.pack("16sH22x", name.encode(), 0x1001)  # IFF_TUN, IFF_NO_PI
    fcntl.ioctl(end, 0x400454CA, packets_alone)  # TUNSETIFF
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        # SIOCSIFADDR, SIOCSIFNETMASK
        for request, value in ((0x8916, address), (0x891C, "255.255.255.0")):
            value = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(value))
            fcntl.ioctl(control, request, struct.pack("16s16s8x", name.encode(), value))
        up = struct.pack("16sH22x", name.encode(), 1)  # IFF_UP
        fcntl.ioctl(control, 0x8914, up)  # SIOCSIFFLAGS
    return end


class Router:
    """A NAT, and the packets of all hosts around it."""

    def __init__(self, rules):
        enter_namespace()
        for scope in ("all", "default"):
            write(f"/proc/sys/net/ipv4/conf/{scope}/rp_filter", "0")
            if os.path.exists("/proc/sys/net/ipv6"):
                write(f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6", "1")
        self.wan = rules["wan_address"]
        lan = rules["lan_interface_prefix"]
        # `a` is read first: when its echo has arrived, all other packets have arrived as well.
        self.ends = {
            "a": tun(lan, GATEWAY["a"]),
            "b": tun(lan + "2", GATEWAY["b"]),
            "wan": tun(rules["wan_interface"], self.wan),
        }
        self.poll = select.poll()
        for end in self.ends.values():
            self.poll.register(end, select.POLLIN)
        self.apply(rules)
        self.echoes, self.ports, self.strangers = 0, iter(PORTS), iter(STRANGERS)

    def apply(self, rules):
        command = [rules["program"], *rules["arguments"]]
        path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin"
        os.environ["PATH"] = path
        ran = subprocess.run(command, input=rules["stdin"], text=True, capture_output=True)
        if ran.returncode != 0:
            raise Problem(f"{' '.join(command)}: {ran.stderr.strip()}")
        for name, value in rules["sysctls"].items():
            write(f"/proc/sys/{name}", value)

    def send(self, at, *packets):
        """Sends packets to the router from `at`. Returns the packets that leave it, as pairs of
        interface and packet."""
        for packet in packets:
            os.write(self.ends[at], packet)
        self.echoes += 1
        number = struct.pack("!HH", 1, self.echoes % 65536)
        request = encode(ICMP, (INSIDE["a"], 0), (GATEWAY["a"], 0), data=b"\x08\0\0\0" + number)
        os.write(self.ends["a"], request)
        seen, echo, deadline = [], False, time.monotonic() + 10
        while not echo:
            if not self.poll.poll(max(0, deadline - time.monotonic()) * 1000):
                raise Problem("the router answers no echo request")
            for where, packet in self.waiting():
                if packet.detail == (0, 0) and packet.data == number:
                    echo = True
                else:
                    seen.append((where, packet))
        return seen

    def waiting(self):
        for where, end in self.ends.items():
            while True:
                try:
                    packet = decode(os.read(end, 65536))
                except BlockingIOError:
                    break
                if packet is not None:
                    yield where, packet

    def outside(self, number, port):
        """An endpoint on the WAN."""
        return self.wan.rsplit(".", 1)[0] + f".{number}", port

    def stranger(self):
        """A new endpoint on the WAN, which no packet came from or went to."""
        return self.outside(next(self.strangers), 4000)

    def inside(self, host="a"):
        """A new endpoint of an inside host."""
        return INSIDE[host], next(self.ports)

    def map(self, protocol, inside, outside):
        """The port that a new flow has on the WAN."""
        host = next(name for name, address in INSIDE.items() if address == inside[0])
        seen = self.send(host, encode(protocol, inside, outside, SYN))
        for packet in self.sent(seen, protocol, outside):
            return packet.source[1]
        raise Problem(f"a flow from {inside} to {outside} does not come out")

    def sent(self, seen, protocol, outside):
        """The packets in `seen` that arrived at an outside endpoint."""
        for where, packet in seen:
            if where == "wan" and (packet.protocol, packet.target) == (protocol, outside):
                if packet.source[0] != self.wan:
                    raise Problem(f"{packet} is on the WAN without translation")
                yield packet

    def lets_in(self, protocol, sender, port, inside, flags=SYN):
        """Whether a packet to a port on the WAN arrives at an inside endpoint."""
        seen = self.send("wan", encode(protocol, sender, (self.wan, port), flags))
        return arrived(seen, protocol, sender, inside, flags)


def arrived(seen, protocol, source, inside, flags):
    """Whether an inside host got the packet. Any other packet to an inside host is a `Problem`."""
    got = [(where, packet) for where, packet in seen if where != "wan"]
    if not got:
        return False
    where, packet = got[0]
    expected = (protocol, source, inside, flags if protocol == TCP else 0)
    if len(got) > 1 or INSIDE[where] != inside[0] or packet[:4] != expected:
        raise Problem(f"{expected} came in as {got}")
    return True

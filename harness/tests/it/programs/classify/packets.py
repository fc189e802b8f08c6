"""IPv4 packets, byte by byte."""

import socket
import struct
from collections import namedtuple

ICMP, TCP, UDP = 1, 6, 17
FIN, SYN, RST, ACK = 1, 2, 4, 16


class Problem(Exception):
    """The NAT fits none of the classes, or the classifier itself cannot work."""


# `source` and `target` are pairs of address and port. `detail` is type and code of an ICMP error,
# whose `source` is the router alone and whose `about` is the packet that it quotes.
FIELDS = "protocol source target flags sequence acknowledged data detail about"
Packet = namedtuple("Packet", FIELDS, defaults=[None] * 9)


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def with_checksum(data, offset, before=b""):
    """`data` with its checksum at `offset`; the checksum covers `before` as well.

    In UDP, 0 means no checksum (RFC 768), so 0xFFFF replaces it; elsewhere the two are equal."""
    value = checksum(before + data) or 0xFFFF
    return data[:offset] + struct.pack("!H", value) + data[offset + 2 :]


def pseudo_header(protocol, addresses, length):
    return addresses + struct.pack("!BBH", 0, protocol, length)


def encode(protocol, source, target, flags=0, sequence=0, acknowledged=0, data=b""):
    """An IPv4 packet. For ICMP, which has no ports, `data` is the whole payload."""
    addresses = socket.inet_aton(source[0]) + socket.inet_aton(target[0])
    if protocol == TCP:
        numbers = (source[1], target[1], sequence, acknowledged, 5 << 4, flags, 0xFFFF, 0, 0)
        payload, offset = struct.pack("!HHIIBBHHH", *numbers) + data, 16
    elif protocol == UDP:
        payload, offset = struct.pack("!HHHH", source[1], target[1], 8 + len(data), 0) + data, 6
    else:
        payload, offset = data, 2
    before = b"" if protocol == ICMP else pseudo_header(protocol, addresses, len(payload))
    payload = with_checksum(payload, offset, before)
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0) + addresses
    return with_checksum(header, 10) + payload


def decode(data, quoted=False):
    """A packet that the router sent, or None for other protocols. Of a packet that an ICMP error
    quotes, only the addresses and ports are read: more may be missing."""
    header, payload = data[: (data[0] & 15) * 4], data[(data[0] & 15) * 4 :]
    protocol, addresses = header[9], header[12:20]
    source, target = socket.inet_ntoa(addresses[:4]), socket.inet_ntoa(addresses[4:])
    if protocol not in (ICMP, TCP, UDP):
        return None
    if not quoted:
        before = b"" if protocol == ICMP else pseudo_header(protocol, addresses, len(payload))
        if checksum(header) != 0 or checksum(before + payload) != 0:
            raise Problem(f"a packet with a wrong checksum left the router: {data.hex()}")
    if protocol == ICMP:
        about = decode(payload[8:], quoted=True) if payload[0] == 3 else None
        ends, detail = ((source, 0), (target, 0)), (payload[0], payload[1])
        return Packet(ICMP, *ends, data=payload[4:], detail=detail, about=about)
    ports = struct.unpack("!HH", payload[:4])
    ends = (source, ports[0]), (target, ports[1])
    if quoted:
        return Packet(protocol, *ends)
    if protocol == UDP:
        return Packet(UDP, *ends, flags=0, data=payload[8:])
    sequence, acknowledged, length, flags = struct.unpack("!IIBB", payload[4:14])
    return Packet(TCP, *ends, flags, sequence, acknowledged, payload[(length >> 4) * 4 :])

#!/usr/bin/env python3
"""The test vectors of PROTOCOL.md, computed from its text alone.

Prints the rows of its tables. Shares no code and no library with the Rust crate.
"""

import random
import struct

SECOND = 1_000_000_000
MASK = 0xFFFF_FFFF

SPACES = {
    "rolling": [p for p in range(2024, 32768) if p not in (5060, 5061) and not 10000 <= p <= 20000],
    "article": list(range(30000, 50000)),
}
COUNTS = {"rolling": 8, "article": 16}


def tag(session):
    value = 0xCBF2_9CE4_8422_2325
    for byte in b"punch/1:" + session.encode():
        value = (value ^ byte) * 0x100_0000_01B3 % 2**64
    return struct.pack(">Q", value)


def window(error):
    return 2 * error + 2 * SECOND


def shift(error, lane):
    return lane * window(error) // 8


def first_buckets(rule, error, clock):
    if rule == "article":
        return [(clock - error) // window(error)]
    return [(clock - shift(error, lane)) // window(error) for lane in range(8)]


def next_change(rule, error, clock):
    if rule == "article":
        return None
    firsts = enumerate(first_buckets(rule, error, clock))
    return min((first + 1) * window(error) + shift(error, lane) for lane, first in firsts)


def boundary(bucket):
    return bucket * 2654435761 % (2**32 - 1)


def quarter_round(state, a, b, c, d):
    for x, y, z, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        state[x] = (state[x] + state[y]) & MASK
        turned = state[z] ^ state[x]
        state[z] = (turned << bits | turned >> (32 - bits)) & MASK


def block(key, counter):
    state = list(struct.unpack("<4I", b"expand 32-byte k"))
    state += struct.unpack("<8I", key)
    state += [counter & MASK, counter >> 32, 0, 0]
    mixed = list(state)
    for _ in range(10):
        for column in range(4):
            quarter_round(mixed, column, column + 4, column + 8, column + 12)
        for column in range(4):
            quarter_round(
                mixed, column, 4 + (column + 1) % 4, 8 + (column + 2) % 4, 12 + (column + 3) % 4
            )
    return [(a + b) & MASK for a, b in zip(state, mixed)]


def words(key):
    counter = 0
    while True:
        yield from block(key, counter)
        counter += 1


def ports(rule, session, bucket):
    space = SPACES[rule]
    limit = 2**32 // len(space) * len(space)
    key = struct.pack("<I", boundary(bucket)) + bytes(4) + tag(session) + bytes(16)
    drawn = []
    for word in words(key):
        port = space[word % len(space)]
        if word < limit and port not in drawn:
            drawn.append(port)
        if len(drawn) == COUNTS[rule]:
            return drawn


def ports_in_use(error, clock, width):
    used = set()
    for lane, first in list(enumerate(first_buckets("rolling", error, clock)))[:width]:
        used |= {ports("rolling", "", bucket)[lane] for bucket in (first, first + 1)}
    return sorted(used)


def mt19937_ports(rule, bucket):
    generator = random.Random(boundary(bucket))
    drawn = []
    while len(drawn) < COUNTS[rule]:
        port = 30000 + generator.randint(0, 19999)
        if port not in drawn:
            drawn.append(port)
    return drawn


def frame(name, session, nonce, connection, port):
    kind = {"HELLO": 1, "COMMIT": 2, "ACK": 3}[name]
    content = bytes.fromhex(nonce)
    if name != "COMMIT":
        content += struct.pack(">I", connection)
    if name == "HELLO":
        content = tag(session) + content + struct.pack(">H", port)
    return b"PNCH" + bytes([1, kind]) + content


TAGS = ["", "a", "two words", "Grüße"]

E20 = 20 * SECOND

CLOCKS = [
    ("rolling", E20, 0),
    ("rolling", E20, 42 * SECOND - 1),
    ("rolling", E20, 42 * SECOND),
    ("rolling", E20, 47_250_000_000 - 1),
    ("rolling", E20, 47_250_000_000),
    ("rolling", E20, 78_750_000_000),
    ("rolling", E20, -1),
    ("rolling", E20, -42 * SECOND),
    ("rolling", E20, 1_700_000_000 * SECOND),
    ("rolling", E20, 1_795_000_000_123_456_789),
    ("rolling", 0, 3 * SECOND),
    ("rolling", 1_500_000_000, -7_300_000_000),
    ("rolling", 3, 1_750_000_003),
    ("article", E20, 0),
    ("article", E20, 20 * SECOND - 1),
    ("article", E20, 20 * SECOND),
    ("article", E20, 62 * SECOND),
    ("article", E20, -23 * SECOND),
    ("article", E20, 1_700_000_000 * SECOND),
    ("article", 0, 3 * SECOND),
]

PORTS_IN_USE = [
    (E20, 0, 8),
    (E20, 62 * SECOND, 8),
    (E20, 62 * SECOND, 3),
    (E20, 1_700_000_000 * SECOND, 8),
    (E20, 1_700_000_000 * SECOND, 1),
]

BUCKETS = [
    ("rolling", "", 0),
    ("rolling", "", 1),
    ("rolling", "", -1),
    ("rolling", "", 225),
    ("rolling", "", 226),
    ("rolling", "", 40476190),
    ("rolling", "", 40476191),
    ("rolling", "", 40476487),
    ("rolling", "", 40476489),
    ("rolling", "", 40478718),
    ("rolling", "", 40479075),
    ("rolling", "", -1_000_000_007),
    ("rolling", "", 2**32 - 1),
    ("rolling", "two words", 40476190),
    ("rolling", "Grüße", 40476190),
    ("rolling", "Grüße", -3),
    ("article", "", 0),
    ("article", "", -1),
    ("article", "", 40476190),
    ("article", "", 40476250),
    ("article", "", 40476251),
    ("article", "", 40479075),
    ("article", "two words", 40476190),
]

MT19937_BUCKETS = [
    ("article", 0),
    ("article", -1),
    ("article", 40476190),
    ("rolling", 40476190),
]

NONCE = "000102030405060708090a0b0c0d0e0f"

FRAMES = [
    ("HELLO", "", NONCE, 1, 26530),
    ("HELLO", "two words", NONCE, 4294967294, 2024),
    ("COMMIT", None, NONCE, None, None),
    ("ACK", None, NONCE, 1, None),
]


def row(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |")


def listed(numbers):
    return " ".join(str(number) for number in numbers)


def main():
    for session in TAGS:
        row(f'"{session}"', tag(session).hex())
    for rule, error, clock in CLOCKS:
        change = next_change(rule, error, clock)
        row(rule, error, clock, listed(first_buckets(rule, error, clock)), "—" if change is None else change)
    for error, clock, width in PORTS_IN_USE:
        row(error, clock, width, listed(ports_in_use(error, clock, width)))
    for rule, session, bucket in BUCKETS:
        row(rule, f'"{session}"', bucket, boundary(bucket), listed(ports(rule, session, bucket)))
    for rule, bucket in MT19937_BUCKETS:
        row(rule, bucket, boundary(bucket), listed(mt19937_ports(rule, bucket)))
    for name, session, nonce, connection, port in FRAMES:
        quoted = "—" if session is None else f'"{session}"'
        bytes_ = frame(name, session, nonce, connection, port).hex()
        dashed = ["—" if value is None else value for value in (connection, port)]
        row(name, quoted, nonce, *dashed, bytes_)


if __name__ == "__main__":
    main()

"""TCP connections through a NAT: simultaneous open, and the time-outs of their mappings."""

import time

from packets import ACK, FIN, SYN, TCP, Problem, encode
from router import CONTACTED, arrived

# Ages at which connections are probed: between whole seconds, the unit of the time-outs.
AGES_S = (0.5, 1.5, 2.5, 3.5)


class Connection:
    """TCP connection of an inside host. This program is both ends."""

    def __init__(self, router):
        self.router, self.port = router, None
        self.inside, self.outside = router.inside(), router.outside(CONTACTED, 1003)
        self.first = {"out": 100_000, "in": 500_000}
        self.next = dict(self.first)

    def segment(self, way, other, flags, data, ends):
        sequence = self.first[way] if flags & SYN else self.next[way]
        after = sequence + len(data) + (1 if flags & (SYN | FIN) else 0)
        self.next[way] = max(self.next[way], after)
        acknowledged = self.next[other] if flags & ACK else 0
        return encode(TCP, *ends, flags, sequence, acknowledged, data)

    def sends(self, flags, data=b""):
        """Sends a segment from the inside; returns whether it arrives outside."""
        packet = self.segment("out", "in", flags, data, (self.inside, self.outside))
        seen = self.router.send("a", packet)
        ports = [packet.source[1] for packet in self.router.sent(seen, TCP, self.outside)]
        if self.port is None and ports:
            self.port = ports[0]
        return ports == [self.port]

    def gets(self, flags, data=b""):
        """Sends a segment from the outside; returns whether it arrives inside."""
        ends = self.outside, (self.router.wan, self.port)
        seen = self.router.send("wan", self.segment("in", "out", flags, data, ends))
        return arrived(seen, TCP, self.outside, self.inside, flags)

    def stands(self):
        """Whether bytes go both ways."""
        return self.sends(ACK, b"there") and self.gets(ACK, b"and back")


def simultaneous_open(router):
    """RFC 5382 REQ-2, RFC 9293 figure 7: the whole handshake, and bytes both ways."""
    connection = opening(router)
    if not connection.gets(SYN):
        return False
    if connection.sends(SYN | ACK) and connection.gets(SYN | ACK) and connection.stands():
        return True
    raise Problem("the SYN of a simultaneous open comes in, but no connection comes of it")


def opening(router):
    connection = Connection(router)
    if not connection.sends(SYN):
        raise Problem("a SYN from inside does not come out")
    return connection


def established(router):
    connection = opening(router)
    if not (connection.gets(SYN | ACK) and connection.sends(ACK) and connection.stands()):
        raise Problem("no connection can be made")
    return connection


def closed(router):
    connection = established(router)
    if not (connection.sends(FIN | ACK) and connection.gets(FIN | ACK) and connection.sends(ACK)):
        raise Problem("a connection cannot be closed")
    return connection


# For each time-out: how a connection gets into the state, and a segment that passes while the
# mapping exists.
STATES = {
    "syn_timeout_s": (opening, SYN | ACK, b""),
    "established_timeout_s": (established, ACK, b"more"),
    "close_timeout_s": (closed, ACK, b""),
}


def timeouts(router):
    """RFC 5382 REQ-5. In whole seconds; None for a time-out beyond the last probe."""
    # By state: ages at which a connection was surely remembered, and surely forgotten.
    ages = {name: ([], []) for name in STATES}
    for _ in range(4):
        watch_connections(router, ages)
        fitting = {name: whole_seconds(*ages[name]) for name in STATES}
        # On a busy machine a probe may be too late to tell the second.
        if all(len(seconds) == 1 for seconds in fitting.values()):
            return {name: seconds[0] for name, seconds in fitting.items()}
    raise Problem(f"time-outs are no whole seconds, or this machine is too busy: {ages}")


def watch_connections(router, ages):
    begun = time.monotonic()
    connections = []
    for age in AGES_S:
        for name, (prepare, *_) in STATES.items():
            before = time.monotonic()
            connections.append((age, name, prepare(router), before, time.monotonic()))
    for age, name, connection, before, after in connections:
        # Time has to pass; there is no packet to wait for.
        time.sleep(max(0, begun + age - time.monotonic()))
        _, flags, data = STATES[name]
        remembered, forgotten = ages[name]
        least = time.monotonic() - after
        if connection.gets(flags, data):
            remembered.append(least)
        else:
            forgotten.append(time.monotonic() - before)


def whole_seconds(remembered, forgotten):
    """Time-outs that agree with all ages."""
    if not forgotten:
        return [None]
    longer_than, at_most = max(remembered, default=0), min(forgotten)
    return [second for second in range(1, 10) if longer_than < second <= at_most]

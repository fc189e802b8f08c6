"""Classifies NATs by what they do to packets: `main.py FILE`.

Each line of FILE is a JSON object: the name of a NAT as `nat`, the `program` with `arguments` and
`stdin` that makes a router a NAT, `sysctls`, `wan_interface`, `wan_address` and
`lan_interface_prefix`. The classification of each NAT is a line on standard output, in the terms of
RFC 4787 and RFC 5382. The description of the NAT is not an input.
"""

import json
import os
import random
import struct
import sys
import traceback
from collections import Counter

from connections import simultaneous_open, timeouts
from packets import ACK, RST, SYN, TCP, UDP, Problem, encode
from router import ANOTHER, BUSY, CONTACTED, INSIDE, Router, arrived

TRANSPORTS = {"tcp": TCP, "udp": UDP}

# Port without a mapping: no NAT here maps a port above 1023 to one below.
UNMAPPED = 700

# RFC 792 and RFC 1812: type and code of the ICMP errors of firewalls.
ICMP_ERRORS = {(3, 1): "icmp-host", (3, 3): "icmp-port", (3, 13): "icmp-admin"}

# Ports of an inside host for many mappings.
MANY_PORTS = range(30000, 39000)
MANY = 600

# Largest distance between the lowest and the highest port of a block.
MAX_BLOCK = 4096


def mapping(router, protocol):
    """RFC 4787 section 4.1."""
    outside = [(CONTACTED, 1001), (CONTACTED, 1002), (ANOTHER, 1001)]
    samples = []
    # Several samples, because two random ports may be equal by chance.
    for _ in range(4):
        inside = router.inside()
        samples.append([router.map(protocol, inside, router.outside(*end)) for end in outside])
    if all(len(set(ports)) == 1 for ports in samples):
        return "endpoint-independent"
    if all(ports[0] == ports[1] for ports in samples):
        return "address-dependent"
    return "address-and-port-dependent"


def filtering(router, protocol):
    """RFC 4787 section 5. Each sender is tried on a mapping of its own."""

    def passes(sender, flags=SYN):
        inside, contacted = router.inside(), router.outside(CONTACTED, 1001)
        port = router.map(protocol, inside, contacted)
        return router.lets_in(protocol, sender, port, inside, flags)

    if not passes(router.outside(CONTACTED, 1001), SYN | ACK):
        raise Problem("an answer does not come in")
    other_port = passes(router.outside(CONTACTED, 1002))
    stranger = passes(router.stranger())
    classes = {
        (True, True): "endpoint-independent",
        (True, False): "address-dependent",
        (False, False): "address-and-port-dependent",
    }
    if (other_port, stranger) not in classes:
        raise Problem("a stranger comes in, another port of a contacted host does not")
    return classes[other_port, stranger]


def allocation(router, protocol):
    """RFC 4787 section 4.2. To be called last: one destination uses up the ports."""
    busy = router.outside(BUSY, 1001)
    many = random.Random(1).sample(MANY_PORTS, MANY)
    pairs = []
    # In groups that fit the queue of a TUN device.
    for some in (many[at : at + 100] for at in range(0, MANY, 100)):
        seen = router.send("a", *(tagged(protocol, (INSIDE["a"], port), busy) for port in some))
        sent = router.sent(seen, protocol, busy)
        pairs += [(tag(packet), packet.source[1]) for packet in sent]
    if len(pairs) < 2:
        raise Problem("many flows to one destination do not come out")
    deltas = Counter(outside - inside for inside, outside in pairs)
    delta, count = deltas.most_common(1)[0]
    outside = [port for _, port in pairs]
    steps = [after - before for before, after in zip(outside, outside[1:])]
    # Earlier mappings may occupy one of these ports by chance, but not more than 1 %.
    if count >= 0.99 * len(pairs):
        if delta == 0:
            return {"allocation": overloading(router, protocol)}
        return {"allocation": "fixed-delta", "delta": delta}
    # A NAT that reaches its last port starts again, once.
    if sum(step != 1 for step in steps) <= 1:
        return {"allocation": "sequential"}
    if max(outside) - min(outside) < MAX_BLOCK:
        return {"allocation": "block", "block": [min(outside), max(outside)]}
    return {"allocation": "random"}


def tagged(protocol, inside, outside):
    """First packet of a flow, with the inside port in the packet itself."""
    data = b"" if protocol == TCP else struct.pack("!H", inside[1])
    return encode(protocol, inside, outside, SYN, sequence=inside[1], data=data)


def tag(packet):
    return packet.sequence if packet.protocol == TCP else struct.unpack("!H", packet.data)[0]


def overloading(router, protocol):
    """Whether two inside hosts get the same port towards different destinations."""
    first = router.inside("a")
    second = INSIDE["b"], first[1]
    port = router.map(protocol, first, router.outside(CONTACTED, 1001))
    other = router.map(protocol, second, router.outside(ANOTHER, 1001))
    return "preserving-overloading" if port == other else "preserving"


def hairpin(router, protocol, endpoint_independent):
    """RFC 4787 section 6: the source that an inside host sees through a hairpin."""
    caller, called = router.inside("a"), router.inside("b")
    contacted = router.outside(CONTACTED, 1001)
    own, port = (router.map(protocol, end, contacted) for end in (caller, called))
    outside = router.wan, port
    seen = router.send("a", encode(protocol, caller, outside, SYN))
    got = [packet for where, packet in seen if where == "b" and packet.target == called]
    if not got:
        return "none"
    source = got[0].source
    seen = router.send("b", encode(protocol, called, source, SYN | ACK))
    if not arrived(seen, protocol, outside, caller, SYN | ACK):
        raise Problem("what goes through a hairpin is not answered")
    if source == caller:
        return "internal"
    if source[0] == router.wan and (source[1] == own or not endpoint_independent):
        return "external"
    raise Problem(f"{caller}, {own} on the WAN, is seen as {source} through a hairpin")


def answers(router, protocol, count=1):
    """Answers to the packets of a stranger to a port without a mapping."""
    sender, target = router.stranger(), (router.wan, UNMAPPED)
    packets = [encode(protocol, sender, target, SYN, sequence=number) for number in range(count)]
    kinds = []
    for where, packet in router.send("wan", *packets):
        if where != "wan" or packet.target[0] != sender[0]:
            raise Problem(f"an unsolicited packet brought about {packet} at {where}")
        # RFC 9293 section 3.10.7.1: the sequence number is 0, as the SYN acknowledged nothing.
        refused = (TCP, target, sender, RST | ACK, 0)
        quotes = packet.about is not None and packet.about[:3] == (protocol, sender, target)
        if quotes and packet.detail in ICMP_ERRORS:
            kinds.append(ICMP_ERRORS[packet.detail])
        elif packet[:5] == refused and 0 < packet.acknowledged <= count:
            kinds.append("reset")
        else:
            raise Problem(f"an unsolicited packet is answered with {packet}")
    return kinds


def unsolicited(router):
    """RFC 5382 REQ-4. A router that answers TCP and UDP like a host has no firewall in front."""
    syn, datagram = (answers(router, protocol) for protocol in (TCP, UDP))
    kind = syn[0] if syn else "drop"
    if datagram and (kind, datagram) != ("reset", ["icmp-port"]):
        raise Problem(f"an unsolicited SYN is answered with {syn}, a datagram with {datagram}")
    result = {"unsolicited": "open" if datagram else kind}
    if datagram or kind.startswith("icmp"):
        # Linux sends six at once.
        burst = answers(router, UDP if datagram else TCP, count=12)
        result["icmp_limit"] = len(burst) < 12
    return result


def classify(rules):
    router = Router(rules)
    result = {"nat": rules["nat"], **unsolicited(router)}
    result["simultaneous_open"] = simultaneous_open(router)
    for name, protocol in TRANSPORTS.items():
        mapped = mapping(router, protocol)
        result[name] = {
            "mapping": mapped,
            "filtering": filtering(router, protocol),
            "hairpin": hairpin(router, protocol, mapped == "endpoint-independent"),
        }
    result.update(timeouts(router))
    for name, protocol in TRANSPORTS.items():
        result[name].update(allocation(router, protocol))
    return result


def in_a_process(rules):
    """Classifies a NAT in a process, and so in a namespace, of its own."""
    process = os.fork()
    if process != 0:
        return process
    code = 1
    try:
        # One write, because several processes share the standard output.
        os.write(1, (json.dumps(classify(rules)) + "\n").encode())
        code = 0
    except (Problem, OSError) as problem:
        os.write(2, f"{rules['nat']}: {problem}\n".encode())
    except Exception:  # A bug of this program: the child must not go on as a second parent.
        traceback.print_exc()
    finally:
        os._exit(code)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        processes = [in_a_process(json.loads(line)) for line in file]
    codes = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]
    sys.exit(1 if any(codes) else 0)


main()

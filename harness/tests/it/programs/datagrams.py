"""Sends numbered datagrams to a host, evenly, then waits for the last to arrive."""

import socket
import sys
import time

host, count = sys.argv[1], int(sys.argv[2])
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range(count):
    sender.sendto(b"%d" % number, (host, 7000))
    time.sleep(0.001)
time.sleep(0.3)

"""Sends numbered datagrams to a host with a pause after each, then waits for the last one."""

import socket
import sys
import time

host, count, pause_s = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range(count):
    sender.sendto(b"%d" % number, (host, 7000))
    if pause_s > 0:
        time.sleep(pause_s)
time.sleep(0.3)

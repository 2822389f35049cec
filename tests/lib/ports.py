# SPDX-License-Identifier: Apache-2.0
"""Ports of 127.0.0.1 for programs that are told theirs."""
import random
import socket

given = set()


def free_port():
    """Of TCP and UDP both; another each time. Below those that the system gives to who does not ask for one: it
    stays free, also while the program there is away."""
    while True:
        port = random.randrange(16384, 32768)
        try:
            with socket.create_server(('127.0.0.1', port)), socket.socket(type=socket.SOCK_DGRAM) as datagrams:
                datagrams.bind(('127.0.0.1', port))
        except OSError:
            continue
        if port not in given:
            given.add(port)
            return port

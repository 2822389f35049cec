#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The benches' own tools: a relay that delays and loses what it is told to, and nothing else; and
the bare sockets, which give all bytes."""

import json
import socket
import subprocess
import sys
import time

SENT, DELAY = 400, 0.02


def check(what, good):
    print(f'{"ok" if good else "not ok"} - {what}', flush=True)
    return good


def through_relay(relay, loss):
    """(datagrams that came, the least delay in seconds, what the relay told at its end)"""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as near, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        far.bind(('127.0.0.1', 0))
        near.settimeout(60)
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
        probe.close()
        with subprocess.Popen([relay, str(port), str(far.getsockname()[1]), str(DELAY * 1000),
                               str(loss)], stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout.readline() == 'ready\n'
                came, least = 0, 1e9
                for n in range(SENT):
                    start = time.monotonic()
                    near.sendto(n.to_bytes(4, 'big'), ('127.0.0.1', port))
                    if n % 40 != 39:
                        continue
                    far.settimeout(2 if loss else 60)  # what is lost is waited for in vain
                    try:
                        for _ in range(40):
                            data, back = far.recvfrom(2048)
                            least = min(least, time.monotonic() - start) if data[3] == n % 256 \
                                else least
                            came += 1
                    except socket.timeout:
                        pass
                if loss == 0:
                    far.sendto(b'back', back)
                    assert near.recv(2048) == b'back'
            finally:
                process.terminate()
                told = json.loads(process.stdout.read())
        return came, least, told


def main():
    relay, bare = sys.argv[1:]
    came, least, told = through_relay(relay, 0)
    good = check('all comes without loss', came == SENT and told['lost'] == 0)
    good &= check('nothing comes before its delay', least >= DELAY)
    came, _, told = through_relay(relay, 10)
    good &= check('a tenth or so is lost, and told', came + told['lost'] == SENT and
                  SENT / 40 < told['lost'] < SENT / 5)
    result = subprocess.run([bare, '5'], stdout=subprocess.PIPE, check=False)
    good &= check('bare sockets give all', result.returncode == 0 and
                  json.loads(result.stdout)['bytes'] >= 5000000)
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The benches' own tools: a relay that delays and loses what it is told to, and nothing else; the
bare sockets, which give all bytes; viewers who notice each byte that is wrong; a table's figures."""

import http.server
import json
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time

import mediaservers

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


def taken(screens, film, given):
    """What two viewers tell who take given, and compare it with film."""
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header('Content-Length', str(len(given)))
            self.end_headers()
            self.wfile.write(given)

        def log_message(self, *_):
            pass
    with tempfile.NamedTemporaryFile() as file, http.server.ThreadingHTTPServer(('127.0.0.1', 0), Answer) as server:
        file.write(film)
        file.flush()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        told = subprocess.run([screens, 'take', file.name, str(server.server_port), '/film', '2', '127.0.0.1'],
                              stdout=subprocess.PIPE, check=True).stdout
        server.shutdown()
    return json.loads(told)


def viewers(screens):
    film = random.Random(7574).randbytes(188 * 3000)
    at = 188 * 2000 + 5
    whole, short = taken(screens, film, film), taken(screens, film, film[:-188])
    spoilt = taken(screens, film, film[:at] + bytes([film[at] ^ 1]) + film[at + 1:])
    return (check('a film that is taken whole', whole['wrong'] == 0 and whole['bytes'] == 2 * len(film)) &
            check('a wrong byte, and an end too early', spoilt['wrong'] == 2 and short['wrong'] == 2))


def tables():
    """Medians and ratios of the same round, who never came back, and where we are not the best."""
    names = ['ours', 'theirs']
    rounds = {what: {'ours': [2.0, 1.0, 1.0], 'theirs': [4.0, 1.0, 5.0]} for what in mediaservers.FIGURES}
    rounds['1 viewer, rate'] = {'ours': [1.0, 2.0, 3.0], 'theirs': [2.0, 2.5, 30.0]}
    rounds['10 viewers, rate'] = {'ours': [1.0, 2.0, 3.0], 'theirs': [2.0, 1.5, 1.0]}
    rounds['memory, idle'] = {'ours': [9.0, 8.0, 7.0], 'theirs': [5.0, 6.0, 7.5]}
    rounds['link down and up, until seen'] = {'ours': [1.0, 1.0, 1.0], 'theirs': [None, 0.5, None]}
    rows = [[cell.strip() for cell in line.strip('|').split('|')]
            for line in mediaservers.table(rounds, names).splitlines()]
    cells = {row[0]: row[1:] for row in rows}
    return (check('a table has its medians and its ratios', rows[0] == ['', 'ours', 'theirs', 'ours to theirs'] and
                  len(rows) == 2 + len(mediaservers.FIGURES) and
                  cells['fastest Browse, 10 films, ms'] == ['1.00', '4.00', '0.50'] and
                  cells['1 viewer, rate, Gbit/s'] == ['2.00', '2.50', '0.50']) &
            check('who did not come back has no figure',
                  cells['link down and up, until seen, s'] == ['1.00', 'never', '']) &
            check('where another leads is told', mediaservers.behind(rounds, names) == [
                ('memory, idle', 'theirs'), ('1 viewer, rate', 'theirs')]))


def main():
    relay, bare, screens = sys.argv[1:]
    came, least, told = through_relay(relay, 0)
    good = check('all comes without loss', came == SENT and told['lost'] == 0)
    good &= check('nothing comes before its delay', least >= DELAY)
    came, _, told = through_relay(relay, 10)
    good &= check('a tenth or so is lost, and told', came + told['lost'] == SENT and
                  SENT / 40 < told['lost'] < SENT / 5)
    result = subprocess.run([bare, '5'], stdout=subprocess.PIPE, check=False)
    good &= check('bare sockets give all', result.returncode == 0 and
                  json.loads(result.stdout)['bytes'] >= 5000000)
    good &= viewers(screens)
    good &= tables()
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())

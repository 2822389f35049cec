#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""REGISTER with digest: our tracker beside Debian's kamailio, in turn, with SIPp as the client of both.
A registration is two requests: one that is answered with 401, and one with credentials and 200.

What counts is CPU time of the server's processes for each registration, since SIPp may be slower than both.
kamailio keeps contacts in memory and knows one password; it runs with one worker, and with its default of eight."""

import argparse
import csv
import hashlib
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from common import world

SCENARIO = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'register.xml')
PATIENCE = 300  # s: ends what hangs, and decides nothing else
PASSWORD = 'right'
PEERS_PER_ACCOUNT = 200  # as many as a tracker lets one have, and some to spare
KAMAILIO = '''
fork=yes
log_stderror=yes
debug=0
disable_tcp=yes
auto_aliases=no
children={children}
listen=udp:127.0.0.1:{port}
mpath="{modules}"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "auth.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
modparam("usrloc", "db_mode", 0)
request_route {{
  if (method != "REGISTER") {{
    sl_send_reply("405", "Method Not Allowed");
    exit;
  }}
  if (!pv_www_authenticate("ppsp", "{password}", "0")) {{
    www_challenge("ppsp", "0");
    exit;
  }}
  if (!save("location"))
    sl_reply_error();
}}
'''


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)
    os.chmod(path, 0o600)
    return path


def free_port():
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def cpu(pid):
    """Seconds of a process and its children, who are its workers."""
    with open(f'/proc/{pid}/stat', encoding='utf-8') as file:
        fields = file.read().rsplit(')', 1)[1].split()
    with open(f'/proc/{pid}/task/{pid}/children', encoding='utf-8') as file:
        children = file.read().split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK') + sum(map(cpu, children))


def answers(port):
    """Does something answer there?"""
    request = (f'OPTIONS sip:127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1;rport\r\n'
               'Max-Forwards: 1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n'
               'Content-Length: 0\r\n\r\n')
    with socket.socket(type=socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.2)
        try:
            asking.connect(('127.0.0.1', port))
            asking.send(request.encode())
            return asking.recv(4096).startswith(b'SIP/2.0')
        except OSError:
            return False


class Server:
    def __init__(self, folder, words, port):
        self.port = port
        self.log = open(os.path.join(folder, f'log-{port}'), 'wb')  # pylint: disable=consider-using-with
        self.process = subprocess.Popen(words, stdout=self.log, stderr=self.log)
        end = time.monotonic() + PATIENCE
        while not answers(port):
            if self.process.poll() is not None or time.monotonic() > end:
                with open(self.log.name, encoding='utf-8', errors='replace') as file:
                    sys.exit(f'{words[0]} does not serve:\n{file.read()[-2000:]}')

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE)
        self.log.close()


def ours(folder, accounts):
    lines = (f'{user}:ppsp:' + hashlib.md5(f'{user}:ppsp:{PASSWORD}'.encode()).hexdigest() for user in accounts)
    port = free_port()
    return Server(folder, [os.path.join(world.BUILD, 'peer/trackerd/ppsp-tracker'), '--listen', '127.0.0.1:0',
                           '--management', '127.0.0.1:0', '--sip', f'127.0.0.1:{port}',
                           '--users', write(folder, 'users', '\n'.join(lines) + '\n')], port)


def kamailio(folder, program, children):
    listing = subprocess.run(['dpkg', '-L', 'kamailio'], stdout=subprocess.PIPE, text=True, check=False).stdout
    modules = re.search(r'^(\S+/kamailio/modules)$', listing, re.M)
    port = free_port()
    config = KAMAILIO.format(children=children, port=port, password=PASSWORD,
                             modules=modules.group(1) if modules else '/usr/lib/kamailio/modules')
    return Server(folder, [program, '-DD', '-E', '-Y', folder, '-w', folder, '-f',
                           write(folder, f'kamailio-{children}.cfg', config)], port)


def register(folder, server, options):
    """(CPU seconds of the server for each registration, registrations a second, messages sent again)"""
    told = os.path.join(folder, 'told.csv')
    before, start = cpu(server.process.pid), time.monotonic()
    done = subprocess.run(
        ['sipp', f'127.0.0.1:{server.port}', '-sf', SCENARIO, '-inf', os.path.join(folder, 'peers.csv'),
         '-i', '127.0.0.1', '-m', str(options.registrations), '-l', str(options.at_once), '-r', '100000',
         '-nostdin', '-trace_stat', '-stf', told, '-timeout', str(PATIENCE), '-timeout_error'], cwd=folder, capture_output=True, text=True, check=False)
    took, used = time.monotonic() - start, cpu(server.process.pid) - before
    if done.returncode != 0:
        sys.exit(f'sipp has failed ({done.returncode}):\n{done.stdout[-2000:]}{done.stderr[-1000:]}')
    with open(told, encoding='utf-8') as file:
        last = list(csv.DictReader(file, delimiter=';'))[-1]
    good, again = int(last['SuccessfulCall(C)']), int(last['Retransmissions(C)'])
    os.unlink(told)
    if good != options.registrations:
        sys.exit(f'{good} of {options.registrations} were registered')
    return used / good, good / took, again


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--peers', type=int, default=10000, help='that register again and again (10000)')
    parser.add_argument('--registrations', type=int, default=20000, help='of each round (20000)')
    parser.add_argument('--at-once', type=int, default=50, help='under way (50)')
    parser.add_argument('--rounds', type=int, default=5, help='(5)')
    options = parser.parse_args()
    program = shutil.which('kamailio', path=os.environ['PATH'] + ':/usr/sbin')
    if program is None or shutil.which('sipp') is None:
        print('skipped: kamailio or sipp is not there')
        return world.SKIPPED
    accounts = [f'user{i}' for i in range(-(-options.peers // PEERS_PER_ACCOUNT))]
    with tempfile.TemporaryDirectory(prefix='ppsp-bench-') as folder:
        write(folder, 'peers.csv', 'SEQUENTIAL\n' + ''.join(
            f'peer{i};[authentication username={accounts[i // PEERS_PER_ACCOUNT]} password={PASSWORD}]\n' for i in range(options.peers)))
        servers = {'ours, one thread': ours(folder, accounts), 'kamailio, 1 worker': kamailio(folder, program, 1),
                   'kamailio, 8 workers': kamailio(folder, program, 8)}
        rounds = {name: [] for name in servers}
        try:
            for server in servers.values():  # so that all peers are there
                register(folder, server, argparse.Namespace(**{**vars(options), 'registrations': options.peers}))
            for _ in range(options.rounds):
                for name, server in servers.items():
                    rounds[name].append(register(folder, server, options))
        finally:
            for server in servers.values():
                server.close()
    mine = [row[0] for row in rounds['ours, one thread']]
    for name, rows in rounds.items():
        ratios = sorted(row[0] / own for row, own in zip(rows, mine))
        print(f'{name:20} {1e6 * statistics.median(row[0] for row in rows):6.1f} us of CPU a registration, '
              f'{statistics.median(row[1] for row in rows):6.0f} a second with SIPp beside it, '
              f'{sum(row[2] for row in rows)} sent again; our rate on one core is {statistics.median(ratios):.2f} of it '
              f'({ratios[0]:.2f} to {ratios[-1]:.2f})')
    return 0


if __name__ == '__main__':
    sys.exit(main())

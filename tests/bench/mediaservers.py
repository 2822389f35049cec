#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Our MediaServer beside Debian's minidlna and Rygel, each alone on the same gateway, in turn, with the
same films: found, browsed, streamed from, its cable pulled, attacked. Each figure is the median of
the rounds behind a warm-up; a ratio is of figures of the same round. Prints a Markdown table.

The film that is streamed comes out of our gateway's cache, where the warm-up has put it; of the others
the gateway has links. Rygel has its media engine "simple", which is the faster of its two."""

import argparse
import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.parse

import common
import control_point
import media
from common import world
from throughput import cpu_seconds
from world import LAN, wait_until

TOOL = os.path.join(world.BUILD, 'tests', 'bench', 'screens')
OURS, LARGE, N_FILMS, NEVER = 'ours', 'large.ts', 1000, 30.0  # s of a pulled cable, after which nobody waits on
FIGURES = {  # what: (unit, digits, does more of it lead?)
    'fastest Browse, 10 films': ('ms', 2, False),
    'fastest Browse, 1,000 films': ('ms', 1, False),
    'Browse, 10 films, CPU time': ('ms', 2, False),
    'Browse, 1,000 films, CPU time': ('ms', 1, False),
    'memory, idle': ('MB', 1, False),
    'memory, after Browse': ('MB', 1, False),
    'from start to seen': ('s', 2, False),
    '1 viewer, rate': ('Gbit/s', 2, True),
    '1 viewer, of a core for each Gbit/s': ('%', 1, False),
    '10 viewers, rate': ('Gbit/s', 2, True),
    '10 viewers, of a core for each Gbit/s': ('%', 1, False),
    'link down and up, until seen': ('s', 2, False),
    'link down and up, until byte 1': ('s', 2, False),
    'most memory, 10 viewers that stall': ('MB', 1, False),
    'most memory, attacked': ('MB', 1, False),
    'memory, after the attacks': ('MB', 1, False),
}
MINIDLNA = '''media_dir=V,{films}
db_dir={state}
log_dir={state}
network_interface=lan0
port={port}
friendly_name={name}
inotify=no
'''
RYGEL = '''[general]
interface=lan0
port={port}
media-engine=librygel-media-engine-simple.so
enable-transcoding=false
log-level=*:1
[MediaExport]
enabled=true
title={name}
uris={films}
extract-metadata=false
monitor-changes=false
[MPRIS]
enabled=false
[External]
enabled=false
'''


# --- what is told

def table(rounds, names):
    """Markdown. rounds: {what: {name: [figure of each round; None = never]}}; the first name is ours."""
    def median(values):
        return None if None in values or not values else statistics.median(values)

    def ratio(mine, theirs):
        return median([None if None in pair or not pair[1] else pair[0] / pair[1] for pair in zip(mine, theirs)])
    lines = ['| | ' + ' | '.join([*names, *(f'ours to {name}' for name in names[1:])]) + ' |',
             '|---' * (2 * len(names)) + '|']
    for what, (unit, digits, _) in FIGURES.items():
        mine = rounds[what][names[0]]
        cells = [median(rounds[what][name]) for name in names]
        cells = ['never' if cell is None else f'{cell:.{digits}f}' for cell in cells]
        ratios = [ratio(mine, rounds[what][name]) for name in names[1:]]
        cells += ['' if cell is None else f'{cell:.2f}' for cell in ratios]
        lines.append(f'| {what}, {unit} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def behind(rounds, names):
    """(what, who) where another's median is better than ours."""
    out = []
    for what, (_, _, more) in FIGURES.items():
        sign = -1 if more else 1
        medians = {name: statistics.median(float('inf') if value is None else sign * value
                                           for value in values) for name, values in rounds[what].items() if values}
        out += [(what, name) for name in names[1:] if name in medians and medians[name] < medians[names[0]]]
    return out


# --- who is measured

class Contestant:
    def __init__(self, here, name, port):
        self.here, self.name, self.port = here, name, port
        self.state = os.path.join(here.folder, 'rival-' + name)
        os.makedirs(self.state)
        self.shown = self.film = self.process = None

    def config(self, name, text, films):
        path = os.path.join(self.state, name)
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text.format(films=films, state=self.state, port=self.port, name=self.name))
        return path

    def start(self):
        raise NotImplementedError

    def look(self, seconds=world.PATIENCE):
        end, server = time.monotonic() + seconds, None
        with self.here.at('tv'):
            # Who is asked too early is not asked again in the same search.
            while server is None and time.monotonic() < end:
                server = control_point.find('lan0', self.name, min(5, end - time.monotonic()), self.port)
        return server

    def stop(self):
        self.process.stop()

    def cpu(self):
        """Seconds of it and of its children, also of those that have gone."""
        def of(pid):
            with open(f'/proc/{pid}/stat', encoding='ascii') as file:
                fields = file.read().rsplit(')', 1)[1].split()
            with open(f'/proc/{pid}/task/{pid}/children', encoding='ascii') as file:
                children = file.read().split()
            gone = (int(fields[13]) + int(fields[14])) / os.sysconf('SC_CLK_TCK')
            return gone + cpu_seconds(pid) + sum(map(of, children))
        return of(self.process.pid)

    def memory(self, field='VmRSS'):
        return self.process.status(field) / 1024


class Ours(Contestant):
    def __init__(self, here, films):
        super().__init__(here, OURS, 8575)
        here.origin('--file', f'large=large,{os.path.join(films, LARGE)}')
        lines = ['#EXTM3U']
        for n, name in enumerate(sorted(os.listdir(films))):
            if name != LARGE:
                size = os.path.getsize(os.path.join(films, name))
                lines += [f'#EXTINF:-1,{name[:-3]}', f'ppsp:{n:064x}?cl={size}&ty=video%2Fmp2t']
        self.list = os.path.join(self.state, 'list.m3u')
        with open(self.list, 'w', encoding='ascii') as file:
            file.write('\n'.join(lines) + '\n')

    def start(self):
        self.process = self.here.gateway('--name', self.name, '--cache', str(2 << 30), '--channels',
                                         'file://' + self.list, wait=False)


class Minidlna(Contestant):
    def __init__(self, here, films):
        super().__init__(here, 'minidlna', 8200)
        self.path = self.config('minidlna.conf', MINIDLNA, films)

    def start(self):
        self.process = self.here.run(self.name, [shutil.which('minidlnad', path='/usr/sbin:/usr/bin'), '-S', '-f',
                                                 self.path, '-P', os.path.join(self.state, 'pid')], 'gw')


class Rygel(Contestant):
    def __init__(self, here, films):
        super().__init__(here, 'Rygel', 8300)
        self.config('rygel.conf', RYGEL, films)
        bus = 'unix:path=' + os.path.join(self.state, 'bus')
        self.env = {'DBUS_SESSION_BUS_ADDRESS': bus, 'HOME': self.state, 'XDG_RUNTIME_DIR': self.state,
                    'XDG_CACHE_HOME': self.state, 'XDG_CONFIG_HOME': self.state}
        here.run('bus', ['dbus-daemon', '--session', '--nofork', '--nopidfile', '--address=' + bus], 'gw')

    def start(self):
        self.process = self.here.run(self.name, ['rygel'], 'gw', env=self.env)


def make_films(here, megabytes):
    """A folder of a thousand films of a second, each another, and a large one."""
    folder = os.path.join(here.folder, 'films')
    os.makedirs(folder)
    small, large = os.path.join(here.folder, 'small.ts'), os.path.join(here.folder, 'large.ts')
    media.make_film(small, 1, 300_000)
    media.make_film(large, 10, 80_000_000)
    with open(small, 'rb') as file:
        small = file.read()
    with open(large, 'rb') as file:
        large = file.read()
    for n in range(N_FILMS - 1):
        with open(os.path.join(folder, f'film-{n:04}.ts'), 'wb') as file:
            file.write(small + b'\x47\x1f\xff\x10' + n.to_bytes(2, 'big') * 92)  # a packet of stuffing
    path = os.path.join(folder, LARGE)
    with open(path, 'wb') as file:
        while file.tell() < megabytes << 20:
            file.write(large)
    return folder, path


def folder_of_all(server):
    """Where all films are: (its id, [item])"""
    waiting, seen = ['0'], set()
    while waiting:
        one = waiting.pop(0)
        elements, _, total = server.browse(one, count=50)
        containers = [e.get('id') for e in elements if e.tag == f'{control_point.DIDL}container']
        if not containers and total >= N_FILMS:
            return one, server.items(one, 0)
        waiting += [c for c in containers if c not in seen]
        seen.update(containers)
    return None, []


def prepare(contestant, film, settle):
    """The first start, in which it learns of its films."""
    contestant.start()

    def complete():
        server = contestant.look()
        if server is None:
            return False
        with contestant.here.at('tv'), contextlib.suppress(OSError, control_point.Refused):
            contestant.shown, items = folder_of_all(server)
            large = [item['url'] for item in items if int(item['size'] or 0) == os.path.getsize(film)]
            if large:
                contestant.film = urllib.parse.urlsplit(large[0])
            return len(items) >= N_FILMS and large
        return False
    took = wait_until(f'{contestant.name} has {N_FILMS} films', 600, complete, every=2)
    print(f'{contestant.name} has its films after {took:.0f} s', flush=True)
    time.sleep(settle)  # minidlna ends its work behind that, or begins anew
    contestant.stop()


# --- what is measured

def browse(contestant, server, count, times):
    """(ms of the fastest, since what others do on the machine only adds to it; ms of its CPU time for one)"""
    took, cpu = [], contestant.cpu()
    with contestant.here.at('tv'):
        for _ in range(times):
            start = time.monotonic()
            answer = server.ask(control_point.DIRECTORY, 'Browse', ObjectID=contestant.shown,
                                BrowseFlag='BrowseDirectChildren', Filter='*', StartingIndex=0,
                                RequestedCount=count, SortCriteria='')
            took.append(time.monotonic() - start)
            assert f'<NumberReturned>{count}<'.encode() in answer, answer[-300:]
    return 1000 * min(took), 1000 * (contestant.cpu() - cpu) / times


def stream(contestant, film, viewers, times):
    """(Gbit/s, % of a core for each of them); each byte is compared."""
    here, gbit, seconds, cpu = contestant.here, 0, 0, contestant.cpu()
    for _ in range(times):
        process = here.run('viewers', [TOOL, 'take', film, str(contestant.film.port), contestant.film.path,
                                       str(viewers), LAN['gw']], 'tv', stdout=subprocess.PIPE)
        line = process.child.stdout.read()
        assert process.wait(300) == 0, process.output()
        told = json.loads(line)
        assert told['wrong'] == 0, f'{contestant.name}: {told}'
        gbit += told['bytes'] * 8 / 1e9
        seconds += told['seconds']
    return gbit / seconds, 100 * (contestant.cpu() - cpu) / gbit


def first_byte(here, url):
    try:
        return here.status('tv', url, headers={'Range': 'bytes=0-0'}, timeout=1)[0] == 206
    except OSError:
        return False


def flap(contestant):
    """Seconds from the link's return (until seen, until byte 1)."""
    here, out = contestant.here, []
    here.ip('-n', here.names['gw'], 'link', 'set', 'lan0', 'down')
    time.sleep(2)
    here.ip('-n', here.names['gw'], 'link', 'set', 'lan0', 'up')
    start = time.monotonic()
    # The route to the Internet is no matter here: each has the film on its own disk.
    for there in (lambda: first_byte(here, contestant.film.geturl()), lambda: contestant.look(1.5)):
        found = None
        while found is None and time.monotonic() - start < NEVER:
            found = time.monotonic() - start if there() else None
        out.insert(0, found)
    return out


def stall(contestant, viewers):
    """The most memory while so many have asked for the film and read no more; others must be served."""
    here, sockets = contestant.here, []
    with here.at('tv'), contextlib.ExitStack() as stack:
        for _ in range(viewers):
            one = stack.enter_context(socket.create_connection((LAN['gw'], contestant.film.port), timeout=10))
            one.sendall(f'GET {contestant.film.path} HTTP/1.1\r\nHost: {LAN["gw"]}:{contestant.film.port}\r\n'
                        '\r\n'.encode())
            sockets.append(one)
        for one in sockets:
            assert one.recv(4096).startswith(b'HTTP/1.'), contestant.name
        time.sleep(8)
        return contestant.memory()


def large_post(url, size):
    parts = urllib.parse.urlsplit(url)
    with contextlib.suppress(OSError), socket.create_connection((parts.hostname, parts.port), timeout=20) as one:
        one.sendall(f'POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: text/xml\r\nSOAPAction: '
                    f'"{control_point.DIRECTORY}#Browse"\r\nContent-Length: {size}\r\n\r\n'.encode())
        for _ in range(size >> 16):
            one.sendall(bytes(65536))
        one.recv(4096)


def attack(contestant, server):
    """A body of 400 MB, 5,000 actions without their element, 3,000 subscriptions. What it answers is
    its own affair."""
    here, service = contestant.here, server.services[control_point.DIRECTORY]
    with here.at('tv'):
        large_post(service['controlURL'], 400 << 20)
    soap = {'Content-Type': 'text/xml', 'SOAPAction': f'"{control_point.DIRECTORY}#Browse"'}
    callback = {'NT': 'upnp:event', 'TIMEOUT': 'Second-300', 'CALLBACK': f'<http://{LAN["tv"]}:9/>'}
    for n, ask in ((5000, lambda: here.status('tv', service['controlURL'], 'POST', soap,
                                              b'<Envelope><Body/></Envelope>', timeout=20)),
                   (3000, lambda: here.status('tv', service['eventSubURL'], 'SUBSCRIBE', callback, timeout=20))):
        for _ in range(n):
            if not contestant.process.alive():
                return
            with contextlib.suppress(OSError, ValueError):
                ask()


def one_round(contestant, film, options):
    out = {}
    contestant.start()
    server = contestant.look()
    assert server is not None, f'{contestant.name} was not seen: {contestant.process.output()}'
    out['from start to seen'] = time.monotonic() - contestant.process.started
    with contestant.here.at('tv'):
        wait_until(f'{contestant.name} has its films again', world.PATIENCE,
                   lambda: server.browse(contestant.shown, count=1)[2] >= N_FILMS)
    time.sleep(options.settle)
    out['memory, idle'] = contestant.memory()
    for n, times, films in ((10, 30, '10 films'), (N_FILMS, 15, '1,000 films')):
        out[f'fastest Browse, {films}'], out[f'Browse, {films}, CPU time'] = browse(contestant, server, n, times)
    out['memory, after Browse'] = contestant.memory()
    for n, times, who in ((1, 4, '1 viewer'), (10, 1, '10 viewers')):
        out[f'{who}, rate'], out[f'{who}, of a core for each Gbit/s'] = stream(contestant, film, n, times)
    out['link down and up, until seen'], out['link down and up, until byte 1'] = flap(contestant)
    contestant.stop()
    return out


def attacked(contestant):
    out = {}
    contestant.start()
    server = contestant.look()
    out['most memory, 10 viewers that stall'] = stall(contestant, 10)
    contestant.stop()
    contestant.start()
    server = contestant.look()
    attack(contestant, server)
    alive = contestant.process.alive()
    out['most memory, attacked'] = contestant.memory('VmHWM') if alive else None
    out['memory, after the attacks'] = contestant.memory() if alive else None
    if alive:
        contestant.stop()
    return out


def bench(here, options):
    for name in 'minidlnad', 'rygel', 'dbus-daemon':
        if shutil.which(name, path=os.environ['PATH'] + ':/usr/sbin') is None:
            raise world.Skip(f'no {name}: apt-get install --no-install-recommends minidlna rygel dbus')
    here.build_network()
    here.tracker()
    folder, film = make_films(here, options.megabytes)
    contestants = [Ours(here, folder), Minidlna(here, folder), Rygel(here, folder)]
    names = [one.name for one in contestants]
    rounds = {what: {name: [] for name in names} for what in FIGURES}
    for one in contestants:
        prepare(one, film, options.settle)
    for number in range(options.rounds + 1):
        for one in contestants:
            told = one_round(one, film, options)
            print(f'{"warm-up" if number == 0 else number}: {one.name} {told}', flush=True)
            for what, value in told.items() if number else ():
                rounds[what][one.name].append(value)
    for one in contestants:
        told = attacked(one)
        print(f'attacked: {one.name} {told}', flush=True)
        for what, value in told.items():
            rounds[what][one.name].append(value)
    print(table(rounds, names))
    for what, who in behind(rounds, names):
        print(f'behind {who}: {what}')
    return rounds


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--megabytes', type=int, default=200, help='of the film that is streamed (200)')
    parser.add_argument('--settle', type=float, default=5, help='seconds before the idle memory is read (5)')
    parser.add_argument('--json', help='write the figures to this file')
    sys.exit(common.run(bench, parser.parse_args()))

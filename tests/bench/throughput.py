#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Throughput: one seeder gives one leecher a file over loopback, each with one core of its own, in
chunks of 1 KiB; and a live broadcast of as many bytes, with a signature for each 256 chunks, which
the leecher keeps. The same file goes by libtorrent (Debian's python3-libtorrent) over uTP and over
TCP, interleaved with ours, since wall rates on a shared machine move by factors within minutes; CPU
time for each KiB moves far less. What arrived is compared with what was sent, byte for byte."""

import argparse
import filecmp
import http.client
import json
import os
import random
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

from common import world

SEEDER_CORE, LEECHER_CORE = 0, 1
PATIENCE = 300  # seconds for one transfer
DEBIAN_PYTHON = '/usr/bin/python3'  # the one that has libtorrent


class TooSlow(AssertionError):
    """A transfer did not end in time."""


def pin(core):
    """For subprocess: on one core, and gone when we are."""
    def before():
        os.sched_setaffinity(0, {core})
        world.LIBC.prctl(world.PR_SET_PDEATHSIG, signal.SIGKILL)
    return before


def cpu_seconds(pid):
    """Of all threads, exact to the microsecond where the kernel keeps schedstat."""
    total = 0
    for task in os.listdir(f'/proc/{pid}/task'):
        with open(f'/proc/{pid}/task/{task}/schedstat', encoding='ascii') as file:
            total += int(file.read().split()[0])
    return total / 1e9


def make_file(path, size):
    source = random.Random(7574)
    with open(path, 'wb') as file:
        for _ in range(size >> 20):
            file.write(source.randbytes(1 << 20))
        file.write(source.randbytes(size & ((1 << 20) - 1)))


def make_transport_stream(path, size):
    """Packets of one PID, of which no two are alike: size is a multiple of 188 bytes."""
    source = random.Random(7574)
    with open(path, 'wb') as file:
        for n in range(size // 188):
            file.write(bytes((0x47, 0x01, 0x00, 0x10 | n % 16)) + source.randbytes(184))


def wait_for(process, end, log):
    """What it used; it must end well."""
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        if time.monotonic() > end:
            process.kill()
            os.wait4(process.pid, 0)
            process.returncode = -signal.SIGKILL
            raise TooSlow(f'{process.args[0]}: no end in {PATIENCE} s, see {log}')
        time.sleep(0.005)
    process.returncode = os.waitstatus_to_exitcode(status)
    with open(log, encoding='utf-8', errors='replace') as file:
        assert process.returncode == 0, f'{process.args[0]} ended with {status}: {file.read()[-999:]}'
    return usage


def run_leechers(commands, meanwhile=lambda: None):
    """Of programs (words, log) that end when they have all: seconds until the last ended, CPU
    seconds of all, and the peak memory of the largest."""
    start = time.monotonic()
    processes = []
    try:
        for words, log in commands:
            with open(log, 'wb') as output:
                processes.append(subprocess.Popen(words, stdout=output, stderr=output,
                                                  preexec_fn=pin(LEECHER_CORE)))
        meanwhile()
        usages = [wait_for(process, start + PATIENCE, log)
                  for process, (_, log) in zip(processes, commands)]
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
                process.wait()
    return (time.monotonic() - start, sum(usage.ru_utime + usage.ru_stime for usage in usages),
            max(usage.ru_maxrss for usage in usages))


# --- ours


class Origin:
    """ppsp-origin with what `words` give it."""

    def __init__(self, folder, words, wrapper=()):
        self.folder = folder
        log = open(os.path.join(folder, 'origin.log'), 'wb')
        self.http = f'http://127.0.0.1:{free_port()}'
        self.udp_port = free_port(udp=True)
        self.peer = f'127.0.0.1:{self.udp_port}'
        self.process = subprocess.Popen(
            [*wrapper, world.program('ppsp-origin'), '--http', self.http[7:], '--peer', self.peer,
             '--state', os.path.join(folder, 'state'), *words],
            stdout=log, stderr=log, preexec_fn=pin(SEEDER_CORE))
        log.close()
        self.link = self.wait_link()

    def get(self, path):
        with urllib.request.urlopen(self.http + path, timeout=10) as answer:
            return answer.read().decode()

    def wait_link(self):
        end = time.monotonic() + 120
        while time.monotonic() < end:
            assert self.process.poll() is None, 'ppsp-origin ended, see origin.log'
            try:
                links = re.findall(r'^ppsp:\S+$', self.get('/channels.m3u'), re.M)
                if links:
                    return links[0]
            except OSError:
                pass
            time.sleep(0.1)
        raise AssertionError('ppsp-origin names no link')

    def counters(self):
        return {name: int(value) for name, value in
                re.findall(r'^ppsp_(\w+)_total (\d+)$', self.get('/metrics'), re.M)}

    def leecher(self, target, *words, peer=None):
        """Without the link's way to fall back on, which is HTTP."""
        link = re.sub(r'&fb=[^&]*|(?<=\?)fb=[^&]*&', '', self.link)
        return [world.program('ppsp-peer'), link, '--peer', '127.0.0.1:0', '--peers',
                peer or self.peer, '--output', target, *words]

    def measure(self, path, targets, run):
        """run () -> wall seconds, CPU seconds and memory of the leechers, who fetch path."""
        before, cpu = self.counters(), cpu_seconds(self.process.pid)
        wall, leecher, memory = run()
        seeder, after = cpu_seconds(self.process.pid) - cpu, self.counters()
        for target in targets:
            check_and_remove(path, target)
        kib = len(targets) * os.path.getsize(path) / 1024
        grown = {name: after[name] - before.get(name, 0) for name in after}
        return {'wall': wall, 'leecher_cpu': leecher, 'seeder_cpu': seeder, 'leecher_kb': memory,
                'datagrams_per_kib':
                    (grown['peer_datagrams_sent'] + grown['peer_datagrams_received']) / kib,
                'seeder_calls_per_kib':
                    (grown['udp_send_calls'] + grown['udp_receive_calls']) / kib,
                'lost': grown.get('peer_chunks_lost', 0)}

    def close(self):
        self.process.terminate()
        self.process.wait(60)


class Ours(Origin):
    """ppsp-origin gives a file, ppsp-peer takes it."""

    name = 'ppsp'

    def __init__(self, folder, path, *words, wrapper=()):
        super().__init__(folder, ['--file', f'bench,{path}', *words], wrapper)
        self.path = path

    def transfer(self, port=None, leechers=1):
        """port: of the way to it, if not straight."""
        peer = f'127.0.0.1:{port}' if port else self.peer
        targets = [os.path.join(self.folder, f'ours-{n}.out') for n in range(leechers)]
        return self.measure(self.path, targets, lambda: run_leechers(
            [(self.leecher(target, peer=peer), os.path.join(self.folder, f'peer-{n}.log'))
             for n, target in enumerate(targets)]))


class Broadcast:
    """A live broadcast that ends: pushed to ppsp-origin, kept by ppsp-peer. Each transfer is a channel
    of its own; the seeder's figure is all that a source does, from the encoder's bytes on."""

    name = 'ppsp live'
    chunk = 1128  # bytes: whole packets
    signature = 256  # chunks

    def __init__(self, folder, size):
        self.folder = folder
        self.path = os.path.join(folder, 'content.ts')
        make_transport_stream(self.path, size // (self.chunk * self.signature) *
                              self.chunk * self.signature)

    def transfer(self, rate=25_000_000, wrapper=()):
        """rate: bytes per second. wrapper: of the leecher."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            target = os.path.join(folder, 'live.out')
            origin = Origin(folder, ['--channel', 'bench', '--until', 'manual',
                                     '--chunks-per-signature', str(self.signature)])
            try:
                words = [*wrapper, *origin.leecher(target, '--keep')]
                return origin.measure(self.path, [target], lambda: run_leechers(
                    [(words, os.path.join(folder, 'peer.log'))],
                    lambda: push(origin.http, self.path, rate)))
            finally:
                origin.close()

    def close(self):
        os.remove(self.path)


def push(url, path, rate):
    """The encoder: the file at rate, and then the broadcast's end."""
    connection = http.client.HTTPConnection(url[7:], timeout=60)

    def pieces():
        start, sent = time.monotonic(), 0
        with open(path, 'rb') as file:
            while piece := file.read(65536):
                yield piece
                sent += len(piece)
                time.sleep(max(0, start + sent / rate - time.monotonic()))

    for method, body in (('PUT', pieces()), ('DELETE', None)):
        connection.request(method, '/ingest/bench', body=body, encode_chunked=body is not None,
                           headers={'Transfer-Encoding': 'chunked'} if body else {})
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status < 300, f'{method}: {answer.status} {text}'
    connection.close()


# --- libtorrent


class Torrent:
    """python3-libtorrent on both sides, by one transport."""

    def __init__(self, folder, path, transport):
        self.folder, self.path, self.transport = folder, path, transport
        self.name = f'libtorrent {transport}'
        self.torrent = os.path.join(folder, 'bench.torrent')
        self.port = self.udp_port = free_port()
        self.log = open(os.path.join(folder, f'{transport}-seed.log'), 'wb')
        self.process = subprocess.Popen(
            [DEBIAN_PYTHON, os.path.abspath(__file__), '--role', 'seed', transport,
             str(self.port), path, self.torrent],
            stdout=subprocess.PIPE, stderr=self.log, text=True, preexec_fn=pin(SEEDER_CORE))
        assert self.process.stdout.readline() == 'ready\n', f'see {self.log.name}'

    def transfer(self, port=None, leechers=1):
        """port: of the way to it, if not straight."""
        folders = [os.path.join(self.folder, f'{self.transport}-{n}') for n in range(leechers)]
        logs = [f'{folder}.log' for folder in folders]
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
            os.mkdir(folder)
        cpu = cpu_seconds(self.process.pid)
        _, _, memory = run_leechers(
            [([DEBIAN_PYTHON, os.path.abspath(__file__), '--role', 'leech', self.transport,
               str(port or self.port), folder, self.torrent], log)
             for folder, log in zip(folders, logs)])
        told = []
        for folder, log in zip(folders, logs):
            with open(log, encoding='ascii') as file:
                told.append(json.loads(file.read().splitlines()[-1]))
            check_and_remove(self.path, os.path.join(folder, os.path.basename(self.path)))
        return {'wall': max(one['end'] for one in told) - min(one['start'] for one in told),
                'leecher_cpu': sum(one['cpu'] for one in told),
                'seeder_cpu': cpu_seconds(self.process.pid) - cpu, 'leecher_kb': memory}

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()


def torrent_session(transport):
    import libtorrent
    utp = transport == 'uTP'
    # flags 0: no plugins, so leechers do not tell each other of each other, as ours do not
    return libtorrent, libtorrent.session({
        'listen_interfaces': '127.0.0.1:0', 'enable_dht': False, 'enable_lsd': False,
        'enable_upnp': False, 'enable_natpmp': False, 'allow_multiple_connections_per_ip': True,
        'enable_incoming_utp': utp, 'enable_outgoing_utp': utp,
        'enable_incoming_tcp': not utp, 'enable_outgoing_tcp': not utp,
        'unchoke_slots_limit': -1, 'alert_mask': 0}, flags=0)


def role_seed(transport, port, path, torrent):
    libtorrent, session = torrent_session(transport)
    session.apply_settings({'listen_interfaces': f'127.0.0.1:{port}'})
    if not os.path.exists(torrent):
        storage = libtorrent.file_storage()
        libtorrent.add_files(storage, path)
        maker = libtorrent.create_torrent(storage)
        libtorrent.set_piece_hashes(maker, os.path.dirname(path))
        with open(torrent, 'wb') as file:
            file.write(libtorrent.bencode(maker.generate()))
    session.add_torrent({'ti': libtorrent.torrent_info(torrent),
                         'save_path': os.path.dirname(path),
                         'flags': libtorrent.torrent_flags.seed_mode})
    time.sleep(1)
    print('ready', flush=True)
    signal.pause()


def role_leech(transport, port, folder, torrent):
    """Told from the connection to the last verified piece; starting Python is not counted."""
    libtorrent, session = torrent_session(transport)
    handle = session.add_torrent({'ti': libtorrent.torrent_info(torrent), 'save_path': folder})
    time.sleep(0.5)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    start, cpu = time.monotonic(), usage.ru_utime + usage.ru_stime
    handle.connect_peer(('127.0.0.1', int(port)))
    while not handle.status().is_seeding:
        time.sleep(0.005)
    end = time.monotonic()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cpu = usage.ru_utime + usage.ru_stime - cpu
    handle.flush_cache()
    session.pause()
    time.sleep(0.5)
    print(json.dumps({'start': start, 'end': end, 'cpu': cpu}), flush=True)
    os._exit(0)  # pylint: disable=protected-access


# --- both


def free_port(udp=False):
    import socket
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM) as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def check_and_remove(sent, got):
    assert filecmp.cmp(sent, got, shallow=False), f'{got} is not what was sent'
    for name in os.listdir(os.path.dirname(got)):
        if name.startswith(os.path.basename(got)):
            os.remove(os.path.join(os.path.dirname(got), name))


def has_libtorrent():
    return subprocess.run([DEBIAN_PYTHON, '-c', 'import libtorrent'], check=False,
                          stderr=subprocess.DEVNULL).returncode == 0


def tell(name, result, size):
    kib = size / 1024
    result['mbit_s'] = size * 8 / 1e6 / result['wall']
    result['leecher_us_per_kib'] = result['leecher_cpu'] * 1e6 / kib
    result['seeder_us_per_kib'] = result['seeder_cpu'] * 1e6 / kib
    more = ''
    if 'datagrams_per_kib' in result:
        more = (f'  {result["datagrams_per_kib"]:.3f} datagrams/KiB, seeder '
                f'{result["seeder_calls_per_kib"]:.3f} calls/KiB, {result["lost"]} lost')
    print(f'{name:15} {result["mbit_s"]:7.0f} Mbit/s   CPU us/KiB: leecher '
          f'{result["leecher_us_per_kib"]:5.2f} seeder {result["seeder_us_per_kib"]:5.2f}{more}',
          flush=True)


FIGURES = ('mbit_s', 'leecher_us_per_kib', 'seeder_us_per_kib')


def compare(results, name, other):
    """Medians of the ratios of the two, pair by pair."""
    ratios = {figure: statistics.median(a[figure] / b[figure] for a, b in
                                        zip(results[name], results[other]))
              for figure in FIGURES}
    print(f'{name} / {other}: throughput {ratios["mbit_s"]:.2f}, CPU leecher '
          f'{ratios["leecher_us_per_kib"]:.2f}, seeder {ratios["seeder_us_per_kib"]:.2f}')
    return ratios


def bench(folder, options):
    size = options.megabytes * 1000 * 1000
    path = os.path.join(folder, 'content.bin')
    make_file(path, size)
    contestants = []
    try:
        contestants.append(Ours(folder, path))
        contestants.append(Broadcast(folder, size))
        if has_libtorrent():
            contestants += [Torrent(folder, path, transport) for transport in ('uTP', 'TCP')]
        else:
            print('python3-libtorrent is not there: ours alone is measured')
        results = {contestant.name: [] for contestant in contestants}
        for _ in range(options.pairs):
            for contestant in contestants:
                result = contestant.transfer()
                tell(contestant.name, result, os.path.getsize(contestant.path))
                results[contestant.name].append(result)
    finally:
        for contestant in contestants:
            contestant.close()
    medians = {name: {key: statistics.median(run[key] for run in runs) for key in runs[0]}
               for name, runs in results.items()}
    print('medians')
    for contestant in contestants:
        tell(contestant.name, medians[contestant.name], size)
    ours = [name for name in results if name.startswith('ppsp')]
    ratios = {f'{name} / {other}': compare(results, name, other)
              for name in ours for other in results if other not in ours}
    return {'bytes': size, 'runs': results, 'medians': medians, 'ratios': ratios}


def judge(result):
    """The aims: a bound on the CPU time for each KiB, half of uTP's, and no slower than that."""
    static, live = result['medians']['ppsp'], result['medians']['ppsp live']
    aims = [('receiving live, 256 chunks for each signature', live['leecher_us_per_kib'], 2.9),
            ('receiving', static['leecher_us_per_kib'], 2.9),
            ('seeding', static['seeder_us_per_kib'], 2.6)]
    ratios = result['ratios'].get('ppsp / libtorrent uTP')
    if ratios:
        live = result['ratios']['ppsp live / libtorrent uTP']
        aims += [('receiving live, to uTP', live['leecher_us_per_kib'], 0.5),
                 ('receiving, to uTP', ratios['leecher_us_per_kib'], 0.5),
                 ('seeding, to uTP', ratios['seeder_us_per_kib'], 0.5),
                 ('time, to uTP', 1 / ratios['mbit_s'], 1)]
    for what, figure, most in aims:
        print(f'{what}: {figure:.2f} (aim: {most}){"" if figure <= most else " MISSED"}')
    return 0 if all(figure <= most for _, figure, most in aims) else 1


def end_cleanly():
    """A signal ends us as an error does: what was started is stopped, what was made removed."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(1))


def save(path, figures):
    if path:
        with open(path, 'w', encoding='utf-8') as file:
            json.dump(figures, file, indent=2)


def main():
    if len(sys.argv) > 1 and sys.argv[1] == '--role':
        role = {'seed': role_seed, 'leech': role_leech}[sys.argv[2]]
        role(*sys.argv[3:])
        return 0
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--megabytes', type=int, default=500)
    parser.add_argument('--pairs', type=int, default=5)
    parser.add_argument('--folder', default='/dev/shm', help='where the files lie (/dev/shm)')
    parser.add_argument('--json', help='write the figures to this file')
    options = parser.parse_args()
    if os.cpu_count() < 2:
        print('skipped: two cores are needed')
        return world.SKIPPED
    end_cleanly()
    with tempfile.TemporaryDirectory(prefix='ppsp-bench-', dir=options.folder) as folder:
        try:
            result = bench(folder, options)
        except world.Skip as why:
            print(f'skipped: {why}')
            return world.SKIPPED
    save(options.json, result)
    return judge(result)


if __name__ == '__main__':
    sys.exit(main())

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""One seeder to one leecher and to twenty, with a delay of 0 and 20 ms each way, with 0, 1 and 5 %
loss each way; ours, ours with --loss-tolerance 2 where there is loss, and libtorrent over uTP, one
right after the other on the same way (relay.c), and the bare sockets' ceiling beside them. The lossy
ways are given smaller files."""

import argparse
import json
import os
import subprocess
import sys
import tempfile

import throughput
from common import world

CELLS = [(leechers, delay, loss) for leechers in (1, 20) for delay in (0, 20) for loss in (0, 1, 5)]
AIM = 10  # times uTP, at 20 ms and 1 % with one leecher


def tool(name):
    path = os.path.join(world.BUILD, 'tests', 'bench', name)
    if not os.access(path, os.X_OK):
        raise world.Skip(f'{path} is not built')
    return path


class Way:
    """The relay in front of a seeder; no delay and no loss = straight to it."""

    def __init__(self, port, delay, loss):
        self.port = self.process = None
        if delay == 0 and loss == 0:
            return
        self.port = throughput.free_port(udp=True)
        self.process = subprocess.Popen(
            [tool('relay'), str(self.port), str(port), str(delay), str(loss)],
            stdout=subprocess.PIPE, text=True, preexec_fn=throughput.pin(throughput.SEEDER_CORE))
        assert self.process.stdout.readline() == 'ready\n'

    def close(self):
        if self.process:
            self.process.terminate()
            self.process.communicate()


def contestants(folder, path, loss):
    alone = '--no-peer-exchange'  # the seeder names nobody, so it gives all itself
    yield 'ppsp', lambda: throughput.Ours(folder, path, alone)
    if loss:
        yield 'ppsp tolerant', lambda: throughput.Ours(folder, path, alone, '--loss-tolerance', '2')
    if throughput.has_libtorrent():
        yield 'libtorrent uTP', lambda: throughput.Torrent(folder, path, 'uTP')


def cell(leechers, delay, loss, megabytes):
    size = int(megabytes * 1e6)
    results = {}
    with tempfile.TemporaryDirectory(prefix='ppsp-bench-', dir='/dev/shm') as folder:
        path = os.path.join(folder, 'content.bin')
        throughput.make_file(path, size)
        for name, make in contestants(folder, path, loss):
            seeder = make()
            way = Way(seeder.udp_port, delay, loss)
            try:
                results[name] = seeder.transfer(way.port, leechers)
                throughput.tell(name, results[name], size * leechers)
            except throughput.TooSlow as why:
                print(f'{name:15} {why}', flush=True)
            finally:
                way.close()
                seeder.close()
    if {'ppsp', 'libtorrent uTP'} <= results.keys():
        throughput.compare({name: [result] for name, result in results.items()}, 'ppsp',
                           'libtorrent uTP')
    return results


def ceiling(megabytes):
    result = json.loads(subprocess.run([tool('bare'), str(megabytes)], check=True,
                                       stdout=subprocess.PIPE).stdout)
    throughput.tell('bare sockets', result, result['bytes'])
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--megabytes', type=float, default=200, help='without delay and loss')
    parser.add_argument('--lossy', type=float, default=10, help='megabytes with delay or loss')
    parser.add_argument('--only', help='LEECHERS,DELAY,LOSS: one cell')
    parser.add_argument('--json', help='write the figures to this file')
    options = parser.parse_args()
    throughput.end_cleanly()
    cells = [tuple(int(word) for word in options.only.split(','))] if options.only else CELLS
    table, good = {}, True
    try:
        table['ceiling'] = ceiling(int(options.megabytes))
        for leechers, delay, loss in cells:
            print(f'--- one to {leechers}, {delay} ms, {loss} % loss', flush=True)
            whole = options.megabytes if delay == loss == 0 else options.lossy
            results = cell(leechers, delay, loss, whole / (4 if leechers > 1 else 1))
            table[f'{leechers},{delay},{loss}'] = results
            if (leechers, delay, loss) == (1, 20, 1) and len(results) == 3:
                ratio = results['ppsp tolerant']['mbit_s'] / results['libtorrent uTP']['mbit_s']
                good = ratio >= AIM
                print(f'{ratio:.1f} times uTP (aim: {AIM})')
    except world.Skip as why:
        print(f'skipped: {why}')
        return world.SKIPPED
    throughput.save(options.json, table)
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())

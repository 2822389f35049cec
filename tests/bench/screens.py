#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many screens on one channel: the gateway's CPU for each Gbit/s that it delivers, all of its work
counted (swarm, hashes, parser and HTTP), and its memory for each viewer; beside a bare loop of send()
that delivers the same to as many. Each viewer is compared with what the encoder sent, byte for byte."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import urllib.parse

import common
import media
from common import world
from world import LAN
from memory import smaps
from throughput import cpu_seconds

# viewers, Mbit/s, of them stalled, of them vanished; % of one core for each Gbit/s
CASES = {'10x100': (10, 100, 0, 0, 5), '10x8': (10, 8, 0, 0, 12), '100x8': (100, 8, 0, 0, 6),
         '100x8-half': (100, 8, 25, 25, None)}
PER_IP = 25  # viewers of one address; the gateway lets in 32
TOOL = os.path.join(world.BUILD, 'tests', 'bench', 'screens')
TICK_MS = 25


def addresses(here, n):
    """So many more of the television's, so that no limit for one address is met."""
    out = [LAN['tv']]
    for i in range(1, (n + PER_IP - 1) // PER_IP):
        out.append(f'192.168.77.{100 + i}')
        here.ip('-n', here.names['tv'], 'addr', 'replace', f'{out[-1]}/24', 'dev', 'lan0')
    return out


def view(here, server, film, port, path, case, seconds):
    """What the viewers tell, with the server's CPU seconds and kB of memory while they looked."""
    n, _, stall, vanish, _ = case
    process = here.run('viewers', [TOOL, 'view', film, str(port), path, str(n), str(seconds), str(stall),
                                   str(vanish), LAN['gw'], *addresses(here, n)], 'tv',
                       stdout=subprocess.PIPE)
    line = process.child.stdout.readline()
    assert line == b'started\n', process.output()
    cpu, start = cpu_seconds(server.pid), time.monotonic()
    time.sleep(seconds * 0.9)
    cpu, took, memory = cpu_seconds(server.pid) - cpu, time.monotonic() - start, smaps(server)
    line = process.child.stdout.read()
    assert process.wait() == 0, process.output()
    told = json.loads(line)
    # A gap that all have is the swarm's; one that only some have is ours.
    assert told['gaps'] == told['same_gaps'], f'some miss what others have: {told}'
    assert told['ended'] == 0, f'{told["ended"]} viewers were let go: {told}'
    gbit = told['bytes'] * 8 / 1e9 / told['seconds'] * took
    return {'percent': 100 * cpu / gbit, 'mbit_s': gbit * 1000 / took, 'least': told['least'],
            'silence': told['silence'], 'gaps': told['gaps'], 'memory': memory, 'seconds': told['seconds']}


def ceiling(here, film, case, seconds):
    n, rate, _, _, _ = case
    server = here.run('bare', [TOOL, 'bare', film, LAN['gw'], '9000', str(rate * 1000000), str(n),
                               str(TICK_MS)], 'gw', stdout=subprocess.PIPE)
    assert server.child.stdout.readline() == b'ready\n', server.output()
    try:
        return view(here, server, film, 9000, '/', (n, rate, 0, 0, None), seconds)
    finally:
        server.kill()


def measure(here, name, film, gateway, url, options):
    case, runs = CASES[name], []
    path = urllib.parse.urlsplit(url).path
    n, rate, stall, vanish, goal = case
    one = view(here, gateway, film, 8574, path, (1, rate, 0, 0, None), options.settle)
    for _ in range(options.pairs):
        run = view(here, gateway, film, 8574, path, case, options.seconds)
        run['viewer_kb'] = (run['memory'] - one['memory']) / n
        # what came late in the run's first moments may be missing, and no more
        wanted = rate * 1e6 / 8 * (run['seconds'] - 1)
        assert run['least'] >= wanted, f'a viewer got {run["least"]} of {wanted:.0f} bytes'
        run['bare'] = ceiling(here, film, case, options.seconds)['percent']
        runs.append(run)
        print(f'{name:11} {run["mbit_s"]:6.0f} Mbit/s  {run["percent"]:6.2f} % of a core per Gbit/s'
              f'  bare {run["bare"]:6.2f}  longest silence {run["silence"] * 1000:4.0f} ms'
              f'  {run["viewer_kb"]:5.1f} KiB a viewer  {run["gaps"]} gaps', flush=True)
    median = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    print(f'{name:11} median {median["percent"]:.2f} %, the least '
          f'{min(run["percent"] for run in runs):.2f}' + (f' (goal {goal})' if goal else '') +
          f'; bare {median["bare"]:.2f}, ratio '
          f'{statistics.median(run["percent"] / run["bare"] for run in runs):.2f}', flush=True)
    return {'runs': runs, 'median': median}


def bench(here, options):
    here.build_network()
    here.tracker()
    rates = sorted({CASES[name][1] for name in options.cases})
    here.origin(*[w for rate in rates for w in ('--channel', f'c{rate}')])
    films = {}
    for rate in rates:
        films[rate] = os.path.join(here.folder, f'{rate}.ts')
        media.make_film(films[rate], 5 if rate > 20 else 20, int(rate * 900_000))
    gateway = here.gateway()
    urls = {rate: url for rate in rates for url in here.wait_channels(len(rates))
            if f'c{rate}.' in url}
    for rate in rates:
        here.run('source', [TOOL, 'source', films[rate], '127.0.0.1', '7575', f'/ingest/c{rate}',
                            str(rate * 1000000)], 'origin')
    result = {}
    for name in options.cases:
        rate = CASES[name][1]
        result[name] = measure(here, name, films[rate], gateway, urls[rate], options)
    return result


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--cases', nargs='+', choices=CASES, default=list(CASES))
    parser.add_argument('--pairs', type=int, default=3)
    parser.add_argument('--seconds', type=float, default=10)
    parser.add_argument('--settle', type=float, default=15,
                        help='seconds with one viewer before the first, in which the ring fills')
    parser.add_argument('--json', help='write the figures to this file')
    sys.exit(common.run(bench, parser.parse_args()))

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Instructions in user space for each KiB, by callgrind: what a machine does, whatever else runs on
it. Each figure is the difference between a long and a short run, so that starting and ending do not
count. valgrind has no SHA extension, as most routers have none. The kernel's part is not seen.

Beside it, what a router would be busy with for so many channels (README.md says how that is
reckoned)."""

import argparse
import os
import re
import subprocess
import sys
import tempfile

import throughput
from common import world

KERNEL = 10000           # instructions for each datagram: IP, UDP, the driver, wake-ups
PER_CYCLE = 0.7          # instructions of an in-order core on such code
CHECK = 2_000_000        # instructions of a check of ECDSA P-256 without assembly


def valgrind(out):
    return ['valgrind', '--tool=callgrind', f'--callgrind-out-file={out}']


def total(out):
    with open(out, encoding='utf-8', errors='replace') as file:
        return int(re.search(r'^(?:summary|totals): (\d+)', file.read(), re.M).group(1))


def share(out, function):
    """Instructions in function and whatever it calls."""
    text = subprocess.run(['callgrind_annotate', '--inclusive=yes', '--threshold=100', out],
                          check=True, stdout=subprocess.PIPE, text=True).stdout
    found = re.search(rf'^ *([\d,]+) .*:{function} \[', text, re.M)
    return int(found.group(1).replace(',', '')) if found else 0


def difference(measure, sizes):
    """measure (size) -> KiB, path of the profile; per KiB: (all, hashing, signatures)."""
    rows = []
    for size in sizes:
        kib, out = measure(size)
        rows.append((kib, total(out), share(out, 'peer_hasher_chunk'),
                     share(out, 'peer_verifier_check')))
    return [(rows[1][i] - rows[0][i]) / (rows[1][0] - rows[0][0]) for i in (1, 2, 3)]


def receive(folder):
    def measure(size):
        path, out = os.path.join(folder, 'fetched.bin'), os.path.join(folder, f'receive-{size}')
        throughput.make_file(path, size)
        with tempfile.TemporaryDirectory(dir=folder) as here:
            origin = throughput.Ours(here, path)
            try:
                target = os.path.join(here, 'out')
                throughput.run_leechers([(valgrind(out) + origin.leecher(target),
                                          os.path.join(here, 'log'))])
            finally:
                origin.close()
        return size / 1024, out
    return measure


def receive_live(folder):
    def measure(size):
        out = os.path.join(folder, f'live-{size}')
        broadcast = throughput.Broadcast(folder, size)
        kib = os.path.getsize(broadcast.path) / 1024
        broadcast.transfer(rate=1_000_000, wrapper=valgrind(out))
        broadcast.close()
        return kib, out
    return measure


def seed(folder, size=4_000_000):
    """One leecher after the other, so that hashing the file at the start does not count."""
    path = os.path.join(folder, 'seeded.bin')
    throughput.make_file(path, size)

    def measure(times):
        out = os.path.join(folder, f'seed-{times}')
        with tempfile.TemporaryDirectory(dir=folder) as here:
            origin = throughput.Ours(here, path, wrapper=valgrind(out))
            try:
                for _ in range(times):
                    origin.transfer()
            finally:
                origin.close()
        return times * size / 1024, out
    return measure


def busy(user, checks, channels, bits, megahertz):
    """Part of the processor for so many channels of so many bits per second."""
    kib = channels * bits / 8 / 1024
    cycles = (kib * (user + KERNEL) + channels * checks * CHECK) / PER_CYCLE
    return cycles / (megahertz * 1e6)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--folder', default='/dev/shm', help='where the files lie (/dev/shm)')
    parser.add_argument('--json', help='write the figures to this file')
    options = parser.parse_args()
    throughput.end_cleanly()
    if not any(os.access(os.path.join(path, 'valgrind'), os.X_OK)
               for path in os.environ['PATH'].split(':')):
        print('skipped: valgrind is not there')
        return world.SKIPPED
    figures = {}
    with tempfile.TemporaryDirectory(prefix='ppsp-bench-', dir=options.folder) as folder:
        try:
            for name, measure, sizes in (('receiving', receive(folder), (4_000_000, 16_000_000)),
                                         ('receiving live', receive_live(folder),
                                          (3_000_000, 9_000_000)),
                                         ('seeding', seed(folder), (1, 4))):
                whole, hashing, signatures = difference(measure, sizes)
                figures[name] = {'all': whole, 'hashing': hashing, 'signatures': signatures,
                                 'else': whole - hashing - signatures}
                print(f'{name:15} {whole:7.0f} instructions/KiB: hashing {hashing:.0f}, signatures '
                      f'{signatures:.0f}, all else {whole - hashing - signatures:.0f}', flush=True)
        except world.Skip as why:
            print(f'skipped: {why}')
            return world.SKIPPED
    live = figures['receiving live']
    for chunks in (64, 256):
        part = busy(live['hashing'] + live['else'], 8e6 / 8 / 1128 / chunks, 3, 8e6, 600)
        print(f'3 channels of 8 Mbit/s, {chunks} chunks for each signature: {100 * part:.0f} % of '
              '600 MHz, as README.md reckons')
    throughput.save(options.json, figures)
    return 0


if __name__ == '__main__':
    sys.exit(main())

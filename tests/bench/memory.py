#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Memory: the gateway's resident set when idle, and while 1 and 8 channels of 4 Mbit/s are
watched; the most of five readings, and the CPU share beside it."""

import argparse
import os
import sys
import time

import common
import media

CHANNELS = 8


def smaps(process):
    """kB of our own: what is shared with no other process."""
    with open(f'/proc/{process.pid}/smaps_rollup', encoding='ascii') as file:
        return sum(int(line.split()[1]) for line in file if line.startswith('Private_'))


def measure(process, seconds):
    rss, own, cpu = [], [], process.cpu()
    for _ in range(5):
        time.sleep(seconds / 5)
        rss.append(process.status('VmRSS'))
        own.append(smaps(process))
    return {'rss_mb': max(rss) / 1024, 'private_mb': max(own) / 1024,
            'cpu': (process.cpu() - cpu) / seconds}


def bench(here, options):
    here.build_network()
    here.tracker()
    here.origin(*[w for n in range(CHANNELS) for w in ('--channel', f'c{n}=Channel {n}')])
    film = os.path.join(here.folder, 'loop.ts')
    media.make_film(film, 20, options.bitrate)
    # One encoder's work for eight channels: the bytes are the same, the channels are not.
    outputs = [word for n in range(CHANNELS) for word in (
        '-map', '0', '-c', 'copy', '-f', 'mpegts', '-flush_packets', '1', '-method', 'PUT',
        f'http://127.0.0.1:7575/ingest/c{n}')]
    here.run('encoder', ['ffmpeg', '-nostdin', '-loglevel', 'warning', '-re', '-stream_loop', '-1',
                         '-i', film, *outputs], 'origin')
    gateway = here.gateway()
    urls = here.wait_channels(CHANNELS)
    result = {'idle': measure(gateway, 3)}
    viewers = []
    for name, n in (('one channel', 1), ('eight channels', CHANNELS)):
        while len(viewers) < n:
            viewers.append(media.Viewer(here, urls[len(viewers)]))
        for viewer in viewers:
            viewer.wait_key(seconds=20)
        # Rings are full after their 12 MiB have come.
        time.sleep(options.settle)
        result[name] = measure(gateway, 5)
    for viewer in viewers:
        assert viewer.longest_silence() < 3, 'a viewer starved, so the figures mean nothing'
    goals = {'idle': ' (goal: under 16)', 'one channel': ' (goal: under 32)'}
    for name, figures in result.items():
        print(f'{name:15} RSS {figures["rss_mb"]:.1f} MB{goals.get(name, "")}, private'
              f' {figures["private_mb"]:.1f} MB, {100 * figures["cpu"]:.1f} % of a core')
    return result


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--bitrate', type=int, default=3_700_000)
    parser.add_argument('--settle', type=float, default=30, help='seconds before the reading')
    parser.add_argument('--json', help='write the figures to this file')
    sys.exit(common.run(bench, parser.parse_args()))

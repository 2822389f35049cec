#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Zap time: from the viewer's request to the first byte of a key frame, when the gateway is not in
the swarm (cold), when it has joined ahead of any viewer (warm), and while it still lingers there.
Key frames come each second."""

import argparse
import random
import sys
import time

import common
import media


def bench(here, options):
    here.build_network()
    here.tracker()
    here.origin('--channel', 'zap=Zap')
    media.Encoder(here, 'zap', bitrate=options.bitrate)
    gateway = here.gateway('--linger', '1', '--warm', '0')
    url = here.wait_channels(1)[0]
    chance = random.Random(1)
    result = {}

    def once(pause):
        time.sleep(pause + chance.random())
        viewer = media.Viewer(here, url)
        took = viewer.wait_key(seconds=15)
        viewer.stop()
        return took

    once(3)
    result['cold'], text = common.summary([once(3.5) for _ in range(options.rounds)])
    print(f'cold       {text}   (goal: under 1000)')
    gateway.stop()
    gateway = here.gateway('--linger', '0', '--warm', '1')
    once(1)
    result['warm'], text = common.summary([once(5) for _ in range(options.rounds)])
    print(f'warm       {text}')
    gateway.stop()
    here.gateway('--linger', '60')
    once(1)
    result['lingering'], text = common.summary([once(0.5) for _ in range(options.rounds)])
    print(f'lingering  {text}   (goal: under 300)')
    return result


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=20)
    parser.add_argument('--bitrate', type=int, default=3_700_000)
    parser.add_argument('--json', help='write the figures to this file')
    sys.exit(common.run(bench, parser.parse_args()))

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Latency: for bytes all along a live stream, from when the encoder sent it to the origin to when
the viewer got it from the gateway. With --seconds 600 it is the soak test too: it fails when a
byte is missing, and tells the longest time that the viewer waited for the next."""

import argparse
import bisect
import sys
import time

import common
import media
import ts


def moment(times, offset):
    """When the byte at that offset had come: times are (monotonic, bytes so far)."""
    index = bisect.bisect_right(times, offset, key=lambda entry: entry[1])
    return times[index][0] if index < len(times) else None


def bench(here, options):
    here.build_network()
    here.tracker()
    here.origin('--channel', 'late=Late')
    encoder = media.Encoder(here, 'late', bitrate=options.bitrate)
    gateway = here.gateway()
    url = here.wait_channels(1)[0]
    viewer = media.Viewer(here, url)
    zap = viewer.wait_key(seconds=15)
    cpu = gateway.cpu()
    time.sleep(options.seconds)
    cpu = gateway.cpu() - cpu
    got = viewer.stop()
    at, front, nulled = ts.place_in(bytes(encoder.sent), got)
    late = []
    # What a viewer is given at once in the beginning was sent before it asked: left out.
    first = next(total for t, total in viewer.times if t > viewer.asked + zap + 1)
    for offset in range(first, len(got) - ts.SIZE, 40 * ts.SIZE):
        sent = moment(encoder.relay.times, at + offset - front * ts.SIZE)
        came = moment(viewer.times, offset)
        if sent and came:
            late.append(came - sent)
    result = {}
    result['latency'], text = common.summary(late)
    print(f'encoder to viewer  {text}   (goal: p95 under 1500)')
    result['silence'] = viewer.longest_silence(viewer.asked + zap + 1)
    print(f'longest silence    {result["silence"] * 1000:.0f} ms in {options.seconds} s')
    result['bytes'], result['null_packets'] = len(got), nulled
    result['gateway_cpu'] = cpu / options.seconds
    print(f'gateway            {100 * result["gateway_cpu"]:.1f} % of a core')
    return result


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seconds', type=int, default=30)
    parser.add_argument('--bitrate', type=int, default=3_700_000)
    parser.add_argument('--json', help='write the figures to this file')
    sys.exit(common.run(bench, parser.parse_args()))

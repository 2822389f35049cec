#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Peers name each other: by certificates of the tracker, when that is gone (RFC 7574, 12.2.2)."""

import os
import re
import socket
import stat
import threading

import media
import world
from world import INTERNET, PATIENCE, figure, wait_until

ETH_P_IP = 0x0800


class Ears:
    """Counts the big datagrams from one host that reach another; what that one sends to it, too."""

    def __init__(self, here, at, other):
        with here.at(at):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IP))
        self.own, self.other = socket.inet_aton(INTERNET[at]), socket.inet_aton(INTERNET[other])
        self.chunks = self.sent = 0
        self.socket.settimeout(0.2)
        self.over = False
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()
        here.closers.append(self.close)

    def listen(self):
        while not self.over:
            try:
                frame = self.socket.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                return
            source, target = frame[26:30], frame[30:34]
            self.chunks += (source, target) == (self.other, self.own) and len(frame) > 800
            self.sent += (source, target) == (self.own, self.other)

    def close(self):
        self.over = True
        self.thread.join()
        self.socket.close()


def has_all(path, film):
    if not os.path.exists(path):
        return False
    with open(path, 'rb') as file:
        return file.read() == film


def seeder(here, at, link, *more):
    path = os.path.join(here.folder, f'{at}.ts')
    return here.peer(at, link, '--output', path, '--seed', *more), path


def a_dead_tracker_is_not_missed(here):
    here.build_network()
    state = os.path.join(here.folder, 'tracker')
    tracker = here.tracker('--state', state)
    mode = stat.S_IMODE(os.stat(os.path.join(state, 'certify.key')).st_mode)
    assert mode == 0o600, oct(mode)
    key = re.search(r'tk=([0-9a-f]{64})', tracker.output()).group(1)
    source = os.path.join(here.folder, 'film.ts')
    media.make_film(source, 8)
    with open(source, 'rb') as file:
        film = file.read()
    here.origin('--file', f'film=A film,{source}')
    wait_until('the link names the key of the tracker', PATIENCE,
               lambda: any(f'tk={key}' in link for link in here.links()), every=0.1)
    link = here.links()[0]
    issued = here.metric('tracker', 'http://127.0.0.1:7847/metrics', 'ppsp_tracker_certified_total')
    assert issued == 1, issued

    # The first contact of the one: it is certified, and has the film.
    _, first = seeder(here, 'p1', link)
    wait_until('p1 has the film', PATIENCE, lambda: has_all(first, film), every=0.1)
    issued = here.metric('tracker', 'http://127.0.0.1:7847/metrics', 'ppsp_tracker_certified_total')
    assert issued == 2, issued
    tracker.kill()
    tracker.wait()

    # Who does not trust that tracker is told of nobody: it gets the film of the origin alone.
    bystander = Ears(here, 'p3', 'p1')
    bare = re.sub(r'&tk=[0-9a-f]+', '', link)
    assert bare != link
    origin = f'{INTERNET["origin"]}:7576'
    _, third = seeder(here, 'p3', bare, '--peers', origin)
    wait_until('p3 has the film', PATIENCE, lambda: has_all(third, film), every=0.1)
    assert bystander.sent == 0, bystander.sent

    # The other comes when the tracker is gone, and knows the origin only, whose line is thin now.
    ears = Ears(here, 'p2', 'p1')
    here.run('tc', ['tc', 'qdisc', 'add', 'dev', 'wan0', 'root', 'tbf', 'rate', '1mbit', 'burst',
                    '8k', 'latency', '100ms'], 'origin').wait()
    _, second = seeder(here, 'p2', link, '--peers', origin)
    took = wait_until('p2 gets chunks of p1', PATIENCE, lambda: ears.chunks > 0)
    figure('until p2 and p1 have found each other', took, PATIENCE)
    wait_until('p2 has the film', PATIENCE, lambda: has_all(second, film), every=0.1)
    figure('big datagrams of p1 that p2 saw', ears.chunks, unit='frames')


def without_a_place_for_the_key_nobody_is_certified(here):
    here.build_network()
    here.tracker()
    source = os.path.join(here.folder, 'film.ts')
    media.make_film(source, 2)
    here.origin('--file', f'film=A film,{source}')
    wait_until('the film has a link', PATIENCE, here.links, every=0.1)
    wait_until('the origin has joined', PATIENCE,
               lambda: here.metric('tracker', 'http://127.0.0.1:7847/metrics',
                                   'ppsp_tracker_peers') == 1, every=0.1)
    assert 'tk=' not in here.links()[0]
    assert here.metric('tracker', 'http://127.0.0.1:7847/metrics',
                       'ppsp_tracker_certified_total') == 0


if __name__ == '__main__':
    raise SystemExit(world.main(__file__, [
        a_dead_tracker_is_not_missed,
        without_a_place_for_the_key_nobody_is_certified]))

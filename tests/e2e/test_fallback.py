#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A film whose swarm is late comes from the HTTP servers that its link names, checked as ever."""

import http.server
import json
import os
import random
import re
import threading
import time
import urllib.parse
import urllib.request

import world
from world import INTERNET, LAN, figure, wait_until

PIECE = 65536


class Shelf:
    """A web server on the Internet that has the film and its hash tree, and a fault."""

    def __init__(self, here, at, film, hashes, fault=''):
        self.files, self.fault = {'/film.ts': film, '/film.ts.hashes': hashes}, fault
        self.asked, self.given, self.left = 0, 0, None  # left: bytes of content until it dies
        shelf = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_GET(self):
                shelf.serve(self)

            def log_message(self, *_):
                pass

        self.server = here.serve(at, Handler)
        self.url = f'http://{INTERNET[at]}:{self.server.server_port}/film.ts'

    def serve(self, request):
        self.asked += 1
        if self.fault == 'silent':
            time.sleep(world.PATIENCE)
        data = self.files.get(request.path)
        span = re.fullmatch(r'bytes=(\d+)-(\d+)', request.headers.get('Range', ''))
        is_hashes = request.path.endswith('.hashes')
        if data is None or not span or (is_hashes and self.fault == 'no hashes') or self.left == 0:
            request.send_error(503 if self.left == 0 else 404)
            return
        first, last = int(span.group(1)), int(span.group(2))
        body, code = bytearray(data[first:last + 1]), 206
        if self.fault == 'content lies' and not is_hashes:
            body[len(body) // 2] ^= 1
        if self.fault == 'hashes lie' and is_hashes:
            body = bytearray(byte ^ 1 for byte in body)
        if self.fault == 'no ranges':
            body, code = data, 200
        request.send_response(code)
        if code == 206:
            request.send_header('Content-Range', f'bytes {first}-{last}/{len(data)}')
        request.send_header('Content-Length', str(len(body)))
        request.end_headers()
        try:
            if self.left is not None and not is_hashes and len(body) >= self.left:
                body, self.left = body[:self.left], 0
                request.close_connection = True
            request.wfile.write(body)
            if not is_hashes:
                self.given += len(body)
                self.left = self.left and self.left - len(body)
        except OSError:
            request.close_connection = True


def make_film(here, size):
    """(its bytes, its hash tree, its link without a tracker or peers); the origin is gone again."""
    path = os.path.join(here.folder, 'film.ts')
    film = random.Random(6972).randbytes(size)
    with open(path, 'wb') as file:
        file.write(film)
    origin = here.origin('--file', f'film=A film,{path}')
    wait_until('the film has a link', 60, here.links, every=0.1)
    link, _, query = here.links()[0].partition('?')
    origin.stop()
    kept = [part for part in query.split('&') if part[:3] not in ('tr=', 'ps=', 'fb=')]
    for folder, _, names in os.walk(os.path.join(here.folder, 'origin')):
        if 'film.hashes' in names:
            with open(os.path.join(folder, 'film.hashes'), 'rb') as file:
                return film, file.read(), f'{link}?{"&".join(kept)}'
    raise AssertionError('the origin keeps no hashes')


def start_gateway(here, link, shelves, *more):
    """The film's address at a gateway that knows it from a list on its own disk."""
    for shelf in shelves:
        link += '&fb=' + urllib.parse.quote(shelf.url, safe='')
    path = os.path.join(here.folder, 'list.m3u')
    with open(path, 'w', encoding='utf-8') as file:
        file.write(f'#EXTM3U\n#EXTINF:-1 tvg-id="film",A film\n{link}\n')
    here.gateway('--channels', f'file://{path}', *more, lists=False)
    return here.wait_channels(1)[0]


def counted(here, name):
    url = f'http://{LAN["gw"]}:8574/metrics'
    return int(here.metric('tv', url, f'ppsp_channel_fallback_{name}_total') or 0)


def downloaded(here):
    url = f'http://{LAN["gw"]}:8574/metrics'
    return int(here.metric('tv', url, 'ppsp_channel_downloaded_bytes_total') or 0)


def active(here):
    status = here.get('tv', f'http://{LAN["gw"]}:8574/api/v1/status')
    return json.loads(status)['active'][0]


def a_swarm_without_seeders_plays(here):
    """The whole of it, the end first; and who has it from there can prove it to peers."""
    here.build_network()
    film, hashes, link = make_film(here, 5_000_077)
    shelf = Shelf(here, 'p1', film, hashes)
    url = start_gateway(here, link, [shelf])
    start = time.monotonic()
    code, _, body = here.status('tv', url, headers={'Range': f'bytes={len(film) - 70_000}-'})
    figure('the last bytes', time.monotonic() - start)
    assert (code, body) == (206, film[-70_000:])
    assert here.get('tv', url) == film
    figure('all of it', time.monotonic() - start)
    assert counted(here, 'bytes') == len(film), counted(here, 'bytes')
    assert counted(here, 'refused_chunks') == counted(here, 'failures') == 0
    figure('asked the server', shelf.asked, unit='times')
    figure('content that came for nothing', shelf.given - len(film), len(film) // 10, 'bytes')
    assert shelf.given - len(film) <= len(film) // 10
    asked = shelf.asked
    assert here.get('tv', url) == film and shelf.asked == asked  # it is here now
    path = os.path.join(here.folder, 'copy.ts')
    peer = here.peer('p2', f'{link}&ps={INTERNET["gw"]}:7574', '--output', path)
    assert peer.wait() == 0, peer.output()
    with open(path, 'rb') as file:
        assert file.read() == film


def a_seeder_takes_over(here):
    here.build_network()
    film, hashes, link = make_film(here, 32 << 20)
    here.tracker()
    shelf = Shelf(here, 'p1', film, hashes)
    link += '&tr=' + urllib.parse.quote(here.tracker_uri, safe='')
    url = start_gateway(here, link, [shelf])
    got = bytearray()
    with here.at('tv'):
        answer = urllib.request.urlopen(url, timeout=world.PATIENCE)

    def read(n, pause=1e-6):
        """As a player does that needs 8 Mbit/s; or as fast as it goes."""
        end = min(len(got) + n, len(film))
        while len(got) < end:
            piece = answer.read(min(PIECE, end - len(got)))
            assert piece, len(got)
            got.extend(piece)
            time.sleep(len(piece) * pause)
    read(2 << 20)
    before = counted(here, 'bytes')
    figure('from the server', before, unit='bytes')
    assert before >= 2 << 20 and active(here)['fallback_active'] is True
    here.origin('--file', f'film=A film,{os.path.join(here.folder, "film.ts")}')
    while active(here)['fallback_active'] and len(got) < len(film) // 2:
        read(PIECE)
    figure('read until the swarm took over', len(got), len(film) // 2, 'bytes')
    assert active(here)['fallback_active'] is False and active(here)['peers'] > 0
    # The server may still help where the machine is slow; most of it comes from the swarm all the same.
    server, swarm = counted(here, 'bytes'), downloaded(here)
    while downloaded(here) - swarm < 3 << 20 and len(got) < len(film):
        read(PIECE)
    figure('from the swarm then', downloaded(here) - swarm, 3 << 20, 'bytes')
    figure('and from the server meanwhile', counted(here, 'bytes') - server, unit='bytes')
    assert downloaded(here) - swarm >= 3 << 20
    read(len(film), 0)
    assert bytes(got) == film


def liars_are_left_alone(here):
    here.build_network()
    film, hashes, link = make_film(here, 3_000_000)
    faults = ['no ranges', 'content lies', 'hashes lie', 'no hashes']
    bad = [Shelf(here, 'p1', film, hashes, fault) for fault in faults]
    good = Shelf(here, 'p2', film, hashes)
    url = start_gateway(here, link, bad + [good])
    assert here.get('tv', url) == film
    for shelf in bad:
        figure(f'a server whose fault is "{shelf.fault}" was asked', shelf.asked, unit='times')
        assert 1 <= shelf.asked <= 20, shelf.asked
    assert counted(here, 'refused_chunks') == 2, counted(here, 'refused_chunks')
    assert counted(here, 'bytes') == len(film)
    log = here.processes[-1].output()
    for shelf in bad:
        assert 1 <= log.count(shelf.url) <= 3, log


def a_server_dies(here):
    """In the middle of an answer; and a second one later, which then comes back. One never speaks."""
    here.build_network()
    film, hashes, link = make_film(here, 6_000_000)
    first, second = Shelf(here, 'p1', film, hashes), Shelf(here, 'p2', film, hashes)
    first.left, second.left = 1_000_001, 2_000_003
    silent = Shelf(here, 'p3', film, hashes, 'silent')
    url = start_gateway(here, link, [silent, first, second])
    answer = []
    reader = threading.Thread(target=lambda: answer.append(here.get('tv', url)), daemon=True)
    reader.start()
    wait_until('both are dead', world.PATIENCE, lambda: first.left == second.left == 0)
    second.left = None
    reader.join(world.PATIENCE)
    assert answer and answer[0] == film
    assert first.given >= 1_000_000 and second.given >= 2_000_000
    assert silent.asked > 0 and counted(here, 'failures') >= 3 and counted(here, 'refused_chunks') == 0
    assert counted(here, 'bytes') == len(film)


if __name__ == '__main__':
    raise SystemExit(world.main(__file__, [
        a_swarm_without_seeders_plays,
        a_seeder_takes_over,
        liars_are_left_alone,
        a_server_dies]))

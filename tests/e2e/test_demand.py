#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A film on demand, from the origin's disk to the television, in any order of its bytes."""

import hashlib
import os
import random
import re
import time

import control_point
import media
import ts
import world
from world import LAN, PATIENCE, figure, wait_until


def serve_film(here, seconds=20):
    """(bytes of the film, its address at the gateway)"""
    here.build_network()
    here.tracker()
    path = os.path.join(here.folder, 'film.ts')
    media.make_film(path, seconds)
    here.origin('--file', f'film=A film,{path}')
    wait_until('the film has a link', PATIENCE, here.links, every=0.1)
    here.gateway()
    with open(path, 'rb') as file:
        return file.read(), here.wait_channels(1)[0]


def part(here, url, first, last, at='tv'):
    code, headers, body = here.status(at, url, headers={'Range': f'bytes={first}-{last}'})
    assert code == 206, f'{code} for {first}-{last}: {body[:200]}'
    return headers, body


def times_are_known_and_sought(here):
    """Once somebody has watched it, a television is told how long the film is, and seeks by time."""
    film, url = serve_film(here, seconds=60)
    assert here.get('tv', url, headers={'Range': 'bytes=0-999'}) == film[:1000]

    def resource():
        with here.at('tv'):
            server = control_point.find('lan0', seconds=PATIENCE)
            elements, _, _ = server.browse('films:')
        return elements[0].find(f'{control_point.DIDL}res')
    wait_until('the film has a duration', PATIENCE, lambda: resource().get('duration'), every=0.2)
    res = resource()
    print(f'    {res.attrib}')
    hours, minutes, seconds = res.get('duration').split(':')
    duration = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    assert 59 < duration <= 60, duration
    assert abs(int(res.get('bitrate')) - len(film) / duration) < 2, res.attrib
    assert 'DLNA.ORG_OP=11' in res.get('protocolInfo') and res.get('resolution') == '640x360'
    for wanted in (0, 17.25, 45, 58):
        code, headers, body = here.status('tv', url, headers={'TimeSeekRange.dlna.org': f'npt={wanted}-'})
        said = headers['TimeSeekRange.dlna.org']
        place = re.fullmatch(r'npt=([\d.]+)-([\d.]+)/([\d.]+) bytes=(\d+)-(\d+)/(\d+)', said)
        assert code == 200 and place, (code, said)
        first = int(place.group(4))
        assert body == film[first:] and int(headers['Content-Length']) == len(body)
        # What a decoder finds there: a picture, at that time or up to a key frame before.
        path = os.path.join(here.folder, 'part.ts')
        with open(path, 'wb') as file:
            file.write(body)
        begin = ts.first_time(path) - ts.first_time(os.path.join(here.folder, 'film.ts'))
        figure(f'asked for {wanted} s: {said}; the first picture', begin)
        assert wanted - 2 <= begin <= wanted + 0.5, begin
        assert ts.decode_errors(path) == ''


def it_goes_on_where_the_household_stopped(here):
    """A viewer leaves in the middle; sets, players and the page are told where, also after a restart."""
    film, url = serve_film(here, seconds=60)
    name = re.search(r'/media/(.+)\.ts', url).group(1)

    gateway = here.processes[-1]

    def shown(what):
        with here.at('tv'):
            server = control_point.find('lan0', seconds=PATIENCE)
            return server.browse('films:')[0][0].findtext(what)
    place = control_point.UPNP + 'lastPlaybackPosition'

    def seconds():
        hours, minutes, rest = (shown(place) or '0:0:0').split(':')
        return int(hours) * 3600 + int(minutes) * 60 + float(rest)
    part(here, url, 0, 999)
    wait_until('the film can be sought by time', PATIENCE, lambda: here.status(
        'tv', url, headers={'TimeSeekRange.dlna.org': 'npt=59-'})[0] == 200, every=0.2)
    assert seconds() == 0
    part(here, url, 0, len(film) * 2 // 3)
    wait_until('it is known where', PATIENCE, seconds, every=0.2)
    assert abs(seconds() - 25) < 1, seconds()  # two thirds of a minute, less what a player reads ahead
    assert re.fullmatch(r'CREATIONDATE=0,FOLDER=A film,BM=2[45]', shown(
        '{http://www.sec.co.kr/dlna}dcmInfo'))
    gateway.stop()
    here.gateway()
    here.wait_channels(1)
    wait_until('the television finds it again', PATIENCE, lambda: abs(seconds() - 25) < 1, every=0.2)
    playlist = here.get('tv', f'http://{LAN["gw"]}:8574/channels.m3u?id={name}&resume=1').decode()
    assert re.search(r'(?m)^#EXTVLCOPT:start-time=2[45]$', playlist), playlist
    with here.at('tv'):
        server = control_point.find('lan0', seconds=PATIENCE)
        server.call(control_point.DIRECTORY, 'X_SetBookmark', CategoryType=0, RID=0,
                    ObjectID=server.browse('films:')[0][0].get('id'), PosSecond=41)
    assert seconds() == 41
    part(here, url, len(film) // 4, len(film) - 1)
    wait_until('it was seen to its end', PATIENCE, lambda: seconds() == 0, every=0.2)


def ranges_out_of_order_are_the_film(here):
    film, url = serve_film(here)
    size = len(film)
    code, headers, _ = here.status('tv', url, method='HEAD')
    assert code == 200 and int(headers['Content-Length']) == size, (code, str(headers))
    assert headers['Accept-Ranges'] == 'bytes', str(headers)
    with here.at('tv'):
        server = control_point.find('lan0', seconds=PATIENCE)
        item = server.items()[0]
    assert item['size'] == str(size) and 'DLNA.ORG_OP=01' in item['protocol'], item
    # The end first, as a player does that looks for an index; then the rest as chance has it.
    cuts = sorted(random.Random(7574).sample(range(1, size), 60))
    runs = list(zip([0, *cuts], [*cuts, size]))
    random.Random(7846).shuffle(runs)
    runs.sort(key=lambda run: run[1] != size)
    got, slowest, start = bytearray(size), 0.0, time.monotonic()
    for first, end in runs:
        asked = time.monotonic()
        headers, body = part(here, url, first, end - 1)
        slowest = max(slowest, time.monotonic() - asked)
        assert headers['Content-Range'] == f'bytes {first}-{end - 1}/{size}', str(headers)
        assert len(body) == end - first, (len(body), first, end)
        got[first:end] = body
    figure(f'{len(runs)} ranges of {size} bytes', time.monotonic() - start)
    figure('the slowest of them', slowest, 5.0)
    assert hashlib.sha256(got).hexdigest() == hashlib.sha256(film).hexdigest()
    assert slowest < 5.0


def odd_ranges_are_answered_as_rfc_9110_says(here):
    film, url = serve_film(here, seconds=4)
    size = len(film)
    _, body = part(here, url, size - 100, '')
    assert body == film[-100:]
    code, _, body = here.status('tv', url, headers={'Range': 'bytes=-500'})
    assert (code, body) == (206, film[-500:])
    code, headers, body = here.status('tv', url, headers={'Range': f'bytes={size}-'})
    assert code == 416 and headers['Content-Range'] == f'bytes */{size}', (code, str(headers))
    code, _, body = here.status('tv', url, headers={'Range': f'bytes=0-{size + 1000}'})
    assert (code, len(body)) == (206, size)
    code, _, body = here.status('tv', url, headers={'Range': 'bytes=oranges'})
    assert code == 200 and len(body) == size, code
    code, _, _ = here.status('tv', f'http://{LAN["gw"]}:8574/media/nosuch.ts')
    assert code == 404, code


def two_readers_at_two_places(here):
    film, url = serve_film(here)
    half = len(film) // 2
    first = media.Viewer(here, url, headers={'Range': f'bytes=0-{half - 1}'})
    second = media.Viewer(here, url, at='tv2', headers={'Range': f'bytes={half}-'})
    wait_until('both have read', PATIENCE, lambda: first.ended and second.ended)
    assert bytes(first.data) == film[:half] and bytes(second.data) == film[half:]
    # A reader who goes in the middle leaves nothing broken behind.
    gone = media.Viewer(here, url, headers={'Range': 'bytes=1000-'})
    gone.wait('some bytes', PATIENCE, lambda: len(gone.data) > 100_000)
    gone.stop()
    _, body = part(here, url, 0, len(film) - 1)
    assert body == film


def disk_use(folder):
    """Bytes that its files take on the disk."""
    return sum(os.lstat(os.path.join(base, name)).st_blocks * 512
               for base, _, names in os.walk(folder) for name in names)


def a_film_three_times_the_cache(here):
    """Read whole, then out of order with what was dropped among it, and again after kill -9."""
    quota, size = 16 << 20, 48 << 20
    here.build_network()
    here.tracker()
    path = os.path.join(here.folder, 'film.ts')
    film = random.Random(6972).randbytes(size)
    with open(path, 'wb') as file:
        file.write(film)
    here.origin('--file', f'film=A film,{path}')
    wait_until('the film has a link', PATIENCE, here.links, every=0.1)
    gateway = here.gateway('--cache', str(quota))
    url = here.wait_channels(1)[0]
    folder, most = os.path.join(here.folder, 'gateway', 'cache'), 0
    step = 3_000_017
    runs = [(first, min(first + step, size)) for first in range(0, size, step)]
    chance = random.Random(5)
    for order in ('in order', 'by chance', 'after a kill'):
        got = bytearray(size)
        for number, (first, end) in enumerate(runs):
            if order == 'after a kill' and number == len(runs) // 2:
                gateway.kill()
                gateway.wait()
                gateway = here.gateway('--cache', str(quota))
                here.wait_channels(1)
            _, got[first:end] = part(here, url, first, end - 1)
            most = max(most, disk_use(folder))
        assert hashlib.sha256(got).digest() == hashlib.sha256(film).digest(), order
        chance.shuffle(runs)
    figure('the most that the cache took', most / 2**20, quota / 2**20, 'MiB')
    assert quota / 2 < most <= quota, most


def a_plain_peer_gets_the_film(here):
    film, _ = serve_film(here, seconds=8)
    path = os.path.join(here.folder, 'copy.ts')
    peer = here.peer('p1', here.links()[0], '--output', path)
    start = time.monotonic()
    assert peer.wait(30) == 0, peer.output()
    figure(f'{len(film)} bytes', time.monotonic() - start, 30)
    with open(path, 'rb') as file:
        assert file.read() == film


if __name__ == '__main__':
    raise SystemExit(world.main(__file__, [
        times_are_known_and_sought,
        it_goes_on_where_the_household_stopped,
        ranges_out_of_order_are_the_film,
        odd_ranges_are_answered_as_rfc_9110_says,
        two_readers_at_two_places,
        a_film_three_times_the_cache,
        a_plain_peer_gets_the_film]))

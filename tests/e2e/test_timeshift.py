#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Time-shift: who pauses goes on with the next byte, who steps back gets a picture, and a disk that is
full costs nobody anything."""

import json
import os
import re
import urllib.parse

import media
import test_hls
import ts
import world
from world import figure, wait_until

RATE = 8_000_000
MEMORY = 4 << 20           # bytes of the ring: four seconds
BACKLOG = 18 << 20         # bytes that a disk may be behind, and what was read from it
SOCKETS = 8 << 20          # bytes that two kernels may hold of a stream that nobody reads
BEHIND = 24 << 20          # bytes: more than all these, by what the encoder sends in ten seconds and more
LONG = 300                 # s, for what takes 25 seconds of an encoder that has a processor for itself
STATUS = 'http://127.0.0.1:8574/api/v1/status'


def chain(here, *more, state='gateway'):
    here.build_network()
    here.tracker()
    here.origin('--channel', 'one=One')
    gateway = here.gateway('--memory', str(MEMORY), *more, state=state)
    url = here.wait_channels(1)[0]
    return gateway, url, media.Encoder(here, 'one', bitrate=int(RATE * 0.93)).sends()


def behind(here, at):
    """ms behind live, of the viewer there."""
    viewers = json.loads(here.get('gw', STATUS))['viewers']
    return next(v['behind_ms'] for v in viewers if v['viewer'].startswith(world.LAN[at] + ' '))


def active(here):
    return json.loads(here.get('gw', STATUS))['active'][0]


def who_pauses_goes_on_with_the_next_byte(here):
    gateway, url, encoder = chain(here, '--timeshift', '256M')
    viewer, other = media.Viewer(here, url, timeout=LONG), media.Viewer(here, url, at='tv2')
    viewer.wait_key(3, 60)
    flags = 'DLNA.ORG_FLAGS=4D300000'  # not paced by us, by time, may be stalled
    assert flags in viewer.headers['contentFeatures.dlna.org'], viewer.headers
    viewer.pause()
    paused = len(encoder.sent)
    wait_until('the encoder has sent more than memory and sockets hold', LONG,
               lambda: len(encoder.sent) - paused > BEHIND, every=0.2)
    wait_until('half of that is on disk', LONG, lambda: active(here)['timeshift'] > BEHIND // 2, every=0.2)
    status = active(here)
    figure('the window', status['window'], unit='s')
    figure('on disk', status['timeshift'], unit='bytes')
    assert status['timeshift_error'] is None and status['memory'] <= MEMORY + BACKLOG, status
    metrics = here.get('gw', 'http://127.0.0.1:8574/metrics').decode()
    told = int(re.search(r'ppsp_channel_timeshift_bytes{channel="one"} (\d+)', metrics).group(1))
    assert told >= status['timeshift'], metrics
    assert os.listdir(os.path.join(here.folder, 'gateway', 'timeshift')) == [], 'it has a name'
    late = len(encoder.sent) - len(viewer.data)
    assert late > MEMORY + SOCKETS, late
    assert behind(here, 'tv') >= 500 * (BEHIND - SOCKETS) * 8 // RATE, behind(here, 'tv')
    viewer.resume()
    until = len(encoder.sent)
    viewer.wait('all of it', LONG, lambda: len(viewer.data) > until)
    wait_until('it is live again', LONG, lambda: behind(here, 'tv') <= 1000, every=0.2)
    data = viewer.stop()
    at, front, _ = ts.place_in(bytes(encoder.sent), data)
    figure(f'bytes, contiguous in what the encoder sent, {late} of them late', len(data),
           unit=f'at {at}, {front} table packets in front')
    got = other.stop()  # before we look at what was sent until then
    ts.place_in(bytes(encoder.sent), got)
    assert gateway.alive() and gateway.stop() == 0


def a_start_from_15_seconds_back_decodes(here):
    _, url, encoder = chain(here, '--timeshift', '256M')
    first = media.Viewer(here, url)
    first.wait_key(1, 60)
    wait_until('20 seconds are kept', LONG, lambda: active(here)['window'] >= 20, every=0.2)
    before = media.Viewer(here, url, at='tv2')
    before.wait_key(1, 60)
    back = media.Viewer(here, url + '?back=15', at='tv2')
    back.wait_key(1, 60)
    after = media.Viewer(here, url, at='tv2')
    after.wait_key(1, 60)
    back.wait('20 seconds of it', LONG, lambda: len(back.keys) >= 20)
    got_back, others = back.stop(), [before.stop(), after.stop()]
    sent = bytes(encoder.sent)  # at least what they got
    at_back, _, _ = ts.place_in(sent, got_back)
    # What was live when it began lies between what two others began with.
    keys = []
    for got in others:
        at, _, _ = ts.place_in(sent, got)
        parser = ts.Parser()
        parser.feed(sent[at_back - at_back % ts.SIZE:at])
        keys.append(len(parser.keys))
    figure('key frames from there to live', keys, 'at most 16, at least 14', '')
    assert keys[0] <= 16 and keys[1] >= 14
    path = os.path.join(here.folder, 'back.ts')
    with open(path, 'wb') as file:
        file.write(ts.whole_units(bytes(back.data)))
    errors = ts.decode_errors(path)
    assert errors == '', f'ffmpeg: {errors[:2000]}'
    _, headers, _ = here.status('tv', url, method='HEAD', headers={'getAvailableSeekRange.dlna.org': '1'})
    told = headers['availableSeekRange.dlna.org']
    first, last = map(float, re.fullmatch(r'1 npt=([0-9.]+)-([0-9.]+)', told).groups())
    figure('the range that sets are told', last - first)
    assert last - first >= 20, told
    timed = media.Viewer(here, url, at='tv2', headers={
        'Range': None, 'TimeSeekRange.dlna.org': f'npt={last - 10:.3f}-'})
    timed.wait('10 seconds of it', LONG, lambda: len(timed.keys) >= 10)
    begins = float(re.match(r'npt=([0-9.]+)-', timed.headers['TimeSeekRange.dlna.org']).group(1))
    assert last - 11.1 <= begins <= last - 10 + 0.001, (told, timed.headers['TimeSeekRange.dlna.org'])
    got = timed.stop()
    ts.place_in(bytes(encoder.sent), got)
    for wrong in ('-1', 'x', '1.5', '99999999', ''):
        code, _, _ = here.status('tv', f'{url}?back={wrong}')
        assert code == 400, (wrong, code)


def hls_steps_back(here):
    _, url, _ = chain(here, '--timeshift', '256M')
    url = test_hls.playlist_of(url)
    player = test_hls.Player(here, url)

    def grown():
        player.poll()
        return len(re.findall('^#EXTINF', player.lists[-1], re.M)) >= 9
    wait_until('the list is longer than memory', LONG, grown, every=0.5)
    number = int(re.search(r'^#EXT-X-MEDIA-SEQUENCE:(\d+)$', player.lists[-1], re.M).group(1))
    listed = re.findall(r'^#EXTINF:[0-9.]+,\n(\S+)$', player.lists[-1], re.M)
    again = {number + i: here.get('tv', urllib.parse.urljoin(url, address))
             for i, address in enumerate(listed)}
    size = sum(map(len, again.values()))
    figure('bytes in the list', size, f'more than {2 * MEMORY}', '')
    assert size > 2 * MEMORY
    same = [n for n, data in again.items() if player.segments.get(n, data) == data]
    assert same == list(again), (same, list(again))
    assert set(again) & set(player.segments)
    path = os.path.join(here.folder, 'hls.ts')
    ffmpeg = here.run('player', ['ffmpeg', '-nostdin', '-loglevel', 'warning', '-live_start_index', '0', '-i',
                                 url, '-t', '12', '-c', 'copy', '-f', 'mpegts', path], 'tv')
    assert ffmpeg.wait(LONG) == 0, ffmpeg.output()
    errors = ts.decode_errors(path)
    assert errors == '', f'ffmpeg: {errors[:2000]}'
    length, n, step = ts.gaps(path)['video']
    figure(f'{n} frames over {length:.1f} s, greatest step of PTS', step, f'{1.5 / media.RATE:.3f}')
    assert step <= 1.5 / media.RATE and length > 10


def a_full_disk_costs_nobody_anything(here):
    disk = here.mount_small_disk('small', 8192)
    gateway, url, _ = chain(here, '--timeshift', '64M', state=os.path.join(disk, 'state'))
    viewer = media.Viewer(here, url)
    viewer.wait_key(1, 60)
    wait_until('the owner is told', LONG, lambda: active(here)['timeshift_error'], every=0.2)
    assert 'No space left' in active(here)['timeshift_error'], active(here)
    known = len(viewer.keys)
    viewer.wait('live goes on', LONG, lambda: len(viewer.keys) >= known + 8)
    assert gateway.output().count('time-shift is off') == 1, gateway.output()
    assert ts.counter_jumps(bytes(viewer.stop()))[0] == []
    assert gateway.alive() and gateway.stop() == 0


if __name__ == '__main__':
    raise SystemExit(world.main(__file__, [
        who_pauses_goes_on_with_the_next_byte,
        a_start_from_15_seconds_back_decodes,
        hls_steps_back,
        a_full_disk_costs_nobody_anything]))

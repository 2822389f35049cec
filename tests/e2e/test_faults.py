#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Programs that die, each with the time that its neighbours may need to be over it."""

import json
import os
import random
import socket
import time

import media
import ts
import world
from world import INTERNET, PATIENCE, figure, wait_until

MEDIA_GATEWAY = 'http://127.0.0.1:8574'
JSON = {'Content-Type': 'application/json', 'X-PPSP': '1'}


def on_air(here, keep=False, env=None):
    """A running chain with one viewer who has a picture."""
    here.build_network()
    tracker = here.tracker()
    origin = here.origin('--channel', 'air=On air')
    gateway = here.gateway(env=env)
    encoder = media.Encoder(here, 'air', keep=keep)
    url = here.wait_channels(1)[0]
    viewer = media.Viewer(here, url)
    viewer.wait_key(2)
    return tracker, origin, gateway, encoder, viewer


def the_origin_dies_and_comes_back(here):
    """The same link, and the picture within 3 s of its return, if the encoder is back by then; nothing signed
    twice."""
    _, origin, _, encoder, viewer = on_air(here, keep=True)
    link = here.links()
    time.sleep(3)
    origin.kill()
    origin.wait()
    time.sleep(2)
    sent = len(encoder.sent)
    here.origin('--channel', 'air=On air')
    back = time.monotonic()
    assert here.links() == link, 'another link'
    wait_until('the encoder sends again', PATIENCE, lambda: len(encoder.sent) > sent)
    # How long an encoder takes to start again is no promise of ours.
    ready = max(back, next(moment for moment, n in encoder.relay.times if n > sent))
    figure('from the origin\'s return to a picture, same connection', viewer.wait_key_after(back))
    took = viewer.wait_key_after(ready)
    figure('of that, since the encoder was back', took, 3.0)
    assert took <= 3.0
    time.sleep(3)
    viewer.wait_key_after(time.monotonic())
    got = viewer.stop()
    # What comes after the break is again a contiguous part of what the encoders sent.
    first = next(at for moment, at in viewer.keys if moment > back)
    parser = ts.Parser()
    parser.feed(got)
    tail = got[first:]
    assert bytes(encoder.sent).find(ts.whole_units(tail)[:400 * ts.SIZE]) >= 0 or \
        ts.place_in(bytes(encoder.sent), b''.join(
            p for p in ts.packets(got) if ts.pid(p) in (0, parser.pmt))[:2 * ts.SIZE] + tail)


def the_tracker_dies_and_nobody_notices(here):
    tracker, _, _, encoder, viewer = on_air(here)
    time.sleep(2)
    tracker.kill()
    dead = time.monotonic()
    time.sleep(10)
    silence = viewer.longest_silence(dead)
    figure('longest silence of the viewer in 10 s without a tracker', silence, 1.0)
    assert silence < 1.0
    got = viewer.stop()  # before we look at what was sent until then
    ts.place_in(bytes(encoder.sent), got)
    # It comes back with nothing in memory; who asks after a while is told of the origin again.
    here.tracker()
    link = here.links()[0]

    def registered():
        peer = here.peer('p1', link, '--output', os.path.join(here.folder, 'p1.ts'))
        for _ in range(40):
            time.sleep(0.1)
            if os.path.exists(os.path.join(here.folder, 'p1.ts')) and \
                    os.path.getsize(os.path.join(here.folder, 'p1.ts')) > 200_000:
                return True
        peer.kill()
        return False
    figure('a newcomer finds the swarm after the tracker\'s return',
           wait_until('a newcomer has a picture', 100, registered, every=0.5), 100)


def the_encoder_dies_and_comes_back(here):
    _, _, _, encoder, viewer = on_air(here)
    time.sleep(2)
    encoder.process.kill()
    encoder.process.wait()
    time.sleep(3)
    answers = len(encoder.relay.answers)
    sent = len(encoder.sent)
    encoder.start()
    wait_until('the encoder sends again', PATIENCE, lambda: len(encoder.sent) > sent)
    back = time.monotonic()
    took = viewer.wait_key_after(back, 10)
    figure('from the encoder\'s first byte to a picture, same connection', took, 2.0)
    assert took <= 2.0
    assert len(encoder.relay.answers) == answers, encoder.relay.answers
    time.sleep(3)
    # All that came is in order and of the encoder, whatever the pause was filled with.
    parser = ts.Parser()
    got = viewer.stop()
    parser.feed(got)
    assert len(parser.keys) >= 5, parser.keys
    stream = b''.join(p for p in ts.packets(got[2 * ts.SIZE:])
                      if ts.pid(p) not in (ts.NULL, 0, parser.pmt) and p[3] & 0x10)
    sent = b''.join(p for p in ts.packets(bytes(encoder.sent)[:len(encoder.sent) // ts.SIZE * ts.SIZE])
                    if ts.pid(p) not in (0, parser.pmt))
    half = len(stream) // ts.SIZE // 2 * ts.SIZE
    assert sent.find(stream[:100 * ts.SIZE]) >= 0 and sent.find(stream[half:half + 100 * ts.SIZE]) >= 0


def the_gateway_dies_and_comes_back(here):
    """-9: listening again within 1 s of its start; a new request plays; the catalog is whole."""
    here.build_network()
    here.tracker()
    here.origin('--channel', 'air=On air')
    encoder = media.Encoder(here, 'air')
    listed = os.path.join(here.folder, 'list.m3u')
    with open(listed, 'wb') as file:
        file.write(here.get('origin', 'http://127.0.0.1:7575/channels.m3u'))
    words = ('--channels', f'file://{listed}')
    gateway = here.gateway(*words, lists=False)
    viewer = media.Viewer(here, here.wait_channels(1)[0])
    viewer.wait_key(2)
    # A channel that is in no list: pasted by somebody of the household.
    other = here.run('origin2', [world.program('ppsp-origin'), '--http', '127.0.0.1:7575', '--peer',
                                 f'{INTERNET["p3"]}:7576', '--channel', 'other=Other', '--state',
                                 os.path.join(here.folder, 'other')], 'p3')
    here.wait_healthy('p3', 'http://127.0.0.1:7575/channels.m3u', other)
    link = next(line for line in here.get('p3', 'http://127.0.0.1:7575/channels.m3u').decode()
                .splitlines() if line.startswith('ppsp:'))
    code, _, answer = here.status(
        'gw', f'{MEDIA_GATEWAY}/api/v1/channels', 'POST', headers=JSON,
        data=json.dumps({'link': link, 'name': 'Pasted'}).encode())
    assert code in (200, 201), f'{code} {answer[:500]}'
    assert len(catalog(here)) == 2, catalog(here)
    before = catalog(here)
    # The list is out of reach from now on: what comes back comes from the disk.
    os.rename(listed, listed + '.gone')
    for kill in range(5):
        gateway.kill()
        gateway.wait()
        gateway = here.gateway(*words, wait=False, lists=False)
        took = here.wait_healthy('gw', f'{MEDIA_GATEWAY}/healthz', gateway)
        figure(f'kill {kill + 1}: from the start to an answer', took, 1.0)
        assert took <= 1.0
        assert catalog(here) == before, f'{catalog(here)} instead of {before}'
    again = media.Viewer(here, viewer.url)
    figure('a new request plays', again.wait_key(seconds=5), 5)
    time.sleep(3)
    got = again.stop()
    ts.place_in(bytes(encoder.sent), got)
    assert viewer.ended, 'the old connection should have ended'


def catalog(here):
    """Names and links of the gateway's channels, by their IDs."""
    found = json.loads(here.get('gw', f'{MEDIA_GATEWAY}/api/v1/channels'))['channels']
    one = f'{MEDIA_GATEWAY}/api/v1/channels/'
    return {c['id']: (c['name'], json.loads(here.get('gw', one + c['id']))['link']) for c in found}


def garbage_on_every_port_changes_nothing(here):
    """Random and half-right datagrams at every UDP port, broken HTTP at every TCP port."""
    tracker, origin, gateway, encoder, viewer = on_air(here)
    chance = random.Random(7574)
    start = time.monotonic()
    with here.at('p1'):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    n = 0
    while time.monotonic() - start < 6:
        for target in ((INTERNET['origin'], 7576), (INTERNET['gw'], 7574)):
            size = chance.choice((0, 1, 4, 5, 11, 40, 200, 1200, 1400))
            data = chance.randbytes(size)
            if chance.random() < 0.5:  # a handshake on channel 0, RFC 7574, 8.3, that goes astray
                data = bytes(4) + b'\0' + chance.randbytes(4) + b'\0\1\1\1\2' + data
            try:
                udp.sendto(data, target)
            except OSError:
                pass
            n += 1
        if n % 200 == 0:
            time.sleep(0.01)
    udp.close()
    for at, port in (('tracker', 7846), ('origin', 7575), ('gw', 8574), ('gw', 8575)):
        host = '192.168.77.1' if at == 'gw' else INTERNET[at]
        for data in (b'\0' * 5000, b'GET / HTTP/9.9\r\n\r\n', b'POST / HTTP/1.1\r\nHost: x\r\n'
                     b'Content-Length: 99999999999\r\n\r\n' + b'[' * 200000,
                     b'GET /' + b'A' * 100000 + b' HTTP/1.1\r\n\r\n',
                     b'GET /media/../../etc/passwd HTTP/1.0\r\n\r\n', b'\x16\x03\x01' + b'\xff' * 300):
            try:
                with here.at('tv' if at == 'gw' else 'p1'), \
                        socket.create_connection((host, port), timeout=2) as tcp:
                    tcp.settimeout(0.3)
                    tcp.sendall(data)
                    answer = tcp.recv(65536)
                    assert b'root:' not in answer
            except OSError:
                pass
    for process in (tracker, origin, gateway):
        assert process.alive(), f'{process.name} died: {process.output()[-2000:]}'
        lines = process.output().count('\n')
        figure(f'log lines of the {process.name}', lines, 60, '')
        assert lines < 60, 'one line a packet'
        rss = process.status('VmHWM')
        figure(f'most memory of the {process.name}', rss // 1024, 64, 'MB')
        assert rss < 64 * 1024
    silence = viewer.longest_silence(start)
    figure(f'longest silence of the viewer under {n} datagrams', silence, 1.5)
    assert silence < 1.5
    got = viewer.stop()
    ts.place_in(bytes(encoder.sent), got)


def all_end_cleanly_when_asked(here):
    tracker, origin, gateway, _, viewer = on_air(here)
    for process in (gateway, origin, tracker):
        start = time.monotonic()
        code = process.stop()
        figure(f'the {process.name} ends', time.monotonic() - start, 5.0)
        assert code == 0, f'{process.name}: exit code {code}\n{process.output()[-2000:]}'
        assert time.monotonic() - start < 5.0
    wait_until('the viewer\'s stream ends', PATIENCE, lambda: viewer.ended)


if __name__ == '__main__':
    raise SystemExit(world.main(__file__, [
        the_origin_dies_and_comes_back,
        the_tracker_dies_and_nobody_notices,
        the_encoder_dies_and_comes_back,
        the_gateway_dies_and_comes_back,
        garbage_on_every_port_changes_nothing,
        all_end_cleanly_when_asked]))

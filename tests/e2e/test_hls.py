#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A live channel as HLS: a player of others decodes it, and its segments are the encoder's bytes."""

import os
import re
import socket
import time
import urllib.parse

import media
import ts
import world
from world import PATIENCE, figure, wait_until

SECONDS = 20


def chain(here, *channels):
    here.build_network()
    here.tracker()
    here.origin(*[word for channel in channels for word in ('--channel', channel)])
    gateway = here.gateway()
    return gateway, here.wait_channels(len(channels))


def playlist_of(url):
    return re.sub(r'\.ts$', '.m3u8', url)


class Player:
    """Fetches a playlist again and again, and each segment once, as its text says."""

    def __init__(self, here, url):
        self.here, self.url = here, url
        self.segments, self.durations, self.lists, self.target = {}, {}, [], None

    def poll(self):
        text = self.here.get('tv', self.url, timeout=20).decode()
        assert text.startswith('#EXTM3U\n'), text
        self.lists.append(text)
        number = int(re.search(r'^#EXT-X-MEDIA-SEQUENCE:(\d+)$', text, re.M).group(1))
        target = int(re.search(r'^#EXT-X-TARGETDURATION:(\d+)$', text, re.M).group(1))
        self.target = self.target or target
        assert target == self.target, 'the target duration was %d: %s' % (self.target, text)
        for duration, address in re.findall(r'^#EXTINF:([0-9.]+),\n(\S+)$', text, re.M):
            assert round(float(duration)) <= target, text
            if number not in self.segments:
                self.durations[number] = float(duration)
                self.segments[number] = self.here.get(
                    'tv', urllib.parse.urljoin(self.url, address))
            number += 1


def segments_are_what_the_encoder_sent(here):
    gateway, urls = chain(here, 'one=One')
    encoder = media.Encoder(here, 'one').sends()
    url = playlist_of(urls[0])
    player = Player(here, url)
    start = time.monotonic()
    player.poll()
    figure('the first playlist of a channel that was off', time.monotonic() - start)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        time.sleep(0.5)
        player.poll()
    numbers = sorted(player.segments)
    assert numbers == list(range(numbers[0], numbers[-1] + 1)), numbers
    assert len(numbers) >= SECONDS / 2 / 2, numbers
    assert not any('DISCONTINUITY\n' in text for text in player.lists), player.lists[-1]
    whole = b''
    for number in numbers:
        data = player.segments[number]
        first, second, third = list(ts.packets(data[:3 * ts.SIZE]))
        assert ts.pid(first) == 0, 'a segment begins with the PAT'
        # Each has tables of its own in front; behind them it goes on where the last one ended.
        whole += data if not whole else data[2 * ts.SIZE:]
    at, front, _ = ts.place_in(bytes(encoder.sent), whole)
    figure(f'bytes of {len(numbers)} segments, contiguous in what the encoder sent', len(whole),
           unit=f'at {at}, {front} table packets in front')
    parser = ts.Parser()
    parser.feed(whole)
    figure('key frames', len(parser.keys), unit='')
    assert len(parser.keys) >= len(numbers)
    code, headers, body = here.status('tv', url)
    assert code == 200 and headers['Content-Type'] == 'application/vnd.apple.mpegurl', headers
    for wrong in ('/media/none.m3u8', '/media/one/1.ts', '/media/one/x.ts', '/media/one/.ts',
                  '/media/one/99999999999999999999999.ts', '/media//1.ts', '/media/.m3u8'):
        code, _, _ = here.status('tv', urllib.parse.urljoin(url, wrong))
        assert code == 404, (wrong, code)
    assert here.metric('gw', 'http://127.0.0.1:8574/metrics', 'ppsp_hls_channels') == 1
    assert gateway.alive()


def a_player_of_others_plays_it(here):
    _, urls = chain(here, 'one=One')
    media.Encoder(here, 'one').sends()
    path = os.path.join(here.folder, 'hls.ts')
    ffmpeg = here.run('player', ['ffmpeg', '-nostdin', '-loglevel', 'warning', '-i',
                                 playlist_of(urls[0]), '-t', str(SECONDS), '-c', 'copy', '-f',
                                 'mpegts', path], 'tv')
    assert ffmpeg.wait(SECONDS + 40) == 0, ffmpeg.output()
    errors = ts.decode_errors(path)
    assert errors == '', f'ffmpeg: {errors[:2000]}'
    length, n, step = ts.gaps(path)['video']
    figure(f'{n} frames over {length:.1f} s, greatest step of PTS', step, f'{1.5 / media.RATE:.3f}')
    assert step <= 1.5 / media.RATE and length > SECONDS - 2


def an_encoder_that_returns_is_a_discontinuity(here):
    _, urls = chain(here, 'one=One')
    encoder = media.Encoder(here, 'one').sends()
    player = Player(here, playlist_of(urls[0]))
    player.poll()
    encoder.end()
    time.sleep(1)
    media.Encoder(here, 'one')

    def told():
        player.poll()
        return '#EXT-X-DISCONTINUITY\n' in player.lists[-1]
    wait_until('the discontinuity in the playlist', 30, told, every=0.5)


class Vlc:
    """VLC without a screen, and what it has counted."""

    def __init__(self, here, url, port=4212):
        self.here, self.port = here, port
        self.process = here.run('vlc', [
            'vlc', '--intf', 'rc', '--rc-host', f'127.0.0.1:{port}', '--no-dbus', '--no-color', '--vout', 'vdummy',
            '--aout', 'adummy', url], 'tv', user=65534, env={'HOME': '/nonexistent'})

    def counted(self):
        text = b''
        try:
            with self.here.at('tv'):
                control = socket.create_connection(('127.0.0.1', self.port), timeout=5)
            with control:
                control.sendall(b'stats\n')
                while b'end of statistical' not in text:
                    data = control.recv(4096)
                    if not data:
                        break
                    text += data
        except OSError:
            pass  # it has not begun
        return {name: int(value) for name, value in re.findall(r'\| (\w[\w ]+?) *: +(\d+)', text.decode())}

    def decoded(self):
        """Its figures once it has decoded 100 pictures, and sound."""
        told = {}

        def both():
            told.update(self.counted())
            return told.get('video decoded', 0) > 100 and told.get('audio decoded', 0) > 0
        wait_until('VLC has decoded 100 pictures, and sound', PATIENCE, both, every=0.5)
        return told


def vlc_plays_the_stream_and_the_playlist(here):
    """It decodes both, and what it got of them is whole."""
    _, urls = chain(here, 'one=One')
    media.Encoder(here, 'one').sends()
    for url in (urls[0], playlist_of(urls[0])):
        player = Vlc(here, url)
        told = player.decoded()
        print(f'    {url}: {told}')
        assert told['demux corrupted'] == 0, told
        player.process.kill()
        player.process.wait()
        errors = [line for line in player.process.output().splitlines() if ' demux error: ' in line]
        assert not errors, errors


if __name__ == '__main__':
    raise SystemExit(world.main(__file__, [
        segments_are_what_the_encoder_sent,
        a_player_of_others_plays_it,
        vlc_plays_the_stream_and_the_playlist,
        an_encoder_that_returns_is_a_discontinuity]))

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A live channel as HLS: a player of others decodes it, and its segments are the encoder's bytes."""

import os
import re
import shutil
import signal
import socket
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler

import control_point
import media
import test_page
import ts
import world
from world import LAN, PATIENCE, figure, wait_until

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


def vlc_plays(here, url):
    """It decodes it, and what it got of it is whole."""
    player = Vlc(here, url)
    told = player.decoded()
    print(f'    VLC {url}: {told}')
    assert told['demux corrupted'] == 0, told
    player.process.kill()
    player.process.wait()
    errors = [line for line in player.process.output().splitlines() if ' demux error: ' in line]
    assert not errors, errors


def gstreamer_plays(here, url):
    """Its playbin shows four seconds of pictures and sound, and missed nothing on the way."""
    if not shutil.which('gst-launch-1.0'):
        raise world.Skip('no gst-launch-1.0 (package gstreamer1.0-tools)')
    sinks = [f'{kind}-sink=fakesink name={kind} silent=false sync=true' for kind in ('video', 'audio')]
    # It warns of the counters of packets, and of what it cannot decode.
    player = here.run('gst', ['gst-launch-1.0', '-v', 'playbin', f'uri={url}', *sinks], 'tv', env={
        'HOME': here.folder, 'GST_DEBUG': '2', 'GST_DEBUG_NO_COLOR': '1'})

    def shown(kind):
        """(bytes, flags) of what came to that sink; it tells of nearly all."""
        return re.findall(rf'chain .*\({kind}:sink\) \((\d+) bytes, .* flags: \w+ (.*), meta', player.output())
    wait_until('GStreamer shows 100 pictures, and sound', PATIENCE,
               lambda: len(shown('video')) > 100 and len(shown('audio')) > 100, every=0.5)
    player.kill(signal.SIGINT)
    assert player.wait() == 0, player.output()[-2000:]
    video, audio = shown('video'), shown('audio')
    print(f'    GStreamer {url}: {len(video)} pictures, {len(audio)} of sound')
    assert {int(size) for size, _ in video} == {640 * 360 * 3 // 2}
    gaps = [flags for _, flags in video[2:] + audio[2:] if 'discont' in flags]
    wrong = [line for line in player.output().splitlines() if re.search('CONTINUITY|ERROR|libav', line)]
    assert not gaps and not wrong, (gaps, wrong[:10])


def vlc_and_gstreamer_play_the_stream_and_the_playlist(here):
    _, urls = chain(here, 'one=One')
    media.Encoder(here, 'one').sends()
    with here.at('tv'):
        item = control_point.find('lan0', seconds=PATIENCE).items()[0]['url']
    assert item == urls[0]
    for url in (item, playlist_of(item)):
        vlc_plays(here, url)
        gstreamer_plays(here, url)


SCRIPT = '/usr/local/lib/node_modules/hls.js/dist/hls.min.js'  # where packaging/install-deps puts it
# It plays what the page's address names, and keeps what went wrong.
HLS_JS = b"""<!DOCTYPE html><video muted></video><script src="/hls.js"></script><script>
const video = document.querySelector('video'), hls = new Hls();
video.fatal = null;
hls.on(Hls.Events.ERROR, (_, e) => { if (e.fatal) video.fatal = e.details; });
hls.on(Hls.Events.MANIFEST_PARSED, () => video.play());
hls.loadSource(decodeURIComponent(location.search.slice(1)));
hls.attachMedia(video);
</script>"""


class Site:
    """A web server of the household with a page that plays HLS. It passes /media/ on to the gateway."""

    def __init__(self, here):
        if not os.path.exists(SCRIPT):
            raise world.Skip('no hls.js (npm package hls.js)')
        with open(SCRIPT, 'rb') as file:
            files = {'/': HLS_JS, '/hls.js': file.read()}

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                code, body = 200, files.get(self.path.split('?')[0])
                if body is None:
                    code, _, body = here.status('tv', f'http://{LAN["gw"]}:8574{self.path}')
                self.send_response(code)
                self.send_header('Content-Length', str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.address = f'http://{LAN["tv"]}:{here.serve("tv", Handler).server_port}'


# What the page's player has come to; it counts where it waits for bytes once it has begun.
PLAYED = """
const video = document.querySelector('video');
if (!video) return null;
if (video.stalls === undefined) {
  video.stalls = 0;
  video.addEventListener('waiting', () => { if (video.currentTime > 1) video.stalls++; });
}
return {time: video.currentTime, width: video.videoWidth, height: video.videoHeight, stalls: video.stalls,
        pictures: video.getVideoPlaybackQuality().totalVideoFrames,
        error: video.fatal || video.error && video.error.message};"""


def browser_plays(browser, who):
    told = {}

    def six_seconds():
        told.update(browser.script(PLAYED) or {})
        assert not told.get('error'), f'{who}: {told}'
        return told.get('time', 0) > 6
    wait_until(f'{who} has played six seconds', PATIENCE, six_seconds, every=0.2)
    print(f'    {who}: {told}')
    assert (told['width'], told['height']) == (320, 180) and told['stalls'] == 0, told
    assert told['pictures'] > media.RATE, told


def chromium_plays_it_alone_and_with_hls_js(here):
    """From the page's button; and in a page of the household's, which cannot read another server's.
    Of a channel whose key frames are far apart the first list is short, but not too late."""
    _, urls = chain(here, 'one=One', 'slow=Slow')
    for name, gop in (('slow', 7), ('one', 1)):
        media.Encoder(here, name, size='320x180', gop=gop * media.RATE).sends()
    url, slow = (playlist_of(next(u for u in urls if f'/{name}.ts' in u)) for name in ('one', 'slow'))
    lists = []

    def ask_twice():
        while len(lists) < 2 and not here.closed:
            lists.extend(filter(None, [here.get('tv', slow, quiet=True)]))
    asks = threading.Thread(target=ask_twice, daemon=True)
    asks.start()
    site, browser = Site(here), test_page.Browser(here)
    browser.call('POST', '/url', url=test_page.PAGE)
    browser.click('#channels li:first-child .row')
    browser.click('#channels .details a[href$="/one.m3u8"]')
    browser_plays(browser, 'Chromium')
    browser.call('POST', '/url', url=f'{site.address}/?{url}')
    wait_until('hls.js is refused', PATIENCE, lambda: browser.script(PLAYED)['error'] == 'manifestLoadError')
    browser.call('POST', '/url', url=f'{site.address}/?/media/one.m3u8')
    browser_plays(browser, 'hls.js')
    asks.join(PATIENCE)
    segments = [text.count(b'#EXTINF') for text in lists]
    figure('segments in two lists of a channel with a key frame in seven seconds', segments, '1 or 2', '')
    assert len(segments) == 2 and all(n in (1, 2) for n in segments)


if __name__ == '__main__':
    raise SystemExit(world.main(__file__, [
        segments_are_what_the_encoder_sent,
        a_player_of_others_plays_it,
        vlc_and_gstreamer_play_the_stream_and_the_playlist,
        chromium_plays_it_alone_and_with_hls_js,
        an_encoder_that_returns_is_a_discontinuity]))

# SPDX-License-Identifier: Apache-2.0
"""Encoders that remember what they sent, and viewers that remember what they got, and when."""

import http.client
import os
import re
import socket
import subprocess
import threading
import time
import urllib.parse

import ts
from world import PATIENCE, wait_until

RATE = 25


def encoder_words(bitrate=3_700_000, seconds=None, size='640x360', live=True, gop=RATE):
    """ffmpeg: a moving picture and a tone; H.264 at a constant rate and AAC; a key frame a second, or
    each gop pictures."""
    pace = ['-re'] if live else []
    words = ['ffmpeg', '-nostdin', '-hide_banner', '-loglevel', 'warning',
             *pace, '-f', 'lavfi', '-i', f'testsrc2=size={size}:rate={RATE}',
             *pace, '-f', 'lavfi', '-i', 'sine=frequency=440:beep_factor=4:sample_rate=48000',
             '-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-threads', '1',
             '-pix_fmt', 'yuv420p', '-g', str(gop), '-keyint_min', str(gop), '-sc_threshold', '0',
             '-b:v', str(bitrate), '-minrate', str(bitrate), '-maxrate', str(bitrate),
             '-bufsize', str(bitrate // 4), '-x264-params', 'nal-hrd=cbr', '-c:a', 'aac',
             '-b:a', '128k', '-ac', '2']
    if seconds:
        words += ['-t', str(seconds)]
    return words + ['-f', 'mpegts', '-flush_packets', '1']


class Relay:
    """A wire-tap in front of the origin's ingest: passes an encoder's TCP bytes on as they are, and
    keeps the body. Listens on the origin's loopback, so the origin sees an encoder of its own host."""

    def __init__(self, world, at='origin', port=7575):
        self.sent = bytearray()  # the bodies of all requests, one after the other
        self.times = []          # (monotonic, bytes so far)
        self.answers = []        # status lines that came back
        self.upstream = ('127.0.0.1', port)
        self.world, self.at = world, at
        with world.at(at):
            self.listener = socket.create_server(('127.0.0.1', 0), backlog=16)
        self.port = self.listener.getsockname()[1]
        world.closers.append(self.close)
        threading.Thread(target=self.accept, daemon=True).start()

    def url(self, channel):
        return f'http://127.0.0.1:{self.port}/ingest/{channel}'

    def accept(self):
        while True:
            try:
                encoder, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(encoder,), daemon=True).start()

    def serve(self, encoder):
        try:
            with self.world.at(self.at):
                origin = socket.create_connection(self.upstream, timeout=5)
        except OSError:
            encoder.close()
            return
        origin.settimeout(None)
        threading.Thread(target=self.answer, args=(origin, encoder), daemon=True).start()
        body = Body()
        try:
            while True:
                data = encoder.recv(65536)
                if not data:
                    break
                origin.sendall(data)
                piece = body.feed(data)
                if piece:
                    self.sent += piece
                    self.times.append((time.monotonic(), len(self.sent)))
        except OSError:
            pass
        finally:
            for end in (origin, encoder):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                end.close()

    def answer(self, origin, encoder):
        first = True
        try:
            while True:
                data = origin.recv(4096)
                if not data:
                    break
                if first:
                    self.answers.append(data.split(b'\r\n', 1)[0].decode('latin-1'))
                    first = False
                encoder.sendall(data)
        except OSError:
            pass
        try:
            encoder.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self):
        # Wakes accept () too, which close () alone does not.
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()


class Body:
    """The body of one HTTP request as it comes: chunked, or all that follows the head."""

    def __init__(self):
        self.rest, self.chunked, self.left, self.head = b'', False, 0, True

    def feed(self, data):
        self.rest += data
        if self.head:
            head, end, rest = self.rest.partition(b'\r\n\r\n')
            if not end:
                return b''
            self.head, self.rest = False, rest
            self.chunked = bool(re.search(rb'^transfer-encoding:\s*chunked', head, re.M | re.I))
        if not self.chunked:
            out, self.rest = self.rest, b''
            return out
        out = b''
        while self.rest:
            if self.left > 2:
                piece = self.rest[:self.left - 2]
                out += piece
                self.rest = self.rest[len(piece):]
                self.left -= len(piece)
            elif self.left > 0:
                ending = self.rest[:self.left]
                self.rest = self.rest[len(ending):]
                self.left -= len(ending)
            else:
                line, end, rest = self.rest.partition(b'\r\n')
                if not end:
                    break
                self.rest, self.left = rest, int(line, 16) + 2
        return out


class Encoder:
    """ffmpeg that pushes to a channel by PUT, through a relay. With keep it is started again
    whenever it ends, as whoever runs an encoder does."""

    def __init__(self, world, channel, relay=None, keep=False, **options):
        self.world, self.keep = world, keep
        self.relay = relay or Relay(world)
        self.words = [*encoder_words(**options), '-method', 'PUT', self.relay.url(channel)]
        self.stopped = False
        self.start()
        world.closers.append(self.end)
        if keep:
            threading.Thread(target=self.nurse, daemon=True).start()

    @property
    def sent(self):
        return self.relay.sent

    def sends(self):
        """Waits for its first seconds: who is first to ask the gateway for them has 15 s, and an encoder
        may take longer than that to begin. Returns itself."""
        wait_until('the encoder sends', PATIENCE, lambda: len(self.sent) > 1 << 20)
        return self

    def start(self):
        self.process = self.world.run('encoder', self.words, 'origin')

    def nurse(self):
        while not self.stopped:
            self.process.child.wait()
            time.sleep(0.1)
            if not self.stopped:
                self.start()

    def end(self):
        self.stopped = True
        self.process.kill()


class LateTables:
    """An encoder whose PAT and PMT never stand before a key frame, only in the middle between two:
    ffmpeg's output with the tables taken out and put elsewhere, pushed by curl."""

    def __init__(self, world, channel, **options):
        self.world = world
        self.relay = Relay(world)
        self.source = world.run('encoder', [*encoder_words(**options), 'pipe:1'], 'origin',
                                stdout=subprocess.PIPE)
        self.push = world.run('curl', ['curl', '-sS', '-N', '-T', '-', '-X', 'PUT', '--no-progress-meter',
                                       self.relay.url(channel)], 'origin', stdin=subprocess.PIPE)
        threading.Thread(target=self.pump, daemon=True).start()

    @property
    def sent(self):
        return self.relay.sent

    def pump(self):
        parser, saved, counters, since = ts.Parser(), {}, {}, 0
        rest = b''
        out = self.push.child.stdin
        while True:
            data = self.source.child.stdout.read1(65536)
            if not data:
                break
            data = rest + data
            whole = len(data) // ts.SIZE * ts.SIZE
            rest = data[whole:]
            moved = []
            for packet in ts.packets(data[:whole]):
                known = len(parser.keys)
                parser.packet(packet)
                parser.at += ts.SIZE
                number = ts.pid(packet)
                if number in (0, parser.pmt):
                    saved[number] = packet
                    continue
                if len(parser.keys) > known:
                    since = 0
                elif number == parser.video and ts.starts_unit(packet):
                    since += 1
                    if since == RATE // 2:
                        for table, old in sorted(saved.items()):
                            counters[table] = (counters.get(table, 0) + 1) & 15
                            moved.append(old[:3] + bytes([old[3] & 0xf0 | counters[table]]) + old[4:])
                moved.append(packet)
            try:
                out.write(b''.join(moved))
                out.flush()
            except (OSError, ValueError):
                return


def make_film(path, seconds=20, bitrate=3_700_000):
    """A film as a file; encoded as fast as it goes."""
    subprocess.run([*encoder_words(bitrate=bitrate, seconds=seconds, live=False), '-y', path],
                   check=True, capture_output=True, timeout=300)
    return os.path.getsize(path)


class Viewer:
    """A player in a namespace: reads a stream as fast as it comes, and notes when what came."""

    def __init__(self, world, url, at='tv', headers=None, timeout=PATIENCE):
        self.world, self.url, self.at = world, url, at
        self.data = bytearray()
        self.times = []       # (monotonic, bytes so far)
        self.keys = []        # (monotonic, offset) of the start of each key frame
        self.status, self.headers, self.error = None, {}, None
        self.asked = time.monotonic()
        self.ended = None
        self.request_headers = {'User-Agent': 'VLC/3.0.18 LibVLC/3.0.18', 'Range': 'bytes=0-',
                                **(headers or {})}
        self.request_headers = {name: value for name, value in self.request_headers.items() if value}
        self.timeout = timeout
        self.may_read = threading.Event()
        self.may_read.set()
        self.stopping = False
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()
        world.closers.append(self.stop)

    def watch(self):
        parts = urllib.parse.urlsplit(self.url)
        parser = ts.Parser()
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=self.timeout)
        try:
            with self.world.at(self.at):
                connection.connect()
            self.socket = connection.sock
            connection.request('GET', parts.path + (f'?{parts.query}' if parts.query else ''),
                               headers=self.request_headers)
            answer = connection.getresponse()
            self.status, self.headers = answer.status, answer.headers
            while not self.stopping:
                self.may_read.wait()
                data = answer.read1(65536)
                if not data:
                    break
                now = time.monotonic()
                self.data += data
                self.times.append((now, len(self.data)))
                if self.status == 200:
                    self.keys += [(now, at) for at in parser.feed(data)]
        except (OSError, http.client.HTTPException, ValueError, AssertionError) as error:
            self.error = error
        finally:
            self.ended = time.monotonic()
            connection.close()

    def wait(self, what, seconds, condition):
        end = time.monotonic() + seconds
        while not condition():
            if self.ended and not condition():
                raise AssertionError(f'the stream ended ({self.status}, {self.error}, '
                                     f'{len(self.data)} bytes) before: {what}')
            if time.monotonic() > end:
                raise AssertionError(f'not within {seconds} s: {what} ({self.status}, '
                                     f'{len(self.data)} bytes, {len(self.keys)} key frames)')
            time.sleep(0.01)

    def wait_key(self, n=1, seconds=PATIENCE):
        self.wait(f'{n} key frames', seconds, lambda: len(self.keys) >= n)
        return self.keys[n - 1][0] - self.asked

    def wait_key_after(self, moment, seconds=PATIENCE):
        """Seconds from that moment to the first key frame that came after it."""
        def late():
            return next((t for t, _ in self.keys if t > moment), None)
        self.wait('a key frame', seconds, late)
        return late() - moment

    def longest_silence(self, start=0.0, end=float('inf')):
        times = [t for t, _ in self.times if start <= t <= end]
        return max((b - a for a, b in zip(times, times[1:])), default=0.0)

    def pause(self):
        self.may_read.clear()

    def resume(self):
        self.may_read.set()

    def stop(self):
        self.stopping = True
        self.resume()
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except (OSError, AttributeError):
            pass
        self.thread.join(5)
        return bytes(self.data)

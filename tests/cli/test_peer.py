#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""ppsp-peer as a program, with a real origin, over loopback."""

import http.client
import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../lib'))
from ports import free_port  # noqa: E402

BUILD = os.environ.get('PPSP_BUILD', 'build')
PEER = os.path.join(BUILD, 'peer/cli/ppsp-peer')
ORIGIN = os.path.join(BUILD, 'peer/origin/ppsp-origin')
PATIENCE = 60  # seconds
LENGTH = 12_345_678


def wait_until(what, condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f'not within {PATIENCE} s: {what}')
        time.sleep(0.02)


class Encoder(threading.Thread):
    """Pushes packets of a transport stream, each with its number, at about 2 Mbit/s."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.packets, self.stopped = port, 0, threading.Event()

    @staticmethod
    def packet(number):
        head = bytes([0x47, 0x01, 0x00, 0x10 | number & 15])
        return head + number.to_bytes(8, 'big') + random.Random(number).randbytes(176)

    def run(self):
        connection = http.client.HTTPConnection('127.0.0.1', self.port)
        connection.putrequest('PUT', '/ingest/late')
        connection.putheader('Transfer-Encoding', 'chunked')
        connection.endheaders()
        while not self.stopped.wait(0.02):
            body = b''.join(self.packet(self.packets + i) for i in range(27))
            self.packets += 27
            connection.send(b'%x\r\n%s\r\n' % (len(body), body))
        connection.close()


def get(port, path, method='GET', **headers):
    """(status, body); (0, '') as long as nobody answers."""
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=PATIENCE)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except ConnectionRefusedError:
        return 0, ''
    finally:
        connection.close()


class World:
    """An origin with a film and a channel."""

    def __init__(self, *more):
        self.folder = tempfile.mkdtemp(prefix='ppsp-peer-test-')
        self.film = os.path.join(self.folder, 'film.bin')
        with open(self.film, 'wb') as file:
            file.write(random.Random(1).randbytes(LENGTH))
        self.http = free_port()
        self.address = f'127.0.0.1:{free_port()}'
        self.log = open(os.path.join(self.folder, 'origin.log'), 'wb')
        self.words = (
            [ORIGIN, '--http', f'127.0.0.1:{self.http}', '--peer', self.address, '--state',
             os.path.join(self.folder, 'state'), '--file', f'film=Film,{self.film}', '--channel',
             'late=Late', '--channel', 'picture=Picture', *more])
        self.start()
        links = []

        def has_links():
            if self.origin.poll() is not None:
                raise AssertionError('ppsp-origin ended, see ' + self.log.name)
            links[:] = self.links()
            return len(links) == 3
        wait_until('the origin names three links', has_links)
        self.film_link = next(link for link in links if 'ci=3' not in link)
        self.live_link, self.picture_link = self.live_links()

    def start(self):
        self.origin = subprocess.Popen(self.words, stdout=self.log, stderr=self.log)

    def links(self):
        try:
            with urllib.request.urlopen(f'http://127.0.0.1:{self.http}/channels.m3u') as answer:
                return re.findall(r'^ppsp:\S+', answer.read().decode(), re.M)
        except OSError:
            return []

    def live_links(self):
        with urllib.request.urlopen(f'http://127.0.0.1:{self.http}/channels.m3u') as answer:
            named = dict(re.findall(r',(\w+)\n(ppsp:\S+)', answer.read().decode()))
        return named['Late'], named['Picture']

    def close(self):
        self.origin.terminate()
        self.origin.wait(PATIENCE)
        self.log.close()
        shutil.rmtree(self.folder)


class TestPeer(unittest.TestCase):
    world = None

    @classmethod
    def setUpClass(cls):
        cls.world = World()
        with open(cls.world.film, 'rb') as file:
            cls.film = file.read()

    @classmethod
    def tearDownClass(cls):
        cls.world.close()

    def words(self, link, *more):
        return [PEER, link, '--peer', '127.0.0.1:0', '--peers', self.world.address, *more]

    def peer(self, link, *more, stdin=None):
        return subprocess.run(self.words(link, *more), input=stdin, capture_output=True,
                              timeout=PATIENCE, check=False)

    def start(self, link, *more, **options):
        process = subprocess.Popen(self.words(link, *more), stderr=subprocess.PIPE, **options)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def target(self, name):
        return os.path.join(self.world.folder, name)

    def unsized(self):
        link = re.sub(r'cl=\d+&?', '', self.world.film_link)
        self.assertNotIn('cl=', link)
        return link.rstrip('?&')

    def assert_film(self, path):
        with open(path, 'rb') as file:
            self.assertTrue(file.read() == self.film, path)

    def test_film_to_a_file(self):
        path = self.target('to-a-file')
        done = self.peer(self.world.film_link, '--output', path)
        self.assertEqual((done.returncode, done.stdout), (0, b''), done.stderr)
        self.assert_film(path)

    def test_film_to_a_pipe(self):
        done = self.peer(self.world.film_link)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(done.stdout == self.film)

    def test_film_of_unknown_length(self):
        path = self.target('unknown-length')
        self.assertEqual(self.peer(self.unsized(), '--output', path).returncode, 0)
        self.assert_film(path)
        done = self.peer(self.unsized())
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(done.stdout == self.film)

    def test_link_from_standard_input(self):
        done = self.peer('-', stdin=self.world.film_link.encode() + b'\n')
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(done.stdout == self.film)

    def test_killed_in_the_middle_goes_on(self):
        path = self.target('killed')
        process = self.start(self.world.film_link, '--output', path)
        wait_until('something is there', lambda: os.path.exists(path))
        time.sleep(0.03)
        process.kill()
        process.wait()
        self.assertEqual(self.peer(self.world.film_link, '--output', path).returncode, 0)
        self.assert_film(path)

    def test_what_is_whole_needs_no_peer(self):
        path = self.target('whole')
        self.assertEqual(self.peer(self.world.film_link, '--output', path).returncode, 0)
        nobody = f'127.0.0.1:{free_port()}'
        done = subprocess.run([PEER, self.world.film_link, '--peers', nobody, '--output', path],
                              capture_output=True, timeout=PATIENCE, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_other_bytes_in_the_file_are_replaced(self):
        path = self.target('damaged')
        with open(path, 'wb') as file:
            file.write(b'x' * LENGTH)
        self.assertEqual(self.peer(self.world.film_link, '--output', path).returncode, 0)
        self.assert_film(path)

    def test_reader_that_goes_is_no_error(self):
        process = self.start(self.world.film_link, stdout=subprocess.PIPE)
        self.assertTrue(process.stdout.read(100_000) == self.film[:100_000])
        process.stdout.close()
        self.assertEqual(process.wait(PATIENCE), 0)

    def test_seeding_peer_gives_to_another(self):
        path = self.target('seeder')
        port = free_port()
        seeder = self.start(self.world.film_link, '--output', path, '--seed', '--peer',
                            f'127.0.0.1:{port}')
        end = re.compile(r'all is here')
        line = seeder.stderr.readline().decode()
        self.assertRegex(line, end)
        done = subprocess.run([PEER, re.sub(r'fb=[^&]*&?', '', self.world.film_link), '--peer',
                               '127.0.0.1:0', '--peers', f'127.0.0.1:{port}'],
                              capture_output=True, timeout=PATIENCE, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(done.stdout == self.film)
        self.assertIsNone(seeder.poll())
        seeder.send_signal(signal.SIGTERM)
        self.assertEqual(seeder.wait(PATIENCE), 0)

    def test_metrics(self):
        port = free_port()
        self.start(self.world.film_link, '--output', self.target('counted'), '--seed', '--metrics',
                   f'127.0.0.1:{port}')
        wait_until('it is there', lambda: get(port, '/healthz') == (200, 'ok\n'))
        wait_until('all is here', lambda: '\nppsp_session_complete 1\n' in get(port, '/metrics')[1])
        text = get(port, '/metrics')[1]
        self.assertTrue(text.endswith('# EOF\n'))
        self.assertIn(f'\nppsp_session_length_bytes {LENGTH}\n', text)
        self.assertRegex(text, r'\nppsp_peer_chunks_received_total [1-9]')
        lines = [line for line in text.splitlines() if line.startswith('# TYPE')]
        self.assertEqual(len(lines), len(set(lines)))
        self.assertEqual(get(port, '/other')[0], 404)
        self.assertEqual(get(port, '/metrics', 'POST')[0], 405)
        self.assertEqual(get(port, '/metrics', Host='rebound.example')[0], 421)
        busy = self.peer(self.world.film_link, '--output', self.target('other'), '--metrics',
                         f'127.0.0.1:{port}')
        self.assertEqual(busy.returncode, 1)
        self.assertRegex(busy.stderr.decode(), r'\Appsp-peer: --metrics: .*127.0.0.1:\d+: .*\n\Z')

    def test_stopped_early_is_an_error(self):
        nobody = f'127.0.0.1:{free_port()}'
        process = subprocess.Popen([PEER, self.world.film_link, '--peers', nobody, '--output',
                                    self.target('early')], stderr=subprocess.PIPE)
        wait_until('it runs', lambda: os.path.exists(self.target('early')))
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=PATIENCE)[1].decode()
        self.assertEqual(process.returncode, 1)
        self.assertIn('the same command goes on', said)

    def test_errors_are_one_line(self):
        full = self.peer(self.world.live_link, '--output', '/nowhere/at/all')
        self.assertEqual(full.returncode, 1)
        self.assertRegex(full.stderr.decode(), r'\Appsp-peer: /nowhere/at/all: .*\n\Z')
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(('127.0.0.1', 0))
            where = f'127.0.0.1:{taken.getsockname()[1]}'
            busy = self.peer(self.world.film_link, '--peer', where, '--output', self.target('b'))
        self.assertEqual(busy.returncode, 1)
        self.assertRegex(busy.stderr.decode(), rf'\Appsp-peer: {where}: .*choose another port\n\Z')
        wrong = self.peer('ppsp:nonsense')
        self.assertEqual(wrong.returncode, 2)
        self.assertRegex(wrong.stderr.decode(), r'\Appsp-peer: .*\n\Z')

    @unittest.skipUnless(shutil.which('ffmpeg') and shutil.which('ffprobe'), 'ffmpeg is missing')
    def test_live_begins_with_a_picture(self):
        encoder = subprocess.Popen(
            ['ffmpeg', '-nostdin', '-v', 'error', '-re', '-f', 'lavfi', '-i',
             'testsrc=size=320x180:rate=25', '-c:v', 'libx264', '-preset', 'ultrafast', '-g', '40',
             '-keyint_min', '40', '-f', 'mpegts', '-method', 'PUT',
             f'http://127.0.0.1:{self.world.http}/ingest/picture'])
        self.addCleanup(encoder.wait)
        self.addCleanup(encoder.kill)
        time.sleep(2.8)  # tunes in between two key frames
        path = self.target('picture.ts')
        process = self.start(self.world.picture_link, '--output', path)
        wait_until('some seconds came',
                   lambda: os.path.exists(path) and os.path.getsize(path) > 150_000)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(PATIENCE), 0)
        with open(path, 'rb') as file:
            pids = [int.from_bytes(file.read(188)[1:3], 'big') & 0x1fff for _ in range(2)]
        self.assertEqual(pids, [0, 0x1000])
        said = subprocess.run(
            ['ffprobe', '-v', 'error', '-select_streams', 'v', '-read_intervals', '%+#30',
             '-show_entries', 'frame=pict_type',
             '-of', 'csv=p=0', path], capture_output=True, timeout=PATIENCE, check=True)
        self.assertEqual(said.stderr, b'')
        self.assertTrue(said.stdout.startswith(b'I'), said.stdout[:80])

    def check_live(self, got, encoder):
        """Whole packets, a contiguous part of what was pushed."""
        self.assertEqual(len(got) % 188, 0)
        first = int.from_bytes(got[4:12], 'big')
        wanted = b''.join(encoder.packet(first + i) for i in range(len(got) // 188))
        self.assertTrue(got == wanted, 'not what the encoder sent')

    def test_live_is_contiguous(self):
        encoder = Encoder(self.world.http)
        encoder.start()
        self.addCleanup(encoder.stopped.set)
        process = self.start(self.world.live_link, stdout=subprocess.PIPE)
        got = process.stdout.read(188 * 4000)  # some 3 s
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
        process.stdout.close()
        self.assertEqual(process.wait(PATIENCE), 0)
        self.check_live(got, encoder)
        self.check_live((got + rest)[:(len(got) + len(rest)) // 188 * 188], encoder)
        full = self.peer(self.world.live_link, '--output', '/dev/full')
        self.assertEqual(full.returncode, 1)
        self.assertRegex(full.stderr.decode(), r'\Appsp-peer: /dev/full: No space left.*\n\Z')


class TestBroadcast(unittest.TestCase):
    """From live to on demand: a broadcast that ends, and a peer that has kept it."""

    def setUp(self):
        self.world = World('--until', 'late=manual')
        self.addCleanup(self.world.close)
        self.port = free_port()
        self.path = os.path.join(self.world.folder, 'kept.ts')

    def end_it(self):
        connection = http.client.HTTPConnection('127.0.0.1', self.world.http, timeout=PATIENCE)
        connection.request('DELETE', '/ingest/late')
        status = connection.getresponse().status
        connection.close()
        return status

    def channels(self, port=None):
        url = f'http://127.0.0.1:{port or self.world.http}/api/v1/channels'
        with urllib.request.urlopen(url) as answer:
            return {channel['id']: channel for channel in json.load(answer)}

    def state(self, name, port=None):
        return self.channels(port).get(name, {}).get('state')

    def film_link(self):
        """Of the broadcast that is over, from the origin's list."""
        with urllib.request.urlopen(f'http://127.0.0.1:{self.world.http}/channels.m3u') as answer:
            named = dict(re.findall(r'tvg-id="([^"]*)".*\n(ppsp:\S+)', answer.read().decode()))
        self.assertIn('picture', named)
        return named.get('late-film') if 'late' not in named else None

    def test_who_kept_it_gives_it_on_demand(self):
        encoder = Encoder(self.world.http)
        encoder.start()
        keeper = subprocess.Popen(
            [PEER, self.world.live_link, '--peers', self.world.address, '--peer',
             f'127.0.0.1:{self.port}', '--output', self.path, '--keep', '--seed'],
            stderr=subprocess.PIPE)
        self.addCleanup(keeper.stderr.close)
        self.addCleanup(keeper.wait)
        self.addCleanup(keeper.kill)
        wait_until('it keeps some', lambda: os.path.exists(self.path) and
                   os.path.getsize(self.path) > 500_000)
        encoder.stopped.set()
        encoder.join()
        self.assertEqual(self.end_it(), 200)
        said = keeper.stderr.readline().decode()
        link = re.search(r'on demand as (ppsp:\S+)', said)
        self.assertIsNotNone(link, said)
        wait_until('the origin has hashed it', self.film_link)
        swarm = re.compile(r'ppsp:([0-9a-f]{64})\?')
        self.assertEqual(swarm.match(link[1])[1], swarm.match(self.film_link())[1])
        self.assertRegex(link[1], r'cl=\d+')

        # an origin that comes back goes on with the film, and the channel stays over
        before = self.film_link()
        self.world.origin.kill()
        self.world.origin.wait()
        self.world.start()
        wait_until('it is back', lambda: len(self.world.links()) == 3)
        self.assertEqual(self.film_link(), before)
        connection = http.client.HTTPConnection('127.0.0.1', self.world.http, timeout=PATIENCE)
        connection.request('PUT', '/ingest/late', b'x')
        self.assertEqual(connection.getresponse().status, 404)
        connection.close()

        # the origin is gone; and the one who kept it has begun anew, from what lies on its disk
        self.world.origin.kill()
        self.world.origin.wait()
        keeper.send_signal(signal.SIGTERM)
        self.assertEqual(keeper.wait(PATIENCE), 0)
        again = subprocess.Popen([PEER, link[1], '--peers', self.world.address, '--peer',
                                  f'127.0.0.1:{self.port}', '--output', self.path, '--seed'],
                                 stderr=subprocess.DEVNULL)
        self.addCleanup(again.wait)
        self.addCleanup(again.kill)
        done = subprocess.run([PEER, link[1], '--peer', '127.0.0.1:0', '--peers',
                               f'127.0.0.1:{self.port}'], capture_output=True, timeout=PATIENCE,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        sent = b''.join(encoder.packet(i) for i in range(encoder.packets))
        with open(self.path, 'rb') as file:
            self.assertTrue(file.read() == done.stdout)
        self.assertTrue(done.stdout[:len(sent)] == sent)
        rest = done.stdout[len(sent):]
        self.assertEqual({rest[i:i + 3] for i in range(0, len(rest), 188)} | {b'\x47\x1f\xff'},
                         {b'\x47\x1f\xff'}, 'null packets alone fill it up')

    def test_a_disk_that_is_full_ends_it(self):
        """A limit on the sizes of files plays the full disk."""
        encoder = Encoder(self.world.http)
        encoder.start()

        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

        full = subprocess.run(
            [PEER, self.world.live_link, '--peers', self.world.address, '--peer', '127.0.0.1:0',
             '--output', self.path, '--keep'],
            capture_output=True, timeout=PATIENCE, check=False, preexec_fn=limit)
        encoder.stopped.set()
        encoder.join()
        self.assertEqual(full.returncode, 1)
        said = full.stderr.decode()
        self.assertRegex(said, r'warning: cannot write .*kept.ts')
        self.assertRegex(said, r'ppsp-peer: \S*kept.ts: what came could not be kept\n\Z')

    def test_the_clock_ends_it(self):
        port = free_port()
        until = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(time.time() + 2))
        origin = subprocess.Popen(
            [ORIGIN, '--http', f'127.0.0.1:{port}', '--peer', '127.0.0.1:0', '--state',
             os.path.join(self.world.folder, 'soon'), '--channel', 'soon', '--channel', 'later',
             '--until', until, '--until', 'later=2999-01-01T00:00:00+01:00'],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(origin.wait)
        self.addCleanup(origin.kill)

        def has_ended():
            try:
                return self.state('soon', port) == 'ended'
            except OSError:
                return False
        wait_until('the clock has ended it', has_ended)
        self.assertEqual(self.state('later', port), 'idle')

    def test_wrong_ends_are_told(self):
        for until, says in (('late=tomorrow', 'manual'), ('nosuch=manual', 'no such live channel'),
                            ('film=manual', 'no such live channel')):
            done = subprocess.run([*self.world.words, '--until', until], capture_output=True,
                                  timeout=PATIENCE, check=False)
            self.assertEqual(done.returncode, 2)
            self.assertRegex(done.stderr.decode(), rf'\Appsp-origin: --until {until}.*{says}.*\n\Z')

    def test_it_ends_once_and_for_ever(self):
        with socket.create_connection(('127.0.0.1', self.world.http), timeout=PATIENCE) as encoder:
            encoder.sendall(b'PUT /ingest/late HTTP/1.1\r\nHost: 127.0.0.1\r\n'
                            b'Content-Length: 1000000000\r\n\r\n')
            packets = b''.join(Encoder.packet(i) for i in range(1000))
            encoder.sendall(packets)
            wait_until('it is on the air', lambda: self.channels()['late']['chunks'] > 0)
            self.assertEqual(self.state('late'), 'live')
            self.assertEqual(self.end_it(), 200)
            with self.assertRaises(OSError):  # whoever goes on is cut off
                for _ in range(5000):
                    encoder.sendall(packets)
        wait_until('it is on demand', lambda: self.state('late-film') == 'seeding')
        self.assertEqual(self.state('late'), 'ended')
        connection = http.client.HTTPConnection('127.0.0.1', self.world.http, timeout=PATIENCE)
        connection.request('PUT', '/ingest/late', b'x')
        self.assertEqual(connection.getresponse().status, 410)
        connection.close()
        self.assertEqual(self.end_it(), 200)
        connection = http.client.HTTPConnection('127.0.0.1', self.world.http, timeout=PATIENCE)
        connection.request('DELETE', '/ingest/picture')
        answer = connection.getresponse()
        self.assertEqual(answer.status, 409)
        self.assertIn(b'--until', answer.read())
        connection.close()


class TestCache(unittest.TestCase):
    """ppsp-peer --cache, with an origin that dies."""

    def setUp(self):
        self.world = World()
        self.addCleanup(self.world.close)
        with open(self.world.film, 'rb') as file:
            self.film = file.read()
        self.folder = os.path.join(self.world.folder, 'cache')
        self.port = free_port()

    def start(self, *words, **options):
        log = open(os.path.join(self.world.folder, 'said'), 'ab')
        self.addCleanup(log.close)
        process = subprocess.Popen([PEER, *words], stderr=log, **options)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def cache(self, *more):
        return self.start('--cache', self.folder, '--peer', f'127.0.0.1:{self.port}', '--peers',
                          self.world.address, *more)

    def said(self):
        with open(os.path.join(self.world.folder, 'said'), encoding='utf-8') as file:
            return file.read()

    def viewer(self):
        """Reads a little of the film, from origin and cache, and pauses."""
        process = self.start(self.world.film_link, '--peer', '127.0.0.1:0', '--peers',
                             f'{self.world.address},127.0.0.1:{self.port}', stdout=subprocess.PIPE)
        self.addCleanup(process.stdout.close)
        self.assertTrue(process.stdout.read(100_000) == self.film[:100_000])
        return process

    def disk_use(self):
        """Bytes that the cache takes."""
        return sum(entry.stat().st_blocks * 512 for entry in os.scandir(self.folder))

    def fetch_from_cache(self):
        done = subprocess.run([PEER, self.world.film_link, '--peer', '127.0.0.1:0', '--peers',
                               f'127.0.0.1:{self.port}'], capture_output=True, timeout=2 * PATIENCE,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(done.stdout == self.film)

    def test_it_gives_when_the_origin_is_dead(self):
        self.cache(self.world.film_link).kill()  # a file that it must not trip over
        cache = self.cache('--verbose', self.world.film_link)
        wait_until('it has begun', lambda: '1 swarms, 0 in demand' in self.said())
        self.assertLess(self.disk_use(), LENGTH // 10, 'it fetched what nobody wants')
        viewer = self.viewer()
        wait_until('the cache has all of it', lambda: '1 swarms, 1 in demand, 1 whole' in self.said() or
                   '0 in demand, 1 whole' in self.said())
        viewer.kill()
        self.world.origin.kill()
        self.world.origin.wait()
        cache.kill()
        cache.wait()
        cache = self.cache(self.world.film_link)
        self.fetch_from_cache()
        cache.send_signal(signal.SIGTERM)
        self.assertEqual(cache.wait(PATIENCE), 0)

    def test_it_keeps_its_quota(self):
        quota = 6 << 20
        metrics = free_port()
        self.cache('--quota', '6M', self.world.film_link, '--metrics', f'127.0.0.1:{metrics}')
        wait_until('it has begun', lambda: os.path.isdir(self.folder))
        viewer, got, most = self.viewer(), bytearray(self.film[:100_000]), 0
        while piece := viewer.stdout.read(100_000):
            got += piece
            most = max(most, self.disk_use())
            time.sleep(0.02)
        self.assertTrue(got == self.film)
        wait_until('it has fetched something', lambda: self.disk_use() > 1 << 20)
        self.assertLessEqual(most, quota)
        self.assertLessEqual(self.disk_use(), quota)
        self.fetch_from_cache_and_origin()
        text = get(metrics, '/metrics')[1]
        self.assertIn(f'\nppsp_cache_quota_bytes {quota}\n', text)
        self.assertIn('\nppsp_cache_swarms 1\n', text)
        self.assertRegex(text, r'\nppsp_cache_uploaded_bytes_total [1-9]')

    def fetch_from_cache_and_origin(self):
        viewer = self.viewer()
        self.assertTrue(self.film[:100_000] + viewer.stdout.read() == self.film)

    def test_lists_are_read_again(self):
        path = os.path.join(self.world.folder, 'list.m3u')

        def write(*links):
            with open(path + '.new', 'w', encoding='utf-8') as file:
                file.write('#EXTM3U\n#EXTINF:-1,One\nhttp://elsewhere/\n' + '\n'.join(links))
            os.replace(path + '.new', path)
        write(self.world.film_link)
        cache = self.cache('--channels', f'file://{path}', '--verbose')
        wait_until('it has the film', lambda: '1 swarms' in self.said())
        write(self.world.film_link, self.world.live_link, 'ppsp:nonsense')
        cache.send_signal(signal.SIGHUP)
        wait_until('it has both', lambda: '2 swarms' in self.said())
        self.assertIn('3 links, 1 of no use', self.said())
        write(self.world.live_link)
        cache.send_signal(signal.SIGHUP)
        wait_until('it has left one', lambda: '1 swarms, 1 in demand' in self.said())
        os.remove(path)
        cache.send_signal(signal.SIGHUP)
        wait_until('it says what is wrong', lambda: 'its swarms stay as they were' in self.said())
        cache.send_signal(signal.SIGTERM)
        self.assertEqual(cache.wait(PATIENCE), 0)

    def test_it_gives_a_live_channel_of_variable_chunks(self):
        self.world = World('--chunk-size', 'variable')
        self.addCleanup(self.world.close)
        self.assertIn('cs=4294967295', self.world.live_link)
        self.test_it_gives_a_live_channel()

    def test_it_gives_a_live_channel(self):
        encoder = Encoder(self.world.http)
        encoder.start()
        self.addCleanup(encoder.stopped.set)
        self.cache(self.world.live_link)
        process = self.start(self.world.live_link, '--peer', '127.0.0.1:0', '--peers',
                             f'127.0.0.1:{self.port}', stdout=subprocess.PIPE)
        self.addCleanup(process.stdout.close)
        got = process.stdout.read(188 * 2000)
        first = int.from_bytes(got[4:12], 'big')
        wanted = b''.join(encoder.packet(first + i) for i in range(len(got) // 188))
        self.assertTrue(got == wanted, 'not what the encoder sent')


if __name__ == '__main__':
    for program in (PEER, ORIGIN):
        if not os.access(program, os.X_OK):
            print(f'skipped: {program} is not built')
            sys.exit(77)
    unittest.main(verbosity=2)

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ppsp-origin as a program: real encoders, curl, a tracker and a plain peer, on loopback.

    test-program.py ORIGIN TRACKER PEER

Every port is one that nobody has, every wait has an end, and only what was started here is
stopped."""

import hashlib
import http.server
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../lib'))
from ports import free_port  # noqa: E402

ORIGIN, TRACKER, PEER = (os.path.abspath(p) for p in sys.argv[1:4])
PACKET = 188
PATIENCE = 60  # s: ends a test that has failed, and decides nothing else


def wait_for(what, condition, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(0.05)
    raise AssertionError(f'{what}: not within {seconds} s')


def get(url, headers=None, method='GET'):
    """(status, headers, body)"""
    request = urllib.request.Request(url, headers=headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def curl(url, data, *options):
    """(status, body): pushes data, all at once, without asking first."""
    run = subprocess.run(['curl', '-s', '-m', str(PATIENCE), '-H', 'Expect:', '-w', '\n%{http_code}', '-X',
                          'PUT', '-T', '-', *options, url], input=data, capture_output=True)
    body, _, status = run.stdout.decode().rpartition('\n')
    return int(status), body


def read(path):
    with open(path, 'rb') as file:
        return file.read()


class World(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='ppsp-origin-')
        self.running = []
        self.http = free_port()

    def tearDown(self):
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.wait()
        shutil.rmtree(self.folder)

    def start(self, name, *command, **options):
        log = open(os.path.join(self.folder, name + '.log'), 'ab')
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   **options)
        log.close()
        self.running.append(process)
        return process

    def log(self, name):
        with open(os.path.join(self.folder, name + '.log'), encoding='utf-8') as file:
            return file.read()

    def path(self, name):
        return os.path.join(self.folder, name)

    def url(self, path):
        return f'http://127.0.0.1:{self.http}{path}'

    def answers(self, path='/healthz'):
        try:
            return get(self.url(path))[0] == 200
        except OSError:
            return False

    def origin(self, *options):
        process = self.start('origin', ORIGIN, '--http', f'127.0.0.1:{self.http}', '--peer',
                             '127.0.0.1:0', '--state', self.path('state'), *options)
        wait_for('the origin answers', self.answers)
        return process

    def channel(self, name='demo'):
        for entry in json.loads(get(self.url('/api/v1/channels'))[2]):
            if entry['id'] == name:
                return entry
        return None

    def encoder(self, url, seconds=60, *options):
        return self.start('encoder', 'ffmpeg', '-v', 'error', '-re', '-f', 'lavfi', '-i',
                          'testsrc2=size=320x240:rate=25', '-t', str(seconds), '-c:v', 'libx264',
                          '-preset', 'ultrafast', '-g', '25', '-f', 'mpegts', *options, url)

    def film(self, seconds=2):
        path = self.path('film.ts')
        subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-f', 'lavfi', '-i',
                        'testsrc2=size=320x240:rate=25', '-t', str(seconds), '-c:v', 'libx264',
                        '-preset', 'ultrafast', '-b:v', '2M', '-f', 'mpegts', path], check=True)
        return path

    def reserved(self, name='demo'):
        with open(self.path(f'state/{name}.channel'), encoding='utf-8') as file:
            return int(re.search(r'^reserved=(\d+)$', file.read(), re.M).group(1))


class Push(World):
    def test_encoder_is_published_and_a_second_one_refused(self):
        self.origin('--channel', 'demo=A "name", with comma')
        encoder = self.encoder(self.url('/ingest/demo'), 60, '-method', 'PUT')
        wait_for('live', lambda: self.channel()['state'] == 'live' and self.channel()['chunks'])
        status, body = curl(self.url('/ingest/demo'), bytes(2_000_000))
        self.assertEqual(status, 409)
        self.assertIn('encoder already', body)
        self.assertIsNone(encoder.poll())
        entry = wait_for('a picture is seen', lambda: 'width' in self.channel() and self.channel())
        self.assertEqual((entry['video'], entry['width'], entry['height']), ('h264', 320, 240))
        self.assertEqual(entry['encoders_refused'], 1)
        self.assertRegex(self.log('origin'), r'(?m)^ppsp-origin: warning: channel demo: refused the '
                         r'encoder at 127\.0\.0\.1 \(409\): This channel has an encoder already\.$')
        encoder.kill()
        wait_for('idle', lambda: self.channel()['state'] == 'idle')
        chunks = self.channel()['chunks']
        self.assertEqual(chunks % 64, 0)
        self.encoder(self.url('/ingest/demo'), 60, '-method', 'POST')
        wait_for('live again', lambda: self.channel()['state'] == 'live')
        wait_for('goes on', lambda: self.channel()['chunks'] > chunks)
        lines = get(self.url('/channels.m3u'))[2].decode().splitlines()
        self.assertEqual(lines[:2], ['#EXTM3U', '#EXTINF:-1 tvg-id="demo" tvg-name="A \'name\', '
                                     'with comma",A \'name\', with comma'])
        self.assertRegex(lines[2], r'^ppsp:0d[0-9a-f]{128}\?ci=3&ca=4&cs=1128$')

    def test_what_is_no_stream_is_refused(self):
        self.origin('--channel', 'demo')
        for data in (bytes(1_000_000), b'a letter\n', random.Random(7).randbytes(200_000), b''):
            status, body = curl(self.url('/ingest/demo'), data)
            self.assertEqual(status, 415)
            self.assertIn('no MPEG transport stream', body)
        self.assertIn('refused the encoder at 127.0.0.1 (415)', self.log('origin'))
        # with the question first, as curl does by itself
        run = subprocess.run(['curl', '-s', '-m', str(PATIENCE), '-T', '-', self.url('/ingest/none')],
                             input=bytes(3_000_000), capture_output=True)
        self.assertIn(b'No such channel', run.stdout)
        self.assertEqual(curl(self.url('/ingest/none'), bytes(3_000_000))[0], 404)
        self.assertEqual(curl(self.url('/ingest/../demo'), b'')[0], 404)
        self.assertEqual(get(self.url('/ingest/demo'))[0], 405)
        self.assertEqual(self.channel()['chunks'], 0)
        self.assertEqual(self.channel()['state'], 'idle')

    def test_refusals_do_not_fill_the_log(self):
        self.origin('--channel', 'demo', '--channel', 'other')
        began = time.monotonic()
        for _ in range(20):
            for name in ('demo', 'other'):
                self.assertEqual(curl(self.url('/ingest/' + name), b'?', '-H',
                                      'Origin: http://evil.example')[0], 401)
        most = 1 + int(time.monotonic() - began)
        for name in ('demo', 'other'):
            told = self.log('origin').count(f'channel {name}: refused the encoder at 127.0.0.1 (401)')
            self.assertGreaterEqual(told, 1)
            self.assertLessEqual(told, most)
        token = read(self.path('state/demo.token')).decode().strip()
        self.assertEqual(self.log('origin').count(token), 1)

    def test_reserves_ahead_and_stops_when_it_cannot(self):
        film = read(self.film())
        part = film * (10_000_000 // len(film))
        self.origin('--channel', 'demo')
        url = self.url('/ingest/demo')
        self.assertEqual(self.reserved(), 65536)
        while self.channel()['next_chunk'] < 33_000:
            self.assertEqual(curl(url, part)[0], 200)
        limit = wait_for('the next reservation', lambda: self.reserved() > 65536 and
                         self.reserved())
        os.mkdir(self.path('state/demo.channel.new'))  # as a disk that takes no more
        status = 200
        while status == 200:
            self.assertLess(self.channel()['next_chunk'], limit)
            status, body = curl(url, part)
        self.assertEqual(status, 507)
        self.assertIn('cannot sign any more', body)
        entry = self.channel()
        self.assertEqual((entry['state'], entry['next_chunk']), ('stopped', limit // 64 * 64))
        self.assertEqual(get(self.url('/healthz'))[0], 503)
        self.assertEqual(self.log('origin').count('would fork it'), 1)
        self.assertEqual(self.reserved(), limit)
        os.rmdir(self.path('state/demo.channel.new'))
        wait_for('it goes on', lambda: curl(url, film)[0] == 200)
        self.assertGreater(self.reserved(), limit)

    def test_silent_encoder_makes_way(self):
        film = read(self.film())
        self.origin('--channel', 'demo')
        with socket.create_connection(('127.0.0.1', self.http)) as silent:
            silent.sendall(b'PUT /ingest/demo HTTP/1.1\r\nHost: localhost\r\n'
                           b'Content-Length: 100000000\r\n\r\n' + film[:188 * 50])
            wait_for('live', lambda: self.channel()['state'] == 'live')
            self.assertEqual(curl(self.url('/ingest/demo'), film)[0], 409)
            wait_for('it makes way', lambda: curl(self.url('/ingest/demo'), film)[0] == 200)
            silent.settimeout(PATIENCE)
            self.assertEqual(silent.recv(100), b'')
        self.assertEqual(self.channel()['encoder_sessions'], 2)

    def test_garbage_is_skipped(self):
        film = read(self.film())
        half = len(film) // PACKET // 2 * PACKET
        self.origin('--channel', 'demo')
        status, body = curl(self.url('/ingest/demo'), b'rubbish' + film[:half] + b'x' * 1000 +
                            film[half:])
        self.assertEqual((status, body), (200, f'{len(film) + 1007} bytes taken\n'))
        self.assertEqual(self.channel()['bytes_skipped'], 1007)
        metrics = get(self.url('/metrics'))[2].decode()
        self.assertIn(f'ppsp_origin_ingest_packets_total{{channel="demo"}} {len(film) // PACKET}\n',
                      metrics)
        self.assertIn('ppsp_origin_ingest_syncs_lost_total{channel="demo"} 1\n', metrics)
        for name in ('ppsp_peer_datagrams_sent_total', 'ppsp_http_accept_failures_total',
                     'ppsp_udp_send_errors_total', 'ppsp_uptime_seconds', 'ppsp_build_info'):
            self.assertRegex(metrics, rf'\n{name}[ {{]')
        families = re.findall('^# TYPE ([a-z_]+) ', metrics, re.M)
        self.assertEqual(len(families), len(set(families)))
        self.assertTrue(metrics.endswith('\n# EOF\n'))

    def test_who_must_show_the_token(self):
        self.origin('--channel', 'demo')
        url = self.url('/ingest/demo')
        token = read(self.path('state/demo.token')).decode().strip()
        self.assertEqual(os.stat(self.path('state/demo.token')).st_mode & 0o777, 0o600)
        self.assertEqual(os.stat(self.path('state/demo.key')).st_mode & 0o777, 0o600)
        self.assertEqual(self.log('origin').count(token), 1)
        # 415: let in, and judged by the bytes
        self.assertEqual(curl(url, b'?')[0], 415)
        for sign in ('Origin: http://evil.example', 'X-Forwarded-For: 192.0.2.1',
                     'Host: evil.example', 'Sec-Fetch-Site: cross-site'):
            self.assertEqual(curl(url, b'?', '-H', sign)[0], 401, sign)
            self.assertEqual(curl(url, b'?', '-H', sign, '-H', 'Authorization: Bearer x' + token)[0],
                             401)
            self.assertEqual(curl(url, b'?', '-H', sign, '-H', 'Authorization: Bearer ')[0], 401)
            self.assertEqual(curl(url, b'?', '-H', sign, '-H', 'Authorization: Bearer ' + token)[0],
                             415)
        self.running[0].terminate()
        self.assertEqual(self.running[0].wait(10), 0)
        self.origin('--channel', 'demo')
        self.assertEqual(self.log('origin').count(token), 1)

    def test_killed_origin_goes_on_past_its_reservation(self):
        film = read(self.film())
        process = self.origin('--channel', 'demo')
        link = self.channel()['link']
        self.assertEqual(curl(self.url('/ingest/demo'), film)[0], 200)
        last = self.channel()['next_chunk']
        self.assertGreater(last, 0)
        process.kill()
        process.wait()
        reserved = self.reserved()
        self.assertGreaterEqual(reserved, last)
        process = self.origin('--channel', 'demo')
        self.assertEqual(self.channel()['link'], link)
        self.assertGreaterEqual(self.channel()['next_chunk'], reserved)
        self.assertGreater(self.reserved(), reserved)
        self.assertEqual(curl(self.url('/ingest/demo'), film)[0], 200)
        last = self.channel()['next_chunk']
        process.terminate()
        self.assertEqual(process.wait(10), 0)
        self.assertEqual(self.reserved(), last)  # who says goodbye wastes no numbers


class Source(http.server.BaseHTTPRequestHandler):
    """Serves a stream; the first request ends early, the second is refused."""
    def do_GET(self):
        self.server.requests += 1
        if self.server.requests == 2:
            self.send_error(503)
            return
        self.send_response(200)
        self.end_headers()
        film = self.server.film
        self.wfile.write(film if self.server.requests > 1 else film[:len(film) // 2])

    def log_message(self, *args):
        pass


class Pull(World):
    def test_pull_comes_back(self):
        with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Source) as server:
            server.film, server.requests = read(self.film()), 0
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                uri = f'http://127.0.0.1:{server.server_address[1]}/a,b?c=d'
                self.origin('--pull', 'far=Far, away,' + uri)
                entry = wait_for('three requests', lambda: server.requests > 2 and
                                 self.channel('far')['encoder_sessions'] >= 2 and
                                 self.channel('far'))
                self.assertEqual(entry['name'], 'Far, away')
                self.assertEqual(entry['video'], 'h264')
                self.assertIn('trying again', self.log('origin'))
                self.assertEqual(curl(self.url('/ingest/far'), b'')[0], 404)
            finally:
                server.shutdown()
                thread.join()

    def test_pull_says_why_nothing_comes(self):
        port = free_port()
        self.origin('--pull', f'far,http://127.0.0.1:{port}/x')
        entry = wait_for('a reason', lambda: 'source_error' in self.channel('far') and
                         self.channel('far'))
        self.assertEqual(entry['state'], 'idle')
        self.assertIn('refused', entry['source_error'].lower())


class Files(World):
    def test_ranges_and_tree(self):
        path = self.film()
        film = read(path)
        self.origin('--file', 'film=A film,' + path)
        wait_for('seeding', lambda: self.channel('film')['state'] == 'seeding')
        url = self.url('/content/film')
        status, headers, body = get(url)
        self.assertEqual((status, body), (200, film))
        self.assertEqual(headers['Accept-Ranges'], 'bytes')
        tag = headers['ETag']
        n = len(film)
        for text, first, end in (('0-0', 0, 1), ('100-299', 100, 300), ('-5', n - 5, n),
                                 (f'{n - 1}-', n - 1, n), (f'70000-{n + 9}', 70000, n)):
            status, headers, body = get(url, {'Range': 'bytes=' + text})
            self.assertEqual((status, body), (206, film[first:end]), text)
            self.assertEqual(headers['Content-Range'], f'bytes {first}-{end - 1}/{n}')
        self.assertEqual(get(url, {'Range': f'bytes={n}-'})[0], 416)
        self.assertEqual(get(url, {'Range': 'bytes=0-1', 'If-Range': tag})[0], 206)
        self.assertEqual(get(url, {'Range': 'bytes=0-1', 'If-Range': '"other"'})[0], 200)
        self.assertEqual(get(url, {'Range': 'bytes=0-1,5-6'})[0], 200)
        status, headers, body = get(url, method='HEAD')
        self.assertEqual((status, int(headers['Content-Length']), body), (200, n, b''))
        self.assertEqual(get(url, method='DELETE')[0], 405)
        # the tree: a front of 4096 bytes, then the hashes by bin; bin 0 is the first chunk's
        status, _, leaf = get(url + '.hashes', {'Range': 'bytes=4096-4127'})
        self.assertEqual((status, leaf), (206, hashlib.sha256(film[:1024]).digest()))
        status, _, leaf = get(url + '.hashes', {'Range': 'bytes=4160-4191'})
        self.assertEqual((status, leaf), (206, hashlib.sha256(film[1024:2048]).digest()))
        for missing in ('/content/none', '/content/', '/content/../film', '/content/%2e%2e/film'):
            self.assertEqual(get(self.url(missing))[0], 404, missing)
        link = self.channel('film')['link']
        self.assertIn(f'cl={n}', link)
        self.assertIn('fb=http%3A%2F%2F127.0.0.1%3A' + str(self.http), link)

    def test_missing_file_is_said(self):
        run = subprocess.run([ORIGIN, '--http', '127.0.0.1:0', '--peer', '127.0.0.1:0', '--state',
                              self.path('state'), '--file', 'a,/nonexistent/film.ts'],
                             capture_output=True, timeout=PATIENCE)
        self.assertEqual(run.returncode, 1)
        self.assertRegex(run.stderr.decode(), '^ppsp-origin: .*/nonexistent/film.ts.*\n$')

    def test_empty_file_is_said_once(self):
        with open(self.path('empty.ts'), 'w', encoding='ascii'):
            pass
        self.start('origin', ORIGIN, '--http', f'127.0.0.1:{self.http}', '--peer', '127.0.0.1:0',
                   '--state', self.path('state'), '--file', 'a,' + self.path('empty.ts'))
        wait_for('it is said', lambda: 'empty' in self.log('origin'))
        wait_for('it serves', lambda: 'serving' in self.log('origin'))
        self.assertEqual(self.channel('a')['state'], 'failed')
        self.assertEqual(self.log('origin').count('cannot publish'), 1)
        self.assertEqual(self.log('origin').count('empty.ts'), 1)
        self.assertIn('it is empty', self.log('origin'))


class Refusals(World):
    def refuses(self, pattern, *options):
        run = subprocess.run([ORIGIN, '--http', '127.0.0.1:0', '--peer', '127.0.0.1:0', '--state',
                              self.path('state'), *options], capture_output=True, timeout=PATIENCE)
        text = run.stderr.decode()
        self.assertEqual(run.returncode, 2, options)
        self.assertFalse(os.path.exists(self.path('state')), options)  # no token was made
        self.assertRegex(text, pattern)
        self.assertEqual(text.rstrip('\n').count('\n'), 0, text)

    def test_one_line_says_what_is_wrong(self):
        self.refuses('"Bad" is no ID', '--channel', 'Bad')
        self.refuses('--chunk-size 1000', '--chunk-size', '1000')
        self.refuses('does not fit a packet of 1280 bytes; give 1128', '--chunk-size', '1316')
        self.refuses('of 576 bytes; give 376 at most', '--mtu', '576')
        self.refuses('--mtu 9000: give', '--mtu', '9000')
        self.refuses('power of two', '--chunks-per-signature', '100')
        self.refuses('not ID', '--pull', 'a,ftp://host/')
        self.refuses('ADDR:PORT', '--announce', 'nonsense')
        self.refuses('nothing.conf', '--config', '/nonexistent/nothing.conf')
        self.refuses('is no option', 'word')
        self.refuses('tracker', '--channel', 'a', '--tracker', 'gopher://host/')
        self.refuses('used twice', '--channel', 'a', '--channel', 'b', '--file', 'a,/etc/hostname')
        with open(self.path('bad.conf'), 'w', encoding='utf-8') as file:
            file.write('[origin]\nchanel=demo\n')
        self.refuses('chanel: there is no such option', '--config', self.path('bad.conf'))

    def test_port_in_use(self):
        self.origin('--channel', 'demo')
        run = subprocess.run([ORIGIN, '--http', f'127.0.0.1:{self.http}', '--peer', '127.0.0.1:0',
                              '--state', self.path('other')], capture_output=True, timeout=PATIENCE)
        self.assertEqual(run.returncode, 1)
        self.assertIn(str(self.http).encode(), run.stderr)

    def put(self, path, headers=None, method='PUT'):
        request = urllib.request.Request(f'http://127.0.0.1:{self.http}{path}', method=method,
                                         headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    def test_config_file_and_reload(self):
        path = self.path('origin.conf')
        with open(path, 'w', encoding='utf-8') as file:
            file.write('# comment\n[origin]\nchannel=one=First;two\nwindow=1\n')
        process = self.origin('--config', path)
        self.assertEqual(self.channel('one')['name'], 'First')
        self.assertIsNotNone(self.channel('two'))
        with open(path, 'w', encoding='utf-8') as file:
            file.write('[origin]\nchannel=one=First;two;three\nlimit=two=8M,1M\n'
                       'swarm-upload=4M\n')
        process.send_signal(signal.SIGHUP)
        wait_for('the third', lambda: self.channel('three'))
        limits = {id: (self.channel(id)['upload_limit'], self.channel(id)['download_limit'])
                  for id in ('one', 'two', 'three')}
        self.assertEqual(limits, {'one': (500000, 0), 'two': (1000000, 125000),
                                  'three': (500000, 0)})
        self.assertEqual(self.put('/api/v1/channels/one/limit?upload=16M'), 204)
        self.assertEqual(self.channel('one')['upload_limit'], 2000000)
        self.assertEqual(self.put('/api/v1/channels/one/limit?upload=much'), 400)
        self.assertEqual(self.put('/api/v1/channels/four/limit?upload=16M'), 404)
        self.assertEqual(self.put('/api/v1/channels/one/limit', {'Origin': 'http://a'}), 401)
        # what was set stays, until the file says something else of that channel
        with open(path, 'a', encoding='utf-8') as file:
            file.write('limit=two=24M\n')
        process.send_signal(signal.SIGHUP)
        wait_for('the limits of the file', lambda: self.channel('two')['upload_limit'] == 3000000)
        self.assertEqual(self.channel('one')['upload_limit'], 2000000)
        with open(path, 'a', encoding='utf-8') as file:
            file.write('limit=one=32M\n')
        process.send_signal(signal.SIGHUP)
        wait_for('the last word', lambda: self.channel('one')['upload_limit'] == 4000000)
        # what is taken back leaves what the file says
        path = '/api/v1/channels/one/limit'
        self.assertEqual(self.put(path + '?upload=16M&download=1M'), 204)
        self.assertEqual(self.put(path, {'Origin': 'http://a'}, 'DELETE'), 401)
        self.assertEqual(self.channel('one')['upload_limit'], 2000000)
        self.assertEqual(self.put(path, method='DELETE'), 204)
        self.assertEqual((self.channel('one')['upload_limit'], self.channel('one')['download_limit']),
                         (4000000, 0))


class Swarm(World):
    def test_peers_tell_of_themselves(self):
        """RFC 6972, PP.REQ-8: what a peer is told to say reaches the origin, and so does what its
        key file says after SIGHUP."""
        with open(self.path('film'), 'wb') as file:
            file.write(random.Random(8).randbytes(100_000))
        udp = free_port()
        self.origin('--file', f'film,{self.path("film")}', '--announce', f'127.0.0.1:{udp}',
                    '--access-link', 'wired', '--power', 'battery', '--peer',
                    f'127.0.0.1:{udp}')
        self.assertIn('ppsp_own_status_info{link="wired",power="battery"} 1',
                      get(self.url('/metrics'))[2].decode())
        link = wait_for('published', lambda: self.channel('film').get('link'))
        config = self.path('peer.conf')

        def heard(line):
            return f'\n{line} 1\n' in get(self.url('/metrics'))[2].decode()

        with open(config, 'w', encoding='utf-8') as file:
            file.write('[peer]\naccess-link=cellular\npower=low\n')
        peer = self.start('peer', PEER, link, '--config', config, '--seed', '--output',
                          self.path('got'))
        wait_for('its line', lambda: heard('ppsp_peers_access_link{link="cellular"}'))
        wait_for('its power', lambda: heard('ppsp_peers_power{power="low"}'))
        self.assertTrue(heard('ppsp_peers_spared'))
        with open(config, 'w', encoding='utf-8') as file:
            file.write('[peer]\naccess-link=wireless\npower=mains\nupload=20M\n')
        peer.send_signal(signal.SIGHUP)
        wait_for('its new line', lambda: heard('ppsp_peers_access_link{link="wireless"}'))
        wait_for('its new power', lambda: heard('ppsp_peers_power{power="mains"}'))
        with open(config, 'w', encoding='utf-8') as file:
            file.write('[peer]\nupload=fast\n')
        peer.send_signal(signal.SIGHUP)
        wait_for('the mistake', lambda: '--upload fast: expected' in self.log('peer'))
        self.assertIsNone(peer.poll())
        wait_for('the film', lambda: os.path.exists(self.path('got')) and
                 read(self.path('got')) == read(self.path('film')))

    def test_links_are_the_same_while_the_tracker_is_away(self):
        """The key of the tracker stands in the links, kept over a restart; a tracker that has lost
        its own has another one."""
        port = free_port()

        def tracker(state):
            return self.start('tracker', TRACKER, '--listen', f'127.0.0.1:{port}', '--management',
                              '127.0.0.1:0', '--state', self.path(state))

        def stop(process):
            process.terminate()
            process.wait(PATIENCE)

        def key():
            match = re.search('tk=([0-9a-f]{64})', self.channel()['link'] or '')
            return match and match.group(1)

        options = ('--channel', 'demo', '--tracker', f'http://127.0.0.1:{port}/')
        running = tracker('one')
        origin = self.origin(*options)
        first = wait_for('the link names the key', key)
        self.assertIn(first, self.log('tracker'))
        link = self.channel()['link']
        stop(origin)
        stop(running)
        origin = self.origin(*options, '--channel', 'other')
        self.assertEqual(self.channel()['link'], link)
        self.assertIn(f'tk={first}', self.channel('other')['link'])
        stop(origin)
        running = tracker('two')
        origin = self.origin(*options)
        second = wait_for('the link names the new key', lambda: key() != first and key())
        self.assertIn(second, self.log('tracker'))
        self.assertIn('has a new key', self.log('origin'))
        stop(running)
        stop(origin)
        self.origin('--channel', 'demo', '--tracker', f'http://127.0.0.1:{free_port()}/')
        self.assertIsNone(key())

    def test_peer_gets_what_the_encoder_sends(self):
        """Through the tracker: every packet of the encoder in order, then after a kill -9 of the
        origin the same link goes on."""
        tracker = free_port()
        self.start('tracker', TRACKER, '--listen', f'127.0.0.1:{tracker}', '--management',
                   '127.0.0.1:0')
        origin = self.origin('--channel', 'demo', '--tracker', f'http://127.0.0.1:{tracker}/')
        wait_for('registered', lambda: self.channel()['registered'])
        link = self.channel()['link']
        self.start('encoder', 'ffmpeg', '-v', 'error', '-re', '-f', 'lavfi', '-i',
                   'testsrc2=size=640x360:rate=25', '-t', '60', '-c:v', 'libx264', '-preset',
                   'ultrafast', '-b:v', '2M', '-g', '25', '-map', '0', '-f', 'tee',
                   f'[f=mpegts]{self.path("sent.ts")}|[f=mpegts:method=PUT]'
                   f'{self.url("/ingest/demo")}')
        wait_for('live', lambda: self.channel()['chunks'])
        output = self.path('got.ts')
        self.start('peer', PEER, link, '--output', output)
        size = wait_for('a second of it', lambda: os.path.exists(output) and
                        os.path.getsize(output) > 250_000 and os.path.getsize(output))
        self.assertGreaterEqual(wait_for('a peer', lambda: self.channel()['peers']), 1)
        with open(output, 'rb') as file:
            got = [p for p in packets(file.read(size)) if not is_null(p)]
        wait_for('sent is on the disk', lambda: contains(self.path('sent.ts'), got))
        origin.kill()
        origin.wait()
        self.origin('--channel', 'demo', '--tracker', f'http://127.0.0.1:{tracker}/')
        self.assertEqual(self.channel()['link'], link)
        self.encoder(self.url('/ingest/demo'), 60, '-method', 'PUT')
        size = os.path.getsize(output)
        wait_for('the peer goes on', lambda: os.path.getsize(output) > size + 60_000)


def packets(data):
    return [data[at:at + PACKET] for at in range(0, len(data) - PACKET + 1, PACKET)]


def is_null(packet):
    return packet[1] & 0x1F == 0x1F and packet[2] == 0xFF


def contains(path, got):
    """Is got a contiguous part of the packets in the file?"""
    with open(path, 'rb') as file:
        return b''.join(got) in file.read()


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1] + sys.argv[4:], verbosity=2)

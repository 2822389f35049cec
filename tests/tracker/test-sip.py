#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The SIP binding with strangers and with real programs: SIPp as a peer against our tracker, and as a tracker
against our peer; and whole contents, shared by programs whose tracker is at sip: or sips:.

    test-sip.py PPSP-TRACKER PPSP-ORIGIN PPSP-PEER

All on loopback. Exit code 77 when SIPp or openssl is missing."""
import hashlib
import os
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../lib'))
from ports import free_port  # noqa: E402

TRACKER, ORIGIN, PEER = (os.path.abspath(sys.argv.pop(1)) for _ in range(3))
SCENARIOS = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'sipp')
PATIENCE = 120  # s: ends a test that has failed, and decides nothing else
TOOLS = ('sipp', 'openssl')


def account(hashes=('md5', 'sha256'), user='ann', password='right', realm='ppsp'):
    text = f'{user}:{realm}:{password}'.encode()
    return ''.join(f'{user}:{realm}:{hashlib.new(name, text).hexdigest()}\n' for name in hashes)


class Sip(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='sip-')
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        # sofia-sip and OpenSSL do not give back all of TLS at the end.
        self.trust = {'ASAN_OPTIONS': 'detect_leaks=0'} if 'tls' in self.id() or 'certificate' in self.id() else {}

    def path(self, name, text=None):
        path = os.path.join(self.folder, name)
        if text is not None:
            with open(path, 'w', encoding='utf-8') as file:
                file.write(text)
            os.chmod(path, 0o600)
        return path

    def start(self, *words):
        process = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.PIPE,
                                   env={**os.environ, **self.trust}, cwd=self.folder)
        process.said = b''
        self.addCleanup(self.stop, process)
        return process

    def stop(self, process):
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        process.stderr.close()
        process.stdout.close()
        return process.returncode

    def until(self, process, pattern):
        """What it says on stderr, up to a line that has the pattern."""
        end = time.monotonic() + PATIENCE
        while True:
            match = re.search(pattern, process.said.decode('utf-8', 'replace'))
            if match:
                return match
            self.assertLess(time.monotonic(), end, process.said)
            if select.select([process.stderr], [], [], 1)[0]:
                more = os.read(process.stderr.fileno(), 65536)
                self.assertTrue(more, process.said)
                process.said += more

    def tracker(self, *words, port='sip'):
        """Returns the process, its SIP port, and the address of its numbers."""
        management = free_port()
        process = self.start(TRACKER, '--listen', '127.0.0.1:0', '--management',
                             f'127.0.0.1:{management}', *words)
        pattern = r'SIP on .*\(port (\d+)\)' if port == 'sip' else r'SIP over TLS on .*\(port (\d+)\)'
        match = self.until(process, pattern)
        return process, int(match.group(1)), f'http://127.0.0.1:{management}'

    def numbers(self, management):
        with urllib.request.urlopen(management + '/metrics', timeout=PATIENCE) as reply:
            text = reply.read().decode()
        return {m.group(1): int(m.group(2))
                for m in re.finditer(r'^(ppsp_tracker_\S+) (\d+)$', text, re.M)}

    def wait_for(self, condition, what):
        end = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.1)

    # --- SIPp as a peer

    def scenario(self, name, **words):
        """SIPp replaces its words in messages, but not in what it looks for."""
        with open(os.path.join(SCENARIOS, name), encoding='utf-8') as file:
            text = file.read()
        for word, value in words.items():
            text = text.replace(f'[{word}]', str(value))
        return self.path(name, text)

    def seeded(self, transport):
        content = os.urandom(200000)
        with open(self.path('content'), 'wb') as file:
            file.write(content)
        _, port, management = self.tracker('--sip', '127.0.0.1:0', '--users',
                                           self.path('users', account(('md5',))))
        peer_port = free_port()
        credentials = self.path('credentials', '[127.0.0.1]\nuser=ann\npassword=right\n')
        _, link = self.origin(f'sip:127.0.0.1:{port}', '--credentials', credentials, peer=peer_port)
        self.wait_for(lambda: self.numbers(management)['ppsp_tracker_sip_dialogs'] == 1, 'no seeder')
        swarm = re.match(r'ppsp:([0-9a-f]+)', link).group(1)
        done = subprocess.run(
            ['sipp', f'127.0.0.1:{port}', '-sf', self.scenario('peer.xml', swarm=swarm, known=peer_port), '-t', transport,
             '-i', '127.0.0.1', '-m', '8', '-l', '4', '-r', '4', '-nostdin', '-timeout', str(PATIENCE), '-timeout_error'],
            cwd=self.folder, capture_output=True, text=True, timeout=2 * PATIENCE, check=False)
        self.assertEqual(done.returncode, 0, done.stdout[-3000:] + done.stderr)
        numbers = self.numbers(management)
        self.assertEqual(numbers['ppsp_tracker_sip_requests_total{method="BYE"}'], 8)
        self.assertEqual(numbers['ppsp_tracker_sip_wrong_credentials_total'], 0)
        self.assertEqual(numbers['ppsp_tracker_sip_malformed_total'], 0)
        self.assertEqual(numbers['ppsp_tracker_sip_dialogs'], 1)  # the seeder's
        self.assertEqual(numbers['ppsp_tracker_sip_peers'], 1)

    def test_sipp_is_a_peer_by_udp(self):
        self.seeded('u1')

    def test_sipp_is_a_peer_by_tcp(self):
        self.seeded('t1')

    # --- SIPp as a tracker

    def sipp_tracker(self, transport, parameter):
        content = os.urandom(200000)
        with open(self.path('content'), 'wb') as file:
            file.write(content)
        peer_port, sip_port = free_port(), free_port()
        _, link = self.origin(None, peer=peer_port)
        sipp = self.start('sipp', '-sf', self.scenario('tracker.xml', known=peer_port), '-t', transport, '-i',
                          '127.0.0.1', '-p', str(sip_port), '-nostdin',
                          '-timeout', str(2 * PATIENCE), '-trace_err')
        # It listens as soon as somebody else cannot.
        def listens():
            kind = socket.SOCK_STREAM if transport == 't1' else socket.SOCK_DGRAM
            with socket.socket(type=kind) as probe:
                try:
                    probe.bind(('127.0.0.1', sip_port))
                except OSError:
                    return True
            return False
        self.wait_for(listens, 'SIPp does not listen')
        credentials = self.path('credentials', '[127.0.0.1]\nuser=ann\npassword=right\n')
        fetched = self.path('fetched')
        peer = self.start(PEER, '--peer', '127.0.0.1:0', '--output', fetched, '--credentials', credentials,
                          '--access-link', 'cellular', '--tracker', f'sip:127.0.0.1:{sip_port}{parameter}', link)
        self.assertEqual(peer.wait(PATIENCE), 0, peer.stderr.read())
        with open(fetched, 'rb') as file:
            self.assertEqual(file.read(), content)
        self.assertIsNone(sipp.poll())

    def test_sipp_is_a_tracker_by_udp(self):
        self.sipp_tracker('u1', '')

    def test_sipp_is_a_tracker_by_tcp(self):
        self.sipp_tracker('t1', ';transport=tcp')

    # --- our programs

    def origin(self, uri, *words, peer=None):
        http = free_port()
        tracker = ('--tracker', uri) if uri else ()
        process = self.start(ORIGIN, '--http', f'127.0.0.1:{http}', '--peer',
                             f'127.0.0.1:{peer or free_port()}', *tracker, '--file',
                             f'film,{self.path("content")}', '--state', self.folder, *words)
        link = []

        def published():
            try:
                with urllib.request.urlopen(f'http://127.0.0.1:{http}/channels.m3u', timeout=5) as reply:
                    link[:] = re.findall(r'^ppsp:.*$', reply.read().decode(), re.M)
            except OSError:
                return False
            return bool(link)
        self.wait_for(published, 'no link')
        # Without the ways that are not the tracker's.
        return process, re.sub(r'&(fb|ps)=[^&]*', '', link[0])

    def share(self, uri, management, *words):
        """A seeder and a peer that have nothing in common but their tracker."""
        _, link = self.origin(uri, *words)
        self.wait_for(lambda: self.numbers(management)['ppsp_tracker_sip_dialogs'] >= 1, 'no seeder')
        fetched = self.path('fetched')
        peer = self.start(PEER, '--peer', '127.0.0.1:0', '--output', fetched, *words, link)
        self.assertEqual(peer.wait(PATIENCE), 0, peer.stderr.read())
        with open(fetched, 'rb') as got, open(self.path('content'), 'rb') as content:
            self.assertEqual(got.read(), content.read())

    def fill(self, n=2000000):
        with open(self.path('content'), 'wb') as file:
            file.write(os.urandom(n))

    def film(self, parameter):
        self.fill()
        users = self.path('users', account())
        credentials = self.path('credentials', '[127.0.0.1]\nuser=ann\npassword=right\n')
        _, port, management = self.tracker('--sip', '127.0.0.1:0', '--users', users)
        self.share(f'sip:127.0.0.1:{port}{parameter}', management, '--credentials', credentials)
        numbers = self.numbers(management)
        self.assertGreaterEqual(numbers['ppsp_tracker_sip_challenged_total'], 2)
        self.assertEqual(numbers['ppsp_tracker_sip_wrong_credentials_total'], 0)
        self.assertGreaterEqual(numbers['ppsp_tracker_sip_requests_total{method="BYE"}'], 1)

    def test_a_film_by_udp(self):
        self.film('')

    def test_a_film_by_tcp(self):
        self.film(';transport=tcp')

    def test_a_wrong_password_joins_nothing(self):
        self.fill(100000)
        users = self.path('users', account())
        credentials = self.path('credentials', '[127.0.0.1]\nuser=ann\npassword=wrong\n')
        _, port, management = self.tracker('--sip', '127.0.0.1:0', '--users', users)
        process, _ = self.origin(f'sip:127.0.0.1:{port}', '--credentials', credentials)
        self.until(process, 'error 6')
        numbers = self.numbers(management)
        self.assertEqual(numbers['ppsp_tracker_sip_peers'], 0)
        self.assertGreaterEqual(numbers['ppsp_tracker_sip_wrong_credentials_total'], 1)

    def certificate(self, name, subject):
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
                        'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', f'/CN={name}',
                        '-addext', f'subjectAltName={subject}', '-keyout', self.path(f'{name}.key'), '-out',
                        self.path(f'{name}.pem')], check=True, capture_output=True, timeout=PATIENCE)
        return self.path(f'{name}.pem'), self.path(f'{name}.key')

    def test_a_film_by_tls(self):
        self.fill()
        pem, key = self.certificate('localhost', 'DNS:localhost')
        users = self.path('users', account(('sha256',)))
        credentials = self.path('credentials', '[localhost]\nuser=ann\npassword=right\n')
        _, port, management = self.tracker('--sips', '127.0.0.1:0', '--tls-cert', pem, '--tls-key', key,
                                           '--users', users, port='sips')
        self.trust['SSL_CERT_FILE'] = pem
        self.share(f'sips:localhost:{port}', management, '--credentials', credentials)
        self.wait_for(lambda: self.numbers(management)['ppsp_tracker_sip_connections'] >= 1,
                      'no connection')

    def test_hangup_changes_the_certificate_of_tls(self):
        """Who has joined by the old one is still there, and goes on by the new one."""
        pem, key = self.certificate('localhost', 'DNS:localhost')
        users = self.path('users', account(('sha256',)))
        credentials = self.path('credentials', '[localhost]\nuser=ann\npassword=right\n')
        copies = self.trust['TMPDIR'] = self.path('copies')
        os.mkdir(copies)
        tracker, port, management = self.tracker('--sips', '127.0.0.1:0', '--tls-cert', pem, '--tls-key', key,
                                                 '--users', users, port='sips')
        del self.trust['TMPDIR']

        def stored(path):
            with open(path, encoding='ascii') as file:
                return file.read()

        def shown():
            return ssl.get_server_certificate(('127.0.0.1', port), timeout=PATIENCE).split()

        def count(what):
            return self.numbers(management)[f'ppsp_tracker_sip_{what}']

        found = 'requests_total{method="INFO"}'
        first, first_key = stored(pem), stored(key)
        # Our peer trusts the second one from the start.
        fresh, fresh_key = self.certificate('fresh', 'DNS:localhost')
        second, second_key = stored(fresh), stored(fresh_key)
        self.trust['SSL_CERT_FILE'] = self.path('both.pem', first + second)
        # Nobody has what it wants, so it asks again and again; localhost is ::1, too, where nobody listens.
        self.start(PEER, '--peer', '127.0.0.1:0', '--output', self.path('fetched'), '--credentials', credentials,
                   '--tracker', f'sips:localhost:{port}', 'ppsp:' + '5a' * 32 + '?cl=100000')
        self.wait_for(lambda: count(found) >= 1, 'no FIND')
        self.assertEqual(shown(), first.split())

        self.path('localhost.key', 'none')  # half of a pair: nothing changes
        tracker.send_signal(signal.SIGHUP)
        self.until(tracker, 'what was loaded before stays')
        self.assertEqual(shown(), first.split())

        self.path('localhost.pem', second)
        self.path('localhost.key', first_key)  # two halves, of two pairs
        tracker.send_signal(signal.SIGHUP)
        self.until(tracker, r'(?s)(what was loaded before stays.*){2}')
        self.assertEqual(shown(), first.split())

        self.path('localhost.key', second_key)
        self.path('users', 'nobody')  # a pair, and what comes after it is none: no copy of the key is left
        tracker.send_signal(signal.SIGHUP)
        self.until(tracker, 'users: line 1: .*what was loaded before stays')
        self.assertEqual(shown(), first.split())
        self.assertEqual(os.listdir(copies), [])

        self.path('users', account(('sha256',)))
        tracker.send_signal(signal.SIGHUP)
        self.until(tracker, 'loaded again')
        self.assertEqual(shown(), second.split())
        self.assertEqual(count('dialogs'), 1)
        before = count(found)
        self.wait_for(lambda: count(found) > before, 'no FIND by the new one')

    def test_a_wrong_certificate_is_not_spoken_to(self):
        """Of another name, and of nobody whom we trust."""
        self.fill(100000)
        pem, key = self.certificate('other.example', 'DNS:other.example')
        users = self.path('users', account())
        _, port, management = self.tracker('--sips', '127.0.0.1:0', '--tls-cert', pem, '--tls-key', key,
                                           '--users', users, port='sips')
        leaks = self.trust
        for trust in ({'SSL_CERT_FILE': pem}, {}):
            with self.subTest(trust=bool(trust)):
                self.trust = {**leaks, **trust}
                process, _ = self.origin(f'sips:localhost:{port}')
                self.until(process, 'tracker sips:localhost:[0-9]+: .*certificate')
                process.send_signal(signal.SIGTERM)
                self.assertNotIn(b': back', process.said + process.stderr.read())
                self.stop(process)
                numbers = self.numbers(management)
                self.assertEqual(numbers['ppsp_tracker_sip_requests_total{method="REGISTER"}'], 0)


if __name__ == '__main__':
    if not all(shutil.which(tool) for tool in TOOLS):
        print('needs ' + ', '.join(TOOLS))
        sys.exit(77)
    unittest.main()

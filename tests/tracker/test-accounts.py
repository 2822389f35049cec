#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ppsp-tracker's accounts, lists and resources, as strangers see them: curl shows passwords, tokens
and certificates over TLS, and yanglint reads what the management says.

    test-accounts.py PPSP-TRACKER YANG-MODULE"""
import hashlib
import json
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
import unittest
import warnings

PROGRAM, MODULE = os.path.abspath(sys.argv.pop(1)), os.path.abspath(sys.argv.pop(1))
PATIENCE = 60  # s: ends a test that has failed, and decides nothing else
TYPE = 'application/ppsp-tracker+json'
YANG = 'application/yang-data+json'
TOOLS = ('curl', 'openssl', 'yanglint')
REALM = 'ppsp'


def request(kind, peer='p', transaction='t', **body):
    return json.dumps({'PPSPTrackerProtocol': {
        'version': 1, 'request_type': kind, 'transaction_id': transaction, 'peer_id': peer, **body}})


def join(swarm, peer='p', action='JOIN', transaction='t'):
    return request('CONNECT', peer, transaction, connect={
        'peer_addr': [{'ip_address': {'address_type': 'ipv4', 'address': '127.0.0.1'},
                       'port': 7574, 'priority': 1, 'type': 'HOST'}],
        'swarm_action': [{'swarm_id': swarm, 'action': action, 'peer_mode': 'LEECH'}]})


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


def openssl(*words):
    subprocess.run(['openssl', *words], check=True, capture_output=True, timeout=PATIENCE)


class Tracker(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.process = None
        self.uri = ''
        self.said = b''

    def tearDown(self):
        if self.process is None:
            return
        # With TLS a sanitizer's leak checker dies of the library's threads.
        self.process.send_signal(signal.SIGKILL if self.uri.startswith('https') else signal.SIGTERM)
        rest = self.process.communicate(timeout=PATIENCE)[1].decode()
        self.assertIn(self.process.returncode, (0, -signal.SIGKILL), rest)

    def at(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.at(name), 'w', encoding='utf-8') as file:
            file.write(text)
        return self.at(name)

    def certificate(self, name, signer=None, san=None):
        """NAME.pem and NAME.key: by itself, or signed by another."""
        words = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
                 '-keyout', self.at(f'{name}.key'), '-out', self.at(f'{name}.pem'), '-days', '2',
                 '-subj', f'/CN={name}']
        if san is not None:
            words += ['-addext', f'subjectAltName={san}']
        if signer is not None:
            words += ['-CA', self.at(f'{signer}.pem'), '-CAkey', self.at(f'{signer}.key'),
                      '-addext', 'basicConstraints=critical,CA:FALSE']
        openssl(*words)

    def line(self):
        while b'\n' not in self.said:
            self.assertTrue(select.select([self.process.stderr], [], [], PATIENCE)[0], 'silent')
            more = os.read(self.process.stderr.fileno(), 4096)
            self.assertTrue(more, 'it has ended')
            self.said += more
        line, self.said = self.said.split(b'\n', 1)
        return line.decode()

    def start(self, *words, tls=True):
        if tls:
            self.certificate('localhost', san='DNS:localhost')
            words += ('--tls-cert', self.at('localhost.pem'), '--tls-key', self.at('localhost.key'))
        for _ in range(10):
            with socket.create_server(('127.0.0.1', 0)) as free:
                self.management = free.getsockname()[1]
            self.process = subprocess.Popen(
                [PROGRAM, '--listen', '127.0.0.1:0', '--management', f'127.0.0.1:{self.management}',
                 *words], stderr=subprocess.PIPE, bufsize=0)
            line = self.line()
            if 'in use' not in line:
                break
            self.process.communicate()  # somebody else was quicker
        port = re.search(r'\(port (\d+)\)', line)
        self.assertTrue(port, line)
        self.port = int(port[1])
        self.uri = f'{"https" if tls else "http"}://localhost:{self.port}/video_1?x=1'

    def reload(self):
        """What it says of it. Others' events may be told before."""
        self.process.send_signal(signal.SIGHUP)
        while True:
            line = self.line()
            if 'loaded' in line:
                return line

    def curl(self, uri, *words):
        """Status, header, body."""
        done = subprocess.run(
            ['curl', '-sS', '-D', self.at('head'), '-o', self.at('body'), '-w', '%{http_code}',
             '--max-time', str(PATIENCE), '--ipv4', *words, uri],
            capture_output=True, text=True, check=False, timeout=2 * PATIENCE)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(self.at('head'), encoding='latin-1') as file:
            head = file.read()
        with open(self.at('body'), encoding='utf-8') as file:
            return int(done.stdout), head, file.read()

    def ask(self, body, *words, status=200, code=0, uri=None):
        trust = ['--cacert', self.at('localhost.pem')] if os.path.exists(self.at('localhost.pem')) else []
        got, head, text = self.curl(uri or self.uri, '-H', f'Content-Type: {TYPE}', '-H',
                                    f'Accept: {TYPE}', '-d', body, *trust, *words)
        self.assertEqual(got, status, text)
        self.assertIn(f'Content-Type: {TYPE}', head)
        answer = json.loads(text)['PPSPTrackerProtocol']
        self.assertEqual(answer['error_code'], code, text)
        self.assertEqual(answer['response_type'], 0 if code == 0 else 1)
        if code != 0:
            self.assertEqual(set(answer), {'version', 'response_type', 'error_code',
                                           'transaction_id'})
        return head, answer

    def resource(self, name, *words, status=200):
        got, head, text = self.curl(f'http://127.0.0.1:{self.management}/api/v1/{name}', *words)
        self.assertEqual(got, status, text)
        if status != 200:
            return text
        self.assertIn(f'Content-Type: {YANG}', head)
        path = self.write('resource.json', text)
        judged = subprocess.run(['yanglint', '-n', '-t', 'data', MODULE, path], capture_output=True,
                                text=True, check=False, timeout=PATIENCE)
        self.assertEqual((judged.returncode, judged.stderr), (0, ''), text)
        (key, value), = json.loads(text).items()
        self.assertEqual(key, 'ppsp-tracker:' + ('peers' if '/' in name else name))
        return value

    def metric(self, name):
        text = self.curl(f'http://127.0.0.1:{self.management}/metrics')[2]
        return int(re.search(rf'^{re.escape(name)} (\d+)$', text, re.M)[1])


class Accounts(Tracker):
    def test_digest(self):
        lines = [f'alice:{REALM}:' + sha256(f'alice:{REALM}:wonder'),
                 f'alice:{REALM}:' + md5(f'alice:{REALM}:wonder'),
                 f'bob:{REALM}:' + sha256(f'bob:{REALM}:builder')]
        self.start('--users', self.write('users', '\n'.join(lines) + '\n'))
        head, answer = self.ask(join('1111'), status=401, code=6)
        self.assertEqual(answer['transaction_id'], 't')
        challenges = re.findall(r'^WWW-Authenticate: Digest (.*)$', head, re.M)
        self.assertEqual([re.search(r'algorithm=([\w-]+)', c)[1] for c in challenges],
                         ['SHA-256', 'MD5'])
        self.ask(join('1111', 'p'), '--digest', '-u', 'alice:wonder')
        self.ask(join('1111', 'q'), '--digest', '-u', 'bob:builder')
        # a wrong password, and nobody
        self.ask(join('1111', 'r'), '--digest', '-u', 'alice:blunder', status=401, code=6)
        self.ask(join('1111', 'r'), '--digest', '-u', 'carol:wonder', status=401, code=6)
        # a request that was overheard is no use again: its nonce and count are spent
        used = subprocess.run(
            ['curl', '-sS', '-v', '--digest', '-u', 'alice:wonder', '-H', f'Content-Type: {TYPE}',
             '--cacert', self.at('localhost.pem'), '--ipv4', '-d', request('STAT_REPORT'), self.uri],
            capture_output=True, text=True, check=True, timeout=PATIENCE)
        header = re.findall(r'^> (Authorization: Digest .*response=.*)$', used.stderr, re.M)[-1]
        self.assertIn('algorithm=SHA-256', header)
        head, _ = self.ask(request('STAT_REPORT'), '-H', header.strip(), status=401, code=6)
        self.assertIn('stale=true', head)
        # neither are they good for another target
        self.ask(request('STAT_REPORT'), '-H', header.strip(), status=401, code=6,
                 uri=self.uri.replace('video_1', 'video_2'))
        self.assertEqual({peer['peer-id']: peer['account'] for peer in
                          self.resource('swarms/1111')['peer']}, {'p': 'alice', 'q': 'bob'})
        self.assertGreaterEqual(self.metric('ppsp_tracker_bad_credentials_total'), 3)

    def test_digest_with_md5(self):
        self.start('--users', self.write('users', f'bob:x y:{md5("bob:x y:builder")}\n'), '--realm',
                   'x y', tls=False)
        head, _ = self.ask(join('1111'), status=401, code=6)
        self.assertIn('realm="x y"', head)
        self.assertNotIn('SHA-256', head)
        self.ask(join('1111'), '--digest', '-u', 'bob:builder')
        self.ask(join('1111'), '--digest', '-u', 'bob:destroyer', status=401, code=6)
        self.assertIn('a wrong password', self.line())  # said in the log, too

    def test_tokens(self):
        access = self.write('access', f'[swarm 2222]\naccounts=alice\n[tokens]\nalice={sha256("sesame")}\n'
                            f'bob={sha256("open")}\n')
        self.start('--access', access)
        self.ask(join('1111'))  # which is open to all
        head, _ = self.ask(join('2222'), status=401, code=6)
        self.assertIn('WWW-Authenticate: Bearer realm="ppsp"', head)
        bearer = 'Authorization: Bearer '
        self.ask(join('2222', 'a'), '-H', bearer + 'sesame')
        self.ask(join('2222', 'b'), '-H', bearer + 'open', code=3)
        # a token that is none is refused even where none is needed (section 4.1.1)
        head, _ = self.ask(join('1111', 'c'), '-H', bearer + 'open sesame', status=401, code=6)
        self.assertIn('error="invalid_token"', head)  # RFC 6750, 3.1
        # nobody else speaks for the peer of an account, though its ID is no secret
        self.ask(join('2222', 'a', 'LEAVE', 'u'), status=401, code=6)
        self.ask(join('2222', 'a', 'LEAVE', 'u'), '-H', bearer + 'open', code=3)
        self.ask(join('2222', 'a', 'LEAVE', 'u'), '-H', bearer + 'sesame')

    def test_certificates(self):
        for name in ('clients', 'bob', 'mallory'):
            self.certificate(name)
        self.certificate('alice', signer='clients')
        with open(self.at('bob.pem'), encoding='ascii') as file:
            bob = hashlib.sha256(ssl.PEM_cert_to_DER_cert(file.read())).hexdigest()
        access = self.write('access', '[tracker]\nswarms=closed\n[swarm 2222]\naccounts=alice\n'
                            f'[certificates]\nauthority={self.at("clients.pem")}\nbob={bob}\n')
        self.start('--access', access)

        def shown(name):
            return '--cert', self.at(f'{name}.pem'), '--key', self.at(f'{name}.key')

        self.ask(join('1111'), status=403, code=6)  # HTTP has no challenge for this
        self.ask(join('1111', 'a'), *shown('alice'))
        self.ask(join('1111', 'b'), *shown('bob'))
        self.ask(join('2222', 'b'), *shown('bob'), code=3)
        self.ask(join('2222', 'a'), *shown('alice'))
        self.ask(join('1111', 'm'), *shown('mallory'), status=403, code=6)
        self.assertEqual({peer['peer-id']: peer['account'] for peer in
                          self.resource('swarms/1111')['peer']}, {'a': 'alice', 'b': 'bob'})

    def test_tls_1_2_and_1_3(self):
        self.start()
        for version in ('1.2', '1.3'):
            self.ask(join('1111', version), f'--tlsv{version}', '--tls-max', version)
        context = ssl.create_default_context(cafile=self.at('localhost.pem'))
        context.set_ciphers('ALL:@SECLEVEL=0')
        warnings.simplefilter('ignore', DeprecationWarning)  # it is what we want to see refused
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        got = b''
        with socket.create_connection(('127.0.0.1', self.port), PATIENCE) as plain:
            try:
                with context.wrap_socket(plain, server_hostname='localhost') as tls:
                    tls.sendall(b'GET / HTTP/1.0\r\n\r\n')
                    got = tls.recv(1)
            except (ssl.SSLError, ConnectionError):
                pass
        self.assertEqual(got, b'', 'TLS 1.1 is spoken')

    def test_lists_are_read_again_and_connections_stay(self):
        token = 'Authorization: Bearer sesame'
        text = f'[tokens]\nalice={sha256("sesame")}\n'
        access = self.write('access', text)
        self.start('--access', access, tls=False)
        with socket.create_connection(('127.0.0.1', self.port), PATIENCE) as kept:
            stream = kept.makefile('rwb')

            def say(body):
                """Over the one connection."""
                stream.write(f'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: {TYPE}\r\n'
                             f'Content-Length: {len(body)}\r\n\r\n{body}'.encode())
                stream.flush()
                length = 0
                while (line := stream.readline().decode().strip()):
                    if line.lower().startswith('content-length:'):
                        length = int(line.split(':')[1])
                return json.loads(stream.read(length))['PPSPTrackerProtocol']['error_code']

            self.assertEqual(say(join('1111')), 0)
            self.ask(join('1111', 'a'), '-H', token)
            self.ask(join('3333', 'a', transaction='u'), '-H', token)
            self.write('access', text + '[swarm 1111]\n[swarm 3333]\naccess=refused\n')
            self.assertIn('loaded again', self.reload())
            # p is out, and a is in one swarm less; the connection is the same
            self.assertEqual([peer['peer-id'] for peer in self.resource('swarms/1111')['peer']],
                             ['a'])
            self.resource('swarms/3333', status=404)
            self.assertEqual(say(join('1111', transaction='v')), 6)
            self.assertEqual(say(join('2222', transaction='w')), 0)
            self.write('access', 'rubbish')
            self.assertRegex(self.reload(), 'access.*; what was loaded before stays$')
            self.assertEqual(say(join('1111', transaction='x')), 6)
            self.write('access', text + '[tracker]\ndeny-addresses=127.0.0.0/8\n')
            self.assertIn('loaded again', self.reload())
            self.assertEqual(say(join('1111', transaction='y')), 3)
            self.write('access', '')
            self.assertIn('loaded again', self.reload())
            self.ask(join('1111', 'b'), '-H', token)  # which nobody looks at any more
            self.assertEqual(say(join('1111', transaction='z')), 0)

    def test_accounts_are_read_again(self):
        users = self.write('users', f'alice:{REALM}:' + sha256(f'alice:{REALM}:wonder') + '\n')
        self.start('--users', users, tls=False)
        self.ask(join('1111'), '--digest', '-u', 'alice:wonder')
        self.write('users', f'alice:{REALM}:' + sha256(f'alice:{REALM}:land') + '\n')
        self.assertIn('loaded again', self.reload())
        self.ask(join('1111', 'q'), '--digest', '-u', 'alice:wonder', status=401, code=6)
        self.ask(join('1111', 'q'), '--digest', '-u', 'alice:land')
        self.write('users', 'rubbish\n')
        self.assertIn('what was loaded before stays', self.reload())
        self.ask(join('1111', 'r'), '--digest', '-u', 'alice:land')

    def test_files_that_say_nothing_are_refused(self):
        for words, said in ((('--users', '/nonexistent'), '/nonexistent'),
                            (('--users', self.write('none', '\n')), 'no account of the realm'),
                            (('--users', self.write('bad', 'x\n')), '/bad'),
                            (('--users', self.at('bad'), '--realm', 'a"b'), '--realm'),
                            (('--access', self.write('list', '[swarm]\n')), '[swarm]')):
            done = subprocess.run([PROGRAM, '--listen', '127.0.0.1:0', '--management', '', *words],
                                  capture_output=True, text=True, check=False, timeout=PATIENCE)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertEqual(done.stderr.count('\n'), 1, done.stderr)
            self.assertIn(said, done.stderr)


class Letter(Tracker):
    def test_only_post_of_our_type_is_taken(self):
        self.start(tls=False)
        got, head, _ = self.curl(self.uri)
        self.assertEqual((got, 'Allow: POST' in head), (405, True))
        for words, status in ((('-H', 'Content-Type: text/plain'), 415),
                              (('-H', 'Content-Type: application/json; charset=utf-8'), 200),
                              (('-H', f'Content-Type: {TYPE.upper()}'), 200),
                              (('-H', 'Content-Type:'), 200)):
            got, head, text = self.curl(self.uri, *words, '-d', join('1111'))
            self.assertEqual(got, status, text)
            self.assertEqual(f'Content-Type: {TYPE}' in head, status == 200, head)
        # UTF-8, and nothing else
        self.ask(join('ümlaut', '水', transaction='u'))
        path = self.at('latin')
        with open(path, 'wb') as file:
            file.write(join('1111').replace('1111', 'X').encode().replace(b'X', b'\xfc'))
        self.ask(f'@{path}', code=1)

    def test_errors_have_nothing_with_them(self):
        self.start(tls=False)
        for body, code in (('{', 1), (join('1111').replace('"version": 1', '"version": 2'), 2),
                           (join('1111', action='LEAVE'), 3), (request('FIND', find={'swarm_id': 'x'}), 3),
                           (request('STAT_REPORT'), 3), (request('DISCONNECT'), 1)):
            _, answer = self.ask(body, code=code)
            self.assertEqual(answer['transaction_id'], '' if body == '{' else 't')


class Management(Tracker):
    def test_resources_are_as_the_module_says(self):
        access = self.write('access', '[swarm 4444]\naccess=refused\n[swarm 5555]\naccounts=a;b\n')
        self.start('--access', access, tls=False)
        self.assertEqual(self.resource('tracker')['state'], 'INIT')
        self.assertEqual(self.resource('swarms'), {'total': 0, 'swarm': []})
        self.ask(join('1111'))
        self.ask(request('STAT_REPORT', stat_report={'type': 'STREAM_STATS', 'stat': [
            {'swarm_id': '1111', 'uploaded_bytes': 2 ** 40, 'downloaded_bytes': 7, 'late_chunks': 3,
             'available_bandwidth': 1, 'concurrent_links': 2}]}))
        self.ask(join('4444', transaction='u'), code=3)
        self.ask(join('5555', transaction='u'), status=403, code=6)
        tracker = self.resource('tracker')
        self.assertEqual((tracker['state'], tracker['peers'], tracker['denied']), ('STARTED', 1, '1'))
        self.assertEqual(self.resource('swarms')['swarm'],
                         [{'swarm-id': '1111', 'seeders': 0, 'leeches': 1,
                           'uploaded': str(2 ** 40), 'downloaded': '7', 'late-chunks': '3'}])
        peer, = self.resource('swarms/1111')['peer']
        self.assertEqual((peer['peer-id'], peer['from'], peer['mode'], peer['links'], peer['listen']),
                         ('p', '127.0.0.1', 'LEECH', 2, [{'address': '127.0.0.1', 'port': 7574}]))
        lists = self.resource('lists')
        self.assertEqual({swarm['swarm-id']: swarm for swarm in lists['swarm']},
                         {'4444': {'swarm-id': '4444', 'access': 'refused'},
                          '5555': {'swarm-id': '5555', 'access': 'closed', 'accounts': 2}})
        self.assertEqual(self.resource('history'), {'sample': [], 'swarm': []})
        kinds = [event['kind'] for event in self.resource('events')['event']]
        self.assertEqual(kinds, ['started', 'denied'])
        self.ask(join('1111', action='LEAVE', transaction='v'))
        self.assertEqual(self.resource('events')['event'][-1]['kind'], 'terminated')
        self.resource('swarms/none', status=404)
        self.resource('swarms', '-X', 'DELETE', status=405)
        self.resource('nothing', status=404)
        self.assertEqual(self.curl(f'http://evil.example:{self.management}/api/v1/tracker', '--resolve',
                                   f'evil.example:{self.management}:127.0.0.1')[0], 421)

    def test_metrics_are_openmetrics_with_few_labels(self):
        self.start(tls=False)
        for i in range(20):
            self.ask(join(f'swarm{i}', f'peer{i}'))
        got, head, text = self.curl(f'http://127.0.0.1:{self.management}/metrics')
        self.assertEqual(got, 200)
        self.assertIn('Content-Type: application/openmetrics-text; version=1.0.0', head)
        self.assertTrue(text.endswith('\n# EOF\n'))
        family, types, labels, lines = None, {}, set(), set()
        for line in text.split('\n')[:-2]:
            words = line.split(' ')
            if words[0] == '#':
                self.assertIn(words[1], ('TYPE', 'HELP'), line)
                if words[1] == 'TYPE':
                    family = words[2]
                    self.assertNotIn(family, types, 'a family in two places')
                    types[family] = words[3]
                self.assertEqual(words[2], family, line)
                continue
            sample = re.fullmatch(r'(\w+)(?:\{(.*)\})? [0-9.e+-]+', line)
            self.assertTrue(sample, line)
            suffix = {'counter': '_total', 'info': '_info'}.get(types[family], '')
            self.assertEqual(sample[1], family + suffix, line)
            self.assertNotIn((sample[1], sample[2]), lines, 'a sample twice')
            lines.add((sample[1], sample[2]))
            labels |= set(re.findall(r'(\w+)="', sample[2] or ''))
        self.assertEqual(types['ppsp_tracker_peers'], 'gauge')
        self.assertNotIn('swarm1', text)
        self.assertNotIn('peer1', text)
        self.assertLessEqual(labels, {'type', 'code', 'version', 'reason', 'transport', 'method'})

    def test_limits_are_set_while_it_runs(self):
        self.start(tls=False)

        def change(body, *words, status=200):
            return self.resource('limits', '-X', 'PATCH', '-H', f'Content-Type: {YANG}', '-d', body,
                                 *words, status=status)

        self.assertEqual(self.resource('limits')['max-peers'], 1000000)
        limits = change('{"ppsp-tracker:limits":{"max-peers":1,"request-rate":7}}')
        self.assertEqual((limits['max-peers'], limits['request-rate'], limits['max-swarms']),
                         (1, 7, 100000))
        self.ask(join('1111'))
        head, _ = self.ask(join('1111', 'q'), status=503, code=5)
        self.assertIn('Retry-After: ', head)
        kinds = [event['kind'] for event in self.resource('events')['event']]
        self.assertEqual(kinds, ['limits-changed', 'started', 'limit-reached'])
        for body in ('', '{}', '[]', 'x', '{"ppsp-tracker:limits":[]}',
                     '{"ppsp-tracker:limits":{"max-peers":0}}',
                     '{"ppsp-tracker:limits":{"max-peers":-1}}',
                     '{"ppsp-tracker:limits":{"max-peers":"9"}}',
                     '{"ppsp-tracker:limits":{"max-peers":4294967296}}',
                     '{"ppsp-tracker:limits":{"max-peers":9,"max-fun":1}}', '[' * 4000):
            change(body, status=400)
        change('{"ppsp-tracker:limits":{"max-peers":2}}', '-H', 'Origin: http://evil.example',
               status=403)
        change('{"ppsp-tracker:limits":{"max-peers":2}}', '-H', 'Content-Type: text/plain', '-H',
               'Content-Type:', status=403)
        change('[' * 5000, status=413)
        self.assertEqual(self.resource('limits')['max-peers'], 1)


if __name__ == '__main__':
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        print('not here:', *missing, file=sys.stderr)
        sys.exit(77)
    unittest.main()

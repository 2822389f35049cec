#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ppsp-tracker as a program: its options, its one line when it cannot run, its signals."""
import http.client
import http.server
import json
import os
import re
import select
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.request

PROGRAM = sys.argv.pop(1)
# Options with which all is as it is without them: what follows the program, "--threads 3".
ALWAYS = sys.argv[1:]
del sys.argv[1:]
PATIENCE = 60  # s: ends a test that has failed, and decides nothing else
CONNECT = (b'{"PPSPTrackerProtocol":{"version":1,"request_type":"CONNECT","transaction_id":"t",'
           b'"peer_id":"p","connect":{"swarm_action":[{"swarm_id":"s","action":"JOIN",'
           b'"peer_mode":"LEECH"}]}}}')


def make_certificate(folder, name):
    paths = [os.path.join(folder, f'{part}.pem') for part in ('cert', 'key')]
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
                    'ec_paramgen_curve:P-256', '-nodes', '-keyout', paths[1], '-out', paths[0],
                    '-days', '2', '-subj', f'/CN={name}'], check=True, capture_output=True)
    return paths


class Program(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.processes = []
        self.asked = 0

    def tearDown(self):
        for process in self.processes:
            process.kill()
            process.wait()
            process.stderr.close()

    def path(self, name, text):
        path = os.path.join(self.folder.name, name)
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
        return path

    def start(self, *words):
        """Returns the process and the port that it says."""
        process = subprocess.Popen([PROGRAM, *ALWAYS, *words], stderr=subprocess.PIPE, bufsize=0)
        process.said = b''
        self.processes.append(process)
        line = self.line(process)
        port = re.search(r'\(port (\d+)\)', line)
        self.assertTrue(port, line)
        return process, int(port[1])

    def line(self, process):
        """The next line that it says."""
        while b'\n' not in process.said:
            self.assertTrue(select.select([process.stderr], [], [], PATIENCE)[0], 'it says nothing')
            more = os.read(process.stderr.fileno(), 4096)
            self.assertTrue(more, 'it has ended')
            process.said += more
        line, process.said = process.said.split(b'\n', 1)
        return line.decode()

    def refuse(self, code, word, *words):
        result = subprocess.run([PROGRAM, *ALWAYS, *words], capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertEqual(result.stderr.count('\n'), 1, result.stderr)
        self.assertIn(word, result.stderr)

    def test_says_what_it_is(self):
        result = subprocess.run([PROGRAM, '--version'], capture_output=True, text=True, check=True)
        self.assertRegex(result.stdout, r'^ppsp-tracker \d+\.\d+\.\d+\n$')
        result = subprocess.run([PROGRAM, '--help'], capture_output=True, text=True, check=True)
        for option in ('--listen', '--tls-cert', '--tls-key', '--management', '--config', '--store',
                       '--users', '--realm', '--access', '--sip', '--sips', '--threads', '--log', '--verbose', '--version'):
            self.assertIn(option, result.stdout)

    def test_refuses_what_this_build_has_not(self):
        self.refuse(1, 'mysql:x', '--store', 'mysql:x')

    def test_sip_is_open_on_loopback_only(self):
        here = ('--listen', '127.0.0.1:0', '--management', '')
        for words in (('--sip', '[::]:0'), ('--sip', '192.0.2.1:5060'), ('--sip', 'nowhere'),
                      ('--sips', '127.0.0.1:0')):
            self.refuse(1, 'sip' if words[0] == '--sips' else 'SIP', *here, *words)

    def test_refuses_what_it_cannot_read(self):
        self.refuse(2, '--colour', '--colour')
        self.refuse(2, 'word', 'word')
        self.refuse(2, '--tls-key', '--tls-cert', 'x')
        self.refuse(2, '/nonexistent', '--config', '/nonexistent')
        self.refuse(2, 'colour', '--config', self.path('c', '[ppsp-tracker]\ncolour=blue\n'))
        self.refuse(2, 'verbose', '--config', self.path('c', '[ppsp-tracker]\nverbose=perhaps\n'))
        for number in ('0', '65', '-1'):
            self.refuse(2, f'--threads {number}:', '--threads', number)
        for number in ('0', '169'):
            self.refuse(2, f'--certificate-hours {number}:', '--certificate-hours', number)
        self.refuse(2, '--log nowhere:', '--log', 'nowhere')
        self.refuse(1, 'nowhere:1', '--listen', 'nowhere:1')
        self.refuse(1, '/nonexistent', '--tls-cert', '/nonexistent', '--tls-key', '/nonexistent')

    def test_names_the_port_in_use(self):
        with socket.create_server(('127.0.0.1', 0)) as taken:
            address = f'127.0.0.1:{taken.getsockname()[1]}'
            self.refuse(1, address, '--listen', address, '--management', '')
            self.refuse(1, address, '--listen', '127.0.0.1:0', '--management', address)
            result = subprocess.run([PROGRAM, *ALWAYS, '--listen', '127.0.0.1:0', '--management', '', '--sip', address],
                                    capture_output=True, text=True, timeout=PATIENCE)
            self.assertRegex(result.stderr, fr'\A[^\n]*(SIP at sip:{address}: .*choose another|has no SIP)[^\n]*\n\Z')

    def test_serves_until_a_signal(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            process, port = self.start('--listen', '127.0.0.1:0', '--management', '')
            request = urllib.request.Request(f'http://127.0.0.1:{port}/x', CONNECT,
                                             {'Content-Type': 'application/ppsp-tracker+json'})
            with urllib.request.urlopen(request, timeout=PATIENCE) as response:
                self.assertEqual(response.headers['Content-Type'], 'application/ppsp-tracker+json')
                self.assertIn(b'"error_code":0', response.read())
            process.send_signal(signal.SIGHUP)  # nothing to read again, and no end
            process.send_signal(number)
            self.assertEqual(process.wait(PATIENCE), 0)

    def test_command_line_wins_over_the_key_file(self):
        with socket.create_server(('127.0.0.1', 0)) as taken:
            config = self.path('c', '[ppsp-tracker]\nmanagement=\nverbose=true\n'
                               f'listen=127.0.0.1:{taken.getsockname()[1]}\n')
            self.refuse(1, 'in use', '--config', config)
            process, port = self.start('--config', config, '--listen', '127.0.0.1:0')
            self.assertNotEqual(port, taken.getsockname()[1])
            self.assertIn('--tls-cert', self.line(process))  # said with --verbose only

    def test_log_goes_where_it_is_said(self):
        config = self.path('c', '[ppsp-tracker]\nlog=syslog:nobody\n')
        self.refuse(2, '--log syslog:nobody:', '--config', config)
        words = ('--listen', '127.0.0.1:0', '--management', '')
        process, port = self.start('--config', config, '--log', 'stderr', *words)
        self.assertGreater(port, 0)  # it was read from the line that it says there

    def test_says_that_a_certificate_is_out_of_date(self):
        cert, key = make_certificate(self.folder.name, 'old')
        process, _ = self.start('--listen', '127.0.0.1:0', '--management', '', '--tls-cert', cert, '--tls-key', key)
        subprocess.run(['openssl', 'x509', '-in', cert, '-signkey', key, '-days', '-1', '-out', f'{cert}.old'],
                       check=True, capture_output=True)
        os.replace(f'{cert}.old', cert)
        process.send_signal(signal.SIGHUP)
        self.assertIn(f'{cert} was good until', self.line(process))
        self.assertIn('loaded again', self.line(process))

    def test_hangup_reads_the_certificate_again(self):
        cert, key = make_certificate(self.folder.name, 'first')
        process, port = self.start('--listen', '127.0.0.1:0', '--management', '', '--tls-cert',
                                   cert, '--tls-key', key)
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE

        def shown():
            with socket.create_connection(('127.0.0.1', port), PATIENCE) as plain:
                with context.wrap_socket(plain) as tls:
                    return ssl.DER_cert_to_PEM_cert(tls.getpeercert(True))

        def stored():
            with open(cert, encoding='ascii') as file:
                return file.read()

        first = stored()
        self.assertEqual(shown().split(), first.split())
        make_certificate(self.folder.name, 'second')
        self.assertEqual(shown().split(), first.split())
        process.send_signal(signal.SIGHUP)
        self.assertIn('loaded again', self.line(process))
        self.assertNotEqual(stored(), first)
        self.assertEqual(shown().split(), stored().split())
        second = stored()
        for wrong in ('rubbish', first):  # of the first, there is no key any more
            self.path('cert.pem', wrong)
            process.send_signal(signal.SIGHUP)
            self.assertRegex(self.line(process), '^ppsp-tracker: warning: .*; what was loaded before stays$')
            self.assertEqual(shown().split(), second.split())
        self.refuse(1, 'the key is not that of the certificate', '--listen', '127.0.0.1:0', '--management', '',
                    '--tls-cert', cert, '--tls-key', key)


    def ask(self, port, ip, body):
        """A request from that address of the loopback network."""
        wire = http.client.HTTPConnection('127.0.0.1', port, PATIENCE, source_address=(ip, 0))
        self.asked += 1
        request = {'version': 1, 'transaction_id': str(self.asked), 'peer_id': ip, **body}
        wire.request('POST', '/', json.dumps({'PPSPTrackerProtocol': request}),
                     {'Content-Type': 'application/ppsp-tracker+json'})
        answer = json.load(wire.getresponse())['PPSPTrackerProtocol']
        wire.close()
        self.assertEqual(answer['error_code'], 0, answer)
        return answer

    def near(self, port):
        """10 peers in 127.1, 40 in 127.2; how many of 10 that are named in 127.3 are of 127.1?"""
        for i in range(50):
            ip = f'127.{1 if i < 10 else 2}.0.{i + 1}'
            self.ask(port, ip, {'request_type': 'CONNECT', 'connect': {
                'peer_addr': [{'ip_address': {'address_type': 'ipv4', 'address': ip}, 'port': 7574,
                               'priority': 1, 'type': 'HOST'}],
                'swarm_action': [{'swarm_id': 's', 'action': 'JOIN', 'peer_mode': 'LEECH'}]}})
        return self.named(port)

    def named(self, port):
        self.ask(port, '127.3.0.1', {'request_type': 'CONNECT', 'connect': {
            'swarm_action': [{'swarm_id': 's', 'action': 'JOIN', 'peer_mode': 'LEECH'}]}})
        answer = self.ask(port, '127.3.0.1', {'request_type': 'FIND', 'find': {
            'swarm_id': 's', 'peer_num': {'peer_count': 10}}})
        peers = answer['swarm_result'][0]['peer_group']['peer_info']
        self.assertEqual(len(peers), 10)
        return sum(peer['peer_id'].startswith('127.1.') for peer in peers)

    def test_table_of_places_decides_who_is_named(self):
        table = self.path('places', '# regions\n127.1.0.0/16 here\n127.3.0.0/16 here\n')
        process, port = self.start('--listen', '127.0.0.1:0', '--management', '', '--places', table)
        self.assertGreaterEqual(self.near(port), 8)
        with open(table, 'w', encoding='utf-8') as file:
            file.write('127.2.0.0/16 there\n127.3.0.0/16 there\n')
        process.send_signal(signal.SIGHUP)
        self.assertIn('loaded again', self.line(process))
        self.assertLessEqual(self.near(port), 2)  # all have been heard again
        self.refuse(1, 'line 1', '--places', self.path('bad', 'here 127.0.0.0/8\n'))
        self.refuse(1, '/nonexistent', '--places', '/nonexistent')
        huge = self.path('huge', '')
        os.truncate(huge, (256 << 20) + 1)
        self.refuse(1, 'more than 256 MiB', '--places', huge)

    if '--threads' in ALWAYS:  # one has enough to do meanwhile
        def test_other_threads_answer_while_a_table_is_read(self):
            table = self.path('places', '127.1.0.0/16 here\n127.3.0.0/16 here\n')
            process, port = self.start('--listen', '127.0.0.1:0', '--management', '', '--places', table)
            os.remove(table)
            os.mkfifo(table)
            process.send_signal(signal.SIGHUP)
            with open(table, 'w', encoding='utf-8') as file:  # now it reads, to an end that is ours
                self.assertGreaterEqual(self.near(port), 8)
                file.write('127.2.0.0/16 there\n127.3.0.0/16 there\n')
            self.assertIn('loaded again', self.line(process))
            self.assertLessEqual(self.near(port), 2)

    def test_all_is_read_again_or_nothing(self):
        table = self.path('places', '127.1.0.0/16 here\n127.3.0.0/16 here\n')
        access = self.path('access', '[tracker]\nswarms=open\n')
        users = self.path('users', 'alice:ppsp:' + 32 * '0' + '\n')
        process, port = self.start('--listen', '127.0.0.1:0', '--management', '', '--places', table,
                                   '--users', users, '--access', access)
        self.assertGreaterEqual(self.near(port), 8)
        self.path('users', 'rubbish\n')
        self.path('places', '127.2.0.0/16 there\n127.3.0.0/16 there\n')
        process.send_signal(signal.SIGHUP)
        self.assertIn('what was loaded before stays', self.line(process))
        self.assertGreaterEqual(self.near(port), 8)

    def test_maps_of_an_alto_server_decide_who_is_named(self):
        """RFC 7285: from the directory to the maps, at relative URIs."""
        resources = {
            '/directory': {'meta': {'cost-types': {'num': {
                'cost-mode': 'numerical', 'cost-metric': 'routingcost'}}}, 'resources': {
                    'map': {'uri': 'maps/network', 'media-type': 'application/alto-networkmap+json'},
                    'cost': {'uri': 'maps/cost', 'media-type': 'application/alto-costmap+json',
                             'capabilities': {'cost-type-names': ['num']}, 'uses': ['map']}}},
            '/maps/network': {'meta': {}, 'network-map': {
                f'PID{i}': {'ipv4': [f'127.{i}.0.0/16']} for i in (1, 2, 3)}},
            '/maps/cost': {'meta': {}, 'cost-map': {'PID3': {'PID1': 1, 'PID2': 9, 'PID3': 0}}}}
        asked = []

        class Alto(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                body = json.dumps(resources[self.path]).encode()
                self.send_response(200)
                self.send_header('Content-Length', str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *words):
                pass

        with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Alto) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            uri = f'http://127.0.0.1:{server.server_port}/directory'
            process, port = self.start('--listen', '127.0.0.1:0', '--management', '', '--verbose',
                                       '--alto', uri)
            while '3 places' not in self.line(process):
                pass
            server.shutdown()
        self.assertEqual(asked, ['/directory', '/maps/network', '/maps/cost'])
        self.assertGreaterEqual(self.near(port), 8)
        self.refuse(1, '--alto', '--alto', 'no uri')


if __name__ == '__main__':
    unittest.main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ppsp-tracker as a program: its options, its one line when it cannot run, its signals."""
import os
import re
import select
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import unittest
import urllib.request

PROGRAM = sys.argv.pop(1)
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
        process = subprocess.Popen([PROGRAM, *words], stderr=subprocess.PIPE, bufsize=0)
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
        result = subprocess.run([PROGRAM, *words], capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertEqual(result.stderr.count('\n'), 1, result.stderr)
        self.assertIn(word, result.stderr)

    def test_says_what_it_is(self):
        result = subprocess.run([PROGRAM, '--version'], capture_output=True, text=True, check=True)
        self.assertRegex(result.stdout, r'^ppsp-tracker \d+\.\d+\.\d+\n$')
        result = subprocess.run([PROGRAM, '--help'], capture_output=True, text=True, check=True)
        for option in ('--listen', '--tls-cert', '--tls-key', '--management', '--config', '--store',
                       '--users', '--realm', '--access', '--sip', '--sips', '--log', '--verbose', '--version'):
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
        self.refuse(2, '--log nowhere:', '--log', 'nowhere')
        self.refuse(1, 'nowhere:1', '--listen', 'nowhere:1')
        self.refuse(1, '/nonexistent', '--tls-cert', '/nonexistent', '--tls-key', '/nonexistent')

    def test_names_the_port_in_use(self):
        with socket.create_server(('127.0.0.1', 0)) as taken:
            address = f'127.0.0.1:{taken.getsockname()[1]}'
            self.refuse(1, address, '--listen', address, '--management', '')
            self.refuse(1, address, '--listen', '127.0.0.1:0', '--management', address)

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
            self.assertEqual(process.wait(5), 0)

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
        self.path('cert.pem', 'rubbish')
        process.send_signal(signal.SIGHUP)
        self.assertRegex(self.line(process), '^ppsp-tracker: warning: .*; what was loaded before stays$')
        self.assertEqual(shown().split(), second.split())


if __name__ == '__main__':
    unittest.main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The stores of ppsp-tracker: one suite that each passes, and what only some of them promise, with
real programs: a file that outlives kill -9; two trackers that share one Redis server, of which one is
killed, and the server too."""
import json
import os
import re
import resource
import select
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../lib'))
from ports import free_port  # noqa: E402

PROGRAM = sys.argv.pop(1)
SHARED = sys.argv.pop(1)  # what it was built from is shared.c
HAS_REDIS = SHARED != 'none'
PATIENCE = 60  # s: ends a test that has failed, and decides nothing else
SWARM = 'ab' * 20


def until(what, true):
    """Waits until it is; the machine may be slow."""
    end = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > end:
            raise AssertionError(f'{what}: not within {PATIENCE} s')
        time.sleep(0.05)


def ask_redis(port, *words):
    """Fails if Redis says no."""
    return subprocess.run(['redis-cli', '-e', '-p', str(port), *words], timeout=PATIENCE, check=True,
                          capture_output=True, text=True).stdout.strip()


class Tracker:
    def __init__(self, store, *words):
        self.manage = free_port()
        self.process = subprocess.Popen(
            [PROGRAM, '--listen', '127.0.0.1:0', '--management', f'127.0.0.1:{self.manage}',
             '--store', store, *words], stderr=subprocess.PIPE, bufsize=0,
            preexec_fn=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN))  # a limit is a full disk
        said = b''
        while b'(port ' not in said or not said.endswith(b'\n'):
            if not select.select([self.process.stderr], [], [], PATIENCE)[0]:
                raise AssertionError(f'it says no more than {said}')
            more = os.read(self.process.stderr.fileno(), 4096)
            if not more:
                raise AssertionError(f'it has ended: {said}')
            said += more
        self.port = int(re.search(rb'\(port (\d+)\)', said)[1])
        self.transactions = 0

    def ask(self, kind, peer, body):
        self.transactions += 1
        request = {'version': 1, 'request_type': kind, 'peer_id': peer,
                   'transaction_id': f'{self.port}.{self.transactions}', **body}
        with urllib.request.urlopen(urllib.request.Request(
                f'http://127.0.0.1:{self.port}/',
                json.dumps({'PPSPTrackerProtocol': request}).encode(),
                {'Content-Type': 'application/ppsp-tracker+json'}), timeout=PATIENCE) as response:
            return json.load(response)['PPSPTrackerProtocol']

    def join(self, peer, port, mode='LEECH', swarm=SWARM, action='JOIN'):
        address = {'ip_address': {'address_type': 'ipv4', 'address': '127.0.0.1'}, 'port': port,
                   'priority': 1, 'type': 'HOST'}
        answer = self.ask('CONNECT', peer, {'connect': {
            'peer_addr': [address], 'swarm_action': [
                {'swarm_id': swarm, 'action': action, 'peer_mode': mode}]}})
        assert answer['error_code'] == 0, answer

    def named(self, peer, swarm=SWARM):
        answer = self.ask('FIND', peer, {'find': {'swarm_id': swarm, 'peer_num':
                                                  {'peer_count': 30}}})
        assert answer['error_code'] == 0, answer
        peers = answer['swarm_result'][0]['peer_group']['peer_info']
        return sorted(peer['peer_id'] for peer in peers)

    def metric(self, name):
        with urllib.request.urlopen(f'http://127.0.0.1:{self.manage}/metrics',
                                    timeout=PATIENCE) as response:
            return float(re.search(rf'^{name} (\S+)$', response.read().decode(), re.M)[1])

    def end(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        self.process.stderr.close()
        assert code in (0, -signal.SIGKILL), code


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.redis_port = free_port()
        self.redis = None

    def tracker(self, store, *words):
        tracker = Tracker(store, *words)
        self.addCleanup(tracker.end, signal.SIGKILL)
        return tracker

    def start_redis(self, *words, port=None):
        port = port or self.redis_port
        self.redis = subprocess.Popen(
            ['redis-server', '--port', str(port), '--bind', '127.0.0.1', '--save', '',
             '--dir', self.folder.name, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(self.stop_redis, self.redis)

        def answers():
            try:
                with socket.create_connection(('127.0.0.1', port), PATIENCE) as wire:
                    wire.sendall(b'PING\r\n')
                    return wire.recv(100).startswith((b'+PONG', b'-NOAUTH'))
            except OSError:
                return False
        until('redis-server answers', answers)
        return self.redis

    @staticmethod
    def stop_redis(process):
        process.kill()
        process.wait(PATIENCE)

    def uri(self, kind):
        if kind == 'sqlite':
            return f'sqlite:{self.folder.name}/peers.db'
        if kind == 'redis':
            return f'redis://127.0.0.1:{self.redis_port}/test'
        return 'memory:'

    def refuse(self, store, word):
        result = subprocess.run([PROGRAM, '--listen', '127.0.0.1:0', '--management', '', '--store',
                                 store], capture_output=True, text=True, timeout=PATIENCE)
        self.assertNotEqual(result.returncode, 0)
        self.assertEqual(result.stderr.count('\n'), 1, result.stderr)
        self.assertIn(word, result.stderr)


class Every(Case):
    """What each store passes."""

    def kinds(self):
        kinds = ['memory', 'sqlite']
        if HAS_REDIS:
            self.start_redis()
            kinds.append('redis')
        return kinds

    def test_tracker_answers_as_without_one(self):
        for kind in self.kinds():
            with self.subTest(kind):
                tracker = self.tracker(self.uri(kind))
                tracker.join('p1', 7001, 'SEEDER')
                tracker.join('p2', 7002)
                self.assertEqual(tracker.named('p2'), ['p1'])
                tracker.join('p1', 7001, 'SEEDER', action='LEAVE')
                self.assertEqual(tracker.named('p2'), [])
                self.assertEqual(tracker.metric('ppsp_tracker_peers'), 1)
                self.assertEqual(tracker.metric('ppsp_tracker_store_failures_total'), 0)

    def test_what_was_there_is_there_again(self):
        for kind in self.kinds():
            with self.subTest(kind):
                tracker = self.tracker(self.uri(kind))
                tracker.join('p1', 7001, 'SEEDER')
                tracker.join('p2', 7002)
                tracker.join('p3', 7003)
                tracker.join('p3', 7003, action='LEAVE')
                if kind == 'redis':
                    until('it is connected',
                          lambda: tracker.metric('ppsp_tracker_store_connected') == 1)
                tracker.end()
                tracker = self.tracker(self.uri(kind))
                if kind == 'memory':
                    self.assertEqual(tracker.metric('ppsp_tracker_peers'), 0)
                    continue
                until('it is read', lambda: tracker.metric('ppsp_tracker_peers') == 2)
                # It goes on without a CONNECT.
                self.assertEqual(tracker.named('p2'), ['p1'])
                self.assertEqual(tracker.metric('ppsp_tracker_store_refused_total'), 0)


class File(Case):
    def test_survives_a_kill(self):
        tracker = self.tracker(self.uri('sqlite'))
        for i in range(300):
            tracker.join(f'p{i}', 7000 + i, swarm=SWARM[:-2] + f'{i % 7:02x}')
        until('it is written', lambda: tracker.metric('ppsp_tracker_store_written_total') >= 300)
        tracker.end(signal.SIGKILL)
        tracker = self.tracker(self.uri('sqlite'))
        self.assertEqual(tracker.metric('ppsp_tracker_peers'), 300)
        self.assertEqual(tracker.metric('ppsp_tracker_swarms'), 7)
        self.assertEqual(len(tracker.named('p0', SWARM[:-2] + '00')), 30)

    def test_a_full_disk_is_named_and_loses_nothing(self):
        def room(size):
            resource.prlimit(tracker.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        tracker = self.tracker(self.uri('sqlite'))
        room(0)
        tracker.join('p1', 7001)
        self.assertTrue(select.select([tracker.process.stderr], [], [], PATIENCE)[0], 'no warning')
        self.assertRegex(os.read(tracker.process.stderr.fileno(), 4096).decode(),
                         r'cannot write .*/peers.db: disk I/O error')
        room(resource.RLIM_INFINITY)
        until('it is written', lambda: tracker.metric('ppsp_tracker_store_written_total') >= 1)
        tracker.end(signal.SIGKILL)
        self.assertEqual(self.tracker(self.uri('sqlite')).metric('ppsp_tracker_peers'), 1)

    def test_who_was_there_too_long_ago_is_gone(self):
        tracker = self.tracker(self.uri('sqlite'))
        tracker.join('p1', 7001)
        tracker.end()
        path = self.uri('sqlite').split(':', 1)[1]
        with sqlite3.connect(path) as file:
            self.assertEqual(file.execute('SELECT count(*) FROM peers').fetchone(), (1,))
            file.execute('UPDATE alive SET at = at - 181 * 1000000')
        file.close()
        tracker = self.tracker(self.uri('sqlite'))
        self.assertEqual(tracker.metric('ppsp_tracker_peers'), 0)

    def test_who_is_denied_meanwhile_is_gone(self):
        access = os.path.join(self.folder.name, 'access')
        for text, swarms in (('', 2), (f'[swarm {SWARM}]\naccess=refused\n', 1), ('', 1)):
            with open(access, 'w', encoding='utf-8') as file:
                file.write(text)
            tracker = self.tracker(self.uri('sqlite'), '--access', access)
            if swarms == 2:
                tracker.join('p1', 7001)
                tracker.join('p2', 7002, swarm='cd' * 20)
            self.assertEqual(tracker.metric('ppsp_tracker_swarms'), swarms)
            tracker.end()

    def test_refuses_what_it_cannot_use(self):
        self.refuse('sqlite:', 'no such store')
        self.refuse('sqlite:/nonexistent/peers.db', '/nonexistent/peers.db')
        path = os.path.join(self.folder.name, 'none.db')
        with open(path, 'w', encoding='utf-8') as file:
            file.write('this is no database, but a text that is long enough to be taken for one' * 9)
        self.refuse(f'sqlite:{path}', path)
        self.tracker(self.uri('sqlite'))
        self.refuse(self.uri('sqlite'), 'used by no other')
        self.refuse('mysql:x', 'no such store')
        for nodes in ('', 'a,', 'a,b:99999', 'a:1,b:x', 'a:1,b:2/c/d'):
            self.refuse(f'redis://{nodes}', 'HOST:PORT' if HAS_REDIS else 'no Redis')

    def test_damaged_rows_are_counted_and_left_out(self):
        tracker = self.tracker(self.uri('sqlite'))
        tracker.join('p1', 7001)
        tracker.join('p2', 7002)
        tracker.end()
        file = sqlite3.connect(self.uri('sqlite').split(':', 1)[1])
        with file:
            file.execute("INSERT INTO peers VALUES (x'00', x'0100ff')")
        file.close()
        tracker = self.tracker(self.uri('sqlite'))
        self.assertEqual(tracker.metric('ppsp_tracker_peers'), 2)
        self.assertEqual(tracker.metric('ppsp_tracker_store_refused_total'), 1)


@unittest.skipUnless(HAS_REDIS, 'built without hiredis')
class Shared(Case):
    def pair(self):
        self.start_redis()
        trackers = [self.tracker(self.uri('redis')) for _ in range(2)]
        for tracker in trackers:
            until('it is connected', lambda t=tracker: t.metric('ppsp_tracker_store_connected') == 1)
        return trackers

    def test_peer_of_one_is_named_by_the_other(self):
        one, other = self.pair()
        other.join('p2', 7002)
        began = time.monotonic()
        one.join('p1', 7001, 'SEEDER')
        until('the other names it', lambda: other.named('p2') == ['p1'])
        print(f'# named after {time.monotonic() - began:.3f} s')
        until('and the other way', lambda: one.named('p1') == ['p2'])
        one.join('p1', 7001, 'SEEDER', action='LEAVE')
        until('it has left both', lambda: other.named('p2') == [])

    def test_one_is_killed_and_its_peers_go_on_with_the_other(self):
        one, other = self.pair()
        one.join('p1', 7001, 'SEEDER')
        one.join('p2', 7002)
        until('the other knows both', lambda: other.metric('ppsp_tracker_peers') == 2)
        one.end(signal.SIGKILL)
        self.assertEqual(other.named('p2'), ['p1'])  # p2 asks there now, and has not joined there
        third = self.tracker(self.uri('redis'))
        until('who is new knows them', lambda: third.metric('ppsp_tracker_peers') == 2)
        third.join('p3', 7003)
        until('and they know who is new', lambda: other.named('p2') == ['p1', 'p3'])

    def test_redis_is_killed_and_comes_back_empty(self):
        one, other = self.pair()
        one.join('p1', 7001, 'SEEDER')
        other.join('p2', 7002)
        until('they know each other', lambda: one.metric('ppsp_tracker_peers') == 2)
        self.stop_redis(self.redis)
        until('it is missed', lambda: one.metric('ppsp_tracker_store_connected') == 0)
        one.join('p3', 7003)  # nobody waits
        self.assertEqual(one.named('p3'), ['p1', 'p2'])
        self.start_redis()
        until('the other hears of it', lambda: other.named('p2') == ['p1', 'p3'])
        # The server had nothing left; now it has all of it again.
        third = self.tracker(self.uri('redis'))
        until('who is new knows all', lambda: third.metric('ppsp_tracker_peers') == 3)

    def test_tracker_starts_before_redis(self):
        uri = self.uri('redis').replace('//', '//:a,b@') + ',1'  # the comma of a password, and of a name
        tracker = self.tracker(uri)
        tracker.join('p1', 7001)
        self.start_redis('--requirepass', 'a,b')
        ask_redis(self.redis_port, '-a', 'a,b', '--no-auth-warning', 'ACL', 'SETUSER', 'ann', 'on', '>c@d', '~*', '&*', '+@all')
        other = self.tracker(uri.replace('//:a,b@', '//ann:c%40d@'))
        until('it is told', lambda: other.metric('ppsp_tracker_peers') == 1)
        self.assertEqual(ask_redis(self.redis_port, '-a', 'a,b', '--no-auth-warning', 'HLEN', '{test,1}:peers'), '1')

    def start_cluster(self):
        """Three nodes with slots, of which the first has our keys, and one without: port -> process."""
        nodes = {}
        while len(nodes) < 4:
            port, bus = free_port(), free_port()
            if port != bus:
                nodes[port] = self.start_redis(
                    '--cluster-enabled', 'yes', '--cluster-config-file', f'{port}.conf',
                    '--cluster-port', str(bus), '--cluster-node-timeout', '60000', port=port)
        ports = list(nodes)
        slot = int(ask_redis(ports[0], 'CLUSTER', 'KEYSLOT', '{test}:changes'))
        self.assertEqual(slot, int(ask_redis(ports[0], 'CLUSTER', 'KEYSLOT', '{test}:peers')))
        ask_redis(ports[0], 'CLUSTER', 'ADDSLOTSRANGE', '0', str(slot))
        ask_redis(ports[1], 'CLUSTER', 'ADDSLOTSRANGE', str(slot + 1), '12000')
        ask_redis(ports[2], 'CLUSTER', 'ADDSLOTSRANGE', '12001', '16383')
        for port in ports[1:]:
            bus = re.search(r'@(\d+)', ask_redis(port, 'CLUSTER', 'NODES'))[1]
            ask_redis(ports[0], 'CLUSTER', 'MEET', '127.0.0.1', str(port), bus)
        for port in ports:
            until('they know each other',
                  lambda p=port: 'cluster_state:ok' in ask_redis(p, 'CLUSTER', 'INFO') and
                  len(re.findall(r' connected\b', ask_redis(p, 'CLUSTER', 'NODES'))) == 4)
        return nodes, str(slot)

    def test_cluster_is_followed(self):
        """To the node that has our keys; while they move and when they have; and when it dies."""
        nodes, slot = self.start_cluster()
        first, second, third, spare = nodes
        names = {port: ask_redis(port, 'CLUSTER', 'MYID') for port in nodes}
        one = self.tracker(f'redis://127.0.0.1:{second},127.0.0.1:{first}/test')
        other = self.tracker(f'redis://127.0.0.1:{free_port()},127.0.0.1:{third}/test')
        one.join('p1', 7001, 'SEEDER')
        other.join('p2', 7002)
        until('the other names it', lambda: other.named('p2') == ['p1'])
        until('they are there', lambda: ask_redis(first, 'HLEN', '{test}:peers') == '2')
        ask_redis(second, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', names[first])
        ask_redis(first, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', names[second])
        failures = one.metric('ppsp_tracker_store_failures_total')
        ask_redis(first, 'MIGRATE', '127.0.0.1', str(second), '{test}:changes', '0', '60000')
        one.join('p3', 7003)  # and nobody waits
        # Where half of it is, the other is not made anew, or it could not come any more.
        until('it has tried', lambda: one.metric('ppsp_tracker_store_failures_total') > failures)
        ask_redis(first, 'MIGRATE', '127.0.0.1', str(second), '{test}:peers', '0', '60000')
        until('they ask there', lambda: other.named('p2') == ['p1', 'p3'])
        for port in (second, first):
            ask_redis(port, 'CLUSTER', 'SETSLOT', slot, 'NODE', names[second])
        ask_redis(spare, 'CLUSTER', 'REPLICATE', names[second])
        until('there is a copy', lambda: 'master_link_status:up' in ask_redis(spare, 'INFO'))
        self.stop_redis(nodes[second])
        one.join('p4', 7004)
        ask_redis(spare, 'CLUSTER', 'FAILOVER', 'TAKEOVER')
        until('they meet there', lambda: other.named('p2') == ['p1', 'p3', 'p4'])
        until('and it has all', lambda: ask_redis(spare, 'HLEN', '{test}:peers') == '4')

    def test_absence_harms_nobody(self):
        self.start_redis()
        subprocess.run([SHARED, str(self.redis_port)], check=True, timeout=3 * PATIENCE)

    def test_what_others_write_there_is_checked(self):
        one, other = self.pair()
        one.join('p1', 7001)
        until('the other knows it', lambda: other.metric('ppsp_tracker_peers') == 1)
        records = [b'', b'\0\0\0\x05abcde', b'\xff\xff\xff\xff', b'\0\0\0\0' * 50]
        with socket.create_connection(('127.0.0.1', self.redis_port), PATIENCE) as wire:
            for record in records:
                words = [b'XADD', b'{test}:changes', b'*', b'from', b'nobody', b'records', record]
                wire.sendall(b'*%d\r\n' % len(words) +
                             b''.join(b'$%d\r\n%s\r\n' % (len(w), w) for w in words))
            wire.sendall(b'XADD {test}:changes * odd one\r\n')
            wire.sendall(b'HSET {test}:peers x y\r\nPING\r\n')
            said = b''
            while b'+PONG' not in said:  # it has done all of it
                said += wire.recv(4096)
        until('they are refused', lambda: one.metric('ppsp_tracker_store_refused_total') >= 51)
        other.join('p2', 7002)
        until('and it goes on', lambda: one.metric('ppsp_tracker_peers') == 2)


if __name__ == '__main__':
    if HAS_REDIS and shutil.which('redis-server') is None:
        print('there is no redis-server')
        sys.exit(77)
    unittest.main(verbosity=2)

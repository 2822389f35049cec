#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The tracker among strangers: accounts from end to end, and what attackers at other addresses can
do to it and to those who ask it (floods, slow clients, JSON bombs, impostors, Sybils)."""

import hashlib
import http.client
import json
import signal
import socket
import ssl
import subprocess
import sys

import media
import world
from world import INTERNET, figure

MANAGEMENT = 'http://127.0.0.1:7847'
TYPE = 'application/ppsp-tracker+json'
PORT = 7846
CONNECTIONS_PER_IP = 256
PEERS_PER_IP = 256


def message(kind, peer, transaction='t', **body):
    return json.dumps({'PPSPTrackerProtocol': {
        'version': 1, 'request_type': kind, 'transaction_id': transaction, 'peer_id': peer, **body}})


def connect(peer, swarm, address, action='JOIN', transaction='t', port=7574):
    return message('CONNECT', peer, transaction, connect={
        'peer_addr': [{'ip_address': {'address_type': 'ipv4', 'address': address}, 'port': port,
                       'priority': 1, 'type': 'HOST'}],
        'swarm_action': [{'swarm_id': swarm, 'action': action, 'peer_mode': 'LEECH'}]})


class Client:
    """One connection to the tracker from one host."""

    def __init__(self, here, at):
        with here.at(at):
            self.http = http.client.HTTPConnection(INTERNET['tracker'], PORT, world.PATIENCE)
            self.http.connect()

    def say(self, body):
        """The HTTP status and the answer."""
        self.http.request('POST', '/', body, {'Content-Type': TYPE})
        response = self.http.getresponse()
        return response.status, json.loads(response.read())['PPSPTrackerProtocol']

    def code(self, body):
        return self.say(body)[1]['error_code']

    def close(self):
        self.http.close()


def allow_few(here):
    """One request a second of one address: so few that the slowest of machines makes more."""
    status, _, _ = here.status('tracker', f'{MANAGEMENT}/api/v1/limits', 'PATCH',
                               {'Content-Type': 'application/yang-data+json'},
                               b'{"ppsp-tracker:limits":{"request-rate":1,"request-burst":40}}')
    assert status == 200, status


def listed(answer):
    """(peer ID, address, port) of all that it names."""
    found = set()
    for result in answer.get('swarm_result', []):
        for peer in result.get('peer_group', {}).get('peer_info', []):
            address = peer['peer_addr']
            found.add((peer['peer_id'], address['ip_address']['address'], address['port']))
    return found


def accounts_open_a_closed_swarm(here):
    """Origin, gateway and peer show theirs; a peer without is told why, and one with a wrong password may
    have it changed (SIGHUP)."""
    here.build_network()
    lines = ''.join(f'{name}:ppsp:' + hashlib.sha256(f'{name}:ppsp:{name}'.encode()).hexdigest() + '\n'
                    for name in ('studio', 'home', 'alice'))
    files = {'users': lines, 'access': '[tracker]\nswarms=closed\n'}
    for name in ('studio', 'home'):
        files[name] = f'[{INTERNET["tracker"]}]\nuser={name}\npassword={name}\n'

    def write(name, text):
        with open(f'{here.folder}/{name}', 'w', encoding='utf-8') as file:
            file.write(text)

    for name, text in files.items():
        write(name, text)
    here.tracker('--users', f'{here.folder}/users', '--access', f'{here.folder}/access')
    here.origin('--channel', 'air=On air', '--credentials', f'{here.folder}/studio')
    here.gateway('--credentials', f'{here.folder}/home')
    media.Encoder(here, 'air')
    viewer = media.Viewer(here, here.wait_channels(1)[0])
    viewer.wait_key(2)
    link, = here.links()
    write('alice', f'[{INTERNET["tracker"]}]\nuser=alice\npassword=forgotten\n')
    alice = here.peer('p1', link, '--output', f'{here.folder}/p1.ts', '--credentials',
                      f'{here.folder}/alice')
    world.wait_until('a wrong password is told', world.PATIENCE,
                     lambda: 'does not take what --credentials has' in alice.output())
    write('alice', f'[{INTERNET["tracker"]}]\nuser=alice\npassword=alice\n')
    alice.kill(signal.SIGHUP)
    stranger = here.peer('p2', link, '--output', f'{here.folder}/p2.ts')
    swarm = link[5:].split('?')[0]

    def members():
        text = here.get('tracker', f'{MANAGEMENT}/api/v1/swarms/{swarm}', quiet=True)
        peers = json.loads(text)['ppsp-tracker:peers']['peer'] if text else []
        return {peer.get('account'): peer['from'] for peer in peers}

    expected = {'studio': INTERNET['origin'], 'home': INTERNET['gw'], 'alice': INTERNET['p1']}
    world.wait_until('all three are registered', world.PATIENCE, lambda: members() == expected)
    world.wait_until('the stranger is told why', world.PATIENCE,
                     lambda: 'it wants an account' in stranger.output())
    wrong = here.metric('tracker', f'{MANAGEMENT}/metrics', 'ppsp_tracker_bad_credentials_total')
    assert wrong > 0, 'the wrong password was not counted'


def a_siege_leaves_the_others_alone(here):
    """One host opens all the connections it can and sends slowly, floods, and sends JSON bombs."""
    here.build_network()
    tracker = here.tracker()
    honest = Client(here, 'p2')
    assert honest.code(connect('honest', 'a', INTERNET['p2'])) == 0
    # slow clients: of one address only so many are let in, and they keep nobody out
    slow = []
    with here.at('p1'):
        for _ in range(2 * CONNECTIONS_PER_IP):
            try:
                tcp = socket.create_connection((INTERNET['tracker'], PORT), world.PATIENCE)
                tcp.sendall(b'POST / HTTP/1.1\r\nHost: x\r\n')
                slow.append(tcp)
            except ConnectionError:
                pass  # that one was refused
    held = here.metric('tracker', f'{MANAGEMENT}/metrics', 'ppsp_http_connections')
    figure('connections that one address holds', held - 1, CONNECTIONS_PER_IP, '')
    assert held <= CONNECTIONS_PER_IP + 1
    other = Client(here, 'p3')
    assert other.code(connect('other', 'a', INTERNET['p3'])) == 0
    assert honest.code(message('STAT_REPORT', 'honest')) == 0
    for tcp in slow:
        tcp.close()
    world.wait_until('they are let go', world.PATIENCE, lambda: here.metric(
        'tracker', f'{MANAGEMENT}/metrics', 'ppsp_http_connections') <= 2)
    # huge and deep JSON
    for body, status, code in (('[' * 65000, 200, 1), ('{"a":' * 13000, 200, 1),
                               ('"' + 'x' * 65000, 200, 1), ('[' * 70000, 413, None)):
        attacker = Client(here, 'p1')
        attacker.http.request('POST', '/', body, {'Content-Type': TYPE})
        response = attacker.http.getresponse()
        text = response.read()
        assert response.status == status, (response.status, text[:200])
        assert code is None or json.loads(text)['PPSPTrackerProtocol']['error_code'] == code
        attacker.close()
    # a flood: error 5 with Retry-After for who makes it, and for nobody else
    allow_few(here)
    attacker = Client(here, 'p1')
    for n in range(1000):
        attacker.http.request('POST', '/', message('STAT_REPORT', 'x'), {'Content-Type': TYPE})
        response = attacker.http.getresponse()
        answer = json.loads(response.read())['PPSPTrackerProtocol']
        if response.status == 503:
            assert answer['error_code'] == 5 and int(response.headers['Retry-After']) > 0
            break
        assert answer['error_code'] == 3
    else:
        raise AssertionError('a flood goes on without end')
    figure('requests of a flood before the first refusal', n, unit='')
    assert honest.code(message('FIND', 'honest', find={'swarm_id': 'a'})) == 0
    assert other.code(message('STAT_REPORT', 'other')) == 0
    assert here.metric('tracker', f'{MANAGEMENT}/metrics', 'ppsp_tracker_flooded_total') > 0
    events = json.loads(here.get('tracker', f'{MANAGEMENT}/api/v1/events'))['ppsp-tracker:events']
    assert 'flood' in [event['kind'] for event in events['event']], events
    assert tracker.alive()
    lines = tracker.output().count('\n')
    figure('log lines of the tracker', lines, 20, '')
    assert lines < 20, tracker.output()


def handshakes_are_counted(here):
    """A TLS handshake costs the tracker more than who asks for it; others come in all the while."""
    here.build_network()
    paths = [f'{here.folder}/{name}.pem' for name in ('cert', 'key')]
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
                    '-nodes', '-keyout', paths[1], '-out', paths[0], '-days', '2', '-subj',
                    '/CN=tracker'], check=True, capture_output=True)
    here.tracker('--tls-cert', paths[0], '--tls-key', paths[1])
    context = ssl.create_default_context(cafile=paths[0])
    context.check_hostname = False

    def shake_hands(at):
        try:
            with here.at(at), socket.create_connection((INTERNET['tracker'], PORT),
                                                       world.PATIENCE) as plain:
                with context.wrap_socket(plain) as tls:
                    return tls.version()
        except (ConnectionError, ssl.SSLError):
            return None

    allow_few(here)
    for n in range(1000):
        if shake_hands('p1') is None:
            break
    else:
        raise AssertionError('one address shakes hands without end')
    figure('handshakes of one address before the first refusal', n, unit='')
    assert shake_hands('p2') == 'TLSv1.3'
    assert here.metric('tracker', f'{MANAGEMENT}/metrics', 'ppsp_tracker_flooded_total') > 0


def impostors_gain_nothing(here):
    """Another's address, another's peer ID and transaction, and a thousand faces."""
    here.build_network()
    here.tracker()
    honest, attacker, other = (Client(here, at) for at in ('p2', 'p1', 'p3'))
    whole = connect('honest', 'a', INTERNET['p2'])
    assert honest.code(whole) == 0
    # the victim's address is never named; who named it is, where it is seen
    assert attacker.code(connect('steering', 'a', INTERNET['p3'], port=4711)) == 0
    _, answer = honest.say(message('FIND', 'honest', find={'swarm_id': 'a'}))
    assert listed(answer) == {('steering', INTERNET['p1'], 4711)}, answer
    # what was overheard, said again from elsewhere, is about another peer
    assert attacker.code(connect('honest', 'a', INTERNET['p2'], 'LEAVE', 'u')) == 3
    assert attacker.code(message('STAT_REPORT', 'honest', stat_report={
        'type': 'STREAM_STATS', 'stat': [{'swarm_id': 'a', 'uploaded_bytes': 10 ** 12,
                                          'downloaded_bytes': 0, 'available_bandwidth': 0,
                                          'concurrent_links': 0}]})) == 3
    assert attacker.code(whole) == 0  # the same transaction: a peer of its own, at its own address
    assert honest.say(whole)[1]['error_code'] == 0
    _, answer = other.say(connect('other', 'a', INTERNET['p3']))
    assert {peer[:2] for peer in listed(answer)} == {
        ('honest', INTERNET['p2']), ('steering', INTERNET['p1']), ('honest', INTERNET['p1'])}, answer
    swarms = json.loads(here.get('tracker', f'{MANAGEMENT}/api/v1/swarms'))['ppsp-tracker:swarms']
    assert swarms['swarm'][0]['uploaded'] == '0', swarms
    # Sybils: of one address only so many, and the others still join
    codes = [attacker.code(connect(f'sybil{i}', 'a', INTERNET['p1'], port=5000 + i))
             for i in range(PEERS_PER_IP + 20)]
    joined = codes.count(0)
    figure('peers of one address', joined + 2, PEERS_PER_IP, '')
    assert joined + 2 == PEERS_PER_IP and set(codes) == {0, 5}, codes
    assert other.code(connect('other2', 'b', INTERNET['p3'], transaction='u')) == 0


if __name__ == '__main__':
    sys.exit(world.main(__file__, (
        accounts_open_a_closed_swarm,
        a_siege_leaves_the_others_alone,
        handshakes_are_counted,
        impostors_gain_nothing,
    )))

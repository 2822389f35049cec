#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Play to TV: a renderer that is not ours (gmediarender) is found, told to play, followed, and told
again when it was away; and one of the test's own, which is as stubborn as some sets are."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import xml.etree.ElementTree as xml
from http.server import BaseHTTPRequestHandler
from xml.sax.saxutils import escape

import media
import world
from world import LAN, PATIENCE, figure, wait_until

PAGE = f'http://{LAN["gw"]}:8574'
API = f'{PAGE}/api/v1/renderers'
OURS = {'X-PPSP': '1', 'Content-Type': 'application/json'}
RENDERER = 'urn:schemas-upnp-org:device:MediaRenderer:1'
TRANSPORT = 'urn:schemas-upnp-org:service:AVTransport:1'
GROUP = ('239.255.255.250', 1900)


def renderers(here):
    return json.loads(here.get('tv', API))['renderers']


def renderer(here, name):
    return next((r for r in renderers(here) if r['name'] == name), None)


def tell(here, udn, verb, **body):
    code, _, text = here.status('tv', f'{API}/{udn}/{verb}', 'POST', OURS, json.dumps(body).encode())
    assert code == 204, (code, text)


def state_is(here, name, state, seconds=PATIENCE, **more):
    def there():
        r = renderer(here, name)
        return r and r['state'] == state and all(r[k] == v for k, v in more.items())
    try:
        return wait_until(f'{name} is {state} {more}', seconds, there, every=0.2)
    except AssertionError as error:
        raise AssertionError(f'{error}; it is {renderer(here, name)}') from None


def watched(here, address):
    """Bytes that the gateway has given to a viewer at that address."""
    status = json.loads(here.get('tv', f'{PAGE}/api/v1/status'))
    return sum(v['bytes'] for v in status['viewers'] if v['viewer'].startswith(address + ' '))


def home(here, *more):
    here.build_network()
    here.tracker()
    here.origin('--channel', 'one=Channel One', '--channel', 'two=Channel & <Two>')
    here.gateway(*more)
    media.Encoder(here, 'one')
    media.Encoder(here, 'two')
    here.wait_channels(2)


def box(here, at='tv2'):
    if not shutil.which('gmediarender'):
        raise world.Skip('no gmediarender (package gmediarender)')
    return here.run('gmediarender', [
        'gmediarender', '-f', 'TV & box', '-u', '7f1a2b3c-0000-4000-8000-00000000beef', '-I', 'lan0',
        '-p', '49494', '--gstout-audiosink=fakesink', '--gstout-videosink=fakesink'], at,
        env={'HOME': here.folder})


def a_renderer_of_others_plays_and_is_followed(here):
    home(here)
    process = box(here)
    figure('found', state_is(here, 'TV & box', 'stopped'))
    udn = renderer(here, 'TV & box')['id']
    tell(here, udn, 'play', channel='one')
    figure('playing', state_is(here, 'TV & box', 'playing', channel='one'))
    wait_until('a second of it', PATIENCE, lambda: watched(here, LAN['tv2']) > 400_000)
    report = here.get('tv', f'{PAGE}/api/v1/report.txt').decode()
    for told in (rf'\nWatching now: 1\n  one: {LAN["tv2"]} \S.* \(.+\), \d+ bytes/s, \d{{6,}} bytes '
                 r'in \d+ s, \d+ ms behind live, the first after \d+ ms\n',
                 rf'\nTelevisions that can be told to play: 1\n  {LAN["tv2"]} TV & box, \S.*: '
                 r'playing, one\n'):
        assert re.search(told, report), report
    # Another channel, in the middle of the first.
    tell(here, udn, 'play', channel='two')
    figure('zapped', state_is(here, 'TV & box', 'playing', channel='two'))
    # The set is stopped by somebody else: what we wished is over.
    soap(here, 'http://192.168.77.21:49494/upnp/control/rendertransport1', 'Stop')
    figure('its stop is seen', state_is(here, 'TV & box', 'stopped', channel=None))
    tell(here, udn, 'play', channel='one')
    state_is(here, 'TV & box', 'playing', channel='one')
    # It loses its power without a word, and comes back: it goes on.
    process.kill(signal.SIGKILL)
    process.wait()
    figure('its absence is seen', state_is(here, 'TV & box', 'away', channel='one'))
    box(here)
    figure('plays again after it was off', state_is(here, 'TV & box', 'playing', channel='one'))
    # And stops when we say so.
    tell(here, udn, 'stop')
    figure('stopped', state_is(here, 'TV & box', 'stopped', channel=None))


def soap(here, url, action):
    body = ('<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
            's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body><u:'
            f'{action} xmlns:u="{TRANSPORT}"><InstanceID>0</InstanceID></u:{action}></s:Body>'
            '</s:Envelope>').encode()
    code, _, text = here.status('tv', url, 'POST', {'SOAPAction': f'"{TRANSPORT}#{action}"',
                                                    'Content-Type': 'text/xml'}, body)
    assert code == 200, (code, text)


class Set:
    """A television of the test: it does what it is told, but not at once, and tells by events."""
    UDN = 'uuid:0e2e0e2e-1111-4222-8333-444455556666'

    def __init__(self, here, at='tv', name='Stubborn', sinks='http-get:*:video/mpeg:*'):
        self.here, self.at, self.name, self.sinks = here, at, name, sinks
        self.calls, self.uri, self.metadata, self.state = [], '', '', 'STOPPED'
        self.refuse_play, self.refuse_set, self.locked = 0, [], False
        self.described = 0
        self.callback = self.sid = None
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def log_message(self, *_):
                pass

            def answer(self, code, body=b'', **headers):
                self.send_response(code)
                self.send_header('Content-Length', str(len(body)))
                for key, value in headers.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                owner.described += 1
                self.answer(200, owner.description(self.path).encode())

            def do_SUBSCRIBE(self):
                if self.headers['CALLBACK']:
                    owner.callback = self.headers['CALLBACK'].strip('<>')
                    owner.sid = f'uuid:{time.monotonic()}'
                self.answer(200, SID=owner.sid, TIMEOUT='Second-300')

            def do_POST(self):
                body = self.rfile.read(int(self.headers['Content-Length']))
                action = self.headers['SOAPAction'].strip('"').split('#')[1]
                arguments = {e.tag: e.text or '' for e in xml.fromstring(body)[0][0]}
                code, out = owner.act(action, arguments)
                self.answer(200 if code == 0 else 500, owner.envelope(action, code, out).encode())

        self.port = here.serve(at, Handler).server_port

    def announce(self, kind='ssdp:alive'):
        with self.here.at(self.at):
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(LAN[self.at]))
        udp.sendto(f'NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nNT: {RENDERER}\r\nNTS: {kind}'
                   f'\r\nUSN: {self.UDN}::{RENDERER}\r\nLOCATION: http://{LAN[self.at]}:{self.port}/d'
                   '\r\nCACHE-CONTROL: max-age=1800\r\n\r\n'.encode(), GROUP)
        udp.close()

    def description(self, path):
        """At /uuid:... of somebody who has that for a name."""
        udn = path[1:] if path.startswith('/uuid:') else self.UDN
        return ('<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><device>'
                f'<deviceType>{RENDERER}</deviceType><friendlyName>{escape(self.name)}</friendlyName>'
                f'<modelName>Test</modelName><UDN>{udn}</UDN><serviceList><service>'
                f'<serviceType>{TRANSPORT}</serviceType><controlURL>/av</controlURL>'
                '<eventSubURL>/ev</eventSubURL></service><service><serviceType>'
                'urn:schemas-upnp-org:service:ConnectionManager:1</serviceType><controlURL>cm'
                '</controlURL><eventSubURL>/x</eventSubURL></service></serviceList></device></root>')

    @staticmethod
    def envelope(action, code, out):
        if code:
            inner = ('<s:Fault><faultcode>s:Client</faultcode><detail><UPnPError xmlns="urn:schemas-'
                     f'upnp-org:control-1-0"><errorCode>{code}</errorCode><errorDescription>No!'
                     '</errorDescription></UPnPError></detail></s:Fault>')
        else:
            inner = f'<u:{action}Response xmlns:u="{TRANSPORT}">' + ''.join(
                f'<{k}>{escape(v)}</{k}>' for k, v in out.items()) + f'</u:{action}Response>'
        return ('<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>' + inner +
                '</s:Body></s:Envelope>')

    def act(self, action, arguments):
        """(error code, out)"""
        self.calls.append(action)
        if action == 'GetProtocolInfo':
            return 0, {'Source': '', 'Sink': self.sinks}
        if action == 'GetTransportInfo':
            return 0, {'CurrentTransportState': self.state}
        if action == 'GetMediaInfo':
            return 0, {'CurrentURI': self.uri}
        if action == 'Stop':
            self.state, self.locked = 'STOPPED', False
        elif action == 'SetAVTransportURI':
            if self.locked:
                return 705, {}
            if self.refuse_set:
                return self.refuse_set.pop(0), {}
            self.uri, self.metadata = arguments['CurrentURI'], arguments['CurrentURIMetaData']
        elif action == 'Play':
            if self.refuse_play:
                self.refuse_play -= 1
                return 701, {}
            self.state, self.locked = 'PLAYING', True
        return 0, {}

    def event(self, state=None, uri=None):
        inner = (f'<TransportState val="{state}"/>' if state else '') + (
            f'<AVTransportURI val="{escape(uri)}"/>' if uri else '')
        change = ('<Event xmlns="urn:schemas-upnp-org:metadata-1-0/AVT/"><InstanceID val="0">' + inner +
                  '</InstanceID></Event>')
        body = ('<e:propertyset xmlns:e="urn:schemas-upnp-org:event-1-0"><e:property><LastChange>' +
                escape(change) + '</LastChange></e:property></e:propertyset>').encode()
        return self.notify(body, self.sid)

    def notify(self, body, sid):
        headers = {'NT': 'upnp:event', 'NTS': 'upnp:propchange', 'SEQ': '1', 'Content-Type': 'text/xml'}
        if sid:
            headers['SID'] = sid
        return self.here.status(self.at, self.callback, 'NOTIFY', headers, body)[0]


def a_stubborn_set_plays_in_the_end(here):
    home(here)
    tv = Set(here)
    tv.announce()
    figure('heard of by its announcement', state_is(here, 'Stubborn', 'stopped'))
    wait_until('a subscription', PATIENCE, lambda: tv.callback)
    # It plays something else and is locked; it wants no metadata; and it refuses to play for a while.
    tv.state, tv.locked, tv.refuse_set, tv.refuse_play = 'PLAYING', True, [714], 3
    tell(here, tv.UDN, 'play', channel='two')
    figure('plays after all', state_is(here, 'Stubborn', 'playing', channel='two'))
    assert tv.calls.index('Stop') < tv.calls.index('SetAVTransportURI'), tv.calls
    assert tv.uri == f'{PAGE}/media/two.ts' and tv.metadata == '', (tv.uri, tv.metadata)
    # With metadata, where it takes them: the type is one that it says it plays.
    tell(here, tv.UDN, 'play', channel='two')
    wait_until('metadata', PATIENCE, lambda: tv.metadata)
    res = next(xml.fromstring(tv.metadata).iter('{urn:schemas-upnp-org:metadata-1-0/DIDL-Lite/}res'))
    assert res.text == tv.uri and res.get('protocolInfo').startswith('http-get:*:video/mpeg:'), res.attrib
    assert 'Channel &amp; &lt;Two&gt;' in tv.metadata, tv.metadata
    state_is(here, 'Stubborn', 'playing', channel='two')
    # Its events count, those of others do not.
    assert tv.notify(b'<x/>', tv.sid) == 400 and tv.notify(b'<x/>', 'uuid:other') == 412
    assert tv.notify(b'<x/>', None) == 412
    assert here.status('tv2', tv.callback, 'NOTIFY', {'SID': tv.sid}, b'<x/>')[0] == 412
    assert here.status('tv', f'{PAGE}/event/none', 'NOTIFY', {'SID': tv.sid}, b'<x/>')[0] == 404
    tv.state = 'PAUSED_PLAYBACK'
    assert tv.event('PAUSED_PLAYBACK') == 200
    state_is(here, 'Stubborn', 'paused', channel='two')
    tv.state = 'PLAYING'
    assert tv.event('PLAYING') == 200
    state_is(here, 'Stubborn', 'playing', channel='two')
    # Another control point takes it over: we do not fight for it.
    tv.uri = 'http://192.168.77.99/holiday.mp4'
    before = tv.calls.count('SetAVTransportURI')
    assert tv.event('PLAYING', tv.uri) == 200
    state_is(here, 'Stubborn', 'playing', channel=None, error='Something else was put on it.')
    # Byebye, and back with a wish waiting.
    tv.announce('ssdp:byebye')
    state_is(here, 'Stubborn', 'away')
    tell(here, tv.UDN, 'play', channel='one')
    assert tv.calls.count('SetAVTransportURI') == before
    tv.announce()
    figure('plays when it is switched on', state_is(here, 'Stubborn', 'playing', channel='one'))
    assert tv.uri.endswith('/media/one.ts'), tv.uri


def a_set_that_two_interfaces_hear_plays_on(here):
    """Cable and Wi-Fi of one network: what is heard on the second is not another set, or a move of it."""
    home(here, '--interface', 'lan1')
    with here.at('tv'):
        group = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    here.closers.append(group.close)
    group.bind(GROUP)
    group.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                     socket.inet_aton(GROUP[0]) + socket.inet_aton(LAN['tv']))
    group.settimeout(PATIENCE)
    second = '192.168.77.9'
    here.ip('-n', here.names['lan'], 'link', 'add', 'gw1', 'type', 'veth', 'peer', 'name', 'lan1',
            'netns', here.names['gw'])
    here.ip('-n', here.names['lan'], 'link', 'set', 'gw1', 'master', 'br0', 'up')
    here.ip('-n', here.names['gw'], 'addr', 'add', f'{second}/24', 'brd', '+', 'dev', 'lan1')
    here.ip('-n', here.names['gw'], 'link', 'set', 'lan1', 'up')
    while True:  # it looks for televisions there too
        packet, sender = group.recvfrom(4096)
        if sender[0] == second and packet.startswith(b'M-SEARCH') and RENDERER.encode() in packet:
            break
    tv = Set(here)
    tv.announce()
    state_is(here, 'Stubborn', 'stopped')
    tell(here, tv.UDN, 'play', channel='one')
    state_is(here, 'Stubborn', 'playing', channel='one')
    for _ in range(3):
        tv.announce()
    # Who speaks after it is known: so all that it said was heard.
    late = Set(here, at='tv2', name='Late')
    late.UDN = 'uuid:late'
    late.announce()
    state_is(here, 'Late', 'stopped')
    assert renderer(here, 'Stubborn')['state'] == 'playing', renderer(here, 'Stubborn')
    assert tv.described == 1 and tv.calls.count('SetAVTransportURI') == 1, (tv.described, tv.calls)


def what_a_set_cannot_do_is_said(here):
    home(here)
    tv = Set(here, name='Radio', sinks='http-get:*:audio/mpeg:*,http-get:*:audio/L16:*')
    tv.announce()
    state_is(here, 'Radio', 'stopped')
    tell(here, tv.UDN, 'play', channel='one')
    state_is(here, 'Radio', 'stopped', channel=None, error='It says that it plays nothing of this kind.')
    assert 'SetAVTransportURI' not in tv.calls, tv.calls
    # One that refuses whatever it is given: three times, and no more.
    other = Set(here, at='tv2', name='Never')
    other.UDN = 'uuid:other'
    other.refuse_set = [716] * 100
    other.announce()
    state_is(here, 'Never', 'stopped')
    tell(here, other.UDN, 'play', channel='one')
    wait_until('it is told', PATIENCE, lambda: (renderer(here, 'Never') or {}).get('error'))
    print('    ' + renderer(here, 'Never')['error'])
    assert '716' in renderer(here, 'Never')['error'] and other.calls.count('SetAVTransportURI') == 3
    # What a stranger on the network says of others is not believed. (A set that says nothing for minutes
    # is away, and so long may all this have taken.)
    tv.announce()
    state_is(here, 'Radio', 'stopped')
    seen = len(renderers(here))
    with here.at('tv2'):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for n in range(200):
        udp.sendto(f'NOTIFY * HTTP/1.1\r\nNT: {RENDERER}\r\nNTS: ssdp:alive\r\nUSN: uuid:x{n}::x\r\n'
                   f'LOCATION: http://{LAN["tv"]}:{tv.port}/\r\n\r\n'.encode(), GROUP)
    udp.sendto(f'NOTIFY * HTTP/1.1\r\nNT: {RENDERER}\r\nNTS: ssdp:byebye\r\nUSN: {tv.UDN}::x\r\n\r\n'
               .encode(), GROUP)
    udp.close()
    time.sleep(1)
    assert len(renderers(here)) == seen and renderer(here, 'Radio')['state'] == 'stopped'
    # One that says to be a hundred, and of half of them truly, has the room of one host; another still
    # finds some.
    with here.at('tv2'):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for n in range(100):
        udp.sendto(f'NOTIFY * HTTP/1.1\r\nNT: {RENDERER}\r\nNTS: ssdp:alive\r\nUSN: uuid:y{n}::x\r\n'
                   f'LOCATION: http://{LAN["tv2"]}:{other.port}/{f"uuid:y{n}" if n % 2 else ""}\r\n\r\n'
                   .encode(), GROUP)
        time.sleep(0.01)
    udp.close()
    late = Set(here, name='Late')
    late.UDN = 'uuid:late'
    late.announce()
    state_is(here, 'Late', 'stopped')
    names = [r['name'] for r in renderers(here)]
    assert names.count('Never') <= 8 and len(names) == seen + names.count('Never'), names
    # Only a page of ours commands televisions.
    for headers in ({}, {'Content-Type': 'application/json'}, {**OURS, 'Origin': 'http://evil.example'}):
        code, _, _ = here.status('tv', f'{API}/{tv.UDN}/stop', 'POST', headers, b'{}')
        assert code == 403, (headers, code)
    for path, body, expected in ((f'{tv.UDN}/play', b'{"channel":"none"}', 400), (f'{tv.UDN}/play', b'', 400),
                                 ('uuid:none/stop', b'{}', 404), (f'{tv.UDN}/dance', b'{}', 404)):
        code, _, _ = here.status('tv', f'{API}/{path}', 'POST', OURS, body)
        assert code == expected, (path, code)


if __name__ == '__main__':
    raise SystemExit(world.main(__file__, [
        a_renderer_of_others_plays_and_is_followed,
        a_stubborn_set_plays_in_the_end,
        a_set_that_two_interfaces_hear_plays_on,
        what_a_set_cannot_do_is_said]))

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The MediaServer on a LAN of network namespaces, seen by a control point that is not gupnp.

    gw   lan0 192.168.77.1  wan0 203.0.113.1  late0 (no address at first)
    tv   lan0 192.168.77.11
    wan  wan0 203.0.113.2

Usage: test_server.py SERVE. Exits with 77 where namespaces cannot be made."""

import contextlib
import ctypes
import http.client
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse
import xml.etree.ElementTree as ET

SERVE = None
PATIENCE = 60  # s: ends a test that has failed, and decides nothing else
UUID = '6d2a6a0e-8f63-4a9c-9b53-0a6f3f6f3c11'
LIBC = ctypes.CDLL(None, use_errno=True)
TAG = 'pd%d' % os.getpid()
CDS = 'urn:schemas-upnp-org:service:ContentDirectory:1'
CM = 'urn:schemas-upnp-org:service:ConnectionManager:1'
MR = 'urn:microsoft.com:service:X_MS_MediaReceiverRegistrar:1'
SOAP = '{http://schemas.xmlsoap.org/soap/envelope/}'
DIDL = '{urn:schemas-upnp-org:metadata-1-0/DIDL-Lite/}'
DC = '{http://purl.org/dc/elements/1.1/}'
UPNP = '{urn:schemas-upnp-org:metadata-1-0/upnp/}'


def ip(*args):
    subprocess.run(['ip', *args], check=True, capture_output=True)


@contextlib.contextmanager
def inside(name):
    """What is opened in here belongs to that namespace."""
    home = os.open('/proc/self/ns/net', os.O_RDONLY)
    there = os.open('/run/netns/%s-%s' % (TAG, name), os.O_RDONLY)
    try:
        if LIBC.setns(there, 0) != 0:
            raise OSError(ctypes.get_errno(), 'setns')
        yield
    finally:
        LIBC.setns(home, 0)
        os.close(home)
        os.close(there)


def make_network():
    for name in 'gw', 'tv', 'wan':
        ip('netns', 'add', '%s-%s' % (TAG, name))
        ip('-n', '%s-%s' % (TAG, name), 'link', 'set', 'lo', 'up')
    for other, mine, theirs in ('tv', 'lan0', 'lan0'), ('wan', 'wan0', 'wan0'), ('tv', 'late0', 'late0'):
        ip('-n', TAG + '-gw', 'link', 'add', mine, 'type', 'veth', 'peer', 'name', theirs,
           'netns', '%s-%s' % (TAG, other))
        ip('-n', TAG + '-gw', 'link', 'set', mine, 'up')
        ip('-n', '%s-%s' % (TAG, other), 'link', 'set', theirs, 'up')
    for name, address, link in (('gw', '192.168.77.1/24', 'lan0'), ('tv', '192.168.77.11/24', 'lan0'),
                                ('gw', '203.0.113.1/24', 'wan0'), ('wan', '203.0.113.2/24', 'wan0')):
        ip('-n', '%s-%s' % (TAG, name), 'address', 'add', address, 'broadcast', '+', 'dev', link)
    ip('-n', TAG + '-wan', 'route', 'add', '192.168.77.0/24', 'via', '203.0.113.1')
    ip('-n', TAG + '-tv', 'route', 'add', '239.0.0.0/8', 'dev', 'lan0')
    ip('-n', TAG + '-wan', 'route', 'add', '239.0.0.0/8', 'dev', 'wan0')


def remove_network():
    for name in 'gw', 'tv', 'wan':
        subprocess.run(['ip', 'netns', 'del', '%s-%s' % (TAG, name)], capture_output=True)


class Serve:
    def __init__(self, *interfaces):
        # The sanitizer keeps what is freed for a while; this bounds it, so that memory can be judged.
        sanitizer = os.environ.get('ASAN_OPTIONS', '') + ':quarantine_size_mb=1'
        self.errors = tempfile.TemporaryFile('w+')
        self.process = subprocess.Popen(
            ['ip', 'netns', 'exec', TAG + '-gw', SERVE, *interfaces], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=self.errors, text=True,
            env={**os.environ, 'ASAN_OPTIONS': sanitizer})
        self.locations = {}
        while True:
            line = self.process.stdout.readline().split()
            if not line:
                self.process.wait(10)
                self.process.stdin.close()
                self.process.stdout.close()
                log = self.log()
                self.errors.close()
                raise AssertionError('serve did not start: ' + log)
            if line[0] == 'media':
                break
            self.locations[line[0]] = line[1]

    def ask(self, command, lines=1):
        self.process.stdin.write(command + '\n')
        self.process.stdin.flush()
        return ''.join(self.process.stdout.readline() for _ in range(lines))

    def stats(self):
        return {k: int(v) for k, v in (x.split('=') for x in self.ask('stats').split())}

    def log(self):
        self.errors.seek(0)
        return self.errors.read()

    def memory(self, name):
        with open('/proc/%d/status' % self.process.pid) as status:
            return int(re.search(name + r':\s+(\d+)', status.read()).group(1))

    def sanitized(self):
        with open(SERVE, 'rb') as program:
            return b'__asan_init' in program.read()

    def stop(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write('quit\n')
            self.process.stdin.close()
        code = self.process.wait(20)
        self.process.stdout.close()
        (sys.stderr.write(self.log()) if code else None, self.errors.close())
        return code


def fetch(url, method='GET', headers=None, body=None, where='tv'):
    parts = urllib.parse.urlsplit(url)
    with inside(where):
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=PATIENCE)
        connection.connect()
    try:
        connection.request(method, parts.path or '/', body, headers or {})
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


class Fault(Exception):
    pass


class ControlPoint:
    """Finds its URLs in the description; believes nothing that it has not parsed."""

    def __init__(self, location):
        self.location = location
        status, headers, body = fetch(location)
        assert status == 200 and headers['content-type'].startswith('text/xml'), headers
        self.root = ET.fromstring(body)
        space = '{urn:schemas-upnp-org:device-1-0}'
        self.device = self.root.find(space + 'device')
        self.services = {}
        for service in self.device.iter(space + 'service'):
            self.services[service.findtext(space + 'serviceType')] = {
                name: urllib.parse.urljoin(location, service.findtext(space + name))
                for name in ('SCPDURL', 'controlURL', 'eventSubURL')}
        self.actions = {kind: self.read_scpd(urls['SCPDURL']) for kind, urls in self.services.items()}

    @staticmethod
    def read_scpd(url):
        status, _, body = fetch(url)
        assert status == 200
        space = '{urn:schemas-upnp-org:service-1-0}'
        root = ET.fromstring(body)
        variables = {v.findtext(space + 'name') for v in root.iter(space + 'stateVariable')}
        actions = {}
        for action in root.iter(space + 'action'):
            arguments = []
            for argument in action.iter(space + 'argument'):
                assert argument.findtext(space + 'relatedStateVariable') in variables
                arguments.append((argument.findtext(space + 'name'), argument.findtext(space + 'direction')))
            actions[action.findtext(space + 'name')] = arguments
        return actions

    def call(self, kind, action, arguments=None, agent='Strict/1.0', name=None):
        """The out arguments, in the order of the service's description or not at all."""
        inner = ''.join('<%s>%s</%s>' % (k, escape(v), k) for k, v in (arguments or {}).items())
        body = ('<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s='
                '"http://schemas.xmlsoap.org/soap/envelope/" s:encodingStyle='
                '"http://schemas.xmlsoap.org/soap/encoding/"><s:Body><u:%s xmlns:u="%s">%s</u:%s>'
                '</s:Body></s:Envelope>' % (action, kind, inner, action))
        status, headers, answer = fetch(
            self.services[kind]['controlURL'], 'POST',
            {'SOAPAction': '"%s#%s"' % (kind, name or action), 'User-Agent': agent,
             'Content-Type': 'text/xml; charset="utf-8"'}, body.encode())
        root = ET.fromstring(answer)
        assert root.tag == SOAP + 'Envelope' and headers['content-type'].startswith('text/xml')
        if status == 500:
            raise Fault(int(root.find('.//{urn:schemas-upnp-org:control-1-0}errorCode').text))
        assert status == 200 and 'ext' in headers, (status, headers)
        response = root.find(SOAP + 'Body')[0]
        assert response.tag == '{%s}%sResponse' % (kind, action), response.tag
        wanted = [n for n, direction in self.actions[kind][action] if direction == 'out']
        assert [child.tag for child in response] == wanted, [child.tag for child in response]
        return {child.tag: child.text or '' for child in response}

    def browse(self, object_id='0', flag='BrowseDirectChildren', filter='*', start=0, count=0, sort='',
               **keywords):
        out = self.call(CDS, 'Browse', {
            'ObjectID': object_id, 'BrowseFlag': flag, 'Filter': filter, 'StartingIndex': start,
            'RequestedCount': count, 'SortCriteria': sort}, **keywords)
        items = list(ET.fromstring(out['Result']))
        assert len(items) == int(out['NumberReturned'])
        return items, int(out['TotalMatches'])

    def search(self, criteria, container='0', **keywords):
        arguments = {'ContainerID': container, 'SearchCriteria': criteria, 'Filter': '*',
                     'StartingIndex': 0, 'RequestedCount': 0, 'SortCriteria': ''}
        arguments.update(keywords)
        out = self.call(CDS, 'Search', arguments)
        return list(ET.fromstring(out['Result'])), int(out['TotalMatches'])


def escape(text):
    return str(text).replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')


def title(item):
    return item.findtext(DC + 'title')


def search_ssdp(target, where='tv', host='239.255.255.250', seconds=3.0):
    """Locations that answered an M-SEARCH."""
    with inside(where):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        sock.sendto(('M-SEARCH * HTTP/1.1\r\nHost: 239.255.255.250:1900\r\nMan: "ssdp:discover"\r\n'
                     'MX: 1\r\nST: %s\r\n\r\n' % target).encode(), (host, 1900))
        end = time.monotonic() + seconds
        found = set()
        while time.monotonic() < end and not found:
            if not select.select([sock], [], [], max(0, end - time.monotonic()))[0]:
                break
            answer = sock.recv(4096).decode()
            assert answer.startswith('HTTP/1.1 200')
            found.add(re.search(r'(?im)^location: *(\S+)', answer).group(1))
        return found


def found_again(location=None, seconds=PATIENCE):
    """Asks until it answers; the location that answered."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for answer in search_ssdp('urn:schemas-upnp-org:device:MediaServer:1', seconds=2):
            if location is None or answer == location:
                return answer
    return None


def hear_ssdp():
    """A socket that hears what is announced on the LAN."""
    with inside('tv'):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(('239.255.255.250', 1900))
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                        socket.inet_aton('239.255.255.250') + socket.inet_aton('192.168.77.11'))
    return sock


def missing_notices(sock, kind, seconds=PATIENCE):
    """The targets of which no NOTIFY of that kind came in time."""
    wanted = {'upnp:rootdevice', 'uuid:' + UUID, CDS, CM, MR,
              'urn:schemas-upnp-org:device:MediaServer:1'}
    end = time.monotonic() + seconds
    while wanted and select.select([sock], [], [], max(0, end - time.monotonic()))[0]:
        text = sock.recv(4096).decode()
        if kind in text:
            wanted.discard(re.search(r'(?im)^nt: *(\S+)', text).group(1))
    return wanted


class Events:
    """A socket that gupnp calls back."""

    def __init__(self):
        with inside('tv'):
            self.sock = socket.create_server(('192.168.77.11', 0))
        self.sock.settimeout(PATIENCE)
        self.url = 'http://192.168.77.11:%d/notify' % self.sock.getsockname()[1]
        self.connection = None

    def next(self, seconds=10):
        """(SEQ, {variable: value}) of the next NOTIFY; None = none came."""
        if self.connection is None:
            self.sock.settimeout(seconds)
            try:
                self.connection = self.sock.accept()[0]
            except socket.timeout:
                return None
        self.connection.settimeout(seconds)
        data = b''
        try:
            while b'\r\n\r\n' not in data:
                more = self.connection.recv(65536)
                if not more:
                    self.connection.close()
                    self.connection = None
                    return self.next(seconds) if not data else None
                data += more
        except socket.timeout:
            return None
        head, body = data.split(b'\r\n\r\n', 1)
        head = head.decode()
        assert head.startswith('NOTIFY /notify HTTP/1.1')
        length = int(re.search(r'(?i)content-length: *(\d+)', head).group(1))
        while len(body) < length:
            body += self.connection.recv(65536)
        self.connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
        values = {}
        for prop in ET.fromstring(body.rstrip(b'\0')):
            assert prop.tag == '{urn:schemas-upnp-org:event-1-0}property'
            values[prop[0].tag] = prop[0].text or ''
        return int(re.search(r'(?i)\r\nseq: *(\d+)', head).group(1)), values

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.sock.close()


class Home(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.serve = Serve('lan0', 'late0')
        cls.location = cls.serve.locations['lan0']
        cls.point = ControlPoint(cls.location)

    @classmethod
    def tearDownClass(cls):
        code = cls.serve.stop()
        assert code == 0, code

    def test_a_tool_that_is_not_ours_finds_it(self):
        if shutil.which('gssdp-discover') is None:
            self.skipTest('gssdp-discover (gupnp-tools) is not installed')
        out = subprocess.run(
            ['ip', 'netns', 'exec', TAG + '-tv', 'gssdp-discover', '-i', 'lan0', '-n', '3', '-t',
             'urn:schemas-upnp-org:device:MediaServer:1'], capture_output=True, text=True, timeout=PATIENCE)
        self.assertIn('Location: ' + self.location, out.stdout)

    def test_every_target_answers(self):
        for target in ('ssdp:all', 'upnp:rootdevice', 'uuid:' + UUID, CDS, CM, MR):
            self.assertEqual(search_ssdp(target), {self.location}, target)

    def test_description(self):
        space = '{urn:schemas-upnp-org:device-1-0}'
        self.assertEqual(self.point.device.findtext(space + 'friendlyName'), 'Test & <TV>')
        self.assertEqual(self.point.device.findtext(space + 'UDN'), 'uuid:' + UUID)
        self.assertEqual(set(self.point.services), {CDS, CM, MR})
        self.assertIsNotNone(self.point.device.find('{urn:schemas-dlna-org:device-1-0}X_DLNADOC'))

    def test_browse(self):
        root, total = self.point.browse(flag='BrowseMetadata')
        self.assertEqual((root[0].get('id'), root[0].get('parentID'), total), ('0', '-1', 1))
        items, total = self.point.browse()
        self.assertEqual(([i.get('id') for i in items], total), (['live', 'film'], 2))
        self.assertEqual(title(items[0]), 'Live & "kicking"')
        for count in 0, 5000:
            items, total = self.point.browse('live', count=count)
            self.assertEqual((len(items), total), (1000, 1000))
            self.assertEqual([i.findtext(UPNP + 'channelNr') for i in items],
                             [str(n) for n in range(1, 1001)])
        items, total = self.point.browse('live', start=998, count=10)
        self.assertEqual(([i.get('id') for i in items], total), (['channel-999', 'channel-1000'], 1000))
        items, total = self.point.browse('live', start=5000, count=10)
        self.assertEqual((len(items), total), (0, 1000))
        self.assertEqual(title(items[0]) if items else None, None)

    def test_sorting(self):
        items, total = self.point.browse('live', count=2, sort='+dc:title')
        self.assertEqual(([title(i) for i in items], total), (['Channel & 1', 'Channel & 10'], 1000))
        items, _ = self.point.browse('live', start=1, count=1, sort='-dc:title,+upnp:class')
        self.assertEqual([title(i) for i in items], ['Channel & 998'])
        items, _ = self.point.browse('live', count=1, sort='+upnp:class')
        self.assertEqual([i.get('id') for i in items], ['channel-1'])

    def test_filter(self):
        items, _ = self.point.browse('live', filter='dc:title', count=1)
        self.assertEqual([child.tag for child in items[0]], [DC + 'title', UPNP + 'class'])
        items, _ = self.point.browse('film', flag='BrowseMetadata', filter='res@size')
        self.assertEqual(items[0].find(DIDL + 'res').get('size'), '1000000')

    def test_errors(self):
        good = {'ObjectID': '0', 'BrowseFlag': 'BrowseMetadata', 'Filter': '*', 'StartingIndex': 0,
                'RequestedCount': 0, 'SortCriteria': ''}
        for change, code in (({'ObjectID': 'nothing'}, 701), ({'BrowseFlag': 'Browse'}, 402),
                             ({'StartingIndex': '-1'}, 402), ({'StartingIndex': 'x'}, 402),
                             ({'StartingIndex': '1'}, 402), ({'RequestedCount': '4294967296'}, 402),
                             ({'RequestedCount': ''}, 402),
                             ({'BrowseFlag': 'BrowseDirectChildren', 'ObjectID': 'nothing'}, 701),
                             ({'BrowseFlag': 'BrowseDirectChildren', 'ObjectID': 'film'}, 701),
                             ({'BrowseFlag': 'BrowseDirectChildren', 'SortCriteria': 'dc:title'}, 709)):
            with self.assertRaises(Fault, msg=change) as caught:
                self.point.call(CDS, 'Browse', {**good, **change})
            self.assertEqual(caught.exception.args[0], code, change)
        for missing in 'ObjectID', 'BrowseFlag', 'StartingIndex', 'RequestedCount':
            with self.assertRaises(Fault) as caught:
                self.point.call(CDS, 'Browse', {k: v for k, v in good.items() if k != missing})
            self.assertEqual(caught.exception.args[0], 402)
        with self.assertRaises(Fault) as caught:
            self.point.call(CDS, 'DestroyObject', {'ObjectID': 'film'})
        self.assertEqual(caught.exception.args[0], 401)

    def test_search(self):
        self.assertEqual(self.point.call(CDS, 'GetSearchCapabilities')['SearchCaps'],
                         'dc:title,upnp:class,upnp:channelName,@id,@parentID,@refID')
        items, total = self.point.search('upnp:class derivedfrom "object.item.videoItem"')
        self.assertEqual((len(items), total), (1001, 1001))
        items, total = self.point.search('dc:title contains "99"', 'live', RequestedCount=3)
        self.assertEqual((len(items), total), (3, 19))
        for criteria, container, code in (('dc:title is', '0', 708), ('*', 'nothing', 710)):
            with self.assertRaises(Fault) as caught:
                self.point.search(criteria, container)
            self.assertEqual(caught.exception.args[0], code)

    def test_protocol_info_is_true(self):
        sources = self.point.call(CM, 'GetProtocolInfo')['Source'].split(',')
        known = {tuple(s.split(':')) for s in sources}
        for item in self.point.browse()[0][1:] + self.point.browse('live', count=1)[0]:
            res = item.find(DIDL + 'res')
            proto, net, kind, features = res.get('protocolInfo').split(':')
            self.assertIn((proto, net, kind, '*'), known)
            name = re.match(r'DLNA.ORG_PN=[A-Z0-9_]+', features)
            if name:
                self.assertIn((proto, net, kind, name.group()), known)
            status, headers, _ = fetch(res.text, 'HEAD')
            self.assertEqual((status, headers['content-type']), (200, kind))
            self.assertEqual(headers['contentfeatures.dlna.org'], features)
        self.assertEqual(self.point.call(CM, 'GetCurrentConnectionIDs'), {'ConnectionIDs': '0'})
        info = self.point.call(CM, 'GetCurrentConnectionInfo', {'ConnectionID': 0})
        self.assertEqual((info['Direction'], info['Status']), ('Output', 'OK'))
        with self.assertRaises(Fault) as caught:
            self.point.call(CM, 'GetCurrentConnectionInfo', {'ConnectionID': 7})
        self.assertEqual(caught.exception.args[0], 706)

    def test_what_sets_ask_for(self):
        features = ET.fromstring(self.point.call(CDS, 'X_GetFeatureList')['FeatureList'])
        self.assertEqual(features[0].get('name'), 'samsung.com_BASICVIEW')
        self.assertEqual(self.point.call(MR, 'IsAuthorized', {'DeviceID': ''}), {'Result': '1'})
        self.assertEqual(self.point.call(MR, 'IsValidated', {'DeviceID': ''}), {'Result': '1'})
        self.assertEqual(self.point.call(CDS, 'GetSortCapabilities'), {'SortCaps': 'dc:title'})
        items, _ = self.point.browse('live', count=1, agent='DLNADOC/1.50 SEC_HHP_[TV]UE40/1.0')
        self.assertIn('FLAGS=01700000', items[0].find(DIDL + 'res').get('protocolInfo'))
        items, _ = self.point.browse('live', count=1, agent='Panasonic MIL DLNA CP UPnP/1.0')
        self.assertEqual(title(items[0]), '001 Channel & 1000')

    def test_a_set_says_where_it_stopped(self):
        def bookmark(item, position):
            self.point.call(CDS, 'X_SetBookmark', {'CategoryType': 0, 'RID': 0, 'ObjectID': item,
                                                   'PosSecond': position})
        for said, seconds in ((3600, 3600), (754, 754), (754000, 754)):  # the last one counts milliseconds
            bookmark('film', said)
            self.assertEqual(self.serve.ask('told'), f'film at {seconds}000000\n')
        for item, position, code in (('no-such', 1, 701), ('film', 'x', 402), ('film', -1, 402)):
            with self.assertRaises(Fault) as caught:
                bookmark(item, position)
            self.assertEqual(caught.exception.args[0], code)
        self.assertEqual(self.serve.ask('told'), 'film at 754000000\n')

    def test_its_res_plays(self):
        film = self.point.browse('film', flag='BrowseMetadata')[0][0].find(DIDL + 'res')
        status, headers, body = fetch(film.text, headers={'Range': 'bytes=100-299'})
        self.assertEqual((status, len(body)), (206, 200))
        self.assertEqual(headers['content-range'], 'bytes 100-299/1000000')
        whole = fetch(film.text)[2]
        self.assertEqual((len(whole), whole[100:300]), (1000000, body))
        live = self.point.browse('live', count=1)[0][0].find(DIDL + 'res')
        parts = urllib.parse.urlsplit(live.text)
        with inside('tv'):
            sock = socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE)
        with sock:
            sock.sendall(('GET %s HTTP/1.0\r\n\r\n' % parts.path).encode())
            got = 0
            while got < 100000:
                got += len(sock.recv(65536))

    def test_events(self):
        events = Events()
        self.addCleanup(events.close)
        url = self.point.services[CDS]['eventSubURL']
        status, headers, _ = fetch(url, 'SUBSCRIBE', {
            'Callback': '<%s>' % events.url, 'NT': 'upnp:event', 'Timeout': 'Second-infinite'})
        self.assertEqual(status, 200)
        self.assertLessEqual(int(re.match(r'Second-(\d+)$', headers['timeout']).group(1)), 1800)
        sequence, values = events.next()
        self.assertEqual((sequence, set(values)), (0, {'SystemUpdateID', 'ContainerUpdateIDs'}))
        before = int(values['SystemUpdateID'])
        for _ in range(20):
            self.serve.ask('touch live')
        self.serve.ask('touch film')
        told = []
        while not told or told[-1][1]['SystemUpdateID'] != str(before + 21):
            told.append(events.next())
            self.assertIsNotNone(told[-1], 'no event')
        # The first at once, the others together: at most every two seconds.
        self.assertLessEqual(len(told), 2)
        self.assertEqual([t[0] for t in told], list(range(1, len(told) + 1)))
        self.assertIn('live,', told[0][1]['ContainerUpdateIDs'])
        self.assertIn('film,%d' % (before + 21), told[-1][1]['ContainerUpdateIDs'])
        self.assertEqual(self.point.call(CDS, 'GetSystemUpdateID')['Id'], str(before + 21))
        status, _, _ = fetch(url, 'SUBSCRIBE', {'SID': headers['sid'], 'Timeout': 'Second-300'})
        self.assertEqual(status, 200)
        status, _, _ = fetch(url, 'UNSUBSCRIBE', {'SID': headers['sid']})
        self.assertEqual(status, 200)
        self.assertEqual(self.serve.stats()['subscriptions'], 0)

    def test_subscriptions_have_a_limit(self):
        events = Events()
        self.addCleanup(events.close)
        url = self.point.services[CM]['eventSubURL']
        sids = []
        for _ in range(8):
            status, headers, _ = fetch(url, 'SUBSCRIBE', {'Callback': '<%s>' % events.url,
                                                          'NT': 'upnp:event'})
            self.assertEqual(status, 200)
            sids.append(headers['sid'])
        self.assertEqual(fetch(url, 'SUBSCRIBE', {'Callback': '<%s>' % events.url,
                                                  'NT': 'upnp:event'})[0], 503)
        self.assertEqual(fetch(url, 'SUBSCRIBE', {'Callback': '<http://192.168.77.1:1/>',
                                                  'NT': 'upnp:event'})[0], 412)
        for sid in sids:
            self.assertEqual(fetch(url, 'UNSUBSCRIBE', {'SID': sid})[0], 200)

    def test_the_wan_sees_nothing(self):
        port = urllib.parse.urlsplit(self.location).port
        for target in '203.0.113.1', '239.255.255.250':
            self.assertEqual(search_ssdp('ssdp:all', 'wan', target, 2), set())
        with inside('wan'):
            with self.assertRaises(ConnectionRefusedError):
                socket.create_connection(('203.0.113.1', port), timeout=5)
        # Routed to the LAN's address it is reachable, and refused.
        self.assertEqual(fetch(self.location, where='wan')[0], 403)

    def test_another_host_is_refused(self):
        urls = [self.location] + [u for s in self.point.services.values() for u in s.values()]
        for url in urls:
            for method in 'GET', 'POST', 'SUBSCRIBE':
                status, _, _ = fetch(url, method, {'Host': 'evil.example', 'Content-Length': '0'})
                self.assertEqual(status, 421, url)

    def test_only_the_description_is_served(self):
        base = self.location.rsplit('/', 1)[0]
        for path in '/', '/..%2f..%2fetc/passwd', '/etc/passwd', '/%2e%2e/%2e%2e/etc/passwd', '//etc/passwd':
            status, _, body = fetch(base + path)
            self.assertNotEqual(status, 200, path)
            self.assertNotIn(b'root:', body)

    def test_bad_requests_cost_nothing(self):
        url = self.point.services[CDS]['controlURL']
        parts = urllib.parse.urlsplit(url)
        header = {'SOAPAction': '"%s#Browse"' % CDS, 'Content-Type': 'text/xml'}
        fetch(url, 'POST', header, b'<x/>')
        peak, log = self.serve.memory('VmHWM'), self.serve.log()
        with inside('tv'):
            sock = socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE)
        with sock, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            sock.sendall(('POST %s HTTP/1.1\r\nHost: %s\r\nSOAPAction: "%s#Browse"\r\n'
                          'Content-Length: 104857600\r\n\r\n' % (parts.path, parts.netloc, CDS)).encode())
            for _ in range(1600):
                sock.sendall(bytes(65536))
        for n in range(1000):
            for name, body in (('Action%d' % n, b'<x/>'), ('Browse', b'<x/>'),
                               ('Browse', b'<Envelope><Body><Nothing/></Body></Envelope>')):
                status, _, _ = fetch(url, 'POST', {'SOAPAction': '"%s#%s"' % (CDS, name)}, body)
                self.assertIn(status, (400, 500))
        with inside('tv'):
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with udp:
            for text in (b'', b'\0' * 1000, b'M-SEARCH * HTTP/1.1\r\n\r\n', b'NOTIFY * HTTP/1.1\r\n\r\n',
                         b'M-SEARCH * HTTP/1.1\r\nST: ssdp:all\r\nMX: x\r\n\r\n'):
                udp.sendto(text, ('239.255.255.250', 1900))
        self.assertTrue(search_ssdp('ssdp:all'))
        self.assertLess(self.serve.memory('VmHWM') - peak, 32768 if self.serve.sanitized() else 4096)
        self.assertEqual(self.serve.log(), log)  # nobody outside writes our log
        self.assertGreaterEqual(self.serve.stats()['actions'], 3000)


class Links(unittest.TestCase):
    """What happens to the network while it runs; each with a server of its own."""

    def setUp(self):
        self.serve = Serve('lan0', 'late0')

    def tearDown(self):
        self.assertEqual(self.serve.stop(), 0)

    def test_a_link_that_was_down_is_announced_anew(self):
        location = self.serve.locations['lan0']
        self.assertEqual(found_again(location), location)
        for _ in range(3):
            ip('-n', TAG + '-gw', 'link', 'set', 'lan0', 'down')
            time.sleep(0.5)
            self.assertEqual(search_ssdp('ssdp:all', seconds=0.5), set())
            sock = hear_ssdp()
            self.addCleanup(sock.close)
            ip('-n', TAG + '-gw', 'link', 'set', 'lan0', 'up')
            self.assertEqual(missing_notices(sock, 'ssdp:alive'), set())
            self.assertEqual(found_again(location), location)
            ControlPoint(location).browse()

    def test_a_new_address_is_a_new_location(self):
        old = self.serve.locations['lan0']
        try:
            ip('-n', TAG + '-gw', 'address', 'del', '192.168.77.1/24', 'dev', 'lan0')
            ip('-n', TAG + '-gw', 'address', 'add', '192.168.77.2/24', 'dev', 'lan0')
            location = None
            end = time.monotonic() + PATIENCE
            while time.monotonic() < end and '//192.168.77.2:' not in (location or ''):
                location = found_again(seconds=3)
            self.assertIn('//192.168.77.2:', location)
            items, _ = ControlPoint(location).browse()
            self.assertIn('//192.168.77.2:', items[1].find(DIDL + 'res').text)
            with inside('tv'), self.assertRaises(OSError):
                socket.create_connection(('192.168.77.1', urllib.parse.urlsplit(old).port), timeout=2)
        finally:
            ip('-n', TAG + '-gw', 'address', 'flush', 'dev', 'lan0')
            ip('-n', TAG + '-gw', 'address', 'add', '192.168.77.1/24', 'broadcast', '+', 'dev', 'lan0')

    def test_an_address_that_comes_back(self):
        ip('-n', TAG + '-gw', 'address', 'del', '192.168.77.1/24', 'dev', 'lan0')
        end = time.monotonic() + PATIENCE
        while self.serve.stats()['interfaces'] != 0 and time.monotonic() < end:
            time.sleep(0.1)
        self.assertEqual(self.serve.stats()['interfaces'], 0)
        ip('-n', TAG + '-gw', 'address', 'add', '192.168.77.1/24', 'broadcast', '+', 'dev', 'lan0')
        location = found_again()
        self.assertIsNotNone(location)
        ControlPoint(location).browse()

    def test_a_port_in_use_is_told_and_tried_again(self):
        with inside('gw'):
            taken = socket.create_server(('192.168.77.1', 0))
        port = taken.getsockname()[1]
        with self.assertRaisesRegex(AssertionError, r'192\.168\.77\.1.* %d.*in use' % port):
            Serve('--port', str(port), 'lan0')
        taken.close()
        serve = Serve('--port', str(port), 'lan0')
        self.addCleanup(serve.stop)
        self.assertEqual(urllib.parse.urlsplit(serve.locations['lan0']).port, port)
        ip('-n', TAG + '-gw', 'address', 'del', '192.168.77.1/24', 'dev', 'lan0')
        while serve.stats()['interfaces'] != 0:
            time.sleep(0.1)
        with inside('gw'):
            taken = socket.create_server(('0.0.0.0', port))
        ip('-n', TAG + '-gw', 'address', 'add', '192.168.77.1/24', 'broadcast', '+', 'dev', 'lan0')
        time.sleep(2)
        self.assertEqual(serve.stats()['interfaces'], 0)
        self.assertEqual(serve.log().count('WARNING'), 1, serve.log())
        taken.close()
        end = time.monotonic() + PATIENCE
        while serve.stats()['interfaces'] != 1 and time.monotonic() < end:
            time.sleep(0.1)
        ControlPoint('http://192.168.77.1:%d/%s.xml' % (port, UUID)).browse()

    def test_who_cannot_listen_is_not_announced(self):
        self.assertEqual(self.serve.ask('deaf'), 'deaf\n')
        ip('-n', TAG + '-gw', 'address', 'del', '192.168.77.1/24', 'dev', 'lan0')
        while self.serve.stats()['interfaces'] != 0:
            time.sleep(0.1)
        ip('-n', TAG + '-gw', 'address', 'add', '192.168.77.1/24', 'broadcast', '+', 'dev', 'lan0')
        while 'deaf on 192.168.77.1:' not in self.serve.log():
            self.assertEqual(self.serve.stats()['interfaces'], 0)
            time.sleep(0.1)
        self.assertEqual(search_ssdp('ssdp:all', seconds=0.5), set())
        self.assertEqual(self.serve.ask('deaf'), 'hears\n')
        ControlPoint(found_again()).browse()

    def test_an_interface_without_address_is_waited_for(self):
        self.assertEqual(self.serve.locations['late0'], '-')
        self.assertEqual(self.serve.stats()['interfaces'], 1)
        ip('-n', TAG + '-gw', 'address', 'add', '192.168.78.1/24', 'dev', 'late0')
        ip('-n', TAG + '-tv', 'address', 'replace', '192.168.78.11/24', 'dev', 'late0')
        try:
            end = time.monotonic() + PATIENCE
            while self.serve.stats()['interfaces'] != 2 and time.monotonic() < end:
                time.sleep(0.1)
            location = self.serve.ask('locations', 2).splitlines()[1].split()[1]
            items, _ = ControlPoint(location).browse()
            self.assertIn('//192.168.78.1:', items[1].find(DIDL + 'res').text)
        finally:
            ip('-n', TAG + '-gw', 'address', 'del', '192.168.78.1/24', 'dev', 'late0')

    def test_it_says_byebye_and_leaves_nothing(self):
        sock = hear_ssdp()
        self.addCleanup(sock.close)
        self.assertTrue(found_again())
        folders = [f for f in os.listdir('/proc/%d/fd' % self.serve.process.pid)]
        paths = {os.readlink('/proc/%d/fd/%s' % (self.serve.process.pid, f)) for f in folders}
        paths = {p for p in paths if 'ppsp-dlna-' in p}
        self.assertEqual(len(paths), 1)
        self.assertTrue(all(os.path.isdir(p) for p in paths))
        self.serve.process.stdin.write('quit\n')
        self.serve.process.stdin.flush()
        self.assertEqual(missing_notices(sock, 'ssdp:byebye'), set())
        self.serve.process.wait(10)
        self.assertFalse(any(os.path.exists(p) for p in paths))


def main():
    global SERVE
    SERVE = os.path.abspath(sys.argv.pop(1))
    if os.geteuid() != 0 or shutil.which('ip') is None:
        print('namespaces need root and iproute2')
        return 77
    try:
        make_network()
    except subprocess.CalledProcessError as error:
        remove_network()
        print('no namespaces here: %s' % error.stderr.decode())
        return 77
    try:
        result = unittest.main(argv=['test_server.py', '-v'] + sys.argv[1:], exit=False).result
        return 0 if result.wasSuccessful() else 1
    finally:
        remove_network()


if __name__ == '__main__':
    sys.exit(main())

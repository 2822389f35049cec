#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The gateway in a home whose network does what networks do: a television finds it, always, and
nobody else ever does."""

import gzip
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import xml.etree.ElementTree

import control_point
import world
from world import INTERNET, LAN, PATIENCE, figure, wait_until

# A content that is listed and never played.
LINK = 'ppsp:' + '5a' * 32 + '?cl=1000000&ty=video%2Fmp2t'
LIVE_LINK = ('ppsp:0d1a88c88615d437fbb8bf9e1942a1929f28562706ae6c2bd399e7b1bfb6d1e9e75b92b4aa42917ae1c61b7'
             '01ef035c3fe7be3009cbafe5a2f71316c902dcf0d00?ci=3&ca=4&cs=1128&ns=64')
MEDIA_SERVER = control_point.MEDIA_SERVER


def channels(here):
    path = os.path.join(here.folder, 'list.m3u')
    with open(path, 'w', encoding='ascii') as file:
        file.write(f'#EXTM3U\n#EXTINF:-1 group-title="Films",One film\n{LINK}\n')
    return 'file://' + path


def gateway(here, name='Home', at='gw', interfaces=('lan0',), state='gateway', more=()):
    words = [world.program('ppsp-proxy'), '--name', name, '--peer', '[::]:7574', '--state',
             os.path.join(here.folder, state), '--channels', channels(here), *more]
    for interface in interfaces:
        words += ['--interface', interface]
    process = here.run(f'gateway-{state}', words, at)
    port = more[more.index('--listen') + 1] if '--listen' in more else '8574'
    here.wait_healthy(at, f'http://127.0.0.1:{port}/healthz', process)
    return process


class Notices:
    """What is announced on the home's network."""

    def __init__(self, here, at='tv'):
        with here.at(at):
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.udp.bind(('239.255.255.250', 1900))
        self.udp.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(
            '239.255.255.250') + socket.inet_aton(LAN[at]))
        here.closers.append(self.udp.close)

    def heard(self, kind, seconds=PATIENCE):
        """Seconds until a NOTIFY of a MediaServer with that NTS came."""
        start = time.monotonic()
        while time.monotonic() - start < seconds:
            self.udp.settimeout(max(0.01, start + seconds - time.monotonic()))
            try:
                text = self.udp.recv(4096).decode('ascii', 'replace')
            except socket.timeout:
                break
            if kind in text and MEDIA_SERVER in text:
                return time.monotonic() - start
        raise AssertionError(f'no {kind} within {seconds} s')

    def forget(self):
        self.udp.setblocking(False)
        try:
            while self.udp.recv(4096):
                pass
        except BlockingIOError:
            pass


def found(here, name='Home', at='tv', address=LAN['gw']):
    """Found by a search, browsed, and its media answer, all at that address; the seconds it took."""
    start = time.monotonic()
    seen = None

    def there():
        nonlocal seen
        with here.at(at):
            try:
                server = control_point.find('lan0', name, 3)
                items = server.items() if server else []
            except (OSError, ValueError):
                return False
        if not items or f'//{address}:' not in server.location:
            return False
        assert all(f'//{address}:' in item['url'] for item in items), items
        seen = server
        return here.status(at, items[0]['url'], 'HEAD')[0] == 200
    wait_until(f'{name} is found at {address}', PATIENCE, there, every=0.1)
    return time.monotonic() - start, seen


def lost(here, at='tv', name='Home'):
    with here.at(at):
        return control_point.find('lan0', name, 1.5) is None


def the_internet_sees_nothing(here):
    here.build_network()
    process = gateway(here)
    found(here)
    # Its own port for peers is all that is open: no answer to a search, to the group or to us.
    with here.at('p1'):
        here.ip('-n', here.names['p1'], 'route', 'add', '239.0.0.0/8', 'dev', 'wan0')
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        here.closers.append(udp.close)
        for target in ('239.255.255.250', INTERNET['gw']):
            for what in ('ssdp:all', MEDIA_SERVER):
                udp.sendto(f'M-SEARCH * HTTP/1.1\r\nHOST: {target}:1900\r\nMAN: "ssdp:discover"\r\n'
                           f'MX: 1\r\nST: {what}\r\n\r\n'.encode(), (target, 1900))
        udp.settimeout(3)
        try:
            answer = udp.recv(4096)
        except socket.timeout:
            answer = None
        assert answer is None, answer
    open_ports = {}
    for kind, state in (('tcp', '0A'), ('tcp6', '0A'), ('udp', '07'), ('udp6', '07')):
        with open(f'/proc/{process.pid}/net/{kind}', encoding='ascii') as file:
            for line in list(file)[1:]:
                fields = line.split()
                if fields[3] == state:
                    address, port = fields[1].split(':')
                    open_ports.setdefault(kind, set()).add((address, int(port, 16)))
    home = {'0100007F', '014DA8C0', 'FAFFFFEF'}  # loopback, the LAN's address, the SSDP group
    strangers = {(a, p) for a, p in open_ports['tcp'] | open_ports['udp'] if a not in home}
    strangers |= {(a, p) for kind in ('tcp6', 'udp6') for a, p in open_ports.get(kind, ())
                  if a != '00000000000000000000000001000000' and not a.startswith('000080FE')}
    figure('open beyond loopback and the home', sorted(strangers), 'the port for peers', '')
    assert {p for _, p in strangers} == {7574}, strangers
    # And the group was joined on the home's side only.
    with open(f'/proc/{process.pid}/net/igmp', encoding='ascii') as file:
        link, joined = None, set()
        for line in list(file)[1:]:
            fields = line.split()
            if fields[0].isdigit():
                link = fields[1]
            elif fields[0] == 'FAFFFFEF':
                joined.add(link)
    assert joined == {'lan0'}, joined
    # Without --interface too: the default route leads to the Internet.
    assert process.stop() == 0
    process = gateway(here, interfaces=())
    found(here)
    here.ip('-n', here.names['gw'], 'link', 'set', 'lan0', 'down')
    time.sleep(7)  # longer than between two looks
    with open(f'/proc/{process.pid}/net/tcp', encoding='ascii') as file:
        wan = [line for line in file if ' 0A ' in line and '0121160B:' in line]
    assert not wan, wan
    here.ip('-n', here.names['gw'], 'link', 'set', 'lan0', 'up')
    figure('found after the bridge was down', found(here)[0])


def a_pulled_cable_is_forgotten(here):
    """The link itself stays up on our side; the switch says that nobody is there."""
    here.build_network()
    gateway(here)
    first = found(here)[1]
    notices = Notices(here)
    for _ in range(2):
        here.ip('-n', here.names['lan'], 'link', 'set', 'gw', 'down')
        assert lost(here)
        notices.forget()
        here.ip('-n', here.names['lan'], 'link', 'set', 'gw', 'up')
        figure('announced anew', notices.heard('ssdp:alive'))
        seconds, server = found(here)
        figure('found again', seconds)
        assert server.location == first.location and server.udn == first.udn


def a_router_that_restarts_has_another_address(here):
    here.build_network()
    gateway(here)
    udn = found(here)[1].udn
    inside = here.names['gw']
    here.ip('-n', inside, 'link', 'set', 'lan0', 'down')
    here.ip('-n', inside, 'addr', 'flush', 'dev', 'lan0')
    here.ip('-n', inside, 'link', 'set', 'lan0', 'up')
    time.sleep(1)
    notices = Notices(here)
    here.ip('-n', inside, 'addr', 'add', '192.168.77.7/24', 'brd', '+', 'dev', 'lan0')
    figure('announced', notices.heard('ssdp:alive'))
    seconds, server = found(here, address='192.168.77.7')
    figure('found and its media served at the new address', seconds)
    assert server.udn == udn, server.udn
    page = 'http://192.168.77.7:8574/channels.m3u'
    assert b'//192.168.77.7:8574/media/' in here.get('tv', page)


def an_address_that_is_gone_is_no_worry(here):
    """Another program has our port there; the page says so for as long as that matters."""
    here.build_network()
    taken = ('-n', here.names['gw'], 'addr'), ('192.168.77.9/24', 'dev', 'lan0')
    here.ip(*taken[0], 'add', *taken[1])
    with here.at('gw'):
        here.closers.append(socket.create_server(('192.168.77.9', 8574)).close)
    gateway(here)

    def warned():
        return b'192.168.77.9:8574' in here.get('gw', 'http://127.0.0.1:8574/api/v1/status')
    wait_until('the page says that it is taken', PATIENCE, warned)
    here.ip(*taken[0], 'del', *taken[1])
    wait_until('the page says no more of it', PATIENCE, lambda: not warned())


def several_interfaces_come_and_go_alone(here):
    """What happens on one interface is nothing to those who are on another."""
    here.build_network()
    here.ip('-n', here.names['gw'], 'link', 'add', 'lan1', 'type', 'veth', 'peer', 'name', 'lan1',
            'netns', here.names['tv2'])
    here.ip('-n', here.names['tv2'], 'addr', 'add', '192.168.78.20/24', 'brd', '+', 'dev', 'lan1')
    here.ip('-n', here.names['tv2'], 'link', 'set', 'lan1', 'up')
    notices = Notices(here)
    gateway(here, interfaces=())
    server = found(here)[1]
    notices.heard('ssdp:alive')  # a start says goodbye first, for whoever was here before
    notices.forget()
    # A subscription on the first interface is the witness: it would not survive a new MediaServer.
    with here.at('tv'):
        callback = socket.create_server((LAN['tv'], 0))
    here.closers.append(callback.close)
    code, headers, _ = here.status('tv', server.services[control_point.DIRECTORY]['eventSubURL'],
                                   'SUBSCRIBE', {'NT': 'upnp:event', 'TIMEOUT': 'Second-300',
                                                 'CALLBACK': f'<http://{LAN["tv"]}:'
                                                             f'{callback.getsockname()[1]}/>'})
    assert code == 200, code
    for _ in range(2):
        here.ip('-n', here.names['gw'], 'addr', 'add', '192.168.78.1/24', 'brd', '+', 'dev', 'lan1')
        here.ip('-n', here.names['gw'], 'link', 'set', 'lan1', 'up')
        there = 'http://192.168.78.1:8575/'
        wait_until('the MediaServer on the second interface', PATIENCE, lambda: here.get(
            'tv2', f'{there}{server.udn.removeprefix("uuid:")}.xml', quiet=True, timeout=2))
        wait_until('the media on the second interface', PATIENCE, lambda: here.get(
            'tv2', 'http://192.168.78.1:8574/channels.m3u', quiet=True, timeout=2))
        here.ip('-n', here.names['gw'], 'addr', 'del', '192.168.78.1/24', 'dev', 'lan1')
        here.ip('-n', here.names['gw'], 'link', 'set', 'lan1', 'down')
        wait_until('it is gone from there', PATIENCE, lambda: here.metric(
            'gw', 'http://127.0.0.1:8574/metrics', 'ppsp_dlna_interfaces') == 1)
    code, _, _ = here.status('tv', server.services[control_point.DIRECTORY]['eventSubURL'],
                             'SUBSCRIBE', {'SID': headers['SID'], 'TIMEOUT': 'Second-300'})
    assert code == 200, f'the subscription on the first interface was lost: {code}'
    try:
        notices.heard('ssdp:byebye', 0.5)
        raise RuntimeError('byebye on an interface where nothing happened')
    except AssertionError:
        pass


def multicast_that_is_filtered_comes_back(here):
    """A switch that keeps searches from us: who knows us stays, and is told when we start anew; and
    when it lets them through, all is as before."""
    here.build_network()
    process = gateway(here)
    server = found(here)[1]

    def flood(way):
        subprocess.run(['bridge', '-n', here.names['lan'], 'link', 'set', 'dev', 'gw',
                              'mcast_flood', way], check=True)
    flood('off')
    assert lost(here)
    with here.at('tv'):
        assert server.items(), 'who knows us browses'
    assert process.stop() == 0
    notices = Notices(here)
    gateway(here)
    figure('a start is heard in spite of the filter', notices.heard('ssdp:alive'))
    flood('on')
    seconds, again = found(here)
    figure('found', seconds)
    assert again.location == server.location and again.udn == server.udn


def two_gateways_live_in_one_home(here):
    here.build_network()
    gateway(here, 'Upstairs')
    here.ip('-n', here.names['tv2'], 'route', 'del', 'default')
    gateway(here, 'Downstairs', at='tv2', state='second')
    # A third on the first one's computer, with ports of its own.
    third = gateway(here, 'Cellar', state='third', more=(
        '--listen', '9574', '--dlna-port', '9575', '--peer', '[::]:9576'))
    upstairs = found(here, 'Upstairs')[1]
    downstairs = found(here, 'Downstairs', address=LAN['tv2'])[1]
    cellar = found(here, 'Cellar')[1]
    assert len({upstairs.udn, downstairs.udn, cellar.udn}) == 3
    assert third.stop() == 0
    assert lost(here, name='Cellar')
    found(here, 'Upstairs')
    found(here, 'Downstairs', address=LAN['tv2'])


def it_says_goodbye_and_is_known_again(here):
    here.build_network()
    process = gateway(here)
    first = found(here)[1]
    notices = Notices(here)
    notices.forget()
    process.kill(signal.SIGTERM)
    figure('byebye', notices.heard('ssdp:byebye'))
    assert process.wait() == 0
    for number in (signal.SIGTERM, signal.SIGKILL):
        notices.forget()
        process = gateway(here)
        figure('announced at the start', notices.heard('ssdp:alive'))
        again = found(here)[1]
        assert (again.udn, again.location) == (first.udn, first.location)
        process.kill(number)
        process.wait()


def what_the_media_server_refuses_is_counted(here):
    here.build_network()
    gateway(here)
    server = found(here)[1]
    control = server.services[control_point.DIRECTORY]['controlURL']

    def counted(what):
        return here.metric('gw', 'http://127.0.0.1:8574/metrics', f'ppsp_dlna_{what}_total')
    for url in (server.location, control):
        before = counted('wrong_hosts')
        assert here.status('tv', url, headers={'Host': 'evil.example'})[0] == 421
        assert counted('wrong_hosts') == before + 1
    assert here.status('tv', control, 'POST', {'SOAPAction': '"x#Dance"'}, b'x')[0] == 500
    assert counted('bad_actions') == 1
    # Its description is at the address alone, whatever names the page has.
    assert here.status('tv', server.location, headers={'Host': 'localhost:8575'})[0] == 421


def what_a_set_asked_is_in_the_report(here):
    """Its questions, what it was refused, and why: from the page of the gateway, and as one text."""
    here.build_network()
    gateway(here)
    server = found(here)[1]
    with here.at('tv'):
        server.browse()
        try:
            server.browse('nowhere')
            raise AssertionError('there is no such folder')
        except control_point.Refused as error:
            assert error.code == 701
    here.status('tv', server.location, headers={'Host': 'evil.example'})
    here.status('tv', f'http://{LAN["gw"]}:8574/media/one-film.mkv')

    def told():
        clients = json.loads(here.get('tv', f'http://{LAN["gw"]}:8574/api/v1/clients'))['clients']
        events = {(event['status'], event['what']) for client in clients for event in client['events']
                  if client['address'] == LAN['tv']}
        wanted = {(200, 'Browse 0'), (500, 'Browse nowhere, error 701'),
                  (421, 'GET ' + server.location[server.location.index('/', 7):]),
                  (404, 'GET /media/one-film.mkv')}
        return wanted <= events
    wait_until('all that was asked is told', PATIENCE, told, every=0.2)
    report = here.get('tv', f'http://{LAN["gw"]}:8574/api/v1/report.txt').decode()
    assert re.search(r'(?m)^    \d+ s ago: 500 Browse nowhere, error 701$', report), report
    assert f'\n  lan0 {LAN["gw"]}' in report and '1 known' in report, report


def what_is_on_and_the_logo_are_shown(here):
    """A list names a programme guide and a logo; the television shows both."""
    here.build_network()
    now = time.time()
    guide = os.path.join(here.folder, 'guide.xml.gz')
    moment = '%Y%m%d%H%M%S +0000'
    with gzip.open(guide, 'wt', encoding='utf-8') as file:
        file.write('<?xml version="1.0"?><tv><channel id="news.tv"><display-name>N</display-name></channel>')
        for title, begin, end in (('Before', -7200, -600), ('On & now', -600, 1200), ('Next', 1200, 3600)):
            file.write('<programme start="%s" stop="%s" channel="news.tv"><title>%s</title></programme>' % (
                time.strftime(moment, time.gmtime(now + begin)),
                time.strftime(moment, time.gmtime(now + end)), title.replace('&', '&amp;')))
        file.write('</tv>')
    picture = os.path.join(here.folder, 'logo.png')
    subprocess.run(['ffmpeg', '-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=640x320', '-frames:v', '1',
                    picture], check=True)
    here.run('logos', ['python3', '-m', 'http.server', '8099', '--bind', LAN['gw'], '--directory',
                       here.folder], 'gw')
    wait_until('the logo can be had', PATIENCE, lambda: here.get(
        'gw', f'http://{LAN["gw"]}:8099/logo.png', quiet=True, timeout=2))
    path = os.path.join(here.folder, 'list.m3u')
    with open(path, 'w', encoding='ascii') as file:
        file.write(f'#EXTM3U x-tvg-url="file://{guide}"\n#EXTINF:-1 tvg-id="news.tv" tvg-logo='
                   f'"http://{LAN["gw"]}:8099/logo.png",News\n{LIVE_LINK}\n')
    process = here.run('gateway', [
        world.program('ppsp-proxy'), '--interface', 'lan0', '--name', 'Home', '--peer', '[::]:7574',
        '--state', os.path.join(here.folder, 'state'), '--channels', f'file://{path}'], 'gw')
    here.wait_healthy('gw', 'http://127.0.0.1:8574/healthz', process)
    page = f'http://{LAN["gw"]}:8574'
    wait_until('the guide is read', PATIENCE, lambda: json.loads(here.get('tv', f'{page}/api/v1/now')))
    programmes = json.loads(here.get('tv', f'{page}/api/v1/now'))['news.tv']
    assert programmes['now']['title'] == 'On & now' and programmes['next']['title'] == 'Next', programmes
    # Who reads the playlist is led to the guide, which names the channel as the playlist does.
    playlist = here.get('tv', f'{page}/channels.m3u').decode()
    address = re.search(r'^#EXTM3U x-tvg-url="(.*)"$', playlist, re.M).group(1)
    assert address == f'{page}/guide.xml', address
    tv = xml.etree.ElementTree.fromstring(here.get('tv', address))
    assert [(one.get('id'), one.findtext('display-name')) for one in tv.findall('channel')] == [
        ('news.tv', 'News')] and 'tvg-id="news.tv"' in playlist, playlist
    titles = [one.findtext('title') for one in tv.findall('programme') if one.get('channel') == 'news.tv']
    assert titles == ['Before', 'On & now', 'Next'], titles
    assert here.status('tv', address, headers={'Host': 'evil.example'})[0] == 421
    with here.at('tv'):
        server = control_point.find('lan0', 'Home', PATIENCE)
        element = server.browse('all:')[0][0]
    about = element.findtext(f'{control_point.DC}description')
    print(f'    {about}')
    assert 'On & now' in about and 'Next' in about and 'Before' not in about, about
    art = element.find(f'{control_point.UPNP}albumArtURI')
    code, headers, body = here.status('tv', art.text)
    assert code == 200 and headers['Content-Type'] in ('image/jpeg', 'image/png'), (code, str(headers))
    if art.get('{urn:schemas-dlna-org:metadata-1-0/}profileID') == 'JPEG_TN':
        small = os.path.join(here.folder, 'small.jpg')
        with open(small, 'wb') as file:
            file.write(body)
        size = subprocess.run(['ffprobe', '-v', 'error', '-show_entries', 'stream=codec_name,width,height',
                               '-of', 'csv=p=0', small], check=True, capture_output=True, text=True).stdout
        figure('the logo of 640 by 320', size.strip(), '', '')
        assert size.strip() == 'mjpeg,160,80', size


def tuner_answers(here, at, address):
    """The answer to who looks for a tuner at that address; None: its host says that nobody is there."""
    with here.at(at), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(1)
        udp.connect((address, 65001))
        for _ in range(int(PATIENCE)):
            try:
                udp.send(bytes.fromhex('0002000c0104000000010204ffffffff4e507f35'))
                return udp.recv(2048)
            except ConnectionRefusedError:
                return None
            except socket.timeout:
                continue
    raise AssertionError(f'{address} neither answers {at} nor says that nobody is there')


def it_is_a_tuner_for_who_records(here):
    """Found by the tool of the tuners' maker, then asked by HTTP as recorders ask; by the home alone."""
    tool = shutil.which('hdhomerun_config')
    if not tool:
        raise world.Skip('no hdhomerun_config (package hdhomerun-config)')
    here.build_network()
    process = gateway(here)
    page = f'http://{LAN["gw"]}:8574'
    assert tuner_answers(here, 'tv', LAN['gw']) is None, 'nobody has asked for that'
    assert here.status('tv', f'{page}/discover.json')[0] == 404
    assert process.stop() == 0

    path = os.path.join(here.folder, 'tuner.m3u')
    with open(path, 'w', encoding='ascii') as file:
        file.write(f'#EXTM3U\n#EXTINF:-1 tvg-chno="3",News\n{LIVE_LINK}\n#EXTINF:-1,One film\n{LINK}\n')
    gateway(here, more=('--hdhomerun', '--channels', f'file://{path}'))

    def discover(at, *where):
        with here.at(at):
            return subprocess.run([tool, 'discover', *where], capture_output=True, text=True, check=False,
                                  timeout=60).stdout
    device = json.loads(here.get('tv', f'{page}/discover.json'))
    found_it = f'hdhomerun device {device["DeviceID"]} found at '
    for where in ((), (LAN['gw'],)):  # by a broadcast, and where it is known to be
        wait_until('found by the tool', PATIENCE, lambda at=where: discover('tv', *at) == (
            f'{found_it}{LAN["gw"]}\n'))
    answer = tuner_answers(here, 'tv', LAN['gw'])
    assert page.encode() in answer and len(answer) < 3 * 20, answer
    assert device['BaseURL'] == page and device['TunerCount'] == 16, device
    wait_until('the list is read', PATIENCE, lambda: json.loads(here.get('tv', device['LineupURL'])))
    lineup = json.loads(here.get('tv', device['LineupURL']))
    assert lineup == [{'GuideNumber': '3', 'GuideName': 'News', 'URL': f'{page}/media/news.ts'}], lineup
    assert here.status('tv', lineup[0]['URL'], 'HEAD')[0] == 200
    assert here.status('tv', f'{page}/lineup.json', headers={'Host': 'evil.example'})[0] == 421

    # From the Internet there is nobody, neither at the WAN's address nor at the home's.
    here.ip('-n', here.names['p1'], 'route', 'add', LAN['gw'], 'via', INTERNET['gw'])
    for address in (INTERNET['gw'], LAN['gw']):
        assert tuner_answers(here, 'p1', address) is None
    # Its address may change.
    here.ip('-n', here.names['gw'], 'addr', 'flush', 'dev', 'lan0')
    here.ip('-n', here.names['gw'], 'addr', 'add', '192.168.77.7/24', 'brd', '+', 'dev', 'lan0')
    wait_until('found at the new address', PATIENCE, lambda: discover('tv') == (
        f'{found_it}192.168.77.7\n'))
    assert here.metric('gw', 'http://127.0.0.1:8574/metrics', 'ppsp_hdhomerun_answers_total') >= 4


if __name__ == '__main__':
    raise SystemExit(world.main(__file__, [
        the_internet_sees_nothing,
        a_pulled_cable_is_forgotten,
        a_router_that_restarts_has_another_address,
        an_address_that_is_gone_is_no_worry,
        several_interfaces_come_and_go_alone,
        multicast_that_is_filtered_comes_back,
        two_gateways_live_in_one_home,
        it_says_goodbye_and_is_known_again,
        what_the_media_server_refuses_is_counted,
        what_a_set_asked_is_in_the_report,
        what_is_on_and_the_logo_are_shown,
        it_is_a_tuner_for_who_records]))

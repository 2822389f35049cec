#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What an operator gets wrong, and what a broken neighbour sends: one clear line, and no harm."""

import http.server
import json
import os
import random
import re
import shutil
import socket
import sqlite3
import time

import media
import world
from world import INTERNET, PATIENCE, figure, program, wait_until

NOBODY = 65534
PAGE = 'http://127.0.0.1:8574'
JSON = {'Content-Type': 'application/json', 'X-PPSP': '1'}


def one_clear_line(process, *words):
    """The program ended with an error and said why in one line that has all these words."""
    code = process.wait()
    lines = [line for line in process.output().splitlines() if line.strip()]
    assert code > 0, f'exit code {code}: {lines}'
    assert len(lines) == 1, f'{len(lines)} lines instead of one: {lines[:10]}'
    for word in words:
        assert word.lower() in lines[0].lower(), f'no "{word}" in: {lines[0]}'
    print(f'    {lines[0]}')


def words_of(here, name, **ports):
    """A command line that would run: all on loopback, with its own state."""
    state = ['--state', os.path.join(here.folder, 'state-' + name)]
    if name == 'ppsp-tracker':
        return [program(name), '--listen', f'127.0.0.1:{ports.get("a", 7846)}', '--management',
                f'127.0.0.1:{ports.get("b", 7847)}']
    if name == 'ppsp-origin':
        return [program(name), '--http', f'127.0.0.1:{ports.get("a", 7575)}', '--peer',
                f'127.0.0.1:{ports.get("b", 7576)}', '--channel', 'one', *state]
    return [program(name), '--listen', f'127.0.0.1:{ports.get("a", 8574)}', '--peer',
            f'127.0.0.1:{ports.get("b", 7574)}', '--interface', 'lo', '--dlna-port',
            str(ports.get('c', 8575)), *state]


def a_port_in_use_is_named(here):
    here.build_network()
    busy = []
    with here.at('p1'):
        for kind, port in ((socket.SOCK_STREAM, 9001), (socket.SOCK_DGRAM, 9002)):
            taken = socket.socket(socket.AF_INET, kind)
            taken.bind(('127.0.0.1', port))
            if kind == socket.SOCK_STREAM:
                taken.listen()
            busy.append(taken)
    try:
        for name, ports in (('ppsp-tracker', {'a': 9001}), ('ppsp-tracker', {'b': 9001}),
                            ('ppsp-origin', {'a': 9001}), ('ppsp-origin', {'b': 9002}),
                            ('ppsp-proxy', {'a': 9001}), ('ppsp-proxy', {'b': 9002})):
            process = here.run(name, words_of(here, name, **ports), 'p1')
            one_clear_line(process, str(9002 if 9002 in ports.values() else 9001), 'in use')
        # Players can do without the MediaServer: it is told, and tried again until it works.
        process = here.run('ppsp-proxy', words_of(here, 'ppsp-proxy', c=9001), 'p1')
        here.wait_healthy('p1', f'{PAGE}/healthz', process)
        told = [line for line in process.output().splitlines() if '9001' in line]
        assert len(told) == 1 and 'in use' in told[0], process.output()
        print('    ' + told[0])
        busy.pop(0).close()
        figure('the MediaServer is there after its port is free', wait_until(
            'it is announced', 15, lambda: 'announced on lo' in process.output(), every=0.1), 15)
        assert process.stop() == 0
    finally:
        for taken in busy:
            taken.close()


def an_unwritable_state_folder_is_named(here):
    here.build_network()
    closed = os.path.join(here.folder, 'closed')
    os.makedirs(closed, mode=0o755)
    os.chmod(here.folder, 0o755)
    # An origin without its keys would have other links: it does not start. A gateway shows what
    # the lists bring, and says that it will forget it. A file in the folder's place is the same.
    taken = os.path.join(here.folder, 'file')
    with open(taken, 'w', encoding='ascii') as file:
        file.write('x')
    # Where nobody can reach them: the sources may lie in a home that is closed to others.
    bare = {name: shutil.copy(program(name), here.folder) for name in ('ppsp-origin', 'ppsp-proxy')}
    for path, user in ((os.path.join(closed, 'state'), NOBODY), (taken, None)):
        words = words_of(here, 'ppsp-origin')
        words[0] = bare['ppsp-origin']
        words[words.index('--state') + 1] = path
        one_clear_line(here.run('ppsp-origin', words, 'p1', user=user), path)
        words = words_of(here, 'ppsp-proxy')
        words[0] = bare['ppsp-proxy']
        words[words.index('--state') + 1] = path
        gateway = here.run('ppsp-proxy', words, 'p1', user=user, env={'HOME': here.folder})
        here.wait_healthy('p1', f'{PAGE}/healthz', gateway)
        told = [line for line in gateway.output().splitlines() if path in line]
        assert told and 'written' in told[0], gateway.output()
        print('    ' + told[0])
        status = json.loads(here.get('p1', f'{PAGE}/api/v1/status'))
        assert status['warnings'], status
        assert gateway.stop() == 0


def unknown_options_and_values_are_told(here):
    here.build_network()
    for name in ('ppsp-tracker', 'ppsp-origin', 'ppsp-proxy', 'ppsp-peer'):
        one_clear_line(here.run(name, [program(name), '--colour', 'blue'], 'p1'), 'colour')
        version = here.run(name, [program(name), '--version'], 'p1')
        assert version.wait() == 0 and '0.1' in version.output(), version.output()
        usage = here.run(name, [program(name), '--help'], 'p1')
        assert usage.wait() == 0 and 'usage' in usage.output().lower(), usage.output()
    for name, option, value in (('ppsp-tracker', '--listen', 'nowhere:99999'),
                                ('ppsp-origin', '--peer', 'nonsense'),
                                ('ppsp-origin', '--channel', 'Upper Case'),
                                ('ppsp-origin', '--file', 'film,/nonexistent/film.ts'),
                                ('ppsp-proxy', '--peer', '1.2.3.4.5:1'),
                                ('ppsp-proxy', '--memory', 'much')):
        words = words_of(here, name)
        if '--channel' in words:  # a new channel's token is a line of its own
            at = words.index('--channel')
            words[at:at + 2] = []
        words += [option, value]
        one_clear_line(here.run(name, words, 'p1'), value.split(',')[-1])


def shipped_config_files_are_read(here):
    """What packaging ships as comments is what the programs take when it is none."""
    here.build_network()
    for name, at, url, sign in (
            ('ppsp-tracker', 'tracker', 'http://127.0.0.1:7847/healthz', ''),
            ('ppsp-origin', 'origin', 'http://127.0.0.1:7575/channels.m3u', 'Evening news'),
            ('ppsp-proxy', 'p1', f'{PAGE}/api/v1/status', 'Living room')):
        with open(os.path.join(world.ROOT, 'packaging', 'systemd', f'{name}.conf'),
                  encoding='utf-8') as file:
            text = re.sub(r'^#(?=[a-z-]+=)', '', file.read(), flags=re.M)
        film = os.path.join(here.folder, 'film.ts')
        with open(film, 'wb') as file:
            file.write(random.Random(5).randbytes(100_000))
        text = text.replace('/srv/films/film.ts', film).replace('br0', 'lo')
        for secret, content in (('users', f'alice:ppsp:{64 * "a"}\n'),
                                ('access', '[tracker]\nswarms=open\n'),
                                ('trackers', '[tracker.example]\nuser=a\npassword=b\n')):
            with open(os.path.join(here.folder, secret), 'w', encoding='utf-8') as file:
                file.write(content)
            os.chmod(file.name, 0o600)
        text = re.sub(r'/run/credentials/[^/\n]+', here.folder, text)
        path = os.path.join(here.folder, f'{name}.conf')
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
        process = here.run(name, [program(name), '--config', path], at,
                           env={'STATE_DIRECTORY': os.path.join(here.folder, name)})
        here.wait_healthy(at, url, process)
        assert sign in here.get(at, url).decode(), here.get(at, url)
        assert process.stop() == 0, process.output()
        with open(path, 'a', encoding='utf-8') as file:
            file.write('colour=blue\n')
        one_clear_line(here.run(name, [program(name), '--config', path], at,
                                env={'STATE_DIRECTORY': os.path.join(here.folder, name)}), 'colour')


def links_with_bad_parameters_are_told(here):
    here.build_network()
    for link, word in (('ppsp:', ''), ('http://example.org/', 'ppsp'), ('ppsp:xyz', ''),
                       ('ppsp:' + 'ab' * 32 + '?ci=99', 'ci'),
                       ('ppsp:' + 'ab' * 32 + '?cs=0', 'cs'),
                       ('ppsp:' + 'ab' * 32 + '?cl=minus', 'cl'),
                       ('ppsp:' + 'ab' * 32 + '?tr=gopher%3A%2F%2Fx', 'tr'),
                       ('ppsp:' + 'ab' * 32 + '?ps=nonsense', 'ps')):
        one_clear_line(here.run('ppsp-peer', [program('ppsp-peer'), link], 'p1'), word)


def a_bad_link_does_not_reach_the_catalog(here):
    here.build_network()
    gateway = here.gateway(lists=False)
    for body in (b'', b'{', b'[]', b'{"link": 5}', b'{"link": "ppsp:zz"}', b'[' * 100_000,
                 json.dumps({'link': 'ppsp:' + 'ab' * 32 + '?cs=0'}).encode(),
                 json.dumps({'link': 'javascript:alert(1)'}).encode()):
        code, _, answer = here.status('gw', f'{PAGE}/api/v1/channels', 'POST', JSON, body)
        assert 400 <= code < 500, f'{code} for {body[:60]}: {answer[:200]}'
    # Who is not of our page may change nothing.
    link = json.dumps({'link': 'ppsp:' + 'ab' * 32}).encode()
    for headers in ({'Content-Type': 'text/plain'}, {'Content-Type': 'application/json'},
                    {**JSON, 'Origin': 'http://evil.example'},
                    {**JSON, 'Sec-Fetch-Site': 'cross-site'}, {**JSON, 'Host': 'evil.example'}):
        code, _, _ = here.status('gw', f'{PAGE}/api/v1/channels', 'POST', headers, link)
        assert 400 <= code < 500, f'{code} for {headers}'
    channels = json.loads(here.get('gw', f'{PAGE}/api/v1/channels'))['channels']
    assert channels == [], channels
    assert gateway.alive()




def fill(disk):
    """Writes until there is no room for a page."""
    ballast = os.open(os.path.join(disk, 'ballast'), os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(ballast, bytes(4096))
    except OSError:
        pass
    finally:
        os.close(ballast)


def a_full_disk_costs_no_running_channel(here):
    here.build_network()
    here.tracker()
    origin = here.origin('--channel', 'one=One')
    disk = here.mount_small_disk('gateway', 600)
    gateway = here.gateway()
    encoder = media.Encoder(here, 'one')
    url = here.wait_channels(1)[0]
    viewer = media.Viewer(here, url)
    viewer.wait_key()
    fill(disk)
    full = time.monotonic()
    code, _, answer = here.status('gw', f'{PAGE}/api/v1/channels', 'POST', JSON,
                                  json.dumps({'link': 'ppsp:' + 'ab' * 32, 'name': 'x'}).encode())
    figure('a channel pasted on a full disk', code, unit=answer[:100].decode('utf-8', 'replace'))
    time.sleep(3)
    viewer.wait_key_after(time.monotonic())
    assert viewer.longest_silence(full) < 1.0, viewer.longest_silence(full)
    assert gateway.alive() and origin.alive()
    again = media.Viewer(here, url, at='tv2')
    figure('a new request on a full disk plays', again.wait_key(seconds=5), 5)
    assert gateway.output().count('\n') < 40, gateway.output()
    assert len(encoder.sent) > 0
    # With no room from the beginning: a clear line, or service out of memory; never a crash.
    gateway.stop()
    second = here.gateway(wait=False)
    wait_until('a word about the full disk', PATIENCE, second.output)
    time.sleep(2)
    code = second.child.poll()
    assert code is None or code > 0, f'exit code {code}: {second.output()}'
    print('    ' + second.output().strip().splitlines()[0])


def a_full_disk_at_the_origin_signs_nothing_twice(here):
    here.build_network()
    disk = here.mount_small_disk('origin', 256)
    here.origin('--channel', 'one=One').stop()
    link = os.listdir(disk)
    fill(disk)
    origin = here.origin('--channel', 'one=One', wait=False)
    wait_until('a word about the full disk', PATIENCE, origin.output)
    time.sleep(2)
    code = origin.child.poll()
    lines = origin.output().strip().splitlines()
    assert code is None or code > 0, code
    print('    ' + lines[0])
    if code is not None:
        assert len(lines) == 1, lines
    # What was there before is still there.
    assert set(link) <= set(os.listdir(disk)), (link, os.listdir(disk))


def a_damaged_catalog_is_set_aside(here):
    here.build_network()
    state = os.path.join(here.folder, 'gateway')
    here.gateway(lists=False).stop()
    files = [os.path.join(folder, name) for folder, _, names in os.walk(state) for name in names]
    databases = [path for path in files if is_sqlite(path)]
    assert len(databases) == 1, files
    chance = random.Random(1)
    for damage in range(4):
        with open(databases[0], 'r+b') as file:
            size = os.path.getsize(databases[0])
            if damage == 0:
                file.write(b'this is no database at all' * 100)
            elif damage == 1:
                file.truncate(max(1, size // 3))
            elif damage == 2:
                file.truncate(0)
            else:
                file.seek(100)
                file.write(chance.randbytes(max(0, size - 100)))
        for rest in ('-wal', '-shm'):
            if os.path.exists(databases[0] + rest):
                os.unlink(databases[0] + rest)
        gateway = here.gateway(lists=False)
        if damage != 2:
            aside = [name for name in os.listdir(os.path.dirname(databases[0])) if '.damaged' in name]
            assert aside, f'damage {damage}: nothing set aside; {gateway.output()}'
            assert 'damaged' in gateway.output(), gateway.output()
            print('    ' + next(line for line in gateway.output().splitlines() if 'damaged' in line))
        assert gateway.stop() == 0
        with sqlite3.connect(databases[0]) as whole:
            assert whole.execute('pragma integrity_check').fetchone() == ('ok',)
        whole.close()


def is_sqlite(path):
    with open(path, 'rb') as file:
        return file.read(16) == b'SQLite format 3\0'


class Garbage(http.server.BaseHTTPRequestHandler):
    """A tracker, or a server of lists, that means no good; how is the first word of the path."""

    # Never a real body longer than this: the test itself has limits.
    def do_POST(self):
        self.rfile.read(int(self.headers.get('Content-Length', 0)))
        self.do_GET()

    def do_GET(self):
        how = self.path.strip('/').split('/')[0]
        self.server.asked[how] = self.server.asked.get(how, 0) + 1
        if how == 'slow':
            self.send_response(200)
            self.end_headers()
            try:
                for _ in range(300):
                    self.wfile.write(b' ')
                    time.sleep(0.1)
            except OSError:
                pass
            return
        body = {'empty': b'', 'garbage': random.Random(2).randbytes(5000), 'deep': b'[' * 200_000,
                'html': b'<html>404</html>', 'null': b'null',
                'lies': json.dumps({'PPSPTrackerProtocol': {
                    'version': 1, 'response_type': 0, 'error_code': 0, 'transaction_id': '12345',
                    'peer_group': {'peers': [{'peer_id': 'x', 'peer_addr': {
                        'ip_address': '127.0.0.1', 'port': 22}}] * 2000}}}).encode()}.get(how)
        self.send_response(200)
        self.send_header('Content-Type', 'application/ppsp-tracker+json')
        self.end_headers()
        try:
            if how == 'huge':
                for _ in range(2000):
                    self.wfile.write(b'{"a":"' + b'x' * 65530)
            else:
                self.wfile.write(body or b'')
        except OSError:
            pass

    def log_message(self, *_):
        pass


def serve(here, at, handler):
    server = here.serve(at, handler)
    server.asked = {}
    return server, f'http://{INTERNET[at]}:{server.server_port}'


def evil_trackers_do_no_harm(here):
    """Beside the good tracker stand seven bad ones: everything works, nothing grows."""
    here.build_network()
    here.tracker()
    server, base = serve(here, 'p2', Garbage)
    kinds = ('empty', 'garbage', 'deep', 'html', 'null', 'lies', 'huge', 'slow')
    evil = [word for kind in kinds for word in ('--tracker', f'{base}/{kind}/')]
    origin = here.origin('--channel', 'one=One', *evil)
    encoder = media.Encoder(here, 'one')
    gateway = here.gateway()
    url = here.wait_channels(1)[0]
    viewer = media.Viewer(here, url)
    figure('from the request to a picture among evil trackers', viewer.wait_key(seconds=15), 15)
    wait_until('each evil tracker was asked', PATIENCE, lambda: set(kinds) <= set(server.asked))
    time.sleep(4)
    assert viewer.longest_silence() < 1.5, viewer.longest_silence()
    for process in (origin, gateway):
        assert process.alive(), process.output()
        figure(f'most memory of the {process.name}', process.status('VmHWM') // 1024, 64, 'MB')
        assert process.status('VmHWM') < 64 * 1024
        assert process.output().count('\n') < 60, process.output()
    assert len(encoder.sent) > 0


def rubbish_is_no_transport_stream(here):
    here.build_network()
    origin = here.origin('--channel', 'one=One')
    rubbish = random.Random(3).randbytes(400_000).replace(b'\x47', b'\x46')
    for method in ('PUT', 'POST'):
        code, _, answer = here.status('origin', 'http://127.0.0.1:7575/ingest/one', method, data=rubbish)
        figure(f'{method} of rubbish', code, 'a 4xx', answer[:80].decode('utf-8', 'replace'))
        assert 400 <= code < 500 and answer.strip(), code
    # The channel is none the worse for it.
    encoder = media.Encoder(here, 'one')
    wait_until('a true encoder sends', PATIENCE, lambda: len(encoder.sent) > 400_000)
    assert origin.alive() and encoder.process.alive() and not encoder.relay.answers


def a_list_of_10000_lines(here):
    """Good ones, doubles and rubbish; the good are there, and the rubbish is told of once."""
    here.build_network()
    here.tracker()
    here.origin('--channel', 'real=The real one')
    real = here.links()[0]
    chance = random.Random(4)
    lines = ['#EXTM3U']
    for n in range(4000):
        swarm = '%064x' % chance.getrandbits(256)
        lines += [f'#EXTINF:-1 tvg-id="c{n}" tvg-chno="{n}" group-title="<b>&",Channel {n} "x" <i>',
                  f'ppsp:{swarm}']
    lines += [real] * 500 + ['ppsp:' + 'q' * 64] * 300 + ['http://example.org/x.ts'] * 200
    lines += [chance.randbytes(60).hex() for _ in range(500)] + ['#EXTINF:' + 'A' * 20_000, '\x00\x01']
    path = os.path.join(here.folder, 'list.m3u')
    with open(path, 'w', encoding='utf-8') as file:
        file.write('\n'.join(lines))
    start = time.monotonic()
    gateway = here.gateway('--channels', f'file://{path}')
    figure('from the start to an answer, with a list of 10,000 lines', time.monotonic() - start, 1.0)
    assert time.monotonic() - start < 1.0

    def counted():
        body = here.get('tv', 'http://192.168.77.1:8574/channels.m3u') or b''
        return body.count(b'/media/') >= 4001
    figure('until all channels are there', wait_until('4,001 channels', 20, counted), 20)
    body = here.get('tv', 'http://192.168.77.1:8574/channels.m3u')
    assert body.count(b'/media/') == 4001, body.count(b'/media/')
    time.sleep(1)
    told = gateway.output().count('\n')
    figure('lines in the log', told, 20, '')
    assert told < 20, gateway.output()
    figure('memory with 4,001 channels', gateway.status('VmRSS') // 1024, 48, 'MB')
    assert gateway.status('VmRSS') < 48 * 1024
    again = time.monotonic()
    assert gateway.stop() == 0
    gateway = here.gateway('--channels', f'file://{path}')
    figure('restart with the full catalog', time.monotonic() - again)
    assert (here.get('tv', 'http://192.168.77.1:8574/channels.m3u') or b'').count(b'/media/') == 4001


if __name__ == '__main__':
    raise SystemExit(world.main(__file__, [
        a_port_in_use_is_named,
        an_unwritable_state_folder_is_named,
        unknown_options_and_values_are_told,
        shipped_config_files_are_read,
        links_with_bad_parameters_are_told,
        a_bad_link_does_not_reach_the_catalog,
        a_full_disk_costs_no_running_channel,
        a_full_disk_at_the_origin_signs_nothing_twice,
        a_damaged_catalog_is_set_aside,
        evil_trackers_do_no_harm,
        rubbish_is_no_transport_stream,
        a_list_of_10000_lines]))

# SPDX-License-Identifier: Apache-2.0
"""A small world for real programs: network namespaces, processes, an encoder, viewers.

          Internet 11.22.33.0/24                              LAN 192.168.77.0/24
    tracker .2  origin .3  p1 .11 p2 .12 p3 .13  --  .1 gateway .1  --  tv .20, tv2 .21

Nothing of it touches the machine's own network. Names carry our process ID, so that runs beside
each other do not meet; all of it is gone when the program ends, however it ends."""

import atexit
import contextlib
import ctypes
import http.server
import os
import re
import shutil
import signal
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get('PPSP_BUILD', os.path.join(ROOT, 'build'))
PROGRAMS = {'ppsp-tracker': 'peer/trackerd', 'ppsp-origin': 'peer/origin', 'ppsp-peer': 'peer/cli',
            'ppsp-proxy': 'proxy'}
SKIPPED = 77
TRIES = 3  # for what fails on a machine that has no time for us; elsewhere a failure is one
PATIENCE = 60  # s, for what has no bound of its own: it only ends a test that has failed
INTERNET = {'gw': '11.22.33.1', 'tracker': '11.22.33.2', 'origin': '11.22.33.3',
            'p1': '11.22.33.11', 'p2': '11.22.33.12', 'p3': '11.22.33.13'}
LAN = {'gw': '192.168.77.1', 'tv': '192.168.77.20', 'tv2': '192.168.77.21'}
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)
# A proxy that the machine's environment names is not on the way to our namespaces.
urllib.request.install_opener(urllib.request.build_opener(urllib.request.ProxyHandler({})))


class Skip(Exception):
    """This machine cannot run the test; says why."""


def program(name):
    path = os.path.join(BUILD, PROGRAMS[name], name)
    if not os.access(path, os.X_OK):
        raise Skip(f'{name} is not built in {BUILD}')
    return path


def enter(namespace):
    """Puts the calling thread into a network namespace by name, or a file that was open before."""
    file = open(f'/run/netns/{namespace}', 'rb') if isinstance(namespace, str) else namespace
    try:
        if LIBC.setns(file.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), 'setns')
    finally:
        if isinstance(namespace, str):
            file.close()


def wait_until(what, seconds, condition, every=0.02):
    """Seconds it took until condition() was true; fails after that time."""
    start = time.monotonic()
    while True:
        result = condition()
        if result:
            return time.monotonic() - start
        if time.monotonic() - start > seconds:
            raise AssertionError(f'not within {seconds} s: {what}')
        time.sleep(every)


def figure(what, value, bound='', unit='s'):
    text = f'{value:.3f}' if isinstance(value, float) else str(value)
    print(f'    {what}: {text} {unit}' + (f' (bound {bound})' if bound != '' else ''), flush=True)


class Watch:
    """How late this machine wakes who asked to be woken: the bounds of the tests are promises for a
    machine that has time, and a process that does nothing else can tell whether this one had."""
    NAP, STARVED = 0.01, 0.05  # s; where a processor is free, nobody waits so long for it
    CODE = f"""
import time
worst = 0.0
while True:
    asked = time.monotonic()
    time.sleep({NAP})
    late = time.monotonic() - asked - {NAP}
    if late > worst:
        worst = late
        print(worst, flush=True)
"""

    def __enter__(self):
        self.child = subprocess.Popen([sys.executable, '-c', self.CODE], stdout=subprocess.PIPE,
                                      stdin=subprocess.DEVNULL, text=True)
        self.worst = 0.0
        return self

    def __exit__(self, *_):
        self.child.kill()
        lines = self.child.communicate()[0].split()
        self.worst = float(lines[-1]) if lines else 0.0


class Process:
    """A program in a namespace, its output in a file."""

    def __init__(self, world, name, words, at=None, stdin=None, stdout=None, env=None, user=None):
        self.world, self.name, self.words = world, name, words
        self.log = os.path.join(world.folder, f'{name}-{len(world.processes)}.log')
        self.namespace = world.names[at] if at else None

        def before():
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if self.namespace:
                enter(self.namespace)
            if user is not None:
                os.setgroups([])
                os.setgid(user)
                os.setuid(user)

        with open(self.log, 'wb') as log:
            self.started = time.monotonic()
            # A thread of its own would do, but the world starts few and wants the namespace.
            self.child = subprocess.Popen(  # pylint: disable=subprocess-popen-preexec-fn
                words, stdin=stdin or subprocess.DEVNULL, stdout=stdout or log, stderr=log,
                preexec_fn=before, env={**os.environ, 'G_MESSAGES_DEBUG': '', **(env or {})})
        world.processes.append(self)

    @property
    def pid(self):
        return self.child.pid

    def alive(self):
        return self.child.poll() is None

    def kill(self, number=signal.SIGKILL):
        if self.alive():
            self.child.send_signal(number)

    def stop(self, seconds=PATIENCE):
        """SIGTERM; the exit code. Who does not go in time is killed, and that is a failure."""
        self.kill(signal.SIGTERM)
        return self.wait(seconds)

    def wait(self, seconds=PATIENCE):
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            self.child.wait()
            raise AssertionError(f'{self.name} did not end within {seconds} s') from None

    def output(self):
        with open(self.log, encoding='utf-8', errors='replace') as file:
            return file.read()

    def status(self, field):
        """A number of /proc/PID/status, such as VmRSS in kB."""
        with open(f'/proc/{self.pid}/status', encoding='ascii') as file:
            return int(re.search(rf'^{field}:\s*(\d+)', file.read(), re.M).group(1))

    def cpu(self):
        """CPU seconds so far."""
        with open(f'/proc/{self.pid}/stat', encoding='ascii') as file:
            fields = file.read().rsplit(')', 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


class WebServer(http.server.ThreadingHTTPServer):
    """Asks nobody for its own name, which takes ten seconds where nobody answers."""

    def server_bind(self):
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address

    def handle_error(self, *_):
        pass  # who hangs up is no news

    def close(self):
        self.shutdown()
        self.server_close()


class World:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix='ppsp-e2e-')
        self.processes, self.names, self.mounts, self.closers = [], {}, [], []
        self.closed = False
        self.home = open('/proc/self/ns/net', 'rb')
        atexit.register(self.close)

    # --- the network

    def ip(self, *words, check=True):
        done = subprocess.run(['ip', *words], capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise Skip(f'ip {" ".join(words)}: {done.stderr.strip()}')
        return done.stdout

    def build_network(self):
        if os.geteuid() != 0:
            raise Skip('network namespaces need root')
        if not shutil.which('ip'):
            raise Skip('no ip command (package iproute2)')
        for name in ('inet', 'lan', *INTERNET, *LAN):
            if name in self.names:
                continue
            self.names[name] = f'ppsp{os.getpid()}-{name}'
            self.ip('netns', 'add', self.names[name])
            self.ip('-n', self.names[name], 'link', 'set', 'lo', 'up')
        for switch, hosts, link in (('inet', INTERNET, 'wan0'), ('lan', LAN, 'lan0')):
            inside = self.names[switch]
            self.ip('-n', inside, 'link', 'add', 'br0', 'type', 'bridge', 'mcast_snooping', '0',
                    'stp_state', '0')
            self.ip('-n', inside, 'link', 'set', 'br0', 'up')
            for host, address in hosts.items():
                self.ip('-n', inside, 'link', 'add', host, 'type', 'veth', 'peer', 'name', link,
                        'netns', self.names[host])
                self.ip('-n', inside, 'link', 'set', host, 'master', 'br0', 'up')
                self.ip('-n', self.names[host], 'addr', 'add', f'{address}/24', 'brd', '+', 'dev',
                        link)
                self.ip('-n', self.names[host], 'link', 'set', link, 'up')
        # The gateway's way out, as on any router; the LAN's hosts go by it.
        self.ip('-n', self.names['gw'], 'route', 'add', 'default', 'via', '11.22.33.254')
        for host in ('tv', 'tv2'):
            self.ip('-n', self.names[host], 'route', 'add', 'default', 'via', LAN['gw'])

    @contextlib.contextmanager
    def at(self, name):
        """This thread's new sockets are made in that namespace."""
        enter(self.names[name])
        try:
            yield
        finally:
            enter(self.home)

    # --- programs

    def run(self, name, words, at=None, **more):
        return Process(self, name, words, at, **more)

    def tracker(self, *more, port=7846):
        self.tracker_uri = f'http://{INTERNET["tracker"]}:{port}/'
        process = self.run('tracker', [program('ppsp-tracker'), '--listen',
                                       f'{INTERNET["tracker"]}:{port}', *more], 'tracker')
        self.wait_healthy('tracker', 'http://127.0.0.1:7847/healthz', process)
        return process

    def origin(self, *more, wait=True, state='origin'):
        words = [program('ppsp-origin'), '--http', '[::]:7575', '--peer',
                 f'{INTERNET["origin"]}:7576', '--state', os.path.join(self.folder, state), *more]
        if getattr(self, 'tracker_uri', None):
            words += ['--tracker', self.tracker_uri, '--allow-plain-tracker']
        process = self.run('origin', words, 'origin')
        if wait:
            self.wait_healthy('origin', 'http://127.0.0.1:7575/channels.m3u', process)
        return process

    def gateway(self, *more, wait=True, state='gateway', lists=True, env=None):
        words = [program('ppsp-proxy'), '--interface', 'lan0', '--peer', f'{INTERNET["gw"]}:7574',
                 '--state', os.path.join(self.folder, state), '--allow-plain-tracker', *more]
        if lists:
            words += ['--channels', f'http://{INTERNET["origin"]}:7575/channels.m3u']
        process = self.run('gateway', words, 'gw', env=env)
        if wait:
            self.wait_healthy('gw', 'http://127.0.0.1:8574/healthz', process)
        return process

    def peer(self, at, link, *more):
        return self.run('peer-' + at, [program('ppsp-peer'), link, '--peer',
                                       f'{INTERNET[at]}:7574', '--allow-plain-tracker', *more], at)

    def wait_healthy(self, at, url, process, seconds=PATIENCE):
        def answers():
            if not process.alive():
                raise AssertionError(f'{process.name} ended: {process.output()[-2000:]}')
            return self.get(at, url, timeout=2, quiet=True) is not None
        return wait_until(f'{process.name} answers at {url}', seconds, answers)

    def links(self):
        text = self.get('origin', 'http://127.0.0.1:7575/channels.m3u').decode()
        return [line.strip() for line in text.splitlines() if line.startswith('ppsp:')]

    def wait_channels(self, n, seconds=PATIENCE):
        """The /media/ addresses of the gateway's M3U, as the television sees them."""
        found = []

        def enough():
            body = self.get('tv', f'http://{LAN["gw"]}:8574/channels.m3u', quiet=True) or b''
            found[:] = re.findall(r'^http://\S+/media/\S+$', body.decode(), re.M)
            return len(found) >= n
        wait_until(f'{n} channels in the gateway', seconds, enough)
        return found

    # --- HTTP

    def serve(self, at, handler):
        """A web server of the test's own, until the world ends."""
        with self.at(at):
            server = WebServer(({**INTERNET, **LAN}[at], 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.closers.append(server.close)
        return server

    def get(self, at, url, timeout=PATIENCE, quiet=False, headers=None, limit=1 << 26):
        """The body; with quiet, None for any failure."""
        try:
            with self.at(at):
                request = urllib.request.Request(url, headers=headers or {})
                with urllib.request.urlopen(request, timeout=timeout) as answer:
                    return answer.read(limit)
        except (OSError, urllib.error.URLError, ValueError):
            if quiet:
                return None
            raise

    def status(self, at, url, method='GET', headers=None, data=None, timeout=PATIENCE):
        """(status code, headers, the first bytes of the body)"""
        request = urllib.request.Request(url, headers=headers or {}, method=method, data=data)
        try:
            with self.at(at), urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, answer.headers, answer.read(1 << 26)
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read(1 << 16)

    def metric(self, at, url, name):
        """The sum of that metric's samples, or None."""
        body = (self.get(at, url) or b'').decode()
        values = re.findall(rf'^{name}(?:\{{[^}}]*\}})? ([0-9.eE+-]+)', body, re.M)
        return sum(map(float, values)) if values else None

    # --- the end

    def mount_small_disk(self, name, kilobytes):
        path = os.path.join(self.folder, name)
        os.makedirs(path)
        subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={kilobytes}k', 'tmpfs', path], check=True)
        self.mounts.append(path)
        return path

    def close(self):
        if self.closed:
            return
        self.closed = True
        for close in self.closers:
            close()
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.child.wait()
        for path in self.mounts:
            subprocess.run(['umount', '-l', path], check=False)
        for name in self.names.values():
            self.ip('netns', 'del', name, check=False)
        self.home.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def logs(self, lines=25):
        for process in self.processes:
            text = process.output().rstrip().split('\n')[-lines:]
            if text != ['']:
                print(f'--- {process.name} ({process.child.poll()}): {" ".join(process.words)[:300]}')
                print('\n'.join(text))


# --- running tests

def remove_stale():
    """Namespaces of runs that were killed."""
    if os.geteuid() != 0 or not os.path.isdir('/run/netns'):
        return
    for name in os.listdir('/run/netns'):
        match = re.fullmatch(r'ppsp(\d+)-\w+', name)
        if match and not os.path.exists(f'/proc/{match.group(1)}'):
            subprocess.run(['ip', 'netns', 'del', name], check=False, capture_output=True)


def main(file, tests):
    """Runs the tests, a world for each; prints a line a case as g_test does."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    remove_stale()
    name = os.path.splitext(os.path.basename(file))[0].removeprefix('test_').replace('_', '-')
    chosen = [test for test in tests if not sys.argv[1:] or test.__name__ in sys.argv[1:]]
    failed = skipped = 0
    for test in chosen:
        path = f'/e2e/{name}/{test.__name__.replace("_", "-")}'
        for left in reversed(range(TRIES)):
            outcome, starved = run(test, path)
            if outcome != 'FAIL' or not starved or not left:
                break
            print('    this machine was starved, so that says nothing; once more', flush=True)
        print(f'{path}: {outcome}', flush=True)
        failed += outcome == 'FAIL'
        skipped += outcome == 'SKIP'
    if failed:
        return 1
    return SKIPPED if skipped == len(chosen) else 0


def run(test, path):
    """(OK, SKIP or FAIL; whether the machine had no time for us)"""
    print(f'# {path}', flush=True)
    start, outcome, world = time.monotonic(), 'OK', World()
    with Watch() as watch:
        try:
            test(world)
        except Skip as why:
            outcome = 'SKIP'
            print(f'    {why}', flush=True)
        except Exception:  # pylint: disable=broad-except
            outcome = 'FAIL'
            traceback.print_exc(file=sys.stdout)
            world.logs()
        finally:
            world.close()
    print(f'    took {time.monotonic() - start:.1f} s, was woken up to {watch.worst * 1000:.0f} ms late',
          flush=True)
    return outcome, watch.worst >= Watch.STARVED

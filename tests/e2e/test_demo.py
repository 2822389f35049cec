#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""packaging/demo itself, in a namespace of its own: it shows a picture, and leaves nothing."""

import os
import re
import signal
import time

import world
from world import PATIENCE, figure, wait_until

DEMO = os.path.join(world.ROOT, 'packaging', 'demo')


def start(here, *more, **options):
    for name in ('ppsp-tracker', 'ppsp-origin', 'ppsp-proxy'):
        world.program(name)
    here.scratch = os.path.join(here.folder, 'tmp')
    os.makedirs(here.scratch, exist_ok=True)
    return here.run('demo', [DEMO, '--programs', world.BUILD, *more], 'p1',
                    env={'TMPDIR': here.scratch}, **options)


def children(pid):
    found = []
    for task in os.listdir('/proc'):
        if task.isdigit():
            try:
                with open(f'/proc/{task}/stat', encoding='latin-1') as file:
                    if int(file.read().rsplit(')', 1)[1].split()[1]) == pid:
                        found.append(int(task))
            except OSError:
                pass
    return found


def gone(here, pids):
    wait_until('all children are gone', PATIENCE, lambda: not any(os.path.exists(f'/proc/{p}') for p in pids))
    assert os.listdir(here.scratch) == [], os.listdir(here.scratch)


def it_shows_a_picture_and_leaves_nothing_behind(here):
    here.build_network()
    for number in (signal.SIGINT, signal.SIGTERM):
        demo = start(here)
        took = wait_until('the demo is on the air', PATIENCE,
                          lambda: not demo.alive() or 'on the air' in demo.output())
        assert demo.alive(), 'the demo has ended by itself'
        figure('from the start to the picture', took, PATIENCE)
        said = demo.output()
        for word in (r'Page\s+http://127\.0\.0\.1:8574/', r'VLC\s+http://127\.0\.0\.1:8574/media/\S+\.ts',
                     r'Television\s+"[^"]+"', 'Ctrl-C'):
            assert re.search(word, said), said
        pids = children(demo.pid)
        assert len(pids) >= 4, pids
        time.sleep(1)
        asked = time.monotonic()
        demo.kill(number)
        assert demo.wait(15) == 0, demo.output()
        figure('from the signal to the end', time.monotonic() - asked, 5.0)
        assert time.monotonic() - asked < 5.0
        gone(here, pids)


def it_says_which_port_is_taken(here):
    here.build_network()
    busy = here.run('busy', ['python3', '-c', 'import socket,time\ns=socket.create_server('
                             '("127.0.0.1",7575))\nprint("up",flush=True)\ntime.sleep(600)'], 'p1')
    wait_until('the port is taken', PATIENCE, lambda: 'up' in busy.output())
    demo = start(here)
    assert demo.wait() == 1, demo.output()
    line = demo.output().strip().splitlines()[-1]
    print('    ' + line)
    assert '7575' in line and '--origin-port' in line and str(busy.pid) in line, line
    assert os.listdir(here.scratch) == []


def a_program_that_dies_ends_it_with_its_last_words(here):
    here.build_network()
    demo = start(here)
    wait_until('the demo is on the air', PATIENCE,
               lambda: not demo.alive() or 'on the air' in demo.output())
    assert demo.alive(), 'the demo has ended by itself'
    pids = children(demo.pid)
    victim = next(p for p in pids if 'ppsp-origin' in open(f'/proc/{p}/cmdline').read())
    os.kill(victim, signal.SIGKILL)
    assert demo.wait() == 1, demo.output()
    assert 'origin has ended by itself' in demo.output(), demo.output()
    gone(here, pids)


if __name__ == '__main__':
    raise SystemExit(world.main(__file__, [
        it_shows_a_picture_and_leaves_nothing_behind,
        it_says_which_port_is_taken,
        a_program_that_dies_ends_it_with_its_last_words]))

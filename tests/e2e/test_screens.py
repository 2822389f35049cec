#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many screens on one channel: who stalls or vanishes costs the others nothing, and the gateway keeps
no backlog for anybody."""

import json
import os
import subprocess
import time
import urllib.parse

import media
import world
from world import LAN, figure, wait_until

TOOL = os.path.join(world.BUILD, 'tests', 'bench', 'screens')
BITRATE = 12_000_000
STAY, STALL, RESET, PULLED = 10, 5, 3, 2
SECONDS = 20
# What a stalled viewer would have kept of it by then: 5 backlogs of 30 MB. Half of one is allowed.
GROWTH_KB = BITRATE / 8 * SECONDS / 2 / 1024


def tool(here, name, at, *words):
    if not os.access(TOOL, os.X_OK):
        raise world.Skip(f'{TOOL} is not built')
    return here.run(name, [TOOL, *map(str, words)], at, stdout=subprocess.PIPE)


def view(here, name, at, film, path, viewers, seconds, stall=0, reset=0):
    return tool(here, name, at, 'view', film, 8574, path, viewers, seconds, stall, reset, LAN['gw'])


def started(process):
    line = process.child.stdout.readline()
    assert line == b'started\n', f'{process.name}: {line} {process.output()}'


def half_of_them_stall_or_vanish(here):
    # Where the build is one that checks addresses, what it keeps of freed memory is no backlog.
    os.environ['ASAN_OPTIONS'] = os.environ.get('ASAN_OPTIONS', '') + ':quarantine_size_mb=1'
    here.build_network()
    here.tracker()
    here.origin('--channel', 'many=Many screens')
    gateway = here.gateway()
    film = os.path.join(here.folder, 'film.ts')
    media.make_film(film, 15, int(BITRATE * 0.9))
    path = urllib.parse.urlsplit(here.wait_channels(1)[0]).path
    tool(here, 'source', 'origin', 'source', film, '127.0.0.1', 7575, '/ingest/many', BITRATE)

    # The ring is full before its size counts for anything: it is of 12 MiB.
    warm = view(here, 'warm', 'tv', film, path, STAY, 12)
    started(warm)
    assert warm.wait(60) == 0, warm.output()
    pulled = view(here, 'pulled', 'tv2', film, path, PULLED, 60)
    started(pulled)
    crowd = view(here, 'crowd', 'tv', film, path, STAY + STALL + RESET, SECONDS, STALL, RESET)
    started(crowd)
    # A cable that is pulled says nothing to anybody.
    here.ip('-n', here.names['lan'], 'link', 'set', 'tv2', 'down')
    time.sleep(1)
    before = gateway.status('VmRSS')
    told = json.loads(crowd.child.stdout.read())
    after = gateway.status('VmRSS')
    assert crowd.wait() == 0, crowd.output()
    figure('what those who stayed got', told, '', '')
    figure('the gateway grew while the others took nothing', after - before, int(GROWTH_KB), 'kB')
    assert told['ended'] == 0, 'somebody who stayed was let go'
    assert told['gaps'] == 0, 'somebody who stayed has a gap'
    # How fast and how evenly is for the machine to say, and for tests/bench/screens.py.
    assert 2 * STAY * told['least'] >= told['bytes'], 'somebody who stayed got less than half of the others'
    assert after - before < GROWTH_KB, 'a backlog is kept for who does not read'

    def viewers():
        status = json.loads(here.get('gw', 'http://127.0.0.1:8574/api/v1/status'))
        return len(status['viewers'])
    # All have gone but those whose cable was pulled, who are let go later.
    wait_until('those who were reset, and those who went, are forgotten', 60,
               lambda: viewers() <= PULLED, every=0.2)


if __name__ == '__main__':
    raise SystemExit(world.main(__file__, [half_of_them_stall_or_vanish]))

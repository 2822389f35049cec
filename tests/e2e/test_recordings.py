#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A programme that the household keeps: recorded over a kill -9, found and played by the television, and
shared with who has the link."""

import json
import os
import re
import signal

import control_point
import media
import ts
import world
from world import LAN, PATIENCE, figure, wait_until

API = f'http://{LAN["gw"]}:8574/api/v1/recordings'
OURS = {'X-PPSP': '1', 'Content-Type': 'application/json'}
PART = 2 << 20  # bytes: some seconds of the channel


def ask(here, method, address='', body=None):
    """(status code, answer)"""
    data = json.dumps(body).encode() if body is not None else b'' if method in ('POST', 'PUT') else None
    code, _, text = here.status('tv', API + address, method=method, headers=OURS, data=data)
    return code, json.loads(text) if text else None


def is_whole(here, name, data):
    """One part of a recording decodes, but for the picture that its end has cut."""
    path = os.path.join(here.folder, name)
    with open(path, 'wb') as file:
        file.write(ts.whole_units(data))
    errors = ts.decode_errors(path)
    assert errors == '', f'{name}: ffmpeg: {errors[:2000]}'


def kept_over_a_kill(here):
    here.build_network()
    here.tracker()
    here.origin('--channel', 'one=One')
    folder = os.path.join(here.folder, 'recordings')
    gateway = here.gateway('--recordings', folder)
    here.wait_channels(1)
    encoder = media.Encoder(here, 'one').sends()
    code, made = ask(here, 'POST', body={'channel': 'one', 'name': 'News'})
    assert code == 201 and made['state'] == 'recording', (code, made)
    one = '/' + made['id']
    path = os.path.join(folder, made['id'] + '.ts')

    def grown(n):
        return lambda: os.path.exists(path) and os.path.getsize(path) >= n
    wait_until('some seconds are recorded', PATIENCE, grown(PART), every=0.1)
    gateway.kill(signal.SIGKILL)
    gateway.wait()
    with open(path, 'rb') as file:
        first = file.read()
    first = first[:len(first) // ts.SIZE * ts.SIZE]
    here.gateway('--recordings', folder)
    wait_until('it goes on', PATIENCE, grown(len(first) + PART), every=0.1)
    assert ask(here, 'POST', one + '/stop')[0] == 204
    wait_until('it is done', PATIENCE, lambda: ask(here, 'GET', one)[1]['state'] == 'done', every=0.1)
    with open(path, 'rb') as file:
        whole = file.read()
    told = ask(here, 'GET', one)[1]
    assert told['bytes'] == len(whole) and told['error'] is None, told
    jumps, marks = ts.counter_jumps(whole)
    figure('bytes recorded, before the kill and after it', (len(first), len(whole) - len(first)), '', '')
    assert whole.startswith(first) and jumps == [] and marks >= 3, (jumps, marks)
    sent = bytes(encoder.sent)
    ts.place_in(sent, first)
    is_whole(here, 'first.ts', first)
    is_whole(here, 'second.ts', whole[len(first):])

    def browsed():
        with here.at('tv'):
            elements, _, _ = control_point.find('lan0', seconds=PATIENCE).browse('recordings:')
        return elements[0].findtext(f'{control_point.DC}title'), elements[0].find(f'{control_point.DIDL}res')
    wait_until('its duration is known', PATIENCE, lambda: browsed()[1].get('duration'), every=0.2)
    title, res = browsed()
    print(f'    {title}: {res.attrib}')
    assert title == told['name'] and title.startswith('News ')
    assert int(res.get('size')) == len(whole) and 'DLNA.ORG_OP=11' in res.get('protocolInfo')
    assert res.get('resolution') == '640x360'
    assert here.get('tv', res.text) == whole
    middle = len(whole) // 2
    code, _, part = here.status('tv', res.text, headers={'Range': f'bytes={middle}-{middle + 999}'})
    assert code == 206 and part == whole[middle:middle + 1000], code
    code, headers, rest = here.status('tv', res.text, headers={'TimeSeekRange.dlna.org': 'npt=3-'})
    place = re.search(r'bytes=(\d+)-', headers['TimeSeekRange.dlna.org'])
    assert code == 200 and int(place.group(1)) > 0 and rest == whole[int(place.group(1)):]

    assert ask(here, 'PUT', one + '/share')[0] == 204
    wait_until('it has a link', PATIENCE, lambda: ask(here, 'GET', one)[1].get('link'), every=0.1)
    copy = os.path.join(here.folder, 'copy.ts')
    peer = here.peer('p1', ask(here, 'GET', one)[1]['link'], '--output', copy)
    assert peer.wait() == 0
    with open(copy, 'rb') as file:
        assert file.read() == whole
    assert ask(here, 'GET', one)[1]['uploaded'] >= len(whole)

    assert here.status('tv', API + one, method='DELETE')[0] == 403  # not from our page
    assert ask(here, 'DELETE', one)[0] == 204
    wait_until('the file is gone', PATIENCE, lambda: not os.path.exists(path), every=0.1)
    assert ask(here, 'GET')[1] == {'used': 0, 'quota': 0, 'recordings': []}


if __name__ == '__main__':
    raise SystemExit(world.main(__file__, [kept_over_a_kill]))

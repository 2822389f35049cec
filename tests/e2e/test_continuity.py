#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Streams that break and go on, and what a decoder makes of them on one connection."""

import os
import signal
import subprocess
import sys
import time

import media
import ts
import world
from test_faults import on_air
from test_home import Notices, found
from world import PATIENCE, figure, wait_until


def cut_the_line(here, seconds):
    """The Internet of the gateway alone goes away, as with a cable."""
    for state in 'down', 'up':
        here.ip('-n', here.names['inet'], 'link', 'set', 'gw', state)
        if state == 'down':
            time.sleep(seconds)


def write(here, name, data):
    path = os.path.join(here.folder, name)
    with open(path, 'wb') as file:
        file.write(data)
    return path


def frames(path):
    """[PTS in seconds] of the pictures that a decoder shows, damaged or not, to the end."""
    done = subprocess.run(['ffprobe', '-v', 'quiet', '-select_streams', 'v:0', '-show_entries',
                           'frame=pts_time', '-of', 'csv=p=0', path],
                          capture_output=True, text=True, timeout=300, check=True)
    return [float(line.rstrip(',')) for line in done.stdout.split() if line[0].isdigit()]


def judge(here, viewer, breaks, name):
    """Whole packets only, no counter that jumps without a mark, and a picture behind each break, in
    one decoder that has seen it all."""
    got = viewer.stop()
    assert len(got) >= 100 * ts.SIZE and viewer.error is None, (len(got), viewer.error)
    whole = got[:len(got) // ts.SIZE * ts.SIZE]
    jumps, marks = ts.counter_jumps(whole)
    assert not jumps, f'{len(jumps)} counters jump without a mark, first at {jumps[0]}'
    figure(f'{name}: marked discontinuities', marks, unit='')
    assert marks >= 1, 'the break left no mark'
    path = write(here, name + '.ts', whole)
    shown = frames(path)
    # What a decoder shows of the whole is what it shows of the pieces, but for the pictures that
    # the break has torn: it goes on, it does not wait for a clock that never comes.
    pieces = 0
    places = [0, *(next(at for moment, at in viewer.keys if moment > back) for back in breaks),
              len(whole)]
    for number, (begin, end) in enumerate(zip(places, places[1:])):
        head = b'' if begin == 0 else ts.tables_of(whole[:begin])
        pieces += len(frames(write(here, f'{name}-{number}.ts', head + whole[begin:end])))
    figure(f'{name}: pictures shown of the whole, and of its pieces', f'{len(shown)}, {pieces}',
           unit='')
    assert len(shown) >= pieces - 2 * len(breaks), (len(shown), pieces)


def a_line_that_was_cut(here):
    """Longer than any peer waits: what nobody has any more is left out."""
    *_, viewer = on_air(here)
    time.sleep(2)
    cut_the_line(here, 9)
    back = time.monotonic()
    figure('from the line\'s return to a picture, same connection', viewer.wait_key_after(back))
    time.sleep(4)
    judge(here, viewer, [back], 'line')


def an_origin_that_was_killed(here):
    _, origin, _, _, viewer = on_air(here, keep=True)
    time.sleep(2)
    origin.kill()
    origin.wait()
    time.sleep(2)
    here.origin('--channel', 'air=On air')
    back = time.monotonic()
    viewer.wait_key_after(back)
    time.sleep(4)
    judge(here, viewer, [back], 'origin')


def an_encoder_with_another_picture(here):
    """Its clock begins anew, and the picture has another size."""
    _, _, _, encoder, viewer = on_air(here)
    time.sleep(2)
    breaks = []
    for size in '320x180', '704x576':
        encoder.process.kill()
        encoder.process.wait()
        time.sleep(1)
        encoder.words = [*media.encoder_words(size=size), '-method', 'PUT',
                         encoder.relay.url('air')]
        sent = len(encoder.sent)
        encoder.start()
        wait_until('the encoder sends again', PATIENCE, lambda n=sent: len(encoder.sent) > n)
        breaks.append(time.monotonic())
        viewer.wait_key_after(breaks[-1])
        time.sleep(4)
    judge(here, viewer, breaks, 'size')


def an_encoder_with_other_tables(here):
    """Another programme: other PIDs, another codec. A player that knows the new tables shows it."""
    _, _, _, encoder, viewer = on_air(here)
    time.sleep(2)
    encoder.process.kill()
    encoder.process.wait()
    time.sleep(1)
    words = media.encoder_words()
    at = words.index('-c:v')
    encoder.words = [*words[:at], '-c:v', 'mpeg2video', '-g', '12', '-b:v', '3M', '-c:a', 'mp2',
                     '-b:a', '128k', '-f', 'mpegts', '-mpegts_start_pid', '0x300',
                     '-mpegts_pmt_start_pid', '0x1200', '-mpegts_service_id', '7',
                     '-flush_packets', '1', '-method', 'PUT', encoder.relay.url('air')]
    sent = len(encoder.sent)
    encoder.start()
    wait_until('the encoder sends again', PATIENCE, lambda: len(encoder.sent) > sent)
    before = len(viewer.data)
    viewer.wait('bytes of the new encoder', PATIENCE, lambda: len(viewer.data) > before + 2_000_000)
    got = viewer.stop()
    whole = got[:len(got) // ts.SIZE * ts.SIZE]
    jumps, marks = ts.counter_jumps(whole)
    assert not jumps and marks >= 1, (jumps[:1], marks)
    # From the new tables on, as a player does that reads them.
    index = next(i for i, p in enumerate(ts.packets(whole)) if ts.pid(p) == 0x1200)
    path = write(here, 'tables.ts', whole[(index - 1) * ts.SIZE:])
    shown = frames(path)
    figure('pictures of the new programme', len(shown), unit='')
    assert len(shown) >= 50, len(shown)
    # A new viewer is given the new tables.
    late = media.Viewer(here, viewer.url)
    late.wait('a start', PATIENCE, lambda: len(late.data) > 500_000)
    assert len(frames(write(here, 'late.ts', late.stop()))) >= 5


def a_gateway_that_has_slept(here):
    """Its machine was suspended: sets and the tracker are told that it is back, and who watched goes on."""
    missed = os.path.join(here.folder, 'missed')
    with open(missed, 'wb') as file:
        file.write(bytes(8))
    *_, gateway, _, viewer = on_air(here, env={
        'LD_PRELOAD': os.path.join(world.BUILD, 'tests/lib/libasleep.so'), 'PPSP_ASLEEP': missed,
        'ASAN_OPTIONS': 'verify_asan_link_order=0'})
    notices = Notices(here)
    gateway.kill(signal.SIGSTOP)
    start = time.monotonic()
    time.sleep(7)
    with open(missed, 'r+b') as file:
        file.write(int((time.monotonic() - start) * 1e6).to_bytes(8, sys.byteorder))
    notices.forget()
    gateway.kill(signal.SIGCONT)
    back = time.monotonic()
    # What a start announces is repeated for some seconds, but its goodbye is not.
    figure('announced anew', notices.heard('ssdp:byebye') + notices.heard('ssdp:alive'))
    figure('found again', found(here, f'PPSP on {os.uname().nodename}')[0])
    figure('from its return to a picture, same connection', viewer.wait_key_after(back))
    # One whom it asks for peers all the time hears no report before a minute is over.
    figure('told to the tracker', wait_until('a report', 30, lambda: here.metric(
        'tracker', 'http://127.0.0.1:7847/metrics', r'ppsp_tracker_requests_total{type="STAT_REPORT"}')), 30)
    time.sleep(4)
    judge(here, viewer, [back], 'asleep')


if __name__ == '__main__':
    raise SystemExit(world.main(__file__, [
        a_line_that_was_cut,
        an_origin_that_was_killed,
        an_encoder_with_another_picture,
        an_encoder_with_other_tables,
        a_gateway_that_has_slept]))

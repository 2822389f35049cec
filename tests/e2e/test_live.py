#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A live channel from the encoder to the television, through the whole chain."""

import os
import re
import shutil
import time

import control_point
import media
import ts
import world
from world import LAN, PATIENCE, figure, wait_until

SECONDS = 60


# A control point that is not ours: Debian's libnet-upnp-perl discovers, browses, and names what
# it found; curl fetches that.
FOREIGN = r'''
use Net::UPnP::ControlPoint;
use Net::UPnP::AV::MediaServer;
for my $device (Net::UPnP::ControlPoint->new()->search(st => 'upnp:rootdevice', mx => 1)) {
  next unless $device->getdevicetype() eq 'urn:schemas-upnp-org:device:MediaServer:1';
  my $server = Net::UPnP::AV::MediaServer->new();
  $server->setdevice($device);
  print 'server ', $device->getfriendlyname(), "\n";
  for my $folder ($server->getcontentlist(ObjectID => 0)) {
    next unless $folder->iscontainer();
    for my $content ($server->getcontentlist(ObjectID => $folder->getid())) {
      print 'item ', $content->geturl(), ' ', $content->gettitle(), "\n" if $content->isitem();
    }
  }
}
'''


def chain(here, *channels, origin=(), gateway=()):
    here.build_network()
    here.tracker()
    options = [word for channel in channels for word in ('--channel', channel)]
    here.origin(*options, *origin)
    # Three more peers of the Internet stay in the first channel's swarm.
    for at in ('p1', 'p2', 'p3'):
        here.peer(at, here.links()[0], '--output', '/dev/null')
    return here.gateway(*gateway)


def judge(here, viewer, sent, seconds):
    """All that is asked of a stream that somebody has watched."""
    got = viewer.stop()
    at, front, nulled = ts.place_in(bytes(sent), got)
    figure('bytes, contiguous in what the encoder sent', len(got), unit=f'at {at}, {front} table'
           f' packets in front, {nulled} null packets')
    first = next(iter(ts.packets(got)))
    assert ts.pid(first) == 0, 'a stream begins with the PAT'
    parser = ts.Parser()
    parser.feed(got)
    assert parser.keys, 'no key frame'
    before = [p for p in ts.packets(got[:parser.keys[0]]) if ts.pid(p) == parser.video]
    assert not before, f'{len(before)} video packets before the first key frame'
    path = os.path.join(here.folder, 'got.ts')
    with open(path, 'wb') as file:
        file.write(ts.whole_units(got))
    errors = ts.decode_errors(path)
    assert errors == '', f'ffmpeg: {errors[:2000]}'
    steps = ts.gaps(path)
    for kind, bound in (('video', 1.5 / media.RATE), ('audio', 1.5 * 1024 / 48000)):
        length, n, step = steps[kind]
        figure(f'{kind}: {n} frames over {length:.1f} s, greatest step of PTS', step, f'{bound:.3f}')
        assert step <= bound, f'{kind}: a gap of {step} s'
        assert length >= seconds - 3, f'{kind}: only {length} s'


def control_points_of_others_find_and_play_the_channel(here):
    """gssdp-discover finds it; Debian's Perl control point browses it; curl plays its address."""
    for tool, package in (('gssdp-discover', 'gupnp-tools'), ('perl', 'perl'), ('curl', 'curl')):
        if not shutil.which(tool):
            raise world.Skip(f'no {tool} (package {package})')
    chain(here, 'one=News at 7', gateway=('--name', 'Kitchen'))
    media.Encoder(here, 'one')
    here.wait_channels(1)

    def finds(words, expected):
        """What it says when it has found us; its own patience is short."""
        said = []

        def once():
            process = here.run(words[0], words, 'tv')
            assert process.wait() == 0, process.output()
            said[:] = [process.output()]
            return re.search(expected, said[0], re.M)
        wait_until(f'{words[0]} finds us', PATIENCE, once)
        return said[0]
    finds(['gssdp-discover', '-i', 'lan0', '-n', '3', '-t', 'urn:schemas-upnp-org:device:MediaServer:1'],
          r'^\s*Location:\s*http://192\.168\.77\.1:')
    said = finds(['perl', '-e', FOREIGN], r'^server Kitchen\nitem ')
    print('    ' + said.strip().replace('\n', '\n    '))
    url, title = re.search(r'^item (\S+) (.*)$', said, re.M).groups()
    assert title == 'News at 7', title
    path = os.path.join(here.folder, 'curl.ts')
    curl = here.run('curl', ['curl', '-s', '-o', path, url], 'tv2')
    wait_until('six seconds of it', PATIENCE,
               lambda: os.path.exists(path) and os.path.getsize(path) > 3_000_000)
    curl.kill()
    curl.wait()
    with open(path, 'rb') as file:
        data = ts.whole_units(file.read())
    with open(path, 'wb') as file:
        file.write(data)
    assert ts.decode_errors(path) == '' and ts.gaps(path)['video'][0] > 4, len(data)


def a_minute_is_whole_decodes_and_has_no_gap(here):
    """Discovered and browsed by a strict control point; 60 s compared byte for byte."""
    chain(here, 'one=Channel One & <only>', gateway=('--name', 'The "living" room'))
    encoder = media.Encoder(here, 'one')
    with here.at('tv'):
        server = control_point.find('lan0', seconds=PATIENCE)
        assert server is not None, 'no MediaServer on the LAN'
        figure('found by SSDP', server.name, unit=server.location)
        assert server.name == 'The "living" room', server.name
        items = []

        def listed():
            items[:] = server.items()
            return items
        wait_until('an item in the directory', PATIENCE, listed, every=0.2)
        sources = server.call(control_point.CONNECTIONS, 'GetProtocolInfo')['Source'].split(',')
    item = items[0]
    figure('item', item['title'], unit=item['protocol'])
    assert item['title'] == 'Channel One & <only>', item
    assert item['class'].startswith('object.item.videoItem'), item
    assert item['url'].startswith(f'http://{LAN["gw"]}:'), item
    kind = item['protocol'].split(':')
    assert kind[0] == 'http-get' and kind[2] in ('video/mpeg', 'video/mp2t',
                                                 'video/vnd.dlna.mpeg-tts'), item['protocol']
    assert any(source.split(':')[2] == kind[2] for source in sources), sources
    viewer = media.Viewer(here, item['url'])
    figure('from the request to a key frame', viewer.wait_key(seconds=5), 5)
    assert viewer.headers['Content-Type'] == kind[2], viewer.headers
    viewer.wait_key(SECONDS, SECONDS + PATIENCE)  # there is one a second
    judge(here, viewer, encoder.sent, SECONDS)
    assert here.metric('gw', 'http://127.0.0.1:8574/metrics', r'\w+') is not None, 'no metrics'


def tables_only_between_key_frames_do_no_harm(here):
    chain(here, 'late=Late tables')
    encoder = media.LateTables(here, 'late')
    url = here.wait_channels(1)[0]
    viewer = media.Viewer(here, url)
    figure('from the request to a key frame', viewer.wait_key(seconds=10), 10.0)
    viewer.wait_key(15)
    sent = bytes(encoder.sent)
    parser = ts.Parser()
    parser.feed(sent)
    for key in parser.keys[1:]:
        near = {ts.pid(p) for p in ts.packets(sent[key - 10 * ts.SIZE:key])}
        assert not near & {0, parser.pmt}, 'the test itself: tables before a key frame'
    judge(here, viewer, encoder.sent, 15)


def one_viewer_goes_and_the_other_sees_nothing_of_it(here):
    chain(here, 'two=Two viewers')
    encoder = media.Encoder(here, 'two')
    url = here.wait_channels(1)[0]
    stays = media.Viewer(here, url)
    stays.wait_key()
    goes = media.Viewer(here, url, at='tv2')
    goes.wait_key()
    time.sleep(4)
    # One leaves politely, one is cut off, one never reads.
    goes.stop()
    left = time.monotonic()
    cut = here.run('curl', ['curl', '-s', '-o', '/dev/null', url], 'tv2')
    time.sleep(2)
    cut.kill()
    idle = here.run('idle', ['curl', '-s', '--limit-rate', '1k', '-o', '/dev/null', url], 'tv2')
    time.sleep(8)
    silence = stays.longest_silence(left - 0.5)
    figure('longest silence of who stayed', silence, 1.0)
    assert silence < 1.0
    idle.kill()
    stays.wait_key(12)
    judge(here, stays, encoder.sent, 12)
    ts.place_in(bytes(encoder.sent), bytes(goes.data))


def a_second_encoder_is_refused(here):
    here.build_network()
    here.tracker()
    here.origin('--channel', 'busy')
    encoder = media.Encoder(here, 'busy')
    wait_until('the first encoder sends', PATIENCE, lambda: len(encoder.sent) > 400_000)
    second = media.Encoder(here, 'busy')
    wait_until('an answer to the second', PATIENCE, lambda: second.relay.answers)
    figure('the second encoder', second.relay.answers[0], 'a 409', '')
    assert ' 409' in second.relay.answers[0], second.relay.answers
    before = len(encoder.sent)
    wait_until('the first goes on', PATIENCE, lambda: len(encoder.sent) > before + 900_000)
    assert encoder.process.alive() and not encoder.relay.answers, 'the first suffered'
    # From elsewhere nobody pushes without the channel's token.
    code, _, _ = here.status('p1', f'http://{world.INTERNET["origin"]}:7575/ingest/busy', 'PUT',
                             data=b'\x47' + bytes(187))
    figure('an encoder from elsewhere without a token', code, 'a 401 or 403', '')
    assert code in (401, 403)
    code, _, _ = here.status('origin', 'http://127.0.0.1:7575/ingest/nosuch', 'PUT', data=b'x')
    assert code == 404, code


if __name__ == '__main__':
    raise SystemExit(world.main(__file__, [
        control_points_of_others_find_and_play_the_channel,
        a_minute_is_whole_decodes_and_has_no_gap,
        tables_only_between_key_frames_do_no_harm,
        one_viewer_goes_and_the_other_sees_nothing_of_it,
        a_second_encoder_is_refused]))

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Real programs with other algorithms than the defaults: a file and a live channel of each set, from
the origin to a plain peer, and what Sign All needs of the operator."""

import os
import random
import re
import urllib.parse

import media
import ts
import world
from world import PATIENCE, wait_until

NUMBERS = {'sha1': '0', 'sha224': '1', 'sha384': '3', 'sha512': '4',
           'bins32': '0', 'bytes64': '1', 'chunks32': '2', 'bins64': '3', 'chunks64': '4'}


def parameters(link):
    return dict(urllib.parse.parse_qsl(link.partition('?')[2]))


def check_link(link, live, algorithms):
    """The link says what was asked for, by the RFC's numbers; its defaults are left out."""
    said = parameters(link)
    defaults = {'hf': '2', 'ca': '2'}
    assert said.get('hf', defaults['hf']) == NUMBERS[algorithms['hash']], link
    assert said.get('ca', defaults['ca']) == NUMBERS[algorithms['addressing']], link
    swarm_id = re.match(r'ppsp:([0-9a-f]+)', link).group(1)
    if live:
        assert int(swarm_id[:2], 16) == {'ecdsap384sha384': 14, 'ecdsap256sha256': 13,
                                         'rsasha256': 8, 'rsasha1': 5}[algorithms['signature']]


def carry(here, options=(), **algorithms):
    """A file is the same at a plain peer, and a live stream is a part of what was sent."""
    here.build_network()
    here.tracker()
    film = random.Random(7574).randbytes(2_345_678)
    path, copy, stream = (os.path.join(here.folder, name)
                          for name in ('film', 'copy', 'stream.ts'))
    with open(path, 'wb') as file:
        file.write(film)
    words = [word for name, value in algorithms.items() for word in (f'--{name}', value)]
    origin = here.origin('--file', f'film=A film,{path}', '--channel', 'one', *words, *options)
    wait_until('both have links', PATIENCE, lambda: len(here.links()) == 2, every=0.1)
    links = sorted(here.links(), key=lambda link: 'ci=' in link)
    for link, live in zip(links, (False, True)):
        check_link(link, live, algorithms)
    peer = here.peer('p1', links[0], '--output', copy)
    assert peer.wait() == 0, peer.output()
    with open(copy, 'rb') as file:
        assert file.read() == film, 'the file is another one'

    encoder = media.Encoder(here, 'one', bitrate=1_500_000)
    viewer = here.peer('p2', links[1], '--output', stream)
    wait_until('a megabyte of the stream is here', PATIENCE,
               lambda: os.path.exists(stream) and os.path.getsize(stream) > 1_000_000)
    viewer.stop()
    with open(stream, 'rb') as file:
        ts.place_in(bytes(encoder.sent), file.read())
    # The channel keeps what it was made with, whatever is asked for later.
    origin.stop()
    here.origin('--channel', 'one', *options)
    again = [link for link in here.links() if 'ci=' in link]
    assert again == links[1:], (again, links)


def sha384_and_p384_in_bins(here):
    carry(here, hash='sha384', signature='ecdsap384sha384', addressing='bins64')


def sha512_and_rsasha1_in_bytes(here):
    carry(here, hash='sha512', signature='rsasha1', addressing='bytes64',
          **{'file-chunk-size': '1000'})


def sha1_and_rsasha256_in_bins_of_32_bits(here):
    carry(here, hash='sha1', signature='rsasha256', addressing='bins32')


def chunks_of_variable_size(here):
    carry(here, hash='sha224', signature='ecdsap256sha256', addressing='chunks32',
          **{'chunk-size': 'variable'})


def sign_all_needs_the_operators_word(here):
    """RFC 7574, 6.1, leaves it to benign networks: who has not said that this is one is told so."""
    here.build_network()
    here.tracker()
    words = ('--channel', 'one', '--integrity', 'sign-all')
    refused = here.origin(*words, wait=False, state='refused')
    assert refused.wait() != 0 and '--benign-network' in refused.output(), refused.output()
    here.origin(*words, '--benign-network')
    assert not os.path.exists(os.path.join(here.folder, 'refused', 'one.key'))
    link, stream = here.links()[0], os.path.join(here.folder, 'stream.ts')
    assert parameters(link)['ci'] == '2' and 'ns' not in parameters(link), link
    encoder = media.Encoder(here, 'one', bitrate=1_500_000)
    peer = here.peer('p1', link, '--output', '/dev/null')
    assert peer.wait() != 0 and '--benign-network' in peer.output(), peer.output()
    viewer = here.peer('p2', link, '--benign-network', '--output', stream)
    wait_until('a megabyte of the stream is here', PATIENCE,
               lambda: os.path.exists(stream) and os.path.getsize(stream) > 1_000_000)
    viewer.stop()
    with open(stream, 'rb') as file:
        ts.place_in(bytes(encoder.sent), file.read())


if __name__ == '__main__':
    raise SystemExit(world.main(__file__, [
        sha384_and_p384_in_bins,
        sha512_and_rsasha1_in_bytes,
        sha1_and_rsasha256_in_bins_of_32_bits,
        chunks_of_variable_size,
        sign_all_needs_the_operators_word]))

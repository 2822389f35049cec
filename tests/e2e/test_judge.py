#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The judge of the end-to-end tests, judged: it must see each fault that it is there to see."""

import os
import shutil
import sys
import tempfile
import unittest

import media
import ts


def film():
    with tempfile.TemporaryDirectory(prefix='judge-') as folder:
        path = os.path.join(folder, 'film.ts')
        media.make_film(path, seconds=3, bitrate=600_000)
        with open(path, 'rb') as file:
            return file.read()


def ask(question, data):
    with tempfile.NamedTemporaryFile(suffix='.ts') as file:
        file.write(data)
        file.flush()
        return question(file.name)


class Judge(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sent = film()
        cls.parser = ts.Parser()
        cls.parser.feed(cls.sent)
        cls.tables = b''.join(p for p in ts.packets(cls.sent)
                              if ts.pid(p) in (0, cls.parser.pmt))[:2 * ts.SIZE]

    def test_key_frames(self):
        self.assertEqual(len(self.parser.keys), 3)
        slow = ts.Parser()
        for at in range(0, len(self.sent), 100):
            slow.feed(self.sent[at:at + 100])
        self.assertEqual(slow.keys, self.parser.keys)

    def test_a_contiguous_part_is_found(self):
        key = self.parser.keys[1]
        got = self.tables + self.sent[key:key + 200 * ts.SIZE]
        self.assertEqual(ts.place_in(self.sent, got), (key, 2, 0))
        filled = got + b'\x47\x1f\xff\x10' + b'\xff' * 184 + self.sent[key + 200 * ts.SIZE:]
        self.assertEqual(ts.place_in(self.sent, filled), (key, 2, 1))

    def test_other_bytes_are_seen(self):
        key = self.parser.keys[1]
        body = self.sent[key:key + 200 * ts.SIZE]
        flipped = bytearray(body)
        flipped[150 * ts.SIZE + 99] ^= 1
        missing = body[:100 * ts.SIZE] + body[101 * ts.SIZE:]
        doubled = body[:100 * ts.SIZE] + body[99 * ts.SIZE:]
        swapped = body[:100 * ts.SIZE] + body[101 * ts.SIZE:102 * ts.SIZE] + \
            body[100 * ts.SIZE:101 * ts.SIZE] + body[102 * ts.SIZE:]
        torn = body[:100 * ts.SIZE + 7] + body[100 * ts.SIZE + 8:]
        for bad in (bytes(flipped), missing, doubled, swapped, torn):
            with self.assertRaises(AssertionError):
                ts.place_in(self.sent, self.tables + bad)

    def test_a_whole_film_has_no_fault(self):
        self.assertEqual(ask(ts.decode_errors, self.sent), '')
        gaps = ask(ts.gaps, self.sent)
        self.assertLess(gaps['video'][2], 0.041)
        self.assertLess(gaps['audio'][2], 0.022)

    def test_a_lost_second_is_a_gap(self):
        keys = self.parser.keys
        gaps = ask(ts.gaps, self.sent[:keys[1]] + self.sent[keys[2]:])
        self.assertGreater(gaps['video'][2], 0.9)
        self.assertGreater(gaps['audio'][2], 0.5)

    def test_broken_video_does_not_decode(self):
        broken = bytearray(self.sent)
        n = 0
        for at in range(0, len(broken) - ts.SIZE, ts.SIZE):
            packet = broken[at:at + ts.SIZE]
            if ts.pid(packet) == self.parser.video and not ts.starts_unit(packet):
                broken[at + 60:at + 160] = bytes(100)
                n += 1
        self.assertGreater(n, 100)
        self.assertNotEqual(ask(ts.decode_errors, bytes(broken)), '')

    def test_a_cut_end_is_taken_off(self):
        cut = self.sent[:len(self.sent) * 2 // 3 // ts.SIZE * ts.SIZE]
        self.assertEqual(ask(ts.decode_errors, ts.whole_units(cut)), '')

    def test_a_request_body_in_pieces(self):
        body = b'PUT /ingest/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n' \
               b'5\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n'
        for size in (1, 2, 3, 7, 1000):
            reader = media.Body()
            got = b''.join(reader.feed(body[at:at + size]) for at in range(0, len(body), size))
            self.assertEqual(got, b'hello0123456789abcdef')
        plain = media.Body()
        self.assertEqual(plain.feed(b'PUT / HTTP/1.1\r\n\r\nrest') + plain.feed(b'!'), b'rest!')


if __name__ == '__main__':
    if not shutil.which('ffmpeg') or not shutil.which('ffprobe'):
        print('missing: ffmpeg')
        sys.exit(77)
    unittest.main()

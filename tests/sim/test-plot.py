#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""plot.py reads what the simulation writes, adds it up rightly, and draws it: test-plot.py TEST-SCALE."""

import os
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ET

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import plot  # noqa: E402

PLOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'plot.py')
SVG = '{http://www.w3.org/2000/svg}'
SCALE = ''


def sample(t, peer, lag, own, others, sent):
    return (f'{{"t":{t}.000000,"peer":{peer},"event":"sample","lag":{lag},"own":{own},'
            f'"others":{others},"sent":{sent},"backlog":0,"line":1000}}')


class Plot(unittest.TestCase):
    def test_figures_are_those_of_the_trace(self):
        rows = dict(plot.read([
            sample(1, 0, -1, 0, 0, 99999),  # the source is no viewer
            sample(1, 1, 2000000, 10, 0, 100), sample(1, 2, -1, 0, 30, 0),
            '{"t":1.500000,"peer":1,"event":"stall","us":40000}',
            '{"t":1.600000,"peer":2,"event":"skip","chunks":7}',
            '{"t":1.700000,"peer":2,"event":"late","chunks":3}',
            sample(2, 1, 3000000, 11, 3, 600), sample(2, 2, 1000000, 0, 30, 0)]))
        self.assertEqual(rows[1], {'lags': [2.0], 'stalls': 1, 'skipped': 7, 'source': 10,
                                   'others': 30, 'sent': 100, 'line': 2000})
        self.assertEqual((rows[2]['source'], rows[2]['others'], rows[2]['sent']), (1, 3, 500))
        lag, missing, source, uplinks = plot.charts(sorted(rows.items()))
        self.assertEqual(lag[2][0], ('p50', [(1, 2.0), (2, 1.0)]))
        self.assertEqual(missing[2][1][1], [(1, 7), (2, 0)])
        self.assertEqual(source[2][0][1], [(1, 25.0), (2, 25.0)])
        self.assertEqual(uplinks[2][0][1], [(1, 5.0), (2, 25.0)])

    def test_hole_splits_a_curve(self):
        points = [(0, 1.0), (1, None), (2, 2.0), (3, 2.0)]
        lines = plot.draw_curve(points, 'red', lambda s: s, lambda v: v)
        self.assertEqual(len(lines), 2)

    def test_what_is_no_trace_is_told(self):
        for bad in ('nonsense', '{}', '[1]'):
            with self.assertRaises(SystemExit) as told:
                plot.read(['{"t":1.0,"peer":1,"event":"join"}', bad])
            self.assertIn('line 2', str(told.exception))

    def test_run_is_drawn_by_one_command(self):
        with tempfile.TemporaryDirectory() as folder:
            trace, picture = os.path.join(folder, 'run.jsonl'), os.path.join(folder, 'run.svg')
            subprocess.run([SCALE, '--run', '--peers', '4', '--seconds', '8', '--joining', '1',
                            '--trace', trace], check=True, stdout=subprocess.DEVNULL)
            subprocess.run([sys.executable, PLOT, trace, picture], check=True)
            with open(trace, encoding='utf-8') as file:
                events = {line.split('"event":"')[1].split('"')[0] for line in file}
            self.assertLessEqual({'join', 'start', 'sample'}, events)
            root = ET.parse(picture).getroot()
        self.assertEqual(root.tag, SVG + 'svg')
        texts = ' '.join(text.text for text in root.iter(SVG + 'text'))
        for title in ('lag behind the source', 'missing when due', 'chunks from the source',
                      "viewers' uplinks in use"):
            self.assertIn(title, texts)
        self.assertGreaterEqual(len(list(root.iter(SVG + 'polyline'))), 4)


if __name__ == '__main__':
    SCALE = sys.argv.pop(1)
    unittest.main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A run of the simulation as a picture: test-scale --run --trace FILE, then

    plot.py FILE OUT.svg

Four curves over time: the lag of the viewers behind the source (median, 95 and 99 of 100), the
stalls and skips, the share of the chunks that came from the source, and how much of the viewers'
uplinks was in use."""

import json
import sys
from collections import defaultdict

WIDTH, HEIGHT, LEFT, TOP, GAP = 900, 170, 70, 40, 60
COLOURS = ('#1b6ca8', '#e07b00', '#b3261e')


def read(lines):
    """The trace as rows by the second: lags, stalls, skipped, got from source and others, uplink."""
    rows = defaultdict(lambda: {'lags': [], 'stalls': 0, 'skipped': 0, 'source': 0, 'others': 0,
                                'sent': 0, 'line': 0})
    before = {}
    for number, line in enumerate(lines, 1):
        try:
            event = json.loads(line)
            row, kind, peer = rows[int(event['t'])], event['event'], event['peer']
        except (ValueError, KeyError, TypeError):
            raise SystemExit(f'line {number}: not an event of a trace')
        if kind == 'stall':
            row['stalls'] += 1
        elif kind == 'skip':
            row['skipped'] += event['chunks']
        elif kind == 'sample' and peer != 0:
            add_sample(row, event, before.get(peer))
            before[peer] = event
    return [(second, rows[second]) for second in sorted(rows)]


def add_sample(row, event, before):
    if event['lag'] >= 0:
        row['lags'].append(event['lag'] / 1e6)
    row['line'] += event['line']
    for name, key in (('own', 'source'), ('others', 'others'), ('sent', 'sent')):
        row[key] += event[name] - (before[name] if before else 0)


def percentile(values, percent):
    values = sorted(values)
    return values[(len(values) - 1) * percent // 100] if values else None


def share(part, whole):
    return 100 * part / whole if whole else None


def charts(rows):
    """Title, unit, and named curves: lists of (second, value or None)."""
    def curve(value):
        return [(second, value(row)) for second, row in rows]

    return [
        ('lag behind the source', 's',
         [(f'p{p}', curve(lambda row, p=p: percentile(row['lags'], p))) for p in (50, 95, 99)]),
        ('missing when due', 'in a second',
         [('stalls', curve(lambda row: row['stalls'])),
          ('chunks skipped', curve(lambda row: row['skipped']))]),
        ('chunks from the source', '%',
         [('share', curve(lambda row: share(row['source'], row['source'] + row['others'])))]),
        ("viewers' uplinks in use", '%',
         [('share', curve(lambda row: share(row['sent'], row['line'])))]),
    ]


def round_up(value):
    """The next of 1, 2, 5, 10, ... that a scale can end with."""
    step = 1e-6
    while True:
        for factor in (1, 2, 5):
            if value <= step * factor:
                return step * factor
        step *= 10


def draw_curve(points, colour, x, y):
    """One line for each stretch without a hole."""
    out, stretch = [], []
    for second, value in points + [(None, None)]:
        if value is not None:
            stretch.append(f'{x(second):.1f},{y(value):.1f}')
        elif stretch:
            out.append(f'<polyline points="{" ".join(stretch)}" fill="none" stroke="{colour}" '
                       'stroke-width="1.6"/>')
            stretch = []
    return out


def draw_chart(chart, top, first, last):
    title, unit, curves = chart
    values = [value for _, points in curves for _, value in points if value is not None]
    most = round_up(max(values, default=1) or 1)

    def x(second):
        return LEFT + (second - first) * WIDTH / max(last - first, 1)

    def y(value):
        return top + HEIGHT - value * HEIGHT / most

    out = [f'<text x="{LEFT}" y="{top - 10}" font-weight="bold">{title}, {unit}</text>']
    for part in range(5):
        value = most * part / 4
        out.append(f'<line x1="{LEFT}" y1="{y(value):.1f}" x2="{LEFT + WIDTH}" y2="{y(value):.1f}" '
                   'stroke="#ddd"/>')
        out.append(f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}</text>')
    for index, (name, points) in enumerate(curves):
        out += draw_curve(points, COLOURS[index], x, y)
        out.append(f'<text x="{LEFT + WIDTH - 120 * index}" y="{top - 10}" text-anchor="end" '
                   f'fill="{COLOURS[index]}">{name}</text>')
    step = round_up(max(last - first, 1) / 10)
    for mark in range(11):
        second = first + mark * step
        if second <= last:
            out.append(f'<text x="{x(second):.1f}" y="{top + HEIGHT + 16}" '
                       f'text-anchor="middle">{second:g} s</text>')
    return out


def draw(rows):
    first, last = rows[0][0], rows[-1][0]
    parts = charts(rows)
    height = TOP + len(parts) * (HEIGHT + GAP)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 30}" height="{height}" '
           'font-family="sans-serif" font-size="12">',
           '<rect width="100%" height="100%" fill="white"/>']
    for index, chart in enumerate(parts):
        out += draw_chart(chart, TOP + index * (HEIGHT + GAP), first, last)
    return '\n'.join(out + ['</svg>', ''])


def main(arguments):
    if len(arguments) != 2:
        raise SystemExit(__doc__)
    try:
        with open(arguments[0], encoding='utf-8') as file:
            rows = read(file)
        if not rows:
            raise SystemExit(f'{arguments[0]}: no event in it')
        with open(arguments[1], 'w', encoding='utf-8') as file:
            file.write(draw(rows))
    except OSError as error:
        raise SystemExit(f'{error.filename}: {error.strerror}')


if __name__ == '__main__':
    main(sys.argv[1:])

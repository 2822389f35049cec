# SPDX-License-Identifier: Apache-2.0
"""What the benches share: the world of the end-to-end tests, and how figures are told."""

import json
import os
import signal
import statistics
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'e2e'))
import world  # pylint: disable=wrong-import-position


def summary(values, unit='ms', scale=1000):
    """Median, p95 and the extremes, as a dict and as text."""
    ordered = sorted(value * scale for value in values)
    figures = {'n': len(ordered), 'min': ordered[0], 'p50': statistics.median(ordered),
               'p95': ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))], 'max': ordered[-1]}
    text = '  '.join(f'{k} {v:.0f}' if k != 'n' else f'n={v}' for k, v in figures.items())
    return figures, f'{text} {unit}'


def run(bench, options):
    """Runs bench (world, options) -> dict in a world; 77 where that cannot be."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(1))
    world.remove_stale()
    here = world.World()
    try:
        result = bench(here, options)
    except world.Skip as why:
        print(f'skipped: {why}')
        return world.SKIPPED
    except AssertionError:
        here.logs()
        raise
    finally:
        here.close()
    if options.json:
        with open(options.json, 'w', encoding='utf-8') as file:
            json.dump(result, file, indent=2)
    return 0

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every option of every program stands in its manual page and in the README, and these name no
other, nor another default than --help does.

    test-options.py SOURCE-ROOT PROGRAM...

A page tells of an option under a .TP of its section OPTIONS. The README tells of it in the
program's own part of "Run", or in what is common to several."""

import os
import re
import subprocess
import sys
import unittest

ROOT, *PROGRAMS = sys.argv[1:]
PROGRAMS = {os.path.basename(path): path for path in PROGRAMS}
OPTION = re.compile(r'(?<![\w-])--([a-z][a-z-]*)')
# Where a program's own part of the README begins; what follows the last one is common.
PARTS = {'ppsp-proxy': '**The gateway**', 'ppsp-origin': '**An origin**',
         'ppsp-tracker': '**A tracker**', 'ppsp-peer': '**A plain peer**',
         'common': '**Peers name each other**'}


def lines_of_help(program):
    """option: what --help says of it"""
    done = subprocess.run([PROGRAMS[program], '--help'], capture_output=True, text=True, timeout=60,
                          env={**os.environ, 'LC_ALL': 'C'}, check=True)
    return dict(re.findall(r'^  (?:-\w, )?--([a-z-]+)(.*)$', done.stdout, re.M))


def offered(program):
    return set(lines_of_help(program))


def options_section(program):
    with open(os.path.join(ROOT, 'packaging/man', program + '.1'), encoding='utf-8') as file:
        text = re.sub(r'\\f.', '', file.read().replace('\\-', '-'))
    return re.search(r'^\.SH OPTIONS$(.*?)^\.SH ', text, re.M | re.S).group(1)


def page(program):
    """(what has a .TP of its own among the options, all that is named)"""
    section = options_section(program)
    tags = re.findall(r'^\.TP\n(.*)$', section, re.M)
    return set(OPTION.findall('\n'.join(tags))), set(OPTION.findall(section))


def value(text, *patterns):
    """The default that the text gives by the first pattern that it has, if that is a number, an address
    or a name with a number; else None"""
    text = re.sub(r'(\d) ([KMG])iB', r'\1\2', text)
    for pattern in patterns:
        for found in re.findall(pattern, text):
            found = found.rstrip('.:')
            if re.search(r'\d', found):
                return found
    return None


WORDS = r'([^\s,;(]+) \(default\)', r'[Dd]efault(?: is)? ([^\s,;()]+)'


def defaults_of_help(program):
    return {option: value(text, *WORDS, r'\(([^\s,;()]+)[^()]*\)$')
            for option, text in lines_of_help(program).items()}


def defaults_of_page(program):
    items = re.findall(r'^\.TP\n([^\n]*)\n(.*?)(?=^\.TP|\Z)', options_section(program), re.M | re.S)
    return {option: value(re.sub(r'\s+', ' ', re.sub(r'^\.\w+|"', '', text, flags=re.M)), *WORDS)
            for tag, text in items for option in OPTION.findall(tag)}


def defaults_of_readme(program):
    """Of the rows of its table: `--one A`, `--other B` | default, default |"""
    found = {}
    for names, cell in re.findall(r'^\| (`--.*?) \| (.*?) \|', readme()[program], re.M):
        options = OPTION.findall(names)
        cells = cell.split(', ') if len(options) > 1 else [cell]
        found.update({option: value(text, r'^`?([^\s,;()`]+)')
                      for option, text in zip(options, cells)})
    return found


def readme():
    """program: its part; 'common': what begins and ends the section "Run" """
    with open(os.path.join(ROOT, 'README.md'), encoding='utf-8') as file:
        run = re.search(r'^## Run$(.*?)^## ', file.read(), re.M | re.S).group(1)
    places = [run.index(heading) for heading in PARTS.values()] + [len(run)]
    parts = {name: run[places[i]:places[i + 1]] for i, name in enumerate(PARTS)}
    parts['common'] = run[:places[0]] + parts['common']
    return parts


def commands(text):
    """(program, an option in a command line of that program), and the text without these"""
    pattern = re.compile(r'(ppsp-(?:proxy|origin|tracker|peer))\b([^`]*?)(?=`|\n\n|\n```)')
    found = [(match.group(1), option) for match in pattern.finditer(text)
             for option in OPTION.findall(match.group(2))]
    return found, re.sub(r'`systemctl[^`]*`', '', pattern.sub('', text))


class Options(unittest.TestCase):
    def test_each_has_its_place_in_the_manual_page_and_no_other_is_there(self):
        for program in PROGRAMS:
            with self.subTest(program):
                tagged, named = page(program)
                self.assertEqual(sorted(offered(program) ^ tagged), [])
                self.assertEqual(sorted(named - offered(program)), [])

    def test_all_name_the_same_default(self):
        compared = 0
        for program in PROGRAMS:
            told = defaults_of_help(program)
            for where in defaults_of_page, defaults_of_readme:
                with self.subTest(f'{program}: {where.__name__}'):
                    both = {option: text for option, text in where(program).items()
                            if text is not None and told.get(option) is not None}
                    self.assertEqual(both, {option: told[option] for option in both})
                    compared += len(both)
        self.assertGreaterEqual(compared, 3 * len(PROGRAMS))

    def test_the_readme_names_each(self):
        parts = readme()
        for program in PROGRAMS:
            with self.subTest(program):
                found, rest = commands(parts[program])
                told = set(OPTION.findall(rest)) | {name for who, name in found if who == program}
                told |= set(OPTION.findall(parts['common']))
                self.assertEqual(sorted(offered(program) - told), [])

    def test_the_readme_names_none_that_is_not_there(self):
        everything = set().union(*map(offered, PROGRAMS))
        for part, text in readme().items():
            if part not in PROGRAMS and (part != 'common' or len(PROGRAMS) + 1 < len(PARTS)):
                continue # of a program that is not built
            with self.subTest(part):
                found, rest = commands(text)
                for program, option in found:
                    if program in PROGRAMS:
                        self.assertIn(option, offered(program), program)
                allowed = everything if part == 'common' else offered(part)
                self.assertEqual(sorted(set(OPTION.findall(rest)) - allowed), [])


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])

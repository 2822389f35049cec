#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every option of every program stands in its manual page and in the README, and these name no
other.

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


def offered(program):
    """What --help names."""
    done = subprocess.run([PROGRAMS[program], '--help'], capture_output=True, text=True, timeout=60,
                          env={**os.environ, 'LC_ALL': 'C'}, check=True)
    return set(re.findall(r'^  (?:-\w, )?--([a-z-]+)', done.stdout, re.M))


def page(program):
    """(what has a .TP of its own among the options, all that is named)"""
    with open(os.path.join(ROOT, 'packaging/man', program + '.1'), encoding='utf-8') as file:
        text = re.sub(r'\\f.', '', file.read().replace('\\-', '-'))
    section = re.search(r'^\.SH OPTIONS$(.*?)^\.SH ', text, re.M | re.S).group(1)
    tags = re.findall(r'^\.TP\n(.*)$', section, re.M)
    return set(OPTION.findall('\n'.join(tags))), set(OPTION.findall(section))


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

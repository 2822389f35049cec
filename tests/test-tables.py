#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The tables of requirements, and all other pages: what they name exists.

    test-tables.py SOURCE-ROOT

Each `word` of a page (*.md) that looks like a file, a function of one (FILE:NAME), a test
(/wing/file/what-is-true, or a family of them that ends with *) or an option (--name) is looked for,
and each row of the tables in peer/**/RFC*.md must say what proves it. Before the pages are judged,
each rule is shown a small tree that breaks it and must go red."""

import glob
import os
import re
import sys
import tempfile

WINGS = 'peer|net|media|trackerd?|cli|origin|dlna|proxy|sim'
TEST = re.compile(rf'/({WINGS})/[\w.-]+/([\w./-]*\*|[\w./-]+)')
FILE = re.compile(r'([\w.-]+/)+[\w.-]+\.(c|h|py|md|xml|build)')
STRING = re.compile(r'"((?:\\.|[^"\\\n])*)"')
# GLib's and C's ways to fill in a format: what a test's name is put together with.
FORMAT = re.compile(r'%(?:\d*|"?\s*G_GU?INT64_FORMAT\s*"?)[sdu]')


class Tree:
    def __init__(self, root):
        self.root = root
        self.texts = {}
        self.tests = [self.read(path) for path in self.find('tests/*/*.c')]
        self.man = '\n'.join(self.read(path) for path in self.find('packaging/man/*'))
        self.names, self.patterns = set(), []
        words = set()
        for text in self.tests:
            strings = set(STRING.findall(text))
            words |= strings
            heads = {s for s in strings if s.startswith('/') and s.endswith('/')}
            for name in strings:
                self.names.add(name)
                self.names.update(head + name for head in heads)
        for name in words:
            if name.startswith('/') and FORMAT.search(name):
                parts = [re.escape(part) for part in FORMAT.split(name)]
                self.patterns.append(re.compile('([A-Za-z0-9-]*)'.join(parts)))
        self.words = words

    def find(self, pattern):
        return sorted(os.path.relpath(path, self.root)
                      for path in glob.glob(os.path.join(self.root, pattern), recursive=True))

    def read(self, path):
        if path not in self.texts:
            try:
                with open(os.path.join(self.root, path), encoding='utf-8') as file:
                    self.texts[path] = file.read()
            except (FileNotFoundError, IsADirectoryError):
                self.texts[path] = None
        return self.texts[path]

    def has_test(self, name):
        if name.endswith('*'):
            head = name[:-1]
            return self.has_test(head + '0') or any(known.startswith(head) for known in self.names)
        if name in self.names:
            return True
        for pattern in self.patterns:
            match = pattern.fullmatch(name)
            if match and all(part in self.words for part in match.groups() if not part.isdigit()):
                return True
        return False

    def has_function(self, path, name):
        text = self.read(path)
        if path.endswith('.py'):
            return re.search(rf'^ *(def|class) {re.escape(name)}\b', text, re.M) is not None
        return re.search(rf'^{re.escape(name)} \(', text, re.M) is not None


def lines_of(tree, pattern='peer/**/RFC*.md'):
    for path in tree.find(pattern):
        for number, line in enumerate(tree.read(path).split('\n'), 1):
            yield f'{path}:{number}', line


def rows_of(tree):
    """The cells of each row, without the heads and the rules beneath them."""
    before = ''
    for where, line in lines_of(tree):
        is_row = line.startswith('|')
        if is_row and before.startswith('|') and not re.match(r'\|[-| ]+\|$', line):
            yield where, [cell.strip() for cell in re.split(r'(?<!\\)\|', line)[1:-1]]
        before = line if is_row else ''


def words_of(tree):
    for where, line in lines_of(tree, '**/*.md'):
        for word in re.findall(r'`([^`]+)`', line):
            yield where, word


def files(tree):
    for where, word in words_of(tree):
        path, _, name = word.partition(':')
        if not FILE.fullmatch(path) or path.startswith('/'):
            continue
        if path.startswith('../'):
            path = os.path.normpath(os.path.join(os.path.dirname(where), path))
        if tree.read(path) is None:
            yield f'{where}: there is no file {path}'
        elif name and not tree.has_function(path, name):
            yield f'{where}: {path} has no function {name}'


def tests(tree):
    for where, word in words_of(tree):
        if TEST.fullmatch(word) and not tree.has_test(word):
            yield f'{where}: there is no test {word}'


def options(tree):
    plain = tree.man.replace('\\-', '-')
    for where, word in words_of(tree):
        match = re.match(r'--[\w-]+', word)
        if match and not re.search(rf'{match.group()}(?![\w-])', plain):
            yield f'{where}: no man page has {match.group()}'


def proofs(tree):
    """In the first and the last cell nothing may be missing, nor in the one that a row is about."""
    for where, cells in rows_of(tree):
        if len(cells) < 2 or not cells[0] or not cells[1] or not cells[-1]:
            yield f'{where}: the row has an empty cell'


RULES = (files, tests, options, proofs)

# For each rule: a table that breaks it, beside one that does not.
GOOD = """| a | b | c | d |
|---|---|---|---|
| 3 | what | `peer/a.c:do_it`, `tests/e2e/x.py:it_works` | `/peer/a/one`, `/peer/b/two-x`, `/peer/c/e/*`, `--opt` |
"""
BROKEN = {
    files: ('`peer/b.c`', '`peer/a.c:do_what`', '`tests/e2e/x.py:it_fails`'),
    tests: ('`/peer/a/three`', '`/peer/a/two-x`', '`/peer/b/two-y`', '`/peer/d/*`', '`/peer/c/f/*`'),
    options: ('`--op`',),
    proofs: ('\n| 3 | what | who | |\n', '\n| | what | who | how |\n'),
}
SMALL = {
    'peer/a.c': 'int\ndo_it (void)\n{\n}\n',
    'tests/e2e/x.py': 'def it_works(here):\n    pass\n',
    'tests/peer/test-a.c': 'g_test_add_func ("/peer/a/one", one);',
    'tests/peer/test-b.c': 'names[] = {"x"}; g_strdup_printf ("/peer/b/two-%s", name);',
    'tests/peer/test-c.c': 'add ("e"); g_strdup_printf ("/peer/c/%s/%d", name, 7);',
    'packaging/man/a.1': '.BI \\-\\-opt= X\n',
}


def judge(files_of, text, rules):
    with tempfile.TemporaryDirectory() as root:
        for path, content in {**files_of, 'peer/RFC1.md': text}.items():
            os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(root, path), 'w', encoding='utf-8') as file:
                file.write(content)
        tree = Tree(root)
        return [fault for rule in rules for fault in rule(tree)]


def self_test():
    faults = judge(SMALL, GOOD, RULES)
    assert not faults, faults
    for rule, breaches in BROKEN.items():
        for breach in breaches:
            row = GOOD + breach if breach.startswith('\n|') else GOOD.replace('what', breach)
            text = row.replace('|\n\n|', '|\n|')
            assert judge(SMALL, text, [rule]), f'{rule.__name__} does not see {breach.strip()}'


def main():
    self_test()
    tree = Tree(sys.argv[1])
    faults = [fault for rule in RULES for fault in rule(tree)]
    for fault in faults:
        print(fault)
    n = sum(1 for _ in rows_of(tree))
    print(f'{n} rows, {len(faults)} faults')
    return 1 if faults or n == 0 else 0


if __name__ == '__main__':
    sys.exit(main())

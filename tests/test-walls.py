#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The walls of the house: who may include whom, and how big a room may be.

    test-walls.py SOURCE-ROOT [--no-self-test]

Each rule is a function that yields one line per violation. Before the tree is judged, every rule
is shown a small tree that breaks it and must go red: a wall that nothing can hit is no wall."""

import os
import re
import sys
import tempfile

# What <...> the pure folders may name: GLib's data structures and C without clock, thread, socket.
PURE = ('peer', 'peer/tracker', 'peer/media')
PURE_HEADERS = {'glib.h', 'assert.h', 'ctype.h', 'errno.h', 'float.h', 'inttypes.h', 'limits.h',
                'math.h', 'stdalign.h', 'stdarg.h', 'stdbool.h', 'stddef.h', 'stdint.h', 'stdio.h',
                'stdlib.h', 'string.h'}
# The one pure file that may name a library.
PURE_LIBRARIES = {'peer/crypto.c': 'openssl/'}
# GLib's own doors to clock, thread, chance, disk and loop, which <glib.h> alone would open.
PURE_CALLS = re.compile(
    r'\b(g_get_monotonic_time|g_get_real_time|g_date_time_new_now\w*|g_usleep|g_thread_\w+'
    r'|g_mutex_\w+|g_cond_\w+|g_async_queue_\w+|g_random_\w+|g_rand_new|g_main_loop_\w+'
    r'|g_main_context_\w+|g_timeout_\w+|g_idle_\w+|g_source_\w+|g_spawn_\w+|g_file_\w+|g_mkdir\w*'
    r'|g_getenv|g_setenv|g_io_channel_\w+|fopen|fdopen|getenv|rand|srand|system|abort)\s*\(')

# Libraries that one place alone may name: pattern of the header, who may.
LIBRARIES = [
    (re.compile(r'^sqlite3'), {'proxy/catalog.c', 'peer/trackerd/store-sqlite.c'}),
    (re.compile(r'^(lib)?(gupnp|gssdp)'), {'dlna/'}),
    (re.compile(r'^sofia-sip'), {'peer/net/sip-stack.c', 'peer/net/sip-stack.h'}),
    (re.compile(r'^openssl/'), {'peer/crypto.c'}),
    (re.compile(r'^hiredis'), {'peer/trackerd/store-redis.c'}),
]

# What of ours each folder may include; tests may include anything.
PEER_PROGRAM = {'peer', 'peer/tracker', 'peer/media', 'peer/net'}
FOLDERS = {
    'peer': {'peer'},
    'peer/tracker': {'peer/tracker', 'peer/address', 'peer/random'},
    'peer/media': {'peer/media'},
    'peer/net': {'peer', 'peer/tracker', 'peer/net'},
    'peer/trackerd': PEER_PROGRAM | {'peer/trackerd'},
    'peer/origin': PEER_PROGRAM | {'peer/origin'},
    'peer/cli': PEER_PROGRAM | {'peer/cli'},
    'dlna': {'dlna'},
    'proxy': PEER_PROGRAM | {'dlna', 'proxy'},
}

MAX_LINES = 1000
MAX_FUNCTION = 70
SKIPPED = re.compile(r'^(build.*|\.git|\.cache|subprojects|node_modules|__pycache__|corpus)$')
WITH_SPDX = ('.c', '.h', '.py', '.sh', '.js', '.css', '.html', '.xml', '.build', '.service',
             '.socket', '.1', '.init', '.config', '.conf')

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(<([^>\n]+)>|"([^"\n]+)")', re.M)
NOISE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


class Tree:
    """All files of the project as text, and who includes whom."""

    def __init__(self, root):
        self.root = root
        self.text = {}
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(name for name in folders if not SKIPPED.match(name))
            for name in sorted(names):
                path = os.path.join(folder, name)
                if os.path.islink(path):
                    continue
                with open(path, 'rb') as file:
                    data = file.read()
                if b'\0' not in data[:4096]:
                    key = os.path.relpath(path, root).replace(os.sep, '/')
                    self.text[key] = data.decode('utf-8', 'replace')
        self.code = [p for p in self.text if p.endswith(('.c', '.h'))]
        self.ours = [p for p in self.code if os.path.dirname(p) in FOLDERS]

    def includes(self, path):
        """(line, 'system' or 'own', name) of each include line."""
        text = self.text[path]
        for match in INCLUDE.finditer(text):
            line = text.count('\n', 0, match.start()) + 1
            if match.group(2):
                yield line, 'system', match.group(2)
            else:
                yield line, 'own', match.group(3)


def pure_headers(tree):
    for path in tree.ours:
        if os.path.dirname(path) not in PURE:
            continue
        for line, kind, name in tree.includes(path):
            own_library = PURE_LIBRARIES.get(path)
            if kind == 'own' or name in PURE_HEADERS:
                continue
            if own_library and name.startswith(own_library):
                continue
            yield f'{path}:{line}: <{name}> in a pure folder'


def pure_calls(tree):
    for path in tree.ours:
        if os.path.dirname(path) not in PURE:
            continue
        text = NOISE.sub(lambda m: re.sub(r'[^\n]', ' ', m.group()), tree.text[path])
        for match in PURE_CALLS.finditer(text):
            line = text.count('\n', 0, match.start()) + 1
            yield f'{path}:{line}: {match.group(1)} in a pure folder'


def folders(tree):
    for path in tree.ours:
        folder = os.path.dirname(path)
        for line, kind, name in tree.includes(path):
            if kind != 'own' or name not in tree.text:
                continue
            stem = os.path.splitext(name)[0]
            if os.path.dirname(name) not in FOLDERS[folder] and stem not in FOLDERS[folder]:
                yield f'{path}:{line}: {folder}/ may not include "{name}"'


def roots(tree):
    for path in tree.code:
        for line, kind, name in tree.includes(path):
            if kind != 'own' or name in tree.text or name.endswith('resources.h'):
                continue
            yield f'{path}:{line}: "{name}" is not a path from the root'


def libraries(tree):
    for path in tree.ours:
        for line, kind, name in tree.includes(path):
            for pattern, allowed in LIBRARIES:
                if kind == 'system' and pattern.match(name) and not any(
                        path == a or (a.endswith('/') and path.startswith(a)) for a in allowed):
                    yield f'{path}:{line}: <{name}> belongs to {", ".join(sorted(allowed))} alone'


def circles(tree):
    """A .c and its .h are one room: two rooms that look into each other are a circle."""
    edges = {}
    for path in tree.code:
        room = os.path.splitext(path)[0]
        for _, kind, name in tree.includes(path):
            other = os.path.splitext(name)[0]
            if kind == 'own' and name in tree.text and other != room:
                edges.setdefault(room, set()).add(other)
    done, found = set(), set()

    def walk(room, trail):
        if room in trail:
            circle = trail[trail.index(room):]
            turn = circle.index(min(circle))
            found.add(' -> '.join(circle[turn:] + circle[:turn] + [circle[turn]]))
            return
        if room in done:
            return
        for other in sorted(edges.get(room, ())):
            walk(other, trail + [room])
        done.add(room)

    for room in sorted(edges):
        walk(room, [])
    yield from (f'circle: {circle}' for circle in sorted(found))


def mains(tree):
    for path in tree.ours:
        if os.path.basename(path) == 'main.h':
            yield f'{path}: main has no header'
    for path in tree.code:
        for line, kind, name in tree.includes(path):
            if kind == 'own' and os.path.splitext(os.path.basename(name))[0] == 'main':
                yield f'{path}:{line}: nothing includes main'
            elif name.endswith('.c'):
                yield f'{path}:{line}: a .c is linked, not included'


def pairs(tree):
    for path in tree.ours:
        stem, ending = os.path.splitext(path)
        if ending == '.c' and os.path.basename(stem) != 'main' and stem + '.h' not in tree.text:
            yield f'{path}: has no header of its name'


def sizes(tree):
    for path in tree.text:
        if path in ('LICENSE',) or path.startswith('tests/golden/'):
            continue
        n = tree.text[path].count('\n')
        if n > MAX_LINES:
            yield f'{path}: {n} lines, more than {MAX_LINES}: which noun is missing?'
    for path in tree.ours:
        start, name = None, ''
        lines = tree.text[path].split('\n')
        for number, line in enumerate(lines, 1):
            if line == '{':
                start, name = number, lines[number - 2].split('(')[0].strip()
            elif line == '}' and start:
                if number - start - 1 > MAX_FUNCTION:
                    yield (f'{path}:{start}: {name} has {number - start - 1} lines,'
                           f' more than {MAX_FUNCTION}')
                start = None


def licences(tree):
    for path, text in tree.text.items():
        script = text.startswith('#!')
        if not script and not path.removesuffix('.in').endswith(WITH_SPDX):
            continue
        head = text.split('\n', 3)
        # One line may come before: what the system itself wants first in a file.
        first = head[1] if script or head[0].startswith(('<?xml', '<!')) else head[0]
        if 'SPDX-License-Identifier: Apache-2.0' not in first:
            yield f'{path}: does not begin with its SPDX line'


def unrun(tree):
    """A test that no meson.build names is run by nobody."""
    for path in tree.text:
        match = re.fullmatch(r'(tests/\w+)/((?:test|fuzz)[-_])([\w-]+)(\.c|\.py)', path)
        if not match:
            continue
        folder, kind, name, ending = match.groups()
        listed = tree.text.get(f'{folder}/meson.build', '')
        if not re.search(rf"'({kind})?{name}({re.escape(ending)})?'", listed):
            yield f'{path}: {folder}/meson.build does not name it'


RULES = [pure_headers, pure_calls, folders, roots, libraries, circles, mains, pairs, sizes, licences,
         unrun]

SPDX_C = '/* SPDX-License-Identifier: Apache-2.0 */\n'
# For each rule: files that break it; and one tree, below, that breaks none.
BROKEN = {
    pure_headers: [{'peer/wire.c': '#include <gio/gio.h>\n'},
                   {'peer/tracker/json.h': '#include <json-glib/json-glib.h>\n'},
                   {'peer/media/mpegts.c': '#  include <time.h>\n'},
                   {'peer/wire.c': '#include <openssl/evp.h>\n'}],
    pure_calls: [{'peer/wire.c': 'int64_t now = g_get_monotonic_time ();\n'},
                 {'peer/tracker/json.c': 'return g_random_int ();\n'}],
    folders: [{'peer/wire.c': '#include "dlna/media.h"\n', 'dlna/media.h': ''},
              {'dlna/media.c': '#include "peer/wire.h"\n', 'peer/wire.h': ''},
              {'peer/wire.c': '#include "peer/net/udp.h"\n', 'peer/net/udp.h': ''},
              {'peer/media/mpegts.c': '#include "peer/wire.h"\n', 'peer/wire.h': ''},
              {'peer/tracker/json.c': '#include "peer/wire.h"\n', 'peer/wire.h': ''},
              {'peer/origin/main.c': '#include "proxy/ring.h"\n', 'proxy/ring.h': ''},
              {'peer/net/udp.c': '#include "peer/origin/ingest.h"\n', 'peer/origin/ingest.h': ''}],
    roots: [{'peer/wire.c': '#include "wire.h"\n', 'peer/wire.h': ''}],
    libraries: [{'proxy/guide.c': '#include <sqlite3.h>\n'},
                {'proxy/main.c': '#include <libgupnp/gupnp.h>\n'},
                {'peer/net/tracker.c': '#include <sofia-sip/nta.h>\n'},
                {'peer/net/file.c': '#include <openssl/sha.h>\n'}],
    circles: [{'peer/a.c': '#include "peer/b.h"\n', 'peer/a.h': '',
               'peer/b.c': '#include "peer/a.h"\n', 'peer/b.h': ''},
              {'proxy/a.h': '#include "proxy/b.h"\n', 'proxy/b.c': '#include "proxy/c.h"\n',
               'proxy/b.h': '', 'proxy/c.h': '#include "proxy/a.h"\n'}],
    mains: [{'proxy/main.h': ''}, {'proxy/ring.c': '#include "proxy/main.h"\n'},
            {'tests/peer/test-wire.c': '#include "peer/wire.c"\n'}],
    pairs: [{'peer/wire.c': ''}],
    sizes: [{'peer/wire.h': '\n' * (MAX_LINES + 1)},
            {'peer/wire.c': 'void\nf (void)\n{\n' + '  g ();\n' * (MAX_FUNCTION + 1) + '}\n'}],
    unrun: [{'tests/fuzz/fuzz-wire.c': ''},
            {'tests/e2e/test_live.py': '# SPDX', 'tests/e2e/meson.build': "foo('live2')\n"}],
    licences: [{'peer/wire.h': None}, {'tests/run': '#!/bin/sh\nexit 0\n'},
               {'packaging/systemd/a.service': '[Unit]\n'}],
}
SOUND = {
    'peer/crypto.c': '#include <openssl/evp.h>\n#include "peer/crypto.h"\n', 'peer/crypto.h': '',
    'peer/tracker/json.c': '#include "peer/tracker/json.h"\n',
    'peer/tracker/json.h': '#include "peer/address.h"\n', 'peer/address.h': '#include <glib.h>\n',
    'peer/wire.c': '#include "peer/wire.h"\n/* g_random_int () */\nlog ("g_usleep (1)");\n',
    'peer/wire.h': '#include <string.h>\n', 'proxy/main.c': '#include "dlna/media.h"\n',
    'dlna/media.h': '#include <libgupnp/gupnp.h>\n', 'proxy/catalog.h': '',
    'proxy/catalog.c': '#include <sqlite3.h>\n#include "proxy/catalog.h"\n',
    'peer/net/udp.h': '#include "peer/wire.h"\n#include <sys/socket.h>\n',
    'tests/proxy/meson.build': "# SPDX-License-Identifier: Apache-2.0\n['ring']\n",
    'tests/proxy/test-ring.c': '#include "proxy/catalog.h"\n#include <sqlite3.h>\n',
}


def plant(files):
    folder = tempfile.TemporaryDirectory(prefix='walls-')
    for path, text in files.items():
        full = os.path.join(folder.name, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, 'w', encoding='utf-8') as file:
            bare = text is None or not path.endswith(('.c', '.h'))
            file.write((text or '') if bare else SPDX_C + text)
    return folder


def self_test():
    failures = []
    with plant(SOUND) as root:
        for rule in RULES:
            failures += [f'{rule.__name__} on a sound tree: {v}' for v in rule(Tree(root))]
    for rule in RULES:
        for number, files in enumerate(BROKEN[rule]):
            with plant(files) as root:
                if not list(rule(Tree(root))):
                    failures.append(f'{rule.__name__} does not see its violation {number}')
    return failures


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(__file__)) or '.'
    failures = [] if '--no-self-test' in sys.argv else self_test()
    for failure in failures:
        print(f'self-test: {failure}')
    tree = Tree(root)
    if not tree.ours:
        failures.append(f'{root}: no source files')
    for rule in RULES:
        for violation in rule(tree):
            print(violation)
            failures.append(violation)
    n = sum(len(cases) for cases in BROKEN.values())
    print(f'{len(RULES)} rules, {n} planted violations, {len(tree.text)} files, {len(failures)} wrong')
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())

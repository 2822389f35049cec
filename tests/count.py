#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""count.py RECORD...: adds up meson's test records into one line; one that is not there is a failure.

A program of many cases (g_test) counts each of them; one that skips a case inside a passing program
(g_test, unittest) is seen as well, which its exit code hides."""

import json
import os
import re
import sys

# "/peer/wire/have-bin: OK" of g_test, "ok 3 /peer/wire/have-bin # SKIP why" of TAP.
PLAIN = re.compile(r'^(/[\w./-]+): (?:[^\n]*?)\b(OK|SKIP|FAIL)\b', re.M)
TAP = re.compile(r'^(ok|not ok) \d+ -? ?(/[\w./-]+)( # SKIP)?', re.M)
# The last line of Python's unittest, which says it on standard error.
UNITTEST = re.compile(r'^(?:OK|FAILED) \(.*\bskipped=(\d+)', re.M)


def cases(output):
    """(passed, failed, names skipped) that a program's own output tells."""
    passed, failed, skipped = 0, 0, []
    for name, word in PLAIN.findall(output):
        passed += word == 'OK'
        failed += word == 'FAIL'
        if word == 'SKIP':
            skipped.append(name)
    for word, name, skip in TAP.findall(output):
        passed += word == 'ok' and not skip
        failed += word == 'not ok'
        if skip:
            skipped.append(name)
    return passed, failed, skipped


def main():
    passed, failed, skipped = 0, 0, []
    for record in sys.argv[1:]:
        if not os.path.exists(record):
            print(f'failed: {os.path.basename(record)} (did not run)')
            failed += 1
            continue
        with open(record, encoding='utf-8') as file:
            for line in file:
                test = json.loads(line)
                ok, bad, left_out = cases(test.get('stdout') or '')
                result = test['result']
                if result != 'SKIP':
                    for n in UNITTEST.findall(test.get('stderr') or ''):
                        skipped += [f'{test["name"]}, a case'] * int(n)
                if result in ('OK', 'EXPECTEDFAIL'):
                    passed += ok if ok or left_out else 1
                    # A program that says FAIL and exits with 0 has not passed.
                    failed += bad
                    skipped += left_out
                elif result == 'SKIP':
                    passed += ok
                    skipped += left_out or [test['name']]
                else:
                    passed += ok
                    failed += max(1, bad)
                    skipped += left_out
                    print(f'failed: {test["name"]} ({result.lower()})')
    for name in skipped:
        print(f'skipped: {name}')
    if not passed and not failed:
        print('no test ran')
        failed += 1
    print(f'{passed} passed, {failed} failed, {len(skipped)} skipped')
    refused = skipped and os.environ.get('CI') == 'true'
    return 1 if failed or refused else 0


if __name__ == '__main__':
    sys.exit(main())

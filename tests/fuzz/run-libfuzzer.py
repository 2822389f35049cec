#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a target that was built with libFuzzer: EXE CORPUS ROUNDS [ARGUMENT...]

The corpus is kept as text that a reviewer can read (.hex); libFuzzer wants bytes, so it gets a
copy. What it finds is left in the working folder as crash-*.

-seed=7574: a change is judged by the same inputs each time; by hand, the seeds vary.
-entropic=0: libFuzzer's own choice of what to change next weighs each input by each feature, and
took four fifths of the time of fuzz-engine, which has 10,000 of them.
"""
import os
import re
import subprocess
import sys
import tempfile

exe, corpus, rounds = sys.argv[1:4]
with tempfile.TemporaryDirectory() as folder:
    if os.path.isdir(corpus):
        for name in sorted(os.listdir(corpus)):
            with open(os.path.join(corpus, name), 'rb') as file:
                data = file.read()
            if name.endswith('.hex'):
                data = bytes.fromhex(re.sub('#.*', '', data.decode()))
            with open(os.path.join(folder, name), 'wb') as file:
                file.write(data)
    sys.exit(subprocess.call([exe, '-runs=' + rounds, '-max_len=4096', '-seed=7574', '-entropic=0',
                              '-print_final_stats=1', *sys.argv[4:], folder]))

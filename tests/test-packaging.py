#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is shipped around the programs: units, init scripts, package lists, the tests' own counter.

    test-packaging.py SOURCE-ROOT

The OpenWrt scripts run in busybox's ash against recorders in place of procd and uci; systemd's
units are judged by systemd-analyze. Exit code 77 when a tool is missing."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else os.getcwd()
OPENWRT = os.path.join(ROOT, 'packaging', 'openwrt', 'ppsp', 'files')
TOOLS = ('busybox', 'shellcheck', 'shfmt', 'systemd-analyze')

# Stand-ins for OpenWrt's functions.sh and procd.sh: they read the config file in the form that
# uci has, and print each call of procd as a line.
RECORDER = r'''
config_load() { CONFIG="$CONFIGS/$1"; }
config_get() {
  local value
  value=$(sed -n "s/^[[:space:]]*option $3 '\(.*\)'\$/\1/p" "$CONFIG" | head -n 1)
  [ -n "$value" ] || value="${4-}"
  eval "$1=\$value"
}
config_get_bool() { config_get "$@"; }
config_list_foreach() {
  local option="$2" call="$3"
  shift 3
  sed -n "s/^[[:space:]]*list $option '\(.*\)'\$/\1/p" "$CONFIG" > "$CONFIGS/list"
  while IFS= read -r value; do "$call" "$value" "$@"; done < "$CONFIGS/list"
}
network_get_device() { eval "$1=br-$2"; }
mkdir() { echo "mkdir $*"; }
chown() { echo "chown $*"; }
chmod() { echo "chmod $*"; }
for name in procd_open_instance procd_close_instance procd_set_param procd_append_param \
  procd_add_jail procd_add_jail_mount procd_add_jail_mount_rw procd_open_data procd_close_data \
  procd_add_reload_trigger procd_add_reload_interface_trigger procd_set_config_changed \
  json_add_array json_add_object json_add_string json_close_object json_close_array; do
  eval "$name() { printf '%s' $name; printf ' [%s]' \"\$@\"; echo; }"
done
'''


def run_init(name, config, function):
    """What that function of the init script asks of procd, line by line."""
    with tempfile.TemporaryDirectory(prefix='init-') as folder:
        with open(os.path.join(OPENWRT, name + '.init'), encoding='utf-8') as file:
            script = file.read().replace('. /lib/functions/network.sh', ':')
        with open(os.path.join(folder, name), 'w', encoding='utf-8') as file:
            file.write(config)
        program = f'{RECORDER}\n{script}\n{function}\n'
        done = subprocess.run(['busybox', 'ash', '-eu', '-c', program], text=True,
                              capture_output=True, env={**os.environ, 'CONFIGS': folder},
                              timeout=20, check=False)
        if done.returncode:
            raise AssertionError(f'{name} {function}: {done.stderr}')
        return done.stdout.splitlines()


def shipped(name):
    with open(os.path.join(OPENWRT, name + '.config'), encoding='utf-8') as file:
        return file.read()


def command(lines):
    """The command line that procd would run, option by option."""
    words = []
    for line in lines:
        if re.match(r'procd_(set|append)_param \[command\]', line):
            words += re.findall(r'\[([^\]]*(?:\][:\d]+)?)\]', line)[1:]
    return words


class OpenWrt(unittest.TestCase):
    def test_gateway_as_shipped(self):
        lines = run_init('ppsp-proxy', shipped('ppsp-proxy'), 'start_service')
        words = command(lines)
        self.assertEqual(words[0], '/usr/bin/ppsp-proxy')
        self.assertEqual(words[words.index('--interface') + 1], 'br-lan')
        self.assertEqual(words[words.index('--state') + 1], '/etc/ppsp-proxy')
        self.assertNotIn('--name', words)
        self.assertIn('procd_set_param [user] [ppsp]', lines)
        self.assertIn('procd_set_param [no_new_privs] [1]', lines)
        self.assertIn('procd_set_param [respawn] [3600] [5] [0]', lines)
        self.assertIn('procd_add_jail_mount_rw [/etc/ppsp-proxy]', lines)
        self.assertFalse([line for line in lines if 'firewall' in line])

    def test_gateway_with_lists_and_an_open_port(self):
        config = shipped('ppsp-proxy').replace("open_port '0'", "open_port '1'")
        config = config.replace("name ''", "name 'Living room TV'").replace("'7574'", "'9000'")
        config += "\tlist channels 'https://a/1.m3u'\n\tlist channels 'file:///etc/two words.m3u'\n"
        lines = run_init('ppsp-proxy', config, 'start_service')
        words = command(lines)
        places = [i for i, word in enumerate(words) if word == '--channels']
        self.assertEqual([words[i + 1] for i in places],
                         ['https://a/1.m3u', 'file:///etc/two words.m3u'])
        self.assertEqual(words[words.index('--name') + 1], 'Living room TV')
        self.assertIn('json_add_string [dest_port] [9000]', lines)
        self.assertIn('procd_set_config_changed [firewall]',
                      run_init('ppsp-proxy', config, 'service_started'))

    def test_servers_are_off_until_somebody_turns_them_on(self):
        for name in ('ppsp-tracker', 'ppsp-origin'):
            self.assertEqual(run_init(name, shipped(name), 'start_service'), [])
            on = shipped(name).replace("enabled '0'", "enabled '1'")
            self.assertEqual(command(run_init(name, on, 'start_service'))[0], '/usr/bin/' + name)

    def test_the_tracker_keeps_the_key_with_which_it_certifies(self):
        config = shipped('ppsp-tracker').replace("enabled '0'", "enabled '1'")
        config = config.replace("'/etc/ppsp-tracker'", "'/srv/tracker'")
        lines = run_init('ppsp-tracker', config, 'start_service')
        words = command(lines)
        self.assertEqual(words[words.index('--state') + 1], '/srv/tracker')
        self.assertIn('mkdir -p /srv/tracker', lines)
        self.assertIn('chown ppsp:ppsp /srv/tracker', lines)
        self.assertIn('procd_add_jail_mount_rw [/srv/tracker]', lines)

    def test_what_is_secret_is_named_and_in_the_jail(self):
        for name, options in (('ppsp-tracker', ('users', 'access')), ('ppsp-proxy', ('credentials',)),
                              ('ppsp-origin', ('credentials',))):
            config = shipped(name).replace("enabled '0'", "enabled '1'")
            for option in options:
                self.assertNotIn('--' + option, command(run_init(name, config, 'start_service')))
                config = config.replace(f"option {option} ''", f"option {option} '/etc/x/{option}'")
            lines = run_init(name, config, 'start_service')
            words = command(lines)
            for option in options:
                self.assertEqual(words[words.index('--' + option) + 1], f'/etc/x/{option}')
                self.assertIn(f'procd_add_jail_mount [/etc/x/{option}]', lines)

    def test_an_upgrade_keeps_each_state_folder(self):
        for name in ('ppsp-proxy', 'ppsp-tracker', 'ppsp-origin'):
            state = re.search(r"^\s*option state '(.*)'$", shipped(name), re.M).group(1)
            with open(os.path.join(OPENWRT, name + '.keep'), encoding='utf-8') as file:
                self.assertEqual(file.read().strip(), state + '/')
            with open(os.path.join(ROOT, 'packaging/openwrt/ppsp/Makefile'),
                      encoding='utf-8') as file:
                self.assertIn(f'./files/{name}.keep $(1)/lib/upgrade/keep.d/{name}', file.read())

    def test_origin_publishes_what_the_config_lists(self):
        config = shipped('ppsp-origin').replace("enabled '0'", "enabled '1'").replace('# list', 'list')
        words = command(run_init('ppsp-origin', config, 'start_service'))
        self.assertEqual(words[words.index('--channel') + 1], 'camera=Front door')
        self.assertEqual(words[words.index('--pull') + 1],
                         'radio=Radio,http://192.168.1.5:8000/stream.ts')

    def test_a_changed_config_and_a_changed_lan_reload(self):
        lines = run_init('ppsp-proxy', shipped('ppsp-proxy'), 'service_triggers')
        self.assertEqual(lines, ['procd_add_reload_trigger [ppsp-proxy]',
                                 'procd_add_reload_interface_trigger [lan]'])

    def test_form(self):
        scripts = [os.path.join(OPENWRT, f) for f in os.listdir(OPENWRT) if f.endswith('.init')]
        self.assertEqual(len(scripts), 3)
        subprocess.run(['shfmt', '-d', '-s', '-sr', *scripts], check=True)
        subprocess.run(['shellcheck', '-s', 'dash', '-e', 'SC3043,SC1091', *scripts], check=True)


class Systemd(unittest.TestCase):
    def units(self):
        folder = os.path.join(ROOT, 'packaging', 'systemd')
        for name in sorted(os.listdir(folder)):
            if name.endswith('.service.in'):
                with open(os.path.join(folder, name), encoding='utf-8') as file:
                    text = file.read().replace('@bindir@', '/usr/bin')
                yield name[:-3], text.replace('@sysconfdir@', '/etc')

    def exposure(self, name, text):
        with tempfile.TemporaryDirectory(prefix='unit-') as folder:
            path = os.path.join(folder, name)
            with open(path, 'w', encoding='utf-8') as file:
                file.write(text)
            return subprocess.run(['systemd-analyze', 'security', '--offline=yes',
                                   '--threshold=15', path], capture_output=True, text=True,
                                  timeout=60, check=False)

    def test_each_unit_exposes_little(self):
        units = dict(self.units())
        self.assertEqual(sorted(units), ['ppsp-origin.service', 'ppsp-proxy.service',
                                         'ppsp-tracker.service'])
        for name, text in units.items():
            done = self.exposure(name, text)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_each_unit_is_as_the_readme_says(self):
        for name, text in self.units():
            for line in ('Restart=always', 'DynamicUser=yes', 'StateDirectory=' + name.split('.')[0],
                         'ProtectSystem=strict', 'ProtectHome=yes', 'CapabilityBoundingSet='):
                self.assertIn(line, text.split('\n'), name)

    def test_a_lax_unit_is_seen(self):
        name, text = next(iter(self.units()))
        lax = '\n'.join(line for line in text.split('\n') if not line.startswith('SystemCallFilter'))
        self.assertNotEqual(self.exposure(name, lax).returncode, 0)


class Counter(unittest.TestCase):
    def count(self, records, *others, **environment):
        with tempfile.NamedTemporaryFile('w', suffix='.json') as file:
            file.write('\n'.join(records))
            file.flush()
            clean = {k: v for k, v in os.environ.items() if k != 'CI'}
            done = subprocess.run([sys.executable, os.path.join(ROOT, 'tests', 'count.py'),
                                   file.name, *others], capture_output=True, text=True,
                                  env={**clean, **environment}, timeout=20, check=False)
        return done.stdout.splitlines()[-1], done.returncode

    def test_counts(self):
        ok = '{"name":"a","result":"OK","stdout":"/a/b: OK\\n/a/c: SKIP\\n"}'
        plain = '{"name":"b","result":"OK","stdout":"fine"}'
        bad = '{"name":"c","result":"FAIL","stdout":"/c/d: OK\\n"}'
        late = '{"name":"d","result":"TIMEOUT"}'
        skip = '{"name":"e","result":"SKIP","stdout":""}'
        unit = '{"name":"f","result":"OK","stderr":"Ran 9 tests in 1s\\n\\nOK (skipped=2)\\n"}'
        self.assertEqual(self.count([unit], CI='true'), ('1 passed, 0 failed, 2 skipped', 1))
        self.assertEqual(self.count([ok, plain]), ('2 passed, 0 failed, 1 skipped', 0))
        self.assertEqual(self.count([ok, plain], CI='true'), ('2 passed, 0 failed, 1 skipped', 1))
        self.assertEqual(self.count([plain], CI='true'), ('1 passed, 0 failed, 0 skipped', 0))
        self.assertEqual(self.count([plain, bad, late, skip]),
                         ('2 passed, 2 failed, 1 skipped', 1))
        self.assertEqual(self.count([plain], '/nowhere/sim.json'), ('1 passed, 1 failed, 0 skipped', 1))
        self.assertEqual(self.count([]), ('0 passed, 1 failed, 0 skipped', 1))


class Scripts(unittest.TestCase):
    def test_shell_scripts_have_no_known_mistake(self):
        scripts = [os.path.join(ROOT, path) for path in
                   ('packaging/demo', 'packaging/install-deps', 'packaging/install-config',
                    'tests/run', 'tests/cross/run', '.ci/run')]
        subprocess.run(['shellcheck', *scripts], check=True)

    def test_an_upgrade_keeps_what_the_operator_wrote(self):
        with tempfile.TemporaryDirectory(prefix='install-') as folder:
            shipped = os.path.join(ROOT, 'packaging', 'systemd', 'ppsp-proxy.conf')
            run = [os.path.join(ROOT, 'packaging', 'install-config'), '/etc/ppsp', shipped]
            path = os.path.join(folder, 'etc/ppsp/ppsp-proxy.conf')
            subprocess.run(run, check=True, env={**os.environ, 'DESTDIR': folder})
            with open(path, 'a', encoding='utf-8') as file:
                file.write('name=Mine\n')
            subprocess.run(run, check=True, env={**os.environ, 'DESTDIR': folder})
            with open(path, encoding='utf-8') as file:
                self.assertIn('name=Mine', file.read())

    def test_package_lists_are_sorted_and_have_no_double(self):
        for name in ('build', 'cross', 'npm', 'run', 'test'):
            with open(os.path.join(ROOT, f'packaging/packages-{name}.txt'), encoding='utf-8') as file:
                packages = [line.strip() for line in file if line[0] not in '#\n']
            self.assertEqual(packages, sorted(set(packages)))

    def test_bad_options_are_told_in_one_line(self):
        for words in (['packaging/demo', '--colour'], ['packaging/demo', '--port'],
                      ['tests/run', '--suite', 'all'], ['packaging/install-deps', 'nonsense']):
            done = subprocess.run([os.path.join(ROOT, words[0]), *words[1:]], capture_output=True,
                                  text=True, timeout=20, check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)


if __name__ == '__main__':
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        print('missing: ' + ', '.join(missing))
        sys.exit(77)
    unittest.main()

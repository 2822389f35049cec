#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The household's page in a real browser (Chromium by WebDriver), on the home's side of the gateway."""

import json
import os
import shutil
import time
import urllib.request

import control_point
import media
import test_play
import world
from world import INTERNET, LAN, PATIENCE, figure, wait_until

PAGE = f'http://{LAN["gw"]}:8574/'
ELEMENT = 'element-6066-11e4-a52e-4f735466cecf'  # W3C WebDriver, section 12


class Browser:
    """As much of the WebDriver protocol as is needed."""

    def __init__(self, here, at='tv'):
        for tool in ('chromedriver', 'chromium'):
            if not shutil.which(tool):
                raise world.Skip(f'no {tool} (package chromium-driver)')
        self.here, self.at = here, at
        self.driver = here.run('chromedriver', ['chromedriver', '--port=9515'], at,
                               env={'HOME': here.folder, 'XDG_CONFIG_HOME': here.folder})
        wait_until('chromedriver answers', 15, lambda: here.get(
            at, 'http://127.0.0.1:9515/status', quiet=True))
        self.base = 'http://127.0.0.1:9515/session'
        arguments = ['--headless=new', '--no-sandbox', '--disable-gpu', '--no-first-run',
                     '--disable-background-networking', '--disable-component-update',
                     '--disable-sync', '--disable-dev-shm-usage', '--no-proxy-server',
                     f'--user-data-dir={os.path.join(here.folder, "browser")}']
        session = self.call('POST', '', capabilities={'alwaysMatch': {
            'goog:chromeOptions': {'args': arguments}, 'goog:loggingPrefs': {'browser': 'ALL'}}})
        self.base += '/' + session['sessionId']
        here.closers.append(self.quit)

    def call(self, method, path, **body):
        data = json.dumps(body).encode() if method == 'POST' else None
        request = urllib.request.Request(self.base + path, data=data, method=method,
                                         headers={'Content-Type': 'application/json'})
        with self.here.at(self.at), urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)['value']

    def script(self, text, *arguments):
        return self.call('POST', '/execute/sync', script=text, args=list(arguments))

    def find(self, selector):
        return self.call('POST', '/element', using='css selector', value=selector)[ELEMENT]

    def type(self, selector, text):
        self.call('POST', f'/element/{self.find(selector)}/value', text=text)

    def click(self, selector):
        self.call('POST', f'/element/{self.find(selector)}/click')

    def text(self, selector):
        return self.call('GET', f'/element/{self.find(selector)}/text')

    def quit(self):
        try:
            self.call('DELETE', '')
        except OSError:
            pass


def the_page_shows_and_does_what_it_says(here):
    here.build_network()
    here.tracker()
    evil = "<img src=x onerror='window.pwned=1'> & 'News'"  # a list has no other quotes
    here.origin('--channel', f'one={evil}')
    here.gateway('--name', '<b>Home</b>')
    encoder = media.Encoder(here, 'one')
    url = here.wait_channels(1)[0]
    browser = Browser(here)
    browser.call('POST', '/url', url=PAGE)
    names = 'return Array.from(document.querySelectorAll("#channels .title")).map(e => e.textContent)'
    name = json.loads(here.get('tv', PAGE + 'api/v1/channels'))['channels'][0]['name']
    assert '<img src=x onerror=' in name, name
    wait_until('the channel is on the page', 10, lambda: browser.script(names) == [name])
    assert browser.text('h1') == '<b>Home</b>'
    state = 'return document.querySelector("#channels .state").textContent'
    assert browser.script(state) == 'idle', browser.script(state)
    # Somebody watches: the page says who, and at what rate.
    viewer = media.Viewer(here, url, at='tv2')
    viewer.wait_key()
    rows = 'return Array.from(document.querySelectorAll("#viewers tbody tr")).map(e => e.innerText)'
    wait_until('the viewer is on the page', 10, lambda: [
        row for row in browser.script(rows) if LAN['tv2'] in row and 'Mbit/s' in row])
    print('    ' + browser.script(rows)[0].replace('\t', '  '))
    wait_until('the state is playing', 10, lambda: browser.script(state) == 'playing')
    # The row opens: the address for players is the one that plays.
    browser.click('#channels .row')
    assert browser.text('#channels .address') == url, browser.text('#channels .address')
    # A star, and the television has it among the favourites.
    browser.click('#channels .favourite')
    wait_until('the star is set', PATIENCE, lambda: '★' in browser.text('#channels .favourite'))
    with here.at('tv'):
        server = control_point.find('lan0', seconds=10)
        assert [i['title'] for i in server.items('favourites:')] == [name], server.items()
    # A television is there, and is told to play it and to stop.
    tv = test_play.Set(here, name='<b>Set</b>')
    tv.announce()
    wait_until('the television is on the page', PATIENCE, lambda: '<b>Set</b>' in browser.text('#renderers'))
    browser.click('#channels .row')
    browser.click('#channels .row')  # shut and open: with a button for it now
    browser.click('#channels .play')
    wait_until('it plays', PATIENCE, lambda: tv.uri == url and 'playing' in browser.text('#renderers'))
    browser.click('#renderers .stop')
    wait_until('it has stopped', PATIENCE, lambda: tv.state == 'STOPPED' and 'stopped' in
               browser.text('#renderers'))
    # A pasted link becomes a channel; a wrong one gets a sentence.
    other = here.run('origin2', [world.program('ppsp-origin'), '--http', '127.0.0.1:7575', '--peer',
                                 f'{INTERNET["p3"]}:7576', '--channel', 'other=Other', '--state',
                                 os.path.join(here.folder, 'other')], 'p3')
    here.wait_healthy('p3', 'http://127.0.0.1:7575/channels.m3u', other)
    link = next(line for line in here.get('p3', 'http://127.0.0.1:7575/channels.m3u').decode()
                .splitlines() if line.startswith('ppsp:'))
    browser.type('#link', 'ppsp:nonsense')
    browser.click('#add button')
    wait_until('a sentence about the wrong link', 5, lambda: browser.text('#added'))
    print('    ' + browser.text('#added'))
    assert 'added' not in browser.text('#added')
    browser.script('document.getElementById("link").value = ""')
    browser.type('#link', link)
    browser.type('#title', 'Pasted <i>')
    browser.click('#add button')
    wait_until('the pasted channel is on the page', 5,
               lambda: 'Pasted <i>' in browser.script(names), every=0.1)
    # It goes again, after a question.
    browser.script('Array.from(document.querySelectorAll("#channels .row")).find('
                   'e => e.textContent.includes("Pasted")).click()')
    browser.click('#channels .danger')
    browser.call('POST', '/alert/accept')
    wait_until('it is gone', 5, lambda: 'Pasted <i>' not in browser.script(names), every=0.1)
    # What was loaded, from where, how large; and nothing ran that should not.
    loaded = browser.script('return performance.getEntriesByType("resource").map('
                            'e => [e.name, e.encodedBodySize])')
    assert all(name.startswith(PAGE) for name, _ in loaded), loaded
    static = sum(size for name, size in loaded if '/api/' not in name)
    figure('page, scripts and style', static, 60_000, 'bytes')
    assert static < 60_000
    assert browser.script('return window.pwned || null') is None
    severe = [line for line in browser.call('POST', '/se/log', type='browser')
              if line['level'] == 'SEVERE' and '400' not in line['message']]
    assert not severe, severe
    assert len(encoder.sent) > 0
    time.sleep(0.1)


def the_page_is_closed_to_foreign_hosts(here):
    here.build_network()
    here.gateway(lists=False)
    code, headers, _ = here.status('tv', PAGE)
    assert code == 200, code
    policy = headers['Content-Security-Policy']
    assert policy and "default-src 'self'" in policy and 'unsafe' not in policy, policy
    assert headers['X-Content-Type-Options'] == 'nosniff', str(headers)
    for host in ('evil.example', 'evil.example:8574', '192.168.77.1.evil.example'):
        code, _, _ = here.status('tv', PAGE, headers={'Host': host})
        figure(f'Host: {host}', code, 'a 4xx', '')
        assert 400 <= code < 500
    # Nothing listens toward the Internet but the peer protocol.
    for port in (8574, 8575):
        body = here.get('p1', f'http://{INTERNET["gw"]}:{port}/', timeout=2, quiet=True)
        assert body is None, f'port {port} answers the Internet'
    with open(f'/proc/{here.processes[-1].pid}/net/tcp', encoding='ascii') as file:
        listening = [line.split()[1] for line in file if ' 0A ' in line]
    wan = [entry for entry in listening if entry.startswith(('0121160B', '00000000'))]
    assert not wan, wan


if __name__ == '__main__':
    raise SystemExit(world.main(__file__, [
        the_page_shows_and_does_what_it_says,
        the_page_is_closed_to_foreign_hosts]))

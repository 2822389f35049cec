#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The household's page in a real browser (Chromium by WebDriver), on the home's side of the gateway."""

import json
import os
import re
import shutil
import time
import urllib.error
import urllib.request

import control_point
import media
import test_play
import world
from world import INTERNET, LAN, PATIENCE, figure, wait_until

PAGE = f'http://{LAN["gw"]}:8574/'
ELEMENT = 'element-6066-11e4-a52e-4f735466cecf'  # W3C WebDriver, section 12


class Refused(Exception):
    """An error of WebDriver: its name (section 6.6), and what the driver says of it."""

    def __init__(self, error, message):
        super().__init__(f'{error}: {message}')
        self.error = error


class Browser:
    """As much of the WebDriver protocol as is needed."""
    # The page draws itself anew when it likes: who finds an element, and uses it in a second call,
    # may hold one that has gone, or press what has moved to its place. So this is one call; it
    # presses only what a finger could.
    PRESS = """
        const e = document.querySelector(arguments[0]);
        if (!e || e.disabled) return false;
        e.scrollIntoView({ block: 'center', behavior: 'instant' });
        const at = e.getBoundingClientRect();
        if (!e.contains(document.elementFromPoint(at.left + at.width / 2, at.top + at.height / 2))) return false;
        e.focus();
        e.click();
        return true;
        """

    def __init__(self, here, at='tv'):
        for tool in ('chromedriver', 'chromium'):
            if not shutil.which(tool):
                raise world.Skip(f'no {tool} (package chromium-driver)')
        self.here, self.at = here, at
        self.driver = here.run('chromedriver', ['chromedriver', '--port=9515'], at,
                               env={'HOME': here.folder, 'XDG_CONFIG_HOME': here.folder})
        here.wait_healthy(at, 'http://127.0.0.1:9515/status', self.driver)
        self.base = 'http://127.0.0.1:9515/session'
        arguments = ['--headless=new', '--no-sandbox', '--disable-gpu', '--no-first-run',
                     '--disable-background-networking', '--disable-component-update',
                     '--disable-sync', '--disable-dev-shm-usage', '--no-proxy-server',
                     # Nobody answers it here, and the first page would wait for that.
                     '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 192.168.77.*',
                     f'--user-data-dir={os.path.join(here.folder, "browser")}']
        session = self.call('POST', '', capabilities={'alwaysMatch': {
            'unhandledPromptBehavior': 'ignore', 'goog:chromeOptions': {'args': arguments},
            'goog:loggingPrefs': {'browser': 'ALL'}}})
        self.base += '/' + session['sessionId']
        here.closers.append(self.quit)

    def call(self, method, path, **body):
        data = json.dumps(body).encode() if method == 'POST' else None
        request = urllib.request.Request(self.base + path, data=data, method=method,
                                         headers={'Content-Type': 'application/json'})
        try:
            with self.here.at(self.at), urllib.request.urlopen(request, timeout=2 * PATIENCE) as answer:
                return json.load(answer)['value']
        except urllib.error.HTTPError as error:
            value = json.load(error)['value']
            raise Refused(value['error'], value['message']) from None

    def script(self, text, *arguments):
        return self.call('POST', '/execute/sync', script=text, args=list(arguments))

    def type(self, selector, text):
        """Into a field that the page never draws anew."""
        element = self.call('POST', '/element', using='css selector', value=selector)[ELEMENT]
        self.call('POST', f'/element/{element}/value', text=text)

    def click(self, selector):
        def pressed():
            try:
                return self.script(self.PRESS, selector)
            except Refused as error:
                if error.error != 'unexpected alert open':  # the page asks something: so it was
                    raise
                return True
        wait_until(f'{selector} can be clicked', PATIENCE, pressed)

    def text(self, selector):
        """What of it can be seen; nothing where there is no such element."""
        return self.script('const e = document.querySelector(arguments[0]); return e ? e.innerText : "";', selector)

    def wait_text(self, selector, text):
        wait_until(f'{selector} says {text}', PATIENCE, lambda: text in self.text(selector))

    def quit(self):
        try:
            self.call('DELETE', '')
        except (OSError, Refused):
            pass


def the_page_shows_and_does_what_it_says(here):
    here.build_network()
    here.tracker()
    evil = "<img src=x onerror='window.pwned=1'> & 'News'"  # a list has no other quotes
    here.origin('--channel', f'one={evil}')
    folder = os.path.join(here.folder, 'recordings')
    here.gateway('--name', '<b>Home</b>', '--recordings', folder)
    encoder = media.Encoder(here, 'one')
    url = here.wait_channels(1)[0]
    browser = Browser(here)
    browser.call('POST', '/url', url=PAGE)
    names = 'return Array.from(document.querySelectorAll("#channels .title")).map(e => e.textContent)'
    name = json.loads(here.get('tv', PAGE + 'api/v1/channels'))['channels'][0]['name']
    assert '<img src=x onerror=' in name, name
    wait_until('the channel is on the page', PATIENCE, lambda: browser.script(names) == [name])
    assert browser.text('h1') == '<b>Home</b>'
    assert browser.text('#channels .state') == 'idle'
    # Somebody watches: the page says who, and at what rate.
    viewer = media.Viewer(here, url, at='tv2')
    viewer.wait_key()
    rows = 'return Array.from(document.querySelectorAll("#viewers tbody tr")).map(e => e.innerText)'
    seen = []

    def watched():
        seen[:] = [row for row in browser.script(rows) if LAN['tv2'] in row and 'Mbit/s' in row]
        return seen
    wait_until('the viewer is on the page', PATIENCE, watched)
    print('    ' + seen[0].replace('\t', '  '))
    browser.wait_text('#channels .state', 'playing')
    # The row opens: the address for players is the one that plays.
    browser.click('#channels .row')
    wait_until('the row is open', PATIENCE, lambda: browser.text('#channels .details'))
    assert browser.text('#channels .address') == url, browser.text('#channels .address')
    # A star, and the television has it among the favourites.
    # By a remote: the list is read again, and the focus is not sent back to the top of the page.
    lists = 'return performance.getEntriesByType("resource").filter(e => e.name.endsWith("/channels")).length'
    before = browser.script(lists)
    browser.click('#channels .favourite')
    browser.wait_text('#channels .favourite', '★')
    wait_until('the list is read again', PATIENCE, lambda: browser.script(lists) > before)
    time.sleep(0.5)
    assert browser.script('return document.activeElement.className') == 'favourite'
    with here.at('tv'):
        server = control_point.find('lan0', seconds=PATIENCE)
        assert [i['title'] for i in server.items('favourites:')] == [name], server.items()
    # It is recorded, shared, and thrown away.
    browser.click('#channels .record')
    browser.wait_text('#recorded', 'is recorded.')
    wait_until('something is recorded', PATIENCE, lambda: re.search(
        r': recording until \d\d:\d\d, [1-9]\d* MB', browser.text('#recordings')))
    browser.click('#recordings .record')  # Stop
    browser.wait_text('#recordings', ': done, ')
    file = browser.script('return document.querySelector("#recordings a").href')
    assert len(here.get('tv', file)) > 500_000
    browser.click('#recordings .record')  # Share
    browser.wait_text('#recordings', ', shared: ')
    assert browser.text('#recordings .link') == 'Copy link'
    browser.click('#recordings .record:last-of-type')  # Delete
    browser.call('POST', '/alert/accept')
    wait_until('no recording is left', PATIENCE, lambda: not browser.text('#recordings'))
    wait_until('nor its file', PATIENCE, lambda: not any(name.startswith('rec-') for name in os.listdir(folder)))
    # A television is there, and is told to play it and to stop.
    tv = test_play.Set(here, name='<b>Set</b>')
    tv.announce()
    browser.wait_text('#renderers', '<b>Set</b>')
    browser.click('#channels .row')  # shut and open: with a button for it now
    wait_until('the row is shut', PATIENCE, lambda: not browser.text('#channels .details'))
    browser.click('#channels .row')
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
    wait_until('a sentence about the wrong link', PATIENCE, lambda: browser.text('#added'))
    print('    ' + browser.text('#added'))
    assert 'added' not in browser.text('#added')
    browser.script('document.getElementById("link").value = ""')
    browser.type('#link', link)
    browser.type('#title', 'Pasted <i>')
    browser.click('#add button')
    wait_until('the pasted channel is on the page', PATIENCE, lambda: 'Pasted <i>' in browser.script(names))
    # It goes again, after a question.
    wait_until('its row is opened', PATIENCE, lambda: browser.script(
        'const e = Array.from(document.querySelectorAll("#channels .row")).find('
        'e => e.textContent.includes("Pasted")); if (e) e.click(); return !!e;'))
    browser.click('#channels .danger')
    browser.call('POST', '/alert/accept')
    wait_until('it is gone', PATIENCE, lambda: 'Pasted <i>' not in browser.script(names))
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


def a_film_goes_on_and_a_report_is_given(here):
    here.build_network()
    here.gateway(lists=False)
    body = json.dumps({'link': 'ppsp:' + '5a' * 32 + '?cl=1000000&ty=video%2Fmp4', 'name': 'Film'})
    assert here.status('tv', PAGE + 'api/v1/channels', 'POST', {
        'X-PPSP': '1', 'Content-Type': 'application/json'}, body.encode())[0] == 201
    with here.at('tv'):
        server = control_point.find('lan0', seconds=PATIENCE)
        server.call(control_point.DIRECTORY, 'X_SetBookmark', CategoryType=0, RID=0, ObjectID='film',
                    PosSecond=3754)
    browser = Browser(here)
    browser.call('POST', '/url', url=PAGE)
    wait_until('the film is on the page', PATIENCE, lambda: browser.text('#channels .title') == 'Film')
    browser.click('#channels .row')
    browser.wait_text('#channels .resume', 'Resume at 1:02:34')
    target = 'return document.querySelector(arguments[0]).href'
    playlist = here.get('tv', browser.script(target, '#channels .resume')).decode()
    assert '#EXTVLCOPT:start-time=3754' in playlist, playlist
    report = here.get('tv', browser.script(target, '#report')).decode()
    assert 'X_SetBookmark film' in report, report


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
        a_film_goes_on_and_a_report_is_given,
        the_page_is_closed_to_foreign_hosts]))

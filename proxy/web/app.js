/* SPDX-License-Identifier: Apache-2.0 */
/* Written for the browsers of televisions too: no module, no promise, nothing that is newer than
 * they are. All that comes from outside is set as text, never as markup. */
(function () {
  'use strict';

  var POLL = 2000, SHOWN = 200;
  var renderers = [], channels = [], generation = -1, active = {}, open = null, loading = false;
  var records = false; /* is anything recorded here? */

  function get(id) { return document.getElementById(id); }

  function element(name, className, text) {
    var e = document.createElement(name);
    if (className) e.className = className;
    if (text !== undefined) e.textContent = text;
    return e;
  }

  function clear(e) { while (e.firstChild) e.removeChild(e.firstChild); }

  function request(method, path, body, done) {
    var r = new XMLHttpRequest();
    r.open(method, path);
    r.timeout = 10000;
    if (method !== 'GET') {
      r.setRequestHeader('X-PPSP', '1');
      r.setRequestHeader('Content-Type', 'application/json');
    }
    r.onload = function () {
      var answer = null;
      try { answer = r.responseText ? JSON.parse(r.responseText) : null; } catch (e) { answer = null; }
      done(r.status, answer);
    };
    r.onerror = r.ontimeout = function () { done(0, null); };
    r.send(body ? JSON.stringify(body) : null);
  }

  function rate(bytes) {
    var bits = bytes * 8;
    if (bits >= 1e6) return (bits / 1e6).toFixed(1) + ' Mbit/s';
    return Math.round(bits / 1e3) + ' kbit/s';
  }

  function span(seconds) {
    var s = Math.floor(seconds);
    if (s < 60) return s + ' s';
    if (s < 3600) return Math.floor(s / 60) + ' min';
    return Math.floor(s / 3600) + ' h ' + Math.floor(s % 3600 / 60) + ' min';
  }

  function address(channel) { return location.protocol + '//' + location.host + channel.path; }

  /* The clipboard proper is only there on https. */
  function copy(text, button) {
    var field = element('textarea'), before = button.textContent;
    var ok = false;
    field.value = text;
    document.body.appendChild(field);
    field.select();
    try { ok = document.execCommand('copy'); } catch (e) { ok = false; }
    document.body.removeChild(field);
    button.textContent = ok ? 'Copied' : 'Please copy it by hand';
    button.focus();
    setTimeout(function () { button.textContent = before; }, 2000);
  }

  function remove(channel) {
    if (!window.confirm('Remove ' + channel.name + '?')) return;
    request('DELETE', '/api/v1/channels/' + encodeURIComponent(channel.id), null, function (status, answer) {
      get('added').textContent = status === 204 ? '' : (answer && answer.error) || 'That did not work.';
      poll();
    });
  }

  function markFavourite(channel, button) {
    var wanted = !channel.favourite;
    request(wanted ? 'PUT' : 'DELETE', '/api/v1/channels/' + encodeURIComponent(channel.id) + '/favourite', null,
      function (status) {
        if (status !== 204) return;
        channel.favourite = wanted;
        showFavourite(button, wanted);
        poll();
      });
  }

  function showFavourite(button, marked) {
    button.textContent = marked ? '★ Favourite' : '☆ Favourite';
    button.setAttribute('aria-pressed', marked ? 'true' : 'false');
  }

  function tell(renderer, verb, body, button) {
    if (button) button.disabled = true;
    request('POST', '/api/v1/renderers/' + encodeURIComponent(renderer.id) + '/' + verb, body || {}, function (status, answer) {
      if (button) button.disabled = false;
      if (status !== 204 && button) button.textContent = (answer && answer.error) || 'That did not work.';
      loadRenderers();
    });
  }

  /* What a television does, in words; a list of them with what can be done about it. */
  function showRenderers() {
    var list = get('renderers');
    get('renderers-section').hidden = renderers.length === 0;
    if (list.contains(document.activeElement)) return;
    clear(list);
    renderers.forEach(function (r) {
      var item = element('li', r.error ? 'error' : '');
      var text = r.name + (r.model && r.model !== r.name ? ' (' + r.model + ')' : '') + ': ' + r.state;
      if (r.channel) text += ', ' + (r.channel_name || r.channel);
      if (r.error) text += '. ' + r.error;
      item.appendChild(element('span', '', text));
      if (r.channel || r.state === 'playing' || r.state === 'paused') {
        var stop = element('button', 'stop', 'Stop');
        stop.type = 'button';
        stop.onclick = function () { stop.blur(); tell(r, 'stop'); };
        item.appendChild(stop);
      }
      list.appendChild(item);
    });
  }

  function loadRenderers() {
    request('GET', '/api/v1/renderers', null, function (status, answer) {
      if (status !== 200 || !answer) return;
      renderers = answer.renderers;
      showRenderers();
    });
  }

  /* A button that asks for something of recordings, and tells what came of it. */
  function recorder(text, method, path, body, question) {
    var button = element('button', 'record', text);
    button.type = 'button';
    button.onclick = function () {
      if (question && !window.confirm(question)) return;
      button.blur();
      request(method, '/api/v1/recordings' + path, body, function (status, answer) {
        get('recorded').className = status >= 200 && status < 300 ? '' : 'error';
        get('recorded').textContent = status === 201 ? answer.name + ' is recorded.'
          : status === 204 ? '' : (answer && answer.error) || 'That did not work.';
        loadRecordings();
      });
    };
    return button;
  }

  function recordButtons(channel, actions) {
    var p = programmes[channel.id] || {};
    if (!records || !channel.live || channel.mime !== 'video/mp2t') return;
    actions.appendChild(recorder('Record', 'POST', '', { channel: channel.id }));
    [p.now, p.next].forEach(function (programme) {
      if (programme) actions.appendChild(recorder('Record ' + clock(programme.start) + ' ' + programme.title, 'POST', '',
        { channel: channel.id, programme: programme.start }));
    });
  }

  function describeRecording(r) {
    var text = r.name + ': ' + r.state;
    if (r.state === 'scheduled' || r.state === 'recording') text += ' until ' + clock(r.stop);
    if (r.bytes) text += ', ' + Math.round(r.bytes / 1e6) + ' MB';
    if (r.shared) text += r.link ? ', shared: ' + Math.round(r.uploaded / 1e6) + ' MB given' : ', to be shared';
    return [text, r.error, r.share_error, r.tracker_error && 'Tracker: ' + r.tracker_error].filter(Boolean).join('. ');
  }

  function showRecordings(recordings) {
    var list = get('recordings');
    get('no-recordings').hidden = recordings.length > 0;
    if (list.contains(document.activeElement)) return;
    clear(list);
    recordings.reverse().forEach(function (r) {
      var item = element('li', r.error || r.share_error ? 'error' : '');
      var path = '/' + r.id, link, copier;
      item.appendChild(element('span', '', describeRecording(r)));
      if (r.path) {
        link = element('a', 'button', 'Open here');
        link.href = r.path;
        item.appendChild(link);
      }
      if (r.state === 'recording') item.appendChild(recorder('Stop', 'POST', path + '/stop'));
      if (r.state !== 'failed') item.appendChild(recorder(r.shared ? 'Share no more' : 'Share', r.shared ? 'DELETE' : 'PUT', path + '/share'));
      if (r.link) {
        copier = element('button', 'link', 'Copy link');
        copier.type = 'button';
        copier.onclick = function () { copy(r.link, copier); copier.blur(); };
        item.appendChild(copier);
      }
      item.appendChild(recorder('Delete', 'DELETE', path, null, 'Delete ' + r.name + '?'));
      list.appendChild(item);
    });
  }

  function loadRecordings() {
    get('recordings-section').hidden = !records;
    if (!records) return;
    request('GET', '/api/v1/recordings', null, function (status, answer) {
      if (status === 200 && answer) showRecordings(answer.recordings);
    });
  }

  function playButtons(channel, actions) {
    renderers.forEach(function (r) {
      var button = element('button', 'play', 'Play on ' + r.name);
      button.type = 'button';
      button.onclick = function () { tell(r, 'play', { channel: channel.id }, button); };
      actions.appendChild(button);
    });
  }

  function details(channel) {
    var box = element('div', 'details');
    var actions = element('div', 'actions');
    var copier = element('button', '', 'Copy address');
    var player = element('a', 'button', 'Open in a player');
    var direct = element('a', 'button', 'Open here');
    var remover = element('button', 'danger', 'Remove');
    var favourite = element('button', 'favourite');
    showFavourite(favourite, channel.favourite);
    favourite.onclick = function () { markFavourite(channel, favourite); };
    copier.type = remover.type = favourite.type = 'button';
    copier.onclick = function () { copy(address(channel), copier); };
    player.href = '/channels.m3u?id=' + encodeURIComponent(channel.id);
    direct.href = channel.path;
    remover.onclick = function () { remove(channel); };
    actions.appendChild(copier);
    actions.appendChild(player);
    actions.appendChild(direct);
    if (channel.stopped) {
      var resume = element('a', 'button resume', 'Resume at ' + place(channel.stopped));
      resume.href = player.href + '&resume=1';
      actions.appendChild(resume);
    }
    if (channel.hls) {
      var hls = element('a', 'button', 'HLS');
      hls.href = channel.hls;
      actions.appendChild(hls);
    }
    playButtons(channel, actions);
    recordButtons(channel, actions);
    actions.appendChild(favourite);
    actions.appendChild(remover);
    box.appendChild(actions);
    box.appendChild(element('p', 'facts'));
    return box;
  }

  function toggle(item) {
    var before = open;
    if (before) {
      before.removeChild(before.lastChild);
      before.firstChild.setAttribute('aria-expanded', 'false');
    }
    open = before === item ? null : item;
    if (open) {
      open.appendChild(details(open.channel));
      open.firstChild.setAttribute('aria-expanded', 'true');
      showState(open);
    }
  }

  var programmes = {}, asked = 0;

  function clock(seconds) {
    var time = new Date(seconds * 1000);
    return ('0' + time.getHours()).slice(-2) + ':' + ('0' + time.getMinutes()).slice(-2);
  }

  function showNow(item) {
    var p = programmes[item.channel.id], text = [];
    if (p && p.now) text.push(clock(p.now.start) + ' ' + p.now.title);
    if (p && p.next) text.push(clock(p.next.start) + ' ' + p.next.title);
    item.now.textContent = text.join('. ');
  }

  /* Once a minute is often enough for what changes by the quarter of an hour. */
  function loadProgrammes() {
    if (Date.now() - asked < 60000) return;
    asked = Date.now();
    request('GET', '/api/v1/now', null, function (status, answer) {
      if (status !== 200 || !answer) return;
      programmes = answer;
      Array.prototype.forEach.call(get('channels').children, showNow);
    });
  }

  function place(seconds) {
    return Math.floor(seconds / 3600) + ':' + ('0' + Math.floor(seconds / 60) % 60).slice(-2) + ':' +
      ('0' + Math.floor(seconds) % 60).slice(-2);
  }

  function showState(item) {
    var a = active[item.channel.id];
    var name = a ? a.state : 'idle';
    var facts = '';
    item.state.className = 'state ' + name;
    item.state.textContent = name;
    if (a && a.state !== 'failed') facts = a.peers + (a.peers === 1 ? ' peer, ' : ' peers, ') + rate(a.down_rate);
    item.facts.textContent = facts;
    if (item !== open) return;
    var text = [];
    if (!a) text.push('Nobody watches it; it is joined when a player asks.');
    if (a && a.error) text.push(a.error);
    if (a && a.tracker_error) text.push('Tracker: ' + a.tracker_error);
    if (a && a.state !== 'failed') text.push('Given to others: ' + rate(a.up_rate) + '. Missed: ' + a.skipped + ' chunks.');
    if (a && a.fallback > 0) text.push('From fall-back servers: ' + (a.fallback / 1e6).toFixed(1) + ' MB.');
    if (a && a.fallback_error) text.push('Fall-back ' + a.fallback_error + '.');
    item.lastChild.lastChild.textContent = text.join(' ');
  }

  function logo(channel) {
    var picture = element('img', 'logo');
    picture.alt = '';
    picture.setAttribute('loading', 'lazy');
    picture.onerror = function () { picture.style.visibility = 'hidden'; };
    picture.src = '/logo/' + encodeURIComponent(channel.id) + '.jpg';
    return picture;
  }

  function makeItem(channel) {
    var item = element('li');
    var row = element('button', 'row');
    row.type = 'button';
    row.setAttribute('aria-expanded', 'false');
    row.appendChild(element('span', 'position', channel.number || ''));
    if (channel.logo) row.appendChild(logo(channel));
    row.appendChild(element('span', 'title', channel.name));
    row.appendChild(element('span', 'group hide-small', channel.group || ''));
    item.now = row.appendChild(element('span', 'now hide-small'));
    item.facts = row.appendChild(element('span', 'facts'));
    item.state = row.appendChild(element('span', 'state'));
    item.channel = channel;
    item.appendChild(row);
    /* Beside the button, not in it: there it could not be marked. */
    item.appendChild(element('span', 'address', address(channel)));
    row.onclick = function () { toggle(item); };
    return item;
  }

  /* A row whose channel is as it was stays: it may be open, have the focus, or be under a finger. */
  function showChannels() {
    var list = get('channels');
    var wanted = get('search').value.toLowerCase();
    var found = 0, rows = {}, items = [], openId = open && open.channel.id, focused = null;
    if (document.activeElement && document.activeElement.parentNode && document.activeElement.parentNode.channel)
      focused = document.activeElement.parentNode.channel.id;
    Array.prototype.forEach.call(list.children, function (item) { rows[item.channel.id] = item; });
    channels.forEach(function (channel, i) {
      var item = rows[channel.id];
      if (wanted && (channel.name + ' ' + (channel.group || '')).toLowerCase().indexOf(wanted) < 0) return;
      found++;
      if (items.length >= SHOWN) return;
      if (item && JSON.stringify(item.channel) === JSON.stringify(channel)) channels[i] = item.channel;
      else item = makeItem(channel);
      items.push(item);
    });
    Array.prototype.slice.call(list.children).forEach(function (item) {
      if (items.indexOf(item) < 0) list.removeChild(item);
    });
    if (items.indexOf(open) < 0) open = null;
    items.forEach(function (item, i) {
      if (list.children[i] !== item) list.insertBefore(item, list.children[i] || null);
      showState(item);
      showNow(item);
      if (item.channel.id === openId && !open) toggle(item);
      if (item.channel.id === focused) item.firstChild.focus();
    });
    get('no-channels').hidden = channels.length > 0;
    get('more').hidden = found <= items.length;
    get('more').textContent = (found - items.length) + ' more; search to find them.';
  }

  function showViewers(viewers) {
    var body = get('viewers').tBodies[0];
    clear(body);
    viewers.forEach(function (viewer) {
      var row = element('tr');
      row.appendChild(element('td', '', viewer.name));
      row.appendChild(element('td', '', viewer.viewer));
      row.appendChild(element('td', 'number', rate(viewer.rate)));
      row.appendChild(element('td', 'number', viewer.first_byte_ms < 0 ? '…' : viewer.first_byte_ms + ' ms'));
      row.appendChild(element('td', 'number', viewer.behind_ms < 0 ? '' : span(viewer.behind_ms / 1000)));
      row.appendChild(element('td', 'number', span(viewer.seconds)));
      body.appendChild(row);
    });
    get('viewers').hidden = viewers.length === 0;
    get('no-viewers').hidden = viewers.length > 0;
  }

  function showLines(id, lines) {
    var list = get(id);
    clear(list);
    lines.forEach(function (line) { list.appendChild(element('li', line.bad ? 'error' : '', line.text)); });
    list.hidden = lines.length === 0;
  }

  function showLists(lists) {
    get('lists-section').hidden = lists.length === 0;
    showLines('lists', lists.map(function (list) {
      var text = list.uri + ': ' + list.channels + (list.channels === 1 ? ' channel' : ' channels');
      if (list.duplicates) text += ', ' + list.duplicates + ' duplicates';
      if (list.rubbish) text += ', ' + list.rubbish + ' lines of no use';
      if (list.truncated) text += ', longer than the limit';
      if (list.error) text += '. ' + list.error;
      return { text: text, bad: !!list.error };
    }));
  }

  function showStatus(status) {
    document.title = status.name;
    get('name').textContent = status.name;
    get('version').textContent = 'ppsp-proxy ' + status.version + ', up ' + span(status.uptime);
    get('summary').textContent = status.n_channels + (status.n_channels === 1 ? ' channel, ' : ' channels, ') + status.viewers.length + ' watching, ' +
      rate(status.down_rate) + ' in, ' + rate(status.up_rate) + ' to other peers';
    active = {};
    status.active.forEach(function (a) { active[a.id] = a; });
    showViewers(status.viewers);
    showLists(status.lists);
    records = status.records;
    showLines('warnings', status.warnings.map(function (text) { return { text: text }; }));
    Array.prototype.forEach.call(get('channels').children, showState);
    if (status.generation !== generation && !loading) loadChannels();
  }

  function loadChannels() {
    loading = true;
    request('GET', '/api/v1/channels', null, function (status, answer) {
      loading = false;
      if (status !== 200 || !answer) return;
      generation = answer.generation;
      channels = answer.channels;
      showChannels();
    });
  }

  var timer = null;
  function poll() {
    clearTimeout(timer);
    if (document.hidden) return;
    request('GET', '/api/v1/status', null, function (status, answer) {
      if (status === 200 && answer) showStatus(answer);
      else get('summary').textContent = 'The gateway does not answer.';
      loadRenderers();
      loadProgrammes();
      loadRecordings();
      clearTimeout(timer);
      timer = setTimeout(poll, POLL);
    });
  }

  get('add').onsubmit = function (event) {
    event.preventDefault();
    request('POST', '/api/v1/channels', { link: get('link').value, name: get('title').value }, function (status, answer) {
      var ok = status === 201 || status === 200;
      get('added').className = ok ? '' : 'error';
      get('added').textContent = ok ? answer.name + (status === 201 ? ' was added.' : ' is there already.')
        : (answer && answer.error) || 'That did not work.';
      if (ok) {
        get('link').value = get('title').value = '';
        poll();
      }
    });
  };

  get('search').oninput = showChannels;
  document.addEventListener('visibilitychange', poll);

  /* A remote has arrows and OK, and no tabulator. */
  document.addEventListener('keydown', function (event) {
    var step = event.key === 'ArrowDown' || event.keyCode === 40 ? 1 : event.key === 'ArrowUp' || event.keyCode === 38 ? -1 : 0;
    if (!step) return;
    var stops = Array.prototype.filter.call(document.querySelectorAll('a[href], button, input'), function (e) {
      return e.offsetParent !== null;
    });
    var next = stops[stops.indexOf(document.activeElement) + step];
    if (next) {
      next.focus();
      event.preventDefault();
    }
  });

  poll();
}());

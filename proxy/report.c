/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/report.h"
#include "peer/address.h"
#include "proxy/api.h"
#include "proxy/interfaces.h"
#include <string.h>

static long long
seconds_since (int64_t then)
{
  return (g_get_monotonic_time () - then) / G_USEC_PER_SEC;
}

/* A word that others wrote, without what may be secret in it: a link names a swarm, a URI may have a
 * password in front of its host and a token behind it, and an address that the Internet routes tells whose
 * home this is. */
static void
append_word (GString *out, const char *word)
{
  const char *link = strstr (word, "ppsp:"), *scheme = strstr (word, "://");
  PeerAddress address;
  if (peer_address_parse_ip (word, 1, &address) && !peer_address_is_private (&address))
    g_string_append (out, "(Internet address)");
  else if (link && (!scheme || link < scheme)) {
    g_string_append_len (out, word, link - word);
    g_string_append (out, "ppsp:...");
  } else if (scheme) {
    const char *host = scheme + strlen ("://"), *end = host + strcspn (host, "/?#");
    const char *at = strrchr (host, '@');
    g_string_append_len (out, word, host - word);
    if (at && at < end)
      g_string_append_len (out, at + 1, end - at - 1);
    else if (!at) /* else nobody knows where the host is */
      g_string_append_len (out, host, end - host);
    if (*end)
      g_string_append (out, "/...");
  } else
    g_string_append (out, word);
}

static void
append_public (GString *out, const char *text)
{
  g_auto (GStrv) words = g_strsplit_set (text, " \t\r\n", -1);
  for (size_t i = 0; words[i]; i++) {
    if (i > 0)
      g_string_append_c (out, ' ');
    append_word (out, words[i]);
  }
}

static void
append_error (GString *out, const char *error)
{
  if (!error)
    return;
  g_string_append (out, "; ");
  append_public (out, error);
}

static void
write_head (const ProxyParts *with, GString *out, int64_t started)
{
  g_autoptr (GDateTime) now = g_date_time_new_now_utc ();
  g_autofree char *time = g_date_time_format (now, "%Y-%m-%dT%H:%M:%SZ");
  g_autoptr (GPtrArray) warnings = proxy_api_warnings (with);
  g_string_append_printf (out, "ppsp-proxy %s, up %lld s, at %s\n", PPSP_VERSION,
                          seconds_since (started), time);
  g_string_append_printf (out, "\nWarnings: %u\n", warnings->len);
  for (guint i = 0; i < warnings->len; i++) {
    g_string_append (out, "  ");
    append_public (out, warnings->pdata[i]);
    g_string_append_c (out, '\n');
  }
}

static void
write_interfaces (const ProxyParts *with, GString *out)
{
  g_autoptr (GPtrArray) all = proxy_interfaces_read ();
  DlnaServerStats stats;
  g_string_append_printf (out, "\nInterfaces: %u addresses\n", all->len);
  for (guint i = 0; i < all->len; i++) {
    const ProxyInterface *interface = all->pdata[i];
    g_string_append_printf (out, "  %s ", interface->name);
    append_word (out, interface->ip);
    g_string_append_printf (out, "%s\n", interface->default_route ? ", default route" : "");
  }
  if (!with->media_server || !with->media_server (&stats, with->data))
    return;
  g_string_append_printf (out, "  MediaServer: announced on %u, %u subscriptions\n",
                          stats.interfaces, stats.subscriptions);
  g_string_append_printf (out,
                          "  refused: far clients %" G_GUINT64_FORMAT
                          ", wrong hosts %" G_GUINT64_FORMAT ", large bodies %" G_GUINT64_FORMAT
                          ", bad actions %" G_GUINT64_FORMAT ", bad callbacks %" G_GUINT64_FORMAT
                          ", many subscriptions %" G_GUINT64_FORMAT "\n",
                          stats.far_clients, stats.wrong_hosts, stats.large_bodies,
                          stats.bad_actions, stats.bad_callbacks, stats.many_subscriptions);
}

static void
write_channels (const ProxyParts *with, GString *out)
{
  g_autoptr (GPtrArray) active = proxy_sessions_list (with->sessions);
  g_autoptr (GPtrArray) failed = proxy_sessions_failed (with->sessions);
  g_string_append_printf (out, "\nChannels: %u known, %u in play, %u failed\n",
                          proxy_catalog_list (with->catalog)->len, active->len, failed->len);
  for (guint i = 0; i < active->len; i++) {
    const char *error = NULL, *id = proxy_session_id (active->pdata[i]);
    ProxySessionStats stats;
    proxy_session_stats (active->pdata[i], &stats);
    ProxyState state = proxy_sessions_state (with->sessions, id, NULL, &error);
    g_string_append_printf (
        out,
        "  %s: %s for %lld s, %u peers, %" G_GUINT64_FORMAT " bytes/s in, %" G_GUINT64_FORMAT
        " out, %" G_GUINT64_FORMAT " chunks late, %" G_GUINT64_FORMAT " bytes of fall-back%s",
        id, proxy_state_name (state), seconds_since (stats.since), stats.swarm.channels,
        stats.swarm.download_rate, stats.swarm.upload_rate, stats.skipped, stats.fallback.bytes,
        stats.tracker_joined ? ", tracker joined" : "");
    append_error (out, error);
    append_error (out, stats.tracker_joined ? NULL : stats.tracker_error);
    append_error (out, stats.fallback.error);
    g_string_append_c (out, '\n');
  }
  for (guint i = 0; i < failed->len; i++) {
    const char *error = NULL;
    proxy_sessions_state (with->sessions, failed->pdata[i], NULL, &error);
    g_string_append_printf (out, "  %s: failed", (const char *)failed->pdata[i]);
    append_error (out, error);
    g_string_append_c (out, '\n');
  }
}

static void
write_lists (const ProxyParts *with, GString *out)
{
  unsigned n = with->guide ? proxy_guide_n (with->guide) : 0;
  g_string_append_printf (out, "\nLists: %u\n", n);
  for (unsigned i = 0; i < n; i++) {
    ProxyGuideStatus status;
    proxy_guide_status (with->guide, i, &status);
    g_string_append (out, "  ");
    append_public (out, status.uri);
    g_string_append_printf (out, " %u channels, %u duplicates, %u lines of no use%s",
                            status.count.channels, status.count.duplicates, status.count.rubbish,
                            status.count.truncated ? ", longer than the limit" : "");
    append_error (out, status.error);
    g_string_append_c (out, '\n');
  }
}

/* Those that are done, and nothing is wrong with, are only counted. */
static void
write_recordings (const ProxyParts *with, GString *out)
{
  const GPtrArray *all = with->recordings ? proxy_recordings_list (with->recordings) : NULL;
  g_string_append_printf (out, "\nRecordings: %u, %" G_GUINT64_FORMAT " bytes\n",
                          all ? all->len : 0, all ? proxy_recordings_used (with->recordings) : 0);
  for (guint i = 0; all && i < all->len; i++) {
    const ProxyRecording *recording = all->pdata[i];
    if (recording->state == PROXY_RECORDING_DONE && !recording->error)
      continue;
    g_string_append_printf (out, "  %s of %s: %s, %" G_GUINT64_FORMAT " bytes", recording->id,
                            recording->channel, proxy_recording_state_name (recording->state),
                            recording->bytes);
    append_error (out, recording->error);
    g_string_append_c (out, '\n');
  }
}

static void
write_viewers (const ProxyParts *with, GString *out)
{
  g_autoptr (GPtrArray) viewers = with->media ? dlna_media_viewers (with->media) : NULL;
  g_string_append_printf (out, "\nWatching now: %u\n", viewers ? viewers->len : 0);
  for (guint i = 0; viewers && i < viewers->len; i++) {
    const DlnaViewer *viewer = viewers->pdata[i];
    g_string_append_printf (out, "  %s: ", viewer->item_id);
    append_public (out, viewer->viewer);
    g_string_append_printf (
        out, " (%s), %" G_GUINT64_FORMAT " bytes/s, %" G_GUINT64_FORMAT " bytes in %lld s",
        viewer->family, viewer->rate, viewer->bytes, seconds_since (viewer->since));
    if (viewer->behind >= 0)
      g_string_append_printf (out, ", %lld ms behind live", (long long)viewer->behind / 1000);
    if (viewer->first_byte >= 0)
      g_string_append_printf (out, ", the first after %lld ms\n",
                              (long long)viewer->first_byte / 1000);
    else
      g_string_append (out, ", none yet\n");
  }
}

static void
write_renderers (const ProxyParts *with, GString *out)
{
  unsigned n = with->renderers ? dlna_renderers_n (with->renderers) : 0;
  g_string_append_printf (out, "\nTelevisions that can be told to play: %u\n", n);
  for (unsigned i = 0; i < n; i++) {
    DlnaRendererStatus status;
    dlna_renderers_status (with->renderers, i, &status);
    g_string_append (out, "  ");
    append_word (out, status.ip);
    g_string_append_c (out, ' ');
    append_public (out, status.name);
    if (status.model) {
      g_string_append (out, ", ");
      append_public (out, status.model);
    }
    g_string_append_printf (out, ": %s%s%s", dlna_renderer_state_name (status.state),
                            status.item_id ? ", " : "", status.item_id ? status.item_id : "");
    append_error (out, status.error);
    g_string_append_c (out, '\n');
  }
}

static void
write_client (GString *out, const DlnaClient *client)
{
  g_autofree char *quirk = dlna_quirk_text (client->quirk);
  g_string_append (out, "  ");
  append_word (out, client->address);
  g_string_append_c (out, ' ');
  append_public (out, client->agent[0] ? client->agent : "(no User-Agent)");
  if (client->info[0]) {
    g_string_append (out, "; ");
    append_public (out, client->info);
  }
  g_string_append_printf (out, "\n    quirk: %s%s%s\n", client->quirk->family, quirk[0] ? ", " : "",
                          quirk);
  g_string_append_printf (out,
                          "    asked %" G_GUINT64_FORMAT ", refused %" G_GUINT64_FORMAT
                          ", streams %" G_GUINT64_FORMAT,
                          client->asked, client->refused, client->streams);
  if (client->streams > 0)
    g_string_append_printf (out, ", zap %lld ms, the slowest %lld ms",
                            (long long)client->zap / 1000, (long long)client->slowest_zap / 1000);
  g_string_append_c (out, '\n');
  for (const GList *l = client->events.head; l; l = l->next) {
    const DlnaClientEvent *event = l->data;
    g_string_append_printf (out, "    %lld s ago: %03u ", seconds_since (event->when),
                            event->status);
    append_public (out, event->what);
    if (event->times > 1)
      g_string_append_printf (out, ", %u times", event->times);
    g_string_append_c (out, '\n');
  }
}

GString *
proxy_report_write (const ProxyParts *with, int64_t started)
{
  const GPtrArray *clients = with->clients ? dlna_clients_list (with->clients) : NULL;
  GString *out = g_string_new (NULL);
  write_head (with, out, started);
  write_interfaces (with, out);
  write_channels (with, out);
  write_lists (with, out);
  write_recordings (with, out);
  write_viewers (with, out);
  write_renderers (with, out);
  g_string_append_printf (out, "\nWho asked what: %u\n", clients ? clients->len : 0);
  for (guint i = clients ? clients->len : 0; i > 0; i--)
    write_client (out, clients->pdata[i - 1]);
  return out;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A list is fetched whole (bounded in bytes and time), then read 100 lines at a time between other
 * work, so that a list of 20,000 channels never holds up a stream. Lists are read one after the
 * other. One that cannot be fetched, or in which there is no channel at all, changes nothing. */
#include "proxy/guide.h"
#include "peer/link.h"
#include "peer/net/fetch.h"
#include <string.h>

enum {
  LINES_AT_ONCE = 100,
  LINE_MAX_BYTES = 16384, /* a link has at most 8 KiB */
  NAME_MAX_LETTERS = 120,
  LOGO_MAX = 2048,
  REFRESH_S = 3600,
  RETRY_S = 2,  /* after a failure; doubled up to REFRESH_S */
  FETCH_S = 30, /* for a whole list */
};

/* --- the reader --- */

struct ProxyGuideReader {
  ProxyCatalog *catalog;
  char *source;
  GBytes *text;
  size_t at;
  bool cut; /* the list goes on behind text */
  bool finished;
  char *programmes;                    /* that the head of the list names */
  char *name, *logo, *group, *wish_id; /* of the next link */
  int number;
  ProxyGuideCount count;
};

ProxyGuideReader *
proxy_guide_reader_new (ProxyCatalog *catalog, const char *source, GBytes *text)
{
  ProxyGuideReader *self = g_new0 (ProxyGuideReader, 1);
  self->catalog = catalog;
  self->source = g_strdup (source);
  self->text = g_bytes_ref (text);
  const char *bytes = g_bytes_get_data (text, NULL);
  if (g_bytes_get_size (text) >= 3 && memcmp (bytes, "\xef\xbb\xbf", 3) == 0)
    self->at = 3; /* byte order mark */
  proxy_catalog_start_pass (catalog);
  return self;
}

static void
forget_entry (ProxyGuideReader *self)
{
  g_clear_pointer (&self->name, g_free);
  g_clear_pointer (&self->logo, g_free);
  g_clear_pointer (&self->group, g_free);
  g_clear_pointer (&self->wish_id, g_free);
  self->number = 0;
}

void
proxy_guide_reader_free (ProxyGuideReader *self)
{
  if (!self)
    return;
  forget_entry (self);
  g_bytes_unref (self->text);
  g_free (self->source);
  g_free (self->programmes);
  g_free (self);
}

const char *
proxy_guide_reader_programmes (const ProxyGuideReader *self)
{
  return self->programmes;
}

const ProxyGuideCount *
proxy_guide_reader_count (const ProxyGuideReader *self)
{
  return &self->count;
}

char *
proxy_guide_clean_name (const char *text)
{
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  GString *out = g_string_new (NULL);
  unsigned letters = 0;
  for (const char *c = valid; *c && letters < NAME_MAX_LETTERS; c = g_utf8_next_char (c)) {
    gunichar letter = g_utf8_get_char (c);
    bool space = g_unichar_isspace (letter) || g_unichar_iscntrl (letter);
    if (space && (out->len == 0 || out->str[out->len - 1] == ' '))
      continue;
    /* Format characters can turn the direction of the text around them. */
    if (g_unichar_type (letter) == G_UNICODE_FORMAT)
      continue;
    g_string_append_unichar (out, space ? ' ' : letter);
    letters++;
  }
  g_strchomp (out->str);
  out->len = strlen (out->str);
  return g_string_free (out, out->len == 0);
}

/* The value of key="value" in the head of an #EXTINF line, or NULL. */
static char *
attribute (const char *head, const char *key)
{
  g_autofree char *pattern = g_strconcat (key, "=\"", NULL);
  const char *found = head;
  while ((found = strstr (found, pattern))) {
    if (found > head && (found[-1] == ' ' || found[-1] == '\t'))
      break;
    found++;
  }
  if (!found)
    return NULL;
  const char *value = found + strlen (pattern);
  const char *end = strchr (value, '"');
  return end && end > value ? g_strndup (value, (gsize)(end - value)) : NULL;
}

static bool
has_control (const char *text)
{
  while (*text && !g_ascii_iscntrl (*text))
    text++;
  return *text != '\0';
}

/* #EXTINF:-1 tvg-id="x" group-title="a, b",Name: the name begins behind the first comma that is in
 * no quotes. */
static void
read_extinf (ProxyGuideReader *self, const char *line)
{
  forget_entry (self);
  bool quoted = false;
  const char *comma = line;
  for (; *comma && (quoted || *comma != ','); comma++)
    quoted ^= *comma == '"';
  g_autofree char *head = g_strndup (line, (gsize)(comma - line));
  if (*comma)
    self->name = proxy_guide_clean_name (comma + 1);
  g_autofree char *tvg_name = attribute (head, "tvg-name");
  if (!self->name && tvg_name)
    self->name = proxy_guide_clean_name (tvg_name);
  g_autofree char *group = attribute (head, "group-title");
  self->group = group ? proxy_guide_clean_name (group) : NULL;
  self->wish_id = attribute (head, "tvg-id");
  g_autofree char *number = attribute (head, "tvg-chno");
  self->number = number ? (int)CLAMP (g_ascii_strtoll (number, NULL, 10), 0, 99999) : 0;
  g_autofree char *logo = attribute (head, "tvg-logo");
  if (logo && strlen (logo) <= LOGO_MAX && g_utf8_validate (logo, -1, NULL) &&
      !has_control (logo) &&
      (g_str_has_prefix (logo, "http://") || g_str_has_prefix (logo, "https://")))
    self->logo = g_steal_pointer (&logo);
}

static void
read_link (ProxyGuideReader *self, const char *line)
{
  /* What a link says that we do not know is kept, too; a URI has no more than this (RFC 3986, 2). */
  bool plain = g_str_is_ascii (line) && !has_control (line);
  g_autoptr (PeerLink) link =
      plain && g_str_has_prefix (line, "ppsp:") ? peer_link_parse (line, NULL) : NULL;
  if (!link) {
    self->count.rubbish++;
    return;
  }
  g_autofree char *swarm_id = peer_content_swarm_id_hex (&link->content);
  g_autofree char *name = g_strdup (self->name);
  if (!name)
    name = g_strdup_printf ("Channel %.8s", swarm_id + MIN (strlen (swarm_id), 4));
  ProxyDraft draft = {
      .swarm_id = swarm_id,
      .link = line,
      .name = name,
      .logo = self->logo,
      .group = self->group,
      .source = self->source,
      .wish_id = self->wish_id,
      .mime = link->media_type,
      .number = self->number,
      .live = peer_content_is_live (&link->content),
      .length = link->content.length > 0 ? (int64_t)link->content.length : -1,
  };
  switch (proxy_catalog_put (self->catalog, &draft, NULL)) {
  case PROXY_CATALOG_ADDED:
  case PROXY_CATALOG_CHANGED:
  case PROXY_CATALOG_SAME:
    self->count.channels++;
    break;
  case PROXY_CATALOG_TAKEN:
  case PROXY_CATALOG_HIDDEN:
    self->count.duplicates++;
    break;
  case PROXY_CATALOG_FULL:
    self->count.truncated = true;
    break;
  }
}

static void
read_line (ProxyGuideReader *self, char *line)
{
  g_strstrip (line);
  if (line[0] == '\0')
    return;
  if (g_str_has_prefix (line, "#EXTM3U") && !self->programmes) {
    self->programmes = attribute (line, "x-tvg-url");
    if (!self->programmes)
      self->programmes = attribute (line, "url-tvg");
  } else if (g_str_has_prefix (line, "#EXTINF:"))
    read_extinf (self, line + strlen ("#EXTINF:"));
  else if (g_str_has_prefix (line, "#EXTGRP:")) {
    g_free (self->group);
    self->group = proxy_guide_clean_name (line + strlen ("#EXTGRP:"));
  } else if (line[0] != '#') {
    read_link (self, line);
    forget_entry (self);
  }
}

static void
finish (ProxyGuideReader *self)
{
  self->finished = true;
  self->count.truncated |= self->cut;
  unsigned known = self->count.channels + self->count.duplicates;
  if (known > 0 && !self->count.truncated)
    proxy_catalog_sweep (self->catalog, self->source);
}

bool
proxy_guide_reader_step (ProxyGuideReader *self, unsigned lines)
{
  if (self->finished)
    return false;
  size_t size;
  const char *text = g_bytes_get_data (self->text, &size);
  proxy_catalog_begin (self->catalog);
  while (lines-- > 0 && self->at < size && !self->count.truncated) {
    const char *begin = text + self->at;
    const char *end = memchr (begin, '\n', size - self->at);
    size_t n = end ? (size_t)(end - begin) : size - self->at;
    self->at += n + (end ? 1 : 0);
    if (n > LINE_MAX_BYTES || memchr (begin, '\0', n)) {
      self->count.rubbish++;
      continue;
    }
    g_autofree char *line = g_strndup (begin, n);
    read_line (self, line);
    if (self->count.channels + self->count.duplicates >= PROXY_GUIDE_MAX_CHANNELS)
      self->count.truncated |= self->at < size;
  }
  if (self->at >= size || self->count.truncated)
    finish (self);
  proxy_catalog_commit (self->catalog);
  return !self->finished;
}

/* --- the lists --- */

typedef struct {
  char *uri;
  char *error;
  ProxyGuideCount count;
  int64_t read_at;
  unsigned failures;
  bool wanted; /* to be read */
} List;

struct ProxyGuide {
  ProxyCatalog *catalog;
  ProxyGuideFunc func;
  gpointer data;
  GPtrArray *lists;
  guint refresh;

  List *current; /* being read */
  NetFetch *fetch;
  ProxyGuideReader *reader;
  guint idle;
};

static void next_list (ProxyGuide *self);

static void
list_free (gpointer data)
{
  List *list = data;
  g_free (list->uri);
  g_free (list->error);
  g_free (list);
}

ProxyGuide *
proxy_guide_new (ProxyCatalog *catalog, const char *const *uris)
{
  ProxyGuide *self = g_new0 (ProxyGuide, 1);
  self->catalog = catalog;
  self->lists = g_ptr_array_new_with_free_func (list_free);
  for (size_t i = 0; uris && uris[i]; i++) {
    List *list = g_new0 (List, 1);
    list->uri = g_strdup (uris[i]);
    g_ptr_array_add (self->lists, list);
  }
  proxy_catalog_keep_sources (catalog, uris);
  return self;
}

void
proxy_guide_set_func (ProxyGuide *self, ProxyGuideFunc func, gpointer data)
{
  self->func = func;
  self->data = data;
}

static void
end_current (ProxyGuide *self)
{
  g_clear_handle_id (&self->idle, g_source_remove);
  g_clear_pointer (&self->fetch, net_fetch_free);
  g_clear_pointer (&self->reader, proxy_guide_reader_free);
  self->current = NULL;
}

void
proxy_guide_free (ProxyGuide *self)
{
  if (!self)
    return;
  end_current (self);
  g_clear_handle_id (&self->refresh, g_source_remove);
  g_ptr_array_unref (self->lists);
  g_free (self);
}

static gboolean
on_refresh (gpointer data)
{
  ProxyGuide *self = data;
  self->refresh = 0;
  int64_t due = g_get_real_time () / G_USEC_PER_SEC - REFRESH_S;
  for (guint i = 0; i < self->lists->len; i++) {
    List *list = self->lists->pdata[i];
    list->wanted |= list->failures > 0 || list->read_at <= due;
  }
  if (!self->current)
    next_list (self);
  return G_SOURCE_REMOVE;
}

static void
plan_refresh (ProxyGuide *self)
{
  g_clear_handle_id (&self->refresh, g_source_remove);
  unsigned seconds = REFRESH_S;
  for (guint i = 0; i < self->lists->len; i++) {
    const List *list = self->lists->pdata[i];
    if (list->failures > 0)
      seconds = MIN (seconds, (unsigned)RETRY_S << MIN (list->failures - 1, 11));
  }
  /* Not all gateways in the same second. */
  seconds += (unsigned)g_random_int_range (0, (gint32)(seconds / 10 + 1));
  self->refresh = g_timeout_add_seconds (seconds, on_refresh, self);
}

static void
fail (ProxyGuide *self, const char *text)
{
  List *list = self->current;
  if (g_strcmp0 (list->error, text) != 0)
    g_message ("channel list %s: %s; its channels stay as they were", list->uri, text);
  g_free (list->error);
  list->error = g_strdup (text);
  list->failures++;
  end_current (self);
  next_list (self);
}

static void
succeed (ProxyGuide *self)
{
  List *list = self->current;
  const ProxyGuideCount *count = proxy_guide_reader_count (self->reader);
  if (count->channels + count->duplicates == 0) {
    fail (self, "has no channel that we can use (a list is an M3U with ppsp: links)");
    return;
  }
  if (memcmp (count, &list->count, sizeof *count) != 0 || list->error)
    g_message ("channel list %s: %u channels, %u duplicates, %u lines of no use%s", list->uri,
               count->channels, count->duplicates, count->rubbish,
               count->truncated ? "; it is longer than the limit, and the rest was left out" : "");
  if (self->func)
    self->func (list->uri, proxy_guide_reader_programmes (self->reader), self->data);
  list->count = *count;
  g_clear_pointer (&list->error, g_free);
  list->failures = 0;
  list->read_at = g_get_real_time () / G_USEC_PER_SEC;
  end_current (self);
  next_list (self);
}

static gboolean
on_idle (gpointer data)
{
  ProxyGuide *self = data;
  if (proxy_guide_reader_step (self->reader, LINES_AT_ONCE))
    return G_SOURCE_CONTINUE;
  self->idle = 0;
  succeed (self);
  return G_SOURCE_REMOVE;
}

static void
on_fetched (GBytes *text, bool is_cut, const GError *error, gpointer data)
{
  ProxyGuide *self = data;
  g_clear_pointer (&self->fetch, net_fetch_free);
  if (!text) {
    fail (self, error->message);
    return;
  }
  self->reader = proxy_guide_reader_new (self->catalog, self->current->uri, text);
  self->reader->cut = is_cut;
  self->idle = g_idle_add_full (G_PRIORITY_LOW, on_idle, self, NULL);
}

static void
next_list (ProxyGuide *self)
{
  List *list = NULL;
  for (guint i = 0; i < self->lists->len && !list; i++)
    if (((List *)self->lists->pdata[i])->wanted)
      list = self->lists->pdata[i];
  if (!list) {
    plan_refresh (self);
    return;
  }
  list->wanted = false;
  self->current = list;
  self->fetch = net_fetch_new (list->uri, PROXY_GUIDE_MAX_BYTES, FETCH_S,
                               "ppsp-proxy/" PPSP_VERSION, on_fetched, self);
}

void
proxy_guide_reload (ProxyGuide *self)
{
  if (self->lists->len == 0)
    return;
  for (guint i = 0; i < self->lists->len; i++)
    ((List *)self->lists->pdata[i])->wanted = true;
  if (!self->current)
    next_list (self);
}

unsigned
proxy_guide_n (const ProxyGuide *self)
{
  return self->lists->len;
}

void
proxy_guide_status (const ProxyGuide *self, unsigned i, ProxyGuideStatus *out)
{
  const List *list = self->lists->pdata[i];
  *out = (ProxyGuideStatus){
      .uri = list->uri,
      .error = list->error,
      .count = list->count,
      .read_at = list->read_at,
  };
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A guide is fetched whole (it comes compressed, mostly), then read a piece at a time between other
 * work, and of its hundreds of thousands of programmes those are kept that run on our channels within
 * a day. A channel of a guide is ours if its ID, or a name that it gives, makes the ID that ours has:
 * that is made of the list's tvg-id, or of the name (proxy/catalog.c).
 *
 * Bounds: bytes of a guide, compressed and not; bytes between two tags; tags in one another, each of
 * which the parser keeps; guides; programmes of a channel, and letters of each. */
#include "proxy/programmes.h"
#include "peer/net/fetch.h"
#include "proxy/guide.h"
#include <gio/gio.h>
#include <string.h>

enum {
  MAX_FETCHED = 16 * 1024 * 1024, /* bytes, as fetched */
  MAX_READ = 256 * 1024 * 1024,   /* bytes, without compression */
  MAX_TOKEN = 256 * 1024,         /* bytes from tag to tag */
  MAX_DEPTH = 32,                 /* tags in one another; XMLTV has five */
  MAX_GUIDES = 8,
  MAX_ALIASES = 50000, /* channels of a guide */
  MAX_PROGRAMMES = 96, /* of a channel */
  MAX_KEPT = 60000,    /* of a guide: some 15 MB */
  MAX_ABOUT = 300,     /* letters */
  FETCH_S = 120,
  AT_ONCE = 64 * 1024, /* bytes read between other work */
  REFRESH_S = 4 * 3600,
  RETRY_S = 600,
  DAY_S = 24 * 3600,
  HOUR_S = 3600,
};

typedef struct {
  char *list, *uri;
  int64_t due; /* s, monotonic */
} Guide;

struct ProxyProgrammes {
  ProxyCatalog *catalog;
  ProxyProgrammesClock clock;
  gpointer data;
  GHashTable *channels; /* ID -> GPtrArray of ProxyProgramme, by start */
  GPtrArray *guides;
  guint timer;
  Guide *current;
  NetFetch *fetch;
  GBytes *text;
  size_t at;
  ProxyGuideXml *reader;
  guint idle;
};

struct ProxyGuideXml {
  ProxyProgrammes *programmes;
  int64_t from, until;
  GConverter *unzip; /* NULL = it is plain */
  bool begun, bad;
  unsigned kept, depth;
  size_t read, token; /* bytes: in all; since the last tag */
  GMarkupParseContext *context;
  GHashTable *aliases; /* the guide's channel ID -> ours; "" = none of ours */
  GHashTable *found;   /* our ID -> GPtrArray of ProxyProgramme */
  char *channel;       /* the guide's, whose names are being read */
  char *ours;          /* whose programme is being read */
  ProxyProgramme *programme;
  GString *text; /* of the element that is wanted; NULL = of none */
};

static void
programme_free (gpointer data)
{
  ProxyProgramme *self = data;
  g_free (self->title);
  g_free (self->about);
  g_free (self);
}

static int
compare (gconstpointer a, gconstpointer b)
{
  const ProxyProgramme *first = *(ProxyProgramme *const *)a, *second = *(ProxyProgramme *const *)b;
  return first->start < second->start ? -1 : first->start > second->start;
}

/* --- reading --- */

int64_t
proxy_guide_xml_time (const char *text)
{
  int digits[14], zone = 0;
  for (int i = 0; i < 14; i++) {
    /* the seconds, and more, may be left out */
    bool there = g_ascii_isdigit (text[i]);
    if (!there && i < 8)
      return -1;
    if (!there)
      for (; i < 14; i++)
        digits[i] = 0;
    else
      digits[i] = text[i] - '0';
  }
  const char *rest = text + strspn (text, "0123456789");
  rest += strspn (rest, " ");
  if ((*rest == '+' || *rest == '-') && strspn (rest + 1, "0123456789") >= 4) {
    zone = (rest[1] - '0') * 600 + (rest[2] - '0') * 60 + (rest[3] - '0') * 10 + (rest[4] - '0');
    zone *= *rest == '-' ? -60 : 60;
  }
  g_autoptr (GDateTime) time = g_date_time_new_utc (
      digits[0] * 1000 + digits[1] * 100 + digits[2] * 10 + digits[3], digits[4] * 10 + digits[5],
      digits[6] * 10 + digits[7], digits[8] * 10 + digits[9], digits[10] * 10 + digits[11],
      digits[12] * 10 + digits[13]);
  return time ? g_date_time_to_unix (time) - zone : -1;
}

static const char *
value_of (const char *name, const char **names, const char **values)
{
  for (size_t i = 0; names[i]; i++)
    if (g_str_equal (names[i], name))
      return values[i];
  return "";
}

/* Our channel by the text that makes its ID; NULL = none. */
static const char *
find_channel (ProxyGuideXml *self, const char *text)
{
  g_autofree char *slug = proxy_catalog_slug (text);
  const ProxyChannel *channel =
      slug ? proxy_catalog_lookup (self->programmes->catalog, slug) : NULL;
  return channel ? channel->id : NULL;
}

static void
set_alias (ProxyGuideXml *self, const char *theirs, const char *ours)
{
  if (g_hash_table_size (self->aliases) < MAX_ALIASES)
    g_hash_table_insert (self->aliases, g_strdup (theirs), g_strdup (ours ? ours : ""));
}

static void
begin_programme (ProxyGuideXml *self, const char **names, const char **values)
{
  const char *theirs = value_of ("channel", names, values);
  const char *ours = g_hash_table_lookup (self->aliases, theirs);
  if (!ours) { /* a guide without a list of its channels */
    ours = find_channel (self, theirs);
    set_alias (self, theirs, ours);
  }
  int64_t start = proxy_guide_xml_time (value_of ("start", names, values));
  int64_t stop = proxy_guide_xml_time (value_of ("stop", names, values));
  if (!ours || ours[0] == '\0' || start < 0 || stop <= start || stop <= self->from ||
      start >= self->until || stop - start > DAY_S)
    return;
  self->ours = g_strdup (ours);
  self->programme = g_new0 (ProxyProgramme, 1);
  self->programme->start = start;
  self->programme->stop = stop;
}

static void
on_start (GMarkupParseContext *context, const char *name, const char **names, const char **values,
          gpointer data, GError **error)
{
  ProxyGuideXml *self = data;
  self->token = 0;
  if (++self->depth > MAX_DEPTH) {
    g_set_error_literal (error, G_MARKUP_ERROR, G_MARKUP_ERROR_INVALID_CONTENT, "too deep");
    return;
  }
  if (g_str_equal (name, "channel") && !self->programme) {
    const char *theirs = value_of ("id", names, values);
    g_free (self->channel);
    self->channel = g_strdup (theirs);
    set_alias (self, theirs, find_channel (self, theirs));
  } else if (g_str_equal (name, "programme") && !self->programme)
    begin_programme (self, names, values);
  else if ((self->channel && g_str_equal (name, "display-name")) ||
           (self->programme && (g_str_equal (name, "title") || g_str_equal (name, "desc")))) {
    if (self->text)
      g_string_free (self->text, TRUE);
    self->text = g_string_new (NULL);
  }
}

static void
on_text (GMarkupParseContext *context, const char *text, gsize n, gpointer data, GError **error)
{
  ProxyGuideXml *self = data;
  self->token = 0;
  if (self->text && self->text->len < 4 * MAX_ABOUT)
    g_string_append_len (self->text, text, (gssize)n);
}

static void
end_text (ProxyGuideXml *self, const char *name)
{
  g_autofree char *text = g_string_free (g_steal_pointer (&self->text), FALSE);
  if (g_str_equal (name, "display-name") && self->channel) {
    const char *known = g_hash_table_lookup (self->aliases, self->channel);
    if (known && known[0] == '\0')
      set_alias (self, self->channel, find_channel (self, text));
  } else if (self->programme && g_str_equal (name, "title") && !self->programme->title)
    self->programme->title = proxy_guide_clean_name (text);
  else if (self->programme && g_str_equal (name, "desc") && !self->programme->about) {
    g_autofree char *valid = g_utf8_make_valid (text, -1);
    g_autofree char *cut = g_utf8_substring (valid, 0, MIN (g_utf8_strlen (valid, -1), MAX_ABOUT));
    self->programme->about = g_strdup (g_strstrip (cut));
  }
}

static void
keep_programme (ProxyGuideXml *self)
{
  GPtrArray *all = g_hash_table_lookup (self->found, self->ours);
  if (!all) {
    all = g_ptr_array_new_with_free_func (programme_free);
    g_hash_table_insert (self->found, g_strdup (self->ours), all);
  }
  if (self->programme->title && all->len < MAX_PROGRAMMES && self->kept++ < MAX_KEPT)
    g_ptr_array_add (all, g_steal_pointer (&self->programme));
}

static void
on_end (GMarkupParseContext *context, const char *name, gpointer data, GError **error)
{
  ProxyGuideXml *self = data;
  self->token = 0;
  self->depth--;
  if (self->text)
    end_text (self, name);
  if (g_str_equal (name, "channel"))
    g_clear_pointer (&self->channel, g_free);
  else if (g_str_equal (name, "programme") && self->programme) {
    keep_programme (self);
    g_clear_pointer (&self->programme, programme_free);
    g_clear_pointer (&self->ours, g_free);
  }
}

ProxyGuideXml *
proxy_guide_xml_new (ProxyProgrammes *programmes, int64_t from, int64_t until)
{
  static const GMarkupParser parser = {on_start, on_end, on_text, NULL, NULL};
  ProxyGuideXml *self = g_new0 (ProxyGuideXml, 1);
  self->programmes = programmes;
  self->from = from;
  self->until = until;
  self->context = g_markup_parse_context_new (&parser, G_MARKUP_TREAT_CDATA_AS_TEXT, self, NULL);
  self->aliases = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  self->found =
      g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_ptr_array_unref);
  return self;
}

static bool
parse (ProxyGuideXml *self, const char *bytes, size_t n)
{
  self->read += n;
  self->token += n;
  return self->read <= MAX_READ &&
         g_markup_parse_context_parse (self->context, bytes, (gssize)n, NULL) &&
         self->token <= MAX_TOKEN;
}

static bool
feed (ProxyGuideXml *self, const char *bytes, size_t n)
{
  char plain[32768];
  if (!self->begun) {
    self->begun = true;
    if (n >= 2 && (guchar)bytes[0] == 0x1f && (guchar)bytes[1] == 0x8b)
      self->unzip = G_CONVERTER (g_zlib_decompressor_new (G_ZLIB_COMPRESSOR_FORMAT_GZIP));
  }
  if (!self->unzip)
    return parse (self, bytes, n);
  while (n > 0) {
    gsize read = 0, written = 0;
    GConverterResult result = g_converter_convert (self->unzip, bytes, n, plain, sizeof plain,
                                                   G_CONVERTER_NO_FLAGS, &read, &written, NULL);
    if (result == G_CONVERTER_ERROR || (read == 0 && written == 0) || !parse (self, plain, written))
      return false;
    if (result == G_CONVERTER_FINISHED)
      return true;
    bytes += read;
    n -= read;
  }
  return true;
}

bool
proxy_guide_xml_feed (ProxyGuideXml *self, const char *bytes, size_t n)
{
  self->bad |= !self->bad && !feed (self, bytes, n);
  return !self->bad;
}

/* All that is known of a channel: the guide has it no more, or we have not. */
static gboolean
is_over (gpointer id, gpointer programmes, gpointer from)
{
  const GPtrArray *all = programmes;
  for (guint i = 0; i < all->len; i++)
    if (((const ProxyProgramme *)all->pdata[i])->stop > *(const int64_t *)from)
      return FALSE;
  return TRUE;
}

void
proxy_guide_xml_free (ProxyGuideXml *self)
{
  GHashTableIter iter;
  gpointer key, value;
  if (!self)
    return;
  g_hash_table_iter_init (&iter, self->found);
  while (g_hash_table_iter_next (&iter, &key, &value)) {
    g_ptr_array_sort (value, compare);
    g_hash_table_insert (self->programmes->channels, g_strdup (key), g_ptr_array_ref (value));
  }
  g_hash_table_foreach_remove (self->programmes->channels, is_over, &self->from);
  g_markup_parse_context_free (self->context);
  g_clear_object (&self->unzip);
  g_hash_table_unref (self->aliases);
  g_hash_table_unref (self->found);
  g_clear_pointer (&self->programme, programme_free);
  if (self->text)
    g_string_free (self->text, TRUE);
  g_free (self->channel);
  g_free (self->ours);
  g_free (self);
}

/* --- the guides --- */

static void
guide_free (gpointer data)
{
  Guide *guide = data;
  g_free (guide->list);
  g_free (guide->uri);
  g_free (guide);
}

static int64_t
real_time (gpointer data)
{
  return g_get_real_time () / G_USEC_PER_SEC;
}

ProxyProgrammes *
proxy_programmes_new (ProxyCatalog *catalog, ProxyProgrammesClock clock, gpointer data)
{
  ProxyProgrammes *self = g_new0 (ProxyProgrammes, 1);
  self->catalog = catalog;
  self->clock = clock ? clock : real_time;
  self->data = data;
  self->channels =
      g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_ptr_array_unref);
  self->guides = g_ptr_array_new_with_free_func (guide_free);
  return self;
}

static void
end_current (ProxyProgrammes *self)
{
  g_clear_handle_id (&self->idle, g_source_remove);
  g_clear_pointer (&self->fetch, net_fetch_free);
  g_clear_pointer (&self->reader, proxy_guide_xml_free);
  g_clear_pointer (&self->text, g_bytes_unref);
  self->current = NULL;
}

void
proxy_programmes_free (ProxyProgrammes *self)
{
  if (!self)
    return;
  end_current (self);
  g_clear_handle_id (&self->timer, g_source_remove);
  g_hash_table_unref (self->channels);
  g_ptr_array_unref (self->guides);
  g_free (self);
}

static void next_guide (ProxyProgrammes *self);

static void
finish (ProxyProgrammes *self, const char *error)
{
  if (error)
    g_message ("programme guide %s: %s", self->current->uri, error);
  self->current->due = g_get_monotonic_time () / G_USEC_PER_SEC + (error ? RETRY_S : REFRESH_S);
  end_current (self);
  next_guide (self);
}

static gboolean
on_idle (gpointer data)
{
  ProxyProgrammes *self = data;
  size_t size;
  const char *bytes = g_bytes_get_data (self->text, &size);
  size_t n = MIN (size - self->at, AT_ONCE);
  bool good = proxy_guide_xml_feed (self->reader, bytes + self->at, n);
  self->at += n;
  if (good && self->at < size)
    return G_SOURCE_CONTINUE;
  self->idle = 0;
  finish (self, good ? NULL : "it is no XMLTV that we can read");
  return G_SOURCE_REMOVE;
}

static void
on_fetched (GBytes *text, bool is_cut, const GError *error, gpointer data)
{
  ProxyProgrammes *self = data;
  g_clear_pointer (&self->fetch, net_fetch_free);
  if (!text || is_cut) {
    finish (self, text ? "it is longer than we read" : error->message);
    return;
  }
  int64_t now = self->clock (self->data);
  self->text = g_bytes_ref (text);
  self->at = 0;
  self->reader = proxy_guide_xml_new (self, now - HOUR_S, now + DAY_S);
  self->idle = g_idle_add_full (G_PRIORITY_LOW, on_idle, self, NULL);
}

static gboolean
on_timer (gpointer data)
{
  ProxyProgrammes *self = data;
  self->timer = 0;
  next_guide (self);
  return G_SOURCE_REMOVE;
}

static void
next_guide (ProxyProgrammes *self)
{
  int64_t now = g_get_monotonic_time () / G_USEC_PER_SEC;
  Guide *next = NULL;
  g_clear_handle_id (&self->timer, g_source_remove);
  if (self->current)
    return;
  for (guint i = 0; i < self->guides->len; i++) {
    Guide *guide = self->guides->pdata[i];
    if (!next || guide->due < next->due)
      next = guide;
  }
  if (next && next->due <= now) {
    self->current = next;
    self->fetch = net_fetch_new (next->uri, MAX_FETCHED, FETCH_S, "ppsp-proxy/" PPSP_VERSION,
                                 on_fetched, self);
    net_fetch_for_list (self->fetch, next->list);
  } else if (next)
    self->timer = g_timeout_add_seconds ((guint)(next->due - now), on_timer, self);
}

static bool
has_guide (const ProxyProgrammes *self, const char *list, const char *uri)
{
  for (guint i = 0; i < self->guides->len; i++) {
    const Guide *guide = self->guides->pdata[i];
    if (g_str_equal (guide->list, list) && g_str_equal (guide->uri, uri))
      return true;
  }
  return false;
}

void
proxy_programmes_follow (ProxyProgrammes *self, const char *list, const char *uris)
{
  g_auto (GStrv) wanted = g_strsplit_set (uris ? uris : "", ", ", MAX_GUIDES + 1);
  for (guint i = self->guides->len; i > 0; i--) {
    Guide *guide = self->guides->pdata[i - 1];
    if (!g_str_equal (guide->list, list) ||
        g_strv_contains ((const char *const *)wanted, guide->uri))
      continue;
    if (guide == self->current)
      end_current (self);
    g_ptr_array_remove_index (self->guides, i - 1);
  }
  for (size_t i = 0; wanted[i] && self->guides->len < MAX_GUIDES; i++) {
    if (wanted[i][0] == '\0' || has_guide (self, list, wanted[i]))
      continue;
    Guide *guide = g_new0 (Guide, 1);
    guide->list = g_strdup (list);
    guide->uri = g_strdup (wanted[i]);
    g_ptr_array_add (self->guides, guide);
  }
  next_guide (self);
}

/* --- now and next --- */

const GPtrArray *
proxy_programmes_of (ProxyProgrammes *self, const char *channel_id)
{
  return g_hash_table_lookup (self->channels, channel_id);
}

void
proxy_programmes_now (ProxyProgrammes *self, const char *channel_id, const ProxyProgramme **now,
                      const ProxyProgramme **next)
{
  const GPtrArray *all = proxy_programmes_of (self, channel_id);
  int64_t time = self->clock (self->data);
  *now = *next = NULL;
  for (guint i = 0; all && i < all->len; i++) {
    const ProxyProgramme *programme = all->pdata[i];
    if (programme->start <= time && time < programme->stop)
      *now = programme;
    else if (programme->start > time) {
      *next = programme;
      return;
    }
  }
}

static void
append (GString *out, const ProxyProgramme *programme)
{
  g_autoptr (GDateTime) time =
      programme ? g_date_time_new_from_unix_local (programme->start) : NULL;
  g_autofree char *clock = time ? g_date_time_format (time, "%H:%M") : NULL;
  if (clock)
    g_string_append_printf (out, "%s%s %s", out->len > 0 ? ". " : "", clock, programme->title);
}

char *
proxy_programmes_line (ProxyProgrammes *self, const char *channel_id)
{
  const ProxyProgramme *now, *next;
  GString *out = g_string_new (NULL);
  proxy_programmes_now (self, channel_id, &now, &next);
  append (out, now);
  append (out, next);
  return g_string_free (out, out->len == 0);
}

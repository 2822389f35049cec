/* SPDX-License-Identifier: Apache-2.0 */
/* Written as text: a Browse of a thousand channels is a thousand times the same few elements.
 *
 * A filter names the optional properties that are wanted: "dc:title,res,res@size,upnp:channelNr".
 * The required ones (id, parentID, restricted, dc:title, upnp:class; protocolInfo where there is a
 * res) are always written. A filter for an attribute of res brings the res itself.
 *
 * Quotes are written as &quot; and never by number: there are sets that show an empty folder for
 * &#34;. */

#include "dlna/didl.h"
#include <string.h>

#define HEAD                                                                                       \
  "<DIDL-Lite xmlns=\"urn:schemas-upnp-org:metadata-1-0/DIDL-Lite/\" "                             \
  "xmlns:dc=\"http://purl.org/dc/elements/1.1/\" "                                                 \
  "xmlns:upnp=\"urn:schemas-upnp-org:metadata-1-0/upnp/\" "                                        \
  "xmlns:dlna=\"urn:schemas-dlna-org:metadata-1-0/\" "                                             \
  "xmlns:sec=\"http://www.sec.co.kr/dlna\">"
#define TAIL "</DIDL-Lite>"

/* A filter comes from outside; what is longer counts as "all". */
#define MAX_FILTER 4096

struct DlnaDidl {
  GString *out;
  char *base;
  char **filter; /* NULL = all */
  const DlnaProfileStyle *style;
  bool numbers_titles;
};

static bool
xml_allows (gunichar c)
{
  return c == '\t' || c == '\n' || c == '\r' || (c >= 0x20 && c <= 0xd7ff) ||
         (c >= 0xe000 && c <= 0xfffd) || (c >= 0x10000 && c <= 0x10ffff);
}

void
dlna_didl_escape (GString *out, const char *text)
{
  g_autofree char *valid = g_utf8_make_valid (text, -1);

  for (const char *p = valid; *p != '\0'; p = g_utf8_next_char (p)) {
    switch (*p) {
    case '&':
      g_string_append (out, "&amp;");
      break;
    case '<':
      g_string_append (out, "&lt;");
      break;
    case '>':
      g_string_append (out, "&gt;");
      break;
    case '"':
      g_string_append (out, "&quot;");
      break;
    default:
      if (xml_allows (g_utf8_get_char (p)))
        g_string_append_len (out, p, g_utf8_next_char (p) - p);
    }
  }
}

DlnaDidl *
dlna_didl_new (const DlnaDidlOptions *options)
{
  DlnaDidl *self = g_new0 (DlnaDidl, 1);

  self->out = g_string_new (HEAD);
  self->base = g_strdup (options->base);
  self->style = options->style;
  self->numbers_titles = options->numbers_titles;
  if (options->filter != NULL && strlen (options->filter) <= MAX_FILTER) {
    self->filter = g_strsplit (options->filter, ",", -1);
    for (size_t i = 0; self->filter[i] != NULL; i++) {
      g_strstrip (self->filter[i]);
      if (strcmp (self->filter[i], "*") == 0) {
        g_clear_pointer (&self->filter, g_strfreev);
        break;
      }
    }
  }
  return self;
}

/* name: "upnp:channelNr", "res@size", "container@childCount". An attribute may be asked for without
 * its element ("@childCount"). */
static bool
wants (const DlnaDidl *self, const char *name)
{
  const char *attribute = strchr (name, '@');

  if (self->filter == NULL)
    return true;
  for (size_t i = 0; self->filter[i] != NULL; i++)
    if (strcmp (self->filter[i], name) == 0 ||
        (attribute != NULL && strcmp (self->filter[i], attribute) == 0))
      return true;
  return false;
}

static bool
wants_resource (const DlnaDidl *self)
{
  if (wants (self, "res"))
    return true;
  for (size_t i = 0; self->filter[i] != NULL; i++)
    if (g_str_has_prefix (self->filter[i], "res@"))
      return true;
  return false;
}

static void
attribute (DlnaDidl *self, const char *name, const char *value)
{
  g_string_append_printf (self->out, " %s=\"", name);
  dlna_didl_escape (self->out, value);
  g_string_append_c (self->out, '"');
}

static void
element (DlnaDidl *self, const char *name, const char *value)
{
  g_string_append_printf (self->out, "<%s>", name);
  dlna_didl_escape (self->out, value);
  g_string_append_printf (self->out, "</%s>", name);
}

static void
element_title (DlnaDidl *self, const DlnaItem *item)
{
  const char *title = item->title != NULL && item->title[0] != '\0' ? item->title : item->id;

  if (self->numbers_titles && item->channel_number > 0) {
    g_autofree char *numbered = g_strdup_printf ("%03d %s", item->channel_number, title);
    element (self, "dc:title", numbered);
  } else {
    element (self, "dc:title", title);
  }
}

char *
dlna_didl_media_path (const DlnaItem *item)
{
  g_autofree char *id =
      g_uri_escape_string (item->ref_id != NULL ? item->ref_id : item->id, NULL, TRUE);
  return g_strdup_printf ("/media/%s.%s", id, item->extension != NULL ? item->extension : "ts");
}

/* "H+:MM:SS.FFF" */
static char *
format_duration (int64_t us)
{
  int64_t ms = us / 1000;
  return g_strdup_printf ("%" G_GINT64_FORMAT ":%02d:%02d.%03d", ms / 3600000,
                          (int)(ms / 60000 % 60), (int)(ms / 1000 % 60), (int)(ms % 1000));
}

static void
resource (DlnaDidl *self, const DlnaItem *item)
{
  g_autofree char *info = dlna_profile_protocol_info (item, self->style);
  g_autofree char *path = dlna_didl_media_path (item);

  g_string_append (self->out, "<res");
  attribute (self, "protocolInfo", info);
  if (item->size >= 0 && wants (self, "res@size"))
    g_string_append_printf (self->out, " size=\"%" G_GINT64_FORMAT "\"", item->size);
  if (item->duration >= 0 && wants (self, "res@duration")) {
    g_autofree char *duration = format_duration (item->duration);
    attribute (self, "duration", duration);
  }
  /* in bytes/s, whatever its name says */
  if (item->bitrate > 0 && wants (self, "res@bitrate"))
    g_string_append_printf (self->out, " bitrate=\"%" G_GUINT64_FORMAT "\"", item->bitrate / 8);
  if (item->width > 0 && item->height > 0 && wants (self, "res@resolution"))
    g_string_append_printf (self->out, " resolution=\"%dx%d\"", item->width, item->height);
  g_string_append_c (self->out, '>');
  dlna_didl_escape (self->out, self->base);
  dlna_didl_escape (self->out, path);
  g_string_append (self->out, "</res>");
}

static bool
is_picture_address (const char *uri)
{
  return uri[0] == '/' || g_ascii_strncasecmp (uri, "http://", 7) == 0 ||
         g_ascii_strncasecmp (uri, "https://", 8) == 0;
}

const char *
dlna_didl_class (const DlnaItem *item)
{
  if (item->mime == NULL)
    return "object.container.storageFolder";
  if (g_str_has_prefix (item->mime, "audio/"))
    return item->live ? "object.item.audioItem.audioBroadcast" : "object.item.audioItem";
  return item->live ? "object.item.videoItem.videoBroadcast" : "object.item.videoItem";
}

static void
logo (DlnaDidl *self, const DlnaItem *item)
{
  g_string_append (self->out, "<upnp:albumArtURI");
  if (item->logo_profile != NULL)
    attribute (self, "dlna:profileID", item->logo_profile);
  g_string_append_c (self->out, '>');
  if (item->logo[0] == '/')
    dlna_didl_escape (self->out, self->base);
  dlna_didl_escape (self->out, item->logo);
  g_string_append (self->out, "</upnp:albumArtURI>");
}

static void
add_container (DlnaDidl *self, const DlnaItem *item)
{
  g_string_append (self->out, "<container");
  attribute (self, "id", item->id);
  attribute (self, "parentID", item->parent_id != NULL ? item->parent_id : "-1");
  g_string_append (self->out, " restricted=\"1\"");
  if (item->child_count >= 0 && wants (self, "container@childCount"))
    g_string_append_printf (self->out, " childCount=\"%d\"", item->child_count);
  g_string_append_c (self->out, '>');
  element_title (self, item);
  element (self, "upnp:class", dlna_didl_class (item));
  /* required of this class; -1 = not said */
  element (self, "upnp:storageUsed", "-1");
  g_string_append (self->out, "</container>");
}

/* As UPnP has it, from ContentDirectory:2 on, and as Samsung sets have it: fields with commas between
 * them, the last in seconds. */
static void
stopped (DlnaDidl *self, const DlnaItem *item)
{
  if (wants (self, "upnp:lastPlaybackPosition")) {
    g_autofree char *position = format_duration (item->stopped);
    element (self, "upnp:lastPlaybackPosition", position);
  }
  if (wants (self, "sec:dcmInfo")) {
    g_autofree char *info = g_strdup_printf ("CREATIONDATE=0,FOLDER=%s,BM=%" G_GINT64_FORMAT,
                                             item->title != NULL ? item->title : item->id,
                                             item->stopped / G_USEC_PER_SEC);
    element (self, "sec:dcmInfo", info);
  }
}

static void
add_item (DlnaDidl *self, const DlnaItem *item)
{
  g_string_append (self->out, "<item");
  attribute (self, "id", item->id);
  attribute (self, "parentID", item->parent_id != NULL ? item->parent_id : "0");
  if (item->ref_id != NULL && wants (self, "item@refID"))
    attribute (self, "refID", item->ref_id);
  g_string_append (self->out, " restricted=\"1\">");
  element_title (self, item);
  element (self, "upnp:class", dlna_didl_class (item));
  if (item->about != NULL && wants (self, "dc:description"))
    element (self, "dc:description", item->about);
  if (item->channel_number > 0 && wants (self, "upnp:channelNr"))
    g_string_append_printf (self->out, "<upnp:channelNr>%d</upnp:channelNr>", item->channel_number);
  if (item->channel_name != NULL && wants (self, "upnp:channelName"))
    element (self, "upnp:channelName", item->channel_name);
  if (item->logo != NULL && is_picture_address (item->logo) && wants (self, "upnp:albumArtURI"))
    logo (self, item);
  if (item->stopped > 0)
    stopped (self, item);
  if (wants_resource (self))
    resource (self, item);
  g_string_append (self->out, "</item>");
}

void
dlna_didl_add (DlnaDidl *self, const DlnaItem *item)
{
  if (item->mime == NULL)
    add_container (self, item);
  else
    add_item (self, item);
}

char *
dlna_didl_finish (DlnaDidl *self)
{
  char *text = g_string_free (g_string_append (self->out, TAIL), FALSE);

  self->out = NULL;
  dlna_didl_free (self);
  return text;
}

void
dlna_didl_free (DlnaDidl *self)
{
  if (self == NULL)
    return;
  if (self->out != NULL)
    g_string_free (self->out, TRUE);
  g_free (self->base);
  g_strfreev (self->filter);
  g_free (self);
}

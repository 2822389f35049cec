/* SPDX-License-Identifier: Apache-2.0 */
/* What is to be played is a wish, and all else serves it:
 *
 *   IDLE -> STOP -> SET -> PLAY -> WAIT -> FOLLOW        a failure begins again, at most three times
 *
 * Stop comes first, since there are sets that answer "locked" (705) for ever to a new address while
 * they play an old one; Play is repeated for a while, since there are sets that refuse it (701) until
 * they have looked into what they were given.
 *
 * While it is followed its state comes by events, and by a question now and then for those that send
 * none. An event may be late, so one that would end the wish only makes us ask. A set that stops was
 * stopped by its remote, and one that shows another's address was taken over: the wish ends. One that
 * no longer answers has lost its power or its network: the wish stays for two minutes, and when the
 * set is heard of again it goes on. */

#include "dlna/renderer.h"
#include "dlna/didl.h"
#include "dlna/soap.h"
#include "dlna/xml.h"
#include <string.h>

#define TRANSPORT "urn:schemas-upnp-org:service:AVTransport:1"
#define CONNECTIONS "urn:schemas-upnp-org:service:ConnectionManager:1"
#define MAX_TRIES 3
#define MAX_SINKS 512
#define MAX_NAME 120                  /* bytes */
#define PLAY_US (16 * G_USEC_PER_SEC) /* for Play to be accepted */
#define WAIT_US (20 * G_USEC_PER_SEC) /* for a picture */
#define RESUME_US (120 * G_USEC_PER_SEC)
#define POLL_STARTING_US G_USEC_PER_SEC
#define POLL_PLAYING_US (10 * G_USEC_PER_SEC)
#define AWAY_US (200 * G_USEC_PER_SEC) /* three searches without an answer */
#define DESCRIBE_AGAIN_US (30 * G_USEC_PER_SEC)
#define MAX_FAILURES 2
#define SUBSCRIPTION_S 300
#define SUBSCRIBE_AGAIN_US (60 * G_USEC_PER_SEC)

typedef enum { IDLE, STOP, SET, PLAY, WAIT, FOLLOW } Step;

struct DlnaRenderer {
  const DlnaRendererHouse *house;
  char *udn, *location, *ip, *here, *token;
  /* of its description */
  bool described, describing;
  char *name, *model, *control, *events, *connections;
  char **sinks; /* what it takes; NULL = not known */
  DlnaRendererState state;
  int64_t seen;
  bool present;
  /* what it is to play */
  char *wish, *uri, *error;
  bool plain; /* without metadata: it did not like them */
  Step step;
  unsigned tries, failures;
  int64_t deadline, due, until; /* of the step; of the next question; of a wish that waits */
  bool asking;
  GCancellable *operation; /* of what serves the wish */
  GCancellable *life;      /* of what it says of itself, as long as it is present */
  /* its events */
  char *sid;
  bool subscribing;
  int64_t renew;
};

const char *
dlna_renderer_state_name (DlnaRendererState state)
{
  static const char *const names[] = {"away", "stopped", "starting", "playing", "paused"};
  return names[state];
}

DlnaRenderer *
dlna_renderer_new (const DlnaRendererHouse *house, const char *udn)
{
  DlnaRenderer *self = g_new0 (DlnaRenderer, 1);

  self->house = house;
  self->udn = g_strdup (udn);
  self->token = g_uuid_string_random ();
  self->life = g_cancellable_new ();
  self->operation = g_cancellable_new ();
  return self;
}

void
dlna_renderer_free (DlnaRenderer *self)
{
  if (self == NULL)
    return;
  g_cancellable_cancel (self->life);
  g_cancellable_cancel (self->operation);
  g_object_unref (self->life);
  g_object_unref (self->operation);
  g_strfreev (self->sinks);
  g_free (self->udn);
  g_free (self->location);
  g_free (self->ip);
  g_free (self->here);
  g_free (self->token);
  g_free (self->name);
  g_free (self->model);
  g_free (self->control);
  g_free (self->events);
  g_free (self->connections);
  g_free (self->wish);
  g_free (self->uri);
  g_free (self->error);
  g_free (self->sid);
  g_free (self);
}

static void
set_text (char **field, const char *text)
{
  char *copy = g_strdup (text);

  g_free (*field);
  *field = copy;
}

/* What is under way is no longer waited for. */
static void
cancel (GCancellable **cancellable)
{
  g_cancellable_cancel (*cancellable);
  g_object_unref (*cancellable);
  *cancellable = g_cancellable_new ();
}

/* Whatever serves the wish is no longer waited for. */
static void
break_off (DlnaRenderer *self)
{
  cancel (&self->operation);
  self->asking = false;
  self->step = IDLE;
}

static void
drop_wish (DlnaRenderer *self, const char *error)
{
  break_off (self);
  g_clear_pointer (&self->wish, g_free);
  g_clear_pointer (&self->uri, g_free);
  set_text (&self->error, error);
}

static void
is_away (DlnaRenderer *self)
{
  break_off (self);
  cancel (&self->life);
  self->describing = self->subscribing = false;
  self->present = false;
  self->described = false;
  self->state = DLNA_RENDERER_AWAY;
  g_clear_pointer (&self->sid, g_free);
  self->until = g_get_monotonic_time () + RESUME_US;
}

/* --- what it is --- */

/* The service's address, made absolute; NULL = it leads away from the device. */
static char *
service_address (DlnaRenderer *self, const xmlNode *service, const char *base, const char *name)
{
  g_autofree char *relative = dlna_xml_text (service, name);
  g_autofree char *absolute =
      relative != NULL ? g_uri_resolve_relative (base, relative, G_URI_FLAGS_NONE, NULL) : NULL;
  g_autoptr (GUri) uri =
      absolute != NULL ? g_uri_parse (absolute, SOUP_HTTP_URI_FLAGS, NULL) : NULL;

  if (uri == NULL || strcmp (g_uri_get_scheme (uri), "http") != 0 ||
      g_strcmp0 (g_uri_get_host (uri), self->ip) != 0)
    return NULL;
  return g_steal_pointer (&absolute);
}

static char *
clean_text (const xmlNode *device, const char *name)
{
  g_autofree char *text = dlna_xml_text (device, name);
  g_autofree char *cut = text != NULL ? g_strndup (text, MAX_NAME) : NULL;
  char *valid = cut != NULL ? g_utf8_make_valid (cut, -1) : NULL;

  for (char *c = valid; c != NULL && *c != '\0'; c++)
    if ((unsigned char)*c < 0x20)
      *c = ' ';
  return valid;
}

/* The renderer may be a device within another. */
static const xmlNode *
find_device (DlnaRenderer *self, const xmlNode *parent, unsigned depth)
{
  for (const xmlNode *device = dlna_xml_child (parent, "device"); device != NULL;
       device = dlna_xml_next (device)) {
    g_autofree char *udn = dlna_xml_text (device, "UDN");
    const xmlNode *below;
    if (g_strcmp0 (udn, self->udn) == 0)
      return device;
    below = depth < 4 ? find_device (self, dlna_xml_child (device, "deviceList"), depth + 1) : NULL;
    if (below != NULL)
      return below;
  }
  return NULL;
}

static void
read_services (DlnaRenderer *self, const xmlNode *device, const char *base)
{
  const xmlNode *list = dlna_xml_child (device, "serviceList");

  g_clear_pointer (&self->control, g_free);
  g_clear_pointer (&self->events, g_free);
  g_clear_pointer (&self->connections, g_free);
  for (const xmlNode *service = dlna_xml_child (list, "service"); service != NULL;
       service = dlna_xml_next (service)) {
    g_autofree char *type = dlna_xml_text (service, "serviceType");
    /* later versions have all that the first has */
    if (type != NULL && g_str_has_prefix (type, "urn:schemas-upnp-org:service:AVTransport:") &&
        self->control == NULL) {
      self->control = service_address (self, service, base, "controlURL");
      self->events = service_address (self, service, base, "eventSubURL");
    } else if (type != NULL &&
               g_str_has_prefix (type, "urn:schemas-upnp-org:service:ConnectionManager:") &&
               self->connections == NULL) {
      self->connections = service_address (self, service, base, "controlURL");
    }
  }
}

static void
on_sinks (GHashTable *out, const GError *error, gpointer data)
{
  DlnaRenderer *self = data;
  const char *sink = out != NULL ? g_hash_table_lookup (out, "Sink") : NULL;

  g_clear_pointer (&self->sinks, g_strfreev);
  if (sink != NULL && sink[0] != '\0')
    self->sinks = g_strsplit (sink, ",", MAX_SINKS);
  self->describing = false;
  self->described = true;
  if (self->state == DLNA_RENDERER_AWAY)
    self->state = DLNA_RENDERER_STOPPED;
  self->renew = 0;
  self->due = 0;
}

static void
on_description (SoupMessage *message, GBytes *bytes, const GError *error, gpointer data)
{
  static const char *const nothing[] = {NULL};
  DlnaRenderer *self = data;
  gsize n = 0;
  const char *text = bytes != NULL ? g_bytes_get_data (bytes, &n) : NULL;
  g_autoptr (DlnaXml) doc =
      soup_message_get_status (message) == SOUP_STATUS_OK ? dlna_xml_parse (text, n) : NULL;
  const xmlNode *root = dlna_xml_root (doc, "root");
  const xmlNode *device = find_device (self, root, 0);
  g_autofree char *base = dlna_xml_text (root, "URLBase");

  self->describing = false;
  self->due = g_get_monotonic_time () + DESCRIBE_AGAIN_US; /* if it comes to nothing */
  if (device == NULL)
    return;
  read_services (self, device, base != NULL && base[0] != '\0' ? base : self->location);
  if (self->control == NULL)
    return;
  g_free (self->name);
  self->name = clean_text (device, "friendlyName");
  g_free (self->model);
  self->model = clean_text (device, "modelName");
  if (self->connections == NULL) {
    on_sinks (NULL, NULL, self);
    return;
  }
  self->describing = true;
  dlna_soap_call (self->house->session, self->connections, CONNECTIONS, "GetProtocolInfo", nothing,
                  self->life, on_sinks, self);
}

static void
describe (DlnaRenderer *self)
{
  g_autoptr (SoupMessage) message = NULL;

  if (self->described || self->describing)
    return;
  message = soup_message_new (SOUP_METHOD_GET, self->location);
  if (message == NULL)
    return;
  self->describing = true;
  dlna_soap_send (self->house->session, message, self->life, on_description, self);
}

void
dlna_renderer_seen (DlnaRenderer *self, const char *location, const char *ip, const char *here)
{
  bool moved = g_strcmp0 (self->location, location) != 0 || g_strcmp0 (self->here, here) != 0;

  self->seen = g_get_monotonic_time ();
  if (moved) {
    if (self->present)
      is_away (self);
    set_text (&self->location, location);
    set_text (&self->ip, ip);
    set_text (&self->here, here);
  }
  if (!self->present) {
    self->present = true;
    self->failures = 0;
    describe (self);
  }
}

void
dlna_renderer_gone (DlnaRenderer *self)
{
  if (self->present)
    is_away (self);
}

/* --- what it takes --- */

/* 0 = not, 1 = the type, 2 = the type with that profile name. */
static int
takes (DlnaRenderer *self, const char *mime, const char *profile)
{
  int best = 0;

  for (size_t i = 0; self->sinks != NULL && self->sinks[i] != NULL; i++) {
    g_auto (GStrv) fields = g_strsplit (g_strstrip (self->sinks[i]), ":", 4);
    if (g_strv_length (fields) != 4 || strcmp (fields[0], "http-get") != 0 ||
        (strcmp (fields[2], "*") != 0 && g_ascii_strcasecmp (fields[2], mime) != 0))
      continue;
    best = MAX (best, strcmp (fields[3], "*") == 0 ||
                              (profile != NULL && strstr (fields[3], profile) != NULL)
                          ? 2
                          : 1);
  }
  return best;
}

/* How this renderer is told of the item: what the quirks say, and else by what it says itself. false =
 * it takes nothing of that kind. */
static bool
choose_style (DlnaRenderer *self, const DlnaItem *item, DlnaProfileStyle *out)
{
  static const char *const transport[] = {"video/mpeg", "video/mp2t", "video/vnd.dlna.mpeg-tts"};
  const char *profile = dlna_profile_name (item);
  const char *kind = dlna_profile_mime (item, NULL);
  int taken;

  *out = dlna_quirks_find (self->house->quirks, self->model, self->model, self->ip)->style;
  if (self->sinks == NULL || out->transport_type != NULL)
    return true;
  taken = takes (self, kind, profile);
  for (size_t i = 1; strcmp (kind, transport[0]) == 0 && taken == 0 && i < 3; i++) {
    taken = takes (self, transport[i], profile);
    if (taken > 0)
      out->transport_type = transport[i];
  }
  out->omit_name |= taken < 2;
  /* Some list only a part of what they play; but who names no video at all has no screen. */
  if (taken == 0) {
    g_autofree char *family = g_strndup (kind, strcspn (kind, "/"));
    for (size_t i = 0; self->sinks[i] != NULL; i++) {
      g_auto (GStrv) fields = g_strsplit (self->sinks[i], ":", 4);
      if (g_strv_length (fields) == 4 && g_str_has_prefix (fields[2], family))
        return true;
    }
    return false;
  }
  return true;
}

/* --- playing --- */

static void start (DlnaRenderer *self);

static void
fail (DlnaRenderer *self, const GError *error)
{
  g_autofree char *text = NULL;

  if (++self->tries < MAX_TRIES) {
    break_off (self);
    self->due = g_get_monotonic_time () + G_USEC_PER_SEC; /* tick begins again */
    return;
  }
  if (error != NULL && error->domain != DLNA_SOAP_ERROR) {
    is_away (self); /* and if it comes back, again */
    self->tries = 0;
    return;
  }
  text = g_strdup_printf ("It does not play this: %s.",
                          error != NULL ? error->message : "no picture came");
  drop_wish (self, text);
}

static void
call (DlnaRenderer *self, const char *action, const char *const *arguments, DlnaSoapAnswered done)
{
  dlna_soap_call (self->house->session, self->control, TRANSPORT, action, arguments,
                  self->operation, done, self);
}

static void
on_play (GHashTable *out, const GError *error, gpointer data)
{
  DlnaRenderer *self = data;
  int64_t now = g_get_monotonic_time ();

  self->asking = false;
  if (out != NULL) { /* an event may have told already that it plays */
    self->step = self->state == DLNA_RENDERER_PLAYING ? FOLLOW : WAIT;
    self->deadline = now + WAIT_US;
    self->due = now;
  } else if (error->domain == DLNA_SOAP_ERROR && now < self->deadline) {
    self->due = now + G_USEC_PER_SEC; /* not yet; tick says it again */
  } else {
    fail (self, error);
  }
}

static void
say_play (DlnaRenderer *self)
{
  static const char *const arguments[] = {"InstanceID", "0", "Speed", "1", NULL};

  self->asking = true;
  call (self, "Play", arguments, on_play);
}

static void
on_set (GHashTable *out, const GError *error, gpointer data)
{
  DlnaRenderer *self = data;

  self->asking = false;
  if (out != NULL) {
    self->step = PLAY;
    self->deadline = g_get_monotonic_time () + PLAY_US;
    say_play (self);
    return;
  }
  self->plain |= error->domain == DLNA_SOAP_ERROR;
  fail (self, error);
}

static void
on_stopped (GHashTable *out, const GError *error, gpointer data)
{
  DlnaRenderer *self = data;
  g_autoptr (DlnaItem) item = dlna_library_lookup (self->house->library, self->wish, NULL);
  g_autofree char *base = g_strdup_printf ("http://%s:%u", self->here, self->house->media_port);
  g_autofree char *path = NULL, *metadata = NULL;
  DlnaProfileStyle style;
  DlnaDidlOptions options = {.base = base, .style = &style};
  DlnaDidl *didl;

  self->asking = false;
  if (error != NULL && error->domain != DLNA_SOAP_ERROR) {
    fail (self, error);
    return;
  }
  if (item == NULL || item->mime == NULL) {
    drop_wish (self, "That channel is no longer there.");
    return;
  }
  if (!choose_style (self, item, &style)) {
    drop_wish (self, "It says that it plays nothing of this kind.");
    return;
  }
  path = dlna_didl_media_path (item);
  g_free (self->uri);
  self->uri = g_strconcat (base, path, NULL);
  didl = dlna_didl_new (&options);
  dlna_didl_add (didl, item);
  metadata = dlna_didl_finish (didl);
  self->step = SET;
  self->asking = true;
  call (self, "SetAVTransportURI",
        (const char *const[]){"InstanceID", "0", "CurrentURI", self->uri, "CurrentURIMetaData",
                              self->plain ? "" : metadata, NULL},
        on_set);
}

static void
start (DlnaRenderer *self)
{
  static const char *const arguments[] = {"InstanceID", "0", NULL};

  break_off (self);
  self->step = STOP;
  self->state = DLNA_RENDERER_STARTING;
  self->asking = true;
  call (self, "Stop", arguments, on_stopped);
}

void
dlna_renderer_play (DlnaRenderer *self, const char *item_id)
{
  drop_wish (self, NULL);
  self->wish = g_strdup (item_id);
  self->plain = false;
  self->tries = self->failures = 0;
  self->until = g_get_monotonic_time () + RESUME_US;
  if (self->present && self->described)
    start (self);
}

static void
on_stop_done (GHashTable *out, const GError *error, gpointer data)
{
}

void
dlna_renderer_stop (DlnaRenderer *self)
{
  static const char *const arguments[] = {"InstanceID", "0", NULL};

  drop_wish (self, NULL);
  if (!self->present || !self->described)
    return;
  call (self, "Stop", arguments, on_stop_done);
  self->due = g_get_monotonic_time () + G_USEC_PER_SEC;
}

/* --- following --- */

/* The same thing on the same gateway? Some sets write the address in their own way. */
static bool
is_ours (DlnaRenderer *self, const char *uri)
{
  const char *path = self->uri != NULL ? strstr (self->uri, "/media/") : NULL;

  return uri == NULL || uri[0] == '\0' || path == NULL || strstr (uri, path) != NULL;
}

static void
learn_state (DlnaRenderer *self, const char *state)
{
  static const struct {
    const char *name;
    DlnaRendererState state;
  } states[] = {
      {"STOPPED", DLNA_RENDERER_STOPPED},        {"NO_MEDIA_PRESENT", DLNA_RENDERER_STOPPED},
      {"PLAYING", DLNA_RENDERER_PLAYING},        {"TRANSITIONING", DLNA_RENDERER_STARTING},
      {"PAUSED_PLAYBACK", DLNA_RENDERER_PAUSED},
  };

  for (size_t i = 0; state != NULL && i < G_N_ELEMENTS (states); i++)
    if (strcmp (states[i].name, state) == 0)
      self->state = states[i].state;
  if (self->step == WAIT && self->state == DLNA_RENDERER_PLAYING) {
    self->step = FOLLOW;
    self->tries = 0;
  }
}

static void
on_media (GHashTable *out, const GError *error, gpointer data)
{
  DlnaRenderer *self = data;

  self->asking = false;
  if (out != NULL && self->step == FOLLOW &&
      !is_ours (self, g_hash_table_lookup (out, "CurrentURI")))
    drop_wish (self, "Something else was put on it.");
}

static void
on_transport (GHashTable *out, const GError *error, gpointer data)
{
  static const char *const arguments[] = {"InstanceID", "0", NULL};
  DlnaRenderer *self = data;

  self->asking = false;
  if (out != NULL) {
    self->failures = 0;
    learn_state (self, g_hash_table_lookup (out, "CurrentTransportState"));
    if (self->step == FOLLOW && self->state == DLNA_RENDERER_STOPPED) {
      drop_wish (self, NULL);
    } else if (self->step == FOLLOW) {
      self->asking = true;
      call (self, "GetMediaInfo", arguments, on_media);
    }
  } else if (error->domain != DLNA_SOAP_ERROR && ++self->failures >= MAX_FAILURES) {
    is_away (self);
  }
}

static void
ask_state (DlnaRenderer *self, int64_t now)
{
  static const char *const arguments[] = {"InstanceID", "0", NULL};

  self->due = now + (self->step == WAIT || self->failures > 0 ? POLL_STARTING_US : POLL_PLAYING_US);
  self->asking = true;
  call (self, "GetTransportInfo", arguments, on_transport);
}

/* --- events (GENA) --- */

static void
on_subscribed (SoupMessage *message, GBytes *bytes, const GError *error, gpointer data)
{
  DlnaRenderer *self = data;
  SoupMessageHeaders *headers = soup_message_get_response_headers (message);
  const char *sid = soup_message_headers_get_one (headers, "SID");
  const char *timeout = soup_message_headers_get_one (headers, "TIMEOUT");
  int64_t now = g_get_monotonic_time (), seconds = SUBSCRIPTION_S;

  self->subscribing = false;
  if (bytes == NULL || soup_message_get_status (message) != SOUP_STATUS_OK || sid == NULL) {
    g_clear_pointer (&self->sid, g_free);
    self->renew = now + SUBSCRIBE_AGAIN_US;
    return;
  }
  set_text (&self->sid, sid);
  if (timeout != NULL && g_ascii_strncasecmp (timeout, "Second-", 7) == 0 &&
      g_ascii_isdigit (timeout[7]))
    seconds = CLAMP (g_ascii_strtoll (timeout + 7, NULL, 10), 20, SUBSCRIPTION_S);
  self->renew = now + seconds * G_USEC_PER_SEC / 2;
}

static void
subscribe (DlnaRenderer *self)
{
  g_autoptr (SoupMessage) message = soup_message_new ("SUBSCRIBE", self->events);
  SoupMessageHeaders *headers;
  g_autofree char *timeout = g_strdup_printf ("Second-%d", SUBSCRIPTION_S);

  if (message == NULL)
    return;
  headers = soup_message_get_request_headers (message);
  soup_message_headers_replace (headers, "TIMEOUT", timeout);
  if (self->sid != NULL) {
    soup_message_headers_replace (headers, "SID", self->sid);
  } else {
    g_autofree char *callback = g_strdup_printf ("<http://%s:%u/event/%s>", self->here,
                                                 self->house->media_port, self->token);
    soup_message_headers_replace (headers, "NT", "upnp:event");
    soup_message_headers_replace (headers, "CALLBACK", callback);
  }
  self->subscribing = true;
  dlna_soap_send (self->house->session, message, self->life, on_subscribed, self);
}

bool
dlna_renderer_read_event (const char *text, gsize n, char **state, char **uri)
{
  g_autoptr (DlnaXml) doc = dlna_xml_parse (text, n);
  const xmlNode *set = dlna_xml_root (doc, "propertyset");
  bool found = false;

  *state = *uri = NULL;
  for (const xmlNode *property = dlna_xml_child (set, "property"); property != NULL;
       property = dlna_xml_next (property)) {
    g_autofree char *change = dlna_xml_text (property, "LastChange");
    g_autoptr (DlnaXml) inner = change != NULL ? dlna_xml_parse (change, strlen (change)) : NULL;
    const xmlNode *instance = dlna_xml_child (dlna_xml_root (inner, "Event"), "InstanceID");
    if (instance == NULL)
      continue;
    found = true;
    g_free (*state);
    *state = dlna_xml_attribute (dlna_xml_child (instance, "TransportState"), "val");
    g_free (*uri);
    *uri = dlna_xml_attribute (dlna_xml_child (instance, "AVTransportURI"), "val");
  }
  return found;
}

unsigned
dlna_renderer_event (DlnaRenderer *self, const char *ip, const char *sid, const char *text, gsize n)
{
  g_autofree char *state = NULL, *uri = NULL;

  /* The first event may overtake the answer to the subscription. */
  if (g_strcmp0 (ip, self->ip) != 0 || sid == NULL ||
      (self->sid == NULL ? !self->subscribing : strcmp (sid, self->sid) != 0))
    return SOUP_STATUS_PRECONDITION_FAILED;
  if (!dlna_renderer_read_event (text, n, &state, &uri))
    return SOUP_STATUS_BAD_REQUEST;
  self->seen = g_get_monotonic_time ();
  learn_state (self, state);
  if (self->step == FOLLOW && !self->asking &&
      (self->state == DLNA_RENDERER_STOPPED || !is_ours (self, uri)))
    ask_state (self, self->seen);
  return SOUP_STATUS_OK;
}

/* --- time --- */

void
dlna_renderer_tick (DlnaRenderer *self)
{
  int64_t now = g_get_monotonic_time ();

  if (self->wish != NULL && !self->present && now > self->until)
    drop_wish (self, "It is switched off, or not on this network.");
  if (self->present && now - self->seen > AWAY_US && self->step != FOLLOW)
    is_away (self);
  if (!self->present)
    return;
  if (!self->described) {
    if (now >= self->due)
      describe (self);
    return;
  }
  if (self->events != NULL && !self->subscribing && now >= self->renew)
    subscribe (self);
  if (self->asking || now < self->due)
    return;
  if (self->step == IDLE && self->wish != NULL)
    start (self);
  else if (self->step == PLAY)
    say_play (self);
  else if (self->step == WAIT && now > self->deadline)
    fail (self, NULL);
  else
    ask_state (self, now);
}

void
dlna_renderer_status (const DlnaRenderer *self, DlnaRendererStatus *out)
{
  *out = (DlnaRendererStatus){.udn = self->udn,
                              .name = self->name != NULL ? self->name : self->udn,
                              .model = self->model,
                              .ip = self->ip,
                              .location = self->location,
                              .here = self->here,
                              .state = self->state,
                              .item_id = self->wish,
                              .error = self->error,
                              .described = self->name != NULL || self->described};
}

const char *
dlna_renderer_token (const DlnaRenderer *self)
{
  return self->token;
}

int64_t
dlna_renderer_last_seen (const DlnaRenderer *self)
{
  return self->seen;
}

bool
dlna_renderer_is_missed (const DlnaRenderer *self)
{
  return self->wish != NULL && !self->present;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The ppsp: link, a URI by RFC 3986:
 *
 *   ppsp:0d1a88...0d00?ci=3&ca=4&cs=1128&tr=https%3A%2F%2Ftracker.example%3A7846%2F
 *        swarm ID      parameters, values percent-encoded
 *
 *   ci  content integrity (RFC 7574, 7.5)      tk  SHA-256 of the tracker's public key
 *   hf  Merkle hash function (7.6)             cl  content length in bytes
 *   ca  chunk addressing (7.8)                 tr  tracker URI, may come again
 *   cs  chunk size in bytes (7.11)             ps  a peer's ADDR:PORT, may come again
 *   ns  chunks per signature (6.1.2.1)         fb  HTTP URL of the same bytes, may come again
 *                                              ty  media type
 *
 * A link comes from wherever people paste it from, so all of it is checked here, down to the
 * characters: what it holds ends up in HTTP headers, XML and requests. */
#include "peer/link.h"

#include <string.h>

#define SCHEME "ppsp:"
#define TEXT_MAX 8192 /* bytes */
#define TRACKERS_MAX 16
#define PEERS_MAX 32
#define FALLBACKS_MAX 16
#define MEDIA_TYPE_DEFAULT "video/mp2t"
#define MEDIA_NAME_MAX 127 /* bytes: of a type or subtype (RFC 6838, 4.2) */
#define CHUNKS_PER_SIGNATURE_DEFAULT 64

typedef struct {
  const char *name;
  bool repeatable;
  bool (*read) (PeerLink *self, const char *value, GError **error);
} Parameter;

static bool
refuse (GError **error, const char *why)
{
  g_set_error_literal (error, PEER_ERROR, PEER_ERROR_BAD_LINK, why);
  return false;
}

PeerLink *
peer_link_new (void)
{
  PeerLink *self = g_new0 (PeerLink, 1);

  peer_content_init_static (&self->content);
  self->media_type = g_strdup (MEDIA_TYPE_DEFAULT);
  self->trackers = g_ptr_array_new_with_free_func (g_free);
  self->peers = g_array_new (FALSE, FALSE, sizeof (PeerAddress));
  self->fallbacks = g_ptr_array_new_with_free_func (g_free);
  return self;
}

void
peer_link_free (PeerLink *self)
{
  if (self == NULL)
    return;
  g_free (self->media_type);
  g_ptr_array_unref (self->trackers);
  g_array_unref (self->peers);
  g_ptr_array_unref (self->fallbacks);
  g_free (self);
}

/* --- parameters --- */

static bool
read_number (const char *value, uint64_t least, uint64_t most, uint64_t *out, GError **error)
{
  guint64 number;

  /* Takes digits only: no sign, no space. */
  if (!g_ascii_string_to_unsigned (value, 10, least, most, &number, NULL)) {
    g_set_error (error, PEER_ERROR, PEER_ERROR_BAD_LINK,
                 "must be a number from %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT, least, most);
    return false;
  }
  *out = number;
  return true;
}

/* Hexadecimal digits, of n bytes at most. Returns the bytes written; 0 = none, or no such text. */
static size_t
read_hex (const char *text, size_t length, uint8_t *out, size_t n)
{
  if (length % 2 != 0 || length / 2 > n)
    return 0;
  for (size_t i = 0; i < length / 2; i++) {
    int high = g_ascii_xdigit_value (text[2 * i]), low = g_ascii_xdigit_value (text[2 * i + 1]);

    if (high < 0 || low < 0)
      return 0;
    out[i] = (uint8_t)(high << 4 | low);
  }
  return length / 2;
}

static bool
read_method (PeerLink *self, const char *value, GError **error)
{
  uint64_t number;

  if (!read_number (value, 0, 3, &number, error))
    return false;
  self->content.method = (PeerMethod)number;
  return true;
}

static bool
read_hash (PeerLink *self, const char *value, GError **error)
{
  uint64_t number;

  if (!read_number (value, 0, 4, &number, error))
    return false;
  self->content.hash = (PeerHashFunction)number;
  return true;
}

static bool
read_addressing (PeerLink *self, const char *value, GError **error)
{
  uint64_t number;

  if (!read_number (value, 0, 4, &number, error))
    return false;
  self->content.addressing = (PeerAddressing)number;
  return true;
}

static bool
read_chunk_size (PeerLink *self, const char *value, GError **error)
{
  uint64_t number = PEER_CHUNK_VARIABLE;

  if (!g_str_equal (value, "4294967295") && /* section 7.11: variable */
      !read_number (value, PEER_CHUNK_MIN, PEER_CHUNK_MAX, &number, error))
    return false;
  self->content.chunk_size = (uint32_t)number;
  return true;
}

static bool
read_chunks_per_signature (PeerLink *self, const char *value, GError **error)
{
  uint64_t number;

  if (!read_number (value, 2, 65536, &number, error))
    return false;
  if ((number & (number - 1)) != 0)
    return refuse (error, "must be a power of two"); /* section 6.1.2.1 */
  self->content.chunks_per_signature = (uint32_t)number;
  return true;
}

static bool
read_length (PeerLink *self, const char *value, GError **error)
{
  return read_number (value, 0, INT64_MAX, &self->content.length, error);
}

static bool
read_tracker_key (PeerLink *self, const char *value, GError **error)
{
  if (read_hex (value, strlen (value), self->tracker_key, sizeof self->tracker_key) !=
      sizeof self->tracker_key)
    return refuse (error, "must be 64 hexadecimal digits, a SHA-256");
  self->has_tracker_key = true;
  return true;
}

/* A scheme, a colon and something behind it, all in the characters that a URI may have (RFC 3986,
 * section 2). */
static bool
is_uri (const char *text, const char *const *schemes)
{
  static const char characters[] = "-._~:/?#[]@!$&'()*+,;=%";

  for (const char *c = text; *c != '\0'; c++) {
    if (!g_ascii_isalnum (*c) && strchr (characters, *c) == NULL)
      return false;
  }
  for (; *schemes != NULL; schemes++) {
    size_t n = strlen (*schemes);

    if (g_ascii_strncasecmp (text, *schemes, n) == 0)
      return text[n] != '\0' && g_uri_is_valid (text, G_URI_FLAGS_NONE, NULL);
  }
  return false;
}

static bool
read_uri (GPtrArray *out, guint most, const char *value, const char *const *schemes,
          const char *expected, GError **error)
{
  if (!is_uri (value, schemes)) {
    g_set_error (error, PEER_ERROR, PEER_ERROR_BAD_LINK, "must be %s", expected);
    return false;
  }
  if (out->len >= most) {
    g_set_error (error, PEER_ERROR, PEER_ERROR_BAD_LINK, "comes more than %u times", most);
    return false;
  }
  g_ptr_array_add (out, g_strdup (value));
  return true;
}

static bool
read_tracker (PeerLink *self, const char *value, GError **error)
{
  static const char *const schemes[] = {"https://", "http://", "sips:", "sip:", NULL};

  return read_uri (self->trackers, TRACKERS_MAX, value, schemes,
                   "an https:, http:, sips: or sip: URI", error);
}

static bool
read_fallback (PeerLink *self, const char *value, GError **error)
{
  static const char *const schemes[] = {"https://", "http://", NULL};

  return read_uri (self->fallbacks, FALLBACKS_MAX, value, schemes, "an https: or http: URL", error);
}

static bool
read_peer (PeerLink *self, const char *value, GError **error)
{
  PeerAddress address;

  if (!peer_address_parse (value, &address) || !peer_address_is_usable (&address))
    return refuse (error, "must be the address and port of one host, as 192.0.2.1:7574 or "
                          "[2001:db8::1]:7574");
  if (self->peers->len >= PEERS_MAX) {
    g_set_error (error, PEER_ERROR, PEER_ERROR_BAD_LINK, "comes more than %d times", PEERS_MAX);
    return false;
  }
  g_array_append_val (self->peers, address);
  return true;
}

/* RFC 6838, 4.2: restricted-name. */
static size_t
restricted_name (const char *text)
{
  size_t n = 0;

  if (!g_ascii_isalnum (text[0]))
    return 0;
  while (g_ascii_isalnum (text[n]) || (text[n] != '\0' && strchr ("!#$&-^_.+", text[n]) != NULL))
    n++;
  return n <= MEDIA_NAME_MAX ? n : 0;
}

static bool
read_media_type (PeerLink *self, const char *value, GError **error)
{
  size_t type = restricted_name (value), subtype = 0;

  if (type > 0 && value[type] == '/')
    subtype = restricted_name (value + type + 1);
  if (subtype == 0 || value[type + 1 + subtype] != '\0')
    return refuse (error, "must be a media type, as video/mp2t");
  g_free (self->media_type);
  self->media_type = g_strdup (value);
  return true;
}

static const Parameter parameters[] = {
    {"ci", false, read_method},
    {"hf", false, read_hash},
    {"ca", false, read_addressing},
    {"cs", false, read_chunk_size},
    {"ns", false, read_chunks_per_signature},
    {"cl", false, read_length},
    {"ty", false, read_media_type},
    {"tk", false, read_tracker_key},
    {"tr", true, read_tracker},
    {"ps", true, read_peer},
    {"fb", true, read_fallback},
};

/* --- the whole --- */

static bool
read_parameter (PeerLink *self, const char *text, bool *seen, GError **error)
{
  const char *equals = strchr (text, '=');
  size_t n = equals != NULL ? (size_t)(equals - text) : strlen (text);
  g_autofree char *value = NULL;

  for (size_t i = 0; i < G_N_ELEMENTS (parameters); i++) {
    const Parameter *parameter = &parameters[i];
    bool good = false;

    if (strlen (parameter->name) != n || strncmp (parameter->name, text, n) != 0)
      continue;
    if (seen[i] && !parameter->repeatable)
      refuse (error, "is given twice");
    else if (equals == NULL || equals[1] == '\0')
      refuse (error, "has no value");
    else if ((value = g_uri_unescape_string (equals + 1, NULL)) == NULL)
      refuse (error, "is not percent-encoded well");
    else
      good = parameter->read (self, value, error);
    if (!good)
      g_prefix_error (error, "parameter \"%s\" of the link ", parameter->name);
    seen[i] = true;
    return good;
  }
  return true; /* of a later version: not ours to judge */
}

static bool
read_swarm_id (PeerLink *self, const char *text, size_t n, GError **error)
{
  size_t size = read_hex (text, n, self->content.swarm_id, sizeof self->content.swarm_id);

  if (size == 0) {
    g_set_error (error, PEER_ERROR, PEER_ERROR_BAD_LINK,
                 "the swarm ID of the link, behind \"ppsp:\", must be 2 to %d hexadecimal digits, "
                 "two for each byte",
                 2 * PEER_SWARM_ID_MAX);
    return false;
  }
  self->content.swarm_id_size = (uint16_t)size;
  return true;
}

static uint32_t
default_per_signature (const PeerContent *content)
{
  return content->method == PEER_METHOD_SIGN_ALL ? 1 : CHUNKS_PER_SIGNATURE_DEFAULT;
}

/* What follows from other parameters, and whether all of them fit each other. */
static bool
complete (PeerLink *self, GError **error)
{
  PeerContent *content = &self->content;
  g_autoptr (GError) why = NULL;

  if (peer_content_is_live (content)) {
    content->signature = (PeerSignatureAlgorithm)content->swarm_id[0]; /* section 6.1 */
    if (content->chunks_per_signature == 0)
      content->chunks_per_signature = default_per_signature (content);
    if (content->length != 0)
      return refuse (error, "parameter \"cl\" of the link must not be there: live content has no "
                            "length");
  } else {
    content->chunks_per_signature = 0;
  }
  if (peer_content_check (content, &why))
    return true;
  g_set_error (error, PEER_ERROR, PEER_ERROR_BAD_LINK, "no such swarm can be: %s", why->message);
  return false;
}

PeerLink *
peer_link_parse (const char *text, GError **error)
{
  g_autoptr (PeerLink) self = peer_link_new ();
  g_autofree char *copy = NULL;
  g_auto (GStrv) pairs = NULL;
  bool seen[G_N_ELEMENTS (parameters)] = {false};
  char *fragment, *query;

  if (strnlen (text, TEXT_MAX + 1) > TEXT_MAX) {
    g_set_error (error, PEER_ERROR, PEER_ERROR_BAD_LINK, "the link is longer than %d bytes",
                 TEXT_MAX);
    return NULL;
  }
  copy = g_strstrip (g_strdup (text));
  if (g_ascii_strncasecmp (copy, SCHEME, strlen (SCHEME)) != 0) {
    refuse (error, "this is no link to a swarm: it does not begin with \"ppsp:\"");
    return NULL;
  }
  fragment = strchr (copy, '#'); /* RFC 3986, 3.5: says nothing of the swarm */
  if (fragment != NULL)
    *fragment = '\0';
  query = strchr (copy, '?');
  if (query != NULL)
    *query++ = '\0';
  if (!read_swarm_id (self, copy + strlen (SCHEME), strlen (copy + strlen (SCHEME)), error))
    return NULL;
  pairs = g_strsplit (query != NULL ? query : "", "&", -1);
  for (char **pair = pairs; *pair != NULL; pair++) {
    if (!read_parameter (self, *pair, seen, error))
      return NULL;
  }
  if (!complete (self, error))
    return NULL;
  return g_steal_pointer (&self);
}

static void
add_text (GString *out, const char *name, const char *value)
{
  g_string_append_printf (out, "%c%s=", strchr (out->str, '?') == NULL ? '?' : '&', name);
  g_string_append_uri_escaped (out, value, NULL, FALSE);
}

static void
add_number (GString *out, const char *name, uint64_t value)
{
  g_autofree char *text = g_strdup_printf ("%" G_GUINT64_FORMAT, value);

  add_text (out, name, text);
}

static void
add_content (GString *out, const PeerContent *content)
{
  if (content->method != PEER_METHOD_MERKLE)
    add_number (out, "ci", content->method);
  if (content->hash != PEER_HASH_SHA256)
    add_number (out, "hf", content->hash);
  if (content->addressing != PEER_ADDRESSING_CHUNKS32)
    add_number (out, "ca", content->addressing);
  if (content->chunk_size != 1024)
    add_number (out, "cs", content->chunk_size);
  if (peer_content_is_live (content) &&
      content->chunks_per_signature != default_per_signature (content))
    add_number (out, "ns", content->chunks_per_signature);
  if (content->length != 0)
    add_number (out, "cl", content->length);
}

char *
peer_link_to_string (const PeerLink *self)
{
  g_autofree char *id = peer_content_swarm_id_hex (&self->content);
  GString *out = g_string_new (SCHEME);

  g_string_append (out, id);
  add_content (out, &self->content);
  if (strcmp (self->media_type, MEDIA_TYPE_DEFAULT) != 0)
    add_text (out, "ty", self->media_type);
  if (self->has_tracker_key) {
    g_string_append_printf (out, "%ctk=", strchr (out->str, '?') == NULL ? '?' : '&');
    for (size_t i = 0; i < sizeof self->tracker_key; i++)
      g_string_append_printf (out, "%02x", self->tracker_key[i]);
  }
  for (guint i = 0; i < self->trackers->len; i++)
    add_text (out, "tr", self->trackers->pdata[i]);
  for (guint i = 0; i < self->peers->len; i++) {
    g_autofree char *address =
        peer_address_to_string (&g_array_index (self->peers, PeerAddress, i));

    add_text (out, "ps", address);
  }
  for (guint i = 0; i < self->fallbacks->len; i++)
    add_text (out, "fb", self->fallbacks->pdata[i]);
  return g_string_free (out, FALSE);
}

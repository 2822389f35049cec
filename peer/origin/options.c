/* SPDX-License-Identifier: Apache-2.0 */
/* Each option is a row of one table, which serves the command line and the key file. */
#include "peer/origin/options.h"

#include "peer/media/mpegts.h"
#include "peer/net/options.h"
#include "peer/net/tracker.h"
#include "peer/origin/algorithms.h"
#include "peer/origin/state.h"

#include <string.h>

#define DEFAULT_HTTP "[::]:7575"
#define DEFAULT_PEER "[::]:7576"
#define DEFAULT_WINDOW 64 /* MiB: a minute at 8 Mbit/s */
#define DEFAULT_MTU 1280  /* bytes: what every way of IPv6 takes */
#define MTU_MIN 576       /* RFC 7574, 8.1 */
#define MTU_MAX 1500
/* bytes beside the chunk: IPv6 and UDP 48, channel 4, the widest DATA 25 (RFC 7574, 8.6) */
#define HEADERS 77

/* What the table points at. */
typedef struct {
  char *http, *peer, *state, *config, *credentials;
  char **trackers, **announce, **channels, **pulls, **files, **untils;
  gboolean allow_plain, benign_network, no_peer_exchange, verbose, version;
  char *chunk_size;
  OriginAlgorithms algorithms;
  int per_signature, window, mtu, file_chunk_size, max_per_ip, loss_tolerance;
  NetPeeringSaid peering;
} Raw;

static void
raw_clear (Raw *self)
{
  g_free (self->http);
  g_free (self->peer);
  g_free (self->state);
  g_free (self->config);
  g_free (self->credentials);
  g_strfreev (self->trackers);
  g_strfreev (self->announce);
  g_strfreev (self->channels);
  g_strfreev (self->pulls);
  g_strfreev (self->files);
  g_strfreev (self->untils);
  net_peering_said_clear (&self->peering);
  g_free (self->chunk_size);
  g_free (self->algorithms.integrity);
  g_free (self->algorithms.hash);
  g_free (self->algorithms.signature);
  g_free (self->algorithms.addressing);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Raw, raw_clear)

static bool
add_entries (OriginOptions *self, OriginKind kind, char **texts, GError **error)
{
  static const char *const names[] = {"--channel", "--pull", "--file"};

  for (char **text = texts; text != NULL && *text != NULL; text++) {
    OriginEntry *entry = origin_entry_parse (kind, *text, error);

    if (entry == NULL) {
      g_prefix_error (error, "%s: ", names[kind]);
      return false;
    }
    g_ptr_array_add (self->entries, entry);
  }
  return true;
}

/* "2026-12-24T18:00:00Z", with the local zone if it names none, or "manual". */
static bool
parse_until (const char *text, int64_t *out)
{
  g_autoptr (GTimeZone) local = g_time_zone_new_local ();
  g_autoptr (GDateTime) time = g_date_time_new_from_iso8601 (text, local);

  if (strcmp (text, "manual") == 0)
    *out = INT64_MAX;
  else if (time != NULL)
    *out = g_date_time_to_unix (time) * G_USEC_PER_SEC;
  return strcmp (text, "manual") == 0 || (time != NULL && *out > 0);
}

/* "ID=TIME", or "TIME" for all live channels that have none of their own. */
static bool
add_untils (OriginOptions *self, const Raw *raw, GError **error)
{
  for (char **text = raw->untils; text != NULL && *text != NULL; text++) {
    const char *equals = strchr (*text, '=');
    g_autofree char *id = equals != NULL ? g_strndup (*text, (size_t)(equals - *text)) : NULL;
    int64_t until = 0;
    unsigned n = 0;

    if (!parse_until (equals != NULL ? equals + 1 : *text, &until)) {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                   "--until %s is not [ID=]TIME: write 2026-12-24T18:00:00Z, or manual", *text);
      return false;
    }
    for (guint i = 0; i < self->entries->len; i++) {
      OriginEntry *entry = g_ptr_array_index (self->entries, i);

      if (entry->kind == ORIGIN_FILE || (id != NULL && strcmp (id, entry->id) != 0))
        continue;
      n++;
      if (id != NULL || entry->until == 0)
        entry->until = until;
    }
    if (n == 0) {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                   "--until %s: there is no such live channel", *text);
      return false;
    }
  }
  return true;
}

/* Chunks must fit the packets that all ways take. */
static bool
fits (const char *option, int64_t chunk_size, int mtu, int unit, GError **error)
{
  if (chunk_size <= mtu - HEADERS)
    return true;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
               "%s %" G_GINT64_FORMAT ": with its headers it does not fit a packet of %d bytes; "
               "give %d at most, or the --mtu of all ways to your viewers",
               option, chunk_size, mtu, (mtu - HEADERS) / unit * unit);
  return false;
}

static bool
take_chunk_sizes (OriginOptions *self, const Raw *raw, int mtu, GError **error)
{
  guint64 size = self->channel.chunk_size;

  if (g_strcmp0 (raw->chunk_size, "variable") == 0) {
    self->channel.chunk_size = PEER_CHUNK_VARIABLE;
  } else {
    if (raw->chunk_size != NULL &&
        (!g_ascii_string_to_unsigned (raw->chunk_size, 10, 1, PEER_CHUNK_MAX, &size, NULL) ||
         size % MEDIA_TS_PACKET != 0)) {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                   "--chunk-size %s: give 188, 376, 564, 752, 940, 1128 or 1316: whole packets; or "
                   "variable",
                   raw->chunk_size);
      return false;
    }
    if (!fits ("--chunk-size", (int64_t)size, mtu, MEDIA_TS_PACKET, error))
      return false;
    self->channel.chunk_size = (uint32_t)size;
  }
  if (raw->file_chunk_size < 0)
    return true;
  if (raw->file_chunk_size < 128) { /* less than its own hashes */
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                 "--file-chunk-size %d: give 128 bytes at least; 512 or more are advised",
                 raw->file_chunk_size);
    return false;
  }
  self->file.chunk_size = (uint32_t)raw->file_chunk_size;
  return fits ("--file-chunk-size", raw->file_chunk_size, mtu, 1, error);
}

static bool
take_numbers (OriginOptions *self, const Raw *raw, GError **error)
{
  int per_signature = raw->per_signature < 0 ? 64 : raw->per_signature;
  int window = raw->window < 0 ? DEFAULT_WINDOW : raw->window;
  int mtu = raw->mtu < 0 ? DEFAULT_MTU : raw->mtu;

  if (mtu < MTU_MIN || mtu > MTU_MAX) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "--mtu %d: give %d to %d bytes",
                 mtu, MTU_MIN, MTU_MAX);
    return false;
  }
  if (per_signature < 2 || per_signature > 4096 || (per_signature & (per_signature - 1)) != 0) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                 "--chunks-per-signature %d: give a power of two from 2 to 4096", per_signature);
    return false;
  }
  if (window < 1 || window > 16384) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "--window %d: give 1 to 16384 MiB",
                 window);
    return false;
  }
  self->window = (uint64_t)window * 1024 * 1024;
  peer_content_init_live (&self->channel);
  peer_content_init_static (&self->file);
  self->channel.chunks_per_signature = (uint32_t)per_signature;
  return take_chunk_sizes (self, raw, mtu, error) &&
         origin_algorithms_apply (&raw->algorithms, &self->channel, &self->file, error);
}

static char *
or_default (char **text, const char *otherwise)
{
  return *text != NULL ? g_steal_pointer (text) : g_strdup (otherwise);
}

static char **
or_none (char ***texts)
{
  return *texts != NULL ? g_steal_pointer (texts) : g_new0 (char *, 1);
}

/* The ID of each, and of the film that a broadcast becomes, belongs to it alone. */
static bool
check_ids (const OriginOptions *self, GError **error)
{
  g_autoptr (GHashTable) ids = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (guint i = 0; i < self->entries->len; i++) {
    const OriginEntry *entry = g_ptr_array_index (self->entries, i);

    if (!g_hash_table_add (ids, g_strdup (entry->id))) {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_EXISTS, "the ID \"%s\" is used twice", entry->id);
      return false;
    }
  }
  for (guint i = 0; i < self->entries->len; i++) {
    const OriginEntry *entry = g_ptr_array_index (self->entries, i);
    char *film = entry->until != 0 ? g_strconcat (entry->id, ORIGIN_FILM, NULL) : NULL;
    bool valid = film == NULL || origin_id_is_valid (film);

    if (film == NULL || (g_hash_table_add (ids, film) && valid))
      continue;
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_EXISTS,
                 "--until: the broadcast of \"%s\" is to become \"%s" ORIGIN_FILM "\", which is %s",
                 entry->id, entry->id,
                 valid ? "used already: give one of them another ID"
                       : "longer than 64 characters: give the channel a shorter ID");
    return false;
  }
  return true;
}

/* Before anything is made that lasts, a key or a token for one. */
static bool
check (const OriginOptions *self, GError **error)
{
  if (self->channel.method == PEER_METHOD_SIGN_ALL && !self->benign_network) {
    g_set_error_literal (
        error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
        "--integrity sign-all is for networks whose peers are trusted: say so with "
        "--benign-network");
    return false;
  }
  for (char **tracker = self->trackers; *tracker != NULL; tracker++)
    if (!net_tracker_check (*tracker, self->allow_plain_tracker, error))
      return false;
  return check_ids (self, error);
}

static bool
add_announced (OriginOptions *self, char **texts, GError **error)
{
  for (; texts != NULL && *texts != NULL; texts++) {
    PeerAddress address;

    if (!peer_address_parse (*texts, &address) || !peer_address_is_usable (&address)) {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                   "--announce %s is no ADDR:PORT with an IP address and a port", *texts);
      return false;
    }
    g_array_append_val (self->announce, address);
  }
  return true;
}

static bool
fill (OriginOptions *self, Raw *raw, GError **error)
{
  self->http = or_default (&raw->http, DEFAULT_HTTP);
  self->peer = or_default (&raw->peer, DEFAULT_PEER);
  self->state = g_steal_pointer (&raw->state);
  self->config = g_steal_pointer (&raw->config);
  self->trackers = or_none (&raw->trackers);
  self->announce = g_array_new (FALSE, FALSE, sizeof (PeerAddress));
  self->allow_plain_tracker = raw->allow_plain;
  self->benign_network = raw->benign_network;
  self->no_peer_exchange = raw->no_peer_exchange;
  self->verbose = raw->verbose;
  self->version = raw->version;
  self->entries = g_ptr_array_new_with_free_func ((GDestroyNotify)origin_entry_free);
  if (raw->credentials != NULL &&
      (self->credentials = net_credentials_load (raw->credentials, error)) == NULL)
    return false;
  self->peering = net_peering_new (&raw->peering, error);
  return self->peering != NULL && take_numbers (self, raw, error) &&
         add_announced (self, raw->announce, error) &&
         net_options_max_per_ip (raw->max_per_ip, &self->max_per_ip, error) &&
         net_options_loss_tolerance (raw->loss_tolerance, &self->loss_tolerance, error) &&
         add_entries (self, ORIGIN_CHANNEL, raw->channels, error) &&
         add_entries (self, ORIGIN_PULL, raw->pulls, error) &&
         add_entries (self, ORIGIN_FILE, raw->files, error) && add_untils (self, raw, error) &&
         check (self, error);
}

/* The command line, and the key file that it may name. */
static bool
read_all (GOptionContext *context, const GOptionEntry *entries, int *argc, char ***argv,
          char **config, GError **error)
{
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, argc, argv, error))
    return false;
  if (*argc > 1) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "\"%s\" is no option; see --help",
                 (*argv)[1]);
    return false;
  }
  return *config == NULL || net_options_read_file (*config, entries, error);
}

OriginOptions *
origin_options_parse (int *argc, char ***argv, GError **error)
{
  g_auto (Raw) raw = {.per_signature = -1,
                      .window = -1,
                      .mtu = -1,
                      .file_chunk_size = -1,
                      .max_per_ip = -1,
                      .loss_tolerance = -1};
  g_autoptr (OriginOptions) self = g_new0 (OriginOptions, 1);
  g_autoptr (GOptionContext) context = g_option_context_new ("- publish channels and files");
  const GOptionEntry entries[] = {
      {"http", 0, 0, G_OPTION_ARG_STRING, &raw.http, "Ingest and management; default " DEFAULT_HTTP,
       "ADDR:PORT"},
      {"peer", 0, 0, G_OPTION_ARG_STRING, &raw.peer,
       "The peer protocol, UDP; default " DEFAULT_PEER, "ADDR:PORT"},
      {"tracker", 0, 0, G_OPTION_ARG_STRING_ARRAY, &raw.trackers,
       "Tracker to register with; repeatable", "URI"},
      {"allow-plain-tracker", 0, 0, G_OPTION_ARG_NONE, &raw.allow_plain,
       "Plain http trackers also on public addresses", NULL},
      {"credentials", 0, 0, G_OPTION_ARG_FILENAME, &raw.credentials, NET_CREDENTIALS_HELP, "FILE"},
      {"announce", 0, 0, G_OPTION_ARG_STRING_ARRAY, &raw.announce,
       "Where peers reach this origin, put into its links; repeatable", "ADDR:PORT"},
      {"channel", 0, 0, G_OPTION_ARG_STRING_ARRAY, &raw.channels,
       "Live channel that an encoder pushes to /ingest/ID; repeatable", "ID[=NAME]"},
      {"pull", 0, 0, G_OPTION_ARG_STRING_ARRAY, &raw.pulls,
       "Live channel that is fetched over HTTP; repeatable", "ID[=NAME],URI"},
      {"file", 0, 0, G_OPTION_ARG_STRING_ARRAY, &raw.files, "Content on demand; repeatable",
       "ID[=NAME],PATH"},
      {"until", 0, 0, G_OPTION_ARG_STRING_ARRAY, &raw.untils,
       "When a live channel's broadcast ends, and becomes content on demand; or manual, and DELETE "
       "/ingest/ID ends it; repeatable",
       "[ID=]TIME"},
      {"state", 0, 0, G_OPTION_ARG_FILENAME, &raw.state, "Folder of keys and hash trees", "DIR"},
      {"integrity", 0, 0, G_OPTION_ARG_STRING, &raw.algorithms.integrity,
       "Of new channels: unified-merkle, or sign-all in a benign network", "METHOD"},
      {"hash", 0, 0, G_OPTION_ARG_STRING, &raw.algorithms.hash,
       "Of files and new channels: sha1, sha224, sha256 (default), sha384, sha512", "NAME"},
      {"signature", 0, 0, G_OPTION_ARG_STRING, &raw.algorithms.signature,
       "Of new channels: rsasha1, rsasha256, ecdsap256sha256 (default), ecdsap384sha384", "NAME"},
      {"addressing", 0, 0, G_OPTION_ARG_STRING, &raw.algorithms.addressing,
       "Of files and new channels: bins32, bytes64, chunks32 (files' default), bins64, chunks64 "
       "(channels' default)",
       "NAME"},
      {"chunk-size", 0, 0, G_OPTION_ARG_STRING, &raw.chunk_size,
       "Of new channels, bytes, or variable; default 1128, six packets", "N"},
      {"file-chunk-size", 0, 0, G_OPTION_ARG_INT, &raw.file_chunk_size,
       "Of files, bytes; default 1024", "N"},
      {"chunks-per-signature", 0, 0, G_OPTION_ARG_INT, &raw.per_signature,
       "Of new channels; default 64", "N"},
      {"mtu", 0, 0, G_OPTION_ARG_INT, &raw.mtu,
       "Packets that all ways take, bytes; bounds --chunk-size; default 1280", "N"},
      {"window", 0, 0, G_OPTION_ARG_INT, &raw.window,
       "How much of a live channel is kept; default 64", "MIB"},
      {"loss-tolerance", 0, 0, G_OPTION_ARG_INT, &raw.loss_tolerance,
       NET_OPTIONS_LOSS_TOLERANCE_HELP, "PERCENT"},
      {"max-per-ip", 0, 0, G_OPTION_ARG_INT, &raw.max_per_ip, NET_OPTIONS_MAX_PER_IP_HELP, "N"},
      {"benign-network", 0, 0, G_OPTION_ARG_NONE, &raw.benign_network,
       NET_OPTIONS_BENIGN_NETWORK_HELP, NULL},
      {"no-peer-exchange", 0, 0, G_OPTION_ARG_NONE, &raw.no_peer_exchange,
       NET_OPTIONS_NO_PEER_EXCHANGE_HELP, NULL},
      NET_PEERING_ENTRIES (&raw.peering),
      NET_PEERING_LIMIT_ENTRY (&raw.peering),
      {"config", 0, 0, G_OPTION_ARG_FILENAME, &raw.config, "Key file with the same options",
       "FILE"},
      {"verbose", 0, 0, G_OPTION_ARG_NONE, &raw.verbose, "Log more", NULL},
      {"version", 0, 0, G_OPTION_ARG_NONE, &raw.version, "Say the version and end", NULL},
      {NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL}};

  if (!read_all (context, entries, argc, argv, &raw.config, error))
    return NULL;
  return fill (self, &raw, error) ? g_steal_pointer (&self) : NULL;
}

void
origin_options_free (OriginOptions *self)
{
  g_free (self->http);
  g_free (self->peer);
  g_free (self->state);
  g_free (self->config);
  net_credentials_unref (self->credentials);
  g_strfreev (self->trackers);
  g_clear_pointer (&self->announce, g_array_unref);
  g_clear_pointer (&self->entries, g_ptr_array_unref);
  g_clear_pointer (&self->peering, net_peering_free);
  g_free (self);
}

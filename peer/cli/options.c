/* SPDX-License-Identifier: Apache-2.0 */
/* One table serves the command line and the key file; what both have said becomes the options. */
#include "peer/cli/options.h"

#include "peer/net/options.h"

#include <stdio.h>
#include <string.h>

#define LINK_MAX 8192 /* bytes, as peer_link_parse() takes them */
#define LISTEN_ANY "[::]:0"
#define DEFAULT_QUOTA "10G"
#define LEAST_QUOTA (4 << 20) /* bytes */

typedef struct {
  char *output, *listen, *metrics, *config, *cache, *quota, *credentials;
  char **trackers, **peers, **links, **lists;
  int max_per_ip, loss_tolerance;
  gboolean benign_network, no_peer_exchange;
  gboolean keep, seed, allow_plain_tracker, verbose, version;
  NetPeeringSaid peering;
} Said;

static void
said_clear (Said *self)
{
  g_free (self->output);
  g_free (self->listen);
  g_free (self->metrics);
  g_free (self->config);
  g_free (self->credentials);
  g_free (self->cache);
  g_free (self->quota);
  g_strfreev (self->lists);
  g_strfreev (self->trackers);
  g_strfreev (self->peers);
  g_strfreev (self->links);
  net_peering_said_clear (&self->peering);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Said, said_clear)

static bool
parse_arguments (Said *said, int argc, char **argv, GError **error)
{
  const GOptionEntry entries[] = {
      {"output", 'o', 0, G_OPTION_ARG_FILENAME, &said->output,
       "Write to FILE instead of standard output; a file on demand is gone on with", "FILE"},
      {"seed", 0, 0, G_OPTION_ARG_NONE, &said->seed,
       "Stay in the swarm and give to others, until stopped", NULL},
      {"cache", 0, 0, G_OPTION_ARG_FILENAME, &said->cache,
       "Be a cache of many swarms, in folder DIR: fetch what their peers need, give it to others",
       "DIR"},
      {"quota", 0, 0, G_OPTION_ARG_STRING, &said->quota,
       "Of the cache: 500M, 20G; what was used longest ago goes first (10G)", "SIZE"},
      {"channels", 0, 0, G_OPTION_ARG_STRING_ARRAY, &said->lists,
       "Of the cache: a channel list (M3U with ppsp: links), by http:, https: or file:; repeatable",
       "URI"},
      {"keep", 0, 0, G_OPTION_ARG_NONE, &said->keep,
       "Live, with --output: keep the whole broadcast; when it ends it is content on demand", NULL},
      {"peer", 0, 0, G_OPTION_ARG_STRING, &said->listen,
       "Where the peer protocol listens, UDP (any port)", "ADDR:PORT"},
      {"metrics", 0, 0, G_OPTION_ARG_STRING, &said->metrics,
       "Serve /metrics (OpenMetrics) and /healthz over HTTP there (off)", "ADDR:PORT"},
      {"tracker", 0, 0, G_OPTION_ARG_STRING_ARRAY, &said->trackers,
       "A tracker beside those of the link; repeatable", "URI"},
      {"allow-plain-tracker", 0, 0, G_OPTION_ARG_NONE, &said->allow_plain_tracker,
       "Take http: trackers outside private networks too", NULL},
      {"credentials", 0, 0, G_OPTION_ARG_FILENAME, &said->credentials, NET_CREDENTIALS_HELP,
       "FILE"},
      {"peers", 0, 0, G_OPTION_ARG_STRING_ARRAY, &said->peers,
       "A peer to begin with; repeatable, or several with commas", "ADDR:PORT"},
      {"loss-tolerance", 0, 0, G_OPTION_ARG_INT, &said->loss_tolerance,
       NET_OPTIONS_LOSS_TOLERANCE_HELP, "PERCENT"},
      {"max-per-ip", 0, 0, G_OPTION_ARG_INT, &said->max_per_ip, NET_OPTIONS_MAX_PER_IP_HELP, "N"},
      {"benign-network", 0, 0, G_OPTION_ARG_NONE, &said->benign_network,
       NET_OPTIONS_BENIGN_NETWORK_HELP, NULL},
      {"no-peer-exchange", 0, 0, G_OPTION_ARG_NONE, &said->no_peer_exchange,
       NET_OPTIONS_NO_PEER_EXCHANGE_HELP, NULL},
      NET_PEERING_ENTRIES (&said->peering),
      {"config", 0, 0, G_OPTION_ARG_FILENAME, &said->config, "Options from a key file", "FILE"},
      {"verbose", 'v', 0, G_OPTION_ARG_NONE, &said->verbose, "Say what happens", NULL},
      {"version", 0, 0, G_OPTION_ARG_NONE, &said->version, "Print the version and end", NULL},
      {"link", 0, 0, G_OPTION_ARG_STRING_ARRAY, &said->links, "The same as LINK alone", "LINK"},
      {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &said->links, NULL, "LINK"},
      {NULL},
  };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_option_context_set_summary (
      context, "Joins the swarm of a ppsp: link and writes its stream or file to standard output.\n"
               "A LINK of - is read from standard input.");
  g_option_context_add_main_entries (context, entries, NULL);
  return g_option_context_parse (context, &argc, &argv, error) &&
         (said->config == NULL || said->version ||
          net_options_read_file (said->config, entries, error));
}

static bool
fill_cache (CliOptions *self, Said *said, GError **error)
{
  if (self->output != NULL || self->seed || said->keep) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                 "--cache keeps and gives on by itself: leave out --output, --seed and --keep");
    return false;
  }
  if (!net_options_size (said->quota != NULL ? said->quota : DEFAULT_QUOTA, &self->quota) ||
      self->quota < LEAST_QUOTA) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                 "--quota %s is no size: write 500M or 20G, and 4M at least", said->quota);
    return false;
  }
  for (size_t i = 0; said->links != NULL && said->links[i] != NULL; i++) {
    PeerLink *link = peer_link_parse (said->links[i], error);
    if (link == NULL)
      return false;
    g_ptr_array_add (self->links, link);
  }
  self->lists = said->lists != NULL ? g_steal_pointer (&said->lists) : g_new0 (char *, 1);
  if (self->links->len == 0 && self->lists[0] == NULL) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                 "nothing to cache: give links (ppsp:...), or --channels URI");
    return false;
  }
  self->cache = g_steal_pointer (&said->cache);
  return true;
}

/* The link itself, of which there must be one. */
static char *
link_text (const Said *said, GError **error)
{
  if (said->links == NULL || said->links[0] == NULL) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                 "no link: give one (ppsp:...), or - to read it from standard input");
    return NULL;
  }
  if (said->links[1] != NULL) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                 "more than one link: %s is too much (has a link with & been quoted?)",
                 said->links[1]);
    return NULL;
  }
  if (strcmp (said->links[0], "-") != 0)
    return g_strdup (said->links[0]);
  g_autofree char *line = g_malloc0 (LINK_MAX + 2);
  if (fgets (line, LINK_MAX + 2, stdin) == NULL) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                 "standard input: no link came from there");
    return NULL;
  }
  g_strstrip (line);
  return g_steal_pointer (&line);
}

static bool
add_peers (CliOptions *self, char *const *lists, GError **error)
{
  for (size_t i = 0; lists != NULL && lists[i] != NULL; i++) {
    g_auto (GStrv) texts = g_strsplit (lists[i], ",", -1);
    for (size_t k = 0; texts[k] != NULL; k++) {
      PeerAddress address;
      g_strstrip (texts[k]);
      if (!peer_address_parse (texts[k], &address) || !peer_address_is_usable (&address)) {
        g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                     "--peers %s: no address and port of a peer; write 192.0.2.1:7574 or "
                     "[2001:db8::1]:7574",
                     texts[k]);
        return false;
      }
      g_array_append_val (self->peers, address);
    }
  }
  return true;
}

static bool
fill (CliOptions *self, Said *said, GError **error)
{
  self->peering = net_peering_new (&said->peering, error);
  if (self->peering == NULL)
    return false;
  self->seed = said->seed;
  self->allow_plain_tracker = said->allow_plain_tracker;
  if (said->credentials != NULL &&
      (self->credentials = net_credentials_load (said->credentials, error)) == NULL)
    return false;
  self->verbose = said->verbose;
  self->benign_network = said->benign_network;
  self->no_peer_exchange = said->no_peer_exchange;
  if (!net_options_max_per_ip (said->max_per_ip, &self->max_per_ip, error) ||
      !net_options_loss_tolerance (said->loss_tolerance, &self->loss_tolerance, error))
    return false;
  self->output = g_steal_pointer (&said->output);
  self->metrics = g_steal_pointer (&said->metrics);
  self->listen = said->listen != NULL ? g_steal_pointer (&said->listen) : g_strdup (LISTEN_ANY);
  if (!add_peers (self, said->peers, error))
    return false;
  for (size_t i = 0; said->trackers != NULL && said->trackers[i] != NULL; i++)
    g_ptr_array_add (self->trackers, g_strdup (said->trackers[i]));
  if (said->cache != NULL)
    return fill_cache (self, said, error);
  if (said->quota != NULL || said->lists != NULL) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                 "%s is for a cache: give --cache DIR too",
                 said->quota != NULL ? "--quota" : "--channels");
    return false;
  }
  g_autofree char *text = link_text (said, error);
  self->link = text != NULL ? peer_link_parse (text, error) : NULL;
  if (self->link == NULL)
    return false;
  self->keep = said->keep;
  if (self->keep &&
      (self->output == NULL || self->link->content.method != PEER_METHOD_UNIFIED_MERKLE ||
       peer_content_is_variable (&self->link->content))) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                 "--keep is for the link of a live broadcast with a hash tree and chunks of one "
                 "size, and needs --output FILE");
    return false;
  }
  g_array_append_vals (self->peers, self->link->peers->data, self->link->peers->len);
  for (guint i = 0; i < self->link->trackers->len; i++)
    g_ptr_array_insert (self->trackers, (gint)i, g_strdup (self->link->trackers->pdata[i]));
  if (self->trackers->len == 0 && self->peers->len == 0) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                 "the link names neither a tracker nor a peer: give --tracker or --peers");
    return false;
  }
  return true;
}

bool
cli_options_reread (CliOptions *self, int argc, char **argv, GError **error)
{
  g_auto (Said) said = {.max_per_ip = -1, .loss_tolerance = -1};
  if (!parse_arguments (&said, argc, argv, error))
    return false;
  NetPeering *peering = net_peering_new (&said.peering, error);
  if (peering == NULL)
    return false;
  if (self->credentials != NULL && !net_credentials_reload (self->credentials, error)) {
    net_peering_free (peering);
    return false;
  }
  net_peering_free (self->peering);
  self->peering = peering;
  return true;
}

CliOptions *
cli_options_new (int argc, char **argv, GError **error)
{
  g_auto (Said) said = {.max_per_ip = -1, .loss_tolerance = -1};
  if (!parse_arguments (&said, argc, argv, error))
    return NULL;
  g_autoptr (CliOptions) self = g_new0 (CliOptions, 1);
  self->trackers = g_ptr_array_new_with_free_func (g_free);
  self->peers = g_array_new (FALSE, FALSE, sizeof (PeerAddress));
  self->links = g_ptr_array_new_with_free_func ((GDestroyNotify)peer_link_free);
  self->version = said.version;
  if (self->version)
    return g_steal_pointer (&self);
  if (!fill (self, &said, error))
    return NULL;
  return g_steal_pointer (&self);
}

void
cli_options_free (CliOptions *self)
{
  if (self == NULL)
    return;
  g_clear_pointer (&self->link, peer_link_free);
  g_free (self->output);
  g_free (self->listen);
  g_free (self->metrics);
  g_free (self->cache);
  g_strfreev (self->lists);
  g_ptr_array_unref (self->links);
  g_ptr_array_unref (self->trackers);
  g_array_unref (self->peers);
  net_credentials_unref (self->credentials);
  g_clear_pointer (&self->peering, net_peering_free);
  g_free (self);
}

void
cli_options_engine (const CliOptions *self, PeerEngineOptions *out)
{
  peer_engine_options_init (out);
  net_peering_options (self->peering, out);
  out->max_per_ip = self->max_per_ip;
  out->loss_tolerance = self->loss_tolerance;
  out->benign = self->benign_network;
  out->no_exchange = self->no_peer_exchange;
}

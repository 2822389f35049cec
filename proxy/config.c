/* SPDX-License-Identifier: Apache-2.0 */
/* One table says what options there are. Both readers, that of the command line and that of the key
 * file, only collect texts by option; then the table turns texts into the struct, so that an option
 * means the same and fails with the same words wherever it stands. In the key file the section is
 * for the reader's eye; the key alone counts. */
#include "proxy/config.h"
#include "peer/net/options.h"
#include "peer/net/tracker.h"
#include "proxy/ring.h"
#include "proxy/shift.h"
#include "proxy/warm.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MEMORY_MOST ((uint64_t)128 << 20)

G_DEFINE_QUARK (ppsp - proxy - error, proxy_error)

typedef enum { TEXT, TEXTS, LISTEN, PORT, SIZE, SECONDS, COUNT, CHANNELS, FLAG } Kind;

typedef struct {
  const char *name;
  Kind kind;
  size_t offset;
  const char *what; /* the placeholder; NULL for a flag */
  const char *help;
} Option;

#define AT(field) offsetof (ProxyConfig, field)

static const Option options[] = {
    {"listen", LISTEN, AT (listen), "PORT",
     "page, media and API, or ADDR:PORT (8574 on loopback and the home's interfaces)"},
    {"dlna-port", PORT, AT (dlna_port), "PORT", "the MediaServer's own port (8575)"},
    {"peer", TEXT, AT (peer), "ADDR:PORT", "the peer protocol, UDP ([::]:7574)"},
    {"channels", TEXTS, AT (channels), "URI",
     "a channel list, M3U with ppsp: links, by http:, https: or file: (repeatable)"},
    {"interface", TEXTS, AT (interfaces), "NAME",
     "an interface of the home (repeatable; those with a private address)"},
    {"state", TEXT, AT (state), "DIR", "catalog and cache ($STATE_DIRECTORY, or XDG)"},
    {"name", TEXT, AT (name), "NAME", "what the TV shows (PPSP on HOSTNAME)"},
    {"hdhomerun", FLAG, AT (hdhomerun), NULL,
     "be found as a network tuner by programs that record television"},
    {"renderers", TEXT, AT (renderers), "FILE",
     "what certain televisions want otherwise than most; see the manual page"},
    {"cache", SIZE, AT (cache), "SIZE", "for content on demand (1G)"},
    {"memory", SIZE, AT (memory), "SIZE",
     "the most for each live channel, which takes 12M, or 10 seconds where that is more "
     "(128M, or an eighth of the machine's)"},
    {"timeshift", SIZE, AT (timeshift), "SIZE",
     "on disk, for each live channel that is watched: to pause it and to step back (0: none)"},
    {"recordings", TEXT, AT (recordings), "DIR", "record channels, into this folder (off)"},
    {"recordings-quota", SIZE, AT (recordings_quota), "SIZE",
     "the most that all recordings may take (0: as the disk has room)"},
    {"linger", SECONDS, AT (linger), "SECONDS", "a channel stays on after its last viewer (30)"},
    {"warm", CHANNELS, AT (warm), "N",
     "channels that are joined before they are watched (4, at most 8; 0 = none)"},
    {"tracker", TEXTS, AT (trackers), "URI", "for all swarms, besides those of the links"},
    {"allow-plain-tracker", FLAG, AT (allow_plain_tracker), NULL,
     "http: trackers also on public addresses"},
    {"credentials", TEXT, AT (credentials_file), "FILE", NET_CREDENTIALS_HELP},
    {"allow-host", TEXTS, AT (allow_hosts), "NAME",
     "a name that this gateway is reached by (repeatable)"},
    {"max-per-ip", COUNT, AT (max_per_ip), "N",
     "peers that one public address may connect to a swarm (32)"},
    {"benign-network", FLAG, AT (benign_network), NULL,
     "peers may name each other without certificates, and channels use Sign All; for closed "
     "networks only"},
    {"no-peer-exchange", FLAG, AT (no_peer_exchange), NULL,
     "peers are not named to each other at all"},
    {"upload", TEXT, AT (said.upload), "RATE",
     "limit of all that is sent, bit/s: 20M, 512k (none)"},
    {"swarm-upload", TEXT, AT (said.swarm_upload), "RATE",
     "limit of what each swarm sends, bit/s (none)"},
    {"swarm-download", TEXT, AT (said.swarm_download), "RATE",
     "limit of what each swarm fetches, bit/s (none)"},
    {"limit", TEXTS, AT (said.limits), "ID=UPLOAD[,DOWNLOAD]",
     "limits of one channel, bit/s (repeatable)"},
    {"dead-peer", TEXT, AT (said.dead_peer), "SECONDS",
     "a peer that is silent so long, and left three datagrams unanswered, is dead (180)"},
    {"access-link", TEXT, AT (said.access_link), "LINK", NET_PEERING_ACCESS_LINK_HELP},
    {"power", TEXT, AT (said.power), "POWER", NET_PEERING_POWER_HELP},
    {"log", TEXT, AT (said.log), "WHERE", NET_LOG_HELP},
    {"verbose", FLAG, AT (verbose), NULL, "say more"},
};

enum { N_OPTIONS = G_N_ELEMENTS (options), N_MORE = 2 };

typedef struct {
  GPtrArray *texts[N_OPTIONS]; /* NULL = not said */
  char *file;
  gboolean version;
} Said;

static void
said_clear (Said *said)
{
  for (int i = 0; i < N_OPTIONS; i++)
    g_clear_pointer (&said->texts[i], g_ptr_array_unref);
  g_clear_pointer (&said->file, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Said, said_clear)

static int
find_option (const char *name)
{
  for (int i = 0; i < N_OPTIONS; i++)
    if (g_str_equal (options[i].name, name))
      return i;
  return -1;
}

static void
say (Said *said, int i, const char *text)
{
  if (!said->texts[i])
    said->texts[i] = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_add (said->texts[i], g_strdup (text));
}

static gboolean
on_option (const char *name, const char *value, gpointer data, GError **error)
{
  say (data, find_option (name + 2), value ? value : "true");
  return TRUE;
}

static bool
read_command_line (Said *said, int argc, char **argv, bool *exit, GError **error)
{
  GOptionEntry entries[N_OPTIONS + N_MORE + 1] = {0};
  for (int i = 0; i < N_OPTIONS; i++)
    entries[i] = (GOptionEntry){options[i].name,
                                0,
                                options[i].kind == FLAG ? G_OPTION_FLAG_NO_ARG : 0,
                                G_OPTION_ARG_CALLBACK,
                                (gpointer)on_option,
                                options[i].help,
                                options[i].what};
  entries[N_OPTIONS] =
      (GOptionEntry){"config",    0,
                     0,           G_OPTION_ARG_FILENAME,
                     &said->file, "a key file with these options; the command line wins",
                     "FILE"};
  entries[N_OPTIONS + 1] =
      (GOptionEntry){"version", 0, 0, G_OPTION_ARG_NONE, &said->version, "say the version", NULL};

  g_autoptr (GOptionContext) context = g_option_context_new ("- PPSP channels for the home");
  GOptionGroup *group = g_option_group_new ("proxy", "", "", said, NULL);
  g_option_group_add_entries (group, entries);
  g_option_context_set_main_group (context, group);
  g_option_context_set_help_enabled (context, FALSE);
  gboolean help = FALSE;
  const GOptionEntry help_entries[] = {
      {"help", 'h', 0, G_OPTION_ARG_NONE, &help, "show this", NULL}, {0}};
  g_option_context_add_main_entries (context, help_entries, NULL);

  g_auto (GStrv) copy = g_new0 (char *, (size_t)argc + 1);
  for (int i = 0; i < argc; i++)
    copy[i] = g_strdup (argv[i]);
  if (!g_option_context_parse_strv (context, &copy, error)) {
    g_prefix_error (error, "%s; see --help: ", "command line");
    return false;
  }
  if (help) {
    g_autofree char *text = g_option_context_get_help (context, TRUE, NULL);
    printf ("%s", text);
  } else if (said->version)
    printf ("ppsp-proxy %s\n", PPSP_VERSION);
  *exit = help || said->version;
  if (!*exit && copy[0] && copy[1]) {
    g_set_error (error, PROXY_ERROR, PROXY_ERROR_BAD_OPTION,
                 "command line: '%s' is no option; see --help", copy[1]);
    return false;
  }
  return true;
}

static bool
read_key (Said *said, GKeyFile *file, const char *path, const char *section, const char *key,
          const bool *on_command_line, GError **error)
{
  int i = find_option (key);
  if (i < 0) {
    g_set_error (error, PROXY_ERROR, PROXY_ERROR_BAD_OPTION,
                 "%s: [%s] '%s' is no option; --help names them all", path, section, key);
    return false;
  }
  if (on_command_line[i])
    return true;
  g_auto (GStrv) values = g_key_file_get_string_list (file, section, key, NULL, error);
  if (!values) {
    g_prefix_error (error, "%s: [%s] %s: ", path, section, key);
    return false;
  }
  for (size_t v = 0; values[v]; v++)
    say (said, i, g_strstrip (values[v]));
  return true;
}

static bool
read_file (Said *said, GError **error)
{
  g_autoptr (GKeyFile) file = net_options_open (said->file, error);
  if (file == NULL)
    return false;
  bool on_command_line[N_OPTIONS];
  for (int i = 0; i < N_OPTIONS; i++)
    on_command_line[i] = said->texts[i] != NULL;
  g_auto (GStrv) sections = g_key_file_get_groups (file, NULL);
  for (size_t s = 0; sections[s]; s++) {
    g_auto (GStrv) keys = g_key_file_get_keys (file, sections[s], NULL, NULL);
    for (size_t k = 0; keys && keys[k]; k++)
      if (!read_key (said, file, said->file, sections[s], keys[k], on_command_line, error))
        return false;
  }
  return true;
}

static bool
parse_number (const char *text, uint64_t max, uint64_t *out)
{
  return g_ascii_string_to_unsigned (text, 10, 0, max, out, NULL);
}

static char **
to_strv (const GPtrArray *texts)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  for (guint i = 0; i < texts->len; i++)
    g_strv_builder_add (builder, texts->pdata[i]);
  return g_strv_builder_end (builder);
}

/* Turns the texts of one option into its field; NULL, or what was expected. */
static const char *
apply (ProxyConfig *config, const Option *option, const GPtrArray *texts)
{
  gpointer field = (char *)config + option->offset;
  const char *last = texts->pdata[texts->len - 1];
  uint64_t number;
  switch (option->kind) {
  case TEXT:
    if (last[0] == '\0')
      return "something";
    g_free (*(char **)field);
    *(char **)field = g_strdup (last);
    return NULL;
  case TEXTS:
    g_strfreev (*(char ***)field);
    *(char ***)field = to_strv (texts);
    return NULL;
  case LISTEN:
    if (texts->len == 1 && parse_number (last, 65535, &number)) {
      config->listen_port = (uint16_t)number;
      return NULL;
    }
    for (guint i = 0; i < texts->len; i++)
      if (!strchr (texts->pdata[i], ':'))
        return "a port, or addresses as ADDR:PORT";
    g_strfreev (config->listen);
    config->listen = to_strv (texts);
    return NULL;
  case PORT:
    if (!parse_number (last, 65535, &number))
      return "a port from 0 to 65535";
    *(uint16_t *)field = (uint16_t)number;
    return NULL;
  case SIZE:
    if (!net_options_size (last, &number))
      return "a size like 300M or 1G";
    *(uint64_t *)field = number;
    return NULL;
  case SECONDS:
    if (!parse_number (last, 86400, &number))
      return "seconds, at most 86400";
    *(unsigned *)field = (unsigned)number;
    return NULL;
  case COUNT:
    if (!parse_number (last, 10000, &number) || number == 0)
      return "a number from 1 to 10000";
    *(unsigned *)field = (unsigned)number;
    return NULL;
  case CHANNELS:
    if (!parse_number (last, PROXY_WARM_MAX, &number))
      return "a number from 0 to " G_STRINGIFY (PROXY_WARM_MAX);
    *(unsigned *)field = (unsigned)number;
    return NULL;
  case FLAG:
    if (!g_str_equal (last, "true") && !g_str_equal (last, "false"))
      return "true or false";
    *(bool *)field = g_str_equal (last, "true");
    return NULL;
  }
  return NULL;
}

static char *
default_state (void)
{
  const char *given = g_getenv ("STATE_DIRECTORY"); /* systemd's; the first of several */
  if (given && given[0])
    return g_strndup (given, strcspn (given, ":"));
  return g_build_filename (g_get_user_state_dir (), "ppsp-proxy", NULL);
}

/* What a stream of 100 Mbit/s takes, as far as a small machine can bear it. */
static uint64_t
default_memory (void)
{
  long pages = sysconf (_SC_PHYS_PAGES), page = sysconf (_SC_PAGESIZE);
  uint64_t eighth = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page / 8 : 0;
  return CLAMP (eighth, PROXY_RING_LEAST, MEMORY_MOST);
}

static bool
check_lists (char **uris, GError **error)
{
  static const char *const schemes[] = {"http", "https", "file", NULL};
  for (size_t i = 0; uris[i]; i++) {
    g_autofree char *scheme = g_uri_parse_scheme (uris[i]);
    if (scheme && g_strv_contains (schemes, scheme))
      continue;
    g_set_error (error, PROXY_ERROR, PROXY_ERROR_BAD_OPTION,
                 "--channels %s: no address that we can use; it begins with one of http:, https:, "
                 "file:",
                 uris[i]);
    return false;
  }
  return true;
}

static bool
check (const ProxyConfig *config, GError **error)
{
  if (config->memory < 1024 * 1024 || config->memory > 1024 * 1024 * 1024) {
    g_set_error (error, PROXY_ERROR, PROXY_ERROR_BAD_OPTION,
                 "--memory: from 1M to 1G, 128M is usual");
    return false;
  }
  if (config->timeshift > 0 && config->timeshift < PROXY_SHIFT_LEAST) {
    g_set_error (error, PROXY_ERROR, PROXY_ERROR_BAD_OPTION,
                 "--timeshift: 0, or at least 16M; 2G are an hour at 4 Mbit/s");
    return false;
  }
  for (size_t i = 0; config->trackers[i]; i++)
    if (!net_tracker_check (config->trackers[i], config->allow_plain_tracker, error))
      return false;
  return check_lists (config->channels, error);
}

ProxyConfigResult
proxy_config_read (ProxyConfig *out, int argc, char **argv, GError **error)
{
  g_auto (Said) said = {0};
  bool exit = false;
  if (!read_command_line (&said, argc, argv, &exit, error))
    return PROXY_CONFIG_WRONG;
  if (exit)
    return PROXY_CONFIG_EXIT;
  if (said.file && !read_file (&said, error))
    return PROXY_CONFIG_WRONG;

  g_auto (ProxyConfig) config = {
      .listen_port = 8574,
      .dlna_port = 8575,
      .peer = g_strdup ("[::]:7574"),
      .channels = g_new0 (char *, 1),
      .name = g_strdup_printf ("PPSP on %s", g_get_host_name ()),
      .cache = (uint64_t)1024 * 1024 * 1024,
      .memory = default_memory (),
      .linger = 30,
      .warm = 4,
      .trackers = g_new0 (char *, 1),
  };
  for (int i = 0; i < N_OPTIONS; i++) {
    if (!said.texts[i] || said.texts[i]->len == 0)
      continue;
    const char *expected = apply (&config, &options[i], said.texts[i]);
    if (expected) {
      const char *last = said.texts[i]->pdata[said.texts[i]->len - 1];
      g_set_error (error, PROXY_ERROR, PROXY_ERROR_BAD_OPTION, "--%s %s: expected %s",
                   options[i].name, last, expected);
      return PROXY_CONFIG_WRONG;
    }
  }
  if (!config.state)
    config.state = default_state ();
  config.peering = net_peering_new (&config.said, error);
  if (!config.peering || !check (&config, error))
    return PROXY_CONFIG_WRONG;
  if (config.credentials_file &&
      !(config.credentials = net_credentials_load (config.credentials_file, error)))
    return PROXY_CONFIG_WRONG;
  *out = config;
  config = (ProxyConfig){0};
  return PROXY_CONFIG_RUN;
}

void
proxy_config_clear (ProxyConfig *self)
{
  g_clear_pointer (&self->listen, g_strfreev);
  g_clear_pointer (&self->peer, g_free);
  g_clear_pointer (&self->channels, g_strfreev);
  g_clear_pointer (&self->interfaces, g_strfreev);
  g_clear_pointer (&self->state, g_free);
  g_clear_pointer (&self->name, g_free);
  g_clear_pointer (&self->renderers, g_free);
  g_clear_pointer (&self->recordings, g_free);
  g_clear_pointer (&self->trackers, g_strfreev);
  g_clear_pointer (&self->credentials_file, g_free);
  g_clear_pointer (&self->credentials, net_credentials_unref);
  g_clear_pointer (&self->allow_hosts, g_strfreev);
  net_peering_said_clear (&self->said);
  g_clear_pointer (&self->peering, net_peering_free);
}

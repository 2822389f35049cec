/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/net/peering.h"

#include "peer/net/log.h"

#include <gio/gio.h>
#include <string.h>

#define LEAST_RATE 8000 /* bit/s: a datagram in a second and a half */
#define MOST_RATE 1e12
#define DEAD_MIN 10 /* s; keep-alives go each 20 s, and three must be unanswered */
#define DEAD_MAX 86400

typedef struct {
  uint64_t upload, download; /* bytes/s; 0 = no limit */
} Rates;

struct NetPeering {
  uint64_t upload;    /* bytes/s; 0 = no limit */
  Rates each;         /* of swarms that have none of their own */
  GHashTable *limits; /* ID -> Rates: what the options say */
  GHashTable *set;    /* ID -> Rates: what was set at run time, which comes first */
  int64_t dead_time;  /* us; 0 = as the engine has it */
  NetPeeringStatus status;
  char *log; /* NULL = not said */
};

void
net_peering_said_clear (NetPeeringSaid *self)
{
  g_clear_pointer (&self->upload, g_free);
  g_clear_pointer (&self->swarm_upload, g_free);
  g_clear_pointer (&self->swarm_download, g_free);
  g_clear_pointer (&self->dead_peer, g_free);
  g_clear_pointer (&self->access_link, g_free);
  g_clear_pointer (&self->power, g_free);
  g_clear_pointer (&self->log, g_free);
  g_clear_pointer (&self->limits, g_strfreev);
}

/* Bits per second with a unit, to bytes. NULL leaves out as it is. */
static bool
parse_rate (const char *text, uint64_t *out)
{
  static const char units[] = "kMGT";
  char *end;
  if (text == NULL)
    return true;
  double bits = g_ascii_strtod (text, &end);
  const char *unit = *end != '\0' ? strchr (units, *end) : NULL;
  if (end == text)
    return false;
  if (unit != NULL) {
    for (const char *at = units; at <= unit; at++)
      bits *= 1000;
    end++;
  }
  if (*end != '\0' || !(bits == 0 || (bits >= LEAST_RATE && bits <= MOST_RATE)))
    return false;
  *out = (uint64_t)(bits / 8);
  return true;
}

static bool
refuse (GError **error, const char *what, const char *text)
{
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
               "%s%s: expected bits per second like 20M or 512k, 8k at least, or 0 for no limit",
               what, text);
  return false;
}

/* Changes what there is in rates; a NULL leaves it. */
static bool
parse_rates (const char *upload, const char *download, Rates *rates, GError **error)
{
  if (!parse_rate (upload, &rates->upload))
    return refuse (error, "upload ", upload);
  if (!parse_rate (download, &rates->download))
    return refuse (error, "download ", download);
  return true;
}

static void
put (GHashTable *table, const char *id, const Rates *rates)
{
  g_hash_table_insert (table, g_strdup (id), g_memdup2 (rates, sizeof *rates));
}

/* What the options say of a swarm; id: NULL = it has no name. */
static const Rates *
said_of (const NetPeering *self, const char *id)
{
  const Rates *rates = id != NULL ? g_hash_table_lookup (self->limits, id) : NULL;
  return rates != NULL ? rates : &self->each;
}

/* What counts. */
static const Rates *
rates_of (const NetPeering *self, const char *id)
{
  const Rates *rates = id != NULL ? g_hash_table_lookup (self->set, id) : NULL;
  return rates != NULL ? rates : said_of (self, id);
}

static bool
add_limit (NetPeering *self, const char *text, GError **error)
{
  const char *equals = strchr (text, '=');
  g_autofree char *id = g_strndup (text, equals != NULL ? (size_t)(equals - text) : 0);
  g_auto (GStrv) rates = g_strsplit (equals != NULL ? equals + 1 : "", ",", 3);
  if (*id == '\0' || rates[0] == NULL || (rates[1] != NULL && rates[2] != NULL)) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                 "--limit %s: expected ID=UPLOAD or ID=UPLOAD,DOWNLOAD", text);
    return false;
  }
  g_autoptr (GError) local = NULL;
  Rates both = *said_of (self, id);
  if (!parse_rates (rates[0], rates[1], &both, &local)) {
    g_propagate_prefixed_error (error, g_steal_pointer (&local), "--limit %s: ", text);
    return false;
  }
  put (self->limits, id, &both);
  return true;
}

static bool
parse_status (const NetPeeringSaid *said, NetPeeringStatus *out, GError **error)
{
  out->power_auto = said->power == NULL || strcmp (said->power, "auto") == 0;
  if (said->access_link != NULL && !peer_access_link_parse (said->access_link, &out->access_link)) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                 "--access-link %s: expected wired, wireless, cellular or unknown",
                 said->access_link);
    return false;
  }
  if (!out->power_auto && !peer_power_parse (said->power, &out->power)) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                 "--power %s: expected mains, battery, low, unknown or auto", said->power);
    return false;
  }
  return true;
}

static bool
parse_seconds (const char *text, int64_t *out)
{
  uint64_t seconds;
  if (text == NULL)
    return true;
  if (!g_ascii_string_to_unsigned (text, 10, DEAD_MIN, DEAD_MAX, &seconds, NULL))
    return false;
  *out = (int64_t)seconds * G_USEC_PER_SEC;
  return true;
}

NetPeering *
net_peering_new (const NetPeeringSaid *said, GError **error)
{
  g_autoptr (NetPeering) self = g_new0 (NetPeering, 1);
  self->limits = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  self->set = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  const struct {
    const char *name, *text;
    uint64_t *out;
  } rates[] = {{"--upload ", said->upload, &self->upload},
               {"--swarm-upload ", said->swarm_upload, &self->each.upload},
               {"--swarm-download ", said->swarm_download, &self->each.download}};
  for (size_t i = 0; i < G_N_ELEMENTS (rates); i++)
    if (!parse_rate (rates[i].text, rates[i].out)) {
      refuse (error, rates[i].name, rates[i].text);
      return NULL;
    }
  if (!parse_seconds (said->dead_peer, &self->dead_time)) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                 "--dead-peer %s: expected %d to %d seconds", said->dead_peer, DEAD_MIN, DEAD_MAX);
    return NULL;
  }
  for (size_t i = 0; said->limits != NULL && said->limits[i] != NULL; i++)
    if (!add_limit (self, said->limits[i], error))
      return NULL;
  if (!parse_status (said, &self->status, error))
    return NULL;
  if (said->log != NULL && !net_log_check (said->log, error))
    return NULL;
  self->log = g_strdup (said->log);
  return g_steal_pointer (&self);
}

void
net_peering_free (NetPeering *self)
{
  if (self == NULL)
    return;
  g_hash_table_unref (self->limits);
  g_hash_table_unref (self->set);
  g_free (self->log);
  g_free (self);
}

void
net_peering_log (const NetPeering *self)
{
  if (self->log != NULL)
    net_log_to (self->log, NULL);
}

void
net_peering_options (const NetPeering *self, PeerEngineOptions *out)
{
  if (self == NULL)
    return;
  out->max_upload = self->upload;
  out->dead_time = self->dead_time;
}

void
net_peering_limit_engine (const NetPeering *self, PeerEngine *engine)
{
  peer_engine_limit (engine, self->upload);
}

void
net_peering_limit_swarm (const NetPeering *self, PeerEngine *engine, PeerSwarm *swarm,
                         const char *id)
{
  if (self == NULL)
    return;
  const Rates *rates = rates_of (self, id);
  peer_engine_limit_swarm (engine, swarm, rates->upload, rates->download);
}

bool
net_peering_set (NetPeering *self, const char *id, const char *upload, const char *download,
                 GError **error)
{
  Rates rates = *rates_of (self, id);
  if (!parse_rates (upload, download, &rates, error))
    return false;
  put (self->set, id, &rates);
  return true;
}

void
net_peering_unset (NetPeering *self, const char *id)
{
  g_hash_table_remove (self->set, id);
}

void
net_peering_keep_set (NetPeering *self, const NetPeering *before)
{
  GHashTableIter iter;
  gpointer id, rates;
  g_hash_table_iter_init (&iter, before->set);
  while (g_hash_table_iter_next (&iter, &id, &rates)) {
    const Rates *now = said_of (self, id), *then = said_of (before, id);
    if (now->upload == then->upload && now->download == then->download)
      put (self->set, id, rates);
  }
}

void
net_peering_status (const NetPeering *self, NetPeeringStatus *out)
{
  *out = self != NULL ? self->status : (NetPeeringStatus){.power_auto = true};
}

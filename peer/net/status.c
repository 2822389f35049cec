/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/net/status.h"

#include <string.h>
#include <sys/resource.h>

#define INTERVAL 10 /* s */
#define POWER_SUPPLY "/sys/class/power_supply"
#define LOW_CAPACITY 15 /* percent */
#define UNTOLD 101      /* likewise: what may be more than all others have */

struct NetStatus {
  NetUdp *udp;
  NetPeeringStatus said;
  PeerLoad load;
  PeerLoss loss;
  guint timer;
};

/* One line of a file of the kernel's; empty if there is none. The caller frees. */
static char *
read_word (const char *folder, const char *supply, const char *name)
{
  g_autofree char *path = g_build_filename (folder, supply, name, NULL);
  g_autofree char *text = NULL;
  if (!g_file_get_contents (path, &text, NULL, NULL))
    return g_strdup ("");
  return g_strdup (g_strstrip (text));
}

/* A battery of the system that is being emptied: how full it is, percent; UNTOLD = nobody says. -1 =
 * nothing of the kind. */
static int
read_battery (const char *folder, const char *supply)
{
  g_autofree char *type = read_word (folder, supply, "type");
  g_autofree char *scope = read_word (folder, supply, "scope");
  g_autofree char *status = read_word (folder, supply, "status");
  g_autofree char *capacity = read_word (folder, supply, "capacity");
  uint64_t percent;
  if (strcmp (type, "Battery") != 0 || strcmp (scope, "Device") == 0 ||
      strcmp (status, "Discharging") != 0)
    return -1;
  return g_ascii_string_to_unsigned (capacity, 10, 0, 100, &percent, NULL) ? (int)percent : UNTOLD;
}

void
net_status_read_power (const char *folder, PeerStatus *out)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *supply;
  int fullest = -1;
  while (dir != NULL && (supply = g_dir_read_name (dir)) != NULL)
    fullest = MAX (fullest, read_battery (folder, supply));
  out->power = fullest < 0               ? PEER_POWER_MAINS
               : fullest <= LOW_CAPACITY ? PEER_POWER_LOW
                                         : PEER_POWER_BATTERY;
  out->battery = fullest < 0 || fullest == UNTOLD ? 0 : (uint8_t)MAX (fullest, 1);
}

static int64_t
cpu_time (void)
{
  struct rusage usage;
  if (getrusage (RUSAGE_SELF, &usage) != 0)
    return 0;
  return (int64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * G_USEC_PER_SEC +
         usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

void
net_status_look (NetStatus *self)
{
  PeerEngine *engine = net_udp_engine (self->udp);
  const PeerCounters *counters = peer_engine_counters (engine);
  PeerStatus status = {.access_link = self->said.access_link, .power = self->said.power};
  if (self->said.power_auto)
    net_status_read_power (POWER_SUPPLY, &status);
  status.load = peer_load_judge (&self->load, net_udp_now (self->udp), counters->bytes_sent,
                                 peer_engine_upload (engine), cpu_time ());
  status.loss = peer_loss_judge (&self->loss, counters->chunks_sent, counters->chunks_lost);
  peer_engine_set_status (engine, &status);
  net_udp_wake (self->udp);
}

static gboolean
on_timer (gpointer data)
{
  net_status_look (data);
  return G_SOURCE_CONTINUE;
}

NetStatus *
net_status_new (NetUdp *udp, const NetPeering *peering)
{
  NetStatus *self = g_new0 (NetStatus, 1);
  self->udp = udp;
  self->timer = g_timeout_add_seconds (INTERVAL, on_timer, self);
  net_status_set (self, peering);
  return self;
}

void
net_status_free (NetStatus *self)
{
  if (self == NULL)
    return;
  g_source_remove (self->timer);
  g_free (self);
}

void
net_status_set (NetStatus *self, const NetPeering *peering)
{
  net_peering_status (peering, &self->said);
  net_status_look (self);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/status.h"

#include <glib.h>

#define BUSY 90    /* percent */
#define CHANGE 10  /* percent: less than that is not worth telling */
#define WEIGHT 0.5 /* of what was seen last */
#define KEEP 0.9   /* of a loss, from one look to the next */
#define ENOUGH 500 /* chunks: of fewer a peer that went away would look like a bad line */

static const char *const links[PEER_N_LINKS] = {"unknown", "wired", "wireless", "cellular"};
static const char *const powers[PEER_N_POWERS] = {"unknown", "mains", "battery", "low"};

static bool
is_busy (const PeerStatus *self)
{
  return self->load >= BUSY && self->load <= 100;
}

bool
peer_status_is_spared (const PeerStatus *self)
{
  return self->power == PEER_POWER_LOW || self->access_link == PEER_LINK_CELLULAR || is_busy (self);
}

const char *
peer_access_link_name (uint8_t value)
{
  return links[value < PEER_N_LINKS ? value : PEER_LINK_UNKNOWN];
}

const char *
peer_power_name (uint8_t value)
{
  return powers[value < PEER_N_POWERS ? value : PEER_POWER_UNKNOWN];
}

static bool
parse (const char *word, const char *const *words, unsigned n, uint8_t *out)
{
  for (unsigned i = 0; i < n; i++)
    if (g_str_equal (word, words[i])) {
      *out = (uint8_t)i;
      return true;
    }
  return false;
}

bool
peer_access_link_parse (const char *word, uint8_t *out)
{
  return parse (word, links, PEER_N_LINKS, out);
}

bool
peer_power_parse (const char *word, uint8_t *out)
{
  return parse (word, powers, PEER_N_POWERS, out);
}

void
peer_status_count (const PeerStatus *self, PeerStatusCounts *counts)
{
  counts->links[self->access_link < PEER_N_LINKS ? self->access_link : PEER_LINK_UNKNOWN]++;
  counts->powers[self->power < PEER_N_POWERS ? self->power : PEER_POWER_UNKNOWN]++;
  counts->busy += is_busy (self);
  counts->spared += peer_status_is_spared (self);
}

uint8_t
peer_load_judge (PeerLoad *self, int64_t now, uint64_t sent, uint64_t upload, int64_t cpu)
{
  bool first = self->at == 0;
  double passed = (double)(now - self->at);
  double line = upload > 0 ? (double)(sent - self->sent) * 1e6 / passed / (double)upload : 0;
  double work = (double)(cpu - self->cpu) / passed;
  if (!first && passed <= 0)
    return self->told;
  self->sent = sent;
  self->cpu = cpu;
  self->at = now;
  if (first)
    return self->told;
  double seen = CLAMP (MAX (line, work) * 100, 0, 100);
  self->mean += (seen - self->mean) * WEIGHT;
  if (ABS (self->mean - self->told) >= CHANGE)
    self->told = (uint8_t)(self->mean + 0.5);
  return self->told;
}

uint8_t
peer_loss_judge (PeerLoss *self, uint64_t sent, uint64_t lost)
{
  self->recently = self->recently * KEEP + (double)(sent - self->sent);
  self->lost_recently = self->lost_recently * KEEP + (double)(lost - self->lost);
  self->sent = sent;
  self->lost = lost;
  if (self->recently < ENOUGH)
    return 0;
  return (uint8_t)MIN (100, self->lost_recently * 100 / self->recently + 0.5);
}

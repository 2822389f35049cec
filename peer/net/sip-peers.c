/* SPDX-License-Identifier: Apache-2.0 */
/* Registrations end at times that the peers have a say in, so they lie on a wheel with a place for each second: to
 * prolong one is to lay it elsewhere, and nothing is ever looked through. */
#include "peer/net/sip-peers.h"

#include "peer/net/random.h"
#include "peer/random.h"
#include "peer/tracker/hash.h"

#include <string.h>

#define PLACES 256 /* s; more than any registration is granted for */

struct NetSipPeers {
  NetSipPeersLimits limits;
  GHashTable *peers;   /* by id and from */
  GHashTable *dialogs; /* by tag */
  GHashTable *per_ip;  /* PeerAddress -> count */
  GQueue wheel[PLACES];
  int64_t second; /* up to which all have been handed out */
};

/* The same for all of the process, as GHashTable's functions have no more than the key. */
static uint64_t seed;

static guint
peer_hash (gconstpointer data)
{
  const NetSipPeer *peer = data;
  return (guint)tracker_hash (tracker_hash_text (seed, peer->id), peer->from.ip,
                              sizeof peer->from.ip);
}

static gboolean
peer_equal (gconstpointer a, gconstpointer b)
{
  const NetSipPeer *x = a, *y = b;
  return peer_address_equal (&x->from, &y->from) && strcmp (x->id, y->id) == 0;
}

static void
dialog_free (gpointer data)
{
  NetSipDialog *self = data;
  g_free (self->call_id);
  g_free (self->remote_tag);
  g_free (self->swarm_id);
  g_free (self);
}

static void
peer_free (gpointer data)
{
  NetSipPeer *self = data;
  g_free (self->id);
  g_free (self->account);
  g_free (self->contact);
  g_free (self->call_id);
  g_array_unref (self->addresses);
  g_ptr_array_unref (self->dialogs);
  g_free (self);
}

static GQueue *
place_of (NetSipPeers *self, const NetSipPeer *peer)
{
  return &self->wheel[peer->expires / G_USEC_PER_SEC % PLACES];
}

NetSipPeers *
net_sip_peers_new (const NetSipPeersLimits *limits)
{
  NetSipPeers *self = g_new0 (NetSipPeers, 1);
  self->limits = *limits;
  if (seed == 0)
    seed = peer_random_u64 (net_random, NULL);
  self->peers = g_hash_table_new_full (peer_hash, peer_equal, NULL, peer_free);
  self->dialogs = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, dialog_free);
  self->per_ip = g_hash_table_new_full (peer_address_hash, peer_address_equal_key, g_free, NULL);
  return self;
}

void
net_sip_peers_free (NetSipPeers *self)
{
  g_hash_table_unref (self->dialogs);
  g_hash_table_unref (self->peers);
  g_hash_table_unref (self->per_ip);
  g_free (self);
}

NetSipPeer *
net_sip_peers_find (const NetSipPeers *self, const char *id, const PeerAddress *from)
{
  NetSipPeer key = {.id = (char *)id, .from = *from};
  key.from.port = 0;
  return g_hash_table_lookup (self->peers, &key);
}

static void
count_ip (NetSipPeers *self, const PeerAddress *from, int by)
{
  PeerAddress key = peer_address_subscriber (from);
  int n = GPOINTER_TO_INT (g_hash_table_lookup (self->per_ip, &key)) + by;
  if (n > 0)
    g_hash_table_replace (self->per_ip, g_memdup2 (&key, sizeof key), GINT_TO_POINTER (n));
  else
    g_hash_table_remove (self->per_ip, &key);
}

NetSipPeer *
net_sip_peers_add (NetSipPeers *self, const char *id, const PeerAddress *from)
{
  PeerAddress key = peer_address_subscriber (from);
  uint32_t same = GPOINTER_TO_UINT (g_hash_table_lookup (self->per_ip, &key));
  if (net_sip_peers_count (self) >= self->limits.max_peers ||
      (same >= self->limits.max_peers_per_ip && !peer_address_is_loopback (from)))
    return NULL;
  NetSipPeer *peer = g_new0 (NetSipPeer, 1);
  peer->id = g_strdup (id);
  peer->from = peer->source = *from;
  peer->from.port = 0;
  peer->addresses = g_array_new (FALSE, FALSE, sizeof (TrackerAddress));
  peer->dialogs = g_ptr_array_new ();
  peer->link.data = peer;
  count_ip (self, from, 1);
  g_hash_table_add (self->peers, peer);
  return peer;
}

void
net_sip_peers_remove (NetSipPeers *self, NetSipPeer *peer)
{
  while (peer->dialogs->len > 0)
    net_sip_peers_leave (self, g_ptr_array_index (peer->dialogs, peer->dialogs->len - 1));
  if (peer->expires != 0)
    g_queue_unlink (place_of (self, peer), &peer->link);
  count_ip (self, &peer->from, -1);
  g_hash_table_remove (self->peers, peer);
}

void
net_sip_peers_prolong (NetSipPeers *self, NetSipPeer *peer, unsigned seconds, int64_t now)
{
  g_return_if_fail (seconds < PLACES);
  if (peer->expires != 0)
    g_queue_unlink (place_of (self, peer), &peer->link);
  peer->expires = now + seconds * (int64_t)G_USEC_PER_SEC;
  g_queue_push_tail_link (place_of (self, peer), &peer->link);
}

NetSipPeer *
net_sip_peers_expired (NetSipPeers *self, int64_t now)
{
  int64_t end = now / G_USEC_PER_SEC; /* what ends within a second has ended after it */
  self->second = MAX (self->second, end - PLACES);
  for (; self->second < end; self->second++) {
    for (GList *l = self->wheel[self->second % PLACES].head; l != NULL; l = l->next) {
      NetSipPeer *peer = l->data;
      if (peer->expires <= now) /* the place of a second that is long over is used again */
        return peer;
    }
  }
  return NULL;
}

NetSipDialog *
net_sip_peers_join (NetSipPeers *self, NetSipPeer *peer, const char *tag, const char *call_id,
                    const char *remote_tag, const char *swarm_id)
{
  if (peer->dialogs->len >= self->limits.max_swarms)
    return NULL;
  NetSipDialog *dialog = g_new0 (NetSipDialog, 1);
  g_strlcpy (dialog->tag, tag, sizeof dialog->tag);
  dialog->peer = peer;
  dialog->call_id = g_strdup (call_id);
  dialog->remote_tag = g_strdup (remote_tag);
  dialog->swarm_id = g_strdup (swarm_id);
  g_ptr_array_add (peer->dialogs, dialog);
  g_hash_table_insert (self->dialogs, dialog->tag, dialog);
  return dialog;
}

void
net_sip_peers_leave (NetSipPeers *self, NetSipDialog *dialog)
{
  g_ptr_array_remove_fast (dialog->peer->dialogs, dialog);
  g_hash_table_remove (self->dialogs, dialog->tag);
}

NetSipDialog *
net_sip_peers_dialog (const NetSipPeers *self, const char *tag)
{
  return g_hash_table_lookup (self->dialogs, tag);
}

uint32_t
net_sip_peers_count (const NetSipPeers *self)
{
  return g_hash_table_size (self->peers);
}

uint32_t
net_sip_peers_dialogs (const NetSipPeers *self)
{
  return g_hash_table_size (self->dialogs);
}

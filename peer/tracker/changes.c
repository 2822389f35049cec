/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/tracker/changes.h"

void
tracker_changes_init (TrackerChanges *self, bool wanted)
{
  *self = (TrackerChanges){.wanted = wanted, .peers = g_ptr_array_new ()};
}

void
tracker_changes_clear (TrackerChanges *self)
{
  g_ptr_array_unref (self->peers);
  g_queue_clear_full (&self->gone, (GDestroyNotify)g_bytes_unref);
}

void
tracker_changes_note (TrackerChanges *self, CrowdPeer *peer, bool moved)
{
  if (!self->wanted)
    return;
  peer->moved |= moved;
  if (peer->pending)
    return;
  peer->pending = true;
  peer->change = self->peers->len;
  g_ptr_array_add (self->peers, peer);
}

void
tracker_changes_forget (TrackerChanges *self, CrowdPeer *peer)
{
  if (peer->pending) {
    g_ptr_array_remove_index_fast (self->peers, peer->change);
    if (peer->change < self->peers->len) /* the last one has its place now */
      ((CrowdPeer *)g_ptr_array_index (self->peers, peer->change))->change = peer->change;
  }
  peer->pending = peer->moved = false;
}

void
tracker_changes_end (TrackerChanges *self, CrowdPeer *peer, TrackerRecordKind kind)
{
  tracker_changes_forget (self, peer);
  if (!self->wanted)
    return;
  GByteArray *record = g_byte_array_new ();
  tracker_record_write (record, kind, peer, 0);
  g_queue_push_tail (&self->gone, g_byte_array_free_to_bytes (record));
  if (self->gone.length > TRACKER_CHANGES_GONE)
    g_bytes_unref (g_queue_pop_head (&self->gone));
}

bool
tracker_changes_next (TrackerChanges *self, int64_t now, GByteArray *out)
{
  /* Ends first: a peer that has come back since then is told of after them. */
  g_autoptr (GBytes) gone = g_queue_pop_head (&self->gone);
  if (gone != NULL) {
    gsize n;
    const guint8 *bytes = g_bytes_get_data (gone, &n);
    g_byte_array_append (out, bytes, (guint)n);
    return true;
  }
  if (self->peers->len == 0)
    return false;
  if (self->next >= self->peers->len)
    self->next = 0;
  CrowdPeer *peer = g_ptr_array_index (self->peers, self->next++);
  bool moved = peer->moved;
  tracker_changes_forget (self, peer);
  tracker_record_write (out, moved ? TRACKER_RECORD_HERE : TRACKER_RECORD_HEARD, peer, now);
  return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/tracker/message.h"

#include <string.h>

static void
swarm_free (gpointer data)
{
  TrackerSwarm *self = data;
  g_free (self->swarm_id);
  g_clear_pointer (&self->chunks, g_array_unref);
  g_free (self);
}

static void
peer_free (gpointer data)
{
  TrackerPeer *self = data;
  g_free (self->peer_id);
  g_clear_pointer (&self->certificate, g_bytes_unref);
  g_free (self);
}

static void
result_free (gpointer data)
{
  TrackerResult *self = data;
  g_free (self->swarm_id);
  g_clear_pointer (&self->peers, g_ptr_array_unref);
  g_clear_pointer (&self->certificate, g_bytes_unref);
  g_free (self);
}

TrackerRequest *
tracker_request_new (TrackerRequestType type, const char *transaction_id, const char *peer_id)
{
  TrackerRequest *self = g_new0 (TrackerRequest, 1);
  self->type = type;
  self->transaction_id = g_strdup (transaction_id);
  self->peer_id = g_strdup (peer_id);
  self->addresses = g_array_new (FALSE, FALSE, sizeof (TrackerAddress));
  self->swarms = g_ptr_array_new_with_free_func (swarm_free);
  return self;
}

void
tracker_request_free (TrackerRequest *self)
{
  g_free (self->transaction_id);
  g_free (self->peer_id);
  g_free (self->account);
  g_array_unref (self->addresses);
  g_ptr_array_unref (self->swarms);
  g_free (self);
}

TrackerSwarm *
tracker_request_add_swarm (TrackerRequest *self, const char *swarm_id)
{
  TrackerSwarm *swarm = g_new0 (TrackerSwarm, 1);
  swarm->swarm_id = g_strdup (swarm_id);
  g_ptr_array_add (self->swarms, swarm);
  return swarm;
}

void
tracker_swarm_add_chunks (TrackerSwarm *self, uint64_t first, uint64_t end)
{
  TrackerRange range = {first, end};
  if (self->chunks == NULL)
    self->chunks = g_array_new (FALSE, FALSE, sizeof (TrackerRange));
  g_array_append_val (self->chunks, range);
}

TrackerResponse *
tracker_response_new (TrackerStatus status, const char *transaction_id)
{
  TrackerResponse *self = g_new0 (TrackerResponse, 1);
  self->status = status;
  self->transaction_id = g_strdup (transaction_id);
  self->results = g_ptr_array_new_with_free_func (result_free);
  return self;
}

void
tracker_response_free (TrackerResponse *self)
{
  g_free (self->transaction_id);
  g_ptr_array_unref (self->results);
  g_free (self);
}

TrackerResult *
tracker_response_add_result (TrackerResponse *self, const char *swarm_id, bool failed)
{
  TrackerResult *result = g_new0 (TrackerResult, 1);
  result->swarm_id = g_strdup (swarm_id);
  result->failed = failed;
  g_ptr_array_add (self->results, result);
  return result;
}

TrackerPeer *
tracker_result_add_peer (TrackerResult *self, const char *peer_id, const TrackerAddress *address)
{
  if (self->peers == NULL)
    self->peers = g_ptr_array_new_with_free_func (peer_free);
  if (address == NULL)
    return NULL;
  TrackerPeer *peer = g_new0 (TrackerPeer, 1);
  peer->peer_id = g_strdup (peer_id);
  peer->address = *address;
  g_ptr_array_add (self->peers, peer);
  return peer;
}

bool
tracker_id_is_valid (const char *id, size_t max)
{
  size_t n = strnlen (id, max + 1);
  if (n == 0 || n > max || !g_utf8_validate (id, (gssize)n, NULL))
    return false;
  for (const char *c = id; *c != 0; c = g_utf8_next_char (c))
    if (g_unichar_iscntrl (g_utf8_get_char (c)))
      return false;
  return true;
}

GBytes *
tracker_certificate_read (const char *text)
{
  size_t n = strlen (text);
  size_t digits = strspn (text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
  size_t padding = strspn (text + digits, "=");
  if (n == 0 || n > (TRACKER_MAX_CERTIFICATE + 2) / 3 * 4 || n % 4 != 0 || padding > 2 ||
      digits + padding != n)
    return NULL;
  gsize size;
  guchar *bytes = g_base64_decode (text, &size);
  g_autoptr (GBytes) certificate = g_bytes_new_take (bytes, size);
  return size > 0 && size <= TRACKER_MAX_CERTIFICATE ? g_steal_pointer (&certificate) : NULL;
}

char *
tracker_certificate_write (GBytes *certificate)
{
  gsize n;
  const guchar *bytes = g_bytes_get_data (certificate, &n);
  return g_base64_encode (bytes, n);
}

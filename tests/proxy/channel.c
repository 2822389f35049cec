/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/proxy/channel.h"
#include "peer/crypto.h"
#include "tests/lib/wait.h"

ProxyDraft
channel_draft (const char *swarm_id, const char *link, const char *name)
{
  return (ProxyDraft){.swarm_id = swarm_id,
                      .link = link,
                      .name = name,
                      .source = "",
                      .mime = "video/mp2t",
                      .live = true,
                      .length = -1};
}

void
channel_add (ProxyCatalog *catalog, const char *name, const char *tracker)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (PeerKey) key = peer_key_generate (PEER_SIGNATURE_ECDSAP256SHA256, &error);
  g_assert_no_error (error);
  g_autoptr (PeerLink) link = peer_link_new ();
  peer_content_init_live (&link->content);
  peer_key_swarm_id (key, &link->content);
  if (tracker)
    g_ptr_array_add (link->trackers, g_strdup (tracker));
  g_autofree char *text = peer_link_to_string (link);
  g_autofree char *swarm = peer_content_swarm_id_hex (&link->content);
  ProxyDraft draft = channel_draft (swarm, text, name);
  g_assert_cmpint (proxy_catalog_put (catalog, &draft, NULL), ==, PROXY_CATALOG_ADDED);
}

uint64_t
channel_deliver (const TsMaker *maker, ProxyRing *ring, uint64_t next)
{
  size_t size = proxy_ring_chunk_size (ring);
  PeerStore *store = proxy_ring_store (ring);
  PeerRange run = {next, maker->bytes->len / size};
  for (uint64_t chunk = run.first; chunk < run.end; chunk++)
    g_assert_cmpint (store->class->write (store, chunk, maker->bytes->data + chunk * size, size),
                     ==, PEER_STORE_OK);
  peer_store_free (store);
  proxy_ring_deliver (ring, run);
  return run.end;
}

static bool
are_all_over (gpointer sessions)
{
  g_autoptr (GPtrArray) left = proxy_sessions_list (sessions);
  return left->len == 0;
}

void
channel_wait_for_end (ProxySessions *sessions)
{
  g_assert_true (wait_until (are_all_over, sessions));
}

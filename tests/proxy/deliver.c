/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/proxy/deliver.h"

uint64_t
ts_deliver (const TsMaker *self, ProxyRing *ring, uint64_t next)
{
  size_t size = proxy_ring_chunk_size (ring);
  PeerStore *store = proxy_ring_store (ring);
  PeerRange run = {next, self->bytes->len / size};
  for (uint64_t chunk = run.first; chunk < run.end; chunk++)
    store->class->write (store, chunk, self->bytes->data + chunk * size, size);
  peer_store_free (store);
  proxy_ring_deliver (ring, run);
  return run.end;
}

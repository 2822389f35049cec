/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/tracker/transactions.h"

#include "peer/tracker/hash.h"
#include "peer/tracker/table.h"

typedef struct {
  TrackerEntry entry;
  uint64_t key;
  int64_t at; /* us */
  TrackerOutcome outcome;
  GList link;
} Transaction;

struct TrackerTransactions {
  TrackerTable by_key;
  GQueue order; /* the oldest first */
  uint64_t seed;
};

static uint64_t
hash_of (const TrackerEntry *entry)
{
  return ((const Transaction *)entry)->key; /* it is one already */
}

TrackerTransactions *
tracker_transactions_new (uint64_t seed)
{
  TrackerTransactions *self = g_new0 (TrackerTransactions, 1);
  tracker_table_init (&self->by_key, hash_of);
  self->seed = seed;
  return self;
}

static void
forget_oldest (TrackerTransactions *self)
{
  Transaction *transaction = self->order.head->data;
  g_queue_unlink (&self->order, &transaction->link);
  tracker_table_remove (&self->by_key, &transaction->entry);
  g_free (transaction);
}

void
tracker_transactions_free (TrackerTransactions *self)
{
  while (self->order.head != NULL)
    forget_oldest (self);
  tracker_table_clear (&self->by_key);
  g_free (self);
}

/* Section 4.3: an ID is used again if and only if all of the content is the same. The RFC's own
 * examples use one ID for several requests; those are different transactions for us. So are those of
 * somebody else: who has seen an ID gains nothing by it. */
uint64_t
tracker_transactions_key (const TrackerTransactions *self, const TrackerRequest *request,
                          const PeerAddress *from)
{
  uint64_t key = tracker_hash (self->seed, from->ip, sizeof from->ip);
  key = tracker_hash_text (key, request->peer_id);
  key = tracker_hash_text (key, request->transaction_id);
  key = tracker_hash_text (key, request->account != NULL ? request->account : "");
  for (guint i = 0; i < request->addresses->len; i++) {
    const TrackerAddress *address = &g_array_index (request->addresses, TrackerAddress, i);
    key = tracker_hash (key, address->address.ip, sizeof address->address.ip);
    key = tracker_hash (key, &address->address.port, sizeof address->address.port);
  }
  for (guint i = 0; i < request->swarms->len; i++) {
    const TrackerSwarm *swarm = g_ptr_array_index (request->swarms, i);
    uint8_t kind[] = {(uint8_t)swarm->action, (uint8_t)swarm->mode};
    key = tracker_hash (tracker_hash_text (key, swarm->swarm_id), kind, sizeof kind);
  }
  return key;
}

const TrackerOutcome *
tracker_transactions_find (const TrackerTransactions *self, uint64_t key)
{
  TrackerEntry *entry = tracker_table_chain (&self->by_key, key);
  while (entry != NULL && ((Transaction *)entry)->key != key)
    entry = entry->next;
  return entry != NULL ? &((Transaction *)entry)->outcome : NULL;
}

void
tracker_transactions_remember (TrackerTransactions *self, uint64_t key, TrackerOutcome outcome,
                               uint32_t max, int64_t now)
{
  while (self->order.length > 0 && self->order.length >= max)
    forget_oldest (self);
  Transaction *transaction = g_new0 (Transaction, 1);
  transaction->key = key;
  transaction->at = now;
  transaction->outcome = outcome;
  transaction->link.data = transaction;
  g_queue_push_tail_link (&self->order, &transaction->link);
  tracker_table_add (&self->by_key, &transaction->entry);
}

void
tracker_transactions_expire (TrackerTransactions *self, int64_t age, int64_t now, unsigned n)
{
  while (n-- > 0 && self->order.length > 0 && now - tracker_transactions_oldest (self) >= age)
    forget_oldest (self);
}

int64_t
tracker_transactions_oldest (const TrackerTransactions *self)
{
  const GList *oldest = self->order.head;
  return oldest != NULL ? ((const Transaction *)oldest->data)->at : INT64_MAX;
}

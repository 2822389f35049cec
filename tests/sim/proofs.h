/* SPDX-License-Identifier: Apache-2.0 */
/* The books of a bystander, who reads each datagram of the honest peers and believes none of their
 * counters: nobody is sent more than came from its address before it has shown that it gets what is
 * sent there (RFC 7574, 12.1.2), and nobody is spoken to first but whom a tracker has named. Whoever
 * breaks that ends the run. */
#pragma once

#include "peer/address.h"
#include <stddef.h>

typedef struct SimProofs SimProofs;

SimProofs *sim_proofs_new (void);
void sim_proofs_free (SimProofs *self);
/* The peer was told of the address, and may speak first. */
void sim_proofs_named (SimProofs *self, unsigned peer, const PeerAddress *address);
void sim_proofs_received (SimProofs *self, unsigned peer, const PeerAddress *from,
                          const uint8_t *bytes, size_t n);
void sim_proofs_sent (SimProofs *self, unsigned peer, const PeerAddress *to, const uint8_t *bytes,
                      size_t n);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/ring.h"
#include "tests/proxy/ts.h"

/* What is made of whole chunks from the next-th on, into the ring and to its viewers. Returns the chunk
 * that is next then. */
uint64_t ts_deliver (const TsMaker *self, ProxyRing *ring, uint64_t next);

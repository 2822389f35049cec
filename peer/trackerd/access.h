/* SPDX-License-Identifier: Apache-2.0 */
/* Who may be in which swarm (RFC 7846, 6.1): the operator's lists, from one key file. It knows
 * accounts and swarms; how a peer shows its account is the affair of HTTP and SIP.
 *
 *   [tracker]
 *   swarms=open                   # those without a section: open, closed (to those who show no
 *                                 # account), refused
 *   deny-addresses=192.0.2.0/24;2001:db8:66::/48
 *   deny-accounts=mallory
 *
 *   [swarm 00112233445566778899aabbccddeeff00112233]
 *   access=closed
 *   accounts=alice;bob            # without this line, all who have an account
 *
 *   [tokens]                      # bearer tokens (RFC 6750): SHA-256 of each, hex
 *   alice=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
 *
 *   [certificates]                # of TLS clients
 *   authority=/etc/ppsp/clients.pem   # whose CN is the account; or
 *   bob=SHA-256 of one certificate, hex */
#pragma once

#include "peer/tracker/registry.h"

#include <gio/gio.h>

typedef struct TrackerdAccess TrackerdAccess;

typedef enum { TRACKERD_SWARM_OPEN, TRACKERD_SWARM_CLOSED, TRACKERD_SWARM_REFUSED } TrackerdPolicy;

/* path NULL = no lists. otherwise: what a swarm is of which the file says nothing. The error is one
 * line: file, section, key, and what is wrong. It refuses what it does not know: a list that is misspelt
 * would be none. */
TrackerdAccess *trackerd_access_load (const char *path, TrackerdPolicy otherwise, GError **error);
void trackerd_access_free (TrackerdAccess *self);

/* The account; NULL = it is nobody's. The caller frees. */
char *trackerd_access_bearer (const TrackerdAccess *self, const char *token);
/* As above; certificate: of a TLS client, which has proven that it has the key. */
char *trackerd_access_certificate (const TrackerdAccess *self, GTlsCertificate *certificate);
/* Do accounts show themselves so? */
bool trackerd_access_has_tokens (const TrackerdAccess *self);
bool trackerd_access_has_certificates (const TrackerdAccess *self);

/* OK; UNAUTHORIZED: with an account it might; FORBIDDEN: not so, whatever it shows. Leaving is
 * always allowed, since the registry lets nobody leave for another. */
TrackerStatus trackerd_access_judge (const TrackerdAccess *self, const TrackerRequest *request,
                                     const PeerAddress *from);
/* The same for one who is in a swarm already, after the lists have changed. data: a TrackerdAccess. */
bool trackerd_access_allows (const TrackerMemberInfo *member, void *data);

/* Another for each that was loaded. */
uint64_t trackerd_access_serial (const TrackerdAccess *self);

typedef struct {
  TrackerdPolicy otherwise; /* for swarms that are not listed */
  unsigned swarms;          /* that are listed */
  unsigned tokens, certificates;
  bool authority;
  unsigned denied_addresses, denied_accounts;
} TrackerdAccessInfo;
void trackerd_access_info (const TrackerdAccess *self, TrackerdAccessInfo *out);

/* accounts: -1 = all. In no particular order; false = stop. */
typedef bool (*TrackerdListFunc) (const char *swarm_id, TrackerdPolicy policy, int accounts,
                                  void *data);
void trackerd_access_list (const TrackerdAccess *self, TrackerdListFunc func, void *data);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (TrackerdAccess, trackerd_access_free)

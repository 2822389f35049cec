/* SPDX-License-Identifier: Apache-2.0 */
/* What the URI of a certificate says, and whether it is for us; crypto.c reads the X.509. */
#include "peer/membership.h"

#include <string.h>

#define SCHEME "file://"

GBytes *
peer_membership_issue (PeerKey *tracker, const char *swarm_id, const PeerAddress *address,
                       int64_t wall, int64_t life, const uint8_t *serial)
{
  size_t n = strlen (swarm_id);
  if (n == 0 || n % 2 != 0 || n > 2 * PEER_SWARM_ID_MAX ||
      strspn (swarm_id, "0123456789abcdefABCDEF") != n || !peer_address_is_usable (address))
    return NULL;
  g_autofree char *where = peer_address_to_string (address);
  g_autofree char *id = g_ascii_strdown (swarm_id, -1);
  g_autofree char *uri = g_strconcat (SCHEME, where, "/", id, NULL);
  int64_t from = wall / G_USEC_PER_SEC;
  return peer_key_certify (tracker, uri, from, from + life / G_USEC_PER_SEC, serial);
}

/* 8.13: scheme, host, port, and the swarm ID in hex as the path. The host may be a DNS name there;
 * we take addresses only, since what a name leads to is not what the tracker has seen. */
static bool
read_uri (const char *uri, PeerAddress *address, const char **swarm_id)
{
  char where[64];
  if (g_ascii_strncasecmp (uri, SCHEME, strlen (SCHEME)) != 0)
    return false;
  const char *host = uri + strlen (SCHEME);
  size_t n = strcspn (host, "/");
  if (host[n] != '/' || n >= sizeof where)
    return false;
  memcpy (where, host, n);
  where[n] = '\0';
  *swarm_id = host + n + 1;
  return peer_address_parse (where, address) && peer_address_is_usable (address);
}

PeerMembershipResult
peer_membership_check (const uint8_t *bytes, size_t n, const PeerContent *content,
                       const uint8_t *tracker_key, int64_t wall, PeerMembership *out)
{
  PeerCertificate certificate;
  const char *swarm_id;
  if (!peer_certificate_read (bytes, n, &certificate) ||
      !read_uri (certificate.uri, &out->address, &swarm_id))
    return PEER_MEMBERSHIP_MALFORMED;
  g_autofree char *ours = peer_content_swarm_id_hex (content);
  if ((tracker_key != NULL &&
       memcmp (certificate.fingerprint, tracker_key, PEER_FINGERPRINT) != 0) ||
      g_ascii_strcasecmp (swarm_id, ours) != 0)
    return PEER_MEMBERSHIP_FOREIGN;
  out->not_before = certificate.not_before * G_USEC_PER_SEC;
  out->not_after = certificate.not_after * G_USEC_PER_SEC;
  if (out->not_after <= out->not_before)
    return PEER_MEMBERSHIP_MALFORMED;
  if (wall != INT64_MIN &&
      (wall < out->not_before - PEER_MEMBERSHIP_SKEW || wall >= out->not_after))
    return PEER_MEMBERSHIP_EXPIRED;
  return certificate.is_signed ? PEER_MEMBERSHIP_GOOD : PEER_MEMBERSHIP_FORGED;
}

bool
peer_membership_tracker (const uint8_t *bytes, size_t n, uint8_t *out)
{
  PeerCertificate certificate;
  if (!peer_certificate_read (bytes, n, &certificate) || !certificate.is_signed)
    return false;
  memcpy (out, certificate.fingerprint, PEER_FINGERPRINT);
  return true;
}

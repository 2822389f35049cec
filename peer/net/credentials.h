/* SPDX-License-Identifier: Apache-2.0 */
/* By what we show trackers whose we are: one key file, of which each section is for one tracker, so that
 * no other one ever sees what is in it; a link, which a stranger may have written, names trackers, too.
 *
 *   [tracker.example]            # any port; or tracker.example:7846; IPv6 (without brackets of its
 *                                # own) is for any port
 *   user=alice                   # Digest (RFC 7616), by HTTP and SIP
 *   password=...
 *
 *   [other.example]
 *   token=...                    # bearer (RFC 6750), by HTTPS only
 *
 *   [third.example]
 *   certificate=/etc/ppsp/client.pem    # of a TLS client, by HTTPS only
 *   key=/etc/ppsp/client.key            # absolute paths */
#pragma once

#include <gio/gio.h>
#include <stdbool.h>

typedef struct NetCredentials NetCredentials;

/* For one tracker; NULL = not that. */
typedef struct {
  char *user, *password; /* both or none */
  char *token;
  GTlsCertificate *certificate; /* with its key */
} NetCredential;

/* The error is one line: file, section, key, and what is wrong. What others may read is told once. */
NetCredentials *net_credentials_load (const char *path, GError **error);
NetCredentials *net_credentials_ref (NetCredentials *self);
void net_credentials_unref (NetCredentials *self);
/* Reads the file again, for passwords and certificates that have changed. On failure nothing has. */
bool net_credentials_reload (NetCredentials *self, GError **error);
/* Another after each reload. */
unsigned net_credentials_serial (const NetCredentials *self);

/* That of HOST:PORT, or else of HOST; NULL = none. host: without brackets. It lives until the next
 * reload. */
const NetCredential *net_credentials_find (const NetCredentials *self, const char *host, int port);

#define NET_CREDENTIALS_HELP "Key file: what is shown to which tracker (see the man page)"

G_DEFINE_AUTOPTR_CLEANUP_FUNC (NetCredentials, net_credentials_unref)

/* SPDX-License-Identifier: Apache-2.0 */
/* sofia-sip has a loop of its own (su_root_t); its GLib port makes of it a source in our main context,
 * so that all of SIP happens in the one thread that does everything else. */
#include "peer/net/sip-stack.h"

#include "peer/tracker/headers.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <sofia-sip/su_glib.h>
#include <sofia-sip/su_log.h>
#include <string.h>

#define TRUST_FILE "/etc/ssl/certs/ca-certificates.crt"

extern su_log_t nta_log[], tport_log[], su_log_default[];

/* It would say a line for each message that it does not like; we count. */
static void
say_nothing (void *data, const char *format, va_list arguments)
{
}

static void
silence (su_log_t *log)
{
  su_log_redirect (log, say_nothing, NULL);
  su_log_set_level (log, 0);
}

su_root_t *
net_sip_root (void)
{
  static su_root_t *root;
  if (root != NULL)
    return root;
  su_init ();
  silence (su_log_default);
  silence (nta_log);
  silence (tport_log);
  root = su_glib_root_create (NULL);
  su_root_threading (root, 0);
  GSource *source = su_glib_root_gsource (root);
  g_source_attach (source, NULL);
  return root;
}

/* --- certificates ------------------------------------------------------------------------------ */

static bool
write_agent (const char *folder, const char *certificate, const char *key, GError **error)
{
  g_autofree char *path = g_build_filename (folder, "agent.pem", NULL);
  g_autofree char *first = NULL, *second = NULL;
  if (!g_file_get_contents (certificate, &first, NULL, error) ||
      !g_file_get_contents (key, &second, NULL, error))
    return false;
  g_autofree char *both = g_strconcat (first, "\n", second, NULL);
  bool good = g_file_set_contents_full (path, both, -1, G_FILE_SET_CONTENTS_NONE, 0600, error);
  memset (second, 0, strlen (second));
  memset (both, 0, strlen (both));
  return good;
}

char *
net_sip_folder_new (const char *certificate, const char *key, const char *trust, GError **error)
{
  char *folder = g_dir_make_tmp ("ppsp-sip-XXXXXX", error);
  if (folder == NULL)
    return NULL;
  if (trust == NULL)
    trust = g_getenv ("SSL_CERT_FILE"); /* as everywhere where OpenSSL is */
  if (trust == NULL)
    trust = TRUST_FILE;
  g_autofree char *path = g_build_filename (folder, "cafile.pem", NULL);
  g_autofree char *trusted = NULL;
  bool good = g_file_get_contents (trust, &trusted, NULL, error) &&
              g_file_set_contents_full (path, trusted, -1, G_FILE_SET_CONTENTS_NONE, 0600, error);
  if (good && certificate != NULL)
    good = write_agent (folder, certificate, key, error);
  if (good)
    return folder;
  net_sip_folder_free (folder);
  return NULL;
}

void
net_sip_folder_free (char *folder)
{
  static const char *const names[] = {"agent.pem", "cafile.pem"};
  for (unsigned i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree char *path = g_build_filename (folder, names[i], NULL);
    g_unlink (path);
  }
  g_rmdir (folder);
  g_free (folder);
}

/* --- messages ---------------------------------------------------------------------------------- */

bool
net_sip_source (msg_t *message, PeerAddress *out)
{
  const su_sockaddr_t *from = msg_addr (message);
  *out = (PeerAddress){.port = 0};
  if (from->su_family == AF_INET)
    peer_address_set_ip (out, (const uint8_t *)&from->su_sin.sin_addr, 4);
  else if (from->su_family == AF_INET6)
    peer_address_set_ip (out, (const uint8_t *)&from->su_sin6.sin6_addr, 16);
  else
    return false;
  out->port = ntohs (from->su_port);
  return true;
}

char *
net_sip_url (const char *scheme, const PeerAddress *address, const char *parameters)
{
  g_autofree char *ip = peer_address_ip_to_string (address);
  g_autofree char *port =
      address->port != 0 ? g_strdup_printf ("%u", address->port) : g_strdup ("*");
  bool v4 = peer_address_is_v4 (address);
  return g_strdup_printf ("%s:%s%s%s:%s%s", scheme, v4 ? "" : "[", ip, v4 ? "" : "]", port,
                          parameters);
}

const char *
net_sip_next_header (const sip_t *sip, const char *name, const sip_unknown_t **state)
{
  const sip_unknown_t *at = *state != NULL ? (*state)->un_next : sip->sip_unknown;
  while (at != NULL && g_ascii_strcasecmp (at->un_name, name) != 0)
    at = at->un_next;
  *state = at;
  return at != NULL ? at->un_value : NULL;
}

const char *
net_sip_header (const sip_t *sip, const char *name)
{
  const sip_unknown_t *state = NULL;
  return net_sip_next_header (sip, name, &state);
}

bool
net_sip_read_list (const sip_t *sip, const char *name, NetSipTakeFunc take, gpointer out)
{
  const sip_unknown_t *state = NULL;
  const char *list;
  while ((list = net_sip_next_header (sip, name, &state)) != NULL) {
    for (;;) {
      g_autofree char *value = tracker_headers_next (&list);
      if (value == NULL)
        break;
      if (!take (value, out))
        return false;
    }
  }
  return true;
}

const char *
net_sip_unknown_option (const sip_require_t *require)
{
  for (; require != NULL; require = (const sip_require_t *)require->k_next)
    for (unsigned i = 0; require->k_items != NULL && require->k_items[i] != NULL; i++)
      if (g_ascii_strcasecmp (require->k_items[i], NET_SIP_OPTION) != 0)
        return require->k_items[i];
  return NULL;
}

char *
net_sip_auth_text (const msg_auth_t *header)
{
  GString *out = g_string_new (header->au_scheme);
  for (unsigned i = 0; header->au_params != NULL && header->au_params[i] != NULL; i++)
    g_string_append_printf (out, "%s%s", i == 0 ? " " : ", ", header->au_params[i]);
  return g_string_free (out, FALSE);
}

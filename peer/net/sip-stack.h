/* SPDX-License-Identifier: Apache-2.0 */
/* What both sides of the SIP binding have of sofia-sip: its loop in ours, its silence, its messages as text. Only
 * the rooms peer/net/sip-* include this. */
#pragma once

#include "peer/address.h"

#include <gio/gio.h>

#include <sofia-sip/msg_addr.h>
#include <sofia-sip/nta.h>
#include <sofia-sip/nta_stateless.h>
#include <sofia-sip/nta_tport.h>
#include <sofia-sip/sip_extra.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_status.h>
#include <sofia-sip/tport.h>
#include <sofia-sip/tport_tag.h>

/* Bytes of one message; more is answered with 413. */
#define NET_SIP_MAX_MESSAGE 65535
#define NET_SIP_FIND "ppsp-find"
#define NET_SIP_STAT "ppsp-stat"
#define NET_SIP_OPTION "ppsp"

/* For an agent that listens nowhere yet. */
#define NET_SIP_NOWHERE ((url_string_t *)-1)

/* The one loop of all our agents, attached to the default main context, made by the first call. */
su_root_t *net_sip_root (void);

/* A folder as sofia-sip wants to find certificates in: agent.pem with certificate and key (both NULL: none), and
 * cafile.pem with those whom we trust. Readable by us alone; removed by net_sip_folder_free(), which is
 * right as soon as the agent listens. */
char *net_sip_folder_new (const char *certificate, const char *key, const char *trust,
                          GError **error);
void net_sip_folder_free (char *folder);

/* Where it came from: the connection, not what it says of itself. */
bool net_sip_source (msg_t *message, PeerAddress *out);
/* "sip:192.0.2.1:5060": for sofia-sip to listen at, or to send to; port 0 = any. */
char *net_sip_url (const char *scheme, const PeerAddress *address, const char *parameters);

/* The values of a header that sofia-sip does not know, in their order; *state NULL at first. NULL = no more. */
const char *net_sip_next_header (const sip_t *sip, const char *name, const sip_unknown_t **state);
/* The first of them, or NULL. */
const char *net_sip_header (const sip_t *sip, const char *name);
/* Each value of a list of ours, which is several headers or commas or both, until take says no: then false. */
typedef bool (*NetSipTakeFunc) (const char *value, gpointer out);
bool net_sip_read_list (const sip_t *sip, const char *name, NetSipTakeFunc take, gpointer out);
/* Does a list of option tags have one that we do not know? Then that is returned. */
const char *net_sip_unknown_option (const sip_require_t *require);
/* A WWW-Authenticate or Authorization as its value was on the wire; sip_header_as_string() loses the end of long ones.
 * The caller frees. */
char *net_sip_auth_text (const msg_auth_t *header);

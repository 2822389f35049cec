/* SPDX-License-Identifier: Apache-2.0 */
/* Without PrepareForConnection there is one connection, and its ID is 0 (ConnectionManager:1,
 * section 2.4.4). Streams are plain HTTP and are not told here. */

#include "dlna/connection-manager.h"
#include "dlna/profile.h"
#include <string.h>

static void
on_get_protocol_info (GUPnPService *service, GUPnPServiceAction *action, gpointer data)
{
  g_autofree char *sources = dlna_profile_sources ();

  gupnp_service_action_set (action, "Source", G_TYPE_STRING, sources, "Sink", G_TYPE_STRING, "",
                            NULL);
  gupnp_service_action_return_success (action);
}

static void
on_get_connection_ids (GUPnPService *service, GUPnPServiceAction *action, gpointer data)
{
  gupnp_service_action_set (action, "ConnectionIDs", G_TYPE_STRING, "0", NULL);
  gupnp_service_action_return_success (action);
}

static void
on_get_connection_info (GUPnPService *service, GUPnPServiceAction *action, gpointer data)
{
  g_autofree char *id = NULL;

  gupnp_service_action_get (action, "ConnectionID", G_TYPE_STRING, &id, NULL);
  if (id == NULL) {
    gupnp_service_action_return_error (action, 402, "Invalid Args");
    return;
  }
  if (strcmp (g_strstrip (id), "0") != 0) {
    gupnp_service_action_return_error (action, 706, "Invalid connection reference");
    return;
  }
  gupnp_service_action_set (action, "RcsID", G_TYPE_INT, -1, "AVTransportID", G_TYPE_INT, -1,
                            "ProtocolInfo", G_TYPE_STRING, "", "PeerConnectionManager",
                            G_TYPE_STRING, "", "PeerConnectionID", G_TYPE_INT, -1, "Direction",
                            G_TYPE_STRING, "Output", "Status", G_TYPE_STRING, "OK", NULL);
  gupnp_service_action_return_success (action);
}

static void
on_query (GUPnPService *service, const char *variable, GValue *value, gpointer data)
{
  g_value_init (value, G_TYPE_STRING);
  if (strcmp (variable, "SourceProtocolInfo") == 0)
    g_value_take_string (value, dlna_profile_sources ());
  else if (strcmp (variable, "CurrentConnectionIDs") == 0)
    g_value_set_static_string (value, "0");
  else
    g_value_set_static_string (value, "");
}

void
dlna_connection_manager_serve (GUPnPService *service)
{
  static const struct {
    const char *action;
    GCallback handler;
  } actions[] = {
      {"action-invoked::GetProtocolInfo", G_CALLBACK (on_get_protocol_info)},
      {"action-invoked::GetCurrentConnectionIDs", G_CALLBACK (on_get_connection_ids)},
      {"action-invoked::GetCurrentConnectionInfo", G_CALLBACK (on_get_connection_info)},
      {"query-variable", G_CALLBACK (on_query)},
  };

  for (size_t i = 0; i < G_N_ELEMENTS (actions); i++)
    g_signal_connect (service, actions[i].action, actions[i].handler, NULL);
}

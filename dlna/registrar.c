/* SPDX-License-Identifier: Apache-2.0 */
#include "dlna/registrar.h"

static void
on_may (GUPnPService *service, GUPnPServiceAction *action, gpointer data)
{
  gupnp_service_action_set (action, "Result", G_TYPE_INT, 1, NULL);
  gupnp_service_action_return_success (action);
}

/* Nothing is ever granted or taken away. */
static void
on_query (GUPnPService *service, const char *variable, GValue *value, gpointer data)
{
  g_value_init (value, G_TYPE_UINT);
  g_value_set_uint (value, 0);
}

void
dlna_registrar_serve (GUPnPService *service)
{
  g_signal_connect (service, "action-invoked::IsAuthorized", G_CALLBACK (on_may), NULL);
  g_signal_connect (service, "action-invoked::IsValidated", G_CALLBACK (on_may), NULL);
  g_signal_connect (service, "query-variable", G_CALLBACK (on_query), NULL);
}

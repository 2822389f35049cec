/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/trackerd/respond.h"
#include <string.h>

void
trackerd_respond (SoupServerMessage *message, guint status, const char *type, char *body, size_t n)
{
  soup_server_message_set_response (message, type, SOUP_MEMORY_TAKE, body, n);
  soup_server_message_set_status (message, status, NULL);
}

void
trackerd_respond_text (SoupServerMessage *message, guint status, const char *text)
{
  trackerd_respond (message, status, "text/plain; charset=utf-8", g_strdup (text), strlen (text));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A row matches when all the words it has are in the header that they are for, and none of those it
 * must not have. The first row that matches counts. */

#include "dlna/quirks.h"
#include <string.h>

typedef struct {
  const char *agent;     /* in User-Agent; NULL = any */
  const char *not_agent; /* not in User-Agent */
  const char *client;    /* in X-AV-Client-Info; NULL = any */
  DlnaQuirk quirk;
} Row;

static const Row rows[] = {
    /* Plays live TS when it is told what it is told of a file; greys out with flags it does not
     * know. The Samsung program for PCs calls itself [PC] and needs nothing. */
    {"SEC_HHP_", "[PC]", NULL, {"Samsung", {.live_flags = "01700000"}, false}},
    /* The same: NetCast and webOS say "format not supported" to sender-paced streams. */
    {"LGE_DLNA_SDK", NULL, NULL, {"LG", {.live_flags = "01700000"}, false}},
    {"LG NetCast", NULL, NULL, {"LG", {.live_flags = "01700000"}, false}},
    {"LG webOS", NULL, NULL, {"LG", {.live_flags = "01700000"}, false}},
    /* Its own list of what it can play has these flags for live TS. The User-Agent says nothing. */
    {NULL, NULL, "BRAVIA", {"Sony Bravia", {.live_flags = "8D700000"}, false}},
    /* Asks for an order that it then ignores: it sorts by title. */
    {"Panasonic MIL DLNA CP", NULL, NULL, {"Panasonic Viera", {.live_flags = NULL}, true}},
};

static const DlnaQuirk none = {"other", {.live_flags = NULL}, false};

const DlnaQuirk *
dlna_quirks_find (const char *user_agent, const char *av_client_info)
{
  const char *agent = user_agent != NULL ? user_agent : "";
  const char *client = av_client_info != NULL ? av_client_info : "";

  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    const Row *row = &rows[i];
    if ((row->agent == NULL || strstr (agent, row->agent) != NULL) &&
        (row->client == NULL || strstr (client, row->client) != NULL) &&
        (row->not_agent == NULL || strstr (agent, row->not_agent) == NULL))
      return &row->quirk;
  }
  return &none;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of the tracker's servers, to peers and to its operator. */
#pragma once

#include <libsoup/soup.h>

/* body: n bytes, taken over. */
void trackerd_respond (SoupServerMessage *message, guint status, const char *type, char *body,
                       size_t n);
void trackerd_respond_text (SoupServerMessage *message, guint status, const char *text);

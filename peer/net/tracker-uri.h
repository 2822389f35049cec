/* SPDX-License-Identifier: Apache-2.0 */
/* Where a tracker is: https://HOST:PORT/PATH, http:..., sips:HOST:PORT, sip:HOST:PORT;transport=tcp. */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* With a scheme and a host. allow_plain: http: and sip: also to an address that is not private. A sip: URI has the
 * query "transport=tcp" where it says so. NULL with an error that names the text and says what is wrong. */
GUri *net_tracker_uri_parse (const char *text, bool allow_plain, GError **error);
bool net_tracker_uri_is_sip (const char *text);

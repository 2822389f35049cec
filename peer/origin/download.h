/* SPDX-License-Identifier: Apache-2.0 */
/* GET and HEAD /content/ID and /content/ID.hashes: files with ranges, what a link's "fb" points
 * at. */
#pragma once

#include "peer/origin/station.h"

#include <libsoup/soup.h>

void origin_download_serve (OriginStation *station, SoupServerMessage *message, const char *path);

/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures of strangers, made into what televisions take. */
#pragma once

#include <glib.h>

/* The profile that every picture made here has; NULL = this build has no way to make them. */
const char *proxy_picture_profile (void);
/* A JPEG of at most 160 by 160 (the DLNA guidelines' JPEG_TN), what is transparent white. Only JPEG and
 * PNG are read. NULL = it is neither, or too large. Without the library: the picture itself. type:
 * its media type. */
GBytes *proxy_picture_thumbnail (GBytes *picture, const char **type);

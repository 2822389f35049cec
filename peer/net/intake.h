/* SPDX-License-Identifier: Apache-2.0 */
/* A connection as SoupServer must see it, so that it lets go of it when it ends: see intake.c. */
#pragma once

#include <gio/gio.h>

/* References base, which must have pollable streams, and closes it when it is closed. */
GIOStream *net_intake_new (GIOStream *base);
/* No request is under way: from now on until the next byte comes. A new one begins so. */
void net_intake_rest (GIOStream *self);

/* SPDX-License-Identifier: Apache-2.0 */
/* ConnectionManager:1 of a MediaServer without PrepareForConnection: what we can be a source of. */
#pragma once

#include <libgupnp/gupnp.h>

/* service: references; the handlers live as long as it does. */
void dlna_connection_manager_serve (GUPnPService *service);

/* SPDX-License-Identifier: Apache-2.0 */
/* X_MS_MediaReceiverRegistrar: Xbox and Windows ask it whether they may look, and stay away from a
 * server that has none. Everybody in the home may. */
#pragma once

#include <libgupnp/gupnp.h>

void dlna_registrar_serve (GUPnPService *service);

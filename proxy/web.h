/* SPDX-License-Identifier: Apache-2.0 */
/* The household's page, the JSON management, the metrics. */
#pragma once

#include "proxy/parts.h"

typedef struct ProxyWeb ProxyWeb;

ProxyWeb *proxy_web_new (const ProxyParts *options);
void proxy_web_free (ProxyWeb *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ProxyWeb, proxy_web_free)

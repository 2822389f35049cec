/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "proxy/parts.h"

/* All that one who is to help must know, as one text that can be shown to strangers: no links, no keys,
 * no addresses of the Internet, and of URIs the host alone. started: us, monotonic. */
GString *proxy_report_write (const ProxyParts *with, int64_t started);

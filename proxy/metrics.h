/* SPDX-License-Identifier: Apache-2.0 */
/* /metrics: OpenMetrics 1.0. */
#pragma once

#include "proxy/parts.h"

/* The whole text, up to its EOF line. started: us, monotonic. The caller frees. */
GString *proxy_metrics_write (const ProxyParts *with, int64_t started);

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/clock.h"

#include <glib.h>

gint64 __real_g_get_monotonic_time (void);
gint64 __wrap_g_get_monotonic_time (void);

static gint64 standing;

gint64
__wrap_g_get_monotonic_time (void)
{
  if (standing == 0)
    standing = __real_g_get_monotonic_time ();
  return standing;
}

void
clock_advance (int64_t us)
{
  standing = __wrap_g_get_monotonic_time () + us;
}

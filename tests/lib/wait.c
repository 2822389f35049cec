/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/wait.h"

#include <time.h>

#define BOUND_S 60
#define NAP_US 500

/* Not GLib's clock: a test may have put another in its place. */
static int64_t
clock_us (void)
{
  struct timespec now;
  clock_gettime (CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000;
}

bool
wait_turn (int64_t *end)
{
  int64_t now = clock_us ();
  if (*end == 0)
    *end = now + BOUND_S * (int64_t)G_USEC_PER_SEC;
  if (now >= *end)
    return false;
  if (!g_main_context_iteration (NULL, FALSE))
    g_usleep (NAP_US);
  return true;
}

bool
wait_until (bool (*condition) (gpointer data), gpointer data)
{
  int64_t end = 0;
  while (!condition (data))
    if (!wait_turn (&end))
      return condition (data);
  return true;
}

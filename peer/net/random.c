/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/net/random.h"

#include <errno.h>
#include <glib.h>
#include <sys/random.h>

void
net_random (void *data, uint8_t *out, size_t n)
{
  while (n > 0) {
    ssize_t got = getrandom (out, n, 0);
    if (got < 0) {
      if (errno == EINTR)
        continue;
      g_error ("the kernel gives no random numbers: %s", g_strerror (errno));
    }
    out += got;
    n -= (size_t)got;
  }
}

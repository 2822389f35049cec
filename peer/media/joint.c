/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/media/joint.h"
#include <string.h>

enum { PID_NULL = 0x1fff, HAS_PAYLOAD = 0x10, HAS_ADAPTATION = 0x20, DISCONTINUITY = 0x80 };

bool
media_joint_before (MediaJoint *self, const uint8_t *packet, uint8_t *out)
{
  unsigned pid = (packet[1] & 0x1fu) << 8 | packet[2];
  if (pid == PID_NULL || (self->seen[pid / 8] >> pid % 8 & 1))
    return false;
  self->seen[pid / 8] |= (uint8_t)(1 << pid % 8);
  if ((packet[3] & HAS_ADAPTATION) && packet[4] > 0 && (packet[5] & DISCONTINUITY))
    return false; /* it says so itself */
  memset (out, 0xff, MEDIA_TS_PACKET);
  out[0] = 0x47;
  out[1] = (uint8_t)(pid >> 8);
  out[2] = (uint8_t)pid;
  /* Only packets with payload are counted (2.4.3.3). */
  out[3] = (uint8_t)(HAS_ADAPTATION | ((packet[3] - ((packet[3] & HAS_PAYLOAD) != 0)) & 15));
  out[4] = MEDIA_TS_PACKET - 5;
  out[5] = DISCONTINUITY;
  return true;
}

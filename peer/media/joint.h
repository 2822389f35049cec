/* SPDX-License-Identifier: Apache-2.0 */
/* Where two pieces of a transport stream meet that did not follow one another. In front of the
 * first packet of each PID goes one that has only an adaptation field with the discontinuity
 * indicator (ISO/IEC 13818-1, 2.4.3.5): its counter is the one before the packet's, so that
 * receivers see neither a gap nor a packet that came twice, and it announces a new clock before
 * the first PCR. */
#pragma once

#include "peer/media/mpegts.h"

/* Packets in which each PID should come once: a second at 6 Mbit/s. */
#define MEDIA_JOINT_LOOK 4096

/* All zero: no PID was seen behind the joint yet. */
typedef struct {
  uint8_t seen[8192 / 8];
} MediaJoint;

/* packet: the next one behind the joint, at least its first six bytes. out: room for a packet.
 * false = nothing goes in front of it. */
bool media_joint_before (MediaJoint *self, const uint8_t *packet, uint8_t *out);

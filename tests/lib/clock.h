/* SPDX-License-Identifier: Apache-2.0 */
/* The time that our code sees in a test that links fake_clock_dep: it stands still until the test
 * moves it, so no deadline comes because the machine is slow. GLib's own timers go on as ever. */
#pragma once

#include <stdint.h>

/* us from now on; begins with what the machine's clock says at the first look at it. */
void clock_advance (int64_t us);

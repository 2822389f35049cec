/* SPDX-License-Identifier: Apache-2.0 */
/* A test waits until something is true and never for a time: how long that takes is the machine's
 * affair. The bound only ends a test that has failed. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* One turn of the default main context, or a nap if nothing is to do there; false = it has been
 * too long. *end is 0 before the first turn:
 *
 *   int64_t end = 0;
 *   while (!done && wait_turn (&end))
 *     ;
 */
bool wait_turn (int64_t *end);
/* Returns the last answer of condition. */
bool wait_until (bool (*condition) (gpointer data), gpointer data);

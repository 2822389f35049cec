/* SPDX-License-Identifier: Apache-2.0 */
/* Where the output of a live transport stream begins: at a picture that can be decoded alone, with
 * the tables in front of it. One that shows no such picture for 4 s (periodic intra refresh) begins
 * anywhere, with the tables in front if there are any. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* bytes: what cli_start_feed() gives at once, at most, when it is fed no more than 64 KiB */
#define CLI_START_MAX (256 << 10)

typedef struct CliStart CliStart;

CliStart *cli_start_new (void);
void cli_start_free (CliStart *self);

/* The next bytes of the stream; now: us. NULL = it cannot begin yet; else what the output begins
 * with: the tables, and the stream from the picture to the end of bytes. Feed nothing after it. */
GBytes *cli_start_feed (CliStart *self, const uint8_t *bytes, size_t n, int64_t now);
/* Something is missing here. */
void cli_start_gap (CliStart *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (CliStart, cli_start_free)

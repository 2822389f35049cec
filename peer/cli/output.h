/* SPDX-License-Identifier: Apache-2.0 */
/* Where a stream's bytes go: standard output or a file. Never blocks the loop that gives to other
 * peers too: what a slow reader does not take waits here, and there is a limit to it. */
#pragma once

#include <gio/gio.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct CliOutput CliOutput;

/* Called from the main loop when a full output has room again. */
typedef void (*CliOutputFunc) (gpointer data);

/* path NULL = standard output, which must not be a terminal. A file is made, or emptied. */
CliOutput *cli_output_new (const char *path, CliOutputFunc ready, gpointer data, GError **error);
void cli_output_free (CliOutput *self);

/* Where the next bytes may be written, and how many; 0 = it is full. */
uint8_t *cli_output_room (CliOutput *self, size_t *n);
void cli_output_add (CliOutput *self, size_t n);
/* Writes what can be written now. false with an error = the medium failed (a full disk); false
 * without one = nobody reads any more. */
bool cli_output_flush (CliOutput *self, GError **error);
bool cli_output_is_pending (const CliOutput *self);
uint64_t cli_output_written (const CliOutput *self); /* bytes */

G_DEFINE_AUTOPTR_CLEANUP_FUNC (CliOutput, cli_output_free)

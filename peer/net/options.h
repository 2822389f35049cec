/* SPDX-License-Identifier: Apache-2.0 */
/* The key file of a program: its keys are the long options of the command line, read by the same
 * table, so that an option means the same wherever it stands. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* A key file. What is wrong with a line is told by the line's number alone, since it may hold a password.
 * The caller frees. */
GKeyFile *net_options_open (const char *path, GError **error);

/* Call it after g_option_context_parse() with the same entries. The section is for the reader's
 * eye; the key alone counts, and only where the command line has not said it: a text or a list that
 * is not NULL, a number that is not negative, stays; a flag is set where either sets it. Keys may
 * name entries of the kinds string, file name, array of strings (parted by ';'), number, flag; not
 * --config and --version, nor what has no long name. The error is one line: file, section, key, and
 * what is wrong. */
bool net_options_read_file (const char *path, const GOptionEntry *entries, GError **error);

/* Options that several programs have. */
#define NET_OPTIONS_MAX_PER_IP_HELP "Peers that one public address may connect to a swarm (32)"
#define NET_OPTIONS_BENIGN_NETWORK_HELP                                                            \
  "Peers may name each other without certificates, and channels use Sign All; for closed "         \
  "networks only"
#define NET_OPTIONS_NO_PEER_EXCHANGE_HELP "Peers are not named to each other at all"
#define NET_OPTIONS_LOSS_TOLERANCE_HELP                                                            \
  "Loss that is no sign of a full path, if no queue is seen; at most 10 (0)"
/* --loss-tolerance; -1 = not said, and out becomes 0. */
bool net_options_loss_tolerance (int said, unsigned *out, GError **error);
/* --max-per-ip; -1 = not said, and out becomes 0. */
bool net_options_max_per_ip (int said, unsigned *out, GError **error);
/* "300M", "1.5 GiB", "4096": bytes. false = no size. */
bool net_options_size (const char *text, uint64_t *out);

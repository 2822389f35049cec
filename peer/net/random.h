/* SPDX-License-Identifier: Apache-2.0 */
/* Random numbers that nobody can guess, from the kernel: for the IDs of channels, peers and
 * transactions, and for tokens. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* As the options of engine, registry and tracker session want it; data is not used. A kernel that
 * gives none ends the program: what is guessable would be worse. */
void net_random (void *data, uint8_t *out, size_t n);

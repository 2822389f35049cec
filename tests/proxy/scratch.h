/* SPDX-License-Identifier: Apache-2.0 */
/* What several tests of the gateway need: a folder that goes again, and warnings that are counted. */
#pragma once

#include <glib.h>

char *scratch_new (void); /* a fresh folder; scratch_free() deletes it with all that is in it */
void scratch_free (char *folder);

/* From here on warnings do not end the test but are kept. */
void scratch_keep_warnings (void);
unsigned scratch_warnings (void); /* since the last call */
const char *scratch_last_warning (void);

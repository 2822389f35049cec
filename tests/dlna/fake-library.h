/* SPDX-License-Identifier: Apache-2.0 */
/* A DlnaLibrary in memory whose script the test writes: channels that carry what the test pushes,
 * and films whose bytes follow from their place. */
#pragma once

#include "dlna/library.h"

#define FAKE_TYPE_LIBRARY (fake_library_get_type ())
G_DECLARE_FINAL_TYPE (FakeLibrary, fake_library, FAKE, LIBRARY, GObject)

FakeLibrary *fake_library_new (void);
/* Adds to the end of its parent's children; takes item. */
void fake_library_add (FakeLibrary *self, DlnaItem *item);
DlnaItem *fake_library_channel (const char *id, const char *title, int number);
DlnaItem *fake_library_film (const char *id, const char *title, int64_t size);
DlnaItem *fake_library_folder (const char *id, const char *title);
/* Borrowed. */
DlnaItem *fake_library_item (FakeLibrary *self, const char *id);

/* To all streams of all channels, now and later ones from here on. */
void fake_library_push (FakeLibrary *self, GBytes *bytes);
/* All channels end. */
void fake_library_end (FakeLibrary *self);
/* The next opens: fail with this code of G_IO_ERROR; -1 = succeed; -2 = never answer until
 * cancelled. */
void fake_library_set_open (FakeLibrary *self, int code);
/* Films break off after this many bytes of a stream; -1 = never. */
void fake_library_set_break (FakeLibrary *self, int64_t bytes);

#define FAKE_BEHIND INT64_C (7000000) /* us behind live, each viewer */
unsigned fake_library_opened (FakeLibrary *self);
unsigned fake_library_streams (FakeLibrary *self); /* alive now */
/* Of what was pushed, how many pieces the one that is slowest of these has taken. */
unsigned fake_library_taken (FakeLibrary *self);
unsigned fake_library_cancelled (FakeLibrary *self);
/* The position of the last open; its viewer is a copy. */
const DlnaPosition *fake_library_position (FakeLibrary *self);
/* What viewers have told last: "film 5-10", "film at 1000000"; NULL = nothing yet. */
const char *fake_library_told (FakeLibrary *self);
/* Byte at place of each film. */
uint8_t fake_library_byte (int64_t place);
/* Raises the update ID and emits "changed". */
void fake_library_touch (FakeLibrary *self, const char *id);

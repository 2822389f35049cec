/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target where there is no libFuzzer: all files of a corpus, and then a number of
 * changes of them by a seeded random. So each build runs each target, and the same seed gives the
 * same inputs.
 *
 *   fuzz-wire [--rounds=N] [--seed=N] CORPUS...
 *
 * A file that ends in .hex holds hexadecimal digits with comments behind '#', so that a reviewer
 * can read it; any other is taken as it is. */
#include <glib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX 4096 /* bytes */

int LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t n);

static GByteArray *
decode_hex (const char *text)
{
  GByteArray *out = g_byte_array_new ();
  int high = -1;

  for (; *text != '\0'; text++) {
    int digit = g_ascii_xdigit_value (*text);

    if (*text == '#') {
      while (text[1] != '\0' && text[1] != '\n')
        text++;
    } else if (digit >= 0 && high < 0) {
      high = digit;
    } else if (digit >= 0) {
      guint8 byte = (guint8)(high << 4 | digit);

      g_byte_array_append (out, &byte, 1);
      high = -1;
    } else if (!g_ascii_isspace (*text)) {
      g_error ("'%c' is no hexadecimal", *text);
    }
  }
  if (high >= 0)
    g_error ("half a byte");
  return out;
}

static void
add_file (GPtrArray *corpus, const char *path)
{
  g_autoptr (GError) error = NULL;
  char *bytes;
  gsize n;

  if (!g_file_get_contents (path, &bytes, &n, &error))
    g_error ("%s", error->message);
  if (g_str_has_suffix (path, ".hex")) {
    g_ptr_array_add (corpus, decode_hex (bytes));
    g_free (bytes);
  } else {
    g_ptr_array_add (corpus, g_byte_array_new_take ((guint8 *)bytes, n));
  }
}

static int
compare_names (const void *a, const void *b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

static void
add_folder (GPtrArray *corpus, const char *path)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GDir) dir = g_dir_open (path, 0, &error);
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  const char *name;

  if (dir == NULL)
    g_error ("%s", error->message);
  while ((name = g_dir_read_name (dir)) != NULL)
    g_ptr_array_add (names, g_build_filename (path, name, NULL));
  /* A seed means nothing if the order is the file system's. */
  g_ptr_array_sort (names, compare_names);
  for (guint i = 0; i < names->len; i++)
    add_file (corpus, names->pdata[i]);
}

static void
run_one (const uint8_t *bytes, size_t n)
{
  uint8_t *copy = malloc (n); /* of exactly that size, so that a sanitizer sees its end */

  if (n > 0)
    memcpy (copy, bytes, n);
  LLVMFuzzerTestOneInput (copy, n);
  free (copy);
}

static guint
below (GRand *random, guint n)
{
  return n == 0 ? 0 : g_rand_int (random) % n;
}

static void
insert (GByteArray *self, guint at, const guint8 *bytes, guint n)
{
  guint left = self->len - at;

  n = MIN (n, INPUT_MAX - MIN (self->len, INPUT_MAX));
  if (n == 0)
    return;
  g_byte_array_set_size (self, self->len + n);
  memmove (self->data + at + n, self->data + at, left);
  memcpy (self->data + at, bytes, n);
}

/* A number that programs get wrong, written over what was there. */
static void
put_number (GRand *random, GByteArray *self)
{
  static const guint64 numbers[] = {0,
                                    1,
                                    0x7f,
                                    0x80,
                                    0xff,
                                    0x100,
                                    0x7fff,
                                    0xffff,
                                    0x7fffffff,
                                    0x80000000,
                                    0xfffffffe,
                                    0xffffffff,
                                    0x7fffffffffffffff,
                                    0x8000000000000000,
                                    0xfffffffffffffffe,
                                    0xffffffffffffffff};
  guint64 number = GUINT64_TO_BE (numbers[below (random, G_N_ELEMENTS (numbers))]);
  guint n = 1u << below (random, 4), at = below (random, self->len);

  if (self->len >= n && at <= self->len - n)
    memcpy (self->data + at, (const guint8 *)&number + 8 - n, n);
}

static void
change (GRand *random, GByteArray *self, const GByteArray *other)
{
  guint at = below (random, self->len), n = 1 + below (random, 32);
  g_autofree guint8 *copy = NULL;

  switch (below (random, 8)) {
  case 0:
    if (self->len > 0)
      self->data[at] ^= (guint8)(1u << below (random, 8));
    return;
  case 1:
    if (self->len > 0)
      self->data[at] = (guint8)g_rand_int (random);
    return;
  case 2:
    put_number (random, self);
    return;
  case 3: /* a part away */
    if (self->len > 0)
      g_byte_array_remove_range (self, at, MIN (n, self->len - at));
    return;
  case 4: /* a part twice */
    n = MIN (n, self->len - at);
    copy = g_memdup2 (self->data + at, n);
    insert (self, at, copy, n);
    return;
  case 5: /* noise */
    copy = g_malloc (n);
    for (guint i = 0; i < n; i++)
      copy[i] = (guint8)g_rand_int (random);
    insert (self, at, copy, n);
    return;
  case 6: /* the end of another */
    if (other->len > 0) {
      guint from = below (random, other->len);

      g_byte_array_set_size (self, at);
      insert (self, at, other->data + from, other->len - from);
    }
    return;
  default:
    g_byte_array_set_size (self, at);
  }
}

static void
run_rounds (GPtrArray *corpus, guint64 rounds, guint32 seed)
{
  g_autoptr (GRand) random = g_rand_new_with_seed (seed);
  g_autoptr (GByteArray) input = g_byte_array_new ();

  for (guint64 i = 0; i < rounds; i++) {
    const GByteArray *from = corpus->pdata[below (random, corpus->len)];

    /* Most rounds go on from where the last one stopped, so that changes add up. */
    if (i % 8 == 0) {
      g_byte_array_set_size (input, 0);
      g_byte_array_append (input, from->data, MIN (from->len, INPUT_MAX));
    }
    for (guint n = 1 + below (random, 4); n > 0; n--)
      change (random, input, corpus->pdata[below (random, corpus->len)]);
    run_one (input->data, input->len);
  }
}

int
main (int argc, char **argv)
{
  g_autoptr (GPtrArray) corpus =
      g_ptr_array_new_with_free_func ((GDestroyNotify)g_byte_array_unref);
  guint64 rounds = 20000;
  guint32 seed = g_random_int ();

  for (int i = 1; i < argc; i++) {
    if (g_str_has_prefix (argv[i], "--rounds="))
      rounds = g_ascii_strtoull (argv[i] + strlen ("--rounds="), NULL, 10);
    else if (g_str_has_prefix (argv[i], "--seed="))
      seed = (guint32)g_ascii_strtoull (argv[i] + strlen ("--seed="), NULL, 10);
    else if (g_file_test (argv[i], G_FILE_TEST_IS_DIR))
      add_folder (corpus, argv[i]);
    else
      add_file (corpus, argv[i]);
  }
  g_ptr_array_add (corpus, g_byte_array_new ());
  /* Before the run: whoever sees it crash needs the seed. */
  g_printerr ("%u inputs, then %" G_GUINT64_FORMAT " rounds with --seed=%u\n", corpus->len, rounds,
              seed);
  for (guint i = 0; i < corpus->len; i++) {
    const GByteArray *input = corpus->pdata[i];

    run_one (input->data, input->len);
  }
  run_rounds (corpus, rounds, seed);
  return 0;
}

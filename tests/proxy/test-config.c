/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/config.h"
#include "tests/proxy/scratch.h"
#include <string.h>
#include <unistd.h>

/* Linked with --wrap: how much memory the machine has; 0 = as it is. */
static uint64_t machine;

long __real_sysconf (int name);
long __wrap_sysconf (int name);

long
__wrap_sysconf (int name)
{
  if (name == _SC_PHYS_PAGES && machine > 0)
    return (long)(machine / (uint64_t)__real_sysconf (_SC_PAGESIZE));
  return __real_sysconf (name);
}

#define READ(config, error, ...)                                                                   \
  read_config (config, error, (const char *[]){"ppsp-proxy", __VA_ARGS__, NULL})

static ProxyConfigResult
read_config (ProxyConfig *config, GError **error, const char *const *arguments)
{
  memset (config, 0, sizeof *config);
  return proxy_config_read (config, (int)g_strv_length ((char **)arguments), (char **)arguments,
                            error);
}

static void
test_defaults (void)
{
  g_auto (ProxyConfig) config = {0};
  g_autoptr (GError) error = NULL;
  g_setenv ("STATE_DIRECTORY", "/var/lib/ppsp-proxy:/other", TRUE);
  g_assert_cmpint (READ (&config, &error, "--verbose"), ==, PROXY_CONFIG_RUN);
  g_assert_cmpuint (config.listen_port, ==, 8574);
  g_assert_null (config.listen);
  g_assert_cmpuint (config.dlna_port, ==, 8575);
  g_assert_cmpstr (config.peer, ==, "[::]:7574");
  g_assert_cmpuint (g_strv_length (config.channels), ==, 0);
  g_assert_null (config.interfaces);
  g_assert_cmpstr (config.state, ==, "/var/lib/ppsp-proxy");
  g_assert_true (g_str_has_prefix (config.name, "PPSP on "));
  g_assert_cmpuint (config.cache, ==, 1073741824);
  g_assert_cmpuint (config.memory, >=, 12 << 20);
  g_assert_cmpuint (config.memory, <=, 128 << 20);
  g_assert_null (config.recordings);
  g_assert_cmpuint (config.timeshift, ==, 0);
  g_assert_cmpuint (config.linger, ==, 30);
  g_assert_false (config.allow_plain_tracker);
  g_assert_false (config.hdhomerun);
  g_assert_true (config.verbose);
}

/* A channel's memory follows the machine's. */
static void
test_memory_of_the_machine (void)
{
  static const struct {
    uint64_t machine, memory; /* MiB */
  } rows[] = {{64, 12}, {128, 16}, {512, 64}, {16384, 128}};
  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_auto (ProxyConfig) config = {0};
    g_autoptr (GError) error = NULL;
    machine = rows[i].machine << 20;
    g_assert_cmpint (READ (&config, &error, "--verbose"), ==, PROXY_CONFIG_RUN);
    g_assert_cmpuint (config.memory, ==, rows[i].memory << 20);
  }
  machine = 0;
}

static void
test_options (void)
{
  g_auto (ProxyConfig) config = {0};
  g_autoptr (GError) error = NULL;
  g_assert_cmpint (READ (&config, &error, "--listen", "127.0.0.1:80", "--listen=[::1]:81",
                         "--channels", "http://a/", "--channels", "file:///b", "--interface", "lo",
                         "--memory", "8M", "--timeshift", "20G", "--recordings", "/r",
                         "--recordings-quota", "2G", "--cache", "1.5 GiB", "--linger=0",
                         "--allow-plain-tracker", "--allow-host", "tv.example", "--name", "A",
                         "--tracker", "http://10.0.0.1/", "--max-per-ip", "5", "--renderers",
                         "/etc/tv.conf", "--benign-network", "--no-peer-exchange", "--hdhomerun"),
                   ==, PROXY_CONFIG_RUN);
  g_assert_cmpstr (config.listen[0], ==, "127.0.0.1:80");
  g_assert_cmpstr (config.listen[1], ==, "[::1]:81");
  g_assert_cmpstr (config.channels[1], ==, "file:///b");
  g_assert_cmpstr (config.interfaces[0], ==, "lo");
  g_assert_cmpuint (config.memory, ==, 8 << 20);
  g_assert_cmpuint (config.timeshift, ==, UINT64_C (20) << 30);
  g_assert_cmpstr (config.recordings, ==, "/r");
  g_assert_cmpuint (config.recordings_quota, ==, UINT64_C (2) << 30);
  g_assert_cmpuint (config.cache, ==, 1610612736);
  g_assert_cmpuint (config.linger, ==, 0);
  g_assert_true (config.allow_plain_tracker);
  g_assert_cmpuint (config.max_per_ip, ==, 5);
  g_assert_cmpstr (config.renderers, ==, "/etc/tv.conf");
  g_assert_true (config.benign_network && config.no_peer_exchange && config.hdhomerun);
  g_assert_cmpstr (config.allow_hosts[0], ==, "tv.example");
  g_assert_cmpstr (config.trackers[0], ==, "http://10.0.0.1/");
}

static void
test_file (void)
{
  char *folder = scratch_new ();
  g_autofree char *path = g_build_filename (folder, "proxy.conf", NULL);
  g_assert_true (g_file_set_contents (path,
                                      "# a comment\n[network]\nlisten=9000\npeer=0.0.0.0:1\n"
                                      "allow-plain-tracker=true\n[home]\nname=From the file\n"
                                      "[channels]\nchannels=http://a/;http://b/\n",
                                      -1, NULL));
  g_auto (ProxyConfig) config = {0};
  g_autoptr (GError) error = NULL;
  g_assert_cmpint (READ (&config, &error, "--config", path, "--name", "From the line", "--channels",
                         "http://c/"),
                   ==, PROXY_CONFIG_RUN);
  g_assert_cmpuint (config.listen_port, ==, 9000);
  g_assert_cmpstr (config.peer, ==, "0.0.0.0:1");
  g_assert_true (config.allow_plain_tracker);
  g_assert_cmpstr (config.name, ==, "From the line");
  g_assert_cmpuint (g_strv_length (config.channels), ==, 1);
  g_assert_cmpstr (config.channels[0], ==, "http://c/");
  scratch_free (folder);
}

/* What a link may name, the option may: by HTTP and by SIP, in the plain on private addresses. */
static void
test_trackers (void)
{
  static const char *const trackers[] = {"https://t.example:7846/", "http://10.0.0.1:7846/",
                                         "sips:t.example:5061", "sip:10.0.0.1:5060;transport=tcp"};
  for (size_t i = 0; i < G_N_ELEMENTS (trackers); i++) {
    g_auto (ProxyConfig) config = {0};
    g_autoptr (GError) error = NULL;
    ProxyConfigResult result = READ (&config, &error, "--tracker", trackers[i]);
    if (error && strstr (error->message, "this build has no SIP"))
      g_assert_cmpint (trackers[i][0], ==, 's');
    else {
      g_assert_no_error (error);
      g_assert_cmpint (result, ==, PROXY_CONFIG_RUN);
    }
  }
}

/* Each mistake gives one line that names it. */
static void
test_mistakes (void)
{
  static const char *const mistakes[][3] = {
      {"--nonsense", NULL, "nonsense"},
      {"stray", NULL, "stray"},
      {"--credentials", "/nonexistent", "/nonexistent"},
      {"--listen", "70000", "--listen 70000"},
      {"--listen", "x", "--listen x"},
      {"--dlna-port", "-1", "--dlna-port -1"},
      {"--memory", "12 apples", "--memory 12 apples"},
      {"--memory", "10", "--memory"},
      {"--timeshift", "15M", "--timeshift"},
      {"--linger", "forever", "--linger forever"},
      {"--channels", "gopher://x/", "gopher://x/"},
      {"--channels", "list.m3u", "list.m3u"},
      {"--tracker", "udp://x/", "udp://x/"},
      {"--tracker", "http://8.8.8.8/", "--allow-plain-tracker"},
      {"--config", "/nowhere/proxy.conf", "/nowhere/proxy.conf"},
      {"--peer", "", "--peer"},
  };
  for (size_t i = 0; i < G_N_ELEMENTS (mistakes); i++) {
    ProxyConfig config;
    g_autoptr (GError) error = NULL;
    g_assert_cmpint (READ (&config, &error, mistakes[i][0], mistakes[i][1]), ==,
                     PROXY_CONFIG_WRONG);
    g_assert_nonnull (strstr (error->message, mistakes[i][2]));
    g_assert_null (strchr (error->message, '\n'));
  }
}

static void
test_file_mistakes (void)
{
  char *folder = scratch_new ();
  g_autofree char *path = g_build_filename (folder, "proxy.conf", NULL);
  static const char *const texts[][2] = {
      {"[home]\nnmae=x\n", "nmae"},
      {"name=x\n", "proxy.conf"},
      {"[home]\nallow-plain-tracker=perhaps\n", "perhaps"},
      {"[home]\nlinger=1h\n", "linger"},
      {"[home]\nmax-per-ip=0\n", "from 1"},
  };
  for (size_t i = 0; i < G_N_ELEMENTS (texts); i++) {
    ProxyConfig config;
    g_autoptr (GError) error = NULL;
    g_assert_true (g_file_set_contents (path, texts[i][0], -1, NULL));
    g_assert_cmpint (READ (&config, &error, "--config", path), ==, PROXY_CONFIG_WRONG);
    g_assert_nonnull (strstr (error->message, texts[i][1]));
  }
  scratch_free (folder);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/proxy/config/defaults-are-the-contract", test_defaults);
  g_test_add_func ("/proxy/config/memory-is-that-of-the-machine", test_memory_of_the_machine);
  g_test_add_func ("/proxy/config/reads-all-options", test_options);
  g_test_add_func ("/proxy/config/command-line-wins-over-file", test_file);
  g_test_add_func ("/proxy/config/trackers-by-http-and-sip", test_trackers);
  g_test_add_func ("/proxy/config/mistakes-are-named", test_mistakes);
  g_test_add_func ("/proxy/config/mistakes-in-the-file-are-named", test_file_mistakes);
  return g_test_run ();
}

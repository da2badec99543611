// SPDX-License-Identifier: Apache-2.0
// rmsnorm-aot sign: lists every entry of a bundle in v1/MANIFEST and signs the list. From then on
// the bundle is not changed: build --unsign takes the signature away again.
#include <fcntl.h>
#include <fmt/format.h>

#include "cache/disk_cache.h"
#include "cache/errors.h"
#include "cache/file_util.h"
#include "tools/cli.h"
#include "tools/console.h"

namespace rmsjit::cli {
namespace {

struct SignOptions {
  std::string bundle, key;
  bool json = false, quiet = false;
};

Result<SecretKey> read_secret_key(const std::string& path) {
  Fd file;
  struct stat facts {};
  std::string text;
  int error = open_to_read(AT_FDCWD, path, &file);
  if (error == 0) error = facts_of(file.get(), &facts);
  if (error != 0) return cache_io_error("read", path, error);
  if (!S_ISREG(facts.st_mode) || facts.st_size > kMaxSignatureBytes) return damaged_secret_key();
  error = read_exactly(file.get(), facts.st_size, &text);
  if (error != 0) return cache_io_error("read", path, error);
  return SecretKey::from_text(text);
}

int run(const SignOptions& options) {
  const Result<SecretKey> key = read_secret_key(options.key);
  if (!key.ok()) return fail(kBadUsage, "--key " + options.key + ": " + key.message());
  auto present = DiskCache::open(options.bundle, DiskCache::Mode::kReadOnly);
  if (!present.ok()) return fail(kNotTried, present.message());
  auto cache =
      DiskCache::open(options.bundle, DiskCache::Mode::kReadWrite, DiskCache::Share::kReadable);
  if (!cache.ok()) return fail(kNotTried, cache.message());
  const Result<Manifest> manifest = (*cache)->write_signature(*key);
  if (!manifest.ok()) return fail(kSomeFailed, manifest.message());
  const std::string public_key = key->public_key().hex();
  if (options.json) {
    print_json({{"schema_version", 1},
                {"bundle", options.bundle},
                {"entries", manifest->items.size()},
                {"public_key", public_key}});
  }
  say(options.quiet ? Talk::kQuiet : Talk::kNormal,
      fmt::format("{} entries of {} signed by {}", manifest->items.size(), options.bundle,
                  public_key));
  return kDone;
}

}  // namespace

void add_sign(CLI::App& root, int& exit_code) {
  auto options = std::make_shared<SignOptions>();
  CLI::App* command = root.add_subcommand("sign", "Sign a bundle");
  command->add_option("--bundle", options->bundle, "The bundle")->required()->type_name("DIR");
  command->add_option("--key", options->key, "The secret key, from keygen")
      ->required()
      ->type_name("FILE");
  command->add_flag("--json", options->json, "One JSON object on stdout");
  command->add_flag("--quiet,-q", options->quiet, "No summary");
  command->footer(
      "A signed bundle is not changed any more; build --unsign takes the signature away.\n"
      "Example:\n  rmsnorm-aot sign --bundle bundle --key release.key");
  command->callback([options, &exit_code] { exit_code = run(*options); });
}

}  // namespace rmsjit::cli

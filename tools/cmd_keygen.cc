// SPDX-License-Identifier: Apache-2.0
// rmsnorm-aot keygen: a new Ed25519 key. The secret half goes into a file of its own, which is
// never replaced; the public half is printed.
#include <fcntl.h>
#include <fmt/format.h>

#include "cache/errors.h"
#include "cache/file_util.h"
#include "cache/signature.h"
#include "tools/cli.h"
#include "tools/console.h"

namespace rmsjit::cli {
namespace {

struct KeygenOptions {
  std::string out;
  bool json = false;
};

int run(const KeygenOptions& options) {
  const Result<SecretKey> key = make_secret_key();
  if (!key.ok()) return fail(kNotTried, key.message());
  const std::string public_key = key->public_key().hex();
  if (const int error = write_new_file(AT_FDCWD, options.out, key->text(), 0600)) {
    return fail(kNotTried, "--out: " + cache_io_error("write", options.out, error).message());
  }
  if (options.json) {
    print_json({{"schema_version", 1}, {"secret_key", options.out}, {"public_key", public_key}});
  } else {
    fmt::print("{}\n", public_key);
  }
  return kDone;
}

}  // namespace

void add_keygen(CLI::App& root, int& exit_code) {
  auto options = std::make_shared<KeygenOptions>();
  CLI::App* command = root.add_subcommand("keygen", "Make a key that signs bundles");
  command->add_option("--out", options->out, "A new file for the secret key; keep it to yourself")
      ->required()
      ->type_name("FILE");
  command->add_flag("--json", options->json, "One JSON object on stdout");
  command->footer(
      "Prints the public key, which belongs into RMSJIT_TRUSTED_KEYS.\n"
      "Example:\n  rmsnorm-aot keygen --out release.key");
  command->callback([options, &exit_code] { exit_code = run(*options); });
}

}  // namespace rmsjit::cli

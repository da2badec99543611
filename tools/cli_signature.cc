// SPDX-License-Identifier: Apache-2.0
#include "tools/cli_signature.h"

#include "tools/cli_cache.h"

namespace rmsjit::cli {

void SignatureChoice::add_to(CLI::App& command) {
  command.add_option("--trusted-keys", trusted_keys, "Who may sign (default: RMSJIT_TRUSTED_KEYS)")
      ->type_name("KEY,KEY");
  command.add_flag("--require-signature", required, "An unsigned bundle is an error");
}

Result<std::vector<PublicKey>> SignatureChoice::keys() {
  if (!trusted_keys.empty()) return parse_public_keys(trusted_keys);
  RMSJIT_ASSIGN_OR_RETURN(RuntimeOptions options, user_options());
  required = required || options.store.require_signature;
  return std::move(options.store.trusted_keys);
}

SignatureReport check_bundle(DiskCache& cache, const std::vector<PublicKey>& trusted) {
  SignatureReport report;
  const auto refuse = [&report](const char* status, const Status& why) {
    report.status = status;
    report.reason = why.message();
    return report;
  };
  const auto files = cache.read_signature();
  if (files.code() == StatusCode::kNotFound) return report;
  if (!files.ok()) return refuse("damaged", files.status());
  const Result<PublicKey> by = check_signature(files->manifest, files->signature);
  if (!by.ok()) return refuse("untrusted", by.status());
  report.key = by->hex();
  Result<Manifest> manifest = Manifest::from_text(files->manifest);
  if (!manifest.ok()) return refuse("damaged", manifest.status());
  if (!trusted.empty()) {
    const auto known = check_signature(files->manifest, files->signature, trusted);
    if (!known.ok()) return refuse("untrusted", known.status());
  }
  report.status = trusted.empty() ? "signed" : "valid";
  report.manifest = std::move(*manifest);
  return report;
}

}  // namespace rmsjit::cli

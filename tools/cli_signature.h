// SPDX-License-Identifier: Apache-2.0
// What a bundle's signature is worth to this command: which keys are trusted, and what the manifest
// says of each entry.
#ifndef RMSJIT_TOOLS_CLI_SIGNATURE_H_
#define RMSJIT_TOOLS_CLI_SIGNATURE_H_

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cache/disk_cache.h"

namespace rmsjit::cli {

struct SignatureReport {
  // none: not signed. signed: whole, but no trusted key was named. valid: by a trusted key.
  // untrusted: by another key, or it does not fit. damaged: unreadable.
  const char* status = "none";
  std::string key;                   // whose, where the signature fits
  std::string reason;                // why it is untrusted or damaged
  std::optional<Manifest> manifest;  // signed and valid

  bool bad() const { return !reason.empty(); }
};

// --trusted-key and --require-signature, or the variables of a runtime.
struct SignatureChoice {
  std::string trusted_keys;
  bool required = false;

  void add_to(CLI::App& command);
  // The keys to trust. Errors: kInvalidArgument; those of user_options().
  Result<std::vector<PublicKey>> keys();
};

SignatureReport check_bundle(DiskCache& cache, const std::vector<PublicKey>& trusted);

}  // namespace rmsjit::cli

#endif  // RMSJIT_TOOLS_CLI_SIGNATURE_H_

// SPDX-License-Identifier: Apache-2.0
// A directory made from the input: folders, files, links and FIFOs at names that look like entries,
// a manifest and a signature. Reading it as a bundle never fails otherwise than by a Status, finds
// nothing that was not stored whole, and changes nothing.
#include <fcntl.h>
#include <fuzzer/FuzzedDataProvider.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "cache/disk_cache.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace rmsjit;
namespace fs = std::filesystem;

const std::string& root() {
  static const std::string& path = *[] {
    std::string pattern = "/dev/shm/rmsjit-fuzz-XXXXXX";
    fuzz::require(mkdtemp(pattern.data()) != nullptr, "a folder in /dev/shm");
    static std::string kept = pattern;
    atexit([] { fs::remove_all(kept); });
    return &kept;
  }();
  return path;
}

CacheKey key_of(int number) {
  CacheKey key;
  return key.add("number", std::to_string(number));
}

std::string good_bytes(int number) {
  Entry entry;
  entry.target = "sm_90";
  entry.metadata.key_text = key_of(number).text();
  entry.image = "image " + std::to_string(number);
  return encode_entry(entry);
}

std::string entry_name(int number) {
  const std::string hex = key_of(number).digest().hex();
  return "obj/" + hex.substr(0, 2) + "/" + hex.substr(2) + ".rmsk";
}

void make_thing(FuzzedDataProvider& input, const std::string& v1) {
  const int number = input.ConsumeIntegralInRange(0, 3);
  std::string name = entry_name(number);
  switch (input.ConsumeIntegralInRange(0, 5)) {
    case 0:
      name = "obj/" + input.ConsumeRandomLengthString(70);
      break;
    case 1:
      name = "MANIFEST";
      break;
    case 2:
      name = "MANIFEST.sig";
      break;
    default:
      break;
  }
  if (name.find('\0') != std::string::npos || name.find("..") != std::string::npos) return;
  const fs::path path = fs::path(v1) / name;
  std::error_code ignored;
  fs::create_directories(path.parent_path(), ignored);
  fs::remove_all(path, ignored);  // else a write would follow a link or wait for a FIFO's reader
  switch (input.ConsumeIntegralInRange(0, 5)) {
    case 0:
      fs::create_directory(path, ignored);
      break;
    case 1:
      fs::create_symlink(input.ConsumeRandomLengthString(20), path, ignored);
      break;
    case 2:
      (void)!mkfifo(path.c_str(), 0600);
      break;
    case 3:
      std::ofstream(path) << good_bytes(number);
      break;
    case 4: {
      std::string bytes = good_bytes(number);
      bytes[input.ConsumeIntegralInRange<size_t>(0, bytes.size() - 1)] ^= 1;
      std::ofstream(path) << bytes;
      break;
    }
    default:
      std::ofstream(path) << input.ConsumeRandomLengthString(2000);
      break;
  }
}

int count_things(const std::string& v1) {
  int count = 0;
  std::error_code ignored;
  for (const auto& item : fs::recursive_directory_iterator(v1, ignored)) {
    count += item.path().empty() ? 0 : 1;
  }
  return count;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider input(data, size);
  const std::string directory = root() + "/bundle", v1 = directory + "/v1";
  fs::remove_all(directory);
  fs::create_directories(v1);
  for (int i = 0; i < 8 && input.remaining_bytes() > 0; ++i) make_thing(input, v1);
  const int before = count_things(v1);
  auto bundle = DiskCache::open(directory, DiskCache::Mode::kReadOnly);
  fuzz::require(bundle.ok(), "a bundle of this user opens");
  for (int number = 0; number < 4; ++number) {
    const Lookup found = (*bundle)->get(key_of(number));
    if (found.kind != Lookup::Kind::kHit) continue;
    fuzz::require(encode_entry(found.entry) == good_bytes(number), "a hit is what was stored");
  }
  if (const auto entries = (*bundle)->list(true); entries.ok()) {
    for (const EntryListing& entry : *entries) {
      fuzz::require(entry.lookup.kind != Lookup::Kind::kMiss, "a listed entry is there");
    }
  }
  if (const auto files = (*bundle)->read_signature(); files.ok()) {
    (void)Manifest::from_text(files->manifest).ok();
    (void)check_signature(files->manifest, files->signature).ok();
  }
  fuzz::require(count_things(v1) == before, "a bundle is only read");
  return 0;
}

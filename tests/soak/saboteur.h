// SPDX-License-Identifier: Apache-2.0
// The saboteur: one random misdeed at a time against a cache directory, as a bad disk, an operator
// or another user would do it. Each leaves the directory to its users as it is.
#ifndef RMSJIT_TESTS_SOAK_SABOTEUR_H_
#define RMSJIT_TESTS_SOAK_SABOTEUR_H_

#include <cstdint>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

namespace rmsjit::soak {

struct Misdeeds {
  int64_t damaged = 0, replaced = 0, removed = 0, pruned = 0, cleared = 0, unhinged = 0;
  int64_t total() const { return damaged + replaced + removed + pruned + cleared + unhinged; }
};

class Saboteur {
 public:
  Saboteur(std::vector<std::string> directories, unsigned seed)
      : directories_(std::move(directories)), random_(seed) {}
  void act();
  const Misdeeds& done() const { return done_; }

 private:
  std::string any_entry(const std::string& directory);
  void spoil_bytes(const std::string& path);
  void put_something_else(const std::string& path);
  void unhinge(const std::string& directory);
  void tidy(const std::string& directory, bool everything);
  unsigned pick(unsigned below) { return static_cast<unsigned>(random_() % below); }

  std::vector<std::string> directories_;
  std::minstd_rand random_;
  Misdeeds done_;
};

}  // namespace rmsjit::soak

#endif  // RMSJIT_TESTS_SOAK_SABOTEUR_H_

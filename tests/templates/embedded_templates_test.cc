// SPDX-License-Identifier: Apache-2.0
#include "templates/embedded_templates.h"

#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>

namespace rmsjit {
namespace {

std::string read(const std::string& name) {
  std::ifstream in(std::string(RMSJIT_TEMPLATES_DIR) + "/" + name, std::ios::binary);
  EXPECT_TRUE(in) << name;
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

TEST(EmbeddedTemplates, AreTheFilesByteForByte) {
  for (const EmbeddedFile& file : embedded_templates()) EXPECT_EQ(file.text, read(file.name));
}

TEST(EmbeddedTemplates, BeginWithTheEntries) {
  ASSERT_FALSE(embedded_templates().empty());
  EXPECT_STREQ(embedded_templates()[0].name, "rmsnorm.cu");
}

// NVRTC gets these files, the rendered spec.cuh and no include path.
TEST(EmbeddedTemplates, IncludeOnlyEachOtherAndTheSpec) {
  std::set<std::string> names = {"spec.cuh"};
  for (const EmbeddedFile& file : embedded_templates()) names.insert(file.name);
  const std::regex include("^[ \t]*#[ \t]*include[ \t]*([\"<])([^\">]*)");
  int includes = 0;
  for (const EmbeddedFile& file : embedded_templates()) {
    std::istringstream lines{std::string(file.text)};
    for (std::string line; std::getline(lines, line);) {
      std::smatch match;
      if (!std::regex_search(line, match, include)) continue;
      EXPECT_EQ(match[1], "\"") << file.name << ": " << line;
      EXPECT_EQ(names.count(match[2]), 1u) << file.name << ": " << line;
      ++includes;
    }
  }
  EXPECT_GT(includes, 4);
}

}  // namespace
}  // namespace rmsjit

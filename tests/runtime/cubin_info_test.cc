// SPDX-License-Identifier: Apache-2.0
// On images made here, byte by byte, and damaged in every way; tests/nvrtc compares real cubins
// with what ptxas says of them.
#include "runtime/cubin_info.h"

#include <elf.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>

namespace rmsjit {
namespace {

struct Made {
  std::string name;
  uint32_t type;
  std::string bytes;
  uint64_t size = 0;  // of SHT_NOBITS
  uint32_t link = 0;
};

std::string words(std::initializer_list<uint32_t> values) {
  std::string out;
  for (const uint32_t value : values) out.append(reinterpret_cast<const char*>(&value), 4);
  return out;
}

std::string attribute(uint8_t code, uint32_t symbol, uint32_t value) {
  const unsigned char head[] = {4, code, 8, 0};
  return std::string(reinterpret_cast<const char*>(head), 4) + words({symbol, value});
}

std::string symbol(uint32_t name, unsigned char info, unsigned char other) {
  Elf64_Sym symbol{};
  symbol.st_name = name;
  symbol.st_info = info;
  symbol.st_other = other;
  return std::string(reinterpret_cast<const char*>(&symbol), sizeof symbol);
}

std::string make_elf(uint8_t abi, uint32_t flags, std::vector<Made> sections) {
  std::string names(1, '\0');
  sections.insert(sections.begin(), Made{"", SHT_NULL, ""});
  sections.push_back({".shstrtab", SHT_STRTAB, ""});
  std::vector<Elf64_Shdr> headers;
  for (const Made& section : sections) {
    Elf64_Shdr header{};
    header.sh_name = static_cast<uint32_t>(names.size());
    names += section.name + '\0';
    headers.push_back(header);
  }
  sections.back().bytes = names;
  Elf64_Ehdr elf{};
  std::memcpy(elf.e_ident, ELFMAG, SELFMAG);
  elf.e_ident[EI_CLASS] = ELFCLASS64;
  elf.e_ident[EI_DATA] = ELFDATA2LSB;
  elf.e_ident[EI_ABIVERSION] = abi;
  elf.e_machine = 190;
  elf.e_flags = flags;
  elf.e_shentsize = sizeof(Elf64_Shdr);
  elf.e_shnum = static_cast<uint16_t>(sections.size());
  elf.e_shstrndx = static_cast<uint16_t>(sections.size() - 1);
  std::string body;
  for (size_t i = 0; i < sections.size(); ++i) {
    headers[i].sh_type = sections[i].type;
    headers[i].sh_offset = sizeof elf + body.size();
    headers[i].sh_size =
        sections[i].type == SHT_NOBITS ? sections[i].size : sections[i].bytes.size();
    headers[i].sh_link = sections[i].link;
    body += sections[i].bytes;
  }
  elf.e_shoff = sizeof elf + body.size();
  std::string out(reinterpret_cast<const char*>(&elf), sizeof elf);
  out += body;
  out.append(reinterpret_cast<const char*>(headers.data()), headers.size() * sizeof headers[0]);
  return out;
}

constexpr unsigned char kFunction = (STB_GLOBAL << 4) | STT_FUNC;

// Two kernels, a device function in between, and an attribute of another format.
std::string sample(uint8_t abi, uint32_t flags) {
  const std::string symbols = symbol(0, 0, 0) + symbol(1, kFunction, 0x10) +
                              symbol(5, kFunction, 0) + symbol(9, kFunction, 0x10);
  const std::string info = attribute(0x2f, 3, 72) + std::string("\x03\x1b\xff\x00", 4) +
                           attribute(0x2f, 1, 40) + attribute(0x11, 1, 0) +
                           attribute(0x11, 3, 256) + attribute(0x2f, 2, 255);
  return make_elf(abi, flags,
                  {{".strtab", SHT_STRTAB, std::string("\0one\0dev\0two\0", 13)},
                   {".symtab", SHT_SYMTAB, symbols, 0, 1},
                   {".nv.info", 0x70000000, info},
                   {".nv.shared.two", SHT_NOBITS, "", 1024 + 512},
                   {".note.nv.tkinfo", SHT_NOTE,
                    std::string("ptxas\0tools, release 13.0, V13.0.88\0-arch", 40)}});
}

TEST(CubinInfo, ReadsEveryKernelOfBothAbiVersions) {
  for (const auto& [abi, flags] : {std::pair{8, 0x6005a04u}, std::pair{7, 0x5a055au}}) {
    const auto info = read_cubin(sample(static_cast<uint8_t>(abi), flags));
    ASSERT_TRUE(info.ok()) << info.message();
    EXPECT_EQ(info->sm, 90);
    EXPECT_EQ(info->toolkit, "release 13.0, V13.0.88");
    ASSERT_EQ(info->kernels.size(), 2u);
    EXPECT_EQ(info->kernels[0].name, "one");
    EXPECT_EQ(info->kernels[0].registers, 40);
    EXPECT_EQ(info->kernels[0].stack_bytes, 0);
    EXPECT_EQ(info->kernels[0].shared_bytes, 0);
    EXPECT_EQ(info->kernels[1].registers, 72);
    EXPECT_EQ(info->kernels[1].stack_bytes, 256);
    EXPECT_EQ(info->kernels[1].shared_bytes, 512);
  }
}

TEST(CubinInfo, OnlySm90AndNewerReserveSharedMemory) {
  const auto info = read_cubin(sample(8, 0x6005004));
  ASSERT_TRUE(info.ok()) << info.message();
  EXPECT_EQ(info->sm, 80);
  EXPECT_EQ(info->kernels[1].shared_bytes, 1024 + 512);
}

TEST(CubinInfo, AKernelWithoutItsNumbersIsDamagedNotFree) {
  std::string bytes = sample(8, 0x6005a04);
  const size_t at = bytes.find(attribute(0x11, 3, 256));
  ASSERT_NE(at, std::string::npos);
  bytes[at + 1] = 0x12;
  EXPECT_EQ(read_cubin(bytes).code(), StatusCode::kDamaged);
}

TEST(CubinInfo, AFileCutAnywhereIsDamaged) {
  const std::string whole = sample(8, 0x6005a04);
  for (size_t length = 0; length < whole.size(); ++length) {
    EXPECT_EQ(read_cubin(whole.substr(0, length)).code(), StatusCode::kDamaged) << length;
  }
}

TEST(CubinInfo, AnyByteMayBeAnythingAndIsReadWithinBounds) {
  const std::string whole = sample(8, 0x6005a04);
  for (size_t at = 0; at < whole.size(); ++at) {
    for (const int value : {0, 1, 0x7f, 0x80, 0xff}) {
      std::string bytes = whole;
      bytes[at] = static_cast<char>(value);
      const auto info = read_cubin(bytes);
      EXPECT_TRUE(info.ok() || info.code() == StatusCode::kDamaged) << info.message();
    }
  }
  std::mt19937 random(11);
  for (int round = 0; round < 20000; ++round) {
    std::string bytes = whole;
    for (int i = 0; i < 8; ++i) bytes[random() % bytes.size()] = static_cast<char>(random());
    const auto info = read_cubin(bytes);
    EXPECT_TRUE(info.ok() || info.code() == StatusCode::kDamaged) << info.message();
  }
}

TEST(CheckImage, ACubinServesItsOwnTargetAlone) {
  const std::string bytes = sample(8, 0x6005a04);
  EXPECT_TRUE(check_image({90, false}, bytes).ok());
  const Status other = check_image({80, false}, bytes);
  EXPECT_EQ(other.code(), StatusCode::kDamaged);
  EXPECT_NE(other.message().find("sm_90"), std::string::npos) << other.message();
  EXPECT_EQ(check_image({90, true}, bytes).code(), StatusCode::kDamaged);
}

TEST(CheckImage, HostCodeAndRubbishAreNoImages) {
  std::string bytes = sample(8, 0x6005a04);
  bytes[offsetof(Elf64_Ehdr, e_machine)] = EM_X86_64;
  EXPECT_EQ(check_image({90, false}, bytes).code(), StatusCode::kDamaged);
  EXPECT_EQ(check_image({90, false}, "").code(), StatusCode::kDamaged);
  EXPECT_EQ(check_image({90, false}, std::string(64, '\0')).code(), StatusCode::kDamaged);
}

TEST(CheckImage, PtxNamesItsTarget) {
  const std::string ptx = "// text\n.version 8.0\n.target sm_90\n.address_size 64\n";
  EXPECT_TRUE(check_image({90, true}, ptx).ok());
  EXPECT_EQ(check_image({80, true}, ptx).code(), StatusCode::kDamaged);
  EXPECT_EQ(check_image({90, false}, ptx).code(), StatusCode::kDamaged);
  EXPECT_EQ(check_image({90, true}, ptx + '\0').code(), StatusCode::kDamaged);
}

}  // namespace
}  // namespace rmsjit

// SPDX-License-Identifier: Apache-2.0
// Reading a cubin. It is an ELF64 file of machine 190; ABI version 8 (CUDA 13, and Blackwell in
// 12.8) keeps the architecture in bits 8..15 of e_flags, ABI version 7 in bits 0..7. Per-kernel
// numbers are attributes in .nv.info: records of (format, code, value), where format 4 has a 16-bit
// length and its bytes behind it, and the codes used here hold (symbol index, value).
#include "runtime/cubin_info.h"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "runtime/compiler_errors.h"

namespace rmsjit {
namespace {

constexpr uint16_t kMachineCuda = 190;
constexpr uint8_t kFormatSized = 4;
constexpr uint8_t kAttributeFrameSize = 0x11;
constexpr uint8_t kAttributeRegisters = 0x2f;
constexpr unsigned char kEntryFlag = 0x10;  // st_other of a __global__ function
constexpr int32_t kReservedSharedBytes = 1024;

template <class T>
bool read_at(std::string_view bytes, uint64_t offset, T* out) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return false;
  std::memcpy(out, bytes.data() + offset, sizeof(T));
  return true;
}

std::string_view text_at(std::string_view table, uint64_t offset) {
  if (offset >= table.size()) return {};
  table.remove_prefix(offset);
  return table.substr(0, table.find('\0'));
}

int32_t to_int32(uint64_t value) {
  return static_cast<int32_t>(std::min<uint64_t>(value, INT32_MAX));
}

struct Section {
  Elf64_Shdr header;
  std::string_view name;
  std::string_view bytes;  // empty for SHT_NOBITS
};

class CubinReader {
 public:
  explicit CubinReader(std::string_view bytes) : bytes_(bytes) {}

  Status read_header() {
    if (!read_at(bytes_, 0, &header_) || std::memcmp(header_.e_ident, ELFMAG, SELFMAG) != 0) {
      return cubin_damaged("it does not begin with an ELF header", bytes_.size());
    }
    if (header_.e_ident[EI_CLASS] != ELFCLASS64 || header_.e_ident[EI_DATA] != ELFDATA2LSB) {
      return cubin_damaged("it is not little-endian ELF64, class", header_.e_ident[EI_CLASS]);
    }
    if (header_.e_machine != kMachineCuda) {
      return cubin_damaged("its ELF machine is not 190 but", header_.e_machine);
    }
    const unsigned abi = header_.e_ident[EI_ABIVERSION];
    if (abi != 7 && abi != 8) return cubin_damaged("its ABI version is neither 7 nor 8 but", abi);
    info_.sm = abi == 8 ? (header_.e_flags >> 8) & 0xff : header_.e_flags & 0xff;
    return {};
  }

  Status read_sections() {
    if (header_.e_shentsize != sizeof(Elf64_Shdr)) {
      return cubin_damaged("its section headers have size", header_.e_shentsize);
    }
    sections_.resize(header_.e_shnum);
    for (size_t i = 0; i < sections_.size(); ++i) {
      Section& section = sections_[i];
      const uint64_t offset = header_.e_shoff + i * sizeof(Elf64_Shdr);
      if (header_.e_shoff > bytes_.size() || !read_at(bytes_, offset, &section.header)) {
        return cubin_damaged("it ends inside section header", i);
      }
      const Elf64_Shdr& h = section.header;
      if (h.sh_type == SHT_NOBITS || h.sh_type == SHT_NULL) continue;
      if (h.sh_offset > bytes_.size() || bytes_.size() - h.sh_offset < h.sh_size) {
        return cubin_damaged("it ends inside section", i);
      }
      section.bytes = bytes_.substr(h.sh_offset, h.sh_size);
    }
    if (header_.e_shstrndx >= sections_.size()) {
      return cubin_damaged("it has no section names, their index is", header_.e_shstrndx);
    }
    const std::string_view names = sections_[header_.e_shstrndx].bytes;
    for (Section& section : sections_) section.name = text_at(names, section.header.sh_name);
    return {};
  }

  Status read_kernels() {
    for (const Section& section : sections_) {
      if (section.header.sh_type != SHT_SYMTAB) continue;
      if (section.header.sh_link >= sections_.size()) {
        return cubin_damaged("its symbol table has no names, their index is",
                             section.header.sh_link);
      }
      const std::string_view names = sections_[section.header.sh_link].bytes;
      Elf64_Sym symbol;
      for (uint32_t i = 0; read_at(section.bytes, uint64_t{i} * sizeof symbol, &symbol); ++i) {
        const bool entry = (symbol.st_other & kEntryFlag) != 0;
        if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || !entry) continue;
        kernel_of_symbol_.emplace(i, info_.kernels.size());
        info_.kernels.push_back({std::string(text_at(names, symbol.st_name))});
      }
      break;
    }
    if (info_.kernels.empty()) return cubin_damaged("its number of kernels is", 0);
    return {};
  }

  Status read_attributes() {
    for (const Section& section : sections_) {
      if (section.name == ".nv.info") RMSJIT_RETURN_IF_ERROR(read_info(section.bytes));
      if (section.name == ".note.nv.tkinfo") read_toolkit(section.bytes);
    }
    if (registers_seen_ < info_.kernels.size() || frames_seen_ < info_.kernels.size()) {
      return cubin_damaged("it lacks the registers or the frame size of a kernel; frames known:",
                           frames_seen_);
    }
    std::unordered_map<std::string_view, uint64_t> shared;
    for (const Section& section : sections_) {
      constexpr std::string_view kPrefix = ".nv.shared.";
      if (section.name.substr(0, kPrefix.size()) != kPrefix) continue;
      shared.emplace(section.name.substr(kPrefix.size()), section.header.sh_size);
    }
    for (KernelResources& kernel : info_.kernels) {
      const auto found = shared.find(kernel.name);
      if (found == shared.end()) continue;
      kernel.shared_bytes = to_int32(found->second);
      if (info_.sm >= 90) {
        kernel.shared_bytes = std::max(0, kernel.shared_bytes - kReservedSharedBytes);
      }
    }
    return {};
  }

  CubinInfo take() { return std::move(info_); }

 private:
  Status read_info(std::string_view bytes) {
    uint64_t at = 0;
    while (at < bytes.size()) {
      uint8_t head[2];
      uint16_t value = 0;
      if (!read_at(bytes, at, &head) || !read_at(bytes, at + 2, &value)) {
        return cubin_damaged("its attributes end inside a record at byte", at);
      }
      at += 4;
      if (head[0] != kFormatSized) continue;
      if (bytes.size() - at < value) {
        return cubin_damaged("its attributes end inside a value at byte", at);
      }
      uint32_t pair[2];
      if (value == sizeof pair && read_at(bytes, at, &pair)) store(head[1], pair[0], pair[1]);
      at += value;
    }
    return {};
  }

  void store(uint8_t attribute, uint32_t symbol, uint32_t value) {
    const auto found = kernel_of_symbol_.find(symbol);
    if (found == kernel_of_symbol_.end()) return;
    KernelResources& kernel = info_.kernels[found->second];
    if (attribute == kAttributeRegisters) {
      kernel.registers = to_int32(value);
      ++registers_seen_;
    } else if (attribute == kAttributeFrameSize) {
      kernel.stack_bytes = to_int32(value);
      ++frames_seen_;
    }
  }

  void read_toolkit(std::string_view bytes) {
    const size_t at = bytes.find("release ");
    if (at != std::string_view::npos) info_.toolkit = text_at(bytes, at);
  }

  std::string_view bytes_;
  Elf64_Ehdr header_{};
  std::vector<Section> sections_;
  std::unordered_map<uint32_t, size_t> kernel_of_symbol_;
  size_t registers_seen_ = 0, frames_seen_ = 0;
  CubinInfo info_;
};

}  // namespace

Result<CubinInfo> read_cubin(std::string_view bytes) {
  CubinReader reader(bytes);
  RMSJIT_RETURN_IF_ERROR(reader.read_header());
  RMSJIT_RETURN_IF_ERROR(reader.read_sections());
  RMSJIT_RETURN_IF_ERROR(reader.read_kernels());
  RMSJIT_RETURN_IF_ERROR(reader.read_attributes());
  return reader.take();
}

Status check_image(const Target& target, std::string_view bytes) {
  if (target.ptx) {
    const std::string line = "\n.target sm_" + std::to_string(target.sm) + "\n";
    if (bytes.find(line) == std::string_view::npos || bytes.find('\0') != std::string_view::npos) {
      return image_mismatch(target.name(), "the bytes are not PTX text for it");
    }
    return {};
  }
  CubinReader reader(bytes);
  RMSJIT_RETURN_IF_ERROR(reader.read_header());
  const int sm = reader.take().sm;
  if (sm != target.sm) {
    return image_mismatch(target.name(), "the cubin is for sm_" + std::to_string(sm));
  }
  return {};
}

}  // namespace rmsjit

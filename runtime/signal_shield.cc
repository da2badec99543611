// SPDX-License-Identifier: Apache-2.0
// The import table is found through the library's dynamic section: every relocation that stores the
// address of an undefined symbol names the slot it stores to. A slot on a page that the loader made
// read-only is made writable for the store. Slots are single words and stored to atomically.
#include "runtime/signal_shield.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "runtime/compiler_errors.h"

namespace rmsjit {
namespace {

extern "C" {
int rmsjit_shield_sigaction(int number, const struct sigaction*, struct sigaction* old) {
  return sigaction(number, nullptr, old);
}
sighandler_t rmsjit_shield_signal(int number, sighandler_t) {
  struct sigaction now;
  return sigaction(number, nullptr, &now) == 0 ? now.sa_handler : SIG_ERR;
}
int rmsjit_shield_setrlimit(int, const void*) { return 0; }
}

struct Import {
  const char* name;
  void* replacement;
};
void* address_of(auto function) { return reinterpret_cast<void*>(function); }
// The function to call instead of `name`, or null.
void* replacement_of(const char* name) {
  const Import imports[] = {{"sigaction", address_of(rmsjit_shield_sigaction)},
                            {"__sigaction", address_of(rmsjit_shield_sigaction)},
                            {"signal", address_of(rmsjit_shield_signal)},
                            {"bsd_signal", address_of(rmsjit_shield_signal)},
                            {"__sysv_signal", address_of(rmsjit_shield_signal)},
                            {"sysv_signal", address_of(rmsjit_shield_signal)},
                            {"setrlimit", address_of(rmsjit_shield_setrlimit)},
                            {"setrlimit64", address_of(rmsjit_shield_setrlimit)}};
  for (const Import& import : imports) {
    if (strcmp(name, import.name) == 0) return import.replacement;
  }
  return nullptr;
}

#if defined(__x86_64__)
bool stores_address(uint64_t type) {
  return type == R_X86_64_JUMP_SLOT || type == R_X86_64_GLOB_DAT || type == R_X86_64_64;
}
#elif defined(__aarch64__)
bool stores_address(uint64_t type) {
  return type == R_AARCH64_JUMP_SLOT || type == R_AARCH64_GLOB_DAT || type == R_AARCH64_ABS64;
}
#else
bool stores_address(uint64_t) { return false; }
#endif

// What the dynamic section says of a loaded library.
struct Dynamic {
  uintptr_t base = 0;
  const ElfW(Sym) * symbols = nullptr;
  const char* names = nullptr;
  struct Table {
    const ElfW(Rela) * begin = nullptr;
    size_t bytes = 0;
  };
  Table plt, rest;

  explicit Dynamic(const link_map& map) : base(map.l_addr) {
    for (const ElfW(Dyn)* entry = map.l_ld; entry->d_tag != DT_NULL; ++entry) {
      switch (entry->d_tag) {
        case DT_SYMTAB:
          symbols = at<const ElfW(Sym)*>(entry->d_un.d_ptr);
          break;
        case DT_STRTAB:
          names = at<const char*>(entry->d_un.d_ptr);
          break;
        case DT_JMPREL:
          plt.begin = at<const ElfW(Rela)*>(entry->d_un.d_ptr);
          break;
        case DT_PLTRELSZ:
          plt.bytes = entry->d_un.d_val;
          break;
        case DT_RELA:
          rest.begin = at<const ElfW(Rela)*>(entry->d_un.d_ptr);
          break;
        case DT_RELASZ:
          rest.bytes = entry->d_un.d_val;
          break;
        default:
          break;
      }
    }
  }

 private:
  // glibc has already added the base to these addresses; other loaders leave them as in the file.
  template <class T>
  T at(ElfW(Addr) address) const {
    return reinterpret_cast<T>(address < base ? address + base : address);
  }
};

bool store(void** slot, void* value) {
  if (__atomic_load_n(slot, __ATOMIC_ACQUIRE) == value) return true;
  const uintptr_t page_bytes = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t page = reinterpret_cast<uintptr_t>(slot) & ~(page_bytes - 1);
  void* const address = reinterpret_cast<void*>(page);
  // Left writable: whether the page was read-only before is not known, and asking costs a race
  // with another thread that shields the same library.
  if (mprotect(address, page_bytes, PROT_READ | PROT_WRITE) != 0) return false;
  __atomic_store_n(slot, value, __ATOMIC_RELEASE);
  return true;
}

// False when a slot could not be pointed away.
bool redirect(const Dynamic& dynamic, const Dynamic::Table& table) {
  if (table.begin == nullptr || dynamic.symbols == nullptr || dynamic.names == nullptr) return true;
  for (size_t i = 0; i < table.bytes / sizeof(ElfW(Rela)); ++i) {
    const ElfW(Rela)& relocation = table.begin[i];
    if (!stores_address(ELF64_R_TYPE(relocation.r_info))) continue;
    const ElfW(Sym)& symbol = dynamic.symbols[ELF64_R_SYM(relocation.r_info)];
    if (symbol.st_shndx != SHN_UNDEF) continue;
    void* const replacement = replacement_of(dynamic.names + symbol.st_name);
    if (replacement == nullptr) continue;
    void** slot = reinterpret_cast<void**>(dynamic.base + relocation.r_offset);
    if (!store(slot, replacement)) return false;
  }
  return true;
}

void pin_this_object() {
  Dl_info info{};
  if (dladdr(address_of(&shield_signals), &info) == 0 || info.dli_fname == nullptr) return;
  dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);  // fails for a main program
}

}  // namespace

Status shield_signals(void* handle, const std::string& path) {
  link_map* map = nullptr;
  if (dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0 || map == nullptr) {
    return signals_unshielded(path, "the loader does not say where it is");
  }
  pin_this_object();
  const Dynamic dynamic(*map);
  if (!redirect(dynamic, dynamic.plt) || !redirect(dynamic, dynamic.rest)) {
    return signals_unshielded(path, "its import table is read-only");
  }
  return {};
}

}  // namespace rmsjit

// SPDX-License-Identifier: Apache-2.0
#include "base/code_pages.hpp"

#include <elf.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

namespace culvert {

namespace {

struct Segment {
  std::uintptr_t begin, end;
};

Segment segment_of(const dl_phdr_info& object, const ElfW(Phdr) & header) {
  const std::uintptr_t begin = object.dlpi_addr + header.p_vaddr;
  return {begin, begin + header.p_memsz};
}

bool has(const dl_phdr_info& object, std::uintptr_t address) {
  for (std::size_t i = 0; i < object.dlpi_phnum; ++i) {
    const Segment segment = segment_of(object, object.dlpi_phdr[i]);
    if (object.dlpi_phdr[i].p_type == PT_LOAD && address >= segment.begin && address < segment.end)
      return true;
  }
  return false;
}

// What nobody may write is what the file has.
int unmap_object(dl_phdr_info* object, std::size_t /*size*/, void* around) {
  const auto address = reinterpret_cast<std::uintptr_t>(around);
  if (object->dlpi_addr == ::getauxval(AT_SYSINFO_EHDR)) return 0;  // the kernel's: no file
  if (address != 0 && !has(*object, address)) return 0;
  const std::uintptr_t page = static_cast<std::uintptr_t>(::getpagesize()) - 1;
  for (std::size_t i = 0; i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr)& header = object->dlpi_phdr[i];
    if (header.p_type != PT_LOAD || (header.p_flags & PF_W) != 0) continue;
    const Segment segment = segment_of(*object, header);
    const std::uintptr_t begin = segment.begin & ~page;
    (void)::madvise(reinterpret_cast<void*>(begin), segment.end - begin, MADV_DONTNEED);
  }
  return 0;
}

}  // namespace

void unmap_code(const void* around) { (void)::dl_iterate_phdr(unmap_object, const_cast<void*>(around)); }

}  // namespace culvert

// SPDX-License-Identifier: Apache-2.0
#include "base/code_pages.hpp"

#include <dlfcn.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <ios>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

namespace culvert {
namespace {

struct Mapping {
  std::uintptr_t begin = 0, end = 0;
  std::size_t resident = 0;  // KiB
};

Mapping mapping_of(const void* function) {
  const auto address = reinterpret_cast<std::uintptr_t>(function);
  std::ifstream maps("/proc/self/smaps");
  Mapping found;
  for (std::string line; std::getline(maps, line);) {
    std::istringstream words(line);
    Mapping next;
    char dash = 0;
    if (words >> std::hex >> next.begin >> dash >> next.end && dash == '-') found = next;
    const bool is_it = address >= found.begin && address < found.end;
    if (is_it && line.starts_with("Rss:")) {
      found.resident = std::strtoul(line.c_str() + 4, nullptr, 10);
      return found;
    }
  }
  return {};
}

// All of it is there then.
std::size_t touch(const void* function) {
  const Mapping mapping = mapping_of(function);
  for (std::uintptr_t at = mapping.begin; at < mapping.end; at += 4096)
    (void)*reinterpret_cast<const volatile std::uint8_t*>(at);
  return mapping_of(function).resident;
}

const void* const kOurs = reinterpret_cast<const void*>(&touch);
// Its address in the library: a program at fixed addresses has a place of its own that leads there.
const void* const kTheirs = ::dlsym(RTLD_DEFAULT, "gnu_get_libc_version");

TEST(CodePages, LeaveWhatIsNotNeededAndComeBack) {
  const std::size_t ours = touch(kOurs), theirs = touch(kTheirs);
  ASSERT_GT(ours, 100U);
  ASSERT_GT(theirs, 500U);
  unmap_code();
  EXPECT_LT(mapping_of(kTheirs).resident, theirs / 2);
  unmap_code();
  EXPECT_LT(mapping_of(kOurs).resident, ours);
  EXPECT_EQ(touch(kOurs), ours);
}

TEST(CodePages, OfOneObjectAreThoseThatLeave) {
  const std::size_t ours = touch(kOurs), theirs = touch(kTheirs);
  unmap_code(kTheirs);
  EXPECT_LT(mapping_of(kTheirs).resident, theirs / 2);
  EXPECT_EQ(mapping_of(kOurs).resident, ours);
}

}  // namespace
}  // namespace culvert

// SPDX-License-Identifier: Apache-2.0
// Configuration files of ssh_config(5): text in, lines out, each with the word whether it is for this host.
// What a keyword means is the caller's affair; Host, Match and Include are understood here. The reader
// touches no disk and runs nothing: its hooks do.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "files/config_match.hpp"

namespace culvert::files {

inline constexpr std::size_t kMaxConfigSize = 4u << 20;    ///< bytes of one file
inline constexpr std::size_t kMaxConfigTotal = 16u << 20;  ///< with all that it includes
inline constexpr std::size_t kMaxConfigLine = 64u << 10;   ///< bytes of one line
inline constexpr int kMaxConfigDepth = 16;                 ///< of files that include each other
inline constexpr std::size_t kMaxConfigFiles = 1024;       ///< that one file may include, by whatever way

/// A line that is neither Host nor Match nor Include. Views last for the call.
struct ConfigLine {
  std::string_view file;
  std::size_t number;        ///< from 1
  std::string_view keyword;  ///< in lower case
  std::string_view rest;     ///< never empty
};

class ConfigHooks : public MatchQuestions {
 public:
  /// One line, in order. `active`: it is for this host; otherwise it is only to be checked. Errc::not_found:
  /// there is no such keyword; Errc::unsupported: an error only if active. Reading goes on behind errors,
  /// which are reported and counted.
  virtual Result<void> apply(const ConfigLine& line, bool active) = 0;
  /// As the lines before have made them.
  virtual MatchFacts facts() = 0;
  /// The files that a pattern of Include names, in order; none is no error.
  virtual Result<std::vector<std::string>> find_files(const std::string& pattern) = 0;
  /// The text of an included file, at most kMaxConfigSize. Errc::not_found: it is gone again, which is no
  /// error.
  virtual Result<std::string> read_file(const std::string& path) = 0;
  /// An error of a line, with file and number; what reading returns only counts them.
  virtual void report(std::string_view error) = 0;
};

struct ConfigPass {
  std::string host;            ///< what Host compares with its patterns
  std::string include_folder;  ///< where a relative Include looks
  bool home_allowed = false;   ///< Include may begin with '~': it is the user's file
  bool final_pass = false;     ///< the second reading, for which `canonical` and `final` hold
};

/// Reads one file, whose name is for messages. True: a `Match final` wants a second pass.
[[nodiscard]] Result<bool> read_config(const std::string& file_name, std::string_view text,
                                       const ConfigPass& pass, ConfigHooks& hooks);

}  // namespace culvert::files

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace culvert::net {

/// What a program is started with.
struct Spawn {
  std::string program;                        ///< its path, or a name that is looked for in PATH
  std::vector<std::string> words;             ///< its arguments, its own name first
  int input;                                  ///< becomes its standard input; the caller's own stays open
  int output;                                 ///< becomes its standard output
  std::vector<std::string> environment = {};  ///< "NAME=value"; empty: ours
  bool is_apart = false;  ///< leads a process group of its own, and gets no descriptor but the three
};

/// Starts it beside us, with default signals, none of them blocked, and our standard error. The caller waits
/// for its end. Errc::system, with the cause alone.
[[nodiscard]] Result<pid_t> spawn(Spawn what);

/// Our environment, but for variables that begin with `prefix`.
[[nodiscard]] std::vector<std::string> environment_without(std::string_view prefix);

}  // namespace culvert::net

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace culvert::cli {

/// What settings and plan depend on besides options and files.
struct Environment {
  std::string user = {};  ///< who runs the program; empty: the user id has no name
  std::string uid = {};
  std::string home = {};          ///< $HOME, else of the user database
  std::string host_name = {};     ///< of this machine
  std::string agent_socket = {};  ///< SSH_AUTH_SOCK; empty: none
};

/// Of this process.
[[nodiscard]] Environment read_environment();

}  // namespace culvert::cli

// SPDX-License-Identifier: Apache-2.0
// From what the command line says to all that is known of a host: files of ssh_config(5) fill the gaps.
#pragma once

#include <optional>
#include <string>

#include "base/result.hpp"
#include "cli/endpoint_spec.hpp"
#include "cli/environment.hpp"
#include "cli/machine.hpp"
#include "cli/settings.hpp"

namespace culvert::cli {

/// Which files are read.
struct ConfigFiles {
  std::optional<std::string> chosen = {};  ///< -F: this one alone, or "none"; nothing: those below
  std::string user = {};                   ///< "~/.ssh/config"; only its owner and root may have written it
  std::string system = {};                 ///< "/etc/ssh/ssh_config"
  std::string user_folder = {};            ///< relative paths of Include are relative to it
  std::string system_folder = {};
};

/// ssh's places.
[[nodiscard]] ConfigFiles config_files(const Environment& environment, std::optional<std::string> chosen);

/// `given`, which has a host, and what the files say to it. Afterwards `host_name` is the name or address to
/// connect to. Each error of a file is reported to `machine`; the result only says how many.
[[nodiscard]] Result<Settings> resolve_settings(Settings given, const ConfigFiles& files,
                                                const Environment& environment, Machine& machine);

/// The same for a jump host, about which the command line says no more than how it is called.
[[nodiscard]] Result<Settings> resolve_hop(const Destination& hop, const ConfigFiles& files,
                                           const Environment& environment, Machine& machine);

}  // namespace culvert::cli

// SPDX-License-Identifier: Apache-2.0
// The parts of a word that names listeners and destinations.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "engine/relay/endpoint.hpp"

namespace culvert::cli {

struct Field {
  std::string text;
  bool is_path = false;
};

/// The fields between the ':' of a forward: '[' and ']' enclose an address with colons, '\' takes the next
/// character as it is, and what begins with '/' is a path, or with "~", "%" or "${" if it has one. Malformed
/// brackets are an error; everything else is judged by those who use the fields.
[[nodiscard]] Result<std::vector<Field>> fields_of(std::string_view text);

/// Errc::usage if it does not fit into the address of a socket.
[[nodiscard]] Result<relay::UnixPath> path_of(const Field& field);

/// What is wrong with `text`, which the error quotes.
[[nodiscard]] std::unexpected<Error> wrong(std::string_view text, std::string_view why);

}  // namespace culvert::cli

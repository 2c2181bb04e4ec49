// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace culvert::ssh {

/// Names between commas (RFC 4251 section 5). Views into `list`. Empty names are left out.
[[nodiscard]] std::vector<std::string_view> split_names(std::string_view list);

[[nodiscard]] bool contains_name(std::string_view list, std::string_view name);

/// The first name of `wanted` that `offered` holds too, or an empty view: how RFC 4253 section 7.1 chooses,
/// with the client's list as `wanted`.
[[nodiscard]] std::string_view first_common(std::string_view wanted, std::string_view offered);

[[nodiscard]] std::string join_names(std::span<const std::string> names);

}  // namespace culvert::ssh

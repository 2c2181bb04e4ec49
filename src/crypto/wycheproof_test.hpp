// SPDX-License-Identifier: Apache-2.0
// The test vectors of Project Wycheproof, read at run time from the folder beside the repository.
#pragma once

#include <gtest/gtest.h>

#include <boost/json/value.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.hpp"

namespace culvert::crypto {

/// The parsed file of that name, e.g. "x25519_test.json"; none if the folder of vectors is not there.
[[nodiscard]] std::optional<boost::json::value> load_vectors(std::string_view name);

/// The bytes of a field of hexadecimal digits.
[[nodiscard]] Bytes hex_field(const boost::json::value& object, std::string_view name);
[[nodiscard]] std::string text_field(const boost::json::value& object, std::string_view name);

/// What an entry of a group's "tests" asks for: "valid", "invalid", or "acceptable" (either will do).
enum class Verdict { valid, invalid, acceptable };
[[nodiscard]] Verdict verdict(const boost::json::value& test);

}  // namespace culvert::crypto

/// Binds the file's value to `variable`, or skips the test with the reason.
#define CULVERT_LOAD_VECTORS(variable, name)                                               \
  const auto variable##_file = ::culvert::crypto::load_vectors(name);                      \
  if (!variable##_file)                                                                    \
    GTEST_SKIP() << "no vectors: ../shared/vectors/wycheproof/" << (name) << " is absent"; \
  const ::boost::json::value& variable = *variable##_file

// SPDX-License-Identifier: Apache-2.0
// What a line of the log says a second time, for programs: values with names. An argument of log_event() is
// named once and ends in both, the line and its fields.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

namespace culvert {

/// The fields of one line, in their order.
class LogFields {
 public:
  using Value = std::variant<bool, std::int64_t, std::uint64_t, double, std::string>;

  template <class T>
  void add(std::string name, const T& value) {
    if constexpr (std::convertible_to<const T&, std::string_view>) {
      all_.emplace_back(std::move(name), std::string(std::string_view(value)));
    } else if constexpr (std::same_as<T, bool> || std::floating_point<T>) {
      all_.emplace_back(std::move(name), Value(value));
    } else if constexpr (std::unsigned_integral<T>) {
      all_.emplace_back(std::move(name), static_cast<std::uint64_t>(value));
    } else {
      all_.emplace_back(std::move(name), static_cast<std::int64_t>(value));
    }
  }

  [[nodiscard]] const std::vector<std::pair<std::string, Value>>& all() const { return all_; }

 private:
  std::vector<std::pair<std::string, Value>> all_;
};

/// An argument with a name: formatted as its value, and a field. Lives as long as what it was made from.
template <class T>
struct LogField {
  std::string_view name;
  T value;
  bool is_left_out_if_empty = false;
};

/// A value that is no text, boolean or number says its fields itself:
/// `void add_fields(LogFields&, std::string_view name, const T&)`, beside its fmt::formatter.
/// A type with `void add_fields(LogFields&, const T&)` needs no field() around it: it brings its own names.
template <class T>
[[nodiscard]] auto field(std::string_view name, const T& value) {
  if constexpr (std::convertible_to<const T&, std::string_view>) {
    return LogField<std::string_view>{name, value};
  } else if constexpr (std::is_arithmetic_v<T>) {
    return LogField<T>{name, value};
  } else {
    return LogField<const T&>{name, value};
  }
}

/// A text that is no field while it is empty.
[[nodiscard]] inline LogField<std::string_view> optional_field(std::string_view name, std::string_view text) {
  return {name, text, true};
}

template <class T>
void add_fields(LogFields& fields, const LogField<T>& one) {
  if constexpr (requires { add_fields(fields, one.name, one.value); }) {
    add_fields(fields, one.name, one.value);
  } else if constexpr (std::same_as<T, std::string_view>) {
    if (!one.is_left_out_if_empty || !one.value.empty()) fields.add(std::string(one.name), one.value);
  } else {
    fields.add(std::string(one.name), one.value);
  }
}

/// Fields of whoever gave it, for lines of somebody who does not know them. It is asked if they are wanted,
/// and is nothing in the line.
struct LogContext {
  std::function<void(LogFields&)> add;  ///< may be empty
};

inline void add_fields(LogFields& fields, const LogContext& context) {
  if (context.add) context.add(fields);
}

}  // namespace culvert

template <class T>
struct fmt::formatter<culvert::LogField<T>> : fmt::formatter<std::remove_cvref_t<T>> {
  auto format(const culvert::LogField<T>& field, fmt::format_context& context) const {
    return fmt::formatter<std::remove_cvref_t<T>>::format(field.value, context);
  }
};

template <>
struct fmt::formatter<culvert::LogContext> : fmt::formatter<std::string_view> {
  auto format(const culvert::LogContext&, fmt::format_context& context) const { return context.out(); }
};

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <exception>
#include <expected>
#include <string>
#include <utility>

namespace culvert {

/// Whose fault, and what a caller may do about it. The text of an `Error` is for people; code decides by
/// this.
enum class Errc : std::uint8_t {
  malformed,         ///< bytes or text from outside do not follow their format
  protocol,          ///< well-formed, but not allowed here; `detail` holds an SSH disconnect reason code
  verification,      ///< a signature, tag or host key does not fit
  unsupported,       ///< understood, but we do not do that
  needs_passphrase,  ///< a private key is encrypted and no passphrase was given
  wrong_passphrase,  ///< the passphrase does not open the key
  denied,     ///< the other end, or a rule, refused (authentication, channel open); `detail`: its reason code
  not_found,  ///< file, name or key that does not exist
  limit,      ///< a limit of ours was reached
  timed_out,
  reset,      ///< the connection was reset (pass it on as a reset)
  closed,     ///< the connection ended, or ended too early
  cancelled,  ///< we stopped it ourselves
  system,     ///< the operating system said no; `detail` holds errno
  usage,      ///< the user asked for something that cannot be: flags, files
};

/// One failure. `message` is one line without the program's name and without a full stop; it names the thing,
/// the cause and, where there is one, what to do.
struct Error {
  Errc code;
  std::string message;
  std::int64_t detail = 0;
};

template <class T>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> fail(Errc code, std::string message, std::int64_t detail = 0) {
  return std::unexpected(Error{code, std::move(message), detail});
}

/// What a coroutine or thread was ended by that threw where nothing should: memory ran out. Throws on what is
/// no std::exception.
[[nodiscard]] Error error_of(const std::exception_ptr& exception);

/// What whoever waits is answered with when it is no longer wanted. Nobody reads it.
[[nodiscard]] inline std::unexpected<Error> cancelled() { return fail(Errc::cancelled, "cancelled"); }

/// `fail(Errc::system, "WHAT: strerror(errno_value)")`, with `detail` = errno_value.
[[nodiscard]] std::unexpected<Error> fail_errno(std::string what, int errno_value);

}  // namespace culvert

/// The value of a Result, or leaves the function with its error: `auto key = TRY(parse(text));`
/// In a coroutine: `CO_TRY` (the expression itself must not contain co_await: await into a variable first).
#define TRY(expression) CULVERT_TRY_(return, expression, CULVERT_JOIN_(try_result_, __COUNTER__))
#define CO_TRY(expression) CULVERT_TRY_(co_return, expression, CULVERT_JOIN_(try_result_, __COUNTER__))

#define CULVERT_JOIN_(a, b) CULVERT_JOIN_AGAIN_(a, b)
#define CULVERT_JOIN_AGAIN_(a, b) a##b
#define CULVERT_TRY_(leave, expression, result)                    \
  ({                                                               \
    auto result = (expression);                                    \
    if (!result) leave std::unexpected(std::move(result).error()); \
    std::move(result).value();                                     \
  })

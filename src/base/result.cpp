// SPDX-License-Identifier: Apache-2.0
#include "base/result.hpp"

#include <system_error>

namespace culvert {

std::unexpected<Error> fail_errno(std::string what, int errno_value) {
  what += ": ";
  what += std::generic_category().message(errno_value);
  return fail(Errc::system, std::move(what), errno_value);
}

Error error_of(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const std::exception& error) {
    return {Errc::system, error.what()};
  }
}

}  // namespace culvert

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "base/result.hpp"
#include "base/time.hpp"

namespace culvert::net {

struct ProgramLimits {
  std::size_t output;  ///< bytes
  Duration time;       ///< from its start to its end
};

/// Runs the program words[0], a path, with these words as its arguments and without a shell, and gives what
/// it writes to its standard output until that is closed and it has ended with status 0. Its standard input
/// is empty, its standard error ours. The message of a failure is the cause alone: Errc::system if it cannot
/// be started ("No such file or directory"), Errc::closed ("it exited with status 1", "it was killed by
/// signal 9"), Errc::limit, Errc::timed_out, Errc::cancelled; it is killed then. Obeys Asio cancellation. On
/// an executor of one thread.
[[nodiscard]] boost::asio::awaitable<Result<std::string>> output_of(std::vector<std::string> words,
                                                                    ProgramLimits limits);

}  // namespace culvert::net

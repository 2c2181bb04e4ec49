// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>

#include "base/result.hpp"
#include "net/child.hpp"
#include "net/stream_socket.hpp"

namespace culvert::net {

/// A running program whose standard input and output are one socket of ours.
struct Command {
  StreamSocket socket;
  std::shared_ptr<const Child> program;  ///< it gets SIGHUP when this goes
};

/// Runs `command` with the user's shell ($SHELL, else /bin/sh), which it replaces ("exec"). Standard error
/// stays ours. It is waited for whenever it ends. Errc::system if it cannot be started; that the shell does
/// not find the command shows as the end of the stream.
[[nodiscard]] Result<Command> start_command(const boost::asio::any_io_executor& executor,
                                            const std::string& command);

}  // namespace culvert::net

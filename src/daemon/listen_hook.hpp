// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <boost/asio/any_io_executor.hpp>

#include "engine/relay/endpoint.hpp"

namespace culvert::daemon {

/// Runs `command` with /bin/sh, beside us, for a remote forward that is up: CULVERT_LISTEN_HOST and
/// CULVERT_LISTEN_PORT (or CULVERT_LISTEN_PATH) and CULVERT_DESTINATION say which one. Its standard input is
/// /dev/null. It may outlive us; that it could not be started, or failed, is logged.
void run_listen_hook(const boost::asio::any_io_executor& executor, const std::string& command,
                     const relay::Endpoint& bound, const std::string& destination);

}  // namespace culvert::daemon

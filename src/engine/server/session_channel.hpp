// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "engine/connection/channel_stream.hpp"
#include "engine/relay/line_pace.hpp"
#include "engine/relay/signal.hpp"
#include "engine/server/names.hpp"

namespace culvert::server {

/// A channel of type "session": shows text and runs nothing (RFC 4254 section 6). It stays until the client
/// closes it or types Ctrl-C or Ctrl-D; the end of its input is no reason (ssh -n).
class SessionChannel : public std::enable_shared_from_this<SessionChannel> {
 public:
  /// Accepts the channel. `text`: what is to be shown now; asked again whenever changed() is called. `who`,
  /// `lines`: for the log.
  SessionChannel(std::shared_ptr<connection::SessionDriver> driver, ssh::ChannelId id, ClientName who,
                 std::shared_ptr<relay::LinePace> lines, std::function<std::string()> text);

  /// The client asks for something: a terminal and a shell are granted, and the shell is the text.
  void asked(const ssh::ChannelAsked& request);
  void changed() { changed_.wake(); }

  /// Until the channel is over. Once.
  [[nodiscard]] relay::Task<void> run();

 private:
  [[nodiscard]] relay::Task<void> show();
  [[nodiscard]] relay::Task<void> read();
  [[nodiscard]] relay::Task<bool> write(std::string text);

  const std::shared_ptr<connection::SessionDriver> driver_;
  const ssh::ChannelId id_;
  const ClientName who_;
  const std::shared_ptr<relay::LinePace> lines_;
  const std::function<std::string()> text_;
  connection::ChannelStream stream_;
  relay::Signal changed_;
  bool has_terminal_ = false;
  bool shows_ = false;
  bool over_ = false;
};

}  // namespace culvert::server

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"

namespace culvert::mapper {

/// Whether there is any point in asking a router on: not when it refuses everything, and not when nothing
/// is open for a while, whatever else it says meanwhile. Ports are named by their place.
class Prospects {
 public:
  Prospects(std::size_t ports, Instant begin);

  void opened(std::size_t port);
  void refused(std::size_t port, std::string why);
  /// Why it is open no more: the refusal of its renewal, or that there was no answer to it.
  [[nodiscard]] std::string lost(std::size_t port, Instant now);
  void ended(std::size_t port) { ports_[port].state = State::ended; }

  [[nodiscard]] bool all_ended() const;
  /// None: there is. Otherwise why not, without names.
  [[nodiscard]] std::optional<Error> hopeless(Instant now) const;
  /// When hopeless() may become so by itself.
  [[nodiscard]] Instant deadline() const { return patience_; }

 private:
  enum class State : std::uint8_t { asked, open, refused, ended };
  struct Port {
    State state = State::asked;
    std::string refusal;  // since it was opened
  };
  [[nodiscard]] bool none_is(State state) const;

  std::vector<Port> ports_;
  std::string last_refusal_;
  Instant patience_;
  bool was_open_ = false;
};

}  // namespace culvert::mapper

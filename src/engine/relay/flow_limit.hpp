// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "engine/relay/stream_limit.hpp"
#include "net/descriptor_relief.hpp"

namespace culvert::relay {

/// How many flows the forwards of one thread may have at once: each takes a local port, of which the machine
/// has few. Threads share most of them, and each has some of its own, so that a flood at one port leaves
/// something for those of other threads. All calls on the thread, but those before it runs.
class FlowLimit {
 public:
  /// `shared`: with other threads. `own`: at least 1.
  FlowLimit(StreamLimit shared, std::size_t own) : shared_(std::move(shared)), own_(own) {}

  /// None while all places are taken.
  [[nodiscard]] std::optional<StreamLimit::Place> enter() const;

  /// Who has flows here, one descriptor each, until remove().
  void add(net::DescriptorHolder& forward) { forwards_.push_back(&forward); }
  void remove(net::DescriptorHolder& forward) { std::erase(forwards_, &forward); }
  /// The forward that has most of them gives its oldest up. False: none has any.
  [[nodiscard]] bool make_room();

 private:
  const StreamLimit shared_, own_;
  std::vector<net::DescriptorHolder*> forwards_;
};

}  // namespace culvert::relay

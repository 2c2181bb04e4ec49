// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "base/log.hpp"
#include "base/time.hpp"
#include "engine/relay/source.hpp"

namespace culvert::relay {

/// A stream whose client says something before it can be carried: where it wants to go, or who it is.
class Hearing {
 public:
  virtual ~Hearing() = default;
  /// Reads and, where there is something to say, writes, until that is known. Once. An error: nothing comes
  /// of it, the stream was closed or aborted, and why is for the log.
  [[nodiscard]] virtual Task<Result<std::unique_ptr<Pending>>> hear() = 0;
  /// The stream, by which a client that takes too long is cut off. Asked for before hear() alone; it must
  /// last until that returns.
  [[nodiscard]] virtual Stream& stream() = 0;
  /// Whose it is, for the log.
  [[nodiscard]] virtual const Endpoint& origin() const = 0;
};

struct HearingOptions {
  /// How long a client may take.
  Duration patience = std::chrono::seconds(30);
  /// At most so many that are heard or wait to be asked for. One more pushes out the one who has been heard
  /// for longest; so does a lack of descriptors (net::DescriptorRelief).
  std::size_t limit = 1024;
  /// Of lines about those whom nothing came of. Who left by itself is `verbose`.
  LogLevel level = LogLevel::verbose;
};

/// A source on another source, which hears its clients first. All of them at once, so a silent one holds up
/// no other.
class HearingSource : public Source {
 public:
  /// Takes a pending of the inner source, by accept(), into a hearing; or says why not, and takes nothing.
  using Begin = std::function<Result<std::unique_ptr<Hearing>>(Pending& pending)>;

  HearingSource(std::unique_ptr<Source> inner, Begin begin, HearingOptions options);
  ~HearingSource() override;  ///< stops

  [[nodiscard]] Task<Result<std::unique_ptr<Pending>>> next() override;
  /// Those who are still heard are cut off.
  void stop() override;
  [[nodiscard]] std::string name() const override;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace culvert::relay

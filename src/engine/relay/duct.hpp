// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <expected>
#include <optional>

#include "engine/relay/passage.hpp"
#include "engine/relay/socket_stream.hpp"
#include "net/readiness.hpp"

namespace culvert::relay {

/// One direction between two sockets while it is not bulk. No coroutine: the frames of one that waits would
/// be most of what an idle stream keeps.
class Duct final : private net::Readiness::Waiter {
 public:
  enum class Outcome : std::uint8_t {
    ended,  ///< the source has; to.end() is still to be called
    bulk,   ///< better carried by splice(), or in a turn of its own: nothing is inside
  };
  using Over = std::expected<Outcome, CarryFailure>;
  /// Who is told.
  class Owner {
   public:
    /// May start it again. May come from inside close() and abort() of the streams.
    virtual void came_to(Duct& duct, Over over) = 0;

   protected:
    ~Owner() = default;
  };

  explicit Duct(Owner& owner) : owner_(owner) {}
  Duct(const Duct&) = delete;
  Duct& operator=(const Duct&) = delete;
  ~Duct();  ///< nobody is told

  /// Counts in `passage`. If it is not over at once its owner is told, once. The streams must outlive it.
  [[nodiscard]] std::optional<Over> start(SocketStream& from, SocketStream& to, Passage& passage);

 private:
  void ready() override;
  void cancelled() override;
  void dropped() override { waits_for_ = nullptr; }

  [[nodiscard]] std::optional<Over> carry();
  [[nodiscard]] std::optional<Over> wait(SocketStream& stream, net::StreamSocket::Direction direction);

  SocketStream* from_ = nullptr;
  SocketStream* to_ = nullptr;
  Passage* passage_ = nullptr;
  Owner& owner_;
  SocketStream* waits_for_ = nullptr;
  std::uint8_t bulk_reads_ = 0;
  std::uint8_t reads_in_turn_ = 0;
};

}  // namespace culvert::relay

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "engine/relay/bucket.hpp"
#include "engine/relay/datagram_carrier.hpp"
#include "engine/relay/endpoint.hpp"
#include "engine/relay/refusal.hpp"
#include "engine/relay/stream.hpp"
#include "engine/relay/visit.hpp"

namespace culvert::relay {

/// Of a pending whose client asks and waits for answers (a proxy front's): what it wants, and how it is told.
/// Each tell_...() returns once the stream has taken the answer; an error means that the client is gone.
class Negotiation {
 public:
  virtual ~Negotiation() = default;
  /// To be no stream at all, but to send datagrams to whomever it likes (SOCKS UDP ASSOCIATE). Then
  /// carry_datagrams() is all there is to it.
  [[nodiscard]] virtual bool wants_datagrams() const = 0;
  /// Carries the client's datagrams, both ways, as long as its stream lives, as many as `rates` let pass, and
  /// counts them in `so_far`. An error: it could not begin, and the client waits for refuse(); else it is
  /// over. `carrier` and `so_far` must outlive it. Obeys Asio cancellation.
  [[nodiscard]] virtual Task<Carried> carry_datagrams(DatagramCarrier& carrier, Rates rates,
                                                      CarriedDatagrams& so_far) = 0;
  /// False: to be connected to destination(). True: that somebody there connects to it (SOCKS BIND).
  [[nodiscard]] virtual bool wants_listener() const = 0;

  /// The destination is reached, from `here`; HostPort{} if nobody knows. Then accept().
  [[nodiscard]] virtual Task<Result<void>> tell_connected(const Endpoint& here) = 0;

  /// There is a listener at `where`: zeros are all addresses of this machine, no host is the far end's.
  [[nodiscard]] virtual Task<Result<void>> tell_listening(const Endpoint& where) = 0;
  /// Whether `peer`, who came to it, is who is waited for.
  [[nodiscard]] virtual bool expects(const Endpoint& peer) const = 0;
  /// Who was expected is there. Then accept().
  [[nodiscard]] virtual Task<Result<void>> tell_arrived(const Endpoint& peer) = 0;
  /// While it waits for an answer: returns when the client has left, or after Asio cancellation. What it
  /// sends meanwhile is kept. Who ends its direction before it has said more than what it wants has left.
  [[nodiscard]] virtual Task<void> gone() = 0;
};

class TargetGroup;

/// A stream that somebody wants to have carried. Who that is can be asked until accept() or refuse().
class Pending : public Visit {
 public:
  ~Pending() override = default;  ///< refuses with `closed` if neither was called
  /// Where it wants to go; none if the forward decides (a plain listener).
  [[nodiscard]] virtual const std::optional<Endpoint>& destination() const = 0;
  /// Where several places are as good as destination(): all of them. Null: there is but that one.
  [[nodiscard]] virtual std::shared_ptr<TargetGroup> targets() const { return nullptr; }
  /// How its client is told what becomes of it; null if nobody waits for an answer. As long as this.
  [[nodiscard]] virtual Negotiation* negotiation() { return nullptr; }
  /// Once. The stream may already hold early data.
  [[nodiscard]] virtual std::unique_ptr<Stream> accept() = 0;
  /// Once.
  virtual void refuse(Refusal reason) = 0;
};

/// Where streams come from. Nothing in a source knows which dialer it was given.
class Source {
 public:
  virtual ~Source() = default;
  /// Waits for the next one. Errc::cancelled after stop(); other errors end the source.
  [[nodiscard]] virtual Task<Result<std::unique_ptr<Pending>>> next() = 0;
  /// Takes no more; next() returns.
  virtual void stop() = 0;
  /// "127.0.0.1:15432": where it takes streams from, for people.
  [[nodiscard]] virtual std::string name() const = 0;
};

}  // namespace culvert::relay

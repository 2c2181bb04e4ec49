// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include <boost/asio/ip/udp.hpp>

#include "base/result.hpp"
#include "base/time.hpp"
#include "engine/relay/endpoint.hpp"
#include "engine/relay/judged_connect.hpp"
#include "engine/relay/stream.hpp"
#include "net/resolver.hpp"

namespace culvert::relay {

/// Where the flows of a DatagramForward go. All calls on its thread.
class DatagramTarget {
 public:
  virtual ~DatagramTarget() = default;

  /// Waits until choose() has something fresh to go by, but not for long if it has something old. Asked when
  /// there are no flows, before what came is read: it waits in the socket's buffer. Returns at the latest
  /// when the look-up has an answer, even if that is an error; after stop() or Asio cancellation.
  [[nodiscard]] virtual Task<void> ready() = 0;

  /// Where a new flow of this client goes; without waiting. An error drops the datagram: Errc::denied (a rule
  /// about clients) is counted alone, others have their message in the log now and then. After success comes
  /// ended(), once.
  [[nodiscard]] virtual Result<boost::asio::ip::udp::endpoint> choose(
      const boost::asio::ip::udp::endpoint& client) = 0;

  /// Whether a flow to `target` had better begin anew: that one is known to be down, and another is not.
  /// Asked when its client says something; without waiting.
  [[nodiscard]] virtual bool is_lost(const boost::asio::ip::udp::endpoint& /*target*/) { return false; }

  /// A flow to `target` has its first answer: somebody is there.
  virtual void answered(const boost::asio::ip::udp::endpoint& /*target*/) {}

  enum class End : std::uint8_t {
    expired,  ///< nobody has said anything for long
    refused,  ///< there is nobody at that port, or no way there
    cut,      ///< by us, which says nothing about the target
  };
  /// A flow to `target` is over.
  virtual void ended(const boost::asio::ip::udp::endpoint& target, End how) = 0;

  /// The forward ends: ready() returns, and nothing is looked up any more.
  virtual void stop() = 0;

  /// "10.0.0.5:53": for people.
  [[nodiscard]] virtual std::string name() const = 0;
};

struct ResolvedTargetOptions {
  net::Family family = net::Family::any;
  Duration again = std::chrono::seconds(30);
  /// A client gets an address of its own family or none, since its flow comes from the client's address.
  bool same_family = false;
  /// Says which addresses of a name may be gone to, as judges of dials do. Empty: all.
  ConnectJudge judge = {};
  /// A look-up may keep flows waiting so long if an older answer is there.
  Duration patience = std::chrono::milliseconds(500);
};

/// One host and port. A name is looked up off the loop: before the first flow, then again every `again` as
/// long as there are flows, and when its target refuses. New flows go to the new address, those that live
/// stay where they are. If a name has several addresses, the next one is taken when one refuses. An answer is
/// kept while later look-ups fail, but not if none of its addresses may be gone to any more.
class ResolvedTarget final : public DatagramTarget {
 public:
  /// `resolver` must outlive it.
  ResolvedTarget(HostPort destination, net::Resolver& resolver, ResolvedTargetOptions options = {});
  ~ResolvedTarget() override;

  [[nodiscard]] Task<void> ready() override;
  /// Until one of them is; those that have an error count only if all have. One at a time may wait for a
  /// target.
  [[nodiscard]] static Task<void> any_ready(std::span<const std::unique_ptr<ResolvedTarget>> targets);
  /// It has an address, or an error that says why not.
  [[nodiscard]] bool is_known() const;
  [[nodiscard]] Result<boost::asio::ip::udp::endpoint> choose(
      const boost::asio::ip::udp::endpoint& client) override;
  void ended(const boost::asio::ip::udp::endpoint& target, End how) override;
  void stop() override;
  [[nodiscard]] std::string name() const override;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace culvert::relay

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "crypto/random.hpp"
#include "engine/mapper/port_keeper.hpp"
#include "engine/mapper/upnp_router.hpp"
#include "engine/relay/signal.hpp"

namespace culvert::mapper {

/// Keeps ports open by UPnP: mappings of IPv4, pinholes of IPv6. UPnP tells of nothing by itself: once a
/// minute it looks whether the router still knows one of them, and what its address is. A router that is not
/// where it was is searched for again.
class UpnpKeeper final : public PortKeeper {
 public:
  /// `listener` and `random` must outlive it.
  UpnpKeeper(const net::DefaultRoute& route, std::span<const Port> ports, std::chrono::seconds lifetime,
             crypto::Random& random, KeeperListener& listener, const boost::asio::any_io_executor& executor);

  [[nodiscard]] std::string name() const override;
  [[nodiscard]] relay::Task<Result<void>> run() override;
  void stop() override;
  void abandon() override;
  void refresh() override;

 private:
  struct Held {
    Port port;
    std::optional<UpnpRouter::Mapping> mapping;  // IPv4
    std::optional<UpnpRouter::Mapping> unsure;   // was asked for last, and no answer has come
    std::string pinhole;                         // IPv6
    bool is_open = false;
    Instant renewal = kNever, end = kNever;
  };

  relay::Task<Result<void>> keep();
  relay::Task<void> close_all();
  relay::Task<Result<void>> open(Held& held);
  relay::Task<Result<void>> renew(Held& held);
  /// After stop(). False: the router does not answer.
  relay::Task<bool> close(std::size_t index);
  /// The same of what may have been opened without an answer; before giving up, too.
  relay::Task<bool> close_unsure(std::size_t index);
  /// Opens or renews one, and tells what came of it.
  relay::Task<void> hold(std::size_t index);
  /// Whether the router is as it was. Errors: it is not there.
  relay::Task<Result<void>> look();
  relay::Task<Result<void>> look_at_one();
  void hold_all_again();
  /// `left`: of its time; zero: it has no end.
  void tell_opened(std::size_t index, Duration left);
  void tell_lost(std::size_t index, const std::string& why);
  void tell_taken(std::size_t index);
  [[nodiscard]] std::uint32_t lease() const;
  [[nodiscard]] bool any_open() const;
  [[nodiscard]] Instant next_renewal() const;

  const net::DefaultRoute route_;
  const std::chrono::seconds lifetime_;
  crypto::Random& random_;
  KeeperListener& listener_;
  UpnpRouter router_;
  relay::Signal changed_;
  std::vector<Held> held_;
  IpAddress address_;          // outside
  std::size_t looked_at_ = 0;  // last
  std::optional<Error> last_error_;
  bool stopping_ = false, abandoned_ = false, looks_now_ = false;
  bool is_away_ = false;  // did not answer where it was found
};

}  // namespace culvert::mapper

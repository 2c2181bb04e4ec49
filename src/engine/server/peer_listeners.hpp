// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/connection/session_driver.hpp"
#include "engine/connection/waiter.hpp"
#include "engine/relay/forward.hpp"
#include "engine/relay/line_pace.hpp"
#include "engine/relay/traffic.hpp"
#include "engine/server/client_dialer.hpp"
#include "engine/server/context.hpp"
#include "engine/server/names.hpp"
#include "engine/server/place.hpp"
#include "engine/server/session_handle.hpp"
#include "net/listener.hpp"

namespace culvert::server {

/// Where one client has us listen (tcpip-forward, streamlocal-forward@openssh.com): each request is judged by
/// the rules, answered in order, and what comes is taken to the client. All calls on one thread.
class PeerListeners : public std::enable_shared_from_this<PeerListeners> {
 public:
  /// `owner`: of the places, for whoever wants to take them over. `lines`: about refusals. `changed`: called
  /// whenever lines() are others.
  PeerListeners(std::shared_ptr<Context> context, std::shared_ptr<connection::SessionDriver> driver,
                std::shared_ptr<Permit> permit, ClientName who, std::shared_ptr<const SessionHandle> owner,
                std::shared_ptr<relay::LinePace> lines, std::function<void()> changed);
  ~PeerListeners();
  PeerListeners(const PeerListeners&) = delete;
  PeerListeners& operator=(const PeerListeners&) = delete;

  void asked(ssh::ListenRequested request);
  /// Has another session give way, before the next request is answered: that may be for what it held.
  void replace(std::shared_ptr<const SessionHandle> session);
  /// Answers the requests, until stop(). Once.
  [[nodiscard]] relay::Task<void> run();
  /// The rules have changed: closes the listeners that they no longer grant. Live streams go on.
  void judge_again();
  /// Closes all listeners, and refuses what is still to be answered. Live streams go on.
  void stop();
  /// After stop(): waits for them, for at most `time`.
  [[nodiscard]] relay::Task<void> drain(Duration time);

  /// The executor has stopped for good: lets no coroutine go on.
  void abandon() { arrived_.abandon(); }

  /// One line for each: "127.0.0.1:8080", "0.0.0.0:8080, to be reached at 203.0.113.5:8080". `ours`: an
  /// address of this machine that its clients can reach.
  [[nodiscard]] std::vector<std::string> lines(const boost::asio::ip::address& ours) const;
  /// How many places there are.
  [[nodiscard]] std::size_t count() const { return places_.size(); }
  /// What has come through them, and through those that were closed.
  [[nodiscard]] relay::Traffic traffic() const;

 private:
  struct Listening {
    relay::Endpoint asked;           // in the words of the request, with the port that it got
    bool any_port = false;           // 0 was asked for
    std::vector<std::string> names;  // what is bound: "127.0.0.1:8080", a path
    std::vector<IpAddress> at;       // the addresses of that
    std::optional<Place> taken;      // until it is closed
    std::unique_ptr<ClientDialer> dialer;
    std::unique_ptr<relay::Forward> forward;
  };
  struct Opened {
    std::vector<net::Listener> listeners;
    std::string denied = {};    // why not, for the log
    relay::RuleHint hint = {};  // what would allow it
  };

  [[nodiscard]] relay::Task<void> listen(ssh::ListenRequested request);
  [[nodiscard]] static Opened refused(const files::Decision& decision);
  [[nodiscard]] relay::Task<Opened> open_tcp(ssh::ListenRequested request);
  [[nodiscard]] relay::Task<Opened> open_in_range(std::string host, std::vector<IpAddress> addresses,
                                                  files::PortRange ports);
  [[nodiscard]] Result<std::vector<net::Listener>> listen_on(const std::vector<IpAddress>& addresses,
                                                             std::uint16_t port);
  [[nodiscard]] relay::Task<Opened> open_unix(std::string path);
  [[nodiscard]] relay::Task<bool> taken_over(std::string name);
  void add(const ssh::ListenRequested& request, std::vector<net::Listener> listeners, Place taken);
  [[nodiscard]] bool cancel(const ssh::ListenRequested& request);
  [[nodiscard]] std::optional<std::string> why_withdrawn(const Listening& place) const;
  void close(Listening& place);
  void answer(bool granted, std::uint16_t port);

  const std::shared_ptr<Context> context_;
  const std::shared_ptr<connection::SessionDriver> driver_;
  const std::shared_ptr<Permit> permit_;
  const ClientName who_;
  const std::shared_ptr<const SessionHandle> owner_;
  const std::shared_ptr<relay::LinePace> lines_;
  relay::LinePace opened_lines_{500};  // many may be asked for at once, and closed again
  const std::function<void()> changed_;
  std::shared_ptr<const SessionHandle> replaced_;  // null: nobody has to give way
  std::deque<ssh::ListenRequested> requests_;
  connection::Waiter arrived_;
  std::vector<std::unique_ptr<Listening>> places_, closed_;
  relay::Traffic of_closed_;  // of those that are gone
  bool stopped_ = false;
};

}  // namespace culvert::server

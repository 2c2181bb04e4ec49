// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "engine/connection/session_driver.hpp"
#include "engine/relay/forward.hpp"
#include "engine/relay/line_pace.hpp"
#include "engine/relay/signal.hpp"
#include "engine/server/context.hpp"
#include "engine/server/host_signer.hpp"
#include "engine/server/names.hpp"
#include "engine/server/peer_channels.hpp"
#include "engine/server/peer_listeners.hpp"
#include "engine/server/place.hpp"
#include "engine/server/ruled_dialer.hpp"
#include "engine/server/session_channel.hpp"
#include "engine/server/session_handle.hpp"
#include "net/stream_socket.hpp"

namespace culvert::server {

/// One client of the server, from its connection to its end: who it is, what it may, and the forwards that it
/// has asked for. All calls on the thread of `executor`.
class Peer final : public LiveSession, public std::enable_shared_from_this<Peer> {
 public:
  Peer(std::shared_ptr<Context> context, boost::asio::any_io_executor executor, Guard::Ticket ticket,
       boost::asio::ip::tcp::endpoint from);
  ~Peer() override;

  /// Serves it to its end. Once.
  [[nodiscard]] relay::Task<void> run(net::StreamSocket socket);
  /// Takes no more; live streams may go on for `time`.
  void stop(Duration time);
  /// Ends it without a bad mark, if it has not logged in: there is no room.
  void make_room();
  /// The accounts have changed: ends it if its key does not count any more.
  void accounts_changed();
  /// Once it is logged in: the event "session", what it has carried.
  void tell() const;

  [[nodiscard]] relay::Task<bool> answers(Duration patience) override;
  void give_way() override;

 private:
  void on_event(ssh::Event event);
  void on(ssh::HostSignatureWanted& wanted);
  void on(ssh::KeysAgreed& agreed);
  void on(ssh::UserOffered& offered);
  void on(ssh::Authenticated&);
  void on(ssh::ChannelRequested& requested);
  void on(ssh::ChannelAsked& asked);
  void on(ssh::ListenRequested& requested);
  void on(ssh::HostKeyProofWanted& wanted);
  void on(ssh::InstanceTold& told);
  void on(ssh::GlobalRequested& requested);
  void on(ssh::GlobalReply&);
  void on(ssh::Disconnected& over);
  template <class Event>
  void on(Event&) {}

  [[nodiscard]] Result<void> judge(const ssh::UserOffered& offered);
  void look_for_the_dead(const std::string& identity);
  void open_session(ssh::ChannelId id);
  [[nodiscard]] std::string status_text() const;
  void show_again();
  [[nodiscard]] relay::Task<void> finish();

  const std::shared_ptr<Context> context_;
  const boost::asio::any_io_executor executor_;
  const Guard::Ticket ticket_;
  const boost::asio::ip::tcp::endpoint from_;
  boost::asio::ip::tcp::endpoint reached_at_;  // ours: where the client found us
  const Instant start_ = monotonic_now();
  ClientName who_;
  // About what is refused: whoever is can ask again at once, and fill a disk.
  const std::shared_ptr<relay::LinePace> lines_ = std::make_shared<relay::LinePace>();
  std::shared_ptr<const SessionHandle> handle_;  // once logged in
  std::optional<ssh::InstanceId> instance_;      // if its client told it
  std::string algorithm_;
  std::shared_ptr<HostSigner> signer_;
  std::shared_ptr<connection::SessionDriver> driver_;
  std::shared_ptr<Permit> permit_;
  std::optional<Place> place_;
  bool logged_in_ = false;
  std::optional<Leaving> leaving_;  // decided before the end

  PeerChannels* channels_ = nullptr;  // the direct forward owns it
  std::unique_ptr<RuledDialer> dialer_;
  std::unique_ptr<relay::Forward> direct_;
  std::shared_ptr<PeerListeners> listeners_;
  std::map<ssh::ChannelId, std::weak_ptr<SessionChannel>> sessions_;

  relay::Signal heard_;  // an answer to our question whether it lives
};

}  // namespace culvert::server

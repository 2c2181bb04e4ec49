// SPDX-License-Identifier: Apache-2.0
#include "engine/server/peer.hpp"

#include <algorithm>
#include <ctime>
#include <utility>
#include <variant>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/log.hpp"
#include "base/text.hpp"
#include "engine/connection/socket_carrier.hpp"
#include "net/addresses.hpp"
#include "net/yield.hpp"

namespace culvert::server {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kMostSessionChannels = 8;
constexpr Duration kLookForBytes = std::chrono::milliseconds(100);
constexpr std::string_view kKeepalive = "keepalive@openssh.com";

// Limits are for all sessions together.
void add_limits(std::string& text, const files::Limits& limits, const Usage& usage, std::string_view whose) {
  const auto add = [&](const std::string& line) { text += fmt::format("  {}: {}\n", whose, line); };
  if (limits.max_sessions)
    add(fmt::format("{} of at most {} sessions", usage.sessions.now(), *limits.max_sessions));
  if (limits.max_streams)
    add(fmt::format("{} of at most {} streams", usage.streams.now(), *limits.max_streams));
  if (limits.max_listeners)
    add(fmt::format("{} of at most {} listeners", usage.listeners.now(), *limits.max_listeners));
  if (limits.bytes_per_second_in)
    add(fmt::format("at most {} bytes a second from you", *limits.bytes_per_second_in));
  if (limits.bytes_per_second_out)
    add(fmt::format("at most {} bytes a second to you", *limits.bytes_per_second_out));
  if (limits.quota) add(fmt::format("{} of {} bytes used", usage.bytes.load(), *limits.quota));
  if (limits.until) {
    const auto time = static_cast<std::time_t>(*limits.until);
    std::tm parts{};
    if (::gmtime_r(&time, &parts) != nullptr) add(fmt::format("until {:%Y-%m-%d %H:%M:%S} UTC", parts));
  }
}

}  // namespace

Peer::Peer(std::shared_ptr<Context> context, asio::any_io_executor executor, Guard::Ticket ticket,
           asio::ip::tcp::endpoint from)
    : context_(std::move(context)),
      executor_(std::move(executor)),
      ticket_(ticket),
      from_(std::move(from)),
      who_(from_.address().to_string(), from_.port()),
      signer_(std::make_shared<HostSigner>(context_->host_keys, executor_)),
      heard_(executor_) {}

Peer::~Peer() = default;

relay::Task<void> Peer::run(net::StreamSocket socket) {
  const auto self = shared_from_this();
  co_await net::yield();  // a crowd may have come at once, and who is here waits for one of them
  if (leaving_) {         // before it began
    context_->guard.lock()->ended(ticket_, *leaving_, monotonic_now());
    co_return;
  }
  reached_at_ = net::local_endpoint(socket.native_handle()).value_or(reached_at_);
  ssh::SessionConfig config;
  config.role = ssh::Role::server;
  config.host_keys = context_->host_keys.keys();
  config.host_certificates = context_->host_keys.certificates();
  config.banner = context_->options.banner;
  config.algorithms = context_->options.algorithms;
  config.limits = context_->options.limits;
  config.limits.auth_attempts = context_->options.login_attempts;
  config.timing = context_->options.timing;
  config.timing.handshake = context_->options.login_time;
  driver_ = std::make_shared<connection::SessionDriver>(
      std::make_unique<connection::SocketCarrier>(std::move(socket)), std::move(config), context_->random);
  driver_->start([weak = weak_from_this()](ssh::Event event) {
    if (const auto peer = weak.lock()) peer->on_event(std::move(event));
  });
  const Error end = co_await driver_->over();
  co_await finish();
  const double duration = std::chrono::duration<double>(monotonic_now() - start_).count();
  if (!logged_in_) {
    const auto how = leaving_.value_or(Leaving::without_login);
    context_->guard.lock()->ended(ticket_, how, monotonic_now());
    log_event(how == Leaving::without_login ? LogLevel::verbose : LogLevel::notice, "no_login",
              "{}: no login: {}", who_, field("reason", end.message), field("duration", duration));
    co_return;
  }
  context_->sessions.lock()->leave(handle_);
  place_.reset();
  if (instance_) context_->instances.lock()->leave(handle_, *instance_);
  log_event(LogLevel::notice, "session_ended", "{}: session ended after {:.1f} s: {}", who_,
            field("duration", duration), field("reason", end.message));
}

relay::Task<void> Peer::finish() {
  if (listeners_) listeners_->stop();
  if (direct_) direct_->stop();
  if (direct_) (void)co_await direct_->drain(Duration::zero());
  if (listeners_) co_await listeners_->drain(Duration::zero());
  channels_ = nullptr;
  sessions_.clear();
}

void Peer::stop(Duration time) {
  if (!logged_in_) return make_room();
  if (listeners_) listeners_->stop();
  if (direct_) direct_->stop();
  asio::co_spawn(
      executor_,
      [](std::shared_ptr<Peer> self, Duration left) -> relay::Task<void> {
        const Instant deadline = monotonic_now() + left;
        if (self->direct_) (void)co_await self->direct_->drain(left);
        if (self->listeners_)
          co_await self->listeners_->drain(std::max(Duration::zero(), deadline - monotonic_now()));
        const auto shown = [](const auto& entry) { return !entry.second.expired(); };
        const auto texts = static_cast<std::size_t>(std::ranges::count_if(self->sessions_, shown));
        co_await self->driver_->channels_closed(deadline - monotonic_now(), texts);
        self->driver_->stop("the server stops");
      }(shared_from_this(), time),
      asio::detached);
}

void Peer::make_room() {
  if (logged_in_) return;
  leaving_ = Leaving::quietly;
  if (driver_) driver_->stop("no room");
}

void Peer::accounts_changed() {
  if (!permit_) return;
  context_->accounts.lock()->refresh(*permit_);
  if (permit_->is_revoked) return driver_->stop("the key was revoked");
  if (listeners_) listeners_->judge_again();
}

relay::Task<bool> Peer::answers(Duration patience) {
  return [](std::shared_ptr<Peer> self, Duration left) -> relay::Task<bool> {
    if (self->driver_->is_over()) co_return false;
    const std::uint64_t before = self->driver_->bytes_read();
    const Instant deadline = monotonic_now() + left;
    // One that could not be sent stands behind many to which there is no answer yet: any of them will do.
    self->driver_->session().send_global_request(kKeepalive, {}, true, 0);
    self->driver_->after_command();
    // Whoever sends something lives: behind much of that its answer may be late.
    while (self->driver_->bytes_read() == before && !self->driver_->is_over()) {
      const Duration rest = deadline - monotonic_now();
      if (rest <= Duration::zero()) co_return false;
      co_await self->heard_.wait(std::min(rest, kLookForBytes));
    }
    co_return !self->driver_->is_over();
  }(shared_from_this(), patience);
}

void Peer::give_way() {
  if (listeners_) listeners_->stop();
  driver_->stop("another session took over");
}

void Peer::on_event(ssh::Event event) {
  std::visit([this](auto& one) { on(one); }, event);
}

void Peer::on(ssh::HostSignatureWanted& wanted) {
  signer_->sign(wanted.key, wanted.algorithm, std::move(wanted.message), [this](const Bytes& signature) {
    if (driver_->is_over()) return;
    driver_->session().host_signature(signature);
    driver_->after_command();
  });
}

void Peer::on(ssh::KeysAgreed& agreed) {
  log_event(LogLevel::debug, "keys_agreed", "{}: {}, {}, {}{}", who_,
            field("key_exchange", agreed.key_exchange), field("host_key", agreed.host_key),
            field("cipher", agreed.cipher_in), agreed.first ? "" : ", renewed",
            field("renewed", !agreed.first));
}

void Peer::on(ssh::UserOffered& offered) {
  const auto judged = judge(offered);
  if (!judged) {
    // Clients ask about each of their keys, before they sign with one: of those that are nobody's that says
    // little.
    const bool is_notable = offered.signed_ || judged.error().code != Errc::not_found;
    log_event(is_notable ? LogLevel::notice : LogLevel::verbose, "login_refused",
              "{}: login as {} with {} {} refused: {}", who_, field("user", printable(offered.user, 100)),
              field("key_type", offered.key.type()), field("fingerprint", offered.key.fingerprint()),
              field("reason", judged.error().message), field("signed", offered.signed_));
    if (judged.error().code != Errc::limit) return driver_->session().refuse_user();
    leaving_ = Leaving::quietly;
    return driver_->stop("too many sessions", ssh::Goodbye::too_many_connections);
  }
  driver_->session().accept_user();
}

// Only who has proven to be somebody is let in, or told that there is no room, and may come again.
Result<void> Peer::judge(const ssh::UserOffered& offered) {
  auto permit = TRY(context_->accounts.lock()->judge(
      offered, net::ip_address_of(from_.address()).normalised(), unix_now()));
  if (!offered.signed_) return {};
  context_->accounts.lock()->admit(permit);
  const auto admitted = std::make_shared<Permit>(std::move(permit));
  auto place = Place::of_session(admitted, context_->logged_in, context_->options.sessions);
  if (!place) {
    look_for_the_dead(admitted->identity());
    return std::unexpected(std::move(place).error());
  }
  place_ = *std::move(place);
  permit_ = admitted;
  algorithm_ = offered.certificate ? offered.key.type() + " certificate" : offered.key.type();
  return {};
}

// It may be one of them, that lost its path and comes again.
void Peer::look_for_the_dead(const std::string& identity) {
  const Duration patience = context_->options.takeover_patience;
  auto sessions = context_->sessions.lock()->to_be_asked(identity, monotonic_now(), patience);
  for (auto& session : sessions) {
    asio::co_spawn(
        executor_,
        [](std::shared_ptr<const SessionHandle> asked, Duration left) -> relay::Task<void> {
          if (!co_await asked->answers(left)) co_await asked->give_way();
        }(std::move(session), patience),
        asio::detached);
  }
}

void Peer::on(ssh::Authenticated&) {
  logged_in_ = true;
  context_->guard.lock()->logged_in(ticket_);
  who_.logged_in(permit_->user, permit_->fingerprint);
  handle_ =
      std::make_shared<const SessionHandle>(executor_, weak_from_this(), permit_->identity(), who_.text());
  context_->sessions.lock()->enter(handle_);
  log_event(LogLevel::notice, "login", "{}: logged in with {} {}{}", who_, field("key_type", algorithm_),
            permit_->fingerprint, permit_->key_name.empty() ? "" : fmt::format(" ({})", permit_->key_name),
            optional_field("key_name", permit_->key_name));
  if (context_->host_keys.keys().size() > 1) driver_->session().announce_host_keys();

  listeners_ = std::make_shared<PeerListeners>(context_, driver_, permit_, who_, handle_, lines_,
                                               [weak = weak_from_this()] {
                                                 if (const auto self = weak.lock()) self->show_again();
                                               });
  dialer_ = std::make_unique<RuledDialer>(context_, permit_, who_);
  auto channels = std::make_unique<PeerChannels>(driver_, who_.text());
  channels_ = channels.get();
  direct_ = std::make_unique<relay::Forward>(
      std::move(channels), *dialer_, relay::ForwardOptions{.context = context_of(who_, Direction::direct)});
  // Both hold what they need until they are stopped.
  asio::co_spawn(
      executor_,
      [](std::shared_ptr<Peer> self) -> relay::Task<void> {
        (void)co_await self->direct_->run();
      }(shared_from_this()),
      asio::detached);
  asio::co_spawn(executor_, listeners_->run(), asio::detached);
}

void Peer::on(ssh::ChannelRequested& requested) {
  if (requested.type == "session") return open_session(requested.id);
  if (channels_ != nullptr && channels_->take(requested)) return;
  if (const auto others = lines_->next(monotonic_now()))
    log_event(LogLevel::notice, "channel_refused", "{}: refused a channel of type {}: {}{}", who_,
              field("channel_type", printable(requested.type, 100)),
              field("reason", "this server only forwards"), *others);
  driver_->session().refuse_channel(requested.id, ssh::OpenFailure::unknown_channel_type, "not supported");
}

void Peer::open_session(ssh::ChannelId id) {
  std::erase_if(sessions_, [](const auto& entry) { return entry.second.expired(); });
  if (sessions_.size() >= kMostSessionChannels) {
    return driver_->session().refuse_channel(id, ssh::OpenFailure::resource_shortage, "too many sessions");
  }
  const auto session = std::make_shared<SessionChannel>(driver_, id, who_, lines_, [weak = weak_from_this()] {
    const auto self = weak.lock();
    return self ? self->status_text() : std::string();
  });
  sessions_[id] = session;
  asio::co_spawn(executor_, session->run(), asio::detached);
}

void Peer::show_again() {
  for (const auto& [id, entry] : sessions_)
    if (const auto session = entry.lock()) session->changed();
}

void Peer::on(ssh::ChannelAsked& asked) {
  const auto found = sessions_.find(asked.id);
  const auto session = found == sessions_.end() ? nullptr : found->second.lock();
  if (session) return session->asked(asked);
  if (asked.want_reply) driver_->session().reply_channel(asked.id, false);
}

std::string Peer::status_text() const {
  std::string text = fmt::format("You are {} from {}, with {} {}.\n", permit_->user, who_.place(), algorithm_,
                                 permit_->fingerprint);
  const auto lines =
      listeners_->lines(net::asio_address_of(net::ip_address_of(reached_at_.address()).normalised()));
  for (const std::string& line : lines) text += fmt::format("  listening on {}\n", line);
  if (lines.empty()) text += "  no listeners\n";
  text += fmt::format("  live streams: {}\n", direct_->counters().live + listeners_->traffic().live);
  add_limits(text, permit_->grants.user_limits, *permit_->of_user, "of this user");
  add_limits(text, permit_->grants.key_limits, *permit_->of_key, "of this key");
  return text + "This server only forwards. Ctrl-C ends the session.\n";
}

void Peer::tell() const {
  if (!logged_in_ || driver_->is_over()) return;
  const relay::Traffic direct = relay::traffic_of(direct_->counters()), forwarded = listeners_->traffic();
  log_event(
      LogLevel::notice, "session",
      "{}: session for {:.0f} s: {} listeners, {} streams, {} of them live, {} refused, {} bytes from the "
      "client, {} bytes to it",
      who_, field("duration", std::chrono::duration<double>(monotonic_now() - start_).count()),
      field("listeners", listeners_->count()), field("streams", direct.connections + forwarded.connections),
      field("live", direct.live + forwarded.live), field("refused", direct.refused + forwarded.refused),
      field("bytes_from_client", direct.bytes_to + forwarded.bytes_back),
      field("bytes_to_client", direct.bytes_back + forwarded.bytes_to));
}

void Peer::on(ssh::ListenRequested& requested) {
  if (listeners_) return listeners_->asked(std::move(requested));
  driver_->session().reply_listen(false, 0);
}

void Peer::on(ssh::HostKeyProofWanted& wanted) {
  // There are as many as the server has keys.
  const auto all = std::make_shared<std::vector<Bytes>>();
  const std::size_t count = wanted.keys.size();
  for (std::size_t i = 0; i < count; ++i) {
    signer_->sign(wanted.keys[i], wanted.algorithms[i], std::move(wanted.messages[i]),
                  [this, all, count](Bytes signature) {
                    all->push_back(std::move(signature));
                    if (all->size() < count || driver_->is_over()) return;
                    driver_->session().host_key_proof(*all);
                    driver_->after_command();
                  });
  }
}

// The same run of a client, in a new session.
void Peer::on(ssh::InstanceTold& told) {
  instance_ = told.id;
  const auto before = context_->instances.lock()->enter(handle_, told.id);
  if (!before) return;
  log_event(LogLevel::notice, "session_replaced", "{}: is the same culvert as {}, whose session ends", who_,
            field("replaced", before->name()));
  listeners_->replace(before);
}

void Peer::on(ssh::GlobalRequested& requested) {
  if (requested.want_reply) driver_->session().reply_global(false, {});
}

void Peer::on(ssh::GlobalReply&) { heard_.wake(); }

void Peer::on(ssh::Disconnected& over) {
  signer_->stop();
  if (listeners_) listeners_->stop();
  if (logged_in_ || leaving_) return;
  if (over.error.code == Errc::timed_out) {
    leaving_ = Leaving::too_slow;
  } else if (driver_->session().refused_attempts() > 0) {
    leaving_ = Leaving::refused;
  }
}

}  // namespace culvert::server

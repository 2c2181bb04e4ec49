// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <vector>

#include "base/ip_address.hpp"
#include "base/time.hpp"

namespace culvert::server {

/// How a connection that never logged in came to its end.
enum class Leaving : std::uint8_t {
  quietly,        ///< it did nothing wrong (we stopped, or made room)
  without_login,  ///< it left, or broke the protocol
  refused,        ///< its logins were refused
  too_slow,       ///< its time for the login was over
};

struct GuardOptions {
  std::size_t most = 200;                   ///< connections that have not logged in
  std::size_t most_of_a_source = 20;        ///< of them, from one source
  unsigned prefix_v4 = 32, prefix_v6 = 64;  ///< bits that make two addresses one source
  bool penalties = true;
  Duration for_leaving = std::chrono::seconds(1);
  Duration for_refusals = std::chrono::seconds(5);
  Duration for_slowness = std::chrono::seconds(10);
  Duration enforced_from = std::chrono::seconds(15);  ///< less than this is only remembered
  Duration longest = std::chrono::minutes(10);
  std::size_t most_sources = 65536;    ///< that are remembered; more are let off
  std::vector<IpNetwork> exempt = {};  ///< from limits by source and from penalties
};

/// Who may try to log in (as MaxStartups, PerSourceMaxStartups and PerSourcePenalties of sshd_config(5)):
/// limits on connections before their login, of one source and in all, and a time in which a source that
/// misbehaved is not heard. Knows no clock and no sockets.
class Guard {
 public:
  using Ticket = std::uint64_t;
  enum class Refused : std::uint8_t { no, penalized, too_many_of_source };
  struct Admission {
    Refused refused = Refused::no;
    Ticket ticket = 0;  ///< if not refused
    std::optional<Ticket> leaving =
        {};              ///< the oldest connection without a login has to go, to make room; ended() follows
    Duration penalty{};  ///< how long the source is still not heard, if `penalized`
  };

  explicit Guard(GuardOptions options) : options_(std::move(options)) {}

  /// `from`: none if nobody knows (a proxy that speaks for itself). Limits by source and penalties are then
  /// for nobody, as if it were exempt.
  [[nodiscard]] Admission arrived(const std::optional<IpAddress>& from, Instant now);
  /// It counts no longer. Once for each ticket: this or ended().
  void logged_in(Ticket ticket);
  void ended(Ticket ticket, Leaving how, Instant now);

  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }  ///< connections without a login

 private:
  using Source = std::pair<bool, std::vector<std::uint8_t>>;  // IPv6?, prefix
  struct Waiting {
    Ticket ticket;
    Source source;
    bool exempt;
  };

  [[nodiscard]] Source source_of(const IpAddress& address) const;
  [[nodiscard]] bool is_exempt(const IpAddress& address) const;
  std::optional<Waiting> take(Ticket ticket);
  void punish(const Source& source, Duration time, Instant now);

  const GuardOptions options_;
  Ticket next_ = 1;
  std::list<Waiting> waiting_;  // oldest first
  std::map<Ticket, std::list<Waiting>::iterator> by_ticket_;
  std::map<Source, std::size_t> count_;
  std::map<Source, Instant> penalty_until_;
};

}  // namespace culvert::server

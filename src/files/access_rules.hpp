// SPDX-License-Identifier: Apache-2.0
// Who may connect and listen where: what the rules file and a key's own options grant, and the decisions that
// follow. Pure: the caller resolves names, passes each address, and connects to exactly the one that was
// allowed. Ask again at every open.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip_address.hpp"
#include "base/time.hpp"
#include "crypto/public_key.hpp"
#include "files/authorized_keys.hpp"
#include "files/forward_rule.hpp"

namespace culvert::files {

/// None: no limit.
struct Limits {
  std::optional<std::uint32_t> max_sessions, max_streams, max_listeners;
  std::optional<std::uint64_t> bytes_per_second_in;   ///< what the client sends, all of its streams together
  std::optional<std::uint64_t> bytes_per_second_out;  ///< what it receives
  std::optional<std::uint64_t> quota;                 ///< bytes, both ways together
  std::optional<UnixSeconds> until;                   ///< from then on nothing is granted any more

  [[nodiscard]] bool operator==(const Limits&) const = default;
};

/// The keywords that a user and a key have in common. None: the keyword is not there.
struct RuleSet {
  std::optional<std::vector<ForwardRule>> connect, listen;
  std::optional<std::vector<IpAddress>> listen_default;
  Limits limits;
};

/// One [[user]] of the file.
struct UserRules {
  struct OfKey {
    std::string fingerprint;  ///< "SHA256:..."
    RuleSet rules;
  };
  std::string name;
  std::string authorized_keys;  ///< path; empty: not said
  RuleSet rules;
  std::vector<OfKey> keys;
};

/// How a rule is written that would allow what is denied: `connect = ["db:5432"]`, a line of the rules file,
/// or `--connect 'db:5432'`.
enum class RuleForm : std::uint8_t { line, option };

[[nodiscard]] std::string written_rule(RuleForm form, std::string_view keyword, std::string_view entry);

/// What one session may do.
struct Grants {
  bool port_forwarding = true;  ///< false: nothing, whatever the rules say
  std::vector<ForwardRule> connect, listen;
  /// What a request to listen at "localhost" binds, and one at "" where every address is not granted.
  std::vector<IpAddress> listen_default;
  bool has_listen_default = false;  ///< the file says so: then one at "" binds that in any case
  Limits user_limits;               ///< for all sessions of the user together
  Limits key_limits;                ///< for all sessions of this key together; both hold
  RuleForm form = RuleForm::line;   ///< of Decision::rule

  /// There is nothing that it may do.
  [[nodiscard]] bool are_empty() const;
};

/// What the rules say for the user. What is said for the key itself, by `connect`, `listen` and
/// `listen_default` in the file and by its permitopen and permitlisten, stands in place of that, each kind
/// for itself, but for the user's "!" entries, which stay. `user`: null if the file does not name the user.
/// `options`: after merged(), for a certificate, and `key` is the one that it certifies. Their expiry becomes
/// `until`.
[[nodiscard]] Grants grants_for(const UserRules* user, const crypto::PublicKey& key,
                                const KeyOptions& options);

/// Whether the key has permitopen or permitlisten: more rules for its user would not help it.
[[nodiscard]] bool have_permits(const std::vector<ForwardRule>& rules);

/// What the rules alone grant: each user, and each key that has rules of its own.
[[nodiscard]] std::vector<Grants> all_grants(std::span<const UserRules> users);

/// --allow-all: as sshd does without a configuration, connect anywhere, the own machine too, and listen
/// anywhere; of a key with permitopen or permitlisten only there. Not: link-local and metadata addresses,
/// multicast, Unix sockets. What grants_for() limits and denies stays so.
[[nodiscard]] Grants grants_for_all(const UserRules* user, const crypto::PublicKey& key,
                                    const KeyOptions& options);

struct Decision {
  bool allowed = false;
  std::string reason;  ///< of a denial: one line, printable
  /// Of a denial: what would allow it (RuleForm; an option of the key if that has such); empty if a rule
  /// denies it or none could.
  std::string rule;

  explicit operator bool() const { return allowed; }
};

/// Bytes of a host or an address in a request.
inline constexpr std::size_t kLongestHost = 255;

/// Whether an address, normalised, is one of this machine (net::is_own()).
using IsOwnAddress = bool (*)(const IpAddress&);

/// May it connect to `host` (as requested), which has the address `resolved`? Before a name is resolved, ask
/// with none: allowed then means that it depends on the address, denied that it need not be looked up.
/// Connect to `resolved` as it is. A name with a backslash is none: to
/// a resolver it may be another spelling of a name that the rules deny.
[[nodiscard]] Decision may_connect(const Grants& grants, std::string_view host, std::uint16_t port,
                                   const std::optional<IpAddress>& resolved, IsOwnAddress is_own);

struct ListenDecision : Decision {
  /// What to bind, never empty if allowed; IPv6 ones with IPV6_V6ONLY, or :: would take in IPv4. The first
  /// must succeed, the others where the machine has such an address.
  std::vector<IpAddress> addresses;
  /// The port, or of which range to take one that is free; all ports: let the system choose.
  PortRange ports;
};

/// May it listen at `bind` (as requested, RFC 4254 section 7.1; "*" is every address, as "" may be) and
/// `port` (0: any)? After a request for port 0, ask again for the port that was taken.
[[nodiscard]] ListenDecision may_listen(const Grants& grants, std::string_view bind, std::uint16_t port);

struct PathDecision : Decision {
  std::string path;  ///< the normal form: open this one. That no symbolic link is in it is for the caller
};

[[nodiscard]] PathDecision may_connect_path(const Grants& grants, std::string_view path);
[[nodiscard]] PathDecision may_listen_path(const Grants& grants, std::string_view path);

}  // namespace culvert::files

// SPDX-License-Identifier: Apache-2.0
// The known_hosts format (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"): text in, verdicts on host keys out. What
// counts as known, changed or revoked is what OpenSSH counts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "crypto/certificate.hpp"
#include "crypto/public_key.hpp"
#include "crypto/random.hpp"

namespace culvert::files {

inline constexpr std::size_t kMaxKnownHostsSize = 16u << 20;  ///< bytes of one file

/// Where a line is: for messages ("Offending key in FILE:LINE").
struct FileLine {
  std::string file;
  std::size_t line = 0;  ///< from 1
};

struct HostKeyVerdict {
  enum class Status : std::uint8_t {
    known,    ///< a line holds this key for this host
    unknown,  ///< no line holds a key for this host
    changed,  ///< lines hold keys for this host, of whatever type, but not this one
    revoked,  ///< a @revoked line holds this key for this host
  };
  Status status = Status::unknown;
  FileLine where;  ///< the line that decided; for `changed` one with a key of the same type if there is one
  std::string key_type;  ///< of the key on that line
};

/// Several known_hosts files as one. Immutable after the last add(); then any thread.
class KnownHosts {
 public:
  struct BadLine {
    FileLine where;
    std::string reason;
  };

  /// Takes in one more file. `file_name` is for messages only. Errc::limit if the text is too large; bad
  /// lines are skipped and reported by bad_lines().
  Result<void> add(std::string file_name, std::string text);

  /// Is `key` the key of this host? `host`: a name, or an address without brackets in its shortest form;
  /// compared without regard to case. With another port than 22, "[host]:port" is looked up; if no line has
  /// that, a line for the bare host that holds exactly this key will do, as in OpenSSH. For a HostKeyAlias,
  /// pass it with port 22. Keys on lines for this host that cannot be read are passed over (malformed ones
  /// count as bad lines); keys of types that OpenSSH knows and we don't (ssh-dss, sk-*, short RSA), and
  /// certificates, still make the host a `changed` one. A certificate behind @revoked revokes its key.
  [[nodiscard]] HostKeyVerdict lookup(std::string_view host, std::uint16_t port,
                                      const crypto::PublicKey& key) const;

  /// Does an authority of this host stand behind `certificate`? `known`: a @cert-authority line for the host
  /// holds the one that signed it. `changed`: such lines hold others alone; `unknown`: there is none. Either
  /// is no accusation: the certificate does not count, and its key is looked up as a plain one. `revoked`:
  /// the authority, or the key. With another port than 22, lines for the bare host count if none is for the
  /// port. What the certificate says of itself is not looked at.
  [[nodiscard]] HostKeyVerdict lookup(std::string_view host, std::uint16_t port,
                                      const crypto::Certificate& certificate) const;

  /// The types of the keys that are held for this host and that we support ("ssh-ed25519", "ssh-rsa", ...),
  /// each once, in the order of the lines: a client offers their signature algorithms first, or it may be
  /// shown another key than the known one and take it for a changed one.
  [[nodiscard]] std::vector<std::string> key_types(std::string_view host, std::uint16_t port) const;

  /// A @cert-authority line is for this host, as lookup() of a certificate counts them. Plain keys never
  /// match one.
  [[nodiscard]] bool has_authority(std::string_view host, std::uint16_t port) const;

  /// Lines that make no sense: the first 100 of them. Keys are looked at only on lines that match, so a
  /// damaged key of some other host is not reported.
  [[nodiscard]] const std::vector<BadLine>& bad_lines() const { return bad_lines_; }
  /// The same for this host's own lines: those whose key cannot be read.
  [[nodiscard]] std::vector<BadLine> bad_lines_of(std::string_view host, std::uint16_t port) const;

 private:
  enum class Marker : std::uint8_t { none, revoked, authority };
  struct Line {
    std::uint32_t file;
    std::uint32_t number;
    Marker marker;
    std::string_view hosts, key_type, key_text;  ///< into texts_
  };
  struct Found;

  void add_line(std::uint32_t file, std::uint32_t number, std::string_view text);
  void report(std::uint32_t file, std::uint32_t number, std::string reason);
  [[nodiscard]] FileLine place_of(const Line& line) const;
  [[nodiscard]] Found find(std::string_view name) const;

  std::vector<std::string> file_names_;
  std::vector<std::shared_ptr<const std::string>> texts_;  ///< shared, so that views survive copies and moves
  std::vector<Line> lines_;
  std::vector<BadLine> bad_lines_;
};

/// How a host is named in known_hosts: "host" or "[host]:port", in lower case.
[[nodiscard]] std::string known_hosts_name(std::string_view host, std::uint16_t port);

/// One host under one name: as lookup() takes it.
struct HostName {
  std::string_view host;
  std::uint16_t port;
};

/// What is to be appended, with its line ends, so that this key becomes known for these names, of which there
/// is at least one: a line for all of them. With `hashed`, each is hidden behind a salt from `random`, on a
/// line of its own. Errc::usage for a name that would mean something else in the file (white space, commas,
/// wildcards, control characters).
[[nodiscard]] Result<std::string> format_known_hosts(std::span<const HostName> names,
                                                     const crypto::PublicKey& key, bool hashed,
                                                     crypto::Random& random);

}  // namespace culvert::files

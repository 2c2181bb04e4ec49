// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

#include "crypto/random.hpp"
#include "engine/tunnel/accepted_host.hpp"
#include "engine/tunnel/prompter.hpp"
#include "engine/tunnel/server_options.hpp"
#include "files/known_hosts.hpp"
#include "files/revoked_keys.hpp"
#include "proto/ssh/session.hpp"

namespace culvert::tunnel {

/// Is this the host that the user means? The policy over known_hosts (StrictHostKeyChecking) and
/// RevokedHostKeys, as OpenSSH's client has it.
class HostIdentity {
 public:
  using Endpoint = boost::asio::ip::tcp::endpoint;

  /// Reads the known_hosts files of `options`, where one that is not there holds nothing, and the file of
  /// revoked keys, without which no key is good. `peer`: where the host was reached, if that is known.
  /// `accepted`: by the connection before, and then by this one. The references must outlive it.
  HostIdentity(const ServerOptions& options, std::optional<Endpoint> peer, AcceptedHost& accepted,
               Prompter& prompter, crypto::Random& random);

  /// Where the host was reached, for people.
  [[nodiscard]] const std::string& address() const { return address_; }

  /// Runs KnownHostsCommand, if there is one, for known_first(): call it before. The error's message says
  /// what became of the command; Errc::cancelled. Obeys Asio cancellation.
  [[nodiscard]] relay::Task<Result<void>> prepare();

  /// `wanted` (empty: all host key algorithms) with those first that this host can be known by: certificates
  /// if an authority is held for it, and key types that are held, since another type would look like a
  /// changed key.
  [[nodiscard]] std::vector<std::string> known_first(const std::vector<std::string>& wanted) const;

  /// Errc::verification, with the line for the user, if the key is not to be trusted; Errc::cancelled if the
  /// user gave up. Learns a new key where the policy or the user says so. A certificate that does not count,
  /// for whatever reason, leaves its key, which is then looked at like any other. Before, KnownHostsCommand
  /// is asked about this key: its lines count as one more file; that it failed is another error, as of
  /// prepare(). Where the address is to be checked, too (CheckHostIP), it is looked up in the same way: with
  /// another key it is refused or asked about, and one that is not known is learned. Of a host that was
  /// accepted before, a key that is known nowhere is good if it is the same one, and has changed if not.
  [[nodiscard]] relay::Task<Result<void>> check(ssh::HostKeyOffered offered);

 private:
  /// `reason`: "ORDER", "HOSTNAME" or "ADDRESS"; `name`: what is looked up; no key: not shown yet.
  [[nodiscard]] std::vector<std::string> command_words(std::string_view reason, const std::string& name,
                                                       const ssh::HostKeyOffered* offered) const;
  /// The files, and what the command says.
  [[nodiscard]] relay::Task<Result<files::KnownHosts>> run_command(std::string reason,
                                                                   std::vector<std::string> words);
  [[nodiscard]] bool looks_up_address(const ssh::HostKeyOffered& offered) const;
  [[nodiscard]] Result<void> check_revoked(const ssh::HostKeyOffered& offered) const;
  /// Whether it speaks for this host: then nothing else is asked. Errc::verification if it is revoked.
  [[nodiscard]] Result<bool> speaks_for_host(const crypto::Certificate& certificate);
  void doubt_certificate(std::string why);
  void tell_bad_lines() const;
  /// Errc::verification if nobody says that it may be trusted all the same.
  [[nodiscard]] relay::Task<Result<void>> check_unknown(const crypto::PublicKey& key) const;
  [[nodiscard]] relay::Task<Result<void>> check_address(const crypto::PublicKey& key,
                                                        const files::HostKeyVerdict& found) const;
  [[nodiscard]] Error revoked(const crypto::PublicKey& key, const std::string& name,
                              const files::HostKeyVerdict& found) const;
  [[nodiscard]] Error changed(const crypto::PublicKey& key, const files::HostKeyVerdict& found) const;
  [[nodiscard]] Error changed_since_accepted(const crypto::PublicKey& key) const;
  void warn_of_change(const crypto::PublicKey& key, std::string_view known) const;
  /// Yes or no; `fingerprint`, which may be empty, is a yes, too.
  [[nodiscard]] relay::Task<Result<bool>> ask(std::string question, std::string fingerprint) const;
  void learn(const crypto::PublicKey& key, bool is_new_host) const;

  const ServerOptions& options_;
  AcceptedHost& accepted_;
  Prompter& prompter_;
  crypto::Random& random_;
  std::string host_;  // what is looked up: the alias, if there is one
  std::uint16_t port_;
  std::string name_;  // as known_hosts writes it, printable
  std::optional<Endpoint> peer_;
  std::string address_;  // as known_hosts writes it
  files::KnownHosts from_files_;
  files::KnownHosts known_;                            // with what the command said last
  std::optional<files::HostKeyVerdict> at_address_;    // on the key that is shown; none: not looked up
  bool is_complete_ = true;                            // every file that is there could be read
  std::optional<Result<files::RevokedKeys>> revoked_;  // none: no file is named
  std::string
      bad_certificate_;  // what is wrong with the one that was shown; empty: nothing, or there is none
};

}  // namespace culvert::tunnel

// SPDX-License-Identifier: Apache-2.0
#include "engine/tunnel/host_identity.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <functional>
#include <iterator>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/log.hpp"
#include "base/text.hpp"
#include "crypto/base64.hpp"
#include "crypto/key_algorithms.hpp"
#include "files/known_hosts_file.hpp"
#include "net/program_output.hpp"

namespace culvert::tunnel {
namespace {

constexpr int kQuestionsMost = 10;
constexpr net::ProgramLimits kCommandLimits{.output = files::kMaxKnownHostsSize,
                                            .time = std::chrono::seconds(30)};
// In front of its lines' numbers, as in ssh.
constexpr std::string_view kCommandFile = "KnownHostsCommand-";

std::vector<std::string> with_first(const std::vector<std::string>& names, const auto& is_first) {
  std::vector<std::string> out;
  std::ranges::copy_if(names, std::back_inserter(out), is_first);
  std::ranges::remove_copy_if(names, std::back_inserter(out), is_first);
  return out;
}

}  // namespace

HostIdentity::HostIdentity(const ServerOptions& options, Prompter& prompter, crypto::Random& random)
    : options_(options),
      prompter_(prompter),
      random_(random),
      host_(options.host_key_alias.empty() ? options.host : options.host_key_alias),
      port_(options.host_key_alias.empty() ? options.port : 22),
      name_(printable(files::known_hosts_name(host_, port_))) {
  for (const auto* list : {&options.user_known_hosts, &options.global_known_hosts}) {
    for (const auto& path : *list) {
      auto text = files::read_known_hosts(path);
      if (!text && text.error().code == Errc::not_found) continue;
      const auto added =
          text ? from_files_.add(path, *std::move(text)) : std::unexpected(std::move(text).error());
      if (added) continue;
      log(LogLevel::warning, "{}", added.error().message);
      is_complete_ = false;
    }
  }
  known_ = from_files_;
  if (!options.revoked_host_keys.empty()) revoked_ = files::read_revoked_keys(options.revoked_host_keys);
}

std::vector<std::string> HostIdentity::command_words(std::string_view reason,
                                                     const ssh::HostKeyOffered* offered) const {
  const auto value_of = [&](char token) -> std::string {
    switch (token) {
      case 'H':  // ssh asks for the order by the bare name
        return offered == nullptr ? options_.host : files::known_hosts_name(host_, port_);
      case 'I':
        return std::string(reason);
      case 'K':
        if (offered == nullptr) return "NONE";
        return crypto::base64_encode(offered->certificate ? offered->certificate->blob()
                                                          : offered->key.blob());
      case 'f':
        return offered == nullptr ? "NONE" : offered->key.fingerprint();
      case 't':
        if (offered == nullptr) return "NONE";
        return offered->certificate ? offered->certificate->type() : offered->key.type();
      default:
        return {};
    }
  };
  std::vector<std::string> words;
  for (const CommandWord& pieces : options_.known_hosts_command) {
    std::string word;
    for (const CommandPiece& piece : pieces) word += piece.text + value_of(piece.token);
    words.push_back(std::move(word));
  }
  return words;
}

relay::Task<Result<void>> HostIdentity::run_command(std::string reason, std::vector<std::string> words) {
  const std::string path = printable(words[0]);
  log(LogLevel::verbose, "{}{}: running {} with {} arguments", kCommandFile, reason, path, words.size() - 1);
  auto text = co_await net::output_of(std::move(words), kCommandLimits);
  if (!text && text.error().code == Errc::cancelled) co_return std::unexpected(std::move(text).error());
  if (!text) {
    co_return fail(text.error().code,
                   fmt::format("KnownHostsCommand failed, and without it no host key is good: {}: {}", path,
                               text.error().message));
  }
  known_ = from_files_;
  co_return known_.add(std::string(kCommandFile) + reason, *std::move(text));
}

relay::Task<Result<void>> HostIdentity::prepare() {
  if (options_.known_hosts_command.empty()) co_return Result<void>();
  co_return co_await run_command("ORDER", command_words("ORDER", nullptr));
}

std::vector<std::string> HostIdentity::known_first(const std::vector<std::string>& wanted) const {
  const auto held = known_.key_types(host_, port_);
  const bool has_authority = known_.has_authority(host_, port_);
  const auto is_held = [&](std::string_view name) {
    if (crypto::is_certificate_algorithm(name)) return has_authority;
    return std::ranges::find(held, crypto::key_type_of(name)) != held.end();
  };
  std::vector<std::string> all = wanted;
  if (all.empty()) {
    const auto ours = crypto::host_key_algorithms();
    all.assign(ours.begin(), ours.end());
    // What nobody vouches for is of use only to a server that has nothing else.
    if (!has_authority) all = with_first(all, std::not_fn(crypto::is_certificate_algorithm));
  }
  return with_first(all, is_held);
}

Result<void> HostIdentity::check_revoked(const ssh::HostKeyOffered& offered) const {
  if (!revoked_) return {};
  if (!*revoked_) {
    return fail(Errc::verification,
                fmt::format("Host key verification failed: cannot tell whether the {} host key of {} is "
                            "revoked (RevokedHostKeys): {}",
                            offered.key.short_type(), name_, revoked_->error().message));
  }
  const auto& list = **revoked_;
  const bool is_revoked =
      offered.certificate ? list.revokes(*offered.certificate) : list.revokes(offered.key);
  if (!is_revoked) return {};
  return fail(Errc::verification,
              fmt::format("Host key verification failed: the {} host {} of {}, {}, is revoked by {}",
                          offered.key.short_type(), offered.certificate ? "certificate" : "key", name_,
                          offered.key.fingerprint(), printable(options_.revoked_host_keys)));
}

Result<bool> HostIdentity::speaks_for_host(const crypto::Certificate& certificate) {
  const auto& authority = certificate.authority();
  log(LogLevel::verbose, "server host certificate: {} serial {} id \"{}\" by {}", certificate.type(),
      certificate.serial(), printable(certificate.key_id()), authority.description());
  const auto found = known_.lookup(host_, port_, certificate);
  if (found.status == files::HostKeyVerdict::Status::revoked) {
    return fail(
        Errc::verification,
        fmt::format("Host key verification failed: the host certificate of {}, or its authority {}, is "
                    "revoked by {}:{}",
                    name_, authority.fingerprint(), printable(found.where.file), found.where.line));
  }
  if (found.status != files::HostKeyVerdict::Status::known) {
    log(LogLevel::verbose, "no authority of {} is known that signed it; looking for the key itself", name_);
    return false;
  }
  auto algorithms = options_.authority_signatures;
  if (algorithms.empty()) {
    const auto all = crypto::authority_algorithms();
    algorithms.assign(all.begin(), all.end());
  }
  const auto now = static_cast<std::uint64_t>(std::max<std::time_t>(std::time(nullptr), 0));
  const auto good =
      crypto::check_host_certificate(certificate, files::known_hosts_name(host_, 22), now, algorithms);
  if (!good) {
    bad_certificate_ = good.error().message;
    log(LogLevel::warning, "the host certificate of {} does not count: {}", name_, bad_certificate_);
    return false;
  }
  log(LogLevel::verbose, "host '{}' is known by its certificate, whose authority was found in {}:{}", name_,
      printable(found.where.file), found.where.line);
  return true;
}

relay::Task<Result<void>> HostIdentity::check(ssh::HostKeyOffered offered, std::string address) {
  CO_TRY(check_revoked(offered));
  if (!options_.known_hosts_command.empty()) {
    const auto done = co_await run_command("HOSTNAME", command_words("HOSTNAME", &offered));
    if (!done) co_return done;
  }
  if (offered.certificate && CO_TRY(speaks_for_host(*offered.certificate))) co_return Result<void>();
  const auto found = known_.lookup(host_, port_, offered.key);
  log(LogLevel::verbose, "server host key: {}", offered.key.description());
  switch (found.status) {
    using enum files::HostKeyVerdict::Status;
    case known:
      log(LogLevel::verbose, "host '{}' is known and matches the {} host key, found in {}:{}", name_,
          offered.key.short_type(), printable(found.where.file), found.where.line);
      co_return Result<void>();
    case revoked:
      co_return fail(
          Errc::verification,
          fmt::format("Host key verification failed: the {} host key of {} is revoked by {}:{}",
                      offered.key.short_type(), name_, printable(found.where.file), found.where.line));
    case changed:
      co_return std::unexpected(this->changed(offered.key, found));
    case unknown:
      break;
  }
  co_return co_await check_unknown(offered.key, std::move(address));
}

// StrictHostKeyChecking=no does not help: ssh then logs in, but disables port forwarding, and that is all we
// do.
Error HostIdentity::changed(const crypto::PublicKey& key, const files::HostKeyVerdict& found) const {
  const auto file = printable(found.where.file);
  log(LogLevel::error, "WARNING: THE HOST KEY OF {} HAS CHANGED!", name_);
  log(LogLevel::error, "Either somebody is in between (man in the middle), or the server got a new key.");
  log(LogLevel::error, "It shows {}; known is another key ({}) in {}:{}.", key.description(),
      printable(found.key_type), file, found.where.line);
  if (!found.where.file.starts_with(kCommandFile)) {
    log(LogLevel::error, "If the server's administrator confirms the new one: ssh-keygen -f '{}' -R '{}'",
        file, name_);
  }
  const bool lax = options_.host_key_policy == HostKeyPolicy::no;
  return {Errc::verification,
          fmt::format("Host key verification failed: the {} host key of {} has changed ({}:{}){}",
                      key.short_type(), name_, file, found.where.line,
                      lax ? "; StrictHostKeyChecking=no lets new keys pass, not changed ones" : "")};
}

relay::Task<Result<void>> HostIdentity::check_unknown(const crypto::PublicKey& key, std::string address) {
  const auto refused = [&](std::string_view why) {
    return fail(Errc::verification,
                fmt::format("Host key verification failed: {} is not known by its {} key {}, {}{}", name_,
                            key.short_type(), key.fingerprint(), why,
                            bad_certificate_.empty() ? "" : "; of its certificate: " + bad_certificate_));
  };
  // What could not be read may hold another key of this host, or revoke this one: that is for a person.
  const bool learns =
      options_.host_key_policy == HostKeyPolicy::accept_new || options_.host_key_policy == HostKeyPolicy::no;
  switch (learns && !is_complete_ ? HostKeyPolicy::ask : options_.host_key_policy) {
    case HostKeyPolicy::yes:
      co_return refused("and StrictHostKeyChecking is on: add it to known_hosts first");
    case HostKeyPolicy::ask: {
      if (options_.batch || !prompter_.available()) {
        if (learns) co_return refused("and not all files of known hosts could be read");
        co_return refused(
            "and there is no terminal to ask on: connect once from a terminal, or use "
            "-o StrictHostKeyChecking=accept-new");
      }
      const auto answer = co_await ask(key, std::move(address));
      if (!answer) co_return std::unexpected(answer.error());
      if (!*answer) co_return refused("and you did not accept it");
      break;
    }
    case HostKeyPolicy::accept_new:
    case HostKeyPolicy::no:
      break;
  }
  learn(key);
  co_return Result<void>();
}

relay::Task<Result<bool>> HostIdentity::ask(const crypto::PublicKey& key, std::string address) const {
  std::string question = fmt::format(
      "The authenticity of host '{} ({})' can't be established.\n"
      "{} key fingerprint is {}.\n"
      "Are you sure you want to continue connecting (yes/no/[fingerprint])? ",
      name_, address, key.short_type(), key.fingerprint());
  for (int asked = 0; asked < kQuestionsMost; ++asked) {
    const auto line = co_await prompter_.ask(std::move(question), true);
    if (!line) co_return std::unexpected(line.error());
    const auto answer = trimmed(line->text(), " \t\r\n");
    if (equal_ignoring_case(answer, "yes") || answer == key.fingerprint()) co_return true;
    if (answer.empty() || equal_ignoring_case(answer, "no")) co_return false;
    question = "Please type 'yes', 'no' or the fingerprint: ";
  }
  co_return false;
}

// A key that cannot be written down is used all the same, as in ssh: the user is asked again next time.
void HostIdentity::learn(const crypto::PublicKey& key) const {
  if (options_.user_known_hosts.empty()) return;
  const auto& path = options_.user_known_hosts.front();
  const auto line = files::format_known_hosts_line(host_, port_, key, options_.hash_known_hosts, random_);
  const auto written = line ? files::append_known_hosts(path, *line) : std::unexpected(line.error());
  if (written) {
    log(LogLevel::notice, "Warning: Permanently added '{}' ({}) to the list of known hosts.", name_,
        key.short_type());
  } else {
    log(LogLevel::warning, "cannot add '{}' to the list of known hosts: {}", name_, written.error().message);
  }
}

}  // namespace culvert::tunnel

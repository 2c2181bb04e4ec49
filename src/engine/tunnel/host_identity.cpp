// SPDX-License-Identifier: Apache-2.0
#include "engine/tunnel/host_identity.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <functional>
#include <iterator>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

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

HostIdentity::HostIdentity(const ServerOptions& options, std::optional<Endpoint> peer, AcceptedHost& accepted,
                           Prompter& prompter, crypto::Random& random)
    : options_(options),
      accepted_(accepted),
      prompter_(prompter),
      random_(random),
      host_(options.host_key_alias.empty() ? options.host : options.host_key_alias),
      port_(options.host_key_alias.empty() ? options.port : 22),
      name_(printable(files::known_hosts_name(host_, port_))),
      peer_(peer),
      address_(peer ? files::known_hosts_name(peer->address().to_string(), peer->port())
                    : "no address known") {
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
  if (log_enabled(LogLevel::verbose)) tell_bad_lines();  // to find them takes as long as a look-up
  known_ = from_files_;
  if (!options.revoked_host_keys.empty())
    revoked_ = files::read_revoked_keys(options.revoked_host_keys, files::OwnerCheck::skip,
                                        files::open_without_waiting);
}

std::vector<std::string> HostIdentity::command_words(std::string_view reason, const std::string& name,
                                                     const ssh::HostKeyOffered* offered) const {
  const auto value_of = [&](char token) -> std::string {
    switch (token) {
      case 'H':
        return name;
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

relay::Task<Result<files::KnownHosts>> HostIdentity::run_command(std::string reason,
                                                                 std::vector<std::string> words) {
  const std::string path = printable(words[0]);
  log(LogLevel::verbose, "{}{}: running {} with {} arguments", kCommandFile, reason, path, words.size() - 1);
  auto text = co_await net::output_of(std::move(words), kCommandLimits);
  if (!text && text.error().code == Errc::cancelled) co_return std::unexpected(std::move(text).error());
  if (!text) {
    co_return fail(text.error().code,
                   fmt::format("KnownHostsCommand failed, and without it no host key is good: {}: {}", path,
                               text.error().message));
  }
  auto all = from_files_;
  CO_TRY(all.add(std::string(kCommandFile) + reason, *std::move(text)));
  co_return all;
}

relay::Task<Result<void>> HostIdentity::prepare() {
  if (options_.known_hosts_command.empty()) co_return Result<void>();
  // ssh asks for the order by the bare name.
  auto known = co_await run_command("ORDER", command_words("ORDER", options_.host, nullptr));
  known_ = CO_TRY(std::move(known));
  co_return Result<void>();
}

std::vector<std::string> HostIdentity::known_first(const std::vector<std::string>& wanted) const {
  auto held = known_.key_types(host_, port_);
  if (accepted_.key) held.push_back(accepted_.key->type());
  const bool has_authority = accepted_.authority || known_.has_authority(host_, port_);
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
  const bool is_known = found.status == files::HostKeyVerdict::Status::known;
  if (!is_known && !(accepted_.authority && *accepted_.authority == authority)) {
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
    doubt_certificate(good.error().message);
    return false;
  }
  if (is_known) {
    log(LogLevel::verbose, "host '{}' is known by its certificate, whose authority was found in {}:{}", name_,
        printable(found.where.file), found.where.line);
  } else {
    log(LogLevel::verbose, "host '{}' is known by its certificate, whose authority was accepted before",
        name_);
  }
  return true;
}

void HostIdentity::tell_bad_lines() const {
  for (const auto& bad : {from_files_.bad_lines(), from_files_.bad_lines_of(host_, port_)}) {
    for (const auto& [where, reason] : bad)
      log(LogLevel::verbose, "{}:{}: {}; the line is passed over", printable(where.file), where.line, reason);
  }
}

void HostIdentity::doubt_certificate(std::string why) {
  bad_certificate_ = std::move(why);
  log(LogLevel::warning, "the host certificate of {} does not count: {}", name_, bad_certificate_);
}

// As in ssh: only where we connect ourselves, to a name, and not to loopback, which is everybody's address.
bool HostIdentity::looks_up_address(const ssh::HostKeyOffered& offered) const {
  return options_.check_address && peer_ && !peer_->address().is_loopback() &&
         std::holds_alternative<std::monostate>(options_.way) && !offered.certificate &&
         !equal_ignoring_case(options_.host, peer_->address().to_string());
}

relay::Task<Result<void>> HostIdentity::check(ssh::HostKeyOffered offered) {
  CO_TRY(check_revoked(offered));
  const bool has_command = !options_.known_hosts_command.empty();
  if (has_command) {
    auto words = command_words("HOSTNAME", files::known_hosts_name(host_, port_), &offered);
    auto known = co_await run_command("HOSTNAME", std::move(words));
    known_ = CO_TRY(std::move(known));
  }
  if (looks_up_address(offered)) {
    Result<files::KnownHosts> known = from_files_;
    if (has_command) known = co_await run_command("ADDRESS", command_words("ADDRESS", address_, &offered));
    at_address_ = CO_TRY(std::move(known)).lookup(peer_->address().to_string(), peer_->port(), offered.key);
  }
  if (!offered.certificate_fault.empty()) doubt_certificate(offered.certificate_fault);
  if (offered.certificate && CO_TRY(speaks_for_host(*offered.certificate))) {
    accepted_ = {offered.key, offered.certificate->authority()};
    co_return Result<void>();
  }
  const auto found = known_.lookup(host_, port_, offered.key);
  log(LogLevel::verbose, "server host key: {}", offered.key.description());
  switch (found.status) {
    using enum files::HostKeyVerdict::Status;
    case known:
      log(LogLevel::verbose, "host '{}' is known and matches the {} host key, found in {}:{}", name_,
          offered.key.short_type(), printable(found.where.file), found.where.line);
      break;
    case revoked:
      co_return std::unexpected(this->revoked(offered.key, name_, found));
    case changed:
      co_return std::unexpected(this->changed(offered.key, found));
    case unknown:
      if (accepted_.key) {
        if (!(*accepted_.key == offered.key)) co_return std::unexpected(changed_since_accepted(offered.key));
        log(LogLevel::verbose, "host '{}' matches the {} host key that was accepted before", name_,
            offered.key.short_type());
      } else if (auto done = co_await check_unknown(offered.key); !done) {
        co_return done;
      }
      break;
  }
  if (auto done = co_await check_address(offered.key, found); !done) co_return done;
  learn(offered.key, found.status == files::HostKeyVerdict::Status::unknown && !accepted_.key);
  accepted_ = {offered.key, std::nullopt};
  co_return Result<void>();
}

Error HostIdentity::revoked(const crypto::PublicKey& key, const std::string& name,
                            const files::HostKeyVerdict& found) const {
  return {Errc::verification,
          fmt::format("Host key verification failed: the {} host key of {} is revoked by {}:{}",
                      key.short_type(), name, printable(found.where.file), found.where.line)};
}

// StrictHostKeyChecking=no does not help: ssh then logs in, but disables port forwarding, and that is all we
// do.
Error HostIdentity::changed(const crypto::PublicKey& key, const files::HostKeyVerdict& found) const {
  const auto file = printable(found.where.file);
  warn_of_change(key, fmt::format("known is another key ({}) in {}:{}", printable(found.key_type), file,
                                  found.where.line));
  if (!found.where.file.starts_with(kCommandFile)) {
    log(LogLevel::error, "If the server's administrator confirms the new one: ssh-keygen -f '{}' -R '{}'",
        file, name_);
  }
  if (at_address_ && at_address_->status != files::HostKeyVerdict::Status::changed) {
    const bool is_known = at_address_->status == files::HostKeyVerdict::Status::known;
    log(LogLevel::error,
        "For its address {} this key is {}: the name may lead to another machine (DNS spoofing), or the host "
        "has got a new address and a new key.",
        address_, is_known ? "the known one" : "not known");
  }
  const bool lax = options_.host_key_policy == HostKeyPolicy::no;
  return {Errc::verification,
          fmt::format("Host key verification failed: the {} host key of {} has changed ({}:{}){}",
                      key.short_type(), name_, file, found.where.line,
                      lax ? "; StrictHostKeyChecking=no lets new keys pass, not changed ones" : "")};
}

Error HostIdentity::changed_since_accepted(const crypto::PublicKey& key) const {
  warn_of_change(key, fmt::format("at the connection before it was {}", accepted_.key->description()));
  return {Errc::verification,
          fmt::format("Host key verification failed: the {} host key of {} has changed since the connection "
                      "before, and no file of known hosts has the new one",
                      key.short_type(), name_)};
}

void HostIdentity::warn_of_change(const crypto::PublicKey& key, std::string_view known) const {
  log(LogLevel::error, "WARNING: THE HOST KEY OF {} HAS CHANGED!", name_);
  log(LogLevel::error, "Either somebody is in between (man in the middle), or the server got a new key.");
  log(LogLevel::error, "It shows {}; {}.", key.description(), known);
}

relay::Task<Result<void>> HostIdentity::check_unknown(const crypto::PublicKey& key) const {
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
      auto question = fmt::format(
          "The authenticity of host '{} ({})' can't be established.\n"
          "{} key fingerprint is {}.\n"
          "Are you sure you want to continue connecting (yes/no/[fingerprint])? ",
          name_, address_, key.short_type(), key.fingerprint());
      const auto agreed = co_await ask(std::move(question), key.fingerprint());
      if (!agreed) co_return std::unexpected(agreed.error());
      if (!*agreed) co_return refused("and you did not accept it");
      break;
    }
    case HostKeyPolicy::accept_new:
    case HostKeyPolicy::no:
      break;
  }
  co_return Result<void>();
}

// The name's verdict is good. A key that is revoked for the address alone passes with ssh, and not here.
relay::Task<Result<void>> HostIdentity::check_address(const crypto::PublicKey& key,
                                                      const files::HostKeyVerdict& found) const {
  using enum files::HostKeyVerdict::Status;
  if (!at_address_) co_return Result<void>();
  if (at_address_->status == revoked) co_return std::unexpected(this->revoked(key, address_, *at_address_));
  if (at_address_->status != changed) co_return Result<void>();
  const auto warning =
      fmt::format("the {} host key of {} differs from that of its address {} ({}:{})", key.short_type(),
                  name_, address_, printable(at_address_->where.file), at_address_->where.line);
  if (options_.host_key_policy == HostKeyPolicy::no) {
    log(LogLevel::warning, "Warning: {}", warning);
    co_return Result<void>();
  }
  const bool may_ask =
      options_.host_key_policy == HostKeyPolicy::ask && !options_.batch && prompter_.available();
  if (may_ask) {
    auto question = fmt::format("Warning: {}\n", warning);
    if (found.status == known)
      question += fmt::format("Matching host key in {}:{}\n", printable(found.where.file), found.where.line);
    question += "Are you sure you want to continue connecting (yes/no)? ";
    const auto agreed = co_await ask(std::move(question), {});
    if (!agreed) co_return std::unexpected(agreed.error());
    if (*agreed) co_return Result<void>();
  }
  co_return fail(
      Errc::verification,
      fmt::format("Host key verification failed: {}: if the address has gone from one host to another, "
                  "remove it: ssh-keygen -R '{}'",
                  warning, address_));
}

relay::Task<Result<bool>> HostIdentity::ask(std::string question, std::string fingerprint) const {
  for (int asked = 0; asked < kQuestionsMost; ++asked) {
    const auto line = co_await prompter_.ask(std::move(question), true);
    if (!line) co_return std::unexpected(line.error());
    const auto answer = trimmed(line->text(), " \t\r\n");
    if (equal_ignoring_case(answer, "yes") || (!answer.empty() && answer == fingerprint)) co_return true;
    if (answer.empty() || equal_ignoring_case(answer, "no")) co_return false;
    question =
        fingerprint.empty() ? "Please type 'yes' or 'no': " : "Please type 'yes', 'no' or the fingerprint: ";
  }
  co_return false;
}

// A key that cannot be written down is used all the same, as in ssh: the user is asked again next time. Of an
// address that nobody was asked about, files that could not be read may say something else.
void HostIdentity::learn(const crypto::PublicKey& key, bool is_new_host) const {
  if (options_.user_known_hosts.empty()) return;
  const bool is_new_address =
      at_address_ && at_address_->status == files::HostKeyVerdict::Status::unknown && is_complete_;
  const std::string address = peer_ ? peer_->address().to_string() : "";
  std::vector<files::HostName> names;
  std::vector<std::string> shown;
  if (is_new_host) {
    names.push_back({host_, port_});
    shown.push_back(name_);
  }
  if (is_new_address) {
    names.push_back({address, peer_->port()});
    shown.push_back(address_);
  }
  if (names.empty()) return;
  const auto lines = files::format_known_hosts(names, key, options_.hash_known_hosts, random_);
  const auto written = lines ? files::append_known_hosts(options_.user_known_hosts.front(), *lines)
                             : std::unexpected(lines.error());
  const auto all = fmt::format("{}", fmt::join(shown, ","));
  if (written) {
    log(LogLevel::notice, "Warning: Permanently added '{}' ({}) to the list of known hosts.", all,
        key.short_type());
  } else {
    log(LogLevel::warning, "cannot add '{}' to the list of known hosts: {}", all, written.error().message);
  }
}

}  // namespace culvert::tunnel

// SPDX-License-Identifier: Apache-2.0
#include "engine/tunnel/authenticator.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/log.hpp"
#include "base/text.hpp"
#include "crypto/key_algorithms.hpp"

namespace culvert::tunnel {
namespace {

constexpr int kPassphraseTries = 3;

bool contains(const std::vector<std::string>& list, std::string_view item) {
  return std::ranges::find(list, item) != list.end();
}

// The next line of it, made fit for a terminal, and whether a line end was behind it.
std::pair<std::string, bool> take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return {printable(line), end != std::string_view::npos};
}

// Text of several lines, the line ends kept.
std::string printable_lines(std::string_view text) {
  std::string lines;
  while (!text.empty()) {
    const auto [line, is_ended] = take_line(text);
    lines += line;
    if (is_ended) lines += '\n';
  }
  return lines;
}

}  // namespace

void show_text(std::string_view text) {
  while (!text.empty()) log(LogLevel::notice, "{}", take_line(text).first);
}

Authenticator::Authenticator(const ServerOptions& options, Identities& identities,
                             std::unique_ptr<Agent> agent, Prompter& prompter)
    : options_(options),
      identities_(identities),
      agent_(std::move(agent)),
      prompter_(prompter),
      account_(printable(fmt::format("{}@{}", options.user, options.host))) {}

void Authenticator::prepare() {
  if (options_.allow_public_key) identities_.load(options_);
}

relay::Task<void> Authenticator::enter(ssh::SessionBinding binding) {
  if (!options_.allow_public_key) co_return;
  std::vector<ssh::AgentIdentity> held;
  if (agent_ != nullptr) held = co_await ask_agent(std::move(binding));
  line_up(held);
  for (const auto& candidate : candidates_)
    log(LogLevel::verbose, "will try key: {} {}", candidate.name, description(candidate));
}

relay::Task<std::vector<ssh::AgentIdentity>> Authenticator::ask_agent(ssh::SessionBinding binding) {
  // Before it lists: a key that is for other hosts is not even shown then.
  const auto bound = co_await agent_->bind(std::move(binding));
  if (!bound) log(LogLevel::debug, "the agent was not bound to the session: {}", bound.error().message);
  // One that hangs is not waited for twice.
  const bool hangs = !bound && bound.error().code == Errc::timed_out;
  auto held = hangs ? std::unexpected(bound.error()) : co_await agent_->list();
  if (held) co_return *std::move(held);
  log(LogLevel::verbose, "the agent does not answer: {}", held.error().message);
  co_return std::vector<ssh::AgentIdentity>();
}

// Each file, and behind it the certificate beside it.
std::vector<Authenticator::Candidate> Authenticator::from_files() const {
  std::vector<Candidate> files;
  const auto add_certificate = [&](const LoadedCertificate& loaded) {
    files.push_back({loaded.certificate.key(), loaded.certificate, {}, nullptr, loaded.path});
  };
  const bool are_beside = options_.certificate_files.empty();
  for (const auto& file : identities_.files()) {
    files.push_back({file->public_key(), {}, {}, file, file->path()});
    for (const auto& loaded : identities_.certificates()) {
      if (are_beside && loaded.path == file->path() + "-cert.pub") add_certificate(loaded);
    }
  }
  return files;
}

// A certificate needs a key that signs: one that the agent holds, or one of our files.
bool Authenticator::find_signer(Candidate& candidate, const std::vector<ssh::AgentIdentity>& held) const {
  const auto& certificate = *candidate.certificate;
  const auto in_agent = std::ranges::find_if(held, [&](const ssh::AgentIdentity& identity) {
    return identity.certificate ? *identity.certificate == certificate : identity.key == certificate.key();
  });
  if (in_agent != held.end()) {
    candidate.in_agent = *in_agent;
    return true;
  }
  const auto& files = identities_.files();
  const auto file = std::ranges::find_if(files, [&](const auto& one) {
    const bool fits = one->public_key() ? *one->public_key() == certificate.key()
                                        : candidate.name == one->path() + "-cert.pub";
    return one->has_private_key() && fits;
  });
  if (file == files.end()) return false;
  candidate.file = *file;
  return true;
}

// OpenSSH's order: certificates that were asked for, keys in the agent that a file names, other keys in the
// agent, then files.
void Authenticator::line_up(const std::vector<ssh::AgentIdentity>& held) {
  auto files = from_files();
  std::vector<Candidate> all;
  if (!options_.certificate_files.empty()) {
    for (const auto& loaded : identities_.certificates())
      all.push_back({loaded.certificate.key(), loaded.certificate, {}, nullptr, loaded.path});
  }
  std::vector<Candidate> others;
  for (const auto& identity : held) {
    const auto named = std::ranges::find_if(files, [&](const Candidate& file) {
      return file.key && *file.key == identity.key && file.certificate == identity.certificate;
    });
    if (named != files.end()) {
      all.push_back({identity.key, identity.certificate, identity, nullptr, named->name});
      files.erase(named);
    } else if (!options_.identities_only) {
      others.push_back({identity.key, identity.certificate, identity, nullptr, printable(identity.comment)});
    }
  }
  std::ranges::move(others, std::back_inserter(all));
  std::ranges::move(files, std::back_inserter(all));
  for (auto& candidate : all) {
    bool signs = candidate.in_agent || (candidate.file != nullptr && candidate.file->has_private_key());
    if (!signs && candidate.certificate) signs = find_signer(candidate, held);
    if (signs) {
      candidates_.push_back(std::move(candidate));
    } else {
      log(candidate.certificate ? LogLevel::verbose : LogLevel::debug, "nothing holds the private key of {}",
          candidate.name);
    }
  }
}

std::string Authenticator::description(const Candidate& candidate) {
  if (!candidate.key) return "encrypted";
  return fmt::format("{}{} {}{}", candidate.key->short_type(), candidate.certificate ? "-CERT" : "",
                     candidate.key->fingerprint(), candidate.in_agent ? " agent" : "");
}

bool Authenticator::may_ask() const { return !options_.batch && prompter_.available(); }

relay::Task<Result<Attempt>> Authenticator::next(ssh::AuthNext auth) {
  if (auth.password_change) {
    const std::string said = printable(*auth.password_change, 400);
    co_return fail(Errc::denied, fmt::format("{}: the password must be changed, which culvert cannot do: log "
                                             "in with ssh{}{}",
                                             account_, said.empty() ? "" : "; the server says: ", said));
  }
  // A key that we left unsigned was never answered by the server: then its methods may still be unknown.
  if (!method_.empty() && !std::exchange(unsigned_, false)) answered_ = true;
  const bool first = !answered_;
  methods_ = std::move(auth.methods);
  if (!auth.server_signature_algorithms.empty())
    server_signatures_ = std::move(auth.server_signature_algorithms);
  if (auth.partial_success) {
    log(LogLevel::verbose, "authenticated using \"{}\" with partial success", method_);
    for (auto& candidate : candidates_) candidate.tried = &candidate == offered_ && method_ == "publickey";
  }
  if (!first)
    log(LogLevel::verbose, "authentications that can continue: {}",
        printable(fmt::format("{}", fmt::join(methods_, ","))));

  // Before anything was tried nothing is known of the methods; a key may be tried all the same, which saves a
  // round trip.
  for (const auto& method : options_.preferred_methods) {
    if (!first && !contains(methods_, method)) continue;
    if (method == "publickey" && options_.allow_public_key) {
      if (auto attempt = co_await next_key()) {
        method_ = method;
        co_return *std::move(attempt);
      }
    }
    if (!may_ask()) continue;
    if (first && ((method == "keyboard-interactive" && options_.allow_keyboard_interactive) ||
                  (method == "password" && options_.allow_password))) {
      break;  // wanted before keys: ask whether the server has it
    }
    if (method == "keyboard-interactive" && options_.allow_keyboard_interactive) {
      const bool pointless = rounds_tried_ > 0 && !questions_seen_;
      if (pointless || rounds_tried_ >= options_.password_prompts) continue;
      if (++rounds_tried_ > 1) log(LogLevel::notice, "Permission denied, please try again.");
      questions_seen_ = false;
      method_ = method;
      co_return TryKeyboardInteractive{};
    }
    if (method == "password" && options_.allow_password && passwords_tried_ < options_.password_prompts) {
      if (++passwords_tried_ > 1) log(LogLevel::notice, "Permission denied, please try again.");
      method_ = method;
      co_return co_await ask_password();
    }
  }
  if (first) {
    method_ = "none";
    co_return TryNone{};
  }
  co_return std::unexpected(denied(printable(fmt::format("{}", fmt::join(methods_, ",")))));
}

Error Authenticator::denied(std::string_view why) const {
  return {Errc::denied, fmt::format("{}: Permission denied ({})", account_, why)};
}

relay::Task<std::optional<Attempt>> Authenticator::next_key() {
  for (auto& candidate : candidates_) {
    if (std::exchange(candidate.tried, true)) continue;
    if (!candidate.key) {
      // Nothing can be offered before the passphrase is known.
      log(LogLevel::verbose, "trying private key: {}", candidate.name);
      const auto key = co_await unlock(*candidate.file);
      if (!key) continue;
      candidate.key = key->public_key();
    }
    if (auto attempt = offer(candidate)) co_return attempt;
  }
  co_return std::nullopt;
}

std::optional<Attempt> Authenticator::offer(Candidate& candidate) {
  const auto algorithm = choose_algorithm(*candidate.key, candidate.certificate.has_value());
  if (algorithm.empty()) {
    log(LogLevel::verbose, "passing over key {}: no signature algorithm in common", candidate.name);
    return std::nullopt;
  }
  // The first key of a file that needs no passphrase is signed with at once: one round trip less. Any other
  // is asked about first: a signature may cost a question, a touch of a token, or just time. So is one that
  // the agent is to get, which is only for keys that a server takes.
  const bool at_once = &candidate == &candidates_.front() && options_.add_keys == AddKeys::no &&
                       candidate.file != nullptr && candidate.file->unlock();
  log(LogLevel::verbose, "offering public key: {} {}", candidate.name, description(candidate));
  offered_ = &candidate;
  return TryKey{*candidate.key, candidate.certificate, algorithm, !at_once};
}

std::string Authenticator::choose_algorithm(const crypto::PublicKey& key, bool certified) const {
  std::vector<std::string_view> able;
  for (const auto algorithm : crypto::user_key_algorithms()) {
    if (crypto::is_certificate_algorithm(algorithm) == certified &&
        crypto::key_type_of(crypto::signature_of(algorithm)) == key.type())
      able.push_back(algorithm);
  }
  // A server that does not say (RFC 8308) is old: then the one of RFC 8332's two that more of them have.
  if (server_signatures_.empty()) std::ranges::reverse(able);
  for (const auto algorithm : able) {
    const bool allowed = options_.user_signatures.empty() || contains(options_.user_signatures, algorithm);
    // The list chooses between RSA's algorithms and nothing else: there are servers that name those alone. Of
    // certificates it need not speak: it is about signatures.
    const bool known = able.size() == 1 || server_signatures_.empty() ||
                       contains(server_signatures_, crypto::signature_of(algorithm));
    if (allowed && known) return std::string(algorithm);
  }
  return {};
}

relay::Task<std::optional<Bytes>> Authenticator::sign(ssh::UserSignatureWanted wanted) {
  auto signature = co_await signature_for(std::move(wanted));
  unsigned_ = !signature;
  co_return signature;
}

relay::Task<std::optional<Bytes>> Authenticator::signature_for(ssh::UserSignatureWanted wanted) {
  if (offered_ == nullptr || !offered_->key || !(*offered_->key == wanted.key)) co_return std::nullopt;
  Candidate& candidate = *offered_;
  const std::string algorithm(crypto::signature_of(wanted.algorithm));
  if (candidate.in_agent) {
    // Tokens blink, but not all of them, and the agent may have nothing to show it on.
    if (wanted.key.is_security_key() && !options_.batch)
      log(LogLevel::notice, "Confirm user presence for key {}", wanted.key.description());
    auto signature = co_await agent_->sign(*candidate.in_agent, algorithm, std::move(wanted.message));
    if (signature) co_return *std::move(signature);
    log(LogLevel::warning, "signing failed for {} \"{}\" from agent: {}", wanted.key.short_type(),
        candidate.name, signature.error().message);
    co_return std::nullopt;
  }
  log(LogLevel::verbose, "server accepts key: {} {}", candidate.name, description(candidate));
  const auto key = co_await unlock(*candidate.file);
  if (!key) co_return std::nullopt;
  // A certificate beside an encrypted key that shows no public half may be of another one.
  if (!(key->public_key() == wanted.key)) {
    log(LogLevel::warning, "{} is not a certificate of the key in {}", candidate.name,
        candidate.file->path());
    co_return std::nullopt;
  }
  auto signature = key->sign(algorithm, wanted.message);
  if (signature) co_return *std::move(signature);
  log(LogLevel::warning, "signing failed for {} \"{}\": {}", wanted.key.short_type(), candidate.name,
      signature.error().message);
  co_return std::nullopt;
}

relay::Task<Result<crypto::PrivateKey>> Authenticator::unlock(IdentityFile& file) {
  auto key = file.unlock();
  for (int tries = 0; !key && may_ask() && tries < kPassphraseTries; ++tries) {
    if (key.error().code != Errc::needs_passphrase && key.error().code != Errc::wrong_passphrase) break;
    const auto passphrase =
        co_await prompter_.ask(fmt::format("Enter passphrase for key '{}': ", printable(file.path())), false);
    if (!passphrase || passphrase->empty()) {
      if (!passphrase && passphrase.error().code != Errc::cancelled)
        log(LogLevel::error, "{}", passphrase.error().message);
      log(LogLevel::verbose, "no passphrase given, trying the next key");
      break;
    }
    key = file.unlock(&*passphrase);
  }
  if (key) {
    co_await add_to_agent(file, *key);
  } else if (key.error().code == Errc::needs_passphrase && !may_ask()) {
    tell_locked(file);
  } else {
    const bool was_asked =
        key.error().code == Errc::needs_passphrase || key.error().code == Errc::wrong_passphrase;
    const auto level =
        was_asked || std::exchange(file.told_unusable, true) ? LogLevel::verbose : LogLevel::warning;
    log(level, "cannot use key {}: {}", file.path(), key.error().message);
  }
  co_return key;
}

// Once, and not again whenever the connection comes back.
void Authenticator::tell_locked(IdentityFile& file) const {
  const auto level = std::exchange(file.told_locked, true) ? LogLevel::verbose : LogLevel::warning;
  log(level, "key '{}' needs a passphrase and {}", printable(file.path()),
      options_.batch ? "BatchMode asks nobody: add it to ssh-agent"
                     : "there is nobody to ask: add it to ssh-agent, or set SSH_ASKPASS");
}

relay::Task<void> Authenticator::add_to_agent(IdentityFile& file, crypto::PrivateKey key) {
  if (agent_ == nullptr || options_.add_keys == AddKeys::no) co_return;
  if (std::exchange(file.offered_to_agent, true)) co_return;
  const std::string comment = key.comment().empty() ? file.path() : key.comment();
  if (options_.add_keys == AddKeys::ask) {
    auto question = fmt::format("Add key {} ({}) to agent?", printable(file.path()), printable(comment));
    if (options_.batch || !co_await prompter_.confirm(std::move(question))) {
      log(LogLevel::verbose, "key not added to the agent: {}", file.path());
      co_return;
    }
  }
  const ssh::AgentConstraints constraints{options_.add_keys_lifetime, options_.add_keys == AddKeys::confirm};
  const auto added = co_await agent_->add(std::move(key), comment, constraints);
  if (added) {
    log(LogLevel::verbose, "key added to the agent: {}", file.path());
  } else {
    log(LogLevel::verbose, "the agent did not take key {}: {}", file.path(), added.error().message);
  }
}

relay::Task<Result<Attempt>> Authenticator::ask_password() {
  auto password = co_await prompter_.ask(fmt::format("{}'s password: ", account_), false);
  if (!password) co_return std::unexpected(std::move(password).error());
  co_return TryPassword{*std::move(password)};
}

relay::Task<Result<std::vector<SecretBytes>>> Authenticator::answer(ssh::PromptsShown shown) {
  questions_seen_ = true;
  std::string heading;
  for (const auto& text : {shown.name, shown.instruction}) {
    if (text.empty()) continue;
    if (shown.prompts.empty()) show_text(text);  // news of the account, behind a question or in place of one
    heading += printable_lines(text);
    if (!heading.ends_with('\n')) heading += '\n';
  }
  std::vector<SecretBytes> answers;
  for (const auto& prompt : shown.prompts) {
    // The account before each question, as ssh does: a server cannot pass its own question off as another
    // program's.
    auto question =
        fmt::format("{}({}) {}", std::exchange(heading, {}), account_, printable_lines(prompt.text));
    auto answer = co_await prompter_.ask(std::move(question), prompt.echo);
    if (!answer) co_return std::unexpected(std::move(answer).error());
    answers.push_back(*std::move(answer));
  }
  co_return answers;
}

}  // namespace culvert::tunnel

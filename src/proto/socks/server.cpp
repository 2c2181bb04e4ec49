// SPDX-License-Identifier: Apache-2.0
#include "proto/socks/server.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/assert.hpp"
#include "base/secret.hpp"

namespace culvert::socks {
namespace {

constexpr std::size_t kLongestHead = 16 * 1024;  // an HTTP head; tokens in Proxy-Authorization can be long
constexpr std::size_t kLongestText = 255;        // of SOCKS 4, which sets no bound
constexpr std::size_t kMostEmpty = 4;            // bytes of empty lines in front of an HTTP request

constexpr std::uint8_t kConnect = 1;
constexpr std::uint8_t kBind = 2;
constexpr std::uint8_t kAssociate = 3;

constexpr std::uint8_t kNoLogin = 0;
constexpr std::uint8_t kUserPassword = 2;
constexpr std::uint8_t kNoMethod = 0xFF;

constexpr std::uint8_t kGeneralFailure = 1;
constexpr std::uint8_t kCommandNotSupported = 7;
constexpr std::uint8_t kAddressNotSupported = 8;

constexpr std::string_view kBadHost = "the name of the destination is empty or holds a control character";

// RFC 1928 section 4.
std::optional<Command> command_of(std::uint8_t byte) {
  switch (byte) {
    case kConnect:
      return Command::connect;
    case kBind:
      return Command::bind;
    case kAssociate:
      return Command::associate;
    default:
      return std::nullopt;
  }
}

template <class Ip>
Ip ip_of(ByteView bytes) {
  Ip address;
  std::ranges::copy(bytes, address.begin());
  return address;
}

}  // namespace

Server::~Server() { forget_input(); }

std::size_t Server::feed(ByteView bytes) {
  std::size_t taken = 0;
  while (taken < bytes.size() && state_ == State::reading) take(bytes[taken++]);
  return taken;
}

void Server::consume_output(std::size_t n) {
  CULVERT_ASSERT(n <= output().size());
  sent_ += n;
  if (sent_ < output_.size()) return;
  output_.clear();
  sent_ = 0;
}

void Server::connected(const Address& here) {
  CULVERT_ASSERT(state_ == State::requested && request_.command == Command::connect);
  write_success(request_.protocol, here, output_);
  state_ = State::served;
}

void Server::listening(const Address& where) {
  CULVERT_ASSERT(state_ == State::requested && request_.command == Command::bind);
  write_success(request_.protocol, where, output_);
  state_ = State::listening;
}

void Server::associated(const Address& where) {
  CULVERT_ASSERT(state_ == State::requested && request_.command == Command::associate);
  write_success(request_.protocol, where, output_);
  state_ = State::served;
}

void Server::arrived(const Address& peer) {
  CULVERT_ASSERT(state_ == State::listening);
  write_success(request_.protocol, peer, output_);
  state_ = State::served;
}

void Server::refuse(Failure failure) {
  CULVERT_ASSERT(state_ == State::requested || state_ == State::listening);
  write_failure(request_.protocol, failure, output_);
  state_ = State::refused;
}

// Each on_...() looks at the message so far and returns if it is not complete: then one byte more comes. The
// messages are short, and what tells their length stands in front.
void Server::take(std::uint8_t byte) {
  if (phase_ == Phase::first_byte) {
    // RFC 9112 section 2.2.
    if ((byte == '\r' || byte == '\n') && head_size_ < kMostEmpty) return void(++head_size_);
    on_first_byte(byte);
  }
  if (state_ != State::reading) return;
  keep(byte);
  switch (phase_) {
    case Phase::first_byte:
      break;
    case Phase::socks4:
      return on_socks4();
    case Phase::socks5_methods:
      return on_socks5_methods();
    case Phase::socks5_login:
      return on_socks5_login();
    case Phase::socks5_request:
      return on_socks5_request();
    case Phase::http:
      return on_http_byte();
  }
}

void Server::on_first_byte(std::uint8_t byte) {
  const bool may_be_socks = head_size_ == 0;  // nothing stood in front of it
  if (may_be_socks && byte == 4) {
    request_.protocol = Protocol::socks4;
    phase_ = Phase::socks4;
    if (accounts_ != nullptr) {
      write_failure(Protocol::socks4, Failure::prohibited, output_);
      reject("SOCKS 4 has no passwords, and one is wanted");
    }
  } else if (may_be_socks && byte == 5) {
    request_.protocol = Protocol::socks5;
    phase_ = Phase::socks5_methods;
  } else if ((byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z')) {
    request_.protocol = Protocol::http;
    phase_ = Phase::http;
  } else {
    reject("neither SOCKS nor an HTTP request");
  }
}

// version, command, port, address, user NUL; 4a: an address 0.0.0.x with x != 0, and name NUL behind it.
void Server::on_socks4() {
  constexpr std::size_t kFixed = 8;
  const auto refuse_it = [this](std::string_view why) {
    write_failure(Protocol::socks4, Failure::general, output_);
    reject(why);
  };
  if (input_.size() <= kFixed) return;
  const bool ended = input_.back() == 0;
  const auto command = input_[1];
  const Ipv4 address = ip_of<Ipv4>(field(4, 4));
  const bool has_name = address[0] == 0 && address[1] == 0 && address[2] == 0 && address[3] != 0;
  if (user_size_ == 0) {  // counted with its NUL
    if (!ended && input_.size() - kFixed > kLongestText) return refuse_it("the user's name is too long");
    if (!ended) return;
    user_size_ = input_.size() - kFixed;
    if (has_name) return;
  }
  std::string host = ip_text(address);
  if (has_name) {
    const ByteView name = ByteView(input_).subspan(kFixed + user_size_);
    if (!ended && name.size() > kLongestText) return refuse_it("the name of the destination is too long");
    if (!ended) return;
    host = as_text(name.first(name.size() - 1));
    if (!is_host(host)) return refuse_it(kBadHost);
  }
  if (command != kConnect && command != kBind) return refuse_it("a SOCKS command that is not supported");
  requested(command == kBind ? Command::bind : Command::connect, {std::move(host), port_at(2)});
}

// version, count, methods
void Server::on_socks5_methods() {
  if (input_.size() < 2 || input_.size() < std::size_t{2} + input_[1]) return;
  const std::uint8_t wanted = accounts_ == nullptr ? kNoLogin : kUserPassword;
  const ByteView methods = field(2, input_[1]);
  const bool offered = std::ranges::find(methods, wanted) != methods.end();
  output_.insert(output_.end(), {std::uint8_t{5}, offered ? wanted : kNoMethod});
  if (!offered)
    return reject(accounts_ == nullptr ? "it offers no login that is wanted here" : "no user and password");
  next(accounts_ == nullptr ? Phase::socks5_request : Phase::socks5_login);
}

// version 1, length, user, length, password (RFC 1929)
void Server::on_socks5_login() {
  const auto answer = [this](std::uint8_t status) {
    output_.insert(output_.end(), {std::uint8_t{1}, status});
  };
  if (input_[0] != 1) {
    answer(1);
    return reject("the version of the SOCKS login is unknown");
  }
  if (input_.size() < 2) return;
  const std::size_t user = input_[1];
  if (input_.size() < 3 + user) return;
  const std::size_t password = input_[2 + user];
  if (input_.size() < 3 + user + password) return;
  if (!accounts_->accept(as_text(field(2, user)), as_text(field(3 + user, password)))) {
    answer(1);
    return reject("wrong user or password");
  }
  answer(0);
  next(Phase::socks5_request);
}

// version 5, command, reserved, type of address, address, port
void Server::on_socks5_request() {
  constexpr std::size_t kFixed = 4;
  const auto refuse_it = [this](std::uint8_t code, std::string_view why) {
    write_socks5_reply(code, output_);
    reject(why);
  };
  if (input_[0] != 5) return refuse_it(kGeneralFailure, "the version changed within the conversation");
  if (input_.size() < kFixed) return;
  const auto type = input_[3];
  if (type != 1 && type != 3 && type != 4)
    return refuse_it(kAddressNotSupported, "a type of address that is not supported");
  if (type == 3 && input_.size() == kFixed) return;
  const std::size_t begin = type == 3 ? kFixed + 1 : kFixed;
  const std::size_t size = type == 1 ? 4 : type == 4 ? 16 : input_[kFixed];
  if (input_.size() < begin + size + 2) return;
  const auto command = command_of(input_[1]);
  if (!command) return refuse_it(kCommandNotSupported, "a SOCKS command that is not supported");
  const ByteView address = field(begin, size);
  std::string host = type == 1   ? ip_text(ip_of<Ipv4>(address))
                     : type == 4 ? ip_text(ip_of<Ipv6>(address))
                                 : std::string(as_text(address));
  if (!is_host(host)) return refuse_it(kGeneralFailure, kBadHost);
  requested(*command, {std::move(host), port_at(begin + size)});
}

void Server::on_http_byte() {
  if (++head_size_ > kLongestHead) {
    write_http_response(431, "", output_);
    return reject("the HTTP head is too long");
  }
  if (input_.back() != '\n') return;
  std::string_view line = as_text(input_);
  line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  switch (head_.line(line)) {
    case ConnectHead::Step::more:
      return forget_input();
    case ConnectHead::Step::complete:
      return on_http_head();
    case ConnectHead::Step::wrong:
      write_http_response(head_.status(), head_.status() == 405 ? "Allow: CONNECT\r\n" : "", output_);
      return reject(head_.why());
  }
}

void Server::on_http_head() {
  const auto& login = head_.login();
  if (accounts_ != nullptr && !(login && accounts_->accept(login->user, login->password.text()))) {
    write_http_response(407, "Proxy-Authenticate: Basic realm=\"culvert\", charset=\"UTF-8\"\r\n", output_);
    return reject(login ? "wrong user or password" : "no user and password");
  }
  requested(Command::connect, head_.target());
}

std::uint16_t Server::port_at(std::size_t at) const {
  return static_cast<std::uint16_t>(input_[at] << 8 | input_[at + 1]);
}

// Grows by hand, so that what may be a password is not left in memory that was given back.
void Server::keep(std::uint8_t byte) {
  if (input_.size() == input_.capacity()) {
    Bytes larger;
    larger.reserve(std::max<std::size_t>(64, 2 * input_.capacity()));
    larger.assign(input_.begin(), input_.end());
    wipe(input_);
    input_ = std::move(larger);
  }
  input_.push_back(byte);
}

void Server::forget_input() {
  wipe(input_);
  input_.clear();
}

void Server::next(Phase phase) {
  phase_ = phase;
  forget_input();
}

void Server::requested(Command command, Address where) {
  request_.command = command;
  request_.where = std::move(where);
  state_ = State::requested;
  forget_input();
}

void Server::reject(std::string_view why) {
  why_ = why;
  state_ = State::refused;
  forget_input();
}

}  // namespace culvert::socks

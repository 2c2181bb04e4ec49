// SPDX-License-Identifier: Apache-2.0
#include "daemon/privileged/helper_service.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include <boost/asio/ip/tcp.hpp>

#include <fmt/format.h>

#include "base/text.hpp"
#include "base/wire.hpp"
#include "net/addresses.hpp"

namespace culvert::daemon {
namespace {

using boost::asio::ip::tcp;

// What a server's host key ever signs: the exchange hash (RFC 4253 section 8) of SHA-256, 384 or 512, and
// OpenSSH's proofs (PROTOCOL, 2.5). A worker in the wrong hands gets no signature over anything else: that of
// a file (PROTOCOL.sshsig) can be as long as a hash, and no hash begins like it.
bool is_for_host_keys(ByteView message) {
  if (as_text(message).starts_with("SSHSIG")) return false;
  if (message.size() == 32 || message.size() == 48 || message.size() == 64) return true;
  const auto name = Reader(message).text();
  return name && *name == "hostkeys-prove-00@openssh.com";
}

tcp::endpoint endpoint_of(const helper::BindRequest& request) {
  auto address = net::asio_address_of(request.address);
  if (address.is_v6() && request.scope != 0) {
    auto v6 = address.to_v6();
    v6.scope_id(request.scope);
    address = v6;
  }
  return {address, request.port};
}

// Names are resolved by the worker: which address they have is not checked again.
bool may_stand_for(const IpAddress& address, const std::string& host) {
  if (host == "*") return address.is_unspecified();
  const auto wanted = IpAddress::parse(std::string_view(host).substr(0, host.find('%')));
  return !wanted || *wanted == address;
}

}  // namespace

HelperService::Answer HelperService::answer(ByteView message) {
  const auto request = helper::decode_request(message);
  if (!request) return {helper::encode_reply(std::unexpected(request.error())), {}};
  if (const auto* one = std::get_if<helper::SignRequest>(&*request))
    return {helper::encode_reply(sign(*one)), {}};
  auto made = std::holds_alternative<helper::OpenRequest>(*request)
                  ? open(std::get<helper::OpenRequest>(*request))
                  : bind(std::get<helper::BindRequest>(*request));
  if (!made) return {helper::encode_reply(std::unexpected(std::move(made).error())), {}};
  return {helper::encode_reply(Bytes()), std::move(*made)};
}

Result<Bytes> HelperService::sign(const helper::SignRequest& request) {
  if (!is_for_host_keys(request.message)) return fail(Errc::denied, "no host key signs that");
  return own_.sign(request.key, request.algorithm, request.message);
}

Result<net::UniqueFd> HelperService::open(const helper::OpenRequest& request) {
  const auto& certificates = plan_.options.host_certificate_files;
  if (std::ranges::find(certificates, request.path) == certificates.end() &&
      !accounts_.name_file(request.path))
    return fail(Errc::denied, "neither the options nor the rules name the file " + printable(request.path));
  return own_.open(request.path);
}

Result<net::UniqueFd> HelperService::bind(const helper::BindRequest& request) {
  if (request.port == 0 ||
      (!plan_listens_at(request) && !accounts_.let_listen(request.address, request.port))) {
    return fail(Errc::denied,
                fmt::format("neither the options nor the rules let anybody listen at {} port {}",
                            request.address.text(), request.port));
  }
  return own_.bind(endpoint_of(request));
}

bool HelperService::plan_listens_at(const helper::BindRequest& request) const {
  return std::ranges::any_of(plan_.listen, [&](const ListenSpec& spec) {
    const auto* at = std::get_if<relay::HostPort>(&spec.endpoint);
    return at != nullptr && at->port == request.port && may_stand_for(request.address, at->host);
  });
}

}  // namespace culvert::daemon

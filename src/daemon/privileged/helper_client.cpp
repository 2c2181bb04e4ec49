// SPDX-License-Identifier: Apache-2.0
#include "daemon/privileged/helper_client.hpp"

#include <fcntl.h>

#include <cerrno>

#include "base/text.hpp"
#include "base/wire.hpp"
#include "files/text_file.hpp"
#include "net/addresses.hpp"
#include "net/listener.hpp"

namespace culvert::daemon {
namespace {

// Of a helper that ends, which this process then does too.
Error lost(const Error& error) {
  return {error.code, "the privileged helper does not answer: " + error.message, EIO};
}

}  // namespace

Bytes encode_greeting(const Result<std::vector<crypto::PublicKey>>& host_keys) {
  if (!host_keys) return helper::encode_reply(std::unexpected(host_keys.error()));
  Bytes keys;
  for (const crypto::PublicKey& key : *host_keys) Writer(keys).string(key.blob());
  return helper::encode_reply(keys);
}

Result<std::vector<crypto::PublicKey>> decode_greeting(ByteView message) {
  const Bytes content = TRY(helper::decode_reply(message));
  std::vector<crypto::PublicKey> keys;
  for (Reader reader(content); reader.remaining() > 0;)
    keys.push_back(TRY(crypto::PublicKey::parse(TRY(reader.string()))));
  if (keys.empty()) return fail(Errc::malformed, "the privileged helper has no host key");
  return keys;
}

Result<std::unique_ptr<HelperClient>> HelperClient::meet(net::MessageChannel channel, net::UniqueFd end,
                                                         HelperProcess helper) {
  std::unique_ptr<HelperClient> client(
      new HelperClient(std::move(channel), std::move(end), std::move(helper)));
  const auto greeting = client->channel_.receive(helper::kLongestMessage);
  if (!greeting) return std::unexpected(lost(greeting.error()));
  client->host_keys_ = TRY(decode_greeting(greeting->bytes));
  return client;
}

HelperClient::~HelperClient() {
  channel_.close();  // which ends the helper
}

Result<HelperClient::Answer> HelperClient::call(const helper::Request& request) {
  const Bytes message = helper::encode(request);
  if (message.size() > helper::kLongestMessage) return fail(Errc::limit, "the request is too long");
  const std::lock_guard lock(mutex_);
  if (const auto sent = channel_.send(message); !sent) return std::unexpected(lost(sent.error()));
  auto reply = channel_.receive(helper::kLongestMessage);
  if (!reply) return std::unexpected(lost(reply.error()));
  return Answer{TRY(helper::decode_reply(reply->bytes)), std::move(reply->descriptor)};
}

Result<net::UniqueFd> HelperClient::call_for_descriptor(const helper::Request& request) {
  Answer answer = TRY(call(request));
  if (!answer.descriptor) return fail(Errc::malformed, "the privileged helper sent no descriptor", EIO);
  return std::move(answer.descriptor);
}

Result<Bytes> HelperClient::sign(std::size_t key, std::string_view algorithm, ByteView message) {
  Answer answer = TRY(
      call(helper::SignRequest{static_cast<std::uint32_t>(key), std::string(algorithm), copy_of(message)}));
  return std::move(answer.content);
}

Result<net::UniqueFd> HelperClient::open(const std::string& path) {
  net::UniqueFd file(files::open_without_waiting(path));
  if (file) return file;
  if (errno != EACCES) return fail_errno("cannot open " + printable(path), errno);
  auto opened = call_for_descriptor(helper::OpenRequest{path});
  if (!opened && opened.error().detail == 0) opened.error().detail = EACCES;
  return opened;
}

Result<net::UniqueFd> HelperClient::bind(const boost::asio::ip::tcp::endpoint& endpoint) {
  auto own = net::bind_tcp(endpoint);
  if (own || own.error().detail != EACCES) return own;
  const auto& address = endpoint.address();
  auto bound = call_for_descriptor(helper::BindRequest{
      net::ip_address_of(address),
      address.is_v6() ? static_cast<std::uint32_t>(address.to_v6().scope_id()) : 0u, endpoint.port()});
  // Listening starts here, where the socket is used.
  if (bound) (void)::fcntl(bound->get(), F_SETFL, O_NONBLOCK);
  return bound;
}

}  // namespace culvert::daemon

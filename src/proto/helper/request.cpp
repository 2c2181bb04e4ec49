// SPDX-License-Identifier: Apache-2.0
#include "proto/helper/request.hpp"

#include <utility>

#include "base/wire.hpp"

namespace culvert::helper {
namespace {

enum class Call : std::uint8_t { sign = 1, open = 2, bind = 3 };
enum class Status : std::uint8_t { done = 0, failed = 1 };

std::unexpected<Error> malformed(const char* what) { return fail(Errc::malformed, what); }

Result<Request> decode_sign(Reader& reader) {
  SignRequest request;
  request.key = TRY(reader.u32());
  request.algorithm = TRY(reader.text());
  request.message = copy_of(TRY(reader.string()));
  return request;
}

Result<Request> decode_open(Reader& reader) {
  OpenRequest request{std::string(TRY(reader.text()))};
  if (request.path.empty() || request.path.find('\0') != std::string::npos)
    return malformed("a request names no path");
  return request;
}

Result<Request> decode_bind(Reader& reader) {
  BindRequest request;
  const auto address = IpAddress::from_bytes(TRY(reader.string()));
  if (!address) return malformed("a request names no address");
  request.address = *address;
  request.scope = TRY(reader.u32());
  const std::uint32_t port = TRY(reader.u32());
  if (port > 0xFFFF) return malformed("a request names no port");
  request.port = static_cast<std::uint16_t>(port);
  return request;
}

Result<Request> decode_call(Reader& reader) {
  switch (static_cast<Call>(TRY(reader.byte()))) {
    case Call::sign:
      return decode_sign(reader);
    case Call::open:
      return decode_open(reader);
    case Call::bind:
      return decode_bind(reader);
  }
  return malformed("a request of an unknown kind");
}

struct Encoder {
  Writer to;
  void operator()(const SignRequest& request) {
    to.byte(static_cast<std::uint8_t>(Call::sign)).u32(request.key).text(request.algorithm);
    to.string(request.message);
  }
  void operator()(const OpenRequest& request) {
    to.byte(static_cast<std::uint8_t>(Call::open)).text(request.path);
  }
  void operator()(const BindRequest& request) {
    to.byte(static_cast<std::uint8_t>(Call::bind)).string(request.address.bytes());
    to.u32(request.scope).u32(request.port);
  }
};

}  // namespace

Bytes encode(const Request& request) {
  Bytes out;
  std::visit(Encoder{Writer(out)}, request);
  return out;
}

Result<Request> decode_request(ByteView message) {
  Reader reader(message);
  auto request = TRY(decode_call(reader));
  TRY(reader.end());
  return request;
}

Bytes encode_reply(const Result<Bytes>& reply) {
  Bytes out;
  Writer writer(out);
  if (reply) {
    writer.byte(static_cast<std::uint8_t>(Status::done)).string(*reply);
  } else {
    writer.byte(static_cast<std::uint8_t>(Status::failed))
        .byte(static_cast<std::uint8_t>(reply.error().code));
    writer.u64(static_cast<std::uint64_t>(reply.error().detail)).text(reply.error().message);
  }
  return out;
}

Result<Bytes> decode_reply(ByteView message) {
  Reader reader(message);
  switch (static_cast<Status>(TRY(reader.byte()))) {
    case Status::done: {
      Bytes content = copy_of(TRY(reader.string()));
      TRY(reader.end());
      return content;
    }
    case Status::failed: {
      const std::uint8_t code = TRY(reader.byte());
      const std::uint64_t detail = TRY(reader.u64());
      std::string text(TRY(reader.text()));
      TRY(reader.end());
      if (code > static_cast<std::uint8_t>(Errc::usage)) return malformed("a reply with an unknown error");
      return fail(static_cast<Errc>(code), std::move(text), static_cast<std::int64_t>(detail));
    }
  }
  return malformed("a reply of an unknown kind");
}

}  // namespace culvert::helper

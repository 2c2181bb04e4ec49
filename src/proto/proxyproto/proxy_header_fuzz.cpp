// SPDX-License-Identifier: Apache-2.0
// PROXY protocol: how the bytes are cut into pieces must make no difference, and what was read is written as
// something that reads the same again. Input: size of the pieces, and then what a peer says.
#include <algorithm>
#include <string>

#include "proto/proxyproto/decoder.hpp"
#include "tests/support/fuzz_input.hpp"

using namespace culvert;
using proxyproto::Decoder;
using proxyproto::Header;
using test::require;

namespace {

struct Outcome {
  Decoder::State state = Decoder::State::reading;
  std::size_t taken = 0;
  Header header;
  std::string why;
  bool operator==(const Outcome&) const = default;
};

Outcome decode(ByteView input, std::size_t piece) {
  Decoder decoder;
  std::size_t taken = 0;
  while (taken < input.size() && decoder.state() == Decoder::State::reading) {
    // A copy of its own: reading past its end shows.
    const Bytes part = copy_of(input.subspan(taken, std::min(piece, input.size() - taken)));
    const std::size_t now = decoder.feed(part);
    require(now <= part.size(), "no more is taken than came");
    require(now == part.size() || decoder.state() != Decoder::State::reading,
            "bytes are left only when it is over");
    taken += now;
  }
  require(taken <= Decoder::kMostV2, "headers are bounded");
  require((decoder.state() == Decoder::State::malformed) == !decoder.why().empty(), "what failed says why");
  if (decoder.state() == Decoder::State::malformed) taken = 0;  // what there is of it is lost anyway
  return {decoder.state(), taken, decoder.header(), std::string(decoder.why())};
}

void expect_same(const Header& header, const Bytes& encoded) {
  const Outcome again = decode(encoded, encoded.size());
  require(again.state == Decoder::State::done && again.taken == encoded.size(), "what we write can be read");
  require(again.header == header, "what we write reads the same");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  test::FuzzInput input(data, size);
  const std::size_t piece = input.byte() + std::size_t{1};
  const ByteView bytes = input.rest();
  const Outcome whole = decode(bytes, bytes.size());
  require(decode(bytes, piece) == whole, "pieces make no difference");
  require(whole.state != Decoder::State::reading || whole.taken == bytes.size(),
          "all is taken until it is over");
  if (whole.state != Decoder::State::done) return 0;
  expect_same(whole.header, encode_v2(whole.header));
  const Bytes line = encode_v1(whole.header);
  require(line.size() <= proxyproto::kMostV1, "lines are bounded");
  const bool is_tcp = std::holds_alternative<proxyproto::InetAddresses>(whole.header.addresses) &&
                      whole.header.transport == Header::Transport::stream;
  expect_same(is_tcp ? whole.header : Header{}, line);
  return 0;
}

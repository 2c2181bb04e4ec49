// SPDX-License-Identifier: Apache-2.0
// Every message of the table, its texts when they are shown, name lists, and what two KEXINITs agree on. The
// input is a payload, read as each of the messages; and lines, which become the lists of two KEXINITs.
#include "proto/ssh/wire/messages.hpp"

#include <string>
#include <vector>

#include "base/text.hpp"
#include "proto/ssh/transport/negotiation.hpp"
#include "proto/ssh/wire/name_list.hpp"
#include "tests/support/fuzz_input.hpp"
#include "tests/support/seeded_random.hpp"
#include "tests/support/test_keys.hpp"

using namespace culvert;
using test::require;

namespace {

// ---- messages

void show(std::string_view text) {
  for (const std::size_t limit : {std::size_t{20}, std::size_t{1024}}) {
    const std::string shown = printable(text, limit);
    require(shown.size() <= 4 * limit + 3, "what is shown is bounded");
    for (const char c : shown) require(c < 0 || (c >= ' ' && c != 0x7F), "no control characters are shown");
  }
}

void look_at(ByteView payload, ByteView field) {
  if (field.empty()) return;
  require(field.data() >= payload.data() && field.data() + field.size() <= payload.data() + payload.size(),
          "a field lies in its message");
}
void look_at(ByteView payload, std::string_view field) { look_at(payload, as_bytes(field)), show(field); }
void look_at(ByteView payload, ssh::NameList field) { look_at(payload, field.text); }
void look_at(ByteView payload, ssh::Mpint field) {
  look_at(payload, field.magnitude);
  require(field.magnitude.empty() || field.magnitude[0] != 0, "a magnitude has no leading zeros");
}
void look_at(ByteView payload, ssh::Rest field) { look_at(payload, field.bytes); }
template <class Value>
void look_at(ByteView, const Value&) {}  // holds its value itself

template <class Fields>
void read_fields(ByteView bytes) {
  const auto value = ssh::decode_fields<Fields>(bytes);
  if (!value) return;
  std::apply([&](auto... field) { (look_at(bytes, (*value).*field), ...); }, Fields::fields());
  Bytes again;
  ssh::encode_fields(again, *value);
  require(again.size() <= bytes.size(), "nothing is added");
  const auto same = ssh::decode_fields<Fields>(again);
  require(same.has_value(), "what we encode we can decode");
  Bytes stable;
  ssh::encode_fields(stable, *same);
  require(stable == again, "one value has one encoding");
}

template <class... Messages>
void read_as_each(Bytes payload, std::tuple<Messages...>*) {
  const auto read_as = [&]<class Message>(Message*) {
    payload[0] = Message::kNumber;
    require(ssh::decode<Message>(payload).has_value() ==
                ssh::decode_fields<Message>(ByteView(payload).subspan(1)).has_value(),
            "a payload is a number and fields");
    read_fields<Message>(ByteView(payload).subspan(1));
  };
  (read_as(static_cast<Messages*>(nullptr)), ...);
}

// ---- name lists and KEXINIT

void read_names(std::string_view list, std::string_view other) {
  std::vector<std::string> names;
  for (const std::string_view name : ssh::split_names(list)) {
    require(!name.empty() && name.find(',') == std::string_view::npos, "a name is a name");
    require(ssh::contains_name(list, name), "a list holds its names");
    names.emplace_back(name);
  }
  const std::string joined = ssh::join_names(names);
  require(std::ranges::equal(ssh::split_names(joined), names), "names survive being joined");
  const std::string_view common = ssh::first_common(list, other);
  for (const std::string& name : names) {
    if (!ssh::contains_name(other, name)) continue;
    require(common == name, "the first one is chosen that both have");
    return;
  }
  require(common.empty(), "only what both have is chosen");
}

using Lines = std::vector<std::string_view>;

Bytes kexinit_of(const Lines& lines, std::size_t from) {
  const auto line = [&](std::size_t i) { return from + i < lines.size() ? lines[from + i] : ""; };
  ssh::KexInitMessage m{};
  m.key_exchanges.text = line(0), m.host_keys.text = line(1);
  m.ciphers_to_server.text = line(2), m.ciphers_to_client.text = line(3);
  m.macs_to_server.text = line(4), m.macs_to_client.text = line(5);
  m.compressions_to_server.text = line(6), m.compressions_to_client.text = line(7);
  m.first_packet_follows = line(8) == "guess";
  return ssh::encoded(m);
}
constexpr std::size_t kLinesOfKexinit = 9;

bool same(const ssh::Agreement::Direction& a, const ssh::Agreement::Direction& b) {
  return a.cipher == b.cipher && a.mac == b.mac;
}

void negotiate(const Bytes& client, const Bytes& server) {
  const auto one = ssh::negotiate(ssh::Role::client, client, server);
  const auto other = ssh::negotiate(ssh::Role::server, server, client);
  require(one.has_value() == other.has_value(), "both sides agree, or none");
  if (!one) return;
  require(one->key_exchange == other->key_exchange && one->host_key == other->host_key &&
              same(one->to_server, other->to_server) && same(one->to_client, other->to_client),
          "both sides agree on the same");
  for (const auto& direction : {one->to_server, one->to_client})
    require((direction.mac == nullptr) == direction.cipher->is_aead, "a MAC where the cipher brings none");
}

const Bytes& ours(ssh::Role role) {
  static test::SeededRandom random(1);
  static const std::vector<crypto::PublicKey> keys = {test::host_key().public_key()};
  static const Bytes client = ssh::make_kexinit(ssh::Role::client, {}, {}, {}, true, random);
  static const Bytes server = ssh::make_kexinit(ssh::Role::server, {}, keys, {}, true, random);
  return role == ssh::Role::client ? client : server;
}

void negotiate_lines(std::string_view text) {
  Lines lines;
  for (std::size_t end = 0; end != std::string_view::npos && lines.size() < 2 * kLinesOfKexinit;) {
    end = text.find('\n');
    lines.push_back(text.substr(0, end));
    text = end == std::string_view::npos ? text : text.substr(end + 1);
  }
  for (std::size_t i = 0; i + 1 < lines.size(); ++i) read_names(lines[i], lines[i + 1]);
  const Bytes theirs = kexinit_of(lines, 0);
  negotiate(theirs, kexinit_of(lines, kLinesOfKexinit));
  negotiate(ours(ssh::Role::client), theirs);
  negotiate(theirs, ours(ssh::Role::server));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView input(data, size);
  read_as_each(copy_of(input), static_cast<ssh::AllMessages*>(nullptr));
  read_fields<ssh::TcpipOpen>(input);
  read_fields<ssh::DirectStreamlocalOpen>(input);
  read_fields<ssh::ForwardedStreamlocalOpen>(input);
  read_fields<ssh::InstanceRequest>(input);
  read_fields<ssh::PublicKeyMethod>(input);
  negotiate_lines(as_text(input));
  negotiate(ours(ssh::Role::client), copy_of(input));
  negotiate(copy_of(input), ours(ssh::Role::server));
  return 0;
}

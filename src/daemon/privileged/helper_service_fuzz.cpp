// SPDX-License-Identifier: Apache-2.0
// The calls of the privileged helper: the input is one message of a worker in the wrong hands.
#include "daemon/privileged/helper_service.hpp"

#include <cstdint>
#include <cstdlib>

#include "base/wire.hpp"
#include "tests/support/recorded_privileges.hpp"

using namespace culvert;

namespace {

struct Helper {
  Helper() {
    own.files["rules"] =
        "[[user]]\nname = \"ann\"\nauthorized_keys = \"/keys\"\nlisten = [\"192.0.2.0/24:1-1023\", "
        "\"!192.0.2.7:81\"]\n";
    plan.options.rules_file = "rules";
    plan.listen = {{relay::HostPort{"*", 22}}};
    accounts = *server::Accounts::load(plan.options, own);
  }

  testing::RecordedPrivileges own;
  daemon::ServerPlan plan;
  std::unique_ptr<server::Accounts> accounts;
};

bool may_be_bound(const IpAddress& address, std::uint16_t port) {
  if (port == 22 && (address == IpAddress::v4(0) || address == *IpAddress::parse("::"))) return true;
  return IpNetwork::parse("192.0.2.0/24")->contains(address) && port < 1024 &&
         !(port == 81 && address == *IpAddress::parse("192.0.2.7"));
}

void check_signed(ByteView message) {
  const auto name = Reader(message).text();
  const bool is_hash = message.size() == 32 || message.size() == 48 || message.size() == 64;
  if (!is_hash && (!name || *name != "hostkeys-prove-00@openssh.com")) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Helper helper;
  helper.own.opened.clear();
  helper.own.bound.clear();
  helper.own.signed_messages.clear();
  const ByteView message(data, size);
  const auto answer = daemon::HelperService(helper.plan, helper.own, *helper.accounts).answer(message);
  const auto request = helper::decode_request(message);
  const auto reply = helper::decode_reply(answer.reply);
  if (!reply && (answer.descriptor || reply.error().message.empty())) std::abort();
  if (!request) return reply ? std::abort(), 0 : 0;
  if (helper::encode(*request) != copy_of(message)) std::abort();  // there is one way to write a request
  for (const std::string& path : helper.own.opened) {
    if (path != "rules" && path != "/keys") std::abort();
  }
  for (const auto& endpoint : helper.own.bound) {
    const auto& bind = std::get<helper::BindRequest>(*request);
    if (endpoint.port() != bind.port || !may_be_bound(bind.address, bind.port)) std::abort();
  }
  for (const Bytes& one : helper.own.signed_messages) check_signed(one);
  return 0;
}

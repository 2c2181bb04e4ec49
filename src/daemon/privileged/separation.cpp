// SPDX-License-Identifier: Apache-2.0
#include "daemon/privileged/separation.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "base/log.hpp"
#include "base/text.hpp"
#include "daemon/privileged/helper_client.hpp"
#include "daemon/privileged/helper_service.hpp"
#include "daemon/privileged/process_account.hpp"
#include "daemon/privileged/sandbox.hpp"
#include "engine/server/account.hpp"
#include "engine/server/own_privileges.hpp"
#include "net/message_channel.hpp"
#include "net/unique_fd.hpp"

namespace culvert::daemon {
namespace {

using Privileges = std::unique_ptr<server::Privileges>;
using Action = KernelPlan::Action;

bool has(const Plan& plan, Action action) {
  return std::ranges::find(plan.kernel, action, &KernelPlan::action) != plan.kernel.end();
}

Result<std::unique_ptr<server::OwnPrivileges>> load(const ServerPlan& plan) {
  return server::OwnPrivileges::load(plan.options.host_key_files, plan.options.made_host_key);
}

// Of root the helper keeps what binding ports and reading files of others takes, and it changes nothing.
Result<void> give_up_the_rest(bool enters_sandbox) {
  TRY(keep_capabilities(kBindService | kReadFiles));
  TRY(confine(Sandboxed::helper, enters_sandbox));  // the worker says what it lacks
  return {};
}

// Answers until the worker is gone.
Result<void> help(const ServerPlan& plan, bool enters_sandbox, net::MessageChannel& channel) {
  auto own = load(plan);
  if (!own) return channel.send(encode_greeting(std::unexpected(own.error())));
  set_log_threshold(LogLevel::none);  // what is wrong in the files the worker says, who reads them too
  const auto accounts = server::Accounts::load(plan.options, **own);
  if (!accounts) return channel.send(encode_greeting(std::unexpected(accounts.error())));
  // Not before: the host key may have been made.
  if (const auto rid = give_up_the_rest(enters_sandbox); !rid)
    return channel.send(encode_greeting(std::unexpected(rid.error())));
  TRY(channel.send(encode_greeting((*own)->host_keys())));
  HelperService service(plan, **own, **accounts);
  for (;;) {
    const auto message = TRY(channel.receive(helper::kLongestMessage));
    const auto answer = service.answer(message.bytes);
    TRY(channel.send(answer.reply, answer.descriptor.get()));
  }
}

int be_helper(const ServerPlan& plan, bool enters_sandbox, net::MessageChannel channel) {
  const auto ended = help(plan, enters_sandbox, channel);
  return !ended && ended.error().code == Errc::closed ? 0 : 1;
}

Result<Privileges> start_helper(const ServerPlan& plan, bool enters_sandbox) {
  auto channel = net::MessageChannel::make_pair();
  if (!channel) return fail(Errc::system, "cannot start the privileged helper: " + channel.error().message);
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("cannot start the privileged helper", errno);
  net::UniqueFd end(ends[0]);
  net::UniqueFd life(ends[1]);  // closed when the helper ends, however that happens
  auto process = TRY(HelperProcess::start("culvert-helper", [&] {
    {
      const auto others = std::move(channel->first);
    }
    end.reset();
    return be_helper(plan, enters_sandbox, std::move(channel->second));
  }));
  {
    const auto others = std::move(channel->second);
  }
  return TRY(HelperClient::meet(std::move(channel->first), std::move(end), std::move(process)));
}

void tell_account(const Plan& plan, const ProcessAccount& account, Capabilities kept) {
  if (account.user == 0) {
    log(LogLevel::warning, "--user {}: all of it runs with the rights of root", printable(account.name));
  } else if (!plan.servers.empty()) {
    log(LogLevel::notice, "runs as {}; a helper keeps the host keys, and opens files and ports",
        printable(account.name));
  } else if (has(plan, Action::keep) && kept == kNoCapabilities) {
    log(LogLevel::notice, "runs as {}; a helper keeps CAP_NET_ADMIN", printable(account.name));
  } else {
    log(LogLevel::notice, "runs as {}{}", printable(account.name),
        kept == kNoCapabilities ? "" : "; it keeps " + to_string(kept));
  }
}

Result<std::vector<std::unique_ptr<RuleKeeper>>> start_keepers(const Plan& plan,
                                                               const ProcessAccount* account) {
  std::vector<std::unique_ptr<RuleKeeper>> keepers(plan.kernel.size());
  for (std::size_t i = 0; i < keepers.size(); ++i)
    if (plan.kernel[i].action == Action::keep)
      keepers[i] = TRY(RuleKeeper::start(plan, plan.kernel[i], account));
  return keepers;
}

Result<Helpers> give_up_root(const Plan& plan, const std::function<Result<void>()>& with_rights) {
  const ProcessAccount account = TRY(find_process_account(plan.account));
  Helpers helpers{.servers = {}, .rules = TRY(start_keepers(plan, &account))};
  for (const ServerPlan& server : plan.servers)
    helpers.servers.push_back(TRY(start_helper(server, plan.sandbox)));
  TRY(with_rights());
  const Capabilities kept = capabilities_for(plan, TRY(permitted_capabilities()));
  TRY(become(account, kept));
  tell_account(plan, account, kept);
  return helpers;
}

Result<Helpers> take_privileges(const Plan& plan, const std::function<Result<void>()>& with_rights) {
  if (::geteuid() == 0) return give_up_root(plan, with_rights);
  if (!plan.account.empty()) {
    const ProcessAccount account = TRY(find_process_account(plan.account));
    if (account.user != ::geteuid())
      return fail(Errc::usage,
                  "--user: only root can run as somebody else (start it as root, or leave that out)");
  }
  Helpers helpers{.servers = {}, .rules = TRY(start_keepers(plan, nullptr))};
  for (const ServerPlan& server : plan.servers) helpers.servers.push_back(TRY(load(server)));
  TRY(with_rights());
  // A server binds ports at any time; it has what its file or its unit gave it.
  if (plan.servers.empty()) TRY(keep_capabilities(capabilities_for(plan, TRY(permitted_capabilities()))));
  return helpers;
}

}  // namespace

Capabilities capabilities_for(const Plan& plan, Capabilities permitted) {
  // Either of them lets a socket have the address of somebody else; who has both keeps the one that cannot
  // change how the machine routes and filters. Raw sockets, the rest of it, the sandbox refuses.
  const Capabilities any_address = (permitted & kNetRaw) != 0 ? kNetRaw : kNetAdmin;
  const auto is_low = [](std::uint16_t port) { return port > 0 && port < 1024; };
  Capabilities needed = has(plan, Action::clean) ? kNetAdmin : kNoCapabilities;
  for (const DirectPlan& direct : plan.direct) {
    if (direct.transparent) needed |= any_address;
    // A datagram of a visitor comes from the visitor's port.
    const bool has_datagrams = std::ranges::any_of(
        direct.forwards, [](const DirectForward& forward) { return forward.transport == Transport::udp; });
    if ((direct.source && is_low(direct.source->port)) || (direct.transparent && has_datagrams))
      needed |= kBindService;
  }
  return needed & permitted;
}

Result<Helpers> separate_privileges(const Plan& plan, const std::function<Result<void>()>& with_rights) {
  const bool changes_rules = has(plan, Action::keep) || has(plan, Action::clean);
  // A client needs its user's files and programs.
  const bool reads_routers = plan.gateway && plan.sessions.empty();
  if (plan.servers.empty() && plan.direct.empty() && !changes_rules && !reads_routers) {
    TRY(with_rights());
    return Helpers{.servers = {}, .rules = std::vector<std::unique_ptr<RuleKeeper>>(plan.kernel.size())};
  }
  if (changes_rules && (TRY(permitted_capabilities()) & kNetAdmin) == 0) {
    return fail(Errc::denied,
                "map --kernel needs CAP_NET_ADMIN: start it as root, or give culvert that with 'setcap "
                "cap_net_admin+ep'; without --kernel the same mappings work in user space");
  }
  auto helpers = TRY(take_privileges(plan, with_rights));
  const std::string lacks = TRY(confine(Sandboxed::forwarder, plan.sandbox));
  if (!lacks.empty()) log(LogLevel::warning, "{}; going on without", lacks);
  return helpers;
}

}  // namespace culvert::daemon

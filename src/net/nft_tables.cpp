// SPDX-License-Identifier: Apache-2.0
#include "net/nft_tables.hpp"

#include <cerrno>
#include <cstdint>
#include <string_view>

#include <linux/netlink.h>
#include <nftables/libnftables.h>
#include <sys/socket.h>

#include "base/text.hpp"
#include "net/unique_fd.hpp"

namespace culvert::net {
namespace {

constexpr unsigned kNumbers = NFT_CTX_OUTPUT_NUMERIC_PROTO;

// "/dev/stdin:3:1-20: Error: Could not process rule: File exists", and then what was wrong, underlined.
Error error_of(std::string_view said) {
  std::string_view line = said.substr(0, said.find('\n'));
  if (const auto start = line.find("Error: "); start != std::string_view::npos) line.remove_prefix(start + 7);
  Errc code = Errc::system;
  if (line.ends_with("Operation not permitted")) code = Errc::denied;
  if (line.ends_with("No such file or directory")) code = Errc::not_found;
  return {code, line.empty() ? std::string("libnftables does not say why") : printable(line)};
}

}  // namespace

void NftTables::Free::operator()(nft_ctx* context) const { ::nft_ctx_free(context); }

Result<NftTables> NftTables::open() {
  // Without one, libnftables would end the process.
  const UniqueFd netlink(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
  if (!netlink) return fail_errno("cannot reach nftables", errno);
  NftTables tables(::nft_ctx_new(NFT_CTX_DEFAULT));
  if (!tables.context_ || ::nft_ctx_buffer_output(tables.context_.get()) != 0 ||
      ::nft_ctx_buffer_error(tables.context_.get()) != 0)
    return fail_errno("cannot reach nftables", ENOMEM);
  return tables;
}

Result<std::string> NftTables::run(const std::string& commands, unsigned flags) {
  ::nft_ctx_output_set_flags(context_.get(), flags);
  const int status = ::nft_run_cmd_from_buffer(context_.get(), commands.c_str());
  const char* said =
      ::nft_ctx_get_error_buffer(context_.get());  // taken out each time: it would go on growing
  if (said == nullptr) said = "";
  if (status != 0) return std::unexpected(error_of(said));
  return std::string(said);
}

Result<void> NftTables::run(const std::string& commands) {
  (void)TRY(run(commands, kNumbers));
  (void)::nft_ctx_get_output_buffer(context_.get());
  return {};
}

Result<std::string> NftTables::list(const std::string& command, State state) {
  const auto warnings = run(command, kNumbers | (state == State::without ? NFT_CTX_OUTPUT_STATELESS : 0));
  const char* printed = ::nft_ctx_get_output_buffer(context_.get());
  if (!warnings) return std::unexpected(warnings.error());
  return *warnings + (printed == nullptr ? "" : printed);
}

}  // namespace culvert::net

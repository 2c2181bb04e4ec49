// SPDX-License-Identifier: Apache-2.0
#include "net/nft_tables.hpp"

#include <dlfcn.h>

#include <cerrno>
#include <cstdint>
#include <string_view>

#include <linux/netlink.h>
#include <nftables/libnftables.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <fmt/format.h>

#include "base/text.hpp"
#include "net/unique_fd.hpp"

namespace culvert::net {
namespace {

// Loaded when rules are wanted: it brings five other libraries, which most processes never need.
struct Library {
  decltype(&::nft_ctx_new) make = nullptr;
  decltype(&::nft_ctx_free) free = nullptr;
  decltype(&::nft_ctx_buffer_output) keep_output = nullptr;
  decltype(&::nft_ctx_buffer_error) keep_errors = nullptr;
  decltype(&::nft_ctx_get_output_buffer) output = nullptr;
  decltype(&::nft_ctx_get_error_buffer) errors = nullptr;
  decltype(&::nft_ctx_output_set_flags) set_flags = nullptr;
  decltype(&::nft_run_cmd_from_buffer) run = nullptr;
  bool is_whole = false;

  Library() {
    void* const library = ::dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return;
    is_whole = find(library, "nft_ctx_new", make) && find(library, "nft_ctx_free", free) &&
               find(library, "nft_ctx_buffer_output", keep_output) &&
               find(library, "nft_ctx_buffer_error", keep_errors) &&
               find(library, "nft_ctx_get_output_buffer", output) &&
               find(library, "nft_ctx_get_error_buffer", errors) &&
               find(library, "nft_ctx_output_set_flags", set_flags) &&
               find(library, "nft_run_cmd_from_buffer", run);
  }

  static constexpr const char* kLibrary = "libnftables.so.1";

 private:
  template <class Function>
  static bool find(void* library, const char* name, Function& function) {
    function = reinterpret_cast<Function>(::dlsym(library, name));
    return function != nullptr;
  }
};

const Library& library() {
  static const Library loaded;
  return loaded;
}

constexpr std::size_t kSpares = 4;
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

void NftTables::Free::operator()(nft_ctx* context) const { library().free(context); }

Result<NftTables> NftTables::open() {
  if (!library().is_whole) {
    return fail(
        Errc::unsupported,
        fmt::format("rules need {}, which is not there (apt-get install libnftables1)", Library::kLibrary));
  }
  // Without one, libnftables would end the process.
  const UniqueFd netlink(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
  if (!netlink) return fail_errno("cannot reach nftables", errno);
  NftTables tables(library().make(NFT_CTX_DEFAULT));
  if (!tables.context_ || library().keep_output(tables.context_.get()) != 0 ||
      library().keep_errors(tables.context_.get()) != 0)
    return fail_errno("cannot reach nftables", ENOMEM);
  return tables;
}

Result<std::string> NftTables::run(const std::string& commands, unsigned flags) {
  if (!take_spares()) return fail(Errc::limit, "too many open files");
  spares_.clear();
  library().set_flags(context_.get(), flags);
  const int status = library().run(context_.get(), commands.c_str());
  const char* said = library().errors(context_.get());  // taken out each time: it would go on growing
  if (said == nullptr) said = "";
  (void)take_spares();
  if (status != 0) return std::unexpected(error_of(said));
  return std::string(said);
}

bool NftTables::take_spares() {
  while (spares_.size() < kSpares) {
    UniqueFd spare(::eventfd(0, EFD_CLOEXEC));
    if (!spare) return false;
    spares_.push_back(std::move(spare));
  }
  return true;
}

Result<void> NftTables::run(const std::string& commands) {
  (void)TRY(run(commands, kNumbers));
  (void)library().output(context_.get());
  return {};
}

Result<std::string> NftTables::list(const std::string& command, Detail detail) {
  unsigned flags = kNumbers;
  if (detail != Detail::counters) flags |= NFT_CTX_OUTPUT_STATELESS;
  if (detail == Detail::outline) flags |= NFT_CTX_OUTPUT_TERSE;
  const auto warnings = run(command, flags);
  const char* printed = library().output(context_.get());
  if (!warnings) return std::unexpected(warnings.error());
  return *warnings + (printed == nullptr ? "" : printed);
}

}  // namespace culvert::net

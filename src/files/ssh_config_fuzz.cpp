// SPDX-License-Identifier: Apache-2.0
// Configuration files: the first line of the input is the host; the rest is a file, which is also what every
// Include finds.
#include "files/ssh_config.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "base/bytes.hpp"
#include "files/config_words.hpp"

using namespace culvert;

namespace {

class Hooks final : public files::ConfigHooks {
 public:
  Hooks(std::string_view host, std::string_view text) : host_(host), text_(text) {}

  Result<bool> succeeds(std::string_view command) override { return command.size() % 2 == 0; }
  Result<bool> has_address_in(std::string_view networks) override { return networks.size() % 2 == 0; }

  Result<void> apply(const files::ConfigLine& line, bool active) override {
    if (line.keyword.empty() || line.rest.empty() || line.number == 0) std::abort();
    (void)files::split_words(line.rest);
    if (active && line.keyword == "user") user_ = line.rest;
    if (line.keyword == "unknown") return fail(Errc::not_found, "Bad configuration option: unknown");
    if (line.keyword == "cannot") return fail(Errc::unsupported, "not here");
    return {};
  }
  files::MatchFacts facts() override {
    return {.host = host_, .original_host = host_, .user = user_, .local_user = "me"};
  }
  Result<std::vector<std::string>> find_files(const std::string& pattern) override {
    return std::vector<std::string>(pattern.size() % 3, pattern);
  }
  Result<std::string> read_file(const std::string&) override {
    if (++reads_ > files::kMaxConfigFiles) std::abort();
    return std::string(text_);
  }
  void report(std::string_view error) override {
    if (error.empty() || error.contains('\n')) std::abort();
    ++reports_;
  }
  std::size_t reports_ = 0;

 private:
  std::string host_, user_ = "user";
  std::string_view text_;
  std::size_t reads_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = as_text(ByteView(data, size));
  const std::string_view host = input.substr(0, input.find('\n'));
  // Files that include themselves twice are read a thousand times.
  const std::string_view text = input.substr(std::min(host.size() + 1, input.size())).substr(0, 512);
  for (const bool final_pass : {false, true}) {
    Hooks hooks(host, text);
    const files::ConfigPass pass{.host = std::string(host),
                                 .include_folder = "/folder",
                                 .home_allowed = size % 2 == 0,
                                 .final_pass = final_pass};
    if (files::read_config("file", text, pass, hooks) && hooks.reports_ != 0) std::abort();
  }
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
#include "engine/server/host_keys.hpp"

#include <algorithm>
#include <iterator>

#include <boost/asio/post.hpp>

#include <fmt/format.h>

#include "base/text.hpp"
#include "engine/server/opened_file.hpp"
#include "net/run.hpp"

namespace culvert::server {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kLongestCertificate = 256 * 1024;

}  // namespace

Result<std::unique_ptr<HostKeys>> HostKeys::load(Privileges& privileges,
                                                 const std::vector<std::string>& certificate_files) {
  std::unique_ptr<HostKeys> all(new HostKeys(privileges));
  for (const std::string& path : certificate_files) {
    const std::string name = printable(path);
    const auto file = files::read_text_file(path, kLongestCertificate, opener(privileges));
    if (!file) return fail(file.error().code, "host certificate: " + file.error().message);
    auto certificate = crypto::parse_certificate_line(file->text);
    if (!certificate) {
      return fail(certificate.error().code,
                  fmt::format("host certificate {}: {}", name, certificate.error().message));
    }
    if (std::ranges::find(all->keys(), certificate->key()) == all->keys().end())
      return fail(Errc::usage, fmt::format("host certificate {}: it is of none of the host keys", name));
    all->certificates_.push_back(std::move(*certificate));
  }
  return all;
}

HostKeys::HostKeys(Privileges& privileges) : privileges_(privileges) {
  for (std::size_t i = 0; i < keys().size(); ++i) threads_.emplace_back(1);
}

HostKeys::~HostKeys() {
  for (auto& thread : threads_) thread.stop();
  for (auto& thread : threads_) thread.join();
}

void HostKeys::sign(const asio::any_io_executor& executor, const crypto::PublicKey& key,
                    std::string algorithm, Bytes message, std::stop_token unwanted,
                    std::function<void(Bytes)> done) {
  const auto found = std::ranges::find(keys(), key);
  if (found == keys().end()) return asio::post(executor, [done = std::move(done)] { done({}); });
  const auto number = static_cast<std::size_t>(found - keys().begin());
  asio::post(*std::next(threads_.begin(), found - keys().begin()),
             [this, number, executor, algorithm = std::move(algorithm), message = std::move(message),
              unwanted = std::move(unwanted), done = std::move(done)] {
               if (unwanted.stop_requested()) return;
               auto signature = privileges_.sign(number, algorithm, message);
               net::post_from_outside(executor,
                                      [done, blob = signature ? std::move(*signature) : Bytes()]() mutable {
                                        done(std::move(blob));
                                      });
             });
}

}  // namespace culvert::server

// SPDX-License-Identifier: Apache-2.0
// Inside crypto only: the key exchanges in which both sides do the same.
#pragma once

#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/assert.hpp"
#include "base/bytes.hpp"
#include "base/secret.hpp"
#include "crypto/key_exchange.hpp"
#include "crypto/random.hpp"
#include "crypto/shared_secret.hpp"

namespace culvert::crypto {

/// Each side shows one value, and both agree on one secret. `Make` draws a key: `public_value()`, and
/// `agree(ByteView)`, a Result<SecretBytes>.
template <class Make>
class KeyAgreement final : public KeyExchange {
 public:
  KeyAgreement(bool values_are_mpints, Make make)
      : make_(std::move(make)), values_are_mpints_(values_are_mpints) {}

  bool values_are_mpints() const override { return values_are_mpints_; }

  Result<Bytes> start(Random& random) override {
    ours_.emplace(make_(random));
    return copy_of(ours_->public_value());
  }

  Result<SharedSecret> finish(ByteView server_value) override {
    CULVERT_ASSERT(ours_.has_value());
    const auto ours = std::exchange(ours_, std::nullopt);
    return encode_as_mpint(TRY(ours->agree(server_value)));
  }

  Result<Response> respond(ByteView client_value, Random& random) override {
    const auto ours = make_(random);
    const SecretBytes shared = TRY(ours.agree(client_value));
    return Response{copy_of(ours.public_value()), encode_as_mpint(shared)};
  }

 private:
  const Make make_;
  const bool values_are_mpints_;
  std::optional<std::invoke_result_t<const Make&, Random&>> ours_;
};

template <class Make>
[[nodiscard]] std::unique_ptr<KeyExchange> key_agreement(bool values_are_mpints, Make make) {
  return std::make_unique<KeyAgreement<Make>>(values_are_mpints, std::move(make));
}

}  // namespace culvert::crypto

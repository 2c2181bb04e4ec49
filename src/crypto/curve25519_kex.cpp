// SPDX-License-Identifier: Apache-2.0
#include <optional>
#include <utility>

#include "base/assert.hpp"
#include "crypto/key_exchanges.hpp"
#include "crypto/shared_secret.hpp"
#include "crypto/x25519.hpp"

namespace culvert::crypto {
namespace {

class Curve25519 final : public KeyExchange {
 public:
  bool values_are_mpints() const override { return false; }

  Result<Bytes> start(Random& random) override {
    ours_.emplace(random);
    return copy_of(ours_->public_value());
  }

  Result<SharedSecret> finish(ByteView server_value) override {
    CULVERT_ASSERT(ours_.has_value());
    const auto ours = std::exchange(ours_, std::nullopt);
    return encode_as_mpint(TRY(ours->agree(server_value)));
  }

  Result<Response> respond(ByteView client_value, Random& random) override {
    const X25519Key ours(random);
    const SecretBytes shared = TRY(ours.agree(client_value));
    return Response{copy_of(ours.public_value()), encode_as_mpint(shared)};
  }

 private:
  std::optional<X25519Key> ours_;
};

}  // namespace

std::unique_ptr<KeyExchange> make_curve25519() { return std::make_unique<Curve25519>(); }

}  // namespace culvert::crypto

// SPDX-License-Identifier: Apache-2.0
// RFC 10042 section 2: client sends ek | x25519, server answers ciphertext | x25519, and
// K = SHA-256(K_mlkem | K_x25519), a string.
#include <optional>
#include <utility>

#include "base/assert.hpp"
#include "crypto/hash.hpp"
#include "crypto/key_exchanges.hpp"
#include "crypto/mlkem768.hpp"
#include "crypto/shared_secret.hpp"
#include "crypto/x25519.hpp"

namespace culvert::crypto {
namespace {

SharedSecret combine(const SecretBytes& post_quantum, const SecretBytes& classical) {
  return encode_as_string(Hasher(HashId::sha256).update(post_quantum).update(classical).finish());
}

Bytes join(ByteView first, ByteView second) {
  Bytes all = copy_of(first);
  all.insert(all.end(), second.begin(), second.end());
  return all;
}

class Mlkem768X25519 final : public KeyExchange {
 public:
  bool values_are_mpints() const override { return false; }

  Result<Bytes> start(Random& random) override {
    SecretBytes seed(mlkem768::kSeedSize);
    random.fill(seed.mutable_view());
    mlkem768::KeyPair pair = mlkem768::generate(seed);
    decapsulation_key_ = std::move(pair.decapsulation_key);
    x25519_.emplace(random);
    return join(pair.encapsulation_key, x25519_->public_value());
  }

  Result<SharedSecret> finish(ByteView server_value) override {
    CULVERT_ASSERT(x25519_.has_value());
    const auto x25519 = std::exchange(x25519_, std::nullopt);
    const SecretBytes decapsulation_key = std::move(decapsulation_key_);
    if (server_value.size() != mlkem768::kCiphertextSize + kX25519Size) {
      return bad_public_value("mlkem768x25519: wrong length");
    }
    const SecretBytes post_quantum =
        TRY(mlkem768::decapsulate(decapsulation_key, server_value.first(mlkem768::kCiphertextSize)));
    const SecretBytes classical = TRY(x25519->agree(server_value.last(kX25519Size)));
    return combine(post_quantum, classical);
  }

  Result<Response> respond(ByteView client_value, Random& random) override {
    if (client_value.size() != mlkem768::kEncapsulationKeySize + kX25519Size) {
      return bad_public_value("mlkem768x25519: wrong length");
    }
    SecretBytes message(mlkem768::kMessageSize);
    random.fill(message.mutable_view());
    const mlkem768::Encapsulated encapsulated =
        TRY(mlkem768::encapsulate(client_value.first(mlkem768::kEncapsulationKeySize), message));
    const X25519Key x25519(random);
    const SecretBytes classical = TRY(x25519.agree(client_value.last(kX25519Size)));
    return Response{join(encapsulated.ciphertext, x25519.public_value()),
                    combine(encapsulated.shared_secret, classical)};
  }

 private:
  SecretBytes decapsulation_key_;
  std::optional<X25519Key> x25519_;
};

}  // namespace

std::unique_ptr<KeyExchange> make_mlkem768x25519() { return std::make_unique<Mlkem768X25519>(); }

}  // namespace culvert::crypto

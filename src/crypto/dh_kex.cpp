// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "base/assert.hpp"
#include "base/secret.hpp"
#include "crypto/evp.hpp"
#include "crypto/key_agreement.hpp"
#include "crypto/key_exchanges.hpp"
#include "crypto/key_handles.hpp"
#include "crypto/shared_secret.hpp"

namespace culvert::crypto {
namespace {

struct Group {
  BIGNUM* (*prime)(BIGNUM*);  ///< RFC 3526; the generator is 2
  std::size_t size;           ///< of the prime, bytes
};

constexpr std::array<Group, 2> kGroups = {
    {{BN_get_rfc3526_prime_2048, 256}, {BN_get_rfc3526_prime_4096, 512}}};
/// Twice the strength of the larger group and more (RFC 3526 section 8 puts that at 240 bits at most).
constexpr std::size_t kExponentSize = 64;
constexpr BN_ULONG kGenerator = 2;

class DhKey {
 public:
  DhKey(const Group& group, Random& random)
      : group_(&group), prime_(group.prime(nullptr)), exponent_(BN_secure_new()) {
    CULVERT_ASSERT(prime_ != nullptr && exponent_ != nullptr);
    SecretBytes bytes(kExponentSize);
    random.fill(bytes.mutable_view());
    BN_set_flags(exponent_.get(), BN_FLG_CONSTTIME);
    CULVERT_ASSERT(BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), exponent_.get()) != nullptr);
    const SecretNumber generator(BN_new());
    CULVERT_ASSERT(generator != nullptr && BN_set_word(generator.get(), kGenerator) == 1);
    const SecretBytes power = raise(*generator);
    public_ = copy_of(power);
  }

  [[nodiscard]] const Bytes& public_value() const { return public_; }

  [[nodiscard]] Result<SecretBytes> agree(ByteView peer) const {
    if (peer.size() > group_->size) return bad_public_value("Diffie-Hellman: longer than the prime");
    const SecretNumber value(BN_bin2bn(peer.data(), static_cast<int>(peer.size()), nullptr));
    const SecretNumber last(BN_dup(prime_.get()));
    CULVERT_ASSERT(value != nullptr && last != nullptr && BN_sub_word(last.get(), 2) == 1);
    // 0, 1 and p - 1 would let the peer choose the secret.
    if (BN_is_zero(value.get()) || BN_is_one(value.get()) || BN_cmp(value.get(), last.get()) > 0) {
      return bad_public_value("Diffie-Hellman: not between 2 and p - 2");
    }
    return raise(*value);
  }

 private:
  /// base to the power of the exponent, as long as the prime, in a time that depends on neither.
  [[nodiscard]] SecretBytes raise(const BIGNUM& base) const {
    const NumberContext numbers(BN_CTX_new());
    const SecretNumber power(BN_secure_new());
    CULVERT_ASSERT(numbers != nullptr && power != nullptr);
    CULVERT_ASSERT(BN_mod_exp_mont_consttime(power.get(), &base, exponent_.get(), prime_.get(), numbers.get(),
                                             nullptr) == 1);
    SecretBytes out(group_->size);
    CULVERT_ASSERT(BN_bn2binpad(power.get(), out.data(), static_cast<int>(out.size())) > 0);
    return out;
  }

  const Group* group_;
  SecretNumber prime_;
  SecretNumber exponent_;
  Bytes public_;
};

}  // namespace

std::unique_ptr<KeyExchange> make_dh(DhGroup group) {
  return key_agreement(true, [&numbers = kGroups.at(static_cast<std::size_t>(group))](Random& random) {
    return DhKey(numbers, random);
  });
}

}  // namespace culvert::crypto

// SPDX-License-Identifier: Apache-2.0
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/obj_mac.h>
#include <openssl/params.h>

#include <array>
#include <string>

#include "base/assert.hpp"
#include "base/secret.hpp"
#include "crypto/evp.hpp"
#include "crypto/key_agreement.hpp"
#include "crypto/key_exchanges.hpp"
#include "crypto/key_handles.hpp"
#include "crypto/shared_secret.hpp"

namespace culvert::crypto {
namespace {

using Group = std::unique_ptr<EC_GROUP, Releaser<EC_GROUP_free>>;
using Point = std::unique_ptr<EC_POINT, Releaser<EC_POINT_free>>;

struct Curve {
  const char* name;
  int nid;
  std::size_t field_size;    ///< bytes of a coordinate, of a scalar, and of the result
  std::uint8_t scalar_mask;  ///< for its first byte: no longer than the order
};

constexpr std::array<Curve, 3> kCurves = {{{"prime256v1", NID_X9_62_prime256v1, 32, 0xff},
                                           {"secp384r1", NID_secp384r1, 48, 0xff},
                                           {"secp521r1", NID_secp521r1, 66, 0x01}}};
constexpr int kMaxDraws = 64;
constexpr std::uint8_t kUncompressed =
    0x04;  // SEC 1 section 2.3.3; RFC 5656 lets us refuse the compressed form

/// A key from its parts. Null if OpenSSL does not accept them: `point` is not on the curve.
Pkey make_key(const Curve& curve, ByteView point, MutableBytes native_scalar) {
  std::string name = curve.name;
  Bytes point_copy = copy_of(point);
  const bool is_pair = !native_scalar.empty();
  std::array parameters = {
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, name.data(), 0),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point_copy.data(), point_copy.size()),
      is_pair ? OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY, native_scalar.data(), native_scalar.size())
              : OSSL_PARAM_construct_end(),
      OSSL_PARAM_construct_end()};
  return key_of_parts("EC", is_pair ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, parameters.data());
}

class EcdhKey {
 public:
  EcdhKey(const Curve& curve, Random& random) : curve_(&curve) {
    const Group group(EC_GROUP_new_by_curve_name(curve.nid));
    const Point point(EC_POINT_new(group.get()));
    const NumberContext numbers(BN_CTX_new());
    CULVERT_ASSERT(group != nullptr && point != nullptr && numbers != nullptr);

    const SecretNumber scalar = draw_scalar(curve, *EC_GROUP_get0_order(group.get()), random);
    CULVERT_ASSERT(EC_POINT_mul(group.get(), point.get(), scalar.get(), nullptr, nullptr, numbers.get()) ==
                   1);
    public_.resize(1 + 2 * curve.field_size);
    CULVERT_ASSERT(EC_POINT_point2oct(group.get(), point.get(), POINT_CONVERSION_UNCOMPRESSED, public_.data(),
                                      public_.size(), numbers.get()) == public_.size());
    SecretBytes native(curve.field_size);
    CULVERT_ASSERT(BN_bn2nativepad(scalar.get(), native.data(), static_cast<int>(native.size())) > 0);
    key_ = make_key(curve, public_, native.mutable_view());
    CULVERT_ASSERT(key_ != nullptr);
  }

  [[nodiscard]] const Bytes& public_value() const { return public_; }

  [[nodiscard]] Result<SecretBytes> agree(ByteView peer) const {
    if (peer.size() != 1 + 2 * curve_->field_size || peer.front() != kUncompressed) {
      return bad_public_value("ECDH: not an uncompressed point of this curve");
    }
    const Pkey peer_key = make_key(*curve_, peer, {});
    if (peer_key == nullptr) return bad_public_value("ECDH: not a point of this curve");
    const PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key_.get(), nullptr));
    CULVERT_ASSERT(context != nullptr && EVP_PKEY_derive_init(context.get()) == 1);
    SecretBytes shared(curve_->field_size);
    std::size_t size = shared.size();
    // make_key() saw that the point is on the curve and not infinity, and the cofactor is 1: a check of its
    // order would find nothing more and take half as long again.
    if (EVP_PKEY_derive_set_peer_ex(context.get(), peer_key.get(), 0) != 1 ||
        EVP_PKEY_derive(context.get(), shared.data(), &size) != 1 || size != shared.size()) {
      ERR_clear_error();
      return bad_public_value("ECDH: not a point of this curve");
    }
    return shared;
  }

 private:
  /// Uniform in [1, order - 1].
  static SecretNumber draw_scalar(const Curve& curve, const BIGNUM& order, Random& random) {
    SecretBytes bytes(curve.field_size);
    SecretNumber scalar(BN_secure_new());
    CULVERT_ASSERT(scalar != nullptr);
    BN_set_flags(scalar.get(), BN_FLG_CONSTTIME);
    int draws = 0;
    do {  // each draw fails with a chance of at most 2^-32
      CULVERT_ASSERT(++draws <= kMaxDraws);
      random.fill(bytes.mutable_view());
      bytes.data()[0] &= curve.scalar_mask;
      CULVERT_ASSERT(BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), scalar.get()) != nullptr);
    } while (BN_is_zero(scalar.get()) || BN_cmp(scalar.get(), &order) >= 0);
    return scalar;
  }

  const Curve* curve_;
  Pkey key_;
  Bytes public_;
};

}  // namespace

std::unique_ptr<KeyExchange> make_ecdh(EcdhCurve curve) {
  return key_agreement(false, [&row = kCurves.at(static_cast<std::size_t>(curve))](Random& random) {
    return EcdhKey(row, random);
  });
}

}  // namespace culvert::crypto

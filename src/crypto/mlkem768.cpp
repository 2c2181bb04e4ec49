// SPDX-License-Identifier: Apache-2.0
// FIPS 203 with k = 3, eta1 = eta2 = 2, du = 10, dv = 4. Algorithms are numbered as there, and names are its
// names where they have a meaning: t, s, e, y, u, v; a polynomial in the domain of the NTT ends in _hat.
#include "crypto/mlkem768.hpp"

#include <openssl/opensslv.h>

#if OPENSSL_VERSION_NUMBER < 0x30500000L  // mlkem768_openssl.cpp otherwise

#include <algorithm>
#include <array>
#include <initializer_list>
#include <utility>

#include "base/assert.hpp"
#include "crypto/evp.hpp"
#include "crypto/mlkem_field.hpp"
#include "crypto/shared_secret.hpp"

namespace culvert::crypto::mlkem768 {
namespace {

using mlkem::Coefficient;
using mlkem::kDegree;
using mlkem::kQ;
using mlkem::Polynomial;

constexpr std::uint8_t kRank = 3;
constexpr std::size_t kHalf = 32;             // of every seed, hash and secret
constexpr std::size_t kPolynomialSize = 384;  // 12 bits a coefficient
constexpr std::size_t kVectorSize = kRank * kPolynomialSize;
constexpr std::size_t kCompressedUSize = 320;  // 10 bits
constexpr std::size_t kCompressedVSize = 128;  // 4 bits
constexpr std::size_t kNoiseSize = 128;        // 64 * eta

static_assert(kEncapsulationKeySize == kVectorSize + kHalf);
static_assert(kDecapsulationKeySize == kVectorSize + kEncapsulationKeySize + 2 * kHalf);
static_assert(kCiphertextSize == kRank * kCompressedUSize + kCompressedVSize);

/// A value that is wiped when it goes.
template <class Value>
struct Secret : Value {
  Secret() : Value{} {}
  ~Secret() { wipe({reinterpret_cast<std::uint8_t*>(static_cast<Value*>(this)), sizeof(Value)}); }
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
};

using Vector = std::array<Polynomial, kRank>;
using Matrix = std::array<Vector, kRank>;

// Hashes (section 4.1)

const EVP_MD* fetch(const char* name) {
  const EVP_MD* const md = EVP_MD_fetch(nullptr, name, nullptr);
  CULVERT_ASSERT(md != nullptr);
  return md;
}

const EVP_MD* shake128() {
  static const EVP_MD* const md = fetch("SHAKE128");
  return md;
}
const EVP_MD* shake256() {
  static const EVP_MD* const md = fetch("SHAKE256");
  return md;
}
const EVP_MD* sha3_256() {
  static const EVP_MD* const md = fetch("SHA3-256");
  return md;
}
const EVP_MD* sha3_512() {
  static const EVP_MD* const md = fetch("SHA3-512");
  return md;
}

MdContext absorb(const EVP_MD* md, std::initializer_list<ByteView> input) {
  MdContext context(EVP_MD_CTX_new());
  CULVERT_ASSERT(context != nullptr && EVP_DigestInit_ex2(context.get(), md, nullptr) == 1);
  for (const ByteView part : input) {
    CULVERT_ASSERT(EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1);
  }
  return context;
}

void digest(const EVP_MD* md, std::initializer_list<ByteView> input, MutableBytes out) {
  const MdContext context = absorb(md, input);
  CULVERT_ASSERT(std::cmp_equal(EVP_MD_get_size(md), out.size()));
  CULVERT_ASSERT(EVP_DigestFinal_ex(context.get(), out.data(), nullptr) == 1);
}

void shake(const EVP_MD* md, std::initializer_list<ByteView> input, MutableBytes out) {
  const MdContext context = absorb(md, input);
  CULVERT_ASSERT(EVP_DigestFinalXOF(context.get(), out.data(), out.size()) == 1);
}

// Sampling (section 4.2.2)

/// Algorithm 7. The seed is public, so its time may depend on it.
Polynomial sample_uniform(ByteView rho, std::uint8_t column, std::uint8_t row) {
  const std::array<std::uint8_t, 2> place = {column, row};
  // 672 bytes are enough but once in 10^10 times; OpenSSL 3.0 cannot squeeze more out of the same state.
  for (std::size_t size = 672;; size *= 2) {
    Bytes stream(size);
    shake(shake128(), {rho, place}, stream);
    Polynomial result{};
    std::size_t count = 0;
    for (std::size_t i = 0; i + 3 <= stream.size(); i += 3) {
      const unsigned first = stream[i] | (stream[i + 1] & 0x0fU) << 8;
      const unsigned second = stream[i + 1] >> 4 | static_cast<unsigned>(stream[i + 2]) << 4;
      for (const unsigned candidate : {first, second}) {
        if (candidate >= kQ) continue;
        result[count++] = static_cast<Coefficient>(candidate);
        if (count == kDegree) return result;
      }
    }
  }
}

/// Row i, column j is SampleNTT(rho | j | i).
Matrix expand_matrix(ByteView rho) {
  Matrix a_hat;
  for (std::uint8_t i = 0; i < kRank; ++i) {
    for (std::uint8_t j = 0; j < kRank; ++j) a_hat[i][j] = sample_uniform(rho, j, i);
  }
  return a_hat;
}

/// Algorithm 8 with eta = 2 over PRF(seed, index): each coefficient is the difference of two sums of two
/// bits.
void sample_noise(Polynomial& out, ByteView seed, std::uint8_t index) {
  Secret<std::array<std::uint8_t, kNoiseSize>> stream;
  shake(shake256(), {seed, {&index, 1}}, stream);
  for (std::size_t i = 0; i < kNoiseSize; ++i) {
    const unsigned pairs = (stream[i] & 0x55U) + ((stream[i] >> 1) & 0x55U);  // four sums, two bits each
    out[2 * i] =
        mlkem::subtract(static_cast<Coefficient>(pairs & 3), static_cast<Coefficient>((pairs >> 2) & 3));
    out[2 * i + 1] = mlkem::subtract(static_cast<Coefficient>((pairs >> 4) & 3),
                                     static_cast<Coefficient>((pairs >> 6) & 3));
  }
}

// Encoding (section 4.2.1)

/// Algorithm 5: the values of 256 calls, kBits each, lowest bit first.
template <unsigned kBits, class NextValue>
void pack(MutableBytes out, NextValue value_at) {
  std::uint32_t pending = 0;
  unsigned pending_bits = 0;
  std::size_t position = 0;
  for (std::size_t i = 0; i < kDegree; ++i) {
    pending |= static_cast<std::uint32_t>(value_at(i)) << pending_bits;
    for (pending_bits += kBits; pending_bits >= 8; pending_bits -= 8) {
      out[position++] = static_cast<std::uint8_t>(pending);
      pending >>= 8;
    }
  }
}

/// Algorithm 6, the other way round.
template <unsigned kBits, class TakeValue>
void unpack(ByteView in, TakeValue take) {
  std::uint32_t pending = 0;
  unsigned pending_bits = 0;
  std::size_t position = 0;
  for (std::size_t i = 0; i < kDegree; ++i) {
    for (; pending_bits < kBits; pending_bits += 8) {
      pending |= static_cast<std::uint32_t>(in[position++]) << pending_bits;
    }
    take(i, pending & ((1U << kBits) - 1));
    pending >>= kBits;
    pending_bits -= kBits;
  }
}

void encode(MutableBytes out, const Polynomial& f) {
  pack<12>(out, [&](std::size_t i) { return f[i]; });
}

void encode(MutableBytes out, const Vector& vector) {
  for (std::size_t i = 0; i < kRank; ++i)
    encode(out.subspan(i * kPolynomialSize, kPolynomialSize), vector[i]);
}

void decode(Vector& vector, ByteView in) {
  for (std::size_t k = 0; k < kRank; ++k) {
    unpack<12>(in.subspan(k * kPolynomialSize, kPolynomialSize), [&](std::size_t i, std::uint32_t value) {
      vector[k][i] = mlkem::subtract_q_once(value);  // 12 bits are below 2 q
    });
  }
}

template <unsigned kBits>
void encode_compressed(MutableBytes out, const Polynomial& f) {
  pack<kBits>(out, [&](std::size_t i) { return mlkem::compress<kBits>(f[i]); });
}

template <unsigned kBits>
void decode_compressed(Polynomial& f, ByteView in) {
  unpack<kBits>(in, [&](std::size_t i, std::uint32_t value) { f[i] = mlkem::decompress<kBits>(value); });
}

/// Decompress1 with a mask instead of the bit, which compilers like to branch on.
void decode_message(Polynomial& f, ByteView message) {
  for (std::size_t i = 0; i < kDegree; ++i) {
    const std::uint32_t mask = mlkem::opaque(0U - ((message[i / 8] >> (i % 8)) & 1U));
    f[i] = static_cast<Coefficient>(mask & mlkem::decompress<1>(1));
  }
}

// K-PKE (section 5)

void inner_product(Polynomial& out, const Vector& a_hat, const Vector& b_hat) {
  out = {};
  for (std::size_t i = 0; i < kRank; ++i) mlkem::multiply_add(out, a_hat[i], b_hat[i]);
}

/// Algorithm 13: `key` takes ek, `secret_key` takes the encoded s_hat.
void pke_generate(ByteView d, MutableBytes key, MutableBytes secret_key) {
  Secret<std::array<std::uint8_t, 2 * kHalf>> rho_and_sigma;
  digest(sha3_512(), {d, {&kRank, 1}}, rho_and_sigma);
  const ByteView rho = ByteView(rho_and_sigma).first(kHalf);
  const ByteView sigma = ByteView(rho_and_sigma).last(kHalf);

  const Matrix a_hat = expand_matrix(rho);
  Secret<Vector> s_hat;
  Secret<Vector> e_hat;
  std::uint8_t index = 0;
  for (Polynomial& f : s_hat) sample_noise(f, sigma, index++);
  for (Polynomial& f : e_hat) sample_noise(f, sigma, index++);
  std::ranges::for_each(s_hat, mlkem::ntt);
  std::ranges::for_each(e_hat, mlkem::ntt);

  Secret<Vector> t_hat;
  for (std::size_t i = 0; i < kRank; ++i) {
    inner_product(t_hat[i], a_hat[i], s_hat);
    mlkem::add_to(t_hat[i], e_hat[i]);
  }
  encode(key.first(kVectorSize), t_hat);
  std::ranges::copy(rho, key.begin() + kVectorSize);
  encode(secret_key, s_hat);
}

/// Algorithm 14. The ciphertext counts as secret until it is known to be the one that was sent.
void pke_encrypt(ByteView key, ByteView message, ByteView randomness, MutableBytes ciphertext) {
  const Matrix a_hat = expand_matrix(key.last(kHalf));
  Vector t_hat;
  decode(t_hat, key.first(kVectorSize));

  Secret<Vector> y_hat;
  Secret<Vector> u;
  Secret<Polynomial> v;
  Secret<Polynomial> noise;
  std::uint8_t index = 0;
  for (Polynomial& f : y_hat) sample_noise(f, randomness, index++);
  std::ranges::for_each(y_hat, mlkem::ntt);

  for (std::size_t i = 0; i < kRank; ++i) {
    for (std::size_t j = 0; j < kRank; ++j) mlkem::multiply_add(u[i], a_hat[j][i], y_hat[j]);
    mlkem::inverse_ntt(u[i]);
    sample_noise(noise, randomness, index++);
    mlkem::add_to(u[i], noise);
    encode_compressed<10>(ciphertext.subspan(i * kCompressedUSize, kCompressedUSize), u[i]);
  }

  inner_product(v, t_hat, y_hat);
  mlkem::inverse_ntt(v);
  sample_noise(noise, randomness, index++);
  mlkem::add_to(v, noise);
  decode_message(noise, message);
  mlkem::add_to(v, noise);
  encode_compressed<4>(ciphertext.last(kCompressedVSize), v);
}

/// Algorithm 15.
void pke_decrypt(ByteView secret_key, ByteView ciphertext, MutableBytes message) {
  Vector u_hat;
  for (std::size_t i = 0; i < kRank; ++i) {
    decode_compressed<10>(u_hat[i], ciphertext.subspan(i * kCompressedUSize, kCompressedUSize));
    mlkem::ntt(u_hat[i]);
  }
  Secret<Vector> s_hat;
  decode(s_hat, secret_key);
  Secret<Polynomial> product;
  inner_product(product, s_hat, u_hat);
  mlkem::inverse_ntt(product);

  Secret<Polynomial> w;
  decode_compressed<4>(w, ciphertext.last(kCompressedVSize));
  mlkem::subtract_from(w, product);
  encode_compressed<1>(message, w);
}

// ML-KEM (section 6)

/// Section 7.2: every coefficient is below q.
bool modulus_fits(ByteView key) {
  bool fits = true;
  for (std::size_t k = 0; k < kRank; ++k) {
    unpack<12>(key.subspan(k * kPolynomialSize, kPolynomialSize),
               [&](std::size_t /*i*/, std::uint32_t value) { fits = fits && value < kQ; });
  }
  return fits;
}

/// `out` = `yes` if the two are equal and `no` if not; nobody can tell which from time or memory accesses.
void select_if_equal(ByteView a, ByteView b, ByteView yes, ByteView no, MutableBytes out) {
  std::uint32_t difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) difference |= static_cast<std::uint32_t>(a[i] ^ b[i]);
  const std::uint32_t differs = mlkem::opaque(0U - ((difference + 0xff) >> 8));  // all ones or none
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<std::uint8_t>((no[i] & differs) | (yes[i] & ~differs));
  }
}

}  // namespace

KeyPair generate(ByteView seed) {
  CULVERT_ASSERT(seed.size() == kSeedSize);
  KeyPair pair{Bytes(kEncapsulationKeySize), SecretBytes(kDecapsulationKeySize)};
  // s_hat | ek | H(ek) | z
  const MutableBytes all = pair.decapsulation_key.mutable_view();
  pke_generate(seed.first(kHalf), pair.encapsulation_key, all.first(kVectorSize));
  std::ranges::copy(pair.encapsulation_key, all.begin() + kVectorSize);
  digest(sha3_256(), {pair.encapsulation_key}, all.subspan(kVectorSize + kEncapsulationKeySize, kHalf));
  std::ranges::copy(seed.last(kHalf), all.end() - kHalf);
  return pair;
}

Result<Encapsulated> encapsulate(ByteView encapsulation_key, ByteView message) {
  CULVERT_ASSERT(message.size() == kMessageSize);
  if (encapsulation_key.size() != kEncapsulationKeySize) return bad_public_value("ML-KEM-768: wrong length");
  if (!modulus_fits(encapsulation_key)) return bad_public_value("ML-KEM-768: a coefficient is too large");

  std::array<std::uint8_t, kHalf> key_hash{};
  digest(sha3_256(), {encapsulation_key}, key_hash);
  Secret<std::array<std::uint8_t, 2 * kHalf>> secret_and_randomness;
  digest(sha3_512(), {message, key_hash}, secret_and_randomness);
  const ByteView both = secret_and_randomness;

  Encapsulated result{Bytes(kCiphertextSize), SecretBytes(both.first(kHalf))};
  pke_encrypt(encapsulation_key, message, both.last(kHalf), result.ciphertext);
  return result;
}

Result<SecretBytes> decapsulate(ByteView decapsulation_key, ByteView ciphertext) {
  if (decapsulation_key.size() != kDecapsulationKeySize)
    return bad_public_value("ML-KEM-768: wrong key length");
  if (ciphertext.size() != kCiphertextSize) return bad_public_value("ML-KEM-768: wrong length");
  const ByteView secret_key = decapsulation_key.first(kVectorSize);
  const ByteView encapsulation_key = decapsulation_key.subspan(kVectorSize, kEncapsulationKeySize);
  const ByteView key_hash = decapsulation_key.subspan(kVectorSize + kEncapsulationKeySize, kHalf);
  const ByteView z = decapsulation_key.last(kHalf);

  std::array<std::uint8_t, kHalf> expected_hash{};
  digest(sha3_256(), {encapsulation_key}, expected_hash);
  if (!std::ranges::equal(expected_hash, key_hash)) return bad_public_value("ML-KEM-768: damaged key");

  Secret<std::array<std::uint8_t, kHalf>> message;
  pke_decrypt(secret_key, ciphertext, message);
  Secret<std::array<std::uint8_t, 2 * kHalf>> secret_and_randomness;
  digest(sha3_512(), {message, key_hash}, secret_and_randomness);
  const ByteView both = secret_and_randomness;
  Secret<std::array<std::uint8_t, kHalf>> rejected;
  shake(shake256(), {z, ciphertext}, rejected);

  SecretBytes again(kCiphertextSize);
  pke_encrypt(encapsulation_key, message, both.last(kHalf), again.mutable_view());
  SecretBytes shared(kSharedSecretSize);
  select_if_equal(ciphertext, again, both.first(kHalf), rejected, shared.mutable_view());
  return shared;
}

}  // namespace culvert::crypto::mlkem768

#endif

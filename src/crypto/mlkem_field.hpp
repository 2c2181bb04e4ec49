// SPDX-License-Identifier: Apache-2.0
// Inside crypto only: the arithmetic of ML-KEM (FIPS 203 section 4) on integers modulo q = 3329 and on
// polynomials of 256 of them. No branch, no index and no division depends on a coefficient. Coefficients are
// always below q.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace culvert::crypto::mlkem {

inline constexpr std::uint32_t kQ = 3329;
inline constexpr std::size_t kDegree = 256;

using Coefficient = std::uint16_t;
using Polynomial = std::array<Coefficient, kDegree>;

/// Hides from the compiler where a mask comes from, so that it cannot turn arithmetic on it back into a
/// branch.
constexpr std::uint32_t opaque(std::uint32_t value) {
  if !consteval {
    asm("" : "+r"(value));
  }
  return value;
}

/// value mod q for value < 2 q.
constexpr Coefficient subtract_q_once(std::uint32_t value) {
  const std::uint32_t reduced = value - kQ;
  const std::uint32_t is_negative = 0U - (reduced >> 31);  // all ones or none
  return static_cast<Coefficient>(reduced + (kQ & is_negative));
}

/// value mod q for value < 2^24, by Barrett's method: the quotient is right or one too small.
constexpr Coefficient reduce(std::uint32_t value) {
  constexpr std::uint64_t kReciprocal = (std::uint64_t{1} << 36) / kQ;
  const auto quotient = static_cast<std::uint32_t>((value * kReciprocal) >> 36);
  return subtract_q_once(value - quotient * kQ);
}

constexpr Coefficient add(Coefficient a, Coefficient b) { return subtract_q_once(std::uint32_t{a} + b); }
constexpr Coefficient subtract(Coefficient a, Coefficient b) { return subtract_q_once(kQ + a - b); }
constexpr Coefficient multiply(Coefficient a, Coefficient b) { return reduce(std::uint32_t{a} * b); }

/// Formula 4.7: round(2^d / q * x) mod 2^d.
template <unsigned kBits>
constexpr std::uint32_t compress(Coefficient x) {
  static_assert(kBits <= 10);
  // A division by q, exact for every numerator below 2^22: the reciprocal is rounded up, by less than 2^12 in
  // 2^36.
  constexpr std::uint64_t kReciprocal = (std::uint64_t{1} << 36) / kQ + 1;
  const std::uint32_t numerator = (std::uint32_t{x} << kBits) + kQ / 2;
  const auto quotient = static_cast<std::uint32_t>((numerator * kReciprocal) >> 36);
  return quotient & ((1U << kBits) - 1);
}

/// Formula 4.8: round(q / 2^d * y).
template <unsigned kBits>
constexpr Coefficient decompress(std::uint32_t y) {
  return static_cast<Coefficient>((y * kQ + (1U << (kBits - 1))) >> kBits);
}

void add_to(Polynomial& sum, const Polynomial& other);
void subtract_from(Polynomial& difference, const Polynomial& other);

/// Algorithm 9, in place.
void ntt(Polynomial& f);
/// Algorithm 10, in place.
void inverse_ntt(Polynomial& f);
/// sum += a * b in the domain of the NTT (Algorithms 11 and 12).
void multiply_add(Polynomial& sum, const Polynomial& a, const Polynomial& b);

}  // namespace culvert::crypto::mlkem

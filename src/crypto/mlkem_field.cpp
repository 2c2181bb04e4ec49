// SPDX-License-Identifier: Apache-2.0
#include "crypto/mlkem_field.hpp"

namespace culvert::crypto::mlkem {
namespace {

constexpr Coefficient kRoot = 17;  // of unity, the 256th
constexpr Coefficient kInverseOf128 = 3303;

constexpr Coefficient power_of_root(unsigned exponent) {
  Coefficient result = 1;
  for (unsigned i = 0; i < exponent; ++i) result = multiply(result, kRoot);
  return result;
}

constexpr unsigned reverse_7_bits(unsigned value) {
  unsigned reversed = 0;
  for (unsigned bit = 0; bit < 7; ++bit) reversed |= ((value >> bit) & 1U) << (6 - bit);
  return reversed;
}

constexpr std::array<Coefficient, 128> kZetas = [] {
  std::array<Coefficient, 128> all{};
  for (unsigned i = 0; i < all.size(); ++i) all[i] = power_of_root(reverse_7_bits(i));
  return all;
}();

constexpr std::array<Coefficient, 128> kGammas = [] {
  std::array<Coefficient, 128> all{};
  for (unsigned i = 0; i < all.size(); ++i) all[i] = power_of_root(2 * reverse_7_bits(i) + 1);
  return all;
}();

}  // namespace

void add_to(Polynomial& sum, const Polynomial& other) {
  for (std::size_t i = 0; i < kDegree; ++i) sum[i] = add(sum[i], other[i]);
}

void subtract_from(Polynomial& difference, const Polynomial& other) {
  for (std::size_t i = 0; i < kDegree; ++i) difference[i] = subtract(difference[i], other[i]);
}

void ntt(Polynomial& f) {
  std::size_t next_zeta = 1;
  for (std::size_t length = 128; length >= 2; length /= 2) {
    for (std::size_t start = 0; start < kDegree; start += 2 * length) {
      const Coefficient zeta = kZetas[next_zeta++];
      for (std::size_t j = start; j < start + length; ++j) {
        const Coefficient t = multiply(zeta, f[j + length]);
        f[j + length] = subtract(f[j], t);
        f[j] = add(f[j], t);
      }
    }
  }
}

void inverse_ntt(Polynomial& f) {
  std::size_t next_zeta = 127;
  for (std::size_t length = 2; length <= 128; length *= 2) {
    for (std::size_t start = 0; start < kDegree; start += 2 * length) {
      const Coefficient zeta = kZetas[next_zeta--];
      for (std::size_t j = start; j < start + length; ++j) {
        const Coefficient t = f[j];
        f[j] = add(t, f[j + length]);
        f[j + length] = multiply(zeta, subtract(f[j + length], t));
      }
    }
  }
  for (Coefficient& coefficient : f) coefficient = multiply(coefficient, kInverseOf128);
}

void multiply_add(Polynomial& sum, const Polynomial& a, const Polynomial& b) {
  for (std::size_t i = 0; i < kDegree / 2; ++i) {
    const Coefficient a0 = a[2 * i];
    const Coefficient a1 = a[2 * i + 1];
    const Coefficient b0 = b[2 * i];
    const Coefficient b1 = b[2 * i + 1];
    const Coefficient high = multiply(a1, b1);
    sum[2 * i] = add(sum[2 * i], add(multiply(a0, b0), multiply(high, kGammas[i])));
    sum[2 * i + 1] = add(sum[2 * i + 1], add(multiply(a0, b1), multiply(a1, b0)));
  }
}

}  // namespace culvert::crypto::mlkem

// SPDX-License-Identifier: Apache-2.0
#include "proto/ssh/transport/shown_key.hpp"

#include <gtest/gtest.h>

#include "crypto/certificate_fixtures_test.hpp"
#include "crypto/key_line.hpp"

namespace culvert::ssh {
namespace {

constexpr std::string_view kOfCertificate = "ssh-ed25519-cert-v01@openssh.com";

Bytes blob_of(std::string_view line) { return crypto::split_key_line(line).value().blob; }

TEST(ShownKey, ACertificateComesWithItsKey) {
  const auto shown = read_shown_key(blob_of(crypto::kHostEd25519), kOfCertificate);
  ASSERT_TRUE(shown);
  EXPECT_TRUE(shown->certificate);
  EXPECT_FALSE(shown->fault);
  EXPECT_EQ(copy_of(shown->key.blob()), blob_of(crypto::kCertifiedEd25519));
}

TEST(ShownKey, OneThatDoesNotCountLeavesTheKey) {
  Bytes changed = blob_of(crypto::kHostEd25519);
  changed.back() ^= 1;
  for (const Bytes& blob : {blob_of(crypto::kBySha1), changed}) {
    const auto shown = read_shown_key(blob, kOfCertificate);
    ASSERT_TRUE(shown);
    EXPECT_FALSE(shown->certificate);
    ASSERT_TRUE(shown->fault);
    EXPECT_EQ(shown->fault->code, Errc::verification);
    EXPECT_EQ(copy_of(shown->key.blob()), blob_of(crypto::kCertifiedEd25519));
  }
}

TEST(ShownKey, WhatIsNoCertificateIsAnError) {
  EXPECT_FALSE(read_shown_key(blob_of(crypto::kCertifiedEd25519), kOfCertificate));
  EXPECT_FALSE(read_shown_key(blob_of(crypto::kHostEd25519), "ssh-ed25519"));
}

}  // namespace
}  // namespace culvert::ssh

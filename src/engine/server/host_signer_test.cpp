// SPDX-License-Identifier: Apache-2.0
// Who waits for the thread that signs with a host key, and who does not any more.
#include "engine/server/host_signer.hpp"

#include <semaphore>

#include <gtest/gtest.h>
#include <boost/asio/io_context.hpp>

#include "base/text.hpp"
#include "crypto/private_key.hpp"
#include "tests/support/run_task.hpp"

namespace culvert::server {
namespace {

/// The first key signs when it is let, the second one at once: the signature is the message. What the first
/// one signed is kept.
class SlowKeys final : public Privileges {
 public:
  [[nodiscard]] const std::vector<crypto::PublicKey>& host_keys() const override { return keys_; }
  [[nodiscard]] Result<Bytes> sign(std::size_t key, std::string_view, ByteView message) override {
    if (key == 1) return copy_of(message);
    begun.release();
    may.acquire();
    signed_.append(as_text(message));
    return copy_of(message);
  }
  [[nodiscard]] Result<net::UniqueFd> open(const std::string&) override { return none(); }
  [[nodiscard]] Result<net::UniqueFd> bind(const boost::asio::ip::tcp::endpoint&) override { return none(); }

  std::counting_semaphore<> begun{0}, may{0};
  std::string signed_;  // only while nothing is being signed

 private:
  static Result<net::UniqueFd> none() { return fail(Errc::denied, "not here"); }

  const std::vector<crypto::PublicKey> keys_ = {crypto::PrivateKey::generate_ed25519().public_key(),
                                                crypto::PrivateKey::generate_ed25519().public_key()};
};

class HostSignerTest : public ::testing::Test {
 protected:
  ~HostSignerTest() override { slow_.may.release(2000); }

  std::shared_ptr<HostSigner> signer() {
    return std::make_shared<HostSigner>(*keys_, context_.get_executor());
  }
  void sign(HostSigner& signer, std::string_view message, std::size_t key = 0) {
    signer.sign(slow_.host_keys()[key], "ssh-ed25519", copy_of(as_bytes(message)),
                [this](const Bytes& signature) { done_.append(as_text(signature)); });
  }
  void wait_for(std::string_view done) {
    testing::poll_until(context_, [&] { return done_.size() >= done.size(); });
    EXPECT_EQ(done_, done);
  }

  SlowKeys slow_;
  boost::asio::io_context context_;
  std::unique_ptr<HostKeys> keys_ = *HostKeys::load(slow_, {});
  std::string done_;
};

TEST_F(HostSignerTest, WhoHasGoneIsPassedOver) {
  const auto first = signer(), last = signer();
  sign(*first, "a");
  slow_.begun.acquire();
  std::vector<std::shared_ptr<HostSigner>> flood;
  for (int i = 0; i < 1000; ++i) {
    flood.push_back(signer());
    sign(*flood.back(), "x");
  }
  sign(*last, "b");
  for (int i = 0; i < 500; ++i) flood[static_cast<std::size_t>(i)]->stop();
  flood.clear();
  slow_.may.release(2);
  wait_for("ab");
  EXPECT_EQ(slow_.signed_, "ab");
}

TEST_F(HostSignerTest, EachHasOneInTheQueue) {
  const auto greedy = signer(), modest = signer();
  for (const std::string_view message : {"1", "2", "3"}) sign(*greedy, message);
  sign(*modest, "m");
  slow_.may.release(4);
  wait_for("1m23");
  greedy->stop();
  sign(*greedy, "4");
  sign(*modest, "n");
  slow_.may.release(2);
  wait_for("1m23n");
}

TEST_F(HostSignerTest, WhatIsSignedTooLateIsToldNobody) {
  const auto gone = signer(), last = signer();
  sign(*gone, "a");
  slow_.begun.acquire();
  gone->stop();
  sign(*last, "b");
  slow_.may.release(2);
  wait_for("b");
}

TEST_F(HostSignerTest, ASlowKeyHoldsUpNoOther) {
  const auto slow = signer(), quick = signer();
  sign(*slow, "a");
  sign(*quick, "b", 1);
  wait_for("b");
  slow_.may.release();
  wait_for("ba");
}

TEST_F(HostSignerTest, AKeyThatIsNotThere) {
  const auto one = signer();
  bool told = false;
  one->sign(crypto::PrivateKey::generate_ed25519().public_key(), "ssh-ed25519", {},
            [&](const Bytes& signature) { told = signature.empty(); });
  testing::poll_until(context_, [&] { return told; });
  sign(*one, "a");
  slow_.may.release();
  wait_for("a");
}

}  // namespace
}  // namespace culvert::server

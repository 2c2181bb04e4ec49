// SPDX-License-Identifier: Apache-2.0
#include "net/control_socket.hpp"

#include <unistd.h>

#include <string>

#include <gtest/gtest.h>

namespace culvert::net {
namespace {

std::string heard_at(const UniqueFd& ears) {
  char text[16];
  const ssize_t count = ::read(ears.get(), text, sizeof text);
  return count < 0 ? "error" : std::string(text, static_cast<std::size_t>(count));
}

TEST(ControlSocket, SaysItToTheOtherEnd) {
  auto [one, other] = ControlSocket::make_pair().value();
  const UniqueFd ears = other.share().value();
  one.say("go\n");
  EXPECT_EQ(heard_at(ears), "go\n");
}

TEST(ControlSocket, EndsForBothWhoeverHasItToo) {
  auto [one, other] = ControlSocket::make_pair().value();
  const UniqueFd ears = other.share().value();
  const UniqueFd inherited = one.share().value();
  one.close();
  EXPECT_EQ(heard_at(ears), "");
  other.say("nobody hears that, and nobody is killed by it");
}

}  // namespace
}  // namespace culvert::net

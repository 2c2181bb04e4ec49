// SPDX-License-Identifier: Apache-2.0
#include "net/descriptor_relief.hpp"

#include <sys/resource.h>

#include <algorithm>

#include <boost/asio/query.hpp>

namespace culvert::net {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kReserveMost = 64;
constexpr std::size_t kReserveShare = 8;

}  // namespace

asio::execution_context::id DescriptorRelief::id;

DescriptorRelief::DescriptorRelief(asio::execution_context& context) : service(context) {
  rlimit limit = {};
  (void)::getrlimit(RLIMIT_NOFILE, &limit);  // fixed from the start of the program
  limit_ = limit.rlim_cur;
  reserve_ = std::min(limit_ / kReserveShare, kReserveMost);
}

DescriptorRelief& DescriptorRelief::of(const asio::any_io_executor& executor) {
  return asio::use_service<DescriptorRelief>(asio::query(executor, asio::execution::context));
}

// The kernel gives the lowest number that is free: all below are in use. A client takes one, and what it is
// connected to another one.
void DescriptorRelief::got(int descriptor) {
  if (static_cast<std::size_t>(descriptor) + reserve_ < limit_) return;
  for (int i = 0; i < 2; ++i) take_one(reserve_ / 2);
}

bool DescriptorRelief::take_one(std::size_t left) {
  DescriptorHolder* chosen = nullptr;
  std::size_t most = left;
  for (DescriptorHolder& holder : holders_) {
    if (const std::size_t held = holder.held_descriptors(); held > most) {
      most = held;
      chosen = &holder;
    }
  }
  if (chosen != nullptr) chosen->give_up_oldest();
  return chosen != nullptr;
}

}  // namespace culvert::net

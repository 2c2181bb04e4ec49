// SPDX-License-Identifier: Apache-2.0
#include "net/ready_set.hpp"

#include <utility>

#include "net/cancelled.hpp"

namespace culvert::net {

namespace asio = boost::asio;

ReadySet::ReadySet(const asio::any_io_executor& executor) : readiness_(Readiness::of(executor)) {}

Result<std::unique_ptr<ReadySet::Member>> ReadySet::add(int socket, void* owner) {
  if (is_closed_) return cancelled();
  auto member = std::make_unique<Member>(*this, owner);
  TRY(member->watch(socket));
  return member;
}

std::span<const ReadySet::Ready> ReadySet::ready() {
  if (is_closed_) return {};
  std::size_t count = 0;
  auto next = are_ready_.begin();
  for (; next != are_ready_.end() && count < kAtOnce; ++next) named_[count++] = {next->owner_, &*next};
  are_ready_.splice(are_ready_.end(), are_ready_, are_ready_.begin(), next);
  return std::span(named_).first(count);
}

asio::awaitable<Result<void>> ReadySet::wait() {
  if (are_ready_.empty() && !is_closed_) {
    is_cancelled_ = false;
    co_await waiting_.wait([this] {
      is_cancelled_ = true;
      waiting_.resume(readiness_.executor());
    });
    if (is_cancelled_) co_return cancelled();
  }
  if (is_closed_) co_return cancelled();
  co_return Result<void>();
}

void ReadySet::close() {
  is_closed_ = true;
  waiting_.resume(readiness_.executor());
}

ReadySet::Member::~Member() {
  set_.readiness_.forget(watch_, Readiness::Direction::in, *this);
  set_.readiness_.remove(watch_);
}

Result<void> ReadySet::Member::watch(int socket) {
  watch_ = TRY(set_.readiness_.add(socket, Readiness::Kind::other));
  return set_.readiness_.wait(watch_, Readiness::Direction::in, *this);
}

// The coroutine goes on behind all others that are told of now.
void ReadySet::Member::ready() {
  set_.are_ready_.push_back(*this);
  set_.waiting_.resume(set_.readiness_.executor());
}

void ReadySet::Member::drained() {
  unlink();
  set_.readiness_.drained(watch_, Readiness::Direction::in);
  // Nothing is told to the kernel, so nothing can fail.
  (void)set_.readiness_.wait(watch_, Readiness::Direction::in, *this);
}

}  // namespace culvert::net

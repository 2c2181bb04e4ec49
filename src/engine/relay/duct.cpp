// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/duct.hpp"

#include <cstddef>
#include <exception>
#include <utility>

namespace culvert::relay {

namespace {

using Direction = net::StreamSocket::Direction;

/// A direction is bulk when so many reads in a row lent as much.
constexpr std::size_t kBulkRead = std::size_t{64} * 1024;
constexpr int kBulkReads = 4;
/// And after so many without a wait, so that other streams get their turn.
constexpr int kCopiesPerTurn = 16;

}  // namespace

Duct::~Duct() {
  if (waits_for_ == nullptr) return;
  waits_for_->socket().forget(waits_for_ == from_ ? Direction::in : Direction::out, *this);
}

std::optional<Duct::Over> Duct::start(SocketStream& from, SocketStream& to, Passage& passage) {
  from_ = &from;
  to_ = &to;
  passage_ = &passage;
  bulk_reads_ = 0;
  reads_in_turn_ = 0;
  return carry();
}

// None: it waits.
std::optional<Duct::Over> Duct::carry() {
  for (;;) {
    auto lent = from_->try_read();
    if (!lent) {
      if (from_->socket().may_try(Direction::in)) continue;
      return wait(*from_, Direction::in);
    }
    if (!*lent) return std::unexpected(CarryFailure::of_source(std::move(*lent).error()));
    if ((*lent)->empty()) return Outcome::ended;
    const std::size_t size = size_of(**lent);
    const auto taken = to_->write(**lent);
    if (!taken) return std::unexpected(CarryFailure::of_destination(taken.error()));
    from_->consume(*taken);
    passage_->moved += *taken;
    if (*taken < size) {
      from_->keep();
      if (to_->socket().may_try(Direction::out)) continue;
      passage_->waits = true;
      return wait(*to_, Direction::out);
    }
    bulk_reads_ = size >= kBulkRead ? bulk_reads_ + 1 : 0;
    if (bulk_reads_ >= kBulkReads || ++reads_in_turn_ >= kCopiesPerTurn) return Outcome::bulk;
  }
}

std::optional<Duct::Over> Duct::wait(SocketStream& stream, Direction direction) {
  reads_in_turn_ = 0;
  if (auto waiting = stream.socket().wait(direction, *this); !waiting) {
    return std::unexpected(CarryFailure{&stream == from_, std::move(waiting).error()});
  }
  waits_for_ = &stream;
  return std::nullopt;
}

void Duct::ready() {
  waits_for_ = nullptr;
  passage_->waits = false;
  std::optional<Over> over;
  try {
    over = carry();
  } catch (...) {
    over = std::unexpected(CarryFailure::of_source(error_of(std::current_exception())));
  }
  if (over) owner_.came_to(*this, std::move(*over));
}

void Duct::cancelled() {
  const bool is_of_source = std::exchange(waits_for_, nullptr) == from_;
  passage_->waits = false;
  owner_.came_to(*this, std::unexpected(CarryFailure{is_of_source, culvert::cancelled().error()}));
}

}  // namespace culvert::relay

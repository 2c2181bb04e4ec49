// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include <boost/asio/any_io_executor.hpp>
#include <boost/intrusive/list_hook.hpp>

namespace culvert::net {

/// A handler that waits for somebody to call resume(). What it keeps alive may hold this object, as the frame
/// of a coroutine does that waits here: it goes with the io_context at the latest. On the thread of the
/// context.
class Parked
    : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  /// `executor` is of the context. Nobody is parked here yet.
  void park(const boost::asio::any_io_executor& executor, std::move_only_function<void()> handler);
  [[nodiscard]] bool is_parked() const { return static_cast<bool>(handler_); }
  /// Posts the handler, if there is one.
  void resume(const boost::asio::any_io_executor& executor);

 private:
  class Lot;
  std::move_only_function<void()> handler_;
};

}  // namespace culvert::net

// SPDX-License-Identifier: Apache-2.0
#include "net/parked.hpp"

#include <utility>

#include <boost/asio/execution_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/query.hpp>
#include <boost/intrusive/list.hpp>

#include "base/assert.hpp"

namespace culvert::net {

namespace asio = boost::asio;

/// All of one context, which destroys at its end what has not been resumed.
class Parked::Lot final : public asio::execution_context::service {
 public:
  using key_type = Lot;
  static asio::execution_context::id id;

  explicit Lot(asio::execution_context& context) : service(context) {}
  void add(Parked& parked) { all_.push_back(parked); }

 private:
  void shutdown() override {
    while (!all_.empty()) {
      Parked& parked = all_.front();
      all_.pop_front();
      const auto gone = std::exchange(parked.handler_, nullptr);  // which may be the end of `parked`
    }
  }

  boost::intrusive::list<Parked, boost::intrusive::constant_time_size<false>> all_;
};

asio::execution_context::id Parked::Lot::id;

void Parked::park(const asio::any_io_executor& executor, std::move_only_function<void()> handler) {
  CULVERT_ASSERT(!handler_);
  handler_ = std::move(handler);
  asio::use_service<Lot>(asio::query(executor, asio::execution::context)).add(*this);
}

void Parked::resume(const asio::any_io_executor& executor) {
  if (!handler_) return;
  unlink();
  asio::post(executor, std::exchange(handler_, nullptr));
}

}  // namespace culvert::net

// SPDX-License-Identifier: Apache-2.0
#include "engine/proxy/front.hpp"

#include <utility>

#include <boost/asio/this_coro.hpp>

#include "engine/proxy/asked.hpp"
#include "engine/proxy/conversation.hpp"

namespace culvert::proxy {

namespace {

class Asking final : public relay::Hearing {
 public:
  Asking(relay::Pending& pending, const FrontOptions& options)
      : visit_(relay::KnownVisit::of(pending)),
        options_{options.patience, options.advertise},
        conversation_(std::make_unique<Conversation>(pending.accept(), options.accounts)) {}

  [[nodiscard]] relay::Task<Result<std::unique_ptr<relay::Pending>>> hear() override {
    if (auto heard = co_await conversation_->hear(); !heard)
      co_return std::unexpected(std::move(heard).error());
    co_return std::make_unique<Asked>(co_await boost::asio::this_coro::executor, std::move(conversation_),
                                      visit_, options_);
  }
  [[nodiscard]] relay::Stream& stream() override { return conversation_->stream(); }
  [[nodiscard]] const relay::Endpoint& origin() const override { return visit_.origin(); }

 private:
  const relay::KnownVisit visit_;
  const Asked::Options options_;
  std::unique_ptr<Conversation> conversation_;
};

}  // namespace

Front::Front(std::unique_ptr<relay::Source> inner, FrontOptions options)
    : HearingSource(std::move(inner),
                    [options](relay::Pending& pending) -> Result<std::unique_ptr<relay::Hearing>> {
                      return std::make_unique<Asking>(pending, options);
                    },
                    {.patience = options.patience, .limit = options.limit}) {}

}  // namespace culvert::proxy

// SPDX-License-Identifier: Apache-2.0
// A source that hears its clients first, between clients in memory and whoever takes its pendings.
#pragma once

#include <memory>
#include <string_view>
#include <utility>

#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

#include "engine/relay/hearing_source.hpp"
#include "tests/support/memory_stream.hpp"
#include "tests/support/plain_pending.hpp"
#include "tests/support/pushed_source.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/stream_io.hpp"

namespace culvert::testing {

class HearingHarness : public ::testing::Test {
 protected:
  HearingHarness() { EXPECT_TRUE(set_up_log(LogLevel::error, "")); }
  ~HearingHarness() override { (void)set_up_log(LogLevel::notice, ""); }

  /// The source that the tested one is to be made on.
  std::unique_ptr<relay::Source> make_inner() {
    auto owned = std::make_unique<PushedSource>(context.get_executor(), "127.0.0.1:1080");
    inner = owned.get();
    return owned;
  }
  /// One more client; its stream is what the source reads, in the way of `ours`.
  std::unique_ptr<MemoryStream> connect(MemoryStreamOptions ours = {}) {
    return connect(relay::KnownVisit(relay::HostPort{"127.0.0.1", 40000}), std::move(ours));
  }
  std::unique_ptr<MemoryStream> connect(relay::KnownVisit visit, MemoryStreamOptions ours = {}) {
    auto [here, there] = MemoryStream::make(context.get_executor(), std::move(ours));
    inner->push(std::make_unique<PlainPending>(std::move(here), std::move(visit)));
    return std::move(there);
  }
  std::unique_ptr<relay::Pending> next() {
    auto pending = run(context, source->next());
    EXPECT_TRUE(pending);
    return pending ? std::move(*pending) : nullptr;
  }
  void send(MemoryStream& client, std::string_view bytes, bool then_end = false) {
    EXPECT_TRUE(run(context, send_all(client, bytes, then_end)));
  }
  std::string receive(MemoryStream& client, std::size_t size) {
    return run(context, receive_all(client, size)).bytes;
  }
  void settle() {
    context.restart();
    context.poll();
  }

  boost::asio::io_context context;
  PushedSource* inner = nullptr;
  std::unique_ptr<relay::HearingSource> source;
};

}  // namespace culvert::testing

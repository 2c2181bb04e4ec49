// SPDX-License-Identifier: Apache-2.0
// UDP echoes per second: each flow keeps so many datagrams under way, and sends the next when one has come
// back; several that are due at once leave as one (GSO). What does not come back within a while is lost, and
// its flow begins anew.
#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "load/cpu.hpp"
#include "load/datagram.hpp"
#include "load/tool.hpp"

namespace culvert::load {
namespace {

constexpr auto kPatience = std::chrono::milliseconds(200);
constexpr auto kLook = std::chrono::milliseconds(20);

struct Question {
  std::uint32_t flow;
  std::uint32_t start;  ///< which start of its flow; an answer to an earlier one comes too late
};

struct Flow {
  std::uint32_t start = 0;
  std::size_t under_way = 0;
  std::size_t due = 0;
  Clock::time_point last{};
};

class Asker {
 public:
  Asker(const sockaddr_in& to, std::size_t flows, std::size_t window, std::size_t size)
      : socket_(sockaddr_in{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {INADDR_ANY}, .sin_zero = {}}),
        to_(to),
        window_(window),
        size_(size),
        flows_(flows),
        text_(flows * window * size, 0x42) {}

  void run_until(Clock::time_point deadline) {
    Clock::time_point look = Clock::now();
    for (Clock::time_point now = look; now < deadline; now = Clock::now()) {
      if (now >= look) {
        restart_stalled(now);
        look = now + kLook;
      }
      const auto answers = socket_.receive();
      if (answers.empty()) socket_.wait(std::min(deadline, look));
      for (const Datagrams& some : answers) {
        for (std::size_t i = 0; i < some.count(); ++i) take(some.at(i), now);
      }
      send_due();
    }
  }

  std::uint64_t done = 0;
  std::uint64_t lost = 0;

 private:
  void ask(std::size_t number, std::size_t count) {
    Flow& flow = flows_[number];
    if (flow.due == 0) due_.push_back(number);
    flow.due += count;
    flow.under_way += count;
  }

  void send_due() {
    batch_.clear();
    for (const std::size_t number : due_) {
      const std::size_t count = std::exchange(flows_[number].due, 0);
      batch_.push_back({.here = visitor(number),
                        .there = to_,
                        .bytes = text_of(number).first(count * size_),
                        .each = size_});
    }
    due_.clear();
    socket_.send(batch_);
  }

  void take(std::span<const std::uint8_t> answer, Clock::time_point now) {
    Question question{};
    if (answer.size() != size_) die("an echo is not what was sent");
    std::memcpy(&question, answer.data(), sizeof question);
    if (question.flow >= flows_.size() || answer.back() != text_.back()) die("an echo is not what was sent");
    Flow& flow = flows_[question.flow];
    if (question.start != flow.start || flow.under_way == 0) return;
    --flow.under_way;
    flow.last = now;
    ++done;
    ask(question.flow, 1);
  }

  void restart_stalled(Clock::time_point now) {
    for (std::size_t i = 0; i < flows_.size(); ++i) {
      Flow& flow = flows_[i];
      if (now - flow.last < kPatience) continue;
      lost += flow.under_way;
      flow.start += 1;
      flow.under_way = 0;
      flow.last = now;
      write_text(i);
      ask(i, window_);
    }
  }

  std::span<std::uint8_t> text_of(std::size_t number) {
    return std::span(text_).subspan(number * window_ * size_, window_ * size_);
  }

  void write_text(std::size_t number) {
    const Question question{static_cast<std::uint32_t>(number), flows_[number].start};
    const std::span<std::uint8_t> text = text_of(number);
    for (std::size_t at = 0; at < text.size(); at += size_)
      std::memcpy(text.data() + at, &question, sizeof question);
  }

  DatagramSocket socket_;
  sockaddr_in to_;
  std::size_t window_;
  std::size_t size_;
  std::vector<Flow> flows_;
  std::vector<std::uint8_t> text_;  ///< of each flow, a window full: all that it has under way are the same
  std::vector<std::size_t> due_;    ///< flows that have something to send
  std::vector<Datagrams> batch_;
};

}  // namespace

int echoes(Options& options) {
  const sockaddr_in to = ipv4(parse_address(options.text("to")));
  const auto bounded = [&](std::string_view name, std::int64_t otherwise, std::int64_t least,
                           std::int64_t most) {
    return static_cast<std::size_t>(std::clamp<std::int64_t>(options.number(name, otherwise), least, most));
  };
  const std::size_t flows = bounded("flows", 64, 1, 100'000);
  const std::size_t window = bounded("window", 1, 1, kMostSegments);
  const std::size_t size = bounded("size", 64, sizeof(Question) + 1, 1'472);
  const double warmup = options.real("warmup", 0.2);
  const double seconds = options.real("seconds", 2);
  const CpuTime cpu_of(options.text("cpu-of", ""));
  options.finish();

  Asker asker(to, flows, window, size);
  asker.run_until(after(warmup));
  asker.done = asker.lost = 0;
  const double cpu_before = cpu_of.seconds();
  const Clock::time_point start = Clock::now();
  asker.run_until(after(seconds));
  const double took = seconds_since(start);
  if (asker.done == 0) die("no echo came back");
  const auto done = static_cast<double>(asker.done);
  fmt::print(
      "{{\"per_s\": {:.1f}, \"done\": {}, \"lost\": {}, \"seconds\": {:.4f}, \"cpu_us_each\": {:.3f}}}\n",
      done / took, asker.done, asker.lost, took, (cpu_of.seconds() - cpu_before) * 1e6 / done);
  return 0;
}

}  // namespace culvert::load

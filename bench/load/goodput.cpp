// SPDX-License-Identifier: Apache-2.0
// Megabytes per second (10^6) of datagrams that arrive. The sink's receipts pace the sender, as those of QUIC
// do: so many datagrams are under way at most, which fit into the buffer of a socket that nobody has tuned.
// What is lost is not sent again.
#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "load/cpu.hpp"
#include "load/datagram.hpp"
#include "load/datagram_servers.hpp"
#include "load/tool.hpp"

namespace culvert::load {
namespace {

constexpr auto kPatience =
    std::chrono::milliseconds(50);  ///< then what is under way is lost, or its receipt is

struct Flow {
  std::uint64_t sent = 0;
  std::uint64_t settled = 0;  ///< the last that a receipt names
  Clock::time_point last{};
};

struct Settings {
  sockaddr_in to;
  std::size_t flows;
  std::size_t window;  ///< of each flow
  std::size_t burst;   ///< sent one after the other, and followed by one receipt
  bool apart;          ///< not as one (GSO)
  std::size_t size;
};

class Sender {
 public:
  explicit Sender(const Settings& settings)
      : settings_(settings),
        socket_(sockaddr_in{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {INADDR_ANY}, .sin_zero = {}}),
        run_(std::random_device{}() | 1ull << 32),
        flows_(settings.flows),
        text_(settings.flows * settings.burst * settings.size, 0x42) {}

  void run_until(Clock::time_point deadline) {
    for (Clock::time_point now = Clock::now(); now < deadline; now = Clock::now()) {
      for (const Datagrams& receipts : socket_.receive()) {
        for (std::size_t i = 0; i < receipts.count(); ++i) take(receipts.at(i), now);
      }
      if (!send_due(now)) socket_.wait(std::min(deadline, now + kPatience));
    }
  }

  std::uint64_t sent = 0;
  std::uint64_t arrived = 0;  ///< as the last receipt has it

 private:
  void take(std::span<const std::uint8_t> bytes, Clock::time_point now) {
    Receipt receipt{};
    if (bytes.size() != sizeof receipt) die("a receipt is not what the sink sends");
    std::memcpy(&receipt, bytes.data(), sizeof receipt);
    if (receipt.of.run != run_ || receipt.of.flow >= flows_.size()) return;
    Flow& flow = flows_[receipt.of.flow];
    flow.settled = std::max(flow.settled, receipt.of.number);
    flow.last = now;
    arrived = std::max(arrived, receipt.arrived);
  }

  /// False when every flow has as much under way as it may.
  bool send_due(Clock::time_point now) {
    std::vector<Datagrams>& due = due_;
    due.clear();
    for (std::size_t i = 0; i < flows_.size(); ++i) {
      Flow& flow = flows_[i];
      if (now - flow.last > kPatience) {
        flow.settled = flow.sent;
        flow.last = now;
      }
      if (flow.sent - flow.settled + settings_.burst <= settings_.window) add(burst_of(i), due);
    }
    socket_.send(due);
    return !due.empty();
  }

  void add(const Datagrams& burst, std::vector<Datagrams>& due) const {
    if (!settings_.apart) return due.push_back(burst);
    for (std::size_t i = 0; i < burst.count(); ++i) {
      Datagrams one = burst;
      one.bytes = burst.at(i);
      due.push_back(one);
    }
  }

  Datagrams burst_of(std::size_t number) {
    const std::size_t bytes = settings_.burst * settings_.size;
    const Datagrams burst{.here = visitor(number),
                          .there = settings_.to,
                          .bytes = std::span(text_).subspan(number * bytes, bytes),
                          .each = settings_.size};
    for (std::size_t i = 0; i < settings_.burst; ++i) {
      const Parcel parcel{.run = run_,
                          .flow = static_cast<std::uint32_t>(number),
                          .wanted = i + 1 == settings_.burst ? 1u : 0u,
                          .number = ++flows_[number].sent};
      std::memcpy(burst.at(i).data(), &parcel, sizeof parcel);
    }
    sent += settings_.burst;
    return burst;
  }

  Settings settings_;
  DatagramSocket socket_;
  std::uint64_t run_;
  std::vector<Flow> flows_;
  std::vector<std::uint8_t> text_;
  std::vector<Datagrams> due_;
};

}  // namespace

int goodput(Options& options) {
  const auto bounded = [&](std::string_view name, std::int64_t otherwise, std::size_t least,
                           std::size_t most) {
    return std::clamp(static_cast<std::size_t>(options.number(name, otherwise)), least, most);
  };
  Settings settings{.to = ipv4(parse_address(options.text("to"))),
                    .flows = bounded("flows", 1, 1, 10'000),
                    .window = 0,
                    .burst = 0,
                    .apart = options.flag("apart"),
                    .size = bounded("size", 1200, sizeof(Parcel), 1'472)};
  settings.window = std::max<std::size_t>(bounded("window", 80, 1, 100'000) / settings.flows, 1);
  const std::size_t most = std::min({settings.window, kMostSegments, kMostBytes / settings.size});
  settings.burst =
      bounded("burst", static_cast<std::int64_t>(settings.window / (settings.flows == 1 ? 4 : 2)), 1, most);
  const double warmup = options.real("warmup", 0.2);
  const double seconds = options.real("seconds", 2);
  const CpuTime cpu_of(options.text("cpu-of", ""));
  options.finish();

  Sender sender(settings);
  sender.run_until(after(warmup));
  const std::uint64_t arrived_before = sender.arrived;
  const std::uint64_t sent_before = sender.sent;
  const double cpu_before = cpu_of.seconds();
  const Clock::time_point start = Clock::now();
  sender.run_until(after(seconds));
  const double took = seconds_since(start);
  const std::uint64_t arrived = sender.arrived - arrived_before;
  const std::uint64_t sent = sender.sent - sent_before;
  if (arrived == 0) die("no receipt came back");
  const double bytes = static_cast<double>(arrived * settings.size);
  fmt::print(
      "{{\"mb_per_s\": {:.3f}, \"arrived\": {}, \"lost\": {}, \"seconds\": {:.4f}, \"cpu_s_per_gb\": "
      "{:.4f}}}\n",
      bytes / 1e6 / took, arrived, sent - std::min(arrived, sent), took,
      (cpu_of.seconds() - cpu_before) / (bytes / 1e9));
  return 0;
}

}  // namespace culvert::load

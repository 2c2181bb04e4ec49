// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>
#include <signal.h>

#include <string_view>

#include "load/tool.hpp"

namespace {

constexpr std::string_view kHelp =
    R"(culvert-load: what the benchmark runs against and with. One line of JSON on standard output.

  serve        [--bind A] [--sink-port P] [--reader-port P] [--source-port P] [--echo-port P]
               [--udp-echo-port P] [--udp-sink-port P]                                   until standard input ends
  throughput   ROUTE --direction up|down [--streams N] [--seconds S] [--warmup S] [--cpu-of PIDS] [--read]
  latency      ROUTE [--size N] [--count N] [--warmup N] [--interval-us N] [--seconds S]
  connections  ROUTE [--seconds S] [--parallel N] [--cpu-of PIDS]
  idle         ROUTE [--streams N]                                                       until standard input ends
  echoes       --to A:P [--flows N] [--window N] [--size N] [--seconds S] [--warmup S] [--cpu-of PIDS]    UDP
  goodput      --to A:P [--flows N] [--window N] [--burst N] [--apart] [--size N] [--seconds S] [--warmup S]
               [--cpu-of PIDS]                                                                                   UDP
  first-byte   --to A:P [--count N] [--seconds S] [--verbose] -- PROGRAM ARGUMENT...
  link         --near NETNS --far NETNS [--delay-ms D] [--rate-mbit R] [--queue-bytes N] [--mtu N] [--no-offload]

ROUTE is --to A:P, and with --socks A:P behind it the way there is a SOCKS 5 proxy. PIDS are separated by commas, and
stand for all that they start.
)";

}  // namespace

int main(int argc, char** argv) {
  using namespace culvert::load;
  const std::string_view command = argc > 1 ? argv[1] : "";
  ::signal(SIGPIPE, SIG_IGN);
  Options options(argc, argv, command == "--help" || command.empty() ? argc : 2);
  if (command == "serve") return serve(options);
  if (command == "throughput") return throughput(options);
  if (command == "latency") return latency(options);
  if (command == "connections") return connections(options);
  if (command == "idle") return idle(options);
  if (command == "echoes") return echoes(options);
  if (command == "goodput") return goodput(options);
  if (command == "first-byte") return first_byte(options);
  if (command == "link") return link(options);
  fmt::print(command == "--help" ? stdout : stderr, "{}", kHelp);
  return command == "--help" ? 0 : 1;
}

// SPDX-License-Identifier: Apache-2.0
// The far ends of UDP.
#pragma once

#include <cstdint>

#include "load/datagram.hpp"

namespace culvert::load {

/// Sends back what comes, as many at a time as they came.
class DatagramEcho {
 public:
  explicit DatagramEcho(const sockaddr_in& bind) : socket_(bind) {}
  [[nodiscard]] int get() const { return socket_.get(); }
  void turn();

 private:
  DatagramSocket socket_;
};

/// What each datagram to the sink begins with, in the order of the machine: both ends are on it.
struct Parcel {
  std::uint64_t run;     ///< chosen by each run of the sender
  std::uint32_t flow;    ///< which of the sender's
  std::uint32_t wanted;  ///< not 0: answer with a Receipt
  std::uint64_t number;  ///< of this flow, from 1
};

struct Receipt {
  Parcel of;
  std::uint64_t arrived;  ///< datagrams of this run so far, of all flows
};

/// Counts what arrives. A new run takes the place of the one before.
class DatagramSink {
 public:
  explicit DatagramSink(const sockaddr_in& bind) : socket_(bind) {}
  [[nodiscard]] int get() const { return socket_.get(); }
  void turn();

 private:
  void take(const Datagrams& datagrams);

  DatagramSocket socket_;
  std::uint64_t run_ = 0;
  std::uint64_t arrived_ = 0;
};

}  // namespace culvert::load

// SPDX-License-Identifier: Apache-2.0
#include "load/datagram_servers.hpp"

#include <cstring>

namespace culvert::load {

void DatagramEcho::turn() { socket_.send(socket_.receive()); }

void DatagramSink::turn() {
  for (const Datagrams& datagrams : socket_.receive()) take(datagrams);
}

void DatagramSink::take(const Datagrams& datagrams) {
  for (std::size_t i = 0; i < datagrams.count(); ++i) {
    const std::span<std::uint8_t> bytes = datagrams.at(i);
    Parcel parcel{};
    if (bytes.size() < sizeof parcel) continue;
    std::memcpy(&parcel, bytes.data(), sizeof parcel);
    if (parcel.run != run_) {
      run_ = parcel.run;
      arrived_ = 0;
    }
    ++arrived_;
    if (parcel.wanted == 0) continue;
    Receipt receipt{parcel, arrived_};
    const Datagrams answer{.here = datagrams.here,
                           .there = datagrams.there,
                           .bytes = {reinterpret_cast<std::uint8_t*>(&receipt), sizeof receipt},
                           .each = sizeof receipt};
    socket_.send({&answer, 1});
  }
}

}  // namespace culvert::load

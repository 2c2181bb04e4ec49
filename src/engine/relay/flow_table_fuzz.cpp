// SPDX-License-Identifier: Apache-2.0
// The flow table by operations, against a model that looks at all of its entries each time. Input: the limit,
// the idle time, and then operations with a key and how much later each happens.
#include "engine/relay/flow_table.hpp"

#include <algorithm>
#include <vector>

#include "tests/support/fuzz_input.hpp"

using namespace culvert;
using test::require;
using Table = relay::FlowTable<unsigned, unsigned>;

namespace {

struct Flow {
  unsigned key;
  unsigned value;
  Instant last;
};

/// In the order of their last activity.
class Model {
 public:
  std::vector<Flow> flows;

  [[nodiscard]] auto find(unsigned key) {
    return std::ranges::find_if(flows, [key](const Flow& flow) { return flow.key == key; });
  }
  void touch(unsigned key, Instant now) {
    Flow flow = *find(key);
    flows.erase(find(key));
    flow.last = now;
    flows.push_back(flow);
  }
};

void compare(Table& table, Model& model, std::size_t most, Duration idle, Instant now) {
  require(table.size() == model.flows.size(), "as many flows");
  require(table.size() <= most, "no more than the limit");
  require(table.full() == (table.size() == most), "full at the limit");
  if (model.flows.empty()) {
    require(table.empty() && table.next_deadline() == kNever, "nothing to wait for");
    require(table.expired(now) == nullptr, "nothing has expired");
    return;
  }
  const Flow& first = model.flows.front();
  require(table.oldest().key == first.key, "the same is the oldest");
  require(table.next_deadline() == first.last + idle, "it expires when its time is over");
  require((table.expired(now) != nullptr) == (now - first.last >= idle),
          "it has expired when its time is over");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  test::FuzzInput input(data, size);
  const std::size_t most = input.byte() % 8 + std::size_t{1};
  const Duration idle(input.byte());
  Table table(most, idle);
  Model model;
  Instant now{};
  for (unsigned value = 0; !input.empty(); ++value) {
    const unsigned what = input.byte();
    const unsigned key = input.byte() % 16;
    now += Duration(input.byte());
    const auto known = model.find(key);
    auto* const entry = table.find(key);
    require((entry != nullptr) == (known != model.flows.end()), "the same flows are known");
    if (entry != nullptr) require(entry->key == key && entry->flow == known->value, "with the same content");
    switch (what % 4) {
      case 0:
      case 1:
        if (entry != nullptr) {
          table.touch(*entry, now);
          model.touch(key, now);
          break;
        }
        if (table.full()) {
          table.remove(table.oldest());
          model.flows.erase(model.flows.begin());
        }
        table.insert(key, value, now);
        model.flows.push_back({key, value, now});
        break;
      case 2:
        if (entry == nullptr) break;
        table.remove(*entry);
        model.flows.erase(known);
        break;
      case 3:
        while (auto* const expired = table.expired(now)) {
          require(expired->key == model.flows.front().key, "the oldest expires first");
          table.remove(*expired);
          model.flows.erase(model.flows.begin());
        }
        break;
      default:
        break;
    }
    compare(table, model, most, idle, now);
  }
  return 0;
}

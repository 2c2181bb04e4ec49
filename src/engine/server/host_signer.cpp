// SPDX-License-Identifier: Apache-2.0
#include "engine/server/host_signer.hpp"

#include <utility>

namespace culvert::server {

void HostSigner::sign(crypto::PublicKey key, std::string algorithm, Bytes message, Done done) {
  if (stopped_.stop_requested()) return;
  jobs_.push_back({std::move(key), std::move(algorithm), std::move(message), std::move(done)});
  if (jobs_.size() == 1) next();
}

void HostSigner::next() {
  Job& job = jobs_.front();
  keys_.sign(executor_, job.key, std::move(job.algorithm), std::move(job.message), stopped_.get_token(),
             [weak = weak_from_this()](Bytes signature) {
               const auto self = weak.lock();
               if (!self || self->stopped_.stop_requested()) return;
               const Done done = std::move(self->jobs_.front().done);
               self->jobs_.pop_front();
               if (!self->jobs_.empty()) self->next();
               done(std::move(signature));
             });
}

void HostSigner::stop() {
  stopped_.request_stop();
  jobs_.clear();
}

}  // namespace culvert::server

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/log_fields.hpp"
#include "base/time.hpp"
#include "engine/relay/access_list.hpp"
#include "engine/relay/bucket.hpp"
#include "engine/relay/source.hpp"

namespace culvert::relay {

struct AdmissionOptions {
  AccessList access = {};
  /// New streams a second; more are refused. Shared by all sources that keep to it together; null: any
  /// number.
  std::shared_ptr<Rate> streams = {};
  /// Whose source this is, for lines of the log.
  LogContext context = {};
};

/// Lets in who may come, of those who come to another source. The others are refused at once
/// (Refusal::prohibited, Refusal::overloaded), at no cost but their arrival; that is logged at `notice`, as
/// the event "stream_refused", once a second at most: "127.0.0.1:8080: refused 192.0.2.7:40000: not allowed
/// from there (and 12 before it)".
class AdmissionSource final : public Source {
 public:
  AdmissionSource(std::unique_ptr<Source> inner, AdmissionOptions options);

  [[nodiscard]] Task<Result<std::unique_ptr<Pending>>> next() override;
  void stop() override { inner_->stop(); }
  [[nodiscard]] std::string name() const override { return inner_->name(); }

 private:
  [[nodiscard]] bool admit(Pending& pending);
  void refuse(Pending& pending, Refusal reason, std::string_view why);

  const std::unique_ptr<Source> inner_;
  const AdmissionOptions options_;
  std::string too_many_;  ///< what is said of those who come too fast
  std::optional<Instant> last_line_;
  std::uint64_t untold_ = 0;  ///< refused since the last line
};

}  // namespace culvert::relay

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/log_fields.hpp"
#include "engine/relay/access_list.hpp"
#include "engine/relay/bucket.hpp"
#include "engine/relay/refusal_log.hpp"
#include "engine/relay/source.hpp"

namespace culvert::relay {

struct AdmissionOptions {
  AccessList access = {};
  /// Who came over a Unix socket is let in: whom that admits, the permissions of its file have said. Only
  /// where such a socket is what is listened at: a PROXY protocol header can say anything.
  bool lets_in_unix_sockets = false;
  /// New streams a second; more are refused. Shared by all sources that keep to it together; null: any
  /// number.
  std::shared_ptr<Rate> streams = {};
  /// Whose source this is, for lines of the log.
  LogContext context = {};
};

/// Lets in who may come, of those who come to another source. The others are refused at once
/// (Refusal::prohibited, Refusal::overloaded), at no cost but their arrival; that is in the log, at `notice`
/// (RefusalLog).
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
  RefusalLog refusals_;
};

}  // namespace culvert::relay

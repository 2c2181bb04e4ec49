// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "daemon/plan.hpp"
#include "engine/server/account.hpp"
#include "engine/server/privileges.hpp"
#include "net/unique_fd.hpp"
#include "proto/helper/request.hpp"

namespace culvert::daemon {

/// The helper's side of each call. The worker parses the bytes of strangers: whatever it asks for is judged
/// anew here, by the plan and by the rules as they are on disk.
class HelperService {
 public:
  struct Answer {
    Bytes reply;
    net::UniqueFd descriptor;
  };

  /// All must outlive it. `accounts` has the same options as the plan.
  HelperService(const ServerPlan& plan, server::Privileges& own, server::Accounts& accounts)
      : plan_(plan), own_(own), accounts_(accounts) {}

  [[nodiscard]] Answer answer(ByteView message);

 private:
  [[nodiscard]] Result<Bytes> sign(const helper::SignRequest& request);
  [[nodiscard]] Result<net::UniqueFd> open(const helper::OpenRequest& request);
  [[nodiscard]] Result<net::UniqueFd> bind(const helper::BindRequest& request);
  [[nodiscard]] bool plan_listens_at(const helper::BindRequest& request) const;

  const ServerPlan& plan_;
  server::Privileges& own_;
  server::Accounts& accounts_;
};

}  // namespace culvert::daemon

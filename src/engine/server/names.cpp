// SPDX-License-Identifier: Apache-2.0
#include "engine/server/names.hpp"

#include <utility>

namespace culvert::server {
namespace {

void add_both(LogFields& fields, const ClientName& client, Direction direction) {
  add_fields(fields, client);
  fields.add("direction", to_string(direction));
}

}  // namespace

ClientName::ClientName(std::string address, std::uint16_t port) {
  relay::HostPort source{std::move(address), port};
  std::string text = relay::to_string(relay::Endpoint(source));
  facts_ = std::make_shared<const Facts>(std::move(source), std::string(), std::string(), std::move(text));
}

void ClientName::logged_in(std::string user, std::string fingerprint) {
  std::string text = fmt::format("{}@{}", user, place());
  facts_ =
      std::make_shared<const Facts>(facts_->source, std::move(user), std::move(fingerprint), std::move(text));
}

std::string ClientName::place() const { return relay::to_string(relay::Endpoint(facts_->source)); }

void add_fields(LogFields& fields, const ClientName& name) {
  fields.add("source_address", name.facts_->source.host);
  fields.add("source_port", name.facts_->source.port);
  if (name.facts_->fingerprint.empty()) return;
  fields.add("user", name.facts_->user);
  fields.add("fingerprint", name.facts_->fingerprint);
}

std::string_view to_string(Direction direction) {
  return direction == Direction::direct ? "direct" : "forwarded";
}

std::string StreamName::text() const {
  const bool is_direct = direction == Direction::direct;
  return fmt::format("{} {} {}", client, is_direct ? "->" : "<-", is_direct ? destination : origin);
}

void add_fields(LogFields& fields, const StreamName& name) {
  add_both(fields, name.client, name.direction);
  add_fields(fields, "destination", name.destination);
  add_fields(fields, "origin", name.origin);
}

LogContext context_of(const ClientName& client, Direction direction) {
  return {[client, direction](LogFields& fields) { add_both(fields, client, direction); }};
}

}  // namespace culvert::server

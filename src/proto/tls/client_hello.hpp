// SPDX-License-Identifier: Apache-2.0
// The beginning of TLS, as far as it can be read without ending it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.hpp"

namespace culvert::tls {

/// Reads the first message of a TLS client for the name of the server that it wants (server_name: RFC 8446
/// section 4.1.2, RFC 6066 section 3). It may come in any number of records and pieces.
class ClientHello {
 public:
  /// How long the message may be, with the heads of its records.
  static constexpr std::size_t kMost = std::size_t{16} * 1024;

  enum class State : std::uint8_t {
    reading,
    done,
    no_tls,     ///< it begins with something else
    malformed,  ///< TLS, but a message that nobody should believe
  };

  /// The next bytes of the stream. Of no interest any more once it is over. Keeps at most kMost of them.
  void feed(ByteView bytes);

  [[nodiscard]] State state() const { return state_; }
  /// When done: the name, in lower case, which is one of a host; none if the client did not say one.
  [[nodiscard]] const std::optional<std::string>& server_name() const { return server_name_; }
  /// When done: what the client said that is no name of a host (an address, a dot at its end); else none.
  /// Hostile text.
  [[nodiscard]] const std::optional<std::string>& no_server_name() const { return no_server_name_; }
  /// When no_tls or malformed: "a malformed TLS ClientHello".
  [[nodiscard]] std::string_view why() const { return why_; }

 private:
  void begin_record();
  void look();
  void end(State state, std::string_view why = {});

  State state_ = State::reading;
  Bytes head_;                // of the record, so far
  std::size_t fragment_ = 0;  // what is missing of the record's content
  std::size_t total_ = 0;     // all that came
  Bytes message_;             // without the heads of records
  std::optional<std::string> server_name_, no_server_name_;
  std::string_view why_;
};

/// Descriptions of RFC 8446 section 6.
enum class Alert : std::uint8_t { decode_error = 50, missing_extension = 109, unrecognized_name = 112 };

/// What a server says before it refuses a ClientHello: a record with a fatal alert, of TLS 1.0 as far as its
/// head goes, which every client reads.
[[nodiscard]] std::array<std::uint8_t, 7> fatal_alert(Alert alert);

/// Whether a text is a name as server_name may have it, in lower case: labels of letters, digits, '-' and
/// '_', without a dot at its end; no address.
[[nodiscard]] bool is_server_name(std::string_view text);

}  // namespace culvert::tls

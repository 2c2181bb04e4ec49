// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/secret.hpp"
#include "base/time.hpp"
#include "proto/ssh/session.hpp"

namespace culvert::tunnel {

/// StrictHostKeyChecking, as in OpenSSH: `yes` refuses unknown hosts, `accept_new` learns them, `ask` asks,
/// and refuses where nobody can be asked, `no` learns them. A changed key is refused by all.
enum class HostKeyPolicy : std::uint8_t { yes, accept_new, ask, no };

/// AddKeysToAgent: whether the agent is given a key of a file once it was used.
enum class AddKeys : std::uint8_t { no, yes, ask, confirm };

enum class AddressFamily : std::uint8_t { any, ipv4, ipv6 };

/// A program that is the way to the server: its standard input and output. Run with the user's shell.
struct ProxyCommand {
  std::string command;
  bool passes_socket = false;  ///< it connects, passes the socket over its standard output, and ends
};

/// A SOCKS 5 or HTTP proxy on the way out.
struct ProxyVia {
  bool is_http = false;
  std::string host;
  std::uint16_t port = 0;
  std::string user;                             ///< empty: no login
  std::shared_ptr<const SecretBytes> password;  ///< not null with a user
};

/// Of a word of KnownHostsCommand: some text, and behind it what is only known when it is run.
struct CommandPiece {
  std::string text;
  char token = '\0';  ///< 'H', 'I', 'K', 'f' or 't' (ssh_config(5), "TOKENS"); '\0': nothing

  bool operator==(const CommandPiece&) const = default;
};
using CommandWord = std::vector<CommandPiece>;

struct ServerOptions;

/// The session runs over a channel of another one.
struct JumpHost {
  std::shared_ptr<const ServerOptions> server;
};

/// How the server's port is reached; nothing: directly.
using Way = std::variant<std::monostate, ProxyCommand, ProxyVia, JumpHost>;

/// All that is needed to reach one SSH server and log in there. Values, not behaviour: part of the Plan.
struct ServerOptions {
  std::string host;  ///< as the user typed it; known_hosts is looked up by it
  std::string
      host_key_alias;  ///< looked up in known_hosts instead of host and port (HostKeyAlias); empty: none
  std::uint16_t port = 22;
  std::string user;
  Way way;
  AddressFamily family = AddressFamily::any;
  std::string bind_address;    ///< -b; empty: any
  std::string bind_interface;  ///< -B, if there is no bind_address; empty: any
  /// Of each address, and again of the server's part of the first key exchange; zero: the system's.
  Duration connect_timeout = Duration::zero();
  /// Of the server's part of the first key exchange; zero: as connect_timeout.
  Duration first_keys_patience = Duration::zero();
  std::uint32_t connection_attempts = 1;  ///< rounds over all addresses, a second apart (ConnectionAttempts)

  HostKeyPolicy host_key_policy = HostKeyPolicy::ask;
  std::vector<std::string> user_known_hosts;  ///< files; the first one learns new keys
  std::vector<std::string> global_known_hosts;
  bool hash_known_hosts = false;
  bool check_address = false;  ///< look up its address in known_hosts, too (CheckHostIP)
  /// A program that prints lines of known_hosts (KnownHostsCommand), run without a shell: an absolute path
  /// and its arguments; empty: none.
  std::vector<CommandWord> known_hosts_command;
  std::string revoked_host_keys;  ///< a file (RevokedHostKeys); empty: none
  std::vector<std::string>
      authority_signatures;  ///< that hosts' certificates may bear (CASignatureAlgorithms); empty: all

  std::vector<std::string>
      identity_files;  ///< tried in this order; missing ones are passed over unless explicit
  /// Certificates of our keys, offered before all else; empty: those beside the identity files.
  std::vector<std::string> certificate_files;
  bool identities_explicit = false;  ///< given by -i or -o IdentityFile, not the defaults
  bool identities_only = false;      ///< agent keys only if they match identity_files
  std::string agent_socket;          ///< path; empty: no agent
  AddKeys add_keys = AddKeys::no;
  Duration add_keys_lifetime{};  ///< after which the agent forgets them; 0: never
  bool host_bound = true;        ///< PubkeyAuthentication=unbound: no
  std::vector<std::string>
      user_signatures;  ///< algorithms allowed for our keys (PubkeyAcceptedAlgorithms); empty: all
  bool allow_public_key = true;
  bool allow_password = true;
  bool allow_keyboard_interactive = true;
  std::vector<std::string> preferred_methods = {"publickey", "keyboard-interactive", "password"};
  std::uint32_t password_prompts = 3;
  bool batch = false;  ///< never ask anything

  bool tcp_keepalive = true;
  ssh::AlgorithmLists algorithms;
  ssh::RekeyPolicy rekey;
  ssh::Limits limits;
  ssh::Timing timing;
  /// Not zero: where the server is reached directly the kernel asks whether it lives, as `timing` says, which
  /// wakes nobody here, and the session only after so much silence, once: a kernel answers for programs that
  /// hang, too.
  Duration asks_beside_kernel{};
};

}  // namespace culvert::tunnel

// SPDX-License-Identifier: Apache-2.0
// What should be running. Command-line flags (and later culvert.toml and ssh_config) all end as this one
// value; the supervisor makes the running state match it. There is no second way to start anything.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ip_address.hpp"
#include "base/time.hpp"
#include "engine/mapper/port_keeper.hpp"
#include "engine/relay/access_list.hpp"
#include "engine/relay/endpoint.hpp"
#include "engine/relay/proxy_header_dialer.hpp"
#include "engine/relay/silence.hpp"
#include "engine/relay/target_group.hpp"
#include "engine/server/options.hpp"
#include "engine/tunnel/server_options.hpp"
#include "files/forward_rule.hpp"
#include "net/socket.hpp"

namespace culvert::daemon {

/// Where a forward listens.
struct ListenSpec {
  /// TCP: the name or address to bind, all of whose addresses are bound; "localhost" stands for 127.0.0.1 and
  /// ::1,
  /// "*" for every address. Port 0: the kernel chooses (the same one for every address). Unix: the path.
  relay::Endpoint endpoint;
  tunnel::AddressFamily family = tunnel::AddressFamily::any;  ///< bind addresses of this family alone
  unsigned socket_mask = 0177;   ///< Unix: the permission bits that the socket lacks (StreamLocalBindMask)
  bool unlink_existing = false;  ///< Unix: replace a socket that is there already (StreamLocalBindUnlink)
  bool replace_dead = false;     ///< Unix: replace one that nobody listens at any more
  bool operator==(const ListenSpec&) const = default;
};

/// -L: streams from a listener here go through the session to `destination`.
struct LocalForward {
  ListenSpec listen;
  relay::Endpoint destination;
  bool operator==(const LocalForward&) const = default;
};

/// -R: the server listens at `listen`; its streams go from here to `destination`, or, if there is none, to
/// where a proxy front on them is told to go ("-R port" alone).
struct RemoteForward {
  relay::Endpoint listen;  ///< as it is sent: an empty host, "localhost" and "*" as in RFC 4254 section 7.1
  std::optional<relay::Endpoint> destination;
  bool operator==(const RemoteForward&) const = default;
};

/// -D: a proxy front (SOCKS, HTTP CONNECT) listens here; each client names its destination, which the server
/// reaches.
struct DynamicForward {
  ListenSpec listen;
  bool operator==(const DynamicForward&) const = default;
};

/// -W: standard input and output are the one stream.
struct StdioForward {
  relay::Endpoint destination;
};

/// One SSH connection and what runs over it. It ends when its stdio stream has ended, if it has one.
struct SessionPlan {
  tunnel::ServerOptions server;
  std::vector<LocalForward> local_forwards;
  std::vector<RemoteForward> remote_forwards;
  /// Where the clients of a proxy at the server may go (PermitRemoteOpen); nothing: anywhere. As
  /// judge_of_remote() has it.
  std::optional<std::vector<relay::HostPort>> permitted_remote;
  std::vector<DynamicForward> dynamic_forwards;
  /// Who may use the proxy fronts: a file of user:password lines; empty: everybody.
  std::string proxy_accounts_file;
  std::optional<StdioForward> stdio;
  /// Streams of all listeners, here and at the server, begin with a PROXY header, and come from there.
  std::vector<IpNetwork> proxy_header_from;
  std::optional<relay::ProxyHeaderVersion> proxy_header_to;  ///< all destinations are told who came
  bool reconnects = true;        ///< after a loss; never with a stdio stream, which is lost too
  bool waits_for_first = false;  ///< a first connection that fails is tried again
  std::string on_listen;         ///< a shell command to run for each remote forward that is up; empty: none
  /// A listener that cannot be opened ends the session; otherwise it is only warned of.
  bool exit_on_forward_failure = true;
};

/// `culvert serve`: an SSH server that only forwards.
struct ServerPlan {
  std::vector<ListenSpec> listen;
  server::ServerOptions options;
  unsigned threads = 0;  ///< that carry sessions; 0: one for each processor
};

enum class Transport : std::uint8_t { tcp, udp };

/// A listener here whose streams, or datagrams, go on from here without a tunnel: `culvert map`, and `culvert
/// proxy`.
struct DirectForward {
  ListenSpec listen;
  Transport transport = Transport::tcp;  ///< tcp: Unix stream sockets, too
  /// Where they go, one or another of them.
  std::vector<relay::Endpoint> targets;
  bool is_proxy = false;  ///< a proxy front is on the listener: its clients say where they go
  /// So many ports in a row, from the one in `listen`, each to the same one behind that of each target. 1
  /// where either is a Unix socket.
  std::uint16_t ports = 1;
  /// The home router's port that should lead to it (GatewayPlan); the listener's own is another one if it
  /// cannot be had. 0: the listener's own.
  std::uint16_t outside = 0;
  bool is_optional = false;  ///< if it cannot listen, that is only warned of

  bool operator==(const DirectForward&) const = default;
};

/// What an address and a port to connect from are. Port 0: the kernel chooses.
struct SourceAddress {
  IpAddress address;
  std::uint16_t port = 0;
};

/// How targets are watched by connecting to them (relay::HealthChecks).
struct CheckPlan {
  Duration interval = std::chrono::seconds(2);
  std::uint32_t rise = 2, fall = 3;
  std::uint16_t port = 0;  ///< TCP, of each target; 0: its own, and those of datagrams are not watched
};

/// A TLS server name, as relay::SniRoutes has it, and where its streams go, one or another of them.
struct NamedTargets {
  std::string name;
  std::vector<relay::Endpoint> targets;
};

/// Forwards that need no tunnel, and what holds for all of them together.
struct DirectPlan {
  std::vector<DirectForward> forwards;
  /// Where the clients of proxies may go: rules as in the rules file of a server.
  std::vector<files::ForwardRule> connect;
  /// Who may use the proxies: a file of user:password lines; empty: everybody.
  std::string proxy_accounts_file;
  /// Where the clients of proxies are told to send their datagrams: the address outside of a NAT.
  std::optional<IpAddress> advertise;

  relay::AccessList access;                  ///< who may come
  std::vector<IpNetwork> proxy_header_from;  ///< streams begin with a PROXY header, and come from there
  std::optional<relay::ProxyHeaderVersion> proxy_header_to;  ///< targets are told who came
  std::vector<NamedTargets> names;  ///< by the name in TLS; the forwards' own `targets` are for the others

  relay::Balance balance = relay::Balance::round_robin;
  std::optional<CheckPlan> checks;

  std::optional<SourceAddress> source;  ///< what targets see; none: what the route says
  bool transparent = false;             ///< they see the visitor's address

  std::size_t most_streams = 65536;               ///< at once; flows of datagrams are counted apart
  std::optional<std::uint64_t> streams_a_second;  ///< new ones
  std::optional<std::uint64_t> bytes_a_second_out, bytes_a_second_in;  ///< towards targets; back

  Duration connect_time = std::chrono::seconds(30);  ///< of each address of a target; zero: the system's
  relay::SilenceLimits silence;                      ///< of streams
  Duration flow_time = std::chrono::seconds(60);     ///< of silence, after which a flow of datagrams is over
  net::Liveness liveness;                            ///< of connections on either side
  unsigned threads = 0;                              ///< 0: one for each processor
};

/// Ports of the home router that lead here, as long as this runs: `culvert open`, and --open-gateway.
struct GatewayPlan {
  std::vector<mapper::Port> ports;  ///< those that were named
  bool listeners = false;           ///< and those of every listener that others can reach
  std::chrono::seconds lifetime = std::chrono::hours(2);  ///< to ask for; at least 1; renewed at half of it
  bool is_required = false;  ///< it is a failure if no port can be opened; otherwise only said
};

/// What the kernel does by itself: what arrives at `bind` goes on to `host`.
struct KernelForward {
  std::uint8_t protocol = 6;          ///< by its number at IANA
  std::string bind = "*";             ///< a name or address of this machine; "*": any, loopback's apart
  std::uint16_t port = 0, ports = 0;  ///< 0: a protocol without ports
  std::string host;
  std::uint16_t target_port = 0;
  std::string name;  ///< for people: "tcp/*:8080 -> 10.0.0.5:80"

  bool operator==(const KernelForward&) const = default;
};

/// Forwards by the rules of nftables: `culvert map --kernel`.
struct KernelPlan {
  enum class Action : std::uint8_t {
    keep,   ///< keep the rules installed until the end
    print,  ///< print them, and change nothing
    clean,  ///< remove what was left behind
  };
  Action action = Action::keep;
  std::vector<KernelForward> forwards;
  bool persist = false;            ///< the rules outlive the program
  bool masquerade = false;         ///< targets see this machine as the client
  bool enable_forwarding = false;  ///< have this machine pass packets on, while it runs
};

struct Plan {
  std::vector<SessionPlan> sessions;
  std::vector<DirectPlan> direct;
  std::vector<KernelPlan> kernel;
  std::vector<ServerPlan> servers;
  std::optional<GatewayPlan> gateway;
  /// Started as root without sessions, the process becomes this account; empty:
  /// find_process_account() chooses.
  std::string account;
  bool sandbox = true;  ///< with these: system calls that they do not need are refused
};

}  // namespace culvert::daemon

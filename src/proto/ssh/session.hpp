// SPDX-License-Identifier: Apache-2.0
// The one door to the SSH protocol (RFC 4250-4254): a connection from the first byte to the last, as a plain
// object. It knows no sockets, no threads, no clock. Its user moves bytes and time in, and events and bytes
// out:
//
//     read a socket into prepare(n) -> commit(n, now) -> next_event() until there is none -> write output()
//     -> consume_output(n, now) sleep until {bytes, a command, next_deadline()} -> advance(now)
//
// Commands may be given at any time between these calls, also while handling an event. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"
#include "base/time.hpp"
#include "crypto/certificate.hpp"
#include "crypto/public_key.hpp"
#include "crypto/random.hpp"

namespace culvert::ssh {

enum class Role : std::uint8_t { client, server };

/// Our name for a channel: small, reused only after the next_event() that follows its last event.
using ChannelId = std::uint32_t;

/// Names one run of a client, chosen at random.
using InstanceId = std::array<std::uint8_t, 16>;

/// RFC 4254 section 5.1.
enum class OpenFailure : std::uint32_t {
  administratively_prohibited = 1,
  connect_failed = 2,
  unknown_channel_type = 3,
  resource_shortage = 4,
};

// ---------------------------------------------------------------------------------------------------------------------
// What a session is made with

/// Names of algorithms, most wanted first. Empty: all of crypto/algorithms.hpp in its order.
struct AlgorithmLists {
  std::vector<std::string> key_exchanges;
  std::vector<std::string>
      host_keys;  ///< signature algorithms; a client puts those that known_hosts holds first
  std::vector<std::string> ciphers;
  std::vector<std::string> macs;
};

/// When keys are renewed (RFC 4253 section 9). The peer may ask at any time as well.
struct RekeyPolicy {
  std::uint64_t bytes = 0;  ///< each way; 0: chosen by the cipher (RFC 4344 section 3.2), at most 64 GiB
  Duration time = std::chrono::hours(1);  ///< 0: no limit
  std::uint32_t packets = 1u << 30;  ///< each way; far below 2^32, the sequence number is chacha20's nonce
};

/// What the peer can make us keep, and how flow control is sized. Sizes in bytes.
struct Limits {
  std::uint64_t window_budget =
      192u << 20;  ///< sum of all granted receive windows; at least channels * window_min
  std::uint32_t window_max = 64u << 20;       ///< of one channel
  std::uint32_t window_initial = 256u << 10;  ///< of one channel, while there are few
  std::uint32_t window_min = 8u << 10;        ///< of one channel, always
  std::uint32_t channels = 8192;
  std::uint32_t deferred_output = 1u << 20;    ///< control messages that may wait for a key exchange to end
  std::uint32_t output_max = 2u << 20;         ///< most sealed bytes waiting in output() (plus one packet)
  std::uint32_t output_min = 64u << 10;        ///< never limited below this, however slow the path is
  std::uint32_t before_auth_bytes = 1u << 20;  ///< from the peer, before login
  std::uint32_t auth_attempts = 64;
  std::uint32_t global_requests_pending = 1024;  ///< ssh sends one for each -R, all at once
};

struct Timing {
  Duration handshake =
      std::chrono::seconds(120);  ///< from the first call to login, our side's part included; 0: none
  Duration
      first_keys{};  ///< from the first call until the peer did its part of the first key exchange; 0: none
  Duration key_exchange = std::chrono::seconds(60);  ///< one renewal, behind the data that was under way
  Duration keepalive_interval =
      std::chrono::seconds(15);       ///< silence after which we ask whether the peer lives; 0: never
  std::uint32_t keepalive_count = 3;  ///< unanswered ones that end the session with Errc::timed_out
};

struct SessionConfig {
  Role role = Role::client;
  std::string software = "culvert_0.1";  ///< for "SSH-2.0-..." (RFC 4253 section 4.2)
  std::string user;                      ///< client: whom to log in as
  /// Client: logins by key name the host key where the server can check that (PROTOCOL of OpenSSH, section
  /// 3.1, publickey-hostbound-v00@openssh.com).
  bool host_bound = true;
  /// Client: which run of the program this is. A server that says that it understands is told so
  /// ("instance@culvert", ARCHITECTURE.md) behind the login, in front of all else.
  std::optional<InstanceId> instance;
  AlgorithmLists algorithms;
  RekeyPolicy rekey;
  Limits limits;
  Timing timing;
  std::vector<crypto::PublicKey> host_keys;  ///< server: what it can sign with
  /// Server: certificates for hosts of those keys, for clients that want one (PROTOCOL.certkeys). Those of
  /// other keys or for users are not shown.
  std::vector<crypto::Certificate> host_certificates;
  /// Server: text before login (RFC 4252 section 5.4), sent once, in front of the first answer to an attempt.
  /// Line ends become CR LF; that it is printable is the caller's affair. At most 32 KiB of it are sent.
  std::string banner;
};

// ---------------------------------------------------------------------------------------------------------------------
// Events

/// What ties an agent's signatures to this connection: the proof of the first key exchange (PROTOCOL.agent of
/// OpenSSH, section 1).
struct SessionBinding {
  Bytes session_id;
  Bytes host_key;   ///< as the server showed it: a key's blob or a certificate's
  Bytes signature;  ///< the server's, over session_id
};

/// Client. The server proved that it holds this key (the signature is checked already). Answer with
/// accept_host_key() or reject_host_key(); until then nothing of ours that matters is sent. Asked once: a
/// renewal must show the same key.
struct HostKeyOffered {
  crypto::PublicKey key;
  std::string algorithm;
  std::optional<crypto::Certificate> certificate;  ///< of this key, if the server showed one that counts
  SessionBinding binding;
  std::string certificate_fault = {};  ///< why the one that it showed does not count; or empty
};

/// Server. Answer with host_signature() (string algorithm, string signature over `message`).
struct HostSignatureWanted {
  crypto::PublicKey key;
  std::string algorithm;  ///< what to sign with: never a certificate's name
  Bytes message;
};

/// A key exchange ended; the names that were agreed on. The first one is followed by authentication.
struct KeysAgreed {
  std::string key_exchange, host_key, cipher_out, cipher_in, mac_out,
      mac_in;  ///< mac: empty for AEAD ciphers
  bool first;
  bool strict;
};

/// Client. Authentication may (go on to) try something: answer with one of the try_* commands, or
/// disconnect(). `methods` is what the server says can continue; empty before the first attempt, when nothing
/// is known.
struct AuthNext {
  std::vector<std::string> methods;
  bool partial_success = false;  ///< the last attempt was right, but more is asked for
  std::vector<std::string> server_signature_algorithms;  ///< RFC 8308 section 3.1; empty if it did not say
  /// The password was right, but must be changed first, which we cannot do (RFC 4252 section 8): what the
  /// server says of it.
  std::optional<std::string> password_change = std::nullopt;
};

/// Client. The server would take this key: answer with user_signature() (blob over `message`), or
/// skip_signature() to go back to AuthNext.
struct UserSignatureWanted {
  crypto::PublicKey key;
  std::string algorithm;
  Bytes message;
};

/// Client. Keyboard-interactive (RFC 4256 section 3.2). Answer with answer_prompts(), one answer per prompt.
/// The texts come from the server.
struct PromptsShown {
  struct Prompt {
    std::string text;
    bool echo;
  };
  std::string name, instruction;
  std::vector<Prompt> prompts;
};

/// Client. Text from the server, before login (RFC 4252 section 5.4).
struct BannerShown {
  std::string text;
};

/// Server. Somebody wants to log in as `user` with `key` (its signature, where `signed_`, is checked
/// already, so that it costs the same whoever `user` is). Answer with accept_user() or refuse_user(). Not
/// asked about are security keys, certificates for hosts, and algorithms that are not ours: they are refused
/// at once. Each refusal counts against Limits::auth_attempts.
struct UserOffered {
  std::string user;
  crypto::PublicKey key;
  bool signed_;
  std::string algorithm = {};  ///< as it came, of crypto::user_key_algorithms()
  /// Of `key`, for a user, and signed by its authority. Whether that authority counts, its principals,
  /// options and validity are yours to judge.
  std::optional<crypto::Certificate> certificate = {};
  /// The request names the host key that we showed (PROTOCOL of OpenSSH, section 3.1).
  bool host_bound = false;
};

/// Login is done; channels may be opened from now on.
struct Authenticated {};

/// Our open_*() was accepted. send() works from now on.
struct ChannelOpened {
  ChannelId id;
};

/// Our open_*() was refused; the id is free again. `description` comes from the peer.
struct ChannelOpenFailed {
  ChannelId id;
  OpenFailure reason;
  std::string description;
};

/// The peer wants to open a channel. Answer with accept_channel() or refuse_channel().
struct ChannelRequested {
  ChannelId id;
  std::string type;  ///< "direct-tcpip", "forwarded-tcpip", "direct-streamlocal@openssh.com", "session", ...
  std::string host;  ///< destination, or the address that was connected; a path for streamlocal
  std::uint32_t port;
  std::string origin_host;
  std::uint32_t origin_port;
};

/// Bytes from the peer. `data` points into the session's buffer and stays valid until the next prepare() or
/// commit(); further next_event() calls and commands do not disturb it. Report with consumed() what the
/// destination has taken.
struct ChannelData {
  ChannelId id;
  ByteView data;
  bool is_extended = false;  ///< stderr and the like (RFC 4254 section 5.2)
};

/// A channel whose last send() took less than was offered may send again.
struct ChannelWritable {
  ChannelId id;
};

/// The peer sends no more data on it.
struct ChannelEnded {
  ChannelId id;
};

/// The peer closed it, or the session ended. Comes exactly once for every channel that was opened, after all
/// of its data, and for one that was being opened when the session ended. The id is gone, unless bytes of it
/// were not consumed: then the peer has no answer to its close before consumed() has told of all of them, or
/// close() gives them up. Nothing else may be done with it.
struct ChannelClosed {
  ChannelId id;
  /// What the peer sent may lack its end, and no ChannelEnded came: the session ended first, or the peer is a
  /// culvert, which tells a reset so (ARCHITECTURE.md). To any other peer a close is an end, too.
  bool is_cut = false;
};

/// The answer to send_global_request(..., want_reply), in order of the requests.
struct GlobalReply {
  std::uint64_t token;
  bool success;
  Bytes data;
};

/// Server. A request that nobody here knows. If want_reply, answer with reply_global(), in the order of these
/// events. At most Limits::global_requests_pending requests of all kinds may wait for an answer; answers
/// leave in the order of the requests, whichever is given first.
struct GlobalRequested {
  std::string name;
  Bytes data;
  bool want_reply;
};

/// Server. The client wants us to listen for it, or (`cancel`) no longer: "tcpip-forward" (RFC 4254 section
/// 7.1), or where `is_path` "streamlocal-forward@openssh.com" (PROTOCOL of OpenSSH, section 2.4). Answer each
/// with reply_listen(), in the order of these events, also if the client does not want to know: until then it
/// counts for Limits::global_requests_pending.
struct ListenRequested {
  bool cancel;
  bool is_path;
  std::string host;    ///< the address as it came, or the path; at most 1024 bytes
  std::uint32_t port;  ///< at most 65535; 0 asks for any
};

/// Server. A request on a channel of type "session" that was accepted: "pty-req", "shell", "exec", ... (RFC
/// 4254 section 6; those on other channels are refused here). If want_reply, answer with reply_channel(), in
/// the order of the channel's events; at most 32 may wait for that.
struct ChannelAsked {
  ChannelId id;
  std::string name;  ///< at most 4096 bytes of it
  Bytes data;        ///< what follows want_reply
  bool want_reply;
};

/// Server. The client wants proof that we hold these host keys of ours ("hostkeys-prove-00@openssh.com",
/// PROTOCOL of OpenSSH, section 2.5). Answer with host_key_proof(). One at a time: another one that comes
/// before the answer is refused.
struct HostKeyProofWanted {
  std::vector<crypto::PublicKey> keys;  ///< each once
  std::vector<std::string> algorithms;  ///< what each signs with
  std::vector<Bytes> messages;          ///< what each signs
};

/// Server. The client says which run of its program this is ("instance@culvert", ARCHITECTURE.md): the same
/// before and after a reconnect. It is a claim, and counts only for whoever logged in. At most once.
struct InstanceTold {
  InstanceId id;
};

/// The last event. Errc::cancelled after our own disconnect(); output() may still hold a disconnect message
/// to send.
struct Disconnected {
  Error error;
};
/// Why we do (RFC 4253 section 11.1). Who is one too many may come again later, and culvert's client does.
enum class Goodbye : std::uint8_t { by_application, too_many_connections };
/// Whether the peer said goodbye: `detail` is the reason of its SSH_MSG_DISCONNECT then.
[[nodiscard]] bool is_goodbye(const Error& error);

using Event =
    std::variant<HostKeyOffered, HostSignatureWanted, KeysAgreed, AuthNext, UserSignatureWanted, PromptsShown,
                 BannerShown, UserOffered, Authenticated, ChannelOpened, ChannelOpenFailed, ChannelRequested,
                 ChannelData, ChannelWritable, ChannelEnded, ChannelClosed, GlobalReply, GlobalRequested,
                 ListenRequested, ChannelAsked, HostKeyProofWanted, InstanceTold, Disconnected>;

// ---------------------------------------------------------------------------------------------------------------------

class Session {
 public:
  /// `random` must outlive the session. `now` starts the handshake's time.
  Session(SessionConfig config, crypto::Random& random, Instant now);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // ---- bytes in
  /// Lends room for at least `n` bytes (n >= 1) to read into. Ends the validity of all ChannelData views.
  [[nodiscard]] MutableBytes prepare(std::size_t n);
  /// The first `n` bytes of what prepare() lent have been filled.
  void commit(std::size_t n, Instant now);
  /// The peer ended its direction of the connection below us, or that was lost: `why` then. What it said
  /// before of its reasons counts for more.
  void commit_end(Instant now, std::optional<Error> why = std::nullopt);

  // ---- what was understood
  /// Decrypts as it goes; none: everything that came is understood.
  [[nodiscard]] std::optional<Event> next_event();

  // ---- bytes out
  /// All that waits to be sent; valid until the next command, next_event() or consume_output().
  [[nodiscard]] ByteView output() const;
  /// The first `n` bytes of it have been taken by the network. Its rhythm is what the length of the queue
  /// follows.
  void consume_output(std::size_t n, Instant now);
  /// How much the queue may hold before send() takes nothing, in bytes: the measured rate times a few ten
  /// milliseconds.
  [[nodiscard]] std::size_t output_limit() const;

  // ---- time
  void advance(Instant now);
  [[nodiscard]] Instant next_deadline() const;

  // ---- host identity
  void accept_host_key();
  void reject_host_key(std::string reason);
  void host_signature(ByteView signature);

  // ---- authentication, client
  /// Asks which methods there are ("none").
  void try_none();
  /// Offers a key. With `ask_first`, UserSignatureWanted comes only if the server would take it; without, at
  /// once (one round trip less, at the price of a signature). `algorithm` as in
  /// crypto::signature_algorithms().
  void try_public_key(crypto::PublicKey key, std::string algorithm, bool ask_first);
  /// The same with a certificate of our key; `algorithm` is of crypto::user_key_algorithms(), and the
  /// signature that is asked for is crypto::signature_of() it.
  void try_certificate(const crypto::Certificate& certificate, std::string algorithm, bool ask_first);
  void user_signature(ByteView signature);
  void skip_signature();
  void try_password(const SecretBytes& password);
  void try_keyboard_interactive();
  void answer_prompts(std::span<const SecretBytes> answers);

  // ---- authentication, server
  void accept_user();
  void refuse_user();

  // ---- channels
  /// RFC 4254 section 7.2. Names go to the peer as they are. Errc::limit if there are too many channels;
  /// Errc::closed if the session is not (or no longer) authenticated.
  [[nodiscard]] Result<ChannelId> open_direct_tcpip(std::string_view host, std::uint32_t port,
                                                    std::string_view origin_host, std::uint32_t origin_port);
  /// PROTOCOL section 2.4 of OpenSSH.
  [[nodiscard]] Result<ChannelId> open_direct_streamlocal(std::string_view path);
  /// Server: RFC 4254 section 7.2, for a listener that the client asked for.
  [[nodiscard]] Result<ChannelId> open_forwarded_tcpip(std::string_view host, std::uint32_t port,
                                                       std::string_view origin_host,
                                                       std::uint32_t origin_port);
  /// Server: the same for a path (PROTOCOL of OpenSSH, section 2.4).
  [[nodiscard]] Result<ChannelId> open_forwarded_streamlocal(std::string_view path);
  void accept_channel(ChannelId id);
  void refuse_channel(ChannelId id, OpenFailure reason, std::string_view description);

  /// How many bytes send() would take now.
  [[nodiscard]] std::size_t sendable(ChannelId id) const;
  /// Seals as much of `data` as the peer's window, the queue and this channel's turn allow, and says how much
  /// that was; if not all, ChannelWritable comes. 0 for a channel that may not send (any more).
  std::size_t send(ChannelId id, ByteView data);
  /// `n` bytes of this channel's ChannelData were taken by their destination (or thrown away): credit goes
  /// back.
  void consumed(ChannelId id, std::size_t n);
  /// We send no more on it. All that send() took goes first.
  void send_eof(ChannelId id);
  /// Gives the channel up, both ways. ChannelClosed follows when the peer has agreed; what it still sends is
  /// thrown away. A no-op on a channel that is closed or closing. One that the peer asked for and that was
  /// not accepted yet is refused, and no event follows.
  void close(ChannelId id);
  /// Server: the answer to the channel's oldest ChannelAsked that wants one.
  void reply_channel(ChannelId id, bool success);
  /// Server, on an open channel of type "session": what it ended with (RFC 4254 section 6.10).
  void send_exit_status(ChannelId id, std::uint32_t status);

  // ---- the rest
  /// False: nothing was sent, since nearly Limits::global_requests_pending of ours wait for an answer (a few
  /// are kept for keepalives), or the session is over. One that wants no answer is always sent.
  bool send_global_request(std::string_view name, ByteView data, bool want_reply, std::uint64_t token);
  void reply_global(bool success, ByteView data);
  /// Server: the answer to the oldest ListenRequested. `bound_port` is told only where any port was asked
  /// for.
  void reply_listen(bool success, std::uint32_t bound_port);
  /// Server, once after Authenticated: tells all host keys ("hostkeys-00@openssh.com", PROTOCOL of OpenSSH,
  /// section 2.5).
  void announce_host_keys();
  /// Server: one signature blob for each key of HostKeyProofWanted, in their order. Any other number, as
  /// none: a refusal.
  void host_key_proof(std::span<const Bytes> signatures);
  /// Renews the keys now.
  void request_rekey();
  /// Says goodbye (RFC 4253 section 11.1) and ends.
  void disconnect(std::string_view text, Goodbye why = Goodbye::by_application);

  // ---- state, for status lines
  [[nodiscard]] std::string_view peer_identification()
      const;                                   ///< "SSH-2.0-OpenSSH_9.2p1 ..."; empty before it came
  [[nodiscard]] bool peer_is_culvert() const;  ///< by its identification
  [[nodiscard]] std::size_t channel_count() const;
  [[nodiscard]] bool is_authenticated() const;
  /// Server: how many attempts to log in were refused so far, also those that no UserOffered told of (a
  /// signature that does not fit). The question "none" is no attempt.
  [[nodiscard]] std::uint32_t refused_attempts() const;
  [[nodiscard]] bool is_closed() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace culvert::ssh

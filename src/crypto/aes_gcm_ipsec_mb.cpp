// SPDX-License-Identifier: Apache-2.0
// intel-ipsec-mb's direct GCM calls. A manager is a table of functions for this CPU: one for the process,
// filled once and only read afterwards, so any thread may use it.
#include "crypto/aes_gcm_engines.hpp"

#if defined(CULVERT_HAVE_IPSEC_MB) && defined(__x86_64__)

#include <intel-ipsec-mb.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/code_pages.hpp"
#include "base/secret.hpp"
#include "crypto/cpu.hpp"

namespace culvert::crypto {
namespace {

const IMB_MGR* make_manager() {
  if (!cpu_has_aes() || !__builtin_cpu_supports("avx")) return nullptr;
  IMB_MGR* const manager = alloc_mb_mgr(0);
  if (manager == nullptr) return nullptr;
  init_mb_mgr_auto(manager, nullptr);
  if (imb_get_errno(manager) != 0) {
    free_mb_mgr(manager);
    return nullptr;
  }
  // It tests all that it has at its start. That leaves 3 MiB of code mapped, more than all the rest of a
  // process.
  unmap_code(reinterpret_cast<const void*>(manager->gcm128_enc_update));
  return manager;
}

const IMB_MGR* manager() {
  static const IMB_MGR* const made = make_manager();
  return made;
}

template <class Struct>
void wipe_struct(Struct& value) {
  wipe({reinterpret_cast<std::uint8_t*>(&value), sizeof value});
}

class IpsecMbAesGcm final : public AesGcm {
 public:
  IpsecMbAesGcm(const IMB_MGR& calls, ByteView key, Direction direction)
      : calls_(pick(calls, key.size(), direction)) {
    calls_.expand(key.data(), &key_);
  }
  ~IpsecMbAesGcm() override {
    wipe_struct(key_);
    wipe_struct(context_);
  }
  IpsecMbAesGcm(const IpsecMbAesGcm&) = delete;
  IpsecMbAesGcm& operator=(const IpsecMbAesGcm&) = delete;

  void begin(ByteView nonce, ByteView associated_data) override {
    calls_.init(&key_, &context_, nonce.data(), associated_data.data(), associated_data.size());
  }
  void update(ByteView in, std::uint8_t* out) override {
    calls_.update(&key_, &context_, out, in.data(), in.size());
  }
  void tag(MutableBytes tag) override { calls_.finalize(&key_, &context_, tag.data(), tag.size()); }
  bool tag_fits(ByteView theirs) override {
    std::array<std::uint8_t, kGcmTagSize> ours{};
    tag(ours);
    return equal_in_constant_time(ours, theirs);
  }

 private:
  struct Calls {
    aes_gcm_pre_t expand;
    aes_gcm_init_t init;
    aes_gcm_enc_dec_update_t update;
    aes_gcm_enc_dec_finalize_t finalize;
  };

  static Calls pick(const IMB_MGR& m, std::size_t key_size, Direction direction) {
    const bool seal = direction == Direction::seal;
    if (key_size == 16) {
      return {m.gcm128_pre, m.gcm128_init, seal ? m.gcm128_enc_update : m.gcm128_dec_update,
              seal ? m.gcm128_enc_finalize : m.gcm128_dec_finalize};
    }
    return {m.gcm256_pre, m.gcm256_init, seal ? m.gcm256_enc_update : m.gcm256_dec_update,
            seal ? m.gcm256_enc_finalize : m.gcm256_dec_finalize};
  }

  Calls calls_;
  alignas(64) gcm_key_data
      key_{};  // its header aligns it only where LINUX is defined, the code assumes it everywhere
  alignas(64) gcm_context_data context_{};
};

}  // namespace

bool ipsec_mb_is_available() { return manager() != nullptr; }

std::unique_ptr<AesGcm> make_ipsec_mb_aes_gcm(ByteView key, Direction direction) {
  if (manager() == nullptr) return nullptr;
  return std::make_unique<IpsecMbAesGcm>(*manager(), key, direction);
}

}  // namespace culvert::crypto

#else

namespace culvert::crypto {

bool ipsec_mb_is_available() { return false; }

std::unique_ptr<AesGcm> make_ipsec_mb_aes_gcm(ByteView /*key*/, Direction /*direction*/) { return nullptr; }

}  // namespace culvert::crypto

#endif

#include "tests/benchmark/probes/amx_tiles.h"

#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace attention::benchmark {
namespace {

// GCC passes a target on to functions, but not to the copies that it makes of a constructor.
__attribute__((target("amx-tile"))) void Store(uint8_t* configuration) {
  _tile_storeconfig(configuration);
}
__attribute__((target("amx-tile"))) void Load(const uint8_t* configuration) {
  _tile_loadconfig(configuration);
}
__attribute__((target("amx-tile"))) void Release() { _tile_release(); }

}  // namespace

bool AmxIsUsable() {
  static const bool usable = [] {
    if (!__builtin_cpu_supports("amx-tile") || !__builtin_cpu_supports("amx-bf16")) return false;
    // Linux allocates the tiles' state only for processes that ask (arch_prctl(2)).
    constexpr long kRequestPermission = 0x1023;
    constexpr long kTileData = 18;
    return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  }();
  return usable;
}

FullTiles::FullTiles() {
  constexpr size_t kTileCount = 8;
  constexpr uint8_t kRowBytes = 64;
  constexpr uint8_t kRowCount = 16;
  alignas(64) Configuration full = {};
  full[0] = 1;  // palette
  for (size_t tile = 0; tile < kTileCount; ++tile) {
    full[16 + 2 * tile] = kRowBytes;
    full[48 + tile] = kRowCount;
  }
  Store(before_.data());
  Load(full.data());
}

FullTiles::~FullTiles() {
  const bool was_configured = before_[0] != 0;
  if (was_configured) {
    Load(before_.data());
  } else {
    Release();
  }
}

}  // namespace attention::benchmark

// The tile registers of AMX, lent to a probe and given back as they were.

#ifndef ATTENTION_TESTS_BENCHMARK_PROBES_AMX_TILES_H_
#define ATTENTION_TESTS_BENCHMARK_PROBES_AMX_TILES_H_

#include <array>
#include <cstdint>

namespace attention::benchmark {

// Whether this process may use AMX with BF16. The first call asks the system for the permission.
[[nodiscard]] bool AmxIsUsable();

// While it lives, all eight tiles of the calling thread are full ones: 16 rows of 64 bytes. Then
// the configuration that was there before is back (kernels may rely on theirs); the tiles' contents
// are lost. Only where AmxIsUsable().
class FullTiles {
 public:
  FullTiles();
  ~FullTiles();
  FullTiles(const FullTiles&) = delete;
  FullTiles& operator=(const FullTiles&) = delete;

 private:
  using Configuration = std::array<uint8_t, 64>;  // as `sttilecfg` writes it
  alignas(64) Configuration before_ = {};
};

}  // namespace attention::benchmark

#endif  // ATTENTION_TESTS_BENCHMARK_PROBES_AMX_TILES_H_

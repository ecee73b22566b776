// Which instructions the kernels may use: the processor's, capped once at start-up.

#ifndef ATTENTION_KERNELS_INSTRUCTION_SET_H_
#define ATTENTION_KERNELS_INSTRUCTION_SET_H_

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"

namespace attention::kernels {

// In ascending order: each includes the ones before it.
enum class InstructionLevel : uint8_t {
  kBaseline,    // x86-64
  kAvx2,        // with FMA
  kAvx512,      // F, BW, CD, DQ, VL
  kAvx512Bf16,  // with dot products of BF16 pairs
  kAvx512Amx,   // with BF16 tiles
};

// What both oneDNN and the elementwise kernels dispatch to in this process.
[[nodiscard]] InstructionLevel EffectiveInstructionLevel();

// Caps both at the level that the fused implementation `name` is made for; does nothing for other
// names. kFailedPrecondition if oneDNN has already chosen otherwise.
[[nodiscard]] absl::Status CapInstructionSetFor(std::string_view name);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_INSTRUCTION_SET_H_

// Which instructions the kernels may use: the processor's, capped once at start-up.

#ifndef ATTENTION_KERNELS_INSTRUCTION_SET_H_
#define ATTENTION_KERNELS_INSTRUCTION_SET_H_

#include <cstdint>

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

// Caps both at a level; the lowest and the highest cap nothing. kFailedPrecondition if oneDNN has
// already chosen otherwise.
[[nodiscard]] absl::Status CapInstructionLevel(InstructionLevel level);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_INSTRUCTION_SET_H_

#include "kernels/instruction_set.h"

#include "hwy/targets.h"
#include "kernels/implementation.h"
#include "oneapi/dnnl/dnnl.hpp"

namespace attention::kernels {
namespace {

// oneDNN's enumerators are sets of features: a set holds another if all its bits are there.
bool Includes(dnnl::cpu_isa have, dnnl::cpu_isa want) {
  return (static_cast<unsigned>(have) & static_cast<unsigned>(want)) == static_cast<unsigned>(want);
}

}  // namespace

InstructionLevel EffectiveInstructionLevel() {
  static const InstructionLevel level = [] {
    const dnnl::cpu_isa isa = dnnl::get_effective_cpu_isa();
    if (Includes(isa, dnnl::cpu_isa::avx512_core_amx)) return InstructionLevel::kAvx512Amx;
    if (Includes(isa, dnnl::cpu_isa::avx512_core_bf16)) return InstructionLevel::kAvx512Bf16;
    if (Includes(isa, dnnl::cpu_isa::avx512_core)) return InstructionLevel::kAvx512;
    if (Includes(isa, dnnl::cpu_isa::avx2)) return InstructionLevel::kAvx2;
    return InstructionLevel::kBaseline;
  }();
  return level;
}

absl::Status CapInstructionLevel(InstructionLevel level) {
  dnnl::cpu_isa cap = dnnl::cpu_isa::isa_default;
  int64_t highest_target = 0;
  switch (level) {
    case InstructionLevel::kAvx512Amx:
    case InstructionLevel::kBaseline:
      return absl::OkStatus();
    case InstructionLevel::kAvx512Bf16:
      cap = dnnl::cpu_isa::avx512_core_bf16;
      highest_target = HWY_AVX3_ZEN4;  // named after one processor that has it
      break;
    case InstructionLevel::kAvx512:
      cap = dnnl::cpu_isa::avx512_core;
      highest_target = HWY_AVX3;
      break;
    case InstructionLevel::kAvx2:
      cap = dnnl::cpu_isa::avx2;
      highest_target = HWY_AVX2;
      break;
  }
  // First the one that may refuse: who is refused finds the process as it was.
  if (dnnl_set_max_cpu_isa(static_cast<dnnl_cpu_isa_t>(cap)) != dnnl_success) {
    return absl::FailedPreconditionError(
        "implementation: cannot be forced any more, since this process has already computed, asked "
        "which implementations there are, or been refused one that the processor lacks");
  }
  hwy::DisableTargets(highest_target - 1);  // a smaller bit is a newer instruction set
  return absl::OkStatus();
}

std::string_view InstructionSet() {
  switch (EffectiveInstructionLevel()) {
    case InstructionLevel::kAvx512Amx:
      return "avx512_amx";
    case InstructionLevel::kAvx512Bf16:
      return "avx512_bf16";
    case InstructionLevel::kAvx512:
      return "avx512";
    case InstructionLevel::kAvx2:
      return "avx2";
    case InstructionLevel::kBaseline:
      break;
  }
  return "baseline";
}

}  // namespace attention::kernels

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

absl::Status CapInstructionSetFor(std::string_view name) {
  dnnl::cpu_isa cap = dnnl::cpu_isa::isa_default;
  if (name == "fused-avx2") {
    cap = dnnl::cpu_isa::avx2;
    hwy::DisableTargets(HWY_AVX2 - 1);  // a smaller bit is a newer instruction set
  } else if (name == "fused-avx512") {
    cap = dnnl::cpu_isa::avx512_core;
    hwy::DisableTargets(HWY_AVX3 - 1);
  } else if (name == "fused-avx512-bf16") {
    cap = dnnl::cpu_isa::avx512_core_bf16;
    hwy::DisableTargets(HWY_AVX3_ZEN4 - 1);  // named after one processor that has it
  } else {
    return absl::OkStatus();
  }
  if (dnnl_set_max_cpu_isa(static_cast<dnnl_cpu_isa_t>(cap)) != dnnl_success) {
    return absl::FailedPreconditionError(
        "implementation: cannot be forced any more, since kernels have already run in this "
        "process");
  }
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

#include "tests/support/implementation_under_test.h"

#include <cstdlib>
#include <string_view>

namespace attention::test {

const kernels::Implementation* ForcedImplementation() {
  const char* name = std::getenv("ATTENTION_IMPLEMENTATION");
  if (name == nullptr) return nullptr;
  for (const kernels::Implementation* implementation : kernels::AllImplementations()) {
    if (implementation->name() == std::string_view(name)) return implementation;
  }
  return nullptr;
}

bool ForcedToFloat64() {
  const kernels::Implementation* forced = ForcedImplementation();
  return forced != nullptr && forced->name() == "unfused-float64";
}

std::string_view PrecisionThatRuns(kernels::DataType type, kernels::Precision precision) {
  if (type == kernels::DataType::kF64) return "f64";
  const std::string_view instructions = kernels::InstructionSet();
  const bool tiles = instructions == "avx512_amx";
  const bool bf16 = tiles || instructions == "avx512_bf16";
  if (type == kernels::DataType::kBF16) return bf16 ? "bf16" : "f32";
  if (type != kernels::DataType::kF32) return "f32";
  switch (precision) {
    case kernels::Precision::kBF16:
      return bf16 ? "bf16" : "f32";
    case kernels::Precision::kBF16X6:
      return tiles ? "bf16_x6" : "f32";
    case kernels::Precision::kBF16X3:
      return tiles ? "bf16_x3" : "f32";
    case kernels::Precision::kF32:
    case kernels::Precision::kF32GradeFastest:
      break;
  }
  return "f32";
}

bool ForcedToFused() { return ForcedImplementation() != nullptr && !ForcedToFloat64(); }

}  // namespace attention::test

#include "kernels/products.h"

#include "kernels/f32_grade_probe.h"
#include "kernels/instruction_set.h"

namespace attention::kernels {

bool UsesTileRegisters(const Products& products) {
  return products.bf16 && EffectiveInstructionLevel() == InstructionLevel::kAvx512Amx;
}

const Products& ChooseProducts(DataType type, Precision precision) {
  const InstructionLevel level = EffectiveInstructionLevel();
  if (level < InstructionLevel::kAvx512Bf16) return kF32Products;
  if (type == DataType::kBF16) return kBF16Products;
  if (type != DataType::kF32) return kF32Products;
  if (precision == Precision::kBF16) return kBF16Products;
  // Without tiles, three products in BF16 take longer than one in f32.
  if (level < InstructionLevel::kAvx512Amx) return kF32Products;
  switch (precision) {
    case Precision::kBF16X6:
      return kBF16X6Products;
    case Precision::kBF16X3:
      return kBF16X3Products;
    case Precision::kF32GradeFastest:
      return SplittingIsFaster() ? kBF16X6Products : kF32Products;
    case Precision::kF32:
    case Precision::kBF16:
      break;
  }
  return kF32Products;
}

}  // namespace attention::kernels

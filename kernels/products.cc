#include "kernels/products.h"

#include "kernels/f32_grade_probe.h"
#include "kernels/instruction_set.h"

namespace attention::kernels {

const Products& ChooseProducts(DataType type, Precision precision) {
  if (EffectiveInstructionLevel() < InstructionLevel::kAvx512Amx) return kF32Products;
  if (type == DataType::kBF16) return kBF16Products;
  if (type != DataType::kF32) return kF32Products;
  switch (precision) {
    case Precision::kF32:
      return kF32Products;
    case Precision::kBF16X6:
      return kBF16X6Products;
    case Precision::kBF16X3:
      return kBF16X3Products;
    case Precision::kBF16:
      return kBF16Products;
    case Precision::kF32GradeFastest:
      return SplittingIsFaster() ? kBF16X6Products : kF32Products;
  }
  return kF32Products;
}

}  // namespace attention::kernels

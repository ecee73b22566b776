#include "kernels/tensor_view.h"

namespace attention::kernels {

std::string_view Name(DataType type) {
  switch (type) {
    case DataType::kF32:
      return "F32";
    case DataType::kF16:
      return "F16";
    case DataType::kBF16:
      return "BF16";
    case DataType::kF64:
      return "F64";
    case DataType::kBool:
      return "BOOL";
  }
  return "unknown";
}

}  // namespace attention::kernels

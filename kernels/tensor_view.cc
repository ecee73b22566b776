#include "kernels/tensor_view.h"

namespace attention::kernels {

size_t ElementBytes(DataType type) {
  switch (type) {
    case DataType::kF32:
      return 4;
    case DataType::kF16:
    case DataType::kBF16:
      return 2;
    case DataType::kF64:
      return 8;
    case DataType::kBool:
      return 1;
  }
  return 0;
}

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

#include "tests/benchmark/service/borrowed.h"

#include <cstddef>
#include <cstring>
#include <span>

#include "tests/benchmark/verification.h"

namespace attention::benchmark {

client::TensorRef Borrow(const kernels::TensorView& view) {
  const auto type =
      view.type == kernels::DataType::kBF16 ? client::DataType::kBF16 : client::DataType::kF32;
  const auto byte_count =
      static_cast<size_t>(kernels::ElementCount(view.extents)) * kernels::ElementBytes(view.type);
  return {type,
          {view.extents.begin(), view.extents.end()},
          {static_cast<const std::byte*>(view.data), byte_count}};
}

absl::Status Verify(const absl::StatusOr<client::AttentionResult>& result,
                    const AttentionShape& shape, AttentionOperands& operands) {
  if (!result.ok()) return result.status();
  const kernels::AttentionOutputs outputs = operands.UnwrittenOutputs();
  const std::span<const std::byte> bytes = result->output.bytes();
  std::memcpy(outputs.output.data, bytes.data(), bytes.size());
  return VerifyAttention(operands.Problem(), Options(shape), outputs, result->execution.precision);
}

}  // namespace attention::benchmark

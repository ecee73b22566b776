// Copies of stored numbers, rounded and turned as a layer wants them.

#ifndef ATTENTION_SERVER_LAYERS_TENSOR_COPIER_H_
#define ATTENTION_SERVER_LAYERS_TENSOR_COPIER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kernels/tensor_view.h"
#include "server/core/buffer.h"
#include "server/layers/safetensors.h"

namespace attention::server {

// Rows of a stored tensor.
struct StoredMatrix {
  absl::string_view name = {};
  kernels::DataType type = kernels::DataType::kF32;
  int64_t row_count = 0;
  int64_t column_count = 0;
  std::span<const std::byte> bytes = {};
  bool transposed = false;  // whether copies are [column_count, row_count]

  [[nodiscard]] StoredMatrix Rows(int64_t first, int64_t count) const;
  // Of a matrix of one row.
  [[nodiscard]] StoredMatrix Columns(int64_t first, int64_t count) const;
};

// The first extent as rows, all others side by side. `tensor` must outlive the result.
[[nodiscard]] StoredMatrix MatrixOf(const StoredTensor& tensor);

class TensorCopier {
 public:
  // Copies are of type `type` and live in `storage`, which must outlive the copier.
  TensorCopier(kernels::DataType type, std::vector<Buffer>& storage)
      : type_(type), storage_(storage) {}

  // kInvalidArgument, naming the tensor, for a finite number beyond what the type holds. May throw
  // std::bad_alloc.
  [[nodiscard]] absl::StatusOr<const void*> Copy(const StoredMatrix& matrix);

 private:
  const kernels::DataType type_;
  std::vector<Buffer>& storage_;
};

}  // namespace attention::server

#endif  // ATTENTION_SERVER_LAYERS_TENSOR_COPIER_H_

// Ready queries, keys and values: tensors whose axes lie in one of the layouts.

#ifndef ATTENTION_SERVER_CODEC_READY_OPERAND_H_
#define ATTENTION_SERVER_CODEC_READY_OPERAND_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "attention/v1/attention_service.pb.h"
#include "kernels/tensor_view.h"
#include "server/codec/tensor_codec.h"

namespace attention::server {

// One operand, as [batch, heads, rows, head width] whatever its layout.
struct Operand {
  absl::string_view path;
  WireTensor tensor;
  bool has_batch = false;
  kernels::TensorView view;
  std::string heads_path;  // the fields that decide
  std::string rows_path;
  std::string width_path;

  [[nodiscard]] int64_t batch() const { return view.extents[0]; }
  [[nodiscard]] int64_t heads() const { return view.extents[1]; }
  [[nodiscard]] int64_t rows() const { return view.extents[2]; }
  [[nodiscard]] int64_t head_width() const { return view.extents[3]; }
};

struct OperandField {
  bool present = false;
  const v1::Tensor& tensor;
  absl::string_view path;
  int64_t head_count = 0;  // for LAYOUT_PACKED
  absl::string_view head_count_path;
};

// Errors: kInvalidArgument for a tensor of another rank or type than the layout asks for, and for
// extents over the protocol's limits.
[[nodiscard]] absl::StatusOr<Operand> ReadOperand(const OperandField& field, v1::Layout layout,
                                                  TensorReader& reader);

// That the three have one type, one batch and as many heads and rows as fit together.
[[nodiscard]] absl::Status CheckTogether(const Operand& query, const Operand& key,
                                         const Operand& value);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CODEC_READY_OPERAND_H_

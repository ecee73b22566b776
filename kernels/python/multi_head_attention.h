// A layer of self-attention with its four projections, as torch.nn.MultiheadAttention computes it:
//
//   [query | key | value] = embeddings in_proj_weight^T + in_proj_bias
//   attended = attention of each head on its part of the width, side by side
//   output   = attended out_proj_weight^T + out_proj_bias
//
// Source: Vaswani et al., "Attention Is All You Need" (2017), section 3.2.2.

#ifndef ATTENTION_KERNELS_PYTHON_MULTI_HEAD_ATTENTION_H_
#define ATTENTION_KERNELS_PYTHON_MULTI_HEAD_ATTENTION_H_

#include <nanobind/nanobind.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "kernels/attend.h"
#include "kernels/projection.h"
#include "kernels/python/array.h"
#include "kernels/python/attention_call.h"
#include "kernels/python/hidden_keys.h"

namespace attention::python {

// In PyTorch's names and layout, where the rows of a weight are outputs. None of the biases must be
// there.
struct LayerWeights {
  nanobind::object in_proj_weight;   // [3 width, width]: queries, keys, values below each other
  nanobind::object in_proj_bias;     // [3 width] or None
  nanobind::object out_proj_weight;  // [width, width]
  nanobind::object out_proj_bias;    // [width] or None
};

struct LayerArguments {
  nanobind::object embeddings;  // [batch, tokens, width] or [tokens, width]
  HiddenKeys hidden;
  nanobind::object out;  // or None
  std::optional<int64_t> threads;
  bool return_report = false;
};

// Immutable once made: calls may run in several threads at once.
class MultiHeadAttention {
 public:
  // Packs the weights and keeps nothing else of them. Raises ValueError, TypeError.
  MultiHeadAttention(const LayerWeights& weights, int64_t head_count,
                     const std::optional<std::string>& precision);

  // The output, or a tuple of it and of the report, whose precision is the projections'. Computes
  // without holding the interpreter's lock. Between calls each calling thread keeps the memory of
  // intermediate results, up to 64 MiB.
  [[nodiscard]] nanobind::object Call(const LayerArguments& arguments) const;

  [[nodiscard]] int64_t width() const { return width_; }
  [[nodiscard]] int64_t head_count() const { return head_count_; }

 private:
  // Rows of embeddings and of the output, by batch entry.
  struct Rows {
    int64_t batch;
    int64_t tokens;
    kernels::TensorView input;          // [1, batch, tokens, width]
    kernels::MutableTensorView output;  // the same
  };

  [[nodiscard]] Rows CheckedRows(const Array& embeddings, const Array& output) const;
  [[nodiscard]] kernels::AttentionProblem Problem(const Rows& rows, std::byte* projected) const;
  [[nodiscard]] absl::StatusOr<Report> Compute(const Rows& rows, kernels::AttentionProblem& problem,
                                               std::byte* projected,
                                               const kernels::Execution& execution) const;

  int64_t width_ = 0;
  int64_t head_count_ = 0;
  kernels::DataType type_ = kernels::DataType::kF32;
  kernels::Precision precision_ = kernels::Precision::kF32;
  std::unique_ptr<const kernels::PackedProjection> in_projection_;
  std::unique_ptr<const kernels::PackedProjection> out_projection_;
};

}  // namespace attention::python

#endif  // ATTENTION_KERNELS_PYTHON_MULTI_HEAD_ATTENTION_H_

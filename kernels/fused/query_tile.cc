#include "kernels/fused/query_tile.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>

#include "kernels/elementwise/elementwise.h"
#include "kernels/fused/mask_rows.h"
#include "kernels/visibility.h"

namespace attention::kernels {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

// Matrix kernels are made for a few row counts only; the rows beyond the real ones hold zeros.
int64_t RoundedRowCount(int64_t row_count) {
  for (const int64_t few : {1, 2, 4, 8}) {
    if (row_count <= few) return few;
  }
  constexpr int64_t kRowMultiple = 16;
  return RoundUp(row_count, kRowMultiple);
}

// A thread's working memory, kept between tiles.
struct Scratch {
  AlignedArray<std::byte> queries;       // [rows, inner width] in the type of the matrix kernels
  AlignedArray<float> scores;            // [rows, score stride]
  AlignedArray<uint16_t> weights;        // [rows, weight stride], BF16 only
  AlignedArray<float> outputs;           // [rows, output stride]
  AlignedArray<float> maxima;            // [rows]
  AlignedArray<float> sums;              // [rows]
  AlignedArray<int32_t> visible_counts;  // [rows]
};

class QueryTile {
 public:
  QueryTile(const FusedCall& call, int64_t batch, int64_t head, int64_t first_query,
            Scratch& scratch)
      : call_(call),
        plan_(call.plan),
        problem_(call.problem),
        batch_(batch),
        head_(head),
        key_value_head_(head / (problem_.query.extents[1] / problem_.key.extents[1])),
        first_query_(first_query),
        row_count_(std::min(plan_.query_rows, problem_.query.extents[2] - first_query)),
        padded_row_count_(RoundedRowCount(row_count_)),
        masks_(problem_, batch, head),
        scratch_(scratch) {
    // The softmax folds the scale into its exponents; masks, or a scale that is not positive, need
    // scaled scores.
    scale_first_ = masks_.any() || !(call.scale > 0);
    exponent_scale_ = static_cast<float>((scale_first_ ? 1.0 : static_cast<double>(call.scale)) *
                                         std::numbers::log2e);
  }

  absl::Status Compute() {
    Prepare();
    const int64_t end = VisibleKeyCount(problem_, batch_, first_query_ + row_count_ - 1);
    for (int64_t first_key = 0; first_key < end; first_key += plan_.key_columns) {
      if (StopRequested(call_.execution)) return absl::OkStatus();
      const int64_t count = std::min(plan_.key_columns, end - first_key);
      if (absl::Status status = TakeBlock(first_key, count); !status.ok()) return status;
    }
    WriteOutput();
    if (!call_.outputs.weights.present() && call_.options.scores == ScoresOutput::kNone) {
      return absl::OkStatus();
    }
    return WriteScoreMatrices();
  }

 private:
  void Prepare() {
    const auto rows = static_cast<size_t>(padded_row_count_);
    const int64_t query_row_bytes = plan_.inner_width * plan_.ElementBytes();
    scratch_.queries.Reserve(rows * static_cast<size_t>(query_row_bytes));
    scratch_.scores.Reserve(rows * static_cast<size_t>(plan_.score_stride));
    if (plan_.type == MatrixType::kBF16) {
      scratch_.weights.Reserve(rows * static_cast<size_t>(plan_.weight_stride));
    }
    scratch_.outputs.Reserve(rows * static_cast<size_t>(plan_.output_stride));
    scratch_.maxima.Reserve(rows);
    scratch_.sums.Reserve(rows);
    scratch_.visible_counts.Reserve(rows);
    std::fill_n(scratch_.outputs.data(), rows * static_cast<size_t>(plan_.output_stride), 0.0f);
    std::fill_n(scratch_.maxima.data(), rows, kMinusInfinity);
    std::fill_n(scratch_.sums.data(), rows, 0.0f);
    std::memset(scratch_.queries.data(), 0, rows * static_cast<size_t>(query_row_bytes));
    for (int64_t row = 0; row < row_count_; ++row) {
      const std::byte* source = RowAddress(problem_.query, batch_, head_, first_query_ + row);
      std::byte* target = scratch_.queries.data() + row * query_row_bytes;
      const int64_t width = problem_.query.extents[3];
      if (plan_.type == MatrixType::kBF16) {
        std::memcpy(target, source, static_cast<size_t>(width) * sizeof(uint16_t));
      } else {
        ConvertToF32(problem_.query.type, source, width, reinterpret_cast<float*>(target));
      }
    }
  }

  [[nodiscard]] BlockIndex Block(int64_t first_key) const {
    return {batch_, key_value_head_, first_key / plan_.key_columns};
  }

  // scores = queries keys, for `count` keys rounded up.
  absl::Status ComputeScores(int64_t first_key, int64_t count) {
    const MatrixKernelShape shape = {.type = plan_.type,
                                     .accumulate = false,
                                     .row_count = padded_row_count_,
                                     .column_count = RoundUp(count, kColumnMultiple),
                                     .inner_count = plan_.inner_width,
                                     .a_stride = plan_.inner_width,
                                     .b_stride = plan_.key_columns,
                                     .c_stride = plan_.score_stride};
    if (absl::Status status = SelectKernel(shape, score_kernel_shape_, score_kernel_);
        !status.ok()) {
      return status;
    }
    score_kernel_->Run(scratch_.queries.data(), call_.packed.Keys(Block(first_key)),
                       scratch_.scores.data());
    return absl::OkStatus();
  }

  // outputs += weights values.
  absl::Status AccumulateOutput(int64_t first_key, int64_t count) {
    const bool bf16 = plan_.type == MatrixType::kBF16;
    const MatrixKernelShape shape = {.type = plan_.type,
                                     .accumulate = true,
                                     .row_count = padded_row_count_,
                                     .column_count = problem_.value.extents[3],
                                     .inner_count = RoundUp(count, kColumnMultiple),
                                     .a_stride = bf16 ? plan_.weight_stride : plan_.score_stride,
                                     .b_stride = plan_.value_stride,
                                     .c_stride = plan_.output_stride};
    if (absl::Status status = SelectKernel(shape, output_kernel_shape_, output_kernel_);
        !status.ok()) {
      return status;
    }
    const void* weights =
        bf16 ? static_cast<const void*>(scratch_.weights.data()) : scratch_.scores.data();
    output_kernel_->Run(weights, call_.packed.Values(Block(first_key)), scratch_.outputs.data());
    return absl::OkStatus();
  }

  // Looks the kernel up only if the shape differs from the last block's.
  static absl::Status SelectKernel(const MatrixKernelShape& shape, MatrixKernelShape& current_shape,
                                   std::shared_ptr<const MatrixKernel>& current) {
    if (current != nullptr && shape == current_shape) return absl::OkStatus();
    absl::StatusOr<std::shared_ptr<const MatrixKernel>> found = FindMatrixKernel(shape);
    if (!found.ok()) return found.status();
    current = *std::move(found);
    current_shape = shape;
    return absl::OkStatus();
  }

  // How many of the `count` keys from first_key on a row may see, as far as causality and lengths
  // say.
  [[nodiscard]] int64_t VisibleInBlock(int64_t row, int64_t first_key, int64_t count) const {
    return std::clamp<int64_t>(VisibleKeyCount(problem_, batch_, first_query_ + row) - first_key, 0,
                               count);
  }

  absl::Status TakeBlock(int64_t first_key, int64_t count) {
    if (absl::Status status = ComputeScores(first_key, count); !status.ok()) return status;
    for (int64_t row = 0; row < row_count_; ++row) {
      const int64_t visible = VisibleInBlock(row, first_key, count);
      scratch_.visible_counts.data()[row] = static_cast<int32_t>(visible);
      if (scale_first_) {
        masks_.Apply(first_query_ + row, first_key, visible, call_.scale, ScoreRow(row));
      }
    }
    for (int64_t row = row_count_; row < padded_row_count_; ++row)
      scratch_.visible_counts.data()[row] = 0;
    const SoftmaxBlock block = {.scores = scratch_.scores.data(),
                                .score_stride_elements = plan_.score_stride,
                                .row_count = padded_row_count_,
                                .column_count = RoundUp(count, kColumnMultiple),
                                .visible_counts = scratch_.visible_counts.data(),
                                .exponent_scale = exponent_scale_,
                                .maxima = scratch_.maxima.data(),
                                .sums = scratch_.sums.data(),
                                .outputs = scratch_.outputs.data(),
                                .output_stride_elements = plan_.output_stride,
                                .output_count = problem_.value.extents[3]};
    if (plan_.type == MatrixType::kBF16) {
      SoftmaxToBF16(block, scratch_.weights.data(), plan_.weight_stride);
    } else {
      SoftmaxToF32(block);
    }
    if (absl::Status status = AccumulateOutput(first_key, count); !status.ok()) return status;
    if (call_.packed.HasNonFiniteValues(Block(first_key))) AddNonFiniteValues(first_key, count);
    return absl::OkStatus();
  }

  [[nodiscard]] float* ScoreRow(int64_t row) const {
    return scratch_.scores.data() + row * plan_.score_stride;
  }

  [[nodiscard]] float WeightAt(int64_t row, int64_t column) const {
    if (plan_.type == MatrixType::kF32) return ScoreRow(row)[column];
    float weight = 0;
    ConvertToF32(DataType::kBF16, scratch_.weights.data() + row * plan_.weight_stride + column, 1,
                 &weight);
    return weight;
  }

  // Values that are not finite were left out of the product; here they reach those who attend to
  // them.
  void AddNonFiniteValues(int64_t first_key, int64_t count) {
    const int64_t width = problem_.value.extents[3];
    std::vector<float> values(static_cast<size_t>(width));
    for (int64_t column = 0; column < count; ++column) {
      const std::byte* source =
          RowAddress(problem_.value, batch_, key_value_head_, first_key + column);
      if (AllFinite(problem_.value.type, source, width)) continue;
      ConvertToF32(problem_.value.type, source, width, values.data());
      for (int64_t row = 0; row < row_count_; ++row) {
        if (column >= VisibleInBlock(row, first_key, count)) continue;
        if (!masks_.Visible(first_query_ + row, first_key + column)) continue;
        float* output = scratch_.outputs.data() + row * plan_.output_stride;
        const float weight = WeightAt(row, column);
        for (int64_t i = 0; i < width; ++i) {
          if (!std::isfinite(values[static_cast<size_t>(i)]))
            output[i] += weight * values[static_cast<size_t>(i)];
        }
      }
    }
  }

  // 1 / sum, or 0 for a row that saw nothing.
  [[nodiscard]] float Normalizer(int64_t row) const {
    const float sum = scratch_.sums.data()[row];
    return sum == 0 ? 0.0f : 1.0f / sum;
  }

  void WriteOutput() {
    for (int64_t row = 0; row < row_count_; ++row) {
      ScaleFromF32(scratch_.outputs.data() + row * plan_.output_stride, Normalizer(row),
                   problem_.value.extents[3], problem_.query.type,
                   RowAddress(call_.outputs.output, batch_, head_, first_query_ + row));
    }
  }

  // A second pass over the keys, now that the softmax is final. Hidden keys are included, for raw
  // scores.
  absl::Status WriteScoreMatrices() {
    const int64_t key_count = problem_.key.extents[2];
    const int64_t end = call_.options.scores == ScoresOutput::kRaw
                            ? key_count
                            : VisibleKeyCount(problem_, batch_, first_query_ + row_count_ - 1);
    for (int64_t first_key = 0; first_key < key_count; first_key += plan_.key_columns) {
      if (StopRequested(call_.execution)) return absl::OkStatus();
      const int64_t count = std::min(plan_.key_columns, key_count - first_key);
      const int64_t computed = std::clamp<int64_t>(end - first_key, 0, count);
      if (computed > 0) {
        if (absl::Status status = ComputeScores(first_key, computed); !status.ok()) return status;
      }
      for (int64_t row = 0; row < row_count_; ++row) WriteScoreRow(row, first_key, count, computed);
    }
    return absl::OkStatus();
  }

  void WriteScoreRow(int64_t row, int64_t first_key, int64_t count, int64_t computed) {
    const int64_t query = first_query_ + row;
    float* scores = ScoreRow(row);
    const auto write = [&](const MutableTensorView& target, float factor) {
      ScaleFromF32(scores, factor, count, target.type,
                   RowAddress(target, batch_, head_, query) +
                       first_key * static_cast<int64_t>(ElementBytes(target.type)));
    };
    if (call_.options.scores == ScoresOutput::kRaw) write(call_.outputs.scores, call_.scale);
    const int64_t visible = VisibleInBlock(row, first_key, computed);
    if (scale_first_) masks_.Apply(query, first_key, visible, call_.scale, scores);
    std::fill(scores + visible, scores + count, kMinusInfinity);
    if (call_.options.scores == ScoresOutput::kMasked) {
      write(call_.outputs.scores, scale_first_ ? 1.0f : call_.scale);
    }
    if (!call_.outputs.weights.present()) return;
    const float maximum = scratch_.maxima.data()[row];
    if (maximum == kMinusInfinity) {  // nothing was visible, or only -infinity and perhaps NaN
      std::fill_n(scores, visible, Normalizer(row));
      std::fill(scores + visible, scores + count, 0.0f);
    } else {
      NormalizeScores(scores, count, exponent_scale_, maximum, Normalizer(row));
    }
    write(call_.outputs.weights, 1.0f);
  }

  const FusedCall& call_;
  const TilePlan& plan_;
  const AttentionProblem& problem_;
  const int64_t batch_;
  const int64_t head_;
  const int64_t key_value_head_;
  const int64_t first_query_;
  const int64_t row_count_;
  const int64_t padded_row_count_;
  MaskRows masks_;
  Scratch& scratch_;
  bool scale_first_ = false;
  float exponent_scale_ = 0;
  MatrixKernelShape score_kernel_shape_;
  MatrixKernelShape output_kernel_shape_;
  std::shared_ptr<const MatrixKernel> score_kernel_;
  std::shared_ptr<const MatrixKernel> output_kernel_;
};

}  // namespace

absl::Status ComputeQueryTile(const FusedCall& call, int64_t batch, int64_t head,
                              int64_t first_query) {
  thread_local Scratch scratch;
  return QueryTile(call, batch, head, first_query, scratch).Compute();
}

}  // namespace attention::kernels

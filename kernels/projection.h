// The linear maps before and after attention, several of one input at once:
//
//   output[m] = input weight[m] + bias[m]     for each map m
//
// Outputs are rows with strides of their own. Queries, keys and values that are projected into one
// array, or into three, are read by Attend as they lie: heads side by side in a row are a
// TensorView of {batch, heads, rows, width} with the strides {rows * row_stride, width, row_stride,
// 1}.
//
// A whole layer, its weights packed once:
//
//   maps = {F32, precision, width, {{width, Wq, bq}, {width, Wk, bk}, {width, Wv, bv}}}
//   packed = PackedProjection::Pack(maps)            // keeps nothing of Wq, Wk, Wv
//   packed->Apply({rows, x, width, {{q, width}, {k, width}, {v, width}}})
//   Attend(views of q, k and v, ..., a view of heads)
//   packed_output->Apply({rows, heads, width, {{y, width}}})
//
// Sources: Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008), for
// panels and blocks; for split products see Precision.

#ifndef ATTENTION_KERNELS_PROJECTION_H_
#define ATTENTION_KERNELS_PROJECTION_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/attend.h"
#include "kernels/execution.h"
#include "kernels/tensor_view.h"

namespace attention::kernels {

struct ProjectionMap {
  int64_t output_width = 0;      // at least 1
  const void* weight = nullptr;  // [input_width, output_width], dense
  const void* bias = nullptr;    // [output_width], or null for none
};

// F32 and F64 are computed in their own precision, F32 in another one if `precision` says so; F16
// and BF16 products are summed in f32 and rounded once. Whether numbers can be split is asked of
// each row of the input and of each 64 columns of a weight.
struct ProjectionMaps {
  DataType type = DataType::kF32;            // of inputs, weights, biases and outputs: not BOOL
  Precision precision = Precision::kF32;     // kF32GradeFastest: chosen when packing
  int64_t input_width = 0;                   // at least 1
  std::span<const ProjectionMap> maps = {};  // at least one
};

struct ProjectedRows {
  void* data = nullptr;
  int64_t row_stride = 0;  // elements; at least the map's output_width
};

struct ProjectionRows {
  int64_t row_count = 0;
  const void* input = nullptr;
  int64_t input_stride = 0;                     // elements; at least input_width
  std::span<const ProjectedRows> outputs = {};  // one for each map; none may overlap an input
};

// What ran.
struct ProjectionReport {
  std::string_view precision;  // as in AttentionReport; where rows or columns differ, most of them
  int thread_count = 1;        // threads that took part
};

// Computes maps whose weights serve once: they are packed panel by panel, as far as they are
// needed. Memory: working sets of a few MiB a thread, which it keeps, so that nothing is allocated
// once they have their size.
//
// A row is computed in tiles of a fixed height: its bits depend neither on the other rows, nor on
// the other maps, nor on the number of threads, nor on whether weights were packed before.
//
// Returns kInvalidArgument, with nothing written, for a bad extent or type; kCancelled if stopped;
// kResourceExhausted if there is no memory; kInternal if the matrix library failed. Thread safety:
// reentrant.
[[nodiscard]] absl::StatusOr<ProjectionReport> Project(const ProjectionMaps& maps,
                                                       const ProjectionRows& rows,
                                                       const Execution& execution = {});

// Maps whose weights serve many times. Immutable. Thread safety: all methods may be called from any
// thread.
class PackedProjection {
 public:
  // Reads weights and biases and refers to them no more. Errors as for Project.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<const PackedProjection>> Pack(
      const ProjectionMaps& maps, const Execution& execution = {});

  // The bytes that Pack would keep, at most, from types and widths alone. Saturates.
  [[nodiscard]] static int64_t PackedBytes(const ProjectionMaps& maps);

  virtual ~PackedProjection() = default;

  // The same bits as Project.
  [[nodiscard]] virtual absl::StatusOr<ProjectionReport> Apply(
      const ProjectionRows& rows, const Execution& execution = {}) const = 0;
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_PROJECTION_H_

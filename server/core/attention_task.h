// What a request asks for, free of any wire format; and the answer.

#ifndef ATTENTION_SERVER_CORE_ATTENTION_TASK_H_
#define ATTENTION_SERVER_CORE_ATTENTION_TASK_H_

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "kernels/attend.h"
#include "server/core/buffer.h"
#include "server/core/ragged_batch.h"

namespace attention::server {

class Layer;

// y = x weight + bias. Dense, in the task's type; memory is the request's or its layer's.
struct LinearMap {
  int64_t input_width = 0;
  int64_t output_width = 0;
  const void* weight = nullptr;  // [input_width, output_width]
  const void* bias = nullptr;    // [output_width] or null
};

// Rows of two arrays over the request's memory, one after the other.
struct JoinedRows {
  kernels::TensorView past;   // [batch, heads, past rows, head width]
  kernels::TensorView added;  // [batch, heads, added rows, head width]
};

// Where queries, keys or values come from.
struct HeadsSource {
  // Ready: a view [batch, heads, rows, head width] over the request's memory. Projected or joined:
  // only the extents are meaningful, and they describe the heads that come of it.
  kernels::TensorView view;

  // Set: rows = `embeddings` [batch * rows, projection.input_width] projection, heads side by side.
  std::optional<LinearMap> projection;
  const void* embeddings = nullptr;

  // Set: rows = the past ones, then the added ones, copied into one array, heads first. Without a
  // projection and an appended row.
  std::optional<JoinedRows> joined;

  // Set: one more row, [heads * head width], behind those of each sequence, which the view's rows
  // count. Without a projection, the view's memory holds the others.
  const void* appended = nullptr;

  // Rows like these of which there is no memory yet: type and extents alone.
  void Describe(const kernels::TensorView& rows, int64_t row_count) {
    view = {};
    view.type = rows.type;
    view.extents = rows.extents;
    view.extents[2] = row_count;
  }

  // Whether heads are read as they lie in memory.
  [[nodiscard]] bool ready() const {
    return !projection.has_value() && !joined.has_value() && appended == nullptr;
  }

  // Rows of a sequence, without the appended one.
  [[nodiscard]] int64_t given_row_count() const {
    return view.extents[2] - (appended != nullptr ? 1 : 0);
  }
};

// How the output's axes lie in memory.
enum class OutputLayout : uint8_t {
  kHeadsFirst,     // [batch, heads, queries, value width]
  kSequenceFirst,  // [batch, queries, heads, value width], which is also the packed form
};

// What to return about each softmax, see kernels::AttentionOutputs.
struct Statistics {
  bool log_sum_exp = false;
  bool entropy = false;
  bool maximum_weight = false;
  bool key_mass = false;
  int64_t top_weight_count = 0;
};

// One attention to compute. Every pointer aliases memory that outlives the computation, kept alive
// by whoever made the task (for a request: by the decoded message).
struct AttentionTask {
  kernels::DataType type = kernels::DataType::kF32;
  HeadsSource query, key, value;

  // The operands' views are taken from the sources above; the rest is used as it is.
  kernels::AttentionProblem problem;
  kernels::AttentionOptions options;

  // Set: the rows of queries, keys and values, whose batch is 1, are those of several sequences.
  // query_offsets, key_lengths and prefix_lengths of the problem have an element for each.
  std::optional<RaggedRows> ragged;

  OutputLayout output_layout = OutputLayout::kSequenceFirst;
  std::optional<LinearMap> output_projection;  // only with kSequenceFirst

  // Whose maps these are, if they are not the request's own; keeps them alive.
  std::shared_ptr<const Layer> layer;

  bool sends_floats = false;  // the answer's numbers are sent as F32, whatever they are
  bool return_weights = false;
  bool return_present = false;  // keys and values, heads first; both must be joined
  Statistics statistics;
  // Scores are returned if options.scores asks for them.
};

// The arrays that a task's answer holds, dense; those not asked for are empty. Output, weights and
// scores have the task's type, statistics that of StatisticsType, keys are int32_t.
struct AttentionResult {
  Buffer output;
  Buffer weights;
  Buffer scores;
  Buffer log_sum_exp;
  Buffer entropy;
  Buffer maximum_weight;
  Buffer key_mass;
  Buffer top_weights;
  Buffer top_keys;

  // Joined keys and values [batch, key-value heads, keys, width], in the task's type.
  Buffer present_key;
  Buffer present_value;

  kernels::AttentionReport report;
};

// The task's problem: its operands with the extents and type of their sources and, where these are
// ready, their memory and strides. One that is not has no data and no strides yet.
[[nodiscard]] kernels::AttentionProblem ProblemOf(const AttentionTask& task);

// A ragged batch is as many problems as it has sequences, any other batch is one. The second
// function has one of them; the first has all of a ragged batch as if they were one sequence.
[[nodiscard]] int64_t ProblemCount(const AttentionTask& task);
[[nodiscard]] kernels::AttentionProblem ProblemOf(const AttentionTask& task, int64_t index);

// Whether two sources are projected to the same heads: the same embeddings by the same map, with
// the same row appended. Those are computed and stored once.
[[nodiscard]] bool SameProjectedHeads(const HeadsSource& a, const HeadsSource& b);

// For one of the task's query, key and value: whether an earlier one already yields its heads.
[[nodiscard]] bool IsRepeated(const AttentionTask& task, const HeadsSource& source);

// kInvalidArgument, naming the field and both values, if projections and heads do not fit together
// or if kernels::Validate refuses the problem. What follows expects a valid task.
[[nodiscard]] absl::Status Validate(const AttentionTask& task);

// Bytes of all arrays of the answer, as they are held until it is sent, and as they are sent. These
// and ScratchBytes saturate at the largest int64_t.
[[nodiscard]] int64_t ResultBytes(const AttentionTask& task);
[[nodiscard]] int64_t SentBytes(const AttentionTask& task);

// Bytes that computing the task needs beside request and answer, at most: projected queries, keys
// and values, joined keys and values that are not part of the answer, attended heads before their
// projection, the kernels' packed copies of keys and values and, of a ragged batch, its statistics
// before they are arranged. Working sets of a few MiB for each thread, which weights are packed in,
// are not a request's. What is packed side by side, heads or sequences of a ragged batch, needs
// more on more threads.
[[nodiscard]] int64_t ScratchBytes(const AttentionTask& task, int thread_count);

// Floating point operations of projections, scores and attention: at most, where only the
// computation shows which rows see nothing. A double, since it must not overflow.
[[nodiscard]] double TaskFlops(const AttentionTask& task);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CORE_ATTENTION_TASK_H_

#include <algorithm>
#include <cstddef>
#include <functional>
#include <limits>
#include <numeric>
#include <vector>

#include "server/core/attention_task.h"
#include "server/core/ragged_runner.h"
#include "server/core/result_arrays.h"
#include "server/core/saturating.h"

namespace attention::server {
namespace {

using kernels::Extents;

// A number >= 0 as an integer, or the largest int64_t if that is smaller.
int64_t Saturated(double number) {
  return number < 0x1p63 ? static_cast<int64_t>(number) : std::numeric_limits<int64_t>::max();
}

int64_t BytesOf(const Extents& extents, int64_t element_bytes) {
  return SaturatingProduct({extents[0], extents[1], extents[2], extents[3], element_bytes});
}

int64_t ElementBytes(const AttentionTask& task) {
  return static_cast<int64_t>(kernels::ElementBytes(task.type));
}

// What a layer's products over several tasks need more: copies of rows side by side, before and
// after each product.
int64_t SharingBytes(const AttentionTask& task) {
  if (task.layer == nullptr) return 0;
  const int64_t element_bytes = ElementBytes(task);
  int64_t bytes = 0;
  const auto add = [&](int64_t row_count, int64_t width) {
    bytes = SaturatingSum({bytes, SaturatingProduct({row_count, width, element_bytes})});
  };
  for (const HeadsSource* source : {&task.query, &task.key, &task.value}) {
    if (!source->projection.has_value()) continue;
    const int64_t row_count =
        SaturatingProduct({source->view.extents[0], source->given_row_count()});
    add(row_count, source->projection->input_width);
    if (source->appended != nullptr) add(row_count, source->projection->output_width);
  }
  if (task.output_projection.has_value()) {
    const Extents& extents = task.query.view.extents;
    const int64_t row_count = SaturatingProduct({extents[0], extents[2]});
    add(row_count, task.output_projection->input_width);
    add(row_count, task.output_projection->output_width);
  }
  return bytes;
}

// What the kernels hold at a time: of a ragged batch, for one sequence on all threads, or for as
// many sequences as there are threads.
double PackedBytes(const AttentionTask& task, int thread_count) {
  const kernels::AttentionOutputs outputs = WantedOutputs(task);
  const auto bytes_of = [&](int64_t index, int threads) {
    return kernels::EstimatePackedBytes(ProblemOf(task, index), task.options, outputs, threads);
  };
  double most = 0;
  std::vector<double> bytes;
  bytes.reserve(static_cast<size_t>(ProblemCount(task)));
  for (int64_t index = 0; index < ProblemCount(task); ++index) {
    most = std::max(most, bytes_of(index, thread_count));
    bytes.push_back(bytes_of(index, 1));
  }
  const auto side_by_side =
      bytes.begin() + std::min<ptrdiff_t>(thread_count, static_cast<ptrdiff_t>(bytes.size()));
  std::partial_sort(bytes.begin(), side_by_side, bytes.end(), std::greater<>());
  return std::max(most, std::accumulate(bytes.begin(), side_by_side, 0.0));
}

// What a ragged batch needs beside the memory of its problems.
int64_t RaggedBytes(const AttentionTask& task) {
  int64_t bytes = ScheduleBytes(*task.ragged);
  for (const ResultArray& array : ResultArraysOf(task)) {
    if (!array.wanted || array.member == &AttentionResult::output) continue;
    bytes = SaturatingSum({bytes, BytesOf(array.extents, array.element_bytes)});
  }
  return bytes;
}

// Of all arrays of the answer, with so many bytes for each element.
int64_t AnswerBytes(const AttentionTask& task,
                    int64_t (*bytes_of_element)(int64_t element_bytes, bool sends_floats)) {
  int64_t bytes = 0;
  const auto add = [&](const Extents& extents, int64_t element_bytes) {
    bytes = SaturatingSum(
        {bytes, BytesOf(extents, bytes_of_element(element_bytes, task.sends_floats))});
  };
  if (task.return_present) {
    add(task.key.view.extents, ElementBytes(task));
    add(task.value.view.extents, ElementBytes(task));
  }
  for (const ResultArray& array : ResultArraysOf(task)) {
    if (array.wanted) add(array.extents, array.element_bytes);
  }
  return bytes;
}

}  // namespace

int64_t ResultBytes(const AttentionTask& task) { return AnswerBytes(task, HeldElementBytes); }
int64_t SentBytes(const AttentionTask& task) { return AnswerBytes(task, SentElementBytes); }

int64_t ScratchBytes(const AttentionTask& task, int thread_count) {
  const Extents& query = task.query.view.extents;
  const int64_t element_bytes = ElementBytes(task);
  int64_t bytes = 0;
  for (const HeadsSource* source : {&task.query, &task.key, &task.value}) {
    const bool answered = source->joined.has_value() && task.return_present;
    if (source->ready() || answered || IsRepeated(task, *source)) continue;
    bytes = SaturatingSum({bytes, BytesOf(source->view.extents, element_bytes)});
  }
  if (task.output_projection.has_value()) {
    const int64_t value_width = task.value.view.extents[3];
    bytes =
        SaturatingSum({bytes, BytesOf({query[0], query[1], query[2], value_width}, element_bytes)});
  }
  if (task.ragged.has_value()) bytes = SaturatingSum({bytes, RaggedBytes(task)});
  return SaturatingSum({bytes, SharingBytes(task), Saturated(PackedBytes(task, thread_count))});
}

}  // namespace attention::server

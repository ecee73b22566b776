// The arrays of an answer: which there are, how large, and where the kernels write them.

#ifndef ATTENTION_SERVER_CORE_RESULT_ARRAYS_H_
#define ATTENTION_SERVER_CORE_RESULT_ARRAYS_H_

#include <array>
#include <cstdint>

#include "absl/functional/function_ref.h"
#include "kernels/attend.h"
#include "server/core/attention_task.h"
#include "server/core/buffer.h"

namespace attention::server {

// The member of a result that holds an array.
using ResultMember = Buffer AttentionResult::*;

// One array that a task may return, dense.
struct ResultArray {
  ResultMember member;
  bool wanted = false;
  kernels::Extents extents = {0, 0, 0, 0};
  int64_t element_bytes = 0;
};

inline constexpr size_t kResultArrayCount = 9;

// Of an array of an answer that is kept in elements of `element_bytes`: bytes of one as it is sent,
// and as it is held until then. One that is not four bytes long is converted to be sent as F32,
// while the array that it is converted from is still there.
[[nodiscard]] constexpr int64_t SentElementBytes(int64_t element_bytes, bool sends_floats) {
  return sends_floats ? int64_t{sizeof(float)} : element_bytes;
}
[[nodiscard]] constexpr int64_t HeldElementBytes(int64_t element_bytes, bool sends_floats) {
  const int64_t sent_bytes = SentElementBytes(element_bytes, sends_floats);
  return sent_bytes == element_bytes ? element_bytes : element_bytes + sent_bytes;
}

// All that a task can return, those that it does not ask for included.
[[nodiscard]] std::array<ResultArray, kResultArrayCount> ResultArraysOf(const AttentionTask& task);

// What a task's statistics are returned in: F32, or F64 where the task is.
[[nodiscard]] kernels::DataType StatisticsType(kernels::DataType type);

// Views of what the kernels write for a task: the heads, dense in the task's layout, at `heads`,
// and every other array that is wanted at the address that `memory_of` has for it.
[[nodiscard]] kernels::AttentionOutputs OutputsOf(const AttentionTask& task, void* heads,
                                                  absl::FunctionRef<void*(ResultMember)> memory_of);

// The same before there is memory: what is wanted is present, and must not be touched.
[[nodiscard]] kernels::AttentionOutputs WantedOutputs(const AttentionTask& task);

// An address for memory that is not there yet. It may be compared with null and no more.
[[nodiscard]] void* NotYet();

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CORE_RESULT_ARRAYS_H_

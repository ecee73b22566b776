// Options decoded into small tasks.

#ifndef ATTENTION_TESTS_SERVER_CODEC_OPTIONS_FIXTURE_H_
#define ATTENTION_TESTS_SERVER_CODEC_OPTIONS_FIXTURE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/codec/options_codec.h"
#include "tests/support/status_matchers.h"

namespace attention::test {

// A task whose scores are [2 batch, 4 heads, `queries`, `keys`], of width 8.
inline server::AttentionTask TaskOf(int64_t queries = 3, int64_t keys = 5,
                                    kernels::DataType type = kernels::DataType::kF32) {
  server::AttentionTask task;
  task.type = type;
  task.query.view.extents = {2, 4, queries, 8};
  task.key.view.extents = {2, 2, keys, 8};
  return task;
}

// The task with the options filled in. What its spans point to lives as long as the program.
inline absl::StatusOr<server::AttentionTask> DecodeOptionsOf(const v1::AttentionOptions& options,
                                                             server::AttentionTask task = TaskOf(),
                                                             bool has_batch = true) {
  static auto& storage = *new std::vector<server::Buffer>();
  server::TensorReader reader(storage);
  absl::Status status = server::DecodeOptions({options, has_batch, reader, task});
  if (!status.ok()) return status;
  return task;
}

// Options that are refused, and with which words.
struct Refusal {
  v1::AttentionOptions options;
  std::string message;
};

inline void ExpectRefused(const std::vector<Refusal>& refusals,
                          const server::AttentionTask& task = TaskOf(),
                          absl::StatusCode code = absl::StatusCode::kInvalidArgument) {
  for (const Refusal& refusal : refusals) {
    EXPECT_THAT(DecodeOptionsOf(refusal.options, task), StatusIs(code, refusal.message));
  }
}

}  // namespace attention::test

#endif  // ATTENTION_TESTS_SERVER_CODEC_OPTIONS_FIXTURE_H_

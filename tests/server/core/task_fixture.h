// Small tasks with answers that can be computed by hand, and the memory they point to.

#ifndef ATTENTION_TESTS_SERVER_CORE_TASK_FIXTURE_H_
#define ATTENTION_TESTS_SERVER_CORE_TASK_FIXTURE_H_

#include <cmath>
#include <cstdint>
#include <vector>

#include "server/core/attention_task.h"

namespace attention::test {

// Extents alone, without memory: enough for sizes. Key width 3, value width 5.
inline server::AttentionTask Sizes(kernels::DataType type, int64_t batch, int64_t heads,
                                   int64_t queries, int64_t keys) {
  server::AttentionTask task;
  task.type = type;
  task.query.view.extents = {batch, heads, queries, 3};
  task.key.view.extents = {batch, heads, keys, 3};
  task.value.view.extents = {batch, heads, keys, 5};
  return task;
}

// Sequences of 2, 0 and 9 queries and 1, 3 and 9 keys.
inline server::AttentionTask RaggedSizes(kernels::DataType type) {
  server::AttentionTask task = Sizes(type, 1, 7, 11, 13);
  task.ragged = server::RaggedRows{{0, 2, 2, 11}, {0, 1, 4, 13}};
  return task;
}

// Ready operands, one batch entry and one head, width 1, in T (float or double): the query 1
// repeated `query_count` times over the keys 0 and ln 3 with the values 0 and 4. With scale 1 the
// weights are 1/4 and 3/4, and every output is 3.
template <class T>
class ReadyTask {
 public:
  explicit ReadyTask(int64_t query_count = 1)
      : query_(static_cast<size_t>(query_count), T{1}), key_{0, std::log(T{3})}, value_{0, 4} {
    task.type = sizeof(T) == 8 ? kernels::DataType::kF64 : kernels::DataType::kF32;
    task.query.view = kernels::DenseView(query_.data(), task.type, {1, 1, query_count, 1});
    task.key.view = kernels::DenseView(key_.data(), task.type, {1, 1, 2, 1});
    task.value.view = kernels::DenseView(value_.data(), task.type, {1, 1, 2, 1});
    task.options.scale = 1.0;
  }

  // The same keys and values, the first `past_count` of them as past ones.
  void Join(int64_t past_count) {
    for (server::HeadsSource* source : {&task.key, &task.value}) {
      server::JoinedRows rows = {source->view, source->view};
      rows.past.extents[2] = past_count;
      rows.added.extents[2] -= past_count;
      rows.added.data = static_cast<const T*>(source->view.data) + past_count;
      source->joined = rows;
      source->view.data = nullptr;
    }
  }

  server::AttentionTask task;

 private:
  std::vector<T> query_;
  std::vector<T> key_;
  std::vector<T> value_;
};

// Self attention with projections over the embeddings 0 and ln 3, two heads of width 1:
//   head 0: query 1, key x, value 4 x / ln 3: the task above, output 3
//   head 1: query 0, key x, value 2 x / ln 3: weights 1/2 and 1/2, output 1
// for both queries.
template <class T>
class ProjectedTask {
 public:
  ProjectedTask() {
    task.type = sizeof(T) == 8 ? kernels::DataType::kF64 : kernels::DataType::kF32;
    for (server::HeadsSource* source : {&task.query, &task.key, &task.value}) {
      source->view.type = task.type;
      source->view.extents = {1, 2, 2, 1};
      source->embeddings = embeddings_.data();
    }
    task.query.projection = {1, 2, query_weight_.data(), query_bias_.data()};
    task.key.projection = {1, 2, key_weight_.data(), nullptr};
    task.value.projection = {1, 2, value_weight_.data(), nullptr};
    task.options.scale = 1.0;
  }

  // y = [h0, h1] [[2, -1, 0], [0, 1, 10]] + [1, 0, 0.5]: 7, -2, 10.5.
  void AddOutputProjection() {
    task.output_projection = {2, 3, output_weight_.data(), output_bias_.data()};
  }

  server::AttentionTask task;

 private:
  const T log_3_ = std::log(T{3});
  std::vector<T> embeddings_ = {0, log_3_};
  std::vector<T> query_weight_ = {0, 0};
  std::vector<T> query_bias_ = {1, 0};
  std::vector<T> key_weight_ = {1, 1};
  std::vector<T> value_weight_ = {4 / log_3_, 2 / log_3_};
  std::vector<T> output_weight_ = {2, -1, 0, 0, 1, 10};
  std::vector<T> output_bias_ = {1, 0, T{0.5}};
};

template <class T>
[[nodiscard]] std::vector<T> ValuesOf(const server::Buffer& buffer) {
  const T* const first = static_cast<const T*>(buffer.data());
  return {first, first + buffer.byte_count() / sizeof(T)};
}

}  // namespace attention::test

#endif  // ATTENTION_TESTS_SERVER_CORE_TASK_FIXTURE_H_

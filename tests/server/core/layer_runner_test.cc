#include "server/core/layer_runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <memory>
#include <vector>

#include "server/core/task_runner.h"
#include "tests/server/core/layer_tasks.h"
#include "tests/server/core/task_fixture.h"
#include "tests/support/thread_executor.h"

namespace attention::server {
namespace {

using kernels::Precision;
using test::EmbeddingTask;

class Stopped final : public kernels::StopSignal {
 public:
  [[nodiscard]] bool StopRequested() const override { return true; }
};

class LayerRunnerTest : public testing::Test {
 protected:
  static LayerContents Contents() {
    return test::RandomLayer(
        "layer",
        {.head_count = 4, .key_value_head_count = 2, .head_width = 16, .embedding_width = 80});
  }

  std::shared_ptr<const Layer> Serve(LayerContents contents = Contents()) {
    return Layer::Make(std::move(contents), budget_);
  }

  // Fewer and more rows than a tile of a product has, to themselves and to others.
  static std::deque<EmbeddingTask> Tasks(const std::shared_ptr<const Layer>& layer) {
    std::deque<EmbeddingTask> tasks;
    const std::vector<std::pair<int64_t, int64_t>> sizes = {{1, 0}, {8, 0},  {3, 7},
                                                            {5, 1}, {65, 0}, {0, 4}};
    for (const auto& [query_count, memory_count] : sizes) {
      tasks.emplace_back(layer, query_count, memory_count, tasks.size() + 1);
      tasks.back().task.return_weights = true;
    }
    return tasks;
  }

  static std::vector<LayerTask> Together(const std::deque<EmbeddingTask>& tasks) {
    std::vector<LayerTask> together(tasks.size());
    for (size_t i = 0; i < tasks.size(); ++i) together[i].task = &tasks[i].task;
    return together;
  }

  static void ExpectSameBits(const Buffer& a, const Buffer& b) {
    ASSERT_EQ(a.byte_count(), b.byte_count());
    if (a.byte_count() == 0) return;
    EXPECT_EQ(std::memcmp(a.data(), b.data(), a.byte_count()), 0);
  }

  // That tasks together are what RunTask, which packs weights afresh, makes of each alone.
  static void ExpectAsAlone(const std::deque<EmbeddingTask>& tasks, int thread_count) {
    test::ThreadExecutor executor(thread_count);
    std::vector<LayerTask> together = Together(tasks);
    RunLayerTasks(together, &executor);
    for (size_t i = 0; i < tasks.size(); ++i) {
      SCOPED_TRACE(i);
      const auto alone = RunTask(tasks[i].task, {});
      ASSERT_TRUE(alone.ok()) << alone.status();
      ASSERT_TRUE(together[i].result.ok()) << together[i].result.status();
      ExpectSameBits(together[i].result->output, alone->output);
      ExpectSameBits(together[i].result->weights, alone->weights);
      EXPECT_EQ(together[i].result->report.precision, alone->report.precision);
      EXPECT_EQ(together[i].result->report.implementation, alone->report.implementation);
    }
  }

  ByteBudget budget_{int64_t{1} << 40};
};

TEST_F(LayerRunnerTest, GivesTasksTogetherTheBitsThatTheyHaveAlone) {
  const auto layer = Serve();
  for (const Precision precision : {Precision::kF32, Precision::kBF16X6, Precision::kBF16}) {
    SCOPED_TRACE(static_cast<int>(precision));
    std::deque<EmbeddingTask> tasks = Tasks(layer);
    for (EmbeddingTask& each : tasks) each.task.options.precision = precision;
    for (const int thread_count : {1, 3}) ExpectAsAlone(tasks, thread_count);
  }
}

TEST_F(LayerRunnerTest, GivesOneTaskTheBitsThatItHasWithoutPackedMaps) {
  const auto layer = Serve();
  std::deque<EmbeddingTask> tasks;
  tasks.emplace_back(layer, 9);
  ExpectAsAlone(tasks, 2);
}

TEST_F(LayerRunnerTest, AppendsTheLayersKeyAndValue) {
  LayerContents contents = Contents();
  test::Random random(5);
  contents.appended_key = test::Keep(test::Normals(32, random), contents);
  contents.appended_value = test::Keep(test::Normals(32, random), contents);
  ExpectAsAlone(Tasks(Serve(std::move(contents))), 2);
}

TEST_F(LayerRunnerTest, LeavesOutMapsThatTheLayerHasNot) {
  LayerContents contents = Contents();
  contents.output.reset();
  ExpectAsAlone(Tasks(Serve(std::move(contents))), 2);
}

TEST_F(LayerRunnerTest, ComputesWithoutPackedMapsWhereThereIsNoRoomForThem) {
  ByteBudget small(Layer::ContentBytes(Contents()));
  const auto layer = Layer::Make(Contents(), small);
  ASSERT_NE(layer, nullptr);
  ExpectAsAlone(Tasks(layer), 1);
}

TEST_F(LayerRunnerTest, EndsOneTaskWithoutTheOthers) {
  const auto layer = Serve();
  const std::deque<EmbeddingTask> tasks = Tasks(layer);
  std::vector<LayerTask> together = Together(tasks);
  const Stopped stopped;
  together[1].stop = &stopped;
  RunLayerTasks(together, nullptr);
  EXPECT_EQ(together[1].result.status().code(), absl::StatusCode::kCancelled);
  const auto alone = RunTask(tasks[2].task, {});
  ASSERT_TRUE(alone.ok() && together[2].result.ok());
  ExpectSameBits(together[2].result->output, alone->output);
}

TEST_F(LayerRunnerTest, EndsTheProductsOnceAllTasksAreStopped) {
  const auto layer = Serve();
  const std::deque<EmbeddingTask> tasks = Tasks(layer);
  std::vector<LayerTask> together = Together(tasks);
  const Stopped stopped;
  for (LayerTask& task : together) task.stop = &stopped;
  RunLayerTasks(together, nullptr);
  for (const LayerTask& task : together) {
    EXPECT_EQ(task.result.status().code(), absl::StatusCode::kCancelled);
  }
}

TEST_F(LayerRunnerTest, SharesWithinOneLayerAndPrecision) {
  const auto layer = Serve();
  const EmbeddingTask one(layer, 1);
  EmbeddingTask other(layer, 2);
  EXPECT_TRUE(CanShare(one.task, other.task));
  other.task.options.precision = Precision::kBF16X3;
  EXPECT_FALSE(CanShare(one.task, other.task));
  const EmbeddingTask elsewhere(Serve(), 1);
  EXPECT_FALSE(CanShare(one.task, elsewhere.task));
  const test::ReadyTask<float> ready;
  EXPECT_FALSE(CanShare(ready.task, ready.task));
}

TEST_F(LayerRunnerTest, CountsTheLargerNumberOfRows) {
  const auto layer = Serve();
  EXPECT_EQ(SharedRows(EmbeddingTask(layer, 3, 7).task), 7);
  EXPECT_EQ(SharedRows(EmbeddingTask(layer, 9, 7).task), 9);
}

}  // namespace
}  // namespace attention::server

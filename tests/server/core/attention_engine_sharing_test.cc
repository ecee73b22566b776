// Tasks of one layer that wait together.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <future>
#include <memory>
#include <utility>
#include <vector>

#include "server/core/task_runner.h"
#include "tests/server/core/engine_fixture.h"
#include "tests/server/core/layer_tasks.h"

namespace attention::server {
namespace {

using test::Answer;
using test::EmbeddingTask;
using test::ThreadHolder;
using testing::ElementsAre;

class AttentionEngineSharingTest : public test::EngineTest {
 protected:
  ~AttentionEngineSharingTest() override { engine_.reset(); }  // before the layer

  // Submits a task of so many rows and keeps it.
  std::future<Answer> SubmitRows(int64_t row_count) {
    tasks_.emplace_back(layer_, row_count, 0, tasks_.size() + 1);
    return Submit(tasks_.back().task);
  }

  static void ExpectAsAlone(const Answer& answer, const AttentionTask& task) {
    ASSERT_TRUE(answer.ok()) << answer.status();
    const auto alone = RunTask(task, {});
    ASSERT_TRUE(alone.ok()) << alone.status();
    ASSERT_EQ(answer->result.output.byte_count(), alone->output.byte_count());
    EXPECT_EQ(
        std::memcmp(answer->result.output.data(), alone->output.data(), alone->output.byte_count()),
        0);
  }

  ByteBudget budget_{int64_t{1} << 40};
  std::shared_ptr<const Layer> layer_ = Layer::Make(
      test::RandomLayer(
          "layer",
          {.head_count = 2, .key_value_head_count = 2, .head_width = 8, .embedding_width = 24}),
      budget_);
  std::deque<EmbeddingTask> tasks_;
};

TEST_F(AttentionEngineSharingTest, ComputesTasksThatWaitTogetherAndChangesNoBit) {
  StartEngine();
  std::vector<std::future<Answer>> answers;
  {
    ThreadHolder holder(*engine_, clock_);
    for (const int64_t row_count : {4, 1, 70, 8}) answers.push_back(SubmitRows(row_count));
  }
  for (size_t i = 0; i < answers.size(); ++i) ExpectAsAlone(answers[i].get(), tasks_[i].task);
  EXPECT_TRUE(BecomesIdle());
  EXPECT_THAT(metrics_.recorded().projected_together, ElementsAre(4));
  EXPECT_EQ(metrics_.recorded().computed.size(), 5u);
  EXPECT_EQ(metrics_.recorded().queue_waits.size(), 5u);
}

TEST_F(AttentionEngineSharingTest, ComputesATaskAloneWhereNoOtherWaits) {
  StartEngine();
  ExpectAsAlone(SubmitRows(3).get(), tasks_[0].task);
  EXPECT_THAT(metrics_.recorded().projected_together, ElementsAre(1));
}

TEST_F(AttentionEngineSharingTest, CountsNoTaskAsWaitingThatIsComputed) {
  StartEngine();
  std::vector<std::future<Answer>> answers;
  {
    ThreadHolder holder(*engine_, clock_);
    for (int i = 0; i < 4; ++i) answers.push_back(SubmitRows(2));
  }
  for (auto& answer : answers) EXPECT_TRUE(answer.get().ok());
  EXPECT_TRUE(BecomesIdle());
  EXPECT_THAT(metrics_.recorded().queue_depths, ElementsAre(1, 2, 3, 4, 3, 0));
}

TEST_F(AttentionEngineSharingTest, LetsNobodyWaitForOthersWhereTheLayerIsNotPacked) {
  const test::LayerRecipe recipe = {
      .head_count = 2, .key_value_head_count = 2, .head_width = 8, .embedding_width = 24};
  LayerContents contents = test::RandomLayer("layer", recipe);
  ByteBudget budget(Layer::ContentBytes(contents));
  layer_ = Layer::Make(std::move(contents), budget);
  StartEngine();
  std::vector<std::future<Answer>> answers;
  {
    ThreadHolder holder(*engine_, clock_);
    for (const int64_t row_count : {4, 1, 8}) answers.push_back(SubmitRows(row_count));
  }
  for (size_t i = 0; i < answers.size(); ++i) ExpectAsAlone(answers[i].get(), tasks_[i].task);
  EXPECT_TRUE(BecomesIdle());
  EXPECT_THAT(metrics_.recorded().projected_together, ElementsAre(1, 1, 1));
  tasks_.clear();
  layer_ = nullptr;  // before its budget
}

TEST_F(AttentionEngineSharingTest, LetsLargeTasksTakeNoOthers) {
  StartEngine();
  std::vector<std::future<Answer>> answers;
  {
    ThreadHolder holder(*engine_, clock_);
    for (const int64_t row_count : {256, 8, 8}) answers.push_back(SubmitRows(row_count));
  }
  for (size_t i = 0; i < answers.size(); ++i) ExpectAsAlone(answers[i].get(), tasks_[i].task);
  EXPECT_THAT(metrics_.recorded().projected_together, ElementsAre(1, 2));
}

TEST_F(AttentionEngineSharingTest, AnswersWhoGaveUpAndComputesTheOthers) {
  StartEngine();
  const auto cancelled = NewContext();
  std::vector<std::future<Answer>> answers;
  {
    ThreadHolder holder(*engine_, clock_);
    answers.push_back(SubmitRows(2));
    tasks_.emplace_back(layer_, 3);
    answers.push_back(Submit(tasks_.back().task, cancelled));
    answers.push_back(SubmitRows(4));
    cancelled->Cancel();
  }
  ExpectAsAlone(answers[0].get(), tasks_[0].task);
  EXPECT_EQ(answers[1].get().status().code(), absl::StatusCode::kCancelled);
  ExpectAsAlone(answers[2].get(), tasks_[2].task);
  EXPECT_THAT(metrics_.recorded().projected_together, ElementsAre(2));
  EXPECT_THAT(metrics_.recorded().stopped, ElementsAre(absl::StatusCode::kCancelled));
}

TEST_F(AttentionEngineSharingTest, ReturnsTheBytesOfTasksThatWereTogether) {
  StartEngine();
  {
    std::vector<std::future<Answer>> answers;
    ThreadHolder holder(*engine_, clock_);
    for (int i = 0; i < 5; ++i) answers.push_back(SubmitRows(4));
    holder.Release();
    for (auto& answer : answers) EXPECT_TRUE(answer.get().ok());
  }
  EXPECT_TRUE(BecomesIdle());
  EXPECT_EQ(engine_->bytes_in_flight(), 0);
}

// A refused task is answered once, by its own caller or by a task that took it first.
TEST_F(AttentionEngineSharingTest, AnswersEveryTaskOnceWhereTheQueueIsFull) {
  StartEngine({.queue_capacity = 2});
  std::vector<std::future<Answer>> answers;
  {
    ThreadHolder holder(*engine_, clock_);
    for (int i = 0; i < 6; ++i) answers.push_back(SubmitRows(2));
  }
  int answered = 0;
  int refused = 0;
  for (auto& future : answers) {
    const Answer answer = future.get();
    answered += answer.ok() ? 1 : 0;
    refused += answer.status().code() == absl::StatusCode::kResourceExhausted ? 1 : 0;
  }
  EXPECT_EQ(answered, 2);
  EXPECT_EQ(refused, 4);
}

TEST_F(AttentionEngineSharingTest, AnswersManyTasksFromManyThreads) {
  StartEngine({.thread_count = 3, .queue_capacity = 1000});
  std::vector<std::future<Answer>> answers;
  for (int64_t i = 0; i < 300; ++i) answers.push_back(SubmitRows(1 + i % 9));
  for (size_t i = 0; i < answers.size(); ++i) ExpectAsAlone(answers[i].get(), tasks_[i].task);
  EXPECT_TRUE(BecomesIdle());
}

}  // namespace
}  // namespace attention::server

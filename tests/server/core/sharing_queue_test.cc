#include "server/core/sharing_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <vector>

#include "server/core/layer_runner.h"
#include "tests/server/core/layer_tasks.h"
#include "tests/server/core/task_fixture.h"

namespace attention::server {
namespace {

using test::EmbeddingTask;
using testing::ElementsAre;
using testing::IsEmpty;

class SharingQueueTest : public testing::Test {
 protected:
  // Adds a task of so many rows; submissions are numbered from 0.
  SharingQueue::Ticket Add(int64_t row_count) {
    tasks_.emplace_back(layer_, row_count);
    submissions_.emplace_back(Method::kSelfAttention, &tasks_.back().task, nullptr);
    const auto ticket = queue_.NewTicket(submissions_.back().task);
    queue_.Add(ticket, submissions_.back());
    return ticket;
  }

  // The numbers of the submissions that a task of so many rows takes.
  std::vector<size_t> TakeLike(int64_t row_count) {
    const EmbeddingTask first(layer_, row_count);
    std::vector<size_t> taken;
    queue_.TakeLike(first.task, [&](Submission& submission) {
      for (size_t i = 0; i < submissions_.size(); ++i) {
        if (&submissions_[i] == &submission) taken.push_back(i);
      }
    });
    return taken;
  }

  ByteBudget budget_{int64_t{1} << 40};
  std::shared_ptr<const Layer> layer_ = Layer::Make(test::TinyLayer(), budget_);
  std::deque<EmbeddingTask> tasks_;
  std::deque<Submission> submissions_;
  SharingQueue queue_;
};

TEST_F(SharingQueueTest, GivesASubmissionToTheFirstWhoTakesIt) {
  const auto ticket = Add(1);
  EXPECT_TRUE(queue_.Take(ticket));
  EXPECT_FALSE(queue_.Take(ticket));
  EXPECT_THAT(TakeLike(1), IsEmpty());
  const auto other = Add(1);
  EXPECT_THAT(TakeLike(1), ElementsAre(1));
  EXPECT_FALSE(queue_.Take(other));
}

TEST_F(SharingQueueTest, LeavesTasksWithoutALayerToTheirJobs) {
  const test::ReadyTask<float> ready;
  Submission submission(Method::kScaledDotProductAttention, &ready.task, nullptr);
  const auto ticket = queue_.NewTicket(submission.task);
  EXPECT_EQ(ticket, SharingQueue::kAlone);
  queue_.Add(ticket, submission);
  EXPECT_THAT(TakeLike(1), IsEmpty());
  EXPECT_TRUE(queue_.Take(ticket));
}

TEST_F(SharingQueueTest, TakesTheOldestFirstUpToALimitOfRows) {
  Add(100);
  Add(200);
  Add(100);
  Add(56);
  Add(1);
  EXPECT_THAT(TakeLike(1), ElementsAre(0, 2, 4));
  EXPECT_THAT(TakeLike(1), ElementsAre(1));
  EXPECT_THAT(TakeLike(kMostSharedRows), IsEmpty());
  EXPECT_THAT(TakeLike(1), ElementsAre(3));
}

TEST_F(SharingQueueTest, TakesUpToALimitOfTasks) {
  for (int64_t i = 0; i < 2 * kMostSharingTasks; ++i) Add(1);
  EXPECT_EQ(std::ssize(TakeLike(1)), kMostSharingTasks - 1);
}

TEST_F(SharingQueueTest, LeavesTasksOfOtherLayers) {
  Add(1);
  layer_ = Layer::Make(test::TinyLayer(), budget_);
  EXPECT_THAT(TakeLike(1), IsEmpty());
}

}  // namespace
}  // namespace attention::server

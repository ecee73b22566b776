#include "server/core/task.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "tests/server/core/task_fixture.h"

namespace attention::server {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

std::vector<std::pair<int64_t, int64_t>> LengthsOf(const AnyTask& task) {
  std::vector<std::pair<int64_t, int64_t>> lengths;
  VisitSequenceLengths(task, [&](int64_t query_count, int64_t key_count) {
    lengths.emplace_back(query_count, key_count);
  });
  return lengths;
}

TEST(TaskTest, TellsTheLengthsOfABatchOnceAndOfEachSequenceOfARaggedOne) {
  test::ReadyTask<float> ready(3);
  EXPECT_THAT(LengthsOf(&ready.task), ElementsAre(Pair(3, 2)));
  ready.task.ragged = RaggedRows{{0, 3, 3}, {0, 0, 2}};
  EXPECT_THAT(LengthsOf(&ready.task), ElementsAre(Pair(3, 0), Pair(0, 2)));
  const RotaryTask rotary;
  EXPECT_THAT(LengthsOf(&rotary), IsEmpty());
}

TEST(TaskTest, NeedsMoreMemoryOnMoreThreadsForSequencesSideBySide) {
  test::ReadyTask<float> ready(2);
  EXPECT_EQ(ScratchBytes(AnyTask(&ready.task), 2), ScratchBytes(AnyTask(&ready.task), 1));
  ready.task.ragged = RaggedRows{{0, 1, 2}, {0, 1, 2}};
  EXPECT_GT(ScratchBytes(AnyTask(&ready.task), 2), ScratchBytes(AnyTask(&ready.task), 1));
  EXPECT_EQ(ScratchBytes(AnyTask(&ready.task), 9), ScratchBytes(AnyTask(&ready.task), 2));
}

TEST(TaskTest, CountsTheFloat64WorkOfEachSequenceAlone) {
  test::ReadyTask<double> ready(2);
  const double padded = Float64Flops(AnyTask(&ready.task));
  ready.task.ragged = RaggedRows{{0, 1, 2}, {0, 1, 2}};  // half of the pairs
  EXPECT_EQ(Float64Flops(AnyTask(&ready.task)), padded / 2);
  EXPECT_GT(padded, TaskFlops(AnyTask(&ready.task)));
}

}  // namespace
}  // namespace attention::server

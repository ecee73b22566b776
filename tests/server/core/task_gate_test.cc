#include "server/core/task_gate.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace attention::server {
namespace {

TimePoint In(std::chrono::milliseconds delay) { return std::chrono::steady_clock::now() + delay; }

TEST(TaskGateTest, IsEmptyAtFirst) {
  TaskGate gate;
  EXPECT_FALSE(gate.closed());
  EXPECT_TRUE(gate.WaitUntilEmpty(TimePoint::min()));
}

TEST(TaskGateTest, LetsNobodyInOnceClosed) {
  TaskGate gate;
  EXPECT_TRUE(gate.Enter());
  gate.Close();
  EXPECT_TRUE(gate.closed());
  EXPECT_FALSE(gate.Enter());
  gate.Leave();
  EXPECT_FALSE(gate.Enter());
  EXPECT_TRUE(gate.WaitUntilEmpty(TimePoint::min()));
}

TEST(TaskGateTest, TellsThatSomebodyIsStillInside) {
  TaskGate gate;
  ASSERT_TRUE(gate.Enter());
  EXPECT_FALSE(gate.WaitUntilEmpty(In(std::chrono::milliseconds(5))));
  gate.Leave();
  EXPECT_TRUE(gate.WaitUntilEmpty(TimePoint::min()));
}

TEST(TaskGateTest, WakesWhoeverWaitsWhenTheLastOneLeaves) {
  TaskGate gate;
  ASSERT_TRUE(gate.Enter());
  ASSERT_TRUE(gate.Enter());
  std::jthread leaver([&gate] {
    gate.Leave();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    gate.Leave();
  });
  EXPECT_TRUE(gate.WaitUntilEmpty(TimePoint::max()));
}

}  // namespace
}  // namespace attention::server

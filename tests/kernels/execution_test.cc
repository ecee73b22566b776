#include "kernels/execution.h"

#include <sched.h>

#include "gtest/gtest.h"

namespace attention::kernels {
namespace {

cpu_set_t Allowed() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  EXPECT_EQ(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
  return allowed;
}

void Allow(const cpu_set_t& processors) {
  ASSERT_EQ(sched_setaffinity(0, sizeof(processors), &processors), 0);
}

int FirstOf(const cpu_set_t& processors) {
  int first = 0;
  while (!CPU_ISSET(first, &processors)) ++first;
  return first;
}

cpu_set_t Only(int processor) {
  cpu_set_t processors;
  CPU_ZERO(&processors);
  CPU_SET(processor, &processors);
  return processors;
}

TEST(LeaveProcessorTest, MovesAThreadAndLeavesItAllowedEverywhere) {
  const cpu_set_t allowed = Allowed();
  if (CPU_COUNT(&allowed) < 2) GTEST_SKIP() << "needs two processors";
  const int busy = FirstOf(allowed);
  Allow(Only(busy));  // brings the thread there
  Allow(allowed);
  LeaveProcessor(busy);
  EXPECT_NE(sched_getcpu(), busy);
  const cpu_set_t after = Allowed();
  EXPECT_TRUE(CPU_EQUAL(&after, &allowed));
}

TEST(LeaveProcessorTest, AThreadThatMayRunNowhereElseStays) {
  const cpu_set_t allowed = Allowed();
  const int only = FirstOf(allowed);
  Allow(Only(only));
  LeaveProcessor(only);
  EXPECT_EQ(sched_getcpu(), only);
  const cpu_set_t after = Allowed();
  EXPECT_EQ(CPU_COUNT(&after), 1);
  Allow(allowed);
}

}  // namespace
}  // namespace attention::kernels

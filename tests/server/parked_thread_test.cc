#include "server/parked_thread.h"

#include <atomic>
#include <latch>
#include <thread>

#include "gtest/gtest.h"

namespace attention::server {
namespace {

TEST(ParkedThreadTest, EndsWithoutWork) { const ParkedThread thread; }

TEST(ParkedThreadTest, WorksOnAThreadOfItsOwnAndTellsWhenItIsDone) {
  std::latch go{1};
  std::thread::id worker;
  ParkedThread thread;
  thread.Run([&] {
    worker = std::this_thread::get_id();
    go.wait();
  });
  EXPECT_FALSE(thread.WaitFor(std::chrono::milliseconds(5)));
  go.count_down();
  EXPECT_TRUE(thread.WaitFor(std::chrono::seconds(60)));
  EXPECT_NE(worker, std::this_thread::get_id());
}

TEST(ParkedThreadTest, ItsEndWaitsForTheWork) {
  std::atomic<bool> done = false;
  {
    ParkedThread thread;
    thread.Run([&done] {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      done = true;
    });
  }
  EXPECT_TRUE(done);
}

}  // namespace
}  // namespace attention::server

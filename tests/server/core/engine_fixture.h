// An engine with a clock turned by hand, and answers that can be waited for.

#ifndef ATTENTION_TESTS_SERVER_CORE_ENGINE_FIXTURE_H_
#define ATTENTION_TESTS_SERVER_CORE_ENGINE_FIXTURE_H_

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <latch>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "server/core/attention_engine.h"
#include "tests/server/core/task_fixture.h"
#include "tests/support/fake_clock.h"
#include "tests/support/recording_metrics.h"

namespace attention::test {

using Answer = absl::StatusOr<server::AttentionAnswer>;

class EngineTest : public testing::Test {
 protected:
  // One thread unless the test says otherwise.
  void StartEngine(const server::EngineOptions& options = {}) {
    engine_ = std::make_unique<server::AttentionEngine>(options, clock_, metrics_, &log_);
  }

  [[nodiscard]] std::shared_ptr<server::RequestContext> NewContext(
      server::TimePoint deadline = server::TimePoint::max()) {
    return std::make_shared<server::RequestContext>("request-1", deadline, clock_);
  }

  // `task` must live until the answer is there.
  std::future<Answer> Submit(const server::AttentionTask& task,
                             std::shared_ptr<const server::RequestContext> context) {
    auto answered = std::make_unique<std::promise<Answer>>();
    std::future<Answer> answer = answered->get_future();
    engine_->Submit(server::Method::kSelfAttention, &task, std::move(context), held_bytes_,
                    [this, answered = std::move(answered)](
                        Answer got, const server::StageTimes& times) mutable {
                      {
                        const std::lock_guard lock(mutex_);
                        last_times_ = times;
                      }
                      answered->set_value(std::move(got));
                    });
    return answer;
  }
  std::future<Answer> Submit(const server::AttentionTask& task) {
    return Submit(task, NewContext());
  }

  // Of the last answer.
  [[nodiscard]] server::StageTimes LastTimes() const {
    const std::lock_guard lock(mutex_);
    return last_times_;
  }

  // True if every accepted task has finished, within a time that no test should need.
  [[nodiscard]] bool BecomesIdle() {
    return engine_->WaitUntilIdle(std::chrono::steady_clock::now() + std::chrono::seconds(60));
  }

  int64_t held_bytes_ = 0;  // by the requests of the tasks that are submitted
  FakeClock clock_;
  RecordingMetrics metrics_;
  RecordingLog log_;
  std::unique_ptr<server::AttentionEngine> engine_;

 private:
  mutable std::mutex mutex_;
  server::StageTimes last_times_;  // guarded by mutex_
};

// Keeps one compute thread of the engine busy until released, from within the `done` of a small
// task.
class ThreadHolder {
 public:
  ThreadHolder(server::AttentionEngine& engine, const server::Clock& clock) {
    engine.Submit(
        server::Method::kCrossAttention, &ready_.task,
        std::make_shared<server::RequestContext>("holder", server::TimePoint::max(), clock), 0,
        [latches = latches_](Answer answer, const server::StageTimes&) {
          EXPECT_TRUE(answer.ok()) << answer.status();
          answer = absl::UnknownError("");  // its bytes go back at once
          latches->holding.count_down();
          latches->release.wait();
        });
    latches_->holding.wait();
  }
  ~ThreadHolder() { Release(); }

  void Release() {
    if (!std::exchange(released_, true)) latches_->release.count_down();
  }

 private:
  struct Latches {
    std::latch holding{1};
    std::latch release{1};
  };

  ReadyTask<double> ready_;
  const std::shared_ptr<Latches> latches_ = std::make_shared<Latches>();  // `done` may outlive this
  bool released_ = false;
};

}  // namespace attention::test

#endif  // ATTENTION_TESTS_SERVER_CORE_ENGINE_FIXTURE_H_

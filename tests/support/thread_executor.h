// An executor with threads of its own, for tests and benchmarks.

#ifndef ATTENTION_TESTS_SUPPORT_THREAD_EXECUTOR_H_
#define ATTENTION_TESTS_SUPPORT_THREAD_EXECUTOR_H_

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "kernels/execution.h"

namespace attention::test {

// Keeps its threads from run to run. Between runs they look for work for a while and then sleep, so
// that calls in a row are timed without the cost of waking threads. All threads take part in each
// run of more than one item. One Run at a time.
class ThreadExecutor final : public kernels::Executor {
 public:
  explicit ThreadExecutor(int thread_count) : thread_count_(thread_count) {
    for (int i = 1; i < thread_count; ++i) others_.emplace_back([this] { Serve(); });
  }

  ~ThreadExecutor() override {
    work_ = nullptr;
    StartRun();
  }

  ThreadExecutor(const ThreadExecutor&) = delete;
  ThreadExecutor& operator=(const ThreadExecutor&) = delete;

  int Run(int64_t item_count, absl::FunctionRef<void(int64_t)> work) override {
    work_ = &work;
    item_count_ = item_count;
    next_item_.store(0, std::memory_order_relaxed);
    busy_count_.store(thread_count_ - 1, std::memory_order_relaxed);
    StartRun();
    TakeItems();
    for (int busy; (busy = busy_count_.load(std::memory_order_acquire)) > 0;) {
      AwaitChange(busy_count_, busy);
    }
    return thread_count_;
  }

  int thread_count() const override { return thread_count_; }

 private:
  static constexpr std::chrono::microseconds kSpinTime{200};

  // Returns when `variable` differs from `seen`.
  static void AwaitChange(const std::atomic<int>& variable, int seen) {
    const auto end = std::chrono::steady_clock::now() + kSpinTime;
    while (std::chrono::steady_clock::now() < end) {
      if (variable.load(std::memory_order_acquire) != seen) return;
    }
    variable.wait(seen, std::memory_order_acquire);
  }

  // What was written before is seen by the threads that notice.
  void StartRun() {
    run_.fetch_add(1, std::memory_order_release);
    run_.notify_all();
  }

  void Serve() {
    for (int run = 0;; ++run) {
      AwaitChange(run_, run);
      if (work_ == nullptr) return;
      TakeItems();
      if (busy_count_.fetch_sub(1, std::memory_order_acq_rel) == 1) busy_count_.notify_one();
    }
  }

  void TakeItems() {
    for (int64_t item; (item = next_item_.fetch_add(1)) < item_count_;) (*work_)(item);
  }

  const int thread_count_;
  std::atomic<int> run_ = 0;         // how many have started
  std::atomic<int> busy_count_ = 0;  // threads that still are in the run, but for the caller's
  std::atomic<int64_t> next_item_ = 0;
  absl::FunctionRef<void(int64_t)>* work_ = nullptr;  // null: end
  int64_t item_count_ = 0;
  std::vector<std::jthread> others_;  // the last member: joined before the others go
};

// Asks for a stop from the `ask_count`-th question on.
class StopAfter final : public kernels::StopSignal {
 public:
  explicit StopAfter(int64_t ask_count) : asks_left_(ask_count) {}
  bool StopRequested() const override { return asks_left_.fetch_sub(1) <= 1; }

 private:
  mutable std::atomic<int64_t> asks_left_;
};

}  // namespace attention::test

#endif  // ATTENTION_TESTS_SUPPORT_THREAD_EXECUTOR_H_

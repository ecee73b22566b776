#include "server/core/compute_pool.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"

namespace attention::server {
namespace {

using Work = absl::FunctionRef<void(int64_t)>;

// True while this thread runs an item: a Run from within it must not open a second section.
thread_local bool inside_item = false;

int RunSerially(int64_t item_count, Work work) {
  for (int64_t item = 0; item < item_count; ++item) work(item);
  return 1;
}

// The items of one Run, shared by its owner and the helpers. All but `next_item` is guarded by the
// pool's mutex until a helper is counted in; from then until it is counted out, `work` and
// `item_count` do not change.
struct ParallelSection {
  explicit ParallelSection(int thread_count) : took_part(thread_count) {}

  [[nodiscard]] bool HasItemsLeft() const {
    return next_item.load(std::memory_order_relaxed) < item_count;
  }

  const Work* work = nullptr;
  int64_t item_count = 0;
  std::atomic<int64_t> next_item = 0;
  int owner_processor = 0;
  int helper_count = 0;             // threads inside, beside the owner
  std::vector<bool> took_part;      // by thread: ran at least one item as a helper
  std::condition_variable vacated;  // helper_count reached 0
};

// The executor of one thread.
class CallingThread final : public kernels::Executor {
 public:
  int Run(int64_t item_count, Work work) override { return RunSerially(item_count, work); }
  [[nodiscard]] int thread_count() const override { return 1; }
};

struct WaitingJob {
  ComputePool::Job job;
  ComputePool::Abandoned abandoned;
};

// First in, first out, in memory that is allocated once.
class JobRing {
 public:
  explicit JobRing(int64_t capacity) : slots_(static_cast<size_t>(capacity)) {}

  [[nodiscard]] size_t size() const { return size_; }

  void Push(WaitingJob waiting) {
    slots_[(first_ + size_) % slots_.size()] = std::move(waiting);
    ++size_;
  }

  WaitingJob Pop() {
    WaitingJob waiting = std::exchange(slots_[first_], {});
    first_ = (first_ + 1) % slots_.size();
    --size_;
    return waiting;
  }

  // Moves those that are abandoned to `jobs`, which has room for them; the others keep their order.
  void TakeAbandoned(std::vector<ComputePool::Job>& jobs) {
    for (size_t left = size_; left > 0; --left) {
      WaitingJob waiting = Pop();
      if (waiting.abandoned != nullptr && waiting.abandoned()) {
        jobs.push_back(std::move(waiting.job));
      } else {
        Push(std::move(waiting));
      }
    }
  }

 private:
  std::vector<WaitingJob> slots_;
  size_t first_ = 0;
  size_t size_ = 0;
};

}  // namespace

class ComputePool::State {
 public:
  State(int thread_count, int64_t queue_capacity, absl::AnyInvocable<void(int64_t)> on_queue_depth)
      : thread_count_(thread_count),
        max_unfinished_jobs_(thread_count + queue_capacity),
        on_queue_depth_(std::move(on_queue_depth)),
        queue_(max_unfinished_jobs_) {
    open_sections_.reserve(static_cast<size_t>(thread_count));
    workers_.reserve(static_cast<size_t>(thread_count));
  }

  ~State();

  void Start();
  [[nodiscard]] absl::Status TrySubmit(WaitingJob waiting);
  void RunAbandoned();
  [[nodiscard]] int thread_count() const { return thread_count_; }
  [[nodiscard]] int64_t queue_depth() const { return queue_depth_.load(std::memory_order_relaxed); }

 private:
  // A thread, and the executor that its jobs get.
  class Worker final : public kernels::Executor {
   public:
    Worker(State& state, int index) : state_(state), index_(index), section_(state.thread_count_) {}

    int Run(int64_t item_count, Work work) override {
      if (inside_item || item_count <= 1 || state_.thread_count_ == 1) {
        return RunSerially(item_count, work);
      }
      return state_.RunSection(section_, item_count, work);
    }

    int thread_count() const override { return inside_item ? 1 : state_.thread_count_; }

    State& state_;
    const int index_;
    ParallelSection section_;  // one is enough: one job at a time, and sections do not nest
    std::thread thread_;
  };

  void Loop(Worker& self);
  void RunNextJob(Worker& self, std::unique_lock<std::mutex>& lock);
  void Help(const Worker& self, ParallelSection& section, std::unique_lock<std::mutex>& lock);
  [[nodiscard]] ParallelSection* SectionToHelp() const;
  int RunSection(ParallelSection& section, int64_t item_count, const Work& work) noexcept;
  bool RunItemsUntilJobWaits(ParallelSection& section) noexcept;
  void JobsFinished(int64_t count);
  void UnfinishedJobsChanged();

  const int thread_count_;
  const int64_t max_unfinished_jobs_;

  std::mutex abandoned_mutex_;  // taken before mutex_
  std::mutex mutex_;
  absl::AnyInvocable<void(int64_t)> on_queue_depth_;  // called under mutex_: depths arrive in order
  std::condition_variable work_available_;            // a job, items to help with, or the end
  JobRing queue_;                                     // guarded by mutex_, as all down to stopping_
  std::vector<ParallelSection*> open_sections_;       // oldest first
  int64_t unfinished_job_count_ = 0;                  // queued or running
  int sleeping_count_ = 0;
  bool stopping_ = false;

  std::atomic<int64_t> queue_depth_ = 0;         // jobs that wait because every thread has one
  std::atomic<size_t> unclaimed_job_count_ = 0;  // size of queue_, read by helpers between items
  std::vector<std::unique_ptr<Worker>> workers_;
};

void ComputePool::State::Start() {
  for (int index = 0; index < thread_count_; ++index) {
    Worker& worker = *workers_.emplace_back(std::make_unique<Worker>(*this, index));
    worker.thread_ = std::thread([this, &worker] { Loop(worker); });
    pthread_setname_np(worker.thread_.native_handle(), absl::StrCat("attention-", index).c_str());
  }
}

ComputePool::State::~State() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_available_.notify_all();
  for (const auto& worker : workers_) {
    if (worker->thread_.joinable()) worker->thread_.join();
  }
}

absl::Status ComputePool::State::TrySubmit(WaitingJob waiting) {
  const std::lock_guard lock(mutex_);
  if (unfinished_job_count_ >= max_unfinished_jobs_) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the queue is full: ", max_unfinished_jobs_ - thread_count_, " requests wait"));
  }
  queue_.Push(std::move(waiting));
  unclaimed_job_count_.store(queue_.size(), std::memory_order_relaxed);
  ++unfinished_job_count_;
  UnfinishedJobsChanged();
  work_available_.notify_one();
  return absl::OkStatus();
}

// Callers wait for each other: when the second one returns, what the first one took is free.
void ComputePool::State::RunAbandoned() {
  const std::lock_guard one_at_a_time(abandoned_mutex_);
  std::vector<Job> jobs;
  {
    const std::lock_guard lock(mutex_);
    jobs.reserve(queue_.size());
    queue_.TakeAbandoned(jobs);
    unclaimed_job_count_.store(queue_.size(), std::memory_order_relaxed);
  }
  if (jobs.empty()) return;
  const auto count = static_cast<int64_t>(jobs.size());
  CallingThread executor;
  [&]() noexcept {
    for (Job& job : jobs) std::move(job)(executor);
  }();
  jobs.clear();
  const std::lock_guard lock(mutex_);
  JobsFinished(count);
}

// The whole life of a thread. Jobs come before helping, so a helper that returns because a job
// waits takes it.
void ComputePool::State::Loop(Worker& self) {
  std::unique_lock lock(mutex_);
  while (true) {
    if (queue_.size() > 0) {
      RunNextJob(self, lock);
    } else if (ParallelSection* section = SectionToHelp(); section != nullptr) {
      Help(self, *section, lock);
    } else if (stopping_ && unfinished_job_count_ == 0) {
      return;
    } else {
      ++sleeping_count_;
      work_available_.wait(lock);
      --sleeping_count_;
    }
  }
}

void ComputePool::State::RunNextJob(Worker& self, std::unique_lock<std::mutex>& lock) {
  {
    Job job = queue_.Pop().job;
    unclaimed_job_count_.store(queue_.size(), std::memory_order_relaxed);
    lock.unlock();
    [&]() noexcept { std::move(job)(self); }();
  }  // what the job owns is gone before it counts as finished
  lock.lock();
  JobsFinished(1);
}

void ComputePool::State::JobsFinished(int64_t count) {
  unfinished_job_count_ -= count;
  UnfinishedJobsChanged();
  if (stopping_ && unfinished_job_count_ == 0) work_available_.notify_all();
}

// The section with the fewest helpers, the oldest among equals; null if no section has items left.
ParallelSection* ComputePool::State::SectionToHelp() const {
  ParallelSection* choice = nullptr;
  for (ParallelSection* section : open_sections_) {
    if (section->HasItemsLeft() &&
        (choice == nullptr || section->helper_count < choice->helper_count)) {
      choice = section;
    }
  }
  return choice;
}

void ComputePool::State::Help(const Worker& self, ParallelSection& section,
                              std::unique_lock<std::mutex>& lock) {
  ++section.helper_count;
  const int owner_processor = section.owner_processor;
  lock.unlock();
  kernels::LeaveProcessor(owner_processor);
  const bool ran_items = RunItemsUntilJobWaits(section);
  lock.lock();
  if (ran_items) section.took_part[static_cast<size_t>(self.index_)] = true;
  // Still under the mutex: the owner cannot reuse the section before this thread is done with it.
  if (--section.helper_count == 0) section.vacated.notify_one();
}

bool ComputePool::State::RunItemsUntilJobWaits(ParallelSection& section) noexcept {
  bool ran_items = false;
  inside_item = true;
  while (unclaimed_job_count_.load(std::memory_order_relaxed) == 0) {
    const int64_t item = section.next_item.fetch_add(1, std::memory_order_relaxed);
    if (item >= section.item_count) break;
    (*section.work)(item);
    ran_items = true;
  }
  inside_item = false;
  return ran_items;
}

int ComputePool::State::RunSection(ParallelSection& section, int64_t item_count,
                                   const Work& work) noexcept {
  {
    const std::lock_guard lock(mutex_);
    section.work = &work;
    section.item_count = item_count;
    section.owner_processor = sched_getcpu();
    section.next_item.store(1, std::memory_order_relaxed);  // item 0 is the owner's
    std::fill(section.took_part.begin(), section.took_part.end(), false);
    open_sections_.push_back(&section);
    const int64_t helpers_wanted = std::min<int64_t>(sleeping_count_, item_count - 1);
    for (int64_t helper = 0; helper < helpers_wanted; ++helper) work_available_.notify_one();
  }
  inside_item = true;
  for (int64_t item = 0; item < item_count;
       item = section.next_item.fetch_add(1, std::memory_order_relaxed)) {
    work(item);
  }
  inside_item = false;

  std::unique_lock lock(mutex_);
  open_sections_.erase(std::find(open_sections_.begin(), open_sections_.end(), &section));
  section.vacated.wait(lock, [&section] { return section.helper_count == 0; });
  return 1 + static_cast<int>(std::count(section.took_part.begin(), section.took_part.end(), true));
}

void ComputePool::State::UnfinishedJobsChanged() {
  const int64_t depth = std::max<int64_t>(0, unfinished_job_count_ - thread_count_);
  if (depth == queue_depth_.load(std::memory_order_relaxed)) return;
  queue_depth_.store(depth, std::memory_order_relaxed);
  if (on_queue_depth_ != nullptr) on_queue_depth_(depth);
}

ComputePool::ComputePool(int thread_count, int64_t queue_capacity,
                         absl::AnyInvocable<void(int64_t depth)> on_queue_depth)
    : state_(std::make_unique<State>(thread_count, queue_capacity, std::move(on_queue_depth))) {
  state_->Start();
}

ComputePool::~ComputePool() = default;

absl::Status ComputePool::TrySubmit(Job job, Abandoned abandoned) {
  return state_->TrySubmit({std::move(job), std::move(abandoned)});
}

void ComputePool::RunAbandoned() { state_->RunAbandoned(); }
int ComputePool::thread_count() const { return state_->thread_count(); }
int64_t ComputePool::queue_depth() const { return state_->queue_depth(); }

}  // namespace attention::server

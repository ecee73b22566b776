#include "kernels/python/thread_pool.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

namespace attention::python {
namespace {

using Work = absl::FunctionRef<void(int64_t)>;

// How long an idle thread looks for the next computation before it sleeps: waking one up costs
// tens of microseconds, and the calls of a model's layers follow each other closely.
constexpr auto kLookout = std::chrono::microseconds(100);

// Returns once `done()` holds or the lookout is over.
template <class Done>
void LookOut(Done done) {
  const auto limit = std::chrono::steady_clock::now() + kLookout;
  while (!done()) {
    for (int turn = 0; turn < 32; ++turn) __builtin_ia32_pause();
    if (std::chrono::steady_clock::now() > limit) return;
  }
}

// Where the calling thread may run; nowhere if the system does not say.
cpu_set_t AllowedProcessors() {
  cpu_set_t processors;
  if (sched_getaffinity(0, sizeof(processors), &processors) != 0) CPU_ZERO(&processors);
  return processors;
}

// Lets the calling thread, which may run on `own`, run where the one that it helps may. Help for
// one that is bound to a single processor stays where it is: there it would only take turns.
void Follow(const cpu_set_t& owners, cpu_set_t& own) {
  if (CPU_COUNT(&owners) < 2 || CPU_EQUAL(&owners, &own)) return;
  if (sched_setaffinity(0, sizeof(owners), &owners) == 0) own = owners;
}

// The items of one computation. Lives on the stack of the thread that asked for it.
struct Section {
  [[nodiscard]] bool HasItemsLeft() const {
    return next_item.load(std::memory_order_relaxed) < item_count;
  }

  // Returns whether there was any item left.
  bool RunItems() {
    bool ran = false;
    for (;;) {
      const int64_t item = next_item.fetch_add(1, std::memory_order_relaxed);
      if (item >= item_count) return ran;
      work(item);
      ran = true;
    }
  }

  Work work;
  int64_t item_count;
  cpu_set_t owner_processors;          // where the owner may run
  int owner_processor;                 // and where it does
  int helper_limit;                    // threads beside the owner that may join
  int helper_count = 0;                // have joined; guarded by the pool's mutex, as the next
  int worker_count = 0;                // of those, ran an item and left
  std::atomic<int64_t> next_item = 0;  // not begun yet
};

// Never destroyed: its threads may outlive every static object.
class ThreadPool {
 public:
  int Run(int thread_count, int64_t item_count, const Work& work) {
    if (thread_count <= 1 || item_count <= 1 || taken_.exchange(true, std::memory_order_acquire)) {
      for (int64_t item = 0; item < item_count; ++item) work(item);
      return 1;
    }
    Section section{
        .work = work,
        .item_count = item_count,
        .owner_processors = AllowedProcessors(),
        .owner_processor = sched_getcpu(),
        .helper_limit = static_cast<int>(std::min<int64_t>(thread_count, item_count) - 1)};
    StartHelpers(section.helper_limit);
    Open(section);
    const bool owner_ran = section.RunItems();
    Close();
    taken_.store(false, std::memory_order_release);
    return section.worker_count + (owner_ran ? 1 : 0);
  }

 private:
  // Only the holder of taken_ calls these three.

  // As many as the system lets the process have: with fewer, computations take longer.
  void StartHelpers(int count) {
    try {
      for (; helper_total_ < count; ++helper_total_) {
        std::thread helper([this] { Help(); });
        pthread_setname_np(helper.native_handle(), "attention");
        helper.detach();
      }
    } catch (const std::system_error&) {
    } catch (const std::bad_alloc&) {
    }
  }

  void Open(Section& section) {
    {
      const std::lock_guard lock(mutex_);
      section_ = &section;
    }
    opened_count_.fetch_add(1, std::memory_order_release);
    work_available_.notify_all();
  }

  void Close() {
    LookOut([this] { return inside_count_.load(std::memory_order_acquire) == 0; });
    std::unique_lock lock(mutex_);
    section_ = nullptr;  // nobody joins any more
    vacated_.wait(lock, [this] { return inside_count_.load(std::memory_order_relaxed) == 0; });
  }

  [[noreturn]] void Help() {
    int64_t seen_count = 0;
    cpu_set_t own_processors = AllowedProcessors();
    for (;;) {
      LookOut([&] { return opened_count_.load(std::memory_order_acquire) != seen_count; });
      std::unique_lock lock(mutex_);
      work_available_.wait(lock, [this] { return MayJoin(); });
      seen_count = opened_count_.load(std::memory_order_relaxed);
      Section& section = *section_;
      ++section.helper_count;
      inside_count_.fetch_add(1, std::memory_order_relaxed);
      lock.unlock();
      Follow(section.owner_processors, own_processors);
      kernels::LeaveProcessor(section.owner_processor);
      const bool ran = section.RunItems();
      lock.lock();
      section.worker_count += ran ? 1 : 0;
      inside_count_.fetch_sub(1, std::memory_order_release);
      vacated_.notify_one();
    }
  }

  // Under mutex_.
  [[nodiscard]] bool MayJoin() const {
    return section_ != nullptr && section_->helper_count < section_->helper_limit &&
           section_->HasItemsLeft();
  }

  std::atomic<bool> taken_ = false;  // by a computation
  int helper_total_ = 0;             // threads started; belongs to the holder of taken_

  std::mutex mutex_;
  std::condition_variable work_available_;
  std::condition_variable vacated_;        // inside_count_ went down
  Section* section_ = nullptr;             // open to helpers, or null; guarded by mutex_
  std::atomic<int> inside_count_ = 0;      // helpers in the section; changed under mutex_
  std::atomic<int64_t> opened_count_ = 0;  // sections so far
};

ThreadPool* shared_pool = nullptr;

// The threads of a parent do not exist in its forked child, and its locks may be held there.
void MakePool() { shared_pool = new ThreadPool; }

ThreadPool& SharedPool() {
  static std::once_flag once;
  std::call_once(once, [] {
    MakePool();
    pthread_atfork(nullptr, nullptr, &MakePool);
  });
  return *shared_pool;
}

}  // namespace

int AvailableProcessorCount() {
  const cpu_set_t processors = AllowedProcessors();
  const int count = CPU_COUNT(&processors);
  return count > 0 ? count : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

int PooledExecutor::Run(int64_t item_count, Work work) {
  return SharedPool().Run(thread_count_, item_count, work);
}

}  // namespace attention::python

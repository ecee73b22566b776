#include "server/parked_thread.h"

#include <utility>

namespace attention::server {

ParkedThread::~ParkedThread() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void ParkedThread::Run(absl::AnyInvocable<void() &&> work) {
  {
    const std::lock_guard lock(mutex_);
    work_ = std::move(work);
  }
  changed_.notify_all();
}

bool ParkedThread::WaitFor(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, timeout, [this] { return done_; });
}

void ParkedThread::Wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return ending_ || work_ != nullptr; });
  if (work_ == nullptr) return;
  absl::AnyInvocable<void() &&> work = std::move(work_);
  lock.unlock();
  std::move(work)();
  work = nullptr;  // what it owns is gone before it counts as done
  lock.lock();
  done_ = true;
  changed_.notify_all();
}

}  // namespace attention::server

#include "server/late_calls.h"

#include <algorithm>

namespace attention::server {

LateCalls::~LateCalls() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void LateCalls::Add(grpc::CallbackServerContext& call, TimePoint deadline) {
  const std::lock_guard lock(mutex_);
  deadlines_.insert_or_assign(&call, deadline);
}

void LateCalls::Remove(grpc::CallbackServerContext& call) {
  std::unique_lock lock(mutex_);
  deadlines_.erase(&call);
  // gRPC may end a call from within its cancellation.
  if (std::this_thread::get_id() == thread_.get_id()) return;
  changed_.wait(lock, [&] { return cancelling_ != &call; });
}

// Looks once a second instead of being woken by every answer.
void LateCalls::Watch() {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, std::chrono::seconds(1), [this] { return ending_; })) {
    const TimePoint now = std::chrono::steady_clock::now();
    const auto is_late = [now](const auto& entry) { return entry.second < now; };
    for (auto late = std::find_if(deadlines_.begin(), deadlines_.end(), is_late);
         late != deadlines_.end();
         late = std::find_if(deadlines_.begin(), deadlines_.end(), is_late)) {
      cancelling_ = late->first;
      deadlines_.erase(late);
      lock.unlock();
      cancelling_->TryCancel();
      lock.lock();
      cancelling_ = nullptr;
      changed_.notify_all();
    }
  }
}

}  // namespace attention::server

// Tasks that wait for a compute thread and could share a layer's products with one that has it.

#ifndef ATTENTION_SERVER_CORE_SHARING_QUEUE_H_
#define ATTENTION_SERVER_CORE_SHARING_QUEUE_H_

#include <cstdint>
#include <map>
#include <mutex>
#include <variant>

#include "absl/functional/function_ref.h"
#include "server/core/layer_runner.h"
#include "server/core/task.h"

namespace attention::server {

// The task if it has a layer, or null.
[[nodiscard]] inline const AttentionTask* SharingTaskOf(const AnyTask& task) {
  const auto* const* attention = std::get_if<const AttentionTask*>(&task);
  return attention != nullptr && (*attention)->layer != nullptr ? *attention : nullptr;
}

// Holds pointers to items, each with a member `task`, an AnyTask. An item that is added belongs to
// whoever takes it, once. Thread safety: all methods may be called from any thread.
template <class Item>
class SharingQueue {
 public:
  // The ticket kAlone is that of all tasks without a layer, which are nobody's but their job's.
  using Ticket = uint64_t;
  static constexpr Ticket kAlone = 0;

  [[nodiscard]] Ticket NewTicket(const AnyTask& task) {
    if (SharingTaskOf(task) == nullptr) return kAlone;
    const std::lock_guard lock(mutex_);
    return ++last_ticket_;
  }

  // From now on the item may be taken, and be gone. May throw std::bad_alloc, without adding it.
  void Add(Ticket ticket, Item& item) {
    if (ticket == kAlone) return;
    const std::lock_guard lock(mutex_);
    waiting_.emplace(ticket, &item);
  }

  // Whether the item with this ticket is now the caller's.
  [[nodiscard]] bool Take(Ticket ticket) {
    if (ticket == kAlone) return true;
    const std::lock_guard lock(mutex_);
    return waiting_.erase(ticket) > 0;
  }

  // Whether somebody else has taken it.
  [[nodiscard]] bool Taken(Ticket ticket) const {
    if (ticket == kAlone) return false;
    const std::lock_guard lock(mutex_);
    return !waiting_.contains(ticket);
  }

  // Takes, in the order of their tickets, items that can share with `first`, as long as all
  // together have no more than kMostSharedRows and are no more than kMostSharingTasks. `take` gets
  // each and must not throw.
  void TakeLike(const AttentionTask& first, absl::FunctionRef<void(Item&)> take) {
    int64_t rows_left = kMostSharedRows - SharedRows(first);
    int64_t tasks_left = kMostSharingTasks - 1;
    const std::lock_guard lock(mutex_);
    for (auto entry = waiting_.begin();
         entry != waiting_.end() && rows_left > 0 && tasks_left > 0;) {
      const AttentionTask& task = *SharingTaskOf(entry->second->task);
      if (!CanShare(first, task) || SharedRows(task) > rows_left) {
        ++entry;
        continue;
      }
      rows_left -= SharedRows(task);
      --tasks_left;
      take(*entry->second);
      entry = waiting_.erase(entry);
    }
  }

 private:
  mutable std::mutex mutex_;
  Ticket last_ticket_ = kAlone;
  std::map<Ticket, Item*> waiting_;  // the oldest first
};

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CORE_SHARING_QUEUE_H_

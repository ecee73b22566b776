#include "server/core/sharing_queue.h"

#include <variant>

#include "server/core/layer_runner.h"

namespace attention::server {

const AttentionTask* SharingTaskOf(const AnyTask& task) {
  const auto* const* attention = std::get_if<const AttentionTask*>(&task);
  return attention != nullptr && (*attention)->layer != nullptr ? *attention : nullptr;
}

SharingQueue::Ticket SharingQueue::NewTicket(const AnyTask& task) {
  if (SharingTaskOf(task) == nullptr) return kAlone;
  const std::lock_guard lock(mutex_);
  return ++last_ticket_;
}

void SharingQueue::Add(Ticket ticket, Submission& submission) {
  if (ticket == kAlone) return;
  const std::lock_guard lock(mutex_);
  waiting_.emplace(ticket, &submission);
}

bool SharingQueue::Take(Ticket ticket) {
  if (ticket == kAlone) return true;
  const std::lock_guard lock(mutex_);
  return waiting_.erase(ticket) > 0;
}

bool SharingQueue::Taken(Ticket ticket) const {
  if (ticket == kAlone) return false;
  const std::lock_guard lock(mutex_);
  return !waiting_.contains(ticket);
}

void SharingQueue::TakeLike(const AttentionTask& first, absl::FunctionRef<void(Submission&)> take) {
  int64_t rows_left = kMostSharedRows - SharedRows(first);
  int64_t tasks_left = kMostSharingTasks - 1;
  const std::lock_guard lock(mutex_);
  for (auto entry = waiting_.begin(); entry != waiting_.end() && rows_left > 0 && tasks_left > 0;) {
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

}  // namespace attention::server

// Tasks that wait for a compute thread and could share a layer's products with one that has it.

#ifndef ATTENTION_SERVER_CORE_SHARING_QUEUE_H_
#define ATTENTION_SERVER_CORE_SHARING_QUEUE_H_

#include <cstdint>
#include <map>
#include <mutex>

#include "absl/functional/function_ref.h"
#include "server/core/attention_task.h"
#include "server/core/submission.h"
#include "server/core/task.h"

namespace attention::server {

// The task if it has a layer, or null.
[[nodiscard]] const AttentionTask* SharingTaskOf(const AnyTask& task);

// Holds pointers to submissions. One that is added belongs to whoever takes it, once. Thread
// safety: all methods may be called from any thread.
class SharingQueue {
 public:
  // The ticket kAlone is that of all tasks without a layer, which are nobody's but their job's.
  using Ticket = uint64_t;
  static constexpr Ticket kAlone = 0;

  [[nodiscard]] Ticket NewTicket(const AnyTask& task);

  // From now on the submission may be taken, and be gone. May throw std::bad_alloc, without adding
  // it.
  void Add(Ticket ticket, Submission& submission);

  // Whether the submission with this ticket is now the caller's.
  [[nodiscard]] bool Take(Ticket ticket);

  // Whether somebody else has taken it.
  [[nodiscard]] bool Taken(Ticket ticket) const;

  // Takes, in the order of their tickets, submissions that can share with `first`, as long as all
  // together have no more than kMostSharedRows and are no more than kMostSharingTasks. `take` gets
  // each and must not throw.
  void TakeLike(const AttentionTask& first, absl::FunctionRef<void(Submission&)> take);

 private:
  mutable std::mutex mutex_;
  Ticket last_ticket_ = kAlone;
  std::map<Ticket, Submission*> waiting_;  // the oldest first
};

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CORE_SHARING_QUEUE_H_

// Calls that wait for their callers.

#ifndef ATTENTION_SERVER_LATE_CALLS_H_
#define ATTENTION_SERVER_LATE_CALLS_H_

#include <grpcpp/server_context.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "server/core/clock.h"

namespace attention::server {

// Cancels calls whose answers have not been taken in time, and streams whose next message has not
// come. gRPC does that by itself for callers who set a deadline; others could keep the memory of an
// answer or a stream for as long as their connection lives. Thread safety: Add and Remove may be
// called from any thread.
class LateCalls {
 public:
  LateCalls() : thread_([this] { Watch(); }) {}

  // All calls must have been removed.
  ~LateCalls();

  LateCalls(const LateCalls&) = delete;
  LateCalls& operator=(const LateCalls&) = delete;

  // From now until Remove returns, `call` is cancelled within a second after `deadline` has passed.
  void Add(grpc::CallbackServerContext& call, TimePoint deadline);

  // Without effect for a call that was not added.
  void Remove(grpc::CallbackServerContext& call);

 private:
  void Watch();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::unordered_map<grpc::CallbackServerContext*, TimePoint> deadlines_;  // guarded by mutex_,
  grpc::CallbackServerContext* cancelling_ = nullptr;                      // as all of these
  bool ending_ = false;
  std::thread thread_;  // last: it uses the rest
};

}  // namespace attention::server

#endif  // ATTENTION_SERVER_LATE_CALLS_H_

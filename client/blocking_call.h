// A remote call that blocks its caller, made of one that does not.
//
// gRPC's own blocking calls poll the network only while they last. Between them nobody does, so
// that a connection which is being made anew stays unmade until the next call has failed for want
// of it. A channel that callback calls have used is polled by gRPC's own threads.

#ifndef ATTENTION_CLIENT_BLOCKING_CALL_H_
#define ATTENTION_CLIENT_BLOCKING_CALL_H_

#include <functional>
#include <future>
#include <memory>
#include <utility>

#include "grpcpp/support/status.h"

namespace attention::client {

// Calls `start` with what is to be called when the call is done, and waits for that.
template <typename Start>
[[nodiscard]] grpc::Status WaitForCall(Start start) {
  // Shared, because the thread that sets it may still be inside when this one goes on.
  const auto done = std::make_shared<std::promise<grpc::Status>>();
  start(std::function<void(grpc::Status)>(
      [done](grpc::Status status) { done->set_value(std::move(status)); }));
  return done->get_future().get();
}

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_BLOCKING_CALL_H_

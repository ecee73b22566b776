// Keeps gRPC awake.

#ifndef ATTENTION_SERVER_GRPC_WAKER_H_
#define ATTENTION_SERVER_GRPC_WAKER_H_

#include <grpcpp/server.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "attention/v1/attention_service.grpc.pb.h"

namespace attention::server {

// gRPC 1.51's threads that start calls wait a second for one, then sleep for a tenth of a second,
// and after the last call they all do so at the same time: the next one may have to wait as long.
// While this lives, a call from within the process comes several times a second. Whoever starts it
// waits a second from there, so that somebody is always awake.
class GrpcWaker {
 public:
  // The server must serve GetServerInfo and outlive this. Throws std::system_error if the thread
  // cannot be started.
  explicit GrpcWaker(grpc::Server& server);
  ~GrpcWaker();

  GrpcWaker(const GrpcWaker&) = delete;
  GrpcWaker& operator=(const GrpcWaker&) = delete;

 private:
  void Run();
  void Call();

  const std::unique_ptr<v1::AttentionService::Stub> stub_;
  std::mutex mutex_;
  std::condition_variable ended_changed_;
  bool ended_ = false;  // guarded by mutex_
  std::thread thread_;  // last: it uses the rest
};

}  // namespace attention::server

#endif  // ATTENTION_SERVER_GRPC_WAKER_H_

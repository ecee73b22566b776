#include "server/grpc_waker.h"

#include <grpcpp/client_context.h>
#include <grpcpp/support/channel_arguments.h>

#include <chrono>

namespace attention::server {
namespace {

// Well below gRPC's second, also where the machine is busy.
constexpr std::chrono::milliseconds kInterval{250};

constexpr std::chrono::seconds kTimeout{1};

}  // namespace

GrpcWaker::GrpcWaker(grpc::Server& server)
    : stub_(v1::AttentionService::NewStub(server.InProcessChannel(grpc::ChannelArguments()))),
      thread_([this] { Run(); }) {}

GrpcWaker::~GrpcWaker() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  ended_changed_.notify_all();
  thread_.join();
}

void GrpcWaker::Run() {
  std::unique_lock lock(mutex_);
  while (!ended_changed_.wait_for(lock, kInterval, [this] { return ended_; })) {
    lock.unlock();
    Call();
    lock.lock();
  }
}

void GrpcWaker::Call() {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kTimeout);
  v1::GetServerInfoResponse ignored;
  (void)stub_->GetServerInfo(&context, v1::GetServerInfoRequest(), &ignored);
}

}  // namespace attention::server

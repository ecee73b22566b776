#include "client/decoding_session.h"

#include <utility>

#include "attention/v1/attention_service.pb.h"
#include "client/grpc_values.h"
#include "client/messages.h"
#include "grpcpp/client_context.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/impl/codegen/proto_utils.h"

namespace attention::client {
namespace {

constexpr char kMethod[] = "/attention.v1.AttentionService/DecodeAttention";

}  // namespace

// gRPC's blocking streams have one deadline from beginning to end; this has one for each request.
class DecodingSession::Stream {
 public:
  Stream(std::shared_ptr<grpc::Channel> channel, std::chrono::milliseconds deadline)
      : deadline_(deadline),
        stub_(std::move(channel)),
        call_(stub_.PrepareCall(&context_, kMethod, &queue_)) {}

  ~Stream() {
    context_.TryCancel();
    if (began_ && !ended_) (void)End();
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }

  absl::StatusOr<v1::AttentionResponse> Exchange(const grpc::ByteBuffer& request) {
    if (!status_.ok()) return status_;
    const auto until = After(std::chrono::system_clock::now(), deadline_);
    if (!std::exchange(began_, true)) {
      call_->StartCall(nullptr);
      if (!Await(until)) return End();
    }
    call_->Write(request, nullptr);
    if (!Await(until)) return End();
    call_->Read(&answer_, nullptr);
    if (!Await(until)) return End();
    v1::AttentionResponse response;
    const grpc::Status parsed =
        grpc::SerializationTraits<v1::AttentionResponse>::Deserialize(&answer_, &response);
    if (!parsed.ok()) return GiveUp(ToAbslStatus(parsed));
    return response;
  }

  // Makes the session over. Returns the status.
  absl::Status GiveUp(absl::Status status) {
    status_ = std::move(status);
    return status_;
  }

 private:
  // Waits for what was begun last. False if it failed or took too long.
  bool Await(std::chrono::system_clock::time_point until) {
    void* tag = nullptr;
    bool ok = false;
    const auto outcome = queue_.AsyncNext(&tag, &ok, until);
    timed_out_ = outcome == grpc::CompletionQueue::TIMEOUT;
    return outcome == grpc::CompletionQueue::GOT_EVENT && ok;
  }

  // Why there is no answer, for good. What was begun and has not ended does so before the queue.
  absl::Status End() {
    if (timed_out_) context_.TryCancel();
    grpc::Status status;
    call_->Finish(&status, this);
    void* tag = nullptr;
    bool ok = false;
    while (tag != this && queue_.Next(&tag, &ok)) {
    }
    ended_ = true;
    status_ = ToAbslStatus(status);
    if (timed_out_) status_ = absl::DeadlineExceededError("Deadline Exceeded");
    if (status_.ok()) status_ = absl::UnavailableError("the server has ended the stream");
    return status_;
  }

  const std::chrono::milliseconds deadline_;
  grpc::CompletionQueue queue_;
  grpc::ClientContext context_;
  grpc::GenericStub stub_;
  const std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call_;
  grpc::ByteBuffer answer_;
  bool began_ = false;
  bool ended_ = false;
  bool timed_out_ = false;
  absl::Status status_;  // not OK: over
};

DecodingSession::DecodingSession(std::shared_ptr<grpc::Channel> channel,
                                 std::chrono::milliseconds deadline)
    : stream_(std::make_unique<Stream>(std::move(channel), deadline)) {}

DecodingSession::~DecodingSession() = default;

absl::StatusOr<AttentionResult> DecodingSession::Attend(
    const ScaledDotProductAttentionRequest& request) {
  const absl::StatusOr<grpc::ByteBuffer> bytes = ToBytes(request);
  if (!bytes.ok()) return bytes.status();
  absl::StatusOr<v1::AttentionResponse> response = stream_->Exchange(*bytes);
  if (!response.ok()) return response.status();
  absl::StatusOr<AttentionResult> result = FromMessage(*std::move(response));
  if (!result.ok()) return stream_->GiveUp(result.status());
  return result;
}

}  // namespace attention::client

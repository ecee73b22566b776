// A stream of DecodeAttention, from its first request to its end.

#ifndef ATTENTION_SERVER_DECODE_STREAM_H_
#define ATTENTION_SERVER_DECODE_STREAM_H_

#include <grpcpp/alarm.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>

#include "absl/status/status.h"
#include "server/core/byte_budget.h"
#include "server/core/key_value_cache.h"
#include "server/core/request_context.h"
#include "server/request_work.h"

namespace attention::server {

class DecodeStream;

// The streams of a server. Thread safety: all methods may be called from any thread.
class DecodeStreams {
 public:
  // `cache_bytes` are for the keys and values of all streams, `waiting_bytes` for requests that
  // find the server full. A stream whose next request has not come after `max_idle` is cancelled.
  DecodeStreams(int64_t cache_bytes, int64_t waiting_bytes, std::chrono::seconds max_idle)
      : budget_(cache_bytes), waiting_budget_(waiting_bytes), max_idle_(max_idle) {}

  // Ends those that wait for a request, and each other one when it has answered its own; new ones
  // at once.
  void EndAll();

  [[nodiscard]] int64_t count() const;
  [[nodiscard]] int64_t cache_bytes() const { return budget_.used_bytes(); }

 private:
  friend class DecodeStream;

  // False once EndAll has been called. May throw std::bad_alloc.
  [[nodiscard]] bool Add(DecodeStream& stream);
  void Remove(DecodeStream& stream);
  [[nodiscard]] DecodeStream* TakeOne();

  ByteBudget budget_;
  ByteBudget waiting_budget_;
  const std::chrono::seconds max_idle_;
  mutable std::mutex mutex_;
  std::unordered_set<DecodeStream*> streams_;  // guarded by mutex_, as the next
  bool ended_ = false;
};

// One request at a time: the next is read when the answer has been sent. gRPC owns the stream,
// which deletes itself when gRPC is done with it. gRPC calls its reactions on threads of its own,
// never from within what it is asked for, so that a lock may be held meanwhile.
class DecodeStream final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
                           private RequestWork::Owner {
 public:
  // References outlive it. May throw std::bad_alloc.
  DecodeStream(const CallEnvironment& environment, DecodeStreams& streams,
               grpc::CallbackServerContext& call);

  // Waits for the next request. Who made the stream calls it once.
  void Wait() noexcept;

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  friend class DecodeStreams;

  enum class State : uint8_t {
    kWaiting,  // for a request
    kWorking,  // on one, or sending its answer
    kEnded,    // Finish has been called, or is about to be
  };

  // Ends the stream with the server, now if it waits; then Finish is the caller's to call.
  [[nodiscard]] bool TakeEnd();

  void Begin() noexcept;
  void Admit() noexcept;
  [[nodiscard]] absl::Status AdmitBytes();
  [[nodiscard]] absl::Status DecodeAndAppend();
  void OnAnswer(const absl::Status& status) noexcept override;
  void Send() noexcept;
  [[nodiscard]] bool IsKept() const;
  [[nodiscard]] bool MayWaitForRoom(const absl::Status& status);
  void WaitForRoom();
  void EndWith(absl::Status status) noexcept;  // the stream may be gone when these return
  void End(const grpc::Status& status, std::string_view reason);
  void LogEnd();

  const CallEnvironment& environment_;
  DecodeStreams& streams_;
  grpc::CallbackServerContext& call_;
  const std::string request_id_;
  KeyValueCache cache_;

  // Of the request that is worked on.
  grpc::ByteBuffer request_;
  grpc::ByteBuffer response_;
  std::optional<RequestWork> work_;
  std::optional<grpc::Alarm> alarm_;
  ByteBudget::Permit waiting_permit_;
  int64_t row_count_before_ = 0;  // in cache_
  int64_t answer_count_ = 0;
  TimePoint idle_end_;

  std::string_view end_reason_;  // a literal, set by who takes the end

  std::mutex mutex_;
  State state_ = State::kWorking;            // guarded by mutex_, as the rest
  std::shared_ptr<RequestContext> context_;  // of work_
  bool cancelled_ = false;
  bool ending_ = false;
};

}  // namespace attention::server

#endif  // ATTENTION_SERVER_DECODE_STREAM_H_

// Attention token by token, with keys and values that the server keeps.
//
//   const auto session = client.StartDecoding();
//   auto prompt = session->Attend({.query = queries, .key = keys, .value = values});
//   auto token = session->Attend({.query = query, .key = key, .value = value});

#ifndef ATTENTION_CLIENT_DECODING_SESSION_H_
#define ATTENTION_CLIENT_DECODING_SESSION_H_

#include <chrono>
#include <memory>

#include "absl/status/statusor.h"
#include "client/requests.h"
#include "client/results.h"
#include "grpcpp/channel.h"

namespace attention::client {

// A stream of DecodeAttention, whose contract is in proto/attention/v1/attention_service.proto.
// Thread safety: one thread at a time.
class DecodingSession {
 public:
  // AttentionClient::StartDecoding makes them.
  DecodingSession(std::shared_ptr<grpc::Channel> channel, std::chrono::milliseconds deadline);

  // The server forgets the keys and values.
  ~DecodingSession();

  DecodingSession(const DecodingSession&) = delete;
  DecodingSession& operator=(const DecodingSession&) = delete;

  // Adds the request's keys and values to those before and attends to all. Blocks until it is
  // answered, or for ClientOptions::deadline (DEADLINE_EXCEEDED). Nothing is tried again: after an
  // error of the server's or of the connection the session is over, and every further call returns
  // the same one; begin a new session with the keys and values so far. What this library refuses
  // by itself, see AttentionClient, leaves the session as it was.
  [[nodiscard]] absl::StatusOr<AttentionResult> Attend(
      const ScaledDotProductAttentionRequest& request);

 private:
  class Stream;
  const std::unique_ptr<Stream> stream_;
};

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_DECODING_SESSION_H_

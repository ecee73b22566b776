// How a call is found again: its request id, the caller's trace, its deadline.

#ifndef ATTENTION_SERVER_CALL_IDENTITY_H_
#define ATTENTION_SERVER_CALL_IDENTITY_H_

#include <chrono>
#include <string>
#include <string_view>

#include "server/core/clock.h"

namespace attention::server {

// Metadata with the request id, in every answer.
inline constexpr char kRequestIdHeader[] = "x-request-id";

// 16 hexadecimal digits, unique in this process and hard to guess from another's.
[[nodiscard]] std::string NewRequestId();

// Whether `text` is a traceparent header: version, trace id, parent id and flags, in lower-case
// hexadecimal. Source: W3C Recommendation "Trace Context" (2021), section 3.2.
[[nodiscard]] bool IsTraceparent(std::string_view text);

// When the server gives up on a call: at the deadline its caller asked for
// (system_clock::time_point::max() for none), but no later than `longest` after `now`.
[[nodiscard]] TimePoint EffectiveDeadline(std::chrono::system_clock::time_point requested,
                                          std::chrono::system_clock::time_point system_now,
                                          TimePoint now, std::chrono::seconds longest);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CALL_IDENTITY_H_

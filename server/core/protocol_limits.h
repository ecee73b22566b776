// The static limits that proto/attention/v1 promises. Those that are flags of the server are in
// request_limits.h.

#ifndef ATTENTION_SERVER_CORE_PROTOCOL_LIMITS_H_
#define ATTENTION_SERVER_CORE_PROTOCOL_LIMITS_H_

#include <cstdint>

namespace attention::server {

inline constexpr int kMaxRank = 4;
inline constexpr int64_t kMaxTensorElements = (int64_t{1} << 31) - 1;

inline constexpr int64_t kMaxBatch = 65'536;
inline constexpr int64_t kMaxHeads = 1'024;
inline constexpr int64_t kMaxSequence = 1'048'576;
inline constexpr int64_t kMaxWidth = 65'536;
inline constexpr int64_t kMaxHeadWidth = 1'024;

inline constexpr int64_t kMaxPositionOffset = int64_t{1} << 31;  // and the same below zero
inline constexpr int64_t kMaxWindow = int64_t{1} << 31;
inline constexpr int64_t kMaxBlockSize = int64_t{1} << 20;
inline constexpr int64_t kMaxBuckets = 4'096;
inline constexpr int64_t kMaxBucketDistance = int64_t{1} << 31;
inline constexpr int64_t kMaxStates = 1'024;  // of MergeAttentionStates

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CORE_PROTOCOL_LIMITS_H_

// The flags of attention's options, as they were typed.

#ifndef ATTENTION_CLIENT_ATTN_OPTION_FLAGS_H_
#define ATTENTION_CLIENT_ATTN_OPTION_FLAGS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/attention_options.h"

namespace CLI {
class App;
}

namespace attention::client {

// An alignment of queries and keys: "top-left", "bottom-right", "key-lengths", a number or, of
// --causal alone, kEqualCounts, which it has where none is given, nor after an equals sign. A word,
// not an empty text: that is refused where it stands alone.
inline constexpr const char* kEqualCounts = "equal-counts";
using AlignmentText = std::optional<std::string>;

struct ScoreFlags {
  std::optional<double> scale;
  std::optional<double> softcap;
  Normalization normalization = Normalization::kSoftmaxOverKeys;
  std::optional<DataType> softmax_type;
  std::optional<Precision> precision;
  std::string general_score;
  std::string additive_score_query_weight;
  std::string additive_score_key_weight;
  std::string additive_score_vector;
};

struct MaskFlags {
  std::string boolean_mask;
  std::string additive_mask;
  std::string multiplicative_mask;
  bool short_masks = false;
  std::string block_mask;
  std::vector<int64_t> block_sizes;  // of queries and keys, or one for both
  AlignmentText causal;
  std::vector<int64_t> prefix_lengths;
  std::optional<int64_t> window_left;
  std::optional<int64_t> window_right;
  std::vector<int64_t> key_lengths;
  std::string segments;
  std::string key_segments;
  FullyMaskedPolicy fully_masked = FullyMaskedPolicy::kZeros;

  // Whether anything hides keys.
  [[nodiscard]] bool Hides() const;
};

struct PositionFlags {
  AlignmentText query_alignment;
  std::string alibi;
  bool alibi_symmetric = false;
  std::string relative_bias;
  int64_t relative_bias_distance = 128;
  bool relative_bias_bidirectional = false;
  std::optional<bool> rotary_interleaved;  // empty: no rotation
  std::optional<double> rotary_base;
  std::optional<double> rotary_scale;
  std::optional<int64_t> rotary_width;
};

// Numbers, or a file of them.
struct HeadFlags {
  std::string sinks;
  std::string head_mask;
  std::string temperature;
};

struct ReturnFlags {
  bool weights = false;
  std::optional<ScoresKind> scores;
  int32_t top = 0;
  bool entropy = false;
  bool key_mass = false;
  bool maximum_weight = false;
  bool log_sum_exp = false;
};

struct OptionFlags {
  ScoreFlags score;
  MaskFlags mask;
  PositionFlags position;
  HeadFlags head;
  ReturnFlags returned;
};

// Adds all of them. Values out of range are refused while the command line is parsed.
void AddOptionFlags(CLI::App* command, OptionFlags* flags);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ATTN_OPTION_FLAGS_H_

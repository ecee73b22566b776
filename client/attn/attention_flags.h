// The flags of `attn self|masked|multi-head|cross|sdpa`, as they were typed.

#ifndef ATTENTION_CLIENT_ATTN_ATTENTION_FLAGS_H_
#define ATTENTION_CLIENT_ATTN_ATTENTION_FLAGS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/array/array_file.h"
#include "client/attn/display_flags.h"
#include "client/attn/server_flags.h"
#include "client/method.h"
#include "client/requests.h"

namespace CLI {
class App;
}

namespace attention::client {

enum class OutputFormat : uint8_t { kTable, kJson, kNpy };
enum class ResultTensor : uint8_t { kOutput, kWeights, kScores };

// Files are paths, "-" for standard input, empty where not given.
struct ProjectionFiles {
  std::string weight;
  std::string bias;
};

struct InputFlags {
  std::string query;  // or the embeddings
  std::string key;    // or the memory
  std::string value;
  ProjectionFiles query_projection;
  ProjectionFiles key_projection;
  ProjectionFiles value_projection;
  ProjectionFiles output_projection;
  ArrayFormat format = ArrayFormat::kSniffed;
  DataType type = DataType::kF32;
  int32_t head_count = 0;  // 0: not given
  int32_t key_value_head_count = 0;
  Layout layout = Layout::kHeadsFirst;
};

struct OptionFlags {
  std::optional<double> scale;
  Normalization normalization = Normalization::kSoftmaxOverKeys;
  std::string general_score;
  std::string additive_score_query_weight;
  std::string additive_score_key_weight;
  std::string additive_score_vector;
  std::string boolean_mask;
  std::string additive_mask;
  std::string multiplicative_mask;
  bool causal_given = false;
  std::string causal;  // "", "top-left", "bottom-right" or a number
  std::vector<int64_t> key_lengths;
  bool return_weights = false;
  std::optional<ScoresKind> return_scores;
  std::optional<Precision> precision;
};

struct ResultFlags {
  OutputFormat format = OutputFormat::kTable;
  ResultTensor tensor = ResultTensor::kOutput;
  std::string file;  // empty: standard output
  std::vector<std::string> labels;
  std::vector<std::string> query_labels;
  std::vector<std::string> key_labels;
  bool heat_map = false;
  ColourMode colour = ColourMode::kAuto;
  int decimals = 6;
  bool full = false;
};

struct AttentionFlags {
  InputFlags input;
  OptionFlags options;
  ResultFlags result;
  ServerFlags server;
};

// Adds the flags that `method` has. Values out of range are refused while the command line is
// parsed.
void AddAttentionFlags(Method method, CLI::App* command, AttentionFlags* flags);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ATTN_ATTENTION_FLAGS_H_

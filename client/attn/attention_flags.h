// The flags of `attn self|masked|multi-head|cross|sdpa`, as they were typed.

#ifndef ATTENTION_CLIENT_ATTN_ATTENTION_FLAGS_H_
#define ATTENTION_CLIENT_ATTN_ATTENTION_FLAGS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "client/array/array_file.h"
#include "client/attn/option_flags.h"
#include "client/attn/result_flags.h"
#include "client/attn/server_flags.h"
#include "client/method.h"
#include "client/requests.h"

namespace CLI {
class App;
}

namespace attention::client {

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
  std::string layer;  // empty: none
  ArrayFormat format = ArrayFormat::kSniffed;
  DataType type = DataType::kF32;
  int32_t head_count = 0;  // 0: not given
  int32_t key_value_head_count = 0;
  Layout layout = Layout::kHeadsFirst;

  // Of sdpa alone.
  std::string past_key;
  std::string past_value;
  bool return_present = false;
  std::vector<int64_t> query_starts;
  std::vector<int64_t> key_starts;
};

struct LabelFlags {
  std::vector<std::string> both;
  std::vector<std::string> queries;
  std::vector<std::string> keys;
};

struct AttentionFlags {
  InputFlags input;
  OptionFlags options;
  ResultFlags result;
  LabelFlags labels;
  ServerFlags server;
};

// Adds the flags that `method` has. Values out of range are refused while the command line is
// parsed.
void AddAttentionFlags(Method method, CLI::App* command, AttentionFlags* flags);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ATTN_ATTENTION_FLAGS_H_

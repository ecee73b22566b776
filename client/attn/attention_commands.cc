#include <memory>
#include <string>
#include <utility>

#include "CLI/CLI.hpp"
#include "client/attn/attention_flags.h"
#include "client/attn/attention_request.h"
#include "client/attn/commands.h"
#include "client/attn/result_flags.h"

namespace attention::client {
namespace {

struct CommandText {
  Method method;
  const char* description;
  const char* examples;
};

constexpr CommandText kCommands[] = {
    {Method::kSelf, "A sequence attends to itself",
     "Examples:\n"
     "  echo '[[1,0],[0,1]]' | attn self --embeddings - --weights\n"
     "  attn self --embeddings words.csv --labels The,cat,sat --heatmap\n"
     "  attn self --embeddings words.csv --labels The,cat,sat --top 2 --entropy --key-mass\n"
     "  attn self --embeddings x.npy --query-weight wq.npy --key-weight wk.npy --value-weight "
     "wv.npy --heads 8 \\\n"
     "    --output npy > y.npy"},
    {Method::kMasked, "Like self, with at least one mask",
     "Examples:\n"
     "  attn masked --embeddings words.json --causal --weights\n"
     "  attn masked --embeddings batch.npy --key-lengths 5,3,7\n"
     "  attn masked --embeddings words.json --window-left 1 --window-right 1\n"
     "  attn masked --embeddings words.json --segments 0,0,1,1 --causal\n"
     "  attn masked --embeddings words.json --boolean-mask mask.csv --type f64"},
    {Method::kMultiHead, "Several heads over query, key and value embeddings",
     "Examples:\n"
     "  attn multi-head --query x.npy --heads 12 --query-weight wq.npy --key-weight wk.npy "
     "--value-weight wv.npy \\\n"
     "    --output-weight wo.npy\n"
     "  attn multi-head --query x.csv --key y.csv --heads 2 --weights"},
    {Method::kCross, "One sequence attends to another",
     "Examples:\n"
     "  attn cross --query decoder.csv --memory encoder.csv --weights\n"
     "  attn cross --query q.json --memory m.json --query-labels a,b --key-labels x,y,z --heatmap"},
    {Method::kScaledDotProduct, "Scaled dot-product attention of ready queries, keys and values",
     "Examples:\n"
     "  attn sdpa --query q.csv --key k.csv --value v.csv --scale 1 --weights --scores raw\n"
     "  attn sdpa --query q.npy --key k.npy --value v.npy --layout packed --heads 8 --kv-heads 2 "
     "--causal bottom-right\n"
     "  attn sdpa --query q.npy --key k.npy --value v.npy --past-key pk.npy --past-value pv.npy "
     "--causal bottom-right \\\n"
     "    --save present-key=pk.npy --save present-value=pv.npy\n"
     "  attn sdpa --query q.npy --key k.npy --value v.npy --causal --rotary halves --softcap 50 "
     "--sinks 0,0,-1,-1"},
};

// Where a layout's rows are not queries, labels of queries have no place beside them.
bool OutputRowsAreQueries(Method method, const AttentionFlags& flags,
                          const AttentionRequest& request) {
  return method != Method::kScaledDotProduct || flags.input.layout != Layout::kSequenceFirst ||
         request.added_head_axis >= 0;
}

MatrixAxes OutputAxes(Method method, const AttentionFlags& flags) {
  if (method != Method::kScaledDotProduct) return kSequenceMatrices;
  switch (flags.input.layout) {
    case Layout::kHeadsFirst:
      return kHeadMatrices;
    case Layout::kSequenceFirst:
      return kQueryMatrices;
    case Layout::kPacked:
      break;
  }
  return kSequenceMatrices;
}

std::vector<std::string> KeyLabels(const AttentionRequest& request, const AttentionResult& result) {
  std::vector<std::string> labels = request.key_labels;
  for (const auto* matrix : {&result.weights, &result.scores}) {
    if (!matrix->has_value() || (*matrix)->shape().empty()) continue;
    if ((*matrix)->shape().back() == std::ssize(labels) + 1) labels.emplace_back(kAppendedKeyLabel);
  }
  if (result.key_mass && !result.key_mass->shape().empty() &&
      result.key_mass->shape().back() == std::ssize(labels) + 1) {
    labels.emplace_back(kAppendedKeyLabel);
  }
  return labels;
}

Outcome RunAttention(Method method, const AttentionFlags& flags, const Console& console) {
  if (Outcome refused = CheckResultFlags(flags.result, console); refused.code != ExitCode::kOk)
    return refused;
  const absl::StatusOr<AttentionRequest> request = LoadRequest(method, flags, console.in);
  if (!request.ok()) return UsageError(request.status());
  NamedServer server(flags.server);
  const absl::StatusOr<AttentionResult> result = Send(*request, server.client());
  if (!result.ok()) {
    return flags.input.layer.empty() ? server.Failure(result.status())
                                     : server.LayerFailure(result.status());
  }
  const ResultNames names = {
      .query_labels = request->query_labels,
      .key_labels = KeyLabels(*request, *result),
      .query_starts = flags.input.query_starts,
      .key_starts = flags.input.key_starts,
      .output_rows_are_queries = OutputRowsAreQueries(method, flags, *request),
      .output_axes = OutputAxes(method, flags)};
  return WriteResult(*result, names, flags.result, console);
}

}  // namespace

void AddAttentionCommands(CLI::App* app, const Console& console, Command* chosen) {
  for (const CommandText& text : kCommands) {
    CLI::App* command =
        app->add_subcommand(std::string(Name(text.method)), text.description)->group("Attention");
    command->footer(text.examples);
    const auto flags = std::make_shared<AttentionFlags>();
    AddAttentionFlags(text.method, command, flags.get());
    OnChosen(command, chosen, [&console, flags, method = text.method] {
      return RunAttention(method, *flags, console);
    });
  }
}

}  // namespace attention::client

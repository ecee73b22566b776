#include "client/attn/attention_flags.h"

#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "client/attn/element_flags.h"
#include "client/attn/value_flags.h"
#include "client/attn/word_flag.h"

namespace attention::client {
namespace {

constexpr WholeRange kHeads = {.min = 1, .max = kMaxHeadCount};

void AddTensorFlags(Method method, CLI::App* command, InputFlags* flags) {
  const auto add = [&](const std::string& name, std::string* file, const std::string& help,
                       bool required) {
    AddFile(command, name, file, help)->required(required)->group("Inputs");
  };
  switch (method) {
    case Method::kSelf:
    case Method::kMasked:
      add("--embeddings", &flags->query, "The sequence, [batch?, words, width]", true);
      break;
    case Method::kCross:
      add("--query", &flags->query, "The sequence that attends, [batch?, queries, width]", true);
      add("--memory", &flags->key, "The sequence attended to, [batch?, keys, width]", true);
      break;
    case Method::kMultiHead:
      add("--query", &flags->query, "Query embeddings, [batch?, queries, width]", true);
      add("--key", &flags->key, "Key embeddings; the query's if not given", false);
      add("--value", &flags->value, "Value embeddings; the key's if not given", false);
      break;
    case Method::kScaledDotProduct:
      add("--query", &flags->query, "Queries: [queries, width] for one head, or as --layout says",
          true);
      add("--key", &flags->key, "Keys, in the form of the queries", true);
      add("--value", &flags->value, "Values, in the form of the queries", true);
      break;
  }
}

void AddProjectionFlags(CLI::App* command, InputFlags* flags) {
  const auto add = [&](const std::string& name, ProjectionFiles* files, const std::string& shape) {
    AddFile(command, "--" + name + "-weight", &files->weight, "Projection matrix, " + shape)
        ->group("Projections");
    AddFile(command, "--" + name + "-bias", &files->bias, "Added after it, [columns of the matrix]")
        ->needs("--" + name + "-weight")
        ->group("Projections");
  };
  add("query", &flags->query_projection, "[width, heads * key width]");
  add("key", &flags->key_projection, "[width, heads * key width]");
  add("value", &flags->value_projection, "[width, heads * value width]");
  add("output", &flags->output_projection, "[heads * value width, output width]");
  CLI::Option* layer = AddName(command, "--layer", &flags->layer,
                               "A layer that the server has loaded, instead of all these "
                               "(`attn layers` lists them)")
                           ->group("Projections");
  for (const char* const name : {"query", "key", "value", "output"}) {
    layer->excludes(std::string("--") + name + "-weight");
  }
}

void AddInputFlags(Method method, CLI::App* command, InputFlags* flags) {
  AddTensorFlags(method, command, flags);
  if (method != Method::kScaledDotProduct) AddProjectionFlags(command, flags);
  AddWhole(command, "--heads", &flags->head_count, kHeads,
           method == Method::kScaledDotProduct
               ? "Number of heads, needed with --layout packed; else what the queries say"
               : "Number of heads; 1, or the layer's, if not given")
      ->group("Inputs");
  if (method == Method::kMultiHead || method == Method::kScaledDotProduct) {
    AddWhole(command, "--kv-heads", &flags->key_value_head_count, kHeads,
             method == Method::kScaledDotProduct
                 ? "Heads of keys and values; --heads, or what the keys say, by default"
                 : "Heads of keys and values; --heads if not given")
        ->group("Inputs");
  }
  if (method == Method::kScaledDotProduct) {
    AddWordFlag<Layout>(command, "--layout", &flags->layout,
                        {{"heads-first", Layout::kHeadsFirst},
                         {"sequence-first", Layout::kSequenceFirst},
                         {"packed", Layout::kPacked}},
                        "Order of the axes (default heads-first; packed needs --heads)")
        ->group("Inputs");
  }
  AddElementFlags(command, &flags->format, &flags->type);
}

// Keys of earlier steps and ragged batches.
void AddReadyFlags(CLI::App* command, InputFlags* flags) {
  AddFile(command, "--past-key", &flags->past_key,
          "Keys of earlier steps, [past, width] for one head or [batch?, heads, past, width]")
      ->group("Inputs");
  AddFile(command, "--past-value", &flags->past_value, "Values of earlier steps")
      ->needs("--past-key")
      ->group("Inputs");
  command->get_option("--past-key")->needs("--past-value");
  AddCounts(command, "--query-starts", &flags->query_starts,
            "Sequences of different lengths one after the other: where each begins, and the end; "
            "needs --layout sequence-first or packed")
      ->type_name("0,N,N")
      ->group("Inputs");
  AddCounts(command, "--key-starts", &flags->key_starts, "The same for keys and values")
      ->type_name("0,N,N")
      ->group("Inputs");
  command->get_option("--query-starts")->needs("--key-starts");
  command->get_option("--key-starts")->needs("--query-starts");
}

// Present keys and values are those of sdpa alone.
std::vector<ResultTensor> TensorsOf(Method method) {
  std::vector<ResultTensor> tensors;
  for (const NamedResultTensor& named : kResultTensors) {
    const bool is_present =
        named.tensor == ResultTensor::kPresentKey || named.tensor == ResultTensor::kPresentValue;
    if (!is_present || method == Method::kScaledDotProduct) tensors.push_back(named.tensor);
  }
  return tensors;
}

void AddDisplayFlags(CLI::App* command, LabelFlags* label_flags, ResultFlags* flags) {
  constexpr const char* kGroup = "Display";
  AddNames(command, "--labels", &label_flags->both, "Names of the words, for rows and columns")
      ->group(kGroup);
  AddNames(command, "--query-labels", &label_flags->queries, "Names of the queries")->group(kGroup);
  AddNames(command, "--key-labels", &label_flags->keys, "Names of the keys")->group(kGroup);
  command->add_flag("--heatmap", flags->heat_map, "Also show the weights as a picture")
      ->group(kGroup);
  AddColourFlag(command, &flags->colour);
  AddTableFlags(command, flags);
}

}  // namespace

void AddAttentionFlags(Method method, CLI::App* command, AttentionFlags* flags) {
  AddInputFlags(method, command, &flags->input);
  if (method == Method::kScaledDotProduct) AddReadyFlags(command, &flags->input);
  AddOptionFlags(command, &flags->options);
  if (method == Method::kScaledDotProduct) {
    command
        ->add_flag("--present", flags->input.return_present,
                   "Also show past and new keys and values together")
        ->group("Results");
  }
  AddResultFlags(command, TensorsOf(method), &flags->result);
  AddDisplayFlags(command, &flags->labels, &flags->result);
  AddServerFlags(command, &flags->server);
}

}  // namespace attention::client

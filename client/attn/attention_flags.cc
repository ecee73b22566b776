#include "client/attn/attention_flags.h"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "client/attn/word_flag.h"

namespace attention::client {
namespace {

constexpr int32_t kMaxHeadCount = 1024;
constexpr int kMaxDecimals = 17;

CLI::Option* AddFile(CLI::App* command, const std::string& name, std::string* file,
                     const std::string& help) {
  return command->add_option(name, *file, help)->type_name("FILE");
}

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
}

void AddInputFlags(Method method, CLI::App* command, InputFlags* flags) {
  AddTensorFlags(method, command, flags);
  if (method != Method::kScaledDotProduct) AddProjectionFlags(command, flags);
  command->add_option("--heads", flags->head_count, "Number of heads; 1 if not given")
      ->check(CLI::Range(1, kMaxHeadCount).description(""))
      ->type_name("N")
      ->group("Inputs");
  if (method == Method::kMultiHead || method == Method::kScaledDotProduct) {
    command
        ->add_option("--kv-heads", flags->key_value_head_count,
                     "Number of key and value heads; --heads if not given")
        ->check(CLI::Range(1, kMaxHeadCount).description(""))
        ->type_name("N")
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
  AddWordFlag<ArrayFormat>(
      command, "--format", &flags->format,
      {{"json", ArrayFormat::kJson}, {"csv", ArrayFormat::kCsv}, {"npy", ArrayFormat::kNpy}},
      "What the input files are; told by their first bytes if not given")
      ->group("Inputs");
  AddWordFlag<DataType>(command, "--type", &flags->type,
                        {{"f32", DataType::kF32},
                         {"f64", DataType::kF64},
                         {"f16", DataType::kF16},
                         {"bf16", DataType::kBF16}},
                        "Data type to send and compute in (default f32)")
      ->group("Inputs");
}

void AddScoreFlags(CLI::App* command, OptionFlags* flags) {
  command
      ->add_option("--scale", flags->scale,
                   "Factor of the scores; 1/sqrt(key width), or 1 for another score, by default")
      ->check(CLI::Validator(
          [](const std::string& text) {
            double scale = 0;
            const bool finite = CLI::detail::lexical_cast(text, scale) && std::isfinite(scale);
            return finite ? std::string() : text + " is not a finite number";
          },
          "", "finite"))
      ->group("Attention");
  AddWordFlag<Normalization>(command, "--normalization", &flags->normalization,
                             {{"softmax-over-keys", Normalization::kSoftmaxOverKeys},
                              {"softmax-over-queries", Normalization::kSoftmaxOverQueries},
                              {"none", Normalization::kNone}},
                             "How scores become weights (default softmax-over-keys)")
      ->group("Attention");
  CLI::Option* general = AddFile(command, "--general-score", &flags->general_score,
                                 "W of the score q W k, [query width, key width]")
                             ->group("Attention");
  CLI::Option* query_weight =
      AddFile(command, "--additive-score-query-weight", &flags->additive_score_query_weight,
              "W of the score v . tanh(q W + k U), [query width, hidden width]")
          ->excludes(general)
          ->group("Attention");
  CLI::Option* key_weight =
      AddFile(command, "--additive-score-key-weight", &flags->additive_score_key_weight,
              "U of that score, [key width, hidden width]")
          ->group("Attention");
  CLI::Option* vector = AddFile(command, "--additive-score-vector", &flags->additive_score_vector,
                                "v of that score, [hidden width]")
                            ->group("Attention");
  query_weight->needs(key_weight)->needs(vector);
  key_weight->needs(query_weight);
  vector->needs(query_weight);
}

void AddPrecisionFlag(CLI::App* command, OptionFlags* flags) {
  std::vector<std::pair<std::string, Precision>> words;
  for (const Precision precision : kPrecisions) words.emplace_back(Name(precision), precision);
  AddWordFlag<Precision>(command, "--precision", &flags->precision, words,
                         "How matrix products over f32 are computed; as the server is set up if "
                         "not given")
      ->group("Attention");
}

void AddMaskFlags(CLI::App* command, OptionFlags* flags) {
  const std::string extents = "[batch, heads, queries, keys], aligned at the right";
  AddFile(command, "--boolean-mask", &flags->boolean_mask, "1 or true: attend; " + extents)
      ->group("Masks");
  AddFile(command, "--additive-mask", &flags->additive_mask,
          "Added to the scores, -inf hides; " + extents)
      ->group("Masks");
  AddFile(command, "--multiplicative-mask", &flags->multiplicative_mask,
          "Factors of the scores, with --normalization none; " + extents)
      ->group("Masks");
  command
      ->add_option_function<std::string>(
          "--causal",
          [flags](const std::string& alignment) {
            flags->causal_given = true;
            flags->causal = alignment;
          },
          "Hide what lies ahead: query i sees key j if j <= i + offset. The alignment is top-left "
          "(offset 0), "
          "bottom-right (offset keys - queries) or a number, as in --causal=-1; without one, "
          "queries and keys must be "
          "equally many")
      ->expected(0, 1)
      ->type_name("[ALIGNMENT]")
      ->group("Masks");
  command
      ->add_option("--key-lengths", flags->key_lengths,
                   "Number of real keys of each sequence of the batch, as 5,3,7")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("N,N,N")
      ->group("Masks");
}

void AddResultFlags(CLI::App* command, AttentionFlags* flags) {
  ResultFlags* result = &flags->result;
  command->add_flag("--weights", flags->options.return_weights, "Also show the weights")
      ->group("Results");
  AddWordFlag<ScoresKind>(command, "--scores", &flags->options.return_scores,
                          {{"raw", ScoresKind::kRaw}, {"masked", ScoresKind::kMasked}},
                          "Also show the scores, before or after masks")
      ->group("Results");
  AddWordFlag<OutputFormat>(
      command, "--output", &result->format,
      {{"table", OutputFormat::kTable}, {"json", OutputFormat::kJson}, {"npy", OutputFormat::kNpy}},
      "How results are written (default table)")
      ->group("Results");
  AddWordFlag<ResultTensor>(command, "--tensor", &result->tensor,
                            {{"output", ResultTensor::kOutput},
                             {"weights", ResultTensor::kWeights},
                             {"scores", ResultTensor::kScores}},
                            "Which tensor --output npy writes (default output)")
      ->group("Results");
  AddFile(command, "--output-file", &result->file,
          "Write results there instead of to standard output")
      ->group("Results");
}

void AddDisplayFlags(CLI::App* command, ResultFlags* flags) {
  const auto add_labels = [&](const std::string& name, std::vector<std::string>* labels,
                              const std::string& help) {
    command->add_option(name, *labels, help)
        ->delimiter(',')
        ->allow_extra_args(false)
        ->type_name("A,B,C")
        ->group("Display");
  };
  add_labels("--labels", &flags->labels, "Names of the words, for rows and columns");
  add_labels("--query-labels", &flags->query_labels, "Names of the queries");
  add_labels("--key-labels", &flags->key_labels, "Names of the keys");
  command->add_flag("--heatmap", flags->heat_map, "Also show the weights as a picture")
      ->group("Display");
  AddColourFlag(command, &flags->colour);
  command->add_option("--precision-digits", flags->decimals, "Decimals in tables")
      ->check(CLI::Range(0, kMaxDecimals).description(""))
      ->type_name("N")
      ->capture_default_str()
      ->group("Display");
  command->add_flag("--full", flags->full, "Show large matrices whole")->group("Display");
}

}  // namespace

void AddAttentionFlags(Method method, CLI::App* command, AttentionFlags* flags) {
  AddInputFlags(method, command, &flags->input);
  AddScoreFlags(command, &flags->options);
  AddPrecisionFlag(command, &flags->options);
  AddMaskFlags(command, &flags->options);
  AddResultFlags(command, flags);
  AddDisplayFlags(command, &flags->result);
  AddServerFlags(command, &flags->server);
}

}  // namespace attention::client

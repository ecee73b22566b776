#include "client/attn/option_flags.h"

#include <utility>

#include "CLI/CLI.hpp"
#include "client/attn/value_flags.h"
#include "client/attn/word_flag.h"

namespace attention::client {
namespace {

constexpr WholeRange kTopWeights = {.min = 1, .max = 256};
constexpr WholeRange kDistance = {.min = 0, .max = int64_t{1} << 31};
constexpr WholeRange kBlockSize = {.min = 1, .max = int64_t{1} << 20};

CLI::Option* AddAlignment(CLI::App* command, const std::string& name, AlignmentText* alignment,
                          const std::string& help) {
  // Not a check(), which CLI11 leaves out for an empty text where a flag needs no value.
  const auto set = [name, alignment](const std::string& text) {
    if (const std::string problem = NotEmpty("ALIGNMENT")(text); !problem.empty())
      throw CLI::ValidationError(name, problem);
    *alignment = text;
  };
  return command->add_option_function<std::string>(name, set, help)->type_name("ALIGNMENT");
}

void AddScoreFlags(CLI::App* command, ScoreFlags* flags) {
  constexpr const char* kGroup = "Score and softmax";
  AddFinite(command, "--scale", &flags->scale,
            "Factor of the scores; 1/sqrt(key width), or 1 for another score, by default")
      ->group(kGroup);
  AddFinite(command, "--softcap", &flags->softcap,
            "Cap scores smoothly: N * tanh(score / N), before biases and masks", true)
      ->group(kGroup);
  AddWordFlag<Normalization>(command, "--normalization", &flags->normalization,
                             {{"softmax-over-keys", Normalization::kSoftmaxOverKeys},
                              {"softmax-over-queries", Normalization::kSoftmaxOverQueries},
                              {"none", Normalization::kNone}},
                             "How scores become weights (default softmax-over-keys)")
      ->group(kGroup);
  AddWordFlag<DataType>(command, "--softmax-type", &flags->softmax_type,
                        {{"f32", DataType::kF32},
                         {"f64", DataType::kF64},
                         {"f16", DataType::kF16},
                         {"bf16", DataType::kBF16}},
                        "Least precise type the softmax may be computed in (default f32); f64 "
                        "computes everything in float64")
      ->group(kGroup);
  std::vector<std::pair<std::string, Precision>> words;
  for (const Precision precision : kPrecisions) words.emplace_back(Name(precision), precision);
  AddWordFlag<Precision>(command, "--precision", &flags->precision, words,
                         "How matrix products over f32 are computed; as the server is set up if "
                         "not given")
      ->group(kGroup);
  CLI::Option* general = AddFile(command, "--general-score", &flags->general_score,
                                 "W of the score q W k, [query width, key width]")
                             ->group(kGroup);
  CLI::Option* query_weight =
      AddFile(command, "--additive-score-query-weight", &flags->additive_score_query_weight,
              "W of the score v . tanh(q W + k U), [query width, hidden width]")
          ->excludes(general)
          ->group(kGroup);
  CLI::Option* key_weight =
      AddFile(command, "--additive-score-key-weight", &flags->additive_score_key_weight,
              "U of that score, [key width, hidden width]")
          ->group(kGroup);
  CLI::Option* vector = AddFile(command, "--additive-score-vector", &flags->additive_score_vector,
                                "v of that score, [hidden width]")
                            ->group(kGroup);
  query_weight->needs(key_weight)->needs(vector);
  key_weight->needs(query_weight);
  vector->needs(query_weight);
}

void AddMaskTensorFlags(CLI::App* command, MaskFlags* flags) {
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
      ->add_flag("--short-masks", flags->short_masks,
                 "Masks may be shorter than the keys; the rest is hidden")
      ->group("Masks");
  AddFile(command, "--block-mask", &flags->block_mask,
          "Whole blocks, 1 or true: attend; [batch, heads, query blocks, key blocks], aligned at "
          "the right")
      ->group("Masks");
  AddCounts(command, "--block-size", &flags->block_sizes,
            "Queries and keys of a block, as 64 or 64,128", {.max_count = 2, .range = kBlockSize})
      ->type_name("N[,N]")
      ->needs("--block-mask")
      ->group("Masks");
  command->get_option("--block-mask")->needs("--block-size");
}

void AddMaskFlags(CLI::App* command, MaskFlags* flags) {
  AddAlignment(command, "--causal", &flags->causal,
               "Hide what lies ahead: query i sees key j if j <= i + offset. The alignment is "
               "top-left (offset 0), bottom-right (offset keys - queries), key-lengths (the last "
               "query sees the last real key), a number, as in --causal=-1, or equal-counts "
               "(offset 0; queries and keys must be equally many)")
      ->expected(0, 1)
      ->default_str(kEqualCounts)
      ->type_name("[ALIGNMENT]")
      ->group("Masks");
  AddCounts(command, "--prefix-lengths", &flags->prefix_lengths,
            "With --causal: this many keys of each sequence are seen by all its queries")
      ->needs("--causal")
      ->group("Masks");
  AddWhole(command, "--window-left", &flags->window_left, kDistance,
           "See at most this many keys before the query's own position")
      ->group("Masks");
  AddWhole(command, "--window-right", &flags->window_right, kDistance,
           "See at most this many keys after the query's own position")
      ->group("Masks");
  AddCounts(command, "--key-lengths", &flags->key_lengths,
            "Number of real keys of each sequence of the batch, as 5,3,7")
      ->group("Masks");
  AddNumbers(command, "--segments", &flags->segments,
             "The document of each word, as 0,0,1,1: words see their own document only; a file "
             "of [batch, queries] for a batch")
      ->group("Masks");
  AddNumbers(command, "--key-segments", &flags->key_segments,
             "The document of each key; that of the queries if not given")
      ->needs("--segments")
      ->group("Masks");
  AddMaskTensorFlags(command, flags);
  AddWordFlag<FullyMaskedPolicy>(command, "--fully-masked", &flags->fully_masked,
                                 {{"zeros", FullyMaskedPolicy::kZeros},
                                  {"nan", FullyMaskedPolicy::kNan},
                                  {"uniform", FullyMaskedPolicy::kUniform}},
                                 "The weights of a query that sees no key (default zeros)")
      ->group("Masks");
}

void AddPositionFlags(CLI::App* command, PositionFlags* flags) {
  constexpr const char* kGroup = "Positions";
  AddAlignment(command, "--query-alignment", &flags->query_alignment,
               "Where the queries stand among the keys, for windows, biases and rotation: "
               "top-left, bottom-right, key-lengths or an offset; as --causal says if not given")
      ->group(kGroup);
  AddNumbers(command, "--alibi", &flags->alibi,
             "Slope of each head: slope * (key - query position) is added to the scores")
      ->group(kGroup);
  command
      ->add_flag("--alibi-symmetric", flags->alibi_symmetric,
                 "-slope * |key - query position| instead")
      ->needs("--alibi")
      ->group(kGroup);
  AddFile(command, "--relative-bias", &flags->relative_bias,
          "Bias by distance as in T5, [buckets, heads]")
      ->group(kGroup);
  AddWhole(command, "--relative-bias-distance", &flags->relative_bias_distance,
           {.min = 1, .max = kDistance.max}, "Distance from which on all share the last bucket")
      ->capture_default_str()
      ->needs("--relative-bias")
      ->group(kGroup);
  command
      ->add_flag("--relative-bias-bidirectional", flags->relative_bias_bidirectional,
                 "Half of the buckets are for keys after the query, as in encoders")
      ->needs("--relative-bias")
      ->group(kGroup);
  AddWordFlag<bool>(command, "--rotary", &flags->rotary_interleaved,
                    {{"halves", false}, {"interleaved", true}},
                    "Turn queries and keys by their positions: pairs (k, k + width / 2) or (2 k, "
                    "2 k + 1)")
      ->group(kGroup);
  AddFinite(command, "--rotary-base", &flags->rotary_base, "Base of the angles (default 10000)",
            true)
      ->needs("--rotary")
      ->group(kGroup);
  AddFinite(command, "--rotary-scale", &flags->rotary_scale,
            "Factor of the positions (default 1); 0.5 stretches twice the context")
      ->needs("--rotary")
      ->group(kGroup);
  AddWhole(command, "--rotary-width", &flags->rotary_width, {.min = 2},
           "How many numbers of each head are turned; all if not given")
      ->needs("--rotary")
      ->group(kGroup);
}

void AddHeadFlags(CLI::App* command, HeadFlags* flags) {
  constexpr const char* kGroup = "One number for each head";
  AddNumbers(command, "--sinks", &flags->sinks,
             "Logits that take weight and have no value, as 0,0,-1.5; one number is for all heads, "
             "with --layer if --heads says how many")
      ->group(kGroup);
  AddNumbers(command, "--head-mask", &flags->head_mask, "Factors of the weights; 0 switches off")
      ->group(kGroup);
  AddNumbers(command, "--temperature", &flags->temperature,
             "Divides the scores: above 1 spreads the weights, below 1 sharpens them")
      ->group(kGroup);
}

void AddReturnFlags(CLI::App* command, ReturnFlags* flags) {
  constexpr const char* kGroup = "Results";
  AddWhole(command, "--top", &flags->top, kTopWeights,
           "Show this many of the strongest keys of each query, by name")
      ->group(kGroup);
  command->add_flag("--weights", flags->weights, "Also show the weights")->group(kGroup);
  command
      ->add_flag("--entropy", flags->entropy,
                 "Show how spread out each query's weights are, in nats: 0 looks at one key")
      ->group(kGroup);
  command->add_flag("--maximum-weight", flags->maximum_weight, "Show each query's largest weight")
      ->group(kGroup);
  command
      ->add_flag("--key-mass", flags->key_mass,
                 "Show how much weight each key gets from all queries")
      ->group(kGroup);
  command
      ->add_flag("--log-sum-exp", flags->log_sum_exp,
                 "Show ln(sum of e^score) of each query, for `attn merge`")
      ->group(kGroup);
  AddWordFlag<ScoresKind>(
      command, "--scores", &flags->scores,
      {{"raw", ScoresKind::kRaw}, {"capped", ScoresKind::kCapped}, {"masked", ScoresKind::kMasked}},
      "Also show the scores: raw, after the softcap, or after biases and masks")
      ->group(kGroup);
}

}  // namespace

bool MaskFlags::Hides() const {
  return !boolean_mask.empty() || !additive_mask.empty() || !multiplicative_mask.empty() ||
         !block_mask.empty() || causal || window_left || window_right || !key_lengths.empty() ||
         !segments.empty();
}

void AddOptionFlags(CLI::App* command, OptionFlags* flags) {
  AddMaskFlags(command, &flags->mask);
  AddScoreFlags(command, &flags->score);
  AddPositionFlags(command, &flags->position);
  AddHeadFlags(command, &flags->head);
  AddReturnFlags(command, &flags->returned);
}

}  // namespace attention::client

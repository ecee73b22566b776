#include "client/attn/load_options.h"

#include <charconv>
#include <string>
#include <utility>

namespace attention::client {
namespace {

class OptionLoader {
 public:
  OptionLoader(const AttentionFlags& flags, int64_t head_count, TensorFiles* files)
      : flags_(flags), head_count_(head_count), type_(flags.input.type), files_(*files) {}

  AttentionOptions Load() && {
    LoadScore();
    LoadMasks();
    LoadVisibility();
    LoadPositions();
    LoadHeads();
    LoadReturned();
    return std::move(options_);
  }

 private:
  void LoadScore() {
    const ScoreFlags& flags = flags_.options.score;
    options_.scale = flags.scale;
    options_.softcap = flags.softcap;
    options_.normalization = flags.normalization;
    options_.softmax_type = flags.softmax_type;
    options_.precision = flags.precision;
    if (!flags.general_score.empty()) {
      options_.score = GeneralScore{files_.Read("--general-score", flags.general_score, type_)};
    } else if (!flags.additive_score_vector.empty()) {
      options_.score = AdditiveScore{
          .query_weight = files_.Read("--additive-score-query-weight",
                                      flags.additive_score_query_weight, type_),
          .key_weight =
              files_.Read("--additive-score-key-weight", flags.additive_score_key_weight, type_),
          .vector =
              AsVector(files_.Read("--additive-score-vector", flags.additive_score_vector, type_)),
      };
    }
  }

  void LoadMasks() {
    const MaskFlags& flags = flags_.options.mask;
    options_.boolean_mask =
        files_.ReadOptional("--boolean-mask", flags.boolean_mask, DataType::kBool);
    options_.additive_mask = files_.ReadOptional("--additive-mask", flags.additive_mask, type_);
    options_.multiplicative_mask =
        files_.ReadOptional("--multiplicative-mask", flags.multiplicative_mask, type_);
    options_.short_masks = flags.short_masks;
    if (flags.block_mask.empty()) return;
    options_.block_mask =
        BlockMask{.mask = files_.Read("--block-mask", flags.block_mask, DataType::kBool),
                  .query_block_size = flags.block_sizes.front(),
                  .key_block_size = flags.block_sizes.back()};
  }

  void LoadVisibility() {
    const MaskFlags& flags = flags_.options.mask;
    if (flags.causal) {
      options_.causal = *flags.causal == kEqualCounts ? Causal{} : Parse("--causal", *flags.causal);
    }
    options_.prefix_lengths = files_.KeepCounts(flags.prefix_lengths);
    if (flags.window_left || flags.window_right)
      options_.window = Window{.left = flags.window_left, .right = flags.window_right};
    options_.key_lengths = files_.KeepCounts(flags.key_lengths);
    options_.query_segments = files_.ReadNumbers("--segments", flags.segments, DataType::kInt32);
    options_.key_segments =
        files_.ReadNumbers("--key-segments", flags.key_segments, DataType::kInt32);
    options_.fully_masked = flags.fully_masked;
  }

  void LoadPositions() {
    const PositionFlags& flags = flags_.options.position;
    if (flags.query_alignment) {
      const Causal parsed = Parse("--query-alignment", *flags.query_alignment);
      options_.query_positions = {.alignment = parsed.alignment, .offset = parsed.offset};
    }
    if (const auto slopes = HeadNumbers("--alibi", flags.alibi))
      options_.alibi = Alibi{.slopes = *slopes, .symmetric = flags.alibi_symmetric};
    if (!flags.relative_bias.empty()) {
      options_.relative_position_bias = RelativePositionBias{
          .table = files_.Read("--relative-bias", flags.relative_bias, PreciseType()),
          .maximum_distance = flags.relative_bias_distance,
          .bidirectional = flags.relative_bias_bidirectional};
    }
    if (flags.rotary_interleaved) {
      options_.rotary_embedding = RotaryEmbedding{.base = flags.rotary_base,
                                                  .position_scale = flags.rotary_scale,
                                                  .width = flags.rotary_width,
                                                  .interleaved = *flags.rotary_interleaved};
    }
  }

  void LoadHeads() {
    const HeadFlags& flags = flags_.options.head;
    options_.sinks = HeadNumbers("--sinks", flags.sinks);
    options_.head_mask = HeadNumbers("--head-mask", flags.head_mask);
    options_.temperature = HeadNumbers("--temperature", flags.temperature);
  }

  void LoadReturned() {
    const ReturnFlags& flags = flags_.options.returned;
    options_.return_weights = flags.weights || flags_.result.heat_map;
    options_.return_scores = flags.scores;
    options_.return_log_sum_exp = flags.log_sum_exp;
    options_.return_top_weights = flags.top;
    options_.return_entropy = flags.entropy;
    options_.return_key_mass = flags.key_mass;
    options_.return_maximum_weight = flags.maximum_weight;
    for (const NamedResultTensor& named : kResultTensors) {
      if (flags_.result.Wants(named.tensor)) Request(named.tensor, &options_);
    }
  }

  Causal Parse(const std::string& flag, const std::string& text) {
    if (text == "top-left") return {.alignment = Causal::Alignment::kTopLeft};
    if (text == "bottom-right") return {.alignment = Causal::Alignment::kBottomRight};
    if (text == "key-lengths") return {.alignment = Causal::Alignment::kKeyLengths};
    Causal causal{.alignment = Causal::Alignment::kOffset};
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), causal.offset);
    if (error != std::errc() || end != text.data() + text.size()) {
      files_.Fail(flag + ": the alignment is none of top-left, bottom-right, key-lengths" +
                  (flag == "--causal" ? ", equal-counts" : "") + " and a whole number");
    }
    return causal;
  }

  // What belongs to heads or distances is F32 or F64, whatever the type of the queries.
  [[nodiscard]] DataType PreciseType() const {
    return type_ == DataType::kF64 ? DataType::kF64 : DataType::kF32;
  }

  std::optional<TensorRef> HeadNumbers(const std::string& flag, const std::string& text) {
    const std::optional<TensorRef> numbers = files_.ReadNumbers(flag, text, PreciseType());
    if (!numbers || numbers->shape() != Shape{1} || head_count_ <= 1) return numbers;
    std::string repeated;
    for (int64_t head = 0; head < head_count_; ++head) repeated += numbers->chars();
    return files_.Keep(*TensorValue::Create(numbers->type(), {head_count_}, std::move(repeated)));
  }

  const AttentionFlags& flags_;
  const int64_t head_count_;
  const DataType type_;
  TensorFiles& files_;
  AttentionOptions options_;
};

}  // namespace

AttentionOptions LoadOptions(const AttentionFlags& flags, int64_t head_count, TensorFiles* files) {
  return OptionLoader(flags, head_count, files).Load();
}

}  // namespace attention::client

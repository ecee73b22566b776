#include "server/codec/positions_codec.h"

#include <optional>
#include <span>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/codec/batch_integers.h"
#include "server/codec/field_error.h"
#include "server/codec/operand_checks.h"
#include "server/core/protocol_limits.h"
#include "server/core/status_macros.h"

namespace attention::server {
namespace {

constexpr absl::string_view kCausalPath = "options.causal";
constexpr absl::string_view kPositionsPath = "options.query_positions";

// What Causal and QueryPositions both say.
struct Alignment {
  absl::string_view path;
  v1::CausalAlignment kind;
  std::optional<int64_t> offset;
};

template <typename Message>
Alignment AlignmentOf(const Message& message, absl::string_view path) {
  Alignment alignment = {path, message.alignment(), std::nullopt};
  if (message.has_offset()) alignment.offset = message.offset();
  return alignment;
}

// Offsets of the queries among the keys: `common`, or one for each batch entry.
struct Offsets {
  int64_t common = 0;
  std::span<const int64_t> by_entry;

  [[nodiscard]] int64_t Of(size_t entry) const {
    return by_entry.empty() ? common : by_entry[entry];
  }
};

// The first entry of the batch whose queries are not as many as its keys; or nothing.
std::optional<int64_t> FirstUnequal(const OptionsDecoding& decoding) {
  const int64_t different_count = decoding.ragged() ? decoding.entry_count() : 1;
  for (int64_t entry = 0; entry < different_count; ++entry) {
    if (decoding.query_count(entry) != decoding.key_count(entry)) return entry;
  }
  return std::nullopt;
}

std::string Counts(const OptionsDecoding& decoding, int64_t entry) {
  const std::string counts = absl::StrCat(decoding.query_count(entry), " queries and ",
                                          decoding.key_count(entry), " keys");
  return decoding.ragged() ? absl::StrCat("since sequence ", entry, " has ", counts)
                           : absl::StrCat("since there are ", counts);
}

absl::StatusOr<int64_t> StatedOffset(const Alignment& alignment) {
  const std::string path = absl::StrCat(alignment.path, ".offset");
  if (!alignment.offset.has_value()) {
    return FieldError(path, "nothing",
                      absl::StrCat("a number with ", v1::CausalAlignment_Name(alignment.kind)));
  }
  if (*alignment.offset < -kMaxPositionOffset || *alignment.offset > kMaxPositionOffset) {
    return FieldError(path, *alignment.offset, "-2^31 to 2^31");
  }
  return *alignment.offset;
}

absl::StatusOr<Offsets> OffsetsByKeyLength(const Alignment& alignment,
                                           const OptionsDecoding& decoding) {
  if (!decoding.options.has_key_lengths()) {
    return FieldError("options.key_lengths", "nothing",
                      absl::StrCat("a tensor with ", alignment.path, " ",
                                   v1::CausalAlignment_Name(alignment.kind)));
  }
  const std::span<const int64_t> lengths = decoding.task.problem.key_lengths;
  const std::span<int64_t> offsets =
      decoding.reader.NewNumbers<int64_t>(static_cast<int64_t>(lengths.size()));
  for (size_t entry = 0; entry < lengths.size(); ++entry) {
    offsets[entry] = lengths[entry] - decoding.query_count(static_cast<int64_t>(entry));
  }
  return Offsets{.common = 0, .by_entry = offsets};
}

Offsets OffsetsAtTheEnd(const OptionsDecoding& decoding) {
  if (!decoding.ragged()) {
    return {.common = decoding.key_count() - decoding.query_count(), .by_entry = {}};
  }
  const std::span<int64_t> offsets = decoding.reader.NewNumbers<int64_t>(decoding.entry_count());
  for (int64_t entry = 0; entry < decoding.entry_count(); ++entry) {
    offsets[static_cast<size_t>(entry)] = decoding.key_count(entry) - decoding.query_count(entry);
  }
  return {.common = 0, .by_entry = offsets};
}

absl::StatusOr<Offsets> ReadOffsets(const Alignment& alignment, const OptionsDecoding& decoding) {
  const std::string kind_path = absl::StrCat(alignment.path, ".alignment");
  if (!v1::CausalAlignment_IsValid(alignment.kind)) {
    return UnknownEnumerator(kind_path, alignment.kind, v1::CausalAlignment_MAX);
  }
  const std::string& name = v1::CausalAlignment_Name(alignment.kind);
  if (alignment.kind != v1::CAUSAL_ALIGNMENT_OFFSET && alignment.offset.has_value()) {
    return FieldError(absl::StrCat(alignment.path, ".offset"), *alignment.offset,
                      absl::StrCat("nothing with ", name));
  }
  Offsets offsets;
  switch (alignment.kind) {
    case v1::CAUSAL_ALIGNMENT_OFFSET: {
      ATTENTION_ASSIGN_OR_RETURN(offsets.common, StatedOffset(alignment));
      return offsets;
    }
    case v1::CAUSAL_ALIGNMENT_KEY_LENGTHS:
      return OffsetsByKeyLength(alignment, decoding);
    case v1::CAUSAL_ALIGNMENT_BOTTOM_RIGHT:
      return OffsetsAtTheEnd(decoding);
    case v1::CAUSAL_ALIGNMENT_TOP_LEFT:
      return offsets;
    default:
      if (const auto entry = FirstUnequal(decoding); entry.has_value()) {
        return FieldError(kind_path, name, absl::StrCat("another, ", Counts(decoding, *entry)));
      }
      return offsets;
  }
}

// The first field, causality aside, that counts distances between queries and keys; or nothing.
absl::string_view DistanceField(const v1::AttentionOptions& options) {
  if (HasWindow(options)) return "options.window";
  if (options.has_alibi()) return "options.alibi";
  if (options.has_relative_position_bias()) return "options.relative_position_bias";
  if (options.has_rotary_embedding()) return "options.rotary_embedding";
  return {};
}

// One offset serves causality and distances, in the kernels as in every model known to us.
absl::Status CheckSameOffsets(const Offsets& causal, const Offsets& positions,
                              int64_t entry_count) {
  for (size_t entry = 0; entry < static_cast<size_t>(entry_count); ++entry) {
    if (causal.Of(entry) == positions.Of(entry)) continue;
    return NotOffered(absl::StrCat(kCausalPath, ".alignment"),
                      absl::StrCat(kPositionsPath, " that differ from it: got offsets ",
                                   causal.Of(entry), " and ", positions.Of(entry)));
  }
  return absl::OkStatus();
}

absl::StatusOr<Offsets> ResolveOffsets(const OptionsDecoding& decoding) {
  const v1::AttentionOptions& options = decoding.options;
  const absl::string_view distances = DistanceField(options);
  const bool aligned_causal =
      options.has_causal() && (options.causal().alignment() != v1::CAUSAL_ALIGNMENT_UNSPECIFIED ||
                               options.causal().has_offset());
  Offsets causal;
  if (aligned_causal || (options.has_causal() && !options.has_query_positions())) {
    ATTENTION_ASSIGN_OR_RETURN(causal,
                               ReadOffsets(AlignmentOf(options.causal(), kCausalPath), decoding));
  }
  if (options.has_query_positions()) {
    if (!options.has_causal() && distances.empty()) {
      return FieldError(kPositionsPath, "an alignment",
                        "nothing without causal, window, alibi, relative_position_bias or "
                        "rotary_embedding");
    }
    ATTENTION_ASSIGN_OR_RETURN(
        const Offsets positions,
        ReadOffsets(AlignmentOf(options.query_positions(), kPositionsPath), decoding));
    if (!aligned_causal) return positions;
    ATTENTION_RETURN_IF_ERROR(CheckSameOffsets(causal, positions, decoding.entry_count()));
    return positions;
  }
  if (options.has_causal() || distances.empty()) return causal;
  if (const auto entry = FirstUnequal(decoding); entry.has_value()) {
    return FieldError(
        kPositionsPath, "nothing",
        absl::StrCat("an alignment with ", distances, ", ", Counts(decoding, *entry)));
  }
  return causal;
}

absl::StatusOr<std::optional<int64_t>> WindowBound(bool present, int64_t bound,
                                                   absl::string_view path) {
  if (!present) return std::nullopt;
  ATTENTION_RETURN_IF_ERROR(CheckRange(path, bound, 0, kMaxWindow));
  return bound;
}

absl::Status DecodeWindow(const OptionsDecoding& decoding) {
  const v1::Window& window = decoding.options.window();
  kernels::AttentionProblem& problem = decoding.task.problem;
  ATTENTION_ASSIGN_OR_RETURN(problem.left_window,
                             WindowBound(window.has_left(), window.left(), "options.window.left"));
  ATTENTION_ASSIGN_OR_RETURN(problem.right_window, WindowBound(window.has_right(), window.right(),
                                                               "options.window.right"));
  return absl::OkStatus();
}

absl::Status DecodePrefixLengths(const OptionsDecoding& decoding) {
  constexpr absl::string_view kPath = "options.prefix_lengths";
  if (!decoding.options.has_prefix_lengths()) return absl::OkStatus();
  if (!decoding.options.has_causal()) {
    return FieldError(kPath, "a tensor", absl::StrCat("nothing without ", kCausalPath));
  }
  ATTENTION_ASSIGN_OR_RETURN(decoding.task.problem.prefix_lengths,
                             ReadLengths(decoding.options.prefix_lengths(), kPath, decoding));
  return absl::OkStatus();
}

}  // namespace

absl::Status DecodePositions(const OptionsDecoding& decoding) {
  kernels::AttentionProblem& problem = decoding.task.problem;
  ATTENTION_ASSIGN_OR_RETURN(const Offsets offsets, ResolveOffsets(decoding));
  problem.query_offset = offsets.common;
  problem.query_offsets = offsets.by_entry;
  problem.causal = decoding.options.has_causal();
  ATTENTION_RETURN_IF_ERROR(DecodeWindow(decoding));
  return DecodePrefixLengths(decoding);
}

bool HasWindow(const v1::AttentionOptions& options) {
  return options.window().has_left() || options.window().has_right();
}

}  // namespace attention::server

#include <algorithm>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "client/attn/commands.h"
#include "client/attn/element_flags.h"
#include "client/attn/result_flags.h"
#include "client/attn/rotary_tables.h"
#include "client/attn/server_flags.h"
#include "client/attn/tensor_files.h"
#include "client/attn/value_flags.h"

namespace attention::client {
namespace {

// What both commands have.
struct OperatorFlags {
  ArrayFormat format = ArrayFormat::kSniffed;
  DataType type = DataType::kF32;
  ResultFlags result;
  ServerFlags server;
};

struct RotaryFlags {
  OperatorFlags common;
  std::string input;
  int32_t head_count = 0;  // 0: not given
  std::string cos;
  std::string sin;
  double base = 10000;
  std::string position_ids;
  std::optional<int64_t> width;
  bool interleaved = false;
};

struct MergeFlags {
  OperatorFlags common;
  std::vector<std::string> states;  // "OUTPUT,LSE"
};

void AddOperatorFlags(CLI::App* command, const std::vector<ResultTensor>& tensors,
                      OperatorFlags* flags) {
  AddElementFlags(command, &flags->format, &flags->type);
  AddResultFlags(command, tensors, &flags->result);
  AddTableFlags(command, &flags->result);
  AddServerFlags(command, &flags->server);
}

// The tensor with axes of extent 1 in front until it has this many.
TensorRef WithAxes(const TensorRef& tensor, size_t axis_count) {
  Shape shape = tensor.shape();
  if (shape.size() < axis_count) shape.insert(shape.begin(), axis_count - shape.size(), 1);
  return {tensor.type(), std::move(shape), tensor.bytes()};
}

// The tensor without as many axes in front as WithAxes() added.
TensorValue WithoutAxes(TensorValue tensor, size_t axis_count) {
  for (size_t i = 0; i < axis_count; ++i) tensor = WithoutAxis(std::move(tensor), 0);
  return tensor;
}

class RotaryLoader {
 public:
  RotaryLoader(const RotaryFlags& flags, TensorFiles* files) : flags_(flags), files_(*files) {}

  ApplyRotaryEmbeddingRequest Load() {
    ApplyRotaryEmbeddingRequest request;
    const TensorRef input = files_.Read("--input", flags_.input, flags_.common.type);
    if (!files_.status().ok()) return request;
    const bool packed = flags_.head_count > 0;
    const size_t axis_count = packed ? 3 : 4;
    if (input.shape().size() > axis_count || input.shape().size() < 2) {
      files_.Fail(absl::StrCat("--input: shape ", ToString(input.shape()), " has ",
                               input.shape().size(), " axes, want 2 to ", axis_count));
      return request;
    }
    added_axis_count_ = axis_count - input.shape().size();
    request.input = WithAxes(input, axis_count);
    if (packed) request.head_count = flags_.head_count;
    request.rotary_width = flags_.width;
    request.interleaved = flags_.interleaved;
    if (const auto ids =
            files_.ReadNumbers("--position-ids", flags_.position_ids, DataType::kInt64)) {
      request.position_ids = WithAxes(*ids, 2);
    }
    if (files_.status().ok()) LoadTables(&request);
    return request;
  }

  // Of the input, for the answer to lose again.
  [[nodiscard]] size_t added_axis_count() const { return added_axis_count_; }

 private:
  void LoadTables(ApplyRotaryEmbeddingRequest* request) {
    const size_t axis_count = request->position_ids ? 2 : 3;
    if (!flags_.cos.empty()) {
      request->cos = WithAxes(files_.Read("--cos", flags_.cos, flags_.common.type), axis_count);
      request->sin = WithAxes(files_.Read("--sin", flags_.sin, flags_.common.type), axis_count);
      return;
    }
    const Shape& shape = request->input.shape();
    const bool packed = request->head_count.has_value();
    const int64_t head_width = shape.back() / (packed ? *request->head_count : 1);
    const int64_t width = flags_.width.value_or(head_width);
    const int64_t batch = shape[0];
    if (request->position_ids) {
      const std::vector<int64_t> positions = NumberPositions(request);
      if (!CheckTableSize(std::ssize(positions) * (width / 2))) return;
      const RotaryTables tables = MakeRotaryTables(positions, width, flags_.base);
      KeepTables({std::ssize(positions), width / 2}, tables, request);
      return;
    }
    const int64_t rows = shape[packed ? 1 : 2];
    if (!CheckTableSize(std::max<int64_t>(batch, 1) * rows * (width / 2))) return;
    std::vector<int64_t> positions(static_cast<size_t>(rows));
    std::iota(positions.begin(), positions.end(), int64_t{0});
    RotaryTables tables = MakeRotaryTables(positions, width, flags_.base);
    Repeat(batch, &tables.cos);
    Repeat(batch, &tables.sin);
    KeepTables({batch, rows, width / 2}, tables, request);
  }

  // The distinct positions, in order. The request's ids become their places among these, so that
  // the tables have no rows that nobody reads.
  std::vector<int64_t> NumberPositions(ApplyRotaryEmbeddingRequest* request) {
    const TensorRef given = *request->position_ids;
    std::vector<int64_t> ids(given.bytes().size() / sizeof(int64_t));
    std::ranges::copy(given.bytes(), std::as_writable_bytes(std::span(ids)).begin());
    std::vector<int64_t> positions = ids;
    std::ranges::sort(positions);
    positions.erase(std::ranges::unique(positions).begin(), positions.end());
    if (!positions.empty() && positions.front() < 0)
      files_.Fail(absl::StrCat("--position-ids: got ", positions.front(), ", want >= 0"));
    for (int64_t& id : ids) id = std::ranges::lower_bound(positions, id) - positions.begin();
    request->position_ids = files_.Keep(*TensorValue::Create(
        DataType::kInt64, given.shape(), std::string(TensorRef(ids, given.shape()).chars())));
    return positions;
  }

  // Fails if that many cosines do not fit into a message; an input without elements may ask for
  // them.
  bool CheckTableSize(int64_t number_count) {
    const int64_t max_number_count = MaxElements(flags_.common.type);
    if (number_count <= max_number_count) return true;
    files_.Fail(absl::StrCat("--input: the tables of --base would have ", number_count,
                             " numbers each, more than ", max_number_count));
    return false;
  }

  static void Repeat(int64_t times, std::vector<double>* numbers) {
    const std::vector<double> once = *numbers;
    numbers->clear();
    for (int64_t i = 0; i < times; ++i) numbers->insert(numbers->end(), once.begin(), once.end());
  }

  void KeepTables(const Shape& shape, const RotaryTables& tables,
                  ApplyRotaryEmbeddingRequest* request) {
    request->cos = files_.Keep(*TensorValue::FromDoubles(flags_.common.type, shape, tables.cos));
    request->sin = files_.Keep(*TensorValue::FromDoubles(flags_.common.type, shape, tables.sin));
  }

  const RotaryFlags& flags_;
  TensorFiles& files_;
  size_t added_axis_count_ = 0;
};

Outcome RunRotary(const RotaryFlags& flags, const Console& console) {
  if (Outcome refused = CheckResultFlags(flags.common.result, console);
      refused.code != ExitCode::kOk) {
    return refused;
  }
  TensorFiles files(flags.common.format, console.in);
  RotaryLoader loader(flags, &files);
  const ApplyRotaryEmbeddingRequest request = loader.Load();
  if (!files.status().ok()) return UsageError(files.status());
  NamedServer server(flags.common.server);
  absl::StatusOr<RotaryEmbeddingResult> answer = server.client()->ApplyRotaryEmbedding(request);
  if (!answer.ok()) return server.Failure(answer.status());
  AttentionResult result;
  result.output = WithoutAxes(std::move(answer->output), loader.added_axis_count());
  result.execution = answer->execution;
  ResultNames names;
  if (flags.head_count > 0) names.output_axes = kSequenceMatrices;
  return WriteResult(result, names, flags.common.result, console);
}

Outcome RunMerge(const MergeFlags& flags, const Console& console) {
  if (Outcome refused = CheckResultFlags(flags.common.result, console);
      refused.code != ExitCode::kOk) {
    return refused;
  }
  TensorFiles files(flags.common.format, console.in);
  MergeAttentionStatesRequest request;
  bool added_head_axis = false;
  const DataType log_type = flags.common.type == DataType::kF64 ? DataType::kF64 : DataType::kF32;
  for (const std::string& state : flags.states) {
    const size_t comma = state.find(',');
    if (comma == std::string::npos || comma == 0 || comma + 1 == state.size())
      return {ExitCode::kUsage, "--state: got " + state + ", want OUTPUT,LSE, two files"};
    const TensorRef output = files.Read("--state", state.substr(0, comma), flags.common.type);
    const TensorRef log_sum_exp = files.Read("--state", state.substr(comma + 1), log_type);
    if (!files.status().ok()) return UsageError(files.status());
    // sdpa's answer to matrices: one head without its axis.
    added_head_axis = output.shape().size() == 2;
    request.states.push_back(
        {.output = WithAxes(output, 3),
         .log_sum_exp = added_head_axis ? WithAxes(AsVector(log_sum_exp), 2) : log_sum_exp});
  }
  NamedServer server(flags.common.server);
  absl::StatusOr<MergedStateResult> answer = server.client()->MergeAttentionStates(request);
  if (!answer.ok()) return server.Failure(answer.status());
  const size_t axis_count = added_head_axis ? 1 : 0;
  AttentionResult result;
  result.output = WithoutAxes(std::move(answer->output), axis_count);
  result.log_sum_exp = WithoutAxes(std::move(answer->log_sum_exp), axis_count);
  result.execution = answer->execution;
  return WriteResult(result, {}, flags.common.result, console);
}

void AddRotary(CLI::App* app, const Console& console, Command* chosen) {
  CLI::App* command =
      app->add_subcommand("rotary", "Turn queries or keys by their positions (RoPE)");
  command->group("Around attention");
  const auto flags = std::make_shared<RotaryFlags>();
  const auto add_file = [&](const std::string& name, std::string* file, const std::string& help) {
    return AddFile(command, name, file, help)->group("Inputs");
  };
  add_file("--input", &flags->input,
           "[sequence, width], [batch, heads, sequence, width], or with --heads [batch, sequence, "
           "heads * width]")
      ->required();
  AddWhole(command, "--heads", &flags->head_count, {.min = 1, .max = kMaxHeadCount},
           "Heads that share the last axis")
      ->group("Inputs");
  CLI::Option* cos = add_file("--cos", &flags->cos,
                              "Cosines, [sequence, turned width / 2], or [positions, ...] with "
                              "--position-ids; made from --base if not given");
  CLI::Option* sin = add_file("--sin", &flags->sin, "Sines, in the form of the cosines");
  cos->needs(sin);
  sin->needs(cos);
  AddFinite(command, "--base", &flags->base, "Base of the angles where no tables are given",
            /*positive=*/true)
      ->capture_default_str()
      ->excludes(cos)
      ->group("Inputs");
  AddNumbers(command, "--position-ids", &flags->position_ids,
             "Position of each row, as 4,5,6 or a file [batch, sequence]; 0, 1, ... if not given")
      ->group("Inputs");
  AddWhole(command, "--rotary-width", &flags->width, {.min = 2, .max = int64_t{1} << 16},
           "How many numbers of each head are turned; all if not given")
      ->group("Inputs");
  command
      ->add_flag("--interleaved", flags->interleaved,
                 "Pairs (2 k, 2 k + 1) instead of (k, k + width / 2)")
      ->group("Inputs");
  AddOperatorFlags(command, {ResultTensor::kOutput}, &flags->common);
  command->footer(
      "Examples:\n"
      "  echo '[[1,0],[1,0],[1,0]]' | attn rotary --input - --base 100\n"
      "  attn rotary --input q.npy --cos cos.npy --sin sin.npy --position-ids 7,8,9 --output npy > "
      "turned.npy");
  OnChosen(command, chosen, [&console, flags] { return RunRotary(*flags, console); });
}

void AddMerge(CLI::App* app, const Console& console, Command* chosen) {
  CLI::App* command = app->add_subcommand(
      "merge", "Join what attention over parts of the keys returned into the whole");
  command->group("Around attention");
  const auto flags = std::make_shared<MergeFlags>();
  command
      ->add_option("--state", flags->states,
                   "Output and log-sum-exp over some of the keys, two files; once for each part")
      ->required()
      ->allow_extra_args(false)
      ->check(NotEmpty("OUTPUT,LSE"))
      ->type_name("OUTPUT,LSE")
      ->group("Inputs");
  AddOperatorFlags(command, {ResultTensor::kOutput, ResultTensor::kLogSumExp}, &flags->common);
  command->footer(
      "Example:\n"
      "  attn sdpa --query q.npy --key k1.npy --value v1.npy --save output=o1.npy --save "
      "log-sum-exp=l1.npy\n"
      "  attn sdpa --query q.npy --key k2.npy --value v2.npy --save output=o2.npy --save "
      "log-sum-exp=l2.npy\n"
      "  attn merge --state o1.npy,l1.npy --state o2.npy,l2.npy");
  OnChosen(command, chosen, [&console, flags] { return RunMerge(*flags, console); });
}

}  // namespace

void AddOperatorCommands(CLI::App* app, const Console& console, Command* chosen) {
  AddRotary(app, console, chosen);
  AddMerge(app, console, chosen);
}

}  // namespace attention::client

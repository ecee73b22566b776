#include "tests/benchmark/projection_verification.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/convert.h"
#include "tests/benchmark/relative_error.h"

namespace attention::benchmark {
namespace {

using kernels::DataType;

constexpr int64_t kRowCount = 8;

std::vector<double> Load(const void* elements, DataType type, int64_t first, int64_t count) {
  std::vector<double> values(static_cast<size_t>(count));
  const auto offset = static_cast<ptrdiff_t>(kernels::ElementBytes(type)) * first;
  kernels::LoadElements(type, static_cast<const std::byte*>(elements) + offset, count,
                        values.data());
  return values;
}

void RoundTo(DataType type, std::vector<double>& values) {
  for (double& value : values) {
    double element = 0;
    kernels::StoreElements(type, &value, 1, &element);
    value = kernels::LoadElement(type, &element);
  }
}

// row * weight + bias, everything in Real, in the order of the formula.
template <typename Real>
std::vector<double> Map(const std::vector<double>& row, const std::vector<double>& weight,
                        const std::vector<double>& bias) {
  std::vector<Real> sums(bias.size(), Real{0});
  for (size_t i = 0; i < row.size(); ++i) {
    for (size_t j = 0; j < sums.size(); ++j) {
      sums[j] += static_cast<Real>(row[i]) * static_cast<Real>(weight[i * sums.size() + j]);
    }
  }
  std::vector<double> result;
  for (size_t j = 0; j < sums.size(); ++j) {
    result.push_back(static_cast<double>(sums[j] + static_cast<Real>(bias[j])));
  }
  return result;
}

}  // namespace

absl::Status VerifyProjection(const kernels::ProjectionMaps& maps,
                              const kernels::ProjectionRows& rows, std::string_view precision) {
  const DataType naive_type = NaiveType(maps.type, precision);
  for (size_t map = 0; map < maps.maps.size(); ++map) {
    const auto& [output_width, weight_data, bias_data] = maps.maps[map];
    const std::vector<double> weight =
        Load(weight_data, maps.type, 0, maps.input_width * output_width);
    const std::vector<double> bias = Load(bias_data, maps.type, 0, output_width);
    std::vector<double> rounded_weight = weight;
    RoundTo(naive_type, rounded_weight);
    RelativeError error;
    const int64_t step = std::max<int64_t>(1, (rows.row_count - 1) / (kRowCount - 1));
    for (int64_t index = 0; index < rows.row_count; index += step) {
      const std::vector<double> row =
          Load(rows.input, maps.type, index * rows.input_stride, maps.input_width);
      std::vector<double> rounded_row = row;
      RoundTo(naive_type, rounded_row);
      std::vector<double> naive = Map<float>(rounded_row, rounded_weight, bias);
      RoundTo(maps.type, naive);
      const kernels::ProjectedRows& output = rows.outputs[map];
      error.Add(Map<double>(row, weight, bias),
                Load(output.data, maps.type, index * output.row_stride, output_width), naive);
    }
    absl::Status status = error.Judge(absl::StrCat("outputs[", map, "]"), maps.type, precision);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace attention::benchmark

#include "tests/kernels/test_projection.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "tests/support/random.h"

namespace attention::test {
namespace {

using kernels::DataType;
using kernels::Precision;

// The relative error of a sum's operations and of storing a result.
double ArithmeticUnit(DataType type) { return type == DataType::kF64 ? 0x1p-53 : 0x1p-24; }
double ResultUnit(DataType type) {
  switch (type) {
    case DataType::kF64:
      return 0x1p-53;
    case DataType::kF16:
      return 0x1p-11;
    case DataType::kBF16:
      return 0x1p-9;
    default:
      return 0x1p-24;
  }
}

// The relative error of a product because of how its F32 operands are represented. A BF16 number is
// within 2^-9; of two numbers in three parts each, three products leave out high * low twice and
// middle * middle, each below 2^-18; what six leave out is below the unit of f32.
double OperandUnit(DataType type, std::string_view precision) {
  if (type != DataType::kF32) return 0;
  if (precision == "bf16") return 2 * 0x1p-9;
  if (precision == "bf16_x3") return 3 * 0x1p-18;
  return 0;
}

// What a result may lose because it is too small for a relative error: denormals have a fixed unit.
double Underflow(DataType type) { return type == DataType::kF16 ? 0x1p-24 : 0x1p-126; }

struct Product {
  double sum = 0;
  double largest_sum = 0;  // on the way
  double squares = 0;      // of the products
};

Product ProductInFloat64(const TestProjection& test, const TestMap& map, int64_t row,
                         int64_t column) {
  Product product;
  product.sum = map.bias.present() ? map.bias.At(0, 0, 0, column) : 0.0;
  product.largest_sum = std::abs(product.sum);
  for (int64_t k = 0; k < test.recipe.input_width; ++k) {
    const double term = test.input.At(0, 0, row, k) * map.weight.At(0, 0, k, column);
    product.sum += term;
    product.largest_sum = std::max(product.largest_sum, std::abs(product.sum));
    product.squares += term * term;
  }
  return product;
}

// Each addition rounds by a random part of a unit of the sum so far, and independent errors add up
// as the root of their number: four standard deviations are allowed.
double Tolerance(const TestProjection& test, const Product& product) {
  const DataType type = test.recipe.kind.type;
  const double roundings = 4.0 * std::sqrt(static_cast<double>(test.recipe.input_width + 1));
  return roundings * ArithmeticUnit(type) * product.largest_sum +
         4.0 * OperandUnit(type, test.report.precision) * std::sqrt(product.squares) +
         2.0 * ResultUnit(type) * std::abs(product.sum) + Underflow(type);
}

}  // namespace

std::string Name(const NumberKind& kind) {
  std::string name(kernels::Name(kind.type));
  switch (kind.precision) {
    case Precision::kF32:
      break;
    case Precision::kBF16X6:
      name += "InBF16X6";
      break;
    case Precision::kBF16X3:
      name += "InBF16X3";
      break;
    case Precision::kBF16:
      name += "InBF16";
      break;
    case Precision::kF32GradeFastest:
      name += "InF32GradeFastest";
      break;
  }
  return name;
}

std::ostream& operator<<(std::ostream& stream, const ProjectionRecipe& recipe) {
  stream << Name(recipe.kind) << ", " << recipe.row_count << " rows, " << recipe.input_width
         << " to";
  for (const int64_t width : recipe.output_widths) stream << " " << width;
  return stream << (recipe.with_bias ? ", with bias" : "");
}

TestProjection::TestProjection(const ProjectionRecipe& recipe_in, Layout layout)
    : recipe(recipe_in),
      input(recipe.kind.type, {1, 1, recipe.row_count, recipe.input_width}, layout) {
  Random random(static_cast<uint64_t>(recipe.row_count * 1'000'000 + recipe.input_width * 1000 +
                                      recipe.output_widths[0]));
  const auto numbers = [&] { return random.Normal(); };
  input.Fill(numbers);
  for (const int64_t width : recipe.output_widths) {
    TestMap& map = maps.emplace_back();
    map.weight = TestTensor(recipe.kind.type, {1, 1, recipe.input_width, width});
    map.weight.Fill(numbers);
    if (recipe.with_bias) {
      map.bias = TestTensor(recipe.kind.type, {1, 1, 1, width});
      map.bias.Fill(numbers);
    }
    outputs.emplace_back(recipe.kind.type, kernels::Extents{1, 1, recipe.row_count, width}, layout);
  }
}

kernels::ProjectionMaps TestProjection::Maps() const {
  map_views_.clear();
  for (size_t i = 0; i < maps.size(); ++i) {
    map_views_.push_back({.output_width = recipe.output_widths[i],
                          .weight = maps[i].weight.view().data,
                          .bias = maps[i].bias.view().data});
  }
  return {.type = recipe.kind.type,
          .precision = recipe.kind.precision,
          .input_width = recipe.input_width,
          .maps = map_views_};
}

kernels::ProjectionRows TestProjection::Rows() {
  output_views_.clear();
  for (TestTensor& output : outputs) {
    output_views_.push_back(
        {.data = output.mutable_view().data, .row_stride = output.mutable_view().strides[2]});
  }
  return {.row_count = recipe.row_count,
          .input = input.view().data,
          .input_stride = input.view().strides[2],
          .outputs = output_views_};
}

absl::Status TestProjection::Run(const kernels::Execution& execution) {
  const auto result = kernels::Project(Maps(), Rows(), execution);
  if (result.ok()) report = *result;
  return result.status();
}

absl::Status TestProjection::RunPacked(const kernels::Execution& execution) {
  const auto packed = kernels::PackedProjection::Pack(Maps(), execution);
  if (!packed.ok()) return packed.status();
  const auto result = (*packed)->Apply(Rows(), execution);
  if (result.ok()) report = *result;
  return result.status();
}

absl::Status TestProjection::RunMap(size_t map) {
  kernels::ProjectionMaps all_maps = Maps();
  kernels::ProjectionRows all_rows = Rows();
  all_maps.maps = all_maps.maps.subspan(map, 1);
  all_rows.outputs = all_rows.outputs.subspan(map, 1);
  return kernels::Project(all_maps, all_rows).status();
}

testing::AssertionResult TestProjection::MatchesFloat64() const {
  for (size_t m = 0; m < maps.size(); ++m) {
    for (int64_t row = 0; row < recipe.row_count; ++row) {
      for (int64_t column = 0; column < recipe.output_widths[m]; ++column) {
        const Product want = ProductInFloat64(*this, maps[m], row, column);
        const double tolerance = Tolerance(*this, want);
        const double got = outputs[m].At(0, 0, row, column);
        if (!(std::abs(got - want.sum) <= tolerance)) {
          return testing::AssertionFailure()
                 << "map " << m << ", row " << row << ", column " << column << ": got " << got
                 << ", want " << want.sum << " within " << tolerance;
        }
      }
    }
  }
  return testing::AssertionSuccess();
}

double TestProjection::FrobeniusError() const {
  double error_squares = 0;
  double result_squares = 0;
  for (size_t m = 0; m < maps.size(); ++m) {
    for (int64_t row = 0; row < recipe.row_count; ++row) {
      for (int64_t column = 0; column < recipe.output_widths[m]; ++column) {
        const double want = ProductInFloat64(*this, maps[m], row, column).sum;
        const double error = outputs[m].At(0, 0, row, column) - want;
        error_squares += error * error;
        result_squares += want * want;
      }
    }
  }
  return std::sqrt(error_squares / result_squares);
}

bool TestProjection::GuardsIntact() const {
  return std::all_of(outputs.begin(), outputs.end(),
                     [](const TestTensor& output) { return output.GuardsIntact(); });
}

testing::AssertionResult SameOutputs(const TestProjection& a, const TestProjection& b) {
  for (size_t map = 0; map < a.outputs.size(); ++map) {
    const auto& bytes = a.outputs[map].storage();
    const auto& other = b.outputs[map].storage();
    const auto [different, end] = std::mismatch(bytes.begin(), bytes.end(), other.begin());
    if (different == bytes.end()) continue;
    return testing::AssertionFailure()
           << "map " << map << " differs from byte " << different - bytes.begin();
  }
  return testing::AssertionSuccess();
}

}  // namespace attention::test

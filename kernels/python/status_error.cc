#include "kernels/python/status_error.h"

#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace attention::python {
namespace {

using kernels::DataType;

constexpr size_t kKernelAxes = 4;  // of every view that the kernels see

[[noreturn]] void Raise(PyObject* exception, const std::string& sentence) {
  PyErr_SetString(exception, sentence.c_str());
  throw nanobind::python_error();
}

// "states[1].output" is "outputs[1]" here, and so with log_sum_exp.
std::string WithNamedStates(std::string sentence) {
  for (const std::string_view name : {"output", "log_sum_exp"}) {
    const std::string field = absl::StrCat("].", std::string(name));
    for (size_t end = sentence.find(field); end != std::string::npos; end = sentence.find(field)) {
      const size_t begin = sentence.rfind("states[", end);
      if (begin == std::string::npos) break;
      const size_t index = begin + std::string_view("states[").size();
      sentence.replace(
          begin, end + field.size() - begin,
          absl::StrCat(std::string(name), "s[", sentence.substr(index, end - index), "]"));
    }
  }
  return sentence;
}

std::string InPythonsTerms(std::string sentence, size_t rank) {
  std::vector<std::pair<std::string, std::string>> terms = {
      {".extents", ".shape"},          {".type", ".dtype"},   {"rotary.", ""},
      {"the query", "query"},          {"the input", "rows"}, {"left_window", "window_left"},
      {"right_window", "window_right"}};
  for (const DataType type :
       {DataType::kF32, DataType::kF16, DataType::kBF16, DataType::kF64, DataType::kBool}) {
    terms.emplace_back(absl::StrCat(" ", std::string(kernels::Name(type))),
                       absl::StrCat(" ", DtypeName(type)));
  }
  // Leading axes that the caller's arrays do not have are of extent 1 in the kernels' views.
  for (size_t axis = 0; axis < rank; ++axis) {
    const size_t kernel_axis = axis + kKernelAxes - rank;
    terms.emplace_back(absl::StrCat(".extents[", kernel_axis, "]"),
                       absl::StrCat(".shape[", axis, "]"));
    terms.emplace_back(absl::StrCat(".strides[", kernel_axis, "]"),
                       absl::StrCat(".strides[", axis, "]"));
  }
  if (absl::StartsWith(sentence, "output.")) sentence.erase(3, 3);  // the argument `out`
  if (absl::StartsWith(sentence, "input.")) sentence.replace(0, 5, "rows");
  // NumPy counts strides in bytes.
  const char* unit = sentence.find(".strides[") == std::string::npos ? "" : " (in elements)";
  return absl::StrCat(absl::StrReplaceAll(WithNamedStates(std::move(sentence)), terms), unit);
}

}  // namespace

const char* DtypeName(DataType type) {
  switch (type) {
    case DataType::kF32:
      return "float32";
    case DataType::kF16:
      return "float16";
    case DataType::kBF16:
      return "bfloat16";
    case DataType::kF64:
      return "float64";
    case DataType::kBool:
      return "bool";
  }
  return "another type";
}

std::string TypeNameOf(nanobind::handle object) {
  return nanobind::type_name(object.type()).c_str();
}

void RaiseUnlessOk(const absl::Status& status, size_t rank) {
  if (status.ok()) return;
  const std::string sentence = InPythonsTerms(std::string(status.message()), rank);
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
      Raise(PyExc_ValueError, sentence);
    case absl::StatusCode::kUnimplemented:
      Raise(PyExc_NotImplementedError, sentence);
    default:
      Raise(PyExc_RuntimeError, sentence);
  }
}

void RaiseValueError(const std::string& sentence) { Raise(PyExc_ValueError, sentence); }
void RaiseTypeError(const std::string& sentence) { Raise(PyExc_TypeError, sentence); }

}  // namespace attention::python

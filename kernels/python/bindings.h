// What the module consists of, by file.

#ifndef ATTENTION_KERNELS_PYTHON_BINDINGS_H_
#define ATTENTION_KERNELS_PYTHON_BINDINGS_H_

#include <nanobind/nanobind.h>

namespace attention::python {

void DefineAttention(nanobind::module_& module);           // and Report
void DefineMultiHeadAttention(nanobind::module_& module);  // after DefineAttention
void DefineOperators(nanobind::module_& module);           // rotary embedding and merging

}  // namespace attention::python

#endif  // ATTENTION_KERNELS_PYTHON_BINDINGS_H_

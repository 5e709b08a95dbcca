// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/checkpoint/torch_symbols.h"

#include <algorithm>
#include <array>

namespace ergo {

namespace {

using Role = TorchSymbol::Role;

// clang-format off
constexpr std::array symbols{
    TorchSymbol{"collections", "OrderedDict", Role::ordered_map},
    TorchSymbol{"collections", "Counter", Role::counter},
    TorchSymbol{"collections", "defaultdict", Role::default_map},
    TorchSymbol{"builtins", "set", Role::set},
    TorchSymbol{"builtins", "complex", Role::complex},
    TorchSymbol{"builtins", "bytearray", Role::byte_array},
    TorchSymbol{"_codecs", "encode", Role::encode},
    TorchSymbol{"torch", "Size", Role::size},
    TorchSymbol{"torch", "device", Role::device},
    TorchSymbol{"torch", "Tensor", Role::tensor_class},
    TorchSymbol{"torch._tensor", "Tensor", Role::tensor_class},
    TorchSymbol{"torch.nn.parameter", "Parameter", Role::parameter_class},

    TorchSymbol{"torch._utils", "_rebuild_tensor", Role::tensor},
    TorchSymbol{"torch._utils", "_rebuild_tensor_v2", Role::tensor_v2},
    TorchSymbol{"torch._utils", "_rebuild_tensor_v3", Role::tensor_v3},
    TorchSymbol{"torch._utils", "_rebuild_parameter", Role::parameter},
    TorchSymbol{"torch._utils", "_rebuild_parameter_with_state", Role::parameter_with_state},
    TorchSymbol{"torch._tensor", "_rebuild_from_type_v2", Role::from_type},

    TorchSymbol{"torch", "float32", Role::dtype, "F32", DType::f32, 4},
    TorchSymbol{"torch", "float64", Role::dtype, "F64", DType::f64, 8},
    TorchSymbol{"torch", "float16", Role::dtype, "F16", DType::f16, 2},
    TorchSymbol{"torch", "bfloat16", Role::dtype, "BF16", DType::bf16, 2},
    TorchSymbol{"torch", "int64", Role::dtype, "I64", DType::i64, 8},
    TorchSymbol{"torch", "int32", Role::dtype, "I32", DType::i32, 4},
    TorchSymbol{"torch", "int16", Role::dtype, "I16", DType::i16, 2},
    TorchSymbol{"torch", "int8", Role::dtype, "I8", DType::i8, 1},
    TorchSymbol{"torch", "uint64", Role::dtype, "U64", DType::u64, 8},
    TorchSymbol{"torch", "uint32", Role::dtype, "U32", DType::u32, 4},
    TorchSymbol{"torch", "uint16", Role::dtype, "U16", DType::u16, 2},
    TorchSymbol{"torch", "uint8", Role::dtype, "U8", DType::u8, 1},
    TorchSymbol{"torch", "bool", Role::dtype, "BOOL", DType::boolean, 1},
    TorchSymbol{"torch", "complex32", Role::dtype, "C32", std::nullopt, 4},
    TorchSymbol{"torch", "complex64", Role::dtype, "C64", std::nullopt, 8},
    TorchSymbol{"torch", "complex128", Role::dtype, "C128", std::nullopt, 16},
    TorchSymbol{"torch", "float8_e4m3fn", Role::dtype, "F8_E4M3", std::nullopt, 1},
    TorchSymbol{"torch", "float8_e5m2", Role::dtype, "F8_E5M2", std::nullopt, 1},
    TorchSymbol{"torch", "float8_e8m0fnu", Role::dtype, "F8_E8M0", std::nullopt, 1},
    TorchSymbol{"torch", "float8_e4m3fnuz", Role::dtype, "F8_E4M3FNUZ", std::nullopt, 1},
    TorchSymbol{"torch", "float8_e5m2fnuz", Role::dtype, "F8_E5M2FNUZ", std::nullopt, 1},

    TorchSymbol{"torch", "FloatStorage", Role::storage_type, "F32", DType::f32, 4},
    TorchSymbol{"torch", "DoubleStorage", Role::storage_type, "F64", DType::f64, 8},
    TorchSymbol{"torch", "HalfStorage", Role::storage_type, "F16", DType::f16, 2},
    TorchSymbol{"torch", "BFloat16Storage", Role::storage_type, "BF16", DType::bf16, 2},
    TorchSymbol{"torch", "LongStorage", Role::storage_type, "I64", DType::i64, 8},
    TorchSymbol{"torch", "IntStorage", Role::storage_type, "I32", DType::i32, 4},
    TorchSymbol{"torch", "ShortStorage", Role::storage_type, "I16", DType::i16, 2},
    TorchSymbol{"torch", "CharStorage", Role::storage_type, "I8", DType::i8, 1},
    TorchSymbol{"torch", "ByteStorage", Role::storage_type, "U8", DType::u8, 1},
    TorchSymbol{"torch", "BoolStorage", Role::storage_type, "BOOL", DType::boolean, 1},
    TorchSymbol{"torch", "ComplexFloatStorage", Role::storage_type, "C64", std::nullopt, 8},
    TorchSymbol{"torch", "ComplexDoubleStorage", Role::storage_type, "C128", std::nullopt, 16},
    TorchSymbol{"torch.storage", "UntypedStorage", Role::untyped_storage, "U8", DType::u8, 1},

    TorchSymbol{"torch", "QInt8Storage", Role::unsupported_tensor},
    TorchSymbol{"torch", "QInt32Storage", Role::unsupported_tensor},
    TorchSymbol{"torch", "QUInt8Storage", Role::unsupported_tensor},
    TorchSymbol{"torch", "QUInt4x2Storage", Role::unsupported_tensor},
    TorchSymbol{"torch", "QUInt2x4Storage", Role::unsupported_tensor},
    TorchSymbol{"torch._utils", "_rebuild_qtensor", Role::unsupported_tensor},
    TorchSymbol{"torch._utils", "_rebuild_sparse_tensor", Role::unsupported_tensor},
    TorchSymbol{"torch._utils", "_rebuild_sparse_csr_tensor", Role::unsupported_tensor},
    TorchSymbol{"torch._utils", "_rebuild_nested_tensor", Role::unsupported_tensor},
    TorchSymbol{"torch._utils", "_rebuild_meta_tensor_no_storage", Role::unsupported_tensor},
    TorchSymbol{"torch._utils", "_rebuild_wrapper_subclass", Role::unsupported_tensor},
    TorchSymbol{"torch._utils", "_rebuild_device_tensor_from_numpy", Role::unsupported_tensor},
    TorchSymbol{"torch._utils", "_rebuild_xla_tensor", Role::unsupported_tensor},
};
// clang-format on

} // namespace

const TorchSymbol* find_torch_symbol(std::string_view module, std::string_view name) {
    if (module == "__builtin__") {
        module = "builtins";
    }
    const auto found = std::find_if(symbols.begin(), symbols.end(), [&](const TorchSymbol& s) {
        return s.name == name && s.module == module;
    });
    return found == symbols.end() ? nullptr : &*found;
}

} // namespace ergo

// SPDX-License-Identifier: GPL-3.0-or-later
// Linear, alone and with what its kernels do along with it. The Push struct mirrors the one in
// shaders/linear.glsl.
#include "engine/backend/vulkan/encoder.h"

#include <algorithm>

namespace ergo::vulkan {

namespace {

/// What the kernel does with a product. The numbers are WITH in shaders/linear.glsl.
enum class With : std::uint32_t { nothing = 0, residual = 1, gate = 2, others = 3 };

struct Push {
    Header header;
    VkDeviceAddress from, weight, bias, to, other, norm;
    std::uint32_t inputs, outputs;
    float eps;
};

/// Mirrors Product in shaders/linear.glsl.
struct Product {
    VkDeviceAddress weight, bias, to;
    std::uint32_t outputs, first, activation, biased;
};

With with(const Products& products) {
    if (products.gate) {
        return With::gate;
    }
    return products.sum ? With::residual : products.linears.size() > 1 ? With::others : With::nothing;
}

BufferId output_of(const Products& products) {
    return products.gate ? products.gate->out : products.sum ? products.sum->out : products.linears[0]->out;
}

/// Several products: their table, and the outputs of all.
void encode_others(Encoder& encoder, const Products& products, Push& push) {
    std::vector<Product> table;
    push.outputs = 0;
    for (const Linear* linear : products.linears) {
        const auto outputs = static_cast<std::uint32_t>(encoder.shape(linear->weight).at(0));
        table.push_back({encoder.matrix(linear->weight).address, encoder.floats(linear->bias),
                         encoder.write(linear->out), outputs, push.outputs,
                         static_cast<std::uint32_t>(linear->activation), static_cast<bool>(linear->bias)});
        push.outputs += outputs;
    }
    push.other = encoder.argument(std::as_bytes(std::span(table)));
}

/// Whether inputs are rounded too, so that the device's integer dot products can be used: the weights are in
/// whole numbers, and 8 bits are enough for the plan.
bool in_whole_numbers(const Encoder& encoder, const Products& products) {
    return encoder.device().dot_products &&
           std::all_of(products.linears.begin(), products.linears.end(), [&](const Linear* linear) {
               const Stored stored = encoder.stored(linear->weight);
               return linear->rounding == Rounding::bits8 && (stored == Stored::q8 || stored == Stored::q4);
           });
}

/// By cooperative matrices where they are used and allowed.
bool encode_matrices(Encoder& encoder, const Products& products, const Push& push,
                     const std::vector<std::uint32_t>& constants) {
    const MatrixKernel* kernel = encoder.matrices();
    const auto splitting = kernel ? splitting_of(encoder.tables(), products.linears) : std::nullopt;
    if (!splitting || !kernel->used[static_cast<std::size_t>(*splitting)]) {
        return false;
    }
    std::vector<std::uint32_t> all = constants;
    const auto own = kernel->constants(*splitting, products.gate != nullptr);
    all.insert(all.end(), own.begin(), own.end());
    encoder.dispatch(kernel->shader, std::move(all), push,
                     {Groups::cover(push.outputs, 64), Groups::rows(64), Groups::fixed(1)});
    return true;
}

} // namespace

void encode(Encoder& encoder, const Linear& op) {
    encode(encoder, Products{nullptr, {&op}, nullptr, nullptr});
}

void encode(Encoder& encoder, const Products& products) {
    const Linear& first = *products.linears[0];
    const With kind = with(products);
    const BufferId in = products.norm ? products.norm->in : first.in, out = output_of(products);
    const Shape& shape = encoder.shape(first.weight);
    const Stored stored = encoder.stored(first.weight);
    Push push{};
    push.header = encoder.header({out, in, kind == With::residual ? products.sum->residual : BufferId{}});
    push.from = encoder.read(in);
    push.inputs = static_cast<std::uint32_t>(shape.at(1));
    if (products.norm) {
        push.norm = encoder.floats(products.norm->weight);
        push.eps = products.norm->eps;
    }
    if (kind == With::others) {
        encode_others(encoder, products, push);
    } else {
        push.weight = encoder.matrix(first.weight).address;
        push.bias = encoder.floats(first.bias);
        push.to = encoder.write(out);
        push.outputs = static_cast<std::uint32_t>(shape.at(0));
    }
    if (kind == With::residual) {
        push.other = encoder.read(products.sum->residual);
    } else if (kind == With::gate) {
        push.other = encoder.matrix(products.linears[1]->weight).address;
    }
    const std::uint64_t products_a_row = std::uint64_t{push.outputs} * (kind == With::gate ? 2 : 1);
    encoder.use().operations_a_row += 2 * products_a_row * push.inputs;
    encoder.use().last_row = encoder.is_last_row(out);
    const Activation activation = products.gate ? products.gate->activation : first.activation;
    const std::vector<std::uint32_t> constants{0,
                                               static_cast<std::uint32_t>(stored),
                                               static_cast<std::uint32_t>(activation),
                                               static_cast<bool>(first.bias),
                                               push.inputs % 4 == 0,
                                               static_cast<std::uint32_t>(kind),
                                               products.norm != nullptr};
    if (encoder.plan().max_rows == 1 || encoder.is_last_row(out)) {
        // One subgroup an output; a group of 128 invocations loops over what is left.
        const std::uint64_t outputs = std::max(1u, 128 / std::max(1u, encoder.device().subgroup_size));
        const std::uint64_t groups = std::min<std::uint64_t>((push.outputs + outputs - 1) / outputs, 65535);
        encoder.dispatch("matvec", constants, push,
                         {Groups::fixed(groups), encoder.row_groups(out), Groups::fixed(1)});
    } else if (!encode_matrices(encoder, products, push, constants)) {
        encoder.dispatch(in_whole_numbers(encoder, products) ? "matmul_dot" : "matmul", constants, push,
                         {Groups::cover(push.outputs, 64), Groups::rows(32), Groups::fixed(1)});
    }
}

} // namespace ergo::vulkan

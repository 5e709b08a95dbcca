// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/checkpoint/pickle.h"

#include "engine/base/utf8.h"
#include "engine/checkpoint/little_endian.h"
#include "engine/checkpoint/pickle_values.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <unordered_map>

namespace ergo {

namespace {

using Form = TorchNode::Sequence::Form;

constexpr std::size_t max_values = 8'000'000; // on the stack, and in the memo
constexpr std::uint64_t max_text = 16 << 20;
constexpr std::uint64_t max_line = 1000; // of a module's or symbol's name

struct ForbiddenOpcode {
    unsigned char code;
    std::string_view name;
};

// Known, and never run: what builds objects by running code, what nothing of ours needs, and the text forms
// of protocols 0 and 1.
constexpr std::array forbidden{
    ForbiddenOpcode{0x69, "INST"},
    ForbiddenOpcode{0x6f, "OBJ"},
    ForbiddenOpcode{0x82, "EXT1"},
    ForbiddenOpcode{0x83, "EXT2"},
    ForbiddenOpcode{0x84, "EXT4"},
    ForbiddenOpcode{0x50, "PERSID"},
    ForbiddenOpcode{0x92, "NEWOBJ_EX"},
    ForbiddenOpcode{0x97, "NEXT_BUFFER"},
    ForbiddenOpcode{0x98, "READONLY_BUFFER"},
    ForbiddenOpcode{0x30, "POP"},
    ForbiddenOpcode{0x31, "POP_MARK"},
    ForbiddenOpcode{0x32, "DUP"},
    ForbiddenOpcode{0x49, "INT"},
    ForbiddenOpcode{0x4c, "LONG"},
    ForbiddenOpcode{0x8b, "LONG4"},
    ForbiddenOpcode{0x46, "FLOAT"},
    ForbiddenOpcode{0x53, "STRING"},
    ForbiddenOpcode{0x54, "BINSTRING"},
    ForbiddenOpcode{0x56, "UNICODE"},
    ForbiddenOpcode{0x8d, "BINUNICODE8"},
    ForbiddenOpcode{0x70, "PUT"},
    ForbiddenOpcode{0x67, "GET"},
    ForbiddenOpcode{0x6c, "LIST"},
    ForbiddenOpcode{0x64, "DICT"},
    ForbiddenOpcode{0x91, "FROZENSET"},
};

class Machine {
  public:
    Machine(std::span<const std::byte> text, PickleHost& host, ReadingBudget& budget)
        : text_(text), host_(host), budget_(budget) {}

    TorchValue run() {
        if (text_.size() < 2 || take<std::uint8_t>() != 0x80) {
            throw PickleProblem{"PT-PROTOCOL", "the pickle does not begin with its protocol number."};
        }
        set_protocol();
        while (true) {
            started_ = at_;
            const auto code = take<std::uint8_t>();
            if (code == 0x2e) {
                return finish();
            }
            if (!constant(code) && !text(code) && !container(code) && !memo(code) && !object(code)) {
                refuse(code);
            }
        }
    }

    /// Of the instruction that was running.
    std::uint64_t position() const { return started_; }

  private:
    template <class Integer> Integer take() {
        need(sizeof(Integer));
        const auto value = little_endian<Integer>(text_, at_);
        at_ += sizeof(Integer);
        return value;
    }

    void need(std::uint64_t size) const {
        if (size > text_.size() - at_) {
            malformed_pickle("the pickle ends inside an instruction that needs " + std::to_string(size) +
                             " more bytes; " + std::to_string(text_.size() - at_) + " are left.");
        }
    }

    std::string take_text(std::uint64_t size) {
        if (size > max_text) {
            malformed_pickle("a text has " + std::to_string(size) + " bytes; at most " +
                             std::to_string(max_text) + " are read.");
        }
        need(size);
        std::string out(reinterpret_cast<const char*>(text_.data()) + at_, size);
        at_ += size;
        return out;
    }

    std::string take_line() {
        std::string line;
        for (char c; (c = static_cast<char>(take<std::uint8_t>())) != '\n'; line += c) {
            if (line.size() >= max_line) {
                malformed_pickle("a symbol's name has more than " + std::to_string(max_line) + " bytes.");
            }
        }
        return line;
    }

    [[noreturn]] static void refuse(std::uint8_t code) {
        const auto known = std::find_if(forbidden.begin(), forbidden.end(),
                                        [code](const ForbiddenOpcode& f) { return f.code == code; });
        std::array<char, 8> hex{};
        std::snprintf(hex.data(), hex.size(), "0x%02X", static_cast<unsigned>(code));
        malformed_pickle(known == forbidden.end()
                             ? "there is no pickle instruction " + std::string(hex.data()) + "."
                             : "the pickle instruction " + std::string(known->name) + " (" + hex.data() +
                                   ") is not among those that build plain data; nothing was run.");
    }

    void set_protocol() {
        const auto protocol = take<std::uint8_t>();
        if (protocol < 2 || protocol > 5) {
            throw PickleProblem{"PT-PROTOCOL", "the pickle has protocol " + std::to_string(protocol) +
                                                   "; protocols 2 to 5 are read."};
        }
    }

    TorchValue finish() {
        if (stack_.size() != 1 || !marks_.empty()) {
            malformed_pickle("the pickle ends with " + std::to_string(stack_.size()) +
                             " values on the stack instead of 1.");
        }
        if (at_ != text_.size()) {
            malformed_pickle(std::to_string(text_.size() - at_) + " bytes follow the end of the pickle.");
        }
        seal(stack_[0]);
        return std::move(stack_[0]);
    }

    // The stack. A mark bounds it below: nothing pops through a mark.

    void push(TorchValue value) {
        if (stack_.size() >= max_values) {
            malformed_pickle("more than " + std::to_string(max_values) + " values lie on the stack.");
        }
        stack_.push_back(std::move(value));
        if (stack_.size() > highest_) {
            highest_ = stack_.size();
            budget_.take(2 * sizeof(TorchValue)); // a vector may have twice its size
        }
    }

    std::size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }

    TorchValue& top() {
        if (stack_.size() <= floor()) {
            malformed_pickle("an instruction needs a value and the stack has none.");
        }
        return stack_.back();
    }

    TorchValue pop() {
        TorchValue value = std::move(top());
        stack_.pop_back();
        return value;
    }

    TorchValue::Items pop_items(std::size_t count) {
        if (stack_.size() - floor() < count) {
            malformed_pickle("an instruction needs " + std::to_string(count) + " values and the stack has " +
                             std::to_string(stack_.size() - floor()) + ".");
        }
        const auto first = stack_.end() - static_cast<std::ptrdiff_t>(count);
        TorchValue::Items items(std::make_move_iterator(first), std::make_move_iterator(stack_.end()));
        stack_.erase(first, stack_.end());
        return items;
    }

    TorchValue::Items pop_to_mark() {
        if (marks_.empty()) {
            malformed_pickle("an instruction needs a mark and there is none.");
        }
        TorchValue::Items items = pop_items(stack_.size() - marks_.back());
        marks_.pop_back();
        return items;
    }

    // The groups of instructions; each returns false for a code of another group.

    bool constant(std::uint8_t code) {
        switch (code) {
        case 0x80:
            set_protocol();
            return true;
        case 0x95: // FRAME: its length is a hint for buffering
            if (take<std::uint64_t>() > text_.size() - at_) {
                malformed_pickle("a frame reaches beyond the end of the pickle.");
            }
            return true;
        case 0x4e:
            push(TorchValue());
            return true;
        case 0x88:
        case 0x89:
            push(TorchValue(code == 0x88));
            return true;
        case 0x4a:
            push(TorchValue(std::int64_t{take<std::int32_t>()}));
            return true;
        case 0x4b:
            push(TorchValue(std::int64_t{take<std::uint8_t>()}));
            return true;
        case 0x4d:
            push(TorchValue(std::int64_t{take<std::uint16_t>()}));
            return true;
        case 0x8a:
            push(TorchValue(take_long()));
            return true;
        case 0x47: { // big-endian
            need(8);
            std::uint64_t bits = 0;
            for (int i = 0; i < 8; ++i) {
                bits = bits << 8 | take<std::uint8_t>();
            }
            push(TorchValue(std::bit_cast<double>(bits)));
            return true;
        }
        default:
            return false;
        }
    }

    std::int64_t take_long() {
        const std::uint64_t size = take<std::uint8_t>();
        if (size > 8) {
            malformed_pickle("an integer has " + std::to_string(size) + " bytes; at most 8 are read.");
        }
        need(size);
        std::uint64_t value = 0;
        for (std::uint64_t i = 0; i < size; ++i) {
            value |= std::uint64_t{take<std::uint8_t>()} << (8 * i);
        }
        const bool negative = size > 0 && value >> (8 * size - 1) & 1;
        return static_cast<std::int64_t>(negative && size < 8 ? value | ~std::uint64_t{0} << (8 * size)
                                                              : value);
    }

    bool text(std::uint8_t code) {
        switch (code) {
        case 0x58: // BINUNICODE
            push_text(take_text(take<std::uint32_t>()));
            return true;
        case 0x8c: // SHORT_BINUNICODE
            push_text(take_text(take<std::uint8_t>()));
            return true;
        case 0x55: { // SHORT_BINSTRING: the text type of old writers, in no stated encoding
            std::string bytes = take_text(take<std::uint8_t>());
            push(is_valid_utf8(bytes) ? make_text(std::move(bytes), budget_)
                                      : make_bytes(std::move(bytes), budget_));
            return true;
        }
        case 0x42: // BINBYTES
            push(make_bytes(take_text(take<std::uint32_t>()), budget_));
            return true;
        case 0x43: // SHORT_BINBYTES
            push(make_bytes(take_text(take<std::uint8_t>()), budget_));
            return true;
        case 0x8e: // BINBYTES8
        case 0x96: // BYTEARRAY8
            push(make_bytes(take_text(take<std::uint64_t>()), budget_));
            return true;
        default:
            return false;
        }
    }

    void push_text(std::string value) {
        if (!is_valid_utf8(value)) {
            malformed_pickle("a text is not valid UTF-8.");
        }
        push(make_text(std::move(value), budget_));
    }

    bool container(std::uint8_t code) {
        switch (code) {
        case 0x28: // MARK
            if (marks_.size() >= max_values) {
                malformed_pickle("more than " + std::to_string(max_values) + " marks are open.");
            }
            budget_.take(2 * sizeof(std::size_t));
            marks_.push_back(stack_.size());
            return true;
        case 0x29: // EMPTY_TUPLE
        case 0x85: // TUPLE1 … TUPLE3
        case 0x86:
        case 0x87:
            push(make_sequence(Form::tuple, pop_items(code == 0x29 ? 0 : code - 0x84u), budget_));
            return true;
        case 0x74: // TUPLE
            push(make_sequence(Form::tuple, pop_to_mark(), budget_));
            return true;
        case 0x5d:
            push(make_sequence(Form::list, {}, budget_));
            return true;
        case 0x8f:
            push(make_sequence(Form::set, {}, budget_));
            return true;
        case 0x7d:
            push(make_map(budget_));
            return true;
        case 0x61: // APPEND
            append(pop_items(1), Form::list);
            return true;
        case 0x65: // APPENDS
            append(pop_to_mark(), Form::list);
            return true;
        case 0x90: // ADDITEMS
            append(pop_to_mark(), Form::set);
            return true;
        case 0x73: // SETITEM
            set_items(pop_items(2));
            return true;
        case 0x75: // SETITEMS
            set_items(pop_to_mark());
            return true;
        default:
            return false;
        }
    }

    void append(TorchValue::Items items, Form form) {
        TorchNode* node = top().node();
        auto* sequence = node ? std::get_if<TorchNode::Sequence>(&node->content) : nullptr;
        if (!sequence || sequence->form != form) {
            malformed_pickle("values are added to " + top().describe() + ", which is not a " +
                             (form == Form::list ? "list." : "set."));
        }
        for (TorchValue& item : items) {
            if (form == Form::set) {
                require_hash(item);
            }
            put_into(*node, item);
            budget_.take(2 * sizeof(TorchValue));
            sequence->items.push_back(std::move(item));
        }
    }

    void set_items(TorchValue::Items items) {
        TorchNode* node = top().node();
        auto* map = node ? std::get_if<TorchNode::Map>(&node->content) : nullptr;
        if (!map || items.size() % 2 != 0) {
            malformed_pickle(map ? "a key has no value."
                                 : "a key is set in " + top().describe() + ", which is no map.");
        }
        for (std::size_t i = 0; i < items.size(); i += 2) {
            require_hash(items[i]);
            put_into(*node, items[i]);
            put_into(*node, items[i + 1]);
            budget_.take(4 * sizeof(TorchValue));
            map->emplace_back(std::move(items[i]), std::move(items[i + 1]));
        }
    }

    bool memo(std::uint8_t code) {
        switch (code) {
        case 0x71: // BINPUT
            remember(take<std::uint8_t>());
            return true;
        case 0x72: // LONG_BINPUT
            remember(take<std::uint32_t>());
            return true;
        case 0x94: // MEMOIZE
            remember(static_cast<std::uint32_t>(memo_.size()));
            return true;
        case 0x68: // BINGET
            recall(take<std::uint8_t>());
            return true;
        case 0x6a: // LONG_BINGET
            recall(take<std::uint32_t>());
            return true;
        default:
            return false;
        }
    }

    void remember(std::uint32_t slot) {
        if (slot < memo_.size()) {
            memo_[slot] = top();
            return;
        }
        if (memo_.size() + far_memo_.size() >= max_values) {
            malformed_pickle("more than " + std::to_string(max_values) + " values are remembered.");
        }
        if (slot == memo_.size()) { // as writers number them
            budget_.take(2 * sizeof(TorchValue));
            memo_.push_back(top());
        } else {
            budget_.take(4 * sizeof(TorchValue));
            far_memo_[slot] = top();
        }
    }

    void recall(std::uint32_t slot) {
        if (slot < memo_.size()) {
            push(memo_[slot]);
            return;
        }
        const auto far = far_memo_.find(slot);
        if (far == far_memo_.end()) {
            malformed_pickle("value " + std::to_string(slot) + " is recalled before it was remembered.");
        }
        push(far->second);
    }

    bool object(std::uint8_t code) {
        switch (code) {
        case 0x63: { // GLOBAL
            const std::string module = take_line();
            push(TorchValue(host_.symbol(module, take_line())));
            return true;
        }
        case 0x93: { // STACK_GLOBAL
            const TorchValue name = pop(), module = pop();
            if (!name.text() || !module.text()) {
                malformed_pickle("a symbol is named by " + (name.text() ? module : name).describe() + ".");
            }
            push(TorchValue(host_.symbol(*module.text(), *name.text())));
            return true;
        }
        case 0x52:   // REDUCE
        case 0x81: { // NEWOBJ
            const TorchValue arguments = pop(), symbol = pop();
            const auto* tuple =
                arguments.node() ? std::get_if<TorchNode::Sequence>(&arguments.node()->content) : nullptr;
            if (!symbol.symbol() || !tuple || tuple->form != Form::tuple) {
                malformed_pickle("an object is built from " + symbol.describe() + " and " +
                                 arguments.describe() + ".");
            }
            push(host_.call(*symbol.symbol(), tuple->items));
            return true;
        }
        case 0x62: { // BUILD: a map's extra attributes are dropped
            const TorchValue state = pop();
            if (!top().map()) {
                throw PickleProblem{
                    "PT-OBJECT", "attributes are given to " + top().describe() + "; only plain data is read.",
                    "Save a state dict instead of whole objects."};
            }
            return true;
        }
        case 0x51: { // BINPERSID
            const TorchValue id = pop();
            push(host_.persistent(id));
            return true;
        }
        default:
            return false;
        }
    }

    std::span<const std::byte> text_;
    PickleHost& host_;
    ReadingBudget& budget_;
    std::uint64_t at_ = 0, started_ = 0;
    TorchValue::Items stack_, memo_;
    std::vector<std::size_t> marks_; // heights of the stack
    std::size_t highest_ = 0;
    std::unordered_map<std::uint32_t, TorchValue> far_memo_; // slots that were not given out in order
};

} // namespace

TorchValue read_pickle(std::span<const std::byte> text, std::uint64_t offset, const std::string& file_name,
                       PickleHost& host, ReadingBudget& budget) {
    Machine machine(text, host, budget);
    try {
        return machine.run();
    } catch (const PickleProblem& problem) {
        throw Error(problem.kind, problem.what,
                    {.code = problem.code,
                     .file = file_name,
                     .offset = offset + machine.position(),
                     .advice = problem.advice});
    }
}

} // namespace ergo

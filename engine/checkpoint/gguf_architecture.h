// SPDX-License-Identifier: GPL-3.0-or-later
// What a GGUF file's own names mean: tensors under their usual checkpoint names, and the config.json its
// metadata stands for. Architectures are data (resources/gguf). Internal to this floor. Immutable, any
// thread.
#pragma once

#include "engine/checkpoint/gguf.h"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace ergo {

class GgufArchitecture {
  public:
    /// The architecture the metadata names. Throws Error(format, F-CONFIG-MISSING) when it names none,
    /// Error(unsupported, F-ARCH) when it is not known or the file is no model (an adapter …).
    static GgufArchitecture of(const TypedMetadata& metadata);
    /// From a file such as those in resources/gguf. Throws Error(format, F-JSON or F-CONFIG-VALUE).
    static GgufArchitecture parse(std::string_view json, const std::string& file_name);

    /// A known one by its name ("qwen2"). Throws Error(unsupported, F-ARCH).
    static GgufArchitecture named(std::string_view name);

    /// The other way round: a checkpoint's tensor in a GGUF file. Throws Error(unsupported, F-ARCH) for a
    /// name that the architecture has no place for.
    std::string gguf_name(std::string_view checkpoint_name) const;
    /// Metadata that stands for a config.json, as config_json reads it. Throws Error(mismatch) with
    /// F-CONFIG-MISSING or F-CONFIG-VALUE.
    std::vector<std::pair<std::string, GgufValue>> metadata_of(std::string_view config_json) const;

    /// Name of a tensor in a checkpoint; its own when the architecture does not know it.
    std::string checkpoint_name(std::string_view gguf_name) const;
    /// Text of a config.json. `parts` are all files of the model, the first with the metadata. Throws
    /// Error(format) with F-CONFIG-MISSING, F-CONFIG-VALUE, or GG-TOKENIZER when there are more or fewer
    /// tokens than rows in the embedding.
    std::string config_json(const std::vector<GgufFile>& parts) const;

  private:
    struct Member {
        enum class Kind { value, integer, number, text, rows, absent };
        std::string name;
        Kind kind = Kind::value;
        std::string source; ///< JSON text of a value, else the metadata key or the tensor
        std::string unless;
        bool optional = false;
    };
    std::string name_;
    std::map<std::string, std::string, std::less<>> names_;
    std::string vocabulary_;
    std::vector<Member> members_;
};

} // namespace ergo

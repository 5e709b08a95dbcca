// SPDX-License-Identifier: GPL-3.0-or-later
// Schemas: data files that say which tensors a model family stores, under which names, with which shapes, and
// which role each plays. Families are files here, not code. Immutable after creation, any thread. The file
// format is described in resources/schemas/README.md.
#pragma once

#include "engine/base/error.h"
#include "engine/checkpoint/expression.h"
#include "engine/tensor/tensor.h"

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ergo {

/// One tensor a configuration claims.
struct SchemaTensor {
    std::string name; ///< in the checkpoint: "model.layers.0.metric_attention.q_proj.weight"
    Shape shape;
    std::string role;      ///< what the model code asks for: "layers.0.mha.q.weight"
    std::string component; ///< line of the parameter budget: "blocks"
};

class Schema {
  public:
    /// `bases`: schemas that the file may extend. Throws Error(format) with code F-JSON or SCHEMA-FORMAT.
    static Schema parse(std::string_view json, const std::string& file_name,
                        const std::vector<Schema>& bases = {});

    const std::string& name() const { return name_; }     ///< "moa-2026"
    const std::string& family() const { return family_; } ///< "moa"
    const std::string& title() const { return title_; }   ///< one line for a list
    /// The knobs this schema sets (its preset); those not listed keep the family's defaults.
    const Variables& knobs() const { return knobs_; }

    /// Every stored tensor, in checkpoint order. `variables`: configuration keys and knobs; one that is
    /// absent takes the schema's knob, then the schema's default; a null of the configuration is simply left
    /// out. Throws Error(usage) SCHEMA-EXPRESSION, SCHEMA-VALUE (a knob outside its choices) or SCHEMA-SIZE.
    std::vector<SchemaTensor> expand(const Variables& variables) const;

    struct Table;

  private:
    std::string name_, family_, title_;
    Variables knobs_;
    std::shared_ptr<const Table> table_;
};

/// The schemas compiled into the program, sorted by name; *.json files of `user_folder` (may be empty or
/// absent) are added and replace those of the same name. A user file that is wrong is an Error naming it:
/// thrown, or put into `faulty` where that is given, and the others are read.
std::vector<Schema> builtin_schemas(const std::filesystem::path& user_folder = {},
                                    std::vector<Error>* faulty = nullptr);

/// Where a person's own schemas lie: ergosphere/schemas in the folder for configurations ($XDG_CONFIG_HOME,
/// else
/// ~/.config); empty when there is none.
std::filesystem::path user_schema_folder();
/// `folder` as it is; throws Error(io, F-IO) when it is no folder.
std::filesystem::path checked_schema_folder(const std::filesystem::path& folder);

/// The schema of that name. Throws Error(usage) listing the names there are.
const Schema& find_schema(const std::vector<Schema>& schemas, const std::string& name);

} // namespace ergo

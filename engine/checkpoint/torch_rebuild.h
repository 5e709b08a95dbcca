// SPDX-License-Identifier: GPL-3.0-or-later
// Gives the symbols of a PyTorch pickle their meaning: maps, storages, tensors. Internal to this floor; one
// thread.
#pragma once

#include "engine/checkpoint/pickle.h"
#include "engine/checkpoint/zip_archive.h"

#include <map>
#include <memory>
#include <string>

namespace ergo {

class TorchRebuilder final : public PickleHost {
  public:
    /// Storages are the members `folder` + "data/" + key of `archive`, kept alive by `owner`.
    TorchRebuilder(const ZipArchive& archive, std::string folder, bool big_endian,
                   std::shared_ptr<const void> owner, ReadingBudget& budget)
        : archive_(archive), folder_(std::move(folder)), big_endian_(big_endian), owner_(std::move(owner)),
          budget_(budget) {}

    const TorchSymbol* symbol(std::string_view module, std::string_view name) override;
    TorchValue call(const TorchSymbol& symbol, const TorchValue::Items& arguments) override;
    TorchValue persistent(const TorchValue& id) override;

    /// The archive's members that serve as storages, by key.
    const std::map<std::string, const ZipMember*>& used() const { return used_; }

  private:
    TorchValue plain_call(const TorchSymbol& symbol, const TorchValue::Items& arguments);
    TorchValue tensor_call(const TorchSymbol& symbol, const TorchValue::Items& arguments);
    TorchValue parameter(const TorchSymbol& symbol, const TorchValue::Items& arguments) const;
    TorchValue from_type(const TorchValue::Items& arguments);
    TorchValue make_tensor(const TorchValue::Storage& storage, const TorchSymbol& type,
                           const TorchValue& offset, const TorchValue& size, const TorchValue& stride);

    const ZipArchive& archive_;
    std::string folder_;
    bool big_endian_;
    std::shared_ptr<const void> owner_;
    ReadingBudget& budget_;
    std::map<std::string, const ZipMember*> used_;
    std::map<std::string, TorchValue> storages_;
};

} // namespace ergo

// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/figure/figure_file.h"

#include "engine/base/error.h"

#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>

#include <cmath>
#include <cstring>
#include <type_traits>

namespace ergosphere {

namespace {

constexpr const char* member = "figure";
constexpr const char* format_name = "ergosphere-figure";
constexpr int newest_version = 1;
constexpr std::uint64_t largest_file = std::uint64_t{4} << 30;

using Arrays = std::vector<std::pair<std::string, ergo::NpyArray>>;

[[noreturn]] void wrong(const QString& what) {
    throw ergo::Error(ergo::ErrorKind::format, ("The figure file is damaged: " + what + ".").toStdString(),
                      {.code = "FIG-FILE", .advice = "Export the figure again."});
}

/// Takes a figure apart: texts and numbers into JSON, matrices into arrays.
class Writer {
  public:
    explicit Writer(Arrays& arrays, QString prefix = {}) : arrays_(arrays), prefix_(std::move(prefix)) {}
    QJsonObject json;

    void operator()(const char* name, const QString& text) { json[QLatin1String(name)] = text; }
    void operator()(const char* name, const QStringList& texts) {
        json[QLatin1String(name)] = QJsonArray::fromStringList(texts);
    }
    void operator()(const char* name, const QVector<int>& numbers) {
        QJsonArray list;
        for (const int number : numbers) {
            list.append(number);
        }
        json[QLatin1String(name)] = list;
    }
    void operator()(const char* name, const qint64& number) { json[QLatin1String(name)] = number; }
    void operator()(const char* name, const int& number) { json[QLatin1String(name)] = number; }
    void operator()(const char* name, const double& number) { json[QLatin1String(name)] = number; }
    void operator()(const char* name, const std::optional<double>& number) {
        json[QLatin1String(name)] = number ? QJsonValue(*number) : QJsonValue();
    }
    void operator()(const char* name, const std::vector<float>& values) {
        arrays_.emplace_back(
            key(name), ergo::NpyArray::from({static_cast<std::int64_t>(values.size())}, std::span(values)));
    }
    void operator()(const char* name, const Matrix& matrix) {
        arrays_.emplace_back(key(name),
                             ergo::NpyArray::from({matrix.rows, matrix.columns}, std::span(matrix.values)));
    }
    template <class Part>
    requires std::is_class_v<Part>
    void operator()(const char* name, std::vector<Part>& parts) {
        QJsonArray list;
        for (std::size_t i = 0; i < parts.size(); ++i) {
            Writer inner(arrays_, QStringLiteral("%1%2.%3.").arg(prefix_, QLatin1String(name)).arg(i));
            fields(inner, parts[i]);
            list.append(inner.json);
        }
        json[QLatin1String(name)] = list;
    }

  private:
    std::string key(const char* name) const { return (prefix_ + QLatin1String(name)).toStdString(); }
    Arrays& arrays_;
    QString prefix_;
};

/// Puts it together again. What is absent stays as it is by default; what is there must have the right type.
class Reader {
  public:
    Reader(const TraceArrays& arrays, QJsonObject object, QString prefix = {})
        : arrays_(arrays), json_(std::move(object)), prefix_(std::move(prefix)) {}

    void operator()(const char* name, QString& text) {
        if (const QJsonValue value = find(name); !value.isUndefined()) {
            require(value.isString(), name, "a text");
            text = value.toString();
        }
    }
    void operator()(const char* name, QStringList& texts) {
        texts.clear();
        for (const QJsonValue& value : list(name)) {
            require(value.isString(), name, "a list of texts");
            texts.append(value.toString());
        }
    }
    void operator()(const char* name, QVector<int>& numbers) {
        numbers.clear();
        for (const QJsonValue& value : list(name)) {
            require(value.isDouble() && std::abs(value.toDouble()) <= 2e9, name, "a list of numbers");
            numbers.append(value.toInt());
        }
    }
    void operator()(const char* name, qint64& number) {
        number = static_cast<qint64>(real(name, 9e15, number));
    }
    void operator()(const char* name, int& number) { number = static_cast<int>(real(name, 2e9, number)); }
    void operator()(const char* name, double& number) { number = real(name, 1e300, number); }
    void operator()(const char* name, std::optional<double>& number) {
        const QJsonValue value = find(name);
        number = value.isUndefined() || value.isNull() ? std::nullopt : std::optional(real(name, 1e300, 0));
    }
    void operator()(const char* name, std::vector<float>& values) { values = floats(array(name), name); }
    void operator()(const char* name, Matrix& matrix) {
        const ergo::NpyArray& stored = array(name);
        constexpr std::int64_t most = std::int64_t{1} << 24;
        require(stored.shape.size() == 2 && stored.shape[0] <= most && stored.shape[1] <= most, name,
                "a matrix");
        matrix.rows = static_cast<int>(stored.shape[0]);
        matrix.columns = static_cast<int>(stored.shape[1]);
        matrix.values = floats(stored, name);
    }
    template <class Part>
    requires std::is_class_v<Part>
    void operator()(const char* name, std::vector<Part>& parts) {
        const QJsonArray stored = list(name);
        parts.assign(static_cast<std::size_t>(stored.size()), Part{});
        for (qsizetype i = 0; i < stored.size(); ++i) {
            Reader inner(arrays_, stored[i].toObject(),
                         QStringLiteral("%1%2.%3.").arg(prefix_, QLatin1String(name)).arg(i));
            fields(inner, parts[static_cast<std::size_t>(i)]);
        }
    }

  private:
    QJsonValue find(const char* name) const { return json_.value(QLatin1String(name)); }
    void require(bool holds, const char* name, const char* wanted) const {
        if (!holds) {
            wrong(QStringLiteral("\"%1%2\" is not %3")
                      .arg(prefix_, QLatin1String(name), QLatin1String(wanted)));
        }
    }
    QJsonArray list(const char* name) const {
        require(find(name).isArray(), name, "a list");
        return find(name).toArray();
    }
    double real(const char* name, double limit, double otherwise) const {
        const QJsonValue value = find(name);
        if (value.isUndefined()) {
            return otherwise;
        }
        require(value.isDouble() && std::abs(value.toDouble()) <= limit, name, "a number");
        return value.toDouble();
    }
    const ergo::NpyArray& array(const char* name) const {
        const auto found = arrays_.find((prefix_ + QLatin1String(name)).toStdString());
        if (found == arrays_.end()) {
            wrong(QStringLiteral("the array \"%1%2\" is missing").arg(prefix_, QLatin1String(name)));
        }
        return found->second;
    }
    std::vector<float> floats(const ergo::NpyArray& stored, const char* name) const {
        require(stored.descr == "<f4", name, "an array of float32");
        std::vector<float> values(stored.data.size() / sizeof(float));
        if (!values.empty()) {
            std::memcpy(values.data(), stored.data.data(), values.size() * sizeof(float));
        }
        return values;
    }

    const TraceArrays& arrays_;
    QJsonObject json_;
    QString prefix_;
};

// ---- what each figure consists of: one list for writing and reading
// ---------------------------------------------------------------

template <class Archive> void fields(Archive& a, AttentionFigure& f) {
    a("values", f.values);
    a("queries", f.queries);
    a("keys", f.keys);
    a("first_query", f.first_query);
    a("first_key", f.first_key);
    a("place", f.place);
    a("quantity", f.quantity);
    a("unit", f.unit);
}

template <class Archive> void fields(Archive& a, RouterFigure::Layer& layer) {
    a("label", layer.label);
    a("paths", layer.paths);
    a("shares", layer.shares);
}

template <class Archive> void fields(Archive& a, RouterFigure& f) {
    a("layers", f.layers);
    a("tokens", f.tokens);
    a("first", f.first);
}

template <class Archive> void fields(Archive& a, HeadsFigure& f) {
    a("sites", f.sites);
    a("quantity", f.quantity);
    a("unit", f.unit);
    a("values", f.values);
    a("kept", f.kept);
}

template <class Archive> void fields(Archive& a, DepthFigure& f) {
    a("blocks", f.blocks);
    a("sites", f.sites);
    a("layers", f.layers);
    a("weights", f.weights);
    a("place", f.place);
}

template <class Archive> void fields(Archive& a, FigureSpec& s) {
    a("title", s.title);
    a("colormap", s.colormap);
    a("width_mm", s.width_mm);
    a("height_mm", s.height_mm);
    a("dpi", s.dpi);
    a("font_family", s.font_family);
    a("token_family", s.token_family);
    a("font_pt", s.font_pt);
    a("black", s.black);
    a("white", s.white);
    a("provenance", s.provenance);
}

// ---- what must agree before anything is drawn
// -----------------------------------------------------------------

void check(const AttentionFigure& f) {
    if (f.queries.size() != f.values.rows || f.keys.size() != f.values.columns) {
        wrong(QStringLiteral("%1 × %2 values have %3 and %4 tokens")
                  .arg(f.values.rows)
                  .arg(f.values.columns)
                  .arg(f.queries.size())
                  .arg(f.keys.size()));
    }
}

void check(const RouterFigure& f) {
    for (const RouterFigure::Layer& layer : f.layers) {
        if (layer.paths.isEmpty() ||
            static_cast<qsizetype>(layer.shares.size()) != layer.paths.size() * f.tokens.size()) {
            wrong(QStringLiteral("\"%1\" has %2 shares for %3 paths and %4 tokens")
                      .arg(layer.label)
                      .arg(layer.shares.size())
                      .arg(layer.paths.size())
                      .arg(f.tokens.size()));
        }
    }
}

void check(const HeadsFigure& f) {
    if (f.sites.size() != f.values.rows || f.kept.rows != f.values.rows ||
        f.kept.columns != f.values.columns) {
        wrong(QStringLiteral("%1 rows of values have %2 names and %3 rows of shares")
                  .arg(f.values.rows)
                  .arg(f.sites.size())
                  .arg(f.kept.rows));
    }
}

void check(const DepthFigure& f) {
    if (f.blocks.size() != f.weights.rows || f.sites.size() != f.weights.columns ||
        f.layers.size() != f.sites.size()) {
        wrong(QStringLiteral("%1 × %2 depth weights have %3 blocks, %4 sites and %5 layers")
                  .arg(f.weights.rows)
                  .arg(f.weights.columns)
                  .arg(f.blocks.size())
                  .arg(f.sites.size())
                  .arg(f.layers.size()));
    }
}

const char* name_of(const AttentionFigure&) {
    return "attention";
}
const char* name_of(const RouterFigure&) {
    return "router";
}
const char* name_of(const HeadsFigure&) {
    return "heads";
}

const char* name_of(const DepthFigure&) {
    return "depth";
}

/// The alternative whose name is `view`, empty.
template <std::size_t I = 0> FigureData empty_of(const QString& view) {
    if constexpr (I < std::variant_size_v<FigureData>) {
        std::variant_alternative_t<I, FigureData> figure;
        return view == QLatin1String(name_of(figure)) ? FigureData(std::move(figure)) : empty_of<I + 1>(view);
    } else {
        wrong(QStringLiteral("\"%1\" is no view").arg(view.left(40)));
    }
}

} // namespace

QString view_name(const FigureData& data) {
    return std::visit([](const auto& figure) { return QString::fromLatin1(name_of(figure)); }, data);
}

void write_figure_file(const QString& path, const FigureSpec& spec, const FigureData& data) {
    Arrays arrays;
    QJsonObject json{{"format", QLatin1String(format_name)}, {"version", newest_version}};
    FigureSpec look = spec;
    Writer look_writer(arrays);
    fields(look_writer, look);
    json["spec"] = look_writer.json;
    json["view"] = view_name(data);
    Writer writer(arrays);
    FigureData copy = data;
    std::visit([&](auto& figure) { fields(writer, figure); }, copy);
    json["data"] = writer.json;
    const QByteArray text = QJsonDocument(json).toJson(QJsonDocument::Compact);
    const std::span bytes(reinterpret_cast<const std::uint8_t*>(text.constData()),
                          static_cast<std::size_t>(text.size()));
    arrays.emplace(arrays.begin(), member,
                   ergo::NpyArray::from({static_cast<std::int64_t>(text.size())}, bytes));
    ergo::write_npz(path.toStdString(), arrays);
}

bool is_figure_file(const TraceArrays& arrays) {
    const auto found = arrays.find(member);
    return found != arrays.end() && found->second.descr == "|u1";
}

FigureFile figure_from_file(const TraceArrays& arrays) {
    if (!is_figure_file(arrays)) {
        wrong(QStringLiteral("the member \"figure\" is missing"));
    }
    const std::vector<std::byte>& text = arrays.at(member).data;
    const QJsonObject json = QJsonDocument::fromJson(QByteArray(reinterpret_cast<const char*>(text.data()),
                                                                static_cast<qsizetype>(text.size())))
                                 .object();
    if (json["format"].toString() != QLatin1String(format_name)) {
        wrong(QStringLiteral("its description is not that of a figure"));
    }
    if (const int version = json["version"].toInt(); version > newest_version || version < 1) {
        throw ergo::Error(ergo::ErrorKind::unsupported,
                          "The figure was written in version " + std::to_string(version) +
                              " of the format, this program reads version " + std::to_string(newest_version) +
                              ".",
                          {.code = "FIG-VERSION", .advice = "Use a newer Ergosphere."});
    }
    FigureFile file{{}, empty_of(json["view"].toString())};
    Reader look_reader(arrays, json["spec"].toObject());
    fields(look_reader, file.spec);
    Reader reader(arrays, json["data"].toObject());
    std::visit(
        [&](auto& figure) {
            fields(reader, figure);
            check(figure);
        },
        file.data);
    return file;
}

FigureFile read_figure_file(const QString& path) {
    return figure_from_file(ergo::read_npz(path.toStdString(), largest_file));
}

} // namespace ergosphere

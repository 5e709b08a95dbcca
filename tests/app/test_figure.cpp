// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/figure/csv.h"
#include "app/figure/draw.h"
#include "app/figure/export.h"
#include "app/figure/figure_file.h"
#include "app/figure/palette.h"
#include "app/figure/trace_figure.h"
#include "engine/base/error.h"

#include <QDir>
#include <QFile>
#include <QImage>
#include <QRegularExpression>
#include <QTemporaryDir>
#include <QTest>
#include <QXmlStreamReader>

#include <cmath>

using namespace ergosphere;

namespace {

AttentionFigure attention(int n) {
    AttentionFigure figure;
    figure.values = Matrix(n, n);
    const QStringList words = {"The", " cat", " \"sat\"", "\n", "a,b", ""};
    for (int q = 0; q < n; ++q) {
        for (int k = 0; k <= q; ++k) {
            figure.values.at(q, k) = 0.1F + 0.9F * static_cast<float>(k + 1) / static_cast<float>(q + 1);
        }
        figure.queries.append(words[q % words.size()]);
    }
    figure.keys = figure.queries;
    figure.place = QStringLiteral("layer 0 · MetricMH · head 1");
    return figure;
}

RouterFigure router() {
    RouterFigure figure;
    figure.tokens = QStringList{"a", " b", "c"};
    figure.layers.push_back({"layer 0",
                             {"LocalConv", "MetricMH", "ChannelMix", "MetricMQA"},
                             {0.75F, 0, 0.25F, 0, 0, 1, 0, 0, masked, masked, masked, masked}});
    figure.layers.push_back(
        {"HyperFFN", {"SwiGLU", "Convolution", "LowRank"}, {0.5F, 0.5F, 0, 1, 0, 0, 0, 0, 1}});
    return figure;
}

HeadsFigure balls() {
    HeadsFigure figure;
    figure.sites = QStringList{"layer 0 · MetricMH", "layer 0 · MetricMQA"};
    figure.values = Matrix(2, 3);
    figure.kept = Matrix(2, 3);
    figure.values.values = {3.5F, 3.25F, 4, 2.5F, masked, masked};
    figure.kept.values = {1, 0.5F, masked, 0.125F, masked, masked};
    return figure;
}

QByteArray bytes_of(const QString& path) {
    QFile file(path);
    return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
}

/// RFC 4180: fields and lines.
QVector<QStringList> parse_csv(const QString& text) {
    QVector<QStringList> lines;
    QStringList line;
    QString field;
    bool quoted = false;
    for (int i = 0; i < text.size(); ++i) {
        const QChar c = text[i];
        if (quoted) {
            if (c == u'"' && i + 1 < text.size() && text[i + 1] == u'"') {
                field += u'"';
                ++i;
            } else if (c == u'"') {
                quoted = false;
            } else {
                field += c;
            }
        } else if (c == u'"') {
            quoted = true;
        } else if (c == u',') {
            line.append(field);
            field.clear();
        } else if (c == u'\n') {
            line.append(field);
            field.clear();
            lines.append(line);
            line.clear();
        } else if (c != u'\r') {
            field += c;
        }
    }
    return lines;
}

template <class Call> ergo::Error error_of(Call call) {
    try {
        call();
    } catch (const ergo::Error& error) {
        return error;
    }
    return ergo::Error(ergo::ErrorKind::cancelled, "nothing was thrown");
}

/// The page's MediaBox as width and height.
QSizeF media_box(const QByteArray& pdf) {
    static const QRegularExpression form(
        QStringLiteral("/MediaBox \\[([-0-9.]+) ([-0-9.]+) ([-0-9.]+) ([-0-9.]+)"));
    const auto match = form.match(QString::fromLatin1(pdf));
    return {match.captured(3).toDouble() - match.captured(1).toDouble(),
            match.captured(4).toDouble() - match.captured(2).toDouble()};
}

/// Every object stands where the cross-reference table says, and the table where startxref says.
bool references_hold(const QByteArray& pdf) {
    const qsizetype start = pdf.lastIndexOf("startxref\n") + 10;
    const qsizetype table = pdf.mid(start, pdf.indexOf('\n', start) - start).toLongLong();
    if (pdf.mid(table, 5) != "xref\n") {
        return false;
    }
    const QList<QByteArray> lines = pdf.mid(table).split('\n');
    int objects = 0;
    for (int number = 0; number + 2 < lines.size() && !lines[number + 2].startsWith("trailer"); ++number) {
        const QByteArray line = lines[number + 2];
        if (line.size() >= 18 && line[17] == 'n') {
            if (!pdf.mid(line.left(10).toLongLong()).startsWith(QByteArray::number(number) + " 0 obj")) {
                return false;
            }
            ++objects;
        }
    }
    return objects > 5;
}

} // namespace

class TestFigure : public QObject {
    Q_OBJECT

    QTemporaryDir folder_;

  private slots:
    void keptAsNumbersItDrawsTheSame() {
        QTemporaryDir folder;
        FigureSpec spec;
        spec.title = QStringLiteral("„Titel“ · 題");
        spec.black = 0.1;
        spec.white = 1.0 / 3;
        spec.provenance = QStringLiteral("demo, somewhere");
        for (const FigureData& data : {FigureData(attention(7)), FigureData(router()), FigureData(balls())}) {
            spec.colormap = std::holds_alternative<RouterFigure>(data) ? QString() : QStringLiteral("magma");
            const QString path = folder.filePath(view_name(data) + ".npz");
            export_figure(spec, data, path);
            const FigureFile kept = read_figure_file(path);
            QCOMPARE(view_name(kept.data), view_name(data));
            QCOMPARE(kept.spec.white, spec.white);
            for (const QString format : {"pdf", "svg", "png", "csv"}) {
                QVERIFY(render_figure(kept.spec, kept.data, format) == render_figure(spec, data, format));
            }
        }
    }

    void damagedFigureFilesAreRefused() {
        QTemporaryDir folder;
        const QString path = folder.filePath("f.npz");
        write_figure_file(path, {}, attention(3));
        const TraceArrays whole = ergo::read_npz(path.toStdString());
        QVERIFY(is_figure_file(whole));
        const auto describe = [&](const QByteArray& from, const QByteArray& to) {
            TraceArrays changed = whole;
            auto& bytes = changed["figure"].data;
            QByteArray text(reinterpret_cast<const char*>(bytes.data()), qsizetype(bytes.size()));
            if (!text.contains(from)) {
                return std::string("nothing to change");
            }
            text.replace(from, to);
            const auto* begin = reinterpret_cast<const std::byte*>(text.constData());
            bytes.assign(begin, begin + text.size());
            return error_of([&] { figure_from_file(changed); }).where().code;
        };
        QCOMPARE(describe("\"version\":1", "\"version\":2"), std::string("FIG-VERSION"));
        for (const auto& [from, to] : std::initializer_list<std::pair<QByteArray, QByteArray>>{
                 {"ergosphere-figure", "something-else"},
                 {"\"view\":\"attention\"", "\"view\":\"cheese\""},
                 {"\"first_key\":0", "\"first_key\":\"zero\""},
                 {"\"keys\":[", "\"keys\":[\"one more\","},
                 {"{", "["}}) {
            QCOMPARE(describe(from, to), std::string("FIG-FILE"));
        }
        TraceArrays without = whole;
        without.erase("values");
        QCOMPARE(error_of([&] { figure_from_file(without); }).where().code, std::string("FIG-FILE"));
    }

    void lengths() {
        QCOMPARE(parse_length_mm("3.25in"), 3.25 * 25.4);
        QCOMPARE(parse_length_mm(" 89mm "), 89.0);
        QCOMPARE(parse_length_mm("8.9 cm"), 89.0);
        QCOMPARE(parse_length_mm("72pt"), 25.4);
        QCOMPARE(parse_length_mm("120"), 120.0);
        for (const char* bad : {"", "in", "-3mm", "1e9mm", "3 inches", "nan", "３mm"}) {
            QVERIFY2(error_of([&] { parse_length_mm(bad); }).kind() == ergo::ErrorKind::usage, bad);
        }
    }

    void tokens_are_visible() {
        QCOMPARE(visible_token(" a b"), QStringLiteral("·a·b"));
        QCOMPARE(visible_token("\n\t"), QStringLiteral("↵⇥"));
        QCOMPARE(visible_token(""), QStringLiteral("∅"));
        QCOMPARE(visible_token(QStringLiteral("\u202Eabc")), QStringLiteral("\\u202eabc"));
        QCOMPARE(visible_token(QString(500, u'x'), 3), QStringLiteral("xxx…"));
        QCOMPARE(visible_token(QStringLiteral("日本"), 12), QStringLiteral("日本"));
    }

    void pdf_has_the_size_asked_for_data() {
        QTest::addColumn<double>("width");
        QTest::addColumn<double>("height");
        QTest::newRow("column in inches") << 3.25 * 25.4 << 60.0;
        QTest::newRow("column in millimetres") << 89.0 << 89.0;
        QTest::newRow("free height") << 183.0 << 0.0;
    }
    void pdf_has_the_size_asked_for() {
        QFETCH(double, width);
        QFETCH(double, height);
        FigureSpec spec;
        spec.width_mm = width;
        spec.height_mm = height;
        const QByteArray pdf = render_figure(spec, attention(20), "pdf");
        QVERIFY(pdf.startsWith("%PDF-1."));
        QVERIFY(std::abs(media_box(pdf).width() - width * 72 / 25.4) < 1e-3);
        if (height > 0) {
            QVERIFY(std::abs(media_box(pdf).height() - height * 72 / 25.4) < 1e-3);
        } else {
            QVERIFY(media_box(pdf).height() > 0.5 * media_box(pdf).width()); // square cells
        }
        QVERIFY(references_hold(pdf));
        QVERIFY2(pdf.contains("/FontFile2"), "fonts must be embedded as TrueType");
    }

    void large_matrices_are_one_lossless_image() {
        FigureSpec spec;
        const QByteArray vector = render_figure(spec, attention(64), "pdf");
        const QByteArray image = render_figure(spec, attention(65), "pdf");
        const auto images = [](const QByteArray& pdf) { return pdf.count("/Subtype /Image"); };
        QVERIFY(images(image) > images(vector));
        QVERIFY(image.contains("/Width 65\n/Height 65"));
        QVERIFY2(!image.contains("/DCTDecode"), "JPEG would invent numbers");
    }

    void svg_is_well_formed() {
        FigureSpec spec;
        spec.title = QStringLiteral("a < b & \"c\" \x01");
        spec.provenance = QStringLiteral("]]> <x>");
        const std::vector<FigureData> figures = {attention(9), attention(80), router(), balls()};
        for (const FigureData& data : figures) {
            const QByteArray svg = render_figure(spec, data, "svg");
            QXmlStreamReader reader(svg);
            QString width;
            while (!reader.atEnd()) {
                if (reader.readNext() == QXmlStreamReader::StartElement &&
                    reader.name() == QLatin1String("svg")) {
                    width = reader.attributes().value("width").toString();
                }
            }
            QVERIFY2(!reader.hasError(), qPrintable(reader.errorString()));
            QCOMPARE(width, QStringLiteral("89.0000mm"));
        }
    }

    void png_has_size_and_resolution() {
        FigureSpec spec;
        spec.width_mm = 3.25 * 25.4;
        spec.height_mm = 2 * 25.4;
        spec.dpi = 600;
        spec.provenance = QStringLiteral("demo:moa, layer 0");
        QImage image;
        QVERIFY(image.loadFromData(render_figure(spec, balls(), "png"), "PNG"));
        QCOMPARE(image.size(), QSize(1950, 1200));
        QCOMPARE(image.dotsPerMeterX(), 23622);
        QCOMPARE(image.dotsPerMeterY(), 23622);
        QCOMPARE(image.text("Description"), spec.provenance);
    }

    void cells_have_the_maps_colours_and_masked_ones_stay_paper() {
        AttentionFigure figure = attention(2);
        figure.values.values = {1, masked, 0, 1};
        FigureSpec spec;
        spec.black = 0;
        spec.white = 1;
        QImage image;
        QVERIFY(image.loadFromData(render_figure(spec, figure, "png"), "PNG"));
        const Colormap& map = Colormap::named("cividis");
        int low = 0, high = 0, paper = 0;
        for (int y = 0; y < image.height(); ++y) {
            for (int x = 0; x < image.width(); ++x) {
                low += image.pixel(x, y) == map.at(0);
                high += image.pixel(x, y) == map.at(255);
                paper += image.pixel(x, y) == qRgb(255, 255, 255);
            }
        }
        QVERIFY(low > 10000);
        QVERIFY(std::abs(high - 2 * low) < 0.1 * high); // two cells to one; the colour bar's ends are small
        QVERIFY(paper > low);
    }

    void same_figure_same_bytes() {
        FigureSpec spec;
        spec.title = QStringLiteral("title");
        const std::vector<FigureData> figures = {attention(30), attention(70), router(), balls()};
        for (const FigureData& data : figures) {
            for (const char* format : {"pdf", "svg", "png", "csv"}) {
                const QByteArray once = render_figure(spec, data, format);
                QTest::qWait(format == QByteArray("pdf") ? 1100 : 0); // a clock inside would show
                QVERIFY2(once == render_figure(spec, data, format), format);
            }
        }
    }

    void csv_round_trip() {
        const AttentionFigure figure = attention(6);
        const auto lines = parse_csv(QString::fromUtf8(to_csv(figure)));
        QCOMPARE(lines.size(), 1 + 21);
        QCOMPARE(lines[0], (QStringList{"query", "query_token", "key", "key_token", "attention"}));
        for (const QStringList& line : lines.mid(1)) {
            QCOMPARE(line.size(), 5);
            const int query = line[0].toInt(), key = line[2].toInt();
            QCOMPARE(line[1], figure.queries[query]);
            QCOMPARE(line[3], figure.keys[key]);
            QCOMPARE(line[4].toFloat(), figure.values.at(query, key)); // every bit
        }
        const auto shares = parse_csv(QString::fromUtf8(to_csv(router())));
        QCOMPARE(shares.size(), 1 + 8 + 9); // the unknown token is left out
        QCOMPARE(shares[1], (QStringList{"layer 0", "0", "a", "LocalConv", "0.75"}));
        const auto radii = parse_csv(QString::fromUtf8(to_csv(balls())));
        QCOMPARE(radii.size(), 1 + 4);
        QCOMPARE(radii[3], (QStringList{"layer 0 · MetricMH", "2", "4", ""}));
    }

    void errors_are_sentences() {
        const FigureSpec good;
        const auto usage = [&](const FigureSpec& spec, const FigureData& data, const QString& path) {
            const ergo::Error error = error_of([&] { export_figure(spec, data, path); });
            return error.kind() == ergo::ErrorKind::usage && error.message().ends_with('.') &&
                   !QFile::exists(path);
        };
        const QString target = folder_.filePath("x.pdf");
        QVERIFY(usage(good, attention(3), folder_.filePath("x.bmp")));
        QVERIFY(usage(good, attention(3), folder_.filePath("x")));
        for (const double width : {0.0, -5.0, 1e9, std::nan("")}) {
            FigureSpec spec;
            spec.width_mm = width;
            QVERIFY(usage(spec, attention(3), target));
        }
        FigureSpec dense;
        dense.width_mm = dense.height_mm = 2000;
        dense.dpi = 2400;
        QVERIFY(usage(dense, balls(), folder_.filePath("x.png")));
        FigureSpec empty_range;
        empty_range.black = 1;
        empty_range.white = 1;
        QVERIFY(usage(empty_range, attention(3), target));
        FigureSpec no_font;
        no_font.font_family = QStringLiteral("\"><script>");
        QVERIFY(usage(no_font, attention(3), target));
        FigureSpec unknown_map;
        unknown_map.colormap = QStringLiteral("jet");
        QVERIFY(usage(unknown_map, attention(3), target));
        QVERIFY(usage(good, AttentionFigure(), target));
        QVERIFY(usage(good, RouterFigure(), target));
        QVERIFY(usage(good, HeadsFigure(), target));
        const ergo::Error unwritable =
            error_of([&] { export_figure(good, attention(3), folder_.filePath("no/such/folder/x.pdf")); });
        QCOMPARE(unwritable.kind(), ergo::ErrorKind::io);
        QCOMPARE(QDir(folder_.path()).entryList(QDir::Files | QDir::Hidden), QStringList());
    }

    void odd_figures_can_be_drawn() {
        FigureSpec small;
        small.width_mm = 10;
        small.height_mm = 10;
        FigureSpec spec;
        AttentionFigure one = attention(1);
        AttentionFigure all_masked = attention(4);
        std::fill(all_masked.values.values.begin(), all_masked.values.values.end(), masked);
        AttentionFigure equal = attention(4);
        for (float& value : equal.values.values) {
            value = std::isnan(value) ? value : 0.25F;
        }
        AttentionFigure infinite = attention(4);
        infinite.values.at(3, 1) = std::numeric_limits<float>::infinity();
        AttentionFigure unlabelled = attention(4);
        unlabelled.keys.clear();
        for (const AttentionFigure& figure : {one, all_masked, equal, infinite, unlabelled}) {
            for (const char* format : {"pdf", "png", "svg", "csv"}) {
                QVERIFY(!render_figure(spec, figure, format).isEmpty());
                QVERIFY(!render_figure(small, figure, format).isEmpty());
            }
        }
        QVERIFY(!render_figure(small, router(), "pdf").isEmpty());
        QVERIFY(!render_figure(small, balls(), "png").isEmpty());
    }

    void files_appear_whole() {
        const QString path = folder_.filePath("figure.svg");
        export_figure(FigureSpec(), balls(), path);
        QCOMPARE(bytes_of(path), render_figure(FigureSpec(), balls(), "svg"));
        QCOMPARE(QDir(folder_.path()).entryList(QDir::Files | QDir::Hidden), QStringList{"figure.svg"});
        QVERIFY(QFile::remove(path));
    }

    void figures_from_a_trace() {
        TraceArrays arrays;
        const std::vector<std::int32_t> ids = {7, 8, 9};
        std::vector<float> weights(2 * 3 * 3, 0.0F); // [heads, n, n], the second head twice the first
        for (std::size_t i = 0; i < 9; ++i) {
            weights[i] = static_cast<float>(i);
            weights[9 + i] = 2 * static_cast<float>(i);
        }
        const std::vector<std::uint8_t> kept = {1, 0, 0, 1, 1, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 0, 1};
        arrays["tokens"] = ergo::NpyArray::from({3}, ids);
        arrays["layers.10.metric_mqa.attention"] = ergo::NpyArray::from({2, 3, 3}, weights);
        arrays["layers.2.metric_attention.attention"] = ergo::NpyArray::from({2, 3, 3}, weights);
        arrays["layers.2.metric_attention.kept"] = ergo::NpyArray::from({2, 3, 3}, kept);
        arrays["layers.2.metric_attention.radius"] = ergo::NpyArray::from({2}, std::vector<float>{3, 4});
        arrays["lm_head.metric_mqa.radius"] = ergo::NpyArray::from({1}, std::vector<float>{2.5F});
        arrays["lm_head.metric_mqa.alpha"] = ergo::NpyArray::from({2}, std::vector<float>{1, 1});
        arrays["layers.2.router.shares"] = ergo::NpyArray::from({3, 4}, std::vector<float>(12, 0.25F));
        arrays["layers.3.hyper_ffn.branches"] = ergo::NpyArray::from({3, 3}, std::vector<float>(9, 0.5F));

        TraceQuery query;
        query.view = "attention";
        const auto mean = std::get<AttentionFigure>(figure_from_trace(arrays, query));
        QCOMPARE(mean.place, QStringLiteral("layer 2 · MetricMH · all heads")); // 2 before 10
        QCOMPARE(mean.queries, (QStringList{"7", "8", "9"}));
        QCOMPARE(mean.values.at(2, 1), 1.5F * 7);
        QVERIFY(std::isnan(mean.values.at(0, 1)));
        query.stage = "layers.10";
        query.head = 1;
        const auto head = std::get<AttentionFigure>(figure_from_trace(arrays, query));
        QCOMPARE(head.place, QStringLiteral("layer 10 · MetricMQA · head 1"));
        QCOMPARE(head.values.at(2, 2), 16.0F);

        query = {};
        query.view = "router";
        const auto shares = std::get<RouterFigure>(figure_from_trace(arrays, query));
        QCOMPARE(shares.layers.size(), std::size_t{2});
        QCOMPARE(shares.layers[0].paths[1], QStringLiteral("MetricMH"));
        QCOMPARE(shares.layers[1].label, QStringLiteral("HyperFFN"));

        query.view = "balls";
        const auto radii = std::get<HeadsFigure>(figure_from_trace(arrays, query));
        QCOMPARE(radii.sites, (QStringList{"layer 2 · MetricMH", "LM head · MetricMQA"}));
        QCOMPARE(radii.values.values, (std::vector<float>{3, 4, 2.5F, 2.5F}));
        QCOMPARE(radii.kept.at(0, 0), 1.0F);
        QCOMPARE(radii.kept.at(0, 1), static_cast<float>((1.0 + 0.5 + 1.0 / 3) / 3));
        QVERIFY(std::isnan(radii.kept.at(1, 0)));

        arrays["layers.10.mass"] = ergo::NpyArray::from({2}, std::vector<float>{0.9F, 1.2F});
        query.view = "horizon";
        query.softening = 0.2;
        const auto horizon = std::get<HeadsFigure>(figure_from_trace(arrays, query));
        QCOMPARE(horizon.sites, QStringList{"layer 10"});
        QVERIFY(std::abs(horizon.values.at(0, 1) - 1.44 / 0.2 / std::log(10.0)) < 1e-6);
        QVERIFY(!render_figure(FigureSpec(), horizon, "svg").isEmpty());
        query.view = "drift"; // from 0.974, the usual start that is nearest
        const auto drift = std::get<HeadsFigure>(figure_from_trace(arrays, query));
        QVERIFY(std::abs(drift.values.at(0, 0) + 0.074077F) < 1e-6F);
        QCOMPARE(parse_csv(QString::fromUtf8(to_csv(drift)))[0], (QStringList{"site", "head", "drift"}));
        arrays.erase("layers.10.mass");

        query = {};
        query.view = "attention";
        query.head = 1;
        query.scale = WeightScale::ratio;
        const auto ratio = std::get<AttentionFigure>(figure_from_trace(arrays, query));
        QCOMPARE(ratio.values.at(2, 2), 3 * 16.0F);
        QCOMPARE(ratio.unit, QStringLiteral("× uniform"));
        query.scale = WeightScale::log_ratio;
        QCOMPARE(std::get<AttentionFigure>(figure_from_trace(arrays, query)).values.at(2, 2),
                 std::log2(48.0F));

        const auto refuses = [&](TraceQuery wrong) {
            return error_of([&] { figure_from_trace(arrays, wrong); }).kind() == ergo::ErrorKind::usage;
        };
        query.view = "attention";
        query.stage = "layers.7";
        QVERIFY(refuses(query));
        query.stage = "layers.2";
        query.head = 2;
        QVERIFY(refuses(query));
        query.view = "mass";
        QVERIFY(refuses(query));
        arrays["layers.2.metric_attention.attention"].shape = {2, 9, 1};
        query = {};
        query.view = "attention";
        QCOMPARE(error_of([&] { figure_from_trace(arrays, query); }).kind(), ergo::ErrorKind::format);
    }
};

QTEST_MAIN(TestFigure)
#include "test_figure.moc"

// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/window/engine_text.h"

#include <QCoreApplication>
#include <QLocale>
#include <QRegularExpression>
#include <QStringList>

namespace ergosphere {

namespace {

constexpr const char* context = "Engine";

// Marked for translation here, looked up by the phrase itself.
[[maybe_unused]] constexpr const char* phrases[] = {
    // what is going on
    QT_TRANSLATE_NOOP("Engine", "reading headers"),
    QT_TRANSLATE_NOOP("Engine", "building the model"),
    QT_TRANSLATE_NOOP("Engine", "reading the tokenizer"),
    QT_TRANSLATE_NOOP("Engine", "preparing the weights"),
    QT_TRANSLATE_NOOP("Engine", "ready"),
    QT_TRANSLATE_NOOP("Engine", "reading the prompt"),
    QT_TRANSLATE_NOOP("Engine", "reading the conversation"),
    QT_TRANSLATE_NOOP("Engine", "looking back"),
    QT_TRANSLATE_NOOP("Engine", "putting the figure together"),
    QT_TRANSLATE_NOOP("Engine", "handing over the numbers"),
    QT_TRANSLATE_NOOP("Engine", "starting to draw"),
    QT_TRANSLATE_NOOP("Engine", "reading the numbers"),
    QT_TRANSLATE_NOOP("Engine", "drawing"),
    QT_TRANSLATE_NOOP("Engine", "writing"),
    QT_TRANSLATE_NOOP("Engine", "encoding the picture"),
    QT_TRANSLATE_NOOP("Engine", "hashing"),
    QT_TRANSLATE_NOOP("Engine", "measuring"),
    QT_TRANSLATE_NOOP("Engine", "comparing"),
    // memory and parameters
    QT_TRANSLATE_NOOP("Engine", "weights"),
    QT_TRANSLATE_NOOP("Engine", "cache"),
    QT_TRANSLATE_NOOP("Engine", "scratch"),
    QT_TRANSLATE_NOOP("Engine", "capture"),
    QT_TRANSLATE_NOOP("Engine", "reserve"),
    QT_TRANSLATE_NOOP("Engine", "embedding"),
    QT_TRANSLATE_NOOP("Engine", "attention"),
    QT_TRANSLATE_NOOP("Engine", "router"),
    QT_TRANSLATE_NOOP("Engine", "norms"),
    QT_TRANSLATE_NOOP("Engine", "blocks"),
    QT_TRANSLATE_NOOP("Engine", "hyper_ffn"),
    QT_TRANSLATE_NOOP("Engine", "lm_head"),
    QT_TRANSLATE_NOOP("Engine", "rope+norms"),
    QT_TRANSLATE_NOOP("Engine", "mlp"),
    QT_TRANSLATE_NOOP("Engine", "MLP"),
    QT_TRANSLATE_NOOP("Engine", "ffn"),
    QT_TRANSLATE_NOOP("Engine", "depth_routing"),
    QT_TRANSLATE_NOOP("Engine", "output"),
    QT_TRANSLATE_NOOP("Engine", "LM head"),
    // sampling
    QT_TRANSLATE_NOOP("Engine", "Model's own"),
    QT_TRANSLATE_NOOP("Engine", "As the model's generation_config.json advises."),
    QT_TRANSLATE_NOOP("Engine", "Exact"),
    QT_TRANSLATE_NOOP("Engine", "Greedy: the same answer every time; right for equations and for measuring."),
    QT_TRANSLATE_NOOP("Engine", "Lively"),
    QT_TRANSLATE_NOOP("Engine", "Pure temperature 0.8, nothing cut."),
    QT_TRANSLATE_NOOP("Engine",
                      "Temperature 0.8 with top-p 0.95; the MoA cards advise to stay at 1.2 or below."),
    QT_TRANSLATE_NOOP("Engine", "Pure temperature"),
    QT_TRANSLATE_NOOP("Engine",
                      "Temperature 0.7 and nothing cut: the card warns that top-p ruins a model this small."),
    // quantities
    QT_TRANSLATE_NOOP("Engine", "weight"),
    QT_TRANSLATE_NOOP("Engine", "distance"),
    QT_TRANSLATE_NOOP("Engine", "radius"),
    // weights, where cooperative matrices are tried
    QT_TRANSLATE_NOOP("Engine", "bf16 by name"),
    QT_TRANSLATE_NOOP("Engine", "16 bits"),
    // what a device has
    QT_TRANSLATE_NOOP("Engine", "subgroup size control"),
    QT_TRANSLATE_NOOP("Engine", "integer dot products"),
    QT_TRANSLATE_NOOP("Engine", "integer dot products (slow)"),
    QT_TRANSLATE_NOOP("Engine", "cooperative matrices"),
    QT_TRANSLATE_NOOP("Engine", "a queue for copies"),
};

/// A clause of a verdict, as the families write it and as it is said; numbers and names are taken over.
struct Clause {
    const char *pattern, *text;
};
constexpr Clause clauses[] = {
    {"^certain: ", QT_TRANSLATE_NOOP("Engine", "Certain: ")},
    {"^likely: ", QT_TRANSLATE_NOOP("Engine", "Likely: ")},
    {"all (\\d+) tensors of schema (\\S+) are there",
     QT_TRANSLATE_NOOP("Engine", "all %1 tensors of schema %2 are there")},
    {", with the shapes that config\\.json implies",
     QT_TRANSLATE_NOOP("Engine", ", with the shapes that config.json implies")},
    {", a depth router's query and gain in front of every attention and MLP among them",
     QT_TRANSLATE_NOOP("Engine",
                       ", a depth router's query and gain in front of every attention and MLP among them")},
    {"; sizes from tensor shapes and config\\.json",
     QT_TRANSLATE_NOOP("Engine", "; sizes from tensor shapes and config.json")},
    {"; sizes from tensor shapes(?=$|;)", QT_TRANSLATE_NOOP("Engine", "; sizes from tensor shapes")},
    {"; assumed as published: (.*)$", QT_TRANSLATE_NOOP("Engine", "; assumed as published: %1")},
    {"; semantics\\.json sets the knobs", QT_TRANSLATE_NOOP("Engine", "; semantics.json sets the knobs")},
    {"; what the published definition leaves open is read as the schema's preset has it",
     QT_TRANSLATE_NOOP("Engine",
                       "; what the published definition leaves open is read as the schema's preset has it")},
    {", and (.*) holds a mass for each of (\\d+) × (\\d+) query heads",
     QT_TRANSLATE_NOOP("Engine", ", and %1 holds a mass for each of %2 × %3 query heads")},
    {", and (\\S+) holds masses", QT_TRANSLATE_NOOP("Engine", ", and %1 holds masses")},
    {"; no mass file was found beside it, so it runs under dot-product attention \\(if its weights were "
     "adapted to gravity, attach their gravity_mass_log\\.pt: without it they write nonsense\\)",
     QT_TRANSLATE_NOOP(
         "Engine",
         "; no mass file was found beside it, so it runs under dot-product attention (if its weights were "
         "adapted to gravity, attach their gravity_mass_log.pt: without it they write nonsense)")},
};

} // namespace

QString verdictText(const std::string& why) {
    QString words = QString::fromStdString(why).trimmed();
    for (const Clause& clause : clauses) {
        const auto found = QRegularExpression(QString::fromUtf8(clause.pattern)).match(words);
        if (!found.hasMatch()) {
            continue;
        }
        QString said = engineText(QString::fromUtf8(clause.text));
        for (int i = 1; i <= found.lastCapturedIndex(); ++i) {
            said.replace(QString("%" + QString::number(i)), found.captured(i));
        }
        words.replace(found.capturedStart(), found.capturedLength(), said);
    }
    return words.isEmpty() || words.endsWith('.') ? words : words + '.';
}

QString familyText(const std::string& family, const std::string& variant) {
    const QString name = QString::fromStdString(family);
    return family == variant ? name : name + QStringLiteral(" · ") + QString::fromStdString(variant);
}

QString engineText(const QString& phrase) {
    return QCoreApplication::translate(context, phrase.toUtf8().constData());
}

QString engineText(const std::string& phrase) {
    return QCoreApplication::translate(context, phrase.c_str());
}

namespace {

/// "f32 (1.30 times the speed), …": of the weights for which they are used, or not.
QString gainsText(const ergo::MatrixUse& use, bool used) {
    QStringList parts;
    for (const ergo::MatrixUse::Gain& gain : use.gains) {
        if (gain.used == used) {
            parts << QCoreApplication::translate("Engine", "%1 (%2 times the speed)")
                         .arg(engineText(gain.weights), QLocale().toString(gain.times, 'f', 2));
        }
    }
    return parts.join(QStringLiteral(", "));
}

QString whyNoMatrices(const ergo::MatrixUse& use) {
    using State = ergo::MatrixUse::State;
    const auto number = [](double n) { return QLocale().toString(n, 'e', 1); };
    switch (use.state) {
    case State::not_there:
        return QCoreApplication::translate("Engine", "the device has no cooperative matrices");
    case State::no_halves:
        return QCoreApplication::translate(
            "Engine", "the device has cooperative matrices, but not 16-bit floats and Vulkan's memory model");
    case State::no_full_subgroups:
        return QCoreApplication::translate("Engine",
                                           "the device lets no kernel ask for full subgroups of one size");
    case State::not_listed:
        return QCoreApplication::translate("Engine",
                                           "the device does not say which cooperative matrices it has");
    case State::no_fitting_shape:
        return QCoreApplication::translate("Engine", "none of the device's %1 kinds of cooperative matrices "
                                                     "multiplies 16-bit floats in the sizes of the kernel")
            .arg(use.kinds);
    case State::not_built:
        return QCoreApplication::translate("Engine", "the shader compiler of this build did not know them");
    case State::no_extensions:
        return QCoreApplication::translate("Engine", "extensions of Vulkan 1.2 are switched off");
    case State::wrong:
        return QCoreApplication::translate("Engine", "products with weights in %1 differ by %2 from those "
                                                     "without, where %3 would be rounding")
            .arg(QString::fromStdString(use.type), number(use.difference), number(use.allowed));
    case State::failed:
        return QString::fromStdString(use.error);
    case State::slower:
        return QCoreApplication::translate("Engine", "not faster with weights in %1")
            .arg(gainsText(use, false));
    default:
        return {};
    }
}

} // namespace

QString matricesText(const ergo::MatrixUse& use) {
    using State = ergo::MatrixUse::State;
    switch (use.state) {
    case State::none:
        return {};
    case State::switched_off:
        return QCoreApplication::translate("Engine", "Switched off.");
    case State::untried:
        return QCoreApplication::translate(
            "Engine", "Not tried yet: that happens when the first prompt that they are for is read.");
    case State::being_tried:
        return QCoreApplication::translate("Engine", "Being tried.");
    case State::used: {
        const QString others = gainsText(use, false);
        return others.isEmpty()
                   ? QCoreApplication::translate("Engine", "Used in prompts with weights in %1.")
                         .arg(gainsText(use, true))
                   : QCoreApplication::translate("Engine", "Used in prompts with weights in %1; not in %2.")
                         .arg(gainsText(use, true), others);
    }
    default:
        return QCoreApplication::translate("Engine", "Not used: %1.").arg(whyNoMatrices(use));
    }
}

QString featureText(const std::string& feature) {
    static const QRegularExpression subgroups("^subgroups of (\\d+)$");
    if (const auto found = subgroups.match(QString::fromStdString(feature)); found.hasMatch()) {
        return QCoreApplication::translate("Engine", "subgroups of %1").arg(found.captured(1));
    }
    return engineText(feature);
}

QString placeText(const std::string& label) {
    static const QRegularExpression layer("^layer (\\d+)$"), layers("^layers (\\d+)–(\\d+)$"),
        with_embedding("^embedding and (.*)$");
    QStringList parts = QString::fromStdString(label).split(QStringLiteral(" · "));
    for (QString& part : parts) {
        if (const auto one = layer.match(part); one.hasMatch()) {
            part = QCoreApplication::translate("Engine", "layer %1").arg(one.captured(1));
        } else if (const auto several = layers.match(part); several.hasMatch()) {
            part = QCoreApplication::translate("Engine", "layers %1–%2")
                       .arg(several.captured(1), several.captured(2));
        } else if (const auto both = with_embedding.match(part); both.hasMatch()) {
            part = QCoreApplication::translate("Engine", "embedding and %1")
                       .arg(placeText(both.captured(1).toStdString()));
        } else {
            part = engineText(part);
        }
    }
    return parts.join(QStringLiteral(" · "));
}

QString headPlaceText(const std::string& label, int head) {
    return placeText(label) + QStringLiteral(" · ") +
           (head < 0 ? QCoreApplication::translate("Engine", "all heads")
                     : QCoreApplication::translate("Engine", "head %1").arg(head));
}

} // namespace ergosphere

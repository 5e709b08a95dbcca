// SPDX-License-Identifier: GPL-3.0-or-later
// The perceptual colour maps: 256 colours each as RRGGBB. viridis and magma by Nathaniel Smith and Stéfan van
// der Walt (CC0), cividis by Nuñez, Anderton and Renslow (PLOS ONE 13(7), 2018).
#include "app/figure/palette.h"

#include "engine/base/error.h"

#include <array>

namespace ergosphere {

namespace {

constexpr const char* cividis_hex =
    "00224e00234f00245100255300255400265600275800285900285b00295d002a5f002a61002b62002c64002c66002d68"
    "002e6a002e6c002f6d00306f0030700031700031710132710533710833700c34700f357012357014367016377018376f"
    "1a386f1c396f1e3a6f203a6f213b6e233c6e243c6e263d6e273e6e293f6e2a3f6d2b406d2d416d2e416d2f426d31436d"
    "32436d33446d34456c35456c36466c38476c39486c3a486c3b496c3c4a6c3d4a6c3e4b6c3f4c6c404c6c414d6c424e6c"
    "434e6c444f6c45506c46516c47516c48526c49536c4a536c4b546c4c556c4d556c4e566c4f576c50576c51586d52596d"
    "535a6d545a6d555b6d555c6d565c6d575d6d585e6d595e6e5a5f6e5b606e5c616e5d616e5e626e5e636f5f636f60646f"
    "61656f62656f636670646770656870656870666970676a71686a71696b716a6c716b6d726c6d726c6e726d6f726e6f73"
    "6f70737071737172747272747273747374757474757575757676767777767777777878777979777a7a787b7a787c7b78"
    "7d7c787e7c787e7d787f7e78807f78817f788280798381798482798582798683798784788885788985788a86788b8778"
    "8c88788d88788e89788f8a78908b78918b78928c78928d78938e78948e77958f779690779791779892779992779a9376"
    "9b94769c95769d95769e96769f9775a09875a19975a29975a39a74a49b74a59c74a69c74a79d73a89e73a99f73aaa073"
    "aba072aca172ada272aea371afa471b0a571b1a570b3a670b4a76fb5a86fb6a96fb7a96eb8aa6eb9ab6dbaac6dbbad6d"
    "bcae6cbdae6cbeaf6bbfb06bc0b16ac1b26ac2b369c3b369c4b468c5b568c6b667c7b767c8b866c9b965cbb965ccba64"
    "cdbb63cebc63cfbd62d0be62d1bf61d2c060d3c05fd4c15fd5c25ed6c35dd7c45cd9c55cdac65bdbc75adcc859ddc858"
    "dec958dfca57e0cb56e1cc55e2cd54e4ce53e5cf52e6d051e7d150e8d24fe9d34eead34cebd44bedd54aeed649efd748"
    "f0d846f1d945f2da44f3db42f5dc41f6dd3ff7de3ef8df3cf9e03afbe138fce236fde334fee434fee535fee636fee838";

constexpr const char* viridis_hex =
    "44015444025645045745055946075a46085c460a5d460b5e470d60470e61471063471164471365481467481668481769"
    "48186a481a6c481b6d481c6e481d6f481f70482071482173482374482475482576482677482878482979472a7a472c7a"
    "472d7b472e7c472f7d46307e46327e46337f463480453581453781453882443983443a83443b84433d84433e85423f85"
    "4240864241864142874144874045884046883f47883f48893e49893e4a893e4c8a3d4d8a3d4e8a3c4f8a3c508b3b518b"
    "3b528b3a538b3a548c39558c39568c38588c38598c375a8c375b8d365c8d365d8d355e8d355f8d34608d34618d33628d"
    "33638d32648e32658e31668e31678e31688e30698e306a8e2f6b8e2f6c8e2e6d8e2e6e8e2e6f8e2d708e2d718e2c718e"
    "2c728e2c738e2b748e2b758e2a768e2a778e2a788e29798e297a8e297b8e287c8e287d8e277e8e277f8e27808e26818e"
    "26828e26828e25838e25848e25858e24868e24878e23888e23898e238a8d228b8d228c8d228d8d218e8d218f8d21908d"
    "21918c20928c20928c20938c1f948c1f958b1f968b1f978b1f988b1f998a1f9a8a1e9b8a1e9c891e9d891f9e891f9f88"
    "1fa0881fa1881fa1871fa28720a38620a48621a58521a68522a78522a88423a98324aa8325ab8225ac8226ad8127ad81"
    "28ae8029af7f2ab07f2cb17e2db27d2eb37c2fb47c31b57b32b67a34b67935b77937b87838b9773aba763bbb753dbc74"
    "3fbc7340bd7242be7144bf7046c06f48c16e4ac16d4cc26c4ec36b50c46a52c56954c56856c66758c7655ac8645cc863"
    "5ec96260ca6063cb5f65cb5e67cc5c69cd5b6ccd5a6ece5870cf5773d05675d05477d1537ad1517cd2507fd34e81d34d"
    "84d44b86d54989d5488bd6468ed64590d74393d74195d84098d83e9bd93c9dd93ba0da39a2da37a5db36a8db34aadc32"
    "addc30b0dd2fb2dd2db5de2bb8de29bade28bddf26c0df25c2df23c5e021c8e020cae11fcde11dd0e11cd2e21bd5e21a"
    "d8e219dae319dde318dfe318e2e418e5e419e7e419eae51aece51befe51cf1e51df4e61ef6e620f8e621fbe723fde725";

constexpr const char* magma_hex =
    "00000401000501010601010802010902020b02020d03030f03031204041405041606051806051a07061c08071e090720"
    "0a08220b09240c09260d0a290e0b2b100b2d110c2f120d31130d34140e36150e38160f3b180f3d19103f1a10421c1044"
    "1d11471e114920114b21114e22115024125325125527125829115a2a115c2c115f2d11612f1163311165331067341069"
    "36106b38106c390f6e3b0f703d0f713f0f72400f74420f75440f764510774710784910784a10794c117a4e117b4f127b"
    "51127c52137c54137d56147d57157e59157e5a167e5c167f5d177f5f187f601880621980641a80651a80671b80681c81"
    "6a1c816b1d816d1d816e1e81701f81721f817320817521817621817822817922827b23827c23827e2482802582812581"
    "8326818426818627818827818928818b29818c29818e2a81902a81912b81932b80942c80962c80982d80992d809b2e7f"
    "9c2e7f9e2f7fa02f7fa1307ea3307ea5317ea6317da8327daa337dab337cad347cae347bb0357bb2357bb3367ab5367a"
    "b73779b83779ba3878bc3978bd3977bf3a77c03a76c23b75c43c75c53c74c73d73c83e73ca3e72cc3f71cd4071cf4070"
    "d0416fd2426fd3436ed5446dd6456cd8456cd9466bdb476adc4869de4968df4a68e04c67e24d66e34e65e44f64e55064"
    "e75263e85362e95462ea5661eb5760ec5860ed5a5fee5b5eef5d5ef05f5ef1605df2625df2645cf3655cf4675cf4695c"
    "f56b5cf66c5cf66e5cf7705cf7725cf8745cf8765cf9785df9795df97b5dfa7d5efa7f5efa815ffb835ffb8560fb8761"
    "fc8961fc8a62fc8c63fc8e64fc9065fd9266fd9467fd9668fd9869fd9a6afd9b6bfe9d6cfe9f6dfea16efea36ffea571"
    "fea772fea973feaa74feac76feae77feb078feb27afeb47bfeb67cfeb77efeb97ffebb81febd82febf84fec185fec287"
    "fec488fec68afec88cfeca8dfecc8ffecd90fecf92fed194fed395fed597fed799fed89afdda9cfddc9efddea0fde0a1"
    "fde2a3fde3a5fde5a7fde7a9fde9aafdebacfcecaefceeb0fcf0b2fcf2b4fcf4b6fcf6b8fcf7b9fcf9bbfcfbbdfcfdbf";

// Our own: dark at both ends, nearly white in the middle, equal lightness on both sides.
constexpr std::array<std::array<int, 3>, 9> diverging_anchors = {{{10, 49, 110},
                                                                  {38, 99, 178},
                                                                  {103, 155, 217},
                                                                  {180, 208, 238},
                                                                  {247, 247, 247},
                                                                  {244, 195, 176},
                                                                  {224, 126, 100},
                                                                  {184, 52, 45},
                                                                  {110, 10, 25}}};

int hex_digit(char c) {
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

std::array<QRgb, 256> parse(const char* hex) {
    std::array<QRgb, 256> colors{};
    for (int i = 0; i < 256; ++i) {
        const char* at = hex + 6 * i;
        colors[static_cast<std::size_t>(i)] =
            qRgb(16 * hex_digit(at[0]) + hex_digit(at[1]), 16 * hex_digit(at[2]) + hex_digit(at[3]),
                 16 * hex_digit(at[4]) + hex_digit(at[5]));
    }
    return colors;
}

std::array<QRgb, 256> interpolate() {
    std::array<QRgb, 256> colors{};
    for (int i = 0; i < 256; ++i) {
        const double at = i / 255.0 * (diverging_anchors.size() - 1);
        const auto low = std::min(static_cast<std::size_t>(at), diverging_anchors.size() - 2);
        const double t = at - static_cast<double>(low);
        const auto mix = [&](std::size_t c) {
            return qRound(diverging_anchors[low][c] * (1 - t) + diverging_anchors[low + 1][c] * t);
        };
        colors[static_cast<std::size_t>(i)] = qRgb(mix(0), mix(1), mix(2));
    }
    return colors;
}

} // namespace

Colormap::Colormap(QString name, const std::array<QRgb, 256>& colors)
    : name_(std::move(name)), colors_(colors) {}

const Colormap& Colormap::named(const QString& name) {
    static const std::array<Colormap, 4> maps = {Colormap(QStringLiteral("cividis"), parse(cividis_hex)),
                                                 Colormap(QStringLiteral("viridis"), parse(viridis_hex)),
                                                 Colormap(QStringLiteral("magma"), parse(magma_hex)),
                                                 Colormap(QStringLiteral("diverging"), interpolate())};
    for (const Colormap& map : maps) {
        if (map.name() == name) {
            return map;
        }
    }
    throw ergo::Error(
        ergo::ErrorKind::usage,
        "There is no colour map named \"" + ergo::printable(name.toStdString()) + "\".",
        {.code = "FIG-COLORMAP", .advice = "Use " + names().join(QStringLiteral(", ")).toStdString() + "."});
}

QStringList Colormap::names() {
    return {QStringLiteral("cividis"), QStringLiteral("viridis"), QStringLiteral("magma"),
            QStringLiteral("diverging")};
}

QColor pathColor(int path) {
    static constexpr std::array<QRgb, 4> colors = {0xFFE69F00, 0xFF0072B2, 0xFF009E73, 0xFFCC79A7};
    return path >= 0 && path < 4 ? QColor::fromRgb(colors[static_cast<std::size_t>(path)])
                                 : QColor(0x99, 0x99, 0x99);
}

QColor branchColor(int branch) {
    static constexpr std::array<QRgb, 3> colors = {0xFF56B4E9, 0xFFD55E00, 0xFF999999};
    return branch >= 0 && branch < 3 ? QColor::fromRgb(colors[static_cast<std::size_t>(branch)])
                                     : QColor(0x66, 0x66, 0x66);
}

QColor routeColor(int path, int paths) {
    return paths == 3 ? branchColor(path) : pathColor(path);
}

} // namespace ergosphere

// What the three examples share: a photograph in, joints out. Everything but running the network is here, in the steps
// and the order of litehrnet/heatmaps.py. Sizes are height before width, points x before y.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace pose {

struct Photo {
    int height, width;
    std::vector<uint8_t> rgb;  // height * width * 3

    // Everything outside the photograph is black.
    double at(int y, int x, int colour) const
    {
        if (y < 0 || x < 0 || y >= height || x >= width) return 0;
        return rgb[(static_cast<size_t>(y) * width + x) * 3 + colour];
    }
};

struct Arguments {
    std::string model;
    Photo photo;
    std::array<double, 4> box;  // x, y, width, height
    std::string reference;      // a file of joints to compare with, or empty
};

struct Crop {
    int height, width;
    double scale, shift_x, shift_y;  // a point of the photograph (x, y) is at (scale x + shift_x, scale y + shift_y)
    std::vector<uint8_t> rgb;        // height * width * 3
};

struct Joint {
    double x, y, score;
};

// A binary PPM ("P6", one byte per colour), which any tool writes: magick photo.jpg photo.ppm
inline Photo read_ppm(const std::string& path)
{
    std::ifstream file(path, std::ios::binary);
    std::string magic;
    file >> magic;
    int values[3] = {0, 0, 0};  // width, height, greatest value
    for (int& value : values) {
        while ((file >> std::ws).peek() == '#') file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
        file >> value;
    }
    file.get();
    const auto [width, height, greatest] = values;
    if (!file || magic != "P6" || greatest != 255 || width < 1 || height < 1 || width > 65535 || height > 65535)
        throw std::runtime_error(path + " is not a binary PPM file with one byte per colour");
    Photo photo{height, width, std::vector<uint8_t>(static_cast<size_t>(height) * width * 3)};
    if (!file.read(reinterpret_cast<char*>(photo.rgb.data()), static_cast<std::streamsize>(photo.rgb.size())))
        throw std::runtime_error(path + " is cut short");
    return photo;
}

inline Arguments arguments(int count, char** words)
{
    if (count != 7 && count != 8)
        throw std::runtime_error("usage: " + std::string(words[0]) + " MODEL PHOTO.ppm X Y WIDTH HEIGHT [JOINTS.txt]");
    Arguments found{words[1], read_ppm(words[2]), {}, count == 8 ? words[7] : ""};
    for (int i = 0; i < 4; i++) found.box[i] = std::stod(words[3 + i]);
    if (!(found.box[2] > 0 && found.box[3] > 0)) throw std::runtime_error("the box's sides must be positive");
    return found;
}

// The box, extended to the network's aspect ratio and padded, sampled bilinearly without antialiasing.
inline Crop crop(const Photo& photo, const std::array<double, 4>& box, int height, int width, double padding = 1.25)
{
    const double scale = std::min(width / box[2], height / box[3]) / padding;
    const double shift_x = width / 2.0 - scale * (box[0] + box[2] / 2);
    const double shift_y = height / 2.0 - scale * (box[1] + box[3] / 2);
    Crop made{height, width, scale, shift_x, shift_y, {}};
    made.rgb.reserve(static_cast<size_t>(height) * width * 3);
    // In the steps of Pillow, which Python crops with: pixel i's centre is at i + 0.5, the photograph has a black frame
    // of one pixel, and values are rounded down.
    const double step = 1 / scale;
    const double first_x = -step * shift_x - step * 0.5 + 0.5 + 1, first_y = -step * shift_y - step * 0.5 + 0.5 + 1;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            const double px = std::clamp(step * (x + 0.5) + first_x - 0.5, -1.0, photo.width + 2.0);
            const double py = std::clamp(step * (y + 0.5) + first_y - 0.5, -1.0, photo.height + 2.0);
            const int left = static_cast<int>(std::floor(px)), top = static_cast<int>(std::floor(py));
            for (int k = 0; k < 3; k++) {
                const double a = photo.at(top - 1, left - 1, k), b = photo.at(top - 1, left, k);
                const double c = photo.at(top, left - 1, k), d = photo.at(top, left, k);
                const double upper = a + (b - a) * (px - left), lower = c + (d - c) * (px - left);
                made.rgb.push_back(static_cast<uint8_t>(upper + (lower - upper) * (py - top)));
            }
        }
    return made;
}

// Normalised as in training, channels first: 3 * height * width.
inline std::vector<float> to_input(const Crop& crop)
{
    const float mean[3] = {123.675f, 116.28f, 103.53f}, deviation[3] = {58.395f, 57.12f, 57.375f};
    const size_t pixels = static_cast<size_t>(crop.height) * crop.width;
    std::vector<float> image(3 * pixels);
    for (size_t i = 0; i < pixels; i++)
        for (size_t k = 0; k < 3; k++) image[k * pixels + i] = (crop.rgb[3 * i + k] - mean[k]) / deviation[k];
    return image;
}

// The peak of every heatmap, moved by a quarter of its pixel towards the larger neighbour, in the photograph's pixels.
// Of equal peaks the first counts; `litehrnet.heatmaps.decode` takes the middle of those that touch, which float maps
// hardly ever have.
inline std::vector<Joint> decode(const float* heatmaps, size_t joints, const Crop& crop)
{
    const int height = (crop.height + 3) / 4, width = (crop.width + 3) / 4;
    std::vector<Joint> found;
    for (size_t k = 0; k < joints; k++, heatmaps += static_cast<size_t>(height) * width) {
        const float* peak = std::max_element(heatmaps, heatmaps + static_cast<size_t>(height) * width);
        const int x = static_cast<int>(peak - heatmaps) % width, y = static_cast<int>(peak - heatmaps) / width;
        double px = x, py = y;
        if (x > 1 && x < width - 1 && y > 1 && y < height - 1) {
            px += 0.25 * ((peak[1] > peak[-1]) - (peak[1] < peak[-1]));
            py += 0.25 * ((peak[width] > peak[-width]) - (peak[width] < peak[-width]));
        }
        found.push_back({(4 * px - crop.shift_x) / crop.scale, (4 * py - crop.shift_y) / crop.scale, *peak});
    }
    return found;
}

// Print the joints; with a reference, also the largest distance to it, which must stay below a pixel of the photograph.
inline int report(const std::vector<Joint>& joints, const std::string& reference)
{
    for (size_t k = 0; k < joints.size(); k++)
        std::printf("%2zu  x %8.2f  y %8.2f  score %.4f\n", k, joints[k].x, joints[k].y, joints[k].score);
    if (reference.empty()) return 0;
    std::ifstream file(reference);
    double apart = 0, x, y, score;
    size_t count = 0;
    for (; count < joints.size() && file >> x >> y >> score; count++)
        apart = std::max(apart, std::hypot(x - joints[count].x, y - joints[count].y));
    if (count != joints.size()) throw std::runtime_error(reference + " does not have a line per joint: x y score");
    std::printf("at most %.3f pixels from %s\n", apart, reference.c_str());
    return apart < 1 ? 0 : 1;
}

}  // namespace pose
